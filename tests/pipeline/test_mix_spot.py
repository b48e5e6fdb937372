"""Spot: whose rules hold, what it costs and by what it is bought short; and what a pin may not keep."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from capacity import catalogue
from capacity.domain import Unit
from capacity.pipeline.mix import planned_safe, solve_mix
from capacity.pipeline.mix._spot import buffer_frac
from tests import company
from tests.pipeline import mix_kit

WEB, API = Unit("web", "us-east-1"), Unit("api", "us-east-1")
TIER = "{name: standard, service_level: 0.9, zones_survived: 0, min_headroom_frac: 0"
ALLOWED = company.CONFIG.replace(TIER, TIER + ", spot_max_frac: 0.5")


def test_without_a_rate_there_is_no_spot_and_it_is_said(tmp_path: Path) -> None:
    needs = mix_kit.needs_of(mix_kit.ground_of(tmp_path, ALLOWED))
    need = needs[API]
    assert need.requirement.spot_max_frac == 0
    assert all(c.spot_usd_per_hour is None for c in need.requirement.candidates)
    assert "spot is allowed, but no spot rate is known in us-east-1: on demand alone" in need.safe.flags
    assert not any("spot" in flag for flag in needs[WEB].safe.flags)


def test_stored_rates_the_tiers_share_and_the_band_s_buffer(tmp_path: Path) -> None:
    text = mix_kit.with_source(ALLOWED, "prices")
    spot = mix_kit.prices(("c5.2xlarge", "spot", 0.11), ("c6g.xlarge", "spot", 0.03), ("c6g.xlarge", "spot_p90", 9.0))
    need = mix_kit.needs_of(mix_kit.ground_of(tmp_path, text, spot))[API]
    assert (need.requirement.spot_max_frac, need.requirement.spot_least_types) == (0.5, 2)
    offered = {c.instance_type: c for c in need.requirement.candidates if c.spot_usd_per_hour is not None}
    assert set(offered) == {"c5.2xlarge", "c6g.xlarge"}
    assert offered["c5.2xlarge"].spot_usd_per_hour == 0.11
    types = catalogue.load().types
    assert types["c5.2xlarge"].spot_band == "5-10%"
    assert offered["c5.2xlarge"].spot_buffer_frac == 0.1
    assert need.spot_relied["c5.2xlarge"] == 0.9
    assert need.requirement.candidates[0].spot_quota_code in ("", "L-34B43A08")


def test_a_services_own_rules_go_before_the_tiers(tmp_path: Path) -> None:
    text = mix_kit.with_source(ALLOWED, "prices").replace(
        "    autoscaled: true\n", "    autoscaled: true\n    spot: {max_frac: 0.2, least_types: 1, buffer_frac: 0.25}\n"
    )
    need = mix_kit.needs_of(mix_kit.ground_of(tmp_path, text, mix_kit.prices(("c5.2xlarge", "spot", 0.11))))[API]
    assert (need.requirement.spot_max_frac, need.requirement.spot_least_types) == (0.2, 1)
    assert {c.spot_buffer_frac for c in need.requirement.candidates if c.spot_usd_per_hour} == {0.25}


def test_the_catalogues_savings_stand_in_where_asked_for_with_their_day(tmp_path: Path) -> None:
    text = ALLOWED.replace("why_seconds: 0}", "why_seconds: 0, spot_rates: catalogue}")
    ground = mix_kit.ground_of(tmp_path, text)
    need = mix_kit.needs_of(ground)[API]
    known = catalogue.load()
    assert f"spot rates are the catalogue's savings of {known.spot_day} on the on-demand rates" in need.safe.flags
    offered = [c for c in need.requirement.candidates if c.spot_usd_per_hour is not None]
    assert offered
    for c in offered:
        saving = known.types[c.instance_type].spot_saving_frac
        assert saving is not None
        assert c.spot_usd_per_hour == pytest.approx(c.usd_per_hour * (1 - saving))


@pytest.mark.parametrize(
    ("band", "share"), [("<5%", 0.05), ("5-10%", 0.1), ("10-15%", 0.15), ("15-20%", 0.2), (">20%", 0.3), ("", 0.3)]
)
def test_the_buffer_follows_the_band(band: str, share: float) -> None:
    kind = replace(catalogue.load().types["m7i.large"], spot_band=band)
    assert buffer_frac(kind) == share
    assert buffer_frac(kind, has_bands=False) == 0.3


def test_of_spot_only_what_is_relied_on_is_counted_as_served(tmp_path: Path) -> None:
    ground = mix_kit.ground_of(tmp_path, ALLOWED)
    need = mix_kit.needs_of(ground)[API]
    mix = solve_mix(ground.inputs, {API: need}, seed=1)
    assert mix is not None
    all_on_demand = planned_safe(need, mix.solution)
    solution = replace(mix.solution, running=mix.solution.running.assign(purchase="spot"))
    as_spot = planned_safe(replace(need, spot_relied=dict.fromkeys(need.safe_of, 0.5)), solution)
    for key, served in all_on_demand.items():
        assert as_spot[key] + need.reserve == pytest.approx((served + need.reserve) / 2)
