"""Charts of the plan itself: headroom and coverage by month, fleets that cost nearly the same, and its whole money."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from capacity.charts._headroom import ROW_PIXELS, STOPS, _percent, _score, cell_colour
from capacity.charts._money import _money_axis, _months_axis, _names_axis
from capacity.charts._price import middle_cut
from capacity.charts._theme import INKS, Ink, Theme, floats, nothing, readable_on, styled, unit_label, visible

if TYPE_CHECKING:
    import altair as alt

# Two numbers a month fit a page side by side for so many months.
MAX_MONTHS = 16
# Colours that stay apart, less one for the rest.
MAX_PARTS = 7
NOW = "now"
LOST = "does not survive the loss of its zones"
_RUNS, _PLANNED = "what runs", "as planned"


# --- headroom by month ---------------------------------------------------------------------------------------


def headroom_months(headroom: pd.DataFrame, theme: Theme = "light", max_rows: int = 40) -> alt.LayerChart:
    """Headroom in percent by month, of what runs (left) and of what is planned (right); the least first.

    Parameters
    ----------
    headroom
        service, region, month, headroom_running_frac, headroom_planned_frac, policy_frac. A month ``now`` comes first.
        Cells whose survives_running or survives_planned is False get a mark, where the frame has these columns.
    max_rows
        Only the worst so many units are drawn; the caller says how many there are.
    """
    import altair as alt

    months = _in_order(headroom["month"])[:MAX_MONTHS]
    frame = _sides(headroom, months, max_rows)
    if frame.empty:
        return nothing("No headroom by month: no service has a fleet whose safe capacity is known", theme)
    ink = INKS[theme]
    columns = [*(f"{_RUNS}|{m}" for m in months), "|", *(f"{_PLANNED}|{m}" for m in months if m != NOW)]
    short = len(months) > 7
    base = alt.Chart(frame).encode(
        x=alt.X("column:O", sort=columns, title=None, scale=alt.Scale(domain=columns, paddingInner=0),
                axis=alt.Axis(orient="top", labelAngle=0, domain=False, ticks=False, labelFontSize=9 if short else 11,
                              labelExpr=_month_label(short), labelPadding=3)),
        y=alt.Y("unit:N", sort=list(dict.fromkeys(frame["unit"])), title=None, axis=_names_axis()),
    )  # fmt: skip
    scale = alt.Scale(domain=[s for s, _ in STOPS], range=[c for _, c in STOPS], clamp=True)
    legend = alt.Legend(
        orient="bottom", gradientLength=260, gradientThickness=10, values=[-1, 0, 1], labelLimit=200,
        labelExpr="datum.value == -1 ? 'no headroom' : datum.value == 0 ? 'at policy' : 'ample'",
    )  # fmt: skip
    tips = [alt.Tooltip("unit:N"), alt.Tooltip("month:N"), alt.Tooltip("side:N"),
            alt.Tooltip("headroom:Q", format=".1%"), alt.Tooltip("policy:Q", format=".0%")]  # fmt: skip
    rect = base.mark_rect(stroke=ink.ground, strokeWidth=1).encode(
        color=alt.Color("score:Q", scale=scale, legend=legend), tooltip=tips
    )
    text = base.mark_text(fontSize=10).encode(text=alt.Text("label:N"), color=alt.Color("ink:N", scale=None))
    marks = _lost(base, ink) if frame["lost"].any() else []
    layers = alt.layer(rect, text, *marks, *_headings(columns, months, ink)).resolve_scale(color="independent")
    return styled(layers, theme, alt.Step(ROW_PIXELS))


def _lost(base: alt.Chart, ink: Ink) -> list[alt.Chart]:
    """A small triangle in the corner of cells whose fleet does not survive the loss of its zones, and its legend."""
    import altair as alt

    marked = base.transform_filter("datum.lost").transform_calculate(key=f"'{LOST}'")
    legend = alt.Legend(orient="bottom", title=None, labelLimit=400, symbolStrokeWidth=0, symbolFillColor=ink.text)
    shape = alt.Shape("key:N", scale=alt.Scale(domain=[LOST], range=["triangle-up"]), legend=legend)
    point = marked.mark_point(size=26, filled=True, opacity=1, xOffset=11, yOffset=-5)
    return [point.encode(shape=shape, color=alt.Color("ink:N", scale=None))]


def _in_order(months: pd.Series) -> list[str]:
    """Months in time's order, ``now`` before them."""
    return sorted({visible(m) for m in months}, key=lambda m: (m != NOW, m))


def _month_label(short: bool) -> str:
    """Vega expression: Oct 26 of "what runs|2026-10"; one letter and the year's end where columns are narrow."""
    month = "split(datum.value, '|')[1]"
    names = "['Jan','Feb','Mar','Apr','May','Jun','Jul','Aug','Sep','Oct','Nov','Dec']"
    name = f"{names}[toNumber(slice({month}, 5, 7)) - 1]"
    year = "''" if short else f"' ' + slice({month}, 2, 4)"
    return f"length({month}) == 7 ? {name} + {year} : {month}"


def _sides(headroom: pd.DataFrame, months: Sequence[str], max_rows: int) -> pd.DataFrame:
    """A row a cell: unit, column, headroom, and what colour and text it has."""
    plain = pd.DataFrame({
        "unit": [unit_label(s, r) for s, r in zip(headroom["service"], headroom["region"], strict=True)],
        "month": [visible(m) for m in headroom["month"]],
        _RUNS: floats(headroom["headroom_running_frac"]),
        _PLANNED: floats(headroom["headroom_planned_frac"]),
        "policy": floats(headroom["policy_frac"]),
        **{f"lost {side}": _not(headroom, f"survives_{column}")
           for side, column in ((_RUNS, "running"), (_PLANNED, "planned"))},
    })  # fmt: skip
    ids = ["unit", "month", "policy"]
    frame = plain.melt([*ids, *(f"lost {s}" for s in (_RUNS, _PLANNED))], [_RUNS, _PLANNED], "side", "headroom")
    frame["lost"] = frame[f"lost {_RUNS}"].where(frame["side"] == _RUNS, frame[f"lost {_PLANNED}"])
    frame = frame[[*ids, "side", "headroom", "lost"]]
    frame = frame.replace([np.inf, -np.inf], np.nan).dropna(subset=["headroom"])
    # Now, nothing is planned yet.
    frame = frame[frame["month"].isin(list(months)) & ((frame["month"] != NOW) | (frame["side"] == _RUNS))]
    worst = frame.groupby("unit", sort=True)["headroom"].min().sort_values(kind="stable")
    rank = {unit: i for i, unit in enumerate(worst.index[:max_rows])}
    frame = frame[frame["unit"].isin(list(rank))].sort_values("unit", key=lambda c: c.map(rank), kind="stable")
    return frame.assign(
        column=[f"{side}|{m}" for side, m in zip(frame["side"], frame["month"], strict=True)],
        score=[_score(h, p) for h, p in zip(frame["headroom"], frame["policy"], strict=True)],
        label=[_percent(h) for h in frame["headroom"]],
    ).assign(ink=lambda f: [readable_on(cell_colour(s)) for s in f["score"]])


def _not(frame: pd.DataFrame, column: str) -> list[bool]:
    """Where ``column`` says no; nowhere in a frame without it."""
    if column not in frame:
        return [False] * len(frame)
    return [v is not None and not pd.isna(v) and not v for v in frame[column]]


def _headings(columns: Sequence[str], months: Sequence[str], ink: Ink) -> list[Any]:
    """What each half of the picture is, above its first month."""
    import altair as alt

    begins = {_RUNS: 0, _PLANNED: len(months) + 1}
    firsts = pd.DataFrame([{"column": columns[at], "text": name} for name, at in begins.items() if at < len(columns)])
    mark = alt.Chart(firsts).mark_text(align="left", baseline="bottom", dy=-20, fontSize=12, color=ink.text)
    x = alt.X("column:O", sort=list(columns), bandPosition=0.0)
    return [mark.encode(x=x, y=alt.YValue(0), text=alt.Text("text:N"))]


# --- coverage of one unit ------------------------------------------------------------------------------------


def coverage_months(coverage: pd.DataFrame, theme: Theme = "light") -> alt.LayerChart:
    """Share of futures that the plan serves whole, by month, against what is promised; and with one instance fewer.

    Parameters
    ----------
    coverage
        month, coverage_frac, required_frac, one_fewer_frac of one unit.
    """
    import altair as alt

    columns = {"as planned": "coverage_frac", "one instance a zone fewer": "one_fewer_frac",
               "promised": "required_frac"}  # fmt: skip
    keys = list(columns)
    wide = pd.DataFrame({key: floats(coverage[column]) for key, column in columns.items()})
    wide.insert(0, "month", [visible(m) for m in coverage["month"]])
    frame = wide.melt("month", keys, "key", "share").dropna(subset=["share"])
    if frame[frame["key"] == keys[0]].empty:
        return nothing("No coverage is simulated for this service", theme)
    ink = INKS[theme]
    colours = alt.Scale(domain=keys, range=[ink.line, ink.plain, ink.limit])
    legend = alt.Legend(symbolStrokeWidth=2, labelLimit=240)
    low = float(frame["share"].min())
    y = alt.Y("share:Q", title="share of futures that fit", axis=alt.Axis(format="%", tickCount=5),
              scale=alt.Scale(domain=[max(low - (1 - low) * 0.15, 0.0), 1.0], nice=False, zero=False))  # fmt: skip
    months = _in_order(frame["month"])
    base = alt.Chart(frame).encode(
        x=alt.X("month:O", sort=months, title=None, axis=_months_axis()), y=y,
        color=alt.Color("key:N", scale=colours, legend=legend),
        shape=alt.Shape("key:N", scale=alt.Scale(domain=keys, range=["circle", "triangle-down", "stroke"])),
        tooltip=[alt.Tooltip("month:N"), alt.Tooltip("key:N"), alt.Tooltip("share:Q", format=".2%")],
    )  # fmt: skip
    points = base.transform_filter(f"datum.key != '{keys[2]}'").mark_point(size=90, filled=True, opacity=1)
    promised = base.transform_filter(f"datum.key == '{keys[2]}'").mark_point(size=600, strokeWidth=2, opacity=1)
    return styled(alt.layer(promised, points), theme, 200)


# --- alternatives --------------------------------------------------------------------------------------------


def fleet_shapes(shapes: pd.DataFrame, theme: Theme = "light") -> alt.LayerChart:
    """Instances by family, a bar a plan: what nearly equal money would buy instead.

    Parameters
    ----------
    shapes
        name, instance_type, instances. Plans are drawn in the order in which they come.
    """
    import altair as alt

    frame = family_counts(shapes)
    if frame.empty:
        return nothing("No plan differs from this one and costs within 1 % of it", theme)
    names, families = list(dict.fromkeys(frame["name"])), list(dict.fromkeys(frame["family"]))
    ink = INKS[theme]
    colour = alt.Color(
        "family:N", scale=alt.Scale(domain=families, range=_part_colours(families, ink)),
        legend=alt.Legend(symbolType="square", symbolStrokeWidth=0, columns=8),
    )  # fmt: skip
    most = float(frame.groupby("name")["instances"].sum().max())
    axis = _names_axis()
    y = alt.Y("name:N", sort=names, title=None, axis=axis)
    x = alt.X("instances:Q", title="instances in the month of the largest fleet", axis=alt.Axis(tickCount=6),
              scale=alt.Scale(domain=[0, most * 1.1 or 1.0], nice=False))  # fmt: skip
    tips = [alt.Tooltip("name:N"), alt.Tooltip("family:N"), alt.Tooltip("instances:Q", format=",.0f")]
    bars = alt.Chart(frame).mark_bar(height=20, stroke=ink.ground, strokeWidth=1).encode(
        y=y, x=x, color=colour, order=alt.Order("rank:Q"), tooltip=tips
    )  # fmt: skip
    totals = frame.groupby("name", sort=False, as_index=False)["instances"].sum()
    totals["label"] = [f"{n:,.0f}" for n in totals["instances"]]
    text = alt.Chart(totals).mark_text(align="left", dx=6, fontSize=11, color=ink.text)
    return styled(
        alt.layer(bars, text.encode(y=y, x=alt.X("instances:Q"), text=alt.Text("label:N"))), theme, alt.Step(32)
    )


def family_counts(shapes: pd.DataFrame) -> pd.DataFrame:
    """name, family, instances, rank: instances of each plan by family, the commonest first, small ones as one."""
    frame = pd.DataFrame({
        "name": [middle_cut(visible(n), 30) for n in shapes["name"]],
        "family": [visible(str(t)).split(".")[0] for t in shapes["instance_type"]],
        "instances": floats(shapes["instances"]),
    }).dropna()  # fmt: skip
    frame["family"] = _largest(frame, "family", "instances", "families")
    size = frame["instances"].groupby(frame["family"]).sum()
    order = sorted(size.index, key=lambda f: (f.startswith("other "), -size[f], f))
    position = {name: i for i, name in enumerate(dict.fromkeys(frame["name"]))}
    sums = frame.groupby(["name", "family"])["instances"].sum().reset_index()
    sums["rank"] = [order.index(f) for f in sums["family"]]
    sums["place"] = [position[n] for n in sums["name"]]
    return sums.sort_values(by=["place", "rank"]).drop(columns="place").reset_index(drop=True)


def _largest(frame: pd.DataFrame, column: str, amount: str, what: str) -> list[str]:
    """``column`` with all but the largest named as one."""
    size = frame[amount].abs().groupby(frame[column]).sum().sort_values(ascending=False, kind="stable")
    if len(size) <= MAX_PARTS + 1:
        return list(frame[column])
    keep = set(size.index[:MAX_PARTS])
    rest = f"other {what} ({len(size) - MAX_PARTS})"
    return [name if name in keep else rest for name in frame[column]]


def _part_colours(names: Sequence[str], ink: Ink) -> list[str]:
    return [ink.plain if n.startswith("other ") else ink.series[i % len(ink.series)] for i, n in enumerate(names)]


# --- the plan's whole money ----------------------------------------------------------------------------------


def plan_total(total: pd.DataFrame, theme: Theme = "light", currency: str = "USD") -> alt.LayerChart:
    """All money of the plan's months by part; the sum stands above each bar.

    Parameters
    ----------
    total
        month, part, amount, without rows that are sums of others. Amounts below 0 (credits) hang below the axis.
    """
    import altair as alt

    frame = pd.DataFrame({"month": [visible(m) for m in total["month"]],
                          "part": [visible(p).replace("_", " ") for p in total["part"]],
                          "amount": floats(total["amount"])}).dropna()  # fmt: skip
    if frame.empty:
        return nothing("No total: this plan does not hold all money of its months", theme)
    ink = INKS[theme]
    frame["part"] = _largest(frame, "part", "amount", "parts")
    frame = frame.groupby(["month", "part"], sort=True)["amount"].sum().reset_index()
    size = frame["amount"].abs().groupby(frame["part"]).sum().sort_values(ascending=False, kind="stable")
    parts = sorted(size.index, key=lambda p: (p.startswith("other "), -size[p]))
    frame["rank"] = [parts.index(p) for p in frame["part"]]
    colour = alt.Color("part:N", scale=alt.Scale(domain=parts, range=_part_colours(parts, ink)),
                       legend=alt.Legend(symbolType="square", symbolStrokeWidth=0))  # fmt: skip
    months = _in_order(frame["month"])
    x = alt.X("month:O", sort=months, title=None, axis=_months_axis())
    tips = [alt.Tooltip("month:N"), alt.Tooltip("part:N"), alt.Tooltip("amount:Q", format=",.2f")]
    bars = alt.Chart(frame).mark_bar(width={"band": 0.6}, stroke=ink.ground, strokeWidth=0.5).encode(
        x=x, y=alt.Y("amount:Q", title=f"{visible(currency)} a month", axis=_money_axis()), color=colour,
        order=alt.Order("rank:Q"), tooltip=tips,
    )  # fmt: skip
    sums = frame.groupby("month", as_index=False, sort=True).agg(
        total=("amount", "sum"), top=("amount", lambda a: a.clip(lower=0.0).sum())
    )
    sums["label"] = [f"{v:,.0f}".replace("-", "−") for v in sums["total"]]
    text = (
        alt.Chart(sums)
        .mark_text(dy=-8, fontSize=11, color=ink.text)
        .encode(x=x, y=alt.Y("top:Q"), text=alt.Text("label:N"))
    )
    return styled(alt.layer(bars, text), theme, 260)
