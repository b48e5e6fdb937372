"""The report's charts as SVG that follows the page's theme."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import date
from typing import Any

from markupsafe import Markup

from capacity import charts
from capacity.charts import INKS, unit_label, visible
from capacity.errors import MissingDataError, UsageError
from capacity.pipeline import scenario_bridge
from capacity.plan import LimitOutlook, Plan, UnitPlan
from capacity.report import bought, known, planned
from capacity.report._summary import passing_units
from capacity.words import day

# The text width of A4 landscape with 12 mm margins, in CSS pixels.
WIDE = 1030
HALF = 505
MAX_FANS = 8
# Half a year of history beside half a year of forecast.
HISTORY_DAYS = 182
HEATMAP_ROWS = 40
# By month there are two halves of a picture below the weeks: the worst are enough on paper.
MONTH_ROWS = 16
_COLOUR = re.compile(r"#[0-9a-f]{6}\b")


@dataclass(frozen=True)
class Picture:
    """One chart, and in words what it shows; two halves stand side by side where there is room."""

    svg: Markup
    caption: str
    half: bool = False


def theme_variables(theme: charts.Theme) -> dict[str, str]:
    """CSS variable -> colour for every ink of ``theme``."""
    ink = INKS[theme]
    found: dict[str, str] = {}
    for f in fields(ink):
        value = getattr(ink, f.name)
        names = {f.name: value} if isinstance(value, str) else {f"{f.name}{i}": v for i, v in enumerate(value)}
        found |= {f"--c-{name}": colour for name, colour in names.items()}
    return found


def picture(chart: Any, caption: str, width: int = WIDE, height: int | None = None) -> Picture:
    """``chart`` (made in the light theme) with its inks as CSS variables, so that one drawing serves both themes."""
    names = {colour: name for name, colour in theme_variables("light").items()}
    svg = charts.to_svg(chart, width, height)

    def variable(match: re.Match[str]) -> str:
        name = names.get(match[0])
        return f"var({name},{match[0]})" if name else match[0]

    # Only tags hold colours; what stands between them is text, where "#0f172a" could be somebody's name.
    parts = re.split(r"(<[^>]*>)", svg)
    themed = "".join(_COLOUR.sub(variable, p) if p.startswith("<") else p for p in parts)
    # Safe: written by the SVG writer, which escapes every text of the data (tested with hostile names).
    return Picture(Markup(themed), caption, width <= HALF)  # noqa: S704


def fans(plan: Plan) -> Iterator[Picture]:
    """The fan of each unit that passes a limit within the horizon, the earliest first."""
    for unit in passing_units(plan)[:MAX_FANS]:
        limit = unit.first_limit
        if limit is not None:
            yield fan(plan, unit, limit)


def fan(plan: Plan, unit: UnitPlan, limit: LimitOutlook) -> Picture:
    """Daily peaks of the metric that ``limit`` bounds, so far and to come."""
    future, past = (known.of_unit(plan.frame(name), unit) for name in ("forecast", "history"))
    future, past = (f[(f["metric"] == limit.metric) & (f["target"] == "peak")] for f in (future, past))
    limits = [(x.name, x.limit) for x in unit.limits if x.metric == limit.metric]
    dates = [(f"{name} date", at) for name, at in _dates(limit)]
    chart = charts.fan(future, past.sort_values("ts").tail(HISTORY_DAYS), limits, dates, limit.unit_of_measure)
    against = f" against {visible(limit.name)}" if limit.name != limit.metric else " against its limit"
    caption = (
        f"{unit_label(unit.service, unit.region)}: daily peak of {visible(limit.metric)}{against}. "
        f"Usage to {day(unit.last_point.date())}; "
        f"order by {day(limit.order_by)}: {visible(limit.remedy)}."
    )
    return picture(chart, caption, HALF, height=190)


def _dates(limit: LimitOutlook) -> list[tuple[str, date]]:
    return [(name, at) for name, at in (("P10", limit.p10), ("P50", limit.p50), ("P90", limit.p90)) if at is not None]


def saturation(plan: Plan) -> Picture:
    frame = plan.frame("saturation")
    caption = (
        "Probability that a limit is passed by a day, for the likeliest limits. "
        "The P10, P50 and P90 dates lie where a curve meets that level."
    )
    return picture(charts.saturation_curves(frame), caption, height=260)


def headroom(plan: Plan) -> Picture:
    frame = plan.frame("headroom")
    units = len(frame[["service", "region"]].drop_duplicates())
    cut = f" The {HEATMAP_ROWS} worst of {units} units; all are in report.xlsx." if units > HEATMAP_ROWS else ""
    caption = (
        "Headroom of the running fleet in percent: "
        "1 − the peak of a day of the week at the tier's service level / safe capacity, all zones up. "
        f"Below 0 the promise is broken; the colour turns at each unit's policy.{cut}"
    )
    return picture(charts.headroom_heatmap(frame, max_rows=HEATMAP_ROWS), caption)


def headroom_months(plan: Plan) -> Picture:
    frame = plan.frame("headroom_months")
    units = len(frame[["service", "region"]].drop_duplicates())
    cut = f" The {MONTH_ROWS} worst of {units} units; all are in report.xlsx." if units > MONTH_ROWS else ""
    caption = (
        "Headroom by month in percent, of what runs today (left) and of what is planned (right): "
        f"1 − the month's largest peak at the tier's service level / safe capacity, all zones up.{cut}"
    )
    return picture(charts.headroom_months(frame, max_rows=MONTH_ROWS), caption)


def headroom_price(plan: Plan) -> Picture:
    caption = f"{bought.curve_said(plan)} The axis does not begin at 0."
    own = plan.mix.recommended_usd if plan.mix else None
    chart = charts.headroom_price(plan.frame("cost_curve"), currency=plan.currency, plan_cost=own)
    return picture(chart, caption, height=200)


def purchase_savings(plan: Plan) -> Picture:
    rows = bought.in_order(plan)
    names = [f"{bought.purchase_name(r)}, {r['month']}" for r in rows.to_dict("records")]
    chart = charts.purchase_savings(rows, names, currency=plan.currency)
    return picture(chart, "What each commitment saves over its term, P10 to P90 of the futures and the mean.")


def requirement_prices(plan: Plan) -> Picture:
    caption = "What one step of each requirement costs a year, by solving again: between the two ends. Dearest first."
    return picture(charts.requirement_prices(plan.frame("requirement_prices"), currency=plan.currency), caption)


def fleet_shapes(plan: Plan) -> Picture:
    caption = "Instances by family: this plan, and those that cost nearly the same."
    return picture(charts.fleet_shapes(bought.shapes(plan)), caption)


def plan_total(plan: Plan) -> Picture:
    caption = "All money of the plan's months by part; the sum stands above each bar."
    return picture(charts.plan_total(planned.total_parts(plan), currency=plan.currency), caption, height=220)


def mix(plan: Plan) -> Picture:
    fleets = [u for u in plan.units if u.kind != "usage_priced"]
    caption = "Running fleet kept against the recommended mix, the dearest units; commitments counted."
    return picture(charts.mix_compare(fleets, currency=plan.currency), caption)


def cost(plan: Plan) -> Picture:
    frame = plan.frame("cost")
    closed = {c.month for c in plan.costs}
    return picture(
        charts.cost_stack(frame[frame["month"].isin(closed)]), "Effective cost of the closed months.", height=200
    )


def unit_cost(plan: Plan) -> Picture:
    frame = plan.frame("unit_cost")
    closed = {c.month for c in plan.costs}
    caption = "Allocated effective cost of 1,000 units of demand by closed month; the dearest services."
    return picture(charts.unit_cost_trend(frame[frame["month"].isin(closed)]), caption, height=230)


def spend(plan: Plan) -> Picture:
    return picture(charts.spend_months(plan.spend), "Spend to come: P50, its P10 to P90, and the budget.", height=220)


def events(plan: Plan) -> list[Picture]:
    return [
        picture(
            charts.event_bars(e.verdicts),
            f"{visible(e.name)}, {day(e.start.date())}: demand P50 to P95 as a share of safe capacity at the group's "
            "maximum (dashed line), one zone lost where the tier promises it; the tick is what runs now.",
        )
        for e in plan.events
    ]


def scenarios(plans: Sequence[Plan]) -> Picture:
    named: Mapping[str, Plan] = {p.scenario: p for p in plans}
    return picture(charts.scenario_compare(named), "Recommended mix of each scenario over the horizon, and its risk.")


def scenario_bridges(plan: Plan, others: Sequence[Plan]) -> list[Picture]:
    """Why each scenario's total differs from the plan's; none where one of them has no total."""
    found = []
    for other in others:
        try:
            bridge = scenario_bridge(plan, other)
        except (MissingDataError, UsageError):
            continue
        chart = charts.bridge_waterfall(bridge.total(), "light", bridge.months, plan.currency)
        found.append(picture(chart, f"All money of the plan's months, {visible(bridge.months[0])} to "
                                    f"{visible(bridge.months[1])}, term by term."))  # fmt: skip
    return found


def decompositions(plan: Plan, units: Sequence[UnitPlan]) -> list[Picture]:
    """The parts of each unit's daily mean, one picture a unit that has them."""
    rows = known.frame(plan, "explanation")
    rows = rows[rows["target"] == "mean"]
    return [
        picture(
            charts.decomposition(of, unit.demand_unit),
            f"{unit_label(unit.service, unit.region)}: daily mean of {visible(unit.demand_metric)} taken apart. "
            "Each strip multiplies the one above; 1.00 changes nothing.",
            HALF,
        )
        for unit in units
        if len(of := known.of_unit(rows, unit))
    ]


def promises(plan: Plan) -> list[Picture]:
    """Last quarter's largest peaks (months' where none is over) and months of spend against what came."""
    found = []
    for target, rows in known.promised(plan):
        text = f"Promised and come, {known.TARGETS.get(target, target)}: bar from P10 to P90, mark at what came."
        found.append(picture(charts.promises(rows), f"{text} The furthest off come first."))
    return found


def totals(plan: Plan) -> list[Picture]:
    """Spend of teams in the first quarter to come; of services where no team is known."""
    quarter = known.next_quarter(plan)
    for level in ("team", "service"):
        rows = known.spend_rows(plan, level, quarter)
        if len(rows) > 1:
            text = f"Spend of {quarter} by {level}, from joint futures: intervals do not add up, their futures do."
            return [picture(charts.spend_totals(rows), text)]
    return []
