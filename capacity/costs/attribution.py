"""From bill rows to services, shared pools and what is left: exact sums, and how each rule did."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd
import pyarrow as pa

from capacity.config import CostsConfig
from capacity.costs._columns import Coded, CodedTable, Groups, group_rows
from capacity.costs._matching import CREDIT, REFUND, TAX, Targets, match_rows
from capacity.costs._money import check_magnitude, sums_by_group, to_decimal, to_decimals
from capacity.costs._rules import MATCHABLE, columns_of, target_word
from capacity.costs._suggest import suggest_rules
from capacity.errors import CorruptDataError
from capacity.schemas import COST_MONEY, COST_REQUIRED

GROUP_KEY: tuple[str, ...] = ("source", "BillingAccountId", "BillingPeriodStart", "BillingCurrency")
# What unit cost, bridge and tie-out tell apart; everything else of a row is summed over.
_TEXT_KEYS: tuple[str, ...] = (
    "ServiceCategory", "ServiceName", "SkuId", "PricingCategory", "PricingUnit",
    "ChargeCategory", "ChargeClass", "ChargeFrequency", "CommitmentDiscountStatus",
)  # fmt: skip
PIECE_KEY: tuple[str, ...] = (*GROUP_KEY, "month", "kind", "name", "rule", *_TEXT_KEYS)
_SUMMED: tuple[str, ...] = (*COST_MONEY, "PricingQuantity")


@dataclass(frozen=True)
class Attribution:
    """A bill by service, pool and unallocated.

    Attributes
    ----------
    pieces
        One row a distinct :data:`PIECE_KEY`: ``month`` is the UTC month of ChargePeriodStart (YYYY-MM), ``kind``
        service, pool or unallocated, ``name`` that of the service or pool, ``rule`` the rule that took the rows.
        Then the exact sums BilledCost, EffectiveCost, ListCost, ContractedCost, PricingQuantity (decimal128), the
        nulls among each (``..._nulls``) and ``rows``.
    rule_hits
        rule, target, currency, rows and the four sums (Decimal), in the order of the rules; a rule that took nothing
        stands with zeros.
    unallocated
        The largest pieces that no rule took: currency, sub_account, provider_service, charge_category, rows,
        BilledCost, EffectiveCost, suggested_rule (YAML of one rule), why.
    services, pools
        The names that rows could go to.
    rows, malformed_tag_rows
        Rows of the bill, and those whose Tags are no JSON map (they count as untagged).
    """

    pieces: pa.Table
    rule_hits: pd.DataFrame
    unallocated: pd.DataFrame
    services: tuple[str, ...]
    pools: tuple[str, ...]
    rows: int
    malformed_tag_rows: int

    @property
    def months(self) -> tuple[str, ...]:
        """Charge months that have rows, in order."""
        return tuple(sorted(set(self.pieces.column("month").to_pylist())))


def needed_columns(costs: CostsConfig) -> tuple[str, ...]:
    """Columns of the cost table that :func:`attribute` reads under these rules: read no more of a large bill."""
    used = {c for r in costs.rules for c in columns_of(r) if c in MATCHABLE}
    hints = ("SubAccountId", "SubAccountName", "ResourceId", "ResourceName", "Tags")
    fixed = (*GROUP_KEY, "BillingPeriodEnd", "ChargePeriodStart", "ChargePeriodEnd", *_TEXT_KEYS, *_SUMMED, *hints)
    return tuple(dict.fromkeys([*fixed, "CommitmentDiscountId", *sorted(used)]))


def attribute(cost: pa.Table, costs: CostsConfig, services: Sequence[str]) -> Attribution:
    """Give every row of a bill to a service, a shared pool or "unallocated"; the first matching rule wins.

    Parameters
    ----------
    cost
        A table of schemas.COST (text columns may be dictionary-encoded; of the optional ones, any may be absent).
    costs
        Rules and pools. A rule's patterns match values whole and a null never, a null in their place matches only a
        null; ``service_from_tag`` takes a row only where the tag names a known service, ``mapping`` only where the
        file has a line with all its values. Rows no rule takes: Tax to ``tax_pool``, Credit to ``credit_pool``,
        refunding Adjustments (ChargeClass Correction, nothing above zero) to ``refund_pool`` or else ``credit_pool``,
        the rest to nobody.
    services
        Names of the company's services.

    Raises
    ------
    ConfigError
        A rule, pool or mapping names an unknown column, service or pool, holds a pattern that is no regular
        expression, or pools feed each other in a circle.
    CorruptDataError
        A required column is missing or empty somewhere, or an amount is beyond all reason.
    """
    _check_bill(cost)
    bill = CodedTable(cost)
    looked_at = {c for r in costs.rules for c in columns_of(r) if c in MATCHABLE}
    bill.prepare([*GROUP_KEY, "ChargePeriodStart", *_TEXT_KEYS, "Tags", *sorted(looked_at)])
    targets = match_rows(bill, costs, services)
    pieces = _pieces(bill, targets)
    return Attribution(
        pieces=pieces,
        rule_hits=_rule_hits(pieces, costs, targets.rule_names),
        unallocated=suggest_rules(bill, targets.target == 0, services, [p.name for p in costs.pools]),
        services=tuple(services),
        pools=tuple(p.name for p in costs.pools),
        rows=cost.num_rows,
        malformed_tag_rows=targets.malformed_tag_rows,
    )


def _check_bill(cost: pa.Table) -> None:
    required = ("source", *(c for c in COST_REQUIRED if c not in ("ServiceName",)))
    missing = [c for c in (*required, *COST_MONEY) if c not in cost.column_names]
    if missing:
        raise CorruptDataError(f"cost: columns missing: {', '.join(missing)}; ingest the bill as FOCUS 1.0 or later")
    for name in (*GROUP_KEY, "ChargePeriodStart"):
        if cost.column(name).null_count:
            raise CorruptDataError(f"cost: {cost.column(name).null_count} row(s) without {name}; ingest the bill again")
    check_magnitude(cost, COST_MONEY)


def _pieces(bill: CodedTable, targets: Targets) -> pa.Table:
    cost = bill.table
    columns = {n: bill.column(n) for n in (*GROUP_KEY, *_TEXT_KEYS)}
    columns["month"] = bill.month("ChargePeriodStart")
    keys = [(c.codes, c.cardinality) for c in columns.values()]
    keys += [(targets.target, len(targets.names)), (targets.rule, len(targets.rule_names))]
    grouping = group_rows(keys, cost.num_rows)
    sums = sums_by_group(_with_quantity(cost), grouping.group, grouping.count, _SUMMED)
    keyed = _key_columns(columns, targets, grouping.first_row)
    return pa.table({**{n: keyed[n] for n in PIECE_KEY}, **sums})


def _with_quantity(cost: pa.Table) -> pa.Table:
    if "PricingQuantity" in cost.column_names:
        return cost
    return cost.append_column("PricingQuantity", pa.nulls(cost.num_rows, pa.decimal128(38, 12)))


def _key_columns(columns: dict[str, Coded], targets: Targets, rows: Groups) -> dict[str, pa.Array]:
    out = {n: c.take(rows) for n, c in columns.items()}
    target, rule = pa.array(targets.target[rows]), pa.array(targets.rule[rows])
    out["kind"] = pa.array(targets.kinds, pa.string()).take(target)
    out["name"] = pa.array(targets.names, pa.string()).take(target)
    out["rule"] = pa.array(targets.rule_names, pa.string()).take(rule)
    return out


def _rule_hits(pieces: pa.Table, costs: CostsConfig, rule_names: Sequence[str]) -> pd.DataFrame:
    summed = pieces.group_by(["rule", "BillingCurrency"]).aggregate([(c, "sum") for c in ("rows", *COST_MONEY)])
    keys = zip(summed.column("rule").to_pylist(), summed.column("BillingCurrency").to_pylist(), strict=True)
    money = zip(*(to_decimals(summed.column(f"{c}_sum")) for c in COST_MONEY), strict=True)
    rows_hit = summed.column("rows_sum").to_pylist()
    hits = {key: (n, *amounts) for key, n, amounts in zip(keys, rows_hit, money, strict=True)}
    apart = {TAX: costs.tax_pool, CREDIT: costs.credit_pool, REFUND: costs.refund_pool}
    targets = [*(target_word(r) for r in costs.rules), *(apart.get(n) or "" for n in rule_names[len(costs.rules) :])]
    every = zip(rule_names, targets, strict=True)
    none = (0, *[to_decimal(0)] * len(COST_MONEY))
    currencies = sorted({currency for _, currency in hits})
    rows = [(rule, to, c, *hits.get((rule, c), none)) for rule, to in every for c in currencies]
    return pd.DataFrame(rows, columns=["rule", "target", "currency", "rows", *COST_MONEY])


def rule_months(attribution: Attribution, newest: str) -> pd.DataFrame:
    """What each rule took, month by month.

    Returns
    -------
    DataFrame
        rule, target, month (YYYY-MM), currency, rows and the four sums (Decimal): in the order of the rules, then of
        months. Of the month ``newest`` every rule stands there, with zeros where it took nothing.
    """
    by = ("rule", "month", "BillingCurrency")
    summed = attribution.pieces.group_by(list(by)).aggregate([(c, "sum") for c in ("rows", *COST_MONEY)])
    keys = zip(*(summed.column(c).to_pylist() for c in by), strict=True)
    money = zip(*(to_decimals(summed.column(f"{c}_sum")) for c in COST_MONEY), strict=True)
    hits = {
        key: (n, *amounts) for key, n, amounts in zip(keys, summed.column("rows_sum").to_pylist(), money, strict=True)
    }
    none = (0, *[to_decimal(0)] * len(COST_MONEY))
    targets = dict(zip(attribution.rule_hits["rule"], attribution.rule_hits["target"], strict=True))
    for currency in {c for _, month, c in hits if month == newest}:
        hits = {**{(rule, newest, currency): none for rule in targets}, **hits}
    order = {rule: i for i, rule in enumerate(targets)}
    rows = [
        (rule, targets[rule], month, currency, *found)
        for (rule, month, currency), found in sorted(hits.items(), key=lambda kv: (order[kv[0][0]], kv[0][1:]))
    ]
    return pd.DataFrame(rows, columns=["rule", "target", "month", "currency", "rows", *COST_MONEY])
