"""Candidates found on arrays are those found one by one: the same types, the same excuses, the same loss."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from capacity import catalogue
from capacity.config import CandidateConfig, ServiceConfig
from capacity.domain import InstanceType, Unit
from capacity.optimize.candidates import SpotTerms, Terms, build_candidates, choose_candidates, prune_loss
from capacity.optimize.candidates._kinds import kinds_of
from tests.optimize import candidates_one_by_one as slow

UNIT = Unit("a", "us-east-1")


@cache
def _catalogue() -> tuple[dict[str, InstanceType], dict[str, float]]:
    known = catalogue.load()
    rows = known.prices[known.prices["product"] == "on_demand"]
    return dict(known.types), dict(zip(rows["instance_type"], rows["rate"], strict=True))


@dataclass(frozen=True)
class Case:
    """A part of the catalogue with prices, and a unit that asks for some of it."""

    service: ServiceConfig
    types: dict[str, InstanceType]
    prices: dict[str, float]
    capacity: dict[str, tuple[float, float]]
    runs: list[str]
    terms: Terms

    def capacity_of(self, kind: InstanceType) -> tuple[float, float]:
        return self.capacity[kind.name]


@st.composite
def cases(draw: st.DrawFn) -> Case:
    """Coarse prices and capacities make equals, a few types of one family and many of all make both long fronts."""
    everything, rates = _catalogue()
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    families = sorted({k.family for k in everything.values()})
    some = set(rng.choice(families, draw(st.integers(1, 12)), replace=False))
    types = {name: kind for name, kind in everything.items() if kind.family in some}
    decimals = draw(st.sampled_from([1, 6]))
    prices = {name: round(rates[name], decimals) for name in types if name in rates and rng.random() > 0.03}
    per_gib = draw(st.sampled_from([0.0, 0.3, 2.0]))
    capacity = {
        name: tuple(round(k.vcpu * share * rng.choice([1.0, 1.1]), decimals) for share in (0.6 * (k.cores > 1), 0.8))
        for name, k in types.items()
    }
    wanted = {
        "max_types": draw(st.integers(1, 20)),
        "burstable": draw(st.booleans()),
        "current_generation_only": draw(st.booleans()),
        "prefer_newer_frac": draw(st.sampled_from([0.0, 0.0, 0.05, 0.3])),
        "min_memory_gib_per_vcpu": draw(st.sampled_from([0.0, 4.0])),
        "architectures": draw(st.sampled_from([["x86_64"], ["x86_64", "arm64"]])),
        "deny_families": sorted(rng.choice(families, 10)) if draw(st.booleans()) else [],
        "allow_families": [*some, "m5.metal"] if draw(st.booleans()) else None,
    }
    spot = {name: SpotTerms(prices[name] * float(rng.uniform(0.2, 0.6)), 0.1) for name in prices if rng.random() < 0.7}
    further = draw(st.booleans())
    return Case(
        service=ServiceConfig(
            name="a", tier="gold", regions=["us-east-1"], max_instances_per_zone=draw(st.sampled_from([2, 40, 400])),
            candidates=CandidateConfig.model_validate(wanted),
        ),
        types=types,
        prices=prices,
        capacity=capacity,
        runs=sorted({*rng.choice(sorted(types), draw(st.integers(0, 3))), *draw(st.sampled_from([[], ["x9.large"]]))}),
        terms=Terms(
            further_of=(lambda k: {"memory_gib": (k.memory_gib, 0.9 * k.memory_gib)}) if further else lambda k: {},
            rays=({"memory_gib": per_gib}, {"memory_gib": 3 * per_gib}) if further and per_gib else (),
            spot=spot if draw(st.booleans()) else {},
            least_types=draw(st.integers(1, 3)),
        ),
    )  # fmt: skip


@given(cases())
def test_the_same_candidates_excuses_and_loss_as_one_by_one(case: Case) -> None:
    asked = (UNIT, case.service, case.types, case.prices, case.capacity_of, case.runs, case.terms)
    kept, excuses = slow.candidates(*asked)
    loss = slow.loss(case.service, case.types, case.prices, case.capacity_of, kept, case.terms)
    assert build_candidates(*asked) == (kept, excuses)
    found = choose_candidates(*asked)
    assert (found.candidates, found.excuses) == (kept, excuses)
    assert found.prune_loss_frac == pytest.approx(loss, abs=1e-12)
    assert prune_loss(*asked[:5], kept, case.terms) == found.prune_loss_frac


def test_the_whole_catalogue_as_one_by_one() -> None:
    types, prices = _catalogue()
    service = ServiceConfig(name="a", tier="gold", regions=["us-east-1"])
    asked = (UNIT, service, types, prices, lambda k: (6.0 * k.vcpu, 8.0 * k.vcpu), ["m5.large", "t3.large"], Terms())
    assert build_candidates(*asked) == slow.candidates(*asked)


def test_a_catalogue_is_made_into_arrays_once_and_another_one_anew() -> None:
    types, _ = _catalogue()
    first = kinds_of(types)
    assert kinds_of(dict(types)) is first
    fewer = {name: kind for name, kind in types.items() if name != first.names[0]}
    assert kinds_of(fewer).names == first.names[1:]
    assert kinds_of({"renamed": types[first.names[0]]}).names == ("renamed",)
