"""The store: Delta tables in a folder, merged by key, read as of any version of the last 400 days."""

from capacity.store._ingest import ingest
from capacity.store._reports import IngestReport, MoneyTotal, SourceReport, WriteReport
from capacity.store._store import Store

__all__ = ["IngestReport", "MoneyTotal", "SourceReport", "Store", "WriteReport", "ingest"]
