"""What was decided, beside what there is to decide: for report, page and command alike."""

from __future__ import annotations

from collections.abc import Sequence

from capacity import decisions
from capacity.charts import unit_label, visible
from capacity.decisions import Decision
from capacity.plan import Finding, Plan
from capacity.report._sections import Section
from capacity.report._table import Column, Table

NOTHING = "Nothing was decided yet."


def to_decide(plan: Plan) -> tuple[Finding, ...]:
    """Findings that somebody can decide on, in the plan's order."""
    return tuple(f for f in plan.findings if f.severity in ("act", "watch"))


def where(topic: str, service: str, region: str) -> str:
    """What a decision is about in a few words: search · us-east-1, order."""
    unit = unit_label(service, region) if region else visible(service)
    return f"{unit}, {topic}" if unit else topic


def standing_of(finding: Finding, taken: Sequence[Decision]) -> Decision | None:
    """The newest decision about ``finding``, by what it is about: its words are others in every plan."""
    found = decisions.subject(finding.topic, finding.service, finding.region, finding.text)
    return decisions.standing(taken).get(found)


def table(taken: Sequence[Decision]) -> Table:
    """Every decision, the newest first; those that a later one replaced say so."""
    standing = {d.id for d in decisions.standing(taken).values()}
    rows = [
        (d.at.date(), d.status if d.id in standing else f"{d.status}, replaced", where(d.topic, d.service, d.region),
         d.finding, d.reason, d.author, d.by)
        for d in sorted(taken, key=lambda d: (d.at, d.id), reverse=True)
    ]  # fmt: skip
    columns = (
        Column("On", "date"), Column("Status"), Column("About"), Column("Finding", "long"), Column("Reason", "long"),
        Column("By whom"), Column("Was due", "date"),
    )  # fmt: skip
    return Table("Decisions taken", columns, rows)


def sections(taken: Sequence[Decision]) -> list[Section]:
    """The section of the report; none where nothing was decided."""
    if not taken:
        return []
    lead = "Each is a file beside the plan; who changes their mind adds one, and the newest about the same thing holds."
    return [Section("decided", "Decisions taken", lead, [table(taken)])]
