"""Why a service runs on this type and not on the next best: what the others would cost, and the reason in words.

The others are covers of one type each, and the service solved again without the chosen family. Each is priced as the
provider would bill the whole fleet with it, all other services kept as planned: so what commitments cover, and what
they then no longer cover, is in the difference.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from capacity.domain import Candidate, MixProblem, MixSolution, Unit, UnitRequirement
from capacity.errors import InfeasiblePlanError, NoPlanInTimeError, UsageError
from capacity.optimize._book import Book, Cover
from capacity.optimize._fleet import Fleet, fleet_of, vertical_count
from capacity.optimize._result import Plan
from capacity.optimize.columns._lanes import lanes_of
from capacity.optimize.explain._screen import count_needed
from capacity.optimize.solve import solve
from capacity.optimize.why._pieces import Piece
from capacity.optimize.why._plan import Counts, QuotaUse, bought_of, counts_of, penalty_usd, per_year, rows_of
from capacity.optimize.why._served import Mix, average_held_frac, held_frac
from capacity.words import listed, percent, usd

# A part of the difference below this share needs no words.
_WORTH_SAYING_FRAC = 0.005
_SAME_FRAC = 0.0005
_SECONDS, _GAP_FRAC = 5.0, 1e-4


@dataclass(frozen=True)
class OtherChoice:
    """What another choice of types would do. ``usd_per_year_more`` is inf where it is not possible."""

    name: str
    types: tuple[str, ...]
    usd_per_year_more: float
    frac_more: float
    reasons: tuple[str, ...]
    words: str


@dataclass(frozen=True)
class TypeChoice:
    """The types of a unit in the plan, what they cost a year, and the next best, the cheapest first."""

    unit: Unit
    chosen: tuple[str, ...]
    usd_per_year: float
    others: tuple[OtherChoice, ...]

    @property
    def words(self) -> tuple[str, ...]:
        return tuple(f"{self.unit}: {' + '.join(self.chosen)} rather than {o.words}" for o in self.others)


def type_choice(
    problem: MixProblem,
    solution: MixSolution,
    unit: Unit,
    *,
    count: int = 5,
    solver: Literal["highs", "cbc"] = "highs",
    seed: int = 1,
) -> TypeChoice:
    """Why ``unit`` runs on the types that it does: the ``count`` next best and those that cannot be, with reasons.

    For many units of one plan :class:`TypeChoices` is quicker.

    Raises
    ------
    UsageError
        The problem has no such unit, or the plan runs nothing of it.
    """
    return TypeChoices(problem, solution).of(unit, count=count, solver=solver, seed=seed)


class TypeChoices:
    """The choices of types of one plan: what all units share of it is worked out once."""

    def __init__(self, problem: MixProblem, solution: MixSolution) -> None:
        self.fleet: Fleet = fleet_of(problem)
        self.problem, self.solution = self.fleet.problem, solution
        self.counts = counts_of(solution)
        running = rows_of(self.fleet, self.counts)
        plan = Plan(running, np.zeros_like(running), running.max(axis=2, initial=0), bought_of(self.fleet, solution))
        self.book = Book(self.fleet, plan, all_allowed=True)
        self.quota_use = QuotaUse(self.fleet, solution)
        self.year = per_year(problem)

    def of(self, unit: Unit, *, count: int = 5, solver: Literal["highs", "cbc"] = "highs", seed: int = 1) -> TypeChoice:
        """As :func:`type_choice`.

        Raises
        ------
        UsageError
            The problem has no such unit, or the plan runs nothing of it.
        """
        view = _View(self, unit)
        if not view.chosen:
            raise UsageError(f"{unit}: the plan runs nothing of it, so there is no choice to explain")
        others = [view.one_type(c) for c in view.r.candidates if c.allowed and {c.instance_type} != set(view.chosen)]
        without = view.without_family(solver, seed)
        # Where one type is all that is left to choose, it is among the covers already.
        if without is not None and len(without.types) != 1:
            others.append(without)
        others.sort(key=lambda o: (round(o.usd_per_year_more, 2), o.name))
        possible = [o for o in others if math.isfinite(o.usd_per_year_more)][:count]
        impossible = [o for o in others if not math.isfinite(o.usd_per_year_more)][: max(count - len(possible), 1)]
        return TypeChoice(unit, view.chosen, view.usd * view.year, (*possible, *impossible))


class _View:
    """One unit of a plan, with all else kept."""

    def __init__(self, plan: TypeChoices, unit: Unit) -> None:
        self.fleet, self.problem, self.unit = plan.fleet, plan.problem, unit
        if unit not in {r.unit for r in self.fleet.requirements}:
            raise UsageError(f"{unit}: not a unit of this problem")
        s = self.fleet.position(unit)
        self.r: UnitRequirement = self.fleet.requirements[s]
        self.book, self.year = plan.book, plan.year
        self.lanes = lanes_of(self.fleet, s, range(len(self.problem.months)))
        self.mine = {key: n for key, n in plan.counts.items() if key[0] == str(unit)}
        self.chosen = tuple(sorted({key[4] for key in self.mine}))
        self.others_use = plan.quota_use.without(unit)
        self.known: dict[tuple[object, ...], float] = {}
        self.nothing = self._more({})
        self.usd = self.added(self.mine)

    def added(self, counts: Counts) -> float:
        """What the unit adds to the bill of all with ``counts``, and its penalty; each cover is billed once."""
        key = tuple(sorted(counts.items()))
        if key not in self.known:
            # What all is more than now, less what nothing of the unit is: only its penalty is in both.
            self.known[key] = self._more(counts) - self.nothing + penalty_usd(self.fleet, {}, self.unit)
        return self.known[key]

    def _more(self, counts: Counts) -> float:
        """What the whole plan costs more than now with ``counts`` for this unit: on demand as billed, and spot."""
        u = self.lanes
        if u is None:
            return 0.0
        running = np.zeros((len(u.hours), len(u.types)), dtype=np.int64)
        lane = {(t, b): k for k, (t, blocks) in enumerate(zip(u.months, u.blocks, strict=True)) for b in blocks}
        month = {m: t for t, m in enumerate(self.problem.months)}
        own = self.fleet.blocks[u.s]
        block = {(t, b.block): k for t, blocks in enumerate(own) for k, b in enumerate(blocks)}
        kind = {c.instance_type: i for i, c in enumerate(u.candidates)}
        spot = 0.0
        for (_unit, m, b, purchase, name), n in counts.items():
            t, i = month[m], kind[name]
            k = block[t, b]
            if purchase == "spot":
                spot += n * float(u.spot_usd[i]) * own[t][k].hours
            else:
                running[lane[t, k], i] = n
        cover = Cover(u, running, np.zeros((len(month), len(u.types)), dtype=np.int64), 0, 0.0)
        return float(self.book.more_usd([cover])[0]) + spot

    # --- other choices -------------------------------------------------------------------------------------

    def one_type(self, c: Candidate) -> OtherChoice:
        """A cover by ``c`` alone, on demand."""
        name = f"{c.instance_type} alone"
        if self.r.least_types > 1 and not self.r.vertical:
            return self._impossible(name, (c.instance_type,), f"at least {self.r.least_types} types are asked for")
        months = sorted({b.month for b in self.r.blocks})
        needed = {m: count_needed(self.r, c, [b for b in self.r.blocks if b.month == m]) for m in months}
        if self.r.vertical:
            kept = vertical_count(self.r)
            if max(needed.values()) > kept:
                text = f"{kept} per zone, the count that is kept, do not hold {self._short_of(c, kept)}"
                return self._impossible(name, (c.instance_type,), text)
            needed = dict.fromkeys(months, float(kept))
        if (reason := self._cannot(c, max(needed.values()))) is not None:
            return self._impossible(name, (c.instance_type,), reason)
        counts = {}
        for b in self.r.blocks:
            follows = self.r.autoscaled and not self.r.vertical
            n = count_needed(self.r, c, [replace(b, region_loss_demand=0.0)]) if follows else needed[b.month]
            if n:
                counts[str(self.unit), b.month, b.block, "on_demand", c.instance_type] = int(n)
        return self._choice(name, counts)

    def _short_of(self, c: Candidate, count: int) -> str:
        peak = max(self.r.blocks, key=lambda b: b.demand)
        frac, state = held_frac(self.r, peak, {c.instance_type: (count, 0)})
        return f"{state} ({percent(frac)} of it)" if frac < 1 else "what is asked when another region is lost"

    def _cannot(self, c: Candidate, count: float) -> str | None:
        if not math.isfinite(count):
            return "it holds nothing of what is asked"
        if any(self.r.pinned or {}):
            return "an earlier plan is pinned"
        if count > self.r.max_per_zone:
            return f"it needs {count:g} per zone, {self.r.max_per_zone} are allowed"
        for q, used in zip(self.problem.quotas, self.others_use, strict=True):
            if (q.account_id, q.region, q.code) == (self.r.account_id, self.r.unit.region, c.quota_code):
                wanted, left = self.r.zones * c.vcpu * count, q.limit - float(used)
                if wanted > left:
                    return f"quota {q.code} is full: it needs {wanted:g} vCPU, the others leave {max(left, 0):g}"
        return None

    def without_family(self, solver: Literal["highs", "cbc"], seed: int) -> OtherChoice | None:
        """The unit solved again, at on-demand and spot prices, with the family that carries most of it forbidden."""
        kinds = {c.instance_type: c for c in self.r.candidates}
        by_family: dict[str, float] = {}
        for (_unit, month, block, _purchase, kind), n in self.mine.items():
            hours = next(b.hours for b in self.r.blocks if (b.month, b.block) == (month, block))
            by_family[kinds[kind].family] = by_family.get(kinds[kind].family, 0.0) + n * kinds[kind].vcpu * hours
        family = max(by_family, key=lambda f: (by_family[f], f))
        if not any(c.allowed and c.family != family for c in self.r.candidates):
            return None
        candidates = tuple(replace(c, allowed=c.allowed and c.family != family) for c in self.r.candidates)
        barred = tuple(replace(x, candidates=candidates) if x is self.r else x for x in self.problem.requirements)
        piece = Piece("kept", frozenset({self.unit}), tuple(float(x) for x in self.others_use))
        name = f"anything but {family}"
        try:
            found = solve(piece.of(replace(self.problem, requirements=barred)), _SECONDS, _GAP_FRAC, solver, seed)
        except InfeasiblePlanError as error:
            return self._impossible(name, (), f"no plan: {error.conflicts[0]}")
        except NoPlanInTimeError:
            return None
        return self._choice(name, counts_of(found))

    # --- words ---------------------------------------------------------------------------------------------

    def _impossible(self, name: str, types: tuple[str, ...], reason: str) -> OtherChoice:
        return OtherChoice(name, types, math.inf, math.inf, (reason,), f"{name}: not possible: {reason}")

    def _choice(self, name: str, counts: Counts) -> OtherChoice:
        more = self.added(counts) - self.usd
        frac = more / self.usd if self.usd > 0 else 0.0
        types = tuple(sorted({key[4] for key in counts}))
        reasons = tuple(self._reasons(counts))
        sense = "dearer" if more >= 0 else "cheaper"
        cost = f"{percent(abs(frac))} {sense}, {usd(abs(more) * self.year)} a year"
        shown = f" ({' + '.join(types)})" if len(types) > 1 or name.startswith("anything") else ""
        text = f"{name}{shown}: {'costs the same' if abs(frac) < _SAME_FRAC else cost}"
        if reasons:
            text += f": {'; '.join(reasons)}"
        return OtherChoice(name, types, more * self.year, frac, reasons, text)

    def _reasons(self, counts: Counts) -> list[str]:
        """list(other) / list(chosen) is the ratio of prices of what is held times the ratio of what is held."""
        old, new = _mixes(self.mine), _mixes(counts)
        held_old, held_new = average_held_frac(self.r, old), average_held_frac(self.r, new)
        list_old, list_new = self._list_usd(self.mine), self._list_usd(counts)
        out = []
        if list_old > 0 and held_old > 0 and held_new > 0:
            price = (list_new / held_new) / (list_old / held_old) - 1
            if abs(price) > _WORTH_SAYING_FRAC:
                out.append(f"for what it holds it is {percent(abs(price))} {'dearer' if price > 0 else 'cheaper'}")
            if abs(held_new / held_old - 1) > _WORTH_SAYING_FRAC:
                out.append(self._rounding(new, held_new - 1, held_old - 1))
        out += self._binding(old, new)
        out += self._covered(counts, list_old, list_new)
        penalty = penalty_usd(self.fleet, counts, self.unit) - penalty_usd(self.fleet, self.mine, self.unit)
        if self.usd > 0 and abs(penalty) > _WORTH_SAYING_FRAC * self.usd:
            out.append(f"{usd(abs(penalty) * self.year)} a year of that is the {'' if penalty > 0 else 'saved '}switch")
        return out

    def _rounding(self, mix: Mapping[tuple[str, str], Mix], spare: float, spare_old: float) -> str:
        peak = max(self.r.blocks, key=lambda b: (b.demand, b.month, b.block))
        kinds = {c.instance_type: c for c in self.r.candidates}
        at_peak = sorted(mix.get((peak.month, peak.block), {}).items())
        runs = [f"{sum(n)} x {kinds[k].vcpu} vCPU" for k, n in at_peak if any(n)]
        verb = "more" if spare > spare_old else "less"
        return (
            f"whole instances ({listed(runs)} per zone at the peak) hold {percent(max(spare, 0.0))} more than asked on "
            f"average, {verb} than the {percent(max(spare_old, 0.0))} of the chosen"
        )

    def _binding(self, old: Mapping[tuple[str, str], Mix], new: Mapping[tuple[str, str], Mix]) -> list[str]:
        peak = max(self.r.blocks, key=lambda b: (b.demand, b.month, b.block))
        at = (peak.month, peak.block)
        before, after = held_frac(self.r, peak, old.get(at, {}))[1], held_frac(self.r, peak, new.get(at, {}))[1]
        return [f"its {after} binds, not {before}"] if after and before != after else []

    def _covered(self, counts: Counts, list_old: float, list_new: float) -> list[str]:
        """Share of the list price that commitments take off, with the others kept."""
        if not (self.problem.commitments or self.book.plan.bought) or list_old <= 0 or list_new <= 0:
            return []
        off_old = 1 - (self.usd - penalty_usd(self.fleet, self.mine, self.unit)) / list_old
        off_new = 1 - (self.added(counts) - penalty_usd(self.fleet, counts, self.unit)) / list_new
        if abs(off_old - off_new) <= _WORTH_SAYING_FRAC:
            return []
        sense = "less" if off_new < off_old else "more"
        return [f"commitments take {percent(max(off_new, 0.0))} off its price, {sense} than the {percent(off_old)} now"]

    def _list_usd(self, counts: Counts) -> float:
        kinds = {c.instance_type: c for c in self.r.candidates}
        hours = {(b.month, b.block): b.hours for b in self.r.blocks}
        total = 0.0
        for (_unit, month, block, purchase, kind), n in counts.items():
            c = kinds[kind]
            price = c.usd_per_hour if purchase == "on_demand" else c.spot_usd_per_hour or 0.0
            total += n * self.r.zones * price * hours[month, block]
        return total


def _mixes(counts: Counts) -> dict[tuple[str, str], Mix]:
    out: dict[tuple[str, str], dict[str, tuple[int, int]]] = {}
    for (_unit, month, block, purchase, kind), n in counts.items():
        mix = out.setdefault((month, block), {})
        r, p = mix.get(kind, (0, 0))
        mix[kind] = (r, p + n) if purchase == "spot" else (r + n, p)
    return dict(out)
