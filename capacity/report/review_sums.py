"""Frames of the FinOps review, and exact sums of them."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal, localcontext
from typing import TYPE_CHECKING, Any

import pandas as pd

from capacity.report._cells import records

if TYPE_CHECKING:
    from capacity.pipeline import CostReport

# Sums of decimal128(38, 12) never need more.
_EXACT_DIGITS = 60


def frame_of(found: CostReport, name: str) -> pd.DataFrame:
    """The frame ``name``; an empty one where the review has none."""
    return found.frames.get(name, pd.DataFrame())


def rows_of(found: CostReport, name: str) -> list[dict[Any, Any]]:
    return records(frame_of(found, name))


def summed(amounts: Iterable[Decimal]) -> Decimal:
    """Exactly: Python rounds sums to 28 digits unless told otherwise."""
    with localcontext(prec=_EXACT_DIGITS):
        return sum(amounts, Decimal(0))
