"""Prometheus: rules for headroom and for departure from the forecast, on the metrics of ``openmetrics.txt``.

Each unit's demand is recorded once, by the user's own query; all else is written once for all units and joins on
service and region. No name from data stands in a template of an alert: names come in as labels.
"""

from __future__ import annotations

from typing import Any

import yaml

from capacity.plan import Plan, UnitPlan
from capacity.report.handover._base import DEFAULT_DEMAND_QUERY, Options, Rendered
from capacity.report.handover._promql import fill

# The metric that the query handed over by default counts.
DEFAULT_METRIC = "requests_per_second"
ORDER_WARNING_DAYS = 14
_BY = "by (service, region)"
_DAY = "floor(vector(time()) / 86400)"
_UNIT = "{{ $labels.service }} in {{ $labels.region }}"


def render(plan: Plan, options: Options) -> Rendered:
    """prometheus_rules.yml.

    Raises
    ------
    UsageError
        The query for demand cannot be filled.
    """
    given = options.demand_query != DEFAULT_DEMAND_QUERY
    asked = [u for u in plan.units if given or u.demand_metric == DEFAULT_METRIC]
    left_out = [u for u in plan.units if not given and u.demand_metric != DEFAULT_METRIC]
    fill(options.demand_query, "service", "region")  # refuses a wrong one where there is no unit too
    groups = [
        {"name": "capacity-demand", "interval": "1m", "rules": [_demand(u, options) for u in asked]},
        {"name": "capacity-forecast", "interval": "5m", "rules": _bands()},
        {"name": "capacity-headroom", "interval": "1m", "rules": [*_headroom(), *_departure(options)]},
        {"name": "capacity-plan", "interval": "1h", "rules": _of_plan(options)},
    ]
    text = yaml.safe_dump(
        {"groups": [g for g in groups if g["rules"]]}, sort_keys=False, allow_unicode=False, width=4096
    )
    notes = tuple(
        f"{u.unit}: its demand is {u.demand_metric}, which the default query does not ask for: no rule watches it; "
        "give --demand-query"
        for u in left_out
    )
    return Rendered({"prometheus_rules.yml": text}, notes)


def _demand(unit: UnitPlan, options: Options) -> dict[str, Any]:
    labels = {"service": _sound(unit.service), "region": _sound(unit.region)}
    return {
        "record": "capacity:demand",
        "expr": fill(options.demand_query, unit.service, unit.region),
        "labels": labels,
    }


def _sound(text: str) -> str:
    return "".join("\ufffd" if 0xD800 <= ord(c) <= 0xDFFF else c for c in text)


def _bands() -> list[dict[str, Any]]:
    """The forecast's band of today, of the day before and of the day after together: days are each service's own."""
    days = " or ".join(f'count_values("day", {_DAY}{shift})' for shift in (" - 1", "", " + 1"))
    out = []
    for name, function, p in (("low", "min", "0.05"), ("high", "max", "0.99")):
        expr = f'{function} {_BY} (capacity_forecast_peak_demand{{p="{p}"}} * on (day) group_left () ({days}))'
        out.append({"record": f"capacity:forecast_peak:{name}", "expr": expr})
    return out


def _alert(name: str, expr: str, wait: str, severity: str, summary: str, description: str) -> dict[str, Any]:
    rule: dict[str, Any] = {"alert": name, "expr": expr}
    if wait:
        rule["for"] = wait
    return {**rule, "labels": {"severity": severity}, "annotations": {"summary": summary, "description": description}}


def _headroom() -> list[dict[str, Any]]:
    whole = f"max {_BY} (capacity_safe_all_zones_demand)"
    safe = f'max {_BY} (capacity_safe_demand{{estimate="mid"}})'
    room = f"1 - capacity:demand / on (service, region) {whole}"
    return [
        {"record": "capacity:headroom:ratio", "expr": room},
        _alert(
            "CapacityHeadroomBelowPolicy",
            f"capacity:headroom:ratio < on (service, region) max {_BY} (capacity_headroom_policy_ratio)",
            "15m", "warning", f"{_UNIT}: headroom below policy",
            "Headroom is {{ $value | humanizePercentage }} of what the fleet of the plan serves, less than the tier "
            "asks for.",
        ),
        _alert(
            "CapacityBeyondSafe", f"capacity:demand > on (service, region) {safe}", "5m", "critical",
            f"{_UNIT}: demand above safe capacity",
            "Demand is {{ $value | humanize }}, more than the fleet of the plan serves within the SLO with zones lost.",
        ),
        _alert(
            "CapacityDemandNotMeasured", f"{safe} unless on (service, region) capacity:demand", "1h", "warning",
            f"{_UNIT}: no demand is measured", "The query for demand gives nothing: no rule watches this service.",
        ),
    ]  # fmt: skip


def _departure(options: Options) -> list[dict[str, Any]]:
    wait = f"{options.departure_hours}h"
    return [
        _alert(
            "CapacityDemandAboveForecast", "capacity:demand > on (service, region) capacity:forecast_peak:high", wait,
            "warning", f"{_UNIT}: demand above the forecast",
            "Demand is {{ $value | humanize }}, above the P99 of these days' peaks. Make a new plan.",
        ),
        _alert(
            "CapacityDemandBelowForecast",
            "max_over_time(capacity:demand[1d]) < on (service, region) capacity:forecast_peak:low", wait, "info",
            f"{_UNIT}: demand below the forecast",
            "The peak of the last day is {{ $value | humanize }}, below the P05 of these days' peaks.",
        ),
    ]  # fmt: skip


def _of_plan(options: Options) -> list[dict[str, Any]]:
    order, due = "capacity_order_by_timestamp_seconds", ORDER_WARNING_DAYS * 86400
    old = options.band_days * 86400
    return [
        _alert(
            "CapacityOrderDateNear", f"min by (service, region, limit) ({order}) - time() < {due}", "", "warning",
            f"{_UNIT}: an order date is near",
            "{{ $labels.limit }}: {{ $value | humanizeDuration }} are left to decide.",
        ),
        _alert(
            "CapacityPlanOld", f"time() - max (capacity_plan_as_of_timestamp_seconds) > {old}", "1h", "warning",
            "The capacity plan is old", "It is {{ $value | humanizeDuration }} old; its daily forecast has ended.",
        ),
    ]  # fmt: skip
