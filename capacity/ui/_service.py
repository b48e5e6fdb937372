"""Service: one unit's demand against what it can serve, its limits, its instances and what it costs."""

from __future__ import annotations

from datetime import date
from typing import Any

import pandas as pd
import streamlit as st

from capacity import charts
from capacity.pipeline.said_before import against
from capacity.plan import Plan, UnitPlan
from capacity.report.known import of_unit
from capacity.ui import _around as around
from capacity.ui import _choice as choice
from capacity.ui import _format as fmt
from capacity.ui import _frames as frames
from capacity.ui import _kept
from capacity.ui import _known as known
from capacity.ui import _rows as told
from capacity.ui import _sources as sources
from capacity.ui import _tables as tables
from capacity.ui import _widgets as ui

_NOTABLE = 0.01  # a chance below one in a hundred makes a flat curve: the table says it
_KINDS = {"fleet": "Instances", "vertical": "One machine, its type chosen", "usage_priced": "Priced by use"}


def draw(plan: Plan) -> None:
    """The whole page."""
    choices = ui.unit_choices(plan.units)
    if not choices:
        st.info("This plan has no service: the config names none that has usage.", icon=":material/info:")
        return
    name = st.selectbox("Service and region", list(choices), ui.most_urgent(choices), key="unit", bind="query-params")
    unit = choices.get(name or "") or next(iter(choices.values()))
    ui.cards([_headroom_now(plan, unit), _headroom_min(plan, unit), _full(plan, unit), _unit_cost(plan, unit)])
    frames.tabs(
        "service_view",
        {
            "When it runs out": lambda: _outlook(plan, unit),
            "Why demand looks so": lambda: _demand(plan, unit),
            "Instances and cost": lambda: _instances(plan, unit),
        },
    )


def _outlook(plan: Plan, unit: UnitPlan) -> None:
    _fan(plan, unit)
    _limits(plan, unit)
    left, right = st.columns(2)
    with left:
        _facts(unit)
    with right:
        _mix(plan, unit)


def _demand(plan: Plan, unit: UnitPlan) -> None:
    known.why(plan, unit)
    _load(plan, unit)
    around.calls(plan, unit)


def _instances(plan: Plan, unit: UnitPlan) -> None:
    choice.types(plan, unit)
    choice.kept(plan, unit)
    around.busy(plan, unit)
    _trend(plan, unit)
    _excuses(plan, unit)


# --- figures -----------------------------------------------------------------------------------------------


def _against_policy(frac: float | None, policy: float) -> tuple[str, ui.Tone]:
    if frac is None:
        return "safe capacity not known", "gray"
    return (f"policy {fmt.percent(policy)}", "green" if frac >= policy else "red")


def _headroom_now(plan: Plan, unit: UnitPlan) -> ui.Card:
    note, tone = _against_policy(unit.headroom_now_frac, unit.headroom_policy_frac)
    words = "1 − the largest peak of the last four weeks over the safe capacity of the running fleet, all zones up."
    help_text = sources.help_text(plan, words, "usage", "fleet")
    return ui.Card("Headroom now, all zones up", fmt.percent(unit.headroom_now_frac), note, tone, help_text)


def _headroom_min(plan: Plan, unit: UnitPlan) -> ui.Card:
    note, tone = _against_policy(unit.headroom_min_frac, unit.headroom_policy_frac)
    words = "The smallest headroom of the running fleet within the horizon. Negative: demand passes it."
    help_text = sources.help_text(plan, words, "usage", "fleet")
    return ui.Card("Smallest headroom", fmt.percent(unit.headroom_min_frac), note, tone, help_text)


def _full(plan: Plan, unit: UnitPlan) -> ui.Card:
    first = unit.first_limit
    words = "P50 date of the limit that is passed first: as likely before as after."
    help_text = sources.help_text(plan, words, "usage", "fleet")
    if first is None:
        return ui.Card("First limit passed", "None", "not within the horizon", "green", help_text)
    value = fmt.day(first.p50) if first.p50 else f"P10 {fmt.day(first.p10)}"
    order = f"order by {fmt.day(first.order_by)}" if first.order_by else fmt.visible(first.name)
    return ui.Card("First limit passed", value, "order overdue" if first.overdue else order,
                   "red" if first.overdue else "orange", help_text)  # fmt: skip


def _unit_cost(plan: Plan, unit: UnitPlan) -> ui.Card:
    value = fmt.unit_price(unit.usd_per_1000, plan.currency)
    note = "last closed month" if unit.usd_per_1000 is not None else "no bill for this service"
    words = "Allocated cost per 1,000 units of demand of the service."
    return ui.Card("Cost per 1,000", value, note, "gray", sources.help_text(plan, words, "cost", "usage"))


# --- parts -------------------------------------------------------------------------------------------------


def _fan(plan: Plan, unit: UnitPlan) -> None:
    forecast = _peak(of_unit(plan.frame("forecast"), unit), unit)
    history = _peak(of_unit(plan.frame("history"), unit), unit)
    note = "The band is of each day alone; the dates are of the first day that passes a limit, whichever day it is."
    with ui.card("Peak demand against capacity", note):
        st.text(fmt.visible(f"{_metric_name(unit.demand_metric)}, the peak of each day"))
        if forecast.empty and history.empty:
            st.caption("No forecast and no history of this service.")
            return
        before = of_unit(plan.frame("past_forecast"), unit)
        before = before[before["metric"] == unit.demand_metric]
        ui.chart(
            "Fan chart of the daily peak demand with safe capacity, limits, events, saturation dates and the forecast "
            "of a quarter ago",
            charts.fan,
            forecast,
            history,
            _lines(unit),
            _dates(unit),
            fmt.visible(unit.demand_unit),
            theme=ui.theme(),
            safe=unit.safe_now,
            events=_events(plan, unit),
            before=before,
        )
        held = _kept.result(against, before, history)
        st.text(fmt.visible(held.words) if held else "No forecast of about a quarter ago is known.")
        sources.line(plan, "usage", "fleet")


def _lines(unit: UnitPlan) -> list[tuple[str, float]]:
    """The limits on demand, by name."""
    return [(fmt.shorten(fmt.visible(x.name)), x.limit) for x in unit.limits if x.metric == unit.demand_metric]


def _events(plan: Plan, unit: UnitPlan) -> list[tuple[str, date, date]]:
    """Events of the daily peak, past ones as learned and those to come; holidays and jumps stand in their own table."""
    rows = of_unit(plan.frame("occasions"), unit)
    rows = rows[(rows["kind"] == "event") & (rows["target"] == "peak")].dropna(subset=["start", "end"])
    spans = zip(rows["name"], rows["start"], rows["end"], strict=True)
    known = [(f"{n}, in {a:%Y}", pd.Timestamp(a).date(), pd.Timestamp(b).date()) for n, a, b in spans]
    coming = [
        (e.name, e.start.date(), e.end.date())
        for e in plan.events
        if any(v.unit == unit.unit for v in e.verdicts)
        and not any(n.startswith(e.name) and a <= e.end.date() and e.start.date() <= b for n, a, b in known)
    ]
    return [*known, *coming]


def _dates(unit: UnitPlan) -> list[tuple[str, date]]:
    """The dates of the limit that is passed first, as the chart's lines."""
    first = unit.first_limit
    if first is None:
        return []
    named = (("P10", first.p10), ("P50", first.p50), ("P90", first.p90))
    return [
        (f"{name} passes {fmt.shorten(fmt.visible(first.name), 24)}", day) for name, day in named if day is not None
    ]


def _peak(frame: pd.DataFrame, unit: UnitPlan) -> pd.DataFrame:
    return frame[(frame["metric"] == unit.demand_metric) & (frame["target"] == "peak")]


def _metric_name(metric: str) -> str:
    return metric.replace("_", " ").capitalize()


def _facts(unit: UnitPlan) -> None:
    error = unit.relative_mae
    scored = f"{error:.2f} of a seasonal naive forecast's" if error is not None else "not scored: too little history"
    rows = [
        ("Served by", _KINDS[unit.kind]),
        ("Tier, team", fmt.listed([x for x in (unit.tier, unit.team) if x])),
        ("Account", unit.account_id),
        ("Last point", fmt.moment(unit.last_point)),
        ("Recent peak", fmt.quantity(unit.peak_recent, unit.demand_unit)),
        ("Peak ahead", fmt.interval(unit.peak_horizon, unit.demand_unit)),
        ("Safe capacity", fmt.interval(unit.safe_now, unit.demand_unit)),
        ("Known from", unit.cost_basis),
        ("Utilisation", _utilisation(unit)),
        ("Service level", f"{fmt.percent(unit.service_level)} of futures must fit; {_zones(unit)}"),
        ("Forecast", unit.forecast_model),
        ("Why this model", unit.forecast_reason),
        ("Past error", scored),
        ("Flags", fmt.listed(unit.flags)),
    ]
    with ui.card("What this rests on", stretch=True):
        told.facts(rows)


def _utilisation(unit: UnitPlan) -> str:
    if unit.utilisation_frac is None:
        return fmt.NONE
    return f"at most {fmt.percent(unit.utilisation_frac)} keeps the service's promise"


def _zones(unit: UnitPlan) -> str:
    return f"{fmt.count(unit.zones_lost, 'zone')} may be lost" if unit.zones_lost else "no zone loss planned for"


def _mix(plan: Plan, unit: UnitPlan) -> None:
    frame = tables.mix(unit)
    with ui.card("Instances: now and recommended", stretch=True):
        if frame.empty:
            st.caption("No instances to choose for this service.")
        else:
            alt = "Instances by type, running and recommended"
            ui.chart(alt, charts.mix_compare, [unit], currency=plan.currency, theme=ui.theme())
            ui.table(frame, "Instances by type, now and in each month of the plan", _mix_columns(frame))
            st.text(tables.mix_cost(unit, plan.currency))
            if plan.mix is not None:
                st.caption(f"Prices: {plan.mix.rates_of}.")
        st.caption("Why")
        st.text(fmt.visible(unit.why) or fmt.NONE)
        if unit.coverage_min_frac is not None:
            said = f"{fmt.percent(unit.coverage_min_frac, 1)} of futures fit in the worst month"
            st.text(f"{said}, {fmt.percent(unit.service_level)} required.")


def _mix_columns(frame: pd.DataFrame) -> dict[str, Any]:
    """Narrow columns: a quarter's months beside each other in half a page."""
    narrow = {
        month: st.column_config.NumberColumn(f"{date.fromisoformat(month + '-01'):%b %y}", width=52)
        for month in frame.columns[2:]
    }
    return {
        "Instance type": st.column_config.TextColumn(width=105),
        "Now": st.column_config.NumberColumn(width=46),
        **narrow,
    }


def _limits(plan: Plan, unit: UnitPlan) -> None:
    with ui.card("Limits", "When demand passes each limit, and by when its remedy must be ordered."):
        ui.table(
            tables.limits(unit.limits, of_unit(plan.frame("at_stake"), unit)),
            "Limits of this service with their dates and remedies",
            {
                "Limit": st.column_config.TextColumn(width=140),
                "In a quarter": ui.chance("In a quarter", "Probability that the limit is passed within 91 days"),
                "Chance": ui.chance("In the horizon", "Probability that the limit is passed within the horizon"),
                "Remedy": st.column_config.TextColumn(width=236),
            },
            "No limit is known for this service.",
            lines=3,
        )
        curves = of_unit(plan.frame("saturation"), unit)
        if any(x.within_horizon >= _NOTABLE for x in unit.limits) and not curves.empty:
            ui.chart(
                "Probability that each limit is passed, by day", charts.saturation_curves, curves, theme=ui.theme()
            )


def _load(plan: Plan, unit: UnitPlan) -> None:
    frame = of_unit(plan.frame("blocks"), unit)
    with ui.card("Load through the horizon"):
        if frame.empty:
            st.caption("No load blocks: nothing is provisioned for this service.")
            return
        ui.chart(
            "Load duration: hours of the horizon at or above each demand",
            charts.load_duration,
            frame,
            fmt.visible(unit.demand_unit),
            unit.safe_now.mid if unit.safe_now else None,
            theme=ui.theme(),
        )


def _trend(plan: Plan, unit: UnitPlan) -> None:
    frame = plan.frame("unit_cost")
    frame = frame[frame["service"] == unit.service]
    with ui.card("Cost per 1,000 units of demand", "Of the service in all its regions, by closed month."):
        if frame.empty:
            st.caption("No bill is allocated to this service.")
            return
        ui.chart("Unit cost by month", charts.unit_cost_trend, frame, [unit.service], theme=ui.theme())


def _excuses(plan: Plan, unit: UnitPlan) -> None:
    frame = of_unit(plan.frame("excuses"), unit)
    if frame.empty:
        return
    if part := ui.opened(f"Instance types kept out ({len(frame)})", "service_kept_out"):
        with part:
            shown = pd.DataFrame(
                {
                    "Instance type": [fmt.visible(str(x)) for x in frame["instance_type"]],
                    "Reason": [fmt.visible(str(x)) for x in frame["reason"]],
                }
            )
            ui.table(
                shown, "Instance types kept out, with the reason", {"Reason": st.column_config.TextColumn(width=700)}
            )
