"""What single SKUs cost of late that was not to be expected: how much, how rare that is, and which term is behind it.

Two weeks of each SKU are held to the four weeks before them, weekday by weekday, on a log scale. The run of days that
is furthest off is looked for, and how far off such runs are when nothing has happened is learned from all earlier
weeks of all SKUs: from the bulk of them, since the bill's past has its own accidents. A SKU that began has no past of
its own; it is told of for its size.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from capacity.costs._money import to_decimal
from capacity.costs.sku_terms import TERMS, terms
from capacity.domain import Floats

Key = tuple[str, str, str]  # service, provider service, SKU; the service as a whole has the latter two empty
Span = tuple[int, int]

# Days that are judged, days that they are held to, weeks that teach weekdays, and earlier windows that teach chance.
JUDGED_DAYS, BEFORE_DAYS = 14, 28
WEEKDAY_WEEKS = 8
PAST_WINDOWS = 20
DAYS = JUDGED_DAYS * (PAST_WINDOWS + 1) + 7 * WEEKDAY_WEEKS
# False alarms that are allowed for in one judgement: two of them a month make one.
FALSE_ALARMS = 0.5
# A SKU below this share of its service's spend, and a surplus below it, is no news; nor is a change of a few per cent.
LEAST_SHARE, LEAST_CHANGE = 0.01, 0.1
# Past windows at which a SKU's own size of error weighs as much as the typical one; and the least size, log units.
OWN_HALF_WEIGHT, LEAST_SIZE = 4.0, 0.02
# Share of the median that is added before logs are taken, so that a day of nothing is far off and not infinitely so.
OFFSET = 0.05
# What stands for all that nothing is known of: half of all windows, and 1 in 20, are so many sizes off at least.
EXPECTED_TAIL = (2.2, 3.6)
PRIOR_WINDOWS = 40.0
# Of the interval that is told.
LEVEL = 0.99


@dataclass(frozen=True)
class SkuDays:
    """Running spend by SKU and day, of charges for single days.

    Attributes
    ----------
    keys
        K SKUs; those of pools and of what nobody owns have one common name for a service.
    first
        The first of T days; the last one is the newest that is settled.
    cost
        (K, T) EffectiveCost.
    group
        (K,) SKUs with the same number are of one service, provider's service and pricing unit: quantities may be added.
    units
        (K, 14) the last fortnight's EffectiveCost exactly, in whole 1e-12 (Python integers).
    measures
        (4, K, 42) PricingQuantity, ListCost, ContractedCost, EffectiveCost of the last six weeks.
    """

    keys: tuple[Key, ...]
    first: date
    cost: Floats
    group: npt.NDArray[np.intp]
    units: npt.NDArray[Any]
    measures: Floats


class SkuAnomaly(NamedTuple):
    """A run of days of one SKU. ``units`` are what they cost in whole 1e-12; ``extra`` is that less ``expected``.

    ``first`` and ``last`` count days of the judged fortnight from 0. ``terms`` add up to ``extra``. ``probability`` is
    that of a run as far off in two weeks when all is as ever.
    """

    key: Key
    first: int
    last: int
    units: int
    expected: float
    low: float
    high: float
    extra: float
    probability: float
    terms: Mapping[str, float]

    @property
    def amount(self) -> Decimal:
        """What the days cost, exactly."""
        return to_decimal(self.units)


# --- how far off ---------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Scan:
    """The furthest run of one window: of ``length`` days from ``start``, ``score`` sizes off; (K,) each."""

    score: Floats
    start: npt.NDArray[np.intp]
    length: npt.NDArray[np.intp]


def expectations(z: Floats, at: int) -> Floats:
    """(K, 14) what the days from ``at`` on are held to: the level of four weeks before, with the weekday's own.

    ``z`` (K, T) on the log scale; NaN where a day is not to be learned from.
    """
    weeks = min(WEEKDAY_WEEKS, at // 7)
    past = z[:, at - 7 * weeks : at].reshape(len(z), weeks, 7)
    with np.errstate(all="ignore"):
        weekday = _median(past - _median(past, 2)[:, :, None], 1)
        weekday = np.where(np.isfinite(weekday), weekday, 0.0)
        late = past[:, -(BEFORE_DAYS // 7) :] - weekday[:, None, :]
        level = _median(late.reshape(len(z), -1), 1)
    return np.asarray(level[:, None] + np.tile(weekday, (1, JUDGED_DAYS // 7)), dtype=float)


def _median(values: Floats, axis: int) -> Floats:
    """Medians without a word about days that are all unknown."""
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        return np.asarray(np.nanmedian(values, axis=axis), dtype=float)


def scan(errors: Floats, size: Floats, growth: Floats) -> Scan:
    """The furthest run of each row.

    Parameters
    ----------
    errors
        (K, 14) log value less what was expected; NaN (not judged) counts as nothing.
    size
        (K,) usual size of a day's error.
    growth
        (14,) usual size of the sum of so many days' errors, over a day's.
    """
    sums = np.concatenate([np.zeros((len(errors), 1)), np.cumsum(np.nan_to_num(errors), axis=1)], axis=1)
    best = np.full(len(errors), -1.0)
    start, length = np.zeros(len(errors), np.intp), np.ones(len(errors), np.intp)
    for n in range(1, JUDGED_DAYS + 1):
        scores = np.abs(sums[:, n:] - sums[:, :-n]) / (size[:, None] * growth[n - 1])
        at = scores.argmax(axis=1)
        top = scores[np.arange(len(scores)), at]
        better = top > best
        best, start, length = np.where(better, top, best), np.where(better, at, start), np.where(better, n, length)
    return Scan(best, start, length)


@dataclass(frozen=True)
class Tail:
    """How often the furthest run of a window is at least so far off: half of the time ``middle``, 1 in 20 ``far``.

    Beyond that each further step of (far - middle) is 10 times rarer. The bulk of all windows sets it: what is beyond
    may be accidents of the past.
    """

    middle: float
    far: float

    @classmethod
    def of(cls, scores: Floats) -> Tail:
        """Of the windows' scores, drawn to what is usual as there are fewer of them."""
        known = scores[np.isfinite(scores)]
        weight = len(known) / (len(known) + PRIOR_WINDOWS)
        own = np.quantile(known, (0.5, 0.95)) if len(known) else np.array(EXPECTED_TAIL)
        middle, far = weight * own + (1.0 - weight) * np.array(EXPECTED_TAIL)
        return cls(float(middle), float(max(far, middle + 0.5)))

    def probability(self, score: Floats) -> Floats:
        return np.asarray(
            np.minimum(1.0, 0.5 * 10.0 ** ((self.middle - score) / (self.far - self.middle))), dtype=float
        )

    def score_at(self, probability: float) -> float:
        return self.middle - (self.far - self.middle) * float(np.log10(probability / 0.5))


@dataclass(frozen=True)
class Judged:
    """The newest window of every SKU with enough history: its expectations (K, 14) on the log scale, and its scan."""

    expected: Floats
    size: Floats
    growth: Floats
    found: Scan
    tail: Tail


def judge(z: Floats) -> Judged:
    """Hold the last 14 days of ``z`` (K, T) to what came before; the rows share what is known of chance."""
    newest = z.shape[1] - JUDGED_DAYS
    starts = [newest - JUDGED_DAYS * k for k in range(PAST_WINDOWS + 1)]
    starts = [s for s in starts if s >= BEFORE_DAYS]
    errors = [z[:, s : s + JUDGED_DAYS] - expectations(z, s) for s in starts]
    past = np.stack(errors[1:], axis=1) if len(errors) > 1 else np.full((len(z), 1, JUDGED_DAYS), np.nan)
    size = _sizes(past)
    growth = _growth(past / size[:, None, None])
    scores = [
        np.where(np.isfinite(e).sum(axis=1) >= JUDGED_DAYS // 2, scan(e, size, growth).score, np.nan)
        for e in errors[1:]
    ]
    tail = Tail.of(np.concatenate(scores) if scores else np.empty(0))
    return Judged(expectations(z, newest), size, growth, scan(errors[0], size, growth), tail)


def _sizes(past: Floats) -> Floats:
    """(K,) size of a day's error in past windows (K, W, 14), drawn to the typical one."""
    own = 1.4826 * _median(np.abs(past).reshape(len(past), -1), 1)
    known = own[np.isfinite(own)]
    typical = float(np.median(known)) if len(known) else 0.1
    windows = np.isfinite(past).any(axis=2).sum(axis=1)
    share = windows / (windows + OWN_HALF_WEIGHT)
    mixed = np.sqrt(share * np.where(np.isfinite(own), own, typical) ** 2 + (1.0 - share) * typical**2)
    return np.asarray(np.maximum(mixed, LEAST_SIZE), dtype=float)


def _growth(scaled: Floats) -> Floats:
    """(14,) usual size of sums over 1 to 14 days; at least as if days were independent, at most as if they were one."""
    flat = np.nan_to_num(scaled.reshape(-1, JUDGED_DAYS))
    known = np.isfinite(scaled.reshape(-1, JUDGED_DAYS)).all(axis=1)
    lengths = np.arange(1.0, JUDGED_DAYS + 1.0)
    if not known.any():
        return lengths**0.75
    sums = np.concatenate([np.zeros((int(known.sum()), 1)), np.cumsum(flat[known], axis=1)], axis=1)
    sizes = [1.4826 * float(np.median(np.abs(sums[:, n:] - sums[:, :-n]))) for n in range(1, JUDGED_DAYS + 1)]
    return np.asarray(np.clip(sizes, np.sqrt(lengths), lengths), dtype=float)


# --- the list ------------------------------------------------------------------------------------------------


def find(days: SkuDays, demand: Mapping[str, Floats], unjudged: Mapping[str, Sequence[Span]]) -> list[SkuAnomaly]:
    """Runs of days of SKUs, and of whole services, that were not to be expected, the dearest first.

    Parameters
    ----------
    days
        All SKUs.
    demand
        Service -> (T,) its demand on the same days, NaN where unknown.
    unjudged
        Service -> spans of days (counted from the first, both ends inclusive) of events and outages: not judged, not
        learned from.

    Notes
    -----
    A run is listed where its probability is at most half a false alarm over all that were judged, its surplus at least
    1 % of what its service costs, and the change at least 10 %.
    """
    whole = _with_services(days)
    cost = whole.cost
    by_service = {name: cost[[k[0] == name and bool(k[1] or k[2]) for k in whole.keys]].sum(axis=0)
                  for name in {k[0] for k in whole.keys}}  # fmt: skip
    late = np.array([by_service[k[0]][-JUDGED_DAYS - BEFORE_DAYS :].sum() for k in whole.keys])
    mine = cost[:, -JUDGED_DAYS - BEFORE_DAYS :].sum(axis=1)
    # What matters of late: of six weeks, or of the fortnight alone where it has just begun.
    recent = np.array([by_service[k[0]][-JUDGED_DAYS:].sum() for k in whole.keys])
    matters = (mine >= LEAST_SHARE * late) | (cost[:, -JUDGED_DAYS:].sum(axis=1) >= LEAST_SHARE * recent)
    alive = matters & (mine > 0)
    before = cost[:, -JUDGED_DAYS - BEFORE_DAYS : -JUDGED_DAYS]
    # A bill that has its days only since then, and a service that is all new, tell of no new SKU.
    billed = np.array([(by_service[k[0]][-JUDGED_DAYS - BEFORE_DAYS : -JUDGED_DAYS] > 0).sum() for k in whole.keys])
    fresh = alive & (before <= 0).all(axis=1) & (billed >= BEFORE_DAYS // 2)
    known = np.flatnonzero(alive & ((before > 0).sum(axis=1) >= BEFORE_DAYS // 2))
    out = _runs(whole, known, unjudged, demand, recent) + _begun(whole, np.flatnonzero(fresh), recent, demand)
    return sorted(out, key=lambda a: (-abs(a.extra), a.key, a.first))


def _with_services(days: SkuDays) -> SkuDays:
    """With a row for each whole service, where it has more than one SKU."""
    owners = [k[0] for k in days.keys]
    names = sorted(n for n in set(owners) if owners.count(n) > 1)
    rows = [np.array([k[0] == n for k in days.keys]) for n in names]
    if not names:
        return days
    totals = [np.stack([x[..., r, :].sum(axis=-2) for r in rows], axis=-2) for x in (days.cost, days.measures)]
    units = np.array([days.units[r].sum(axis=0) for r in rows], dtype=object)
    return SkuDays(
        keys=(*days.keys, *((n, "", "") for n in names)),
        first=days.first,
        cost=np.concatenate([days.cost, totals[0]]),
        group=np.concatenate([days.group, np.full(len(names), -1)]),
        units=np.concatenate([days.units, units]),
        measures=np.concatenate([days.measures, totals[1]], axis=1),
    )


def _runs(
    days: SkuDays,
    at: npt.NDArray[np.intp],
    unjudged: Mapping[str, Sequence[Span]],
    demand: Mapping[str, Floats],
    recent: Floats,
) -> list[SkuAnomaly]:
    if not len(at):
        return []
    cost = days.cost[at]
    newest = cost.shape[1] - JUDGED_DAYS
    positive = np.where(cost[:, :newest] > 0, cost[:, :newest], np.nan)
    offset = OFFSET * _median(positive[:, -7 * WEEKDAY_WEEKS :], 1)
    z = np.log(np.maximum(cost, 0.0) + offset[:, None])
    # Before its first charge a SKU was not there: nothing to learn from.
    begun = np.maximum.accumulate(cost > 0, axis=1)
    z[~begun] = np.nan
    for row, i in enumerate(at):
        for first, last in unjudged.get(days.keys[i][0], ()):
            z[row, max(first, 0) : last + 1] = np.nan
    judged = judge(z)
    rare = judged.tail.probability(judged.found.score)
    reach = judged.tail.score_at(1.0 - LEVEL)
    out = []
    for row, i in enumerate(at):
        if rare[row] > FALSE_ALARMS / len(at):
            continue
        first, length = int(judged.found.start[row]), int(judged.found.length[row])
        inside = slice(first, first + length)
        known = np.isfinite(z[row, newest:][inside])
        each = np.maximum(np.exp(judged.expected[row, inside]) - offset[row], 0.0)
        # Days of an event inside the run are taken as they came.
        each = np.where(known, each, cost[row, newest:][inside])
        half = reach * judged.size[row] * judged.growth[length - 1] / length
        one = _anomaly(days, int(i), first, length, float(each.sum()), half, float(rare[row]), demand)
        if abs(one.extra) >= LEAST_SHARE * recent[i] and abs(one.extra) >= LEAST_CHANGE * one.expected:
            out.append(one)
    return out


def _begun(days: SkuDays, at: npt.NDArray[np.intp], recent: Floats, demand: Mapping[str, Floats]) -> list[SkuAnomaly]:
    """SKUs that cost nothing in the four weeks before. How rare they are is counted over earlier fortnights."""
    out = []
    for i in at:
        costs_now = days.cost[i, -JUDGED_DAYS:]
        first = int(np.flatnonzero(costs_now > 0)[0])
        if costs_now.sum() >= LEAST_SHARE * recent[i]:
            length = JUDGED_DAYS - first
            out.append(_anomaly(days, int(i), first, length, 0.0, 0.0, _rate_of_new(days), demand))
    return out


def _rate_of_new(days: SkuDays) -> float:
    """Of the SKUs there were, the share that began in an earlier fortnight; one more is allowed for."""
    sku = np.array([bool(k[1] or k[2]) for k in days.keys])
    begun = np.array([int(np.flatnonzero(c > 0)[0]) if (c > 0).any() else -1 for c in days.cost[sku]])
    span = days.cost.shape[1] - JUDGED_DAYS - BEFORE_DAYS
    new = int(((begun >= BEFORE_DAYS) & (begun < BEFORE_DAYS + span)).sum())
    chances = max(span / JUDGED_DAYS, 1.0) * max(int(sku.sum()), 1)
    return float(min(1.0, (new + 1.0) / (chances + 1.0)))


def _anomaly(
    days: SkuDays,
    i: int,
    first: int,
    length: int,
    expected: float,
    half: float,
    probability: float,
    demand: Mapping[str, Floats],
) -> SkuAnomaly:
    units = int(sum(days.units[i, first : first + length]))
    amount = float(days.cost[i, -JUDGED_DAYS:][first : first + length].sum())
    service, *sku = days.keys[i]
    run = slice(BEFORE_DAYS + first, BEFORE_DAYS + first + length)
    driver = _driver(demand.get(service), run)
    mine = [i] if any(sku) else [j for j, k in enumerate(days.keys) if k[0] == service and (k[1] or k[2])]
    found = dict.fromkeys(TERMS, 0.0)
    before = {j: days.measures[:, j, :BEFORE_DAYS].mean(axis=1) * length for j in mine}
    whole = sum(float(b[3]) for b in before.values())
    # What went before is brought to what was expected of these weekdays, so that the terms add up to the surplus.
    scale = expected / whole if whole > 0 else 0.0
    for j in mine:
        alike = days.group == days.group[j]
        q0, q1 = (float(days.measures[0, alike, part].sum()) for part in (slice(0, BEFORE_DAYS), run))
        group = q1 / length / (q0 / BEFORE_DAYS) if q0 > 0 and q1 > 0 else None
        after = days.measures[:, j, run].sum(axis=1)
        for name, x in terms(before[j] * scale, after, driver, group, length).items():
            found[name] += x
    return SkuAnomaly(
        days.keys[i], first, first + length - 1, units, expected, expected * float(np.exp(-half)),
        expected * float(np.exp(half)), amount - expected, probability, found,
    )  # fmt: skip


def _driver(demand: Floats | None, run: slice) -> float | None:
    """Demand of the run's days over that of the same number of days before."""
    if demand is None:
        return None
    late = demand[-JUDGED_DAYS - BEFORE_DAYS :]
    before, after = late[:BEFORE_DAYS], late[run]
    if not np.isfinite(before).any() or not np.isfinite(after).any():
        return None
    middle, now = float(np.nanmean(before)), float(np.nanmean(after))
    return now / middle if middle > 0 else None
