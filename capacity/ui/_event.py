"""Peak event: GO or NO-GO for each service, why, and what to do by when."""

from __future__ import annotations

import streamlit as st

from capacity import charts
from capacity.plan import EventSummary, Plan
from capacity.ui import _format as fmt
from capacity.ui import _tables as tables
from capacity.ui import _widgets as ui
from capacity.words import unique

_REASONS_SHOWN = 8
_BARS_SHOWN = 24


def draw(plan: Plan) -> None:
    """The whole page."""
    if not plan.events:
        st.info("The config names no peak event ahead. Add one under events.", icon=":material/info:")
        return
    names = dict(zip(unique([fmt.visible(e.name) for e in plan.events]), plan.events, strict=True))
    chosen = st.selectbox("Event", list(names), key="event", bind="query-params", width=320)
    event = names.get(chosen or "") or plan.events[0]
    _answer(event)
    ui.cards(_cards(event))
    _chart(event)
    _remedies(event)
    _verdicts(event)
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
    first = min((r.by for v in event.verdicts for r in v.remedies), default=None)
    weakest = min(event.verdicts, key=lambda v: v.probability_holds, default=None)
    return [
        ui.Card("Starts", fmt.day(event.start.date()), f"{event.start:%H:%M} UTC"),
        ui.Card("Services that hold", f"{holding} of {len(event.verdicts)}", "GO" if event.go else "NO-GO",
                "green" if event.go else "red"),
        ui.Card("Weakest service", fmt.percent(weakest.probability_holds) if weakest else fmt.NONE,
                fmt.shorten(fmt.visible(str(weakest.unit)), 34) if weakest else "", "gray", "Chance that it holds."),
        ui.Card("First remedy by", fmt.day(first, fmt.NONE), "decide by then" if first else "nothing to do",
                "orange" if first else "green"),
    ]  # fmt: skip


def _chart(event: EventSummary) -> None:
    if not event.verdicts:
        return
    shown = tables.weakest_first(event)[:_BARS_SHOWN]
    with ui.card("Demand at the event against safe capacity"):
        if len(shown) < len(event.verdicts):
            st.caption(f"The {len(shown)} of {len(event.verdicts)} services least sure to hold.")
        ui.chart(charts.event_bars(shown, theme=ui.theme()), "P95 demand of each service against its safe capacity")


def _remedies(event: EventSummary) -> None:
    with ui.card("What to do, by date"):
        ui.table(
            tables.remedies(event),
            "Remedies with the last day to decide them",
            {"Service": st.column_config.TextColumn(width=180), "What to do": st.column_config.TextColumn(width=690)},
            "Nothing has to be done.",
        )


def _verdicts(event: EventSummary) -> None:
    number = st.column_config.NumberColumn(format="%,.0f")
    with ui.card("Answer by service"):
        ui.table(
            tables.verdicts(event),
            "GO or NO-GO of each service with its demand and capacity",
            {
                "Service": st.column_config.TextColumn(width=160),
                "Holds": ui.chance("Holds", "Probability that the service holds the event"),
                "Demand P50": number,
                "Demand P95": number,
                "Safe now": number,
                "Safe at maximum": number,
                "Times normal": st.column_config.NumberColumn(format="%.2f ×"),
            },
            "No service takes part in this event.",
        )


def _reasons(event: EventSummary) -> None:
    failing = [v for v in tables.weakest_first(event) if not v.go]
    if not failing:
        return
    with ui.card("Why not"):
        for verdict in failing[:_REASONS_SHOWN]:
            left, right = st.columns([2, 5], gap="small")
            left.text(fmt.visible(str(verdict.unit)))
            right.text(fmt.visible("; ".join(verdict.reasons)) or fmt.NONE)
        if len(failing) > _REASONS_SHOWN:
            st.caption(f"and {len(failing) - _REASONS_SHOWN} more, in the table above")
