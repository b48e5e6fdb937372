"""What the store has and the files do not bring any more: it goes or stays by rule, and never silently."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from capacity.errors import DataError
from capacity.store import SourceReport, Store, _bill_write, ingest
from tests.store.frames import NOW, Bills, File, bill


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


def run(store: Store, *files: File, **other: Any) -> SourceReport:
    return ingest([Bills("b", list(files), **other)], store, NOW).sources[0]


def amounts(store: Store) -> list[Decimal]:
    return sorted(store.read("cost")["BilledCost"].to_pylist())


def agrees_in_all(report: SourceReport, store: Store) -> bool:
    """The sums of the files that were listed are all that the store has."""
    return sum(c.files.billed for c in report.checks) == sum(amounts(store))


# --- files that were read whole ------------------------------------------------------------------------------------


def test_an_account_that_was_mended_in_its_file_is_not_there_twice(store: Store) -> None:
    run(store, File("x", bill(["5"], account="123")))
    report = run(store, File("x", bill(["5"], account="000123")))
    assert (report.failures, amounts(store), agrees_in_all(report, store)) == ((), [5], True)
    assert any("account 123 of 2026-09-01T00:00Z" in note for note in report.notes)
    again = run(store, File("x", bill(["5"], account="000123")))
    assert (again.rows_changed, agrees_in_all(again, store)) == (0, True)


def test_a_period_that_moved_by_hours_is_not_there_twice(store: Store) -> None:
    moved = {"BillingPeriodStart": datetime(2026, 8, 31, 22, tzinfo=UTC)}
    run(store, File("x", bill(["5"])), File("y", bill(["7"], account="2")))
    report = run(store, File("x", bill(["5"], **moved)), File("y", bill(["7"], account="2")))
    assert (report.failures, amounts(store), agrees_in_all(report, store)) == ((), [5, 7], True)
    report = run(store, File("x", bill(["5"], **moved)), File("y", bill(["7"], account="2", **moved)))
    assert (report.failures, amounts(store), agrees_in_all(report, store)) == ((), [5, 7], True)
    assert any("account 2 of 2026-09-01T00:00Z" in note for note in report.notes)


def test_rows_of_a_file_that_could_not_be_read_stay(store: Store) -> None:
    run(store, File("x", bill(["5"])), File("y", bill(["7"], account="2")))
    changed = File("x", bill(["5"], account="01"))
    report = run(store, changed, File("y", bill(["8"], account="3"), error=DataError("y: cut off")))
    assert report.failures
    assert amounts(store) == [5, 7]


def test_what_moved_goes_only_once_it_is_elsewhere(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """An ingest that ends between the two steps, or whose first step fails, is completed by the next."""
    moved = File("x", bill(["5"], month=8))
    run(store, File("x", bill(["5"])))
    with monkeypatch.context() as patch:
        patch.setattr(_bill_write, "remove", _dies)
        with pytest.raises(KeyboardInterrupt):
            run(store, moved)
    assert amounts(store) == [5, 5]
    report = run(store, moved)
    assert (report.failures, amounts(store), agrees_in_all(report, store)) == ((), [5], True)


def _dies(*_: object) -> None:
    raise KeyboardInterrupt


# --- files that are not there any more -----------------------------------------------------------------------------


def test_a_file_that_vanished_takes_no_rows_of_a_shared_account_with_it(store: Store) -> None:
    one, two = File("1", bill(["1"])), File("2", bill(["2"]))
    run(store, one, two)
    for _ in range(2):
        report = run(store, one)
        assert amounts(store) == [1, 2]
        assert "2 is not there any more" in report.failures[0]
        assert "put it back" in report.failures[0]
        assert any("not there any more: 2" in note for note in report.notes)
    assert not run(store, one, two).failures


def test_a_file_that_vanished_leaves_its_own_account_and_is_named(store: Store) -> None:
    one, two = File("1", bill(["1"])), File("2", bill(["2"], account="2"))
    run(store, one, two)
    for _ in range(2):
        report = run(store, one)
        assert (report.failures, amounts(store)) == ((), [1, 2])
        assert any("not there any more: 2" in note for note in report.notes)


@pytest.mark.parametrize("came", [File("3", bill(["4"])), File("1", bill(["1", "4"]))], ids=["new", "changed"])
def test_a_file_that_came_in_its_place_replaces_it(store: Store, came: File) -> None:
    one, two = File("1", bill(["1"])), File("2", bill(["2"]))
    run(store, one, two)
    report = run(store, *([one] if came.label == "3" else []), came)
    assert (report.failures, amounts(store), agrees_in_all(report, store)) == ((), [1, 4], True)
    assert any("not there any more: 2" in note for note in report.notes)


def test_what_vanished_from_a_complete_export_is_gone(store: Store) -> None:
    one, two = File("1", bill(["1"]), complete=True), File("2", bill(["2"]), complete=True)
    run(store, one, two)
    assert (run(store, one).failures, amounts(store)) == ((), [1])


def test_what_could_not_be_listed_did_not_vanish(store: Store) -> None:
    one, two = File("1", bill(["1"]), complete=True), File("2", bill(["2"], month=8), complete=True)
    run(store, one, two)
    report = run(store, one, error=DataError("2026-08: no manifest"))
    assert not any("not there any more" in note for note in report.notes)
    assert amounts(store) == [1, 2]


# --- what the rules found ------------------------------------------------------------------------------------------


def _scopes(store: Store) -> set[str]:
    return set(store.read("findings")["scope"].to_pylist())


def test_findings_go_with_their_file(store: Store) -> None:
    old, new = File("old", bill(["5"])), File("new", bill(["5"]))
    run(store, old, check_focus=True)
    run(store, check_focus=True, error=DataError("no access"))
    assert _scopes(store) == {"old"}
    run(store, new, check_focus=True)
    assert _scopes(store) == {"new"}
    run(store, old, check_focus=True)
    assert _scopes(store) == {"old"}
    ts = store.read("findings")["ts"].to_pylist()
    assert set(ts) == {datetime(2026, 9, 1, tzinfo=UTC)}


def test_a_file_that_is_refused_again_says_its_fatal_findings_again(store: Store) -> None:
    own = bill(["1"]).drop_columns(["source", "file"])
    own = own.set_column(own.schema.get_field_index("BilledCost"), "BilledCost", pa.array(["much"]))
    file = File("x", bill(["1"]), own=own, error=DataError("x: line 2: found 'much'"))
    first, second = run(store, file, check_focus=True), run(store, file, check_focus=True)
    assert any("fatal" in failure for failure in first.failures)
    assert second.failures == first.failures
