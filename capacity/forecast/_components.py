"""What Prophet makes of one history: trend, daily, weekly and yearly shape, events and level shifts.

The fit is on the modelled scale z, where all parts add. In the unit of the series they multiply: the level of the trend
is inverse(trend), and each part's factor is by how much the level moves when that part is added to those before it, so
trend × yearly × weekly × daily × events is the fitted value exactly (up to rounding), at any level and near zero too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from capacity.domain import Floats
from capacity.forecast._history import Freq, History, Scale, step_of
from capacity.forecast.members.prophet_map import DAYS_FOR_YEAR, LONGEST, silence

if TYPE_CHECKING:
    from capacity.domain import LevelShift
    from capacity.forecast.occasions import Occasion

# Below this, a trend and a week cannot be told apart: four weeks of days, thirteen days of hours.
LEAST: Mapping[Freq, int] = {"D": 28, "h": 312}
# Order in which the parts are put on top of the trend's level.
SHAPES = ("yearly", "weekly", "daily")
# Fourier terms of the year, as the forecast's own Prophet has them.
YEAR_TERMS = 6
# Prophet's own prior of holidays and regressors: wide, the data decide.
PRIOR_SCALE = 10.0
# Levels below a ten-thousandth of the usual one are taken for it: factors are ratios of levels.
LOWEST_Z = 1e-3
# Steps the noise is judged by: a year of days, four weeks of hours.
NOISE_STEPS: Mapping[Freq, int] = {"D": 365, "h": 672}
# A level shift needs this many seen steps on both sides, or it is a matter of the trend.
SIDE_STEPS = 7


@dataclass(frozen=True)
class Effect:
    """One occasion in the fit.

    Attributes
    ----------
    inside, ramp
        (n + H,) which steps are in a span, and how near to one the steps of its ramp are, in [0, 1].
    z, error
        What a step inside adds on the modelled scale, and the standard error of that; 0 and infinity where nothing was
        learned.
    ramp_z
        The same of the ramp, learned apart: most events begin and end at once, whatever their ramp says.
    occurrences
        Past occurrences that were seen.
    """

    occasion: Occasion
    inside: Floats
    ramp: Floats
    z: float
    ramp_z: float
    error: float
    occurrences: int

    @property
    def added(self) -> Floats:
        """(n + H,) what it adds on the modelled scale, as learned."""
        return self.inside * self.z + self.ramp * self.ramp_z


@dataclass(frozen=True)
class Components:
    """The parts of one series on the modelled scale, over n steps of history and H of horizon.

    Attributes
    ----------
    stamps
        (n + H,) start of each step.
    z
        (n,) what was seen, NaN where nothing was.
    smooth, steps
        (n + H,) Prophet's own trend, and the level shifts on top of it; their sum is :attr:`trend`.
    shapes
        (n + H,) each, by name; what the history is too short for is absent.
    """

    freq: Freq
    scale: Scale
    stamps: pd.DatetimeIndex
    z: Floats
    smooth: Floats
    steps: Floats
    shapes: Mapping[str, Floats]
    effects: tuple[Effect, ...]

    def __len__(self) -> int:
        """Steps of history."""
        return len(self.z)

    @property
    def trend(self) -> Floats:
        """(n + H,) the trend with its level shifts."""
        return self.smooth + self.steps

    @cached_property
    def season(self) -> Floats:
        """(n + H,) all repeating shapes."""
        return np.asarray(sum(self.shapes.values(), np.zeros(len(self.stamps))), dtype=float)

    @cached_property
    def learned(self) -> Floats:
        """(n + H,) what the learned occasions add."""
        return np.asarray(sum((e.added for e in self.effects), np.zeros(len(self.stamps))), dtype=float)

    @cached_property
    def residual(self) -> Floats:
        """(n,) what no part explains."""
        n = len(self)
        return np.asarray(self.z - (self.trend + self.season + self.learned)[:n], dtype=float)

    @cached_property
    def noise(self) -> tuple[float, float]:
        """Standard deviation of the last year's residual (four weeks of hours), and its lag-1 autocorrelation."""
        return _size_and_lag1(self.residual[-NOISE_STEPS[self.freq] :])

    @cached_property
    def noise_of_days(self) -> tuple[float, float]:
        """The same of whole days' means: what errs in common inside a day does not average out."""
        if self.freq == "D":
            return self.noise
        stamps, recent = self.stamps[: len(self)], self.residual
        days = pd.Series(recent).groupby(stamps.normalize()).mean()
        return _size_and_lag1(np.asarray(days, dtype=float))

    @cached_property
    def factors(self) -> dict[str, Floats]:
        """trend (a level in the unit of the series), one factor a shape, events, and their product ``fitted``."""
        out, z = {}, self.trend
        level = out["trend"] = self.level(z)
        for name in SHAPES:
            z = z + self.shapes[name] if name in self.shapes else z
            out[name], level = self.level(z) / level, self.level(z)
        events = self.level(z + self._events_ahead()) / level * self._given()
        return {**out, "events": events, "fitted": level * events}

    def level(self, z: Floats) -> Floats:
        """The modelled scale -> the unit of the series, above zero."""
        return self.scale.inverse(np.maximum(z, LOWEST_Z))

    def _events_ahead(self) -> Floats:
        """Learned effects; where a multiplier is given it takes their place over the horizon."""
        n, out = len(self), self.learned.copy()
        for effect in self.effects:
            if effect.occasion.multiplier is not None:
                out[n:] -= effect.added[n:]
        return out

    def _given(self) -> Floats:
        """(n + H,) given multipliers over the horizon."""
        out = np.ones(len(self.stamps))
        for effect in self.effects:
            if effect.occasion.multiplier is not None:
                share = (effect.inside + effect.ramp)[len(self) :]
                out[len(self) :] *= 1.0 + (effect.occasion.multiplier - 1.0) * share
        return out


def _size_and_lag1(residual: Floats) -> tuple[float, float]:
    """Standard deviation of ``residual``, NaN where unknown, and its lag-1 autocorrelation within [0, .9]."""
    known = residual[np.isfinite(residual)]
    if len(known) < 3 or float(known.std()) == 0.0:
        return 0.0, 0.0
    r = residual - known.mean()
    pairs = r[1:] * r[:-1]
    seen = np.isfinite(pairs)
    lag1 = float(pairs[seen].mean() / known.var()) if seen.any() else 0.0
    return float(known.std()), float(np.clip(lag1, 0.0, 0.9))


def decompose(
    history: History, horizon: int, occasions: Sequence[Occasion] = (), shifts: Sequence[LevelShift] = ()
) -> Components | None:
    """Fit Prophet with ``occasions`` and ``shifts`` as regressors.

    None where the parts cannot be told apart: too few values, nothing but one value, or values below zero.
    """
    y = history.y[-LONGEST[history.freq] :]
    z = history.scale.forward(y)
    known = z[np.isfinite(z)]
    if history.scale.signed or len(known) < LEAST[history.freq] or float(np.ptp(known)) < 1e-9:
        return None
    first = history.origin - (len(z) - 1) * step_of(history.freq)
    stamps = pd.date_range(first, periods=len(z) + horizon, freq=history.freq)
    plan = _Regressors.of(stamps, z, occasions, shifts)
    return plan.filled(_fit(history, stamps, z, plan), history, z)


# Trend and shapes on the modelled scale, and one coefficient a regressor.
Fitted = tuple[Floats, dict[str, Floats], dict[str, float]]


@dataclass(frozen=True)
class _Regressors:
    """Columns that Prophet is given: e0, e1, … for occasions, r0, r1, … for their ramps, s0, s1, … for shifts."""

    stamps: pd.DatetimeIndex
    occasions: tuple[tuple[Occasion, Floats, Floats, int], ...]
    shifts: tuple[Floats, ...]
    columns: Mapping[str, Floats] = field(default_factory=dict)

    @classmethod
    def of(
        cls, stamps: pd.DatetimeIndex, z: Floats, occasions: Sequence[Occasion], shifts: Sequence[LevelShift]
    ) -> _Regressors:
        found = tuple((o, *weights(stamps, o), seen_occurrences(stamps, z, o)) for o in occasions)
        steps = [np.asarray(stamps >= s.at, dtype=float) for s in shifts]
        kept = tuple(s for s in steps if _both_sides(s[: len(z)], z))
        learnt = {f"e{i}": inside for i, (_, inside, _, seen) in enumerate(found) if seen}
        learnt |= {f"r{i}": ramp for i, (_, _, ramp, seen) in enumerate(found) if seen and ramp[: len(z)].any()}
        return cls(stamps, found, kept, {**learnt, **{f"s{i}": s for i, s in enumerate(kept)}})

    def filled(self, fitted: Fitted, history: History, z: Floats) -> Components:
        """The components that a fit with these columns gives."""
        smooth, shapes, betas = fitted
        steps = np.zeros(len(smooth))
        for i, step in enumerate(self.shifts):
            steps += step * betas[f"s{i}"]
        bare = [
            Effect(occasion, inside, ramp, betas.get(f"e{i}", 0.0), betas.get(f"r{i}", 0.0), np.inf, seen)
            for i, (occasion, inside, ramp, seen) in enumerate(self.occasions)
        ]
        made = Components(history.freq, history.scale, self.stamps, z, smooth, steps, shapes, tuple(bare))
        return replace(made, effects=tuple(replace(e, error=_error(e, made)) for e in bare))


def _error(effect: Effect, parts: Components) -> float:
    """Standard error of an effect: the noise over its seen steps, those of one occurrence erring alike."""
    if not effect.occurrences:
        return float("inf")
    size, lag1 = parts.noise
    mass = float(effect.inside[: len(parts)][np.isfinite(parts.z)].sum())
    alike = min(max(1.0, mass / effect.occurrences), (1.0 + lag1) / (1.0 - lag1))
    return size * float(np.sqrt(alike / mass))


def _both_sides(step: Floats, z: Floats) -> bool:
    after = step[np.isfinite(z)]
    return bool(min(after.sum(), len(after) - after.sum()) >= SIDE_STEPS)


def weights(stamps: pd.DatetimeIndex, occasion: Occasion) -> tuple[Floats, Floats]:
    """(N,) steps inside a span, and how near to one the steps of its ramp on both sides are; both in [0, 1]."""
    step = step_of("h" if len(stamps) > 1 and stamps[1] - stamps[0] < pd.Timedelta(days=1) else "D")
    near = np.zeros(len(stamps))
    for start, end in occasion.spans:
        before = -np.asarray((stamps - start) / step, dtype=float)
        after = np.asarray((stamps - end) / step, dtype=float)
        away = np.maximum(np.maximum(before, after), 0.0)
        near = np.maximum(near, np.clip(1.0 - away / (occasion.ramp_steps + 1.0), 0.0, 1.0))
    inside = np.asarray(near == 1.0, dtype=float)
    return inside, np.where(inside > 0, 0.0, near)


def seen_occurrences(stamps: pd.DatetimeIndex, z: Floats, occasion: Occasion) -> int:
    """Past occurrences with at least one value seen inside."""
    past = stamps[: len(z)]
    seen = np.isfinite(z)
    return sum(bool(seen[past.searchsorted(a) : past.searchsorted(b, side="right")].any()) for a, b in occasion.spans)


def _fit(history: History, stamps: pd.DatetimeIndex, z: Floats, plan: _Regressors) -> Fitted:
    """Trend and shapes over all ``stamps``, and one coefficient a regressor, all on the modelled scale."""
    silence()
    from capacity.forecast._map_backend import by_numpy
    from capacity.forecast._prophet import Prophet

    silence()  # its import turns its own messages on again
    model: Any = Prophet(
        uncertainty_samples=0,
        yearly_seasonality=YEAR_TERMS if history.freq == "D" and len(z) >= DAYS_FOR_YEAR else False,
        weekly_seasonality=True,
        daily_seasonality=history.freq == "h",
    )
    for name in plan.columns:
        model.add_regressor(name, prior_scale=PRIOR_SCALE, standardize=False, mode="additive")
    frame = pd.DataFrame({"ds": stamps, **plan.columns})
    by_numpy(model).fit(frame.iloc[: len(z)].assign(y=z).dropna())
    return _parts(model, frame, list(plan.columns))


def _parts(model: Any, frame: pd.DataFrame, regressors: list[str]) -> Fitted:
    """Prophet's coefficients stand in the order seasonalities, regressors; its ``predict`` would make a table anew."""
    ready = model.setup_dataframe(frame.copy())
    beta, at, shapes = model.params["beta"][0] * model.y_scale, 0, {}
    for name, part in model.seasonalities.items():
        features = model.make_seasonality_features(ready["ds"], part["period"], part["fourier_order"], name)
        width = features.shape[1]
        shapes[name] = np.asarray(features.to_numpy() @ beta[at : at + width], dtype=float)
        at += width
    betas = {name: float(beta[at + i]) for i, name in enumerate(regressors)}
    return np.asarray(model.predict_trend(ready), dtype=float), shapes, betas
