"""Spend against budget by period: what is billed, what is forecast with its interval, and what may be spent."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from capacity.charts._money import _money_axis, _months_axis
from capacity.charts._theme import INKS, Theme, floats, nothing, styled, visible

if TYPE_CHECKING:
    import altair as alt

BILLED, AHEAD, SPAN, BUDGET, AWS = "billed to date", "forecast (P50)", "P10 to P90", "budget", "AWS's own forecast"


def spend_budget(outlook: pd.DataFrame, theme: Theme = "light") -> alt.LayerChart:
    """Each period as a bar, what is billed of it in full ink and what is forecast lighter, with P10 to P90 as whiskers;
    the budget is a thick line with a diamond and P(over), AWS's own forecast a triangle.

    Parameters
    ----------
    outlook
        Rows of frame ``budget_outlook`` of one level, name and kind of period.
    """
    import altair as alt

    frame = _frame(outlook)
    if frame.empty:
        return nothing("No spend forecast: a bill of some weeks is needed", theme)
    ink = INKS[theme]
    keys = [BILLED, AHEAD, SPAN, BUDGET, AWS]
    shown = [k for k in keys if k in (AHEAD, SPAN) or frame[_COLUMN_OF[k]].gt(0).any()]
    inks = dict(zip(keys, (ink.line, ink.band80, ink.text, ink.limit, ink.series[3]), strict=True))
    scale = alt.Scale(domain=shown, range=[inks[k] for k in shown])
    colour = alt.Color("key:N", scale=scale, legend=alt.Legend(symbolType="square"))
    x = alt.X("period:O", sort=list(frame["period"]), title=None, axis=_months_axis())
    top = float(frame[["q90", "budget", "aws_high"]].max().max()) * 1.12
    money = {"axis": _money_axis(), "scale": alt.Scale(domain=[min(0.0, float(frame["q10"].min())), top], nice=False)}
    title = " and ".join(sorted({visible(c) for c in outlook["currency"]}))
    tips = [alt.Tooltip("period:O"), *(alt.Tooltip(f"{c}:Q", format=",.0f") for c in _TOLD),
            alt.Tooltip("over:Q", format=".0%", title="P(over budget)")]  # fmt: skip

    def of(key: str) -> alt.Chart:
        column = _COLUMN_OF.get(key)
        rows = frame if column is None else frame[frame[column].gt(0)]
        return alt.Chart(rows.assign(key=key)).encode(x=x)

    bar = {"width": {"band": 0.5}}
    layers = [
        of(AHEAD).mark_bar(**bar).encode(
            y=alt.Y("actual:Q", title=title, **money), y2=alt.Y2("q50:Q"), color=colour, tooltip=tips
        ),
        of(SPAN).mark_rule(strokeWidth=1.5).encode(y=alt.Y("q10:Q"), y2=alt.Y2("q90:Q"), color=colour),
        *(of(SPAN).mark_tick(thickness=1.5, width=10, color=ink.text).encode(y=alt.Y(f"{q}:Q"))
          for q in ("q10", "q90")),
    ]  # fmt: skip
    if BILLED in shown:
        zero = frame.assign(zero=0.0)
        billed = alt.Chart(zero[zero["actual"] > 0].assign(key=BILLED)).encode(x=x)
        layers.insert(
            0, billed.mark_bar(**bar).encode(y=alt.Y("zero:Q"), y2=alt.Y2("actual:Q"), color=colour, tooltip=tips)
        )
    if BUDGET in shown:
        layers += [
            of(BUDGET)
            .mark_tick(thickness=3, width={"band": 0.75}, opacity=1)
            .encode(y=alt.Y("budget:Q"), color=colour),
            of(BUDGET)
            .mark_point(shape="diamond", size=70, filled=True, opacity=1)
            .encode(y=alt.Y("budget:Q"), color=colour),
            of(BUDGET)
            .mark_text(dy=-10, fontSize=11, color=ink.limit)
            .encode(y=alt.Y("top:Q"), text=alt.Text("label:N")),
        ]
    if AWS in shown:
        beside = of(AWS).mark_point(
            shape="triangle-up", size=90, filled=True, opacity=1, xOffset=14, stroke=ink.ground, strokeWidth=1
        )
        layers.append(beside.encode(y=alt.Y("aws_mean:Q"), color=colour, tooltip=tips))
    return styled(alt.layer(*layers), theme)


_COLUMN_OF = {BILLED: "actual", BUDGET: "budget", AWS: "aws_mean"}
_TOLD = ("actual", "q10", "q50", "q90", "run_rate", "projected", "budget", "aws_mean")


def _frame(outlook: pd.DataFrame) -> pd.DataFrame:
    columns = ["actual", "q10", "q50", "q90", "run_rate", "projected", "budget", "aws_mean", "aws_high"]
    frame = pd.DataFrame({c: floats(outlook[c]) for c in columns})
    frame["over"] = floats(outlook["p_over"])
    complete = outlook["complete"].astype(bool).to_numpy()
    names = [visible(p) for p in outlook["period"]]
    # What is not known or forecast to its last day is marked: its bar is of a part of the period.
    frame.insert(0, "period", [n if whole else f"{n} (part)" for n, whole in zip(names, complete, strict=True)])
    frame["label"] = ["" if pd.isna(p) else f"P(over) {p:.0%}" for p in frame["over"]]
    frame["top"] = frame[["q90", "budget"]].max(axis=1)
    return frame.dropna(subset=["q50"]).sort_values("period", kind="stable")
