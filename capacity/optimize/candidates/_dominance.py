"""What is bettered in everything by others, and what a preference for newer generations leaves out."""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Sequence

import numpy as np

from capacity.domain import Candidate, Excuse, Floats, Unit


def non_dominated(
    unit: Unit, admitted: Sequence[Candidate], kept_types: Collection[str], least_types: int = 1
) -> tuple[list[Candidate], list[Excuse]]:
    """Leave out a type that ``least_types`` others, of the same quota classes, better or equal in everything.

    Everything is: price, spot price, vCPU, what it serves and holds in both states, and what of it is relied on as
    spot. Exact without type-locked commitments: wherever the dominated type is used, a dominating one fits at no more
    cost, and where ``least_types`` types must run beside each other, one of so many is free or the rest are enough.
    With spot it is exact but for the largest share: a better type may pass that by a part of an instance.
    """
    figures = _figures(admitted)
    classes = np.array([c.quota_code for c in admitted])
    spot_classes = np.array([c.spot_quota_code for c in admitted])
    kept: list[Candidate] = []
    excuses: list[Excuse] = []
    for i, one in enumerate(admitted):
        better = (figures <= figures[i]).all(axis=1) & (classes == classes[i])
        if one.spot_usd_per_hour is not None:  # what is not to be had as spot is bettered by any of its class
            better &= spot_classes == spot_classes[i]
        strictly = better & (figures < figures[i]).any(axis=1)
        # Of equals, the first by name stays.
        strictly[:i] |= better[:i]
        winners = [admitted[int(j)].instance_type for j in np.flatnonzero(strictly)[:least_types]]
        if len(winners) >= least_types and one.instance_type not in kept_types:
            excuses.append(Excuse(unit, one.instance_type, f"dominated by {_named(winners)}"))
        else:
            kept.append(one)
    return kept, excuses


def _named(winners: Sequence[str]) -> str:
    return winners[0] if len(winners) == 1 else f"{winners[0]} and {len(winners) - 1} more"


def _figures(admitted: Sequence[Candidate]) -> Floats:
    """(types, F): what must be no larger in a better type; what should be large has its sign turned."""
    resources = sorted({r for c in admitted for r in c.further})
    rows = [
        [
            c.usd_per_hour,
            float(c.vcpu),
            -c.safe,
            -c.zone_loss,
            math.inf if c.spot_usd_per_hour is None else c.spot_usd_per_hour,
            *([c.spot_buffer_frac] if c.spot_usd_per_hour is not None else [1.0]),
            *(-x for r in resources for x in c.further.get(r, (0.0, 0.0))),
        ]
        for c in admitted
    ]
    return np.array(rows, dtype=float).reshape(len(admitted), 6 + 2 * len(resources))


# --- generations -------------------------------------------------------------------------------------------


def prefer_newer(
    unit: Unit, front: Sequence[Candidate], kept_types: Collection[str], extra_frac: float
) -> tuple[list[Candidate], list[Excuse]]:
    """Leave out a type where a newer generation of its line, no worse, costs at most ``extra_frac`` more.

    A line is what stands before the generation's number in a family's name (m, c, r), on one architecture. The excuse
    states the price; :func:`prune_loss` holds it too.
    """
    if extra_frac <= 0:
        return list(front), []
    kept: list[Candidate] = []
    excuses: list[Excuse] = []
    # The newest first: a type gives way only to one that stays, so prices do not add up over generations.
    for one in sorted(front, key=lambda c: (-generation(c.family)[1], c.instance_type)):
        newer = [c for c in kept if _is_newer(c, one) and _no_worse(c, one, extra_frac)]
        if newer and one.instance_type not in kept_types:
            best = min(newer, key=lambda c: (c.usd_per_hour, c.instance_type))
            more = best.usd_per_hour / one.usd_per_hour - 1.0
            reason = f"the newer {best.instance_type} is preferred at {more:+.1%} an hour"
            excuses.append(Excuse(unit, one.instance_type, reason))
        else:
            kept.append(one)
    return sorted(kept, key=lambda c: c.instance_type), excuses


def generation(family: str) -> tuple[str, int]:
    """The line of a family, and its generation in that line.

    >>> generation("m7g"), generation("x2gd"), generation("u-6tb1")
    (('m', 7), ('x', 2), ('u-6tb1', 0))
    """
    found = re.match(r"([a-z]+)(\d+)", family)
    return (found.group(1), int(found.group(2))) if found else (family, 0)


def _is_newer(one: Candidate, than: Candidate) -> bool:
    (line, number), (old_line, old_number) = generation(one.family), generation(than.family)
    return line == old_line and number > old_number and one.arch == than.arch


def _no_worse(one: Candidate, than: Candidate, extra_frac: float) -> bool:
    within = one.usd_per_hour <= than.usd_per_hour * (1.0 + extra_frac)
    figures = _figures([one, than])[:, [1, 2, 3, *range(5, 6 + 2 * len({*one.further, *than.further}))]]
    return within and one.quota_code == than.quota_code and bool((figures[0] <= figures[1]).all())
