"""What ``capacity store`` prints."""

from __future__ import annotations

from capacity.cli._print import line, table
from capacity.pipeline import StoreDescription
from capacity.store import RETENTION_DAYS
from capacity.words import quantity


def store(document: StoreDescription) -> None:
    """Tables of the store, and what was done to them."""
    line(f"store at {document.root}")
    for done in document.compacted:
        verb = "would become" if document.dry_run else "became"
        if done.files_after != done.files_before:
            line(f"compact {done.table}: {done.files_before:,} files {verb} {done.files_after:,}")
    if document.compacted and all(d.files_after == d.files_before for d in document.compacted):
        line("compact: no small files to join")
    for gone in document.vacuumed:
        count = len(gone.expired) + len(gone.leftovers)
        if count:
            verb = "would remove" if document.dry_run else "removed"
            line(
                f"vacuum {gone.table}: {verb} {count:,} files, {quantity(gone.bytes, 'By')}: {len(gone.expired):,} "
                f"dropped more than {RETENTION_DAYS} days ago, {len(gone.leftovers):,} that no commit names"
            )
    if document.vacuumed and not any(v.expired or v.leftovers for v in document.vacuumed):
        line(f"vacuum: every file is needed by a version of the last {RETENTION_DAYS} days")
    _tables(document)


def _tables(document: StoreDescription) -> None:
    if not document.tables:
        line("no table yet; run capacity ingest")
        return
    table(
        f"Tables; every version is kept for {RETENTION_DAYS} days",
        ("table", "version", "rows", "files", "size", "in all", "readable from", "newest point"),
        [
            (t.name, t.version, f"{t.rows:,}", f"{t.files:,}", quantity(t.bytes, "By"), quantity(t.bytes_in_all, "By"),
             f"{t.oldest_version}" + (f" ({t.oldest_at:%Y-%m-%d})" if t.oldest_at else ""),
             f"{t.newest:%Y-%m-%d %H:%M}" if t.newest else "–")
            for t in document.tables
        ],
        right=(1, 2, 3, 4, 5),
    )  # fmt: skip
