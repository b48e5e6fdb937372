"""What is bettered in everything by others, and what a preference for newer generations leaves out."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt

from capacity.domain import Candidate, Excuse, Floats, Unit
from capacity.optimize.candidates._kinds import Bools, Ints
from capacity.optimize.candidates._offered import Offered, offered_of

Ranks = npt.NDArray[np.unsignedinteger[Any]]
# So many types are compared with the others at a time: what is compared stays in the processor's cache.
_ROWS = 128


def non_dominated(
    unit: Unit, admitted: Offered, kept_types: Collection[str], least_types: int = 1
) -> tuple[Ints, list[Excuse]]:
    """Leave out a type that ``least_types`` others, of the same quota classes, better or equal in everything.

    Everything is: price (on demand, under commitments that may be bought, as spot), vCPU, what it serves and holds in
    both states, and what of it is relied on as spot. Exact without owned type-locked commitments: wherever the
    dominated type is used, a dominating one fits at no more cost, and where ``least_types`` types must run beside each
    other, one of so many is free or the rest are enough.
    With spot it is exact but for the largest share: a better type may pass that by a part of an instance.

    Returns
    -------
    kept, excuses
        Positions of those that stay, in order, and why each other one does not.
    """
    names = admitted.names
    winners, first = _bettered(admitted)
    goes = (winners >= least_types) & ~np.array([name in kept_types for name in names], dtype=bool)
    beside = "" if least_types <= 1 else f" and {least_types - 1} more"
    excuses = [Excuse(unit, names[i], f"dominated by {names[first[i]]}{beside}") for i in np.flatnonzero(goes).tolist()]
    return np.flatnonzero(~goes), excuses


def _bettered(admitted: Offered) -> tuple[Ints, Ints]:
    """(n,) how many better each or, being equal, come before it by name; (n,) the first of these."""
    ranks = _ranks(figures(admitted))
    # Where none is worse, the sum of ranks tells whether one is better: only those of a smaller sum can better one.
    total = ranks.sum(axis=1, dtype=np.int64)
    winners = np.zeros(len(admitted), dtype=np.intp)
    first = np.zeros(len(admitted), dtype=np.intp)
    for code in np.unique(admitted.quotas):
        at = np.flatnonzero(admitted.quotas == code)
        rising = at[np.argsort(total[at], kind="stable")]
        for start in range(0, len(at), _ROWS):
            rows = rising[start : start + _ROWS]
            among = at[total[at] <= total[rows[-1]]]
            better = _no_worse_of(ranks, among, rows)
            if len(set(admitted.spot_quotas[at].tolist())) > 1:
                # What is not to be had as spot is bettered by any of its class.
                same = admitted.spot_quotas[among] == admitted.spot_quotas[rows][:, None]
                better &= same | ~admitted.has_spot[rows][:, None]
            # Of equals, the first by name stays.
            better &= (total[among] < total[rows][:, None]) | (among < rows[:, None])
            winners[rows] = np.count_nonzero(better, axis=1)
            first[rows] = among[better.argmax(axis=1)]
    return winners, first


def _no_worse_of(ranks: Ranks, among: Ints, rows: Ints) -> Bools:
    """(rows, among) whether the one is no worse than the other in any figure."""
    columns = np.ascontiguousarray(ranks[among].T)
    better: Bools = columns[0] <= ranks[rows, 0][:, None]
    for k in range(1, len(columns)):
        better &= columns[k] <= ranks[rows, k][:, None]
    return better


def _ranks(values: Floats) -> Ranks:
    """Each column's values as whole numbers in the same order: cheaper to compare. Columns of one order are one."""
    columns, kind = {}, np.min_scalar_type(len(values))
    for column in values.T:
        ranks = np.unique(column, return_inverse=True)[1].astype(kind)
        columns[ranks.tobytes()] = ranks
    return np.stack(list(columns.values()), axis=1)


def figures(admitted: Offered) -> Floats:
    """(types, F): what must be no larger in a better type; what should be large has its sign turned."""
    columns = [
        admitted.usd,
        admitted.vcpu,
        -admitted.safe,
        -admitted.zone_loss,
        admitted.spot_usd,
        admitted.committed_usd,
        admitted.spot_buffer,
        *(-column for held in admitted.further.values() for column in held.T),
    ]
    return np.stack(columns, axis=1)


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


@cache
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
    if one.usd_per_hour > than.usd_per_hour * (1.0 + extra_frac) or one.quota_code != than.quota_code:
        return False
    both = figures(offered_of([one, than]))
    # All but the price on demand, which may be so much higher, and those as spot and under commitments.
    both = both[:, [1, 2, 3, *range(6, both.shape[1])]]
    return bool((both[0] <= both[1]).all())
