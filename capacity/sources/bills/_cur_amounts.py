"""The amounts of AWS's line items: four costs, prices and quantities, all as exact decimals."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

from capacity.schemas import MONEY
from capacity.sources import _convert
from capacity.sources.bills import _cur_rules as rules
from capacity.sources.bills._cur_lines import Lines

# Sums and products in 256 bits: Arrow's decimal128 has no digit to spare.
_WIDE = pa.decimal256(38, MONEY.scale)
_FACTOR = pa.decimal256(37, MONEY.scale)
_ZERO = pa.scalar(0, MONEY)


def columns(lines: Lines, *, exact: bool) -> dict[str, pa.Array]:
    """The four costs and five quantities and prices of each line; ``exact`` refuses to round what is billed."""
    billed = pc.coalesce(lines.amount(rules.NET_UNBLENDED, exact=exact), lines.amount(rules.UNBLENDED, exact=exact))
    listed = _list_cost(lines, billed)
    use, amount = lines.is_use, lines.amount(rules.AMOUNT)
    priced = pc.or_(use, lines.is_category("Purchase"))
    units = pc.if_else(lines.of(rules.RESERVATION_FEE), lines.amount(rules.RESERVED_UNITS, rules.AMOUNT), amount)
    at_own_rate = lines.of(rules.USAGE, rules.COVERED)
    return {
        "BilledCost": billed,
        "EffectiveCost": _effective(lines, billed),
        "ListCost": listed,
        "ContractedCost": pc.if_else(
            lines.of(rules.NEGATION), _ZERO, pc.if_else(lines.of(rules.RESERVED), listed, billed)
        ),
        "ListUnitPrice": lines.where(use, lines.amount(rules.LIST_RATE)),
        "ContractedUnitPrice": lines.where(at_own_rate, lines.amount(rules.UNBLENDED_RATE)),
        "PricingQuantity": lines.where(priced, units),
        "ConsumedQuantity": lines.where(use, amount),
        "CommitmentDiscountQuantity": _commitment_quantity(lines),
    }


def _list_cost(lines: Lines, billed: pa.Array) -> pa.Array:
    """At public on-demand prices: AWS's own figure of usage; what has no list price, such as tax, as billed."""
    rate = product(lines.amount(rules.LIST_RATE), lines.amount(rules.AMOUNT))
    usage = pc.coalesce(lines.amount(rules.LIST_COST), rate, billed)
    # The covered usage has the list cost already; a discount is not part of a list price.
    nothing = pc.and_(lines.is_category("Usage"), pc.invert(lines.is_use))
    return pc.if_else(lines.is_use, usage, pc.if_else(nothing, _ZERO, billed))


def _effective(lines: Lines, billed: pa.Array) -> pa.Array:
    """Amortised: usage carries its share of a commitment, and what buys the commitment carries nothing."""
    covered, reserved = lines.of(rules.COVERED), lines.of(rules.RESERVED)
    plan, share = lines.amount(*rules.PLAN_COST), lines.amount(*rules.RESERVED_COST)
    for mask, found, column in ((covered, plan, rules.PLAN_COST[1]), (reserved, share, rules.RESERVED_COST[1])):
        absent = pc.and_(mask, pc.is_null(found))
        if pc.any(absent).as_py():
            raise lines.corrupt(
                column, _convert.first(absent), None, "the amortised cost; let the report include Savings Plans and "
                "reservation columns"
            )  # fmt: skip
    bought = pc.or_(
        lines.of(rules.NEGATION, rules.PLAN_UPFRONT),
        pc.and_(lines.of(rules.FEE, rules.RESERVATION_FEE, rules.PLAN_FEE), pc.is_valid(lines.commitment)),
    )
    # A fee that names no commitment cannot be told apart from others: what went unused of it stays on its own line.
    nameless = pc.and_(lines.of(rules.RESERVATION_FEE, rules.PLAN_FEE), pc.is_null(lines.commitment))
    rest = pc.if_else(nameless, unused(lines), billed)
    return pc.if_else(covered, plan, pc.if_else(reserved, share, pc.if_else(bought, _ZERO, rest)))


def unused(lines: Lines) -> pa.Array:
    """What a fee's line says was paid for and not used; 0 on other lines."""
    committed, used = (_or_zero(lines.amount(c)) for c in (rules.PLAN_COMMITTED, rules.PLAN_USED))
    plan = pc.cast(pc.subtract(committed.cast(_WIDE), used.cast(_WIDE)), MONEY)
    upfront, recurring = (_or_zero(lines.amount(*c)) for c in (rules.UNUSED_UPFRONT, rules.UNUSED_RECURRING))
    reserved = pc.cast(pc.add(upfront.cast(_WIDE), recurring.cast(_WIDE)), MONEY)
    return pc.if_else(lines.of(rules.PLAN_FEE), plan, pc.if_else(lines.of(rules.RESERVATION_FEE), reserved, _ZERO))


def unused_quantity(lines: Lines, amount: pa.Array) -> pa.Array:
    """In the commitment's unit: currency of a Savings Plan, units of a reservation."""
    units = pc.if_else(lines.has_normalised, lines.amount(rules.UNUSED_NORMALISED), lines.amount(rules.UNUSED_UNITS))
    return pc.if_else(pc.is_valid(lines.plan), amount, units)


def _commitment_quantity(lines: Lines) -> pa.Array:
    """Used or bought, in the commitment's unit; the negation of covered usage counts nothing."""
    flexible = lines.has_normalised
    used = pc.if_else(flexible, lines.amount(rules.NORMALISED_AMOUNT), lines.amount(rules.AMOUNT))
    bought = pc.if_else(flexible, lines.amount(rules.RESERVED_NORMALISED), lines.amount(rules.RESERVED_UNITS))
    of_plan = pc.if_else(
        lines.of(rules.COVERED),
        lines.amount(rules.PLAN_COST[1]),
        lines.where(lines.of(rules.PLAN_FEE, rules.PLAN_UPFRONT), lines.amount(rules.UNBLENDED)),
    )
    of_reservation = pc.if_else(lines.of(rules.RESERVED), used, lines.where(lines.of(rules.RESERVATION_FEE), bought))
    null = pa.scalar(None, MONEY)
    chosen = pc.if_else(
        pc.is_valid(lines.plan), of_plan, pc.if_else(pc.is_valid(lines.reservation), of_reservation, null)
    )
    return pc.if_else(lines.of(rules.NEGATION), null, chosen)


def product(one: pa.Array, other: pa.Array) -> pa.Array:
    """``one`` times ``other``, rounded half to even to 12 decimals."""
    exact = pc.multiply(one.cast(_FACTOR), other.cast(_WIDE))
    return pc.cast(pc.round(exact, MONEY.scale, "half_to_even"), MONEY)


def _or_zero(array: pa.Array) -> pa.Array:
    return pc.fill_null(array, _ZERO)
