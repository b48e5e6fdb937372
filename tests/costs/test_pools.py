"""Pools that are limited, feed each other, and follow clusters; and the frames and rows that tell of them."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest
from costs_makers import SERVICES, bill, costs, row
from pydantic import ValidationError

from capacity.config import KubernetesCostConfig
from capacity.costs import Allocation, allocate, allocated_rows, attribute, cluster_weights
from capacity.errors import ConfigError, UsageError
from capacity.schemas import COST_MONEY, KUBERNETES_COST

TIERS = {"checkout": "gold", "search": "silver", "web-shop": "gold"}


def _rules(*pools: str) -> list[dict[str, Any]]:
    return [
        *({"name": p, "pool": p, "match": {"SubAccountId": f"pool-{p}"}} for p in pools),
        *({"name": s, "service": s, "match": {"SubAccountId": s}} for s in SERVICES),
    ]


def _pooled(pool: str, effective: object, **columns: Any) -> dict[str, Any]:
    return row(effective=effective, SubAccountId=f"pool-{pool}", **columns)


def _allocation(rows: list[dict[str, Any]], pools: list[dict[str, Any]], **more: Any) -> Allocation:
    table, config = bill(rows), costs(_rules(*(p["name"] for p in pools)), pools)
    found = allocate(attribute(table, config, SERVICES), config, more.pop("usage", None), tiers=TIERS, **more)
    found.verify(table)
    return found


def _shares(found: Allocation) -> dict[tuple[str, str], str]:
    part = found.frame[found.frame["kind"] == "shared"]
    return {(r["pool"], r["service"]): str(r["EffectiveCost"].normalize()) for r in part.to_dict("records")}


@pytest.mark.parametrize(
    ("limit", "who"),
    [
        ({"tiers": ["gold"]}, {"checkout", "web-shop"}),
        ({"services": ["search"]}, {"search"}),
        ({"services": ["search", "checkout"], "tiers": ["gold"]}, {"checkout"}),
        ({"teams": ["b"]}, {"web-shop"}),
    ],
)
def test_only_the_services_that_are_named_share_a_pool(limit: dict[str, Any], who: set[str]) -> None:
    found = _allocation([_pooled("p", 6)], [{"name": "p", "split": "even", **limit}], teams={"web-shop": "b"})
    assert {s for _, s in _shares(found)} == who


def test_a_pool_of_nobody_stays_with_its_reason() -> None:
    found = _allocation([_pooled("p", 6)], [{"name": "p", "split": "even", "tiers": ["bronze"]}])
    assert found.reasons[["pool", "reason"]].to_numpy().tolist() == [["p", "there is no service to share it"]]


def test_a_limit_to_teams_needs_to_know_them() -> None:
    with pytest.raises(UsageError, match="teams of services were not given"):
        _allocation([_pooled("p", 6)], [{"name": "p", "split": "even", "teams": ["a"]}])


def test_a_pool_waits_for_what_others_give_it() -> None:
    pools = [
        {"name": "platform", "split": "fixed", "shares": {"checkout": 3, "search": 1}},
        {"name": "network", "split": "fixed", "shares": {"search": 1, "platform": 1}},
    ]
    found = _allocation([_pooled("platform", 4), _pooled("network", 8)], pools)
    assert _shares(found) == {
        ("network", "search"): "4", ("platform", "checkout"): "6", ("platform", "search"): "2",
    }  # fmt: skip
    steps = found.pool_steps
    assert steps[["pool", "to_kind", "to", "share_frac", "EffectiveCost"]].to_numpy().tolist() == [
        ["network", "pool", "platform", 0.5, Decimal(4)],
        ["network", "service", "search", 0.5, Decimal(4)],
        ["platform", "service", "checkout", 0.75, Decimal(6)],
        ["platform", "service", "search", 0.25, Decimal(2)],
    ]


def test_pools_share_by_cost_as_services_do_by_what_is_in_them() -> None:
    pools = [
        {"name": "support", "to_pools": ["platform"]},
        {"name": "platform", "split": "even", "services": ["search"]},
    ]
    found = _allocation(
        [_pooled("support", 8), _pooled("platform", 3), row(effective=1, SubAccountId="checkout")], pools
    )
    assert _shares(found) == {("support", "checkout"): "2", ("platform", "search"): "9"}


def test_cost_so_far_counts_what_earlier_pools_gave() -> None:
    rows = [_pooled("a", 6), _pooled("b", 8), row(effective=2, SubAccountId="checkout")]
    first = {"name": "a", "split": "even", "services": ["search"]}
    direct = _allocation(rows, [first, {"name": "b"}])
    so_far = _allocation(rows, [first, {"name": "b", "base": "direct_and_shared"}])
    assert _shares(direct) == {("a", "search"): "6", ("b", "checkout"): "8"}
    assert _shares(so_far) == {("a", "search"): "6", ("b", "checkout"): "2", ("b", "search"): "6"}


def test_a_circle_of_pools_is_refused_with_its_way_round() -> None:
    pools = [
        {"name": "a", "split": "even", "to_pools": ["b"]},
        {"name": "b", "split": "fixed", "shares": {"search": 1, "c": 1}},
        {"name": "c", "to_pools": ["a"]},
    ]
    with pytest.raises(ConfigError, match=r"a -> b -> c -> a|b -> c -> a -> b|c -> a -> b -> c"):
        _allocation([_pooled("a", 1)], pools)


@pytest.mark.parametrize(
    "pool",
    [
        {"split": "even", "stat": "max"},
        {"split": "usage", "metric": "rps", "to_pools": ["x"]},
        {"split": "kubernetes", "services": ["search"]},
        {"split": "cost", "idle_pool": "x"},
        {"split": "even", "base": "direct_and_shared"},
    ],
)
def test_a_key_of_another_split_is_refused(pool: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match=r"belongs to split|do not limit"):
        costs(pools=[{"name": "p", **pool}])


def test_a_pool_follows_the_statistic_that_it_names() -> None:
    def weights(*values: float) -> pd.DataFrame:
        return pd.DataFrame({"month": "2026-08", "service": SERVICES[: len(values)], "weight": values})

    pools = [{"name": "p", "split": "usage", "metric": "rps", "stat": "max"}]
    usage = {"rps": weights(1, 0), "rps (max)": weights(1, 3)}
    assert _shares(_allocation([_pooled("p", 8)], pools, usage=usage)) == {("p", "checkout"): "2", ("p", "search"): "6"}


def test_refunds_have_a_pool_of_their_own_where_one_is_named() -> None:
    rows = [
        row(effective=-4, ChargeCategory="Adjustment", ChargeClass="Correction"),
        row(effective=-1, ChargeCategory="Credit"),
    ]
    pools = [{"name": "credits"}, {"name": "refunds"}]
    both = attribute(bill(rows), costs(pools=pools, credit_pool="credits", refund_pool="refunds"), SERVICES)
    assert both.rule_hits[["rule", "target", "rows"]].to_numpy().tolist() == [
        ["(tax)", "", 0], ["(credit)", "credits", 1], ["(refund)", "refunds", 1], ["(no rule)", "", 0],
    ]  # fmt: skip
    one = attribute(bill(rows), costs(pools=pools, credit_pool="credits"), SERVICES)
    assert one.rule_hits["rows"].tolist() == [0, 2, 0]


# --- clusters ------------------------------------------------------------------------------------------------


def _workloads(rows: list[dict[str, Any]]) -> pa.Table:
    plain = {"source": "opencost", "cluster": "prod", "kind": "workload", "namespace": "", "controller_kind": "",
             "controller": "", "pod": "", "ts": pd.Timestamp("2026-08-01", tz="UTC"),
             "period_end": pd.Timestamp("2026-08-02", tz="UTC")}  # fmt: skip
    full = [plain | r | {"total_cost": Decimal(r["total_cost"])} for r in rows]
    return pa.Table.from_pylist(full, schema=KUBERNETES_COST.schema)


CLUSTER = [
    {"namespace": "shop", "controller": "cart", "total_cost": 3, "external_cost": Decimal(1)},
    {"namespace": "find", "controller": "x", "labels": '{"app.kubernetes.io/name": "search"}', "total_cost": 4},
    {"namespace": "kube-system", "controller": "dns", "total_cost": 1},
    {"namespace": "other", "controller": "y", "total_cost": 1},
    {"kind": "idle", "total_cost": 2},
]
KUBERNETES = KubernetesCostConfig.model_validate(
    {
        "rules": [
            {"name": "shop", "service": "checkout", "match": {"namespace": "shop"}},
            {"name": "label", "service_from_label": "app.kubernetes.io/name"},
        ]
    }
)


def test_a_clusters_bill_is_its_workloads_idle_and_overhead() -> None:
    clusters = cluster_weights(_workloads(CLUSTER), KUBERNETES, SERVICES)
    pools: list[dict[str, Any]] = [{"name": "eks", "split": "kubernetes"}, {"name": "idle", "split": "even"}]
    visible = _allocation([_pooled("eks", 100)], pools, clusters=clusters)
    assert _shares(visible) == {("eks", "checkout"): "2E+1", ("eks", "search"): "4E+1"}
    left = visible.frame[visible.frame["kind"] == "unallocated"]
    assert dict(zip(left["pool"], left["EffectiveCost"], strict=True)) == {
        "eks: idle": 20, "eks: overhead": 10, "eks: no rule for the workload": 10,
    }  # fmt: skip
    assert set(visible.reasons["pool"]) == set(left["pool"])
    assert clusters.unmapped[["namespace", "controller", "cost"]].to_numpy().tolist() == [["other", "y", Decimal(1)]]
    pools[0] |= {"idle_pool": "idle", "overhead_pool": "idle"}
    shared = _allocation([_pooled("eks", 100)], pools, clusters=clusters)
    assert {s: c for (p, s), c in _shares(shared).items() if p == "idle"} == dict.fromkeys(SERVICES, "1E+1")


def test_a_month_without_workloads_stays_and_says_so() -> None:
    clusters = cluster_weights(_workloads(CLUSTER), KUBERNETES, SERVICES)
    pools = [{"name": "eks", "split": "kubernetes", "clusters": ["test.*"]}]
    found = _allocation([_pooled("eks", 100)], pools, clusters=clusters)
    assert found.reasons["reason"].tolist() == ["no Kubernetes cost of test.* is known in this month"]


def test_windows_across_months_are_divided_and_overlapping_ones_count_once() -> None:
    stamps = [pd.Timestamp(t, tz="UTC") for t in ("2026-07-31", "2026-08-01", "2026-08-04")]
    week = {"namespace": "shop", "total_cost": 8, "ts": stamps[0], "period_end": stamps[2]}
    found = cluster_weights(_workloads([week]), KUBERNETES, SERVICES)
    assert {m: sum(w.values()) for (m, _), w in found.by_month.items()} == {
        "2026-07": 2 * 10**12, "2026-08": 6 * 10**12,
    }  # fmt: skip
    day = {"namespace": "shop", "total_cost": 5, "ts": stamps[0], "period_end": stamps[1]}
    assert cluster_weights(_workloads([week, day]), KUBERNETES, SERVICES).by_month == {
        ("2026-07", "prod"): {("service", "checkout"): 5 * 10**12},
        ("2026-08", "prod"): {("service", "checkout"): 6 * 10**12},  # the three days that the shorter window leaves
    }


def test_a_short_window_takes_no_more_of_a_longer_one_than_its_own_time() -> None:
    start, end = (pd.Timestamp(t, tz="UTC") for t in ("2026-08-01", "2026-09-01"))
    month = {"ts": start, "period_end": end}
    hours = [{"ts": end - pd.Timedelta(hours=n), "period_end": end - pd.Timedelta(hours=n - 1)} for n in (1, 3)]
    found = cluster_weights(
        _workloads([
            {"namespace": "shop", "total_cost": 744 * 9} | month, {"namespace": "find", "total_cost": 744} | month,
            *({"namespace": "find", "total_cost": 1} | hour for hour in hours),
        ]),
        KubernetesCostConfig.model_validate({"rules": [
            {"name": "a", "service": "checkout", "match": {"namespace": "shop"}},
            {"name": "b", "service": "search", "match": {"namespace": "find"}},
        ]}),
        SERVICES,
    )  # fmt: skip
    assert found.by_month == {
        ("2026-08", "prod"): {("service", "checkout"): 742 * 9 * 10**12, ("service", "search"): 744 * 10**12}
    }


def test_faulty_workload_rules_are_told_together() -> None:
    config = KubernetesCostConfig.model_validate(
        {"rules": [{"name": "a", "service": "nobody", "match": {"pod": "("}}], "overhead": ["["]}
    )
    with pytest.raises(ConfigError) as caught:
        cluster_weights(_workloads([]), config, SERVICES)
    assert len(caught.value.problems) == 3


# --- rows ----------------------------------------------------------------------------------------------------


def test_the_bills_rows_by_service_name_rule_and_pools_on_the_way() -> None:
    pools = [
        {"name": "platform", "split": "even", "services": ["checkout", "search"]},
        {"name": "network", "split": "fixed", "shares": {"web-shop": 1, "platform": 3}},
    ]
    rows = [
        _pooled("network", 8, ServiceName="VPC", ProviderName="A"),
        row(effective=5, SubAccountId="search", ProviderName="A", BillingAccountName="main"),
        row(effective=2, ProviderName="B"),
    ]
    table, config = bill(rows), costs(_rules("platform", "network"), pools)
    attribution = attribute(table, config, SERVICES)
    found = allocated_rows(table, attribution, allocate(attribution, config), tiers=TIERS).to_pylist()
    told = [(r["AllocatedMethodId"], r["AllocatedResourceId"], r["ServiceName"], r["EffectiveCost"]) for r in found]
    assert told == [
        ("rule: search", "search", "EC2", 5),
        (None, None, "EC2", 2),
        ("pool: network", "web-shop", "VPC", 2),
        ("pool: network > platform", "checkout", "VPC", 3),
        ("pool: network > platform", "search", "VPC", 3),
    ]
    assert [r["ProviderName"] for r in found] == [None, None, "A", "A", "A"]  # EC2 comes from two in this bill
    assert json.loads(found[3]["AllocatedMethodDetails"])["Elements"] == [{"AllocatedRatio": 0.375}]
    assert json.loads(found[2]["AllocatedTags"]) == {"service": "web-shop", "tier": "gold"}
    assert (found[0]["ChargePeriodStart"].month, found[0]["ChargePeriodEnd"].month) == (8, 9)
    assert all(sum(r[c] for r in found) == 15 for c in COST_MONEY)
