"""Memory, network and disk: given, or learned from a metric, and what the mix is then asked to hold."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from capacity.domain import Unit
from capacity.pipeline.mix import solve_mix
from tests import company
from tests.pipeline import mix_kit

WEB, API = Unit("web", "us-east-1"), Unit("api", "us-east-1")


def told(web: str = "", api: str = "") -> str:
    text = company.CONFIG.replace("    burst_factor: 1.1\n", f"    burst_factor: 1.1\n    resources: {web or '[]'}\n")
    return text.replace("    autoscaled: true\n", f"    autoscaled: true\n    resources: {api or '[]'}\n")


def memory(fixed_gib: float, per_request: float, service: str = "web") -> mix_kit.Edit:
    """A metric in bytes that follows this line of the service's demand, with noise."""

    def made(frame: pd.DataFrame) -> pd.DataFrame:
        rows = frame[(frame["service"] == service) & (frame["metric"] == "requests_per_second")].copy()
        noise = np.random.default_rng(1).normal(0.0, 0.5, len(rows))
        rows["value"] = (fixed_gib + per_request * rows["value"] + noise).clip(lower=0) * 2**30
        return rows.assign(metric="memory_used_bytes", unit="By")

    return mix_kit.usage(made)


def test_a_line_is_learned_and_held_in_nearly_all_hours(tmp_path: Path) -> None:
    ground = mix_kit.ground_of(tmp_path, told("[{name: memory_gib, metric: memory_used_bytes}]"), memory(40.0, 0.1))
    need = mix_kit.needs_of(ground)[WEB]
    (found,) = need.resources
    assert found.per_demand == pytest.approx(0.1, rel=0.05)
    assert found.fixed == pytest.approx(40.0, abs=4.0)
    assert not found.folds
    assert "learned from memory_used_bytes" in found.basis
    used = ground.inputs.usage_of(WEB, "memory_used_bytes") / 2**30
    held = found.fixed + found.per_demand * ground.inputs.usage_of(WEB, "requests_per_second")
    assert 0.98 <= float((used <= held).iloc[-28 * 24 :].mean()) < 1.0
    for own, asked in zip(need.blocks, need.requirement.blocks, strict=True):
        assert own.further == asked.further == {"memory_gib": pytest.approx(found.needed(own.demand))}


def test_what_only_grows_with_demand_is_folded_and_binds(tmp_path: Path) -> None:
    ground = mix_kit.ground_of(tmp_path, told("[{name: memory_gib, metric: memory_used_bytes}]"), memory(0.0, 1.0))
    need = mix_kit.needs_of(ground)[WEB]
    (found,) = need.resources
    assert found.folds
    assert 1.0 <= found.per_demand < 1.05
    kinds = ground.inputs.types
    for candidate in need.requirement.candidates:
        kind = kinds[candidate.instance_type]
        assert need.safe_of[kind.name] <= kind.memory_gib * 0.9 / found.per_demand + 1e-9
        # 12 requests a vCPU need 12 GiB: no machine but those of 16 GiB a vCPU and more has so much.
        assert need.binds[kind.name] == ("memory_gib" if kind.memory_gib / kind.vcpu < 12 else "vcpu")
    assert all(not b.further for b in need.blocks)


def test_a_level_that_does_not_move_with_demand_is_all_fixed(tmp_path: Path) -> None:
    ground = mix_kit.ground_of(
        tmp_path, told("[{name: memory_gib, metric: memory_used_bytes, per_instance: 1}]"), memory(300.0, 0.0)
    )
    (found,) = mix_kit.needs_of(ground)[WEB].resources
    assert found.per_demand == 0
    assert found.fixed == pytest.approx(300 - 13 * 1, abs=2.5)  # thirteen instances each keep one for themselves


def test_percent_is_of_what_ran(tmp_path: Path) -> None:
    def made(frame: pd.DataFrame) -> pd.DataFrame:
        rows = frame[(frame["service"] == "web") & (frame["metric"] == "cpu_percent")]
        return rows.assign(metric="memory_percent", value=50.0)

    ground = mix_kit.ground_of(tmp_path, told("[{name: memory_gib, metric: memory_percent}]"), mix_kit.usage(made))
    (found,) = mix_kit.needs_of(ground)[WEB].resources
    assert found.fixed == pytest.approx(13 * 16 * 0.5)


def test_a_metric_that_is_not_there_is_said_and_not_asked(tmp_path: Path) -> None:
    ground = mix_kit.ground_of(tmp_path, told("[{name: memory_gib, metric: memory_used_bytes}]"))
    need = mix_kit.needs_of(ground)[WEB]
    assert need.resources == ()
    assert "memory_gib: no usage of memory_used_bytes (avg); it is not asked of the mix" in need.safe.flags


def test_the_plan_holds_disk_and_memory_in_every_block_and_with_a_zone_lost(tmp_path: Path) -> None:
    """A cache: 900 GB on local disks and 600 GiB of memory, far more than its vCPU would bring along."""
    asked = "[{name: local_ssd_gb, fixed: 900, usable_frac: 1}, {name: memory_gib, fixed: 600, per_demand: 0.01}]"
    ground = mix_kit.ground_of(tmp_path, told(web=asked))
    needs = mix_kit.needs_of(ground)
    need = needs[WEB]
    assert all(ground.inputs.types[c.instance_type].local_ssd_gb > 0 for c in need.requirement.candidates if c.allowed)
    assert "has no local_ssd_gb to hold what is needed" in {e.reason for e in need.excuses}
    running = [c for c in need.requirement.candidates if not c.allowed]
    assert [c.instance_type for c in running] == ["m5.xlarge"]
    for candidate in need.requirement.candidates:
        up, lost = candidate.further["memory_gib"]
        assert up == pytest.approx(lost * 0.9)  # the tier keeps a tenth as headroom
    assert "memory_gib: holds 187.2, needs 600 whatever the demand" in need.safe.flags
    mix = solve_mix(ground.inputs, {WEB: need}, seed=1)
    assert mix is not None
    rows = mix.solution.running
    per_type = {c.instance_type: c.further for c in need.requirement.candidates}
    for block in need.requirement.blocks:
        part = rows[(rows["month"] == block.month) & (rows["block"] == block.block)]
        for resource, wanted in block.further.items():
            pairs = list(zip(part["instance_type"], part["instances"], strict=True))
            held = sum(n * per_type[t][resource][0] for t, n in pairs)
            left = sum(n * per_type[t][resource][1] for t, n in pairs)
            assert held >= wanted - 1e-6
            assert left * 2 / 3 >= wanted - 1e-6
