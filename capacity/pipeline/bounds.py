"""Days on which a unit's demand was at least what was measured: throttled, or at the top of what it could serve."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pandas as pd

from capacity.config import ServiceConfig
from capacity.domain import Unit
from capacity.forecast import at_limit, days_of, saturated
from capacity.pipeline.inputs import Inputs
from capacity.pipeline.masks import Span, wall_clock, whole_days
from capacity.saturation import is_stock
from capacity.words import plural

# A unit that is at its top on more of its days than this runs so by design (a batch queue): that censors nothing.
MOST_DAYS_FRAC = 0.2


def lower_bounds(
    inputs: Inputs, unit: Unit, service: ServiceConfig, days: pd.DatetimeIndex, throttled: Sequence[Span]
) -> tuple[tuple[Span, ...], tuple[str, ...]]:
    """Local days (both ends inclusive) whose demand is a lower bound, and a flag for each thing that says so.

    ``throttled`` are the config's spans; what else is found comes from the unit's utilisation and from the metrics of
    its hard limits. A day that is partly so is so whole: its peak and its mean are both at least what was measured.
    """
    found = list(whole_days(throttled))
    flags = []
    for what, stamps in _at_top(inputs, unit, service):
        spans = days_of(wall_clock(pd.Series(0.0, index=stamps), service.time_zone))
        count = sum((last - first).days + 1 for first, last in spans)
        where = f"{what} in {plural(len(stamps), 'hour')} on {plural(count, 'day')}"
        if count > MOST_DAYS_FRAC * len(days):
            flags.append(f"{where}: its usual state, not a bound")
            continue
        found += spans
        flags.append(f"{where}: demand was at least what was seen")
    return tuple(sorted(set(found))), tuple(flags)


def _at_top(inputs: Inputs, unit: Unit, service: ServiceConfig) -> Iterator[tuple[str, pd.DatetimeIndex]]:
    if service.utilisation_metric is not None:
        stamps = saturated(inputs.usage_of(unit, service.utilisation_metric, "avg"))
        if len(stamps):
            yield f"{service.utilisation_metric} was at 98 % or more", stamps
    for hard in service.hard_limits:
        if is_stock(hard.metric) or not (hard.regions is None or unit.region in hard.regions):
            continue
        stat = "max" if len(inputs.usage_of(unit, hard.metric, "max")) else "avg"
        stamps = at_limit(inputs.usage_of(unit, hard.metric, stat), hard.limit)
        if len(stamps):
            yield f"{hard.metric} was at its limit", stamps
