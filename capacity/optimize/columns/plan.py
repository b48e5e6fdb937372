"""The whole way by columns: parts of the fleet, rounds, proof, the last choice, and what it makes as counts."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np

from capacity.domain import Floats
from capacity.optimize._billing import grid_shape
from capacity.optimize._clock import Deadline, TimeIsUp
from capacity.optimize._fleet import Fleet
from capacity.optimize._result import Plan
from capacity.optimize._trim import trim
from capacity.optimize.columns._bundles import Bundle, provisioned
from capacity.optimize.columns._choice import CHOICE_SHARE, Choice, Searcher, choose, sub_table, worth_having
from capacity.optimize.columns._lanes import Counts, follows_load, lost_demand
from capacity.optimize.columns._master import Table
from capacity.optimize.columns._months import ROUNDING_SECONDS, choose_months
from capacity.optimize.columns._part import Part, part_of
from capacity.optimize.columns._quotas import Key, broken_of, month_lanes, quotas_hold
from capacity.optimize.columns._whole import settle, tighten
from capacity.optimize.columns.memory import Memory, remember, remember_bundles
from capacity.optimize.columns.rounds import generate, prove

# Of the gap that is asked for, what the relaxation and its bound may use.
_PROOF_SHARE = 0.4
# Of the time after the first columns are made: rounds with covers of two types. Of all the time: until when lanes are
# searched whole, and the first time (it is worth more than all that comes after); the rest is for the last choice.
_ROUNDS_SHARE, _SETTLED_UNTIL, _FIRST_SETTLED_UNTIL = 0.2, 0.25, 0.8
# Of the time that is then left: until when lanes are proven more closely, at first, and where they keep the quotas.
_LANES_UNTIL, _PROOF_UNTIL = 0.4, 0.8
_FIRST_SHARES = 3
# Rounds end where bound and master are this share of the gap that is asked for apart.
_SETTLED_SHARE = 0.1


@dataclass
class ByColumns:
    """``plan`` None where no choice met the quotas; ``rough`` is then the one that did not, None where none was made.

    ``rounds``: (master's value, proven bound) of every part.
    """

    plan: Plan | None
    bound: float
    termination: str
    rounds: tuple[tuple[float, float], ...]
    notes: tuple[str, ...] = ()
    rough: Plan | None = None


@dataclass
class _Counts:
    fleet: Fleet
    running: Counts
    spot: Counts
    provisioned: Counts
    first: Counts = field(default_factory=lambda: np.zeros(0, dtype=np.int64))
    bought: dict[tuple[int, int], float] = field(default_factory=dict)


def plan_by_columns(
    fleet: Fleet,
    memory: Memory,
    deadline: float,
    gap_frac: float,
    search: Searcher,
    seed: int,
    ends: Deadline | None = None,
    floor: Floats | None = None,
) -> ByColumns:
    """The best plan found until ``deadline`` (of the clock of ``ends``), and a bound on every plan of ``fleet``.

    ``ends`` is when loops are left that have no result yet: what is there by then is rounded, which takes a moment.
    ``floor`` (months,) is what is known of the bound already, in USD.
    """
    parts = _parts(fleet)
    counts = _empty(fleet)
    ends = Deadline.never() if ends is None else ends
    floor = np.full(len(fleet.problem.months), -math.inf) if floor is None else floor
    bound, endings, rounds, complete = 0.0, [], [], True
    for number, months in enumerate(parts):
        if not complete and ends.passed:
            bound += float(floor[months].sum())
            continue
        now = ends.clock()
        # The first part finds out what the others start from.
        shares = len(parts) - number + (_FIRST_SHARES - 1 if number == 0 else 0)
        until = now + (deadline - now) * (_FIRST_SHARES if number == 0 else 1) / shares
        part = part_of(fleet, months, seed, ends)
        late = _is_late(part, memory, now, until, gap_frac)
        part.ends = ends.later(ROUNDING_SECONDS)
        ending = _settled(part, counts, search, until, gap_frac)
        remember_bundles(part, memory)
        bound += max(part.bound, float(floor[months].sum()))
        rounds += part.history
        complete &= ending is not None
        endings.append("time limit reached" if late else ending or "no choice of columns meets the quotas")
    text = next((e for e in endings if e not in ("optimal", "nothing to decide")), "optimal")
    if not complete:
        rough = Plan(counts.running, counts.spot, counts.provisioned, {}) if counts.running.any() else None
        return ByColumns(None, bound, text, tuple(rounds), rough=rough)
    trim(fleet, counts.running, counts.spot)
    plan = Plan(counts.running, counts.spot, counts.provisioned, counts.bought)
    return ByColumns(_reprovisioned(fleet, plan), bound, text, tuple(rounds))


def _is_late(part: Part, memory: Memory, now: float, until: float, gap_frac: float) -> bool:
    """Work out columns and bound; whether time ended it before that was done. What is there then is still of use."""
    try:
        _work_out(part, memory, now, until, gap_frac)
    except TimeIsUp:
        part.relaxed = part.relaxed or part.master.solve(ROUNDING_SECONDS)
        return True
    return False


def _settled(part: Part, counts: _Counts, search: Searcher, until: float, gap_frac: float) -> str | None:
    """As :func:`_settle`; None too where time ended it."""
    try:
        return _settle(part, counts, search, until, gap_frac)
    except TimeIsUp:
        return None


def _parts(fleet: Fleet) -> list[list[int]]:
    """Months apart, where nothing that may be bought spans them."""
    months = range(len(fleet.problem.months))
    return [[*months]] if fleet.offers else [[t] for t in months]


def _empty(fleet: Fleet) -> _Counts:
    offsets = np.cumsum([0, *(len(r.candidates) for r in fleet.requirements)])
    running = np.zeros((int(offsets[-1]), *grid_shape(fleet)), dtype=np.int64)
    return _Counts(fleet, running, running.copy(), np.zeros(running.shape[:2], dtype=np.int64), offsets)


def _work_out(part: Part, memory: Memory, now: float, until: float, gap_frac: float) -> None:
    """Columns and bound. With no time at all the first bound is still found: it is what is said of the plan."""
    span = until - now
    generate(part, memory, until, _ROUNDS_SHARE)
    if part.relaxed is None:
        part.relaxed = part.master.solve(min(5.0, part.ends.left))
    settle(part, (now + _FIRST_SETTLED_UNTIL * span, now + _SETTLED_UNTIL * span), _SETTLED_SHARE * gap_frac)
    if not np.isfinite(part.bound):
        part.least = prove(part)
    remember(part, memory)


# --- the last choice ---------------------------------------------------------------------------------------


def _settle(part: Part, counts: _Counts, search: Searcher, until: float, gap_frac: float) -> str | None:
    """Choose, and enter the choice into ``counts``; how it ended, None where quotas are broken.

    Where lanes that are chosen apart keep the quotas, what they cost at least is proven more closely, and the choice is
    made once more from what that found; else the choice is among whole months.
    """
    if part.relaxed is None:
        return None
    began = part.ends.clock()
    bundles, choice = _free_choice(part, search, until, gap_frac)
    for share in (_LANES_UNTIL, _PROOF_UNTIL):
        # Months are left most of the time, where quotas are broken.
        if not len(part.least) or (share == _PROOF_UNTIL and not quotas_hold(part, bundles)):
            break
        before = part.bound
        part.least = tighten(part, part.least, _PROOF_SHARE * gap_frac, began + share * (until - began))
        if part.bound <= before:
            break
        part.relaxed = part.master.solve(min(max(until - part.ends.clock(), 1.0), part.ends.left)) or part.relaxed
        again, other = _free_choice(part, search, until, gap_frac)
        if not quotas_hold(part, bundles) or (quotas_hold(part, again) and other.usd <= choice.usd):
            bundles, choice = again, other
    if not quotas_hold(part, bundles):
        part.broken = broken_of(part, bundles)
        _enter(part, counts, bundles, choice)  # what is at hand where nothing better comes in time
        nested = choose_months(part, bundles, search, until, gap_frac)
        if nested is None:
            return None
        bundles, choice = nested
    _enter(part, counts, bundles, choice)
    return choice.termination


def _free_choice(
    part: Part, search: Searcher, until: float, gap_frac: float
) -> tuple[dict[Key, Bundle | None], Choice]:
    """What lanes choose apart, and what that makes of each unit's months."""
    table, relaxed = part.master.table(), part.relaxed
    values = np.zeros(len(table))
    if relaxed is not None:
        values[: len(relaxed.columns)] = relaxed.columns[: len(table)]
    usd = abs(relaxed.usd) if relaxed is not None else 0.0
    chosen = worth_having(part, gap_frac * usd / max(part.lanes, 1) * 3)
    small = sub_table(table, chosen)
    choice = choose(part.coupling, small, values[chosen], search, until, CHOICE_SHARE * gap_frac, part.ends.clock)
    return _free_bundles(part, small, choice), choice


def _free_bundles(part: Part, table: Table, choice: Choice) -> dict[Key, Bundle | None]:
    """What the choice makes of each unit's months; None where the month's own limits are broken."""
    own = {int(table.lane[c]): int(c) for c in choice.columns}
    out: dict[Key, Bundle | None] = {}
    for at, (u, offset) in enumerate(zip(part.units, part.offsets, strict=False)):
        for t, lanes in month_lanes(u):
            columns = [own.get(int(offset) + int(k)) for k in lanes]
            if any(c is None for c in columns):
                out[at, t] = None
                continue
            running = np.array([table.running[c] for c in columns if c is not None])
            spot = np.array([table.spot[c] for c in columns if c is not None])
            n = provisioned(u, lanes, running, spot, lost_demand(part.fleet, u, t))
            out[at, t] = None if n is None else Bundle(running, spot, n)
    return out


# --- into counts -------------------------------------------------------------------------------------------


def _enter(part: Part, counts: _Counts, bundles: dict[Key, Bundle | None], choice: Choice) -> None:
    for (at, t), bundle in bundles.items():
        if bundle is None:
            continue
        u = part.units[at]
        rows = counts.first[u.s] + u.types
        for k, lane in enumerate(np.flatnonzero(u.months == t)):
            for b in u.blocks[lane]:
                counts.running[rows, t, b] = bundle.running[k]
                counts.spot[rows, t, b] = bundle.spot[k]
        counts.provisioned[rows, t] = bundle.provisioned
    own = choice.own if len(choice.own) else (part.relaxed.own if part.relaxed is not None else choice.own)
    for p, variable in part.coupling.bought.items():
        purchase = part.fleet.purchases[p]
        whole = part.coupling.whole[variable]
        amount = float(np.ceil(own[variable] - 1e-6)) if whole else float(own[variable])
        if amount > 1e-9:
            counts.bought[purchase.offer, purchase.month] = amount


def _reprovisioned(fleet: Fleet, plan: Plan) -> Plan:
    """n after trimming: what runs in some block; more only where a lost region or a pin asks for it."""
    most = plan.running.max(axis=2, initial=0)
    n, row = plan.provisioned.copy(), 0
    for s, r in enumerate(fleet.requirements):
        rows = slice(row, row + len(r.candidates))
        row += len(r.candidates)
        pinned = {m for m, _ in r.pinned or {}}
        for t, month in enumerate(fleet.problem.months):
            lost = max((b.region_loss_demand for b in fleet.blocks[s][t]), default=0.0)
            if month not in pinned and (lost <= 0 or not follows_load(r)):
                n[rows, t] = most[rows, t]
    return Plan(plan.running, plan.spot, n, plan.bought)
