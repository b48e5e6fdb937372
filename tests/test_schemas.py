"""Frames that enter from Python: checked, told what is wrong, and the same after the store."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

import capacity
from capacity.errors import CorruptDataError
from capacity.schemas import TABLES
from capacity.store import Store
from tests import company


def usage(rows: int = 5) -> pd.DataFrame:
    frame = company.usage_frame().head(rows)
    return frame.assign(ts=pd.to_datetime(frame["ts"], utc=True))


def test_a_good_frame_goes_into_the_store_and_comes_back(tmp_path: Path) -> None:
    checked = capacity.check_frame("usage", usage(), "mine")
    store = Store(tmp_path)
    store.write("usage", capacity.to_arrow("usage", checked))
    again = store.read("usage").to_pandas()
    pd.testing.assert_frame_equal(again[checked.columns], checked, check_dtype=False)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"stat": "mean"}, "stat"),
        ({"value": "many"}, "value"),
        ({"period_seconds": 0}, "period_seconds"),
        ({"service": None}, "service"),
        ({"ts": pd.Timestamp("2026-01-01", tz="UTC")}, "multiple_fields_uniqueness"),
    ],
)
def test_what_is_wrong_is_named_with_where(change: dict[str, object], says: str) -> None:
    with pytest.raises(CorruptDataError) as error:
        capacity.check_frame("usage", usage().assign(**change), "mine")
    assert str(error.value).startswith("mine: not a valid usage frame")
    assert says in str(error.value)


def test_missing_columns_are_named() -> None:
    with pytest.raises(CorruptDataError, match="mine: columns missing for usage: stat, unit"):
        capacity.check_frame("usage", usage().drop(columns=["stat", "unit"]), "mine")


def test_every_table_has_an_empty_frame_of_its_columns() -> None:
    for table in TABLES.values():
        assert tuple(table.empty().columns) == table.columns
        assert set(table.key) <= set(table.columns)
