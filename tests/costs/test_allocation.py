"""Pools are split, and everything adds up to the bill to the last decimal."""

from __future__ import annotations

import json
import re
from decimal import Context, Decimal
from typing import Any

import pandas as pd
import pytest
from costs_makers import SERVICES, bill, costs, row
from hypothesis import given
from hypothesis import strategies as st

from capacity.costs import UNALLOCATED, Allocation, allocate, attribute, split
from capacity.errors import CorruptDataError, UsageError

ROOMY = Context(prec=60)
POOLS = [
    {"name": "even", "split": "even"},
    {"name": "fixed", "split": "fixed", "shares": {"checkout": 0.3, "search": 0.1}},
    {"name": "cost", "split": "cost"},
    {"name": "usage", "split": "usage", "metric": "rps"},
]


def _allocation(rows: list[dict[str, Any]], rules: list[dict[str, Any]], weights: Any = None) -> Allocation:
    table, config = bill(rows), costs(rules, POOLS)
    found = allocate(attribute(table, config, SERVICES), config, weights)
    found.verify(table)
    return found


def _pool_row(pool: str, effective: str = "10", **columns: Any) -> dict[str, Any]:
    return row(effective=effective, SubAccountId=f"pool-{pool}", **columns)


RULES = [
    *({"name": p["name"], "pool": p["name"], "match": {"SubAccountId": f"pool-{p['name']}"}} for p in POOLS),
    *({"name": s, "service": s, "match": {"SubAccountId": s}} for s in SERVICES),
]


def _shared(allocation: Allocation, column: str = "EffectiveCost") -> dict[str, str]:
    frame = allocation.frame
    part = frame[frame["kind"] == "shared"]
    return {s: str(c.normalize()) for s, c in zip(part["service"], part[column], strict=True)}


def test_an_even_split_gives_the_odd_units_to_the_first() -> None:
    third = "3.333333333333"
    assert _shared(_allocation([_pool_row("even")], RULES)) == {
        "checkout": "3.333333333334", "search": third, "web-shop": third,
    }  # fmt: skip


def test_a_fixed_split_follows_its_shares() -> None:
    assert _shared(_allocation([_pool_row("fixed", "8")], RULES)) == {"checkout": "6", "search": "2"}


def test_a_split_by_cost_follows_the_direct_cost_of_its_group() -> None:
    rows = [
        _pool_row("cost", "9"),
        row(effective="2", SubAccountId="checkout"),
        row(effective="1", SubAccountId="search"),
        row(effective="-5", SubAccountId="web-shop"),
        row(effective="70", SubAccountId="search", BillingAccountId="other"),
    ]
    assert _shared(_allocation(rows, RULES)) == {"checkout": "6", "search": "3"}


def test_a_group_without_direct_cost_is_split_by_that_of_the_company() -> None:
    rows = [_pool_row("cost", "9", BillingAccountId="other"), row(effective="2", SubAccountId="search")]
    assert _shared(_allocation(rows, RULES)) == {"search": "9"}


def test_a_split_by_usage_follows_the_month() -> None:
    weights = pd.DataFrame(
        {
            "month": ["2026-08", "2026-08", "2026-07", "2026-08"],
            "service": ["checkout", "search", "search", "nobody"],
            "weight": [1.0, 3.0, 9.0, 5.0],
        }
    )
    assert _shared(_allocation([_pool_row("usage", "8")], RULES, {"rps": weights})) == {"checkout": "2", "search": "6"}


@pytest.mark.parametrize(
    ("pool", "reason"), [("usage", "no service has rps"), ("cost", "no service has a direct cost above zero")]
)
def test_without_a_weight_a_pool_stays_unallocated_with_its_reason(pool: str, reason: str) -> None:
    found = _allocation([_pool_row(pool, "8"), row("2026-07", SubAccountId="search")], RULES, {})
    frame = found.frame
    left = frame[frame["kind"] == "unallocated"]
    assert left[["service", "pool", "EffectiveCost"]].to_numpy().tolist() == [[UNALLOCATED, pool, Decimal(8)]]
    assert reason in found.reasons.iloc[0]["reason"]
    assert found.reasons.iloc[0]["EffectiveCost"] == Decimal(8)


def test_currencies_months_and_accounts_are_never_added() -> None:
    rows = [
        row(effective="1", SubAccountId="search"),
        row(effective="2", SubAccountId="search", BillingCurrency="EUR"),
        row("2026-09", effective="4", SubAccountId="search"),
    ]
    found = _allocation(rows, RULES).service_costs()
    assert found[["month", "currency", "EffectiveCost"]].to_numpy().tolist() == [
        ["2026-08", "EUR", Decimal(2)], ["2026-08", "USD", Decimal(1)], ["2026-09", "USD", Decimal(4)],
    ]  # fmt: skip


def test_the_allocated_share_of_spend() -> None:
    found = _allocation([row(effective="3", SubAccountId="search"), row(effective="-1")], RULES).allocated_frac()
    assert found["allocated_frac"].tolist() == [0.75]


def test_weights_must_be_amounts() -> None:
    table, config = bill([_pool_row("usage")]), costs(RULES, POOLS)
    found = attribute(table, config, SERVICES)
    with pytest.raises(UsageError, match="columns missing: weight"):
        allocate(found, config, {"rps": pd.DataFrame({"month": [], "service": []})})
    frame = pd.DataFrame({"month": ["2026-08"], "service": ["search"], "weight": [-1.0]})
    with pytest.raises(UsageError, match="negative weight"):
        allocate(found, config, {"rps": frame})


def test_an_allocation_of_another_bill_is_refused() -> None:
    rows = [row(effective="1", SubAccountId="search"), row(effective="2")]
    found = _allocation(rows, RULES)
    for other in (
        [*rows, row(effective="0")],
        [rows[0]],
        [rows[0], row(effective="2.000000000001")],
        [rows[0], row(effective="2", BillingAccountId="x")],
        [rows[0], row(effective="2", ListCost=None)],
    ):
        with pytest.raises(CorruptDataError, match="does not add up"):
            found.verify(bill(other))


@given(
    st.integers(-(10**30), 10**30),
    st.lists(st.integers(0, 10**24), min_size=1, max_size=12).filter(any),
)
def test_a_split_is_exact_and_within_one_unit_of_its_share(amount: int, weights: list[int]) -> None:
    parts = split(amount, weights)
    assert sum(parts) == amount
    for part, weight in zip(parts, weights, strict=True):
        assert abs(part * sum(weights) - amount * weight) < sum(weights)
        assert part * amount >= 0
        assert weight or not part


# --- random bills and rules ----------------------------------------------------------------------------------

_REQUIRED_MONEY = st.one_of(
    st.sampled_from(["0", "1e-12", "-1e-12", "999999999999999999", "-999999999999999999.999999999999"]).map(Decimal),
    st.decimals(-1000, 1000, places=12),
)
_MONEY = st.one_of(st.none(), _REQUIRED_MONEY)
_ROW = st.fixed_dictionaries(
    {
        "month": st.sampled_from(["2026-07", "2026-08"]),
        "BillingAccountId": st.sampled_from(["a", "b"]),
        "BillingCurrency": st.sampled_from(["USD", "EUR"]),
        "source": st.sampled_from(["x", "y"]),
        "ChargeCategory": st.sampled_from(["Usage", "Usage", "Tax", "Credit", "Adjustment", "Purchase"]),
        "ChargeClass": st.sampled_from([None, "Correction"]),
        "SubAccountId": st.sampled_from([None, "1", "2", "3"]),
        "ServiceName": st.sampled_from(["EC2", "S3"]),
        "Tags": st.sampled_from(
            [None, "{bad", '{"app": "search"}', '{"app": "CHECKOUT", "env": "prod"}', '{"app": 1}']
        ),
        "BilledCost": _REQUIRED_MONEY,
        "EffectiveCost": _REQUIRED_MONEY,
        "ListCost": _MONEY,
        "ContractedCost": _MONEY,
        "PricingQuantity": _MONEY,
    }
)
_TARGET = st.one_of(
    st.sampled_from(SERVICES).map(lambda s: {"service": s}),
    st.sampled_from([p["name"] for p in POOLS]).map(lambda p: {"pool": p}),
    st.just({"service_from_tag": "app"}),
)
_RULE = st.builds(
    lambda target, match, tags: {"name": "r", **target, "match": match, "tags": tags},
    _TARGET,
    st.dictionaries(
        st.sampled_from(["SubAccountId", "ServiceName", "ChargeCategory", "BillingAccountId"]),
        st.sampled_from(["1", "[12]", ".*", "EC.*", "U.*|Tax", "a", "x|", r"\d+"]),
        max_size=2,
    ),
    st.dictionaries(st.sampled_from(["app", "env"]), st.sampled_from([".*", "search", "prod", "1"]), max_size=1),
)


@given(st.lists(_ROW, max_size=20), st.lists(_RULE, max_size=5))
def test_the_first_rule_that_matches_by_hand_is_the_one_that_wins(
    rows: list[dict[str, Any]], rules: list[dict[str, Any]]
) -> None:
    named = [r | {"name": f"r{i}"} for i, r in enumerate(rules)]
    table = bill([row(SkuId=str(i), **r) for i, r in enumerate(rows)])
    found = {p["SkuId"]: p["rule"] for p in attribute(table, costs(named, POOLS), SERVICES).pieces.to_pylist()}

    def tags_of(r: dict[str, Any]) -> dict[str, str]:
        try:
            return {k: str(v) for k, v in json.loads(r["Tags"] or "{}").items()}
        except ValueError:
            return {}

    def takes(rule: dict[str, Any], r: dict[str, Any]) -> bool:
        tags = tags_of(r)
        columns = all(r[c] is not None and re.fullmatch(p, r[c]) for c, p in rule["match"].items())
        tagged = all(t in tags and re.fullmatch(p, tags[t]) for t, p in rule["tags"].items())
        known = "service_from_tag" not in rule or tags.get("app", "").lower() in SERVICES
        return columns and tagged and known

    for i, r in enumerate(rows):
        expected = next((rule["name"] for rule in named if takes(rule, r)), "(no rule)")
        assert found[str(i)] == expected
