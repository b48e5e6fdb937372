"""Tax, credits, refunds and one-off purchases: by month as billed, and what is assumed of the months to come.

They are never mixed into the running spend: none of them follows demand. Each assumption is a plain one, and is said.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from capacity import words

COLUMNS = ("month", "part", "amount", "known", "assumption")
# Closed months that a share of tax is taken from, and how few show one.
TAX_MONTHS, TAX_LEAST = 6, 3
# Shares within this of their mean are one rate; wider apart, part of the bill is taxed otherwise.
TAX_STABLE_FRAC = 0.25
# Credits on each of so many last bills are told of by name: they end when the grant is used up, and no bill says when.
CREDIT_MONTHS = 3
PLURAL = {"credit": "credits", "refund": "refunds", "one_off": "one-off purchases"}


def apart_months(
    daily: pd.DataFrame, closed: Sequence[str], running_ahead: Mapping[str, float], currency: str
) -> pd.DataFrame:
    """Lines beside the running spend.

    Parameters
    ----------
    daily
        Of :func:`capacity.costs.daily_spend`, one currency.
    closed
        Closed months (YYYY-MM), in order: only these are history.
    running_ahead
        Coming month -> expected running spend.
    currency
        For the words.

    Returns
    -------
    DataFrame
        month, part (tax, credit, refund, one_off), amount (of the currency; credits below zero), known (billed),
        assumption ("" where known). A part that was never billed has no line. Ordered by part and month.
    """
    months = pd.DatetimeIndex(daily["day"]).strftime("%Y-%m")
    frame = pd.DataFrame(
        {"month": months, "part": daily["part"].to_numpy(), "cost": daily["effective_cost"].to_numpy()}
    )
    table = frame.pivot_table(index="month", columns="part", values="cost", aggfunc="sum", fill_value=0.0)
    table = table.reindex(list(closed), fill_value=0.0)
    rows: list[tuple[str, str, float, bool, str]] = []
    for part in ("credit", "one_off", "refund", "tax"):
        if part not in table or not table[part].any():
            continue
        rows += [(str(m), part, float(x), True, "") for m, x in table[part].items()]
        ahead = _tax(table, running_ahead) if part == "tax" else _nothing(part, table[part], running_ahead, currency)
        rows += [(m, part, amount, False, why) for m, amount, why in ahead]
    return pd.DataFrame(rows, columns=list(COLUMNS))


def _tax(table: pd.DataFrame, ahead: Mapping[str, float]) -> list[tuple[str, float, str]]:
    last = table.iloc[-TAX_MONTHS:]
    running = last["running"].to_numpy(float) if "running" in last else np.zeros(len(last))
    taxed = last["tax"].to_numpy(float)
    used = (taxed > 0) & (running > 0)
    shares = taxed[used] / running[used]
    if len(shares) >= TAX_LEAST and float(np.abs(shares / shares.mean() - 1.0).max()) <= TAX_STABLE_FRAC:
        share = float(shares.mean())
        why = f"{words.percent(share)} of the running spend, as over {len(shares)} months"
        return [(m, share * x, why) for m, x in sorted(ahead.items())]
    typical = float(np.mean(taxed[-TAX_LEAST:]))
    return [(m, typical, f"the mean of the last {min(TAX_LEAST, len(taxed))} months") for m in sorted(ahead)]


def _nothing(part: str, past: pd.Series, ahead: Mapping[str, float], currency: str) -> list[tuple[str, float, str]]:
    name = PLURAL[part]
    why = f"no {name} to come are assumed"
    if part == "credit" and len(past) >= CREDIT_MONTHS and bool((past.iloc[-CREDIT_MONTHS:] < 0).all()):
        mean = words.money(float(past.iloc[-CREDIT_MONTHS:].mean()), currency)
        why = f"{name} ({mean} a month of late) are assumed to end: no bill says how long they last"
    return [(m, 0.0, why) for m in sorted(ahead)]
