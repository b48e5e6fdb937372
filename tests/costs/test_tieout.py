"""The tie-out of the modelled fleet to the bill, and totals of a bill."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from costs_makers import SERVICES, bill, costs, row

from capacity.costs import attribute, bill_totals, closed_months, reported_list, tie_out
from capacity.domain import TieOut
from capacity.errors import CorruptDataError, MissingDataError, UsageError

MONTH = "2026-08"
CONFIG = costs(
    [{"name": s, "service": s, "match": {"SubAccountId": s}} for s in SERVICES]
    + [{"name": "p", "pool": "shared", "match": {"SubAccountId": "pool"}}],
    [{"name": "shared"}],
)


def _compute(listed: str, contracted: str, effective: str, **columns: Any) -> dict[str, Any]:
    columns.setdefault("SubAccountId", "search")
    return row(MONTH, effective, ListCost=listed, ContractedCost=contracted, **columns)


ROWS = [
    _compute("100", "90", "90"),
    _compute("50", "45", "30", CommitmentDiscountStatus="Used"),
    _compute("0", "0", "5", CommitmentDiscountStatus="Unused"),
    _compute("10", "9", "9", SubAccountId="checkout"),
    _compute("10", "9", "9", SubAccountId="pool"),
    row(MONTH, "7", SubAccountId="search", ServiceCategory="Storage", ServiceName="EBS"),
    row(MONTH, "3", ChargeCategory="Tax", ServiceName="Tax"),
    row(MONTH, "-2", ChargeCategory="Credit"),
    row(MONTH, "0", ChargeCategory="Purchase", BilledCost="36"),
    row(MONTH, "4", SubAccountId="search", ChargePeriodStart=row("2026-07")["ChargePeriodStart"]),
    row(MONTH, "6", CommitmentDiscountStatus="Unused"),
    row("2026-09", "1000", SubAccountId="search"),
]


def _tie(modelled: str, rows: list[dict[str, Any]] = ROWS, **more: Any) -> TieOut:
    table = bill(rows)
    return tie_out(table, attribute(table, CONFIG, SERVICES), MONTH, Decimal(modelled), **more)


def test_a_perfect_model_ties_to_the_last_decimal() -> None:
    found = _tie("160")
    assert found.modelled == found.billed_effective == Decimal(134)
    assert (found.ties, found.difference_frac) == (True, 0.0)
    assert found.private_discount_frac == pytest.approx(0.1)


def test_spot_is_no_private_discount_and_a_perfect_model_still_ties() -> None:
    found = _tie("260", [*ROWS, _compute("100", "30", "30", PricingCategory="Dynamic")])
    assert found.private_discount_frac == pytest.approx(0.1)
    assert found.modelled == found.billed_effective == Decimal(164)


def test_rows_without_a_list_cost_say_nothing_of_the_discount() -> None:
    found = _tie("160", [*ROWS, row(MONTH, "1", SubAccountId="search", ListCost=None)])
    assert found.private_discount_frac == pytest.approx(0.1)
    assert found.billed_effective - found.modelled == Decimal(1)


def test_everything_else_is_named_and_adds_up() -> None:
    found = _tie("160")
    assert {n: int(v) for n, v in found.remainder.items()} == {
        "Compute: EC2 (no service's own)": 9, "Storage: EBS": 7, "unused commitments": 6,
        "charges of other months": 4, "tax": 3, "credits": -2,
    }  # fmt: skip
    month = bill_totals(bill(ROWS)).iloc[0]
    assert found.billed_effective + sum(found.remainder.values()) == month["EffectiveCost"]


@pytest.mark.parametrize(
    ("modelled", "ties"), [("164", True), ("165", False), ("156", True), ("155", False), ("0", False)]
)
def test_beyond_the_threshold_it_does_not_tie(modelled: str, ties: bool) -> None:
    assert _tie(modelled).ties is ties


def test_services_and_filter_say_what_is_modelled() -> None:
    found = _tie("10", services=["checkout"])
    assert (found.billed_effective, found.modelled) == (Decimal(9), Decimal(9))
    assert found.remainder["Compute: EC2"] == Decimal(120)
    disks = _tie("7", compute={"ServiceCategory": "Stor.*"})
    assert (disks.billed_effective, disks.ties) == (Decimal(7), True)


def test_a_bill_without_compute_ties_only_to_nothing() -> None:
    rows = [row(MONTH, "3", ChargeCategory="Tax")]
    assert (_tie("5", rows).ties, _tie("5", rows).difference_frac) == (False, 1.0)
    assert _tie("0", rows).ties


def test_unanswerable_questions_are_refused() -> None:
    table = bill([*ROWS, row(MONTH, BillingCurrency="EUR", SubAccountId="search")])
    found = attribute(table, CONFIG, SERVICES)
    with pytest.raises(UsageError, match="EUR, USD, which are not added"):
        tie_out(table, found, MONTH, Decimal(1))
    assert tie_out(table, found, MONTH, Decimal(1), currency="EUR").ties
    with pytest.raises(MissingDataError, match="no bill of 2020-01"):
        tie_out(table, found, "2020-01", Decimal(1))
    with pytest.raises(UsageError, match="unknown column Colour"):
        tie_out(table, found, MONTH, Decimal(1), {"Colour": "red"}, currency="USD")
    with pytest.raises(CorruptDataError, match="attribute the same version"):
        tie_out(bill(ROWS[1:]), found, MONTH, Decimal(1), currency="USD")


# --- totals ------------------------------------------------------------------------------------------------


def test_bill_totals_hold_every_row() -> None:
    rows = [
        row(MONTH, "1"),
        row(MONTH, "2", ListCost=None),
        row(MONTH, "4", source="b"),
        row(MONTH, BillingCurrency="EUR"),
    ]
    found = bill_totals(bill(rows)).set_index(["source", "BillingCurrency"])
    assert found.loc[("bill", "USD"), ["rows", "EffectiveCost", "ListCost", "ListCost_nulls"]].tolist() == [
        2, Decimal(3), Decimal(1), 1,
    ]  # fmt: skip
    assert len(found) == 3


def test_reported_list_leaves_out_one_of_purchase_and_covered_usage() -> None:
    commitment = {"CommitmentDiscountId": "sp"}
    rows = [
        row(MONTH, "10"),
        row(MONTH, "20", **commitment, CommitmentDiscountStatus="Used"),
        row(MONTH, "4", **commitment, CommitmentDiscountStatus="Unused"),
        row(MONTH, "24", **commitment, ChargeCategory="Purchase"),
        row(MONTH, "3", ChargeCategory="Purchase"),
    ]
    used, bought = reported_list(bill(rows)), reported_list(bill(rows), "covered_usage", by=["ChargeCategory"])
    assert used[["ListCost", "rows", "left_out_rows"]].to_numpy().tolist() == [[Decimal(37), 4, 1]]
    assert bought[["ChargeCategory", "ListCost", "left_out_rows"]].to_numpy().tolist() == [
        ["Purchase", Decimal(27), 0], ["Usage", Decimal(10), 2],
    ]  # fmt: skip


def test_a_month_is_closed_once_its_period_has_ended() -> None:
    table = bill([row("2026-08"), row("2026-09"), row("2026-07")])
    assert closed_months(table, datetime(2026, 9, 1, tzinfo=UTC)) == ("2026-07", "2026-08")
