"""Mapping files: read with the config, refused with their lines, and looked up in one go."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from costs_makers import SERVICES, bill, costs, row

from capacity.config import Config, MappingFile, MappingTable, load, read_mapping
from capacity.costs import attribute, needed_columns
from capacity.errors import ConfigError
from capacity.scenario import Scenario, overlay_config

BASE = {
    "version": 1,
    "company": "c",
    "tiers": [{"name": "gold"}],
    "services": [{"name": s, "tier": "gold", "regions": ["eu"]} for s in SERVICES],
}
ACCOUNTS = "SubAccountId,tag:app,service,pool\n1,web,checkout,\n2,web,,shared\n"


def _config(folder: Path, mapping: str) -> Config:
    """A config beside its mapping file."""
    (folder / "accounts.csv").write_text(mapping, encoding="utf-8")
    rules = [{"name": "accounts", "mapping": "accounts.csv", "match": {"ServiceName": "EC2"}}]
    costs_part = {"rules": rules, "pools": [{"name": "shared"}]}
    (folder / "config.yaml").write_text(yaml.safe_dump(BASE | {"costs": costs_part}), encoding="utf-8")
    return load(folder / "config.yaml")


def test_a_mapping_takes_rows_that_have_all_its_values(tmp_path: Path) -> None:
    config = _config(tmp_path, ACCOUNTS)
    tagged = {"Tags": '{"app": "web"}'}
    rows = [
        row(effective=1, SubAccountId="1", **tagged),
        row(effective=2, SubAccountId="2", **tagged),
        row(effective=4, SubAccountId="1"),
        row(effective=8, SubAccountId="1", ServiceName="S3", **tagged),
        row(effective=16, SubAccountId="3", **tagged),
        row(effective=32, **tagged),
    ]
    found = attribute(bill(rows), config.costs, SERVICES)
    taken = [p for p in found.pieces.to_pylist() if p["rule"] == "accounts"]
    assert {p["name"]: (p["kind"], int(p["EffectiveCost"])) for p in taken} == {
        "checkout": ("service", 1), "shared": ("pool", 2),
    }  # fmt: skip
    hits = found.rule_hits.iloc[0]
    assert (hits["target"], hits["rows"], hits["EffectiveCost"]) == ("mapping accounts.csv", 2, 3)
    assert "SubAccountId" in needed_columns(config.costs)


def test_a_mapping_stays_with_its_config_and_counts_in_its_digest(tmp_path: Path) -> None:
    config = _config(tmp_path, ACCOUNTS)
    changed = overlay_config(config, Scenario(name="other"))
    assert attribute(bill([row(SubAccountId="1", Tags='{"app": "web"}')]), changed.costs, SERVICES).rule_hits["rows"][0]
    assert _config(tmp_path, ACCOUNTS.replace("2,web", "3,web")).digest() != config.digest()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", ":1: no column service or pool"),
        ("SubAccountId,pol\n1,x\n", ":1: no column service or pool"),
        ("service\ncheckout\n", ":1: no FOCUS column"),
        ("Tags,service\n1,checkout\n", ":1: column Tags is a map"),
        ("SubAccountId,SubAccountId,service\n", ":1: column 'SubAccountId' stands twice"),
        ("SubAccountId,service\n", "a header and no line"),
        ("SubAccountId,service\n1\n", ":2: 1 values; the header has 2"),
        ("SubAccountId,service\n,checkout\n", ":2: SubAccountId is empty"),
        ("SubAccountId,service,pool\n1,checkout,shared\n", ":2: give exactly one"),
        ("SubAccountId,service\n1,\n", ":2: give exactly one"),
        ("SubAccountId,service\n1,checkout\n\n1,checkout\n", ":4: 1 -> service checkout says again what line 2 says"),
        ("SubAccountId,service\n1,checkout\n1,search\n", ":3: 1 -> service search contradicts"),
        ("SubAccountId,service\n1,chekout\n", ":2: service 'chekout' is not defined; did you mean 'checkout'"),
        ("SubAccountId,pool\n1,share\n", ":2: pool 'share' is not defined; did you mean 'shared'"),
        ('SubAccountId,service\n"1,checkout\n', ": no CSV"),
    ],
)
def test_a_faulty_mapping_is_refused_with_its_line(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        _config(tmp_path, text)
    assert said in str(caught.value)
    assert "accounts.csv" in str(caught.value)


def test_a_mapping_that_is_not_there_or_no_text_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        read_mapping(tmp_path / "none.csv")
    (tmp_path / "a.csv").write_bytes(b"SubAccountId,service\n\xff,x\n")
    with pytest.raises(ConfigError, match="no UTF-8"):
        read_mapping(tmp_path / "a.csv")


def test_columns_are_held_against_the_bill_and_an_unread_mapping_says_so() -> None:
    table = MappingTable(("SubAccountid",), (("1",),), ("service",), ("checkout",), (2,), "d")
    for mapping, said in (
        (MappingFile("a.csv", table), "a.csv:1: 'SubAccountid' is no known FOCUS column; did you mean"),
        (MappingFile("a.csv"), "mapping a.csv was not read"),
    ):
        with pytest.raises(ConfigError, match=said):
            attribute(bill([row()]), costs([{"name": "m", "mapping": mapping}]), SERVICES)


def test_a_hundred_thousand_lines_are_one_lookup(tmp_path: Path) -> None:
    path = tmp_path / "big.csv"
    lines = (f"res-{i},{SERVICES[i % 3]}" for i in range(100_000))
    path.write_text("ResourceId,service\n" + "\n".join(lines), encoding="utf-8")
    config = costs([{"name": "m", "mapping": MappingFile(str(path), read_mapping(path))}])
    table = bill([row(ResourceId=f"res-{i * 37}") for i in range(3000)])
    found = attribute(table, config, SERVICES)
    expected = {s: sum((i * 37) % 3 == n and i * 37 < 100_000 for i in range(3000)) for n, s in enumerate(SERVICES)}
    got = dict.fromkeys(SERVICES, 0)
    for piece in found.pieces.to_pylist():
        if piece["kind"] == "service":
            got[piece["name"]] += piece["rows"]
    assert got == expected
