"""CloudWatch, and the Tagging API, for the stand-in: a metric is what its machines publish, tick by tick.

Every statistic is computed from these samples, each in its own way, so that one taken for another shows. The limits are
the service's: 500 queries and 100,800 points a call, points kept by period and age, periods of whole minutes, start
times rounded down, two weeks of memory in ListMetrics, pages with tokens that belong to their request.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import cbor2
import numpy as np
import numpy.typing as npt

from tests.aws.standin import AwsError, Call, StandIn, page

DAY = 86_400
Floats = npt.NDArray[np.float64]
# Ticks (seconds since 1970) -> what was published then: (ticks,) or (ticks, samples); nan for nothing.
Samples = Callable[[npt.NDArray[np.int64]], Floats]
Key = tuple[str, str, str, str, tuple[tuple[str, str], ...]]


@dataclass(frozen=True)
class Metric:
    """Published every ``seconds``; ``until`` is when it fell silent."""

    samples: Samples
    seconds: int = 60
    until: int | None = None


@dataclass
class FakeCloudWatch:
    """Install with :meth:`on`.

    Attributes
    ----------
    now
        What the server's clock shows.
    metrics
        (account, region, namespace, name, sorted dimensions) -> what is published.
    statuses
        Metric name -> the statuses of its next answers, in place of Complete.
    page_points
        Points a page.
    tags
        (account, region) -> ARN -> tags, as the Tagging API knows them.
    """

    now: datetime
    metrics: dict[Key, Metric] = field(default_factory=dict)
    statuses: dict[str, list[str]] = field(default_factory=dict)
    page_points: int = 100_800
    tags: dict[tuple[str, str], dict[str, dict[str, str]]] = field(default_factory=dict)
    asked: list[Mapping[str, Any]] = field(default_factory=list)

    def on(self, aws: StandIn) -> FakeCloudWatch:
        aws.on("cloudwatch", "GetMetricData", self._get)
        aws.on("cloudwatch", "ListMetrics", self._list)
        aws.on("resourcegroupstaggingapi", "GetResources", self._tagged)
        return self

    def put(
        self, account: str, region: str, namespace: str, name: str, dimensions: Mapping[str, str], samples: Samples,
        seconds: int = 60, until: int | None = None,
    ) -> None:  # fmt: skip
        key = (account, region, namespace, name, tuple(sorted(dimensions.items())))
        self.metrics[key] = Metric(samples, seconds, until)

    # --- GetMetricData --------------------------------------------------------------------------------------------

    def _get(self, call: Call) -> Mapping[str, Any]:
        request = call.params
        queries = request["MetricDataQueries"]
        start, end = _rounded(_at(request["StartTime"]), self._age(request)), _at(request["EndTime"])
        self._check(queries, start, end)
        token = hashlib.sha256(repr([queries, start, end]).encode()).hexdigest()[:16]
        first = _first(request.get("NextToken"), token)
        if not first:
            self.asked.append({**request, "account": call.account_id, "region": call.region})
        points = [self._points(call, q["MetricStat"], start, end) for q in queries]
        sizes = np.cumsum([0, *(len(t) for t, _ in points)])
        last = min(first + self.page_points, int(sizes[-1]))
        more = last < sizes[-1]
        results = [
            self._result(q, t, v, first - int(at), last - int(at), more)
            for q, (t, v), at in zip(queries, points, sizes[:-1], strict=True)
        ]
        return {"MetricDataResults": results, "Messages": [], **({"NextToken": f"{token}-{last}"} if more else {})}

    def _age(self, request: Mapping[str, Any]) -> float:
        return self.now.timestamp() - _at(request["StartTime"])

    def _check(self, queries: Sequence[Any], start: int, end: int) -> None:
        if len(queries) > 500:
            raise AwsError("ValidationError", f"{len(queries)} queries")
        if len({q["Id"] for q in queries}) < len(queries):
            raise AwsError("ValidationError", "two queries of one id")
        points = sum((end - start) / q["MetricStat"]["Period"] for q in queries)
        if points > 100_800 or end <= start:
            raise AwsError("ValidationError", f"{points} points")
        if any(q["MetricStat"]["Period"] % 60 for q in queries):
            raise AwsError("ValidationError", "period")

    def _result(self, query: Any, times: Any, values: Any, first: int, last: int, more: bool) -> dict[str, Any]:
        part = slice(max(0, first), max(0, last))
        name = query["MetricStat"]["Metric"]["MetricName"]
        unfinished = more and last < len(times)
        queue = self.statuses.get(name, []) if not more else []
        return {
            "Id": query["Id"],
            "Label": name,
            "Timestamps": [datetime.fromtimestamp(t, UTC) for t in times[part].tolist()],
            "Values": values[part].tolist(),
            "StatusCode": queue.pop(0) if queue else "PartialData" if unfinished else "Complete",
        }

    def _points(self, call: Call, stat: Any, start: int, end: int) -> tuple[Any, Any]:
        named = stat["Metric"]
        dimensions = tuple(sorted((d["Name"], d["Value"]) for d in named.get("Dimensions", [])))
        metric = self.metrics.get((call.account_id, call.region, named["Namespace"], named["MetricName"], dimensions))
        period = stat["Period"]
        kept = next(days for unit, days in ((3600, 455), (300, 63), (60, 15)) if period % unit == 0)
        first = start // period * period
        if metric is None or self.now.timestamp() - start > kept * DAY:
            return np.zeros(0, np.int64), np.zeros(0)
        return _aggregated(metric, stat["Stat"], period, first, min(end, int(self.now.timestamp())))

    # --- ListMetrics, GetResources ----------------------------------------------------------------------------------

    def _list(self, call: Call) -> Mapping[str, Any]:
        names = {d["Name"]: d.get("Value") for d in call.params.get("Dimensions", [])}
        found = [
            {
                "Namespace": namespace,
                "MetricName": name,
                "Dimensions": [{"Name": k, "Value": v} for k, v in dimensions],
            }
            for (account, region, namespace, name, dimensions), metric in sorted(
                self.metrics.items(), key=lambda i: i[0]
            )
            if (account, region) == (call.account_id, call.region)
            and namespace == call.params.get("Namespace", namespace)
            and name == call.params.get("MetricName", name)
            and all(k in dict(dimensions) and v in (None, dict(dimensions)[k]) for k, v in names.items())
            and (metric.until is None or metric.until > self.now.timestamp() - 14 * DAY)
        ]
        return page(call, "Metrics", found, 500)

    def _tagged(self, call: Call) -> Mapping[str, Any]:
        size = int(call.params.get("ResourcesPerPage", 50))
        if not 1 <= size <= 100:
            raise AwsError("InvalidParameterException", "1 to 100 a page")
        kinds = call.params.get("ResourceTypeFilters", [])
        found = [
            {"ResourceARN": arn, "Tags": [{"Key": k, "Value": v} for k, v in tags.items()]}
            for arn, tags in sorted(self.tags.get((call.account_id, call.region), {}).items())
            if not kinds or any(_is(arn, kind) for kind in kinds)
        ]
        return page(call, "ResourceTagMappingList", found, size, "PaginationToken")


def _is(arn: str, kind: str) -> bool:
    service, _, what = kind.partition(":")
    parts = arn.split(":", 5)
    return parts[2] == service and (not what or parts[5].replace("/", ":").split(":")[0] == what)


def _first(token: Any, of: str) -> int:
    """Where a page begins; a token belongs to one request."""
    if token is None:
        return 0
    owner, _, at = str(token).partition("-")
    if owner != of:
        raise AwsError("InvalidNextToken", "not of this request")
    return int(at)


def _at(value: Any) -> int:
    """Seconds since 1970 of a time stamp in either wire format."""
    if isinstance(value, datetime):
        return int((value if value.tzinfo else value.replace(tzinfo=UTC)).timestamp())
    if isinstance(value, str):
        return int(datetime.fromisoformat(value.replace("Z", "+00:00")).timestamp())
    return int(value.value if isinstance(value, cbor2.CBORTag) else value)


def _rounded(start: int, age: float) -> int:
    """Down to the minute, five minutes, hour, by age."""
    step = 60 if age < 15 * DAY else 300 if age < 63 * DAY else 3600
    return start // step * step


def _aggregated(metric: Metric, stat: str, period: int, first: int, end: int) -> tuple[Any, Any]:
    """Statistics over whole periods, from the samples themselves; a period without samples has no point."""
    steps = max(0, -(-(end - first) // period))
    per = max(1, period // metric.seconds)
    if not steps:
        return np.zeros(0, np.int64), np.zeros(0)
    if period < metric.seconds:  # a point where something was published, and nothing between
        ticks = np.arange(-(-first // metric.seconds) * metric.seconds, first + steps * period, metric.seconds)
        blocks = _published(metric, ticks).reshape(len(ticks), -1)
        times = ticks // period * period
    else:
        ticks = first + np.arange(steps * per) * metric.seconds
        blocks = _published(metric, ticks).reshape(steps, -1)
        times = first + np.arange(steps) * period
    some = ~np.isnan(blocks).all(axis=1)
    return times[some], _statistic(blocks[some], stat)


def _published(metric: Metric, ticks: Any) -> Floats:
    values = np.array(metric.samples(ticks), np.float64)
    if metric.until is not None:
        values[ticks >= metric.until] = np.nan
    return values


def _statistic(blocks: Floats, stat: str) -> Floats:
    if stat.startswith("p"):
        return np.asarray(np.nanpercentile(blocks, float(stat[1:]), axis=1)) if len(blocks) else np.zeros(0)
    of = {"Average": np.nanmean, "Sum": np.nansum, "Maximum": np.nanmax, "Minimum": np.nanmin}
    if stat == "SampleCount":
        return (~np.isnan(blocks)).sum(axis=1).astype(np.float64)
    return np.asarray(of[stat](blocks, axis=1)) if len(blocks) else np.zeros(0)


def queries_of(fake: FakeCloudWatch) -> Iterator[tuple[Mapping[str, Any], Mapping[str, Any]]]:
    """Every (request, MetricStat) that was answered."""
    for request in fake.asked:
        for query in request["MetricDataQueries"]:
            yield request, query["MetricStat"]
