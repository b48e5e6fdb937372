"""Who shares a pool, and by what weights: evenly, by shares, by cost, by usage, or as workloads took a cluster."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal

import pandas as pd

from capacity.config import CostsConfig, PoolConfig
from capacity.costs.kubernetes import IDLE, OVERHEAD, UNMAPPED, ClusterWeights
from capacity.costs.pools._split import whole_numbers
from capacity.costs.pools._targets import NOT_SPLIT, Group, Share, Target, apart
from capacity.errors import UsageError

_Weights = dict[Target, int]
# (currency, month): what is not known of one group is taken from all of them, never across currencies.
_COMPANY = slice(3, 5)


@dataclass
class Ledger:
    """EffectiveCost (whole units) of services and pools, as far as pools have been split.

    Attributes
    ----------
    direct
        By group and by (currency, month): what services were billed themselves.
    arrived
        The same for what pools have given them.
    pooled
        By group and by (currency, month): what is in a pool, its own and what it received.
    """

    direct: dict[tuple[object, ...], _Weights] = field(default_factory=dict)
    arrived: dict[tuple[object, ...], _Weights] = field(default_factory=dict)
    pooled: dict[tuple[object, ...], _Weights] = field(default_factory=dict)

    def add(self, table: dict[tuple[object, ...], _Weights], group: Group, target: Target, amount: int) -> None:
        """Book ``amount`` to ``target`` in the group, and in all of the company's groups of that currency and month."""
        for key in (group, group[_COMPANY]):
            by_target = table.setdefault(key, {})
            by_target[target] = by_target.get(target, 0) + amount


def usage_weights(name: str, frame: pd.DataFrame, services: Sequence[str]) -> dict[str, dict[str, int]]:
    """month -> service -> weight of one metric, as whole numbers in proportion.

    Raises
    ------
    UsageError
        The frame lacks a column or holds a negative weight.
    """
    missing = {"month", "service", "weight"} - set(frame.columns)
    if missing:
        raise UsageError(f"usage weights of '{name}': columns missing: {', '.join(sorted(missing))}")
    known, sums = set(services), dict[str, dict[str, float]]()
    for month, service, weight in zip(frame["month"], frame["service"], frame["weight"], strict=True):
        if weight < 0:
            raise UsageError(f"usage weights of '{name}': negative weight; a pool is split by amounts of usage")
        if service in known and weight == weight:  # an unknown amount is none
            of_month = sums.setdefault(str(month), {})
            of_month[str(service)] = of_month.get(str(service), 0.0) + float(weight)
    return {
        month: dict(zip(found, whole_numbers([Decimal(repr(v)) for v in found.values()]), strict=True))
        for month, found in sums.items()
    }


@dataclass(frozen=True)
class Weigher:
    """What each pool is split over, and by what.

    Attributes
    ----------
    usage
        metric, or "metric (stat)" -> month -> service -> weight.
    tiers, teams
        By service; None where they are not known, so that a pool of a tier or team cannot be split.
    """

    services: tuple[str, ...]
    costs: CostsConfig
    usage: Mapping[str, Mapping[str, Mapping[str, int]]]
    clusters: ClusterWeights | None = None
    tiers: Mapping[str, str] | None = None
    teams: Mapping[str, str] | None = None

    def members(self, pool: PoolConfig) -> tuple[str, ...]:
        """The services that may share ``pool``, in the order of the config.

        Raises
        ------
        UsageError
            It is limited to tiers or teams, and nothing says which services are of them.
        """
        out = [s for s in self.services if not pool.services or s in pool.services]
        for key, wanted, known in (("tiers", pool.tiers, self.tiers), ("teams", pool.teams, self.teams)):
            if wanted and known is None:
                raise UsageError(f"pool '{pool.name}': shared by {key}, but the {key} of services were not given")
            if wanted and known is not None:
                out = [s for s in out if known.get(s) in wanted]
        return tuple(out)

    def share(self, pool: PoolConfig, members: Sequence[str], group: Group, ledger: Ledger) -> Share:
        """How ``pool`` is split in ``group``; to nobody, with the reason, where nothing has a weight."""
        if pool.split == "even":
            targets = {Target("service", s): 1 for s in members} | {Target("pool", p): 1 for p in pool.to_pools}
            return _share(targets, "evenly", "there is no service to share it")
        if pool.split == "fixed":
            return _share(self._fixed(pool, members), "fixed shares", "its shares name no known service")
        if pool.split == "usage":
            return self._by_usage(pool, members, group)
        if pool.split == "kubernetes":
            return self._by_cluster(pool, group)
        return _by_cost(pool, members, group, ledger)

    def _fixed(self, pool: PoolConfig, members: Sequence[str]) -> _Weights:
        named = {n: Decimal(repr(float(w))) for n, w in pool.shares.items()}
        fed = pool.feeds([p.name for p in self.costs.pools], self.services)
        targets = [Target("service", s) for s in members if s in named] + [Target("pool", p) for p in fed]
        return dict(zip(targets, whole_numbers([named[t.name] for t in targets]), strict=True))

    def _by_usage(self, pool: PoolConfig, members: Sequence[str], group: Group) -> Share:
        name = pool.weight_name
        month = self.usage.get(name, {}).get(str(group[4]), {})
        weights = {Target("service", s): month.get(s, 0) for s in members}
        return _share(weights, f"usage: {name}", f"no service has {name} in this month")

    def _by_cluster(self, pool: PoolConfig, group: Group) -> Share:
        month = str(group[4])
        found = self.clusters.month(pool.clusters, month) if self.clusters else {}
        of = f" of {', '.join(pool.clusters)}" if pool.clusters else ""
        weights: _Weights = {}
        for (kind, name), weight in sorted(found.items()):
            target = {
                IDLE: Target("pool", pool.idle_pool) if pool.idle_pool else apart(pool.name, "idle"),
                OVERHEAD: Target("pool", pool.overhead_pool) if pool.overhead_pool else apart(pool.name, "overhead"),
                UNMAPPED: apart(pool.name, "no rule for the workload"),
            }.get(kind, Target("service", name))
            weights[target] = weights.get(target, 0) + weight
        return _share(weights, "Kubernetes workloads", f"no Kubernetes cost{of} is known in this month")


def _by_cost(pool: PoolConfig, members: Sequence[str], group: Group, ledger: Ledger) -> Share:
    targets = [*(Target("service", s) for s in members), *(Target("pool", p) for p in pool.to_pools)]
    shared = pool.base == "direct_and_shared"
    words = "direct and shared cost" if shared else "direct cost"
    for key, where in ((group, words), (group[_COMPANY], f"{words} of all accounts")):
        direct, arrived, pooled = (t.get(key, {}) for t in (ledger.direct, ledger.arrived, ledger.pooled))
        weights = {
            t: max(direct.get(t, 0) + pooled.get(t, 0) + (arrived.get(t, 0) if shared else 0), 0) for t in targets
        }
        if any(weights.values()):
            return _share(weights, where, "")
    return _share({}, "", "no service has a direct cost above zero in this month")


def _share(weights: Mapping[Target, int], method: str, reason: str) -> Share:
    known = {t: w for t, w in weights.items() if w}
    if known:
        return Share(tuple(known), tuple(known.values()), method)
    return Share((NOT_SPLIT,), (1,), "not split", reason)
