"""Safe capacity: what instances serve within the SLO, with all zones up and with the largest ones lost.

Per instance: vCPU × relative speed × utilisation / cost per unit of demand. The utilisation is rho* (from the SLO, or
the service's ``max_utilisation_frac``) with all zones up, and the tier's ``zone_loss_utilisation_frac`` (never below
rho*) with zones lost. A load-tested figure overrides both: it was measured at the SLO, so a lost zone allows no more.

**What is fixed** (``ResourceCost.fixed``, vCPU that is busy without any demand) is *reserved*, not spread: expressed in
demand, ``fixed / cost per unit``, it is taken off the fleet's capacity in both states. So for any fleet

    safe_capacity = Σ per_instance - reserved_demand

and a plan that is built from :func:`per_instance` must add :func:`reserved_demand` to the demand of every block, of
the survivors too. That is exact where the fixed part does not grow with the fleet.

**Other resources** (:class:`ResourceNeed`: memory, network, local disk) that grow with demand alone are *folded*: load
is spread over instances, so each must hold what its own share needs, and what an instance serves is the smallest over
vCPU and these. Where something is fixed the fleet holds it between its instances: a *further* requirement beside
demand.

A burstable type counts for its baseline (``InstanceType.baseline_frac``, or the config's share) and no more: what it
does beyond that it must have saved up before.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from capacity.config import ServiceConfig, TierConfig
from capacity.domain import InstanceType, Interval, ResourceCost, SafeCapacity, Unit
from capacity.errors import MissingDataError, UsageError
from capacity.saturation.performance import ScaleBasis, performance_scale
from capacity.saturation.queueing import safe_utilisation

# The machine whose vCPU counts 1 where speeds go by hardware: the catalogue's m5, 3.1 GHz and an IPC of 1.
_ONE = InstanceType("m5.large", "m5", 2, 1, 8.0, 0.75, "x86_64", False, False, clock_ghz=3.1, ipc_scale=1.0)

Running = Mapping[tuple[str, str], int]

# A measurement is not carried beyond 1.5 times its largest load without saying so.
EXTRAPOLATION_LIMIT = 1.5


@dataclass(frozen=True)
class ResourceNeed:
    """What demand needs of a resource beside vCPU, in the unit of its name.

    Attributes
    ----------
    per_demand
        For each unit of demand.
    fixed
        Of the whole fleet, whatever the demand.
    per_instance
        What every instance needs for itself before it holds anything.
    usable_frac
        Share of an instance's that may be used, in both states.
    basis
        Where the figures come from, in words.
    """

    resource: Literal["memory_gib", "network_gbps", "local_ssd_gb"]
    per_demand: float
    fixed: float = 0.0
    per_instance: float = 0.0
    usable_frac: float = 1.0
    basis: str = "given"

    @property
    def folds(self) -> bool:
        """Whether it grows with demand alone, so that it bounds what each instance serves."""
        return self.fixed == 0.0 and self.per_demand > 0.0

    def held(self, kind: InstanceType) -> float:
        """What an instance of ``kind`` holds for the service, at least 0."""
        return max(0.0, float(getattr(kind, self.resource)) * self.usable_frac - self.per_instance)

    def needed(self, demand: float) -> float:
        """What the fleet must hold at ``demand``."""
        return self.fixed + self.per_demand * demand


Needs = tuple[ResourceNeed, ...]


@dataclass(frozen=True)
class FixedBound:
    """What a fleet holds of a resource that is needed in part whatever the demand, and what bounds its demand so.

    Attributes
    ----------
    fixed, per_demand
        As in :class:`ResourceNeed`; ``per_demand`` is above 0.
    held, surviving
        What all instances hold, and those that are left with zones lost.
    each
        What an instance more holds, of the running mix.
    """

    fixed: float
    per_demand: float
    held: float
    surviving: float
    each: float

    def most(self, added: int) -> float:
        """Demand that ``added`` more instances leave room for, all zones up."""
        return max(0.0, self.held + added * self.each - self.fixed) / self.per_demand

    def most_surviving(self, added: int) -> float:
        """The same with zones lost, ``added`` more being left."""
        return max(0.0, self.surviving + added * self.each - self.fixed) / self.per_demand


@dataclass(frozen=True)
class _Part:
    """Instances of one type in one zone, and what they serve at cost ``mid``, before the reserve."""

    zone: str
    count: int
    kind: InstanceType
    tested: bool
    normal: float
    zone_loss: float


def rho_star(kind: InstanceType, service: ServiceConfig) -> float:
    """Safe utilisation of one instance: from the SLO where there is one, else ``max_utilisation_frac``."""
    if service.slo_p99_ms is None or service.service_time_ms is None:
        return service.max_utilisation_frac
    return safe_utilisation(
        kind.vcpu, service.service_time_ms, service.slo_p99_ms, service.service_time_cv2, service.arrival_cv2
    )


def reference_scale(running: Running, types: Mapping[str, InstanceType], service: ServiceConfig) -> float:
    """Speed of the average running vCPU in x86_64 vCPUs: what the measured cost per demand refers to.

    1 on an x86_64 fleet or where nothing runs; ``arm_per_core_scale`` on an arm64 one.
    """
    vcpu = {name: count * _type(name, types).vcpu for (name, _), count in _sum_zones(running).items()}
    total = sum(vcpu.values())
    if total == 0:
        return 1.0
    return sum(v * _speed(types[name], service) for name, v in vcpu.items()) / total


def per_instance(
    kind: InstanceType,
    service: ServiceConfig,
    tier: TierConfig,
    cost: ResourceCost,
    measured_scale: float = 1.0,
    needs: Needs = (),
) -> tuple[float, float]:
    """(safe, zone_loss) demand that one instance serves, before the reserve for what is fixed.

    Parameters
    ----------
    kind
        The instance type.
    service, tier
        The promise: SLO or largest utilisation, and what a lost zone allows.
    cost
        Resource (vCPU) per unit of demand; its middle is used.
    measured_scale
        :func:`reference_scale` of the fleet that ``cost`` was measured on.
    needs
        Other resources; those that fold bound what is served. A load-tested type was tested with all it has.

    Returns
    -------
    tuple of float
        In the unit of demand; (0, 0) where even an idle instance misses the SLO.
    """
    tested = service.load_tested.get(kind.name)
    if tested is not None:
        return tested, tested
    normal, zone_loss = _by_vcpu(kind, service, tier, cost, measured_scale)
    bounds = [need.held(kind) / need.per_demand for need in needs if need.folds]
    return min([normal, *bounds]), min([zone_loss, *bounds])


def binding_resource(
    kind: InstanceType, service: ServiceConfig, tier: TierConfig, cost: ResourceCost,
    measured_scale: float = 1.0, needs: Needs = (),
) -> str:  # fmt: skip
    """What bounds :func:`per_instance` with all zones up: ``load test``, ``vcpu``, or the name of a folded resource."""
    if kind.name in service.load_tested:
        return "load test"
    bounds: dict[str, float] = {"vcpu": _by_vcpu(kind, service, tier, cost, measured_scale)[0]}
    bounds.update({need.resource: need.held(kind) / need.per_demand for need in needs if need.folds})
    return min(bounds, key=lambda name: bounds[name])


def _by_vcpu(
    kind: InstanceType, service: ServiceConfig, tier: TierConfig, cost: ResourceCost, measured_scale: float
) -> tuple[float, float]:
    rho = rho_star(kind, service)
    if rho <= 0:
        return 0.0, 0.0
    per_utilisation = kind.vcpu * _speed(kind, service) / measured_scale / cost.per_demand.mid
    share = _earned_frac(kind, service)
    return per_utilisation * min(rho, share), per_utilisation * min(max(rho, tier.zone_loss_utilisation_frac), share)


def _earned_frac(kind: InstanceType, service: ServiceConfig) -> float:
    """Utilisation that ``kind`` can keep up: all of it, but for a burstable type of known baseline."""
    if not kind.burstable:
        return 1.0
    given = service.candidates.burstable_baseline_frac
    known = kind.baseline_frac if given is None else given
    return 1.0 if known is None else known


def reserved_demand(cost: ResourceCost) -> float:
    """What is fixed, expressed in demand: add it to the demand that instances must serve."""
    return cost.fixed / cost.per_demand.mid


def safe_capacity(
    unit: Unit,
    running: Running,
    types: Mapping[str, InstanceType],
    service: ServiceConfig,
    tier: TierConfig,
    cost: ResourceCost,
    needs: Needs = (),
) -> SafeCapacity:
    """What the running fleet serves within the SLO, judged on its real zones.

    Parameters
    ----------
    unit
        Whose fleet it is.
    running
        (instance type, zone) -> instances.
    types
        The catalogue by instance type.
    service, tier, cost, needs
        As for :func:`per_instance`. A further resource bounds the whole fleet: what it holds, less what is fixed, over
        what a unit of demand needs; with nothing to grow by it is met or not, and a flag says so where not.

    Returns
    -------
    SafeCapacity
        ``zone_loss`` is what is left when the ``tier.zones_survived`` largest zones (by what they serve) are gone.
        Both are intervals through the interval of the cost: a dear unit of demand gives the low end. The fixed part
        is held at its estimate, so the interval is on the wide side. Never below 0.

    Raises
    ------
    MissingDataError
        An instance type that the catalogue does not know.
    UsageError
        The service is usage-priced: it has no instances, only hard limits and quotas.
    """
    if service.kind == "usage_priced":
        raise UsageError(f"{unit}: a usage-priced service has no instances; judge it by its hard limits and quotas")
    parts = _parts(running, types, service, tier, cost, needs)
    survivors = _survivors(parts, tier.zones_survived)
    vcpu = sum(p.count * p.kind.vcpu for p in parts)
    untested = sum(p.count * p.kind.vcpu for p in parts if not p.tested)
    reserve = reserved_demand(cost) * (untested / vcpu if vcpu else 0.0)  # a load test held its own fixed part
    normal = _interval([(p.normal, p.tested) for p in parts], reserve, cost)
    zone_loss = _interval([(p.zone_loss, p.tested) for p in survivors], reserve, cost)
    normal, short = _held(normal, parts, needs)
    zone_loss, short_then = _held(zone_loss, survivors, needs)
    if not short and tier.zones_survived:
        short = tuple(f"with {tier.zones_survived} zone(s) lost, {text}" for text in short_then if "holds" in text)
    rho = sum(p.count * p.kind.vcpu * rho_star(p.kind, service) for p in parts) / vcpu if vcpu else 0.0
    return SafeCapacity(
        unit, normal, zone_loss, tier.zones_survived, rho, cost, sum(p.count for p in parts), vcpu,
        (*_flags(parts, survivors, normal, rho, service, tier, cost), *short),
    )  # fmt: skip


def fixed_bounds(
    running: Running,
    types: Mapping[str, InstanceType],
    service: ServiceConfig,
    tier: TierConfig,
    cost: ResourceCost,
    needs: Needs,
) -> tuple[FixedBound, ...]:
    """The further resources of ``needs`` that bound demand for the fleet as a whole; parameters as safe_capacity's."""
    parts = _parts(running, types, service, tier, cost, needs)
    survivors, count = _survivors(parts, tier.zones_survived), max(sum(p.count for p in parts), 1)

    def held(need: ResourceNeed, of: list[_Part]) -> float:
        return sum(p.count * need.held(p.kind) for p in of)

    return tuple(
        FixedBound(n.fixed, n.per_demand, held(n, parts), held(n, survivors), held(n, parts) / count)
        for n in needs
        if n.fixed > 0 and n.per_demand > 0
    )


def _parts(
    running: Running, types: Mapping[str, InstanceType], service: ServiceConfig, tier: TierConfig,
    cost: ResourceCost, needs: Needs,
) -> list[_Part]:  # fmt: skip
    scale = reference_scale(running, types, service)
    return [
        _Part(zone, count, _type(name, types), name in service.load_tested,
              *(count * x for x in per_instance(_type(name, types), service, tier, cost, scale, needs)))
        for (name, zone), count in sorted(running.items()) if count > 0
    ]  # fmt: skip


def _held(served: Interval, parts: list[_Part], needs: Needs) -> tuple[Interval, tuple[str, ...]]:
    """``served`` within what ``parts`` hold of other resources, and what they hold too little of.

    Folded ones are in the middle already; here they bound the interval, which the cost in vCPU widened.
    """
    flags = []
    for need in needs:
        held = sum(p.count * need.held(p.kind) for p in parts if not (p.tested and need.folds))
        if held < need.fixed:
            flags.append(f"{need.resource}: holds {held:.4g}, needs {need.fixed:.4g} whatever the demand")
        if need.per_demand > 0:
            tested = sum(p.normal for p in parts if p.tested and need.folds)
            most = tested + max(0.0, held - need.fixed) / need.per_demand
            if most < served.mid:
                flags.append(f"{need.resource} binds: it is enough for {most:.4g}")
            served = Interval(min(served.low, most), min(served.mid, most), min(served.high, most), served.confidence)
    return served, tuple(flags)


def _survivors(parts: list[_Part], lost: int) -> list[_Part]:
    """The parts outside the ``lost`` zones that serve most."""
    serves: dict[str, float] = {}
    for p in parts:
        serves[p.zone] = serves.get(p.zone, 0.0) + p.zone_loss
    gone = set(sorted(serves, key=lambda zone: (-serves[zone], zone))[:lost])
    return [p for p in parts if p.zone not in gone]


def _interval(served: list[tuple[float, bool]], reserve: float, cost: ResourceCost) -> Interval:
    """Sum of what is served less the reserve, at the high, middle and low cost; tested figures do not move."""
    tested = sum(x for x, is_tested in served if is_tested)
    costed = sum(x for x, is_tested in served if not is_tested) - reserve
    per = cost.per_demand
    low, mid, high = (max(0.0, tested + costed * per.mid / c) for c in (per.high, per.mid, per.low))
    if costed < 0:  # the reserve is larger than what the untested part serves: a dear unit then costs less
        low, high = high, low
    return Interval(low, mid, high, per.confidence)


def _flags(
    parts: list[_Part], survivors: list[_Part], normal: Interval, rho: float,
    service: ServiceConfig, tier: TierConfig, cost: ResourceCost,
) -> tuple[str, ...]:  # fmt: skip
    zones = len({p.zone for p in parts})
    tested = bool(parts) and all(p.tested for p in parts)
    seen = cost.highest_demand_seen
    found = [
        (not parts, "no instance runs"),
        (bool(parts) and not survivors, f"runs in {zones} zone(s): losing {tier.zones_survived} leaves nothing"),
        (bool(parts) and rho <= 0, f"even an idle server misses the SLO of {service.slo_p99_ms:g} ms"
         if service.slo_p99_ms else ""),
        (any(p.kind.burstable and _earned_frac(p.kind, service) == 1.0 for p in parts),
         "burstable instances: CPU credits are not modelled"),
        (not tested and 0 < EXTRAPOLATION_LIMIT * seen < normal.mid,
         f"extrapolates: safe capacity is {normal.mid / seen:.1f} times the highest load seen" if seen > 0 else ""),
    ]  # fmt: skip
    own = tuple(text for holds, text in found if holds)
    return own if tested else (*cost.flags, *own)


def scale_of(kind: InstanceType, service: ServiceConfig) -> tuple[float, ScaleBasis]:
    """Throughput of a vCPU over that of an x86_64 one, and where that comes from.

    As measured for the type or its family; else by hardware where the config asks for that and the catalogue knows
    clock and IPC (over an m5's); else a vCPU is a vCPU of its architecture, ``unknown``.
    """
    wanted = service.candidates
    scale, basis = performance_scale(kind, _ONE, wanted.performance_scale)
    if basis == "measured" or (basis == "hardware" and wanted.scale_by == "hardware"):
        return scale, basis
    return (wanted.arm_per_core_scale if kind.arch == "arm64" else 1.0), "unknown"


def _speed(kind: InstanceType, service: ServiceConfig) -> float:
    return scale_of(kind, service)[0]


def _type(name: str, types: Mapping[str, InstanceType]) -> InstanceType:
    if name not in types:
        raise MissingDataError(f"instance type {name} is not in the catalogue; refresh the catalogue or mend the fleet")
    return types[name]


def _sum_zones(running: Running) -> dict[tuple[str, str], int]:
    """Counts by type, kept under (type, "")."""
    out: dict[tuple[str, str], int] = {}
    for (name, _), count in running.items():
        out[(name, "")] = out.get((name, ""), 0) + count
    return out
