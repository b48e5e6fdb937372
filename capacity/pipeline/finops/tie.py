"""Invoices against what is allocated, private discounts, and several currencies as one where rates are given."""

from __future__ import annotations

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
    return {
        "invoice_ties": costs.invoice_ties(past.inputs.cost, served.allocation, config.invoices, config.currency),
        "private_discounts": costs.private_discounts(served.attribution),
        "cost_converted": converted,
        "review_notes": pd.DataFrame([("currencies", text) for text in notes], columns=["topic", "words"]),
    }
