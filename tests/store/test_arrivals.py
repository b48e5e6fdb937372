"""How usage came in is told by the store's findings: late, twice, out of order; the same again changes nothing."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import ClassVar

import pyarrow as pa

from capacity.sources import Batch, SourceInfo
from capacity.store import Store, ingest
from tests.store.frames import usage

NOW_HOURS = 200


class Handing:
    """A source that hands over the given points, a batch a list."""

    info: ClassVar[SourceInfo] = SourceInfo("handing", "points", ("usage",), (), "nothing", "none")

    def __init__(self, name: str, *batches: pa.Table) -> None:
        self.name = name
        self._batches = batches

    def batches(self, since: datetime | None, now: datetime) -> Iterator[Batch]:
        for i, table in enumerate(self._batches):
            yield Batch("usage", table, f"batch {i}")


def told(store: Store) -> dict[str, int]:
    found = store.read("findings")
    return dict(zip(found["rule"].to_pylist(), found["rows"].to_pylist(), strict=True))


def test_late_points_are_told_once_and_stay_told(tmp_path: Path) -> None:
    store = Store(tmp_path)
    first, late = usage([("a", h, h) for h in (0, 1, 5, 6)]), usage([("a", h, h) for h in (2, 3, 7)])
    name = first["source"][0].as_py()
    now = first["ts"][0].as_py() + timedelta(hours=NOW_HOURS)
    assert not ingest([Handing(name, first)], store, now).failed
    assert told(store) == {}
    assert not ingest([Handing(name, late)], store, now).failed
    assert told(store) == {"late": 2}
    versions = store.versions()
    assert not ingest([Handing(name, late)], store, now).failed
    assert (told(store), store.versions()) == ({"late": 2}, versions)


def test_duplicates_and_order_are_told_and_gone_when_mended_the_future_is_only_said(tmp_path: Path) -> None:
    store = Store(tmp_path)
    rows = usage([("a", h, h) for h in (0, 2, 1)])
    name = rows["source"][0].as_py()
    now = rows["ts"][0].as_py() + timedelta(hours=NOW_HOURS)
    ahead = usage([("a", NOW_HOURS + 9, 1)])
    report = ingest([Handing(name, rows, usage([("a", 1, 1)]), ahead)], store, now)
    assert told(store) == {"duplicates": 1, "out_of_order": 1}
    assert any("1 points lie after the moment of reading" in note for note in report.sources[0].notes)
    ingest([Handing(name, usage([("a", 3, 3)]))], store, now)
    assert set(told(store)) == {"late"}  # hour 3 came after the point of the future was stored
