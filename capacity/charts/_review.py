"""Charts of the FinOps review: what commitments did month by month, and waste by kind."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from capacity.charts._theme import INKS, Theme, floats, nothing, series_scales, styled, visible

if TYPE_CHECKING:
    import altair as alt

ALL = "all"
_RATES = {
    "coverage_frac": "coverage",
    "utilisation_frac": "utilisation",
    "effective_savings_rate_frac": "effective savings rate",
}
KIND_WORDS = {
    "idle": "idle fleets",
    "oversized": "oversized fleets",
    "previous_generation": "previous generation",
    "storage": "storage",
    "address": "addresses and gateways",
    "commitment": "unused commitments",
}
_SURE = ("high", "medium", "low")


def commitment_rates(review: pd.DataFrame, theme: Theme = "light", product: str = ALL) -> alt.LayerChart:
    """Coverage, utilisation and effective savings rate by month, of one product or of all together.

    Parameters
    ----------
    review
        The frame commitment_review. Rates of different currencies are of different money: the first is drawn.
    """
    import altair as alt

    rows = review[review["product"] == product] if len(review) else review
    if rows.empty:
        return nothing("No commitment on a closed month's bill", theme)
    currency = min(rows["currency"].map(visible))
    rows = rows[rows["currency"].map(visible) == currency]
    frame = pd.concat(
        [pd.DataFrame({"month": rows["month"].map(visible), "rate": floats(rows[column]), "key": name})
         for column, name in _RATES.items()]
    ).dropna(subset=["rate"])  # fmt: skip
    if frame.empty:
        return nothing("No commitment on a closed month's bill", theme)
    names = list(_RATES.values())
    scales = series_scales(names, theme)
    top = alt.Scale(domain=[min(0.0, float(frame["rate"].min())), max(1.0, float(frame["rate"].max()))])
    base = alt.Chart(frame).encode(
        x=alt.X("month:O", sort=sorted(frame["month"].unique()), title=None,
                axis=alt.Axis(labelAngle=0, labelOverlap=True, labelSeparation=8)),
        y=alt.Y("rate:Q", title=f"share of {currency}", scale=top, axis=alt.Axis(format="%", tickCount=5)),
        color=alt.Color("key:N", scale=scales["color"], legend=alt.Legend(title=None, symbolStrokeWidth=0)),
        tooltip=[alt.Tooltip("key:N", title="rate"), alt.Tooltip("month:O"), alt.Tooltip("rate:Q", format=".1%")],
    )  # fmt: skip
    line = base.mark_line(strokeWidth=2).encode(strokeDash=alt.StrokeDash("key:N", scale=scales["dash"], legend=None))
    points = base.mark_point(size=50, filled=True, opacity=1).encode(
        shape=alt.Shape("key:N", scale=scales["shape"], legend=alt.Legend(title=None))
    )
    return styled(alt.layer(line, points), theme)


def waste_by_kind(waste: pd.DataFrame, theme: Theme = "light") -> alt.LayerChart:
    """Waste a month by kind, stacked by how sure it is; below each bar the same in words, and what the plan takes.

    Parameters
    ----------
    waste
        The frame waste. Currencies are never added: the one with the most money is drawn.
    """
    import altair as alt

    frame = pd.DataFrame({c: waste[c].map(visible) for c in ("kind", "currency", "confidence")})
    frame["usd"], frame["taken"] = floats(waste["monthly_usd"]), floats(waste["in_plan_usd"])
    frame = frame[frame["usd"] > 0]
    if frame.empty:
        return nothing("No waste found", theme)
    ink = INKS[theme]
    currency = frame.groupby("currency")["usd"].sum().sort_values(ascending=False, kind="stable").index[0]
    frame = frame[frame["currency"] == currency]
    frame["name"] = [KIND_WORDS.get(k, k) for k in frame["kind"]]
    bars = frame.groupby(["name", "confidence"], sort=True, as_index=False)["usd"].sum()
    bars["rank"] = bars["confidence"].map({c: i for i, c in enumerate(_SURE)}).fillna(len(_SURE))
    sums = frame.groupby("name", sort=True, as_index=False)[["usd", "taken"]].sum()
    sums = sums.sort_values("usd", ascending=False, kind="stable")
    sums["label"] = [f"{usd:,.0f}" for usd in sums["usd"]]
    sums["detail"] = [_detail(bars[bars["name"] == n], t) for n, t in zip(sums["name"], sums["taken"], strict=True)]
    y = alt.Y("name:N", sort=list(sums["name"]), title=None, axis=alt.Axis(domain=False, ticks=False))
    widest = float(sums["usd"].max()) * 1.15
    x = alt.X("usd:Q", title=f"{currency} a month", scale=alt.Scale(domain=[0, widest], nice=False),
              axis=alt.Axis(labelExpr="format(datum.value, '~s')", tickCount=6, labelOverlap=True))  # fmt: skip
    colour = alt.Color(
        "confidence:N", title="confidence", legend=alt.Legend(symbolType="square"),
        scale=alt.Scale(domain=list(_SURE), range=[ink.line, ink.plain, ink.band80]),
    )  # fmt: skip
    tips = [alt.Tooltip("name:N", title="kind"), alt.Tooltip("confidence:N"), alt.Tooltip("usd:Q", format=",.0f")]
    drawn = alt.Chart(bars).mark_bar(height=16).encode(y=y, x=x, color=colour, order=alt.Order("rank:Q"), tooltip=tips)
    labels = alt.Chart(sums).encode(y=y)
    text = labels.mark_text(align="left", dx=5, fontSize=11, color=ink.text).encode(x=x, text=alt.Text("label:N"))
    detail = labels.mark_text(align="left", dx=3, dy=17, fontSize=11, color=ink.muted)
    layers = [drawn, text, detail.encode(x=alt.XValue(0), text=alt.Text("detail:N"))]
    return styled(alt.layer(*layers), theme, alt.Step(48))


def _detail(bars: pd.DataFrame, taken: float) -> str:
    """How sure each part is, and what the plan takes of all: what the colours say, in words."""
    known = dict(zip(bars["confidence"], bars["usd"], strict=True))
    parts = [f"{c} {known[c]:,.0f}" for c in _SURE if c in known]
    return " · ".join([*parts, f"the plan takes {taken:,.0f}"] if taken > 0 else parts)
