"""Whether what was read from a file adds up to what the file says, before anything of it is written."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from capacity.errors import CorruptDataError
from capacity.schemas import COST_MONEY
from capacity.sources import BillFile
from capacity.store._raw_sums import KEYS, RawSums, raw_sums
from capacity.store._reports import EXACT, MoneyTotal, amounts

# DuckDB only adds up what streams past: groups of a few accounts, and spellings that are no plain number.
_MEMORY_LIMIT = "256MB"
_WORDS = {"account": "account", "period": "billing period", "currency": "currency"}
Key = tuple[Any, ...]


class Calculator:
    """A DuckDB of its own, in memory, without extensions, files and network; begun when it is first asked."""

    def __init__(self) -> None:
        self._connection: Any = None

    def __enter__(self) -> Calculator:
        return self

    def __exit__(self, *_: object) -> None:
        if self._connection is not None:
            self._connection.close()

    @property
    def connection(self) -> Any:
        import duckdb

        if self._connection is None:
            config = {"enable_external_access": "false", "memory_limit": _MEMORY_LIMIT, "threads": "2"}
            self._connection = duckdb.connect(":memory:", config=config)
        return self._connection


def check(file: BillFile, read: Sequence[MoneyTotal], calculator: Calculator) -> tuple[str, ...]:
    """Compare the sums of the rows that were ``read`` from ``file`` with the file's own.

    By account, billing period and currency where the file names all three in a plain way, else by what it names.

    Returns
    -------
    A note where the comparison was coarser than that.

    Raises
    ------
    CorruptDataError
        They differ.
    """
    raw = raw_sums(file, calculator.connection)
    if raw is None:
        if read:
            return ("its sums could not be told apart from its rows: it has no cost column that can be added up",)
        return ()
    level = [i for i in range(len(KEYS)) if all(part.key[i] is not None for part in raw.parts)]
    theirs, ours = _of_file(raw, level), _of_rows(read, level)
    for key in sorted({*theirs, *ours}, key=repr):
        problem = _difference(theirs.get(key), ours.get(key), raw)
        if problem:
            raise CorruptDataError(f"{file.label}: {_place(key, level)}{problem}; nothing of its periods was changed")
    return _coarser(raw, level)


@dataclass
class _Sum:
    rows: int
    sums: dict[str, Decimal]
    nulls: dict[str, int]

    def add(self, rows: int, sums: Mapping[str, Decimal], nulls: Mapping[str, int]) -> None:
        self.rows += rows
        for column in sums:
            self.sums[column] = EXACT.add(self.sums.get(column, Decimal(0)), sums[column])
            self.nulls[column] = self.nulls.get(column, 0) + nulls[column]


def _of_file(raw: RawSums, level: Sequence[int]) -> dict[Key, _Sum]:
    out: dict[Key, _Sum] = {}
    for part in raw.parts:
        out.setdefault(tuple(part.key[i] for i in level), _Sum(0, {}, {})).add(part.rows, part.sums, part.nulls)
    return out


def _of_rows(read: Iterable[MoneyTotal], level: Sequence[int]) -> dict[Key, _Sum]:
    out: dict[Key, _Sum] = {}
    for total in read:
        key = (total.account_id, total.period_start, total.currency)
        sums = dict(zip(COST_MONEY, amounts(total), strict=True))
        out.setdefault(tuple(key[i] for i in level), _Sum(0, {}, {})).add(total.rows, sums, total.nulls)
    return out


def _difference(theirs: _Sum | None, ours: _Sum | None, raw: RawSums) -> str:
    """What does not agree, in words; empty where all does."""
    if ours is None:
        return f"the file has {0 if theirs is None else theirs.rows:,} rows, none was read"
    if theirs is None:
        return f"{ours.rows:,} rows were read, but the file has none"
    if raw.is_focus and theirs.rows != ours.rows:
        return f"the file has {theirs.rows:,} rows, {ours.rows:,} were read"
    for column in raw.columns:
        if theirs.sums[column] != ours.sums[column]:
            return f"{column} adds up to {theirs.sums[column]} in the file, to {ours.sums[column]} in the rows read"
        if raw.is_focus and theirs.nulls[column] != ours.nulls[column]:
            return f"{column} is null in {theirs.nulls[column]:,} rows of the file, in {ours.nulls[column]:,} read"
    return ""


def _place(key: Key, level: Sequence[int]) -> str:
    words = [f"{name} {value}" for name, value in zip((list(KEYS)[i] for i in level), key, strict=True)]
    return f"{', '.join(words)}: " if words else ""


def _coarser(raw: RawSums, level: Sequence[int]) -> tuple[str, ...]:
    missing = [word for i, word in enumerate(_WORDS.values()) if i not in level]
    out = []
    if missing:
        out.append(f"its sums were compared over every {' and '.join(missing)} together: it does not name them plainly")
    if not raw.is_focus:
        out.append("its sums were compared by unblended cost, the one amount that it has as it stands")
    return tuple(out)
