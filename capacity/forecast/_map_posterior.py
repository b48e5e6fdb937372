"""The log posterior of Prophet's model, and its gradient, in NumPy.

The model (the file prophet.stan of Prophet 1.5, for linear and flat growth)::

    trend   = m + k t + sum_s delta_s max(t - c_s, 0)            (flat: m)
    y       ~ normal(trend (1 + X_m beta) + X_a beta, sigma)
    k, m    ~ normal(0, 5)        delta_s ~ laplace(0, tau)
    beta_j  ~ normal(0, scale_j)  sigma   ~ normal(0, 0.5), positive

One vector ``theta`` holds (k, m, delta, beta); sigma stands apart, because for any theta its best value is known in
closed form. Constants are left out, as Stan leaves them out, so the values may be compared with its ``lp__``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from capacity.domain import Floats
from capacity.forecast._map_lasso import solid

# Precisions of the normal priors of prophet.stan: standard deviation 5 for slope and offset, .5 for the noise.
SLOPE_PRECISION = 1 / 5.0**2
NOISE_PRECISION = 1 / 0.5**2
# Prophet's own noise of a series that its trend meets exactly (it sets 1e-9 on a constant one): without a floor the
# posterior of a perfect fit has no maximum.
SMALLEST_SIGMA = 1e-9
# Codes of the growth in Prophet's data; logistic growth (1) is CmdStan's.
LINEAR, FLAT = 0, 2


@dataclass(frozen=True)
class Posterior:
    """The posterior of one series: data, features and priors. T rows, S changepoints, K features.

    Attributes
    ----------
    y
        (T,) the series on Prophet's scale, the largest size being 1.
    basis
        (T, 2 + S) the trend's columns: time, one, and a hinge at every changepoint. All but the second are zero for
        flat growth.
    added, multiplied
        (T, K) the features that add to the trend, and those that multiply it; zero where a feature does not.
    rate
        1 / tau, the weight of a changepoint's size.
    precision
        (2 + S + K,) of the normal priors; zero on the changepoints.
    """

    y: Floats
    basis: Floats
    added: Floats
    multiplied: Floats
    rate: float
    precision: Floats

    @property
    def n_trend(self) -> int:
        """2 + S: how many of theta are the trend's."""
        return int(self.basis.shape[1])

    @cached_property
    def additive(self) -> bool:
        """Whether the fit is linear in theta: no feature multiplies the trend."""
        return not bool(self.multiplied.any())

    @cached_property
    def design(self) -> Floats:
        """(T, 2 + S + K) derivative of the fit by theta where it is linear."""
        return np.hstack([self.basis, self.added])

    def fitted(self, theta: Floats) -> Floats:
        """(T,) the model's mean."""
        if self.additive:
            return np.asarray(self.design @ theta)
        trend, beta = self.basis @ theta[: self.n_trend], theta[self.n_trend :]
        return np.asarray(trend * (1.0 + self.multiplied @ beta) + self.added @ beta)

    def jacobian(self, theta: Floats) -> Floats:
        """(T, 2 + S + K) derivative of the mean by theta."""
        if self.additive:
            return self.design
        trend, beta = self.basis @ theta[: self.n_trend], theta[self.n_trend :]
        factor = 1.0 + self.multiplied @ beta
        return np.hstack([self.basis * factor[:, None], self.added + self.multiplied * trend[:, None]])

    def refit(self, theta: Floats, sigma: float) -> Floats:
        """``theta`` with the best beta for its trend and this noise: given the trend, the model is linear in beta."""
        trend, weight = self.basis @ theta[: self.n_trend], sigma**-2.0
        design = self.added + self.multiplied * trend[:, None]
        hessian = design.T @ design * weight + np.diag(self.precision[self.n_trend :])
        beta = np.linalg.solve(solid(hessian), design.T @ (self.y - trend) * weight)
        return np.concatenate([theta[: self.n_trend], beta])

    def penalty(self, theta: Floats) -> float:
        """Minus the log prior of theta."""
        size = float(np.abs(theta[2 : self.n_trend]).sum())
        return self.rate * size + 0.5 * float(self.precision @ (theta * theta))


def posterior_of(data: Mapping[str, Any]) -> Posterior:
    """The posterior of the dictionary that Prophet hands to its back end (its ``ModelInputData``)."""
    t, changes = np.asarray(data["t"], dtype=float), np.asarray(data["t_change"], dtype=float)
    features = np.asarray(data["X"], dtype=float)
    hinges = np.maximum(t[:, None] - changes[None, :], 0.0)
    slopes = np.column_stack([t, np.ones(len(t)), hinges])
    if int(data["trend_indicator"]) == FLAT:
        slopes[:, 0], slopes[:, 2:] = 0.0, 0.0
    scales = np.asarray(data["sigmas"], dtype=float)
    return Posterior(
        y=np.asarray(data["y"], dtype=float),
        basis=slopes,
        added=features * np.asarray(data["s_a"], dtype=float),
        multiplied=features * np.asarray(data["s_m"], dtype=float),
        rate=1.0 / float(data["tau"]),
        precision=np.concatenate([np.full(2, SLOPE_PRECISION), np.zeros(len(changes)), scales**-2.0]),
    )


def best_sigma(sum_of_squares: float, n: int) -> float:
    """The sigma of the largest posterior, given the residuals' sum of squares over ``n`` rows.

    Root of NOISE_PRECISION sigma^4 + n sigma^2 - sum_of_squares, written so that nothing cancels.
    """
    root = float(np.sqrt(n * n + 4.0 * NOISE_PRECISION * sum_of_squares))
    return max(float(np.sqrt(2.0 * sum_of_squares / (n + root))), SMALLEST_SIGMA)


def log_posterior(posterior: Posterior, theta: Floats, sigma: float) -> float:
    """Log posterior density up to a constant: Stan's ``lp__``."""
    residual = posterior.y - posterior.fitted(theta)
    likelihood = -len(residual) * float(np.log(sigma)) - 0.5 * float(residual @ residual) / sigma**2
    return likelihood - 0.5 * NOISE_PRECISION * sigma**2 - posterior.penalty(theta)


def gradient(posterior: Posterior, theta: Floats, sigma: float) -> tuple[Floats, float]:
    """Gradient of `log_posterior` by theta and by sigma; where a changepoint is zero, that of the middle (0)."""
    residual = posterior.y - posterior.fitted(theta)
    by_theta = posterior.jacobian(theta).T @ residual / sigma**2 - posterior.precision * theta
    by_theta[2 : posterior.n_trend] -= posterior.rate * np.sign(theta[2 : posterior.n_trend])
    by_sigma = (float(residual @ residual) / sigma**2 - len(residual)) / sigma - NOISE_PRECISION * sigma
    return by_theta, by_sigma
