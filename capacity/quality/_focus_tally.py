"""Counts and examples of one rule while a bill is read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from capacity.quality import _focus_spelling as spelling
from capacity.quality._focus_model import Expr
from capacity.quality._focus_plan import Planned

# Characters of a value that a message shows.
_SHOWN = 60


@dataclass
class Tally:
    """Rows (or columns) to which a rule applies, those that a finding counts, and the first of them."""

    planned: Planned
    of: int = 0
    rows: int = 0
    # Of these, values that the reader refuses; only for the rule on listed values that can be fatal.
    unreadable: int = 0
    examples: list[str] = field(default_factory=list)

    @property
    def violated(self) -> bool:
        """The rule does not hold."""
        return self.rows > 0 and self.planned.severity != "info"


def value(raw: object) -> str:
    """A value for a message, short."""
    if raw is None:
        return "null"
    text = str(raw)
    return f"'{text}'" if len(text) <= _SHOWN else f"'{text[: _SHOWN - 3]}...'"


def shown(requirement: Expr, columns: Sequence[str], line: Sequence[object]) -> str:
    """``row 17: ChargeFrequency 'Usage-based'``; of rules over many columns only those at fault."""
    row, *values = line
    pairs = list(zip(columns, values, strict=True))
    if requirement[0] == "each":
        pairs = [(c, v) for c, v in pairs if v is not None and str(v).strip().lower() in spelling.PLACEHOLDERS]
    return f"row {row}: " + ", ".join(f"{c} {value(v)}" for c, v in pairs)
