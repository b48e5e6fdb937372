"""What a driver-based forecast is made of: both histories on one grid, the line at any date, and units ahead."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from capacity.domain import Floats, Interval, SeriesForecast
from capacity.errors import UsageError
from capacity.forecast import _driver_paths as draws
from capacity.forecast._driver_fit import Line, fit
from capacity.forecast._paths import own_generator

# A rate's interval, as every interval here, holds four in five; the rate must be above zero in nineteen of twenty.
CONFIDENCE = 0.8
SURE = 0.05
DAY = pd.Timedelta(days=1)


@dataclass(frozen=True)
class DriverCase:
    """One service's spend, and what may drive it.

    Attributes
    ----------
    spend
        Daily running spend (amortised; without tax, credits, refunds and one-off purchases), zone-less days, settled.
    plain
        The forecast of ``spend`` by itself, with ``past``.
    units
        Daily demand as it came, zone-less days; masked days included, unknown ones missing.
    demand
        The forecast of ``units``, with ``past``; its paths and those of other services share their futures.
    per_day
        Units that a value of ``units`` is in a day: 86,400 requests where it is a mean of requests a second.
    unit_name, currency
        For the words.
    """

    spend: pd.Series
    plain: SeriesForecast
    units: pd.Series
    demand: SeriesForecast
    per_day: float = 1.0
    unit_name: str = "units"
    currency: str = "USD"


@dataclass(frozen=True)
class Driven:
    """The forecast that is used, and how it was decided.

    Attributes
    ----------
    forecast
        Driver-based or plain; its reason says which and why.
    used
        Whether spend is driver-based.
    fixed, rate
        Money a day, and money a unit (of ``per_day``), at the prices of the last weeks; None where no line was found.
    r_squared
        Share of the spend's variance that units explain.
    origins
        Past origins at which both forecasts were judged.
    day_errors, month_errors
        Error of the driver-based and of the plain forecast there, as a share of the spend: by day, and of months.
    shifts
        Days at which the price changed, and its ratio.
    """

    forecast: SeriesForecast
    used: bool
    fixed: Interval | None = None
    rate: Interval | None = None
    r_squared: float | None = None
    origins: int = 0
    day_errors: tuple[float, float] | None = None
    month_errors: tuple[float, float] | None = None
    shifts: tuple[tuple[pd.Timestamp, float], ...] = ()


@dataclass(frozen=True)
class Aligned:
    """Both histories from one first day: ``spend`` (n,) and ``units`` (m,) each up to its own last day."""

    start: pd.Timestamp
    spend: Floats
    units: Floats

    @property
    def gap(self) -> int:
        """Days that units are known beyond spend (below zero: spend beyond units)."""
        return len(self.units) - len(self.spend)

    def days(self, n: int, count: int) -> pd.DatetimeIndex:
        return pd.date_range(self.start + n * DAY, periods=count, freq="D")

    def line(self, n: int) -> Line | str:
        """What could be fitted when ``n`` days of spend were known."""
        known = np.full(n, np.nan)
        seen = self.units[: max(0, min(n, n + self.gap))]
        known[: len(seen)] = seen
        return fit(self.spend[:n], known, self.start.dayofweek)


def align(case: DriverCase) -> Aligned:
    spend, units = _daily(case.spend, "spend"), _daily(case.units, "units")
    start = max(spend.index[0], units.index[0])
    return Aligned(start, spend[start:].to_numpy(float), units[start:].to_numpy(float))


def _daily(series: pd.Series, name: str) -> pd.Series:
    known = series.dropna()
    if not isinstance(known.index, pd.DatetimeIndex) or known.index.tz is not None or known.empty:
        raise UsageError(f"the {name} of a driver need daily values on zone-less days, at least one")
    daily: pd.Series = known[np.isfinite(known.to_numpy(float))].sort_index().asfreq("D")
    return daily


def intervals(line: Line, key: str) -> tuple[Interval, Interval | None]:
    """Fixed and rate at today's prices; no rate where zero is not out of the question."""
    fixed, rate = draws.draw_lines(line, 400, own_generator(0, key))
    sure = float(np.quantile(rate, SURE / 2.0)) > 0
    level = float(np.exp(line.log_level))
    tail = (1.0 - CONFIDENCE) / 2.0

    def interval(values: Floats, mid: float) -> Interval:
        low, high = np.quantile(values, (tail, 1.0 - tail)) * level
        return Interval(min(float(low), mid * level), mid * level, max(float(high), mid * level), CONFIDENCE)

    return interval(fixed, line.fixed), interval(rate, line.rate) if sure else None


def ahead_units(units: pd.Series, demand: SeriesForecast, days: pd.DatetimeIndex) -> Floats:
    """(P, H) units on ``days``: as they came where known, else the demand's paths; its last week again beyond them."""
    known = units.dropna()
    paths = demand.paths.astype(float)
    out = np.empty((len(paths), len(days)))
    at = (days - demand.index[0]).days.to_numpy()
    last = paths.shape[1] - 1
    beyond = np.maximum(at - last, 0)
    inside = np.clip(np.where(beyond > 0, at - 7 * -(-beyond // 7), at), 0, last)
    out[:] = paths[:, inside]
    came = known.reindex(days).to_numpy(float)
    seen = np.isfinite(came)
    out[:, seen] = came[seen]
    return out
