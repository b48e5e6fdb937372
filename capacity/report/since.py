"""Since the last plan: what it said of the same months, what came, and what became of what was decided."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from capacity.charts import unit_label, visible
from capacity.decisions import Decision
from capacity.errors import UsageError
from capacity.plan import Plan
from capacity.report import _since_decisions as choices
from capacity.report import _since_money as money
from capacity.report import _since_units as units
from capacity.report._pictures import Picture
from capacity.report._sections import Section
from capacity.report._since_decisions import Followed
from capacity.report._table import Table, percent, sentence
from capacity.report._table import money as amount
from capacity.words import day, listed, plural

TITLE = "Since the last plan"
# Rows of a table on paper; the workbook has all of them.
MOST_ROWS = 6
# A peak that moved by less is the same peak.
MOVED_FRAC = 0.1


@dataclass(frozen=True)
class Since:
    """What a report says of the plan before.

    Attributes
    ----------
    sentences
        For the first sheet: demand, money, decisions; two or three.
    sections
        Decisions, demand and money, with their tables and the way of the money drawn.
    sheets
        Every table whole, for the workbook.
    """

    sentences: tuple[str, ...]
    sections: tuple[Section, ...]
    sheets: tuple[Table, ...]


def since(old: Plan, new: Plan, taken: Sequence[Decision] = (), later: Sequence[Decision] = ()) -> Since:
    """Hold ``new`` against the plan before it.

    A frame that the older plan was made without is no error: what rests on it is left out.

    Parameters
    ----------
    taken, later
        Decisions beside the old plan and beside the new one.

    Raises
    ------
    UsageError
        The plans are of different companies or in different currencies, or ``old`` is not the older one.
    """
    refuse(old, new)
    peaks, moves = units.peaks(old, new), units.date_moves(old, new)
    spend, came = money.spend(old, new), money.came(old, new)
    bridge, followed = money.moved(old, new), choices.followed(old, new, taken, later)
    fleet, cost = units.fleet(old, new), units.unit_cost(old, new)
    dates, decided = units.dates(moves), choices.table(followed)
    against = f"Against the plan as of {day(old.as_of.date())}, {visible(old.scenario)}. Then: as that plan said it. "
    words, drawn = ([sentence(w) for w in bridge.words], [bridge.picture]) if bridge else ([], [])
    sections = (
        _section("since", TITLE, against + _DECIDED, [decided], (), list(_notes(old, new))),
        _section("since-demand", f"{TITLE}: dates and demand", _MOVED,
                 [dates, units.largest(peaks), came], (), list(_kept(old, new, came))),
        _section("since-money", f"{TITLE}: money", _MONEY, [spend, fleet, cost], drawn, words),
    )  # fmt: skip
    sheets = [decided, dates, peaks, fleet, units.fleet_months(old, new), spend, cost, came]
    sheets += [bridge.table] if bridge else []
    said = (_demand(peaks, moves, old), _spent(bridge, spend), _decided(followed))
    return Since(tuple(s for s in said if s), sections, tuple(t for t in sheets if t.rows))


_DECIDED = "What was approved is seen where what runs, or the limit, moved to what was recommended."
_MOVED = "Limits whose dates moved, the earlier ones first; then peaks of the same days in both plans; then what came."
_MONEY = "Spend by month, said and billed; then the recommended fleet of the same months; then the cost of 1,000 units."


def _section(
    key: str, title: str, lead: str, tables: Sequence[Table], pictures: Sequence[Picture], lines: Sequence[str]
) -> Section:
    shown = [t.first(MOST_ROWS) for t in tables if t.rows]
    return Section(key, title, lead if shown else "", shown, pictures, lines or (() if shown else [_NOTHING]))


_NOTHING = "Nothing of it stands in both plans."


def refuse(old: Plan, new: Plan) -> None:
    """Refuse plans that cannot be held against each other; raises as :func:`since`."""
    if old.company != new.company:
        raise UsageError(
            f"the plan to compare with is of {visible(old.company)}, this one of {visible(new.company)}: plans of "
            "different companies are not compared"
        )
    if old.currency != new.currency:
        raise UsageError(
            f"the plan to compare with is in {old.currency}, this one in {new.currency}: money in different "
            "currencies is not compared"
        )
    if old.as_of >= new.as_of:
        raise UsageError(
            f"the plan to compare with is as of {old.as_of:%Y-%m-%d %H:%M}Z, no earlier than this one "
            f"({new.as_of:%Y-%m-%d %H:%M}Z): name an earlier plan"
        )


# --- sentences -------------------------------------------------------------------------------------------------


def _demand(peaks: Table, moves: Sequence[units.DateMove], old: Plan) -> str:
    rows = units.largest(peaks).rows
    parts = []
    moved = [r for r in rows if r[6] is not None and abs(r[6]) >= MOVED_FRAC]
    if moved:
        first = moved[0]
        way = "+" if first[6] > 0 else ""
        parts.append(
            f"{len(moved)} of {plural(len(rows), 'P90 peak')} moved by {percent(MOVED_FRAC)} or more, most {first[0]} "
            f"({way}{percent(first[6])})"
        )
    elif rows:
        parts.append(f"no P90 peak of {plural(len(rows), 'unit')} moved by {percent(MOVED_FRAC)}")
    early = sum(m.earlier for m in moves)
    if moves:
        verb = "comes" if early == 1 else "come"
        parts.append(f"{plural(early, 'limit')} {verb} earlier than was said, {len(moves) - early} later")
    elif rows:
        parts.append("no limit's date moved")
    return f"Plan of {day(old.as_of.date())}: {'; '.join(parts)}." if parts else ""


def _spent(bridge: money.Moved | None, spend: Table) -> str:
    parts = []
    if bridge is not None:
        then, now = money.total_change(bridge)
        unit = bridge.table.rows[0][0] if bridge.table.rows else ""
        span = bridge.months[0] if len(bridge.months) == 1 else f"{bridge.months[0]} to {bridge.months[-1]}"
        verb = "costs" if len(bridge.months) == 1 else "cost"
        more = now - then
        share = f" ({percent(float(abs(more) / then), 1)})" if then > 0 else ""
        change = f"{amount(abs(more))} {unit}{share} {'more' if more > 0 else 'less'} than" if more else "the same as"
        parts.append(f"{span} {verb} {change} planned then")
    over = [r for r in spend.rows if r[5] == money.BILLED]
    if over:
        inside = sum(r[6] == "inside" for r in over)
        parts.append(f"{inside} of {plural(len(over), 'month')} billed since lay between P10 and P90")
    return sentence("; ".join(parts)) if parts else ""


def _decided(found: Sequence[Followed]) -> str:
    counts = Counter(f.outcome for f in found)
    names: Mapping[choices.Outcome, str] = {
        "approved, seen": "approved and seen", "approved, not seen": "approved and not seen",
        "approved, not to be seen": "approved (no figure shows it)", "rejected": "rejected", "open": "still open",
    }  # fmt: skip
    told = [f"{counts[outcome]} {words}" for outcome, words in names.items() if counts[outcome]]
    parts = [f"of {plural(len(found) - counts['undecided'], 'decision')}: {', '.join(told)}"] if told else []
    if counts["undecided"]:
        parts.append(f"{plural(counts['undecided'], 'finding')} that needed a decision got none")
    return sentence("; ".join(parts))


def _notes(old: Plan, new: Plan) -> Iterator[str]:
    """What a reader must know before comparing."""
    if old.scenario != new.scenario:
        yield f"That plan is of scenario {visible(old.scenario)}, this one of {visible(new.scenario)}."
    then, now = ({u.unit for u in plan.units} for plan in (old, new))
    for words, names in (("New since", now - then), ("No longer planned", then - now)):
        if names:
            shown = [unit_label(u.service, u.region) for u in sorted(names)]
            more = [f"{len(shown) - 4} more"] if len(shown) > 5 else []
            yield f"{words}: {listed([*(shown[:4] if more else shown), *more])}."
    other = len(then & now) - len(units.comparable(old, new))
    if other:
        verb = "counts" if other == 1 else "count"
        yield f"{plural(other, 'unit')} {verb} demand otherwise than then: its peaks are not compared."


def _kept(old: Plan, new: Plan, came: Table) -> Iterator[str]:
    """How what that plan promised of days that are over was kept."""
    judged, inside = money.promised_rows(money.stored_promises(old, new))
    if judged:
        yield (
            f"{inside} of {judged} promises of that plan held: what came lay between P10 and P90, where 8 of 10 "
            "should. They stand under Last quarter's promise."
        )
    share = money.days_inside(came)
    if share is not None:
        days = sum(r[2] for r in came.rows)
        yield f"{percent(share)} of {days:,} daily peaks since lay between that plan's P10 and P90, where 80% should."
