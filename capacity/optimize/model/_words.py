"""The model as an object: its variables by meaning, its rows by family."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

from capacity.domain import Candidate, Unit, UnitRequirement
from capacity.optimize._fleet import Fleet

Sense = Literal["<=", ">=", "=="]
# (requirement, candidate, month) and (requirement, candidate, month, block), by position.
Key3 = tuple[int, int, int]
Key4 = tuple[int, int, int, int]


@dataclass(frozen=True)
class Row:
    """The meaning of a constraint.

    Attributes
    ----------
    key
        A block, or the position of a quota, commitment, offer or reserved type; -1 where there is none.
    resource
        Of the families ``further`` and ``further_zone_loss``.
    scale
        How much of the row's own unit (demand, instances, vCPU, $/h) a right-hand side of 1 stands for.
    """

    family: str
    unit: Unit | None = None
    month: int = -1
    key: int = -1
    resource: str = ""
    scale: float = 1.0


@dataclass
class MixModel:
    """A PuLP problem and the map from its generated names to their meaning.

    ``cover`` is by (usage group, commitment, lot), ``cover_bought`` by (usage group, offer, lot), ``purchases`` by
    (offer, month), ``idle`` by (reserved type, lot) and ``idle_in_month`` by (reserved type, month), all by position.
    """

    fleet: Fleet
    lp: Any
    provisioned: dict[Key3, Any] = field(default_factory=dict)
    running: dict[Key4, Any] = field(default_factory=dict)
    spot: dict[Key4, Any] = field(default_factory=dict)
    spot_peak: dict[Key3, Any] = field(default_factory=dict)
    is_type: dict[Key3, Any] = field(default_factory=dict)
    runs_type: dict[Key4, Any] = field(default_factory=dict)
    spot_type: dict[Key4, Any] = field(default_factory=dict)
    spot_spread: dict[Key3, Any] = field(default_factory=dict)
    cover: dict[tuple[int, int, int], Any] = field(default_factory=dict)
    cover_bought: dict[tuple[int, int, int], Any] = field(default_factory=dict)
    purchases: dict[tuple[int, int], Any] = field(default_factory=dict)
    idle: dict[tuple[int, int], Any] = field(default_factory=dict)
    idle_in_month: dict[tuple[int, int], Any] = field(default_factory=dict)
    leave: dict[Key4, Any] = field(default_factory=dict)
    rows: dict[str, Row] = field(default_factory=dict)
    objective: dict[Any, float] = field(default_factory=dict)
    constant_usd: float = 0.0

    def add(self, row: Row, terms: Mapping[Any, float], sense: Sense, rhs: float) -> None:
        """One constraint under a generated name (names that sanitise alike would break CBC)."""
        import pulp

        sign = {"<=": pulp.LpConstraintLE, ">=": pulp.LpConstraintGE, "==": pulp.LpConstraintEQ}[sense]
        name = f"{row.family}_{len(self.rows)}"
        # A requirement that nothing can meet is a row of its own, so that it can be named in a conflict.
        kept = {v: c for v, c in terms.items() if c != 0} or {self.nothing: 1.0}
        expression = pulp.LpAffineExpression(kept)
        self.lp.addConstraint(pulp.LpConstraint(expression, sign, name=name, rhs=rhs), name)
        self.rows[name] = row

    def variable(self, prefix: str, count: int, upper: float | None, integer: bool = True) -> Any:
        import pulp

        return self.lp.add_variable(f"{prefix}{count}", 0, upper, pulp.LpInteger if integer else pulp.LpContinuous)

    @cached_property
    def nothing(self) -> Any:
        """A variable that is always 0."""
        return self.variable("z", 0, 0.0, integer=False)

    def allowed(self, s: int) -> list[tuple[int, Candidate]]:
        return [(i, c) for i, c in enumerate(self.fleet.requirements[s].candidates) if c.allowed]

    def blocks_that_decide(self, s: int, t: int) -> range | list[int]:
        """Blocks that need variables: all where the unit autoscales, else the one with the largest demand."""
        blocks = self.fleet.blocks[s][t]
        if autoscales(self.fleet.requirements[s]):
            return range(len(blocks))
        return [max(range(len(blocks)), key=lambda b: blocks[b].demand)] if blocks else []

    def months_of(self, s: int) -> list[int]:
        """Months that the unit's horizon reaches."""
        return [t for t, blocks in enumerate(self.fleet.blocks[s]) if blocks]

    def spot_of(self, s: int, t: int, b: int) -> dict[int, Any]:
        """Candidate -> its p in a block; only of those that may be had as spot."""
        found = ((i, self.spot.get((s, i, t, b))) for i, _ in self.allowed(s))
        return {i: p for i, p in found if p is not None}


def autoscales(requirement: UnitRequirement) -> bool:
    """A vertical unit keeps its count, so it never autoscales."""
    return requirement.autoscaled and not requirement.vertical
