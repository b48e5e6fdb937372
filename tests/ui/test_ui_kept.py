"""What is kept for every reader: equal questions once, others never taken for them; and rows of words as HTML."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Iterator
from typing import Any

import altair as alt
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from streamlit.testing.v1 import AppTest

from capacity.ui import _data
from capacity.ui import _drawn as drawn
from capacity.ui import _kept as kept
from tests.ui import written

CALLS: list[Any] = []


@pytest.fixture(autouse=True)
def calls() -> Iterator[list[Any]]:
    CALLS.clear()
    yield CALLS
    CALLS.clear()


def doubled(value: Any, times: int = 2) -> Any:
    CALLS.append(value)
    return value * times


def bars(frame: pd.DataFrame, colour: str) -> alt.Chart:
    CALLS.append(colour)
    return alt.Chart(frame).mark_bar(color=colour).encode(x="name:N", y="amount:Q")


def test_an_equal_question_is_answered_once() -> None:
    frame = pd.DataFrame({"a": [1.5, 2.5], "b": ["x", "y"]})
    first, again = kept.result(doubled, frame, times=3), kept.result(doubled, frame.copy(), times=3)
    assert first is again
    assert len(CALLS) == 1


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text() | st.dates() | st.decimals(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(VALUES, VALUES)
def test_only_equal_values_share_a_digest(one: Any, other: Any) -> None:
    """Repr tells 1 from True and from 1.0, which are equal to Python and may be drawn otherwise."""
    same = kept.digest(doubled, (one,), {}) == kept.digest(doubled, (other,), {})
    assert not same or repr(one) == repr(other)


def test_another_value_in_a_cell_is_another_chart() -> None:
    frame = pd.DataFrame({"name": ["a", "b"], "amount": [1.0, 2.0]})
    first = drawn.spec(bars, frame, "#000000")
    frame.loc[1, "amount"] = 3.0
    other = drawn.spec(bars, frame, "#000000")
    assert CALLS == ["#000000"] * 2
    assert _rows(first) == [1.0, 2.0]
    assert _rows(other) == [1.0, 3.0]


def test_who_takes_the_data_out_takes_it_from_nobody_else() -> None:
    frame = pd.DataFrame({"name": ["a"], "amount": [7.0]})
    drawn.spec(bars, frame, "#111111")["datasets"].clear()
    assert _rows(drawn.spec(bars, frame, "#111111")) == [7.0]
    assert CALLS == ["#111111"]


def _rows(spec: dict[str, Any]) -> list[float]:
    table = spec["datasets"][spec["data"]["name"]]
    assert isinstance(table, pa.Table)
    amounts: list[float] = table.column("amount").to_pylist()
    return amounts


def test_what_stays_is_left_out_of_the_search_for_garbage_and_what_goes_is_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Ring:
        def __init__(self) -> None:
            self.itself = self

    monkeypatch.setattr(_data, "_settled", (0, 0))
    gone = weakref.ref(Ring())
    gc.disable()  # it runs where it likes otherwise
    try:
        _data.settle()
        assert gc.get_freeze_count() > 10_000
        kept_back = Ring()
        later = weakref.ref(kept_back)
        del kept_back
        _data.settle()  # nothing new: it does not search again
        assert later() is not None
        gc.collect()
        assert later() is None
        assert gone() is None
    finally:
        gc.enable()
        gc.unfreeze()


def _page(text: str) -> None:
    from capacity.ui import _rows as told

    told.facts([(text, text)])
    told.named([(text, text)])
    told.marked([told.Marked("Act", "red", text, "$5")], dark=False)


@pytest.mark.parametrize("text", ["<img src=x onerror=alert(1)>", "a & b \"c\" 'd'", "**bold** :red[x]", "x" * 80])
def test_rows_of_words_show_text_as_it_is(text: str) -> None:
    app = AppTest.from_function(_page, args=(text,)).run()
    assert not app.exception
    assert written.rows(app) == [text] * 4 + ["Act", text, "$5"]
    assert not any("<img" in piece.proto.body for piece in app.get("html"))
