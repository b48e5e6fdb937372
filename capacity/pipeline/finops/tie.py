"""Invoices against what is allocated, private discounts, and several currencies as one where rates are given."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import pandas as pd

from capacity import costs
from capacity.pipeline.finops.ground import Past


def tie_frames(past: Past) -> dict[str, pd.DataFrame]:
    """Frames ``invoice_ties``, ``private_discounts``, ``cost_converted`` and ``review_notes``."""
    config, served = past.inputs.config, past.money
    assert served.allocation is not None  # noqa: S101 - past_frames has looked
    assert served.attribution is not None  # noqa: S101
    cost = served.allocation.frame
    notes: tuple[str, ...] = ()
    converted = pd.DataFrame(columns=list(costs.CONVERTED_COLUMNS))
    if set(cost["currency"]) - {config.currency}:
        converted, notes = costs.in_one_currency(cost, config.exchange_rates, config.currency)
    # An invoice of a month that is not closed as of the question is not held to a part of its bill.
    invoices = [i for i in config.invoices if i.month <= str(served.newest)]
    return {
        "invoice_ties": costs.invoice_ties(past.inputs.cost, served.allocation, invoices, config.currency),
        "private_discounts": costs.private_discounts(served.attribution),
        "cost_converted": converted,
        "review_notes": pd.DataFrame(
            [*(("currencies", text) for text in notes), *(("months", text) for text in _partial(served.partial))],
            columns=["topic", "words"],
        ),
    }


def _partial(months: Mapping[str, str]) -> Iterator[str]:
    """What is said of months that the bill holds only in part."""
    for month, why in months.items():
        yield f"{month}: {why}. Unit costs leave it out; a change to or from it is no change of the spend"
