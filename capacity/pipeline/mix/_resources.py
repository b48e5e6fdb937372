"""Memory, network and local disk that demand needs: as the config gives them, or as the metric's history teaches."""

from __future__ import annotations

import numpy as np
import pandas as pd

from capacity import saturation
from capacity.config import ResourceConfig
from capacity.domain import Floats
from capacity.errors import MissingDataError
from capacity.pipeline.demand import RECENT_DAYS, UnitData
from capacity.pipeline.fleet import hourly_counts
from capacity.pipeline.inputs import Inputs
from capacity.pipeline.masks import unmasked
from capacity.saturation import ResourceNeed

# What is held in all but a hundredth of the recent hours is what is needed: a line through the middle would leave
# half of the hours short of memory.
_HOURS_HELD = 0.99
# Less than this of the need at the highest demand is no fixed part: the regression's noise about the origin.
_FIXED_FRAC = 0.05
# Of one of the metric's units, in the resource's: by the end of the metric's name.
_SCALES = {
    ("memory_gib", "_bytes"): 2.0**-30,
    ("local_ssd_gb", "_bytes"): 1e-9,
    ("network_gbps", "_bytes_per_second"): 8e-9,
}
_PERCENT = "_percent"


def resource_needs(inputs: Inputs, data: UnitData) -> tuple[tuple[ResourceNeed, ...], tuple[str, ...]]:
    """What the unit's demand needs beside vCPU, and a sentence for each resource of which nothing is known."""
    needs, flags = [], []
    for wanted in data.service.resources:
        found = _given(wanted) if wanted.metric is None else _learned(inputs, data, wanted, wanted.metric)
        if isinstance(found, str):
            flags.append(f"{wanted.name}: {found}; it is not asked of the mix")
        else:
            needs.append(found)
    return tuple(needs), tuple(flags)


def _given(wanted: ResourceConfig) -> ResourceNeed:
    return ResourceNeed(
        wanted.name, wanted.per_demand or 0.0, wanted.fixed or 0.0, wanted.per_instance, wanted.usable_frac
    )


def _learned(inputs: Inputs, data: UnitData, wanted: ResourceConfig, metric: str) -> ResourceNeed | str:
    """A line over 99 of 100 recent hours: its slope is the regression's, its height covers them."""
    used = _amount(inputs, data, wanted, metric)
    if used.empty:
        return f"no usage of {metric} ({wanted.metric_stat})"
    demand = unmasked(data.hourly, data.masks, data.service.time_zone)
    both = pd.concat([demand.rename("x"), used.rename("y")], axis=1, join="inner").dropna()
    if both.empty:
        return f"{metric} and demand have no hour in common"
    slope, flags = _slope(both, wanted.name)
    recent = both[both.index > both.index[-1] - pd.Timedelta(days=RECENT_DAYS)]
    x, y = recent["x"].to_numpy(float), recent["y"].to_numpy(float)
    fixed = max(0.0, float(np.quantile(y - slope * x, _HOURS_HELD)))
    basis = f"learned from {metric}{flags}"
    if slope > 0 and fixed < _FIXED_FRAC * slope * float(x.max()):
        return ResourceNeed(
            wanted.name, _steepest(x, y), 0.0, wanted.per_instance, wanted.usable_frac, f"{basis}, nothing fixed"
        )
    return ResourceNeed(wanted.name, slope, fixed, wanted.per_instance, wanted.usable_frac, basis)


def _steepest(x: Floats, y: Floats) -> float:
    """Amount for each unit of demand in all but a hundredth of the busier hours."""
    busy = (x > 0) & (x >= np.median(x))
    return float(np.quantile(y[busy] / x[busy], _HOURS_HELD))


def _slope(both: pd.DataFrame, name: str) -> tuple[float, str]:
    """What a unit of demand adds; 0 where no line can be told from the level."""
    try:
        cost = saturation.regress_cost(both["x"], both["y"], name)
    except MissingDataError:
        return 0.0, ", which does not move with demand"
    if cost.r_squared is None:
        return 0.0, ", which does not move with demand"
    return cost.per_demand.mid, ""


def _amount(inputs: Inputs, data: UnitData, wanted: ResourceConfig, metric: str) -> pd.Series:
    """The metric's history in the resource's unit, without what instances need for themselves."""
    series = inputs.usage_of(data.unit, metric, wanted.metric_stat)
    if series.empty:
        return series
    held = _of_instances(inputs, data, wanted.name, pd.DatetimeIndex(series.index))
    if metric.endswith(_PERCENT) and wanted.metric_scale is None:
        amount = series * held[0] / 100.0
    else:
        amount = series * _scale(wanted, metric)
    return (amount - wanted.per_instance * held[1]).clip(lower=0.0)


def _scale(wanted: ResourceConfig, metric: str) -> float:
    if wanted.metric_scale is not None:
        return wanted.metric_scale
    return next((x for (name, end), x in _SCALES.items() if name == wanted.name and metric.endswith(end)), 1.0)


def _of_instances(
    inputs: Inputs, data: UnitData, resource: str, hours: pd.DatetimeIndex
) -> tuple[pd.Series, pd.Series]:
    """(amount of ``resource`` that ran, instances that ran) in each of ``hours``."""
    counts = hourly_counts(data.fleet, hours)
    names = list(counts.columns.get_level_values("instance_type")) if len(counts.columns) else list[str]()
    per = np.array([float(getattr(inputs.types[str(n)], resource)) for n in names])
    table = counts.to_numpy(float)
    return pd.Series(table @ per if len(per) else 0.0, index=hours), pd.Series(table.sum(axis=1), index=hours)
