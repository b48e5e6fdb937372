"""How usage came in: twice, out of order or late, which the store's findings keep; from the future, which is said."""

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
_SAID = 5
_SERIES = ["source", "account_id", "region", "service", "metric", "stat", "period_seconds"]


def tell(handed: pa.Table, added: pa.Table | None, version: int | None, store: Store, now: datetime) -> tuple[str, ...]:
    """Put what is to be told of each source in the place of what was; late points stay told until there are later ones.

    Parameters
    ----------
    handed
        Usage as the source handed it over.
    added
        Rows of it that a table which was there before did not have.
    version
        The table's version with them.

    Returns
    -------
    What a reader of the ingest should know of it.
    """
    said: list[str] = []
    names = pc.unique(handed["source"]).to_pylist()
    for name in names:
        told = [*arrivals(handed.filter(pc.equal(handed["source"], name)), now)]
        if added is not None and version:
            told += late_points(added.filter(pc.equal(added["source"], name)), _newest(store, name, version - 1))
        said += [f"{f.scope}: {f.message}" for f in told if f.severity != "info"]
        # Points of the future concern this reading only: once they are past they are as any other.
        found = findings_table(f for f in told if f.rule != "future")
        before = store.read("findings", filters=[("source", "=", name), ("frame", "=", FRAME)])
        kept = before.filter(pc.equal(before["rule"], "late"))
        kept = kept.filter(pc.invert(pc.is_in(kept["scope"], _scopes(found))))
        rows = pa.concat_tables([found, kept]) if kept.num_rows else found
        if rows.num_rows or before.num_rows:
            store.replace_rows("findings", rows, {"source": name, "frame": FRAME})
    return tuple(said[:_SAID]) + ((f"{len(said) - _SAID:,} more of the kind",) if len(said) > _SAID else ())


def _scopes(found: pa.Table) -> pa.Array:
    late = found.filter(pc.equal(found["rule"], "late"))
    return late["scope"].combine_chunks() if late.num_rows else pa.array([], FINDINGS.schema.field("scope").type)


def _newest(store: Store, source: str, version: int) -> pa.Table:
    """The newest point of each series of ``source`` at ``version``."""
    rows = store.read("usage", version, [*_SERIES, "ts"], [("source", "=", source)])
    return rows.group_by(_SERIES).aggregate([("ts", "max")]).rename_columns([*_SERIES, "ts"])
