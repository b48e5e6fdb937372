"""Totals, budgets and bridges in a fiscal calendar, through config, store and plan."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from capacity import config, forecast, pipeline, plan
from capacity.errors import ConfigError, UsageError
from capacity.fiscal import CALENDAR, Calendar
from capacity.pipeline.finops.bridge import newest_pairs
from capacity.report import known
from tests import company
from tests.factory import known_plan
from tests.factory_forecast import a_forecast
from tests.factory_known import knowing

HEAD = "version: 1\ncompany: Acme\ntiers: [{name: t, service_level: 0.9}]\n"
SERVICES = "services: [{name: search, tier: t, team: find, regions: [us-east-1]}]\n"


def budgets(folder: Path, line: str, fiscal: str = "fiscal_year: {starts: 2}\n") -> config.Config:
    path = folder / "c.yaml"
    path.write_text(HEAD + fiscal + SERVICES + f"budgets:\n  - {line}\n", encoding="utf-8")
    return config.load(path)


def test_budgets_name_the_company_s_own_quarters_and_years(tmp_path: Path) -> None:
    found = budgets(tmp_path, "{quarter: FY2027-Q3, amount: 5}").budgets[0]
    assert (found.period_kind, found.period) == ("quarter", "FY2027-Q3")
    assert budgets(tmp_path, "{year: FY2027, amount: 5}").budgets[0].period == "FY2027"
    assert budgets(tmp_path, "{month: 2026-10, amount: 5}").budgets[0].period == "2026-10"


@pytest.mark.parametrize("line", ["{quarter: 2026-Q4, amount: 5}", "{year: 2026, amount: 5}"])
def test_a_budget_of_another_calendar_is_refused_with_what_is_allowed(tmp_path: Path, line: str) -> None:
    with pytest.raises(ConfigError, match=r"begins in February.*allowed: a month .* a quarter \(FY2027-Q1"):
        budgets(tmp_path, line)
    budgets(tmp_path, line, fiscal="")
    with pytest.raises(ConfigError, match="fiscal year is the calendar's"):
        budgets(tmp_path, "{quarter: FY2027-Q1, amount: 5}", fiscal="")


def test_totals_are_of_fiscal_quarters() -> None:
    paths = np.random.default_rng(1).lognormal(0, 0.1, (200, 1)) * np.ones((1, 200))
    one = {"a": a_forecast("a", paths, start="2026-10-05")}
    known_months = {"a": {"2026-08": 31.0, "2026-09": 30.0, "2026-10": 4.0}}
    (found,) = forecast.aggregate(one, {"a": ("Co",)}, levels=("company",), known=known_months, calibrated=True,
                                  keep=("company",), calendar=Calendar(2))  # fmt: skip
    assert [p for p in found.periods if "Q" in p] == ["FY2027-Q3", "FY2027-Q4"]
    days = paths[:, :27].astype(np.float32).astype(float).sum(axis=1)
    assert found.samples["FY2027-Q3"] == pytest.approx(days + 65.0)
    (plain,) = forecast.aggregate(one, {"a": ("Co",)}, levels=("company",), known=known_months, calibrated=True)
    for month in ("2026-10", "2026-11", "2027-03"):
        assert found.periods[month] == pytest.approx(plain.periods[month])


def test_newest_whole_quarters_are_fiscal() -> None:
    months = tuple(str(p) for p in pd.period_range("2026-01", "2026-09", freq="M"))
    labels = [(a.label, b.label) for a, b in newest_pairs(months, Calendar(2))]
    assert labels == [("2026-08", "2026-09"), ("FY2027-Q1", "FY2027-Q2")]


def test_a_plan_keeps_its_calendar_and_an_older_one_has_the_calendar_s(tmp_path: Path) -> None:
    made = replace(knowing(known_plan(services=1)), calendar=Calendar(2))
    text = plan.to_json(made)
    assert plan.from_json(text).calendar == Calendar(2)
    document = json.loads(text)
    del document["calendar"]
    assert plan.from_json(json.dumps(document)).calendar == CALENDAR
    rows = made.frame("totals")
    spend = rows[rows["measure"] == "spend"].head(1)
    quarters = pd.concat([spend.assign(month=m) for m in ("FY2027-Q3", "FY2027-Q4")])
    assert known.next_quarter(replace(made, frames={**made.frames, "totals": quarters})) == "FY2027-Q4"


def test_the_review_takes_fiscal_periods(tmp_path: Path) -> None:
    text = company.CONFIG.replace("version: 1\n", "version: 1\nfiscal_year: {starts: 3}\n", 1)
    settings = config.load(company.write(tmp_path, config=text))
    stored = pipeline.open_store(settings)
    as_of = company.AS_OF.to_pydatetime()
    pipeline.require_complete(pipeline.ingest(settings, stored, as_of))
    with pytest.raises(UsageError, match="--to: found '2026-Q3', but the fiscal year begins in March"):
        pipeline.cost_to_serve(settings, stored, as_of=as_of, last="2026-Q3")
    found = pipeline.cost_to_serve(settings, stored, as_of=as_of, last="FY2027-Q2")
    assert len(found.equation) == 3
    assert found.month == "2026-08"
