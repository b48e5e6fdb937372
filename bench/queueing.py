"""``python -m bench.queueing [grid|shapes|response|usl|speed ...]``: rho* and the scalability law against the truth.

grid      rho* over servers, variations and SLO/S against the exact solution of H2/H2/c (a quasi-birth-death process)
shapes    against simulated services of the same two moments but another shape: lognormal, gamma, deterministic
response  the P99 of wait + service at rho*, where the promise is on P99 of the wait + the mean service
usl       how often the intervals of the law hold, and how near α and β come, at 5 % noise
speed     ms a call
"""

from __future__ import annotations

import heapq
import sys
import time

import numpy as np

from capacity.domain import Floats
from capacity.saturation import fit_usl, safe_utilisation, usl_peak, usl_throughput

SERVERS = (1, 2, 4, 8, 16, 32, 64)
RATIOS = (1.5, 2.0, 3.0, 5.0, 10.0, 20.0)


def two_phases(cv2: float) -> tuple[Floats, Floats]:
    """Chances and rates of an H2 of mean 1 with balanced means."""
    d = np.sqrt((cv2 - 1) / (cv2 + 1))
    chance = np.array([(1 + d) / 2, (1 - d) / 2])
    return chance, 2 * chance


# --- the exact solution ------------------------------------------------------------------------------------


def exact_tail(servers: int, rho: float, service_cv2: float, arrival_cv2: float, t: float) -> float:
    """P(W > t) of H2/H2/c, mean service 1: phases are the arrival's, and how many servers are in the fast phase."""
    c = servers
    p, mu = two_phases(max(service_cv2, 1 + 1e-9))
    q, la = two_phases(arrival_cv2) if arrival_cv2 > 1 else (np.ones(1), np.ones(1))
    la = la * c * rho
    eye, turn, stay = np.eye(len(q)), np.outer(la, q), -np.diag(la)

    def ends(n: int) -> Floats:
        out = np.zeros((n + 1, n))
        for j in range(n + 1):
            if j > 0:
                out[j, j - 1] += j * mu[0]
            if j < n:
                out[j, j] += (n - j) * mu[1]
        return out

    def begins(n: int) -> Floats:
        return np.eye(n + 1, n + 2) * p[1] + np.eye(n + 1, n + 2, 1) * p[0]

    def busy(n: int) -> Floats:
        j = np.arange(n + 1)
        return np.asarray(-np.diag(j * mu[0] + (n - j) * mu[1]))

    leave, work = ends(c) @ begins(c - 1), busy(c)
    up, same = np.kron(turn, np.eye(c + 1)), np.kron(stay, np.eye(c + 1)) + np.kron(eye, work)
    down = np.kron(eye, leave)
    ratio = _rate_matrix(up, same, down)
    level, steps = same + ratio @ down, []
    for n in range(c, 0, -1):
        steps.append(np.kron(turn, begins(n - 1)) @ np.linalg.inv(-level))
        level = np.kron(stay, np.eye(n)) + np.kron(eye, busy(n - 1)) + steps[-1] @ np.kron(eye, ends(n))
    values, vectors = np.linalg.eig(level.T)
    state = np.real(vectors[:, np.argmin(np.abs(values))])
    state = state / state.sum()
    total = 0.0
    for step in reversed(steps):
        total += state.sum()
        state = state @ step
    whole = np.eye(len(ratio)) - ratio
    total += (state @ np.linalg.inv(whole)).sum()
    return _wait_beyond(state, ratio, la, leave, work, t) / (total / (q / la).sum())


def _rate_matrix(up: Floats, same: Floats, down: Floats) -> Floats:
    """R by logarithmic reduction (Latouche and Ramaswami, 1993)."""
    eye, first = np.eye(len(up)), np.linalg.inv(-same)
    low, high = first @ down, first @ up
    first_passage, way = low.copy(), high.copy()
    for _ in range(60):
        inner = np.linalg.inv(eye - (high @ low + low @ high))
        high, low = inner @ (high @ high), inner @ (low @ low)
        first_passage += way @ low
        way = way @ high
        if np.abs(way).max() < 1e-15:
            break
    return np.asarray(up @ np.linalg.inv(-(same + up @ first_passage)))


def _wait_beyond(state: Floats, ratio: Floats, la: Floats, leave: Floats, work: Floats, t: float) -> float:
    """Flow of arrivals that wait longer than t: a sum over the eigenvalues r of R, each ending at its own rate."""
    values, vectors = np.linalg.eig(ratio.T)
    share = np.linalg.solve(vectors, state.astype(complex))
    out = 0.0
    for r, weight, vector in zip(values, share, vectors.T, strict=True):
        if abs(r) > 1e-13:
            seen = weight * la @ vector.reshape(len(la), -1)
            onward, largest = seen @ (work + r * leave), int(np.argmax(np.abs(seen)))
            if abs(seen[largest]) > 0:
                out += float(np.real(seen.sum() / (1 - r) * np.exp(onward[largest] / seen[largest] * t)))
    return out


def exact_rho(servers: int, ratio: float, service_cv2: float, arrival_cv2: float = 1.0) -> float:
    """rho* by the exact solution: P(W > (ratio - 1)·S) = .01."""
    from scipy.optimize import brentq

    def late(rho: float) -> float:
        return exact_tail(servers, rho, service_cv2, arrival_cv2, ratio - 1.0) - 0.01

    return float(brentq(late, 2e-3, 0.9999, xtol=1e-5))


# --- a simulation ------------------------------------------------------------------------------------------


def draw(rng: np.random.Generator, cv2: float, count: int) -> Floats:
    """H2 (exponential at 1) of mean 1."""
    chance, rate = two_phases(cv2)
    slow = (rng.random(count) >= chance[0]).astype(int)
    return np.asarray(rng.exponential(1.0, count) / rate[slow])


def simulate(servers: int, arrivals: Floats, services: Floats) -> Floats:
    """Waits of a first-come-first-served queue, in the order of arrival."""
    free, waits = [0.0] * servers, np.empty(len(arrivals))
    for i, (at, length) in enumerate(zip(arrivals.tolist(), services.tolist(), strict=True)):
        start = max(at, free[0])
        waits[i] = start - at
        heapq.heapreplace(free, start + length)
    return waits


def _services(shape: str, cv2: float, rng: np.random.Generator, count: int) -> Floats:
    if shape == "lognormal":
        sigma2 = np.log1p(cv2)
        return np.asarray(rng.lognormal(-sigma2 / 2, np.sqrt(sigma2), count))
    if shape == "gamma":
        return np.asarray(rng.gamma(1 / cv2, cv2, count)) if cv2 > 0 else np.ones(count)
    return draw(rng, cv2, count)


def simulated_rho(servers: int, ratio: float, cv2: float, shape: str, count: int = 400_000) -> float:
    """rho* by simulation with common random numbers, by bisection."""
    rng = np.random.default_rng(11)
    gaps, services = rng.exponential(1.0, count), _services(shape, cv2, rng, count)
    low, high = 0.005, 0.999
    for _ in range(9):
        rho = (low + high) / 2
        waits = simulate(servers, np.cumsum(gaps / (servers * rho)), services)[count // 10 :]
        low, high = (rho, high) if np.quantile(waits, 0.99) <= ratio - 1 else (low, rho)
    return (low + high) / 2


# --- what is shown -----------------------------------------------------------------------------------------


def grid() -> None:
    print("rho* exact, and what is over (+: bold) by SLO/S " + " ".join(f"{r:g}" for r in RATIOS))
    for arrival in (1.0, 2.0, 4.0):
        for service in (1.0, 2.0, 4.0, 8.0):
            worst = [0.0, 0.0]
            for c in SERVERS:
                row = []
                for ratio in RATIOS:
                    exact = exact_rho(c, ratio, service, arrival)
                    off = safe_utilisation(c, 1.0, ratio, service, arrival) - exact
                    worst = [min(worst[0], off), max(worst[1], off)]
                    row.append(f"{exact:.3f}{off:+.3f}")
                print(f"Ca2 {arrival:g} Cs2 {service:g} c {c:>2}: {' '.join(row)}", flush=True)
            print(f"Ca2 {arrival:g} Cs2 {service:g}: {worst[0]:+.4f} to {worst[1]:+.4f}")


def shapes() -> None:
    for shape, variations in (("gamma", (0.0, 0.25, 4.0)), ("lognormal", (0.25, 4.0))):
        for cv2 in variations:
            for c in (1, 4, 16, 64):
                row = [(r, simulated_rho(c, r, cv2, shape)) for r in (2.0, 5.0, 10.0)]
                told = " ".join(f"{r:g}: {s:.3f}{safe_utilisation(c, 1.0, r, cv2) - s:+.3f}" for r, s in row)
                print(f"{shape} Cs2 {cv2:g} c {c:>2}  {told}", flush=True)


def response(count: int = 400_000) -> None:
    print("at rho*: P99 of wait + service over the SLO, and the share of requests beyond the SLO")
    for service in (1.0, 4.0):
        for c in (1, 4, 16, 64):
            row = []
            for ratio in (2.0, 5.0, 10.0, 20.0):
                rng = np.random.default_rng(5)
                rho = safe_utilisation(c, 1.0, ratio, service)
                lengths = draw(rng, service, count)
                waits = simulate(c, np.cumsum(rng.exponential(1.0, count) / (c * rho)), lengths)
                both = (waits + lengths)[count // 10 :]
                row.append(f"{ratio:g}: {np.quantile(both, 0.99) / ratio:.2f} ({np.mean(both > ratio):.3f})")
            print(f"Cs2 {service:g} c {c:>2}  {'  '.join(row)}", flush=True)


def usl(runs: int = 300) -> None:
    levels = np.array([1, 2, 4, 8, 12, 16, 24, 32, 48, 64], dtype=float)
    five = np.array([1, 4, 16, 32, 64], dtype=float)
    print("tests  alpha  beta    peak | intervals hold: gamma alpha beta peak | within 10 %: alpha beta both")
    for n, alpha, beta, times in (
        (levels, 0.05, 0.001, runs), (levels[[0, 2, 3, 5, 6, 7, 8, 9]], 0.05, 0.001, runs),
        (np.repeat(levels, 2), 0.05, 0.001, runs), (levels, 0.1, 0.0002, runs), (levels, 0.02, 0.0005, runs),
        (np.repeat(five, 20), 0.05, 0.001, runs // 3), (np.repeat(levels, 10), 0.05, 0.001, runs // 3),
        (np.repeat(levels, 10), 0.1, 0.002, runs // 3), (np.repeat(levels, 10), 0.02, 0.0005, runs // 3),
    ):  # fmt: skip
        _usl_row(n, alpha, beta, times)


def _usl_row(n: Floats, alpha: float, beta: float, runs: int) -> None:
    truth = (300.0, alpha, beta, usl_peak(alpha, beta))
    held, near = np.zeros(4), np.zeros((runs, 2))
    for seed in range(runs):
        noise = np.exp(np.random.default_rng(seed).normal(0, 0.05, len(n)))
        fit = fit_usl(n, usl_throughput(n, *truth[:3]) * noise)
        sides = (fit.gamma_interval, fit.alpha_interval, fit.beta_interval, fit.peak_interval)
        held += [s is not None and s.low <= v <= s.high for s, v in zip(sides, truth, strict=True)]
        near[seed] = abs(fit.alpha / alpha - 1), abs(fit.beta / beta - 1)
    share, inside = held / runs, near < 0.1
    print(
        f"{len(n):>5} {alpha:>6} {beta:>7} {truth[3]:>5.0f} | {' '.join(f'{s:.2f}' for s in share)} | "
        f"{inside[:, 0].mean():.2f} {inside[:, 1].mean():.2f} {inside.all(axis=1).mean():.2f}",
        flush=True,
    )


def speed(calls: int = 300) -> None:
    rng = np.random.default_rng(0)
    for words, service, arrival in (("general", 3.0, 2.0), ("Poisson", 3.0, 1.0), ("M/M/c", 1.0, 1.0)):
        safe_utilisation.cache_clear()
        safe_utilisation(3, 1.0, 2.0, service, arrival)
        began = time.process_time()
        for _ in range(calls):
            safe_utilisation(int(rng.integers(1, 129)), 1.0, 1 + rng.exponential(4), service, arrival)
        print(f"{words:<8} {(time.process_time() - began) / calls * 1e3:.2f} ms a call (CPU), no call the same")


if __name__ == "__main__":
    for name in sys.argv[1:] or ["grid", "shapes", "response", "usl", "speed"]:
        {"grid": grid, "shapes": shapes, "response": response, "usl": usl, "speed": speed}[name]()
