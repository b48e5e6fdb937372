"""Has a forecast drifted? Evidence that recent errors are larger, or more one-sided, than its intervals promised.

Each window (the first days of one stored forecast, up to the next one) is a bet against calibration that is fair if the
forecast is calibrated: 1 + stake × (share of days above the P90 - .1), and the like. Its expectation is 1 however the
days of a window hang together, since an expectation does not ask for independence; so a window's factor needs no
model of autocorrelation. Windows do not overlap, so over successive windows the factors multiply to a test martingale
(an e-process). The detector sums, over every window of the last quarter in which the drift may have begun, the product
from there on: Shiryaev and Roberts' statistic. It less the number of windows is a martingale, so by Doob's inequality
P(it passes C within T windows) <= (its start + T) / C. With T = 13 weekly windows a quarter, and 13 expected at the
start, C = 520 keeps the false alarms of a calibrated forecast at or below 5 % a quarter.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import pandas as pd

from capacity.domain import QUANTILES, Floats

Whole: TypeAlias = npt.NDArray[np.int64]
SERIES = ["service", "region", "metric", "target"]
QUARTER_DAYS = 91
# Windows are at least a week: days inside one share the forecast's error, so shorter ones would say little more.
LEAST_DAYS = 7
# How many days of a forecast that has no successor yet are looked at, at the most.
STAGES = (7, 14, 28, 56, 91)
# (13 expected at the start + 13 windows) / 5 %.
THRESHOLD = 2 * (QUARTER_DAYS // LEAST_DAYS) / 0.05
# What is bet on, its expectation under calibration, and the stake. Stakes are half of what could lose all (1 / p): a
# window without any exceedance halves the evidence, one with exceedances only multiplies it by half of 1 / p.
_BETS: dict[str, tuple[str, float, float]] = {
    "above_90": ("higher", 0.1, 5.0),
    "above_975": ("higher", 0.025, 15.0),
    "rank_up": ("higher", 0.0, 0.9),
    "below_10": ("lower", 0.1, 5.0),
    "below_025": ("lower", 0.025, 15.0),
    "rank_down": ("lower", 0.0, 0.9),
    "outside_80": ("larger errors", 0.2, 2.5),
    "outside_95": ("larger errors", 0.05, 8.0),
}
COMPONENTS = tuple(_BETS)
# Errors on one side are larger errors too: it is said that they are larger only where that explains ten times more.
_WORTH = {"higher": 1.0, "lower": 1.0, "larger errors": 0.1}
ALARM_COLUMNS = (*SERIES, "alarm", "says", "evidence", "threshold", "since", "until", "windows", "bias_frac")


def bets(y: Floats, q: Floats) -> dict[str, Floats]:
    """What each day contributes to each bet. ``y`` (n,) and the stored quantiles ``q`` (n, 8)."""
    at = {level: q[:, i] for i, level in enumerate(QUANTILES)}
    rank = 2.0 * _rank(y, q) - 1.0
    return {
        "above_90": (y > at[0.9]).astype(float),
        "above_975": (y > at[0.975]).astype(float),
        "rank_up": rank,
        "below_10": (y < at[0.1]).astype(float),
        "below_025": (y < at[0.025]).astype(float),
        "rank_down": -rank,
        "outside_80": ((y < at[0.1]) | (y > at[0.9])).astype(float),
        "outside_95": ((y < at[0.025]) | (y > at[0.975])).astype(float),
    }


def _rank(y: Floats, q: Floats) -> Floats:
    """Middle of the probabilities between the neighbouring quantiles: its mean is exactly .5 under calibration.

    Where quantiles are equal to the value (a service that often rests at 0) it is the middle of all they span.
    """
    edges = np.array([0.0, *QUANTILES, 1.0])
    below, upto = (q < y[:, None]).sum(axis=1), (q <= y[:, None]).sum(axis=1)
    return np.asarray((edges[below] + edges[upto + 1]) / 2.0, dtype=float)


def alarms(stages: pd.DataFrame, as_of: datetime) -> pd.DataFrame:
    """Every watched series with its evidence, the strongest first.

    Parameters
    ----------
    stages
        service, region, metric, target, origin_ts, stage (days looked at), a mean a bet, bias.

    Returns
    -------
    alarm: whether the evidence passes the threshold; says: higher, lower or larger errors, whichever has the most
    evidence; since: first day of the window from which the evidence is strongest; until: last day looked at; windows
    in the last quarter; bias_frac: actual less promised over promised since then.
    """
    today = int(pd.Timestamp(as_of).tz_localize(None).to_datetime64().astype("datetime64[D]").astype(np.int64))
    ordered = stages.sort_values([*SERIES, "origin_ts", "stage"], kind="stable")
    looks = _Looks(
        ordered["origin_ts"].to_numpy("datetime64[D]").astype(np.int64),
        ordered["stage"].to_numpy(np.int64),
        ordered[list(COMPONENTS)].to_numpy(float),
        ordered["bias"].to_numpy(float),
    )
    rows = []
    for key, part in ordered.reset_index(drop=True).groupby(SERIES, sort=True):
        judged = _judged(looks.take(part.index.to_numpy()), today)
        if judged is not None:
            rows.append((*tuple(key), *judged))
    found = pd.DataFrame(rows, columns=list(ALARM_COLUMNS))
    return found.sort_values("evidence", ascending=False, kind="stable").reset_index(drop=True)


@dataclass(frozen=True)
class _Looks:
    """Looks at forecasts, by origin and stage; days since 1970. ``means`` are (n, bets)."""

    origin: Whole
    stage: Whole
    means: Floats
    bias: Floats

    def take(self, at: npt.NDArray[Any]) -> _Looks:
        return _Looks(self.origin[at], self.stage[at], self.means[at], self.bias[at])


def _judged(looks: _Looks, today: int) -> tuple[Any, ...] | None:
    windows = looks.take(_windows(looks))
    windows = windows.take(windows.origin + windows.stage > today - QUARTER_DAYS)
    if not len(windows.origin):
        return None
    products = _products(windows.means)
    evidence = float(products.mean(axis=1).sum())
    kinds = np.array([kind for kind, _, _ in _BETS.values()])
    said = {kind: float(products[:, kinds == kind].sum()) * _WORTH[kind] for kind in dict.fromkeys(kinds.tolist())}
    says = max(said, key=lambda kind: said[kind])
    began = int(np.argmax(products[:, kinds == says].max(axis=1)))
    since = pd.Timestamp(int(windows.origin[began]) + 1, unit="D")
    until = pd.Timestamp(int(windows.origin[-1] + windows.stage[-1]), unit="D")
    bias = windows.bias[began:]
    known = bias[~np.isnan(bias)]
    drifted = float(known.mean()) if len(known) else float("nan")
    return evidence >= THRESHOLD, says, evidence, THRESHOLD, since, until, len(windows.origin), drifted


def _windows(looks: _Looks) -> npt.NDArray[np.intp]:
    """Rows to use, one a window: the longest stage of an origin that ends before the next origin used does.

    Origins are used from the first one on, at least a week apart: which ones never depends on what came.
    """
    used: list[int] = []
    for origin in np.unique(looks.origin).tolist():
        if not used or origin - used[-1] >= LEAST_DAYS:
            used.append(origin)
    kept = []
    for origin, following in zip(used, [*used[1:], used[-1] + STAGES[-1]], strict=True):
        fitting = np.flatnonzero((looks.origin == origin) & (looks.stage <= following - origin))
        kept += fitting[-1:].tolist()
    return np.array(kept, dtype=np.intp)


def _products(means: Floats) -> Floats:
    """(W, K): for each window in which a drift may have begun, the product of each bet's factors from there on."""
    fair = np.array([_BETS[name][1] for name in COMPONENTS])
    stake = np.array([_BETS[name][2] for name in COMPONENTS])
    factors = 1.0 + stake * (means - fair)
    return np.asarray(np.cumprod(factors[::-1], axis=0)[::-1])
