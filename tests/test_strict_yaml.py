"""YAML without surprises."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from capacity import strict_yaml
from capacity.errors import ConfigError


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("NO", "NO"),
        ("yes", "yes"),
        ("true", True),
        ("1.10", 1.1),
        ("'1.10'", "1.10"),
        ("12:30:45", "12:30:45"),
        ("012", "012"),
        ("0x1f", "0x1f"),
        ("1_000", 1000),
        ("-3", -3),
        ("-3e4", -30000.0),
        (".5", 0.5),
        ("-", "-"),
        (".", "."),
        ("~", None),
        ("", None),
        ("2026-10-05", "2026-10-05"),
        (".nan", ".nan"),
        ("<<", "<<"),
    ],
)
def test_scalars_are_what_they_look_like(text: str, value: object) -> None:
    found = strict_yaml.loads(f"a: [{text}]" if text == "-" else f"a: {text}\n" if text != "-" else text)
    got = found.data["a"]
    got = got[0] if isinstance(got, list) else got
    assert got == value
    assert type(got) is type(value)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("a: 1\nb: 2\na: 3\n", "f.yaml:3: key 'a' is given twice (first on line 1)"),
        ("a: &x 1\nb: *x\n", "f.yaml:1: anchors and aliases are not allowed"),
        ("a: !!python/object:os.system x\n", "f.yaml:1: the tag"),
        ("a: [1\nb: 2\n", "f.yaml:2: not valid YAML"),
        ("a: 1\n---\nb: 2\n", "f.yaml:2: not valid YAML"),
        ("? [1, 2]\n: 3\n", "f.yaml:1: a key must be plain text"),
        ("a: \x00", "not valid YAML"),
        ("[" * 60 + "]" * 60, "nested deeper than 40"),
    ],
)
def test_what_is_refused_says_where(text: str, says: str) -> None:
    with pytest.raises(ConfigError) as error:
        strict_yaml.loads(text, "f.yaml")
    assert says in str(error.value)


def test_line_of_a_key_or_of_its_nearest_parent() -> None:
    document = strict_yaml.loads("a: 1\nb:\n  - c: 2\n    d: 3\n  - e\n")
    assert document.line(("a",)) == 1
    assert document.line(("b", 0, "d")) == 4
    assert document.line(("b", 1)) == 5
    assert document.line(("b", 0, "missing")) == 3
    assert document.line(("nowhere",)) == 1


def test_missing_and_huge_files_are_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no such file"):
        strict_yaml.load(tmp_path / "nothing.yaml")
    big = tmp_path / "big.yaml"
    big.write_bytes(b"#" * (strict_yaml.MAX_BYTES + 1))
    with pytest.raises(ConfigError, match="larger than"):
        strict_yaml.load(big)


@given(st.text(max_size=200))
def test_any_text_parses_or_is_refused_cleanly(text: str) -> None:
    try:
        found = strict_yaml.loads(text).lines[()]
    except ConfigError as error:
        found = len(error.problems)
    assert found >= 1


def test_what_is_written_is_of_the_kind_that_is_read() -> None:
    """No alias for what stands twice, the file's own keys on lines of their own, and no text taken for a number."""
    twice = ["a", "1e5"]
    plain = {"name": "no", "one": twice, "two": twice, "at": "2026-11-01", "text": "two\nlines"}
    text = strict_yaml.dumps(plain)
    assert text == "name: 'no'\none: [a, '1e5']\ntwo: [a, '1e5']\nat: 2026-11-01\ntext: |-\n  two\n  lines\n"
    assert strict_yaml.loads(text).data == plain
