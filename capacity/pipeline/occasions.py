"""The plan's frame ``occasions``: what moves demand beside trend and season, and how that is known."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pandas as pd

from capacity.config import EventConfig, zone
from capacity.domain import SeriesForecast, Unit
from capacity.pipeline.masks import reaching
from capacity.pipeline.parts import Parts
from capacity.plan import FRAMES

_MOMENT = pd.Timedelta(microseconds=1)


def occasions_frame(parts: Parts) -> pd.DataFrame:
    """Events and holidays with their multipliers, and lasting jumps, of every unit's daily mean and peak."""
    rows = [row for unit in sorted(parts.known) for row in _rows(parts, unit)]
    frame = pd.DataFrame(rows, columns=list(FRAMES["occasions"]))
    return frame.astype({"start": "datetime64[ns]", "end": "datetime64[ns]", "multiplier": float, "low": float,
                         "high": float, "occurrences": "int64"})  # fmt: skip


def _rows(parts: Parts, unit: Unit) -> Iterator[dict[str, Any]]:
    future = parts.known[unit]
    given = [e for e in reaching(parts.inputs.config)[unit] if unit.service in e.services]
    for target, known in (("mean", future.mean), ("peak", future.peak)):
        where = {"service": unit.service, "region": unit.region, "target": target}
        tz = parts.data[unit].service.time_zone
        found = [*_learned(known), *(_given(e, tz) for e in given if _is_shown(e, known)), *_shifts(known)]
        yield from (where | row for row in found)


def _learned(known: SeriesForecast) -> Iterator[dict[str, Any]]:
    for one in known.learned:
        yield {name: getattr(one, name) for name in ("name", "kind", "start", "end", "multiplier", "low", "high",
                                                     "occurrences", "source")}  # fmt: skip


def _given(event: EventConfig, time_zone: str) -> dict[str, Any]:
    start, end = (pd.Timestamp(t).tz_convert(zone(time_zone)).tz_localize(None) for t in (event.start, event.end))
    return {"name": event.name, "kind": "event", "start": start.normalize(), "end": (end - _MOMENT).normalize(),
            "multiplier": event.multiplier, "low": event.multiplier, "high": event.multiplier, "occurrences": 0,
            "source": "given"}  # fmt: skip


def _is_shown(event: EventConfig, known: SeriesForecast) -> bool:
    """Whether the config or a scenario says the multiplier, of a date within the horizon."""
    start = pd.Timestamp(event.start).tz_localize(None)
    return event.multiplier is not None and known.index[0] <= start <= known.index[-1]


def _shifts(known: SeriesForecast) -> Iterator[dict[str, Any]]:
    """A jump has no end, and its ratio no interval: both levels were seen."""
    for one in known.shifts:
        yield {"name": f"level since {one.at:%Y-%m-%d}", "kind": "shift", "start": one.at, "end": pd.NaT,
               "multiplier": one.ratio, "low": float("nan"), "high": float("nan"), "occurrences": 1,
               "source": "detected"}  # fmt: skip
