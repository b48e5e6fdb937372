"""Running spend by service, provider's service, SKU and day, for the watch over single SKUs."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from capacity.config import CostsConfig
from capacity.costs._columns import column_or_null, encode, group_rows
from capacity.costs._matching import match_rows
from capacity.costs._money import sums_by_group, to_units
from capacity.costs.anomalies import BEFORE_DAYS, DAYS, JUDGED_DAYS, Key, SkuDays
from capacity.costs.spend import running_days

# In whose order SkuDays.measures are.
_MEASURES = ("PricingQuantity", "ListCost", "ContractedCost", "EffectiveCost")
_EPOCH = date(1970, 1, 1)


def sku_days(
    cost: pa.Table, costs: CostsConfig, services: Sequence[str], last: date, currency: str, others: str
) -> SkuDays:
    """Running charges for single days up to ``last``, by SKU.

    Parameters
    ----------
    cost, costs, services
        As for :func:`capacity.costs.daily_spend`.
    last
        The newest day that is settled.
    currency
        Charges in others are left out.
    others
        Name for what belongs to no service (pools and what is unallocated).

    Notes
    -----
    A charge for more than a day says nothing of its days and is left out: a fee for a month is no news every day.
    """
    end = (last - _EPOCH).days
    targets = match_rows(cost, costs, services)
    money, start, single = encode(cost.column("BillingCurrency")), *running_days(cost)
    kept = single & (money.codes == money.code_of(currency)) & (start > end - DAYS) & (start <= end)
    at = np.flatnonzero(kept)
    rows = cost.take(pa.array(at))
    owner = np.where(np.array(targets.kinds)[targets.target[at]] == "service", targets.target[at], 0)
    provider, sku = encode(column_or_null(rows, "ServiceName")), encode(column_or_null(rows, "SkuId"))
    grouping = group_rows(
        [(owner.astype(np.int32), len(targets.names)), (provider.codes, provider.cardinality),
         (sku.codes, sku.cardinality)], len(at)
    )  # fmt: skip
    named = zip(
        owner[grouping.first_row], provider.take(grouping.first_row).to_pylist(),
        sku.take(grouping.first_row).to_pylist(), strict=True,
    )  # fmt: skip
    keys: list[Key] = [(targets.names[o] if o else others, p or "(no provider's service)", k or "(no SKU)")
                       for o, p, k in named]  # fmt: skip
    unit = encode(column_or_null(rows, "PricingUnit")).codes[grouping.first_row]
    alike = [(k[0], k[1], int(u)) for k, u in zip(keys, unit, strict=True)]
    numbers = {g: n for n, g in enumerate(sorted(set(alike)))}
    group = np.array([numbers[g] for g in alike], dtype=np.intp)
    order = np.array(sorted(range(len(keys)), key=keys.__getitem__), dtype=np.intp)
    rank = np.empty(len(keys), np.int64)
    rank[order] = np.arange(len(keys))
    cells = rank[grouping.group] * DAYS + (start[at] - (end - DAYS + 1))
    return _filled(rows, cells, tuple(keys[i] for i in order), group[order], last - timedelta(days=DAYS - 1))


def _filled(
    rows: pa.Table, cells: npt.NDArray[np.int64], keys: tuple[Key, ...], alike: npt.NDArray[np.intp], first: date
) -> SkuDays:
    """Cells (SKU times days + day) filled with the sums of their rows."""
    used, group = np.unique(cells, return_inverse=True)
    if "PricingQuantity" not in rows.column_names:
        rows = rows.append_column("PricingQuantity", pa.nulls(rows.num_rows, pa.decimal128(38, 12)))
    sums = sums_by_group(rows, group.astype(np.int64), len(used), _MEASURES)
    tables = []
    for name in _MEASURES:
        table = np.zeros(len(keys) * DAYS)
        table[used] = sums[name].cast(pa.float64()).to_numpy(zero_copy_only=False)
        tables.append(table.reshape(len(keys), DAYS))
    exact = np.zeros((len(keys), DAYS), dtype=object)
    exact.reshape(-1)[used] = np.array([*to_units(sums["EffectiveCost"]), 0], dtype=object)[:-1]
    late = slice(DAYS - JUDGED_DAYS - BEFORE_DAYS, DAYS)
    return SkuDays(keys, first, tables[-1], alike, exact[:, -JUDGED_DAYS:], np.stack([t[:, late] for t in tables]))
