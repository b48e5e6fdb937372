"""Frames of money on a page: one currency at a time, the most money first, told as the report tells them."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from decimal import Decimal, localcontext
from typing import Any

import pandas as pd
import streamlit as st

from capacity.plan import Plan
from capacity.report.frame_tables import frame_table, heading
from capacity.ui import _format as fmt
from capacity.ui import _shown as shown
from capacity.ui import _widgets as ui
from capacity.words import unique

# Sums of a bill keep their twelve decimals however many rows they have.
_EXACT_DIGITS = 60
# More rows than these are not read from a screen; the workbook has all of them.
MOST_ROWS = 500
Draw = Callable[[], None]
# Streamlit writes what is chosen in the primary colour, whose contrast on the dark ground is 3.5: the page's own ink
# has more, and weight and the line below say which it is.
_READABLE = """<style>
[data-testid="stTab"][aria-selected="true"], [role="tab"][aria-selected="true"] {color: inherit !important;}
[data-testid="stTab"][aria-selected="true"] p, [role="tab"][aria-selected="true"] p {font-weight: 600;}
</style>"""


def tabs(key: str, views: Mapping[str, Draw]) -> None:
    """One view at a time under its tab: the others are not drawn. The address keeps which is open."""
    st.html(_READABLE)
    found = st.tabs(list(views), key=key, on_change="rerun", bind="query-params")
    for tab, draw in zip(found, views.values(), strict=True):
        if tab.open:
            with tab:
                draw()


def choice(label: str, options: Iterable[str], key: str, help_text: str | None = None, width: int | None = None) -> str:
    """One of ``options``, which are names of data: a list to choose from where there are several.

    Returns
    -------
    str
        The option itself, not what the list calls it; "" where there is none.
    """
    known = list(options)
    if len(known) < 2:
        return known[0] if known else ""
    # Cut names may meet: each gets a name of its own.
    called = dict(zip(unique([fmt.visible(o) or fmt.NONE for o in known]), known, strict=True))
    chosen = st.selectbox(label, list(called), key=key, bind="query-params", help=help_text, width=width or "stretch")
    return called.get(chosen or "", known[0])


def currency(plan: Plan, frame: pd.DataFrame, key: str) -> str:
    """The currency that a view is of: currencies are never added. Asked for only where there are several."""
    found = sorted({str(c) for c in frame["currency"]}, key=lambda c: (c != plan.currency, c))
    return choice("Currency", found, key) or plan.currency


def only(frame: pd.DataFrame, **equal: object) -> pd.DataFrame:
    """Rows whose columns have these values."""
    for column, value in equal.items():
        frame = frame[frame[column] == value]
    return frame


def newest(frame: pd.DataFrame, column: str = "month") -> str:
    """The last month (YYYY-MM) of a frame; "" of an empty one."""
    return max((str(m) for m in frame[column]), default="")


def number(value: object) -> float | None:
    """A number of a frame's cell; None where it holds none."""
    if value is None or bool(pd.isna(value)):  # type: ignore[call-overload]
        return None
    found = float(value)  # type: ignore[arg-type]
    return found if math.isfinite(found) else None


def text(value: object) -> str:
    """A text of a frame's cell, lists of them joined; "" where it holds none."""
    if isinstance(value, list | tuple) or hasattr(value, "tolist"):
        return "; ".join(fmt.visible(str(x)) for x in value)  # type: ignore[attr-defined]
    return "" if value is None or bool(pd.isna(value)) else fmt.visible(str(value))  # type: ignore[call-overload]


def total(amounts: Iterable[object]) -> Decimal:
    """Exactly; cells without an amount count as nothing."""
    with localcontext(prec=_EXACT_DIGITS):
        known = (a if isinstance(a, Decimal) else Decimal(str(a)) for a in amounts if number(a) is not None)
        return sum(known, Decimal(0))


def dearest(frame: pd.DataFrame, column: str, either_way: bool = False) -> pd.DataFrame:
    """``frame`` with the most money first; by size alone where ``either_way``."""
    sizes = pd.Series([number(v) for v in frame[column]], index=frame.index, dtype=float)
    order = (sizes.abs() if either_way else sizes).sort_values(ascending=False, kind="stable", na_position="last")
    return frame.loc[order.index]


def table(
    frame: pd.DataFrame,
    columns: Mapping[str, str],
    alt: str,
    nothing: str,
    widths: Mapping[str, int] | None = None,
    most_rows: int = 8,
    lines: int = 1,
    instead: Mapping[str, Any] | None = None,
) -> None:
    """Columns of a frame under these headings, each told by its kind, in the frame's order.

    Parameters
    ----------
    columns
        Column -> heading; "" leaves the report's own heading.
    instead
        Heading -> column format of numbers, in place of that of its kind.
    """
    made = frame_table(alt, frame[list(columns)].head(MOST_ROWS))
    heads = [head or heading(column) for column, head in columns.items()]
    made = replace(made, columns=tuple(replace(c, head=h) for c, h in zip(made.columns, heads, strict=True)))
    drawn = shown.frame_of(made)
    for i, head in enumerate(heads):
        if head in (instead or {}):  # what has a format of its own keeps its digits, and is sorted as a number
            drawn[head] = pd.Series([number(row[i]) for row in made.rows], dtype=float)
    formats = {**shown.columns(made, widths or {}), **(instead or {})}
    ui.table(drawn, alt, formats, nothing, most_rows, lines)
    if len(frame) > MOST_ROWS:
        st.caption(f"The first {MOST_ROWS} of {len(frame):,} rows; capacity cost --out writes all of them.")


def filled(frame: pd.DataFrame, heads: Mapping[str, str], optional: Iterable[str]) -> dict[str, str]:
    """``heads`` without those ``optional`` columns that say nothing in any row: no text, and no amount but zero."""

    def says(value: object) -> bool:
        return bool(number(value)) if isinstance(value, int | float | Decimal) else bool(text(value))

    empty = {c for c in optional if not any(map(says, frame[c]))}
    return {c: h for c, h in heads.items() if c not in empty}


def price_format(values: Iterable[object], width: int = 90) -> Any:
    """A column of small prices: as many decimals as the middle one needs for three figures that count."""
    known = sorted(abs(v) for v in map(number, values) if v)
    middle = known[len(known) // 2] if known else 1.0
    digits = min(8, max(2, 2 - math.floor(math.log10(middle))))
    return st.column_config.NumberColumn(format=f"%,.{digits}f", width=width)


def listed(names: Sequence[str], most: int = 3) -> str:
    """a, b, c and 4 more."""
    told = ", ".join(fmt.shorten(fmt.visible(n), 40) for n in names[:most])
    return f"{told} and {len(names) - most} more" if len(names) > most else told
