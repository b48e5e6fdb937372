"""Charts of unit cost: what it was and will be, and which services a journey pays."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from capacity.charts._money import LOG_FROM, _months_axis, _names_axis
from capacity.charts._theme import (
    INKS,
    Theme,
    floats,
    legend_columns,
    nothing,
    readable_on,
    series_scales,
    styled,
    visible,
)

if TYPE_CHECKING:
    import altair as alt

# More lines with a band each are not told apart.
MAX_SERIES = 5
# Services of a journey that have a colour of their own; what is below this share of the dearest journey joins the rest.
MAX_PARTS = 7
LEAST_PART_FRAC = 0.015
# A part narrower than this share of the picture has no room for a letter; one of a letter is about so wide.
LETTER_FRAC = 0.014
REST = "other services"
# Beside the longest bar its sum is written.
_ROOM = 1.12


def unit_cost_outlook(
    groups: pd.DataFrame, ahead: pd.DataFrame, names: Sequence[str] | None = None, theme: Theme = "light"
) -> alt.LayerChart:
    """Unit cost by month so far, and its median and P10 to P90 to come, of up to five names.

    Parameters
    ----------
    groups
        Rows of ``unit_cost_groups`` of one level and one driver (or of journeys): name, month, currency,
        effective_cost, per_1000, per.
    ahead
        Rows of ``unit_cost_forecast`` of the same: name, month, currency, q10, q50, q90, per.
    names
        In this order; the dearest where absent. Where units are spoken of in other numbers (1 order, 1,000 requests),
        the first name's decides, and all are drawn for as many.
    """
    import altair as alt

    past, future = _past(groups), _future(ahead)
    known = pd.concat([past["name"], future["name"]]).unique()
    dearest = past.groupby("name")["cost"].sum().sort_values(ascending=False, kind="stable").index
    asked = list(dearest) if names is None else [visible(n) for n in names]
    chosen = [n for n in dict.fromkeys(asked) if n in set(known)][:MAX_SERIES]
    if not chosen:
        return nothing("No unit cost: a bill and a count of units are needed for the same month", theme)
    past, future = past[past["name"].isin(chosen)], future[future["name"].isin(chosen)]
    per = float(pd.concat([f[f["name"] == chosen[0]]["of"] for f in (past, future)]).iloc[0])
    past = past.assign(value=past["value"] * per / 1000.0)
    future = future.assign(**{q: future[q] * per / 1000.0 for q in ("q10", "q50", "q90")})
    values = pd.concat([past["value"], future["q10"]])
    wide = bool(values.min() > 0 and values.max() > LOG_FROM * values.min())
    currencies = sorted({*past["currency"], *future["currency"]})
    title = f"{' and '.join(currencies)} per {per:,.6g}{' (log scale)' if wide else ''}"
    return styled(alt.layer(*_outlook_layers(past, future, chosen, title, wide, theme)), theme)


def _past(groups: pd.DataFrame) -> pd.DataFrame:
    frame = pd.DataFrame({c: groups[c].map(visible) for c in ("name", "month", "currency")})
    frame["cost"], frame["value"] = floats(groups["effective_cost"]), floats(groups["per_1000"])
    frame["of"] = floats(groups["per"])
    return frame.dropna(subset=["value"])


def _future(ahead: pd.DataFrame) -> pd.DataFrame:
    frame = pd.DataFrame({c: ahead[c].map(visible) for c in ("name", "month", "currency")})
    for q in ("q10", "q50", "q90"):
        frame[q] = floats(ahead[q])
    frame["of"] = floats(ahead["per"])
    return frame.dropna(subset=["q10", "q50", "q90"])


def _outlook_layers(
    past: pd.DataFrame, future: pd.DataFrame, names: list[str], title: str, wide: bool, theme: Theme
) -> list[Any]:
    import altair as alt

    ink, scales = INKS[theme], series_scales(names, theme)
    months = sorted({*past["month"], *future["month"]})
    x = alt.X("month:O", sort=months, scale=alt.Scale(domain=months), title=None, axis=_months_axis())
    scale = alt.Scale(type="log") if wide else alt.Scale(zero=True)
    axis = alt.Axis(title=title, tickCount=6, labelOverlap=True, grid=not wide, format="~g")
    legend = alt.Legend(symbolStrokeWidth=0, columns=legend_columns(names))
    colour = alt.Color("name:N", scale=scales["color"], legend=legend)
    shape = alt.Shape("name:N", scale=scales["shape"])
    dash = alt.StrokeDash("name:N", scale=scales["dash"])
    tip = [alt.Tooltip("name:N"), alt.Tooltip("month:O")]
    y = alt.Y("value:Q", scale=scale, axis=axis)
    before = alt.Chart(past).encode(x=x, y=y, color=colour, tooltip=[*tip, alt.Tooltip("value:Q", format=".4~g")])
    coming = alt.Chart(future).encode(x=x, color=colour)
    bounds = [alt.Tooltip(f"{q}:Q", format=".4~g") for q in ("q10", "q50", "q90")]
    middle = alt.Y("q50:Q", scale=scale, axis=axis)
    layers = [
        coming.mark_area(opacity=0.22).encode(y=alt.Y("q10:Q", scale=scale, axis=axis), y2=alt.Y2("q90:Q")),
        before.mark_line(strokeWidth=2).encode(strokeDash=dash),
        before.mark_point(size=45, filled=True).encode(shape=shape),
        coming.mark_line(strokeWidth=1.5).encode(y=middle, strokeDash=dash),
        coming.mark_point(size=30, filled=False).encode(y=middle, shape=shape, tooltip=[*tip, *bounds]),
    ]
    if len(past) and len(future):
        first = pd.DataFrame({"month": [min(future["month"])], "text": ["forecast, P10 to P90 →"]})
        mark = alt.Chart(first).encode(x=x)
        layers.append(mark.mark_rule(color=ink.muted, strokeDash=[3, 3]))
        text = mark.mark_text(align="left", dx=5, dy=-4, fontSize=11, color=ink.muted, baseline="bottom")
        layers.append(text.encode(text=alt.Text("text:N"), y=alt.YValue(0)))
    return layers


def journey_stack(journey_costs: pd.DataFrame, month: str | None = None, theme: Theme = "light") -> alt.LayerChart:
    """What 1,000 of each journey cost, by the services that they pay, the dearest journey first.

    Parameters
    ----------
    journey_costs
        Frame ``journey_costs``: journey, service, month, currency, effective_cost, journeys. What no journey explains
        is not drawn. Currencies are never added: the first is drawn.
    month
        The last one where absent.
    """
    import altair as alt

    frame, when = _journey_frame(journey_costs, month)
    if frame.empty:
        return nothing("No journey is defined, or none was counted", theme)
    ink = INKS[theme]
    parts, order = _placed(frame)
    series = dict(zip(order, ink.series, strict=False)) | {REST: ink.plain}
    shades = [series[p] for p in order]
    parts["ink"] = [readable_on(series[p]) for p in parts["part"]]
    totals = parts.groupby("journey")["value"].sum().sort_values(ascending=False, kind="stable")
    ends = pd.DataFrame({"journey": totals.index, "total": totals.to_numpy(), "label": [f"{t:,.4g}" for t in totals]})
    scale = alt.Scale(domain=[0, float(totals.max()) * _ROOM], nice=False)
    y = alt.Y("journey:N", sort=list(totals.index), title=None, axis=_names_axis())
    axis = alt.Axis(tickCount=6, labelOverlap=True, format="~g")
    x = alt.X("at:Q", scale=scale, axis=axis, title=f"{frame['currency'].iloc[0]} per 1,000 in {when}")
    colour = alt.Color("part:N", scale=alt.Scale(domain=order, range=shades), legend=alt.Legend(symbolType="square"))
    base = alt.Chart(parts).encode(y=y)
    tips = [alt.Tooltip("journey:N"), alt.Tooltip("part:N", title="service"), alt.Tooltip("value:Q", format=".4~g"),
            alt.Tooltip("share:Q", format=".0%")]  # fmt: skip
    bars = base.mark_bar(height=24, stroke=ink.ground, strokeWidth=1)
    text = base.mark_text(fontSize=10)
    end = alt.Chart(ends).mark_text(align="left", dx=5, fontSize=11, color=ink.text)
    layers = [
        bars.encode(x=x, x2=alt.X2("to:Q"), color=colour, tooltip=tips),
        text.encode(x=alt.X("middle:Q", scale=scale), text=alt.Text("label:N"), color=alt.Color("ink:N", scale=None)),
        end.encode(y=y, x=alt.X("total:Q", scale=scale), text=alt.Text("label:N")),
    ]
    return styled(alt.layer(*layers).resolve_scale(color="independent"), theme, alt.Step(44))


def _placed(frame: pd.DataFrame) -> tuple[pd.DataFrame, list[str]]:
    """Parts with where they lie in their journey's bar and what is written there, and the order of all parts."""
    parts = _parts(frame)
    order = [p for p in dict.fromkeys(parts["part"]) if p != REST] + [REST] * int((parts["part"] == REST).any())
    rank = {p: i for i, p in enumerate(order)}
    parts = parts.assign(rank=parts["part"].map(rank)).sort_values(["journey", "rank"], ignore_index=True)
    parts["to"] = parts.groupby("journey")["value"].cumsum()
    parts["at"] = parts["to"] - parts["value"]
    parts["middle"] = (parts["at"] + parts["to"]) / 2.0
    room = parts["value"] / (float(parts["to"].max()) * _ROOM) / LETTER_FRAC
    parts["label"] = [p if len(p) <= r else "" for p, r in zip(parts["part"], room, strict=True)]
    return parts, order


def _journey_frame(costs: pd.DataFrame, month: str | None) -> tuple[pd.DataFrame, str]:
    """journey, service, currency, value (a 1,000 journeys) of one month."""
    frame = pd.DataFrame({c: costs[c].map(visible) for c in ("journey", "service", "month", "currency")})
    cost, count = floats(costs["effective_cost"]), floats(costs["journeys"])
    frame["value"] = np.divide(1000.0 * cost, count.where(count > 0))
    frame = frame.dropna(subset=["value"])
    frame = frame[frame["value"] > 0]
    if frame.empty:
        return frame, ""
    when = month or str(frame["month"].max())
    frame = frame[frame["month"] == when]
    return frame[frame["currency"] == (min(frame["currency"]) if len(frame) else "")], when


def _parts(frame: pd.DataFrame) -> pd.DataFrame:
    """journey, part, value, share: the services that most money goes to, dearest first, and the rest as one."""
    least = LEAST_PART_FRAC * float(frame.groupby("journey")["value"].sum().max())
    most = frame.groupby("service")["value"].max().sort_values(ascending=False, kind="stable")
    kept = [str(name) for name, value in most.items() if value >= least][:MAX_PARTS]
    named = frame.assign(part=frame["service"].where(frame["service"].isin(kept), REST))
    out = named.groupby(["journey", "part"])["value"].sum().reset_index()
    rank = {name: i for i, name in enumerate([*kept, REST])}
    out = out.assign(rank=out["part"].map(rank)).sort_values("rank", kind="stable", ignore_index=True)
    out["share"] = out["value"] / out.groupby("journey")["value"].transform("sum")
    return out
