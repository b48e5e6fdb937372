"""One self-contained HTML page: a first sheet that decides, then sections with their tables and pictures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from capacity.report import _pictures
from capacity.report._sections import Section
from capacity.report._summary import Card
from capacity.report._table import Table


@dataclass(frozen=True)
class Page:
    """What stands on a page.

    Attributes
    ----------
    kind, name
        The heading: "Capacity plan" and the company.
    first, first_title, first_none
        The table that a director reads first, its heading, and what is said where it has no row.
    lines
        Sentences below it.
    lists
        Headings with sentences, side by side.
    """

    title: str
    kind: str
    name: str
    facts: Sequence[tuple[str, str]]
    cards: Sequence[Card]
    first: Table
    first_title: str
    first_none: str
    sections: Sequence[Section]
    footer: str
    lines: Sequence[str] = ()
    lists: Sequence[tuple[str, Sequence[str]]] = field(default=())


def render(page: Page) -> str:
    """``page`` as HTML that asks no host for anything; the same page gives the same bytes."""
    text: str = (
        _environment()
        .get_template("report.html.j2")
        .render(page=page, light=_pictures.theme_variables("light"), dark=_pictures.theme_variables("dark"))
    )
    return text


@lru_cache
def _environment() -> Any:
    import jinja2

    return jinja2.Environment(
        loader=jinja2.PackageLoader("capacity.report"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
