"""The fiscal calendar: every month is of one quarter and one year, and no name means two things."""

from __future__ import annotations

import warnings
from collections import Counter
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from capacity import config
from capacity.costs import Period
from capacity.errors import ConfigError, UsageError
from capacity.fiscal import CALENDAR, KINDS, Calendar, Kind

CALENDARS = st.builds(Calendar, st.integers(1, 12), st.sampled_from(["end", "start"]))
MONTHS = st.builds(lambda y, m: f"{y}-{m:02d}", st.integers(1990, 2090), st.integers(1, 12))
LONGER = st.sampled_from(["quarter", "year"])


def months_from(first: str, count: int) -> list[str]:
    return [str(p) for p in pd.period_range(first, periods=count, freq="M")]


@given(CALENDARS, MONTHS, LONGER)
def test_every_month_is_of_exactly_one_quarter_and_one_year(calendar: Calendar, month: str, kind: Kind) -> None:
    mine = calendar.of(kind, month)
    around = {calendar.of(kind, m) for m in months_from(str(pd.Period(month, "M") - 24), 49)}
    assert [name for name in around if month in calendar.months_of(name)] == [mine]


@given(CALENDARS, st.integers(1990, 2090))
def test_a_year_has_twelve_months_and_a_quarter_three(calendar: Calendar, year: int) -> None:
    months = months_from(f"{year}-{calendar.starts:02d}", 120)
    for kind, size in (("quarter", 3), ("year", 12)):
        assert set(Counter(calendar.of(kind, m) for m in months).values()) == {size}  # type: ignore[arg-type]
    for name in {calendar.of("year", m) for m in months}:
        quarters = [f"{name}-Q{q}" for q in (1, 2, 3, 4)]
        assert calendar.months_of(name) == tuple(m for q in quarters for m in calendar.months_of(q))


@given(CALENDARS, MONTHS, MONTHS)
def test_order_is_kept(calendar: Calendar, one: str, other: str) -> None:
    first, last = sorted((one, other))
    for kind in KINDS:
        assert calendar.of(kind, first) <= calendar.of(kind, last)


@given(CALENDARS, MONTHS, st.sampled_from(KINDS))
def test_a_name_leads_back_to_its_months_and_pandas_agrees(calendar: Calendar, month: str, kind: Kind) -> None:
    name = calendar.of(kind, month)
    assert month in calendar.months_of(name)
    assert calendar.kind_of(name) == kind
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        period = pd.Period(month, calendar.frequency(kind))
    assert calendar.months_of(name) == tuple(map(str, pd.period_range(period.start_time, period.end_time, freq="M")))


@given(st.integers(2, 12), st.sampled_from(["end", "start"]), MONTHS, LONGER)
def test_no_name_is_of_both_calendars(starts: int, named_by: str, month: str, kind: Kind) -> None:
    fiscal = Calendar(starts, named_by)  # type: ignore[arg-type]
    for one, other in ((fiscal, CALENDAR), (CALENDAR, fiscal)):
        with pytest.raises(UsageError, match="allowed: a month"):
            one.months_of(other.of(kind, month))


def test_names_are_as_companies_say_them() -> None:
    assert (CALENDAR.of("quarter", "2026-10"), CALENDAR.of("year", "2026-10")) == ("2026-Q4", "2026")
    assert Calendar(2).months_of("FY2027-Q1") == ("2026-02", "2026-03", "2026-04")
    assert Calendar(2, "start").months_of("FY2026-Q1") == ("2026-02", "2026-03", "2026-04")
    assert Calendar(7).of("year", "2026-07") == "FY2027"


def test_a_name_of_the_calendar_is_refused_with_what_its_months_are_called() -> None:
    with pytest.raises(UsageError) as error:
        Period.parse("2026-Q4", Calendar(2))
    text = str(error.value)
    assert "the fiscal year begins in February: the months of 2026-Q4 are in FY2027-Q3 and FY2027-Q4" in text
    assert "a quarter (FY2027-Q1: 2026-02 to 2026-04)" in text
    assert text.endswith("or a run of months (2026-01..2026-03)")
    with pytest.raises(UsageError, match="the fiscal year is the calendar's"):
        Period.parse("FY2027-Q1")


def test_a_bridge_takes_fiscal_periods() -> None:
    assert Period.parse("FY2027", Calendar(4)).months == tuple(months_from("2026-04", 12))
    assert Period.parse("FY2027-Q4", Calendar(4)).label == "FY2027-Q4"
    assert Period.parse("2026-01..2026-02", Calendar(4)).months == ("2026-01", "2026-02")


@pytest.mark.parametrize(("given_", "words"), [((0, "end"), "a month, 1 to 12"), ((2, "middle"), "end, start")])
def test_what_is_no_calendar_is_refused(given_: tuple[int, str], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        Calendar(*given_)  # type: ignore[arg-type]


# --- from the config -------------------------------------------------------------------------------------------

HEAD = "version: 1\ncompany: Acme\ntiers: [{name: t, service_level: 0.9}]\n"
SERVICES = "services: [{name: search, tier: t, regions: [us-east-1]}]\n"


def loaded(folder: Path, more: str = "") -> config.Config:
    path = folder / "c.yaml"
    path.write_text(HEAD + SERVICES + more, encoding="utf-8")
    return config.load(path)


def test_a_config_says_when_the_year_begins(tmp_path: Path) -> None:
    plain, fiscal = loaded(tmp_path), loaded(tmp_path, "fiscal_year: {starts: 2, named_by: start}\n")
    assert plain.calendar == CALENDAR
    assert fiscal.calendar == Calendar(2, "start")
    assert fiscal.digest() != plain.digest()


@pytest.mark.parametrize("text", ["{starts: 13}", "{starts: February}", "{named_by: middle}", "{begins: 2}"])
def test_a_config_that_names_no_month_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(ConfigError, match="fiscal_year"):
        loaded(tmp_path, f"fiscal_year: {text}\n")
