"""``python -m bench.scale [SERVICES ...]``: many services forecast for the first time, and again a day later.

Three daily series a service (mean demand, its peak, spend) of two years, generated: growth with bends, a week, a
year, a level that drifts, noise that remembers. Horizon 90 days, 1,000 joint paths a series, past origins and
calibration and all. Each run is a process of its own on two workers; paths go to disk as the pipeline keeps them.
Beside it a plain loop of Prophet's own fit and prediction, without past origins or choice, of a sample, extrapolated.
"""

from __future__ import annotations

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # before NumPy: what worker processes do

import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.signal import lfilter

from bench.measure import Measured, measure

SERVICES = (100, 300, 1000)
TARGETS = 3
DAYS, HORIZON, PATHS, WORKERS = 730, 90, 1000, 2
# Past origins lie on a grid of 30 days since 1970: a last day that is none of it, nor the day before.
LAST_DAY = pd.Timestamp("2026-09-20")
SAMPLE = 9
BARS = {"first": 20 * 60.0, "memory": 4 * 2**30, "refresh": 4 * 60.0}
BARS_FOR = 1000


def main(wanted: list[str]) -> None:
    if wanted[:1] == ["--run"]:
        run(int(wanted[1]), int(wanted[2]), Path(wanted[3]))
        return
    counts = [int(n) for n in wanted] or list(SERVICES)
    print(f"{TARGETS} series a service, {DAYS} days, horizon {HORIZON}, {PATHS} paths, {WORKERS} workers")
    print(f"{'services':>8} {'run':<30} {'seconds':>8} {'ms a series':>12} {'peak MiB':>9}")
    for services in counts:
        with tempfile.TemporaryDirectory() as folder:
            first = _measured(services, 0, Path(folder))
            _row(services, "first", first)
            again = _measured(services, 1, Path(folder))
            _row(services, "a day later", again)
            _row(services, "a past origin falls due", _measured(services, _days_to_due(), Path(folder)))
        if services >= BARS_FOR:
            _bars(first, again)
    _prophet_loop(counts)


def run(services: int, later: int, folder: Path) -> None:
    """One forecast of everything as it is known ``later`` days after :data:`LAST_DAY`."""
    from capacity.forecast import forecast_stream
    from capacity.pipeline.kept import Keeper

    with Keeper(folder / "forecasts", f"day{later}") as keeper:
        stream = forecast_stream(
            histories(services, later), freq="D", horizon=HORIZON, n_paths=PATHS, workers=WORKERS,
            memory=folder / "origins", anchored=True,
        )  # fmt: skip
        known = [keeper.add(one) for one in stream]
    assert len(known) == TARGETS * services  # a benchmark of nothing would be fast


def histories(services: int, later: int = 0) -> dict[str, pd.Series]:
    """Series of all services up to ``later`` days after :data:`LAST_DAY`; what was before does not depend on it."""
    ahead = 60
    index = pd.date_range(end=LAST_DAY + pd.Timedelta(days=ahead), periods=DAYS + ahead, freq="D")
    kept = len(index) - ahead + later
    out = {}
    for i in range(services):
        for name, values in _service(np.random.default_rng(i), len(index)).items():
            out[f"s{i:04d}|{name}"] = pd.Series(values[:kept], index=index[:kept])
    return out


def _service(rng: np.random.Generator, n: int) -> dict[str, np.ndarray]:
    t = np.arange(n)
    bends = sum(rng.normal(0, 4e-4) * np.maximum(t - at, 0) for at in rng.integers(0, n, 3))
    week = np.resize(np.r_[np.zeros(5), -rng.uniform(0.0, 0.5, 2)], n)
    year = rng.uniform(0, 0.2) * np.sin(2 * np.pi * (t / 365.25 + rng.random()))
    level = np.cumsum(rng.normal(0, rng.uniform(0.002, 0.012), n))
    log_mean = rng.normal(4, 1.5) + rng.normal(0, 5e-4) * t + bends + week + year + level + _noise(rng, n, 0.06)
    peak = log_mean + np.log(rng.uniform(1.3, 2.5)) + np.abs(_noise(rng, n, 0.08))
    rate, fixed = rng.uniform(0.5, 2.0), rng.uniform(0.1, 1.0)
    mean = np.exp(log_mean)
    spend = (fixed * np.median(mean) + rate * mean) * np.exp(_noise(rng, n, 0.02))
    return {"mean": mean, "peak": np.exp(peak), "spend": spend}


def _noise(rng: np.random.Generator, n: int, size: float) -> np.ndarray:
    memory = rng.uniform(0.2, 0.8)
    shocks = rng.standard_t(5, n) * size * np.sqrt(1 - memory**2)
    return np.asarray(lfilter([1.0], [1.0, -memory], shocks))


def _days_to_due() -> int:
    """Days after :data:`LAST_DAY` on which a past origin falls due for all series."""
    from capacity.forecast._study import step_for

    step = step_for(HORIZON)
    last = (LAST_DAY - pd.Timestamp(0)).days + 1
    return 2 + (-(last + 2)) % step


def _measured(services: int, later: int, folder: Path) -> Measured:
    command = (sys.executable, "-m", "bench.scale", "--run", str(services), str(later), str(folder))
    return measure(command, 1, poll_seconds=0.5)


def _row(services: int, name: str, m: Measured) -> None:
    each = 1e3 * m.median / (TARGETS * services)
    failed = f"  exit {m.returncode}" if m.returncode else ""
    print(f"{services:>8} {name:<30} {m.median:>8.1f} {each:>12.1f} {m.peak_bytes / 2**20:>9.0f}{failed}", flush=True)


def _bars(first: Measured, again: Measured) -> None:
    for name, found, bar, unit in (
        ("first", first.median, BARS["first"], "s"),
        ("first, memory", first.peak_bytes / 2**20, BARS["memory"] / 2**20, "MiB"),
        ("a day later", again.median, BARS["refresh"], "s"),
    ):
        print(f"{'':>8} bar for {name:<16} {found:>10.0f} of {bar:.0f} {unit}: {'kept' if found <= bar else 'MISSED'}")


def _prophet_loop(counts: list[int]) -> None:
    from capacity.forecast.members.prophet_map import silence

    silence()
    from prophet import Prophet

    silence()  # its import turns its own messages on again
    series = list(histories(SAMPLE // TARGETS).values())
    began = time.perf_counter()
    for one in series:
        model = Prophet().fit(pd.DataFrame({"ds": one.index, "y": one.to_numpy()}))
        model.predict(model.make_future_dataframe(HORIZON, include_history=False))
    each = (time.perf_counter() - began) / len(series)
    print(f"\nProphet().fit() and predict() in a plain loop: {each * 1e3:.0f} ms a series, measured on {len(series)}")
    for services in counts:
        print(f"{services:>8} {'extrapolated':<30} {each * services * TARGETS:>8.1f}")


if __name__ == "__main__":
    main(sys.argv[1:])
