"""A plan by arithmetic, where a search has no time to find one: one type a service, changed until quotas are met.

Where a search left a choice that breaks quotas, that is what is changed. Either takes a fraction of a second for
hundreds of services, and no solver.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from capacity.domain import Floats, Quota
from capacity.optimize._billing import grid_shape
from capacity.optimize._fleet import Fleet, vertical_count
from capacity.optimize._least import in_place
from capacity.optimize._result import Plan
from capacity.optimize.columns._bundles import provisioned
from capacity.optimize.columns._given import given_lanes
from capacity.optimize.columns._lanes import Counts, Lanes, lanes_of, lost_demand

_WHOLE = 1e-9
# Pairs of types that a service may take instead where one type a service breaks a quota: those of fewest vCPU.
_PAIRS = 12
# One instance fewer of a first type, up to so many, is made up by a second.
_FEWER = 2


@dataclass
class _Option:
    """What a unit may run in a month: (lanes, I) counts a zone on demand and as spot, (I,) provisioned, and its USD
    where no commitment covers it.
    """

    running: Counts
    spot: Counts
    provisioned: Counts
    usd: float


@dataclass
class _Month:
    """A unit's month: its lanes, what it may run, and what it takes of each quota of the month (options, Q)."""

    u: Lanes
    lanes: Counts
    options: list[_Option]
    use: Floats
    choice: int = 0


def quick_plan(fleet: Fleet, most_types: int | None = None, rough: Plan | None = None) -> Plan | None:
    """The cheapest type of each unit, changed where quotas ask for it; None where that finds no plan.

    At most ``most_types`` types a unit where that is given (units that ask for more keep to what they ask for).
    ``rough`` is a choice that need not keep the quotas: where it says what a month runs, that is where changes begin.
    """
    places = _places(fleet)
    months = []
    for s in range(len(fleet.requirements)):
        u = lanes_of(fleet, s, range(len(fleet.problem.months)))
        for t in np.unique(u.months) if u is not None else ():
            found = _month_of(fleet, u, np.flatnonzero(u.months == t), places) if u is not None else None
            if found is None:
                return None
            if rough is not None:
                _begin_with(fleet, found, rough, places)
            months.append(found)
    for t in range(len(fleet.problem.months)):
        limits = np.array([q.limit - _held_vcpu(fleet, q, t) for q in fleet.problem.quotas])
        for place in sorted({tuple(p) for p in places if p}):
            here = [m for m in months if m.u.months[m.lanes[0]] == t and tuple(places[m.u.s]) == place]
            if not _meet(fleet, here, limits, places, most_types):
                return None
    return _entered(fleet, months)


# --- what a unit may run -----------------------------------------------------------------------------------


def _places(fleet: Fleet) -> list[list[int]]:
    """By unit, the quotas of its account and region, by position."""
    quotas = fleet.problem.quotas
    return [[k for k, q in enumerate(quotas) if in_place(q, fleet, s)] for s in range(len(fleet.requirements))]


def _month_of(fleet: Fleet, u: Lanes, lanes: Counts, places: list[list[int]]) -> _Month | None:
    """None where no single type holds all (or the pinned counts do not)."""
    counts = _pinned(u, lanes) if u.fixed[lanes[0]] else None
    tried = [counts] if counts is not None else [_single(u, lanes, i, n) for i, n in _worth_trying(fleet, u, lanes)]
    options = [o for running in tried if (o := _option(fleet, u, lanes, running, np.zeros_like(running))) is not None]
    if not options:
        return None
    kept = sorted(options, key=lambda o: o.usd)
    return _Month(u, lanes, kept, _use(fleet, u, kept, places))


def _pinned(u: Lanes, lanes: Counts) -> Counts:
    """(lanes, I) what runs of pinned counts: the cheapest part that holds the load, all where that is not known."""
    out = np.asarray(u.most[:, lanes].T).copy()
    found = given_lanes(u, u.usd[:, None] * u.hours[None, :], lanes)
    out[np.searchsorted(lanes, found.lanes)] = found.running
    return out


def _worth_trying(fleet: Fleet, u: Lanes, lanes: Counts) -> list[tuple[int, Floats]]:
    """(type, counts of each lane) of types that alone would do: those that no cheaper one betters in every quota.

    All of them where further requirements may rule some out.
    """
    alone = _alone(u, lanes)
    if u.requirement.vertical:
        count = vertical_count(u.requirement)
        alone = np.where(alone <= count, float(count), math.inf)
    alone = np.maximum(alone, u.requirement.min_per_zone)
    most = alone.max(axis=1)
    usd = np.where(most <= u.requirement.max_per_zone, (alone * u.usd[:, None]) @ u.hours[lanes], math.inf)
    codes = sorted({q.code for q in fleet.problem.quotas})
    vcpu = np.array([[c.vcpu if c.quota_code == code else 0.0 for code in codes] for c in u.candidates])
    with np.errstate(invalid="ignore"):
        use = np.where(np.isfinite(most)[:, None], most[:, None] * vcpu.reshape(len(most), len(codes)), math.inf)
    simple = u.least_types[lanes].max(initial=0) <= 1 and not any(
        b.region_loss_demand for b in fleet.blocks[u.s][int(u.months[lanes[0]])]
    )
    kept: list[int] = []
    for i in np.argsort(usd, kind="stable"):
        if not math.isfinite(usd[i]):
            break
        if not simple or not any((use[k] <= use[i]).all() for k in kept):
            kept.append(int(i))
    return [(i, alone[i]) for i in kept]


def _single(u: Lanes, lanes: Counts, i: int, counts: Floats) -> Counts:
    """(lanes, I) counts a zone of type ``i``, and one each of the cheapest others where variety is asked for."""
    running = np.zeros((len(lanes), len(u.types)), dtype=np.int64)
    running[:, i] = counts
    others = sorted((j for j in range(len(u.types)) if j != i), key=lambda j: (u.usd[j], j))
    for k, least in enumerate(u.least_types[lanes]):
        if least > 1:
            running[k, i] = max(running[k, i], 1)
            running[k, others[: int(least) - 1]] = 1
    return running


def _alone(u: Lanes, lanes: Counts) -> Floats:
    """(I, lanes) whole instances a zone of each type that hold all; inf where no number does."""
    need = u.need[:, None, lanes]
    with np.errstate(divide="ignore", invalid="ignore"):
        counts = np.ceil(need / u.weight[:, :, None] * (1 - _WHOLE) - _WHOLE)
    counts = np.where(need > 0, np.where(u.weight[:, :, None] > 0, counts, math.inf), 0.0)
    return np.asarray(counts.max(axis=0), dtype=float)


def _begin_with(fleet: Fleet, m: _Month, rough: Plan, places: list[list[int]]) -> None:
    """Choose what ``rough`` runs in the month, where that keeps all but the quotas."""
    u, t = m.u, int(m.u.months[m.lanes[0]])
    first = int(np.cumsum([0, *(len(r.candidates) for r in fleet.requirements)])[u.s])
    rows, blocks = first + u.types, [u.blocks[k][0] for k in m.lanes]
    running, spot = rough.running[rows][:, t, blocks].T, rough.spot[rows][:, t, blocks].T
    option = None if u.fixed[m.lanes[0]] else _option(fleet, u, m.lanes, running, spot)
    if option is not None:
        m.options = [*m.options, option]
        m.use, m.choice = _use(fleet, u, m.options, places), len(m.options) - 1


def _option(fleet: Fleet, u: Lanes, lanes: Counts, running: Counts, spot: Counts) -> _Option | None:
    whole = np.zeros((len(u.hours), len(u.types)), dtype=np.int64)
    bought = whole.copy()
    whole[lanes], bought[lanes] = running, spot
    if not u.allows(whole, bought)[lanes].all():
        return None
    n = provisioned(u, lanes, running, spot, lost_demand(fleet, u, int(u.months[lanes[0]])))
    if n is None:
        return None
    each = running @ u.usd + spot @ np.where(np.isfinite(u.spot_usd), u.spot_usd, 0.0)
    return _Option(running, spot, n, float(each @ u.hours[lanes] + u.leave_cost(whole)[lanes].sum()))


def _use(fleet: Fleet, u: Lanes, options: list[_Option], places: list[list[int]]) -> Floats:
    """(options, Q) vCPU over all zones."""
    out = np.zeros((len(options), len(fleet.problem.quotas)))
    for q in places[u.s]:
        code = fleet.problem.quotas[q].code
        vcpu = np.array([c.vcpu if c.quota_code == code else 0 for c in u.candidates], dtype=float)
        spot = np.array([c.vcpu if c.spot_quota_code == code else 0 for c in u.candidates], dtype=float)
        out[:, q] = [u.requirement.zones * float(vcpu @ o.provisioned + spot @ o.spot.max(axis=0)) for o in options]
    return out


# --- quotas ------------------------------------------------------------------------------------------------


def _held_vcpu(fleet: Fleet, quota: Quota, t: int) -> float:
    """vCPU of what is reserved, counted as if nothing ran in it."""
    return float(
        sum(
            fleet.reserved_most(kind, t) * kind.vcpu
            for kind in fleet.reserved
            if (kind.account_id, kind.region, kind.quota_code) == (quota.account_id, quota.region, quota.code)
        )
    )


def _meet(fleet: Fleet, months: list[_Month], limits: Floats, places: list[list[int]], most_types: int | None) -> bool:
    """Change choices, at the least cost a vCPU first, until ``limits`` hold; whether they do."""
    if _exchange(months, limits):
        return True
    for m in months if most_types is None or most_types > 1 else ():
        _more_options(fleet, m, places, most_types)
    return _exchange(months, limits)


def _exchange(months: list[_Month], limits: Floats) -> bool:
    used = sum((m.use[m.choice] for m in months), start=np.zeros(len(limits)))
    usd = [np.array([o.usd for o in m.options]) for m in months]
    while (over := np.maximum(used - limits * (1 + _WHOLE), 0.0)).any():
        best: tuple[float, int, int] | None = None
        for k, m in enumerate(months):
            if not m.use[m.choice][over > 0].any():
                continue
            after = np.maximum(used - m.use[m.choice] + m.use - limits * (1 + _WHOLE), 0.0).sum(axis=1)
            gain = over.sum() - after
            with np.errstate(divide="ignore", invalid="ignore"):
                rate = np.where(gain > _WHOLE, (usd[k] - usd[k][m.choice]) / gain, math.inf)
            o = int(rate.argmin())
            if math.isfinite(rate[o]) and (best is None or (float(rate[o]), k, o) < best):
                best = (float(rate[o]), k, o)
        if best is None:
            return False
        _rate, k, o = best
        used = used - months[k].use[months[k].choice] + months[k].use[o]
        months[k].choice = o
    return True


def _more_options(fleet: Fleet, m: _Month, places: list[list[int]], most_types: int | None) -> None:
    """Add the pairs of types that hold the largest load in the fewest vCPU, and in all lanes some of the same."""
    u, lanes = m.u, m.lanes
    if u.fixed[lanes[0]] or u.requirement.vertical or u.least_types[lanes].max(initial=0) > 1:
        return
    if most_types is not None and u.requirement.least_types > most_types:
        return
    need, alone = u.need[:, lanes].max(axis=1), _alone(u, lanes).max(axis=1)
    vcpu = np.array([c.vcpu for c in u.candidates], dtype=float)
    found = []
    for fewer in range(1, _FEWER + 1):
        a = np.where(np.isfinite(alone) & (alone > fewer), alone - fewer, 0.0)
        rest = np.maximum(need[:, None] - u.weight * a[None, :], 0.0)
        with np.errstate(divide="ignore", invalid="ignore"):
            b = np.ceil(rest[:, :, None] / u.weight[:, None, :] * (1 - _WHOLE) - _WHOLE)
        b = np.where(rest[:, :, None] > 0, np.where(u.weight[:, None, :] > 0, b, math.inf), 0.0).max(axis=0)
        size = np.where(a[:, None] > 0, a[:, None] * vcpu[:, None] + b * vcpu[None, :], math.inf)
        for flat in np.argsort(size, axis=None, kind="stable")[:_PAIRS]:
            i, j = divmod(int(flat), size.shape[1])
            if math.isfinite(size[i, j]) and i != j:
                found.append((float(size[i, j]), i, j, int(a[i]), int(b[i, j])))
    added = []
    for _size, i, j, a_most, b_most in sorted(found)[:_PAIRS]:
        running = _nested(u, lanes, (i, a_most), (j, b_most))
        option = _option(fleet, u, lanes, running, np.zeros_like(running))
        added += [option] if option is not None else []
    if added:
        m.options = [*m.options, *added]
        m.use = _use(fleet, u, m.options, places)


def _nested(u: Lanes, lanes: Counts, first: tuple[int, int], second: tuple[int, int]) -> Counts:
    """(lanes, I) in each lane as few of the largest load's instances as hold it, at least cost."""
    (i, most), (j, more) = first, second
    out = np.zeros((len(lanes), len(u.types)), dtype=np.int64)
    counts = np.array([(a, b) for a in range(most + 1) for b in range(more + 1)])
    usd = counts @ np.array([u.usd[i], u.usd[j]])
    held = u.weight[:, [i, j]] @ counts.T
    for k, lane in enumerate(lanes):
        fits = (held >= u.need[:, lane][:, None] * (1 - _WHOLE)).all(axis=0)
        fits &= counts.sum(axis=1) >= u.requirement.min_per_zone
        best = int(np.where(fits, usd, math.inf).argmin())
        out[k, [i, j]] = counts[best]
    return out


# --- counts and bounds -------------------------------------------------------------------------------------


def _entered(fleet: Fleet, months: list[_Month]) -> Plan:
    offsets = np.cumsum([0, *(len(r.candidates) for r in fleet.requirements)])
    running = np.zeros((int(offsets[-1]), *grid_shape(fleet)), dtype=np.int64)
    spot = np.zeros_like(running)
    total = np.zeros(running.shape[:2], dtype=np.int64)
    for m in months:
        rows, option = offsets[m.u.s] + m.u.types, m.options[m.choice]
        t = int(m.u.months[m.lanes[0]])
        for k, lane in enumerate(m.lanes):
            for b in m.u.blocks[lane]:
                running[rows, t, b], spot[rows, t, b] = option.running[k], option.spot[k]
        total[rows, t] = option.provisioned
    return Plan(running, spot, total, {})
