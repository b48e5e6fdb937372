"""``capacity check``: will the event hold?"""

from __future__ import annotations

from typing import Annotated

import typer

from capacity.cli._common import AsOfOption, ConfigOption, JsonOption, as_of, progress, say_json
from capacity.errors import EXIT_GATE_SHUT, EXIT_OK


def check(
    config: ConfigOption,
    event: Annotated[str, typer.Option("--event", "-e", help="name of an event in the config")],
    as_json: JsonOption = False,
    as_of_text: AsOfOption = None,
) -> int:
    """GO or NO-GO for an event, by service through the call graph, with reasons and remedies.

    Exits 1 where the running fleet does not hold it.
    """
    from capacity import config as configuration
    from capacity import pipeline
    from capacity.cli import _print

    settings = configuration.load(config)
    with progress("check") as show:
        found = pipeline.check(
            settings, pipeline.open_store(settings), event, as_of=as_of(as_of_text, settings), progress=show
        )
    if as_json:
        say_json({"event": found, "go": found.go})
    else:
        _print.event(found)
    return EXIT_OK if found.go else EXIT_GATE_SHUT
