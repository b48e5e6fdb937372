"""The fleet's history as instance counts by hour: what it cost, and what it ran on average."""

from __future__ import annotations

from datetime import datetime

import pandas as pd

# The running fleet of an autoscaled service breathes by the hour of the week: four whole weeks are its average.
AVERAGE_DAYS = 28


def hourly_counts(fleet: pd.DataFrame, hours: pd.DatetimeIndex) -> pd.DataFrame:
    """Instances by (instance_type, zone, purchase) in each of ``hours``; an observation holds until the next one.

    Each account's snapshots are whole: a type that a later one does not name is gone. Before the first observation
    the first one stands.
    """
    keys = ["instance_type", "zone", "purchase"]
    total: pd.DataFrame | None = None
    for _, rows in fleet.groupby("account_id", observed=True):
        table = rows.pivot_table(index="ts", columns=keys, values="count", aggfunc="sum", fill_value=0, observed=True)
        part = table.reindex(table.index.union(hours)).ffill().bfill().reindex(hours)
        total = part if total is None else total.add(part, fill_value=0)
    return total if total is not None else pd.DataFrame(index=hours)


def average_running(fleet: pd.DataFrame, at: datetime) -> dict[tuple[str, str], int]:
    """(instance_type, zone) -> instances that ran on average over the four weeks before ``at``, rounded."""
    end = pd.Timestamp(at).floor("h")
    hours = pd.date_range(end - pd.Timedelta(days=AVERAGE_DAYS), end, freq="h", inclusive="left")
    counts = hourly_counts(fleet, hours)
    if counts.empty:
        return {}
    mean = counts.mean().groupby(level=["instance_type", "zone"]).sum().round().astype(int)
    names = zip(mean.index.get_level_values(0), mean.index.get_level_values(1), mean, strict=True)
    return {(str(t), str(z)): int(n) for t, z, n in names if n > 0}
