"""Nearly as cheap and quite different: verified, within the cost, far apart, and told in words."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from capacity.domain import MixProblem
from capacity.optimize import check, solve, why
from capacity.optimize.why._words import difference_words
from tests.optimize.makers import HOURS, MONTHS, SMALL, candidate, commitment, problem, quota, unit

YEAR = 8760.0 / HOURS[0]
GRAVITON_4 = replace(candidate("m8g.large", 0.1000, 10.0, 2), arch="arm64")
GRAVITON_3 = [
    replace(candidate("m7g.large", 0.1004, 10.0, 2), arch="arm64"),
    replace(candidate("m7g.xlarge", 0.2010, 20.0, 4), arch="arm64"),
]
INTEL = [candidate("m7i.xlarge", 0.2012, 20.0, 4), candidate("m7i.2xlarge", 0.4030, 40.0, 8)]


def _fleet(**fields: object) -> MixProblem:
    types = [GRAVITON_4, *GRAVITON_3, *INTEL]
    return problem(unit("a", [240, 120], types), unit("b", [480, 240], types), **fields)  # type: ignore[arg-type]


def test_three_different_plans_within_a_hundredth() -> None:
    p = _fleet()
    plan = solve(p, gap_frac=1e-6)
    assert set(plan.running["instance_type"]) == {"m8g.large"}
    found = why.alternatives(p, plan)
    assert len(found.plans) == 3
    for one in found.plans:
        check(p, one.solution.provisioned, one.solution.running, one.solution.commitment_use, one.solution.spend)
        more = float(one.solution.spend["total_usd"].sum() - plan.spend["total_usd"].sum())
        assert -1e-6 <= more <= 0.01 * float(plan.spend["total_usd"].sum()) + 1e-6
        assert one.usd_per_year_more == pytest.approx(more * YEAR)
        assert one.distance > 0.4
    assert found.plans[0].distance == max(a.distance for a in found.plans)
    assert len({tuple(sorted(set(a.solution.running["instance_type"]))) for a in found.plans}) == 3


def test_the_difference_is_told_in_words() -> None:
    p = _fleet()
    words = " | ".join(why.alternatives(p, solve(p, gap_frac=1e-6)).words)
    assert "all on m7i (x86_64) rather than m8g (arm64)" in words
    assert "larger instances instead of 72" in words
    assert "2 services changed of 2" in words


def test_instances_are_counted_in_the_month_in_which_the_plan_itself_is_largest() -> None:
    """Another plan may have more, and smaller, instances in a month of less demand: they are not the plan's rival."""
    by_month = {MONTHS[0]: [480.0, 240.0], MONTHS[1]: [240.0, 120.0]}
    types = [GRAVITON_4, *INTEL]
    p = problem(unit("a", by_month, types, months=MONTHS, autoscaled=False), months=MONTHS)
    plan = solve(p, gap_frac=1e-6)
    small = plan.provisioned["month"] == MONTHS[1]
    many = plan.provisioned["instances"].mask(small, 10_000).mask(~small, 12)
    other = replace(plan, provisioned=plan.provisioned.assign(instances=many))
    count = int(plan.provisioned.loc[~small, "instances"].sum())
    words = difference_words(p, plan, other, 0.001, 10.0, 0.5)
    assert count > 12
    assert f"12 larger instances instead of {count}; " in words


def test_fewer_are_said_to_be_fewer() -> None:
    alone = problem(unit("a", [90], [SMALL]))
    found = why.alternatives(alone, solve(alone))
    assert found.plans == ()
    assert found.words == ("no other plan was found within 1.0% of the cost, of 3 asked for",)
    dear = problem(unit("a", [90], [SMALL, candidate("c9.large", 0.2, 10.0)]))
    assert why.alternatives(dear, solve(dear)).plans == ()
    assert len(why.alternatives(dear, solve(dear), within_frac=1.5).plans) == 1


def test_quotas_and_commitments_hold_in_the_alternatives() -> None:
    owned = [commitment("sp", "ec2_instance_sp", "m8g", 1.0)]
    p = _fleet(commitments=owned, rates={"sp": 0.7}, quotas=[quota(150.0)])
    plan = solve(p, gap_frac=1e-6)
    for one in why.alternatives(p, plan).plans:
        used = one.solution.provisioned.groupby("month")["vcpu"].sum().max()
        assert used <= 150.0
        # What the family's plan covers is paid anyway: only what it does not cover moves to another family.
        assert float(one.solution.spend["total_usd"].sum()) <= 1.01 * float(plan.spend["total_usd"].sum()) + 1e-6


def test_the_penalty_for_leaving_what_runs_counts() -> None:
    types = [GRAVITON_4, *GRAVITON_3]
    p = problem(unit("a", [240], types, running={("m8g.large", z): 8 for z in "abc"}), penalty=0.05)
    assert why.alternatives(p, solve(p, gap_frac=1e-6)).plans == ()
    free = replace(p, switching_penalty_frac=0.0)
    assert len(why.alternatives(free, solve(free, gap_frac=1e-6)).plans) >= 1


PLACED = st.dictionaries(
    st.tuples(st.sampled_from("ab"), st.just("2026-01"), st.sampled_from(["m1.a", "m1.b", "c1.a"])),
    st.integers(1, 50).map(float),
    min_size=1,
)


@settings(max_examples=60, deadline=None)
@given(PLACED, PLACED)
def test_the_distance_is_one(one: dict[tuple[str, str, str], float], other: dict[tuple[str, str, str], float]) -> None:
    families = {(u, i): i.split(".")[0] for u in "ab" for i in ("m1.a", "m1.b", "c1.a")}
    far = why.distance(families, one, other)
    assert 0.0 <= far <= 1.0
    assert far == pytest.approx(why.distance(families, other, one))
    assert why.distance(families, one, one) == 0.0
    assert (far == 0.0) == (one == other)


def test_another_size_is_half_as_far_as_another_family() -> None:
    families = {("a", "m1.a"): "m1", ("a", "m1.b"): "m1", ("a", "c1.a"): "c1"}
    small, large, other = ({("a", "2026-01", kind): 8.0} for kind in ("m1.a", "m1.b", "c1.a"))
    assert why.distance(families, small, large) == 0.5
    assert why.distance(families, small, other) == 1.0
