"""The one way through, on a small company: reproducible, without look-ahead, adding up, keeping its promises."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from capacity import config, forecast, pipeline, plan, scenario
from capacity.domain import Unit
from capacity.errors import InfeasiblePlanError, MissingDataError, StaleDataError
from capacity.pipeline import planning
from capacity.pipeline.futures import futures
from capacity.pipeline.mix import UnitNeed, planned_safe, solve_mix, unit_need
from capacity.pipeline.planning import Run
from tests import company

AS_OF = company.AS_OF.to_pydatetime()
WEB, API, THUMBS = (Unit(s, "us-east-1") for s in ("web", "api", "thumbs"))


def fresh(folder: Path, text: str = company.CONFIG, **kwargs: object) -> config.Config:
    """A company of its own in ``folder``, ingested."""
    folder.mkdir(exist_ok=True)
    settings = config.load(company.write(folder, config=text, **kwargs))  # type: ignore[arg-type]
    pipeline.require_complete(pipeline.ingest(settings, pipeline.open_store(settings), AS_OF))
    return settings


def run(settings: config.Config) -> plan.Plan:
    return pipeline.run(settings, pipeline.open_store(settings), as_of=AS_OF).plans[0]


def test_the_same_seven_give_the_same_bytes(planned: Run, folder: Path) -> None:
    """Another store, a second process layout, no cached forecast: the same plan.json."""
    text = company.CONFIG.replace("workers: 1", "workers: 2")
    again = run(fresh(folder, text))
    first = planned.plans[0]
    assert plan.to_json(again) == plan.to_json(first)
    assert first.provenance.reproducible


def test_what_comes_later_never_changes_the_plan(planned: Run, folder: Path) -> None:
    later = fresh(folder, end=company.AS_OF + pd.Timedelta(days=20))
    assert plan.to_json(run(later)) == plan.to_json(planned.plans[0])


def test_an_earlier_plan_is_made_again_after_the_store_moved_on(folder: Path) -> None:
    settings = fresh(folder)
    before = run(settings)
    usage = pd.read_csv(folder / "usage.csv")
    usage.loc[usage["metric"] == "requests_per_second", "value"] *= 1.3
    usage.to_csv(folder / "usage.csv", index=False)
    store = pipeline.open_store(settings)
    pipeline.ingest(settings, store, AS_OF)
    assert plan.to_json(run(settings)) != plan.to_json(before)
    again = pipeline.run(settings, store, as_of=AS_OF, versions=before.provenance.store_versions).plans[0]
    assert plan.to_json(again) == plan.to_json(before)


def test_an_earlier_plan_is_made_again_after_a_year_of_upkeep(folder: Path) -> None:
    """Restated usage and bills, compaction, and a vacuum 399 days later: the old versions make the old bytes."""
    settings = fresh(folder)
    before = run(settings)
    store = pipeline.open_store(settings)
    for factor in (1.2, 1.1):
        usage = pd.read_csv(folder / "usage.csv", dtype={"account_id": str})
        usage.loc[usage["metric"] == "requests_per_second", "value"] *= factor
        usage.to_csv(folder / "usage.csv", index=False)
        bill = pd.read_csv(folder / "bill.csv", dtype=str)
        bill["BilledCost"] = bill["EffectiveCost"] = [str(Decimal(x) * 2) for x in bill["BilledCost"]]
        bill.to_csv(folder / "bill.csv", index=False)
        pipeline.require_complete(pipeline.ingest(settings, store, AS_OF))
    much_later = datetime.now(UTC) + timedelta(days=399)
    pipeline.look_after_store(settings, much_later, compact=True, vacuum=True, dry_run=False)
    again = pipeline.run(settings, store, as_of=AS_OF, versions=before.provenance.store_versions).plans[0]
    assert plan.to_json(again) == plan.to_json(before)
    assert plan.to_json(run(settings)) != plan.to_json(before)


def test_the_bill_adds_up_exactly_and_the_fleet_ties_to_it(planned: Run) -> None:
    base = planned.plans[0]
    bill = company.bill_frame(company.usage_frame())
    for month in base.costs:
        rows = bill[bill["ChargePeriodStart"].str.startswith(month.month)]
        total = sum((Decimal(repr(x)) for x in rows["EffectiveCost"]), Decimal(0))
        assert month.direct + month.shared + month.unallocated == month.effective == total
    assert [m.month for m in base.costs] == ["2026-06", "2026-07", "2026-08"]
    (tie,) = base.tie_outs
    assert tie.ties
    assert abs(tie.difference_frac) < 0.001
    assert sum(tie.remainder.values(), tie.billed_effective) == base.costs[-1].effective


def test_unit_cost_is_cost_over_requests(planned: Run) -> None:
    frame = planned.plans[0].frame("unit_cost")
    row = frame[(frame["month"] == "2026-08") & (frame["service"] == "web")].iloc[0]
    usage = company.usage_frame()
    web = usage[(usage["service"] == "web") & (usage["metric"] == "requests_per_second")]
    requests = web[web["ts"].str.startswith("2026-08")]["value"].sum() * 3600
    assert row["units"] == pytest.approx(requests)
    assert float(row["usd_per_1000"]) == pytest.approx(float(row["effective_cost"]) / requests * 1000, rel=1e-6)


def test_the_regression_finds_what_a_request_costs(small: config.Config) -> None:
    ground = planning.prepare(small, pipeline.open_store(small), as_of=AS_OF)
    for unit in (WEB, API):
        cost = ground.data[unit].cost
        assert cost is not None
        assert cost.per_demand.mid == pytest.approx(company.VCPU_PER_RPS[unit.service], rel=0.02)


def test_past_events_are_masked_and_not_learned(small: config.Config) -> None:
    ground = planning.prepare(small, pipeline.open_store(small), as_of=AS_OF)
    spiked = ground.data[WEB].peak.loc["2026-06-19"]
    assert spiked > 2 * ground.data[WEB].peak.loc["2026-06-20"]
    assert ground.base.peak[WEB].quantiles.max() < spiked


def test_coverage_is_kept_and_one_instance_fewer_breaks_it(small: config.Config) -> None:
    """An independent simulation over the joint paths; api has no headroom policy, so its coverage binds."""
    ground = planning.prepare(small, pipeline.open_store(small), as_of=AS_OF)
    known = futures(ground.base, small, scenario.base())
    needs = {}
    for unit in (WEB, API):
        need = unit_need(ground.inputs, ground.data[unit], known[unit], scenario.base(), ground.seed)
        assert need is not None
        needs[unit] = need
    mix = solve_mix(ground.inputs, needs, seed=ground.seed)
    assert mix is not None
    for unit, need in needs.items():
        served = planned_safe(need, mix.solution)
        promised = ground.data[unit].tier.service_level
        for month in {b.month for b in need.blocks}:
            assert _covered(need, month, served) >= promised - 0.02
    smallest = min(s for t, s in needs[API].safe_of.items())
    need, served = needs[API], planned_safe(needs[API], mix.solution)
    fewer = {key: value - 3 * smallest for key, value in served.items()}
    worst = {m: _covered(need, m, fewer) for m in {b.month for b in need.blocks}}
    assert min(worst.values()) < ground.data[API].tier.service_level


def _covered(need: UnitNeed, month: str, served: Mapping[tuple[str, str], float]) -> float:
    """Share of paths with no hour above its block's capacity, counted hour by hour."""
    names = sorted({b.block for b in need.blocks if b.month == month}, key=lambda n: int(n[1:]))
    inside = np.asarray(need.days.strftime("%Y-%m") == month)
    groups = forecast.block_of(need.hours[:, inside], need.days[inside], len(names))
    limits = np.array([served[month, name] for name in names])[groups]
    return float(np.mean((need.hours[:, inside] <= limits).all(axis=(1, 2))))


def test_scenarios_leave_untouched_services_as_they_are(planned: Run) -> None:
    base, more, arm = planned.plans
    assert more.mix is not None
    assert base.mix is not None
    assert more.mix.recommended_usd > base.mix.recommended_usd
    mixes = [p.frame("mix") for p in (base, arm)]
    web = [m[m["service"] == "web"].reset_index(drop=True) for m in mixes]
    pd.testing.assert_frame_equal(*web)
    arm_types = set(mixes[1][(mixes[1]["service"] == "api") & (mixes[1]["instances"] > 0)]["instance_type"])
    assert all("g" in t.split(".")[0][1:] for t in arm_types), arm_types


def test_a_named_growth_carries_its_increment_to_what_it_calls(small: config.Config) -> None:
    ground = planning.prepare(small, pipeline.open_store(small), as_of=AS_OF)
    (more, _) = pipeline.all_scenarios(small)
    grown = futures(ground.base, small, more)
    web, api = ground.base.mean[WEB].paths, ground.base.mean[API].paths
    np.testing.assert_allclose(grown[WEB].mean.paths, web * 1.5, rtol=1e-5)
    np.testing.assert_allclose(grown[API].mean.paths, api + 0.4 * 0.5 * web, rtol=1e-4)
    assert grown[THUMBS].mean is ground.base.mean[THUMBS]


def test_a_lost_region_moves_its_traffic(folder: Path) -> None:
    text = company.CONFIG.replace(
        "  - name: thumbs\n    tier: standard\n    kind: usage_priced\n    regions: [us-east-1]",
        "  - name: thumbs\n    tier: standard\n    kind: usage_priced\n    regions: [us-east-1, us-west-2]",
    )
    folder.mkdir(exist_ok=True)
    path = company.write(folder, config=text)
    usage = pd.read_csv(folder / "usage.csv")
    west = usage[usage["service"] == "thumbs"].assign(region="us-west-2")
    pd.concat([usage, west]).to_csv(folder / "usage.csv", index=False)
    settings = config.load(path)
    pipeline.require_complete(pipeline.ingest(settings, pipeline.open_store(settings), AS_OF))
    ground = planning.prepare(settings, pipeline.open_store(settings), as_of=AS_OF)
    lost = scenario.Scenario(name="lost", failure=scenario.Failure(region="us-west-2"))
    known = futures(ground.base, settings, lost)
    both = ground.base.mean[THUMBS].paths + ground.base.mean[Unit("thumbs", "us-west-2")].paths
    np.testing.assert_allclose(known[THUMBS].mean.paths, both, rtol=1e-5)
    assert Unit("thumbs", "us-west-2") not in known


def test_the_event_check_is_the_same_alone_and_in_the_plan(small: config.Config, planned: Run) -> None:
    alone = pipeline.check(small, pipeline.open_store(small), "sale", as_of=AS_OF)
    assert alone == planned.plans[0].events[0]
    assert {v.unit for v in alone.verdicts} == {WEB, API}


def test_hard_limits_have_dates_and_orders(planned: Run) -> None:
    thumbs = next(u for u in planned.plans[0].units if u.service == "thumbs")
    (limit,) = thumbs.limits
    assert limit.kind == "hard"
    assert limit.remedy == "ask for more"
    if limit.p10 is not None:
        assert limit.order_by == (limit.p10 - pd.Timedelta(days=14))


def test_a_quota_that_cannot_hold_is_named(folder: Path) -> None:
    text = company.CONFIG.replace("    burst_factor: 1.1\n", "    candidates: {allow_families: [m5, c6g]}\n")
    settings = fresh(folder, text.replace("    autoscaled: true\n", "    candidates: {allow_families: [c6g]}\n"))
    quotas = pd.read_csv(folder / "quotas.csv", dtype={"account_id": str})
    quotas.assign(limit=24.0).to_csv(folder / "quotas.csv", index=False)
    pipeline.ingest(settings, pipeline.open_store(settings), AS_OF)
    with pytest.raises(InfeasiblePlanError) as error:
        run(settings)
    assert "L-1216C47A" in str(error.value)
    assert error.value.exit_code == 4
    assert any("L-1216C47A" in line and "24" in line for line in error.value.relaxations)
    assert "a verified plan costs $" in error.value.relaxations[-1]


def test_missing_and_stale_data_are_told(folder: Path) -> None:
    settings = fresh(folder)
    late = (company.AS_OF + pd.Timedelta(days=30)).to_pydatetime()
    with pytest.raises(StaleDataError, match="30"):
        pipeline.run(settings, pipeline.open_store(settings), as_of=late)
    early = (company.START - pd.Timedelta(days=1)).to_pydatetime()
    with pytest.raises(MissingDataError, match="no usage in the store"):
        pipeline.run(settings, pipeline.open_store(settings), as_of=early)


def test_a_plan_without_a_bill_or_fleet_still_tells_what_it_can(folder: Path) -> None:
    lines = [line for line in company.CONFIG.splitlines() if "bill.csv" not in line and "fleet.csv" not in line]
    known = run(fresh(folder, "\n".join(lines)))
    assert known.mix is None
    assert known.costs == ()
    assert any("no fleet" in f or "no safe capacity" in f for u in known.units for f in u.flags)


def test_the_frames_hold_what_they_promise(planned: Run) -> None:
    for known in planned.plans:
        assert set(known.frames) == set(plan.FRAMES)
        for name, columns in plan.FRAMES.items():
            assert list(known.frames[name].columns)[: len(columns)] == list(columns), name
    forecast = planned.plans[0].frame("forecast")
    quantiles = forecast[["q025", "q05", "q10", "q50", "q90", "q95", "q975", "q99"]].to_numpy()
    assert np.isfinite(quantiles).all()
    assert (quantiles >= 0).all()
    assert (np.diff(quantiles, axis=1) >= -1e-9).all()


def test_more_demand_is_never_full_later(planned: Run) -> None:
    base, more, _ = planned.plans
    was = {(u.unit, x.kind, x.metric): x for u in base.units for x in u.limits}
    for unit in more.units:
        for limit in unit.limits:
            before = was[unit.unit, limit.kind, limit.metric]
            assert limit.within_horizon >= before.within_horizon - 1e-9
            for now, then in ((limit.p10, before.p10), (limit.p50, before.p50), (limit.p90, before.p90)):
                assert then is None or (now is not None and now <= then)
