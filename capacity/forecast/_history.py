"""From raw series to what a member may see: a regular grid, a log-like scale, gaps filled from the past.

All modelling is on the scale z = log(1 + y / offset), with the offset a tenth of the median positive value: relative
errors count alike at every level, zeros are harmless, and multiplying a series by a constant changes nothing.
A series that has been negative uses z = arcsinh(y / offset) with the offset its median size.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from capacity.domain import Floats
from capacity.errors import UsageError
from capacity.forecast.censored import kept_bounds

Bools = npt.NDArray[np.bool_]
Freq = Literal["D", "h"]
Span = tuple[pd.Timestamp, pd.Timestamp]

# Hours of day repeat sooner than hours of week; the week is used once it was seen four times.
WEEKS_FOR_HOUR_OF_WEEK = 4
# A value is read against the largest of this many past steps: four weeks of days, two weeks of hours.
RECENT_STEPS: Mapping[str, int] = {"D": 28, "h": 336}
# Beyond this multiple of the trailing maximum a forecast is an explosion of the log scale, not a belief.
EXPLOSION_FACTOR = 10.0
# A multiple of e^300 of the offset is beyond any belief, and far below where a float overflows, even summed.
LARGEST_Z = 300.0
# Offset of the log scale as a share of the median positive value.
OFFSET_FRAC = 0.1
# Anything nearer to zero is zero: no metric measures it, and dividing by it overflows.
SMALLEST = 1e-100
# Seasons to look back for a filling of a gap.
SEASONS_BACK = 3


@dataclass(frozen=True)
class Scale:
    """The map between the unit of the series and the scale that is modelled. ``offset`` > 0, in the series' unit."""

    offset: float
    signed: bool

    def forward(self, values: Floats) -> Floats:
        """Unit of the series -> z."""
        values = np.asarray(values, dtype=float)
        if self.signed:
            return np.asarray(np.arcsinh(values / self.offset), dtype=float)
        return np.asarray(np.log1p(np.maximum(values, 0.0) / self.offset), dtype=float)

    def inverse(self, z: Floats) -> Floats:
        """z -> unit of the series; never below zero unless the series has been."""
        bounded = np.clip(np.asarray(z, dtype=float), -LARGEST_Z, LARGEST_Z)
        if self.signed:
            return np.asarray(np.sinh(bounded) * self.offset, dtype=float)
        return np.asarray(np.maximum(np.expm1(bounded), 0.0) * self.offset, dtype=float)


@dataclass(frozen=True)
class History:
    """One series on a regular grid. ``y`` (n,) holds NaN where nothing was seen or a mask hides it.

    ``window``: most steps before an origin that are seen from there; all where None.
    """

    key: str
    freq: Freq
    start: pd.Timestamp
    y: Floats
    window: int | None = None

    def __len__(self) -> int:
        return len(self.y)

    @cached_property
    def seen(self) -> Bools:
        """Which steps carry a value."""
        return np.isfinite(self.y)

    @cached_property
    def scale(self) -> Scale:
        """The scale of this series as it is known now; past origins have their own, see :meth:`upto`."""
        return scale_of(self.y if self.window is None else self.y[-self.window :])

    @property
    def origin(self) -> pd.Timestamp:
        """The last step of the history."""
        return self.start + (len(self) - 1) * step_of(self.freq)

    def upto(self, n: int) -> View:
        """What was known after ``n`` steps, on the scale that was known then."""
        first = 0 if self.window is None else max(0, n - self.window)
        known = self.y[first:n]
        scale = self.scale if n == len(self) else scale_of(known)
        return View(self.freq, self.start + first * step_of(self.freq), scale, scale.forward(known))


@dataclass(frozen=True)
class View:
    """What a member sees of a series at one origin: nothing after it.

    Attributes
    ----------
    z
        (n,) modelled scale, NaN where nothing was seen.
    """

    freq: Freq
    start: pd.Timestamp
    scale: Scale
    z: Floats

    def __len__(self) -> int:
        return len(self.z)

    @property
    def period(self) -> int:
        """Steps of a season: 7 days, 168 hours, or 24 where fewer than four weeks of hours are known."""
        if self.freq == "D":
            return 7
        return 168 if len(self.z) >= WEEKS_FOR_HOUR_OF_WEEK * 168 else 24

    @property
    def short(self) -> bool:
        """Whether fewer than two seasonal cycles (weeks) are known: only robust members speak."""
        return len(self.z) < (14 if self.freq == "D" else 336)

    @cached_property
    def seen(self) -> Bools:
        """Which steps carry a value."""
        return np.isfinite(self.z)

    @cached_property
    def filled(self) -> Floats:
        """(n,) ``z`` with gaps filled from one to three seasons back, else from the last value seen before."""
        return fill(self.z, self.period)

    @cached_property
    def bounds(self) -> tuple[float, float]:
        """What a member's forecast is clipped to: the seen range, 1.5 wider in z on both sides."""
        known = self.z[self.seen]
        return (float(known.min()) - 1.5, float(known.max()) + 1.5) if len(known) else (0.0, 0.0)


def scale_of(values: Floats) -> Scale:
    """The scale that ``values`` (n,), in the unit of the series, suggest; NaN are skipped."""
    known = values[np.isfinite(values)]
    signed = bool((known < 0).any())
    sizes = np.abs(known[known != 0])
    return Scale(float(np.median(sizes)) * (1.0 if signed else OFFSET_FRAC) if len(sizes) else 1.0, signed)


def step_of(freq: Freq) -> pd.Timedelta:
    """One step of the grid."""
    return pd.Timedelta(days=1) if freq == "D" else pd.Timedelta(hours=1)


def fill(z: Floats, period: int) -> Floats:
    """Fill gaps of ``z`` (n,) from earlier seasons, then from the last value; a gap at the start from the first."""
    out = z.copy()
    for i in np.flatnonzero(~np.isfinite(out)):
        for back in range(1, SEASONS_BACK + 1):
            if i - back * period >= 0 and np.isfinite(out[i - back * period]):
                out[i] = out[i - back * period]
                break
        else:
            out[i] = out[i - 1] if i else np.nan
    known = np.flatnonzero(np.isfinite(out))
    if not len(known):
        return np.zeros_like(out)
    out[: known[0]] = out[known[0]]
    return out


def clean(
    key: str,
    series: pd.Series,
    freq: Freq,
    masks: Sequence[Span] = (),
    max_history: int | None = None,
    lower_bounds: Sequence[Span] = (),
) -> History | None:
    """Put one raw series on its grid.

    Unsorted stamps are sorted, several in one step averaged, infinite values and masked spans (both ends inclusive)
    set to missing, stamps with a zone read as UTC. A value in a span of ``lower_bounds`` (both ends inclusive) counts
    only where it lies above what the seasons before it say. The history ends at the last value; None where there is no
    value.

    Raises
    ------
    UsageError
        The index holds no time stamps.
    """
    if not isinstance(series.index, pd.DatetimeIndex):
        if len(series):
            raise UsageError(
                f"series {key!r}: its index is {type(series.index).__name__}, not time stamps; give a DatetimeIndex"
            )
        return None
    stamps = series.index.tz_convert("UTC").tz_localize(None) if series.index.tz is not None else series.index
    values = pd.Series(
        pd.to_numeric(series, errors="coerce").to_numpy(dtype=float, na_value=np.nan), index=stamps.floor(freq)
    )
    values = values[np.isfinite(values.to_numpy()) & values.index.notna()]
    if values.empty:
        return None
    grid = values.where(values.abs() >= SMALLEST, 0.0).groupby(level=0).mean().asfreq(freq)
    if max_history is not None:
        grid = grid.iloc[-max_history:]
    return _hidden(History(key, freq, grid.index[0], grid.to_numpy(dtype=float)), masks, lower_bounds)


def _hidden(history: History, masks: Sequence[Span], lower_bounds: Sequence[Span]) -> History | None:
    index = pd.date_range(history.start, periods=len(history), freq=history.freq)
    values = np.where(_inside(index, masks), np.nan, history.y)
    if lower_bounds:
        season = 7 if history.freq == "D" else (168 if len(values) >= WEEKS_FOR_HOUR_OF_WEEK * 168 else 24)
        kept = kept_bounds(values, _inside(index, lower_bounds), season)
        # Where all of it is a bound, that is the best that is known of a service which needs a forecast most.
        values = kept if np.isfinite(kept).any() else values
    return History(history.key, history.freq, history.start, values) if np.isfinite(values).any() else None


def _inside(index: pd.DatetimeIndex, spans: Sequence[Span]) -> Bools:
    out = np.zeros(len(index), dtype=bool)
    for start, end in spans:
        out |= np.asarray((index >= _zoneless(start)) & (index <= _zoneless(end)))
    return out


def _zoneless(stamp: pd.Timestamp) -> pd.Timestamp:
    stamp = pd.Timestamp(stamp)
    return stamp.tz_convert("UTC").tz_localize(None) if stamp.tzinfo is not None else stamp


def recent_maximum(values: Floats, freq: Freq) -> float:
    """Largest of the last 28 days (or 14 days of hours); of all where nothing was seen in them. NaN if never."""
    for window in (values[-RECENT_STEPS[freq] :], values):
        known = window[np.isfinite(window)]
        if len(known):
            return float(known.max())
    return float("nan")
