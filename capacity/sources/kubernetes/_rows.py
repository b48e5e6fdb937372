"""Rows of the table kubernetes_cost, summed by its key."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import ROUND_HALF_EVEN, Decimal, localcontext
from typing import NamedTuple

import pyarrow as pa

from capacity.schemas import KUBERNETES_COST, KUBERNETES_PARTS, MONEY

WORKLOAD, IDLE = "workload", "idle"
_AMOUNTS = (*KUBERNETES_PARTS, "total_cost")
_QUANTUM = Decimal(1).scaleb(-MONEY.scale)


class Key(NamedTuple):
    """The key of a row, without its source."""

    cluster: str
    ts: datetime
    period_end: datetime
    kind: str
    namespace: str = ""
    controller_kind: str = ""
    controller: str = ""
    pod: str = ""


@dataclass
class Amounts:
    """What a workload took, and its labels as JSON."""

    parts: dict[str, Decimal] = field(default_factory=dict)
    labels: str | None = None

    def add(self, parts: Mapping[str, Decimal | None], labels: str | None = None) -> None:
        for name, amount in parts.items():
            if amount is not None:
                self.parts[name] = self.parts.get(name, Decimal(0)) + amount
        self.labels = self.labels or labels


Found = dict[Key, Amounts]


@dataclass
class Rows:
    """Rows of one source."""

    source: str
    replaced: int = 0
    _found: Found = field(default_factory=dict)

    def take(self, found: Found, adding: bool) -> None:
        """Rows of one file: added to what earlier files said of the same key, or in their place."""
        for key, amounts in found.items():
            before = self._found.get(key)
            if before is not None and adding:
                before.add(amounts.parts, amounts.labels)
                continue
            if before is not None and before != amounts:
                self.replaced += 1
            self._found[key] = amounts

    def table(self) -> pa.Table:
        """In the canonical schema, in the order of the key."""
        keys = sorted(self._found)
        columns: dict[str, list[object]] = {"source": [self.source] * len(keys)}
        for i, name in enumerate(Key._fields):
            columns[name] = [key[i] for key in keys]
        columns["labels"] = [self._found[k].labels for k in keys]
        with localcontext(prec=60):
            for name in _AMOUNTS:
                columns[name] = [_rounded(self._found[k].parts.get(name)) for k in keys]
        return pa.table({f.name: pa.array(columns[f.name], f.type) for f in KUBERNETES_COST.schema}).cast(
            KUBERNETES_COST.schema
        )


def _rounded(amount: Decimal | None) -> Decimal | None:
    return None if amount is None else amount.quantize(_QUANTUM, rounding=ROUND_HALF_EVEN)
