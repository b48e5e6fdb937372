"""How usage came in, kept in the store's ``findings``: twice, out of order, from the future, late."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from capacity.quality import arrivals, findings_table, late_points
from capacity.schemas import FINDINGS

if TYPE_CHECKING:
    from capacity.store._store import Store

FRAME = "usage"
_SERIES = ["source", "account_id", "region", "service", "metric", "stat", "period_seconds"]


def tell(handed: pa.Table, added: pa.Table | None, version: int | None, store: Store, now: datetime) -> None:
    """Put what is to be told of each source in the place of what was; late points stay told until there are later ones.

    Parameters
    ----------
    handed
        Usage as the source handed it over.
    added
        Rows of it that a table which was there before did not have.
    version
        The table's version with them.
    """
    names = pc.unique(handed["source"]).to_pylist()
    for name in names:
        told = [*arrivals(handed.filter(pc.equal(handed["source"], name)), now)]
        if added is not None and version:
            told += late_points(added.filter(pc.equal(added["source"], name)), _newest(store, name, version - 1))
        found = findings_table(told)
        kept = _late_before(store, name)
        kept = kept.filter(pc.invert(pc.is_in(kept["scope"], _scopes(found))))
        rows = pa.concat_tables([found, kept]) if kept.num_rows else found
        if rows.num_rows or _anything(store, name):
            store.replace_rows("findings", rows, {"source": name, "frame": FRAME})


def _scopes(found: pa.Table) -> pa.Array:
    late = found.filter(pc.equal(found["rule"], "late"))
    return late["scope"].combine_chunks() if late.num_rows else pa.array([], FINDINGS.schema.field("scope").type)


def _late_before(store: Store, source: str) -> pa.Table:
    return store.read("findings", filters=[("source", "=", source), ("frame", "=", FRAME), ("rule", "=", "late")])


def _anything(store: Store, source: str) -> bool:
    rows = store.read("findings", columns=["source"], filters=[("source", "=", source), ("frame", "=", FRAME)])
    return bool(rows.num_rows)


def _newest(store: Store, source: str, version: int) -> pa.Table:
    """The newest point of each series of ``source`` at ``version``."""
    rows = store.read("usage", version, [*_SERIES, "ts"], [("source", "=", source)])
    return rows.group_by(_SERIES).aggregate([("ts", "max")]).rename_columns([*_SERIES, "ts"])
