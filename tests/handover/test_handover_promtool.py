"""Rules and metrics as promtool reads them: clean, firing when they should and silent when they should not."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from capacity.errors import UsageError
from capacity.report.handover import DEFAULT_DEMAND_QUERY, Options, openmetrics, prometheus
from capacity.report.handover._promql import fill
from tests.factory_unit import HOSTILE
from tests.handover.handover_kit import KINDS, check_all, files_of, needs_promtool, plan_of, promtool, rendered

SAMPLE = re.compile(r"^([a-z_:]+)(?:\{(.*)\})? (\S+)$")
LABEL = re.compile(r'([a-z_]+)="((?:[^"\\]|\\.)*)"')
DAY = (datetime(2026, 10, 5, tzinfo=UTC) - datetime(1970, 1, 1, tzinfo=UTC)).days


def samples(text: str) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    """The samples of a metrics file, as a reader that knows nothing of the writer finds them."""
    turned = {"\\\\": "\\", '\\"': '"', "\\n": "\n"}
    out: dict[tuple[str, frozenset[tuple[str, str]]], float] = {}
    for line in text.split("\n"):
        if not line or line.startswith("#"):
            continue
        match = SAMPLE.match(line)
        assert match, line
        labels = frozenset((k, re.sub(r'\\[\\"n]', lambda m: turned[m.group(0)], v))
                           for k, v in LABEL.findall(match.group(2) or ""))  # fmt: skip
        assert (match.group(1), labels) not in out, line
        out[match.group(1), labels] = float(match.group(3))
    return out


# --- metrics -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_metrics_are_announced_once_named_after_their_unit_and_end(kind: str) -> None:
    text = files_of(kind)["openmetrics.txt"]
    assert text.endswith("\n# EOF\n")
    announced = re.findall(r"^# TYPE (\S+) (\S+)$", text, re.MULTILINE)
    assert len(dict(announced)) == len(announced) > 0
    assert {t for _, t in announced} == {"gauge"}
    found = samples(text)
    assert {n for n, _ in announced} == {name for name, _ in found}
    for name, unit in re.findall(r"^# UNIT (\S+) (\S+)$", text, re.MULTILINE):
        assert name.endswith(f"_{unit}")
    assert all(v - v == 0 for v in found.values())


def test_metrics_say_what_the_plan_says() -> None:
    plan = plan_of("demo")
    found = samples(files_of("demo")["openmetrics.txt"])
    for u in plan.units:
        at = frozenset({("service", u.service), ("region", u.region)})
        assert found["capacity_headroom_policy_ratio", at] == pytest.approx(u.headroom_policy_frac)
        assert (u.headroom_now_frac is None) == (("capacity_headroom_now_ratio", at) not in found)
        if u.safe_now is not None:
            safe = found["capacity_safe_demand", at | {("estimate", "mid")}]
            assert safe == pytest.approx(u.safe_now.mid, rel=1e-8)
        for x in u.limits:
            key = ("capacity_order_by_timestamp_seconds", at | {("limit", x.name)})
            assert (x.order_by is None) == (key not in found)
            if x.order_by is not None:
                assert datetime.fromtimestamp(found[key], UTC).date() == x.order_by
    assert found[
        "capacity_plan_as_of_timestamp_seconds", frozenset({("company", plan.company), ("scenario", "base")})
    ] == (plan.as_of.timestamp())
    month = plan.spend[0]
    p_over = found["capacity_over_budget_probability_ratio", frozenset({("month", month.month), ("currency", "USD")})]
    assert p_over == pytest.approx(month.over_budget)
    bill = [v for (name, labels), v in found.items() if name == "capacity_bill_cost" and ("month", "2026-09") in labels]
    assert sum(bill) == pytest.approx(float(plan.costs[-1].effective), abs=1e-6)


def test_names_of_data_come_back_as_they_were() -> None:
    """Quotes, backslashes and line ends of a name are its own, also after a round trip."""
    names = {dict(labels).get("service") for _, labels in samples(files_of("ugly")["openmetrics.txt"])}
    assert set(HOSTILE) <= names


@given(st.text(st.characters()))
def test_any_label_is_one_line_and_comes_back(text: str) -> None:
    family = openmetrics.Family("x", "X.")
    family.add(1.5, {"a": text, "b": "c"})
    body = openmetrics.text_of([family])
    sound = "".join("\ufffd" if 0xD800 <= ord(c) <= 0xDFFF else c for c in text)
    assert samples(body) == {("x", frozenset({("a", sound), ("b", "c")})): 1.5}
    assert body.count("\n") == 4
    assert body.encode("utf-8")


@needs_promtool
@pytest.mark.parametrize("kind", KINDS)
def test_promtool_and_botocore_and_the_schemas_have_nothing_to_say(kind: str, tmp_path: Path) -> None:
    check_all(files_of(kind), tmp_path)


@needs_promtool
def test_the_metrics_are_openmetrics_too(tmp_path: Path) -> None:
    """The only reader of OpenMetrics here wants times, which the textfile collector refuses: they are added."""
    text = files_of("ugly")["openmetrics.txt"]
    timed = re.sub(r"(?m)^(capacity\S*(?:\{.*\})? \S+)$", r"\1 1790000000", text)
    path = tmp_path / "timed.txt"
    path.write_text(timed, encoding="utf-8")
    said = promtool("tsdb", "create-blocks-from", "openmetrics", str(path), str(tmp_path / "blocks"))
    (row,) = [line.split() for line in said.splitlines() if re.match(r"^[0-9A-Z]{26} ", line)]
    assert row[4] == str(len(samples(text)))


# --- rules ---------------------------------------------------------------------------------------------------

SAFE, WHOLE, POLICY = 1000, 1500, 0.2
DUE = "CapacityOrderDateNear"
ALERTS = (
    "CapacityHeadroomBelowPolicy",
    "CapacityBeyondSafe",
    "CapacityDemandAboveForecast",
    "CapacityDemandBelowForecast",
    "CapacityDemandNotMeasured",
    "CapacityOrderDateNear",
    "CapacityPlanOld",
)


def series(service: str, demand: str) -> list[dict[str, str]]:
    """What Prometheus would hold from 1970-01-01 on: the plan's metrics, and requests by the user's own counter."""
    at = f'service="{service}",region="us-east-1"'
    # Scraped from two machines: the rules must not trip over that.
    metrics = {
        f'capacity_safe_demand{{{at},estimate="mid",instance="a"}}': SAFE,
        f'capacity_safe_demand{{{at},estimate="mid",instance="b"}}': SAFE,
        f"capacity_safe_all_zones_demand{{{at}}}": WHOLE,
        f"capacity_headroom_policy_ratio{{{at}}}": POLICY,
        f'capacity_order_by_timestamp_seconds{{{at},limit="disk"}}': 15 * 86400,
        'capacity_plan_as_of_timestamp_seconds{company="x",scenario="base"}': 0,
    }
    for day in range(4):
        for p, value in (("0.05", 300), ("0.5", 500), ("0.95", 650), ("0.99", 700 + 10 * day)):
            metrics[f'capacity_forecast_peak_demand{{{at},day="{day}",date="d{day}",p="{p}"}}'] = value
    out = [{"series": name, "values": f"{value}x4320"} for name, value in metrics.items()]
    return [*out, {"series": f"http_requests_total{{{at}}}", "values": demand}] if demand else out


def per_second(rate: float, minutes: int = 4320, start: float = 0.0) -> str:
    return f"{start:g}+{60 * rate:g}x{minutes}"


def case(service: str, demand: str, firing: dict[str, tuple[str, ...]]) -> dict[str, object]:
    """Which alerts fire at which time, and that no other does."""
    tests = []
    for at, names in firing.items():
        for name in ALERTS:
            severity = {"CapacityBeyondSafe": "critical", "CapacityDemandBelowForecast": "info"}.get(name, "warning")
            own = {} if name == "CapacityPlanOld" else {"service": service, "region": "us-east-1"}
            limit = {"limit": "disk"} if name == "CapacityOrderDateNear" else {}
            expected = [{"exp_labels": {**own, **limit, "severity": severity}}] if name in names else []
            tests.append({"eval_time": at, "alertname": name, "exp_alerts": expected})
    return {"interval": "1m", "input_series": series(service, demand), "alert_rule_test": tests}


def without_annotations(rules: str) -> str:
    """promtool compares annotations where a rule has any; what they say is checked apart."""
    document = yaml.safe_load(rules)
    for group in document["groups"]:
        for rule in group["rules"]:
            rule.pop("annotations", None)
    return yaml.safe_dump(document, sort_keys=False)


def run_rules(tmp_path: Path, rules: str, cases: list[dict[str, object]]) -> str:
    (tmp_path / "rules.yml").write_text(rules, encoding="utf-8")
    # Groups of one moment are evaluated in no certain order: what one group records another may see 5 minutes later.
    document = {"rule_files": ["rules.yml"], "evaluation_interval": "5m", "tests": cases}
    (tmp_path / "tests.yml").write_text(yaml.safe_dump(document, sort_keys=False), encoding="utf-8")
    return promtool("test", "rules", str(tmp_path / "tests.yml"))


@needs_promtool
def test_rules_fire_when_they_should_and_are_silent_when_they_should_not(tmp_path: Path) -> None:
    plan = plan_of("small")
    service = plan.units[0].service
    one = replace(plan, units=plan.units[:1])
    rules = without_annotations(rendered(one, only="prometheus")["prometheus_rules.yml"])
    above, safe, room, low = ALERTS[2], ALERTS[1], ALERTS[0], ALERTS[3]
    cases = [
        # 500/s: within the forecast, headroom two thirds.
        case(service, per_second(500), {"4h": ()}),
        # On day 0 the band is that of days 0 and 1 (P99 at most 710), on day 1 that of days 0 to 2 (at most 720).
        case(service, per_second(705), {"4h": ()}),
        case(service, per_second(715), {"1h50m": (), "2h30m": (above,), "23h": (above,), "24h30m": (DUE,)}),
        # Above what is safe with a zone lost (1,000), headroom 1 - 1,100/1,500 = 27 %.
        case(service, per_second(1100), {"4h": (above, safe)}),
        # Headroom 1 - 1,250/1,500 = 17 % is below the policy of 20 %.
        case(service, per_second(1250), {"17m": (safe,), "45m": (safe, room), "4h": (above, safe, room)}),
        # Low all day; one busy hour within a day is enough to be within the forecast.
        case(service, per_second(200), {"1h": (), "4h": (low,)}),
        case(service, f"{per_second(400, 60)} {per_second(200, 400, 60 * 400 * 61)}", {"6h": ()}),
        case(service, "", {"30m": (), "2h": ("CapacityDemandNotMeasured",)}),
    ]
    assert "SUCCESS" in run_rules(tmp_path, rules, cases)


@needs_promtool
def test_order_dates_and_old_plans_are_told_of_in_time(tmp_path: Path) -> None:
    """The order date is on day 15, so 14 days are left from day 1 on; the forecast reaches one day."""
    one = replace(plan_of("small"), units=plan_of("small").units[:1])
    rules = without_annotations(rendered(one, Options(band_days=1), "prometheus")["prometheus_rules.yml"])
    service = one.units[0].service
    known = [s for s in series(service, "") if "order_by" in s["series"] or "as_of" in s["series"]]
    told = case(service, "", {"23h": (), "24h30m": (DUE,), "26h": (DUE, "CapacityPlanOld")})
    cases: list[dict[str, object]] = [{**told, "input_series": known}]
    assert "SUCCESS" in run_rules(tmp_path, rules, cases)


@needs_promtool
def test_names_of_data_are_told_as_text(tmp_path: Path) -> None:
    """A name full of template marks, quotes and line ends is a label's value and nothing else."""
    plan = plan_of("ugly")
    unit = next(u for u in plan.units if "{{" in u.service)
    rules = rendered(replace(plan, units=(unit,)), only="prometheus")["prometheus_rules.yml"]
    quoted = unit.service.replace("\\", "\\\\").replace('"', '\\"')
    wanted = {"service": unit.service, "region": "us-east-1", "severity": "critical"}
    told = {
        "summary": f"{unit.service} in us-east-1: demand above safe capacity",
        "description": "Demand is 1.1k, more than the fleet of the plan serves within the SLO with zones lost.",
    }
    found = {"interval": "1m", "input_series": series(quoted, per_second(1100)), "alert_rule_test": [
        {"eval_time": "1h", "alertname": "CapacityBeyondSafe",
         "exp_alerts": [{"exp_labels": wanted, "exp_annotations": told}]}]}  # fmt: skip
    assert "SUCCESS" in run_rules(tmp_path, rules, [found])


def test_no_text_of_data_stands_in_a_template() -> None:
    for kind in ("ugly", "demo"):
        groups = yaml.safe_load(files_of(kind)["prometheus_rules.yml"])["groups"]
        alerts = [r for g in groups for r in g["rules"] if "alert" in r]
        assert {a["alert"] for a in alerts} == set(ALERTS)
        assert alerts == [r for g in yaml.safe_load(files_of("none")["prometheus_rules.yml"])["groups"]
                          for r in g["rules"] if "alert" in r]  # fmt: skip


def test_each_unit_with_requests_is_recorded_once_and_others_are_told() -> None:
    plan = plan_of("demo")
    queue = replace(plan.units[0], demand_metric="queue_depth")
    made = prometheus.render(replace(plan, units=(queue, *plan.units[1:])), Options())
    groups = yaml.safe_load(made.files["prometheus_rules.yml"])["groups"]
    recorded = [r["labels"] for g in groups for r in g["rules"] if r.get("record") == "capacity:demand"]
    assert recorded == [{"service": u.service, "region": u.region} for u in plan.units[1:]]
    assert made.notes == (f"{queue.unit}: its demand is queue_depth, which the default query does not ask for: no rule "
                          "watches it; give --demand-query",)  # fmt: skip
    given_ = prometheus.render(replace(plan, units=(queue,)), Options(demand_query='max(q{name="{service}"})'))
    assert given_.notes == ()


# --- the user's query ----------------------------------------------------------------------------------------


def test_the_query_is_filled_inside_its_strings() -> None:
    assert fill(DEFAULT_DEMAND_QUERY, "shop", "eu") == 'sum(rate(http_requests_total{service="shop",region="eu"}[5m]))'
    assert fill('sum(rate(x{{app="{service}"}}[5m]))', "shop", "eu") == 'sum(rate(x{app="shop"}[5m]))'
    assert fill("x{app='{service}'}", "it's", "eu") == "x{app='it\\u0027s'}"
    assert fill('x{app=~"{service}-.*"}', "a.b", "eu") == 'x{app=~"a\\u005c.b-.*"}'
    assert fill('x{a="{service}"}', 'q"} or y{', "eu") == 'x{a="q\\u0022} or y{"}'


@pytest.mark.parametrize(
    ("template", "said"),
    [
        ("sum(x)", "no {service}"),
        ("{service}:rate", "{service} outside a string"),
        ('x{a="{service}"} * {region}', "{region} outside a string"),
        ("x{a=`{service}`}", "a string in backticks"),
    ],
)
def test_queries_that_would_let_a_name_out_are_refused(template: str, said: str) -> None:
    with pytest.raises(UsageError, match=re.escape(f"--demand-query: found {said}")):
        fill(template, "shop", "eu")
    with pytest.raises(UsageError):
        rendered(plan_of("none"), Options(demand_query=template), "prometheus")


@given(st.text(st.characters()))
def test_a_name_never_ends_its_string(name: str) -> None:
    for template in ('x{a="{service}"}', "x{a='{service}'}", 'x{a=~"{service}.*"}'):
        filled = fill(template, name, "r")
        quote = "'" if "'" in template else '"'
        inside = filled[filled.index(quote) + 1 : filled.rindex(quote)]
        assert quote not in inside
        assert "\n" not in inside
        assert re.fullmatch(r"(?:[^\\]|\\u[0-9a-f]{4})*", inside, re.DOTALL)
