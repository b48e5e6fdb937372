"""Single SKUs that cost more or less of late than was to be expected, and the term of the bridge behind it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, timedelta

import numpy as np
import pandas as pd

from capacity import costs, words
from capacity.costs import SkuAnomaly
from capacity.domain import Floats
from capacity.pipeline.bill_days import all_billed
from capacity.pipeline.finops.ground import Past
from capacity.pipeline.inputs import Inputs
from capacity.pipeline.spend_widths import SHARED
from capacity.pipeline.watch import known_days
from capacity.plan import FRAMES

# A second term is told of where it is at least this share of the first one.
TOLD_SHARE = 0.25
# Nothing that was counted is as sure as this.
SMALLEST = 1e-5
# (more, less) of what each term stands for.
MEANING = {
    "volume": ("more demand", "less demand"),
    "efficiency": ("more used for the same demand", "less used for the same demand"),
    "mix": ("work moved to it from alike SKUs", "work moved from it to alike SKUs"),
    "list_rate": ("a higher list price", "a lower list price"),
    "negotiated_rate": ("less private discount", "more private discount"),
    "commitment_rate": ("less of it covered by commitments", "more of it covered by commitments"),
    "new_and_ended": ("it is new", "it ended"),
    "one_off": ("charges without a quantity, of single days", "charges without a quantity, of single days"),
}  # fmt: skip
# Where no demand is known, all that was used is volume.
UNKNOWN_DEMAND = ("more used, its demand is not known", "less used, its demand is not known")


def past_anomalies(past: Past) -> dict[str, pd.DataFrame]:
    """Frame ``spend_anomalies``: the last two settled weeks of every SKU, and service, that matters."""
    inputs, config = past.inputs, past.inputs.config
    last = all_billed(inputs).date()
    names = [s.name for s in config.services]
    days = costs.sku_days(inputs.cost, config.costs, names, last, config.currency, SHARED)
    index = pd.date_range(days.first, periods=days.cost.shape[1], freq="D")
    demand = _demand(past, index)
    found = costs.find_anomalies(days, demand, _unjudged(inputs, index))
    begin = last - timedelta(days=costs.JUDGED_DAYS - 1)
    rows = [_row(one, begin, config.currency, one.key[0] in demand) for one in found]
    return {"spend_anomalies": pd.DataFrame(rows, columns=list(FRAMES["spend_anomalies"]))}


def _demand(past: Past, index: pd.DatetimeIndex) -> dict[str, Floats]:
    """Service -> its demand by day, where all its regions are known."""
    out: dict[str, Floats] = {}
    for service in past.inputs.config.services:
        parts = [d.mean.reindex(index).to_numpy(float) for u, d in past.data.items() if u.service == service.name]
        if parts and len(parts) == len(service.regions):
            out[service.name] = np.sum(parts, axis=0)
    return out


def _unjudged(inputs: Inputs, index: pd.DatetimeIndex) -> Mapping[str, Sequence[tuple[int, int]]]:
    """Service -> days of known events and outages, counted from the first."""
    out: dict[str, list[tuple[int, int]]] = {}
    for unit, spans in known_days(inputs.config, index[0], index[-1]).items():
        for first, end in spans:
            out.setdefault(unit.service, []).append(((first - index[0]).days, (end - index[0]).days))
    return out


def _row(one: SkuAnomaly, begin: date, currency: str, has_driver: bool) -> tuple[object, ...]:
    service, provider, sku = one.key
    first, last = begin + timedelta(days=one.first), begin + timedelta(days=one.last)
    term = max(one.terms, key=lambda t: (one.terms[t] if one.extra >= 0 else -one.terms[t], t))
    text = _sentence(one, first, last, currency, has_driver)
    return (service, provider, sku, currency, pd.Timestamp(first), pd.Timestamp(last), one.amount,
            one.expected, one.low, one.high, one.extra, one.probability, term, text)  # fmt: skip


def _sentence(one: SkuAnomaly, first: date, last: date, currency: str, has_driver: bool) -> str:
    service, provider, sku = one.key
    what = f"{service}: {sku} of {provider}" if sku else f"{service} as a whole"
    amount = one.expected + one.extra
    more = "more" if one.extra >= 0 else "less"
    since = "from" if one.first or one.expected == 0 else "from before"
    until = " on" if one.last == costs.JUDGED_DAYS - 1 else f" to {words.day(last)}"
    text = f"{what} cost {words.money(amount, currency)} {since} {words.day(first)}{until}"
    if one.expected > 0:
        text += (
            f", {words.money(abs(one.extra), currency)} ({words.percent(abs(one.extra) / one.expected)}) {more} than "
            f"was expected ({words.money(one.low, currency)} to {words.money(one.high, currency)}); "
            f"{_rare(one.probability)} fortnights by chance"
        )
    else:
        text += f" and nothing before; {_rare(one.probability)} SKUs begins in two weeks"
    return f"{text}; {_because(one, currency, has_driver)}"


def _rare(probability: float) -> str:
    if probability < SMALLEST:
        return f"rarer than 1 in {1.0 / SMALLEST:,.0f}"
    n = 1.0 / probability
    return f"1 in {n:,.0f}" if n < 10 else f"1 in {float(f'{n:.2g}'):,.0f}"


def _because(one: SkuAnomaly, currency: str, has_driver: bool) -> str:
    side = 1.0 if one.extra >= 0 else -1.0
    ranked = sorted(one.terms.items(), key=lambda item: (-side * item[1], item[0]))
    told = [ranked[0], *(t for t in ranked[1:2] if side * t[1] >= TOLD_SHARE * side * ranked[0][1] > 0)]
    parts = []
    for name, value in told:
        known = MEANING[name] if name != "volume" or has_driver else UNKNOWN_DEMAND
        parts.append(f"{known[0 if value >= 0 else 1]} ({words.money(value, currency)})")
    return words.listed(parts)
