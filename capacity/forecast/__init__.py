"""Demand forecasts: members scored at past origins, calibrated intervals, joint paths, load blocks.

:func:`forecast_batch` is the way in. Histories go through ``_history`` (grid, scale), ``members`` (one module a family)
and ``_study`` (all members at past origins and now), ``_choice`` (which to believe), ``_calibrate`` (intervals) and
``_paths`` (joint futures).
"""

from capacity.forecast.backtest import backtest
from capacity.forecast.batch import forecast_batch
from capacity.forecast.blocks import block_of, cut_blocks, hourly_paths, plan_coverage
from capacity.forecast.crossing import crossing, exceedance
from capacity.forecast.peaks import with_calibrated_peaks
from capacity.forecast.targets import DailyTargets, DayShapes, daily_targets, day_shapes

__all__ = [
    "DailyTargets",
    "DayShapes",
    "backtest",
    "block_of",
    "crossing",
    "cut_blocks",
    "daily_targets",
    "day_shapes",
    "exceedance",
    "forecast_batch",
    "hourly_paths",
    "plan_coverage",
    "with_calibrated_peaks",
]
