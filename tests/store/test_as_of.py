"""Versions of the past: each reads as it was for 400 days, through checkpoints, compactions and vacuums."""

from __future__ import annotations

import random
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pytest
from deltalake import DeltaTable
from hypothesis import given
from hypothesis import strategies as st

from capacity.errors import CorruptDataError, MissingDataError, UsageError
from capacity.schemas import QUOTAS
from capacity.store import Store, _log, _versions, compact, describe, vacuum
from tests.store.frames import bill, usage
from tests.store.history import backdate, empty_commits

DAY = timedelta(days=1)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


def quiet(_: str, __: int, ___: int) -> None:
    """No progress."""


def quotas(used: int, codes: int = 4) -> pa.Table:
    rows = [
        {"account_id": "1", "region": "r", "code": f"L-{i}", "name": "n", "limit": 5.0, "used": float(used * (i + 1))}
        for i in range(codes)
    ]
    return pa.Table.from_pylist(rows, schema=QUOTAS.schema)


def by_code(table: pa.Table) -> dict[str, float]:
    return dict(zip(table["code"].to_pylist(), table["used"].to_pylist(), strict=True))


def test_every_version_of_400_days_reads_as_it_was(store: Store) -> None:
    """105 commits, a checkpoint among them, spread over 500 days; then compacted, cleaned and vacuumed."""
    rng = random.Random(7)
    known: list[dict[str, float]] = []
    for i in range(105):
        table = quotas(i, rng.randint(1, 6))
        store.write("quotas", table)
        known.append((known[-1] if known else {}) | by_code(table))
    ages = [500 - 4.7 * i for i in range(105)]
    backdate(store, "quotas", ages)
    log = DeltaTable(f"{store.root}/quotas")
    log.create_checkpoint()
    log.cleanup_metadata()
    compact(store, quiet)
    now = datetime.now(UTC)
    (done,) = vacuum(store, now, quiet, dry_run=False)
    assert done.expired
    (state,) = describe(store, now)
    # The newest version that was already 400 days old stood then, so it is kept too.
    oldest = max(i for i, age in enumerate(ages) if age >= 400)
    assert state.oldest_version == oldest
    for version in range(oldest, 105):
        assert by_code(store.read("quotas", version)) == known[version]
    with pytest.raises(MissingDataError, match="400 days"):
        store.read("quotas", oldest - 1)
    for days in (*range(0, 400, 9), 400):
        at = store.versions(now - days * DAY)["quotas"]
        assert at == max(i for i, age in enumerate(ages) if age >= days - 1e-6)


@given(st.lists(st.integers(0, 6), min_size=1, max_size=40), st.integers(-2, 200))
def test_the_version_of_a_moment_is_the_last_before_it(
    tmp_path_factory: pytest.TempPathFactory, gaps: list[int], moment: int
) -> None:
    """Found by halving; the same as by looking at every commit. Commits may share a millisecond."""
    store = Store(tmp_path_factory.mktemp("store"))
    began = datetime(2026, 1, 1, tzinfo=UTC)
    times = [began + timedelta(milliseconds=sum(gaps[: i + 1])) for i in range(len(gaps))]
    empty_commits(store, "usage", times)
    as_of = began + timedelta(milliseconds=moment)
    expected = max((i for i, t in enumerate(times) if t <= as_of), default=None)
    assert store.versions(as_of).get("usage") == expected
    assert store.versions() == {"usage": len(times) - 1}


def test_a_thousand_commits_are_not_all_read(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    began = datetime(2026, 1, 1, tzinfo=UTC)
    empty_commits(store, "usage", [began + timedelta(minutes=i) for i in range(1000)])
    read: list[int] = []
    monkeypatch.setattr(_log, "committed_at", lambda s, v, f=_log.committed_at: (read.append(v), f(s, v))[1])
    assert store.versions(began + timedelta(minutes=434.5)) == {"usage": 434}
    assert len(read) <= 11


def test_a_moment_without_zone_is_refused(store: Store) -> None:
    with pytest.raises(UsageError, match="no zone"):
        store.versions(datetime(2026, 1, 1))


def test_a_moment_between_tables_is_what_stood_then(store: Store) -> None:
    """Tables are committed one after another; each moment has the last commit of each."""
    moments = [datetime.now(UTC)]
    for i in range(3):
        for name, table in (("usage", usage([("a", i, i)])), ("quotas", quotas(i))):
            time.sleep(0.003)
            store.write(name, table)
            time.sleep(0.003)
            moments.append(datetime.now(UTC))
    store.replace_bill(bill(["1"]))
    states = [{}, {"usage": 0}, {"usage": 0, "quotas": 0}, {"usage": 1, "quotas": 0}]
    states += [{"usage": 1, "quotas": 1}, {"usage": 2, "quotas": 1}, {"usage": 2, "quotas": 2}]
    assert [store.versions(m) for m in moments] == states


def test_versions_that_change_while_they_are_collected_are_collected_again() -> None:
    moving = iter([{"usage": 0}, {"usage": 1}, {"usage": 1, "cost": 0}, {"usage": 1, "cost": 0}, {"usage": 9}])
    assert _versions.settled(lambda: next(moving), dict) == {"usage": 1, "cost": 0}
    ever = iter(range(10**6))
    assert _versions.settled(lambda: {"usage": next(ever)}, lambda: {"usage": -1}) == {"usage": -1}


def test_a_moment_before_the_log_is_not_taken_for_an_empty_store(store: Store) -> None:
    for i in range(3):
        store.write("quotas", quotas(i))
    backdate(store, "quotas", [900, 800, 700])
    store.write("quotas", quotas(3))
    table = DeltaTable(f"{store.root}/quotas")
    table.create_checkpoint()
    for version in range(2):
        Path(store.root, "quotas", _log.commit_file(version)).unlink()
    now = datetime.now(UTC)
    assert store.versions(now - 700 * DAY) == {"quotas": 2}
    with pytest.raises(MissingDataError, match="are gone"):
        store.versions(now - 750 * DAY)


def test_a_commit_without_a_time_is_damage(store: Store) -> None:
    store.write("quotas", quotas(1))
    Path(store.root, "quotas", _log.commit_file(0)).write_text("{}\n")
    with pytest.raises(CorruptDataError, match="without a time"):
        store.versions(datetime.now(UTC))
