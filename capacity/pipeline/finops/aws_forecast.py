"""AWS's own forecast of its bill, as the store has it, by month: to be set beside ours, never an input of it."""

from __future__ import annotations

from typing import NamedTuple

import pandas as pd

from capacity import words

# What GetCostForecast is of, the first that is there: what comes nearest to EffectiveCost goes first.
METRICS = {
    "NET_AMORTIZED_COST": "amortised cost after discounts",
    "AMORTIZED_COST": "amortised cost before private discounts",
    "NET_UNBLENDED_COST": "charges as they are billed, after discounts, with upfront payments when they fall due",
    "UNBLENDED_COST": "charges as they are billed, before private discounts, with upfront payments when they fall due",
}  # fmt: skip
_DAY = pd.Timedelta(days=1)


class AwsMonth(NamedTuple):
    """One calendar month of AWS's forecast; amounts as AWS says them, with what was spent of a month in progress."""

    mean: float
    low: float
    high: float
    words: str


def aws_months(stored: pd.DataFrame, currency: str, spent: float | None) -> dict[str, AwsMonth]:
    """Month (2026-10) -> what AWS expects of it.

    Parameters
    ----------
    stored
        Rows of table ``provider_forecast``, each account's newest.
    spent
        What the month in which the forecast was made had cost by then, all charges; None where that is not known.

    Notes
    -----
    AWS does not say whether the first month of a monthly forecast is of the whole month or of the days that are left:
    whichever the daily forecast of these days bears out is taken, and a first month without one is left out.
    """
    rows = _one_metric(stored[stored["currency"] == currency])
    if rows.empty:
        return {}
    made_on, metric = rows["made_on"].max(), str(rows["metric"].iloc[0])
    monthly, daily = (rows[rows["granularity"] == g] for g in ("MONTHLY", "DAILY"))
    accounts = monthly["account_id"].nunique()
    level = words.percent(float(rows["level_frac"].iloc[0]))
    note = (
        f"AWS's own forecast of {words.day(made_on.date())}, {METRICS.get(metric, metric)}, with its {level} interval: "
        "of all that AWS bills, so with tax, credits and refunds"
    )
    if accounts > 1:
        note += f"; {accounts} accounts added, whose intervals together are too wide"
    out: dict[str, AwsMonth] = {}
    for month, part in monthly.groupby(monthly["ts"].dt.strftime("%Y-%m"), sort=True):
        if part["account_id"].nunique() < accounts:
            continue
        mean, low, high = (float(sum(part[c])) for c in ("mean", "low", "high"))
        begun = f"{made_on:%Y-%m}" == month and made_on.day > 1
        before = _before(mean, daily, str(month), spent) if begun else 0.0
        if before is not None:
            said = f"{note}; with {words.money(before, currency)} spent before that day" if before else note
            out[str(month)] = AwsMonth(mean + before, low + before, high + before, said)
    return out


def _one_metric(rows: pd.DataFrame) -> pd.DataFrame:
    """Rows of one metric, each account once."""
    metric = next((m for m in METRICS if (rows["metric"] == m).any()), None)
    if metric is None:
        return rows.iloc[:0]
    chosen = rows[rows["metric"] == metric].sort_values(["source", "account_id", "granularity", "ts"])
    return chosen.drop_duplicates(["account_id", "granularity", "ts"])


def _before(mean: float, daily: pd.DataFrame, month: str, spent: float | None) -> float | None:
    """What has to be added to the forecast of a month in progress; None where nobody can tell."""
    left = daily[daily["ts"].dt.strftime("%Y-%m") == month]
    if left.empty or spent is None:
        return None
    rest = float(sum(left["mean"]))
    return spent if abs(mean - rest) <= abs(mean - rest - spent) else 0.0
