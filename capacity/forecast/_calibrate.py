"""Intervals from past errors: split-conformal, pooled over series, by neighbourhood of the horizon.

Errors of the combination at past origins, on the modelled scale, are divided by their series' own size of error as it
was known without them, and pooled (the series of a call weigh alike). A series' quantiles are those of the pool,
blended with its own as it has more origins, and with a packaged expectation as the pool has fewer series. Levels
carry the finite-sample correction of split-conformal prediction (Vovk, Gammerman and Shafer 2005). The median stays
where the combination put it. The largest value of the horizon and its total are calibrated in their own right, from
their own past errors: neither follows from pointwise quantiles.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from capacity.domain import Floats
from capacity.forecast import _prior
from capacity.forecast._choice import Choice
from capacity.forecast._maxima import Maxima, maxima
from capacity.forecast._paths import Dependence, estimate, latents, uniforms
from capacity.forecast._quantiles import (
    LEVELS,
    MEDIAN,
    ORIGINS_PER_INDEPENDENT,
    OWN_HALF_WEIGHT,
    OWN_HALF_WEIGHT_OF,
    PRIOR_SERIES,
    blend,
    few,
)
from capacity.forecast._study import OVERLAP, Study, position

# Errors within this share of the horizon are neighbours; quantiles are taken at so many places of it.
NEIGHBOURHOOD_FRAC = 0.2
ANCHORS = 9
# Origins at which a series' own size of error weighs as much as the typical multiple of its seasonal difference.
SIZE_HALF_WEIGHT = {"D": 3.0, "h": 2.0}
# Errors are large in spells: an origin counts this much of the one after it in what size is to be expected now. Of
# maximum and total there is one error an origin, so more origins are listened to.
SIZE_RECENCY = 0.8
FUNCTIONAL_RECENCY = 0.9
# Whole past horizons at which the own size of the error of maximum or total weighs as much as the typical one.
FUNCTIONAL_HALF_WEIGHT = 6.0
# Paths for the centre of the largest value and the total at past origins; only their medians are used.
CENTRE_PATHS = 128
# Share of the reference of the horizon's maximum that is the paths' median maximum; the rest is the recent maximum.
PATH_SHARE_OF_PEAK = {"D": 0.6, "h": 0.25}
# Share of the quantiles of the maximum that comes from the members' paths and their errors, the rest from the maxima of
# past windows; and the independent windows at which these have half of their share.
MEMBERS_SHARE_OF_PEAK = {"D": 0.1, "h": 0.0}
WINDOWS_HALF = 0.5
# Log units; what members said is kept in single precision, so that smaller errors are those of rounding.
SMALLEST_ERROR = 1e-6
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
    climbing: float = 0.0  # how far the series only climbs: its paths then stay as high or low as they end


@dataclass(frozen=True)
class Size:
    """The size of a series' errors: now, and (K,) as it was without what each past origin shares days with."""

    now: float
    past: Floats


def calibrate(studies: Sequence[Study], choices: Sequence[Choice], seed: int) -> tuple[list[Spread], Dependence]:
    """Quantile functions of every series' errors, and their dependence. All studies share freq and horizon."""
    errors = [s.truth - c.past for s, c in zip(studies, choices, strict=True)]
    sizes = _pointwise_sizes(studies, errors)
    scaled = [e / size.past[:, None] for e, size in zip(errors, sizes, strict=True)]
    dependence = estimate(scaled, [[position(s, n) for n in s.origins] for s in studies])
    pointwise = [q * size.now for q, size in zip(_pointwise(scaled, studies[0]), sizes, strict=True)]
    draws = uniforms(latents(dependence, CENTRE_PATHS, studies[0].horizon, np.random.default_rng(seed)))
    centres = [_centres(s, c, q, draws) for s, c, q in zip(studies, choices, pointwise, strict=True)]
    own = [_functional_errors(s, c) for s, c in zip(studies, centres, strict=True)]
    freq = studies[0].history.freq
    peak = _functional("peak", [e[0] for e in own], sizes, freq)
    total = _functional("total", [e[1] for e in own], sizes, freq)
    windows = maxima([s.base for s in studies], freq, studies[0].horizon)
    spreads = [
        _spread(s, c, q, p, t, m, w)
        for s, c, q, p, t, m, w in zip(studies, choices, pointwise, peak, total, centres, windows, strict=True)
    ]
    return [
        _climbing(spread, c, w.climbing) if w.climbing else spread
        for spread, c, w in zip(spreads, choices, windows, strict=True)
    ], dependence


def _spread(
    study: Study, choice: Choice, pointwise: Floats, peak: Floats, total: Floats, centres: Floats, windows: Maxima
) -> Spread:
    """One series' quantile functions; the maximum is what past windows say, and a share of what members' errors say."""
    share = 1.0 - MEMBERS_SHARE_OF_PEAK[study.history.freq]
    weight = share * windows.independent / (windows.independent + WINDOWS_HALF)
    lift = 0.0
    if study.ahead is not None:
        # Windows know nothing of coming occasions; the members' medians do.
        lift = float(choice.final.max() - (choice.final - study.ahead).max())
    centre = weight * (windows.reference + lift) + (1.0 - weight) * float(centres[0, -1])
    return Spread(pointwise, weight * windows.gaps + (1.0 - weight) * peak, total, centre, float(centres[1, -1]))


def _climbing(spread: Spread, choice: Choice, share: float) -> Spread:
    """With the maximum of a series that only climbs: to ``share`` the largest of its days' own quantiles.

    What climbs is too high or too low as a whole, so that its days reach a quantile together.
    """
    tops = (choice.final + spread.pointwise).max(axis=1) - spread.peak_centre
    return replace(spread, peak=(1.0 - share) * spread.peak + share * tops, climbing=share)


def _pointwise_sizes(studies: Sequence[Study], errors: Sequence[Floats]) -> list[Size]:
    """Past mean absolute error, shrunk to a multiple, typical of the call, of the mean absolute seasonal difference."""
    freq = studies[0].history.freq
    base = [_difference(s) for s in studies]
    own = [_mean_abs(e) for e in errors]
    ratio = _typical([o / b for o, b in zip(own, base, strict=True) if b > 0], _prior.ERROR_PER_DIFFERENCE[freq])
    typical = [Size(ratio * b, np.full(len(e), ratio * b)) for e, b in zip(errors, base, strict=True)]
    return [_size(e, t, SIZE_HALF_WEIGHT[freq], SIZE_RECENCY) for e, t in zip(errors, typical, strict=True)]


def _functional(name: str, errors: Sequence[Floats], sizes: Sequence[Size], freq: str) -> list[Floats]:
    """Quantile functions (L,) of the errors (K,) of maximum or mean; their sizes are shrunk to the pointwise ones."""
    width = _prior.FUNCTIONAL_WIDTH[name, freq]
    ratio = _typical([_mean_abs(e / z.past) for e, z in zip(errors, sizes, strict=True)], width)
    typical = [Size(ratio * z.now, ratio * z.past) for z in sizes]
    own = [
        _size(e[:, None], t, FUNCTIONAL_HALF_WEIGHT, FUNCTIONAL_RECENCY) for e, t in zip(errors, typical, strict=True)
    ]
    scaled = [e / size.past for e, size in zip(errors, own, strict=True)]
    blended = blend(scaled, _prior.functional_quantiles(freq, LEVELS), OWN_HALF_WEIGHT_OF[name])
    horizons = [float(np.isfinite(e).sum()) / ORIGINS_PER_INDEPENDENT for e in errors]
    return [q * size.now * few(n) for q, size, n in zip(blended, own, horizons, strict=True)]


def _typical(ratios: Sequence[float], expected: float) -> float:
    """Geometric mean of the finite positive ``ratios``, shrunk to what is expected."""
    logs = [np.log(r) for r in ratios if np.isfinite(r) and r > 0]
    return float(np.exp((sum(logs) + PRIOR_SERIES * np.log(expected)) / (len(logs) + PRIOR_SERIES)))


def _size(errors: Floats, typical: Size, half_weight: float, recency: float) -> Size:
    """Sizes of ``errors`` (K, n), shrunk to the ``typical`` ones."""
    means = np.array([_mean_abs(row) for row in errors])
    at = np.arange(len(means))
    apart = np.abs(at[:, None] - at)
    near: Floats = np.where(apart >= OVERLAP, recency ** (apart - OVERLAP), 0.0).astype(float)
    past = [_shrunk(means, row, t, half_weight) for row, t in zip(near, typical.past, strict=True)]
    return Size(_shrunk(means, np.power(recency, at.astype(float)), typical.now, half_weight), np.array(past))


def _shrunk(means: Floats, weights: Floats, typical: float, half_weight: float) -> float:
    """Mean of the known ``means`` (K,) under ``weights`` (K,), shrunk to what is ``typical``."""
    known = np.isfinite(means)
    mass = float(weights[known].sum())
    own = float(weights[known] @ means[known]) / mass if mass > 0 else 0.0
    share = mass / (mass + half_weight)
    return max(share * own + (1.0 - share) * typical, SMALLEST_ERROR)


def _pointwise(scaled: Sequence[Floats], like: Study) -> list[Floats]:
    """(L, H) a series: quantile functions at anchors of the horizon, straight in between, never crossing."""
    horizon = like.horizon
    anchors = np.unique(np.round(np.linspace(0, horizon - 1, min(ANCHORS, horizon))).astype(int))
    steps = np.arange(horizon)
    table = []
    for a in anchors:
        near = np.abs(steps - a) <= NEIGHBOURHOOD_FRAC * horizon
        expected = _prior.pointwise_quantiles(like.history.freq, LEVELS, (a + 1.0) / horizon)
        table.append([_median_kept(q) for q in blend([r[:, near] for r in scaled], expected, OWN_HALF_WEIGHT)])
    out = []
    for s in range(len(scaled)):
        at = np.stack([row[s] for row in table], axis=1)
        out.append(np.maximum.accumulate(np.stack([np.interp(steps, anchors, q) for q in at]), axis=0))
    return out


def _median_kept(quantiles: Floats) -> Floats:
    """Move the median to zero, the outer quantiles less the farther out they are.

    Past bias says little about the bias to come (moving the median by it made forecasts worse), but intervals that
    leave out past errors of one sign would be too short on that side.
    """
    share = 1.0 - np.abs(2.0 * LEVELS - 1.0)
    return np.asarray(np.maximum.accumulate(quantiles - share * quantiles[MEDIAN]), dtype=float)


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
    came = np.isfinite(study.truth).mean(axis=1)
    enough = min(WHOLE_FRAC, float(came.max())) if len(came) else WHOLE_FRAC
    for k in np.flatnonzero((came >= enough) & (came > 0)):
        known = scale.inverse(study.truth[k][np.isfinite(study.truth[k])])
        peak[k] = float(scale.forward(known.max())) - centres[0, k]
        mean[k] = float(scale.forward(known.mean())) - centres[1, k]
    return peak, mean
