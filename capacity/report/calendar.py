"""Dates by which something has to be ordered or decided: as a table, and as a calendar that other programs read."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from capacity.charts import unit_label, visible
from capacity.domain import Remedy
from capacity.plan import Plan
from capacity.report._table import Column, Table

# RFC 5545, 3.1: a line is at most 75 octets without its end.
_LINE_OCTETS = 75
_ALARM_DAYS = 7


@dataclass(frozen=True)
class Due:
    """Something due: ``by`` the day; ``what`` to do; ``why``; ``key`` is the same in every plan of the same thing."""

    by: date
    what: str
    why: str
    where: str
    key: str


def dues(plan: Plan) -> tuple[Due, ...]:
    """Order-by dates of limits, remedies of peak events and findings with a day, the earliest first, nothing twice."""
    found = sorted({d.key: d for d in [*_findings(plan), *_remedies(plan), *_limits(plan)]}.values(), key=_order)
    return tuple(found)


def _order(due: Due) -> tuple[date, str, str]:
    return due.by, due.where, due.what


def _limits(plan: Plan) -> Iterator[Due]:
    for unit in plan.units:
        where = unit_label(unit.service, unit.region)
        for limit in unit.limits:
            if limit.order_by is not None and limit.p10 is not None:
                why = f"{limit.name} may be passed from {limit.p10} on; it takes {limit.lead_time_days} days"
                yield Due(limit.order_by, visible(limit.remedy), visible(why), where, f"limit|{where}|{limit.name}")


def _remedies(plan: Plan) -> Iterator[Due]:
    for event in plan.events:
        for verdict in event.verdicts:
            if verdict.go:
                continue
            where = unit_label(verdict.unit.service, verdict.unit.region)
            for remedy in verdict.remedies:
                why = f"{event.name} begins on {event.start:%Y-%m-%d}; NO-GO without it"
                key = f"event|{event.name}|{where}|{_same(remedy)}"
                yield Due(remedy.by, visible(remedy.action), visible(why), where, key)


def _same(remedy: Remedy) -> str:
    """What a remedy is in every plan: its figures move from one to the next."""
    name = remedy.action.partition(":")[0] if remedy.kind == "limit" else remedy.code
    return f"{remedy.kind}|{name}" if remedy.kind else f"{remedy.lead_time_days}|{remedy.action}"


def _findings(plan: Plan) -> Iterator[Due]:
    """Findings with a day that no limit and no event already says."""
    for finding in plan.findings:
        if finding.by is None or finding.topic in ("saturation", "order", "event"):
            continue
        where = unit_label(finding.service, finding.region) if finding.region else visible(finding.service)
        yield Due(finding.by, visible(finding.text), "", where, f"finding|{finding.topic}|{where}|{finding.text}")


def order_dates(plan: Plan) -> Table:
    """The dates as a table, the earliest first; what is past is overdue."""
    today = plan.as_of.date()
    rows = [(d.by, "overdue" if d.by < today else "", d.where, d.what, d.why) for d in dues(plan)]
    columns = (
        Column("By", "date"), Column("", "status", ""), Column("Service · region"), Column("What", "long"),
        Column("Why", "long", ""),
    )  # fmt: skip
    return Table("Order dates", columns, rows)


def ics(plan: Plan) -> str:
    """The dates as an iCalendar file (RFC 5545): an all-day entry each, reminded of a week before.

    An entry has the same UID in every plan, so that importing the next plan's calendar moves it. A day that is past
    stands on the plan's own day and says so: an order that is overdue is due now.
    """
    today, stamp = plan.as_of.date(), f"{plan.as_of.astimezone(UTC):%Y%m%dT%H%M%SZ}"
    lines = ["BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:-//capacity//order dates//EN", "METHOD:PUBLISH"]
    lines.append(f"X-WR-CALNAME:{_text(f'{visible(plan.company)}: order dates')}")
    for due in dues(plan):
        lines += _entry(due, today, stamp, plan)
    lines.append("END:VCALENDAR")
    return "".join(f"{folded}\r\n" for line in lines for folded in _folded(line))


def _entry(due: Due, today: date, stamp: str, plan: Plan) -> list[str]:
    day, late = max(due.by, today), due.by < today
    said = [due.why, f"was due on {due.by}" if late else "", f"plan of {plan.as_of:%Y-%m-%d}, {visible(plan.scenario)}"]
    uid = hashlib.sha256(f"{plan.company}|{plan.scenario}|{due.key}".encode()).hexdigest()[:32]
    summary = f"{'OVERDUE: ' if late else ''}{due.where + ': ' if due.where else ''}{due.what}"
    return [
        "BEGIN:VEVENT", f"UID:{uid}@capacity", f"DTSTAMP:{stamp}", f"SEQUENCE:{_sequence(plan.as_of)}",
        f"DTSTART;VALUE=DATE:{day:%Y%m%d}", f"DTEND;VALUE=DATE:{day + timedelta(days=1):%Y%m%d}",
        f"SUMMARY:{_text(summary)}", f"DESCRIPTION:{_text('. '.join(s for s in said if s))}", "TRANSP:TRANSPARENT",
        "BEGIN:VALARM", "ACTION:DISPLAY", f"DESCRIPTION:{_text(summary)}", f"TRIGGER:-P{_ALARM_DAYS}D", "END:VALARM",
        "END:VEVENT",
    ]  # fmt: skip


def _sequence(as_of: datetime) -> int:
    """A later plan's entry replaces an earlier one's: minutes since 2020 grow, and stay a 32-bit number."""
    return int((as_of - datetime(2020, 1, 1, tzinfo=UTC)).total_seconds() // 60)


def _text(value: str) -> str:
    """TEXT of RFC 5545, 3.3.11; control characters are none of it."""
    plain = re.sub(r"[\x00-\x08\x0b-\x1f\x7f]", " ", value)
    return plain.replace("\\", "\\\\").replace(";", "\\;").replace(",", "\\,").replace("\n", "\\n")


def _folded(line: str) -> Iterator[str]:
    """``line`` in pieces of at most 75 octets, no character cut; every further piece begins with a space."""
    piece, size = "", 0
    for character in line:
        width = len(character.encode("utf-8"))
        if size + width > _LINE_OCTETS:
            yield piece
            piece, size = " ", 1
        piece, size = piece + character, size + width
    yield piece
