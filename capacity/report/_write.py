"""From a plan's folder to its report's files."""

from __future__ import annotations

from pathlib import Path

from capacity import decisions
from capacity import plan as plans
from capacity.plan import Plan
from capacity.report._document import render_html
from capacity.report._workbook import write_workbook
from capacity.report.calendar import ics
from capacity.report.since import since


def write_report(plan_dir: Path, out: Path | None = None, against: Path | None = None) -> tuple[Path, Path]:
    """Write report.html, report.xlsx and order-dates.ics of the plan in ``plan_dir``; returns the first two's paths.

    Decisions beside the plan stand in it, scenarios in ``plan_dir``/scenarios stand beside it. A file is complete or
    not there: each is written next to its place and renamed.

    Parameters
    ----------
    out
        Folder to write to; ``plan_dir`` where absent.
    against
        Folder of the plan before: what it said of the same months, and what became of its decisions, stands in too.

    Raises
    ------
    MissingDataError, CorruptDataError
        There is no plan in ``plan_dir`` or ``against``, or it cannot be read.
    UsageError
        The plan before is of another company or currency, or no earlier one.
    """
    plan = plans.read(plan_dir)
    comparison, taken = _scenarios(plan_dir), decisions.read(plan_dir)
    before = None if against is None else since(plans.read(against), plan, decisions.read(against), taken)
    folder = out if out is not None else plan_dir
    folder.mkdir(parents=True, exist_ok=True)
    page, book = folder / "report.html", folder / "report.xlsx"
    partial = folder / "report.html.partial"
    partial.write_text(render_html(plan, comparison, taken, before), encoding="utf-8")
    partial.replace(page)
    partial = folder / "report.xlsx.partial"
    write_workbook(plan, partial, comparison, taken, before)
    partial.replace(book)
    # Its line ends are its own (CRLF), on every system.
    partial = folder / "order-dates.ics.partial"
    partial.write_bytes(ics(plan).encode())
    partial.replace(folder / "order-dates.ics")
    return page, book


def _scenarios(plan_dir: Path) -> list[Plan]:
    return [plans.read(path.parent) for path in sorted(plan_dir.glob("scenarios/*/plan.json"))]
