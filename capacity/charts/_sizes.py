"""What is covered in months to come, and what if less or more is bought, or less or more headroom kept."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from capacity.charts._money import _money_axis, _months_axis
from capacity.charts._price import price_points
from capacity.charts._theme import INKS, Theme, floats, nothing, styled, visible
from capacity.costs.commitment_review import WORDS

if TYPE_CHECKING:
    import altair as alt

NAMES = {0.0: "nothing", 0.5: "half", 1.0: "as recommended", 1.5: "half more", 2.0: "double"}
MOST_MONTHS = 24
ON_DEMAND = "on demand"
# A card of rates calls it by another name than a bill.
_PRODUCTS = {"standard_ri": WORDS["ec2_ri"]}
NO_SIZES = "No other size was looked at: nothing is to be bought, or this plan was made before sizes were"


def size_name(size: float) -> str:
    """0.5 as half; sizes without a word as a factor."""
    return NAMES.get(round(float(size), 6), f"{size:g} times")


def purchase_sizes(sizes: pd.DataFrame, theme: Theme = "light", currency: str = "USD") -> alt.LayerChart:
    """Money saved over the term by how much is bought: the span of P10 to P90 of the futures, and the median.

    Parameters
    ----------
    sizes
        size_frac, saving_q10, saving_q50, saving_q90 of one purchase, or of all together.
    """
    import altair as alt

    frame = pd.DataFrame({q: floats(sizes[f"saving_{q}"]) for q in ("q10", "q50", "q90")})
    frame = frame.assign(size=floats(sizes["size_frac"])).replace([np.inf, -np.inf], np.nan).dropna()
    if frame.empty:
        return nothing(NO_SIZES, theme)
    ink = INKS[theme]
    frame = frame.sort_values("size", kind="stable")
    frame["name"] = [size_name(s) for s in frame["size"]]
    frame["label"] = [_signed(v) for v in frame["q50"]]
    low, high = min(float(frame["q10"].min()), 0.0), max(float(frame["q90"].max()), 0.0)
    room = (high - low) or 1.0
    y = alt.Scale(domain=[low - room * 0.08, high + room * 0.12], nice=False)
    keys = ["P10 to P90 of the futures", "median"]
    colour = alt.Color("key:N", scale=alt.Scale(domain=keys, range=[ink.band80, ink.line]),
                       legend=alt.Legend(symbolType="square", symbolStrokeWidth=0))  # fmt: skip
    tips = [alt.Tooltip("name:N", title="bought")]
    tips += [alt.Tooltip(f"{q}:Q", title=f"saves, {q.upper().replace('Q', 'P')}", format=",.0f")
             for q in ("q10", "q50", "q90")]  # fmt: skip
    base = alt.Chart(frame).encode(
        x=alt.X("name:N", sort=list(frame["name"]), title=None, axis=alt.Axis(labelAngle=0, labelFontSize=12)),
        tooltip=tips,
    )
    title = f"{visible(currency)} saved over the term"
    span = base.transform_calculate(key=f"'{keys[0]}'").mark_bar(width=30)
    point = base.transform_calculate(key=f"'{keys[1]}'").mark_tick(width=46, thickness=3)
    zero = alt.Chart(pd.DataFrame({"at": [0.0]})).mark_rule(color=ink.muted).encode(y=alt.Y("at:Q", scale=y))
    text = base.mark_text(align="left", dx=27, fontSize=12, color=ink.text)
    return styled(
        alt.layer(
            zero,
            span.encode(y=alt.Y("q10:Q", scale=y, title=title, axis=_money_axis()), y2=alt.Y2("q90:Q"), color=colour),
            point.encode(y=alt.Y("q50:Q", scale=y), color=colour),
            text.encode(y=alt.Y("q50:Q", scale=y), text=alt.Text("label:N")),
        ),
        theme,
        250,
    )


def _signed(value: float) -> str:
    return f"{'−' if value < 0 else ''}{abs(value):,.0f}"


def coverage_ahead(coverage: pd.DataFrame, theme: Theme = "light", most_months: int = MOST_MONTHS) -> alt.LayerChart:
    """What share of each month's usage is covered by what is owned, by what is to be bought, and not at all.

    Parameters
    ----------
    coverage
        The frame coverage_ahead: month, product, owned, covered_frac.
    most_months
        Only the first so many are drawn: what is bought runs on for years.
    """
    import altair as alt

    frame = _shares(coverage, most_months)
    if frame.empty:
        return nothing("No coverage to come: no commitment was looked for", theme)
    ink = INKS[theme]
    names = list(dict.fromkeys(frame["name"]))
    colours = [ink.grid if n == ON_DEMAND else ink.series[i % len(ink.series)] for i, n in enumerate(names)]
    months = sorted(frame["month"].unique())
    base = alt.Chart(frame).encode(
        x=alt.X("month:O", sort=months, title=None, axis=_months_axis()),
        tooltip=[alt.Tooltip("month:N"), alt.Tooltip("name:N"), alt.Tooltip("share:Q", format=".1%")],
    )
    bars = base.mark_bar(size=22, stroke=ink.muted, strokeWidth=0.5).encode(
        y=alt.Y("from:Q", title="share of usage, at on-demand prices", scale=alt.Scale(domain=[0.0, 1.12]),
                axis=alt.Axis(format="%", values=[0, 0.2, 0.4, 0.6, 0.8, 1.0])),
        y2=alt.Y2("to:Q"),
        color=alt.Color("name:N", scale=alt.Scale(domain=names, range=colours),
                        legend=alt.Legend(symbolType="square", labelLimit=300, columns=3)),
    )  # fmt: skip
    covered = frame[frame["name"] != ON_DEMAND].groupby("month", as_index=False).agg(share=("share", "sum"))
    covered = covered.assign(label=[f"{s:.0%}" for s in covered["share"]])
    text = alt.Chart(covered).mark_text(dy=-4, baseline="bottom", fontSize=11, color=ink.text)
    labels = text.encode(x=alt.X("month:O", sort=months), y=alt.datum(1.0), text=alt.Text("label:N"))
    return styled(alt.layer(bars, labels), theme, 250)


def _shares(coverage: pd.DataFrame, most_months: int) -> pd.DataFrame:
    """month, name, share, from, to: owned first, then what is to be bought, the rest on demand."""
    frame = pd.DataFrame({"month": coverage["month"].map(visible), "share": floats(coverage["covered_frac"])})
    kinds = {True: "owned", False: "to buy"}
    frame["name"] = [
        f"{kinds[bool(o)]}: {_PRODUCTS.get(p, WORDS.get(p, visible(p).replace('_', ' ')))}"
        for o, p in zip(coverage["owned"], coverage["product"], strict=True)
    ]
    frame = frame.dropna(subset=["share"])
    frame = frame[frame["month"].isin(sorted(frame["month"].unique())[:most_months])]
    rest = (1.0 - frame.groupby("month")["share"].sum()).clip(lower=0.0).rename("share").reset_index()
    frame = pd.concat([frame, rest.assign(name=ON_DEMAND)], ignore_index=True)
    frame["to"] = frame.groupby("month")["share"].cumsum()
    frame["from"] = frame["to"] - frame["share"]
    return frame


def headroom_moved(curve: pd.DataFrame, theme: Theme = "light", currency: str = "USD") -> alt.LayerChart:
    """What the fleet costs with each policy's headroom moved by so many points, the plan's own point marked.

    Parameters
    ----------
    curve
        moved_frac, cost_usd, bound_usd. A point without a plan is left out.
    """
    import altair as alt

    frame = moved_points(curve)
    if frame.empty:
        return nothing("Not known: the fleet was not planned with other headroom", theme)
    ink = INKS[theme]
    keys = ["cost of the plan", "from the proven bound to it", "as planned"]
    scale = alt.Scale(domain=keys, range=[ink.line, ink.band80, ink.limit])
    colour = alt.Color("key:N", scale=scale, legend=alt.Legend(symbolType="square", symbolStrokeWidth=0))
    low, high = float(frame["bound"].min()), float(frame["cost"].max())
    room = (high - low) or abs(high) * 0.05 or 1.0
    y = alt.Scale(domain=[low - room * 0.3, high + room * 0.1], zero=False, nice=False)
    base = alt.Chart(frame).encode(
        x=alt.X("level:O", sort=list(frame["level"]), title="headroom that every tier keeps, against its policy",
                axis=alt.Axis(labelAngle=0)),
        tooltip=[alt.Tooltip("level:N", title="headroom"), alt.Tooltip("cost:Q", format=",.0f"),
                 alt.Tooltip("bound:Q", format=",.0f"), alt.Tooltip("more:N", title="against the plan")],
    )  # fmt: skip
    cost = alt.Y("cost:Q", scale=y, title=f"{visible(currency)} over the horizon", axis=_money_axis())
    points = base.transform_calculate(key=f"'{keys[0]}'")
    own = base.transform_filter(alt.datum.at == 0).transform_calculate(key=f"'{keys[2]}'")
    text = base.mark_text(align="left", baseline="top", dx=7, dy=7, fontSize=11, color=ink.text, lineBreak="\n")
    layers = [
        base.transform_calculate(key=f"'{keys[1]}'")
        .mark_bar(width=26)
        .encode(y=cost, y2=alt.Y2("bound:Q"), color=colour),
        points.mark_line(strokeWidth=2).encode(y=cost, color=colour),
        points.mark_point(size=80, filled=True, opacity=1).encode(y=cost, color=colour),
        own.mark_point(size=220, shape="diamond", strokeWidth=3).encode(y=cost, color=colour),
        text.encode(y=cost, text=alt.Text("label:N")),
    ]
    return styled(alt.layer(*layers), theme, 250)


def moved_points(curve: pd.DataFrame) -> pd.DataFrame:
    """As :func:`capacity.charts.price_points`: levels in points against the policy, ``more`` against the plan's."""
    frame = price_points(curve.rename(columns={"moved_frac": "service_level"}))
    own = frame.loc[frame["at"] == 0, "cost"]
    first = float(own.iloc[0]) if len(own) else float("nan")
    frame["level"] = ["policy" if at == 0 else f"{at * 100:+.3g} points".replace("-", "−") for at in frame["at"]]
    shares = frame["cost"] / first - 1
    frame["more"] = ["" if at == 0 or not np.isfinite(s) else f"{s:+.1%}".replace("-", "−")
                     for at, s in zip(frame["at"], shares, strict=True)]  # fmt: skip
    frame["label"] = [f"{c:,.0f}\n{m}" if m else f"{c:,.0f}" for c, m in zip(frame["cost"], frame["more"], strict=True)]
    return frame
