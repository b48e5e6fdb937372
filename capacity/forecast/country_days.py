"""Countries' holidays as occasions: whether a service feels them is learned, each for itself."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import date, timedelta

import pandas as pd

from capacity.forecast._history import Freq
from capacity.forecast.occasions import Occasion

_DAY = pd.Timedelta(days=1)
# A feast whose day is told by the moon is estimated ahead of time: the name says so, and is one name all the same.
ESTIMATED = " (estimated)"


def holiday_occasions(
    countries: Sequence[tuple[str, str | None]], first: date, last: date, freq: Freq
) -> tuple[Occasion, ...]:
    """Holidays of ``countries`` (code, subdivision or None) between two days, by English name.

    One occasion a name, with a ramp of a day: the day before and after count where the past says so. Days of one name
    that follow each other are one occurrence. With several countries the code stands behind the name.
    """
    out = []
    for code, part in countries:
        for name, days in sorted(_by_name(code, part, first, last).items()):
            shown = f"{name} ({code if part is None else f'{code}-{part}'})" if len(countries) > 1 else name
            spans = tuple(_span(a, b, freq) for a, b in _runs(days))
            out.append(Occasion(shown, "holiday", spans, ramp_steps=1 if freq == "D" else 24))
    return tuple(out)


def _by_name(code: str, part: str | None, first: date, last: date) -> dict[str, list[date]]:
    import holidays

    years = range(first.year, last.year + 1)
    found = holidays.country_holidays(code, subdiv=part, years=years, language="en_US")
    out: dict[str, list[date]] = defaultdict(list)
    for day, names in sorted(found.items()):
        if first <= day <= last:
            for name in str(names).split("; "):
                out[name.removesuffix(ESTIMATED)].append(day)
    return dict(out)


def _runs(days: Iterable[date]) -> list[tuple[date, date]]:
    out: list[tuple[date, date]] = []
    for day in days:
        if out and day - out[-1][1] == timedelta(days=1):
            out[-1] = (out[-1][0], day)
        else:
            out.append((day, day))
    return out


def _span(first: date, last: date, freq: Freq) -> tuple[pd.Timestamp, pd.Timestamp]:
    end = pd.Timestamp(last)
    return pd.Timestamp(first), end if freq == "D" else end + _DAY - pd.Timedelta(hours=1)
