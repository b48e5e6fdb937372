"""Config errors name file, line, key, what was found and what is allowed."""

from __future__ import annotations

from pathlib import Path

import pytest

from capacity import config
from capacity.errors import EXIT_USAGE, ConfigError

GOOD = """\
version: 1
company: Acme
tiers:
  - name: critical
    service_level: 0.99
services:
  - name: checkout
    tier: critical
    regions: [us-east-1]
    calls:
      - {service: payments, per_request: 1.2}
  - name: payments
    tier: critical
    regions: [us-east-1]
sources:
  - kind: files
    name: usage
    frame: usage
    path: usage.csv
events:
  - name: sale
    start: 2026-11-27T00:00:00Z
    end: 2026-11-28T00:00:00Z
    services: [checkout]
    multiplier: 2.5
"""


def load(tmp_path: Path, text: str) -> config.Config:
    path = tmp_path / "c.yaml"
    path.write_text(text, encoding="utf-8")
    return config.load(path)


def problems(tmp_path: Path, text: str) -> tuple[str, ...]:
    with pytest.raises(ConfigError) as error:
        load(tmp_path, text)
    assert error.value.exit_code == EXIT_USAGE
    return error.value.problems


def test_a_good_config_loads_and_resolves_paths_against_itself(tmp_path: Path) -> None:
    found = load(tmp_path, GOOD)
    assert found.service("checkout").calls[0].service == "payments"
    assert found.resolve("usage.csv") == tmp_path / "usage.csv"
    assert found.tier("critical").service_level == 0.99


@pytest.mark.parametrize(
    ("old", "new", "line", "says"),
    [
        ("service_level: 0.99", "service_levle: 0.99", 5, "service_levle: unknown key; did you mean 'service_level'?"),
        ("service_level: 0.99", "service_level: high", 5, "found 'high'; allowed: input should be a valid number"),
        ("service_level: 0.99", "service_level: 1.5", 5, "found 1.5; allowed: input should be less than 1"),
        ("regions: [us-east-1]\n    calls", "regions: []\n    calls", 9, "services.0.regions: found []"),
        ("frame: usage", "frame: usages", 18, "sources.0.frame: found 'usages'; allowed: input should be 'usage'"),
        ("kind: files", "kind: fils", 16, "sources.0.kind: found 'fils'; allowed: 'files'"),
        ("    path: usage.csv\n", "    pth: usage.csv\n", 19, "sources.0.pth: unknown key; did you mean 'path'?"),
        ("company: Acme\n", "", 1, "company: missing; this key is required"),
        ("multiplier: 2.5", "multiplier: 2.5\n    target: 9", 21, "give one of multiplier and target, not both"),
        ("end: 2026-11-28T00:00:00Z", "end: 2026-11-28T00:00:00", 21, "need a zone"),
        ("version: 1", "version: 2", 1, "version: found 2; allowed: input should be 1"),
    ],
)  # fmt: skip
def test_each_fault_names_file_line_key_found_and_allowed(
    tmp_path: Path, old: str, new: str, line: int, says: str
) -> None:
    assert old in GOOD
    told = problems(tmp_path, GOOD.replace(old, new, 1))
    assert any(p.startswith(f"{tmp_path / 'c.yaml'}:{line}: ") and says in p for p in told), told


def test_names_that_refer_to_nothing_are_told_with_the_nearest(tmp_path: Path) -> None:
    told = problems(tmp_path, GOOD.replace("service: payments", "service: paymens"))
    assert "names 'paymens', which is not defined; did you mean 'payments'?" in told[0]
    text = GOOD.replace("name: checkout\n    tier: critical", "name: checkout\n    tier: critcal")
    told = problems(tmp_path, text)
    assert "did you mean 'critical'?" in told[0]


def test_all_faults_are_told_at_once(tmp_path: Path) -> None:
    text = GOOD.replace("service_level: 0.99", "service_levle: 0.99").replace("frame: usage", "frame: x")
    assert len(problems(tmp_path, text)) == 2


def test_a_list_instead_of_a_mapping(tmp_path: Path) -> None:
    assert "a mapping of keys is allowed" in problems(tmp_path, "- a\n")[0]


def test_the_digest_ignores_comments_and_the_store(tmp_path: Path) -> None:
    one = load(tmp_path, GOOD)
    two = load(tmp_path, "# a comment\n" + GOOD + "store: elsewhere\n")
    three = load(tmp_path, GOOD.replace("0.99", "0.98"))
    assert one.digest() == two.digest() != three.digest()


def test_every_duplicate_name_is_refused(tmp_path: Path) -> None:
    text = GOOD.replace("  - name: payments\n", "  - name: checkout\n")
    assert "service 'checkout' is given twice" in problems(tmp_path, text)[0]


def test_a_config_written_out_reads_back_the_same(tmp_path: Path) -> None:
    found = load(tmp_path, GOOD)
    assert load(tmp_path, config.dump(found)) == found
    demo = config.load(Path(__file__).resolve().parents[1] / "configs" / "demo.yaml")
    assert load(tmp_path, config.dump(demo)).model_dump() == demo.model_dump()
