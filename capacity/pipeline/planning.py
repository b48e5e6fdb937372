"""The one way through: config, store and scenarios in, plans out."""

from __future__ import annotations

import hashlib
import os
import platform
import resource
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd

from capacity import costs, scenario
from capacity.config import Config
from capacity.domain import TieOut, Unit
from capacity.errors import DataError
from capacity.pipeline import bill_days, event_review, events, money, promised
from capacity.pipeline.assemble import assemble
from capacity.pipeline.base import Base, demand_dates, forecast_base, worker_count
from capacity.pipeline.demand import UnitData, gather
from capacity.pipeline.explain import Explanations, explain_units
from capacity.pipeline.finops import Past, past_frames
from capacity.pipeline.futures import Future, futures
from capacity.pipeline.inputs import Inputs, read_inputs, with_config
from capacity.pipeline.judged import judge
from capacity.pipeline.load_tests import LoadTests, read_load_tests, with_load_tests
from capacity.pipeline.mix import Mix, UnitNeed, as_the_base, fleet_needs, pins, solve_mix
from capacity.pipeline.outlook import outlook
from capacity.pipeline.parts import Parts
from capacity.pipeline.plan_total import plan_total
from capacity.pipeline.pool_units import pool_outlook, pool_units
from capacity.pipeline.progress import Progress, silent
from capacity.pipeline.promises import keep
from capacity.pipeline.purchases import Purchases, as_in_base, declined, purchases
from capacity.pipeline.reasons import Reasons, reasons
from capacity.pipeline.said_before import said_before
from capacity.pipeline.type_names import name_problems
from capacity.pipeline.watch import watch
from capacity.plan import Plan
from capacity.scenario import Scenario
from capacity.schemas import FORECAST
from capacity.store import Store


@dataclass(frozen=True)
class Run:
    """Plans (the base first) and what run.json says: clock, run times, machine."""

    plans: tuple[Plan, ...]
    about: Mapping[str, Any]


@dataclass
class Clock:
    """Wall seconds by stage."""

    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        began = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[name] = round(self.seconds.get(name, 0.0) + time.perf_counter() - began, 3)


@dataclass(frozen=True)
class Ground:
    """What every scenario stands on: data, base forecast and money, made once."""

    inputs: Inputs
    data: Mapping[Unit, UnitData]
    base: Base
    money: money.Money
    spend: Mapping[str, Any]
    ties: tuple[TieOut, ...]
    problems: tuple[str, ...]
    seed: int
    explained: Explanations = field(default_factory=dict)
    anomalies: pd.DataFrame = field(default_factory=pd.DataFrame)
    bill: bill_days.Spent = field(default_factory=bill_days.Spent)
    promise: pd.DataFrame = field(default_factory=pd.DataFrame)
    past_forecast: pd.DataFrame = field(default_factory=pd.DataFrame)
    service_ties: costs.ServiceTies | None = None
    load_tests: LoadTests = field(default_factory=LoadTests)
    past: Mapping[str, pd.DataFrame] = field(default_factory=dict)
    managed_discount_frac: float = 0.0

    @property
    def discount_frac(self) -> float:
        """The private discount on instances of the newest closed month; 0 where no bill shows one."""
        return self.ties[0].private_discount_frac if self.ties else 0.0


def versions_at(store: Store, as_of: datetime) -> dict[str, int]:
    """Version of each table that stood at ``as_of``; the newest ones where the whole store came later.

    A store that was made after ``as_of`` holds history that was loaded since: its time stamps are then what says what
    was known.
    """
    found = store.versions(as_of) or store.versions()
    # Stored forecasts are what runs leave behind, not what they are made of.
    return {name: version for name, version in found.items() if name != FORECAST.name}


def cache_folder(store: Store) -> Path:
    """Where forecasts are kept: beside the tables, or in the user's cache where the store is no folder."""
    if store.place.is_local:
        return Path(store.root) / "forecasts"
    caches = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return caches / "capacity" / hashlib.sha256(store.root.encode()).hexdigest()[:16]


def prepare(
    config: Config,
    store: Store,
    *,
    as_of: datetime,
    seed: int | None = None,
    versions: Mapping[str, int] | None = None,
    with_money: bool = True,
    progress: Progress = silent,
    clock: Clock | None = None,
) -> Ground:
    """Read, gather, forecast and allocate: all that no scenario changes."""
    clock = clock or Clock()
    used = config.seed if seed is None else seed
    tests, written = read_load_tests(config), config
    config = with_load_tests(config, tests)
    progress("read the store", 0, 1)
    with clock.stage("read"):
        inputs = read_inputs(config, store, as_of, versions or versions_at(store, as_of))
    with clock.stage("demand"):
        data, problems = gather(inputs)
        problems = (*name_problems(written, inputs.types), *problems)
    with clock.stage("cost to serve"):
        served = money.cost_to_serve(inputs) if with_money else money.nothing()
        days = bill_days.spent(inputs) if with_money else bill_days.Spent()
    with clock.stage("forecast"):
        base = forecast_base(inputs, data, days.running, seed=used, cache=cache_folder(store), progress=progress)
    ties = money.tie_outs(inputs, data, served)
    by_service = money.ties_by_service(inputs, data, served)
    managed = money.managed_discount_frac(inputs, data, served)
    return Ground(
        inputs,
        data,
        base,
        served,
        days.running,
        ties,
        problems,
        used,
        bill=days,
        service_ties=by_service,
        load_tests=tests,
        managed_discount_frac=managed,
    )


def run(
    config: Config,
    store: Store,
    *,
    scenarios: Sequence[Scenario] = (),
    as_of: datetime,
    seed: int | None = None,
    versions: Mapping[str, int] | None = None,
    progress: Progress = silent,
) -> Run:
    """Plan the base and each scenario beside it.

    Parameters
    ----------
    config, store, scenarios
        What is planned, from what, and which overlays are compared. They are never stacked.
    as_of
        Nothing later is seen.
    seed
        Instead of the config's.
    versions
        Store versions to read instead of the newest: an earlier plan is made again.

    Raises
    ------
    CapacityError
        See :mod:`capacity.errors`. Nothing is written but forecasts: kept beside the store, and, of a run that
        succeeded, in its table ``forecast``.
    """
    began, clock = datetime.now(UTC), Clock()
    ground = prepare(config, store, as_of=as_of, seed=seed, versions=versions, progress=progress, clock=clock)
    with clock.stage("explain"):
        count = worker_count(config.forecast.workers)
        known = demand_dates(ground.data).occasions
        explained = explain_units(ground.data, ground.base, known, workers=count, progress=progress)
        ground = replace(ground, explained=explained)
    with clock.stage("watch"):
        ground = replace(ground, anomalies=watch(ground.inputs, ground.data, ground.spend, ground.money))
    with clock.stage("review"):
        ground = replace(ground, past=past_frames(Past(ground.inputs, ground.data, ground.money)))
    with clock.stage("promise"):
        promise, before, notes = _promise(ground, store)
        ground = replace(ground, promise=promise, past_forecast=before)
    with clock.stage("event review"):
        rows, more = _reviews(ground, store)
        ground = replace(ground, past={**ground.past, "event_review": rows})
        notes += more
    plans: list[Plan] = []
    base_mix: Mix | None = None
    for change in (scenario.base(), *scenarios):
        progress(f"plan {change.name}", len(plans), 1 + len(scenarios))
        with clock.stage(f"plan {change.name}"):
            plan, mix = _plan(ground, change, base_mix, progress)
        base_mix = base_mix or mix
        plans.append(plan)
    with clock.stage("promise"):
        kept = keep(ground.base, ground.data, ground.spend, config, store, as_of)
    notes += [kept] if kept else []
    return Run(tuple(plans), _about(config, began, clock) | ({"notes": notes} if notes else {}))


def _promise(ground: Ground, store: Store) -> tuple[pd.DataFrame, pd.DataFrame, list[str]]:
    """What an earlier plan promised, and its days; a table that cannot be read ends no plan."""
    try:
        kept = promised.promise(store, ground.inputs, ground.data, ground.base, ground.spend)
        return kept, said_before(store, ground.inputs, ground.data, ground.base), []
    except DataError as error:
        return pd.DataFrame(), pd.DataFrame(), [f"what earlier plans promised cannot be read: {error}"]


def _reviews(ground: Ground, store: Store) -> tuple[pd.DataFrame, list[str]]:
    """Events that are over against what was said of them; a table that cannot be read ends no plan."""
    try:
        return event_review.reviews(store, ground.inputs, ground.data), []
    except DataError as error:
        return pd.DataFrame(), [f"what was said of events that are over cannot be read: {error}"]


def _plan(ground: Ground, change: Scenario, base_mix: Mix | None, progress: Progress) -> tuple[Plan, Mix | None]:
    config = scenario.overlay_config(ground.inputs.config, change)
    inputs = with_config(ground.inputs, config)
    data = {unit: _under(found, config) for unit, found in ground.data.items()}
    known = futures(ground.base, config, change)
    discounts = ground.discount_frac, ground.managed_discount_frac
    needs, lacking = fleet_needs(inputs, data, known, change, ground.seed, *discounts)
    # What is around the plan is looked for once, for the base: scenarios are compared by what they are.
    is_base = base_mix is None
    mix, bought = _mix(inputs, needs, change, base_mix, ground.seed, progress)
    outlooks = {
        u: outlook(data[u], known[u], needs.get(u), ground.base, mix, config.lead_times, inputs.as_of.date())
        for u in known
    }
    pools = pool_units(inputs, data, needs, known)
    operated = {**data, **{u: p.data for u, p in pools.items()}}
    outlooks |= {u: pool_outlook(p, needs[u], mix, config.lead_times, inputs) for u, p in pools.items()}
    added = _added_money(mix, base_mix)
    extra = {month: sum(x for (_, m), x in added.items() if m == month) for month in sorted({m for _, m in added})}
    spend, by_service = bill_days.spend_months(ground.base, ground.spend, config, extra)
    apart = bill_days.apart(ground.bill, spend, config.currency)
    plan = assemble(
        Parts(
            inputs=inputs,
            change=change,
            data=data,
            known=known,
            base=ground.base,
            needs=needs,
            mix=mix,
            outlooks=outlooks,
            money=ground.money,
            spend=spend,
            spend_by_service=by_service,
            spend_note=bill_days.spend_note(ground.base, ground.spend, apart),
            spend_apart=apart,
            ties=ground.ties,
            events=tuple(
                events.check(e, inputs, data, _without_event(ground.base, config, change, known, e.name), ground.base)
                for e in events.coming(inputs, known)
            ),
            problems=(*ground.problems, *lacking),
            seed=ground.seed,
            judged=judge(mix, operated, config, ground.seed, progress, around=is_base),
            reasons=reasons(bought.seen_as or mix, operated, config, ground.seed, progress) if is_base else Reasons(),
            purchases=bought,
            tie_services=ground.service_ties.frame if ground.service_ties else pd.DataFrame(),
            load_tests=ground.load_tests,
            plan_total=_total(ground, mix, config, by_service, apart),
            explained=ground.explained,
            anomalies=ground.anomalies,
            spend_history=ground.spend,
            added=added,
            promise=ground.promise,
            past=ground.past,
            past_forecast=ground.past_forecast,
            pools=pools,
        )
    )
    # The hours of every path are hundreds of megabytes and have done their work.
    return plan, replace(mix, needs={}) if mix else None


def _mix(
    inputs: Inputs, needs: Mapping[Unit, UnitNeed], change: Scenario, base_mix: Mix | None, seed: int, tell: Progress
) -> tuple[Mix | None, Purchases]:
    """The mix and what is bought for it. A scenario starts from its base: from nothing that another left behind.

    One that changes nothing of the fleet has the base's mix: another of the same cost would look like its doing.
    """
    if base_mix is not None and change.commitments is None:
        same = as_the_base(inputs, needs, base_mix)
        if same is not None:
            return same, Purchases()
    pinned = _pinned(inputs.config, change, base_mix)
    warm = base_mix.memory if base_mix else None
    mix = solve_mix(inputs, needs, seed=seed, pinned=pinned, progress=tell, warm=warm)
    return _purchases(mix, inputs, change, base_mix, seed, tell)


def _purchases(
    mix: Mix | None, inputs: Inputs, change: Scenario, base_mix: Mix | None, seed: int, tell: Progress
) -> tuple[Mix | None, Purchases]:
    """Looked for in the base, and where the scenario says what may be bought; with the mix that they are bought for."""
    if change.commitments is not None and not change.commitments.buy:
        return mix, declined()
    if base_mix is None or change.commitments is not None:
        return purchases(mix, inputs, seed, tell)
    return as_in_base(mix, base_mix, inputs, seed)


def _total(
    ground: Ground, mix: Mix | None, config: Config, by_service: pd.DataFrame, apart: pd.DataFrame
) -> pd.DataFrame:
    """The plan's whole money; empty where there is no bill to say what stands beside the instances."""
    if mix is None or ground.service_ties is None:
        return pd.DataFrame()
    months = dict(zip(mix.problem.months, mix.problem.month_hours, strict=True))
    return plan_total(config, months, mix.solution.spend, by_service, apart, ground.service_ties.parts)


def _without_event(
    base: Base, config: Config, change: Scenario, known: dict[Unit, Future], name: str
) -> dict[Unit, Future]:
    """The futures before the scenario's own event ``name``: the check puts it on, and once is enough."""
    others = tuple(e for e in change.events if e.name != name)
    if len(others) == len(change.events):
        return known
    return futures(base, config, change.model_copy(update={"events": others}))


def _under(data: UnitData, config: Config) -> UnitData:
    """The unit's data under another config's service and tier."""
    service = config.service(data.unit.service)
    return replace(data, service=service, tier=config.tier(service.tier))


def _pinned(config: Config, change: Scenario, base_mix: Mix | None) -> dict[Unit, dict[tuple[str, str], int]] | None:
    """Counts of the units that the scenario leaves alone: they keep the base plan's mix."""
    if base_mix is None:
        return None
    untouched = frozenset(s.name for s in config.services) - scenario.touches(change, config)
    return pins(base_mix, untouched)


def _added_money(mix: Mix | None, base_mix: Mix | None) -> dict[tuple[str, str], float]:
    """Money by service and month that the scenario's fleet costs beyond the base plan's."""
    if mix is None or base_mix is None:
        return {}
    now, was = (m.solution.spend.groupby(["service", "month"])["total_usd"].sum() for m in (mix, base_mix))
    more = now.sub(was, fill_value=0.0)
    return {(str(s), str(m)): float(x) for (s, m), x in zip(more.index, more, strict=True)}


def _about(config: Config, began: datetime, clock: Clock) -> dict[str, Any]:
    # Kilobytes on Linux, bytes on macOS; children are the forecast's workers.
    unit = 1024 if sys.platform != "darwin" else 1
    usage = [resource.getrusage(who).ru_maxrss * unit for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return {
        "config": str(config.path),
        "started": began.isoformat(timespec="seconds"),
        "seconds": dict(clock.seconds),
        "seconds_total": round(sum(clock.seconds.values()), 3),
        "peak_memory_bytes": {"this process": usage[0], "largest worker": usage[1]},
        "python": platform.python_version(),
    }
