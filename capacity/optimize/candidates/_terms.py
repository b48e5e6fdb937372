"""What an instance type is worth to a unit, beyond its price."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from capacity.domain import InstanceType

# What an instance serves: (within the SLO, while zones are lost), in demand units.
CapacityOf = Callable[[InstanceType], tuple[float, float]]
# What an instance holds of each further resource, in the two states.
FurtherOf = Callable[[InstanceType], Mapping[str, tuple[float, float]]]


def _nothing_further(kind: InstanceType) -> Mapping[str, tuple[float, float]]:
    return {}


@dataclass(frozen=True)
class SpotTerms:
    """A type as spot: $/h, and the share of it that is not relied on."""

    usd_per_hour: float
    buffer_frac: float


@dataclass(frozen=True)
class Terms:
    """What a unit asks of its candidates beside demand, and what they are worth to it.

    Attributes
    ----------
    further_of
        What an instance holds of the resources that are asked for apart from demand.
    rays
        Amounts of these resources for each unit of demand, one mapping for each kind of hour that differs: the
        directions in which needs grow, over which the spread is chosen.
    spot
        By type, where the unit may use spot.
    committed_rate
        By type: the lowest rate of the commitments that may be bought for it, as a share of on demand; 1 where there is
        none. A type that is dear on demand and cheap under a commitment stays to be chosen.
    least_types
        So many different types must be able to run beside each other (as spot, or in all).
    nothing_reason
        Why a type serves nothing; the SLO where it gives no reason.
    """

    further_of: FurtherOf = _nothing_further
    rays: tuple[Mapping[str, float], ...] = ()
    spot: Mapping[str, SpotTerms] = field(default_factory=dict)
    committed_rate: Mapping[str, float] = field(default_factory=dict)
    least_types: int = 1
    nothing_reason: Callable[[InstanceType], str | None] = lambda kind: None
