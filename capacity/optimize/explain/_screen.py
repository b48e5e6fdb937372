"""A plan of one type a unit, where one exists, by arithmetic: what has one needs no solver.

Instances of a month that all run in all its blocks serve every block that some of them would, so for the question
whether a plan exists only the largest need of each kind counts. No spot is used: what needs it goes to the solver.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from capacity.domain import Candidate, LoadBlock, UnitRequirement
from capacity.optimize._fleet import vertical_count

# Whole counts that hold a need exactly must not be rounded up.
_TOLERANCE = 1e-9


@dataclass(frozen=True)
class Witness:
    """Instances per zone, by type, that meet all that is asked of one unit in one month."""

    counts: tuple[tuple[Candidate, int], ...]
    zones: int

    def vcpu(self, code: str) -> int:
        return self.zones * sum(n * c.vcpu for c, n in self.counts if c.quota_code == code)


def witness(r: UnitRequirement, blocks: Sequence[LoadBlock]) -> Witness | None:
    """The plan of fewest vCPU in which one type serves all; None where the arithmetic finds none."""
    allowed = [c for c in r.candidates if c.allowed]
    if not blocks:
        return Witness((), r.zones)
    pinned = {i: n for (m, i), n in (r.pinned or {}).items() if m == blocks[0].month and n}
    if pinned or any(m == blocks[0].month for m, _ in r.pinned or {}):
        return None
    needed = {c: count_needed(r, c, blocks) for c in allowed}
    plans: list[tuple[tuple[Candidate, int], ...]]
    if r.vertical:
        count = vertical_count(r)
        plans = [((c, count),) for c, n in needed.items() if n <= count]
    else:
        plans = [_with_others(r, c, int(n), allowed) for c, n in needed.items() if n < math.inf]
    fitting = [p for p in plans if sum(n for _, n in p) <= r.max_per_zone]
    fitting = [p for p in fitting if r.vertical or len(p) >= r.least_types or max(b.demand for b in blocks) <= 0]
    if r.vertical:
        fitting = [p for p in fitting if p[0][1] >= r.min_per_zone]
    if not fitting:
        return None
    best = min(fitting, key=lambda p: (sum(n * c.vcpu for c, n in p), [c.instance_type for c, _ in p]))
    return Witness(best, r.zones)


def count_needed(r: UnitRequirement, c: Candidate, blocks: Sequence[LoadBlock]) -> float:
    """Instances of ``c`` per zone that alone meet every load and the smallest count; inf where none would."""
    left = max(r.zones - r.zones_survived, 0)
    needs = [
        (max(b.demand for b in blocks), r.zones * c.safe),
        (max(b.region_loss_demand for b in blocks), r.zones * c.zone_loss),
    ]
    if r.zones_survived:
        needs.append((needs[0][0], left * c.zone_loss))
    for resource in sorted({k for b in blocks for k in b.further}):
        wanted = max(b.further.get(resource, 0.0) for b in blocks)
        normal, lost = c.further.get(resource, (0.0, 0.0))
        needs.append((wanted, r.zones * normal))
        if r.zones_survived:
            needs.append((wanted, left * lost))
    return max(float(r.min_per_zone), *(_whole(need, held) for need, held in needs))


def _whole(need: float, held: float) -> float:
    if need <= 0:
        return 0.0
    return math.ceil(need / held - _TOLERANCE) if held > 0 else math.inf


def _with_others(
    r: UnitRequirement, c: Candidate, count: int, allowed: Sequence[Candidate]
) -> tuple[tuple[Candidate, int], ...]:
    """``count`` of ``c``, and one each of the smallest others where several types are asked for."""
    others = sorted((o for o in allowed if o is not c), key=lambda o: (o.vcpu, o.instance_type))
    return ((c, max(count, 1)), *((o, 1) for o in others[: max(r.least_types - 1, 0)]))
