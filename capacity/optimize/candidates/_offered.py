"""Types that may serve a unit, as arrays: hundreds are compared before a dozen become candidates."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from capacity.domain import Candidate, Floats, InstanceType
from capacity.optimize.candidates._kinds import Bools, Ints, numbered
from capacity.optimize.candidates._quota import quota_code, spot_quota_code
from capacity.optimize.candidates._terms import Terms

# Rates that differ by no more than this share are one.
EVEN = 1e-3


@dataclass(frozen=True)
class Offered:
    """n types, in order of their names.

    Attributes
    ----------
    names
        Names of the types.
    usd, vcpu, safe, zone_loss
        (n,) $/h on demand, vCPU, and demand that an instance serves in the two states.
    further
        (n, 2) what an instance holds of each further resource in the two states, by resource in order of name.
    spot_usd, spot_buffer
        (n,) $/h as spot and the share that is not relied on; inf and 1 where there is no spot.
    has_spot
        (n,) whether it may be had as spot.
    committed_usd
        (n,) $/h under the best commitment that may be bought; that on demand where there is none.
    quotas, spot_quotas
        (n,) quota classes as numbers; those of spot count only where there is spot.
    """

    names: tuple[str, ...]
    usd: Floats
    vcpu: Floats
    safe: Floats
    zone_loss: Floats
    further: Mapping[str, Floats]
    spot_usd: Floats
    spot_buffer: Floats
    has_spot: Bools
    committed_usd: Floats
    quotas: Ints
    spot_quotas: Ints

    def __len__(self) -> int:
        return len(self.names)

    @property
    def binding(self) -> Floats:
        """(n,) the smaller of what is served in the two states."""
        return np.minimum(self.safe, self.zone_loss)

    @property
    def even(self) -> bool:
        """Whether commitments leave the order of prices as it is: one rate for all."""
        rate = self.committed_usd / self.usd
        return not len(rate) or bool(np.ptp(rate) <= EVEN * rate.min())

    def committed(self) -> Offered:
        """The same at what they cost under commitments."""
        return replace(self, usd=self.committed_usd)

    def take(self, at: Sequence[int] | Ints) -> Offered:
        """Those at these positions, in this order."""
        index = np.asarray(at, dtype=np.intp)
        return Offered(
            names=tuple(self.names[i] for i in index.tolist()),
            usd=self.usd[index],
            vcpu=self.vcpu[index],
            safe=self.safe[index],
            zone_loss=self.zone_loss[index],
            further={r: held[index] for r, held in self.further.items()},
            spot_usd=self.spot_usd[index],
            spot_buffer=self.spot_buffer[index],
            has_spot=self.has_spot[index],
            committed_usd=self.committed_usd[index],
            quotas=self.quotas[index],
            spot_quotas=self.spot_quotas[index],
        )


def offered_of(candidates: Sequence[Candidate]) -> Offered:
    """Candidates as arrays."""
    return Offered(
        names=tuple(c.instance_type for c in candidates),
        usd=_floats([c.usd_per_hour for c in candidates]),
        vcpu=_floats([c.vcpu for c in candidates]),
        safe=_floats([c.safe for c in candidates]),
        zone_loss=_floats([c.zone_loss for c in candidates]),
        further=further_of([c.further for c in candidates]),
        spot_usd=_floats([math.inf if c.spot_usd_per_hour is None else c.spot_usd_per_hour for c in candidates]),
        spot_buffer=_floats([1.0 if c.spot_usd_per_hour is None else c.spot_buffer_frac for c in candidates]),
        has_spot=np.array([c.spot_usd_per_hour is not None for c in candidates], dtype=bool),
        committed_usd=_floats([c.usd_per_hour for c in candidates]),
        quotas=numbered([c.quota_code for c in candidates]),
        spot_quotas=numbered([c.spot_quota_code for c in candidates]),
    )


def further_of(held: Sequence[Mapping[str, tuple[float, float]]]) -> dict[str, Floats]:
    """(n, 2) what each holds of each resource that any of them holds, by resource in order of name."""
    resources = sorted(set().union(*held))
    return {r: _floats([h.get(r, (0.0, 0.0)) for h in held]).reshape(len(held), 2) for r in resources}


def _floats(values: Sequence[object]) -> Floats:
    return np.array(values, dtype=float)


def candidate(
    kind: InstanceType, price: float, capacity: tuple[float, float], terms: Terms, allowed: bool = True
) -> Candidate:
    """One type as the optimizer's candidate; where it serves nothing that is known, it serves nothing."""
    safe, zone_loss = (x if 0 <= x < math.inf else 0.0 for x in capacity)
    spot = terms.spot.get(kind.name) if allowed else None
    return Candidate(
        instance_type=kind.name,
        family=kind.family,
        arch=kind.arch,
        vcpu=kind.vcpu,
        quota_code=quota_code(kind.family),
        usd_per_hour=float(price),
        safe=safe,
        zone_loss=zone_loss,
        allowed=allowed,
        further=dict(terms.further_of(kind)),
        spot_usd_per_hour=spot.usd_per_hour if spot else None,
        spot_buffer_frac=spot.buffer_frac if spot else 0.0,
        spot_quota_code=spot_quota_code(kind.family) if spot else "",
    )
