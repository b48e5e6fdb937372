"""A forecast made of given sample paths."""

from __future__ import annotations

import numpy as np
import pandas as pd

from capacity.domain import QUANTILES, SeriesForecast


def a_forecast(
    key: str, paths: np.ndarray, start: str = "2026-01-01", total: np.ndarray | None = None
) -> SeriesForecast:
    """A forecast with ``paths`` (P, H) whose quantiles are the paths' own."""
    index = pd.date_range(start, periods=paths.shape[1], freq="D")
    return SeriesForecast(
        key=key, freq="D", origin=index[0] - pd.Timedelta(days=1), index=index,
        quantiles=np.quantile(paths, QUANTILES, axis=0), paths=paths.astype(np.float32),
        peak=np.quantile(paths.max(axis=1), QUANTILES),
        total=np.quantile(paths.sum(axis=1), QUANTILES) if total is None else total,
        model="m", reason="r", scores=(),
    )  # fmt: skip
