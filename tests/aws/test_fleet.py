"""Fleets: nothing twice, the past as it was, one account's failure alone, and no row that says nothing new."""

from __future__ import annotations

import random
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from capacity import saturation
from capacity.config import AwsAccess, FleetSource
from capacity.errors import DataError, UsageError
from capacity.pipeline.fleet import hourly_counts
from capacity.schemas import CAPACITY_RESERVATIONS, FLEET, check_frame
from capacity.sources import Batch, Context
from capacity.sources.aws.fleet import FleetReader
from capacity.store import Store, ingest
from tests.aws.fake_fleet import EPOCH, World, install, reservation
from tests.aws.standin import MANAGEMENT, Call, StandIn, member, running

HOUR = timedelta(hours=1)
ZONES = ("us-east-1a", "us-east-1b", "us-east-1c")
MEMBER, OTHER = "222222222222", "333333333333"


def reader(aws: StandIn, access: dict[str, Any] | None = None, **keys: Any) -> FleetReader:
    way = AwsAccess.model_validate({"regions": ["us-east-1"], "endpoint_url": aws.url, **(access or {})})
    config = FleetSource.model_validate({"kind": "aws_fleet", "name": "fleet", **keys})
    return FleetReader(config, Context(Path, (way,)))


def frame(batches: Sequence[Batch], name: str = "fleet") -> pd.DataFrame:
    tables = [b.table for b in batches if b.frame == name]
    schema = {"fleet": FLEET, "capacity_reservations": CAPACITY_RESERVATIONS}[name].schema
    rows = pa.concat_tables([schema.empty_table(), *tables]).to_pandas()
    return check_frame(name, rows, "test")


def newest(rows: pd.DataFrame) -> pd.DataFrame:
    return rows[rows["ts"] == rows["ts"].max()]


def notes(batches: Sequence[Batch]) -> str:
    return "\n".join(n for b in batches for n in b.notes)


# --- nothing twice ---------------------------------------------------------------------------------------------------


def organisation(seed: int) -> World:
    """Groups of clusters and of their own, instances of all states, tags or none, databases."""
    rng = random.Random(seed)
    world = World(now=EPOCH)
    services = ["a", "b", None]
    for g in range(rng.randint(0, 5)):
        name = f"group-{g}"
        world.group(name, rng.choice(services))
        if rng.random() < 0.4:
            tags = {"service": "c"} if rng.random() < 0.5 else {}
            world.node_groups[f"cluster-{g % 2}", f"nodes-{g}"] = (tags, [name])
    for _ in range(rng.randint(0, 30)):
        group = rng.choice([*world.groups, None])
        made = world.launch(
            group, EPOCH - timedelta(hours=rng.randint(1, 50)), rng.choice(ZONES),
            rng.choice(["m5.large", "c5.xlarge"]), spot=rng.random() < 0.3,
            tags=rng.choice([{"service": "a"}, {"Name": "box-7"}, {}]),
        )  # fmt: skip
        made.stopped = rng.random() < 0.2
        if rng.random() < 0.2:
            world.terminate(made, EPOCH - timedelta(minutes=rng.randint(1, 90)))
    for d in range(rng.randint(0, 3)):
        both = {"MultiAZ": True, "SecondaryAvailabilityZone": "us-east-1b"} if rng.random() < 0.5 else {}
        world.database(f"db-{d}", rng.choice(services), DBInstanceStatus=rng.choice(["available", "stopped"]), **both)
    return world


def machines(world: World) -> int:
    up = [d for d in world.databases if d["DBInstanceStatus"] == "available"]
    return len(world.running(world.now)) + sum(2 if d["MultiAZ"] else 1 for d in up)


def test_the_counts_are_the_running_machines_whoever_owns_them() -> None:
    with running() as aws:
        by_name = reader(aws, naming={"otherwise": "name"}, history=False)
        by_tag = reader(aws, history=False)

        @given(st.integers(0, 2**32))
        def check(seed: int) -> None:
            world = organisation(seed)
            install(aws, world)
            assert frame(list(by_name.batches(None, EPOCH)))["count"].sum() == machines(world)
            batches = list(by_tag.batches(None, EPOCH))
            named = int(frame(batches)["count"].sum())
            left_out = re.findall(r"^(\d+) running (\w+)", notes(batches), re.MULTILINE)
            two_zones = {d["DBInstanceIdentifier"] for d in world.databases if d["MultiAZ"]}
            nameless = {
                d["DBInstanceIdentifier"]
                for d in world.databases
                if not d["TagList"] and d["DBInstanceStatus"] == "available"
            }
            assert named + sum(int(n) for n, _ in left_out) + len(two_zones & nameless) == machines(world)

        check()


def test_each_instance_goes_to_its_node_group_then_its_group_then_itself(aws: StandIn) -> None:
    world = World()
    world.group("eks-7f", "kube")
    world.group("web", "checkout")
    world.group("bare", None)
    world.node_groups["prod", "workers"] = ({"service": "search"}, ["eks-7f"])
    for group in ("eks-7f", "web", "bare", None):
        world.launch(group, EPOCH - HOUR, tags={"service": "own"})
    install(aws, world)
    rows = frame(list(reader(aws, history=False).batches(None, EPOCH)))
    assert dict(zip(rows["service"], rows["count"], strict=True)) == {"search": 1, "checkout": 1, "own": 2}
    only = frame(list(reader(aws, history=False, reads=["eks"]).batches(None, EPOCH)))
    assert list(only["service"]) == ["search"]
    # Without the clusters a node group's Auto Scaling group is a group like any other.
    asg = frame(list(reader(aws, history=False, reads=["asg"]).batches(None, EPOCH)))
    assert dict(zip(asg["service"], asg["count"], strict=True)) == {"kube": 1, "checkout": 1, "own": 1}


def test_names_say_the_service_by_whole_patterns(aws: StandIn) -> None:
    world = World()
    for name in ("shop-web-blue", "shop-web", "other"):
        world.group(name, None)
        world.launch(name, EPOCH - HOUR)
    install(aws, world)
    batches = list(reader(aws, naming={"names": {"shop-web(-blue)?": "checkout"}}, history=False).batches(None, EPOCH))
    assert list(frame(batches)["service"]) == ["checkout"]
    assert frame(batches)["count"].tolist() == [2]
    assert "1 running instances of Auto Scaling groups have no service and are left out (other)" in notes(batches)
    with pytest.raises(UsageError, match=r"naming: '\(' is no regular expression"):
        reader(aws, naming={"names": {"(": "x"}})


def test_minimum_and_maximum_are_the_services_as_the_readers_take_them(aws: StandIn) -> None:
    world = World()
    world.group("blue", "checkout", minimum=2, maximum=9)
    world.group("green", "checkout", minimum=1, maximum=5)
    world.group("idle", "batch", minimum=0, maximum=4)
    for i in range(6):
        world.launch("blue" if i % 2 else "green", EPOCH - HOUR, ZONES[i % 3])
    world.launch(None, EPOCH - HOUR, tags={"service": "checkout"})
    install(aws, world)
    rows = frame(list(reader(aws, history=False).batches(None, EPOCH)))
    assert set(zip(rows["min"], rows["max"], strict=True)) == {(4, 15)}
    assert saturation.group_maximum(rows, pd.Timestamp(EPOCH)) == 15
    assert "batch" not in set(rows["service"])  # nothing of it runs, and nothing ever did


def test_sizes_in_other_units_are_not_taken_for_instances(aws: StandIn) -> None:
    world = World()
    overrides = [{"InstanceType": "m5.large", "WeightedCapacity": "2"}]
    world.group(
        "w", "checkout", maximum=40, extra={"MixedInstancesPolicy": {"LaunchTemplate": {"Overrides": overrides}}}
    )
    world.launch("w", EPOCH - HOUR)
    install(aws, world)
    batches = list(reader(aws, history=False).batches(None, EPOCH))
    assert frame(batches)["max"].isna().all()
    assert "count capacity in other units than instances (w)" in notes(batches)


def test_a_database_is_a_service_of_its_own_with_its_standby(aws: StandIn) -> None:
    world = World()
    world.database("orders", "orders-db", "db.r6i.8xlarge", MultiAZ=True, SecondaryAvailabilityZone="us-east-1c")
    world.database("cart", "cart")
    world.database("any", "cart", "db.serverless")
    install(aws, world)
    batches = list(reader(aws).batches(None, EPOCH))
    rows = frame(batches)
    assert set(rows["service"]) == {"orders-db", "cart-db"}
    assert list(rows[rows["service"] == "orders-db"]["zone"]) == ["us-east-1a", "us-east-1c"]
    assert set(rows["purchase"]) == {"on_demand"}
    assert "1 serverless database(s)" in notes(batches)
    together = frame(list(reader(aws, database_service="{service}").batches(None, EPOCH)))
    assert set(together["service"]) == {"orders-db", "cart"}


# --- the past --------------------------------------------------------------------------------------------------------


def timeline(seed: int, days: int) -> World:
    """Random launches and terminations of several groups, from before the first day to the last."""
    rng = random.Random(seed)
    world = World()
    for g in range(rng.randint(1, 3)):
        name = f"group-{g}"
        kind, spot = rng.choice(["m5.large", "c5.xlarge"]), rng.random() < 0.3
        template = {"LaunchTemplateName": f"{kind}/spot" if spot else kind, "Version": "1"}
        world.group(name, rng.choice(["a", "b"]), extra={"LaunchTemplate": template})
        at = EPOCH - timedelta(days=60)
        for _ in range(rng.randint(0, 40)):
            at += timedelta(minutes=rng.randint(1, 60 * 72))
            if at > EPOCH + timedelta(days=days):
                break
            alive = [i for i in world.running(at) if i.group == name]
            if alive and rng.random() < 0.5:
                world.terminate(rng.choice(alive), at)
            else:
                world.launch(name, at, rng.choice(ZONES), kind, spot=spot)
    return world


def as_read(rows: pd.DataFrame, service: str, hours: pd.DatetimeIndex) -> list[Counter[Any]]:
    table = hourly_counts(rows[rows["service"] == service], hours)
    zones = [(zone, kind, purchase) for kind, zone, purchase in table.columns]
    return [Counter({z: int(n) for z, n in zip(zones, row, strict=True) if n}) for row in table.to_numpy()]


def test_the_past_is_what_it_was() -> None:
    with running() as aws:
        source = reader(aws, naming={"names": {}})

        @given(st.integers(0, 2**32))
        def check(seed: int) -> None:
            world = timeline(seed, 0)
            install(aws, world)
            rows = frame(list(source.batches(None, EPOCH)))
            first = EPOCH - timedelta(weeks=6) + HOUR
            hours = pd.date_range(first, EPOCH - HOUR, freq="h")
            for service in set(rows["service"]):
                read = as_read(rows, service, hours)
                known = rows[rows["service"] == service]["ts"].min()
                for hour, counts in zip(hours, read, strict=True):
                    if hour >= known:  # before its first snapshot a unit did not run at all
                        assert counts == world.truth(service, hour.to_pydatetime() + HOUR / 2), hour
                    else:
                        assert not world.truth(service, hour.to_pydatetime() + HOUR / 2), hour

        check()


def test_a_second_ingest_goes_on_from_the_store_and_the_past_stays_true() -> None:
    with running() as aws:
        source = reader(aws)

        @given(st.integers(0, 2**32), st.integers(1, 60 * 24 * 20))
        def check(seed: int, minutes: int) -> None:
            world = timeline(seed, 20)
            install(aws, world)
            world.now = EPOCH
            rows = frame(list(source.batches(None, EPOCH)))
            then = EPOCH + timedelta(minutes=minutes)
            world.now = then
            more = frame(list(source.proceed(stored(rows), then)))
            both = pd.concat([rows, more], ignore_index=True)
            assert not both.duplicated(list(FLEET.key)).any()
            assert (more["ts"] > EPOCH).all()
            hours = pd.date_range(EPOCH + HOUR, then - HOUR, freq="h")
            for service in set(both["service"]):
                known = both[both["service"] == service]["ts"].min()
                for hour, counts in zip(hours, as_read(both, service, hours), strict=True):
                    if hour >= known:
                        assert counts == world.truth(service, hour.to_pydatetime() + HOUR / 2), hour

        check()


def stored(rows: pd.DataFrame) -> Any:
    held = {"fleet": pa.Table.from_pandas(rows, schema=FLEET.schema, preserve_index=False)}
    return lambda name, filters: held.get(name, CAPACITY_RESERVATIONS.schema.empty_table())


def test_nothing_new_is_no_row_until_the_next_day(aws: StandIn) -> None:
    world = World()
    world.group("g", "a", minimum=1)
    world.launch("g", EPOCH - timedelta(days=3))
    world.launch("g", EPOCH - timedelta(days=2), ZONES[1])
    install(aws, world)
    source = reader(aws)
    rows = frame(list(source.batches(None, EPOCH)))
    for later, written in ((HOUR, False), (timedelta(days=1), True)):
        world.now = EPOCH + later
        more = frame(list(source.proceed(stored(rows), world.now)))
        assert bool(len(more)) is written
        assert set(more["ts"]) <= {pd.Timestamp(world.now)}
    next(iter(world.groups.values())).maximum += 5
    world.now = EPOCH + HOUR
    assert set(frame(list(source.proceed(stored(rows), world.now)))["ts"]) == {pd.Timestamp(world.now)}


def test_a_service_that_is_gone_ends_with_zeros_once(aws: StandIn) -> None:
    world = World()
    world.group("g", "checkout")
    world.launch("g", EPOCH - HOUR)
    install(aws, world)
    rows = frame(list(reader(aws).batches(None, EPOCH)))
    world.instances.clear()
    world.groups.clear()
    world.activities.clear()
    world.now = EPOCH + HOUR
    batches = list(reader(aws).proceed(stored(rows), world.now))
    end = frame(batches)
    assert end["count"].tolist() == [0]
    assert "1 service(s) ran here before and are not seen any more (checkout)" in notes(batches)
    both = pd.concat([rows, end], ignore_index=True)
    assert saturation.utilisation.running_now(both, pd.Timestamp(world.now)) == {}
    assert frame(list(reader(aws).proceed(stored(both), world.now + timedelta(days=1)))).empty
    for keys in ({"whole": False}, {"reads": ["asg", "ec2"]}):
        assert frame(list(reader(aws, **keys).proceed(stored(rows), world.now))).empty


def test_a_group_at_zero_by_night_is_zero_in_its_history(aws: StandIn) -> None:
    world = World()
    world.group("night", "batch", extra={"LaunchTemplate": {"LaunchTemplateName": "m5.large", "Version": "3"}})
    made = world.launch("night", EPOCH - timedelta(days=3))
    world.terminate(made, EPOCH - timedelta(days=2))
    install(aws, world)
    batches = list(reader(aws).batches(None, EPOCH))
    rows = frame(batches).sort_values("ts")
    assert rows["count"].tolist() == [1, 0, 0]
    assert rows["ts"].tolist() == [EPOCH - timedelta(days=3), EPOCH - timedelta(days=2), EPOCH]
    assert rows["max"].tolist()[-1] == 100
    assert "counted like their group's: 1 as m5.large on_demand" in notes(batches)


@pytest.mark.parametrize(
    ("story", "why"),
    [
        ("no_zone", "the type or the zone of"),
        ("no_end", "came, and its end is not told"),
        ("twice", "came or went more than once"),
        ("lives", "went, and runs"),
        ("pool", "activities of another kind (a warm pool?)"),
        ("mixed", "the type or the zone of"),
        ("deleted", "is deleted, its types are no longer told"),
    ],
)
def test_where_it_does_not_add_up_history_stops_and_says_why(aws: StandIn, story: str, why: str) -> None:
    world = World()
    world.group("g", "a")
    at = EPOCH - timedelta(days=5)
    world.launch("g", EPOCH - timedelta(days=20))
    gone = world.launch("g", EPOCH - timedelta(days=10))
    world.terminate(gone, at)
    naming = {"names": {"a-v1": "a"}}
    if story == "no_zone":
        for activity in world.activities:
            activity["Details"] = "not json" if gone.id in activity["Description"] else activity["Details"]
    elif story == "no_end":
        world.activities.pop()
        at = EPOCH
    elif story == "twice":
        world.activity("g", f"Terminating EC2 instance: {gone.id}", at - HOUR)
    elif story == "lives":
        world.activity("g", f"Terminating EC2 instance: {world.launch('g', at - HOUR).id}", at)
    elif story == "pool":
        world.activity("g", f"Launching a new EC2 instance into warm pool: {gone.id}", at)
    elif story == "mixed":
        world.launch("g", EPOCH - timedelta(days=30), kind="m5.4xlarge")
    else:
        world.activity("a-v1", "Terminating EC2 instance: i-0123456789abcdef0", at)
    install(aws, world)
    batches = list(reader(aws, naming=naming).batches(None, EPOCH))
    rows = frame(batches)
    assert why in notes(batches)
    assert f"a: no history before {at:%Y-%m-%dT%H:%MZ}" in notes(batches)
    assert rows["ts"].min() >= pd.Timestamp(at) - HOUR
    assert newest(rows)["count"].sum() == len(world.running(EPOCH))


def test_types_of_equal_size_may_stand_for_each_other_and_it_is_said(aws: StandIn) -> None:
    world = World()
    world.group("g", "a")
    world.launch("g", EPOCH - timedelta(days=20), kind="m5.large")
    world.launch("g", EPOCH - timedelta(days=20), kind="c5.large")
    world.terminate(world.launch("g", EPOCH - timedelta(days=10), kind="c5.large"), EPOCH - timedelta(days=5))
    install(aws, world)
    batches = list(reader(aws).batches(None, EPOCH))
    totals = frame(batches).groupby("ts")["count"].sum()
    assert totals.tolist() == [2, 3, 2, 2]
    assert "counted like their group's: 1 as c5.large on_demand" in notes(batches)


def test_standby_failed_and_unfinished_activities_change_nothing(aws: StandIn) -> None:
    world = World()
    world.group("g", "a")
    kept = world.launch("g", EPOCH - timedelta(days=20))
    world.activity("g", f"Moving EC2 instance to Standby: {kept.id}", EPOCH - timedelta(days=3))
    world.activity("g", "Launching a new EC2 instance.  Status Reason: no capacity", EPOCH - HOUR, status="Failed")
    world.launch("g", EPOCH + timedelta(minutes=1))  # on its way
    install(aws, world)
    batches = list(reader(aws).batches(None, EPOCH))
    assert frame(batches).groupby("ts")["count"].sum().tolist() == [1, 1]
    assert notes(batches) == ""


@pytest.mark.parametrize("what", ["launch", "launch_and_end", "end"])
def test_what_happens_between_the_listing_and_the_activities_stops_no_history(aws: StandIn, what: str) -> None:
    world = World()
    world.group("g", "a")
    kept = world.launch("g", EPOCH - timedelta(days=20))
    world.launch("g", EPOCH - timedelta(days=10))
    install(aws, world)
    calm = frame(list(reader(aws).batches(None, EPOCH)))
    late = EPOCH + timedelta(seconds=20)
    identity = kept.id if what == "end" else "i-0123456789abcdef0"
    told = [(f"Launching a new EC2 instance: {identity}", late)] if what != "end" else []
    if what != "launch":
        told.append((f"Terminating EC2 instance: {identity}", late + timedelta(seconds=9)))

    def activities(call: Call) -> Mapping[str, Any]:
        """As AWS answers a little later than it listed the instances."""
        for text, at in told:
            world.activity("g", text, at)
        told.clear()
        world.now = EPOCH + timedelta(minutes=1)
        return world.describe_activities(call)

    aws.on("autoscaling", "DescribeScalingActivities", activities)
    batches = list(reader(aws).batches(None, EPOCH))
    assert "no history" not in notes(batches)
    pd.testing.assert_frame_equal(frame(batches), calm)


def test_one_that_dies_just_before_the_listing_has_its_past(aws: StandIn) -> None:
    world = World()
    world.group("g", "a")
    world.launch("g", EPOCH - timedelta(days=20))
    gone = world.launch("g", EPOCH - timedelta(days=10))
    world.terminate(gone, EPOCH + timedelta(seconds=5))
    world.now = EPOCH + timedelta(seconds=10)
    install(aws, world)
    batches = list(reader(aws).batches(None, EPOCH))
    assert frame(batches).groupby("ts")["count"].sum().tolist() == [1, 2, 1]
    assert "no history" not in notes(batches)


def test_detached_instances_are_counted_where_they_run_on(aws: StandIn) -> None:
    world = World()
    world.group("g", "a")
    made = world.launch("g", EPOCH - timedelta(days=20), tags={"service": "a"})
    world.activity("g", f"Detaching EC2 instance: {made.id}", EPOCH - timedelta(days=3))
    made.group = None
    install(aws, world)
    batches = list(reader(aws).batches(None, EPOCH))
    assert set(frame(batches).groupby("ts")["count"].sum()) == {1}
    assert "no history" not in notes(batches)


# --- capacity reservations -------------------------------------------------------------------------------------------


def test_a_shared_reservation_is_its_owners_and_a_forgotten_one_ends(aws: StandIn) -> None:
    shared = reservation("cr-1", MEMBER)
    its_view = {**shared, "AvailableInstanceCount": 0}
    worlds = {
        (MANAGEMENT, "us-east-1"): World(reservations=[its_view, reservation("cr-2", MANAGEMENT)]),
        (MEMBER, "us-east-1"): World(reservations=[shared]),
    }  # fmt: skip
    install(aws, worlds)
    aws.members = [member(MANAGEMENT, "root"), member(MEMBER, "shop")]
    source = reader(aws, {"organization": {}}, reads=["capacity_reservations"])
    rows = frame(list(source.batches(None, EPOCH)), "capacity_reservations").set_index("id")
    assert rows["account_id"].to_dict() == {"cr-1": MEMBER, "cr-2": MANAGEMENT}
    assert rows.loc["cr-1", "available"] == 1
    assert rows["os"].unique().tolist() == ["Linux"]
    assert rows["end"].isna().all()
    worlds[MANAGEMENT, "us-east-1"].reservations.pop()
    held = pa.Table.from_pandas(rows.reset_index(), schema=CAPACITY_RESERVATIONS.schema, preserve_index=False)
    later = EPOCH + timedelta(days=2)
    after = frame(list(source.proceed(lambda name, filters: held, later)), "capacity_reservations").set_index("id")
    assert after["state"].to_dict() == {"cr-1": "active", "cr-2": "gone"}
    assert after.loc["cr-2", "end"] == pd.Timestamp(later)


# --- many accounts, and failure --------------------------------------------------------------------------------------


def organization(aws: StandIn) -> dict[tuple[str, str], World]:
    accounts = {MANAGEMENT: 3, MEMBER: 5, OTHER: 7}
    worlds = {}
    for account, size in accounts.items():
        for region in ("us-east-1", "eu-west-1"):
            world = World()
            world.group("web", "checkout")
            for i in range(size):
                world.launch("web", EPOCH - timedelta(days=i + 1), f"{region}{'abc'[i % 3]}")
            worlds[account, region] = world
    install(aws, worlds)
    aws.members = [member(a, f"team {a[0]}") for a in accounts]
    return worlds


ALL = {"organization": {}, "regions": ["us-east-1", "eu-west-1"]}


def collect(source: FleetReader) -> tuple[list[Batch], str]:
    batches: list[Batch] = []
    try:
        batches.extend(source.batches(None, EPOCH))
    except DataError as error:
        return batches, str(error)
    return batches, ""


def test_throttled_and_broken_pages_lose_and_double_nothing(aws: StandIn, quick_retries: None) -> None:
    worlds = organization(aws)
    big = worlds[MEMBER, "us-east-1"]
    for i in range(1, 130):
        big.group(f"g{i:03d}", f"s{i}")
    for i in range(1300):
        big.launch(f"g{i % 129 + 1:03d}", EPOCH - timedelta(minutes=i + 5), ZONES[i % 3])
    one = {"accounts": [MEMBER], "regions": ["us-east-1"]}
    calm = frame(collect(reader(aws, ALL, **one))[0])
    aws.throttle_frac = 0.3
    for name in (
        "ec2:DescribeInstances",
        "autoscaling:DescribeAutoScalingGroups",
        "autoscaling:DescribeScalingActivities",
    ):
        aws.breaks[name] = 2
    batches, failed = collect(reader(aws, ALL, **one))
    assert failed == ""
    assert sum(aws.throttled.values()) > 5
    assert not +aws.breaks
    pd.testing.assert_frame_equal(frame(batches), calm)
    assert newest(calm)["count"].sum() == 1300 + 5


def test_one_account_that_fails_is_named_and_the_others_are_whole(aws: StandIn, quick_retries: None) -> None:
    organization(aws)
    aws.denied = {(OTHER, "ec2:DescribeInstances"), (MEMBER, "rds:DescribeDBInstances")}
    batches, failed = collect(reader(aws, ALL))
    assert newest(frame(batches))["count"].sum() == 2 * 3
    assert len(failed.splitlines()) == 4
    assert f"account {OTHER} (team 3) in eu-west-1: ec2:DescribeInstances: AccessDenied" in failed
    assert f"account {MEMBER} (team 2) in us-east-1: rds:DescribeDBInstances" in failed


def test_without_activities_a_place_fails_whole_and_its_past_comes_later(aws: StandIn, quick_retries: None) -> None:
    organization(aws)
    aws.denied = {(MEMBER, "autoscaling:DescribeScalingActivities")}
    batches, failed = collect(reader(aws, ALL))
    rows = frame(batches)
    assert set(rows["account_id"]) == {MANAGEMENT, OTHER}
    assert len(failed.splitlines()) == 2
    assert "allow autoscaling:DescribeScalingActivities" in failed
    aws.denied = set()
    later = frame(list(reader(aws, ALL).proceed(stored(rows), EPOCH + HOUR)))
    assert later[later["account_id"] == MEMBER]["ts"].nunique() == 5 + 1


def left(aws: StandIn, rows: pd.DataFrame, days: int, access: Mapping[str, Any] = ALL, **keys: Any) -> list[Batch]:
    """What an ingest some days later says."""
    return list(reader(aws, dict(access), **keys).proceed(stored(rows), EPOCH + timedelta(days=days)))


def zeros(batches: Sequence[Batch]) -> set[tuple[str, str]]:
    rows = frame(batches)
    return set(rows[rows["count"] == 0][["account_id", "region"]].itertuples(index=False, name=None))


def test_an_account_that_left_the_organization_ends_once(aws: StandIn) -> None:
    organization(aws)
    rows = frame(collect(reader(aws, ALL))[0])
    aws.members = [m for m in aws.members if m["Id"] != OTHER]
    soon = left(aws, rows, 1)
    assert zeros(soon) == set()
    assert f"account {OTHER} in eu-west-1, account {OTHER} in us-east-1 is read no more, and ends after 36" in notes(
        soon
    )
    end = left(aws, rows, 2)
    assert zeros(end) == {(OTHER, "us-east-1"), (OTHER, "eu-west-1")}
    assert "is read no more, and ends" in notes(end)
    both = pd.concat([rows, frame(end)], ignore_index=True)
    at = EPOCH + timedelta(days=3)
    assert saturation.utilisation.running_now(both, pd.Timestamp(at)) != {}
    again = left(aws, both, 3)
    assert zeros(again) == set()
    assert OTHER not in notes(again)


def test_excluded_accounts_and_dropped_regions_end(aws: StandIn) -> None:
    organization(aws)
    rows = frame(collect(reader(aws, ALL))[0])
    access = {"organization": {"exclude": [MEMBER]}, "regions": ["us-east-1"]}
    europe = {(a, "eu-west-1") for a in (MANAGEMENT, MEMBER, OTHER)}
    assert zeros(left(aws, rows, 2, access)) == europe | {(MEMBER, "us-east-1")}


def test_nothing_ends_by_failure_or_where_others_may_read(aws: StandIn, quick_retries: None) -> None:
    organization(aws)
    rows = frame(collect(reader(aws, ALL))[0])
    aws.denied = {(OTHER, "ec2:DescribeInstances")}
    batches: list[Batch] = []
    with pytest.raises(DataError):
        batches.extend(reader(aws, ALL).proceed(stored(rows), EPOCH + timedelta(days=2)))
    assert zeros(batches) == set()
    aws.denied = {(MANAGEMENT, "organizations:ListAccounts")}
    with pytest.raises(DataError, match="ListAccounts"):
        left(aws, rows, 2)
    aws.denied = set()
    aws.members = [m for m in aws.members if m["Id"] != OTHER]
    for keys in ({"whole": False}, {"accounts": [MEMBER]}, {"regions": ["us-east-1"]}, {"reads": ["ec2"]}):
        told = left(aws, rows, 2, **keys)
        assert zeros(told) == set()
        assert f"account {OTHER} in us-east-1 has no news" in notes(told) or "and 1 more has no news" in notes(told)
    # A file's own fleets, of another cloud, are nothing to this source.
    elsewhere = rows.assign(account_id="gcp-prod")
    assert "read" not in notes(left(aws, elsewhere, 2))
    # The caller's own account only: another's credentials are no leaving.
    assert zeros(left(aws, rows, 2, {})) == {(MANAGEMENT, "eu-west-1")}


# --- with a store, and with moto -------------------------------------------------------------------------------------


def test_a_store_keeps_the_history_and_a_repeated_ingest_adds_nothing(aws: StandIn, tmp_path: Path) -> None:
    world = timeline(11, 30)
    install(aws, world)
    store = Store(tmp_path / "store")
    source = reader(aws)
    report = ingest([source], store, EPOCH)
    assert not report.sources[0].failures
    before = store.read("fleet").num_rows
    for hours in (0, 1, 3):
        world.now = EPOCH + timedelta(hours=hours)
        state = {s: world.truth(s, world.now) for s in ("a", "b")}
        ingest([source], store, world.now)
        if all(state[s] == world.truth(s, EPOCH) for s in state):
            assert store.read("fleet").num_rows == before
    world.now = EPOCH + timedelta(days=30)
    ingest([source], store, world.now)
    rows = store.read("fleet").to_pandas()
    hours = pd.date_range(EPOCH + timedelta(hours=4), world.now - HOUR, freq="h")
    for service in set(rows["service"]):
        for hour, counts in zip(hours, as_read(rows, service, hours), strict=True):
            assert counts == world.truth(service, hour.to_pydatetime() + HOUR / 2), (service, hour)


def test_against_moto_with_a_real_group_node_group_and_database(aws: StandIn) -> None:
    ec2, asg = aws.client("ec2"), aws.client("autoscaling")
    image = ec2.describe_images()["Images"][0]["ImageId"]
    asg.create_launch_configuration(LaunchConfigurationName="lc", ImageId=image, InstanceType="m5.large")
    asg.create_auto_scaling_group(
        AutoScalingGroupName="web", LaunchConfigurationName="lc", MinSize=2, MaxSize=8, DesiredCapacity=4,
        AvailabilityZones=["us-east-1a", "us-east-1b"],
        Tags=[{"Key": "service", "Value": "checkout", "PropagateAtLaunch": False, "ResourceId": "web",
               "ResourceType": "auto-scaling-group"}],
    )  # fmt: skip
    tags = [{"ResourceType": "instance", "Tags": [{"Key": "service", "Value": "bastion"}]}]
    ec2.run_instances(ImageId=image, InstanceType="t3.micro", MinCount=1, MaxCount=1, TagSpecifications=tags)
    aws.client("rds").create_db_instance(
        DBInstanceIdentifier="orders", DBInstanceClass="db.r5.large", Engine="postgres", AllocatedStorage=20,
        MasterUsername="u", MasterUserPassword="only-in-moto", Tags=[{"Key": "service", "Value": "orders"}],
    )  # fmt: skip
    eks = aws.client("eks")
    eks.create_cluster(name="prod", roleArn=f"arn:aws:iam::{MANAGEMENT}:role/r", resourcesVpcConfig={})
    eks.create_nodegroup(
        clusterName="prod", nodegroupName="n", subnets=[], nodeRole=f"arn:aws:iam::{MANAGEMENT}:role/n"
    )
    aws.on("autoscaling", "DescribeScalingActivities", lambda call: {"Activities": []})  # moto writes none down
    now = datetime.now(UTC) + timedelta(seconds=2)
    source = reader(aws, reads=["asg", "ec2", "eks", "rds"])
    rows = newest(frame(list(source.batches(None, now))))
    counts = rows.groupby(["service", "instance_type"])["count"].sum().to_dict()
    assert counts == {("checkout", "m5.large"): 4, ("bastion", "t3.micro"): 1, ("orders-db", "db.r5.large"): 1}
    web = rows[rows["service"] == "checkout"]
    assert set(web["zone"]) <= {"us-east-1a", "us-east-1b"}
    assert set(zip(web["min"], web["max"], strict=True)) == {(2, 8)}
