"""A node pool: the joint peak of its paths, whole pods, nodes that hold them, and one unit in the plan."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from capacity import catalogue, config, forecast, pipeline
from capacity.config import NodePoolConfig, PodConfig
from capacity.domain import InstanceType, LoadBlock, Unit
from capacity.forecast.targets import HOURS
from capacity.pipeline.assemble import _fewer_zones
from capacity.pipeline.mix import UnitNeed, solve_mix, tier_of
from capacity.pipeline.mix._joint import joint_levels, on_clock, shared_days
from capacity.pipeline.mix._nodes import Shares, allocatable, holds, too_small_for
from capacity.pipeline.mix._pools import _safe
from capacity.pipeline.planning import Ground
from capacity.plan import Plan, UnitPlan
from capacity.report.handover import karpenter
from capacity.report.handover._base import Options
from tests import company
from tests.pipeline import mix_kit

POOL = Unit("nodes", "us-east-1")
WEB, API = Unit("web", "us-east-1"), Unit("api", "us-east-1")
TEXT = (
    company.CONFIG
    + """\
pools:
  - name: nodes
    tier: critical
    regions: [us-east-1]
    account_id: "1"
    services:
      - {service: web, cpu_request_vcpu: 0.5, memory_request_gib: 1, demand_per_pod: 9}
      - {service: api, cpu_request_vcpu: 2, memory_request_gib: 14, demand_per_pod: 30, min_pods: 2}
    daemon_cpu_vcpu: 0.2
    daemon_memory_gib: 0.5
    autoscaled: true
"""
)


def shifted(frame: pd.DataFrame) -> pd.DataFrame:
    """api is busiest twelve hours after web."""
    moved = pd.to_datetime(frame["ts"]) + pd.Timedelta(hours=12)
    late = frame["service"] == "api"
    return frame.assign(ts=frame["ts"].mask(late, moved.dt.strftime("%Y-%m-%dT%H:%M:%SZ")))


def out_of_step(folder: Path) -> None:
    frame = pd.read_csv(folder / "usage.csv", dtype={"account_id": str})
    shifted(frame).to_csv(folder / "usage.csv", index=False)


@pytest.fixture(scope="module")
def ground(tmp_path_factory: pytest.TempPathFactory) -> Ground:
    return mix_kit.ground_of(tmp_path_factory.mktemp("pool") / "co", TEXT, out_of_step)


@pytest.fixture(scope="module")
def need(ground: Ground) -> UnitNeed:
    needs = mix_kit.needs_of(ground)
    assert set(needs) == {POOL}  # its services have no fleet of their own
    return needs[POOL]


def pods_of(ground: Ground, unit: Unit, per_pod: float, least: int = 0) -> np.ndarray:
    future = mix_kit.known_of(ground)[unit]
    hours = forecast.hourly_paths(future.mean, future.peak, ground.data[unit].shapes, ground.seed)
    return np.maximum(np.ceil(hours / per_pod - 1e-6), least)


def test_memory_must_hold_with_the_zones_gone_too(ground: Ground) -> None:
    shares = Shares((0.5, 0.5), (0.5, 0.5))
    tier = next(t for t in ground.inputs.config.tiers if t.zones_survived == 1)
    pool = next(p for p in ground.inputs.config.pools if p.name == "nodes")
    node = ground.inputs.types["m5.4xlarge"]
    running = {("m5.4xlarge", zone): 2 for zone in ("a", "b", "c")}
    held = 6 * holds(node, pool, shares)[1]

    def flags(needed: float) -> tuple[str, ...]:
        blocks = (LoadBlock("2026-09", "b0", 1.0, 1.0, {"memory_gib": needed}),)
        requests = SimpleNamespace(shares=shares)
        return _safe(POOL, running, ground.inputs.types, pool, tier, requests, blocks).flags  # type: ignore[arg-type]

    assert flags(0.6 * held) == ()
    assert len(flags(0.8 * held)) == 1
    assert "with 1 zone(s) lost" in flags(0.8 * held)[0]
    assert "lost" not in flags(1.1 * held)[0]


def test_a_tier_that_survives_more_zones_than_there_are_is_told(tmp_path: Path) -> None:
    text = company.CONFIG.replace("    burst_factor: 1.1\n", "    burst_factor: 1.1\n    zones: 1\n")
    ground = mix_kit.ground_of(tmp_path, text)
    needs = mix_kit.needs_of(ground)
    (flag,) = _fewer_zones(ground.data[WEB], needs[WEB])
    assert "survives the loss of 1 zone(s), the service has 1: planned for none lost" in flag
    assert _fewer_zones(ground.data[API], needs[API]) == ()


def test_the_demand_is_the_joint_peak_of_whole_pods(ground: Ground, need: UnitNeed) -> None:
    web, api = pods_of(ground, WEB, 9), pods_of(ground, API, 30, 2)
    both = shared_days([mix_kit.known_of(ground)[u].peak.index for u in (WEB, API)])
    cut = [x[:, mix_kit.known_of(ground)[u].peak.index.get_indexer(both)] for u, x in ((WEB, web), (API, api))]
    np.testing.assert_allclose(need.hours, 0.5 * cut[0] + 2 * cut[1], rtol=1e-6)
    level = 0.95
    for month in sorted({b.month for b in need.blocks}):
        inside = np.asarray(need.days.strftime("%Y-%m") == month)
        peaks = [float(np.quantile(x[:, inside].max(axis=(1, 2)), level)) for x in cut]
        joint = max(b.demand for b in need.blocks if b.month == month)
        assert joint < 0.9 * (0.5 * peaks[0] + 2 * peaks[1])
        served = {(b.month, b.block): b.demand for b in need.blocks if b.month == month}
        blocks = [b for b in need.blocks if b.month == month]
        covered = forecast.plan_coverage(need.hours[:, inside], need.days[inside], blocks, served)[month]
        assert covered >= level


def test_vcpu_memory_and_pods_hold_together_at_the_level(need: UnitNeed) -> None:
    for b in need.blocks:
        # Each pod of web has .5 vCPU and 1 GiB, each of api 2 and 14: between these slopes lie all sums.
        assert 2 * b.demand * 0.9 <= b.further["memory_gib"] <= 7 * b.demand
        assert b.demand / 2 <= b.further["pods"] <= b.demand / 0.5
        assert b.further["pods"] == round(b.further["pods"])


def test_every_type_is_a_candidate_or_has_an_excuse(ground: Ground, need: UnitNeed) -> None:
    named = {c.instance_type for c in need.requirement.candidates} | {e.instance_type for e in need.excuses}
    assert named == set(catalogue.load().types)
    small = {e.instance_type: e.reason for e in need.excuses if e.reason.startswith("too small")}
    assert small["m7i.large"] == "too small for a pod of api"
    assert need.requirement.account_id == "1"
    assert tier_of(ground.inputs.config, POOL).name == "critical"
    assert tier_of(ground.inputs.config, API).name == "standard"


def test_the_planned_nodes_take_the_pods_of_the_futures(ground: Ground, need: UnitNeed) -> None:
    """Placed one by one, largest first, on what runs in the busiest block: an independent packing."""
    mix = solve_mix(ground.inputs, {POOL: need}, seed=1)
    assert mix is not None
    pool = ground.inputs.config.pools[0]
    rows = mix.solution.running
    web, api = pods_of(ground, WEB, 9), pods_of(ground, API, 30, 2)
    month = need.blocks[0].month
    top = max((b for b in need.blocks if b.month == month), key=lambda b: b.demand).block
    part = rows[(rows["month"] == month) & (rows["block"] == top)]
    nodes = [
        list(allocatable(ground.inputs.types[t], pool))
        for t, n in zip(part["instance_type"], part["instances"], strict=True)
        for _ in range(int(n))
    ]
    inside = np.asarray(need.days.strftime("%Y-%m") == month)
    hours = need.hours[:, inside].reshape(len(need.hours), -1)
    at = hours.argmax(axis=1)
    fits = 0
    for path in range(0, len(hours), 10):
        counts = [int(x[:, inside].reshape(len(hours), -1)[path, at[path]]) for x in (api, web)]
        fits += packed([n.copy() for n in nodes], [(2.0, 14.0, counts[0]), (0.5, 1.0, counts[1])])
    assert fits / len(range(0, len(hours), 10)) >= 0.93


def packed(nodes: list[list[float]], pods: list[tuple[float, float, int]]) -> bool:
    for cpu, memory, count in pods:
        for node in nodes:
            while count and node[0] >= cpu and node[1] >= memory:
                node[0], node[1], count = node[0] - cpu, node[1] - memory, count - 1
        if count:
            return False
    return True


def test_the_running_nodes_are_judged_by_what_they_hold(tmp_path: Path) -> None:
    def nodes(frame: pd.DataFrame) -> pd.DataFrame:
        own = frame[frame["service"] == "web"].assign(service="nodes", instance_type="m6i.4xlarge")
        return pd.concat([frame, own])

    ground = mix_kit.ground_of(tmp_path, TEXT, mix_kit.fleet(nodes))
    need = mix_kit.needs_of(ground)[POOL]
    assert need.safe.instances == 13
    each = need.safe_of["m6i.4xlarge"]
    assert need.safe.normal.mid == pytest.approx(13 * each)
    assert need.safe.zone_loss.mid == pytest.approx(8 * each)  # the zone of five is lost
    assert need.requirement.running[("m6i.4xlarge", "us-east-1a")] == 5
    assert 10 < each < 15.6


# --- nodes -------------------------------------------------------------------------------------------------


def kind(vcpu: int, memory: float) -> InstanceType:
    return InstanceType("m9.x", "m9", vcpu, vcpu // 2, memory, 10.0, "x86_64", True, False)


def pool_of(*pods: tuple[float, float], **over: object) -> NodePoolConfig:
    services = [
        PodConfig(service=f"s{i}", cpu_request_vcpu=c, memory_request_gib=m, demand_per_pod=1)
        for i, (c, m) in enumerate(pods)
    ]
    return NodePoolConfig(name="p", tier="t", regions=["r"], services=services, **over)  # type: ignore[arg-type]


def test_what_eks_leaves_of_a_node() -> None:
    """8 vCPU: 60 + 10 + 5 + 5 + 4 × 2.5 millicores are the system's; 255 + 11 × 110 + 100 MiB of memory."""
    cpu, memory = allocatable(kind(8, 32.0), pool_of((1, 1)))
    assert cpu == pytest.approx(8 - 0.09)
    assert memory == pytest.approx(32 - 1565 / 1024)
    given_share = allocatable(kind(8, 32.0), pool_of((1, 1), allocatable_frac=0.9, daemon_cpu_vcpu=0.2))
    assert given_share == pytest.approx((7.0, 28.8))


def test_a_node_holds_whole_pods() -> None:
    pool = pool_of((3, 4), allocatable_frac=1.0)
    assert holds(kind(8, 32.0), pool, Shares((1.0,), (1.0,))) == pytest.approx((6.0, 32.0))
    assert holds(kind(2, 32.0), pool, Shares((1.0,), (1.0,))) == (0.0, 0.0)
    assert too_small_for(kind(2, 32.0), pool) == "too small for a pod of s0"
    assert too_small_for(kind(4, 32.0), pool) is None


@given(
    vcpu=st.sampled_from([4, 8, 16, 32]),
    pods=st.lists(st.tuples(st.sampled_from([0.25, 0.5, 1.5, 3.0]), st.sampled_from([0.5, 1.0, 3.0])), min_size=1,
                  max_size=3),
    weights=st.lists(st.integers(1, 9), min_size=3, max_size=3),
)  # fmt: skip
def test_dividing_the_nodes_among_services_is_enough(
    vcpu: int, pods: list[tuple[float, float]], weights: list[int]
) -> None:
    pool = pool_of(*pods, allocatable_frac=1.0)
    counts = np.array(weights[: len(pods)]) * 100
    cpu = counts * np.array([c for c, _ in pods])
    memory = counts * np.array([m for _, m in pods])
    shares = Shares(tuple(cpu / cpu.sum()), tuple(memory / memory.sum()))
    roomy = kind(vcpu, 1e6)  # vCPU alone counts
    held = holds(roomy, pool, shares)[0]
    nodes = sum(int(np.ceil(n / np.floor(vcpu / c + 1e-9))) for n, (c, _) in zip(counts, pods, strict=True))
    assert cpu.sum() / held <= nodes + 1e-6
    assert nodes <= cpu.sum() / held + len(pods)


# --- joint paths -------------------------------------------------------------------------------------------


@given(st.integers(0, 50), st.sampled_from([0.5, 0.9, 0.95]))
def test_joint_levels_hold_the_level_in_all_columns_at_once(seed: int, level: float) -> None:
    tops = np.random.default_rng(seed).lognormal(size=(200, 4)).astype(np.float32)
    limits = joint_levels(tops, level)
    inside = float((tops <= limits).all(axis=1).mean())
    assert inside >= level
    alone = np.quantile(tops, level, axis=0, method="inverted_cdf")
    assert (limits >= alone - 1e-6).all()


def test_hours_are_put_on_one_clock() -> None:
    days = pd.date_range("2026-01-10", periods=3)
    hours = np.arange(3 * HOURS, dtype=np.float32).reshape(1, 3, HOURS)
    there = on_clock(hours, days, "America/New_York", "UTC")  # five hours behind
    assert there[0, 1, 5] == hours[0, 1, 0]
    assert there[0, 2, 0] == hours[0, 1, 19]
    assert there[0, 0, 0] == hours[0, 0, 19]  # nothing is known of the evening before: the first day's
    assert on_clock(hours, days, "UTC", "UTC") is hours


# --- in the plan -------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def planned(tmp_path_factory: pytest.TempPathFactory) -> Plan:
    """The pool with nodes that run: 6 over 3 zones, far from even."""
    folder = tmp_path_factory.mktemp("pooled") / "co"
    folder.mkdir()
    path = company.write(folder, config=TEXT)
    nodes = pd.DataFrame(
        [
            {"ts": "2026-08-31T00:00:00Z", "account_id": "1", "service": "nodes", "region": "us-east-1", "zone": z,
             "instance_type": "m5.4xlarge", "count": n, "min": 0, "max": 9, "purchase": "on_demand"}
            for z, n in (("us-east-1a", 3), ("us-east-1b", 2), ("us-east-1c", 1))
        ]
    )  # fmt: skip
    fleet = pd.read_csv(folder / "fleet.csv", dtype={"account_id": str})
    pd.concat([fleet, nodes[fleet.columns]]).to_csv(folder / "fleet.csv", index=False)
    settings = config.load(path)
    store = pipeline.open_store(settings)
    pipeline.require_complete(pipeline.ingest(settings, store, mix_kit.AS_OF))
    return pipeline.run(settings, store, as_of=mix_kit.AS_OF).plans[0]


def _pool(plan: Plan) -> UnitPlan:
    return next(u for u in plan.units if u.unit == POOL)


def test_a_pool_is_a_unit_of_the_plan_like_any_service(planned: Plan) -> None:
    pool = _pool(planned)
    assert (pool.tier, pool.demand_unit, pool.kind) == ("critical", "vCPU", "fleet")
    assert [(x.instance_type, x.instances) for x in pool.running] == [("m5.4xlarge", 6)]
    assert pool.recommended
    assert pool.coverage_min_frac is not None
    assert pool.coverage_min_frac >= pool.service_level - 0.02
    assert pool.recommended_usd > 0
    assert "web, api" in pool.forecast_reason


def test_its_nodes_are_handed_over_as_any_group_s(planned: Plan) -> None:
    pools = json.loads(karpenter.render(planned, Options()).files["karpenter_nodepools.json"])
    assert any(p["metadata"]["name"].startswith("nodes-us-east-1") for p in pools["items"])


def test_its_limit_is_what_is_left_without_its_largest_zone(planned: Plan) -> None:
    pool = _pool(planned)
    (limit,) = pool.limits
    # 3 of 6 nodes of 16 vCPU are left, of which the system and the daemons take some.
    assert 3 * 12 < limit.limit < 3 * 16
    assert limit.name == "safe capacity, 1 zone lost"
    assert pool.headroom_now_frac == pytest.approx(1 - pool.peak_recent / _all_up(planned))


def _all_up(plan: Plan) -> float:
    rows = plan.frame("headroom_months")
    now = rows[(rows["service"] == "nodes") & (rows["month"] == "now")]
    return float(now["safe_running"].iloc[0])


def test_its_history_and_future_are_of_one_kind(planned: Plan) -> None:
    """The joint requests of the past end where those of the future begin: nothing jumps by more than a day does."""
    rows = planned.frame("forecast")
    ahead = rows[(rows["service"] == "nodes") & (rows["target"] == "peak")].sort_values("ts")
    seen = planned.frame("history")
    past = seen[(seen["service"] == "nodes") & (seen["target"] == "peak")].sort_values("ts")["value"].iloc[-14:]
    assert set(ahead["metric"]) == {"requested_vcpu"}
    assert 0.7 * past.median() <= ahead["q50"].iloc[:14].median() <= 1.4 * past.median()
    assert not planned.frame("headroom")[planned.frame("headroom")["service"] == "nodes"].empty
    # Its services keep units of their own, and what they run is not counted twice.
    assert {u.service for u in planned.units} >= {"web", "api", "nodes"}
    assert "requested_vcpu" not in set(planned.frame("totals")["measure"])
