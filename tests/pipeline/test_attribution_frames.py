"""Rules, pools and rows of the small company, with a cluster's bill split by what its workloads took."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path

import pytest

from capacity import config, costs, pipeline, plan
from capacity.pipeline.finops.attribution import allocated, past_attribution
from capacity.pipeline.finops.ground import Past
from capacity.pipeline.inputs import read_inputs
from capacity.pipeline.money import cost_to_serve
from capacity.schemas import COST_MONEY
from tests import company

AS_OF = company.AS_OF.to_pydatetime()
POOLS = """\
  pools:
    - {name: network, split: kubernetes, idle_pool: by-usage}
    - {name: by-usage, split: usage, metric: requests_per_second, stat: avg, tiers: [standard]}
  kubernetes:
    rules: [{name: by namespace, service: web, match: {namespace: web}}]
"""
SOURCE = "  - {kind: kubernetes, name: opencost, path: allocation.json}\n"


@pytest.fixture(scope="module")
def past(tmp_path_factory: pytest.TempPathFactory) -> Past:
    folder = tmp_path_factory.mktemp("clustered")
    text = company.CONFIG.replace("tiers:\n", SOURCE + "tiers:\n", 1)
    before, rest = text.split("  pools:\n    - {name: network")
    text = before + POOLS + rest.split("\n", 1)[1].replace("    - {name: tax, split: cost}\n  tax_pool: tax\n", "")
    path = company.write(folder, config=text)
    window = {"start": "2026-08-01T00:00:00Z", "end": "2026-09-01T00:00:00Z"}
    taken = {n: {"window": window, "totalCost": c} for n, c in (("web", 6), ("kube-system", 1), ("__idle__", 3))}
    Path(folder / "allocation.json").write_text(json.dumps({"data": [taken]}), encoding="utf-8")
    settings = config.load(path)
    store = pipeline.open_store(settings)
    pipeline.require_complete(pipeline.ingest(settings, store, AS_OF))
    inputs = read_inputs(settings, store, AS_OF)
    return Past(inputs=inputs, data={}, money=cost_to_serve(inputs))


def test_the_frames_are_as_plan_files_promise(past: Past) -> None:
    frames = past_attribution(past)
    assert {name: tuple(frame.columns) for name, frame in frames.items()} == {
        name: plan.FRAMES[name] for name in ("rule_hits", "pool_steps")
    }
    newest = frames["rule_hits"][frames["rule_hits"]["month"] == past.money.newest]
    assert newest["rule"].tolist() == ["by tag", "network", "(tax)", "(credit)", "(no rule)"]
    assert newest["rows"].sum() > 0


def test_a_clusters_pool_follows_its_workloads_and_its_idle_the_usage(past: Past) -> None:
    steps = past_attribution(past)["pool_steps"]
    august = steps[steps["month"] == "2026-08"]
    told = {(r["pool"], r["to_kind"], r["to"]): r["share_frac"] for r in august.to_dict("records")}
    assert told["network", "service", "web"] == pytest.approx(0.6)
    assert told["network", "pool", "by-usage"] == pytest.approx(0.3)
    assert told["network", "unallocated", "network: overhead"] == pytest.approx(0.1)
    sharing = [(to, kind) for pool, kind, to in told if pool == "by-usage"]
    assert sharing == [("api", "service"), ("thumbs", "service")]  # web is of another tier
    assert set(august.loc[august["pool"] == "by-usage", "method"]) == {"usage: requests_per_second (avg)"}
    # A month without a file stays in the pool, and says so.
    assert "no Kubernetes cost is known in this month" in set(past.money.allocation.reasons["reason"])  # type: ignore[union-attr]


def test_the_exported_rows_are_the_bill(past: Past) -> None:
    rows = allocated(past)
    totals = costs.bill_totals(past.inputs.cost)
    for column in COST_MONEY:
        assert sum(rows.column(column).to_pylist(), Decimal(0)) == sum(totals[column], Decimal(0))
    assert {json.loads(t)["tier"] for t in rows.column("AllocatedTags").to_pylist() if t} >= {"standard"}
