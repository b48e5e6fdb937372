"""The same store on S3: moto's server over real HTTP, with conditional puts."""

from __future__ import annotations

import subprocess
import sys
import textwrap
import time
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest

from capacity.errors import DataError, MissingDataError, UsageError
from capacity.schemas import USAGE
from capacity.store import Store, compact, daily_cost, describe, ingest, vacuum
from tests.store.frames import NOW, START, Given, bill, usage

ROOT = Path(__file__).parents[2]


@pytest.fixture
def store(s3_prefix: str) -> Store:
    return Store(s3_prefix)


def quiet(_: str, __: int, ___: int) -> None:
    """No progress."""


def test_write_merge_read_and_versions(store: Store) -> None:
    assert store.versions() == {}
    assert store.read("usage").equals(USAGE.schema.empty_table())
    assert store.write("usage", usage([("a", 0, 1), ("a", 1, 2)])).version == 0
    moment = datetime.now(UTC)
    time.sleep(0.01)
    report = store.write("usage", usage([("a", 1, 20), ("b", 0, 3)]))
    assert (report.version, report.rows_added, report.rows_changed) == (1, 1, 1)
    assert not store.write("usage", usage([("a", 1, 20)])).changed
    assert store.read("usage")["value"].to_pylist() == [1, 20, 3]
    assert store.read("usage", 0)["value"].to_pylist() == [1, 2]
    assert store.read("usage", filters=[("ts", ">", START)], columns=["value"])["value"].to_pylist() == [20]
    assert store.versions() == {"usage": 1}
    assert store.versions(moment) == {"usage": 0}
    assert store.last_points("s").keys() == {(s, "requests_per_second", "avg", 3600) for s in "ab"}


def test_a_bill_period_is_replaced_whole(store: Store) -> None:
    store.replace_bill(bill(["1.1", "2.2"], 8))
    store.replace_bill(bill(["3.3"], 9))
    assert store.replace_bill(bill(["5"], 8)).rows_removed == 2
    assert sorted(store.read("cost")["BilledCost"].to_pylist()) == [Decimal("3.3"), Decimal(5)]
    assert sorted(store.read("cost", 1)["BilledCost"].to_pylist()) == [Decimal(x) for x in ("1.1", "2.2", "3.3")]
    found = daily_cost(store)
    assert found["EffectiveCost"].to_pylist() == [Decimal(5), Decimal("3.3")]


def test_an_ingest(store: Store) -> None:
    sources = [Given("u", "usage", [usage([("a", 0, 1)], "u")]), Given("bill", "cost", [bill(["1", "2"])])]
    report = ingest(sources, store, NOW)
    assert report.failures == ()
    assert report.versions == {"usage": 0, "cost": 0}
    assert ingest(sources, store, NOW).versions == report.versions


def test_upkeep(store: Store) -> None:
    for i in range(4):
        store.write("usage", usage([("a", i, i), ("b", i, i)]))
    before = store.read("usage")
    (done,) = compact(store, quiet)
    assert (done.files_before, done.files_after) == (4, 1)
    assert store.read("usage").equals(before)
    assert store.read("usage", 3).equals(before)
    (state,) = describe(store, datetime.now(UTC))
    assert (state.rows, state.files, state.files_in_all, state.versions) == (8, 1, 5, 5)
    assert vacuum(store, datetime.now(UTC), quiet, dry_run=False)[0].expired == ()
    assert len(vacuum(store, datetime(2099, 1, 1, tzinfo=UTC), quiet, dry_run=False)[0].expired) == 4
    assert store.read("usage").equals(before)
    assert describe(store, datetime.now(UTC))[0].oldest_version == 4


def test_writers_of_several_processes_meet(store: Store) -> None:
    """Four processes add the same and their own points, and replace the same bill: all is there once."""
    script = """
        import sys
        from capacity.store import Store
        from tests.store.frames import bill, usage
        store, me = Store(sys.argv[1]), int(sys.argv[2])
        for i in range(4):
            store.write("usage", usage([("all", h, h) for h in range(i + 1)] + [(f"own-{me}", i, me)]))
            store.replace_bill(bill([str(me)] * 3))
    """
    writers = [
        subprocess.Popen([sys.executable, "-c", textwrap.dedent(script), store.root, str(i)], cwd=ROOT)
        for i in range(4)
    ]
    assert [w.wait(120) for w in writers] == [0] * 4
    assert store.read("usage").num_rows == 4 + 4 * 4
    amounts = store.read("cost")["BilledCost"].to_pylist()
    assert len(amounts) == 3
    assert len(set(amounts)) == 1


def test_what_is_not_there_is_said(store: Store) -> None:
    with pytest.raises(MissingDataError, match="no table usage"):
        store.read("usage", 3)
    with pytest.raises(DataError, match="check bucket, region, endpoint and credentials") as told:
        Store("s3://no-such-bucket-here/x").write("usage", usage([("a", 0, 1)]))
    assert "testing-not-a-secret" not in str(told.value)
    assert "\x1b" not in str(told.value)


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("s3://key:secret@bucket/x", "credential"),
        ("s3://Bucket_/x", "the bucket 'Bucket_'"),
        ("s3://ab/x", "the bucket 'ab'"),
        ("s3://10.0.0.1/x", "the bucket '10.0.0.1'"),
        ("s3://a..b/x", "the bucket"),
        ("s3:///x", "the bucket ''"),
        ("s3://bucket/a/../b", "the prefix"),
        ("s3://bucket/a//b", "the prefix"),
        ("s3://bucket/a%2Fb", "the prefix"),
        ("s3://bucket/a?x=secret", "a query"),
        ("https://bucket/x", "found https://"),
        ("gs://bucket/x", "found gs://"),
    ],
)
def test_addresses_that_are_refused(address: str, said: str) -> None:
    with pytest.raises(UsageError, match=said.replace("(", r"\(")) as told:
        Store(address)
    assert "secret" not in str(told.value)


def test_credentials_are_no_options() -> None:
    with pytest.raises(UsageError, match="aws_secret_access_key") as told:
        Store("s3://bucket/x", {"aws_secret_access_key": "hunter2"})
    assert "hunter2" not in str(told.value)
    assert "hunter2" not in repr(Store("s3://bucket/x", {"aws_region": "hunter2"}).place)


def test_plain_http_is_for_this_machine_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://storage.example")
    with pytest.raises(UsageError, match="use https"):
        Store("s3://bucket/x")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "https://storage.example")
    assert "aws_allow_http" not in (Store("s3://bucket/x").place.storage_options or {})
