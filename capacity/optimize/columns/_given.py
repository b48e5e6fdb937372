"""Lanes of months whose provisioned counts are given (pinned): what runs is at most these, so all choices are listed.

A pinned month of a unit that does not follow its load runs what it provisions. One that does runs any part of it that
holds the load: few instances of few types, whose every combination is priced.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from capacity.domain import Floats
from capacity.optimize.columns._lanes import Counts, Lanes, follows_load

# Combinations of counts of a month that are listed at most.
_MOST_CHOICES = 20_000
_WHOLE = 1e-9


@dataclass(frozen=True)
class Given:
    """Lanes (N,) of a unit, the least each costs in USD, exactly, and its counts on demand (N, I)."""

    lanes: Counts
    usd: Floats
    running: Counts


def given_lanes(u: Lanes, usd: Floats, some: Counts | None = None) -> Given:
    """Pinned lanes (of ``some`` only) at prices ``usd`` (I, L), the switching penalty with it.

    Those of too many choices are left out, and those whose counts do not hold their load.
    """
    lanes, cost, running = [], [], []
    fixed = u.fixed & (not u.requirement.vertical)
    if some is not None:
        fixed &= np.isin(np.arange(len(fixed)), some)
    for t in np.unique(u.months[fixed]):
        here = np.flatnonzero(fixed & (u.months == t))
        choices = _choices(u, here)
        if choices is None:
            continue
        value = np.where(_allowed(u, choices, here), choices @ usd[:, here] + _left(u, choices, here), np.inf)
        best = value.argmin(axis=0)
        least = value[best, np.arange(len(here))]
        some = np.isfinite(least)
        lanes.append(here[some])
        cost.append(least[some])
        running.append(choices[best[some]])
    if not lanes:
        return Given(np.zeros(0, dtype=np.int64), np.zeros(0), np.zeros((0, len(u.types)), dtype=np.int64))
    return Given(np.concatenate(lanes), np.concatenate(cost), np.concatenate(running))


def _choices(u: Lanes, lanes: Counts) -> Counts | None:
    """(N, I) counts a zone that may run in a pinned month; None where they are too many."""
    most = u.most[:, lanes[0]]
    if not follows_load(u.requirement):
        return most[None, :]
    types = np.flatnonzero(most)
    if np.prod(most[types] + 1.0) > _MOST_CHOICES:
        return None
    shape = tuple(int(m) + 1 for m in most[types])
    out = np.zeros((int(np.prod(shape)), len(most)), dtype=np.int64)
    if len(types):
        out[:, types] = np.indices(shape).reshape(len(types), -1).T
    return out


def _allowed(u: Lanes, choices: Counts, lanes: Counts) -> np.ndarray[tuple[int, int], np.dtype[np.bool_]]:
    """(N, K) whether counts keep every requirement of a lane."""
    held = choices @ u.weight.T
    out = (held[:, :, None] >= u.need[None, :, lanes] * (1 - _WHOLE)).all(axis=1)
    out &= (choices.sum(axis=1) >= u.requirement.min_per_zone)[:, None]
    out &= (choices > 0).sum(axis=1)[:, None] >= u.least_types[lanes][None, :]
    return np.asarray(out, dtype=bool)


def _left(u: Lanes, choices: Counts, lanes: Counts) -> Floats:
    """(N, K) switching penalty."""
    left = np.maximum(u.runs[None, :] - u.requirement.zones * choices, 0)
    return np.asarray(left @ u.leave_usd[:, lanes], dtype=float)
