"""Cost to serve of a month: the exact equation, services, unit costs and the bridge from an earlier month."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import pandas as pd

from capacity import costs
from capacity.config import Config
from capacity.errors import MissingDataError, UsageError
from capacity.pipeline import money
from capacity.pipeline.freshness import refuse_stale_of
from capacity.pipeline.inputs import Inputs, read_inputs
from capacity.pipeline.planning import versions_at
from capacity.pipeline.progress import Progress, silent
from capacity.pipeline.quality import billed_twice
from capacity.plan import CostMonth, Freshness
from capacity.store import Store


@dataclass(frozen=True)
class Table:
    """A table for people; columns from ``first_number`` on are aligned right."""

    title: str
    columns: tuple[str, ...]
    rows: list[tuple[str, ...]]
    first_number: int


@dataclass(frozen=True)
class CostReport:
    """Cost to serve of a month and the bridge to it: sentences, tables for people, records for machines."""

    month: str
    sentences: tuple[str, ...]
    tables: tuple[Table, ...]
    records: Mapping[str, Any]

    def document(self) -> dict[str, Any]:
        return {"month": self.month, **self.records}


def cost_to_serve(
    config: Config,
    from_store: Store,
    *,
    as_of: datetime,
    first: str | None = None,
    last: str | None = None,
    progress: Progress = silent,
) -> CostReport:
    """Cost by service of month ``last`` (the newest closed one), and the bridge from ``first`` (the one before).

    Raises
    ------
    MissingDataError
        The store has no bill, or not of these months.
    StaleDataError
        No month is named and the newest bill is too old to be the newest month's.
    """
    progress("cost to serve", 0, 1)
    inputs = read_inputs(config, from_store, as_of, versions_at(from_store, as_of))
    if last is None:
        mend = f"Run `capacity ingest -c {config.path}`, or name a month with --to"
        refuse_stale_of("cost", inputs.freshness, "the newest month's cost to serve", mend)
    served = money.cost_to_serve(inputs)
    if served.attribution is None or served.allocation is None or served.newest is None:
        raise MissingDataError(
            f"{config.path}: the store has no closed bill; name a bill under 'sources' and ingest it"
        )
    month = _month(last, served.months, "--to") if last else served.newest
    earlier = [m for m in served.months if m < month]
    start = _month(first, served.months, "--from") if first else (earlier[-1] if earlier else None)
    found = _bridge(inputs, served, start, month) if start else None
    stale = tuple(f for f in inputs.freshness if f.frame == "cost" and f.stale)
    twice = tuple(f.message for f in billed_twice(inputs.cost))
    return _report(served, month, start, found, stale, twice)


def _month(asked: str, known: tuple[str, ...], option: str) -> str:
    if asked not in known:
        raise UsageError(f"{option}: found '{asked}'; allowed: a closed month of the bill: {', '.join(known)}")
    return asked


def _bridge(inputs: Inputs, served: money.Money, first: str, last: str) -> costs.Bridge:
    units = money.driver_units(inputs)

    def of(month: str) -> dict[str, float]:
        rows = units[units["month"] == month]
        return dict(zip(rows["service"].astype(str), rows["units"].astype(float), strict=True))

    assert served.attribution is not None  # noqa: S101 - the caller has looked
    return costs.bridge(served.attribution, served.attribution, (first, last), of(first), of(last))


def _report(
    served: money.Money,
    month: str,
    first: str | None,
    found: costs.Bridge | None,
    stale: tuple[Freshness, ...],
    twice: tuple[str, ...],
) -> CostReport:
    assert served.allocation is not None  # noqa: S101 - the caller has looked
    assert served.attribution is not None  # noqa: S101
    frame = served.allocation.frame[served.allocation.frame["month"] == month]
    units = served.unit_cost[served.unit_cost["month"] == month]
    equation = [m for m in money.cost_months(served) if m.month == month]
    tables = [
        Table(
            f"Cost to serve, {month}",
            ("service", "currency", "direct", "shared", "unallocated", "total"),
            _by_service(frame),
            2,
        ),
        Table(
            f"Cost per 1,000, {month}", ("service", "cost", "units", "per 1,000", "marginal", "note"), _units(units), 1
        ),
    ]
    records: dict[str, Any] = {
        "equation": equation,
        "unit_cost": units.to_dict("records"),
        "allocation": frame.to_dict("records"),
        "rules": served.attribution.rule_hits.to_dict("records"),
        "unallocated": served.attribution.unallocated.to_dict("records"),
        "stale": stale,
        "billed_twice": twice,
    }
    if found is not None:
        rows = found.by_service()
        tables.append(_bridge_table(rows, f"Bridge, {first} to {month}"))
        records["bridge"] = rows.to_dict("records")
    sentences = (*(_equation(m) for m in equation), *(_stale(f) for f in stale), *(f"TWICE: {text}" for text in twice))
    return CostReport(month, sentences, tuple(tables), records)


def _stale(f: Freshness) -> str:
    ends = f"ends on {f.last_point:%Y-%m-%d}" if f.last_point else "has no usage"
    return f"STALE: the bill of {f.source} {ends}; what it has not delivered since is missing here"


def _equation(m: CostMonth) -> str:
    parts = f"direct {m.direct} + shared {m.shared} + unallocated {m.unallocated}"
    return f"{m.month}: bill {m.effective} {m.currency} = {parts}"


def _bridge_table(rows: pd.DataFrame, title: str) -> Table:
    amounts = ("start", *costs.TERMS, "end")
    lines = [(str(r["name"]), *(f"{r[c]:,.0f}" for c in amounts)) for r in rows.to_dict("records")]
    return Table(title, ("service", *(t.replace("_", " ") for t in amounts)), lines, 1)


def _units(units: pd.DataFrame) -> list[tuple[str, ...]]:
    return [
        (
            str(r["service"]),
            f"{r['effective_cost']:,.2f}",
            f"{float(r['units']):,.0f}",
            _five(r["usd_per_1000"]),
            _five(r["marginal_per_1000"]),
            str(r["flags"]),
        )
        for r in units.to_dict("records")
    ]


def _by_service(frame: pd.DataFrame) -> list[tuple[str, ...]]:
    out: list[tuple[str, ...]] = []
    for (currency, service), rows in frame.groupby(["currency", "service"], sort=True):
        parts = [sum(rows.loc[rows["kind"] == kind, "EffectiveCost"]) for kind in ("direct", "shared", "unallocated")]
        out.append((str(service), str(currency), *(f"{x:,.2f}" for x in (*parts, sum(parts)))))
    return out


def _five(value: object) -> str:
    return "–" if value is None or value != value else f"{value:,.5f}"
