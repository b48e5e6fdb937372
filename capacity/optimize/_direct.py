"""The direct way: the whole model as one MIP, cut and started. Exact where a fleet is small."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from capacity.domain import Floats
from capacity.optimize._billing import grid_shape
from capacity.optimize._clock import Deadline
from capacity.optimize._fleet import Fleet
from capacity.optimize._highs import Search, search_cbc, search_highs
from capacity.optimize._result import Counts, Plan
from capacity.optimize._strengthen import Strengthened, strengthen
from capacity.optimize._trim import trim
from capacity.optimize.model import MixModel, build_model

# Share of the time limit that strengthening may use; the search needs the rest to improve on its start.
_STRENGTHEN_SHARE = 0.5


@dataclass(frozen=True)
class Direct:
    """``plan`` None where none was found; where ``outcome`` is "nothing" it is only the start and may break a rule."""

    plan: Plan | None
    outcome: str
    termination: str
    bound: float


def plan_directly(fleet: Fleet, deadline: Deadline, gap_frac: float, solver: str, seed: int) -> Direct:
    """Search the whole model until ``deadline``."""
    model = build_model(fleet)
    stronger = strengthen(model, deadline.share(_STRENGTHEN_SHARE), seed)
    search = _search(model, stronger, deadline, gap_frac, solver, seed)
    plan = None if search.columns is None else _plan(model, search.columns)
    return Direct(plan, search.outcome, search.termination, max(search.bound, stronger.bound))


def _search(
    model: MixModel, stronger: Strengthened, deadline: Deadline, gap_frac: float, solver: str, seed: int
) -> Search:
    if not model.lp.variables():
        return Search("found", "nothing to decide", model.constant_usd, np.zeros(0))
    if solver == "cbc":
        return search_cbc(model.lp, max(deadline.left, 0.01), gap_frac, seed)
    start = stronger.start(deadline)
    return search_highs(model.lp, start, deadline.left, gap_frac, seed)


def _plan(model: MixModel, values: Floats) -> Plan:
    """Whole counts of the model's values, without what nothing needs."""
    given = dict(zip(model.lp.variables(), values, strict=True))
    whole = {v: round(float(x)) for v, x in given.items()}
    fleet = model.fleet
    offsets = np.cumsum([0, *(len(r.candidates) for r in fleet.requirements)])
    running = np.zeros((int(offsets[-1]), *grid_shape(fleet)), dtype=np.int64)
    spot: Counts = running.copy()
    for (s, i, t, b), variable in model.running.items():
        running[offsets[s] + i, t, b] = whole[variable]
    for (s, i, t, b), variable in model.spot.items():
        spot[offsets[s] + i, t, b] = whole[variable]
    trim(fleet, running, spot)
    provisioned = np.zeros(running.shape[:2], dtype=np.int64)
    for (s, i, t), variable in model.provisioned.items():
        row, kept = offsets[s] + i, _is_asked(fleet, s, t)
        # Elsewhere n is what runs in some block: the solver may leave it larger at no cost.
        provisioned[row, t] = whole[variable] if kept else running[row, t].max()
    # An RI is counted in whole instances: what floating point leaves of one is none.
    amounts = {key: float(whole[q] if q.cat == "Integer" else given[q]) for key, q in model.purchases.items()}
    bought = {key: amount for key, amount in amounts.items() if amount > 1e-9}
    return Plan(running, spot, provisioned, bought)


def _is_asked(fleet: Fleet, s: int, t: int) -> bool:
    """Whether n itself is asked for: by a pin, or by the loss of a region."""
    r, month = fleet.requirements[s], fleet.problem.months[t]
    lost = any(b.region_loss_demand > 0 for b in fleet.blocks[s][t])
    return (lost and r.autoscaled and not r.vertical) or month in {m for m, _ in r.pinned or {}}
