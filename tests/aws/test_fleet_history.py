"""Fleets: the past as it was, told from scaling activities, and no row that says nothing new."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from capacity import saturation
from capacity.pipeline.fleet import hourly_counts
from capacity.schemas import FLEET
from capacity.store import Store, ingest
from tests.aws.fake_fleet import EPOCH, World, install
from tests.aws.fleet_kit import HOUR, ZONES, frame, newest, notes, reader, stored
from tests.aws.standin import MANAGEMENT, Call, StandIn, running

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
