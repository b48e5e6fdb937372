"""Paths of spend on paths of units: what a rate makes of each, what the line leaves over, and how far to trust both.

A path is (fixed + rate × units of the same row) × a drift × days' residuals. The line of each row is drawn from the
fit's own uncertainty; the drift has the size that errors given the true units had at earlier dates; residuals come in
blocks of a week. Then the level of the paths, and their wiggle about it, are each stretched until they are as wide as
the errors of the whole forecast were at past origins.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from capacity.domain import Floats
from capacity.forecast._driver_fit import LEAST_DAYS, Line, fit, runs, solve_many

# The line is fitted again this often, and its errors given the true units are kept: what is left when demand is known.
CUT_DAYS = 28
CUTS_MOST = 12
# Cuts' worth of belief that the drift starts at the fit's own weekly error and grows by it again each four weeks.
CUTS_EXPECTED = 2.0
# A drift is never smaller than this, however well a short history fits.
DRIFT_LEAST = 0.005
# A single wild month must not decide how wide all futures are.
ERROR_MOST = 0.7
# Student's t of the drift: month errors of spend have heavier tails than the normal.
DRIFT_FREEDOM = 5.0
BLOCK_DAYS = 7
# Half a year of days' residuals is drawn from.
RESIDUAL_DAYS = 182
# Independent past horizons' worth of belief that the paths are as wide as they should be; and in the pool of services.
EXPECTED_POOL = 8.0
EXPECTED_OWN = 8.0
# Origins a third of a horizon apart: three hold about as much as one and a half.
INDEPENDENT_SHARE = 0.5
# Errors beyond three of the paths' sizes count as three.
Z_MOST = 3.0
STRETCH_LEAST, STRETCH_MOST = 0.6, 2.5
# A logarithm needs something: paths below this share of the median count as it.
LEAST_FRAC = 1e-3


@dataclass(frozen=True)
class Misses:
    """Errors over the paths' sizes at past origins: of the level, and of days about it. (K,) each."""

    level: Floats
    wiggle: Floats


@dataclass(frozen=True)
class Stretch:
    """Factors on the logs of the paths' level and of their wiggle about it."""

    level: float = 1.0
    wiggle: float = 1.0


def draw_lines(line: Line, count: int, rng: np.random.Generator) -> tuple[Floats, Floats]:
    """(P,) fixed and (P,) rate by resampling weeks; each costs what the line does at recent units."""
    clusters = len(line.sums)
    weights = rng.multinomial(clusters, np.full(clusters, 1.0 / clusters), size=count).astype(float)
    fixed, rate = solve_many(weights @ line.sums)
    y_unit, x_unit = line.units_of
    fixed, rate = fixed * y_unit, rate * y_unit / x_unit
    here = line.fixed + line.rate * line.recent_units
    own = fixed + rate * line.recent_units
    ratio = np.divide(here, own, out=np.ones_like(own), where=own > 0)
    return fixed * ratio, rate * ratio


def drift_sizes(spend: Floats, units: Floats, start: pd.Timestamp, line: Line, horizon: int) -> Floats:
    """(H,) size of the log error given the true units, by lead, from fits at earlier dates."""
    steps = -(-horizon // CUT_DAYS)
    squares, counts = np.zeros(steps), np.zeros(steps)
    for n in list(range(len(spend) - CUT_DAYS, LEAST_DAYS - 1, -CUT_DAYS))[:CUTS_MOST]:
        errors = _errors_given_units(spend, units, start, n, steps)
        known = np.isfinite(errors)
        squares[known] += errors[known] ** 2
        counts += known
    lead: Floats = np.arange(1.0, steps + 1.0)
    expected = line.weekly_sd**2 * lead
    mean = (squares + CUTS_EXPECTED * expected) / (counts + CUTS_EXPECTED)
    return np.sqrt(np.maximum(_rising(lead, mean, counts + CUTS_EXPECTED, horizon), DRIFT_LEAST**2))


def _errors_given_units(spend: Floats, units: Floats, start: pd.Timestamp, n: int, steps: int) -> Floats:
    """(steps,) log errors of four weeks each after ``n`` days, NaN where they have not come or nothing could be fit."""
    out = np.full(steps, np.nan)
    line = fit(spend[:n], units[:n], start.dayofweek)
    if isinstance(line, str):
        return out
    ahead = min(len(spend) - n, steps * CUT_DAYS)
    days = pd.date_range(start + pd.Timedelta(days=n), periods=ahead, freq="D")
    said = line.at(units[n : n + ahead], days, np.arange(1.0, ahead + 1.0))
    both = np.isfinite(said) & np.isfinite(spend[n : n + ahead])
    for b in range(ahead // CUT_DAYS):
        at = np.arange(b * CUT_DAYS, (b + 1) * CUT_DAYS)
        at = at[both[at]]
        came, meant = float(spend[n + at].sum()), float(said[at].sum())
        if len(at) >= CUT_DAYS // 2 and came > 0 and meant > 0:
            out[b] = float(np.clip(np.log(came / meant), -ERROR_MOST, ERROR_MOST))
    return out


def _rising(lead: Floats, mean: Floats, weight: Floats, horizon: int) -> Floats:
    """(H,) variance a + b × lead, neither below 0, fitted to the means of four weeks."""
    from scipy.optimize import nnls

    root = np.sqrt(weight)
    table = np.stack([root, root * lead], axis=1)
    scale = max(float(mean.max()), 1e-30)
    (a, b), _ = nnls(table, root * mean / scale)
    return np.asarray(scale * (a + b * np.arange(1, horizon + 1) / CUT_DAYS), dtype=float)


def day_residuals(spend: Floats, expected: Floats) -> Floats:
    """(n,) log residuals of single days about their own four weeks; 0 in runs of equal days and where unknown."""
    starts, lengths = runs(spend)
    single = np.zeros(len(spend), dtype=bool)
    single[starts[lengths == 1]] = True
    usable = single & (spend > 0) & (expected > 0)
    logs = np.full(len(spend), np.nan)
    logs[usable] = np.clip(np.log(spend[usable] / expected[usable]), -ERROR_MOST, ERROR_MOST)
    about = pd.Series(logs).rolling(CUT_DAYS, center=True, min_periods=1).mean().to_numpy()
    return np.where(np.isfinite(logs), logs - about, 0.0)[-RESIDUAL_DAYS:]


def raw_paths(expected: Floats, drift: Floats, residuals: Floats, rng: np.random.Generator) -> Floats:
    """(P, H) spend: ``expected`` (P, H) with a drift of sizes (H,) along each path and blocks of residuals on it."""
    count, horizon = expected.shape
    heavy = rng.standard_t(DRIFT_FREEDOM, (count, 1)) / np.sqrt(DRIFT_FREEDOM / (DRIFT_FREEDOM - 2.0))
    blocks = -(-horizon // BLOCK_DAYS)
    width = min(BLOCK_DAYS, len(residuals))
    firsts = rng.integers(0, len(residuals) - width + 1, (count, blocks))
    at = firsts[:, :, None] + np.minimum(np.arange(BLOCK_DAYS), width - 1)
    wiggle = residuals[at].reshape(count, -1)[:, :horizon]
    return np.asarray(np.maximum(expected, 0.0) * np.exp(np.clip(heavy * drift, -3.0, 3.0) + wiggle), dtype=float)


def parts(paths: Floats, median: Floats) -> tuple[Floats, Floats]:
    """Logs of the paths' level (P, 1) against the median's, and of their wiggle (P, H) about it; median > 0."""
    level = np.log(np.maximum(paths.mean(axis=1, keepdims=True) / float(median.mean()), LEAST_FRAC))
    return level, np.log(np.maximum(paths / median, LEAST_FRAC)) - level


def stretched(paths: Floats, median: Floats, by: Stretch) -> Floats:
    """``paths`` (P, H) with level and wiggle stretched about ``median`` (H,); the order of levels stays."""
    if not bool((median > 0).all()):
        return paths
    level, wiggle = parts(paths, median)
    return np.asarray(median * np.exp(by.level * level + by.wiggle * wiggle), dtype=float)


def misses(came: Sequence[Floats], said: Sequence[Floats], paths: Floats, median: Floats) -> Misses:
    """How far the forecast was off at past origins, in sizes that the paths have at the same leads.

    Parameters
    ----------
    came, said
        (H,) truth and median of each past origin, NaN where unknown.
    """
    level, wiggle = [], []
    for y, f in zip(came, said, strict=True):
        known = np.isfinite(y) & np.isfinite(f) & (f > 0) & (median > 0)
        if known.sum() < BLOCK_DAYS or y[known].sum() <= 0:
            continue
        own_level, own_wiggle = parts(paths[:, known], median[known])
        error = float(np.log(y[known].sum() / f[known].sum()))
        about = np.log(np.maximum(y[known] / f[known], LEAST_FRAC)) - error
        level.append(error / max(_size(own_level), 1e-9))
        wiggle.append(_size(about) / max(_size(own_wiggle), 1e-9))
    return Misses(np.array(level), np.array(wiggle))


def _size(logs: Floats) -> float:
    return float(np.sqrt(np.mean(np.square(np.clip(logs, -3.0, 3.0)))))


def stretches(all_misses: Sequence[Misses]) -> list[Stretch]:
    """A stretch for each service: its own misses, shrunk to those of all services, shrunk to none.

    The root mean square, for it was nearer to its promise on simulated services than the size that four in five misses
    stay within: past origins knew less than today's does, and their errors are a little larger.
    """
    level = _factors([m.level for m in all_misses])
    wiggle = _factors([m.wiggle for m in all_misses])
    return [Stretch(a, b) for a, b in zip(level, wiggle, strict=True)]


def _factors(scores: Sequence[Floats]) -> list[float]:
    squares = [np.square(np.clip(s, -Z_MOST, Z_MOST)) for s in scores]
    worth = [INDEPENDENT_SHARE * len(s) for s in squares]
    total = sum(INDEPENDENT_SHARE * float(s.sum()) for s in squares)
    pool = (total + EXPECTED_POOL) / (sum(worth) + EXPECTED_POOL)
    own = [
        (INDEPENDENT_SHARE * float(s.sum()) + EXPECTED_OWN * pool) / (n + EXPECTED_OWN)
        for s, n in zip(squares, worth, strict=True)
    ]
    return [float(np.clip(np.sqrt(v), STRETCH_LEAST, STRETCH_MOST)) for v in own]
