"""The second stage: what stays on demand in every lot of every path, and what one more unit of each pool would save.

Usage that no pool tells apart is added up first, which changes nothing. In a lot the programme is

    least  sum_g v_g - sum_{c,g} x_{c,g}    with  sum_c x_{c,g} <= v_g,  sum_g a_{c,g} x_{c,g} <= u_c,  x >= 0

for usage v, units u that run and a units per on-demand dollar. For any prices l_c >= 0 of a unit, its dual gives

    left on demand >= sum_g v_g min(1, min_c a_{c,g} l_c) - sum_c u_c l_c                       (weak duality)

so every choice of l makes a valid cut. The prices used are those of filling the pools in the provider's order: where
scopes nest and a pool has one rate (or the rates of all pools are in proportion), that filling is optimal, and the cut
is tight where it was made. Elsewhere each price in turn is moved to where it makes the cut highest, all others held.
Measured with three offers in two terms whose rates differ by up to .05 between types: the gap that is left of a plan is
.01 %, without these moves .07 %; and the provider's order costs .04 % of what is left on demand over the optimum.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from capacity.domain import Floats
from capacity.optimize.purchases._lines import Setting, steps_of

# Usage below this share of the largest is nothing: what rounding leaves of a group that is covered whole.
_NOTHING = 1e-12
# A cut that is lower than this share of the largest usage below its mark is worth the moves.
_LOOSE = 1e-9
# Rounds of moves; a third gains next to nothing and takes as long as the others.
_SWEEPS = 2


@dataclass(frozen=True)
class Cuts:
    """Left on demand an hour on each path and lot >= ``constant`` (P, K) - sum of ``unit`` (C, P, K) x units.

    ``left`` (P, K) is what filling in the provider's order leaves at the units the cut was made for.
    """

    constant: Floats
    unit: Floats
    left: Floats


class SecondStage:
    """The second stage of a setting; the usage is added up once."""

    def __init__(self, setting: Setting) -> None:
        self.setting = setting
        pools = setting.pools
        # Rates are compared too: by them the provider's order tells groups apart.
        groups = setting.horizon.usd.shape[2]
        told_apart = np.array([np.zeros(groups), *(x for p in pools for x in (p.units_per_usd, p.rate))])
        _, first, which = np.unique(told_apart, axis=1, return_index=True, return_inverse=True)
        which = which.reshape(-1)
        self.uses = np.array([p.units_per_usd for p in pools]).reshape(-1, groups)[:, first]
        merged = [replace(p, units_per_usd=p.units_per_usd[first], rate=p.rate[first]) for p in pools]
        self.steps = steps_of(merged)
        usd = setting.horizon.usd
        self.usd = np.zeros((len(first), *usd.shape[:2]))
        for g, group in enumerate(which):
            self.usd[group] += usd[:, :, g]
        self.largest = float(self.usd.max())

    def cuts(self, units: Floats) -> Cuts:
        """Fill the pools with ``units`` (C, K) running, then price them from the last to the first."""
        nothing = _NOTHING * self.largest
        left, remains = self.usd.copy(), []
        free = [np.broadcast_to(u, left.shape[1:]) for u in units]
        for step in self.steps:
            uses = self.uses[step.pool, step.groups][:, None, None]
            wanted = (left[step.groups] * uses).sum(axis=0)
            share = np.minimum(1.0, free[step.pool] / np.maximum(wanted, nothing or 1.0))
            left[step.groups] *= 1.0 - share
            free[step.pool] = free[step.pool] - share * wanted
            remains.append(left[step.groups] > nothing)
        unit, on_demand = self._prices(remains), left.sum(axis=0)
        running = np.broadcast_to(units[:, None, :], unit.shape)
        for _ in range(_SWEEPS):
            mark = self._constant(unit, self.usd) - (unit * running).sum(axis=0)
            loose = on_demand - mark > _LOOSE * self.largest
            if not loose.any():
                break
            unit[:, loose] = self._raised(unit[:, loose], self.usd[:, loose], running[:, loose])
        return Cuts(self._constant(unit, self.usd), unit, on_demand)

    def _prices(self, remains: list[Any]) -> Floats:
        """(C, P, K) what one more unit of a pool would save, of what it leaves to later pools or to on demand."""
        worth = np.ones_like(self.usd)
        unit = np.zeros((len(self.uses), *self.usd.shape[1:]))
        for step, rest in zip(reversed(self.steps), reversed(remains), strict=True):
            c, uses = step.pool, self.uses[step.pool, step.groups][:, None, None]
            unit[c] = np.maximum(unit[c], np.where(rest, worth[step.groups] / uses, 0.0).max(axis=0))
            worth[step.groups] = np.minimum(worth[step.groups], uses * unit[c])
        return unit

    def _constant(self, unit: Floats, usd: Floats) -> Floats:
        """sum_g v_g min(1, min_c a_{c,g} l_c)."""
        out: Floats = (usd * self._worth(unit, np.arange(len(usd)), without=-1)).sum(axis=0)
        return out

    def _worth(self, unit: Floats, groups: Any, without: int) -> Floats:
        """What an on-demand dollar of each of ``groups`` costs at the prices ``unit``, pool ``without`` left out."""
        worth = np.ones((len(groups), *unit.shape[1:]))
        for c, uses in enumerate(self.uses[:, groups]):
            covers = np.isfinite(uses)
            if c != without and covers.any():
                by_group = uses[covers].reshape(-1, *(1,) * (unit.ndim - 1))
                worth[covers] = np.minimum(worth[covers], by_group * unit[c])
        return worth

    def _raised(self, unit: Floats, usd: Floats, running: Floats) -> Floats:
        """Each price (C, L) moved to the highest point of the cut, which is concave and linear between break points.

        It rises in l_c as long as the groups that l_c prices (a l_c below what others ask) use more than runs.
        """
        for c in reversed(range(len(unit))):
            groups = np.flatnonzero(np.isfinite(self.uses[c]))
            if not len(groups):  # an owned commitment of what no longer runs: one more unit of it saves nothing
                unit[c] = 0.0
                continue
            uses = self.uses[c, groups][:, None]
            turns = self._worth(unit, groups, without=c) / uses
            order = np.argsort(-turns, axis=0, kind="stable")
            turns = np.take_along_axis(turns, order, axis=0)
            beyond = np.cumsum(np.take_along_axis(usd[groups] * uses, order, axis=0), axis=0) > running[c]
            at = np.take_along_axis(turns, beyond.argmax(axis=0)[None], axis=0)[0]
            unit[c] = np.where(beyond.any(axis=0), at, 0.0)
        return unit
