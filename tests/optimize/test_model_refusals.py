"""Figures that cannot be meant are refused by name, and a price or rate that is missing is never guessed."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from capacity.domain import CapacityReservation, MixProblem, Offer
from capacity.errors import MissingDataError, UsageError
from capacity.optimize._fleet import fleet_of
from tests.optimize.makers import ACCOUNT, REGION, SMALL, commitment, problem, unit


def _offer(**change: Any) -> Offer:
    return replace(Offer("o", "compute_sp", 1, "no_upfront", "", "", "", {"m5.large": 0.7}), **change)


def _held(**change: Any) -> CapacityReservation:
    start = datetime(2025, 1, 1, tzinfo=UTC)
    return replace(CapacityReservation("cr", ACCOUNT, REGION, "", "m5.large", 1, start), **change)


def _with(**change: Any) -> MixProblem:
    """A unit, its candidate or its block with other figures."""
    r = unit("a", [10], [SMALL])
    fields = {"spot_max_frac", "spot_least_types", "least_types"}
    if next(iter(change)) in fields:
        return problem(replace(r, **change))
    if next(iter(change)) in {"region_loss_demand", "needs"}:
        named = {"further": change["needs"]} if "needs" in change else change
        return problem(replace(r, blocks=tuple(replace(b, **named) for b in r.blocks)))
    return problem(replace(r, candidates=tuple(replace(c, **change) for c in r.candidates)))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"spot_max_frac": 1.1}, "a/us-east-1: spot_max_frac 1.1: a share of demand"),
        ({"spot_max_frac": -0.1}, "spot_max_frac -0.1"),
        ({"spot_least_types": 0}, "spot_least_types 0: a whole number of at least 1"),
        ({"least_types": 1.5}, "least_types 1.5: a whole number"),
        ({"region_loss_demand": -1.0}, "region_loss_demand -1.0 in 2026-01 b1"),
        ({"needs": {"memory": -2.0}}, "further memory of -2.0 in 2026-01 b1"),
        ({"needs": {"memory": float("nan")}}, "further memory of nan"),
        ({"further": {"memory": (1.0, -1.0)}}, "candidate m5.large: further memory"),
        ({"further": {"memory": (1.0,)}}, "two figures"),
        ({"spot_usd_per_hour": -0.1}, "candidate m5.large: spot price -0.1"),
        ({"spot_buffer_frac": 1.0}, "spot_buffer_frac 1.0: a share, from 0 to below 1"),
        ({"spot_buffer_frac": -0.2}, "spot_buffer_frac -0.2"),
    ],
)
def test_figures_of_a_unit_are_refused_by_name(change: dict[str, Any], words: str) -> None:
    with pytest.raises(UsageError) as error:
        fleet_of(_with(**change))
    assert words in str(error.value)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"rate": {"m5.large": 0.0}}, "offer o: rate 0.0 of m5.large: a share of on demand, above 0 and at most 1.5"),
        ({"rate": {"m5.large": 1.51}}, "rate 1.51 of m5.large"),
        ({"rate": {"m5.large": float("nan")}}, "rate nan of m5.large"),
        ({"product": "convertible_ri", "scope": "m5"}, "product convertible_ri is none of"),
        ({"product": "ec2_instance_sp"}, "ec2_instance_sp needs a scope"),
        ({"scope": "m5"}, "a compute_sp has no scope, yet m5 is given"),
        ({"term_years": 2}, "a term of 2 years; there are 1 and 3"),
        ({"upfront_frac": 1.2}, "upfront_frac 1.2: a share"),
    ],
)
def test_offers_that_cannot_be_meant_are_refused_by_name(change: dict[str, Any], words: str) -> None:
    with pytest.raises(UsageError) as error:
        fleet_of(replace(problem(unit("a", [10], [SMALL])), offers=(_offer(**change),)))
    assert words in str(error.value)


@pytest.mark.parametrize(
    "offer", [_offer(rate={}), _offer(product="standard_ri", scope="m5.large", rate={"c5.large": 0.6})]
)
def test_an_offer_without_a_rate_is_refused_with_its_name(offer: Offer) -> None:
    with pytest.raises(MissingDataError, match=f"no rate for the offer.*{offer.product} o: .*never guessed"):
        fleet_of(replace(problem(unit("a", [10], [SMALL])), offers=(offer,)))


def test_names_are_given_once() -> None:
    p = problem(unit("a", [10], [SMALL]))
    with pytest.raises(UsageError, match="offer o: given twice"):
        fleet_of(replace(p, offers=(_offer(), _offer())))
    with pytest.raises(UsageError, match="reservation cr: given twice"):
        fleet_of(replace(p, reservations=(_held(), _held())))
    owned = commitment("o@2026-01", "compute_sp")
    with pytest.raises(UsageError, match="a purchase would be called o@2026-01"):
        fleet_of(replace(p, offers=(_offer(),), commitments=(owned,), committed_rate={"o@2026-01": 0.7}))


def test_reservations_that_cannot_be_meant_or_priced_are_refused() -> None:
    p = problem(unit("a", [10], [SMALL]))
    with pytest.raises(UsageError, match="reservation cr: count 0"):
        fleet_of(replace(p, reservations=(_held(count=0),)))
    with pytest.raises(UsageError, match="reservation cr: ends on 2025-01-01"):
        fleet_of(replace(p, reservations=(_held(end=datetime(2025, 1, 1, tzinfo=UTC)),)))
    with pytest.raises(MissingDataError, match=r"cr \(p5.48xlarge in us-east-1\)"):
        fleet_of(replace(p, reservations=(_held(instance_type="p5.48xlarge"),)))
    with pytest.raises(MissingDataError, match=r"cr \(m5.large in eu-west-1\)"):
        fleet_of(replace(p, reservations=(_held(region="eu-west-1"),)))


def test_a_type_that_is_barred_still_prices_what_is_reserved_of_it() -> None:
    p = problem(unit("a", [10], [SMALL, replace(SMALL, instance_type="m4.large", allowed=False, usd_per_hour=0.11)]))
    fleet = fleet_of(replace(p, reservations=(_held(instance_type="m4.large"),)))
    assert [(kind.instance_type, kind.usd_per_hour) for kind in fleet.reserved] == [("m4.large", 0.11)]
