"""What a finding of waste says."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Literal

import pandas as pd

Kind = Literal["idle", "oversized", "previous_generation", "storage", "address", "commitment"]
Confidence = Literal["high", "medium", "low"]
KINDS: tuple[Kind, ...] = ("idle", "oversized", "previous_generation", "storage", "address", "commitment")
MIX, NOBODY = "recommended mix", "none: ask the owner"


@dataclass(frozen=True)
class Waste:
    """One finding.

    Attributes
    ----------
    monthly_usd
        What it costs a month of 730 hours (what is read off a bill: in its month), in ``currency``; rows of one unit
        never count an instance twice. Null where it is waste whose price is not known.
    taken_by
        The action of the plan that takes it.
    evidence
        The figures it rests on.
    in_plan_usd
        Of ``monthly_usd``, what the recommended mix saves as well: counted in the plan's saving already.
    held_usd
        Money a month that the demand of the next weeks does not need, and that is no waste, for ``reason``.
    """

    kind: Kind
    service: str
    region: str
    what: str
    monthly_usd: float | None
    currency: str
    confidence: Confidence
    reason: str
    taken_by: str
    evidence: str
    in_plan_usd: float = 0.0
    held_usd: float = 0.0


WASTE_COLUMNS = tuple(f.name for f in fields(Waste))


def waste_frame(found: Sequence[Waste]) -> pd.DataFrame:
    """Findings as a frame, :data:`WASTE_COLUMNS`: the most money first, what is held back last."""
    ordered = sorted(found, key=lambda w: (-(w.monthly_usd or 0.0), KINDS.index(w.kind), w.service, w.region, w.what))
    frame = pd.DataFrame([[getattr(w, c) for c in WASTE_COLUMNS] for w in ordered], columns=list(WASTE_COLUMNS))
    return frame.astype(dict.fromkeys(("monthly_usd", "in_plan_usd", "held_usd"), float))
