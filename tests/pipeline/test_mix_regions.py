"""The loss of a region, databases and reservations: what reaches the optimizer from the store."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from capacity import forecast, pipeline, scenario
from capacity.catalogue import load, rate_column
from capacity.domain import Unit
from capacity.pipeline.mix import UnitNeed, solve_mix
from capacity.pipeline.mix._failover import shares_of
from capacity.pipeline.planning import Ground
from tests import company
from tests.pipeline import mix_kit

EAST, WEST = Unit("web", "us-east-1"), Unit("web", "us-west-2")
DB, API = Unit("web", "us-east-1"), Unit("api", "us-east-1")


# --- losing a region ---------------------------------------------------------------------------------------


def second_region(frame: pd.DataFrame) -> pd.DataFrame:
    """web in the west at half the load, ten hours later in the day."""
    rows = frame[frame["service"] == "web"].copy()
    moved = pd.to_datetime(rows["ts"]) + pd.Timedelta(hours=10)
    rows["ts"] = moved.dt.strftime("%Y-%m-%dT%H:%M:%SZ")
    rows = rows[moved < company.AS_OF]
    half = rows["metric"] == "requests_per_second"
    rows.loc[half, "value"] *= 0.5
    return rows.assign(region="us-west-2")


def also_west(frame: pd.DataFrame) -> pd.DataFrame:
    rows = frame[frame["service"] == "web"]
    zones = rows["zone"].str.replace("us-east-1", "us-west-2")
    return pd.concat([frame, rows.assign(region="us-west-2", zone=zones)])


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Ground:
    text = company.CONFIG.replace(
        "regions: [us-east-1]\n    account_id: \"1\"\n    max_utilisation_frac: 0.6\n    burst_factor",
        "regions: [us-east-1, us-west-2]\n    failover: [{from: us-east-1, to: {us-west-2: 0.6}}, {from: any}]\n"
        "    account_id: \"1\"\n    max_utilisation_frac: 0.6\n    burst_factor",
    )  # fmt: skip
    rates = mix_kit.prices(
        *((t, "on_demand", x) for t, x in (("m5.xlarge", 0.22), ("m7g.xlarge", 0.19), ("c6g.2xlarge", 0.31))),
        region="us-west-2",
    )
    folder = tmp_path_factory.mktemp("two") / "co"
    edits = (mix_kit.usage(second_region), mix_kit.fleet(also_west), rates)
    return mix_kit.ground_of(folder, mix_kit.with_source(text, "prices"), *edits)


def test_shares_are_those_of_the_named_region_and_even_else(two: Ground) -> None:
    web = two.inputs.config.service("web")
    assert shares_of(web, "us-east-1") == {"us-west-2": 0.6}
    assert shares_of(web, "us-west-2") == {"us-east-1": 1.0}
    assert shares_of(web, "eu-west-1") == {}
    assert shares_of(two.inputs.config.service("api"), "us-east-1") == {}


def test_the_others_carry_joint_paths_at_the_tiers_level(two: Ground) -> None:
    needs = mix_kit.needs_of(two)
    level = two.inputs.config.tier("critical").service_level
    for unit, other, share in ((WEST, EAST, 0.6), (EAST, WEST, 1.0)):
        need = needs[unit]
        joint = need.hours + np.float32(share) * needs[other].hours
        for month in sorted({b.month for b in need.blocks}):
            inside = np.asarray(need.days.strftime("%Y-%m") == month)
            top = max(b.region_loss_demand for b in need.blocks if b.month == month)
            held = float((joint[:, inside].max(axis=(1, 2)) <= top * (1 + 1e-6)).mean())
            assert level <= held <= level + 1.5 / len(joint)
            asked = [b.region_loss_demand for b in need.requirement.blocks if b.month == month]
            assert max(asked) == pytest.approx(top + need.reserve)
            separate = _quantile(need, inside, level) + share * _quantile(needs[other], inside, level)
            assert top < separate  # they are not busiest at once


def _quantile(need: UnitNeed, inside: np.ndarray, level: float) -> float:
    return float(np.quantile(need.hours[:, inside].max(axis=(1, 2)), level))


def test_blocks_are_those_of_the_plan(two: Ground) -> None:
    need = mix_kit.needs_of(two)[WEST]
    served = {(b.month, b.block): b.region_loss_demand for b in need.blocks}
    assert all(x > 0 for x in served.values())
    own = forecast.plan_coverage(need.hours, need.days, need.blocks, served)
    assert min(own.values()) >= 0.95  # what carries both carries its own


def test_a_scenario_that_lost_a_region_loses_no_second_one(two: Ground) -> None:
    lost = scenario.Scenario(name="lost", failure=scenario.Failure(region="us-west-2"))
    needs = mix_kit.needs_of(two, lost)
    assert WEST not in needs
    assert all(b.region_loss_demand == 0 for b in needs[EAST].blocks)


def test_without_a_rule_nothing_arrives(two: Ground) -> None:
    assert all(b.region_loss_demand == 0 for b in mix_kit.needs_of(two)[API].blocks)


# --- managed databases -------------------------------------------------------------------------------------


def on_database(frame: pd.DataFrame) -> pd.DataFrame:
    web = frame["service"] == "web"
    return frame.assign(
        instance_type=frame["instance_type"].mask(web, "db.m5.xlarge"), count=frame["count"].mask(web, 5)
    )


DB_TEXT = mix_kit.with_source(company.CONFIG, "prices").replace(
    "    burst_factor: 1.1\n", "    burst_factor: 1.1\n    kind: vertical\n    max_instances_per_zone: 5\n"
)


def test_a_database_is_planned_over_the_db_types_that_have_a_rate(tmp_path: Path) -> None:
    rates = [("db.m5.xlarge", 0.36), ("db.m7i.2xlarge", 0.74), ("db.r6g.xlarge", 0.43), ("db.m7g.xlarge", 0.30)]
    edits = (
        mix_kit.fleet(on_database),
        mix_kit.prices(*((t, "on_demand", x) for t, x in rates), os="PostgreSQL"),
        mix_kit.prices(("db.m7g.xlarge", "on_demand", 0.9), os="Oracle"),
    )
    ground = mix_kit.ground_of(tmp_path, DB_TEXT, *edits)
    needs = mix_kit.needs_of(ground)
    need = needs[DB]
    names = {c.instance_type for c in need.requirement.candidates}
    assert names <= {t for t, _ in rates if t != "db.m7g.xlarge"}  # two engines, two rates: none is taken
    assert "no known on-demand rate in this region" in {
        e.reason for e in need.excuses if e.instance_type == "db.m7g.xlarge"
    }
    assert not any(c.instance_type.startswith("db.") for c in needs[API].requirement.candidates)
    assert not any(e.instance_type.startswith("db.") for e in needs[API].excuses)
    kind = ground.inputs.types["db.r6g.xlarge"]
    assert (kind.vcpu, kind.memory_gib, kind.family) == (4, 32.0, "db.r6g")
    mix = solve_mix(ground.inputs, {DB: need}, seed=1)
    assert mix is not None
    planned = mix.solution.provisioned
    assert set(planned[planned["instances"] > 0]["instance_type"]) == {"db.m7i.2xlarge"}
    assert set(planned[planned["instances"] > 0]["per_zone"]) == {5}  # the count stays, the type is chosen


def discounted(bill: pd.DataFrame) -> pd.DataFrame:
    """The database's hours at 5 % off the list, instances at 20 %."""
    is_db, is_machine = bill["Tags"].str.contains("web"), bill["Tags"].str.contains("api")
    off = 1 - 0.05 * is_db - 0.2 * is_machine
    paid = (bill["ListCost"].astype(float) * off).map(lambda x: f"{x:.6f}")
    bill = bill.assign(PricingUnit="Hours", **dict.fromkeys(("BilledCost", "EffectiveCost", "ContractedCost"), paid))
    return bill.assign(
        ServiceCategory=bill["ServiceCategory"].mask(is_db, "Databases"),
        ServiceName=bill["ServiceName"].mask(is_db, "Amazon Relational Database Service"),
    )


def test_a_database_is_priced_at_its_own_discount_and_not_at_that_of_instances(tmp_path: Path) -> None:
    edits = (
        mix_kit.fleet(on_database),
        mix_kit.prices(("db.m5.xlarge", "on_demand", 0.36), ("db.m7i.2xlarge", "on_demand", 0.74), os="PostgreSQL"),
        mix_kit.bill(discounted),
    )
    settings = mix_kit.ground_of(tmp_path, DB_TEXT, *edits).inputs.config
    plan = pipeline.run(settings, pipeline.open_store(settings), as_of=mix_kit.AS_OF).plans[0]
    rows = plan.frame("mix")
    each = dict(zip(rows["instance_type"], rows["usd_per_hour"] / rows["instances"], strict=True))
    assert each.pop("db.m7i.2xlarge") == pytest.approx(0.74 * 0.95)
    listed = {kind: load().frame.set_index("instance_type").loc[kind, rate_column("on_demand")] for kind in each}
    assert listed
    assert each == {kind: pytest.approx(0.8 * rate) for kind, rate in listed.items()}


def test_a_database_without_a_rate_is_forecast_and_not_planned(tmp_path: Path) -> None:
    ground = mix_kit.ground_of(tmp_path, DB_TEXT, mix_kit.fleet(on_database), mix_kit.prices())
    assert DB in ground.base.peak
    assert DB not in mix_kit.needs_of(ground)
    assert any("db.m5.xlarge" in flag for flag in ground.data[DB].flags)


# --- capacity reservations ---------------------------------------------------------------------------------

COLUMNS = ("id", "account_id", "instance_type", "count", "state", "os", "tenancy", "end")


def reserve(*rows: tuple[object, ...]) -> pd.DataFrame:
    frame = pd.DataFrame(rows, columns=list(COLUMNS)).assign(
        region="us-east-1", zone="us-east-1a", available=0, match="open", start=pd.Timestamp(mix_kit.DAY)
    )
    return frame.assign(end=pd.to_datetime(frame["end"], utc=True))


def test_live_linux_reservations_of_planned_accounts_are_in_the_problem(tmp_path: Path) -> None:
    held = reserve(
        ("cr-1", "1", "r5.4xlarge", 3, "active", "Linux", "default", None),
        ("cr-2", "1", "m5.xlarge", 2, "active", "Linux", "default", "2026-10-15T00:00:00Z"),
        ("cr-3", "1", "m5.xlarge", 2, "active", "Windows", "default", None),
        ("cr-4", "1", "m5.xlarge", 2, "cancelled", "Linux", "default", None),
        ("cr-5", "1", "m5.xlarge", 2, "active", "Linux", "default", "2026-08-15T00:00:00Z"),
        ("cr-6", "9", "m5.xlarge", 4, "active", "Linux", "default", None),
        ("cr-7", "1", "m5.xlarge", 4, "active", "Linux", "dedicated", None),
    )
    text = company.CONFIG.replace("why_seconds: 0}", "why_seconds: 0, most_types: null}")
    ground = mix_kit.ground_of(tmp_path, text, stored={"capacity_reservations": held})
    assert [(r.id, r.count, r.end is None) for r in ground.inputs.reservations] == [
        ("cr-1", 3, True), ("cr-2", 2, False), ("cr-6", 4, True),
    ]  # fmt: skip
    needs = mix_kit.needs_of(ground)
    assert all("r5.4xlarge" in {c.instance_type for c in n.requirement.candidates} for n in needs.values())
    mix = solve_mix(ground.inputs, needs, seed=1)
    assert mix is not None
    assert [r.id for r in mix.problem.reservations] == ["cr-1", "cr-2"]
    assert any("cr-6" in note and "not in the plan" in note for note in mix.solution.notes)
    # Windows and dedicated hosts are paid too: that they are left out is said.
    assert any("cr-3, cr-7" in note and "shared hosts" in note for note in mix.solution.notes)
