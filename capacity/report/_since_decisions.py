"""What became of the last plan's decisions: whether what was approved can be seen in what runs now."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from capacity import decisions
from capacity.charts import visible
from capacity.decisions import Decision, Subject
from capacity.plan import Finding, MixLine, Plan, UnitPlan
from capacity.report import decided
from capacity.report._table import Column, Table
from capacity.words import percent

# approved: seen in what runs, not seen, or nothing that a plan counts shows it.
Outcome = Literal["approved, seen", "approved, not seen", "approved, not to be seen", "rejected", "open", "undecided"]
OUTCOMES: tuple[Outcome, ...] = (
    "approved, not seen", "open", "undecided", "approved, seen", "approved, not to be seen", "rejected",
)  # fmt: skip
# The fleet has moved where at least this share of what was recommended is done.
LEAST_MOVED_FRAC = 0.5
# How a remedy asks for more of what runs.
_ADD = re.compile(r"\badd ([\d,]+) × ([\w.-]+)")


@dataclass(frozen=True)
class Followed:
    """A finding that the last plan asked to decide, what was decided, and what is seen of it."""

    finding: str
    where: str
    decision: Decision | None
    outcome: Outcome
    words: str


def followed(old: Plan, new: Plan, taken: Sequence[Decision], since: Sequence[Decision] = ()) -> list[Followed]:
    """Each decision that stood beside ``old``, and each finding of it that needed one and got none.

    Parameters
    ----------
    taken, since
        Decisions beside the old plan and beside the new one; one about the same thing made later replaces it.
    """
    standing, later = decisions.standing(taken), decisions.standing(since)
    asks = {_subject(f) for f in decided.to_decide(new)}
    found = [_followed(d, later.get(subject), old, new, asks) for subject, d in standing.items()]
    for finding in old.findings:
        subject = _subject(finding)
        if finding.severity == "act" and subject not in standing:
            found.append(_undecided(finding, later.get(subject), subject in asks))
            standing[subject] = found[-1].decision  # type: ignore[assignment]
    return sorted(found, key=lambda f: (OUTCOMES.index(f.outcome), f.where, f.finding))


def _subject(finding: Finding) -> Subject:
    return decisions.subject(finding.topic, finding.service, finding.region, finding.text)


def _undecided(finding: Finding, later: Decision | None, asked: bool) -> Followed:
    where = decided.where(finding.topic, finding.service, finding.region)
    if later is not None:
        words = f"decided since: {later.status} by {visible(later.author)}"
    else:
        words = "this plan asks for it again" if asked else "this plan does not ask for it any more"
    return Followed(visible(finding.text), where, None, "undecided", words)


def _followed(decision: Decision, later: Decision | None, old: Plan, new: Plan, asks: set[Subject]) -> Followed:
    where = decided.where(decision.topic, decision.service, decision.region)
    again = "this plan asks for it again" if decision.about in asks else "this plan does not ask for it any more"
    if decision.status == "rejected":
        outcome, words = "rejected", again
    elif decision.status == "proposed":
        outcome, words = "open", again
    else:
        outcome, words = _seen(decision, old, new)
        words = f"{words}; {again}"
    if later is not None and later.at > decision.at:
        words += f"; decided again since: {later.status} by {visible(later.author)}"
    return Followed(visible(decision.finding), where, decision, outcome, words)  # type: ignore[arg-type]


def _seen(decision: Decision, old: Plan, new: Plan) -> tuple[Outcome, str]:
    """Whether what was approved is to be seen in the new plan's limits and fleet."""
    pairs = _units(decision, old, new)
    raised = _limit(decision, pairs)
    if raised is not None:
        return raised
    if decision.topic not in ("mix", "order", "saturation") or not pairs:
        return "approved, not to be seen", "nothing that a plan counts shows it"
    return fleet_moved(pairs, f"{new.as_of:%Y-%m}")


def _units(decision: Decision, old: Plan, new: Plan) -> list[tuple[UnitPlan, UnitPlan]]:
    """(then, now) of the units that a decision is about: one, a service's, or all."""
    now = {u.unit: u for u in new.units}
    return [
        (u, now[u.unit])
        for u in old.units
        if u.unit in now
        and (not decision.service or u.service == decision.service)
        and (not decision.region or u.region == decision.region)
    ]


def _limit(decision: Decision, pairs: Sequence[tuple[UnitPlan, UnitPlan]]) -> tuple[Outcome, str] | None:
    """Of a limit that no instance moves, whether it is higher now; of what instances serve, whether those that were
    asked for are there. None where the decision is about neither, or they are not: the mix may have been taken instead.
    """
    if decision.topic not in ("saturation", "order") or len(pairs) != 1:
        return None
    then, now = pairs[0]
    named = [x for x in then.limits if f"passes {x.name} " in decision.finding]
    if not named:
        return None
    limit = max(named, key=lambda x: len(x.name))
    if limit.kind == "fleet":
        return _added(limit.remedy, then, now)
    today = next((x for x in now.limits if x.name == limit.name), None)
    if today is None:
        return "approved, seen", "the limit is gone"
    if today.limit > limit.limit:
        return "approved, seen", f"the limit is {percent(today.limit / limit.limit - 1)} higher"
    return "approved, not seen", "the limit is what it was"


def _added(remedy: str, then: UnitPlan, now: UnitPlan) -> tuple[Outcome, str] | None:
    """Whether at least half of the instances that a remedy asks for were added to the unit's fleet."""
    asked = _ADD.search(remedy)
    if asked is None:
        return None
    wanted, kind = int(asked[1].replace(",", "")), asked[2]
    more = _counts(now.running)[kind] - _counts(then.running)[kind]
    if wanted == 0 or more < LEAST_MOVED_FRAC * wanted:
        return None
    return "approved, seen", f"{more} × {visible(kind)} were added, {wanted} were asked for"


def fleet_moved(pairs: Iterable[tuple[UnitPlan, UnitPlan]], month: str) -> tuple[Outcome, str]:
    """How far what runs has moved to what the old plan recommended for ``month``.

    The way is counted in instances: of each unit and type, how many were to be added and to be taken away. What was
    done of it is the way then less the way that is left now, never below nothing.
    """
    whole = left = 0
    for then, now in pairs:
        wanted = _recommended(then, month)
        if wanted is None:
            continue
        whole += _way(_counts(then.running), wanted)
        left += _way(_counts(now.running), wanted)
    if whole == 0:
        return "approved, not to be seen", "what ran was what was recommended"
    done = 1 - left / whole
    if left == 0:
        return "approved, seen", "what runs is what was recommended"
    if done >= LEAST_MOVED_FRAC:
        return "approved, seen", f"{percent(done)} of the way to what was recommended is done"
    if done > 0:
        return "approved, not seen", f"only {percent(done)} of the way to what was recommended is done"
    return "approved, not seen", "what runs has not moved to what was recommended"


def _recommended(unit: UnitPlan, month: str) -> Counter[str] | None:
    """What was recommended for ``month``: of the months planned the last that is not after it, else the first."""
    months = sorted(m for m in unit.recommended if unit.recommended[m])
    if not months:
        return None
    return _counts(unit.recommended[max((m for m in months if m <= month), default=months[0])])


def _counts(lines: Iterable[MixLine]) -> Counter[str]:
    out: Counter[str] = Counter()
    for line in lines:
        out[line.instance_type] += line.instances
    return out


def _way(running: Counter[str], wanted: Counter[str]) -> int:
    return sum(abs(running[t] - wanted[t]) for t in running.keys() | wanted.keys())


def table(found: Sequence[Followed]) -> Table:
    """What became of each, what needs a look first."""
    rows = [
        (f.outcome, f.where, f.finding, f.words, f.decision.author if f.decision else None,
         f.decision.reason if f.decision else None, f.decision.at.date() if f.decision else None)
        for f in found
    ]  # fmt: skip
    columns = (
        Column("Outcome"), Column("About"), Column("What was asked then", "long"), Column("What is seen now", "long"),
        Column("By whom"), Column("Reason", "long"), Column("On", "date"),
    )  # fmt: skip
    return Table("Since last plan, decisions", columns, rows)
