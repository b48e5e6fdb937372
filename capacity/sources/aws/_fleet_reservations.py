"""On-Demand Capacity Reservations as rows: each once, whoever sees it."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from datetime import datetime
from typing import Any

from capacity.sources.aws._access import Place

# As the prices frame names operating systems; others keep the name that EC2 gives.
_OS = {"Linux/UNIX": "Linux", "Red Hat Enterprise Linux": "RHEL", "SUSE Linux": "SUSE"}
# States in which capacity is held or will be.
LIVE = frozenset({"active", "pending", "scheduled", "payment-pending", "assessing", "delayed", "cancelling"})
GONE = "gone"


def collect(found: dict[str, dict[str, Any]], raw: Iterable[Mapping[str, Any]], place: Place) -> None:
    """Add what one account sees. A shared reservation is seen by many; its owner's view stands."""
    for one in raw:
        row = _row(one, place)
        if row["id"] not in found or row["account_id"] == place.account.account_id:
            found[row["id"]] = row


def ended(
    before: Iterable[dict[str, Any]],
    found: Mapping[str, Any],
    answered: Collection[tuple[str, str]],
    now: datetime,
) -> list[dict[str, Any]]:
    """Stored rows that were live, and that their account does not tell of any more (AWS forgets ended ones)."""
    return [
        {**row, "state": GONE, "available": 0, "end": min(row["end"] or now, now)}
        for row in before
        if row["state"] in LIVE and row["id"] not in found and (row["account_id"], row["region"]) in answered
    ]


def _row(raw: Mapping[str, Any], place: Place) -> dict[str, Any]:
    platform = str(raw.get("InstancePlatform") or "")
    return {
        "id": str(raw["CapacityReservationId"]),
        "account_id": str(raw.get("OwnerId") or place.account.account_id),
        "region": place.region,
        "zone": str(raw.get("AvailabilityZone") or ""),
        "instance_type": str(raw["InstanceType"]),
        "os": _OS.get(platform, platform),
        "tenancy": str(raw.get("Tenancy") or "default"),
        "count": int(raw["TotalInstanceCount"]),
        "available": int(raw.get("AvailableInstanceCount") or 0),
        "match": str(raw.get("InstanceMatchCriteria") or "open"),
        "state": str(raw["State"]),
        "start": raw.get("StartDate") or raw["CreateDate"],
        "end": raw.get("EndDate"),
    }
