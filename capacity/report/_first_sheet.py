"""What fits on the first sheet of A4: decisions and caveats there, the rest in the workbook.

A page cannot be measured before it is drawn, so its height is reckoned from lengths of text, with the figures of a
wide font (DejaVu Sans): a narrower one leaves room. tests/report/test_printing.py holds the reckoning to a browser.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from capacity.report._summary import Card
from capacity.report._table import Table

# The sheet of A4 across less its margins, in CSS pixels, and what stands above the cards.
HEIGHT = 697
_HEAD = 113
# (characters of a line, pixels of a line, pixels around it) of each kind of text, as the style sheet prints it.
_ROW, _PARAGRAPH = (138, 15, 7), (150, 17, 8)
# Of a list that stands beside another, and of one that has the sheet's width.
_ITEM, _WIDE_ITEM = (71, 17, 2), (157, 17, 2)
_LABEL, _NOTE = (30, 17, 0), (36, 16, 0)
_VALUE, _CARD_EDGES, _CARDS_BELOW = 30, 14, 10
_HEADING, _TABLE_HEAD, _TABLE_NOTE = 40, 40, 24
# So few decisions are never cut, whatever else has to give way.
_LEAST_DECISIONS = 4


def height(text: str, kind: tuple[int, int, int]) -> int:
    """Pixels of ``text`` where a line holds so many characters."""
    characters, line, around = kind
    return max(1, math.ceil(len(text) / characters)) * line + around


@dataclass(frozen=True)
class Sheet:
    """What is on the first sheet before its lists: cards, and sentences below the decisions."""

    cards: Sequence[Card]
    lines: Sequence[str]

    def room(self, decisions: Table) -> int:
        """Pixels that are left for the lists."""
        cards = [height(c.label, _LABEL) + _VALUE + height(c.note, _NOTE) + _CARD_EDGES for c in self.cards]
        text = [i for i, c in enumerate(decisions.columns) if c.kind == "long"]
        rows = [max((height(str(r[i]), _ROW) for i in text), default=height("", _ROW)) for r in decisions.rows]
        table = _TABLE_HEAD + sum(rows) + (_TABLE_NOTE if decisions.note else 0) if rows else _PARAGRAPH[1]
        used = _HEAD + max(cards, default=0) + _CARDS_BELOW + _HEADING + table
        return HEIGHT - used - sum(height(x, _PARAGRAPH) for x in self.lines) - _HEADING

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


def fitting(lines: Sequence[str], room: int, sheet: str, wide: bool = False) -> list[str]:
    """As many of ``lines``, the first ones, as there is room for; of others it is said in which sheet they are."""
    if items(lines, wide) <= room:
        return list(lines)
    shown = len(lines)
    while shown > 1 and items([*lines[:shown], _more(0, sheet)], wide) > room:
        shown -= 1
    return [*lines[:shown], _more(len(lines) - shown, sheet)] if shown < len(lines) else list(lines)


def _more(count: int, sheet: str) -> str:
    return f"{count} more in report.xlsx, sheet {sheet}."
