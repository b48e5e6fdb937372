"""Peak event: GO or NO-GO for each service, why, and what to do by when; and of past ones, what came."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from capacity import charts
from capacity.domain import EventVerdict
from capacity.plan import EventSummary, Plan
from capacity.ui import _format as fmt
from capacity.ui import _kept
from capacity.ui import _rows as told
from capacity.ui import _sources as sources
from capacity.ui import _tables as tables
from capacity.ui import _widgets as ui
from capacity.words import number, unique

_REASONS_SHOWN = 8
_BARS_SHOWN = 24


def draw(plan: Plan) -> None:
    """The whole page."""
    past = plan.frame("event_review")
    if not plan.events and past.empty:
        st.info("The config names no peak event ahead. Add one under events.", icon=":material/info:")
        return
    if plan.events:
        names = dict(zip(unique([fmt.visible(e.name) for e in plan.events]), plan.events, strict=True))
        chosen = st.selectbox("Event", list(names), key="event", bind="query-params", width=320)
        _event(plan, names.get(chosen or "") or plan.events[0])
    _past(past)


def _event(plan: Plan, event: EventSummary) -> None:
    _answer(event)
    ui.cards(_cards(event))
    sources.line(plan, "usage", "fleet", "quotas")
    _chart(event)
    _timeline(plan, event)
    _remedies(event)
    _verdicts(event)
    _prescales(event)
    _calls(event)
    _reasons(event)


def _answer(event: EventSummary) -> None:
    failing = sum(not v.go for v in event.verdicts)
    if not event.verdicts:
        st.info("No service takes part in this event.", icon=":material/info:")
    elif failing:
        st.error(f"{fmt.count(failing, 'service')} of {len(event.verdicts)} will not hold as things are.",
                 title="NO-GO", icon=":material/block:")  # fmt: skip
    else:
        st.success(f"All {fmt.count(len(event.verdicts), 'service')} hold with one in twenty futures to spare.",
                   title="GO", icon=":material/check_circle:")  # fmt: skip


def _cards(event: EventSummary) -> list[ui.Card]:
    holding = sum(v.go for v in event.verdicts)
    dated = [r for v in event.verdicts for r in v.remedies]
    first = min((r.by for r in dated), default=None)
    late = sum(r.overdue for r in dated)
    weakest = min(event.verdicts, key=lambda v: v.probability_holds, default=None)
    by = f"{late} already overdue" if late else "decide by then" if first else "nothing to do"
    return [
        ui.Card("Starts", fmt.day(event.start.date()), f"{event.start:%H:%M} UTC"),
        ui.Card("Services that hold", f"{holding} of {len(event.verdicts)}", "GO" if event.go else "NO-GO",
                "green" if event.go else "red"),
        ui.Card("Weakest service", fmt.percent(weakest.probability_holds) if weakest else fmt.NONE,
                fmt.shorten(fmt.visible(str(weakest.unit)), 34) if weakest else "", "gray", "Chance that it holds."),
        ui.Card("First remedy by", fmt.day(first, fmt.NONE), by,
                "red" if late else "orange" if first else "green"),
    ]  # fmt: skip


def _chart(event: EventSummary) -> None:
    if not event.verdicts:
        return
    shown = tables.weakest_first(event)[:_BARS_SHOWN]
    with ui.card("Demand at the event against safe capacity"):
        if len(shown) < len(event.verdicts):
            st.caption(f"The {len(shown)} of {len(event.verdicts)} services least sure to hold.")
        ui.chart("P95 demand of each service against its safe capacity", charts.event_bars, shown, theme=ui.theme())


def _timeline(plan: Plan, event: EventSummary) -> None:
    """The event hour by hour for one service, the weakest first."""
    ordered = tables.weakest_first(event)
    if not ordered:
        return
    with ui.card("The event in time"):
        labels = unique([fmt.visible(str(v.unit)) for v in ordered])
        by_label = dict(zip(labels, ordered, strict=True))
        chosen = st.selectbox("Service", labels, key="event_service", width=320)
        verdict = by_label.get(chosen or "", ordered[0])
        unit = next((u.demand_unit for u in plan.units if u.unit == verdict.unit), "")
        alt = "Demand through the event against what is safe as things are and with pre-scaling"
        ui.chart(alt, charts.event_timeline, event, verdict, fmt.visible(unit), theme=ui.theme())
        st.caption(_scaling(event, verdict))


def _scaling(event: EventSummary, v: EventVerdict) -> str:
    """The ramp against the time to scale out, in a sentence."""
    ramp = f"The ramp takes {event.ramp_minutes} minutes"
    late = f" Demand (P95) runs up to {number(v.ahead)} ahead of safe capacity, for {v.ahead_minutes:,.0f} minutes."
    if v.scale_out_minutes is None:
        return f"{ramp}; nothing scales by itself in that time." + (late if v.ahead > 0 else "")
    return f"{ramp}, scaling out {v.scale_out_minutes:,.0f}." + (late if v.ahead > 0 else " Capacity keeps up.")


def _remedies(event: EventSummary) -> None:
    when = f"of {fmt.day(event.rates_as_of)}" if event.rates_as_of else "without a date"
    with ui.card("What to do, by date", f"Money is at on-demand rates {when}, before discounts and commitments."):
        ui.table(
            _kept.result(tables.remedies, event),
            "Remedies with the last day to decide them",
            {
                "Service": st.column_config.TextColumn(width=180),
                "What to do": st.column_config.TextColumn(width=690),
                "Lead time": st.column_config.TextColumn(width=80),
            },
            "Nothing has to be done.",
            most_rows=8,
            lines=2,
        )


def _verdicts(event: EventSummary) -> None:
    whole = st.column_config.NumberColumn(format="%,.0f")
    with ui.card("Answer by service"):
        ui.table(
            _kept.result(tables.verdicts, event),
            "GO or NO-GO of each service with its demand and capacity",
            {
                "Service": st.column_config.TextColumn(width=160),
                "Holds": ui.chance("Holds", "Probability that the service holds the event"),
                "Demand P50": whole,
                "Demand P95": whole,
                "Safe now": whole,
                "Safe at maximum": whole,
                "Times normal": st.column_config.NumberColumn(format="%.2f ×"),
            },
            "No service takes part in this event.",
        )


def _prescales(event: EventSummary) -> None:
    rows = [
        {
            "Service": fmt.visible(str(v.unit)), "Instances now": p.instances_from, "Pre-scale to": p.instances_to,
            "At (UTC)": fmt.moment(p.at), "Back down at (UTC)": fmt.moment(p.until), "USD": p.usd,
        }
        for v in tables.weakest_first(event)
        if (p := v.prescale) is not None
    ]  # fmt: skip
    if not rows:
        return
    with ui.card("Pre-scaling", "What a scheduled action needs: how many instances, from when, until when."):
        ui.table(pd.DataFrame(rows), "Instances to run before the ramp, by service", {"USD": ui.money_column("USD")})


def _calls(event: EventSummary) -> None:
    if not event.flows:
        return
    note = (
        "Calls go from left to right; a line is as wide as the demand it adds, and its figure is calls for each "
        "request more. A box gives the demand that the event adds and how many times the usual that makes (P50, all "
        "regions)."
    )
    with ui.card("How the event comes to each service", note):
        ui.chart("The call graph with what the event adds to each service", charts.event_calls, event, theme=ui.theme())


def _reasons(event: EventSummary) -> None:
    failing = [v for v in tables.weakest_first(event) if not v.go]
    if not failing:
        return
    with ui.card("Why not"):
        told.named([(str(v.unit), "; ".join(v.reasons)) for v in failing[:_REASONS_SHOWN]])
        if len(failing) > _REASONS_SHOWN:
            st.caption(f"and {len(failing) - _REASONS_SHOWN} more, in the table above")


def _past(review: pd.DataFrame) -> None:
    """Events that are over: what was said before, and what came."""
    if review.empty:
        return
    whole = st.column_config.NumberColumn(format="%,.0f")
    with ui.card("Events that are over: what was said before, and what came"):
        shown = pd.DataFrame({
            "Event": review["event"].map(fmt.visible),
            "Service": [fmt.visible(f"{s}/{r}") for s, r in zip(review["service"], review["region"], strict=True)],
            "Said": ["GO" if go else "NO-GO" for go in review["said_go"]],
            "P50 said": review["p50"],
            "P95 said": review["p95"],
            "Peak": review["actual"],
            "Error": review["error_frac"],
            "Times normal": review["multiplier_realised"],
            "Expected": review["multiplier"],
            "Held": ["yes" if h is True else "no" if h is False else fmt.NONE for h in review["held"].astype(object)],
            "From": [f"{b} of {o:%Y-%m-%d}" for b, o in zip(review["basis"], review["origin"], strict=True)],
        })  # fmt: skip
        times = st.column_config.NumberColumn(format="%.2f ×")
        ui.table(
            shown,
            "Forecast against what happened, by event and service",
            {"P50 said": whole, "P95 said": whole, "Peak": whole, "Times normal": times, "Expected": times,
             "Error": st.column_config.NumberColumn(format="percent")},
        )  # fmt: skip
