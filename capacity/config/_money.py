"""Whose cost a bill row is, and how shared cost is split."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from graphlib import CycleError, TopologicalSorter
from typing import Literal, Self

from pydantic import Field, model_validator

from capacity.config._base import Model, Name, Positive, did_you_mean
from capacity.config._kubernetes import KubernetesCostConfig
from capacity.config._mapping import MappingFile, MappingPath

# What a usage metric of a pool can be read as; the statistics of the usage table.
Stat = Literal["avg", "sum", "max", "min", "p50", "p90", "p95", "p99"]
_Pattern = str | None


class AttributionRule(Model):
    """Bill rows whose columns all match go to one target.

    The target is ``service``, ``pool``, the service that a tag names, or what a mapping file says of the row.
    """

    name: Name
    service: Name | None = None
    pool: Name | None = Field(None, description="to a shared pool instead of a service")
    service_from_tag: str | None = Field(None, description="the tag whose value names the service")
    mapping: MappingPath | None = Field(
        None, description="a CSV of exact values and the service or pool they go to, relative to the config"
    )
    match: dict[str, _Pattern] = Field(
        {}, description="FOCUS column -> regular expression that must match it whole; null: the row has no value there"
    )
    tags: dict[str, _Pattern] = Field(
        {}, description="tag -> regular expression that must match its value whole; null: the row has no such tag"
    )

    @model_validator(mode="after")
    def _one_target(self) -> Self:
        given = (self.service, self.pool, self.service_from_tag, self.mapping)
        if sum(x is not None for x in given) != 1:
            raise ValueError("give exactly one of service, pool, service_from_tag and mapping")
        return self


class PoolConfig(Model):
    """A shared cost and how it is split over services, and over other pools where they are named."""

    name: Name
    split: Literal["even", "fixed", "cost", "usage", "kubernetes"] = "cost"
    shares: dict[Name, Positive] = Field({}, description="for fixed: service, or another pool -> weight")
    base: Literal["direct", "direct_and_shared"] = Field(
        "direct", description="for cost: the services' own cost, or with what earlier pools gave them"
    )
    metric: str | None = Field(None, description="for usage: the metric that is the weight")
    stat: Stat | None = Field(
        None, description="for usage: the statistic (avg where absent); of max and percentiles a month's largest counts"
    )
    services: list[Name] = Field([], description="only these share it; all services where empty")
    tiers: list[Name] = Field([], description="only services of these tiers")
    teams: list[Name] = Field([], description="only services of these teams")
    to_pools: list[Name] = Field([], description="for even and cost: pools that share it beside the services")
    clusters: list[str] = Field([], description="for kubernetes: its clusters, as regular expressions; all where empty")
    idle_pool: Name | None = Field(
        None, description="for kubernetes: the pool of what no workload used; it stays visible as idle where absent"
    )
    overhead_pool: Name | None = Field(
        None, description="for kubernetes: the pool of the cluster's own workloads (kube-system and the like)"
    )

    @model_validator(mode="after")
    def _needs(self) -> Self:
        if (self.split == "fixed") != bool(self.shares):
            raise ValueError("shares belong to split: fixed, and it needs them")
        if (self.split == "usage") != (self.metric is not None):
            raise ValueError("metric belongs to split: usage, and it needs one")
        only = {
            "base": (self.base != "direct", ("cost",)),
            "stat": (self.stat is not None, ("usage",)),
            "to_pools": (bool(self.to_pools), ("even", "cost")),
            "clusters": (bool(self.clusters), ("kubernetes",)),
            "idle_pool": (self.idle_pool is not None, ("kubernetes",)),
            "overhead_pool": (self.overhead_pool is not None, ("kubernetes",)),
        }
        for key, (given, kinds) in only.items():
            if given and self.split not in kinds:
                raise ValueError(f"{key} belongs to split: {' or '.join(kinds)}; found split: {self.split}")
        if self.split == "kubernetes" and (self.services or self.tiers or self.teams):
            raise ValueError("services, tiers and teams do not limit split: kubernetes; workloads say who takes part")
        return self

    @property
    def weight_name(self) -> str:
        """What usage weights are called: the metric, with its statistic where one was chosen."""
        return str(self.metric) if self.stat is None else f"{self.metric} ({self.stat})"

    def feeds(self, pools: Collection[str], services: Collection[str]) -> tuple[str, ...]:
        """The pools that get a share of this one; a name that is a service's too means the service."""
        named = [n for n in self.shares if n in pools and n not in services]
        named += [*self.to_pools, *(n for n in (self.idle_pool, self.overhead_pool) if n)]
        return tuple(dict.fromkeys(named))


class CostsConfig(Model):
    rules: list[AttributionRule] = []
    pools: list[PoolConfig] = []
    tax_pool: Name | None = Field(None, description="pool of Tax rows that no rule takes")
    credit_pool: Name | None = Field(None, description="pool of Credit and refund rows that no rule takes")
    refund_pool: Name | None = Field(None, description="pool of refund rows that no rule takes; credit_pool if absent")
    kubernetes: KubernetesCostConfig = KubernetesCostConfig()

    @property
    def mappings(self) -> tuple[MappingFile, ...]:
        """The mapping files of the rules, in their order."""
        return tuple(r.mapping for r in self.rules if r.mapping is not None)

    @property
    def apart(self) -> Mapping[str, str | None]:
        """Pools of rows that no rule takes, by their keys."""
        return {"tax_pool": self.tax_pool, "credit_pool": self.credit_pool, "refund_pool": self.refund_pool}


def pool_problems(costs: CostsConfig, services: Collection[str]) -> list[str]:
    """What is wrong with how pools name services and each other; a cycle is told with its way round."""
    pools = [p.name for p in costs.pools]
    out = []
    for pool in costs.pools:
        wanted = [("shares", n, "service or pool", [*services, *pools]) for n in pool.shares]
        wanted += [("services", n, "service", [*services]) for n in pool.services]
        wanted += [("to_pools", n, "pool", pools) for n in pool.to_pools]
        apart = (("idle_pool", pool.idle_pool), ("overhead_pool", pool.overhead_pool))
        wanted += [(key, n, "pool", pools) for key, n in apart if n is not None]
        out += [
            f"pool '{pool.name}': {key}: '{n}' is no known {kind}{did_you_mean(n, known)}"
            for key, n, kind, known in wanted
            if n not in known
        ]
    if out:
        return out
    try:
        pool_order(costs, services)
    except CycleError as error:
        way = " -> ".join(error.args[1])
        out.append(f"costs.pools: a pool's cost would come back to it: {way}; take one of these shares out")
    return out


def pool_order(costs: CostsConfig, services: Collection[str]) -> list[str]:
    """Pools in the order in which they are split: as they are listed, but a pool waits for what it receives.

    Raises
    ------
    graphlib.CycleError
        Pools that feed each other; its second argument is the way round.
    """
    names = [p.name for p in costs.pools]
    before: dict[str, set[str]] = {n: set() for n in names}
    for pool in costs.pools:
        for fed in pool.feeds(names, services):
            if fed in before:
                before[fed].add(pool.name)
    TopologicalSorter(before).prepare()  # refuses a cycle
    order: list[str] = []
    while len(order) < len(names):
        order.append(next(n for n in names if n not in order and before[n] <= set(order)))
    return order
