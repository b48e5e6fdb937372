"""``capacity check``: will the event hold? And after it: did it come as was said?"""

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

    Exits 1 where the running fleet does not hold it. Of an event that is over: what was said before it against what
    came; exits 0.
    """
    from capacity import config as configuration
    from capacity import pipeline
    from capacity.cli import _print_event
    from capacity.pipeline import commands, event_review

    settings = configuration.load(config)
    moment, store = as_of(as_of_text, settings), pipeline.open_store(settings)
    if event_review.is_over(settings, event, moment):
        with progress("review") as show:
            rows = commands.review(settings, store, event, as_of=moment, progress=show)
        if as_json:
            say_json({"event": event, "over": True, "review": rows.astype(object).to_dict("records")})
        else:
            _print_event.review(rows)
        return EXIT_OK
    with progress("check") as show:
        found = pipeline.check(settings, store, event, as_of=moment, progress=show)
    if as_json:
        say_json({"event": found, "go": found.go})
    else:
        _print_event.check(found)
    return EXIT_OK if found.go else EXIT_GATE_SHUT
