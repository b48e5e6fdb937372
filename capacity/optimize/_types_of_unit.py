"""The one or two instance types of a service: the cheapest that cover its own loads, and that it can stay with."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from capacity.domain import Candidate, Floats, UnitRequirement
from capacity.optimize._committed import Committed

# Rounding of a need that whole instances hold exactly.
_TOLERANCE = 1e-9
# Within this of the cheapest, fewer instances are worth more than the money.
_AS_CHEAP_FRAC = 0.005
# Types are chosen for the demand as it is and for a little more and less: a choice that is best at one demand only is
# changed by the next forecast. Measured on fleets of 60, demand 1 % up or down: a tenth to a fifth of the types change
# without it, a thirtieth with it, and it costs .2 %.
_AROUND = (0.98, 0.99, 1.0, 1.01, 1.02)
# Instances of a first type that are tried beside a second where the first alone never holds all.
_MOST_BESIDE = 64


def cheapest_types(
    r: UnitRequirement,
    allowed: Sequence[Candidate],
    most_types: int,
    penalty_frac: float = 0.0,
    committed: Committed | None = None,
) -> tuple[Candidate, ...]:
    """At most ``most_types`` candidates that cover the unit's own loads (nearly) at least cost, in few instances.

    Cost is the mean over the demand and some per cent around it, less what is ``committed``. What runs today is kept
    unless another choice costs less by more than ``penalty_frac`` of the price; new types count so much dearer.
    Among choices within ``_AS_CHEAP_FRAC`` of the cheapest the one nearest to what runs today is taken (types that
    come or go), then the one with fewest instances at the largest load: every instance has a system, an agent and an
    alarm of its own. Ties go to the cheaper, then to fewer types.
    """
    families = sorted({c.family for c in allowed})
    family = np.array([families.index(c.family) for c in allowed])
    held = _paid(r, [c.instance_type for c in allowed], committed or {})
    needs, hours, paid, held = _around(*_loads(r), _paid(r, families, committed or {}), held)
    weight = _weights(r, allowed)
    runs = {name for (name, _), count in r.running.items() if count}
    price = np.array([c.usd_per_hour for c in allowed])
    new = np.array([c.instance_type not in runs for c in allowed])
    sizes = range(min(r.least_types, most_types, 2), min(most_types, 2) + 1)
    costs = _Costs(hours, price * (1.0 + penalty_frac * new), family, paid, held)
    found = _choices(needs, weight, costs, r, sizes, ~new)
    found = [f for f in found if f[1] <= r.max_per_zone] or found
    if not found:  # no one or two types hold all resources: the choice is left to the search
        return tuple(allowed)
    least = min(found, key=lambda f: f[0])
    # What is paid already is a part of the price all the same.
    gross = least[0] + sum(float(paid[f] @ hours) for f in {int(family[i]) for i in least[2]})
    gross += sum(float(price[i] * held[i] @ hours) for i in least[2])
    # Of a choice that is all new the penalty is in its price already.
    rise = 0.0 if new[list(least[2])].all() else penalty_frac * gross
    kept = [f for f in found if not new[list(f[2])].any() and f[0] <= least[0] + rise]
    found = kept or found
    cheapest = min(f[0] for f in found)
    near = [f for f in found if f[0] <= cheapest + _AS_CHEAP_FRAC * gross]

    def rank(f: _Choice) -> tuple[float, ...]:
        changed = len(runs ^ {allowed[i].instance_type for i in f[2]}) if runs else 0
        return (changed, f[1], round(f[0], 6), len(f[2]), *f[2])

    return tuple(allowed[i] for i in min(near, key=rank)[2])


@dataclass(frozen=True)
class _Costs:
    """(B,) hours; (T,) $/h of an instance and its family; what is paid already: (F, B) $/h a zone, (T, B) instances."""

    hours: Floats
    price: Floats
    family: npt.NDArray[np.int64]
    paid: Floats
    held: Floats

    def alone(self, counts: Floats) -> Floats:
        """(T, B) $/h of ``counts`` (T, B) of each type; infinite where they are."""
        return _left(_usd(counts - self.held, self.price[:, None]), self.paid[self.family])

    def together(self, i: int, counts: Floats, others: npt.NDArray[np.int64], more: Floats) -> Floats:
        """(N, J, B) $/h of ``counts`` (N, 1) of type ``i`` and ``more`` (N, J, B) of J others."""
        one = _usd(counts - self.held[i], self.price[i])[:, None]
        two = _usd(more - self.held[others], self.price[others][None, :, None])
        paid, theirs = self.paid[self.family[i]], self.paid[self.family[others]]
        same = (self.family[others] == self.family[i])[None, :, None]
        return np.where(same, _left(one + two, paid), _left(one, paid) + _left(two, theirs[None]))


def _usd(counts: Floats, price: Floats | float) -> Floats:
    finite = np.isfinite(counts)
    return np.where(finite, np.maximum(np.where(finite, counts, 0.0), 0.0) * price, np.inf)


def _left(usd: Floats, paid: Floats) -> Floats:
    return np.asarray(np.maximum(usd - paid, 0.0), dtype=float)


# $ over all hours, the most instances a zone, positions of the types
_Choice = tuple[float, float, tuple[int, ...]]


def _choices(
    needs: Floats,
    weight: Floats,
    costs: _Costs,
    r: UnitRequirement,
    sizes: range,
    runs: npt.NDArray[np.bool_],
) -> list[_Choice]:
    """Every type alone, every two that may be among the cheapest or run today, where they hold all needs."""
    found: list[_Choice] = []
    alone = np.maximum(_enough(needs[:, None, :], weight[:, :, None]), r.min_per_zone)
    usd = costs.alone(alone) @ costs.hours
    if 1 in sizes:
        found += [
            (float(usd[i]), float(alone[i].max(initial=0.0)), (int(i),)) for i in np.flatnonzero(np.isfinite(usd))
        ]
    if 2 not in sizes or len(costs.price) < 2:
        return found
    limit = min((f[0] for f in found if f[1] <= r.max_per_zone), default=math.inf) * (1.0 + _AS_CHEAP_FRAC)
    given = (costs.paid @ costs.hours)[costs.family] + costs.price * (costs.held @ costs.hours)
    least = _least_of_pairs(needs, costs.hours, weight, costs.price) - given[:, None] - given[None, :]
    worth = (least <= limit) | (runs[:, None] & runs[None, :])
    # The larger type goes first: of it fewer counts are to be tried.
    most = np.where(np.isfinite(alone).all(axis=1), alone.max(axis=1, initial=0.0), math.inf)
    order = np.lexsort((np.arange(len(most)), most))
    for rank, i in enumerate(order):
        others = order[rank + 1 :]
        others = others[worth[i, others]]
        if not len(others):
            continue
        cost, count = _covers(needs, weight, costs, int(i), others, r.min_per_zone)
        total, top = cost @ costs.hours, count.max(axis=1, initial=0.0)
        for k in np.flatnonzero(np.isfinite(top) & np.isfinite(total)):
            pair = tuple(sorted((int(i), int(others[k]))))
            found.append((float(total[k]), float(top[k]), pair))
    return found


def _least_of_pairs(needs: Floats, hours: Floats, weight: Floats, price: Floats) -> Floats:
    """(T, T) what two types cost at least, were instances divisible: dearer ones need no look."""
    with np.errstate(divide="ignore", invalid="ignore"):
        rate = np.where(weight > 0, price / weight, math.inf)
        lower = np.minimum(rate[:, :, None], rate[:, None, :])
        by_row = np.where(needs[:, :, None, None] > 0, needs[:, :, None, None] * lower[:, None], 0.0)
    out: Floats = np.einsum("bij,b->ij", by_row.max(axis=0), hours)
    return out


def _around(needs: Floats, hours: Floats, *paid: Floats) -> list[Floats]:
    """Needs and hours of each load at each of ``_AROUND``, all together as long as before; what is paid stays."""
    times = len(_AROUND)
    around = np.concatenate([needs * x for x in _AROUND], axis=1)
    return [around, np.tile(hours / times, times), *(np.tile(p, (1, times)) for p in paid)]


def _paid(r: UnitRequirement, names: Sequence[str], committed: Committed) -> Floats:
    """(names, B) what commitments cover of each load, by type or by family: the loads of :func:`_loads`."""
    if not committed:
        return np.zeros((len(names), len(_loads(r)[1])))
    table = np.array([[committed.get((n, b.month, b.block), 0.0) for b in r.blocks] for n in names])
    if r.autoscaled:
        return table
    months, hours = np.array([b.month for b in r.blocks]), np.array([b.hours for b in r.blocks])
    parts = [months == m for m in sorted(set(months))]
    return np.stack([table[:, at] @ hours[at] / hours[at].sum() for at in parts], axis=1)


def _resources(r: UnitRequirement) -> list[str]:
    return sorted({name for b in r.blocks for name in b.further})


def _loads(r: UnitRequirement) -> tuple[Floats, Floats]:
    """(R, B) needs of demand and of each further resource, and (B,) hours.

    Of each block where the unit follows its load, else each month's largest for all its hours.
    """
    names = _resources(r)
    table = np.array([[b.demand, *(b.further.get(name, 0.0) for name in names)] for b in r.blocks]).T
    hours = np.array([b.hours for b in r.blocks])
    if r.autoscaled:
        return table, hours
    months = np.array([b.month for b in r.blocks])
    parts = [months == m for m in sorted(set(months))]
    return np.stack([table[:, at].max(axis=1) for at in parts], axis=1), np.array([hours[at].sum() for at in parts])


def _weights(r: UnitRequirement, allowed: Sequence[Candidate]) -> Floats:
    """(R, T) what one instance a zone holds of each row of :func:`_loads`, in the state that binds."""
    survivors = r.zones - r.zones_survived
    pairs = [[(c.safe, c.zone_loss) for c in allowed]]
    pairs += [[c.further.get(name, (0.0, 0.0)) for c in allowed] for name in _resources(r)]
    return np.array([[min(up * r.zones, lost * survivors) if r.zones_survived else up * r.zones for up, lost in row]
                     for row in pairs])  # fmt: skip


def _covers(
    needs: Floats, weight: Floats, costs: _Costs, i: int, others: npt.NDArray[np.int64], least: int
) -> tuple[Floats, Floats]:
    """(J, B) $/h and (J, B) instances, a zone, of the cheapest whole instances of type ``i`` and each of J others.

    ``needs`` is (R, B), ``weight`` (R, T); infinite where no number of them does.
    """
    alone = _enough(needs, weight[:, i])
    held = np.isfinite(alone)
    first = np.arange((int(alone[held].max(initial=0)) if held.any() else _MOST_BESIDE) + 1, dtype=float)[:, None]
    left = np.maximum(needs[:, None, :] - first[None] * weight[:, i, None, None], 0.0)
    second = _enough(left[:, :, None, :], weight[:, None, others, None])
    second = np.maximum(second, np.maximum(least - first, 0)[:, None])
    total = first[:, None] + second
    cost = costs.together(i, first, others, second)
    # Sizes of a family double in price: of what costs the same the fewest instances.
    cheapest = (cost + np.where(np.isfinite(total), _TOLERANCE * costs.price[i] * total, 0.0)).argmin(axis=0)[None]
    return np.take_along_axis(cost, cheapest, 0)[0], np.take_along_axis(total, cheapest, 0)[0]


def _enough(needs: Floats, weight: Floats) -> Floats:
    """Whole instances that hold all rows of ``needs`` (R, ...); infinite where they never do.

    ``weight`` is (R,), or (R, ...) as needs is.
    """
    by_row = weight.reshape(-1, *(1,) * (needs.ndim - 1)) if weight.ndim == 1 else weight
    with np.errstate(divide="ignore", invalid="ignore"):
        counts = np.ceil(needs / by_row - _TOLERANCE)
    met = needs <= _TOLERANCE * max(float(needs.max(initial=0.0)), 1.0)
    out: Floats = np.where(met, 0.0, np.where(by_row > 0, counts, np.inf)).max(axis=0)
    return out
