"""What the mix can be told: documented, validated by name, and carried through a scenario's overlay."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from capacity import config, scenario, strict_yaml
from capacity.config import (
    CandidateConfig,
    CommitmentPolicy,
    FailoverConfig,
    Model,
    NodePoolConfig,
    PodConfig,
    ResourceConfig,
    SpotConfig,
)
from capacity.errors import ConfigError

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "what-the-mix-keeps-to.md"

BASE = """\
version: 1
company: Acme
tiers:
  - {name: gold, spot_max_frac: 0.3}
services:
  - {name: web, tier: gold, regions: [us-east-1, us-west-2]WEB}
  - {name: api, tier: gold, regions: [us-east-1]}
  - {name: thumbs, tier: gold, kind: usage_priced, regions: [us-east-1]}
MORE
"""


def loaded(web: str = "", more: str = "") -> config.Config:
    text = BASE.replace("WEB", f", {web}" if web else "").replace("MORE", more)
    return config.validate(config.Config, strict_yaml.loads(text, "acme.yaml"))


def example() -> config.Config:
    (text,) = re.findall(r"```yaml\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    return config.validate(config.Config, strict_yaml.loads(text, str(PAGE)))


@pytest.mark.parametrize(
    "model", [ResourceConfig, FailoverConfig, SpotConfig, NodePoolConfig, PodConfig, CommitmentPolicy]
)
def test_every_key_of_the_mix_is_documented(model: type[Model]) -> None:
    text = PAGE.read_text(encoding="utf-8")
    for name, about in model.model_fields.items():
        assert re.search(rf"\b{about.alias or name}\b", text), f"{model.__name__}.{name}"


@pytest.mark.parametrize(
    "key",
    [
        "spot_max_frac", "spot_least_types", "spot_buffer_frac", "least_types", "resources", "failover", "pools",
        "prefer_newer_frac", "burstable_baseline_frac", "performance_scale", "scale_by", "spot_rates", "commitments",
    ],
)  # fmt: skip
def test_new_keys_of_older_models_are_documented(key: str) -> None:
    assert re.search(rf"\b{key}\b", PAGE.read_text(encoding="utf-8"))


def test_what_is_left_out_changes_nothing() -> None:
    plain = loaded()
    web = plain.service("web")
    assert (web.resources, web.failover, web.least_types, plain.pools) == ([], [], 1, [])
    assert plain.optimize.commitments is None
    assert plain.optimize.spot_rates == "stored"
    assert CandidateConfig().prefer_newer_frac == 0


@pytest.mark.parametrize(
    ("web", "more", "words"),
    [
        ("resources: [{name: memory, fixed: 1}]", "", ["acme.yaml:6", "resources.0.name", "'memory'", "memory_gib"]),
        ("resources: [{name: memory_gib}]", "", ["give per_demand or fixed", "or a metric"]),
        ("resources: [{name: memory_gib, fixed: 1, metric: m}]", "", ["or a metric to learn them from"]),
        ("resources: [{name: memory_gib, fixed: 0}]", "", ["nothing is needed"]),
        ("resources: [{name: memory_gib, fixed: 1, metric_scale: 2}]", "", ["metric_scale belongs to metric"]),
        ("resources: [{name: memory_gib, fixed: 1}, {name: memory_gib, fixed: 2}]", "", ["given twice"]),
        ("resources: [{name: memory_gib, fixd: 1}]", "", ["unknown key", "did you mean 'fixed'"]),
        ("failover: [{from: us-west2}]", "", ["'us-west2'", "did you mean 'us-west-2'"]),
        ("failover: [{from: us-east-1, to: {eu-west-1: 1}}]", "", ["to names 'eu-west-1'", "no region of the service"]),
        ("failover: [{from: us-east-1, to: {us-west-2: 0.7, us-east-1: 0.3}}]", "", ["cannot take its own traffic"]),
        ("failover: [{from: any, to: {us-west-2: 1}}]", "", ["from: any"]),
        ("failover: [{from: any}, {from: any}]", "", ["'any' is given twice"]),
        ("failover: [{from: us-east-1, to: {}}]", "", ["no region"]),
        ("min_instances_per_zone: 9, max_instances_per_zone: 4", "", ["min_instances_per_zone: found 9", "(4)"]),
        ("candidates: {min_vcpu: 64, max_vcpu: 8}", "", ["min_vcpu: found 64", "max_vcpu (8)"]),
        ("candidates: {architectures: []}", "", ["architectures: found none", "arm64"]),
        ("least_types: 3", "", ["services 'web': least_types", "found 3", "most_types (2)"]),
        ("least_types: 16, candidates: {max_types: 4}", "optimize: {most_types: null}", ["found 16", "max_types (4)"]),
        ("kind: vertical, least_types: 2", "", ["a vertical service runs one type"]),
        ("spot: {least_types: 4}", "", ["spot.least_types", "found 4"]),
        ("candidates: {burstable_baseline_frac: 2}", "", ["burstable_baseline_frac", "less than or equal to 1"]),
        ("candidates: {performance_scale: {m8g: 0}}", "", ["performance_scale.m8g", "greater than 0"]),
        ("", "optimize: {commitments: {products: [compute]}}", ["products.0", "'compute'", "compute_sp"]),
        ("", "optimize: {commitments: {max_break_even_months: {1: 9}}}", ["max_break_even_months", "term of 3"]),
        ("", "optimize: {commitments: {max_break_even_months: {2: 9}}}", ["max_break_even_months", "1 or 3"]),
        ("", "optimize: {comitments: {}}", ["did you mean 'commitments'"]),
    ],
)
def test_what_is_wrong_is_named(web: str, more: str, words: list[str]) -> None:
    with pytest.raises(ConfigError) as error:
        loaded(web, more)
    for word in words:
        assert word in str(error.value), str(error.value)


def pool(name: str = "nodes", region: str = "us-east-1", service: str = "api", **over: object) -> str:
    extra = "".join(f", {k}: {v}" for k, v in over.items())
    pods = f"[{{service: {service}, cpu_request_vcpu: 1, memory_request_gib: 2, demand_per_pod: 10}}]"
    return f"  - {{name: {name}, tier: gold, regions: [{region}], services: {pods}{extra}}}\n"


@pytest.mark.parametrize(
    ("pools", "words"),
    [
        (pool(min_nodes_per_zone=9, max_nodes_per_zone=4), ["min_nodes_per_zone: found 9", "(4)"]),
        (pool(service="apo"), ["pools 'nodes': services names 'apo'", "did you mean 'api'"]),
        (pool(name="api"), ["node pool or service 'api' is given twice"]),
        (pool(service="thumbs"), ["'thumbs' is usage_priced", "kind fleet"]),
        (pool(region="us-west-2"), ["'api' does not run in us-west-2"]),
        (pool() + pool("others"), ["is in pool 'nodes' too, in us-east-1"]),
        (pool(allocatable_frac=0), ["allocatable_frac: found 0"]),
        (pool(least_types=5), ["pools 'nodes': least_types: found 5"]),
        (pool(zone=3), ["unknown key", "'zones'"]),
    ],
)
def test_a_pool_that_cannot_be_is_refused(pools: str, words: list[str]) -> None:
    with pytest.raises(ConfigError) as error:
        loaded(more="pools:\n" + pools)
    for word in words:
        assert word in str(error.value), str(error.value)


def test_a_scenario_lies_over_every_new_key() -> None:
    full = example()
    change = scenario.Scenario.model_validate(
        {
            "name": "x",
            "policy": {"tiers": [{"name": "standard", "service_level": 0.9}]},
            "migration": [{"services": ["search"], "architectures": ["arm64"]}],
        }
    )
    over = scenario.overlay_config(full, change)
    assert over.service("search").failover == full.service("search").failover
    assert over.service("search").candidates.performance_scale == {"m8g": 1.22, "m7i.2xlarge": 1.1}
    assert over.service("search").candidates.architectures == ["arm64"]
    assert over.pools == full.pools
    assert over.optimize == full.optimize
    assert over.tier("background") == full.tier("background")
    assert scenario.overlay_config(full, scenario.base()).digest() == full.digest()


def test_a_tier_left_at_its_default_never_stands_against_few_types() -> None:
    single = loaded(more="optimize: {most_types: 1}")
    assert scenario.overlay_config(single, scenario.base()).digest() == single.digest()


def test_the_digest_moves_with_every_new_key() -> None:
    webs = ["", "least_types: 2", "spot: {max_frac: 0.1}", "resources: [{name: memory_gib, fixed: 4}]",
            "failover: [{from: any}]", "candidates: {prefer_newer_frac: 0.1}"]  # fmt: skip
    mores = ["optimize: {commitments: {}}", "optimize: {spot_rates: catalogue}", "pools:\n" + pool()]
    digests = {loaded(w).digest() for w in webs} | {loaded(more=m).digest() for m in mores}
    assert len(digests) == len(webs) + len(mores)


def test_it_is_written_as_it_is_read() -> None:
    full = example()
    again = config.validate(config.Config, strict_yaml.loads(config.dump(full), "again.yaml"))
    assert again == full
