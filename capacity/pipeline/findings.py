"""The sentences of a plan: what the meeting must decide, watch or know, most urgent first."""

from __future__ import annotations

import math
from collections.abc import Iterator
from datetime import date

import pandas as pd

from capacity.optimize.purchases import TOGETHER
from capacity.pipeline import watch
from capacity.pipeline.finops.budget_words import budget_findings, record_findings, sku_findings
from capacity.pipeline.finops.words import review_findings
from capacity.pipeline.promise_words import promised_findings
from capacity.pipeline.quality import TWICE
from capacity.plan import EventSummary, Finding, LimitOutlook, Plan, UnitPlan
from capacity.plan_rows import saving_together
from capacity.words import day, money, percent, plural, quantity

# From this probability on a budget that will be passed is a matter for a decision.
BUDGET_ALARM = 0.5
# Findings about data that a meeting has to hear of.
GRAVE = ("fatal", "error")
_ORDER = {"act": 0, "watch": 1, "info": 2}


def findings(plan: Plan, problems: tuple[str, ...] = ()) -> tuple[Finding, ...]:
    """Findings of ``plan`` (whose own are ignored); ``problems`` are sentences on data that was left out."""
    found = [
        *_data(plan, problems),
        *_saturation(plan),
        *_events(plan),
        *_past_events(plan),
        *_mix(plan),
        *_purchases(plan),
        *review_findings(plan),
        *_money(plan),
        *_spend(plan),
        *budget_findings(plan),
        *record_findings(plan),
        *sku_findings(plan),
        *promised_findings(plan),
        *_anomalies(plan),
    ]
    return tuple(sorted(found, key=lambda f: (_ORDER[f.severity], f.by or date.max, f.topic, f.text)))


def _data(plan: Plan, problems: tuple[str, ...]) -> Iterator[Finding]:
    for problem in problems:
        yield Finding("watch", "data", problem)
    for fresh in plan.freshness:
        if fresh.stale:
            yield Finding("watch", "data", f"{fresh.frame} of {fresh.source} is {fresh.age_days:.0f} days old")
    yield from _quality(plan)


def _quality(plan: Plan) -> Iterator[Finding]:
    """One sentence a rule that usage breaks gravely, one a bill that breaks rules; the rest stands in the tables."""
    frame = plan.frame("quality")
    grave = frame[frame["severity"].isin(GRAVE)]
    twice = grave["rule"] == TWICE
    for text in grave[twice]["message"]:
        yield Finding("act", "data", str(text))
    usage = grave[grave["frame"] != "cost"]
    for (kind, source, rule), rows in usage.groupby(["frame", "source", "rule"], sort=True):
        first = rows.iloc[0]
        others = f", and {len(rows) - 1} more like it" if len(rows) > 1 else ""
        yield Finding("watch", "data", f"{kind} of {source}: {rule}: {first['scope']}{others}: {first['message']}")
    for source, rows in grave[of_focus(grave)].groupby("source", sort=True):
        broken = sorted({str(rule) for rule in rows["rule"]})
        text = (
            f"cost of {source!s} breaks {len(broken)} rules of FOCUS, {broken[0]} among them; its sums are not touched"
        )
        yield Finding("info", "data", text)


def of_focus(quality: pd.DataFrame) -> pd.Series:
    """Which rows of frame ``quality`` are rules of FOCUS that a bill breaks, not what is odd in usage or ingest."""
    return (quality["frame"] == "cost") & (quality["rule"] != TWICE)


def broken_rules(plan: Plan) -> tuple[int, int]:
    """(rules of FOCUS that some bill breaks, those of them that are grave)."""
    rows = plan.frame("quality")
    rows = rows[of_focus(rows)]
    return rows["rule"].nunique(), rows.loc[rows["severity"].isin(GRAVE), "rule"].nunique()


def _saturation(plan: Plan) -> Iterator[Finding]:
    for unit in plan.units:
        for limit in unit.limits:
            if limit.p10 is not None:
                yield _passed(unit, limit)


def _passed(unit: UnitPlan, limit: LimitOutlook) -> Finding:
    text = (
        f"{unit.unit} passes {limit.name} ({quantity(limit.limit, limit.unit_of_measure)}) "
        f"{_span(limit)}; {limit.remedy}, decided by {day(limit.order_by)}"
    )
    urgent = limit.p50 is not None or limit.overdue
    return Finding(
        "act" if urgent else "watch",
        "saturation",
        text + (" (already past)" if limit.overdue else ""),
        unit.service,
        unit.region,
        by=limit.order_by,
    )


def _span(limit: LimitOutlook) -> str:
    last = f"{day(limit.p90)} (P90)" if limit.p90 else "after the horizon (P90)"
    middle = day(limit.p50) if limit.p50 else "after the horizon"
    return f"between {day(limit.p10)} (P10) and {last}, P50 {middle}"


def _events(plan: Plan) -> Iterator[Finding]:
    for event in plan.events:
        refused = [v for v in event.verdicts if not v.go]
        days = [r.by for v in refused for r in v.remedies]
        yield Finding(
            "act" if refused else "info",
            "event",
            _event_text(event, [str(v.unit) for v in refused]),
            by=min(days, default=None),
        )


def _event_text(event: EventSummary, refused: list[str]) -> str:
    when = f"{event.name} on {day(event.start.date())}"
    if not refused:
        return f"{when}: GO for all {len(event.verdicts)} checked"
    return f"{when}: NO-GO for {len(refused)} of {len(event.verdicts)}: {', '.join(refused)}"


def _past_events(plan: Plan) -> Iterator[Finding]:
    """Of each event that is over: how near what was said before it came."""
    frame = plan.frame("event_review")
    for name, rows in frame.groupby("event", sort=True):
        error = rows["error_frac"].astype(float).median()
        beyond = [str(s) for s, held in zip(rows["service"], rows["held"].astype(object), strict=True) if held is False]
        text = (
            f"{name} of {day(rows['start'].iloc[0].date())} is over: {int(rows['within_p95'].sum())} of {len(rows)} "
            "peaks were within the P95 said before"
        )
        text += f", the middle error is {percent(error, signed=True)}" if math.isfinite(error) else ""
        text += f"; beyond the safe capacity of what ran: {', '.join(dict.fromkeys(beyond))}" if beyond else ""
        yield Finding("info", "event", text)


def _mix(plan: Plan) -> Iterator[Finding]:
    if plan.mix is None:
        return
    saving = plan.mix.saving_usd
    share = abs(saving) / plan.mix.running_usd if plan.mix.running_usd else 0.0
    span = f"{plan.mix.months[0]} to {plan.mix.months[-1]}" if plan.mix.months else "the horizon"
    proven = f"proven within {max(plan.mix.gap_frac, 0.0):.1%} of the best of any mix"
    if TOGETHER in plan.mix.termination:
        proven = f"it is {TOGETHER}, which are beside this; on demand it is {proven}"
    amount = f"{money(abs(saving), plan.currency)} ({share:.0%})"
    verb, word = ("costs", "less") if saving >= 0 else ("needs", "more")
    text = f"the recommended mix {verb} {amount} {word} than the running fleet, {span}; {proven}"
    yield Finding("act" if abs(share) >= 0.01 else "info", "mix", text, usd=saving)
    for violation in plan.violations:
        yield Finding("act", "mix", f"policy violated: {violation}")


def _purchases(plan: Plan) -> Iterator[Finding]:
    """All purchases in one sentence; their saving is beside the plan's own."""
    rows = plan.frame("purchases")
    if rows.empty:
        return
    (saving, together), first = saving_together(plan), str(rows["month"].min())
    count = plural(len(rows), "commitment")
    text = (
        f"buy {count} for {float(rows['hourly_usd'].sum()):,.2f} {plan.currency} an hour, the first in {first}: "
        f"{money(saving, plan.currency)} less than {'buying none' if together else 'on demand'} is expected over "
        "their terms, beside the mix's own saving"
    )
    waiting = int((rows["waiting_usd_per_month"] < 0).sum())
    if waiting:
        text += f"; {waiting} of them would save more bought later: what is owned covers their usage until it ends"
    # Where every one of them can wait, nothing has to be decided now.
    yield Finding("act" if waiting < len(rows) else "watch", "mix", text, usd=saving)


def _money(plan: Plan) -> Iterator[Finding]:
    for tie in plan.tie_outs:
        if not tie.ties:
            text = (
                f"the model prices today's fleet at {tie.modelled:,.0f} {tie.currency} a month, "
                f"the bill of {tie.month} says {tie.billed_effective:,.0f}: {tie.difference_frac:+.1%}; "
                "take savings with care"
            )
            yield Finding("watch", "cost", text)
    for month in plan.costs[-1:]:
        share = month.unallocated / month.effective if month.effective else 0
        text = (
            f"{month.month}: {month.effective:,.2f} {month.currency} in all; direct {month.direct:,.2f} + shared "
            f"{month.shared:,.2f} + unallocated {month.unallocated:,.2f} ({share:.1%}) adds up exactly"
        )
        yield Finding("info", "cost", text)


def _spend(plan: Plan) -> Iterator[Finding]:
    over = [m for m in plan.spend if m.over_budget is not None and m.over_budget >= BUDGET_ALARM]
    if over:
        first = over[0]
        text = (
            f"{len(over)} of {len(plan.spend)} months are more likely than not over budget, first {first.month}: "
            f"{first.q50:,.0f} {first.currency} (P50) against {first.budget:,.0f}"
        )
        yield Finding("act", "spend", text)


def _anomalies(plan: Plan) -> Iterator[Finding]:
    """The rarest days of late, and how many there are in all."""
    frame = plan.frame("anomalies")
    if frame.empty:
        return
    measures = {(u.service, u.region): u.demand_unit for u in plan.units}
    for rows in watch.gravest(frame):
        first = rows.iloc[0]
        text = watch.sentence(rows, plan.currency, measures.get((first["service"], first["region"]), ""))
        usd = float(rows["money"].sum(min_count=1))
        yield Finding(
            "watch",
            "spend" if first["frame"] == "spend" else "forecast",
            text,
            str(first["service"]),
            str(first["region"]),
            usd=usd if math.isfinite(usd) else None,
        )
    yield Finding("info", "forecast", watch.counted(frame))
