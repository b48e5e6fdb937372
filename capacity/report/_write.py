"""From a plan's folder to its report's files."""

from __future__ import annotations

from pathlib import Path

from capacity import plan as plans
from capacity.plan import Plan
from capacity.report._document import render_html
from capacity.report._workbook import write_workbook


def write_report(plan_dir: Path, out: Path | None = None) -> tuple[Path, Path]:
    """Write report.html and report.xlsx of the plan in ``plan_dir``; returns their paths.

    Scenarios in ``plan_dir``/scenarios stand beside it. A file is complete or not there: each is written next to its
    place and renamed.

    Parameters
    ----------
    out
        Folder to write to; ``plan_dir`` where absent.

    Raises
    ------
    MissingDataError, CorruptDataError
        There is no plan in ``plan_dir``, or it cannot be read.
    """
    plan = plans.read(plan_dir)
    comparison = _scenarios(plan_dir)
    folder = out if out is not None else plan_dir
    folder.mkdir(parents=True, exist_ok=True)
    page, book = folder / "report.html", folder / "report.xlsx"
    partial = folder / "report.html.partial"
    partial.write_text(render_html(plan, comparison), encoding="utf-8")
    partial.replace(page)
    partial = folder / "report.xlsx.partial"
    write_workbook(plan, partial, comparison)
    partial.replace(book)
    return page, book


def _scenarios(plan_dir: Path) -> list[Plan]:
    return [plans.read(path.parent) for path in sorted(plan_dir.glob("scenarios/*/plan.json"))]
