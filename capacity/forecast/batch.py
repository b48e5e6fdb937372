"""``forecast_batch`` and ``forecast_stream``: many series in, one calibrated forecast each out."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from capacity.domain import Floats, PastMedians, SeriesForecast
from capacity.errors import MissingDataError, UsageError
from capacity.forecast._calibrate import Spread, calibrate
from capacity.forecast._choice import Choice, choose, typical_errors
from capacity.forecast._history import EXPLOSION_FACTOR, Freq, History, Span, clean, recent_maximum, step_of
from capacity.forecast._memory import Recall, Told, forget_old, read, touch, write
from capacity.forecast._paths import Dependence, latents, own_generator, sample, steadied
from capacity.forecast._quantiles import LEVELS, MEDIAN, STORED
from capacity.forecast._study import Study, position, reach, study
from capacity.forecast._workers import Kind, chunk_size, chunked, spread
from capacity.forecast.shifts import level_shifts

if TYPE_CHECKING:
    from capacity.forecast.occasions import Occasion

Progress = Callable[[int, int, str], None]
# Fewer series than this are done in this process: starting workers takes longer.
LEAST_FOR_WORKERS = 4


def forecast_batch(
    histories: Mapping[str, pd.Series],
    *,
    freq: Freq,
    horizon: int,
    n_paths: int = 1000,
    seed: int = 1,
    past_origins: int = 4,
    past_step: int | None = None,
    anchored: bool = False,
    workers: int = 1,
    workers_kind: Kind = "processes",
    scheduler: str | None = None,
    max_history: int | None = None,
    masks: Mapping[str, Sequence[Span]] | None = None,
    lower_bounds: Mapping[str, Sequence[Span]] | None = None,
    occasions: Mapping[str, Sequence[Occasion]] | None = None,
    memory: Path | None = None,
    progress: Progress | None = None,
) -> dict[str, SeriesForecast]:
    """Forecast every series of a batch, with intervals and joint paths calibrated on the batch's past origins.

    Parameters
    ----------
    histories
        Key -> series with a DatetimeIndex (zone-less; stamps with a zone are read as UTC). Order does not matter,
        several values of a step are averaged, gaps are missing values. The horizon starts after each series' own last
        value.
    freq
        "D" for days, "h" for hours.
    horizon
        Steps to forecast, at least 1.
    n_paths
        Rows of the joint sample paths.
    seed
        All randomness; the same seed gives the same result for any number of workers.
    past_origins
        Past origins at which Prophet is fitted again; the cheap members are tried at three times as many.
    past_step
        Steps between past origins: a third of the horizon unless given (spend looks back at the dates demand does).
    anchored
        Past origins lie on a fixed calendar grid instead of at whole steps before the end: they stay where they are as
        days arrive, so that ``memory`` spares their work, but the latest may be a step older, and fall on other
        weekdays or hours than the coming horizon begins on.
    workers, workers_kind
        Processes or threads at home. Threads share one interpreter: they are for places where no process may start.
    scheduler
        Address of a Dask scheduler, ``tcp://host:port``: its workers do the work instead.
    max_history
        Most steps before an origin that are seen from there.
    masks
        Key -> spans (both ends inclusive) to treat as missing: outages, past events.
    lower_bounds
        Key -> spans whose values are lower bounds of the demand.
    occasions
        Key -> events and holidays, past and coming.
    memory
        Folder of what members said at past origins: with it, a day more asks them about that day only. Nothing is
        kept where None.
    progress
        Called as (done, all, key) after each series.

    Returns
    -------
    dict
        One forecast a key, in the order given. A series without a single value has none: look for its key.

    Raises
    ------
    MissingDataError
        No series of the batch has a value.
    UsageError
        ``freq``, ``horizon``, ``n_paths`` or ``past_origins`` cannot be used, or the cluster cannot.
    """
    stream = forecast_stream(
        histories, freq=freq, horizon=horizon, n_paths=n_paths, seed=seed, past_origins=past_origins,
        past_step=past_step, anchored=anchored, workers=workers, workers_kind=workers_kind, scheduler=scheduler,
        max_history=max_history, masks=masks, lower_bounds=lower_bounds, occasions=occasions, memory=memory,
        progress=progress,
    )  # fmt: skip
    return {one.key: one for one in stream}


def forecast_stream(
    histories: Mapping[str, pd.Series],
    *,
    freq: Freq,
    horizon: int,
    n_paths: int = 1000,
    seed: int = 1,
    past_origins: int = 4,
    past_step: int | None = None,
    anchored: bool = False,
    workers: int = 1,
    workers_kind: Kind = "processes",
    scheduler: str | None = None,
    max_history: int | None = None,
    masks: Mapping[str, Sequence[Span]] | None = None,
    lower_bounds: Mapping[str, Sequence[Span]] | None = None,
    occasions: Mapping[str, Sequence[Occasion]] | None = None,
    memory: Path | None = None,
    progress: Progress | None = None,
) -> Iterator[SeriesForecast]:
    """:func:`forecast_batch`, one forecast at a time: paths are drawn as they are taken, and nothing holds them all.

    The members are asked before the first is given, because intervals are calibrated on all series together; errors
    are raised by the call itself.
    """
    _check(freq, horizon, n_paths, past_origins)
    longest = None if max_history is None else max_history + reach(horizon, past_origins, past_step)
    cleaned = [
        _windowed(
            clean(key, series, freq, (masks or {}).get(key, ()), longest, **_bounds(lower_bounds, key)), max_history
        )
        for key, series in histories.items()
    ]
    known = [h for h in cleaned if h is not None]
    if not known:
        raise MissingDataError(
            f"no value in any of the {len(histories)} series given; check the metric's name and the masks"
        )
    jobs = _jobs(known, occasions or {}, memory)
    ask = partial(_study_chunk, horizon, past_origins, past_step, anchored, memory is not None)
    count = workers if len(known) >= LEAST_FOR_WORKERS else 1
    found = spread(ask, chunked(jobs, chunk_size(len(known), max(count, 1))), count, workers_kind, scheduler)
    return assemble(_studied(found, len(known), memory, progress), n_paths, seed)


def assemble(studies: Sequence[Study], n_paths: int, seed: int) -> Iterator[SeriesForecast]:
    """Choose, calibrate and draw: everything after the members have spoken. All studies share freq and horizon."""
    typical = typical_errors(studies)
    choices = [choose(s, typical) for s in studies]
    spreads, dependence = calibrate(studies, choices, seed)
    common = _Common(studies, dependence, n_paths, seed)
    return (
        _result(s, c, spread, steadied(common.latent(s, seed), spread.climbing))
        for s, c, spread in zip(studies, choices, spreads, strict=True)
    )


def _check(freq: str, horizon: int, n_paths: int, past_origins: int) -> None:
    if freq not in ("D", "h"):
        raise UsageError(f'freq is {freq!r}; allowed are "D" (days) and "h" (hours)')
    for name, value in (("horizon", horizon), ("n_paths", n_paths), ("past_origins", past_origins)):
        if value < 1:
            raise UsageError(f"{name} is {value}; it must be at least 1")


def _bounds(lower_bounds: Mapping[str, Sequence[Span]] | None, key: str) -> dict[str, Any]:
    return {"lower_bounds": lower_bounds[key]} if lower_bounds and key in lower_bounds else {}


def _windowed(history: History | None, max_history: int | None) -> History | None:
    """Each origin sees the same number of steps: a start that moved every day would change what it says."""
    return None if history is None else replace(history, window=max_history)


# --- asking the members ----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Job:
    """What a worker needs of one series."""

    history: History
    occasions: tuple[Occasion, ...]
    told: Mapping[str, Told]


@dataclass(frozen=True)
class _Answer:
    """A study, and what is to be remembered of it: names of answers used, and the new ones among them."""

    study: Study
    changed: bool
    used: tuple[str, ...]
    fresh: Mapping[str, Told]


def _jobs(known: Sequence[History], occasions: Mapping[str, Sequence[Occasion]], memory: Path | None) -> Iterator[_Job]:
    """Made as they are needed. Files are read and written here, not by workers: a cluster has no folder of ours."""
    for h in known:
        yield _Job(h, tuple(occasions.get(h.key, ())), read(memory, h.key) if memory is not None else {})


def _study_chunk(
    horizon: int, past_origins: int, past_step: int | None, anchored: bool, keeps: bool, jobs: Sequence[_Job]
) -> list[_Answer]:
    out = []
    for job in jobs:
        recall = Recall(job.told, keeps=keeps)
        one = study(job.history, horizon, past_origins, past_step, anchored, job.occasions, recall)
        out.append(_Answer(one, recall.changed, tuple(recall.used), recall.fresh))
    return out


def _studied(found: Iterator[list[_Answer]], total: int, memory: Path | None, progress: Progress | None) -> list[Study]:
    out: list[Study] = []
    for chunk in found:
        for answer in chunk:
            out.append(answer.study)
            if memory is not None:
                _remember(memory, answer)
            if progress is not None:
                progress(len(out), total, answer.study.history.key)
    if memory is not None:
        forget_old(memory)
    return out


def _remember(memory: Path, answer: _Answer) -> None:
    key = answer.study.history.key
    if not answer.changed:
        touch(memory, key)
        return
    now = {**read(memory, key), **answer.fresh}
    write(memory, key, {name: now[name] for name in answer.used if name in now})


# --- paths -----------------------------------------------------------------------------------------------------


class _Common:
    """The latent that all series of a call share, laid out in calendar time so that equal dates meet."""

    def __init__(self, studies: Sequence[Study], dependence: Dependence, n_paths: int, seed: int) -> None:
        firsts = [position(s, len(s.history)) for s in studies]
        self.dependence, self.n_paths = dependence, n_paths
        # Series that ended long ago share no future with the others; their latents start where the batch's do.
        latest = max(firsts)
        self.base = max(min(firsts), latest - 4 * studies[0].horizon)
        self.shared = latents(dependence, n_paths, latest - self.base + studies[0].horizon, np.random.default_rng(seed))

    def latent(self, one: Study, seed: int) -> Floats:
        """(P, H) latents of one series."""
        at = max(0, position(one, len(one.history)) - self.base)
        own = latents(self.dependence, self.n_paths, one.horizon, own_generator(seed, one.history.key))
        share = self.dependence.common
        return np.asarray(
            np.sqrt(share) * self.shared[:, at : at + one.horizon] + np.sqrt(1.0 - share) * own, dtype=float
        )


def _result(one: Study, choice: Choice, spread: Spread, latent: Floats) -> SeriesForecast:
    scale, history = one.history.scale, one.history
    top, flags = _cap(history), list(one.flags)
    values = np.clip(scale.inverse(choice.final + spread.pointwise), -top, top)
    peak = np.clip(scale.inverse(spread.peak_centre + spread.peak), -top, top)
    total = np.clip(scale.inverse(spread.total_centre + spread.total), -top, top) * one.horizon
    peak, total = _coherent(values, peak, total)
    if bool((values >= top).any()) and not scale.signed and top > 0:
        flags.append(f"quantiles capped at {EXPLOSION_FACTOR:.0f} x the recent maximum")
    shifts = level_shifts(history.upto(len(history)))
    flags += [*_shape_flags(one), *(f"level x {s.ratio:.2g} since {s.at:%Y-%m-%d}" for s in shifts)]
    index = pd.date_range(history.origin, periods=one.horizon + 1, freq=history.freq)[1:]
    return SeriesForecast(
        key=history.key,
        freq=history.freq,
        origin=history.origin,
        index=index,
        quantiles=values[STORED],
        paths=sample(values, LEVELS, latent),
        peak=peak[STORED],
        total=total[STORED],
        model=choice.model,
        reason=choice.reason,
        scores=choice.scores,
        flags=tuple(flags),
        learned=one.learned,
        shifts=shifts,
        past=_past(one, choice),
    )


def _coherent(values: Floats, peak: Floats, total: Floats) -> tuple[Floats, Floats]:
    """Quantiles (L,) of maximum and total that no step's own ``values`` (L, H) contradict.

    The largest value is never below any one of them, so up to the median its quantiles are at least the largest step's.
    (Above it they rest on other errors than the steps' do, and are better calibrated.) A total is highest where all
    steps are high at once: above the median its quantiles are at most the sum of the steps', which stops the log scale
    from exploding on histories of a few points.
    """
    low, high = LEVELS[MEDIAN] >= LEVELS, LEVELS[MEDIAN] < LEVELS
    peak = np.where(low, np.maximum(peak, values.max(axis=1)), peak)
    total = np.where(high, np.minimum(total, np.maximum(values.sum(axis=1), total[MEDIAN])), total)
    return np.maximum.accumulate(peak), np.maximum.accumulate(total)


def _past(one: Study, choice: Choice) -> PastMedians:
    history = one.history
    stamps = tuple(history.start + (n - 1) * step_of(history.freq) for n in one.origins)
    return PastMedians(stamps, history.scale.inverse(choice.past).astype(np.float32))


def _cap(history: History) -> float:
    """Largest value that is believed: ten times the recent maximum, or the largest ever seen where that is more."""
    if history.scale.signed:
        return EXPLOSION_FACTOR * float(np.nanmax(np.abs(history.y)))
    recent = recent_maximum(history.y, history.freq)
    return max(EXPLOSION_FACTOR * recent, float(np.nanmax(history.y)))


def _shape_flags(one: Study) -> list[str]:
    history = one.history
    out = []
    if float(np.nanmax(history.y) - np.nanmin(history.y)) == 0.0:
        out.append("constant")
    view = history.upto(len(history))
    if view.short:
        out.append("short history: robust members only")
    if not one.origins:
        out.append("no past origin: spread from experience")
    missing = 1.0 - float(history.seen.mean())
    if missing > 0.05:
        out.append(f"{missing:.0%} of the history missing")
    return out
