"""The instance mix as one PuLP model: one function a family of variables or constraints.

Sets: units s, candidate types i, months t, load blocks b of the unit, zones Z(s), commitments k, lots l (``_fleet``).

=====================  ========================================================================================
variables
n[s,i,t]               whole instances per zone, provisioned in month t (zones are alike)
r[s,i,t,b]             whole instances per zone, running in block b; r = n where a unit does not autoscale
y[s,i,t]               1 where a vertical unit is of type i
cover[g,k,l]           $/h of on-demand value of the usage group g that commitment k covers in lot l
leave[s,i,t,b]         running instances of today's fleet of type i that do not run in b
=====================  ========================================================================================

=====================  ========================================================================================
constraints (family)
demand                 sum_i Z safe[i] r >= demand[t,b]
zone_loss              sum_i (Z - f) zone_loss[i] r >= demand[t,b]: f zones are gone, all others run on
minimum, maximum       min <= sum_i r in every block;  sum_i n <= max
within                 r <= n
vertical, one_type     n = count y;  sum_i y = 1: the count is kept, one type is chosen
pinned                 n = the earlier plan's count, in the months that it names
quota                  sum Z vCPU n <= limit, by account, region and class, every month
coverage               what commitments cover of a usage group <= what runs of it
commitment             what a commitment covers <= what it holds, in every lot
switching              leave >= running - Z r
=====================  ========================================================================================

The objective is what is not covered at on demand, plus the commitments (paid whole, used or not), plus the switching
penalty: an hour in which an instance that runs today no longer runs costs ``switching_penalty_frac`` of its price.
An instance that moves in the first month and stays away so pays that share of its price over the whole horizon.
Rows are scaled so that right-hand sides are near 1. Names are generated; :class:`Row` carries their meaning.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

from capacity.domain import Candidate, Unit, UnitRequirement
from capacity.optimize._fleet import Fleet, eligible, running_by_type, vertical_count

Sense = Literal["<=", ">=", "=="]
# (requirement, candidate, month) and (requirement, candidate, month, block), by position.
Key3 = tuple[int, int, int]
Key4 = tuple[int, int, int, int]


@dataclass(frozen=True)
class Row:
    """The meaning of a constraint. ``key`` is a block, a quota's or commitment's position, or -1."""

    family: str
    unit: Unit | None = None
    month: int = -1
    key: int = -1


@dataclass
class MixModel:
    """A PuLP problem and the map from its generated names to their meaning."""

    fleet: Fleet
    lp: Any
    provisioned: dict[Key3, Any] = field(default_factory=dict)
    running: dict[Key4, Any] = field(default_factory=dict)
    is_type: dict[Key3, Any] = field(default_factory=dict)
    cover: dict[tuple[int, int, int], Any] = field(default_factory=dict)
    leave: dict[Key4, Any] = field(default_factory=dict)
    rows: dict[str, Row] = field(default_factory=dict)
    objective: dict[Any, float] = field(default_factory=dict)
    constant_usd: float = 0.0

    def add(self, row: Row, terms: Mapping[Any, float], sense: Sense, rhs: float) -> None:
        """One constraint under a generated name (names that sanitise alike would break CBC)."""
        import pulp

        sign = {"<=": pulp.LpConstraintLE, ">=": pulp.LpConstraintGE, "==": pulp.LpConstraintEQ}[sense]
        name = f"{row.family}_{len(self.rows)}"
        # A requirement that nothing can meet is a row of its own, so that it can be named in a conflict.
        kept = {v: c for v, c in terms.items() if c != 0} or {self.nothing: 1.0}
        expression = pulp.LpAffineExpression(kept)
        self.lp.addConstraint(pulp.LpConstraint(expression, sign, name=name, rhs=rhs), name)
        self.rows[name] = row

    def variable(self, prefix: str, count: int, upper: float | None, integer: bool = True) -> Any:
        import pulp

        return self.lp.add_variable(f"{prefix}{count}", 0, upper, pulp.LpInteger if integer else pulp.LpContinuous)

    @cached_property
    def nothing(self) -> Any:
        """A variable that is always 0."""
        return self.variable("z", 0, 0.0, integer=False)

    def allowed(self, s: int) -> list[tuple[int, Candidate]]:
        return [(i, c) for i, c in enumerate(self.fleet.requirements[s].candidates) if c.allowed]

    def blocks_that_decide(self, s: int, t: int) -> range | list[int]:
        """Blocks that need variables: all where the unit autoscales, else the one with the largest demand."""
        blocks = self.fleet.blocks[s][t]
        if autoscales(self.fleet.requirements[s]):
            return range(len(blocks))
        return [max(range(len(blocks)), key=lambda b: blocks[b].demand)] if blocks else []

    def months_of(self, s: int) -> list[int]:
        """Months that the unit's horizon reaches."""
        return [t for t, blocks in enumerate(self.fleet.blocks[s]) if blocks]


def autoscales(requirement: UnitRequirement) -> bool:
    """A vertical unit keeps its count, so it never autoscales."""
    return requirement.autoscaled and not requirement.vertical


def build_model(fleet: Fleet) -> MixModel:
    """All families of the model, in order."""
    import pulp

    model = MixModel(fleet, pulp.LpProblem("instance_mix", pulp.LpMinimize))
    define_provisioning_variables(model)
    define_running_variables(model)
    define_demand_constraints(model)
    define_zone_loss_constraints(model)
    define_count_constraints(model)
    define_vertical_constraints(model)
    define_pinned_constraints(model)
    define_quota_constraints(model)
    define_commitment_constraints(model)
    define_switching_penalty(model)
    define_objective(model)
    return model


# --- variables ---------------------------------------------------------------------------------------------


def define_provisioning_variables(model: MixModel) -> None:
    """n[s,i,t], bounded by what the largest need could ever use of that type alone."""
    for s in range(len(model.fleet.requirements)):
        for t in model.months_of(s):
            for i, candidate in model.allowed(s):
                upper = _useful_count(model.fleet, s, candidate, t)
                model.provisioned[s, i, t] = model.variable("n", len(model.provisioned), upper)


def define_running_variables(model: MixModel) -> None:
    """r[s,i,t,b]: its own variable where the unit autoscales, else n itself."""
    for s, requirement in enumerate(model.fleet.requirements):
        for t in model.months_of(s):
            for i, _candidate in model.allowed(s):
                n = model.provisioned[s, i, t]
                for b in range(len(model.fleet.blocks[s][t])):
                    if not autoscales(requirement):
                        model.running[s, i, t, b] = n
                        continue
                    r = model.variable("r", len(model.running), n.upBound)
                    model.running[s, i, t, b] = r
                    model.add(Row("within", requirement.unit, t, b), {r: 1.0, n: -1.0}, "<=", 0.0)


def _useful_count(fleet: Fleet, s: int, candidate: Candidate, t: int) -> int:
    """Beyond this count per zone one instance less of ``candidate`` would still meet every requirement."""
    requirement = fleet.requirements[s]
    peak = max(b.demand for b in fleet.blocks[s][t])
    survivors = max(requirement.zones - requirement.zones_survived, 0)
    needs = [_ratio(peak, requirement.zones * candidate.safe), _ratio(peak, survivors * candidate.zone_loss)]
    running = math.ceil(running_by_type(requirement).get(candidate.instance_type, 0) / requirement.zones)
    pinned = (requirement.pinned or {}).get((fleet.problem.months[t], candidate.instance_type), 0)
    count = vertical_count(requirement) if requirement.vertical else 0
    return max(*needs, requirement.min_per_zone, running, pinned, count, 1)


def _ratio(demand: float, capacity: float) -> int:
    """Instances that hold ``demand``; 0 where a type holds nothing (more of it never helps)."""
    return math.ceil(demand / capacity) if capacity > 0 else 0


# --- requirements of a unit --------------------------------------------------------------------------------


def define_demand_constraints(model: MixModel) -> None:
    """Normal operation: all zones serve the demand within the SLO."""
    _define_cover(model, "demand", lambda r, c: r.zones * c.safe)


def define_zone_loss_constraints(model: MixModel) -> None:
    """What is left after ``zones_survived`` zones are gone serves the demand at the utilisation allowed then."""
    _define_cover(model, "zone_loss", lambda r, c: max(r.zones - r.zones_survived, 0) * c.zone_loss)


def _define_cover(model: MixModel, family: str, capacity: Any) -> None:
    for s, requirement in enumerate(model.fleet.requirements):
        if family == "zone_loss" and requirement.zones_survived == 0:
            continue
        for t in model.months_of(s):
            for b in model.blocks_that_decide(s, t):
                demand = model.fleet.blocks[s][t][b].demand
                if demand > 0:
                    terms = {model.running[s, i, t, b]: capacity(requirement, c) / demand for i, c in model.allowed(s)}
                    model.add(Row(family, requirement.unit, t, b), terms, ">=", 1.0)


def define_count_constraints(model: MixModel) -> None:
    """At least ``min_per_zone`` run in every block; at most ``max_per_zone`` are provisioned."""
    for s, requirement in enumerate(model.fleet.requirements):
        for t in model.months_of(s):
            if requirement.min_per_zone:
                for b in model.blocks_that_decide(s, t):
                    terms = {model.running[s, i, t, b]: 1.0 for i, _ in model.allowed(s)}
                    row = Row("minimum", requirement.unit, t, b)
                    model.add(row, terms, ">=", float(requirement.min_per_zone))
            terms = {model.provisioned[s, i, t]: 1.0 for i, _ in model.allowed(s)}
            model.add(Row("maximum", requirement.unit, t), terms, "<=", float(requirement.max_per_zone))


def define_vertical_constraints(model: MixModel) -> None:
    """A vertical unit keeps its count per zone; its type is chosen, the same for all."""
    for s, requirement in enumerate(model.fleet.requirements):
        if not requirement.vertical:
            continue
        count = float(vertical_count(requirement))
        for t in model.months_of(s):
            for i, _candidate in model.allowed(s):
                y = model.is_type[s, i, t] = model.variable("y", len(model.is_type), 1)
                n = model.provisioned[s, i, t]
                model.add(Row("vertical", requirement.unit, t), {n: 1.0, y: -count}, "==", 0.0)
            choice = {model.is_type[s, i, t]: 1.0 for i, _ in model.allowed(s)}
            model.add(Row("one_type", requirement.unit, t), choice, "==", 1.0)


def define_pinned_constraints(model: MixModel) -> None:
    """In the months that an earlier plan names, its counts are kept; other months stay free."""
    for s, requirement in enumerate(model.fleet.requirements):
        for t in model.months_of(s):
            month = model.fleet.problem.months[t]
            pinned = {i: n for (m, i), n in (requirement.pinned or {}).items() if m == month}
            if not pinned:
                continue
            row = Row("pinned", requirement.unit, t)
            for i, candidate in model.allowed(s):
                count = float(pinned.pop(candidate.instance_type, 0))
                model.add(row, {model.provisioned[s, i, t]: 1.0}, "==", count)
            for _unknown, count in sorted(pinned.items()):
                # 0 = count: a type that may not be planned cannot be kept.
                model.add(row, {}, "==", float(count))


def define_quota_constraints(model: MixModel) -> None:
    """vCPU of what is provisioned, by class. The running fleet's own use is what the plan replaces."""
    for q, quota in enumerate(model.fleet.problem.quotas):
        for t in range(len(model.fleet.problem.months)):
            terms = {
                model.provisioned[s, i, t]: float(requirement.zones * c.vcpu)
                for s, requirement in enumerate(model.fleet.requirements)
                if (requirement.account_id, requirement.unit.region) == (quota.account_id, quota.region)
                for i, c in model.allowed(s)
                if c.quota_code == quota.code and (s, i, t) in model.provisioned
            }
            if terms and math.isfinite(quota.limit):
                scale = max(quota.limit, 1.0)
                scaled = {v: vcpu / scale for v, vcpu in terms.items()}
                model.add(Row("quota", None, t, q), scaled, "<=", quota.limit / scale)


# --- commitments -------------------------------------------------------------------------------------------


def define_commitment_constraints(model: MixModel) -> None:
    """cover[g,k,l] <= what runs of its usage group, and <= what the commitment holds, in every lot.

    A usage group is all usage that the same commitments may cover (and of one price, where an RI counts instances).
    """
    groups = _usage_groups(model)
    for position, lot in enumerate(model.fleet.lots):
        covers: dict[int, dict[Any, float]] = {k: {} for k in lot.active}
        for g, ((ids, _type, price), members) in enumerate(groups):
            active = [k for k in ids if k in covers]
            if not active:
                continue
            terms: dict[Any, float] = {}
            for k in active:
                cover = model.variable("u", len(model.cover), None, integer=False)
                model.cover[g, k, position] = cover
                terms[cover] = 1.0
                covers[k][cover] = _held_per_usd(model.fleet, k, price)
            for s, i in members:
                requirement = model.fleet.requirements[s]
                value = requirement.zones * requirement.candidates[i].usd_per_hour
                for b, share in enumerate(model.fleet.presence[s][lot.month][:, lot.level]):
                    r = model.running[s, i, lot.month, b]
                    terms[r] = terms.get(r, 0.0) - value * float(share)
            model.add(Row("coverage", None, lot.month, lot.level), terms, "<=", 0.0)
        for k, held in covers.items():
            if held:
                model.add(Row("commitment", None, lot.month, k), held, "<=", 1.0)


def _usage_groups(model: MixModel) -> list[tuple[tuple[tuple[int, ...], str, float], list[tuple[int, int]]]]:
    commitments = model.fleet.commitments
    groups: dict[tuple[tuple[int, ...], str, float], list[tuple[int, int]]] = {}
    for s, requirement in enumerate(model.fleet.requirements):
        for i, c in model.allowed(s):
            account, region = requirement.account_id, requirement.unit.region
            ids = tuple(k for k, owned in enumerate(commitments) if eligible(owned, account, region, c))
            if not ids or c.usd_per_hour <= 0:
                continue
            reserved = any(commitments[k].product == "standard_ri" for k in ids)
            key = (ids, c.instance_type, c.usd_per_hour) if reserved else (ids, "", 0.0)
            groups.setdefault(key, []).append((s, i))
    return sorted(groups.items())


def _held_per_usd(fleet: Fleet, k: int, price: float) -> float:
    """Share of commitment ``k`` that one $/h of on-demand value consumes."""
    commitment = fleet.commitments[k]
    if commitment.product == "standard_ri":
        return 1.0 / (price * commitment.count)
    if commitment.hourly_usd <= 0:
        return 1e9  # a commitment of nothing covers nothing
    return fleet.problem.committed_rate[commitment.id] / commitment.hourly_usd


# --- objective ---------------------------------------------------------------------------------------------


def define_switching_penalty(model: MixModel) -> None:
    """leave >= running - Z r, at ``switching_penalty_frac`` of the price of the type that is left."""
    share = model.fleet.problem.switching_penalty_frac
    for s, requirement in enumerate(model.fleet.requirements):
        runs = running_by_type(requirement)
        for i, candidate in model.allowed(s):
            count = runs.get(candidate.instance_type, 0)
            price = share * candidate.usd_per_hour
            if not count or price <= 0:
                continue
            for t, blocks in enumerate(model.fleet.blocks[s]):
                for b in model.blocks_that_decide(s, t):
                    span = blocks[b].hours if autoscales(requirement) else sum(block.hours for block in blocks)
                    leave = model.variable("x", len(model.leave), float(count), integer=False)
                    model.leave[s, i, t, b] = leave
                    terms = {leave: 1.0 / count, model.running[s, i, t, b]: requirement.zones / count}
                    model.add(Row("switching", requirement.unit, t, b), terms, ">=", 1.0)
                    model.objective[leave] = price * span


def define_objective(model: MixModel) -> None:
    """On-demand value of all that runs, less what is covered, plus penalty and the commitments' fixed cost, in USD."""
    import pulp

    fleet = model.fleet
    for (s, i, t, b), r in model.running.items():
        requirement = fleet.requirements[s]
        usd = fleet.blocks[s][t][b].hours * requirement.zones * requirement.candidates[i].usd_per_hour
        model.objective[r] = model.objective.get(r, 0.0) + usd
    for (_g, _k, position), cover in model.cover.items():
        model.objective[cover] = -fleet.lots[position].hours
    model.constant_usd = sum(lot.hours * fleet.commitments[k].hourly_usd for lot in fleet.lots for k in lot.active)
    model.lp.setObjective(pulp.LpAffineExpression(model.objective, constant=model.constant_usd))
