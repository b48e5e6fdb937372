"""Data that would mislead is refused, data that is odd is told: in the plan, and as of its moment."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from capacity import config, pipeline
from capacity.errors import MissingDataError, StaleDataError
from capacity.pipeline.inputs import Inputs, read_inputs
from tests import company

AS_OF = company.AS_OF.to_pydatetime()


def ingested(folder: Path, change: object = None, text: str = company.CONFIG) -> config.Config:
    """A company whose usage ``change`` (frame -> frame) has altered, in its store."""
    settings = config.load(company.write(folder, config=text))
    if callable(change):
        usage = pd.read_csv(folder / "usage.csv", parse_dates=["ts"], dtype={"account_id": str})
        change(usage).to_csv(folder / "usage.csv", index=False)
    pipeline.require_complete(pipeline.ingest(settings, pipeline.open_store(settings), AS_OF))
    return settings


def inputs(settings: config.Config) -> Inputs:
    return read_inputs(settings, pipeline.open_store(settings), AS_OF)


def of(usage: pd.DataFrame, service: str) -> pd.Series:
    return (usage["service"] == service) & (usage["metric"] == "requests_per_second")


def test_one_service_whose_demand_ended_is_refused_by_name(tmp_path: Path) -> None:
    def api_ended(usage: pd.DataFrame) -> pd.DataFrame:
        ended = (usage["service"] == "api") & (usage["ts"] > company.AS_OF - pd.Timedelta(days=9))
        return usage[~ended]

    settings = ingested(tmp_path, api_ended)
    with pytest.raises(StaleDataError, match=r"1 of 3 units ends more than 3 days .* api") as error:
        inputs(settings)
    assert "web" not in str(error.value)
    assert error.value.exit_code == 3


def test_findings_stand_in_the_inputs_and_nothing_later_is_looked_at(tmp_path: Path) -> None:
    def odd(usage: pd.DataFrame) -> pd.DataFrame:
        usage.loc[usage.index[of(usage, "web")][:2], "value"] = -1.0
        late = usage[of(usage, "api")].tail(1)
        return pd.concat([usage, late.assign(ts=company.AS_OF + pd.Timedelta(days=1), value=-5.0)])

    found = inputs(ingested(tmp_path, odd)).quality
    negative = found[found["rule"] == "negative"]
    assert list(negative["rows"]) == [2]
    assert negative["scope"].iloc[0].startswith("web|us-east-1 requests_per_second")
    assert list(found["severity"]) == sorted(found["severity"], key=["fatal", "error", "warning", "info"].index)


def test_an_hour_stored_at_two_periods_counts_once(tmp_path: Path) -> None:
    """The finest period of an hour is its usage; a coarser one of the same hour is the same usage again."""

    def twice(usage: pd.DataFrame) -> pd.DataFrame:
        hour = usage[of(usage, "web")].tail(24)
        fine = [hour.assign(ts=hour["ts"] + pd.Timedelta(minutes=5 * k), period_seconds=300) for k in range(12)]
        return pd.concat([usage, *(f.assign(value=f["value"] * 2) for f in fine)])

    plain, doubled = tmp_path / "plain", tmp_path / "doubled"
    plain.mkdir()
    doubled.mkdir()
    key = ("web", "us-east-1", "requests_per_second", "avg")
    one = inputs(ingested(plain)).usage[key]
    two = inputs(ingested(doubled, twice)).usage[key]
    assert np.allclose(two.iloc[:-24], one.iloc[:-24])
    assert np.allclose(two.iloc[-24:], 2 * one.iloc[-24:])


def test_a_days_point_is_no_hours_and_percentiles_of_accounts_are_not_added(tmp_path: Path) -> None:
    def more(usage: pd.DataFrame) -> pd.DataFrame:
        hour = usage[of(usage, "web")].tail(1)
        day = hour.assign(ts=hour["ts"].dt.floor("D"), period_seconds=86_400, value=1e9)
        late = [hour.assign(metric="latency_ms", stat="p99", account_id=a, value=v) for a, v in (("1", 80), ("2", 95))]
        return pd.concat([usage, day, *late])

    found = inputs(ingested(tmp_path, more)).usage
    assert found["web", "us-east-1", "requests_per_second", "avg"].max() < 1e6
    assert list(found["web", "us-east-1", "latency_ms", "p99"]) == [95]


def test_rates_in_another_currency_are_not_taken_for_the_plans(tmp_path: Path) -> None:
    settings = ingested(tmp_path, text=company.CONFIG.replace("company: Small", "company: Small\ncurrency: EUR"))
    with pytest.raises(MissingDataError, match="no on-demand rate in EUR is known for us-east-1"):
        pipeline.run(settings, pipeline.open_store(settings), as_of=AS_OF)


def test_cost_to_serve_of_a_bill_that_ended_long_ago_is_refused(tmp_path: Path) -> None:
    settings = ingested(tmp_path, text=company.CONFIG.replace("horizon_days: 45", "horizon_days: 45, "
                                                              "stale_after_days: 400"))  # fmt: skip
    store = pipeline.open_store(settings)
    assert pipeline.cost_to_serve(settings, store, as_of=AS_OF).month == "2026-08"
    much_later = (company.AS_OF + pd.Timedelta(days=60)).to_pydatetime()
    with pytest.raises(StaleDataError, match=r"cost data that is too old would mislead: bill \(60 days old\)"):
        pipeline.cost_to_serve(settings, store, as_of=much_later)
    assert pipeline.cost_to_serve(settings, store, as_of=much_later, last="2026-08").month == "2026-08"
    with pytest.raises(StaleDataError, match="whether the running fleet holds"):
        pipeline.check(settings, store, "sale", as_of=much_later)


def test_a_fleet_of_unknown_types_is_forecast_and_told_but_not_planned(tmp_path: Path) -> None:
    """A managed database runs on types that are no machines to choose from."""
    settings = config.load(company.write(tmp_path))
    fleet = pd.read_csv(tmp_path / "fleet.csv", dtype={"account_id": str})
    fleet.loc[fleet["service"] == "api", "instance_type"] = "db.r6i.8xlarge"
    fleet.to_csv(tmp_path / "fleet.csv", index=False)
    store = pipeline.open_store(settings)
    pipeline.require_complete(pipeline.ingest(settings, store, AS_OF))
    planned = pipeline.run(settings, store, as_of=AS_OF).plans[0]
    api = next(u for u in planned.units if u.service == "api")
    assert api.safe_now is None
    assert any("runs on db.r6i.8xlarge, which the catalogue does not know" in f for f in api.flags)
    assert next(u for u in planned.units if u.service == "web").recommended


def test_an_earlier_moment_sees_no_table_that_came_later(tmp_path: Path) -> None:
    """A bill ingested after a plan is no part of it when it is made again."""
    lines = [line for line in company.CONFIG.splitlines() if "name: bill" not in line]
    settings = ingested(tmp_path, text="\n".join(lines))
    store = pipeline.open_store(settings)
    recorded = store.versions()
    whole = config.load(company.write(tmp_path))
    pipeline.require_complete(pipeline.ingest(whole, store, AS_OF))
    assert read_inputs(whole, store, AS_OF, recorded).cost.num_rows == 0
    assert read_inputs(whole, store, AS_OF).cost.num_rows > 0


def test_demand_made_of_utilisation_is_stale_with_it(tmp_path: Path) -> None:
    text = company.CONFIG.replace("  - name: api\n", "  - name: api\n    demand_metric: busy_vcpu\n", 1)

    def ended(usage: pd.DataFrame) -> pd.DataFrame:
        gone = (usage["service"] == "api") & (usage["ts"] > company.AS_OF - pd.Timedelta(days=9))
        return usage[~gone]

    settings = ingested(tmp_path, ended, text)
    with pytest.raises(StaleDataError, match="api/us-east-1 ends"):
        inputs(settings)


def test_one_stale_bill_of_two_is_said_beside_the_month(tmp_path: Path) -> None:
    old = "  - {kind: focus_files, name: bill, path: bill.csv}"
    text = company.CONFIG.replace(old, f"{old}\n  - {{kind: focus_files, name: other, path: other.csv}}")
    settings = config.load(company.write(tmp_path, config=text))
    bill = pd.read_csv(tmp_path / "bill.csv", dtype=str)
    first = bill[bill["BillingPeriodStart"] == bill["BillingPeriodStart"].min()]
    first.assign(BillingAccountId="2").to_csv(tmp_path / "other.csv", index=False)
    store = pipeline.open_store(settings)
    pipeline.require_complete(pipeline.ingest(settings, store, AS_OF))
    report = pipeline.cost_to_serve(settings, store, as_of=AS_OF)
    assert any(text.startswith("STALE: the bill of other ends on 2026-07-01") for text in report.sentences)


def test_a_catalogue_that_is_a_file_is_told(tmp_path: Path) -> None:
    (tmp_path / "rates.yaml").write_text("x: 1", encoding="utf-8")
    settings = ingested(
        tmp_path, text=company.CONFIG.replace("company: Small", "company: Small\ncatalogue: rates.yaml")
    )
    with pytest.raises(MissingDataError, match="no readable catalogue"):
        inputs(settings)


def test_a_bill_that_comes_from_two_sources_is_said_in_plan_and_cost(tmp_path: Path) -> None:
    old = "  - {kind: focus_files, name: bill, path: bill.csv}"
    text = company.CONFIG.replace(old, f"{old}\n  - {{kind: focus_files, name: again, path: copy.csv}}")
    settings = config.load(company.write(tmp_path, config=text))
    (tmp_path / "copy.csv").write_bytes((tmp_path / "bill.csv").read_bytes())
    store = pipeline.open_store(settings)
    pipeline.require_complete(pipeline.ingest(settings, store, AS_OF))
    said = "comes from again, bill in 3 months, 2026-06 to 2026-08: its cost counts more than once"
    report = pipeline.cost_to_serve(settings, store, as_of=AS_OF)
    assert any(said in sentence for sentence in report.sentences)
    planned = pipeline.run(settings, store, as_of=AS_OF).plans[0]
    assert any(said in f.text and f.severity == "act" for f in planned.findings)
