"""FOCUS bills: every amount exact, every tolerance said, every refusal with file, line, column and value."""

from __future__ import annotations

import csv as csvlib
from datetime import UTC, datetime
from decimal import ROUND_HALF_EVEN, Decimal, localcontext
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from capacity.config import BillSource
from capacity.errors import CorruptDataError
from capacity.schemas import COST, COST_MONEY, MONEY
from capacity.sources import Batch, BillReader, Context, build

NOW = datetime(2026, 10, 5, tzinfo=UTC)
ROW = {
    "BillingAccountId": "0042", "BillingCurrency": "USD", "BillingPeriodStart": "2026-09-01T00:00:00Z",
    "BillingPeriodEnd": "2026-10-01T00:00:00Z", "ChargePeriodStart": "2026-09-03T00:00:00Z",
    "ChargePeriodEnd": "2026-09-04T00:00:00Z", "ChargeCategory": "Usage", "BilledCost": "1.10",
    "EffectiveCost": "1.00", "ListCost": "2", "ContractedCost": "1.5", "ServiceName": "EC2",
}  # fmt: skip
# What the specification's shorter examples leave out.
LEFT_OUT = {"BillingAccountId": "example", "BillingCurrency": "USD", "ServiceName": "example"}


def read(path: Path, **other: Any) -> list[Batch]:
    config = BillSource.model_validate({"kind": "focus_files", "name": "bill", "path": str(path), **other})
    return list(build(config, Context(Path)).batches(None, NOW))


def csv(path: Path, *rows: dict[str, str]) -> Path:
    with path.open("w", newline="") as stream:
        writer = csvlib.DictWriter(stream, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return path


def one(tmp_path: Path, **changed: str) -> dict[str, Any]:
    """The only row of a bill of one row."""
    (batch,) = read(csv(tmp_path / "bill.csv", ROW | changed))
    assert batch.table.schema == COST.schema
    row: dict[str, Any] = batch.table.to_pylist()[0]
    return row | {"notes": batch.notes}


def test_a_plain_row(tmp_path: Path) -> None:
    row = one(tmp_path)
    assert row["source"] == "bill"
    assert row["file"] == "bill.csv"
    assert row["BillingAccountId"] == "0042"  # text: its zeros are part of it
    assert row["BilledCost"] == Decimal("1.1")
    assert row["BillingPeriodStart"] == datetime(2026, 9, 1, tzinfo=UTC)
    assert row["Tags"] is None
    assert row["notes"] == ()


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-7", "0.0000001"),
        ("-1.25E3", "-1250"),
        (" 7.50 ", "7.5"),
        ("+.5", "0.5"),
        ("0.000000000001", "0.000000000001"),
        ("1.2345678901230000000", "1.234567890123"),
        ("12345678901234567890123456.123456789012", "12345678901234567890123456.123456789012"),
        ("$10,000.00 ", "10000"),
        ("-$5.25", "-5.25"),
        ("0e99", "0"),
    ],
)
def test_amounts_are_exact(tmp_path: Path, text: str, value: str) -> None:
    assert one(tmp_path, BilledCost=text)["BilledCost"] == Decimal(value)


@pytest.mark.parametrize(
    "text",
    [
        "1.2345678901234",
        "1e-13",
        "1e26",
        "1e999999999",
        "NaN",
        "Infinity",
        "1.000,00",
        "1,5",
        "1_000",
        "abc",
        "$",
        "0x10",
    ],
)
def test_amounts_that_are_not_kept_exactly_are_refused(tmp_path: Path, text: str) -> None:
    path = csv(tmp_path / "bill.csv", ROW, ROW | {"BilledCost": text})
    with pytest.raises(CorruptDataError) as caught:
        read(path)
    assert f"{path}: line 3: column BilledCost: found '{text}'" in str(caught.value)


def test_more_decimals_are_rounded_where_that_is_asked_for(tmp_path: Path) -> None:
    path = csv(tmp_path / "bill.csv", ROW | {"BilledCost": "0.5940398101250001", "EffectiveCost": "1e-13"})
    (batch,) = read(path, excess_decimals="round")
    assert batch.table["BilledCost"].to_pylist() == [Decimal("0.594039810125")]
    assert batch.table["EffectiveCost"].to_pylist() == [0]
    assert "BilledCost: rounded half to even to 12 decimals (1 rows)" in batch.notes


def test_prices_and_quantities_are_rounded_half_to_even_and_said(tmp_path: Path) -> None:
    row = one(tmp_path, ListUnitPrice="0.0000000000005", PricingQuantity="1.0000000000015")
    assert row["ListUnitPrice"] == 0
    assert row["PricingQuantity"] == Decimal("1.000000000002")
    assert "ListUnitPrice: rounded half to even to 12 decimals (1 rows)" in row["notes"]


@given(
    st.lists(st.decimals(min_value=-(10**20), max_value=10**20, allow_nan=False, places=12), min_size=1, max_size=30)
)
def test_the_sum_of_a_bill_is_the_sum_of_its_text(
    tmp_path_factory: pytest.TempPathFactory, amounts: list[Decimal]
) -> None:
    path = tmp_path_factory.mktemp("bill") / "bill.csv"
    csv(path, *(ROW | dict.fromkeys(COST_MONEY, str(a)) for a in amounts))
    (batch,) = read(path)
    for column in COST_MONEY:
        assert batch.table[column].to_pylist() == amounts


@pytest.mark.parametrize("null", ["", "NULL", "null", "(null)"])
def test_nulls_stay_null(tmp_path: Path, null: str) -> None:
    row = one(tmp_path, ContractedCost=null, RegionId=null)
    assert row["ContractedCost"] is None
    assert row["RegionId"] is None


def test_odd_spelling_is_set_right_and_said(tmp_path: Path) -> None:
    row = one(tmp_path, ChargeCategory="usage", ChargeFrequency="usage-based", BillingCurrency="usd")
    assert (row["ChargeCategory"], row["ChargeFrequency"], row["BillingCurrency"]) == ("Usage", "Usage-Based", "USD")
    assert "ChargeFrequency: read 'usage-based' as 'Usage-Based'" in row["notes"]


def test_odd_headers(tmp_path: Path) -> None:
    odd = {"billing_account_id": "0042", "BILLEDCOST": "3"} | {
        k: v for k, v in ROW.items() if k not in ("BillingAccountId", "BilledCost")
    }
    (batch,) = read(csv(tmp_path / "bill.csv", odd | {"Id": "7", "x_Own": "8"}))
    assert batch.table["BilledCost"].to_pylist() == [3]
    assert "columns not used: Id, x_Own" in batch.notes
    assert "read BILLEDCOST as BilledCost, billing_account_id as BillingAccountId" in batch.notes


def test_one_column_under_two_spellings_is_refused(tmp_path: Path) -> None:
    path = csv(tmp_path / "bill.csv", ROW | {"billed_cost": "3"})
    with pytest.raises(CorruptDataError, match="'BilledCost' and 'billed_cost' are the same"):
        read(path)


def test_the_provider_columns_of_later_versions(tmp_path: Path) -> None:
    row = one(tmp_path, ServiceProviderName="Databricks", HostProviderName="AWS")
    assert (row["ProviderName"], row["PublisherName"]) == ("Databricks", "Databricks")
    both = one(tmp_path, ServiceProviderName="new", ProviderName="old")  # 1.3 may carry both
    assert (both["ProviderName"], both["PublisherName"]) == ("old", "new")


def test_time_stamps(tmp_path: Path) -> None:
    row = one(tmp_path, ChargePeriodStart="2026-09-03 05:00:00", ChargePeriodEnd="2026-09-03T08:00:00+02:00")
    assert row["ChargePeriodStart"] == datetime(2026, 9, 3, 5, tzinfo=UTC)
    assert row["ChargePeriodEnd"] == datetime(2026, 9, 3, 6, tzinfo=UTC)
    assert "time stamps without zone: taken as UTC" in row["notes"]


@pytest.mark.parametrize(
    ("start", "end", "charge"), [("9/1/26", "10/1/26", "9/4/26"), ("01/09/2026", "01/10/2026", "04/09/2026")]
)
def test_dates_with_slashes_by_their_billing_period(tmp_path: Path, start: str, end: str, charge: str) -> None:
    row = one(tmp_path, BillingPeriodStart=start, BillingPeriodEnd=end, ChargePeriodStart=charge, ChargePeriodEnd=end)
    assert row["ChargePeriodStart"] == datetime(2026, 9, 4, tzinfo=UTC)
    assert row["BillingPeriodEnd"] == datetime(2026, 10, 1, tzinfo=UTC)


def test_dates_that_could_be_either_are_refused(tmp_path: Path) -> None:
    path = csv(tmp_path / "bill.csv", ROW | {"BillingPeriodStart": "1/2/26", "BillingPeriodEnd": "2/3/26"})
    with pytest.raises(CorruptDataError, match="which part is the month"):
        read(path)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"ChargeCategory": "Fee"}, "line 3: column ChargeCategory: found 'Fee'; allowed: one of Usage, Purchase"),
        ({"EffectiveCost": "NULL"}, "line 3: column EffectiveCost: found no value"),
        ({"BillingPeriodStart": "September"}, "line 3: column BillingPeriodStart: found 'September'"),
        ({"BillingPeriodEnd": "2026-08-01T00:00:00Z"}, "line 3: column BillingPeriodEnd"),
    ],
)
def test_rows_that_are_not_of_a_bill(tmp_path: Path, changed: dict[str, str], said: str) -> None:
    with pytest.raises(CorruptDataError) as caught:
        read(csv(tmp_path / "bill.csv", ROW, ROW | changed))
    assert said in str(caught.value)


def test_a_missing_column_can_be_given_for_all_rows(tmp_path: Path) -> None:
    path = csv(tmp_path / "bill.csv", {k: v for k, v in ROW.items() if k != "BillingAccountId"})
    with pytest.raises(CorruptDataError, match="no column BillingAccountId"):
        read(path)
    (batch,) = read(path, defaults={"BillingAccountId": "0099"})
    assert batch.table["BillingAccountId"].to_pylist() == ["0099"]


def test_a_null_service_stays_in_the_bill(tmp_path: Path) -> None:
    row = one(tmp_path, ServiceName="")
    assert row["ServiceName"] == "(not given)"
    assert "ServiceName is null: kept as '(not given)' (1 rows)" in row["notes"]


def test_the_same_file_twice_is_refused(tmp_path: Path) -> None:
    csv(tmp_path / "a.csv", ROW)
    csv(tmp_path / "b.csv", ROW)
    with pytest.raises(CorruptDataError, match=r"same content as a\.csv"):
        read(tmp_path)


def test_parquet_as_providers_write_it(tmp_path: Path) -> None:
    """Binary floats, native time stamps, a map of tags."""
    native: dict[str, Any] = {k: [v] for k, v in ROW.items()}
    for name in ("BillingPeriodStart", "BillingPeriodEnd", "ChargePeriodStart", "ChargePeriodEnd"):
        native[name] = pa.array([datetime.fromisoformat(ROW[name]).replace(tzinfo=None)], pa.timestamp("ms"))
    native["BilledCost"] = pa.array([0.1 + 0.2])
    native["EffectiveCost"] = pa.array([Decimal("1.5")], pa.decimal128(20, 2))
    native["ListCost"] = pa.array([3])
    native["Tags"] = pa.array([[("team", "b"), ("app", "ä")]], pa.map_(pa.string(), pa.string()))
    pq.write_table(pa.table(native), tmp_path / "bill.parquet")
    (batch,) = read(tmp_path / "bill.parquet")
    row = batch.table.to_pylist()[0]
    assert row["BilledCost"] == Decimal("0.3")
    assert (row["EffectiveCost"], row["ListCost"]) == (Decimal("1.5"), 3)
    assert row["Tags"] == '{"app": "ä", "team": "b"}'
    assert row["BillingPeriodStart"] == datetime(2026, 9, 1, tzinfo=UTC)
    assert any(n.startswith("BilledCost: read from binary floating point") for n in batch.notes)
    assert "BilledCost: rounded half to even to 12 decimals (1 rows)" in batch.notes


@given(st.lists(st.floats(-1e12, 1e12, allow_nan=False).map(lambda x: round(x, 4)), min_size=1, max_size=20))
def test_a_float_becomes_the_decimal_that_prints_it(
    tmp_path_factory: pytest.TempPathFactory, values: list[float]
) -> None:
    path = tmp_path_factory.mktemp("bill") / "bill.parquet"
    columns: dict[str, Any] = {k: [v] * len(values) for k, v in ROW.items()} | {"BilledCost": values}
    pq.write_table(pa.table(columns), path)
    (batch,) = read(path)
    assert batch.table["BilledCost"].to_pylist() == [Decimal(repr(v)) for v in values]


@given(st.lists(st.one_of(st.none(), st.floats(-1e25, 1e25, allow_nan=False)), min_size=1, max_size=40))
def test_any_float_is_its_shortest_spelling_rounded(
    tmp_path_factory: pytest.TempPathFactory, values: list[float | None]
) -> None:
    """The quick way over whole numbers and the slow one over text agree with Python's own decimals."""
    path = tmp_path_factory.mktemp("bill") / "bill.parquet"
    columns: dict[str, Any] = {k: [v] * len(values) for k, v in ROW.items()}
    pq.write_table(pa.table(columns | {"ListCost": pa.array(values, pa.float64())}), path)
    (batch,) = read(path)
    with localcontext() as context:
        context.prec = 60
        expected = [None if v is None else Decimal(repr(v)).quantize(Decimal("1e-12"), ROUND_HALF_EVEN) for v in values]
    assert batch.table["ListCost"].to_pylist() == expected


@pytest.mark.parametrize("kind", [pa.float32(), pa.int32(), pa.decimal128(20, 4), pa.decimal256(40, 15), pa.string()])
def test_amounts_of_any_type(tmp_path: Path, kind: pa.DataType) -> None:
    values = pa.array(["3", None, "12", "0"]).cast(kind)
    columns: dict[str, Any] = {k: [v] * 4 for k, v in ROW.items()} | {"ListCost": values}
    pq.write_table(pa.table(columns), tmp_path / "bill.parquet")
    (batch,) = read(tmp_path / "bill.parquet")
    assert batch.table["ListCost"].to_pylist() == [3, None, 12, 0]


def test_a_parquet_row_is_named(tmp_path: Path) -> None:
    columns: dict[str, Any] = {k: [v, v] for k, v in ROW.items()} | {"BilledCost": [1.0, float("nan")]}
    pq.write_table(pa.table(columns), tmp_path / "bill.parquet")
    with pytest.raises(CorruptDataError, match="row 2: column BilledCost: found 'nan'; allowed: a finite number"):
        read(tmp_path / "bill.parquet")


def test_a_bill_is_streamed(tmp_path: Path) -> None:
    """Blocks come one by one: a bill of many row groups is never whole in memory."""
    path = tmp_path / "bill.parquet"
    part = pa.table({k: [v] * 50_000 for k, v in ROW.items()} | {"Tags": [f'{{"n": "{i}"}}' for i in range(50_000)]})
    with pq.ParquetWriter(path, part.schema) as out:
        for _ in range(12):
            out.write_table(part)
    source = build(BillSource(kind="focus_files", name="bill", path=str(path)), Context(Path))
    assert isinstance(source, BillReader)
    (bill,) = source.bills(NOW)
    before, largest, rows, whole = pa.total_allocated_bytes(), 0, 0, 0
    for block in bill.blocks():
        rows, whole = rows + block.num_rows, whole + block.nbytes
        assert block.num_rows <= 131_072
        assert block.schema == COST.schema
        largest = max(largest, pa.total_allocated_bytes() - before)
    assert rows == 600_000
    assert largest < whole * 2 / 3


def test_tags_without_braces(tmp_path: Path) -> None:
    assert one(tmp_path, Tags='"team": "a"')["Tags"] == '{"team": "a"}'


def test_large_files_come_in_blocks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("capacity.sources._csv_files._BLOCK_BYTES", 4096)
    rows = [ROW | {"BilledCost": f"{i}.5"} for i in range(400)]
    (batch,) = read(csv(tmp_path / "bill.csv", *rows))
    assert batch.table["BilledCost"].num_chunks > 5
    assert batch.table["BilledCost"].to_pylist() == [Decimal(f"{i}.5") for i in range(400)]
    path = csv(tmp_path / "bill.csv", *rows, ROW | {"BilledCost": "x"})
    with pytest.raises(CorruptDataError, match="line 402: column BilledCost"):
        read(path)


# --- real bills --------------------------------------------------------------------------------------------


def test_the_real_sample_adds_up(real_data: Path) -> None:
    path = real_data / "cost" / "focus" / "focus_1.0_sample_1000.csv"
    (batch,) = read(path)
    with path.open(newline="", encoding="utf-8-sig") as stream:
        rows = list(csvlib.DictReader(stream))
    assert batch.table.num_rows == len(rows) == 1000
    for column in COST_MONEY:
        expected = [None if r[column] in ("", "NULL") else Decimal(r[column]) for r in rows]
        assert batch.table[column].to_pylist() == expected
    assert batch.table["ContractedCost"].null_count == 7
    assert set(batch.table["ChargeFrequency"].to_pylist()) == {"Usage-Based", "One-Time"}


def test_the_specifications_examples(real_data: Path, tmp_path: Path) -> None:
    """The long examples are read as they are; the short ones lack account, currency and service."""
    read_as_is, with_defaults = 0, 0
    for path in sorted((real_data / "cost" / "focus_spec_scenarios").glob("*.csv")):
        with path.open(newline="", encoding="utf-8-sig") as stream:
            rows = [r for r in csvlib.DictReader(stream) if any(r.values())]
        short = "BillingAccountId" not in rows[0]
        (batch,) = read(path, defaults=LEFT_OUT if short else {})
        with_defaults, read_as_is = with_defaults + short, read_as_is + (not short)
        plain = [Decimal(r["BilledCost"].replace("$", "").replace(",", "")) for r in rows]
        assert batch.table["BilledCost"].to_pylist() == plain, path.name
    assert (read_as_is, with_defaults) == (15, 11)


def test_the_specifications_commitments_come_out_even(real_data: Path) -> None:
    """Per commitment: effective cost of usage = what was bought = used + unused."""
    checked = 0
    for path in sorted((real_data / "cost" / "focus_spec_scenarios").glob("*_utilization_*.csv")):
        (batch,) = read(path, defaults=LEFT_OUT)
        rows = [r for r in batch.table.to_pylist() if r["CommitmentDiscountId"]]
        bought = sum(r["BilledCost"] for r in rows if r["ChargeCategory"] == "Purchase")
        status = {
            s: sum(r["EffectiveCost"] for r in rows if r["CommitmentDiscountStatus"] == s) for s in ("Used", "Unused")
        }
        assert status["Used"] + status["Unused"] == bought > 0, path.name
        assert sum(r["EffectiveCost"] for r in rows) == sum(r["BilledCost"] for r in rows), path.name
        checked += 1
    assert checked == 4


def test_the_corrections(real_data: Path) -> None:
    folder = real_data / "cost" / "focus_corrections"
    sums = {}
    for path in sorted(folder.glob("*.csv")):
        (batch,) = read(path, defaults=LEFT_OUT)
        sums[path.stem.rsplit("_", 1)[1]] = sum(batch.table["BilledCost"].to_pylist())
    assert sums == {"delta": 0, "ledger": 0, "original": 1500, "replacement": 1500}


def test_what_is_no_bill_is_refused(real_data: Path) -> None:
    for name in ("validator_sample.parquet", "currency_codes.csv", "focus_columns_1.2.csv"):
        with pytest.raises(CorruptDataError, match="is this a FOCUS bill"):
            read(real_data / "cost" / "focus" / name)


def test_money_type_is_as_wide_as_the_messages_say() -> None:
    assert (MONEY.precision, MONEY.scale) == (38, 12)
