"""``capacity forecast`` and ``capacity backtest``."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from capacity.cli._common import (
    AsOfOption,
    ConfigOption,
    JsonOption,
    OutOption,
    SchedulerOption,
    WorkersOption,
    as_of,
    note,
    progress,
    say,
    say_json,
    work_where,
)
from capacity.errors import EXIT_OK, UsageError

if TYPE_CHECKING:
    from capacity.config import Config


class Freq(StrEnum):
    """Steps of a series."""

    day = "D"
    hour = "h"


def forecast(
    config: Annotated[Path | None, typer.Option("--config", "-c", help="every service of this config")] = None,
    usage: Annotated[Path | None, typer.Option("--usage", help="or any CSV: series,ts,value")] = None,
    limits: Annotated[Path | None, typer.Option("--limits", help="CSV series,limit: also write saturation.csv")] = None,
    events: Annotated[Path | None, typer.Option("--events", help="CSV start,end[,series][,multiplier][,name]")] = None,
    freq: Annotated[Freq, typer.Option("--freq", help="D days, h hours")] = Freq.day,
    horizon: Annotated[int, typer.Option("--horizon", help="steps to forecast")] = 90,
    out: OutOption = Path("capacity-forecast"),
    seed: Annotated[int, typer.Option("--seed")] = 1,
    workers: WorkersOption = None,
    scheduler: SchedulerOption = None,
    as_json: JsonOption = False,
    as_of_text: AsOfOption = None,
) -> int:
    """Forecast with calibrated intervals: every service of a config, or any CSV without one.

    Writes OUT/forecast.csv, summary.csv and, with limits, saturation.csv.
    """
    from capacity import config as configuration
    from capacity import pipeline
    from capacity.cli import _print

    if (config is None) == (usage is None):
        raise UsageError("give exactly one of --config and --usage")
    with progress("forecast") as show:
        if usage is not None:
            known = pipeline.forecast_files(
                usage,
                out,
                freq=freq.value,
                horizon=horizon,
                limits=limits,
                events=events,
                seed=seed,
                workers=workers,
                scheduler=scheduler,
                as_of=as_of(as_of_text) if as_of_text else None,
                progress=show,
            )
        else:
            assert config is not None  # noqa: S101 - one of the two is given
            settings = work_where(configuration.load(config), workers, scheduler)
            known = pipeline.forecast_config(
                settings,
                pipeline.open_store(settings),
                out,
                as_of=as_of(as_of_text, settings),
                progress=show,
                tell=note,
            )
    if as_json:
        say_json(
            [
                {"series": k, "model": f.model, "reason": f.reason, "flags": f.flags, "words": f.words}
                for k, f in known.items()
            ]
        )
    else:
        _print.forecasts(known)
        say(f"written: {out}")
    return EXIT_OK


def backtest(
    config: ConfigOption,
    origins: Annotated[int, typer.Option("--origins", min=1, help="past origins to forecast from")] = 3,
    horizon: Annotated[int, typer.Option("--horizon", min=1, help="days ahead")] = 60,
    step: Annotated[int, typer.Option("--step", min=1, help="days between origins")] = 30,
    live: Annotated[bool, typer.Option("--live", help="score the forecasts that were stored, on what came")] = False,
    workers: WorkersOption = None,
    scheduler: SchedulerOption = None,
    as_json: JsonOption = False,
    as_of_text: AsOfOption = None,
) -> int:
    """Accuracy and coverage of the forecasts at past origins, beside the seasonal naive forecast.

    With --live: of the forecasts that plans and forecasts stored, on the days that have come in since.
    """
    from capacity import config as configuration
    from capacity import pipeline
    from capacity.cli import _print

    settings = work_where(configuration.load(config), workers, scheduler)
    if live:
        return _live(settings, as_of(as_of_text, settings), as_json)
    with progress("backtest") as show:
        scores = pipeline.backtest(
            settings,
            pipeline.open_store(settings),
            as_of=as_of(as_of_text, settings),
            origins=origins,
            horizon=horizon,
            step=step,
            progress=show,
        )
    if as_json:
        say_json(scores.to_dict("records"))
    else:
        _print.backtest(scores)
    return EXIT_OK


def _live(settings: Config, moment: datetime, as_json: bool) -> int:
    from capacity import pipeline
    from capacity.cli import _print_live

    with progress("backtest --live") as show:
        found = pipeline.backtest_live(settings, pipeline.open_store(settings), as_of=moment, progress=show)
    if as_json:
        say_json(_print_live.document(found))
    else:
        _print_live.live(found)
    return EXIT_OK
