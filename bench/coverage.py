"""Coverage and crossing probabilities on simulated series, where the truth is known and the error small.

    python -m bench.coverage [SERIES]

The family is tests/forecast/simulate.py (level walk, drift, jumps, week, year, autocorrelated heavy-tailed noise). Each
series is cut, forecast in a batch of ten and, again, alone, and what came is compared: the 80 % and 95 % intervals, the
P90 of the horizon's maximum, the 80 % interval of its total, and the probability that 1.1 times the recent maximum is
passed, with standard errors over series. Beside it: the median's error over the seasonal naive's.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Literal

import numpy as np
import pandas as pd

from capacity.domain import QUANTILES, SeriesForecast
from capacity.forecast import crossing, forecast_batch
from tests.forecast.simulate import simulate

BATCH = 10
# History and horizon in steps, the recent steps whose maximum the limit is read from, and a season.
CASES: Mapping[Literal["D", "h"], tuple[tuple[int, ...], int, int, int]] = {
    "D": ((200, 400, 730), 90, 28, 7),
    "h": ((336, 700, 1344), 168, 336, 168),
}
LIMIT_FACTOR = 1.1


def main(count: int) -> None:
    for freq, (lengths, horizon, recent, season) in CASES.items():
        for size in (BATCH, 1):
            rows = []
            for first in range(0, count, BATCH):
                whole = {
                    f"s{i}": simulate(np.random.default_rng(i), lengths[i % len(lengths)] + horizon, freq)
                    for i in range(first, first + BATCH)
                }
                for keys in np.array_split(list(whole), BATCH // size):
                    given = {k: whole[k].iloc[:-horizon] for k in keys}
                    said = forecast_batch(given, freq=freq, horizon=horizon, n_paths=400)
                    rows += [_score(said[k], whole[k], horizon, recent, season) for k in keys]
            _show(
                f"{freq}, horizon {horizon}, {'batches of ' + str(size) if size > 1 else 'alone'}", pd.DataFrame(rows)
            )


def _score(said: SeriesForecast, whole: pd.Series, horizon: int, recent: int, season: int) -> dict[str, float]:
    past, y = whole.iloc[:-horizon].to_numpy(), whole.iloc[-horizon:].to_numpy()
    q = dict(zip(QUANTILES, said.quantiles, strict=True))
    at = QUANTILES.index
    limit = LIMIT_FACTOR * float(past[-recent:].max())
    return {
        "c80": float(np.mean((y >= q[0.1]) & (y <= q[0.9]))),
        "c95": float(np.mean((y >= q[0.025]) & (y <= q[0.975]))),
        "peak_covered": float(y.max() <= said.peak[at(0.9)]),
        "total_covered": float(said.total[at(0.1)] <= y.sum() <= said.total[at(0.9)]),
        "brier": (float(crossing(said, limit)[-1]) - float(y.max() > limit)) ** 2,
        "crossed": float(y.max() > limit),
        "said": float(crossing(said, limit)[-1]),
        "rel": float(np.log(np.abs(y - q[0.5]).mean() / np.abs(y - np.resize(past[-season:], horizon)).mean())),
    }


def _show(name: str, rows: pd.DataFrame) -> None:
    error = rows.std() / np.sqrt(len(rows))
    cells = [f"{c} {rows[c].mean():.3f} +- {error[c]:.3f}" for c in rows.columns if c != "rel"]
    print(
        f"{name}, {len(rows)} series: " + ", ".join(cells) + f", error x naive {np.exp(rows['rel'].mean()):.3f}",
        flush=True,
    )


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 300)
