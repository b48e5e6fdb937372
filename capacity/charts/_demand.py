"""Charts of demand: the forecast's fan, when limits are passed, headroom, load, and the peak event."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from capacity.charts._fan_marks import Span, before_key, before_layers, event_layers, safe_layers
from capacity.charts._theme import (
    INKS,
    Ink,
    Theme,
    days,
    floats,
    nothing,
    series_scales,
    styled,
    unit_label,
    visible,
)
from capacity.domain import EventVerdict, Interval
from capacity.words import SPOKEN, day, number, quantity

if TYPE_CHECKING:
    import altair as alt

# A limit this many times above everything else would flatten the forecast: it is named, not drawn to scale.
FAR_LIMIT = 2.5
# Points a line: finer than a pixel is not seen, and Altair refuses frames beyond 5,000 rows.
MAX_POINTS = 1200
MAX_CURVES = 8
MAX_EVENT_BARS = 40


def fan(
    forecast: pd.DataFrame,
    history: pd.DataFrame,
    limits: Sequence[tuple[str, float]] = (),
    dates: Sequence[tuple[str, date]] = (),
    unit: str = "",
    theme: Theme = "light",
    *,
    safe: Interval | None = None,
    events: Sequence[Span] = (),
    before: pd.DataFrame | None = None,
) -> alt.LayerChart:
    """The forecast's 95 % and 80 % bands and median over the past, with limits and dates.

    Parameters
    ----------
    forecast
        ts, q025, q10, q50, q90, q975; one row a step.
    history
        ts, value.
    limits
        (label, amount in the demand's unit): dashed lines. One far above the forecast is named at the top instead.
    dates
        (label, day): vertical lines, e.g. ("P10 passes safe capacity", 2027-03-08).
    safe
        What is safe, with its interval: a band; left out where it is as far off as a limit that is only named.
    events
        (name, first day, last day): bands with their names.
    before
        origin_ts, ts, q10, q50, q90 of a forecast made earlier, to be held against what came.
    """
    import altair as alt

    future, past = _fan_frames(forecast, history)
    if future.empty and past.empty:
        return nothing("No forecast and no history to show", theme)
    ink = INKS[theme]
    top = float(np.nanmax([future["q975"].max() if len(future) else 0.0, past["value"].max() if len(past) else 0.0]))
    near = [(name, at) for name, at in limits if at <= FAR_LIMIT * top]
    far = [(name, at) for name, at in limits if at > FAR_LIMIT * top]
    said = before if before is not None else pd.DataFrame(columns=["origin_ts", "ts", "q10", "q50", "q90"])
    layers = [
        *event_layers(events, *_span(past, future), ink),
        *safe_layers(safe if safe is not None and safe.high <= FAR_LIMIT * top else None, _amounts(), ink),
        *_fan_layers(future, past, ink, unit, said),
    ]
    layers += _limit_layers(_labelled(near, unit, safe), _labelled(far, unit, safe), past, future, ink)
    layers += _date_layers(dates, past, future, ink)
    return styled(alt.layer(*layers), theme)


def _fan_frames(forecast: pd.DataFrame, history: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    future = pd.DataFrame({q: floats(forecast[q]) for q in ("q025", "q10", "q50", "q90", "q975")})
    future.insert(0, "ts", days(forecast["ts"]))
    past = pd.DataFrame({"ts": days(history["ts"]), "value": floats(history["value"])}).dropna()
    return _thin(future.dropna()), past.tail(MAX_POINTS)


def _thin(frame: pd.DataFrame, most: int = MAX_POINTS) -> pd.DataFrame:
    step = -(-len(frame) // most) or 1
    return frame.iloc[::step]


def _amounts() -> alt.Scale:
    import altair as alt

    return alt.Scale(zero=False, nice=True)


_FAN_KEYS = ("daily peak so far", "median forecast", "80% interval", "95% interval")


def _fan_layers(future: pd.DataFrame, past: pd.DataFrame, ink: Ink, unit: str, before: pd.DataFrame) -> list[Any]:
    import altair as alt

    keys, colours = list(_FAN_KEYS), [ink.point, ink.line, ink.band80, ink.band95]
    if earlier := before_key(before):
        keys, colours = [*keys, earlier], [*colours, ink.series[1]]
    colour = alt.Color(
        "key:N", scale=alt.Scale(domain=keys, range=colours),
        legend=alt.Legend(symbolType="square", symbolStrokeWidth=0, columns=5),
    )  # fmt: skip
    x = alt.X(
        "ts:T", title=None, axis=alt.Axis(grid=False, tickCount="month", labelExpr=_MONTH_LABEL, labelOverlap=True)
    )
    y = _amounts()
    ticks = alt.Axis(labelExpr=_AMOUNT_LABEL)

    def band(low: str, high: str, key: str) -> Any:
        base = alt.Chart(future.assign(key=key))
        return base.mark_area().encode(
            x=x, y=alt.Y(f"{low}:Q", title=_spoken(unit), scale=y, axis=ticks), y2=alt.Y2(f"{high}:Q"), color=colour
        )

    history = alt.Chart(past.assign(key=_FAN_KEYS[0])).mark_circle(size=12, opacity=0.75)
    median = alt.Chart(future.assign(key=_FAN_KEYS[1])).mark_line(strokeWidth=2)
    tips = [alt.Tooltip("ts:T", title="day", format="%d %b %Y")]
    past_tips = [*tips, alt.Tooltip("value:Q", format=",.4~g")]
    return [
        band("q025", "q975", _FAN_KEYS[3]),
        band("q10", "q90", _FAN_KEYS[2]),
        history.encode(x=x, y=alt.Y("value:Q", scale=y), color=colour, tooltip=past_tips),
        median.encode(
            x=x, y=alt.Y("q50:Q", scale=y), color=colour,
            tooltip=[*tips, *(alt.Tooltip(f"{q}:Q", format=",.4~g") for q in ("q10", "q50", "q90"))],
        ),
        *before_layers(before, x, y, colour, ink),
    ]  # fmt: skip


# 2,400 as it is; 17.6T for bytes and other large amounts.
_AMOUNT_LABEL = "abs(datum.value) >= 1e6 ? format(datum.value, '.3~s') : format(datum.value, ',~g')"


def _spoken(unit: str) -> str | None:
    """The axis title of an amount in ``unit``; none where it only counts."""
    return SPOKEN.get(unit, visible(unit)) or None


# "Nov", and the year where it begins.
_MONTH_LABEL = "month(datum.value) == 0 ? timeFormat(datum.value, '%b %Y') : timeFormat(datum.value, '%b')"


def _day_axis() -> Any:
    import altair as alt

    axis = alt.Axis(grid=False, tickCount="month", labelExpr=_MONTH_LABEL, labelOverlap=True)
    return alt.X("ts:T", title=None, axis=axis)


def _span(past: pd.DataFrame, future: pd.DataFrame) -> tuple[pd.Timestamp, pd.Timestamp]:
    stamps = pd.concat([past["ts"], future["ts"]])
    return stamps.min(), stamps.max()


def _labelled(limits: Sequence[tuple[str, float]], unit: str, safe: Interval | None) -> list[tuple[str, float]]:
    """Names with their amounts; what is safe with its interval."""
    return [(f"{visible(name)}: {quantity(at, visible(unit))}{_within(at, safe)}", at) for name, at in limits]


def _within(at: float, safe: Interval | None) -> str:
    if safe is None or at != safe.mid or not safe.low < safe.high:
        return ""
    return f" ({safe.confidence:.0%}: {number(safe.low)} to {number(safe.high)})"


def _limit_layers(
    near: Sequence[tuple[str, float]],
    far: Sequence[tuple[str, float]],
    past: pd.DataFrame,
    future: pd.DataFrame,
    ink: Ink,
) -> list[Any]:
    import altair as alt

    start, _ = _span(past, future)
    layers: list[Any] = []
    if near:
        frame = pd.DataFrame({"label": [n for n, _ in near], "at": [at for _, at in near], "ts": start})
        frame = _apart(frame)
        base = alt.Chart(frame)
        layers.append(base.mark_rule(color=ink.limit, strokeDash=[6, 4], strokeWidth=1.5).encode(y=alt.Y("at:Q")))
        for dy, part in frame.groupby("dy"):
            text = alt.Chart(part).mark_text(
                align="left", dx=4, dy=int(str(dy)), color=ink.limit, fontSize=11, limit=420
            )
            layers.append(text.encode(x=alt.X("ts:T"), y=alt.Y("at:Q"), text=alt.Text("label:N")))
    if far:
        words = "; ".join(n for n, _ in far)
        frame = pd.DataFrame({"label": [f"↑ above this chart: {words}"], "ts": [start]})
        text = alt.Chart(frame).mark_text(align="left", dx=4, color=ink.limit, fontSize=11, limit=420, baseline="top")
        layers.append(text.encode(x=alt.X("ts:T"), y=alt.YValue(0), text=alt.Text("label:N")))
    return layers


def _apart(frame: pd.DataFrame) -> pd.DataFrame:
    """Labels of limits that lie close go one above its line and one below."""
    out = frame.sort_values("at", ignore_index=True)
    gap = out["at"].diff() / out["at"].abs().max()
    return out.assign(dy=-7).assign(dy=lambda f: f["dy"].where(~(gap.shift(-1) < 0.06), 9))


def _date_layers(dates: Sequence[tuple[str, date]], past: pd.DataFrame, future: pd.DataFrame, ink: Ink) -> list[Any]:
    import altair as alt

    first, last = _span(past, future)
    middle = first + (last - first) / 2
    layers: list[Any] = []
    for row, (label, when) in enumerate(sorted(dates, key=lambda d: (d[1], d[0]))):
        at = pd.Timestamp(when)
        if not first <= at <= last:
            continue
        frame = pd.DataFrame({"ts": [at], "label": [f"{visible(label)} {day(when)}"]})
        layers.append(alt.Chart(frame).mark_rule(color=ink.limit, strokeWidth=1.2).encode(x=alt.X("ts:T")))
        left = at > middle
        text = alt.Chart(frame).mark_text(
            align="right" if left else "left",
            dx=-5 if left else 5,
            baseline="top",
            color=ink.limit,
            fontSize=11,
            limit=300,
        )
        layers.append(text.encode(x=alt.X("ts:T"), y=alt.YValue(2 + 15 * row), text=alt.Text("label:N")))
    return layers


def saturation_curves(saturation: pd.DataFrame, theme: Theme = "light") -> alt.LayerChart:
    """P(limit passed by T) of the limits that are likeliest passed, with the P10, P50 and P90 levels.

    Parameters
    ----------
    saturation
        service, region, limit_name, ts, probability.
    """
    import altair as alt

    frame = _curve_frame(saturation)
    if frame.empty:
        return nothing("No limit is forecast", theme)
    names = list(dict.fromkeys(frame["limit"]))
    scales = series_scales(names, theme)
    lines = alt.Chart(frame).mark_line(interpolate="step-after", strokeWidth=2).encode(
        x=_day_axis(),
        y=alt.Y("probability:Q", title="probability that the limit is passed by then", scale=alt.Scale(domain=[0, 1]),
                axis=alt.Axis(values=[0, 0.1, 0.5, 0.9, 1], labelExpr=_LEVEL_LABEL, gridDash=[2, 3])),
        color=alt.Color("limit:N", scale=scales["color"], legend=alt.Legend(columns=2, labelLimit=260)),
        strokeDash=alt.StrokeDash("limit:N", scale=scales["dash"]),
        tooltip=[alt.Tooltip("limit:N"), alt.Tooltip("ts:T", title="day", format="%d %b %Y"),
                 alt.Tooltip("probability:Q", format=".0%")],
    )  # fmt: skip
    return styled(alt.layer(lines), theme)


# The levels that give the dates are named; 0 and 1 are the ends.
_LEVEL_LABEL = "round(datum.value * 100) % 100 == 0 ? format(datum.value, '.0%') : 'P' + round(datum.value * 100)"


def _curve_frame(saturation: pd.DataFrame) -> pd.DataFrame:
    """The curves that end highest, thinned; ``limit`` names each."""
    frame = pd.DataFrame({"ts": days(saturation["ts"]), "probability": floats(saturation["probability"])})
    names = saturation[["service", "region", "limit_name"]].itertuples(index=False, name=None)
    frame["limit"] = [f"{unit_label(service, region)}: {visible(limit)}" for service, region, limit in names]
    frame = frame.dropna()
    last = frame.groupby("limit", sort=True)["probability"].max().sort_values(ascending=False, kind="stable")
    parts = [_thin(frame[frame["limit"] == name], 250) for name in last.index[:MAX_CURVES]]
    return pd.concat(parts) if parts else frame


def event_bars(verdicts: Sequence[EventVerdict], theme: Theme = "light") -> alt.LayerChart:
    """The event's demand, P50 to P95, as a share of what the group serves at its maximum; worst first.

    The line at 100 % is the safe capacity at the group's maximum, the tick what the running instances serve.
    """
    import altair as alt

    frame = _verdict_frame(verdicts)
    if frame.empty:
        return nothing("No event is checked", theme)
    ink = INKS[theme]
    order = list(frame["unit"])
    y = alt.Y("unit:N", sort=order, title=None, axis=alt.Axis(grid=False, domain=False, ticks=False))
    scale = alt.Scale(domain=[0, max(1.15, float(frame["p95"].max()) * 1.3)], nice=False)
    base = alt.Chart(frame).encode(y=y)
    bars = base.mark_bar(height=10).encode(
        x=alt.X("p50:Q", scale=scale, title="demand in the event, P50 to P95, over safe capacity at group maximum",
                axis=alt.Axis(format=".0%", tickCount=6, labelOverlap=True)),
        x2=alt.X2("p95:Q"),
        color=alt.Color("verdict:N", scale=alt.Scale(domain=["GO", "NO-GO"], range=[ink.good, ink.bad]),
                        legend=alt.Legend(symbolType="square")),
        tooltip=[alt.Tooltip("unit:N"), alt.Tooltip("verdict:N"), alt.Tooltip("p50:Q", format=".0%"),
                 alt.Tooltip("p95:Q", format=".0%"), alt.Tooltip("now:Q", format=".0%", title="running now")],
    )  # fmt: skip
    text = base.mark_text(align="right", dx=-2, color=ink.text, fontSize=11).encode(
        x=alt.XValue("width"), text=alt.Text("label:N")
    )
    now = base.mark_tick(color=ink.text, thickness=2, size=16).encode(x=alt.X("now:Q"))
    line = alt.Chart(pd.DataFrame({"at": [1.0]})).mark_rule(color=ink.limit, strokeDash=[6, 4]).encode(x=alt.X("at:Q"))
    return styled(alt.layer(bars, now, line, text), theme, alt.Step(24))


def _verdict_frame(verdicts: Sequence[EventVerdict]) -> pd.DataFrame:
    rows = []
    for v in verdicts:
        full = v.safe_at_group_maximum or v.safe_now
        if not full or not np.isfinite(full):
            continue
        verdict = "GO" if v.go else "NO-GO"
        p95 = v.demand_p95 / full
        label = f"{verdict} {p95:.0%}" if v.go or p95 > 1 else f"{verdict}, hard limit"
        rows.append({"unit": unit_label(v.unit.service, v.unit.region), "verdict": verdict, "p50": v.demand_p50 / full,
                     "p95": p95, "now": v.safe_now / full, "label": label})  # fmt: skip
    rows.sort(key=lambda r: (-float(str(r["p95"])), str(r["unit"])))
    return pd.DataFrame(rows[:MAX_EVENT_BARS])


def load_duration(
    blocks: pd.DataFrame, unit: str = "", safe: float | None = None, theme: Theme = "light"
) -> alt.LayerChart:
    """Hours of the horizon by the demand that they must be provisioned for, largest first.

    Parameters
    ----------
    blocks
        hours, demand, required (demand with the promised headroom) of one planning unit; one row a month and block.
    safe
        What the running fleet serves: a dashed line.
    """
    import altair as alt

    frame = _duration_frame(blocks)
    if frame.empty:
        return nothing("No load blocks", theme)
    ink = INKS[theme]
    x = alt.X("hour:Q", title="hours of the horizon, busiest first",
              axis=alt.Axis(grid=False, format=",d", tickCount=6, labelOverlap=True),
              scale=alt.Scale(domain=[0, float(frame["hour"].max())], nice=False))  # fmt: skip
    names = ["demand to be served", "with the promised headroom"]
    long = frame.melt("hour", ["demand", "required"], "key", "value").replace(
        {"demand": names[0], "required": names[1]}
    )
    scales = series_scales(names, theme)
    lines = alt.Chart(long).mark_line(interpolate="step-after", strokeWidth=2).encode(
        x=x, y=alt.Y("value:Q", title=_spoken(unit), scale=alt.Scale(zero=True)),
        color=alt.Color("key:N", scale=scales["color"]), strokeDash=alt.StrokeDash("key:N", scale=scales["dash"]),
        tooltip=[alt.Tooltip("key:N"), alt.Tooltip("hour:Q", format=",.0f"), alt.Tooltip("value:Q", format=",.4~g")],
    )  # fmt: skip
    layers = [lines]
    if safe is not None and np.isfinite(safe):
        at = pd.DataFrame(
            {
                "at": [safe],
                "label": [f"running fleet serves {quantity(safe, visible(unit))}"],
                "hour": [frame["hour"].max()],
            }
        )
        layers.append(alt.Chart(at).mark_rule(color=ink.limit, strokeDash=[6, 4]).encode(y=alt.Y("at:Q")))
        text = alt.Chart(at).mark_text(align="right", dy=-7, color=ink.limit, fontSize=11)
        layers.append(text.encode(x=alt.X("hour:Q"), y=alt.Y("at:Q"), text=alt.Text("label:N")))
    return styled(alt.layer(*layers), theme)


def _duration_frame(blocks: pd.DataFrame) -> pd.DataFrame:
    """Cumulated hours at the start of each block, and a last row that closes the curve."""
    frame = pd.DataFrame({c: floats(blocks[c]) for c in ("hours", "demand", "required")}).dropna()
    if frame.empty:
        return frame
    frame = frame.sort_values("demand", ascending=False, kind="stable", ignore_index=True)
    end = frame["hours"].cumsum()
    frame["hour"] = end - frame["hours"]
    last = frame.iloc[[-1]].assign(hour=float(end.iloc[-1]))
    return pd.concat([frame, last], ignore_index=True)[["hour", "demand", "required"]]
