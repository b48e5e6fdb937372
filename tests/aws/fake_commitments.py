"""Reservations and Savings Plans that accounts own, as AWS tells of them, page by page."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from tests.aws.standin import AwsError, Call, Handler, StandIn, page

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
YEAR = timedelta(days=365)


def reserved(identity: str, **keys: Any) -> dict[str, Any]:
    """An EC2 reservation: a year, all recurring."""
    start = keys.pop("Start", NOW - timedelta(days=100))
    return {
        "ReservedInstancesId": identity,
        "InstanceType": "m5.large",
        "InstanceCount": 10,
        "Start": start,
        "End": start + YEAR,
        "Duration": int(YEAR.total_seconds()),
        "FixedPrice": 0.0,
        "UsagePrice": 0.0,
        "CurrencyCode": "USD",
        "RecurringCharges": [{"Amount": 0.06, "Frequency": "Hourly"}],
        "InstanceTenancy": "default",
        "OfferingClass": "standard",
        "OfferingType": "No Upfront",
        "ProductDescription": "Linux/UNIX",
        "Scope": "Region",
        "State": "active",
        **keys,
    }


def plan(identity: str, kind: str = "Compute", **keys: Any) -> dict[str, Any]:
    """A Savings Plan: a year, no upfront."""
    return {
        "savingsPlanId": identity,
        "savingsPlanArn": f"arn:aws:savingsplans::111111111111:savingsplan/{identity}",
        "offeringId": "o-1",
        "start": "2026-03-01T00:00:00.000Z",
        "end": "2027-03-01T00:00:00.000Z",
        "state": "active",
        "savingsPlanType": kind,
        "paymentOption": "No Upfront",
        "productTypes": ["EC2"],
        "currency": "USD",
        "commitment": "12.50",
        "upfrontPaymentAmount": "0.0",
        "recurringPaymentAmount": "12.50",
        "termDurationInSeconds": int(YEAR.total_seconds()),
        **keys,
    }


def reserved_database(identity: str, **keys: Any) -> dict[str, Any]:
    return {
        "ReservedDBInstanceId": identity,
        "ReservedDBInstanceArn": f"arn:aws:rds:us-east-1:111111111111:ri:{identity}",
        "DBInstanceClass": "db.r5.large",
        "StartTime": NOW - timedelta(days=10),
        "Duration": int(YEAR.total_seconds()),
        "FixedPrice": 876.0,
        "UsagePrice": 0.0,
        "CurrencyCode": "USD",
        "DBInstanceCount": 2,
        "ProductDescription": "postgresql",
        "OfferingType": "Partial Upfront",
        "MultiAZ": True,
        "State": "active",
        "RecurringCharges": [{"RecurringChargeAmount": 0.05, "RecurringChargeFrequency": "Hourly"}],
        **keys,
    }


def reserved_cache(identity: str, **keys: Any) -> dict[str, Any]:
    return {
        "ReservedCacheNodeId": identity,
        "ReservationARN": f"arn:aws:elasticache:us-east-1:111111111111:reserved-instance:{identity}",
        "CacheNodeType": "cache.r6g.large",
        "StartTime": NOW - timedelta(days=10),
        "Duration": int(YEAR.total_seconds()),
        "FixedPrice": 0.0,
        "UsagePrice": 0.0,
        "CacheNodeCount": 3,
        "ProductDescription": "redis",
        "OfferingType": "No Upfront",
        "State": "active",
        "RecurringCharges": [{"RecurringChargeAmount": 0.1, "RecurringChargeFrequency": "Hourly"}],
        **keys,
    }


@dataclass
class Owned:
    """What one account has in one region; Savings Plans are the account's, whichever region is asked."""

    reserved: list[dict[str, Any]] = field(default_factory=list)
    databases: list[dict[str, Any]] = field(default_factory=list)
    caches: list[dict[str, Any]] = field(default_factory=list)
    plans: list[dict[str, Any]] = field(default_factory=list)


def install(aws: StandIn, owned: Mapping[tuple[str, str], Owned]) -> None:
    """Answer from ``owned``, by account and region; Savings Plans by account."""

    def here(call: Call) -> Owned:
        return owned.get((call.account_id, call.region), Owned())

    def plans(call: Call) -> Mapping[str, Any]:
        wanted = int(call.params.get("maxResults") or 1000)
        if not 1 <= wanted <= 1000:
            raise AwsError("ValidationException", "maxResults must be 1 to 1000")
        found = [p for (account, _), o in owned.items() if account == call.account_id for p in o.plans]
        return page(call, "savingsPlans", found, wanted, "nextToken")

    def marked(key: str, attribute: str) -> Handler:
        def answer(call: Call) -> Mapping[str, Any]:
            if not 20 <= int(call.params.get("MaxRecords") or 100) <= 100:
                raise AwsError("InvalidParameterValue", "MaxRecords must be 20 to 100")
            return page(call, key, getattr(here(call), attribute), 100, "Marker")

        return answer

    aws.on("ec2", "DescribeReservedInstances", lambda call: {"ReservedInstances": here(call).reserved})
    aws.on("rds", "DescribeReservedDBInstances", marked("ReservedDBInstances", "databases"))
    aws.on("elasticache", "DescribeReservedCacheNodes", marked("ReservedCacheNodes", "caches"))
    aws.on("savingsplans", "DescribeSavingsPlans", plans)
