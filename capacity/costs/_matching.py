"""Which service, pool or nothing each row of a bill belongs to: first matching rule wins."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from capacity.config import AttributionRule, CostsConfig, MappingTable
from capacity.costs._columns import Coded, CodedTable, Codes, group_rows
from capacity.costs._patterns import compile_whole, whole_matches
from capacity.costs._rules import MATCHABLE as MATCHABLE
from capacity.costs._rules import check_rules, columns_of, tags_of
from capacity.costs._tags import TagColumns, tag_columns

# What stands for a rule where none took a row.
TAX, CREDIT, REFUND, NO_RULE = "(tax)", "(credit)", "(refund)", "(no rule)"
_Rows = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Targets:
    """Where each row goes.

    Attributes
    ----------
    target
        (rows,) code into ``names`` and ``kinds``; 0 is unallocated, services follow, then pools.
    rule
        (rows,) index into ``rule_names``: the config's rules, then (tax), (credit), (refund) where refunds have a
        pool of their own, (no rule).
    """

    target: Codes
    rule: Codes
    names: tuple[str, ...]
    kinds: tuple[str, ...]
    rule_names: tuple[str, ...]
    malformed_tag_rows: int


@dataclass(frozen=True)
class Goals:
    """Codes of targets by the names of services and pools."""

    service: Mapping[str, int]
    pool: Mapping[str, int]

    @classmethod
    def of(cls, services: Sequence[str], pools: Sequence[str]) -> Goals:
        after = 1 + len(services)
        return cls({s: 1 + i for i, s in enumerate(services)}, {p: after + i for i, p in enumerate(pools)})


def match_rows(cost: pa.Table | CodedTable, costs: CostsConfig, services: Sequence[str]) -> Targets:
    """Apply the rules of ``costs`` to every row of a bill.

    Raises
    ------
    ConfigError
        A rule names an unknown column, service or pool, or holds a pattern that is none.
    """
    check_rules(costs, services)
    bill = cost if isinstance(cost, CodedTable) else CodedTable(cost)
    pools = [p.name for p in costs.pools]
    names = ("", *services, *pools)
    kinds = ("unallocated", *("service" for _ in services), *("pool" for _ in pools))
    tags = bill.column("Tags")
    parsed = tag_columns(tags, sorted({t for r in costs.rules for t in tags_of(r)}))
    goals = Goals.of(services, pools)
    rule, target = _first_match(bill, costs.rules, parsed, goals)
    apart = _take_apart(bill, costs, rule, target, goals)
    malformed = int(np.isin(tags.codes, parsed.malformed).sum()) if len(parsed.malformed) else 0
    return Targets(target, rule, names, kinds, (*(r.name for r in costs.rules), *apart, NO_RULE), malformed)


# --- rules -------------------------------------------------------------------------------------------------


@dataclass
class Matcher:
    """Rules over the distinct combinations of the columns that rules look at."""

    columns: Mapping[str, Coded]  # per combination
    tags: TagColumns
    tag_codes: Codes  # per combination
    goals: Goals
    _cache: dict[tuple[str, str, str], npt.NDArray[np.bool_]] = field(default_factory=dict)

    def take(self, rule: AttributionRule, rows: _Rows) -> tuple[_Rows, Codes]:
        """Which of ``rows`` the rule takes, and the target of each."""
        rows = self.select(rule, rows)
        if rule.service_from_tag is not None:
            coded = self.tags.columns[rule.service_from_tag]
            target = self._service_named(coded)[coded.codes[self.tag_codes[rows]]]
        elif rule.mapping is not None and rule.mapping.table is not None:
            target = self._mapped(rule.mapping.table, rows)
        else:
            goal = self.goals.pool[rule.pool] if rule.pool is not None else self.goals.service[str(rule.service)]
            return rows, np.full(len(rows), goal, np.int32)
        return rows[target > 0], target[target > 0]

    def select(self, rule: AttributionRule, rows: _Rows) -> _Rows:
        """Those of ``rows`` whose columns and tags match."""
        # Few distinct values first: they are cheap, and leave fewer rows to the dear columns.
        for column in sorted(rule.match, key=lambda c: self.columns[c].cardinality):
            coded = self.columns[column]
            rows = rows[self._matches("match", column, rule.match[column], coded, coded.codes[rows])]
        for tag, pattern in rule.tags.items():
            coded = self.tags.columns[tag]
            rows = rows[self._matches("tags", tag, pattern, coded, coded.codes[self.tag_codes[rows]])]
        return rows

    def _matches(self, kind: str, key: str, pattern: str | None, coded: Coded, codes: Codes) -> npt.NDArray[np.bool_]:
        if pattern is None:
            absent: npt.NDArray[np.bool_] = codes == 0
            return absent
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
        named = {n.casefold(): t for n, t in self.goals.service.items()}
        return np.array([0, *(named.get(v.strip().casefold(), 0) for v in coded.distinct.to_pylist())], np.int32)

    def _mapped(self, table: MappingTable, rows: _Rows) -> Codes:
        """Target of each of ``rows`` by a mapping: one lookup of its values, whatever the number of its lines."""
        pairs = []
        for i, values in enumerate(zip(*table.values, strict=True)):
            tag = table.tag_of(i)
            coded = self.columns[table.columns[i]] if tag is None else self.tags.columns[tag]
            codes = coded.codes[rows] if tag is None else coded.codes[self.tag_codes[rows]]
            line = pc.index_in(pa.array(values, pa.string()), value_set=coded.distinct.cast(pa.string()))
            # A value the bill never has gets a code that no row has; one line of the mapping cannot then match.
            pairs.append((pc.fill_null(pc.add(line, 1), -1).to_numpy(zero_copy_only=False), codes, coded.cardinality))
        usable = np.all([lines >= 0 for lines, _, _ in pairs], axis=0)
        goals = [self.goals.service if k == "service" else self.goals.pool for k in table.kinds]
        target = np.array([g[n] for g, n in zip(goals, table.names, strict=True)], np.int32)[usable]
        keys = [(np.concatenate([lines[usable], codes]).astype(np.int32), width) for lines, codes, width in pairs]
        grouped = group_rows(keys, len(target) + len(rows)).group
        by_group = np.zeros(int(grouped.max(initial=-1)) + 1, np.int32)
        by_group[grouped[: len(target)]] = target
        out: Codes = by_group[grouped[len(target) :]]
        return out


def _match_some(pattern: str, coded: Coded, codes: Codes) -> npt.NDArray[np.bool_]:
    used, back = np.unique(codes, return_inverse=True)
    values = coded.distinct.take(pa.array(used - 1, mask=used == 0))
    out: npt.NDArray[np.bool_] = whole_matches(compile_whole(pattern), values)[back]
    return out


def _first_match(
    bill: CodedTable, rules: Sequence[AttributionRule], parsed: TagColumns, goals: Goals
) -> tuple[Codes, Codes]:
    """(rows,) rule and target of each row; a row no rule takes has a rule beyond the last, and target 0."""
    columns = {c: bill.column(c) for c in sorted({c for r in rules for c in columns_of(r)})}
    tags = bill.column("Tags")
    keys = [(c.codes, c.cardinality) for c in columns.values()]
    if parsed.columns:
        keys.append((tags.codes, tags.cardinality))
    grouping = group_rows(keys, bill.table.num_rows)
    of_group = {n: Coded(c.codes[grouping.first_row], c.distinct) for n, c in columns.items()}
    matcher = Matcher(of_group, parsed, tags.codes[grouping.first_row], goals)
    rule = np.full(grouping.count, len(rules), np.int32)
    target = np.zeros(grouping.count, np.int32)
    still_open = np.arange(grouping.count, dtype=np.int64)
    for number, one in enumerate(rules):
        taken, to = matcher.take(one, still_open)
        if len(taken):
            rule[taken], target[taken] = number, to
            still_open = still_open[target[still_open] == 0]
    return rule[grouping.group], target[grouping.group]


# --- tax, credits and refunds ------------------------------------------------------------------------------


def _take_apart(bill: CodedTable, costs: CostsConfig, rule: Codes, target: Codes, goals: Goals) -> tuple[str, ...]:
    """Give Tax, Credit and refund rows that no rule took to their pools, in place; the names that stand for a rule."""
    category = bill.column("ChargeCategory")
    refunds = costs.refund_pool or costs.credit_pool
    refund = _is_refund(bill, category) if refunds else np.zeros(len(target), np.bool_)
    names = (TAX, CREDIT, REFUND) if costs.refund_pool else (TAX, CREDIT)
    wanted = (
        (TAX, costs.tax_pool, category.codes == category.code_of("Tax")),
        (CREDIT, costs.credit_pool, category.codes == category.code_of("Credit")),
        (REFUND if costs.refund_pool else CREDIT, refunds, refund),
    )
    rule[target == 0] = len(costs.rules) + len(names)
    for name, pool, rows in wanted:
        if pool:
            rows = rows & (target == 0)
            rule[rows], target[rows] = len(costs.rules) + names.index(name), goals.pool[pool]
    return names


def _is_refund(bill: CodedTable, category: Coded) -> npt.NDArray[np.bool_]:
    """Corrections of the category Adjustment that give money back (Credits are taken whole)."""
    kind = bill.column("ChargeClass")
    rows = (category.codes == category.code_of("Adjustment")) & (kind.codes == kind.code_of("Correction"))
    at = np.flatnonzero(rows)
    for name in ("BilledCost", "EffectiveCost"):
        rows[at] &= pc.fill_null(pc.less_equal(bill.table.column(name).take(pa.array(at)), 0), True).to_numpy()
    out: npt.NDArray[np.bool_] = rows
    return out
