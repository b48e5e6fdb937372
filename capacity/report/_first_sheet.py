"""What fits on the first sheet of A4: decisions and caveats there, the rest in the workbook.

A page cannot be measured before it is drawn, so its height is reckoned from lengths of text, with the figures of a
wide font (DejaVu Sans): a narrower one leaves room. tests/report/test_printing.py holds the reckoning to a browser.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from capacity.report._summary import Card
from capacity.report._table import Table

# The sheet of A4 across less its margins, in CSS pixels, and what stands above the cards.
HEIGHT = 697
_HEAD = 113
# (characters of a line, pixels of a line, pixels around it) of each kind of text, as the style sheet prints it.
Kind = tuple[int, int, int]
_ROW, _PARAGRAPH = (138, 15, 7), (150, 17, 8)
# Of a list that stands beside another, and of one that has the sheet's width.
_ITEM, _WIDE_ITEM = (71, 17, 2), (157, 17, 2)
_LABEL, _NOTE = (30, 17, 0), (36, 16, 0)
_VALUE, _CARD_EDGES, _CARD_GAP, _CARDS_BELOW = 30, 14, 12, 10
# So many cards of 48 mm are as wide as the sheet.
_MOST_BESIDE = 5
_HEADING, _TABLE_HEAD, _TABLE_NOTE = 40, 40, 24
# So few decisions are never cut, whatever else has to give way.
_LEAST_DECISIONS = 4


def height(text: str, kind: Kind) -> int:
    """Pixels of ``text`` where a line holds so many characters."""
    characters, line, around = kind
    return max(1, math.ceil(len(text) / characters)) * line + around


@dataclass(frozen=True)
class Sheet:
    """What is on the first sheet before its lists: cards, and sentences below the decisions.

    ``breaks`` is how text of the table's columns breaks (by the column's place), where it has not one column of
    sentences alone; ``head`` is what stands above the cards.
    """

    cards: Sequence[Card]
    lines: Sequence[str]
    breaks: Mapping[int, Kind] | None = None
    head: int = _HEAD

    def room(self, decisions: Table) -> int:
        """Pixels that are left for the lists."""
        breaks = self.breaks or {i: _ROW for i, c in enumerate(decisions.columns) if c.kind == "long"}
        rows = [
            max((height(str(r[i]), k) for i, k in breaks.items()), default=height("", _ROW)) for r in decisions.rows
        ]
        table = _TABLE_HEAD + sum(rows) + (_TABLE_NOTE if decisions.note else 0) if rows else _PARAGRAPH[1]
        used = self.head + self._cards() + _CARDS_BELOW + _HEADING + table
        return HEIGHT - used - sum(height(x, _PARAGRAPH) for x in self.lines) - _HEADING

    def _cards(self) -> int:
        """Pixels of the cards: four or five stand in a row, of which five are narrower."""
        beside = min(max(len(self.cards), 4), _MOST_BESIDE)

        def narrow(kind: Kind) -> Kind:
            return (kind[0] * 4 // beside, *kind[1:])

        each = [
            height(c.label, narrow(_LABEL)) + _VALUE + height(c.note, narrow(_NOTE)) + _CARD_EDGES for c in self.cards
        ]
        return (
            sum(max(each[i : i + beside]) + _CARD_GAP for i in range(0, len(each), beside)) - _CARD_GAP if each else 0
        )

    def fewest(self, decisions: Sequence[Table], beside: int) -> Table:
        """The first of ``decisions`` (each shorter than the one before) that leaves ``beside`` pixels for the lists."""
        rooms = ((t, self.room(t)) for t in decisions)
        return next((t for t, room in rooms if room >= beside or len(t.rows) <= _LEAST_DECISIONS), decisions[-1])


def items(lines: Sequence[str], wide: bool = False) -> int:
    """Pixels of a list; ``wide`` where no other stands beside it."""
    return sum(height(x, _WIDE_ITEM if wide else _ITEM) for x in lines)


def least(lines: Sequence[str], wide: bool = False) -> int:
    """Pixels of the first of ``lines`` and of a word on the others: a list is never cut to less."""
    return items([*lines[:1], *([_more(0, "")] if len(lines) > 1 else [])], wide)


def fitting(lines: Sequence[str], room: int, sheet: str, wide: bool = False, book: str = "report.xlsx") -> list[str]:
    """As many of ``lines``, the first ones, as there is room for; of others it is said in which sheet they are."""
    if items(lines, wide) <= room:
        return list(lines)
    shown = len(lines)
    while shown > 1 and items([*lines[:shown], _more(0, sheet, book)], wide) > room:
        shown -= 1
    return [*lines[:shown], _more(len(lines) - shown, sheet, book)] if shown < len(lines) else list(lines)


def _more(count: int, sheet: str, book: str = "report.xlsx") -> str:
    return f"{count} more in {book}, sheet {sheet}."
