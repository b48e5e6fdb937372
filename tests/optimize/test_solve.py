"""The solver: equal to trying everything, honest about how it ended, the same for the same input."""

from __future__ import annotations

import math
import random
from dataclasses import replace
from importlib import import_module

import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from capacity.domain import Candidate, LoadBlock, MixProblem, Unit, UnitRequirement
from capacity.errors import InfeasiblePlanError, MissingDataError, NoPlanInTimeError, UsageError
from capacity.optimize import price_running, solve
from tests.optimize.makers import (
    ARM,
    HOURS,
    LARGE,
    MONTHS,
    SMALL,
    candidate,
    cheapest_by_trying,
    commitment,
    number_of_tries,
    problem,
    quota,
    unit,
)


@st.composite
def candidates(draw: st.DrawFn) -> tuple[Candidate, ...]:
    out = []
    for name in draw(st.permutations(["a1.large", "a1.xlarge", "b2.large"]))[: draw(st.integers(1, 3))]:
        price = draw(st.integers(3, 30)) / 100
        safe = float(draw(st.integers(4, 25)))
        out.append(
            candidate(name, price, safe, draw(st.sampled_from([1, 2, 4])), safe * draw(st.sampled_from([1, 1.4, 1.7])))
        )
    return tuple(out)


@st.composite
def small_problems(draw: st.DrawFn) -> MixProblem:
    blocks = draw(st.integers(1, 2))
    prices: dict[str, Candidate] = {}
    requirements = []
    for s in range(draw(st.integers(1, 3))):
        # One price a type in a region, as a rate card has it.
        offered = tuple(prices.setdefault(c.instance_type, c) for c in draw(candidates()))
        runs = {(offered[0].instance_type, "a"): draw(st.integers(0, 4))}
        requirements.append(
            unit(
                f"s{s}",
                [draw(st.integers(0, 90)) for _ in range(blocks)],
                offered,
                zones=draw(st.sampled_from([2, 3])),
                survived=draw(st.integers(0, 1)),
                autoscaled=draw(st.booleans()),
                least=draw(st.integers(0, 2)),
                most=draw(st.integers(2, 6)),
                running=runs,
                shares=[0.3, 0.7][:blocks] if blocks == 2 else None,
            )
        )
    owned, rates = [], {}
    if draw(st.booleans()):
        owned.append(commitment("csp", "compute_sp", hourly=draw(st.integers(1, 40)) / 100))
        rates["csp"] = 0.7
    if draw(st.booleans()):
        owned.append(commitment("esp", "ec2_instance_sp", "a1", hourly=draw(st.integers(1, 40)) / 100))
        rates["esp"] = 0.6
    if draw(st.booleans()):
        owned.append(commitment("ri", "standard_ri", "a1.large", hourly=0.2, count=draw(st.integers(1, 5))))
    quotas = [quota(float(draw(st.integers(4, 60))))] if draw(st.booleans()) else []
    # What commitments pay for may stay at no cost and save its penalty, which trying minimal covers would miss.
    penalty = 0.0 if owned else draw(st.sampled_from([0.0, 0.02]))
    return problem(*requirements, commitments=owned, rates=rates, quotas=quotas, penalty=penalty)


@given(small_problems())
def test_equals_trying_everything(p: MixProblem) -> None:
    assume(number_of_tries(p) <= 4000)
    best = cheapest_by_trying(p)
    if best is None:
        with pytest.raises(InfeasiblePlanError) as error:
            solve(p, gap_frac=0.0)
        assert error.value.conflicts
        return
    solution = solve(p, gap_frac=0.0)
    assert solution.status.objective == pytest.approx(best, rel=1e-6, abs=1e-6)
    assert solution.status.bound <= solution.status.objective
    assert solution.status.bound == pytest.approx(best, rel=1e-6, abs=1e-6)
    assert solution.status.status == "optimal"
    if not p.switching_penalty_frac:
        assert not _superfluous(p, solution.running)


def _superfluous(p: MixProblem, running: pd.DataFrame) -> list[str]:
    """Where an instance can be taken away and all of its unit's requirements still hold."""
    counts = running.set_index(["unit", "block", "instance_type"])["per_zone"].to_dict()
    out = []
    for r in p.requirements:
        blocks = [[b] for b in r.blocks] if r.autoscaled else [list(r.blocks)]
        for together in blocks:
            own = [counts.get((str(r.unit), together[0].block, c.instance_type), 0) for c in r.candidates]
            for i, n in enumerate(own):
                fewer = [*own[:i], n - 1, *own[i + 1 :]]
                normal = r.zones * sum(k * c.safe for k, c in zip(fewer, r.candidates, strict=True))
                lost = (r.zones - r.zones_survived) * sum(
                    k * c.zone_loss for k, c in zip(fewer, r.candidates, strict=True)
                )
                need = max(b.demand for b in together)
                if n and normal >= need and (lost >= need or not r.zones_survived) and sum(fewer) >= r.min_per_zone:
                    out.append(f"{r.unit} {together[0].block} {r.candidates[i].instance_type}")
    return out


def big_problem(units: int, months: int = 3, tight: bool = False) -> MixProblem:
    """Units whose whole-instance choices are awkward, coupled by commitments and a quota."""
    rng = np.random.default_rng(7)
    names = tuple(f"2026-{m + 1:02d}" for m in range(months))
    requirements = []
    for s in range(units):
        scale = rng.uniform(0.8, 1.3)
        offered = tuple(
            candidate(f"{family}.{2**k}xlarge", price * 2**k, per_vcpu * scale * 4 * 2**k, 4 * 2**k)
            for family, price, per_vcpu in (("m5", 0.19, 10.0), ("m7g", 0.165, 9.3), ("c6i", 0.17, 9.7))
            for k in range(4)
        )
        level = float(np.exp(rng.normal(5.5, 1)))
        runs = {(offered[int(rng.integers(12))].instance_type, z): int(rng.integers(1, 4)) for z in "abc"}
        requirements.append(
            unit(
                f"s{s:03d}", [level * f for f in (1.0, 0.7, 0.5, 0.35)], offered, months=names,
                month_hours=[720.0] * months, shares=[0.1, 0.2, 0.3, 0.4], autoscaled=bool(s % 3),
                most=200, running=runs,
            )
        )  # fmt: skip
    owned = [
        commitment("csp", "compute_sp", hourly=0.4 * units),
        commitment("esp", "ec2_instance_sp", "m5", hourly=0.1 * units),
        commitment("ri", "standard_ri", "c6i.2xlarge", hourly=0.5, count=3),
    ]
    needed = sum(
        max(b.demand for b in r.blocks) / (2 * max(c.zone_loss / c.vcpu for c in r.candidates)) * 3
        for r in requirements
    )
    return problem(
        *requirements, months=names, hours=[720.0] * months, commitments=owned, rates={"csp": 0.7, "esp": 0.6},
        quotas=[quota(needed * (1.32 if tight else 2.0))], penalty=0.02,
    )  # fmt: skip


def test_reaches_the_gap_with_a_true_bound() -> None:
    solution = solve(big_problem(8), time_limit_seconds=60, gap_frac=0.005)
    status = solution.status
    assert status.status == "optimal"
    assert status.bound <= status.objective
    assert status.gap == pytest.approx((status.objective - status.bound) / status.objective)
    assert status.gap <= 0.005


def test_a_time_limit_is_never_called_optimal() -> None:
    status = solve(big_problem(10, tight=True), time_limit_seconds=0.4, gap_frac=0.0).status
    assert status.status == "feasible"
    assert "time limit" in status.termination
    assert status.gap > 0
    assert status.bound < status.objective


def test_a_plan_at_hand_when_time_is_up_is_shown_with_its_gap() -> None:
    p = big_problem(12, tight=True)
    status = solve(p, time_limit_seconds=1e-3, gap_frac=0.0).status
    assert status.status == "feasible"
    assert "time limit" in status.termination
    assert 0 < status.gap < 1


def test_no_plan_in_time_is_said_and_not_called_infeasible(monkeypatch: pytest.MonkeyPatch) -> None:
    # Half of the units must take one class and half the other: the start, all alike, breaks a quota either way.
    gpu = "L-DB2E81BA"
    offered = [
        candidate(f"{family}.{k}xlarge", usd * k, 9.7 * k, 2 * k, code=code)
        for family, usd, code in (("m5", 0.1, SMALL.quota_code), ("g5", 0.9, gpu))
        for k in (1, 2, 3, 5)
    ]
    units = [unit(f"s{s:02d}", [95.0 + s, 61, 33, 12], offered, months=MONTHS) for s in range(40)]
    # A unit's load takes 4 or 5 of the smallest in each zone, 24 or 30 vCPU: all of them more than 960.
    halves = [quota(680.0), quota(680.0, code=gpu)]
    p = problem(*units, months=MONTHS, quotas=halves)
    assert solve(p, time_limit_seconds=60, gap_frac=0.05).status.status == "optimal"
    # With no time at all there is one by arithmetic; only where that fails too there is none.
    quick = solve(p, time_limit_seconds=1e-3, gap_frac=0.0)
    assert quick.status.status == "feasible"
    assert 0 < quick.status.gap < 1
    assert any("no search ended with a plan" in note for note in quick.notes)
    monkeypatch.setattr(import_module("capacity.optimize._find"), "quick_plan", lambda *_: None)
    with pytest.raises(NoPlanInTimeError, match="not known"):
        solve(p, time_limit_seconds=1e-3, gap_frac=0.0)


def test_same_input_same_plan_whatever_its_order() -> None:
    p = big_problem(4)
    first = solve(p, gap_frac=0.001)
    shuffled = random.Random(3)

    def mixed(items: tuple[object, ...]) -> tuple[object, ...]:
        return tuple(shuffled.sample(items, len(items)))

    requirements = [
        replace(
            r,
            candidates=mixed(r.candidates),
            blocks=mixed(r.blocks),
            running=dict(reversed(list(r.running.items()))),
        )
        for r in p.requirements
    ]
    other = replace(p, requirements=mixed(tuple(requirements)), commitments=mixed(p.commitments))
    second = solve(other, gap_frac=0.001)
    for name in ("provisioned", "running", "commitment_use", "spend"):
        pd.testing.assert_frame_equal(getattr(first, name), getattr(second, name))
    assert first.status.objective == second.status.objective
    assert first.status.bound == second.status.bound


def test_cbc_finds_the_same_plan_and_claims_no_more_than_is_proven() -> None:
    p = problem(unit("a", [70, 31]), unit("b", [55, 20], autoscaled=False))
    with_highs, with_cbc = solve(p, gap_frac=0.0), solve(p, gap_frac=0.0, solver="cbc")
    assert with_cbc.status.objective == pytest.approx(with_highs.status.objective)
    assert with_cbc.status.bound <= with_cbc.status.objective
    assert with_cbc.status.solver == "cbc"
    assert (with_cbc.status.status == "optimal") == (with_cbc.status.gap <= 1e-9)


def test_a_vertical_unit_keeps_its_count_and_chooses_one_type() -> None:
    db = [
        candidate("r6i.xlarge", 0.25, 30.0),
        candidate("r6i.2xlarge", 0.5, 60.0),
        candidate("r7g.2xlarge", 0.43, 55.0),
    ]
    p = problem(unit("db", [150], db, vertical=True, running={("r6i.2xlarge", "a"): 2, ("r6i.2xlarge", "b"): 1}))
    plan = solve(p).provisioned
    assert plan[["instance_type", "per_zone", "instances"]].to_numpy().tolist() == [["r7g.2xlarge", 1, 3]]


def test_pinned_months_are_kept_and_others_are_free() -> None:
    pinned = {(MONTHS[0], "m5.large"): 4}
    p = problem(unit("a", [60], months=MONTHS, pinned=pinned, autoscaled=False), months=MONTHS)
    plan = solve(p).provisioned.set_index("month")
    assert plan.loc[MONTHS[0], "instance_type"] == "m5.large"
    assert plan.loc[MONTHS[0], "per_zone"] == 4
    free = solve(problem(unit("a", [60], months=MONTHS, autoscaled=False), months=MONTHS)).provisioned.set_index(
        "month"
    )
    assert plan.loc[MONTHS[1], "instance_type"] == free.loc[MONTHS[1], "instance_type"]


def test_a_pinned_autoscaled_unit_still_follows_the_load() -> None:
    p = problem(unit("a", [90, 20], pinned={(MONTHS[0], "m5.large"): 5}))
    running = solve(p).running.set_index("block")["per_zone"]
    assert running["b1"] == 3
    assert running["b2"] == 1


def test_switching_penalty_keeps_what_runs_unless_leaving_pays() -> None:
    near, cheap = candidate("n2.large", 0.099, 10.0), candidate("n3.large", 0.05, 10.0)
    runs = {("m5.large", z): 2 for z in "abc"}
    stays = solve(problem(unit("a", [60], [SMALL, near], autoscaled=False, running=runs), penalty=0.02))
    assert set(stays.provisioned["instance_type"]) == {"m5.large"}
    leaves = solve(problem(unit("a", [60], [SMALL, cheap], autoscaled=False, running=runs), penalty=0.02))
    assert set(leaves.provisioned["instance_type"]) == {"n3.large"}
    # What is said to be the penalty is in the objective and not in the spend.
    penalty = 0.02 * 0.10 * HOURS[0] * 6
    assert leaves.status.objective - leaves.spend["total_usd"].sum() == pytest.approx(penalty)
    assert f"{penalty:,.2f} USD that is not spend" in leaves.notes[0]


def test_a_type_against_policy_is_priced_but_never_planned() -> None:
    barred = replace(ARM, usd_per_hour=0.001, allowed=False)
    p = problem(unit("a", [60], [SMALL, LARGE, barred], running={("m7g.large", "a"): 3}))
    solution = solve(p)
    assert "m7g.large" not in set(solution.provisioned["instance_type"])
    assert price_running(p)["total_usd"].sum() == pytest.approx(3 * 0.001 * HOURS[0])
    assert any("against its policy" in note for note in solution.notes)


def test_the_price_of_what_runs_is_refused_where_a_rate_is_missing() -> None:
    with pytest.raises(MissingDataError, match=r"a/us-east-1 runs x9\.large"):
        price_running(problem(unit("a", [60], running={("x9.large", "a"): 3})))


def test_a_unit_may_end_before_the_others() -> None:
    late = unit("late", [60], months=MONTHS)
    early = unit("early", [60], months=MONTHS[:1])
    solution = solve(problem(late, early, months=MONTHS))
    assert set(solution.provisioned.query("service == 'early'")["month"]) == {MONTHS[0]}
    spent = solution.spend.set_index(["unit", "month"])["total_usd"]
    assert spent["early/us-east-1", MONTHS[1]] == 0
    assert spent["late/us-east-1", MONTHS[1]] > 0


def test_no_unit_leaves_the_commitments_to_pay() -> None:
    owned = commitment("csp", "compute_sp", hourly=2.0)
    solution = solve(problem(commitments=[owned], rates={"csp": 0.7}))
    assert solution.status.status == "optimal"
    assert solution.status.objective == pytest.approx(2.0 * HOURS[0])
    assert solution.spend["unit"].tolist() == ["(commitments unused)"]


def test_a_quieter_hour_costs_less_when_it_autoscales() -> None:
    still, moving = (solve(problem(unit("a", [90, 20], autoscaled=a))).spend["total_usd"].sum() for a in (False, True))
    assert moving < still


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"blocks": (LoadBlock(MONTHS[0], "b1", 744.0, math.nan),)}, "demand nan"),
        ({"blocks": (LoadBlock(MONTHS[0], "b1", 800.0, 1.0),)}, "hold 800 hours, the month 744"),
        ({"blocks": (LoadBlock("2027-01", "b1", 744.0, 1.0),)}, "2027-01, a month that is not planned"),
        ({"candidates": (SMALL, SMALL)}, "m5.large: given twice"),
        ({"candidates": (replace(SMALL, usd_per_hour=-1.0),)}, "must be finite and 0 or more"),
        ({"zones": 0}, "zones 0"),
        ({"running": {("m5.large", "a"): -1}}, "whole numbers"),
    ],
)
def test_figures_that_cannot_be_meant_are_named(change: dict[str, object], text: str) -> None:
    requirement: UnitRequirement = replace(unit("a", [60]), **change)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match=text):
        solve(problem(requirement))


def test_a_unit_given_twice_is_named() -> None:
    with pytest.raises(UsageError, match="a/us-east-1: given twice"):
        solve(problem(unit("a", [60]), unit("a", [60])))


def test_units_are_told_by_name_not_by_place() -> None:
    solution = solve(problem(unit("b", [60]), unit("a", [10])))
    assert solution.spend["unit"].tolist()[:2] == [str(Unit("a", "us-east-1")), str(Unit("b", "us-east-1"))]
