"""Around one service: how busy its fleet may be and why, and the calls that bring its demand and pass it on."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from capacity import charts
from capacity.pipeline.surroundings import explained
from capacity.plan import Plan, UnitPlan
from capacity.ui import _frames as frames
from capacity.ui import _sources as sources
from capacity.ui import _widgets as ui

NO_FLEET = "No instances: nothing is to be kept from being too busy."
NO_WHY = "This plan was made before it was kept why; make it again to see it."
NO_CALLS = "Nothing calls this service and it calls nothing, as far as the config tells (services: calls)."
_BINDS = {
    "load test": "a load test",
    "memory_gib": "memory",
    "network_gbps": "the network",
    "local_ssd_gb": "local disk",
}


def busy(plan: Plan, unit: UnitPlan) -> None:
    """Utilisation to come against ρ*, and why ρ* is what it is."""
    note = "Of the running fleet's vCPU, at the busiest moment of each week, at the tier's service level."
    with ui.card("How busy it may be", note):
        if unit.utilisation_frac is None:
            st.caption(NO_FLEET)
            return
        weeks = frames.only(plan.frame("headroom"), service=unit.service, region=unit.region)
        why = frames.only(plan.frame("utilisation"), service=unit.service, region=unit.region)
        if "utilisation_frac" not in weeks or not weeks["utilisation_frac"].notna().any():
            st.text(_why(why))
        else:
            left, right = st.columns([3, 2], gap="medium", vertical_alignment="center")
            with left:
                ui.chart(
                    "Utilisation at each week's peak against the largest that is safe",
                    charts.utilisation_weeks,
                    weeks,
                    unit.utilisation_frac,
                    ui.theme(),
                )
            right.text(_why(why))
        sources.line(plan, "usage", "fleet")


def _why(rows: pd.DataFrame) -> str:
    if rows.empty:
        return NO_WHY
    row = rows.iloc[0]
    binds = [_BINDS.get(b, b) for b in frames.text(row["binds"]).split(" and ") if b and b != "vcpu"]
    other = f" What bounds an instance here is {' and '.join(binds)}, not its vCPU." if binds else ""
    return frames.text(row["words"]) + other


def calls(plan: Plan, unit: UnitPlan) -> None:
    """Who calls the unit, whom it calls, and how much of their demand that explains."""
    note = "Calls for each request, from the config; a line is as wide as the demand that it made over four weeks."
    with ui.card("Calls around it", note):
        frame = plan.frame("calls")
        into = frames.only(frame, callee=unit.service, callee_region=unit.region)
        out = frames.only(frame, caller=unit.service, caller_region=unit.region)
        if into.empty and out.empty:
            st.caption(NO_CALLS)
            return
        for rows, words in ((into, "call it"), (out, "are called by it")):
            if len(rows) > charts.MAX_SIDE:
                st.caption(f"The {charts.MAX_SIDE} of {len(rows)} that {words} with the most demand.")
        ui.chart(
            "The service between those that call it and those that it calls, with calls for each request",
            charts.calls_around, pd.concat([into, out], ignore_index=True), unit.service, unit.region, ui.theme(),
        )  # fmt: skip
        st.text(explained(into))
