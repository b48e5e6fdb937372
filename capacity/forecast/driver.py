"""Driver-based spend: fixed + rate × units, on the paths of the demand forecast, where that was the better forecast.

At each past origin the line is fitted to what was known then and put on what the demand forecast said then; its errors
stand beside those of the plain spend forecast on the same days. Money is judged by the day and by whole months. The
line is used where it was the better one; else the plain forecast stays, and the reason says why.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from capacity import words
from capacity.domain import QUANTILES, Floats, Interval, MemberScore, PastMedians, Paths, SeriesForecast
from capacity.errors import UsageError
from capacity.forecast import _driver_paths as draws
from capacity.forecast._driver_case import DAY, Aligned, Driven, DriverCase, ahead_units, align, intervals
from capacity.forecast._driver_fit import Line
from capacity.forecast._driver_past import Judged, better, day_errors, judge, month_errors, past_driver_medians
from capacity.forecast._paths import own_generator

__all__ = ["DRIVER", "Driven", "DriverCase", "drive", "past_driver_medians"]

DRIVER = "driver: fixed + rate x units"
# Small leads do not switch. Where units explain most of the spend the line stays unless the plain forecast erred a
# tenth less; elsewhere the plain one stays unless the line did. On 560 simulated services this took 8 in 10 of those
# with a true line, and 1 in 14 of unrelated ones.
MARGIN = 0.9
TRUSTED_R_SQUARED = 0.7
LEAST_ORIGINS = 2


def drive(cases: Mapping[str, DriverCase], *, seed: int = 1) -> dict[str, Driven]:
    """Decide for every service between its plain spend forecast and the driver-based one.

    Parameters
    ----------
    cases
        Service -> its spend and driver. Services learn from each other how wide driver-based futures are.
    seed
        Of residuals and of the line's uncertainty; a service's draws depend on its forecast's key only.

    Returns
    -------
    dict
        One result a case. A driver-based forecast has the plain one's key, days and number of paths; row i of its
        paths belongs to row i of the demand's. Its quantiles, peak and total are those of its paths, never negative.

    Raises
    ------
    UsageError
        Paths of spend and demand differ in number, or a history has no daily zone-less index.
    """
    decided = {name: _decide(case) for name, case in cases.items()}
    won = {name: d for name, d in decided.items() if isinstance(d, _Winner)}
    # Paths are drawn twice, for misses and for good: those of a thousand services at once are gigabytes.
    misses = [
        draws.misses(list(w.judged.came), list(w.judged.driver), *w.paths(cases[name], seed)) for name, w in won.items()
    ]
    stretch = dict(zip(won, draws.stretches(misses), strict=True))
    out: dict[str, Driven] = {}
    for name, found in decided.items():
        if isinstance(found, _Winner):
            paths, median = found.paths(cases[name], seed)
            out[name] = found.result(cases[name], draws.stretched(paths, median, stretch[name]))
        else:
            out[name] = found
    return out


# --- deciding ----------------------------------------------------------------------------------------------


def _decide(case: DriverCase) -> Driven | _Winner:
    if case.plain.paths.shape[0] != case.demand.paths.shape[0]:
        raise UsageError(
            f"{case.plain.key}: {case.plain.paths.shape[0]} paths of spend and {case.demand.paths.shape[0]} of demand; "
            "the same number is wanted"
        )
    aligned = align(case)
    line = aligned.line(len(aligned.spend))
    if isinstance(line, str):
        return _stays(case, line)
    fixed, rate = intervals(line, case.plain.key)
    rate = _per_unit(rate, case.per_day)
    found = Driven(case.plain, False, fixed, rate, line.r_squared, shifts=_dated(line, aligned.start))
    if rate is None:
        return _stays(case, "a rate above zero is not sure", found)
    said = past_driver_medians(case)
    judged = judge(case, aligned, said)
    if len(judged) < LEAST_ORIGINS:
        return _stays(case, f"both could be judged at {len(judged)} past origins, {LEAST_ORIGINS} are needed", found)
    days, months = day_errors(judged), month_errors(judged)
    found = replace(found, origins=len(judged), day_errors=days, month_errors=months)
    if not better(days, months, len(judged), MARGIN if line.r_squared < TRUSTED_R_SQUARED else 1.0 / MARGIN):
        return _stays(case, "the line is not the better one", found)
    return _Winner(aligned, line, said, judged, found)


def _stays(case: DriverCase, why: str, found: Driven | None = None) -> Driven:
    found = found or Driven(case.plain, False)
    reason = f"{case.plain.reason}; spend is not taken from {case.unit_name}: {_compared(found)}{why}"
    return replace(found, forecast=replace(case.plain, reason=reason))


def _per_unit(rate: Interval | None, per_day: float) -> Interval | None:
    if rate is None:
        return None
    return Interval(rate.low / per_day, rate.mid / per_day, rate.high / per_day, rate.confidence)


def _dated(line: Line, start: pd.Timestamp) -> tuple[tuple[pd.Timestamp, float], ...]:
    return tuple((start + at * DAY, ratio) for at, ratio in line.shifts)


# --- the driver-based forecast -------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Winner:
    """A line that is used."""

    aligned: Aligned
    line: Line
    said: PastMedians
    judged: Judged
    found: Driven

    def paths(self, case: DriverCase, seed: int) -> tuple[Floats, Floats]:
        """Paths (P, H) before they are calibrated, and the median forecast (H,)."""
        days = case.plain.index
        lead = np.arange(1.0, len(days) + 1.0)
        rng = own_generator(seed, f"driver|{case.plain.key}")
        units = ahead_units(case.units, case.demand, days)
        fixed, rate = draws.draw_lines(self.line, len(units), rng)
        factor = replace(self.line, fixed=1.0, rate=0.0).at(np.zeros(len(days)), days, lead)
        expected = (fixed[:, None] + rate[:, None] * units) * factor
        middle = ahead_units(case.units, replace(case.demand, paths=_medians(case.demand)), days)[0]
        spend, known = self.aligned.spend, self.aligned.units
        shared = min(len(spend), len(known))
        drift = draws.drift_sizes(spend[:shared], known[:shared], self.aligned.start, self.line, len(days))
        past = self.line.at(known[:shared], self.aligned.days(0, shared), np.zeros(shared))
        residuals = draws.day_residuals(spend[:shared], past)
        return draws.raw_paths(expected, drift, residuals, rng), self.line.at(middle, days, lead)

    def result(self, case: DriverCase, paths: Floats) -> Driven:
        quantiles = np.quantile(paths, QUANTILES, axis=0)
        reason = _reason(case, self.found)
        forecast = replace(
            case.plain,
            quantiles=np.maximum.accumulate(np.maximum(quantiles, 0.0), axis=0),
            paths=paths.astype(np.float32),
            peak=np.quantile(paths.max(axis=1), QUANTILES),
            total=np.quantile(paths.sum(axis=1), QUANTILES),
            model=DRIVER,
            reason=reason,
            scores=_scores(case.plain, self.found),
            flags=(*case.plain.flags, *_flags(self.found)),
            past=self.said,
        )
        return replace(self.found, forecast=forecast, used=True)


def _medians(demand: SeriesForecast) -> Paths:
    return np.asarray(demand.quantiles[QUANTILES.index(0.5)][None], dtype=np.float32)


def _scores(plain: SeriesForecast, found: Driven) -> tuple[MemberScore, ...]:
    """The plain forecast's scores, and the driver's: its error against the plain one's on the same days."""
    used = [s for s in plain.scores if plain.model == s.member or plain.model.startswith(f"{s.member} ")]
    if not used or found.day_errors is None or found.day_errors[1] <= 0:
        return plain.scores
    ratio = found.day_errors[0] / found.day_errors[1]
    own = MemberScore(DRIVER, used[0].relative_mae * ratio, used[0].mase * ratio, found.origins)
    return tuple(sorted((*plain.scores, own), key=lambda s: (s.relative_mae, s.member)))


# --- words -------------------------------------------------------------------------------------------------


def _compared(found: Driven) -> str:
    if found.day_errors is None or found.month_errors is None:
        return ""
    (day, plain_day), (month, plain_month) = found.day_errors, found.month_errors
    return (
        f"over {found.origins} past origins months erred {month:.1%} with the driver and {plain_month:.1%} without, "
        f"days {day:.1%} and {plain_day:.1%}; "
    )


def _reason(case: DriverCase, found: Driven) -> str:
    fixed, rate = found.fixed, found.rate
    if fixed is None or rate is None or found.r_squared is None:
        return case.plain.reason
    per = 1000.0

    def said(value: Interval, times: float) -> str:
        low, mid, high = (words.price(x * times, case.currency) for x in (value.low, value.mid, value.high))
        return f"{mid} ({low} to {high})"

    return (
        f"{_compared(found)}so spend is {said(fixed, 1.0)} a day and {said(rate, per)} for 1,000 {case.unit_name}, "
        f"which explain {found.r_squared:.0%} of it; plain: {case.plain.model}"
    )


def _flags(found: Driven) -> tuple[str, ...]:
    return tuple(f"price of a unit changed by {ratio - 1.0:+.0%} about {at:%Y-%m-%d}" for at, ratio in found.shifts)
