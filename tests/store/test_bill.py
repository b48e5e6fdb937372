"""Bills in the store: whole periods, exact sums, and nothing changed where they do not agree."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from capacity.errors import CorruptDataError
from capacity.schemas import COST, COST_MONEY
from capacity.store import Store, _stream
from tests.store.frames import bill, rows

SEPTEMBER = datetime(2026, 9, 1, tzinfo=UTC)
AMOUNTS = st.decimals(min_value=-(10**9), max_value=10**9, allow_nan=False, allow_infinity=False, places=12)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


def test_a_bill_tells_its_sums(store: Store) -> None:
    table = pa.concat_tables(
        [bill(["1.000000000001", "2", None]), bill(["5"], account="2"), bill(["7"], BillingCurrency="EUR")]
    )
    report = store.replace_bill(table)
    assert (report.version, report.rows_added, report.rows_removed) == (0, 5, 0)
    first = next(m for m in report.money if (m.account_id, m.currency) == ("1", "USD"))
    assert (first.source, first.period_start, first.rows) == ("bill", SEPTEMBER, 3)
    assert first.billed == first.effective == first.list == first.contracted == Decimal("3.000000000001")
    assert first.nulls == {"BilledCost": 0, "EffectiveCost": 0, "ListCost": 1, "ContractedCost": 1}
    assert {(m.account_id, m.currency): m.billed for m in report.money} == {
        ("1", "USD"): Decimal("3.000000000001"), ("1", "EUR"): 7, ("2", "USD"): 5,
    }  # fmt: skip


def test_the_same_bill_again_makes_no_new_version(store: Store) -> None:
    table = bill([str(i) for i in range(20)])
    first = store.replace_bill(table)
    again = store.replace_bill(table)
    shuffled = store.replace_bill(table.take(list(reversed(range(20)))))
    assert (again.version, again.changed, shuffled.version, shuffled.changed) == (0, False, 0, False)
    assert again.money == first.money == shuffled.money


def test_a_change_that_leaves_the_sums_alone_is_a_change(store: Store) -> None:
    store.replace_bill(bill(["1", "2"]))
    report = store.replace_bill(bill(["2", "1"]))
    assert (report.rows_added, report.rows_removed) == (2, 2)
    assert store.replace_bill(bill(["2", "1"], Tags='{"team": "a"}')).changed


def test_a_restated_period_is_replaced_whole_and_its_history_stays(store: Store) -> None:
    store.replace_bill(pa.concat_tables([bill(["1", "2", "3"]), bill(["4"], month=8), bill(["5"], account="2")]))
    report = store.replace_bill(bill(["6", "1"]))
    assert (report.version, report.rows_added, report.rows_removed) == (1, 2, 3)
    assert sorted(store.read("cost")["BilledCost"].to_pylist()) == [1, 4, 5, 6]
    assert sorted(store.read("cost", version=0)["BilledCost"].to_pylist()) == [1, 2, 3, 4, 5]


def test_only_what_changed_is_written(store: Store) -> None:
    both = pa.concat_tables([bill(["1"], month=8), bill(["2"])])
    store.replace_bill(both)
    report = store.replace_bill(pa.concat_tables([bill(["1"], month=8), bill(["3"])]))
    assert (report.rows_added, report.rows_removed) == (1, 1)


def test_sources_keep_their_own_bills(store: Store) -> None:
    for source in ("o'neil", 'say "x"', "a\\b"):
        store.replace_bill(bill(["1"], source=source))
        store.replace_bill(bill(["2"], source=source))
    assert store.read("cost")["BilledCost"].to_pylist() == [2, 2, 2]


@given(
    st.lists(
        st.tuples(
            st.integers(7, 9), st.sampled_from("12"), st.sampled_from(["USD", "EUR"]), st.lists(AMOUNTS, max_size=4)
        ),
        max_size=5,
    )
)
def test_the_sums_in_the_store_are_the_sums_of_the_bills(
    tmp_path_factory: pytest.TempPathFactory, bills: list[tuple[int, str, str, list[Decimal]]]
) -> None:
    """Random restatements: after each, every period holds the last bill for it, to the last decimal."""
    store = Store(tmp_path_factory.mktemp("store"))
    expected: dict[tuple[int, str], pa.Table] = {}
    for month, account, currency, amounts in bills:
        table = bill(amounts, month, account, BillingCurrency=currency)
        if amounts:  # a bill without rows says nothing of any period
            expected[(month, account)] = table
        store.replace_bill(table)
        assert not store.replace_bill(table).changed
        whole = pa.concat_tables([COST.schema.empty_table(), *expected.values()])
        found = store.read("cost")
        assert rows(found) == rows(whole)
        for column in COST_MONEY:
            assert sum(found[column].to_pylist()) == sum(whole[column].to_pylist())


class LossyDisk:
    """Drops the last row of what is written first; what comes after it (the way back) is whole."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._create, self._overwrite, self._done = _stream.create, _stream.overwrite, False
        monkeypatch.setattr(_stream, "create", self.create)
        monkeypatch.setattr(_stream, "overwrite", self.overwrite)

    def _short(self, rows: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        if self._done:
            return rows
        self._done = True
        table = pa.Table.from_batches(list(rows), COST.schema)
        return iter(table.slice(0, table.num_rows - 1).to_batches())

    def create(self, where: Any, name: str, rows: Iterator[pa.RecordBatch], marks: Any) -> None:
        self._create(where, name, self._short(rows), marks)

    def overwrite(self, table: Any, name: str, rows: Iterator[pa.RecordBatch], predicate: str, marks: Any) -> None:
        self._overwrite(table, name, self._short(rows), predicate, marks)


def test_sums_that_do_not_agree_change_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = Store(tmp_path / "store")
    store.replace_bill(pa.concat_tables([bill(["1", "2"]), bill(["9"], month=8)]))
    before = rows(store.read("cost"))
    LossyDisk(monkeypatch)
    with pytest.raises(CorruptDataError, match=r"do not agree with the bill: expected .*; nothing was changed"):
        store.replace_bill(bill(["3", "4"]))
    assert rows(store.read("cost")) == before


def test_the_first_bill_that_does_not_agree_leaves_an_empty_table(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Store(tmp_path / "store")
    LossyDisk(monkeypatch)
    with pytest.raises(CorruptDataError, match="nothing was changed"):
        store.replace_bill(bill(["3", "4"]))
    assert store.read("cost").num_rows == 0


def test_periods_written_at_once(store: Store) -> None:
    """Eight writers, four periods, each twice: every period whole, and once."""
    bills = [bill([str(m), str(m)], month=m) for m in (6, 7, 8, 9)] * 2
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda b: Store(store.root).replace_bill(b), bills))
    assert sorted(store.read("cost")["BilledCost"].to_pylist()) == [6, 6, 7, 7, 8, 8, 9, 9]


def test_readers_never_see_half_a_period(store: Store) -> None:
    store.replace_bill(bill(["0"] * 50))
    with ThreadPoolExecutor(5) as pool:
        writing = pool.submit(lambda: [store.replace_bill(bill([str(i)] * 50)) for i in range(1, 15)])
        while not writing.done():
            for seen in pool.map(lambda _: Store(store.root).read("cost")["BilledCost"].to_pylist(), range(4)):
                assert len(seen) == 50
                assert len(set(seen)) == 1
        writing.result()
