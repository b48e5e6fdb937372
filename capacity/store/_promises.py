"""Forecasts kept as they were promised: scored when their days have come in, never improved upon afterwards.

A promise is all that was said of one metric of one (service, region) from one origin. It is written whole. The same
again changes nothing. Other numbers for the same origin (a new version of the tool, restated data, another config)
replace it while its first day has not come in; after that the first promise stands.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from capacity.schemas import FORECAST
from capacity.sources import key_codes, without_duplicates
from capacity.store import _compact, _delta, _diff, _stream
from capacity.store._place import Place
from capacity.store._reports import WriteReport
from capacity.store._store import Store, _checked

Mask: TypeAlias = npt.NDArray[np.bool_]
# What makes a promise: it is replaced whole or not at all.
PROMISE = ("service", "region", "metric", "scenario", "origin_ts")
# A promise may be replaced on the day it was made. Its first day is the one after the origin, which ends two days after
# the origin's start; a bill's newest two days are not settled, so a spend forecast made today has an origin that is two
# days older still.
OPEN_DAYS = 4
# Every writer of this table carries this mark, so that two of them never commit on the same version.
_MARK = "capacity:forecast"


def keep_forecasts(store: Store, table: pa.Table, as_of: datetime) -> WriteReport:
    """Add the promises of ``table`` (schema of table ``forecast``) that are new, replace those that are still open.

    Parameters
    ----------
    as_of
        The moment the forecasts were made for. Where usage of later moments is stored already, the promises were made
        in hindsight: they are added where there is none, and replace nothing.

    Returns
    -------
    WriteReport
        ``version`` is the one before where nothing changed. ``rows_changed`` counts the rows of replaced promises.

    Raises
    ------
    CorruptDataError
        Not the canonical schema, or two rows of one key that differ.
    DataError
        The store cannot be written, or other writers were first, again and again.
    """
    rows, _ = without_duplicates(_checked(FORECAST, table), FORECAST.key, "rows for forecast")
    rows = _diff.in_key_order(FORECAST, rows)
    where = store.place / FORECAST.name
    newest = _newest_usage(store)
    hindsight = newest is not None and newest >= as_of
    return _delta.with_retries(lambda: _keep(where, rows, None if hindsight else as_of), where)


def _newest_usage(store: Store) -> datetime | None:
    """By the files' statistics; nothing is read."""
    found = _delta.open_table(store.place / "usage")
    if found is None:
        return None
    newest = [f.last["ts"] for f in _compact.data_files(found) if "ts" in f.last]
    moment: datetime | None = max(newest, default=None)
    return moment if moment is None or moment.tzinfo else moment.replace(tzinfo=UTC)


def _keep(where: Place, rows: pa.Table, as_of: datetime | None) -> WriteReport:
    found = _delta.open_table(where)
    if not rows.num_rows:
        return WriteReport(FORECAST.name, None if found is None else found.version(), 0)
    if found is None:
        _delta.create(where, rows)
        return WriteReport(FORECAST.name, 0, rows.num_rows, rows_added=rows.num_rows)
    origins = pc.unique(rows["origin_ts"]).to_pylist()
    stored = _diff.in_key_order(FORECAST, _delta.read(found, FORECAST.name, None, _of(origins)))
    is_fresh, replaces, is_replaced = _meet(rows, stored, as_of)
    fresh, again = (rows.filter(pa.array(mask)) for mask in (is_fresh, replaces))
    if again.num_rows:
        whole = pa.concat_tables([stored.filter(pa.array(~is_replaced)), again, fresh])
        _overwrite(found, _diff.in_key_order(FORECAST, whole), origins)
    elif fresh.num_rows:
        _delta.append(found, fresh, [FORECAST.name])
    return WriteReport(
        FORECAST.name,
        found.version(),
        rows.num_rows,
        rows_added=fresh.num_rows,
        rows_changed=again.num_rows,
        rows_removed=max(0, int(is_replaced.sum()) - again.num_rows),
    )


def _of(origins: list[datetime]) -> pc.Expression:
    """An equality an origin, which skips files by their statistics; between two origins may lie a month of others."""
    kind = FORECAST.schema.field("origin_ts").type
    out = pc.field("origin_ts") == pa.scalar(origins[0], kind)
    for one in origins[1:]:
        out = out | (pc.field("origin_ts") == pa.scalar(one, kind))
    return out


def _meet(rows: pa.Table, stored: pa.Table, as_of: datetime | None) -> tuple[Mask, Mask, Mask]:
    """Rows of promises that are new, rows that replace a stored promise, and stored rows that are replaced."""
    here = _diff.difference(FORECAST, rows, stored)
    unlike = [here.added, here.changed, _diff.difference(FORECAST, stored, rows).added]
    new, old, *codes = key_codes([rows, stored, *unlike], PROMISE)
    is_fresh = ~np.isin(new, old)
    if as_of is None:
        return is_fresh, np.zeros(len(new), bool), np.zeros(len(old), bool)
    still_open = pa.scalar(as_of - timedelta(days=OPEN_DAYS), FORECAST.schema.field("origin_ts").type)
    is_open = pc.greater(rows["origin_ts"], still_open).to_numpy()
    replaces = ~is_fresh & is_open & np.isin(new, np.concatenate(codes))
    return is_fresh, replaces, np.isin(old, new[replaces])


def _overwrite(found: Any, rows: pa.Table, origins: list[datetime]) -> None:
    wanted = ", ".join(_delta.sql_text(one.isoformat()) for one in origins)
    _stream.overwrite(found, FORECAST.name, iter(rows.to_batches()), f'"origin_ts" IN ({wanted})', {_MARK: 0})
