"""Coverage, utilisation, effective savings rate and waste of commitments, from the bill, by month and product."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal

import pandas as pd
import pyarrow as pa

from capacity.costs._money import EXACT, quantize, to_decimal
from capacity.costs.commitment_review import _on_demand, _rows
from capacity.costs.commitment_review._fees import monthly_fees
from capacity.costs.commitment_review._on_demand import OnDemand, Prices
from capacity.costs.commitment_review._products import (
    ALL,
    COMPUTE,
    POOLS,
    product_of,
    same_commitment,
)
from capacity.costs.commitment_review._rows import Line

REVIEW_COLUMNS = (
    "month", "currency", "product", "coverage_frac", "utilisation_frac", "effective_savings_rate_frac",
    "on_demand_equivalent", "committed", "unused", "saving", "uncovered", "flags", "eligible", "on_demand_list",
    "covered_savings_rate_frac", "list_savings_rate_frac", "unknown", "rows_used", "rows_unused", "rows_uncovered",
)  # fmt: skip
COMMITMENT_COLUMNS = (
    "month", "currency", "id", "payer", "product", "used", "unused", "on_demand_equivalent", "rows",
)  # fmt: skip
MONEY_COLUMNS = (
    "on_demand_equivalent", "committed", "unused", "saving", "uncovered", "eligible", "on_demand_list", "unknown",
)  # fmt: skip
# Rates are given to a millionth.
_DIGITS = 6
# A fee and what usage carries of it may differ by rounding, and by an hour at a month's edge.
_FEE_TOLERANCE = 0.01


@dataclass(frozen=True)
class CommitmentReview:
    """What commitments did.

    Attributes
    ----------
    frame
        :data:`REVIEW_COLUMNS`, a row a month, currency and product, then one of product "all"; money is Decimal, of
        12 places, rates are shares of 1, null where there is nothing to divide by. Of a row:

        - on_demand_equivalent: what the usage that the product covered would have cost on demand, at the negotiated
          price (ContractedCost); on_demand_list the same at list price
        - eligible: all usage that the product could pay for, at that price: covered by any commitment, or not
          (uncovered: what was left on demand)
        - committed: what the commitment cost, used and unused; unused: the part that nothing used
        - saving: on_demand_equivalent - committed, so net of what went unused; below zero where that cost more
        - coverage_frac = on_demand_equivalent / eligible; utilisation_frac = (committed - unused) / committed
        - effective_savings_rate_frac = saving / eligible; covered_savings_rate_frac = saving / on_demand_equivalent
        - list_savings_rate_frac = (on_demand_list - committed) / on_demand_list: with the negotiated discount in it
        - unknown: committed money of covered usage whose on-demand cost nobody knows. It is in committed and not in
          saving, which then has neither its cost nor its worth; flags say so
        - rows_used, rows_unused, rows_uncovered: rows of the bill that the figures rest on
    by_commitment
        :data:`COMMITMENT_COLUMNS`, a row a month, currency and commitment.
    """

    frame: pd.DataFrame
    by_commitment: pd.DataFrame


@dataclass
class _Tally:
    """Sums of one month, currency and product, in whole numbers of 1e-12."""

    covered: int = 0
    unpooled: int = 0  # the part of covered whose usage is of no known pool
    listed: int = 0
    used: int = 0
    unused: int = 0
    fees: int = 0
    unknown: int = 0
    rows_used: int = 0
    rows_unused: int = 0
    rows_unknown: int = 0
    pools: set[str] = field(default_factory=set)
    payers: set[str] = field(default_factory=set)
    bases: list[tuple[str, int]] = field(default_factory=list)
    ids: set[str] = field(default_factory=set)
    rows_without_status: int = 0

    def add(self, line: Line, on_demand: OnDemand) -> None:
        self.payers.add(line.payer)
        self.ids.add(line.commitment)
        if line.is_fee:
            self.fees += line.effective
        elif line.is_unused:
            self.unused += line.effective
            self.rows_unused += line.rows
        elif line.is_used:
            self._add_used(line, on_demand)

    def _add_used(self, line: Line, on_demand: OnDemand) -> None:
        self.used += line.effective
        self.rows_used += line.rows
        self.rows_without_status += line.rows if not line.status else 0
        value = on_demand.value(line)
        if value is None:
            self.unknown += line.effective
            self.rows_unknown += line.rows
            return
        self.covered += value.contracted
        self.unpooled += value.contracted if line.pool is None else 0
        self.listed += value.listed
        self.bases.append((value.basis, line.rows))


def review_commitments(
    cost: pa.Table,
    months: Sequence[str],
    *,
    prices: Prices | None = None,
    currency: str = "USD",
    products: Mapping[str, str] | None = None,
) -> CommitmentReview:
    """Coverage, utilisation, effective savings rate and waste of the commitments on a bill.

    Parameters
    ----------
    cost
        A table of schemas.COST.
    months
        Billing months (YYYY-MM) to look at, closed ones.
    prices, currency
        (region, instance type) -> on-demand price of an hour in ``currency``: for covered usage whose row has neither
        list nor contracted cost, and whose SKU has none elsewhere in the bill either.
    products
        Commitment id -> product, where an inventory knows what a bill does not tell (its ids may be ARNs).

    Notes
    -----
    The effective savings rate is the FinOps Foundation's (playbook "How to Calculate Effective Savings Rate"; in FOCUS
    terms (ContractedCost - EffectiveCost) / ContractedCost): what was saved over what all eligible usage would have
    cost on demand. Fees and unused commitment are part of what was paid. What is eligible is told by
    :func:`capacity.costs.commitment_review.pool_of`; spot is not.
    """
    lines = _rows.lines(cost, tuple(months))
    on_demand = OnDemand.of(lines, prices or {}, currency)
    known = _products(lines, products or {})
    spans, fees = _rows.spans(cost), monthly_fees(cost, lines)
    rows: list[dict[str, object]] = []
    for month, money in sorted({(x.month, x.currency) for x in lines}):
        here = [x for x in lines if (x.month, x.currency) == (month, money)]
        rows += _month(here, month, money, known, on_demand, spans, fees)
    frame = pd.DataFrame(rows, columns=list(REVIEW_COLUMNS))
    return CommitmentReview(frame, _by_commitment(lines, known, on_demand))


def _products(lines: Iterable[Line], given: Mapping[str, str]) -> dict[str, str]:
    """Product of each commitment: the inventory's word, else what its rows tell."""
    rows: dict[str, list[Line]] = {}
    for line in lines:
        if line.commitment:
            rows.setdefault(line.commitment, []).append(line)
    out = {}
    for name, mine in rows.items():
        owned = next((p for i, p in given.items() if same_commitment(name, i)), None)
        kind = next((x.kind for x in mine if x.kind), "")
        texts = {t for x in mine for t in (x.meter, x.service, x.name) if t and (x.is_fee or x.is_unused)}
        found = product_of(kind, texts, {x.pool for x in mine if not x.is_fee})
        out[name] = owned if owned is not None and owned in POOLS else found
    return out


def _month(
    here: Sequence[Line],
    month: str,
    currency: str,
    known: Mapping[str, str],
    on_demand: OnDemand,
    spans: Mapping[str, tuple[datetime, datetime, datetime, datetime]],
    fees: Mapping[tuple[str, str], int],
) -> list[dict[str, object]]:
    tallies: dict[str, _Tally] = {}
    by_pool: dict[str, int] = {}  # covered, by the pool of the usage
    for line in (x for x in here if x.commitment):
        product = known[line.commitment]
        for name in (product, ALL):
            tallies.setdefault(name, _Tally()).add(line, on_demand)
            tallies[name].pools |= set(POOLS.get(product, ())) | ({line.pool} if line.pool else set())
        value = on_demand.value(line) if line.is_used else None
        if value is not None and line.pool:
            by_pool[line.pool] = by_pool.get(line.pool, 0) + value.contracted
    total = tallies.setdefault(ALL, _Tally())
    total.pools |= set(COMPUTE)
    flags = _partial(month, spans)
    out = []
    for product in [*sorted(p for p in tallies if p != ALL), ALL]:
        tally = tallies[product]
        left = [x for x in here if x.is_open and x.pool in tally.pools]
        covered_by_any = sum(by_pool.get(p, 0) for p in tally.pools) + tally.unpooled
        said = (*flags, *_flags(tally, fees, month, currency))
        out.append(_row(month, currency, product, tally, left, covered_by_any, on_demand, said))
    return out


def _row(
    month: str, currency: str, product: str, tally: _Tally, left: Sequence[Line], covered_by_any: int,
    on_demand: OnDemand, flags: tuple[str, ...],
) -> dict[str, object]:  # fmt: skip
    values = [(x, on_demand.value(x)) for x in left]
    uncovered = sum(v.contracted for _, v in values if v is not None)
    committed = tally.used + tally.unused + tally.fees
    eligible = covered_by_any + uncovered
    saving = tally.covered - (committed - tally.unknown)
    listed = tally.listed - (committed - tally.unknown)
    return {
        "month": month,
        "currency": currency,
        "product": product,
        "coverage_frac": share(tally.covered, eligible),
        "utilisation_frac": share(tally.used, committed),
        "effective_savings_rate_frac": share(saving, eligible),
        "on_demand_equivalent": to_decimal(tally.covered),
        "committed": to_decimal(committed),
        "unused": to_decimal(committed - tally.used),
        "saving": to_decimal(saving),
        "uncovered": to_decimal(uncovered),
        "flags": "; ".join(flags),
        "eligible": to_decimal(eligible),
        "on_demand_list": to_decimal(tally.listed),
        "covered_savings_rate_frac": share(saving, tally.covered),
        "list_savings_rate_frac": share(listed, tally.listed),
        "unknown": to_decimal(tally.unknown),
        "rows_used": tally.rows_used,
        "rows_unused": tally.rows_unused,
        "rows_uncovered": sum(x.rows for x, v in values if v is not None),
    }


def share(part: int, whole: int) -> float | None:
    """``part`` of ``whole``, to a millionth; None where there is no whole."""
    if whole <= 0:
        return None
    return float(round(EXACT.divide(Decimal(part), Decimal(whole)), _DIGITS))


def _flags(tally: _Tally, fees: Mapping[tuple[str, str], int], month: str, currency: str) -> tuple[str, ...]:
    found = list(_on_demand.words(tally.bases))
    if tally.rows_unknown:
        money = to_decimal(tally.unknown)
        found.append(
            f"on-demand cost unknown for {tally.rows_unknown} row(s) ({money:,.2f} {currency} committed): "
            "left out of coverage and saving"
        )
    if tally.rows_without_status:
        found.append(f"{tally.rows_without_status} row(s) without a commitment status are taken as used")
    if tally.fees:
        found.append(
            f"purchases carry an effective cost of {to_decimal(tally.fees):,.2f} {currency}: counted as unused"
        )
    expected = sum(fees.get((i, month), 0) for i in tally.ids)
    carried = tally.used + tally.unused + tally.fees
    if expected > carried * (1 + _FEE_TOLERANCE) and expected > 0:
        found.append(
            f"fees of the month are {to_decimal(expected):,.2f} {currency}, usage carries "
            f"{to_decimal(carried):,.2f}: rows of unused commitment may be missing"
        )
    if len(tally.payers) > 1:
        found.append(f"{len(tally.payers)} payers: a commitment pays for usage of its own payer only")
    return tuple(found)


def _partial(month: str, spans: Mapping[str, tuple[datetime, datetime, datetime, datetime]]) -> tuple[str, ...]:
    if month not in spans:
        return ()
    start, end, first, last = spans[month]
    whole, seen = (end - start).days, (min(last, end) - max(first, start)).days
    return (f"usage rows span {seen} of {whole} days",) if seen < whole else ()


def _by_commitment(lines: Sequence[Line], known: Mapping[str, str], on_demand: OnDemand) -> pd.DataFrame:
    tallies: dict[tuple[str, str, str, str], _Tally] = {}
    for line in (x for x in lines if x.commitment):
        key = (line.month, line.currency, line.commitment, line.payer)
        tallies.setdefault(key, _Tally()).add(line, on_demand)
    rows = [
        (
            *key, known[key[2]], to_decimal(t.used), to_decimal(t.unused + t.fees), to_decimal(t.covered),
            t.rows_used + t.rows_unused,
        )
        for key, t in sorted(tallies.items())
    ]  # fmt: skip
    return pd.DataFrame(rows, columns=list(COMMITMENT_COLUMNS))


def review_in_total(frame: pd.DataFrame) -> pd.DataFrame:
    """The months of a review added up, by currency and product: ``months`` ("2025-09 to 2026-09"), then its columns."""
    rows = []
    for (currency, product), part in frame.groupby(["currency", "product"], sort=True):
        money = {c: sum(quantize(v) for v in part[c]) for c in MONEY_COLUMNS}
        known = money["committed"] - money["unknown"]
        said = sorted({f for text in part["flags"] for f in str(text).split("; ") if f})
        span = [str(part["month"].min()), str(part["month"].max())]
        rows.append(
            {
                "months": " to ".join(dict.fromkeys(span)),
                "currency": currency,
                "product": product,
                "coverage_frac": share(money["on_demand_equivalent"], money["eligible"]),
                "utilisation_frac": share(money["committed"] - money["unused"], money["committed"]),
                "effective_savings_rate_frac": share(money["saving"], money["eligible"]),
                **{c: to_decimal(v) for c, v in money.items()},
                "flags": f"{len(said)} remark(s) on single months" if said else "",
                "covered_savings_rate_frac": share(money["saving"], money["on_demand_equivalent"]),
                "list_savings_rate_frac": share(money["on_demand_list"] - known, money["on_demand_list"]),
                **{c: int(part[c].sum()) for c in ("rows_used", "rows_unused", "rows_uncovered")},
            }
        )
    return pd.DataFrame(rows, columns=["months", *REVIEW_COLUMNS[1:]])
