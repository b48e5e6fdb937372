"""Conflicts of many kinds, each named right and minimal; and what holds a plan in place."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from capacity.domain import MixProblem
from capacity.errors import InfeasiblePlanError
from capacity.optimize import binding, explain_infeasible, solve
from tests.optimize.makers import LARGE, MONTHS, SMALL, candidate, commitment, problem, quota, unit

GPU = "L-DB2E81BA"


def _no_candidate() -> MixProblem:
    return problem(unit("a", [60], []))


def _only_barred() -> MixProblem:
    return problem(unit("a", [60], [replace(SMALL, allowed=False)]))


def _serves_nothing() -> MixProblem:
    return problem(unit("a", [60], [candidate("m5.large", 0.1, 0.0)]))


def _too_few_zones() -> MixProblem:
    return problem(unit("a", [60], zones=1, survived=1))


def _largest_count() -> MixProblem:
    return problem(unit("a", [600, 30], [SMALL, LARGE], most=3, survived=0))


def _largest_count_with_a_zone_lost() -> MixProblem:
    tight = [candidate("m5.large", 0.1, 10.0, zone_loss=10.0)]
    return problem(unit("a", [150], tight, most=5))


def _least_above_most() -> MixProblem:
    return problem(unit("a", [10], least=4, most=3))


def _vertical_too_small() -> MixProblem:
    return problem(unit("db", [100], [SMALL, LARGE], vertical=True, running={("m5.large", "a"): 1}))


def _vertical_above_most() -> MixProblem:
    return problem(unit("db", [10], vertical=True, most=1, running={("m5.large", "a"): 6}))


def _pinned_too_few() -> MixProblem:
    return problem(unit("a", {"2026-01": [20], "2026-02": [90]}, months=MONTHS,
                        pinned={(m, "m5.large"): 1 for m in MONTHS}), months=MONTHS)  # fmt: skip


def _pinned_to_what_may_not_run() -> MixProblem:
    return problem(unit("a", [20], pinned={(MONTHS[0], "x9.large"): 2}))


def _pinned_above_most() -> MixProblem:
    return problem(unit("a", [20], most=2, pinned={(MONTHS[0], "m5.large"): 3}))


def _quota_of_one_unit() -> MixProblem:
    return problem(unit("a", [90]), quotas=[quota(8.0)])


def _quota_of_two_units() -> MixProblem:
    return problem(unit("a", [90]), unit("b", [90]), unit("tiny", [1], least=0), quotas=[quota(24.0)])


def _quota_and_least() -> MixProblem:
    return problem(unit("a", [1], least=5), quotas=[quota(20.0)])


def _quota_and_pinned() -> MixProblem:
    return problem(unit("a", [20], pinned={(MONTHS[0], "m5.xlarge"): 2}), quotas=[quota(20.0)])


def _quota_of_another_region_only() -> MixProblem:
    return problem(
        unit("a", [90]), unit("b", [90], region="eu-west-1"), quotas=[quota(100.0), quota(8.0, region="eu-west-1")]
    )


def _two_quotas_together() -> MixProblem:
    both = [SMALL, candidate("g5.large", 0.9, 10.0, 2, code=GPU)]
    return problem(unit("a", [90], both), unit("b", [90], both), quotas=[quota(18.0), quota(12.0, code=GPU)])


# vCPU by hand: a demand of 90 takes 3 m5.large (2 vCPU) in each of 3 zones, 18; the tiny unit one in each, 6.
CASES: list[tuple[Callable[[], MixProblem], list[str]]] = [
    (_no_candidate, ["a/us-east-1: its requirements leave no instance type"]),
    (_only_barred, ["leave no instance type (runs m5.large against it)"]),
    (_serves_nothing, ["no allowed instance type serves anything", "demand of 60"]),
    (_too_few_zones, ["a/us-east-1: 1 zone(s)", "must serve 60 with 1 zone(s) lost"]),
    (_largest_count, ["demand of 600 in 2026-01 b1", "at most 3 instance(s) per zone in 2026-01; the largest type"]),
    (_largest_count_with_a_zone_lost, ["demand of 150 in 2026-01 b1 with 1 of 3 zones lost", "at most 5 instance(s)"]),
    (_least_above_most, ["at least 4 instance(s) per zone", "at most 3 instance(s) per zone"]),
    (_vertical_too_small, ["demand of 100 in 2026-01 b1", "db/us-east-1: vertical, 1 instance(s) per zone"]),
    (_vertical_above_most, ["at most 1 instance(s) per zone", "vertical, 2 instance(s) per zone"]),
    (_pinned_too_few, ["demand of 90 in 2026-02 b1", "pinned to 1 x m5.large per zone in 2026-02"]),
    (_pinned_to_what_may_not_run, ["pinned to 2 x x9.large per zone"]),
    (_pinned_above_most, ["at most 2 instance(s) per zone", "pinned to 3 x m5.large"]),
    (_quota_of_one_unit, ["quota L-1216C47A in us-east-1 of account 1111: 8 vCPU allowed, 18 needed", "demand of 90"]),
    (_quota_of_two_units, ["24 vCPU allowed, 42 needed in 2026-01", "a/us-east-1: demand", "b/us-east-1: demand"]),
    (_quota_and_least, ["20 vCPU allowed, 30 needed", "a/us-east-1: at least 5 instance(s) per zone"]),
    (_quota_and_pinned, ["20 vCPU allowed, 24 needed", "a/us-east-1: pinned to 2 x m5.xlarge"]),
    (_quota_of_another_region_only, ["in eu-west-1 of account 1111: 8 vCPU allowed, 18 needed", "b/eu-west-1: demand"]),
    (
        _two_quotas_together,
        ["quota L-1216C47A", f"quota {GPU}", "a/us-east-1: demand of 90", "b/us-east-1: demand of 90"],
    ),
]


@pytest.mark.parametrize(("make", "expected"), CASES, ids=[c[0].__name__.strip("_") for c in CASES])
def test_conflicts_are_named_right_and_minimal(make: Callable[[], MixProblem], expected: list[str]) -> None:
    with pytest.raises(InfeasiblePlanError) as error:
        solve(make())
    conflicts = error.value.conflicts
    assert len(conflicts) == len(expected), conflicts
    unmatched = [e for e in expected if not any(e in c for c in conflicts)]
    assert not unmatched, conflicts
    assert explain_infeasible(make()) == conflicts


def test_taking_away_one_named_requirement_makes_a_plan_possible() -> None:
    p = _quota_of_two_units()
    for relaxed in (
        replace(p, quotas=[quota(48.0)]),
        replace(p, requirements=tuple(r for r in p.requirements if r.unit.service != "a")),
        replace(p, requirements=tuple(r for r in p.requirements if r.unit.service != "b")),
    ):
        assert solve(replace(relaxed, quotas=tuple(relaxed.quotas))).status.status == "optimal"


def test_a_problem_with_a_plan_has_no_conflict() -> None:
    p = problem(unit("a", [90]), unit("b", [40], autoscaled=False), quotas=[quota(60.0)])
    assert explain_infeasible(p) == ()
    assert solve(p).status.status == "optimal"


def test_what_holds_a_plan_in_place_is_said_in_words() -> None:
    p = problem(
        unit("few", [1], least=2),
        unit("lost", [100], [candidate("m5.large", 0.1, 10.0, zone_loss=11.0)], most=5),
        unit("plain", [100], [candidate("m5.large", 0.1, 10.0, zone_loss=20.0)]),
        unit("db", [10], vertical=True, running={("m5.large", z): 1 for z in "abc"}),
        commitments=[commitment("csp", "compute_sp", hourly=0.1)],
        rates={"csp": 0.7},
        quotas=[quota(12.0 + 30.0 + 24.0 + 6.0 + 5.0)],
    )
    said = binding(p, solve(p, gap_frac=0.0))
    for text in (
        "few/us-east-1: its smallest count of 2 per zone decides",
        "lost/us-east-1: losing 1 of 3 zones (10.0% to spare) decides the count "
        "in its 744 busiest hours of 2026-01 (b1)",
        "lost/us-east-1: at its largest count of 5 per zone in 2026-01",
        "plain/us-east-1: demand within the SLO (20.0% to spare)",
        "db/us-east-1: its count is kept, 1 per zone; only its type is chosen",
        "77 vCPU allowed, 72 used: no room for one instance more in every zone in 2026-01",
        "commitment csp: 100% used",
    ):
        assert any(text in line for line in said), (text, said)
