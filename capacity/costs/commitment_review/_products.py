"""Which commitments there are, and which usage each of them could pay for.

What a commitment covers is the provider's word (AWS, "Savings Plans types" and the reservation pages of each service):
a Compute Savings Plan pays for EC2 instances, Fargate and Lambda's duration, an EC2 Instance Savings Plan and Reserved
Instances for EC2 instances, other reservations for the machines of their service. Spot is never covered.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

# Pools of usage that a commitment can pay for: a pattern of the meter (AWS's usage type, with or without the region's
# code before it), and what tells the same where a bill has no meters: the provider's service and the pricing unit.
_METERS: Mapping[str, str] = {
    "ec2": r"(Box|Dedicated|Host|UnusedBox|UnusedDed)Usage(:|$)",
    "fargate_lambda": r"Fargate-|Lambda-(Edge-)?(Provisioned-)?(GB-Second|Concurrency)",
    "rds": r"(InstanceUsage|Multi-AZ(Cluster)?Usage|Multi-AZUsage):db\.",
    "elasticache": r"NodeUsage:cache\.",
    "memorydb": r"NodeUsage:db\.",
    "redshift": r"Node:(ra|dc|ds)\d",
    "opensearch": r"ESInstance:",
    "sagemaker": r":ml\.",
}
_SERVICES: Mapping[str, tuple[str, str]] = {
    "ec2": (r"Elastic Compute Cloud", r"(?i)^(h(ou)?rs?)$"),
    "fargate_lambda": (r"Fargate|AWS Lambda", r"(?i)hour|second"),
    "rds": (r"Relational Database", r"(?i)^h(ou)?rs?$"),
    "elasticache": (r"ElastiCache", r"(?i)^h(ou)?rs?$"),
    "memorydb": (r"MemoryDB", r"(?i)^h(ou)?rs?$"),
    "redshift": (r"Redshift", r"(?i)^h(ou)?rs?$"),
    "opensearch": (r"OpenSearch|Elasticsearch", r"(?i)^h(ou)?rs?$"),
    "sagemaker": (r"SageMaker", r"(?i)^h(ou)?rs?$"),
}
COMPUTE = ("ec2", "fargate_lambda")
_RESERVED = {
    "ec2_ri": "ec2", "rds_ri": "rds", "elasticache_ri": "elasticache", "memorydb_ri": "memorydb",
    "redshift_ri": "redshift", "opensearch_ri": "opensearch",
}  # fmt: skip
POOLS: Mapping[str, tuple[str, ...]] = {
    "compute_sp": COMPUTE,
    "ec2_instance_sp": ("ec2",),
    "savings_plan": COMPUTE,
    "sagemaker_sp": ("sagemaker",),
    "database_sp": ("rds", "elasticache", "memorydb", "opensearch"),
    **{product: (pool,) for product, pool in _RESERVED.items()},
}
# Another provider's commitment, or one whose kind the bill does not tell: no pool of its own is known.
OTHER = "other"
ALL = "all"

# The products' names for people.
WORDS: Mapping[str, str] = {
    "compute_sp": "Compute Savings Plans",
    "ec2_instance_sp": "EC2 Instance Savings Plans",
    "savings_plan": "Savings Plans",
    "sagemaker_sp": "SageMaker Savings Plans",
    "database_sp": "Database Savings Plans",
    "ec2_ri": "EC2 Reserved Instances",
    "rds_ri": "RDS Reserved Instances",
    "elasticache_ri": "ElastiCache reserved nodes",
    "memorydb_ri": "MemoryDB reserved nodes",
    "redshift_ri": "Redshift reserved nodes",
    "opensearch_ri": "OpenSearch Reserved Instances",
    OTHER: "other commitments",
    ALL: "all commitments",
}


def pool_of(service: str, meter: str, unit: str) -> str | None:
    """The pool that usage belongs to; None where no commitment is sold for it.

    >>> pool_of("Amazon Elastic Compute Cloud", "USE1-BoxUsage:m5.large", "Hrs"), pool_of("EC2", "VolumeUsage.gp3", "")
    ('ec2', None)
    """
    if meter:
        for pool, pattern in _METERS.items():
            if re.search(pattern, meter) and (pool != "memorydb" or "MemoryDB" in service):
                return pool
        return None
    return next((p for p, (s, u) in _SERVICES.items() if re.search(s, service) and re.search(u, unit)), None)


def product_of(kind: str, texts: Iterable[str], pools: Iterable[str | None]) -> str:
    """The product of one commitment.

    Parameters
    ----------
    kind
        CommitmentDiscountType: in the provider's own words, so only what it holds is looked for.
    texts
        Meters, services and the commitment's name, of all its rows.
    pools
        :func:`pool_of` its usage rows.
    """
    words = " ".join([kind, *sorted(texts)]).casefold().replace(" ", "").replace("_", "")
    if "savingsplan" in words or "sp:" in words:
        for product, signs in _PLAN_SIGNS.items():
            if any(sign in words for sign in signs):
                return product
        return "savings_plan"
    if "reserv" in kind.casefold():
        known = sorted({p for p in pools if p})
        return next((r for r, p in _RESERVED.items() if [p] == known), OTHER)
    return OTHER


_PLAN_SIGNS: Mapping[str, tuple[str, ...]] = {
    "ec2_instance_sp": ("ec2instancesavingsplan", "ec2instancesp", "ec2sp:"),
    "sagemaker_sp": ("sagemakersavingsplan", "sagemakersp:", "machinelearningsp", "forsagemaker", "machinelearning"),
    "database_sp": ("databasesavingsplan", "databasesp:", "forawsdatabase"),
    "compute_sp": ("computesavingsplan", "computesp:", "forawscomputeusage"),
}


def same_commitment(billed: str, owned: str) -> bool:
    """Whether a bill's commitment id (an ARN, mostly) is that of the inventory (mostly the last part of one)."""
    return billed == owned or billed.endswith((f"/{owned}", f":{owned}"))
