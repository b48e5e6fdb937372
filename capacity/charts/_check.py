"""A peak event that is over: what was said of it before, against what came."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pandas as pd

from capacity.charts._theme import INKS, LABEL_PIXELS, Theme, nothing, styled, unit_label

if TYPE_CHECKING:
    import altair as alt

# Rows that a page holds; the furthest off come first, a table has all.
MAX_ROWS = 24
KEYS = ("within the P95 said", "above it", "beyond safe capacity")
_SHAPES = ("circle", "triangle-up", "cross")
# A peak this many times off would leave all others on one line: it lies at the edge, and the axis says so.
MOST = 3.0


def event_after(review: pd.DataFrame, theme: Theme = "light") -> alt.LayerChart:
    """Each service's P50 to P95 as said before as a bar and its peak as a mark, in parts of the P50 said.

    The tick is the safe capacity of what ran, with the tier's zones lost. The furthest off stand first.

    Parameters
    ----------
    review
        Plan frame ``event_review``, of one event.
    """
    import altair as alt

    frame = _frame(review)
    if frame.empty:
        return nothing("No peak of this event is known", theme)
    ink = INKS[theme]
    rows = list(frame["row"])
    highest = float(frame[["p95", "actual"]].max().max())
    cut = highest > MOST
    top = MOST if cut else max(highest, 1.0) + 0.05
    scale = alt.Scale(domain=[0.0, top], nice=False, clamp=True)
    base = alt.Chart(frame).encode(
        y=alt.Y("row:N", sort=rows, title=None, axis=alt.Axis(domain=False, ticks=False, labelLimit=LABEL_PIXELS + 90))
    )
    tips = [
        alt.Tooltip("row:N", title="service"),
        *(alt.Tooltip(f"{c}:Q", format=".1%") for c in ("p95", "actual", "safe")),
    ]
    title = f"part of the P50 said before{f'; cut at {MOST:.0%}' if cut else ''}"
    x = alt.X("one:Q", title=title, scale=scale, axis=alt.Axis(format=".0%", tickCount=8, labelOverlap=True))
    bars = base.mark_bar(height=10, color=ink.band80).encode(x=x, x2=alt.X2("p95:Q"), tooltip=tips)
    safe = base.transform_filter(alt.datum.safe <= top).mark_tick(color=ink.limit, thickness=2, size=16)
    dots = base.mark_point(size=70, filled=True, opacity=1).encode(
        x=alt.X("actual:Q", scale=scale),
        color=alt.Color("key:N", title=None, scale=alt.Scale(domain=list(KEYS), range=[ink.text, ink.plain, ink.bad])),
        shape=alt.Shape("key:N", title=None, scale=alt.Scale(domain=list(KEYS), range=list(_SHAPES))),
        tooltip=tips,
    )
    return styled(alt.layer(bars, safe.encode(x=alt.X("safe:Q", scale=scale)), dots), theme, alt.Step(20))


def _frame(review: pd.DataFrame) -> pd.DataFrame:
    """Rows of which a P50 was said, the furthest off first."""
    made: list[dict[str, Any]] = []
    for r in review.to_dict("records"):
        said = float(r["p50"])
        if said > 0:
            beyond = not pd.isna(r["held"]) and not r["held"]
            made.append({
                "row": unit_label(r["service"], r["region"]), "one": 1.0, "p95": r["p95"] / said,
                "actual": r["actual"] / said, "safe": None if pd.isna(r["safe"]) else r["safe"] / said,
                "key": KEYS[2] if beyond else KEYS[0] if r["within_p95"] else KEYS[1],
            })  # fmt: skip
    made.sort(key=lambda m: (-abs(m["actual"] - 1.0), m["row"]))
    return pd.DataFrame(made[:MAX_ROWS])
