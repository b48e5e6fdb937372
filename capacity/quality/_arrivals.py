"""How usage came in: twice, out of order, late, or from the future."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from capacity.quality._finding import DataFinding, by_severity
from capacity.quality._usage import MICROS, SERIES, Ints, scope_of, series_codes, stamp

Mask = npt.NDArray[np.bool_]
# A series as sources know it: (service, metric, stat, period).
ArrivalKey = tuple[str, str, str, int]


def arrivals(usage: pa.Table, now: datetime) -> tuple[DataFinding, ...]:
    """Duplicates, points out of order and points from the future among rows as they were handed over.

    Parameters
    ----------
    usage
        Rows of one source in the order in which they came, in the canonical schema; keys may repeat.
    now
        The moment up to which was read.
    """
    codes = series_codes(usage)
    ts: Ints = usage["ts"].cast(pa.int64()).to_numpy()
    order = np.argsort(codes, kind="stable")
    found: list[DataFinding] = []
    for first, end in pairwise(np.flatnonzero(np.diff(codes[order], prepend=-1, append=-1)).tolist()):
        found += _arrived(usage, order[first:end], ts, now)
    return tuple(by_severity(found))


def _arrived(usage: pa.Table, rows: Ints, ts: Ints, now: datetime) -> Iterator[DataFinding]:
    key = {name: usage[name][int(rows[0])].as_py() for name in SERIES}
    scope = scope_of(key)
    mine = ts[rows]

    def finding(rule: str, severity: str, mask: Mask, message: str) -> Iterator[DataFinding]:
        if mask.any():
            first = int(np.flatnonzero(mask)[0])
            example = f"{stamp(mine[first])}: {usage['value'][int(rows[first])].as_py():.6g}"
            text = message.replace("{n}", f"{int(mask.sum()):,}")
            yield DataFinding(
                key["source"], "usage", scope, rule, severity, int(mask.sum()), len(rows), text, "ts", example
            )

    seen = np.ones(len(mine), bool)
    seen[np.unique(mine, return_index=True)[1]] = False
    yield from finding("duplicates", "info", seen, "{n} points came more than once; each counts once")
    back = np.r_[False, np.diff(mine) < 0]
    yield from finding("out_of_order", "info", back, "{n} points came after a later one; they were put in order")
    ahead = mine > int(now.timestamp() * MICROS)
    yield from finding("future", "error", ahead, "{n} points lie after the moment of reading; check the clock or zone")


def late_points(added: pa.Table, known: Mapping[ArrivalKey, datetime]) -> tuple[DataFinding, ...]:
    """Points that the store did not have, older than the newest point it had of their series.

    Parameters
    ----------
    added
        The rows of one source that were new to the store.
    known
        The newest point of each (service, metric, stat, period) before.
    """
    found = []
    keys = ["service", "metric", "stat", "period_seconds"]
    for group in added.select(keys).group_by(keys).aggregate([]).to_pylist():
        key = tuple(group[k] for k in keys)
        newest = known.get(key)
        if newest is None:
            continue
        mask = pc.less(added["ts"], pa.scalar(newest, added.schema.field("ts").type))
        for name in keys:
            mask = pc.and_(mask, pc.equal(added[name], group[name]))
        late = added.filter(mask)
        if late.num_rows:
            oldest = pc.min(late["ts"]).as_py()
            hours = (newest - oldest).total_seconds() / 3600
            scope = f"{key[0]} {key[1]} {key[2]} @{key[3]}s"
            found.append(
                DataFinding(
                    added["source"][0].as_py(), "usage", scope, "late", "info", late.num_rows, added.num_rows,
                    f"{late.num_rows:,} points came late, the latest {hours:,.1f} hours after its time; read again at "
                    "least that far back (overlap_hours)", "ts", stamp(int(oldest.timestamp() * MICROS)),
                )
            )  # fmt: skip
    return tuple(by_severity(found))
