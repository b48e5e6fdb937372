"""Frames of the FinOps review, exact sums of them, and the bill of its period by service and by team."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from decimal import Decimal, localcontext
from typing import TYPE_CHECKING, Any

import pandas as pd

from capacity.report._cells import records, text
from capacity.report._table import Column, Table

if TYPE_CHECKING:
    from capacity.pipeline import CostReport

# Sums of decimal128(38, 12) never need more.
_EXACT_DIGITS = 60


def frame_of(found: CostReport, name: str) -> pd.DataFrame:
    """The frame ``name``; an empty one where the review has none."""
    return found.frames.get(name, pd.DataFrame())


def rows_of(found: CostReport, name: str) -> list[dict[Any, Any]]:
    return records(frame_of(found, name))


def summed(amounts: Iterable[Decimal]) -> Decimal:
    """Exactly: Python rounds sums to 28 digits unless told otherwise."""
    with localcontext(prec=_EXACT_DIGITS):
        return sum(amounts, Decimal(0))


# --- the period's bill -------------------------------------------------------------------------------------

KINDS = ("direct", "shared", "unallocated")
NO_TEAM = "(no team)"


def services(found: CostReport) -> Table:
    """The period's effective cost by service: its parts, its share, and what it was before; the total is the bill."""
    return _table(found, "Bill by service", "Service", lambda service: service)


def teams(found: CostReport) -> Table:
    """The same by team: what a showback asks for."""
    return _table(found, "Bill by team", "Team", lambda name: _team(found, name))


def _team(found: CostReport, service: str) -> str:
    return service if service.startswith("(") else found.teams.get(service) or NO_TEAM


def _table(found: CostReport, title: str, head: str, owner: Callable[[str], str]) -> Table:
    months = {m.month for m in found.equation}
    now, before = _by(found, months, owner), _by(found, set(found.months_before), owner)
    whole = {c: summed(p for (cur, _), parts in now.items() if cur == c for p in parts.values()) for c, _ in now}
    cells: list[tuple[Any, ...]] = []
    for (currency, name), parts in now.items():
        total = summed(parts.values())
        was = summed(before[currency, name].values()) if (currency, name) in before else None
        share = float(total / whole[currency]) if whole[currency] else None
        change = summed([total, was.copy_negate()]) if was is not None else None
        cells.append((name, currency, *(parts.get(k, Decimal(0)) for k in KINDS), total, share, was, change))
    cells.sort(key=lambda c: (c[1] != found.currency, c[1], -c[5], c[0]))
    columns = (
        Column(head), Column("Currency"), *(Column(k.capitalize(), "cents") for k in KINDS), Column("Total", "cents"),
        Column("Share", "percent1"), Column("Before", "cents"), Column("Change", "cents"),
    )  # fmt: skip
    total_row = None
    if len(whole) == 1 and len(cells) > 1:
        sums = [summed(c[i] for c in cells if c[i] is not None) for i in (2, 3, 4, 5, 7, 8)]
        total_row = ("total", *whole, *sums[:4], None, *(sums[4:] if before else (None, None)))
    return Table(title, columns, cells, total_row)


def _by(found: CostReport, months: set[str], owner: Callable[[str], str]) -> dict[tuple[str, str], dict[str, Decimal]]:
    """(currency, owner) -> kind -> EffectiveCost of ``months``."""
    frame = frame_of(found, "cost")
    out: dict[tuple[str, str], dict[str, Decimal]] = {}
    for r in records(frame[frame["month"].isin(months)] if len(frame) else frame):
        parts = out.setdefault((text(r["currency"]), owner(text(r["service"]))), {})
        parts[str(r["kind"])] = summed([parts.get(str(r["kind"]), Decimal(0)), r["EffectiveCost"]])
    return out
