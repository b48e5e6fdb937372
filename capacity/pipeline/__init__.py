"""The one way through. Command line, front end and Python call the same functions."""

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
from capacity.pipeline.health import StoreDescription, describe_store, doctor
from capacity.pipeline.planning import Run, run
from capacity.pipeline.progress import Progress

__all__ = [
    "CostReport",
    "Progress",
    "Run",
    "StoreDescription",
    "all_scenarios",
    "backtest",
    "check",
    "commitment_files",
    "cost_to_serve",
    "demo_config",
    "describe_store",
    "doctor",
    "forecast_config",
    "forecast_files",
    "ingest",
    "open_store",
    "require_complete",
    "run",
]
