"""Days of the bill and the spend forecast: what is whole, what stands apart, and what demand drives."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from capacity import config, pipeline
from capacity.domain import QUANTILES, SeriesForecast, Unit
from capacity.forecast import DRIVER
from capacity.pipeline import bill_days, spend
from capacity.pipeline.base import Base, forecast_base
from capacity.pipeline.demand import UnitData, gather
from capacity.pipeline.inputs import Inputs, read_inputs
from capacity.pipeline.planning import Run
from capacity.schemas import COST, COST_MONEY
from tests import company

AS_OF = company.AS_OF
FIXED, RATE = 150.0, 2e-5  # dollars a day, dollars a request


@pytest.fixture(scope="module")
def inputs(small: config.Config) -> Inputs:
    return read_inputs(small, pipeline.open_store(small), AS_OF.to_pydatetime())


@pytest.fixture(scope="module")
def data(inputs: Inputs) -> dict[Unit, UnitData]:
    return gather(inputs)[0]


def _row(day: str | pd.Timestamp, cost: float, tag: str | None, days: int = 1, **columns: Any) -> dict[str, Any]:
    start = pd.Timestamp(day, tz="UTC") if isinstance(day, str) else day
    month = start.normalize().replace(day=1)
    out: dict[str, Any] = {
        "source": "bill", "file": "bill.csv", "BillingAccountId": "1", "BillingCurrency": "USD",
        "BillingPeriodStart": month, "BillingPeriodEnd": month + pd.offsets.MonthBegin(1),
        "ChargePeriodStart": start, "ChargePeriodEnd": start + pd.Timedelta(days=days),
        "ChargeCategory": "Usage", "ServiceName": "EC2", "ServiceCategory": "Compute",
        "Tags": f'{{"service": "{tag}"}}' if tag else None,
        **dict.fromkeys(COST_MONEY, Decimal(str(round(cost, 6)))),
    }  # fmt: skip
    return out | columns


def _bill(rows: Sequence[dict[str, Any]]) -> pa.Table:
    return pa.Table.from_pylist([{c: r.get(c) for c in COST.columns} for r in rows], schema=COST.schema)


def _driven_bill(data: Mapping[Unit, UnitData]) -> list[dict[str, Any]]:
    """web follows its requests, api wanders; the last two days are metered by a third; tax, credits and a refund."""
    rng = np.random.default_rng(3)
    days = pd.date_range("2026-03-04", AS_OF.tz_localize(None), freq="D", inclusive="left", tz="UTC")
    requests = data[Unit("web", "us-east-1")].mean * 86_400.0
    wander = 300.0 * np.exp(np.cumsum(rng.normal(0, 0.03, len(days))))
    rows = []
    for i, day in enumerate(days):
        metered = 1.0 if i < len(days) - 2 else 1.0 / 3.0
        cost = (FIXED + RATE * float(requests[day.tz_localize(None)])) * rng.lognormal(0, 0.01) * metered
        rows += [_row(day, cost, "web"), _row(day, float(wander[i]) * metered, "api")]
        if day.is_month_end:
            rows.append(_row(day, 900.0, None, ChargeCategory="Tax"))
            rows.append(_row(day, -250.0, "web", ChargeCategory="Credit"))
    rows.append(_row("2026-05-09", -5000.0, "web", ChargeClass="Correction"))
    rows.append(_row("2026-06-10", 9000.0, "web", ChargeCategory="Purchase", ChargeFrequency="One-Time"))
    return rows


# --- which days are whole -----------------------------------------------------------------------------------


def test_days_that_are_still_metered_are_left_out_even_at_the_end_of_a_month(
    inputs: Inputs, data: dict[Unit, UnitData]
) -> None:
    found = bill_days.spent(replace(inputs, cost=_bill(_driven_bill(data))))
    assert set(found.running) == {"web", "api"}
    assert found.running["web"].index[-1] == pd.Timestamp("2026-08-29")
    assert found.running["web"].min() > FIXED


def test_tax_credits_refunds_and_one_off_purchases_are_in_no_running_day(
    inputs: Inputs, data: dict[Unit, UnitData]
) -> None:
    found = bill_days.spent(replace(inputs, cost=_bill(_driven_bill(data))))
    requests = data[Unit("web", "us-east-1")].mean * 86_400.0
    line = FIXED + RATE * requests.reindex(found.running["web"].index)
    assert (found.running["web"] / line - 1.0).abs().max() < 0.05


def test_what_comes_by_the_month_is_known_up_to_the_last_closed_month(inputs: Inputs) -> None:
    months = pd.date_range("2026-05-01", "2026-08-01", freq="MS", tz="UTC")
    rows = [_row(m, 310.0, "api", days=m.days_in_month) for m in months]
    rows[-1] = _row(months[-1], 90.0, "api", days=31)  # metered so far
    rows += [_row(d, 5.0, "web") for d in pd.date_range("2026-05-01", "2026-08-20", freq="D", tz="UTC")]
    found = bill_days.spent(replace(inputs, cost=_bill(rows), as_of=pd.Timestamp("2026-08-22", tz="UTC")))
    assert found.running["api"].index[-1] == pd.Timestamp("2026-07-31")
    assert found.running["api"].min() == pytest.approx(10.0)
    assert found.running["web"].index[-1] == pd.Timestamp("2026-08-19")


def test_a_source_that_bills_late_is_no_fall_of_the_spend(inputs: Inputs) -> None:
    days = pd.date_range("2026-06-01", "2026-08-25", freq="D", tz="UTC")
    rows = [_row(d, 5.0, "web") for d in days]
    rows += [_row(d, 7.0, "api", source="other") for d in days[:-10]]
    rows += [_row(d, 1.0, "thumbs", source="ended") for d in days[:10]]
    found = bill_days.spent(replace(inputs, cost=_bill(rows)))
    assert {s.index[-1] for s in found.running.values()} == {pd.Timestamp("2026-08-15")}
    assert (found.running["api"] == 7.0).all()
    assert found.running["thumbs"].iloc[-1] == 0.0  # it has ended: that is known


def test_a_service_begins_with_its_first_charge(inputs: Inputs) -> None:
    rows = [_row(d, 5.0, "web") for d in pd.date_range("2026-06-01", "2026-08-25", freq="D", tz="UTC")]
    rows += [_row(d, 7.0, "api") for d in pd.date_range("2026-07-10", "2026-08-25", freq="D", tz="UTC")]
    found = bill_days.spent(replace(inputs, cost=_bill(rows)))
    assert found.running["api"].index[0] == pd.Timestamp("2026-07-10")


def test_a_store_without_a_bill_has_no_days(inputs: Inputs) -> None:
    found = bill_days.spent(replace(inputs, cost=_bill([])))
    assert not found.running
    assert bill_days.apart(found, (), "USD").empty


# --- the forecast --------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def driven(inputs: Inputs, data: dict[Unit, UnitData]) -> tuple[Base, bill_days.Spent]:
    found = bill_days.spent(replace(inputs, cost=_bill(_driven_bill(data))))
    return forecast_base(inputs, data, found.running, seed=1), found


def test_the_service_that_follows_its_demand_is_driven_and_the_wandering_one_is_not(
    driven: tuple[Base, bill_days.Spent],
) -> None:
    base, _ = driven
    web, api = base.spend["web"], base.spend["api"]
    assert web.model == DRIVER
    assert "for 1,000 requests" in web.reason
    assert api.model != DRIVER
    assert "spend is not taken from requests" in api.reason
    assert web.index[0] == pd.Timestamp("2026-08-30")
    assert web.index[-1] == api.index[-1] == pd.Timestamp("2026-10-16")


def test_driven_spend_moves_with_the_demand_of_the_same_future(driven: tuple[Base, bill_days.Spent]) -> None:
    base, _ = driven
    demand = base.mean[Unit("web", "us-east-1")]
    both = base.spend["web"].index.intersection(demand.index)
    cost = base.spend["web"].paths[:, base.spend["web"].index.isin(both)].mean(axis=1)
    units = demand.paths[:, demand.index.isin(both)].mean(axis=1)
    assert np.corrcoef(cost, units)[0, 1] > 0.8


def test_months_say_which_forecast_was_used_and_add_up_by_day(
    inputs: Inputs, driven: tuple[Base, bill_days.Spent]
) -> None:
    base, found = driven
    months, by_service = bill_days.spend_months(base, found.running, inputs.config)
    assert [m.month for m in months] == ["2026-08", "2026-09"]
    assert set(by_service["month"]) == {"2026-08", "2026-09"}
    web = by_service[by_service["service"] == "web"]
    assert set(web["model"]) == {DRIVER}
    assert web["reason"].str.contains("past origins months erred").all()
    note = bill_days.spend_note(base, found.running, bill_days.apart(found, months, "USD"))
    assert note.startswith("fixed + rate x demand of web, and the trend of the bill as it runs for one other")
    assert "FinOps grade" in note
    assert "credits (−$250 a month of late) are assumed to end" in note


def test_tax_is_its_share_of_the_running_spend_and_what_ends_is_not_forecast(
    inputs: Inputs, driven: tuple[Base, bill_days.Spent]
) -> None:
    base, found = driven
    months, _ = bill_days.spend_months(base, found.running, inputs.config)
    lines = bill_days.apart(found, months, "USD").set_index(["part", "month"])
    assert lines.loc[("tax", "2026-07"), "amount"] == pytest.approx(900.0)
    assert 500.0 < lines.loc[("tax", "2026-09"), "amount"] < 1300.0
    assert not lines.loc[("tax", "2026-09"), "known"]
    assert lines.loc[("credit", "2026-09"), "amount"] == 0.0
    assert lines.loc[("refund", "2026-05"), "amount"] == -5000.0
    assert lines.loc[("one_off", "2026-06"), "amount"] == 9000.0


def test_a_service_whose_bill_reaches_further_adds_what_was_billed() -> None:
    days = pd.date_range("2026-08-01", "2026-10-31", freq="D")
    history = {"a": pd.Series(3.0, days[:31]), "b": pd.Series(5.0, days[:40])}
    forecasts = {"a": _flat("a", days[31:], 30.0), "b": _flat("b", days[40:], 50.0)}
    paths, index = bill_days.together(forecasts, history)
    assert index[0] == days[31]
    np.testing.assert_array_equal(paths[0], [35.0] * 9 + [80.0] * (len(days) - 40))


def _flat(key: str, index: pd.DatetimeIndex, value: float, origins: Sequence[str] = ()) -> SeriesForecast:
    from capacity.domain import PastMedians

    full = np.full((len(QUANTILES), len(index)), value)
    past = PastMedians(
        tuple(pd.Timestamp(o) for o in origins), np.full((len(origins), len(index)), value, dtype=np.float32)
    )
    return SeriesForecast(
        key, "D", index[0] - pd.Timedelta(days=1), index, full, full[:2].astype(np.float32), full[:, 0],
        full.sum(axis=1), "theta", "", (), past=past,
    )  # fmt: skip


# --- several regions ------------------------------------------------------------------------------------------


def test_regions_are_added_over_the_days_they_share_and_nothing_is_seen_before_its_time() -> None:
    days = pd.date_range("2026-08-01", periods=60, freq="D")
    first = _flat("s/a|mean", days[:50], 2.0, ["2026-07-20", "2026-07-10"])
    other = _flat("s/b|mean", days[2:52], 3.0, ["2026-07-22", "2026-07-05"])
    both = spend.added([first, other])
    assert both is not None
    assert list(both.index) == list(days[2:50])
    assert (both.paths == 5.0).all()
    assert both.past is not None
    # 22 July had not come on the 20th; the 5th's forecast is too old for the 20th, and good for the 10th.
    assert np.isnan(both.past.medians[0]).all()
    assert both.past.medians[1][0] == 5.0
    assert spend.added([first, _flat("s/b|mean", pd.date_range("2027-01-01", periods=5), 1.0)]) is None
    assert spend.added([first]) is first


def test_units_of_a_day_without_one_region_are_unknown() -> None:
    days = pd.date_range("2026-08-01", periods=3, freq="D")
    found = spend.together([pd.Series([1.0, np.nan, 3.0], days), pd.Series([10.0, 20.0, 30.0], days)])
    assert found.dropna().tolist() == [11.0, 33.0]
    assert np.isnan(found.iloc[1])


@pytest.mark.parametrize(
    ("metric", "name"),
    [("requests_per_second", "requests"), ("rides_per_hour", "rides"), ("busy_vcpu", "busy vcpu hours")],
)
def test_demand_is_named_by_what_it_counts(metric: str, name: str) -> None:
    assert spend.unit_name(metric) == name


def test_the_plan_carries_the_lines_and_the_reasons(planned: Run) -> None:
    plan = planned.plans[0]
    forecast = plan.frame("spend_forecast")
    assert forecast["reason"].str.len().min() > 20
    lines = plan.frame("spend_apart")
    assert set(lines["part"]) == {"tax"}
    # August ended with as_of and has not settled.
    assert lines[lines["known"].astype(bool)]["amount"].tolist() == pytest.approx([123.45] * 2)
