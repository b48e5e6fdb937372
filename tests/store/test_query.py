"""The daily cost of a bill, summed by DuckDB and by hand."""

from __future__ import annotations

from collections import defaultdict
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal, localcontext
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from capacity.errors import CorruptDataError, MissingDataError, UsageError
from capacity.schemas import COST, MONEY
from capacity.store import Store, daily_cost
from tests.store.frames import bill

AMOUNTS = st.decimals(-(10**18), 10**18, places=12, allow_nan=False, allow_infinity=False)
CHARGES = st.lists(
    st.tuples(AMOUNTS, st.sampled_from(["EC2", "S3", "o'neil"]), st.integers(-3, 40), st.sampled_from(["USD", "EUR"])),
    max_size=12,
)


def charges(rows: list[tuple[Decimal, str, int, str]]) -> pa.Table:
    """One row an amount, service, hour of September, currency."""
    parts = [
        bill([amount], ServiceName=service, BillingCurrency=currency,
             ChargePeriodStart=datetime(2026, 9, 1, tzinfo=UTC) + timedelta(hours=hour))
        for amount, service, hour, currency in rows
    ]  # fmt: skip
    return pa.concat_tables(parts) if parts else COST.schema.empty_table()


@given(CHARGES)
def test_sums_are_those_added_by_hand(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[Decimal, str, int, str]]
) -> None:
    store = Store(tmp_path_factory.mktemp("store") / "a b 'ü")
    store.replace_bill(charges(rows))
    expected: dict[tuple[date, str, str], Decimal] = defaultdict(Decimal)
    with localcontext(prec=50):
        for amount, service, hour, currency in rows:
            day = (datetime(2026, 9, 1, tzinfo=UTC) + timedelta(hours=hour)).date()
            expected[day, service, currency] += amount
    found = daily_cost(store)
    assert found.schema.types == [pa.date32(), pa.string(), pa.string(), MONEY]
    assert [tuple(r.values()) for r in found.to_pylist()] == [(*k, v) for k, v in sorted(expected.items())]


def test_an_absent_bill_has_no_day(tmp_path: Path) -> None:
    found = daily_cost(Store(tmp_path), by=("RegionId", "BillingCurrency"), column="ListCost")
    assert found.num_rows == 0
    assert found.column_names == ["day", "RegionId", "BillingCurrency", "ListCost"]


def test_days_keys_and_versions(tmp_path: Path) -> None:
    store = Store(tmp_path / "x{1}* ?")
    row = (Decimal(1), "EC2", 0, "USD")
    store.replace_bill(charges([row, (Decimal(2), "S3", 30, "USD")]))
    store.replace_bill(charges([(Decimal(7), "EC2", 0, "USD")]))
    assert daily_cost(store)["EffectiveCost"].to_pylist() == [Decimal(7)]
    assert daily_cost(store, 0, by=())["EffectiveCost"].to_pylist() == [Decimal(1), Decimal(2)]
    second = datetime(2026, 9, 2, tzinfo=UTC)
    assert daily_cost(store, 0, start=second)["ServiceName"].to_pylist() == ["S3"]
    assert daily_cost(store, 0, end=second)["ServiceName"].to_pylist() == ["EC2"]
    with pytest.raises(MissingDataError, match="no version 9"):
        daily_cost(store, 9)


def test_rows_without_an_amount(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.replace_bill(bill([None, None]))
    assert daily_cost(store, column="ListCost")["ListCost"].to_pylist() == [None]
    assert daily_cost(store)["EffectiveCost"].to_pylist() == [Decimal(0)]


def test_the_largest_amounts_are_exact(tmp_path: Path) -> None:
    store = Store(tmp_path)
    amount = "4" * 26 + ".000000000001"
    store.replace_bill(bill([amount, amount, "0.000000000001"]))
    assert daily_cost(store)["EffectiveCost"].to_pylist() == [Decimal("8" * 26 + ".000000000003")]


def test_a_sum_beyond_38_digits_is_refused(tmp_path: Path) -> None:
    """DuckDB adds decimals as integers of 128 bits: what does not fit is an error, never another number."""
    store = Store(tmp_path)
    table = bill(["9" * 26], 8)
    store.replace_bill(table)
    store.replace_bill(bill(["9" * 26], 9, ChargePeriodStart=datetime(2026, 8, 2, tzinfo=UTC)))
    with pytest.raises(CorruptDataError, match="cannot be summed"):
        daily_cost(store)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"column": "Cost"}, "no cost column 'Cost'"),
        ({"column": 'BilledCost") FROM x --'}, "no cost column"),
        ({"by": ('ServiceName"; DROP',)}, "cannot be grouped by"),
        ({"by": ("EffectiveCost",)}, "cannot be grouped by EffectiveCost"),
        ({"start": datetime(2026, 1, 1)}, "no zone"),
    ],
)
def test_what_cannot_be_asked(tmp_path: Path, arguments: dict[str, object], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        daily_cost(Store(tmp_path), **arguments)  # type: ignore[arg-type]


def test_a_lost_file_is_said(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.replace_bill(bill(["1"]))
    next(Path(store.root, "cost").glob("*.parquet")).unlink()
    with pytest.raises(CorruptDataError, match="cannot be summed"):
        daily_cost(store)
