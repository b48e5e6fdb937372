"""Money: what stands in the store is what stands in the files, to the last decimal."""

from __future__ import annotations

import csv
import os
import random
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from decimal import ROUND_HALF_EVEN, Decimal, localcontext
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from capacity.config import BillSource
from capacity.errors import CorruptDataError
from capacity.schemas import COST_MONEY
from capacity.sources import Context, build
from capacity.store import MoneyCheck, SourceReport, Store, _fidelity, ingest
from capacity.store._raw_sums import raw_sums
from capacity.store._reports import amounts
from tests.store import random_bills
from tests.store.frames import NOW, Bills, File, bill, rows

# 300 bills for every change, the 10,000 that are promised in make test-full.
BILLS = 10_000 if os.environ.get("CAPACITY_TEST_PROFILE") == "full" else 300
BILLS_A_SOURCE = 60


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


def focus(path: Path, name: str = "b", **other: object) -> object:
    return build(BillSource(kind="focus_files", name=name, path=str(path), check_focus=False, **other), Context(Path))


@pytest.mark.parametrize("seed", range(BILLS // BILLS_A_SOURCE + (BILLS % BILLS_A_SOURCE > 0)))
def test_random_bills_add_up(tmp_path: Path, store: Store, seed: int) -> None:
    """Several accounts, periods, currencies; signs, nulls, duplicates and 12 decimals; CSV and Parquet."""
    dice, expected = random.Random(seed), random_bills.Expected()
    folder = tmp_path / "bills"
    folder.mkdir()
    for i in range(min(BILLS_A_SOURCE, BILLS - seed * BILLS_A_SOURCE)):
        random_bills.write(folder / f"{i:03d}.{dice.choice(('csv', 'parquet'))}", dice, expected)
    (report,) = ingest([focus(folder)], store, NOW).sources
    assert not report.failures
    _compare(report, store, expected)
    (again,) = ingest([focus(folder)], store, NOW).sources
    assert (again.rows_read, again.rows_changed, again.failures) == (0, 0, ())
    _compare(again, store, expected)


def _compare(report: SourceReport, store: Store, expected: random_bills.Expected) -> None:
    assert {(c.store.account_id, c.store.period_start, c.store.currency) for c in report.checks} == set(expected.rows)
    for check in report.checks:
        key = (check.store.account_id, check.store.period_start, check.store.currency)
        assert check.agrees
        assert check.store.rows == expected.rows[key]
        for column, in_files, in_store, difference in check.lines():
            assert in_files == in_store == expected.sums[key, column]
            assert difference == 0
            assert check.store.nulls[column] == expected.nulls[key, column]
    found = random_bills.Expected()
    for row in store.read("cost").to_pylist():
        found.add(
            (row["BillingAccountId"], row["BillingPeriodStart"].astimezone(UTC), row["BillingCurrency"]),
            {c: row[c] for c in COST_MONEY},
        )
    assert found == expected


# --- a file that does not say what was read from it ---------------------------------------------------------------


def raw_of(table: pa.Table, **other: pa.Array) -> pa.Table:
    """The file's own columns: those of ``table``, but for ``other``."""
    out = table.drop_columns(["source", "file"])
    for name, column in other.items():
        out = out.set_column(out.schema.get_field_index(name), name, column)
    return out


@pytest.mark.parametrize("column", COST_MONEY)
def test_a_sum_that_the_file_does_not_have_aborts_its_period(store: Store, column: str) -> None:
    good = [File("8.csv", bill(["1", "2"], month=8)), File("9.csv", bill(["3"]))]
    ingest([Bills("bill", good)], store, NOW)
    before = rows(store.read("cost"))
    table = bill(["4", "5"])
    wrong = File("9.csv", table, own=raw_of(table, **{column: pa.array([Decimal(4), Decimal("5.000000000001")])}))
    report = ingest([Bills("bill", [File("8.csv", bill(["7"], month=8)), wrong])], store, NOW)
    assert report.failed == ("bill",)
    assert f"{column} adds up to 9.000000000001 in the file, to 9.000000000000 in the rows read" in report.failures[0]
    assert rows(store.read("cost")) == before


def test_a_row_that_was_lost_or_a_null_that_was_filled_is_seen(store: Store) -> None:
    table = bill(["0", "0", None])
    shorter = File("a.csv", table.slice(0, 2), own=raw_of(table))
    (report,) = ingest([Bills("b", [shorter])], store, NOW).sources
    assert "the file has 3 rows, 2 were read" in report.failures[0]
    filled = File("a.csv", bill(["0", "0"]), own=raw_of(bill(["0", None])))
    (report,) = ingest([Bills("b", [filled])], store, NOW).sources
    assert "ListCost is null in 1 rows of the file, in 0 read" in report.failures[0]
    assert store.versions() == {}


def test_amounts_in_the_wrong_account_are_seen(store: Store) -> None:
    """The sums are right, but not where they stand."""
    right = pa.concat_tables([bill(["1"], account="1"), bill(["2"], account="2")])
    swapped = pa.concat_tables([bill(["1"], account="2"), bill(["2"], account="1")])
    (report,) = ingest([Bills("b", [File("a.csv", swapped, own=raw_of(right))])], store, NOW).sources
    assert "account 1, period 2026-09-01 00:00:00+00:00, currency USD: BilledCost adds up to 1" in report.failures[0]


def test_what_a_file_spells_in_its_own_way_is_compared_as_far_as_it_goes(store: Store) -> None:
    table = bill(["1000", "2.5"])
    slashed = pa.array(["9/1/26", "9/1/26"])
    own = raw_of(table, BillingPeriodStart=slashed, ListCost=pa.array(["$1,000.00 ", "2.5"]))
    (report,) = ingest([Bills("b", [File("a.csv", table, own=own)])], store, NOW).sources
    assert not report.failures
    assert "a.csv: its sums were compared over every billing period together: it does not name them plainly" in (
        report.notes
    )
    wrong = raw_of(table, BillingPeriodStart=slashed, ListCost=pa.array(["$1,000.01", "2.5"]))
    (report,) = ingest([Bills("b", [File("a.csv", table, own=wrong)])], store, NOW).sources
    assert "ListCost adds up to 1002.51" in report.failures[0]


def test_a_cost_report_is_compared_by_what_it_has_as_it_stands(store: Store) -> None:
    table = bill(["1", "2"])
    own = pa.table(
        {
            "bill/PayerAccountId": ["1", "1"], "bill/BillingPeriodStartDate": ["2026-09-01T00:00:00Z"] * 2,
            "lineItem/CurrencyCode": ["USD", "USD"], "lineItem/UnblendedCost": ["1", "9"],
            "lineItem/NetUnblendedCost": [None, "2"],
        }
    )  # fmt: skip
    (report,) = ingest([Bills("b", [File("a.csv", table, own=own)])], store, NOW).sources
    assert not report.failures
    assert any("compared by unblended cost" in n for n in report.notes)
    own = own.set_column(4, "lineItem/NetUnblendedCost", pa.array([None, "3"]))
    (report,) = ingest([Bills("b", [File("a.csv", table, own=own)])], store, NOW).sources
    assert "BilledCost adds up to 4" in report.failures[0]


@given(
    st.lists(st.one_of(st.none(), st.floats(-1e9, 1e9), st.integers(0, 10**13).map(lambda i: i / 10**13)), min_size=1)
)
def test_floats_are_added_by_their_shortest_spelling(values: list[float | None]) -> None:
    own = pa.table({"BilledCost": pa.array(values, pa.float64())})
    with _fidelity.Calculator() as calculator:
        found = raw_sums(File("f", bill(["1"]), own=own), calculator.connection)
    assert found is not None
    want = [Decimal(repr(v)).quantize(Decimal("1e-12")) for v in values if v is not None]
    assert found.parts[0].sums["BilledCost"] == sum(want)
    assert found.parts[0].nulls["BilledCost"] == values.count(None)


def _told(texts: list[str]) -> Decimal:
    own = pa.table({"BilledCost": pa.array(texts)})
    with _fidelity.Calculator() as calculator:
        found = raw_sums(File("f", bill(["1"]), own=own), calculator.connection)
    assert found is not None
    return found.parts[0].sums["BilledCost"]


_DIGITS = st.text("0123456789", max_size=38)


@given(st.lists(st.tuples(st.sampled_from(["", "-", "+"]), st.sampled_from("0123459"), _DIGITS, st.integers(-40, 12))))
def test_exponents_and_long_decimals_are_added_exactly(parts: list[tuple[str, str, str, int]]) -> None:
    """Each amount to 12 decimals, a half to even, as it is stored."""
    texts = [f"{sign}{first}.{rest}" + (f"e{power:+03d}" if power else "") for sign, first, rest, power in parts]
    texts += ["0.0000000000005", "0.0000000000015000", "-2.5e-12", "3.5E-12", "9999999999999.9999999999995", ".5"]
    texts += ["$1,000.00", "1" + "0" * 24]
    with localcontext(prec=120, rounding=ROUND_HALF_EVEN):
        plain = (Decimal(t.replace("$", "").replace(",", "")) for t in texts)
        assert _told(texts) == sum(p.quantize(Decimal("1e-12")) for p in plain)


def test_a_million_spellings_are_added_in_the_memory_that_there_is() -> None:
    """Kept one by one, as ``$1,000.00`` is, as many do not fit into the calculator's 256 MB."""
    n = 1_000_000
    texts = pa.array([f"0.{i + 1:015d}" if i % 20 else f"{i % 9 + 1}.{i:015d}e-05" for i in range(n)])
    own = pa.table(dict.fromkeys(COST_MONEY, texts))
    with _fidelity.Calculator() as calculator:
        found = raw_sums(File("f", bill(["1"]), own=own, block_rows=50_000), calculator.connection)
    assert found is not None
    assert found.parts[0].rows == n


def test_an_amount_that_is_no_number_is_refused() -> None:
    own = pa.table({"BilledCost": ["1", "one"]})
    with _fidelity.Calculator() as calculator, pytest.raises(CorruptDataError, match="amount 'one' is no decimal"):
        raw_sums(File("f", bill(["1"]), own=own), calculator.connection)


def test_a_check_shows_the_difference() -> None:
    from capacity.store import _bill

    one, other = _bill.totals([bill(["1", "2"])])[0], _bill.totals([bill(["1", "2.5"])])[0]
    check = MoneyCheck(one, other)
    assert not check.agrees
    assert check.lines()[0] == ("BilledCost", Decimal(3), Decimal("3.5"), Decimal("0.5"))
    assert MoneyCheck(one, one).agrees
    assert amounts(one) == (3, 3, 3, 3)


# --- the specification's worked examples ---------------------------------------------------------------------------

# The files leave out what their example does not need.
DEFAULTS = {"BillingAccountId": "1", "BillingCurrency": "USD", "ServiceName": "example"}
# Examples that hold a purchase and all of its use in one file.
WHOLE = {
    "one_hundred_percent_utilization_with_commitment_discount_flexibility_with_1_resource": "0.5",
    "one_hundred_percent_utilization_with_commitment_discount_flexibility_with_2_resources": "2",
    "one_hundred_percent_utilization_without_commitment_discount_flexibility": "1.5",
    "zero_percent_utilization_without_commitment_discount_flexibility": "1.5",
}
# One hour of a commitment of 1 USD an hour, without its purchase; and purchases without their use.
HOURS = [f"commitment_discount_usage_scenario_{i}" for i in (1, 2, 3, 4)]
PURCHASES = {f"commitment_discount_purchase_scenario_{i}": v for i, v in ((1, "8760"), (2, "3"), (3, "4381.5"))}
# Tokens are bought in one file and used in another, and not all of them.
TOKENS_BOUGHT = [f"virtual_currency_pricing_model_{x}" for x in ("a1", "b1", "c")]
TOKENS_USED = [f"virtual_currency_pricing_model_{x}" for x in ("a2", "b2", "b3")]
AGREEMENTS = [
    *(f"saas_spend_agreements_{x}" for x in ("a1", "a2", "b1", "b2")),
    *(f"simple_saas_agreements_{x}" for x in ("a1", "a2", "a3", "b", "c")),
]


def scenario(real_data: Path, store: Store, name: str) -> list[dict[str, Any]]:
    """The example's rows, once they went through an ingest whose sums are those of the file."""
    path = real_data / "cost" / "focus_spec_scenarios" / f"{name}.csv"
    (report,) = ingest([focus(path, defaults=DEFAULTS)], store, NOW).sources
    assert not report.failures
    assert all(c.agrees for c in report.checks)
    found = store.read("cost").to_pylist()
    with path.open(encoding="utf-8-sig", newline="") as stream:
        given = [r for r in csv.DictReader(stream) if any(r.values())]
    assert len(found) == len(given)
    for column in COST_MONEY:
        texts = [r.get(column) or "0" for r in given]
        assert added(found, column) == sum(Decimal(t.replace("$", "").replace(",", "").strip()) for t in texts)
    return found


def added(rows: Iterable[dict[str, Any]], column: str, **where: str | None) -> Decimal:
    """The sum of ``column`` over rows with these values."""
    return sum((r[column] or Decimal(0) for r in rows if all(r[k] == v for k, v in where.items())), Decimal(0))


def test_every_example_is_looked_at(real_data: Path) -> None:
    names = {p.stem for p in (real_data / "cost" / "focus_spec_scenarios").glob("*.csv")}
    known = [*WHOLE, *HOURS, *PURCHASES, *TOKENS_BOUGHT, *TOKENS_USED, *AGREEMENTS]
    assert len(known) == len(set(known)) == 26
    assert names == set(known)


@pytest.mark.parametrize("name", WHOLE)
def test_used_and_unused_are_the_purchase(real_data: Path, store: Store, name: str) -> None:
    found = scenario(real_data, store, name)
    (commitment,) = {r["CommitmentDiscountId"] for r in found} - {None}
    of = {"CommitmentDiscountId": commitment}
    purchase = added(found, "BilledCost", ChargeCategory="Purchase", **of)
    used = added(found, "EffectiveCost", CommitmentDiscountStatus="Used", **of)
    unused = added(found, "EffectiveCost", CommitmentDiscountStatus="Unused", **of)
    assert used + unused == purchase == Decimal(WHOLE[name])
    assert (used == 0) == name.startswith("zero")
    assert added(found, "EffectiveCost") == added(found, "BilledCost")


@pytest.mark.parametrize("name", HOURS)
def test_an_hour_of_a_commitment_is_used_or_unused_whole(real_data: Path, store: Store, name: str) -> None:
    found = [r for r in scenario(real_data, store, name) if r["CommitmentDiscountId"]]
    assert added(found, "EffectiveCost") == added(found, "CommitmentDiscountQuantity") == 1
    assert added(found, "BilledCost") == 0


@pytest.mark.parametrize("name", PURCHASES)
def test_a_purchase_is_paid_and_not_yet_used(real_data: Path, store: Store, name: str) -> None:
    found = scenario(real_data, store, name)
    assert {r["ChargeCategory"] for r in found} == {"Purchase"}
    assert added(found, "BilledCost") == added(found, "CommitmentDiscountQuantity") == Decimal(PURCHASES[name])
    assert added(found, "EffectiveCost") == 0


@pytest.mark.parametrize("name", AGREEMENTS)
def test_accrual_and_cash_reconcile_over_an_agreement(real_data: Path, store: Store, name: str) -> None:
    found = scenario(real_data, store, name)
    assert added(found, "EffectiveCost") == added(found, "BilledCost") > 0
    if name in ("saas_spend_agreements_b1", "saas_spend_agreements_b2"):  # paid up front, used month by month
        months = {r["BillingPeriodStart"] for r in found}
        assert any(
            added(found, "EffectiveCost", BillingPeriodStart=m) != added(found, "BilledCost", BillingPeriodStart=m)
            for m in months
        )


@pytest.mark.parametrize("name", [*TOKENS_BOUGHT, *TOKENS_USED])
def test_tokens_are_paid_when_bought_and_cost_when_used(real_data: Path, store: Store, name: str) -> None:
    found = scenario(real_data, store, name)
    bought = name in TOKENS_BOUGHT
    assert {r["ChargeCategory"] for r in found} == {"Purchase" if bought else "Usage"}
    assert (added(found, "BilledCost") > 0, added(found, "EffectiveCost") > 0) == (bought, not bought)


def test_a_commitment_reconciles_over_its_term_and_not_by_month(real_data: Path, tmp_path: Path, store: Store) -> None:
    """The example's purchase of a year, and its example hour (.75 used, .25 not) for each hour of that year."""
    folder = real_data / "cost" / "focus_spec_scenarios"
    bills = tmp_path / "bills"
    bills.mkdir()
    (bills / "purchase.csv").write_text((folder / "commitment_discount_purchase_scenario_1.csv").read_text())
    with (folder / "commitment_discount_usage_scenario_3.csv").open(newline="") as stream:
        hour = list(csv.DictReader(stream))
    with (bills / "use.csv").open("w", newline="") as stream:
        out = csv.DictWriter(stream, hour[0].keys())
        out.writeheader()
        at = datetime(2023, 1, 1, tzinfo=UTC)
        while at.year == 2023:
            month = at.replace(day=1, hour=0)
            spans = {
                "BillingPeriodStart": month, "BillingPeriodEnd": (month + timedelta(days=32)).replace(day=1),
                "ChargePeriodStart": at, "ChargePeriodEnd": at + timedelta(hours=1),
            }  # fmt: skip
            out.writerows([row | {k: v.isoformat() for k, v in spans.items()} for row in hour])
            at += timedelta(hours=1)
    (report,) = ingest([focus(bills, defaults=DEFAULTS)], store, NOW).sources
    assert not report.failures
    assert len(report.checks) == 12
    found = store.read("cost").to_pylist()
    used, unused = (added(found, "EffectiveCost", CommitmentDiscountStatus=s) for s in ("Used", "Unused"))
    assert (used, unused) == (6570, 2190)
    assert used + unused == added(found, "BilledCost") == added(found, "EffectiveCost") == 8760
    january = [c for c in report.checks if c.store.period_start.month == 1]
    assert [(c.store.billed, c.store.effective) for c in january] == [(8760, 744)]
