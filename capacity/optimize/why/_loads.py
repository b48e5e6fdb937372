"""Loads one by one: what each costs at least at given prices, and covers that are plans of it.

Knapsacks with weights rounded up prove what a load costs at least; covers of one or two types, and walks back through
knapsacks rounded down, hold for sure. Loads that coarse knapsacks do not close are filled with finer ones.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

import numpy as np

from capacity.domain import Floats
from capacity.optimize._clock import Deadline
from capacity.optimize.columns._bound import least_costs, stacked
from capacity.optimize.columns._cheapest import cheapest
from capacity.optimize.columns._covers import covers_of
from capacity.optimize.columns._deep import deep_sacks, walked
from capacity.optimize.columns._lanes import Counts, Lanes

# (I, L) USD of an instance in every zone over a load's hours: on demand, as spot.
Prices = tuple[Floats, Floats]

# Cells of the knapsacks, and of those of loads that the first leave open: proven less closely than a share of cost.
_CELLS, _CLOSED_FRAC = (256, 1024), 2e-4


def loads(
    units: Sequence[Lanes], prices: Sequence[Prices], deadline: Deadline
) -> tuple[list[Floats], list[tuple[Counts, Counts] | None]]:
    """By unit: (L,) what each load costs at least at ``prices``, and covers at list prices, None where there are none.

    At those of duals a unit would take more than commitments hold. Loads that coarse knapsacks do not close are filled
    with finer ones.
    """
    at_list = [list_prices(u) for u in units]
    least = _by_unit(units, least_costs([*units], [*prices], _CELLS[0], deadline))
    deep = deep_covers(units, at_list, _CELLS[0], deadline)
    covers = [cheaper_covers(u, p, d) for u, p, d in zip(units, at_list, deep, strict=True)]
    opened = [_open(u, p, x, c) for u, p, x, c in zip(units, prices, least, covers, strict=True)]
    some = [k for k, lanes in enumerate(opened) if len(lanes)]
    few = [_only(units[k], opened[k]) for k in some]
    own, listed = [_at(prices[k], opened[k]) for k in some], [_at(at_list[k], opened[k]) for k in some]
    finer = _by_unit(few, least_costs(few, own, _CELLS[1], deadline)) if some else []
    deeper = deep_covers(few, listed, _CELLS[1], deadline)
    for n, k in enumerate(some):
        least[k][opened[k]] = np.maximum(least[k][opened[k]], finer[n])
        better = cheaper_covers(few[n], listed[n], deeper[n])
        if better is not None and (known := covers[k]) is not None:
            known[0][opened[k]], known[1][opened[k]] = better
    return least, covers


def _open(u: Lanes, prices: Prices, least: Floats, covers: tuple[Counts, Counts] | None) -> Counts:
    """Lanes of which more can be proven, or may be."""
    if covers is None or not at_list_prices(u, prices):
        return np.arange(len(u.hours))
    usd = usd_of(u, prices, *covers)
    return np.flatnonzero(usd - least > _CLOSED_FRAC * usd)


def usd_of(u: Lanes, prices: Prices, running: Counts, spot: Counts) -> Floats:
    """(L,) what covers cost, the switching penalty with it."""
    as_spot = np.where(np.isfinite(prices[1]), prices[1], 0.0)
    out: Floats = (prices[0].T * running + as_spot.T * spot).sum(axis=1) + u.leave_cost(running)
    return out


def _only(u: Lanes, at: Counts) -> Lanes:
    """Some of a unit's lanes."""
    return replace(
        u, months=u.months[at], blocks=tuple(u.blocks[k] for k in at), need=u.need[:, at], hours=u.hours[at],
        share=u.share[at], peak=u.peak[at], leave_usd=u.leave_usd[:, at], most=u.most[:, at], fixed=u.fixed[at],
        spot_room=u.spot_room[at], least_types=u.least_types[at],
    )  # fmt: skip


def _at(prices: Prices, lanes: Counts) -> Prices:
    return prices[0][:, lanes], prices[1][:, lanes]


def at_list_prices(u: Lanes, prices: Prices) -> bool:
    """Whether nothing that couples units makes any of its types cheaper: then what it costs alone is a bound."""
    on_demand, spot = list_prices(u)
    asked = np.isfinite(spot)
    return bool((prices[0] >= on_demand * (1 - 1e-9)).all() and (prices[1] >= spot * (1 - 1e-9))[asked].all())


def _by_unit(units: Sequence[Lanes], least: Floats) -> list[Floats]:
    edges = np.cumsum([0, *(len(u.hours) for u in units)])
    return [least[int(a) : int(b)] for a, b in pairwise(edges)]


def list_prices(u: Lanes) -> Prices:
    """(I, L) USD of an instance in every zone, on demand and as spot."""
    return u.usd[:, None] * u.hours[None, :], u.spot_usd[:, None] * u.hours[None, :]


def deep_covers(lanes: Sequence[Lanes], prices: Sequence[Prices], cells: int, deadline: Deadline) -> list[Counts]:
    """(L, I) covers of any number of types of each unit; zeros where there is none."""
    sacks, places = [], []
    for at, (u, (usd, _spot)) in enumerate(zip(lanes, prices, strict=True)):
        free = np.flatnonzero((u.need > 0).any(axis=0) & ~u.fixed)
        if len(free) and not u.requirement.vertical:
            sacks.append(deep_sacks(u, np.arange(len(u.types)), usd, free))
            places.append((at, free))
    out = [np.zeros((len(u.hours), len(u.types)), dtype=np.int64) for u in lanes]
    counts = walked(stacked(sacks), cells, deadline) if sacks else np.zeros((0, 0), dtype=np.int64)
    begin = 0
    for at, free in places:
        out[at][free] = counts[begin : begin + len(free), : len(lanes[at].types)]
        begin += len(free)
    return out


def cheaper_covers(u: Lanes, prices: Prices, deep: Counts) -> tuple[Counts, Counts] | None:
    """(L, I) on demand and as spot, the cheaper of each load's covers; None where they break a limit of a load."""
    usd, spot_usd = prices
    cost, running, spot = cheapest(u, covers_of(u, np.arange(len(u.types))), usd, spot_usd)
    nothing = np.zeros_like(deep)
    other = np.where(u.allows(deep, nothing), (usd.T * deep).sum(axis=1) + u.leave_cost(deep), np.inf)
    better = other < cost
    running, spot = np.where(better[:, None], deep, running), np.where(better[:, None], 0, spot)
    holds = math.isfinite(float(np.minimum(cost, other).sum())) and u.allows(running, spot).all()
    return (running, spot) if holds else None
