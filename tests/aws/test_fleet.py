"""Fleets: nothing counted twice, each machine under its service, reservations under their owner."""

from __future__ import annotations

import random
import re
from datetime import timedelta

import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from capacity import saturation
from capacity.errors import UsageError
from capacity.schemas import CAPACITY_RESERVATIONS
from tests.aws.fake_fleet import EPOCH, World, install, reservation
from tests.aws.fleet_kit import HOUR, MEMBER, ZONES, frame, notes, reader
from tests.aws.standin import MANAGEMENT, StandIn, member, running

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
