"""What the plan knows of its own forecasts, on the pages: the report's tables and charts, as a reader may sort them."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from capacity import charts
from capacity.plan import Plan, UnitPlan
from capacity.report import known
from capacity.ui import _format as fmt
from capacity.ui import _kept
from capacity.ui import _shown as shown
from capacity.ui import _widgets as ui

_LEVELS = {"Company": "company", "Teams": "team", "Services": "service"}


# --- service -------------------------------------------------------------------------------------------------


def why(plan: Plan, unit: UnitPlan) -> None:
    """The unit's demand taken apart: what its history says, the parts as strips, and what moved it for a while."""
    rows = known.of_unit(known.frame(plan, "explanation"), unit)
    note = "Trend, times the day of the week, times the time of the year, times events: Prophet's decomposition."
    with ui.card("Why demand looks so", note):
        if rows.empty and not unit.words:
            st.caption("Not explained: there is too little history, or this plan was made before it was.")
        else:
            _parts(rows, unit)
        st.caption("Events, holidays and level shifts")
        table = _kept.result(known.occasions, plan, unit)
        widths = {"Service · region": 150, "Occasion": 190, "Known by": 90}
        shown.table(table, "What moved demand for a while, by how much, and how that is known",
               "None is known that moved this service's demand.", widths)  # fmt: skip


def _parts(rows: pd.DataFrame, unit: UnitPlan) -> None:
    ui.lines(unit.words)
    if rows.empty:
        return
    names = {"Daily mean": "mean", "Daily peak": "peak"}
    given = [name for name, target in names.items() if (rows["target"] == target).any()]
    chosen = st.radio("Taken apart", given, horizontal=True, key="parts") if len(given) > 1 else given[0]
    part = rows[rows["target"] == names[chosen or given[0]]]
    ui.chart(
        "Demand taken apart: trend with what was measured, and the factors of week, year and events",
        charts.decomposition,
        part,
        fmt.visible(unit.demand_unit),
        theme=ui.theme(),
    )


# --- trust ---------------------------------------------------------------------------------------------------


def promise(plan: Plan) -> None:
    """What the plan of about a quarter ago promised, against what came."""
    with ui.card("Last quarter's promise", "80% intervals of the plan of about a quarter ago, against what came."):
        st.text(fmt.visible(_kept.result(known.kept, plan)))
        table = _kept.result(known.promise, plan)
        if not table.rows:
            st.caption(known.WAITING)
            return
        for target, rows in known.promised(plan):
            st.caption(f"{known.TARGETS[target].capitalize()}, the furthest off first")
            ui.chart("Promised interval and what came, by service", charts.promises, rows, theme=ui.theme())
        widths = {"Service · region": 190, "Promised": 120, "For": 175, "Result": 110}
        shown.table(table, "Each promise and what came", "", widths)


def anomalies(plan: Plan) -> None:
    """Days of late that were not to be expected, the gravest first."""
    with ui.card("What was odd of late", "Days of usage and spend far from what was to be expected, the rarest first."):
        st.text(fmt.visible(_kept.result(known.judged, plan)))
        table = _kept.result(known.anomalies, plan)
        if table.rows:
            widths = {"Service · region": 190, "Of": 100, "It was": 120, "Expected": 190, "Chance": 130}
            shown.table(table, "Days that were not to be expected, with size, chance and money", "", widths)


# --- money ---------------------------------------------------------------------------------------------------


def totals(plan: Plan) -> None:
    """Spend of company, teams and services by month or quarter, from joint futures."""
    note = "From futures that move together: a total's interval is not the sum of its parts' intervals."
    with ui.card("Spend to come by team and service", note):
        periods = known.periods(plan)
        if not periods:
            st.caption("No totals: this plan forecasts no spend, or was made before there were any.")
            return
        left, right = st.columns([1, 2], vertical_alignment="bottom")
        first = periods.index(known.next_quarter(plan)) if known.next_quarter(plan) in periods else 0
        period = left.selectbox("Period", periods, first, key="total_period") or periods[first]
        level = right.radio("Level", list(_LEVELS), 1, horizontal=True, key="total_level")
        rows = known.spend_rows(plan, _LEVELS[level or "Teams"], period)
        ui.chart(f"Spend in {period} with its interval, by name", charts.spend_totals, rows, theme=ui.theme())
        table = _kept.result(known.team_quarters, plan)
        shown.table(table, "Company and teams by quarter: P50 and its interval", "No quarter is whole.", {"Name": 200})


def spend_models(plan: Plan) -> None:
    """How each service's spend is forecast and why so, and what is kept apart from it."""
    with ui.card("How spend is forecast", "By what drives it, or by its own past: whichever was nearer before."):
        widths = {"Service": 170, "Month": 70, "Follows": 90, "Why": 470}
        shown.table(_kept.result(known.spend_models, plan),
               "Forecast spend of each service in one month, its model and why",
               "No spend forecast by service.", widths, lines=4)  # fmt: skip
    with ui.card("Kept apart", "Tax, credits, refunds and one-off charges are not forecast with what runs."):
        widths = {"Part": 90, "In": 150, "During": 150, "Assumption": 420}
        shown.table(_kept.result(known.apart_parts, plan),
               "Tax, credits, refunds and one-off charges: billed, and assumed to come",
               "Nothing is kept apart: no bill names a tax, credit, refund or one-off charge.", widths,
               lines=2)  # fmt: skip
