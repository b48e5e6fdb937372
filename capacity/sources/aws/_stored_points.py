"""How far the store already goes, series by series, in each account and region.

Looked up from the newest points backwards, and each time only for the series that have not been found yet: a daily
ingest then reads a day of the store and not years.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa

from capacity.sources._protocol import Stored

# (account, region, service, metric, stat)
PlaceSeries = tuple[str, str, str, str, str]
_KEY = ("account_id", "region", "service", "metric", "stat", "period_seconds")
# Hours to look back beside the margin, one after the other: the last ingest was just now, yesterday, last week, ...
_LOOK_BACK_HOURS = (6, 30, 8 * 24, 64 * 24)


def newest_points(
    stored: Stored, source: str, wanted: Collection[PlaceSeries], now: int, margin_hours: int
) -> dict[PlaceSeries, dict[int, int]]:
    """Period -> time of the newest stored point, of each of ``wanted`` that has any.

    Parameters
    ----------
    margin_hours
        A series counts as found once what is known of it reaches back this long before its newest point: another
        period may stand just before.
    """
    out: dict[PlaceSeries, dict[int, int]] = {}
    missing = set(wanted)
    until: datetime | None = None
    for hours in (*_LOOK_BACK_HOURS, None):
        if not missing:
            break
        since = None if hours is None else datetime.fromtimestamp(now, UTC) - timedelta(hours=hours + margin_hours)
        for key, period, at in _newest(stored("usage", _filters(source, missing, since, until))):
            if key in missing:
                out.setdefault(key, {}).setdefault(period, at)  # the newest window comes first
        if since is not None:
            reach = int(since.timestamp()) + margin_hours * 3600
            missing = {k for k in missing if max(out.get(k, {0: 0}).values()) < reach}
        until = since
    return out


def _filters(
    source: str, missing: Collection[PlaceSeries], since: datetime | None, until: datetime | None
) -> Sequence[tuple[str, str, Any]]:
    filters: list[tuple[str, str, Any]] = [
        ("source", "==", source),
        ("service", "in", sorted({k[2] for k in missing})),
        ("metric", "in", sorted({k[3] for k in missing})),
    ]
    if since is not None:
        filters.append(("ts", ">=", since))
    if until is not None:
        filters.append(("ts", "<", until))
    return filters


def _newest(rows: pa.Table) -> list[tuple[PlaceSeries, int, int]]:
    newest = rows.group_by(list(_KEY)).aggregate([("ts", "max")])
    return [
        ((r["account_id"], r["region"], r["service"], r["metric"], r["stat"]), r["period_seconds"],
         int(r["ts_max"].timestamp()))
        for r in newest.to_pylist()
    ]  # fmt: skip
