"""Fleets of many accounts: one that fails fails alone, one that left ends."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

import pandas as pd
import pytest

from capacity import saturation
from capacity.errors import DataError
from capacity.sources import Batch
from capacity.sources.aws.fleet import FleetReader
from tests.aws.fake_fleet import EPOCH, World, install
from tests.aws.fleet_kit import HOUR, MEMBER, OTHER, ZONES, frame, newest, notes, reader, stored
from tests.aws.standin import MANAGEMENT, StandIn, member

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
