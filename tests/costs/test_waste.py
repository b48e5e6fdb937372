"""Waste: fleets by the saturation model, each instance once, and what a bill shows by itself."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow.dataset as ds
import pytest
from hypothesis import given
from hypothesis import strategies as st

from capacity.costs.waste import (
    HOURS_A_MONTH,
    LEAST_FRAC,
    Fleet,
    Machine,
    Newer,
    bill_waste,
    fleet_waste,
    smallest,
    unused_commitments,
    waste_frame,
)
from capacity.domain import LoadBlock, Unit
from tests.costs.costs_makers import bill, row

ROOT = Path(__file__).resolve().parents[2]
M5 = Machine("m5.large", 12, 0.1, safe=10.0, zone_loss=16.0)
BLOCKS = (LoadBlock("2026-10", "b1", 200.0, 60.0), LoadBlock("2026-10", "b2", 500.0, 20.0))


def fleet(**more: Any) -> Fleet:
    """12 instances over three zones, of which nine keep what is promised: 60 on 10 each, 60 on 16 with a zone lost."""
    found = Fleet(
        unit=Unit("web", "us-east-1"), currency="USD", machines=(M5,), near=BLOCKS, ahead=BLOCKS, zones=3,
        zones_survived=1, min_per_zone=1, autoscaled=False, service_level=0.95, peak_recent=55.0, serves=100.0,
        measure="req/s", relative_mae=0.8,
    )  # fmt: skip
    return replace(found, **more)


def test_the_smallest_fleet_holds_demand_with_and_without_a_zone() -> None:
    assert smallest(fleet(), BLOCKS) == {"m5.large": 6.0}  # 60 / 10 up, 60 / (2/3 x 16) = 5.6 with a zone lost
    tight = replace(M5, zone_loss=10.0)
    assert smallest(fleet(machines=(tight,)), BLOCKS) == {"m5.large": 9.0}  # 60 / (2/3 x 10)
    scaled = fleet(machines=(tight,), autoscaled=True)
    assert smallest(scaled, BLOCKS)["m5.large"] == pytest.approx((200 * 9 + 500 * 3) / 700)


def test_an_oversized_fleet_in_money_with_its_evidence() -> None:
    (found,) = fleet_waste(fleet())
    assert (found.kind, found.what, found.confidence) == ("oversized", "6 × m5.large", "medium")
    assert found.monthly_usd == pytest.approx(6 * 0.1 * HOURS_A_MONTH)
    assert found.taken_by == "none: ask the owner"
    assert "55 req/s of 100 that it serves safely; 12 run, 6 of the same types are needed in 2026-10" in found.evidence


def test_further_resources_and_a_lost_region_are_needs_too() -> None:
    machine = replace(M5, further={"memory_gib": (8.0, 8.0)})
    full = tuple(replace(b, further={"memory_gib": 60.0}) for b in BLOCKS)
    assert smallest(fleet(machines=(machine,)), full) == {"m5.large": 12.0}  # 60 / (2/3 x 8) = 11.3
    elsewhere = tuple(replace(b, region_loss_demand=140.0) for b in BLOCKS)
    assert smallest(fleet(), elsewhere) == {"m5.large": 9.0}  # 140 / 16 in three zones


def test_growth_and_an_event_hold_a_fleet_that_does_not_scale_itself() -> None:
    later = (*BLOCKS, LoadBlock("2026-11", "b1", 30.0, 115.0))
    (held,) = fleet_waste(fleet(ahead=later, events=("black-friday",)))
    assert held.monthly_usd == 0.0
    assert held.held_usd == pytest.approx(6 * 0.1 * HOURS_A_MONTH)
    assert "demand of 2026-11 needs it, with black-friday within the horizon" in held.reason
    (scaled,) = fleet_waste(fleet(ahead=later, autoscaled=True))
    assert scaled.monthly_usd > 0  # it grows by itself when it must


@pytest.mark.parametrize(
    ("more", "reason"),
    [
        ({"min_per_zone": 4}, "the config keeps 4 in each of 3 zones"),
        ({"machines": (replace(M5, kept=12, kept_for="a capacity reservation is paid used or not"),)},
         "a capacity reservation is paid used or not"),
        ({"vertical": True, "zones_survived": 0}, "its count is fixed (kind: vertical)"),
    ],
)  # fmt: skip
def test_what_must_stay_is_never_called_waste(more: dict[str, Any], reason: str) -> None:
    (found,) = fleet_waste(fleet(**more)) or (None,)
    assert found is not None
    assert found.monthly_usd == 0.0
    assert reason in found.reason


def test_a_scaling_groups_minimum_is_a_setting_and_is_named() -> None:
    (found,) = fleet_waste(fleet(group_minimum=10))
    assert found.monthly_usd == pytest.approx(6 * 0.1 * HOURS_A_MONTH)
    assert "the scaling group's minimum is 10: lower it first" in found.reason


def test_an_idle_fleet_is_idle_but_for_what_the_config_keeps() -> None:
    quiet = tuple(replace(b, demand=33.0) for b in BLOCKS)  # what is busy without demand: the reserve
    (found,) = fleet_waste(fleet(near=quiet, ahead=quiet, reserve=30.0, peak_recent=2.0))
    assert (found.kind, found.what) == ("idle", "9 × m5.large")
    assert found.monthly_usd == pytest.approx(9 * 0.1 * HOURS_A_MONTH)
    assert "no demand to speak of in four weeks" in found.reason


def test_what_the_plan_takes_is_said_and_never_more_than_it_saves() -> None:
    whole = 12 * 0.1 * HOURS_A_MONTH
    (all_of_it,) = fleet_waste(fleet(planned_usd=0.4 * whole))
    assert (all_of_it.taken_by, all_of_it.in_plan_usd) == ("recommended mix", all_of_it.monthly_usd)
    (half,) = fleet_waste(fleet(planned_usd=0.75 * whole))
    assert half.in_plan_usd == pytest.approx(0.25 * whole)
    assert half.taken_by == "recommended mix, 50% of it"


def test_confidence_is_that_of_the_safe_capacity_and_of_the_forecast() -> None:
    assert fleet_waste(fleet(basis="load_test"))[0].confidence == "high"
    assert fleet_waste(fleet(basis="load_test", relative_mae=1.2))[0].confidence == "medium"
    assert fleet_waste(fleet(relative_mae=None))[0].confidence == "low"
    assert fleet_waste(fleet(basis="config"))[0].confidence == "low"


def test_an_older_generation_counts_only_what_is_left_after_the_spare_ones() -> None:
    old = replace(M5, newer=Newer("m7a.large", 0.09, 11.0, 17.6))
    spare, older = fleet_waste(fleet(machines=(old,), planned_usd=0.0, planned_types=frozenset({"m7a.large"})))
    assert (spare.kind, older.kind, older.what) == ("oversized", "previous_generation", "6 × m5.large")
    assert older.monthly_usd == pytest.approx(6 * (0.1 - 0.09 / 1.1) * HOURS_A_MONTH)
    assert (older.confidence, older.taken_by) == ("low", "recommended mix")
    dear = replace(M5, newer=Newer("m8i.large", 0.11, 10.0, 16.0))
    assert [w.kind for w in fleet_waste(fleet(machines=(dear,)))] == ["oversized"]  # a newer one that costs more


counts = st.integers(1, 60)
demands = st.floats(0.0, 2000.0)
machines = st.lists(
    st.builds(
        lambda n, usd, safe, lost, newer: Machine(
            f"type{n}", n, usd, safe, lost, newer=Newer("newer", usd * newer, safe, lost) if newer < 1.4 else None,
            kept=n // 3, kept_for="reserved",
        ),
        counts, st.floats(0.01, 5.0), st.floats(0.5, 50.0), st.floats(0.5, 80.0), st.floats(0.2, 2.0),
    ),
    min_size=1, max_size=3, unique_by=lambda m: m.instance_type,
)  # fmt: skip


@given(machines, demands, demands, st.booleans(), st.integers(0, 2), st.floats(0.0, 3.0))
def test_waste_never_exceeds_what_is_spent_and_holds_together(
    types: list[Machine], near: float, later: float, autoscaled: bool, lost: int, planned: float
) -> None:
    blocks = (LoadBlock("2026-10", "b1", 100.0, near), LoadBlock("2026-10", "b2", 600.0, near / 3))
    ahead = (*blocks, LoadBlock("2026-11", "b1", 100.0, later))
    made = fleet(machines=tuple(types), near=blocks, ahead=ahead, autoscaled=autoscaled, zones_survived=lost)
    made = replace(made, planned_usd=planned * made.spend, planned_types=frozenset({"newer"}))
    found = fleet_waste(made)
    money = sum(w.monthly_usd or 0.0 for w in found)
    assert money <= made.spend * (1 + 1e-9)
    assert sum((w.monthly_usd or 0.0) + w.held_usd for w in found if w.kind == "oversized") <= made.spend * (1 + 1e-9)
    assert sum(w.in_plan_usd for w in found) <= max(0.0, made.spend - (made.planned_usd or 0.0)) + 1e-6
    assert all(
        (w.monthly_usd or 0.0) >= 0 and w.held_usd >= 0 and w.in_plan_usd <= (w.monthly_usd or 0.0) for w in found
    )
    needed = smallest(made, blocks)
    if all(m.count <= needed[m.instance_type] for m in types):
        assert sum(w.monthly_usd or 0.0 for w in found if w.kind == "oversized") == 0.0
    for w in found:
        if w.kind == "oversized":
            assert w.monthly_usd == 0.0 or (w.monthly_usd or 0.0) >= LEAST_FRAC * made.spend


# --- the bill ----------------------------------------------------------------------------------------------------


def line(meter: str, cost: object, **more: Any) -> dict[str, Any]:
    about = {"SkuMeter": meter, "RegionId": "us-east-1", "SubAccountId": "1", "ServiceName": "EC2"}
    return row(effective=cost, **(about | more))


def test_idle_addresses_are_read_off_their_own_meter() -> None:
    rows = [line("USE1-PublicIPv4:IdleAddress", "3.60", PricingQuantity="720"),
            line("PublicIPv4:InUseAddress", "40"), line("PublicIPv4:IdleAddress", "9", month="2026-07")]  # fmt: skip
    (found,) = bill_waste(bill(rows), "2026-08")
    assert (found.kind, found.monthly_usd, found.confidence, found.region) == ("address", 3.6, "high", "us-east-1")
    assert found.evidence == "720 address-hours of account 1 in 2026-08; 1 row(s) of the bill"


def test_a_gateway_without_traffic_is_found_only_where_the_bill_names_it() -> None:
    rows = [line("NatGateway-Hours", "32.4", ResourceId="nat-1"), line("NatGateway-Hours", "32.4", ResourceId="nat-2"),
            line("NatGateway-Bytes", "5", ResourceId="nat-1")]  # fmt: skip
    (found,) = bill_waste(bill(rows), "2026-08")
    assert (found.monthly_usd, found.what) == (32.4, "1 NAT gateway(s) without traffic")
    assert "nat-2 of account 1" in found.evidence
    assert bill_waste(bill([r | {"ResourceId": None} for r in rows]), "2026-08") == ()
    assert bill_waste(bill(rows[:2]), "2026-08") == ()  # no bytes anywhere: the bill may not show them


def test_older_volumes_take_the_price_of_newer_ones_on_the_same_bill() -> None:
    old, new = (line(f"EBS:VolumeUsage.{k}", c, PricingQuantity="1000") for k, c in (("gp2", 100), ("gp3", 80)))
    found, rest = bill_waste(bill([old, new]), "2026-08")
    assert (found.kind, found.monthly_usd, found.confidence) == ("storage", 20.0, "medium")
    assert (rest.monthly_usd, rest.held_usd) == (0.0, 180.0)
    assert "is not on a bill" in rest.reason
    (unknown, _) = bill_waste(bill([old, new | {"RegionId": "eu-west-1"}]), "2026-08")
    assert unknown.monthly_usd is None  # the price of another region says nothing


def test_unused_commitments_are_waste_that_is_paid_until_it_ends() -> None:
    review = pd.DataFrame(
        [{"month": "2026-08", "currency": "USD", "product": p, "unused": u, "committed": 100.0,
          "utilisation_frac": 1 - u / 100.0, "rows_unused": 3}
         for p, u in (("compute_sp", 8.0), ("ec2_ri", 0.0), ("all", 8.0))]
    )  # fmt: skip
    (found,) = unused_commitments(review, "2026-08")
    assert (found.what, found.monthly_usd, found.taken_by) == (
        "unused Compute Savings Plans", 8.0, "none: paid until it ends",
    )  # fmt: skip


def test_the_frame_has_the_most_money_first_and_unknown_money_as_null() -> None:
    volumes = bill_waste(bill([line("VolumeUsage.gp2", "5", PricingQuantity="50")]), "2026-08")
    frame = waste_frame([*fleet_waste(fleet()), *volumes])
    assert list(frame["kind"]) == ["oversized", "storage", "storage"]
    assert frame["monthly_usd"].isna().sum() == 1
    assert waste_frame([]).empty


def test_the_demo_bill_shows_no_waste_by_itself_but_says_what_it_cannot_tell() -> None:
    found = bill_waste(ds.dataset(ROOT / "fixtures/data/bill").to_table(), "2026-09")
    (only,) = found
    assert (only.kind, only.monthly_usd, only.held_usd) == ("storage", 0.0, pytest.approx(15_928.415594))
    assert only.evidence == "15,928.42 USD of them in 2026-09; 660 row(s) of the bill"
