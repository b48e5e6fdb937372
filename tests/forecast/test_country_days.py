from __future__ import annotations

from datetime import date

import pandas as pd

from capacity.forecast import holiday_occasions

FIRST, LAST = date(2025, 1, 1), date(2026, 12, 31)


def test_a_countrys_holidays_have_english_names_and_all_their_dates() -> None:
    found = {o.name: o for o in holiday_occasions([("DE", None)], FIRST, LAST, "D")}
    assert [str(a.date()) for a, _ in found["Good Friday"].spans] == ["2025-04-18", "2026-04-03"]
    assert all(a == b for o in found.values() for a, b in o.spans)
    assert {o.kind for o in found.values()} == {"holiday"}
    assert "Epiphany" not in found


def test_a_subdivision_adds_its_own() -> None:
    bavaria = {o.name for o in holiday_occasions([("DE", "BY")], FIRST, LAST, "D")}
    assert {"Epiphany", "Corpus Christi"} <= bavaria


def test_days_that_follow_each_other_are_one_occurrence() -> None:
    (eid,) = [o for o in holiday_occasions([("TR", None)], date(2026, 1, 1), LAST, "D") if o.name == "Eid al-Fitr"]
    assert [(str(a.date()), str(b.date())) for a, b in eid.spans] == [("2026-03-20", "2026-03-22")]


def test_several_countries_are_told_apart() -> None:
    names = {o.name for o in holiday_occasions([("DE", "BY"), ("US", None)], FIRST, LAST, "D")}
    assert {"Christmas Day (DE-BY)", "Christmas Day (US)"} <= names


def test_hours_of_a_holiday_are_its_day() -> None:
    new_year = next(o for o in holiday_occasions([("US", None)], FIRST, LAST, "h") if o.name == "New Year's Day")
    assert new_year.spans[0] == (pd.Timestamp("2025-01-01"), pd.Timestamp("2025-01-01 23:00"))


def test_only_days_asked_for_are_given() -> None:
    found = holiday_occasions([("US", None)], date(2026, 7, 1), date(2026, 7, 31), "D")
    assert sorted(str(a.date()) for o in found for a, _ in o.spans) == ["2026-07-03", "2026-07-04"]
