"""The choice among whole months: bundles of a unit's month are columns of a master of their own.

Quotas count what a month provisions, so here every column is a whole month, its vCPU counted truly. Bundles are grown
at several prices of a vCPU, then bettered step by step at the master's duals (``_nearby``) until these settle; what
months cost at least is proven beside (``_months_proof``).
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

import numpy as np

from capacity.domain import Floats
from capacity.optimize._beside import spread_out
from capacity.optimize._clock import Deadline, TimeIsUp
from capacity.optimize.columns._among import counts_among
from capacity.optimize.columns._bettered import better_bundles
from capacity.optimize.columns._bundles import Bundle, bundles_of, first_prices
from capacity.optimize.columns._choice import CHOICE_SHARE, Choice, Searcher, choose
from capacity.optimize.columns._coupling import lane_prices
from capacity.optimize.columns._covers import Covers
from capacity.optimize.columns._lanes import Counts, Lanes, lost_demand
from capacity.optimize.columns._master import Table
from capacity.optimize.columns._month import is_free
from capacity.optimize.columns._month_options import Months, cheapest_bundles, join_bundle
from capacity.optimize.columns._months_proof import prove_months
from capacity.optimize.columns._part import Part
from capacity.optimize.columns._quotas import Key, month_lanes, quotas_hold
from capacity.optimize.columns.rounds import frugal_covers

# After the limit: for the relaxed choice to be rounded.
ROUNDING_SECONDS = 0.4
# Of what time is left: until when bundles are bettered, the dearest months searched among the others, months proven.
_BETTER_UNTIL, _DIVED_UNTIL, _PROOF_UNTIL = 0.4, 0.6, 0.9
# Months that are searched among all others at most, the dearest first, and seconds for each.
_DIVES, _DIVE_SECONDS = 8, 3.0
# Bundles of a month that are left to the next solve.
_LEFT = 6
# Months that one job grows bundles of.
_GROWN_OF_JOB = 6


def choose_months(
    part: Part, free: dict[Key, Bundle | None], search: Searcher, until: float, gap_frac: float
) -> tuple[dict[Key, Bundle | None], Choice] | None:
    """Choose among whole months, where lanes that each took their cheapest cover overfill a quota (``part.broken``).

    ``free`` is what that choice made of each month. ``part.bound`` is lifted where more can be proven.
    None where no choice keeps the quotas.
    """
    if part.relaxed is None:
        return None
    began = part.ends.clock()
    months = Months(part, list(free))
    _grow(months, free, part.relaxed.duals)
    if {k for k, _ in months.options} != set(free) or not months.solve(max(until - began, 1.0)):
        return None
    span = until - began
    centre = better_bundles(
        months, [k for k in months.keys if _is_open(part, k)], began + _BETTER_UNTIL * span, gap_frac
    )
    # At hand whatever the proof takes.
    looked_at: set[Key] = set()
    choice = _dived(months, looked_at, search, began + _DIVED_UNTIL * span, gap_frac)
    if centre is not None:
        with suppress(TimeIsUp):
            prove_months(months, centre, began + _PROOF_UNTIL * span, gap_frac)
            choice = _better_of(choice, _dived(months, looked_at, search, until, gap_frac))
    _leave_behind(months)
    if choice is None:
        return None
    bundles = _bundles_of(months, choice)
    return (bundles, choice) if quotas_hold(part, bundles) else None


def _dived(months: Months, looked_at: set[Key], search: Searcher, until: float, gap_frac: float) -> Choice | None:
    """The choice among bundles, made again after each dear month that was searched among all others."""
    choice = _chosen(months, search, until, gap_frac)
    for _ in range(_DIVES):
        late = months.part.ends.clock() > until
        if choice is None or late or not _is_worth(months, choice, gap_frac):
            break
        if _dive(months, looked_at, until) and months.solve(months.part.ends.left):
            choice = _better_of(choice, _chosen(months, search, until, gap_frac))
    return choice


def _better_of(choice: Choice | None, other: Choice | None) -> Choice | None:
    return other if other is not None and (choice is None or other.usd <= choice.usd) else choice


def _leave_behind(months: Months) -> None:
    """The cheapest bundles of each month that a quota minds, for the next solve."""
    part = months.part
    part.bundles = {}
    if months.relaxed is not None:
        best = cheapest_bundles(months, months.relaxed.duals)
        part.bundles = {key: [b for _, b in own[:_LEFT]] for key, own in best.items() if _is_open(part, key)}


def _chosen(months: Months, search: Searcher, until: float, gap_frac: float) -> Choice | None:
    """One bundle a month, by a MIP over all of them."""
    part, relaxed = months.part, months.relaxed
    if relaxed is None:
        return None
    last = max(until, min(part.ends.clock() + 1.0, part.ends.at - ROUNDING_SECONDS))
    table = months.table()
    weights = np.zeros(len(table))
    weights[: len(relaxed.columns)] = relaxed.columns[: len(table)]
    return choose(part.coupling, table, weights, search, last, CHOICE_SHARE * gap_frac, part.ends.clock)


def _bundles_of(months: Months, choice: Choice) -> dict[Key, Bundle | None]:
    owners = [key for key, _ in months.options]
    options = [*months.options.values()]
    return {owners[c]: options[c] for c in choice.columns}


def _is_worth(months: Months, choice: Choice, gap_frac: float) -> bool:
    """Whether the choice is so far above the relaxed one that other bundles may be worth it."""
    relaxed = months.relaxed
    return relaxed is not None and choice.usd - relaxed.usd > 2 * CHOICE_SHARE * gap_frac * abs(relaxed.usd)


def _dive(months: Months, looked_at: set[Key], until: float) -> bool:
    """A better bundle for the dearest month that the relaxed choice takes parts of (``_among``); whether it is new."""
    part, relaxed = months.part, months.relaxed
    if relaxed is None:
        return False
    table = months.table()
    weight = relaxed.columns[: len(table)]
    parted = np.unique(table.lane[: len(weight)][(weight > 1e-6) & (weight < 1 - 1e-6)])
    least = {months.keys[g]: float(table.cost[table.lane == g].min()) for g in parted}
    open_ = [k for k in least if k not in looked_at and is_free(part.units[k[0]], _lanes_of(part, k))]
    if not open_:
        return False
    key = max(open_, key=lambda k: (least[k], k))
    looked_at.add(key)
    seconds = min(until - part.ends.clock(), _DIVE_SECONDS, part.ends.left)
    found = counts_among(months, key, relaxed.duals, seconds)
    size = len(months.options)
    if found is not None:
        join_bundle(months, key, *found)
    return len(months.options) > size


def _lanes_of(part: Part, key: Key) -> Counts:
    return np.flatnonzero(part.units[key[0]].months == key[1])


# --- bundles -----------------------------------------------------------------------------------------------


def _grow(months: Months, free: dict[Key, Bundle | None], duals: Floats) -> None:
    """The first bundles of every unit's month, at several prices of a provisioned vCPU."""
    part = months.part
    columns = part.master.table()
    by_lane = np.argsort(columns.lane, kind="stable")
    edges = np.searchsorted(columns.lane[by_lane], np.arange(part.lanes + 1))
    without = np.where([name[0] in ("quota", "spot quota") for name in part.coupling.names], 0.0, duals)
    wanted = {(at, t) for at, u in enumerate(part.units) for t, _ in month_lanes(u) if _is_grown(part, free, at, t)}
    frugal = frugal_covers(part, without, {at for at, _ in wanted})
    jobs = list[_Growing]()
    for at, u in enumerate(part.units):
        prices = lane_prices(part.coupling, u, without)
        for t, lanes in month_lanes(u):
            part.ends.check()
            known = free[at, t]
            own = part.bundles.get((at, t), []) + ([] if known is None else [known])
            if (at, t) in wanted:
                offset = int(part.offsets[at])
                found = [by_lane[edges[offset + int(k)] : edges[offset + int(k) + 1]] for k in lanes]
                further = [
                    _with(_counts_of(columns, c, len(u.types)), frugal.get((at, int(k)), []))
                    for c, k in zip(found, lanes, strict=True)
                ]
                scarce = first_prices(u, lanes, (part.coupling.quota_row[u.s][:, t] >= 0).astype(float))
                lost = lost_demand(part.fleet, u, t)
                jobs.append(_Growing((at, t), part.covers[u.s], prices, further, scarce, own, lost))
            for b in own if (at, t) not in wanted else ():
                months.add((at, t), b)
    for job, grown in zip(jobs, spread_out(_grown, part.units, jobs, _GROWN_OF_JOB, part.ends), strict=True):
        for b in grown:
            months.add(job.key, b)


@dataclass(frozen=True)
class _Growing:
    """What bundles of a month are grown from; see :func:`bundles_of`."""

    key: Key
    covers: list[Covers]
    prices: tuple[Floats, Floats]
    further: list[tuple[Counts, Counts]]
    scarce: list[Floats]
    known: list[Bundle]
    lost: float


def _grown(units: Sequence[Lanes], some: Sequence[_Growing], ends: Deadline) -> list[list[Bundle]]:
    out = []
    for job in some:
        ends.check()
        u = units[job.key[0]]
        lanes = np.flatnonzero(u.months == job.key[1])
        out.append(bundles_of(u, lanes, job.covers, job.prices, job.further, job.scarce, job.known, job.lost))
    return out


def _is_grown(part: Part, free: dict[Key, Bundle | None], at: int, t: int) -> bool:
    """Whether bundles are grown of a month: what an earlier solve left behind is as good."""
    return (free[at, t] is None or _concerned(part, part.units[at], t)) and (at, t) not in part.bundles


def _with(known: tuple[Counts, Counts], more: list[Counts]) -> tuple[Counts, Counts]:
    if not more:
        return known
    return np.concatenate([known[0], np.array(more)]), np.concatenate([known[1], np.zeros_like(np.array(more))])


def _counts_of(table: Table, columns: Counts, types: int) -> tuple[Counts, Counts]:
    if not len(columns):
        return np.zeros((0, types), dtype=np.int64), np.zeros((0, types), dtype=np.int64)
    return np.array([table.running[int(c)] for c in columns]), np.array([table.spot[int(c)] for c in columns])


def _concerned(part: Part, u: Lanes, t: int) -> bool:
    """Whether a quota that a free choice would overfill counts the unit."""
    rows = np.concatenate([part.coupling.quota_row[u.s][:, t], part.coupling.spot_quota_row[u.s][:, t]])
    return bool(np.isin(rows, sorted(part.broken)).any())


def _is_open(part: Part, key: Key) -> bool:
    u, t = part.units[key[0]], key[1]
    return _concerned(part, u, t) and is_free(u, _lanes_of(part, key))
