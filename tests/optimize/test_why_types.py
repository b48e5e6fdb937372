"""Why this type and not the next best: true costs with all else kept, and reasons that are so."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from capacity.domain import MixProblem, Unit
from capacity.errors import UsageError
from capacity.optimize import price_running, solve, why
from capacity.optimize.why._plan import billed, bought_of, counts_of, penalty_usd
from capacity.optimize.why.types import _View
from tests.optimize import test_book
from tests.optimize.makers import ARM, HOURS, LARGE, REGION, SMALL, candidate, commitment, problem, quota, unit

YEAR = 8760.0 / HOURS[0]
A = Unit("a", REGION)


def _other(found: why.TypeChoice, name: str) -> why.OtherChoice:
    return next(o for o in found.others if o.name == name)


def _choice(p: MixProblem, unit_: Unit = A) -> why.TypeChoice:
    return why.type_choice(p, solve(p, gap_frac=1e-6), unit_, count=10)


def test_the_cost_of_another_type_is_that_of_a_fleet_that_runs_it() -> None:
    # 90 takes three SMALL a zone at .30 an hour, or four ARM at .32: 25 % less price, but a whole one more.
    p = problem(unit("a", [90], [SMALL, ARM]))
    found = _choice(p)
    assert found.chosen == ("m5.large",)
    assert found.usd_per_year == pytest.approx(9 * 0.10 * 8760)
    arm = _other(found, "m7g.large alone")
    runs = replace(p, requirements=(replace(p.requirements[0], running={("m7g.large", z): 4 for z in "abc"}),))
    true = float(price_running(runs)["total_usd"].sum()) * YEAR - found.usd_per_year
    assert arm.usd_per_year_more == pytest.approx(true) == pytest.approx(0.06 * 8760)
    assert arm.frac_more == pytest.approx(12 * 0.08 / 0.9 - 1)
    assert "for what it holds it is 11% cheaper" in arm.reasons
    whole = "whole instances (4 x 2 vCPU per zone at the peak) hold 20% more than asked on average"
    assert any(whole in r for r in arm.reasons)
    assert "6.7% dearer, $526 a year" in arm.words


def test_what_commitments_cover_is_in_the_difference() -> None:
    # At list price m6i is cheaper; the plan of the m5 family covers .12 / .6 = .2 $/h of m5 and is paid anyway.
    other = candidate("m6i.large", 0.09, 10.0)
    p = problem(
        unit("a", [60], [SMALL, other]),
        commitments=[commitment("esp", "ec2_instance_sp", "m5", 0.36)],
        rates={"esp": 0.6},
    )
    found = _choice(p)
    assert found.chosen == ("m5.large",)
    assert found.usd_per_year == pytest.approx(0.0)  # all of it is covered, and paid either way
    one = _other(found, "m6i.large alone")
    assert one.usd_per_year_more == pytest.approx(6 * 0.09 * 8760)
    assert "commitments take 0.0% off its price, less than the 100% now" in one.reasons


def test_a_full_quota_and_a_largest_count_are_reasons() -> None:
    gpu = candidate("g5.large", 0.05, 10.0, 2, code="L-DB2E81BA")
    tiny = candidate("t3.small", 0.01, 1.0, 1)
    p = problem(unit("a", [90], [SMALL, gpu, tiny], most=20), quotas=[quota(6.0, code="L-DB2E81BA")])
    found = _choice(p)
    full = _other(found, "g5.large alone")
    assert math.isinf(full.usd_per_year_more)
    assert full.reasons == ("quota L-DB2E81BA is full: it needs 18 vCPU, the others leave 6",)
    small = _other(found, "t3.small alone")
    assert small.reasons == ("it needs 30 per zone, 20 are allowed",)
    assert small.words == "t3.small alone: not possible: it needs 30 per zone, 20 are allowed"


def test_the_state_that_binds_is_named() -> None:
    weak = candidate("c5.large", 0.09, 12.0, zone_loss=10.0)
    p = problem(unit("a", [90], [SMALL, weak]))
    assert "its zone loss binds, not demand" in _other(_choice(p), "c5.large alone").reasons


def test_a_database_keeps_its_count() -> None:
    p = problem(unit("a", [50], [SMALL, LARGE], vertical=True, running={("m5.xlarge", z): 1 for z in "abc"}))
    found = _choice(p)
    assert found.chosen == ("m5.xlarge",)
    assert _other(found, "m5.large alone").reasons == (
        "1 per zone, the count that is kept, do not hold demand (60% of it)",
    )


def test_the_family_is_left_as_a_whole() -> None:
    big = candidate("c5.4xlarge", 0.9, 85.0, 16)
    p = problem(unit("a", [300], [SMALL, LARGE, ARM, big]))
    solution = solve(p, gap_frac=1e-6)
    found = why.type_choice(p, solution, A)
    family = found.chosen[0].split(".")[0]
    barred = tuple(replace(c, allowed=c.family != family) for c in p.requirements[0].candidates)
    without = solve(replace(p, requirements=(replace(p.requirements[0], candidates=barred),)), gap_frac=1e-6)
    true = (without.status.objective - solution.status.objective) * YEAR
    others = {o.name: o.usd_per_year_more for o in found.others}
    if f"anything but {family}" in others:
        assert others[f"anything but {family}"] == pytest.approx(true, abs=1.0)
    assert min(others.values()) <= true + 1.0


def test_an_unknown_unit_is_refused() -> None:
    p = problem(unit("a", [90]))
    with pytest.raises(UsageError, match="not a unit of this problem"):
        why.type_choice(p, solve(p), Unit("zzz", REGION))


@pytest.mark.parametrize(("hourly", "count", "held"), [(0.05, 1, 0), (0.9, 4, 3), (6.0, 30, 40)])
def test_what_a_unit_adds_is_the_whole_bill_less_that_of_all_others(hourly: float, count: int, held: int) -> None:
    # Every product, one that ends inside a month, an offer, a reservation, two accounts; and a unit that runs spot.
    p = test_book.fleet(hourly, count, held)
    cheap = [replace(c, spot_usd_per_hour=c.usd_per_hour / 4) for c in test_book.KINDS]
    spot = replace(p.requirements[0], candidates=tuple(cheap), spot_max_frac=0.5)
    p = replace(p, requirements=(spot, *p.requirements[1:]))
    solution = solve(p, 10.0, gap_frac=1e-4)
    choices = why.TypeChoices(p, solution)
    fleet, counts, bought = choices.fleet, counts_of(solution), bought_of(choices.fleet, solution)
    seen = 0
    for r in fleet.requirements:
        view = _View(choices, r.unit)
        rest = {key: n for key, n in counts.items() if key[0] != str(r.unit)}
        base = billed(fleet, rest, bought).total_usd
        for mine in [view.mine, *(_all_on(view.mine, c.instance_type) for c in r.candidates)]:
            whole = billed(fleet, {**rest, **mine}, bought).total_usd - base + penalty_usd(fleet, mine, r.unit)
            assert view.added(mine) == pytest.approx(whole, abs=0.005)
            seen += 1
    assert seen == 15


def _all_on(counts: dict[tuple[str, str, str, str, str], int], kind: str) -> dict[tuple[str, str, str, str, str], int]:
    """As many instances of one type, on demand."""
    out: dict[tuple[str, str, str, str, str], int] = {}
    for (unit_, month, block, _purchase, _kind), n in counts.items():
        key = (unit_, month, block, "on_demand", kind)
        out[key] = out.get(key, 0) + n
    return out
