"""Charts of what requirements cost: the price of headroom, of each requirement, and what a commitment saves."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from capacity.charts._money import _money_axis, _names_axis
from capacity.charts._theme import INKS, Ink, Theme, floats, nothing, styled, unit_label, visible
from capacity.words import unique

if TYPE_CHECKING:
    import altair as alt

MAX_PRICES = 15
MAX_PURCHASES = 15
# A requirement with its unit is a long name; an axis of this many pixels leaves half of a page to the bars.
NAME_PIXELS = 380
# What a label may be long before it is cut in its middle: about NAME_PIXELS of text.
NAME_LETTERS = 64
# A commitment's name has its region and month, which must not be cut.
PURCHASE_PIXELS, PURCHASE_LETTERS = 430, 76


def headroom_price(
    curve: pd.DataFrame, theme: Theme = "light", currency: str = "USD", plan_cost: float | None = None
) -> alt.LayerChart:
    """What the plan costs at each service level, and the span from the proven bound up to it.

    Parameters
    ----------
    curve
        service_level, cost_usd, bound_usd. A level without a plan is left out.
    plan_cost
        What the plan itself costs over the same months: a rule across the levels.
    """
    import altair as alt

    frame = price_points(curve)
    if frame.empty:
        return nothing("No price of headroom: the fleet was not planned at several service levels", theme)
    ink = INKS[theme]
    keys = ["cost of the plan", "from the proven bound to it"]
    scale = alt.Scale(domain=keys, range=[ink.line, ink.band80])
    colour = alt.Color("key:N", scale=scale, legend=alt.Legend(symbolType="square", symbolStrokeWidth=0))
    own = [plan_cost] if plan_cost is not None and np.isfinite(plan_cost) else []
    low, high = min([float(frame["bound"].min()), *own]), max([float(frame["cost"].max()), *own])
    room = (high - low) or abs(high) * 0.05 or 1.0
    y = alt.Scale(domain=[low - room * 0.35, high + room * 0.1], zero=False, nice=False)
    title = f"{visible(currency)} over the horizon"
    base = alt.Chart(frame).encode(
        x=alt.X("level:O", sort=list(frame["level"]), title="share of futures that must fit",
                axis=alt.Axis(labelAngle=0)),
        tooltip=[alt.Tooltip("level:N"), alt.Tooltip("cost:Q", format=",.0f"), alt.Tooltip("bound:Q", format=",.0f"),
                 alt.Tooltip("more:N", title="more than the first level")],
    )  # fmt: skip
    spans = base.transform_calculate(key=f"'{keys[1]}'").mark_bar(width=26)
    points = base.transform_calculate(key=f"'{keys[0]}'")
    # Costs rise with the level, so right of a point and below it there is room.
    place = {"align": "left", "baseline": "top", "dx": 7, "dy": 7, "fontSize": 11, "lineBreak": "\n"}
    text = base.mark_text(**place, color=ink.text)
    # The plan's own cost may pass through a label: behind its letters the rule is left out.
    behind = base.mark_text(**place, color=ink.text, stroke=ink.ground, strokeWidth=5, strokeJoin="round", aria=False)
    cost = alt.Y("cost:Q", scale=y, title=title, axis=_money_axis())
    layers = [
        spans.encode(y=cost, y2=alt.Y2("bound:Q"), color=colour),
        *_own_cost(own, cost, ink),
        behind.encode(y=cost, text=alt.Text("label:N")),
        points.mark_line(strokeWidth=2).encode(y=cost, color=colour),
        points.mark_point(size=80, filled=True, opacity=1).encode(y=cost, color=colour),
        text.encode(y=cost, text=alt.Text("label:N")),
    ]
    return styled(alt.layer(*layers), theme, 250)


def _own_cost(cost: list[float], y: alt.Y, ink: Ink) -> list[alt.Chart]:
    """A dashed rule at what the plan itself costs, with its name at the left, where the curve lies below it."""
    import altair as alt

    if not cost:
        return []
    base = alt.Chart(pd.DataFrame({"cost": cost, "label": [f"this plan {cost[0]:,.0f}"]}))
    rule = base.mark_rule(color=ink.muted, strokeDash=[4, 3]).encode(y=y)
    name = base.mark_text(align="left", baseline="bottom", dy=-3, fontSize=11, color=ink.text)
    return [rule, name.encode(x=alt.XValue(4), y=y, text=alt.Text("label:N"))]


def price_points(curve: pd.DataFrame) -> pd.DataFrame:
    """Levels that have a plan, rising: level (P95), cost, bound (the cost where none is proven), more, label.

    ``more`` is against the first level.
    """
    columns = {"at": "service_level", "cost": "cost_usd", "bound": "bound_usd"}
    frame = pd.DataFrame({name: floats(curve[column]) for name, column in columns.items()})
    frame = frame.replace([np.inf, -np.inf], np.nan).dropna(subset=["at", "cost"])
    frame = frame.sort_values("at", kind="stable").drop_duplicates("at")
    frame["bound"] = frame["bound"].fillna(frame["cost"]).clip(upper=frame["cost"])
    frame["level"] = [f"P{at * 100:.4g}" for at in frame["at"]]
    shares = frame["cost"] / (frame["cost"].iloc[0] if len(frame) else 1.0) - 1
    frame["more"] = ["" if i == 0 or not np.isfinite(s) else f"+{s:.1%}".replace("+-", "−")
                     for i, s in enumerate(shares)]  # fmt: skip
    frame["label"] = [f"{c:,.0f}\n{m}" if m else f"{c:,.0f}" for c, m in zip(frame["cost"], frame["more"], strict=True)]
    return frame.reset_index(drop=True)


def requirement_prices(prices: pd.DataFrame, theme: Theme = "light", currency: str = "USD") -> alt.LayerChart:
    """What moving each requirement costs a year, from low to high; the dearest first.

    Parameters
    ----------
    prices
        requirement, service, region, moved, low_usd_per_year, high_usd_per_year. What cannot be (no finite price) is
        left out, and so is a row without a requirement, which is a note.
    """
    import altair as alt

    frame = _prices(prices)
    if frame.empty:
        return nothing("No requirement has a price that is known", theme)
    ink = INKS[theme]
    keys = ["costs more", "saves", "not told apart from nothing"]
    colour = alt.Color("key:N", scale=alt.Scale(domain=keys, range=[ink.limit, ink.good, ink.plain]),
                       legend=alt.Legend(symbolType="square", symbolStrokeWidth=0, labelLimit=240))  # fmt: skip
    low, high = min(0.0, float(frame["low"].min())), max(0.0, float(frame["high"].max()))
    width = (high - low) or 1.0
    x = alt.Scale(domain=[low - width * 0.02, high + width * 0.42], nice=False)
    base = alt.Chart(frame).encode(
        y=alt.Y("label:N", sort=list(frame["label"]), title=None,
                axis=alt.Axis(domain=False, ticks=False, labelLimit=NAME_PIXELS)),
        tooltip=[alt.Tooltip("label:N"), alt.Tooltip("low:Q", format=",.0f"), alt.Tooltip("high:Q", format=",.0f")],
    )  # fmt: skip
    title = f"{visible(currency)} a year for one step; below 0 it saves"
    span = base.mark_bar(height=11).encode(
        x=alt.X("low:Q", title=title, axis=_money_axis(), scale=x), x2=alt.X2("high:Q"), color=colour
    )
    ends = [base.mark_tick(thickness=2, height=11).encode(x=alt.X(f"{end}:Q"), color=colour) for end in ("low", "high")]
    zero = alt.Chart(pd.DataFrame({"at": [0.0]})).mark_rule(color=ink.muted).encode(x=alt.X("at:Q"))
    text = base.mark_text(align="left", dx=8, fontSize=11, color=ink.text).encode(
        x=alt.X("right:Q"), text=alt.Text("said:N")
    )
    return styled(alt.layer(zero, span, *ends, text), theme, alt.Step(24))


def _prices(prices: pd.DataFrame) -> pd.DataFrame:
    prices = prices.loc[prices["requirement"].fillna("").astype(str) != ""]
    frame = pd.DataFrame({"low": floats(prices["low_usd_per_year"]), "high": floats(prices["high_usd_per_year"])})
    names = prices[["requirement", "moved", "service", "region"]].itertuples(index=False, name=None)
    frame["label"] = unique([price_label(*row) for row in names])
    frame = frame.replace([np.inf, -np.inf], np.nan).dropna()
    frame["size"] = frame[["low", "high"]].abs().max(axis=1)
    frame = frame.sort_values(["size", "label"], ascending=[False, True], kind="stable").head(MAX_PRICES)
    frame["key"] = [
        "saves" if high < 0 else "costs more" if low > 0 else "not told apart from nothing"
        for low, high in zip(frame["low"], frame["high"], strict=True)
    ]
    frame["said"] = [said_span(low, high) for low, high in zip(frame["low"], frame["high"], strict=True)]
    return frame.assign(right=frame["high"].clip(lower=0.0))


def price_label(requirement: object, moved: object, service: object, region: object) -> str:
    """A requirement and how it was moved, led by its unit where the name does not say it; cut in its middle."""
    what = ": ".join(x for x in (visible(str(requirement or "")), visible(str(moved or ""))) if x)
    name = visible(str(service or ""))
    if name and name not in what:
        what = f"{unit_label(name, str(region or ''))}: {what}"
    return middle_cut(what, NAME_LETTERS)


def said_span(low: float, high: float) -> str:
    """1,200 to 1,400; one number where both round to the same."""
    first, last = (f"{x:,.0f}".replace("-", "−") for x in (low, high))
    return first if first == last else f"{first} to {last}"


def middle_cut(text: str, width: int) -> str:
    """``text`` without its middle: both ends of a long name tell it from others."""
    if len(text) <= width:
        return text
    tail = (width - 1) // 2
    return f"{text[: width - 1 - tail]}…{text[-tail:]}"


def purchase_savings(
    purchases: pd.DataFrame, names: Iterable[str], theme: Theme = "light", currency: str = "USD"
) -> alt.LayerChart:
    """What each commitment saves over its term, P10 to P90 of the futures with the mean; below 0 it loses.

    Parameters
    ----------
    purchases
        saving_q10, saving_mean, saving_q90.
    names
        What to call each row.
    """
    import altair as alt

    frame = pd.DataFrame({q: floats(purchases[f"saving_{q}"]) for q in ("q10", "mean", "q90")})
    frame["name"] = unique(middle_cut(visible(n), PURCHASE_LETTERS) for n in names)
    frame = frame.replace([np.inf, -np.inf], np.nan).dropna(subset=["q10", "q90"]).head(MAX_PURCHASES)
    if frame.empty:
        return nothing("No commitment is worth buying, or its saving is not known", theme)
    ink = INKS[theme]
    keys = ["P10 to P90 of the futures", "mean"]
    colour = alt.Color("key:N", scale=alt.Scale(domain=keys, range=[ink.band80, ink.text]),
                       legend=alt.Legend(symbolType="square", symbolStrokeWidth=0, labelLimit=240))  # fmt: skip
    frame["label"] = [said_span(q10, q90) for q10, q90 in zip(frame["q10"], frame["q90"], strict=True)]
    low, high = min(0.0, float(frame["q10"].min())), max(0.0, float(frame["q90"].max()))
    width = (high - low) or 1.0
    x = alt.X(
        "q10:Q", title=f"{visible(currency)} saved over the term; below 0 it loses", axis=_money_axis(),
        scale=alt.Scale(domain=[low - width * 0.02, high + width * 0.3], nice=False),
    )  # fmt: skip
    axis = _names_axis()
    axis.labelLimit = PURCHASE_PIXELS
    base = alt.Chart(frame).encode(
        y=alt.Y("name:N", sort=list(frame["name"]), title=None, axis=axis),
        tooltip=[alt.Tooltip("name:N"), *(alt.Tooltip(f"{q}:Q", format=",.0f") for q in ("q10", "mean", "q90"))],
    )
    spans = (
        base.transform_calculate(key=f"'{keys[0]}'").mark_bar(height=12).encode(x=x, x2=alt.X2("q90:Q"), color=colour)
    )
    middle = base.transform_calculate(key=f"'{keys[1]}'").mark_tick(thickness=3, height=16)
    zero = alt.Chart(pd.DataFrame({"at": [0.0]})).mark_rule(color=ink.muted).encode(x=alt.X("at:Q"))
    text = base.mark_text(align="left", dx=8, fontSize=11, color=ink.text).encode(
        x=alt.X("q90:Q"), text=alt.Text("label:N")
    )
    return styled(alt.layer(zero, spans, middle.encode(x=alt.X("mean:Q"), color=colour), text), theme, alt.Step(26))
