"""The largest pieces that no rule took, each with a rule that takes exactly that piece."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from capacity.config import AttributionRule
from capacity.costs._columns import Coded, CodedTable, group_rows
from capacity.costs._matching import Goals, Matcher
from capacity.costs._money import sums_by_group, to_decimals, to_units
from capacity.costs._rules import tags_of
from capacity.costs._tags import TagColumns, parse_tags, tag_columns
from capacity.costs._words import Target, Words, split_words

# A meeting reads one screen of these; each costs a look at its rows.
_LARGEST = 20
# Distinct values of a piece that are searched for a service's name, the most frequent first.
_SEARCHED_VALUES = 500
# More values than these in one pattern are no longer read by anybody.
_MOST_ALTERNATIVES = 12
_PIECE = ("BillingCurrency", "SubAccountId", "ServiceName", "ChargeCategory", "ChargeClass")
_NAME_COLUMNS = ("SubAccountName", "ResourceName", "ResourceId")
_MONEY = ("BilledCost", "EffectiveCost")
_LIKE_REFUNDS = (
    "; no rule can tell these corrections from refunds: it also takes those that refund_pool or credit_pool would take"
)
_RESULT = (
    "currency", "sub_account", "provider_service", "charge_category", "rows", "BilledCost", "EffectiveCost",
    "suggested_rule", "why",
)  # fmt: skip
_Rows = npt.NDArray[np.int64]


@dataclass(frozen=True)
class _Hint:
    """A rule, and what speaks for it."""

    kind: Literal["service", "pool", "service_from_tag"]
    name: str
    why: str
    match: Mapping[str, str | None] = field(default_factory=dict)
    tags: Mapping[str, str | None] = field(default_factory=dict)


def suggest_rules(
    bill: CodedTable, unallocated: npt.NDArray[np.bool_], services: Sequence[str], pools: Sequence[str]
) -> pd.DataFrame:
    """The largest unallocated pieces by |EffectiveCost|, then |BilledCost|, with a suggested rule each.

    A piece is what one currency, sub-account, provider service, charge category and class (corrections apart) cost;
    where its rows name several services it stands in parts. The rule of each, put at the end of the config's rules,
    takes exactly the rows and the money that stand beside it; where it would take refunds too, ``why`` says so.

    Parameters
    ----------
    unallocated
        (rows,) which rows of the bill no rule took.

    Returns
    -------
    DataFrame
        As in Attribution.unallocated; ``suggested_rule`` can be pasted into the config's ``rules``.
    """
    at = np.flatnonzero(unallocated)
    if not len(at):
        return pd.DataFrame(columns=list(_RESULT))
    keys = [bill.column(n) for n in _PIECE]
    grouping = group_rows([(c.codes[at], c.cardinality) for c in keys], len(at))
    money = bill.table.select(_MONEY).take(pa.array(at))
    largest = _largest(sums_by_group(money, grouping.group, grouping.count, _MONEY))
    finder = _Finder(bill, Words.of(services, pools), services, pools, keys[0].cardinality > 2)
    found = [
        (one, piece, rows) for g in largest for piece in [at[grouping.group == g]] for one, rows in finder.pieces(piece)
    ]
    # Rows without any amount are nobody's and no rule is worth writing for them.
    return _framed(bill, found, [k.take for k in keys]) if found else pd.DataFrame(columns=list(_RESULT))


def _framed(bill: CodedTable, found: list[tuple[_Hint, _Rows, _Rows]], take: Sequence[Any]) -> pd.DataFrame:
    """The rules with what they take, the dearest first."""
    groups = np.repeat(np.arange(len(found)), [len(rows) for _, _, rows in found])
    every = np.concatenate([rows for _, _, rows in found])
    sums = sums_by_group(bill.table.select(_MONEY).take(pa.array(every)), groups, len(found), _MONEY)
    order = _largest(sums)
    first = np.array([found[i][2][0] for i in order], np.int64)
    names = ("currency", "sub_account", "provider_service", "charge_category")
    frame = pd.DataFrame({n: t(first).to_pylist() for n, t in zip(names, take[: len(names)], strict=True)})
    frame["rows"] = [len(found[i][2]) for i in order]
    for name in _MONEY:
        frame[name] = pd.Series(to_decimals(sums[name].take(pa.array(order))), dtype=object)
    hints = [found[i][0] for i in order]
    frame["suggested_rule"] = [_as_text(i, h) for i, h in enumerate(hints, start=1)]
    frame["why"] = [h.why for h in hints]
    return frame[list(_RESULT)]


def _as_text(number: int, hint: _Hint) -> str:
    """JSON is YAML in flow style."""
    rule: dict[str, Any] = {"name": f"suggested-{number}", hint.kind: hint.name}
    rule |= {"match": dict(hint.match)} if hint.match else {}
    rule |= {"tags": dict(hint.tags)} if hint.tags else {}
    return json.dumps(rule, ensure_ascii=False)


def _largest(sums: Mapping[str, pa.Array]) -> _Rows:
    effective, billed = to_units(sums["EffectiveCost"]), to_units(sums["BilledCost"])
    order = sorted(range(len(effective)), key=lambda g: (-abs(effective[g]), -abs(billed[g]), g))
    return np.array(order[:_LARGEST], np.int64)


def literal(text: str) -> str:
    """``text`` as a pattern that matches only itself, readable (spaces and dashes stay)."""
    return re.sub(r"([.^$*+?{}\[\]\\|()])", r"\\\1", text)


# --- what the rows of a piece say ----------------------------------------------------------------------------


@dataclass
class _Finder:
    bill: CodedTable
    words: Words
    services: Sequence[str]
    pools: Sequence[str]
    several_currencies: bool

    def pieces(self, rows: _Rows) -> Iterator[tuple[_Hint, _Rows]]:
        """Rules for the rows of one piece, each with the rows that it takes."""
        scope = self._scope(int(rows[0]))
        is_correction = (scope["ChargeCategory"], scope["ChargeClass"]) == ("Adjustment", "Correction")
        for hint in self._hints(rows, scope):
            taken = self._taken(hint, rows)
            if len(taken):
                unclear = is_correction and self._charges_money(taken)
                yield replace(hint, why=hint.why + _LIKE_REFUNDS) if unclear else hint, taken

    def _charges_money(self, rows: _Rows) -> bool:
        """Whether any of the rows is above zero: such corrections are no refunds."""
        money = self.bill.table.select(_MONEY).take(pa.array(rows))
        return any(amount > 0 for name in _MONEY for amount in to_units(money.column(name)))

    def _scope(self, row: int) -> dict[str, str | None]:
        """The columns that make the piece, as patterns; null where it has no value there."""
        names = _PIECE if self.several_currencies else _PIECE[1:]
        values = {n: self.bill.column(n).take(np.array([row]))[0].as_py() for n in names}
        return {n: None if v is None else literal(v) for n, v in values.items()}

    def _hints(self, rows: _Rows, scope: dict[str, str | None]) -> list[_Hint]:
        return self._from_tags(rows, scope) or self._from_names(rows, scope) or [self._nothing(scope)]

    def _nothing(self, scope: Mapping[str, str | None], tags: Mapping[str, str | None] | None = None) -> _Hint:
        pool = self.pools[0] if self.pools else "shared"
        why = "nothing in these rows names a service or pool: name a service, or share them"
        why += "" if self.pools else "; a pool 'shared' must be added to costs.pools"
        return _Hint("pool", pool, why, scope, tags or {})

    def _from_tags(self, rows: _Rows, scope: dict[str, str | None]) -> list[_Hint]:
        """One rule a target that a tag's values name; the tag that most rows name something by."""
        values = _tag_values(self.bill.column("Tags"), rows)
        named = {
            tag: counts
            for tag, counts in values.items()
            if any(v is not None and self.words.target_in(v) for v in counts)
        }
        if not named:
            return []
        tag = max(named, key=lambda t: (self._rows_that_name(named[t]), t))
        targets: dict[Target | None, list[str | None]] = {}
        for value in sorted(named[tag], key=lambda v: (v is None, v or "")):
            targets.setdefault(self.words.target_in(value) if value is not None else None, []).append(value)
        known = [t for t in targets if t is not None]
        rest = len(targets.get(None, []))
        if len(known) == 1 and not rest:
            return [self._by_tag(known[0], scope, {}, tag, targets[known[0]], named[tag])]
        if all(self._is_named(t, targets[t]) for t in known):
            count = self._rows_that_name(named[tag])
            every = _Hint("service_from_tag", tag, f"{count} row(s) carry a service's name in the tag {tag}", scope)
            return [every, *self._others(scope, tag, targets.get(None, []))]
        out = []
        for target in known:
            some = targets[target][:_MOST_ALTERNATIVES]
            pattern = "|".join(literal(v) for v in some if v is not None)
            out.append(self._by_tag(target, scope, {tag: pattern}, tag, some, named[tag]))
        return out + self._others(scope, tag, targets.get(None, []))

    def _others(self, scope: Mapping[str, str | None], tag: str, values: Sequence[str | None]) -> list[_Hint]:
        """What the tag says nothing known of, so that the piece is whole."""
        patterns: list[str | None] = [None] if None in values else []
        texts = [literal(v) for v in values if v is not None][:_MOST_ALTERNATIVES]
        patterns += ["|".join(texts)] if texts else []
        return [self._nothing(scope, {tag: p}) for p in patterns]

    def _is_named(self, target: Target, values: Sequence[str | None]) -> bool:
        return target[0] == "service" and all((v or "").strip().casefold() == target[1].casefold() for v in values)

    def _rows_that_name(self, counts: Mapping[str | None, int]) -> int:
        return sum(n for v, n in counts.items() if v is not None and self.words.target_in(v))

    def _by_tag(
        self, target: Target, scope: Mapping[str, str | None], tags: Mapping[str, str | None], tag: str,
        values: Sequence[str | None], counts: Mapping[str | None, int],
    ) -> _Hint:  # fmt: skip
        rows = sum(counts[v] for v in values)
        shown = ", ".join(str(v) for v in values[:3]) + (", …" if len(values) > 3 else "")
        return _Hint(target[0], target[1], f"{rows} row(s) carry the tag {tag} = {shown}", scope, tags)

    def _from_names(self, rows: _Rows, scope: dict[str, str | None]) -> list[_Hint]:
        for column in _NAME_COLUMNS:
            found: dict[Target, int] = {}
            silent = 0
            for value, count in _most_frequent(self.bill.column(column), rows):
                target = self.words.target_in(value) if value is not None else None
                silent += 0 if target else count
                if target:
                    found[target] = found.get(target, 0) + count
            if len(found) == 1 and not silent:
                (kind, name), count = next(iter(found.items()))
                return [_Hint(kind, name, f"{count} row(s) name {name} in {column}", scope)]
            if found:
                best = sorted(found.items(), key=lambda item: (-item[1], item[0]))[:3]
                return [self._by_name(target, count, column, scope) for target, count in best]
        return []

    def _by_name(self, target: Target, count: int, column: str, scope: Mapping[str, str | None]) -> _Hint:
        # The same words in the same order, whatever stands between and around them.
        pattern = "(?i).*" + "[^A-Za-z0-9]*".join(literal(w) for w in split_words(target[1])) + ".*"
        why = f"{count} row(s) name {target[1]} in {column}"
        return _Hint(target[0], target[1], why, {**scope, column: pattern})

    def _taken(self, hint: _Hint, rows: _Rows) -> _Rows:
        """Which of a piece's rows the rule takes, by what takes rows in earnest."""
        goal: dict[str, Any] = {hint.kind: hint.name}
        rule = AttributionRule(name="suggested", match=dict(hint.match), tags=dict(hint.tags), **goal)
        columns = {n: Coded(c.codes[rows], c.distinct) for n in rule.match for c in [self.bill.column(n)]}
        tags = self.bill.column("Tags")
        wanted = tags_of(rule)
        parsed = tag_columns(tags, wanted) if wanted else TagColumns({}, np.zeros(0, np.int32))
        goals = Goals.of(self.services, [*self.pools, hint.name])
        taken, _ = Matcher(columns, parsed, tags.codes[rows], goals).take(rule, np.arange(len(rows), dtype=np.int64))
        return rows[taken]


def _tag_values(tags: Coded, rows: _Rows) -> dict[str, dict[str | None, int]]:
    """tag -> value -> rows with it; None counts the rows without that tag."""
    out: dict[str, dict[str | None, int]] = {}
    seen = 0
    for text, count in _most_frequent(tags, rows):
        seen += count
        for tag, value in (parse_tags(text) or {}).items():
            counts = out.setdefault(tag, {})
            counts[value] = counts.get(value, 0) + count
    for counts in out.values():
        without = len(rows) - sum(counts.values())
        if without:
            counts[None] = without
    return out


def _most_frequent(column: Coded, rows: _Rows) -> list[tuple[str | None, int]]:
    codes, counts = np.unique(column.codes[rows], return_counts=True)
    top = np.argsort(-counts, kind="stable")[:_SEARCHED_VALUES]
    values = column.distinct.take(pa.array(codes[top] - 1, mask=codes[top] == 0)).to_pylist()
    return list(zip(values, counts[top].tolist(), strict=True))
