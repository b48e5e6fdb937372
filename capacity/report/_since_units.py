"""What two plans say of the same units: peaks and headroom, dates of limits, the fleet, and what a unit costs."""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import pandas as pd

from capacity.charts import unit_label, visible
from capacity.plan import LimitOutlook, MixLine, Plan, UnitPlan
from capacity.report._cells import known, records, text
from capacity.report._table import NEVER, Column, Table
from capacity.report.planned import partial_months
from capacity.words import day, month_names, plural

UnitKey = tuple[str, str]
_UNIT = Column("Service · region")
_MONTH = Column("Month", "month")
_AT = ["service", "region", "month"]


def days_of(values: pd.Series) -> pd.Series:
    """Days of a frame's times, whatever kind of time it keeps."""
    stamps = pd.to_datetime(values, utc=True)
    return pd.Series(stamps.dt.tz_localize(None).dt.normalize(), index=values.index)


def demand_days(plan: Plan, frame: str, columns: list[str]) -> pd.DataFrame:
    """service, region, day, month and ``columns`` of the daily peaks of each unit's own demand."""
    rows = plan.frame(frame)
    metrics = {(u.service, u.region, u.demand_metric) for u in plan.units}
    rows = rows[rows["target"] == "peak"]
    rows = among(rows, ("service", "region", "metric"), metrics)
    if rows.empty:
        return pd.DataFrame(columns=["service", "region", "day", "month", *columns])
    days = days_of(rows["ts"])
    months = month_names(pd.DatetimeIndex(days))
    found: pd.DataFrame = rows[["service", "region", *columns]].assign(day=days, month=months)
    return found


def among(rows: pd.DataFrame, columns: Sequence[str], keys: Container[tuple[str, ...]]) -> pd.DataFrame:
    """The rows whose cells of ``columns`` are one of ``keys``."""
    cells = zip(*(rows[c] for c in columns), strict=True)
    return rows[pd.Series([key in keys for key in cells], index=rows.index, dtype=bool)]


def comparable(old: Plan, new: Plan) -> dict[UnitKey, UnitPlan]:
    """Units of both plans whose demand is counted alike, as the new plan has them."""
    then = {(u.service, u.region): (u.demand_metric, u.demand_unit) for u in old.units}
    return {
        (u.service, u.region): u
        for u in new.units
        if then.get((u.service, u.region)) == (u.demand_metric, u.demand_unit)
    }


# --- peaks -----------------------------------------------------------------------------------------------------


def peak_months(old: Plan, new: Plan) -> pd.DataFrame:
    """service, region, month, q50_then, q50_now, q90_then, q90_now: the busiest of the days that both plans forecast.

    Of a month that one of them holds a part of, only the days that both have are looked at.
    """
    columns = ["q50", "q90"]
    then, now = (demand_days(plan, "forecast", columns) for plan in (old, new))
    both = then.merge(now, on=["service", "region", "day", "month"], suffixes=("_then", "_now"))
    both = among(both, ("service", "region"), comparable(old, new))
    values = [f"{q}_{at}" for q in columns for at in ("then", "now")]
    return both.groupby(_AT, sort=True)[values].max().reset_index()


def peaks(old: Plan, new: Plan) -> Table:
    """Each unit and month: P50 and P90 of its busiest day, and the headroom of what runs, then and now."""
    units, buffers = comparable(old, new), [_headroom(p) for p in (old, new)]
    rows = []
    for r in records(peak_months(old, new)):
        key = (str(r["service"]), str(r["region"]))
        measure = units[key].demand_unit
        values = [known(r[c]) for c in ("q50_then", "q50_now", "q90_then", "q90_now")]
        cells = [(v, measure) if v is not None else None for v in values]
        head = [b.get((*key, str(r["month"]))) for b in buffers]
        rows.append((unit_label(*key), str(r["month"]), *cells, change(values[2], values[3]), *head))
    columns = (
        _UNIT, _MONTH, Column("P50 then", "quantity"), Column("P50 now", "quantity"), Column("P90 then", "quantity"),
        Column("P90 now", "quantity"), Column("P90 moved", "percent1"), Column("Headroom then", "percent"),
        Column("Headroom now", "percent"),
    )  # fmt: skip
    note = (
        "P50 and P90 are those of the day for which they are largest, of the days that both plans forecast; the "
        "largest peak of a month lies above its days' P50s. Headroom: of what ran when the plan was made."
    )
    return Table("Since last plan, peaks", columns, rows, note=note)


def largest(table: Table) -> Table:
    """Of :func:`peaks`, each unit's month with the largest P90 now; what moved most first."""
    best: dict[str, tuple[Any, ...]] = {}
    for row in table.rows:
        kept = best.get(row[0])
        if row[5] is not None and (kept is None or row[5][0] > kept[5][0]):
            best[row[0]] = row
    rows = sorted(best.values(), key=lambda r: (-abs(r[6] or 0.0), r[0]))
    return Table(table.name, table.columns, rows, note=f"{table.note} The month with the largest P90 is shown.")


def change(then: float | None, now: float | None) -> float | None:
    """By which share ``now`` differs from ``then``; None where that has no meaning."""
    return None if then is None or now is None or not then > 0 else now / then - 1


def _headroom(plan: Plan) -> dict[tuple[str, str, str], float]:
    rows = records(plan.frame("headroom_months"))
    found = {(str(r["service"]), str(r["region"]), str(r["month"])): known(r["headroom_running_frac"]) for r in rows}
    return {key: value for key, value in found.items() if value is not None}


# --- dates -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class DateMove:
    """A limit whose dates are others than they were; None where one of the plans does not know it."""

    unit: UnitKey
    name: str
    then: LimitOutlook | None
    now: LimitOutlook | None
    earlier: bool
    words: str


def date_moves(old: Plan, new: Plan) -> list[DateMove]:
    """Limits whose dates moved, those that come earlier first, and of them the nearest."""
    then, now = (_limits(plan) for plan in (old, new))
    found = [
        DateMove((service, region), name, a, b, *_moved(a, b, old, new))
        for service, region, name in sorted(set(then) | set(now))
        for a, b in [(then.get((service, region, name)), now.get((service, region, name)))]
        if _days(a) != _days(b)
    ]
    return sorted(found, key=lambda m: (not m.earlier, m.now is None or m.now.p10 is None, _nearest(m)))


def _nearest(move: DateMove) -> date:
    there = [x.p10 for x in (move.now, move.then) if x is not None and x.p10 is not None]
    return there[0] if there else date.max


def dates(moves: Sequence[DateMove]) -> Table:
    """P10, P50, P90 and order-by dates, then and now."""
    rows = [(unit_label(*m.unit), visible(m.name), *_pairs(m.then, m.now), m.words) for m in moves]
    heads = [f"{name} {at}" for name in ("P10", "P50", "P90", "Order by") for at in ("then", "now")]
    # Paper is narrow: the P90 dates stand in the workbook.
    found = (Column(h, "date", NEVER, "sheet" if h.startswith("P90") else None) for h in heads)
    columns = (_UNIT, Column("Limit"), *found, Column("Moved", "long"))
    return Table("Since last plan, dates", columns, rows)


def _limits(plan: Plan) -> dict[tuple[str, str, str], LimitOutlook]:
    return {(u.service, u.region, x.name): x for u in plan.units for x in u.limits}


def _days(limit: LimitOutlook | None) -> tuple[date | None, ...]:
    return (limit.p10, limit.p50, limit.p90, limit.order_by) if limit is not None else (None,) * 4


def _pairs(then: LimitOutlook | None, now: LimitOutlook | None) -> Iterator[date | None]:
    for pair in zip(_days(then), _days(now), strict=True):
        yield from pair


def _moved(then: LimitOutlook | None, now: LimitOutlook | None, old: Plan, new: Plan) -> tuple[bool, str]:
    """Whether a limit comes earlier than it was said, and how it moved in words."""
    if then is None:
        return True, "a limit that the last plan did not know"
    if now is None:
        return False, "a limit that this plan does not know"
    raised = f"; the limit is {'higher' if now.limit > then.limit else 'lower'} now" if then.limit != now.limit else ""
    if then.p10 is None and now.p10 is not None:
        beyond = now.p10 > old.horizon_end
        return True, ("after the last plan's horizon" if beyond else "the last plan did not see it come") + raised
    if now.p10 is None and then.p10 is not None:
        return False, f"no longer by {day(new.horizon_end)}{raised}"
    days = (now.p10 - then.p10).days if now.p10 is not None and then.p10 is not None else 0
    if days == 0:
        return False, f"P10 as it was, P50, P90 or the lead time moved{raised}"
    return days < 0, f"{plural(abs(days), 'day')} {'earlier' if days < 0 else 'later'}{raised}"


# --- fleet -----------------------------------------------------------------------------------------------------


def whole_months(old: Plan, new: Plan) -> list[str]:
    """Months that both plans plan whole; of a month that a horizon cuts, one would hold days that the other has not."""
    months = [
        {str(m) for m in plan.frame("spend_plan")["month"]} | set(_recommended_months(plan)) for plan in (old, new)
    ]
    return sorted((months[0] & months[1]) - partial_months(old) - partial_months(new))


def _recommended_months(plan: Plan) -> Iterator[str]:
    for unit in plan.units:
        yield from unit.recommended


def fleet_months(old: Plan, new: Plan) -> Table:
    """Each unit and month that both plans plan whole: recommended instances and their money, for the workbook."""
    months = whole_months(old, new)
    money = [_planned(plan) for plan in (old, new)]
    lines = [{(u.service, u.region): u.recommended for u in plan.units} for plan in (old, new)]
    rows = []
    for service, region in sorted(set(lines[0]) & set(lines[1])):
        for month in months:
            mixes = [_instances(x[service, region].get(month, ())) for x in lines]
            paid = [m.get((service, region, month)) for m in money]
            if any(mixes) or any(p is not None for p in paid):
                rows.append((unit_label(service, region), month, *mixes, *paid, change(*paid)))
    unit = f", {new.currency}"
    columns = (
        _UNIT, _MONTH, Column("Recommended then", "long"), Column("Recommended now", "long"),
        Column(f"Planned then{unit}", "money"), Column(f"Planned now{unit}", "money"), Column("Moved", "percent1"),
    )  # fmt: skip
    return Table("Since last plan, fleet by month", columns, rows)


def fleet(old: Plan, new: Plan) -> Table:
    """Each unit: what ran and runs, what was and is recommended for the last of the months, the months' money."""
    months = whole_months(old, new)
    if not months:
        return Table("Since last plan, fleet", (_UNIT,), [])
    then, now = ({(u.service, u.region): u for u in plan.units} for plan in (old, new))
    money = [_planned(plan) for plan in (old, new)]
    rows: list[tuple[Any, ...]] = []
    for key in sorted(set(then) & set(now)):
        a, b = then[key], now[key]
        mixes = [_instances(u.recommended.get(months[-1], ())) for u in (a, b)]
        paid = [_sum(m.get((*key, month)) for month in months) for m in money]
        if any(mixes) or any(p is not None for p in paid):
            rows.append((unit_label(*key), _instances(a.running), _instances(b.running), *mixes, *paid, change(*paid)))
    rows.sort(key=lambda r: (-abs((r[6] or 0.0) - (r[5] or 0.0)), r[0]))
    span = months[0] if len(months) == 1 else f"{months[0]} to {months[-1]}"
    last, unit = months[-1], f", {new.currency}"
    columns = (
        _UNIT, Column("Ran then"), Column("Runs now"), Column(f"For {last}, then"),
        Column(f"For {last}, now"), Column(f"Planned then{unit}", "money"),
        Column(f"Planned now{unit}", "money"), Column("Moved", "percent1"),
    )  # fmt: skip
    note = f"Money of the recommended fleet in {span}, which both plans plan whole, each at the rates that it had."
    return Table("Since last plan, fleet", columns, rows, note=note)


def _planned(plan: Plan) -> Mapping[tuple[str, str, str], float]:
    rows = records(plan.frame("spend_plan"))
    found = {(text(r["service"]), text(r["region"]), str(r["month"])): known(r["total_usd"]) for r in rows}
    return {key: value for key, value in found.items() if value is not None}


def _sum(amounts: Iterable[float | None]) -> float | None:
    there = [x for x in amounts if x is not None]
    return sum(there) if there else None


def _instances(lines: Iterable[MixLine]) -> str:
    return " + ".join(f"{x.instances} × {visible(x.instance_type)}" for x in lines if x.instances)


# --- unit cost -------------------------------------------------------------------------------------------------


def unit_cost(old: Plan, new: Plan) -> Table:
    """Each service's cost of 1,000 units: newest closed month then and now, and what was said of the latter."""
    then, now = (_newest_cost(plan) for plan in (old, new))
    said = _said_cost(old)
    rows: list[tuple[Any, ...]] = []
    for service in sorted(set(then) & set(now)):
        (month_then, a), (month_now, b) = then[service], now[service]
        quantiles = said.get((service, month_now), (None,) * 3)
        rows.append((visible(service), month_then, a, month_now, b, change(a, b), *quantiles))
    rows.sort(key=lambda r: (-abs(r[5] or 0.0), r[0]))
    columns = (
        Column("Service"), Column("Month then", "month"), Column(f"Then, {new.currency}", "per"),
        Column("Month now", "month"), Column(f"Now, {new.currency}", "per"), Column("Moved", "percent1"),
        Column("Said for it, P10", "per"), Column("P50", "per"), Column("P90", "per"),
    )  # fmt: skip
    note = "Effective cost of 1,000 units of the service's own demand."
    return Table("Since last plan, unit cost", columns, rows, note=note)


def _newest_cost(plan: Plan) -> dict[str, tuple[str, float]]:
    frame = plan.frame("unit_cost")
    frame = frame[frame["currency"] == plan.currency]
    found: dict[str, tuple[str, float]] = {}
    for r in records(frame.sort_values("month", kind="stable")):
        if (value := known(r["usd_per_1000"])) is not None:
            found[str(r["service"])] = (str(r["month"]), value)
    return found


def _said_cost(plan: Plan) -> dict[tuple[str, str], tuple[float | None, ...]]:
    frame = plan.frame("unit_cost_forecast")
    frame = frame[(frame["level"] == "service") & (frame["currency"] == plan.currency)]
    return {
        (str(r["name"]), str(r["month"])): tuple(known(r[q]) for q in ("q10", "q50", "q90")) for r in records(frame)
    }
