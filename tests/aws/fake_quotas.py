"""Service Quotas, and the usage metrics of CloudWatch that they name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from tests.aws.standin import AwsError, Call, StandIn, page

NOW = datetime(2026, 11, 24, 12, 20, tzinfo=UTC)
STANDARD = "Running On-Demand Standard (A, C, D, H, I, M, R, T, Z) instances"


def quota(service: str, code: str, value: float, name: str = "", **keys: Any) -> dict[str, Any]:
    return {
        "ServiceCode": service,
        "ServiceName": service,
        "QuotaArn": f"arn:aws:servicequotas:us-east-1:111111111111:{service}/{code}",
        "QuotaCode": code,
        "QuotaName": name or f"quota {code}",
        "Value": value,
        "Unit": "None",
        "Adjustable": True,
        "GlobalQuota": False,
        **keys,
    }


def metric(resource: str) -> dict[str, Any]:
    return {
        "MetricNamespace": "AWS/Usage",
        "MetricName": "ResourceCount",
        "MetricDimensions": {"Class": "None", "Resource": resource, "Service": "X", "Type": "Resource"},
        "MetricStatisticRecommendation": "Maximum",
    }


@dataclass
class Limits:
    """Quotas of one account and region; ``usage`` is by resource, newest first."""

    defaults: list[dict[str, Any]] = field(default_factory=list)
    applied: list[dict[str, Any]] = field(default_factory=list)
    requests: list[dict[str, Any]] = field(default_factory=list)
    usage: dict[str, list[float]] = field(default_factory=dict)


def install(aws: StandIn, limits: Mapping[tuple[str, str], Limits] | Limits) -> None:
    def here(call: Call) -> Limits:
        return limits if isinstance(limits, Limits) else limits.get((call.account_id, call.region), Limits())

    def quotas(call: Call, found: list[dict[str, Any]]) -> Mapping[str, Any]:
        return page(call, "Quotas", [q for q in found if q["ServiceCode"] == call.params["ServiceCode"]], 100)

    def requests(call: Call) -> Mapping[str, Any]:
        status = call.params.get("Status")
        found = [r for r in here(call).requests if status is None or r["Status"] == status]
        return page(call, "RequestedQuotas", found, 100)

    def data(call: Call) -> Mapping[str, Any]:
        queries = call.params["MetricDataQueries"]
        if len(queries) > 500:
            raise AwsError("ValidationError", "at most 500 queries")
        results = []
        for query in queries:
            stat = query["MetricStat"]
            assert (stat["Period"], stat["Stat"]) == (3600, "Maximum")
            resource = next(d["Value"] for d in stat["Metric"]["Dimensions"] if d["Name"] == "Resource")
            values = here(call).usage.get(resource, [])
            results.append({"Id": query["Id"], "Label": "x", "Values": values, "Timestamps": [NOW] * len(values),
                            "StatusCode": "Complete"})  # fmt: skip
        return page(call, "MetricDataResults", results, 100)

    aws.on("service-quotas", "ListServiceQuotas", lambda call: quotas(call, here(call).applied))
    aws.on("service-quotas", "ListAWSDefaultServiceQuotas", lambda call: quotas(call, here(call).defaults))
    aws.on("service-quotas", "ListRequestedServiceQuotaChangeHistory", requests)
    aws.on("cloudwatch", "GetMetricData", data)
