"""What is odd in usage: gaps, units that change, counters that reset, frozen and negative values.

Everything is told from the rows alone; nothing is changed. A finding says what it would do to a forecast.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from capacity.quality._finding import DataFinding, by_severity

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

SERIES = ("source", "account_id", "region", "service", "metric", "stat", "period_seconds")
MICROS = 1_000_000
_DAY_SECONDS = 86_400
# Worth a warning: so large a share of the points missing.
_GAPS_FRAC = 0.05
_SMALL = 1e-12
# Fewer points say nothing of a shape.
_FEWEST_POINTS = 48
# A series that stands still for so many points, after it moved, is likely stuck.
_FROZEN_POINTS = 24
# Share of steps that rise in a counter, at least; and that fall, at most.
_RISES_FRAC, _FALLS_FRAC = 0.5, 0.02
# After a reset a counter begins near nothing: below this share of what it was.
_RESET_FRAC = 0.1
# Points on each side whose medians are compared where a level jumps.
_SIDE_POINTS = 24
# What a change of unit multiplies by: bytes and bits, percent, thousands and kibi, minutes and hours.
_UNIT_FACTORS = (8.0, 60.0, 100.0, 1000.0, 1024.0, 3600.0, 1e6, 2.0**20, 1e9, 2.0**30)
_FACTOR_TOLERANCE = 0.15
_MOST_CANDIDATES = 8
# Levels rise and fall by themselves (a disk that fills looks like a counter and is none).
_LEVELS = ("_bytes", "_percent", "connections", "queue_depth", "busy_vcpu")


@dataclass(frozen=True)
class _Series:
    """One series in order of time; ``unit`` numbers the units that ``units`` names."""

    source: str
    metric: str
    period: int
    scope: str
    ts: Ints
    value: Floats
    unit: Ints
    units: tuple[str, ...]

    def at(self, i: int) -> str:
        return stamp(self.ts[i])

    def finding(self, rule: str, severity: str, rows: int, message: str, at: int) -> DataFinding:
        example = f"{self.at(at)}: {self.value[at]:.6g}"
        return DataFinding(
            self.source, "usage", self.scope, rule, severity, rows, len(self.ts), message, "value", example
        )


def usage_findings(usage: pa.Table) -> tuple[DataFinding, ...]:
    """Findings of each series of the canonical usage table, the gravest first.

    Parameters
    ----------
    usage
        Rows in the canonical schema, in any order, each key once.
    """
    found: list[DataFinding] = []
    for series in _all_series(usage):
        for look in (_gaps, _units, _negative, _frozen, _counter, _scale):
            found += look(series)
    return tuple(by_severity(found))


def _all_series(usage: pa.Table) -> Iterator[_Series]:
    codes = series_codes(usage)
    ts: Ints = usage["ts"].cast(pa.int64()).to_numpy()
    order = np.lexsort((ts, codes))
    starts = np.flatnonzero(np.diff(codes[order], prepend=-1, append=-1))
    value: Floats = usage["value"].to_numpy()[order]
    coded = usage["unit"].dictionary_encode("encode").combine_chunks()
    unit = coded.indices.to_numpy(zero_copy_only=False).astype(np.int64)[order] if usage.num_rows else ts
    units = tuple(coded.dictionary.to_pylist()) if usage.num_rows else ()
    ts = ts[order]
    for first, end in pairwise(starts.tolist()):
        key = {name: usage[name][int(order[first])].as_py() for name in SERIES}
        part = slice(first, end)
        yield _Series(
            key["source"], key["metric"], key["period_seconds"], scope_of(key), ts[part], value[part], unit[part], units
        )


def series_codes(usage: pa.Table) -> Ints:
    """One number a series, row by row."""
    codes = np.zeros(usage.num_rows, np.int64)
    for name in SERIES if usage.num_rows else ():
        coded = usage[name].dictionary_encode("encode").combine_chunks()
        pair = codes * len(coded.dictionary) + coded.indices.to_numpy(zero_copy_only=False)
        codes = np.unique(pair, return_inverse=True)[1].astype(np.int64)  # small again, so that no product overflows
    return codes


def scope_of(key: Mapping[str, object]) -> str:
    """A series as findings name it."""
    place = f"{key['service']}|{key['region']}"
    return f"{place} {key['metric']} {key['stat']} every {key['period_seconds']} s in {key['account_id']}"


def moment(micros: int | np.int64) -> datetime:
    """Microseconds since 1970 as a time."""
    return datetime.fromtimestamp(int(micros) / MICROS, UTC)


def stamp(micros: int | np.int64) -> str:
    """Microseconds since 1970 as a reader writes them."""
    return f"{moment(micros):%Y-%m-%d %H:%M}Z"


def _gaps(s: _Series) -> Iterator[DataFinding]:
    steps = np.diff(s.ts) / (s.period * MICROS)
    wide = np.flatnonzero(steps > 1.5)
    if not len(wide):
        return
    missing = int(np.round(steps[wide] - 1).sum())
    longest = int(wide[np.argmax(steps[wide])])
    share = missing / (missing + len(s.ts))
    grave = share > _GAPS_FRAC or steps[longest] * s.period >= _DAY_SECONDS
    yield s.finding(
        "gaps", "warning" if grave else "info", missing,
        f"{missing:,} points missing in {len(wide):,} gaps ({share:.1%}); the longest from {s.at(longest)} to "
        f"{s.at(longest + 1)}; a gap is not demand: it is left out of every fit", longest,
    )  # fmt: skip


def _units(s: _Series) -> Iterator[DataFinding]:
    changed = np.flatnonzero(s.unit[1:] != s.unit[:-1])
    if len(changed):
        at = int(changed[0]) + 1
        before, after = (s.units[s.unit[i]] for i in (at - 1, at))
        yield s.finding(
            "unit_changed", "error", len(changed),
            f"the unit changes from {before} to {after} at {s.at(at)}; give both parts the same unit before they are "
            "read, or the level that jumps is forecast", at,
        )  # fmt: skip


def _negative(s: _Series) -> Iterator[DataFinding]:
    below = np.flatnonzero(s.value < 0)
    if len(below):
        first = int(below[0])
        text = f"{len(below):,} values below zero, the first at {s.at(first)}; demand is never negative"
        yield s.finding("negative", "error", len(below), text, first)


def _frozen(s: _Series) -> Iterator[DataFinding]:
    moves = np.flatnonzero(np.diff(s.value) != 0)
    since = int(moves[-1]) + 1 if len(moves) else 0
    still = len(s.value) - since
    if len(moves) >= _FROZEN_POINTS and still >= _FROZEN_POINTS and s.value[-1] != 0:
        text = f"the same value {s.value[-1]:.6g} in {still:,} points since {s.at(since)}; is what measures it stuck?"
        yield s.finding("frozen", "warning", still, text, since)


def _counter(s: _Series) -> Iterator[DataFinding]:
    steps = np.diff(s.value)
    falls = np.flatnonzero(steps < 0)
    if len(steps) < _FEWEST_POINTS or s.metric.endswith(_LEVELS) or (s.value < 0).any():
        return
    to_nothing = s.value[falls + 1] <= _RESET_FRAC * s.value[falls]
    if (steps > 0).mean() < _RISES_FRAC or len(falls) > _FALLS_FRAC * len(steps) or not to_nothing.all():
        return
    if len(falls):
        at = int(falls[0]) + 1
        yield s.finding(
            "counter_reset", "error", len(falls),
            f"rises all the time and falls to nearly nothing {len(falls):,} times, first at {s.at(at)}: a counter that "
            "resets, not demand; read its rate instead", at,
        )  # fmt: skip
    else:
        text = "rises at nearly every step and never falls: a running total, not demand? read its rate instead"
        yield s.finding("counter", "warning", len(steps), text, len(steps))


def _scale(s: _Series) -> Iterator[DataFinding]:
    """A level that jumps by a factor that units differ by, and stays there."""
    steps = np.abs(np.diff(np.log(np.maximum(s.value, _SMALL))))
    wide = np.flatnonzero(steps > np.log(_UNIT_FACTORS[0]) / 2)
    for at in sorted(wide[np.argsort(-steps[wide], kind="stable")][:_MOST_CANDIDATES].tolist()):
        ratio = _level_ratio(s.value[max(0, at + 1 - _SIDE_POINTS) : at + 1], s.value[at + 1 : at + 1 + _SIDE_POINTS])
        size = max(ratio, 1 / ratio) if ratio else 1.0
        factor = min(_UNIT_FACTORS, key=lambda f: abs(size / f - 1))
        if abs(size / factor - 1) <= _FACTOR_TOLERANCE:
            yield s.finding(
                "scale_jump", "warning", len(s.value) - at - 1,
                f"from {s.at(at + 1)} on the level is about {factor:,.0f} times "
                f"{'larger' if ratio > 1 else 'smaller'}; has its unit changed at the source?", at + 1,
            )  # fmt: skip
            return


def _level_ratio(left: Floats, right: Floats) -> float:
    """Median over median where the two sides stand apart altogether (else it is the shape of a day); 0 where not."""
    if min(len(left), len(right)) < _SIDE_POINTS or min(left.min(), right.min()) <= 0:
        return 0.0
    apart = max(left.min(), right.min()) > min(left.max(), right.max())
    return float(np.median(right) / np.median(left)) if apart else 0.0
