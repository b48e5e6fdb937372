"""The whole way by columns: parts of the fleet, rounds, proof, the last choice, and what it makes as counts."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, field
from functools import partial

import numpy as np

from capacity.domain import Floats
from capacity.optimize._billing import grid_shape
from capacity.optimize._fleet import Fleet
from capacity.optimize._result import Plan
from capacity.optimize._trim import trim
from capacity.optimize.columns._bundles import Bundle, bundles_of, first_prices, month_rows, provisioned
from capacity.optimize.columns._choice import Choice, Searcher, choose, reduced_costs, sub_table, worth_having
from capacity.optimize.columns._coupling import lane_prices
from capacity.optimize.columns._lanes import Counts, Lanes, follows_load
from capacity.optimize.columns._loose import tighten
from capacity.optimize.columns._master import Master, Relaxed, Table, joined, table_of
from capacity.optimize.columns._part import Part, part_of
from capacity.optimize.columns._split import concerned, split
from capacity.optimize.columns.memory import Memory
from capacity.optimize.columns.rounds import cheapest, frugal_covers, generate, prove

# Of the gap that is asked for, what the relaxation and its bound may use, and what the last choice may.
_PROOF_SHARE, _CHOICE_SHARE = 0.4, 0.3
# Of the time: rounds, then proof; the rest is for the last choice.
_ROUNDS_UNTIL, _PROOF_UNTIL = 0.4, 0.8
# Rounds of bundles and their duals.
_BUNDLE_ROUNDS = 4
_LIFTED_FRAC = 0.02
_FIRST_SHARES = 3


@dataclass
class ByColumns:
    """``plan`` None where no choice met the quotas. ``rounds``: (master's value, proven bound) of every part."""

    plan: Plan | None
    bound: float
    termination: str
    rounds: tuple[tuple[float, float], ...]
    notes: tuple[str, ...] = ()


@dataclass
class _Counts:
    fleet: Fleet
    running: Counts
    spot: Counts
    provisioned: Counts
    first: Counts = field(default_factory=lambda: np.zeros(0, dtype=np.int64))
    bought: dict[tuple[int, int], float] = field(default_factory=dict)


def plan_by_columns(
    fleet: Fleet, memory: Memory, deadline: float, gap_frac: float, search: Searcher, seed: int
) -> ByColumns:
    """The best plan found until ``deadline`` (perf_counter seconds), and a bound on every plan of ``fleet``."""
    parts = _parts(fleet)
    counts = _empty(fleet)
    bound, endings, rounds, complete = 0.0, [], [], True
    for number, months in enumerate(parts):
        now = time.perf_counter()
        # The first part finds out what the others start from.
        shares = len(parts) - number + (_FIRST_SHARES - 1 if number == 0 else 0)
        until = now + (deadline - now) * (_FIRST_SHARES if number == 0 else 1) / shares
        part = part_of(fleet, months, seed)
        _work_out(part, memory, now, until, gap_frac)
        bound += part.bound
        rounds += part.history
        ending = _settle(part, counts, search, until, gap_frac)
        complete &= ending is not None
        endings.append(ending or "no choice of columns meets the quotas")
    text = next((e for e in endings if e not in ("optimal", "nothing to decide")), "optimal")
    if not complete:
        return ByColumns(None, bound, text, tuple(rounds))
    trim(fleet, counts.running, counts.spot)
    plan = Plan(counts.running, counts.spot, counts.provisioned, counts.bought)
    return ByColumns(_reprovisioned(fleet, plan), bound, text, tuple(rounds))


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
    generate(part, memory, now + _ROUNDS_UNTIL * span)
    if part.relaxed is None:
        part.relaxed = part.master.solve(5.0)
    least = prove(part)
    if part.relaxed is not None:
        tighten(part, least, _PROOF_SHARE * gap_frac, now + _PROOF_UNTIL * span)
        part.relaxed = part.master.solve(max(until - time.perf_counter(), 1.0)) or part.relaxed


# --- the last choice ---------------------------------------------------------------------------------------


def _settle(part: Part, counts: _Counts, search: Searcher, until: float, gap_frac: float) -> str | None:
    """Choose, and enter the choice into ``counts``; how it ended, None where quotas are broken."""
    if part.relaxed is None:
        return None
    table = part.master.table()
    values = np.zeros(len(table))
    values[: len(part.relaxed.columns)] = part.relaxed.columns[: len(table)]
    chosen = worth_having(part, gap_frac * abs(part.relaxed.usd) / max(part.lanes, 1) * 3)
    small = sub_table(table, chosen)
    choice = choose(part.coupling, small, values[chosen], search, until, _CHOICE_SHARE * gap_frac)
    bundles = _free_bundles(part, small, choice)
    text = choice.termination
    if not _quotas_hold(part, bundles):
        part.broken = _broken(part, bundles)
        nested = _nested_choice(part, bundles, search, until, gap_frac)
        if nested is None:
            return None
        bundles, choice = nested
        text = choice.termination
    _enter(part, counts, bundles, choice)
    return text


Key = tuple[int, int]


def _month_lanes(u: Lanes) -> list[tuple[int, Counts]]:
    return [(int(t), np.flatnonzero(u.months == t)) for t in np.unique(u.months)]


def _free_bundles(part: Part, table: Table, choice: Choice) -> dict[Key, Bundle | None]:
    """What the choice makes of each unit's months; None where the month's own limits are broken."""
    own = {int(table.lane[c]): int(c) for c in choice.columns}
    out: dict[Key, Bundle | None] = {}
    for at, (u, offset) in enumerate(zip(part.units, part.offsets, strict=False)):
        for t, lanes in _month_lanes(u):
            columns = [own.get(int(offset) + int(k)) for k in lanes]
            if any(c is None for c in columns):
                out[at, t] = None
                continue
            running = np.array([table.running[c] for c in columns if c is not None])
            spot = np.array([table.spot[c] for c in columns if c is not None])
            n = provisioned(part.fleet, u, lanes, running, spot)
            out[at, t] = None if n is None else Bundle(running, spot, n)
    return out


def _used(part: Part, bundles: dict[Key, Bundle | None]) -> Floats:
    out = np.zeros(len(part.coupling.upper))
    for (at, t), bundle in bundles.items():
        if bundle is not None:
            for row, value in month_rows(part.coupling, part.units[at], t, bundle).items():
                out[row] += value
    return out


def _quotas_hold(part: Part, bundles: dict[Key, Bundle | None]) -> bool:
    return not any(b is None for b in bundles.values()) and not _broken(part, bundles)


def _broken(part: Part, bundles: dict[Key, Bundle | None]) -> set[int]:
    """Rows of quotas that ``bundles`` overfill."""
    coupling, used = part.coupling, _used(part, bundles)
    held = used.copy()
    for row, variable, value in coupling.entries:
        # Reserved and unused: what the provisioned instances leave of what is held.
        if coupling.names[row][0] == "quota" and variable not in coupling.excess:
            unused_row = next(r for r, v, _ in coupling.entries if v == variable and coupling.names[r][0] == "unused")
            held[row] += value * max(used[unused_row] - coupling.upper[unused_row], 0.0)
    rows = [r for r, name in enumerate(coupling.names) if name[0] in ("quota", "spot quota")]
    return {r for r in rows if held[r] > coupling.upper[r] * (1 + 1e-9) + 1e-9}


def _nested_choice(
    part: Part, free: dict[Key, Bundle | None], search: Searcher, until: float, gap_frac: float
) -> tuple[dict[Key, Bundle | None], Choice] | None:
    """Choose again among whole months: bundles are priced as columns are, and their duals split the quotas."""
    if part.relaxed is None:
        return None
    began = time.perf_counter()
    options: dict[tuple[Key, bytes], Bundle] = {}
    duals, keys = part.relaxed.duals, list(free)
    relaxed: Relaxed | None = None
    for number in range(_BUNDLE_ROUNDS):
        added = _add_bundles(part, free, duals, options, first=number == 0)
        if {k for k, _ in options} != set(keys):
            return None
        late = time.perf_counter() > began + 0.4 * (until - began)
        if not added or (late and number):
            break
        table = _bundle_table(part, options, keys)
        master = Master(part.coupling, len(keys), part.master.seed)
        master.add(table)
        before, relaxed = relaxed, master.solve(max(until - time.perf_counter(), 1.0)) or relaxed
        if relaxed is None:
            continue
        duals = relaxed.duals
        if before is not None and before.usd - relaxed.usd <= _CHOICE_SHARE * gap_frac * abs(relaxed.usd):
            break
    if relaxed is None:
        return None
    table = _bundle_table(part, options, keys)
    least = reduced_costs(table, part.coupling, relaxed.duals)
    above: dict[int, dict[int, float]] = {}
    for ((at, t), _), usd in zip(options, least, strict=True):
        of_unit = above.setdefault(at, {})
        of_unit[t] = min(of_unit.get(t, math.inf), float(usd))
    if relaxed.usd - part.bound > (1 - _CHOICE_SHARE) * gap_frac * abs(relaxed.usd):
        _prove_again(part, relaxed.duals, above, began + 0.7 * (until - began), gap_frac)
    weights = np.zeros(len(table))
    weights[: len(relaxed.columns)] = relaxed.columns
    again = choose(
        part.coupling, table, weights, search, max(until, time.perf_counter() + 1.0), _CHOICE_SHARE * gap_frac
    )
    chosen = list(options.values())
    owners = [k for k, _ in options]
    bundles: dict[Key, Bundle | None] = {owners[c]: chosen[c] for c in again.columns}
    return (bundles, again) if _quotas_hold(part, bundles) else None


def _prove_again(part: Part, duals: Floats, above: dict[int, dict[int, float]], until: float, gap_frac: float) -> None:
    """The bound at the duals of the bundles, quotas split over lanes as these duals want it."""
    part.duals = duals
    for at, u in enumerate(part.units):
        if concerned(part.coupling, u, duals):
            split(part.coupling, u, duals, partial(cheapest, u, part.covers[u.s]), above[at])
    before = part.bound
    part.bound = -math.inf
    least = prove(part)
    # Small MIPs lift a bound by a per cent or two, no more.
    if part.bound > before * (1 - _LIFTED_FRAC):
        tighten(part, least, _PROOF_SHARE * gap_frac, until)
    part.bound = max(part.bound, before)


def _add_bundles(
    part: Part, free: dict[Key, Bundle | None], duals: Floats, options: dict[tuple[Key, bytes], Bundle], first: bool
) -> int:
    """Bundles of every unit's month at ``duals``; how many are new."""
    columns, before = part.master.table(), len(options)
    by_lane = np.argsort(columns.lane, kind="stable")
    edges = np.searchsorted(columns.lane[by_lane], np.arange(part.lanes + 1))
    without = np.where([name[0] in ("quota", "spot quota") for name in part.coupling.names], 0.0, duals)
    frugal = frugal_covers(part, without) if first else {}
    for at, u in enumerate(part.units):
        prices = lane_prices(part.coupling, u, without)
        vcpu = u.requirement.zones * np.array([c.vcpu for c in u.candidates], dtype=float)
        for t, lanes in _month_lanes(u):
            known = free[at, t]
            own = [known] if first and known is not None else []
            rows = part.coupling.quota_row[u.s][:, t]
            if _concerned(part, u, t) or known is None:
                offset = int(part.offsets[at])
                found = [by_lane[edges[offset + int(k)] : edges[offset + int(k) + 1]] for k in lanes]
                further = [
                    _with(_counts_of(columns, c, len(u.types)), frugal.get((at, int(k)), []))
                    for c, k in zip(found, lanes, strict=True)
                ]
                at_duals = -vcpu * np.append(duals, 0.0)[rows]
                scarce = (
                    first_prices(u, lanes, (rows >= 0).astype(float))
                    if first
                    else [x * at_duals for x in (0.7, 1.0, 1.4)]
                )
                own = bundles_of(part.fleet, u, lanes, part.covers[u.s], prices, further, scarce, own)
            for b in own:
                key = b.running.tobytes() + b.spot.tobytes() + b.provisioned.tobytes()
                options.setdefault(((at, t), key), b)
    return len(options) - before


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


def _bundle_table(part: Part, options: dict[tuple[Key, bytes], Bundle], keys: list[Key]) -> Table:
    """Bundles as columns: the sum of their lanes, with the true vCPU in place of the largest lane's."""
    month_names = {"quota", "spot quota", "unused"}
    monthly = np.array([name[0] in month_names for name in part.coupling.names], dtype=bool)
    tables, group = [], {k: g for g, k in enumerate(keys)}
    for (key, _), b in options.items():
        u, t = part.units[key[0]], key[1]
        lanes = np.flatnonzero(u.months == t)
        own = table_of(part.coupling, u, 0, lanes, b.running, b.spot)
        entries: dict[int, float] = {}
        for row, value in zip(own.row, own.value, strict=True):
            if not monthly[row]:
                entries[int(row)] = entries.get(int(row), 0.0) + float(value)
        entries |= month_rows(part.coupling, u, t, b)
        rows = np.array(sorted(entries), dtype=np.int64)
        values = np.array([entries[int(r)] for r in rows])
        nothing = np.zeros(1, dtype=np.int64)
        tables.append(
            Table(
                np.array([group[key]]), [nothing], [nothing], np.array([own.cost.sum()]),
                np.array([0, len(rows)]), rows, values,
            )
        )  # fmt: skip
    return joined(tables)


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
