"""Rules, tags and sums of the attribution."""

from __future__ import annotations

import json
import re
from decimal import Decimal

import pyarrow as pa
import pytest
from costs_makers import SERVICES, bill, costs, row
from hypothesis import given
from hypothesis import strategies as st

from capacity.config import AttributionRule
from capacity.costs import attribute, needed_columns
from capacity.costs._patterns import whole_matches
from capacity.costs._tags import parse_tags
from capacity.errors import ConfigError, CorruptDataError
from capacity.schemas import COST_MONEY


def _where(table: pa.Table, rules: list[dict[str, object]], **more: object) -> list[tuple[str, str, str]]:
    """(kind, name, rule) of each row; rows are told apart by their SkuId."""
    found = attribute(table, costs(rules, **more), SERVICES).pieces.to_pylist()
    at = {p["SkuId"]: (p["kind"], p["name"], p["rule"]) for p in found}
    return [at[sku] for sku in table.column("SkuId").to_pylist()]


def test_first_matching_rule_wins() -> None:
    table = bill([row(SkuId="a"), row(SkuId="b", RegionId="eu")])
    rules = [
        {"name": "one", "service": "checkout", "match": {"RegionId": "eu"}},
        {"name": "two", "service": "search", "match": {"ServiceName": "EC2"}},
        {"name": "three", "service": "web-shop", "match": {"ServiceName": "EC2"}},
    ]
    assert _where(table, rules) == [("service", "search", "two"), ("service", "checkout", "one")]


def test_all_columns_and_tags_of_a_rule_must_match() -> None:
    table = bill(
        [
            row(SkuId="a", RegionId="eu", Tags='{"app": "x"}'),
            row(SkuId="b", RegionId="eu", Tags='{"app": "xy"}'),
            row(SkuId="c", RegionId="us", Tags='{"app": "x"}'),
        ]
    )
    rule = {"name": "r", "service": "search", "match": {"RegionId": "eu", "SkuId": ".*"}, "tags": {"app": "x"}}
    assert [kind for kind, _, _ in _where(table, [rule])] == ["service", "unallocated", "unallocated"]


@pytest.mark.parametrize(
    ("pattern", "takes"),
    [("EC", False), ("EC2", True), ("EC.", True), ("C2", False), (".*C2", True), ("ec2", False), ("(?i)ec2", True),
     ("S3|EC2", True), ("EC2|", True), ("E|EC", False)],
)  # fmt: skip
def test_patterns_match_whole_values(pattern: str, takes: bool) -> None:
    rule = {"name": "r", "service": "search", "match": {"ServiceName": pattern}}
    assert (_where(bill([row(SkuId="a")]), [rule])[0][0] == "service") is takes


def test_a_null_matches_nothing_and_an_empty_value_only_what_allows_it() -> None:
    table = bill([row(SkuId="a", ResourceId=None), row(SkuId="b", ResourceId="")])
    rule = {"name": "r", "service": "search", "match": {"ResourceId": ".*"}}
    assert [w[0] for w in _where(table, [rule])] == ["unallocated", "service"]


def test_service_from_tag_takes_only_known_services() -> None:
    tags = ['{"app": "Checkout "}', '{"app": "other"}', "{}", None, '{"App": "search"}']
    table = bill([row(SkuId=str(i), Tags=t) for i, t in enumerate(tags)])
    rules = [
        {"name": "tag", "service_from_tag": "app"},
        {"name": "rest", "pool": "p", "match": {"ServiceName": "EC2"}},
    ]
    found = [w[1] for w in _where(table, rules, pools=[{"name": "p"}])]
    assert found == ["checkout", "p", "p", "p", "p"]


def test_a_tag_never_names_a_pool() -> None:
    table = bill([row(SkuId="a", Tags='{"app": "p"}')])
    assert _where(table, [{"name": "tag", "service_from_tag": "app"}], pools=[{"name": "p"}])[0][0] == "unallocated"


def test_malformed_tags_are_no_tags_and_counted() -> None:
    tags = ["{broken", "[1]", '"text"', '{"app": "search"}', None, ""]
    table = bill([row(SkuId=str(i), Tags=t) for i, t in enumerate(tags)])
    found = attribute(table, costs([{"name": "t", "service": "search", "tags": {"app": ".*"}}]), SERVICES)
    assert found.malformed_tag_rows == 3
    assert dict(zip(found.rule_hits["rule"], found.rule_hits["rows"], strict=True))["t"] == 1


def test_a_valueless_tag_is_true() -> None:
    assert parse_tags('{"a": true, "b": null, "c": 1.50, "d": "x", "e": false}') == {
        "a": "true", "b": "true", "c": "1.5", "d": "x", "e": "false",
    }  # fmt: skip
    table = bill([row(SkuId="a", Tags='{"spot": true}')])
    assert _where(table, [{"name": "t", "service": "search", "tags": {"spot": "true"}}])[0][1] == "search"


def test_tax_credits_and_refunds_go_to_their_pools_unless_a_rule_takes_them() -> None:
    table = bill(
        [
            row(SkuId="tax", ChargeCategory="Tax"),
            row(SkuId="taken", ChargeCategory="Tax", RegionId="eu"),
            row(SkuId="credit", ChargeCategory="Credit", effective="-2"),
            row(SkuId="refund", ChargeCategory="Adjustment", ChargeClass="Correction", effective="-3"),
            row(SkuId="charge", ChargeCategory="Adjustment", ChargeClass="Correction", effective="3"),
            row(SkuId="fee", ChargeCategory="Adjustment", effective="-3"),
            row(SkuId="mended", ChargeClass="Correction", effective="-3"),
            row(SkuId="unused", CommitmentDiscountStatus="Unused"),
        ]
    )
    rules = [{"name": "eu", "service": "search", "match": {"RegionId": "eu"}}]
    found = _where(table, rules, pools=[{"name": "t"}, {"name": "c"}], tax_pool="t", credit_pool="c")
    assert [w[1] for w in found] == ["t", "search", "c", "c", "", "", "", ""]
    assert [w[2] for w in found][:4] == ["(tax)", "eu", "(credit)", "(credit)"]
    assert [w[0] for w in _where(table, rules)].count("unallocated") == 7  # no pool configured: nobody's


def test_rule_hits_carry_rows_and_money_by_currency_and_rules_without_a_hit() -> None:
    table = bill([row(effective="1.5"), row(effective="2", BillingCurrency="EUR"), row(effective="4", RegionId="eu")])
    rules = [
        {"name": "eu", "service": "search", "match": {"RegionId": "eu"}},
        {"name": "never", "service": "search", "match": {"RegionId": "mars"}},
        {"name": "rest", "service": "checkout", "match": {"ServiceName": "EC2"}},
    ]
    hits = attribute(table, costs(rules), SERVICES).rule_hits
    found = {(r, c): (n, m) for r, c, n, m in hits[["rule", "currency", "rows", "BilledCost"]].to_numpy()}
    assert found["eu", "USD"] == (1, Decimal(4))
    assert found["eu", "EUR"] == (0, Decimal(0))
    assert found["never", "USD"] == (0, Decimal(0))
    assert found["rest", "USD"] == (1, Decimal("1.5"))
    assert found["rest", "EUR"] == (1, Decimal(2))
    assert list(dict.fromkeys(hits["rule"]))[:3] == ["eu", "never", "rest"]


def test_the_month_is_that_of_the_charge_and_the_period_that_of_the_bill() -> None:
    late = row("2026-09", ChargePeriodStart=row("2026-08")["ChargePeriodStart"])
    piece = attribute(bill([late]), costs(), SERVICES).pieces.to_pylist()[0]
    assert piece["month"] == "2026-08"
    assert piece["BillingPeriodStart"].month == 9


def test_nulls_are_counted_and_count_as_zero() -> None:
    table = bill([row(ListCost=None, ContractedCost=None, PricingQuantity=None), row(effective="2")])
    piece = attribute(table, costs(), SERVICES).pieces.to_pylist()[0]
    assert (piece["ListCost"], piece["ListCost_nulls"], piece["BilledCost_nulls"]) == (Decimal(2), 1, 0)
    assert (piece["PricingQuantity"], piece["PricingQuantity_nulls"], piece["rows"]) == (Decimal(1), 1, 2)


def test_dictionary_columns_chunks_and_missing_optional_columns_change_nothing() -> None:
    rows = [row(SkuId=s, RegionId=r, Tags=t) for s in "ab" for r in ("eu", None) for t in ('{"app": "search"}', None)]
    table = bill(rows)
    rules = costs(
        [{"name": "t", "service_from_tag": "app"}, {"name": "r", "service": "checkout", "match": {"RegionId": "eu"}}]
    )
    text = [pa.field(f.name, pa.dictionary(pa.int32(), f.type)) if f.type == pa.string() else f for f in table.schema]
    chunked = pa.concat_tables([table.slice(0, 3), table.slice(3)])
    plain = attribute(table, rules, SERVICES).pieces
    for other in (chunked, table.cast(pa.schema(text)), table.select(needed_columns(rules))):
        assert attribute(other, rules, SERVICES).pieces.to_pylist() == plain.to_pylist()


def test_an_empty_bill_gives_empty_frames() -> None:
    found = attribute(bill([]), costs([{"name": "t", "service_from_tag": "app"}]), SERVICES)
    assert (found.pieces.num_rows, len(found.unallocated), found.months) == (0, 0, ())


def test_faulty_rules_are_told_all_at_once_with_the_nearest_name() -> None:
    rules = [
        {"name": "a", "service": "chekout", "match": {"ServiceNam": "x"}},
        {"name": "b", "service": "search", "match": {"RegionId": "(", "Tags": "x"}, "tags": {"t": "["}},
        {"name": "a", "service": "search"},
    ]
    with pytest.raises(ConfigError) as caught:
        attribute(
            bill([row()]), costs(rules, pools=[{"name": "p", "split": "fixed", "shares": {"serch": 1}}]), SERVICES
        )
    text = "\n".join(caught.value.problems)
    for part in ("did you mean 'checkout'", "did you mean 'ServiceName'", "rule 'b': match: RegionId", "under 'tags'",
                 "rule 'b': tags: t", "did you mean 'search'", "rule 'a' is given twice"):  # fmt: skip
        assert part in text


def test_a_misread_amount_and_a_missing_key_are_refused() -> None:
    with pytest.raises(CorruptDataError, match="BilledCost holds"):
        attribute(bill([row(BilledCost="1000000000000000001")]), costs(), SERVICES)
    nobody = bill([row()]).to_pylist()[0] | {"BillingAccountId": None}
    nullable = pa.schema([pa.field(f.name, f.type) for f in bill([]).schema])
    table = pa.Table.from_pylist([nobody], schema=nullable)
    with pytest.raises(CorruptDataError, match="without BillingAccountId"):
        attribute(table, costs(), SERVICES)
    with pytest.raises(CorruptDataError, match="columns missing: ListCost"):
        attribute(bill([row()]).drop_columns("ListCost"), costs(), SERVICES)


# --- suggestions -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("columns", "target"),
    [
        ({"Tags": '{"team": "t", "app": "prod-web-shop-2"}'}, "web-shop"),
        ({"Tags": '{"application": "Search"}'}, "search"),
        ({"ResourceName": "prod_Web_Shop_eu"}, "web-shop"),
        ({"ResourceId": "arn:aws:ec2:eu:1:instance/checkout-1"}, "checkout"),
        ({"SubAccountName": "Search team (prod)"}, "search"),
        ({"Tags": '{"owner": "plumbing"}'}, "plumbing"),
        ({"Tags": '{"owner": "researching"}'}, "shared"),
    ],
)
def test_a_suggested_rule_takes_what_it_was_made_for(columns: dict[str, str], target: str) -> None:
    pools = [{"name": "shared"}, {"name": "plumbing"}]
    table = bill([row(SubAccountId="a.1", ServiceName="EC2 (Linux)", **columns)])
    suggestion = attribute(table, costs(pools=pools), SERVICES).unallocated.iloc[0]
    rule = json.loads(suggestion["suggested_rule"])
    AttributionRule.model_validate(rule)
    piece = attribute(table, costs([rule], pools), SERVICES).pieces.to_pylist()[0]
    assert (piece["rule"], piece["name"]) == (rule["name"], target)
    assert suggestion["why"]


def test_a_suggested_rule_leaves_refunds_to_their_pool_or_says_that_it_cannot() -> None:
    pools = [{"name": "shared"}, {"name": "refunds"}]
    refund = row(effective="-40", ChargeCategory="Adjustment", ChargeClass="Correction")
    charges = [row(effective="50", ChargeCategory="Adjustment"), refund | dict.fromkeys(COST_MONEY, "30")]
    table = bill([*charges, refund])
    found = attribute(table, costs(pools=pools, refund_pool="refunds"), SERVICES).unallocated
    assert found["EffectiveCost"].tolist() == [Decimal(50), Decimal(30)]
    assert ["refund_pool" in why for why in found["why"]] == [False, True]
    rule = json.loads(found["suggested_rule"][0])
    assert rule["match"]["ChargeClass"] is None
    hits = attribute(table, costs([rule], pools, refund_pool="refunds"), SERVICES).rule_hits
    taken = dict(zip(hits["rule"], hits["EffectiveCost"], strict=True))
    assert (taken["suggested-1"], taken["(refund)"]) == (Decimal(50), Decimal(-40))


def test_the_largest_pieces_come_first_and_currencies_stay_apart() -> None:
    rows = [row(effective=e, ServiceName=s, BillingCurrency=c) for e, s, c in
            (("-9", "A", "USD"), ("5", "B", "USD"), ("3", "A", "EUR"), ("1", "B", "USD"))]  # fmt: skip
    found = attribute(bill(rows), costs(), SERVICES).unallocated
    assert list(found["EffectiveCost"]) == [Decimal(-9), Decimal(6), Decimal(3)]
    assert list(found["currency"]) == ["USD", "USD", "EUR"]


# --- patterns: two engines, one meaning --------------------------------------------------------------------

_ATOMS = st.sampled_from(["a", "B", "0", "-", r"\.", ".", "[a-c]", "[^a]", r"\d", r"\w", "(?:a|B0)", "(a|)", " ", "é"])
_PATTERNS = st.tuples(
    st.sampled_from(["", "(?i)"]),
    st.lists(st.tuples(_ATOMS, st.sampled_from(["", "*", "+", "?"])).map("".join), max_size=5).map("".join),
    st.sampled_from(["", "|b", "|"]),
).map("".join)
_VALUES = st.lists(st.none() | st.text("aAbBcé0.- \nK", max_size=5), min_size=1, max_size=20)


@pytest.mark.parametrize(
    ("pattern", "takes"),
    [
        (r"[^a-zA-Z0-9.]", ["é", "\u212a"]),
        (r"\wz?", ["é", "k", "K", "\u212a", "a", "x"]),
        ("(?i)k", ["k", "K", "\u212a"]),  # the Kelvin sign is a k to Python, and not to RE2
        ("abz?", ["ab", "abz"]),
        ("ab*c", ["ac", "abc", "abbc"]),
        ("[xy]bc?", ["xb", "ybc"]),
        (r"\.?a", ["a", ".a"]),
        ("a.c", ["abc"]),
        ("a|abz", ["a", "abz"]),
        ("x[^b]?", ["x"]),
    ],
)
def test_over_many_values_a_pattern_takes_these(pattern: str, takes: list[str]) -> None:
    values = ["abc", "é", "k", "K", "\u212a", "ab", "abz", "ac", "abbc", "xb", "ybc", "a", ".a", "x", "a\nc"]
    found = whole_matches(re.compile(pattern), pa.array(values * 50))[: len(values)]
    assert {v for v, taken in zip(values, found, strict=True) if taken} == set(takes)


@given(_PATTERNS, _VALUES)
def test_many_values_are_matched_as_few_are(pattern: str, values: list[str | None]) -> None:
    compiled = re.compile(pattern)
    many = whole_matches(compiled, pa.array(values * 501, pa.string()))
    expected = [v is not None and compiled.fullmatch(v) is not None for v in values]
    assert many[: len(values)].tolist() == expected
    assert whole_matches(compiled, pa.array(values, pa.string())).tolist() == expected
