"""The canonical series of a place, each with the CloudWatch queries it is made of. Pure.

Two series of one name never meet: named metrics come first, then the config's discoveries in their order. A series of
a later kind of resource whose name is taken is called after its kind (``cpu_percent@rds``), and where several
resources cannot be put together each is called after itself (``latency_ms@app/web/50dc6c495c0c9188``).
"""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from capacity.config import CloudWatchDiscovery, CloudWatchMetric
from capacity.config._cloudwatch import Across
from capacity.sources.aws._access import Place
from capacity.sources.aws._discovery import Dimensions, Resource
from capacity.sources.aws._namespaces import BUNDLED, Published, Wanted, of_config, published, silent_is_zero
from capacity.sources.aws._stored_points import PlaceSeries

_STATS: Mapping[str, str] = {"Average": "avg", "Sum": "sum", "Maximum": "max", "Minimum": "min", "SampleCount": "sum"}
_PER_CENT = 0.01
_SHOWN = 5  # names in a note


@dataclass(frozen=True)
class Query:
    """One statistic of one metric, as GetMetricData is asked for it."""

    namespace: str
    metric_name: str
    stat: str
    dimensions: Dimensions

    def request(self, identity: str, period: int) -> dict[str, Any]:
        metric = {
            "Namespace": self.namespace,
            "MetricName": self.metric_name,
            "Dimensions": [{"Name": k, "Value": v} for k, v in self.dimensions],
        }
        stat = {"Metric": metric, "Period": period, "Stat": self.stat}
        return {"Id": identity, "MetricStat": stat, "ReturnData": True}

    @property
    def label(self) -> str:
        named = ", ".join(f"{k}={v}" for k, v in self.dimensions)
        return f"{self.namespace}/{self.metric_name} {self.stat} ({named})"


@dataclass(frozen=True)
class Term:
    """A query and the factor with which it enters its series."""

    query: Query
    weight: float = 1.0


@dataclass(frozen=True)
class Series:
    """One canonical usage series of one account and region.

    Attributes
    ----------
    across
        How the terms are put together: ``add``, ``max``, ``min``; ``each`` has one term.
    published
        How often its metrics come.
    apart_of
        The name that several resources of one service would share if their values could be put together; empty for a
        series that has that name.
    """

    place: Place
    service: str
    metric: str
    stat: str
    unit: str
    terms: tuple[Term, ...]
    across: Across
    published: Published
    per_second: bool = False
    silent_is_zero: bool = False
    apart_of: str = ""

    @property
    def key(self) -> tuple[str, str, str, str, str]:
        return (self.place.account.account_id, self.place.region, self.service, self.metric, self.stat)

    @property
    def label(self) -> str:
        return f"{self.service} {self.metric} {self.stat}"


@dataclass(frozen=True)
class Found:
    """What one discovery found in a place: resources by service."""

    entry: CloudWatchDiscovery
    services: Mapping[str, Sequence[Resource]]


@dataclass
class SeriesOfPlace:
    """Series under their names, and what had to be left out or renamed on the way."""

    place: Place
    taken: dict[tuple[str, str, str], Series] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    @property
    def series(self) -> list[Series]:
        return [self.taken[k] for k in sorted(self.taken)]

    def add(self, series: Series, kind: str) -> None:
        """Under its own name, or under one that says its kind."""
        key = (series.service, series.metric, series.stat)
        if key in self.taken:
            metric, _, of = series.metric.partition("@")
            series = replace(series, metric=f"{metric}@{kind}{f'/{of}' if of else ''}")
            self.notes.append(
                f"{key[0]} has {key[1]} {key[2]} from something listed before; that of {kind} is {series.metric}"
            )
            key = (series.service, series.metric, series.stat)
        if key in self.taken:
            self.notes.append(f"{' '.join(key)} left out: several discoveries of {kind} give it; put them into one")
            return
        self.taken[key] = series


def series_of(place: Place, metrics: Sequence[CloudWatchMetric], found: Sequence[Found]) -> SeriesOfPlace:
    """All series of a place."""
    out = SeriesOfPlace(place)
    for metric in metrics:
        out.add(_of_metric(place, metric), "metric")
    for kind, wanted, services in _merged(found):
        for service in sorted(services):
            for want in wanted:
                for series in _of_resources(place, service, want, services[service], out.notes):
                    out.add(series, kind)
    return out


def apart(series: Sequence[Series], stored: Container[PlaceSeries]) -> list[str]:
    """Notes on series that stand apart because their service has several resources, where one of them is new.

    New is a resource without any stored series of its own: some metrics never come, and say nothing.
    """
    members: dict[tuple[str, str, str], dict[str, str]] = {}
    resources: dict[tuple[str, str, str], bool] = {}
    for one in (s for s in series if s.apart_of):
        place, identity = one.place.label, one.metric.partition("@")[2]
        members.setdefault((place, one.service, one.apart_of), {})[identity] = one.metric
        resource = (place, one.service, identity)
        resources[resource] = resources.get(resource, False) or one.key in stored
    return [
        f"{place}: {name} of {service} goes on as {_listing(sorted(of.values()))}: "
        f"{len(of):,} resources, whose values cannot be put together"
        for (place, service, name), of in members.items()
        if not all(resources[place, service, identity] for identity in of)
    ]


def _listing(names: Sequence[str]) -> str:
    shown = list(names) if len(names) <= _SHOWN else [*names[: _SHOWN - 1], f"{len(names) - _SHOWN + 1:,} others"]
    return " and ".join(filter(None, (", ".join(shown[:-1]), shown[-1])))


def stat_of(stat: str, per_second: bool) -> str:
    """The canonical statistic. A Sum divided by its period is the mean rate over that period."""
    return "avg" if per_second else _STATS.get(stat, stat)


def _of_metric(place: Place, m: CloudWatchMetric) -> Series:
    query = Query(m.namespace, m.metric_name, m.stat, tuple(sorted(m.dimensions.items())))
    return Series(
        place, m.service, m.metric, stat_of(m.stat, m.per_second), m.unit, (Term(query),), "each",
        published(m.namespace, m.published_seconds), m.per_second, silent_is_zero(m.namespace, m.per_second),
    )  # fmt: skip


def _merged(found: Sequence[Found]) -> Iterator[tuple[str, tuple[Wanted, ...], dict[str, list[Resource]]]]:
    """Discoveries that ask the same of the same kind are one; a resource that two of them find counts once."""
    groups: dict[tuple[str, tuple[Wanted, ...]], dict[str, dict[str, Resource]]] = {}
    for one in found:
        for service, resources in one.services.items():
            for resource in resources:
                kind = resource.kind if one.entry.resources != "custom" else str(one.entry.namespace)
                services = groups.setdefault((kind, _wanted(one.entry, resource.kind)), {})
                services.setdefault(service, {})[resource.identity] = resource
    for (kind, wanted), services in groups.items():
        yield kind, wanted, {s: [by[i] for i in sorted(by)] for s, by in services.items()}


def _wanted(entry: CloudWatchDiscovery, kind: str) -> tuple[Wanted, ...]:
    usual = BUNDLED.get(kind, ())
    if not entry.metrics:
        return usual
    namespace = entry.namespace or usual[0].namespace
    return tuple(of_config(m, namespace) for m in entry.metrics)


def _of_resources(
    place: Place, service: str, want: Wanted, resources: Sequence[Resource], notes: list[str]
) -> Iterator[Series]:
    """One series for all, or one each where their values cannot be put together."""
    if want.by_vcpu and any(r.vcpu is None for r in resources):
        notes.append(f"{service} {want.metric} left out: EC2 does not say the vCPU of every instance")
        return
    if want.across != "each" or len(resources) == 1:
        yield _one(place, service, want, want.metric, resources)
        return
    for resource in resources:
        one = _one(place, service, want, f"{want.metric}@{resource.identity}", [resource])
        yield replace(one, apart_of=want.metric)


def _one(place: Place, service: str, want: Wanted, metric: str, resources: Sequence[Resource]) -> Series:
    terms = tuple(
        Term(Query(want.namespace, name, want.stat, r.dimensions), _weight(want, r))
        for r in resources
        for name in want.metric_names
    )
    told = [r.published_seconds for r in resources if r.published_seconds is not None]
    return Series(
        place, service, metric, stat_of(want.stat, want.per_second), want.unit, terms, want.across,
        published(want.namespace, max(told, default=None) if want.namespace == "AWS/EC2" else None),
        want.per_second, want.silent_is_zero,
    )  # fmt: skip


def _weight(want: Wanted, resource: Resource) -> float:
    return want.scale * _PER_CENT * float(resource.vcpu or 0) if want.by_vcpu else want.scale
