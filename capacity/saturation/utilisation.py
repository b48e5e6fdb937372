"""The fleet over time: what ran, how much of it was busy, and how far its groups may grow.

A fleet frame holds observations: all rows of one account with the same ``ts`` are one complete snapshot, and hold
until that account's next one. A group that was emptied is seen only if a row of count 0 (or another group) says so.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from capacity.domain import Floats, InstanceType
from capacity.errors import CorruptDataError, MissingDataError, UsageError

# A percent of all vCPU; monitoring agents report a little above 100 through rounding.
_PERCENT_MAX = 101.0


def running_vcpu(fleet: pd.DataFrame, types: Mapping[str, InstanceType], index: pd.DatetimeIndex) -> pd.Series:
    """vCPU that ran at each moment of ``index``.

    Parameters
    ----------
    fleet
        FLEET rows of one unit (any order, any number of accounts).
    types
        The catalogue by instance type.
    index
        Moments, with a time zone.

    Returns
    -------
    pandas.Series
        vCPU, on ``index``. Before the first observation the first one is used; ``attrs["before_first"]`` counts
        those moments, and ``attrs["flags"]`` says so in words.

    Raises
    ------
    MissingDataError
        No observation at all, or an instance type that the catalogue does not know.
    UsageError
        ``index`` has no time zone.
    """
    _needs_zone(index, "running_vcpu")
    if fleet.empty:
        raise MissingDataError("running_vcpu: the fleet has no observation; ingest a fleet source for this service")
    vcpu = fleet["count"].to_numpy(dtype=float) * _vcpu_of(fleet["instance_type"], types)
    totals = pd.DataFrame({"account_id": fleet["account_id"], "ts": fleet["ts"], "vcpu": vcpu})
    out = np.zeros(len(index))
    before = np.zeros(len(index), dtype=bool)
    for _, rows in totals.groupby("account_id", sort=True):
        snapshots = rows.groupby("ts", sort=True)["vcpu"].sum()
        position = pd.DatetimeIndex(snapshots.index).searchsorted(index, side="right") - 1
        before |= position < 0
        out += snapshots.to_numpy()[np.maximum(position, 0)]
    return _flagged(pd.Series(out, index=index, name="running_vcpu"), int(before.sum()))


def busy_vcpu(cpu_percent: pd.Series, fleet: pd.DataFrame, types: Mapping[str, InstanceType]) -> pd.Series:
    """Busy vCPU: CPU percent × the vCPU that ran at that time / 100.

    A percentage cannot be forecast: it falls when instances are added. An amount can.

    Parameters
    ----------
    cpu_percent
        Mean over the unit's instances, 0 to 100, on UTC hours; missing values stay missing.
    fleet, types
        As for :func:`running_vcpu`, whose flags are carried over in ``attrs``.

    Raises
    ------
    CorruptDataError
        A percentage below 0 or above 100 (a little rounding is let through, cut to 100).
    MissingDataError, UsageError
        As for :func:`running_vcpu`.
    """
    if not isinstance(cpu_percent.index, pd.DatetimeIndex):
        raise UsageError("busy_vcpu: cpu_percent needs time stamps as its index")
    percent = cpu_percent.to_numpy(dtype=float)
    wrong = (percent < 0) | (percent > _PERCENT_MAX)
    if wrong.any():
        where = cpu_percent.index[wrong][0]
        raise CorruptDataError(
            f"busy_vcpu: {int(wrong.sum())} value(s) outside 0 to 100 %, e.g. {percent[wrong][0]:g} at {where}; "
            "check the unit of the metric: a sum over cores is not a percentage"
        )
    running = running_vcpu(fleet, types, cpu_percent.index)
    out = pd.Series(np.minimum(percent, 100.0) / 100.0 * running.to_numpy(), index=running.index, name="busy_vcpu")
    out.attrs = dict(running.attrs)
    return out


def running_now(fleet: pd.DataFrame, at: pd.Timestamp) -> dict[tuple[str, str], int]:
    """(instance type, zone) -> instances of the last snapshot at or before ``at``; all purchases together.

    Empty where nothing was observed by then: nothing later than ``at`` is ever looked at.
    """
    return _counts(_last_snapshot(fleet, at))


def running_most(fleet: pd.DataFrame, at: pd.Timestamp, days: int = 7) -> dict[tuple[str, str], int]:
    """As :func:`running_now`, but the snapshot with the most instances of the ``days`` before ``at``, per account.

    For groups that shrink at night: what they run at three in the morning is not what they serve their peak with.
    """
    last = _last_snapshot(fleet, at)
    recent = fleet[(fleet["ts"] <= at) & (fleet["ts"] > at - pd.Timedelta(days=days))]
    parts = [last[~last["account_id"].isin(recent["account_id"])]]
    for _, rows in recent.groupby("account_id", sort=True):
        totals = rows.groupby("ts", sort=True)["count"].sum()
        latest_largest = totals[totals == totals.max()].index[-1]
        parts.append(rows[rows["ts"] == latest_largest])
    return _counts(pd.concat(parts))


def group_maximum(fleet: pd.DataFrame, at: pd.Timestamp) -> int | None:
    """Most instances that the groups allow, from the last snapshot at or before ``at``; accounts add up.

    A group that spans zones names its maximum on each of its rows, so an account's rows count once: their largest.
    Only where more runs than that (then the rows must be groups of their own) do they add up. None where a row with
    instances names no maximum: a limit that is only partly known is not known.
    """
    last = _last_snapshot(fleet, at)
    last = last[(last["count"] > 0) | last["max"].notna()]
    if last.empty or last["max"].isna().any():
        return None
    total = 0
    for _, rows in last.groupby("account_id", sort=True):
        largest, running = int(rows["max"].max()), int(rows["count"].sum())
        total += largest if largest >= running else int(rows["max"].sum())
    return total


def _counts(snapshot: pd.DataFrame) -> dict[tuple[str, str], int]:
    counts = snapshot[snapshot["count"] > 0].groupby(["instance_type", "zone"], sort=True)["count"].sum()
    return {(str(key[0]), str(key[1])): int(n) for key, n in zip(counts.index, counts.to_numpy(), strict=True)}


def _last_snapshot(fleet: pd.DataFrame, at: pd.Timestamp) -> pd.DataFrame:
    """Rows of each account's last observation at or before ``at``."""
    if at.tzinfo is None:
        raise UsageError(f"the moment {at} has no time zone; give one, e.g. {at}Z")
    known = fleet[fleet["ts"] <= at]
    return known[known["ts"] == known.groupby("account_id")["ts"].transform("max")]


def _vcpu_of(names: pd.Series, types: Mapping[str, InstanceType]) -> Floats:
    unknown = sorted({str(n) for n in names.unique()} - set(types))
    if unknown:
        raise MissingDataError(
            f"fleet: instance type(s) not in the catalogue: {', '.join(unknown)}; refresh the catalogue or mend the row"
        )
    out: Floats = names.map({n: float(types[str(n)].vcpu) for n in names.unique()}).to_numpy(dtype=float)
    return out


def _needs_zone(index: pd.DatetimeIndex, where: str) -> None:
    if index.tz is None:
        raise UsageError(f"{where}: time stamps have no zone; use UTC, e.g. index.tz_localize('UTC')")


def _flagged(series: pd.Series, before: int) -> pd.Series:
    series.attrs["before_first"] = before
    series.attrs["flags"] = (
        (f"{before} hour(s) before the first fleet observation use the first one",) if before else ()
    )
    return series
