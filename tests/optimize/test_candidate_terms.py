"""Candidates with more than demand to them: further resources, spot, several types at once, generations, burstable."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from capacity import catalogue
from capacity.config import CandidateConfig, ServiceConfig
from capacity.domain import Candidate, Excuse, InstanceType, Unit
from capacity.optimize.candidates import SpotTerms, Terms, build_candidates, prune_loss, spot_quota_code
from capacity.optimize.candidates._dominance import generation, non_dominated
from capacity.optimize.candidates._offered import offered_of

UNIT = Unit("a", "us-east-1")


def _service(**wanted: object) -> ServiceConfig:
    candidates = CandidateConfig(**wanted)  # type: ignore[arg-type]
    return ServiceConfig(name="a", tier="gold", regions=["us-east-1"], candidates=candidates)


def _kind(name: str, vcpu: int = 2, memory: float = 8.0, **change: object) -> InstanceType:
    kind = InstanceType(name, name.split(".")[0], vcpu, vcpu, memory, 10.0, "x86_64", True, False)
    return replace(kind, **change)  # type: ignore[arg-type]


def _by_vcpu(kind: InstanceType) -> tuple[float, float]:
    return 10.0 * kind.vcpu, 13.0 * kind.vcpu


def _memory(kind: InstanceType) -> dict[str, tuple[float, float]]:
    return {"memory_gib": (kind.memory_gib, kind.memory_gib)}


# --- dominance ---------------------------------------------------------------------------------------------


def _non_dominated(front: list[Candidate], least: int = 1) -> tuple[list[Candidate], list[Excuse]]:
    at, excuses = non_dominated(UNIT, offered_of(front), [], least)
    return [front[i] for i in at], excuses


@st.composite
def fronts(draw: st.DrawFn) -> list[Candidate]:
    out = []
    for i in range(draw(st.integers(2, 5))):
        spot = draw(st.sampled_from([None, 0.02, 0.03, 0.05]))
        out.append(
            Candidate(
                f"m{i}.large", f"m{i}", "x86_64", draw(st.sampled_from([2, 4])), "od", draw(st.integers(5, 12)) / 100,
                float(draw(st.integers(5, 9))), float(draw(st.integers(5, 9))),
                further={"memory_gib": (float(draw(st.integers(1, 4))),) * 2},
                spot_usd_per_hour=spot,
                spot_buffer_frac=draw(st.sampled_from([0.0, 0.25])) if spot else 0.0,
                spot_quota_code=draw(st.sampled_from(["s", "t"])) if spot else "",
            )
        )  # fmt: skip
    return out


def _cheapest(offered: list[Candidate], demand: float, memory: float, least: int) -> float:
    """By trying all counts from 0 to 6 on demand, in one zone: merging types never runs out of counts."""
    counts = np.indices((7,) * len(offered)).reshape(len(offered), -1)
    held = np.array([[c.safe, c.zone_loss, c.further["memory_gib"][0], c.usd_per_hour] for c in offered]).T @ counts
    fits = (held[0] >= demand) & (held[1] >= demand) & (held[2] >= memory) & ((counts >= 1).sum(axis=0) >= least)
    return float(held[3][fits].min()) if fits.any() else math.inf


@settings(max_examples=80, deadline=None)
@given(fronts(), st.integers(5, 14), st.integers(0, 5), st.integers(1, 3))
def test_dominance_keeps_the_optimum_with_memory_and_so_many_types(
    front: list[Candidate], demand: int, memory: int, least: int
) -> None:
    kept, excuses = _non_dominated(front, least)
    assert len(kept) + len(excuses) == len(front)
    assert _cheapest(kept, demand, memory, least) == pytest.approx(_cheapest(front, demand, memory, least))


def test_a_type_stays_for_its_memory_its_spot_price_its_buffer_or_its_spot_class() -> None:
    plain = Candidate("m5.large", "m5", "x86_64", 2, "od", 0.1, 10, 10, further={"memory_gib": (8, 8)},
                      spot_usd_per_hour=0.04, spot_buffer_frac=0.1, spot_quota_code="s")  # fmt: skip
    better = replace(plain, instance_type="m6.large", usd_per_hour=0.09)
    for change in (
        {"further": {"memory_gib": (9.0, 9.0)}},
        {"spot_usd_per_hour": 0.03},
        {"spot_buffer_frac": 0.05},
        {"spot_quota_code": "t"},
    ):
        kept, _ = _non_dominated([replace(plain, **change), better])  # type: ignore[arg-type]
        assert len(kept) == 2, change
    kept, excuses = _non_dominated([plain, better])
    assert [c.instance_type for c in kept] == ["m6.large"]
    assert [e.reason for e in excuses] == ["dominated by m6.large"]
    only_on_demand = replace(plain, spot_usd_per_hour=None, spot_buffer_frac=0.0, spot_quota_code="")
    kept, _ = _non_dominated([only_on_demand, better])
    assert [c.instance_type for c in kept] == ["m6.large"]


def test_where_two_types_must_run_two_must_better_it() -> None:
    types = {k.name: k for k in (_kind("m5.large"), _kind("m6.large"), _kind("m7.large"))}
    prices = {"m5.large": 0.12, "m6.large": 0.11, "m7.large": 0.10}
    kept, _ = build_candidates(UNIT, _service(), types, prices, _by_vcpu, [], Terms(least_types=2))
    assert [c.instance_type for c in kept] == ["m6.large", "m7.large"]
    kept, excuses = build_candidates(UNIT, _service(), types, prices, _by_vcpu, [], Terms(least_types=3))
    assert len(kept) == 3
    assert excuses == ()


# --- the spread --------------------------------------------------------------------------------------------


def test_memory_heavy_needs_keep_memory_heavy_types() -> None:
    known = catalogue.load()
    rows = known.prices[known.prices["product"] == "on_demand"]
    rates = dict(zip(rows["instance_type"], rows["rate"], strict=True))
    lean = Terms(further_of=_memory, rays=({"memory_gib": 0.01},))
    heavy = Terms(further_of=_memory, rays=({"memory_gib": 1.5},))
    service = _service(max_types=6)

    def per_vcpu(terms: Terms) -> list[float]:
        kept, excuses = build_candidates(UNIT, service, known.types, rates, _by_vcpu, [], terms)
        assert len(kept) == 6
        assert len(kept) + len(excuses) == len(known.types)
        assert prune_loss(UNIT, service, known.types, rates, _by_vcpu, kept, terms) < 0.05
        return sorted(c.further["memory_gib"][0] / c.vcpu for c in kept)

    assert per_vcpu(heavy)[3] >= 7.5
    assert per_vcpu(lean)[2] <= 4


def test_the_cheapest_spot_is_kept_as_often_as_it_must_run_beside_itself() -> None:
    types = {f"m{i}.large": _kind(f"m{i}.large", memory=8 + i) for i in range(20)}
    prices = {name: 0.1 + 0.001 * i for i, name in enumerate(types)}
    spot = {name: SpotTerms(0.05 - 0.001 * i, 0.1) for i, name in enumerate(types)}
    terms = Terms(spot=spot, least_types=2)
    kept, _ = build_candidates(UNIT, _service(max_types=5), types, prices, _by_vcpu, [], terms)
    assert {"m19.large", "m18.large"} <= {c.instance_type for c in kept}
    best = next(c for c in kept if c.instance_type == "m19.large")
    assert (best.spot_usd_per_hour, best.spot_buffer_frac) == (pytest.approx(0.031), 0.1)
    assert best.spot_quota_code == "L-34B43A08"


def test_nothing_to_hold_it_with_is_the_excuse() -> None:
    kinds = {k.name: k for k in (_kind("m5.large"), _kind("i4.large", local_ssd_gb=400.0))}
    terms = Terms(nothing_reason=lambda kind: "has no local_ssd_gb to hold what is needed")
    kept, excuses = build_candidates(
        UNIT, _service(), kinds, dict.fromkeys(kinds, 0.1), lambda k: (k.local_ssd_gb, k.local_ssd_gb), [], terms
    )
    assert [c.instance_type for c in kept] == ["i4.large"]
    assert [e.reason for e in excuses] == ["has no local_ssd_gb to hold what is needed"]


# --- generations -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("extra", "kept", "reason"),
    [
        (0.0, ["m5.large", "m6.large", "m7.large"], None),
        (0.025, ["m5.large", "m7.large"], "the newer m7.large is preferred at +2.0% an hour"),
        # m5 gives way to m7, 4.04 % dearer, and not by way of m6 to the sum of two steps.
        (0.03, ["m5.large", "m7.large"], "the newer m7.large is preferred at +2.0% an hour"),
        (0.05, ["m7.large"], "the newer m7.large is preferred at +4.0% an hour"),
    ],
)
def test_newer_generations_go_first_at_a_stated_price(extra: float, kept: list[str], reason: str | None) -> None:
    types = {f"m{g}.large": _kind(f"m{g}.large") for g in (5, 6, 7)}
    prices = {"m5.large": 0.1, "m6.large": 0.102, "m7.large": 0.10404}
    terms = Terms(further_of=lambda kind: {"x": (1.0 + int(kind.name[1]) / 10,) * 2})
    found, excuses = build_candidates(UNIT, _service(prefer_newer_frac=extra), types, prices, _by_vcpu, [], terms)
    assert [c.instance_type for c in found] == kept
    assert (reason is None) == (not excuses)
    assert reason is None or reason in {e.reason for e in excuses}
    running, _ = build_candidates(UNIT, _service(prefer_newer_frac=extra), types, prices, _by_vcpu, ["m5.large"], terms)
    assert "m5.large" in {c.instance_type for c in running}


def test_a_line_is_letters_and_an_architecture() -> None:
    assert generation("c7i-flex") == ("c", 7)
    types = {k.name: k for k in (_kind("m5.large"), _kind("m7g.large", arch="arm64"), _kind("c7.large"))}
    prices = {"m5.large": 0.1, "m7g.large": 0.101, "c7.large": 0.101}
    terms = Terms(further_of=lambda kind: {"x": (len(kind.name), len(kind.name))})
    kept, _ = build_candidates(UNIT, _service(prefer_newer_frac=0.5), types, prices, _by_vcpu, [], terms)
    assert {"m5.large", "m7g.large"} <= {c.instance_type for c in kept}


# --- burstable ---------------------------------------------------------------------------------------------


def test_a_burstable_type_of_unknown_baseline_is_counted_only_where_a_share_is_given() -> None:
    kinds = {"t9.large": _kind("t9.large", burstable=True)}
    prices = {"t9.large": 0.05}
    kept, excuses = build_candidates(UNIT, _service(burstable=True), kinds, prices, _by_vcpu, [])
    assert kept == ()
    assert excuses[0].reason == "burstable, its baseline is not known and burstable_baseline_frac not given"
    kept, _ = build_candidates(UNIT, _service(burstable=True, burstable_baseline_frac=0.3), kinds, prices, _by_vcpu, [])
    assert [c.instance_type for c in kept] == ["t9.large"]
    known = {"t3.large": catalogue.load().types["t3.large"]}
    assert known["t3.large"].baseline_frac == 0.3
    kept, _ = build_candidates(UNIT, _service(burstable=True), known, {"t3.large": 0.08}, _by_vcpu, [])
    assert [c.instance_type for c in kept] == ["t3.large"]


def test_every_burstable_type_of_the_catalogue_has_a_baseline() -> None:
    types = catalogue.load().types.values()
    assert all((t.baseline_frac is not None) == t.burstable for t in types)
    assert all(0 < t.baseline_frac <= 0.4 for t in types if t.baseline_frac is not None)


@pytest.mark.parametrize(
    ("family", "code"),
    [("m7g", "L-34B43A08"), ("t4g.large", "L-34B43A08"), ("g5", "L-3819A6DF"), ("vt1", "L-3819A6DF"),
     ("p4d", "L-7212CCBC"), ("x2gd", "L-E3A00192"), ("f1", "L-88CF9481"), ("inf2", "L-B5D1601B"),
     ("trn1", "L-6B0D517C"), ("dl1", "L-85EED4F7"), ("mac2", "other-spot:mac2")],
)  # fmt: skip
def test_spot_quota_codes(family: str, code: str) -> None:
    assert spot_quota_code(family) == code


def test_a_type_that_is_cheap_under_a_commitment_stays_although_others_better_it_on_demand() -> None:
    known = catalogue.load()
    types, rows = known.types, known.prices[known.prices["product"] == "on_demand"]
    rates = dict(zip(rows["instance_type"], rows["rate"], strict=True))
    one = "c6i.2xlarge"
    plain, excuses = build_candidates(UNIT, _service(max_types=6), types, rates, _by_vcpu, [])
    assert one not in {c.instance_type for c in plain}
    assert next(e.reason for e in excuses if e.instance_type == one).startswith("dominated by")
    rate = {name: 0.3 if name == one else 0.8 for name in rates}
    kept, _ = build_candidates(UNIT, _service(max_types=6), types, rates, _by_vcpu, [], Terms(committed_rate=rate))
    assert one in {c.instance_type for c in kept}
    assert len(kept) == 6
    # One rate for all is no reason to choose another.
    even = Terms(committed_rate=dict.fromkeys(rates, 0.7))
    assert build_candidates(UNIT, _service(max_types=6), types, rates, _by_vcpu, [], even) == (plain, excuses)
