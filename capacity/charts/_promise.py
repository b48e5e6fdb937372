"""What was promised against what came."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from capacity.charts._theme import INKS, LABEL_PIXELS, Theme, floats, nothing, styled, unit_label, visible

if TYPE_CHECKING:
    import altair as alt

# Rows that a page holds; the furthest off come first, a table has all.
MAX_ROWS = 24
KEYS = ("within the interval", "outside it", "may still change")
# A promise this many times off would leave all others on one line: it lies at the edge, and the axis says so.
MOST_FRAC = 3.0
_SHAPES = ("circle", "cross", "triangle-up")


def promises(promise: pd.DataFrame, theme: Theme = "light") -> alt.LayerChart:
    """Each promise's P10 to P90 as a bar and what came as a mark, in parts of the promised P50.

    Units are of any size; as parts of their own P50 they share one axis, and 100 % is "as promised". The furthest off
    stand first.

    Parameters
    ----------
    promise
        service, region, metric, target, month, q10, q50, q90, actual, covered; best of one target.
    """
    import altair as alt

    frame = _frame(promise)
    if frame.empty:
        return nothing("Nothing promised can be held against what came yet", theme)
    ink = INKS[theme]
    rows = list(frame["row"])
    ends = [1.0, *frame[["low", "high", "actual"]].min(), *frame[["low", "high", "actual"]].max()]
    cut = max(ends) > MOST_FRAC
    top = MOST_FRAC if cut else max(ends) + 0.03
    scale = alt.Scale(domain=[max(min(ends) - 0.03, 0.0), top], nice=not cut, zero=False, clamp=True)
    axis = alt.Axis(format=".0%", tickCount=8, labelOverlap=True)
    y = alt.Y("row:N", sort=rows, title=None, axis=alt.Axis(domain=False, ticks=False, labelLimit=LABEL_PIXELS + 90))
    parts = (alt.Tooltip(f"{c}:Q", format=".1%") for c in ("low", "high", "actual"))
    tips = [alt.Tooltip("row:N", title="promise"), *parts, alt.Tooltip("key:N")]
    base = alt.Chart(frame).encode(y=y)
    title = f"part of the promised P50; bar: P10 to P90{f'; cut at {MOST_FRAC:.0%}' if cut else ''}"
    x = alt.X("low:Q", title=title, scale=scale, axis=axis)
    bars = base.mark_bar(height=10, color=ink.band80).encode(x=x, x2=alt.X2("high:Q"), tooltip=tips)
    one = alt.Chart(pd.DataFrame({"at": [1.0]})).mark_rule(color=ink.muted, strokeDash=[4, 3])
    dots = base.mark_point(size=70, filled=True, opacity=1).encode(
        x=alt.X("actual:Q", scale=scale),
        color=alt.Color("key:N", scale=alt.Scale(domain=list(KEYS), range=[ink.text, ink.limit, ink.plain])),
        shape=alt.Shape("key:N", scale=alt.Scale(domain=list(KEYS), range=list(_SHAPES))),
        tooltip=tips,
    )
    return styled(alt.layer(bars, one.encode(x=alt.X("at:Q")), dots), theme, alt.Step(20))


def _frame(promise: pd.DataFrame) -> pd.DataFrame:
    """A row a promise in parts of its P50, the furthest off first; what has no P50 or no actual has no part."""
    middle = floats(promise["q50"])
    out = pd.DataFrame({name: floats(promise[c]) / middle for name, c in
                        (("low", "q10"), ("high", "q90"), ("actual", "actual"))})  # fmt: skip
    keys = zip(promise["service"], promise["region"], promise["month"], strict=True)
    out.index = pd.RangeIndex(len(out))
    out["row"] = [f"{unit_label(s, r) if r else visible(s)}, {period(m)}" for s, r, m in keys]
    again = out["row"].duplicated(keep=False)
    measures = [f", {visible(m)} {visible(t)}" for m, t in zip(promise["metric"], promise["target"], strict=True)]
    out["row"] = out["row"].where(~again, out["row"] + pd.Series(measures, out.index, dtype=object))
    out["key"] = [KEYS[2] if pd.isna(c) else KEYS[0] if c else KEYS[1] for c in promise["covered"]]
    out = out[middle.to_numpy(float) > 0].dropna(subset=["low", "high", "actual"])
    off = (out["actual"] - 1.0).abs()
    return out.assign(off=off).sort_values(["off", "row"], ascending=[False, True], kind="stable").head(MAX_ROWS)


def period(month: object) -> str:
    """2026-07 as it is, 2026-07-20/2026-09-02 as "2026-07-20 to 2026-09-02"."""
    return visible(str(month)).replace("/", " to ")
