"""Karpenter: a NodePool (karpenter.sh/v1) for each unit and way of buying, as one list for ``kubectl apply``."""

from __future__ import annotations

import re
from itertools import groupby
from typing import Any

from capacity import catalogue
from capacity.domain import InstanceType
from capacity.errors import UsageError
from capacity.plan import Plan
from capacity.report.handover._base import Options, Rendered, dump, month_of, utc
from capacity.report.handover._groups import Group, groups
from capacity.report.handover._names import dns_label, dns_names

# Kubernetes' names of what the catalogue calls x86_64 and arm64.
ARCH = {"x86_64": "amd64", "arm64": "arm64"}
CAPACITY_TYPE = {"on_demand": "on-demand", "spot": "spot"}
# The pool with the larger weight is tried first; spot where the plan has any, and on demand for what it cannot give.
WEIGHT = {"on_demand": 10, "spot": 20}
# A label's value, and a DNS subdomain, as Kubernetes takes them.
_LABEL = re.compile(r"[A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?")
_SUBDOMAIN = re.compile(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*")


def render(plan: Plan, options: Options) -> Rendered:
    """karpenter_nodepools.json: a List of NodePools with the types, architecture, way of buying, region and limits.

    The plan knows how many zones there are and not their names, so none is asked for. Memory is limited where the
    catalogue knows every type of the pool.

    Raises
    ------
    UsageError
        The node class's name is none of Kubernetes.
    """
    if not _SUBDOMAIN.fullmatch(options.node_class) or len(options.node_class) > 253:
        raise UsageError(
            f"--node-class: found {options.node_class!r}; allowed: small letters, digits, hyphens and dots"
        )
    month, types = month_of(plan, options), catalogue.load().types
    of_month = [
        g for g in groups(plan) if g.month == month and g.unit.kind == "fleet" and _LABEL.fullmatch(g.instance_type)
    ]
    wanted = [tuple(found) for _, found in groupby(of_month, key=lambda g: (id(g.unit), g.purchase))]
    pools, notes = [], []
    for pool, name in zip(wanted, dns_names([_parts(p[0]) for p in wanted]), strict=True):
        unknown = sorted({g.instance_type for g in pool if g.instance_type not in types})
        if unknown:
            notes.append(
                f"{pool[0].unit.unit}: architecture and memory of {', '.join(unknown)} are not known: left out"
            )
        pools.append(_pool(plan, options, name, pool, types))
    return Rendered(
        {"karpenter_nodepools.json": dump({"apiVersion": "v1", "kind": "List", "items": pools})}, tuple(notes)
    )


def _parts(group: Group) -> tuple[str, ...]:
    """Of the pool's name, the same in every plan: auth-us-east-1-on-demand."""
    return dns_label(group.unit.service), dns_label(group.unit.region), CAPACITY_TYPE[group.purchase]


def _pool(
    plan: Plan, options: Options, name: str, pool: tuple[Group, ...], types: dict[str, InstanceType]
) -> dict[str, Any]:
    unit, purchase = pool[0].unit, pool[0].purchase
    labels = {"capacity/service": dns_label(unit.service), "capacity/region": dns_label(unit.region)}
    return {
        "apiVersion": "karpenter.sh/v1",
        "kind": "NodePool",
        "metadata": {
            "name": name,
            "labels": labels,
            "annotations": {"capacity/service-name": unit.service, "capacity/month": pool[0].month,
                            "capacity/plan-as-of": utc(plan.as_of)},
        },
        "spec": {
            "template": {
                "metadata": {"labels": {**labels, "capacity/pool": name}},
                "spec": {
                    "nodeClassRef": {"group": "karpenter.k8s.aws", "kind": "EC2NodeClass", "name": options.node_class},
                    "requirements": _requirements(pool, types),
                },
            },
            "limits": _limits(pool, types),
            "weight": WEIGHT[purchase],
        },
    }  # fmt: skip


def _requirements(pool: tuple[Group, ...], types: dict[str, InstanceType]) -> list[dict[str, Any]]:
    names = sorted({g.instance_type for g in pool})
    wanted = [
        ("node.kubernetes.io/instance-type", names),
        ("karpenter.sh/capacity-type", [CAPACITY_TYPE[pool[0].purchase]]),
    ]
    if _LABEL.fullmatch(pool[0].unit.region):
        wanted.append(("topology.kubernetes.io/region", [pool[0].unit.region]))
    if all(n in types for n in names):
        wanted.insert(1, ("kubernetes.io/arch", sorted({ARCH[types[n].arch] for n in names})))
    return [{"key": key, "operator": "In", "values": values} for key, values in wanted]


def _limits(pool: tuple[Group, ...], types: dict[str, InstanceType]) -> dict[str, str]:
    limits = {"cpu": str(sum(g.vcpu for g in pool))}
    if all(g.instance_type in types for g in pool):
        mib = sum(round(g.sizes.most * types[g.instance_type].memory_gib * 1024) for g in pool)
        limits["memory"] = f"{mib}Mi"
    return limits
