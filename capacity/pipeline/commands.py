"""What the commands and the page ask of the pipeline, beside a whole plan."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime
from importlib import resources
from pathlib import Path

import pandas as pd

from capacity import config as configuration
from capacity import forecast, scenario, sources, store
from capacity.config import Config, EventConfig
from capacity.domain import SeriesForecast, Unit
from capacity.errors import ConfigError, MissingDataError, PartialIngestError, UsageError
from capacity.pipeline import event_review, events, files
from capacity.pipeline.base import demand_dates, demand_histories, worker_count
from capacity.pipeline.demand import gather, unit_of_measure
from capacity.pipeline.explain import with_words
from capacity.pipeline.freshness import refuse_stale_of
from capacity.pipeline.futures import futures
from capacity.pipeline.inputs import read_inputs
from capacity.pipeline.load_tests import check_load_tests
from capacity.pipeline.masks import units
from capacity.pipeline.planning import prepare, versions_at
from capacity.pipeline.progress import Progress, silent
from capacity.pipeline.promises import keep
from capacity.plan import EventSummary
from capacity.scenario import Scenario
from capacity.store import IngestReport, Store


def open_store(config: Config) -> Store:
    """The config's store; a folder that is created on the first write."""
    return Store(config.store if "://" in config.store else config.resolve(config.store))


def ingest(config: Config, into: Store, now: datetime, progress: Progress = silent) -> IngestReport:
    """Pull every source of the config into the store. Failures are in the report, source by source.

    Load tests are read beside them, as a plan will read them, and are reported alike.
    """
    context = sources.Context(config.resolve, tuple(config.aws))
    built = [sources.build(s, context) for s in config.sources]
    if not built:
        raise ConfigError([f"{config.path}: no sources; name at least one under 'sources'"])
    tests = check_load_tests(config)
    found = store.ingest(built, into, now, lambda text: progress(text, 0, 0))
    return replace(found, sources=(*found.sources, *tests))


def require_complete(report: IngestReport) -> None:
    """Raise where a source failed.

    Raises
    ------
    PartialIngestError
        With every failure; what came is in the store.
    """
    if report.failed:
        raise PartialIngestError("\n".join(report.failures))


# --- the demo ----------------------------------------------------------------------------------------------


def demo_config(out: Path) -> Config:
    """The demo company's config, written to ``out`` as a file of its own, with its store beside it.

    So the front end, and a reader who wants to play with it, find a config that works from any folder.
    """
    packaged = Path(str(resources.files("capacity"))) / "data" / "demo" / "configs" / "demo.yaml"
    beside = Path(str(resources.files("capacity"))).parent / "configs" / "demo.yaml"
    path = packaged if packaged.is_file() else beside
    if not path.is_file():
        raise MissingDataError("the demo data is not in this installation; install the wheel, or run from a checkout")
    settings = configuration.load(path)
    sources_here = [s.model_copy(update={"path": str(settings.resolve(s.path))}) for s in settings.sources]  # type: ignore[union-attr]
    scenarios_here = _own_scenarios(settings, out / "demo.scenarios")
    inside = settings.model_copy(update={"store": "store", "sources": sources_here, "scenarios": scenarios_here})
    written = out / "demo.yaml"
    written.write_text(configuration.dump(inside), encoding="utf-8")
    return configuration.load(written)


def _own_scenarios(settings: Config, folder: Path) -> list[str]:
    """The demo's scenarios as files of the reader's own, to be edited; what was edited before is kept."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = [settings.resolve(s) for s in settings.scenarios]
    for path in paths:
        if not (folder / path.name).exists():
            shutil.copyfile(path, folder / path.name)
    return [f"{folder.name}/{path.name}" for path in paths]


def all_scenarios(config: Config) -> tuple[Scenario, ...]:
    """Every scenario of the config: those it names, and those kept in its folder."""
    return scenario.load_all(config)


# --- forecasts ---------------------------------------------------------------------------------------------


def forecast_config(
    config: Config,
    from_store: Store,
    out: Path,
    *,
    as_of: datetime,
    progress: Progress = silent,
    tell: Callable[[str], None] | None = None,
) -> dict[str, SeriesForecast]:
    """Forecast every service of the config; writes forecast.csv and summary.csv into ``out``, and into the store.

    ``tell`` gets a sentence where the store cannot be written; that ends no forecast.
    """
    ground = prepare(config, from_store, as_of=as_of, with_money=False, progress=progress)
    known = {
        f"{u}|{t}": f for t, group in (("mean", ground.base.mean), ("peak", ground.base.peak)) for u, f in group.items()
    }
    known |= {f"{u}|{metric}": f for (u, metric), f in ground.base.limits.items()}
    histories, masks = demand_histories(ground.data)
    dates = demand_dates(ground.data).occasions
    known = with_words(known, histories, masks, dates, workers=worker_count(config.forecast.workers))
    files.write_forecasts(dict(sorted(known.items())), out)
    note = keep(ground.base, ground.data, ground.spend, config, from_store, as_of)
    if note and tell is not None:
        tell(note)
    return known


def backtest(
    config: Config,
    from_store: Store,
    *,
    as_of: datetime,
    origins: int,
    horizon: int,
    step: int,
    progress: Progress = silent,
) -> pd.DataFrame:
    """Score the daily mean and peak forecasts of every unit at past origins; see :func:`capacity.forecast.backtest`."""
    inputs = read_inputs(config, from_store, as_of, versions_at(from_store, as_of))
    found = gather(inputs)[0]
    histories, masks = demand_histories(found)
    past = {key: [span for o in known if o.kind == "event" for span in o.spans]
            for key, known in demand_dates(found).occasions.items()}  # fmt: skip
    masked = {key: _masked(values, (*masks.get(key, ()), *past.get(key, ()))) for key, values in histories.items()}
    return forecast.backtest(
        masked,
        freq="D",
        horizon=horizon,
        origins=origins,
        step=step,
        seed=config.seed,
        past_origins=config.forecast.past_origins,
        workers=worker_count(config.forecast.workers),
        scheduler=config.forecast.scheduler,
        progress=lambda done, total, _: progress("backtest", done, total),
    )


def _masked(values: pd.Series, spans: Sequence[tuple[pd.Timestamp, pd.Timestamp]]) -> pd.Series:
    out = values.copy()
    for start, end in spans:
        out.loc[start:end] = float("nan")
    return out


# --- the event check ---------------------------------------------------------------------------------------


def check(
    config: Config, from_store: Store, event: str, *, as_of: datetime, progress: Progress = silent
) -> EventSummary:
    """GO or NO-GO for one event of the config.

    Raises
    ------
    UsageError
        No such event, or it is not within the horizon that begins at ``as_of``.
    StaleDataError
        Demand, or the fleet that runs, was last seen too long ago.
    """
    wanted = _event(config, event)
    ground = prepare(config, from_store, as_of=as_of, with_money=False, progress=progress)
    refuse_stale_of("fleet", ground.inputs.freshness, "whether the running fleet holds", "Observe the fleet again")
    known = futures(ground.base, config, scenario.base())
    if wanted in events.coming(ground.inputs, known):
        return events.check(wanted, ground.inputs, ground.data, known, ground.base)
    if wanted.start < as_of < wanted.end:
        raise UsageError(
            f"event '{event}' is going on at {as_of:%Y-%m-%d %H:%M}; ask with an earlier --as-of, or when it is over"
        )
    raise UsageError(
        f"event '{event}' does not lie between {as_of:%Y-%m-%d} and the end of the horizon "
        f"({config.forecast.horizon_days} days, forecast.horizon_days); lengthen the horizon or ask for another --as-of"
    )


def review(
    config: Config, from_store: Store, event: str, *, as_of: datetime, progress: Progress = silent
) -> pd.DataFrame:
    """What was said of an event that is over, against what came; the columns of plan frame ``event_review``.

    What was said is the check on the last forecast that was stored before it; where none was, the check as it would
    have been on the day before, which sees nothing later.

    Raises
    ------
    UsageError
        No such event, or it is not over at ``as_of``.
    MissingDataError
        No unit's demand is known for all days of the event.
    """
    wanted = _event(config, event)
    if not event_review.is_over(config, event, as_of):
        raise UsageError(f"event '{event}' is not over at {as_of:%Y-%m-%d %H:%M}; nothing can be held against it")
    inputs = read_inputs(config, from_store, as_of, versions_at(from_store, as_of))
    data = gather(inputs)[0]
    before = event_review.from_stored(wanted, from_store, inputs, data)
    if before is None:
        before = _again(config, from_store, wanted, progress)
    found = event_review.review(wanted, before, inputs, data)
    if found.empty:
        raise MissingDataError(f"event '{event}': no service's demand is known for all of its days; ingest them")
    return found


def _again(config: Config, from_store: Store, event: EventConfig, progress: Progress) -> event_review.Before:
    origin = pd.Timestamp(event.start).tz_convert("UTC").normalize() - pd.Timedelta(days=1)
    config = event_review.before_it(config, event)
    ground = prepare(config, from_store, as_of=origin.to_pydatetime(), with_money=False, progress=progress)
    known = futures(ground.base, config, scenario.base())
    summary = events.check(event, ground.inputs, ground.data, known, ground.base)
    return event_review.made_again(summary, origin.tz_localize(None))


def measures(config: Config) -> dict[Unit, str]:
    """The unit of each planning unit's demand: 1/s of requests."""
    return {unit: unit_of_measure(config.service(unit.service).demand_metric) for unit in units(config)}


def _event(config: Config, name: str) -> EventConfig:
    for event in config.events:
        if event.name == name:
            return event
    names = ", ".join(e.name for e in config.events) or "none: the config has no events"
    raise UsageError(f"--event: found '{name}'; allowed: {names}")
