"""The least vCPU by arithmetic is what the solver finds, wherever the arithmetic tells."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from capacity.optimize._fleet import Fleet, fleet_of
from capacity.optimize.explain._groups import SHARED
from capacity.optimize.explain._least import least_vcpu
from capacity.optimize.explain._probe import Probe, part_of
from tests.optimize.makers import candidate, problem, quota, unit

LIMIT = quota(1000.0)
TYPES = (
    candidate("a1.large", 0.1, 10.0, 2, 16.0),
    candidate("a1.xlarge", 0.2, 21.0, 4, 33.0),
    candidate("b1.2xlarge", 0.4, 46.0, 8, 55.0),
    candidate("c1.3xlarge", 0.5, 61.0, 12, 99.0),
)


def fleet(demand: float, memory: float, types: list[int], survived: int, least: int, most: int, kinds: int) -> Fleet:
    offered = [replace(TYPES[i], further={"memory": (4.0 * (i + 1), 5.0 * (i + 1))}) for i in types]
    r = unit("u", [demand, 0.4 * demand], offered, survived=survived, least=least, most=most)
    blocks = tuple(replace(b, further={"memory": memory} if memory else {}) for b in r.blocks)
    return fleet_of(problem(replace(r, blocks=blocks, least_types=kinds), quotas=[LIMIT]))


@settings(max_examples=150)
@given(
    st.just(0.0) | st.floats(0.5, 600.0), st.sampled_from([0.0, 40.0, 150.0]),
    st.lists(st.integers(0, 3), min_size=1, max_size=4, unique=True),
    st.integers(0, 1), st.integers(0, 3), st.integers(3, 20), st.integers(1, 2), st.data(),
)  # fmt: skip
def test_what_is_told_is_what_the_solver_finds(
    demand: float,
    memory: float,
    types: list[int],
    survived: int,
    least: int,
    most: int,
    kinds: int,
    data: st.DataObject,
) -> None:
    part = part_of(fleet(demand, memory, types, survived, least, most, kinds), [0], [0], [LIMIT])
    probe = Probe(part)
    groups = [g for g in probe.groups() if g[0] not in SHARED]
    kept = [g for g in groups if data.draw(st.booleans())]
    row = next(g for g in probe.groups() if g[0] == "quota")
    for asked in (groups, kept):
        told = least_vcpu(part, LIMIT, asked)
        if told is not None:
            assert told == pytest.approx(probe.least_use(row, asked), abs=1e-5)


def test_several_types_do_with_less_than_one() -> None:
    part = part_of(fleet(31.0 * 3, 0.0, [0, 1], 0, 0, 50, 1), [0], [0], [LIMIT])
    asked = [g for g in Probe(part).groups() if g[0] not in SHARED]
    assert least_vcpu(part, LIMIT, asked) == 3 * (2 + 4)
    assert least_vcpu(part, LIMIT, []) == 0.0


def test_what_arithmetic_cannot_know_is_left_to_the_solver() -> None:
    f = fleet(90.0, 0.0, [0, 1], 1, 0, 50, 1)
    (r,) = f.requirements
    uncounted = replace(r, candidates=(*r.candidates, candidate("g1.large", 1.0, 10.0, code="L-OTHER")))
    spot = replace(r, spot_max_frac=0.5, candidates=tuple(replace(c, spot_usd_per_hour=0.01) for c in r.candidates))
    for other in (uncounted, spot, replace(r, vertical=True), replace(r, pinned={("2026-01", "a1.large"): 2})):
        changed = fleet_of(replace(f.problem, requirements=(other,)))
        assert least_vcpu(changed, LIMIT, [("demand", str(r.unit), 0, 0, "")]) is None
