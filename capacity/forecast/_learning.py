"""From what past occurrences lay above their weeks to an effect that may be believed.

Each effect is either nothing (probability from experience) or something of a usual size. What was measured says how
likely each is, given how far ordinary days stray; the answer is the average of both. A holiday that is more likely
nothing than something is nothing.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from capacity.domain import Floats
from capacity.forecast._baseline import Noise

# A year makes an occurrence this much less telling: customers and the sale change.
YEAR_WEIGHT = 0.6
# Before anything is seen: how likely an event, a holiday, a step of a ramp does anything at all. An event was named
# because it does; of a country's ten or so holidays a service feels a few.
LIKELY = {"event": 0.8, "holiday": 0.3, "ramp": 0.3}
# Usual size (z) of an effect that is there: an event halves or doubles, a holiday moves a quarter.
USUAL = {"event": 0.7, "holiday": 0.25}
# From one time to the next an effect changes by this share of itself ...
CHANGE_FRAC = 0.2
# ... which is believed as if seen this many times.
CHANGE_WEIGHT = 2.0
# Ordinary days have heavier tails than a normal: Student's t with this many degrees of freedom.
TAIL_DF = 4.0


@dataclass(frozen=True)
class Occurrence:
    """One past time. ``values`` (slots,): z above the weeks around, NaN where unknown. ``alone``: one side of them."""

    values: Floats
    alone: bool
    years_ago: float


@dataclass(frozen=True)
class Fit:
    """What is believed. ``slots`` (slots,) in z; ``sd`` of the whole's next effect; ``occurrences`` learned from."""

    slots: Floats
    sd: float
    occurrences: int


@dataclass(frozen=True)
class _Mean:
    """Weighted mean over occurrences, its variance by noise alone, and the variance from one time to the next."""

    weights: Floats
    value: float
    noise: float
    change: float


# Kind, slots, which of them are inside, past occurrences, noise (None where there are none).
Case = tuple[str, int, slice, Sequence[Occurrence], Noise | None]


def fit_all(cases: Sequence[Case]) -> list[Fit]:
    """Fit every occasion. Holidays learn from each other how large they are."""
    means = [_mean(inside, seen, noise) if seen and noise else None for _, _, inside, seen, noise in cases]
    pooled = _pooled([m for m, case in zip(means, cases, strict=True) if m is not None and case[0] == "holiday"])
    return [
        _fit(case, mean, pooled if case[0] == "holiday" else USUAL["event"])
        for case, mean in zip(cases, means, strict=True)
    ]


def _mean(inside: slice, seen: Sequence[Occurrence], noise: Noise) -> _Mean:
    each = np.array([np.nanmean(o.values[inside]) for o in seen])
    variance = np.array([(noise.alone if o.alone else noise.span) ** 2 for o in seen])
    weights = np.array([YEAR_WEIGHT**o.years_ago for o in seen]) / variance
    weights /= weights.sum()
    value = float(weights @ each)
    spread = float(((each - value) ** 2 - variance).sum()) if len(seen) > 1 else 0.0
    change = (CHANGE_WEIGHT * (CHANGE_FRAC * value) ** 2 + max(spread, 0.0)) / (CHANGE_WEIGHT + len(seen) - 1)
    return _Mean(weights, value, float(weights**2 @ variance), change)


def _pooled(means: Sequence[_Mean]) -> float:
    """Usual size of the series' holidays, between a third and three times what is usual anywhere."""
    usual = USUAL["holiday"]
    if not means:
        return usual
    excess = [m.value**2 - m.noise for m in means if likely(m.value, m.noise, usual, LIKELY["holiday"]) > 0.5]
    found = math.sqrt(max((sum(excess) + usual**2) / (len(excess) + 1), 0.0))
    return min(max(found, usual / 3), usual * 3)


def _fit(case: Case, mean: _Mean | None, size: float) -> Fit:
    kind, slots, inside, seen, noise = case
    if mean is None or noise is None:
        return Fit(np.zeros(slots), 0.0, 0)
    real = likely(mean.value, mean.noise, size, LIKELY[kind])
    if kind == "holiday" and real < 0.5:
        return Fit(np.zeros(slots), math.sqrt(mean.noise), len(seen))
    whole = real * mean.value * size**2 / (size**2 + mean.noise)
    values = np.array([o.values for o in seen])
    steps, variance = _by_slot(values, mean.weights, noise.step**2)
    out = np.zeros(slots)
    out[inside] = whole + _shape(steps[inside] - mean.value, variance[inside])
    for i in [*range(inside.start), *range(inside.stop, slots)]:
        out[i] = _ramp(float(steps[i]), float(variance[i]), max(abs(whole) / 2, USUAL["holiday"] / 2))
    return Fit(out, math.sqrt(mean.noise + mean.change), len(seen))


def _by_slot(values: Floats, weights: Floats, variance: float) -> tuple[Floats, Floats]:
    """Weighted mean of each slot over the occurrences that show it, and its variance; NaN where none does."""
    known = np.isfinite(values)
    each = np.where(known, weights[:, None], 0.0)
    total = each.sum(axis=0)
    share = np.divide(each, total, out=np.full_like(each, np.nan), where=total > 0)
    mean = np.where(total > 0, (np.nan_to_num(share) * np.nan_to_num(values)).sum(axis=0), np.nan)
    return mean, np.asarray((share**2).sum(axis=0) * variance, dtype=float)


def _shape(apart: Floats, variance: Floats) -> Floats:
    """What each step is above or below the whole: as much of it as their differences exceed noise."""
    known = np.isfinite(apart)
    if known.sum() < 2:
        return np.zeros_like(apart)
    excess = max(float(np.mean(apart[known] ** 2 - variance[known])), 0.0)
    shrunk = np.divide(excess * apart, excess + variance, out=np.zeros_like(apart), where=known)
    shrunk[known] -= shrunk[known].mean()
    return np.asarray(shrunk, dtype=float)


def _ramp(value: float, variance: float, size: float) -> float:
    """A step before or after: nothing, unless what was seen there is more likely something."""
    if not math.isfinite(value):
        return 0.0
    real = likely(value, variance, size, LIKELY["ramp"])
    return real * value * size**2 / (size**2 + variance) if real >= 0.5 else 0.0


def likely(value: float, noise: float, size: float, before: float) -> float:
    """P(the effect is there) after measuring ``value`` with variance ``noise``; ``size`` is usual, ``before`` prior."""
    there, nothing = before * _density(value, noise + size**2), (1 - before) * _density(value, noise)
    return there / (there + nothing)


def _density(value: float, variance: float) -> float:
    """Student's t, centred, but for a factor that all share."""
    return float((1 + value**2 / (TAIL_DF * variance)) ** (-(TAIL_DF + 1) / 2) / math.sqrt(variance))
