"""Real bills and the demo company's bill through every report."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from itertools import pairwise
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pytest
import yaml

from capacity.config import AttributionRule, BillSource, Config, CostsConfig, CurSource, PoolConfig, load
from capacity.costs import (
    TERMS,
    Allocation,
    Attribution,
    allocate,
    allocated_rows,
    attribute,
    bill_totals,
    bridge,
    daily_spend,
    reported_list,
    tie_out,
    unit_costs,
)
from capacity.schemas import COST_MONEY
from capacity.sources import Context, build

ROOT = Path(__file__).resolve().parents[2]
SAMPLE = "cost/focus/focus_1.0_sample_1000.csv"
# Applications that the sample's tags name, and the rest by account.
APPLICATIONS = ("BrightPathMatrix", "ZoomMapMax", "PrimeManagerDrive", "BrightLensMatrix")
RULES = CostsConfig.model_validate(
    {
        "rules": [
            {"name": "application", "service_from_tag": "application"},
            {"name": "network", "pool": "network", "match": {"ServiceName": "Elastic Load Balancing|.*Virtual.*"}},
            {"name": "monitoring", "pool": "tools", "match": {"ServiceCategory": "Management.*"}},
        ],
        "pools": [{"name": "network", "split": "cost"}, {"name": "tools", "split": "even"}, {"name": "credits"}],
        "credit_pool": "credits",
    }
)  # fmt: skip


def _read(path: Path) -> pa.Table:
    source = build(BillSource(kind="focus_files", name="bill", path=str(path)), Context(Path))
    return pa.concat_tables([b.table for b in source.batches(None, datetime(2026, 10, 5, tzinfo=UTC))])


def _through_every_report(table: pa.Table, rules: CostsConfig, services: Sequence[str]) -> Attribution:
    attribution = attribute(table, rules, services)
    allocation = allocate(attribution, rules)
    allocation.verify(table)
    months = attribution.months
    whole = bridge(attribution, attribution, (months[0], months[-1]), {}, {}).total()
    assert [r["start"] + sum(r[t] for t in TERMS) for r in whole.to_dict("records")] == whole["end"].tolist()
    units = pd.DataFrame({"month": months, "service": services[0], "units": 1e6, "coverage_frac": 1.0})
    assert len(unit_costs(allocation, units)) == len(allocation.service_costs())
    assert len(reported_list(table)) == len(reported_list(table, "covered_usage"))
    daily = daily_spend(table, rules, services, date(2030, 1, 1))
    total = sum(bill_totals(table)["EffectiveCost"], Decimal(0))
    assert daily["effective_cost"].sum() == pytest.approx(float(total), abs=1e-6)
    return attribution


@pytest.mark.shared
def test_the_real_sample_adds_up_and_is_attributed(real_data: Path) -> None:
    table = _read(real_data / SAMPLE)
    found = _through_every_report(table, RULES, APPLICATIONS)
    assert found.rows == 1000
    assert found.malformed_tag_rows == 0
    hits = dict(zip(found.rule_hits["rule"], found.rule_hits["rows"], strict=True))
    assert hits["application"] > 176
    assert hits["(credit)"] == 1
    assert sum(found.pieces.column("ContractedCost_nulls").to_pylist()) == 7  # as the file has them
    suggestion = found.unallocated.iloc[0]
    again = CostsConfig.model_validate({"rules": [yaml.safe_load(suggestion["suggested_rule"])], "pools": RULES.pools})
    taken = attribute(table, again, APPLICATIONS).rule_hits.iloc[0]
    assert taken["rows"] >= 1


@pytest.mark.shared
@pytest.mark.parametrize(
    "name", ["saas_spend_agreements_a1", "saas_spend_agreements_b2", "virtual_currency_pricing_model_b3"]
)
def test_the_specifications_examples_go_through_every_report(real_data: Path, name: str) -> None:
    _through_every_report(_read(real_data / "cost/focus_spec_scenarios" / f"{name}.csv"), CostsConfig(), ["a", "b"])


# --- every real bill, attributed and allocated -----------------------------------------------------------------

CHAIN = CostsConfig.model_validate(
    {
        "rules": [
            {"name": "application", "service_from_tag": "application"},
            {"name": "compute", "pool": "platform", "match": {"ServiceCategory": "Compute"}},
            {"name": "storage", "pool": "storage", "match": {"ServiceCategory": "Storage|Databases"}},
        ],
        "pools": [
            {"name": "storage", "split": "fixed", "shares": {"platform": 1, "PrimeManagerDrive": 2}},
            {"name": "platform", "split": "cost", "base": "direct_and_shared"},
            {"name": "tax", "split": "even", "to_pools": ["platform"]},
            {"name": "refunds", "split": "even"},
        ],
        "tax_pool": "tax", "credit_pool": "refunds", "refund_pool": "refunds",
    }
)  # fmt: skip


LEFT_OUT = {
    "BillingAccountId": "a", "BillingCurrency": "USD", "ServiceName": "s", "ChargeCategory": "Usage",
    "BillingPeriodStart": "2023-01-01T00:00:00Z", "BillingPeriodEnd": "2023-02-01T00:00:00Z",
    "ChargePeriodStart": "2023-01-01T00:00:00Z", "ChargePeriodEnd": "2023-01-02T00:00:00Z",
    "BilledCost": "0", "EffectiveCost": "0",
}  # fmt: skip


def _real_bills(folder: Path) -> Iterator[tuple[str, pa.Table]]:
    now = datetime(2026, 10, 5, tzinfo=UTC)
    yield "sample", _read(folder / SAMPLE)
    for path in sorted((folder / "cost/focus_spec_scenarios").glob("*.csv")):
        # The examples leave out what their point does not need.
        header = path.read_text(encoding="utf-8-sig").splitlines()[0].split(",")
        lacking = {c: v for c, v in LEFT_OUT.items() if c not in header}
        source = BillSource(kind="focus_files", name="bill", path=str(path), defaults=lacking)
        yield path.stem, pa.concat_tables([b.table for b in build(source, Context(Path)).batches(None, now)])
    cur = CurSource(kind="aws_cur", name="cur", path=str(folder / "cost/converters/aws_cur_sample.csv"))
    yield "cur", pa.concat_tables([b.table for b in build(cur, Context(Path)).batches(None, now)])


@pytest.mark.shared
def test_every_real_bill_is_allocated_exactly_and_each_suggestion_takes_what_it_names(real_data: Path) -> None:
    seen = 0
    for name, table in _real_bills(real_data):
        attribution = attribute(table, CHAIN, APPLICATIONS)
        allocation = allocate(attribution, CHAIN)
        allocation.verify(table)
        rows = allocated_rows(table, attribution, allocation)
        for column in COST_MONEY:
            assert sum(rows.column(column).to_pylist(), Decimal(0)) == sum(bill_totals(table)[column], Decimal(0)), name
        for suggestion in attribution.unallocated.to_dict("records"):
            rule = AttributionRule.model_validate(yaml.safe_load(suggestion["suggested_rule"]))
            pools = [*CHAIN.pools, *([PoolConfig(name="shared")] if rule.pool == "shared" else [])]
            again = CHAIN.model_copy(update={"rules": [*CHAIN.rules, rule], "pools": pools})
            hits = attribute(table, again, APPLICATIONS).rule_hits
            taken = hits[(hits["rule"] == rule.name) & (hits["currency"] == suggestion["currency"])].iloc[0]
            assert [taken[c] for c in ("rows", "BilledCost", "EffectiveCost")] == [
                suggestion[c] for c in ("rows", "BilledCost", "EffectiveCost")
            ], (name, rule)
            seen += 1
    assert seen > 50


# --- the demo company --------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def config() -> Config:
    return load(ROOT / "configs" / "demo.yaml")


@pytest.fixture(scope="module")
def table(config: Config) -> pa.Table:
    return _read(ROOT / "fixtures" / "data" / "bill" / "*.parquet")


@pytest.fixture(scope="module")
def attribution(config: Config, table: pa.Table) -> Attribution:
    return attribute(table, config.costs, [s.name for s in config.services])


@pytest.fixture(scope="module")
def allocation(config: Config, table: pa.Table, attribution: Attribution) -> Allocation:
    services = [s.name for s in config.services]
    months = attribution.months
    weights = pd.DataFrame(
        {"month": [m for m in months for _ in services], "service": services * len(months), "weight": 1.0}
    )
    found = allocate(attribution, config.costs, {"requests_per_second": weights})
    found.verify(table)
    return found


def test_every_rule_of_the_demo_takes_something(attribution: Attribution) -> None:
    assert (attribution.rule_hits["rows"] > 0).all()


def test_the_demo_allocates_most_of_its_bill_and_shares_every_pool(allocation: Allocation) -> None:
    assert (allocation.allocated_frac()["allocated_frac"] > 0.9).all()  # the FinOps grade "run"
    assert allocation.reasons.empty
    assert set(allocation.frame.loc[allocation.frame["kind"] == "shared", "pool"]) >= {"tax", "credits", "network"}


def test_the_demo_bill_is_wholly_in_its_frame(allocation: Allocation, table: pa.Table) -> None:
    for column in COST_MONEY:
        assert sum(allocation.frame[column], Decimal(0)) == sum(bill_totals(table)[column], Decimal(0))


def test_the_outages_credit_is_one_off_in_the_bridge(attribution: Attribution) -> None:
    found = bridge(attribution, attribution, ("2026-02", "2026-03"), {}, {})
    credits = found.by_service().set_index("name").loc["credits"]
    assert credits["one_off"] == Decimal("-6417.53") - Decimal(-2500)
    assert credits["one_off"] == credits["end"] - credits["start"]


def test_the_demos_bridges_leave_nothing_unexplained_over_all_months(attribution: Attribution) -> None:
    months = attribution.months
    first = bridge(attribution, attribution, (months[0], months[1]), {}, {}).total()["start"][0]
    moved = sum(
        bridge(attribution, attribution, pair, {}, {}).total()[list(TERMS)].to_numpy().sum()
        for pair in pairwise(months)
    )
    last = bridge(attribution, attribution, (months[-2], months[-1]), {}, {}).total()["end"][0]
    assert first + moved == last


def test_the_demos_private_discount_is_what_its_bill_was_made_with(
    config: Config, table: pa.Table, attribution: Attribution
) -> None:
    from fixtures.company import rates

    fleets = [s.name for s in config.services if s.kind != "usage_priced"]
    found = tie_out(table, attribution, "2026-09", Decimal(1), services=fleets)
    assert found.private_discount_frac == pytest.approx(float(rates.DISCOUNT_EC2), abs=1e-12)
    period = bill_totals(table).set_index("BillingPeriodStart").loc[pd.Timestamp("2026-09-01", tz="UTC")]
    assert found.billed_effective + sum(found.remainder.values()) == period["EffectiveCost"]
