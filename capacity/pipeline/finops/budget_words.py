"""Budgets and the record of the spend forecast, in the sentences of a plan."""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd

from capacity import words
from capacity.plan import Finding, Plan

# From this probability on a budget that will be passed is a matter for a decision.
ALARM = 0.5
# A service that is less of the spend is in the tables only.
LEAST_SHARE = 0.05
# Months ahead that the record is told of: a quarter, or what there is of it.
TOLD_MONTHS = 3


def budget_findings(plan: Plan) -> Iterator[Finding]:
    """Budgets beside the company's months, which have a sentence of their own, that are likely to be passed."""
    frame = plan.frame("budget_outlook")
    if frame.empty:
        return
    monthly = (frame["level"] == "company") & (frame["period_kind"] == "month") & frame["period"].isin(_months(plan))
    over = frame[~monthly & (pd.to_numeric(frame["p_over"], errors="coerce") >= ALARM)]
    if over.empty:
        return
    worst = over.assign(off=over["q50"].astype(float) - over["budget"].map(float)).sort_values(
        ["off", "name", "period"], ascending=[False, True, True]
    )
    first = worst.iloc[0]
    whose = "the company" if first["level"] == "company" else f"{first['level']} {first['name']}"
    text = (
        f"{words.plural(len(worst), 'budget')} of quarters, years, teams or services {_are(len(worst))} more likely "
        f"than not passed, most of all that of {whose} for {first['period']}: {first['q50']:,.0f} {first['currency']} "
        f"(P50) against {first['budget']:,.0f}, P(over) {words.percent(float(first['p_over']))}"
    )
    yield Finding("act", "spend", text, str(first["name"]) if first["level"] == "service" else "")


def _months(plan: Plan) -> list[str]:
    return [m.month for m in plan.spend if m.budget is not None]


def _are(count: int) -> str:
    return "is" if count == 1 else "are"


def record_findings(plan: Plan) -> Iterator[Finding]:
    """Where the forecast has lost to "same as last month" at past origins: the company, or a service that matters."""
    frame = plan.frame("spend_backtest")
    lost = frame[(frame["beats_naive"] == False) & (frame["horizon_months"] == TOLD_MONTHS)]  # noqa: E712 - None is not lost
    for row in lost[lost["level"] == "company"].to_dict("records"):
        yield Finding("watch", "spend", f"the spend forecast of the whole company: {row['words']}")
    shares = _shares(plan)
    rows = lost[(lost["level"] == "service") & (lost["name"].map(lambda n: shares.get(str(n), 0.0)) > LEAST_SHARE)]
    rows = rows.assign(share=[shares[str(n)] for n in rows["name"]]).sort_values(
        ["share", "name"], ascending=[False, True]
    )
    if len(rows):
        first = rows.iloc[0]
        others = (
            f" (so {_have(len(rows) - 1)} {words.listed([str(n) for n in rows['name'][1:]])})" if len(rows) > 1 else ""
        )
        text = f"the spend forecast of {first['name']}: {first['words']}{others}"
        yield Finding("watch", "spend", text, str(first["name"]))


def sku_findings(plan: Plan) -> Iterator[Finding]:
    """The SKU that strayed most of late, and how many more there are."""
    frame = plan.frame("spend_anomalies")
    if frame.empty:
        return
    first = frame.iloc[0]
    more = f"; {len(frame) - 1} more like it in the table" if len(frame) > 1 else ""
    yield Finding("watch", "spend", f"{first['words']}{more}", str(first["service"]), usd=float(first["extra"]))


def _have(count: int) -> str:
    return "has" if count == 1 else "have"


def _shares(plan: Plan) -> dict[str, float]:
    """Share of each service in the coming spend."""
    frame = plan.frame("spend_forecast")
    sums = frame.groupby("service", sort=True)["q50"].sum()
    whole = float(sums.sum())
    return {str(s): float(v) / whole for s, v in sums.items()} if whole > 0 else {}
