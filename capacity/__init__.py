"""Capacity planning and cost-to-serve forecasting.

>>> import capacity
>>> config = capacity.load_config("configs/demo.yaml")          # doctest: +SKIP
>>> store = capacity.open_store(config)                         # doctest: +SKIP
>>> capacity.ingest(config, store, config.as_of)                # doctest: +SKIP
>>> plans = capacity.run(config, store, as_of=config.as_of).plans  # doctest: +SKIP
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

__version__ = "0.1.0"

# Where each public name lives; it is imported when it is first asked for, so that `import capacity` is quick.
_HOMES = {
    "CapacityError": ("capacity.errors", "CapacityError"),
    "Config": ("capacity.config", "Config"),
    "Plan": ("capacity.plan", "Plan"),
    "Scenario": ("capacity.scenario", "Scenario"),
    "check": ("capacity.pipeline", "check"),
    "check_frame": ("capacity.schemas", "check_frame"),
    "compare": ("capacity.scenario", "compare"),
    "cost_to_serve": ("capacity.pipeline", "cost_to_serve"),
    "forecast_batch": ("capacity.forecast", "forecast_batch"),
    "ingest": ("capacity.pipeline", "ingest"),
    "load_config": ("capacity.config", "load"),
    "load_scenarios": ("capacity.scenario", "load_named"),
    "open_store": ("capacity.pipeline", "open_store"),
    "read_plan": ("capacity.plan", "read"),
    "run": ("capacity.pipeline", "run"),
    "to_arrow": ("capacity.schemas", "to_arrow"),
    "write_plan": ("capacity.plan", "write"),
    "write_report": ("capacity.report", "write_report"),
}

__all__ = [
    "CapacityError",
    "Config",
    "Plan",
    "Scenario",
    "check",
    "check_frame",
    "compare",
    "cost_to_serve",
    "forecast_batch",
    "ingest",
    "load_config",
    "load_scenarios",
    "open_store",
    "read_plan",
    "run",
    "to_arrow",
    "write_plan",
    "write_report",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'capacity' has no attribute {name!r}; public: {', '.join(__all__)}")
    module, attribute = _HOMES[name]
    return getattr(import_module(module), attribute)


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
