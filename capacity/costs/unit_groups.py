"""Unit cost of services, teams, tiers, journeys and the company, by any driver, month by month."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal

import pandas as pd

from capacity.costs._money import EXACT, quantize, to_decimal
from capacity.costs.unit_cost import LEAST_COVERAGE_FRAC, per_1000, summary
from capacity.costs.unit_slopes import Slope
from capacity.costs.unit_trend import month_trend
from capacity.errors import UsageError

UNIT_LEVELS = ("company", "tier", "team", "service", "journey")
UNIT_GROUP_COLUMNS = (
    "level", "name", "driver", "month", "currency", "effective_cost", "units", "per_1000", "average_per_1000",
    "marginal_per_1000", "marginal_low", "marginal_high", "fixed_share_frac", "trend_frac_per_month", "trend_low",
    "trend_high", "flags", "unit", "per", "coverage_frac", "marginal_basis", "marginal_points", "long_run_per_1000",
    "long_run_low", "long_run_high", "trend_months",
)  # fmt: skip
# level, name, driver, currency
GroupKey = tuple[str, str, str, str]
_KEY = ("level", "name", "driver", "currency")
_OF_GROUP = (
    "average_per_1000", "marginal_per_1000", "marginal_low", "marginal_high", "fixed_share_frac",
    "trend_frac_per_month", "trend_low", "trend_high", "marginal_basis", "marginal_points", "long_run_per_1000",
    "long_run_low", "long_run_high", "trend_months",
)  # fmt: skip
_NAN = float("nan")


def unit_groups(
    lines: pd.DataFrame,
    slopes: Mapping[GroupKey, Slope],
    closed: Sequence[str],
    notes: Mapping[GroupKey, str] | None = None,
    partial: Mapping[str, str] | None = None,
) -> pd.DataFrame:
    """Average, marginal cost, fixed share and trend of whatever has a cost and units by month.

    Parameters
    ----------
    lines
        level (of :data:`UNIT_LEVELS`), name, driver, unit (one driver unit, in a word), per, month (YYYY-MM),
        currency, effective_cost (Decimal), units (NaN where unknown), coverage_frac. Lines of journeys also have
        ``given_per_1000`` (Decimal or None) and ``given_flags``: their unit cost is the sum of those of services.
    slopes
        Marginal cost from days, by (level, name, driver, currency). A group without one gets the slope over its
        months; a journey none, as its money is not its own.
    closed
        Months whose bill is whole: no other has a part in averages, slopes and trends.
    notes
        What is to be said of a group, by its key.
    partial
        Months that the bill holds only in part -> what is said of them (:func:`capacity.costs.partial_months`): they
        have no part either, closed or not.

    Returns
    -------
    DataFrame
        :data:`UNIT_GROUP_COLUMNS`. ``per_1000`` is None where usage covers less than 95 % of the month, nothing was
        served or the bill holds only a part; the flag says so. Columns from average_per_1000 to trend_high are the same
        for all months of a group.

    Raises
    ------
    UsageError
        A month of a group stands twice, or a level is not known.
    """
    _check(lines)
    frame = _with_per_1000(lines, partial or {})
    found: dict[GroupKey, dict[str, object]] = {}
    for key, rows in frame.groupby(list(_KEY), sort=False):
        group = (str(key[0]), str(key[1]), str(key[2]), str(key[3]))
        whole = rows["month"].isin(list(closed)) & rows["per_1000"].map(lambda v: isinstance(v, Decimal)).astype(bool)
        found[group] = _of_group(rows[whole], slopes.get(group), group[0] == "journey")
    keys = [(str(a), str(b), str(c), str(d)) for a, b, c, d in zip(*(frame[n] for n in _KEY), strict=True)]
    out = frame.assign(
        **{
            n: pd.Series([found[k][n] for k in keys], dtype=object if n == "average_per_1000" else None)
            for n in _OF_GROUP
        },
        flags=[_joined(flag, (notes or {}).get(k, "")) for flag, k in zip(frame["flags"], keys, strict=True)],
        _rank=frame["level"].map({level: i for i, level in enumerate(UNIT_LEVELS)}),
    )
    out = out.sort_values(["_rank", "name", "driver", "currency", "month"], kind="stable", ignore_index=True)
    return out[list(UNIT_GROUP_COLUMNS)]


def _check(lines: pd.DataFrame) -> None:
    twice = lines.loc[lines.duplicated([*_KEY, "month"]), [*_KEY, "month"]]
    if len(twice):
        raise UsageError(f"unit cost: {tuple(twice.iloc[0])} stands twice")
    strange = sorted({*lines["level"]} - {*UNIT_LEVELS})
    if strange:
        raise UsageError(f"unit cost: level '{strange[0]}' is not known; allowed: {', '.join(UNIT_LEVELS)}")


def _with_per_1000(lines: pd.DataFrame, partial: Mapping[str, str]) -> pd.DataFrame:
    """With each month's unit cost, and the money that it stands for: a journey's is its rate times its number."""
    frame = lines.reset_index(drop=True)
    amounts: list[Decimal | None] = []
    money: list[Decimal] = []
    flags: list[str] = []
    for row in frame.to_dict("records"):
        units, cost = float(row["units"]), row["effective_cost"]
        given = row.get("given_flags")
        lacks = _joined(_flag(units, float(row["coverage_frac"])), partial.get(str(row["month"]), ""))
        flag = _joined(given if isinstance(given, str) else "", lacks)
        amount: Decimal | None = None
        if not lacks:
            amount = row["given_per_1000"] if row["level"] == "journey" else per_1000(cost, units)
        amounts.append(amount)
        money.append(_at_rate(amount, units) if row["level"] == "journey" else cost)
        flags.append(flag)
    return frame.assign(per_1000=pd.Series(amounts, dtype=object), _money=pd.Series(money, dtype=object), flags=flags)


def _flag(units: float, coverage_frac: float) -> str:
    if not units > 0:
        return "no driver units in this month"
    return "" if coverage_frac >= LEAST_COVERAGE_FRAC else f"usage covers {coverage_frac:.0%} of the month"


def _at_rate(amount: Decimal | None, units: float) -> Decimal:
    if amount is None:
        return Decimal(0)
    thousands = EXACT.divide(Decimal(repr(units)), Decimal(1000))
    return to_decimal(quantize(EXACT.multiply(amount, thousands)))


def _joined(*texts: str) -> str:
    return "; ".join(dict.fromkeys(t for t in texts if t))


def _of_group(complete: pd.DataFrame, slope: Slope | None, journey: bool) -> dict[str, object]:
    """What is the same for all months of a group; ``complete`` are its whole months."""
    found = summary(complete.assign(effective_cost=complete["_money"]), slope)
    if journey and slope is None:
        found |= dict.fromkeys(("marginal_per_1000", "marginal_low", "marginal_high", "fixed_share_frac"), _NAN)
        found["marginal_basis"] = ""
    trend = month_trend(dict(zip(complete["month"], complete["per_1000"], strict=True)))
    low, mid, high = (trend.low, trend.mid, trend.high) if trend else (_NAN, _NAN, _NAN)
    points = slope.points if slope else (len(complete) if found["marginal_basis"] else 0)
    return found | {
        "trend_frac_per_month": mid, "trend_low": low, "trend_high": high, "marginal_points": points,
        "trend_months": len(complete),
    }  # fmt: skip
