"""The review of a month: the exact equation, every frame of the FinOps review, and the bridge from before."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from capacity import costs, plan
from capacity.config import Config
from capacity.costs.bridge import words as bridge_words
from capacity.errors import DataError, MissingDataError, UsageError
from capacity.fiscal import Calendar
from capacity.pipeline import cost_tables, money
from capacity.pipeline.demand import gather
from capacity.pipeline.finops import COMING, Past, allocated, past_frames
from capacity.pipeline.finops.bridge import bridge_between, bridge_rows
from capacity.pipeline.freshness import refuse_stale_of
from capacity.pipeline.inputs import read_inputs
from capacity.pipeline.planning import versions_at
from capacity.pipeline.progress import Progress, silent
from capacity.pipeline.quality import billed_twice
from capacity.plan import CostMonth, Freshness, Plan
from capacity.store import Store

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True)
class CostReport:
    """Cost to serve of a month and the bridge to it: sentences, tables for people, frames and records for machines.

    Attributes
    ----------
    month
        The newest month of the period that is reviewed, YYYY-MM.
    periods
        (from, to) of the bridge, as they were named; None where there is none.
    frames
        By their names in :data:`capacity.plan.FRAMES`; those that look ahead are the plan's, where one was given.
    bridge_words
        The bridge in sentences.
    equation
        A row a month of the period and currency, the company's currency first.
    teams
        Service -> team.
    months_before
        Months of the period that the bridge starts from; none where there is no bridge.
    """

    company: str
    currency: str
    as_of: datetime
    month: str
    periods: tuple[str, str] | None
    sentences: tuple[str, ...]
    tables: tuple[cost_tables.Table, ...]
    records: Mapping[str, Any]
    frames: Mapping[str, pd.DataFrame]
    equation: tuple[CostMonth, ...]
    bridge_words: tuple[str, ...]
    plan_as_of: datetime | None
    teams: Mapping[str, str]
    months_before: tuple[str, ...]
    _past: Past

    def document(self) -> dict[str, Any]:
        """One JSON document: the month, and every frame as records."""
        return {"month": self.month, **self.records}

    def allocated(self) -> pa.Table:
        """The bill's rows by service in FOCUS columns; :func:`capacity.costs.allocated_rows`."""
        return allocated(self._past)


def cost_to_serve(
    config: Config,
    from_store: Store,
    *,
    as_of: datetime,
    first: str | None = None,
    last: str | None = None,
    plan_dir: Path | None = None,
    progress: Progress = silent,
) -> CostReport:
    """The review of ``last`` (the newest closed month), and the bridge to it from ``first`` (the one before).

    Parameters
    ----------
    first, last
        A month (2026-08), a quarter (2026-Q3), a year (2026) or a run of months (2026-01..2026-03); FY2027-Q3 and
        FY2027 where the config has a fiscal year of its own.
    plan_dir
        A plan: what looks ahead (budgets, waste, unit cost to come, commitments to buy) is taken from it.

    Raises
    ------
    MissingDataError
        The store has no bill, or not of these periods; there is no plan in ``plan_dir``.
    StaleDataError
        No period is named and the newest bill is too old to be the newest month's.
    """
    progress("cost to serve", 0, 3)
    inputs = read_inputs(config, from_store, as_of, versions_at(from_store, as_of))
    if last is None:
        mend = f"Run `capacity ingest -c {config.path}`, or name a month with --to"
        refuse_stale_of("cost", inputs.freshness, "the newest month's cost to serve", mend)
    served = money.cost_to_serve(inputs)
    if served.attribution is None or served.allocation is None or served.newest is None:
        raise MissingDataError(
            f"{config.path}: the store has no closed bill; name a bill under 'sources' and ingest it"
        )
    past = Past(inputs, _units(inputs), served)
    periods = _periods(first, last, served, config.calendar)
    progress("cost to serve", 1, 3)
    frames = {"cost": served.allocation.frame, "unallocated": money.unallocated(served), **past_frames(past)}
    made = plan.read(plan_dir) if plan_dir is not None else None
    if made is not None:
        frames |= {name: made.frame(name) for name in COMING}
    progress("cost to serve", 2, 3)
    return _report(past, periods, frames, made)


def _units(inputs: Any) -> Mapping[Any, Any]:
    """What is known of each unit; without usage the review is of the bill alone."""
    try:
        return gather(inputs)[0]
    except DataError:
        return {}


def _periods(
    first: str | None, last: str | None, served: money.Money, calendar: Calendar
) -> tuple[costs.Period | None, costs.Period]:
    """The two periods of the bridge; no first one where there is nothing before."""
    assert served.newest is not None  # noqa: S101 - the caller has looked
    end = _period(last, served.months, "--to", calendar) if last else costs.Period.parse(served.newest)
    if first:
        start = _period(first, served.months, "--from", calendar)
        if start.months[0] >= end.months[0]:
            raise UsageError(
                f"--from: found '{start.label}', which does not begin before '{end.label}' (--to); a bridge goes from "
                "the earlier period to the later one"
            )
        return start, end
    before = _before(end)
    return (before if set(before.months) <= set(served.months) else None), end


def _before(period: costs.Period) -> costs.Period:
    """As many months, just before ``period``."""
    first = int(period.months[0][:4]) * 12 + int(period.months[0][5:]) - 1
    months = tuple(f"{m // 12}-{m % 12 + 1:02d}" for m in range(first - len(period.months), first))
    return costs.Period(months[0] if len(months) == 1 else f"{months[0]}..{months[-1]}", months)


def _period(text: str, known: tuple[str, ...], option: str, calendar: Calendar) -> costs.Period:
    try:
        found = costs.Period.parse(text, calendar)
    except UsageError as error:
        raise UsageError(f"{option}: {str(error).removeprefix('period: ')}") from None
    if lacking := [m for m in found.months if m not in known]:
        raise UsageError(
            f"{option}: found '{text}', but there is no closed bill of {', '.join(lacking)}; allowed: a closed month "
            f"of the bill: {', '.join(known)}, or a period made of them"
        )
    return found


def _report(
    past: Past,
    periods: tuple[costs.Period | None, costs.Period],
    frames: dict[str, pd.DataFrame],
    made: Plan | None,
) -> CostReport:
    config, (start, end) = past.inputs.config, periods
    month = end.months[-1]
    months = [m for m in money.cost_months(past.money) if m.month in end.months]
    equation = tuple(sorted(months, key=lambda m: (m.currency != config.currency, m.currency, m.month)))
    stale = tuple(f for f in past.inputs.freshness if f.frame == "cost" and f.stale)
    twice = tuple(f.message for f in billed_twice(past.inputs.cost))
    records: dict[str, Any] = {"equation": equation, "stale": stale, "billed_twice": twice}
    words: tuple[str, ...] = ()
    title = ""
    if start is not None:
        found = bridge_between(past, start, end)
        words, title = bridge_words(found), f"Bridge, {start.label} to {end.label}"
        records |= {"bridge": found.by_service().to_dict("records"), "bridge_words": words}
        frames = frames | {"bridge": bridge_rows(found), "bridge_services": found.by_service()}
    records |= {
        name: (frame[frame["month"] == month] if name in _OF_MONTH else frame).to_dict("records")
        for name, frame in frames.items()
        if name not in ("bridge", "bridge_services")
    }
    return CostReport(
        company=config.company,
        currency=config.currency,
        as_of=past.inputs.as_of,
        month=month,
        periods=(start.label, end.label) if start is not None else None,
        sentences=(
            *(_equation(m) for m in equation),
            *cost_tables.sentences(frames, month),
            *words,
            *(_stale(f) for f in stale),
            *(f"TWICE: {text}" for text in twice),
        ),
        tables=tuple(cost_tables.tables(frames, month, title)),
        records=records,
        frames=frames,
        equation=equation,
        bridge_words=words,
        plan_as_of=made.as_of if made else None,
        teams={s.name: s.team for s in config.services},
        months_before=start.months if start is not None else (),
        _past=past,
    )


# Of these frames a document holds the month that is asked for; a review's files hold all months.
_OF_MONTH = frozenset({"cost", "unit_cost", "unit_cost_groups", "journey_costs", "rule_hits", "pool_steps"})


def _stale(f: Freshness) -> str:
    ends = f"ends on {f.last_point:%Y-%m-%d}" if f.last_point else "has no usage"
    return f"STALE: the bill of {f.source} {ends}; what it has not delivered since is missing here"


def _equation(m: CostMonth) -> str:
    parts = f"direct {m.direct:f} + shared {m.shared:f} + unallocated {m.unallocated:f}"
    return f"{m.month}: effective cost {m.effective:f} {m.currency} = {parts}; billed in cash {m.billed:f}"
