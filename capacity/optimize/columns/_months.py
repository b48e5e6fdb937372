"""The choice among whole months: bundles of a unit's month are columns of a master of their own.

Quotas count what a month provisions, so here every column is a whole month, its vCPU counted truly. Bundles are grown
at several prices of a vCPU, then bettered step by step at the master's duals (``_nearby``) until these settle; what
months cost at least is proven beside (``_months_proof``).
"""

from __future__ import annotations

import math
from contextlib import suppress

import numpy as np

from capacity.domain import Floats
from capacity.optimize._clock import TimeIsUp
from capacity.optimize.columns._among import counts_among
from capacity.optimize.columns._bundles import Bundle, bundles_of, first_prices
from capacity.optimize.columns._choice import CHOICE_SHARE, Choice, Searcher, choose
from capacity.optimize.columns._coupling import lane_prices
from capacity.optimize.columns._lanes import Counts, Lanes
from capacity.optimize.columns._master import Table, lagrangian_usd
from capacity.optimize.columns._month import is_free, lost_demand, month_prices, solve_month
from capacity.optimize.columns._month_options import Months, cheapest_bundles, join_bundle
from capacity.optimize.columns._months_proof import prove_months
from capacity.optimize.columns._nearby import best_inside, improved, month_of
from capacity.optimize.columns._part import Part
from capacity.optimize.columns._quotas import Key, month_lanes, quotas_hold
from capacity.optimize.columns.rounds import frugal_covers

# After the limit: for the relaxed choice to be rounded.
ROUNDING_SECONDS = 0.4
# Of what time is left: until when bundles are bettered, the dearest months searched among the others, months proven.
_BETTER_UNTIL, _DIVED_UNTIL, _PROOF_UNTIL = 0.4, 0.6, 0.9
_ROUNDS = 12
# Months that are searched among all others at most, the dearest first, and seconds for each.
_DIVES, _DIVE_SECONDS = 8, 3.0
# Bundles of a month that are bettered in a round (twice as many in the first), of so many that are cheapest then.
_STARTS, _LOOKED_AT = 1, 4
# Bundles of a month that are left to the next solve.
_LEFT = 6
# How far from the best duals to the master's months are priced.
_TOWARDS = 0.5
# For a month whose fleets have too many parts to be bettered step by step, in every third round.
_LARGE_SECONDS, _LARGE_ROUNDS = 0.6, 3
# Rounds end where one more betters the relaxed choice by no more than this share of the gap that is asked for.
_SETTLED_SHARE = 0.1


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
    centre = _better(months, began + _BETTER_UNTIL * span, gap_frac)
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
                own = bundles_of(part.fleet, u, lanes, part.covers[u.s], prices, further, scarce, own)
            for b in own:
                months.add((at, t), b)


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


def _better(months: Months, until: float, gap_frac: float) -> Floats | None:
    """Better the cheapest bundles of every month until the duals settle or time is up; the duals that prove most.

    Months are priced halfway between the master's duals and the best so far: the master's own jump from round to round.
    """
    part = months.part
    keys = [k for k in months.keys if _is_open(part, k)]
    # What lanes prove at their best duals, months prove there too.
    centre, centre_usd = (part.duals, part.bound) if math.isfinite(part.bound) else (None, -math.inf)
    for number in range(_ROUNDS):
        relaxed = months.relaxed
        if relaxed is None or part.ends.clock() > until:
            break
        centre = relaxed.duals if centre is None else centre
        duals = centre + _TOWARDS * (relaxed.duals - centre)
        known = cheapest_bundles(months, duals)
        least = {k: own[0][0] for k, own in known.items()}
        for key in keys:
            if part.ends.clock() > until:
                break
            # What an earlier solve left behind is bettered already.
            turn = max(number, int(key in part.bundles))
            least[key] = min(least[key], _better_month(months, key, known[key], duals, turn))
        value = lagrangian_usd(part.coupling, duals, np.array([*least.values()]))
        if value > centre_usd:
            centre, centre_usd = duals, value
        if not months.solve(max(until - part.ends.clock(), 1.0)):
            break
        if months.relaxed is not None and months.relaxed.usd - centre_usd <= _SETTLED_SHARE * gap_frac * abs(
            centre_usd
        ):
            break
    return centre


def _is_open(part: Part, key: Key) -> bool:
    u, t = part.units[key[0]], key[1]
    return _concerned(part, u, t) and is_free(u, _lanes_of(part, key))


def _better_month(months: Months, key: Key, known: list[tuple[float, Bundle]], duals: Floats, number: int) -> float:
    """What the best bundle costs at ``duals`` of those that were found from the cheapest ``known`` ones."""
    part = months.part
    u, t = part.units[key[0]], key[1]
    lanes = np.flatnonzero(u.months == t)
    prices = month_prices(part.coupling, u, t, lanes, duals)
    lost = lost_demand(part.fleet, u, t)
    starts = [(b.provisioned, b.spot) for _, b in known[:_LOOKED_AT]]
    if number == 0:
        starts = [(f, np.zeros_like(known[0][1].spot)) for f in _alone(u, lanes, prices.each_usd)] + starts
    best, tried = math.inf, 0
    for fleet, spot in starts:
        m = month_of(u, lanes, prices.usd, prices.each_usd, spot, lost)
        inside = best_inside(m, fleet) if tried < (_STARTS if number else 2 * _STARTS) else None
        if inside is None:
            continue
        tried += 1
        usd, running, _ = improved(m, fleet, inside[0]) or (*inside, fleet)
        best = min(best, usd + prices.of_spot(spot))
        join_bundle(months, key, running, spot)
    if not tried and number % _LARGE_ROUNDS == 0:
        b, seconds = known[0][1], min(_LARGE_SECONDS, part.ends.left)
        found = solve_month(u, lanes, prices, lost, (b.running, b.spot, b.provisioned), seconds, (1e-6, 5e-3))
        if found is not None:
            best = found[0]
            join_bundle(months, key, found[1], found[2])
    return best


def _alone(u: Lanes, lanes: Counts, each_usd: Floats) -> list[Counts]:
    """The cheapest fleets of one type that hold all of a month, with one each of others where variety is asked for."""
    need = u.need[:, lanes].max(axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        count = np.where(need[:, None] > 0, np.ceil(need[:, None] / u.weight * (1 - 1e-9)), 0.0).max(axis=0)
    count = np.maximum(count, max(u.requirement.min_per_zone, 1))
    usd = np.where(count <= u.requirement.max_per_zone, count * (u.usd * u.hours[lanes].sum() + each_usd), math.inf)
    others = [int(i) for i in np.argsort(u.usd, kind="stable")]
    out = []
    for i in np.argsort(usd, kind="stable")[:_STARTS]:
        if np.isfinite(usd[i]):
            fleet = np.zeros(len(u.types), dtype=np.int64)
            fleet[[k for k in others if k != i][: max(int(u.least_types[lanes].max()) - 1, 0)]] = 1
            fleet[i] = int(count[i])
            out.append(fleet)
    return out
