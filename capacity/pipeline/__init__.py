"""The one way through. Command line, front end and Python call the same functions."""

from capacity.pipeline.catalog import Refresh, catalogue_of, refresh_catalogue
from capacity.pipeline.commands import (
    all_scenarios,
    backtest,
    check,
    demo_config,
    forecast_config,
    ingest,
    open_store,
    require_complete,
)
from capacity.pipeline.cost_report import CostReport, cost_to_serve
from capacity.pipeline.files import commitment_files, forecast_files
from capacity.pipeline.finops.bridge import scenario_bridge, scenario_words
from capacity.pipeline.health import doctor
from capacity.pipeline.live import LiveReport, backtest_live
from capacity.pipeline.planning import Run, run
from capacity.pipeline.progress import Progress
from capacity.pipeline.upkeep import StoreDescription, describe_store, look_after_store

__all__ = [
    "CostReport",
    "LiveReport",
    "Progress",
    "Refresh",
    "Run",
    "StoreDescription",
    "all_scenarios",
    "backtest",
    "backtest_live",
    "catalogue_of",
    "check",
    "commitment_files",
    "cost_to_serve",
    "demo_config",
    "describe_store",
    "doctor",
    "forecast_config",
    "forecast_files",
    "ingest",
    "look_after_store",
    "open_store",
    "refresh_catalogue",
    "require_complete",
    "run",
    "scenario_bridge",
    "scenario_words",
]
