"""What if more or less is bought than recommended: money and use of other sizes, on the same joint paths."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from capacity.domain import Floats
from capacity.optimize.purchases._bill import PathBill, bill_paths
from capacity.optimize.purchases._judge import spread
from capacity.optimize.purchases._lines import Setting
from capacity.optimize.purchases._policy import term_lots, utilisation
from capacity.optimize.purchases.types import Sized, Spread

# Times what is recommended: nothing, half, as recommended, half more, double.
SIZES: tuple[float, ...] = (0.0, 0.5, 1.0, 1.5, 2.0)


def sizes(setting: Setting, bought: Floats, ids: Sequence[tuple[int, str]]) -> tuple[Sized, ...]:
    """Every size of all purchases of now together (id ""), then of each alone with the others as planned.

    Savings are against none of them. Renewals, which are decided later, are left out where all change together.
    """
    renewed = np.array([c.renewal for c in setting.columns], dtype=bool)
    now = np.where(renewed, 0.0, bought)
    every = [j for j, _ in ids]
    out = _of(setting, now, every, "")
    for j, name in ids:
        out += _of(setting, bought, [j], name)
    return tuple(out)


def _of(setting: Setting, bought: Floats, moved: Sequence[int], name: str) -> list[Sized]:
    """``moved`` columns at every size, all else as ``bought``."""
    bills = {size: bill_paths(setting, _scaled(setting, bought, moved, size)) for size in SIZES}
    nothing = bills[0.0].cost
    out = []
    for size, bill in bills.items():
        amounts = _scaled(setting, bought, moved, size)
        hourly = sum(float(amounts[j]) * setting.pools[setting.columns[j].pool].unit_usd for j in moved)
        used = _used(setting, amounts, moved, bill)
        out.append(Sized(name, size, hourly, spread(nothing - bill.cost), used))
    return out


def _scaled(setting: Setting, bought: Floats, moved: Sequence[int], size: float) -> Floats:
    """RIs come in whole instances."""
    out = bought.copy()
    for j in moved:
        out[j] = np.round(bought[j] * size) if setting.columns[j].integer else bought[j] * size
    return out


def _used(setting: Setting, amounts: Floats, moved: Sequence[int], bill: PathBill) -> Spread | None:
    """Share of what ``moved`` cost over their terms that is used; None where nothing is bought."""
    used, whole = np.zeros(len(bill.cost)), 0.0
    for j in moved:
        column = setting.columns[j]
        hours = float(setting.horizon.hours[term_lots(setting, column)].sum())
        usd = float(amounts[j]) * setting.pools[column.pool].unit_usd * hours
        if usd > 0:
            used, whole = used + usd * utilisation(setting, column, bill), whole + usd
    return spread(used / whole) if whole > 0 else None
