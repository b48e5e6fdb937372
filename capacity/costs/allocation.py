"""Shared pools split over services, so that direct + shared + unallocated is the bill, to the last decimal.

A pool is split inside each (source, billing account, billing period, currency, charge month). An amount and its
weights are whole numbers; each service gets the quotient rounded down, and what is left over (less than one
1e-12 a service) goes to the largest remainders (Hamilton's method), ties in the order of the services.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from functools import cached_property

import numpy as np
import pandas as pd
import pyarrow as pa

from capacity.config import CostsConfig, PoolConfig
from capacity.costs._columns import encode, group_rows
from capacity.costs._money import from_units, sums_by_group, to_decimal, to_decimals, to_units
from capacity.costs.attribution import GROUP_KEY, Attribution
from capacity.costs.totals import bill_totals
from capacity.errors import CorruptDataError, UsageError
from capacity.schemas import COST_MONEY, UTC

UNALLOCATED = "(unallocated)"
_LINE_KEY: tuple[str, ...] = (*GROUP_KEY, "month", "kind", "service", "pool")
_FRAME_KEY: tuple[str, ...] = ("month", "currency", "service", "kind", "pool")
Group = tuple[str, str, object, str, str]  # GROUP_KEY and the charge month


@dataclass(frozen=True)
class Allocation:
    """The bill by service, with every shared pool split.

    Attributes
    ----------
    lines
        source, BillingAccountId, BillingPeriodStart, BillingCurrency, month, kind (direct, shared, unallocated),
        service, pool and the four cost columns (decimal128).
    reasons
        Pools that could not be split: month, currency, pool, reason, the four columns (Decimal).
    """

    lines: pa.Table
    reasons: pd.DataFrame
    _rows: int = 0
    _nulls: Mapping[str, int] = field(default_factory=dict)

    @cached_property
    def frame(self) -> pd.DataFrame:
        """month (YYYY-MM of the charge), currency, service, kind, pool, then the four columns as Decimal.

        ``service`` is "(unallocated)" where there is none; ``pool`` names the pool of a share, or of what could not
        be split, and is empty otherwise.
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

    def verify(self, cost: pa.Table) -> None:
        """Check against the rows of the bill themselves: same sums, rows and nulls.

        Raises
        ------
        CorruptDataError
            For some (source, account, period, currency), a column of direct + shared + unallocated is not the sum
            of the bill's rows, exactly.
        """
        bill = bill_totals(cost)
        mine = _summed(self.lines, GROUP_KEY)
        expected = {tuple(r[:4]): r[4:] for r in bill[[*GROUP_KEY, *COST_MONEY]].itertuples(index=False, name=None)}
        found = {tuple(r[:4]): r[4:] for r in mine[[*GROUP_KEY, *COST_MONEY]].itertuples(index=False, name=None)}
        problems = [
            f"  {' / '.join(map(str, key))}: {column}: bill {b}, allocated {a}"
            for key in sorted({*expected, *found}, key=str)
            for column, b, a in _differing(expected.get(key), found.get(key))
        ]
        nulls = {c: int(bill[f"{c}_nulls"].sum()) for c in COST_MONEY}
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
    attribution: Attribution, costs: CostsConfig, usage_weights: Mapping[str, pd.DataFrame] | None = None
) -> Allocation:
    """Split every shared pool over the services.

    even
        Every service of the config alike.
    fixed
        By the shares of the config.
    cost
        By the services' direct EffectiveCost (what is above zero) in the same source, account, period, currency and
        month; where that group has none, by that of the whole company in the same currency and month.
    usage
        By the weight of the pool's metric in the charge month.

    Where no service has a weight the amount stays unallocated, with its reason.

    Parameters
    ----------
    usage_weights
        metric -> month (YYYY-MM), service, weight (the sum of the metric over the month, >= 0).

    Raises
    ------
    UsageError
        A weight frame lacks a column or holds a negative weight.
    """
    weights = {m: _weights_by_month(m, f, attribution.services) for m, f in (usage_weights or {}).items()}
    pieces = attribution.pieces
    grouped = pieces.group_by([*GROUP_KEY, "month", "kind", "name"]).aggregate([(c, "sum") for c in COST_MONEY])
    grouped = grouped.sort_by([(c, "ascending") for c in (*GROUP_KEY, "month", "kind", "name")])
    rows = list(zip(*(grouped.column(c).to_pylist() for c in (*GROUP_KEY, "month", "kind", "name")), strict=True))
    money = list(zip(*(to_units(grouped.column(f"{c}_sum")) for c in COST_MONEY), strict=True))
    splitter = _Splitter(attribution.services, {p.name: p for p in costs.pools}, weights, *_direct_costs(rows, money))
    out = _Lines()
    for row, amounts in zip(rows, money, strict=True):
        splitter.add(row[:5], row[5], row[6], amounts, out)
    nulls = {c: int(sum(pieces.column(f"{c}_nulls").to_pylist())) for c in COST_MONEY}
    return Allocation(out.table(), _summed_reasons(out.reasons), attribution.rows, nulls)


# --- weights -----------------------------------------------------------------------------------------------

_Weights = list[int]


def _whole_numbers(values: Sequence[Decimal]) -> _Weights:
    """Decimals as whole numbers in the same proportions."""
    places = max((-int(v.as_tuple().exponent) for v in values), default=0)
    return [int(v.scaleb(max(places, 0))) for v in values]


def _weights_by_month(metric: str, frame: pd.DataFrame, services: Sequence[str]) -> dict[str, _Weights]:
    missing = {"month", "service", "weight"} - set(frame.columns)
    if missing:
        raise UsageError(f"usage weights of '{metric}': columns missing: {', '.join(sorted(missing))}")
    if (frame["weight"] < 0).any():
        raise UsageError(f"usage weights of '{metric}': negative weight; a pool is split by amounts of usage")
    known = frame[frame["service"].isin(list(services)) & frame["weight"].notna()]
    table = known.pivot_table(index="month", columns="service", values="weight", aggfunc="sum")
    table = table.reindex(columns=list(services)).fillna(0.0)
    return {
        str(month): _whole_numbers([Decimal(repr(float(v))) for v in row])
        for month, row in zip(table.index, table.to_numpy(), strict=True)
    }


def _direct_costs(
    rows: Sequence[tuple[object, ...]], money: Sequence[tuple[int, ...]]
) -> tuple[dict[tuple[object, ...], dict[str, int]], dict[tuple[object, ...], dict[str, int]]]:
    """Direct EffectiveCost by service: of each group, and of each (currency, month) over all of them."""
    own: dict[tuple[object, ...], dict[str, int]] = {}
    company: dict[tuple[object, ...], dict[str, int]] = {}
    effective = COST_MONEY.index("EffectiveCost")
    for row, amounts in zip(rows, money, strict=True):
        if row[5] == "service":
            for table, key in ((own, row[:5]), (company, row[3:5])):
                by_service = table.setdefault(key, {})
                by_service[str(row[6])] = by_service.get(str(row[6]), 0) + amounts[effective]
    return own, company


@dataclass(frozen=True)
class _Splitter:
    services: tuple[str, ...]
    pools: Mapping[str, PoolConfig]
    usage: Mapping[str, Mapping[str, _Weights]]
    own_cost: Mapping[tuple[object, ...], Mapping[str, int]]
    company_cost: Mapping[tuple[object, ...], Mapping[str, int]]

    def add(self, group: tuple[object, ...], kind: str, name: str, amounts: Sequence[int], out: _Lines) -> None:
        """Write one sum of the attribution as lines."""
        if kind == "service":
            out.add(group, "direct", name, "", amounts)
            return
        if kind == "unallocated":
            out.add(group, "unallocated", UNALLOCATED, "", amounts)
            return
        weights, reason = self._weights(self.pools[name], group)
        if not any(weights):
            out.add(group, "unallocated", UNALLOCATED, name, amounts)
            out.reasons.append((str(group[4]), str(group[3]), name, reason, amounts))
            return
        for service, share in zip(self.services, zip(*(split(a, weights) for a in amounts), strict=True), strict=True):
            if any(share):
                out.add(group, "shared", service, name, share)

    def _weights(self, pool: PoolConfig, group: tuple[object, ...]) -> tuple[_Weights, str]:
        if pool.split == "even":
            return [1] * len(self.services), "there is no service to share it"
        if pool.split == "fixed":
            shares = [Decimal(repr(float(pool.shares.get(s, 0.0)))) for s in self.services]
            return _whole_numbers(shares), "its shares name no known service"
        if pool.split == "usage":
            metric = str(pool.metric)
            return self.usage.get(metric, {}).get(str(group[4]), []), f"no service has {metric} in this month"
        for table, key in ((self.own_cost, group), (self.company_cost, group[3:5])):
            weights = [max(table.get(key, {}).get(s, 0), 0) for s in self.services]
            if any(weights):
                return weights, ""
        return [], "no service has a direct cost above zero in this month"


def split(amount: int, weights: Sequence[int]) -> list[int]:
    """``amount`` (whole units, either sign) in proportion to ``weights``; the parts sum to it exactly.

    Largest remainders: each part is at most one unit from its exact share; equal remainders go in order.

    >>> split(100, [1, 1, 1])
    [34, 33, 33]
    >>> split(-7, [3, 0, 1])
    [-5, 0, -2]
    """
    total, size = sum(weights), abs(amount)
    parts, remainders = [], []
    for w in weights:
        whole, rest = divmod(size * w, total)
        parts.append(whole)
        remainders.append(rest)
    left = size - sum(parts)
    if left:
        for i in sorted(range(len(weights)), key=lambda i: -remainders[i])[:left]:
            parts[i] += 1
    return parts if amount >= 0 else [-p for p in parts]


# --- lines -------------------------------------------------------------------------------------------------


@dataclass
class _Lines:
    """Lines as they are written: one list a column."""

    keys: list[tuple[object, ...]] = field(default_factory=list)
    amounts: list[Sequence[int]] = field(default_factory=list)
    reasons: list[tuple[str, str, str, str, Sequence[int]]] = field(default_factory=list)

    def add(self, group: tuple[object, ...], kind: str, service: str, pool: str, amounts: Sequence[int]) -> None:
        self.keys.append((*group, kind, service, pool))
        self.amounts.append(amounts)

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


def _differing(
    bill: tuple[Decimal, ...] | None, mine: tuple[Decimal, ...] | None
) -> list[tuple[str, Decimal | None, Decimal | None]]:
    none = (None,) * len(COST_MONEY)
    return [(c, b, a) for c, b, a in zip(COST_MONEY, bill or none, mine or none, strict=True) if a != b]
