"""Waste: what could stop, who takes it, and what is within the plan's saving already; carbon where it is enabled."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from capacity import charts
from capacity.plan import Plan
from capacity.ui import _format as fmt
from capacity.ui import _frames as frames
from capacity.ui import _sources as sources
from capacity.ui import _widgets as ui

KINDS = {
    "idle": "Idle fleet", "oversized": "Oversized fleet", "previous_generation": "Previous generation",
    "storage": "Storage", "address": "Address or gateway", "commitment": "Unused commitment",
}  # fmt: skip
NO_WASTE = "No waste was found, or this plan was made before it was looked for."


def draw(plan: Plan) -> None:
    """The whole page."""
    waste = plan.frame("waste")
    if waste.empty:
        st.info(NO_WASTE, icon=":material/info:")
    else:
        _found(plan, waste)
    _carbon(plan)


def _found(plan: Plan, waste: pd.DataFrame) -> None:
    currency = frames.currency(plan, waste, "waste_currency")
    rows = frames.only(waste, currency=currency)
    ui.cards(_cards(plan, rows, currency))
    sources.line(plan, "fleet", "usage", "cost")
    month = max((m.month for m in plan.costs), default="")
    billed = f"Storage, addresses and commitments: the bill of {month}. " if month else ""
    st.caption(
        f"Fleets: as they run on {fmt.day(plan.as_of.date())}, at on-demand prices with the negotiated discount. "
        f"{billed}What the recommended mix takes is within the plan's own saving: never add the two."
    )
    left, right = st.columns([1, 1])
    with left, ui.card("By kind", "An instance is counted once.", stretch=True):
        ui.chart("Waste a month by kind and confidence", charts.waste_by_kind, rows, ui.theme())
    with right:
        _takers(rows, currency)
    _findings(rows, currency)


def _sum(values: pd.Series) -> float:
    return sum(frames.number(v) or 0.0 for v in values)


def _cards(plan: Plan, rows: pd.DataFrame, currency: str) -> list[ui.Card]:
    found, taken, held = (_sum(rows[c]) for c in ("monthly_usd", "in_plan_usd", "held_usd"))
    unknown = sum(frames.number(v) is None for v in rows["monthly_usd"])
    of = f"{fmt.count(len(rows), 'finding')}" + (f", {unknown} without a price" if unknown else "")
    bill = max((m for m in plan.costs if m.currency == currency), key=lambda m: m.month, default=None)
    share = ""
    if bill is not None and bill.effective:
        share = f"{fmt.percent(found / float(bill.effective))} of the bill of {bill.month}."
    return [
        ui.Card("Waste a month", fmt.money_short(found, currency), of, "orange" if found else "green",
                share or None),
        ui.Card("Taken by the recommended mix", fmt.money_short(taken, currency), "within the plan's saving", "gray",
                "Part of what the plan saves already: not to be added to it."),
        ui.Card("Left to take", fmt.money_short(found - taken, currency), "beside the plan",
                "orange" if found - taken > 0.005 else "green"),
        ui.Card("Held, no waste", fmt.money_short(held, currency), "needed, paid for anyway, or to be asked", "gray",
                "Money beyond the next weeks' need that is no waste, each for the reason that its row gives."),
    ]  # fmt: skip


def _takers(rows: pd.DataFrame, currency: str) -> None:
    made = [
        (who, len(part), _sum(part["monthly_usd"]), _sum(part["in_plan_usd"]), _sum(part["held_usd"]))
        for who, part in rows.groupby("taken_by", sort=True, dropna=False)
    ]
    frame = pd.DataFrame(made, columns=["taken_by", "count", "monthly_usd", "in_plan_usd", "held_usd"])
    heads = {"taken_by": "Taken by", "count": "Findings", "monthly_usd": "Waste", "in_plan_usd": "In the plan",
             "held_usd": "Held"}  # fmt: skip
    note = f"{fmt.plain(currency)} a month. In the plan: what its saving has of it."
    with ui.card("Who takes it", note, stretch=True):
        frames.table(frames.dearest(frame, "monthly_usd"), heads, "Waste by who takes it", NO_WASTE,
                     {"Taken by": 190, "Findings": 66, "Waste": 80, "In the plan": 82, "Held": 76})  # fmt: skip


def _findings(rows: pd.DataFrame, currency: str) -> None:
    with ui.card("Finding by finding", f"{fmt.plain(currency)} a month, the most money first."):
        left, middle, right = st.columns(3)
        with left:
            rows = _kept(rows, "Kind", "kind", "waste_kind")
        with middle:
            rows = _kept(rows, "Taken by", "taken_by", "waste_by")
        with right:
            rows = _kept(rows, "Service", "service", "waste_service")
        # By money, and what is held only by what is held.
        rows = frames.dearest(frames.dearest(rows, "held_usd"), "monthly_usd")
        rows = rows.assign(
            kind=[KINDS.get(str(k), frames.text(k)) for k in rows["kind"]],
            where=[
                " · ".join(x for x in (frames.text(s), frames.text(r)) if x)
                for s, r in zip(rows["service"], rows["region"], strict=True)
            ],
            reason=[fmt.sentence(frames.text(r)) for r in rows["reason"]],
            evidence=[fmt.sentence(frames.text(e)) for e in rows["evidence"]],
        )
        heads = {"kind": "Kind", "where": "Service · region", "what": "What", "monthly_usd": "Waste",
                 "in_plan_usd": "In the plan", "held_usd": "Held", "confidence": "Confidence",
                 "taken_by": "Taken by", "reason": "Why", "evidence": "Evidence"}  # fmt: skip
        widths = {"Kind": 124, "Service · region": 136, "What": 126, "Waste": 62, "In the plan": 76, "Held": 60,
                  "Confidence": 76, "Taken by": 116, "Why": 340, "Evidence": 420}  # fmt: skip
        frames.table(rows, heads, "Waste, a finding a row", "Nothing is left by these choices.", widths, 8, 4)


def _kept(rows: pd.DataFrame, label: str, column: str, key: str) -> pd.DataFrame:
    """Rows whose ``column`` is among the reader's choices; nothing chosen keeps all."""
    known = {KINDS.get(str(v), frames.text(v)) or "(none)" for v in rows[column]}
    chosen = st.multiselect(label, sorted(known), key=key, placeholder=f"All ({len(known)})", bind="query-params",
                            disabled=len(known) < 2)  # fmt: skip
    if not chosen:
        return rows
    return rows[[(KINDS.get(str(v), frames.text(v)) or "(none)") in chosen for v in rows[column]]]


def _carbon(plan: Plan) -> None:
    carbon = plan.frame("carbon")
    if carbon.empty:
        return
    month = frames.newest(carbon)
    rows = frames.dearest(frames.only(carbon, month=month), "kg_co2e")
    note = "Operational, location-based, of instances only; types without figures are left out, never scaled up."
    with ui.card(f"Carbon in {month}", note):
        kilograms, energy = _sum(rows["kg_co2e"]), _sum(rows["kwh"])
        st.text(f"{kilograms:,.0f} kg CO2e from {energy:,.0f} kWh.")
        heads = {"service": "Service", "region": "Region", "kg_co2e": "kg CO2e", "kwh": "kWh",
                 "effective_cost": "Cost", "currency": "Currency", "covered_frac": "Covered",
                 "unknown_types": "Types without figures", "sources": "Sources", "flags": "Read with care"}  # fmt: skip
        widths = {"Service": 150, "Region": 90, "kg CO2e": 80, "kWh": 80, "Cost": 90, "Currency": 64, "Covered": 70,
                  "Types without figures": 170, "Sources": 300, "Read with care": 220}  # fmt: skip
        whole = {h: st.column_config.NumberColumn(format="%,.0f", width=80) for h in ("kg CO2e", "kWh")}
        heads = frames.filled(rows, heads, ["unknown_types", "flags"])
        frames.table(rows, heads, "Energy and emissions by service, the most first", "", widths, 10, instead=whole)
