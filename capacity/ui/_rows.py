"""Rows of words as one piece of HTML each: names with values, and findings. All text is escaped.

A row of Streamlit's columns is five elements of the page, and each costs every reader's browser a few milliseconds: a
page that rests on thirty facts is drawn much faster where they are one.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from typing import NamedTuple

import streamlit as st

from capacity.charts import INKS
from capacity.ui import _format as fmt

_GRID = "display:grid;gap:.3rem .9rem;margin:0;padding:0;overflow-wrap:anywhere;"
_SMALL = "font-size:.875rem;opacity:.75;"
_BADGE = "border:1px solid;border-radius:6px;padding:0 .4rem;font-size:.875rem;justify-self:start;align-self:start;"


class Marked(NamedTuple):
    """A finding: its weight as a word, what it says, and what it is about in money or days."""

    word: str
    tone: str
    text: str
    amount: str = ""


def facts(rows: Sequence[tuple[str, str]]) -> None:
    """What and its value, one under the other."""
    _pairs("minmax(5rem,2fr) 5fr", rows, _SMALL)


def named(rows: Iterable[tuple[str, str]]) -> None:
    """Names of data, and a sentence about each."""
    _pairs("minmax(8rem,2fr) 9fr", rows)


def marked(rows: Iterable[Marked], dark: bool) -> None:
    """Findings, one under the other; the colour says nothing that the word does not."""
    ink = INKS["dark" if dark else "light"]
    colours = {"red": ink.limit, "orange": ink.series[1]}
    told = (
        f'<li style="{_GRID}grid-template-columns:4.2rem 10fr minmax(5rem,3fr);padding:.15rem 0">'
        f'<span style="{_BADGE}color:{colours.get(r.tone, ink.muted)}">{_text(r.word)}</span>'
        f'<span>{_text(r.text)}</span><span style="text-align:right">{escape(r.amount)}</span></li>'
        for r in rows
    )
    st.html(f'<ul style="list-style:none;margin:0;padding:0">{"".join(told)}</ul>')


def _pairs(columns: str, rows: Iterable[tuple[str, str]], style: str = "") -> None:
    told = (f'<dt style="{style}">{_text(k)}</dt><dd style="margin:0">{_text(v)}</dd>' for k, v in rows)
    st.html(f'<dl style="{_GRID}grid-template-columns:{columns}">{"".join(told)}</dl>')


def _text(value: str) -> str:
    return escape(fmt.visible(value) or fmt.NONE)
