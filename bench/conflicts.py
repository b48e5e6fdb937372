"""``python -m bench.conflicts [SEED ...]``: seeded conflicts of many kinds, alone and among 200 services.

For each: seconds until the minimal conflict is named, whether it is named right (each requirement, and no other), and
seconds until the smallest relaxation is found and applied, with its points beside what any relaxation counts at least.
Then one quota that all 200 services share, a vCPU and a tenth too small; and what it takes to say why: prices of
requirements, the choice of a type and three alternatives on the same fleet.
"""

from __future__ import annotations

import sys
import time
from dataclasses import replace

from capacity.domain import MixProblem
from capacity.optimize import solve, why
from capacity.optimize.explain import explain_infeasible, smallest_relaxation
from tests.optimize.conflict_makers import KINDS, Conflict, inside, large_fleet, seeded

BAR_SECONDS = 5.0


def main() -> int:
    seeds = [int(x) for x in sys.argv[1:]] or [1]
    fleet = large_fleet()
    slowest, wrong = 0.0, 0
    print(
        f"{'conflict':<30}{'seed':>5}{'where':>8}{'named s':>9}{'right':>7}{'relaxed s':>11}{'points':>9}{'least':>9}"
    )
    for kind in KINDS:
        for seed in seeds:
            conflict = seeded(kind, seed)
            for where, problem in (("alone", conflict.problem), ("in 200", inside(conflict, fleet))):
                seconds, right = _row(kind, seed, where, problem, conflict)
                slowest, wrong = max(slowest, seconds), wrong + (not right)
    for share in (1.0, 0.9):
        slowest = max(slowest, _shared_quota(fleet, share))
    kept = slowest <= BAR_SECONDS and not wrong
    print(f"slowest {slowest:.2f} s of {BAR_SECONDS:g} s, {wrong} named wrong: {'kept' if kept else 'MISSED'}")
    _why(fleet)
    return 0 if kept else 1


def _row(kind: str, seed: int, where: str, problem: MixProblem, conflict: Conflict) -> tuple[float, bool]:
    began = time.perf_counter()
    named = explain_infeasible(problem)
    between = time.perf_counter()
    relaxed = smallest_relaxation(problem)
    done = time.perf_counter()
    right = named_right(named, conflict)
    print(
        f"{kind:<30}{seed:>5}{where:>8}{between - began:>9.2f}{'yes' if right else 'NO':>7}{done - between:>11.2f}"
        f"{relaxed.points:>9.1f}{relaxed.least_points:>9.1f}",
        flush=True,
    )
    if not right:
        print("\n".join(f"    {line}" for line in named[:6]))
    return max(between - began, done - between), right


def _shared_quota(fleet: MixProblem, share: float) -> float:
    """The quota of all services at a share of what they need, less a vCPU."""
    empty = replace(fleet, quotas=(replace(fleet.quotas[0], limit=0.0),))
    needed = float(explain_infeasible(empty)[0].split("allowed, ")[1].split(" needed")[0])
    limit = float(int(needed * share) - 1)
    problem = replace(fleet, quotas=(replace(fleet.quotas[0], limit=limit),))
    began = time.perf_counter()
    named = explain_infeasible(problem)
    between = time.perf_counter()
    relaxed = smallest_relaxation(problem)
    done = time.perf_counter()
    print(
        f"{f'one quota, {limit:g} of {needed:g}':<30}{'':>5}{'all 200':>8}{between - began:>9.2f}{len(named):>7}"
        f"{done - between:>11.2f}{relaxed.points:>9.2f}{relaxed.least_points:>9.2f}",
        flush=True,
    )
    return max(between - began, done - between)


def _why(fleet: MixProblem) -> None:
    solution = solve(fleet, 60.0, 0.005)
    print(f"\nwhy, on a plan of 200 services (gap {solution.status.gap:.2%}, {solution.status.runtime_seconds:.1f} s)")
    began = time.perf_counter()
    headroom = {r.unit: 0.25 for r in fleet.requirements}
    found = why.prices(fleet, solution, headroom_frac=headroom, time_limit_seconds=60.0)
    print(f"prices: {len(found.tried)} of {len(found.tried) + len(found.not_tried)} in {_since(began)}")
    for price in found.tried[:4]:
        print(f"    {price.words}")
    began = time.perf_counter()
    chosen = why.type_choice(fleet, solution, fleet.requirements[0].unit)
    print(f"choice of a type: {_since(began)}\n    {chosen.words[0]}")
    began = time.perf_counter()
    others = why.alternatives(fleet, solution, time_limit_seconds=90.0)
    print(f"alternatives: {len(others.plans)} in {_since(began)}")
    print("\n".join(f"    {line}" for line in others.words))


def _since(began: float) -> str:
    return f"{time.perf_counter() - began:.1f} s"


def named_right(named: tuple[str, ...], conflict: Conflict) -> bool:
    """Each requirement by a line of its own, and nothing else."""
    pieces = [piece for piece, _ in conflict.parts]
    return len(named) == len(pieces) and all(any(piece in line for line in named) for piece in pieces)


if __name__ == "__main__":
    sys.exit(main())
