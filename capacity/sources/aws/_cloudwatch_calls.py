"""GetMetricData: asked whole, put together series by series, and made rows of the usage frame.

Points are laid on the grid of their stretch. A metric that a machine publishes every five minutes leaves four of five
minutes empty when it is asked for by the minute, and a count divided by sixty seconds would then be five times too
large; such hours show by themselves and are asked for again at 300 s.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from capacity.schemas import USAGE
from capacity.sources.aws._calls import errors_of
from capacity.sources.aws._cloudwatch_plan import HOUR, Stretch, queries_a_call
from capacity.sources.aws._cloudwatch_series import Query, Series

# Rounds in which a metric that came back incomplete is asked for again.
_ROUNDS = 3
# What one metric costs each time it is requested, in USD (CloudWatch list price of GetMetricData, us-east-1).
USD_A_METRIC = 0.01 / 1000
_MINUTE, _COARSE = 60, 300
_EXAMPLES = 5

Floats = npt.NDArray[np.float64]
Counts = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]


@dataclass
class Tally:
    """What was asked for."""

    calls: int = 0
    metrics: int = 0

    def add(self, other: Tally) -> None:
        self.calls += other.calls
        self.metrics += other.metrics

    @property
    def usd(self) -> float:
        return self.metrics * USD_A_METRIC


@dataclass
class _Answer:
    """What came back for one query, over all pages. ``PartialData`` is the status of a page that is not the last."""

    status: str = "nothing came back"
    times: list[Any] = field(default_factory=list)
    values: list[float] = field(default_factory=list)
    messages: list[str] = field(default_factory=list)

    def add(self, result: Mapping[str, Any]) -> None:
        self.status = str(result.get("StatusCode", "Complete"))
        self.times += result.get("Timestamps", [])
        self.values += result.get("Values", [])
        self.messages += [str(m.get("Code")) for m in result.get("Messages", [])]


@dataclass(frozen=True)
class Grid:
    """A series on the grid of a stretch.

    Attributes
    ----------
    value
        One a step, 0 where there is no point.
    seen
        How many of the series' queries have a point there.
    hours
        The hours that stand in this grid; the others stand in another one.
    coarse
        The hours in which some query has points every five minutes only.
    """

    stretch: Stretch
    value: Floats
    seen: Counts
    hours: Flags
    coarse: Flags


@dataclass
class Reading:
    """What one stretch gave.

    Attributes
    ----------
    grids
        By position of the series.
    failed
        Position of the series -> why; it must not be read any further.
    messages
        What CloudWatch said beside the data.
    """

    grids: dict[int, list[Grid]] = field(default_factory=dict)
    failed: dict[int, str] = field(default_factory=dict)
    messages: list[str] = field(default_factory=list)


class Reader:
    """Calls of one place."""

    def __init__(self, client: Any, source: str, where: str) -> None:
        self._client, self._source, self._where = client, source, where
        self.tally = Tally()

    def read(self, series: Mapping[int, Series], stretch: Stretch) -> Reading:
        """Every series over ``stretch``, or the reason why it failed.

        Raises
        ------
        DataError
            A call failed for good.
        """
        out = Reading()
        first = self._grids(series, stretch, out)
        for i, grid in first.items():
            out.grids[i] = [grid]
        coarse = {i: g.coarse for i, g in first.items() if not series[i].published.sure}
        for again, members in _again(coarse, stretch).items():
            for i, grid in self._grids({i: series[i] for i in members}, again, out).items():
                out.grids[i] = _instead(first[i], grid, coarse[i])
        for i in out.failed:
            out.grids.pop(i, None)
        return out

    def _grids(self, series: Mapping[int, Series], stretch: Stretch, out: Reading) -> dict[int, Grid]:
        queries = list(dict.fromkeys(t.query for s in series.values() for t in s.terms))
        laid: dict[Query, tuple[Floats, Flags]] = {}
        wrong: dict[Query, str] = {}
        size = queries_a_call(stretch)
        for k in range(0, len(queries), size):
            for query, answer in self._whole(queries[k : k + size], stretch, out.messages).items():
                if answer.status == "Complete":
                    laid[query] = _laid(answer, stretch)
                else:
                    wrong[query] = f"{query.label}: {_reason(answer)}"
        grids = {}
        for i, one in series.items():
            bad = [wrong[t.query] for t in one.terms if t.query in wrong]
            if bad:
                out.failed[i] = bad[0]
            else:
                grids[i] = _put_together(one, laid, stretch)
        return grids

    def _whole(self, queries: Sequence[Query], stretch: Stretch, messages: list[str]) -> dict[Query, _Answer]:
        """Answers; what came incomplete is asked for again, a few times."""
        wanted, out = list(queries), {}
        for _ in range(_ROUNDS):
            out.update(self._ask(wanted, stretch, messages))
            wanted = [q for q in wanted if out[q].status not in ("Complete", "Forbidden")]
            if not wanted:
                break
        return out

    def _ask(self, queries: Sequence[Query], stretch: Stretch, messages: list[str]) -> dict[Query, _Answer]:
        answers = [_Answer() for _ in queries]
        pages = self._client.get_paginator("get_metric_data").paginate(
            MetricDataQueries=[q.request(f"m{i}", stretch.period) for i, q in enumerate(queries)],
            StartTime=datetime.fromtimestamp(stretch.start, UTC),
            EndTime=datetime.fromtimestamp(stretch.end, UTC),
            ScanBy="TimestampAscending",
        )
        with errors_of("cloudwatch:GetMetricData", self._source, self._where):
            for page in pages:
                self.tally.add(Tally(1, len(queries)))
                messages += [str(m.get("Code")) for m in page.get("Messages", [])]
                for result in page.get("MetricDataResults", []):
                    answers[int(result["Id"][1:])].add(result)
        return dict(zip(queries, answers, strict=True))


def _reason(answer: _Answer) -> str:
    told = f" ({', '.join(answer.messages)})" if answer.messages else ""
    if answer.status == "Forbidden":
        return f"forbidden{told}; allow cloudwatch:GetMetricData for it"
    return f"did not come whole: {answer.status}{told}; run the ingest again"


# --- on the grid ----------------------------------------------------------------------------------------------------


def _laid(answer: _Answer, stretch: Stretch) -> tuple[Floats, Flags]:
    """Values and whether there is one, step by step; what lies outside of the stretch or is no number is dropped."""
    value, seen = np.zeros(stretch.steps), np.zeros(stretch.steps, np.bool_)
    if not answer.times:
        return value, seen
    at = np.fromiter((t.timestamp() for t in answer.times), np.float64, len(answer.times)).astype(np.int64)
    values = np.asarray(answer.values, np.float64)
    step, off = np.divmod(at - stretch.start, stretch.period)
    good = (step >= 0) & (step < stretch.steps) & (off == 0) & np.isfinite(values)
    value[step[good]] = values[good]
    seen[step[good]] = True
    return value, seen


def _put_together(series: Series, laid: Mapping[Query, tuple[Floats, Flags]], stretch: Stretch) -> Grid:
    """The terms of a series as one; where a term has no point, the others stand alone."""
    seen, coarse = np.zeros(stretch.steps, np.int64), np.zeros(_hours(stretch), np.bool_)
    start = {"max": -np.inf, "min": np.inf}.get(series.across, 0.0)
    value = np.full(stretch.steps, start)
    for term in series.terms:
        values, here = laid[term.query]
        seen += here
        if stretch.period == _MINUTE:
            coarse |= _coarse_hours(here)
        if series.across in ("max", "min"):
            pick = np.maximum if series.across == "max" else np.minimum
            value[here] = pick(value[here], values[here] * term.weight)
        else:
            value[here] += values[here] * term.weight
    value[seen == 0] = 0.0
    if series.per_second:
        value /= stretch.period
    return Grid(stretch, value, seen, np.ones(_hours(stretch), np.bool_), coarse)


def _hours(stretch: Stretch) -> int:
    return (stretch.end - stretch.start) // HOUR


def _coarse_hours(seen: Flags) -> Flags:
    """Hours of minutes in which no five have more than one with a point, though some have one."""
    in_slot = seen.reshape(-1, HOUR // _COARSE, _COARSE // _MINUTE).sum(axis=2)
    return np.asarray((in_slot.max(axis=1) <= 1) & (in_slot.sum(axis=1) > 0))


def _again(coarse: Mapping[int, Flags], stretch: Stretch) -> dict[Stretch, list[int]]:
    """What is to be asked again at 300 s: from the first such hour to the last."""
    out: dict[Stretch, list[int]] = {}
    for i, hours in coarse.items():
        at = np.flatnonzero(hours)
        if len(at):
            span = Stretch(stretch.start + int(at[0]) * HOUR, stretch.start + (int(at[-1]) + 1) * HOUR, _COARSE)
            out.setdefault(span, []).append(i)
    return out


def _instead(fine: Grid, coarse: Grid, hours: Flags) -> list[Grid]:
    """Each hour in one of the two grids only."""
    first = (coarse.stretch.start - fine.stretch.start) // HOUR
    mine = hours[first : first + len(coarse.hours)]
    return [
        replace(fine, hours=~hours),
        replace(coarse, hours=mine),
    ]


# --- rows -----------------------------------------------------------------------------------------------------------


def rows(series: Series, grid: Grid, source: str) -> pa.Table:
    """Rows of the usage frame."""
    stretch = grid.stretch
    a_block = max(1, HOUR // stretch.period)
    has = grid.seen > 0
    if series.silent_is_zero:  # what is not counted is not published
        has = np.repeat(has.reshape(-1, a_block).any(axis=1), a_block)
    if stretch.period <= HOUR:
        has = has & np.repeat(grid.hours, a_block)
    at = np.flatnonzero(has)
    constant = {
        "source": source, "account_id": series.place.account.account_id, "region": series.place.region,
        "service": series.service, "metric": series.metric, "stat": series.stat, "period_seconds": stretch.period,
        "unit": series.unit,
    }  # fmt: skip
    columns = {
        f.name: pa.repeat(pa.scalar(constant[f.name], f.type), len(at)) for f in USAGE.schema if f.name in constant
    }
    columns["ts"] = pa.array((stretch.start + at * stretch.period) * 1_000_000).cast(USAGE.schema.field("ts").type)
    columns["value"] = pa.array(grid.value[at], pa.float64())
    return pa.table([columns[f.name] for f in USAGE.schema], schema=USAGE.schema)


def remarks(series: Mapping[int, Series], reading: Reading) -> Iterator[str]:
    """What a reader of the numbers ought to know, in few sentences."""
    silent = [series[i].label for i, grids in reading.grids.items() if not any(g.seen.any() for g in grids)]
    if silent:
        yield f"{len(silent):,} of {len(reading.grids):,} series have no point: {_some(silent)}"
    partial = [series[i].label for i, grids in reading.grids.items() if _partial(series[i], grids)]
    if partial:
        yield f"not every resource has a point at all times, those that have one are added: {_some(partial)}"
    coarser = [series[i].label for i, grids in reading.grids.items() if len(grids) > 1]
    if coarser:
        yield f"asked for at 300 s where points come every five minutes only: {_some(coarser)}"
    for code in dict.fromkeys(reading.messages):
        yield f"CloudWatch says {code}"


def _partial(series: Series, grids: Sequence[Grid]) -> bool:
    if series.across != "add" or series.silent_is_zero:
        return False
    return any(bool(((g.seen > 0) & (g.seen < len(series.terms))).any()) for g in grids)


def _some(labels: Sequence[str]) -> str:
    return "; ".join(labels[:_EXAMPLES]) + ("; ..." if len(labels) > _EXAMPLES else "")
