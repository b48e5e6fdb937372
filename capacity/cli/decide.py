"""``capacity decide``: record what a meeting decided about a plan."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from capacity.cli._common import AsOfOption, JsonOption, as_of, say, say_json
from capacity.errors import EXIT_OK, UsageError

if TYPE_CHECKING:
    from capacity.decisions import Decision
    from capacity.plan import Finding


def decide(
    plan_dir: Annotated[Path, typer.Argument(help="folder of the plan", show_default=False)],
    about: Annotated[
        int | None, typer.Option("--about", min=1, help="number of the finding, as this command lists them")
    ] = None,
    status: Annotated[str | None, typer.Option("--status", help="proposed, approved or rejected")] = None,
    author: Annotated[str | None, typer.Option("--author", help="who decides")] = None,
    reason: Annotated[str | None, typer.Option("--reason", help="why")] = None,
    as_json: JsonOption = False,
    as_of_text: AsOfOption = None,
) -> int:
    """What a plan asks to decide and what was decided; with --about, record a decision beside the plan.

    A decision is a file in PLAN_DIR/decisions, and none is ever written over: who changes their mind adds one.
    """
    from capacity import decisions, plan
    from capacity.report import decided

    found = plan.read(plan_dir)
    if as_of_text is not None and found.as_of > as_of(as_of_text):
        raise UsageError(
            f"{plan_dir}: the plan is as of {found.as_of:%Y-%m-%d %H:%M}Z, later than --as-of {as_of_text}"
        )
    asked = decided.to_decide(found)
    if about is None:
        if any(x is not None for x in (status, author, reason)):
            raise UsageError("--about: missing; allowed: the number of a finding, as `capacity decide PLAN_DIR` lists")
        _list(asked, decisions.read(plan_dir), as_json)
        return EXIT_OK
    if about > len(asked):
        raise UsageError(f"--about: found {about}; allowed: 1 to {len(asked)}, as `capacity decide {plan_dir}` lists")
    made = decisions.about(
        asked[about - 1],
        status or "proposed",  # type: ignore[arg-type]
        author or "",
        reason or "",
        at=datetime.now(UTC).replace(microsecond=0),
        as_of=found.as_of,
    )
    path = decisions.record(plan_dir, made)
    if as_json:
        say_json({"file": str(path), "status": made.status})
    else:
        say(f"{made.status}: {made.finding}")
        say(f"written: {path}")
    return EXIT_OK


def _list(asked: tuple[Finding, ...], taken: tuple[Decision, ...], as_json: bool) -> None:
    from capacity.report import decided

    rows: list[dict[str, Any]] = []
    for number, finding in enumerate(asked, start=1):
        last = decided.standing_of(finding, taken)
        rows.append({
            "number": number, "finding": finding.text, "severity": finding.severity, "by": finding.by,
            "status": last.status if last else "open", "author": last.author if last else "",
            "reason": last.reason if last else "",
        })  # fmt: skip
    if as_json:
        say_json(rows)
        return
    for row in rows:
        said = f" ({row['author']}: {row['reason']})" if row["author"] else ""
        say(f"{row['number']:>3}  [{row['status']}] {row['finding']}{said}")
    if not rows:
        say("nothing in this plan needs a decision")
