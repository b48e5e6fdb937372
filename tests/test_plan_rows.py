"""The same rows as by comparing names, of short frames and long ones."""

from __future__ import annotations

import gc
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from capacity import plan_rows
from capacity.plan_rows import LONG_ROWS, rows_of, saving_together
from tests.factory import make_plan


def frame(rows: int, seed: int) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    names, regions = np.array(["a", "b", "", None], dtype=object), np.array(["r1", "r2", ""], dtype=object)
    return pd.DataFrame({"service": rng.choice(names, rows), "region": rng.choice(regions, rows),
                         "value": np.arange(rows)})  # fmt: skip


@given(st.sampled_from([0, 1, 50, LONG_ROWS, LONG_ROWS + 7]), st.integers(0, 99))
def test_rows_are_those_of_the_unit_in_their_order(rows: int, seed: int) -> None:
    made = frame(rows, seed)
    for service in ("a", "", "nowhere"):
        for region in ("r1", "", "r9"):
            plain = made[(made["service"] == service) & (made["region"] == region)]
            for _ in range(2):
                pd.testing.assert_frame_equal(rows_of(made, service, region), plain)


def test_an_index_goes_with_its_frame() -> None:
    before = len(plan_rows._known)
    made = frame(LONG_ROWS, 1)
    rows_of(made, "a", "r1")
    assert len(plan_rows._known) == before + 1
    del made
    gc.collect()
    assert len(plan_rows._known) == before


@pytest.mark.parametrize("kind", ["category", "string"])
def test_names_of_any_kind(kind: str) -> None:
    made = frame(LONG_ROWS, 2).dropna()
    other = made.astype({"service": kind, "region": kind})
    assert list(rows_of(other, "a", "r1")["value"]) == list(rows_of(made, "a", "r1")["value"])


def test_what_purchases_save_together_is_told_where_it_is_known() -> None:
    """Two that stand in for each other save little each, and much together."""
    each = pd.DataFrame({"offer": ["a", "b"], "saving_mean": [10.0, 20.0]})
    sizes = pd.DataFrame({"offer": ["", "", "a"], "size_frac": [0.5, 1.0, 1.0], "saving_mean": [60.0, 100.0, 10.0]})
    bare = replace(make_plan(1), frames={"purchases": each})
    assert saving_together(bare) == (30.0, False)
    assert saving_together(replace(bare, frames={"purchases": each, "purchase_sizes": sizes})) == (100.0, True)
    assert saving_together(replace(bare, frames={})) == (0.0, False)
