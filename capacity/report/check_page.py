"""A peak event's check as one page: GO or NO-GO with what to do by when, then the figures behind it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

import capacity
from capacity import charts
from capacity.charts import visible
from capacity.domain import EventVerdict
from capacity.report import _pictures, check_tables
from capacity.report._first_sheet import Kind, Sheet, fitting, least
from capacity.report._page import Page, render
from capacity.report._sections import Section
from capacity.report._summary import Card
from capacity.report._table import Table, moment, money, percent
from capacity.report.check_tables import CAUTION, Checked, label, spoken
from capacity.words import SPOKEN, day, plural, times

BOOK = "check.xlsx"
# Rows of a table on paper; the workbook has all of them.
MOST_ROWS = 40
# Of rows that hold sentences: some lines each.
MOST_WORDY = 24
# A time line is a third of a page; the services that must be decided on first have one.
MOST_TIMELINES = 4
MOST_REFUSED = 16
MOST_ENTERING = 3
# How the columns with text break on paper, and what stands above the cards: one line of facts.
_BREAKS: Mapping[int, Kind] = {0: (20, 15, 7), 2: (50, 15, 7), 3: (84, 15, 7)}
_HEAD = 75
_FIGURE = re.compile(r"[\d.,]+")
# Which limits could not be held against anything: the check says so among its reasons.
_UNCHECKED = "is not known and not checked"


def render_check(checked: Checked) -> str:
    """The check as one HTML document that asks no host for anything; the same check gives the same bytes."""
    sheet = Sheet(list(cards(checked)), [_holding(checked), _HOW], _BREAKS, _HEAD)
    care = list(cautions(checked))
    shorter = [check_tables.not_holding(checked).first(n, BOOK) for n in range(MOST_REFUSED, 0, -1)]
    size = list(sizes(checked))
    first = sheet.fewest(shorter, max(least(size), least(care)))
    event = checked.event
    page = Page(
        title=f"Peak event: {visible(event.name)}, {day(event.start.date())}",
        kind="Peak-event check",
        name=visible(checked.company),
        facts=facts(checked),
        cards=sheet.cards,
        first=first,
        first_title="What does not hold, and what to do",
        first_none="Every service holds: nothing has to be done." if event.verdicts else "No service takes part in it.",
        lines=sheet.lines if event.verdicts else [],
        lists=list(_lists(size, care, sheet.room(first))),
        sections=[s for s in _sections(checked) if s.tables or s.pictures or s.lines],
        footer=f"capacity {capacity.__version__} · as of {moment(checked.as_of)} · times are UTC unless said",
    )
    return render(page)


def _lists(size: Sequence[str], care: Sequence[str], room: int) -> Iterator[tuple[str, Sequence[str]]]:
    """How large the event is beside what to read with care, as much of each as there is room for."""
    alone = not (size and care)
    if size:
        yield "How large it is", fitting(size, room, "Check", alone, BOOK)
    if care:
        yield "Read with care", fitting(care, room, "Reasons", alone, BOOK)


_HOW = (
    "P(holds) counts futures of demand and of safe capacity together; GO is P95 demand within safe capacity, zones "
    "lost, and every limit kept."
)


def facts(checked: Checked) -> list[tuple[str, str]]:
    """What the check is of."""
    event = checked.event
    ramp = f"ramp of {plural(event.ramp_minutes, 'minute')}" if event.ramp_minutes else "no ramp"
    rates = f"of {day(event.rates_as_of)}" if event.rates_as_of else "without a date"
    return [
        ("Event", f"{moment(event.start)} to {moment(event.end)}, {ramp}"),
        ("As of", moment(checked.as_of)),
        ("Money", f"USD, on-demand rates {rates}, no discounts"),
    ]


# --- figures -----------------------------------------------------------------------------------------------------


def cards(checked: Checked) -> Iterator[Card]:
    """The answer, the first date, the money and the weakest service."""
    event, refused = checked.event, checked.refused
    name = f"{visible(event.name)}, {day(event.start.date())}"
    if not event.verdicts:
        yield Card(name, "Not checked", "No service takes part in it.", "bad")
        return
    said = f"{len(refused)} of {plural(len(event.verdicts), 'service')} do not hold as things are."
    holds = f"All {plural(len(event.verdicts), 'service')} hold its P95 demand."
    yield Card(name, "NO-GO" if refused else "GO", said if refused else holds, "bad" if refused else "good")
    if refused:
        yield _first_date(checked)
        yield _money(checked)
    weakest = min(event.verdicts, key=lambda v: (v.probability_holds, v.unit))
    share, name = percent(weakest.probability_holds, 1), f"{label(weakest)}."
    yield Card("P(holds) of the least sure", share, name, "good" if weakest.go else "bad")


def _first_date(checked: Checked) -> Card:
    found = [r for v in checked.refused for r in v.remedies]
    if not found:
        return Card("Decide first by", "find out first", "No remedy is known: see why.", "bad")
    late = sum(r.overdue for r in found)
    note = f"{plural(len(found), 'step')} in all, {f'{late} of them overdue' if late else 'none overdue'}."
    return Card("Decide first by", day(min(r.by for r in found)), note, "bad" if late else "plain")


def _money(checked: Checked) -> Card:
    """Of pre-scaling; a reservation of the same instances costs the same in its place."""
    plans = [v.prescale for v in checked.refused if v.prescale is not None]
    priced = [p.usd for p in plans if p.usd is not None]
    unknown = len(checked.refused) - len(priced)
    note = f"For {plural(len(priced), 'service')}, from the ramp to the end; reserved instances cost as much."
    if unknown:
        note += f" What {plural(unknown, 'service')} {'needs' if unknown == 1 else 'need'} has no known cost."
    return Card("Cost of what is missing", f"{money(sum(priced))} USD" if priced else "not known", note)


def _holding(checked: Checked) -> str:
    found = checked.holding
    if not found:
        return "No service holds as things are."
    weakest = found[0]
    least_sure = f"the least sure of them is {label(weakest)}, P(holds) {percent(weakest.probability_holds, 1)}"
    return f"{len(found)} of {plural(len(checked.event.verdicts), 'service')} hold; {least_sure}."


def sizes(checked: Checked) -> Iterator[str]:
    """How large the event is where it enters."""
    entering = [v for v in checked.event.verdicts if not v.propagated_from]
    for v in entering[:MOST_ENTERING]:
        p50, p95, before = (spoken(checked, v, x) for x in (v.demand_p50, v.demand_p95, v.before_p50))
        yield f"{label(v)}: {times(v.multiplier)} normal: {p50} (P50), {p95} (P95), against {before} without it."
    left = len(entering) - MOST_ENTERING
    if left > 0:
        yield f"{left} more where it enters; {plural(len(checked.event.verdicts), 'service')} feel it in all."


def cautions(checked: Checked) -> Iterator[str]:
    """Why to read the answers with care; what differs in its figures only counts as one."""
    alike: dict[str, list[tuple[EventVerdict, str]]] = {}
    for v in (*checked.refused, *checked.holding):
        for text in v.reasons:
            if text.startswith(CAUTION) or _UNCHECKED in text:
                said = visible(text.removeprefix(CAUTION).strip())
                alike.setdefault(_FIGURE.sub("#", said), []).append((v, said))
    for found in sorted(alike.values(), key=lambda f: -len(f)):
        v, said = found[0]
        such = f", such as {label(v)}" if len({text for _, text in found}) > 1 else ""
        whose = (
            f"{len(found)} of {plural(len(checked.event.verdicts), 'service')}{such}" if len(found) > 1 else label(v)
        )
        yield f"{whose}: {said}."


# --- sections ----------------------------------------------------------------------------------------------------


def _sections(checked: Checked) -> Iterator[Section]:
    yield Section("todo", "What to do, by date", _TODO, _full(check_tables.todo(checked), MOST_ROWS))
    yield Section(
        "prescale", "Pre-scaling", "Instances to have before the ramp; the rest comes by itself or not at all.",
        _full(check_tables.prescaling(checked), MOST_ROWS), list(_timelines(checked)),
    )  # fmt: skip
    yield Section(
        "answers", "Every answer", _ANSWERS, _full(check_tables.answers(checked), MOST_ROWS), list(_bars(checked))
    )
    yield Section("why", "Reasons", "What fails stands first.", _full(check_tables.why(checked), MOST_WORDY))
    yield Section("calls", "How it comes to each service", _CALLS, _full(check_tables.flows(checked), MOST_ROWS),
                  list(_calls(checked)))  # fmt: skip


_TODO = (
    "By is the last day to decide: what is missing must be there when the ramp begins. A reservation makes sure of the "
    "instances that pre-scaling runs and costs as much, not twice as much."
)
_ANSWERS = (
    "Safe capacity has the tier's zones lost. Safe now is what runs; safe at maximum is with what the group's maximum "
    "and the vCPU quota let it grow to."
)
_CALLS = "Calls go from left to right; a line is as wide as the demand that it adds."


def _full(table: Table, most: int) -> Sequence[Table]:
    return [table.first(most, BOOK)] if table.rows else []


def _bars(checked: Checked) -> Iterator[_pictures.Picture]:
    if checked.event.verdicts:
        yield _pictures.picture(
            charts.event_bars(checked.event.verdicts),
            "Demand P50 to P95 as a share of safe capacity at the group's maximum (dashed line); the tick: what runs.",
        )


def _timelines(checked: Checked) -> Iterator[_pictures.Picture]:
    for v in [v for v in checked.refused if v.prescale is not None][:MOST_TIMELINES]:
        _, measure = checked.measured(v.unit, 0.0)
        chart = charts.event_timeline(checked.event, v, SPOKEN.get(measure, measure), legend_columns=2)
        caption = f"{label(v)}: demand against what is safe as things are and with pre-scaling."
        yield _pictures.picture(chart, caption, _pictures.HALF)


def _calls(checked: Checked) -> Iterator[_pictures.Picture]:
    if checked.event.flows:
        yield _pictures.picture(
            charts.event_calls(checked.event),
            "Calls for each request more on the lines; in the boxes what the event adds (P50, all regions).",
        )
