"""Usage carried on until the last purchase has ended, and cut where an owned commitment starts or ends."""

from __future__ import annotations

import math
from calendar import monthrange
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from capacity.domain import Floats
from capacity.optimize._fleet import active_frac
from capacity.optimize.purchases.types import PurchaseProblem

Ints = np.ndarray[Any, np.dtype[np.int64]]


@dataclass(frozen=True)
class Horizon:
    """``usd`` is (P, K, G); ``owned`` (C, K) is 1 where an owned commitment runs; ``month`` and ``hours`` are (K,)."""

    months: tuple[str, ...]
    month: Ints
    hours: Floats
    usd: Floats
    owned: Floats

    @property
    def starts(self) -> Ints:
        """Position of each month's first lot: lots are in order of months."""
        return np.searchsorted(self.month, np.arange(len(self.months)))

    def by_month(self, by_lot: Floats, axis: int = -1) -> Floats:
        """Sums of the lots of each month."""
        out: Floats = np.add.reduceat(by_lot, self.starts, axis=axis)
        return out


def horizon_of(problem: PurchaseProblem, least_months: int) -> Horizon:
    """The lots of ``problem``, carried on to ``least_months`` months.

    Where they are carried on, the last month of ``problem`` is made whole: a plan's horizon ends inside a month, a term
    does not.
    """
    months = list(problem.months)
    while len(months) < least_months:
        months.append(_next(months[-1]))
    month, hours = list(problem.lot_month), list(problem.hours)
    usd = np.stack([np.asarray(g.usd, dtype=float) for g in problem.groups], axis=-1)
    last = np.flatnonzero(np.array(month) == len(problem.months) - 1)
    share = np.array([hours[k] for k in last]) / sum(hours[k] for k in last)
    if len(months) > len(problem.months) > 1:
        for k, part in zip(last, share, strict=True):
            hours[int(k)] = float(part) * _calendar_hours(problem.months[-1])
    score = _scores(usd[:, last].sum(axis=-1) @ share)
    parts = [usd]
    for t in range(len(problem.months), len(months)):
        years = (t - len(problem.months) + 1) / 12
        parts.append(usd[:, last] * np.exp(problem.drift_a_year * math.sqrt(years) * score)[:, None, None])
        month += [t] * len(last)
        hours += [float(x) for x in share * _calendar_hours(months[t])]
    return _cut(problem, tuple(months), np.array(month), np.array(hours), np.concatenate(parts, axis=1))


def _scores(level: Floats) -> Floats:
    """(P,) normal scores by rank: a path that ends high drifts upwards, so that the spread widens as it grows."""
    from scipy.special import ndtri

    if len(level) == 1:
        return np.zeros(1)
    rank = np.argsort(np.argsort(level, kind="stable"), kind="stable")
    out: Floats = ndtri((rank + 0.5) / len(level))
    return out


def _cut(problem: PurchaseProblem, months: tuple[str, ...], month: Ints, hours: Floats, usd: Floats) -> Horizon:
    """Split the lots of a month pro rata where an owned commitment starts or ends inside it."""
    total = [float(hours[month == t].sum()) for t in range(len(months))]
    lots, parts, owned = [], [], []
    for t, name in enumerate(months):
        spans = [active_frac(c, name, total[t], t == 0) for c in problem.commitments]
        edges = sorted({0.0, 1.0, *(edge for span in spans for edge in span)})
        for begin, finish in pairwise(edges):
            for k in np.flatnonzero(month == t):
                lots.append(int(k))
                parts.append(finish - begin)
                owned.append([float(low <= begin and finish <= high) for low, high in spans])
    index = np.array(lots)
    runs = np.array(owned, dtype=float).reshape(len(lots), len(problem.commitments)).T
    return Horizon(months, month[index], hours[index] * np.array(parts), usd[:, index], runs)


def _next(month: str) -> str:
    year, number = int(month[:4]), int(month[5:7])
    return f"{year + number // 12}-{number % 12 + 1:02d}"


def _calendar_hours(month: str) -> float:
    return 24.0 * monthrange(int(month[:4]), int(month[5:7]))[1]
