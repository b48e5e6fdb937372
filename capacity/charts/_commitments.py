"""Charts of commitments: what each product covered, what to buy when, and what a wrong guess of usage would cost."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from capacity.charts._money import MAX_LINES, _money_axis, _months_axis, _names_axis
from capacity.charts._price import MAX_PURCHASES, PURCHASE_LETTERS, PURCHASE_PIXELS, middle_cut
from capacity.charts._theme import INKS, Theme, floats, nothing, series_scales, styled, visible
from capacity.costs.commitment_review import ALL, WORDS
from capacity.words import unique

if TYPE_CHECKING:
    import altair as alt

NO_REVIEW = "No commitment on a closed month's bill"
NO_PURCHASE = "No commitment is worth buying, or none was looked for"
OTHERS = "other purchases"
# A month and no more is expected where a purchase says when it has paid off.
PAYS_LETTERS = 16


def commitment_coverage(review: pd.DataFrame, theme: Theme = "light", currency: str | None = None) -> alt.LayerChart:
    """Share of what commitments can pay for that each product covered, by month; the product that saved most first.

    Parameters
    ----------
    review
        The frame commitment_review: month, currency, product, coverage_frac, committed. "all" is drawn as a line of
        its own. Shares of different products are of different usage: they do not add up.
    currency
        The one that is drawn; the first by name where it is absent.
    """
    import altair as alt

    frame = pd.DataFrame({c: review[c].map(visible) for c in ("month", "currency", "product")})
    frame["rate"], frame["paid"] = floats(review["coverage_frac"]), floats(review["committed"])
    frame = frame.dropna(subset=["rate"])
    chosen = visible(currency) if currency is not None else min(frame["currency"], default="")
    frame = frame[frame["currency"] == chosen]
    if frame.empty:
        return nothing(NO_REVIEW, theme)
    paid = frame.groupby("product", sort=True)["paid"].sum().sort_values(ascending=False, kind="stable")
    products = [p for p in paid.index if p != ALL][: MAX_LINES - 1]
    frame = frame[frame["product"].isin([ALL, *products])]
    words = {p: WORDS.get(p, p.replace("_", " ")) for p in (ALL, *products)}
    frame["key"] = frame["product"].map(words)
    names = [words[p] for p in ([ALL, *products] if (frame["product"] == ALL).any() else products)]
    scales = series_scales(names, theme)
    top = alt.Scale(domain=[0.0, max(1.0, float(frame["rate"].max()))])
    base = alt.Chart(frame).encode(
        x=alt.X("month:O", sort=sorted(frame["month"].unique()), title=None, axis=_months_axis()),
        y=alt.Y("rate:Q", title=f"share of {chosen} covered", scale=top, axis=alt.Axis(format="%", tickCount=5)),
        color=alt.Color("key:N", scale=scales["color"], legend=alt.Legend(symbolStrokeWidth=0)),
        tooltip=[alt.Tooltip("key:N", title="product"), alt.Tooltip("month:O"), alt.Tooltip("rate:Q", format=".1%")],
    )
    line = base.mark_line(strokeWidth=2).encode(strokeDash=alt.StrokeDash("key:N", scale=scales["dash"], legend=None))
    points = base.mark_point(size=50, filled=True, opacity=1).encode(shape=alt.Shape("key:N", scale=scales["shape"]))
    return styled(alt.layer(line, points), theme)


def purchase_ladder(
    purchases: pd.DataFrame, names: Iterable[str], theme: Theme = "light", currency: str = "USD"
) -> alt.LayerChart:
    """What to commit to an hour, rung by rung in the order of buying: each bar begins where the one before ended.

    Parameters
    ----------
    purchases
        month (of buying), hourly_usd, break_even; as many rows as ``names``. Rows beyond the largest
        :data:`MAX_PURCHASES` join as one rung.
    names
        What to call each row.
    """
    import altair as alt

    frame = _rungs(purchases, names)
    if frame.empty:
        return nothing(NO_PURCHASE, theme)
    ink = INKS[theme]
    scale = alt.Scale(domain=[0.0, float(frame["to"].max()) * 1.3], nice=False)
    x = alt.X("at:Q", title=f"{visible(currency)} an hour committed, in all", scale=scale, axis=_money_axis())
    axis = _names_axis()
    axis.labelLimit = PURCHASE_PIXELS
    base = alt.Chart(frame).encode(
        y=alt.Y("name:N", sort=list(frame["name"]), title=None, axis=axis),
        tooltip=[alt.Tooltip("name:N"), alt.Tooltip("month:N", title="buy in"),
                 alt.Tooltip("hourly:Q", title="an hour", format=",.2f"),
                 alt.Tooltip("to:Q", title="in all", format=",.2f")],
    )  # fmt: skip
    bars = base.mark_bar(height=14, color=ink.line).encode(x=x, x2=alt.X2("to:Q"))
    carried = frame.iloc[1:].assign(state=frame["to"].iloc[:-1].to_numpy())
    tick = alt.Chart(carried).mark_tick(thickness=1.5, height=22, color=ink.muted, orient="vertical")
    ticks = tick.encode(y=alt.Y("name:N", sort=list(frame["name"])), x=alt.X("state:Q", scale=scale))
    text = base.mark_text(align="left", dx=6, fontSize=11, color=ink.text)
    return styled(
        alt.layer(bars, ticks, text.encode(x=alt.X("to:Q", scale=scale), text=alt.Text("label:N"))), theme, alt.Step(25)
    )


def _rungs(purchases: pd.DataFrame, names: Iterable[str]) -> pd.DataFrame:
    """name, month, hourly, at, to, label: in the order of months, the largest first within one."""
    frame = pd.DataFrame({"hourly": floats(purchases["hourly_usd"]), "month": purchases["month"].map(visible)})
    frame["name"] = [visible(n) for n in names]
    frame["pays"] = ["" if pd.isna(b) else middle_cut(visible(b), PAYS_LETTERS) for b in purchases["break_even"]]
    frame = frame[frame["hourly"] > 0].sort_values(["hourly", "name"], ascending=[False, True], kind="stable")
    rest = frame.iloc[MAX_PURCHASES:]
    frame = frame.head(MAX_PURCHASES).sort_values(["month"], kind="stable")
    if len(rest):
        row = {"hourly": rest["hourly"].sum(), "month": rest["month"].min(), "name": f"{len(rest)} {OTHERS}"}
        frame = pd.concat([frame, pd.DataFrame([row | {"pays": ""}])], ignore_index=True)
    frame["to"] = frame["hourly"].cumsum()
    frame["at"] = frame["to"].shift(fill_value=0.0)
    frame["label"] = [
        f"{month}: +{hourly:,.2f}" + (f", pays off by {pays}" if pays else "")
        for month, hourly, pays in zip(frame["month"], frame["hourly"], frame["pays"], strict=True)
    ]
    frame["name"] = unique(middle_cut(n, PURCHASE_LETTERS) for n in frame["name"])
    return frame


def purchase_regret(
    purchases: pd.DataFrame, names: Iterable[str], theme: Theme = "light", currency: str = "USD"
) -> alt.LayerChart:
    """What each purchase turns out to cost beyond its best size: to the left if usage is low, to the right if high.

    Parameters
    ----------
    purchases
        regret_q10 (usage at P10: too much was bought), regret_q90 (usage at P90: too little), both from zero up.
    names
        What to call each row.
    """
    import altair as alt

    frame = pd.DataFrame({"low": floats(purchases["regret_q10"]), "high": floats(purchases["regret_q90"])})
    frame["name"] = unique(middle_cut(visible(n), PURCHASE_LETTERS) for n in names)
    frame = frame.replace([np.inf, -np.inf], np.nan).dropna().head(MAX_PURCHASES)
    if frame.empty:
        return nothing("No commitment is worth buying, or its regret is not known", theme)
    ink = INKS[theme]
    keys = ["usage is low (P10): too much was bought", "usage is high (P90): too little was bought"]
    width = float(frame[["low", "high"]].to_numpy().max()) or 1.0
    frame["left"] = -frame["low"]
    scale = alt.Scale(domain=[-1.35 * width, 1.35 * width], nice=False)
    sides: dict[str, Any] = {
        "title": f"{visible(currency)} over the term: ← usage is low · usage is high →", "scale": scale,
        "axis": alt.Axis(labelExpr="format(abs(datum.value), '~s')", tickCount=6, labelOverlap=True),
    }  # fmt: skip
    colour = alt.Color("key:N", scale=alt.Scale(domain=keys, range=[ink.plain, ink.line]),
                       legend=alt.Legend(symbolType="square", labelLimit=280, columns=2))  # fmt: skip
    axis = _names_axis()
    axis.labelLimit = PURCHASE_PIXELS
    y = alt.Y("name:N", sort=list(frame["name"]), title=None, axis=axis)
    tips = [alt.Tooltip("name:N"), alt.Tooltip("low:Q", title="low usage", format=",.0f"),
            alt.Tooltip("high:Q", title="high usage", format=",.0f")]  # fmt: skip
    layers: list[Any] = [alt.Chart(pd.DataFrame({"at": [0.0]})).mark_rule(color=ink.muted).encode(x=alt.X("at:Q"))]
    for key, end, amount, align, dx in ((keys[0], "left", "low", "right", -5), (keys[1], "high", "high", "left", 5)):
        labelled = frame.assign(key=key, zero=0.0, label=[f"{v:,.0f}" for v in frame[amount]])
        base = alt.Chart(labelled).encode(y=y, tooltip=tips)
        layers.append(base.mark_bar(height=13).encode(x=alt.X("zero:Q", **sides), x2=alt.X2(f"{end}:Q"), color=colour))
        text = base.mark_text(align=align, dx=dx, fontSize=11, color=ink.text)
        layers.append(text.encode(x=alt.X(f"{end}:Q", **sides), text=alt.Text("label:N")))
    return styled(alt.layer(*layers), theme, alt.Step(25))
