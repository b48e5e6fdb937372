"""The wait of those who wait, for service and arrivals that vary more than exponentially: three sums of exponentials.

Times are in mean service times. A squared variation above 1 is told as a hyperexponential of two phases with balanced
means (H2): with d = √((C² - 1)/(C² + 1)) the phases have the rates 1 ± d and are drawn with probability (1 ± d)/2.

While all c servers are busy, each alternates between a fast phase (rate 1 + d) and a slow one (1 - d); a server that
is looked at has either with probability 1/2. Two models of that, blended:

**One server c times as fast** (H. C. Tijms, *A First Course in Stochastic Models*, 2003, section 9.6.2): a wait is the
time until the first of c servers is done, the least of c residual services, plus the wait of a GI/G/1 queue whose
services are c times shorter. Exact for one server, and in heavy traffic. Its services forget which phase they were in
c times too soon, so that it errs to the safe side for many servers.

**Two speeds that last**: the c servers together work at c(1 ± d/√c), which is the mean and the standard deviation of
their speed; the speed is drawn anew at a departure with probability (1 - d²)/(c - d²), which lets it be forgotten as
slowly as one server forgets its phase. The dispersion of the departures is then that of c hyperexponential renewal
streams, at every time scale. Exact for one server; for few servers it misses that all may be slow at once, and errs to
the bold side.

The blend's weight was chosen on the exact solution of M/H2/c (``python -m bench.queueing``).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from capacity.domain import Floats

# Closer than this the two phases are one within what a double tells apart; C² is then below 1 + 2e-6.
_LEAST_SPREAD = 1e-3
# Weight of the second model is (c - 1)/(c + 4): on the exact solution of M/H2/c, c of 1 to 64, C² to 8, the worst
# error of rho* is least there (.006 at Cs² = 4, against .032 and .019 of the two models alone).
_BLEND = 4.0


@dataclass(frozen=True)
class Arrivals:
    """A renewal stream by the Laplace transform of its gaps, ``num(s)/den(s)`` (coefficients, constant first)."""

    num: Floats
    den: Floats

    def transform(self, s: Floats | float) -> Floats:
        powers = np.power.outer(np.asarray(s, dtype=float), np.arange(3))
        out: Floats = (powers[..., : len(self.num)] @ self.num) / (powers[..., : len(self.den)] @ self.den)
        return out


def arrivals(rate: float, cv2: float) -> Arrivals:
    """Poisson at ``cv2`` = 1, H2 above."""
    if cv2 <= 1:
        return Arrivals(np.array([rate]), np.array([rate, 1.0]))
    d = spread(cv2)
    fast, slow = rate * (1 + d), rate * (1 - d)
    return Arrivals(
        np.array([fast * slow, ((1 + d) * fast + (1 - d) * slow) / 2]), np.array([fast * slow, fast + slow, 1.0])
    )


def spread(cv2: float) -> float:
    """d of an H2 with balanced means: phases of rate 1 ± d."""
    return max(math.sqrt((cv2 - 1.0) / (cv2 + 1.0)), _LEAST_SPREAD)


def waiters_tail(servers: int, service_cv2: float, stream: Arrivals) -> Callable[[float], float]:
    """P(W > t | W > 0) as a function of t, for ``service_cv2`` above 1 and a stream of rate below ``servers``."""
    fast = _one_fast_server(servers, service_cv2, stream)
    if servers == 1:
        return fast
    lasting = _two_speeds(servers, service_cv2, stream)
    weight = (servers - 1.0) / (servers + _BLEND)
    return lambda t: (1.0 - weight) * fast(t) + weight * lasting(t)


def _decay_rates(speeds: Floats, drawn: Floats, renewed: float, stream: Arrivals) -> Floats:
    """Both decay rates e > 0 of a wait: r·w·Σ pᵢvᵢ/(vᵢ(1 - r(1 - w)) - e) = 1 with r = A(e), w = ``renewed``.

    ``speeds`` v are the rates of departure in the two states and ``drawn`` p the chances of each when drawn anew. This
    is the condition that r is an eigenvalue of the rate matrix of the queue GI/MAP/1 (M. F. Neuts, *Matrix-Geometric
    Solutions in Stochastic Models*, 1981), multiplied out; the root e = 0 is divided off.
    """
    held = stream.den.copy()
    held[: len(stream.num)] -= (1.0 - renewed) * stream.num
    shifted = np.concatenate([[0.0], stream.den])
    below = [np.concatenate([v * held, [0.0]]) - shifted for v in speeds]
    inner = drawn[0] * speeds[0] * below[1] + drawn[1] * speeds[1] * below[0]
    whole = np.convolve(below[0], below[1])
    part = renewed * np.convolve(stream.num, inner)
    whole[: len(part)] -= part
    found = np.sort(np.roots(whole[:0:-1]).real)[-2:]
    return np.asarray(np.maximum(found, 1e-300))


def _two_speeds(servers: int, service_cv2: float, stream: Arrivals) -> Callable[[float], float]:
    d = spread(service_cv2)
    share = d / math.sqrt(servers)
    speeds = servers * np.array([1 - share, 1 + share])
    drawn = np.array([1 - share, 1 + share]) / 2
    renewed = (1 - d * d) / (servers - d * d)
    decay = _decay_rates(speeds, drawn, renewed, stream)
    ratio = stream.transform(decay)
    states = drawn / (speeds * (1 - ratio * (1 - renewed))[:, None] - decay[:, None])
    entered = np.linalg.solve(states.T, drawn) * ratio
    weight = entered * states.sum(axis=1) / (1 - ratio)
    weight = weight / weight.sum()
    return lambda t: float(weight @ np.exp(-decay * t))


def _one_fast_server(servers: int, service_cv2: float, stream: Arrivals) -> Callable[[float], float]:
    d = spread(service_cv2)
    m1, m2 = (float(x) for x in servers * np.array([1 - d, 1 + d]))
    e1, e2 = (float(x) for x in _decay_rates(np.array([m1, m2]), np.array([1 - d, 1 + d]) / 2, 1.0, stream))
    # The wait of all has the transform Π eᵢ(s + mᵢ)/(mᵢ(s + eᵢ)): an atom at 0 and two exponentials.
    atom = e1 * e2 / (m1 * m2)
    weights = (
        atom * (m1 - e1) * (m2 - e1) / ((e2 - e1) * e1),
        atom * (m1 - e2) * (m2 - e2) / ((e1 - e2) * e2),
    )
    # Its ladder heights are the residual services: phase 1 with this probability (1/2 for Poisson arrivals).
    slow = -(e1 - m1) * (e2 - m1) / ((m2 - m1) * m1)
    quick = -(e1 - m2) * (e2 - m2) / ((m1 - m2) * m2)
    chance, rates = _least_residual(servers, slow / (slow + quick), d)

    def tail(t: float) -> float:
        gone = np.exp(-rates * t)
        out = chance @ gone
        for weight, e in zip(weights, (e1, e2), strict=True):
            gap = rates - e
            near = np.abs(gap) < 1e-9 * rates
            both = np.where(near, t * gone, (math.exp(-e * t) - gone) / np.where(near, 1.0, gap))
            out = out + weight * (chance * rates) @ both
        return float(out)

    return tail


def _least_residual(servers: int, slow: float, d: float) -> tuple[Floats, Floats]:
    """The least of c residual services as a mixture: chances of j slow ones, and their joint rates."""
    j = np.arange(servers + 1)
    logs = np.array([math.lgamma(servers + 1) - math.lgamma(k + 1) - math.lgamma(servers - k + 1) for k in j])
    chance = np.exp(logs + j * math.log(slow) + (servers - j) * math.log1p(-slow))
    return chance, j * (1 - d) + (servers - j) * (1 + d)
