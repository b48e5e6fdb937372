"""What tests of the hand-over share: plans, rendering in memory, and the validators of each output."""

from __future__ import annotations

import json
import shutil
import subprocess
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import botocore.session
import jsonschema
import pandas as pd
import pytest
from botocore.validate import ParamValidator

from capacity.domain import PreScale
from capacity.plan import Plan
from capacity.report import handover
from capacity.report.handover import Options
from tests.factory import known_plan
from tests.factory_planned import planned
from tests.handover import frozen_demo

SCHEMAS = {
    "capacity.auto.tfvars.json": "tfvars",
    "scheduled_actions.json": "scaling",
    "set_desired_capacity.json": "scaling",
    "karpenter_nodepools.json": "karpenter",
    "grafana_dashboard.json": "grafana",
    "message_slack.json": "slack",
    "message_teams.json": "teams",
    "gate.json": "gate",
}
needs_promtool = pytest.mark.skipif(
    shutil.which("promtool") is None, reason="promtool is not installed: apt-get install prometheus"
)


@lru_cache
def small() -> Plan:
    """Three services, one in two regions; one autoscaled, one event with an exact pre-scale, one spot group."""
    plan = planned(known_plan(services=3))
    running, mix = plan.frame("running").copy(), plan.frame("mix").copy()
    first = plan.units[0]
    quiet = (running["service"] == first.service) & running["block"].isin(["b3", "b4"])
    running.loc[quiet, ["instances", "per_zone"]] = [3, 1]
    spot = mix[(mix["service"] == plan.units[1].service)].assign(purchase="spot", instances=3, per_zone=1, vcpu=24)
    event = plan.events[0]
    scaled = PreScale(
        sum(x.instances for x in plan.units[0].running), 90, event.start.replace(hour=3), event.end.replace(hour=7)
    )
    verdicts = (replace(event.verdicts[0], prescale=scaled), *event.verdicts[1:])
    frames = {**plan.frames, "running": running, "mix": pd.concat([mix, spot], ignore_index=True)}
    return replace(plan, events=(replace(event, verdicts=verdicts),), frames=frames)


@lru_cache
def plan_of(kind: str) -> Plan:
    """A plan of each kind: small, demo (kept), company, ugly (hostile names, None where it may be), bare, none."""
    if kind == "small":
        return small()
    if kind == "demo":
        return frozen_demo.load()
    if kind == "company":
        return planned(known_plan())
    if kind == "ugly":
        return planned(known_plan(ugly=True), ugly=True)
    if kind == "bare":
        return replace(known_plan(ugly=True), frames={}, mix=None, events=(), findings=())
    return planned(known_plan(services=0))


KINDS = ("small", "demo", "company", "ugly", "bare", "none")


def rendered(plan: Plan, options: Options | None = None, only: str = "") -> dict[str, str]:
    """Files of the hand-over by name: of all outputs, or of those named."""
    out: dict[str, str] = {}
    for name in only.split() or handover.OUTPUTS:
        out.update(handover.OUTPUTS[name].render(plan, options or Options()).files)
    return out


@lru_cache
def files_of(kind: str) -> dict[str, str]:
    return rendered(plan_of(kind))


def check_schema(file: str, text: str) -> None:
    """``text`` against the JSON Schema kept for ``file``."""
    schema = handover.schema(SCHEMAS[file])
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.Draft202012Validator(schema).validate(json.loads(text))


@lru_cache
def _model() -> Any:
    return botocore.session.get_session().get_service_model("autoscaling")


def inputs(text: str) -> list[dict[str, Any]]:
    """The API inputs of a scaling file, each with its account and region."""
    document = json.loads(text)
    return [
        {"account": account, "region": region, **call}
        for account, regions in document["accounts"].items()
        for region, calls in regions.items()
        for call in calls
    ]


def check_botocore(text: str) -> int:
    """Every input of a scaling file against botocore's service model; returns how many there are."""
    shape = _model().operation_model(json.loads(text)["operation"]).input_shape
    calls = inputs(text)
    for call in calls:
        report = ParamValidator().validate(call["input"], shape)
        assert not report.has_errors(), report.generate_report()
        for name in ("AutoScalingGroupName", "ScheduledActionName"):
            limits = shape.members[name].metadata if name in call["input"] else {"min": 0, "max": 255}
            # ParamValidator knows the least length only.
            assert limits["min"] <= len(call["input"].get(name, "")) <= limits["max"]
    return len(calls)


def promtool(*arguments: str, text: str | None = None) -> str:
    """Run promtool; its output, or a failure that shows it."""
    done = subprocess.run(["promtool", *arguments], input=text, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def check_all(files: dict[str, str], folder: Path) -> None:
    """All validators that are here, on all files of one hand-over."""
    for file in SCHEMAS:
        check_schema(file, files[file])
    for file in ("scheduled_actions.json", "set_desired_capacity.json"):
        check_botocore(files[file])
    if shutil.which("promtool"):
        rules = folder / "rules.yml"
        rules.write_text(files["prometheus_rules.yml"], encoding="utf-8")
        promtool("check", "rules", "--lint-fatal", str(rules))
        assert promtool("check", "metrics", text=files["openmetrics.txt"]) == ""
