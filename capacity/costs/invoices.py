"""The invoice of each month and currency against what was allocated, and the private discounts it shows."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from capacity.config import InvoiceConfig
from capacity.costs._columns import encode, encode_month, group_rows
from capacity.costs._money import EXACT, sums_by_group, to_decimals
from capacity.costs.allocation import Allocation
from capacity.costs.attribution import Attribution
from capacity.costs.totals import bill_totals

INVOICE_COLUMNS = (
    "month", "currency", "account", "invoice_total", "total_from", "number", "direct", "shared", "unallocated",
    "difference", "ties", "words",
)  # fmt: skip
DISCOUNT_COLUMNS = (
    "month", "currency", "provider_service", "list_cost", "contracted_cost", "discount", "discount_frac", "rows",
    "rows_without_list",
)  # fmt: skip
ALL_ACCOUNTS = "(all)"
_PLACES = Decimal(1).scaleb(-9)
_PARTS = ("direct", "shared", "unallocated")


def invoice_ties(
    cost: pa.Table, allocation: Allocation, invoices: Sequence[InvoiceConfig], currency: str
) -> pd.DataFrame:
    """Each billing month and currency: the invoice against direct + shared + unallocated BilledCost.

    Parameters
    ----------
    cost
        The bill; its own total is taken from its rows and not from the allocation.
    invoices
        Totals entered by hand; one without an account is of all accounts of its month and currency. Several of the
        same month, currency and account are added up, and their tolerances with them.
    currency
        Of an entered invoice that names none.

    Returns
    -------
    DataFrame
        month (of the billing period, YYYY-MM), currency, account (or "(all)"), invoice_total (Decimal), total_from
        (entered, or bill where none was entered), number, direct, shared, unallocated (Decimal BilledCost),
        difference (allocated and unallocated less the invoice), ties, words. An entered invoice of a month that the
        bill does not have stands with zeros and does not tie.

    Notes
    -----
    An invoice is cash: BilledCost. EffectiveCost spreads purchases over their term and equals it only over the term.
    """
    found = _by_account(allocation)
    billed = _billed(cost)
    entered = _together(invoices, currency)
    keys = {*entered, *((month, in_currency, ALL_ACCOUNTS) for month, in_currency, _ in billed)}
    rows = []
    for key in sorted(keys):
        mine = [amounts for k, amounts in found.items() if _is_of(k, key)]
        parts = {p: _sum(m.get(p, Decimal(0)) for m in mine) for p in _PARTS}
        invoice = entered.get(key)
        bill = _sum(amount for k, amount in billed.items() if _is_of(k, key))
        total = bill if invoice is None else invoice.amount
        difference = EXACT.subtract(_sum(parts.values()), total)
        ties = abs(difference) <= (invoice.tolerance if invoice else Decimal(0)) and bool(mine)
        text = _words(key, invoice, difference, ties, is_billed=bool(mine))
        source, number = ("entered", invoice.number) if invoice else ("bill", "")
        rows.append((*key, total, source, number, *(parts[p] for p in _PARTS), difference, ties, text))
    return pd.DataFrame(rows, columns=list(INVOICE_COLUMNS))


def _together(invoices: Sequence[InvoiceConfig], currency: str) -> dict[tuple[str, str, str], InvoiceConfig]:
    """By (month, currency, account): several invoices of one month (a marketplace's, tax apart) are added up."""
    out: dict[tuple[str, str, str], InvoiceConfig] = {}
    for invoice in invoices:
        key = (invoice.month, invoice.currency or currency, invoice.account or ALL_ACCOUNTS)
        before = out.get(key)
        if before is not None:
            invoice = before.model_copy(
                update={
                    "amount": EXACT.add(before.amount, invoice.amount),
                    "tolerance": EXACT.add(before.tolerance, invoice.tolerance),
                    "number": ", ".join(n for n in (before.number, invoice.number) if n),
                }
            )
        out[key] = invoice
    return out


def _is_of(key: tuple[str, str, str], wanted: tuple[str, str, str]) -> bool:
    return key[:2] == wanted[:2] and wanted[2] in (ALL_ACCOUNTS, key[2])


def _by_account(allocation: Allocation) -> dict[tuple[str, str, str], dict[str, Decimal]]:
    """BilledCost by (billing month, currency, account) and kind."""
    lines = allocation.lines
    keys = {
        "month": encode_month(lines.column("BillingPeriodStart")),
        "currency": encode(lines.column("BillingCurrency")),
        "account": encode(lines.column("BillingAccountId")),
        "kind": encode(lines.column("kind")),
    }
    grouping = group_rows([(c.codes, c.cardinality) for c in keys.values()], lines.num_rows)
    sums = to_decimals(sums_by_group(lines, grouping.group, grouping.count, ("BilledCost",))["BilledCost"])
    named = [c.take(grouping.first_row).to_pylist() for c in keys.values()]
    out: dict[tuple[str, str, str], dict[str, Decimal]] = {}
    for month, in_currency, account, kind, amount in zip(*named, sums, strict=True):
        out.setdefault((str(month), str(in_currency), str(account)), {})[str(kind)] = amount
    return out


def _billed(cost: pa.Table) -> dict[tuple[str, str, str], Decimal]:
    """BilledCost of the rows of the bill, by (billing month, currency, account)."""
    out: dict[tuple[str, str, str], Decimal] = {}
    columns = ["BillingPeriodStart", "BillingCurrency", "BillingAccountId", "BilledCost"]
    for start, in_currency, account, amount in bill_totals(cost)[columns].itertuples(index=False, name=None):
        key = (f"{start:%Y-%m}", str(in_currency), str(account))
        out[key] = EXACT.add(out.get(key, Decimal(0)), amount)
    return out


def _words(
    key: tuple[str, str, str], invoice: InvoiceConfig | None, difference: Decimal, ties: bool, *, is_billed: bool
) -> str:
    month, in_currency, account = key
    whose = "" if account == ALL_ACCOUNTS else f" of account {account}"
    if not is_billed:
        return f"there is no bill{whose} of {month} in {in_currency} to hold this invoice to; ingest it"
    if invoice is None:
        said = "are the sum of the bill's rows, exactly" if ties else f"are {difference:+,f} from the bill's rows"
        return f"allocated and unallocated together {said}; no invoice total was entered"
    if ties:
        left = (
            "exactly"
            if difference == 0
            else f"within its {invoice.tolerance:f} of rounding (the bill is {_cents(abs(difference))} off)"
        )
        return f"ties to the invoice {left}"
    more = "more" if difference > 0 else "less"
    return (
        f"the bill{whose} has {_cents(abs(difference))} {in_currency} {more} than the invoice: "
        "look for a missing or doubled export, another billing account, or tax that is invoiced apart"
    )


def _cents(amount: Decimal) -> str:
    """With cents, and every digit that is not a zero behind them."""
    whole, _, part = f"{amount:,f}".partition(".")
    return f"{whole}.{part.rstrip('0').ljust(2, '0')}"


def private_discounts(attribution: Attribution) -> pd.DataFrame:
    """What was negotiated: Contracted over List of usage, by charge month, currency and the provider's service.

    Only pieces of usage whose every row knows both are compared: bills leave List or Contracted cost empty, or zero,
    where they do not know it. Commitments come after this: they move Effective, not Contracted, cost.

    Returns
    -------
    DataFrame
        month, currency, provider_service ("(all)" for the month's total, which comes first), list_cost,
        contracted_cost, discount (Decimal), discount_frac (Decimal of 9 places, None where the list cost is zero),
        rows (compared), rows_without_list (usage that could not be).
    """
    pieces = attribution.pieces
    usage = pieces.filter(pc.fill_null(pc.equal(pieces.column("ChargeCategory"), "Usage"), False))
    # What a spot instance is cheaper by is the market's doing and was negotiated by nobody.
    usage = usage.filter(pc.invert(pc.fill_null(pc.equal(usage.column("PricingCategory"), "Dynamic"), False)))
    # Nor is what a commitment covers: bills give it its committed rate, or nothing, as its contracted price.
    usage = usage.filter(pc.is_null(usage.column("CommitmentDiscountStatus")))
    if not usage.num_rows:
        return pd.DataFrame(columns=list(DISCOUNT_COLUMNS))
    nulls = usage.column("ListCost_nulls").to_numpy() + usage.column("ContractedCost_nulls").to_numpy()
    # A zero beside a price, or beside a real cost, is no price.
    zero = [
        (listed == 0 or contracted == 0) and bool(listed or contracted or effective)
        for listed, contracted, effective in zip(
            *(to_decimals(usage.column(c)) for c in ("ListCost", "ContractedCost", "EffectiveCost")), strict=True
        )
    ]
    known = (nulls == 0) & ~np.array(zero, bool)
    totals: dict[tuple[str, str, str], _Discount] = {}
    columns = [usage.column(c).to_pylist() for c in ("month", "BillingCurrency", "ServiceName", "rows")]
    money = [to_decimals(usage.column(c)) for c in ("ListCost", "ContractedCost")]
    for month, currency, service, rows, listed, contracted, is_known in zip(*columns, *money, known, strict=True):
        for name in (ALL_ACCOUNTS, str(service or "(no name)")):
            total = totals.setdefault((str(month), str(currency), name), _Discount())
            total.add(listed, contracted, int(rows), bool(is_known))
    order = sorted(totals, key=lambda k: (k[0], k[1], k[2] != ALL_ACCOUNTS, -totals[k].listed, k[2]))
    return pd.DataFrame([(*k, *totals[k].row()) for k in order], columns=list(DISCOUNT_COLUMNS))


@dataclass
class _Discount:
    listed: Decimal = Decimal(0)
    contracted: Decimal = Decimal(0)
    rows: int = 0
    without: int = 0

    def add(self, listed: Decimal, contracted: Decimal, rows: int, is_known: bool) -> None:
        if not is_known:
            self.without += rows
            return
        self.listed, self.contracted = EXACT.add(self.listed, listed), EXACT.add(self.contracted, contracted)
        self.rows += rows

    def row(self) -> tuple[Decimal, Decimal, Decimal, Decimal | None, int, int]:
        discount = EXACT.subtract(self.listed, self.contracted)
        share = EXACT.divide(discount, self.listed).quantize(_PLACES, context=EXACT) if self.listed else None
        return self.listed, self.contracted, discount, share, self.rows, self.without


def _sum(amounts: Iterable[Decimal]) -> Decimal:
    total = Decimal(0)
    for amount in amounts:
        total = EXACT.add(total, amount)
    return total
