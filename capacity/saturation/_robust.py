"""A straight line through noisy hours: robust fit, weekly moving-block bootstrap, last level shift.

Sources: Tukey's bisquare and its constant in P. J. Huber and E. M. Ronchetti, *Robust Statistics* (2nd ed., 2009),
chapters 7 and 8; the bootstrap with weights held fixed and its linear correction in M. Salibián-Barrera and
R. H. Zamar, "Bootstrapping robust estimates of regression", *Annals of Statistics* 30 (2002); moving blocks in
H. R. Künsch, "The jackknife and the bootstrap for general stationary observations", *Annals of Statistics* 17 (1989).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from capacity.domain import Floats

# 95 % efficient where the noise is normal.
_BISQUARE = 4.685
# The median absolute deviation of a normal distribution is .6745 of its standard deviation.
_MAD_TO_SIGMA = 1.4826
_ITERATIONS = 50
# Enough is reached when the line moves by less than this share of itself at both ends of demand.
_CONVERGED = 1e-7
# A correction beyond thrice the spread comes from a degenerate derivative, not from the data.
_CORRECTION_MAX = 3.0
# Bins of equal size whose medians give the start: outliers in x or y move few of them.
_START_BINS = 25


@dataclass(frozen=True)
class Line:
    """``y = intercept + slope · x``; ``weights`` (n,) in [0, 1], 0 for what was taken for an outlier."""

    intercept: float
    slope: float
    weights: Floats
    scale: float


def fit_line(x: Floats, y: Floats, through_origin: bool = False) -> Line:
    """Bisquare M-estimate from a start that outliers cannot move."""
    intercept, slope = _start(x, y, through_origin)
    floor = 1e-9 * max(float(np.median(np.abs(y))), 1e-12)
    weights, scale = np.ones_like(x), floor
    ends = np.quantile(x, [0.05, 0.95])
    for _ in range(_ITERATIONS):
        residual = y - intercept - slope * x
        scale = max(_MAD_TO_SIGMA * float(np.median(np.abs(residual))), floor)
        weights = np.square(np.clip(1.0 - np.square(residual / (_BISQUARE * scale)), 0.0, None))
        before = intercept + slope * ends
        intercept, slope = _weighted(x, y, weights, through_origin)
        if np.all(np.abs(intercept + slope * ends - before) <= _CONVERGED * np.abs(before)):
            break
    return Line(intercept, slope, weights, scale)


def bootstrap_slopes(
    x: Floats, y: Floats, line: Line, block: int, draws: int, rng: np.random.Generator, through_origin: bool = False
) -> Floats:
    """(draws,) slopes of ``line`` refitted on resampled blocks of ``block`` consecutive hours.

    The weights are held, so that each draw is a sum over blocks; the spread lost by that is put back by the linear
    correction inv(X'psi'X) X'wX, psi the bisquare's score, and the spread that few blocks hide by
    :func:`_few_blocks`.
    """
    n = len(x)
    unit = float(np.std(x)) or 1.0  # standardised: well conditioned, and free of the unit of demand
    origin = 0.0 if through_origin else float(np.average(x, weights=line.weights))
    rows = [(x - origin) / unit] if through_origin else [np.ones(n), (x - origin) / unit]
    design = np.stack(rows)  # (k, n), the slope's row last
    k = len(rows)
    residual = y - line.intercept - line.slope * x
    score = design * (line.weights * residual)  # sums to about 0
    gram = design[:, None, :] * design[None, :, :] * line.weights
    moments = np.concatenate([score, gram.reshape(k * k, n)])
    sums = np.concatenate([np.zeros((k + k * k, 1)), np.cumsum(moments, axis=1)], axis=1)
    blocks = sums[:, block:] - sums[:, :-block]  # (k + k², n - block + 1)
    drawn = blocks[:, rng.integers(0, blocks.shape[1], size=(draws, -(-n // block)))].sum(axis=2).T
    moved = (np.linalg.pinv(drawn[:, k:].reshape(draws, k, k), hermitian=True) @ drawn[:, :k, None])[..., 0]
    correction = _correction(design, residual, line)
    slopes: Floats = line.slope + (moved @ correction.T)[:, -1] / unit * _few_blocks(n / block)
    return slopes


def r_squared(x: Floats, y: Floats, line: Line) -> float:
    """Share of the weighted variance of ``y`` that the line explains, in [0, 1]."""
    w = line.weights
    mean = float(np.average(y, weights=w))
    total = float(np.sum(w * np.square(y - mean)))
    if total <= 0:
        return 1.0
    left = float(np.sum(w * np.square(y - line.intercept - line.slope * x)))
    return max(0.0, 1.0 - left / total)


def last_shift(log_ratio: npt.ArrayLike, smallest: float, keep: int) -> int:
    """Where the last lasting change of level begins in a (W,) series of block medians; 0 where there is none.

    A change counts where it is larger than ``smallest`` and than four standard errors of a difference of medians
    (independent blocks), and leaves ``keep`` blocks on both sides. Repeated on what follows, so the last is found.
    """
    values = np.asarray(log_ratio, dtype=float)
    start = 0
    while True:
        found = _split(values[start:], smallest, keep)
        if found == 0:
            return start
        start += found


def _split(values: Floats, smallest: float, keep: int) -> int:
    best, best_loss = 0, np.inf
    for k in range(keep, len(values) - keep + 1):
        loss = _spread(values[:k]) + _spread(values[k:])
        if loss < best_loss:
            best, best_loss = k, loss
    if best == 0:
        return 0
    left, right = values[:best], values[best:]
    change = abs(float(np.median(right) - np.median(left)))
    noise = np.concatenate([left - np.median(left), right - np.median(right)])
    sigma = _MAD_TO_SIGMA * float(np.median(np.abs(noise))) * np.sqrt(1 / len(left) + 1 / len(right))
    return best if change > max(smallest, 4.0 * sigma) else 0


def _spread(values: Floats) -> float:
    return float(np.sum(np.abs(values - np.median(values))))


def _start(x: Floats, y: Floats, through_origin: bool) -> tuple[float, float]:
    """A line through the medians of bins of ``x``, the outermost left out of the steepness where there are enough."""
    order = np.argsort(x, kind="stable")
    bins = np.array_split(order, min(_START_BINS, max(2, len(x) // 8)))
    bx = np.array([np.median(x[b]) for b in bins])
    by = np.array([np.median(y[b]) for b in bins])
    if through_origin:
        ratios = by[bx > 0] / bx[bx > 0]
        return 0.0, float(np.median(ratios)) if len(ratios) else 0.0
    i, j = np.triu_indices(len(bx), 1)
    apart = bx[j] > bx[i]
    if not apart.any():
        return float(np.median(y)), 0.0
    slope = float(np.median((by[j] - by[i])[apart] / (bx[j] - bx[i])[apart]))  # Theil-Sen over the bins
    return float(np.median(by - slope * bx)), slope


def _weighted(x: Floats, y: Floats, w: Floats, through_origin: bool) -> tuple[float, float]:
    if through_origin:
        return 0.0, float(np.sum(w * x * y) / max(float(np.sum(w * x * x)), np.finfo(float).tiny))
    total = float(np.sum(w))
    if total <= 0:
        return float(np.median(y)), 0.0
    mx, my = float(np.sum(w * x)) / total, float(np.sum(w * y)) / total
    spread = float(np.sum(w * np.square(x - mx)))
    slope = float(np.sum(w * (x - mx) * (y - my))) / spread if spread > 0 else 0.0
    return my - slope * mx, slope


def _correction(design: Floats, residual: Floats, line: Line) -> Floats:
    """(k, k) inv(X'psi'X) X'wX; the identity where the derivative is too small a sum to be information."""
    u2 = np.square(residual / (_BISQUARE * line.scale))
    derivative = np.where(u2 < 1.0, (1.0 - u2) * (1.0 - 5.0 * u2), 0.0)
    held, true = (design * line.weights) @ design.T, (design * derivative) @ design.T
    if np.any(np.diag(true) < np.diag(held) / _CORRECTION_MAX):
        return np.eye(len(design))
    corrected: Floats = np.linalg.pinv(true, hermitian=True) @ held
    return corrected


def _few_blocks(blocks: float) -> float:
    """How much wider an interval from few blocks must be: degrees of freedom, and Student's t over the normal.

    t over z to first order in 1/v: 1 + (z^2 + 1)/(4v) (R. A. Fisher and E. A. Cornish), at z = 1.2816.
    """
    freedom = max(blocks - 2.0, 1.0)
    return float(np.sqrt(max(blocks, 2.0) / freedom) * (1.0 + (1.2816**2 + 1.0) / (4.0 * freedom)))
