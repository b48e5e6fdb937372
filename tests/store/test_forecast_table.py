"""Promises in the store: the same again is nothing, open ones are replaced whole, old ones stand."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from capacity import store as stores
from capacity.domain import QUANTILE_COLUMNS
from capacity.errors import CorruptDataError, DataError
from capacity.schemas import FORECAST, check_frame, to_arrow
from capacity.store import OPEN_DAYS, Store, keep_forecasts
from tests.store.frames import rows, usage

ORIGIN = datetime(2026, 3, 1, tzinfo=UTC)
AS_OF = ORIGIN + timedelta(days=1, hours=9)


def promise(value: float, service: str = "web", origin: datetime = ORIGIN, days: int = 5) -> pd.DataFrame:
    stamps = [origin + timedelta(days=i + 1) for i in range(days)]
    about = {"service": service, "region": "r", "metric": "m", "target": "peak", "scenario": "base", "model": "x"}
    quantiles = {name: value + i for i, name in enumerate(QUANTILE_COLUMNS)}
    return check_frame("forecast", pd.DataFrame({"ts": stamps}).assign(origin_ts=origin, **about, **quantiles), "test")


def keep(store: Store, *frames: pd.DataFrame, as_of: datetime = AS_OF) -> stores.WriteReport:
    return keep_forecasts(store, to_arrow("forecast", pd.concat(frames)), as_of)


def values(store: Store, service: str = "web") -> list[float]:
    found = store.read("forecast", filters=[("service", "=", service)])
    return [float(v) for v in found["q025"].to_pylist()]


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


def test_the_same_promise_again_makes_no_version(store: Store) -> None:
    first = keep(store, promise(1), promise(2, "api"))
    again = keep(store, promise(2, "api"), promise(1))
    assert (first.version, first.rows_added, again.version, again.changed) == (0, 10, 0, False)


def test_an_open_promise_is_replaced_whole_and_others_are_left(store: Store) -> None:
    keep(store, promise(1), promise(2, "api"))
    report = keep(store, promise(7, days=3))
    assert (report.version, report.rows_changed, report.rows_removed) == (1, 3, 2)
    assert values(store) == [7, 7, 7]
    assert values(store, "api") == [2] * 5


@pytest.mark.parametrize("late", [OPEN_DAYS, OPEN_DAYS + 100])
def test_a_promise_whose_days_come_in_stands(store: Store, late: int) -> None:
    keep(store, promise(1))
    assert not keep(store, promise(7), as_of=ORIGIN + timedelta(days=late)).changed
    assert values(store) == [1] * 5


def test_hindsight_adds_and_never_replaces(store: Store) -> None:
    """Usage of later moments is stored: a plan made again --as-of then knows nothing of them, but its code may."""
    keep(store, promise(1))
    store.write("usage", usage([("a", 24 * 90, 1.0)]))
    report = keep(store, promise(7), promise(3, "api"))
    assert (report.rows_added, report.rows_changed) == (5, 0)
    assert (values(store), values(store, "api")) == ([1] * 5, [3] * 5)


def test_later_origins_are_added_beside(store: Store) -> None:
    for i in range(4):
        origin = ORIGIN + timedelta(days=i)
        keep(store, promise(i, origin=origin), as_of=origin + timedelta(days=1))
    assert store.read("forecast").num_rows == 20
    assert store.versions()["forecast"] == 3


@given(st.lists(st.tuples(st.sampled_from(["web", "api"]), st.integers(0, 2), st.integers(1, 3)), max_size=6))
def test_a_store_holds_the_last_open_promise(
    tmp_path_factory: pytest.TempPathFactory, writes: list[tuple[str, int, int]]
) -> None:
    """Whatever is kept in whatever order on the day it is made, the last of each promise is there, whole."""
    store = Store(tmp_path_factory.mktemp("store"))
    last: dict[tuple[str, int], pd.DataFrame] = {}
    for service, day, days in writes:
        origin = ORIGIN + timedelta(days=day)
        last[service, day] = promise(day + 10 * days, service, origin, days)
        keep(store, last[service, day])
    expected = [rows(to_arrow("forecast", frame)) for frame in last.values()]
    assert rows(store.read("forecast")) == sorted((r for part in expected for r in part), key=repr)


def test_writers_that_meet_keep_all(store: Store) -> None:
    keep(store, promise(0, "s0"))
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda i: keep(store, promise(i, f"s{i}"), promise(i, "shared")), range(1, 9)))
    found = store.read("forecast")
    assert found.num_rows == 50
    assert len(set(values(store, "shared"))) == 1


def test_upkeep_keeps_every_promise(store: Store) -> None:
    for i in range(12):
        origin = ORIGIN + timedelta(days=i)
        keep(store, promise(i, origin=origin), as_of=origin + timedelta(days=1))
    before = store.read("forecast")
    (joined,) = stores.compact(store, lambda *_: None)
    assert (joined.files_before, joined.files_after) == (12, 1)
    stores.vacuum(store, datetime.now(UTC) + timedelta(days=stores.RETENTION_DAYS + 2), lambda *_: None, dry_run=False)
    assert store.read("forecast").equals(before)


def test_crossing_quantiles_and_unknown_targets_are_refused() -> None:
    with pytest.raises(CorruptDataError, match="quantiles never cross"):
        check_frame("forecast", promise(1).assign(q90=0.0), "mine")
    with pytest.raises(CorruptDataError, match="target"):
        check_frame("forecast", promise(1).assign(target="median"), "mine")


def test_contradicting_rows_change_nothing(store: Store) -> None:
    with pytest.raises(CorruptDataError, match="differ"):
        keep_forecasts(store, pa.concat_tables([to_arrow("forecast", promise(v)) for v in (1, 2)]), AS_OF)
    assert store.versions() == {}


def test_a_store_that_cannot_be_written_is_a_data_error(tmp_path: Path) -> None:
    blocked = tmp_path / "store"
    blocked.mkdir()
    (blocked / FORECAST.name).write_text("no folder")
    with pytest.raises(DataError):
        keep(Store(blocked), promise(1))
