"""What is said of a purchase: how far it is used, what it saves, what being wrong or late would cost."""

from __future__ import annotations

import numpy as np

from capacity.domain import Floats
from capacity.optimize.purchases._bill import PathBill, bill_paths, on_path
from capacity.optimize.purchases._lines import Setting
from capacity.optimize.purchases._policy import break_even, path_at, term_lots, utilisation
from capacity.optimize.purchases._recourse import SecondStage
from capacity.optimize.purchases.types import Recommendation, Spread

_HALVINGS = 40
# A provider's year: 365 days.
HOURS_A_YEAR = 8760


def spread(values: Floats) -> Spread:
    """P10, P50, P90 and mean over the paths."""
    low, middle, high = np.quantile(values, [0.1, 0.5, 0.9])
    return Spread(float(low), float(middle), float(high), float(values.mean()))


def judge(setting: Setting, j: int, bought: Floats, bill: PathBill) -> Recommendation:
    """All figures of purchase ``j`` of a plan, whose bill is ``bill``."""
    column, horizon = setting.columns[j], setting.horizon
    pool = setting.pools[column.pool]
    offer = column.offer
    others = bought.copy()
    others[j] = 0.0
    without = bill_paths(setting, others)
    saving, hourly = spread(without.cost - bill.cost), float(bought[j]) * pool.unit_usd
    middle = on_path(setting, path_at(setting, column, 0.5))
    when = break_even(middle, j, bought, bill_paths(middle, bought))
    whole, months = hourly * HOURS_A_YEAR * offer.term_years, horizon.months
    first_month = _first_month(setting, j, bought, bill, without)
    return Recommendation(
        id=f"{offer.id}@{months[column.start]}",
        offer=offer.id,
        product=offer.product,
        term_years=offer.term_years,
        payment=offer.payment,
        scope=offer.scope,
        region=offer.region,
        account_id=offer.account_id,
        buy_month=months[column.start],
        hourly_usd=hourly,
        count=round(float(bought[j])) if column.integer else 0,
        upfront_usd=offer.upfront_frac * whole,
        monthly_usd=(1 - offer.upfront_frac) * whole / (12 * offer.term_years),
        utilisation=spread(utilisation(setting, column, bill)),
        coverage_before_frac=_coverage(setting, j, without),
        coverage_after_frac=_coverage(setting, j, bill),
        break_even_month=None if when.paid_back is None else months[column.start + when.paid_back - 1],
        break_even_months=when.paid_back,
        safe_after_month=None if when.safe_after is None else months[column.start + when.safe_after - 1],
        saving=saving,
        regret_p10_usd=_regret(setting, j, bought, 0.1),
        regret_p90_usd=_regret(setting, j, bought, 0.9),
        waiting_month_usd=first_month,
        waiting_term_usd=saving.mean,
        if_not_bought=_if_not_bought(first_month, saving),
    )


def _if_not_bought(first_month: float, saving: Spread) -> str:
    waiting = (
        f"every month of waiting costs about {first_month:,.0f} USD"
        if first_month >= 0
        else f"a month of waiting would save about {-first_month:,.0f} USD: what is owned covers its usage until then"
    )
    never = f"never buying it {saving.mean:,.0f} USD over the term (P10 {saving.p10:,.0f}, P90 {saving.p90:,.0f})"
    return f"{waiting}; {never}"


def _first_month(setting: Setting, j: int, bought: Floats, bill: PathBill, without: PathBill) -> float:
    """Mean saving of the purchase's first month."""
    column, horizon = setting.columns[j], setting.horizon
    lots = horizon.month == column.start
    more = (without.open_usd - bill.open_usd)[:, lots].sum(axis=2).mean(axis=0)
    return float((more - bought[j] * setting.pools[column.pool].unit_usd) @ horizon.hours[lots])


def _coverage(setting: Setting, j: int, bill: PathBill) -> float:
    """Mean over the paths of the share, over the term, of the usage in scope that is under a commitment."""
    column, horizon = setting.columns[j], setting.horizon
    lots, covers = term_lots(setting, column), setting.pools[column.pool].covers
    hours = horizon.hours[lots]
    usage = horizon.usd[:, lots][:, :, covers].sum(axis=2) @ hours
    still_open = bill.open_usd[:, lots][:, :, covers].sum(axis=2) @ hours
    return float(np.mean(1 - np.divide(still_open, usage, out=np.zeros_like(usage), where=usage > 0)))


def _regret(setting: Setting, j: int, bought: Floats, quantile: float) -> float:
    """Cost on that path less that of the best size of ``j`` there, all else as bought.

    The cost is convex in the size where the cuts are tight; its slope, price - what one more unit saves, is halved down
    to zero. An RI's best size is one of the two whole counts beside that.
    """
    alone = on_path(setting, path_at(setting, setting.columns[j], quantile))
    stage, trial = SecondStage(alone), bought.copy()
    column = setting.columns[j]
    low, high = 0.0, column.most
    weight = alone.horizon.hours * term_lots(alone, column)
    price = alone.price[j]
    for _ in range(_HALVINGS):
        trial[j] = (low + high) / 2
        gain = float(stage.cuts(alone.units(trial)).unit[column.pool][0] @ weight)
        low, high = (trial[j], high) if gain > price else (low, trial[j])
    sizes = (np.floor(low), np.ceil(high)) if column.integer else (low, high)
    costs = []
    for size in (*sizes, bought[j]):
        trial[j] = size
        costs.append(float(bill_paths(alone, trial).cost[0]))
    return costs[-1] - min(costs)
