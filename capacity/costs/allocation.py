"""Shared pools split over services, so that direct + shared + unallocated is the bill, to the last decimal.

A pool is split inside each (source, billing account, billing period, currency, charge month). An amount and its
weights are whole numbers; each service gets the quotient rounded down, and what is left over (less than one
1e-12 a service) goes to the largest remainders (Hamilton's method), ties in the order of the services.

Pools may give shares to other pools (the step-down method): each is split once, after all that feed it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import pandas as pd
import pyarrow as pa

from capacity.config import CostsConfig, pool_problems
from capacity.costs._columns import encode, group_rows
from capacity.costs._money import from_units, sums_by_group, to_decimal, to_decimals, to_units
from capacity.costs.attribution import GROUP_KEY, Attribution
from capacity.costs.kubernetes import ClusterWeights
from capacity.costs.pools import NOT_SPLIT, Amounts, Group, Ledger, PoolStep, Target, Weigher, step_down, usage_weights
from capacity.costs.pools import split as split
from capacity.costs.totals import bill_units
from capacity.errors import ConfigError, CorruptDataError
from capacity.schemas import COST_MONEY, UTC

UNALLOCATED = "(unallocated)"
_LINE_KEY: tuple[str, ...] = (*GROUP_KEY, "month", "kind", "service", "pool")
_FRAME_KEY: tuple[str, ...] = ("month", "currency", "service", "kind", "pool")
_EFFECTIVE = COST_MONEY.index("EffectiveCost")
STEP_COLUMNS: tuple[str, ...] = (
    "month", "currency", "pool", "to_kind", "to", "method", "share_frac", "EffectiveCost",
)  # fmt: skip


@dataclass(frozen=True)
class Allocation:
    """The bill by service, with every shared pool split.

    Attributes
    ----------
    lines
        source, BillingAccountId, BillingPeriodStart, BillingCurrency, month, kind (direct, shared, unallocated),
        service, pool and the four cost columns (decimal128).
    reasons
        Pools that could not be split, and parts of them that go to nobody (idle, say): month, currency, pool,
        reason, the four columns (Decimal).
    steps
        How each pool of each group was split, in the order in which it was done.
    """

    lines: pa.Table
    reasons: pd.DataFrame
    _rows: int = 0
    _nulls: Mapping[str, int] = field(default_factory=dict)
    steps: tuple[PoolStep, ...] = ()

    @cached_property
    def frame(self) -> pd.DataFrame:
        """month (YYYY-MM of the charge), currency, service, kind, pool, then the four columns as Decimal.

        ``service`` is "(unallocated)" where there is none; ``pool`` names the pool that gave a share (the last one,
        where pools fed each other), or what of a pool could not be split, and is empty otherwise.
        """
        names = {"BillingCurrency": "currency"}
        keyed = self.lines.rename_columns([names.get(c, c) for c in self.lines.column_names])
        return _summed(keyed, _FRAME_KEY)

    def service_costs(self) -> pd.DataFrame:
        """month, currency, service and the four columns: direct and shared together, without the unallocated."""
        kinds = self.frame["kind"].to_numpy()
        table = pa.table({c: self.frame[c].tolist() for c in ("month", "currency", "service")} | self._frame_money())
        return _summed(table.filter(pa.array(kinds != "unallocated")), ("month", "currency", "service"))

    def allocated_frac(self) -> pd.DataFrame:
        """month, currency, allocated_frac: share of |EffectiveCost| that services carry."""
        size = self.frame["EffectiveCost"].map(abs).astype(float)
        frame = self.frame[["month", "currency"]].assign(size=size)
        frame["carried"] = size.where(self.frame["kind"] != "unallocated", 0.0)
        total = frame.groupby(["month", "currency"], as_index=False)[["size", "carried"]].sum()
        # A month without any cost has nothing that is not allocated.
        total["allocated_frac"] = np.where(
            total["size"] > 0, total["carried"] / total["size"].where(total["size"] > 0, 1), 1
        )
        return total[["month", "currency", "allocated_frac"]]

    @cached_property
    def pool_steps(self) -> pd.DataFrame:
        """How each pool was split, so that a reader can check it.

        Returns
        -------
        DataFrame
            month, currency, pool, to_kind (service, pool, unallocated), to, method, share_frac (of what was in the
            pool; null where that is nothing), EffectiveCost (Decimal; what is in a pool is its own cost and what
            other pools gave it). Pools stand in the order in which they were split.
        """
        return _pool_steps(self.steps)

    def verify(self, cost: pa.Table) -> None:
        """Check against the rows of the bill themselves: same sums, rows and nulls.

        Raises
        ------
        CorruptDataError
            For some (source, account, period, currency), a column of direct + shared + unallocated is not the sum
            of the bill's rows, exactly.
        """
        bill, mine = bill_units(cost), bill_units(self.lines)
        problems = [
            f"  {' / '.join(map(str, key))}: {column}: bill {_told(bill, key, i)}, allocated {_told(mine, key, i)}"
            for key in sorted({*bill, *mine}, key=str)
            for i, column in enumerate(COST_MONEY)
            if key not in bill or key not in mine or bill[key][0][i] != mine[key][0][i]
        ]
        nulls = {c: sum(n[i] for _, n in bill.values()) for i, c in enumerate(COST_MONEY)}
        if self._rows != cost.num_rows or dict(self._nulls) != nulls:
            problems.append(
                f"  rows and nulls: bill {cost.num_rows}, {nulls}; allocated {self._rows}, {dict(self._nulls)}"
            )
        if problems:
            raise CorruptDataError("\n".join(["allocation does not add up to the bill; run it on one version of the "
                                              "bill:", *problems[:12]]))  # fmt: skip

    def _frame_money(self) -> dict[str, pa.Array]:
        return {c: pa.array(self.frame[c].tolist(), pa.decimal128(38, 12)) for c in COST_MONEY}


def allocate(
    attribution: Attribution,
    costs: CostsConfig,
    usage_weights: Mapping[str, pd.DataFrame] | None = None,
    *,
    clusters: ClusterWeights | None = None,
    tiers: Mapping[str, str] | None = None,
    teams: Mapping[str, str] | None = None,
) -> Allocation:
    """Split every shared pool; the sum over services is the pool, exactly, in all four columns.

    even
        Every service of the config alike.
    fixed
        By the shares of the config.
    cost
        By the services' direct EffectiveCost (what is above zero) in the same source, account, period, currency and
        month; where that group has none, by that of the whole company in the same currency and month. With ``base:
        direct_and_shared`` what pools before it gave them counts too.
    usage
        By the weight of the pool's metric in the charge month.
    kubernetes
        By what workloads took of the pool's clusters in the charge month; idle and the clusters' own workloads go to
        their pools, or stay unallocated under names of their own ("pool: idle").

    Only services of ``services``, ``tiers`` and ``teams`` of the pool share it. Shares that name a pool go to it, and
    it is split after all pools that feed it. Where nothing has a weight the amount stays unallocated, with its reason.

    Parameters
    ----------
    usage_weights
        metric, or "metric (stat)" where the pool names one -> month (YYYY-MM), service, weight (>= 0).
    clusters
        What workloads took, for pools of split kubernetes.
    tiers, teams
        By service; needed where a pool is limited to some.

    Raises
    ------
    ConfigError
        Pools feed each other in a circle, or name what is not there.
    UsageError
        A weight frame lacks a column or holds a negative weight; tiers or teams are needed and not given.
    """
    problems = pool_problems(costs, attribution.services)
    if problems:
        raise ConfigError(problems)
    weigher = Weigher(attribution.services, costs, _usage(attribution, usage_weights), clusters, tiers, teams)
    out, ledger = _Lines(), Ledger()
    pooled = _sorted_out(attribution, out, ledger)
    steps = tuple(step_down(pooled, ledger, weigher, _EFFECTIVE))
    for step in steps:
        out.add_step(step)
    nulls = {c: int(sum(attribution.pieces.column(f"{c}_nulls").to_pylist())) for c in COST_MONEY}
    return Allocation(out.table(), _summed_reasons(out.reasons), attribution.rows, nulls, steps)


def _usage(attribution: Attribution, frames: Mapping[str, pd.DataFrame] | None) -> dict[str, dict[str, dict[str, int]]]:
    return {m: usage_weights(m, f, attribution.services) for m, f in (frames or {}).items()}


def _sorted_out(attribution: Attribution, out: _Lines, ledger: Ledger) -> dict[tuple[Group, str], Amounts]:
    """Write what is direct or unallocated; the pools' own amounts by group and pool."""
    keys = (*GROUP_KEY, "month", "kind", "name")
    grouped = attribution.pieces.group_by(list(keys)).aggregate([(c, "sum") for c in COST_MONEY])
    grouped = grouped.sort_by([(c, "ascending") for c in keys])
    rows = zip(*(grouped.column(c).to_pylist() for c in keys), strict=True)
    money = zip(*(to_units(grouped.column(f"{c}_sum")) for c in COST_MONEY), strict=True)
    pooled: dict[tuple[Group, str], Amounts] = {}
    for (*head, kind, name), amounts in zip(rows, money, strict=True):
        group = tuple(head)
        if kind == "pool":
            pooled[group, name] = amounts
            ledger.add(ledger.pooled, group, Target("pool", name), amounts[_EFFECTIVE])
        elif kind == "service":
            out.add(group, "direct", name, "", amounts)
            ledger.add(ledger.direct, group, Target("service", name), amounts[_EFFECTIVE])
        else:
            out.add(group, "unallocated", UNALLOCATED, "", amounts)
    return pooled


def _pool_steps(steps: Sequence[PoolStep]) -> pd.DataFrame:
    order = {name: i for i, name in enumerate(dict.fromkeys(s.pool for s in steps))}
    parts: dict[tuple[str, ...], int] = {}
    whole: dict[tuple[str, ...], int] = {}
    for step in steps:
        pool = (str(step.group[4]), str(step.group[3]), step.pool)
        whole[pool] = whole.get(pool, 0) + step.amounts[_EFFECTIVE]
        for target, part in zip(step.share.targets, step.parts, strict=True):
            kind = "unallocated" if target.kind == "apart" else target.kind
            key = (*pool, kind, target.name or step.pool, step.share.method)
            parts[key] = parts.get(key, 0) + part[_EFFECTIVE]
    rows = [
        (*key, part / whole[key[:3]] if whole[key[:3]] else float("nan"), to_decimal(part))
        for key, part in sorted(parts.items(), key=lambda kv: (kv[0][0], kv[0][1], order[kv[0][2]], kv[0][3:]))
    ]
    return pd.DataFrame(rows, columns=list(STEP_COLUMNS))


# --- lines -------------------------------------------------------------------------------------------------


# What is said of the parts of a cluster that go to nobody.
_APART = {
    "idle": "paid for and used by no workload; name an idle_pool to share it",
    "overhead": "the cluster's own workloads; name an overhead_pool to share it",
    "no rule for the workload": "workloads that no rule of costs.kubernetes names",
}


@dataclass
class _Lines:
    """Lines as they are written: one list a column."""

    keys: list[tuple[object, ...]] = field(default_factory=list)
    amounts: list[Sequence[int]] = field(default_factory=list)
    reasons: list[tuple[str, str, str, str, Sequence[int]]] = field(default_factory=list)

    def add(self, group: tuple[object, ...], kind: str, service: str, pool: str, amounts: Sequence[int]) -> None:
        self.keys.append((*group, kind, service, pool))
        self.amounts.append(amounts)

    def add_step(self, step: PoolStep) -> None:
        """Write what services got of a pool, and what of it goes to nobody."""
        group, written = step.group, False
        for target, amounts in zip(step.share.targets, step.parts, strict=True):
            if target.kind == "service" and any(amounts):
                self.add(group, "shared", target.name, step.pool, amounts)
            elif target.kind == "apart" and (any(amounts) or target == NOT_SPLIT):
                self.add(group, "unallocated", UNALLOCATED, target.name or step.pool, amounts)
                reason = step.share.reason or _APART[target.name.rpartition(": ")[2]]
                self.reasons.append((str(group[4]), str(group[3]), target.name or step.pool, reason, amounts))
            written |= target.kind == "pool" or any(amounts)
        if not written and step.share.targets != (NOT_SPLIT,):  # a group of nothing but zeros is in the bill too
            self.add(group, "unallocated", UNALLOCATED, step.pool, step.amounts)

    def table(self) -> pa.Table:
        columns = list(zip(*self.keys, strict=True)) or [()] * len(_LINE_KEY)
        money = list(zip(*self.amounts, strict=True)) or [()] * len(COST_MONEY)
        types = [UTC if n == "BillingPeriodStart" else pa.string() for n in _LINE_KEY]
        out = {n: pa.array(c, t) for n, c, t in zip(_LINE_KEY, columns, types, strict=True)}
        return pa.table(out | {n: from_units(c) for n, c in zip(COST_MONEY, money, strict=True)})


def _summed(table: pa.Table, by: Sequence[str]) -> pd.DataFrame:
    """Exact sums of the four columns by ``by``, as Decimals, in the order of the key."""
    keys = {n: encode(table.column(n)) for n in by}
    grouping = group_rows([(c.codes, c.cardinality) for c in keys.values()], table.num_rows)
    sums = sums_by_group(table, grouping.group, grouping.count, COST_MONEY)
    out = pd.DataFrame({n: c.take(grouping.first_row).to_pandas() for n, c in keys.items()})
    for name in COST_MONEY:
        out[name] = pd.Series(to_decimals(sums[name]), dtype=object)
    return out.sort_values(list(by), ignore_index=True)


def _summed_reasons(reasons: Sequence[tuple[str, str, str, str, Sequence[int]]]) -> pd.DataFrame:
    totals: dict[tuple[str, str, str, str], list[int]] = {}
    for *key, amounts in reasons:
        total = totals.setdefault((key[0], key[1], key[2], key[3]), [0] * len(COST_MONEY))
        for i, amount in enumerate(amounts):
            total[i] += amount
    rows = [(*key, *map(to_decimal, total)) for key, total in sorted(totals.items())]
    return pd.DataFrame(rows, columns=["month", "currency", "pool", "reason", *COST_MONEY])


def _told(sums: Mapping[tuple[object, ...], tuple[Amounts, Amounts]], key: tuple[object, ...], column: int) -> object:
    return to_decimal(sums[key][0][column]) if key in sums else "nothing"
