"""Whether the rules of a config can be applied at all: names, columns and patterns."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Sequence

from capacity.config import AttributionRule, CostsConfig, pool_problems, unknown_targets
from capacity.costs._patterns import compile_whole
from capacity.errors import ConfigError
from capacity.schemas import COST_TEXT

MATCHABLE: tuple[str, ...] = ("source", "file", *(c for c in COST_TEXT if c != "Tags"))


def check_rules(costs: CostsConfig, services: Sequence[str]) -> None:
    """Refuse rules and pools that name nothing, and patterns that are none.

    Raises
    ------
    ConfigError
        One line a fault, all at once.
    """
    problems = [p for rule in costs.rules for p in _rule_problems(rule, costs, services)]
    names = [r.name for r in costs.rules]
    # Hits are told by name, so a name must stand for one rule.
    problems += [
        f"rule '{n}' is given twice; name each rule differently" for n in sorted(set(names)) if names.count(n) > 1
    ]
    problems += pool_problems(costs, services)
    pools = [p.name for p in costs.pools]
    for key, name in costs.apart.items():
        problems += [f"costs: {key}: {_unknown('pool', name, pools)}"] if name and name not in pools else []
    if problems:
        raise ConfigError(problems)


def _rule_problems(rule: AttributionRule, costs: CostsConfig, services: Sequence[str]) -> Iterator[str]:
    where = f"rule '{rule.name}'"
    pools = [p.name for p in costs.pools]
    if rule.service is not None and rule.service not in services:
        yield f"{where}: service: {_unknown('service', rule.service, services)}"
    if rule.pool is not None and rule.pool not in pools:
        yield f"{where}: pool: {_unknown('pool', rule.pool, pools)}"
    yield from (f"{where}: match: {p}" for c in rule.match for p in _column_problems(c))
    for kind, patterns in (("match", rule.match), ("tags", rule.tags)):
        for key, pattern in patterns.items():
            try:
                compile_whole(pattern or "")
            except re.error as error:
                yield f"{where}: {kind}: {key}: '{pattern}' is no regular expression: {error}"
    if rule.mapping is None:
        return
    table = rule.mapping.table
    if table is None:
        yield f"{where}: mapping {rule.mapping.path} was not read; load the config from its file"
        return
    columns = [c for i, c in enumerate(table.columns) if table.tag_of(i) is None]
    yield from (f"{rule.mapping.path}:1: {p}" for c in columns for p in _column_problems(c))
    yield from unknown_targets(rule.mapping.path, table, services, pools)


def _column_problems(column: str) -> Iterator[str]:
    if column == "Tags":
        yield "Tags is a map; write the tag under 'tags' instead"
    elif column not in MATCHABLE:
        yield _unknown("FOCUS column", column, MATCHABLE)


def _unknown(kind: str, name: str, known: Sequence[str]) -> str:
    near = difflib.get_close_matches(name, known, 1)
    hint = f"did you mean '{near[0]}'?" if near else f"known: {', '.join(known[:12]) or 'none'}"
    return f"'{name}' is no known {kind}; {hint}"


def columns_of(rule: AttributionRule) -> tuple[str, ...]:
    """The columns of a bill that a rule looks at."""
    table = rule.mapping.table if rule.mapping else None
    mapped = [c for i, c in enumerate(table.columns) if table.tag_of(i) is None] if table else []
    return tuple(dict.fromkeys([*rule.match, *mapped]))


def tags_of(rule: AttributionRule) -> tuple[str, ...]:
    """The tags that a rule looks at."""
    table = rule.mapping.table if rule.mapping else None
    mapped = [t for i in range(len(table.columns)) if (t := table.tag_of(i)) is not None] if table else []
    named = [rule.service_from_tag] if rule.service_from_tag is not None else []
    return tuple(dict.fromkeys([*rule.tags, *named, *mapped]))


def target_word(rule: AttributionRule) -> str:
    """Where a rule sends rows, in words."""
    if rule.mapping is not None:
        return f"mapping {rule.mapping.path}"
    return rule.service or rule.pool or f"tag {rule.service_from_tag}"
