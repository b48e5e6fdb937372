"""``capacity ingest``, ``sources`` and ``doctor``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from capacity.cli._common import AsOfOption, ConfigOption, JsonOption, as_of, progress, say, say_json
from capacity.errors import EXIT_DATA, EXIT_OK

OptionalConfig = Annotated[Path | None, typer.Option("--config", "-c", help="config file (YAML)", show_default=False)]


def ingest(config: ConfigOption, as_json: JsonOption = False, as_of_text: AsOfOption = None) -> int:
    """Pull every source named in the config into the store; safe to repeat.

    A source that fails is named and the others go on; the exit code is then 3.
    """
    from capacity import config as configuration
    from capacity import pipeline
    from capacity.cli import _print

    settings = configuration.load(config)
    with progress("ingest") as show:
        report = pipeline.ingest(settings, pipeline.open_store(settings), as_of(as_of_text), show)
    if as_json:
        say_json(report)
    else:
        _print.ingest(report)
    return EXIT_DATA if report.failed else EXIT_OK


def sources(as_json: JsonOption = False, as_of_text: AsOfOption = None) -> int:
    """What each kind of source reads, the permissions it needs, what its calls cost, and its limits."""
    from capacity import sources as known
    from capacity.cli import _print

    as_of(as_of_text)
    infos = known.infos()
    if as_json:
        say_json(infos)
    else:
        _print.sources(infos)
    return EXIT_OK


def doctor(config: OptionalConfig = None, as_json: JsonOption = False, as_of_text: AsOfOption = None) -> int:
    """Check the installation (and a config and its store, where one is given)."""
    from capacity import pipeline

    checks = pipeline.doctor(config, as_of(as_of_text) if as_of_text else None)
    if as_json:
        say_json({"checks": checks})
    else:
        for check in checks:
            mark = "warn" if check.warning else "ok  " if check.ok else "FAIL"
            say(f"{mark}  {check.name}: {check.detail}")
    return max((c.exit_code for c in checks if not c.ok), default=EXIT_OK)
