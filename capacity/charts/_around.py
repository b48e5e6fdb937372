"""What stands around one service: who calls it and whom it calls, and how busy its fleet is against what is safe."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from capacity.charts._price import middle_cut
from capacity.charts._theme import INKS, Theme, days, floats, nothing, styled, unit_label, visible
from capacity.words import number

if TYPE_CHECKING:
    import altair as alt

# More callers, or more called, than a picture of one service holds; the largest stay.
MAX_SIDE = 8
_WIDTH, _HEIGHT, _ROW = 0.62, 0.66, 58
_LETTERS = 26


def calls_around(calls: pd.DataFrame, service: str, region: str, theme: Theme = "light") -> alt.LayerChart:
    """One unit between those that call it and those that it calls; a line is as wide as the demand that it makes.

    On a line stand the calls for each request; in a box beside it how much of the callee's demand that explains.

    Parameters
    ----------
    calls
        caller, caller_region, callee, callee_region, per_request, demand, share_frac. Only the largest
        :data:`MAX_SIDE` a side are drawn; the caller says how many there are.
    service, region
        The unit in the middle.
    """
    import altair as alt

    boxes, lines = _around(calls, service, region)
    if lines.empty:
        return nothing("Nothing calls this service and it calls nothing, as far as the config tells", theme)
    ink = INKS[theme]
    rows = int(boxes["rows"].max())
    across, down = alt.Scale(domain=[-0.4, 2.4], nice=False), alt.Scale(domain=[rows - 0.5, -0.5], nice=False)

    def at(x: str, y: str) -> dict[str, Any]:
        return {"x": alt.X(f"{x}:Q", scale=across, axis=None), "y": alt.Y(f"{y}:Q", scale=down, axis=None)}

    line, box = alt.Chart(lines), alt.Chart(boxes)
    tips = [alt.Tooltip("caller:N"), alt.Tooltip("callee:N"), alt.Tooltip("calls:N", title="calls a request"),
            alt.Tooltip("demand:Q", format=",.0f", title="demand"),
            alt.Tooltip("share:N", title="of the callee's")]  # fmt: skip
    figure = {"fontSize": 12, "dy": -11}
    layers = [
        line.mark_rule(color=ink.point, opacity=0.6).encode(
            **at("x0", "y0"), x2=alt.X2("x1:Q"), y2=alt.Y2("y1:Q"), size=alt.Size("width:Q", scale=None), tooltip=tips
        ),
        line.mark_text(**figure, color=ink.ground, stroke=ink.ground, strokeWidth=5).encode(
            **at("xm", "ym"), text=alt.Text("calls:N")
        ),
        line.mark_text(**figure, color=ink.text).encode(**at("xm", "ym"), text=alt.Text("calls:N")),
        box.mark_rect(fill=ink.ground, stroke=ink.line, cornerRadius=4).encode(
            **at("left", "top"), x2=alt.X2("right:Q"), y2=alt.Y2("bottom:Q"),
            tooltip=[alt.Tooltip("unit:N"), alt.Tooltip("label:N")],
            strokeWidth=alt.StrokeWidth("stroke:Q", scale=None),
        ),
        box.mark_text(dy=-8, color=ink.text, fontSize=12, fontWeight="bold", limit=190).encode(
            **at("x", "y"), text=alt.Text("short:N")
        ),
        box.mark_text(dy=9, color=ink.text, fontSize=11, limit=190).encode(**at("x", "y"), text=alt.Text("label:N")),
    ]  # fmt: skip
    return styled(alt.layer(*layers), theme, max(rows * _ROW, 2 * _ROW))


def _around(calls: pd.DataFrame, service: str, region: str) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Boxes and lines: callers at the left, the unit in the middle, the called at the right."""
    own = (service, region)
    frame = calls.assign(demand=floats(calls["demand"]), share_frac=floats(calls["share_frac"]))
    into = frame[(frame["callee"] == service) & (frame["callee_region"] == region)]
    out = frame[(frame["caller"] == service) & (frame["caller_region"] == region)]
    into, out = (f.sort_values("demand", ascending=False, kind="stable").head(MAX_SIDE) for f in (into, out))
    rows = max(len(into), len(out), 1)
    boxes = [_box(own, 1, (rows - 1) / 2, rows, f"{len(into)} call it, it calls {len(out)}", 3.0)]
    lines = []
    largest = float(np.nanmax([*into["demand"], *out["demand"], 0.0]))
    for part, column, key in ((into, 0, "caller"), (out, 2, "callee")):
        for i, row in enumerate(part.to_dict("records")):
            y = (i + 0.5) * rows / len(part) - 0.5
            other = (str(row[key]), str(row[f"{key}_region"]))
            known = bool(np.isfinite(row["share_frac"]))
            whose = "of this one's demand" if column == 0 else "of its demand from here"
            label = f"{row['share_frac']:.0%} {whose}" if known else "share not known"
            boxes.append(_box(other, column, y, rows, label, 1.0))
            lines.append(_line(row, column, y, (rows - 1) / 2, largest, label))
    return pd.DataFrame(boxes), pd.DataFrame(lines)


def _box(unit: tuple[str, str], column: int, y: float, rows: int, label: str, stroke: float) -> dict[str, Any]:
    name = unit_label(*unit)
    return {
        "unit": name, "short": middle_cut(name, _LETTERS), "label": label, "x": float(column), "y": y, "rows": rows,
        "left": column - _WIDTH / 2, "right": column + _WIDTH / 2, "top": y - _HEIGHT / 2, "bottom": y + _HEIGHT / 2,
        "stroke": stroke,
    }  # fmt: skip


def _line(row: dict[Any, Any], column: int, y: float, middle: float, largest: float, share: str) -> dict[str, Any]:
    x0, y0, x1, y1 = (0.0, y, 1.0, middle) if column == 0 else (1.0, middle, 2.0, y)
    demand = row["demand"] if np.isfinite(row["demand"]) else 0.0
    # The figure stands nearer to the outer box: in the middle the lines meet.
    away = 0.4 if column == 0 else 0.6
    return {
        "caller": visible(row["caller"]), "callee": visible(row["callee"]), "demand": demand, "share": share,
        "calls": f"{number(float(row['per_request']))} a request", "x0": x0 + _WIDTH / 2, "y0": y0,
        "x1": x1 - _WIDTH / 2, "y1": y1, "width": 1.0 + 7.0 * demand / largest if largest > 0 else 1.0,
        "xm": x0 + _WIDTH / 2 + (1.0 - _WIDTH) * away, "ym": y0 + (y1 - y0) * away,
    }  # fmt: skip


def utilisation_weeks(headroom: pd.DataFrame, rho_star: float, theme: Theme = "light") -> alt.LayerChart:
    """How busy a fleet's vCPU are at the busiest moment of each week to come, against the most that is safe.

    Parameters
    ----------
    headroom
        week_start, utilisation_frac of one unit.
    rho_star
        The largest safe utilisation: a dashed rule with its name.
    """
    import altair as alt

    frame = pd.DataFrame({"week": days(headroom["week_start"]), "busy": floats(headroom["utilisation_frac"])})
    frame = frame.dropna()
    if frame.empty or not np.isfinite(rho_star):
        return nothing("How busy this fleet's vCPU will be is not known", theme)
    ink = INKS[theme]
    frame = frame.assign(key=["above safe" if b > rho_star else "within safe" for b in frame["busy"]])
    top = max(1.1, float(frame["busy"].max()) * 1.15)
    y = alt.Scale(domain=[0.0, top], nice=False)
    colour = alt.Color(
        "key:N", scale=alt.Scale(domain=["within safe", "above safe"], range=[ink.line, ink.bad]),
        legend=alt.Legend(symbolType="square"),
    )  # fmt: skip
    bars = alt.Chart(frame).mark_bar(size=9).encode(
        x=alt.X("week:T", title="week starting", axis=alt.Axis(grid=False, format="%d %b", labelOverlap=True)),
        y=alt.Y("busy:Q", scale=y, title="busy at the week's peak", axis=alt.Axis(format="%", tickCount=5)),
        color=colour,
        tooltip=[alt.Tooltip("week:T", format="%d %b %Y"), alt.Tooltip("busy:Q", format=".0%"), alt.Tooltip("key:N")],
    )  # fmt: skip
    label = pd.DataFrame({"at": [rho_star], "text": [f"dashed: ρ* {rho_star:.0%}, the most that keeps the promise"]})
    rule = alt.Chart(label).mark_rule(color=ink.limit, strokeDash=[6, 4], strokeWidth=1.5).encode(y=alt.Y("at:Q"))
    # Above all bars: on the rule it would run over them.
    words = alt.Chart(label).mark_text(align="left", baseline="top", dx=4, color=ink.limit, fontSize=11)
    return styled(
        alt.layer(bars, rule, words.encode(x=alt.XValue(0), y=alt.YValue(1), text=alt.Text("text:N"))), theme, 220
    )
