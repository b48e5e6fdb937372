"""The bill by service against the fleets, and the plan's total with all that no optimizer plans."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pandas as pd
import pytest

from capacity import config, costs, pipeline
from capacity.domain import Unit
from capacity.pipeline import bill_days, money, planning
from capacity.pipeline.demand import UnitData, gather
from capacity.pipeline.inputs import Inputs, read_inputs
from capacity.pipeline.plan_total import (
    ASSUMED,
    BESIDE,
    CARRIED,
    DATABASES,
    FORECAST,
    INSTANCES,
    NOBODYS,
    PLANNED,
    SHORTER,
    TOTAL,
    USAGE_PRICED,
    plan_total,
)
from tests import company

HOURS = {"2026-09": 720.0, "2026-10": 372.0, "2026-11": 24.0}


Known = tuple[Inputs, dict[Unit, UnitData], money.Money]


@pytest.fixture(scope="module")
def known(small: config.Config) -> Known:
    store, as_of = pipeline.open_store(small), company.AS_OF.to_pydatetime()
    inputs = read_inputs(small, store, as_of, planning.versions_at(store, as_of))
    return inputs, gather(inputs)[0], money.cost_to_serve(inputs)


@pytest.fixture(scope="module")
def ties(known: Known) -> costs.ServiceTies:
    found = money.ties_by_service(*known)
    assert found is not None
    return found


def test_the_companys_fleets_tie_service_by_service(ties: costs.ServiceTies) -> None:
    frame = ties.frame.set_index("service")
    # The bill names no region, so services are judged whole.
    assert set(frame["region"]) <= {"", "us-east-1"}
    assert frame.loc[["web", "api"], "ties"].all()
    days = 31 * 24
    assert float(frame.loc["web", "modelled"]) == pytest.approx(13 * 0.192 * days, rel=1e-3)
    assert pd.isna(frame.loc["thumbs", "ties"])
    assert float(frame.loc["thumbs", "remainder"]) == pytest.approx(31 * 9.5)
    assert set(ties.parts[ties.parts["service"] == costs.NOBODY]["part"]) == {
        "Networking: Amazon Virtual Private Cloud", "Storage: Amazon Simple Storage Service", "tax",
    }  # fmt: skip
    bill = company.bill_frame(company.usage_frame())
    august = bill[bill["ChargePeriodStart"].str.startswith("2026-08")]["EffectiveCost"]
    assert ties.parts["amount"].sum() == sum((Decimal(repr(x)) for x in august), Decimal(0))


def test_managed_databases_stand_beside_the_instances(known: Known) -> None:
    """A unit that runs db types is no part of the company's compute; its rows of the bill stay in the remainder."""
    inputs, data, served = known
    api = next(u for u in data if u.service == "api")
    managed = {**data, api: replace(data[api], running={("db.c5.2xlarge", "us-east-1a"): 8})}
    (both,), (one,) = money.tie_outs(*known), money.tie_outs(inputs, managed, served)
    moved = both.billed_effective - one.billed_effective
    assert moved > 0
    assert sum(one.remainder.values()) - sum(both.remainder.values()) == moved
    assert one.ties
    found = money.ties_by_service(inputs, managed, served)
    assert found is not None
    line = found.frame.set_index("service").loc["api"]
    # The bill has it as instances and not as hours of a database: it does not tie, and says so.
    assert line["billed_effective"] == 0
    assert not line["ties"]


def test_without_a_bill_nothing_is_compared(known: Known) -> None:
    inputs, data, _ = known
    assert money.ties_by_service(inputs, data, money.nothing()) is None
    assert money.tie_outs(inputs, data, money.nothing()) == ()


def test_nobodys_name_is_the_spend_forecasts() -> None:
    assert costs.NOBODY == bill_days.SHARED


def _spend(*rows: tuple[str, str, str, float]) -> pd.DataFrame:
    frame = pd.DataFrame(rows, columns=["month", "service", "region", "total_usd"])
    return frame.assign(unit=frame["service"].where(frame["region"] == "", frame["service"] + "/" + frame["region"]))


MIX = _spend(
    ("2026-09", "web", "us-east-1", 1000.004), ("2026-09", "api", "us-east-1", 500.0),
    ("2026-10", "web", "us-east-1", 400.0), ("2026-09", "(commitments unused)", "", 12.5),
)  # fmt: skip
FORECASTS = pd.DataFrame(
    [(s, m, q) for m in ("2026-09", "2026-10") for s, q in (("web", 2000.0), ("thumbs", 300.0), (costs.NOBODY, 250.0))],
    columns=["service", "month", "q50"],
)
APART = pd.DataFrame(
    [("2026-08", "tax", 99.0, True), ("2026-09", "tax", 60.0, False), ("2026-10", "tax", 62.0, False)],
    columns=["month", "part", "amount", "known"],
)
PARTS = pd.DataFrame(
    [
        ("web", costs.INSTANCES, "750"), ("web", "Storage: EBS", "200"),
        ("web", "Networking: Elastic Load Balancing", "50"),
        (costs.NOBODY, "Management: CloudWatch", "90"), (costs.NOBODY, "unused commitments", "10"),
        (costs.NOBODY, "tax", "500"), (costs.NOBODY, "credits", "-70"), (costs.NOBODY, "purchases: EC2", "36"),
    ],
    columns=["service", "part", "amount"],
).assign(amount=lambda f: f["amount"].map(Decimal))  # fmt: skip


def _total(small: config.Config, parts: pd.DataFrame = PARTS) -> pd.DataFrame:
    return plan_total(small, HOURS, MIX, FORECASTS, APART, parts)


def _amounts(frame: pd.DataFrame, month: str) -> dict[tuple[str, str], str]:
    rows = frame[frame["month"] == month]
    return {(p, s): str(a) for p, s, a in zip(rows["part"], rows["service"], rows["amount"], strict=True)}


def test_every_part_of_the_total_has_its_name(small: config.Config) -> None:
    found = _total(small)
    assert _amounts(found, "2026-09") == {
        (INSTANCES, "web"): "1000.00", (INSTANCES, "api"): "500.00", ("commitments unused", ""): "12.50",
        (BESIDE, "web"): "500.00",  # a quarter of web's bill is disks and load balancers
        (USAGE_PRICED, "thumbs"): "300.00",
        (NOBODYS, ""): "225.00",  # a tenth of it is commitments that nobody used, which the mix has
        ("tax", ""): "60.00", (TOTAL, ""): "2597.50",
    }  # fmt: skip
    by_part = found[found["month"] == "2026-09"].set_index("part")["basis"]
    assert by_part[INSTANCES].tolist() == [PLANNED, PLANNED]
    assert (by_part[BESIDE], by_part["tax"]) == (FORECAST, ASSUMED)


def test_months_that_the_plan_covers_in_part_and_beyond_the_forecast_say_so(small: config.Config) -> None:
    found = _total(small)
    assert _amounts(found, "2026-10") == {
        (INSTANCES, "web"): "400.00", (BESIDE, "web"): "250.00", (USAGE_PRICED, "thumbs"): "150.00",
        (NOBODYS, ""): "112.50", ("tax", ""): "31.00", (TOTAL, ""): "943.50",
    }  # fmt: skip
    later = found[found["month"] == "2026-11"].set_index("part")
    assert later.loc[USAGE_PRICED, "amount"] == Decimal("9.68")  # 300 for 31 days, one day of it
    assert later.loc[USAGE_PRICED, "basis"] == CARRIED
    assert set(found[(found["month"] == "2026-10") & (found["part"] == BESIDE)]["basis"]) == {SHORTER}


def test_totals_are_the_sum_of_what_is_shown(small: config.Config) -> None:
    found = _total(small)
    for month, rows in found.groupby("month"):
        parts, total = rows[rows["part"] != TOTAL], rows[rows["part"] == TOTAL]
        assert total["amount"].tolist() == [sum(parts["amount"], Decimal(0))], month
    assert all(amount == amount.quantize(Decimal("0.01")) for amount in found["amount"])


def test_a_service_that_the_bill_does_not_know_keeps_its_forecast(small: config.Config) -> None:
    found = _total(small, PARTS[PARTS["service"] != "web"])
    assert _amounts(found, "2026-09")[BESIDE, "web"] == "2000.00"


def test_a_vertical_service_is_a_database(small: config.Config) -> None:
    changed = [s.model_copy(update={"kind": "vertical"}) if s.name == "api" else s for s in small.services]
    found = _total(small.model_copy(update={"services": changed}))
    assert _amounts(found, "2026-09")[DATABASES, "api"] == "500.00"


def test_without_any_forecast_the_total_is_the_mix(small: config.Config) -> None:
    found = plan_total(small, HOURS, MIX, FORECASTS.iloc[:0], APART.iloc[:0], PARTS.iloc[:0])
    assert found[found["part"] == TOTAL]["amount"].tolist() == [Decimal("1512.50"), Decimal("400.00"), Decimal(0)]
