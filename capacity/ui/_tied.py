"""Invoices that tie, what was negotiated, other currencies, and what the review could not do."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from capacity.plan import CostMonth, Plan
from capacity.ui import _format as fmt
from capacity.ui import _frames as frames
from capacity.ui import _widgets as ui

NO_INVOICE = "No invoice was compared: there is no closed month, or this plan was made before they were."
_ALL = "(all)"


def draw(plan: Plan, month: CostMonth) -> None:
    """The whole view."""
    _invoices(plan)
    _discounts(plan, month)
    _notes(plan)
    _converted(plan, month)


def _invoices(plan: Plan) -> None:
    frame = plan.frame("invoice_ties")
    note = "Each invoice against direct, shared and unallocated billed cost of its month, to the last digit."
    with ui.card("Invoices", note):
        if frame.empty:
            st.caption(NO_INVOICE)
            return
        off = int(sum(not t for t in frame["ties"]))
        said = f"{off} of {len(frame)} do not tie" if off else f"{fmt.count(len(frame), 'invoice')}: all tie"
        st.badge(said, color="red" if off else "green", icon=":material/close:" if off else ":material/check:")
        # What does not tie comes first, then the newest.
        frame = frame.sort_values(["ties", "month"], ascending=[True, False], kind="stable")
        frame = frame.assign(result=["ties" if t else "does not tie" for t in frame["ties"]])
        heads = {"month": "Month", "result": "Result", "currency": "Currency", "account": "Account",
                 "invoice_total": "Invoice", "total_from": "Total from", "number": "Number", "direct": "Direct",
                 "shared": "Shared", "unallocated": "Unallocated", "difference": "Difference",
                 "words": "In words"}  # fmt: skip
        if len(set(frame["currency"])) == 1:
            del heads["currency"]
        if set(frame["account"]) == {_ALL}:
            del heads["account"]
        widths = {
            "Month": 64,
            "Result": 88,
            "Currency": 64,
            "Account": 110,
            "Invoice": 100,
            "Total from": 74,
            "Number": 90,
            "Direct": 98,
            "Shared": 92,
            "Unallocated": 86,
            "Difference": 80,
            "In words": 420,
        }
        frames.table(frame, heads, "Invoices by month, what does not tie first", NO_INVOICE, widths, 13)


def _discounts(plan: Plan, month: CostMonth) -> None:
    rows = frames.only(plan.frame("private_discounts"), month=month.month, currency=month.currency)
    with ui.card(f"Private discounts in {month.month}", "Contracted over list cost of usage."):
        whole = frames.only(rows, provider_service=_ALL)
        for row in whole.to_dict("records"):
            st.text(f"All services: {fmt.money(row['discount'], month.currency)} off "
                    f"{fmt.money(row['list_cost'], month.currency)} at list price, "
                    f"{fmt.percent(frames.number(row['discount_frac']), 1)}.")  # fmt: skip
        rows = frames.dearest(rows[rows["provider_service"] != _ALL], "discount")
        heads = {"provider_service": "Provider's service", "list_cost": "At list price",
                 "contracted_cost": "Negotiated", "discount": "Discount", "discount_frac": "Of list",
                 "rows_without_list": "Rows without list"}  # fmt: skip
        heads = frames.filled(rows, heads, ["rows_without_list"])
        widths = {"Provider's service": 330, "At list price": 104, "Negotiated": 104, "Discount": 96, "Of list": 64}
        frames.table(rows, heads, "Private discounts by the provider's service", "None is known in this month.", widths)


def _notes(plan: Plan) -> None:
    frame = plan.frame("review_notes")
    if frame.empty:
        return
    with ui.card("Notes"):
        ui.lines([f"{frames.text(t)}: {frames.text(w)}" for t, w in zip(frame["topic"], frame["words"], strict=True)])


def _converted(plan: Plan, month: CostMonth) -> None:
    frame = plan.frame("cost_converted")
    rows = frames.only(frame, month=month.month)
    if rows.empty:
        return
    groups = rows.groupby(["from_currency", "rate", "rate_as_of", "rate_source"], sort=True, dropna=False)
    made = pd.DataFrame(
        [(*key, frames.total(part["EffectiveCost"])) for key, part in groups],
        columns=["from_currency", "rate", "rate_as_of", "rate_source", "cost"],
    )
    heads = {"from_currency": "From", "rate": "Rate", "rate_as_of": "As of", "rate_source": "Source",
             "cost": f"Cost in {plan.currency}"}  # fmt: skip
    with ui.card(f"In one currency, {month.month}", "By the rates that the config gives, each with its source."):
        frames.table(frames.dearest(made, "cost"), heads, "Cost of each currency, converted", "",
                     {"From": 70, "Rate": 90, "As of": 96, "Source": 360})  # fmt: skip
