"""What was said of spend and demand, what came, and why this plan's money is not the last one's."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import pandas as pd

from capacity import costs
from capacity.charts import bridge_waterfall, unit_label
from capacity.costs.bridge import words as bridge_words
from capacity.errors import MissingDataError
from capacity.plan import Plan
from capacity.report import _pictures
from capacity.report._cells import known, records
from capacity.report._since_units import among, change, comparable, demand_days
from capacity.report._table import Column, Table
from capacity.report.frame_tables import frame_table
from capacity.report.planned import partial_months
from capacity.words import day

RUNNING = "running"
# An 80 % interval that is held to fewer days says nothing of its width.
LEAST_DAYS = 14
BILLED, AHEAD = "billed", "forecast"
# Of a promise that is stored: its last known day is at most so many days from the old plan's own day.
SAME_PLAN_DAYS = 7


# --- spend -----------------------------------------------------------------------------------------------------


def spend(old: Plan, new: Plan) -> Table:
    """Each month that the old plan spoke of: what it said, and what was billed or is said now."""
    billed = _billed(new)
    now = {m.month: m for m in new.spend if m.currency == new.currency}
    rows: list[tuple[Any, ...]] = []
    for said in (m for m in old.spend if m.currency == old.currency):
        budgets = [said.budget, now[said.month].budget if said.month in now else None]
        if said.month in billed:
            found: float | None = billed[said.month]
            state = "inside" if said.q10 <= billed[said.month] <= said.q90 else "outside"
            known_by = BILLED
        else:
            found = now[said.month].q50 if said.month in now else None
            state, known_by = "", AHEAD if said.month in now else ""
        cells = (said.q10, said.q50, said.q90, found, known_by, state, change(said.q50, found))
        rows.append((said.month, *cells, *(float(b) if b is not None else None for b in budgets)))
    unit = f", {new.currency}"
    columns = (
        Column("Month", "month"), Column(f"P10 then{unit}", "money"), Column(f"P50 then{unit}", "money"),
        Column(f"P90 then{unit}", "money"), Column(f"Now{unit}", "money", "not known"),
        Column("Which is", "status", ""), Column("Interval", "status", ""), Column("Off P50", "percent1"),
        Column(f"Budget then{unit}", "money"), Column(f"Budget now{unit}", "money"),
    )  # fmt: skip
    note = "Running spend, without tax, credits, refunds and one-off purchases."
    return Table("Since last plan, spend", columns, rows, note=note)


def _billed(plan: Plan) -> dict[str, float]:
    """Running spend of the months whose bill is closed, exactly added."""
    frame = plan.frame("spend_actual")
    closed = {c.month for c in plan.costs if c.currency == plan.currency}
    frame = frame[(frame["part"] == RUNNING) & (frame["currency"] == plan.currency) & frame["month"].isin(closed)]
    return {
        str(month): float(costs.exact_sum(Decimal(str(a)) for a in rows["amount"]))
        for month, rows in frame.groupby("month", sort=True)
    }


# --- demand that came ------------------------------------------------------------------------------------------


def stored_promises(old: Plan, new: Plan) -> pd.DataFrame:
    """Rows of the new plan's ``promise`` that are the old plan's own."""
    rows = new.frame("promise")
    if rows.empty:
        return rows
    made = pd.Timestamp(old.as_of).tz_localize(None)
    origins = pd.to_datetime(rows["origin_ts"], utc=True).dt.tz_localize(None)
    return rows[(made - origins).abs() <= pd.Timedelta(days=SAME_PLAN_DAYS)]


def came(old: Plan, new: Plan) -> Table:
    """Each unit and month of which days are over: the mean daily peak and the busiest day, said and seen; days inside.

    The mean is what P50 can be held to: the largest of many days lies above the largest of their P50s.
    """
    quantiles = ["q10", "q50", "q90"]
    said, seen = demand_days(old, "forecast", quantiles), demand_days(new, "history", ["value"])
    both = said.merge(seen, on=["service", "region", "day", "month"])
    both = both[both["value"].notna()]
    units = comparable(old, new)
    both = among(both, ("service", "region"), units)
    inside = (both["value"] >= both["q10"]) & (both["value"] <= both["q90"])
    both = both.assign(inside=inside.astype(float))
    rows: list[tuple[Any, ...]] = []
    for (service, region, month), part in both.groupby(["service", "region", "month"], sort=True):
        measure = units[str(service), str(region)].demand_unit
        mean = [float(part[c].mean()) for c in ("q50", "value")]
        busiest = [float(part[c].max()) for c in ("q90", "value")]
        share = float(part["inside"].mean()) if len(part) >= LEAST_DAYS else None
        rows.append((unit_label(service, region), str(month), len(part), *((v, measure) for v in mean), change(*mean),
                     *((v, measure) for v in busiest), share))  # fmt: skip
    rows.sort(key=lambda r: (r[-1] is None, r[-1] or 0.0, -abs(r[5] or 0.0)))
    columns = (
        Column("Service · region"), Column("Month", "month"), Column("Days", "number"),
        Column("Mean daily peak, P50 then", "quantity"), Column("It was", "quantity"), Column("Off P50", "percent1"),
        Column("Busiest day, P90 then", "quantity"), Column("Busiest day was", "quantity"),
        Column("Days inside", "percent"),
    )  # fmt: skip
    note = "The worst kept first. Days inside: whose peak lay between P10 and P90, where 8 of 10 should."
    return Table("Since last plan, what came", columns, rows, note=note)


def days_inside(table: Table) -> float | None:
    """The share of all days of :func:`came` whose peak lay inside; None where they are too few."""
    judged = [(r[2], r[-1]) for r in table.rows if r[-1] is not None]
    return sum(n * share for n, share in judged) / sum(n for n, _ in judged) if judged else None


# --- why the money moved ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Moved:
    """The bridge between two plans' money of the same months: in sentences, as a table, drawn."""

    months: tuple[str, ...]
    words: tuple[str, ...]
    table: Table
    picture: _pictures.Picture


def moved(old: Plan, new: Plan) -> Moved | None:
    """Why the months that both plans hold whole cost otherwise; None where there is no such month."""
    cut = partial_months(old) | partial_months(new)
    frames = [{name: _without(frame, cut) for name, frame in plan.frames.items()} for plan in (old, new)]
    labels = (f"the plan of {day(old.as_of.date())}", "this plan")
    try:
        found = costs.scenario_bridge(frames[0], frames[1], new.currency, labels)
    except MissingDataError:
        return None
    months = tuple(sorted(_money_months(frames[0]) & _money_months(frames[1])))
    rows = found.by_service()
    span = months[0] if len(months) == 1 else f"{months[0]} to {months[-1]}"
    caption = f"The plan's money of {span}: from {labels[0]} to {labels[1]}, term by term in their fixed order."
    drawn = _pictures.picture(bridge_waterfall(rows, "light", labels, new.currency), caption)
    return Moved(months, bridge_words(found), frame_table("Since last plan, why", rows), drawn)


def _without(frame: pd.DataFrame, months: set[str]) -> pd.DataFrame:
    return frame[~frame["month"].astype(str).isin(months)] if months and "month" in frame.columns else frame


def _money_months(frames: dict[str, pd.DataFrame]) -> set[str]:
    """Months that a plan says money of, as the bridge takes them."""
    for name in ("plan_total", "spend_plan", "spend_forecast"):
        if len(frame := frames.get(name, pd.DataFrame())):
            return {str(m) for m in frame["month"]}
    return set()


def total_change(found: Moved) -> tuple[Decimal, Decimal]:
    """(then, now): the money of the months in both plans."""
    heads = [c.head for c in found.table.columns]
    start, end = (costs.exact_sum(r[heads.index(h)] for r in found.table.rows) for h in ("Start", "End"))
    return start, end


def promised_rows(rows: pd.DataFrame) -> tuple[int, int]:
    """(judged, inside) of stored promises."""
    judged = [r for r in records(rows) if known(r["covered"]) is not None]
    return len(judged), sum(bool(r["covered"]) for r in judged)
