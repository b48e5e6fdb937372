"""Closed periods against their budgets: what was budgeted, what it came to, and how far that is off."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal, localcontext

import pandas as pd

from capacity import costs
from capacity.config import BudgetConfig, Config
from capacity.pipeline.finops.ground import Past
from capacity.plan import FRAMES

_EXACT_DIGITS = 60
_PLACES = Decimal("0.000001")


def closed_budgets(past: Past, actual: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Frame ``budget_closed``, the newest period first.

    Parameters
    ----------
    actual
        Frame ``spend_actual``: service, month, currency, part (running, tax, ...), amount (Decimal).
    """
    config, closed = past.inputs.config, set(past.money.months)
    known = actual[actual["currency"] == config.currency] if len(actual) else actual
    rows = []
    for budget in config.budgets:
        months = costs.Period.parse(budget.period, config.calendar).months
        if not set(months) <= closed:
            continue
        came = _came(known, budget, config, months)
        variance = came - budget.amount
        share = (variance / budget.amount).quantize(_PLACES) if budget.amount else None
        name = budget.name or config.company
        rows.append((budget.level, name, budget.period, config.currency, budget.includes, budget.amount, came, variance,
                     share))  # fmt: skip
    rows.sort(key=lambda r: (r[0], r[1]))
    rows.sort(key=lambda r: r[2], reverse=True)
    return {"budget_closed": pd.DataFrame(rows, columns=list(FRAMES["budget_closed"]))}


def _came(actual: pd.DataFrame, budget: BudgetConfig, config: Config, months: tuple[str, ...]) -> Decimal:
    """What the budget's months came to, exactly: running spend alone, or all."""
    if actual.empty:
        return Decimal(0)
    teams: Mapping[str, str] = {s.name: s.team for s in config.services}
    rows = actual[actual["month"].isin(months)]
    if budget.includes == "running":
        rows = rows[rows["part"] == "running"]
    if budget.level == "service":
        rows = rows[rows["service"] == budget.name]
    elif budget.level == "team":
        rows = rows[[teams.get(str(s), "") == budget.name for s in rows["service"]]]
    with localcontext(prec=_EXACT_DIGITS):
        return sum(rows["amount"], Decimal(0))
