"""What more or less headroom costs, and what other sizes of commitments do, in sentences from the plan."""

from __future__ import annotations

from typing import Any

import pandas as pd

from capacity.plan import Plan
from capacity.words import money, percent, price

# Used to this share is used to the last hour.
_ALL = 0.9995
_NAMES = {0.5: "half", 1.0: "what is recommended", 1.5: "half more", 2.0: "double"}


def headroom_words(plan: Plan) -> tuple[str, ...]:
    """A sentence a point of frame ``headroom_curve``: what it costs, or saves, over the horizon against the plan."""
    rows = plan.frame("headroom_curve").dropna(subset=["moved_frac"]).to_dict("records")
    own = next((float(r["cost_usd"]) for r in rows if float(r["moved_frac"]) == 0.0), float("nan"))
    return tuple(_headroom(r, own, plan.currency) for r in rows if float(r["moved_frac"]) != 0.0)


def _headroom(row: dict[Any, Any], own: float, currency: str) -> str:
    moved, cost = float(row["moved_frac"]), float(row["cost_usd"])
    points = abs(round(moved * 100))
    lead = f"{points} point{'' if points == 1 else 's'} {'more' if moved > 0 else 'fewer'} headroom for every service"
    if not cost > 0 or not own > 0:
        return f"{lead}: no plan exists."
    more = cost - own
    word = "cost" if more >= 0 else "save"
    return f"{lead} {word} {money(abs(more), currency)} over the horizon ({percent(more / own, signed=True)})."


def coverage_words(plan: Plan) -> str:
    """How much of the usage of the first whole month to come is covered, by what is owned and what is to be bought."""
    rows = plan.frame("coverage_ahead")
    months = sorted(set(rows["month"].map(str)))
    if not months:
        return "No coverage to come is known: no commitment was looked for, or this plan was made before it was."
    # The month in progress is a part of itself.
    month = months[min(1, len(months) - 1)]
    own = rows["owned"].astype(bool)
    share = {o: float(rows.loc[(rows["month"] == month) & (own == o), "covered_frac"].sum()) for o in (True, False)}
    rest = max(0.0, 1.0 - share[True] - share[False])
    return (
        f"Of the usage of {month}, at on-demand prices, {percent(share[True])} is covered by what is owned and "
        f"{percent(share[False])} by what is to be bought; {percent(rest)} stays on demand."
    )


def sizes_words(sizes: pd.DataFrame, currency: str) -> tuple[str, ...]:
    """A sentence a size of rows of frame ``purchase_sizes`` of one purchase or of all: money and use, P10 to P90."""
    rows = sorted(sizes.to_dict("records"), key=lambda r: float(r["size_frac"]))
    return tuple(_size(r, currency) for r in rows if float(r["size_frac"]) > 0.0)


def _size(row: dict[Any, Any], currency: str) -> str:
    size = float(row["size_frac"])
    name = _NAMES.get(round(size, 6), f"{size:g} times what is recommended")
    low, middle, high = (float(row[f"saving_{q}"]) for q in ("q10", "q50", "q90"))
    used = [float(row[f"utilisation_{q}"]) for q in ("q10", "q90")]
    lead = f"Buying {name} ({price(float(row['hourly_usd']), currency)} an hour)"
    least, most = (percent(share) for share in used)
    share = "all" if min(used) >= _ALL else least if least == most else f"{least} to {most}"
    return (
        f"{lead} {_moved(middle, currency)} in the middle future, {_moved(low, currency)} at P10 and "
        f"{_moved(high, currency)} at P90; {share} of it is used."
    )


def _moved(amount: float, currency: str) -> str:
    return f"{'saves' if amount >= 0 else 'loses'} {money(abs(amount), currency)}"
