"""Last quarter's promises in sentences: one on the peaks, one on the spend."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pandas as pd

from capacity.costs import variance_grade
from capacity.pipeline.promises import COMPANY
from capacity.plan import Finding, Plan
from capacity.words import day, money, percent, quantity

_DAY = pd.Timedelta(days=1)
# An 80 % interval is missed one time in five by right; from two in five on, an eye is wanted.
MISSED_FRAC = 0.4


def promised_findings(plan: Plan) -> Iterator[Finding]:
    """Of a plan whose frame ``promise`` is not empty: how the demand's largest peaks and the spend's months did."""
    frame = plan.frame("promise")
    if frame.empty:
        return
    yield from _peaks(plan, frame)
    yield from _months(plan, frame[(frame["service"] == COMPANY) & (frame["target"] == "total")])


def _peaks(plan: Plan, frame: pd.DataFrame) -> Iterator[Finding]:
    """The unit whose peak was furthest from its P50 for the width of its interval, and how many stayed inside."""
    demand = {(u.service, u.region): (u.demand_metric, u.demand_unit) for u in plan.units}
    rows = frame[(frame["target"] == "horizon_peak") & frame["covered"].notna()]
    own = [
        demand.get((s, r), ("", ""))[0] == m
        for s, r, m in zip(rows["service"], rows["region"], rows["metric"], strict=True)
    ]
    rows = rows[own]
    if rows.empty:
        return
    off = (rows["actual"] - rows["q50"]).abs() / (rows["q90"] - rows["q10"]).clip(lower=1e-12)
    worst: Mapping[Any, Any] = rows.to_dict("records")[int(off.to_numpy().argmax())]
    measure = demand[worst["service"], worst["region"]][1]
    text = (
        f"{_when(worst)} promised {worst['service']}/{worst['region']} a peak of {quantity(worst['q10'], measure)} to "
        f"{quantity(worst['q90'], measure)}; it was {quantity(worst['actual'], measure)} ({_where(worst)})"
    )
    inside = int(rows["covered"].astype(bool).sum())
    if len(rows) > 1:
        text += f", the furthest off; {inside} of {len(rows)} peaks stayed within their 80 % interval"
    missed = 1.0 - inside / len(rows)
    yield Finding("watch" if missed >= MISSED_FRAC else "info", "forecast", text, worst["service"], worst["region"])


def _months(plan: Plan, rows: pd.DataFrame) -> Iterator[Finding]:
    """The newest month of spend that was promised and is billed."""
    if rows.empty:
        return
    row: Mapping[Any, Any] = rows.sort_values("month").to_dict("records")[-1]
    off = abs(row["error_frac"])
    text = (
        f"{_when(row)} promised a spend of {money(row['q10'], plan.currency)} to {money(row['q90'], plan.currency)} "
        f"for {row['month']}; it was {money(row['actual'], plan.currency)} ({_where(row)}, "
        f"{percent(row['error_frac'], signed=True)} off its P50, FinOps grade: {variance_grade(off)})"
    )
    yield Finding("info" if row["covered"] else "watch", "spend", text)


def _when(row: Mapping[Any, Any]) -> str:
    return f"the plan of {day((row['origin_ts'] + _DAY).date())}"


def _where(row: Mapping[Any, Any]) -> str:
    if row["covered"]:
        return "inside"
    return "above" if row["actual"] > row["q90"] else "below"
