"""Pieces that all pages share: header, cards, tables, charts, facts. Text from data never passes markdown here."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from typing import Any, Literal

import pandas as pd
import streamlit as st

from capacity.plan import Plan, UnitPlan
from capacity.ui import _drawn as drawn
from capacity.ui import _format as fmt
from capacity.words import unique

ThemeName = Literal["light", "dark"]
Tone = Literal["red", "orange", "green", "gray"]
# Where the session keeps the navigation's pages, by key.
PAGES = "_pages"
_ROW_PX = 31  # Streamlit's row height in a table at the theme's base size of 14 px
_LINE_PX = 15  # of text in a cell
_WRAPPING_PX = 58  # Streamlit wraps the text of cells from about 4 rem on, and not below
_MOST_ROWS = 12  # shown before a table scrolls: what a 1280 × 800 projector holds beside a heading


@dataclass(frozen=True)
class Card:
    """One figure. ``label``, ``value`` and ``help`` are our own words and numbers; ``note`` may hold any text."""

    label: str
    value: str
    note: str = ""
    tone: Tone = "gray"
    help: str | None = None


def theme() -> ThemeName:
    """The reader's theme, for charts."""
    return "dark" if st.context.theme.type == "dark" else "light"


def cards(items: Sequence[Card]) -> None:
    """Figures side by side, as tall as the tallest."""
    with st.grid(len(items), min_column_width=190, gap="small"):
        for item in items:
            st.metric(
                item.label,
                item.value,
                fmt.plain(item.note) or None,
                delta_color=item.tone,
                delta_arrow="off",
                help=item.help,
                border=True,
                height="stretch",
            )


@contextmanager
def card(title: str, note: str = "", stretch: bool = False) -> Iterator[None]:
    """A bordered part of the page under a heading of ours."""
    with st.container(border=True, height="stretch" if stretch else "content"):
        st.header(title, anchor=False)  # the page's title is above it: no level is left out
        if note:
            st.caption(note)
        yield


def opened(label: str, key: str) -> Any:
    """A part that a reader may open, or None where it is closed: then nothing is drawn in it, or sent."""
    part = st.expander(label, key=key, on_change="rerun")
    return part if part.open else None


def table(
    frame: pd.DataFrame,
    alt: str,
    columns: Mapping[str, Any] | None = None,
    nothing: str = "Nothing to show.",
    most_rows: int = _MOST_ROWS,
    lines: int = 1,
) -> None:
    """A read-only table, or ``nothing`` in words where it has no row. Text wraps to ``lines`` lines a row."""
    if frame.empty:
        st.caption(nothing)
        return
    row = _ROW_PX if lines == 1 else max(_WRAPPING_PX, _LINE_PX * lines + 10)
    st.dataframe(
        frame,
        hide_index=True,
        height="content" if len(frame) <= most_rows else int(_ROW_PX + row * (most_rows + 0.5)),
        row_height=row if lines > 1 else None,
        column_config={**_dates(frame), **(columns or {})},
        placeholder=fmt.NONE,
        alt=alt,
    )


def _dates(frame: pd.DataFrame) -> dict[str, Any]:
    names = [c for c in frame.columns if c in ("By", "Order by") or str(c).endswith(" date")]
    return {name: st.column_config.DateColumn(format="DD MMM YYYY", width=88) for name in names}


def chance(label: str, help_text: str, width: int = 100) -> Any:
    """A column of probabilities as bars with their percent."""
    return st.column_config.ProgressColumn(
        label, min_value=0.0, max_value=1.0, format="percent", help=help_text, width=width
    )


def money_column(currency: str, digits: int = 0) -> Any:
    """A column of money: dollars with their sign, other currencies by the heading."""
    mark = fmt.sign(currency)
    return st.column_config.NumberColumn(format="dollar" if mark == "$" and digits == 2 else f"{mark}%,.{digits}f")


def chart(alt: str, make: Callable[..., Any], *args: object, **named: object) -> None:
    """What ``make``, a function of :mod:`capacity.charts`, draws of its arguments; it brings its own colours."""
    st.vega_lite_chart(drawn.spec(make, *args, **named), theme=None, alt=alt)


def link(key: str, text: str) -> None:
    """A way to another page; its words alone where the page is drawn outside the navigation."""
    page = st.session_state.get(PAGES, {}).get(key)
    if page is None:
        st.caption(text)
    else:
        st.page_link(page, label=text, icon=":material/arrow_forward:")


def lines(texts: Sequence[str], most: int = 8) -> None:
    """Sentences from data, one a line; the rest is counted."""
    if texts:
        st.text("\n".join(f"• {fmt.visible(text)}" for text in texts[:most]))
    if len(texts) > most:
        st.caption(f"and {len(texts) - most} more")


def about(plan: Plan, scenario: str) -> None:
    """Whose plan, as of when, which scenario: under the title of every page."""
    span = f"{fmt.day(plan.horizon_start)} to {fmt.day(plan.horizon_end)}"
    said = (
        fmt.shorten(fmt.visible(plan.company), 60),
        f"as of {fmt.moment(plan.as_of)}",
        f"scenario {fmt.shorten(fmt.visible(scenario), 40)}",
        f"horizon {span}",
    )
    st.text("  ·  ".join(said))


def stale(plan: Plan) -> None:
    """Said on every page where a source is stale."""
    old = [f for f in plan.freshness if f.stale]
    if not old:
        return
    names = [f"{fmt.shorten(fmt.visible(f.source), 40)} ({fmt.visible(f.frame)}, {fmt.age(f.age_days)})" for f in old]
    st.warning(
        fmt.plain(f"{', '.join(names[:4])}{' and more' if len(names) > 4 else ''}. Figures that use it may mislead."),
        title=f"Stale data: {len(old)} of {fmt.count(len(plan.freshness), 'source')}",
        icon=":material/schedule:",
    )


def unit_choices(units: Sequence[UnitPlan]) -> dict[str, UnitPlan]:
    """Units by what a list of choices calls them."""
    ordered = sorted(units, key=lambda u: u.unit)
    return dict(zip(unique([fmt.visible(str(u.unit)) for u in ordered]), ordered, strict=True))


def most_urgent(choices: dict[str, UnitPlan]) -> int:
    """Position of the unit whose limit is passed first; the first one where none is."""
    dates = [u.first_limit.p10 if u.first_limit and u.first_limit.p10 else date.max for u in choices.values()]
    return dates.index(min(dates))


def one_of(label: str, options: Sequence[str], first: str, key: str) -> str:
    """One of a few words, side by side.

    Not a segmented control: its chosen word is in the theme's primary colour, whose contrast on a dark ground is 3.2.
    """
    return str(st.radio(label, options, list(options).index(first), horizontal=True, key=key))


def problem(title: str, texts: Sequence[str]) -> None:
    """An error with its own words below: what, where, how to mend."""
    with st.container(border=True):
        st.error(title, icon=":material/error:")
        for text in texts:
            st.text(fmt.visible(text))
