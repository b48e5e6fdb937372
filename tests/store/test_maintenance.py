"""Compaction, what may go, and what the store says of itself."""

from __future__ import annotations

import os
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from deltalake import DeltaTable
from hypothesis import given
from hypothesis import strategies as st

from capacity.errors import DataError, MissingDataError
from capacity.schemas import TABLES, USAGE
from capacity.store import Store, _delta, compact, describe, vacuum
from capacity.store import _compact as inside
from tests.store.frames import START, bill, usage
from tests.store.history import backdate

HOURS_A_MONTH = 31 * 24


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


def quiet(_: str, __: int, ___: int) -> None:
    """No progress."""


def in_pieces(store: Store, pieces: int = 12, source: str = "s") -> None:
    """Usage of two months, a file a piece."""
    step = 2 * HOURS_A_MONTH // pieces
    for i in range(pieces):
        store.write("usage", usage([(s, h, h) for s in "ab" for h in range(i * step, i * step + 20)], source))


def test_small_files_are_joined_and_every_version_reads_the_same(store: Store) -> None:
    in_pieces(store)
    before = [store.read("usage", v) for v in range(12)]
    (done,) = compact(store, quiet)
    assert (done.table, done.files_before, done.files_after, done.rows) == ("usage", 12, 2, 480)
    assert done.version == store.versions()["usage"] == 13
    assert store.read("usage").equals(before[-1])
    assert all(store.read("usage", v).equals(table) for v, table in enumerate(before))


def test_compaction_twice_does_nothing(store: Store) -> None:
    in_pieces(store)
    compact(store, quiet)
    versions = store.versions()
    assert [d.rows for d in compact(store, quiet)] == [0]
    assert store.versions() == versions


def test_a_month_of_a_source_is_still_found_without_the_other_files(store: Store) -> None:
    """The result's statistics: one source and one month each, so that readers skip the rest."""
    in_pieces(store, source="s")
    in_pieces(store, source="t")
    compact(store, quiet)
    found = inside.data_files(DeltaTable(f"{store.root}/usage"))
    months = {(f.first["source"], f.first["ts"].month) for f in found}
    assert len(found) == 4 == len(months)
    assert all(f.first["source"] == f.last["source"] and f.first["ts"].month == f.last["ts"].month for f in found)
    late = START + timedelta(hours=HOURS_A_MONTH)
    assert store.read("usage", filters=[("source", "=", "t"), ("ts", ">=", late)]).num_rows == 240


def test_the_rows_of_a_joined_file_are_in_the_order_of_the_key(store: Store) -> None:
    in_pieces(store)
    compact(store, quiet)
    for path in DeltaTable(f"{store.root}/usage").file_uris():
        import pyarrow.parquet as pq

        rows = pq.read_table(path)
        assert rows.schema.remove_metadata().equals(USAGE.schema)
        assert rows.equals(rows.sort_by([(k, "ascending") for k in USAGE.key]))


def test_writes_go_on_after_a_compaction(store: Store) -> None:
    in_pieces(store)
    compact(store, quiet)
    expected = store.read("usage").num_rows
    report = store.write("usage", usage([("a", 0, -1), ("c", 0, 1)]))
    assert (report.rows_added, report.rows_changed) == (1, 1)
    assert store.read("usage").num_rows == expected + 1
    assert store.last_point("usage", "s") is not None


def test_bills_keep_their_sums_and_are_not_replaced_by_the_same(store: Store) -> None:
    """Each account's bill comes on its own, so a month has several files; two months stay apart."""
    bills = [bill(["1.10", "2.20", "3.3"], month, a) for month in (8, 9) for a in ("1", "2", "3")]
    for one in bills:
        store.replace_bill(one)
    before = store.read("cost")
    (done,) = compact(store, quiet)
    assert (done.files_before, done.files_after) == (6, 2)
    assert sorted(map(str, store.read("cost").to_pylist())) == sorted(map(str, before.to_pylist()))
    assert not any(store.replace_bill(one).changed for one in bills)
    store.replace_bill(bill(["9"], 9, "2"))
    assert store.read("cost").num_rows == 16


POINTS = st.lists(
    st.tuples(st.sampled_from("ab"), st.integers(0, 1500), st.integers(0, 3).map(float)),
    min_size=1, max_size=8, unique_by=lambda p: p[:2],
)  # fmt: skip


@given(st.lists(st.one_of(POINTS, st.just("compact")), max_size=8))
def test_compaction_anywhere_changes_no_row(tmp_path_factory: pytest.TempPathFactory, steps: list[Any]) -> None:
    store, plain = (Store(tmp_path_factory.mktemp("store")) for _ in range(2))
    for step in steps:
        if step == "compact":
            compact(store, quiet)
        else:
            first, second = (s.write("usage", usage(step)) for s in (store, plain))
            assert (first.rows_added, first.rows_changed) == (second.rows_added, second.rows_changed)
    assert store.read("usage").equals(plain.read("usage"))


def test_two_compactions_and_writers_at_once(store: Store) -> None:
    """delta-rs would let two rewrites of the same files both commit, which doubles rows."""
    in_pieces(store, 8)

    def write(i: int) -> None:
        Store(store.root).write("usage", usage([("a", i, 100 + i), ("z", i, i)]))

    with ThreadPoolExecutor(4) as pool:
        jobs = [pool.submit(compact, Store(store.root), quiet) for _ in range(3)]
        jobs += [pool.submit(write, i) for i in range(6)]
        for job in jobs:
            job.result()
    found = store.read("usage")
    assert found.num_rows == found.group_by(list(USAGE.key)).aggregate([]).num_rows == 16 * 20 + 6
    assert found["value"].to_pylist()[:6] == [100 + i for i in range(6)]


def test_a_rewrite_of_what_another_has_rewritten_is_refused(store: Store) -> None:
    in_pieces(store, 4)
    table = DeltaTable(f"{store.root}/usage")
    files = inside.data_files(table)
    rows = store.read("usage")
    compact(store, quiet)
    with pytest.raises(_delta.ConflictError):
        inside._commit(table, USAGE, "late.parquet", 1, rows, files)
    assert store.read("usage").equals(rows)


def test_nothing_in_an_empty_store(store: Store) -> None:
    assert describe(store, datetime.now(UTC)) == ()
    assert compact(store, quiet) == ()
    assert vacuum(store, datetime.now(UTC), quiet) == ()
    assert not Path(store.root).exists()


def test_progress_says_each_table_and_ends_at_all(store: Store) -> None:
    in_pieces(store, 4)
    said: list[tuple[str, int, int]] = []
    compact(store, lambda *step: said.append(step))
    assert said[0][0] == "compact usage"
    assert said[-1][1] == said[-1][2] > 0


# --- what the store says of itself -------------------------------------------------------------------------


def test_a_description_counts_without_reading(store: Store) -> None:
    in_pieces(store, 4)
    store.write("usage", usage([("a", 0, 9)]))
    store.replace_bill(bill(["1", "2"]))
    used, cost = describe(store, datetime.now(UTC))
    assert (used.name, used.version, used.versions, used.oldest_version) == ("usage", 4, 5, 0)
    assert (used.rows, used.files, used.files_in_all) == (160, 4, 5)
    assert used.bytes < used.bytes_in_all == size_of(store, "usage")
    assert used.newest == store.last_point("usage", "s")
    assert used.oldest_at is not None
    assert used.oldest_at < used.committed_at <= datetime.now(UTC)
    assert (used.retention_days, used.bytes_to_go) == (400, 0)
    assert (cost.name, cost.rows, cost.newest) == ("cost", 2, datetime(2026, 9, 3, tzinfo=UTC))


def size_of(store: Store, name: str) -> int:
    return sum(p.stat().st_size for p in Path(store.root, name).glob("*.parquet"))


def test_a_description_as_of_an_earlier_moment(store: Store) -> None:
    store.write("usage", usage([("a", 0, 1)]))
    moment = datetime.now(UTC)
    time.sleep(0.01)
    store.write("usage", usage([("a", 1, 1)]))
    (then,) = describe(store, datetime.now(UTC), moment)
    assert (then.version, then.rows) == (0, 1)


# --- what may go -------------------------------------------------------------------------------------------


def test_a_vacuum_leaves_what_a_version_of_400_days_needs(store: Store) -> None:
    for i in range(6):
        store.write("usage", usage([("a", 0, i), ("b", i, i)]))
    days = [500, 450, 410, 399, 20, 1]
    backdate(store, "usage", days)
    now = datetime.now(UTC)
    (would,) = vacuum(store, now, quiet)
    assert would.dry_run
    assert store.read("usage", 0).num_rows == 2
    (done,) = vacuum(store, now, quiet, dry_run=False)
    assert done.expired == would.expired != ()
    assert done.leftovers == ()
    # Version 2 stood 400 days ago; what it and all later ones need is there.
    for version in range(2, 6):
        assert store.read("usage", version)["value"].to_pylist() == [version, *range(version + 1)]
    for version in (0, 1):
        with pytest.raises(MissingDataError, match="more than 400 days ago"):
            store.read("usage", version)
    (state,) = describe(store, now)
    assert (state.oldest_version, state.versions, state.bytes_to_go) == (2, 4, 0)
    assert store.versions(now - timedelta(days=400)) == {"usage": 2}
    (again,) = vacuum(store, now, quiet, dry_run=False)
    assert again.expired == ()


def test_a_lost_file_of_a_young_version_is_damage_not_age(store: Store) -> None:
    store.write("usage", usage([("a", 0, 1)]))
    store.write("usage", usage([("a", 0, 2)]))
    for path in Path(store.root, "usage").glob("*.parquet"):
        path.unlink()
    with pytest.raises(DataError, match="restore the folder"):
        store.read("usage", 0)


def test_leftovers_of_a_killed_writer_go_after_a_day(store: Store) -> None:
    in_pieces(store, 3)
    folder = Path(store.root, "usage")
    before = store.read("usage")
    leftovers = ["part-00000-11111111-c000.zstd.parquet", "_delta_log/00000000000000000009.json#1"]
    for name in leftovers:
        (folder / name).write_bytes(b"half")
    assert vacuum(store, datetime.now(UTC), quiet, dry_run=False)[0].leftovers == ()
    yesterday = time.time() - 25 * 3600
    for name in leftovers:
        os.utime(folder / name, (yesterday, yesterday))
    (done,) = vacuum(store, datetime.now(UTC), quiet, dry_run=False)
    assert sorted(done.leftovers) == sorted(leftovers)
    assert done.bytes == 8
    assert not any((folder / name).exists() for name in leftovers)
    assert store.read("usage").equals(before)


def test_leftovers_of_a_table_that_never_came_to_be(store: Store) -> None:
    folder = Path(store.root, "prices")
    folder.mkdir(parents=True)
    (folder / "part-1.parquet").write_bytes(b"half")
    os.utime(folder / "part-1.parquet", (0, 0))
    assert store.versions() == {}
    assert store.read("prices").equals(TABLES["prices"].schema.empty_table())
    (done,) = vacuum(store, datetime.now(UTC), quiet, dry_run=False)
    assert done.leftovers == ("part-1.parquet",)


def test_old_files_are_known_from_a_checkpoint_too(store: Store) -> None:
    """Where the log before a checkpoint is gone, the checkpoint tells what was dropped and when."""
    for i in range(4):
        store.write("usage", usage([("a", 0, i)]))
    table = DeltaTable(f"{store.root}/usage")
    table.create_checkpoint()
    store.write("usage", usage([("a", 0, 9)]))
    for version in range(4):
        Path(store.root, "usage", "_delta_log", f"{version:020d}.json").unlink()
    now = datetime.now(UTC)
    (none,) = vacuum(store, now, quiet, dry_run=False)
    assert (none.expired, none.leftovers) == ((), ())
    (state,) = describe(store, now)
    assert (state.oldest_version, state.versions, state.oldest_at) == (3, 2, None)
    (later,) = vacuum(store, now + timedelta(days=402), quiet)
    assert len(later.expired) == 4
    assert store.read("usage", 3)["value"].to_pylist() == [3]
    with pytest.raises(MissingDataError, match="no version 1"):
        store.read("usage", 1)
    with pytest.raises(MissingDataError, match="are gone"):
        store.versions(now - timedelta(days=1))


def test_statistics_leave_out_long_text() -> None:
    table = usage([("x" * 300, 0, 1)])
    found = inside.statistics(USAGE, table)
    assert "xxx" not in found
    assert '"numRecords": 1' in found
    assert isinstance(table, pa.Table)
