"""Scaling actions: valid for AWS, never short while types change, and of the size that an event asks for."""

from __future__ import annotations

import json
import unicodedata
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from capacity.domain import EventVerdict, Interval, PreScale
from capacity.errors import UsageError
from capacity.plan import EventSummary, MixLine, Plan
from capacity.report.handover import Options, event_sizes, scaling
from capacity.report.handover._names import AWS_NAME, DNS_LABEL, aws_name, check_template, dns_label, dns_names
from tests.handover.handover_kit import KINDS, check_botocore, files_of, inputs, plan_of, rendered, small

START = datetime(2026, 11, 27, 5, tzinfo=UTC)


@pytest.mark.parametrize("kind", KINDS)
def test_inputs_are_those_of_the_service_model(kind: str) -> None:
    files = files_of(kind)
    scheduled = check_botocore(files["scheduled_actions.json"])
    now = check_botocore(files["set_desired_capacity.json"])
    assert (scheduled > now > 0) == (kind not in ("bare", "none"))


def test_sizes_are_ordered_starts_are_ahead_and_names_are_unique_in_a_group() -> None:
    for kind in ("small", "company", "ugly"):
        seen = set()
        for call in inputs(files_of(kind)["scheduled_actions.json"]):
            asked = call["input"]
            assert 0 <= asked["MinSize"] <= asked["DesiredCapacity"] <= asked.get("MaxSize", asked["DesiredCapacity"])
            assert asked["StartTime"] > "2026-10-05T06:00:00Z"
            key = (call["account"], call["region"], asked["AutoScalingGroupName"], asked["ScheduledActionName"])
            assert key not in seen
            seen.add(key)


def test_every_month_ahead_has_an_action_and_the_month_that_runs_has_none() -> None:
    months = {c["why"] for c in inputs(files_of("small")["scheduled_actions.json"]) if c["fleet"] == "recommended"}
    assert months == {f"month {m}" for m in ("2026-11", "2026-12", "2027-01", "2027-02", "2027-03", "2027-04")}


def one_type_gives_way() -> Plan:
    """The first unit runs 6 of type a until November, then 9 of type b."""
    plan = small()
    unit = plan.units[0]
    mine = plan.frame("mix")[lambda f: (f["service"] == unit.service) & (f["region"] == unit.region)]
    counts = (("2026-10", "m6g.large", 6), ("2026-11", "m6g.large", 6), ("2026-12", "m7g.large", 9))
    rows = [mine.iloc[[0]].assign(month=m, instance_type=t, instances=n, per_zone=n // 3) for m, t, n in counts]
    frames = {**plan.frames, "mix": pd.concat(rows, ignore_index=True), "running": plan.frame("running").iloc[:0]}
    return replace(plan, frames=frames, events=())


def test_the_new_type_serves_before_the_old_one_goes() -> None:
    calls = [c["input"] for c in inputs(rendered(one_type_gives_way(), only="scaling")["scheduled_actions.json"])]
    told = [
        (c["AutoScalingGroupName"][-9:], c["ScheduledActionName"], c["StartTime"], c["DesiredCapacity"]) for c in calls
    ]
    assert told == [
        ("m6g.large", "capacity-2026-11", "2026-11-01T00:00:00Z", 6),
        ("m6g.large", "capacity-2026-12", "2026-12-01T01:00:00Z", 0),
        ("m7g.large", "capacity-2026-12-up", "2026-11-30T23:00:00Z", 9),
    ]


def test_two_types_cannot_share_a_group() -> None:
    plan = one_type_gives_way()
    mix = plan.frame("mix")
    both = pd.concat([mix, mix.iloc[[2]].assign(month="2026-11")], ignore_index=True)
    clash = replace(plan, frames={**plan.frames, "mix": both})
    with pytest.raises(UsageError, match="allowed: one type a group"):
        scaling.render(clash, Options(group_name="{service}"))
    assert scaling.render(clash, Options()).files
    # One after the other they may.
    calls = inputs(rendered(plan, Options(group_name="asg-{service}"), only="scaling")["scheduled_actions.json"])
    assert {c["input"]["AutoScalingGroupName"] for c in calls} == {f"asg-{plan.units[0].service}"}


def verdict(p95: float, safe: float, most: float, prescale: PreScale | None = None) -> EventVerdict:
    known = small().events[0].verdicts[1]
    return replace(known, demand_p95=p95, safe_now=safe, safe_at_group_maximum=most, prescale=prescale)


def sized(v: EventVerdict, running: int = 10) -> tuple[int, int] | None:
    unit = replace(small().units[0], running=(MixLine("m6i.large", running, 0.1),), safe_now=Interval(90, 100, 110))
    found = event_sizes(v, unit, EventSummary("sale", START, START + timedelta(hours=9), (v,), ramp_minutes=60))
    return None if found is None else (found.instances_from, found.instances_to)


def test_an_event_asks_for_what_p95_needs_within_the_groups_maximum() -> None:
    assert sized(verdict(p95=155, safe=100, most=400)) == (10, 16)
    assert sized(verdict(p95=155, safe=100, most=130)) == (10, 13)
    assert sized(verdict(p95=99, safe=100, most=400)) is None
    assert sized(verdict(p95=155, safe=100, most=100)) is None
    assert sized(verdict(p95=155, safe=0, most=100)) is None
    assert sized(verdict(p95=155, safe=100, most=400), running=0) is None


def test_what_the_check_says_exactly_is_taken_as_it_is() -> None:
    exact = PreScale(10, 31, START - timedelta(hours=2), START + timedelta(hours=12))
    unit = small().units[0]
    event = EventSummary("sale", START, START + timedelta(hours=9), ())
    found = event_sizes(verdict(155, 100, 130, exact), unit, event)
    assert found is not None
    assert (found.instances_to, found.at, found.until) == (31, exact.at, exact.until)
    assert event_sizes(verdict(155, 100, 130, replace(exact, instances_to=10)), unit, event) is None


def test_without_exact_figures_it_starts_before_the_ramp_and_ends_after_it() -> None:
    event = EventSummary("sale", START, START + timedelta(hours=9), (), ramp_minutes=60)
    found = event_sizes(verdict(155, 100, 400), small().units[0], event)
    assert found is not None
    assert (found.at, found.until) == (START - timedelta(minutes=90), START + timedelta(hours=10))
    slow = replace(verdict(155, 100, 400), scale_out_minutes=45.0)
    assert event_sizes(slow, small().units[0], event).at == START - timedelta(minutes=105)


def test_an_event_is_before_and_after_and_a_month_that_begins_meanwhile_holds_it() -> None:
    plan = small()
    unit = plan.units[0]
    kind = unit.recommended["2026-12"][0].instance_type
    running = replace(unit, running=(MixLine(kind, 10, 0.1),))
    exact = PreScale(10, 5000, START, START + timedelta(days=6))
    event = replace(plan.events[0], verdicts=(replace(plan.events[0].verdicts[0], prescale=exact),))
    both = replace(plan, units=(running, *plan.units[1:]), events=(event,))
    name = f"{unit.service}-{unit.region}-{kind}"
    of_group = [c["input"] for c in inputs(rendered(both, only="scaling")["scheduled_actions.json"])
                if c["input"]["AutoScalingGroupName"] == name]  # fmt: skip
    calls = [c for c in of_group if "2026-11-2" < c["StartTime"] < "2026-12-2"]
    least, most = 3, sum(x.instances for x in unit.recommended["2026-12"])
    assert [(c["StartTime"][:10], c["MinSize"], c["MaxSize"]) for c in calls if c["StartTime"] < "2026-12-03"] == [
        ("2026-11-27", 5000, 5000),
        *[("2026-11-30", 5000, 5000)] * sum(c["StartTime"].startswith("2026-11-30") for c in calls),
        *[("2026-12-01", 5000, 5000)] * sum(c["StartTime"].startswith("2026-12-01") for c in calls),
    ]
    assert sum(c["StartTime"] > "2026-11-28" and c["StartTime"] < "2026-12-02" for c in calls) >= 1
    assert [(c["MinSize"], c["MaxSize"]) for c in calls if c["ScheduledActionName"].endswith("-after")] == [
        (least, most)
    ]


def test_a_type_that_one_unit_runs_among_others_gets_its_share() -> None:
    plan = small()
    unit = replace(plan.units[0], running=(MixLine("m5.large", 30, 0.1), MixLine("m5.xlarge", 10, 0.2)))
    exact = PreScale(40, 61, START, START + timedelta(days=1))
    event = replace(plan.events[0], verdicts=(replace(plan.events[0].verdicts[0], prescale=exact),))
    calls = inputs(
        rendered(replace(plan, units=(unit, *plan.units[1:]), events=(event,)), only="scaling")[
            "scheduled_actions.json"
        ]
    )
    mine = {(c["input"]["AutoScalingGroupName"].rsplit("-", 1)[-1], c["why"].split()[0]): c["input"]["MinSize"]
            for c in calls if c["fleet"] == "running"}  # fmt: skip
    assert mine == {("m5.large", "before"): 46, ("m5.xlarge", "before"): 16, ("m5.large", "after"): 30,
                    ("m5.xlarge", "after"): 10}  # fmt: skip


@pytest.mark.parametrize(
    "template", ["{service", "{0}", "{service!r}", "{secret}", "group", "{service:>9}", "{service.x}"]
)
def test_templates_that_cannot_be_filled_are_refused(template: str) -> None:
    with pytest.raises(UsageError, match="--group-name: found"):
        check_template(template)


@given(st.text(st.characters(), min_size=1, max_size=300))
def test_any_name_becomes_one_that_aws_and_kubernetes_take(name: str) -> None:
    made = aws_name(name)
    assert 0 < len(made) <= AWS_NAME
    assert ":" not in made
    assert not any(unicodedata.category(c) in ("Cc", "Cf", "Cs") for c in made)
    label = dns_label(name)
    assert len(label) <= DNS_LABEL
    assert label.isascii()
    assert label == label.lower()
    assert all(c.isalnum() or c == "-" for c in label)
    assert label[0].isalpha()
    assert label[-1] != "-"


@given(st.lists(st.tuples(st.text(max_size=40), st.sampled_from(["us-east-1", "east-1"])), unique=True, max_size=8))
def test_two_units_never_get_the_same_name(units: list[tuple[str, str]]) -> None:
    names = dns_names([(dns_label(s), dns_label(r)) for s, r in units])
    assert len(set(names)) == len(units)
    assert all(len(n) <= DNS_LABEL for n in names)


def test_names_that_run_together_are_told_apart() -> None:
    names = dns_names([("auth-us", "east-1"), ("auth", "us-east-1"), ("cart", "us-east-1")])
    assert len(set(names)) == 3
    assert names[2] == "cart-us-east-1"
    marked = dns_label("Check out!")
    assert dns_label(marked) != marked


def test_what_gets_no_action_is_told() -> None:
    notes = scaling.render(small(), Options()).notes
    fixed = {str(u.unit) for u in small().units if u.kind == "vertical"}
    assert {n.split(":")[0] for n in notes if "fixed" in n} == fixed
    demo = plan_of("demo")
    (event,) = demo.events
    shut = next(v for v in event.verdicts if v.unit.service == "checkout")
    assert shut.prescale is not None
    wanted = shut.prescale.instances_to
    told = scaling.render(demo, Options()).notes
    assert f"{shut.unit}, black-friday-2026: raise the group's maximum to {wanted} first" in told
    # Of one for which the check knows no size.
    bare = replace(shut, prescale=None, remedies=())
    without = replace(event, verdicts=tuple(bare if v is shut else v for v in event.verdicts))
    told = scaling.render(replace(demo, events=(without,)), Options()).notes
    assert f"{shut.unit}, black-friday-2026: NO-GO, and no size within the group's maximum holds it" in told
    tree = json.loads(files_of("small")["scheduled_actions.json"])
    assert tree["operation"] == "PutScheduledUpdateGroupAction"
