"""``capacity check``: will the event hold? And after it: did it come as was said?"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from capacity.cli._common import AsOfOption, ConfigOption, JsonOption, as_of, progress, say, say_json
from capacity.errors import EXIT_GATE_SHUT, EXIT_OK

if TYPE_CHECKING:
    from datetime import datetime

    import pandas as pd

    from capacity.config import Config
    from capacity.plan import EventSummary


def check(
    config: ConfigOption,
    event: Annotated[str, typer.Option("--event", "-e", help="name of an event in the config")],
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="write check.html and check.xlsx into this folder", metavar="DIR")
    ] = None,
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
    from capacity.pipeline import event_review

    settings = configuration.load(config)
    moment = as_of(as_of_text, settings)
    if event_review.is_over(settings, event, moment):
        return _over(settings, event, moment, out, as_json)
    with progress("check") as show:
        found = pipeline.check(settings, pipeline.open_store(settings), event, as_of=moment, progress=show)
    files = _files(settings, moment, found, out)
    if as_json:
        say_json({"event": found, "go": found.go, **_named(files)})
    else:
        _print_event.check(found)
        _say(files)
    return EXIT_OK if found.go else EXIT_GATE_SHUT


def _over(settings: Config, event: str, moment: datetime, out: Path | None, as_json: bool) -> int:
    from capacity import pipeline
    from capacity.cli import _print_event
    from capacity.pipeline import commands
    from capacity.plan import EventSummary

    with progress("review") as show:
        rows = commands.review(settings, pipeline.open_store(settings), event, as_of=moment, progress=show)
    first = rows.iloc[0]
    past = EventSummary(event, first["start"].to_pydatetime(), first["end"].to_pydatetime(), ())
    files = _files(settings, moment, past, out, rows)
    if as_json:
        say_json({"event": event, "over": True, "review": rows.astype(object).to_dict("records"), **_named(files)})
    else:
        _print_event.review(rows)
        _say(files)
    return EXIT_OK


def _files(
    settings: Config, moment: datetime, found: EventSummary, out: Path | None, rows: pd.DataFrame | None = None
) -> tuple[Path, ...]:
    from capacity.pipeline import commands
    from capacity.report import Checked, write_check

    if out is None:
        return ()
    return write_check(Checked(settings.company, moment, found, commands.measures(settings), rows), out)


def _named(files: tuple[Path, ...]) -> dict[str, list[str]]:
    return {"files": [str(f) for f in files]} if files else {}


def _say(files: tuple[Path, ...]) -> None:
    for file in files:
        say(f"written: {file}")
