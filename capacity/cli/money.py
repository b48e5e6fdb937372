"""``capacity cost`` and ``capacity commitments``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from capacity.cli._common import AsOfOption, ConfigOption, JsonOption, OutOption, as_of, progress, say, say_json
from capacity.errors import EXIT_OK

if TYPE_CHECKING:
    from capacity.pipeline import CostReport
    from capacity.pipeline.progress import Progress


def cost(
    config: ConfigOption,
    first: Annotated[
        str | None,
        typer.Option("--from", metavar="PERIOD", help="period the bridge starts from: 2026-08, 2026-Q3, 2026"),
    ] = None,
    last: Annotated[
        str | None, typer.Option("--to", metavar="PERIOD", help="period it ends at; the newest closed month")
    ] = None,
    plan_dir: Annotated[
        Path | None, typer.Option("--plan", help="folder of a plan: budgets, waste and unit cost to come are its")
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="write the review here: HTML, XLSX, CSV, FOCUS rows")
    ] = None,
    as_json: JsonOption = False,
    as_of_text: AsOfOption = None,
) -> int:
    """The FinOps review: cost to serve, adding up to the bill exactly, unit cost, commitments, anomalies, the bridge.

    With --plan also what looks ahead. With --out the review is written: review.html, review.xlsx, csv/ with a file a
    table, and allocated.csv and allocated.parquet, the bill by service in FOCUS columns.
    """
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
            plan_dir=plan_dir,
            progress=show,
        )
        written = _written(found, out, show) if out is not None else []
    if as_json:
        say_json(found.document())
        return EXIT_OK
    _print.cost(found)
    if written:
        tables = len(written) - len(("review.html", "review.xlsx", "allocated.csv", "allocated.parquet"))
        say(f"written: {out}: review.html, review.xlsx, allocated.csv, allocated.parquet, csv/ ({tables} tables)")
    return EXIT_OK


def _written(found: CostReport, out: Path, show: Progress) -> list[Path]:
    from capacity import report

    show("write the review", 0, 1)
    return report.write_review(found, out)


def commitments(
    demand: Annotated[Path, typer.Option("--demand", help="hourly CSV: series,ts,value", show_default=False)],
    rate: Annotated[float, typer.Option("--rate", help="committed price as a share of on demand, e.g. 0.72")],
    term_days: Annotated[int, typer.Option("--term-days", help="days the commitment runs")] = 365,
    out: OutOption = Path("."),
    as_json: JsonOption = False,
    as_of_text: AsOfOption = None,
) -> int:
    """How much to commit to, from hourly demand alone; no config needed.

    Writes OUT/commitment.csv (series, level) and OUT/commitment_outlook.csv: expected utilisation and coverage, the
    saving against on demand where demand comes as in its P10, P50 and P90, and the day from which it may end.
    """
    from capacity import pipeline

    until = as_of(as_of_text) if as_of_text else None
    found = pipeline.commitment_files(demand, out, rate=rate, term_days=term_days, as_of=until)
    rows = [{str(key): value for key, value in row.items()} for row in found.to_dict("records")]
    for row in rows:
        row["break_even_day"] = _whole(row["break_even_day"])
    if as_json:
        say_json(rows)
    else:
        for row in rows:
            say(_outlook_line(row))
        say(f"written: {out / 'commitment.csv'}, {out / 'commitment_outlook.csv'}")
    return EXIT_OK


def _whole(day: Any) -> int | None:
    """A cell of a column of whole numbers that may be missing."""
    return int(day) if day == day and day is not None else None


def _outlook_line(row: dict[str, Any]) -> str:
    day = row["break_even_day"]
    return (
        f"{row['series']}: commit to {row['level']:,.2f}; used {row['utilisation_frac']:.1%}, covers "
        f"{row['coverage_frac']:.1%}; saves {row['saving_p50_frac']:.1%} (P10 {row['saving_p10_frac']:.1%}, "
        f"P90 {row['saving_p90_frac']:.1%}); "
        + (f"paid for by day {day}" if day is not None else "not paid for within its term")
    )
