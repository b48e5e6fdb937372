"""Tables of a peak event's check: what does not hold and why, what to do by when, and every verdict."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime

import pandas as pd

from capacity.charts import unit_label, visible
from capacity.domain import EventVerdict, PreScale, Remedy, Unit
from capacity.plan import EventSummary
from capacity.report._table import Column, Table, sentence
from capacity.words import day, plural, quantity

_UNIT = Column("Service · region")
# How the check leads a reason that is no reason for its verdict.
CAUTION = "caution:"
# How the check says of a limit that it does not hold.
_FAILS = " exceeds the limit "
_MOST_FAILING = 2
# Of a service that was not asked about: requests.
_REQUESTS = "1/s"


@dataclass(frozen=True)
class Checked:
    """A peak event's check, and of whom and when it is.

    Attributes
    ----------
    measures
        Unit of each planning unit's demand; requests a second where absent.
    review
        Of an event that is over: plan frame ``event_review``, what was said before it against what came.
    """

    company: str
    as_of: datetime
    event: EventSummary
    measures: Mapping[Unit, str] = field(default_factory=dict)
    review: pd.DataFrame | None = field(default=None, compare=False)

    @property
    def refused(self) -> tuple[EventVerdict, ...]:
        """What does not hold: what must be decided first on top, then the least sure."""
        return tuple(sorted((v for v in self.event.verdicts if not v.go), key=_urgent))

    @property
    def holding(self) -> tuple[EventVerdict, ...]:
        """What holds, the least sure first."""
        return tuple(sorted((v for v in self.event.verdicts if v.go), key=lambda v: (v.probability_holds, v.unit)))

    def measured(self, unit: Unit, value: float) -> tuple[float, str]:
        return value, self.measures.get(unit, _REQUESTS)


def _urgent(v: EventVerdict) -> tuple[date, float, Unit]:
    return first_by(v) or date.min, v.probability_holds, v.unit


def first_by(verdict: EventVerdict) -> date | None:
    """The last day of what has to be decided first."""
    return min((r.by for r in verdict.remedies), default=None)


def label(verdict: EventVerdict) -> str:
    return unit_label(verdict.unit.service, verdict.unit.region)


# --- the first sheet ---------------------------------------------------------------------------------------------


def not_holding(checked: Checked) -> Table:
    """Every NO-GO with its first reason, and what to do by when; the money is that of running what is missing."""
    rows = [
        (label(v), v.probability_holds, failing(v) or None, sentence(steps(v)) or None,
         None if v.prescale is None else v.prescale.usd)
        for v in checked.refused
    ]  # fmt: skip
    columns = (
        _UNIT, Column("P(holds)", "percent1"), Column("Why it does not hold", "long"),
        Column("What to do", "long", "find out first"), Column("USD", "money", "not known"),
    )  # fmt: skip
    return Table("Does not hold", columns, rows)


def failing(verdict: EventVerdict) -> str:
    """The first reason, which is one that fails, and a limit that fails beside it."""
    more = [r for r in verdict.reasons[1:] if _FAILS in r]
    return " ".join(sentence(r) for r in [*verdict.reasons[:1], *more[: _MOST_FAILING - 1]])


def steps(verdict: EventVerdict) -> str:
    """What to do, by date, in few words: quota L-1216C47A to 480 vCPU by 5 Nov 2026 (21 days); run 74 instances ..."""
    by_day: dict[tuple[date, int, bool], list[str]] = {}
    for r in sorted(verdict.remedies, key=lambda r: (r.by, r.lead_time_days)):
        by_day.setdefault((r.by, r.lead_time_days, r.overdue), []).append(_short(r, verdict.prescale))
    return "; ".join(
        f"{', '.join(found)} by {day(by)} ({plural(days, 'day')}{', overdue' if late else ''})"
        for (by, days, late), found in by_day.items()
    )


def _short(remedy: Remedy, plan: PreScale | None) -> str:
    match remedy.kind:
        case "prescale" if plan is not None:
            return f"run {plan.instances_to:,} instances (now {plan.instances_from:,}) from {_hours(plan)}"
        case "group_maximum" if remedy.amount is not None:
            return f"group maximum to {remedy.amount:,.0f}"
        case "reservation" if remedy.amount is not None:
            return f"reserve the {remedy.amount:,.0f} more"
        case "quota" if remedy.amount is not None:
            return f"quota {visible(remedy.code)} to {remedy.amount:,.0f} vCPU"
        case _:
            return visible(remedy.action.split(" (overdue by ")[0])


def _hours(plan: PreScale) -> str:
    return f"{plan.at:%d %b %H:%M} to {plan.until:%d %b %H:%M} UTC"


# --- behind it ---------------------------------------------------------------------------------------------------


def todo(checked: Checked) -> Table:
    """Every remedy, by date."""
    found = [(r, v) for v in checked.event.verdicts for r in v.remedies]
    found.sort(key=lambda f: (f[0].by, f[0].lead_time_days, f[1].unit, f[0].action))
    rows = [
        (r.by, "overdue" if r.overdue else "open", r.lead_time_days, label(v), r.kind.replace("_", " ") or None,
         r.action, r.usd)
        for r, v in found
    ]  # fmt: skip
    columns = (
        Column("By", "date"), Column("State", "status"), Column("Days ahead", "number"), _UNIT,
        Column("Kind", only="sheet"), Column("What to do", "long"), Column("USD", "money"),
    )  # fmt: skip
    return Table("What to do", columns, rows)


def prescaling(checked: Checked) -> Table:
    """Instances to have before the ramp: how many, from when until when, and what they cost."""
    rows = [
        (label(v), p.instances_from, p.instances_to, _minute(p.at), _minute(p.until),
         checked.measured(v.unit, p.safe), p.usd)
        for v in checked.refused
        if (p := v.prescale) is not None
    ]  # fmt: skip
    columns = (
        _UNIT, Column("Runs now", "number"), Column("Run", "number"), Column("At, UTC", "status"),
        Column("Back down at, UTC", "status"), Column("Safe then", "quantity"), Column("USD", "money", "not known"),
    )  # fmt: skip
    return Table("Pre-scale", columns, rows)


def _minute(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M}"


def answers(checked: Checked) -> Table:
    """Every verdict with its figures, NO-GO first."""
    rows = [
        (label(v), "GO" if v.go else "NO-GO", v.probability_holds, v.multiplier, checked.measured(v.unit, v.before_p50),
         *(checked.measured(v.unit, x) for x in (v.demand_p50, v.demand_p95, v.safe_now, v.safe_at_group_maximum)),
         "; ".join(visible(u) for u in v.propagated_from) or None)
        for v in (*checked.refused, *checked.holding)
    ]  # fmt: skip
    columns = (
        _UNIT, Column("Verdict", "status"), Column("P(holds)", "percent1"), Column("Times normal", "ratio"),
        Column("P50 without it", "quantity"), Column("P50", "quantity"), Column("P95", "quantity"),
        Column("Safe now", "quantity"), Column("Safe at maximum", "quantity"),
        Column("Comes from", "long", only="sheet"),
    )  # fmt: skip
    return Table("Answers", columns, rows)


def reasons(checked: Checked) -> Table:
    """Every reason of every verdict, a row each: what fails comes first."""
    rows = [
        (label(v), "GO" if v.go else "NO-GO", sentence(r))
        for v in (*checked.refused, *checked.holding)
        for r in v.reasons
    ]
    return Table("Reasons", (_UNIT, Column("Verdict", "status"), Column("Reason", "long")), rows)


def why(checked: Checked) -> Table:
    """The reasons for the page, a row a service; cautions are counted on the first sheet."""
    rows = [
        (label(v), "GO" if v.go else "NO-GO", " ".join(sentence(r) for r in v.reasons if not r.startswith(CAUTION)))
        for v in (*checked.refused, *checked.holding)
    ]
    return Table("Reasons", (_UNIT, Column("Verdict", "status"), Column("Reasons", "long")), rows)


def flows(checked: Checked) -> Table:
    """What the event adds from service to service."""
    found = checked.event.flows
    rows = [
        (visible(f.caller), visible(f.callee), f.per_request, checked.measured(f.callee, f.p50),
         checked.measured(f.callee, f.p95))
        for f in found
    ]  # fmt: skip
    columns = (
        Column("From"), Column("To"), Column("Calls for each request more", "ratio"), Column("Adds P50", "quantity"),
        Column("Adds P95", "quantity"),
    )  # fmt: skip
    return Table("Calls", columns, rows)


def sheets(checked: Checked) -> list[Table]:
    """The workbook's tables behind its first one; those without a row are left out."""
    made: Sequence[Table] = (
        not_holding(checked), todo(checked), prescaling(checked), answers(checked), reasons(checked), flows(checked)
    )  # fmt: skip
    return [t for t in made if t.rows]


def spoken(checked: Checked, verdict: EventVerdict, value: float) -> str:
    """A figure of a verdict with its unit."""
    number, measure = checked.measured(verdict.unit, value)
    return quantity(number, measure)
