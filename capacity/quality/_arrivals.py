"""How usage came in: twice, out of order, late, or from the future."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from capacity.quality._finding import DataFinding, by_severity
from capacity.quality._usage import MICROS, SERIES, Ints, moment, scope_of, series_codes, stamp

Mask = npt.NDArray[np.bool_]


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
            newest = moment(mine[mask].max())
            yield DataFinding(
                key["source"], "usage", scope, rule, severity, int(mask.sum()), len(rows), text, "ts", example, newest
            )

    seen = np.ones(len(mine), bool)
    seen[np.unique(mine, return_index=True)[1]] = False
    yield from finding("duplicates", "info", seen, "{n} points came more than once; each counts once")
    back = np.r_[False, np.diff(mine) < 0]
    yield from finding("out_of_order", "info", back, "{n} points came after a later one; they were put in order")
    ahead = mine > int(now.timestamp() * MICROS)
    yield from finding(
        "future", "warning", ahead, "{n} points lie after the moment of reading; check the clock or zone"
    )


def late_points(added: pa.Table, newest: pa.Table) -> tuple[DataFinding, ...]:
    """Points that the store did not have, older than the newest point it had of their series.

    Parameters
    ----------
    added
        The rows of one source that were new to the store, in the canonical schema.
    newest
        The columns of :data:`SERIES` and ``ts``: the newest point of each series of that source before.
    """
    before = {tuple(row[k] for k in SERIES): row["ts"] for row in newest.to_pylist()}
    codes = series_codes(added)
    ts: Ints = added["ts"].cast(pa.int64()).to_numpy()
    order = np.argsort(codes, kind="stable")
    found = []
    for first, end in pairwise(np.flatnonzero(np.diff(codes[order], prepend=-1, append=-1)).tolist()):
        key = {name: added[name][int(order[first])].as_py() for name in SERIES}
        last = before.get(tuple(key[k] for k in SERIES))
        mine = ts[order[first:end]]
        limit = 0 if last is None else int(last.timestamp() * MICROS)
        late = mine[mine < limit]
        if len(late):
            found.append(_late(key, late, len(mine), limit))
    return tuple(by_severity(found))


def _late(key: Mapping[str, object], late: Ints, of: int, limit: int) -> DataFinding:
    oldest = int(late.min())
    hours = (limit - oldest) / MICROS / 3600
    text = (
        f"{len(late):,} points came after later ones were stored, up to {hours:,.1f} hours late; what is read again "
        "must reach back at least that far (overlap_hours)"
    )
    return DataFinding(
        str(key["source"]),
        "usage",
        scope_of(key),
        "late",
        "info",
        len(late),
        of,
        text,
        "ts",
        stamp(oldest),
        moment(late.max()),
    )
