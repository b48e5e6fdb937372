"""The FOCUS rules as data: read from the package, with the condition and the criteria that each inherits.

The data file holds one line a rule; ``tools/focus_rules.py`` writes it from the published model (ids, columns, tests
and conditions of the FOCUS 1.2 model in the project focus_validator, MIT). A requirement or a condition is a nested
tuple, the operator first:

=====================================  ===============================================================================
``present C``                          the bill has the column
``null C``, ``notnull C``              value given or not
``eq C v``, ``ne C v``                 text is (not) v; ``in``, ``notin`` for a list
``eqnum C n``, ``nenum``, ``ge C n``   the same for numbers
``same A B``, ``notsame A B``          two texts of a row; ``amount A B`` two numbers of a row
``product A B R``                      A x B = R
``distinct A B n``, ``atmost A B n``   every A goes with exactly (at most) n different B
``decimal``, ``string``, ``datetime``  can be read as that type
``fmt_…``, ``national``                is spelt as FOCUS wants it
``noblank``, ``noplaceholder``         over all text columns of the bill
``header WHAT``                        about the names of the columns
``rule ID``, ``and …``, ``or …``       composites and conditions
=====================================  ===============================================================================
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from importlib import resources
from typing import Any

from capacity.errors import UsageError

Expr = tuple[Any, ...]

VERSIONS = ("1.2",)
# Origins whose rules are really run.
RUN = frozenset({"published", "corrected", "supplied"})
TRUE: Expr = ("true",)


@dataclass(frozen=True)
class RawRule:
    """One line of the data file."""

    id: str
    column: str
    kind: str
    keyword: str
    criteria: frozenset[str]
    requirement: Expr | None
    condition: Expr | None
    origin: str
    note: str

    @property
    def composite(self) -> bool:
        """Made of other rules, tests nothing of its own."""
        return self.kind == "composite"

    @property
    def runs(self) -> bool:
        """Tests data, and is run where the bill has its columns."""
        return self.origin in RUN and not self.composite


@dataclass(frozen=True)
class Column:
    """A column of FOCUS: the version that introduced it, its type, and whether it may be null."""

    introduced: str
    kind: str
    nullable: bool


@dataclass(frozen=True)
class Model:
    """The rules of one FOCUS version."""

    version: str
    criteria: frozenset[str]
    columns: Mapping[str, Column]
    later: frozenset[str]
    currencies: tuple[str, ...]
    rules: tuple[RawRule, ...]

    @cached_property
    def by_id(self) -> Mapping[str, RawRule]:
        return {r.id: r for r in self.rules}

    @cached_property
    def parents(self) -> Mapping[str, tuple[RawRule, ...]]:
        """The composites that each rule is a part of."""
        out: dict[str, list[RawRule]] = {r.id: [] for r in self.rules}
        for rule in self.rules:
            for part in parts(rule):
                out[part].append(rule)
        return {k: tuple(v) for k, v in out.items()}

    def condition(self, rule: RawRule) -> Expr:
        """When ``rule`` applies: its own condition and, by any way down the composites, theirs."""
        own = rule.condition or TRUE
        ways = tuple(dict.fromkeys(self.condition(p) for p in self.parents[rule.id]))
        if not ways or TRUE in ways:
            return own
        return _both(own, ways[0] if len(ways) == 1 else ("or", *ways))

    def needs(self, rule: RawRule) -> frozenset[str]:
        """Criteria without which ``rule`` does not apply: its own, and those that all its composites need."""
        ways = [self.needs(p) for p in self.parents[rule.id]]
        return rule.criteria | (frozenset.intersection(*ways) if ways else frozenset())


def _both(own: Expr, inherited: Expr) -> Expr:
    terms = [t for e in (own, inherited) if e != TRUE for t in (e[1:] if e[0] == "and" else (e,))]
    unique = tuple(dict.fromkeys(terms))
    return unique[0] if len(unique) == 1 else ("and", *unique)


def parts(rule: RawRule) -> tuple[str, ...]:
    """Ids of the rules that a composite is made of; none for another rule."""
    return tuple(e[1] for e in walk(rule.requirement) if e[0] == "rule") if rule.composite else ()


def walk(expr: Expr | None) -> Iterator[Expr]:
    """``expr`` and every expression inside it."""
    if not expr:
        return
    yield expr
    if expr[0] in ("and", "or"):
        for inner in expr[1:]:
            yield from walk(inner)


_ONE = frozenset(
    {
        "present", "null", "notnull", "eq", "ne", "in", "notin", "eqnum", "nenum", "ge", "decimal", "string",
        "datetime", "fmt_time", "fmt_number", "fmt_text", "fmt_unit", "fmt_map", "fmt_currency", "national",
    }
)  # fmt: skip
_WIDTH: Mapping[str, int] = {**dict.fromkeys(_ONE, 1), "product": 3}
_WIDTH = {**_WIDTH, **dict.fromkeys(("same", "notsame", "amount", "distinct", "atmost"), 2)}


def columns_of(expr: Expr | None) -> tuple[str, ...]:
    """The columns that ``expr`` looks at, in the order they come."""
    found = [c for e in walk(expr) for c in e[1 : 1 + _WIDTH.get(e[0], 0)]]
    return tuple(dict.fromkeys(found))


@cache
def load(version: str) -> Model:
    """The bundled rules of ``version``.

    Raises
    ------
    UsageError
        There are no rules of that version here.
    """
    if version not in VERSIONS:
        raise UsageError(f"no rules of FOCUS {version} here; there are: {', '.join(VERSIONS)}")
    file = resources.files("capacity") / "data" / f"focus_rules_{version}.json"
    raw = json.loads(file.read_text(encoding="utf-8"))
    columns = {name: Column(*facts) for name, facts in raw["columns"].items()}
    return Model(
        raw["version"], frozenset(raw["criteria"]), columns, frozenset(raw["later"]),
        tuple(raw["currencies"].split()), tuple(_rule(line, columns) for line in raw["rules"]),
    )  # fmt: skip


def _rule(line: list[Any], columns: Mapping[str, Column]) -> RawRule:
    rule_id, column, kind, keyword, criteria, requirement, condition, origin, note = line
    return RawRule(
        rule_id, column if column in columns else "", kind, keyword, frozenset(criteria),
        _tuples(requirement), _tuples(condition), origin, note,
    )  # fmt: skip


def _tuples(value: Any) -> Any:
    return tuple(_tuples(v) for v in value) if isinstance(value, list) else value
