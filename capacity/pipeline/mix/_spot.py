"""Spot: what a unit may run of it, what it costs, and how much of it is relied on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from capacity.config import ServiceConfig, TierConfig
from capacity.domain import InstanceType, Unit
from capacity.optimize.candidates import SpotTerms
from capacity.pipeline.inputs import Inputs, on_demand, rates

# The share of a type's spot instances that is interrupted within a month, at most (Spot Instance advisor's bands). The
# buffer is this share: as if all interruptions of a month came at once, and nothing came back in their place.
_BAND_ENDS: Mapping[str, float] = {"<5%": 0.05, "5-10%": 0.1, "10-15%": 0.15, "15-20%": 0.2}
# The last band has no end, and of some types no band is known: half as much again as the highest end that is.
_OPEN_ENDED = 0.3


@dataclass(frozen=True)
class Spot:
    """What spot may do for a unit. ``terms`` is empty where it may do nothing, or nothing is known of it."""

    max_frac: float = 0.0
    least_types: int = 1
    terms: Mapping[str, SpotTerms] = field(default_factory=dict)
    flags: tuple[str, ...] = ()


def spot_of(inputs: Inputs, unit: Unit, service: ServiceConfig, tier: TierConfig) -> Spot:
    """The service's rules, else the tier's, with rates of the store (or the catalogue's savings where asked for)."""
    max_frac = tier.spot_max_frac if service.spot.max_frac is None else service.spot.max_frac
    if max_frac <= 0 or service.kind != "fleet":
        return Spot()
    usd, flags = _rates(inputs, unit.region)
    if not usd:
        return Spot(flags=flags)
    most = inputs.config.optimize.most_types
    least = tier.spot_least_types if service.spot.least_types is None else service.spot.least_types
    given = tier.spot_buffer_frac if service.spot.buffer_frac is None else service.spot.buffer_frac
    has_bands = unit.region == inputs.spot_known[0]
    terms = {
        name: SpotTerms(rate, buffer_frac(inputs.types[name], has_bands) if given is None else given)
        for name, rate in sorted(usd.items())
        if name in inputs.types
    }
    return Spot(max_frac, min(least, most or least), terms, flags)


def buffer_frac(kind: InstanceType, has_bands: bool = True) -> float:
    """Share of a spot instance that is not relied on, by its type's interruption band."""
    return _BAND_ENDS.get(kind.spot_band, _OPEN_ENDED) if has_bands else _OPEN_ENDED


def _rates(inputs: Inputs, region: str) -> tuple[dict[str, float], tuple[str, ...]]:
    """$/h by type, and what must be said of where they come from."""
    stored = rates(inputs.prices, region, "spot")
    if stored:
        return stored, ()
    known_region, day = inputs.spot_known
    if inputs.config.optimize.spot_rates == "catalogue" and known_region == region and day is not None:
        listed = on_demand(inputs.prices, region)
        saved = {
            name: listed[name] * (1.0 - kind.spot_saving_frac)
            for name, kind in inputs.types.items()
            if kind.spot_saving_frac is not None and name in listed
        }
        if saved:
            return saved, (f"spot rates are the catalogue's savings of {day} on the on-demand rates",)
    return {}, (f"spot is allowed, but no spot rate is known in {region}: on demand alone",)
