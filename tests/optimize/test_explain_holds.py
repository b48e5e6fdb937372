"""What holds a plan in place, on plans that are written by hand: spot, types, further resources, a lost region."""

from __future__ import annotations

from dataclasses import replace

import pandas as pd

from capacity.domain import MixProblem, MixSolution, SolveStatus
from capacity.optimize import binding
from tests.optimize.makers import LARGE, SMALL, problem, quota, unit

SPOT = "L-34B43A08"
ON_SPOT = [replace(c, spot_usd_per_hour=0.04, spot_buffer_frac=0.5, spot_quota_code=SPOT) for c in (SMALL, LARGE)]


def _plan(p: MixProblem, rows: list[tuple[str, str, str, int]], reserved_unused: float = 0.0) -> MixSolution:
    """(unit, purchase, type, per zone) in every block of the only month."""
    running, provisioned = [], []
    for r in p.requirements:
        vcpu = {c.instance_type: c.vcpu for c in r.candidates}
        for name, purchase, kind, n in rows:
            if name == r.unit.service:
                provisioned.append((str(r.unit), "2026-01", purchase, kind, n, n * r.zones, n * r.zones * vcpu[kind]))
                running += [(str(r.unit), "2026-01", b.block, purchase, kind, n) for b in r.blocks]
    columns = ["unit", "month", "purchase", "instance_type", "per_zone", "instances", "vcpu"]
    return MixSolution(
        SolveStatus("optimal", "by hand", 0.0, 0.0, 0.0, 0.0, "none"),
        pd.DataFrame(provisioned, columns=columns),
        pd.DataFrame(running, columns=["unit", "month", "block", "purchase", "instance_type", "per_zone"]),
        pd.DataFrame(columns=["id", "paid_usd", "unused_usd"]),
        pd.DataFrame([("2026-01", "(reservations unused)", reserved_unused)], columns=["month", "unit", "total_usd"]),
        (),
    )


def _said(p: MixProblem, rows: list[tuple[str, str, str, int]]) -> tuple[str, ...]:
    return binding(p, _plan(p, rows))


def _one(**fields: object) -> MixProblem:
    return problem(replace(unit("a", [90.0], ON_SPOT), **fields))  # type: ignore[arg-type]


def test_the_share_of_spot_is_said_to_be_full() -> None:
    # Two SMALL on spot a zone are relied on for 30 of 90; one more would be 45, more than half.
    said = _said(_one(spot_max_frac=0.4), [("a", "on_demand", "m5.large", 2), ("a", "spot", "m5.large", 2)])
    assert "a/us-east-1: spot serves all it may (40% of the demand) in 2026-01 b1" in said
    said = _said(_one(spot_max_frac=0.9), [("a", "on_demand", "m5.large", 2), ("a", "spot", "m5.large", 2)])
    assert not any("spot serves all it may" in line for line in said)


def test_spot_counts_for_what_it_is_relied_on_for() -> None:
    said = _said(_one(spot_max_frac=1.0), [("a", "on_demand", "m5.large", 2), ("a", "spot", "m5.large", 2)])
    # 3 zones x 10 x (2 + .5 x 2) = 90: nothing to spare.
    assert (
        "a/us-east-1: demand within the SLO (0.0% to spare) decides the count in its 744 busiest hours of 2026-01 (b1)"
        in said
    )


def test_the_least_number_of_types_is_said_to_bind() -> None:
    rows = [("a", "on_demand", "m5.large", 1), ("a", "on_demand", "m5.xlarge", 1), ("a", "spot", "m5.large", 1)]
    said = _said(_one(least_types=2), rows)
    assert "a/us-east-1: its least number of types, 2, is just kept in 1 of 1 load blocks" in said
    spread = [("a", "on_demand", "m5.large", 2), ("a", "spot", "m5.large", 1), ("a", "spot", "m5.xlarge", 1)]
    said = _said(_one(spot_max_frac=1.0, spot_least_types=2), spread)
    assert "a/us-east-1: spot runs on its least number of types, 2, in 2026-01 b1" in said


def test_the_tightest_of_all_loads_decides() -> None:
    held = [replace(c, further={"memory_gib": (8.0 * c.vcpu, 10.0 * c.vcpu)}) for c in (SMALL, LARGE)]
    r = unit("a", [60.0, 20.0], held)
    blocks = tuple(replace(b, further={"memory_gib": 100.0}) for b in r.blocks)
    p = problem(replace(r, blocks=blocks))
    said = _said(p, [("a", "on_demand", "m5.large", 3)])
    # 3 zones x 3 x 16 GiB = 144; with a zone lost 2 x 3 x 20 = 120 of 100.
    where = "decides the count in 372 hours of 2026-01 (b2)"
    assert f"a/us-east-1: memory_gib when losing 1 of 3 zones (20.0% to spare) {where}" in said
    blocks = tuple(replace(b, region_loss_demand=130.0) for b in r.blocks)
    said = _said(problem(replace(r, blocks=blocks)), [("a", "on_demand", "m5.large", 3)])
    assert (
        "a/us-east-1: taking over from a lost region (3.8% to spare) decides the count in 372 hours of 2026-01 (b2)"
        in said
    )


def test_spot_has_a_quota_of_its_own() -> None:
    p = replace(_one(spot_max_frac=1.0), quotas=(quota(100.0), quota(14.0, code=SPOT)))
    said = _said(p, [("a", "on_demand", "m5.large", 2), ("a", "spot", "m5.large", 2)])
    quotas = [line for line in said if line.startswith("quota")]
    assert quotas == [
        f"quota {SPOT} in us-east-1 of account 1111: 14 vCPU allowed, 12 used: "
        "no room for one instance more in every zone in 2026-01"
    ]


def test_reservations_that_idle_are_said() -> None:
    p = _one()
    assert "reservations: 120 USD of what is held is not used" in binding(
        p, _plan(p, [("a", "on_demand", "m5.large", 3)], 120.0)
    )
