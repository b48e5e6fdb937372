"""What is laid over the forecast's fan: events, the interval of what is safe, and what was forecast before."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import TYPE_CHECKING, Any

import pandas as pd

from capacity.charts._theme import Ink, days, floats, visible
from capacity.domain import Interval
from capacity.words import day

if TYPE_CHECKING:
    import altair as alt

Span = tuple[str, date, date]
# Names of events stand in so many rows, in turn; beyond so many events the rest have their bands alone.
_NAME_ROWS, _MOST_NAMES = 2, 10
_NAME_LETTERS = 30
# Pixels between the axis and the lowest name, and from row to row.
_NAME_UP, _NAME_STEP = 9, 14


def before_key(before: pd.DataFrame) -> str:
    """What the legend calls a past forecast; "" where there is none."""
    if before.empty:
        return ""
    return f"forecast of {day(days(before['origin_ts']).iloc[0].date())}"


def before_layers(before: pd.DataFrame, x: alt.X, y: alt.Scale, colour: alt.Color, ink: Ink) -> list[Any]:
    """The median that was forecast before, dashed, and its 80 % interval where that was kept."""
    import altair as alt

    frame = pd.DataFrame({"ts": days(before["ts"])} | {q: floats(before[q]) for q in ("q10", "q50", "q90")})
    frame = frame.dropna(subset=["ts", "q50"]).assign(key=before_key(before))
    if frame.empty:
        return []
    tips = [alt.Tooltip("key:N", title="said"), alt.Tooltip("ts:T", title="day", format="%d %b %Y"),
            alt.Tooltip("q50:Q", title="median", format=",.4~g")]  # fmt: skip
    base = alt.Chart(frame).encode(x=x, tooltip=tips)
    line = base.mark_line(strokeWidth=2, strokeDash=[5, 3]).encode(y=alt.Y("q50:Q", scale=y), color=colour)
    known = frame.dropna(subset=["q10", "q90"])
    if known.empty:
        return [line]
    band = alt.Chart(known).mark_area(opacity=0.25, color=ink.series[1])
    return [band.encode(x=x, y=alt.Y("q10:Q", scale=y), y2=alt.Y2("q90:Q")), line]


def safe_layers(safe: Interval | None, y: alt.Scale, ink: Ink) -> list[Any]:
    """The interval of safe capacity as a band over the whole chart; its line is one of the limits."""
    import altair as alt

    if safe is None or not safe.low < safe.high:
        return []
    frame = pd.DataFrame({"low": [safe.low], "high": [safe.high]})
    return [
        alt.Chart(frame).mark_rect(color=ink.limit, opacity=0.12).encode(y=alt.Y("low:Q", scale=y), y2=alt.Y2("high:Q"))
    ]


def event_layers(events: Sequence[Span], first: pd.Timestamp, last: pd.Timestamp, ink: Ink) -> list[Any]:
    """Events as narrow bands with their names above the axis; those outside the chart are left out."""
    import altair as alt

    rows = []
    for name, start, end in sorted(events, key=lambda e: (e[1], e[0])):
        begins, ends = pd.Timestamp(start), pd.Timestamp(end) + pd.Timedelta(days=1)
        if ends < first or begins > last:
            continue
        text = visible(name)
        text = text if len(text) <= _NAME_LETTERS else f"{text[: _NAME_LETTERS - 1]}…"
        rows.append({"name": visible(name), "text": text, "from": max(begins, first), "to": min(ends, last)})
    if not rows:
        return []
    frame = pd.DataFrame(rows)
    tips = [alt.Tooltip("name:N", title="event"), alt.Tooltip("from:T", format="%d %b %Y"),
            alt.Tooltip("to:T", format="%d %b %Y")]  # fmt: skip
    base = alt.Chart(frame).encode(x=alt.X("from:T"), x2=alt.X2("to:T"), tooltip=tips)
    layers: list[Any] = [base.mark_rect(color=ink.muted, opacity=0.3)]
    middle = first + (last - first) / 2
    for i, row in enumerate(frame.head(_MOST_NAMES).to_dict("records")):
        left = row["from"] > middle
        one = alt.Chart(pd.DataFrame([{"at": row["from"] if left else row["to"], "text": row["text"]}]))
        text = one.mark_text(align="right" if left else "left", dx=-3 if left else 3, color=ink.text, fontSize=11)
        # A page gives the chart less height than is asked for, so the place is told from what it got.
        up = alt.value(alt.ExprRef(f"height - {_NAME_UP + _NAME_STEP * (i % _NAME_ROWS)}"))
        layers.append(text.encode(x=alt.X("at:T"), y=up, text=alt.Text("text:N")))
    return layers
