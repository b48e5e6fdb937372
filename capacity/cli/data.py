"""``capacity ingest``, ``sources``, ``catalog``, ``store`` and ``doctor``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

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

    infos = known.infos()
    if as_json:
        say_json(infos)
    else:
        _print.sources(infos)
    return EXIT_OK


def catalog(
    instance_type: Annotated[str | None, typer.Argument(help="one type, all that is known of it")] = None,
    as_json: JsonOption = False,
    as_of_text: AsOfOption = None,
) -> int:
    """The bundled instance types and rates, with their sources and dates."""
    from capacity import catalogue
    from capacity.errors import UsageError

    known = catalogue.load()
    prices = known.prices
    if instance_type is not None:
        if instance_type not in known.types:
            raise UsageError(f"no instance type '{instance_type}' in the catalogue of {known.version}")
        rows = prices[prices["instance_type"] == instance_type]
        document: dict[str, Any] = {"type": known.types[instance_type], "rates": rows.to_dict("records")}
    else:
        products = prices.groupby(["product", "source", "as_of"], sort=True).size().reset_index(name="types")
        document = {"version": known.version, "types": len(known.types), "rates": products.to_dict("records")}
    if as_json:
        say_json(document)
    else:
        from capacity.cli import _print

        _print.catalogue(document)
    return EXIT_OK


def store(config: ConfigOption, as_json: JsonOption = False, as_of_text: AsOfOption = None) -> int:
    """What the store holds: tables, versions, rows, sizes; with --as-of, the versions of that moment."""
    from capacity import config as configuration
    from capacity import pipeline
    from capacity.cli import _print

    settings = configuration.load(config)
    document = pipeline.describe_store(settings, as_of(as_of_text) if as_of_text else None)
    if as_json:
        say_json(document)
    else:
        _print.store(document)
    return EXIT_OK


def doctor(config: OptionalConfig = None, as_json: JsonOption = False, as_of_text: AsOfOption = None) -> int:
    """Check the installation (and a config and its store, where one is given)."""
    from capacity import pipeline

    checks = pipeline.doctor(config)
    if as_json:
        say_json({"checks": checks})
    else:
        for check in checks:
            say(f"{'ok  ' if check.ok else 'FAIL'}  {check.name}: {check.detail}")
    return max((c.exit_code for c in checks if not c.ok), default=EXIT_OK)
