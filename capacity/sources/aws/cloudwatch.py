"""CloudWatch GetMetricData over accounts and regions.

Statistics are asked for as such, percentiles too; nothing is averaged from averages. Resources are found anew at each
ingest. A series is read from its own last stored hour less an overlap for late points, up to the last whole hour; each
hour at one period, by its age. A series that fails is left out from there on, so that what is stored has no hole that
a later run would not see, and the failures are raised after the last sound batch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from typing import ClassVar

import pyarrow as pa

from capacity.config import CloudWatchMetric, CloudWatchSource
from capacity.errors import CapacityError, UsageError
from capacity.schemas import USAGE
from capacity.sources._protocol import Batch, Context, SeriesKey, SourceInfo, Stored
from capacity.sources.aws import _cloudwatch_plan as plan
from capacity.sources.aws._access import Access, Place
from capacity.sources.aws._calls import Failures
from capacity.sources.aws._cloudwatch_calls import USD_A_METRIC, Reader, Reading, Tally, remarks, rows
from capacity.sources.aws._cloudwatch_series import Found, Series, SeriesOfPlace, apart, series_of, stat_of
from capacity.sources.aws._discovery import by_service, discover
from capacity.sources.aws._naming import Namer
from capacity.sources.aws._stored_points import PlaceSeries, newest_points

# Period -> time of the newest stored point of a series.
_Last = Mapping[int, int]
_Known = Callable[[Sequence[Series]], Mapping[PlaceSeries, _Last]]
_UNSURE = (
    "what was found is not read this time, because a discovery here failed and names and sums hang on all of them; "
    "the next ingest catches up"
)


@dataclass(frozen=True)
class _Part:
    """Series of one place that are read together."""

    place: Place
    stretches: tuple[plan.Stretch, ...]
    series: tuple[Series, ...]


@dataclass
class _Read:
    """What a part gave; ``failures`` one line a series or call."""

    batches: list[Batch] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    tally: Tally = field(default_factory=Tally)


class CloudWatchMetricsSource:
    """Usage from CloudWatch; one batch a part and stretch of time."""

    info: ClassVar[SourceInfo] = SourceInfo(
        kind="cloudwatch",
        reads="Amazon CloudWatch metrics by name, and of resources found by tags and Auto Scaling groups, over "
        "accounts and regions",
        frames=("usage",),
        permissions=(
            "cloudwatch:GetMetricData",
            "cloudwatch:ListMetrics",
            "tag:GetResources",
            "ec2:DescribeInstances",
            "ec2:DescribeVolumes",
            "autoscaling:DescribeAutoScalingGroups",
            "elasticloadbalancing:DescribeLoadBalancers",
            "rds:DescribeDBInstances",
            "elasticache:DescribeCacheClusters",
            "ecs:ListClusters",
            "ecs:ListServices",
            "eks:ListClusters",
            "lambda:ListFunctions",
            "sqs:ListQueues",
        ),
        price="$0.01 per 1,000 metrics requested, each time they are requested (list price, us-east-1); an ingest asks "
        "for each statistic once for each period it needs, and says what that came to",
        limits="500 metrics and 100,800 points a call; history of 15 days at 60 s, 63 days at 300 s, 455 days at "
        "3,600 s; whole hours only; resources that are gone at an ingest are not found",
        calls=(
            "cloudwatch:GetMetricData $0.01 per 1,000 metrics",
            "cloudwatch:ListMetrics $0.01 per 1,000 calls, for eks and custom only",
            "tag:GetResources and the lists of each kind of resource, without charge",
        ),
    )

    def __init__(self, config: CloudWatchSource, context: Context) -> None:
        self.name = config.name
        self._config = config
        self._aws = context.access(config)
        _check(config)

    @cached_property
    def _access(self) -> Access:
        return Access(self._aws, self.name)

    # --- the protocol -------------------------------------------------------------------------------------------

    def series(self) -> tuple[SeriesKey, ...]:
        """(service, metric, stat, period) of each metric that the config names; what is discovered comes beside it."""
        fixed = self._config.period_seconds
        periods = [fixed] if fixed else [p for p in plan.RETENTION_DAYS if p >= self._config.finest_seconds]
        return tuple(
            (m.service, m.metric, stat_of(m.stat, m.per_second), p) for m in self._config.metrics for p in periods
        )

    def batches(self, since: datetime | None, now: datetime) -> Iterator[Batch]:
        """Points from ``since`` less the overlap (None: the days that the config asks for), periods by age.

        Raises
        ------
        DataError
            No credentials, no permission, throttled to the end, or metrics that did not come whole: one line each.
        """
        start = None if since is None else int(since.timestamp())
        return self._all(lambda _: {}, int(now.timestamp()), start)

    def resume(self, last: Mapping[SeriesKey, datetime], now: datetime) -> Iterator[Batch]:
        """As ``batches``, each series from its own last point, alike in every account and region."""
        known: dict[tuple[str, str, str], dict[int, int]] = {}
        for (service, metric, stat, period), at in last.items():
            known.setdefault((service, metric, stat), {})[period] = int(at.timestamp())
        return self._all(lambda series: {s.key: known.get(s.key[2:], {}) for s in series}, int(now.timestamp()))

    def proceed(self, stored: Stored, now: datetime) -> Iterator[Batch]:
        """As ``resume``, from the last point in each account and region: one that failed before catches up."""
        at, margin = int(now.timestamp()), self._config.overlap_hours + 1

        def known(series: Sequence[Series]) -> Mapping[PlaceSeries, _Last]:
            return newest_points(stored, self.name, {s.key for s in series}, at, margin)

        return self._all(known, at)

    # --- the way through ----------------------------------------------------------------------------------------

    def _all(self, known: _Known, now: int, since: int | None = None) -> Iterator[Batch]:
        failures, tally = Failures(), Tally()
        series: list[Series] = []
        for found in self._found(failures):
            series += found.series
            yield _empty(f"{found.place.label}: resources", found.notes)
        last = known(series)
        parts, notes = self._parts(series, last, now, since)
        yield _empty("names", apart(series, {key for key, periods in last.items() if periods}))
        yield _empty("history", notes)
        for _, result in self._access.each(parts, self._read):
            if isinstance(result, CapacityError):
                failures.add(result)
                continue
            yield from result.batches
            tally.add(result.tally)
            failures.lines += result.failures
        yield _empty("cost", [_cost(tally)])
        failures.lines[:] = dict.fromkeys(failures.lines)  # the same call failed in several parts
        failures.raise_if_any()

    def _found(self, failures: Failures) -> Iterator[SeriesOfPlace]:
        """The series of every place; a discovery that fails leaves the other places.

        What one discovery finds decides what the series of another are called and what their sums hold. So where one
        has failed, only the metrics that the config names are read in that place; the next ingest catches up.
        """
        places = self._access.places(self._config.accounts, self._config.regions)
        named = self._named(places)
        tasks = [(place, i) for place in places for i in range(len(self._config.discover))]
        found: dict[Place, list[Found]] = {}
        notes: dict[Place, list[str]] = {}
        unsure: set[Place] = set()
        for (place, _), result in self._access.each(tasks, self._discover):
            if isinstance(result, CapacityError):
                failures.add(result)
                unsure.add(place)
                continue
            one, told = result
            found.setdefault(place, []).append(one)
            notes.setdefault(place, []).extend(told)
        for place in dict.fromkeys([*places, *named]):
            sure = [] if place in unsure else found.get(place, [])
            out = series_of(place, named.get(place, []), sure)
            out.notes[:0] = notes.get(place, [])
            if place in unsure and found.get(place):
                out.notes.append(_UNSURE)
            yield out

    def _discover(self, task: tuple[Place, int]) -> tuple[Found, list[str]]:
        place, i = task
        entry = self._config.discover[i]
        services, unnamed = by_service(discover(self._access, place, entry), Namer(entry.naming, self.name))
        told = [unnamed.note(entry.resources, entry.naming)] if unnamed.names else []
        if not services and not unnamed.names:
            told.append(f"no {entry.resources} resource found{' with these tags' if entry.tags else ''}")
        return Found(entry, services), told

    def _named(self, places: Sequence[Place]) -> dict[Place, list[CloudWatchMetric]]:
        """The metrics that the config names, under their place.

        Raises
        ------
        UsageError
            One does not say which of several accounts or regions, or names an account that is not reached.
        """
        out: dict[Place, list[CloudWatchMetric]] = {}
        for metric in self._config.metrics:
            accounts = {p.account.account_id: p.account for p in places}
            if metric.account_id:
                accounts = {a.account_id: a for a in self._access.accounts([metric.account_id])}
            regions = [metric.region] if metric.region else list(dict.fromkeys(p.region for p in places))
            where = f"source '{self.name}': metric {metric.metric_name} of {metric.service}"
            if len(accounts) != 1:
                raise UsageError(f"{where}: account_id is missing; the source has {', '.join(accounts) or 'none'}")
            if len(regions) != 1:
                raise UsageError(f"{where}: region is missing; the source has {', '.join(map(str, regions))}")
            out.setdefault(Place(next(iter(accounts.values())), str(regions[0])), []).append(metric)
        return out

    def _parts(
        self, series: Sequence[Series], last: Mapping[PlaceSeries, _Last], now: int, since: int | None
    ) -> tuple[list[_Part], list[str]]:
        """What is asked for, place by place, and what is no longer kept."""
        gone: dict[int, int] = {}
        by_place: dict[Place, list[tuple[Series, tuple[plan.Stretch, ...]]]] = {}
        for one in series:
            spans, lost = plan.stretches(self._rule(one), last.get(one.key, {}), now, since)
            by_place.setdefault(one.place, []).append((one, spans))
            if lost is not None:
                gone[lost] = gone.get(lost, 0) + 1
        parts = [
            _Part(place, spans, tuple(members[i][0] for i in chosen))
            for place, members in by_place.items()
            for spans, chosen in plan.parts([(len(s.terms), w) for s, w in members])
        ]
        notes = [f"of {n:,} series, points before {_text(at)} are no longer kept" for at, n in sorted(gone.items())]
        return parts, notes

    def _rule(self, series: Series) -> plan.Rule:
        c, published = self._config, series.published.seconds
        finest = published if c.period_seconds else max(c.finest_seconds, published)
        return plan.Rule(c.period_seconds, finest, c.days, c.overlap_hours)

    def _read(self, part: _Part) -> _Read:
        """The stretches of a part in order of time; what failed in one is not read in the next."""
        out = _Read()
        alive = dict(enumerate(part.series))
        client = self._access.client("cloudwatch", part.place.account, part.place.region)
        reader = Reader(client, self.name, part.place.label)
        out.tally = reader.tally
        try:
            for stretch in part.stretches:
                reading = reader.read(alive, stretch)
                where = f"source '{self.name}': {part.place.label}"
                out.failures += [f"{where}: {alive[i].label}: {why}" for i, why in reading.failed.items()]
                out.batches.append(self._batch(part.place, alive, reading, stretch))
                alive = {i: s for i, s in alive.items() if i not in reading.failed}
                if not alive:
                    break
        except CapacityError as error:
            out.failures += str(error).splitlines()
        return out

    def _batch(self, place: Place, series: Mapping[int, Series], reading: Reading, stretch: plan.Stretch) -> Batch:
        tables = [rows(series[i], grid, self.name) for i, grids in reading.grids.items() for grid in grids]
        table = pa.concat_tables([t for t in tables if t.num_rows] or [USAGE.schema.empty_table()])
        span = f"{_text(stretch.start)}/{_text(stretch.end)} at {stretch.period} s"
        return Batch("usage", table, f"{place.label}: {span}", tuple(remarks(series, reading)))


def _empty(what: str, notes: Sequence[str]) -> Batch:
    """Something to say, without a row."""
    return Batch("usage", USAGE.schema.empty_table(), what, tuple(dict.fromkeys(notes)))


def _cost(tally: Tally) -> str:
    price = f"${USD_A_METRIC * 1000:.2f} for 1,000 (list price)"
    return f"{tally.metrics:,} metrics requested in {tally.calls:,} calls: about ${tally.usd:.4f} at {price}"


def _text(at: int) -> str:
    return f"{datetime.fromtimestamp(at, UTC):%Y-%m-%dT%H:%MZ}"


def _check(config: CloudWatchSource) -> None:
    """Refuse two named metrics that would be one series."""
    seen: set[tuple[str | None, ...]] = set()
    for m in config.metrics:
        key = (m.account_id, m.region, m.service, m.metric, stat_of(m.stat, m.per_second))
        if key in seen:
            raise UsageError(
                f"source '{config.name}': two metrics become the same series {m.service}, {m.metric}, {key[-1]}; "
                "rename one"
            )
        seen.add(key)
