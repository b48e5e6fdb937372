"""Invoices against what is allocated; private discounts; currencies added only by a rate with its date."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pandas as pd
import pytest
from costs_makers import SERVICES, bill, costs, row
from hypothesis import given
from hypothesis import strategies as st

from capacity.config import ExchangeRate, InvoiceConfig
from capacity.costs import allocate, attribute, in_one_currency, invoice_ties, private_discounts, rate_of
from capacity.schemas import COST_MONEY

CONFIG = costs(
    [{"name": s, "service": s, "match": {"SubAccountId": s}} for s in SERVICES]
    + [{"name": "p", "pool": "shared", "match": {"SubAccountId": "pool"}}],
    [{"name": "shared", "split": "even"}],
)
ROWS = [
    row("2026-08", "10", SubAccountId="checkout"),
    row("2026-08", "5", SubAccountId="pool", BillingAccountId="other"),
    row("2026-08", "2.005", ChargeCategory="Tax"),
    row("2026-08", "7", SubAccountId="search", BillingCurrency="EUR"),
    row("2026-09", "1", SubAccountId="search"),
    # A commitment: paid for now, used over a year. An invoice sees the cash.
    row("2026-09", "0", ChargeCategory="Purchase", BilledCost="36"),
]


def _ties(*invoices: dict[str, Any], rows: list[dict[str, Any]] = ROWS) -> dict[tuple[str, ...], dict[str, Any]]:
    table = bill(rows)
    allocation = allocate(attribute(table, CONFIG, SERVICES), CONFIG)
    entered = [InvoiceConfig.model_validate(i) for i in invoices]
    found = invoice_ties(table, allocation, entered, "USD")
    keys = found[["month", "currency", "account"]].itertuples(index=False, name=None)
    return dict(zip(keys, [{str(k): v for k, v in r.items()} for r in found.to_dict("records")], strict=True))


def test_without_an_invoice_the_rows_of_the_bill_are_the_total_by_month_and_currency() -> None:
    found = _ties()
    assert sorted(found) == [("2026-08", "EUR", "(all)"), ("2026-08", "USD", "(all)"), ("2026-09", "USD", "(all)")]
    august = found["2026-08", "USD", "(all)"]
    assert (august["direct"], august["shared"], august["unallocated"]) == (Decimal(10), Decimal(5), Decimal("2.005"))
    assert all(t["ties"] and t["difference"] == 0 and t["total_from"] == "bill" for t in found.values())
    assert found["2026-09", "USD", "(all)"]["invoice_total"] == Decimal(37)


def test_an_entered_invoice_ties_within_its_rounding_and_no_further() -> None:
    found = _ties({"month": "2026-08", "amount": "17.01", "number": "INV-8"}, {"month": "2026-09", "amount": "36.98"})
    assert (found["2026-08", "USD", "(all)"]["ties"], found["2026-08", "USD", "(all)"]["number"]) == (True, "INV-8")
    september = found["2026-09", "USD", "(all)"]
    assert (september["ties"], september["difference"]) == (False, Decimal("0.02"))
    assert "0.02" in september["words"]
    assert "more than the invoice" in september["words"]


def test_an_invoice_of_one_account_is_held_to_that_account_alone() -> None:
    found = _ties({"month": "2026-08", "amount": "5", "account": "other"})
    assert found["2026-08", "USD", "other"]["ties"]
    assert found["2026-08", "USD", "(all)"]["total_from"] == "bill"


def test_several_invoices_of_a_month_are_added_up() -> None:
    found = _ties(
        {"month": "2026-08", "amount": "15", "number": "A-1"}, {"month": "2026-08", "amount": "2.01", "number": "A-2"}
    )
    august = found["2026-08", "USD", "(all)"]
    assert (august["ties"], august["invoice_total"], august["number"]) == (True, Decimal("17.01"), "A-1, A-2")


def test_what_a_commitment_covers_is_no_private_discount() -> None:
    def usage(contracted: object, **more: Any) -> dict[str, Any]:
        return row("2026-08", "50", ListCost="100", ContractedCost=contracted, **more)

    covered = [usage("60", CommitmentDiscountStatus="Used", SkuId="a"), usage("0", SkuId="b", EffectiveCost="0")]
    found = private_discounts(attribute(bill([usage("95"), *covered]), CONFIG, SERVICES))
    assert found.iloc[0]["discount_frac"] == Decimal("0.05")


def test_an_invoice_without_a_bill_does_not_tie_and_says_so() -> None:
    found = _ties({"month": "2026-07", "amount": "0"})
    assert not found["2026-07", "USD", "(all)"]["ties"]
    assert "no bill of 2026-07" not in found["2026-08", "USD", "(all)"]["words"]
    assert "there is no bill of 2026-07 in USD" in found["2026-07", "USD", "(all)"]["words"]


def test_private_discounts_are_contracted_over_list_of_usage_that_knows_both() -> None:
    def usage(listed: object, contracted: object, effective: object = "9", **more: Any) -> dict[str, Any]:
        return row("2026-08", effective, ListCost=listed, ContractedCost=contracted, **more)

    table = bill(
        [
            usage("100", "90"),
            usage("50", "50", ServiceName="S3", SkuId="s3"),
            usage(None, "5", ServiceName="S3", SkuId="s3-b"),
            usage("0", "0", SkuId="zero"),
            usage("100", "30", PricingCategory="Dynamic", SkuId="spot"),
            row("2026-08", "9", ChargeCategory="Tax"),
        ]
    )
    found = private_discounts(attribute(table, CONFIG, SERVICES)).set_index("provider_service")
    assert list(found.index) == ["(all)", "EC2", "S3"]
    assert found.loc["(all)", "discount"] == Decimal(10)
    assert found.loc["(all)", "discount_frac"] == Decimal("0.066666667")
    assert (found.loc["EC2", "rows"], found.loc["EC2", "rows_without_list"]) == (1, 1)
    assert (found.loc["S3", "rows"], found.loc["S3", "rows_without_list"]) == (1, 1)


def _rate(as_of: str, rate: str = "1.08", source: str = "EUR", target: str = "USD") -> ExchangeRate:
    return ExchangeRate.model_validate(
        {"from": source, "to": target, "rate": rate, "as_of": as_of, "source": "European Central Bank"}
    )


def test_the_newest_rate_by_the_end_of_the_month_is_taken_and_none_is_turned_about() -> None:
    rates = [_rate("2026-07-31", "1.1"), _rate("2026-08-31", "1.2"), _rate("2026-09-01", "1.3")]
    august = rate_of(rates, "EUR", "USD", "2026-08")
    assert august is not None
    assert august.rate == Decimal("1.2")
    assert rate_of(rates, "EUR", "USD", "2026-06") is None
    assert rate_of(rates, "USD", "EUR", "2026-08") is None


def test_currencies_are_added_only_where_a_rate_is_given() -> None:
    frame = allocate(attribute(bill(ROWS), CONFIG, SERVICES), CONFIG).frame
    alone, refused = in_one_currency(frame, [], "USD")
    assert set(alone["from_currency"]) == {"USD"}
    assert refused == (
        "EUR of 2026-08 is not added to USD: no rate from EUR to USD is given with a date by the end of the month "
        "(exchange_rates)",
    )
    turned, refused = in_one_currency(frame, [_rate("2026-08-31", "1.2")], "USD")
    assert refused == ()
    euro = turned[turned["from_currency"] == "EUR"]
    assert euro["EffectiveCost"].tolist() == [Decimal("8.4")]
    assert set(turned["currency"]) == {"USD"}
    assert [str(d) for d in euro["rate_as_of"]] == ["2026-08-31"]


AMOUNTS = st.decimals(-1000, 1000, places=6, allow_nan=False)


@given(st.lists(st.tuples(st.sampled_from([*SERVICES, "pool", "nobody"]), AMOUNTS), min_size=1, max_size=12))
def test_what_is_allocated_is_the_invoice_whatever_the_bill(pieces: list[tuple[str, Decimal]]) -> None:
    rows = [row("2026-08", str(amount), SubAccountId=who) for who, amount in pieces]
    total = sum((amount for _, amount in pieces), Decimal(0))
    found = _ties({"month": "2026-08", "amount": total, "tolerance": 0}, rows=rows)["2026-08", "USD", "(all)"]
    assert found["ties"]
    assert found["direct"] + found["shared"] + found["unallocated"] == total


def test_an_empty_bill_of_usage_has_no_discounts() -> None:
    found = private_discounts(attribute(bill([row("2026-08", "1", ChargeCategory="Tax")]), CONFIG, SERVICES))
    assert isinstance(found, pd.DataFrame)
    assert found.empty


@pytest.mark.parametrize("column", COST_MONEY)
def test_every_cost_column_is_converted(column: str) -> None:
    frame = allocate(attribute(bill([row("2026-08", "3", BillingCurrency="EUR")]), CONFIG, SERVICES), CONFIG).frame
    turned, _ = in_one_currency(frame, [_rate("2026-08-01", "2")], "USD")
    assert turned[column].tolist() == [Decimal(6)]
