"""The buffer between the forecast peak and safe capacity: now and in every month, as it runs and as it is planned."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pandas as pd

from capacity.domain import Floats, Paths, SafeCapacity
from capacity.errors import UsageError
from capacity.optimize.service_level import operation as op
from capacity.optimize.service_level.operation import Operation

NOW = "now"
COLUMNS = (
    "service", "region", "month", "peak_q", "safe_running", "headroom_running_frac", "safe_planned",
    "headroom_planned_frac", "policy_frac", "survives_running", "survives_planned", "holds_running", "holds",
)  # fmt: skip
# Shares are quotients of floats; a plan at its policy to this is at its policy.
_TOLERANCE = 1e-6


def headroom_by_month(
    operation: Operation,
    paths: Paths | Iterable[Paths],
    safe: SafeCapacity,
    running: pd.DataFrame,
    provisioned: pd.DataFrame,
    recent_peak: float = float("nan"),
) -> pd.DataFrame:
    """Headroom of one unit, 1 - (the P-quantile of the peak) / safe capacity, against its tier's policy.

    Parameters
    ----------
    paths
        (P, D, 24) demand, whole or in parts.
    safe
        Of the running fleet, judged on its real zones, however uneven (:func:`capacity.saturation.safe_capacity`).
    running, provisioned
        The plan's frames.
    recent_peak
        The largest peak of late, for the row ``now``; NaN where it is not known.

    Returns
    -------
    Columns of :data:`COLUMNS`; a row ``now`` (the running fleet alone), then one a month.

    ``peak_q``
        Smallest demand that a share P of the paths stay within in all hours of the month.
    ``safe_planned``
        What everything that the month has provisioned serves, all zones up.
    ``survives_running``, ``survives_planned``
        What is left when zones are lost (the largest ones of the running fleet) serves ``peak_q`` too.
    ``holds_running``, ``holds``
        Headroom is at least the policy and the lost zones are survived: by what runs, by the plan. In the row
        ``now`` both speak of what runs.

    Raises
    ------
    UsageError
        No path, or a wrong shape.
    MissingDataError
        A type is planned of which it is not known what it serves.
    """
    months = list(op.months_of(operation.days))
    parts = [
        np.stack([op.days_of(part, at).reshape(len(part), -1).max(axis=1) for _, at in months], axis=1)
        for part in op.chunks(operation, paths)
    ]
    if not parts:
        raise UsageError(f"{operation.unit}: no path to take a peak from")
    peaks = np.sort(np.concatenate(parts).astype(float), axis=0)[_rank(operation.service_level, sum(map(len, parts)))]
    rows = [_row(operation, NOW, recent_peak, safe, None)]
    for (month, _), peak in zip(months, peaks, strict=True):
        rows.append(_row(operation, month, float(peak), safe, _planned(operation, month, running, provisioned)))
    return pd.DataFrame(rows, columns=list(COLUMNS))


def _rank(service_level: float, paths: int) -> int:
    """Position in rising order of the value that a share ``service_level`` stays within."""
    return min(max(int(np.ceil(service_level * paths - 1e-9)), 1), paths) - 1


def _planned(operation: Operation, month: str, running: pd.DataFrame, provisioned: pd.DataFrame) -> tuple[float, float]:
    """(all zones up, zones lost) that the month's fullest block serves.

    An autoscaled unit's fullest block, rather than the sum of what each block has most of: the blocks may run
    different types, which never run together.
    """
    names = tuple(sorted(set(running["block"].astype(str)))) if operation.autoscaled else ("all",)
    runs = op.month_runs(operation, month, names, running, provisioned)
    each: tuple[Floats, Floats] = (op.serves(operation, runs), op.serves_without_zones(operation, runs))
    return float(each[0].max(initial=0.0)), float(each[1].max(initial=0.0))


def _row(
    operation: Operation, month: str, peak: float, safe: SafeCapacity, planned: tuple[float, float] | None
) -> tuple[object, ...]:
    runs, runs_lost = safe.normal.mid, safe.zone_loss.mid
    plan, plan_lost = planned or (float("nan"), float("nan"))
    policy = operation.headroom_frac - _TOLERANCE
    now_frac, plan_frac = _frac(peak, runs), _frac(peak, plan)
    survives = tuple(peak <= x * (1.0 + _TOLERANCE) for x in (runs_lost, plan_lost))
    holds_running = bool(now_frac >= policy and survives[0])
    holds = bool(plan_frac >= policy and survives[1]) if planned else holds_running
    return (
        operation.unit.service, operation.unit.region, month, peak, runs, now_frac, plan, plan_frac,
        operation.headroom_frac, survives[0], survives[1] if planned else survives[0], holds_running, holds,
    )  # fmt: skip


def _frac(peak: float, safe: float) -> float:
    """1 - peak / safe; minus infinity where nothing serves a demand, NaN where either is unknown."""
    if np.isnan(peak) or np.isnan(safe):
        return float("nan")
    if safe <= 0:
        return 1.0 if peak <= 0 else -float("inf")
    return 1.0 - peak / safe
