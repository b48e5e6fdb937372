"""The largest value of the coming horizon, from the largest values of past ones.

Capacity is bought for the peak, so its distribution is learned directly. Every past window as long as the horizon (a
week apart, or a day for hours) says how far its maximum lay from what was known before it: the recent maximum, that of
a longer while, and the typical maximum of a block of time. A long history holds dozens of such windows where members
are asked at a dozen origins; and a site with rare bursts, or with a season in its peaks, is told from one without.

Gaps to that reference are centred and sized by series, both shrunk to those of the batch, and their shape is pooled.

What only ever climbs (a disk that fills) is told apart: its maximum is its last value, which the trend knows better
than any reference that looks back.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from capacity.domain import Floats
from capacity.forecast._history import RECENT_STEPS
from capacity.forecast._quantiles import LEVELS, weighted_quantiles

# Steps between past windows.
STRIDE: Mapping[str, int] = {"D": 7, "h": 24}
# The longer while, in steps: a quarter of days, four weeks of hours.
LONG_STEPS: Mapping[str, int] = {"D": 91, "h": 672}
# Typical maximum: the median of the maxima of so many blocks of so many steps.
BLOCK: Mapping[str, tuple[int, int]] = {"D": (28, 6), "h": (168, 6)}
# Shares of the recent, the long and the typical maximum in the reference. After a burst the recent maximum alone
# promises another one; the typical maximum alone forgets a rise. Days have seasons, so a longer while counts.
SHARES: Mapping[str, tuple[float, float, float]] = {"D": (0.5, 0.25, 0.25), "h": (0.5, 0.0, 0.5)}
# A window at the same time of the year says more of this one: its weight against the others', and how near is near.
YEAR_DAYS = 364
NEAR_DAYS = 45.0
FAR_WEIGHT = 0.25
# Independent windows at which a series' own centre, size and shape weigh as much as the batch's.
CENTRE_HALF, SIZE_HALF, SHAPE_HALF = 2.0, 3.0, 3.0
# Fewer windows than this say nothing of their own.
LEAST_WINDOWS = 3
# A horizon's worth of other series' windows counts as this much of an own one.
OTHERS_WORTH = 0.1
# A series climbs where the largest value of so large a share of its past windows came in their last tenth: not at all
# up to the first share, wholly from the second on. Without a trend a tenth of the maxima come there.
CLIMBS_FROM, CLIMBS_WHOLLY = 0.6, 0.9
LATE_FRAC = 0.1
# Share of a window that must be known, and the smallest size of a gap (log units): a constant's is zero.
KNOWN_FRAC = 0.9
SMALLEST_SIZE = 1e-3


@dataclass(frozen=True)
class Maxima:
    """Quantiles (L,) of the horizon's maximum on the modelled scale: ``reference`` + ``gaps``.

    ``independent`` is how many horizons' worth of own past windows stand behind it, others' counted for less; 0 where
    no series had any. ``climbing`` (0 to 1) is how far the maximum is the last value.
    """

    reference: float
    gaps: Floats
    independent: float
    climbing: float = 0.0


@dataclass(frozen=True)
class _Own:
    reference: float
    gaps: Floats
    weights: Floats
    independent: float
    late: float  # share of windows whose largest value came in their last tenth

    @property
    def known(self) -> bool:
        return len(self.gaps) >= LEAST_WINDOWS


def maxima(bases: Sequence[Floats], freq: str, horizon: int) -> list[Maxima]:
    """The distribution of each series' maximum over ``horizon`` steps.

    ``bases`` are histories (n,) on the modelled scale, without the effects of occasions.
    """
    own = [_gaps(z, freq, horizon) for z in bases]
    known = [o for o in own if o.known]
    if not known:
        return [Maxima(o.reference, np.zeros(len(LEVELS)), 0.0) for o in own]
    medians = {id(o): float(weighted_quantiles(o.gaps, o.weights, np.array([0.5]))[0]) for o in known}
    sizes = {id(o): max(float(o.weights @ np.abs(o.gaps - medians[id(o)])), SMALLEST_SIZE) for o in known}
    typical_centre = float(np.mean(list(medians.values())))
    typical_size = float(np.exp(np.mean(np.log(list(sizes.values())))))
    centres = [_shrunk(medians.get(id(o)), typical_centre, o.independent, CENTRE_HALF) for o in own]
    scales = [
        float(
            np.exp(
                _shrunk(
                    np.log(sizes[id(o)]) if id(o) in sizes else None, np.log(typical_size), o.independent, SIZE_HALF
                )
            )
        )
        for o in own
    ]
    scaled = [(o.gaps - c) / s for o, c, s in zip(own, centres, scales, strict=True)]
    pool = weighted_quantiles(
        np.concatenate([g for g, o in zip(scaled, own, strict=True) if o.known]),
        np.concatenate([o.weights for o in known]),
        LEVELS,
    )
    everything = sum(o.independent for o in known)
    out = []
    for o, centre, scale, gaps in zip(own, centres, scales, scaled, strict=True):
        shape = pool
        worth = OTHERS_WORTH * everything + ((1.0 - OTHERS_WORTH) * o.independent if o.known else 0.0)
        if o.known:
            share = o.independent / (o.independent + SHAPE_HALF)
            shape = share * weighted_quantiles(gaps, o.weights, LEVELS) + (1.0 - share) * pool
        out.append(Maxima(o.reference, np.maximum.accumulate(centre + scale * shape), worth, _climbing(o)))
    return out


def _climbing(own: _Own) -> float:
    if not own.known:
        return 0.0
    return float(np.clip((own.late - CLIMBS_FROM) / (CLIMBS_WHOLLY - CLIMBS_FROM), 0.0, 1.0))


def _shrunk(own: float | None, typical: float, independent: float, half: float) -> float:
    if own is None:
        return typical
    share = independent / (independent + half)
    return share * own + (1.0 - share) * typical


def _gaps(z: Floats, freq: str, horizon: int) -> _Own:
    """Gaps of past windows' maxima to their references, with weights that sum to one, and the reference now.

    Windows begin whole strides before the end, on the weekday (or hour) that the horizon begins on: a short one must
    not take a weekend for a Monday.
    """
    n, stride = len(z), STRIDE[freq]
    reference = _references(z, freq)
    ahead = _maxima_ahead(z, horizon)
    starts = np.arange(n + (-horizon // stride) * stride, max(2 * stride, horizon // 2) - 1, -stride)
    gaps = ahead[starts] - reference[starts] if len(starts) else np.empty(0)
    seen = np.isfinite(gaps)
    starts, gaps = starts[seen], gaps[seen]
    weights = _weights((n - starts).astype(float), freq)
    now = float(reference[n]) if np.isfinite(reference[n]) else float(np.nanmax(z))
    weights = weights / max(weights.sum(), 1e-12)
    late = float(weights @ _come_late(z, starts, horizon))
    return _Own(now, gaps, weights, len(gaps) * min(1.0, stride / horizon), late)


def _come_late(z: Floats, starts: npt.NDArray[np.int64], horizon: int) -> Floats:
    """(W,) 1 where the largest value of the window that begins at a start comes in its last tenth, else 0."""
    low = np.where(np.isfinite(z), z, -np.inf)
    last = max(1, round(LATE_FRAC * horizon))
    out = [np.argmax(low[s : s + horizon][::-1]) < last for s in starts]
    return np.array(out, dtype=float)


def _weights(ages: Floats, freq: str) -> Floats:
    if freq != "D":
        return np.ones(len(ages))
    phase = np.minimum(ages % YEAR_DAYS, YEAR_DAYS - ages % YEAR_DAYS)
    return np.asarray(FAR_WEIGHT + np.exp(-((phase / NEAR_DAYS) ** 2)), dtype=float)


def _references(z: Floats, freq: str) -> Floats:
    """(n + 1,) the reference before each step, and (last) now; NaN where nothing was seen before."""
    block, count = BLOCK[freq]
    of_block = _trailing(z, block)
    lagged = np.full((count, len(z)), np.nan)
    for j in range(count):
        if j * block < len(z):
            lagged[j, j * block :] = of_block[: len(z) - j * block]
    some = np.isfinite(lagged).any(axis=0)
    typical = np.full(len(z), np.nan)
    typical[some] = np.nanmedian(lagged[:, some], axis=0)
    parts = (_trailing(z, RECENT_STEPS[freq]), _trailing(z, LONG_STEPS[freq]), typical)
    mixed = sum((share * part for share, part in zip(SHARES[freq], parts, strict=True)), np.zeros(len(z)))
    return np.concatenate([[np.nan], mixed])


def _trailing(z: Floats, window: int) -> Floats:
    """(n,) largest known value of the ``window`` steps that end at each step."""
    from scipy.ndimage import maximum_filter1d

    low = np.where(np.isfinite(z), z, -np.inf)
    out = maximum_filter1d(low, window, mode="constant", cval=-np.inf, origin=(window - 1) // 2)
    return np.where(np.isfinite(out), out, np.nan)


def _maxima_ahead(z: Floats, horizon: int) -> Floats:
    """(n,) largest value of the ``horizon`` steps from each step on; NaN where too little of them is known."""
    out = _trailing(z[::-1], horizon)[::-1].copy()
    count = np.concatenate([[0], np.cumsum(np.isfinite(z))])
    end = np.minimum(np.arange(len(z)) + horizon, len(z))
    known = count[end] - count[np.arange(len(z))]
    out[known < KNOWN_FRAC * horizon] = np.nan
    return out
