"""Spend by month, the outlook against budgets, its record and single SKUs, on the small company."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from types import SimpleNamespace
from typing import Any, cast

import pandas as pd
import pytest

from capacity import pipeline, plan
from capacity.config import BudgetConfig, Config
from capacity.pipeline.finops.budget_words import budget_findings, record_findings, sku_findings
from capacity.pipeline.finops.budgets import coming_budgets, past_spend
from capacity.pipeline.finops.ground import Past
from capacity.pipeline.parts import Parts
from capacity.pipeline.planning import Ground, Run, prepare
from capacity.schemas import TABLES
from tests import company

QUANTILES = ["q10", "q50", "q90"]


@pytest.fixture(scope="module")
def ground(small: Config, planned: Run) -> Ground:
    """After ``planned``, whose forecasts are read back."""
    return prepare(small, pipeline.open_store(small), as_of=company.AS_OF.to_pydatetime())


def coming(ground: Ground, *budgets: BudgetConfig, provider: pd.DataFrame | None = None) -> dict[str, pd.DataFrame]:
    inputs = replace(ground.inputs, config=ground.inputs.config.model_copy(update={"budgets": list(budgets)}))
    if provider is not None:
        inputs = replace(inputs, provider_forecast=provider)
    past = past_spend(Past(inputs, ground.data, ground.money))
    parts = SimpleNamespace(
        inputs=inputs, base=ground.base, spend_history=ground.spend, past=past, added={}, money=ground.money
    )
    return coming_budgets(cast(Parts, parts))


def company_rows(frames: dict[str, pd.DataFrame]) -> pd.DataFrame:
    frame = frames["budget_outlook"]
    return frame[frame["level"] == "company"].set_index("period")


def test_what_was_spent_is_the_bill_to_the_last_decimal(planned: Run) -> None:
    frame = planned.plans[0].frame("spend_actual")
    august = frame[frame["month"] == "2026-08"]
    # The newest two days are still being metered: 29 days, and no tax yet, which comes on the 31st.
    assert set(august["part"]) == {"running"}
    by_service = dict(zip(august["service"], august["amount"], strict=True))
    assert by_service["thumbs"] == Decimal("9.5") * 29
    assert by_service["(shared and unallocated)"] == (Decimal("7.123457") + Decimal("1.000001")) * 29
    assert set(frame["last_day"]) == {pd.Timestamp("2026-08-29")}


def test_the_outlook_agrees_with_all_other_frames_of_spend(planned: Run) -> None:
    for found in planned.plans:
        outlook = found.frame("budget_outlook").set_index(["level", "name", "period"])
        totals = found.frame("totals")
        for row in totals[totals["measure"] == "spend"].to_dict("records"):
            mine = outlook.loc[(row["level"], row["name"], row["month"])]
            assert [float(mine[q]) for q in QUANTILES] == pytest.approx([float(row[q]) for q in QUANTILES], rel=1e-5)
        for month in found.spend:
            mine = outlook.loc[("company", "Small", month.month)]
            assert [float(mine[q]) for q in QUANTILES] == pytest.approx([month.q10, month.q50, month.q90], rel=1e-5)
            if month.over_budget is not None:
                assert float(mine["p_over"]) == pytest.approx(month.over_budget, abs=0.011)


def test_month_to_date_is_exact_and_the_year_says_how_far_it_reaches(planned: Run) -> None:
    rows = planned.plans[0].frame("budget_outlook")
    mine = rows[(rows["level"] == "service") & (rows["name"] == "thumbs")].set_index("period")
    assert mine.loc["2026-08", "actual"] == Decimal("9.5") * 29
    assert mine.loc["2026-Q3", "actual"] == Decimal("9.5") * (31 + 29)
    year = mine.loc["2026"]
    assert not year["complete"]
    assert "the bill begins on 1 Jun 2026" in year["basis"]
    assert "forecast to" in year["basis"]
    assert 0 < year["share_actual_frac"] < 1


def test_budgets_of_teams_services_quarters_and_of_all_charges(ground: Ground) -> None:
    plain = company_rows(coming(ground))
    budgets = (
        BudgetConfig(quarter="2026-Q3", amount=Decimal(1), includes="all"),
        BudgetConfig(month="2026-09", service="thumbs", amount=Decimal(10**9)),
    )
    frames = coming(ground, *budgets)
    quarter = company_rows(frames).loc["2026-Q3"]
    assert quarter["p_over"] == 1.0
    assert quarter["basis"].startswith("all that is billed")
    # July's tax is billed; those of August and September are assumed.
    assert quarter["actual"] == plain.loc["2026-Q3", "actual"] + Decimal("123.45")
    assert quarter["q50"] == pytest.approx(plain.loc["2026-Q3", "q50"] + 3 * 123.45, abs=25.0)
    frame = frames["budget_outlook"]
    (mine,) = frame[(frame["name"] == "thumbs") & frame["budget"].notna()].to_dict("records")
    assert (mine["period"], mine["budget"], mine["p_over"]) == ("2026-09", Decimal(10**9), 0.0)


def test_awss_own_forecast_stands_beside_the_companys_months(ground: Ground) -> None:
    day = pd.Timestamp("2026-09-01", tz="UTC")
    row: dict[str, Any] = {
        "source": "ce", "account_id": "1", "metric": "NET_AMORTIZED_COST", "granularity": "MONTHLY", "made_on": day,
        "ts": day, "period_end": day + pd.offsets.MonthBegin(1), "mean": Decimal(5000), "low": Decimal(4500),
        "high": Decimal(5500), "level_frac": 0.8, "currency": "USD",
    }  # fmt: skip
    provider = pd.DataFrame([row], columns=list(TABLES["provider_forecast"].columns))
    rows = company_rows(coming(ground, provider=provider))
    september = rows.loc["2026-09"]
    assert (september["aws_mean"], september["aws_low"], september["aws_high"]) == (5000.0, 4500.0, 5500.0)
    assert "above ours with the same charges" in september["aws_words"]
    assert rows.loc["2026-08", "aws_words"] == ""
    frame = coming(ground)["budget_outlook"]
    assert frame["aws_mean"].isna().all()


def test_the_record_of_a_short_bill_says_that_it_is_short(planned: Run) -> None:
    frame = planned.plans[0].frame("spend_backtest")
    assert set(frame["level"]) == {"company", "team", "service"}
    assert set(frame["grade"]) == {"too short"}


# --- findings ----------------------------------------------------------------------------------------------


def _with(found: plan.Plan, name: str, rows: list[dict[str, Any]]) -> plan.Plan:
    frame = pd.DataFrame(rows).reindex(columns=list(plan.FRAMES[name]))
    return replace(found, frames={**found.frames, name: frame})


def test_a_forecast_that_lost_is_told_of_the_company_and_of_services_that_matter(planned: Run) -> None:
    rows = [
        {"level": level, "name": name, "horizon_months": 3, "beats_naive": beats, "words": f"{name} LOST"}
        for level, name, beats in (
            ("company", "Small", False), ("service", "web", False), ("service", "thumbs", False), ("team", "x", False),
            ("service", "api", True),
        )
    ]  # fmt: skip
    texts = [f.text for f in record_findings(_with(planned.plans[0], "spend_backtest", rows))]
    assert texts == [
        "the spend forecast of the whole company: Small LOST",
        "the spend forecast of web: web LOST (so has thumbs)",
    ]
    small = planned.plans[0].frame("spend_forecast").assign(q50=1.0)
    small.loc[small["service"] == "web", "q50"] = 1000.0
    changed = replace(planned.plans[0], frames={**planned.plans[0].frames, "spend_forecast": small})
    texts = [f.text for f in record_findings(_with(changed, "spend_backtest", rows))]
    assert texts[1] == "the spend forecast of web: web LOST"  # the other is less than 5 % of the spend
    assert list(record_findings(planned.plans[0])) == []


def test_budgets_that_are_likely_passed_are_one_sentence(planned: Run) -> None:
    about = {"currency": "USD", "q50": 120.0, "budget": Decimal(100)}
    rows = [
        {"level": "team", "name": "buy", "period_kind": "quarter", "period": "2026-Q4", "p_over": 0.8, **about},
        {"level": "service", "name": "web", "period_kind": "month", "period": "2026-09", "p_over": 0.6, **about}
        | {"q50": 101.0},
        {"level": "company", "name": "Small", "period_kind": "month", "period": "2026-09", "p_over": 0.9, **about},
        {"level": "team", "name": "sell", "period_kind": "year", "period": "2026", "p_over": 0.1, **about},
    ]
    (finding,) = budget_findings(_with(planned.plans[0], "budget_outlook", rows))
    assert finding.severity == "act"
    assert finding.text.startswith("2 budgets of quarters, years, teams or services are more likely than not passed")
    assert "that of team buy for 2026-Q4: 120 USD (P50) against 100, P(over) 80%" in finding.text


def test_the_dearest_sku_is_told_of(planned: Run) -> None:
    rows = [
        {"service": "web", "extra": 50.0, "words": "web: m5 cost more"},
        {"service": "api", "extra": 5.0, "words": "x"},
    ]
    (finding,) = sku_findings(_with(planned.plans[0], "spend_anomalies", rows))
    assert (finding.text, finding.usd) == ("web: m5 cost more; 1 more like it in the table", 50.0)
