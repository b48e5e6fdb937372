"""What the model says today's fleet costs, against the last closed month of the bill."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from decimal import Decimal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from capacity.costs._columns import encode, encode_month
from capacity.costs._money import EXACT, quantize, to_decimal, to_units
from capacity.costs._patterns import compile_whole, whole_matches
from capacity.costs.attribution import PIECE_KEY, Attribution
from capacity.domain import TieOut
from capacity.errors import CorruptDataError, MissingDataError, UsageError

# FOCUS: instances are usage of the category Compute; disks, transfer and load balancers have categories of their own.
COMPUTE: Mapping[str, str] = {"ServiceCategory": "Compute", "ChargeCategory": "Usage"}
# A model within this of the bill is trusted with a plan; rate cards and bills round differently by about 1 %.
THRESHOLD_FRAC = 0.03


def tie_out(
    cost: pa.Table,
    attribution: Attribution,
    month: str,
    modelled_compute_usd: Decimal,
    compute: Mapping[str, str] = COMPUTE,
    threshold: float = THRESHOLD_FRAC,
    *,
    services: Collection[str] | None = None,
    currency: str | None = None,
) -> TieOut:
    """Compare the fleet's modelled cost with the bill's compute rows of one billing month.

    The modelled cost at list prices, times the private discount that the bill shows (Contracted over List of its
    compute rows), less what commitments took off those rows (Contracted - Effective of covered usage; an unused
    commitment adds its EffectiveCost) and what spot did, is compared with the EffectiveCost of the same rows.
    Everything else on the bill is a remainder by name, and compute + remainder = the bill exactly.

    Parameters
    ----------
    cost
        The bill, to check the remainder against.
    attribution
        Of the same bill.
    month
        Billing month (YYYY-MM).
    modelled_compute_usd
        What the fleet that ran costs in that month at on-demand list prices, in the bill's currency.
    compute
        Column of the attribution's pieces -> pattern that must match it whole.
    services
        Only rows attributed to these count as compute (the services that run on a modelled fleet); all services
        where absent. Compute rows of nobody or of a pool are never modelled, so they stand in the remainder.
    currency
        Needed where the month has more than one.

    Raises
    ------
    MissingDataError
        The month has no row.
    UsageError
        The month has several currencies and none was chosen, or ``compute`` names an unknown column.
    CorruptDataError
        ``attribution`` is not of this bill.
    """
    pieces = _of_month(attribution.pieces, month, currency)
    in_currency = pieces.column("BillingCurrency")[0].as_py()
    names = attribution.services if services is None else services
    is_compute = compute_rows(pieces, compute, names, month)
    effective = np.array(to_units(pieces.column("EffectiveCost")), object)
    billed = int(effective[is_compute].sum())
    remainder = _remainder(pieces.filter(pa.array(~is_compute)), effective[~is_compute], month)
    check_total(cost, month, in_currency, billed + sum(remainder.values()))
    discount, commitment_effect = discounts(pieces.filter(pa.array(is_compute)))
    modelled = quantize(EXACT.multiply(modelled_compute_usd, discount)) - commitment_effect
    difference = (modelled - billed) / abs(billed) if billed else float(bool(modelled))
    return TieOut(
        month=month,
        currency=in_currency,
        modelled=to_decimal(modelled),
        billed_effective=to_decimal(billed),
        private_discount_frac=float(1 - discount),
        remainder={n: to_decimal(v) for n, v in remainder.items()},
        difference_frac=float(difference),
        ties=bool(abs(difference) <= threshold),
    )


def _of_month(pieces: pa.Table, month: str, currency: str | None) -> pa.Table:
    period = encode_month(pieces.column("BillingPeriodStart"))
    found = pieces.filter(pa.array(period.codes == period.code_of(month)))
    if currency is not None:
        found = found.filter(pc.equal(found.column("BillingCurrency"), currency))
    if not found.num_rows:
        raise MissingDataError(f"no bill of {month}{f' in {currency}' if currency else ''}; ingest it, or name another")
    currencies = sorted(set(found.column("BillingCurrency").to_pylist()))
    if len(currencies) > 1:
        raise UsageError(f"the bill of {month} has {', '.join(currencies)}, which are not added: choose one currency")
    return found


def compute_rows(
    pieces: pa.Table, compute: Mapping[str, str], services: Collection[str], month: str
) -> npt.NDArray[np.bool_]:
    """Which pieces are a fleet's: of one of ``services``, of this month, matched by every pattern of ``compute``."""
    unknown = [c for c in compute if c not in PIECE_KEY]
    if unknown:
        raise UsageError(f"compute filter: unknown column {', '.join(unknown)}; known: {', '.join(PIECE_KEY)}")
    # A late correction of another month is on this bill, but not of the fleet that ran in this month.
    rows = pc.and_(
        pc.is_in(pieces.column("name"), pa.array(sorted(services), pa.string())),
        pc.and_(pc.equal(pieces.column("kind"), "service"), pc.equal(pieces.column("month"), month)),
    )
    out: npt.NDArray[np.bool_] = rows.to_numpy(zero_copy_only=False).copy()
    for column, pattern in compute.items():
        coded = encode(pieces.column(column))
        out &= np.concatenate([[False], whole_matches(compile_whole(pattern), coded.distinct)])[coded.codes]
    return out


def _remainder(pieces: pa.Table, effective: npt.NDArray[np.object_], month: str) -> dict[str, int]:
    """What is not modelled, by name, largest first."""
    columns = ("ChargeCategory", "ServiceCategory", "ServiceName", "CommitmentDiscountStatus", "month", "kind")
    totals: dict[str, int] = {}
    for *row, amount in zip(*(pieces.column(c).to_pylist() for c in columns), effective, strict=True):
        name = remainder_name(row, month)
        totals[name] = totals.get(name, 0) + amount
    named = {n: v for n, v in totals.items() if v}  # purchases cost nothing in the month that pays them
    return dict(sorted(named.items(), key=lambda item: (-abs(item[1]), item[0])))


def remainder_name(row: Sequence[str | None], bill_month: str) -> str:
    """What a row that is not modelled is called: storage by its provider's service, tax, credits, ..."""
    category, service_category, service, status, month, kind = row
    if category in ("Tax", "Credit", "Adjustment"):
        return {"Tax": "tax", "Credit": "credits", "Adjustment": "adjustments"}[str(category)]
    if month != bill_month:
        return "charges of other months"
    if status == "Unused":
        return "unused commitments"
    if category == "Purchase":
        return f"purchases: {service or 'no service named'}"
    shared = " (no service's own)" if service_category == "Compute" and kind != "service" else ""
    return f"{service_category or 'Other'}: {service or 'no service named'}{shared}"


def check_total(cost: pa.Table, month: str, currency: str, mine: int) -> None:
    """Raise where ``mine`` (whole 1e-12) is not the bill's EffectiveCost of the month."""
    period = encode_month(cost.column("BillingPeriodStart"))
    rows = pc.and_(pa.array(period.codes == period.code_of(month)), pc.equal(cost.column("BillingCurrency"), currency))
    bill = sum(to_units(cost.column("EffectiveCost").filter(rows)))
    if bill != mine:
        raise CorruptDataError(
            f"bill of {month}: EffectiveCost {to_decimal(bill)} {currency}, attributed {to_decimal(mine)}; "
            "attribute the same version of the bill"
        )


def discounts(compute: pa.Table) -> tuple[Decimal, int]:
    """Contracted over List of the compute rows, and what commitments and spot took off them (whole 1e-12).

    Spot (FOCUS: PricingCategory Dynamic) has a market price as its contracted one, which is no private discount.
    """
    columns = (compute.column(c).to_pylist() for c in ("CommitmentDiscountStatus", "PricingCategory"))
    unknown = (compute.column(f"{c}_nulls").to_pylist() for c in ("ListCost", "ContractedCost"))
    money = (to_units(compute.column(c)) for c in ("ListCost", "ContractedCost", "EffectiveCost"))
    total_list = total_contracted = spot_list = effect = 0
    for status, pricing, no_list, no_contracted, li, co, ef in zip(*columns, *unknown, *money, strict=True):
        if pricing == "Dynamic":
            spot_list += li
            effect -= ef
        elif status == "Unused":
            effect -= ef
        else:
            effect += co - ef if status is not None else 0
            if not no_list and not no_contracted:
                total_list, total_contracted = total_list + li, total_contracted + co
    ratio = EXACT.divide(Decimal(total_contracted), Decimal(total_list)) if total_list else Decimal(1)
    at_contract = EXACT.multiply(Decimal(spot_list), ratio)
    return ratio, effect + int(EXACT.to_integral_value(at_contract))
