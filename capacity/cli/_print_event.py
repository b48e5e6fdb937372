"""What ``capacity check`` prints: before an event whether it holds, after it what was said against what came."""

from __future__ import annotations

from typing import TYPE_CHECKING

from capacity.cli._print import line, table
from capacity.words import day, number, percent, plural, times

if TYPE_CHECKING:
    import pandas as pd

    from capacity.domain import EventVerdict
    from capacity.plan import EventSummary


def check(found: EventSummary) -> None:
    """GO or NO-GO by service, the reasons of each, what to do by when, and how the event comes to each service."""
    refused = [v for v in found.verdicts if not v.go]
    answer = f"NO-GO: {len(refused)} of {len(found.verdicts)} do not hold" if refused else "GO"
    ordered = sorted(found.verdicts, key=lambda v: (v.go, v.probability_holds, v.unit))
    line()
    table(
        f"{found.name}, {found.start:%Y-%m-%d %H:%M}Z to {found.end:%Y-%m-%d %H:%M}Z: {answer}",
        ("service", "verdict", "demand P50", "demand P95", "safe now", "at maximum", "P(holds)"),
        [
            (v.unit, "GO" if v.go else "NO-GO", number(v.demand_p50), number(v.demand_p95), number(v.safe_now),
             number(v.safe_at_group_maximum), percent(v.probability_holds))
            for v in ordered
        ],
        right=(2, 3, 4, 5, 6),
    )  # fmt: skip
    for v in ordered:
        line()
        line(f"{v.unit}: {'GO' if v.go else 'NO-GO'}", "bold")
        for text in v.reasons:
            line(f"  {text}")
        _remedies(v)
    _prescales(found)
    _flows(found)
    if any(r.usd is not None for v in found.verdicts for r in v.remedies):
        line()
        when = f"of {day(found.rates_as_of)}" if found.rates_as_of else "without a date"
        line(f"Money is at on-demand rates {when}, before discounts and commitments.")


def _remedies(verdict: EventVerdict) -> None:
    for r in verdict.remedies:
        line(f"    by {day(r.by)} ({plural(r.lead_time_days, 'day')} ahead): {r.action}")


def _prescales(found: EventSummary) -> None:
    planned = [(v.unit, v.prescale) for v in found.verdicts if v.prescale is not None]
    if not planned:
        return
    line()
    table(
        "Pre-scale (UTC)",
        ("service", "from", "to", "at", "back down at", "USD"),
        [
            (unit, f"{p.instances_from:,}", f"{p.instances_to:,}", f"{p.at:%Y-%m-%d %H:%M}",
             f"{p.until:%Y-%m-%d %H:%M}", "not known" if p.usd is None else f"{p.usd:,.0f}")
            for unit, p in planned
        ],
        right=(1, 2, 5),
    )  # fmt: skip


def _flows(found: EventSummary) -> None:
    if not found.flows:
        return
    line()
    table(
        "How it comes to each service: calls for each request more",
        ("from", "to", "calls a request", "adds P50", "adds P95"),
        [(f.caller, f.callee, f"{f.per_request:.3g}", number(f.p50), number(f.p95)) for f in found.flows],
        right=(2, 3, 4),
    )


def review(found: pd.DataFrame) -> None:
    """What was said before the event against what came, by service."""
    first = found.iloc[0]
    basis = f"{first['basis']} of {first['origin']:%Y-%m-%d}"
    line()
    table(
        f"{first['event']}, {first['start']:%Y-%m-%d %H:%M}Z to {first['end']:%Y-%m-%d %H:%M}Z is over; "
        f"said before ({basis}) against what came",
        ("service", "said", "P50 said", "P95 said", "peak", "error", "times normal", "expected", "safe", "held"),
        [
            (f"{r['service']}/{r['region']}", "GO" if r["said_go"] else "NO-GO", number(r["p50"]), number(r["p95"]),
             number(r["actual"]), _share(r["error_frac"]), _times(r["multiplier_realised"]), _times(r["multiplier"]),
             "-" if r["safe"] != r["safe"] else number(r["safe"]), _held(r["held"]))
            for r in found.to_dict("records")
        ],
        right=(2, 3, 4, 5, 6, 7, 8),
    )  # fmt: skip
    within = int(found["within_p95"].sum())
    line(f"{within} of {len(found)} peaks were within the P95 that was said before.")


def _share(value: float) -> str:
    return "-" if value != value else percent(value, signed=True)


def _times(value: float) -> str:
    return "-" if value != value else times(value)


def _held(value: object) -> str:
    return "yes" if value is True else "no" if value is False else "-"
