"""The backtest scores what came, and never lets a forecast see it."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from capacity.errors import MissingDataError
from capacity.forecast import backtest
from tests.forecast.simulate import simulate

COLUMNS = ["series", "origin", "who", "mase", "rel", "c80", "c95", "peak_covered", "total_covered", "pinball90"]


def series(n: int = 60, seed: int = 0) -> pd.Series:
    return simulate(np.random.default_rng(seed), n, "D")


def test_rows_and_ranges() -> None:
    out = backtest({"a": series(), "b": series(70, 1)}, freq="D", horizon=14, origins=2, step=7, past_origins=1)
    assert list(out.columns) == COLUMNS
    assert set(out.who) == {"capacity", "seasonal_naive"}
    assert len(out) == 2 * 2 * 2
    mine = out[out.who == "capacity"]
    assert np.isfinite(mine[COLUMNS[3:]].to_numpy(dtype=float)).all()
    assert mine.c80.between(0, 1).all()
    assert (mine.c95 >= mine.c80).all()
    assert (out[out.who == "seasonal_naive"].rel == 1.0).all()


def test_it_does_not_look_ahead() -> None:
    """What came after an origin changes its scores only as the actual: the forecast behind them stays."""
    base = series()
    moved = base.copy()
    moved.iloc[-14:] *= 3.0
    a = backtest({"s": base}, freq="D", horizon=14, origins=1, past_origins=1)
    b = backtest({"s": moved}, freq="D", horizon=14, origins=1, past_origins=1)
    # error / naive error at both actuals is solvable for one forecast only: compare the forecasts through the MASE.
    from capacity.forecast import forecast_batch

    said = forecast_batch({"s": base.iloc[:-14]}, freq="D", horizon=14, n_paths=200, past_origins=1)["s"].quantiles[3]
    past = base.iloc[:-14].to_numpy()
    scale = np.abs(past[7:] - past[:-7]).mean()
    for frame, actual in ((a, base), (b, moved)):
        mase = np.abs(actual.iloc[-14:].to_numpy() - said).mean() / scale
        assert frame[frame.who == "capacity"].mase.iloc[0] == pytest.approx(mase)


def test_an_origin_in_a_gap_moves_back_to_the_last_value() -> None:
    gap = series()
    gap.iloc[-17:-14] = np.nan
    out = backtest({"s": gap}, freq="D", horizon=14, origins=1, past_origins=1)
    assert out.origin.iloc[0] == gap.index[-18]


def test_prophet_with_its_defaults_can_be_set_beside() -> None:
    state = np.random.get_state()[1].copy()  # type: ignore[index, union-attr] # noqa: NPY002
    out = backtest({"s": series()}, freq="D", horizon=14, origins=1, past_origins=1, prophet_default=True)
    assert (np.random.get_state()[1] == state).all()  # type: ignore[index] # noqa: NPY002
    assert set(out.who) == {"capacity", "seasonal_naive", "prophet_default"}
    assert np.isfinite(out[out.who == "prophet_default"].c80.iloc[0])


def test_too_little_history_is_an_error() -> None:
    with pytest.raises(MissingDataError, match="backtest needs"):
        backtest({"s": series(20)}, freq="D", horizon=14)
