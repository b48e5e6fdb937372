"""What a choice among whole months makes of the quotas."""

from __future__ import annotations

import numpy as np

from capacity.domain import Floats
from capacity.optimize.columns._bundles import Bundle, month_rows
from capacity.optimize.columns._lanes import Counts, Lanes
from capacity.optimize.columns._part import Part

# A unit, by its position in the part, and a month.
Key = tuple[int, int]


def month_lanes(u: Lanes) -> list[tuple[int, Counts]]:
    """A unit's months and their lanes."""
    return [(int(t), np.flatnonzero(u.months == t)) for t in np.unique(u.months)]


def used_of(part: Part, bundles: dict[Key, Bundle | None]) -> Floats:
    """What bundles bring to the rows that mind a whole month."""
    out = np.zeros(len(part.coupling.upper))
    for (at, t), bundle in bundles.items():
        if bundle is not None:
            for row, value in month_rows(part.coupling, part.units[at], t, bundle).items():
                out[row] += value
    return out


def quotas_hold(part: Part, bundles: dict[Key, Bundle | None]) -> bool:
    """Whether every month has a bundle and no quota is overfilled."""
    return not any(b is None for b in bundles.values()) and not broken_of(part, bundles)


def broken_of(part: Part, bundles: dict[Key, Bundle | None]) -> set[int]:
    """Rows of quotas that ``bundles`` overfill."""
    coupling, used = part.coupling, used_of(part, bundles)
    held = used.copy()
    for row, variable, value in coupling.entries:
        # Reserved and unused: what the provisioned instances leave of what is held.
        if coupling.names[row][0] == "quota" and variable not in coupling.excess:
            unused_row = next(r for r, v, _ in coupling.entries if v == variable and coupling.names[r][0] == "unused")
            held[row] += value * max(used[unused_row] - coupling.upper[unused_row], 0.0)
    rows = [r for r, name in enumerate(coupling.names) if name[0] in ("quota", "spot quota")]
    return {r for r in rows if held[r] > coupling.upper[r] * (1 + 1e-9) + 1e-9}
