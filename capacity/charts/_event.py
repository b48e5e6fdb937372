"""A peak event: its time line for one service, and how it comes to each service through the calls."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

import pandas as pd

from capacity.charts._theme import INKS, Theme, nothing, styled, visible
from capacity.domain import EventFlow, EventVerdict
from capacity.plan import EventSummary
from capacity.words import number, times

if TYPE_CHECKING:
    import altair as alt

# Beyond so many services a picture of calls is not read any more.
MAX_SERVICES = 40
_DEMAND, _DEMAND_HIGH, _AS_IS, _PRESCALED = "demand P50", "demand P95", "safe as things are", "safe with pre-scaling"
_ROUND = pd.Timedelta(hours=2)
# Words beside the moments stand in so many rows, in turn.
_WORD_ROWS = 3
_NODE_WIDTH, _NODE_HEIGHT, _ROW = 0.6, 0.62, 70
# How far before its end a line carries its figure.
_LABEL = 0.08


def event_timeline(
    event: EventSummary, verdict: EventVerdict, unit: str = "", theme: Theme = "light", legend_columns: int = 4
) -> alt.LayerChart:
    """Demand of one service through the event, against what is safe as things are and with pre-scaling.

    Before and after stands the day's peak without the event. Times are UTC.

    Parameters
    ----------
    event, verdict
        The event and one of its verdicts.
    unit
        Of the demand, for the axis.
    legend_columns
        Lines' names beside each other; fewer where the picture is narrow.
    """
    import altair as alt

    ink = INKS[theme]
    lines = _lines(event, verdict)
    names = [n for n in (_DEMAND, _DEMAND_HIGH, _AS_IS, _PRESCALED) if n in set(lines["what"])]
    looks = {_DEMAND: (ink.line, [4, 2]), _DEMAND_HIGH: (ink.line, [1, 0]), _AS_IS: (ink.limit, [6, 4]),
             _PRESCALED: (ink.good, [8, 2, 2, 2])}  # fmt: skip
    legend = alt.Legend(symbolType="stroke", symbolSize=400, columns=legend_columns)
    drawn = alt.Chart(lines).mark_line(strokeWidth=2).encode(
        x=alt.X("at:T", title="UTC", axis=alt.Axis(format="%d %b %H:%M", labelOverlap=True, tickCount=8)),
        y=alt.Y("demand:Q", title=visible(unit) or "demand", scale=alt.Scale(zero=True),
                axis=alt.Axis(format=",.6~g", tickCount=5)),
        color=alt.Color("what:N", sort=names, legend=legend,
                        scale=alt.Scale(domain=names, range=[looks[n][0] for n in names])),
        strokeDash=alt.StrokeDash("what:N", sort=names, legend=legend,
                                  scale=alt.Scale(domain=names, range=[looks[n][1] for n in names])),
        order=alt.Order("step:Q"),
        tooltip=[alt.Tooltip("what:N", title="line"), alt.Tooltip("at:T", format="%d %b %H:%M", title="UTC"),
                 alt.Tooltip("demand:Q", format=",.0f")],
    )  # fmt: skip
    moments = _moments(event, verdict)
    top = float(lines["demand"].max())
    marks = alt.Chart(moments.assign(top=top * 1.25)).encode(x=alt.X("at:T"))
    rules = marks.mark_rule(color=ink.muted, strokeDash=[2, 3])
    words = [
        marks.transform_filter(alt.datum.row == row)
        .mark_text(align="left", baseline="top", dx=3, dy=13 * row, color=ink.text, fontSize=11)
        .encode(y=alt.Y("top:Q"), text=alt.Text("text:N"))
        for row in range(_WORD_ROWS)
    ]
    return styled(alt.layer(rules, drawn, *words), theme, 300)


def _lines(event: EventSummary, v: EventVerdict) -> pd.DataFrame:
    """The lines' corners, in order."""
    start, end = _naive(event.start), _naive(event.end)
    ramp = pd.Timedelta(minutes=event.ramp_minutes)
    first, last = _span(event, v)
    shape = [(first, 0.0), (start - ramp, 0.0), (start, 1.0), (end, 1.0), (end + ramp, 0.0), (last, 0.0)]
    rows: list[dict[str, Any]] = []
    for what, before, full in ((_DEMAND, v.before_p50, v.demand_p50), (_DEMAND_HIGH, v.before_p95, v.demand_p95)):
        rows += [{"what": what, "at": at, "demand": before + (full - before) * w} for at, w in shape]
    rows += [{"what": _AS_IS, "at": at, "demand": safe} for at, safe in _as_things_are(event, v, first, last)]
    plan = v.prescale
    if plan is not None:
        up, down = _naive(plan.at), _naive(plan.until)
        steps = [(first, v.safe_now), (up, v.safe_now), (up, plan.safe), (down, plan.safe), (down, v.safe_now),
                 (last, v.safe_now)]  # fmt: skip
        rows += [{"what": _PRESCALED, "at": at, "demand": safe} for at, safe in steps]
    return pd.DataFrame(rows).assign(step=range(len(rows)))


def _as_things_are(
    event: EventSummary, v: EventVerdict, first: pd.Timestamp, last: pd.Timestamp
) -> list[tuple[pd.Timestamp, float]]:
    """A group that scales follows the rise as late as it takes, up to its maximum; others stay as they are."""
    if v.scale_out_minutes is None:
        return [(first, v.safe_now), (last, v.safe_now)]
    lag, ramp = pd.Timedelta(minutes=v.scale_out_minutes), pd.Timedelta(minutes=event.ramp_minutes)
    start, end = _naive(event.start), _naive(event.end)
    rise = max(v.demand_p95 - v.before_p95, 0.0)
    full = min(v.safe_now + rise, v.safe_at_group_maximum)
    share = (full - v.safe_now) / rise if rise > 0 else 1.0
    begins = start - ramp + lag
    return [(first, v.safe_now), (begins, v.safe_now), (begins + share * ramp, full), (end, full),
            (end + ramp, v.safe_now), (last, v.safe_now)]  # fmt: skip


def _moments(event: EventSummary, v: EventVerdict) -> pd.DataFrame:
    ramp = pd.Timedelta(minutes=event.ramp_minutes)
    found = [(_naive(event.start), "full"), (_naive(event.end), "ends")]
    found += [(_naive(event.start) - ramp, "ramp")] if event.ramp_minutes else []
    if v.prescale is not None:
        count = v.prescale
        found += [(_naive(count.at), f"pre-scale to {count.instances_to:,}"),
                  (_naive(count.until), f"back to {count.instances_from:,}")]  # fmt: skip
    found.sort()
    rows = [{"at": at, "text": text, "row": i % _WORD_ROWS} for i, (at, text) in enumerate(found)]
    return pd.DataFrame(rows)


def _span(event: EventSummary, v: EventVerdict) -> tuple[pd.Timestamp, pd.Timestamp]:
    ramp = pd.Timedelta(minutes=event.ramp_minutes)
    first, last = _naive(event.start) - ramp, _naive(event.end) + ramp
    if v.prescale is not None:
        first, last = min(first, _naive(v.prescale.at)), max(last, _naive(v.prescale.until))
    # Words beside the last rule need room.
    return first - _ROUND, last + max(_ROUND, (last - first) * 0.12)


def _naive(moment: datetime) -> pd.Timestamp:
    """In UTC, without a zone: a browser then shows the same hour wherever it runs."""
    return pd.Timestamp(moment).tz_convert("UTC").tz_localize(None)


# --- the calls -----------------------------------------------------------------------------------------------


def event_calls(event: EventSummary, theme: Theme = "light") -> alt.LayerChart:
    """How an event comes to each service: calls go from left to right, a line is as wide as what they add.

    Regions are taken together; a service is NO-GO where one of its regions is. On a line stand the calls a request; in
    a box the verdict, the demand that the event adds there at P50, and how many times that makes the demand without it.
    """
    import altair as alt

    nodes, edges = _graph(event.verdicts, event.flows)
    if nodes.empty:
        return nothing("No service takes part in this event", theme)
    if len(nodes) > MAX_SERVICES:
        return nothing(f"{len(nodes)} services take part: too many to draw; they stand in the table", theme)
    ink = INKS[theme]
    rows = int(nodes["rows"].max())
    across = alt.Scale(domain=[-0.45, float(nodes["x"].max()) + 0.45], nice=False)
    down = alt.Scale(domain=[rows - 0.5, -0.5], nice=False)

    def at(x: str, y: str) -> dict[str, Any]:
        return {"x": alt.X(f"{x}:Q", scale=across, axis=None), "y": alt.Y(f"{y}:Q", scale=down, axis=None)}

    lines, boxes = alt.Chart(edges), alt.Chart(nodes)
    stroke = alt.Stroke(
        "verdict:N", scale=alt.Scale(domain=["GO", "NO-GO"], range=[ink.good, ink.bad]),
        legend=alt.Legend(symbolType="square", symbolFillColor="transparent"),
    )  # fmt: skip
    of_box = [alt.Tooltip("service:N"), alt.Tooltip("verdict:N"), alt.Tooltip("p50:Q", format=",.0f", title="adds P50")]
    of_line = [alt.Tooltip("caller:N"), alt.Tooltip("callee:N"), alt.Tooltip("calls:N", title="calls a request"),
               alt.Tooltip("p50:Q", format=",.0f", title="adds P50")]  # fmt: skip
    drawn = [
        lines.mark_rule(color=ink.point, opacity=0.6).encode(
            **at("x0", "y0"),
            x2=alt.X2("x1:Q"),
            y2=alt.Y2("y1:Q"),
            size=alt.Size("width:Q", scale=None),
            tooltip=of_line,
        ),
        # On a ground of its own, so that no line runs through the figure.
        lines.mark_text(fontSize=11, color=ink.ground, stroke=ink.ground, strokeWidth=5).encode(
            **at("xm", "ym"), text=alt.Text("calls:N")
        ),
        lines.mark_text(fontSize=11, color=ink.text).encode(**at("xm", "ym"), text=alt.Text("calls:N")),
    ]
    layers = [
        *(drawn if len(edges) else []),
        boxes.mark_rect(fill=ink.ground, strokeWidth=2, cornerRadius=4).encode(
            **at("left", "top"), x2=alt.X2("right:Q"), y2=alt.Y2("bottom:Q"), stroke=stroke, tooltip=of_box
        ),
        boxes.mark_text(dy=-8, color=ink.text, fontSize=12, fontWeight="bold", limit=150).encode(
            **at("x", "y"), text=alt.Text("service:N")
        ),
        boxes.mark_text(dy=9, color=ink.text, fontSize=11, limit=150).encode(**at("x", "y"), text=alt.Text("label:N")),
    ]
    return styled(alt.layer(*layers), theme, max(rows * _ROW, 2 * _ROW))


def _graph(verdicts: Sequence[EventVerdict], flows: Sequence[EventFlow]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Boxes and lines by service, laid out: a service stands right of all that call it."""
    names = list(dict.fromkeys(v.unit.service for v in verdicts))
    calls: dict[tuple[str, str], list[EventFlow]] = {}
    for f in flows:
        calls.setdefault((f.caller.service, f.callee.service), []).append(f)
    column = _columns(names, list(calls))
    place: dict[str, tuple[float, float]] = {}
    most = max((list(column.values()).count(c) for c in set(column.values())), default=0)
    for c in sorted(set(column.values())):
        here = [n for n in names if column[n] == c]
        for i, n in enumerate(_near_callers(here, calls, place)):
            place[n] = (float(c), (i + 0.5) * most / len(here) - 0.5)
    boxes = []
    for n in names:
        own = [v for v in verdicts if v.unit.service == n]
        refused = sum(not v.go for v in own)
        added, before = sum(v.demand_p50 - v.before_p50 for v in own), sum(v.before_p50 for v in own)
        grown = f" ({times((before + added) / before)})" if before > 0 else ""
        verdict = "NO-GO" if refused else "GO"
        some = f" in {refused} of {len(own)}" if 0 < refused < len(own) else ""
        x, y = place[n]
        boxes.append({
            "service": visible(n), "verdict": verdict, "label": f"{verdict}{some}, +{number(added)}{grown}",
            "p50": added,
            "x": x, "y": y, "left": x - _NODE_WIDTH / 2, "right": x + _NODE_WIDTH / 2, "top": y - _NODE_HEIGHT / 2,
            "bottom": y + _NODE_HEIGHT / 2, "rows": most,
        })  # fmt: skip
    return pd.DataFrame(boxes), _edges(calls, place)


def _columns(names: Sequence[str], edges: Sequence[tuple[str, str]]) -> dict[str, int]:
    """The longest way to each service; ``names`` has callers before those they call."""
    out = dict.fromkeys(names, 0)
    for n in names:
        out[n] = max((out[a] + 1 for a, b in edges if b == n and a in out), default=0)
    return out


def _near_callers(
    here: list[str], calls: Mapping[tuple[str, str], object], place: Mapping[str, tuple[float, float]]
) -> list[str]:
    """Services of one column in the order of where their callers stand, so that few lines cross."""

    def height(name: str) -> float:
        callers = [place[a][1] for a, b in calls if b == name and a in place]
        return sum(callers) / len(callers) if callers else 0.0

    return sorted(here, key=height)


def _edges(
    calls: Mapping[tuple[str, str], Sequence[EventFlow]], place: Mapping[str, tuple[float, float]]
) -> pd.DataFrame:
    rows = []
    known = [(a, b) for a, b in calls if a in place and b in place]
    largest = max((sum(f.p50 for f in calls[e]) for e in known), default=0.0)
    leaves, arrives = _ports(known, place)
    for a, b in known:
        p50 = sum(f.p50 for f in calls[a, b])
        x0, x1 = place[a][0] + _NODE_WIDTH / 2, place[b][0] - _NODE_WIDTH / 2
        y0, y1 = leaves[a, b], arrives[a, b]
        width = 1.0 + 7.0 * max(p50, 0.0) / largest if largest > 0 else 1.0
        rows.append({
            "caller": visible(a), "callee": visible(b), "calls": f"{calls[a, b][0].per_request:.3g}", "p50": p50,
            "width": width, "x0": x0, "y0": y0, "x1": x1, "y1": y1, "xm": x1 - _LABEL,
            "ym": y1 + 0.3 * (y0 - y1) * _LABEL / max(x1 - x0, 1e-9),
        })  # fmt: skip
    return pd.DataFrame(rows)


def _ports(
    edges: Sequence[tuple[str, str]], place: Mapping[str, tuple[float, float]]
) -> tuple[dict[tuple[str, str], float], dict[tuple[str, str], float]]:
    """Heights at which each line leaves and arrives: spread over a box's side in the order of its other ends."""
    leaves: dict[tuple[str, str], float] = {}
    arrives: dict[tuple[str, str], float] = {}
    for name in place:
        out = sorted((e for e in edges if e[0] == name), key=lambda e: place[e[1]][1])
        into = sorted((e for e in edges if e[1] == name), key=lambda e: place[e[0]][1])
        for ends, port in ((out, leaves), (into, arrives)):
            for i, e in enumerate(ends):
                port[e] = place[name][1] + ((i + 0.5) / len(ends) - 0.5) * _NODE_HEIGHT
    return leaves, arrives
