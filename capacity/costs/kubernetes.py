"""What share of a cluster each service took in a month: proportions for the cluster's bill, never amounts of their own.

OpenCost and AWS's split cost allocation price a cluster by list prices or by amortised instances. Their sums are not
the bill's, so only their proportions are used: a pool with ``split: kubernetes`` divides what the bill says.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from capacity.config import AttributionRule, KubernetesCostConfig, WorkloadRule
from capacity.costs._columns import Coded, CodedTable, group_rows
from capacity.costs._matching import Goals, Matcher
from capacity.costs._money import sums_by_group, to_decimal, to_units
from capacity.costs._patterns import compile_whole, whole_matches
from capacity.costs._tags import TagColumns, parse_tags
from capacity.errors import ConfigError

SERVICE, IDLE, OVERHEAD, UNMAPPED = "service", "idle", "overhead", "unmapped"
_PROPERTIES = ("cluster", "namespace", "controller_kind", "controller", "pod")

# (kind, service or "") -> weight in whole units of cost
Weights = Mapping[tuple[str, str], int]
_Time = tuple[datetime, datetime]
_Window = tuple[str, datetime, datetime]  # cluster, start, end
_TICK = timedelta(microseconds=1)


@dataclass(frozen=True)
class ClusterWeights:
    """What took how much of which cluster.

    Attributes
    ----------
    by_month
        (month, cluster) -> (kind, name) -> weight: kind is service (with its name), idle, overhead or unmapped.
    unmapped
        month, cluster, namespace, controller, cost (Decimal, as the source priced it): workloads that no rule names,
        the dearest first.
    """

    by_month: Mapping[tuple[str, str], Weights]
    unmapped: pd.DataFrame

    def month(self, clusters: Sequence[str], month: str) -> dict[tuple[str, str], int]:
        """Weights of all clusters whose names match one of ``clusters`` whole (of all where it is empty)."""
        patterns = [compile_whole(p) for p in clusters]
        out: dict[tuple[str, str], int] = {}
        for (when, cluster), weights in self.by_month.items():
            if when == month and (not patterns or any(p.fullmatch(cluster) for p in patterns)):
                for key, weight in weights.items():
                    out[key] = out.get(key, 0) + weight
        return {k: w for k, w in out.items() if w > 0}


def cluster_weights(table: pa.Table, config: KubernetesCostConfig, services: Sequence[str]) -> ClusterWeights:
    """Sum what workloads took by month, cluster and service.

    Parameters
    ----------
    table
        Rows of schemas.KUBERNETES_COST. External cost (of what lies outside the cluster) does not count. A window
        that crosses the end of a month is divided by time. Where windows of a cluster overlap the shorter ones count,
        and longer ones for the time that those leave.
    config
        Rules: the first that matches wins. A workload that none names is the cluster's own where its namespace is one
        of ``overhead``, else unmapped.

    Raises
    ------
    ConfigError
        A rule names no service of the company, or holds a pattern that is no regular expression.
    """
    _check(config, services)
    if not table.num_rows:
        return ClusterWeights({}, _unmapped({}))
    counted, times = _counted_windows(table)
    table = table.filter(pa.array(counted))
    coded = CodedTable(table)
    names = ("ts", "period_end", "kind", *_PROPERTIES, "labels")
    grouping = group_rows([(coded.column(n).codes, coded.column(n).cardinality) for n in names], table.num_rows)
    sums = sums_by_group(table, grouping.group, grouping.count, ("total_cost", "external_cost"))
    cost = [t - e for t, e in zip(to_units(sums["total_cost"]), to_units(sums["external_cost"]), strict=True)]
    of_group = {n: Coded(coded.column(n).codes[grouping.first_row], coded.column(n).distinct) for n in names}
    columns = {n: c.take(np.arange(grouping.count)).to_pylist() for n, c in of_group.items() if n != "labels"}
    owners = _owners(of_group, config, services, grouping.count)
    totals: dict[tuple[str, str], dict[tuple[str, str], int]] = {}
    unmapped: dict[tuple[str, str, str, str], int] = {}
    for i, (owner, amount) in enumerate(zip(owners, cost, strict=True)):
        window = (columns["cluster"][i], columns["ts"][i], columns["period_end"][i])
        for month, part in _parts(window[1:], times[window], amount):
            weights = totals.setdefault((month, columns["cluster"][i]), {})
            weights[owner] = weights.get(owner, 0) + part
            if owner[0] == UNMAPPED:
                key = (month, columns["cluster"][i], columns["namespace"][i], columns["controller"][i])
                unmapped[key] = unmapped.get(key, 0) + part
    return ClusterWeights(totals, _unmapped(unmapped))


def _unmapped(found: Mapping[tuple[str, str, str, str], int]) -> pd.DataFrame:
    rows = [(*key, to_decimal(amount)) for key, amount in sorted(found.items(), key=lambda kv: (-kv[1], kv[0]))]
    return pd.DataFrame(rows, columns=["month", "cluster", "namespace", "controller", "cost"])


# --- windows -----------------------------------------------------------------------------------------------


def _counted_windows(table: pa.Table) -> tuple[npt.NDArray[np.bool_], dict[_Window, list[_Time]]]:
    """(rows,) whether the row's window counts, and the time that each such window counts for.

    The same usage read by the day and by the hour, or from two sources, must not count twice: of windows of a cluster
    that overlap the shortest count, and longer ones for the time that those leave. Of two sources with the same window
    the first by name counts.
    """
    coded = CodedTable(table)
    keys = [coded.column(n) for n in ("source", "cluster", "ts", "period_end")]
    grouping = group_rows([(c.codes, c.cardinality) for c in keys], table.num_rows)
    values = [c.take(grouping.first_row) for c in keys]
    source, cluster = values[0].to_pylist(), values[1].to_pylist()
    start, end = (v.to_pylist() for v in values[2:])
    covered: dict[str, list[_Time]] = {}
    times: dict[_Window, list[_Time]] = {}
    counts = np.zeros(grouping.count, np.bool_)
    for i in sorted(range(grouping.count), key=lambda i: (end[i] - start[i], source[i], start[i])):
        left = _cover(covered.setdefault(cluster[i], []), start[i], end[i])
        if left:
            counts[i] = True
            times[cluster[i], start[i], end[i]] = left
    return counts[grouping.group], times


def _cover(covered: list[_Time], start: datetime, end: datetime) -> list[_Time]:
    """The times of a window that ``covered`` (apart, in order) leaves open; they are covered from then on."""
    if start >= end:
        return []
    first = bisect_left(covered, start, key=lambda time: time[1])
    left, at, after = [], start, first
    while after < len(covered) and covered[after][0] <= end:
        if at < covered[after][0]:
            left.append((at, covered[after][0]))
        at = max(at, covered[after][1])
        after += 1
    if at < end:
        left.append((at, end))
    begin = min(start, covered[first][0]) if after > first else start
    covered[first:after] = [(begin, max(at, end))]
    return left


def _parts(window: _Time, times: Sequence[_Time], amount: int) -> list[tuple[str, int]]:
    """What falls to ``times`` of the ``amount`` of a window, by UTC month."""
    whole = window[1] - window[0]
    return [
        found
        for start, end in times
        for found in _months(start, end, amount * ((end - start) // _TICK) // (whole // _TICK))
    ]


def _months(start: datetime, end: datetime, amount: int) -> list[tuple[str, int]]:
    """``amount`` by UTC month, divided by time."""
    start, end = start.astimezone(UTC), end.astimezone(UTC)
    whole = int((end - start).total_seconds())
    out = []
    while (start.year, start.month) != (end.year, end.month) and start < end:
        following = datetime(start.year + start.month // 12, start.month % 12 + 1, 1, tzinfo=UTC)
        inside = int((min(following, end) - start).total_seconds())
        out.append((f"{start:%Y-%m}", amount * inside // whole))
        start = following
    if start < end:
        out.append((f"{start:%Y-%m}", amount - sum(part for _, part in out)))
    return out


# --- owners ------------------------------------------------------------------------------------------------


def _check(config: KubernetesCostConfig, services: Sequence[str]) -> None:
    problems = [
        f"costs.kubernetes rule '{r.name}': '{r.service}' is no service of this config"
        for r in config.rules
        if r.service is not None and r.service not in services
    ]
    patterns = [(f"rule '{r.name}'", p) for r in config.rules for p in (*r.match.values(), *r.labels.values())]
    for where, pattern in [*patterns, *(("overhead", p) for p in config.overhead)]:
        try:
            compile_whole(pattern)
        except re.error as error:
            problems.append(f"costs.kubernetes {where}: '{pattern}' is no regular expression: {error}")
    if problems:
        raise ConfigError(problems)


def _owners(
    columns: Mapping[str, Coded], config: KubernetesCostConfig, services: Sequence[str], count: int
) -> list[tuple[str, str]]:
    """(kind, name) of each combination of workload properties."""
    kinds = columns["kind"].take(np.arange(count)).to_pylist()
    owner = [(IDLE, "") if k == IDLE else (UNMAPPED, "") for k in kinds]
    namespaces = columns["namespace"]
    for pattern in config.overhead:
        own = np.concatenate([[False], whole_matches(compile_whole(pattern), namespaces.distinct)])
        for i in np.flatnonzero(own[namespaces.codes]):
            owner[i] = (OVERHEAD, "") if owner[i][0] == UNMAPPED else owner[i]
    goals = Goals.of(services, [])
    matcher = Matcher(columns, _labels(columns["labels"], config.rules), columns["labels"].codes, goals)
    still_open = np.flatnonzero([k != IDLE for k in kinds])
    for rule in config.rules:
        taken, to = matcher.take(_as_rule(rule), still_open)
        for i, target in zip(taken, to, strict=True):
            owner[i] = (SERVICE, services[target - 1])
        still_open = np.setdiff1d(still_open, taken)
    return owner


def _as_rule(rule: WorkloadRule) -> AttributionRule:
    match: dict[str, str | None] = {str(k): v for k, v in rule.match.items()}
    tags: dict[str, str | None] = {_label(k): v for k, v in rule.labels.items()}
    label = None if rule.service_from_label is None else _label(rule.service_from_label)
    return AttributionRule(name=rule.name, service=rule.service, service_from_tag=label, match=match, tags=tags)


def _label(name: str) -> str:
    """A label as Prometheus, and so OpenCost, spells it: app.kubernetes.io/name is app_kubernetes_io_name."""
    return re.sub(r"[^A-Za-z0-9_]", "_", name)


def _labels(column: Coded, rules: Sequence[WorkloadRule]) -> TagColumns:
    wanted = {_label(n) for r in rules for n in (*r.labels, *([r.service_from_label] if r.service_from_label else []))}
    found: dict[str, list[Any]] = {w: [None] for w in wanted}
    for text in column.distinct.to_pylist():
        labels = {_label(k): v for k, v in (parse_tags(text) or {}).items()}
        for name, values in found.items():
            values.append(labels.get(name))
    columns = {}
    for name, values in found.items():
        coded = pa.array(values, pa.string()).dictionary_encode()
        codes = coded.indices.fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int32) + np.int32(1)
        columns[name] = Coded(codes, coded.dictionary)
    return TagColumns(columns, np.zeros(0, np.int32))
