"""gate.json, and a policy on it: the example in Rego, and the same rules in Python, as no Rego engine is here."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import click
import jsonschema
import pytest
import yaml

from capacity.cli._app import build
from capacity.domain import TieOut
from capacity.plan import Plan
from capacity.report import handover
from tests.handover.handover_kit import files_of, plan_of, rendered

ROOT = Path(__file__).parents[2]
REGO = (ROOT / "docs" / "examples" / "capacity.rego").read_text(encoding="utf-8")
WORKFLOW = ROOT / "docs" / "examples" / "capacity-check.yml"
LIMITS = {"over_budget": 0.5, "gap": 0.05, "event_holds": 0.95}

Gate = Mapping[str, Any]


def gate(plan: Plan) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(rendered(plan, only="gate")["gate.json"])
    return found


# --- the policy in Python, rule by rule as in Rego -------------------------------------------------------------


def deny(g: Gate) -> list[str]:
    return sorted(
        x for rule in (_schema, _violations, _no_go, _holds, _now, _overdue, _ties, _budget, _gap) for x in rule(g)
    )


def warn(g: Gate) -> list[str]:
    found = [f"{s['service']}: headroom is not known" for s in g["services"]
             if s["kind"] != "usage_priced" and "headroom_now_frac" not in s]  # fmt: skip
    found += [f"{s['source']} is stale" for s in g["sources"] if s["stale"]]
    return sorted(found + ([] if g["reproducible"] else ["not reproducible"]))


def _schema(g: Gate) -> Iterator[str]:
    if g["schema"] != "capacity.gate/1":
        yield "schema"


def _violations(g: Gate) -> Iterator[str]:
    yield from (f"violates {v}" for v in g["violations"])


def _no_go(g: Gate) -> Iterator[str]:
    yield from (f"NO-GO {s['service']}/{s['region']}" for e in g["events"] for s in e["services"] if not s["go"])


def _holds(g: Gate) -> Iterator[str]:
    yield from (f"holds {s['service']}/{s['region']}" for e in g["events"] for s in e["services"]
                if s.get("p_holds", 1.0) < LIMITS["event_holds"])  # fmt: skip


def _now(g: Gate) -> Iterator[str]:
    yield from (f"headroom {s['service']}" for s in g["services"] if s.get("keeps_policy_now") is False)


def _overdue(g: Gate) -> Iterator[str]:
    yield from (f"overdue {s['service']} {x['name']}" for s in g["services"] for x in s["limits"] if x["overdue"])


def _ties(g: Gate) -> Iterator[str]:
    if g["bill"].get("ties") is False:
        yield "bill"


def _budget(g: Gate) -> Iterator[str]:
    yield from (f"budget {m['month']}" for m in g["spend"] if m.get("p_over_budget", 0.0) > LIMITS["over_budget"])


def _gap(g: Gate) -> Iterator[str]:
    if g.get("mix", {}).get("gap_frac", 0.0) > LIMITS["gap"]:
        yield "gap"


# --- gate.json -------------------------------------------------------------------------------------------------


def test_it_says_what_the_plan_says() -> None:
    plan, found = plan_of("demo"), json.loads(files_of("demo")["gate.json"])
    assert found["go"] is False
    for u, s in zip(plan.units, found["services"], strict=True):
        assert (s["service"], s["region"]) == (u.service, u.region)
        assert s.get("headroom_now_frac") == (
            None if u.headroom_now_frac is None else pytest.approx(u.headroom_now_frac)
        )
        assert s["headroom_policy_frac"] == pytest.approx(u.headroom_policy_frac)
        assert [x["overdue"] for x in s["limits"]] == [x.overdue for x in u.limits]
    shut = {(v.unit.service, v.unit.region) for v in plan.events[0].verdicts if not v.go}
    assert {(s["service"], s["region"]) for s in found["events"][0]["services"] if not s["go"]} == shut
    assert found["bill"]["ties"] is True
    assert [m["p_over_budget"] for m in found["spend"]] == pytest.approx([s.over_budget for s in plan.spend])


def test_what_is_not_known_is_absent() -> None:
    found = json.loads(files_of("bare")["gate.json"])
    assert "mix" not in found
    assert found["go"] is False  # a violated policy alone shuts it
    assert any("headroom_now_frac" not in s and "keeps_policy_now" not in s for s in found["services"])
    assert all("budget" not in m and "p_over_budget" not in m for m in found["spend"])
    assert "null" not in files_of("bare")["gate.json"]
    nothing = json.loads(files_of("none")["gate.json"])
    assert nothing["bill"] == {"months": []}
    assert nothing["go"] is True


def calm() -> Plan:
    """A plan that every rule lets pass."""
    plan = plan_of("demo")
    units = tuple(replace(u, limits=tuple(replace(x, overdue=False) for x in u.limits)) for u in plan.units)
    event = replace(plan.events[0], verdicts=tuple(replace(v, go=True, probability_holds=1.0)
                                                   for v in plan.events[0].verdicts))  # fmt: skip
    spend = tuple(replace(s, over_budget=0.1) for s in plan.spend)
    return replace(plan, units=units, events=(event,), spend=spend)


def _with_unit(plan: Plan, **changed: Any) -> Plan:
    return replace(plan, units=(replace(plan.units[0], **changed), *plan.units[1:]))


def _verdict(plan: Plan, **changed: Any) -> Plan:
    event = plan.events[0]
    return replace(
        plan, events=(replace(event, verdicts=(replace(event.verdicts[0], **changed), *event.verdicts[1:])),)
    )


def _untied(plan: Plan) -> Plan:
    ties: tuple[TieOut, ...] = tuple(replace(t, ties=False) for t in plan.tie_outs)
    return replace(plan, tie_outs=ties)


BROKEN: dict[str, Callable[[Plan], Plan]] = {
    "violates x": lambda p: replace(p, violations=("x",)),
    "NO-GO": lambda p: _verdict(p, go=False),
    "holds": lambda p: _verdict(p, probability_holds=0.9),
    "headroom": lambda p: _with_unit(p, headroom_now_frac=0.01),
    "overdue": lambda p: _with_unit(p, limits=(replace(p.units[0].limits[0], overdue=True),)),
    "bill": _untied,
    "budget 2026-10": lambda p: replace(p, spend=(replace(p.spend[0], over_budget=0.51), *p.spend[1:])),
    "gap": lambda p: replace(p, mix=p.mix and replace(p.mix, gap_frac=0.06)),
}


def test_a_calm_plan_passes() -> None:
    found = gate(calm())
    assert found["go"] is True
    assert deny(found) == warn(found) == []


@pytest.mark.parametrize("reason", BROKEN)
def test_each_rule_alone_shuts_it(reason: str) -> None:
    (said,) = deny(gate(BROKEN[reason](calm())))
    assert said.startswith(reason)


def test_an_unknown_figure_neither_denies_nor_hides() -> None:
    plan = _with_unit(calm(), headroom_now_frac=None)
    assert deny(gate(plan)) == []
    assert warn(gate(plan)) == [f"{plan.units[0].service}: headroom is not known"]


# --- the examples ----------------------------------------------------------------------------------------------


def test_the_rego_reads_only_what_gate_json_may_say() -> None:
    """Every path of the policy is one of the schema; the variables stand for what their rule takes them from."""
    schema = handover.schema("gate")
    asked = set()
    for body in re.split(r"\n(?=deny|warn|has_)", REGO):
        taken = {"input": "", "s": "services.[]"}
        for name, source in re.findall(r"some (\w+) in (\S+)", body):
            root, *rest = source.split(".")
            taken[name] = ".".join(x for x in (taken[root], *rest, "[]") if x)
        for name, path in re.findall(r"\b(\w+)\.([a-z_][a-z_.0-9]*)", re.sub(r'"(?:[^"\\]|\\.)*"|#.*', "", body)):
            if name in taken:
                asked.add(".".join(x for x in (taken[name], path) if x))
    assert len(asked) > 20
    for path in asked:
        node = schema
        for part in path.split("."):
            node = node["items"] if part == "[]" else node["properties"][part]


def test_the_rego_and_its_twin_have_the_same_rules_and_limits() -> None:
    assert len(re.findall(r"^deny contains msg if \{$", REGO, re.MULTILINE)) == len(BROKEN) + 1  # and the schema
    assert len(re.findall(r"^warn contains msg if \{$", REGO, re.MULTILINE)) == 3
    written = re.search(r"^accepted := (\{.*\})$", REGO, re.MULTILINE)
    assert written
    assert json.loads(written.group(1)) == LIMITS
    for opening, closing in ("{}", "()", "[]"):
        plain = re.sub(r'"(?:[^"\\]|\\.)*"|#.*', "", REGO)
        assert plain.count(opening) == plain.count(closing)
    assert re.search(r"^package main$", REGO, re.MULTILINE)
    assert "import rego.v1" in REGO
    # sprintf has as many values as places.
    for form, values in re.findall(r'sprintf\("([^"]*)", \[(.*)\]\)', REGO):
        assert form.count("%v") == values.count(",") + 1


def test_the_workflow_is_a_gate_of_pinned_actions() -> None:
    document = yaml.safe_load(WORKFLOW.read_text(encoding="utf-8"))
    # YAML 1.1 reads the key "on" as true.
    assert {"pull_request", "schedule", "workflow_dispatch"} == set(document[True])
    assert document["permissions"] == {"contents": "read"}
    steps = document["jobs"]["check"]["steps"]
    for step in steps:
        if "uses" in step:
            assert re.fullmatch(r"[a-z-]+/[a-z-]+@v\d+\.\d+\.\d+", step["uses"])
        # What comes from the repository's settings or from a pull request reaches the shell as a variable alone.
        assert "${{" not in step.get("run", "")
    (gated,) = [s for s in steps if s.get("run", "").startswith("capacity check")]
    assert "if" not in gated
    assert "continue-on-error" not in gated


def test_the_workflows_command_lines_exist() -> None:
    tool: click.Group = build()
    steps = yaml.safe_load(WORKFLOW.read_text(encoding="utf-8"))["jobs"]["check"]["steps"]
    lines = [s["run"] for s in steps if s.get("run", "").startswith("capacity ")]
    assert [line.split()[1] for line in lines] == ["ingest", "check", "plan", "handover"]
    for line in lines:
        _, name, *arguments = line.replace('"', "").split()
        command = tool.commands[name]
        options = {o for p in command.params for o in p.opts}
        assert {a for a in arguments if a.startswith("-")} <= options
        # Parsed as the tool itself parses it; nothing is run.
        command.make_context(name, list(arguments), resilient_parsing=False).close()


def workflow() -> dict[Any, Any]:
    """The example; YAML 1.1 reads the key ``on`` as true."""
    found: dict[Any, Any] = yaml.safe_load(WORKFLOW.read_text(encoding="utf-8"))
    return {"on" if key is True else key: value for key, value in found.items()}


WORKFLOW_SCHEMA = json.loads((WORKFLOW.parent / "github-workflow.schema.json").read_text(encoding="utf-8"))


def test_the_workflow_is_one_by_the_schema_kept_beside_it() -> None:
    jsonschema.Draft202012Validator.check_schema(WORKFLOW_SCHEMA)
    jsonschema.Draft202012Validator(WORKFLOW_SCHEMA).validate(workflow())


@pytest.mark.parametrize(
    "spoil",
    [
        lambda w: w.pop("permissions"),
        lambda w: w["jobs"]["check"]["steps"][0].update(run="true"),
        lambda w: w["jobs"]["check"]["steps"][0].update(uses="actions/checkout@main"),
        lambda w: w["jobs"]["check"].update({"run-on": "ubuntu-24.04"}),
        lambda w: w["on"]["schedule"][0].update(cron="at noon"),
        lambda w: w["permissions"].update(contents="write"),
    ],
)
def test_a_workflow_that_is_none_is_not_one_by_the_schema(spoil: Callable[[dict[Any, Any]], Any]) -> None:
    found = workflow()
    spoil(found)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.Draft202012Validator(WORKFLOW_SCHEMA).validate(found)
