"""Rolling-origin backtest through ``forecast_batch`` itself: never looking ahead."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from capacity.domain import QUANTILES, Floats, SeriesForecast
from capacity.errors import MissingDataError
from capacity.forecast._history import Freq, History, clean, step_of
from capacity.forecast.batch import Progress, forecast_batch

COLUMNS = ("series", "origin", "who", "mase", "rel", "c80", "c95", "peak_covered", "total_covered", "pinball90")
# Least history at an origin, in days.
LEAST_DAYS = 21


def backtest(
    histories: Mapping[str, pd.Series],
    *,
    freq: Freq,
    horizon: int,
    origins: int = 4,
    step: int | None = None,
    seed: int = 1,
    past_origins: int = 4,
    workers: int = 1,
    scheduler: str | None = None,
    max_history: int | None = None,
    n_paths: int = 200,
    prophet_default: bool = False,
    progress: Progress | None = None,
) -> pd.DataFrame:
    """Forecast from ``origins`` past moments, ``step`` apart (a third of the horizon), and score what came.

    Each series is cut at each origin before it is given to :func:`forecast_batch`.

    Returns
    -------
    One row a series, origin and who (``capacity``, ``seasonal_naive`` and, where asked, ``prophet_default``, which
    also draws intervals of Prophet's own). mase: mean absolute error over the mean absolute seasonal difference of the
    history; rel: over the seasonal naive's error; c80, c95: share of steps within the interval; peak_covered: whether
    the largest value stayed below the P90 of the horizon's maximum; total_covered: whether the total lay within its
    80 % interval; pinball90: pinball loss of the P90, scaled as mase. NaN where ``who`` gives no such quantile.

    Raises
    ------
    MissingDataError
        No series reaches back far enough for a single origin.
    """
    known = [h for key, series in histories.items() if (h := clean(key, series, freq)) is not None]
    gap = step if step is not None else max(1, horizon // 3)
    least = LEAST_DAYS * (1 if freq == "D" else 24)
    rows: list[dict[str, object]] = []
    for k in range(origins):
        cuts = {h.key: (h, len(h) - horizon - k * gap) for h in known if len(h) - horizon - k * gap >= least}
        given = {key: _series(h, end) for key, (h, end) in cuts.items()}
        given = {key: s for key, s in given.items() if s.notna().any()}
        if not given:
            continue
        said = forecast_batch(
            given, freq=freq, horizon=horizon, n_paths=n_paths, seed=seed, past_origins=past_origins, workers=workers,
            scheduler=scheduler, max_history=max_history, progress=progress,
        )  # fmt: skip
        for key, forecast in said.items():
            rows += _scored(cuts[key][0], forecast, prophet_default)
    if not rows:
        raise MissingDataError(
            f"no series has the {LEAST_DAYS} days of history before its last {horizon} steps that a backtest needs; "
            "shorten the horizon"
        )
    return pd.DataFrame(rows, columns=list(COLUMNS))


def _series(history: History, end: int) -> pd.Series:
    index = pd.date_range(history.start, periods=end, freq=history.freq)
    return pd.Series(history.y[:end], index=index)


def _scored(history: History, forecast: SeriesForecast, prophet_default: bool) -> list[dict[str, object]]:
    """Score one forecast from its own origin: the last value before the cut, which a gap moves back."""
    end = (forecast.origin - history.start) // step_of(history.freq) + 1
    actual = history.y[end : end + len(forecast.index)]
    if not np.isfinite(actual).any():
        return []
    view = history.upto(end)
    past = history.y[:end]
    gaps = np.abs(past[view.period :] - past[: -view.period])
    scale = float(np.nanmean(gaps)) if np.isfinite(gaps).any() and np.nanmean(gaps) > 0 else 1.0
    naive = view.scale.inverse(np.resize(view.filled[-view.period :], len(actual)))
    base = float(np.nanmean(np.abs(actual - naive)))
    common: dict[str, object] = {"series": history.key, "origin": forecast.origin}
    rows = [
        common | {"who": "capacity"} | _measures(actual, forecast.quantiles, forecast.peak, forecast.total, base, scale)
    ]
    rows.append(common | {"who": "seasonal_naive", "mase": base / scale, "rel": 1.0})
    if prophet_default:
        rows.append(
            common
            | {"who": "prophet_default"}
            | _measures(actual, *_prophet(_series(history, end), forecast), base, scale)
        )
    return rows


def _measures(
    actual: Floats, quantiles: Floats, peak: Floats, total: Floats, base: float, scale: float
) -> dict[str, object]:
    at = {q: i for i, q in enumerate(QUANTILES)}
    seen = np.isfinite(actual)
    y, q = actual[seen], quantiles[:, seen]
    mae = float(np.mean(np.abs(y - q[at[0.5]])))
    upper = q[at[0.9]]
    share = float(seen.mean())
    summed = float(y.sum()) / share
    return {
        "mase": mae / scale,
        "rel": mae / base if base > 0 else (1.0 if mae == 0 else float("inf")),
        "c80": float(np.mean((y >= q[at[0.1]]) & (y <= upper))),
        "c95": float(np.mean((y >= q[at[0.025]]) & (y <= q[at[0.975]]))),
        "peak_covered": float(y.max() <= peak[at[0.9]]),
        "total_covered": float(total[at[0.1]] <= summed <= total[at[0.9]]),
        "pinball90": float(np.mean(np.maximum(0.9 * (y - upper), -0.1 * (y - upper)))) / scale,
    }


def _prophet(history: pd.Series, forecast: SeriesForecast) -> tuple[Floats, Floats, Floats]:
    """Quantiles, peak and total of Prophet with its defaults, its trend and noise drawn from a generator of our own."""
    from capacity.forecast.members.prophet_map import default_paths

    paths = default_paths(history, forecast.index, len(forecast.paths))
    levels = list(QUANTILES)
    return (
        np.quantile(paths, levels, axis=0),
        np.quantile(paths.max(axis=1), levels),
        np.quantile(paths.sum(axis=1), levels),
    )
