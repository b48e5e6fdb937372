"""Offers from the rate card: one a scope, rates by type, nothing guessed."""

from __future__ import annotations

import pandas as pd
import pytest

from capacity.config import CommitmentPolicy
from capacity.domain import Candidate, LoadBlock, Unit, UnitRequirement
from capacity.pipeline.mix import offers

ON_DEMAND = {"m5.large": 0.10, "m5.xlarge": 0.20, "m7g.large": 0.08, "db.r6g.large": 0.25}


def _prices(*rows: tuple[str, str, str, float]) -> pd.DataFrame:
    """(type, region, product, rate) beside the on-demand rates of two regions."""
    listed = [
        (t, region, "on_demand", x * up) for region, up in (("east", 1.0), ("west", 1.2)) for t, x in ON_DEMAND.items()
    ]
    frame = pd.DataFrame([*listed, *rows], columns=["instance_type", "region", "product", "rate"])
    return frame.assign(os="Linux", tenancy="Shared", currency="USD")


def _unit(region: str, types: tuple[str, ...], running: str, barred: str = "") -> UnitRequirement:
    candidates = tuple(
        Candidate(t, t.rpartition(".")[0], "x86_64", 2, "q", ON_DEMAND[t], 10, 10, allowed=t != barred) for t in types
    )
    return UnitRequirement(
        Unit("web", region), "1", 3, 1, True, 1, 9, (LoadBlock("2026-10", "b1", 744, 10),), candidates,
        {(running, "a"): 3},
    )  # fmt: skip


POLICY = CommitmentPolicy(terms=[1], payments=["no_upfront"])
BOTH = (_unit("east", ("m5.large", "m5.xlarge", "m7g.large"), "m5.large"), _unit("west", ("m5.large",), "m5.large"))


def test_one_compute_plan_covers_all_regions_at_the_dearest_rate_of_a_type() -> None:
    prices = _prices(
        ("m5.large", "east", "compute_sp_1y_no_upfront", 0.072),
        ("m7g.large", "east", "compute_sp_1y_no_upfront", 0.06),
        ("m5.large", "west", "compute_sp_1y_no_upfront", 0.09),
    )
    found, missing = offers(prices, BOTH, POLICY)
    (plan,) = found
    assert (plan.id, plan.product, plan.scope, plan.region) == ("compute_sp_1y_no_upfront", "compute_sp", "", "")
    assert plan.rate == {"m5.large": pytest.approx(0.75), "m7g.large": pytest.approx(0.75)}
    assert plan.upfront_frac == 0
    assert [m.split(":")[0] for m in missing] == ["ec2_instance_sp_1y_no_upfront", "standard_ri_1y_no_upfront"]


def test_a_family_plan_and_an_ri_have_their_scopes() -> None:
    prices = _prices(
        *(
            (t, "east", "ec2_instance_sp_1y_no_upfront", ON_DEMAND[t] * 0.6)
            for t in ("m5.large", "m5.xlarge", "m7g.large")
        ),
        ("m5.large", "west", "ec2_instance_sp_1y_no_upfront", 0.12 * 0.7),
        *((t, "east", "standard_ri_1y_no_upfront", ON_DEMAND[t] * 0.65) for t in ("m5.large", "m5.xlarge")),
    )
    found, _ = offers(prices, BOTH, POLICY)
    plans = {o.id: o for o in found}
    assert set(plans) == {
        "ec2_instance_sp_1y_no_upfront:m5:east", "ec2_instance_sp_1y_no_upfront:m5:west",
        "ec2_instance_sp_1y_no_upfront:m7g:east", "standard_ri_1y_no_upfront:m5.large:east",
    }  # fmt: skip
    east = plans["ec2_instance_sp_1y_no_upfront:m5:east"]
    assert east.rate == {"m5.large": pytest.approx(0.6), "m5.xlarge": pytest.approx(0.6)}
    assert plans["ec2_instance_sp_1y_no_upfront:m5:west"].rate == {"m5.large": pytest.approx(0.7)}
    assert plans["standard_ri_1y_no_upfront:m5.large:east"].scope == "m5.large"
    more, _ = offers(prices, BOTH, POLICY, planned=[("east", "m5.xlarge")])
    assert "standard_ri_1y_no_upfront:m5.xlarge:east" in {o.id for o in more}


def test_every_term_and_payment_is_an_offer_of_its_own() -> None:
    words = [f"compute_sp_{t}y_{p}" for t in (1, 3) for p in ("no_upfront", "partial_upfront", "all_upfront")]
    prices = _prices(*(("m5.large", "east", w, 0.07 - 0.001 * i) for i, w in enumerate(words)))
    found, missing = offers(prices, BOTH[:1], CommitmentPolicy(products=["compute_sp"]))
    assert missing == ()
    assert {(o.term_years, o.payment, o.upfront_frac) for o in found} == {
        (t, p, u) for t in (1, 3) for p, u in (("no_upfront", 0.0), ("partial_upfront", 0.5), ("all_upfront", 1.0))
    }
    assert len({o.rate["m5.large"] for o in found}) == 6


def test_what_nobody_may_plan_and_databases_are_not_covered() -> None:
    product = "compute_sp_1y_no_upfront"
    prices = _prices(("m5.large", "east", product, 0.07), ("db.r6g.large", "east", product, 0.2))
    barred = _unit("east", ("m5.large", "m7g.large", "db.r6g.large"), "m5.large", barred="m5.large")
    found, missing = offers(prices, [barred], POLICY)
    assert found == ()
    assert missing[0].startswith("compute_sp_1y_no_upfront: no rate is known")
