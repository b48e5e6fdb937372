"""Why each unit's demand forecast looks as it does: its parts in numbers and in words, for the plan."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import pandas as pd

from capacity import forecast
from capacity.domain import SeriesForecast, Unit
from capacity.forecast import Explanation
from capacity.pipeline.base import Base, demand_histories
from capacity.pipeline.demand import UnitData
from capacity.pipeline.masks import Span
from capacity.pipeline.progress import Progress, silent

if TYPE_CHECKING:
    from capacity.forecast.occasions import Occasion

Explanations = Mapping[tuple[Unit, str], Explanation]
TARGETS = ("mean", "peak")
# Days of history that the plan keeps of each decomposition: a year, and what a year's comparison needs beside it.
KEPT_DAYS = 400


def explain_units(
    data: Mapping[Unit, UnitData],
    base: Base,
    occasions: Mapping[str, Sequence[Occasion]] | None = None,
    *,
    workers: int = 1,
    progress: Progress = silent,
) -> dict[tuple[Unit, str], Explanation]:
    """(unit, "mean" or "peak") -> the parts of its demand, beside the base forecast that is used."""
    histories, masks = demand_histories(data)
    where = {f.key: (u, t) for u in sorted(data) for t, f in (("mean", base.mean[u]), ("peak", base.peak[u]))}
    known = {key: base.mean[u] if t == "mean" else base.peak[u] for key, (u, t) in where.items()}
    found = forecast.explain_batch(histories, known, occasions=occasions, masks=masks, workers=workers)
    out: dict[tuple[Unit, str], Explanation] = {}
    for key, one in found:
        out[where[key]] = one
        progress("explain demand", len(out), len(where))
    return out


def with_words(
    known: Mapping[str, SeriesForecast],
    histories: Mapping[str, pd.Series],
    masks: Mapping[str, Sequence[Span]],
    occasions: Mapping[str, Sequence[Occasion]] | None = None,
    *,
    workers: int = 1,
) -> dict[str, SeriesForecast]:
    """``known`` with what each history says in words; a forecast without its history stays as it is."""
    by_key = {f.key: f for f in known.values()}
    found = forecast.explain_batch(histories, by_key, occasions=occasions, masks=masks, workers=workers)
    words = {key: one.words for key, one in found}
    return {name: replace(f, words=words.get(f.key, ())) for name, f in known.items()}


def words_of(explained: Explanations, unit: Unit) -> tuple[str, ...]:
    """What is said of the daily mean, and behind it how the daily peak grows; nothing where nothing is known."""
    mean, peak = (explained.get((unit, target)) for target in TARGETS)
    said = mean.words if mean else ()
    if peak is None:
        return said
    return (*said, f"Daily peak: {peak.words[0][:1].lower()}{peak.words[0][1:]}")


def explanation_frame(explained: Explanations, units: Sequence[Unit]) -> list[pd.DataFrame]:
    """Frames of ``units``, mean and peak: the last 400 days and the horizon."""
    out = []
    for unit in units:
        for target in TARGETS:
            if (one := explained.get((unit, target))) is None:
                continue
            rows = one.frame[one.frame["ts"] > one.origin - pd.Timedelta(days=KEPT_DAYS)]
            out.append(rows.assign(service=unit.service, region=unit.region, target=target))
    return out
