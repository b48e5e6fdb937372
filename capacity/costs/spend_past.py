"""What the spend forecast said at past origins of months that are over, and how wide it should have been.

Nothing here looks ahead: a past origin knows what was billed by then, and a width for an origin is learned from months
that were over when it was made. Groups (a team, the company) are added from their services month by month.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import NamedTuple

import numpy as np
import pandas as pd

from capacity import words
from capacity.costs.spend import variance_grade
from capacity.domain import QUANTILES, Floats, SeriesForecast

# Half the width of an 80 % interval over the mean absolute error of what it is of: 1.2816 / .7979 for a normal one.
HALF_WIDTH_PER_ERROR = 1.6062
# Past origins lie a third of a horizon apart, so that three share days: they count as one.
ORIGINS_PER_INDEPENDENT = 3.0
# Independent origins at which what a group itself shows weighs as much as what its level shows, and what the level
# shows as much as nothing. Measured: see the notes of :func:`widths`.
OWN_HALF_WEIGHT, LEVEL_HALF_WEIGHT = 3.0, 1.0
WIDEST = 2.5
# One wild month must not decide a width.
MOST_SCORE = 4.0
# Months ahead whose widths are learned apart: the next, the two after it, and all later ones.
NEAR, MIDDLE = 1, 3
BUCKETS = 3
# What was said at an origin stands in for one that is so many days later.
STALE_DAYS = 31
# Days whose mean stands for the forecast of a service that had none yet at an origin.
STAND_IN_DAYS = 28
# Of a group's spend at an origin, how much must have had a forecast of its own.
LEAST_FORECAST_FRAC = 0.5
# Months ahead up to which a backtest is told; and of how few origins and months it is no grade.
HORIZONS = (1, 3, 6, 12)
LEAST_ORIGINS, LEAST_MONTHS = 2, 3
# Days of a window of which the relative width of an interval is looked at.
WINDOW_DAYS = 30
_MEDIAN = QUANTILES.index(0.5)
_DAY = pd.Timedelta(days=1)


@dataclass(frozen=True)
class Owner:
    """Daily spend of a service (or of what belongs to none): as billed on every day up to its last, and as forecast."""

    name: str
    team: str
    known: pd.Series
    ahead: SeriesForecast


class PastMonth(NamedTuple):
    """A whole month that is over, as it was said at a past origin.

    ``origin`` is the last day known then, ``ahead`` how many months the month lies after it (1: the next). ``said`` and
    ``came`` are of the whole month, ``naive`` is what the last whole month before the origin had cost (NaN: unknown).
    """

    origin: pd.Timestamp
    month: str
    ahead: int
    said: float
    came: float
    naive: float


Group = tuple[str, str]  # (level, name)


def past_months(owners: Sequence[Owner]) -> tuple[PastMonth, ...]:
    """Months of one group at the past origins of its members, the latest origin first.

    A member that cost something by an origin but had no forecast of its own yet is taken at its last four weeks; one
    that came later is in what came alone, as it would have been.
    """
    if not owners:
        return ()
    begin = min(o.known.index[0] for o in owners)
    last = min(o.known.index[-1] for o in owners)
    origins = sorted({at for o in owners if o.ahead.past for at in o.ahead.past.origins if at < last}, reverse=True)
    ledgers = [_Ledger.of(o, begin) for o in owners]
    out: list[PastMonth] = []
    for origin in origins:
        out += _months_at(ledgers, origin, begin.toordinal(), last.toordinal())
    return tuple(out)


@dataclass(frozen=True)
class _Ledger:
    """One owner's running sums, days as ordinals: ``spent[n]`` before day n of the group, ``said`` at its origins."""

    first: int
    begin: int
    spent: Floats
    said: Mapping[int, Floats]

    @classmethod
    def of(cls, owner: Owner, begin: pd.Timestamp) -> _Ledger:
        days = pd.date_range(begin, owner.known.index[-1], freq="D")
        values = owner.known.reindex(days, fill_value=0.0).to_numpy(float)
        past = owner.ahead.past
        said = {} if past is None else {
            at.toordinal(): np.concatenate([[0.0], np.cumsum(row.astype(float))])
            for at, row in zip(past.origins, past.medians, strict=True)
            if len(row) and np.isfinite(row[0])  # a line that was not sure yet said nothing
        }  # fmt: skip
        spent = np.concatenate([[0.0], np.cumsum(values)])
        return cls(owner.known.index[0].toordinal(), begin.toordinal(), spent, said)

    def between(self, first: int, end: int) -> float:
        """Spent from ``first`` to before ``end``."""
        a, b = (min(max(d - self.begin, 0), len(self.spent) - 1) for d in (first, end))
        return float(self.spent[b] - self.spent[a])

    def mean(self, origin: int) -> float:
        """Spend a day of the four weeks to ``origin``; of its own days where it has fewer."""
        first = max(origin - STAND_IN_DAYS + 1, self.first)
        days = origin - first + 1
        return self.between(first, origin + 1) / days if days > 0 else 0.0

    def ahead(self, origin: int) -> tuple[int, Floats] | None:
        """The origin of the newest statement by ``origin``, and its running sums; None where there is none."""
        fit = [at for at in self.said if at <= origin <= at + STALE_DAYS]
        return (max(fit), self.said[max(fit)]) if fit else None


def _first_day(month: int) -> int:
    """Ordinal of the first day of a month that is counted as year * 12 + month - 1."""
    return date(month // 12, month % 12 + 1, 1).toordinal()


def _months_at(ledgers: Sequence[_Ledger], origin: pd.Timestamp, begin: int, last: int) -> list[PastMonth]:
    now = origin.toordinal()
    means = [one.mean(now) for one in ledgers]
    told = [one.ahead(now) for one in ledgers]
    whole = sum(abs(m) for m in means)
    if whole <= 0 or sum(abs(m) for m, t in zip(means, told, strict=True) if t) < LEAST_FORECAST_FRAC * whole:
        return []
    month = origin.year * 12 + origin.month - 1
    # The last month that was whole: the origin's own where it is its last day.
    newest = month if _first_day(month + 1) == now + 1 else month - 1
    start, end = _first_day(newest), _first_day(newest + 1)
    naive = sum(one.between(start, end) for one in ledgers) if start >= begin else float("nan")
    out = []
    for ahead in range(1, (last - now) // 28 + 2):
        first, end = _first_day(month + ahead), _first_day(month + ahead + 1)
        if end > last + 1:
            break
        said = sum(_said(t, m, first, end) for t, m in zip(told, means, strict=True))
        if np.isfinite(said):
            came = sum(one.between(first, end) for one in ledgers)
            name = f"{(month + ahead) // 12}-{(month + ahead) % 12 + 1:02d}"
            out.append(PastMonth(origin, name, ahead, float(said), came, naive))
    return out


def _said(told: tuple[int, Floats] | None, mean: float, first: int, end: int) -> float:
    """What was said of the days from ``first`` to before ``end``; NaN where the forecast does not reach so far."""
    if told is None:
        return mean * (end - first)
    origin, sums = told
    a, b = first - origin - 1, end - origin - 1
    return float(sums[b] - sums[a]) if a >= 0 and b < len(sums) else float("nan")


# --- widths --------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Spread:
    """How far a group's joint paths lie apart: at windows of a month, ratios to the sum of its medians.

    ``ratios`` (W, 3): P10, P50 and P90 of the sum over days 30 w to 30 w + 29, over the sum of the members' medians.
    """

    ratios: Floats

    @classmethod
    def of(cls, paths: Floats, medians: Floats) -> Spread:
        """Of joint paths (P, H) and the members' daily medians added (H,)."""
        starts = range(0, max(paths.shape[1] - WINDOW_DAYS, 0) + 1, WINDOW_DAYS)
        rows = []
        for a in starts:
            base = float(medians[a : a + WINDOW_DAYS].sum())
            found = np.quantile(paths[:, a : a + WINDOW_DAYS].sum(axis=1, dtype=float), (0.1, 0.5, 0.9))
            rows.append(found / base if base > 0 else np.full(3, np.nan))
        return cls(np.array(rows))

    def at(self, days_ahead: float) -> Floats:
        """(3,) ratios of a month whose first day is ``days_ahead`` days after the origin."""
        return np.asarray(self.ratios[min(round(days_ahead / WINDOW_DAYS), len(self.ratios) - 1)])

    def score(self, one: PastMonth) -> float:
        """How far off a month was, in half widths of its interval: 1 is its edge. NaN where that means nothing."""
        low, middle, high = self.at((pd.Timestamp(f"{one.month}-01") - one.origin).days - 1)
        if not one.said > 0:
            return float("nan")
        off = one.came / one.said - middle
        half = high - middle if off >= 0 else middle - low
        return float(min(abs(off) / half, MOST_SCORE)) if half > 0 else float("nan")


@dataclass(frozen=True)
class Widths:
    """What intervals of months are multiplied by, by group and months ahead; 1 where nothing is known of a group."""

    factors: Mapping[Group, tuple[float, ...]]

    def of(self, level: str, name: str, ahead: int) -> float:
        """For a month ``ahead`` months after the last known day."""
        found = self.factors.get((level, name))
        return found[bucket(ahead)] if found else 1.0


def bucket(ahead: int) -> int:
    """0: the next month (or the one in progress), 1: the two after it, 2: later."""
    return 0 if ahead <= NEAR else 1 if ahead <= MIDDLE else 2


Scores = Mapping[Group, Sequence[tuple[PastMonth, float]]]


def widths(scores: Scores) -> Widths:
    """What intervals should be multiplied by, so that 80 % of months fall into them.

    Parameters
    ----------
    scores
        Group -> past months and how far off each was, in half widths of its interval (:meth:`Spread.score`).

    Returns
    -------
    Widths
        At least 1: what was too wide so far may have been luck. At most :data:`WIDEST`.

    Notes
    -----
    A group's mean score, over what a calibrated interval shows, is what its width was short by. Few origins prove
    little: the group's own is drawn to that of its level by :data:`OWN_HALF_WEIGHT`, the level's to 1.
    """
    by_level: dict[str, list[tuple[PastMonth, float]]] = {}
    for (level, _), rows in scores.items():
        by_level.setdefault(level, []).extend(rows)
    shared = {
        level: [_shrunk(rows, b, 1.0, LEVEL_HALF_WEIGHT) for b in range(BUCKETS)] for level, rows in by_level.items()
    }
    out = {}
    for group, rows in scores.items():
        own = [_shrunk(rows, b, shared[group[0]][b], OWN_HALF_WEIGHT) for b in range(BUCKETS)]
        out[group] = tuple(float(np.clip(f, 1.0, WIDEST)) for f in own)
    return Widths(out)


def _shrunk(rows: Iterable[tuple[PastMonth, float]], b: int, expected: float, half_weight: float) -> float:
    """The factor that the months of one bucket show, origins weighing alike, drawn to ``expected``."""
    by_origin: dict[pd.Timestamp, list[float]] = {}
    for month, score in rows:
        if bucket(month.ahead) == b and np.isfinite(score):
            by_origin.setdefault(month.origin, []).append(score)
    independent = len(by_origin) / ORIGINS_PER_INDEPENDENT
    if not by_origin:
        return expected
    shown = HALF_WIDTH_PER_ERROR * float(np.mean([np.mean(v) for v in by_origin.values()]))
    return (independent * shown + half_weight * expected) / (independent + half_weight)


def scored(groups: Mapping[Group, Sequence[Owner]]) -> dict[Group, list[tuple[PastMonth, float]]]:
    """Each group's past months, and how far off each was, in half widths of today's interval so many days ahead."""
    out: dict[Group, list[tuple[PastMonth, float]]] = {}
    for group, members in groups.items():
        steps = min(len(o.ahead.index) for o in members)
        paths = np.zeros((len(members[0].ahead.paths), steps))
        medians = np.zeros(steps)
        for owner in members:
            paths += owner.ahead.paths[:, :steps]
            medians += owner.ahead.quantiles[_MEDIAN][:steps]
        spread = Spread.of(paths, medians)
        out[group] = [(month, spread.score(month)) for month in past_months(members)]
    return out


# --- backtest ------------------------------------------------------------------------------------------------


class BacktestRow(NamedTuple):
    """How months up to ``horizon_months`` ahead were forecast at past origins; None where that is not known.

    ``variance_frac`` is the mean of abs(actual - forecast) / forecast, and ``naive_variance_frac`` that of "same as
    last month"; ``coverage80_frac`` how many of the months fell into the interval.
    """

    level: str
    name: str
    horizon_months: int
    origins: int
    months: int
    variance_frac: float | None
    grade: str
    naive_variance_frac: float | None
    beats_naive: bool | None
    coverage80_frac: float | None
    words: str


def backtest(scores: Scores) -> list[BacktestRow]:
    """Variance, grade and coverage of every group, by how far ahead months may lie.

    The interval that a month is held to is as wide as it is today, widened by what months showed that were over when
    the forecast was made.
    """
    inside = _inside(scores)
    out = []
    for group, rows in scores.items():
        reach = 0
        for horizon in HORIZONS:
            used = [(m, inside.get((group, m))) for m, _ in rows if m.ahead <= horizon and m.said > 0]
            furthest = max((m.ahead for m, _ in used), default=0)
            if furthest > reach:
                out.append(_graded(group, horizon, used))
                reach = furthest
        if not reach:
            out.append(_graded(group, HORIZONS[0], []))
    return out


def _inside(scores: Scores) -> dict[tuple[Group, PastMonth], bool]:
    """Whether each month fell into its interval."""
    out: dict[tuple[Group, PastMonth], bool] = {}
    ends = {month: pd.Period(month, "M").end_time for month in {m.month for rows in scores.values() for m, _ in rows}}
    for origin in {m.origin for rows in scores.values() for m, _ in rows}:
        before = {group: [(m, s) for m, s in rows if ends[m.month] <= origin + _DAY] for group, rows in scores.items()}
        known = widths(before)
        for group, rows in scores.items():
            for month, score in rows:
                if month.origin == origin and np.isfinite(score):
                    out[group, month] = score <= known.of(*group, month.ahead)
    return out


def _graded(group: Group, horizon: int, used: Sequence[tuple[PastMonth, bool | None]]) -> BacktestRow:
    origins = len({m.origin for m, _ in used})
    if not used:
        text = "no whole month lies after a past origin yet: the bill is too short to judge the forecast by"
        return BacktestRow(*group, horizon, 0, 0, None, "too short", None, None, None, text)
    own = float(np.mean([abs(m.came - m.said) / m.said for m, _ in used]))
    # Both on the same months, for the sake of fairness.
    both = [m for m, _ in used if m.naive > 0]
    naive = float(np.mean([abs(m.came - m.naive) / m.naive for m in both])) if both else None
    mine = float(np.mean([abs(m.came - m.said) / m.said for m in both])) if both else own
    short = origins < LEAST_ORIGINS or len(used) < LEAST_MONTHS
    grade = "too short" if short else variance_grade(own)
    judged = [x for _, x in used if x is not None]
    covered = float(np.mean(judged)) if judged else None
    beats = None if naive is None or short else mine < naive
    text = _told(horizon, origins, len(used), own, grade, naive, beats)
    return BacktestRow(*group, horizon, origins, len(used), own, grade, naive, beats, covered, text)


def _told(
    horizon: int, origins: int, months: int, own: float, grade: str, naive: float | None, beats: bool | None
) -> str:
    ahead = "the next month" if horizon == 1 else f"months up to {horizon} ahead"
    text = (
        f"{ahead} erred {words.percent(own)} on the mean, over {words.plural(months, 'month')} from "
        f"{words.plural(origins, 'past origin')}"
    )
    if grade == "too short":
        return f"{text}: too few to grade it"
    text += f" (FinOps grade: {grade})"
    if naive is None:
        return text
    if beats:
        return f"{text}; 'same as last month' would have erred {words.percent(naive)}"
    return f"{text}; it has LOST to 'same as last month', which would have erred {words.percent(naive)}"
