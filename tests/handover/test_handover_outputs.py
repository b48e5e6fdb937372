"""Every output of every kind of plan: valid, the same twice, ASCII where it is JSON, and as it was (golden).

Golden files are written anew by CAPACITY_WRITE_GOLDEN=1 pytest tests/handover/test_handover_outputs.py
"""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

import pytest

from capacity.errors import UsageError
from capacity.report import handover
from capacity.report.handover import Options, write_handover
from tests.handover.handover_kit import KINDS, SCHEMAS, check_schema, files_of, plan_of, rendered, small

GOLDEN = Path(__file__).with_name("golden")
FILES = tuple(file for output in handover.OUTPUTS.values() for file in output.files)


@pytest.mark.parametrize("kind", KINDS)
def test_outputs_are_valid_by_their_schemas_and_the_same_twice(kind: str) -> None:
    files = files_of(kind)
    assert tuple(files) == FILES
    assert rendered(plan_of(kind)) == files
    for file, text in files.items():
        assert text.endswith("\n"), file
        assert "NaN" not in text, file
        assert "Infinity" not in text, file
        if file in SCHEMAS:
            assert text.isascii(), file
            check_schema(file, text)


def test_every_json_output_has_a_schema_that_names_its_source() -> None:
    assert set(SCHEMAS) == {f for f in FILES if f.endswith(".json")}
    for name in set(SCHEMAS.values()):
        comment = handover.schema(name)["$comment"]
        assert comment.startswith("Ours") or "read 2026-" in comment


@pytest.mark.parametrize("kind", ["small", "demo"])
def test_golden(kind: str) -> None:
    files = rendered(plan_of(kind), Options(band_days=2, link="https://example.com/report.html"))
    for file, text in files.items():
        path = GOLDEN / kind / file
        if os.environ.get("CAPACITY_WRITE_GOLDEN"):
            path.write_text(text, encoding="utf-8")
        assert text == path.read_text(encoding="utf-8"), f"{kind}: {file}"


def test_terraform_says_what_is_provisioned_and_what_runs_at_least() -> None:
    plan = small()
    groups = json.loads(files_of("small")["capacity.auto.tfvars.json"])["capacity_groups"]
    first, second = plan.units[0], plan.units[1]
    scaled = groups[f"{first.service}/{first.region}/on_demand"]
    provisioned = sum(line.instances for line in first.recommended["2026-10"])
    assert (scaled["min_size"], scaled["desired_capacity"], scaled["max_size"]) == (3, provisioned, provisioned)
    assert sum(t["count"] for t in scaled["instance_types"].values()) == scaled["max_size"]
    assert {k for k in groups if k.startswith(f"{second.service}/")} == {
        f"{second.service}/{second.region}/{p}" for p in ("on_demand", "spot")
    }
    static = next(g for k, g in groups.items() if k.startswith(plan.units[2].service))
    assert static["min_size"] == static["max_size"]


def test_the_declared_type_has_the_names_that_the_value_has() -> None:
    declared = files_of("small")["capacity_variables.tf"]
    group = next(iter(json.loads(files_of("small")["capacity.auto.tfvars.json"])["capacity_groups"].values()))
    for name in (*group, *next(iter(group["instance_types"].values()))):
        assert f"      {name} " in declared or f"    {name} " in declared
    assert declared.count("{") == declared.count("}")
    assert declared.count("(") == declared.count(")")


def test_another_month_has_its_own_counts() -> None:
    plan = small()
    found = json.loads(rendered(plan, Options(month="2027-02"))["capacity.auto.tfvars.json"])["capacity_groups"]
    first = plan.units[0]
    assert found[f"{first.service}/{first.region}/on_demand"]["max_size"] == sum(
        line.instances for line in first.recommended["2027-02"]
    )
    with pytest.raises(UsageError, match="--month: found '2030-01'; allowed: a month of the plan, 2026-10 to 2027-04"):
        rendered(plan, Options(month="2030-01"))


def test_node_pools_of_a_unit_name_its_types_and_hold_no_more_than_is_provisioned() -> None:
    pools = json.loads(files_of("small")["karpenter_nodepools.json"])["items"]
    names = [p["metadata"]["name"] for p in pools]
    assert len(set(names)) == len(names) > 0
    by_name = {p["metadata"]["name"]: p["spec"] for p in pools}
    plan = small()
    unit = plan.units[0]
    spec = by_name[f"{unit.service}-{unit.region}-on-demand"]
    wanted = {r["key"]: r["values"] for r in spec["template"]["spec"]["requirements"]}
    assert wanted["node.kubernetes.io/instance-type"] == [unit.recommended["2026-10"][0].instance_type]
    assert wanted["kubernetes.io/arch"] in (["arm64"], ["amd64"])
    mix = plan.frame("mix")
    mine = mix[(mix["service"] == unit.service) & (mix["region"] == unit.region) & (mix["month"] == "2026-10")]
    assert spec["limits"]["cpu"] == str(int(mine["vcpu"].sum()))
    spot = next(s for n, s in by_name.items() if n.endswith("-spot"))
    assert spot["weight"] > spec["weight"]


def test_hostile_names_give_as_many_pools_and_keys_as_there_are_units() -> None:
    """Names are made safe and none is lost: two of them never become one."""
    plan, files = plan_of("ugly"), files_of("ugly")
    mix = plan.frame("mix")
    units = len(mix[mix["month"] == "2026-10"][["service", "region"]].drop_duplicates())
    assert len(json.loads(files["capacity.auto.tfvars.json"])["capacity_groups"]) == units
    fleets = {(u.service, u.region) for u in plan.units if u.kind == "fleet"}
    mine = {(r.service, r.region) for r in mix[mix["month"] == "2026-10"].itertuples()} & fleets
    pools = json.loads(files["karpenter_nodepools.json"])["items"]
    assert len({p["metadata"]["name"] for p in pools}) == len(mine)
    assert {p["metadata"]["annotations"]["capacity/service-name"] for p in pools} == {s for s, _ in mine}


def test_the_dashboard_asks_only_for_metrics_and_rules_that_are_handed_over() -> None:
    files = files_of("company")
    known = set(re.findall(r"^# TYPE (\S+)", files["openmetrics.txt"], re.MULTILINE))
    known |= set(re.findall(r"record: (\S+)", files["prometheus_rules.yml"]))
    dashboard = json.loads(files["grafana_dashboard.json"])
    asked = set()
    for panel in dashboard["panels"]:
        for target in panel["targets"]:
            asked |= set(re.findall(r"capacity[_:][a-z_:]+", target["expr"]))
    assert asked
    assert asked <= known
    cells = [(p["gridPos"]["x"] + dx, p["gridPos"]["y"] + dy) for p in dashboard["panels"]
             for dx in range(p["gridPos"]["w"]) for dy in range(p["gridPos"]["h"])]  # fmt: skip
    assert len(cells) == len(set(cells)), "panels lie over each other"
    assert max(x for x, _ in cells) < 24


def test_a_wrong_option_leaves_the_folder_as_it_was(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="--only: found 'helm'; allowed: terraform, scaling"):
        write_handover(small(), tmp_path / "out", ["gate", "helm"])
    with pytest.raises(UsageError, match="--node-class: found 'Big Nodes'"):
        write_handover(small(), tmp_path / "out", options=Options(node_class="Big Nodes"))
    assert not (tmp_path / "out").exists()
    made = write_handover(small(), tmp_path / "out", ["gate"])
    assert [p.name for p in made.files] == [p.name for p in (tmp_path / "out").iterdir()] == ["gate.json"]
