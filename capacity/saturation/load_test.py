"""What a load test says an instance may serve, and how far that may be trusted."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from capacity.domain import Floats, Interval
from capacity.errors import MissingDataError, UsageError
from capacity.saturation.usl import UslFit, fit_usl, usl_throughput

# A measurement is not carried beyond 1.5 times its largest load.
_FARTHEST = 1.5
# A P99 with fewer than ten requests beyond it is hardly known.
_REQUESTS_FOR_P99 = 1000
# Four levels leave one degree of freedom to judge the law by.
_LEVELS_FOR_USL = 4
_CONFIDENCE = 0.8
# 10 % and 90 % points of a normal error.
_Z80 = 1.2816

NOT_REACHED = "the limit was not reached"


@dataclass(frozen=True)
class LoadTested:
    """The safe throughput of one instance from a load test.

    Attributes
    ----------
    safe
        Requests a second that keep the SLO with few errors. The low end was measured to hold (less the scatter of the
        steps), the middle is where P99 meets the SLO between two steps, the high end the first step that broke it, or
        what the law allows where none did.
    usl
        The law fitted to the steps; None where there are too few levels or users are unknown.
    knee
        Concurrency of the largest throughput by the law, per instance; None without a law, infinite where it has none.
    tested_max
        Largest throughput of a tested step, a second and instance.
    limit_reached
        Whether some step broke the SLO or failed too often.
    flags, words
        What weakens it, and what was concluded, one sentence each.
    trust
        How far it may be trusted, in one sentence.
    """

    safe: Interval
    usl: UslFit | None
    knee: float | None
    tested_max: float
    limit_reached: bool
    flags: tuple[str, ...]
    words: tuple[str, ...]
    trust: str
    basis: Literal["load_test"] = "load_test"


@dataclass(frozen=True)
class _Steps:
    """Steps of one instance in the order of their load."""

    users: Floats
    rate: Floats
    p99_ms: Floats
    good: npt.NDArray[np.bool_]
    requests: Floats


def from_load_test(
    steps: pd.DataFrame,
    slo_p99_ms: float,
    instances: int = 1,
    acceptable_error_frac: float = 0.01,
    extrapolate: bool = False,
) -> LoadTested:
    """The largest throughput of an instance whose P99 keeps the SLO and whose error share is acceptable.

    Steps are taken in the order of their load (users, else throughput); those up to the first that breaks the SLO hold.
    Between the last that holds and that one, log P99 is drawn straight over throughput, and the safe throughput is
    where it meets the SLO; where throughput no longer rose, or errors broke it, it is the last step that holds. It is
    never above the largest throughput of the law.

    Where no step breaks it, the largest throughput tested is a lower bound and is taken for safe; the high end is what
    P99 = a + b·x/(X - x) allows, with X the largest throughput of the law and a, b fitted to the steps, at most 1.5
    times the largest tested. With ``extrapolate`` that becomes the middle, and is flagged.

    Parameters
    ----------
    steps
        Rows of :data:`capacity.sources.load_tests.STEP_COLUMNS`; of them throughput, error_frac, p99_ms, concurrency
        and requests are used.
    slo_p99_ms
        The promise on the 99th percentile of the response time, in ms.
    instances
        How many instances shared the load evenly.
    acceptable_error_frac
        A step with a larger share of failed requests does not hold.
    extrapolate
        Whether to go beyond what was tested where the limit was not reached.

    Raises
    ------
    UsageError
        An argument is out of range.
    MissingDataError
        No step with a throughput and a P99.
    """
    if not (slo_p99_ms > 0 and instances >= 1 and 0 <= acceptable_error_frac <= 1):
        raise UsageError(
            f"from_load_test: SLO {slo_p99_ms} ms must be above 0, instances {instances} at least 1, "
            f"acceptable_error_frac {acceptable_error_frac} within 0 to 1"
        )
    told = _told(steps, slo_p99_ms, instances, acceptable_error_frac)
    law = _law(told)
    holds = len(told.rate) if told.good.all() else int(np.argmin(told.good))
    safe, words = _between(told, holds, slo_p99_ms) if holds < len(told.rate) else _open(told, law, slo_p99_ms)
    flags = _flags(told, law, holds)
    if holds == len(told.rate) and extrapolate and safe.high > safe.mid:
        flags.append(f"modelled beyond the largest tested load, by {safe.high / safe.mid - 1:.0%}")
        safe = Interval(safe.low, safe.high, safe.high, safe.confidence)
    safe = _below_knee(safe, law, told.users[max(holds - 1, 0) : holds + 1], words)
    reached = holds < len(told.rate)
    return LoadTested(
        safe, law, None if law is None else law.peak, float(told.rate.max()), reached, tuple(flags), tuple(words),
        _trust(safe, reached, told, bool(flags)),
    )  # fmt: skip


def _told(steps: pd.DataFrame, slo: float, instances: int, acceptable: float) -> _Steps:
    served = steps["throughput"].astype(float) > 0
    measured = np.isfinite(steps["p99_ms"].astype(float)) & served
    if not measured.any():
        raise MissingDataError("from_load_test: no step has a throughput and a P99; check the load test's files")
    # A step in which nothing was served has no latency to tell: it is the heaviest evidence that there is.
    known = steps[measured | ~served].assign(collapsed=~served)
    if known["concurrency"].notna().all():
        known = known.sort_values(["concurrency", "throughput"], kind="stable")
    else:
        known = known.sort_values(["collapsed", "throughput"], kind="stable")
    p99 = np.where(known["collapsed"], math.inf, known["p99_ms"].to_numpy(dtype=float))
    good = (p99 <= slo) & (known["error_frac"].to_numpy(dtype=float) <= acceptable)
    users, rate = (known[c].to_numpy(dtype=float) / instances for c in ("concurrency", "throughput"))
    return _Steps(users, rate, p99, good, known["requests"].to_numpy(dtype=float))


def _law(told: _Steps) -> UslFit | None:
    usable = np.isfinite(told.users) & (told.users >= 1) & (told.rate > 0)
    if len(np.unique(told.users[usable])) < _LEVELS_FOR_USL:
        return None
    return fit_usl(told.users[usable], told.rate[usable], _CONFIDENCE)


def _between(told: _Steps, holds: int, slo: float) -> tuple[Interval, list[str]]:
    """``holds`` is the position of the first step that does not hold."""
    bad, p99 = float(told.rate[holds]), float(told.p99_ms[holds])
    if holds == 0:
        return Interval(0.0, 0.0, bad, _CONFIDENCE), ["even the lightest step breaks the SLO"]
    best = int(np.argmax(told.rate[:holds]))
    good, below = float(told.rate[best]), float(told.p99_ms[best])
    words = [f"holds at {good:,.4g}/s with a P99 of {below:,.4g} ms, breaks in the step at {bad:,.4g}/s"]
    if bad <= good or p99 <= slo:
        return Interval(good, good, good, _CONFIDENCE), words
    part = math.log(slo / below) / math.log(p99 / below) if p99 > below > 0 else 0.0
    return Interval(good, good + min(max(part, 0.0), 1.0) * (bad - good), bad, _CONFIDENCE), words


def _open(told: _Steps, law: UslFit | None, slo: float) -> tuple[Interval, list[str]]:
    top = float(told.rate.max())
    words = [f"no step breaks the SLO: {NOT_REACHED}, at least {top:,.4g}/s hold"]
    return Interval(top, top, max(top, _modelled(told, law, slo)), _CONFIDENCE), words


def _modelled(told: _Steps, law: UslFit | None, slo: float) -> float:
    """Largest throughput that P99 = a + b·x/(X - x) allows, at most 1.5 times the largest tested; 0 without a law."""
    if law is None:
        return 0.0
    from scipy.optimize import nnls

    most = max(_most(law), float(told.rate.max()) * 1.001)
    if math.isinf(most):
        return 0.0
    load = told.rate / (most - told.rate)
    a, b = nnls(np.column_stack([np.ones_like(load), load]) / told.p99_ms[:, None], np.ones_like(load))[0]
    farthest = _FARTHEST * float(told.rate.max())
    if b <= 0:
        return min(farthest, most)
    spare = max(slo - a, 0.0) / b
    return float(min(farthest, most * spare / (1.0 + spare)))


def _most(law: UslFit) -> float:
    """Largest throughput of the law, at its peak; its limit γ/α where it has none."""
    if math.isfinite(law.peak):
        return usl_throughput(law.peak, law.gamma, law.alpha, law.beta)
    return law.gamma / law.alpha if law.alpha > 0 else math.inf


def _below_knee(safe: Interval, law: UslFit | None, around: Floats, words: list[str]) -> Interval:
    """``around``: users of the last step that holds and of the first that does not."""
    scatter = law.spread_frac * _Z80 if law is not None and math.isfinite(law.spread_frac) else 0.0
    low, mid, high = safe.low * math.exp(-scatter), safe.mid, safe.high
    most = math.inf if law is None else _most(law)
    if law is not None and len(around) == 2 and around[0] < law.peak < around[1]:
        high = max(high, most)  # throughput rises to the knee between the two, and falls again
    if mid > most:
        words.append(f"bounded by the knee of the law: {most:,.4g}/s at a concurrency of {law.peak if law else 0:.3g}")
        mid = most
    return Interval(min(low, mid), mid, max(min(high, most), mid), safe.confidence)


def _flags(told: _Steps, law: UslFit | None, holds: int) -> list[str]:
    reached = holds < len(told.rate)
    last = told.requests[max(holds - 1, 0)]
    found = [
        (not reached, NOT_REACHED),
        (reached and holds == 0, "no step holds: test lighter loads"),
        (bool((told.rate <= 0).any()), "a step in which nothing was served counts as one that does not hold"),
        (bool(told.good[holds:].any()), "a heavier step holds again: the steps are not steady"),
        (0 < last < _REQUESTS_FOR_P99, f"the P99 of the last step that holds rests on {last:,.0f} requests"),
        (law is None, f"fewer than {_LEVELS_FOR_USL} levels of users: no scalability law"),
        (law is not None and math.isinf(law.peak), "throughput shows no knee within what was tested"),
    ]
    return [text for holds_true, text in found if holds_true]


def _trust(safe: Interval, reached: bool, told: _Steps, flagged: bool) -> str:
    top = float(told.rate.max())
    if not reached:
        return f"measured up to {top:,.4g}/s; beyond is untested, and nothing is said beyond {_FARTHEST * top:,.4g}/s"
    if safe.mid <= 0:
        return "not to be used: no load was tested that holds"
    width = (safe.high - safe.low) / safe.mid
    how = "closely" if width <= 0.1 else "roughly" if width <= 0.3 else "coarsely"
    steps = f"{len(told.rate)} steps bracket it {how} ({safe.low:,.4g} to {safe.high:,.4g}/s)"
    return f"{steps}; {'see its flags' if flagged else 'for the requests, data and version that were tested'}"
