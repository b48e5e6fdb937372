"""How a plan is operated: what runs in each load block, and what that serves in each state of the fleet.

Written from the plan's frames alone, in NumPy: nothing here comes from the model, the load blocks' own code or the
coverage that the pipeline counts, so that a fault of theirs does not repeat itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pandas as pd

from capacity.domain import Floats, Paths, Unit
from capacity.errors import MissingDataError, UsageError

HOURS = 24
Names = npt.NDArray[np.str_]
# Paths are looked at this many at a time: a year of 1,000 paths (35 MB) is never copied whole.
_CHUNK = 128
# What is held to this share of a need is held; the checker's own tolerance.
_HAIR = 1e-6


@dataclass(frozen=True)
class FurtherNeed:
    """A further resource that the fleet must hold: ``fixed + per_demand x demand`` in every hour.

    ``holds`` gives what an instance holds, all zones up and while zones are lost, by type. The tier's headroom is of
    what instances serve, not of this.
    """

    resource: str
    fixed: float
    per_demand: float
    holds: Mapping[str, tuple[float, float]]


@dataclass(frozen=True)
class Operation:
    """One unit as its operator sees it.

    Attributes
    ----------
    service_level
        P of the tier.
    days
        (D,) zone-less local dates of the paths.
    block_names
        (D, 24) name of the load block that each hour belongs to.
    autoscaled
        True: an hour runs what the plan says for its block. False: it runs what the month has provisioned.
    safe, zone_loss
        By instance type: demand that one instance serves within the SLO, and while zones are lost. Without headroom.
    headroom_frac
        The tier's policy: this share of safe capacity is kept free at the P-quantile of the peak.
    reserve
        Demand's worth of what is busy without any demand; it is taken off what instances serve, in every state.
    spot_buffer_frac
        By instance type: share of a spot instance that is not relied on.
    min_per_zone
        Fewer may not run, however little is needed; of a vertical unit, its count.
    least_types
        So many different types run in every block.
    further
        Resources beside what is served (memory): demand beyond what they hold is above safe capacity too.
    """

    unit: Unit
    service_level: float
    days: pd.DatetimeIndex
    block_names: Names
    zones: int
    zones_survived: int
    autoscaled: bool
    safe: Mapping[str, float]
    zone_loss: Mapping[str, float]
    headroom_frac: float = 0.0
    reserve: float = 0.0
    spot_buffer_frac: Mapping[str, float] = field(default_factory=dict)
    min_per_zone: int = 0
    least_types: int = 1
    further: tuple[FurtherNeed, ...] = ()

    def __post_init__(self) -> None:
        if self.block_names.shape != (len(self.days), HOURS):
            raise UsageError(
                f"{self.unit}: block names have shape {self.block_names.shape}; ({len(self.days)}, 24) is needed"
            )
        if not 0 <= self.zones_survived < self.zones:
            raise UsageError(f"{self.unit}: {self.zones_survived} of {self.zones} zones cannot be lost and survived")


@dataclass(frozen=True)
class MonthRuns:
    """What runs in the blocks of a month: ``per_zone`` (types, B), and what an instance of each type counts for.

    ``relied`` (types,) is 1 on demand, less as spot. ``of_block`` names the columns.
    """

    month: str
    of_block: tuple[str, ...]
    types: tuple[str, ...]
    per_zone: Floats
    relied: Floats

    def one_fewer(self, smallest: npt.NDArray[np.intp], blocks: npt.NDArray[np.bool_]) -> MonthRuns:
        """One instance per zone less of the row ``smallest`` (B,) in each of ``blocks`` (B,) where any runs."""
        counts = self.per_zone.copy()
        for b in np.flatnonzero(blocks):
            counts[smallest[b], b] = max(counts[smallest[b], b] - 1.0, 0.0)
        return MonthRuns(self.month, self.of_block, self.types, counts, self.relied)


def months_of(days: pd.DatetimeIndex) -> Iterator[tuple[str, npt.NDArray[np.intp]]]:
    """Each month (YYYY-MM) in order, with the positions of its days."""
    names = np.asarray(days.year * 100 + days.month)
    for number in np.unique(names):
        yield f"{number // 100:04d}-{number % 100:02d}", np.flatnonzero(names == number)


def month_runs(
    operation: Operation, month: str, of_block: tuple[str, ...], running: pd.DataFrame, provisioned: pd.DataFrame
) -> MonthRuns:
    """What the plan's frames say runs, by (type, purchase) and block.

    Raises
    ------
    MissingDataError
        A type runs of which it is not known what it serves.
    """
    frame = running if operation.autoscaled else provisioned
    rows = frame[
        (frame["service"] == operation.unit.service)
        & (frame["region"] == operation.unit.region)
        & (frame["month"].astype(str) == month)
    ]
    purchase = rows["purchase"].astype(str) if "purchase" in rows else pd.Series("on_demand", index=rows.index)
    keys = sorted(set(zip(rows["instance_type"].astype(str), purchase, strict=True)))
    counts = np.zeros((len(keys), len(of_block)))
    at = {key: k for k, key in enumerate(keys)}
    blocks = rows["block"].astype(str) if operation.autoscaled else [None] * len(rows)
    for name, bought, block, n in zip(rows["instance_type"], purchase, blocks, rows["per_zone"], strict=True):
        columns = slice(None) if block is None else [k for k, b in enumerate(of_block) if b == block]
        counts[at[str(name), bought], columns] += float(n)
    if unknown := sorted({name for name, _ in keys if name not in operation.safe or name not in operation.zone_loss}):
        raise MissingDataError(f"{operation.unit}: it is not known what {', '.join(unknown)} serves")
    relied = [1.0 - (operation.spot_buffer_frac.get(name, 0.0) if bought == "spot" else 0.0) for name, bought in keys]
    return MonthRuns(month, of_block, tuple(name for name, _ in keys), counts, np.array(relied, dtype=float))


# --- what it serves ----------------------------------------------------------------------------------------


def serves(operation: Operation, runs: MonthRuns) -> Floats:
    """(B,) demand served within the SLO, all zones up."""
    return _least(operation, runs, operation.safe, operation.zones, 1.0, 0)


def serves_with_headroom(operation: Operation, runs: MonthRuns) -> Floats:
    """(B,) the same with the tier's headroom kept free."""
    return _least(operation, runs, operation.safe, operation.zones, 1.0 - operation.headroom_frac, 0)


def serves_without_zones(operation: Operation, runs: MonthRuns) -> Floats:
    """(B,) what the instances outside the lost zones serve; zones of a plan are alike."""
    return _least(operation, runs, operation.zone_loss, operation.zones - operation.zones_survived, 1.0, 1)


def _least(
    operation: Operation, runs: MonthRuns, each: Mapping[str, float], zones: int, share: float, state: int
) -> Floats:
    """Demand up to which all resources suffice; ``state`` is 0 with all zones up, 1 with zones lost."""
    relied = zones * (runs.relied @ (_column(each, runs)[:, None] * runs.per_zone))
    limit: Floats = share * relied - operation.reserve
    for need in operation.further:
        of_type = {name: held[state] for name, held in need.holds.items()}
        left = zones * (runs.relied @ (_column(of_type, runs)[:, None] * runs.per_zone)) - need.fixed
        enough = np.where(left >= -_HAIR * abs(need.fixed), limit, 0.0)
        limit = np.minimum(limit, left / need.per_demand if need.per_demand > 0 else enough)
    return limit


def _column(each: Mapping[str, float], runs: MonthRuns) -> Floats:
    """(types,) of ``each``; a type that holds nothing known holds nothing."""
    return np.array([each.get(name, 0.0) for name in runs.types], dtype=float)


# --- paths -------------------------------------------------------------------------------------------------


def days_of(part: Paths, at: npt.NDArray[np.intp]) -> Paths:
    """(P, days, 24) the days ``at`` of ``part``, not copied where they follow each other."""
    first, last = int(at[0]), int(at[-1])
    out: Paths = part[:, first : last + 1] if last - first + 1 == len(at) else part[:, at]
    return out


def chunks(operation: Operation, paths: Paths | Iterable[Paths]) -> Iterator[Paths]:
    """``paths`` (P, D, 24), or an iterable of such, a hundred or so at a time.

    Raises
    ------
    UsageError
        A shape that is not (any, D, 24).
    """
    for part in [paths] if isinstance(paths, np.ndarray) else paths:
        if part.ndim != 3 or part.shape[1:] != (len(operation.days), HOURS):
            raise UsageError(
                f"{operation.unit}: paths have shape {part.shape}; (paths, {len(operation.days)} days, 24) is needed"
            )
        for start in range(0, len(part), _CHUNK):
            yield part[start : start + _CHUNK]
