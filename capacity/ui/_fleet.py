"""Fleet: what needs a decision now, headroom by week, spend, and the plan's findings."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import date
from typing import Any

import streamlit as st

from capacity import charts
from capacity.plan import Finding, Plan, UnitPlan
from capacity.ui import _format as fmt
from capacity.ui import _rows as told
from capacity.ui import _sources as sources
from capacity.ui import _tables as tables
from capacity.ui import _widgets as ui

_QUARTER = 3  # months
_SHOWN_FINDINGS = 6
_HEATMAP_ROWS = 16
_SHOWN_VIOLATIONS = 3
_BADGES = {"act": ("Act", "red"), "watch": ("Watch", "orange"), "info": ("Info", "gray")}


def draw(plan: Plan) -> None:
    """The whole page."""
    if not plan.units:
        st.info("This plan has no service: the config names none that has usage.", icon=":material/info:")
    units = _filtered(plan.units)
    _violations(plan)
    ui.cards([_saturated(plan, units), _first(plan, units), _spend(plan), _saving(plan)])
    if plan.mix is not None:
        st.caption(f"Money of the fleet is at {plan.mix.rates_of}.")
    _decisions(plan, units)
    left, right = st.columns([3, 2])
    with left:
        _headroom(plan, units)
    with right:
        _spend_chart(plan)
    _findings(plan, units)


def _violations(plan: Plan) -> None:
    if not plan.violations:
        return
    told = [fmt.plain(text) for text in plan.violations[:_SHOWN_VIOLATIONS]]
    more = len(plan.violations) - len(told)
    st.error(
        "  \n".join([*told, f"and {more} more on the page Trust"] if more else told),
        title=f"The recommended plan violates {fmt.count(len(plan.violations), 'policy', 'policies')}",
        icon=":material/gpp_maybe:",
    )


def _filtered(units: Sequence[UnitPlan]) -> list[UnitPlan]:
    """Units that the reader's choices keep; nothing chosen keeps all."""
    keys: tuple[tuple[str, str, Callable[[UnitPlan], str]], ...] = (
        ("Tier", "tier", lambda u: fmt.visible(u.tier)),
        ("Team", "team", lambda u: fmt.visible(u.team) or "(no team)"),
        ("Region", "region", lambda u: fmt.visible(u.region)),
    )
    kept = list(units)
    for column, (label, key, value) in zip(st.columns(3), keys, strict=True):
        options = sorted({value(u) for u in units})
        chosen = column.multiselect(
            label, options, key=key, placeholder=f"All ({len(options)})", bind="query-params", disabled=len(options) < 2
        )
        kept = [u for u in kept if not chosen or value(u) in chosen]
    return kept


def _saturated(plan: Plan, units: Sequence[UnitPlan]) -> ui.Card:
    full = sum(tables.first_p50(u) is not None for u in units)
    overdue = sum(any(x.overdue for x in u.limits) for u in units)
    days = (plan.horizon_end - plan.horizon_start).days + 1
    return ui.Card(
        f"Full within {days} days",
        f"{full} of {len(units)}",
        f"{overdue} overdue to order" if overdue else "nothing overdue",
        "red" if overdue else "green",
        sources.help_text(
            plan,
            "Services in a region whose demand passes a limit with a chance of one half or more.",
            "usage",
            "fleet",
        ),
    )


def _first(plan: Plan, units: Sequence[UnitPlan]) -> ui.Card:
    dated = [(x.p10, str(u.unit)) for u in units for x in u.limits if x.p10 is not None]
    words = "The first day by which a limit is passed with a chance of one in ten."
    help_text = sources.help_text(plan, words, "usage", "fleet")
    if not dated:
        return ui.Card("First P10 date", "None", "not within the horizon", "green", help_text)
    when, name = min(dated)
    return ui.Card("First P10 date", fmt.day(when), fmt.shorten(fmt.visible(name), 34), "red", help_text)


def _spend(plan: Plan) -> ui.Card:
    """The next three months: medians added, against the budgets if each month has one."""
    coming = sorted((m for m in plan.spend if m.currency == plan.currency), key=lambda m: m.month)[:_QUARTER]
    words = "The sum of the months' medians (P50), for the whole company. The chart below shows the interval."
    help_text = sources.help_text(plan, words, "cost")
    if not coming:
        return ui.Card("Spend ahead, P50", fmt.NONE, "no bill to forecast from", "gray", help_text)
    total = sum(m.q50 for m in coming)
    budgets = [m.budget for m in coming if m.budget is not None]
    label = f"Spend {_short_month(coming[0].month)} to {_short_month(coming[-1].month)}, P50"
    if len(budgets) < len(coming):
        return ui.Card(label, fmt.money_short(total, plan.currency), "no budget given", "gray", help_text)
    over = total / float(sum(budgets)) - 1 if sum(budgets) else 0.0
    tone: ui.Tone = "red" if over > 0 else "green"
    return ui.Card(label, fmt.money_short(total, plan.currency), f"{fmt.change(over)} against budget", tone, help_text)


def _short_month(month: str) -> str:
    return f"{date.fromisoformat(month + '-01'):%b}"


def _saving(plan: Plan) -> ui.Card:
    if plan.mix is None:
        return ui.Card("Saving by the plan", fmt.NONE, "no fleet to plan")
    saving, months = plan.mix.saving_usd, len(plan.mix.months)
    share = saving / plan.mix.running_usd if plan.mix.running_usd else 0.0
    label = f"{'Saving' if saving >= 0 else 'Cost to add'} over {fmt.count(months, 'month')}"
    words = f"The recommended fleet against the running fleet kept as it is, at {plan.mix.rates_of}."
    help_text = sources.help_text(plan, words, "usage", "fleet")
    return ui.Card(
        label,
        fmt.money_short(abs(saving), plan.currency),
        f"{fmt.percent(abs(share))} of {fmt.money_short(plan.mix.running_usd, plan.currency)}",
        "green" if saving >= 0 else "orange",
        help_text,
    )


def _decisions(plan: Plan, units: Sequence[UnitPlan]) -> None:
    frame = tables.decisions(units, plan.frame("at_stake"))
    known = bool(frame["At stake"].notna().any())
    first = "chance within a quarter times money at stake" if known else "chance of passing the limit"
    note = f"Overdue orders first, then by {first}, then by order-by date."
    with ui.card("Needs a decision now", note):
        if not known:
            frame = frame.drop(columns=["At stake", "Risk × money"])
        # What it is about and what to do fit a projector; the tier is said to whoever scrolls.
        order = [c for c in frame.columns if c not in ("Tier", "Chance")]
        ui.table(
            frame[[*order, "Tier", "Chance"]],
            "Limits that are passed within the horizon, with chance, money at stake, dates and remedies",
            _decision_columns(plan),
            "No limit is passed within the horizon.",
            most_rows=6,
            lines=4,
        )
        if known:
            st.caption(tables.AT_STAKE)
        sources.line(plan, "usage", "fleet", "cost")


def _decision_columns(plan: Plan) -> dict[str, Any]:
    money = f"{fmt.sign(plan.currency)}%,.0f"
    days = {
        name: st.column_config.DateColumn(format="DD MMM YYYY", width=80)
        for name in ("P10 date", "P50 date", "P90 date", "Order by")
    }
    return {
        "Service": st.column_config.TextColumn(width=174),
        "Limit": st.column_config.TextColumn(width=116),
        "In a quarter": ui.chance("In a quarter", "Probability that the limit is passed within 91 days", 84),
        "At stake": st.column_config.NumberColumn(format=money, width=66, help=tables.AT_STAKE),
        "Risk × money": st.column_config.NumberColumn(format=money, width=82, help="What the rows are ranked by"),
        **days,
        "Status": st.column_config.TextColumn(width=50),
        "Remedy": st.column_config.TextColumn(width=218),
        "Tier": st.column_config.TextColumn(width=68),
        "Chance": ui.chance("In the horizon", "Probability that the limit is passed within the horizon"),
    }


def _headroom(plan: Plan, units: Sequence[UnitPlan]) -> None:
    frame = plan.frame("headroom")
    wanted = {(u.service, u.region) for u in units}
    kept = [pair in wanted for pair in zip(frame["service"], frame["region"], strict=True)]
    frame = frame[kept]
    note = (
        "Of the running fleet, all zones up: 1 − the peak of a day of the week, at the tier's service level, over what "
        "is safe."
    )
    with ui.card("Headroom by week", note, stretch=True):
        if frame.empty:
            st.caption("No service here has a fleet whose safe capacity is known.")
            return
        count = frame[["service", "region"]].drop_duplicates().shape[0]
        if count > _HEATMAP_ROWS:
            st.caption(f"The {_HEATMAP_ROWS} of {count} services with the least headroom.")
        ui.chart(
            "Heat map of headroom, one row a service and one column a week",
            charts.headroom_heatmap,
            frame,
            theme=ui.theme(),
            max_rows=_HEATMAP_ROWS,
        )
        sources.line(plan, "usage", "fleet")


def _spend_chart(plan: Plan) -> None:
    with ui.card("Spend ahead", stretch=True):
        if not plan.spend:
            st.caption("No closed month of the bill to forecast from.")
            return
        ui.chart(
            "Forecast spend of the coming months with its interval, against the budget",
            charts.spend_months,
            plan.spend,
            theme=ui.theme(),
        )
        st.text(fmt.sentence(plan.spend_note))
        sources.line(plan, "cost")


def _findings(plan: Plan, units: Sequence[UnitPlan]) -> None:
    kept = {(u.service, u.region) for u in units} | {("", "")}
    everything = len(units) == len(plan.units)
    items = tables.by_severity([f for f in plan.findings if everything or (f.service, f.region) in kept])
    with ui.card("Findings"):
        if not items:
            st.caption("No finding.")
        told.marked([_marked(item, plan.currency) for item in items[:_SHOWN_FINDINGS]], ui.theme() == "dark")
        if len(items) > _SHOWN_FINDINGS and (part := ui.opened(f"All {len(items)} findings", "fleet_findings")):
            with part:
                columns = {"Finding": st.column_config.TextColumn(width=640)}
                ui.table(tables.findings(items, plan.currency), "All findings", columns)


def _marked(item: Finding, currency: str) -> told.Marked:
    word, tone = _BADGES[item.severity]
    by = f"by {fmt.day(item.by)}" if item.by else ""
    usd = fmt.money(item.usd, currency) if item.usd is not None else ""
    return told.Marked(word, tone, item.text, "  ".join(x for x in (usd, by) if x))
