"""How busy a server may be before its slowest requests break the promise: Erlang's formulas and rho*.

Sources: the Erlang B recursion and Erlang C in L. Kleinrock, *Queueing Systems I* (1975), chapter 3; GI/M/c in
M. F. Neuts, *Matrix-Geometric Solutions in Stochastic Models* (1981), chapter 4; the two-moment interpolation below
Poisson, by (Ca² + Cs²)/2, in A. O. Allen, *Probability, Statistics and Queueing Theory* (2nd ed., 1990), chapter 5,
after Allen and Cunneen. The wait of those who wait is in :mod:`capacity.saturation._waits`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache

from capacity.errors import UsageError
from capacity.saturation._waits import Arrivals, arrivals, waiters_tail

# A utilisation nearer to 1 than this is not told from 1: its waits are beyond any promise.
_NEAREST = 1e-9


def erlang_b(servers: int, offered: float) -> float:
    """Share of arrivals lost in M/M/c/c (Erlang B), by the stable recursion B(n) = aB(n-1) / (n + aB(n-1)).

    Parameters
    ----------
    servers
        Number of servers c, at least 0 (0 servers lose everything).
    offered
        Offered load a = arrival rate × mean service time, in Erlang (servers' worth of work).

    Raises
    ------
    UsageError
        Where ``servers`` or ``offered`` is negative.
    """
    if servers < 0 or not offered >= 0:
        raise UsageError(f"erlang_b: servers {servers} and offered load {offered} must not be negative")
    blocked = 1.0
    for n in range(1, servers + 1):
        blocked = offered * blocked / (n + offered * blocked)
    return blocked


def erlang_c(servers: int, offered: float) -> float:
    """Probability that an arrival of M/M/c waits: C = cB / (c - a(1 - B)); 1 where the load is c or more.

    Parameters and errors are those of :func:`erlang_b`; here ``servers`` must be at least 1.
    """
    if servers < 1:
        raise UsageError(f"erlang_c: {servers} servers serve nobody; give at least 1")
    blocked = erlang_b(servers, offered)
    if offered >= servers:
        return 1.0
    return servers * blocked / (servers - offered * (1.0 - blocked))


def delay_probability(servers: int, utilisation: float, service_cv2: float = 1.0, arrival_cv2: float = 1.0) -> float:
    """Share of arrivals that find all servers busy and wait.

    Poisson arrivals (``arrival_cv2`` up to 1): Erlang C, whatever the service, within .01 of the exact solution of
    M/H2/c for Cs² up to 8. Burstier ones: GI/M/c with hyperexponential gaps, whose burstiness is lessened by what the
    spread of the services smoothes (the peakedness of H2 arrivals at many servers, 1 + (Ca² - 1)∫(1 - G)²dt / S, which
    for H2 services is 1/4 + 1/(2(Cs² + 1)) where exponential ones have 1/2).

    Parameters and errors are those of :func:`wait_quantile_ms`; 1 at ``utilisation`` of 1 or more.
    """
    if utilisation >= 1:
        return 1.0
    if arrival_cv2 <= 1:
        return erlang_c(servers, servers * utilisation)
    smoothed = 1.0 + (arrival_cv2 - 1.0) * (0.5 + 1.0 / (max(service_cv2, 1.0) + 1.0))
    return _gi_m_c_delay(servers, arrivals(servers * utilisation, smoothed))


def _gi_m_c_delay(c: int, stream: Arrivals) -> float:
    """P(wait) of H2/M/c, service time 1: levels 0 to c by a recursion of rank one, the levels above geometric."""
    product, total, middle = float(stream.den[0]), float(stream.den[1]), float(stream.num[1])
    left = _gi_m_rate(c, stream)
    root = math.sqrt(max(total * total / 4.0 - product, 0.0))
    fast, slow = total / 2.0 + root, total / 2.0 - root
    q = (middle - slow) / (fast - slow)  # chance of the fast phase: middle = q·fast + (1 - q)·slow
    v1, v2 = q / (fast + left), (1.0 - q) / (slow + left)
    up = []  # flow into level n over that into level n - 1, from n = c down
    for n in range(c, 0, -1):
        d1, d2 = fast + n, slow + n
        busy = n if n == c else n + 1
        x1, x2 = q / d1, (1.0 - q) / d2
        scale = busy * (x1 * fast + x2 * slow) / (1.0 - busy * (v1 * fast / d1 + v2 * slow / d2))
        v1, v2 = x1 + scale * v1 / d1, x2 + scale * v2 / d2
        up.append(v1 * fast + v2 * slow)
    below = 0.0
    for ratio in reversed(up):
        below = (below + 1.0) / ratio
    return 1.0 / (1.0 + left / c * below)


def _tail(servers: int, utilisation: float, service_cv2: float, arrival_cv2: float) -> Callable[[float], float]:
    """P(W > t | W > 0), t in mean service times, for variations of at least 1."""
    stream = arrivals(servers * utilisation, arrival_cv2)
    if service_cv2 > 1:
        return waiters_tail(servers, service_cv2, stream)
    rate = servers * (1.0 - utilisation) if arrival_cv2 <= 1 else _gi_m_rate(servers, stream)
    return lambda t: math.exp(-rate * t)


def _gi_m_rate(c: int, stream: Arrivals) -> float:
    """c(1 - σ) of H2/M/c, σ = A(c(1 - σ)): the rate at which a wait ends."""
    product, total, middle = float(stream.den[0]), float(stream.den[1]), float(stream.num[1])
    linear, constant = total - c, product + c * (middle - total)
    return (-linear + math.sqrt(max(linear * linear - 4.0 * constant, 0.0))) / 2.0


def _shape(service_cv2: float, arrival_cv2: float) -> tuple[float, float, float]:
    """(Cs², Ca², stretch): variations raised to 1 at least, and what waits shrink to for those that were lower."""
    service, arrival = max(service_cv2, 1.0), max(arrival_cv2, 1.0)
    return service, arrival, (service_cv2 + arrival_cv2) / (service + arrival)


def wait_quantile_ms(
    servers: int,
    utilisation: float,
    service_time_ms: float,
    service_cv2: float = 1.0,
    arrival_cv2: float = 1.0,
    percentile: float = 0.99,
) -> float:
    """The wait before service that ``percentile`` of requests stay within, in ms.

    The smallest t with P(W > 0) · P(W > t | W > 0) <= 1 - ``percentile``: the first by :func:`delay_probability`, the
    second by :mod:`capacity.saturation._waits`; 0 where fewer than 1 - ``percentile`` wait at all. Exact for M/M/c,
    GI/M/c and M/H2/1. A variation below 1 is taken as 1, and the wait shrunk by the ratio of (Ca² + Cs²)/2 to what that
    then is.

    Parameters
    ----------
    servers, utilisation
        c, and ρ = offered load / c; infinite at ρ >= 1.
    service_time_ms
        Mean service time S.
    service_cv2, arrival_cv2
        Squared coefficients of variation Cs² and Ca².
    """
    if utilisation >= 1 - _NEAREST:
        return math.inf
    service, arrival, stretch = _shape(service_cv2, arrival_cv2)
    late = 1.0 - percentile
    if utilisation <= 0 or stretch <= 0:
        return 0.0
    waits = delay_probability(servers, utilisation, service, arrival)
    if waits <= late:
        return 0.0
    tail = _tail(servers, utilisation, service, arrival)
    return stretch * service_time_ms * _crossing(lambda t: tail(t) * waits - late)


def _crossing(falling: Callable[[float], float]) -> float:
    """Where a falling function of t >= 0 that starts above 0 passes it."""
    high = 1.0
    while falling(high) > 0:
        high *= 2.0
    from scipy.optimize import brentq  # lazily: exponential services of one kind never come here

    return float(brentq(falling, 0.0, high, xtol=1e-12, rtol=1e-12))


@lru_cache(maxsize=4096)
def safe_utilisation(
    servers: int,
    service_time_ms: float,
    slo_p99_ms: float,
    service_cv2: float = 1.0,
    arrival_cv2: float = 1.0,
    percentile: float = 0.99,
) -> float:
    """rho*: the largest utilisation whose ``percentile`` wait plus mean service time keeps the SLO.

    Solves :func:`wait_quantile_ms` (rho) + S = SLO for rho; the wait never falls as rho grows, so the answer is unique.
    It grows with ``servers`` and ``slo_p99_ms``, and falls with either variation beside Poisson or exponential partners
    (where both are high, more varied services smooth bursts a little, and rho* may rise with them).

    How exact, over c of 1 to 64 and SLO/S of 1.05 to 20 (``python -m bench.queueing``; against the exact solution of
    H2/H2/c, and a simulation): Poisson arrivals, Cs² = 1 exact, 2 within .005, 4 within .006, 8 within .011; Ca² = 4
    with Cs² = 1 exact, 2 from -.012 to +.003, 4 from -.025 (safe) to +.004. Two moments do not tell all of a service:
    lognormal and gamma services (Cs² = .25 and 4) were from -.04 (safe) to +.04, constant ones from -.07 to 0.

    The promise is on the P99 of the wait plus the MEAN service time. The P99 of the whole response is longer where the
    service itself varies: at this rho*, simulated, with exponential services 2.4 times an SLO of 2 S, 1.2 times one of
    5 S and at most 1.03 times one of 10 S or more; with Cs² = 4 5.6, 2.4, 1.4 (10 S) and up to 1.2 times (20 S).

    Parameters
    ----------
    servers
        What works in parallel inside one instance (its vCPU).
    service_time_ms, slo_p99_ms
        Mean service time, and the promise on the 99th percentile of the wait plus the mean service time, both in ms.
    service_cv2, arrival_cv2
        Squared coefficients of variation of service and inter-arrival times (1: exponential, Poisson).
    percentile
        Share of requests that must keep the SLO, inside (0, 1).

    Returns
    -------
    float
        In [0, 1]. 0 where even an idle server misses the SLO.

    Raises
    ------
    UsageError
        Where an argument is outside its range.

    Examples
    --------
    One server, Poisson, exponential: at rho* the P99 wait, 10 ms · ln(100 rho)/(1 - rho), is exactly 90 ms.

    >>> round(safe_utilisation(1, 10.0, 100.0), 4)
    0.5539
    """
    _check(servers, service_time_ms, slo_p99_ms, service_cv2, arrival_cv2, percentile)
    allowed = slo_p99_ms - service_time_ms
    if allowed < 0:
        return 0.0
    service, arrival, stretch = _shape(service_cv2, arrival_cv2)
    if stretch <= 0:
        return 1.0  # nothing varies, nothing waits
    return _largest(servers, allowed / service_time_ms / stretch, service, arrival, 1.0 - percentile)


def _largest(servers: int, allowed: float, service_cv2: float, arrival_cv2: float, late: float) -> float:
    """The largest rho with P(W > ``allowed`` service times) <= ``late``."""

    def waiting(rho: float) -> float:
        return _log(delay_probability(servers, rho, service_cv2, arrival_cv2)) - math.log(late)

    def too_long(rho: float) -> float:
        return waiting(rho) + _log(_tail(servers, rho, service_cv2, arrival_cv2)(allowed))

    lowest, highest = _NEAREST, 1.0 - _NEAREST
    few = _root(waiting, lowest, highest)  # up to here too few wait at all, however long
    return _root(too_long, few, highest)


def _root(rising: Callable[[float], float], low: float, high: float) -> float:
    from scipy.optimize import brentq

    if rising(low) >= 0:
        return low
    return high if rising(high) <= 0 else float(brentq(rising, low, high, xtol=1e-13, rtol=1e-13))


def _log(share: float) -> float:
    return math.log(max(share, 1e-300))


def _check(servers: int, service: float, slo: float, service_cv2: float, arrival_cv2: float, percentile: float) -> None:
    if servers < 1:
        raise UsageError(f"safe_utilisation: servers is {servers}; give the vCPU of one instance, at least 1")
    if not (service > 0 and slo > 0):
        raise UsageError(f"safe_utilisation: service time {service} ms and SLO {slo} ms must be above 0")
    if not (service_cv2 >= 0 and arrival_cv2 >= 0):
        raise UsageError(f"safe_utilisation: squared variations {service_cv2}, {arrival_cv2} must not be negative")
    if not 0 < percentile < 1:
        raise UsageError(f"safe_utilisation: percentile is {percentile}; give a share inside (0, 1), e.g. 0.99")
