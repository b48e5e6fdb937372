"""What owned and bought commitments will cover, month by month, over all joint paths."""

from __future__ import annotations

import numpy as np

from capacity.optimize.purchases._bill import PathBill
from capacity.optimize.purchases._lines import Setting
from capacity.optimize.purchases.types import CoverageAhead


def coverage_ahead(setting: Setting, bill: PathBill) -> tuple[CoverageAhead, ...]:
    """The share of each month's usage, at on-demand prices, that every product covers, owned and bought apart.

    Shares are of the means over the paths; what is left to 1 stays on demand. Months without usage are left out. A
    product that covers nothing in any month has no row.
    """
    horizon = setting.horizon
    usage = horizon.by_month(horizon.usd.sum(axis=2).mean(axis=0) * horizon.hours)
    covered: dict[tuple[str, bool], np.ndarray] = {}
    for c, pool in enumerate(setting.pools):
        key = (pool.product, pool.offer is None)
        usd = horizon.by_month(bill.covered_usd[c].mean(axis=0) * horizon.hours)
        covered[key] = covered[key] + usd if key in covered else usd
    return tuple(
        CoverageAhead(month, product, owned, float(usd[t] / usage[t]), float(usage[t]))
        for (product, owned), usd in sorted(covered.items(), key=lambda x: (not x[0][1], x[0][0]))
        if usd.any()
        for t, month in enumerate(horizon.months)
        if usage[t] > 0
    )
