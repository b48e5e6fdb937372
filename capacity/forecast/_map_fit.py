"""The maximum of Prophet's posterior: a few weighted least squares with a Laplace prior, not hundreds of gradients.

Given the noise, an additive model is a quadratic with a kink (`_map_lasso`), solved exactly; given the rest, the noise
has a closed form. The two are repeated until nothing is to be gained. Where features multiply the trend, the fit is
linearised anew each time (Gauss and Newton's method) and the features are solved again for the trend that is tried:
trend and features trade size along a bent valley, which straight steps only creep along. Every step rises, nothing is
random, and the same input gives the same bits.

Where the posterior has several modes (few points, loose priors) the one met first from large noise is taken: modes of
smaller noise follow every point.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from capacity.domain import Floats
from capacity.forecast._map_lasso import lasso_step
from capacity.forecast._map_posterior import NOISE_PRECISION, Posterior, best_sigma

# The search ends where a further step promises less than this of the log posterior: a thousandth of a standard
# deviation of any parameter.
ENOUGH = 1e-7
# Steps are about ten; this many only bound a series that never settles.
MOST_STEPS = 200
# A step is halved at most this often, and must give this share of what its straight part promises (Armijo's rule).
HALVINGS = 30
SHARE = 1e-4


@dataclass(frozen=True)
class MapFit:
    """Where the search ended.

    Attributes
    ----------
    theta, sigma
        The parameters.
    log_posterior
        Stan's ``lp__`` there.
    steps
        How many steps it took.
    promise
        What a further step promises to gain; above ``ENOUGH`` the search did not settle.
    """

    theta: Floats
    sigma: float
    log_posterior: float
    steps: int
    promise: float


@dataclass(frozen=True)
class _Point:
    """A theta with its best noise, and minus the log posterior there."""

    theta: Floats
    residual: Floats
    sigma: float
    loss: float


def fit_map(posterior: Posterior, start: Floats) -> MapFit:
    """The mode of the posterior that is reached from ``start`` (2 + S + K,)."""
    here, gram, promise, steps = _at(posterior, start), None, np.inf, 0
    while steps < MOST_STEPS:
        jacobian = posterior.jacobian(here.theta)
        if gram is None or not posterior.additive:
            gram = jacobian.T @ jacobian
        step, promise = _step(posterior, here, jacobian, gram)
        ahead = _shorten(posterior, here, step, promise) if promise > ENOUGH else None
        if ahead is None:
            break
        here, steps = ahead, steps + 1
    return MapFit(here.theta, here.sigma, -here.loss, steps, promise)


def _at(posterior: Posterior, theta: Floats) -> _Point:
    residual = posterior.y - posterior.fitted(theta)
    n, squares = len(residual), float(residual @ residual)
    sigma = best_sigma(squares, n)
    loss = n * float(np.log(sigma)) + 0.5 * squares / sigma**2 + 0.5 * NOISE_PRECISION * sigma**2
    return _Point(theta, residual, sigma, loss + posterior.penalty(theta))


def _try(posterior: Posterior, theta: Floats, sigma: float) -> _Point:
    """``theta``, or the same trend with its features solved again at noise ``sigma``, where that is better."""
    plain = _at(posterior, theta)
    if posterior.additive:
        return plain
    again = _at(posterior, posterior.refit(theta, sigma))
    return again if again.loss < plain.loss else plain


def _step(posterior: Posterior, here: _Point, jacobian: Floats, gram: Floats) -> tuple[Floats, float]:
    """The step to the best of the linearised model at this noise, and what it promises."""
    weight = here.sigma**-2.0
    hessian = gram * weight
    hessian[np.diag_indices_from(hessian)] += posterior.precision
    slope = jacobian.T @ here.residual * weight - posterior.precision * here.theta
    kinked = slice(2, posterior.n_trend)
    step = lasso_step(hessian, slope, here.theta, kinked, posterior.rate)
    kink = float(np.abs(here.theta[kinked] + step[kinked]).sum() - np.abs(here.theta[kinked]).sum())
    return step, float(slope @ step) - 0.5 * float(step @ hessian @ step) - posterior.rate * kink


def _shorten(posterior: Posterior, here: _Point, step: Floats, promise: float) -> _Point | None:
    """The longest of the halved steps that rises enough; None where none does."""
    length = 1.0
    for _ in range(HALVINGS):
        ahead = _try(posterior, here.theta + length * step, here.sigma)
        if ahead.loss <= here.loss - SHARE * length * promise:
            return ahead
        length *= 0.5
    return None
