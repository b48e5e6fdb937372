"""On-Demand Capacity Reservations of the store, as the plan pays them."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

import pandas as pd

from capacity.domain import CapacityReservation

# States in which capacity is held and paid, or will be from its start on (EC2 API reference, CapacityReservation).
_HELD = ("active", "pending", "scheduled", "payment-pending", "assessing", "delayed")


def reservations_of(frame: pd.DataFrame, as_of: datetime, types: Collection[str]) -> tuple[CapacityReservation, ...]:
    """What is held at ``as_of`` or later: Linux on shared tenancy, of known types, as fleets are planned."""
    moment = pd.Timestamp(as_of)
    rows = frame[frame["state"].isin(_HELD) & (frame["count"] > 0)]
    rows = rows[rows["end"].isna() | (rows["end"] > moment)]
    rows = rows[(rows["os"] == "Linux") & (rows["tenancy"] == "default") & rows["instance_type"].isin(set(types))]
    return tuple(
        CapacityReservation(
            id=str(row["id"]),
            account_id=str(row["account_id"]),
            region=str(row["region"]),
            zone=str(row["zone"]),
            instance_type=str(row["instance_type"]),
            count=int(row["count"]),
            start=row["start"].to_pydatetime(),
            end=None if pd.isna(row["end"]) else row["end"].to_pydatetime(),
        )
        for row in rows.sort_values("id").to_dict("records")
    )
