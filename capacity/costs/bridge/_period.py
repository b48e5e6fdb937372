"""Periods of a bridge: a month, a quarter, a year, or any run of months."""

from __future__ import annotations

import calendar
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from capacity.costs.unit_cost import LEAST_COVERAGE_FRAC
from capacity.errors import MissingDataError, UsageError
from capacity.fiscal import CALENDAR, Calendar

_MONTH = r"(\d{4})-(0[1-9]|1[0-2])"
_RUN = "or a run of months (2026-01..2026-03)"


@dataclass(frozen=True)
class Period:
    """Whole months with a name. Quarters and years are those of a fiscal calendar, the calendar's where none is given.

    Attributes
    ----------
    label
        What the reader calls it: "2026-Q3".
    months
        YYYY-MM, in order, without a gap.
    """

    label: str
    months: tuple[str, ...]

    @classmethod
    def parse(cls, text: str, calendar: Calendar = CALENDAR) -> Period:
        """The period that ``text`` names in ``calendar``.

        >>> Period.parse("2026-Q1").months, Period.parse("FY2027-Q1", Calendar(2)).months
        (('2026-01', '2026-02', '2026-03'), ('2026-02', '2026-03', '2026-04'))

        Raises
        ------
        UsageError
            ``text`` is none of the known forms, of another calendar, or ends before it starts.
        """
        if found := re.fullmatch(rf"{_MONTH}\.\.{_MONTH}", text):
            first, last = int(found[1]) * 12 + int(found[2]) - 1, int(found[3]) * 12 + int(found[4]) - 1
            if first <= last:
                return cls(text, tuple(f"{m // 12}-{m % 12 + 1:02d}" for m in range(first, last + 1)))
            raise UsageError(f"period: found '{text}', which ends before it starts; {calendar.allowed()}, {_RUN}")
        try:
            return cls(text, calendar.months_of(text))
        except UsageError as error:
            raise UsageError(f"{error}, {_RUN}") from None

    @classmethod
    def of(cls, period: str | Period) -> Period:
        """``period`` itself, or what its text names."""
        return period if isinstance(period, Period) else cls.parse(period)

    @property
    def days(self) -> int:
        """Days of its months."""
        return sum(calendar.monthrange(int(m[:4]), int(m[5:]))[1] for m in self.months)

    def check(self, known: Sequence[str]) -> None:
        """Refuse a period that the bill does not wholly cover.

        Raises
        ------
        MissingDataError
            A month of it has no charge; the months that have are named.
        """
        missing = [m for m in self.months if m not in known]
        if missing:
            lead = "" if len(self.months) == 1 else f"{self.label} is not whole: "
            raise MissingDataError(
                f"{lead}no charge in {', '.join(missing)}; months with charges: {', '.join(known) or 'none'}"
            )


def period_units(driver_units: pd.DataFrame, period: str | Period) -> dict[str, float]:
    """Driver units by service over a period.

    Parameters
    ----------
    driver_units
        month (YYYY-MM), service, units, and where known coverage_frac (share of the month's hours that was seen).

    Returns
    -------
    dict
        Only services whose units are known in every month of the period: a count of part of it would make what a
        unit costs look too high.
    """
    months = Period.of(period).months
    rows = driver_units[driver_units["month"].isin(months)]
    if "coverage_frac" in rows:
        rows = rows[rows["coverage_frac"].astype(float) >= LEAST_COVERAGE_FRAC]
    out = {}
    for service, part in rows.groupby("service", sort=True):
        if set(part["month"]) == set(months):
            out[str(service)] = float(part["units"].astype(float).sum())
    return out


def units_by_month(driver_units: pd.DataFrame, months: Sequence[str]) -> Mapping[str, Mapping[str, float]]:
    """:func:`period_units` of each of ``months``."""
    return {m: period_units(driver_units, m) for m in months}
