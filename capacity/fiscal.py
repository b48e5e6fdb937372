"""The fiscal calendar: of which quarter and year a month is, and what these are called.

A company whose year begins in January uses the calendar's own names, 2026-Q4 and 2026. Any other names its periods
FY2027-Q1 and FY2027, so that no name means one thing here and another there; a name of the wrong kind is refused.
"""

from __future__ import annotations

import calendar
import re
from dataclasses import dataclass
from typing import Literal

from capacity.errors import UsageError

Kind = Literal["month", "quarter", "year"]
NamedBy = Literal["end", "start"]
KINDS: tuple[Kind, ...] = ("month", "quarter", "year")
# What a month is called everywhere: 2026-08.
_MONTH = re.compile(r"(\d{4})-(0[1-9]|1[0-2])")
_LONGER = re.compile(r"(FY)?(\d{4})(?:-Q([1-4]))?")
_YEAR_MONTHS, _QUARTER_MONTHS = 12, 3
_EXAMPLE = 2026


@dataclass(frozen=True)
class Calendar:
    """Fiscal years of twelve months and quarters of three.

    Attributes
    ----------
    starts
        First month of the year, 1 to 12; 1 is the calendar year.
    named_by
        A year that lies in two calendar years has the number of the one in which it ends, or starts.

    Raises
    ------
    UsageError
        ``starts`` is no month, or ``named_by`` is neither of the two.
    """

    starts: int = 1
    named_by: NamedBy = "end"

    def __post_init__(self) -> None:
        if not 1 <= self.starts <= _YEAR_MONTHS:
            raise UsageError(f"fiscal year, starts: found {self.starts}; allowed: a month, 1 to {_YEAR_MONTHS}")
        if self.named_by not in ("end", "start"):
            raise UsageError(f"fiscal year, named_by: found '{self.named_by}'; allowed: end, start")

    @property
    def is_calendar(self) -> bool:
        """Whether its quarters and years are the calendar's."""
        return self.starts == 1

    def of(self, kind: Kind, month: str) -> str:
        """The month, quarter or year that ``month`` (YYYY-MM) is of.

        >>> Calendar().of("quarter", "2026-10"), Calendar(2).of("quarter", "2026-10"), Calendar(2).of("year", "2027-01")
        ('2026-Q4', 'FY2027-Q3', 'FY2027')

        Raises
        ------
        UsageError
            ``month`` is none.
        """
        year, at = self._place(month)
        if kind == "month":
            return month
        name = f"{'' if self.is_calendar else 'FY'}{year:04d}"
        return name if kind == "year" else f"{name}-Q{at // _QUARTER_MONTHS + 1}"

    def _place(self, month: str) -> tuple[int, int]:
        """The number of the year that a month is of, and how many of its months come before."""
        found = _MONTH.fullmatch(month)
        if found is None:
            raise UsageError(f"month: found '{month}'; allowed: YYYY-MM, e.g. {_EXAMPLE}-08")
        at = (int(found[2]) - self.starts) % _YEAR_MONTHS
        begins = int(found[1]) - (int(found[2]) < self.starts)
        return begins + self._ahead, at

    @property
    def _ahead(self) -> int:
        """By how much a year's number is more than that of the calendar year in which it begins."""
        return int(not self.is_calendar and self.named_by == "end")

    def kind_of(self, name: str) -> Kind:
        """Whether ``name`` is of a month, a quarter or a year; raises as :meth:`months_of`."""
        months = len(self.months_of(name))
        return {1: KINDS[0], _QUARTER_MONTHS: KINDS[1], _YEAR_MONTHS: KINDS[2]}[months]

    def months_of(self, name: str) -> tuple[str, ...]:
        """The months (YYYY-MM) of a month, a quarter or a year, in order.

        >>> Calendar(2).months_of("FY2027-Q1")
        ('2026-02', '2026-03', '2026-04')

        Raises
        ------
        UsageError
            ``name`` is none of this calendar: what is allowed is said, and what the months are called here.
        """
        if _MONTH.fullmatch(name):
            return (name,)
        found = _LONGER.fullmatch(name)
        if found is None or bool(found[1]) == self.is_calendar:
            raise UsageError(f"period: found '{name}'{self._misread(name)}; {self.allowed()}")
        first = 12 * (int(found[2]) - self._ahead) + self.starts - 1
        count = _YEAR_MONTHS
        if found[3]:
            first, count = first + _QUARTER_MONTHS * (int(found[3]) - 1), _QUARTER_MONTHS
        return tuple(f"{m // 12:04d}-{m % 12 + 1:02d}" for m in range(first, first + count))

    def allowed(self) -> str:
        """What periods are called, with examples."""
        quarter = self.of("quarter", f"{_EXAMPLE}-{self.starts:02d}")
        year = quarter[: quarter.index("-Q")]
        months, whole = self.months_of(quarter), self.months_of(year)
        return (
            f"allowed: a month ({_EXAMPLE}-08), a quarter ({quarter}: {months[0]} to {months[-1]}) or a year ({year}: "
            f"{whole[0]} to {whole[-1]})"
        )

    def _misread(self, name: str) -> str:
        """Why a quarter or year of another calendar is none of this one, and what its months are called here."""
        if not _LONGER.fullmatch(name):
            return ""
        if self.is_calendar:
            return ", but the fiscal year is the calendar's"
        months = Calendar().months_of(name)
        kind: Kind = "quarter" if len(months) == _QUARTER_MONTHS else "year"
        names = list(dict.fromkeys(self.of(kind, m) for m in months))
        begins = calendar.month_name[self.starts]
        return f", but the fiscal year begins in {begins}: the months of {name} are in {' and '.join(names)}"

    def frequency(self, kind: Kind) -> str:
        """The same as pandas calls it: M, Q-JAN and Y-JAN for a year that begins in February."""
        last = calendar.month_abbr[(self.starts - 2) % _YEAR_MONTHS + 1].upper()
        return "M" if kind == "month" else f"{kind[0].upper()}-{last}"


CALENDAR = Calendar()
