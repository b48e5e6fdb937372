"""Driver-based and plain spend forecasts at past origins, side by side: who was nearer, by day and by month."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from capacity.domain import Floats, PastMedians
from capacity.forecast._driver_case import Aligned, DriverCase, align, intervals

Bools = npt.NDArray[np.bool_]
# A demand forecast of a past origin may be this much older than what was known then, as a share of the horizon.
STALE_FRAC = 1.0 / 6.0
# Past errors of a few overlapping origins are noisy: leads are shrunk as if one more origin had shown none.
SHRINK_ORIGINS = 1.0


@dataclass(frozen=True)
class Judged:
    """Past origins: truth, driver-based and plain medians, (K, H), NaN where one of them is unknown; and their days."""

    came: Floats
    driver: Floats
    plain: Floats
    days: tuple[pd.DatetimeIndex, ...]

    def __len__(self) -> int:
        return len(self.came)


def past_driver_medians(case: DriverCase) -> PastMedians:
    """What the driver-based forecast would have said at the plain forecast's past origins; NaN where it had no line."""
    aligned = align(case)
    past = case.plain.past or PastMedians((), np.zeros((0, len(case.plain.index)), np.float32))
    said = [medians_at(case, aligned, origin) for origin in past.origins]
    table = np.array(said, np.float32).reshape(len(said), len(case.plain.index))
    return PastMedians(past.origins, table)


def judge(case: DriverCase, aligned: Aligned, driven: PastMedians) -> Judged:
    """Line up truth, ``driven`` (of :func:`past_driver_medians`) and plain medians where all three are known."""
    past = case.plain.past
    rows: list[tuple[Floats, Floats, Floats]] = []
    horizons: list[pd.DatetimeIndex] = []
    for k, origin in enumerate(past.origins if past is not None else ()):
        n = (origin - aligned.start).days + 1
        said = driven.medians[k].astype(float)
        horizon = len(said)
        came = np.full(horizon, np.nan)
        if 0 < n < len(aligned.spend):
            known = aligned.spend[n : n + horizon]
            came[: len(known)] = known
        plain = past.medians[k].astype(float) if past is not None else said
        all_known = np.isfinite(came) & np.isfinite(said) & np.isfinite(plain)
        if all_known.any():
            horizons.append(aligned.days(n, horizon))
            one, other, third = (np.where(all_known, v, np.nan) for v in (came, said, plain))
            rows.append((one, other, third))
    empty = np.zeros((0, len(case.plain.index)))
    tables = [np.array([r[i] for r in rows]) if rows else empty for i in range(3)]
    return Judged(tables[0], tables[1], tables[2], tuple(horizons))


def medians_at(case: DriverCase, aligned: Aligned, origin: pd.Timestamp) -> Floats:
    """(H,) what the driver-based forecast would have said when ``origin`` was the last day of spend."""
    horizon = len(case.plain.index)
    n = (origin - aligned.start).days + 1
    if n < 1 or n > len(aligned.spend):
        return np.full(horizon, np.nan)
    line = aligned.line(n)
    if isinstance(line, str) or intervals(line, case.plain.key)[1] is None:
        return np.full(horizon, np.nan)
    units = _past_units(case, aligned, n, horizon)
    return line.at(units, aligned.days(n, horizon), np.arange(1.0, horizon + 1.0))


def _past_units(case: DriverCase, aligned: Aligned, n: int, horizon: int) -> Floats:
    """(H,) units of the days after ``n`` as known and forecast then: no later than the gap allows."""
    out = np.full(horizon, np.nan)
    known_until = n + aligned.gap
    past = case.demand.past
    stale = STALE_FRAC * len(case.demand.index)
    for k, origin in enumerate(past.origins if past is not None else ()):
        at = (origin - aligned.start).days + 1  # days of units that this forecast had seen
        if past is not None and at <= known_until and known_until - at <= stale:
            _put(out, at - n, past.medians[k].astype(float))
            break
    else:
        return out  # no forecast of that time: nothing to be judged
    seen = aligned.units[max(n, 0) : max(known_until, 0)]
    seen = seen[:horizon]
    out[: len(seen)] = np.where(np.isfinite(seen), seen, out[: len(seen)])
    return out


def _put(target: Floats, at: int, values: Floats) -> None:
    """Lay ``values`` into ``target`` from position ``at`` on (which may be before its start or past its end)."""
    first, last = max(at, 0), min(at + len(values), len(target))
    if last > first:
        target[first:last] = values[first - at : last - at]


def day_errors(judged: Judged) -> tuple[float, float]:
    """Mean absolute error of driver-based and plain, as a share of the spend that came."""
    total = float(np.nansum(np.abs(judged.came)))
    errors = [float(np.nansum(np.abs(said - judged.came))) for said in (judged.driver, judged.plain)]
    return errors[0] / total if total else 0.0, errors[1] / total if total else 0.0


def month_errors(judged: Judged) -> tuple[float, float]:
    """As by day, of whole months; of all days that are known where no month is whole."""
    gaps = np.zeros(2)
    total = 0.0
    for came, driver, plain, days in zip(judged.came, judged.driver, judged.plain, judged.days, strict=True):
        known = np.isfinite(came)
        for at in _months(days, known):
            total += abs(float(came[at].sum()))
            gaps += [abs(float((said[at] - came[at]).sum())) for said in (driver, plain)]
    return (float(gaps[0] / total), float(gaps[1] / total)) if total else (0.0, 0.0)


def _months(days: pd.DatetimeIndex, known: Bools) -> list[Bools]:
    """Days of each whole month; ``known`` where there is none."""
    months = days.year.to_numpy() * 12 + days.month.to_numpy()
    whole = [known & (months == m) for m in np.unique(months)]
    whole = [at for at in whole if at.any() and int(at.sum()) == int(days[at][0].days_in_month)]
    return whole or [known]


def better(days: tuple[float, float], months: tuple[float, float], origins: int, margin: float) -> bool:
    """Whether days and months together (the geometric mean of both ratios) speak for the driver."""
    if min(*days, *months) <= 0:
        return days[0] < days[1] and months[0] < months[1]
    lead = 0.5 * np.log(days[0] / days[1]) + 0.5 * np.log(months[0] / months[1])
    return bool(lead * origins / (origins + SHRINK_ORIGINS) < np.log(margin))
