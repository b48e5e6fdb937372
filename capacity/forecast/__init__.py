"""Demand forecasts: members scored at past origins, calibrated intervals, joint paths, load blocks.

:func:`forecast_batch` is the way in. Histories go through ``_history`` (grid, scale), ``members`` (one module a family)
and ``_study`` (all members at past origins and now), ``_choice`` (which to believe), ``_calibrate`` (intervals) and
``_paths`` (joint futures).
"""

from capacity.forecast._memory import code_digest
from capacity.forecast.anomalies import Episode, Watched, anomalies
from capacity.forecast.backtest import backtest
from capacity.forecast.batch import forecast_batch, forecast_stream
from capacity.forecast.blocks import block_of, cut_at_levels, cut_blocks, hourly_paths, plan_coverage
from capacity.forecast.burst import Burst, burst_factor, hour_peaks, inside_hours
from capacity.forecast.censored import at_limit, days_of, saturated
from capacity.forecast.country_days import holiday_occasions
from capacity.forecast.crossing import crossing, exceedance
from capacity.forecast.driver import DRIVER, Driven, DriverCase, drive
from capacity.forecast.explain import Explanation, explain, explain_batch
from capacity.forecast.hierarchy import Total, aggregate, with_calibrated_totals
from capacity.forecast.live import LiveScores, Tally, joined, score, scores, tally
from capacity.forecast.occasions import Occasion, factor_ahead
from capacity.forecast.peaks import with_calibrated_peaks
from capacity.forecast.targets import DailyTargets, DayShapes, daily_targets, day_shapes

__all__ = [
    "DRIVER",
    "Burst",
    "DailyTargets",
    "DayShapes",
    "Driven",
    "DriverCase",
    "Episode",
    "Explanation",
    "LiveScores",
    "Occasion",
    "Tally",
    "Total",
    "Watched",
    "aggregate",
    "anomalies",
    "at_limit",
    "backtest",
    "block_of",
    "burst_factor",
    "code_digest",
    "crossing",
    "cut_at_levels",
    "cut_blocks",
    "daily_targets",
    "day_shapes",
    "days_of",
    "drive",
    "exceedance",
    "explain",
    "explain_batch",
    "factor_ahead",
    "forecast_batch",
    "forecast_stream",
    "holiday_occasions",
    "hour_peaks",
    "hourly_paths",
    "inside_hours",
    "joined",
    "plan_coverage",
    "saturated",
    "score",
    "scores",
    "tally",
    "with_calibrated_peaks",
    "with_calibrated_totals",
]
