"""Totals of company, teams and services, with the intervals of their joint paths."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from capacity.charts._money import MAX_SERVICES, _money_axis, _names_axis
from capacity.charts._theme import INKS, Theme, floats, nothing, styled, visible

if TYPE_CHECKING:
    import altair as alt


def spend_totals(totals: pd.DataFrame, theme: Theme = "light") -> alt.LayerChart:
    """P50 of each name as a bar with its P10 to P90, the largest first; the largest twenty are drawn.

    Parameters
    ----------
    totals
        name, unit, month, q10, q50, q90; of one level, one measure and one period.
    """
    import altair as alt

    frame = pd.DataFrame({q: floats(totals[q]) for q in ("q10", "q50", "q90")})
    frame.insert(0, "name", [visible(n) for n in totals["name"]])
    frame = frame.dropna().sort_values(["q50", "name"], ascending=[False, True]).head(MAX_SERVICES)
    if frame.empty:
        return nothing("No total is forecast", theme)
    ink = INKS[theme]
    frame["label"] = [f"{r.q50:,.0f} ({r.q10:,.0f} to {r.q90:,.0f})" for r in frame.itertuples(index=False)]
    title = f"{' and '.join(sorted({visible(u) for u in totals['unit']}))}, P50 with P10 to P90"
    low, high = min(0.0, float(frame["q10"].min())), float(frame["q90"].max())
    scale = alt.Scale(domain=[low, high + (high - low) * 0.3 or 1.0], nice=False)
    base = alt.Chart(frame).encode(y=alt.Y("name:N", sort=list(frame["name"]), title=None, axis=_names_axis()))
    tips = [alt.Tooltip("name:N"), *(alt.Tooltip(f"{q}:Q", format=",.0f") for q in ("q10", "q50", "q90"))]
    bars = base.mark_bar(color=ink.band80, height=12)
    text = base.mark_text(align="left", dx=7, fontSize=11, color=ink.text).encode(
        x=alt.X("q90:Q"), text=alt.Text("label:N")
    )
    layers = [
        bars.encode(x=alt.X("q50:Q", title=title, axis=_money_axis(), scale=scale), tooltip=tips),
        base.mark_rule(strokeWidth=1.5, color=ink.text).encode(x=alt.X("q10:Q"), x2=alt.X2("q90:Q")),
        *(base.mark_tick(thickness=1.5, height=9, color=ink.text).encode(x=alt.X(f"{q}:Q")) for q in ("q10", "q90")),
        text,
    ]  # fmt: skip
    return styled(alt.layer(*layers), theme, alt.Step(24))
