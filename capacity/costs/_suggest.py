"""The largest pieces that no rule took, each with a rule that would take it."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from capacity.costs._columns import Coded, column_or_null, encode, group_rows
from capacity.costs._money import sums_by_group, to_decimals, to_units
from capacity.costs._tags import parse_tags

# A meeting reads one screen of these; each costs a look at its rows.
_LARGEST = 20
# Distinct values of a piece that are searched for a service's name, the most frequent first.
_SEARCHED_VALUES = 500
_PIECE = ("BillingCurrency", "SubAccountId", "ServiceName", "ChargeCategory")
_NAME_COLUMNS = ("SubAccountName", "ResourceName", "ResourceId")
_RESULT = (
    "currency", "sub_account", "provider_service", "charge_category", "rows", "BilledCost", "EffectiveCost",
    "suggested_rule", "why",
)  # fmt: skip


_Target = tuple[Literal["service", "pool"], str]


@dataclass(frozen=True)
class _Words:
    """Services and pools by the words of their names, and how many words those have, longest first."""

    target_of: Mapping[tuple[str, ...], _Target]
    lengths: tuple[int, ...]

    @classmethod
    def of(cls, services: Sequence[str], pools: Sequence[str]) -> _Words:
        targets: list[_Target] = [*(("pool", p) for p in pools), *(("service", s) for s in services)]
        named = {w: t for t in targets if (w := _split_words(t[1]))}  # a service goes before a pool of its name
        return cls(named, tuple(sorted({len(w) for w in named}, reverse=True)))

    def target_in(self, value: str) -> _Target | None:
        """What stands, word by word, in ``value``; the longest name where several do."""
        have = _split_words(value)
        for length in self.lengths:
            for start in range(len(have) - length + 1):
                target = self.target_of.get(have[start : start + length])
                if target:
                    return target
        return None


@dataclass(frozen=True)
class _Hint:
    rule: dict[str, object]
    why: str


def suggest_rules(
    cost: pa.Table, unallocated: npt.NDArray[np.bool_], services: Sequence[str], pools: Sequence[str]
) -> pd.DataFrame:
    """The largest unallocated pieces by |EffectiveCost|, then |BilledCost|, with a suggested rule each.

    Parameters
    ----------
    unallocated
        (rows,) which rows of ``cost`` no rule took.

    Returns
    -------
    DataFrame
        As in Attribution.unallocated; ``suggested_rule`` can be pasted into the config's ``rules``.
    """
    at = np.flatnonzero(unallocated)
    if not len(at):
        return pd.DataFrame(columns=list(_RESULT))
    names = (*_PIECE, *_NAME_COLUMNS, "Tags", "BilledCost", "EffectiveCost")
    rows = pa.table({n: column_or_null(cost, n) for n in names}).take(pa.array(at))
    keys = {n: encode(rows.column(n)) for n in _PIECE}
    grouping = group_rows([(c.codes, c.cardinality) for c in keys.values()], rows.num_rows)
    sums = sums_by_group(rows, grouping.group, grouping.count, ("BilledCost", "EffectiveCost"))
    largest = _largest(sums)
    frame = pd.DataFrame(
        {
            "currency": keys["BillingCurrency"].take(grouping.first_row[largest]).to_pylist(),
            "sub_account": keys["SubAccountId"].take(grouping.first_row[largest]).to_pylist(),
            "provider_service": keys["ServiceName"].take(grouping.first_row[largest]).to_pylist(),
            "charge_category": keys["ChargeCategory"].take(grouping.first_row[largest]).to_pylist(),
            "rows": sums["rows"].take(pa.array(largest)).to_pylist(),
        }
    )
    for name in ("BilledCost", "EffectiveCost"):
        frame[name] = pd.Series(to_decimals(sums[name].take(pa.array(largest))), dtype=object)
    hints = [
        _hint(rows.take(pa.array(np.flatnonzero(grouping.group == g))), _scope(piece), services, pools)
        for g, piece in zip(largest, frame.to_dict("records"), strict=True)
    ]
    named = [{"name": f"suggested-{i}", **h.rule} for i, h in enumerate(hints, start=1)]
    frame["suggested_rule"] = [json.dumps(r, ensure_ascii=False) for r in named]  # JSON is YAML in flow style
    frame["why"] = [h.why for h in hints]
    return frame[list(_RESULT)]


def _largest(sums: Mapping[str, pa.Array]) -> npt.NDArray[np.int64]:
    effective, billed = to_units(sums["EffectiveCost"]), to_units(sums["BilledCost"])
    order = sorted(range(len(effective)), key=lambda g: (-abs(effective[g]), -abs(billed[g]), g))
    return np.array(order[:_LARGEST], np.int64)


def _scope(piece: Mapping[Hashable, Any]) -> dict[str, str]:
    """The columns that make the piece, as patterns; a null cannot be matched, so it is left out."""
    columns = {
        "ServiceName": piece["provider_service"],
        "SubAccountId": piece["sub_account"],
        "ChargeCategory": piece["charge_category"],
    }
    return {n: literal(v) for n, v in columns.items() if isinstance(v, str)}


def literal(text: str) -> str:
    """``text`` as a pattern that matches only itself, readable (spaces and dashes stay)."""
    return re.sub(r"([.^$*+?{}\[\]\\|()])", r"\\\1", text)


def _hint(rows: pa.Table, scope: dict[str, str], services: Sequence[str], pools: Sequence[str]) -> _Hint:
    words = _Words.of(services, pools)
    return (
        _from_tags(encode(rows.column("Tags")), words, scope)
        or _from_names(rows, words, scope)
        or _Hint(
            {"pool": pools[0] if pools else "shared", "match": scope},
            "nothing in these rows names a service or pool: name a service, or share them"
            + ("" if pools else "; a pool 'shared' must be added to costs.pools"),
        )
    )


def _from_tags(tags: Coded, words: _Words, scope: dict[str, str]) -> _Hint | None:
    found: Counter[tuple[str, str, _Target]] = Counter()
    for text, count in _most_frequent(tags):
        for tag, value in (parse_tags(text) or {}).items():
            target = words.target_in(value)
            if target:
                found[tag, value, target] += count
    if not found:
        return None
    (tag, value, (kind, name)), count = max(found.items(), key=lambda item: (item[1], item[0]))
    why = f"{count} row(s) carry the tag {tag} = {value}"
    if kind == "service" and value.strip().casefold() == name.casefold():
        return _Hint({"service_from_tag": tag}, why)
    return _Hint({kind: name, "match": scope, "tags": {tag: literal(value)}}, why)


def _from_names(rows: pa.Table, words: _Words, scope: dict[str, str]) -> _Hint | None:
    for column in _NAME_COLUMNS:
        found: Counter[_Target] = Counter()
        for value, count in _most_frequent(encode(rows.column(column))):
            target = words.target_in(value)
            if target:
                found[target] += count
        if found:
            (kind, name), count = max(found.items(), key=lambda item: (item[1], item[0]))
            # The same words in the same order, whatever stands between and around them.
            pattern = "(?i).*" + "[^A-Za-z0-9]*".join(literal(w) for w in _split_words(name)) + ".*"
            return _Hint({kind: name, "match": {**scope, column: pattern}}, f"{count} row(s) name {name} in {column}")
    return None


def _most_frequent(column: Coded) -> list[tuple[str, int]]:
    counts = np.bincount(column.codes, minlength=column.cardinality)[1:]
    top = np.argsort(-counts, kind="stable")[:_SEARCHED_VALUES]
    top = top[counts[top] > 0]
    return list(zip(column.distinct.take(pa.array(top)).to_pylist(), counts[top].tolist(), strict=True))


def _split_words(text: str) -> tuple[str, ...]:
    return tuple(re.findall(r"[^\W_]+", text.casefold()))
