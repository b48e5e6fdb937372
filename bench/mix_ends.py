"""``python -m bench.mix_ends [SERVICES ...]``: by how much solves pass their time limit.

Fleets of 3 to 200 services (``bench.mix``) with quotas from loose to impossible, each solved with limits of .5 to 10 s,
as they are and with at most two types a service. A solve may end 2 s after its limit, 1 s later where its plan is
rounded or made by arithmetic. Wall seconds past the limit grow with what else the machine does; the CPU seconds that
the call still used once its limit had passed are what it would be late on a machine of its own.
"""

from __future__ import annotations

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import math
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from statistics import median
from typing import Any

from bench.mix import STANDARD, Shape, fleet
from capacity.domain import MixProblem
from capacity.errors import InfeasiblePlanError, PlanError

SERVICES = (3, 20, 60, 200)
LIMITS = (0.5, 1.0, 3.0, 10.0)
# In multiples of the fewest vCPU of one type a service; "short": with other quotas' types away, and not enough.
QUOTAS = {"loose": 3.0, "tight": 1.02, "short": 0.7}
BAR_SECONDS, BY_ARITHMETIC_SECONDS = 2.0, 3.0


@dataclass(frozen=True)
class End:
    """One call: its limit, wall and CPU seconds past it (this process's: the solver's is another), how it ended."""

    case: str
    limit: float
    over: float
    cpu: float
    words: str
    bar: float


class _Clock:
    """Wall seconds; remembers the CPU seconds of the first look after the limit."""

    def __init__(self, limit: float) -> None:
        self.at, self.cpu = time.perf_counter() + limit, math.inf

    def __call__(self) -> float:
        now = time.perf_counter()
        if now >= self.at and self.cpu == math.inf:
            self.cpu = time.process_time()
        return now


def main(wanted: Sequence[str]) -> None:
    sizes = [int(w) for w in wanted] or list(SERVICES)
    print(f"ends: at most {BAR_SECONDS:g} s past the limit, {BY_ARITHMETIC_SECONDS:g} s where made by arithmetic")
    print(f"{'fleet':<22} {'limit s':>7} {'past s':>7} {'CPU':>6}  ended")
    ends = []
    for end in _ends(sizes):
        ends.append(end)
        late = "  LATE" if end.over > end.bar else ""
        print(f"{end.case:<22} {end.limit:>7g} {end.over:>7.2f} {end.cpu:>6.2f}  {end.words}{late}", flush=True)
    worst = max(ends, key=lambda e: e.over - e.bar)
    cpu = max(ends, key=lambda e: e.cpu - e.bar)
    kept = _kept(worst.over <= worst.bar)
    print(f"worst: {worst.over:.2f} s past {worst.limit:g} s ({worst.case}, bar {worst.bar:g} s)  {kept}")
    print(f"worst of CPU: {cpu.cpu:.2f} s past {cpu.limit:g} s ({cpu.case})  {_kept(cpu.cpu <= cpu.bar)}")
    late = [e for e in ends if e.over > 0]
    walls, cpus = median([e.over for e in late] or [0.0]), median([e.cpu for e in late] or [0.0])
    reached = f"{len(late)} of {len(ends)} that reached their limit"
    print(f"medians of the {reached}: {walls:.2f} s, {cpus:.2f} s of CPU past it")


def _kept(kept: bool) -> str:
    return "kept" if kept else "MISSED"


def _ends(sizes: Sequence[int]) -> Iterator[End]:
    from capacity.optimize import solve, solve_few_types

    ways: dict[str, Callable[..., Any]] = {
        "": solve,
        ", 2 types": lambda p, **limits: solve_few_types(p, 2, **limits),
    }
    for services in sizes:
        for name, times in QUOTAS.items():
            problem = fleet(Shape(services=services, quota_times=times, seed=services))
            problem = _only_standard(problem) if name == "short" else problem
            for words, way in ways.items():
                for limit in LIMITS:
                    yield _end(f"{services} {name}{words}", way, problem, limit)


def _only_standard(problem: MixProblem) -> MixProblem:
    """Without the types of other quotas: what lacks cannot be had elsewhere."""
    units = (
        replace(r, candidates=tuple(c for c in r.candidates if c.quota_code == STANDARD)) for r in problem.requirements
    )
    return replace(problem, requirements=tuple(units), commitments=(), committed_rate={})


def _end(case: str, way: Callable[..., Any], problem: MixProblem, limit: float) -> End:
    clock, bar = _Clock(limit), BAR_SECONDS
    try:
        found = way(problem, time_limit_seconds=limit, clock=clock)
        words = f"{found.status.status}, gap {found.status.gap:.2%}, {found.status.termination}"
        if any("no search ended with a plan" in note for note in found.notes):
            bar, words = BY_ARITHMETIC_SECONDS, f"{words}, by arithmetic"
    except InfeasiblePlanError as error:
        words = f"no plan exists ({len(error.conflicts)} lines)"
    except PlanError as error:
        words = f"{type(error).__name__}: {str(error)[:60]}"
    return End(case, limit, time.perf_counter() - clock.at, max(time.process_time() - clock.cpu, 0.0), words, bar)


if __name__ == "__main__":
    main(sys.argv[1:])
