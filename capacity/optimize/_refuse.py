"""What cannot be meant: a problem's figures, each refused by name before anything is built on it."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator

from capacity.domain import Candidate, CapacityReservation, LoadBlock, MixProblem, Offer, UnitRequirement
from capacity.errors import MissingDataError, UsageError

# Hours of blocks and months come from the same calendar; what is left is floating point.
HOURS_TOLERANCE = 1e-6
_MONTH = re.compile(r"\d{4}-(0[1-9]|1[0-2])")

# A rate is a share of on demand. Above 1 a commitment costs more than it covers, which a bad price list can say; above
# this it is a price, not a share.
LARGEST_RATE = 1.5


def refuse(problem: MixProblem) -> None:
    """Raise where ``problem`` holds figures that cannot be meant, or lacks a price or rate that it needs.

    Raises
    ------
    UsageError
        Names each unit, month, block, offer or reservation whose figures cannot be meant.
    MissingDataError
        A Savings Plan without a committed rate, an offer without any rate, a reserved type without a price.
    """
    problems = [
        *_bad_calendar(problem),
        *_bad_contracts(problem),
        *(p for r in problem.requirements for p in _bad_unit(problem, r)),
    ]
    if problems:
        raise UsageError("not a problem that can be solved:\n" + "\n".join(f"  - {p}" for p in problems[:20]))
    _check_rates(problem)
    _check_offered_rates(problem)
    _check_reserved_prices(problem)


# --- prices and rates that are missing ---------------------------------------------------------------------


def _check_rates(problem: MixProblem) -> None:
    unknown = [
        f"{c.product} {c.id}"
        for c in problem.commitments
        if c.product != "standard_ri" and not 0 < problem.committed_rate.get(c.id, math.nan) <= 1
    ]
    if unknown:
        raise MissingDataError(
            f"no committed rate in (0, 1] for {', '.join(unknown)}: give the price of covered usage as a share of "
            "on demand, or leave the commitment out; it is never guessed"
        )


def _check_offered_rates(problem: MixProblem) -> None:
    unknown = [
        f"{o.product} {o.id}"
        for o in problem.offers
        if not o.rate or (o.product == "standard_ri" and o.scope not in o.rate)
    ]
    if unknown:
        raise MissingDataError(
            f"no rate for the offer(s) {', '.join(unknown)}: give what an hour under it costs as a share of on demand, "
            "by instance type, or leave the offer out; it is never guessed"
        )


def _check_reserved_prices(problem: MixProblem) -> None:
    priced = {(r.unit.region, c.instance_type) for r in problem.requirements for c in r.candidates}
    unknown = [
        f"{held.id} ({held.instance_type} in {held.region})"
        for held in problem.reservations
        if (held.region, held.instance_type) not in priced
    ]
    if unknown:
        raise MissingDataError(
            f"no price for the capacity reservation(s) {', '.join(unknown)}: no unit of the region has that type among "
            "its candidates. Add it there (allowed or not), or leave the reservation out"
        )


# --- calendar, commitments, offers, reservations -----------------------------------------------------------


def _twice(names: Iterable[object]) -> list[object]:
    seen, out = set(), []
    for name in names:
        if name in seen and name not in out:
            out.append(name)
        seen.add(name)
    return sorted(out, key=str)


def _bad_calendar(problem: MixProblem) -> list[str]:
    if len(problem.months) != len(problem.month_hours) or list(problem.months) != sorted(set(problem.months)):
        return ["months must be in order, each once, with one month_hours each"]
    if not problem.months:
        return ["no month to plan for"]
    # By its text: two units that read alike could not be told apart in any table.
    out = [f"{u}: given twice" for u in _twice(str(r.unit) for r in problem.requirements)]
    out += [f"month {m}: not YYYY-MM" for m in problem.months if not _MONTH.fullmatch(m)]
    out += [f"hours {h} of a month: finite and above 0" for h in problem.month_hours if not 0 < h < math.inf]
    out += [
        f"quota {q.code} in {q.region} of account {q.account_id}: limit {q.limit} is no number"
        for q in problem.quotas
        if math.isnan(q.limit)
    ]
    if not 0 <= problem.switching_penalty_frac < math.inf:
        out.append(f"switching_penalty_frac {problem.switching_penalty_frac}: must be 0 or more")
    return out


def _bad_contracts(problem: MixProblem) -> Iterator[str]:
    yield from (f"commitment {i}: given twice" for i in _twice(c.id for c in problem.commitments))
    yield from (f"offer {i}: given twice" for i in _twice(o.id for o in problem.offers))
    yield from (f"reservation {i}: given twice" for i in _twice(r.id for r in problem.reservations))
    for c in problem.commitments:
        if c.product != "compute_sp" and (not c.scope or (c.product == "standard_ri" and c.count < 1)):
            yield f"commitment {c.id}: {c.product} needs a scope and an RI a count of at least 1"
        if not 0 <= c.hourly_usd < math.inf:
            yield f"commitment {c.id}: {c.hourly_usd} USD an hour: finite and 0 or more"
        if (c.start.tzinfo is None) == (c.end.tzinfo is None) and c.end <= c.start:
            yield f"commitment {c.id}: ends on {c.end}, not after its start on {c.start}"
    owned = {c.id for c in problem.commitments}
    for offer in problem.offers:
        yield from (f"offer {offer.id}: {text}" for text in _bad_offer(offer))
        clash = [i for i in (f"{offer.id}@{m}" for m in problem.months) if i in owned]
        if clash:
            yield f"offer {offer.id}: a purchase would be called {clash[0]}, as a commitment that is owned is"
    for held in problem.reservations:
        yield from (f"reservation {held.id}: {text}" for text in _bad_reservation(held))


def _bad_offer(offer: Offer) -> Iterator[str]:
    if offer.product not in ("standard_ri", "ec2_instance_sp", "compute_sp"):
        yield f"product {offer.product} is none of standard_ri, ec2_instance_sp, compute_sp"
    if offer.product != "compute_sp" and not offer.scope:
        yield f"{offer.product} needs a scope"
    if offer.product == "compute_sp" and offer.scope:
        yield f"a compute_sp has no scope, yet {offer.scope} is given"
    if offer.term_years not in (1, 3):
        yield f"a term of {offer.term_years} years; there are 1 and 3"
    if not 0 <= offer.upfront_frac <= 1:
        yield f"upfront_frac {offer.upfront_frac}: a share, from 0 to 1"
    for name, rate in sorted(offer.rate.items()):
        if not 0 < rate <= LARGEST_RATE:
            yield f"rate {rate} of {name}: a share of on demand, above 0 and at most {LARGEST_RATE}"


def _bad_reservation(held: CapacityReservation) -> Iterator[str]:
    if held.count < 1 or held.count != int(held.count):
        yield f"count {held.count}: a whole number of at least 1"
    if held.end is not None and (held.end.tzinfo is None) == (held.start.tzinfo is None) and held.end <= held.start:
        yield f"ends on {held.end}, not after its start on {held.start}"


# --- units -------------------------------------------------------------------------------------------------


def _bad_unit(problem: MixProblem, requirement: UnitRequirement) -> list[str]:
    unit = requirement.unit
    texts = (*_bad_numbers(requirement), *_bad_shares(requirement), *_bad_blocks(requirement.blocks))
    out = [f"{unit}: {p}" for p in (*texts, *_bad_candidates(requirement.candidates))]
    names = [(b.month, b.block) for b in requirement.blocks]
    out += [f"{unit}: block {n} is given twice in {m}" for m, n in sorted({k for k in names if names.count(k) > 1})]
    out += [
        f"{unit}: a block in {m}, a month that is not planned"
        for m in sorted({m for m, _ in names} - {*problem.months})
    ]
    for month, hours in zip(problem.months, problem.month_hours, strict=False):
        total = sum(b.hours for b in requirement.blocks if b.month == month)
        if total > hours * (1 + HOURS_TOLERANCE):
            out.append(f"{unit}: blocks of {month} hold {total:g} hours, the month {hours:g}")
    return out


def _bad_numbers(requirement: UnitRequirement) -> Iterator[str]:
    if requirement.zones < 1 or requirement.zones_survived < 0:
        yield f"zones {requirement.zones}, zones_survived {requirement.zones_survived}: at least 1 and 0"
    for name, count in (("min_per_zone", requirement.min_per_zone), ("max_per_zone", requirement.max_per_zone)):
        if count < 0 or count != int(count):
            yield f"{name} {count}: a whole number, 0 or more"
    counts = [*requirement.running.values(), *(requirement.pinned or {}).values()]
    if any(c < 0 or c != int(c) for c in counts):
        yield "running and pinned counts must be whole numbers, 0 or more"


def _bad_shares(requirement: UnitRequirement) -> Iterator[str]:
    if not 0 <= requirement.spot_max_frac <= 1:
        yield f"spot_max_frac {requirement.spot_max_frac}: a share of demand, from 0 to 1"
    for name, least in (
        ("spot_least_types", requirement.spot_least_types),
        ("least_types", requirement.least_types),
    ):
        if least < 1 or least != int(least):
            yield f"{name} {least}: a whole number of at least 1"


def _bad_blocks(blocks: Iterable[LoadBlock]) -> Iterator[str]:
    for b in blocks:
        if not (0 <= b.demand < math.inf and 0 < b.hours < math.inf):
            yield f"demand {b.demand} and hours {b.hours} in {b.month} {b.block}: finite, 0 or more, and more than 0"
        if not 0 <= b.region_loss_demand < math.inf:
            yield f"region_loss_demand {b.region_loss_demand} in {b.month} {b.block}: finite, 0 or more"
        for name, need in sorted(b.further.items()):
            if not 0 <= need < math.inf:
                yield f"further {name} of {need} in {b.month} {b.block}: finite, 0 or more"


def _bad_candidates(candidates: tuple[Candidate, ...]) -> Iterator[str]:
    yield from (f"candidate {n}: given twice" for n in _twice(c.instance_type for c in candidates))
    for c in candidates:
        where = f"candidate {c.instance_type}"
        if not all(0 <= x < math.inf for x in (c.usd_per_hour, c.safe, c.zone_loss)):
            yield f"{where}: price and capacities must be finite and 0 or more"
        if c.vcpu < 0:
            yield f"{where}: {c.vcpu} vCPU"
        if c.spot_usd_per_hour is not None and not 0 <= c.spot_usd_per_hour < math.inf:
            yield f"{where}: spot price {c.spot_usd_per_hour} must be finite and 0 or more, or None where there is none"
        if not 0 <= c.spot_buffer_frac < 1:
            yield f"{where}: spot_buffer_frac {c.spot_buffer_frac}: a share, from 0 to below 1"
        for name, holds in sorted(c.further.items()):
            if len(holds) != 2 or not all(0 <= x < math.inf for x in holds):
                yield f"{where}: further {name} {holds}: two figures (all zones up, zones lost), finite and 0 or more"
