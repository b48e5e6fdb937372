"""What couples lanes: usage that commitments and purchases cover, reservations, quotas. Rows of the master, one table.

Every row is ``own variables - what lanes bring <= right-hand side``, so its dual is never above 0. In USD and vCPU:

=============  ==================================================================================================
pool           what contracts cover of a usage group in a lot - the on-demand value that runs of it  <= 0
held           what a contract covers in a lot, as a share of it                                     <= 1 (owned)
bought         what an offer covers in a lot - all that was bought of it and runs                    <= 0
reserved       reserved instances that are used in a lot - those that run of the type                <= 0
whole          what RIs cover of a type in a lot, where zones make its count a multiple (``_whole``)  <= rest
quota          vCPU provisioned + vCPU reserved and unused - excess                                  <= limit
spot quota     vCPU as spot - excess                                                                 <= limit
unused         instances reserved - provisioned of the type - unused                                 <= 0
=============  ==================================================================================================

``excess`` has a price that no plan is worth: where it is left, the quotas cannot be met.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from capacity.domain import Candidate, Floats
from capacity.optimize._fleet import Fleet, ReservedType, eligible, offered_usd_per_hour
from capacity.optimize.columns._lanes import Counts, Lanes

# Price of a vCPU beyond a quota, in multiples of the dearest vCPU among all candidates over the month.
_EXCESS_TIMES = 20.0

# Rows that mind a month as a whole, not lane by lane.
MONTHLY = ("quota", "spot quota", "unused")

GroupKey = tuple[tuple[int, ...], tuple[tuple[int, float], ...], str, float]


@dataclass
class Coupling:
    """Rows and own variables of the master, over the months and units of one part of a fleet.

    ``pool_row``, ``reserved_row`` and ``whole_row`` give by unit (I, lots) rows, -1 where none; ``quota_row``,
    ``spot_quota_row`` and ``unused_row`` (I, months). ``charge`` (I, lanes) is how a quota's month is split over its
    lanes (``_split``). ``covers`` are (lot, commitment, own variable, price, usage) of what RIs cover.
    """

    fleet: Fleet
    months: tuple[int, ...]
    lots: tuple[int, ...]
    upper: list[float] = field(default_factory=list)
    names: list[tuple[object, ...]] = field(default_factory=list)
    cost: list[float] = field(default_factory=list)
    most: list[float] = field(default_factory=list)
    whole: list[bool] = field(default_factory=list)
    entries: list[tuple[int, int, float]] = field(default_factory=list)
    excess: list[int] = field(default_factory=list)
    bought: dict[int, int] = field(default_factory=dict)
    constant_usd: float = 0.0
    pool_row: dict[int, Counts] = field(default_factory=dict)
    reserved_row: dict[int, Counts] = field(default_factory=dict)
    whole_row: dict[int, Counts] = field(default_factory=dict)
    covers: list[tuple[int, int, int, float, list[tuple[int, int]]]] = field(default_factory=list)
    quota_row: dict[int, Counts] = field(default_factory=dict)
    spot_quota_row: dict[int, Counts] = field(default_factory=dict)
    unused_row: dict[int, Counts] = field(default_factory=dict)
    charge: dict[int, Floats] = field(default_factory=dict)

    def row(self, upper: float, *name: object) -> int:
        self.upper.append(upper)
        self.names.append(name)
        return len(self.upper) - 1

    def variable(self, cost: float, most: float, whole: bool = False) -> int:
        self.cost.append(cost)
        self.most.append(most)
        self.whole.append(whole)
        return len(self.cost) - 1

    def enter(self, row: int, variable: int, value: float) -> None:
        self.entries.append((row, variable, value))


def coupling_of(fleet: Fleet, units: Sequence[Lanes], months: Sequence[int]) -> Coupling:
    """All rows that couple ``units`` in ``months``."""
    lots = tuple(k for k, lot in enumerate(fleet.lots) if lot.month in set(months))
    out = Coupling(fleet, tuple(months), lots)
    for u in units:
        shape, by_month = (len(u.types), len(fleet.lots)), (len(u.types), len(fleet.problem.months))
        out.pool_row[u.s], out.reserved_row[u.s] = np.full(shape, -1), np.full(shape, -1)
        out.whole_row[u.s] = np.full(shape, -1)
        out.quota_row[u.s], out.spot_quota_row[u.s] = np.full(by_month, -1), np.full(by_month, -1)
        out.unused_row[u.s] = np.full(by_month, -1)
        out.charge[u.s] = np.repeat(np.where(u.peak, 1.0, 0.0)[None, :], len(u.types), axis=0)
    _contracts(out, units)
    _whole(out, units)
    _quotas(out, units)
    _reservations(out, units)
    return out


# --- commitments and offers --------------------------------------------------------------------------------


def _contracts(out: Coupling, units: Sequence[Lanes]) -> None:
    fleet = out.fleet
    groups = _groups(fleet, units)
    # Value above what could ever run is never bought.
    for p, purchase in enumerate(fleet.purchases):
        hours = sum(fleet.lots[k].hours for k in out.lots if p in fleet.lots[k].bought)
        offer = fleet.offers[purchase.offer]
        price, most = offered_usd_per_hour(fleet, offer), _most_useful(units, fleet, purchase.offer)
        if hours > 0 and most > 0 and price > 0:
            whole = offer.product == "standard_ri"
            out.bought[p] = out.variable(hours * price, float(math.ceil(most)) if whole else most, whole)
    for k in out.lots:
        lot = fleet.lots[k]
        out.constant_usd += sum(lot.hours * fleet.commitments[c].hourly_usd for c in lot.active)
        running_offers = {fleet.purchases[p].offer for p in lot.bought if p in out.bought}
        held = {c: out.row(1.0, "held", fleet.commitments[c].id, lot.month, lot.level, k) for c in lot.active}
        bought = {
            o: out.row(0.0, "bought", fleet.offers[o].id, lot.month, lot.level, k) for o in sorted(running_offers)
        }
        for p in lot.bought:
            if p in out.bought:
                out.enter(bought[fleet.purchases[p].offer], out.bought[p], -1.0)
        for g, (key, members) in enumerate(groups):
            _cover_group(out, k, g, key, members, held, bought)


def _cover_group(
    out: Coupling,
    k: int,
    g: int,
    key: GroupKey,
    members: list[tuple[int, int]],
    held: dict[int, int],
    bought: dict[int, int],
) -> None:
    ids, offers, _, price = key
    fleet, lot = out.fleet, out.fleet.lots[k]
    owned = [c for c in ids if c in held]
    buyable = [(o, rate) for o, rate in offers if o in bought]
    if not owned and not buyable:
        return
    row = out.row(0.0, "pool", repr(key), lot.month, lot.level, k)
    for s, i in members:
        out.pool_row[s][i, k] = row
    for c in owned:
        share = _share_of(fleet, c, price)
        if share is None:
            continue
        cover = out.variable(-lot.hours, 1.0 / share)
        out.enter(row, cover, 1.0)
        if fleet.commitments[c].product == "standard_ri":
            out.covers.append((k, c, cover, price, members))
        out.enter(held[c], cover, share)
    for o, rate in buyable:
        cover = out.variable(-lot.hours, math.inf)
        out.enter(row, cover, 1.0)
        out.enter(bought[o], cover, 1.0 / price if fleet.offers[o].product == "standard_ri" else rate)


def _groups(fleet: Fleet, units: Sequence[Lanes]) -> list[tuple[GroupKey, list[tuple[int, int]]]]:
    """Usage that the same contracts may cover at the same rates (and of one price, where instances are counted)."""
    groups: dict[GroupKey, list[tuple[int, int]]] = {}
    known: dict[tuple[str, ...], tuple[tuple[int, ...], tuple[tuple[int, float], ...], bool]] = {}
    for u in units:
        account, region = u.requirement.account_id, u.requirement.unit.region
        for i, c in enumerate(u.candidates):
            if c.usd_per_hour <= 0:
                continue
            place = (account, region, c.instance_type, c.family)
            if place not in known:
                known[place] = _contracts_of(fleet, account, region, c)
            ids, offers, counted = known[place]
            if not ids and not offers:
                continue
            key = (ids, offers, c.instance_type, c.usd_per_hour) if counted else (ids, offers, "", 0.0)
            groups.setdefault(key, []).append((u.s, i))
    return sorted(groups.items())


def _contracts_of(
    fleet: Fleet, account: str, region: str, c: Candidate
) -> tuple[tuple[int, ...], tuple[tuple[int, float], ...], bool]:
    """Commitments and (offer, rate) that may cover usage of ``c``; whether any of them counts instances."""
    ids = tuple(k for k, owned in enumerate(fleet.commitments) if eligible(owned, account, region, c))
    offers = tuple(
        (o, float(offer.rate[c.instance_type]))
        for o, offer in enumerate(fleet.offers)
        if c.instance_type in offer.rate and eligible(offer, account, region, c)
    )
    counted = any(fleet.commitments[k].product == "standard_ri" for k in ids)
    return ids, offers, counted or any(fleet.offers[o].product == "standard_ri" for o, _ in offers)


def _whole(out: Coupling, units: Sequence[Lanes]) -> None:
    """RIs cover whole instances, and a type runs so many in every zone: no multiple of the zones is in between.

    Let N be a multiple of g, the instances that run of a type, and R those that RIs cover at most, R = q g + rest with
    0 < rest < g. Then min(N, R) <= q (g - rest) + rest / g N for every such N (the concave hull of its values: a mixed
    integer rounding cut). Without it the relaxation runs a part of a fleet wherever that fits the RIs. Only in lots in
    which each lane runs always or never: else N is a mean over hours, and any number.
    """
    by_unit = {u.s: u for u in units}
    found: dict[tuple[int, tuple[int, ...]], list[tuple[int, float, list[tuple[int, int]]]]] = {}
    for k, c, cover, price, members in out.covers:
        found.setdefault((k, (c,)), []).append((cover, price, members))
    joined: dict[tuple[int, tuple[tuple[int, int], ...]], list[tuple[int, list[tuple[int, float]]]]] = {}
    for (k, (c,)), own in sorted(found.items()):
        where = tuple(sorted(m for _, _, members in own for m in members))
        joined.setdefault((k, where), []).append((c, [(cover, price) for cover, price, _ in own]))
    for (k, where), contracts in joined.items():
        zones = math.gcd(*(by_unit[s].requirement.zones for s, _ in where))
        count = sum(out.fleet.commitments[c].count for c, _ in contracts)
        full, rest = divmod(count, zones)
        shares = np.concatenate([by_unit[s].share[:, k] for s in sorted({s for s, _ in where})])
        between = ((shares > 1e-9) & (shares < 1 - 1e-9)).any()
        if not rest or between or any(out.whole_row[s][i, k] >= 0 for s, i in where):
            continue
        lot = out.fleet.lots[k]
        ids = "+".join(out.fleet.commitments[c].id for c, _ in contracts)
        row = out.row(full * (zones - rest) * zones / rest, "whole", ids, lot.month, lot.level, k)
        for _, covers in contracts:
            for cover, price in covers:
                out.enter(row, cover, zones / rest / price)
        for s, i in where:
            out.whole_row[s][i, k] = row


def _share_of(fleet: Fleet, k: int, price: float) -> float | None:
    """Share of commitment ``k`` that one $/h of on-demand value uses; None where it covers nothing."""
    owned = fleet.commitments[k]
    if owned.product == "standard_ri":
        return 1.0 / (price * owned.count)
    return fleet.problem.committed_rate[owned.id] / owned.hourly_usd if owned.hourly_usd > 0 else None


def _eligible_candidates(u: Lanes, fleet: Fleet, o: int) -> list[Candidate]:
    offer = fleet.offers[o]
    account, region = u.requirement.account_id, u.requirement.unit.region
    return [c for c in u.candidates if c.instance_type in offer.rate and eligible(offer, account, region, c)]


def _most_useful(units: Sequence[Lanes], fleet: Fleet, o: int) -> float:
    """More of an offer than this is never used: what all eligible units need of their least efficient type."""
    offer, total = fleet.offers[o], 0.0
    for u in units:
        counts = []
        for c in _eligible_candidates(u, fleet, o):
            i = next(k for k, own in enumerate(u.candidates) if own is c)
            with np.errstate(divide="ignore", invalid="ignore"):
                need = np.where(u.weight[:, i] > 0, u.need.max(axis=1) / u.weight[:, i], 0.0).max(initial=0.0)
            runs = float(u.runs[i]) / u.requirement.zones
            count = u.requirement.zones * (max(need, runs, float(u.requirement.min_per_zone)) + 1.0)
            counts.append(
                count if offer.product == "standard_ri" else count * c.usd_per_hour * offer.rate[c.instance_type]
            )
        total += max(counts, default=0.0)
    return total


# --- quotas and reservations -------------------------------------------------------------------------------


def _quotas(out: Coupling, units: Sequence[Lanes]) -> None:
    problem = out.fleet.problem
    for q, quota in enumerate(problem.quotas):
        where = (quota.account_id, quota.region)
        under = [u for u in units if (u.requirement.account_id, u.requirement.unit.region) == where]
        for t in out.months:
            for spot in (False, True):
                codes = [
                    (u, [(c.spot_quota_code if spot else c.quota_code) == quota.code for c in u.candidates])
                    for u in under
                ]
                if not math.isfinite(quota.limit) or not any(any(mask) for _, mask in codes):
                    continue
                if spot and not any((u.spot_room > 0).any() for u in under):
                    continue
                row = out.row(quota.limit, "spot quota" if spot else "quota", q, t)
                dearest = max(c.usd_per_hour / max(c.vcpu, 1) for u in under for c in u.candidates)
                excess = out.variable(_EXCESS_TIMES * dearest * problem.month_hours[t], math.inf)
                out.excess.append(excess)
                out.enter(row, excess, -1.0)
                for u, mask in codes:
                    table = out.spot_quota_row if spot else out.quota_row
                    table[u.s][np.array(mask), t] = row


def _reservations(out: Coupling, units: Sequence[Lanes]) -> None:
    """Used instances save their price; unused ones still count towards the quota of their class."""
    fleet = out.fleet
    for kind in fleet.reserved:
        holders = [(u, i) for u in units for i, c in enumerate(u.candidates) if kind.holds(u.requirement, c)]
        for k in out.lots:
            lot = fleet.lots[k]
            count = fleet.reserved_count(kind, lot)
            if not count:
                continue
            out.constant_usd += count * kind.usd_per_hour * lot.hours
            if not holders:
                continue
            used = out.variable(-kind.usd_per_hour * lot.hours, float(count))
            row = out.row(0.0, "reserved", kind.account_id, kind.region, kind.instance_type, lot.month, lot.level, k)
            out.enter(row, used, 1.0)
            for u, i in holders:
                out.reserved_row[u.s][i, k] = row
        for t in out.months:
            _unused_vcpu(out, kind, holders, t)


def _unused_vcpu(out: Coupling, kind: ReservedType, holders: list[tuple[Lanes, int]], t: int) -> None:
    most = out.fleet.reserved_most(kind, t)
    place = (kind.account_id, kind.region, kind.quota_code)
    for r, name in enumerate(out.names):
        quota = out.fleet.problem.quotas[int(str(name[1]))] if name[0] == "quota" else None
        if not most or quota is None or name[2] != t or (quota.account_id, quota.region, quota.code) != place:
            continue
        unused = out.variable(0.0, float(most))
        row = out.row(-float(most), "unused", kind.instance_type, t)
        out.enter(row, unused, -1.0)
        out.enter(r, unused, float(kind.vcpu))
        for u, i in holders:
            out.unused_row[u.s][i, t] = row


# --- what lanes bring --------------------------------------------------------------------------------------


def lane_prices(out: Coupling, u: Lanes, duals: Floats, charge: Floats | None = None) -> tuple[Floats, Floats]:
    """(I, L) on-demand and spot prices of an instance a zone over a lane's hours, the rows' duals (<= 0) counted in."""
    dual = np.append(duals, 0.0)  # row -1: none
    zones = u.requirement.zones
    usd = u.usd[:, None] * (u.hours[None, :] + dual[out.pool_row[u.s]] @ u.share.T)
    usd = usd + zones * ((dual[out.reserved_row[u.s]] + dual[out.whole_row[u.s]]) @ u.share.T)
    vcpu = zones * np.array([c.vcpu for c in u.candidates], dtype=float)
    charged = np.where(u.peak[None, :], 1.0, 0.0)
    usd = usd - vcpu[:, None] * dual[out.quota_row[u.s]][:, u.months] * (out.charge[u.s] if charge is None else charge)
    usd = usd + zones * dual[out.unused_row[u.s]][:, u.months] * _used_somewhere(u)
    spot = u.spot_usd[:, None] * u.hours[None, :]
    spot = spot - vcpu[:, None] * dual[out.spot_quota_row[u.s]][:, u.months] * charged
    return usd, spot


def _used_somewhere(u: Lanes) -> Floats:
    """What a lane may count of the month's provisioned instances, so that the sum over lanes is never less.

    n is the most over lanes, at most their sum: every lane counts whole. This is a relaxation, and a slight one.
    """
    return np.ones((1, len(u.months)))


def brought(out: Coupling, u: Lanes, lane: Counts, running: Counts, spot: Counts) -> tuple[Counts, Counts, Floats]:
    """(column, row, value) of N columns of lanes ``lane`` with counts ``running`` and ``spot`` (N, I)."""
    zones = u.requirement.zones
    vcpu = zones * np.array([c.vcpu for c in u.candidates], dtype=float)
    columns, rows, values = [], [], []
    n, i = np.nonzero(running)
    count, at = running[n, i], lane[n]
    for k in out.lots:
        share = u.share[at, k]
        each = np.full(len(i), float(zones))
        for table, worth in ((out.pool_row, u.usd[i]), (out.reserved_row, each), (out.whole_row, each)):
            row = table[u.s][i, k]
            on = (row >= 0) & (share > 0)
            columns.append(n[on])
            rows.append(row[on])
            values.append(-(worth * count * share)[on])
    month, charge = u.months[at], out.charge[u.s][i, at]
    row = out.quota_row[u.s][i, month]
    on = (row >= 0) & (charge > 0)
    columns.append(n[on])
    rows.append(row[on])
    values.append((vcpu[i] * count * charge)[on])
    row = out.unused_row[u.s][i, month]
    on = row >= 0
    columns.append(n[on])
    rows.append(row[on])
    values.append(-(zones * count).astype(float)[on])
    n, i = np.nonzero(spot)
    row = out.spot_quota_row[u.s][i, u.months[lane[n]]]
    on = (row >= 0) & u.peak[lane[n]]
    columns.append(n[on])
    rows.append(row[on])
    values.append((vcpu[i] * spot[n, i])[on])
    return np.concatenate(columns), np.concatenate(rows), np.concatenate(values)
