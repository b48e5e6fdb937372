"""Prices through a real client: offers to rates, spot over time, pages, throttling, and what is not understood."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from capacity.config import AwsAccess, PriceSource
from capacity.errors import DataError
from capacity.schemas import check_frame
from capacity.sources import Batch, Context, build
from capacity.sources.aws import _price_products as price_list
from capacity.sources.aws import _price_spot as spot
from tests.aws.fake_prices import Prices, from_catalogue, item, plan_rate, reserved, spot_price, term
from tests.aws.standin import MANAGEMENT, StandIn

NOW = datetime(2026, 7, 31, 15, 20, tzinfo=UTC)
OD = [term("OD", [("Hrs", "0.1008000000")])]


def source(aws: StandIn, regions: list[str] | None = None, **keys: Any) -> Any:
    way = AwsAccess.model_validate({"regions": regions or ["us-east-1"], "endpoint_url": aws.url})
    config = PriceSource.model_validate({"kind": "aws_prices", "name": "rates", **keys})
    return build(config, Context(resolve=lambda p: pytest.fail(p), aws=(way,)))


def read(aws: StandIn, **keys: Any) -> tuple[pd.DataFrame, list[str]]:
    batches: list[Batch] = list(source(aws, **keys).batches(None, NOW))
    frame = pd.concat([b.table.to_pandas() for b in batches], ignore_index=True)
    return check_frame("prices", frame, "prices"), [n for b in batches for n in b.notes]


def rates(frame: pd.DataFrame, name: str = "m7g.large") -> dict[str, float]:
    rows = frame[frame["instance_type"] == name]
    return dict(zip(rows["product"], rows["rate"], strict=True))


def serve(aws: StandIn, **what: Any) -> Prices:
    prices = Prices(**what)
    prices.serve(aws)
    return prices


# --- the price list ----------------------------------------------------------------------------------------------


def test_a_reserved_rate_is_hourly_and_upfront_over_the_terms_hours(aws: StandIn) -> None:
    """By hand: 1 year is 8,760 hours, 3 years 26,280."""
    ri = [
        reserved(1, "No Upfront", "0.0640000000", None),
        reserved(1, "Partial Upfront", "0.0305000000", "267"),  # .0305 + 267 / 8760 = .0609794521
        reserved(1, "All Upfront", "0.0000000000", "524"),  # 524 / 8760 = .0598173516
        reserved(3, "Partial Upfront", "0.0211000000", "553"),  # .0211 + 553 / 26280 = .0421426180
        reserved(3, "All Upfront", None, "1040"),  # 1040 / 26280 = .0395738204
        reserved(3, "No Upfront", "0.0520000000", None, "convertible"),
    ]
    serve(aws, products=[item("m7g.large", OD, ri)])
    frame, notes = read(aws, reads=["on_demand", "reserved"])
    assert rates(frame) == {
        "on_demand": 0.1008,
        "standard_ri_1y_no_upfront": 0.064,
        "standard_ri_1y_partial_upfront": 0.0609794521,
        "standard_ri_1y_all_upfront": 0.0598173516,
        "standard_ri_3y_partial_upfront": 0.0421426180,
        "standard_ri_3y_all_upfront": 0.0395738204,
        "convertible_ri_3y_no_upfront": 0.052,
    }
    assert notes == []
    assert set(frame["as_of"]) == {pd.Timestamp("2026-07-01", tz="UTC")}
    assert set(frame["source"]) == {"AWS Pricing, GetProducts"}
    assert {*frame["os"], *frame["tenancy"], *frame["currency"], *frame["region"]} == {
        "Linux", "Shared", "USD", "us-east-1",
    }  # fmt: skip


@given(
    hourly=st.integers(0, 10**9), upfront=st.integers(1, 10**9), years=st.sampled_from([1, 3]),
)  # fmt: skip
def test_an_effective_rate_pays_exactly_what_the_term_costs(hourly: int, upfront: int, years: int) -> None:
    a, b = Decimal(hourly) / 10**7, Decimal(upfront) / 100
    found = price_list.effective({"USD": a}, {"USD": b}, years, "partial_upfront")["USD"]
    hours = 8760 * years
    assert abs(found * hours - (a * hours + b)) <= Decimal("0.5e-10") * hours


def test_only_what_is_read_is_asked_for(aws: StandIn) -> None:
    serve(aws, products=[item("m7g.large", OD, [reserved(1, "No Upfront", "0.06", None)])])
    assert rates(read(aws, reads=["on_demand"])[0]) == {"on_demand": 0.1008}
    assert rates(read(aws, reads=["reserved"])[0]) == {"standard_ri_1y_no_upfront": 0.06}
    assert set(aws.calls) == {"pricing:GetProducts"}


BROKEN = (
    ("{not json", "not the shape of a product"),
    ('{"product": {"sku": "X"}}', "not the shape of a product"),
    ("[]", "not the shape of a product"),
    (item("m7g.large", [term("OD", [("GB-Mo", "0.1")])]), "a price per GB-Mo"),
    (item("m7g.large", [term("OD", [("Hrs", "0.1"), ("Hrs", "0.2")])]), "two prices per Hrs"),
    (item("m7g.large", [term("OD", [("Hrs", "call us")])]), "a price that is no number"),
    (item("m7g.large", [term("OD", [("Hrs", "-0.1")])]), "a price that is no amount"),
    (item("m7g.large", [term("OD", [("Hrs", "NaN")])]), "a price that is no amount"),
    (item("m7g.large", [term("OD", [("Hrs", "0.0000000000")])]), "a rate of nothing is no offer"),
    (item("m7g.large", [term("OD", [("Hrs", "0.1")], "soon")]), "a term of unknown shape"),
    (item("m7g.large", [], [reserved(5, "No Upfront", "0.1", None)]), "reserved for 5yr, standard"),
    (item("m7g.large", [], [reserved(1, "No Upfront", "0.1", "10")]), "no_upfront, with other fees than that"),
    (item("m7g.large", [], [reserved(1, "Partial Upfront", None, "10")]), "partial_upfront, with other fees"),
    (item("m7g.large", [], [reserved(1, "All Upfront", "0.1", None)]), "all_upfront, with other fees"),
    (item("m7g.large", [], [term("RI", [("Hrs", "0.1")])]), "a term of unknown shape"),
)


def test_what_is_not_understood_is_left_out_and_noted(aws: StandIn) -> None:
    serve(aws, products=[item("c7g.large", OD), *(text for text, _ in BROKEN), item("r7g.large", OD)])
    frame, notes = read(aws, reads=["on_demand", "reserved"])
    assert sorted(frame["instance_type"]) == ["c7g.large", "r7g.large"]
    assert all(n.startswith("price list of Linux in us-east-1: ") for n in notes)
    for _, says in BROKEN:
        assert any(says in n for n in notes), says
    counted = [int(n.split(": ")[1].split()[0]) for n in notes]
    assert sum(counted) == len(BROKEN)


def test_two_offers_of_one_product_with_different_rates_are_no_rate(aws: StandIn) -> None:
    other = item("m7g.large", [term("OD", [("Hrs", "0.2")])], operation="RunInstances:X")
    serve(aws, products=[item("m7g.large", OD), other, item("c7g.large", OD), item("c7g.large", OD, operation="Y")])
    frame, notes = read(aws, reads=["on_demand"])
    assert list(frame["instance_type"]) == ["c7g.large"]
    assert "offers with different rates, none is taken (e.g. m7g.large on_demand)" in notes[0]


def test_the_newest_offer_in_force_is_taken(aws: StandIn) -> None:
    offers = [
        term(code, [("Hrs", price)], since)
        for code, price, since in (
            ("a", "0.3", "2024-01-01T00:00:00Z"),
            ("b", "0.2", "2026-06-01T00:00:00Z"),
            ("c", "0.1", "2026-08-01T00:00:00Z"),
        )
    ]
    serve(aws, products=[item("m7g.large", offers)])
    frame, _ = read(aws, reads=["on_demand"])
    assert (frame["rate"].item(), frame["as_of"].item()) == (0.2, pd.Timestamp("2026-06-01", tz="UTC"))


def test_an_offer_without_a_date_has_the_lists(aws: StandIn) -> None:
    serve(aws, products=[item("m7g.large", [term("OD", [("Hrs", "0.1")], None)])])
    assert read(aws, reads=["on_demand"])[0]["as_of"].item() == pd.Timestamp("2026-07-20T17:31:02Z")


@pytest.mark.parametrize(
    ("system", "in_list", "in_plans"),
    [("Windows", "Windows", "Windows"), ("RHEL", "RHEL", "Red Hat Enterprise Linux"), ("Linux", "Linux", "Linux/UNIX")],
)
def test_each_service_is_asked_in_its_own_words(aws: StandIn, system: str, in_list: str, in_plans: str) -> None:
    words = (("Linux", "Linux/UNIX"), ("Windows", "Windows"), ("RHEL", "Red Hat Enterprise Linux"))
    moment = datetime(2026, 7, 1, tzinfo=UTC)
    serve(
        aws,
        products=[
            item("m7i.large", [term("OD", [("Hrs", f"0.{i}")])], operatingSystem=w[0]) for i, w in enumerate(words, 1)
        ],
        plans=[plan_rate("m7i.large", f"0.0{i}", os=w[1]) for i, w in enumerate(words, 1)],
        spot=[spot_price("m7i.large", "us-east-1a", moment, f"0.00{i}", w[1]) for i, w in enumerate(words, 1)],
    )
    frame, _ = read(aws, operating_systems=[system])
    number = [w[0] for w in words].index(in_list) + 1
    assert set(frame["os"]) == {system}
    assert rates(frame, "m7i.large") == {
        "on_demand": float(f"0.{number}"), "compute_sp_1y_no_upfront": float(f"0.0{number}"),
        "spot": float(f"0.00{number}"), "spot_p90": float(f"0.00{number}"),
    }  # fmt: skip
    asked = next(c for c in aws.log if c.service == "savingsplans").params["filters"]
    assert {"name": "productDescription", "values": [in_plans]} in asked


@pytest.mark.parametrize(
    ("regions", "where"),
    [(["us-west-2"], "us-east-1"), (["eu-west-1"], "eu-central-1"), (["ap-southeast-2"], "ap-south-1"),
     (["us-west-2", "eu-central-1"], "eu-central-1"), (["cn-north-1"], "cn-northwest-1"),
     (["me-south-1"], "eu-central-1"), (["sa-east-1"], "us-east-1")],
)  # fmt: skip
def test_pricing_is_asked_where_it_answers(regions: list[str], where: str) -> None:
    assert price_list.endpoint_region(regions) == where


def test_each_region_has_its_own_rates(aws: StandIn) -> None:
    serve(
        aws,
        products=[
            item("m7g.large", [term("OD", [("Hrs", p)])], regionCode=r)
            for r, p in (("eu-west-1", "0.11"), ("us-west-2", "0.1"))
        ],
    )
    frame, _ = read(aws, regions=["eu-west-1", "us-west-2"], reads=["on_demand"])
    assert dict(zip(frame["region"], frame["rate"], strict=True)) == {"eu-west-1": 0.11, "us-west-2": 0.1}


# --- Savings Plans ------------------------------------------------------------------------------------------------


def test_plan_rates_by_plan_term_and_payment_are_of_the_day_they_were_asked(aws: StandIn) -> None:
    plans = [
        plan_rate("m7g.large", "0.0736", "Compute", 1, "No Upfront"),
        plan_rate("m7g.large", "0.0444", "EC2Instance", 3, "All Upfront"),
        plan_rate("m7g.large", "0.0999", "EC2Instance", 3, "All Upfront", usage="UnusedBox"),
        plan_rate("m7g.large", "0.0500", "SageMaker"),
    ]
    odd = plan_rate("m7g.large", "0.05", years=2) | {"unit": "Request"}
    serve(aws, plans=[*plans, odd, plan_rate("c7g.large", "soon")])
    frame, notes = read(aws, reads=["savings_plans"])
    assert rates(frame) == {"compute_sp_1y_no_upfront": 0.0736, "ec2_instance_sp_3y_all_upfront": 0.0444}
    assert set(frame["as_of"]) == {pd.Timestamp("2026-07-31", tz="UTC")}
    what = "Savings Plans of Linux in us-east-1: 1 left out: "
    assert notes == [
        f"{what}a plan, term or unit that is not known (e.g. BoxUsage:m7g.large)",
        f"{what}not the shape of a rate: InvalidOperation (e.g. BoxUsage:c7g.large)",
    ]


# --- spot ----------------------------------------------------------------------------------------------------------

END = datetime(2026, 7, 31, tzinfo=UTC)


def test_spot_is_the_mean_over_zones_of_each_zones_mean_over_time(aws: StandIn) -> None:
    """By hand, ten days from 21 July: a holds .04 for 8 days and .09 for 2 (.05); b .03; c .06 since 26 July."""
    serve(
        aws,
        spot=[
            spot_price("m7g.large", "us-east-1a", datetime(2026, 7, 1, tzinfo=UTC), "0.07"),
            spot_price("m7g.large", "us-east-1a", datetime(2026, 7, 11, tzinfo=UTC), "0.04"),  # holds at the start
            spot_price("m7g.large", "us-east-1a", datetime(2026, 7, 29, tzinfo=UTC), "0.09"),
            spot_price("m7g.large", "us-east-1b", datetime(2026, 6, 30, tzinfo=UTC), "0.03"),
            spot_price("m7g.large", "us-east-1c", datetime(2026, 7, 26, tzinfo=UTC), "0.06"),
            spot_price("m7g.large", "us-east-1a", NOW - timedelta(hours=1), "0.99"),  # today is not over
        ],
    )
    frame, notes = read(aws, reads=["spot"], spot_days=10)
    # 25 zone-days: 10 at .03, 8 at .04, 5 at .06, 2 at .09; nine tenths are 22.5
    assert rates(frame) == {"spot": pytest.approx((0.05 + 0.03 + 0.06) / 3), "spot_p90": 0.06}
    assert set(frame["as_of"]) == {pd.Timestamp(END)}
    assert frame["source"].str.contains("over 10 days: ").all()
    assert notes == []


@given(
    prices=st.lists(st.floats(0.001, 50), min_size=1, max_size=12),
    hours=st.lists(st.integers(-400, 900), min_size=12, max_size=12, unique=True),
)
def test_what_a_zone_held_fills_the_window_once(prices: list[float], hours: list[int]) -> None:
    start = END - timedelta(hours=720)
    series = {start + timedelta(hours=h): p for h, p in zip(hours, prices, strict=False)}
    price, seconds = spot.held(series, start, END)
    first = min(series)
    assert seconds.sum() == max(0.0, (END - max(first, start)).total_seconds())
    if seconds.sum():
        by_hour = [
            series[max(m for m in series if m <= start + timedelta(hours=h))]
            for h in range(720)
            if first <= start + timedelta(hours=h)
        ]
        assert np.average(price, weights=seconds) == pytest.approx(np.mean(by_hour))
        high = spot.weighted_quantile(price, seconds, 0.9)
        assert np.mean(np.array(by_hour) <= high) >= 0.9
        assert np.mean(np.array(by_hour) < high) < 0.9 + 1e-9


def test_the_same_day_gives_the_same_rows(aws: StandIn) -> None:
    serve(aws, spot=[spot_price("m7g.large", "us-east-1a", datetime(2026, 7, 3, tzinfo=UTC), "0.04")],
          plans=[plan_rate("m7g.large", "0.07")], products=[item("m7g.large", OD)])  # fmt: skip
    first, later = ([b.table for b in source(aws).batches(None, now)] for now in (NOW, NOW.replace(hour=23, minute=59)))
    assert first == later


# --- many pages, and what goes wrong ----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def market() -> Prices:
    from capacity import catalogue

    return from_catalogue(catalogue.load())


def test_throttled_and_broken_pages_lose_and_double_nothing(aws: StandIn, market: Prices, quick_retries: None) -> None:
    market.serve(aws)
    calm, _ = read(aws)
    calls = dict(aws.calls)
    assert calls["pricing:GetProducts"] == 14  # 1,080 products and 240 that only a reader can tell apart, 100 a page
    assert calls["savingsplans:DescribeSavingsPlansOfferingRates"] == 3
    assert calls["ec2:DescribeSpotPriceHistory"] == 3
    aws.throttle_frac = 0.3
    for name in calls:
        aws.breaks[name] = 2
    rough, _ = read(aws)
    pd.testing.assert_frame_equal(calm, rough)
    assert sum(aws.throttled.values()) >= 3
    assert not +aws.breaks
    assert len(calm) == 1080 + 1064 + 120 * 12 + 120 * 2


def test_one_service_that_is_denied_does_not_stop_the_others(aws: StandIn) -> None:
    serve(aws, products=[item("m7g.large", OD)], plans=[plan_rate("m7g.large", "0.07")])
    aws.denied.add((MANAGEMENT, "savingsplans:DescribeSavingsPlansOfferingRates"))
    batches = source(aws, reads=["on_demand", "savings_plans"]).batches(None, NOW)
    assert next(batches).table.num_rows == 1
    with pytest.raises(DataError) as error:
        next(batches)
    assert str(error.value) == (
        "source 'rates': the caller's own account, Savings Plans rates, Linux in us-east-1: "
        "savingsplans:DescribeSavingsPlansOfferingRates: AccessDenied; allow "
        "savingsplans:DescribeSavingsPlansOfferingRates for the role or user that runs this"
    )


def test_families_and_what_is_not_offered_for_them(aws: StandIn, market: Prices) -> None:
    market.serve(aws)
    frame, notes = read(aws, families=["c5", "zz9"])
    assert {n.split(".")[0] for n in frame["instance_type"]} == {"c5"}
    assert {"on_demand", "spot", "compute_sp_3y_all_upfront"} <= set(frame["product"])
    assert [n for n in notes if "zz9" in n] == [
        f"{what}, Linux in us-east-1: no rate is offered for the families zz9"
        for what in ("price list", "Savings Plans rates", "spot price history")
    ]


def test_a_region_without_offers_is_noted(aws: StandIn) -> None:
    serve(aws)
    frame, notes = read(aws, reads=["on_demand"])
    assert frame.empty
    assert notes == ["price list, Linux in us-east-1: no rate is offered; it stays without one"]
