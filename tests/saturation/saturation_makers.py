"""Small real objects that the tests of this room share: types, services, fleets, costs."""

from __future__ import annotations

from typing import Any

import pandas as pd

from capacity.config import ServiceConfig, TierConfig
from capacity.domain import InstanceType, Interval, ResourceCost

LARGE = InstanceType("m6i.large", "m6i", 2, 1, 8.0, 12.5, "x86_64", True, False)
XLARGE = InstanceType("m6i.xlarge", "m6i", 4, 2, 16.0, 12.5, "x86_64", True, False)
ARM = InstanceType("m7g.xlarge", "m7g", 4, 4, 16.0, 12.5, "arm64", True, False)
BURSTABLE = InstanceType("t3.xlarge", "t3", 4, 2, 16.0, 5.0, "x86_64", True, True)
TYPES = {t.name: t for t in (LARGE, XLARGE, ARM, BURSTABLE)}
UTC = "UTC"


def service(name: str = "checkout", **over: Any) -> ServiceConfig:
    return ServiceConfig(**{"name": name, "tier": "gold", "regions": ["us-east-1"], **over})


def tier(**over: Any) -> TierConfig:
    return TierConfig(**{"name": "gold", **over})


def cost(
    mid: float = 0.1, low: float = 0.08, high: float = 0.125, fixed: float = 0.0, seen: float = 1e9
) -> ResourceCost:
    return ResourceCost("busy_vcpu", Interval(low, mid, high), fixed, seen, "fleet_history", 0.9, ("not load-tested",))


def even(count: int, kind: str = "m6i.xlarge", zones: str = "abc") -> dict[tuple[str, str], int]:
    """``count`` instances a zone."""
    return {(kind, f"us-east-1{z}"): count for z in zones}


def fleet(*rows: tuple[str, str, str, int], account: str = "1", maximum: float | None = None) -> pd.DataFrame:
    """FLEET rows from (ts, zone, type, count)."""
    frame = pd.DataFrame(rows, columns=["ts", "zone", "instance_type", "count"])
    frame["ts"] = pd.to_datetime(frame["ts"], utc=True)
    return frame.assign(
        account_id=account, service="checkout", region="us-east-1", min=0, max=maximum, purchase="on_demand"
    )
