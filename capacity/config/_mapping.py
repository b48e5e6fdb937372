"""A mapping file: exact values of bill columns and tags, and the service or pool that rows with them go to.

A CSV of any number of lines. Its columns are FOCUS columns or ``tag:NAME``, and ``service`` or ``pool`` (or both, of
which each line fills one). It is read with the config, so that what is wrong with it is told with its line.
"""

from __future__ import annotations

import csv
import hashlib
import io
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import GetPydanticSchema, PlainSerializer
from pydantic_core import core_schema

from capacity.config._base import did_you_mean
from capacity.errors import ConfigError

if TYPE_CHECKING:
    from capacity.config._config import Config

TARGETS = ("service", "pool")
_TAG = "tag:"
# Faults that are told at once: a wrong file has one on every line.
_MOST_PROBLEMS = 20
_MOST_BYTES = 256 * 2**20


@dataclass(frozen=True)
class MappingTable:
    """What a mapping file says.

    Attributes
    ----------
    columns
        FOCUS columns, or ``tag:NAME``.
    values
        One tuple a line, a value a column.
    kinds, names
        "service" or "pool" of each line, and its name.
    lines
        Where each stands in the file.
    digest
        SHA-256 of the file.
    """

    columns: tuple[str, ...]
    values: tuple[tuple[str, ...], ...]
    kinds: tuple[str, ...]
    names: tuple[str, ...]
    lines: tuple[int, ...]
    digest: str

    def tag_of(self, column: int) -> str | None:
        """The tag that a column names; None where it is a FOCUS column."""
        name = self.columns[column]
        return name[len(_TAG) :] if name.startswith(_TAG) else None


class MappingFile:
    """A mapping file by its path as the config writes it, and its table once it is read.

    It stays the same object where a config is copied or changed, so that it is read once.
    """

    def __init__(self, path: str, table: MappingTable | None = None) -> None:
        self.path, self.table = path, table

    def __eq__(self, other: object) -> bool:
        return isinstance(other, MappingFile) and (self.path, self.table) == (other.path, other.table)

    def __hash__(self) -> int:
        return hash(self.path)

    def __repr__(self) -> str:
        return repr(self.path)


def _as_mapping(value: Any) -> MappingFile:
    if isinstance(value, MappingFile):
        return value
    if not isinstance(value, str) or not value.strip():
        raise ValueError("give the path of a CSV file, relative to the config")
    return MappingFile(value)


MappingPath = Annotated[
    MappingFile,
    GetPydanticSchema(lambda _source, _handler: core_schema.no_info_plain_validator_function(_as_mapping)),
    PlainSerializer(lambda m: m.path, return_type=str, when_used="json"),
]


def read_mapping(path: Path) -> MappingTable:
    """The mapping in the file at ``path``. Whether its columns are columns of a bill is looked at with the bill.

    Raises
    ------
    ConfigError
        One line a fault, with file and line: no such file, an empty value, a line without its one target, a line that
        repeats or contradicts an earlier one.
    """
    text, digest = _text(path)
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        header = [name.strip() for name in next(reader, [])]
        problems = _header_problems(header)
        if problems:
            raise ConfigError([f"{path}:1: {p}" for p in problems])
        return _Lines(path, header).read(reader, digest)
    except csv.Error as error:
        raise ConfigError([f"{path}:{reader.line_num}: no CSV ({error}); quote values that hold commas"]) from None


def _text(path: Path) -> tuple[str, str]:
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise ConfigError([f"{path}: a mapping of more than {_MOST_BYTES:,} bytes is not read"])
        data = path.read_bytes()
        return data.decode("utf-8-sig"), hashlib.sha256(data).hexdigest()
    except OSError as error:
        raise ConfigError([f"{path}: mapping cannot be read: {error.strerror or error}"]) from None
    except UnicodeDecodeError as error:
        raise ConfigError([f"{path}: mapping is no UTF-8 text ({error.reason} at byte {error.start})"]) from None


def _header_problems(header: Sequence[str]) -> list[str]:
    problems = [f"column '{n}' stands twice" for n in sorted({n for n in header if header.count(n) > 1})]
    if not set(header) & set(TARGETS):
        problems.append("no column service or pool; every line says where its rows go")
    columns = [n for n in header if n not in TARGETS]
    if not columns:
        problems.append("no FOCUS column and no tag:NAME; nothing tells which rows are meant")
    problems += ["column Tags is a map; name one tag as tag:NAME"] if "Tags" in columns else []
    return problems + (["a column has no name"] if "" in columns or _TAG in columns else [])


class _Lines:
    """Lines of a file on their way to a table."""

    def __init__(self, path: Path, header: Sequence[str]) -> None:
        self._path, self._header = path, header
        self._at = [i for i, n in enumerate(header) if n not in TARGETS]
        self._to = {n: header.index(n) for n in TARGETS if n in header}
        self._seen: dict[tuple[str, ...], tuple[int, str, str]] = {}
        self._problems: list[str] = []

    def read(self, reader: Any, digest: str) -> MappingTable:
        for row in reader:
            if row:
                self._line(reader.line_num, row)
            if len(self._problems) >= _MOST_PROBLEMS:
                break
        if self._problems:
            raise ConfigError(self._problems)
        if not self._seen:
            raise ConfigError([f"{self._path}: a header and no line; a mapping that maps nothing is not needed"])
        lines, kinds, names = zip(*self._seen.values(), strict=True)
        columns = tuple(self._header[i] for i in self._at)
        return MappingTable(columns, tuple(self._seen), kinds, names, lines, digest)

    def _line(self, line: int, row: Sequence[str]) -> None:
        if len(row) != len(self._header):
            self._refuse(line, f"{len(row)} values; the header has {len(self._header)}")
            return
        key = tuple(row[i] for i in self._at)
        if "" in key:
            self._refuse(line, f"{self._header[self._at[key.index('')]]} is empty; a mapping names exact values")
            return
        given = [(kind, row[i].strip()) for kind, i in self._to.items() if row[i].strip()]
        if len(given) != 1:
            self._refuse(line, "give exactly one of service and pool")
            return
        kind, name = given[0]
        before = self._seen.setdefault(key, (line, kind, name))
        if before == (line, kind, name):
            return
        same = before[1:] == (kind, name)
        what = "says again what" if same else f"contradicts ({before[1]} {before[2]}) what"
        self._refuse(line, f"{', '.join(key)} -> {kind} {name} {what} line {before[0]} says; keep one of them")

    def _refuse(self, line: int, what: str) -> None:
        self._problems.append(f"{self._path}:{line}: {what}")


def unknown_targets(path: str, table: MappingTable, services: Collection[str], pools: Collection[str]) -> list[str]:
    """One line a target of ``table`` that is no service or pool of the config."""
    known = {"service": sorted(services), "pool": sorted(pools)}
    first: dict[tuple[str, str], int] = {}
    for kind, name, line in zip(table.kinds, table.names, table.lines, strict=True):
        first.setdefault((kind, name), line)
    return [
        f"{path}:{line}: {kind} '{name}' is not defined{did_you_mean(name, known[kind])}"
        for (kind, name), line in first.items()
        if name not in set(known[kind])
    ][:_MOST_PROBLEMS]


def read_mappings(files: Sequence[MappingFile], resolve: Callable[[str], Path], config: Config) -> None:
    """Read the mapping files of a config, once each, and see that they name its services and pools.

    Raises
    ------
    ConfigError
        As :func:`read_mapping`, or a service or pool that the config does not define.
    """
    services = [s.name for s in config.services]
    pools = [p.name for p in config.costs.pools]
    problems = []
    for file in files:
        path = resolve(file.path)
        file.table = read_mapping(path)
        problems += unknown_targets(str(path), file.table, services, pools)
    if problems:
        raise ConfigError(problems)
