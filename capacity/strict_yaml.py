"""YAML without surprises: YAML 1.2 scalars, no duplicate keys, no aliases, and the line of every key.

PyYAML's own safe loader takes the last of two equal keys, reads ``NO`` as false, ``1.10`` as 1.1 and
``12:30:45`` as 45045, and expands aliases without bound. A capacity plan must not rest on any of these.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from capacity.errors import ConfigError

Loc = tuple[str | int, ...]

# A config is written by hand; a larger or deeper file is a mistake or an attack.
MAX_BYTES = 4_000_000
MAX_DEPTH = 40

_SCALARS: tuple[tuple[str, re.Pattern[str], str], ...] = (
    ("tag:yaml.org,2002:null", re.compile(r"^(?:~|null|)$"), "~n\0"),
    ("tag:yaml.org,2002:bool", re.compile(r"^(?:true|false)$"), "tf"),
    ("tag:yaml.org,2002:int", re.compile(r"^[-+]?(?:0|[1-9][0-9_]*)$"), "-+0123456789"),
    (
        "tag:yaml.org,2002:float",
        re.compile(
            r"^[-+]?(?:(?:[0-9][0-9_]*)?\.[0-9]+(?:[eE][-+]?[0-9]+)?|[0-9][0-9_]*\.?[eE][-+]?[0-9]+)$",
        ),
        "-+.0123456789",
    ),
)


class _Loader(yaml.SafeLoader):
    """PyYAML's safe loader with the scalars of YAML 1.2 only."""


_Loader.yaml_implicit_resolvers = {
    char: [(tag, pattern) for tag, pattern, first in _SCALARS if (char or "\0") in first]
    for char in ["", *"~ntf-+.0123456789"]
}


class _Dumper(yaml.SafeDumper):
    """Quotes a text wherever our loader, or another's by YAML 1.1, would read a number, a boolean or nothing.

    Dates stand bare: our loader reads them as text, and the models know where a date belongs. The file's own keys
    stand on lines of their own, whatever is in them.
    """

    def ignore_aliases(self, data: Any) -> bool:
        return True  # our loader takes none: what stands twice is written twice

    def serialize(self, node: yaml.Node) -> None:
        if isinstance(node, yaml.MappingNode):
            node.flow_style = False
        super().serialize(node)


_Dumper.yaml_implicit_resolvers = {
    char: [
        *(r for r in yaml.SafeDumper.yaml_implicit_resolvers.get(char, []) if not r[0].endswith(":timestamp")),
        *_Loader.yaml_implicit_resolvers.get(char, []),
    ]
    for char in {*yaml.SafeDumper.yaml_implicit_resolvers, *_Loader.yaml_implicit_resolvers}
}
# PyYAML writes these as they are, and reads them back as line breaks or not at all.
_UNSAFE = re.compile("[\r\x85\u2028\u2029\ufeff]")
_WIDTH = 110


def _text(dumper: _Dumper, text: str) -> yaml.ScalarNode:
    """Several lines as a block that a reader can read; escapes where a character would not survive."""
    style = '"' if _UNSAFE.search(text) else "|" if "\n" in text else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _text)


@dataclass(frozen=True)
class Document:
    """A parsed file: plain data, and the line (from 1) on which each key or item stands."""

    path: str
    data: Any
    lines: dict[Loc, int] = field(default_factory=dict)

    def line(self, loc: Iterable[str | int]) -> int:
        """Line of ``loc``, or of its nearest parent that the file holds."""
        at = tuple(loc)
        while at and at not in self.lines:
            at = at[:-1]
        return self.lines.get(at, 1)


def load(path: Path) -> Document:
    """Read one YAML document from ``path``.

    Raises
    ------
    ConfigError
        The file is absent, too large, not UTF-8 or not the YAML subset described above.
    """
    try:
        if path.stat().st_size > MAX_BYTES:
            raise ConfigError([f"{path}: larger than {MAX_BYTES} bytes; a config is written by hand, is this one?"])
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise ConfigError([f"{path}: no such file; give the path of a YAML file"]) from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError([f"{path}: cannot be read as UTF-8 text ({error})"]) from None
    return loads(text, str(path))


def loads(text: str, path: str = "<text>") -> Document:
    """Parse ``text``; see :func:`load`."""
    lines: dict[Loc, int] = {(): 1}
    try:
        root = _compose(text, path)
        data = _build(root, (), lines, path) if root is not None else {}
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f"{path}:{mark.line + 1}" if mark else path
        raise ConfigError([f"{where}: not valid YAML: {error.problem or error.context}"]) from None
    except yaml.YAMLError as error:
        raise ConfigError([f"{path}: not valid YAML: {error}"]) from None
    except RecursionError:
        raise ConfigError([f"{path}: nested too deeply"]) from None
    return Document(path, data, lines)


def dumps(plain: Any) -> str:
    """Plain data as YAML that :func:`loads` reads back as it is; mappings keep their order."""
    return str(
        yaml.dump(plain, Dumper=_Dumper, sort_keys=False, allow_unicode=True, default_flow_style=None, width=_WIDTH)
    )


def comments(text: str) -> tuple[str, ...]:
    """The comments of ``text``, which is YAML; a # inside a value is none."""
    return tuple(_comments(text))


def _comments(text: str) -> Iterator[str]:
    end = 0
    for token in yaml.scan(text, Loader=yaml.SafeLoader):
        between = text[end : token.start_mark.index].splitlines()
        yield from (line.strip() for line in between if line.lstrip().startswith("#"))
        end = max(end, token.end_mark.index)


def _compose(text: str, path: str) -> yaml.Node | None:
    loader = _Loader(text)
    try:
        for event in yaml.parse(text, Loader=yaml.SafeLoader):
            if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
                line = event.start_mark.line + 1 if event.start_mark else 0
                raise ConfigError([f"{path}:{line}: anchors and aliases are not allowed; write the value out"])
        return loader.get_single_node()
    finally:
        loader.dispose()


def _build(node: yaml.Node, loc: Loc, lines: dict[Loc, int], path: str) -> Any:
    line = node.start_mark.line + 1
    lines.setdefault(loc, line)
    if len(loc) > MAX_DEPTH:
        raise ConfigError([f"{path}:{line}: nested deeper than {MAX_DEPTH} levels"])
    if isinstance(node, yaml.MappingNode):
        return _build_mapping(node, loc, lines, path)
    if isinstance(node, yaml.SequenceNode):
        return [_build(item, (*loc, i), lines, path) for i, item in enumerate(node.value)]
    if not isinstance(node, yaml.ScalarNode):
        raise ConfigError([f"{path}:{line}: unexpected YAML node"])
    return _scalar(node, path)


def _build_mapping(node: yaml.MappingNode, loc: Loc, lines: dict[Loc, int], path: str) -> dict[str, Any]:
    out: dict[str, Any] = {}
    for key_node, value_node in node.value:
        line = key_node.start_mark.line + 1
        if not isinstance(key_node, yaml.ScalarNode):
            raise ConfigError([f"{path}:{line}: a key must be plain text"])
        key = str(key_node.value)
        if key in out:
            raise ConfigError([f"{path}:{line}: key '{key}' is given twice (first on line {lines[(*loc, key)]})"])
        lines[(*loc, key)] = line
        out[key] = _build(value_node, (*loc, key), lines, path)
    return out


def _scalar(node: yaml.ScalarNode, path: str) -> Any:
    text = str(node.value)
    if node.tag == "tag:yaml.org,2002:str" or node.style in ("'", '"', "|", ">"):
        return text
    if node.tag == "tag:yaml.org,2002:null":
        return None
    if node.tag == "tag:yaml.org,2002:bool":
        return text == "true"
    if node.tag == "tag:yaml.org,2002:int":
        return int(text.replace("_", ""))
    if node.tag == "tag:yaml.org,2002:float":
        return float(text.replace("_", ""))
    raise ConfigError([f"{path}:{node.start_mark.line + 1}: the tag {node.tag} is not allowed; use plain values"])
