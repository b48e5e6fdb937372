"""Cost to serve: the bill by service, added up to the cent, what moved it, its unit cost, and whose cost it is."""

from __future__ import annotations

from typing import Any

import streamlit as st

from capacity import charts
from capacity.plan import CostMonth, Plan
from capacity.ui import _costs as costs
from capacity.ui import _format as fmt
from capacity.ui import _frames as frames
from capacity.ui import _kept
from capacity.ui import _moved as moved
from capacity.ui import _rows as told
from capacity.ui import _sources as sources
from capacity.ui import _tied as tied
from capacity.ui import _unit_cost as unit_cost
from capacity.ui import _whose as whose
from capacity.ui import _widgets as ui


def draw(plan: Plan) -> None:
    """The whole page."""
    choices = costs.months(plan)
    if not choices:
        st.info("This plan has no closed month of a bill: add a source of kind focus_files.", icon=":material/info:")
        return
    left, right = st.columns([1, 5], vertical_alignment="center")
    with left:
        name = st.selectbox("Month of the bill", list(choices), key="bill_month", bind="query-params")
    month = choices.get(name or "") or next(iter(choices.values()))
    with right:
        ui.cards(_cards(month))
        sources.line(plan, "cost", "usage")
    frames.tabs(
        "cost_view",
        {
            "Overview": lambda: _overview(plan, month),
            "What moved": lambda: moved.draw(plan),
            "Unit cost": lambda: unit_cost.draw(plan),
            "Whose cost": lambda: whose.draw(plan, month),
            "Invoices and discounts": lambda: tied.draw(plan, month),
        },
    )


def _overview(plan: Plan, month: CostMonth) -> None:
    _equation(month)
    left, right = st.columns(2)
    with left:
        _allocation(plan, month)
    with right:
        moved.waterfall(plan)
    left, right = st.columns(2)
    with left:
        unit_cost.trend(plan)
    with right:
        _stack(plan)
    whose.unallocated(plan)
    left, right = st.columns(2)
    with left:
        whose.pools(plan, month)
    with right:
        _tie(plan, month)
    if not plan.frame("plan_total").empty:
        ui.link("mix", "All money of the coming months by part: the fleet plan's total")


def _cards(month: CostMonth) -> list[ui.Card]:
    def share(part: object) -> str:
        return f"{fmt.percent(float(costs.decimal(part) / month.effective), 1)} of the bill" if month.effective else ""

    billed = f"billed in cash {fmt.money(month.billed, month.currency)}"
    unknown = month.effective and month.unallocated / month.effective > costs.decimal("0.1")
    return [
        ui.Card("Bill, effective cost", fmt.money(month.effective, month.currency), billed, "gray",
                "The accrual view: commitments are spread over the usage that they cover."),
        ui.Card("Direct", fmt.money(month.direct, month.currency), share(month.direct)),
        ui.Card("Shared", fmt.money(month.shared, month.currency), share(month.shared), "gray",
                "Pools that all services pay into, split by the config's rules."),
        ui.Card("Unallocated", fmt.money(month.unallocated, month.currency), share(month.unallocated),
                "orange" if unknown else "green", "What no rule takes. The FinOps target is at most 10% of the bill."),
    ]  # fmt: skip


def _equation(month: CostMonth) -> None:
    result = costs.equation(month)
    with st.container(border=True, horizontal=True, vertical_alignment="center"):
        st.badge("Adds up exactly" if result.exact else "Does not add up", color="green" if result.exact else "red",
                 icon=":material/check:" if result.exact else ":material/close:")  # fmt: skip
        st.text(result.text)


def _allocation(plan: Plan, month: CostMonth) -> None:
    money = ui.money_column(month.currency, 2)
    with ui.card("Cost by service", stretch=True):
        ui.table(
            _kept.result(costs.allocation, plan, month),
            "Cost of each service in this month: direct, shared and total",
            {
                "Service": st.column_config.TextColumn(width=170),
                "Direct": money,
                "Shared": money,
                "Total": money,
                "Share": ui.chance("Share", "Part of the bill"),
            },
            "No cost rows in this month.",
        )


def _tie(plan: Plan, month: CostMonth) -> None:
    ties = [t for t in plan.tie_outs if t.currency == month.currency]
    with ui.card("Tie to the bill", "What the model says today's fleet costs, against the last closed month.", True):
        if not ties:
            st.caption("No tie: there is no closed month of usage and bill together.")
        for tie in ties:
            st.badge(f"{'Ties' if tie.ties else 'Does not tie'} in {fmt.plain(tie.month)}",
                     color="green" if tie.ties else "red")  # fmt: skip
            told.facts(costs.tie_lines(tie))
            if plan.mix is not None:
                st.caption(f"Modelled at {plan.mix.rates_of}.")
            ui.table(
                costs.remainder(tie),
                "Parts of the bill that the model does not price",
                {"Not modelled": st.column_config.TextColumn(width=240), "Cost": ui.money_column(tie.currency)},
                "Nothing of the bill is left out.",
                most_rows=8,
            )


def _stack(plan: Plan) -> None:
    with ui.card("Bill by month", stretch=True):
        frame = plan.frame("cost")
        if frame.empty:
            st.caption("No cost rows.")
            return
        ui.chart("Effective cost by month, stacked by service", _stacked, plan, ui.theme())


def _stacked(plan: Plan, theme: ui.ThemeName) -> Any:
    """Of the plan, not of its frame: the decimals of a bill take long to tell from others."""
    return charts.cost_stack(plan.frame("cost"), theme=theme)
