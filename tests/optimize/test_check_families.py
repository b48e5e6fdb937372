"""The checker on what came later: spot, further resources, lost regions, variety, reservations, purchases."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import pandas as pd
import pytest

from capacity.domain import Candidate, CapacityReservation, MixProblem, Offer
from capacity.errors import PlanCheckError
from capacity.optimize import check
from tests.optimize.direct import Direct, solve_direct
from tests.optimize.makers import ACCOUNT, MONTHS, REGION, STANDARD, candidate, commitment, problem, quota, unit

SPOT_CODE = "L-34B43A08"


def _kind(name: str, usd: float, memory: float, spot: float | None, vcpu: int = 2) -> Candidate:
    return replace(
        candidate(name, usd, 10.0, vcpu), further={"memory": (memory, memory)}, spot_usd_per_hour=spot,
        spot_buffer_frac=0.5, spot_quota_code=SPOT_CODE,
    )  # fmt: skip


KINDS = [_kind("m5.large", 0.10, 8.0, 0.01), _kind("c5.large", 0.09, 4.0, 0.02), _kind("r5.large", 0.12, 16.0, None)]


def _problem() -> MixProblem:
    spot = unit("spot", [100, 40], KINDS, zones=1, survived=0, least=0)
    spot = replace(spot, spot_max_frac=0.5, spot_least_types=2, least_types=2)
    cache = unit("cache", [20, 20], KINDS, least=0, autoscaled=False)
    cache = replace(cache, blocks=tuple(replace(b, further={"memory": 100.0}) for b in cache.blocks))
    stand_in = unit("standin", [30, 30], KINDS, zones=2, survived=0, least=0)
    stand_in = replace(stand_in, blocks=tuple(replace(b, region_loss_demand=150.0) for b in stand_in.blocks))
    start = datetime(2025, 1, 1, tzinfo=UTC)
    return replace(
        problem(
            spot, cache, stand_in,
            commitments=[commitment("csp", "compute_sp", hourly=0.07)], rates={"csp": 0.7},
            quotas=[quota(200.0), quota(20.0, code=SPOT_CODE)],
        ),
        offers=(
            Offer("ri", "standard_ri", 1, "no_upfront", "m5.large", REGION, "", {"m5.large": 0.5}),
            Offer("sp", "compute_sp", 1, "no_upfront", "", "", "", {"c5.large": 0.7, "r5.large": 0.8}),
        ),
        reservations=(
            CapacityReservation("cr", ACCOUNT, REGION, "", "r5.large", 40, start, datetime(2026, 1, 11, tzinfo=UTC)),
        ),
    )  # fmt: skip


@dataclass
class Frames:
    """The frames of a plan, to be tampered with."""

    provisioned: pd.DataFrame
    running: pd.DataFrame
    commitment_use: pd.DataFrame
    spend: pd.DataFrame
    purchases: pd.DataFrame

    def check(self, p: MixProblem) -> None:
        check(p, self.provisioned, self.running, self.commitment_use, self.spend, self.purchases)


@pytest.fixture(scope="module")
def planned() -> tuple[MixProblem, Direct]:
    p = _problem()
    plan = solve_direct(p)
    assert plan is not None
    return p, plan


@pytest.fixture
def frames(planned: tuple[MixProblem, Direct]) -> Frames:
    plan = planned[1]
    tables = (plan.provisioned, plan.running, plan.commitment_use, plan.spend, plan.purchases)
    return Frames(*(t.copy() for t in tables))


def test_a_right_plan_passes_and_every_new_family_looked_at_something(planned: tuple[MixProblem, Direct]) -> None:
    p, plan = planned
    results = check(p, plan.provisioned, plan.running, plan.commitment_use, plan.spend, plan.purchases)
    unused = {"vertical units keep their count", "pinned counts are kept"}
    assert {c.name for c in results if c.rows == 0} == unused
    assert set(plan.purchases["offer"]) == {"ri", "sp"}
    assert set(plan.running["purchase"]) == {"on_demand", "spot"}


def test_the_plan_in_another_order_passes_too(planned: tuple[MixProblem, Direct], frames: Frames) -> None:
    p = planned[0]
    frames.running = frames.running.iloc[::-1]
    frames.commitment_use = frames.commitment_use.iloc[::-1]
    frames.check(replace(p, requirements=p.requirements[::-1], offers=p.offers[::-1], quotas=p.quotas[::-1]))


# --- one wrong thing ---------------------------------------------------------------------------------------


def _add(f: Frames, service: str, kind: str, purchase: str, more: int, block: str = "") -> None:
    """``more`` instances per zone of a type, with all derived columns in agreement."""
    c = next(k for k in KINDS if k.instance_type == kind)
    price = c.usd_per_hour if purchase == "on_demand" else c.spot_usd_per_hour or 0.0
    for frame in (f.provisioned, f.running):
        rows = (frame["service"] == service) & (frame["instance_type"] == kind) & (frame["purchase"] == purchase)
        if "block" in frame and block:
            rows &= frame["block"] == block
        assert rows.any(), f"{service} has no {purchase} {kind}"
        zones = (frame.loc[rows, "instances"] / frame.loc[rows, "per_zone"]).round().astype(int)
        frame.loc[rows, "per_zone"] += more
        frame.loc[rows, "instances"] += more * zones
        if "block" in frame:
            frame.loc[rows, "usd"] = frame.loc[rows, "instances"] * price * frame.loc[rows, "hours"]
        else:
            frame.loc[rows, "vcpu"] = frame.loc[rows, "instances"] * c.vcpu
            frame.loc[rows, "usd_per_hour"] = frame.loc[rows, "instances"] * price


def _least(f: Frames, service: str, purchase: str) -> str:
    rows = f.running[(f.running["service"] == service) & (f.running["purchase"] == purchase)]
    return str(rows.sort_values(["per_zone", "instance_type"])["instance_type"].iloc[0])


def _one_spot_more(f: Frames, _p: MixProblem) -> None:
    _add(f, "spot", "m5.large", "spot", 1)


def _spot_of_one_type(f: Frames, _p: MixProblem) -> None:
    for frame in (f.provisioned, f.running):
        frame.drop(frame[(frame["purchase"] == "spot") & (frame["instance_type"] == "c5.large")].index, inplace=True)


def _spot_that_is_not_to_be_had(f: Frames, _p: MixProblem) -> None:
    f.running.loc[f.running["service"] == "cache", "purchase"] = "spot"


def _spot_at_on_demand_price(f: Frames, _p: MixProblem) -> None:
    rows = f.running.index[f.running["purchase"] == "spot"][:1]
    f.running.loc[rows, "usd"] += 1.0


def _spot_provisioned_twice(f: Frames, _p: MixProblem) -> None:
    running = f.running.copy()
    _add(f, "spot", "m5.large", "spot", 1)
    f.running = running


def _all_of_one_type(f: Frames, _p: MixProblem) -> None:
    for frame in (f.provisioned, f.running):
        frame.drop(frame[(frame["service"] == "spot") & (frame["instance_type"] != "m5.large")].index, inplace=True)


def _one_fewer_in_the_cache(f: Frames, _p: MixProblem) -> None:
    _add(f, "cache", _least(f, "cache", "on_demand"), "on_demand", -1)


def _one_too_few_for_the_lost_region(f: Frames, _p: MixProblem) -> None:
    # 5 a zone are 2 x 15 x 5 = 150.
    rows = f.provisioned[f.provisioned["service"] == "standin"]
    f.provisioned = f.provisioned.drop(rows.index[1:])
    running = f.running.copy()
    _add(f, "standin", rows["instance_type"].iloc[0], "on_demand", 4 - int(rows["per_zone"].iloc[0]))
    f.running = running


def _reserved_for_nothing(f: Frames, _p: MixProblem) -> None:
    rows = f.spend["unit"] == "(reservations unused)"
    f.spend.loc[rows, ["on_demand_usd", "total_usd"]] -= 1.0


def _reserved_left_out(f: Frames, _p: MixProblem) -> None:
    f.spend = f.spend[f.spend["unit"] != "(reservations unused)"]


def _covered_hour(name: str, hours: float) -> Callable[[Frames, MixProblem], None]:
    """An hour of m5.large more (or less) under a commitment, with its own columns and the spend in agreement."""

    def tamper(f: Frames, _p: MixProblem) -> None:
        row = f.commitment_use.index[f.commitment_use["id"] == name][0]
        f.commitment_use.loc[row, "used_usd"] += 0.10 * hours
        spent = f.spend.index[f.spend["service"] == "spot"][0]
        f.spend.loc[spent, ["on_demand_usd", "total_usd"]] -= 0.10 * hours

    return tamper


def _one_bought_fewer(f: Frames, _p: MixProblem) -> None:
    rows = f.purchases["offer"] == "ri"
    f.purchases.loc[rows, "hourly_usd"] *= 1 - 1 / f.purchases.loc[rows, "count"]
    f.purchases.loc[rows, "count"] -= 1


def _bought_at_another_price(f: Frames, _p: MixProblem) -> None:
    f.purchases.loc[f.purchases["offer"] == "ri", "hourly_usd"] *= 0.9


def _half_an_instance_bought(f: Frames, _p: MixProblem) -> None:
    f.purchases["count"] = f.purchases["count"].astype(float)
    rows = f.purchases["offer"] == "ri"
    f.purchases.loc[rows, "hourly_usd"] *= 1 + 0.5 / f.purchases.loc[rows, "count"]
    f.purchases.loc[rows, "count"] += 0.5


def _bought_of_no_offer(f: Frames, _p: MixProblem) -> None:
    f.purchases.loc[f.purchases.index[0], "offer"] = "rumour"


def _bought_twice(f: Frames, _p: MixProblem) -> None:
    f.purchases = pd.concat([f.purchases, f.purchases.iloc[:1]], ignore_index=True)


def _purchase_not_paid(f: Frames, _p: MixProblem) -> None:
    row = f.commitment_use.index[f.commitment_use["id"] == f"sp@{MONTHS[0]}"][0]
    f.commitment_use.loc[row, "paid_usd"] -= 1.0


def _purchase_left_out(f: Frames, _p: MixProblem) -> None:
    f.purchases = f.purchases[f.purchases["offer"] != "sp"]


def _spot_spend_hidden(f: Frames, _p: MixProblem) -> None:
    row = f.spend.index[f.spend["service"] == "spot"][0]
    f.spend.loc[row, ["spot_usd", "total_usd"]] -= 1.0


def _a_dollar_of_another_unit(f: Frames, _p: MixProblem) -> None:
    for service, usd in (("cache", 1.0), ("standin", -1.0)):
        f.spend.loc[f.spend["service"] == service, ["committed_usd", "total_usd"]] += usd


@pytest.mark.parametrize(
    ("tamper", "family"),
    [
        (_one_spot_more, "spot serves no more than its share"),
        (_one_spot_more, "spot quotas"),
        (_spot_of_one_type, "spot spreads over enough types"),
        (_spot_of_one_type, "demand is served"),
        (_spot_that_is_not_to_be_had, "frames agree with the problem"),
        (_spot_at_on_demand_price, "frames agree with the problem"),
        (_spot_provisioned_twice, "running within provisioned"),
        (_all_of_one_type, "enough types run"),
        (_one_fewer_in_the_cache, "further resources are held with zones lost"),
        (_one_too_few_for_the_lost_region, "demand is served with a region lost"),
        (_reserved_for_nothing, "reservations that are not used are paid"),
        (_reserved_left_out, "reservations that are not used are paid"),
        (_covered_hour("csp", 1.0), "commitments are not overdrawn"),
        (_covered_hour("csp", -1.0), "commitments cover as the provider applies them"),
        (_covered_hour(f"ri@{MONTHS[0]}", 1.0), "commitments are not overdrawn"),
        (_covered_hour(f"ri@{MONTHS[0]}", -1.0), "commitments cover as the provider applies them"),
        (_covered_hour(f"sp@{MONTHS[0]}", 1.0), "commitments cover as the provider applies them"),
        (_one_bought_fewer, "commitments are not overdrawn"),
        (_one_bought_fewer, "commitments are paid whole"),
        (_bought_at_another_price, "purchases agree with the offers"),
        (_half_an_instance_bought, "purchases agree with the offers"),
        (_bought_of_no_offer, "purchases agree with the offers"),
        (_bought_twice, "purchases agree with the offers"),
        (_purchase_not_paid, "commitments are paid whole"),
        (_purchase_left_out, "commitments are paid whole"),
        (_spot_spend_hidden, "spend adds up"),
        (_a_dollar_of_another_unit, "spend adds up"),
    ],
)
def test_one_wrong_thing_is_refused_by_name(
    planned: tuple[MixProblem, Direct], frames: Frames, tamper: Callable[[Frames, MixProblem], None], family: str
) -> None:
    tamper(frames, planned[0])
    with pytest.raises(PlanCheckError) as error:
        frames.check(planned[0])
    assert f"  - {family}: " in str(error.value)


def test_reserved_capacity_beyond_the_plan_is_in_the_quota(planned: tuple[MixProblem, Direct], frames: Frames) -> None:
    p = planned[0]
    # 40 reserved r5.large of 2 vCPU stand beside what is provisioned of other types.
    other = frames.provisioned[frames.provisioned["purchase"] == "on_demand"]
    used = int(other.loc[other["instance_type"] != "r5.large", "vcpu"].sum()) + 80
    frames.check(replace(p, quotas=(quota(float(used)),)))
    with pytest.raises(PlanCheckError, match="quotas: " + STANDARD):
        frames.check(replace(p, quotas=(quota(used - 1.0),)))


def test_a_plan_without_a_column_is_refused_by_name(planned: tuple[MixProblem, Direct], frames: Frames) -> None:
    frames.spend = frames.spend.drop(columns="spot_usd")
    with pytest.raises(PlanCheckError, match="spend has no column spot_usd"):
        frames.check(planned[0])
