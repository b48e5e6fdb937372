"""The Universal Scalability Law: throughput against concurrency, its knee, and its fit to a load test.

Source: N. J. Gunther, *Guerrilla Capacity Planning* (2007), chapters 4 to 6.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import overload

import numpy as np
import numpy.typing as npt

from capacity.domain import Floats, Interval
from capacity.errors import UsageError
from capacity.saturation._usl_intervals import intervals

# Three parameters need at least as many different levels of concurrency.
_LEVELS_NEEDED = 3


@dataclass(frozen=True)
class UslFit:
    """A fitted law.

    Attributes
    ----------
    gamma
        Throughput of one worker, in the unit of the throughput that was fitted.
    alpha, beta
        Contention (share that is serial) and coherency (cost of each pair agreeing), both at least 0.
    peak
        Concurrency of the largest throughput; infinite where ``beta`` is 0.
    tested_max
        Largest concurrency that was tested: beyond 1.5 times it the law is a guess.
    gamma_interval, alpha_interval, beta_interval, peak_interval
        80 % intervals by profile likelihood; None where they were not asked for. Measured by simulation at 5 % noise
        (``python -m bench.queueing usl``): tests of 8 to 20 measurements held in .77 to .81 of 300, for each figure and
        knees inside and beyond the levels; tests of 100 in .70 to .87 of 100.
    spread_frac
        Standard deviation of a throughput around the law, as a share of it; NaN with only three levels.
    """

    gamma: float
    alpha: float
    beta: float
    peak: float
    tested_max: float
    gamma_interval: Interval | None = None
    alpha_interval: Interval | None = None
    beta_interval: Interval | None = None
    peak_interval: Interval | None = None
    spread_frac: float = math.nan


@overload
def usl_throughput(n: float, gamma: float, alpha: float, beta: float) -> float: ...
@overload
def usl_throughput(n: Floats, gamma: float, alpha: float, beta: float) -> Floats: ...
def usl_throughput(n: float | Floats, gamma: float, alpha: float, beta: float) -> float | Floats:
    """Throughput at concurrency ``n``: γn / (1 + α(n - 1) + βn(n - 1)).

    ``n`` is a number or an array (any shape), at least 0; the result has its shape and the unit of ``gamma``.
    """
    return gamma * n / (1.0 + alpha * (n - 1.0) + beta * n * (n - 1.0))


def usl_peak(alpha: float, beta: float) -> float:
    """Concurrency with the largest throughput, √((1 - α)/β); infinite without coherency, never below 1.

    Raises
    ------
    UsageError
        Where a coefficient is negative.
    """
    if alpha < 0 or beta < 0:
        raise UsageError(f"usl_peak: alpha {alpha} and beta {beta} must not be negative")
    if alpha >= 1:
        return 1.0
    return max(1.0, math.sqrt((1.0 - alpha) / beta)) if beta > 0 else math.inf


def fit_usl(
    concurrency: Sequence[float] | Floats, throughput: Sequence[float] | Floats, confidence: float | None = 0.8
) -> UslFit:
    """Fit the law to a load test by bounded least squares on the logarithm of the throughput.

    At 5 % noise both α and β come within a tenth where the levels lie on both sides of the knee and a hundred
    measurements are given (ten levels of ten, five of twenty: .99 to 1.00 of tests at α .05, β .001 and α .1, β .002;
    .85 at α .02, β .0005). Ten measurements do it in a third of tests, hardly ever with the knee beyond them.

    The logarithm, because the noise of a load test grows with its throughput. The start comes from the law's
    linear form n/X = (1 + α(n-1) + βn(n-1))/γ by non-negative least squares.

    Parameters
    ----------
    concurrency, throughput
        (M,) each: workers (at least 1) and what they served (above 0); at least three different levels.
    confidence
        Of the intervals (:mod:`capacity.saturation._usl_intervals`); None leaves them out, which is faster.

    Raises
    ------
    UsageError
        Where lengths differ, a value is out of range, or there are too few levels.
    """
    from scipy.optimize import least_squares  # lazily: only load tests need it

    n, x = _checked(concurrency, throughput)

    def residuals(p: Floats) -> Floats:
        return np.asarray(np.log(usl_throughput(n, float(np.exp(p[0])), p[1], p[2])) - np.log(x))

    found = least_squares(
        residuals, _start(n, x), bounds=([-np.inf, 0.0, 0.0], [np.inf, 1.0, np.inf]), x_scale=[1.0, 0.01, 1e-4]
    )
    gamma, alpha, beta = float(np.exp(found.x[0])), float(found.x[1]), float(found.x[2])
    peak = usl_peak(alpha, beta)
    spread = math.sqrt(2.0 * float(found.cost) / (len(n) - _LEVELS_NEEDED)) if len(n) > _LEVELS_NEEDED else math.nan
    if confidence is None:
        return UslFit(gamma, alpha, beta, peak, float(n.max()), spread_frac=spread)
    sides = intervals(n, x, (gamma, alpha, beta, peak), confidence)
    return UslFit(gamma, alpha, beta, peak, float(n.max()), *sides, spread_frac=spread)


def _checked(concurrency: npt.ArrayLike, throughput: npt.ArrayLike) -> tuple[Floats, Floats]:
    n, x = np.asarray(concurrency, dtype=float), np.asarray(throughput, dtype=float)
    if n.shape != x.shape or n.ndim != 1:
        raise UsageError(f"fit_usl: concurrency has shape {n.shape}, throughput {x.shape}; give two equal lists")
    if not (np.all(np.isfinite(n)) and np.all(np.isfinite(x)) and np.all(n >= 1) and np.all(x > 0)):
        raise UsageError("fit_usl: concurrency must be 1 or more and throughput above 0; leave out failed steps")
    levels = len(np.unique(n))
    if levels < _LEVELS_NEEDED:
        raise UsageError(f"fit_usl: {levels} level(s) of concurrency; test at least {_LEVELS_NEEDED} different ones")
    return n, x


def _start(n: Floats, x: Floats) -> Floats:
    """(log γ, α, β) from the linear form, inside the bounds."""
    from scipy.optimize import nnls

    ratio = n / x
    design = np.column_stack([np.ones_like(n), n - 1.0, n * (n - 1.0)]) / ratio[:, None]
    inverse, serial, crosstalk = nnls(design, np.ones_like(n))[0]
    if inverse <= 0:  # no level shows one worker's rate: take the best rate seen per worker
        inverse = float(np.min(ratio))
    # Strictly inside the bounds, where the trust region can move.
    alpha = float(np.clip(serial / inverse, 1e-4, 0.99))
    return np.array([-math.log(inverse), alpha, max(float(crosstalk / inverse), 1e-8)])
