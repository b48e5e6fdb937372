"""The first page in words: what a director reads before any table."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from capacity.charts import unit_label, visible
from capacity.plan import EventSummary, Plan, UnitPlan
from capacity.report._table import money, percent
from capacity.words import day

# Names in a sentence; the table has them all.
NAMED = 3
# Unallocated spend above this share is said: FinOps calls 80 % allocated "walk", 90 % "run".
UNALLOCATED_SAID = 0.1


@dataclass(frozen=True)
class Card:
    """One figure of the first page."""

    label: str
    value: str
    note: str
    tone: Literal["good", "bad", "plain"] = "plain"


def cards(plan: Plan) -> list[Card]:
    """Capacity, money, spend and the event, each where the plan has it."""
    found = [_capacity(plan), _mix(plan), _spend(plan), _event(plan)]
    return [card for card in found if card is not None]


def _capacity(plan: Plan) -> Card:
    passing = passing_units(plan)
    value = f"{len(passing)} of {len(plan.units)}"
    if not plan.units:
        return Card("Pass a limit within the horizon", value, "No unit is planned.")
    if not passing:
        return Card("Pass a limit within the horizon", value, "No limit is passed with a chance of 1 in 10.", "good")
    first = passing[0].first_limit
    name = unit_label(passing[0].service, passing[0].region)
    note = f"First: {name}, {visible(first.name)}, P10 date {day(first.p10)}." if first else ""
    return Card("Pass a limit within the horizon", value, f"Chance 1 in 10 or more. {note}", "bad")


def passing_units(plan: Plan) -> list[UnitPlan]:
    """Units with a P10 date within the horizon, the earliest first."""
    dated = [(u.first_limit.p10, u.unit, u) for u in plan.units if u.first_limit and u.first_limit.p10]
    return [u for _, _, u in sorted(dated, key=lambda d: d[:2])]


def _mix(plan: Plan) -> Card | None:
    if plan.mix is None:
        return None
    m = plan.mix
    share = f" ({percent(abs(m.saving_usd) / m.running_usd)})" if m.running_usd else ""
    verb = "Saves" if m.saving_usd >= 0 else "Needs"
    against = f"against the running fleet kept, {money(m.running_usd)}; {m.rates_of}."
    note = f"{verb} {money(abs(m.saving_usd))}{share} {against}"
    label = f"Recommended mix, {_span(m.months)}"
    return Card(label, f"{money(m.recommended_usd)} {plan.currency}", note, "good" if m.saving_usd >= 0 else "plain")


def _span(months: tuple[str, ...]) -> str:
    return f"{months[0]} to {months[-1]}" if months else "horizon"


def _spend(plan: Plan) -> Card | None:
    """P50 spend of the plan's currency, held against the budgets of the months that have one."""
    own = [s for s in plan.spend if s.currency == plan.currency]
    if not own:
        return None
    label = f"Spend forecast P50, {_span(tuple(s.month for s in own))}"
    value = f"{money(sum(s.q50 for s in own))} {plan.currency}"
    budgeted = [s for s in own if s.budget is not None]
    if not budgeted:
        return Card(label, value, "No budget is set.")
    budget = sum(float(s.budget) for s in budgeted if s.budget is not None)
    over = sum(s.q50 for s in budgeted) - budget
    word = "over" if over > 0 else "under"
    months = f"{len(budgeted)} budgeted month{'s' if len(budgeted) > 1 else ''}"
    worst = max(budgeted, key=lambda s: s.over_budget or 0.0)
    note = f"{money(abs(over))} {word} the {money(budget)} of {months}."
    if worst.over_budget:
        note += f" Likeliest over: {worst.month}, {percent(worst.over_budget)}."
    return Card(label, value, note, "bad" if over > 0 else "plain")


def _event(plan: Plan) -> Card | None:
    if not plan.events:
        return None
    event = min(plan.events, key=lambda e: (e.go, e.start))
    label = f"Event {visible(event.name)}, {day(event.start.date())}"
    return Card(label, "GO" if event.go else "NO-GO", _event_note(event), "good" if event.go else "bad")


def _event_note(event: EventSummary) -> str:
    refused = [v for v in event.verdicts if not v.go]
    if not refused:
        return f"All {len(event.verdicts)} checked hold the event's P95 demand."
    names = [unit_label(v.unit.service, v.unit.region) for v in refused]
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    by = min((r.by for v in refused for r in v.remedies), default=None)
    first = f" First remedy due {day(by)}." if by else ""
    priced = [v.prescale.usd for v in refused if v.prescale is not None and v.prescale.usd is not None]
    cost = f" Pre-scaling costs {money(sum(priced))} USD." if priced else ""
    return f"{len(refused)} of {len(event.verdicts)} do not hold: {', '.join(names[:NAMED])}{more}.{first}{cost}"


def watch(plan: Plan, most: int) -> list[str]:
    """Findings to keep an eye on; what concerns the data itself stands among the caveats."""
    found = [visible(f.text) for f in plan.findings if f.severity == "watch" and f.topic not in ("data", "cost")]
    more = [f"{len(found) - most} more in report.xlsx, sheet Findings."] if len(found) > most else []
    return found[:most] + more


def caveats(plan: Plan) -> list[str]:
    """Why to read the numbers with care; what holds is said too where money depends on it."""
    return [*_ties(plan), *_data(plan), *_promises(plan), *_flags(plan)]


def _ties(plan: Plan) -> Iterator[str]:
    for t in plan.tie_outs:
        at = f" ({plan.mix.rates_of})" if plan.mix else ""
        close = f"the model prices the fleet of {t.month} at {t.modelled:,.2f} {t.currency}{at}, the bill says "
        words = f"{close}{t.billed_effective:,.2f}: a difference of {percent(t.difference_frac, 1)}"
        yield f"Tied to the bill: {words}." if t.ties else f"NOT tied to the bill: {words}. Take savings with care."
    if not plan.tie_outs:
        yield "Not tied to a bill: there is none of a closed month to hold the model against."


def _data(plan: Plan) -> Iterator[str]:
    for f in plan.freshness:
        if f.stale:
            last = f"ends {day(f.last_point.date())}" if f.last_point else "has no point at all"
            age = f", {f.age_days:.0f} days before this plan" if f.age_days is not None else ""
            yield f"Stale: {visible(f.frame)} of {visible(f.source)} {last}{age}."
    stale = [f.source for f in plan.freshness if f.stale]
    for finding in plan.findings:
        if finding.topic == "data" and not any(source in finding.text for source in stale):
            yield f"{visible(finding.text)}."
    for cost in plan.costs[-1:]:
        share = float(cost.unallocated / cost.effective) if cost.effective else 0.0
        if share > UNALLOCATED_SAID:
            yield f"{percent(share)} of the bill of {cost.month} is allocated to nobody."


def _promises(plan: Plan) -> Iterator[str]:
    # Most stand among the decisions already.
    left = [v for v in plan.violations if not any(v in f.text for f in plan.findings)]
    for violation in left[:NAMED]:
        yield f"Policy violated: {visible(violation)}."
    if len(left) > NAMED:
        yield f"{len(left) - NAMED} more policy violations."
    if plan.mix is None:
        yield "No instance mix: no unit of this plan runs instances whose cost of demand is known."
    if not plan.provenance.reproducible:
        yield "Not reproducible to the byte: a time limit ended the search for the mix."


def _flags(plan: Plan) -> Iterator[str]:
    """The commonest flags, with how many units carry each; flags that differ only in their numbers count as one."""
    carried: dict[str, dict[str, int]] = {}
    for unit in plan.units:
        for kind, flag in {flag.split(":")[0]: flag for flag in map(visible, unit.flags)}.items():
            words = carried.setdefault(kind, {})
            words[flag] = words.get(flag, 0) + 1
    for kind, words in sorted(carried.items(), key=lambda x: (-sum(x[1].values()), x[0]))[:NAMED]:
        example = min(words)
        text = example if len(words) == 1 else f"{kind}, such as{example.removeprefix(kind).removeprefix(':')}"
        yield f"{sum(words.values())} of {len(plan.units)} units: {text}."
