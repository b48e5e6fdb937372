"""Small random problems with every family: the direct model's optimum is the best of all plans."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pytest
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from capacity.domain import (
    Candidate,
    CapacityReservation,
    LoadBlock,
    MixProblem,
    Offer,
    Quota,
    Unit,
    UnitRequirement,
)
from capacity.optimize._fleet import fleet_of
from capacity.optimize._highs import matrix_of
from capacity.optimize.model import build_model
from tests.optimize.direct import cheapest_of_all, solve_direct
from tests.optimize.makers import ACCOUNT, HOURS, MONTHS, REGION, STANDARD

SPOT_CODE = "L-34B43A08"


@st.composite
def candidates(draw: st.DrawFn, count: int) -> tuple[Candidate, ...]:
    out = []
    for k in range(count):
        safe = draw(st.integers(1, 4))
        spot = draw(st.sampled_from([None, 0.2, 0.5]))
        usd = draw(st.integers(1, 9)) / 10
        memory = (float(draw(st.integers(0, 4))), float(draw(st.integers(0, 4))))
        out.append(
            Candidate(
                f"m{k}.large", f"m{k}", "x86_64", draw(st.sampled_from([1, 2])), STANDARD, usd, float(safe),
                float(safe + draw(st.integers(0, safe))), further={"memory": memory},
                spot_usd_per_hour=None if spot is None else usd * spot,
                spot_buffer_frac=draw(st.sampled_from([0.0, 0.25, 0.5])), spot_quota_code=SPOT_CODE,
            )
        )  # fmt: skip
    return tuple(out)


@st.composite
def requirement(draw: st.DrawFn, name: str, kinds: tuple[Candidate, ...], blocks: int) -> UnitRequirement:
    zones = draw(st.sampled_from([1, 2]))
    further = draw(st.booleans())
    made = tuple(
        LoadBlock(
            MONTHS[0], f"b{k + 1}", HOURS[0] * (0.25, 0.75)[k] if blocks == 2 else HOURS[0],
            float(draw(st.integers(0, 6))), {"memory": float(draw(st.integers(0, 6)))} if further else {},
            float(draw(st.sampled_from([0, 0, 5]))),
        )
        for k in range(blocks)
    )  # fmt: skip
    return UnitRequirement(
        Unit(name, REGION), ACCOUNT, zones, draw(st.integers(0, zones - 1)), draw(st.booleans()),
        draw(st.integers(0, 1)), draw(st.integers(3, 7)), made, kinds,
        running=draw(st.sampled_from([{}, {("m0.large", "a"): 3}])),
        spot_max_frac=draw(st.sampled_from([0.0, 0.5, 1.0])), spot_least_types=draw(st.integers(1, 2)),
        least_types=draw(st.integers(1, 2)),
    )  # fmt: skip


@st.composite
def problems(draw: st.DrawFn) -> MixProblem:
    units, types, blocks = draw(st.sampled_from([(1, 2, 2), (2, 2, 1), (1, 3, 1), (1, 2, 1)]))
    kinds = draw(candidates(types))
    made = tuple(draw(requirement(f"u{s}", kinds, blocks)) for s in range(units))
    quotas = [
        Quota(ACCOUNT, REGION, code, "vCPU", float(draw(st.integers(2, 14))), 0.0)
        for code in (STANDARD, SPOT_CODE)
        if draw(st.booleans())
    ]
    offer = draw(st.sampled_from(["", "standard_ri", "ec2_instance_sp", "compute_sp"]))
    scope = {"": "", "standard_ri": "m0.large", "ec2_instance_sp": "m0", "compute_sp": ""}[offer]
    rate = {c.instance_type: draw(st.sampled_from([0.4, 0.7, 0.9])) for c in kinds}
    region = "" if offer == "compute_sp" else REGION
    offers = [Offer("o", offer, 1, "no_upfront", scope, region, "", rate)] if offer else []  # type: ignore[arg-type]
    held = [
        CapacityReservation("cr", ACCOUNT, REGION, "", "m0.large", count, datetime(2025, 1, 1, tzinfo=UTC))
        for count in draw(st.lists(st.integers(1, 3), max_size=1))
    ]
    penalty = draw(st.sampled_from([0.0, 0.1]))
    if (units, blocks) != (1, 1):  # trying everything takes too long where nothing may be left out
        held = [] if offers else held
        penalty = 0.0 if offers or held else penalty
    return MixProblem(
        MONTHS[:1], HOURS[:1], made, quotas=tuple(quotas), offers=tuple(offers), reservations=tuple(held),
        switching_penalty_frac=penalty,
    )  # fmt: skip


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(problems())
def test_the_optimum_is_the_best_of_all_plans(p: MixProblem) -> None:
    best, plan = cheapest_of_all(p), solve_direct(p)
    event("a plan exists" if best is not None else "no plan exists")
    if best is None or plan is None:
        assert plan is None, f"a plan of {plan.cost} where there is none"
        assert best is None, f"no plan, where {best} is to be had"
        return
    assert plan.optimum == pytest.approx(best, rel=1e-6, abs=1e-6)
    # What is billed is what was promised: the provider's order is the best order with one offer.
    assert plan.cost == pytest.approx(best, rel=1e-6, abs=1e-6)
    assert min(plan.check(p).values()) >= -1e-6


@settings(max_examples=40, deadline=None)
@given(problems())
def test_every_whole_variable_is_bounded_and_right_hand_sides_are_near_one(p: MixProblem) -> None:
    model = build_model(fleet_of(p))
    matrix = matrix_of(model.lp)
    assert all(v.upBound is not None for v in matrix.variables if v.cat == "Integer")
    counts = {"minimum", "maximum"}
    for name, low, high in zip(matrix.row_names, matrix.row_lower, matrix.row_upper, strict=True):
        sides = {abs(float(x)) for x in (low, high) if np.isfinite(x)}
        assert sides <= {0.0, 1.0} or model.rows[name].family in counts, name
