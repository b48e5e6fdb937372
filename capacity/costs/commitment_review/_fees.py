"""What purchases say a commitment costs a month: a second way to the money that its usage rows carry."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal

import pandas as pd
import pyarrow as pa

from capacity.costs._money import EXACT, quantize, to_decimal
from capacity.costs.commitment_review import _rows
from capacity.costs.commitment_review._rows import Line

# No term of a commitment is as short as a month: a one-time row that spans no more does not say its term.
_LONGER_THAN_DAYS = 32


def monthly_fees(cost: pa.Table, lines: Sequence[Line]) -> dict[tuple[str, str], int]:
    """(commitment, month) -> recurring fees, and the month's part of what was paid at once, in 1e-12.

    The months are those of ``lines``. What was paid before the bill begins is not on it, so this is the least that the
    commitment costs. A commitment whose upfront payment does not say its term is left out.
    """
    recurring: dict[tuple[str, str], int] = {}
    for line in lines:
        if line.is_fee:
            key = (line.commitment, line.month)
            recurring[key] = recurring.get(key, 0) + (line.billed if line.frequency != "One-Time" else 0)
    upfront = _rows.upfront(cost)
    unclear = {name for name, start, end, _ in upfront if (end - start).days < _LONGER_THAN_DAYS}
    out = {key: fee for key, fee in recurring.items() if key[0] not in unclear}
    months = sorted({line.month for line in lines})
    for name, start, end, amount in upfront:
        if name in unclear:
            continue
        for month in months:
            out[name, month] = out.get((name, month), 0) + _part(month, start, end, amount)
    return out


def _part(month: str, start: datetime, end: datetime, amount: int) -> int:
    """The part of ``amount``, paid for all the time from ``start`` to ``end``, that is of ``month``."""
    begin = pd.Timestamp(f"{month}-01", tz="UTC")
    until = begin + pd.offsets.MonthBegin(1)
    inside = (min(until, pd.Timestamp(end)) - max(begin, pd.Timestamp(start))).total_seconds()
    frac = EXACT.divide(Decimal(max(0, int(inside))), Decimal(int((end - start).total_seconds())))
    return quantize(EXACT.multiply(frac, to_decimal(amount)))
