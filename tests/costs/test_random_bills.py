"""Random bills through random rules and pools: whatever they are, the parts are the bill, to the last decimal."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterable
from decimal import Context, Decimal
from functools import reduce
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest
from costs_makers import SERVICES, bill, costs, row
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from capacity.config import MappingFile, MappingTable
from capacity.costs import ClusterWeights, allocate, allocated_rows, attribute
from capacity.costs.kubernetes import IDLE, OVERHEAD, SERVICE, UNMAPPED
from capacity.schemas import COST_MONEY

ROOMY = Context(prec=60)
EXAMPLES = 10_000 if os.environ.get("CAPACITY_TEST_PROFILE") == "full" else 300
MONTHS = ("2026-07", "2026-08")
TIERS = dict(zip(SERVICES, ("gold", "gold", "silver"), strict=True))
TEAMS = dict(zip(SERVICES, ("a", "b", "b"), strict=True))
POOLS = ("network", "platform", "support", "cluster", "rest")
# One number says all of a row that is not money: each of these takes its share of it.
FIELDS: dict[str, tuple[object, ...]] = {
    "month": MONTHS,
    "BillingAccountId": ("a", "b"),
    "BillingCurrency": ("USD", "EUR"),
    "source": ("x", "y"),
    "ChargeCategory": ("Usage", "Usage", "Usage", "Tax", "Credit", "Adjustment", "Purchase"),
    "ChargeClass": (None, "Correction"),
    "SubAccountId": (None, "1", "2", "3"),
    "ServiceName": ("EC2", "S3"),
    "Tags": (None, "{bad", '{"app": "search"}', '{"app": "CHECKOUT", "env": "prod"}', '{"app": 1}'),
}
MONEY_COLUMNS = ("BilledCost", "EffectiveCost", "ListCost", "ContractedCost", "PricingQuantity")
_MOST = reduce(lambda n, values: n * len(values), FIELDS.values(), 1)
_AMOUNT = st.one_of(
    st.integers(-(10**15), 10**15),
    st.sampled_from([0, 1, -1, 10**30, -(10**30), 10**30 - 1]),  # whole units of 1e-12; 1e18 is the most there is
)
_ROW = st.tuples(
    st.integers(0, _MOST - 1), _AMOUNT, _AMOUNT, st.none() | _AMOUNT, st.none() | _AMOUNT, st.none() | _AMOUNT
)


def _row(drawn: tuple[int | None, ...]) -> dict[str, Any]:
    number, *money = drawn
    fields: dict[str, Any] = {}
    for name, values in FIELDS.items():
        number, at = divmod(int(number or 0), len(values))
        fields[name] = values[at]
    amounts = {
        n: None if m is None else ROOMY.scaleb(Decimal(m), -12) for n, m in zip(MONEY_COLUMNS, money, strict=True)
    }
    return row(**fields, **amounts)


# --- rules and pools -----------------------------------------------------------------------------------------

_MAPPING = MappingFile(
    "accounts.csv",
    MappingTable(
        ("SubAccountId", "tag:app"), (("1", "search"), ("2", "1"), ("9", "none")), ("service", "pool", "pool"),
        ("web-shop", "rest", "network"), (2, 3, 4), "d",
    ),
)  # fmt: skip
_TARGET: st.SearchStrategy[dict[str, Any]] = st.sampled_from(
    [
        *({"service": s} for s in SERVICES),
        *({"pool": p} for p in POOLS),
        {"service_from_tag": "app"},
        {"mapping": _MAPPING},
    ]
)
_RULE = st.tuples(
    _TARGET,
    st.dictionaries(
        st.sampled_from(["SubAccountId", "ServiceName", "ChargeCategory", "BillingAccountId"]),
        st.sampled_from(["1", "[12]", ".*", "EC.*", "U.*|Tax", "a", "x|", r"\d+", None]),
        max_size=2,
    ),
    st.dictionaries(st.sampled_from(["app", "env"]), st.sampled_from([".*", "search", "prod", "1", None]), max_size=1),
).map(lambda drawn: {**drawn[0], "match": drawn[1], "tags": drawn[2]})
_SPLITS = st.tuples(*(st.integers(0, 10**4) for _ in POOLS))


def _pool(name: str, later: tuple[str, ...], number: int) -> dict[str, Any]:
    """A pool by one number; it may feed pools of ``later`` only."""

    def take(*choices: Any) -> Any:
        nonlocal number
        number, at = divmod(number, len(choices))
        return choices[at]

    kind = take("even", "fixed", "cost", "usage", "kubernetes")
    fed = take((), later[:1], later[:2])
    out: dict[str, Any] = {"name": name, "split": kind}
    if kind == "kubernetes":
        out |= {"clusters": take([], ["prod"])}
        return out | dict(zip(take(("idle_pool", "overhead_pool"), ("overhead_pool",)), fed, strict=False))
    limit = take(
        {}, {"services": ["search"]}, {"tiers": ["gold"]}, {"teams": ["b"], "tiers": ["silver"]}, {"teams": ["z"]}
    )
    if kind == "fixed":
        out |= {"shares": {**take({"search": 0.3}, {"checkout": 3, "search": 1e-9}), **dict.fromkeys(fed, 0.7)}}
    elif kind == "usage":
        out |= {"metric": "rps", "stat": take(None, "max")}
    else:
        out |= {"to_pools": list(fed)}
        out |= {"base": take("direct", "direct_and_shared")} if kind == "cost" else {}
    return out | limit


def _pools(numbers: tuple[int, ...], order: list[int]) -> list[dict[str, Any]]:
    found = [_pool(p, POOLS[i + 1 :], n) for i, (p, n) in enumerate(zip(POOLS, numbers, strict=True))]
    return [found[i] for i in order]


_WEIGHTS = st.dictionaries(
    st.tuples(st.sampled_from(MONTHS), st.sampled_from(SERVICES)), st.floats(0, 1e12), max_size=6
)
_CLUSTERS = st.dictionaries(
    st.tuples(
        st.tuples(st.sampled_from(MONTHS), st.sampled_from(["prod", "test"])),
        st.sampled_from([(SERVICE, "search"), (SERVICE, "checkout"), (IDLE, ""), (OVERHEAD, ""), (UNMAPPED, "")]),
    ),
    st.integers(0, 10**20),
    max_size=6,
)
_APART = st.none() | st.sampled_from(POOLS)


def _clusters(drawn: dict[tuple[tuple[str, str], tuple[str, str]], int]) -> ClusterWeights:
    by_month: dict[tuple[str, str], dict[tuple[str, str], int]] = defaultdict(dict)
    for (where, owner), weight in drawn.items():
        by_month[where][owner] = weight
    return ClusterWeights(by_month, pd.DataFrame())


# --- a slow second way to add up -----------------------------------------------------------------------------


def _plain_sums(rows: Iterable[dict[str, Any]], *names: str) -> dict[tuple[object, ...], list[Decimal]]:
    out: dict[tuple[object, ...], list[Decimal]] = defaultdict(lambda: [Decimal(0)] * 4)
    for r in rows:
        total = out[tuple(r[n] for n in names)]
        for i, c in enumerate(COST_MONEY):
            total[i] = ROOMY.add(total[i], r[c] or Decimal(0))
    return {key: total for key, total in out.items() if any(total)}


@pytest.mark.timeout(3600)  # 10,000 bills take six minutes of a processor
@settings(max_examples=EXAMPLES, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.lists(_ROW, max_size=12), st.lists(_RULE, max_size=6), _SPLITS, st.permutations(range(len(POOLS))),
    st.permutations(SERVICES), _WEIGHTS, _CLUSTERS, st.tuples(_APART, _APART, _APART),
)  # fmt: skip
def test_random_bills_add_up_to_the_last_decimal(
    rows: list[tuple[int | None, ...]],
    rules: list[dict[str, Any]],
    splits: tuple[int, ...],
    order: list[int],
    services: list[str],
    weights: dict[tuple[str, str], float],
    clusters: dict[Any, int],
    apart: tuple[str | None, str | None, str | None],
) -> None:
    table = bill([_row(r) for r in rows])
    config = costs(
        [r | {"name": f"r{i}"} for i, r in enumerate(rules)], _pools(splits, order),
        **dict(zip(("tax_pool", "credit_pool", "refund_pool"), apart, strict=True)),
    )  # fmt: skip
    frame = pd.DataFrame([(m, s, w) for (m, s), w in weights.items()], columns=["month", "service", "weight"])
    attribution = attribute(table, config, services)
    usage = {"rps": frame, "rps (max)": frame.iloc[::2]}
    found = allocate(attribution, config, usage, clusters=_clusters(clusters), tiers=TIERS, teams=TEAMS)
    found.verify(table)
    # And by a second way that shares no code with the first.
    key = ("source", "BillingAccountId", "BillingPeriodStart", "BillingCurrency")
    expected = _plain_sums(table.to_pylist(), *key)
    lines = found.lines.to_pylist()
    assert _plain_sums(lines, *key) == expected
    exported = allocated_rows(table, attribution, found, tiers=TIERS).to_pylist()
    assert _plain_sums(exported, "x_Source", *key[1:]) == expected
    # A service costs in its rows what the allocation says, account by account.
    assert _plain_sums(
        [r for r in exported if r["AllocatedResourceId"]], "x_Source", *key[1:], "AllocatedResourceId"
    ) == _plain_sums([r for r in lines if r["kind"] != "unallocated"], *key, "service")
    _counts_add_up(table, attribution)
    _steps_add_up(found.pool_steps)


def _counts_add_up(table: pa.Table, attribution: Any) -> None:
    assert sum(attribution.pieces.column("rows").to_pylist()) == table.num_rows
    assert attribution.rule_hits["rows"].sum() == table.num_rows
    for c in COST_MONEY:
        assert sum(attribution.pieces.column(f"{c}_nulls").to_pylist()) == table.column(c).null_count


def _steps_add_up(steps: pd.DataFrame) -> None:
    """The shares of a pool are the whole of it."""
    shares: dict[tuple[str, ...], float] = defaultdict(float)
    for month, currency, pool, share in zip(
        steps["month"], steps["currency"], steps["pool"], steps["share_frac"], strict=True
    ):
        shares[month, currency, pool] += 0.0 if share != share else share
    # Parts of a pool of nearly nothing may be rounded to more than it.
    assert all(s == 0 or s == pytest.approx(1, rel=1e-6) for s in shares.values())
