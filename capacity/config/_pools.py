"""A node pool: several services whose pods share the nodes of one Kubernetes pool."""

from __future__ import annotations

from typing import Self

from pydantic import Field, model_validator

from capacity.config._base import Fraction, Model, Name, Positive, TimeZone
from capacity.config._services import CandidateConfig, SpotConfig

# Pods that Kubernetes supports on a node ("Considerations for large clusters").
MOST_PODS = 110


class PodConfig(Model):
    """The pods of one service: what each requests, and the demand that one serves within its promise."""

    service: Name
    cpu_request_vcpu: Positive
    memory_request_gib: Positive
    demand_per_pod: Positive
    min_pods: int = Field(0, ge=0, description="that run in a region at all times")


class NodePoolConfig(Model):
    """A pool of nodes. It is planned as one unit under its own name; its services have no fleet of their own.

    The fleet frame names the pool as the service of its nodes.
    """

    name: Name
    tier: Name
    team: str = ""
    regions: list[str] = Field(min_length=1)
    account_id: str | None = Field(None, description="read from the fleet where absent")
    services: list[PodConfig] = Field(min_length=1)
    time_zone: TimeZone | None = Field(
        None, description="in which its load blocks are cut; its first service's if absent"
    )
    daemon_cpu_vcpu: float = Field(0.0, ge=0, description="requests of the daemon sets, on every node")
    daemon_memory_gib: float = Field(0.0, ge=0)
    allocatable_frac: Fraction | None = Field(
        None, description="share of a node that is left for pods and daemons; as Amazon EKS reserves it where absent"
    )
    max_pods_per_node: int = Field(MOST_PODS, ge=1, le=1000)
    autoscaled: bool = False
    zones: int = Field(3, ge=1, le=6)
    min_nodes_per_zone: int = Field(1, ge=0)
    max_nodes_per_zone: int = Field(200, ge=1)
    least_types: int = Field(1, ge=1, le=16)
    spot: SpotConfig = SpotConfig()
    candidates: CandidateConfig = CandidateConfig()

    @model_validator(mode="after")
    def _fits(self) -> Self:
        names = [p.service for p in self.services]
        problems = [f"services: '{n}' is given twice" for n in sorted({n for n in names if names.count(n) > 1})]
        if self.min_nodes_per_zone > self.max_nodes_per_zone:
            problems.append(
                f"min_nodes_per_zone: found {self.min_nodes_per_zone}; allowed: at most max_nodes_per_zone "
                f"({self.max_nodes_per_zone})"
            )
        if self.allocatable_frac == 0:
            problems.append("allocatable_frac: found 0; allowed: above 0")
        if problems:
            raise ValueError("; ".join(problems))
        return self
