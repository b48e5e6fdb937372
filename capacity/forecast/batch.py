"""``forecast_batch``: many series in, one calibrated forecast each out."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np
import pandas as pd

from capacity.domain import Floats, SeriesForecast
from capacity.errors import MissingDataError, UsageError
from capacity.forecast._calibrate import Spread, calibrate
from capacity.forecast._choice import Choice, choose, typical_errors
from capacity.forecast._history import EXPLOSION_FACTOR, Freq, History, Span, clean, recent_maximum
from capacity.forecast._paths import Dependence, latents, own_generator, sample
from capacity.forecast._quantiles import LEVELS, STORED
from capacity.forecast._study import Study, position, study

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
    workers: int = 1,
    max_history: int | None = None,
    masks: Mapping[str, Sequence[Span]] | None = None,
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
    workers
        Processes.
    max_history
        Longest history used, in steps.
    masks
        Key -> spans (both ends inclusive) to treat as missing: outages, past events.
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
        ``freq``, ``horizon``, ``n_paths`` or ``past_origins`` cannot be used.
    """
    _check(freq, horizon, n_paths, past_origins)
    cleaned = [clean(key, series, freq, (masks or {}).get(key, ()), max_history) for key, series in histories.items()]
    known = [h for h in cleaned if h is not None]
    if not known:
        raise MissingDataError(
            f"no value in any of the {len(histories)} series given; check the metric's name and the masks"
        )
    studies = list(_studied(known, horizon, past_origins, workers, progress))
    return assemble(studies, n_paths, seed)


def assemble(studies: Sequence[Study], n_paths: int, seed: int) -> dict[str, SeriesForecast]:
    """Choose, calibrate and draw: everything after the members have spoken. All studies share freq and horizon."""
    typical = typical_errors(studies)
    choices = [choose(s, typical) for s in studies]
    spreads, dependence = calibrate(studies, choices, seed)
    common = _Common(studies, dependence, n_paths, seed)
    return {
        s.history.key: _result(s, c, spread, common.latent(s, seed))
        for s, c, spread in zip(studies, choices, spreads, strict=True)
    }


def _check(freq: str, horizon: int, n_paths: int, past_origins: int) -> None:
    if freq not in ("D", "h"):
        raise UsageError(f'freq is {freq!r}; allowed are "D" (days) and "h" (hours)')
    for name, value in (("horizon", horizon), ("n_paths", n_paths), ("past_origins", past_origins)):
        if value < 1:
            raise UsageError(f"{name} is {value}; it must be at least 1")


def _studied(
    known: Sequence[History], horizon: int, past_origins: int, workers: int, progress: Progress | None
) -> Iterator[Study]:
    for done, one in enumerate(_run(known, horizon, past_origins, workers), 1):
        if progress is not None:
            progress(done, len(known), one.history.key)
        yield one


def _run(known: Sequence[History], horizon: int, past_origins: int, workers: int) -> Iterator[Study]:
    if workers <= 1 or len(known) < LEAST_FOR_WORKERS:
        return (study(history, horizon, past_origins) for history in known)
    from joblib import Parallel, delayed, parallel_config

    with parallel_config(backend="loky", inner_max_num_threads=1):
        jobs = (delayed(study)(history, horizon, past_origins) for history in known)
        out: Iterator[Study] = iter(Parallel(n_jobs=workers, return_as="generator", batch_size=1)(jobs))
    return out


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
    if bool((values >= top).any()) and not scale.signed and top > 0:
        flags.append(f"quantiles capped at {EXPLOSION_FACTOR:.0f} x the recent maximum")
    flags += _shape_flags(one)
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
    )


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
