"""Joint sample paths: a Gaussian copula over the horizon and across series, marginals as calibrated.

The latent of a step is sqrt(level) * L + sqrt(1 - level) * A with L constant along a path and A a stationary
first-order autoregression: real forecast errors keep their sign for weeks. Series of one call share a common latent,
so row i of two series belongs to the same future and rows may be added. Latents are turned into ranks at each step,
so that the marginals of a set of paths are the calibrated quantiles themselves, whatever the dependence.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from capacity.domain import Floats, Paths

# Expectation of the dependence, and the series' worth of belief in it; measured lag-1 autocorrelations of real
# residuals are .6 to .7.
EXPECTED_LEVEL = 0.35
EXPECTED_LAG1 = 0.65
EXPECTED_SERIES = 3.0
# Expected share of the variance that series of a call have in common: services of one company serve the same people.
# With none, totals over services were too sure of themselves; services that are truly independent cover a little more.
EXPECTED_COMMON = 0.25


@dataclass(frozen=True)
class Dependence:
    """``level``: share of variance that is constant along the horizon; ``ar``: lag-1 correlation of the rest;
    ``common``: share of variance that all series of the call have in common.
    """

    level: float = EXPECTED_LEVEL
    ar: float = (EXPECTED_LAG1 - EXPECTED_LEVEL) / (1 - EXPECTED_LEVEL)
    common: float = 0.0


def latents(dependence: Dependence, n_paths: int, steps: int, rng: np.random.Generator) -> Floats:
    """(P, H) standard normal latents with the dependence along the horizon."""
    from scipy.signal import lfilter

    noise = rng.standard_normal((n_paths, steps))
    noise[:, 1:] *= np.sqrt(1.0 - dependence.ar**2)
    wander = lfilter([1.0], [1.0, -dependence.ar], noise, axis=1)
    level = rng.standard_normal((n_paths, 1))
    return np.asarray(np.sqrt(dependence.level) * level + np.sqrt(1.0 - dependence.level) * wander, dtype=float)


def uniforms(latent: Floats) -> Floats:
    """(P, H) ranks of each step as midpoints of P equal parts of (0, 1)."""
    return np.asarray((ranks(latent) + 0.5) / len(latent), dtype=float)


def ranks(values: npt.NDArray[np.floating]) -> Floats:
    """(P, H) rank of each row within its column, 0 the lowest; equal values keep the order of rows."""
    order = np.argsort(values, axis=0, kind="stable")
    out = np.empty_like(order)
    np.put_along_axis(out, order, np.broadcast_to(np.arange(len(values))[:, None], values.shape), axis=0)
    return np.asarray(out, dtype=float)


def own_generator(seed: int, key: str) -> np.random.Generator:
    """A stream that depends on the seed and the series' name only: company and order do not change it."""
    digest = hashlib.sha256(key.encode()).digest()
    return np.random.default_rng([seed, int.from_bytes(digest[:8], "big")])


def sample(quantiles: Floats, levels: Floats, latent: Floats) -> Paths:
    """(P, H) float32 paths with the marginals of ``quantiles`` (L, H) at ``levels`` (L,)."""
    n = len(latent)
    at = (np.arange(n) + 0.5) / n
    ordered = np.stack([np.interp(at, levels, q) for q in quantiles.T], axis=1)
    return np.take_along_axis(ordered, ranks(latent).astype(np.intp), axis=0).astype(np.float32)


def estimate(scaled: Sequence[Floats], stamps: Sequence[Sequence[int]]) -> Dependence:
    """The dependence that errors of past origins show.

    Parameters
    ----------
    scaled
        One (K, H) a series: errors over their series' size, NaN where unknown.
    stamps
        The time of each origin, in steps since a common epoch.
    """
    pooled = [r for r in scaled if r.size and np.isfinite(r).any()]
    if not pooled:
        return Dependence()
    lag1, means = _moments(pooled)
    weight = len(pooled) / (len(pooled) + EXPECTED_SERIES)
    horizon = pooled[0].shape[1]
    lag1 = weight * lag1 + (1 - weight) * EXPECTED_LAG1
    expected = _variance_of_mean(EXPECTED_LEVEL, Dependence().ar, horizon)
    level, ar = _solve(lag1, weight * means + (1 - weight) * expected, horizon)
    return Dependence(level, ar, _common(scaled, stamps))


def steadied(latent: Floats, share: float) -> Floats:
    """Latents (P, H) drawn to ``share`` (0 to 1) towards what each is at the last step; still of variance one.

    For what only climbs: its level is wrong as a whole, not one day high and the next day low.
    """
    if share <= 0.0:
        return latent
    mixed = (1.0 - share) * latent + share * latent[:, -1:]
    spread = mixed.std(axis=0)
    return np.asarray(mixed * latent.std(axis=0) / np.where(spread > 0, spread, 1.0), dtype=float)


def _moments(pooled: Sequence[Floats]) -> tuple[float, float]:
    """Lag-1 autocorrelation, and the variance of means over the horizon as a share of the pointwise variance."""
    products, squares, of_means = [], [], []
    centre = float(np.nanmedian(np.concatenate([r.ravel() for r in pooled])))
    for raw in pooled:
        r = np.clip(raw - centre, -4.0, 4.0)  # a few wild errors must not decide
        square = float(np.nanmean(r**2))
        if square <= 0:
            continue
        pairs = r[:, 1:] * r[:, :-1]
        whole = np.isfinite(r).mean(axis=1) >= 0.8
        if not np.isfinite(pairs).any():
            continue
        squares.append(1.0)
        products.append(float(np.nanmean(pairs)) / square)
        of_whole = float(np.nanmean(r[whole] ** 2)) if whole.any() else 0.0
        if of_whole > 0:
            of_means.append(float(np.mean(np.nanmean(r[whole], axis=1) ** 2)) / of_whole)
    lag1 = float(np.mean(products)) if products else EXPECTED_LAG1
    return lag1, float(np.mean(of_means)) if of_means else EXPECTED_LEVEL


def _variance_of_mean(level: float, ar: float, horizon: int) -> float:
    lags = np.arange(1, horizon)
    inner = (1.0 + 2.0 * float(np.sum((1.0 - lags / horizon) * ar**lags))) / horizon
    return level + (1.0 - level) * inner


def _solve(lag1: float, of_mean: float, horizon: int) -> tuple[float, float]:
    """(level, ar) that give the lag-1 autocorrelation and the variance of the mean, the nearest on a grid."""
    levels = np.linspace(0.0, 0.9, 46)
    ars = np.clip((lag1 - levels) / (1.0 - levels), 0.0, 0.98)
    gaps = [abs(_variance_of_mean(lv, ar, horizon) - of_mean) for lv, ar in zip(levels, ars, strict=True)]
    best = int(np.argmin(gaps))
    return float(levels[best]), float(ars[best])


def _common(scaled: Sequence[Floats], stamps: Sequence[Sequence[int]]) -> float:
    """Mean correlation between series of their errors' means at the same origin, shrunk to the expected; in [0, .9]."""
    at: dict[int, list[float]] = {}
    for r, when in zip(scaled, stamps, strict=True):
        for row, stamp in zip(r, when, strict=True):
            if np.isfinite(row).mean() >= 0.5:
                at.setdefault(stamp, []).append(float(np.clip(np.nanmean(row), -4.0, 4.0)))
    groups = [np.array(v) for v in at.values() if len(v) > 1]
    if not groups:
        return EXPECTED_COMMON
    everything = np.concatenate(groups)
    variance = float(np.mean(everything**2))
    pairs = sum(len(g) * (len(g) - 1) for g in groups)
    product = sum(float(g.sum() ** 2 - (g**2).sum()) for g in groups) / pairs
    # Few origins or few series show a correlation by chance.
    most = max(len(g) for g in groups)
    trust = len(groups) / (len(groups) + 3.0) * (most - 1) / (most + 1)
    measured = product / variance if variance > 0 else 0.0
    return float(np.clip(trust * measured + (1.0 - trust) * EXPECTED_COMMON, 0.0, 0.9))
