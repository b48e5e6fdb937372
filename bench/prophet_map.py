"""``python -m bench.prophet_map [FITS]``: fits of 730 daily points by CmdStan and by NumPy in one run, and their parts.

Real daily recordings of two years where CAPACITY_REAL_DATA has any, simulated ones beside them.
"""

from __future__ import annotations

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # before NumPy: what worker processes do

import dataclasses
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from capacity.forecast._map_backend import by_numpy
from capacity.forecast._map_fit import fit_map
from capacity.forecast._map_posterior import posterior_of
from capacity.forecast.members.prophet_map import _fit, silence

ROOT = Path(__file__).resolve().parents[1]
POINTS, HORIZON, SIMULATED = 730, 90, 8
BAR_MS = 25.0
MODES = ("additive", "multiplicative")


def main() -> None:
    fits = int(sys.argv[1]) if len(sys.argv) > 1 else 7
    frames = [*_recordings(), *_simulated()]
    print(f"{len(frames)} series of {POINTS} days, median of {fits} fits each, milliseconds: median (largest)")
    for mode in MODES:
        rows = [_times(frame, mode, fits) for frame in frames]
        for name in rows[0]:
            values = [row[name] for row in rows]
            print(f"{mode:<15} {name:<44} {statistics.median(values):>8.2f} ({max(values):.2f})")
        ours = statistics.median(row["NumPy back end, whole fit"] for row in rows)
        print(f"{mode:<15} {'bar':<44} {BAR_MS:>8.2f} {'kept' if ours <= BAR_MS else 'MISSED'}")


def _times(frame: pd.DataFrame, mode: str, fits: int) -> dict[str, float]:
    from prophet import Prophet

    def new() -> Any:
        return Prophet(seasonality_mode=mode, uncertainty_samples=0)

    model = by_numpy(new()).fit(frame)
    inputs = new().preprocess(frame)
    data, first = dataclasses.asdict(inputs), _line(model, inputs.K)
    ahead = pd.DataFrame({"ds": pd.date_range(frame["ds"].iloc[0], periods=POINTS + HORIZON)})
    stamps, z = pd.DatetimeIndex(ahead["ds"]), frame["y"].to_numpy(dtype=float)
    return {
        "Prophet().fit(), CmdStan": _median(lambda: _cmdstan(new(), frame), fits),
        "NumPy back end, whole fit": _median(lambda: by_numpy(new()).fit(frame), fits),
        "  of it Prophet's preprocessing": _median(lambda: new().preprocess(frame), fits),
        "  of it the search": _median(lambda: fit_map(posterior_of(data), first), fits),
        "predict() without intervals": _median(lambda: model.predict(ahead), fits),
        "the member: fit, trend and seasons": _median(lambda: _fit(stamps, z, "D"), fits),
    }


def _cmdstan(model: Any, frame: pd.DataFrame) -> None:
    model.fit(frame)
    model.stan_backend.cleanup()


def _line(model: Any, n_features: int) -> np.ndarray:
    start = model.calculate_initial_params(n_features)
    return np.concatenate([[start.k, start.m], start.delta, start.beta])


def _median(run: Callable[[], object], times: int) -> float:
    run()
    taken = []
    for _ in range(times):
        began = time.perf_counter()
        run()
        taken.append(1e3 * (time.perf_counter() - began))
    return statistics.median(taken)


def _recordings() -> Iterator[pd.DataFrame]:
    folder = Path(os.environ.get("CAPACITY_REAL_DATA", ROOT.parent / "shared" / "data")) / "usage" / "daily"
    for path in sorted(folder.glob("*.csv")):
        frame = pd.read_csv(path, parse_dates=["ds"]).groupby("ds", as_index=False)["y"].mean()
        if len(frame) >= POINTS:
            yield frame.tail(POINTS).reset_index(drop=True)


def _simulated() -> Iterator[pd.DataFrame]:
    """Growth with two bends, a week, a year, and noise that remembers."""
    for seed in range(SIMULATED):
        rng = np.random.default_rng(seed)
        t = np.arange(POINTS)
        bends = [rng.normal(0, 0.1) * np.maximum(t - at, 0) for at in (200, 450)]
        noise = pd.Series(rng.normal(0, 3, POINTS)).ewm(alpha=0.5).mean().to_numpy()
        week, year = 8 * np.sin(2 * np.pi * t / 7), 12 * np.cos(2 * np.pi * t / 365.25)
        y = 200 + 0.05 * t + sum(bends) + week + year + noise
        yield pd.DataFrame({"ds": pd.date_range("2023-01-02", periods=POINTS), "y": y})


if __name__ == "__main__":
    silence()
    import prophet  # noqa: F401 - its import turns its own messages on again

    silence()
    main()
