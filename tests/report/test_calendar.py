"""Order-by dates as a table and as a calendar file."""

from __future__ import annotations

import os
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from capacity.plan import Finding, Plan
from capacity.report.calendar import dues, ics, order_dates
from tests.handover import frozen_demo
from tests.report.frozen_event import GOLDEN


def _entries(text: str) -> list[dict[str, str]]:
    """The events of a calendar file, read by the rules of RFC 5545."""
    assert text.endswith("\r\n")
    lines = text.replace("\r\n ", "").split("\r\n")[:-1]
    assert (lines[0], lines[-1]) == ("BEGIN:VCALENDAR", "END:VCALENDAR")
    found: list[dict[str, str]] = []
    alarm = False
    for line in lines:
        name, _, value = line.partition(":")
        if line == "BEGIN:VEVENT":
            found.append({})
        elif name in ("BEGIN", "END") and value == "VALARM":
            alarm = name == "BEGIN"
        elif found and not alarm:
            found[-1][name] = value
    return found


def _plain(value: str) -> str:
    out, escaped = "", False
    for c in value:
        out += {"n": "\n"}.get(c, c) if escaped else ("" if c == "\\" else c)
        escaped = c == "\\" and not escaped
    return out


def test_every_date_of_the_plan_is_an_entry_once_and_in_order(company: Plan) -> None:
    found = dues(company)
    assert found
    assert [d.by for d in found] == sorted(d.by for d in found)
    limits = [x for u in company.units for x in u.limits if x.order_by and x.p10]
    assert {x.remedy for x in limits} <= {d.what for d in found}
    entries = _entries(ics(company))
    assert len(entries) == len(found) == len({e["UID"] for e in entries})
    assert len(order_dates(company).rows) == len(found)


def test_what_is_overdue_stands_on_the_day_of_the_plan_and_says_so(company: Plan) -> None:
    later = replace(company, as_of=datetime(2028, 1, 1, tzinfo=UTC))
    assert {row[1] for row in order_dates(later).rows} == {"overdue"}
    for entry in _entries(ics(later)):
        assert entry["DTSTART;VALUE=DATE"] == "20280101"
        assert entry["SUMMARY"].startswith("OVERDUE: ")


def test_the_next_plan_moves_the_same_entry(company: Plan) -> None:
    unit = next(u for u in company.units if any(x.order_by and x.p10 for x in u.limits))
    moved = tuple(replace(x, order_by=x.order_by + timedelta(days=3)) if x.order_by else x for x in unit.limits)
    units = tuple(replace(u, limits=moved) if u is unit else u for u in company.units)
    later = replace(company, units=units, as_of=company.as_of + timedelta(days=7))
    before, after = ({e["UID"]: e for e in _entries(ics(p))} for p in (company, later))
    assert before.keys() == after.keys()
    assert all(int(after[uid]["SEQUENCE"]) > int(before[uid]["SEQUENCE"]) for uid in before)


def test_a_remedy_whose_figures_move_is_the_same_entry() -> None:
    """More instances, a later day: the plan's calendar of next week moves the entry of this one's."""
    demo = frozen_demo.load()
    (event,) = demo.events
    moved = tuple(
        replace(v, remedies=tuple(
            replace(r, by=r.by + timedelta(days=1), action=r.action.replace("74", "81")) for r in v.remedies
        ))
        for v in event.verdicts
    )  # fmt: skip
    later = replace(demo, events=(replace(event, verdicts=moved),))
    before, after = ({e["UID"]: e["SUMMARY"] for e in _entries(ics(p))} for p in (demo, later))
    assert before.keys() == after.keys()
    assert before != after


def test_the_calendar_of_the_demo_company_is_as_it_was() -> None:
    """Written anew by CAPACITY_WRITE_GOLDEN=1."""
    found, path = ics(frozen_demo.load()), GOLDEN / "order-dates.ics"
    if os.environ.get("CAPACITY_WRITE_GOLDEN"):
        path.write_bytes(found.encode())
    assert found.encode() == path.read_bytes()


WORDS = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cf", "Cs", "Zl", "Zp"]), min_size=1)


@given(WORDS, st.dates(date(2027, 1, 1), date(2030, 1, 1)))
def test_any_words_come_back_and_no_line_is_too_long(company: Plan, words: str, by: date) -> None:
    plan = replace(company, units=(), events=(), findings=(Finding("act", "cost", words, by=by),))
    text = ics(plan)
    assert all(len(line.encode()) <= 75 for line in text.split("\r\n"))
    (entry,) = _entries(text)
    (due,) = dues(plan)
    assert _plain(entry["SUMMARY"]) == due.what
    assert entry["DTSTART;VALUE=DATE"] == f"{by:%Y%m%d}"


def test_a_plan_without_dates_is_an_empty_calendar(company: Plan) -> None:
    assert _entries(ics(replace(company, units=(), events=(), findings=()))) == []
