"""What a node of a pool holds of pods' requests: what is left after the system and the daemons, in whole pods."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from capacity.config import NodePoolConfig, PodConfig
from capacity.domain import InstanceType

# What Amazon EKS reserves on a node (its AMI's bootstrap, kube-reserved, and the kubelet's memory.available limit):
# vCPU as 6 % of the first core, 1 % of the second, .5 % of the next two, .25 % of others; 255 MiB + 11 MiB a pod, and
# 100 MiB before the kubelet evicts.
_CPU_STEPS = ((1, 0.06), (1, 0.01), (2, 0.005))
_CPU_BEYOND = 0.0025
_BASE_MIB, _POD_MIB, _EVICTION_MIB = 255.0, 11.0, 100.0
_MIB_A_GIB = 1024.0


@dataclass(frozen=True)
class Shares:
    """Each service's part of the pool's requests at its peak, in the order of the config: vCPU, memory."""

    cpu: tuple[float, ...]
    memory: tuple[float, ...]


def allocatable(kind: InstanceType, pool: NodePoolConfig) -> tuple[float, float]:
    """(vCPU, GiB) for the services' pods on one node."""
    if pool.allocatable_frac is not None:
        cpu, memory = kind.vcpu * pool.allocatable_frac, kind.memory_gib * pool.allocatable_frac
    else:
        reserved = (_BASE_MIB + _POD_MIB * pool.max_pods_per_node + _EVICTION_MIB) / _MIB_A_GIB
        cpu, memory = kind.vcpu - _reserved_vcpu(kind.vcpu), kind.memory_gib - reserved
    return max(0.0, cpu - pool.daemon_cpu_vcpu), max(0.0, memory - pool.daemon_memory_gib)


def _reserved_vcpu(vcpu: int) -> float:
    reserved, left = 0.0, vcpu
    for count, share in _CPU_STEPS:
        reserved += share * min(left, count)
        left = max(0, left - count)
    return reserved + _CPU_BEYOND * left


def holds(kind: InstanceType, pool: NodePoolConfig, shares: Shares) -> tuple[float, float]:
    """(vCPU, GiB) of requests that a node holds in whole pods, of the services as they share the pool's peak.

    As if the nodes were divided among the services, each node with the pods of one: 1 / sum(share / what a node holds
    of that service's pods). Mixing pods fills gaps better, so no more nodes are needed than are counted. (0, 0) where
    a node is too small for one pod of any service.
    """
    cpu, memory = allocatable(kind, pool)
    counts = [fitting(cpu, memory, pod) for pod in pool.services]
    if any(min(by_cpu, by_memory) < 1 for by_cpu, by_memory in counts):
        return 0.0, 0.0
    by_cpu = [n * pod.cpu_request_vcpu for (n, _), pod in zip(counts, pool.services, strict=True)]
    by_memory = [n * pod.memory_request_gib for (_, n), pod in zip(counts, pool.services, strict=True)]
    return _together(shares.cpu, by_cpu), _together(shares.memory, by_memory)


def fitting(cpu: float, memory: float, pod: PodConfig) -> tuple[int, int]:
    """Pods that fit by vCPU, and by memory."""
    hair = 1e-9
    return math.floor(cpu / pod.cpu_request_vcpu + hair), math.floor(memory / pod.memory_request_gib + hair)


def too_small_for(kind: InstanceType, pool: NodePoolConfig) -> str | None:
    """The first service of which a node cannot hold one pod, in words."""
    cpu, memory = allocatable(kind, pool)
    for pod in pool.services:
        if min(fitting(cpu, memory, pod)) < 1:
            return f"too small for a pod of {pod.service}"
    return None


def _together(shares: Sequence[float], held: Sequence[float]) -> float:
    nodes = sum(share / amount for share, amount in zip(shares, held, strict=True))
    return 1.0 / nodes if nodes > 0 else 0.0
