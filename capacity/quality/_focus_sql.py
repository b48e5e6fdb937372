"""Requirements and conditions as SQL over one block of raw rows.

A block is a relation ``block`` with the FOCUS columns that the file has and ``__row`` (from 1); no name of the file
itself gets into a query. Three layers: ``base`` adds each number as a DOUBLE, ``atoms`` computes every test of a value
once as a Boolean, and the query on top combines them. A requirement on a null value is unknown, and unknown is no
violation: nulls are judged by the rules of nullability. A condition that is unknown does not hold, but ``ne`` on a null
does.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import pyarrow as pa

from capacity.quality import _focus_spelling as spelling
from capacity.quality._focus_model import Expr, Model

_BLANKS = "' ' || chr(9) || chr(10) || chr(13)"


@dataclass(frozen=True)
class Columns:
    """How the file types each of the FOCUS columns that it has."""

    types: Mapping[str, pa.DataType]

    def kind(self, column: str) -> str:
        """One of text, number, time, date, map, none, other."""
        return type_kind(self.types[column])

    def text(self, column: str) -> str:
        raw = quoted(column)
        return raw if self.kind(column) == "text" else f"CAST({raw} AS VARCHAR)"


def type_kind(kind: pa.DataType) -> str:
    """What an Arrow type is to the rules."""
    if pa.types.is_dictionary(kind) or pa.types.is_run_end_encoded(kind):
        return type_kind(kind.value_type)
    if isinstance(kind, pa.BaseExtensionType):
        return type_kind(kind.storage_type)
    tests = {
        "text": (pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view),
        "number": (pa.types.is_integer, pa.types.is_floating, pa.types.is_decimal),
        "time": (pa.types.is_timestamp,),
        "date": (pa.types.is_date,),
        "map": (pa.types.is_map, pa.types.is_struct),
        "none": (pa.types.is_null,),
    }
    return next((name for name, any_of in tests.items() if any(t(kind) for t in any_of)), "other")


def quoted(name: str) -> str:
    """``name`` as an SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


def literal(value: str) -> str:
    """``value`` as an SQL string."""
    return "'" + value.replace("'", "''") + "'"


@dataclass
class Sql:
    """Collects the numbers and the atoms that expressions need; a query is put together from them."""

    model: Model
    columns: Columns
    numbers: dict[str, str] = field(default_factory=dict)
    atoms: dict[str, str] = field(default_factory=dict)

    def relation(self, *raw: str) -> str:
        """The two inner layers; ``raw`` FOCUS columns are passed through under their own names."""
        base = ["*", *(f"{sql} AS {name}" for name, sql in self.numbers.items())]
        atoms = ["__row", *(f"{self.columns.text(c)} AS {quoted(c)}" for c in raw)]
        atoms += [f"{sql} AS {name}" for sql, name in self.atoms.items()]
        return f"(SELECT {', '.join(atoms)} FROM (SELECT {', '.join(base)} FROM block))"  # noqa: S608

    def condition(self, expr: Expr) -> str:
        """True or false, never unknown."""
        word, *given = expr
        if word == "true":
            return "TRUE"
        if word in ("and", "or"):
            return "(" + f" {word.upper()} ".join(self.condition(e) for e in given) + ")"
        if word in ("ne", "notin", "nenum"):
            return f"({self._atom(_positive(expr))} IS NOT TRUE)"
        return f"({self.requirement(expr)} IS TRUE)"

    def requirement(self, expr: Expr) -> str:
        """True, false, or unknown."""
        word, *given = expr
        if word in ("and", "or", "each"):
            joint = " OR " if word == "or" else " AND "
            return f"({joint.join(self.requirement(e) for e in given) or 'TRUE'})"
        if word in ("ne", "notin", "nenum", "notnull", "notsame"):
            return f"(NOT {self._atom(_positive(expr))})"
        return self._atom(expr)

    def _atom(self, expr: Expr) -> str:
        sql = self._test(expr)
        return self.atoms.setdefault(sql, f"a{len(self.atoms)}")

    def _test(self, expr: Expr) -> str:
        word, column, *given = expr
        text = self.columns.text(column)
        if word == "null":
            return f"({quoted(column)} IS NULL)"
        if word == "eq":
            return f"({text} = {literal(given[0])})"
        if word == "in":
            return f"({text} IN ({', '.join(map(literal, given[0]))}))"
        if word == "loosely":
            return f"({_folded(text)} IN ({', '.join(literal(v) for v in given[0])}))"
        if word == "same":
            return f"({text} = {self.columns.text(given[0])})"
        if word in ("eqnum", "ge", "amount", "product"):
            return self._reckoned(expr)
        if word in ("notblank", "notplaceholder"):
            return _filled(text, word)
        return self._typed(word, column, text)

    def _reckoned(self, expr: Expr) -> str:
        word, column, *given = expr
        number = self._number(column)
        if word == "eqnum":
            return f"({number} = {given[0]})"
        if word == "ge":
            return f"({number} >= {given[0]})"
        other = self._number(given[0])
        if word == "amount":
            return _close(number, other)
        return _close(f"{number} * {other}", self._number(given[1]))

    def _number(self, column: str) -> str:
        name = quoted(f"n:{column}")
        if name not in self.numbers:
            self.numbers[name] = _number(quoted(column), self.columns.kind(column))
        return name

    def _typed(self, word: str, column: str, text: str) -> str:
        """A test of type or format: unknown for null, else true or false."""
        kind = self.columns.kind(column)
        if word == "decimal":
            return f"({quoted(column)} IS NULL OR {self._number(column)} IS NOT NULL)"
        if kind == "text":
            return self._spelt(word, text)
        if self._by_type(word, column, kind):
            return "TRUE"
        return f"({quoted(column)} IS NULL)"

    def _by_type(self, word: str, column: str, kind: str) -> bool:
        if word == "fmt_time":
            return kind == "time" and self.columns.types[column].tz in ("UTC", "Etc/UTC", "+00:00", "Z")
        fits = {"datetime": ("time", "date"), "fmt_number": ("number",), "fmt_map": ("map",), "fmt_text": ("number",)}
        return kind in ("none", *fits.get(word, ()))

    def _spelt(self, word: str, text: str) -> str:
        codes = ", ".join(map(literal, self.model.currencies))
        return {
            "string": "TRUE",
            "datetime": _readable_time(text),
            "fmt_time": _matches(text, spelling.TIME),
            "fmt_number": _matches(text, spelling.NUMBER),
            "fmt_text": f"(NOT contains({text}, {literal(spelling.REPLACEMENT)}))",
            "fmt_unit": f"({_matches(text, spelling.UNIT)} AND NOT regexp_matches({text}, "
            f"{literal(spelling.SHORT_TIME)}))",
            "fmt_map": _flat_map(text),
            "fmt_currency": f"({text} IN ({codes}) OR (upper({_trimmed(text)}) NOT IN ({codes}) "
            f"AND {_trimmed(text)} <> ''))",
            "national": f"({text} IN ({codes}))",
        }[word]


_OPPOSITE = {"ne": "eq", "notin": "in", "nenum": "eqnum", "notnull": "null", "notsame": "same"}


def _positive(expr: Expr) -> Expr:
    return (_OPPOSITE[expr[0]], *expr[1:])


def _matches(text: str, pattern: str) -> str:
    return f"regexp_full_match({text}, {literal(pattern)})"


def _trimmed(text: str) -> str:
    return f"trim({text}, {_BLANKS})"


def _folded(text: str) -> str:
    """As the reader compares listed values: case, blanks, hyphens and underscores do not count."""
    return f"lower(regexp_replace({text}, '[-_ ]', '', 'g'))"


def _filled(text: str, word: str) -> str:
    if word == "notblank":
        return f"({_trimmed(text)} <> '')"
    longest = max(map(len, spelling.PLACEHOLDERS))
    listed = ", ".join(map(literal, spelling.PLACEHOLDERS))
    return f"(strlen({text}) > {longest + 2} OR lower({_trimmed(text)}) NOT IN ({listed}))"


def _number(raw: str, kind: str) -> str:
    """A DOUBLE, null where there is no finite number to read."""
    if kind == "number":
        return f"(CASE WHEN isfinite(CAST({raw} AS DOUBLE)) THEN CAST({raw} AS DOUBLE) END)"
    if kind != "text":
        return "CAST(NULL AS DOUBLE)"
    plain = f"replace(replace({_trimmed(raw)}, '$', ''), ',', '')"
    value = (
        f"(CASE WHEN {_matches(raw, spelling.NUMBER)} THEN TRY_CAST({raw} AS DOUBLE) "
        f"WHEN {_matches(_trimmed(raw), spelling.READABLE_NUMBER)} THEN TRY_CAST({plain} AS DOUBLE) END)"
    )
    return f"(CASE WHEN isfinite({value}) THEN {value} END)"


def _readable_time(text: str) -> str:
    trimmed = _trimmed(text)
    return (
        f"(CASE WHEN {text} IS NULL THEN NULL "
        f"WHEN {_matches(trimmed, spelling.READABLE_TIME)} THEN TRY_CAST(substr({trimmed}, 1, 10) AS DATE) IS NOT NULL "
        f"ELSE {_matches(trimmed, spelling.SLASHED_DATE)} END)"
    )


def _flat_map(text: str) -> str:
    keys = f"json_keys({text})"
    return (
        f"(CASE WHEN {text} IS NULL THEN NULL WHEN NOT {_matches(text, spelling.FLAT_OBJECT)} THEN FALSE "
        f"WHEN NOT json_valid({text}) THEN FALSE ELSE len({keys}) = len(list_distinct({keys})) END)"
    )


def _close(one: str, other: str) -> str:
    tolerance = spelling.PRODUCT_TOLERANCE
    return f"(abs({one} - {other}) <= {tolerance} * greatest(1, abs({other})))"
