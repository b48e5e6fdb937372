"""Why demand looks as it does: trend, week, year and events, one below the other over the same days."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from capacity.charts._demand import _AMOUNT_LABEL, MAX_POINTS, _day_axis, _spoken, _thin
from capacity.charts._theme import INKS, Ink, Theme, days, floats, nothing, styled
from capacity.words import day

if TYPE_CHECKING:
    import altair as alt

# Pixels of the trend, of each factor below it, and between two panels: room for the heading of the lower one.
TREND_PX, FACTOR_PX, GAP_PX = 170, 72, 34
# A factor that never moves this far from 1 would be a straight line.
MOVES_FRAC = 0.002
_FACTORS = {"weekly": "day of the week", "yearly": "time of the year", "events": "events and holidays"}


def decomposition(explanation: pd.DataFrame, unit: str = "", theme: Theme = "light") -> alt.LayerChart:
    """Trend with what was measured, and below it each factor that moves: their product is the dashed line.

    Parameters
    ----------
    explanation
        ts, actual, trend, weekly, yearly, events, fitted of one unit and target. Factors are multipliers.
    unit
        Of the demand, for the axis.
    """
    import altair as alt

    frame = _frame(explanation)
    if frame.empty:
        return nothing("No decomposition: there is too little history", theme)
    ink = INKS[theme]
    shown = [name for name in _FACTORS if moves(frame[name])]
    strips = _strips(len(shown))
    layers = _trend(frame, ink, unit, strips[0])
    for name, strip in zip(shown, strips[1:], strict=True):
        layers += _factor(frame, name, strip, ink)
    layers += _until(frame, ink, strips[0])
    return styled(alt.layer(*layers).resolve_scale(y="independent"), theme, _height(len(shown)))


@dataclass(frozen=True)
class _Strip:
    """Where a part is drawn, in parts of the picture's height, which a page may cut to leave room for the axis."""

    top: float
    bottom: float

    def scale(self, low: float, high: float) -> Any:
        """A scale of this strip alone: ``high`` lies at its top, ``low`` at its bottom."""
        import altair as alt

        room = (high - low) * 0.05 or max(abs(high), 1.0) * 0.05
        return alt.Scale(
            domain=[low - room, high + room], range=[_at(self.bottom), _at(self.top)], zero=False, nice=False
        )


def _at(part: float) -> Any:
    import altair as alt

    return alt.expr(f"height * {part:.5f}")


def _height(factors: int) -> int:
    return TREND_PX + factors * (GAP_PX + FACTOR_PX)


def _strips(factors: int) -> list[_Strip]:
    """The trend's strip and one for each factor, from top to bottom."""
    whole = _height(factors)
    tops = [TREND_PX + GAP_PX + i * (GAP_PX + FACTOR_PX) for i in range(factors)]
    return [_Strip(0.0, TREND_PX / whole), *(_Strip(top / whole, (top + FACTOR_PX) / whole) for top in tops)]


def moves(factor: pd.Series) -> bool:
    """Does ``factor`` say anything beside 1?"""
    values = floats(factor).dropna()
    return bool(len(values) and (values - 1.0).abs().max() >= MOVES_FRAC)


def _frame(explanation: pd.DataFrame) -> pd.DataFrame:
    columns = ("actual", "trend", "weekly", "yearly", "events", "fitted")
    frame = pd.DataFrame({c: floats(explanation[c]) for c in columns})
    frame.insert(0, "ts", days(explanation["ts"]))
    return _thin(frame.replace([np.inf, -np.inf], np.nan).dropna(subset=["ts", "trend", "fitted"]), MAX_POINTS)


def _trend(frame: pd.DataFrame, ink: Ink, unit: str, strip: _Strip) -> list[Any]:
    import altair as alt

    all_of_it = frame[["actual", "trend", "fitted"]].to_numpy(float)
    scale = strip.scale(float(np.nanmin(all_of_it)), float(np.nanmax(all_of_it)))
    x, base = _day_axis(), alt.Chart(frame)
    axis = alt.Axis(orient="left", offset=0, labelExpr=_AMOUNT_LABEL, tickCount=4, labelOverlap=True, grid=False)
    tips = [
        alt.Tooltip("ts:T", title="day", format="%d %b %Y"),
        *(alt.Tooltip(f"{c}:Q", format=",.4~g") for c in ("actual", "trend", "fitted")),
    ]
    dots = alt.Chart(frame.dropna(subset=["actual"])).mark_circle(size=11, opacity=0.75, color=ink.point)
    fitted = base.mark_line(strokeWidth=1, strokeDash=[3, 2], color=ink.muted)
    line = base.mark_line(strokeWidth=2.5, color=ink.line)
    return [
        line.encode(x=x, y=alt.Y("trend:Q", scale=scale, axis=axis, title=_spoken(unit)), tooltip=tips),
        fitted.encode(x=x, y=alt.Y("fitted:Q", scale=scale, axis=None), tooltip=tips),
        dots.encode(x=x, y=alt.Y("actual:Q", scale=scale, axis=None), tooltip=tips),
        _heading("Trend (line), measured (dots), all parts multiplied (dashes)", strip.top, ink),
    ]


def _factor(frame: pd.DataFrame, name: str, strip: _Strip, ink: Ink) -> list[Any]:
    """One factor in its own strip, around a line at 1."""
    import altair as alt

    part = frame.dropna(subset=[name])
    low, high = min(float(part[name].min()), 1.0), max(float(part[name].max()), 1.0)
    scale = strip.scale(low, high)
    axis = alt.Axis(
        orient="left",
        offset=0,
        labelExpr="'×' + format(datum.value, '.2f')",
        tickCount=2,
        labelOverlap=True,
        grid=False,
    )
    one = alt.Chart(pd.DataFrame({"at": [1.0]})).mark_rule(color=ink.plain, strokeWidth=1, strokeDash=[2, 2])
    tips = [alt.Tooltip("ts:T", title="day", format="%d %b %Y"), alt.Tooltip(f"{name}:Q", format=".3f")]
    line = alt.Chart(part).mark_line(strokeWidth=1.5, color=ink.line)
    return [
        one.encode(y=alt.Y("at:Q", scale=scale, axis=None)),
        line.encode(x=_day_axis(), y=alt.Y(f"{name}:Q", scale=scale, axis=axis, title=None), tooltip=tips),
        _heading(f"× {_FACTORS[name]}, from {part[name].min():.2f} to {part[name].max():.2f}", strip.top, ink),
    ]


def _heading(text: str, top: float, ink: Ink) -> Any:
    import altair as alt

    mark = alt.Chart(pd.DataFrame({"text": [text]})).mark_text(
        align="left", baseline="bottom", dy=-4, fontSize=11, color=ink.text, limit=520
    )
    return mark.encode(x=alt.XValue(0), y=alt.YValue(_at(top)), text=alt.Text("text:N"))


def _until(frame: pd.DataFrame, ink: Ink, strip: _Strip) -> list[Any]:
    """A line through all strips at the last day that was measured: what comes after it is the way on."""
    import altair as alt

    measured = frame.dropna(subset=["actual"])
    if measured.empty or measured["ts"].max() >= frame["ts"].max():
        return []
    last = measured["ts"].max()
    base = alt.Chart(pd.DataFrame({"ts": [last], "label": [f"measured until {day(last.date())}"]}))
    text = base.mark_text(align="left", baseline="bottom", dx=4, dy=-3, fontSize=11, color=ink.muted)
    return [
        base.mark_rule(color=ink.muted, strokeWidth=1, strokeDash=[4, 3]).encode(x=alt.X("ts:T")),
        text.encode(x=alt.X("ts:T"), y=alt.YValue(_at(strip.bottom)), text=alt.Text("label:N")),
    ]
