"""The bridge as a plan carries it: the demo company's newest month and quarter, and plans against each other."""

from __future__ import annotations

from dataclasses import MISSING, fields, replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from capacity import catalogue, config, costs, plan
from capacity.config import BillSource
from capacity.costs import TERMS
from capacity.errors import MissingDataError, UsageError
from capacity.pipeline import money
from capacity.pipeline.finops import bridge as finops
from capacity.pipeline.finops.ground import Past
from capacity.pipeline.inputs import Inputs
from capacity.plan import FRAMES
from capacity.sources import Context, build
from tests.factory import known_plan

ROOT = Path(__file__).resolve().parents[2]
AS_OF = datetime(2026, 10, 5, tzinfo=UTC)


def _inputs(**known: Any) -> Inputs:
    lacking = {f.name: None for f in fields(Inputs) if f.default is MISSING and f.default_factory is MISSING}
    return Inputs(**(lacking | known))


@pytest.fixture(scope="module")
def demo() -> Past:
    """The demo company's bill since July of last year's quarter, without a store and without usage."""
    settings = config.load(ROOT / "configs" / "demo.yaml")
    source = build(BillSource(kind="focus_files", name="bill", path=str(ROOT / "fixtures/data/bill/2026-*.parquet")),
                   Context(Path))  # fmt: skip
    bill = pa.concat_tables([b.table for b in source.batches(None, AS_OF)])
    inputs = _inputs(config=settings, cost=bill, types=catalogue.load().types, usage={}, periods={}, as_of=AS_OF)
    found = costs.attribute(bill, settings.costs, [s.name for s in settings.services])
    months = costs.closed_months(bill, AS_OF)
    return Past(inputs, {}, replace(money.nothing(), attribution=found, months=months))


def test_the_newest_month_and_quarter_are_in_the_frame_and_add_up(demo: Past) -> None:
    frame = finops.past_bridges(demo)["bridge"]
    assert tuple(frame.columns) == FRAMES["bridge"]
    pairs = frame[["from_period", "to_period"]].drop_duplicates().to_numpy().tolist()
    assert pairs == [["2026-08", "2026-09"], ["2026-Q2", "2026-Q3"]]
    for line in frame.to_dict("records"):
        assert line["start"] + sum(line[t] for t in TERMS) == line["end"]
    assert demo.money.attribution is not None
    pieces = demo.money.attribution.pieces.select(["month", "EffectiveCost"]).to_pandas()
    month = frame[frame["to_period"] == "2026-09"]
    assert sum(month["end"]) == sum(pieces.loc[pieces["month"] == "2026-09", "EffectiveCost"])


def test_machines_are_compared_by_vcpu_and_spot_stands_with_its_machine(demo: Past) -> None:
    known = finops.skus_of(demo)
    assert known["EC2-us-west-2-r5.2xlarge-spot"] == costs.Sku("r5.2xlarge", 8.0, "us-west-2")
    month = finops.bridge_between(demo, costs.Period.parse("2026-08"), costs.Period.parse("2026-09"))
    assert "EC2-us-west-2-r5.2xlarge + EC2-us-west-2-r5.2xlarge-spot" in set(month.lines["sku"])
    assert len(month.without_driver) > 5  # no usage was given


def test_rows_that_moved_little_are_one_exact_row_a_service(demo: Past) -> None:
    whole = finops.bridge_between(demo, costs.Period.parse("2026-08"), costs.Period.parse("2026-09"))
    few = finops.bridge_rows(whole, 10)
    others = few[few["sku"] == finops.OTHERS]
    assert len(few) == 10 + len(others) < len(finops.bridge_rows(whole))
    for column in ("start", *TERMS, "end"):
        sums = few.groupby("name")[column].sum(), whole.by_service().groupby("name")[column].sum()
        pd.testing.assert_series_equal(sums[0].sort_index(), sums[1].sort_index())


@pytest.mark.parametrize(
    ("months", "pairs"),
    [
        (("2026-04", "2026-09"), [("2026-08", "2026-09"), ("2026-Q2", "2026-Q3")]),
        (("2026-01", "2026-07"), [("2026-06", "2026-07"), ("2026-Q1", "2026-Q2")]),
        (("2026-05", "2026-09"), [("2026-08", "2026-09")]),
        (("2026-09", "2026-09"), []),
    ],
)
def test_only_whole_periods_are_compared(months: tuple[str, str], pairs: list[tuple[str, str]]) -> None:
    known = tuple(str(p) for p in pd.period_range(*months, freq="M"))
    assert [(a.label, b.label) for a, b in finops.newest_pairs(known)] == pairs
    assert finops.newest_pairs(()) == []


def test_only_closed_months_with_charges_are_compared_where_a_bill_is_in_arrears(demo: Past) -> None:
    """The charges of a month are on the bill of the next one: the newest closed bill has none of its own month."""
    bill = demo.money.attribution
    assert bill is not None
    wanted = [m for m in bill.months if "2026-04" <= m < "2026-08"]
    pieces = bill.pieces.filter(pc.is_in(bill.pieces.column("month"), pa.array(wanted)))
    arrears = replace(bill, pieces=pieces)
    past = replace(
        demo, money=replace(demo.money, attribution=arrears, months=("2026-05", "2026-06", "2026-07", "2026-08"))
    )
    found = finops.past_bridges(past)["bridge"]
    assert found[["from_period", "to_period"]].drop_duplicates().to_numpy().tolist() == [["2026-06", "2026-07"]]
    for money_ in (replace(past.money, months=("2026-07", "2026-08")), replace(past.money, attribution=None)):
        nothing = finops.past_bridges(replace(past, money=money_))["bridge"]
        assert tuple(nothing.columns) == FRAMES["bridge"]
        assert nothing.empty


def test_a_bridge_needs_a_bill(demo: Past) -> None:
    past = replace(demo, money=money.nothing())
    with pytest.raises(MissingDataError, match="a bridge needs a bill"):
        finops.bridge_between(past, costs.Period.parse("2026-08"), costs.Period.parse("2026-09"))
    with pytest.raises(MissingDataError, match="needs a bill"):
        finops.plan_actual(known_plan(), past, "2026-08")


# --- plans -------------------------------------------------------------------------------------------------


def _total(amounts: dict[str, str]) -> pd.DataFrame:
    rows = [(m, "instances", "auth", "us-east-1", Decimal(a), "optimizer") for m, a in amounts.items()]
    return pd.DataFrame(rows, columns=list(FRAMES["plan_total"]))


def _with(name: str, total: dict[str, str], **more: Any) -> plan.Plan:
    return replace(known_plan(), scenario=name, frames={"plan_total": _total(total)}, **more)


def test_two_plans_are_named_by_their_scenario_or_by_their_day() -> None:
    one, other = _with("base", {"2026-10": "10"}), _with("growth", {"2026-10": "12"})
    found = finops.scenario_bridge(one, other)
    assert found.months == ("base", "growth")
    assert found.total()["end"].tolist() == [Decimal(12)]
    earlier = replace(one, as_of=datetime(2026, 7, 1, tzinfo=UTC))
    assert finops.scenario_bridge(earlier, one).months == ("base of 2026-07-01", f"base of {one.as_of:%Y-%m-%d}")
    with pytest.raises(UsageError, match="plans in different currencies are not compared"):
        finops.scenario_bridge(one, replace(other, currency="EUR"))


def test_an_earlier_plan_is_held_against_the_bill_of_a_month(demo: Past) -> None:
    found = finops.plan_actual(_with("base", {"2026-08": "1000", "2026-09": "1000"}), demo, "2026-09")
    total = found.total().iloc[0]
    assert total["start"] == Decimal(1000)
    assert demo.money.attribution is not None
    pieces = demo.money.attribution.pieces.select(["month", "EffectiveCost"]).to_pandas()
    assert total["end"] == sum(pieces.loc[pieces["month"] == "2026-09", "EffectiveCost"])


def test_planned_units_are_of_days_that_are_all_forecast() -> None:
    days = pd.date_range("2026-09-01", "2026-09-30", tz="UTC")
    rows = [(s, r, "requests_per_second", "mean", d, 2.0) for s, r, skip in
            (("a", "east", 0), ("a", "west", 0), ("b", "east", 1)) for d in days[skip:]]  # fmt: skip
    frame = pd.DataFrame(rows, columns=["service", "region", "metric", "target", "ts", "q50"])
    made = replace(known_plan(), frames={"forecast": frame})
    assert finops.planned_units(made, costs.Period.parse("2026-09")) == {"a": 2 * 2.0 * 86_400 * 30}
