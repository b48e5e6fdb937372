"""The base forecast as it is kept in the store: what a plan promised, so that it can be held to it later."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import partial

import numpy as np
import numpy.typing as npt
import pandas as pd

from capacity import costs, store
from capacity.config import Config, zone
from capacity.domain import QUANTILE_COLUMNS, QUANTILES, Floats, Paths, SeriesForecast, Unit
from capacity.errors import CapacityError
from capacity.pipeline import bill_days
from capacity.pipeline.base import Base
from capacity.pipeline.demand import UnitData
from capacity.pipeline.spend_widths import spend_widths
from capacity.schemas import FORECAST, check_frame, to_arrow
from capacity.store import Store

# All services together; what no service owns is bill_days.SHARED.
COMPANY = "(company)"
SPEND = "effective_cost"
SCENARIO = "base"
# Days' quantiles are kept to 12 bits, one part in 4,000: a fleet of 1,000 services then takes some 10 MB a run instead
# of 40, and what two machines compute differently in the last bits is the same promise. Months and maxima are whole.
_BITS = 12
_HALF_DAY = pd.Timedelta(hours=12)


@dataclass(frozen=True)
class _Series:
    """One forecast, and what is promised of it."""

    unit: Unit
    metric: str
    target: str
    origin: pd.Timestamp
    model: str
    days: pd.DatetimeIndex
    quantiles: Floats
    months: pd.DataFrame  # ts and a column a quantile
    peak: Floats | None = None


def keep(
    base: Base, data: Mapping[Unit, UnitData], spend: Mapping[str, pd.Series], config: Config, into: Store,
    as_of: datetime,
) -> str | None:  # fmt: skip
    """Store the base forecast as a promise (see :func:`capacity.store.keep_forecasts`); None, or why it was not.

    A store that cannot be written is told of and never ends a plan.
    """
    try:
        frame = check_frame("forecast", promise_rows(base, data, spend, config), "the base forecast")
        store.keep_forecasts(into, to_arrow("forecast", frame), as_of)
    except (CapacityError, OSError) as error:
        return f"the forecast was not kept, so it will not be scored: {error}"
    return None


def promise_rows(
    base: Base, data: Mapping[Unit, UnitData], spend: Mapping[str, pd.Series], config: Config
) -> pd.DataFrame:
    """Rows of table ``forecast``: days, months and the horizon's largest peak, in UTC."""
    parts = [_rows(one, _zone_of(config, one.unit.service)) for one in _all(base, data, spend, config)]
    return pd.concat(parts, ignore_index=True) if parts else FORECAST.empty()


def _zone_of(config: Config, service: str) -> str:
    """Days of a service's demand are in its own zone; those of a bill in UTC (see :func:`local_days`)."""
    return next((s.time_zone for s in config.services if s.name == service), "UTC")


def _all(
    base: Base, data: Mapping[Unit, UnitData], spend: Mapping[str, pd.Series], config: Config
) -> Iterator[_Series]:
    for unit, known in data.items():
        metric = known.service.demand_metric
        if unit in base.mean:
            yield _demand(unit, metric, "mean", base.mean[unit])
            yield _demand(unit, metric, "peak", base.peak[unit])
        for (owner, other), forecast in base.limits.items():
            if owner == unit and other != metric:
                yield _demand(unit, other, "peak", forecast)
    if not base.spend:
        return
    widths = spend_widths(base.spend, spend, config)
    for service, found in base.spend.items():
        width = partial(widths.of, "service", service)
        yield _spend(service, found.model, found.index, found.paths, found.quantiles, spend[service], width)
    paths, days = bill_days.together(base.spend, spend)
    quantiles = np.quantile(paths, QUANTILES, axis=0).astype(float)
    width = partial(widths.of, "company", config.company)
    yield _spend(COMPANY, "sum of services", days, paths, quantiles, billed(base.spend, spend), width)


def billed(names: Mapping[str, object], spend: Mapping[str, pd.Series]) -> pd.Series:
    """The company's spend of the days that every one of ``names`` was billed for."""
    known = [spend[name] for name in names]
    start, end = min(s.index[0] for s in known), min(s.index[-1] for s in known)
    days = pd.date_range(start, end, freq="D")
    return pd.Series(np.sum([s.reindex(days, fill_value=0.0).to_numpy(float) for s in known], axis=0), index=days)


def _demand(unit: Unit, metric: str, target: str, forecast: SeriesForecast) -> _Series:
    months = _by_month(forecast.paths, forecast.index, np.max if target == "peak" else np.mean)
    peak = forecast.peak if target == "peak" else None
    return _Series(
        unit, metric, target, forecast.origin, forecast.model, forecast.index, forecast.quantiles, months, peak
    )


def _by_month(paths: Paths, days: pd.DatetimeIndex, how: object) -> pd.DataFrame:
    """Each month's mean or largest peak over its days in the horizon, for months whose last day is among them."""
    names = days.strftime("%Y-%m").to_numpy()
    rows = []
    for month in sorted(set(names)):
        inside = names == month
        if days[inside][-1].is_month_end:
            values = how(paths[:, inside], axis=1).astype(float)  # type: ignore[operator]
            rows.append((pd.Timestamp(f"{month}-01"), *np.quantile(values, QUANTILES)))
    return pd.DataFrame(rows, columns=["ts", *QUANTILE_COLUMNS])


def _spend(
    service: str,
    model: str,
    days: pd.DatetimeIndex,
    paths: Paths,
    quantiles: Floats,
    history: pd.Series,
    width: Callable[[int], float],
) -> _Series:
    """Whole months as the plan promises them: what the month had cost already is part of it.

    ``width`` says what the interval of a month so many months ahead is widened by, as in the plan's own months.
    """
    last_known = pd.Period(days[0] - pd.Timedelta(days=1), "M")
    names = days.strftime("%Y-%m").to_numpy()
    first = days[0].replace(day=1)
    known = float(history[(history.index >= first) & (history.index < days[0])].sum())
    whole = costs.month_totals(paths, days, {f"{first:%Y-%m}": known} if days[0].day > 1 else {})
    rows = []
    for month in whole.loc[whole["complete"], "month"]:
        total = paths[:, names == month].sum(axis=1, dtype=np.float64)
        total += known if month == f"{first:%Y-%m}" else 0.0
        total = costs.widened(total, width((pd.Period(month, "M") - last_known).n))
        rows.append((pd.Timestamp(f"{month}-01"), *np.quantile(total, QUANTILES)))
    months = pd.DataFrame(rows, columns=["ts", *QUANTILE_COLUMNS])
    return _Series(Unit(service, ""), SPEND, "total", days[0] - pd.Timedelta(days=1), model, days, quantiles, months)


def _rows(one: _Series, time_zone: str) -> pd.DataFrame:
    at = "UTC" if one.metric == SPEND else time_zone
    parts = [
        pd.DataFrame(rounded(one.quantiles.T), columns=list(QUANTILE_COLUMNS)).assign(ts=one.days, target=one.target)
    ]
    if len(one.months):
        parts.append(one.months.assign(target=f"month_{one.target}"))
    if one.peak is not None:
        last = pd.DataFrame([one.peak], columns=list(QUANTILE_COLUMNS)).assign(ts=one.days[-1], target="horizon_peak")
        parts.append(last)
    frame = pd.concat(parts, ignore_index=True)
    return frame.assign(
        service=one.unit.service, region=one.unit.region, metric=one.metric, scenario=SCENARIO, model=one.model,
        origin_ts=utc_days(pd.DatetimeIndex([one.origin]), at)[0], ts=utc_days(pd.DatetimeIndex(frame["ts"]), at),
    )[list(FORECAST.columns)]  # fmt: skip


def rounded(values: Floats) -> Floats:
    """To :data:`_BITS` binary digits, which never makes two values cross.

    >>> rounded(np.array([410.03, 0.0])).tolist()
    [410.0, 0.0]
    """
    mantissa, exponent = np.frexp(values)
    return np.asarray(np.ldexp(np.round(mantissa * 2.0**_BITS) / 2.0**_BITS, exponent), dtype=float)


# --- days --------------------------------------------------------------------------------------------------


def utc_days(days: pd.DatetimeIndex, time_zone: str) -> pd.DatetimeIndex:
    """The moment at which each local day begins; where a clock change skips midnight, the first moment after it."""
    ambiguous = np.ones(len(days), dtype=bool)  # the first of two midnights
    return days.tz_localize(zone(time_zone), ambiguous=ambiguous, nonexistent="shift_forward").tz_convert("UTC")


def local_days(moments: pd.DatetimeIndex | npt.NDArray[np.datetime64], time_zone: str) -> pd.DatetimeIndex:
    """The local day whose beginning is nearest: so it stays the same day where the service's zone was changed since."""
    local = pd.DatetimeIndex(moments).tz_convert(zone(time_zone)) if time_zone != "UTC" else pd.DatetimeIndex(moments)
    return (local.tz_localize(None) + _HALF_DAY).normalize()
