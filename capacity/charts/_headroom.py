"""The heat map of headroom: planning units by week, the number in every cell."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from capacity.charts._theme import INKS, Theme, days, floats, nothing, readable_on, styled, unit_label

if TYPE_CHECKING:
    import altair as alt

# Score of a cell and its colour. -1 is no headroom left, 0 is just the policy, 1 is a policy's worth and .4 above.
# Red to blue through a pale middle: told apart with any common colour vision, and the sign stands in the cell.
STOPS: tuple[tuple[float, str], ...] = (
    (-2.0, "#7f1d1d"), (-1.0, "#dd5b43"), (0.0, "#fdf0c8"), (0.5, "#9ccfd8"), (1.0, "#1f6f9f"),
)  # fmt: skip
# Headroom above the policy at which the scale ends.
AMPLE = 0.4
ROW_PIXELS = 21


def headroom_heatmap(headroom: pd.DataFrame, theme: Theme = "light", max_rows: int = 40) -> alt.LayerChart:
    """Headroom in percent, planning unit by week, worst unit first; the colour turns at each unit's policy.

    Parameters
    ----------
    headroom
        service, region, week_start, headroom_frac, policy_frac.
    max_rows
        Only the worst so many units are drawn; the caller says how many there are.
    """
    import altair as alt

    frame = _cells(headroom, max_rows)
    if frame.empty:
        return nothing("No unit has a safe capacity to measure headroom against", theme)
    ink = INKS[theme]
    rows, weeks = list(dict.fromkeys(frame["unit"])), sorted(frame["week"].unique())
    labels = dict(zip(frame["week"], frame["week_label"], strict=True))
    order = [labels[w] for w in weeks]
    base = alt.Chart(frame).encode(
        x=alt.X("week_label:O", sort=order, title="week starting", scale=alt.Scale(domain=order),
                axis=alt.Axis(orient="top", labelAngle=0, labelOverlap=True, domain=False, ticks=False)),
        y=alt.Y("unit:N", sort=rows, title=None, axis=alt.Axis(domain=False, ticks=False)),
    )  # fmt: skip
    scale = alt.Scale(domain=[s for s, _ in STOPS], range=[c for _, c in STOPS], clamp=True)
    legend = alt.Legend(
        orient="bottom", gradientLength=260, gradientThickness=10, values=[-1, 0, 1], labelLimit=200,
        labelExpr="datum.value == -1 ? 'no headroom' : datum.value == 0 ? 'at policy' : 'ample'",
    )  # fmt: skip
    rect = base.mark_rect(stroke=ink.ground, strokeWidth=1).encode(
        color=alt.Color("score:Q", scale=scale, legend=legend),
        tooltip=[alt.Tooltip("unit:N"), alt.Tooltip("week_label:O", title="week starting"),
                 alt.Tooltip("headroom:Q", format=".1%"), alt.Tooltip("policy:Q", format=".0%")],
    )  # fmt: skip
    text = base.mark_text(fontSize=10).encode(text=alt.Text("label:N"), color=alt.Color("ink:N", scale=None))
    return styled(alt.layer(rect, text).resolve_scale(color="independent"), theme, alt.Step(ROW_PIXELS))


def _cells(headroom: pd.DataFrame, max_rows: int) -> pd.DataFrame:
    frame = pd.DataFrame({
        "unit": [unit_label(s, r) for s, r in zip(headroom["service"], headroom["region"], strict=True)],
        "week": days(headroom["week_start"]),
        "headroom": floats(headroom["headroom_frac"]),
        "policy": floats(headroom["policy_frac"]),
    })  # fmt: skip
    frame = frame.dropna(subset=["week", "headroom"])
    worst = frame.groupby("unit", sort=True)["headroom"].min().sort_values(kind="stable")
    rank = {unit: i for i, unit in enumerate(worst.index[:max_rows])}
    frame = frame[frame["unit"].isin(list(rank))]
    frame = frame.sort_values(["unit", "week"], key=lambda c: c.map(rank) if c.name == "unit" else c, kind="stable")
    one_year = frame["week"].nunique() <= 53
    return frame.assign(
        week_label=frame["week"].dt.strftime("%d %b" if one_year else "%d %b %y"),
        score=[_score(h, p) for h, p in zip(frame["headroom"], frame["policy"], strict=True)],
        label=[_percent(h) for h in frame["headroom"]],
    ).assign(ink=lambda f: [readable_on(cell_colour(s)) for s in f["score"]])


def _percent(headroom: float) -> str:
    """Whole percent with a true minus; floors, so that a unit just short of capacity never reads as 0 or above."""
    whole = int(np.floor(headroom * 100 + 1e-9))
    return f"−{-whole}" if whole < 0 else str(whole)


def _score(headroom: float, policy: float) -> float:
    """-1 at no headroom, 0 at the policy, 1 at the policy and :data:`AMPLE` above it."""
    wanted = policy if np.isfinite(policy) and policy > 0 else 0.2
    if headroom >= wanted:
        return min((headroom - wanted) / AMPLE, 1.0)
    return max(headroom / wanted - 1.0, -2.0)


def cell_colour(score: float) -> str:
    """The colour that the chart's linear scale gives ``score`` (RGB interpolation between :data:`STOPS`)."""
    at = [s for s, _ in STOPS]
    channels = np.array([[int(c[i : i + 2], 16) for i in (1, 3, 5)] for _, c in STOPS])
    mixed = [round(float(np.interp(score, at, channels[:, k]))) for k in range(3)]
    return "#" + "".join(f"{v:02x}" for v in mixed)
