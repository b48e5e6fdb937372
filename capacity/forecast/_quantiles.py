"""Quantile functions of scaled errors: own, pooled over series, and expected, blended into one a series."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from capacity.domain import QUANTILES, Floats

# Levels that quantile functions are kept at; the stored ones are among them.
LEVELS: Floats = np.array(
    sorted(
        {*QUANTILES, 0.002, 0.01, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.45}
        | {0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.925, 0.998}
    )
)
STORED = np.searchsorted(LEVELS, QUANTILES)
MEDIAN = int(np.searchsorted(LEVELS, 0.5))
# Origins at which own errors weigh as much as the pool's: step by step, for the horizon's maximum, and for its total.
# Peaks differ most in kind (a site with rare bursts, one without), so there a series is believed soonest.
OWN_HALF_WEIGHT = 20.0
OWN_HALF_WEIGHT_OF: Mapping[str, float] = {"peak": 12.0, "total": 40.0}
# Series at which the pool weighs as much as the packaged expectation.
PRIOR_SERIES = 3.0
# Overlapping horizons a third apart: three of them hold about as much as one.
ORIGINS_PER_INDEPENDENT = 3.0
# What :func:`few` takes for the variance of a centre from one independent horizon, and for the least that is known.
UNCERTAIN_FRAC = 0.4
LEAST_INDEPENDENT = 0.5
# A series' own tails beyond this level are never lighter than the pool's: its few origins cannot show them.
OWN_TAIL = 0.05


def independent_origins(origins: Sequence[int]) -> float:
    """How many independent past horizons the given numbers of origins, one a series, are worth."""
    return sum(max(1.0, n / ORIGINS_PER_INDEPENDENT) for n in origins if n)


def blend(values: Sequence[Floats], expected: Floats, own_half_weight: float) -> list[Floats]:
    """Quantile functions (L,) at :data:`LEVELS`, one a series.

    Parameters
    ----------
    values
        Scaled errors of each series, origins along the first axis; NaN where unknown. Series weigh alike.
    expected
        (L,) the packaged expectation.
    own_half_weight
        Origins at which a series' own errors weigh as much as the pool's.
    """
    known = [v[np.isfinite(v)].ravel() for v in values]
    counts = [len(v) if len(k) else 0 for v, k in zip(values, known, strict=True)]
    series = sum(1 for n in counts if n)
    if not series:
        return [expected] * len(values)
    weights = np.concatenate([np.full(len(k), 1.0 / len(k)) for k in known if len(k)])
    pool = weighted_quantiles(np.concatenate(known), weights, corrected(LEVELS, independent_origins(counts)))
    # A series' own errors come in below; what it borrows is others' and the expectation.
    others = series - 1
    pool = (others * pool + PRIOR_SERIES * expected) / (others + PRIOR_SERIES)
    return [_with_own(k, n, pool, own_half_weight) if n else pool for k, n in zip(known, counts, strict=True)]


def _with_own(errors: Floats, origins: int, pool: Floats, half_weight: float) -> Floats:
    # The pool carries the finite-sample correction; on a series' own four or so independent origins it would double the
    # interval, which measured as over-coverage on simulated and on real series.
    own = weighted_quantiles(errors, np.ones(len(errors)), LEVELS)
    low, high = LEVELS < OWN_TAIL, LEVELS > 1.0 - OWN_TAIL
    own = np.where(low, np.minimum(own, pool), own)
    own = np.where(high, np.maximum(own, pool), own)
    weight = origins / (origins + half_weight)
    return np.asarray(np.maximum.accumulate(weight * own + (1.0 - weight) * pool), dtype=float)


def corrected(levels: Floats, independent: float) -> Floats:
    """Levels moved outwards, so that quantiles of ``independent`` errors are as often exceeded as they say.

    Between the middles of masses, level p of n exchangeable values leaves out (n p + 1/2) / (n + 1) of what comes; this
    is solved for p. (Split-conformal prediction rounds up to whole values instead, and covers more than it says.) At
    most half the way to 0 or 1: on a handful of origins it would be all the way.
    """
    tail = np.minimum(levels, 1.0 - levels)
    moved = np.clip(((independent + 1.0) * tail - 0.5) / independent, tail / 2.0, tail)
    moved = np.where(levels == 0.5, 0.5, moved)
    return np.asarray(np.where(levels < 0.5, moved, 1.0 - moved), dtype=float)


def few(independent: float) -> float:
    """How much wider quantiles must be whose centre and size rest on ``independent`` horizons: both are uncertain.

    The sampling variance of a centre is that of one value over their number; about a third of it is left after it was
    shrunk to the batch's. On simulated histories of two horizons this raised the coverage of an 80 % interval of the
    total from .67 to .75, and left histories of eight where they were.
    """
    return float(np.sqrt(1.0 + UNCERTAIN_FRAC / max(independent, LEAST_INDEPENDENT)))


def weighted_quantiles(values: Floats, weights: Floats, levels: Floats) -> Floats:
    """Quantiles of ``values`` (n,) under ``weights`` (n,), straight between the middles of their masses."""
    order = np.argsort(values, kind="stable")
    mass = weights[order]
    middle = (np.cumsum(mass) - mass / 2.0) / mass.sum()
    return np.asarray(np.interp(levels, middle, values[order]), dtype=float)
