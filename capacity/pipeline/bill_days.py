"""Days of the bill: running spend by service up to where it is whole, and what stands apart from it; their months."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from capacity import costs, words
from capacity.config import Config
from capacity.domain import Paths, SeriesForecast
from capacity.forecast import DRIVER
from capacity.pipeline.base import Base, own_error
from capacity.pipeline.inputs import Inputs
from capacity.pipeline.spend_widths import SHARED as SHARED
from capacity.pipeline.spend_widths import spend_widths
from capacity.plan import SpendMonth

BY_SERVICE = ("service", "month", "q10", "q50", "q90", "model", "reason")
# The budgets that a plan's months are held against; all others stand in the frame ``budget_outlook``.
COMPANY_MONTH = ("company", "month", "running")
# A source that is silent for longer has ended; a shorter silence is a bill that comes late (they come by the month).
ENDED_DAYS = 45
# What stood on none of the last bills needs no sentence.
RECENT_MONTHS = 3


@dataclass(frozen=True)
class Spent:
    """What was spent, in the config's currency.

    ``running`` is daily spend by service (and :data:`SHARED`), each from its first charge up to its last whole day.
    ``daily`` holds every part of it, as :func:`capacity.costs.daily_spend` gives them; ``closed`` the closed months.
    """

    running: Mapping[str, pd.Series] = field(default_factory=dict)
    daily: pd.DataFrame = field(default_factory=pd.DataFrame)
    closed: tuple[str, ...] = ()


def spent(inputs: Inputs) -> Spent:
    """Read the days of the bill.

    The newest two days are left out, for they are still being metered; so is the open month of spend that comes by the
    month. Where several sources bill, all end where the first of them does: a day that one has not billed yet is no
    cheap day.
    """
    bill, config = inputs.cost, inputs.config
    if not bill.num_rows:
        return Spent()
    settled = inputs.as_of - timedelta(days=costs.SETTLE_DAYS)
    closed = costs.closed_months(bill, settled)
    daily = costs.daily_spend(bill, config.costs, [s.name for s in config.services], inputs.as_of.date())
    daily = daily[(daily["currency"] == config.currency) & (daily["day"] <= all_billed(inputs))]
    daily = daily.assign(owner=daily["service"].where(daily["kind"] == "service", SHARED))
    running = daily[daily["part"] == "running"]
    if running.empty:
        return Spent({}, daily, closed)
    end = pd.Timestamp(running["day"].max())
    found = {str(owner): _whole_days(rows, end, closed) for owner, rows in running.groupby("owner")}
    return Spent({o: s for o, s in found.items() if len(s)}, daily, closed)


def all_billed(inputs: Inputs) -> pd.Timestamp:
    """Last day that every source still at work has billed."""
    bill = inputs.cost
    charged, billed = bill["ChargePeriodEnd"], bill["BillingPeriodEnd"]
    ends = pc.if_else(pc.less(charged, billed), charged, billed)
    by_source = pa.table({"source": bill["source"], "end": ends}).group_by("source").aggregate([("end", "max")])
    settled = pd.Timestamp(inputs.as_of).normalize() - pd.Timedelta(days=costs.SETTLE_DAYS)
    last = [min(pd.Timestamp(end), settled) for end in by_source["end_max"].to_pylist()]
    live = [end for end in last if end >= max(last) - pd.Timedelta(days=ENDED_DAYS)]
    return (min(live) - pd.Timedelta(microseconds=1)).tz_localize(None).normalize()


def _whole_days(rows: pd.DataFrame, end: pd.Timestamp, closed: tuple[str, ...]) -> pd.Series:
    """Spend of one owner on every day from its first charge on; a day without a charge cost nothing."""
    by_day = rows.groupby("day")[["effective_cost", "spread_cost"]].sum()
    days = pd.date_range(by_day.index[0], end, freq="D")
    by_day = by_day.reindex(days, fill_value=0.0)
    until = costs.settled_until(by_day.rename_axis("day").reset_index(), closed)
    return by_day["effective_cost"].loc[:until]


# --- months ------------------------------------------------------------------------------------------------


def spend_months(
    base: Base, spend: Mapping[str, pd.Series], config: Config, extra_by_month: Mapping[str, float] | None = None
) -> tuple[tuple[SpendMonth, ...], pd.DataFrame]:
    """Spend of coming whole months for the company, and by service (service, month, q10, q50, q90, model, reason).

    The company's interval comes from adding the services' paths future by future, never from adding quantiles; all
    intervals are widened by what past origins show (:mod:`capacity.costs.spend_past`).
    ``extra_by_month`` is money that a scenario adds to the base (or takes from it, below zero).
    """
    if not base.spend:
        return (), pd.DataFrame(columns=list(BY_SERVICE))
    widths = spend_widths(base.spend, spend, config)
    rows = []
    for service, forecast in sorted(base.spend.items()):
        months = _whole_months(forecast, spend[service], widths, service)
        rows += [
            (service, r["month"], r["q10"], r["q50"], r["q90"], forecast.model, forecast.reason)
            for r in months.to_dict("records")
        ]
    paths, days = together(base.spend, spend)
    budgets = {b.period: b.amount for b in config.budgets if (b.level, b.period_kind, b.includes) == COMPANY_MONTH}
    before = {name: values[values.index < days[0]] for name, values in spend.items() if name in base.spend}
    total = costs.month_totals(paths, days, _month_to_date(days[0], before), budgets)
    extra = extra_by_month or {}
    known = (days[0] - timedelta(days=1)).to_period("M")
    company = tuple(
        _spend_month(
            r, config.currency, extra.get(str(r["month"]), 0.0), paths[:, days.strftime("%Y-%m") == r["month"]],
            widths.of("company", config.company, (pd.Period(r["month"], "M") - known).n),
        )
        for r in total[total["complete"]].to_dict("records")
    )  # fmt: skip
    return company, pd.DataFrame(rows, columns=list(BY_SERVICE))


def together(
    forecasts: Mapping[str, SeriesForecast], spend: Mapping[str, pd.Series]
) -> tuple[npt.NDArray[np.float32], pd.DatetimeIndex]:
    """Paths (P, H) of all services added day by day, from the first day that one of them has to be forecast.

    A service whose bill reaches further adds what it was billed on such a day.
    """
    start = min(f.index[0] for f in forecasts.values())
    end = min(f.index[-1] for f in forecasts.values())
    days = pd.date_range(start, end, freq="D")
    paths: Paths = np.zeros((next(iter(forecasts.values())).paths.shape[0], len(days)), dtype=np.float32)
    for service, forecast in sorted(forecasts.items()):
        at = max(0, (forecast.index[0] - start).days)
        if at:
            paths[:, :at] += spend[service].reindex(days[:at], fill_value=0.0).to_numpy(np.float32)
        paths[:, at:] += forecast.paths[:, : len(days) - at]
    return paths, days


def _whole_months(forecast: SeriesForecast, history: pd.Series, widths: costs.Widths, service: str) -> pd.DataFrame:
    totals = costs.month_totals(forecast.paths, forecast.index, _month_to_date(forecast.index[0], {"": history}))
    whole = totals[totals["complete"]]
    known = (forecast.index[0] - timedelta(days=1)).to_period("M")
    quantiles = whole[["q10", "q50", "q90"]].to_numpy(float)
    for row, month in zip(quantiles, whole["month"], strict=True):
        row[:] = costs.widened(row, widths.of("service", service, (pd.Period(month, "M") - known).n), row[1])
    return whole.assign(q10=quantiles[:, 0], q90=quantiles[:, 2])


def _month_to_date(start: pd.Timestamp, spend: Mapping[str, pd.Series]) -> dict[str, float]:
    month = f"{start:%Y-%m}"
    if start.day == 1:
        return {}
    first = start.replace(day=1)
    return {month: float(sum(s[(s.index >= first) & (s.index < start)].sum() for s in spend.values()))}


def _spend_month(row: Mapping[Hashable, Any], currency: str, extra: float, paths: Paths, factor: float) -> SpendMonth:
    """A month of the company; ``paths`` (P, n) are of its days that have to be forecast."""
    month, budget = str(row["month"]), row["budget"]
    total = costs.widened(paths.sum(axis=1, dtype=np.float64), factor) + float(str(row["known"])) + extra
    q10, q50, q90 = (float(q) for q in np.quantile(total, (0.1, 0.5, 0.9)))
    if not isinstance(budget, Decimal):
        return SpendMonth(month, currency, q10, q50, q90, None, None)
    return SpendMonth(month, currency, q10, q50, q90, budget, float(np.mean(total > float(budget))))


def apart(found: Spent, months: tuple[SpendMonth, ...], currency: str) -> pd.DataFrame:
    """Tax, credits, refunds and one-off purchases by month, as billed and as assumed: see costs.apart_months."""
    if found.daily.empty:
        return costs.apart_months(pd.DataFrame(columns=["day", "part", "effective_cost"]), (), {}, currency)
    return costs.apart_months(found.daily, found.closed, {m.month: m.q50 for m in months}, currency)


# --- words -------------------------------------------------------------------------------------------------


def month_error(base: Base, spend: Mapping[str, pd.Series]) -> float | None:
    """Error of single services' whole months at past origins over what was spent in them; None where none was whole."""
    off = total = 0.0
    for service, found in base.spend.items():
        if found.past is None or service not in spend:
            continue
        for origin, medians in zip(found.past.origins, found.past.medians, strict=True):
            days = pd.date_range(origin, periods=len(medians) + 1, freq="D")[1:]
            both = pd.DataFrame({"came": spend[service].reindex(days), "said": medians.astype(float)}).dropna()
            months = both.groupby(pd.PeriodIndex(both.index, freq="M")).agg(["sum", "size"])
            whole = months[months["came", "size"].to_numpy() == pd.PeriodIndex(months.index).days_in_month]
            off += float((whole["said", "sum"] - whole["came", "sum"]).abs().sum())
            total += float(whole["came", "sum"].abs().sum())
    return off / total if total > 0 else None


def spend_note(base: Base, spend: Mapping[str, pd.Series], lines: pd.DataFrame | None = None) -> str:
    """What the spend forecast is made of, how good it was at past origins, and what stands apart, in words."""
    if not base.spend:
        return "no bill in the store"
    parts = [_made_of(base)]
    scores = [error for f in base.spend.values() if (error := own_error(f)) is not None]
    if scores:
        middle = float(np.median(scores))
        lost = "; it has NOT beaten the same weekday of last week" if middle >= 1 else ""
        parts.append(f"past error {middle:.2f} of the naive forecast's{lost}")
    error = month_error(base, spend)
    if error is not None:
        grade = costs.variance_grade(error)
        parts.append(f"months of single services erred {words.percent(error)} at past origins (FinOps grade: {grade})")
    return "; ".join([*parts, *_apart_words(lines)])


def _made_of(base: Base) -> str:
    """Which services are driver-based; without tax and credits, and without what this plan changes."""
    by_driver = sorted(s for s, f in base.spend.items() if f.model == DRIVER)
    what = "trend of the bill as it runs"
    if by_driver:
        others = len(base.spend) - len(by_driver)
        what = f"fixed + rate x demand of {words.listed(by_driver)}"
        rest = "one other" if others == 1 else f"{others} others"
        what += f", and the trend of the bill as it runs for {rest}" if others else ""
    return f"{what}, without tax and credits, and without what this plan changes"


def _apart_words(lines: pd.DataFrame | None) -> list[str]:
    """One sentence for each part that the last bills had: what is assumed of it."""
    if lines is None or lines.empty:
        return []
    known = lines["known"].astype(bool)
    late = sorted(lines[known]["month"].unique())[-RECENT_MONTHS:]
    billed = lines[known & lines["month"].isin(late) & (lines["amount"] != 0.0)]["part"].unique()
    firsts = lines[~known & lines["part"].isin(billed)].groupby("part", sort=True)["assumption"].first()
    names = {"tax": "tax: "}
    return [f"{names.get(str(part), '')}{text}" for part, text in firsts.items()]
