"""From counts to rows of the fleet frame: what the store does not say yet.

A snapshot is all rows of one service in one account and region at one moment, and holds until the next one. One is
written where something changed, and else one a day. A service that is gone gets its last rows once more, with count 0.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from capacity.schemas import FLEET, UTC
from capacity.sources.aws._fleet_count import Bounds, Key
from capacity.sources.aws._fleet_history import HOUR, Past

UNKNOWN = Bounds(None, None)


@dataclass(frozen=True, order=True)
class Unit:
    """A service in an account and a region: what a snapshot is of."""

    account_id: str
    region: str
    service: str


@dataclass(frozen=True)
class Last:
    """The newest snapshot that the store holds of a unit."""

    ts: datetime
    counts: Counter[Key]
    bounds: Bounds


@dataclass(frozen=True)
class _Snapshot:
    ts: datetime
    counts: Counter[Key]
    bounds: Bounds


def last_snapshots(stored: pa.Table, now: datetime) -> dict[Unit, Last]:
    """The newest snapshot of each unit at or before ``now``, from rows of the fleet frame."""
    keys = ["account_id", "region", "service"]
    known = stored.filter(pc.less_equal(stored["ts"], pa.scalar(now, UTC)))
    newest = known.group_by(keys).aggregate([("ts", "max")])
    rows = known.join(newest, keys)
    found: dict[Unit, list[dict[str, Any]]] = defaultdict(list)
    for row in rows.filter(pc.equal(rows["ts"], rows["ts_max"])).to_pylist():
        found[Unit(row["account_id"], row["region"], row["service"])].append(row)
    return {unit: _last(own) for unit, own in found.items()}


def _last(rows: list[dict[str, Any]]) -> Last:
    counts = Counter({(r["zone"], r["instance_type"], r["purchase"]): r["count"] for r in rows})
    return Last(rows[0]["ts"], counts, Bounds(rows[0]["min"], rows[0]["max"]))


def unit_rows(
    unit: Unit, counts: Counter[Key], bounds: Bounds, past: Past | None, last: Last | None, now: datetime
) -> list[dict[str, Any]]:
    """Rows of past changes since ``last``, and of what runs ``now`` where that is news."""
    if last is not None and last.ts >= now:
        return []
    before = Counter() if last is None else last.counts
    out: list[dict[str, Any]] = []
    carried = bounds if last is not None and last.bounds == bounds else UNKNOWN
    for snapshot in _past_snapshots(past, last, now, carried):
        if +snapshot.counts != +before:
            out += _rows(unit, snapshot, before)
            before = +snapshot.counts or Counter(dict.fromkeys(before, 0))
    if out or last is None or +counts != +before or last.bounds != bounds or last.ts.date() != now.date():
        out += _rows(unit, _Snapshot(now, counts, bounds), before)
    return out


def _past_snapshots(past: Past | None, last: Last | None, now: datetime, bounds: Bounds) -> Iterator[_Snapshot]:
    """The states after ``last``, the first of them at its next whole hour (or when the past begins to be known)."""
    if past is None:
        return
    first = past.known_from
    if last is not None:
        first = max(first, last.ts.replace(minute=0, second=0, microsecond=0) + HOUR)
    if first >= now:
        return
    at_first = [counts for hour, counts in past.changes if hour <= first]
    if at_first:
        yield _Snapshot(first, at_first[-1], bounds)
    for hour, counts in past.changes:
        if hour > first:
            yield _Snapshot(hour, counts, bounds)


def closing_rows(unit: Unit, last: Last, now: datetime) -> list[dict[str, Any]]:
    """The end of a unit that is not there any more; none where its end is stored already."""
    if last.ts >= now or not +last.counts:
        return []
    return _rows(unit, _Snapshot(now, Counter(), UNKNOWN), last.counts)


def _rows(unit: Unit, snapshot: _Snapshot, before: Mapping[Key, int]) -> list[dict[str, Any]]:
    """One row a zone, type and purchase; where nothing runs, what ran ``before`` with count 0."""
    counts: Mapping[Key, int] = +snapshot.counts or dict.fromkeys(before, 0)
    return [
        {
            "ts": snapshot.ts, "account_id": unit.account_id, "service": unit.service, "region": unit.region,
            "zone": zone, "instance_type": instance_type, "count": count, "min": snapshot.bounds.minimum,
            "max": snapshot.bounds.maximum, "purchase": purchase,
        }
        for (zone, instance_type, purchase), count in sorted(counts.items())
    ]  # fmt: skip


def table(rows: list[dict[str, Any]]) -> pa.Table:
    """``rows`` in the schema of the fleet frame."""
    return pa.Table.from_pylist(rows, schema=FLEET.schema)
