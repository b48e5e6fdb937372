"""Services with known truth: spend that follows demand, spend that does not, and forecasts of both without a fit."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from capacity.domain import QUANTILES, MemberScore, PastMedians, SeriesForecast
from capacity.forecast import DriverCase

HORIZON, STEP, DAYS, PATHS = 60, 20, 420, 200


@dataclass(frozen=True)
class Truth:
    """``units`` and ``spend`` over the history and the horizon after it."""

    units: pd.Series
    spend: pd.Series
    fixed: float
    rate: float


def truth(
    seed: int,
    *,
    follows: bool = True,
    noise: float = 0.02,
    change: tuple[int, float] | None = None,
    days: int = DAYS,
) -> Truth:
    """Demand with weeks, growth and a wandering level; spend = 400 + rate × units, its mean about 1,000 a day.

    ``change`` multiplies spend from so many days before the end of the history on.
    """
    rng = np.random.default_rng(seed)
    index = pd.date_range("2025-01-06", periods=days + HORIZON, freq="D")
    t = np.arange(len(index))
    log = 0.001 * t + 0.12 * np.sin(2 * np.pi * t / 90) - 0.15 * (index.dayofweek >= 5)
    log = log + np.cumsum(rng.normal(0, 0.006, len(t))) + rng.normal(0, 0.02, len(t))
    units = 5e6 * np.exp(log)
    rate = 600.0 / float(np.median(units))
    spend = 400.0 + rate * units if follows else 1000.0 * np.exp(np.cumsum(rng.normal(0, 0.012, len(t))))
    spend = spend * np.exp(rng.normal(0, noise, len(t)))
    if change is not None:
        spend = np.where(t >= days - change[0], spend * change[1], spend)
    return Truth(pd.Series(units, index), pd.Series(spend, index), 400.0, rate)


def known_future(series: pd.Series, key: str, days: int, *, error: float, seed: int) -> SeriesForecast:
    """A forecast that is off by a random level of size ``error`` (log), at every origin anew."""
    rng = np.random.default_rng([seed, len(key)])
    origins = tuple(days - STEP * (k + 1) for k in range(8))
    values = series.to_numpy(float)
    medians = [values[n : n + HORIZON] * np.exp(rng.normal(0, error)) for n in origins]
    centre = values[days : days + HORIZON] * np.exp(rng.normal(0, error))
    paths = centre * np.exp(rng.normal(0, max(error, 1e-4), (PATHS, 1)))
    stamps = tuple(series.index[n - 1] for n in origins)
    return SeriesForecast(
        key=key, freq="D", origin=series.index[days - 1], index=series.index[days : days + HORIZON],
        quantiles=np.quantile(paths, QUANTILES, axis=0), paths=paths.astype(np.float32),
        peak=np.quantile(paths.max(axis=1), QUANTILES), total=np.quantile(paths.sum(axis=1), QUANTILES),
        model="combination of theta", reason="so the combination is used",
        scores=(MemberScore("combination", 0.9, 1.0, 8),),
        past=PastMedians(stamps, np.array(medians, np.float32)),
    )  # fmt: skip


def case(
    known: Truth, *, demand_error: float = 0.01, plain_error: float = 0.1, seed: int = 1, key: str = "spend|s"
) -> DriverCase:
    """What is known of ``known`` at the end of its history, usage two days later than the bill."""
    days = len(known.units) - HORIZON
    return DriverCase(
        spend=known.spend.iloc[: days - 2],
        plain=known_future(known.spend, key, days - 2, error=plain_error, seed=seed),
        units=known.units.iloc[:days],
        demand=known_future(known.units, "s/eu|mean", days, error=demand_error, seed=seed),
        unit_name="requests",
    )
