"""Candidates: a stated reason for everything kept out, exact dominance, and a spread whose loss is stated."""

from __future__ import annotations

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from capacity import catalogue
from capacity.config import CandidateConfig, ServiceConfig
from capacity.domain import InstanceType, Unit
from capacity.errors import InfeasiblePlanError
from capacity.optimize import build_candidates, prune_loss, quota_code, solve
from tests.optimize.makers import problem, unit

UNIT = Unit("a", "us-east-1")


def _service(most_per_zone: int = 200, **wanted: object) -> ServiceConfig:
    return ServiceConfig(
        name="a",
        tier="gold",
        regions=["us-east-1"],
        max_instances_per_zone=most_per_zone,
        candidates=CandidateConfig(**wanted),  # type: ignore[arg-type]
    )


def _kind(name: str, vcpu: int = 2, **change: object) -> InstanceType:
    figures: dict[str, object] = {
        "name": name, "family": name.split(".")[0], "vcpu": vcpu, "cores": vcpu, "memory_gib": 4.0 * vcpu,
        "network_gbps": 10.0, "arch": "x86_64", "current_generation": True, "burstable": False,
    }  # fmt: skip
    return InstanceType(**{**figures, **change})  # type: ignore[arg-type]


def _by_vcpu(kind: InstanceType) -> tuple[float, float]:
    return 10.0 * kind.vcpu, 13.0 * kind.vcpu


@pytest.fixture(scope="module")
def rates() -> dict[str, float]:
    prices = catalogue.load().prices
    rows = prices[prices["product"] == "on_demand"]
    return dict(zip(rows["instance_type"], rows["rate"], strict=True))


def test_every_type_of_the_catalogue_is_kept_or_has_a_reason(rates: dict[str, float]) -> None:
    types = catalogue.load().types
    running = ["m7i.large", "t3.large", "nowhere.large"]
    kept, excuses = build_candidates(UNIT, _service(max_types=12), types, rates, _by_vcpu, running)
    allowed = {c.instance_type for c in kept if c.allowed}
    named = {e.instance_type for e in excuses}
    assert allowed | named == set(types) | {"nowhere.large"}
    assert not allowed & named
    assert all(e.reason and len(e.reason) < 90 and e.unit == UNIT for e in excuses)
    assert len(named) == len(excuses)
    assert 12 <= len(allowed) <= 13
    # What runs stays: within policy as a choice, against policy as a price only, with the reason.
    assert "m7i.large" in allowed
    assert {c.instance_type for c in kept} - allowed == {"t3.large"}
    assert next(e.reason for e in excuses if e.instance_type == "t3.large") == "burstable"


@pytest.mark.parametrize(
    ("kind", "wanted", "reason"),
    [
        (_kind("m7g.large", arch="arm64"), {"architectures": ["x86_64"]}, "architecture arm64 is not asked for"),
        (_kind("m5.large"), {"allow_families": ["c5"]}, "not in allow_families"),
        (_kind("m5.large"), {"deny_families": ["m5"]}, "in deny_families"),
        (_kind("t3.large", burstable=True), {}, "burstable"),
        (_kind("m5.metal", bare_metal=True), {"allow_families": ["m5"]}, "bare metal, and not named in allow_families"),
        (
            _kind("g5.large", special="1 × NVIDIA A10G"),
            {},
            "made for special work (1 × NVIDIA A10G), and not named in allow_families",
        ),
        (_kind("m4.large", current_generation=False), {}, "previous generation"),
        (_kind("m5.large", 2), {"min_vcpu": 4}, "2 vCPU, fewer than 4"),
        (_kind("m5.large", 8), {"max_vcpu": 4}, "8 vCPU, more than 4"),
        (_kind("c5.large", memory_gib=4.0), {"min_memory_gib_per_vcpu": 4.0}, "2 GiB per vCPU, too little"),
        (_kind("m6.large"), {}, "no known on-demand rate in this region"),
        (_kind("m5.small", vcpu=2, cores=0), {}, "serves nothing within the SLO"),
    ],
)
def test_each_requirement_keeps_out_by_name(kind: InstanceType, wanted: dict[str, object], reason: str) -> None:
    prices = {} if kind.name == "m6.large" else {kind.name: 0.1}
    kept, excuses = build_candidates(
        UNIT, _service(**wanted), {kind.name: kind}, prices, lambda k: (float(k.cores), float(k.cores)), []
    )
    assert kept == ()
    assert [e.reason for e in excuses] == [reason]


@pytest.mark.parametrize(("wanted", "running"), [({"allow_families": ["g5"]}, []), ({}, ["g5.large"])])
def test_a_type_for_special_work_is_allowed_where_it_is_named_or_runs(
    wanted: dict[str, object], running: list[str]
) -> None:
    kind = _kind("g5.large", special="1 × NVIDIA A10G")
    kept, _ = build_candidates(UNIT, _service(**wanted), {kind.name: kind}, {kind.name: 1.0}, _by_vcpu, running)
    assert [c.instance_type for c in kept if c.allowed] == ["g5.large"]


def test_a_type_named_whole_is_allowed_even_on_bare_metal() -> None:
    kind = _kind("m5.metal", bare_metal=True)
    kept, _ = build_candidates(
        UNIT, _service(allow_families=["m5.metal"]), {kind.name: kind}, {kind.name: 4.0}, _by_vcpu, []
    )
    assert [c.instance_type for c in kept] == ["m5.metal"]


def test_dominance_looks_only_inside_a_quota_class() -> None:
    types = {k.name: k for k in (_kind("m5.large"), _kind("g5.large"), _kind("m6.large"))}
    prices = {"m5.large": 0.10, "g5.large": 0.30, "m6.large": 0.11}
    kept, excuses = build_candidates(UNIT, _service(), types, prices, _by_vcpu, [])
    assert [c.instance_type for c in kept] == ["g5.large", "m5.large"]
    assert [(e.instance_type, e.reason) for e in excuses] == [("m6.large", "dominated by m5.large")]


def test_of_equals_one_stays() -> None:
    types = {k.name: k for k in (_kind("m5.large"), _kind("m6.large"), _kind("m7.large"))}
    kept, excuses = build_candidates(UNIT, _service(), types, dict.fromkeys(types, 0.1), _by_vcpu, [])
    assert [c.instance_type for c in kept] == ["m5.large"]
    assert {e.reason for e in excuses} == {"dominated by m5.large"}


@st.composite
def markets(draw: st.DrawFn) -> tuple[dict[str, InstanceType], dict[str, float], dict[str, tuple[float, float]]]:
    types, prices, capacity = {}, {}, {}
    for i in range(draw(st.integers(2, 6))):
        kind = _kind(f"m{i}.large", draw(st.sampled_from([2, 4])))
        types[kind.name] = kind
        prices[kind.name] = draw(st.integers(5, 20)) / 100
        safe = float(draw(st.integers(5, 15)))
        capacity[kind.name] = (safe, safe * draw(st.sampled_from([1.0, 1.5])))
    return types, prices, capacity


@given(markets(), st.integers(10, 120), st.integers(1, 4))
def test_dominance_never_removes_the_optimum(
    market: tuple[dict[str, InstanceType], dict[str, float], dict[str, tuple[float, float]]], demand: int, most: int
) -> None:
    types, prices, capacity = market

    def capacity_of(kind: InstanceType) -> tuple[float, float]:
        return capacity[kind.name]

    kept, excuses = build_candidates(UNIT, _service(max_types=64), types, prices, capacity_of, [])
    everything, _ = build_candidates(UNIT, _service(max_types=64), types, prices, capacity_of, list(types))
    assert len(everything) == len(types)
    assume(excuses)
    costs = []
    for offered in (kept, everything):
        try:
            costs.append(solve(problem(unit("a", [demand], offered, most=most)), gap_frac=0.0).status.objective)
        except InfeasiblePlanError:
            costs.append(None)
    assert costs[0] == pytest.approx(costs[1])


@pytest.mark.parametrize("most_per_zone", [2, 200])
def test_the_loss_by_pruning_is_measured_and_falls(rates: dict[str, float], most_per_zone: int) -> None:
    types = catalogue.load().types

    def capacity_of(kind: InstanceType) -> tuple[float, float]:
        return kind.cores * 10.0, kind.cores * 13.0

    losses = []
    for max_types in (1, 4, 12):
        service = _service(most_per_zone, max_types=max_types)
        kept, _ = build_candidates(UNIT, service, types, rates, capacity_of, [])
        assert len(kept) == max_types
        losses.append(prune_loss(UNIT, service, types, rates, capacity_of, kept))
    assert losses == sorted(losses, reverse=True)
    assert losses[0] > 0.05
    assert losses[-1] < 0.01


def test_small_and_large_sizes_are_kept(rates: dict[str, float]) -> None:
    def capacity_of(kind: InstanceType) -> tuple[float, float]:
        return kind.cores * 10.0, kind.cores * 13.0

    kept, _ = build_candidates(UNIT, _service(3, max_types=8), catalogue.load().types, rates, capacity_of, [])
    sizes = [c.vcpu for c in kept]
    assert min(sizes) == 2
    assert max(sizes) == 96


@pytest.mark.parametrize(
    ("family", "code"),
    [
        *(
            (f, "L-1216C47A")
            for f in ("a1", "c7g", "d3", "h1", "i4i", "im4gn", "is4gen", "m7i-flex", "r8g", "t4g", "z1d")
        ),
        *((f, "L-DB2E81BA") for f in ("g5", "gr6", "vt1")),
        ("p5", "L-417A185B"),
        ("x2gd", "L-7295265B"),
        ("f1", "L-74FC7D96"),
        ("inf2", "L-1945791B"),
        ("trn1n", "L-2C3B7624"),
        ("dl1", "L-6E869C2A"),
        ("hpc7g", "L-F7808C92"),
        ("u-6tb1", "L-43DA4232"),
        ("u7i-12tb", "L-43DA4232"),
        ("mac2", "other:mac2"),
        ("m7g.large", "L-1216C47A"),
    ],
)
def test_quota_codes(family: str, code: str) -> None:
    assert quota_code(family) == code


def test_capacity_is_asked_only_of_what_may_serve() -> None:
    asked: list[str] = []

    def capacity_of(kind: InstanceType) -> tuple[float, float]:
        asked.append(kind.name)
        return 1.0, 1.0

    types = {k.name: k for k in (_kind("m5.large"), _kind("t3.large", burstable=True))}
    build_candidates(UNIT, _service(), types, dict.fromkeys(types, 0.1), capacity_of, [])
    assert asked == ["m5.large"]
