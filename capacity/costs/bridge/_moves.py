"""The states of one SKU between two periods: its cost after one factor after the other has moved.

Costs are whole 1e-12. A product of whole numbers is divided once and rounded once; where prices are
missing or a part is covered, Decimals of 60 digits are rounded once. What is equal by the formula is equal.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import ROUND_FLOOR, Decimal

from capacity.costs.bridge._facts import LISTED, OTHER, PAID, PLAIN, E, Fact, Q, Thing, thing
from capacity.costs.bridge._result import TERMS, States

Fraction = tuple[int, int]
ONE: Fraction = (1, 1)
ZERO = Decimal(0)
_HALF = Decimal("0.5")


def rounded(numerator: int, denominator: int) -> int:
    """The quotient (``denominator`` > 0), halves up."""
    return (numerator + (denominator >> 1)) // denominator


def in_one_term(start: int, end: int, term: str, volume: Fraction = ONE) -> States:
    """All of a change in ``term``, but for what ``volume`` (more or fewer months) makes of the start."""
    at = TERMS.index(term)
    grown = start if volume == ONE else rounded(start * volume[0], volume[1])
    return start, *[grown] * at, *[end] * (len(TERMS) - at)


@dataclass(frozen=True)
class Move:
    """SKUs that are compared: growth of their quantity and of the driver, and the prices of what lost work."""

    scale: Fraction
    growth: Fraction
    losers: Fact

    def states(self, old: Thing | None, new: Thing | None) -> States:
        """Start, and the state after each term, of one SKU."""
        end = new[E] if new else 0
        if old is None:
            mixed, listed, paid = _as_new(self.losers, new) if new else (0, 0, 0)
            return 0, 0, 0, mixed, listed, paid, end, end, end
        start = old[E]
        grown = rounded(start * self.growth[0], self.growth[1])
        asked = grown if self.scale is self.growth else rounded(start * self.scale[0], self.scale[1])
        if new is None:
            return start, asked, grown, 0, 0, 0, 0, 0, 0
        mixed = rounded(start * new[Q], old[Q])
        if old[OTHER] is None and new[OTHER] is None:
            listed, paid = _repriced(old, new)
        else:
            listed, paid = _partly_covered(old, new, mixed)
        return start, asked, grown, mixed, listed, paid, end, end, end


def money_states(start: int, end: int, scale: Fraction | None) -> States:
    """Money without a quantity: demand explains what it does at the old cost a unit, the rest is the cost a unit.

    Where demand is not known (``scale`` None) all of the change is volume. Prices cannot be told from use.
    """
    if not start or not end:
        return in_one_term(start, end, "new_and_ended")
    grown = end if scale is None else rounded(start * scale[0], scale[1])
    return start, grown, *[end] * (len(TERMS) - 1)


def _whole(value: Decimal) -> int:
    return int((value + _HALF).to_integral_value(ROUND_FLOOR))


# --- a SKU of both periods ---------------------------------------------------------------------------------


def _repriced(old: Thing, new: Thing) -> tuple[int, int]:
    """The states after list_rate and after negotiated_rate, of the new quantity; nothing is covered."""
    one, other = old[PLAIN], new[PLAIN]
    if one is None or other is None:
        return new[E], new[E]  # neither happens: a thing has a part
    if one[LISTED] and one[PAID] and other[LISTED] and other[PAID]:
        # q1/q0 e0 x (l1/q1)/(l0/q0) = e0 l1/l0, and the same with the discounts' ratio: e0 c1/c0.
        effective = one[E]
        if one[LISTED] > 0 and one[PAID] > 0:
            return (
                rounded(effective * other[LISTED], one[LISTED]), rounded(effective * other[PAID], one[PAID])
            )  # fmt: skip
        return _times(effective, other[LISTED], one[LISTED]), _times(effective, other[PAID], one[PAID])
    return _Rates.of(one, other).after_prices()


def _times(amount: int, numerator: int, denominator: int) -> int:
    sign = 1 if denominator > 0 else -1
    return rounded(sign * amount * numerator, sign * denominator)


def _partly_covered(old: Thing, new: Thing, mixed: int) -> tuple[int, int]:
    """What was plain moves with its price; what was covered only as far as its own rate really moved.

    A commitment's rate is fixed: a new price list leaves it alone, and what it is worth is in commitment_rate. Where
    a discount is given on commitments too, their rate moves with it, and is in negotiated_rate. A price that is the
    same in both periods leaves the state, ``mixed``, as it is.
    """
    scaled = Decimal(new[Q]) / old[Q]
    listed, paid, at_list, at_paid = _plain_ratios(old, new)
    still = old[PLAIN][E] * scaled if old[PLAIN] is not None else ZERO
    if listed == 1 and paid == 1 and still == at_list == at_paid:
        return mixed, mixed
    covered_list = covered_paid = ZERO
    if old[OTHER] is not None and old[OTHER][Q]:
        then = Decimal(old[OTHER][E]) / old[OTHER][Q]
        now = then
        if new[OTHER] is not None and new[OTHER][Q]:
            now = Decimal(new[OTHER][E]) / new[OTHER][Q]
        kept = old[OTHER][Q] * scaled
        rate = sorted((then, now, then * listed))[1]
        covered_list, covered_paid = kept * rate, kept * sorted((rate, now, rate * paid))[1]
    elif old[OTHER] is not None:
        covered_list = covered_paid = Decimal(old[OTHER][E])
    return _whole(at_list + covered_list), _whole(at_paid + covered_paid)


def _plain_ratios(old: Thing, new: Thing) -> tuple[Decimal, Decimal, Decimal, Decimal]:
    """(list price new / old, paid share of it new / old, old plain part at the new list price, and at the new share).

    A price that one period does not know, since all is covered there, is that of the other.
    """
    one, other = old[PLAIN], new[PLAIN]
    if one is None or not one[Q]:
        before, after = _list_price(old), _list_price(new)
        kept = Decimal(one[E]) if one else ZERO
        return (after / before if before and after else Decimal(1)), Decimal(1), kept, kept
    scaled = Decimal(new[Q]) / old[Q]
    if other is not None and one[LISTED] and one[PAID] and other[LISTED] and other[PAID] and other[Q]:
        listed = Decimal(other[LISTED] * one[Q]) / (one[LISTED] * other[Q])
        paid = Decimal(other[PAID] * one[LISTED]) / (other[LISTED] * one[PAID])
        at_list = one[E] * scaled * listed
        return listed, paid, at_list, at_list * paid
    if other is None or not other[Q]:
        before, after = _list_price(thing(one, None)), _list_price(new)
        listed = after / before if before and after else Decimal(1)
        at_list = one[E] * scaled * listed
        return listed, Decimal(1), at_list, at_list
    rates = _Rates.of(one, other)
    share = one[Q] * scaled / other[Q]
    at_list, at_paid = (x * share for x in rates.exactly())
    return rates.list_ratio(one[Q], other[Q]), rates.paid_ratio(), at_list, at_paid


def _list_price(one: Thing) -> Decimal | None:
    """List price a unit, in 1e-12 an 1e-12; None where no row tells it."""
    plain, other = one[PLAIN], one[OTHER]
    if plain is not None and plain[LISTED] and plain[Q]:
        return Decimal(plain[LISTED]) / plain[Q]
    if other is not None and other[LISTED] and other[Q] and other[LISTED] != other[E]:
        return Decimal(other[LISTED]) / other[Q]
    return None


# --- a SKU that was not there ------------------------------------------------------------------------------


def _as_new(losers: Fact, new: Thing) -> tuple[int, int, int]:
    """After mix at its own list price and the losers' discounts; list_rate is nothing; then its own discount."""
    listed, paid, effective = whole(new)
    rates = _Rates.of(losers, (listed, _own_share(losers, new, listed, paid), new[Q], effective))
    mixed, negotiated = rates.after_prices()
    return mixed, mixed, negotiated


def _own_share(losers: Fact, new: Thing, listed: int | None, paid: int | None) -> int | None:
    """Contracted cost; of what is wholly covered and does not say, that of the losers' discount."""
    if new[PLAIN] is not None or (new[OTHER] is not None and _says_paid(new[OTHER])):
        return paid
    if not listed or not losers[LISTED] or losers[PAID] is None:
        return paid
    return _times(listed, losers[PAID], losers[LISTED])


def _says_paid(covered: Fact) -> bool:
    """Whether the contracted cost of covered usage is one: bills write zero or the commitment's own rate there."""
    return bool(covered[PAID]) and covered[PAID] != covered[E]


def whole(one: Thing) -> tuple[int | None, int | None, int]:
    """(list, contracted, effective) of a thing, with the covered part at the prices of the plain one.

    Bills write zero, nothing, or the commitment's own rate as the list and contracted cost of covered usage.
    """
    plain, other = one[PLAIN], one[OTHER]
    if other is None:
        return plain[LISTED] if plain else None, plain[PAID] if plain else None, one[E]
    price = _list_price(one)
    listed = None if price is None else _whole(price * other[Q])
    paid = listed
    if plain is not None:
        if listed is not None and plain[LISTED] and plain[PAID] is not None:
            paid = _whole(Decimal(listed) * plain[PAID] / plain[LISTED])
        listed = None if listed is None or plain[LISTED] is None else listed + plain[LISTED]
        paid = None if paid is None or plain[PAID] is None else paid + plain[PAID]
    elif listed is not None and _says_paid(other):
        paid = other[PAID]
    return listed, paid, one[E]


def losers_of(
    old: Mapping[str, Thing], new: Mapping[str, Thing], growth: Fraction, weights: Mapping[str, int] | None
) -> Fact:
    """What the SKUs that lost work cost, each in proportion to what it lost: the prices that new ones are held to."""
    listed, paid, effective = ZERO, ZERO, ZERO
    no_list = no_paid = False
    price = _price_of_new(old, new, weights)
    for sku, one in old.items():
        left = new[sku][Q] if sku in new else 0
        lost = Decimal(one[Q] * growth[0]) / growth[1] - left
        if lost <= 0:
            continue
        share = lost / one[Q]
        li, co, e = whole(one)
        if li is None and one[PLAIN] is None and price is not None:
            li = co = _whole(
                price * one[Q] * (weights[sku] if weights else 1)
            )  # only ever covered: worth what took its place
        no_list, no_paid = no_list or li is None, no_paid or co is None
        listed, paid, effective = listed + share * (li or 0), paid + share * (co or 0), effective + share * e
    # Scaled up so that whole numbers keep the ratios.
    listed, paid, effective = (x.scaleb(30) for x in (listed, paid, effective))
    return None if no_list else _whole(listed), None if no_paid else _whole(paid), 1, _whole(effective)


def _price_of_new(
    old: Mapping[str, Thing], new: Mapping[str, Thing], weights: Mapping[str, int] | None
) -> Decimal | None:
    listed = quantity = 0
    for sku, one in new.items():
        if sku not in old:
            found = whole(one)[0]
            if found is None:
                return None
            listed, quantity = listed + found, quantity + one[Q] * (weights[sku] if weights else 1)
    return Decimal(listed) / quantity if quantity else None


# --- prices ------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Rates:
    """Ratios of one SKU in two periods; a ratio over zero is taken from the other period."""

    old_list: Decimal
    new_list: Decimal
    negotiated: tuple[Decimal, Decimal]  # contracted / list, old and new
    commitment: Decimal  # effective / contracted, old

    @classmethod
    def of(cls, old: Fact, new: Fact) -> _Rates:
        (l0, c0, e0), (l1, c1, e1) = _known_costs(old, new)
        return cls(l0, l1, (_ratio(c0, l0, c1, l1), _ratio(c1, l1, c0, l0)), _ratio(e0, c0, e1, c1))

    def exactly(self) -> tuple[Decimal, Decimal]:
        """The new quantity after list_rate and after negotiated_rate."""
        at_old, at_new = (self.new_list * n * self.commitment for n in self.negotiated)
        return at_old, at_new

    def after_prices(self) -> tuple[int, int]:
        """:meth:`exactly`, as states."""
        at_old, at_new = self.exactly()
        return _whole(at_old), _whole(at_new)

    def list_ratio(self, old_quantity: int, new_quantity: int) -> Decimal:
        """New list price over old; 1 where one of them is nothing."""
        if not self.old_list or not self.new_list:
            return Decimal(1)
        return self.new_list / new_quantity / (self.old_list / old_quantity)

    def paid_ratio(self) -> Decimal:
        """New share of the list price that is paid, over the old one."""
        return self.negotiated[1] / self.negotiated[0] if self.negotiated[0] else Decimal(1)


def _ratio(top: Decimal, bottom: Decimal, other_top: Decimal, other_bottom: Decimal) -> Decimal:
    if bottom:
        return top / bottom
    return other_top / other_bottom if other_bottom else Decimal(1)


def _known_costs(*facts: Fact) -> list[tuple[Decimal, Decimal, Decimal]]:
    """(list, contracted, effective) of each period; a column that any of them lacks is replaced in all of them."""
    list_known = all(_is_known(f[LISTED], f[E]) for f in facts)
    paid_known = all(_is_known(f[PAID], f[E]) for f in facts)
    out = []
    for f in facts:
        listed, paid, effective = Decimal(f[LISTED] or 0), Decimal(f[PAID] or 0), Decimal(f[E])
        if not paid_known:
            paid = listed if list_known else effective
        out.append((listed if list_known else paid, paid, effective))
    return out


def _is_known(cost: int | None, effective: int) -> bool:
    """Bills write zero for "not known" too: a zero beside a real cost is no price."""
    return cost is not None and (cost != 0 or effective == 0)
