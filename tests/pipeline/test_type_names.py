"""Names of types and families that nothing bears: told by `capacity doctor` with their line, and by a plan."""

from __future__ import annotations

from pathlib import Path

import pytest

from capacity import catalogue, cli, config
from capacity.pipeline import open_store, planning
from capacity.pipeline.health import Check, doctor
from capacity.pipeline.type_names import name_problems, unknown_names
from tests import company

TYPES = catalogue.load().types
WEB = "    burst_factor: 1.1\n"


def company_with(folder: Path, web: str, rest: str = "") -> Path:
    """The config of the small company with more keys of its service web; each line of ``web`` is one key."""
    lines = "".join(f"    {line}\n" for line in web.splitlines())
    assert company.CONFIG.count(WEB) == 1
    return company.write(folder, config=company.CONFIG.replace(WEB, WEB + lines) + rest)


def line_of(path: Path, text: str) -> int:
    return next(i for i, line in enumerate(path.read_text().splitlines(), 1) if text in line)


def told(path: Path, name: str) -> list[Check]:
    return [c for c in doctor(path) if c.name == name and (c.warning or not c.ok)]


@pytest.mark.parametrize(
    ("keys", "at", "key", "name", "near"),
    [
        ("load_tested: {m5.2xlrage: 90}", "2xlrage", "load_tested", "m5.2xlrage", "m5.2xlarge"),
        ("load_tested: {M5.2xlarge: 90}", "M5", "load_tested", "M5.2xlarge", "m5.2xlarge"),
        ("load_tested: {m5: 90}", "load_tested", "load_tested", "m5", "m5.large"),
        ("load_tested: {db.r6g.xlage: 9}", "xlage", "load_tested", "db.r6g.xlage", "db.r6g.xlarge"),
        ("candidates: {allow_families: [m6i, m7gg]}", "m7gg", "candidates.allow_families", "m7gg", "m7g"),
        ("candidates: {deny_families: [c5.metall]}", "metall", "candidates.deny_families", "c5.metall", "c5.metal"),
        ("candidates: {performance_scale: {m8gg: 1.2}}", "m8gg", "candidates.performance_scale", "m8gg", "m8g"),
        ("candidates: {deny_families: [db.r6gg]}", "r6gg", "candidates.deny_families", "db.r6gg", "db.r6g"),
    ],
)
def test_the_doctor_says_where_a_name_stands_that_nothing_bears(
    tmp_path: Path, keys: str, at: str, key: str, name: str, near: str
) -> None:
    path = company_with(tmp_path, keys)
    (found,) = told(path, "config")
    assert found.ok
    assert found.detail.startswith(f"{path}:{line_of(path, at)}: services 'web': {key}: '{name}' is no instance type")
    assert near in found.detail.rpartition("near it: ")[2].split(", ")


def test_a_warning_is_printed_as_one_and_exits_0(small: config.Config, capsys: pytest.CaptureFixture[str]) -> None:
    given = small.path.read_text()
    path = small.path.with_name("misspelt.yaml")
    path.write_text(given.replace(WEB, f"{WEB}    load_tested: {{m5.xlrage: 90}}\n"))
    assert cli.run(["doctor", "-c", str(path)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines if "m5.xlrage" in line] == ["warn"]
    assert not any(line.startswith("FAIL") for line in lines)


def test_a_name_that_is_far_from_all_says_how_to_mend_it(tmp_path: Path) -> None:
    (found,) = told(company_with(tmp_path, "load_tested: {zzzzzzz: 90}"), "config")
    assert "`capacity catalog refresh`" in found.detail


def test_what_the_catalogue_knows_is_not_told(tmp_path: Path) -> None:
    keys = """load_tested: {m5.xlarge: 90, db.r6g.large: 20}
candidates: {allow_families: [m5, m7g.metal, db.r6g], deny_families: [c5], performance_scale: {m7i: 1.1, m8g.large: 2}}
"""
    settings = config.load(company_with(tmp_path, keys))
    assert unknown_names(settings, TYPES) == ()
    assert told(settings.path, "config") == []


def test_a_node_pool_and_a_load_test_name_types_too(tmp_path: Path) -> None:
    test = "load_tests: [{path: steps.csv, kind: table, instance_type: m5.xlrage, slo_p99_ms: 100}]"
    pool = (
        "pools:\n  - name: nodes\n    tier: standard\n    regions: [us-east-1]\n    services:\n"
        "      - {service: web, cpu_request_vcpu: 1, memory_request_gib: 2, demand_per_pod: 10}\n"
        "    candidates:\n      allow_families: [m6ii]\n"
    )
    path = company_with(tmp_path, test, pool)
    assert {(g.owner, g.key, g.name) for g in unknown_names(config.load(path), TYPES)} == {
        ("services 'web'", "load_tests.instance_type", "m5.xlrage"),
        ("pools 'nodes'", "candidates.allow_families", "m6ii"),
    }
    assert [f"{path}:{line_of(path, 'm6ii')}: pools 'nodes'" in c.detail for c in told(path, "config")] == [False, True]


def test_a_plan_says_a_templates_mistake_once(small: config.Config) -> None:
    web, api, thumbs = small.services
    both = [s.model_copy(update={"load_tested": {"m5.xlrage": 90.0}}) for s in (web, api)]
    settings = small.model_copy(update={"services": [*both, thumbs]})
    ground = planning.prepare(settings, open_store(small), as_of=company.AS_OF.to_pydatetime(), with_money=False)
    (said,) = [p for p in ground.problems if "m5.xlrage" in p]
    assert said.startswith("services 'web' and services 'api': load_tested: 'm5.xlrage' is no instance type")
    assert "m5.xlarge" in said
    many = settings.model_copy(
        update={"services": [web.model_copy(update={"name": f"s{i}", "load_tested": {"x": 1.0}}) for i in range(300)]}
    )
    (one,) = name_problems(many, TYPES)
    assert one.startswith("services 's0', services 's1', services 's2' and 297 more: load_tested: 'x'")


def test_the_doctor_warns_of_what_is_both_allowed_and_denied(tmp_path: Path) -> None:
    path = company_with(tmp_path, "candidates:\n  allow_families: [m6i, m7g]\n  deny_families: [c5, m7g]")
    (found,) = told(path, "config")
    assert found.ok
    assert found.detail.startswith(f"{path}:{line_of(path, 'deny_families')}: services 'web'")
    assert "'m7g' stands in allow_families too" in found.detail


def test_the_doctor_fails_where_a_load_test_has_no_file(tmp_path: Path) -> None:
    tests = (
        "load_tests:\n  - {path: steps.csv, kind: table, instance_type: m5.xlarge, slo_p99_ms: 100}\n"
        "  - {path: absent.csv, kind: table, instance_type: m6i.xlarge, slo_p99_ms: 100}"
    )
    path = company_with(tmp_path, tests)
    (tmp_path / "steps.csv").write_text("")
    (found,) = told(path, "load tests")
    assert (found.ok, found.exit_code) == (False, 3)
    assert found.detail.startswith(f"{path}:{line_of(path, 'absent.csv')}: services 'web': load test:")
    assert "names no file; mend 'path'" in found.detail


def test_the_doctor_says_that_the_catalogue_cannot_be_read(tmp_path: Path) -> None:
    (found,) = told(company_with(tmp_path, "load_tested: {m5.xlrage: 9}", "catalogue: nowhere\n"), "catalogue")
    assert (found.ok, found.exit_code) == (False, 3)
    assert "nowhere" in found.detail
