"""The bill again, row by row, as what each service pays: FOCUS columns with the Allocated columns of FOCUS 1.3.

The rows add up to the bill, and those of a service to what the allocation says it costs, exactly, in all four cost
columns. To that end a pool's pieces are split one after the other, each as the difference of two splits: of all
pieces up to it, and of all before it. So each part is at most two units of 1e-12 from its exact share.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

import numpy as np
import pyarrow as pa

from capacity.costs._columns import CodedTable, encode, group_rows
from capacity.costs._money import from_units, sums_by_group, to_units
from capacity.costs.allocation import Allocation
from capacity.costs.attribution import GROUP_KEY, Attribution
from capacity.costs.pools import NOT_SPLIT, PoolStep, Target, split
from capacity.schemas import COST_MONEY, MONEY, TEXT
from capacity.schemas import UTC as STAMP

# What tells rows apart beside billing account, period, currency and charge month. A pool's share is told by the first
# four only: times the number of services the others would make a file that no spreadsheet opens.
_SHARED_KEY = ("ServiceCategory", "ServiceName", "ChargeCategory", "ChargeClass")
_DIRECT_KEY = (*_SHARED_KEY, "ChargeFrequency", "PricingCategory", "CommitmentDiscountStatus")
# What is the same in all rows of a provider's service in a period, else null.
_LOOKED_UP = ("BillingAccountName", "BillingPeriodEnd", "InvoiceIssuerName", "ProviderName", "PublisherName")
_SCHEMA = pa.schema(
    [
        *((n, TEXT) for n in ("AllocatedMethodDetails", "AllocatedMethodId", "AllocatedResourceId")),
        *((n, TEXT) for n in ("AllocatedResourceName", "AllocatedTags")),
        ("BilledCost", MONEY), ("BillingAccountId", TEXT), ("BillingAccountName", TEXT), ("BillingCurrency", TEXT),
        ("BillingPeriodEnd", STAMP), ("BillingPeriodStart", STAMP), ("ChargeCategory", TEXT), ("ChargeClass", TEXT),
        ("ChargeFrequency", TEXT), ("ChargePeriodEnd", STAMP), ("ChargePeriodStart", STAMP),
        ("CommitmentDiscountStatus", TEXT), ("ContractedCost", MONEY), ("EffectiveCost", MONEY),
        ("InvoiceIssuerName", TEXT), ("ListCost", MONEY), ("PricingCategory", TEXT), ("ProviderName", TEXT),
        ("PublisherName", TEXT), ("ServiceCategory", TEXT), ("ServiceName", TEXT), ("x_AllocationKind", TEXT),
        ("x_Source", TEXT),
    ]
)  # fmt: skip
ALLOCATED_COLUMNS: tuple[str, ...] = tuple(_SCHEMA.names)

_Amounts = tuple[int, ...]


def allocated_rows(
    cost: pa.Table,
    attribution: Attribution,
    allocation: Allocation,
    *,
    tiers: Mapping[str, str] | None = None,
    teams: Mapping[str, str] | None = None,
) -> pa.Table:
    """What each service pays of what, one row a rule or pool step.

    Parameters
    ----------
    cost, attribution, allocation
        A bill, and what was made of it.
    tiers, teams
        By service: they stand in AllocatedTags where they are given.

    Returns
    -------
    pa.Table
        The columns :data:`ALLOCATED_COLUMNS`, those of FOCUS 1.3 in alphabetical order and two of our own. A row is
        one billing account, period, currency, charge month (ChargePeriodStart to ChargePeriodEnd), provider service,
        category and class of charge, method and service; what is direct or unallocated also frequency, pricing
        category and commitment status. AllocatedMethodId is "rule: NAME" or "pool: NAME" (with all pools on the way:
        "pool: network > platform"), null where nothing took the charge; AllocatedResourceId and -Name are the
        service. AllocatedMethodDetails holds the share of the origin charge (AllocatedRatio) and, in keys of our own,
        how the last pool was split. x_AllocationKind is direct, shared or unallocated. Ordered by its key.
    """
    out = _Rows(attribution, tiers or {}, teams or {})
    pieces = attribution.pieces
    kinds = np.array(pieces.column("kind").to_pylist(), object)
    for kind, key in (("service", _DIRECT_KEY), ("unallocated", _DIRECT_KEY)):
        for row in _grouped(pieces.filter(pa.array(kinds == kind)), (*key, "name", "rule")):
            out.plain(kind, row)
    _replay(_grouped(pieces.filter(pa.array(kinds == "pool")), (*_SHARED_KEY, "name")), allocation.steps, out)
    return _with_lookups(out.table(), cost)


@dataclass(frozen=True)
class _Piece:
    """A piece of the bill, or the part of one that has come to a pool; ``path`` is the pools that it went through."""

    key: Mapping[str, object]
    amounts: _Amounts
    path: tuple[str, ...] = ()
    ratio: float = 1.0

    @property
    def group(self) -> tuple[object, ...]:
        return tuple(self.key[n] for n in (*GROUP_KEY, "month"))


def _grouped(pieces: pa.Table, by: Sequence[str]) -> Iterator[_Piece]:
    names = (*GROUP_KEY, "month", *by)
    keys = [encode(pieces.column(n)) for n in names]
    grouping = group_rows([(k.codes, k.cardinality) for k in keys], pieces.num_rows)
    sums = sums_by_group(pieces, grouping.group, grouping.count, COST_MONEY)
    values = zip(*(k.take(grouping.first_row).to_pylist() for k in keys), strict=True)
    money = zip(*(to_units(sums[c]) for c in COST_MONEY), strict=True)
    found = [_Piece(dict(zip(names, v, strict=True)), m) for v, m in zip(values, money, strict=True)]
    return iter(sorted(found, key=lambda p: tuple(str(p.key[n] or "") for n in names)))


# --- pools -------------------------------------------------------------------------------------------------


def _replay(own: Iterator[_Piece], steps: Sequence[PoolStep], out: _Rows) -> None:
    """Send the pieces of each pool the way that the pool's amount went."""
    waiting: dict[tuple[tuple[object, ...], str], list[_Piece]] = {}
    for piece in own:
        waiting.setdefault((piece.group, str(piece.key["name"])), []).append(piece)
    for step in steps:
        weights = step.share.weights
        whole = sum(weights)
        before = [tuple([0] * len(weights))] * len(COST_MONEY)
        reached = [0] * len(COST_MONEY)
        for piece in waiting.pop((step.group, step.pool), []):
            reached = [r + a for r, a in zip(reached, piece.amounts, strict=True)]
            now = [tuple(split(r, weights)) if a else b
                   for r, a, b in zip(reached, piece.amounts, before, strict=True)]  # fmt: skip
            path = (*piece.path, step.pool)
            for i, target in enumerate(step.share.targets):
                part = tuple(n[i] - b[i] for n, b in zip(now, before, strict=True))
                if any(part):
                    sent = _Piece(piece.key, part, path, piece.ratio * (weights[i] / whole))
                    if target.kind == "pool":
                        waiting.setdefault((step.group, target.name), []).append(sent)
                    else:
                        out.shared(target, step, sent)
            before = now


# --- rows --------------------------------------------------------------------------------------------------


@dataclass
class _Rows:
    """Rows as they are written: one list a column."""

    attribution: Attribution
    tiers: Mapping[str, str]
    teams: Mapping[str, str]
    columns: dict[str, list[object]] = field(default_factory=dict)
    amounts: list[_Amounts] = field(default_factory=list)
    _tags: dict[str, str] = field(default_factory=dict)

    def plain(self, kind: str, piece: _Piece) -> None:
        """A piece that a service has whole, or nobody."""
        service = str(piece.key["name"]) if kind == "service" else None
        details = {"Elements": [{"AllocatedRatio": 1}], "x_Method": "rule"} if service else None
        method = f"rule: {piece.key['rule']}" if service else None
        self._add(piece, "direct" if service else "unallocated", method, details, service)

    def shared(self, target: Target, step: PoolStep, piece: _Piece) -> None:
        """A part of a pool's piece."""
        service = target.name if target.kind == "service" else None
        details = {"Elements": [{"AllocatedRatio": round(piece.ratio, 12)}], "x_Method": step.share.method}
        if target.kind == "apart" and target != NOT_SPLIT:
            details["x_Part"] = target.name
        kind = "shared" if service else "unallocated"
        self._add(piece, kind, f"pool: {' > '.join(piece.path)}", details, service)

    def _add(
        self, piece: _Piece, kind: str, method: str | None, details: Mapping[str, object] | None, service: str | None
    ) -> None:
        month = str(piece.key["month"])
        row: dict[str, object] = {n: piece.key[n] for n in GROUP_KEY if n != "source"}
        row |= {n: piece.key.get(n) for n in _DIRECT_KEY}
        row |= {
            "x_Source": piece.key["source"],
            "x_AllocationKind": kind,
            "ChargePeriodStart": _month_start(month),
            "ChargePeriodEnd": _month_start(month, 1),
            "AllocatedMethodId": method,
            "AllocatedMethodDetails": json.dumps(details, ensure_ascii=False) if details else None,
            "AllocatedResourceId": service,
            "AllocatedResourceName": service,
            "AllocatedTags": self._tags_of(service) if service else None,
        }
        for name, value in row.items():
            self.columns.setdefault(name, []).append(value)
        self.amounts.append(piece.amounts)

    def _tags_of(self, service: str) -> str:
        if service not in self._tags:
            known = (("tier", self.tiers), ("team", self.teams))
            tags = {"service": service} | {n: by[service] for n, by in known if by.get(service)}
            self._tags[service] = json.dumps(tags, ensure_ascii=False)
        return self._tags[service]

    def table(self) -> pa.Table:
        """The rows, without what is looked up in the bill."""
        money = list(zip(*self.amounts, strict=True)) or [()] * len(COST_MONEY)
        arrays = {n: from_units(m) for n, m in zip(COST_MONEY, money, strict=True)}
        for entry in _SCHEMA:
            if entry.name not in arrays and entry.name not in _LOOKED_UP:
                arrays[entry.name] = pa.array(self.columns.get(entry.name, []), entry.type)
        return pa.table(arrays)


def _month_start(month: str, later: int = 0) -> datetime:
    index = int(month[:4]) * 12 + int(month[5:]) - 1 + later
    return datetime(index // 12, index % 12 + 1, 1, tzinfo=UTC)


# --- what the bill says of them ------------------------------------------------------------------------------


def _with_lookups(rows: pa.Table, cost: pa.Table) -> pa.Table:
    """``rows`` with names of account and provider as the bill has them, null where it has several."""
    bill = CodedTable(cost)
    by = (*GROUP_KEY, "ServiceName")
    bill.prepare([*by, *_LOOKED_UP])
    keys = [bill.column(n) for n in by]
    grouping = group_rows([(k.codes, k.cardinality) for k in keys], cost.num_rows)
    place = {v: i for i, v in enumerate(zip(*(k.take(grouping.first_row).to_pylist() for k in keys), strict=True))}
    named = ("x_Source", *by[1:])
    wanted = [place[v] for v in zip(*(rows.column(n).to_pylist() for n in named), strict=True)]
    for name in _LOOKED_UP:
        coded = bill.column(name)
        first = coded.codes[grouping.first_row]
        mixed = np.zeros(grouping.count, np.bool_)
        mixed[grouping.group[coded.codes != first[grouping.group]]] = True
        values = coded.take(grouping.first_row)
        at = pa.array(np.array(wanted, np.int64), mask=mixed[wanted] if wanted else np.zeros(0, np.bool_))
        rows = rows.append_column(name, values.take(at).cast(_SCHEMA.field(name).type))
    return rows.select(list(ALLOCATED_COLUMNS)).cast(_SCHEMA)
