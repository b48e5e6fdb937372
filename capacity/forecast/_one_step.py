"""One step ahead, for every step of a history at once: what was expected, and how far off such a guess usually is.

A light forecaster for judging points that have already come. Members are a seasonal profile (medians of the same hour
or weekday over some weeks) plus an exponentially weighted mean of what was recently left over; they are combined by
their recent errors. Each step uses the steps before it and nothing else.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from capacity.domain import Floats

# (period in steps, seasons in the median) of each profile; a period of 1 is no profile: the level alone.
PROFILES: Mapping[str, tuple[tuple[int, int], ...]] = {"D": ((7, 4), (7, 8), (1, 0)), "h": ((168, 4), (24, 7), (1, 0))}
# Weights of the newest left-over in the level: slow and sure, and quick to follow a shift.
ALPHAS: tuple[float, ...] = (0.15, 0.4, 0.8)
# Steps after which an error counts half when members are weighed and when the usual error is told.
HALF_LIFE: Mapping[str, float] = {"D": 28.0, "h": 168.0}
# The usual error of late: volatility moves sooner than skill.
SHORT_HALF_LIFE: Mapping[str, float] = {"D": 8.0, "h": 24.0}
# Weight of a member = (its recent error) to this power; measured flat between 4 and 10.
WEIGHT_POWER = -6.0
# A left-over or an error beyond this many usual ones teaches no more than one at this distance.
CLIP = 4.0
# A day or an hour that is judged must have this many judged before it: two weeks of errors.
WARM_UP: Mapping[str, int] = {"D": 14, "h": 72}
# Steps of an hour-of-day that tell how much noisier it is than the rest: two weeks.
NOISE_DAYS = 14
# Errors smaller than this share of the level are not told apart: what is billed or counted is rounded.
SIZE_FLOOR = 0.002


@dataclass(frozen=True)
class OneStep:
    """Guesses on the modelled scale, all (n,): ``expected``, and ``size``, the usual absolute error; NaN at first."""

    expected: Floats
    size: Floats


def one_step(z: Floats, freq: str) -> OneStep:
    """Guess every step of ``z`` (n,), the modelled scale with NaN where nothing was seen, from the steps before it."""
    guesses = [g for period, seasons in PROFILES[freq] if len(z) > period for g in _members(z, period, seasons, freq)]
    if not guesses:
        nothing = np.full(len(z), np.nan)
        return OneStep(nothing, nothing)
    stacked = np.vstack(guesses)
    expected = _combined(stacked, z, freq)
    return OneStep(expected, _size(z - expected, freq))


# --- members -----------------------------------------------------------------------------------------------


def _members(z: Floats, period: int, seasons: int, freq: str) -> list[Floats]:
    """Profile plus what was left over of late: three careful levels, and the very last left-over, which follows all."""
    profile = _profile(z, period, seasons) if seasons else np.full(len(z), _first(z))
    left = z - profile
    calm = _clipped(left, freq)
    return [profile + before(_smoothed(calm, a)) for a in ALPHAS] + [profile + before(_smoothed(left, 1.0))]


def _profile(z: Floats, period: int, seasons: int) -> Floats:
    """(n,) median of the same step of up to ``seasons`` seasons before."""
    lags = np.full((len(z), seasons), np.nan)
    for k in range(1, seasons + 1):
        if k * period < len(z):
            lags[k * period :, k - 1] = z[: -k * period]
    return row_medians(lags)


def row_medians(values: Floats) -> Floats:
    """(n,) medians of the rows of (n, k), NaN left out; NaN where a row has none. Faster than NumPy's own."""
    ordered = np.sort(values, axis=1)
    known = np.isfinite(ordered).sum(axis=1)
    rows, last = np.arange(len(values)), values.shape[1] - 1
    low, high = ordered[rows, np.maximum(known - 1, 0) // 2], ordered[rows, np.minimum(known // 2, last)]
    return np.where(known > 0, (low + high) / 2.0, np.nan)


def _first(z: Floats) -> float:
    known = z[np.isfinite(z)]
    return float(known[0]) if len(known) else 0.0


def _clipped(values: Floats, freq: str) -> Floats:
    """``values`` kept within :data:`CLIP` usual distances of the median of those before."""
    window = 2 * WARM_UP[freq]
    seen = pd.Series(values)
    middle = seen.rolling(window, min_periods=3).median().shift(1)
    spread = (seen - middle).abs().rolling(window, min_periods=3).median().shift(1)
    reach = CLIP * 1.5 * spread.clip(lower=SIZE_FLOOR)
    low, high = ((middle + sign * reach).to_numpy(dtype=float) for sign in (-1.0, 1.0))
    return np.where(np.isfinite(low), np.clip(values, low, high), values)


# --- together ----------------------------------------------------------------------------------------------


def _combined(guesses: Floats, z: Floats, freq: str) -> Floats:
    errors = np.abs(z - guesses)
    capped = _capped(errors)
    # Who has failed of late is not believed for having been right before: after a shift the followers speak.
    slow, quick = (_usual(capped, half_life[freq]) for half_life in (HALF_LIFE, SHORT_HALF_LIFE))
    usual = np.maximum(slow, quick)
    weights = np.where(np.isfinite(guesses), np.maximum(usual, SIZE_FLOOR) ** WEIGHT_POWER, 0.0)
    weights = np.where(np.isfinite(weights), weights, 0.0)
    total = weights.sum(axis=0)
    sums = np.where(weights > 0, weights * guesses, 0.0).sum(axis=0)
    return np.asarray(np.divide(sums, total, out=np.full(len(z), np.nan), where=total > 0), dtype=float)


def _usual(errors: Floats, half_life: float) -> Floats:
    return np.vstack([before(_smoothed(e, _alpha(half_life))) for e in errors])


def _capped(errors: Floats) -> Floats:
    """Errors where all members miss widely are the point's fault, not a member's: cut at CLIP usual ones."""
    least = pd.Series(np.min(np.where(np.isfinite(errors), errors, np.inf), axis=0)).replace(np.inf, np.nan)
    usual = before(least.ewm(halflife=28, ignore_na=True).mean().to_numpy(dtype=float))
    return np.where(np.isfinite(usual), np.minimum(errors, 3.0 * CLIP * np.maximum(usual, SIZE_FLOOR)), errors)


def _size(errors: Floats, freq: str) -> Floats:
    """(n,) usual absolute error before each step: the long run's and the last days', evenly."""
    known = np.abs(errors)
    middle = pd.Series(known).rolling(4 * WARM_UP[freq], min_periods=3).median().shift(1).to_numpy(dtype=float)
    capped = np.where(np.isfinite(middle), np.minimum(known, 2.0 * CLIP * np.maximum(middle, SIZE_FLOOR)), known)
    noise = _hour_noise(capped) if freq == "h" else np.ones(len(capped))
    even = capped / noise
    slow, quick = (before(_smoothed(even, _alpha(h[freq]))) for h in (HALF_LIFE, SHORT_HALF_LIFE))
    count = np.cumsum(np.isfinite(errors)) - np.isfinite(errors)
    size = np.maximum(np.sqrt(slow * quick) * noise, SIZE_FLOOR)
    return np.where(count >= WARM_UP[freq], size, np.nan)


def _hour_noise(errors: Floats) -> Floats:
    """(n,) how much noisier this hour of the day is than all: mean absolute error of two weeks over the overall one."""
    lags = np.full((len(errors), NOISE_DAYS), np.nan)
    for k in range(1, NOISE_DAYS + 1):
        if 24 * k < len(errors):
            lags[24 * k :, k - 1] = errors[: -24 * k]
    known = np.isfinite(lags).sum(axis=1)
    own = np.where(known > 0, np.nansum(lags, axis=1) / np.maximum(known, 1), np.nan)
    overall = pd.Series(errors).rolling(24 * NOISE_DAYS, min_periods=24).mean().shift(1).to_numpy(dtype=float)
    ratio = np.maximum(own, SIZE_FLOOR) / np.maximum(overall, SIZE_FLOOR)
    # Shrunk to 1 as if it had been seen four days already: few hours tell little of their noise.
    shrunk = (known * ratio + 4.0) / (known + 4.0)
    return np.where(np.isfinite(shrunk), np.clip(shrunk, 0.25, 4.0), 1.0)


def _alpha(half_life: float) -> float:
    return float(1.0 - 0.5 ** (1.0 / half_life))


def _smoothed(values: Floats, alpha: float) -> Floats:
    return np.asarray(pd.Series(values).ewm(alpha=alpha, ignore_na=True).mean(), dtype=float)


def before(values: Sequence[float] | Floats) -> Floats:
    """The same series one step later: what was known before each step."""
    out = np.full(len(values), np.nan)
    out[1:] = np.asarray(values, dtype=float)[:-1]
    return out
