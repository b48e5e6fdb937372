"""``capacity cost`` and ``capacity commitments``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from capacity.cli._common import AsOfOption, ConfigOption, JsonOption, OutOption, as_of, progress, say, say_json
from capacity.errors import EXIT_OK


def cost(
    config: ConfigOption,
    first: Annotated[str | None, typer.Option("--from", metavar="YYYY-MM", help="month the bridge starts from")] = None,
    last: Annotated[str | None, typer.Option("--to", metavar="YYYY-MM", help="month it ends at; the newest")] = None,
    as_json: JsonOption = False,
    as_of_text: AsOfOption = None,
) -> int:
    """Cost to serve by service, adding up to the bill exactly; unit costs; and the bridge between two months."""
    from capacity import config as configuration
    from capacity import pipeline
    from capacity.cli import _print

    settings = configuration.load(config)
    with progress("cost") as show:
        found = pipeline.cost_to_serve(
            settings,
            pipeline.open_store(settings),
            as_of=as_of(as_of_text, settings),
            first=first,
            last=last,
            progress=show,
        )
    if as_json:
        say_json(found.document())
    else:
        _print.cost(found)
    return EXIT_OK


def commitments(
    demand: Annotated[Path, typer.Option("--demand", help="hourly CSV: series,ts,value", show_default=False)],
    rate: Annotated[float, typer.Option("--rate", help="committed price as a share of on demand, e.g. 0.72")],
    term_days: Annotated[int, typer.Option("--term-days", help="days the commitment runs")] = 365,
    out: OutOption = Path("."),
    as_json: JsonOption = False,
    as_of_text: AsOfOption = None,
) -> int:
    """How much to commit to, from hourly demand alone; no config needed. Writes OUT/commitment.csv."""
    from capacity import pipeline

    until = as_of(as_of_text) if as_of_text else None
    levels = pipeline.commitment_files(demand, out, rate=rate, term_days=term_days, as_of=until)
    if as_json:
        say_json(levels.to_dict("records"))
    else:
        for row in levels.to_dict("records"):
            say(f"{row['series']}: commit to {row['level']:,.2f}")
        say(f"written: {out / 'commitment.csv'}")
    return EXIT_OK
