"""One currency out of several, only by rates that somebody gave with their date."""

from __future__ import annotations

import calendar
from collections.abc import Sequence
from datetime import date
from decimal import ROUND_HALF_EVEN, Decimal

import pandas as pd

from capacity.config import ExchangeRate
from capacity.costs._money import EXACT
from capacity.schemas import COST_MONEY

CONVERTED_COLUMNS = (
    "month", "currency", "service", "kind", "pool", *COST_MONEY, "from_currency", "rate", "rate_as_of", "rate_source",
)  # fmt: skip
_PLACES = Decimal(1).scaleb(-12)


def rate_of(rates: Sequence[ExchangeRate], source: str, target: str, month: str) -> ExchangeRate | None:
    """The newest rate from ``source`` to ``target`` whose day is not after the end of ``month``; None without one.

    A rate the other way round is not turned about, and two are not chained: a rate that nobody gave is a guess.
    """
    year, number = int(month[:4]), int(month[5:])
    end = date(year, number, calendar.monthrange(year, number)[1])
    known = [r for r in rates if (r.from_currency, r.to_currency) == (source, target) and r.as_of <= end]
    return max(known, key=lambda r: r.as_of) if known else None


def in_one_currency(
    frame: pd.DataFrame, rates: Sequence[ExchangeRate], target: str
) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """Costs in other currencies turned into ``target``, row by row, each with its rate and the rate's day.

    Parameters
    ----------
    frame
        month (YYYY-MM), currency, service, kind, pool and the four cost columns (Decimal): ``Allocation.frame``.

    Returns
    -------
    converted
        The same with currency ``target``, from_currency, rate, rate_as_of, rate_source (None where nothing had to be
        converted); amounts rounded half to even to 1e-12. Rows without a rate are not in it.
    refused
        A sentence for each (currency, months) without a rate.
    """
    rows, lacking = [], dict[str, list[str]]()
    columns = ["month", "currency", "service", "kind", "pool", *COST_MONEY]
    for month, source, service, kind, pool, *amounts in frame[columns].itertuples(index=False, name=None):
        if source == target:
            rows.append((month, target, service, kind, pool, *amounts, source, None, None, None))
            continue
        found = rate_of(rates, source, target, month)
        if found is None:
            lacking.setdefault(source, []).append(month)
            continue
        turned = [EXACT.multiply(a, found.rate).quantize(_PLACES, ROUND_HALF_EVEN, EXACT) for a in amounts]
        rows.append((month, target, service, kind, pool, *turned, source, found.rate, found.as_of, found.source))
    refused = tuple(
        f"{source} of {', '.join(sorted(set(months)))} is not added to {target}: no rate from {source} to {target} is "
        "given with a date by the end of the month (exchange_rates)"
        for source, months in sorted(lacking.items())
    )
    return pd.DataFrame(rows, columns=list(CONVERTED_COLUMNS)), refused
