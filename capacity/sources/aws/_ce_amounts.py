"""Numbers as Cost Explorer spells them: decimal text, exactly."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Decimal, InvalidOperation, localcontext
from typing import Any

from capacity.errors import CorruptDataError
from capacity.schemas import MONEY

ZERO = Decimal(0)
_QUANTUM = Decimal(1).scaleb(-MONEY.scale)
_WHOLE_DIGITS = MONEY.precision - MONEY.scale


@dataclass
class Amounts:
    """Reads amounts, and counts what had to be rounded.

    Attributes
    ----------
    where
        For messages: the part that is read.
    rounded
        How many had more than 12 decimals.
    """

    where: str
    rounded: int = 0

    def of(self, text: object) -> Decimal:
        """``text`` with at most 12 decimals, rounded half to even.

        Raises
        ------
        CorruptDataError
            Not a finite decimal number below 1e26.
        """
        try:
            value = Decimal(str(text))
        except InvalidOperation:
            value = Decimal("NaN")
        # adjusted() is the exponent of the leading digit
        if not value.is_finite() or (value and value.adjusted() >= _WHOLE_DIGITS):
            raise CorruptDataError(
                f"{self.where}: amount {text!r} is not a decimal number below 1e{_WHOLE_DIGITS}; ask again"
            )
        with localcontext() as context:
            context.prec = 2 * MONEY.precision
            short = value.quantize(_QUANTUM, rounding=ROUND_HALF_EVEN)
        self.rounded += short != value
        return short

    def maybe(self, found: Mapping[str, Any] | None, key: str) -> Decimal | None:
        """Amount ``key``, null where Cost Explorer says nothing."""
        text = (found or {}).get(key)
        return None if text in (None, "") else self.of(text)

    def fraction(self, found: Mapping[str, Any] | None, key: str) -> float | None:
        """Percentage ``key`` as a fraction."""
        percent = self.maybe(found, key)
        return None if percent is None else float(percent / 100)

    def notes(self) -> tuple[str, ...]:
        said = f"{self.rounded} amounts had more than {MONEY.scale} decimals and were rounded half to even"
        return (said,) if self.rounded else ()
