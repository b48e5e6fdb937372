"""The store: Delta tables in a folder, merged by key, read as of any version of the last 400 days."""

from capacity.store._compact import Compaction
from capacity.store._ingest import ingest
from capacity.store._log import RETENTION_DAYS
from capacity.store._maintenance import TableState, Vacuum, compact, describe, vacuum
from capacity.store._promises import OPEN_DAYS, keep_forecasts
from capacity.store._query import daily_cost
from capacity.store._reports import IngestReport, MoneyCheck, MoneyTotal, SourceReport, WriteReport
from capacity.store._store import Store

__all__ = [
    "OPEN_DAYS",
    "RETENTION_DAYS",
    "Compaction",
    "IngestReport",
    "MoneyCheck",
    "MoneyTotal",
    "SourceReport",
    "Store",
    "TableState",
    "Vacuum",
    "WriteReport",
    "compact",
    "daily_cost",
    "describe",
    "ingest",
    "keep_forecasts",
    "vacuum",
]
