"""Unit cost: what it was, is at the margin and will be, by driver; and which services a journey pays."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd
import streamlit as st

from capacity import charts
from capacity.plan import Plan
from capacity.ui import _costs as costs
from capacity.ui import _format as fmt
from capacity.ui import _frames as frames
from capacity.ui import _widgets as ui

_MOST_LINES = 5  # colours that stay apart
_LEVELS = {"company": "Company", "tier": "Tiers", "team": "Teams", "service": "Services", "journey": "Journeys"}
_GUIDE = (
    "Marginal: one more tomorrow, with the fleet as it stands. Long run: one more once the fleet has followed, with "
    "what prices did meanwhile. The fixed share does not move within weeks."
)
NO_GROUPS = "Only services' own demand is known: this plan was made before there were teams, drivers and margins."
NOT_EXPLAINED = "(not explained)"


def trend(plan: Plan) -> None:
    """Cost of 1,000 units of each service's own demand, by closed month: for the first look, and for older plans."""
    frame = plan.frame("unit_cost")
    with ui.card("Cost per 1,000 units of demand", stretch=True):
        if frame.empty:
            st.caption("No service has both a bill and usage.")
            return
        names = {fmt.visible(s): s for s in sorted({str(s) for s in frame["service"]})}
        usual = [fmt.visible(s) for s in costs.largest_services(plan, _MOST_LINES)]
        chosen = st.multiselect("Services", list(names), default=usual, key="trend", max_selections=_MOST_LINES)
        wanted = [names[c] for c in chosen if c in names] or [names[u] for u in usual]
        ui.chart("Unit cost by month and service", charts.unit_cost_trend, frame, wanted, theme=ui.theme())


def draw(plan: Plan) -> None:
    """The whole view."""
    groups = plan.frame("unit_cost_groups")
    if groups.empty:
        st.caption(NO_GROUPS)
        trend(plan)
    else:
        _groups(plan, groups)
    _journeys(plan)


# --- levels and drivers --------------------------------------------------------------------------------------


def _groups(plan: Plan, groups: pd.DataFrame) -> None:
    first, second, third = st.columns([2, 2, 3])
    with first:
        given = {v: k for k, v in _LEVELS.items() if (groups["level"] == k).any()}
        chosen = st.selectbox("Level", list(given), key="unit_level", bind="query-params")
        level = given.get(chosen or "") or next(iter(given.values()))
    rows = frames.only(groups, level=level)
    ahead = frames.only(plan.frame("unit_cost_forecast"), level=level)
    # Journeys are counted each by a driver of its own: they are one group.
    if level != "journey":
        with second:
            help_text = "What one unit is: a name has a cost by each."
            driver = frames.choice("Driver", _drivers(rows), "unit_driver", help_text)
        rows, ahead = frames.only(rows, driver=driver), frames.only(ahead, driver=driver)
    currency = frames.currency(plan, rows, "unit_currency")
    rows = frames.only(rows, currency=currency)
    month = frames.newest(rows)
    last = frames.dearest(frames.only(rows, month=month), "effective_cost")
    names = list(dict.fromkeys(str(n) for n in last["name"]))
    with third:
        wanted = _names(names)
    ahead = frames.only(ahead, currency=currency)
    unit = _unit(last)
    with ui.card(f"Unit cost by month, {fmt.plain(unit)}", "What was billed, then the median and P10 to P90 to come."):
        ui.chart(
            "Unit cost by month so far and to come, with its interval",
            charts.unit_cost_outlook,
            rows,
            ahead,
            wanted,
            ui.theme(),
        )
        _basis(ahead, wanted)
    _table(last, month, currency, unit)


def _drivers(rows: pd.DataFrame) -> list[str]:
    """Drivers by how many have a cost by them, so that the first is the one that says most."""
    return [str(d) for d in rows["driver"].value_counts(sort=True).index]


def _names(names: Sequence[str]) -> list[str]:
    if len(names) < 2:
        return list(names)
    shown = {fmt.visible(n): n for n in names}
    usual = list(shown)[:_MOST_LINES]
    chosen = st.multiselect("Shown", list(shown), usual, key="unit_names", max_selections=_MOST_LINES)
    return [shown[c] for c in chosen if c in shown] or [shown[u] for u in usual]


def _unit(rows: pd.DataFrame) -> str:
    """per 1,000 requests; per 1 order. Where names differ in it, the dearest one's."""
    if rows.empty:
        return ""
    one = rows.iloc[0]
    return f"per {frames.number(one['per']) or 1000.0:,.6g} {frames.text(one['unit'])}".strip()


def _basis(ahead: pd.DataFrame, names: Sequence[str]) -> None:
    """What is in the forecast, once for all that share it."""
    told: dict[str, list[str]] = {}
    for row in ahead[ahead["name"].isin(names)].to_dict("records"):
        told.setdefault(frames.text(row["basis"]), []).append(str(row["name"]))
    lines = []
    for basis, of in told.items():
        whose = f"{frames.listed(list(dict.fromkeys(of)))}: " if len(told) > 1 else ""
        lines.append(fmt.plain(f"{whose}{basis}" if whose else fmt.sentence(basis)))
    st.caption("  \n".join(lines))


def _table(last: pd.DataFrame, month: str, currency: str, unit: str) -> None:
    scale = [(frames.number(p) or 1000.0) / 1000.0 for p in last["per"]]
    frame = last.assign(**{c: _scaled(last[c], scale) for c in _PRICES})
    several = last[["unit", "per"]].drop_duplicates().shape[0] > 1
    frame = frame.assign(
        of=[
            f"{frames.number(p) or 1000.0:,.6g} {frames.text(u)}"
            for p, u in zip(last["per"], last["unit"], strict=True)
        ],
        basis=[_margin(b, n) for b, n in zip(last["marginal_basis"], last["marginal_points"], strict=True)],
    )
    heads = {"name": "Name", "effective_cost": "Cost"} | ({"of": "Per"} if several else {}) | {
        "average_per_1000": "Average", "marginal_per_1000": "Marginal", "marginal_low": "Low", "marginal_high": "High",
        "long_run_per_1000": "Long run", "fixed_share_frac": "Fixed", "trend_frac_per_month": "Trend a month",
        "basis": "Marginal from", "flags": "Read with care",
    }  # fmt: skip
    heads = frames.filled(frame, heads, ["flags"])
    money: dict[str, Any] = {heads[c]: frames.price_format(frame[c], 84) for c in _PRICES if c in heads}
    money["Trend a month"] = st.column_config.NumberColumn(format="percent", width=92)
    title = f"In {month}: {currency} {'' if several else unit}".strip()
    with ui.card(fmt.plain(title), f"{_GUIDE} Low to high: 80% interval of the marginal cost."):
        widths = {"Name": 160, "Cost": 92, "Per": 120, "Fixed": 60, "Trend a month": 92, "Marginal from": 130,
                  "Read with care": 420}  # fmt: skip
        frames.table(frame, heads, "Unit cost of the newest month: average, marginal, long run and fixed share",
                     "No month has both cost and units.", widths, 10, instead=money)  # fmt: skip


_PRICES = ("average_per_1000", "marginal_per_1000", "marginal_low", "marginal_high", "long_run_per_1000")


def _scaled(values: pd.Series, scale: Sequence[float]) -> pd.Series:
    known = [frames.number(v) for v in values]
    scaled = [None if v is None else v * s for v, s in zip(known, scale, strict=True)]
    return pd.Series(scaled, index=values.index, dtype=float)


def _margin(basis: object, points: object) -> str:
    said, count = frames.text(basis), frames.number(points)
    return f"{count:,.0f} {said}" if said and count else said


# --- journeys ------------------------------------------------------------------------------------------------


def _journeys(plan: Plan) -> None:
    frame = plan.frame("journey_costs")
    note = "What each journey pays of every service that it calls; the rows of a service are exactly its cost."
    with ui.card("Journeys", note):
        if frame.empty:
            st.caption("No journey is defined: see journeys in the config.")
            return
        currency = frames.currency(plan, frame, "journey_currency")
        rows = frames.only(frame, currency=currency)
        month = frames.newest(rows)
        rows = frames.only(rows, month=month)
        left, right = st.columns([1, 1], gap="medium")
        with left:
            ui.chart(
                f"Cost of 1,000 of each journey in {month}, by the services that they pay",
                charts.journey_stack,
                rows,
                month,
                ui.theme(),
            )
            st.text(_unexplained(rows, currency, month))
        with right:
            heads = {
                "journey": "Journey",
                "service": "Service",
                "effective_cost": f"Cost in {month}",
                "share_frac": "Of the service",
                "requests_per_journey": "Requests each",
                "flags": "Read with care",
            }
            widths = {"Journey": 120, "Service": 120, f"Cost in {month}": 104, "Of the service": 92,
                      "Requests each": 92, "Read with care": 300}  # fmt: skip
            rows = frames.dearest(rows, "effective_cost")
            heads = frames.filled(rows, heads, ["flags"])
            frames.table(rows, heads, "Cost of each journey by service", "", widths, 9)


def _unexplained(rows: pd.DataFrame, currency: str, month: str) -> str:
    whole = frames.total(rows["effective_cost"])
    rest = frames.total(frames.only(rows, journey=NOT_EXPLAINED)["effective_cost"])
    share = fmt.percent(float(rest / whole)) if whole else fmt.NONE
    return f"{fmt.money(rest, currency)} ({share}) of what these services cost in {month} is explained by no journey."
