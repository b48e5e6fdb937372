"""Months, quarters and years of spend against budgets, for a company, its teams and its services.

A period is what was billed of it, exactly, and joint futures of the rest added path by path. Its interval is widened
about its median by what past origins show (:mod:`capacity.costs.spend_past`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Literal, NamedTuple

import numpy as np
import pandas as pd

from capacity import words
from capacity.costs._money import EXACT
from capacity.costs.spend_past import Group, Owner, Widths
from capacity.domain import Floats
from capacity.fiscal import CALENDAR, KINDS, Calendar, Kind

Includes = Literal["running", "all"]
# Days that a run rate is of: whole weeks, so that no weekday counts twice.
RUN_RATE_DAYS, RUN_RATE_WEEK = 28, 7
# A factor nearer to 1 than this is not worth a word.
WIDER_TOLD = 1.05
_DAY = pd.Timedelta(days=1)
RUNNING_BASIS = "running spend, without tax, credits, refunds and one-off purchases"
ALL_BASIS = (
    "all that is billed: running spend with tax, credits, refunds and one-off purchases, as billed and as assumed"
)


class Beside(NamedTuple):
    """Tax, credits, refunds and one-off purchases of a month: billed so far, and assumed of the rest."""

    billed: Decimal
    assumed: float


class Budget(NamedTuple):
    """What may be spent, and what it is meant for."""

    amount: Decimal
    includes: Includes = "running"


class OutlookRow(NamedTuple):
    """One group and period; amounts of ``currency``. ``actual`` is billed, the quantiles are of the whole period.

    ``run_rate`` is the mean day of the last four weeks (``run_rate_7`` of the last) times the period's days;
    ``projected`` what was billed and, for each day that is not billed of a member, its mean day. ``p_over`` is None
    without a budget, or where not every day of the period is known or forecast. ``width_factor`` is what the interval
    was widened by.
    """

    level: str
    name: str
    period_kind: Kind
    period: str
    currency: str
    actual: Decimal
    q10: float
    q50: float
    q90: float
    run_rate: float
    projected: float
    budget: Decimal | None
    p_over: float | None
    share_actual_frac: float
    complete: bool
    basis: str
    run_rate_7: float
    width_factor: float


@dataclass(frozen=True)
class Outlook:
    """A group's coming spend.

    Attributes
    ----------
    months
        Month (2026-10) -> (P,) futures of its days that have to be forecast.
    first, last
        First and last day that is forecast of any member.
    begin
        First day of the company's bill.
    mean, mean_week
        Mean day of the last 28 and 7 days that each member has whole.
    members_from
        First day that is forecast of each member, and its mean day: some are billed further than others.
    """

    level: str
    name: str
    members: frozenset[str]
    months: Mapping[str, Floats]
    first: pd.Timestamp
    last: pd.Timestamp
    begin: pd.Timestamp
    mean: float
    mean_week: float
    members_from: tuple[tuple[pd.Timestamp, float], ...]
    factors: Mapping[str, float] = field(default_factory=dict)

    @property
    def billed_to(self) -> tuple[pd.Timestamp, pd.Timestamp]:
        """Last day that is billed of the member billed furthest, and of the one billed least."""
        firsts = [first for first, _ in self.members_from]
        return max(firsts) - _DAY, min(firsts) - _DAY

    def at_mean_days(self, period: pd.Period) -> float:
        """What the days of ``period`` that are not billed of each member come to at its mean day."""
        start, end = period.start_time, period.end_time.normalize()
        return sum(mean * max(0, (end - max(first, start)).days + 1) for first, mean in self.members_from)

    def rest(self, months: Sequence[str]) -> tuple[Floats, float]:
        """(P,) widened futures of what has to be forecast of ``months``, and what they were widened by."""
        parts = [self.months[m] for m in months if m in self.months]
        if not parts:
            return np.zeros(len(next(iter(self.months.values())))), 1.0
        spans = [float(np.subtract(*np.quantile(p, (0.9, 0.1)))) for p in parts]
        factor = combined_width([self.factors.get(m, 1.0) for m in months if m in self.months], spans)
        return widened(np.sum(parts, axis=0), factor), factor


def combined_width(factors: Sequence[float], spans: Sequence[float]) -> float:
    """The factor of a sum of months: their own, weighed by how wide each month is."""
    whole = sum(spans)
    return sum(f * s for f, s in zip(factors, spans, strict=True)) / whole if whole > 0 else 1.0


def widened(values: Floats, factor: float, middle: float | None = None) -> Floats:
    """``values`` drawn away from their median (or ``middle``) by ``factor``; never below zero where none was."""
    at = float(np.median(values)) if middle is None else middle
    out = at + factor * (values - at)
    return np.asarray(np.maximum(out, 0.0) if bool((values >= 0).all()) else out)


# --- groups --------------------------------------------------------------------------------------------------


def groups_of(owners: Sequence[Owner], company: str) -> dict[Group, list[Owner]]:
    """(level, name) -> members: the company, then its teams, then its services, by name."""
    out: dict[Group, list[Owner]] = {("company", company): list(owners)}
    keys: tuple[tuple[str, Callable[[Owner], str]], ...] = (("team", lambda o: o.team), ("service", lambda o: o.name))
    for level, key in keys:
        for owner in sorted(owners, key=key):
            out.setdefault((level, key(owner)), []).append(owner)
    return out


def outlooks(groups: Mapping[Group, Sequence[Owner]], widths: Widths) -> Iterator[Outlook]:
    """Each group's coming months, its members' futures added path by path."""
    everyone = {o.name: o for members in groups.values() for o in members}
    if not everyone:
        return
    last = min(o.ahead.index[-1] for o in everyone.values())
    begin = min(o.known.index[0] for o in everyone.values())
    futures = {name: _futures(o, last) for name, o in everyone.items()}
    means = {name: (_mean(o.known, RUN_RATE_DAYS), _mean(o.known, RUN_RATE_WEEK)) for name, o in everyone.items()}
    for (level, name), members in groups.items():
        months = sorted({m for o in members for m in futures[o.name]})
        added = {m: np.sum([futures[o.name][m] for o in members if m in futures[o.name]], axis=0) for m in months}
        first = min(o.ahead.index[0] for o in members)
        known = (first - _DAY).to_period("M")
        factors = {m: widths.of(level, name, (pd.Period(m, "M") - known).n) for m in months}
        mean, week = (sum(means[o.name][i] for o in members) for i in (0, 1))
        starts = tuple((o.ahead.index[0], means[o.name][0]) for o in members)
        yield Outlook(
            level, name, frozenset(o.name for o in members), added, first, last, begin, mean, week, starts, factors
        )  # fmt: skip


def _futures(owner: Owner, last: pd.Timestamp) -> dict[str, Floats]:
    """Month -> (P,) sums of the days that are forecast, up to ``last``."""
    index = owner.ahead.index
    names = index.strftime("%Y-%m").to_numpy()
    inside = np.asarray(index <= last)
    return {
        month: owner.ahead.paths[:, inside & (names == month)].sum(axis=1, dtype=np.float64)
        for month in sorted(set(names[inside]))
    }


def _mean(known: pd.Series, days: int) -> float:
    return float(known.iloc[-days:].mean()) if len(known) else 0.0


# --- periods -------------------------------------------------------------------------------------------------


def outlook_rows(
    one: Outlook,
    currency: str,
    billed: Mapping[str, Decimal],
    budgets: Mapping[tuple[Kind, str], Budget],
    added: Mapping[str, float],
    beside: Mapping[str, Beside],
    calendar: Calendar = CALENDAR,
) -> Iterator[OutlookRow]:
    """The group's periods, from the one in progress on: months and quarters that are known or forecast to their last
    day (or have a budget), and every year that is begun within the horizon.

    Parameters
    ----------
    billed
        Month -> running spend of the group up to each member's last whole day.
    budgets
        (kind, period) -> the group's budget; quarters and years as ``calendar`` calls them.
    added
        Month -> money that a scenario adds to the running spend.
    beside
        Month -> what stands beside the running spend; looked at only for a budget of all that is billed.
    """
    for kind in KINDS:
        for period in pd.period_range(one.first, one.last, freq=calendar.frequency(kind)):
            name = calendar.of(kind, f"{period.start_time:%Y-%m}")
            budget = budgets.get((kind, name))
            complete = _is_complete(one, period)
            if complete or budget is not None or kind == "year":
                yield _row(one, kind, name, period, currency, billed, budget, added, beside, complete)


def _is_complete(one: Outlook, period: pd.Period) -> bool:
    return bool(period.start_time >= one.begin and period.end_time.normalize() <= one.last)


def _row(
    one: Outlook,
    kind: Kind,
    name: str,
    period: pd.Period,
    currency: str,
    billed: Mapping[str, Decimal],
    budget: Budget | None,
    added: Mapping[str, float],
    beside: Mapping[str, Beside],
    complete: bool,
) -> OutlookRow:
    months = [str(m) for m in pd.period_range(period.start_time, period.end_time, freq="M")]
    whole = budget is not None and budget.includes == "all"
    actual = exact_sum(billed[m] for m in months if m in billed)
    more = sum(added.get(m, 0.0) for m in months)
    if whole:
        actual = exact_sum([actual, *(beside[m].billed for m in months if m in beside)])
        more += sum(beside[m].assumed for m in months if m in beside)
    rest, factor = one.rest(months)
    totals = rest + float(actual) + more
    q10, q50, q90 = (float(q) for q in np.quantile(totals, (0.1, 0.5, 0.9)))
    over = float(np.mean(totals > float(budget.amount))) if budget is not None and complete else None
    days = (period.end_time.normalize() - period.start_time).days + 1
    return OutlookRow(
        level=one.level, name=one.name, period_kind=kind, period=name, currency=currency,
        actual=actual, q10=q10, q50=q50, q90=q90,
        run_rate=one.mean * days, projected=float(actual) + one.at_mean_days(period),
        budget=budget.amount if budget is not None else None, p_over=over,
        share_actual_frac=min(1.0, max(0.0, float(actual) / q50)) if q50 > 0 else 0.0,
        complete=complete, basis=_basis(one, period, whole, factor, bool(actual)),
        run_rate_7=one.mean_week * days, width_factor=factor,
    )  # fmt: skip


def exact_sum(amounts: Iterable[Decimal]) -> Decimal:
    """Decimals added without rounding; nothing comes to zero."""
    total = Decimal(0)
    for amount in amounts:
        total = EXACT.add(total, amount)
    return total


def _basis(one: Outlook, period: pd.Period, whole: bool, factor: float, begun: bool) -> str:
    """What the amounts include, which days are billed and which are forecast."""
    parts = [ALL_BASIS if whole else RUNNING_BASIS]
    start, end = period.start_time, period.end_time.normalize()
    if start < one.begin:
        parts.append(f"the bill begins on {words.day(one.begin.date())}")
    furthest, least = one.billed_to
    if begun and furthest >= start:
        others = f" (some services to {words.day(least.date())})" if least < furthest else ""
        parts.append(f"billed to {words.day(min(furthest, end).date())}{others}, forecast from then on")
    else:
        parts.append("all of it forecast")
    if end > one.last:
        parts.append(f"forecast to {words.day(one.last.date())} only")
    if factor > WIDER_TOLD:
        parts.append(f"the interval is {words.times(factor)} the forecast's own, which past months missed too often")
    return "; ".join(parts)
