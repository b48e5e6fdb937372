"""The store: merges by key, versions that stay, and writers that meet."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from deltalake import DeltaTable
from hypothesis import given
from hypothesis import strategies as st

from capacity.errors import CorruptDataError, MissingDataError, UsageError
from capacity.schemas import FLEET, QUOTAS, TABLES, USAGE
from capacity.store import Store
from tests.store.frames import START, rows, usage

POINTS = st.lists(
    st.tuples(st.sampled_from("abc"), st.integers(0, 12), st.integers(0, 3).map(float)),
    max_size=12,
    unique_by=lambda p: p[:2],
)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


def test_an_absent_store_is_empty_and_reading_makes_nothing(store: Store) -> None:
    for name, table in TABLES.items():
        assert store.read(name).equals(table.schema.empty_table())
    assert store.read("usage", columns=["ts", "value"]).column_names == ["ts", "value"]
    assert store.versions() == {}
    assert store.last_point("usage", "s") is None
    assert store.last_points("s") == {}
    assert not Path(store.root).exists()


def test_what_is_written_is_read_in_the_order_of_the_key(store: Store) -> None:
    table = usage([("b", 2, 1), ("a", 9, 2), ("b", 1, 3), ("a", 10, 4)])
    report = store.write("usage", table)
    assert (report.version, report.rows_read, report.rows_added, report.changed) == (0, 4, 4, True)
    found = store.read("usage")
    assert found.schema == USAGE.schema
    assert found["value"].to_pylist() == [2, 4, 3, 1]


def test_the_same_again_makes_no_new_version(store: Store) -> None:
    table = usage([("a", i, i) for i in range(50)])
    store.write("usage", table)
    report = store.write("usage", table.take(list(reversed(range(50)))))
    assert (report.version, report.rows_read, report.changed) == (0, 50, False)
    assert store.versions() == {"usage": 0}


def test_new_rows_are_added_and_changed_ones_replaced_in_one_version(store: Store) -> None:
    store.write("usage", usage([("a", 0, 1), ("a", 1, 2), ("a", 2, 3)]))
    report = store.write("usage", usage([("a", 1, 2), ("a", 2, 30), ("a", 3, 4)]))
    assert (report.version, report.rows_added, report.rows_changed) == (1, 1, 1)
    assert store.read("usage")["value"].to_pylist() == [1, 2, 30, 4]
    assert store.read("usage", version=0)["value"].to_pylist() == [1, 2, 3]


@given(st.lists(POINTS, max_size=5))
def test_a_store_holds_the_last_value_of_each_key(
    tmp_path_factory: pytest.TempPathFactory, writes: list[list[tuple[str, int, float]]]
) -> None:
    """Whatever is written in whatever pieces; and each write repeated does nothing."""
    store = Store(tmp_path_factory.mktemp("store"))
    expected: dict[tuple[str, int], float] = {}
    for points in writes:
        before, version = dict(expected), store.versions()
        expected |= {(s, h): v for s, h, v in points}
        report = store.write("usage", usage(points))
        assert report.changed == (expected != before)
        assert (store.versions() != version) == report.changed
        assert not store.write("usage", usage(points)).changed
        assert rows(store.read("usage")) == rows(usage((s, h, v) for (s, h), v in expected.items()))


def test_null_and_value_differ(store: Store) -> None:
    row = {
        "ts": START, "account_id": "1", "service": "a", "region": "r", "zone": "z", "instance_type": "m7i.large",
        "count": 2, "min": None, "max": None, "purchase": "on_demand",
    }  # fmt: skip
    first = pa.Table.from_pylist([row], schema=FLEET.schema)
    store.write("fleet", first)
    assert not store.write("fleet", first).changed
    assert store.write("fleet", pa.Table.from_pylist([row | {"max": 9}], schema=FLEET.schema)).rows_changed == 1
    assert store.write("fleet", first).rows_changed == 1


def test_tables_without_time_merge_too(store: Store) -> None:
    row = {"account_id": "o'neil", "region": "r", "code": "L-1", "name": "n", "limit": 5.0, "used": 1.0}
    store.write("quotas", pa.Table.from_pylist([row], schema=QUOTAS.schema))
    more = [row | {"used": 2.0}, row | {"code": "L-2"}]
    report = store.write("quotas", pa.Table.from_pylist(more, schema=QUOTAS.schema))
    assert (report.rows_added, report.rows_changed) == (1, 1)
    assert store.read("quotas")["used"].to_pylist() == [2.0, 1.0]


def test_sources_do_not_touch_each_other(store: Store) -> None:
    store.write("usage", usage([("a", 0, 1)], "s"))
    store.write("usage", usage([("a", 0, 2), ("a", 5, 3)], "t"))
    assert store.read("usage").num_rows == 3
    assert store.last_point("usage", "s") == START
    assert store.last_point("usage", "t") == START + timedelta(hours=5)
    assert store.last_points("t") == {("a", "requests_per_second", "avg", 3600): START + timedelta(hours=5)}


def test_contradicting_rows_change_nothing(store: Store) -> None:
    with pytest.raises(
        CorruptDataError, match=r"source=s, .*ts=2026-01-01T00:00:00.* differ: .*value=1\.0.*value=2\.0"
    ):
        store.write("usage", usage([("a", 0, 1), ("b", 0, 1), ("a", 0, 2)]))
    assert store.versions() == {}
    assert store.write("usage", usage([("a", 0, 1), ("a", 0, 1)])).rows_added == 1


def test_filters_and_columns(store: Store) -> None:
    store.write("usage", usage([("a", i, i) for i in range(10)]))
    late = START + timedelta(hours=7)
    assert store.read("usage", columns=["value"], filters=[("ts", ">", late)])["value"].to_pylist() == [8, 9]
    assert store.read("usage", filters=pc.field("value") < 2).num_rows == 2
    with pytest.raises(UsageError, match="no column valu"):
        store.read("usage", columns=["valu"])
    with pytest.raises(UsageError, match="no table 'usag'"):
        store.read("usag")


def test_what_does_not_fit_is_refused(store: Store) -> None:
    with pytest.raises(CorruptDataError, match="rows for usage have the columns"):
        store.write("usage", usage([("a", 0, 1)]).drop_columns(["unit"]))
    loose = USAGE.schema.set(9, pa.field("unit", pa.string()))
    with_null = pa.Table.from_pylist([usage([("a", 0, 1)]).to_pylist()[0] | {"unit": None}], schema=loose)
    with pytest.raises(CorruptDataError, match="no value in unit"):
        store.write("usage", with_null)
    with pytest.raises(UsageError, match="replace_bill"):
        store.write("cost", TABLES["cost"].schema.empty_table())
    assert not store.write("usage", USAGE.schema.empty_table()).changed
    assert store.versions() == {}


@pytest.mark.parametrize("odd", ["a%20b", "a[b", "a]b", "a^b", "a|b", "a\\b", "a\nb"])
def test_a_folder_that_delta_cannot_name_is_refused(tmp_path: Path, odd: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UsageError, match="choose another"):
        Store(tmp_path / odd)
    (tmp_path / odd).mkdir()
    monkeypatch.chdir(tmp_path / odd)
    with pytest.raises(UsageError, match="choose another"):
        Store("store")


@pytest.mark.parametrize("odd", ["a b 'ü", 'a"b', "a;b#c?d", "*{1}", "日本:=@+~$&(,)!`<>"])
def test_other_odd_folders_are_fine(tmp_path: Path, odd: str) -> None:
    store = Store(tmp_path / odd)
    store.write("usage", usage([("a", 0, 1)]))
    store.write("usage", usage([("a", 0, 2)]))
    assert store.read("usage")["value"].to_pylist() == [2]
    assert store.read("usage", 0)["value"].to_pylist() == [1]


# --- versions ----------------------------------------------------------------------------------------------


def test_versions_as_of(store: Store) -> None:
    moments = []
    for value in (1, 2, 3):
        moments.append(datetime.now(UTC))
        time.sleep(0.01)
        store.write("usage", usage([("a", 0, value)]))
    assert store.versions() == {"usage": 2}
    assert [store.versions(m).get("usage") for m in moments] == [None, 0, 1]
    assert store.versions(datetime.now(UTC)) == {"usage": 2}
    with pytest.raises(UsageError, match="no zone"):
        store.versions(datetime(2026, 1, 1))


def test_a_version_that_is_not_there(store: Store) -> None:
    with pytest.raises(MissingDataError, match="no table usage"):
        store.read("usage", version=0)
    store.write("usage", usage([("a", 0, 1)]))
    with pytest.raises(MissingDataError, match="no version 7"):
        store.read("usage", version=7)


def test_versions_are_kept_for_400_days(store: Store) -> None:
    store.write("usage", usage([("a", 0, 1)]))
    found = DeltaTable(f"{store.root}/usage").metadata().configuration
    assert found == {
        "delta.checkpointInterval": "100",
        "delta.logRetentionDuration": "interval 400 days",
        "delta.deletedFileRetentionDuration": "interval 400 days",
    }


# --- writers that meet, processes that end ----------------------------------------------------------------


def test_writers_of_the_same_rows_meet(store: Store) -> None:
    """Eight threads write overlapping points of one source, twice each: every point once, with no error."""
    tables = [usage([("a", h, h) for h in range(10 * i, 10 * i + 20)]) for i in range(4)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda t: Store(store.root).write("usage", t), tables * 2))
    assert store.read("usage")["value"].to_pylist() == list(range(50))


def test_writers_of_changes_meet(store: Store) -> None:
    store.write("usage", usage([("a", h, 0) for h in range(8)]))
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda h: Store(store.root).write("usage", usage([("a", h, 1), ("b", h, 1)])), range(8)))
    assert store.read("usage")["value"].to_pylist() == [1] * 16


def test_a_lost_file_is_said(store: Store) -> None:
    store.write("usage", usage([("a", 0, 1)]))
    next(Path(store.root, "usage").glob("*.parquet")).unlink()
    with pytest.raises(CorruptDataError, match="cannot be read"):
        store.read("usage")
