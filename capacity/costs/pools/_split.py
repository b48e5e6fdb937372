"""An amount in whole units in proportion to weights, so that the parts are the amount."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal


def split(amount: int, weights: Sequence[int]) -> list[int]:
    """``amount`` (whole units, either sign) in proportion to ``weights``; the parts sum to it exactly.

    Largest remainders: each part is at most one unit from its exact share; equal remainders go in order.

    >>> split(100, [1, 1, 1])
    [34, 33, 33]
    """
    total, size = sum(weights), abs(amount)
    if not size:
        return [0] * len(weights)
    parts, remainders = [], []
    for w in weights:
        whole, rest = divmod(size * w, total)
        parts.append(whole)
        remainders.append(rest)
    left = size - sum(parts)
    if left:
        for i in sorted(range(len(weights)), key=lambda i: -remainders[i])[:left]:
            parts[i] += 1
    return parts if amount >= 0 else [-p for p in parts]


def whole_numbers(values: Sequence[Decimal]) -> list[int]:
    """Decimals as whole numbers in the same proportions."""
    places = max((-int(v.as_tuple().exponent) for v in values), default=0)
    return [int(v.scaleb(max(places, 0))) for v in values]
