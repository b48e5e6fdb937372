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
    rows = _held(frame, as_of)
    rows = rows[_planned(rows, types)]
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


def reservations_apart(frame: pd.DataFrame, as_of: datetime, types: Collection[str]) -> tuple[str, ...]:
    """Ids of what is held too, and no fleet is planned with: another system or tenancy, or a type that is not known."""
    rows = _held(frame, as_of)
    return tuple(str(i) for i in rows.loc[~_planned(rows, types), "id"].sort_values())


def _held(frame: pd.DataFrame, as_of: datetime) -> pd.DataFrame:
    rows = frame[frame["state"].isin(_HELD) & (frame["count"] > 0)]
    return rows[rows["end"].isna() | (rows["end"] > pd.Timestamp(as_of))]


def _planned(rows: pd.DataFrame, types: Collection[str]) -> pd.Series:
    return (rows["os"] == "Linux") & (rows["tenancy"] == "default") & rows["instance_type"].isin(set(types))
