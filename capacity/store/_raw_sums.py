"""A billing file's own sums, re-added by another way than the one its rows take into the store.

The rows are converted by Arrow, column by column; here DuckDB adds up the file's own columns as they are, decimal by
decimal, and what it cannot read as a number (``$1,000.00``) Python's ``decimal`` reads. What the two ways share is the
reading of the file itself.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC as UTC_ZONE
from datetime import date, datetime
from decimal import ROUND_HALF_EVEN, Context, Decimal, InvalidOperation
from itertools import chain
from typing import Any

import pyarrow as pa

from capacity.errors import CorruptDataError
from capacity.schemas import COST_MONEY, MONEY
from capacity.sources import BillFile
from capacity.store._reports import EXACT

# The three things a bill is summed by, and the columns that hold them: in FOCUS, in AWS CUR (2.0 and legacy).
KEYS: Mapping[str, tuple[str, ...]] = {
    "account": ("billingaccountid", "billpayeraccountid"),
    "period": ("billingperiodstart", "billbillingperiodstartdate"),
    "currency": ("billingcurrency", "lineitemcurrencycode"),
}
# A CUR has one amount that is a FOCUS column as it stands, BilledCost: net of discounts where a row says so. The other
# three are put together by rules.
_UNBLENDED = ("lineitemnetunblendedcost", "lineitemunblendedcost")
# Texts that mean "no value", as the FOCUS specification and real files write it.
_NULLS = ("", "null", "(null)", "\\n")
_QUANTUM = Decimal(1).scaleb(-MONEY.scale)
_ROUNDING = Context(prec=76, rounding=ROUND_HALF_EVEN)


@dataclass(frozen=True)
class RawSum:
    """Rows of a file with the same account, period and currency, and the sum and the nulls of each of its cost columns.

    A part of the key is None where the file has no such column, or spells it in a way that only its reader knows.
    """

    key: tuple[str | None, datetime | None, str | None]
    rows: int
    sums: Mapping[str, Decimal]
    nulls: Mapping[str, int]


@dataclass(frozen=True)
class RawSums:
    """All of a file's sums; ``is_focus``: the amounts are FOCUS columns, so rows and nulls count too."""

    parts: tuple[RawSum, ...]
    is_focus: bool
    columns: tuple[str, ...]


def plain(name: str) -> str:
    """A column's name as it is compared: only letters and digits, in lower case."""
    return re.sub(r"[^a-z0-9]", "", name.casefold())


def raw_sums(file: BillFile, connection: Any) -> RawSums | None:
    """Re-add a file's own amounts; None where it has no rows, or no cost column that can be added.

    Raises
    ------
    CorruptDataError
        A sum that no decimal(38, 12) holds, or amounts that are no numbers.
    """
    batches = file.raw({*(n for names in KEYS.values() for n in names), *map(plain, COST_MONEY), *_UNBLENDED})
    first = next((b for b in batches if b.num_rows), None)
    if first is None:
        return None
    given = {plain(n): n for n in first.schema.names}
    costs = {c: [given[plain(c)]] for c in COST_MONEY if plain(c) in given}
    is_focus = bool(costs)
    if not costs and any(n in given for n in _UNBLENDED):
        costs = {"BilledCost": [given[n] for n in _UNBLENDED if n in given]}
    keys = {k: next((given[n] for n in names if n in given), None) for k, names in KEYS.items()}
    if not costs:
        return None
    rows = _added(connection, first.schema, _chained(first, batches), keys, costs, file.label)
    return RawSums(tuple(_part(r, costs) for r in rows), is_focus, tuple(costs))


def _chained(first: pa.RecordBatch, rest: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    yield first
    for batch in rest:
        yield batch if batch.schema.equals(first.schema) else batch.cast(first.schema)


def _added(
    connection: Any,
    schema: pa.Schema,
    batches: Iterator[pa.RecordBatch],
    keys: Mapping[str, str | None],
    costs: Mapping[str, Sequence[str]],
    label: str,
) -> list[dict[str, Any]]:
    import duckdb

    narrow = [n for n in dict.fromkeys((*keys.values(), *chain(*costs.values()))) if n]
    fields = pa.schema([schema.field(n) for n in narrow])
    stream = pa.RecordBatchReader.from_batches(fields, (b.select(narrow) for b in batches))
    try:
        connection.register("raw_rows", stream)
        found = connection.execute(_query(fields, keys, costs))
        names = [d[0] for d in found.description]
        return [dict(zip(names, row, strict=True)) for row in found.fetchall()]
    except duckdb.Error as error:
        raise CorruptDataError(f"{label}: its amounts cannot be added up: {str(error).splitlines()[0]}") from None
    finally:
        with suppress(duckdb.Error):  # it was not registered where its types are none of DuckDB's
            connection.unregister("raw_rows")


def _query(schema: pa.Schema, keys: Mapping[str, str | None], costs: Mapping[str, Sequence[str]]) -> str:
    inner = [f"{_quoted(n) if n else 'NULL'} AS {k}" for k, n in keys.items()]
    outer = ["account, period, currency, count(*) AS rows"]
    for cost, names in costs.items():
        pairs = [_amount(_quoted(n), schema.field(n).type) for n in names]
        # The first column that has a value; a text that is no plain number is left to Python, so both go together.
        value = f"CASE {' '.join(f'WHEN {text} IS NOT NULL THEN {value}' for value, text in pairs)} END"
        inner += [f"{value} AS {cost}_value", f"COALESCE({', '.join(text for _, text in pairs)}) AS {cost}_text"]
        outer += [
            f"sum({cost}_value) AS {cost}_sum",
            f"count(*) FILTER ({cost}_text IS NULL) AS {cost}_null",
            f"histogram({cost}_text) FILTER ({cost}_value IS NULL AND {cost}_text IS NOT NULL) AS {cost}_odd",
        ]
    return (
        f"WITH picked AS (SELECT {', '.join(inner)} FROM raw_rows) "  # noqa: S608 (names are quoted)
        f"SELECT {', '.join(outer)} FROM picked GROUP BY account, period, currency"
    )


def _amount(column: str, kind: pa.DataType) -> tuple[str, str]:
    """SQL of the value as a decimal, and of the text that it was read from (null: no value)."""
    if pa.types.is_decimal(kind) or pa.types.is_integer(kind):
        return column, f"CASE WHEN {column} IS NOT NULL THEN '' END"
    if pa.types.is_floating(kind):
        text = f"{column}::VARCHAR"
        # By its shortest spelling.
        return _rounded(f"TRY_CAST({text} AS DECIMAL(38, 24))", 24), text
    trimmed = f"trim({column}::VARCHAR)"
    text = f"CASE WHEN lower({trimmed}) NOT IN ({', '.join(_literal(n) for n in _NULLS)}) THEN {trimmed} END"
    return _spelled(trimmed), text


def _spelled(trimmed: str) -> str:
    """SQL of a text as a decimal, by how it is spelled; null where that is none of the usual ways."""

    def cast(scale: int) -> str:
        return f"TRY_CAST({trimmed} AS DECIMAL(38, {scale}))"

    # DuckDB also takes 1_000, and rounds what has more decimals than its type: so each type gets only what it holds.
    ways = {
        r"\d{1,26}(\.\d{0,12})?|\.\d{1,12}": cast(12),
        # 13 digits, so that rounding up fits as well.
        r"\d{1,13}\.\d{13,24}|\d{1,2}(\.\d{0,24})?[eE]\+?0*(\d|1[01])": _rounded(cast(24), 24),
        r"\d\.\d{25,36}": _rounded(cast(36), 36),
        r"\d(\.\d{0,18})?[eE]-0*([1-9]|1[0-8])": _rounded(f"TRY_CAST({_written_out(trimmed)} AS DECIMAL(38, 36))", 36),
        # Below 1e-18, which is no amount.
        r"\d(\.\d*)?[eE]-0*(19|[2-9]\d|[1-9]\d\d+)": "0",
    }
    cases = (f"WHEN regexp_full_match({trimmed}, '[-+]?({p})') THEN {value}" for p, value in ways.items())
    return f"CASE {' '.join(cases)} END"


def _written_out(small: str) -> str:
    """SQL that writes ``-1.5e-3`` as ``-0.0015``: DuckDB takes 3 us to read the one, a tenth of that for the other."""
    sign = f"CASE WHEN {small} LIKE '-%' THEN '-' ELSE '' END"
    part = f"split_part(lower({small}), 'e-'"
    zeros = f"repeat('0', TRY_CAST({part}, 2) AS INTEGER) - 1)"
    return f"({sign} || '0.' || {zeros} || replace(ltrim({part}, 1), '+-'), '.', ''))"


def _rounded(exact: str, scale: int) -> str:
    """A decimal to 12 decimals; DuckDB rounds a half away from zero, a bill's to even."""
    short = f"TRY_CAST({exact} AS DECIMAL(38, 12))"
    half = f"abs({exact} - TRY_CAST({short} AS DECIMAL(38, {scale}))) = 0.0000000000005"
    odd = f"right({short}::VARCHAR, 1) IN ('1', '3', '5', '7', '9')"
    return f"CASE WHEN {half} AND {odd} THEN {short} - sign({exact})::TINYINT * 0.000000000001 ELSE {short} END"


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _part(row: Mapping[str, Any], costs: Iterable[str]) -> RawSum:
    sums, nulls = {}, {}
    for cost in costs:
        total = Decimal(row[f"{cost}_sum"] or 0)
        for text, times in (row[f"{cost}_odd"] or {}).items():
            total = EXACT.add(total, EXACT.multiply(_number(text), Decimal(times)))
        sums[cost], nulls[cost] = total, row[f"{cost}_null"]
    key = (_text(row["account"]), _moment(row["period"]), _text(row["currency"]))
    return RawSum((key[0], key[1], None if key[2] is None else key[2].upper()), row["rows"], sums, nulls)


def _number(text: str) -> Decimal:
    """An amount as spreadsheets write it, or with more digits than DuckDB's decimals have."""
    try:
        return _ROUNDING.quantize(Decimal(text.replace("$", "").replace(",", "").strip()), _QUANTUM)
    except InvalidOperation:
        raise CorruptDataError(f"amount '{text[:80]}' is no decimal number below 1e26") from None


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else str(value) if isinstance(value, int) else None


def _moment(value: Any) -> datetime | None:
    """A time stamp that says itself what it means: ISO 8601, UTC where it names no zone."""
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value.strip())
        except ValueError:
            return None
    if isinstance(value, date) and not isinstance(value, datetime):
        value = datetime(value.year, value.month, value.day)
    if not isinstance(value, datetime):
        return None
    try:
        return value.replace(tzinfo=UTC_ZONE) if value.tzinfo is None else value.astimezone(UTC_ZONE)
    except OverflowError:  # before the year 1 or after 9999
        return None
