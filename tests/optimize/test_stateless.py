"""The six sizes of a stateless service, beside a public planner's single-type plans and an independent bound.

Costs of the single-type plans are facts of service-capacity-modeling 0.3.212 (Apache-2.0), model
org.netflix.stateless-java, us-east-1, exported 2026-11-24 as stateless_java.json; the mixes were proven by this test's
own dynamic programme to .2 % and by the solver to the cent.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bench import stateless

# requests/s -> USD a year of (its single type, the cheapest mix)
COSTS = {
    1_000: (932.01, 932.01),
    10_000: (2_206.47, 2_206.47),
    50_000: (8_718.12, 8_686.65),
    100_000: (16_574.01, 16_130.31),
    500_000: (72_813.51, 71_452.65),
    1_000_000: (139_059.00, 138_986.76),
}
# Cores of a cell of the dynamic programme: small enough that rounding up costs .2 %, large enough for a second a level.
GRID_CELLS = 20_000


@pytest.fixture(scope="module")
def facts() -> Mapping[str, Any]:
    if not stateless.FILE.is_file():
        pytest.skip(f"the exported facts are not at {stateless.FILE}")
    return stateless.load()


@pytest.mark.shared
def test_the_facts_are_those_that_the_bars_speak_of(facts: Mapping[str, Any]) -> None:
    assert {c["requests_per_second"]: c["single_type_usd_per_year"] for c in facts["cases"]} == {
        size: single for size, (single, _) in COSTS.items()
    }
    assert len(facts["instances"]) == 366


@pytest.mark.shared
@pytest.mark.parametrize("size", COSTS)
def test_one_type_costs_what_the_peers_does_and_a_mix_is_proven_and_no_dearer(
    facts: Mapping[str, Any], size: int
) -> None:
    case = next(c for c in facts["cases"] if c["requests_per_second"] == size)
    found = stateless.solve_level(facts, case)
    single, mixed = COSTS[size]
    assert found.single_usd == pytest.approx(single, rel=1e-4)
    assert found.single.provisioned["instance_type"].nunique() == 1
    assert found.mixed_usd == pytest.approx(mixed, abs=0.005)
    assert found.mixed.status.status == "optimal"
    assert found.mixed.status.gap <= stateless.PROVEN_FRAC
    assert found.holds
    if size == 100_000:
        assert found.saving_frac >= 0.026
    bound = _cheapest_cores(facts, case["needed_reference_cores"])
    assert bound <= found.mixed_usd * (1 + 1e-9)
    assert found.mixed_usd <= bound * 1.002
    for plan in (found.single, found.mixed):
        _assert_serves(facts, case, dict(plan.provisioned[["instance_type", "instances"]].itertuples(index=False)))


def _cheapest_cores(facts: Mapping[str, Any], needed: float) -> float:
    """USD a year that no plan is below: cores alone, three zones alike, every type's cores rounded up to the grid."""
    per_zone = needed / stateless.ZONES
    cell = per_zone / GRID_CELLS
    cores = np.array([i["reference_cores"] for i in facts["instances"]])
    usd = np.array([i["usd_per_year"] + facts["root_disk_usd_per_year"] for i in facts["instances"]])
    width = np.ceil(cores / cell - 1e-9).astype(int)
    least = np.zeros(GRID_CELLS + 1)
    for j in range(1, GRID_CELLS + 1):
        least[j] = (least[np.maximum(j - width, 0)] + usd).min()
    return float(stateless.ZONES * least[-1])


def _assert_serves(facts: Mapping[str, Any], case: Mapping[str, Any], plan: Mapping[str, int]) -> None:
    of = {i["instance_type"]: i for i in facts["instances"]}
    for resource in ("reference_cores", "network_mbps", "memory_gib"):
        held = sum(n * of[name][resource] for name, n in plan.items())
        assert held >= case[f"needed_{resource}"] * (1 - 1e-9), resource
    assert all(n % stateless.ZONES == 0 for n in plan.values())


SMALL_FACTS: Mapping[str, Any] = {
    "root_disk_usd_per_year": 12.0,
    "instances": [
        {"instance_type": "c7a.large", "vcpu": 2, "reference_cores": 4.0, "network_mbps": 100.0, "memory_gib": 4.0,
         "usd_per_year": 288.0},
        {"instance_type": "r7a.large", "vcpu": 2, "reference_cores": 3.0, "network_mbps": 100.0, "memory_gib": 16.0,
         "usd_per_year": 388.0},
    ],
}  # fmt: skip


def _small_case(cores: float, network: float, memory: float, peer: float) -> dict[str, float]:
    return {
        "requests_per_second": 1, "needed_reference_cores": cores, "needed_network_mbps": network,
        "needed_memory_gib": memory, "single_type_usd_per_year": peer,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("cores", "network", "memory", "single", "mixed"),
    [
        (24.0, 1.0, 1.0, 1800.0, 1800.0),  # compute: six c7a at 300
        (1.0, 1000.0, 1.0, 3600.0, 3600.0),  # network: ten instances, twelve in three zones
        (1.0, 1.0, 40.0, 1200.0, 1200.0),  # memory: three r7a at 400 hold 48
        (21.0, 1.0, 60.0, 3600.0, 2100.0),  # both: three of each; alone nine r7a, or fifteen c7a
    ],
)
def test_every_resource_binds_in_its_turn(
    cores: float, network: float, memory: float, single: float, mixed: float
) -> None:
    found = stateless.solve_level(SMALL_FACTS, _small_case(cores, network, memory, single))
    assert found.single_usd == pytest.approx(single)
    assert found.mixed_usd == pytest.approx(mixed)
    assert found.holds


def test_a_level_that_misses_its_bar_says_so() -> None:
    case = _small_case(24.0, 1.0, 1.0, 1800.0)
    assert stateless.solve_level(SMALL_FACTS, case).holds
    assert not stateless.solve_level(SMALL_FACTS, case | {"single_type_usd_per_year": 1790.0}).holds


def test_without_the_file_nothing_is_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert stateless.main(tmp_path / "none.json") == 0
    assert "nothing is run" in capsys.readouterr().out
