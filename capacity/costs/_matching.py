"""Which service, pool or nothing each row of a bill belongs to: first matching rule wins."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from capacity.config import AttributionRule, CostsConfig
from capacity.costs._columns import Coded, Codes, column_or_null, encode, group_rows
from capacity.costs._patterns import compile_whole, whole_matches
from capacity.costs._tags import TagColumns, tag_columns
from capacity.errors import ConfigError
from capacity.schemas import COST_TEXT

MATCHABLE: tuple[str, ...] = ("source", "file", *(c for c in COST_TEXT if c != "Tags"))
TAX, CREDIT, NO_RULE = "(tax)", "(credit)", "(no rule)"  # what stands for a rule where none took a row


@dataclass(frozen=True)
class Targets:
    """Where each row goes.

    Attributes
    ----------
    target
        (rows,) code into ``names`` and ``kinds``; 0 is unallocated, services follow, then pools.
    rule
        (rows,) index into ``rule_names``: the config's rules, then (tax), (credit), (no rule).
    """

    target: Codes
    rule: Codes
    names: tuple[str, ...]
    kinds: tuple[str, ...]
    rule_names: tuple[str, ...]
    malformed_tag_rows: int


def match_rows(cost: pa.Table, costs: CostsConfig, services: Sequence[str]) -> Targets:
    """Apply the rules of ``costs`` to every row of ``cost``.

    Raises
    ------
    ConfigError
        A rule names an unknown column, service or pool, or holds a pattern that is none.
    """
    check_rules(costs, services)
    pools = [p.name for p in costs.pools]
    names = ("", *services, *pools)
    kinds = ("unallocated", *("service" for _ in services), *("pool" for _ in pools))
    tags = encode(column_or_null(cost, "Tags"))
    parsed = tag_columns(tags, _wanted_tags(costs))
    service_code = {s: 1 + i for i, s in enumerate(services)}
    pool_code = {p: 1 + len(services) + i for i, p in enumerate(pools)}
    rule, target = _first_match(cost, costs.rules, tags, parsed, service_code, pool_code)
    _take_tax_and_credits(cost, costs, rule, target, pool_code)
    malformed = int(np.isin(tags.codes, parsed.malformed).sum()) if len(parsed.malformed) else 0
    return Targets(target, rule, names, kinds, (*(r.name for r in costs.rules), TAX, CREDIT, NO_RULE), malformed)


# --- checking the rules ------------------------------------------------------------------------------------


def check_rules(costs: CostsConfig, services: Sequence[str]) -> None:
    """Refuse rules that could never mean what they say; every fault is told at once."""
    problems = [p for rule in costs.rules for p in _rule_problems(rule, costs, services)]
    names = [r.name for r in costs.rules]
    # Hits are told by name, so a name must stand for one rule.
    problems += [
        f"rule '{n}' is given twice; name each rule differently" for n in sorted(set(names)) if names.count(n) > 1
    ]
    for pool in costs.pools:
        problems += [f"pool '{pool.name}': shares: {_unknown('service', s, services)}" for s in pool.shares
                     if s not in services]  # fmt: skip
    pools = [p.name for p in costs.pools]
    for key, name in (("tax_pool", costs.tax_pool), ("credit_pool", costs.credit_pool)):
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
    for column in rule.match:
        if column == "Tags":
            yield f"{where}: match: Tags is a map; write the tag under 'tags' instead"
        elif column not in MATCHABLE:
            yield f"{where}: match: {_unknown('FOCUS column', column, MATCHABLE)}"
    for kind, patterns in (("match", rule.match), ("tags", rule.tags)):
        for key, pattern in patterns.items():
            try:
                compile_whole(pattern)
            except re.error as error:
                yield f"{where}: {kind}: {key}: '{pattern}' is no regular expression: {error}"


def _unknown(kind: str, name: str, known: Sequence[str]) -> str:
    near = difflib.get_close_matches(name, known, 1)
    hint = f"did you mean '{near[0]}'?" if near else f"known: {', '.join(known[:12]) or 'none'}"
    return f"'{name}' is no known {kind}; {hint}"


def _wanted_tags(costs: CostsConfig) -> tuple[str, ...]:
    named = {t for r in costs.rules for t in r.tags}
    return tuple(sorted(named | {r.service_from_tag for r in costs.rules if r.service_from_tag}))


# --- matching ----------------------------------------------------------------------------------------------


@dataclass
class _Matcher:
    """Rules over the distinct combinations of the columns that rules look at."""

    columns: dict[str, Coded]  # per combination
    tags: TagColumns
    tag_codes: Codes  # per combination
    service_code: dict[str, int]
    pool_code: dict[str, int]
    _cache: dict[tuple[str, str, str], npt.NDArray[np.bool_]] = field(default_factory=dict)

    def take(self, rule: AttributionRule, rows: npt.NDArray[np.int64]) -> tuple[npt.NDArray[np.int64], Codes]:
        """Which of ``rows`` the rule takes, and the target of each."""
        # Few distinct values first: they are cheap, and leave fewer rows to the dear columns.
        for column in sorted(rule.match, key=lambda c: self.columns[c].cardinality):
            coded = self.columns[column]
            rows = rows[self._matches("match", column, rule.match[column], coded, coded.codes[rows])]
        for tag, pattern in rule.tags.items():
            coded = self.tags.columns[tag]
            rows = rows[self._matches("tags", tag, pattern, coded, coded.codes[self.tag_codes[rows]])]
        if rule.service_from_tag is not None:
            coded = self.tags.columns[rule.service_from_tag]
            target = self._service_named(coded)[coded.codes[self.tag_codes[rows]]]
            return rows[target > 0], target[target > 0]
        code = self.pool_code[rule.pool] if rule.pool is not None else self.service_code[str(rule.service)]
        return rows, np.full(len(rows), code, np.int32)

    def _matches(self, kind: str, key: str, pattern: str, coded: Coded, codes: Codes) -> npt.NDArray[np.bool_]:
        found = self._cache.get((kind, key, pattern))
        if found is None and len(codes) * 4 < coded.cardinality:  # not worth the whole column
            return _match_some(pattern, coded, codes)
        if found is None:
            found = np.concatenate([[False], whole_matches(compile_whole(pattern), coded.distinct)])
            self._cache[kind, key, pattern] = found
        out: npt.NDArray[np.bool_] = found[codes]
        return out

    def _service_named(self, coded: Coded) -> Codes:
        """Target of each code of a tag: the service its value names, upper or lower case, else 0."""
        named = {n.casefold(): t for n, t in self.service_code.items()}
        return np.array([0, *(named.get(v.strip().casefold(), 0) for v in coded.distinct.to_pylist())], np.int32)


def _match_some(pattern: str, coded: Coded, codes: Codes) -> npt.NDArray[np.bool_]:
    used, back = np.unique(codes, return_inverse=True)
    values = coded.distinct.take(pa.array(used - 1, mask=used == 0))
    out: npt.NDArray[np.bool_] = whole_matches(compile_whole(pattern), values)[back]
    return out


def _first_match(
    cost: pa.Table,
    rules: Sequence[AttributionRule],
    tags: Coded,
    parsed: TagColumns,
    service_code: dict[str, int],
    pool_code: dict[str, int],
) -> tuple[Codes, Codes]:
    """(rows,) rule and target of each row; a row no rule takes has the rule (no rule) and target 0."""
    wanted = sorted({c for r in rules for c in r.match})
    columns = {c: encode(column_or_null(cost, c)) for c in wanted}
    keys = [(c.codes, c.cardinality) for c in columns.values()]
    if parsed.columns:
        keys.append((tags.codes, tags.cardinality))
    grouping = group_rows(keys, cost.num_rows)
    of_group = {n: Coded(c.codes[grouping.first_row], c.distinct) for n, c in columns.items()}
    matcher = _Matcher(of_group, parsed, tags.codes[grouping.first_row], service_code, pool_code)
    rule = np.full(grouping.count, len(rules) + 2, np.int32)
    target = np.zeros(grouping.count, np.int32)
    still_open = np.arange(grouping.count, dtype=np.int64)
    for number, one in enumerate(rules):
        taken, to = matcher.take(one, still_open)
        if len(taken):
            rule[taken], target[taken] = number, to
            still_open = still_open[target[still_open] == 0]
    return rule[grouping.group], target[grouping.group]


def _take_tax_and_credits(
    cost: pa.Table, costs: CostsConfig, rule: Codes, target: Codes, pool_code: dict[str, int]
) -> None:
    """Give Tax, Credit and refund rows that no rule took to their pools, in place."""
    category = encode(column_or_null(cost, "ChargeCategory"))
    still_open = target == 0
    number = len(costs.rules)
    if costs.tax_pool:
        rows = still_open & (category.codes == category.code_of("Tax"))
        rule[rows], target[rows] = number, pool_code[costs.tax_pool]
    if costs.credit_pool:
        rows = still_open & (_is_credit(category) | _is_refund(cost, category))
        rule[rows], target[rows] = number + 1, pool_code[costs.credit_pool]


def _is_credit(category: Coded) -> npt.NDArray[np.bool_]:
    out: npt.NDArray[np.bool_] = category.codes == category.code_of("Credit")
    return out


def _is_refund(cost: pa.Table, category: Coded) -> npt.NDArray[np.bool_]:
    """Corrections of the category Adjustment that give money back (Credits are taken whole)."""
    kind = encode(column_or_null(cost, "ChargeClass"))
    rows = (category.codes == category.code_of("Adjustment")) & (kind.codes == kind.code_of("Correction"))
    at = np.flatnonzero(rows)
    for name in ("BilledCost", "EffectiveCost"):
        rows[at] &= pc.fill_null(pc.less_equal(cost.column(name).take(pa.array(at)), 0), True).to_numpy()
    out: npt.NDArray[np.bool_] = rows
    return out
