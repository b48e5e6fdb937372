"""The choice among whole months: bundles of a unit's month are columns of a master of their own.

Quotas count what a month provisions, so here every column is a whole month, its vCPU counted truly. Bundles are grown
at several prices of a vCPU, then bettered step by step at the master's duals (``_nearby``) until these settle; what
months cost at least at the best duals is proven by lanes and, where these prove too little, by small MIPs (``_month``).
"""

from __future__ import annotations

import math
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial

import numpy as np

from capacity.domain import Floats
from capacity.optimize.columns._bound import least_costs
from capacity.optimize.columns._bundles import Bundle, bundles_of, first_prices, month_rows, provisioned
from capacity.optimize.columns._choice import Choice, Searcher, choose, reduced_costs, sub_table
from capacity.optimize.columns._coupling import lane_prices
from capacity.optimize.columns._exact import AT_ONCE, Solved
from capacity.optimize.columns._lanes import Counts, Lanes
from capacity.optimize.columns._master import Master, Relaxed, Table, joined, lagrangian_usd, table_of
from capacity.optimize.columns._month import Floor, is_free, lost_demand, month_prices, solve_month
from capacity.optimize.columns._nearby import best_inside, improved, month_of
from capacity.optimize.columns._part import Part
from capacity.optimize.columns._quotas import Key, month_lanes, quotas_hold
from capacity.optimize.columns._split import concerned, split
from capacity.optimize.columns.rounds import cells_of, cheapest, frugal_covers

# Of the gap that is asked for, what the last choice may use.
CHOICE_SHARE = 0.3
# After the limit: for the relaxed choice to be rounded.
ROUNDING_SECONDS = 0.4
# Of what time is left: until when bundles are bettered, and months proven.
_BETTER_UNTIL, _PROOF_UNTIL = 0.4, 0.8
_ROUNDS = 12
# Times that the last choice is made again, with bundles of so many months that fit it, found in so many rounds.
_DIVES, _DIVED, _DIVE_ROUNDS, _DIVE_SECONDS = 3, 6, 3, 2.0
# How far from the duals that prove most, were every month known, to those that prove most of lanes apart: months are
# known the less, the dearer a quota is.
_PROVE_AT = 0.35
# Seconds for each month in turn, then for those that are still known least.
_MIP_SECONDS = (0.1, 0.4, 1.5)
# A month is known well enough at this share of the gap that is asked for.
_CLOSE_SHARE = 0.2
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


@dataclass
class _Months:
    """Bundles found so far, by unit (its position) and month; the master's optimum over them."""

    part: Part
    keys: list[Key]
    options: dict[tuple[Key, bytes], Bundle] = field(default_factory=dict)
    tables: dict[tuple[Key, bytes], Table] = field(default_factory=dict)
    relaxed: Relaxed | None = None

    def __post_init__(self) -> None:
        self.group = {key: g for g, key in enumerate(self.keys)}

    def add(self, key: Key, b: Bundle) -> bool:
        """Whether it is new."""
        name = (key, b.running.tobytes() + b.spot.tobytes() + b.provisioned.tobytes())
        if name in self.options:
            return False
        self.options[name] = b
        self.tables[name] = _bundle_table(self.part, self.group[key], key, b)
        return True

    def table(self) -> Table:
        return joined([self.tables[name] for name in self.options])

    def solve(self, seconds: float) -> bool:
        """Solve the master over all bundles; False where time ended it."""
        master = Master(self.part.coupling, len(self.keys), self.part.master.seed)
        master.add(self.table())
        found = master.solve(min(seconds, self.part.ends.left))
        self.relaxed = found or self.relaxed
        return found is not None


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
    months = _Months(part, list(free))
    _grow(months, free, part.relaxed.duals)
    if {k for k, _ in months.options} != set(free) or not months.solve(max(until - began, 1.0)):
        return None
    span = until - began
    centre = _better(months, began + _BETTER_UNTIL * span, gap_frac)
    if centre is not None:
        _prove(months, centre + _PROVE_AT * (part.relaxed.duals - centre), began + _PROOF_UNTIL * span, gap_frac)
    choice = _chosen(months, search, until, gap_frac)
    for _ in range(_DIVES):
        left = until - part.ends.clock()
        if choice is None or left < _DIVE_SECONDS or not _dive(months, choice, gap_frac):
            break
        other = _chosen(months, search, until, gap_frac)
        choice = other if other is not None and other.usd <= choice.usd else choice
    _leave_behind(months)
    if choice is None:
        return None
    bundles = _bundles_of(months, choice)
    return (bundles, choice) if quotas_hold(part, bundles) else None


def _leave_behind(months: _Months) -> None:
    """The cheapest bundles of each month that a quota minds, for the next solve."""
    part = months.part
    part.bundles = {}
    if months.relaxed is not None:
        best = _cheapest_bundles(months, months.relaxed.duals)
        part.bundles = {key: [b for _, b in own[:_LEFT]] for key, own in best.items() if _is_open(part, key)}


def _chosen(months: _Months, search: Searcher, until: float, gap_frac: float) -> Choice | None:
    """One bundle a month, by a MIP over all of them."""
    part, relaxed = months.part, months.relaxed
    if relaxed is None:
        return None
    last = max(until, min(part.ends.clock() + 1.0, part.ends.at - ROUNDING_SECONDS))
    table = months.table()
    weights = np.zeros(len(table))
    weights[: len(relaxed.columns)] = relaxed.columns[: len(table)]
    return choose(part.coupling, table, weights, search, last, CHOICE_SHARE * gap_frac, part.ends.clock)


def _bundles_of(months: _Months, choice: Choice) -> dict[Key, Bundle | None]:
    owners = [key for key, _ in months.options]
    options = [*months.options.values()]
    return {owners[c]: options[c] for c in choice.columns}


def _dive(months: _Months, choice: Choice, gap_frac: float) -> bool:
    """Bundles for the months that the relaxed choice takes parts of, at duals with all others as they were chosen.

    A large service has few bundles, and what one of these leaves to all others may fit badly. Whether it was worth it.
    """
    part, relaxed = months.part, months.relaxed
    if relaxed is None or choice.usd - relaxed.usd <= 2 * CHOICE_SHARE * gap_frac * abs(relaxed.usd):
        return False
    table, before = months.table(), len(months.options)
    weight = relaxed.columns[: len(table)]
    parted = np.unique(table.lane[: len(weight)][(weight > 1e-6) & (weight < 1 - 1e-6)])
    least = [float(table.cost[table.lane == g].min()) for g in parted]
    wanted = [int(parted[k]) for k in np.argsort([-x for x in least], kind="stable")[:_DIVED]]
    taken = {int(table.lane[c]): c for c in choice.columns}
    for _ in range(_DIVE_ROUNDS):
        table = months.table()
        fixed = np.array([g not in wanted for g in range(len(months.keys))])
        kept = ~fixed[table.lane]
        kept[[c for g, c in taken.items() if fixed[g]]] = True
        master = Master(part.coupling, len(months.keys), part.master.seed)
        master.add(sub_table(table, np.flatnonzero(kept)))
        found = master.solve(part.ends.left)
        if found is None:
            break
        known, size = _cheapest_bundles(months, found.duals), len(months.options)
        for g in wanted:
            _better_month(months, months.keys[g], known[months.keys[g]], found.duals, 0)
        if len(months.options) == size:
            break
    return len(months.options) > before and months.solve(part.ends.left)


# --- bundles -----------------------------------------------------------------------------------------------


def _grow(months: _Months, free: dict[Key, Bundle | None], duals: Floats) -> None:
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


def _bundle_table(part: Part, group: int, key: Key, b: Bundle) -> Table:
    """A bundle as a column: the sum of its lanes, with the true vCPU in place of the largest lane's."""
    month_names = {"quota", "spot quota", "unused"}
    u, t = part.units[key[0]], key[1]
    own = table_of(part.coupling, u, 0, np.flatnonzero(u.months == t), b.running, b.spot)
    entries: dict[int, float] = {}
    for row, value in zip(own.row, own.value, strict=True):
        if part.coupling.names[row][0] not in month_names:
            entries[int(row)] = entries.get(int(row), 0.0) + float(value)
    entries |= month_rows(part.coupling, u, t, b)
    rows = np.array(sorted(entries), dtype=np.int64)
    values = np.array([entries[int(r)] for r in rows])
    nothing = np.zeros(1, dtype=np.int64)
    return Table(
        np.array([group]), [nothing], [nothing], np.array([own.cost.sum()]), np.array([0, len(rows)]), rows, values,
    )  # fmt: skip


def _better(months: _Months, until: float, gap_frac: float) -> Floats | None:
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
        known = _cheapest_bundles(months, duals)
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
    return _concerned(part, u, t) and is_free(u, np.flatnonzero(u.months == t))


def _cheapest_bundles(months: _Months, duals: Floats) -> dict[Key, list[tuple[float, Bundle]]]:
    """Bundles of each month from the cheapest at the duals, with what they cost then."""
    usd = reduced_costs(months.table(), months.part.coupling, duals)
    out: dict[Key, list[tuple[float, Bundle]]] = {key: [] for key in months.keys}
    for ((key, _), b), each in zip(months.options.items(), usd, strict=True):
        out[key].append((float(each), b))
    for own in out.values():
        own.sort(key=lambda p: p[0])
    return out


def _better_month(months: _Months, key: Key, known: list[tuple[float, Bundle]], duals: Floats, number: int) -> float:
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
        best = min(best, usd)
        _join(months, key, running, spot)
    if not tried and number % _LARGE_ROUNDS == 0:
        b, seconds = known[0][1], min(_LARGE_SECONDS, part.ends.left)
        found = solve_month(u, lanes, prices, lost, (b.running, b.spot, b.provisioned), seconds, (1e-6, 5e-3))
        if found is not None:
            best = found[0]
            _join(months, key, found[1], found[2])
    return best


def _join(months: _Months, key: Key, running: Counts, spot: Counts) -> None:
    """Add counts of a month as a bundle where they keep every requirement."""
    part = months.part
    u = part.units[key[0]]
    lanes = np.flatnonzero(u.months == key[1])
    if _allows(u, lanes, running, spot):
        n = provisioned(part.fleet, u, lanes, running, spot)
        if n is not None:
            months.add(key, Bundle(running, spot, n))


def _allows(u: Lanes, lanes: Counts, running: Counts, spot: Counts) -> bool:
    """Whether counts (K, I) of ``lanes`` keep every requirement of theirs."""
    whole = np.zeros((len(u.hours), len(u.types)), dtype=np.int64)
    bought = whole.copy()
    whole[lanes], bought[lanes] = running, spot
    return bool(u.allows(whole, bought)[lanes].all())


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


# --- what is proven ----------------------------------------------------------------------------------------


def _prove(months: _Months, duals: Floats, until: float, gap_frac: float) -> None:
    """Lift ``part.bound`` by what months cost at least at ``duals``; what is found on the way joins the bundles."""
    part, relaxed = months.part, months.relaxed
    if relaxed is None or relaxed.usd - part.bound <= (1 - CHOICE_SHARE) * gap_frac * abs(relaxed.usd):
        return
    part.duals = duals
    best = _cheapest_bundles(months, duals)
    for at, u in enumerate(part.units):
        if concerned(part.coupling, u, duals):
            part.ends.check()
            above = {t: best[at, t][0][0] for t, _ in month_lanes(u)}
            split(part.coupling, u, duals, partial(cheapest, u, part.covers[u.s]), above)
    prices = [lane_prices(part.coupling, u, duals) for u in part.units]
    least = least_costs(part.units, prices, cells_of(part), part.ends)
    part.bound = max(part.bound, lagrangian_usd(part.coupling, duals, least))
    _prove_months(months, _Known(duals, prices, least, best), until, gap_frac)
    part.history.append((relaxed.usd, part.bound))
    months.solve(max(until - part.ends.clock(), 1.0))


@dataclass(frozen=True)
class _Known:
    """At ``duals``: prices of each unit's lanes, what each lane costs at least, and each month's bundles by cost."""

    duals: Floats
    prices: list[tuple[Floats, Floats]]
    least: Floats
    best: dict[Key, list[tuple[float, Bundle]]]


def _prove_months(months: _Months, known: _Known, until: float, gap_frac: float) -> None:
    """Small MIPs of the months that are known least: a moment each, then more for those that still are."""
    part, relaxed = months.part, months.relaxed
    if relaxed is None:
        return
    places = {(at, t): int(part.offsets[at]) + lanes for at, u in enumerate(part.units) for t, lanes in month_lanes(u)}
    slack = {
        key: known.best[key][0][0] - float(known.least[places[key]].sum())
        for key in months.keys
        if is_free(part.units[key[0]], places[key] - int(part.offsets[key[0]]))
    }
    proven = lagrangian_usd(part.coupling, known.duals, known.least)
    aim = (1 - CHOICE_SHARE) * gap_frac * abs(relaxed.usd)
    each = aim / max(len(slack), 1)
    gaps = (_CLOSE_SHARE * each, _CLOSE_SHARE * gap_frac)
    with ThreadPoolExecutor(AT_ONCE) as pool:
        for seconds in _MIP_SECONDS:
            order = sorted(slack, key=lambda k: (-slack[k], k))
            for some in (order[n : n + AT_ONCE] for n in range(0, len(order), AT_ONCE)):
                late = part.ends.clock() > until
                if late or relaxed.usd - proven <= aim or slack[some[0]] <= gaps[0]:
                    break
                solved = partial(_solved, part, known, min(seconds, part.ends.left), gaps)
                for key, found in zip(some, pool.map(solved, some), strict=True):
                    lifted = _lifted(months, key, known, slack[key], found)
                    slack[key] -= lifted
                    proven += lifted
                part.bound = max(part.bound, proven)


def _solved(part: Part, known: _Known, seconds: float, gaps: tuple[float, float], key: Key) -> Solved | None:
    """A month's small MIP, from its cheapest bundle and from what its lanes cost at least."""
    b = known.best[key][0][1]
    u, t = part.units[key[0]], key[1]
    lanes = np.flatnonzero(u.months == t)
    on_demand, spot = known.prices[key[0]]
    return solve_month(
        u, lanes, month_prices(part.coupling, u, t, lanes, known.duals), lost_demand(part.fleet, u, t),
        (b.running, b.spot, b.provisioned), seconds, gaps,
        Floor(on_demand[:, lanes], spot[:, lanes], known.least[int(part.offsets[key[0]]) + lanes]),
    )  # fmt: skip


def _lifted(months: _Months, key: Key, known: _Known, slack: float, found: Solved | None) -> float:
    """By how much a small MIP lifts what a month is known to cost at least; what it found joins the bundles."""
    if found is None:
        return 0.0
    _join(months, key, found[1], found[2])
    return max(found[0] - (known.best[key][0][0] - slack), 0.0)
