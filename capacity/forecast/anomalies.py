"""Points of the recent past that were not to be expected: outside a calibrated one-step interval, and rare.

Every point is judged by a guess and an interval that are made from what came before it. Over a whole batch the list is
kept short: 300 series have 180 points outside their 99 % intervals in 60 days by chance alone. The rule is that of
Benjamini and Hochberg (on the mean a share of the list is false), but for short lists, where it would demand what no
point can prove: a few false alarms are always allowed for, and their number is told.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt
import pandas as pd

from capacity.domain import Floats
from capacity.errors import UsageError
from capacity.forecast._history import Freq, History, Scale, Span, clean, scale_of, step_of
from capacity.forecast._one_step import one_step
from capacity.forecast._tails import NONE, Tail, counted, tail_of

# Steps of the recent past that are judged where nothing else is asked: 60 days, or 14 days of hours.
JUDGED_STEPS: Mapping[str, int] = {"D": 60, "h": 336}
# Steps before these that teach what is usual: a year of days, ten weeks of hours. More makes it slower, not better.
TAUGHT_STEPS: Mapping[str, int] = {"D": 365, "h": 1680}
# False alarms that are allowed for however short the list: one in so many points, and at least one. On 300 simulated
# series (18,000 points, errors of a Student t with 4 degrees) a threefold day is found 19 times of 30 with 2 false
# alarms; with one in 20,000 points 8 times and none; with one in 2,000 points 25 times, with 9 false alarms.
POINTS_PER_FALSE_ALARM, LEAST_FALSE_ALARMS = 5000, 1.0
# A point nearer to what was expected than this share is no news, however steady the series.
LEAST_CHANGE = 0.02


class Spanned(Protocol):
    """Whatever is known of in advance and covers spans of steps, both ends inclusive: an event, a holiday."""

    @property
    def spans(self) -> Sequence[Span]: ...


@dataclass(frozen=True)
class Point:
    """One point outside its interval.

    ``probability`` is of a point at least this far off, either way, when all is as ever. ``at_most`` says that it is
    rarer than could be counted: the probability given is one in as many points as there were.
    """

    ts: pd.Timestamp
    value: float
    q50: float
    low: float
    high: float
    probability: float
    at_most: bool

    @property
    def ratio(self) -> float:
        """Value over what was expected; infinite where nothing was."""
        return self.value / self.q50 if self.q50 else float("inf") * np.sign(self.value)

    @property
    def excess(self) -> float:
        """Value less what was expected, in the series' unit."""
        return self.value - self.q50


@dataclass(frozen=True)
class Episode:
    """Consecutive points of one series, all above or all below their intervals."""

    key: str
    points: tuple[Point, ...]

    @property
    def start(self) -> pd.Timestamp:
        return self.points[0].ts

    @property
    def end(self) -> pd.Timestamp:
        """The last step of it."""
        return self.points[-1].ts

    @property
    def worst(self) -> Point:
        """The rarest point; of several as rare, the one farthest from what was expected."""
        return min(self.points, key=lambda p: (p.probability, -abs(p.excess), p.ts))

    @property
    def excess(self) -> float:
        """Sum over its points of value less what was expected, in the series' unit times steps."""
        return float(sum(p.excess for p in self.points))


@dataclass(frozen=True)
class Watched:
    """What was found in a batch, the rarest first.

    ``judged`` points were looked at; ``outside`` fell out of their intervals, where ``outside_expected`` do by chance.
    ``listed`` of them are rare enough to be in ``episodes``, at most about ``false_expected`` of these by chance;
    points outside beside them belong to the same episode.
    """

    episodes: tuple[Episode, ...]
    judged: int
    outside: int
    outside_expected: float
    listed: int
    false_expected: float


@dataclass(frozen=True)
class Judgement:
    """Every judged point of one series, all (m,): zone-less steps, values, guess, interval, tail probability."""

    key: str
    index: pd.DatetimeIndex
    value: Floats
    q50: Floats
    low: Floats
    high: Floats
    probability: Floats
    counted: int

    @property
    def outside(self) -> npt.NDArray[np.intp]:
        """(m,) 1 above the interval, -1 below it, 0 within it or too near the guess to be news."""
        news = np.abs(self.value - self.q50) > LEAST_CHANGE * np.abs(self.q50)
        side = (self.value > self.high).astype(np.intp) - (self.value < self.low).astype(np.intp)
        return np.where(news, side, 0)


def anomalies(
    batch: Mapping[str, pd.Series],
    freq: Freq,
    *,
    level: float = 0.99,
    false_share: float = 0.1,
    masks: Mapping[str, Sequence[Span]] | None = None,
    occasions: Mapping[str, Sequence[Spanned]] | None = None,
    since: pd.Timestamp | None = None,
) -> Watched:
    """What was not to be expected in a batch of series.

    Parameters
    ----------
    batch
        Series by key, complete steps only; gaps are no points.
    level
        Of the one-step interval.
    false_share
        Largest expected share of false alarms in a long list; in a short one there may be one in 5,000 points judged,
        and always one.
    masks, occasions
        Spans by key that are known of (outages, events, holidays): never judged, never learned from.
    since
        First step that is judged; 60 days, or 14 days of hours, before each series' end where None.

    Raises
    ------
    UsageError
        ``level`` or ``false_share`` is no probability.
    """
    if not (0.5 <= level < 1.0 and 0.0 < false_share < 1.0):
        raise UsageError(f"level {level} and false_share {false_share}: give .5 to 1 and 0 to 1, e.g. .99 and .1")
    judged = judge(batch, freq, level=level, masks=masks, occasions=occasions, since=since)
    count = sum(len(j.index) for j in judged)
    listed, rare = _rare([j.probability[j.outside != 0] for j in judged], count, false_share)
    episodes = [e for j in judged for e in _episodes(j, rare)]
    return Watched(
        episodes=tuple(sorted(episodes, key=lambda e: (e.worst.probability, e.key, e.start))),
        judged=count,
        outside=sum(int((j.outside != 0).sum()) for j in judged),
        outside_expected=(1.0 - level) * count,
        listed=listed,
        false_expected=max(_allowed(count), false_share * listed) if listed else 0.0,
    )


def judge(
    batch: Mapping[str, pd.Series],
    freq: Freq,
    *,
    level: float = 0.99,
    masks: Mapping[str, Sequence[Span]] | None = None,
    occasions: Mapping[str, Sequence[Spanned]] | None = None,
    since: pd.Timestamp | None = None,
) -> tuple[Judgement, ...]:
    """Guess, interval and tail probability of every judged point, series by series in the order of their keys.

    What is usual is counted before the first judged step only, over all series and over the series itself.
    """
    taught = []
    for key in sorted(batch):
        known = _spans((masks or {}).get(key, ()), (occasions or {}).get(key, ()))
        scored = _scored(key, batch[key], freq, known, since)
        if scored is not None:
            taught.append(scored)
    own = [counted(t.before) for t in taught]
    everyone = sum(own, NONE)
    return tuple(t.judged(tail_of(everyone - o, o), level) for t, o in zip(taught, own, strict=True))


def _spans(masks: Sequence[Span], occasions: Iterable[Spanned]) -> tuple[Span, ...]:
    return (*masks, *(span for occasion in occasions for span in occasion.spans))


# --- one series --------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Scored:
    """A series with its guesses; ``first`` is the position of the first step that is judged."""

    history: History
    scale: Scale
    first: int
    expected: Floats
    size: Floats
    scores: Floats

    @property
    def before(self) -> Floats:
        """Errors over their usual size before the first judged step."""
        known = self.scores[: self.first]
        return known[np.isfinite(known)]

    def judged(self, tail: Tail, level: float) -> Judgement:
        at = self.first + np.flatnonzero(np.isfinite(self.scores[self.first :]))
        below, above = tail.reach(level)
        middle, size = self.expected[at], self.size[at]
        index = pd.DatetimeIndex(self.history.start + at * step_of(self.history.freq))
        return Judgement(
            key=self.history.key,
            index=index,
            value=self.history.y[at],
            q50=self.scale.inverse(middle),
            low=self.scale.inverse(middle - below * size),
            high=self.scale.inverse(middle + above * size),
            probability=tail.probability(self.scores[at]),
            counted=tail.counted,
        )


def _scored(
    key: str, series: pd.Series, freq: Freq, known: tuple[Span, ...], since: pd.Timestamp | None
) -> _Scored | None:
    history = clean(key, series, freq, known)
    if history is None:
        return None
    step = step_of(freq)
    first = len(history) - JUDGED_STEPS[freq] if since is None else int((since - history.start) // step)
    first = max(first, 0)
    skipped = max(0, min(first, len(history) - 1) - TAUGHT_STEPS[freq])
    history = History(key, freq, history.start + skipped * step, history.y[skipped:])
    first -= skipped
    # The scale is set by what was known before the first judged step: nothing that is judged bends its own ruler.
    ruler = history.y[:first] if np.isfinite(history.y[:first]).any() else history.y
    scale = scale_of(ruler)
    z = scale.forward(history.y)
    guess = one_step(z, freq)
    return _Scored(history, scale, first, guess.expected, guess.size, (z - guess.expected) / guess.size)


# --- the batch ---------------------------------------------------------------------------------------------


def _rare(outside: Sequence[Floats], judged: int, false_share: float) -> tuple[int, float]:
    """How many points are listed, and the largest probability among them: so that of all judged points no more than
    the allowed number are expected to be as rare by chance.
    """
    ordered = np.sort(np.concatenate([*outside, np.empty(0)]))
    allowed = np.maximum(false_share * np.arange(1, len(ordered) + 1), _allowed(judged)) / max(judged, 1)
    kept = np.flatnonzero(ordered <= allowed)
    return (int(kept[-1]) + 1, float(ordered[kept[-1]])) if len(kept) else (0, -1.0)


def _allowed(judged: int) -> float:
    """False alarms allowed for, however few points are listed."""
    return max(LEAST_FALSE_ALARMS, judged / POINTS_PER_FALSE_ALARM)


def _episodes(judged: Judgement, rare: float) -> list[Episode]:
    """Runs of points outside on one side, where at least one is rare enough."""
    side = judged.outside
    edges = np.flatnonzero(np.diff(side) != 0) + 1
    runs = np.split(np.arange(len(side)), edges)
    return [
        Episode(judged.key, tuple(_point(judged, int(i)) for i in run))
        for run in runs
        if len(run) and side[run[0]] != 0 and float(judged.probability[run].min()) <= rare
    ]


def _point(judged: Judgement, i: int) -> Point:
    least = 1.0 / (judged.counted + 1)
    value, q50, low, high, probability = (
        float(x[i]) for x in (judged.value, judged.q50, judged.low, judged.high, judged.probability)
    )
    return Point(judged.index[i], value, q50, low, high, max(probability, least), probability < least)
