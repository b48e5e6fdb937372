"""A Grafana dashboard (the classic JSON model) of the plan's metrics beside live demand.

It holds no text from data: names come in as labels of series, which Grafana shows as text.
"""

from __future__ import annotations

import hashlib
from typing import Any

from capacity.plan import Plan
from capacity.report.handover._base import Options, Rendered, dump

SCHEMA_VERSION = 39
_DATASOURCE = {"type": "prometheus", "uid": "${datasource}"}
_WHERE = '{service=~"$service",region=~"$region"}'
_BY = "by (service, region)"
_NAME = "{{service}} {{region}}"
_WIDTH = 24


def render(plan: Plan, options: Options) -> Rendered:
    """grafana_dashboard.json; its uid is the company's, so that importing the next plan's replaces it."""
    uid = "capacity-" + hashlib.sha256(plan.company.encode("utf-8", "surrogatepass")).hexdigest()[:16]
    dashboard = {
        "uid": uid,
        "title": "Capacity plan and live demand",
        "tags": ["capacity"],
        "timezone": "utc",
        "editable": True,
        "schemaVersion": SCHEMA_VERSION,
        "version": 1,
        "refresh": "5m",
        "time": {"from": "now-14d", "to": "now"},
        "templating": {"list": _variables()},
        "annotations": {"list": []},
        "panels": _placed(_panels()),
    }
    return Rendered({"grafana_dashboard.json": dump(dashboard)})


def _variables() -> list[dict[str, Any]]:
    source = {"name": "datasource", "type": "datasource", "query": "prometheus", "label": "Prometheus"}
    return [source, *({
        "name": name, "type": "query", "datasource": _DATASOURCE, "label": label, "includeAll": True, "multi": True,
        "allValue": ".*", "refresh": 2, "sort": 1,
        "query": {"query": f"label_values(capacity_headroom_policy_ratio, {name})", "refId": name},
    } for name, label in (("service", "Service"), ("region", "Region")))]  # fmt: skip


def _panels() -> list[dict[str, Any]]:
    """Each with ``size`` (width, height) instead of a place."""
    room = [("red", None), ("orange", 0.1), ("yellow", 0.2), ("green", 0.3)]
    return [
        _stat("Plan is so old", "time() - max(capacity_plan_as_of_timestamp_seconds)", "s",
              [("green", None), ("orange", 14 * 86400), ("red", 35 * 86400)]),
        _stat("Policies violated", "max(capacity_plan_violations)", "none", [("green", None), ("red", 1)]),
        _stat("Solver gap", "max(capacity_solver_gap_ratio)", "percentunit", [("green", None), ("orange", 0.05)]),
        _stat("Units that do not hold the next event", "count(max by (service, region, event) (capacity_event_go) == 0)"
              " or vector(0)", "none", [("green", None), ("red", 1)]),
        _panel("Headroom by service and region", "status-history", (24, 9), [
            (f"capacity:headroom:ratio{_WHERE}", _NAME)], "percentunit", room,
            options={"showValue": "never", "rowHeight": 0.9, "legend": _legend("list")}),
        _panel("Demand, safe capacity and the forecast of these days' peaks", "timeseries", (24, 10), [
            (f"capacity:demand{_WHERE}", f"{_NAME} demand"),
            (f'max {_BY} (capacity_safe_demand{{estimate="mid",service=~"$service",region=~"$region"}})',
             f"{_NAME} safe"),
            (f"capacity:forecast_peak:low{_WHERE}", f"{_NAME} P05"),
            (f"capacity:forecast_peak:high{_WHERE}", f"{_NAME} P99")], "short"),
        _panel("Headroom and policy", "timeseries", (12, 9), [
            (f"capacity:headroom:ratio{_WHERE}", f"{_NAME} headroom"),
            (f"max {_BY} (capacity_headroom_policy_ratio{_WHERE})", f"{_NAME} policy")], "percentunit"),
        _panel("Headroom of coming months, as planned", "bargauge", (12, 9), [
            (f'min {_BY} (capacity_headroom_month_ratio{{fleet="recommended",service=~"$service",region=~"$region"}})',
             _NAME)], "percentunit", room, instant=True),
        _table("P(a limit is passed within the horizon)", f"sort_desc(max by (service, region, limit) "
               f"(capacity_saturation_probability_ratio{_WHERE}))", "percentunit"),
        _table("Days left to decide", f"sort((min by (service, region, limit) "
               f"(capacity_order_by_timestamp_seconds{_WHERE}) - time()) / 86400)", "d"),
        _table("Recommended instances", "max by (service, region, month, purchase, instance_type) "
               f"(capacity_recommended_instances{_WHERE})", "none"),
        _table("Peak events: P(holds)", "max by (service, region, event) "
               f"(capacity_event_holds_probability_ratio{_WHERE})", "percentunit"),
        _table("Spend forecast and budget", "max by (month, currency, p) (capacity_spend_forecast)", "short"),
        _table("P(over budget)", "max by (month, currency) (capacity_over_budget_probability_ratio)", "percentunit"),
    ]  # fmt: skip


def _legend(mode: str) -> dict[str, Any]:
    return {"displayMode": mode, "placement": "bottom", "showLegend": True}


def _panel(
    title: str, kind: str, size: tuple[int, int], queries: list[tuple[str, str]], unit: str,
    steps: list[tuple[str, float | None]] | None = None, instant: bool = False, options: dict[str, Any] | None = None,
) -> dict[str, Any]:  # fmt: skip
    defaults: dict[str, Any] = {"unit": unit}
    if steps:
        defaults["color"] = {"mode": "thresholds"}
        defaults["thresholds"] = {"mode": "absolute", "steps": [{"color": c, "value": v} for c, v in steps]}
    targets = []
    for letter, (expr, legend) in zip("ABCDEFGH", queries, strict=False):
        target = {"refId": letter, "datasource": _DATASOURCE, "expr": expr, "legendFormat": legend}
        targets.append({**target, "instant": True, "range": False} if instant else target)
    out = {"title": title, "type": kind, "size": size, "datasource": _DATASOURCE, "targets": targets,
           "fieldConfig": {"defaults": defaults, "overrides": []}}  # fmt: skip
    return out if options is None else {**out, "options": options}


def _stat(title: str, expr: str, unit: str, steps: list[tuple[str, float | None]]) -> dict[str, Any]:
    return _panel(title, "stat", (6, 4), [(expr, "")], unit, steps, instant=True)


def _table(title: str, expr: str, unit: str) -> dict[str, Any]:
    panel = _panel(title, "table", (12, 9), [(expr, "")], unit, instant=True)
    panel["targets"][0]["format"] = "table"
    hidden = {"id": "organize", "options": {"excludeByName": {"Time": True}}}
    return {**panel, "transformations": [hidden]}


def _placed(panels: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Panels from left to right and down, each with its number and place on the grid of 24 columns."""
    x = y = row = 0
    out = []
    for number, panel in enumerate(panels, start=1):
        width, height = panel["size"]
        if x + width > _WIDTH:
            x, y, row = 0, y + row, 0
        place = {"h": height, "w": width, "x": x, "y": y}
        out.append({"id": number, "gridPos": place, **{k: v for k, v in panel.items() if k != "size"}})
        x, row = x + width, max(row, height)
    return out
