"""Intervals from past errors: split-conformal, pooled over series, by neighbourhood of the horizon.

Errors of the combination at past origins, on the modelled scale, are divided by their series' own size of error and
pooled (the series of a call weigh alike). A series' quantiles are those of the pool, blended with its own as it has more
origins, and with a packaged expectation as the pool has fewer series. Levels carry the finite-sample correction of
split-conformal prediction (Vovk et al. 2005). The largest value of the horizon and its total are calibrated in their own
right, from their own past errors: neither follows from pointwise quantiles.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from capacity.domain import QUANTILES, Floats
from capacity.forecast import _prior
from capacity.forecast._choice import Choice
from capacity.forecast._paths import Dependence, latents, uniforms
from capacity.forecast._study import Study

# Levels that quantile functions are kept at; the stored ones are among them.
LEVELS: Floats = np.array(
    sorted(
        {
            *QUANTILES,
            0.002,
            0.01,
            0.15,
            0.2,
            0.25,
            0.3,
            0.35,
            0.4,
            0.45,
            0.55,
            0.6,
            0.65,
            0.7,
            0.75,
            0.8,
            0.85,
            0.925,
            0.998,
        }
    )
)
STORED = np.searchsorted(LEVELS, QUANTILES)
# Errors within this share of the horizon are neighbours.
NEIGHBOURHOOD_FRAC = 0.2
ANCHORS = 9
# Origins at which own errors weigh as much as the pool's; likewise of the own size of error.
OWN_HALF_WEIGHT = 10.0
SIZE_HALF_WEIGHT = {"D": 10.0, "h": 3.0}
# Whole past horizons at which the own size of the error of maximum or total weighs as much as the typical one.
FUNCTIONAL_HALF_WEIGHT = 6.0
# Series at which the pool weighs as much as the packaged expectation.
PRIOR_SERIES = 3.0
# Overlapping horizons a third apart: three of them hold about as much as one.
ORIGINS_PER_INDEPENDENT = 3.0
# Paths for the centre of the largest value and the total at past origins; only their medians are used.
CENTRE_PATHS = 128
# Share of the reference of the horizon's maximum that is the paths' median maximum; the rest is the recent maximum.
PATH_SHARE_OF_PEAK = {"D": 0.6, "h": 0.25}
# A past origin counts for maximum and total where this share of its horizon has come.
WHOLE_FRAC = 0.9
# Log units; the size of a season's difference where a history of one point knows none.
UNKNOWN_DIFFERENCE = 0.25


@dataclass(frozen=True)
class Spread:
    """Quantile functions of one series' errors on the modelled scale, at :data:`LEVELS` (L)."""

    pointwise: Floats  # (L, H)
    peak: Floats  # (L,) around peak_centre
    total: Floats  # (L,) around total_centre
    peak_centre: float
    total_centre: float  # of the mean over the horizon


def calibrate(studies: Sequence[Study], choices: Sequence[Choice], dependence: Dependence, seed: int) -> list[Spread]:
    """Quantile functions of every series' errors. All studies share freq and horizon."""
    sizes = error_sizes(studies, choices)
    scaled = [(s.truth - c.past) / size for s, c, size in zip(studies, choices, sizes, strict=True)]
    independent = sum(max(1.0, len(s.origins) / ORIGINS_PER_INDEPENDENT) for s in studies if s.origins)
    pointwise = _pointwise(scaled, studies, independent)
    draws = uniforms(latents(dependence, CENTRE_PATHS, studies[0].horizon, np.random.default_rng(seed)))
    centres = [
        _centres(s, c, q * size, draws) for s, c, q, size in zip(studies, choices, pointwise, sizes, strict=True)
    ]
    freq = studies[0].history.freq
    errors = [_functional_errors(s, c) for s, c in zip(studies, centres, strict=True)]
    peak = _functional("peak", [e[0] for e in errors], sizes, freq, independent)
    total = _functional("total", [e[1] for e in errors], sizes, freq, independent)
    return [
        Spread(q * size, p, t, float(c[0, -1]), float(c[1, -1]))
        for q, p, t, size, c in zip(pointwise, peak, total, sizes, centres, strict=True)
    ]


def _functional(
    name: str, errors: Sequence[Floats], sizes: Sequence[float], freq: str, independent: float
) -> list[Floats]:
    """Quantile functions (L,) of the errors (K,) of a functional; its size of error, too, is each series' own, shrunk."""
    width = _prior.FUNCTIONAL_WIDTH[name, freq]
    own = [_mean_abs(e) / size for e, size in zip(errors, sizes, strict=True)]
    known = [np.log(max(o, 1e-3)) for o in own if np.isfinite(o)]
    typical = float(np.exp((sum(known) + PRIOR_SERIES * np.log(width)) / (len(known) + PRIOR_SERIES)))
    scales = []
    for mine, error, size in zip(own, errors, sizes, strict=True):
        n = int(np.isfinite(error).sum())
        weight = n / (n + FUNCTIONAL_HALF_WEIGHT)
        scales.append(size * (weight * (mine if n else 0.0) + (1.0 - weight) * typical))
    scaled = [e / scale for e, scale in zip(errors, scales, strict=True)]
    blended = _blend(scaled, _prior.functional_quantiles(freq, LEVELS), independent)
    return [q * scale for q, scale in zip(blended, scales, strict=True)]


def error_sizes(studies: Sequence[Study], choices: Sequence[Choice]) -> list[float]:
    """One size of error a series, on the modelled scale: past mean absolute error, shrunk to a multiple of the mean
    absolute seasonal difference that is typical of the call.
    """
    freq = studies[0].history.freq
    own = [_mean_abs(s.truth - c.past) for s, c in zip(studies, choices, strict=True)]
    base = [_difference(s) for s in studies]
    ratios = [np.log(o / b) for o, b in zip(own, base, strict=True) if np.isfinite(o) and o > 0 and b > 0]
    expected = np.log(_prior.ERROR_PER_DIFFERENCE[freq])
    ratio = float(np.exp((sum(ratios) + PRIOR_SERIES * expected) / (len(ratios) + PRIOR_SERIES)))
    out = []
    for study, mine, difference in zip(studies, own, base, strict=True):
        n = len(study.origins) if np.isfinite(mine) else 0
        weight = n / (n + SIZE_HALF_WEIGHT[freq])
        size = weight * (mine if n else 0.0) + (1.0 - weight) * ratio * difference
        out.append(max(size, 1e-12))
    return out


def blended_quantiles(values: Sequence[Floats], expected: Floats, independent: float) -> list[Floats]:
    """Quantile functions (L,), one a series, of scaled errors: own, pooled and expected, blended."""
    return _blend(values, expected, independent)


def _blend(values: Sequence[Floats], expected: Floats, independent: float) -> list[Floats]:
    known = [v[np.isfinite(v)].ravel() for v in values]
    series = sum(1 for v in known if len(v))
    if not series:
        return [expected] * len(values)
    pooled = np.concatenate(known)
    weights = np.concatenate([np.full(len(v), 1.0 / len(v)) for v in known if len(v)])
    pool = _quantiles(pooled, weights, _corrected(LEVELS, independent))
    pool = (series * pool + PRIOR_SERIES * expected) / (series + PRIOR_SERIES)
    out = []
    for raw, mine in zip(values, known, strict=True):
        if not len(mine):
            out.append(pool)
            continue
        n = len(raw) if raw.ndim == 1 else raw.shape[0]
        own_weight = n / (n + OWN_HALF_WEIGHT)
        own = _quantiles(mine, np.ones(len(mine)), _corrected(LEVELS, max(1.0, n / ORIGINS_PER_INDEPENDENT)))
        # Beyond what its few origins can show, a series' tails are the pool's.
        own = np.where(
            (LEVELS < 0.05) | (LEVELS > 0.95), np.where(LEVELS < 0.5, np.minimum(own, pool), np.maximum(own, pool)), own
        )
        out.append(np.maximum.accumulate(own_weight * own + (1.0 - own_weight) * pool))
    return out


def _corrected(levels: Floats, independent: float) -> Floats:
    """Levels moved outwards by (n + 1) / n, at most half the way to 0 or 1 (on few series it would be all the way)."""
    tail = np.minimum(levels, 1.0 - levels)
    moved = np.maximum(tail / 2.0, tail - (1.0 - tail) / independent)
    return np.asarray(np.where(levels < 0.5, moved, 1.0 - moved), dtype=float)


def _quantiles(values: Floats, weights: Floats, levels: Floats) -> Floats:
    order = np.argsort(values, kind="stable")
    mass = weights[order]
    middle = (np.cumsum(mass) - mass / 2.0) / mass.sum()
    return np.asarray(np.interp(levels, middle, values[order]), dtype=float)


def _pointwise(scaled: Sequence[Floats], studies: Sequence[Study], independent: float) -> list[Floats]:
    """(L, H) a series: quantile functions at anchors of the horizon, straight in between, never crossing."""
    horizon = studies[0].horizon
    freq = studies[0].history.freq
    anchors = np.unique(np.round(np.linspace(0, horizon - 1, min(ANCHORS, horizon))).astype(int))
    reach = NEIGHBOURHOOD_FRAC * horizon
    steps = np.arange(horizon)
    table = []
    for a in anchors:
        near = np.abs(steps - a) <= reach
        expected = _prior.pointwise_quantiles(freq, LEVELS, (a + 1.0) / horizon)
        table.append(_blend([r[:, near] for r in scaled], expected, independent))
    out = []
    for s in range(len(scaled)):
        at = np.stack([row[s] for row in table], axis=1)
        out.append(np.maximum.accumulate(np.stack([np.interp(steps, anchors, q) for q in at]), axis=0))
    return out


def _mean_abs(errors: Floats) -> float:
    known = errors[np.isfinite(errors)]
    return float(np.abs(known).mean()) if len(known) else float("nan")


def _difference(study: Study) -> float:
    """Mean absolute seasonal difference on the modelled scale; of neighbours where no season was seen twice."""
    view = study.history.upto(len(study.history))
    for lag in (view.period, 1):
        size = _mean_abs(view.z[lag:] - view.z[:-lag])
        if np.isfinite(size):
            return size
    return UNKNOWN_DIFFERENCE


def _centres(study: Study, choice: Choice, spread: Floats, draws: Floats) -> Floats:
    """(2, K + 1) references of maximum and mean, on the modelled scale, at past origins and (last) now."""
    scale = study.history.scale
    horizon = study.horizon
    noise = np.stack([np.interp(draws[:, h], LEVELS, spread[:, h]) for h in range(horizon)], axis=1)
    share = PATH_SHARE_OF_PEAK[study.history.freq]
    out = []
    for k, medians in enumerate([*choice.past, choice.final]):
        seen = np.isfinite(study.truth[k]) if k < len(study.origins) else np.ones(horizon, dtype=bool)
        if not seen.any():
            out.append((np.nan, np.nan))
            continue
        paths = scale.inverse(medians[seen] + noise[:, seen])
        top = float(scale.forward(np.median(paths.max(axis=1))))
        recent = float(scale.forward(study.level[k])) if np.isfinite(study.level[k]) else top
        out.append((share * top + (1.0 - share) * recent, float(scale.forward(np.median(paths.mean(axis=1))))))
    return np.array(out).T


def _functional_errors(study: Study, centres: Floats) -> tuple[Floats, Floats]:
    """Errors (K,) of the maximum and of the mean at past origins whose horizon has come; NaN elsewhere."""
    scale = study.history.scale
    peak, mean = np.full(len(study.origins), np.nan), np.full(len(study.origins), np.nan)
    came = np.isfinite(study.truth).mean(axis=1) if len(study.origins) else np.array([])
    for k in np.flatnonzero(came >= min(WHOLE_FRAC, float(came.max()) if len(came) else 0.0)):
        known = scale.inverse(study.truth[k][np.isfinite(study.truth[k])])
        if len(known):
            peak[k] = float(scale.forward(np.array(known.max()))) - centres[0, k]
            mean[k] = float(scale.forward(np.array(known.mean()))) - centres[1, k]
    return peak, mean
