"""Why a forecast looks as it does: Prophet's parts of a series, in numbers that multiply exactly, and in words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from capacity.domain import SeriesForecast
from capacity.errors import MissingDataError, UsageError
from capacity.forecast._components import LEAST, Components, decompose
from capacity.forecast._history import Freq, History, Span, clean
from capacity.forecast._sentences import Growth, explained_of, growth_of, sentences
from capacity.forecast._workers import chunk_size, chunked, spread
from capacity.words import number

if TYPE_CHECKING:
    from capacity.forecast.occasions import Occasion

# Fewer series than this are explained in this process.
LEAST_FOR_WORKERS = 200
COLUMNS: tuple[str, ...] = ("ts", "actual", "trend", "weekly", "yearly", "events", "fitted")


@dataclass(frozen=True)
class Explanation:
    """The parts of one series.

    Attributes
    ----------
    frame
        A row a step of history and horizon: ts, actual (NaN over the horizon and where nothing was seen), trend (in the
        unit of the series, level shifts in it), the factors weekly, yearly and events, and fitted = trend × weekly ×
        yearly × events; hours have a factor daily as well. A part that the history is too short for is 1. All but
        ``actual`` is NaN where the parts cannot be told apart; ``words`` say why.
    words
        Sentences, the growth first; never empty.
    growth
        Of the trend over the last quarter; None where nothing was fitted.
    explained_frac
        Share of the variance of the past that the parts explain, on a log scale, in [0, 1].
    """

    key: str
    freq: Freq
    origin: pd.Timestamp
    frame: pd.DataFrame
    words: tuple[str, ...]
    growth: Growth | None = None
    explained_frac: float | None = None


def explain(
    series: pd.Series,
    freq: Freq,
    horizon: int,
    *,
    occasions: Sequence[Occasion] = (),
    forecast: SeriesForecast | None = None,
    masks: Sequence[Span] = (),
    max_history: int | None = None,
) -> Explanation:
    """Decompose one series with Prophet, and say in words what it shows.

    Prophet is fitted once by maximum a posteriori on the same log-like scale as the forecasts, with ``occasions`` and
    the forecast's level shifts as regressors. It explains; the forecast that is used may differ, and the words say how.

    Parameters
    ----------
    series
        As for :func:`capacity.forecast.forecast_batch`. Its name is the key.
    freq, horizon
        "D" or "h", and how many steps ahead the frame goes (0 for the past alone).
    occasions
        Events and holidays with their past and coming spans. One with a given multiplier has it over the horizon.
    forecast
        The forecast that is used for this series; its learned effects and level shifts are told.
    masks
        Spans to leave out (both ends inclusive). Days of ``occasions`` should not be among them: a masked occurrence
        teaches nothing.
    max_history
        Longest history used, in steps; never more than three years of days or eight weeks of hours.

    Raises
    ------
    MissingDataError
        The series has no value.
    UsageError
        ``freq`` or ``horizon`` cannot be used.
    """
    if freq not in ("D", "h"):
        raise UsageError(f'freq is {freq!r}; allowed are "D" (days) and "h" (hours)')
    if horizon < 0:
        raise UsageError(f"horizon is {horizon}; it must be at least 0")
    history = clean(str(series.name or ""), series, freq, masks, max_history)
    if history is None:
        raise MissingDataError(f"series {series.name!r}: no value in it; check the metric's name and the masks")
    parts = decompose(history, horizon, occasions, forecast.shifts if forecast else ())
    if parts is None:
        return Explanation(history.key, freq, history.origin, _bare(history, horizon), (_untold(history),))
    return Explanation(
        key=history.key,
        freq=freq,
        origin=history.origin,
        frame=_frame(parts, history),
        words=sentences(parts, forecast),
        growth=growth_of(parts),
        explained_frac=explained_of(parts),
    )


def explain_batch(
    histories: Mapping[str, pd.Series],
    forecasts: Mapping[str, SeriesForecast],
    *,
    occasions: Mapping[str, Sequence[Occasion]] | None = None,
    masks: Mapping[str, Sequence[Span]] | None = None,
    workers: int = 1,
) -> Iterator[tuple[str, Explanation]]:
    """:func:`explain` each series that has a forecast, beside it, in the order of ``forecasts``.

    Processes are used from 200 series on: before that they take longer to start than the fits (about 15 ms each).
    """
    jobs = (
        (histories[key].rename(key), _light(f), (occasions or {}).get(key, ()), (masks or {}).get(key, ()))
        for key, f in forecasts.items()
        if key in histories
    )
    count = workers if len(forecasts) >= LEAST_FOR_WORKERS else 1
    for chunk in spread(_chunk, chunked(jobs, chunk_size(len(forecasts), max(count, 1))), count):
        yield from ((one.key, one) for one in chunk)


_Job = tuple[pd.Series, SeriesForecast, Sequence["Occasion"], Sequence[Span]]


def _light(forecast: SeriesForecast) -> SeriesForecast:
    """Without its paths: they are what is heavy to hand over, and nothing is told from them."""
    return replace(forecast, paths=np.empty((0, len(forecast.index)), dtype=np.float32), past=None)


def _chunk(jobs: Sequence[_Job]) -> list[Explanation]:
    return [
        explain(series, known.freq, len(known.index), occasions=occasions, forecast=known, masks=masks)
        for series, known, occasions, masks in jobs
    ]


def _columns(freq: Freq) -> list[str]:
    return [*COLUMNS] if freq == "D" else [*COLUMNS[:3], "daily", *COLUMNS[3:]]


def _frame(parts: Components, history: History) -> pd.DataFrame:
    actual = np.full(len(parts.stamps), np.nan)
    actual[: len(parts)] = history.y[-len(parts) :]
    frame = pd.DataFrame({"ts": parts.stamps, "actual": actual, **parts.factors})
    return frame[_columns(parts.freq)]


def _bare(history: History, horizon: int) -> pd.DataFrame:
    stamps = pd.date_range(history.start, periods=len(history) + horizon, freq=history.freq)
    actual = np.concatenate([history.y, np.full(horizon, np.nan)])
    return pd.DataFrame({"ts": stamps, "actual": actual}).reindex(columns=_columns(history.freq))


def _untold(history: History) -> str:
    """Why there are no parts."""
    known = history.y[history.seen]
    step = "days" if history.freq == "D" else "hours"
    if float(np.ptp(known)) == 0.0 and len(known) > 1:
        return f"Always {number(float(known[0]))}: nothing to explain"
    if len(known) < LEAST[history.freq]:
        return f"Growth and shapes cannot be told yet: {len(known)} {step} are known, {LEAST[history.freq]} are needed"
    if history.scale.signed:
        return "Growth and factors are not told: the series has values below zero, which no factor can explain"
    return "Nothing to explain: the values hardly differ"
