"""A quadratic with a Laplace prior on some of its variables, minimised exactly.

The Laplace prior has a kink at zero, where most changepoints end: no method of smooth functions stops there. Here the
set of variables that are not zero, with their signs, is searched for; between two changes of that set there is one
linear system. The search always falls, so it ends, usually after about as many systems as there are live changepoints.
"""

from __future__ import annotations

import numpy as np

from capacity.domain import Floats

# A zero variable is let go once its slope exceeds the prior's by this share: below, it is rounding.
SLACK = 1e-7
# Share of the diagonal added to it, so that columns that say the same thing leave the system solvable: a hundred times
# what rounding does to a matrix of 60 columns. It bends the step, never where the steps end.
RIDGE = 1e-12


def solid(hessian: Floats) -> Floats:
    """(p, p) ``hessian``, lifted by less than anyone sees so that it can be solved; a column of zeros gets 1."""
    diagonal = np.diagonal(hessian)
    return np.asarray(hessian + np.diag(np.where(diagonal > 0.0, RIDGE * diagonal, 1.0)))


def lasso_step(hessian: Floats, slope: Floats, theta: Floats, kinked: slice, rate: float) -> Floats:
    """The step d that minimises d' hessian d / 2 - slope' d + rate * sum |theta + d| over the ``kinked`` ones.

    Parameters
    ----------
    hessian
        (p, p) positive semi-definite.
    slope
        (p,) of the smooth part of what is maximised, at ``theta``.

    Returns
    -------
    Floats
        (p,) the step; a kinked variable that ends at zero ends there exactly.
    """
    from scipy.linalg import cho_factor, cho_solve

    full = solid(hessian)
    bent = np.zeros(len(theta), dtype=bool)
    bent[kinked] = True
    cross = full[np.ix_(~bent, bent)]
    factor = cho_factor(full[np.ix_(~bent, ~bent)], check_finite=False)
    solved = cho_solve(factor, np.column_stack([cross, slope[~bent]]), check_finite=False)
    inner = full[np.ix_(bent, bent)] - cross.T @ solved[:, :-1]
    here = theta[bent]
    moved = lasso(inner, slope[bent] - cross.T @ solved[:, -1] + inner @ here, rate, here) - here
    step = np.empty(len(theta))
    step[bent] = moved
    step[~bent] = solved[:, -1] - solved[:, :-1] @ moved
    return step


def lasso(hessian: Floats, linear: Floats, rate: float, start: Floats) -> Floats:
    """(S,) the x that minimises x' hessian x / 2 - linear' x + rate * sum |x|, searched from ``start``."""
    x, slack = start.copy(), SLACK * rate
    signs = np.sign(x)
    for _ in range(10 * len(x) + 50):
        x, signs = _settle(hessian, linear, rate, x, signs)
        pull = np.where(signs == 0.0, linear - hessian @ x, 0.0)
        strongest = int(np.argmax(np.abs(pull)))
        if abs(pull[strongest]) <= rate + slack:
            break
        signs[strongest] = np.sign(pull[strongest])
    return x


def _settle(hessian: Floats, linear: Floats, rate: float, x: Floats, signs: Floats) -> tuple[Floats, Floats]:
    """The best x with these signs; what would change its sign on the way is left at zero."""
    x, signs = x.copy(), signs.copy()
    while (live := np.flatnonzero(signs)).size:
        target = np.linalg.solve(hessian[np.ix_(live, live)], linear[live] - rate * signs[live])
        wrong = target * signs[live] < 0.0
        if not wrong.any():
            x[live] = target
            break
        share = x[live][wrong] / (x[live][wrong] - target[wrong])
        first = live[wrong][int(np.argmin(share))]
        x[live] += float(share.min()) * (target - x[live])
        x[first], signs[first] = 0.0, 0.0
    return x, signs
