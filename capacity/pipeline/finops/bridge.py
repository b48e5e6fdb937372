"""Why spend moved: between periods of the bill, from a plan to the bill that came, and between two plans."""

from __future__ import annotations

from decimal import Decimal, localcontext

import pandas as pd

from capacity import costs
from capacity.errors import MissingDataError, UsageError
from capacity.fiscal import CALENDAR, Calendar, Kind
from capacity.pipeline.drivers import own_units
from capacity.pipeline.finops.ground import Past
from capacity.pipeline.spend import rate_seconds
from capacity.plan import FRAMES, Plan

# Rows of a bridge that a plan's file keeps one by one; the others of a service are one row.
MOST_ROWS = 2000
OTHERS = "(others)"
_KEY = ("currency", "kind", "name", "provider_service", "sku", "charge")
_AMOUNTS = ("start", *costs.TERMS, "end")
_DAY_SECONDS = 86_400
_EXACT_DIGITS = 60


def past_bridges(past: Past) -> dict[str, pd.DataFrame]:
    """Frame ``bridge``: the newest closed month against the one before, and the newest whole quarter likewise.

    Months that are closed and have charges: what is billed in arrears has charges in a month before that of its bill.
    """
    bill = past.money.attribution
    charged = set(bill.months) if bill is not None else set()
    pairs = newest_pairs(tuple(m for m in past.money.months if m in charged), past.inputs.config.calendar)
    frames = [bridge_rows(found) for found in bridges_between(past, pairs)] if pairs else []
    columns = list(FRAMES["bridge"])
    return {"bridge": pd.concat(frames, ignore_index=True) if frames else pd.DataFrame(columns=columns)}


def newest_pairs(months: tuple[str, ...], calendar: Calendar = CALENDAR) -> list[tuple[costs.Period, costs.Period]]:
    """(before, newest) of months and of quarters, where both are whole in ``months`` (YYYY-MM, closed)."""
    known = set(months)
    out = []
    kinds: tuple[Kind, ...] = ("month", "quarter")
    for kind in kinds:
        if not months:
            continue
        last = pd.Period(months[-1], calendar.frequency(kind))
        # The newest month may be the first of its quarter: then the quarter before is the newest whole one.
        ends = [_period(last - back, kind, calendar) for back in (0, 1, 2)]
        whole = [set(p.months) <= known for p in ends]
        newest = next((k for k in (0, 1) if whole[k]), None)
        if newest is not None and whole[newest + 1]:
            out.append((ends[newest + 1], ends[newest]))
    return out


def _period(period: pd.Period, kind: Kind, calendar: Calendar) -> costs.Period:
    return costs.Period.parse(calendar.of(kind, f"{period.start_time:%Y-%m}"), calendar)


def bridge_between(past: Past, start: costs.Period, end: costs.Period) -> costs.Bridge:
    """The bridge between two periods of the bill, with what catalogue and bill know of SKUs.

    Raises
    ------
    MissingDataError
        There is no bill, or a month of the periods has none.
    """
    return bridges_between(past, [(start, end)])[0]


def bridges_between(past: Past, pairs: list[tuple[costs.Period, costs.Period]]) -> list[costs.Bridge]:
    """:func:`bridge_between` of several pairs."""
    both = past.money.attribution
    if both is None:
        raise MissingDataError("a bridge needs a bill: name one under 'sources' and ingest it")
    units, skus = own_units(past.inputs), skus_of(past)
    return [
        costs.bridge(both, both, (a, b), costs.period_units(units, a), costs.period_units(units, b), skus)
        for a, b in pairs
    ]


def skus_of(past: Past) -> dict[str, costs.Sku]:
    """Instance type, vCPU and region of the bill's SKUs."""
    return costs.skus_of(past.inputs.cost, {name: float(t.vcpu) for name, t in past.inputs.types.items()})


def bridge_rows(found: costs.Bridge, most: int = MOST_ROWS) -> pd.DataFrame:
    """A bridge as rows of plan frame ``bridge``: the ``most`` that moved most, and of the others a row a service."""
    rows = found.by(*_KEY)
    if len(rows) > most:
        with localcontext(prec=_EXACT_DIGITS):
            moved = rows[list(costs.TERMS)].map(abs).sum(axis=1)
            order = sorted(range(len(rows)), key=lambda i: (-moved.iloc[i], -abs(rows["end"].iloc[i]), i))
            kept, rest = sorted(order[:most]), sorted(order[most:])
            rows = pd.concat([rows.iloc[kept], _others(rows.iloc[rest])], ignore_index=True)
    return rows.assign(from_period=found.months[0], to_period=found.months[1])[list(FRAMES["bridge"])]


def _others(rows: pd.DataFrame) -> pd.DataFrame:
    keys = ["currency", "kind", "name"]
    sums = [
        (*key, "", OTHERS, "", *(sum(part[c], Decimal(0)) for c in _AMOUNTS))
        for key, part in rows.groupby(keys, sort=True)
    ]
    return pd.DataFrame(sums, columns=[*keys, "provider_service", "sku", "charge", *_AMOUNTS])


# --- plans -------------------------------------------------------------------------------------------------


def scenario_bridge(before: Plan, after: Plan) -> costs.Bridge:
    """Why one plan's total differs from another's, over the months that both have; :func:`costs.scenario_bridge`.

    Raises
    ------
    UsageError
        The plans are in different currencies.
    MissingDataError
        They have no month in common.
    """
    if before.currency != after.currency:
        raise UsageError(
            f"{before.scenario} is in {before.currency} and {after.scenario} in {after.currency}: plans in different "
            "currencies are not compared"
        )
    labels = (before.scenario, after.scenario)
    if labels[0] == labels[1]:
        labels = (f"{labels[0]} of {before.as_of:%Y-%m-%d}", f"{labels[1]} of {after.as_of:%Y-%m-%d}")
    return costs.scenario_bridge(before.frames, after.frames, before.currency, labels)


def scenario_words(before: Plan, after: Plan) -> tuple[str, ...]:
    """:func:`scenario_bridge` in sentences; none where the plans cannot be compared (an older plan has no total)."""
    try:
        return costs.bridge_words(scenario_bridge(before, after))
    except (MissingDataError, UsageError):
        return ()


def plan_actual(plan: Plan, past: Past, period: str | costs.Period) -> costs.Bridge:
    """Why the bill of a period is not what an earlier plan said of it; :func:`costs.plan_actual`.

    Raises
    ------
    MissingDataError
        There is no bill, or plan or bill do not cover the whole period.
    """
    both = past.money.attribution
    if both is None:
        raise MissingDataError("a comparison with the bill needs a bill: name one under 'sources' and ingest it")
    over = costs.Period.of(period)
    counted = costs.period_units(own_units(past.inputs), over)
    units = (planned_units(plan, over), counted)
    return costs.plan_actual(plan.frames, both, over, units, plan.currency, skus_of(past))


def planned_units(plan: Plan, period: costs.Period) -> dict[str, float]:
    """Driver units of a period by service: the medians of daily mean demand, times the days' seconds.

    A service that the plan does not forecast for every day of the period, in each of its regions, is left out.
    """
    rows = plan.frame("forecast")
    rows = rows[(rows["target"] == "mean") & (rows["metric"] != "effective_cost")]
    rows = rows[pd.to_datetime(rows["ts"]).dt.strftime("%Y-%m").isin(period.months)]
    out: dict[str, float] = {}
    short: set[str] = set()
    for (service, metric, _), part in rows.groupby(["service", "metric", "region"], sort=True):
        if len(part) < period.days:
            short.add(str(service))
        units = float(part["q50"].sum()) * _DAY_SECONDS / rate_seconds(str(metric))
        out[str(service)] = out.get(str(service), 0.0) + units
    return {service: units for service, units in out.items() if service not in short}
