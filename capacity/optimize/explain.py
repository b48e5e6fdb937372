"""Why there is no plan, and what holds a plan in place, in words.

A conflict is a minimal set of requirements: take any one away and the rest can be met. First what no instance type
can meet at all; then each unit alone; then the quotas, which are all that couples units. Months do not couple, so a
conflict lies in one month. Sets are made minimal by deletion: a requirement stays only if without it a plan exists
(whole instances included, which an IIS of the linear relaxation would miss).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from capacity.domain import Candidate, MixProblem, MixSolution, Quota, UnitRequirement
from capacity.optimize._fleet import Fleet, fleet_of, vertical_count
from capacity.optimize._highs import load, matrix_of, quiet
from capacity.optimize.model import MixModel, Row, build_model

# A requirement as rows of the model are grouped: "vertical" is two families of rows, one requirement.
Group = tuple[str, str, int, int]
_ONE_REQUIREMENT = {"one_type": "vertical"}
# Rows that define variables, no requirement of anyone.
_DEFINITIONS = frozenset({"within", "switching", "coverage", "commitment"})

# A probe that takes longer counts as "a plan exists": the set named may then not be minimal, never wrong.
_PROBE_SECONDS = 2.0


def nothing_may_serve(fleet: Fleet) -> tuple[str, ...]:
    """Requirements of the first unit that no instance type can meet in any number; empty where there is none."""
    for r in fleet.requirements:
        peak = max((b.demand for b in r.blocks), default=0.0)
        allowed = [c for c in r.candidates if c.allowed]
        if r.blocks and (peak > 0 or r.min_per_zone or r.vertical) and not allowed:
            barred = f" (runs {', '.join(c.instance_type for c in r.candidates)} against it)" if r.candidates else ""
            return (f"{r.unit}: its requirements leave no instance type{barred}",)
        if peak > 0 and r.zones_survived >= r.zones:
            return (
                f"{r.unit}: {r.zones} zone(s)",
                f"{r.unit}: must serve {peak:g} with {r.zones_survived} zone(s) lost",
            )
        if peak > 0 and not any(c.safe > 0 and (c.zone_loss > 0 or not r.zones_survived) for c in allowed):
            return (
                f"{r.unit}: no allowed instance type serves anything within the SLO",
                f"{r.unit}: demand of {peak:g}",
            )
    return ()


def explain_infeasible(problem: MixProblem) -> tuple[str, ...]:
    """A minimal set of requirements of ``problem`` that cannot hold together, in words; empty where a plan exists.

    Returns
    -------
    tuple of str
        One line a requirement, units by name. Removing any one of them makes the rest possible.
    """
    fleet = fleet_of(problem)
    return nothing_may_serve(fleet) or _unit_conflict(fleet) or _quota_conflict(fleet) or _joint_conflict(fleet)


def binding(problem: MixProblem, solution: MixSolution) -> tuple[str, ...]:
    """What decides the counts of a plan, in words: zone loss or demand, smallest and largest counts, quotas."""
    fleet = fleet_of(problem)
    out = [text for r in fleet.requirements if r.blocks for text in _binding_of_unit(fleet, r, solution)]
    out += [text for quota in fleet.problem.quotas for text in _binding_quota(fleet, quota, solution)]
    for owned in fleet.commitments:
        use = solution.commitment_use[solution.commitment_use["id"] == owned.id]
        paid, unused = float(use["paid_usd"].sum()), float(use["unused_usd"].sum())
        if paid > 0:
            out.append(f"commitment {owned.id}: {1 - unused / paid:.0%} used")
    return tuple(out)


# --- one unit alone ----------------------------------------------------------------------------------------


def _unit_conflict(fleet: Fleet) -> tuple[str, ...]:
    for s, r in enumerate(fleet.requirements):
        if _Probe(_part(fleet, [s], range(len(fleet.problem.months)), ())).exists():
            continue
        for t in range(len(fleet.problem.months)):
            part = _part(fleet, [s], [t], ())
            probe = _Probe(part)
            if not probe.exists():
                kept = _minimal(probe.groups(), probe.exists)
                return tuple(_words(part, g) for g in kept)
        raise AssertionError(f"{r.unit}: months do not couple")
    return ()


def _part(fleet: Fleet, units: Iterable[int], months: Iterable[int], quotas: Sequence[Quota]) -> Fleet:
    """The same problem with some of its units, months and quotas, and no money."""
    problem = fleet.problem
    chosen = [problem.months[t] for t in months]
    requirements = tuple(
        replace(r, blocks=tuple(b for b in r.blocks if b.month in chosen))
        for r in (fleet.requirements[s] for s in units)
    )
    hours = tuple(h for m, h in zip(problem.months, problem.month_hours, strict=True) if m in chosen)
    return fleet_of(
        replace(
            problem,
            months=tuple(chosen),
            month_hours=hours,
            requirements=requirements,
            commitments=(),
            quotas=tuple(quotas),
            switching_penalty_frac=0.0,
        )
    )


class _Probe:
    """Asks whether a plan exists when some requirements are taken away."""

    def __init__(self, fleet: Fleet) -> None:
        self.model: MixModel = build_model(fleet)
        self.matrix = matrix_of(self.model.lp)
        self.solver = quiet(seed=1)
        self.solver.setOptionValue("time_limit", _PROBE_SECONDS)
        load(self.solver, replace(self.matrix, cost=np.zeros_like(self.matrix.cost)), relaxed=False)
        self.group_of = [_group(self.model.rows[name]) for name in self.matrix.row_names]

    def groups(self) -> list[Group]:
        return list(dict.fromkeys(g for g in self.group_of if g is not None))

    def exists(self, groups: Iterable[Group] | None = None) -> bool:
        """Whether a plan meets ``groups`` (all where absent)."""
        import highspy

        self._activate(groups)
        self.solver.clearSolver()
        self.solver.run()
        return bool(self.solver.getModelStatus() != highspy.HighsModelStatus.kInfeasible)

    def least(self, cost: dict[Any, float], groups: Iterable[Group] | None = None) -> float:
        """The least of a linear cost over all plans that meet ``groups``; a proven lower bound where time runs out."""
        self._activate(groups)
        columns = np.arange(len(self.matrix.variables), dtype=np.int32)
        wanted = np.array([cost.get(v, 0.0) for v in self.matrix.variables])
        self.solver.changeColsCost(len(columns), columns, wanted)
        self.solver.run()
        bound = float(self.solver.getInfo().mip_dual_bound)
        self.solver.changeColsCost(len(columns), columns, np.zeros(len(columns)))
        return bound if math.isfinite(bound) else 0.0

    def _activate(self, groups: Iterable[Group] | None) -> None:
        kept = None if groups is None else set(groups)
        for j, group in enumerate(self.group_of):
            on = group is None or kept is None or group in kept
            low, high = (self.matrix.row_lower[j], self.matrix.row_upper[j]) if on else (-math.inf, math.inf)
            self.solver.changeRowBounds(j, low, high)


def _group(row: Row) -> Group | None:
    if row.family in _DEFINITIONS:
        return None
    return (_ONE_REQUIREMENT.get(row.family, row.family), str(row.unit or ""), row.month, row.key)


def _minimal(groups: Sequence[Group], exists: Callable[[list[Group]], bool]) -> list[Group]:
    """Delete what is not needed for the conflict, one requirement after the other."""
    kept = list(groups)
    for group in groups:
        rest = [g for g in kept if g != group]
        if not exists(rest):
            kept = rest
    return kept


def _words(fleet: Fleet, group: Group) -> str:
    family, name, t, key = group
    month = fleet.problem.months[t]
    if family == "quota":
        return _quota_words(fleet.problem.quotas[key], f" in {month}")
    r = next(r for r in fleet.requirements if str(r.unit) == name)
    if family in ("demand", "zone_loss"):
        block = fleet.blocks[fleet.position(r.unit)][t][key]
        lost = f" with {r.zones_survived} of {r.zones} zones lost" if family == "zone_loss" else ""
        return f"{name}: demand of {block.demand:g} in {month} {block.block}{lost}"
    if family == "minimum":
        return f"{name}: at least {r.min_per_zone} instance(s) per zone in {month}"
    if family == "maximum":
        big = max((c for c in r.candidates if c.allowed), key=lambda c: (c.safe, c.instance_type))
        limit = f"{name}: at most {r.max_per_zone} instance(s) per zone in {month}"
        return f"{limit}; the largest type allowed, {big.instance_type}, serves {big.safe:g} each"
    if family == "vertical":
        return f"{name}: vertical, {vertical_count(r)} instance(s) per zone of one type in {month}"
    pinned = [f"{n} x {i}" for (m, i), n in sorted((r.pinned or {}).items()) if m == month]
    return f"{name}: pinned to {' + '.join(pinned)} per zone in {month}"


def _quota_words(quota: Quota, rest: str) -> str:
    return f"quota {quota.code} in {quota.region} of account {quota.account_id}: {quota.limit:g} vCPU allowed{rest}"


# --- one quota ---------------------------------------------------------------------------------------------


def _quota_conflict(fleet: Fleet) -> tuple[str, ...]:
    """The first quota that is less than the least vCPU its units can do with."""
    for t, month in enumerate(fleet.problem.months):
        for quota in fleet.problem.quotas:
            units = [
                s
                for s, r in enumerate(fleet.requirements)
                if (r.account_id, r.unit.region) == (quota.account_id, quota.region)
                and any(c.allowed and c.quota_code == quota.code for c in r.candidates)
            ]
            probes = {s: _Probe(_part(fleet, [s], [t], ())) for s in units}
            needs = {s: _least_vcpu(probes[s], quota) for s in units}
            if sum(needs.values()) > quota.limit:
                head = _quota_words(quota, f", {sum(needs.values()):g} needed in {month}")
                return (head, *_consumers(quota, probes, needs))
    return ()


def _least_vcpu(probe: _Probe, quota: Quota, groups: Iterable[Group] | None = None) -> float:
    fleet = probe.model.fleet
    cost = {
        n: float(fleet.requirements[s].zones * c.vcpu)
        for (s, i, _t), n in probe.model.provisioned.items()
        if (c := fleet.requirements[s].candidates[i]).quota_code == quota.code
    }
    # vCPU are whole: a bound just below a whole number is that number.
    return math.ceil(probe.least(cost, groups) - 1e-6)


def _consumers(quota: Quota, probes: dict[int, _Probe], needs: dict[int, float]) -> list[str]:
    """The fewest units that overfill the quota, and of each the requirements that make it need so much."""
    chosen: dict[int, float] = {}
    for s in sorted(needs, key=lambda s: (-needs[s], s)):
        chosen[s] = needs[s]
        if sum(chosen.values()) > quota.limit:
            break
    out = []
    for s in sorted(chosen):
        probe, others = probes[s], sum(need for other, need in chosen.items() if other != s)
        room = quota.limit - others

        def fits(groups: list[Group], probe: _Probe = probe, room: float = room) -> bool:
            return _least_vcpu(probe, quota, groups) <= room

        kept = _minimal(probe.groups(), fits)
        chosen[s] = _least_vcpu(probe, quota, kept)
        out += [f"{_words(probe.model.fleet, g)} ({chosen[s]:g} vCPU or more)" for g in kept]
    return out


# --- several quotas ----------------------------------------------------------------------------------------


def _joint_conflict(fleet: Fleet) -> tuple[str, ...]:
    """Quotas that each leave room, but not all at once: minimal over quotas and units."""
    for t in range(len(fleet.problem.months)):
        part = _part(fleet, range(len(fleet.requirements)), [t], fleet.problem.quotas)
        probe = _Probe(part)
        if probe.exists():
            continue
        groups = probe.groups()
        parties = list(dict.fromkeys(_party(g) for g in groups))

        def exists(kept: list[Group], probe: _Probe = probe, groups: list[Group] = groups) -> bool:
            return probe.exists([g for g in groups if _party(g) in kept])

        minimal = _minimal(parties, exists)
        return tuple(_party_words(part, p) for p in minimal)
    return ()


def _party(group: Group) -> Group:
    """A quota, or all that is asked of a unit in the month."""
    return group if group[0] == "quota" else ("unit", group[1], group[2], -1)


def _party_words(fleet: Fleet, party: Group) -> str:
    if party[0] == "quota":
        return _words(fleet, party)
    r = next(r for r in fleet.requirements if str(r.unit) == party[1])
    peak = max(b.demand for b in r.blocks)
    return f"{r.unit}: demand of up to {peak:g} in {fleet.problem.months[party[2]]}"


# --- what holds a plan in place ----------------------------------------------------------------------------


def _binding_of_unit(fleet: Fleet, r: UnitRequirement, solution: MixSolution) -> Iterable[str]:
    running = solution.running[solution.running["unit"] == str(r.unit)]
    per_zone = running.groupby(["month", "block", "instance_type"])["per_zone"].sum().to_dict()
    peak = max(r.blocks, key=lambda b: (b.demand, b.month, b.block))
    counts = [(c, per_zone.get((peak.month, peak.block, c.instance_type), 0)) for c in r.candidates]
    total = sum(n for _, n in counts)
    where = f"{peak.month} {peak.block}"
    if r.vertical or any(m == peak.month for m, _ in r.pinned or {}):
        yield f"{r.unit}: its count is {'kept' if r.vertical else 'pinned'} ({total} per zone in {where})"
    elif total and total == r.min_per_zone:
        yield f"{r.unit}: its smallest count of {r.min_per_zone} per zone decides"
    elif total and peak.demand > 0:
        yield f"{r.unit}: {_deciding_state(r, counts, peak.demand)} decides the count in {where}"
    most = solution.provisioned[solution.provisioned["unit"] == str(r.unit)].groupby("month")["per_zone"].sum()
    at_most = sorted(most[most >= r.max_per_zone].index)
    if at_most:
        yield f"{r.unit}: at its largest count of {r.max_per_zone} per zone in {', '.join(at_most)}"


def _deciding_state(r: UnitRequirement, counts: Sequence[tuple[Candidate, int]], demand: float) -> str:
    normal = r.zones * sum(n * c.safe for c, n in counts) / demand - 1
    survivors = max(r.zones - r.zones_survived, 0)
    lost = survivors * sum(n * c.zone_loss for c, n in counts) / demand - 1
    if r.zones_survived and lost < normal:
        return f"losing {r.zones_survived} of {r.zones} zones ({lost:.1%} to spare)"
    return f"demand within the SLO ({normal:.1%} to spare)"


def _binding_quota(fleet: Fleet, quota: Quota, solution: MixSolution) -> Iterable[str]:
    steps = [
        (str(r.unit), c.instance_type, r.zones * c.vcpu)
        for r in fleet.requirements
        if (r.account_id, r.unit.region) == (quota.account_id, quota.region)
        for c in r.candidates
        if c.quota_code == quota.code
    ]
    if not steps:
        return
    counted = {(unit, instance_type) for unit, instance_type, _ in steps}
    frame = solution.provisioned
    mask = [pair in counted for pair in zip(frame["unit"], frame["instance_type"], strict=True)]
    used = frame[np.array(mask, dtype=bool)].groupby("month")["vcpu"].sum()
    full = used[used > quota.limit - min(step for *_, step in steps)]
    if len(full):
        yield _quota_words(quota, f", {full.max():g} used: no room for one instance more in {', '.join(full.index)}")
