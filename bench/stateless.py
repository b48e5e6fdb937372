"""One stateless service at six sizes: the cheapest plan of one type, and of any types, beside a public planner's.

    python -m bench.stateless [FILE]

FILE is stateless_java.json: the catalogue (366 types), the needs and the single-type plans of service-capacity-modeling
0.3.212 (Apache-2.0), exported from it; where it is absent, nothing is run. Each level is one month of 8,760 hours, so
that the objective is USD a year. Compute is the demand; network and memory are further resources. A solve is given no
gap, so that its plan is proven to be the cheapest; seconds are wall time of both solves, from the file's numbers on.
"""

from __future__ import annotations

import json
import math
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from capacity import optimize
from capacity.domain import Candidate, LoadBlock, MixProblem, MixSolution, Unit, UnitRequirement

FILE = Path(__file__).resolve().parents[1].parent / "shared" / "bench" / "stateless_java.json"
HOURS_PER_YEAR = 8760.0
ZONES = 3
# An answer within this of the peer's single-type cost is the same plan; a mixed one this far above it is dearer.
SAME_FRAC = 1e-4
# Optimal to the cent at every level: a cent of 139,059 USD is 7e-8.
PROVEN_FRAC = 1e-7
TIME_LIMIT_SECONDS = 10.0
# More instances a zone than any level needs of the smallest type.
MOST_PER_ZONE = 1000


@dataclass(frozen=True)
class Level:
    """One size: what was asked, the peer's single-type cost, and ours."""

    requests_per_second: int
    peer_usd: float
    single: MixSolution
    mixed: MixSolution
    seconds: float

    @property
    def single_usd(self) -> float:
        return float(self.single.spend["total_usd"].sum())

    @property
    def mixed_usd(self) -> float:
        return float(self.mixed.spend["total_usd"].sum())

    @property
    def saving_frac(self) -> float:
        return 1.0 - self.mixed_usd / self.peer_usd

    @property
    def holds(self) -> bool:
        """The single-type cost is the peer's, and the mixed one is proven and no dearer."""
        same = abs(self.single_usd / self.peer_usd - 1.0) <= SAME_FRAC
        return same and self.mixed.status.gap <= PROVEN_FRAC and self.mixed_usd <= self.peer_usd * (1.0 + 1e-9)


def candidates(facts: Mapping[str, Any]) -> tuple[Candidate, ...]:
    """Every instance of the file as a candidate: reference cores a type, network and memory beside them."""
    return tuple(
        Candidate(
            instance_type=one["instance_type"],
            family=one["instance_type"].split(".")[0],
            arch="x86_64",
            vcpu=one["vcpu"],
            quota_code=optimize.quota_code(one["instance_type"]),
            usd_per_hour=(one["usd_per_year"] + facts["root_disk_usd_per_year"]) / HOURS_PER_YEAR,
            safe=one["reference_cores"],
            zone_loss=one["reference_cores"],
            further={
                "network_mbps": (one["network_mbps"], one["network_mbps"]),
                "memory_gib": (one["memory_gib"], one["memory_gib"]),
            },
        )
        for one in facts["instances"]
    )


def problem(case: Mapping[str, Any], among: tuple[Candidate, ...]) -> MixProblem:
    """A level as a problem of one unit over three equal zones, none of which is lost (the needs hold that already)."""
    block = LoadBlock(
        "2026-01",
        "b1",
        HOURS_PER_YEAR,
        float(case["needed_reference_cores"]),
        further={"network_mbps": case["needed_network_mbps"], "memory_gib": case["needed_memory_gib"]},
    )
    unit = UnitRequirement(
        Unit("stateless-java", "us-east-1"), "", ZONES, 0, True, 1, MOST_PER_ZONE, (block,), among
    )  # fmt: skip
    return MixProblem(("2026-01",), (HOURS_PER_YEAR,), (unit,), switching_penalty_frac=0.0)


def solve_level(facts: Mapping[str, Any], case: Mapping[str, Any]) -> Level:
    """The cheapest single-type plan and the cheapest plan of all, both solved whole."""
    began = time.perf_counter()
    every = candidates(facts)
    cheapest = min(every, key=lambda c: (_alone_usd_per_hour(c, case), c.instance_type))
    single = optimize.solve(problem(case, (cheapest,)), TIME_LIMIT_SECONDS, PROVEN_FRAC)
    mixed = optimize.solve(problem(case, every), TIME_LIMIT_SECONDS, PROVEN_FRAC)
    seconds = time.perf_counter() - began
    return Level(case["requests_per_second"], case["single_type_usd_per_year"], single, mixed, seconds)


def _alone_usd_per_hour(c: Candidate, case: Mapping[str, Any]) -> float:
    """What the needs cost on this type alone: which one is cheapest needs no solver, only its plan does."""
    loads = [case["needed_reference_cores"] / c.safe]
    loads += [case[f"needed_{name}"] / held for name, (held, _) in c.further.items()]
    per_zone: int = max(math.ceil(load / ZONES - 1e-9) for load in loads)
    return ZONES * per_zone * c.usd_per_hour


def load(path: Path = FILE) -> dict[str, Any]:
    """The file's facts."""
    facts: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return facts


def main(path: Path = FILE) -> int:
    """Print the six levels; 1 where one misses its bar."""
    if not path.is_file():
        print(f"stateless: no facts at {path}; nothing is run")
        return 0
    facts = load(path)
    print(
        f"{'requests/s':>10} {'peer':>11} {'one type':>11} {'mixed':>11} {'saving':>7} {'gap':>8} {'seconds':>7}  plan"
    )
    levels = [solve_level(facts, case) for case in facts["cases"]]
    for one in levels:
        plan = ", ".join(
            f"{n} x {name}" for name, n in one.mixed.provisioned[["instance_type", "instances"]].itertuples(index=False)
        )
        print(
            f"{one.requests_per_second:>10,} {one.peer_usd:>11,.2f} {one.single_usd:>11,.2f} {one.mixed_usd:>11,.2f} "
            f"{one.saving_frac:>7.2%} {one.mixed.status.gap:>8.1e} {one.seconds:>7.2f}  {plan}"
            f"{'' if one.holds else '  MISSES ITS BAR'}"
        )
    return 0 if all(one.holds for one in levels) else 1


if __name__ == "__main__":
    sys.exit(main(*map(Path, sys.argv[1:2])))
