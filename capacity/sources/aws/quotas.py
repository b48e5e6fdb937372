"""Service Quotas in every account and region, and how much of each is used.

vCPU quotas of EC2 are counted from what runs: vCPU of the running instances of their families, and of the unused part
of the account's own Capacity Reservations, which counts against On-Demand quotas too. Of other quotas AWS names a
metric of usage, or none: those without are left out and counted in a note, since nothing can be said of them but the
limit. Rates (calls a second) are left out as well: a count of calls is no share of them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, ClassVar

import pyarrow as pa

from capacity.config import QuotaSource
from capacity.errors import CapacityError, UsageError
from capacity.schemas import QUOTAS
from capacity.sources._protocol import Batch, Context, SourceInfo
from capacity.sources.aws import _fleet_read as read
from capacity.sources.aws._access import Access, Place
from capacity.sources.aws._calls import Failures, errors_of
from capacity.sources.aws._fleet_quota_codes import is_vcpu, quota_code
from capacity.sources.aws._naming import some

# Types a call of DescribeInstanceTypes (API reference).
TYPES_A_CALL = 100
# Metrics a call of GetMetricData (API reference).
METRICS_A_CALL = 500
# Usage metrics come every few minutes; an hour's largest of the last three is the newest figure, gaps allowed for.
USAGE_PERIOD = timedelta(hours=1)
USAGE_WINDOW = timedelta(hours=3)
# Requests for more that are not decided.
_PENDING = ("PENDING", "CASE_OPENED")
GLOBAL = "global"


@dataclass(frozen=True)
class Quota:
    """A limit as Service Quotas tells it; ``metric`` is its usage in CloudWatch, where it has one."""

    service: str
    code: str
    name: str
    limit: float
    everywhere: bool
    metric: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class _Found:
    rows: list[dict[str, Any]]
    notes: tuple[str, ...]


class QuotaReader:
    """The quotas frame of every account and region.

    Raises
    ------
    UsageError
        The config has no such way into AWS.
    """

    info: ClassVar[SourceInfo] = SourceInfo(
        kind="aws_quotas",
        reads="Service Quotas: applied limits and AWS's defaults, and what is used of each",
        frames=("quotas",),
        permissions=(
            "cloudwatch:GetMetricData",
            "ec2:DescribeCapacityReservations",
            "ec2:DescribeInstanceTypes",
            "ec2:DescribeInstances",
            "servicequotas:ListAWSDefaultServiceQuotas",
            "servicequotas:ListRequestedServiceQuotaChangeHistory",
            "servicequotas:ListServiceQuotas",
        ),
        price="$0.01 per 1,000 usage metrics requested of CloudWatch (list price, us-east-1); the rest is free",
        limits="100 quotas a page, 500 metrics a call; quotas whose usage AWS does not tell are left out",
        calls=(
            "servicequotas:ListServiceQuotas, ListAWSDefaultServiceQuotas (each a service)",
            "servicequotas:ListRequestedServiceQuotaChangeHistory (twice)",
            "ec2:DescribeInstances, DescribeInstanceTypes, DescribeCapacityReservations",
            "cloudwatch:GetMetricData ($0.00001 a metric)",
        ),
    )

    def __init__(self, config: QuotaSource, context: Context) -> None:
        self.name = config.name
        self._config = config
        self._access = Access(context.access(config), config.name)

    def batches(self, since: datetime | None, now: datetime) -> Iterator[Batch]:
        """Limits and usage as of ``now``.

        Raises
        ------
        DataError
            One line a failed account, region and call, after all that succeeded has been handed over.
        """
        if now.tzinfo is None:
            raise UsageError(f"source '{self.name}': now {now} has no zone")
        failures = Failures()
        told: set[tuple[str, str, str]] = set()
        places = self._access.places(self._config.accounts, self._config.regions)
        for place, found in self._access.each(places, lambda p: self._read(p, now)):
            if isinstance(found, CapacityError):
                failures.add(found)
                continue
            rows = [r for r in found.rows if (r["account_id"], r["region"], r["code"]) not in told]
            told |= {(r["account_id"], r["region"], r["code"]) for r in rows}
            yield Batch("quotas", pa.Table.from_pylist(rows, schema=QUOTAS.schema), place.label, found.notes)
        failures.raise_if_any()

    def _read(self, place: Place, now: datetime) -> _Found:
        access = self._access
        quotas = [q for service in self._config.services for q in limits(access, place, service)]
        used: dict[tuple[str, str], float] = {}
        notes: list[str] = []
        if any(is_vcpu(q.code) for q in quotas):
            vcpu, notes = vcpu_used(access, place)
            used = {(q.service, q.code): vcpu.get(q.code, 0.0) for q in quotas if is_vcpu(q.code)}
        used |= metrics_used(access, place, [q for q in quotas if q.metric and (q.service, q.code) not in used], now)
        known = [q for q in quotas if (q.service, q.code) in used]
        if len(known) < len(quotas):
            notes.append(f"{len(quotas) - len(known)} quotas whose usage AWS does not tell are left out")
        notes += _requests(access, place, set(self._config.services))
        return _Found([_row(q, used[q.service, q.code], place, code) for q, code in _coded(known)], tuple(notes))


def _coded(quotas: Sequence[Quota]) -> Iterator[tuple[Quota, str]]:
    """Each quota with its code; with its service's too where two services have the same."""
    twice = {code for code, n in Counter(q.code for q in quotas).items() if n > 1}
    for quota in quotas:
        yield quota, f"{quota.service}:{quota.code}" if quota.code in twice else quota.code


def _row(quota: Quota, used: float, place: Place, code: str) -> dict[str, Any]:
    return {
        "account_id": place.account.account_id,
        "region": GLOBAL if quota.everywhere else place.region,
        "code": code,
        "name": quota.name,
        "limit": quota.limit,
        "used": used,
    }


# --- limits --------------------------------------------------------------------------------------------------------


def limits(access: Access, place: Place, service: str) -> list[Quota]:
    """The quotas of one service: what applies to the account, else AWS's default (an account shows only some)."""
    calls = (
        ("list_aws_default_service_quotas", "servicequotas:ListAWSDefaultServiceQuotas"),
        ("list_service_quotas", "servicequotas:ListServiceQuotas"),
    )
    found: dict[str, Quota] = {}
    for operation, action in calls:
        raw = read.listed(
            access, place, "service-quotas", operation, action, "Quotas", read.PAGE, ServiceCode=service
        )  # fmt: skip
        found |= {q.code: q for q in map(_quota, raw) if q is not None}
    return list(found.values())


def _quota(raw: Mapping[str, Any]) -> Quota | None:
    """None where the quota is of one resource, or has no value."""
    if raw.get("ErrorReason") or raw.get("Value") is None or raw.get("QuotaAppliedAtLevel") == "RESOURCE":
        return None
    metric = raw.get("UsageMetric") or None
    return Quota(
        service=str(raw["ServiceCode"]),
        code=str(raw["QuotaCode"]),
        name=str(raw["QuotaName"]),
        limit=float(raw["Value"]),
        everywhere=bool(raw.get("GlobalQuota")),
        metric=None if metric is None or raw.get("Period") or not metric.get("MetricName") else metric,
    )


def _requests(access: Access, place: Place, services: set[str]) -> list[str]:
    """One sentence a request for more that AWS has not decided."""
    out = []
    for status in _PENDING:
        found = read.listed(
            access, place, "service-quotas", "list_requested_service_quota_change_history",
            "servicequotas:ListRequestedServiceQuotaChangeHistory", "RequestedQuotas", read.PAGE, Status=status,
        )  # fmt: skip
        out += [
            f"{r['QuotaCode']} ({r['QuotaName']}): {float(r['DesiredValue']):g} asked for on "
            f"{r['Created']:%Y-%m-%d}, not decided ({status})"
            for r in found
            if r["ServiceCode"] in services
        ]
    return out


# --- usage ---------------------------------------------------------------------------------------------------------


def vcpu_used(access: Access, place: Place) -> tuple[dict[str, float], list[str]]:
    """vCPU by quota code of what runs and what is reserved, and notes on what belongs to no known quota.

    Instances on Dedicated Hosts have quotas of hosts and do not count.
    """
    running = [i for i in read.instances(access, place) if i.running and i.tenancy != "host"]
    counts = Counter((i.instance_type, i.purchase == "spot") for i in running if i.purchase != "reserved")
    for raw in read.capacity_reservations(access, place):
        own = str(raw.get("OwnerId") or place.account.account_id) == place.account.account_id
        if own and raw.get("State") == "active" and str(raw.get("ReservationType") or "default") == "default":
            counts[str(raw["InstanceType"]), False] += int(raw.get("AvailableInstanceCount") or 0)
    vcpu = vcpu_of(access, place, sorted({name for (name, _), n in counts.items() if n}))
    out: dict[str, float] = {}
    unknown = []
    for (name, spot), count in sorted(counts.items()):
        code = quota_code(name, spot=spot)
        if count and code is None:
            unknown.append(name)
        elif count and code is not None:
            out[code] = out.get(code, 0.0) + count * vcpu[name]
    notes = [f"no vCPU quota is known for {some(unknown)}; not counted"] if unknown else []
    return out, notes


def vcpu_of(access: Access, place: Place, names: Sequence[str]) -> dict[str, int]:
    """Default vCPU of instance types, by name (ec2:DescribeInstanceTypes)."""
    out: dict[str, int] = {}
    for k in range(0, len(names), TYPES_A_CALL):
        found = read.listed(
            access, place, "ec2", "describe_instance_types", "ec2:DescribeInstanceTypes", "InstanceTypes", None,
            InstanceTypes=list(names[k : k + TYPES_A_CALL]),
        )  # fmt: skip
        out |= {str(t["InstanceType"]): int(t["VCpuInfo"]["DefaultVCpus"]) for t in found}
    return out


def metrics_used(
    access: Access, place: Place, quotas: Sequence[Quota], now: datetime
) -> dict[tuple[str, str], float]:  # fmt: skip
    """The newest figure of each quota's own usage metric, by service and code; absent where there is none."""
    client = access.client("cloudwatch", place.account, place.region)
    end = now.replace(minute=0, second=0, microsecond=0) + USAGE_PERIOD
    out: dict[tuple[str, str], float] = {}
    for k in range(0, len(quotas), METRICS_A_CALL):
        part = quotas[k : k + METRICS_A_CALL]
        request = {
            "MetricDataQueries": list(_queries(part)),
            "StartTime": end - USAGE_WINDOW,
            "EndTime": end,
            "ScanBy": "TimestampDescending",
        }
        with errors_of("cloudwatch:GetMetricData", access.source, place.label):
            for page in client.get_paginator("get_metric_data").paginate(**request):
                for result in page["MetricDataResults"]:
                    quota = part[int(result["Id"].removeprefix("q"))]
                    if result["Values"]:
                        out.setdefault((quota.service, quota.code), float(result["Values"][0]))
    return out


def _queries(quotas: Iterable[Quota]) -> Iterator[dict[str, Any]]:
    for i, quota in enumerate(quotas):
        metric = quota.metric or {}
        dimensions = [{"Name": k, "Value": v} for k, v in sorted((metric.get("MetricDimensions") or {}).items())]
        named = {"Namespace": metric["MetricNamespace"], "MetricName": metric["MetricName"], "Dimensions": dimensions}
        stat = str(metric.get("MetricStatisticRecommendation") or "Maximum")
        period = int(USAGE_PERIOD.total_seconds())
        yield {"Id": f"q{i}", "MetricStat": {"Metric": named, "Period": period, "Stat": stat}}
