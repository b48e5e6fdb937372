"""Commitments: the provider's order, sharing scopes, months they cover in part, blocks that do not line up."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from capacity.domain import CapacityReservation, Commitment, LoadBlock, MixProblem, Offer
from capacity.errors import MissingDataError
from capacity.optimize import price_running, solve
from capacity.optimize._billing import Bill, bill, running_usage
from capacity.optimize._fleet import active_frac, eligible, fleet_of
from capacity.optimize.check._contracts import Contract
from capacity.optimize.check._plan import Site
from tests.optimize.makers import ACCOUNT, HOURS, LARGE, MONTHS, REGION, SMALL, candidate, commitment, problem, unit


def _running(per_type: int = 4, **change: object) -> MixProblem:
    """4 m5.large at .10 $/h, nothing else: .40 $/h of on-demand value in all hours."""
    return problem(unit("a", [1], [SMALL, LARGE], running={("m5.large", "a"): per_type}, **change))  # type: ignore[arg-type]


def _use(p: MixProblem) -> dict[str, tuple[float, float, float]]:
    frame = (
        bill(fleet_of(p), running_usage(fleet_of(p))).use.groupby("id")[["used_usd", "paid_usd", "unused_usd"]].sum()
    )
    return {str(i): tuple(row) for i, row in zip(frame.index, frame.to_numpy() / HOURS[0], strict=True)}


def test_order_is_reserved_instances_then_instance_plans_then_compute_plans() -> None:
    # Given in the opposite order, and each alone could cover the .40 $/h whole.
    owned = [
        commitment("csp", "compute_sp", hourly=0.7),
        commitment("esp", "ec2_instance_sp", "m5", hourly=0.15),
        commitment("ri", "standard_ri", "m5.large", hourly=0.06, count=1),
    ]
    p = replace(_running(), commitments=tuple(owned), committed_rate={"csp": 0.7, "esp": 0.6})
    use = _use(p)
    assert use["ri"] == pytest.approx((0.10, 0.06, 0.0))
    assert use["esp"] == pytest.approx((0.25, 0.15, 0.0))  # .15 / .6
    assert use["csp"] == pytest.approx((0.05, 0.7, 0.7 - 0.05 * 0.7))  # what is left


def test_an_idle_reserved_instance_is_paid_and_shown_as_unused() -> None:
    p = replace(_running(), commitments=(commitment("ri", "standard_ri", "m5.large", hourly=0.6, count=10),))
    assert _use(p)["ri"] == pytest.approx((0.40, 0.6, 0.6 * 6 / 10))
    spend = price_running(p).set_index("unit")["total_usd"] / HOURS[0]
    assert spend["a/us-east-1"] == pytest.approx(0.6 * 4 / 10)
    assert spend["(commitments unused)"] == pytest.approx(0.6 * 6 / 10)


@pytest.mark.parametrize(
    ("change", "covered"),
    [
        ({}, 0.10),
        ({"account": ACCOUNT}, 0.10),
        ({"account": "2222"}, 0.0),
        ({"region": "eu-west-1"}, 0.0),
        ({"scope": "m7g"}, 0.0),
    ],
)
def test_a_commitment_covers_only_its_scope(change: dict[str, str], covered: float) -> None:
    owned = commitment("esp", "ec2_instance_sp", **{"scope": "m5", "hourly": 0.06, **change})  # type: ignore[arg-type]
    p = replace(_running(), commitments=(owned,), committed_rate={"esp": 0.6})
    assert _use(p)["esp"][0] == pytest.approx(covered)


@pytest.mark.parametrize(
    ("owned", "covered"),
    [
        (commitment("k", "compute_sp", hourly=0.07), 0.0),
        (commitment("k", "ec2_instance_sp", "db.r6g", hourly=0.07), 0.0),
        (commitment("k", "standard_ri", "db.r6g.large", hourly=0.07, count=1), 0.10),
    ],
)
def test_savings_plans_of_machines_never_pay_for_a_database(owned: Commitment, covered: float) -> None:
    base = candidate("db.r6g.large", 0.10, 10.0)
    row = unit("base", [1], [base], running={("db.r6g.large", "a"): 4}, vertical=True)
    p = problem(row, commitments=(owned,), rates={"k": 0.7})
    assert _use(p)["k"][0] == pytest.approx(covered)
    # The model plans, the bill bills and the checker reckons alike: a plan that two see differently is never given.
    found = solve(p)
    hours = {"base/us-east-1": 2 * 3 * 0.10 - covered}  # 4 run: two in each of three zones
    assert found.spend.set_index("unit")["on_demand_usd"]["base/us-east-1"] == pytest.approx(
        hours["base/us-east-1"] * HOURS[0]
    )


@given(st.sampled_from(["compute_sp", "ec2_instance_sp", "standard_ri"]), st.sampled_from(["m5", "db.m5", "dbx"]))
def test_bill_and_checker_agree_on_what_a_contract_may_pay_for(product: str, family: str) -> None:
    c = replace(candidate(f"{family}.large", 0.1, 1.0), family=family)
    scope = {"compute_sp": "", "ec2_instance_sp": family, "standard_ri": c.instance_type}[product]
    owned = commitment("k", product, scope, count=1)
    row = unit("a", [1], [c])
    contract = Contract("k", owned, 0.1, 1, owned.start, owned.end, rate=0.7)
    checked = not math.isnan(contract.rate_of(Site(row), c))
    assert eligible(owned, ACCOUNT, REGION, c) == checked == (product == "standard_ri" or family != "db.m5")


def test_shared_cover_is_split_by_what_could_use_it() -> None:
    owned = commitment("csp", "compute_sp", hourly=0.21)
    p = problem(
        unit("a", [1], [SMALL], running={("m5.large", "a"): 1}),
        unit("b", [1], [SMALL], running={("m5.large", "a"): 5}, account="2222"),
        commitments=[owned], rates={"csp": 0.7},
    )  # fmt: skip
    by_unit = price_running(p).set_index("unit")
    # .30 $/h of the .60 that runs is covered: half of each.
    assert by_unit.loc["a/us-east-1", "on_demand_usd"] == pytest.approx(0.05 * HOURS[0])
    assert by_unit.loc["a/us-east-1", "committed_usd"] == pytest.approx(0.035 * HOURS[0])
    assert by_unit.loc["b/us-east-1", "on_demand_usd"] == pytest.approx(0.25 * HOURS[0])
    assert by_unit["total_usd"].sum() == pytest.approx((0.30 + 0.21) * HOURS[0])


def test_a_month_that_is_covered_in_part_is_covered_pro_rata() -> None:
    ends = commitment("csp", "compute_sp", hourly=0.28, end=datetime(2026, 1, 9, tzinfo=UTC))
    p = replace(_running(), commitments=(ends,), committed_rate={"csp": 0.7})
    share = 8 / 31
    assert _use(p)["csp"] == pytest.approx((0.40 * share, 0.28 * share, 0.0))
    spend = price_running(p)["total_usd"].sum() / HOURS[0]
    assert spend == pytest.approx(0.40 * (1 - share) + 0.28 * share)


def test_commitments_that_follow_each_other_do_not_help_each_other_out() -> None:
    # The first is too large and the second too small: what the first cannot use is lost.
    first = commitment("first", "compute_sp", hourly=0.56, end=datetime(2026, 1, 16, 12, tzinfo=UTC))
    second = commitment("second", "compute_sp", hourly=0.14, start=datetime(2026, 1, 16, 12, tzinfo=UTC))
    p = replace(_running(), commitments=(first, second), committed_rate={"first": 0.7, "second": 0.7})
    use = _use(p)
    assert use["first"] == pytest.approx((0.20, 0.28, 0.14))
    assert use["second"] == pytest.approx((0.10, 0.07, 0.0))
    solution = solve(p)
    assert solution.status.status == "optimal"


@pytest.mark.parametrize(
    ("month", "hours", "last", "expected"),
    [
        ("2026-01", 744.0, True, (0.0, 10 / 31)),
        ("2026-01", 744.0, False, (0.0, 10 / 31)),
        ("2026-01", 22 * 24.0, True, (0.0, 1 / 22)),  # planning starts on the 10th
        ("2026-01", 22 * 24.0, False, (0.0, 10 / 22)),  # the horizon ends on the 22nd
        ("2025-12", 744.0, False, (0.0, 1.0)),
        ("2026-02", 672.0, False, (0.0, 0.0)),
    ],
)
def test_active_share_of_a_month(month: str, hours: float, last: bool, expected: tuple[float, float]) -> None:
    owned = commitment("c", "compute_sp", end=datetime(2026, 1, 11, tzinfo=UTC))
    assert active_frac(owned, month, hours, last) == pytest.approx(expected)


def test_an_unknown_rate_is_refused_by_name() -> None:
    p = replace(_running(), commitments=(commitment("sp-77", "compute_sp"),))
    with pytest.raises(MissingDataError, match="compute_sp sp-77"):
        solve(p)


# --- spot, reservations, purchases -------------------------------------------------------------------------


def _billed(p: MixProblem, spot: int = 0, bought: dict[tuple[int, int], float] | None = None) -> Bill:
    fleet = fleet_of(p)
    usage = running_usage(fleet)
    return bill(fleet, replace(usage, spot=np.full_like(usage.instances, spot)), bought)


def test_spot_is_paid_as_it_is_and_never_covered() -> None:
    kinds = [replace(SMALL, spot_usd_per_hour=0.03), LARGE]
    p = replace(_running(), requirements=(unit("a", [1], kinds, running={("m5.large", "a"): 4}),))
    p = replace(p, commitments=(commitment("csp", "compute_sp", hourly=0.7),), committed_rate={"csp": 0.7})
    spend = _billed(p, spot=2).spend.set_index("unit")
    # LARGE is not to be had as spot: what is said to run of it has no price.
    assert spend.loc["a/us-east-1", "spot_usd"] == pytest.approx(2 * 0.03 * HOURS[0])
    assert spend.loc["a/us-east-1", "on_demand_usd"] == pytest.approx(0.0)
    assert spend.loc["a/us-east-1", "committed_usd"] == pytest.approx(0.4 * 0.7 * HOURS[0])
    assert (spend["total_usd"] - spend[["on_demand_usd", "spot_usd", "committed_usd"]].sum(axis=1)).abs().max() < 1e-9


def test_what_is_reserved_and_not_used_is_paid_and_what_is_used_is_covered_as_any_other() -> None:
    held = CapacityReservation("cr", ACCOUNT, REGION, "us-east-1a", "m5.large", 6, datetime(2025, 1, 1, tzinfo=UTC))
    owned = commitment("ri", "standard_ri", "m5.large", hourly=0.12, count=3)
    p = replace(_running(), reservations=(held,), commitments=(owned,))
    spend = price_running(p).set_index("unit")
    assert spend.loc["(reservations unused)", "on_demand_usd"] == pytest.approx(2 * 0.10 * HOURS[0])
    assert spend.loc["a/us-east-1", "on_demand_usd"] == pytest.approx(1 * 0.10 * HOURS[0])
    assert spend.loc["a/us-east-1", "committed_usd"] == pytest.approx(0.12 * HOURS[0])
    other = replace(p, reservations=(replace(held, account_id="2222"),))
    # Another account's reservation is not used by this one, and is priced as the region's.
    assert price_running(other).set_index("unit").loc["(reservations unused)", "total_usd"] == pytest.approx(
        6 * 0.10 * HOURS[0]
    )


def test_a_purchase_is_paid_from_its_month_and_named_after_it() -> None:
    r = unit("a", [1], [SMALL], months=MONTHS, running={("m5.large", "a"): 4})
    offers = (
        Offer("ri", "standard_ri", 1, "no_upfront", "m5.large", REGION, "", {"m5.large": 0.6}),
        Offer("sp", "compute_sp", 3, "all_upfront", "", "", "", {"m5.large": 0.5}),
    )
    billed = _billed(replace(problem(r, months=MONTHS), offers=offers), bought={(0, 1): 3.0, (1, 0): 0.1})
    assert billed.purchases.to_numpy().tolist() == [
        ["ri@2026-02", "ri", "2026-02", pytest.approx(0.18), 3],
        ["sp@2026-01", "sp", "2026-01", pytest.approx(0.1), 0],
    ]
    use = billed.use.groupby(["id", "month"])[["used_usd", "paid_usd", "unused_usd"]].sum()
    # January: .2 of the .4 $/h is covered at .5. February: three instances by the RI first, and .1 is left.
    assert tuple(use.loc["sp@2026-01", "2026-01"]) == pytest.approx((0.2 * 744, 0.1 * 744, 0.0))
    assert tuple(use.loc["ri@2026-02", "2026-02"]) == pytest.approx((0.3 * 672, 0.18 * 672, 0.0))
    assert tuple(use.loc["sp@2026-01", "2026-02"]) == pytest.approx((0.1 * 672, 0.1 * 672, 0.05 * 672))
    assert ("ri@2026-02", "2026-01") not in use.index


def test_a_savings_plan_covers_the_type_of_the_highest_saving_first_whosever_plan_it_is() -> None:
    r = unit("a", [1], [SMALL, LARGE], running={("m5.large", "a"): 1, ("m5.xlarge", "a"): 1})  # .10 and .19 $/h
    offers = (Offer("sp", "compute_sp", 1, "no_upfront", "", "", "", {"m5.large": 0.5, "m5.xlarge": 0.8}),)
    owned = commitment("csp", "compute_sp", hourly=0.07)
    p = replace(problem(r), offers=offers, commitments=(owned,), committed_rate={"csp": 0.7})
    billed = _billed(p, bought={(0, 0): 0.05 + 0.08})
    use = billed.use.groupby("id")["used_usd"].sum() / HOURS[0]
    # sp takes m5.large at .5; csp takes .1 of m5.xlarge at .7; sp the other .09 at .8 with what it has left.
    assert use["sp@2026-01"] == pytest.approx(0.10 + 0.09)
    assert use["csp"] == pytest.approx(0.10)
    unused = billed.use.groupby("id")["unused_usd"].sum() / HOURS[0]
    assert unused["sp@2026-01"] == pytest.approx(0.08 - 0.09 * 0.8)


# --- blocks ------------------------------------------------------------------------------------------------


def _blocks(*parts: tuple[str, float, float]) -> tuple[LoadBlock, ...]:
    return tuple(LoadBlock(MONTHS[0], name, hours, demand) for name, hours, demand in parts)


def test_blocks_of_the_same_hours_line_up_by_name() -> None:
    by_day = replace(unit("day", [1]), blocks=_blocks(("day", 300.0, 90.0), ("night", 444.0, 10.0)))
    by_night = replace(unit("night", [1]), blocks=_blocks(("day", 300.0, 10.0), ("night", 444.0, 90.0)))
    fleet = fleet_of(problem(by_day, by_night))
    assert fleet.level_names == (("day", "night"),)
    assert [lot.hours for lot in fleet.lots] == [300.0, 444.0]


def test_other_blocks_line_up_by_level_and_keep_their_hours() -> None:
    one = replace(unit("one", [1]), blocks=_blocks(("b1", 100.0, 90.0), ("b2", 644.0, 10.0)))
    two = replace(unit("two", [1]), blocks=_blocks(("b1", 300.0, 50.0), ("b2", 444.0, 20.0)))
    flat = replace(unit("flat", [1]), blocks=_blocks(("all", 744.0, 5.0)))
    fleet = fleet_of(problem(one, two, flat))
    hours = [lot.hours for lot in fleet.lots]
    assert hours == pytest.approx([200.0, 544.0])  # the mean of 100 and 300
    for r, presence in zip(fleet.requirements, fleet.presence, strict=True):
        own = {b.block: b.hours for b in r.blocks}
        assert (presence[0] @ hours).tolist() == pytest.approx(
            [own[b.block] for b in fleet.blocks[fleet.position(r.unit)][0]]
        )
        assert presence[0].sum(axis=0) == pytest.approx([1.0, 1.0])


@given(st.lists(st.lists(st.integers(1, 50), min_size=1, max_size=4), min_size=1, max_size=4), st.integers(0, 60))
def test_every_dollar_is_accounted_for_however_blocks_lie(cuts: list[list[int]], hourly: int) -> None:
    units = []
    for s, parts in enumerate(cuts):
        hours = [HOURS[0] * part / sum(parts) for part in parts]
        blocks = _blocks(*((f"b{k + 1}", h, float(len(parts) - k) * 20) for k, h in enumerate(hours)))
        units.append(replace(unit(f"u{s}", [1]), blocks=blocks))
    p = problem(*units, commitments=[commitment("csp", "compute_sp", hourly=hourly / 20)], rates={"csp": 0.7})
    solution = solve(p, gap_frac=0.0)  # the checker runs inside
    used = solution.commitment_use["used_usd"].sum()
    assert solution.spend["total_usd"].sum() == pytest.approx(
        solution.running["usd"].sum() - used + hourly / 20 * HOURS[0]
    )
    assert solution.status.status == "optimal"
