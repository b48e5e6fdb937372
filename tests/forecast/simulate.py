"""A family of demand series with known truth: log level walks, drifts and jumps; weeks and years have their shapes."""

from __future__ import annotations

import numpy as np
import pandas as pd


def simulate(rng: np.random.Generator, steps: int, freq: str) -> pd.Series:
    """One series of ``steps``; every trait is drawn from ranges seen in services' demand."""
    day = 1 if freq == "D" else 24
    t = np.arange(steps) / day  # days
    walk = np.cumsum(rng.normal(0, rng.uniform(0.002, 0.02) / np.sqrt(day), steps))
    drift = rng.normal(0, 0.0008) * t
    jumps = np.cumsum(np.where(rng.random(steps) < 1.0 / (365 * day), rng.normal(0, 0.3, steps), 0.0))
    year = rng.uniform(0, 0.25) * np.sin(2 * np.pi * (t / 365.25 + rng.random()))
    week = rng.uniform(0, 0.3) * np.repeat(rng.normal(0, 1, 7), day)
    season = np.resize(week, steps)
    if freq == "h":
        hour = np.arange(24)
        shape = np.cos(2 * np.pi * (hour - rng.integers(24)) / 24) + 0.3 * np.cos(
            4 * np.pi * (hour - rng.integers(24)) / 24
        )
        season = season + rng.uniform(0.1, 0.8) * np.resize(shape, steps)
    return pd.Series(
        rng.lognormal(4, 2) * np.exp(walk + drift + jumps + year + season + _noise(rng, steps)),
        index=pd.date_range("2022-01-03", periods=steps, freq=freq),
    )


def _noise(rng: np.random.Generator, steps: int) -> np.ndarray:
    """Autocorrelated noise with heavy tails."""
    ar, out = rng.uniform(0.2, 0.8), np.zeros(steps)
    shocks = rng.standard_t(4, steps) * rng.uniform(0.02, 0.12)
    for i in range(1, steps):
        out[i] = ar * out[i - 1] + shocks[i]
    return out
