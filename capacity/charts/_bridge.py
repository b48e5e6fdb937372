"""The bridge as a waterfall: from one period's spend to another's, term by term."""

from __future__ import annotations

from decimal import Decimal
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pandas as pd

from capacity.charts._theme import INKS, Theme, nothing, styled, visible
from capacity.costs import TERMS

if TYPE_CHECKING:
    import altair as alt

KINDS = ("spend", "costs more", "costs less")
# Where the terms are smaller than this share of the totals, the scale begins above zero, and says so.
CUT_FRAC = 0.4
_LABELS = {
    "volume": "volume", "efficiency": "efficiency", "mix": "mix", "list_rate": "list rate",
    "negotiated_rate": "negotiated rate", "commitment_rate": "commitment rate", "new_and_ended": "new and ended",
    "one_off": "one-off",
}  # fmt: skip


def bridge_waterfall(
    bridge: pd.DataFrame,
    theme: Theme = "light",
    periods: tuple[str, str] | None = None,
    currency: str | None = None,
) -> alt.LayerChart:
    """Start, the eight terms in their fixed order, and the end; each with its signed amount beside it.

    More and less are told by the sign, by the side of the bar that the line goes on from, and by an arrow, not by
    colour alone. Where the terms are small beside the totals, the scale does not begin at zero and the axis says so.

    Parameters
    ----------
    bridge
        Rows with currency, start, the terms and end (frame ``bridge``, or any of :meth:`capacity.costs.Bridge.by`):
        they are added up. With from_period and to_period, only rows of ``periods`` are taken (of the first pair
        where it is absent).
    periods
        What start and end are called.
    currency
        The one that is drawn; the first by name where it is absent, as currencies are never added.
    """
    import altair as alt

    rows, names, of = _chosen(bridge, periods, currency)
    if rows.empty:
        return nothing("No bridge: a bill of two periods is needed", theme)
    ink = INKS[theme]
    frame, low, high, cut = _steps(rows, names)
    y = alt.Y("step:N", sort=list(frame["step"]), title=None, axis=alt.Axis(domain=False, ticks=False, labelLimit=170))
    title = f"{visible(of)}, effective cost" + (" (the scale does not begin at zero)" if cut else "")
    scale = alt.Scale(domain=[low, high], nice=False, zero=False)
    axis = alt.Axis(labelExpr="format(datum.value, '~s')", tickCount=6, labelOverlap=True)
    along: dict[str, Any] = {"title": title, "scale": scale, "axis": axis}
    colour = alt.Color("kind:N", scale=alt.Scale(domain=list(KINDS), range=[ink.plain, ink.bad, ink.good]),
                       legend=alt.Legend(symbolType="square"))  # fmt: skip
    tips = [alt.Tooltip("step:N"), alt.Tooltip("label:N", title="amount")]
    base = alt.Chart(frame).encode(y=y)
    bars = base.mark_bar(height=17).encode(x=alt.X("low:Q", **along), x2=alt.X2("high:Q"), color=colour, tooltip=tips)
    # Thin ticks carry each state on to the next bar.
    carried = frame.iloc[1:].assign(state=frame["state"].iloc[:-1].to_numpy())
    tick = alt.Chart(carried).mark_tick(thickness=1.5, height=24, color=ink.muted, orient="vertical")
    text = base.mark_text(align="left", dx=6, fontSize=11, color=ink.text)
    layers = [
        bars,
        tick.encode(y=y, x=alt.X("state:Q", **along)),
        text.encode(x=alt.X("edge:Q", **along), text=alt.Text("label:N")),
    ]
    return styled(alt.layer(*layers), theme, alt.Step(26))


def _chosen(
    bridge: pd.DataFrame, periods: tuple[str, str] | None, currency: str | None
) -> tuple[pd.DataFrame, tuple[str, str], str]:
    """Rows of one pair of periods in one currency, and what these are."""
    rows = bridge
    if "from_period" in rows and len(rows):
        periods = periods or (str(rows["from_period"].iloc[0]), str(rows["to_period"].iloc[0]))
        rows = rows[(rows["from_period"] == periods[0]) & (rows["to_period"] == periods[1])]
    known = sorted(map(str, rows["currency"].unique())) if len(rows) else []
    chosen = currency or (known[0] if known else "")
    return rows[rows["currency"] == chosen], periods or ("start", "end"), chosen


def _steps(rows: pd.DataFrame, names: tuple[str, str]) -> tuple[pd.DataFrame, float, float, bool]:
    """A row a bar: step, low, high, kind, label and where it stands; the scale, and whether it is cut off."""
    start, end = (float(sum(rows[c], Decimal(0))) for c in ("start", "end"))
    terms = [float(sum(rows[t], Decimal(0))) for t in TERMS]
    states = [start]
    for change in terms:
        states.append(states[-1] + change)
    ends = [*states[:-1], end]
    low, high = min(ends), max(ends)
    spread = high - low
    # Bars of nothing but start and end need no room of their own.
    cut = low > 0 and 0 < spread < CUT_FRAC * high
    floor = max(0.0, low - 0.6 * spread) if cut else min(0.0, low)
    out = [(names[0], floor if cut else 0.0, start, KINDS[0], _amount(start), start)]
    for term, change, (one, other) in zip(TERMS, terms, pairwise(states), strict=True):
        arrow = "" if not round(change, 2) else " ▲" if change > 0 else " ▼"
        kind = KINDS[1] if change > 0 else KINDS[2]
        out.append((_LABELS[term], min(one, other), max(one, other), kind, f"{_signed(change)}{arrow}", other))
    last = names[1] if names[1] != names[0] else f"{names[1]} (after)"
    out.append((last, floor if cut else 0.0, end, KINDS[0], _amount(end), end))
    frame = pd.DataFrame(out, columns=["step", "low", "high", "kind", "label", "state"])
    frame["step"] = frame["step"].map(visible)
    frame["edge"] = frame[["low", "high"]].max(axis=1)
    room = 0.2 * (max(high, 0.0) - floor) or 1.0
    return frame, floor, max(high, 0.0) + room, cut


def _amount(value: float) -> str:
    if not round(value, 2):
        return "0"
    return f"{value:,.0f}".replace("-", "−") if abs(value) >= 100 else f"{value:,.2f}".replace("-", "−")


def _signed(value: float) -> str:
    text = _amount(value)
    return f"+{text}" if value > 0 and text != "0" else text
