"""A unit's month in whole counts among all others relaxed: what a large unit takes where parts of bundles would fit.

The master mixes bundles. Of a small unit that costs next to nothing; one that is a tenth of a fleet takes parts of
fleets that each use a contract or a quota whole, and no bundle that was priced apart fits what is left of these as the
mix does. Here its counts are variables beside the other units' columns, so that the rows are shared out as they are.
"""

from __future__ import annotations

import math

import numpy as np

from capacity.domain import Floats
from capacity.optimize.columns._choice import sub_table
from capacity.optimize.columns._coupling import MONTHLY, Coupling, brought
from capacity.optimize.columns._lanes import Counts, Lanes, lost_demand
from capacity.optimize.columns._master import Master
from capacity.optimize.columns._month import MonthProgram, Prices, bettered, month_prices
from capacity.optimize.columns._month_options import Months
from capacity.optimize.columns._quotas import Key

# The search ends at this share of the whole's cost.
_GAP_FRAC = 1e-4


def counts_among(months: Months, key: Key, duals: Floats, seconds: float) -> tuple[Counts, Counts] | None:
    """Counts on demand and as spot (K, I) of one month, the best with all other months relaxed over their bundles.

    Over types that ``duals`` do not rule out, and those of its bundles. None where none was found in time.
    """
    part = months.part
    u, t = part.units[key[0]], key[1]
    lanes = np.flatnonzero(u.months == t)
    program = _program(months, key, u, lanes, duals)
    table, own = months.table(), months.group[key]
    master = Master(part.coupling, len(months.keys), part.master.seed)
    master.add(sub_table(table, np.flatnonzero(table.lane != own)))
    master.solver.changeRowBounds(master.rows + own, -math.inf, math.inf)
    values = _solved(master, program, _entries(part.coupling, program, t), seconds)
    return None if values is None else program.counts(values)


def _program(months: Months, key: Key, u: Lanes, lanes: Counts, duals: Floats) -> MonthProgram:
    part, nothing = months.part, np.zeros(len(u.types))
    lost = lost_demand(part.fleet, u, key[1])
    known = [b for (k, _), b in months.options.items() if k == key]
    kept = ~bettered(u, lanes, month_prices(part.coupling, u, key[1], lanes, duals), lost)
    for b in known:
        kept |= (b.provisioned > 0) | (b.spot > 0).any(axis=0)
    hours = u.hours[None, lanes]
    prices = Prices(u.usd[:, None] * hours, u.spot_usd[:, None] * hours, nothing, nothing)
    return MonthProgram(u, lanes, np.flatnonzero(kept), prices, lost, whole_row=True)


def _entries(coupling: Coupling, p: MonthProgram, t: int) -> tuple[Counts, Counts, Floats]:
    """(column, row, value) of what the program's columns bring to the coupling rows, a month what is provisioned."""
    count, many = len(p.kept), len(p.lanes)
    each = np.zeros((many * count, len(p.u.types)), dtype=np.int64)
    each[np.arange(many * count), np.tile(p.kept, many)] = 1
    at, row, value = brought(coupling, p.u, np.repeat(p.lanes, count), each, np.zeros_like(each))
    monthly = np.array([name[0] in MONTHLY for name in coupling.names], dtype=bool)
    here = ~monthly[row]
    column, rows, values = [p.running.ravel()[at[here]]], [row[here]], [value[here]]
    zones = p.u.requirement.zones
    vcpu = zones * np.array([c.vcpu for c in p.u.candidates], dtype=float)[p.kept]
    for table, columns, worth in (
        (coupling.quota_row, p.n, vcpu),
        (coupling.unused_row, p.n, np.full(count, -float(zones))),
        (coupling.spot_quota_row, p.spot_top, vcpu[: len(p.spot_top)]),
    ):
        own = table[p.u.s][p.kept[: len(columns)], t]
        column.append(columns[own >= 0])
        rows.append(own[own >= 0])
        values.append(worth[own >= 0])
    return np.concatenate(column), np.concatenate(rows), np.concatenate(values)


def _solved(master: Master, p: MonthProgram, entries: tuple[Counts, Counts, Floats], seconds: float) -> Floats | None:
    """Values of the program's columns; the program joins the master's rows and columns."""
    import highspy

    solver, width = master.solver, len(p.cost)
    first = int(solver.getNumCol())
    order = np.lexsort((entries[1], entries[0]))
    column, row, value = (x[order] for x in entries)
    starts = np.searchsorted(column, np.arange(width)).astype(np.int32)
    solver.addCols(width, p.cost, np.zeros(width), p.upper, len(row), starts, row.astype(np.int32), value)
    rows = p.rows
    solver.addRows(
        len(rows.lower), np.array(rows.lower), np.array(rows.upper), len(rows.index),
        np.array(rows.start, dtype=np.int32), np.array(rows.index, dtype=np.int32) + first, np.array(rows.value),
    )  # fmt: skip
    whole = first + np.flatnonzero(p.integral)
    solver.changeColsIntegrality(
        len(whole), whole.astype(np.int32), np.array([highspy.HighsVarType.kInteger] * len(whole))
    )
    solver.setOptionValue("mip_rel_gap", _GAP_FRAC)
    solver.setOptionValue("time_limit", max(seconds, 0.01))
    solver.run()
    if solver.getInfo().primal_solution_status != highspy.SolutionStatus.kSolutionStatusFeasible:
        return None
    return np.array(solver.getSolution().col_value, dtype=float)[first:]
