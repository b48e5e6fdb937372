"""Which members to believe: scores at past origins, weights, and the combination that is used.

The combination is the error-weighted median of all members, unless Prophet or the seasonal naive forecast alone did
far better at past origins. Weights fall with the log error, which is shrunk to what is typical of the member over all
series of the call.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from capacity.domain import Floats, MemberScore
from capacity.forecast._study import OVERLAP, Study
from capacity.forecast.members import PROPHET, SEASONAL_NAIVE, family_of

COMBINATION = "combination"
# How strongly weights follow errors: by the length of the season (hours repeat more faithfully than weeks of days).
SHARPNESS = {"D": 6.0, "h": 8.0}
# Origins' worth of belief in the typical error of a member.
SHRINK_ORIGINS = 1.0
# An origin counts this much of the one after it: members that fail since a change of habits should lose soon.
RECENCY = 0.8
# Series' worth of belief that a member is neither better nor worse than the median one.
SHRINK_SERIES = 3.0
# Prophet or the seasonal naive forecast alone replaces the combination only where its error was below this share of the
# combination's at this many origins: past errors are noisy, and switching on small differences costs accuracy.
FAR_BETTER = 0.6
ORIGINS_TO_SWITCH = 3


@dataclass(frozen=True)
class Choice:
    """What is used for one series: medians at past origins (K, H) and now (H,), and why."""

    past: Floats
    final: Floats
    model: str
    reason: str
    scores: tuple[MemberScore, ...]


def absolute_errors(study: Study, medians: Floats) -> Floats:
    """(..., K) mean absolute error in the unit of the series, per past origin; ``medians`` (..., K, H)."""
    scale = study.history.scale
    return _mean_known(np.abs(scale.inverse(medians) - scale.inverse(study.truth)))


def relative_log_errors(study: Study) -> Floats:
    """(M, K) log of each member's error against the median member's at the same origin; NaN where not asked."""
    errors = absolute_errors(study, study.past)
    # A floor keeps a lucky perfect forecast of a quiet week from counting as infinitely good.
    floor = 0.02 * float(np.nanmean(errors)) if np.isfinite(errors).any() else 0.0
    logs = np.log(errors + floor + 1e-300)
    some = np.isfinite(logs).any(axis=0)
    middle = np.nanmedian(np.where(some, logs, 0.0), axis=0)
    return np.asarray(logs - middle, dtype=float)


def _mean_known(gaps: Floats) -> Floats:
    """Mean over the last axis of what is finite; NaN where nothing is."""
    seen = np.isfinite(gaps)
    count = seen.sum(axis=-1)
    total = np.where(seen, gaps, 0.0).sum(axis=-1)
    return np.asarray(np.where(count > 0, total / np.maximum(count, 1), np.nan), dtype=float)


def typical_errors(studies: Sequence[Study]) -> dict[str, float]:
    """Name -> mean log error over the series of the call, shrunk to that of the median member (0)."""
    seen: dict[str, list[float]] = {}
    for one in studies:
        for name, row in zip(one.names, relative_log_errors(one), strict=True):
            known = row[np.isfinite(row)]
            seen.setdefault(name, [])
            if len(known):
                seen[name].append(float(known.mean()))
    return {name: sum(values) / (len(values) + SHRINK_SERIES) for name, values in seen.items()}


def choose(study: Study, typical: dict[str, float]) -> Choice:
    """Score, weigh and combine; past medians use weights that did not see their own origin."""
    logs = relative_log_errors(study)
    base = np.array([typical[name] for name in study.names])
    count = len(study.origins)
    shares = _family_shares(study.names)
    past = np.full((count, study.horizon), np.nan)
    for k in range(count):
        # A forecast's weights must not have seen what it is judged by, nor origins that share days with it.
        past[k] = _combined(study.past[:, k], _believed(logs, base, leave_out=k), shares, study.history.freq)
    final_errors = _believed(logs, base)
    final = _combined(study.final, final_errors, shares, study.history.freq)
    errors = absolute_errors(study, study.past)
    scores = _scores(study, errors, absolute_errors(study, past))
    used = _used(study, scores)
    if used != COMBINATION:
        i = study.names.index(used)
        known = np.isfinite(study.past[i]).all(axis=1)
        past, final = np.where(known[:, None], study.past[i], past), study.final[i]
    top = [study.names[i] for i in np.argsort(final_errors, kind="stable")[:3]]
    return Choice(past, final, _model(used, top), _reason(study, used, scores, top), scores)


def weighted_median(values: Floats, weights: Floats) -> Floats:
    """(H,) median over members of ``values`` (M, H) under ``weights`` (M,), interpolated between neighbours."""
    order = np.argsort(values, axis=0, kind="stable")
    ordered = np.take_along_axis(values, order, axis=0)
    mass = weights[order]
    middle = np.cumsum(mass, axis=0) - mass / 2.0
    half = mass.sum(axis=0) / 2.0
    above = np.clip((middle < half).sum(axis=0), 0, len(values) - 1)
    below = np.maximum(above - 1, 0)
    columns = np.arange(values.shape[1])
    gap = middle[above, columns] - middle[below, columns]
    share = np.where(gap > 0, (half - middle[below, columns]) / np.where(gap > 0, gap, 1.0), 0.0)
    low, high = ordered[below, columns], ordered[above, columns]
    return np.asarray(low + np.clip(share, 0.0, 1.0) * (high - low), dtype=float)


def _believed(logs: Floats, base: Floats, leave_out: int | None = None) -> Floats:
    """(M,) log errors to weigh by: over origins (M, K), the recent ones more, shrunk to the typical (M,) ones."""
    weights = RECENCY ** np.arange(logs.shape[1])
    if leave_out is not None:
        weights[max(0, leave_out - OVERLAP + 1) : leave_out + OVERLAP] = 0.0
    known = np.isfinite(logs)
    total = (np.where(known, logs, 0.0) * weights).sum(axis=1) + SHRINK_ORIGINS * base
    return np.asarray(total / ((known * weights).sum(axis=1) + SHRINK_ORIGINS), dtype=float)


def _family_shares(names: Sequence[str]) -> Floats:
    """(M,) one over the size of each median's family: nine ridges that say the same count as one voice."""
    families = [family_of(name) for name in names]
    return np.array([1.0 / families.count(f) for f in families])


def _combined(medians: Floats, believed: Floats, shares: Floats, freq: str) -> Floats:
    """(H,) weighted median of the members of ``medians`` (M, H) that spoke."""
    spoke = np.isfinite(medians).all(axis=1)
    values, logs = medians[spoke], believed[spoke]
    return weighted_median(values, shares[spoke] * np.exp(-SHARPNESS[freq] * (logs - logs.min())))


def _scores(study: Study, errors: Floats, combined: Floats) -> tuple[MemberScore, ...]:
    """Scores of all members and the combination, the lowest error first; errors relative at common origins."""
    if not study.origins:
        return ()
    naive = errors[study.names.index(SEASONAL_NAIVE)]
    spread = seasonal_difference(study)
    rows = [*zip(study.names, errors, strict=True), (COMBINATION, combined)]
    scores = [_score(name, row, naive, spread) for name, row in rows if np.isfinite(row).any()]
    return tuple(sorted(scores, key=lambda s: (s.relative_mae, s.member)))


def _score(name: str, row: Floats, naive: Floats, spread: float) -> MemberScore:
    both = np.isfinite(row) & np.isfinite(naive)
    mine, its = float(row[both].mean()), float(naive[both].mean())
    relative = mine / its if its > 0 else (1.0 if mine == 0 else float("inf"))
    return MemberScore(
        name, min(relative, 1e6), min(mine / spread, 1e6) if spread > 0 else float(mine > 0), int(both.sum())
    )


def seasonal_difference(study: Study) -> float:
    """Mean absolute difference of a season, in the unit of the series (the denominator of MASE); 0 if unknown."""
    values = study.history.y
    m = study.history.upto(len(values)).period
    gaps = np.abs(values[m:] - values[:-m])
    known = gaps[np.isfinite(gaps)]
    return float(known.mean()) if len(known) else 0.0


def _used(study: Study, scores: tuple[MemberScore, ...]) -> str:
    if len(study.names) == 1:
        return study.names[0]
    by_name = {s.member: s for s in scores if s.origins >= ORIGINS_TO_SWITCH}
    rivals = [by_name[name] for name in (PROPHET, SEASONAL_NAIVE) if name in by_name]
    if not rivals or COMBINATION not in by_name:
        return COMBINATION
    best = min(rivals, key=lambda r: r.relative_mae)
    return best.member if best.relative_mae < FAR_BETTER * by_name[COMBINATION].relative_mae else COMBINATION


def _model(used: str, top: list[str]) -> str:
    return used if used != COMBINATION else "combination of " + ", ".join(top)


def _reason(study: Study, used: str, scores: tuple[MemberScore, ...], top: list[str]) -> str:
    by_name = {s.member: s for s in scores}
    if COMBINATION not in by_name:
        known = len(study.history)
        return f"too short to look back ({known} points): the median of simple forecasts, spread from experience"
    own = by_name[COMBINATION]
    parts = [
        f"over {own.origins} past origins the combination (mostly {', '.join(top)}) "
        f"erred {own.relative_mae:.2f} x the seasonal naive forecast"
    ]
    if PROPHET in by_name:
        parts.append(f"Prophet {by_name[PROPHET].relative_mae:.2f} x ({by_name[PROPHET].origins} origins)")
    else:
        parts.append("Prophet has no score (too little history for it at any past origin)")
    what = {COMBINATION: "the combination", PROPHET: "Prophet", SEASONAL_NAIVE: "the seasonal naive forecast"}
    return "; ".join(parts) + f"; so {what.get(used, used)} is used"
