"""Plans as the tables that pages show: chosen, sorted and put into words, never computed anew.

Each function returns a frame whose column names are the headings. Text from data passes through
:func:`capacity.ui._format.visible`. Money stays a number, so that a reader can sort by it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date
from typing import Any

import pandas as pd

from capacity.domain import EventVerdict
from capacity.plan import EventSummary, Finding, LimitOutlook, Plan, UnitPlan
from capacity.scenario import ScenarioRow, UnitCostRow
from capacity.ui import _format as fmt
from capacity.words import unique

# What is not in the plan sorts last.
_LATE = date.max
AT_STAKE = (
    "At stake: what serving the coming quarter's demand (P50) costs at the unit cost of the newest closed month. It "
    "says how much the company puts into the service, and is no estimate of what an outage would lose."
)


def decisions(units: Iterable[UnitPlan], at_stake: pd.DataFrame | None = None) -> pd.DataFrame:
    """Limits that are passed within the horizon: overdue orders first, then by risk, then by order-by date.

    Risk is the chance within a quarter times the money at stake, where ``at_stake`` (the plan's frame) knows both, else
    the chance within the horizon.
    """
    stakes = _stakes(at_stake)
    pairs = [(u, x) for u in units for x in u.limits if x.p10 is not None or x.overdue]
    rows = [_decision(u, x, stakes.get((u.service, u.region, x.name), {})) for u, x in pairs]
    rows.sort(key=_urgency)
    return _frame(rows, ("Service", "Tier", "Limit", "In a quarter", "At stake", "Risk × money", "P10 date",
                         "P50 date", "P90 date", "Order by", "Status", "Remedy", "Chance"))  # fmt: skip


def _stakes(frame: pd.DataFrame | None) -> dict[tuple[str, str, str], dict[Any, Any]]:
    if frame is None:
        return {}
    return {(str(r["service"]), str(r["region"]), str(r["limit_name"])): r for r in frame.to_dict("records")}


def _decision(u: UnitPlan, x: LimitOutlook, stake: Mapping[Any, Any]) -> dict[str, Any]:
    chance, money, weighed = (_known(stake.get(c)) for c in ("probability", "money", "weighed"))
    return {
        "Service": fmt.visible(str(u.unit)),
        "Tier": fmt.visible(u.tier),
        "Limit": fmt.visible(x.name),
        "In a quarter": _rounded(chance),
        "At stake": money,
        "Risk × money": weighed,
        "P10 date": x.p10,
        "P50 date": x.p50,
        "P90 date": x.p90,
        "Order by": x.order_by,
        "Status": "Overdue" if x.overdue else "Due",
        "Remedy": fmt.visible(x.remedy),
        "Chance": round(x.within_horizon, 2),
    }


def _urgency(row: Mapping[str, Any]) -> tuple[Any, ...]:
    """Overdue first; a row whose money is not known comes after those that are ranked by it."""
    weighed = row["Risk × money"]
    risk = (weighed is None, -(weighed or 0.0), -row["Chance"])
    return (row["Status"] != "Overdue", *risk, row["Order by"] or _LATE, row["Service"])


def _rounded(value: object) -> float | None:
    found = _known(value)
    return None if found is None else round(found, 2)


def _known(value: object) -> float | None:
    found = float(value) if isinstance(value, int | float) else None
    return found if found is not None and math.isfinite(found) else None


def limits(outlooks: Sequence[LimitOutlook], at_stake: pd.DataFrame | None = None) -> pd.DataFrame:
    """Every limit of one unit, the one that is passed first on top; ``at_stake`` are the unit's rows of that frame."""
    stakes = {name: row for (_, _, name), row in _stakes(at_stake).items()}
    ordered = sorted(outlooks, key=lambda x: (x.p10 or _LATE, -x.within_horizon, x.name))
    rows = [
        {
            "Limit": fmt.visible(x.name),
            "Kind": "Fleet" if x.kind == "fleet" else "Hard",
            "At": fmt.quantity(x.limit, fmt.visible(x.unit_of_measure)),
            "In a quarter": _rounded(stakes.get(x.name, {}).get("probability")),
            "Chance": round(x.within_horizon, 2),
            "P10 date": x.p10,
            "P50 date": x.p50,
            "P90 date": x.p90,
            "Order by": x.order_by,
            "Status": "Overdue" if x.overdue else "Due" if x.order_by else "Nothing to order",
            "Remedy": fmt.visible(x.remedy),
        }
        for x in ordered
    ]
    frame = _frame(rows, ("Limit", "Kind", "At", "In a quarter", "Chance", "P10 date", "P50 date", "P90 date",
                          "Order by", "Status", "Remedy"))  # fmt: skip
    return frame if stakes else frame.drop(columns="In a quarter")


def findings(items: Sequence[Finding], currency: str) -> pd.DataFrame:
    """Findings as the plan orders them within act, watch and info."""
    rows = [
        {
            "Weight": x.severity.capitalize(),
            "Topic": x.topic.capitalize(),
            "Finding": fmt.visible(x.text),
            "By": x.by,
            "Money": fmt.money(x.usd, currency) if x.usd is not None else None,
        }
        for x in by_severity(items)
    ]
    return _frame(rows, ("Weight", "Topic", "Finding", "By", "Money"))


def by_severity(items: Sequence[Finding]) -> list[Finding]:
    """What needs a decision first; otherwise in the plan's own order."""
    return sorted(items, key=lambda x: ("act", "watch", "info").index(x.severity))


def mix(unit: UnitPlan) -> pd.DataFrame:
    """Instances a type: now, and in each month of the plan."""
    columns = {"Now": unit.running, **{month: unit.recommended[month] for month in sorted(unit.recommended)}}
    types = sorted({line.instance_type for lines in columns.values() for line in lines})
    rows = [
        {"Instance type": fmt.visible(t)}
        | {head: sum(x.instances for x in lines if x.instance_type == t) or None for head, lines in columns.items()}
        for t in types
    ]
    return _frame(rows, ("Instance type", *columns))


def mix_cost(unit: UnitPlan, currency: str) -> str:
    """What the running and the recommended fleet cost over the plan, and the difference, as one sentence."""
    saving = unit.running_usd - unit.recommended_usd
    words = "saves" if saving >= 0 else "adds"
    return (
        f"Running fleet kept: {fmt.money(unit.running_usd, currency)} over the plan. "
        f"Recommended: {fmt.money(unit.recommended_usd, currency)}, which {words} {fmt.money(abs(saving), currency)}."
    )


def comparison(rows: Sequence[ScenarioRow], plans: Sequence[Plan]) -> pd.DataFrame:
    """Scenarios side by side: one column a scenario, one row a question."""
    currency = plans[0].currency
    questions = {
        "Plan's money": [fmt.money(r.recommended_usd, currency) for r in rows],
        "Against the first": [_against(r, i, currency) for i, r in enumerate(rows)],
        "Pass a limit, chance 1 in 10": [_passing(p, sum(u.first_limit is not None for u in p.units)) for p in plans],
        "Pass a limit, chance 1 in 2": [_passing(p, r.saturating_units) for r, p in zip(rows, plans, strict=True)],
        "First P10 date": [fmt.day(r.first_p10) for r in rows],
        "Smallest headroom": [fmt.percent(r.min_headroom_frac) for r in rows],
        "Smallest coverage": [fmt.percent(r.min_coverage_frac, 1) for r in rows],
        "Peak event": [_event_answer(r, p) for r, p in zip(rows, plans, strict=True)],
        "Commitments to buy": [_purchases(r, currency) for r in rows],
        "As of": [fmt.moment(p.as_of) for p in plans],
        "Prices": [p.mix.rates_of if p.mix else fmt.NONE for p in plans],
        "Policy violations": [f"{r.violations}" if r.violations else "None" for r in rows],
    }
    frame = pd.DataFrame(list(questions.values()), columns=scenario_names(plans))
    frame.insert(0, "Question", list(questions))
    return frame


def _passing(plan: Plan, number: int) -> str:
    return f"{number} of {len(plan.units)}"


def _event_answer(row: ScenarioRow, plan: Plan) -> str:
    if not plan.events:
        return fmt.NONE
    return "GO" if row.no_go == 0 else f"NO-GO for {fmt.count(row.no_go, 'service')}"


def _purchases(row: ScenarioRow, currency: str) -> str:
    if row.purchases is None or row.purchases_save_usd is None:
        return "Not looked for"
    return f"{row.purchases}, saving {fmt.money(row.purchases_save_usd, currency)}" if row.purchases else "None"


def _against(row: ScenarioRow, position: int, currency: str) -> str:
    if position == 0:
        return fmt.NONE
    plus = "+" if row.delta_usd >= 0 else ""
    return f"{plus}{fmt.money(row.delta_usd, currency)} ({fmt.change(row.delta_frac)})"


def first_dates(plans: Sequence[Plan]) -> pd.DataFrame:
    """The P50 date of each unit's first limit; a column a scenario."""
    return _by_unit(plans, first_p50)


def smallest_headroom(plans: Sequence[Plan]) -> pd.DataFrame:
    """The smallest headroom of each unit; a column a scenario."""
    return _by_unit(plans, lambda u: None if u.headroom_min_frac is None else round(u.headroom_min_frac, 2))


def unit_costs(plans: Sequence[Plan], rows: Sequence[UnitCostRow]) -> pd.DataFrame:
    """Unit costs ahead, a row a service, a column a scenario."""
    names = scenario_names(plans)
    found = [
        {"Service": f"{fmt.visible(r.service)}, per {r.per:,.0f} {fmt.visible(r.unit)}{'s' if r.per != 1 else ''}"}
        | {name: fmt.unit_price(cost, plans[0].currency) for name, cost in zip(names, r.costs, strict=True)}
        for r in rows
    ]
    return _frame(found, ("Service", *names))


def billed_unit_costs(plans: Sequence[Plan]) -> pd.DataFrame:
    """Cost per 1,000 requests of each unit in the last closed month; a column a scenario."""
    return _by_unit(plans, lambda u: fmt.unit_price(u.usd_per_1000, plans[0].currency))


def _by_unit(plans: Sequence[Plan], value: Callable[[UnitPlan], object]) -> pd.DataFrame:
    """One row a unit of any plan, one column a plan."""
    columns = dict(zip(scenario_names(plans), ({u.unit: value(u) for u in p.units} for p in plans), strict=True))
    known = sorted({unit for units in columns.values() for unit in units})
    rows = [
        {"Service": fmt.visible(str(unit))} | {name: units.get(unit) for name, units in columns.items()}
        for unit in known
    ]
    return _frame(rows, ("Service", *columns))


def mix_totals(plans: Sequence[Plan]) -> pd.DataFrame:
    """Instances by type over the fleet, in the last month of each plan; a column a scenario."""
    columns = dict(zip(scenario_names(plans), (_last_mix(p) for p in plans), strict=True))
    kinds = sorted({kind for totals in columns.values() for kind in totals})
    rows = [
        {"Instance type": fmt.visible(kind)} | {name: totals.get(kind) for name, totals in columns.items()}
        for kind in kinds
    ]
    return _frame(rows, ("Instance type", *columns))


def _last_mix(plan: Plan) -> dict[str, int]:
    frame = plan.frame("mix")
    if frame.empty:
        return {}
    last = frame[frame["month"] == frame["month"].max()]
    return {str(kind): int(number) for kind, number in last.groupby("instance_type")["instances"].sum().items()}


def scenario_names(plans: Sequence[Plan]) -> list[str]:
    """Headings for plans: their scenarios' names, made different where they are not."""
    return unique([fmt.visible(p.scenario) for p in plans])


def first_p50(unit: UnitPlan) -> date | None:
    """The earliest P50 date over the unit's limits."""
    return min((x.p50 for x in unit.limits if x.p50 is not None), default=None)


def weakest_first(event: EventSummary) -> list[EventVerdict]:
    """An event's verdicts, NO-GO first, then the least sure."""
    return sorted(event.verdicts, key=lambda v: (v.go, v.probability_holds, str(v.unit)))


def verdicts(event: EventSummary) -> pd.DataFrame:
    """An event's answers, NO-GO first, then the least sure."""
    ordered = weakest_first(event)
    rows = [
        {
            "Service": fmt.visible(str(v.unit)),
            "Answer": "GO" if v.go else "NO-GO",
            "Holds": round(v.probability_holds, 2),
            "Demand P50": v.demand_p50,
            "Demand P95": v.demand_p95,
            "Safe now": v.safe_now,
            "Safe at maximum": v.safe_at_group_maximum,
            "Times normal": v.multiplier,
            "Comes from": fmt.visible(fmt.listed(v.propagated_from)),
            "Why": fmt.visible("; ".join(v.reasons)),
        }
        for v in ordered
    ]
    return _frame(rows, ("Service", "Answer", "Holds", "Demand P50", "Demand P95", "Safe now",
                         "Safe at maximum", "Times normal", "Comes from", "Why"))  # fmt: skip


def remedies(event: EventSummary) -> pd.DataFrame:
    """What to do before an event, by date."""
    pairs = sorted(((r, v) for v in event.verdicts for r in v.remedies), key=lambda p: (p[0].by, str(p[1].unit)))
    rows = [
        {
            "By": r.by,
            "Service": fmt.visible(str(v.unit)),
            "What to do": fmt.visible(r.action),
            "Lead time": fmt.count(r.lead_time_days, "day"),
        }
        for r, v in pairs
    ]
    return _frame(rows, ("By", "Service", "What to do", "Lead time"))


def forecast_trust(units: Iterable[UnitPlan]) -> pd.DataFrame:
    """How each unit's forecast did at past origins; the worst first, the unscored on top."""
    ordered = sorted(units, key=lambda u: (u.relative_mae is not None, -(u.relative_mae or 0.0), str(u.unit)))
    rows = [
        {
            "Service": fmt.visible(str(u.unit)),
            "Error": u.relative_mae,
            "Model": fmt.visible(u.forecast_model),
            "Why": fmt.visible(u.forecast_reason),
            "Last point": fmt.moment(u.last_point),
            "Capacity from": fmt.visible(u.cost_basis),
            "Flags": fmt.visible(fmt.listed(u.flags)),
        }
        for u in ordered
    ]
    return _frame(rows, ("Service", "Error", "Model", "Why", "Last point", "Capacity from",
                         "Flags"))  # fmt: skip


def freshness(plan: Plan) -> pd.DataFrame:
    """Newest good point of each source, the stale first."""
    ordered = sorted(plan.freshness, key=lambda f: (not f.stale, f.source, f.frame))
    rows = [
        {
            "Source": fmt.visible(f.source),
            "Data": fmt.visible(f.frame),
            "Last good point": fmt.moment(f.last_point),
            "Age": fmt.age(f.age_days),
            "Status": "Stale" if f.stale else "Fresh",
        }
        for f in ordered
    ]
    return _frame(rows, ("Source", "Data", "Last good point", "Age", "Status"))


def quality(plan: Plan) -> pd.DataFrame:
    """What is odd in the data, the gravest first."""
    rows = [
        {
            "Gravity": str(q["severity"]).capitalize(),
            "Source": fmt.visible(str(q["source"])),
            "Data": fmt.visible(str(q["frame"])),
            "Where": fmt.visible(str(q["scope"])),
            "Rule": fmt.visible(str(q["rule"])),
            "Rows": int(q["rows"]),
            "What": fmt.visible(str(q["message"])),
        }
        for q in plan.frame("quality").to_dict("records")
    ]
    return _frame(rows, ("Gravity", "Source", "Data", "Where", "Rule", "Rows", "What"))


def _frame(rows: Sequence[Mapping[str, object]], columns: Sequence[str]) -> pd.DataFrame:
    """Rows as a frame with these columns, also where there is no row."""
    return pd.DataFrame([dict(row) for row in rows], columns=list(columns))
