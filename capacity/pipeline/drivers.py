"""What cost is divided by: units of each service's own demand and of the config's drivers, by month and by day."""

from __future__ import annotations

import calendar
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pandas as pd

from capacity.config import Config, DriverConfig, JourneyConfig, ServiceConfig
from capacity.costs import added_days
from capacity.domain import Floats, Unit
from capacity.pipeline.inputs import DAY, HOUR, Inputs
from capacity.pipeline.spend import rate_seconds, unit_name

# So many hours that monitoring lost in a row are filled in by what is beside them; a day with more is not known.
LOST_HOURS = 6
# A mean level of a month, in days' levels.
DAYS_A_MONTH = 365.25 / 12
MONTH_COLUMNS = ("month", "service", "units", "coverage_frac")
# Metric and statistic.
Series = tuple[str, str]


@dataclass(frozen=True)
class Counted:
    """One driver of the config, and what it counts.

    Attributes
    ----------
    months
        month, service, units, coverage_frac.
    """

    config: DriverConfig
    months: pd.DataFrame

    @property
    def name(self) -> str:
        return self.config.name

    @property
    def series(self) -> Series:
        """Two drivers of one service with the same series are one."""
        return self.config.metric, self.config.stat

    def is_at(self, service: str) -> bool:
        """Whether it is the named driver of ``service``: one without names is the company's alone."""
        return self.config.services is not None and service in set(self.months["service"])

    def total(self) -> pd.DataFrame:
        """month, units, coverage_frac of all its services."""
        return together(self.months)


def together(months: pd.DataFrame) -> pd.DataFrame:
    """month, units, coverage_frac: units added, as well covered as the worst."""
    return months.groupby("month", as_index=False).agg(units=("units", "sum"), coverage_frac=("coverage_frac", "min"))


def own_name(service: ServiceConfig) -> str:
    """What a service's own demand is called: requests."""
    return unit_name(service.demand_metric)


def own_series(service: ServiceConfig) -> Series:
    return service.demand_metric, service.demand_stat


def singular(name: str) -> str:
    """requests -> request."""
    return name.removesuffix("s") if name.endswith("s") and not name.endswith("ss") else name


def journey_driver(config: Config, journey: JourneyConfig) -> str:
    """What counts a journey: its driver, or the requests of the first service that it enters."""
    if journey.driver is not None:
        return journey.driver
    entry = next(iter(journey.enters))
    return f"{own_name(config.service(entry))} of {entry}"


def services_of(config: Config, driver: DriverConfig) -> tuple[str, ...]:
    """Services whose metric a driver is."""
    return tuple(driver.services if driver.services is not None else (s.name for s in config.services))


# --- months ------------------------------------------------------------------------------------------------


def own_units(inputs: Inputs) -> pd.DataFrame:
    """month, service, units, coverage_frac of every service's own demand."""
    parts = [months_of(inputs, [Unit(s.name, r) for r in s.regions], own_series(s)) for s in inputs.config.services]
    return pd.concat(parts, ignore_index=True)


def counted(inputs: Inputs) -> tuple[Counted, ...]:
    """The config's drivers; one without any usage is there all the same, with no month."""
    out = []
    for d in inputs.config.drivers:
        months = months_of(inputs, _units_of(inputs, d), (d.metric, d.stat), counts=d.month == "sum")
        out.append(Counted(d, months.assign(units=months["units"] / d.scale)))
    return tuple(out)


def months_of(inputs: Inputs, units: Sequence[Unit], series: Series, *, counts: bool = True) -> pd.DataFrame:
    """month, service, units, coverage_frac; a service is as well covered as its worst region.

    ``counts``: sums, a rate over its time; else the months' mean level.
    """
    rows = []
    for unit in units:
        values = inputs.usage_of(unit, *series)
        if values.empty:
            continue
        seconds = inputs.period_of(unit, *series)
        stamps = pd.DatetimeIndex(values.index)
        # Month by number: writing out 20,000 dates takes longer than all else.
        for number, part in values.groupby(np.asarray(stamps.year * 12 + stamps.month - 1)):
            year, month = divmod(int(str(number)), 12)
            hours = calendar.monthrange(year, month + 1)[1] * DAY / HOUR
            covered = min(1.0, float(part.notna().sum() * seconds / HOUR / hours))
            amount = float(part.sum()) * per_point(*series, seconds) if counts else float(part.mean())
            rows.append((f"{year}-{month + 1:02d}", unit.service, amount, covered))
    # Of no row at all, pandas would make columns of anything, which then do not go with the numbers of other services.
    frame = pd.DataFrame(rows, columns=list(MONTH_COLUMNS)).astype({"units": float, "coverage_frac": float})
    return frame.groupby(["month", "service"], as_index=False).agg(
        units=("units", "sum"), coverage_frac=("coverage_frac", "min")
    )


def _units_of(inputs: Inputs, driver: DriverConfig) -> list[Unit]:
    names = services_of(inputs.config, driver)
    known = [Unit(s.name, r) for s in inputs.config.services for r in s.regions if s.name in names]
    return sorted(u for u in known if len(inputs.usage_of(u, driver.metric, driver.stat)))


def per_point(metric: str, stat: str, seconds: int) -> float:
    """What a point counts for: a sum is a count already, a rate is one over its time."""
    return 1.0 if stat == "sum" else seconds / rate_seconds(metric)


# --- days --------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Days:
    """Units by UTC day on one grid (D,), as months count them; NaN where a day is not known."""

    inputs: Inputs
    grid: pd.DatetimeIndex
    _seen: dict[tuple[Unit, Series], Floats] = field(default_factory=dict)

    def own(self, service: ServiceConfig) -> Floats:
        """(D,) of a service's own demand."""
        return self.metric([Unit(service.name, r) for r in service.regions], own_series(service))

    def driver(self, driver: DriverConfig, service: str | None = None) -> Floats:
        """(D,) of a driver, of one service or of all; a level is in months of it."""
        mine = [u for u in _units_of(self.inputs, driver) if service in (None, u.service)]
        return self.metric(mine, (driver.metric, driver.stat), counts=driver.month == "sum") / driver.scale

    def metric(self, units: Sequence[Unit], series: Series, *, counts: bool = True) -> Floats:
        """(D,) of a (metric, stat) over several units; one without usage, or before its first, adds nothing."""
        parts, begins = [], []
        for unit in units:
            values = self.inputs.usage_of(unit, *series)
            if values.empty or not len(self.grid):
                continue
            seconds = self.inputs.period_of(unit, *series)
            if (unit, series) not in self._seen:
                self._seen[unit, series] = _whole_days(values, seconds, self.grid)
            factor = per_point(*series, seconds) if counts else seconds / DAY / DAYS_A_MONTH
            parts.append(self._seen[unit, series] * factor)
            # The day after its first: that one is hardly whole.
            first = values.index[0].tz_localize(None).normalize() + pd.Timedelta(days=1)
            begins.append(int(self.grid.searchsorted(first)))
        return added_days(parts, begins) if parts else np.full(len(self.grid), np.nan)


def _whole_days(values: pd.Series, seconds: int, days: pd.DatetimeIndex) -> Floats:
    """(D,) sum of the points of each UTC day that is wholly known; a few lost hours are filled in."""
    begin = days[0].tz_localize("UTC") - pd.Timedelta(hours=LOST_HOURS)
    filled = values[values.index >= begin].clip(lower=0.0)
    if seconds < DAY and len(filled):
        # Hours that were lost are no rows.
        filled = filled.asfreq(f"{seconds}s").interpolate(limit=LOST_HOURS, limit_area="inside")
    at = _day_number(pd.DatetimeIndex(filled.index)) - int(_day_number(days[:1])[0])
    points = filled.to_numpy(float)
    kept = np.isfinite(points) & (at >= 0) & (at < len(days))
    count = np.bincount(at[kept], minlength=len(days))
    return np.where(count >= DAY // seconds, np.bincount(at[kept], points[kept], len(days)), np.nan)


def _day_number(stamps: pd.DatetimeIndex) -> npt.NDArray[np.int64]:
    naive = stamps.tz_localize(None) if stamps.tz is not None else stamps
    return np.asarray(naive.to_numpy("datetime64[D]").astype(np.int64))
