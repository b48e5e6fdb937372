"""A bridge in sentences: the change, its largest terms, and who and what is behind them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from capacity import words as said
from capacity.costs._money import ONE
from capacity.costs.bridge._result import LINE_KEY, TERMS, Bridge, Row

# What a term is, for a reader who has not met it.
SPOKEN: Mapping[str, str] = {
    "volume": "volume (more or less was asked for)",
    "efficiency": "efficiency (resource used a unit of demand)",
    "mix": "mix (other machines and SKUs)",
    "list_rate": "list rate (the provider's prices)",
    "negotiated_rate": "negotiated rate (private discounts)",
    "commitment_rate": "commitment rate (reservations, Savings Plans, spot)",
    "new_and_ended": "new and ended",
    "one_off": "one-off (fees, tax, credits, refunds, purchases)",
}
LARGEST_TERMS, LARGEST_NAMES = 3, 2
# A term or a name that is less than this of all movement is not told by name.
LEAST_FRAC = 0.03
_NAME, _SERVICE, _SKU = (LINE_KEY.index(c) for c in ("name", "provider_service", "sku"))
_NOBODY = "(unallocated)"
# Charges that days bring.
_BY_TIME = ("usage", "unused", "fee")
# Less than half a cent is not said.
_LEAST = ONE // 200


def words(bridge: Bridge) -> tuple[str, ...]:
    """Three to six plain sentences a currency, the change first; amounts are rounded, the bridge is not.

    Each of the largest terms is told with the services that it is most of, and the provider service and SKU that is
    most of those. Then come the other terms together, the calendar, and what is not known.
    """
    out: list[str] = []
    currencies = sorted({group.currency for group, _, _ in bridge._rows})
    for currency in currencies:
        out += _of_currency(bridge, currency)
    out += _calendar(bridge, currencies)
    if bridge.without_driver:
        names = list(bridge.without_driver)
        shown = said.listed(names if len(names) <= 4 else [*names[:3], f"{len(names) - 3} more"])
        out.append(f"No count of demand is known in both periods for {shown}: change of quantity there is in volume.")
    if bridge.renamed:
        pairs = said.listed([f"{a} is now {b}" for a, b in bridge.renamed[:3]])
        out.append(f"Renamed by the provider, and compared as one: {pairs}.")
    return (*out, *bridge.notes)


def untold_words(untold: Mapping[str, tuple[int, int]]) -> tuple[str, ...]:
    """A sentence a currency on charges without quantities: what they were and are, in whole 1e-12."""
    out = []
    for currency, (start, end) in sorted(untold.items()):
        moved = abs(end - start) >= _LEAST
        lead = f"{_signed(end - start, currency)} of the change" if moved else f"{_amount(end, currency)} of spend"
        out.append(f"{lead} is of charges without quantities: prices cannot be told from use there.")
    return tuple(out)


def _of_currency(bridge: Bridge, currency: str) -> list[str]:
    rows = [row for row in bridge._rows if row[0].currency == currency]
    start, end = (sum(states[at] for _, _, states in rows) for at in (0, -1))
    lead = f"From {bridge.months[0]} to {bridge.months[1]} spend"
    if all(s == states[0] for _, _, states in rows for s in states):
        return [f"{lead} did not move: {_amount(end, currency)}."]
    totals = {t: sum(states[k + 1] - states[k] for _, _, states in rows) for k, t in enumerate(TERMS)}
    order = [t for t in sorted(TERMS, key=lambda t: (-abs(totals[t]), TERMS.index(t))) if abs(totals[t]) >= _LEAST]
    moved = sum(map(abs, totals.values()))
    told = [t for t in order[:LARGEST_TERMS] if abs(totals[t]) >= LEAST_FRAC * moved]
    out = [f"{lead} {_moved(start, end, currency)}, from {_amount(start, currency)} to {_amount(end, currency)}."]
    out += [_term(rows, t, totals[t], currency) for t in told]
    rest = [t for t in order if t not in told]
    if rest:
        parts = said.listed([f"{SPOKEN[t].split(' (')[0]} {_signed(totals[t], currency)}" for t in rest])
        out.append(f"The rest: {parts}.")
    return out


def _moved(start: int, end: int, currency: str) -> str:
    if start == end:
        return "stayed the same"
    share = f" ({said.percent((end - start) / abs(start), signed=True)})" if start else ""
    return f"{'rose' if end > start else 'fell'} by {_amount(abs(end - start), currency)}{share}"


def _term(rows: Sequence[Row], term: str, total: int, currency: str) -> str:
    at = TERMS.index(term)
    by_name: dict[str, dict[tuple[str, str], int]] = {}
    for group, sku, states in rows:
        if change := states[at + 1] - states[at]:
            what = (group[_SERVICE], sku)
            parts = by_name.setdefault(group[_NAME] or _NOBODY, {})
            parts[what] = parts.get(what, 0) + change
    sums = {name: sum(parts.values()) for name, parts in by_name.items()}
    largest = sorted(sums, key=lambda n: (-abs(sums[n]), n))[:LARGEST_NAMES]
    told = [n for n in largest if sums[n] and abs(sums[n]) >= LEAST_FRAC * sum(map(abs, sums.values()))]
    lead = f"{_signed(total, currency)} is {SPOKEN[term]}"
    names = said.listed([_name(n, sums[n], by_name[n], currency) for n in told])
    return f"{lead}{', of it ' + names if names else ''}."


def _name(name: str, total: int, parts: Mapping[tuple[str, str], int], currency: str) -> str:
    """A service, and the provider service and SKU that most of its change is of."""
    (service, sku), change = max(parts.items(), key=lambda p: (abs(p[1]), p[0]))
    parts_of_name = [x for x in dict.fromkeys((service, sku)) if x and x != name]
    # What a plan does not tell apart is named in parentheses already: here a comma says it.
    bare = [x[1:-1] if x.startswith("(") and x.endswith(")") else x for x in parts_of_name]
    what = (", " if bare != parts_of_name else " ").join(bare)
    detail = what if len(parts) == 1 or not what else f"most in {what} {_signed(change, currency)}"
    return f"{name} {_signed(total, currency)}{f' ({detail})' if detail else ''}"


def _calendar(bridge: Bridge, currencies: list[str]) -> list[str]:
    """What another number of days alone would have made of spend, a day's spend staying the same."""
    before, after = bridge.days
    if before == after or not before:
        return []
    found = []
    for currency in currencies:
        daily = [s[0] for g, _, s in bridge._rows if g.currency == currency and g.charge in _BY_TIME]
        if start := sum(daily):
            found.append(_signed(round(start * (after - before) / before), currency))
    if not found:
        return []
    return [
        f"{bridge.months[0]} has {before} days and {bridge.months[1]} has {after}: totals are compared, so the "
        f"calendar is in volume; at the same spend a day it alone is {said.listed(found)}."
    ]


def _amount(units: int, currency: str) -> str:
    """Money in words: whole, or with cents below 100."""
    value = units / ONE
    if abs(value) >= 100 or value == 0:
        return said.money(value, currency)
    lead = "$" if currency == "USD" else f"{currency} "
    return f"{'−' if value < 0 else ''}{lead}{abs(value):,.2f}"


def _signed(units: int, currency: str) -> str:
    return f"+{_amount(units, currency)}" if units > 0 else _amount(units, currency)
