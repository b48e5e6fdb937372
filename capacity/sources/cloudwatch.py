"""CloudWatch GetMetricData in one account and region.

Statistics are asked for as such, percentiles too; nothing is averaged from averages. A metric is read from its own
last stored point less an overlap for late points, up to the last whole period. Every call stays within 500 queries
and 100,800 points. A metric that fails is left out from there on, so that what is stored has no hole that a later
run would not see, and the failures are raised after the last sound batch.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Any, ClassVar
from urllib.parse import urlsplit

import numpy as np
import pyarrow as pa

from capacity.config import CloudWatchMetric, CloudWatchSource
from capacity.errors import DataError, UsageError
from capacity.schemas import STATS, USAGE
from capacity.sources import _aws
from capacity.sources._convert import Notes
from capacity.sources._protocol import Batch, Context, SeriesKey, SourceInfo

# Limits of GetMetricData: queries a call, and points a call (Amazon CloudWatch API reference, GetMetricData).
MAX_QUERIES = 500
MAX_POINTS = 100_800
# How long CloudWatch keeps points: of periods below the first number of seconds, for so many days (same source).
RETENTION_DAYS = ((300, 15), (3600, 63), (10**9, 455))
# Rounds in which a metric that came back incomplete is asked for again.
_ROUNDS = 3

_STATS = {"Average": "avg", "Sum": "sum", "Maximum": "max", "Minimum": "min", "SampleCount": "sum"}


class CloudWatchMetricsSource:
    """Usage from CloudWatch; one batch a round of calls."""

    info: ClassVar[SourceInfo] = SourceInfo(
        kind="cloudwatch",
        reads="Amazon CloudWatch GetMetricData: the metrics that the config names, in one account and region",
        frames=("usage",),
        permissions=("cloudwatch:GetMetricData",),
        price="$0.01 per 1,000 metrics requested, each time they are requested (list price, us-east-1)",
        limits=(
            "500 metrics and 100,800 points a call; history of 15 days below 300 s, "
            "63 days below 3,600 s, 455 days from 3,600 s"
        ),
    )

    def __init__(self, config: CloudWatchSource, context: Context) -> None:
        self.name = config.name
        self._config = config
        self._stats = [_stat(config, m) for m in config.metrics]
        _check(config, self.series())

    @cached_property
    def _client(self) -> Any:
        """One client for all calls: its retries remember how fast they may go."""
        return _aws.client("cloudwatch", self.name, self._config)

    def series(self) -> tuple[SeriesKey, ...]:
        """(service, metric, stat, period) of each metric of the config, in its order."""
        period = self._config.period_seconds
        return tuple((m.service, m.metric, s, period) for m, s in zip(self._config.metrics, self._stats, strict=True))

    def batches(self, since: datetime | None, now: datetime) -> Iterator[Batch]:
        """Points from ``since`` less the overlap (None: the days that the config asks for).

        Raises
        ------
        DataError
            No credentials, no permission, throttled to the end, or metrics that did not come whole.
        """
        return self.resume({} if since is None else dict.fromkeys(self.series(), since), now)

    def resume(self, last: Mapping[SeriesKey, datetime], now: datetime) -> Iterator[Batch]:
        """As ``batches``, each metric from its own last point."""
        end = self._floor(now)
        by_start: dict[datetime, list[int]] = {}
        for i, key in enumerate(self.series()):
            by_start.setdefault(self._start(last.get(key), end), []).append(i)
        failures: list[str] = []
        for start, metrics in sorted(by_start.items()):
            for k in range(0, len(metrics), MAX_QUERIES):
                yield from self._group(metrics[k : k + MAX_QUERIES], start, end, failures)
        if failures:
            raise DataError("\n".join(failures))

    def _floor(self, at: datetime) -> datetime:
        period = self._config.period_seconds
        return datetime.fromtimestamp(int(at.timestamp()) // period * period, UTC)

    def _start(self, last: datetime | None, end: datetime) -> datetime:
        if last is None:
            return self._floor(end - timedelta(days=self._config.days))
        return self._floor(last - timedelta(hours=self._config.overlap_hours))

    def _group(self, metrics: list[int], start: datetime, end: datetime, failures: list[str]) -> Iterator[Batch]:
        """Batches of up to 500 metrics, in order of time."""
        notes = Notes()
        oldest = self._floor(end - timedelta(days=_retention_days(self._config.period_seconds)) + self._period)
        if start < oldest:
            notes.add(f"points before {oldest:%Y-%m-%dT%H:%MZ} are no longer kept by CloudWatch at this period")
            start = oldest
        steps = MAX_POINTS // len(metrics)
        while start < end and metrics:
            stop = min(end, start + steps * self._period)
            table, failed = self._span(metrics, start, stop, notes)
            yield Batch("usage", table, f"{start:%Y-%m-%dT%H:%MZ}/{stop:%Y-%m-%dT%H:%MZ}", notes.lines())
            failures += [f"source '{self.name}': {self._where(i)}: {why}" for i, why in failed.items()]
            metrics = [i for i in metrics if i not in failed]
            start, notes = stop, Notes()

    @property
    def _period(self) -> timedelta:
        return timedelta(seconds=self._config.period_seconds)

    def _where(self, i: int) -> str:
        m = self._config.metrics[i]
        named = ", ".join(f"{k}={v}" for k, v in sorted(m.dimensions.items()))
        return f"metric {m.namespace}/{m.metric_name} {m.stat} ({named}) in {self._config.region}"

    def _span(
        self, metrics: Sequence[int], start: datetime, stop: datetime, notes: Notes
    ) -> tuple[pa.Table, dict[int, str]]:
        """Points of one span, and the metrics that failed in it, with the reason."""
        wanted, points, reasons = list(metrics), {}, {}
        for _ in range(_ROUNDS):
            answers = self._ask(wanted, start, stop, notes)
            points.update({i: a for i, a in answers.items() if a.status == "Complete"})
            reasons = {i: _reason(a) for i, a in answers.items() if a.status != "Complete"}
            wanted = [i for i in reasons if answers[i].status != "Forbidden"]
            if not wanted:
                break
        refused = {i: r for i, r in reasons.items() if i not in points}
        return self._table(points, start, stop, notes), refused

    def _ask(self, metrics: Sequence[int], start: datetime, stop: datetime, notes: Notes) -> dict[int, _Answer]:
        answers = {i: _Answer() for i in metrics}
        pages = self._client.get_paginator("get_metric_data").paginate(
            MetricDataQueries=[self._query(i) for i in metrics],
            StartTime=start,
            EndTime=stop,
            ScanBy="TimestampAscending",
        )
        with _aws.errors_of("cloudwatch:GetMetricData", self.name, self._config):
            for page in pages:
                for message in page.get("Messages", []):
                    notes.add(f"CloudWatch says {message.get('Code')}: {message.get('Value')}")
                for result in page.get("MetricDataResults", []):
                    answers[int(result["Id"][1:])].add(result)
        return answers

    def _query(self, i: int) -> dict[str, Any]:
        m = self._config.metrics[i]
        metric = {
            "Namespace": m.namespace,
            "MetricName": m.metric_name,
            "Dimensions": [{"Name": k, "Value": v} for k, v in sorted(m.dimensions.items())],
        }
        stat = {"Metric": metric, "Period": self._config.period_seconds, "Stat": m.stat}
        return {"Id": f"m{i}", "MetricStat": stat, "ReturnData": True}

    def _table(self, points: Mapping[int, _Answer], start: datetime, stop: datetime, notes: Notes) -> pa.Table:
        parts = [self._rows(i, points[i], start, stop, notes) for i in sorted(points)]
        return pa.concat_tables([p for p in parts if p.num_rows] or [USAGE.schema.empty_table()])

    def _rows(self, i: int, answer: _Answer, start: datetime, stop: datetime, notes: Notes) -> pa.Table:
        m, period = self._config.metrics[i], self._config.period_seconds
        kept = {t: v for t, v in zip(answer.times, answer.values, strict=True) if start <= t < stop and np.isfinite(v)}
        if not kept:
            notes.add(f"no point of {self._where(i)}")
        values = np.fromiter(kept.values(), np.float64) / (period if m.per_second else 1)
        constant = {
            "source": self.name, "account_id": self._config.account_id, "region": self._config.region,
            "service": m.service, "metric": m.metric, "stat": self._stats[i], "period_seconds": period, "unit": m.unit,
        }  # fmt: skip
        columns = {
            f.name: pa.repeat(pa.scalar(constant[f.name], f.type), len(kept))
            for f in USAGE.schema
            if f.name in constant
        }
        columns["ts"] = pa.array(list(kept), USAGE.schema.field("ts").type)
        columns["value"] = pa.array(values, pa.float64())
        return pa.table([columns[f.name] for f in USAGE.schema], schema=USAGE.schema)


@dataclass
class _Answer:
    """What came back for one query, over all pages. ``PartialData`` is the status of a page that is not the last."""

    status: str = "nothing came back"
    times: list[datetime] = field(default_factory=list)
    values: list[float] = field(default_factory=list)
    messages: list[str] = field(default_factory=list)

    def add(self, result: Mapping[str, Any]) -> None:
        self.status = result.get("StatusCode", "Complete")
        self.times += result.get("Timestamps", [])
        self.values += result.get("Values", [])
        self.messages += [f"{m.get('Code')}: {m.get('Value')}" for m in result.get("Messages", [])]


def _reason(answer: _Answer) -> str:
    told = f" ({'; '.join(answer.messages)})" if answer.messages else ""
    if answer.status == "Forbidden":
        return f"forbidden{told}; allow cloudwatch:GetMetricData for it"
    return f"did not come whole: {answer.status}{told}; run the ingest again"


def _retention_days(period_seconds: int) -> int:
    return next(days for below, days in RETENTION_DAYS if period_seconds < below)


def _stat(config: CloudWatchSource, metric: CloudWatchMetric) -> str:
    """The canonical statistic. A Sum divided by its period is the mean rate over that period."""
    where = f"source '{config.name}': metric {metric.metric_name}: stat '{metric.stat}'"
    stat = _STATS.get(metric.stat, metric.stat)
    if stat not in STATS or metric.stat in ("avg", "sum", "max", "min"):
        percentiles = [s for s in STATS if s.startswith("p")]
        raise UsageError(f"{where} is not known; allowed: {', '.join([*_STATS, *percentiles])}")
    if not metric.per_second:
        return stat
    if stat != "sum":
        raise UsageError(f"{where}: per_second divides a Sum by its period; ask for Sum")
    return "avg"


def _check(config: CloudWatchSource, series: Sequence[SeriesKey]) -> None:
    twice = sorted({s for s in series if series.count(s) > 1})
    if twice:
        service, metric, stat, _ = twice[0]
        raise UsageError(
            f"source '{config.name}': two metrics become the same series {service}, {metric}, {stat}; rename one"
        )
    if config.period_seconds % 60:
        raise UsageError(f"source '{config.name}': period_seconds {config.period_seconds} is no multiple of 60")
    if config.endpoint_url and urlsplit(config.endpoint_url).scheme not in ("http", "https"):
        raise UsageError(f"source '{config.name}': endpoint_url must begin with https:// (or http:// in tests)")
