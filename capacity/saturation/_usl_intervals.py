"""Intervals of a fitted law by profile likelihood: where the best fit with one figure held is not much worse.

With normal errors of the logarithm, a figure is inside where RSS(held) <= RSS(best)·(1 + t²/(M - 3)), t the two-sided
quantile of Student's t with M - 3 degrees of freedom (D. M. Bates and D. G. Watts, *Nonlinear Regression Analysis*,
1988, chapter 6). Bounds (α, β at least 0) stay bounds; the peak has no upper end where β may be 0.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from capacity.domain import Floats, Interval

# An exact law leaves no residual: errors of a load test below one in a million are not looked for.
_LEAST_ERROR = 1e-6
# Beyond this many times the largest level tested a peak is as good as none.
_FARTHEST_PEAK = 1e4


class Profile:
    """Residual sums of squares of the law in logarithms, γ taken out (it is the mean residual)."""

    def __init__(self, n: Floats, x: Floats) -> None:
        self.n, self.log_ratio = n, np.log(x / n)
        self.top = float(n.max())

    def errors(self, alpha: float, beta: float) -> Floats:
        """log γ that each point asks for."""
        out: Floats = self.log_ratio + np.log1p(alpha * (self.n - 1.0) + beta * self.n * (self.n - 1.0))
        return out

    def rss(self, alpha: float, beta: float) -> float:
        errors = self.errors(alpha, beta)
        return float(np.sum((errors - errors.mean()) ** 2))

    def alpha(self, value: float) -> float:
        return self._least(lambda u: self.rss(value, (u / self.top) ** 2), 30.0)

    def beta(self, value: float) -> float:
        return self._least(lambda alpha: self.rss(alpha, value), 1.0)

    def peak(self, value: float) -> float:
        inverse = 0.0 if math.isinf(value) else 1.0 / (value * value)
        return self._least(lambda alpha: self.rss(alpha, (1.0 - alpha) * inverse), 1.0)

    def gamma(self, value: float) -> float:
        from scipy.optimize import least_squares

        held = math.log(value)
        found = least_squares(
            lambda p: self.errors(p[0], p[1]) - held, [0.05, 1e-4], bounds=([0.0, 0.0], [1.0, np.inf]),
            x_scale=[0.01, 1.0 / self.top**2],
        )  # fmt: skip
        return 2.0 * float(found.cost)

    @staticmethod
    def _least(rss: Callable[[float], float], high: float) -> float:
        from scipy.optimize import minimize_scalar

        inner = float(minimize_scalar(rss, bounds=(0.0, high), method="bounded", options={"xatol": 1e-7}).fun)
        return min(inner, rss(0.0))


def intervals(
    n: Floats, x: Floats, best: tuple[float, float, float, float], confidence: float
) -> tuple[Interval, Interval, Interval, Interval]:
    """Intervals of (γ, α, β, peak) around ``best``; as wide as can be where three levels leave nothing to judge by."""
    from scipy.stats import t

    gamma, alpha, beta, peak = best
    spare = len(n) - 3
    if spare < 1:
        wide = ((0.0, math.inf), (0.0, 1.0), (0.0, math.inf), (1.0, math.inf))
        return tuple(Interval(a, b, c, confidence) for (a, c), b in zip(wide, best, strict=True))  # type: ignore[return-value]
    profile = Profile(n, x)
    least = max(profile.rss(alpha, beta), len(n) * _LEAST_ERROR**2)
    allowed = least * (1.0 + float(t.ppf((1 + confidence) / 2, spare)) ** 2 / spare)
    step = math.sqrt(least / spare) + 1e-6
    farthest = profile.top * _FARTHEST_PEAK
    near = min(peak, farthest)
    open_ended = profile.peak(math.inf) <= allowed
    peak_high = math.inf if open_ended else _end(profile.peak, near, farthest, allowed, step * near)
    return (
        Interval(
            _end(profile.gamma, gamma, gamma * 1e-3, allowed, -step * gamma), gamma,
            _end(profile.gamma, gamma, gamma * 1e3, allowed, step * gamma), confidence,
        ),
        Interval(
            _end(profile.alpha, alpha, 0.0, allowed, -step), alpha,
            _end(profile.alpha, alpha, 1.0, allowed, step), confidence,
        ),
        Interval(
            _end(profile.beta, beta, 0.0, allowed, -step / profile.top), beta,
            _end(profile.beta, beta, 100.0, allowed, step / profile.top**2), confidence,
        ),
        Interval(
            _end(profile.peak, near, 1.0, allowed, -step * near), peak, peak_high, confidence
        ),
    )  # fmt: skip


def _end(profile: Callable[[float], float], best: float, bound: float, allowed: float, step: float) -> float:
    """From ``best`` towards ``bound`` in growing steps, then exactly: where the profile passes ``allowed``."""
    from scipy.optimize import brentq

    inside, away = best, step
    for _ in range(60):
        outside = best + away
        at_bound = (outside - bound) * step >= 0
        outside = bound if at_bound else outside
        if profile(outside) > allowed:
            if profile(inside) >= allowed:
                return inside
            return float(brentq(lambda v: profile(v) - allowed, inside, outside, rtol=1e-6))
        if at_bound:
            return bound
        inside, away = outside, away * 1.6
    return bound
