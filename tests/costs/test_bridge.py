"""The bridge is exact, and each single change lands whole in its own term."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import pytest
from costs_makers import bill, costs, row
from hypothesis import given, settings
from hypothesis import strategies as st

from capacity.costs import TERMS, Attribution, Bridge, Sku, attribute, bridge
from capacity.costs import bridge_words as words
from capacity.errors import MissingDataError, UsageError

BEFORE, AFTER = "2026-08", "2026-09"
SERVICES = ("search", "checkout")
RULES = costs(
    [
        {"name": "p", "pool": "shared", "match": {"SubAccountId": "pool"}},
        {"name": "s", "service": "search", "match": {"SubAccountId": "search"}},
        {"name": "c", "service": "checkout", "match": {"SubAccountId": "checkout"}},
    ],
    [{"name": "shared"}],
)


def _sku(month: str, quantity: str, price: str = "2", sku: str = "m5", **columns: Any) -> dict[str, Any]:
    """Usage of one SKU at list price ``price``; ``contracted`` and ``effective`` are ratios to the column before."""
    ratios = [Decimal(columns.pop(c, "1")) for c in ("contracted", "effective_ratio")]
    listed = Decimal(quantity) * Decimal(price)
    contracted = listed * ratios[0]
    money = {"ListCost": listed, "ContractedCost": contracted, "EffectiveCost": contracted * ratios[1]}
    return row(month, "0", SubAccountId="search", SkuId=sku, PricingQuantity=quantity, **money, **columns)


def _attributed(rows: list[dict[str, Any]]) -> Attribution:
    return attribute(bill(rows), RULES, SERVICES)


def _bridge(
    rows: list[dict[str, Any]], before: Mapping[str, float] | None = None, after: Mapping[str, float] | None = None
) -> Bridge:
    found = _attributed(rows)
    return bridge(found, found, (BEFORE, AFTER), before or {"search": 100.0}, after or {"search": 100.0})


def _terms(found: Bridge, name: str = "search") -> dict[str, Decimal]:
    """The terms of one service that are not zero."""
    frame = found.by_service()
    line = frame[frame["name"] == name].iloc[0]
    assert line["start"] + sum(line[t] for t in TERMS) == line["end"]
    return {t: line[t] for t in TERMS if line[t] != 0}


# --- one change, one term ----------------------------------------------------------------------------------

TWO = [_sku(BEFORE, "10"), _sku(BEFORE, "30", "1", "m6g")]


def test_double_traffic_is_volume() -> None:
    rows = [*TWO, _sku(AFTER, "20"), _sku(AFTER, "60", "1", "m6g")]
    assert _terms(_bridge(rows, after={"search": 200.0})) == {"volume": Decimal(50)}


def test_less_of_the_same_for_the_same_traffic_is_efficiency() -> None:
    rows = [*TWO, _sku(AFTER, "5"), _sku(AFTER, "15", "1", "m6g")]
    assert _terms(_bridge(rows)) == {"efficiency": Decimal(-25)}


def test_a_shift_between_skus_is_mix() -> None:
    rows = [*TWO, _sku(AFTER, "30"), _sku(AFTER, "10", "1", "m6g")]
    assert _terms(_bridge(rows)) == {"mix": Decimal(20)}


@pytest.mark.parametrize("ratios", [{}, {"contracted": "0.9"}, {"contracted": "0.9", "effective_ratio": "0.7"}])
def test_a_move_to_a_sku_that_was_not_there_is_mix(ratios: dict[str, str]) -> None:
    rows = [_sku(BEFORE, "40", **ratios), _sku(AFTER, "40", "1.6", "m7g", **ratios)]
    terms = _terms(_bridge(rows))
    assert list(terms) == ["mix"]
    assert terms["mix"] < 0


def test_a_move_off_a_commitment_is_mix_at_the_old_rates_and_then_the_rates() -> None:
    old = _sku(BEFORE, "40", contracted="0.9", effective_ratio="0.5", CommitmentDiscountStatus="Used")
    new = _sku(AFTER, "40", "1", "m7g", contracted="0.8")
    assert _terms(_bridge([old, new])) == {
        "mix": Decimal(18 - 36), "negotiated_rate": Decimal(16 - 18), "commitment_rate": Decimal(32 - 16),
    }  # fmt: skip


def test_a_new_list_price_is_list_rate() -> None:
    rows = [_sku(BEFORE, "10", contracted="0.9"), _sku(AFTER, "10", "3", contracted="0.9")]
    assert _terms(_bridge(rows)) == {"list_rate": Decimal(9)}


def test_a_new_private_discount_is_negotiated_rate() -> None:
    assert _terms(_bridge([_sku(BEFORE, "10"), _sku(AFTER, "10", contracted="0.85")])) == {
        "negotiated_rate": Decimal(-3)
    }


def test_a_commitment_that_ends_is_commitment_rate() -> None:
    covered = {"CommitmentDiscountStatus": "Used", "PricingCategory": "Committed", "CommitmentDiscountId": "ri"}
    rows = [
        _sku(BEFORE, "10", contracted="0.9", effective_ratio="0.5", **covered),
        _sku(AFTER, "10", contracted="0.9"),
        row(BEFORE, "3", SubAccountId="search", SkuId="ri", CommitmentDiscountStatus="Unused", PricingQuantity=None),
    ]
    assert _terms(_bridge(rows)) == {"commitment_rate": Decimal(9 - 3)}


def test_a_provider_service_that_appears_or_goes_is_new_and_ended() -> None:
    rows = [
        _sku(BEFORE, "10"),
        _sku(AFTER, "10"),
        _sku(BEFORE, "4", ServiceName="Queue"),
        _sku(AFTER, "10", "1", "gb", PricingUnit="GB"),
    ]
    assert _terms(_bridge(rows)) == {"new_and_ended": Decimal(10 - 8)}


@pytest.mark.parametrize(
    "columns",
    [
        {"ChargeCategory": "Credit"},
        {"ChargeCategory": "Tax"},
        {"ChargeCategory": "Adjustment"},
        {"ChargeCategory": "Purchase", "ChargeFrequency": "One-Time"},
        {"ChargeClass": "Correction", "PricingQuantity": None},
    ],
)
def test_what_comes_once_is_one_off(columns: dict[str, Any]) -> None:
    rows = [_sku(BEFORE, "10"), _sku(AFTER, "10"), row(AFTER, "-4", SubAccountId="search", **columns)]
    assert _terms(_bridge(rows)) == {"one_off": Decimal(-4)}


def test_a_correction_with_a_quantity_mends_its_sku() -> None:
    fix = _sku(AFTER, "-2", ChargeClass="Correction")
    assert _terms(_bridge([_sku(BEFORE, "10"), _sku(AFTER, "12"), fix])) == {}


def _by_late_correction(quantity: str, share: str = "0.6") -> Bridge:
    """Half on demand at 1, half covered at .6, in both months; then ``quantity`` covered hours are corrected."""
    used = {"CommitmentDiscountStatus": "Used", "CommitmentDiscountId": "ri"}
    rows = [_sku(m, "50", "1") for m in (BEFORE, AFTER)]
    rows += [_sku(BEFORE, "50", "1", effective_ratio="0.6", **used), _sku(AFTER, "50", "1", contracted="0.6", **used)]
    return _bridge([*rows, _sku(AFTER, quantity, "1", contracted=share, ChargeClass="Correction", **used)])


def test_a_late_correction_of_covered_hours_makes_no_price_of_hours_on_demand() -> None:
    """The fewer hours are efficiency, and of those that are left less is covered; no price changed."""
    found = _by_late_correction("-48")
    assert _terms(found) == {"efficiency": Decimal("-38.4"), "commitment_rate": Decimal("9.6")}
    assert found.total()["end"].tolist() == [Decimal("51.2")]
    assert _terms(_by_late_correction("-50")) == {"efficiency": Decimal(-40), "commitment_rate": Decimal(10)}
    assert _terms(_by_late_correction("-51")) == {"one_off": Decimal("-30.6")}


@settings(max_examples=20)
@given(st.integers(1, 99), st.integers(1, 49))
def test_no_correction_of_covered_hours_moves_a_price_list_or_a_discount(share: int, hours: int) -> None:
    found = _terms(_by_late_correction(f"-{hours}"))
    assert set(found) == {"efficiency", "commitment_rate"}
    refunded = _terms(_by_late_correction("-50", f"0.{share:02d}"))
    assert refunded.get("one_off", Decimal(0)) == 30 - Decimal(share) / 2
    assert set(refunded) <= {"efficiency", "commitment_rate", "one_off"}


def _untold(*costs: str, **columns: Any) -> list[dict[str, Any]]:
    return [
        _sku(m, "1", p, ServiceName="Feed", **columns) | {"PricingQuantity": None}
        for m, p in zip((BEFORE, AFTER), costs, strict=True)
    ]


def test_a_metered_charge_whose_quantity_is_not_told_moves_with_demand_and_then_by_the_cost_a_unit() -> None:
    """It was list rate once, whatever demand did: double traffic was told as a new price of the provider.

    Without a quantity a price cannot be told from use, so no rate may be named: demand is volume, and what it does
    not explain is the cost a unit of it.
    """
    found = _bridge(_untold("8", "9"), after={"search": 300.0})
    assert _terms(found) == {"volume": Decimal(16), "efficiency": Decimal(-15)}
    assert found.notes == ("+$1.00 of the change is of charges without quantities: prices cannot be told from use "
                           "there.",)  # fmt: skip
    assert words(found)[-1] == found.notes[0]
    assert _terms(_bridge(_untold("100", "200"), after={"search": 200.0})) == {"volume": Decimal(100)}


def test_without_a_driver_a_charge_without_a_quantity_is_volume() -> None:
    found = _bridge(_untold("8", "9"), before={"search": 0.0})
    assert _terms(found) == {"volume": Decimal(1)}
    assert found.notes[0].startswith("+$1.00 of the change")


def test_charges_without_quantities_are_named_by_currency_and_only_where_they_moved() -> None:
    euros = _untold("300", "100", BillingCurrency="EUR", sku="f")
    found = _bridge([*_untold("8", "9"), *euros], after={"search": 100.0})
    assert [n.split(" of the change")[0] for n in found.notes] == ["−EUR 200", "+$1.00"]
    level = _bridge(_untold("8", "8"), after={"search": 200.0})
    assert _terms(level) == {"volume": Decimal(8), "efficiency": Decimal(-8)}
    assert level.notes[0].startswith("$8.00 of spend is of charges without quantities")
    assert _bridge(_untold("8", "8")).notes == ()
    assert _bridge([_sku(BEFORE, "10"), _sku(AFTER, "20")]).notes == ()


def test_a_monthly_fee_without_a_quantity_is_one_off() -> None:
    fees = [
        _sku(m, "1", p, ServiceName="Support") | {"PricingQuantity": None} for m, p in ((BEFORE, "8"), (AFTER, "9"))
    ]
    assert _terms(_bridge(fees, after={"search": 300.0})) == {"one_off": Decimal(1)}


def test_a_free_tier_that_ends_is_list_rate() -> None:
    assert _terms(_bridge([_sku(BEFORE, "10", "0"), _sku(AFTER, "10", "2")])) == {"list_rate": Decimal(20)}


def test_unknown_list_and_contracted_costs_are_replaced_in_both_months() -> None:
    unknown = [_sku(BEFORE, "10") | {"ListCost": None, "ContractedCost": None}, _sku(AFTER, "10", "3")]
    assert _terms(_bridge(unknown)) == {"list_rate": Decimal(10)}
    zero = [_sku(BEFORE, "10", contracted="0.9") | {"ListCost": "0"}, _sku(AFTER, "10", contracted="0.8")]
    assert _terms(_bridge(zero)) == {"list_rate": Decimal(-2)}


def test_without_a_driver_quantity_is_volume_and_it_is_said() -> None:
    found = _bridge([_sku(BEFORE, "10"), _sku(AFTER, "15")], before={"search": 0.0})
    assert _terms(found) == {"volume": Decimal(10)}
    assert found.without_driver == ("search",)
    assert _bridge([_sku(BEFORE, "10"), _sku(AFTER, "15")]).without_driver == ()


def test_traffic_that_grows_on_a_fleet_that_does_not_is_volume_against_efficiency() -> None:
    found = _terms(_bridge([_sku(BEFORE, "10"), _sku(AFTER, "10")], after={"search": 150.0}))
    assert found == {"volume": Decimal(10), "efficiency": Decimal(-10)}


# --- the whole ---------------------------------------------------------------------------------------------


def test_pools_and_the_unallocated_are_part_of_it_and_currencies_stay_apart() -> None:
    rows = [
        row(BEFORE, "1", SubAccountId="pool"),
        row(AFTER, "2", SubAccountId="nobody"),
        row(AFTER, "4", SubAccountId="search", BillingCurrency="EUR"),
    ]
    total = _bridge(rows).total()
    assert total[["currency", "start", "end"]].to_numpy().tolist() == [["EUR", 0, 4], ["USD", 1, 2]]
    assert set(_bridge(rows).by_service()["kind"]) == {"pool", "unallocated", "service"}


def test_the_lines_drill_down_to_skus() -> None:
    rows = [*TWO, _sku(AFTER, "30"), _sku(AFTER, "10", "1", "m6g")]
    lines = _bridge(rows).lines.set_index("sku")
    assert lines.loc["m5", "mix"] == Decimal(40)
    assert lines.loc["m6g", "mix"] == Decimal(-20)
    assert lines.loc["m5", "provider_service"] == "EC2"


def test_bad_questions_are_refused() -> None:
    found = _attributed(TWO)
    with pytest.raises(MissingDataError, match="no charge in 2026-09; months with charges: 2026-08"):
        bridge(found, found, (BEFORE, AFTER), {}, {})
    with pytest.raises(UsageError, match="no column colour"):
        bridge(found, found, (BEFORE, BEFORE), {}, {}).by("colour")


_AMOUNT = st.one_of(st.none(), st.just(Decimal(0)), st.decimals(-10, 1000, places=12), st.just(Decimal("1e-12")))
_ROWS = st.lists(
    st.fixed_dictionaries(
        {
            "month": st.sampled_from([BEFORE, AFTER]),
            "SubAccountId": st.sampled_from(["search", "checkout", "pool", None]),
            "SkuId": st.sampled_from([None, "a", "b", "c"]),
            "ServiceName": st.sampled_from(["EC2", "S3"]),
            "PricingUnit": st.sampled_from([None, "Hours"]),
            "BillingCurrency": st.sampled_from(["USD", "EUR"]),
            "ChargeCategory": st.sampled_from(["Usage", "Usage", "Usage", "Purchase", "Tax"]),
            "CommitmentDiscountStatus": st.sampled_from([None, "Used", "Unused"]),
            "PricingCategory": st.sampled_from([None, "Standard", "Dynamic"]),
            "ChargeClass": st.sampled_from([None, None, "Correction"]),
            "ChargeFrequency": st.sampled_from([None, "Recurring", "One-Time"]),
            "ListCost": _AMOUNT,
            "ContractedCost": _AMOUNT,
            "EffectiveCost": _AMOUNT.filter(lambda v: v is not None),
            "PricingQuantity": _AMOUNT,
        }
    ),
    max_size=30,
)
_UNITS = st.dictionaries(st.sampled_from(SERVICES), st.floats(0, 1e9), max_size=2)


# One SKU has another's instance on demand, one is in another region, one is not known.
_KNOWN = {"a": Sku("m5.large", 2, "east"), "b": Sku("m5.large", 2, "east"), "c": Sku("m7g.large", 2.5, "west")}


@given(_ROWS, _UNITS, _UNITS, st.sampled_from([{}, _KNOWN]))
def test_there_is_no_residual(
    rows: list[dict[str, Any]], before: dict[str, float], after: dict[str, float], skus: dict[str, Sku]
) -> None:
    rows = [row(r["month"], "0", **{k: v for k, v in r.items() if k != "month"}) for r in rows]
    both = [row(BEFORE, "1"), row(AFTER, "2")]
    attribution = _attributed([*rows, *both])
    found = bridge(attribution, attribution, (BEFORE, AFTER), before, after, skus)
    assert words(found)
    for frame in (found.lines, found.by_service(), found.total()):
        for line in frame.to_dict("records"):
            assert line["start"] + sum(line[t] for t in TERMS) == line["end"]
    for currency, start, end in found.total()[["currency", "start", "end"]].to_numpy():
        for month, mine in ((BEFORE, start), (AFTER, end)):
            theirs = [r for r in [*rows, *both] if r["BillingCurrency"] == currency and r["ChargePeriodStart"].month
                      == int(month[-2:])]  # fmt: skip
            assert mine == sum((Decimal(str(r["EffectiveCost"])) for r in theirs), Decimal(0))
