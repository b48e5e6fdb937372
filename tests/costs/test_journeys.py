"""Journeys through the call graph: requests, money that adds up exactly, and what no journey explains."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from capacity.config import JourneyConfig, ServiceConfig
from capacity.costs import NOT_EXPLAINED, journey_costs, journey_unit_costs, requests_per_journey
from capacity.errors import ConfigError, UsageError

SERVICES = ("shop", "cart", "pay", "db")


def services(**calls: dict[str, float]) -> list[ServiceConfig]:
    return [
        ServiceConfig.model_validate(
            {
                "name": name,
                "tier": "t",
                "regions": ["r"],
                "calls": [{"service": s, "per_request": n} for s, n in calls.get(name, {}).items()],
            }
        )
        for name in SERVICES
    ]


GRAPH = services(shop={"cart": 0.5, "pay": 0.1}, cart={"db": 2.0}, pay={"db": 4.0})


def journey(**more: Any) -> JourneyConfig:
    return JourneyConfig.model_validate({"name": "buy", "enters": {"shop": 1.0}} | more)


def cost(amounts: dict[str, str], month: str = "2026-09", currency: str = "USD") -> pd.DataFrame:
    return pd.DataFrame(
        [(month, currency, s, Decimal(a)) for s, a in amounts.items()],
        columns=["month", "currency", "service", "EffectiveCost"],
    )


def units(column: str, amounts: dict[str, float], month: str = "2026-09") -> pd.DataFrame:
    return pd.DataFrame([(month, n, u) for n, u in amounts.items()], columns=["month", column, "units"])


def test_requests_follow_the_calls_over_all_ways() -> None:
    assert requests_per_journey(journey(), GRAPH) == {"shop": 1.0, "cart": 0.5, "pay": 0.1, "db": 1.4}
    both = requests_per_journey(journey(enters={"shop": 2.0, "pay": 1.0}), GRAPH)
    assert both == pytest.approx({"shop": 2.0, "cart": 1.0, "pay": 1.2, "db": 6.8})


def test_a_service_where_calls_stop_is_paid_but_asks_nothing() -> None:
    found = requests_per_journey(journey(enters={"shop": 1.0, "pay": 1.0}, stops_at=["shop"]), GRAPH)
    assert found == {"shop": 1.0, "pay": 1.0, "db": 4.0}


def test_calls_in_a_circle_are_refused() -> None:
    with pytest.raises(ConfigError, match="circle, shop -> cart -> shop"):
        requests_per_journey(journey(), services(shop={"cart": 1.0}, cart={"shop": 1.0}))


def test_a_journey_pays_its_share_of_requests_and_the_rest_is_named() -> None:
    found = journey_costs(
        cost({"shop": "10", "db": "6", "pay": "1"}),
        units("service", {"shop": 1000.0, "db": 2800.0}),
        units("journey", {"buy": 500.0}),
        {"buy": {"shop": 1.0, "db": 1.4, "pay": 0.1}},
    )
    rows = {(r["journey"], r["service"]): r for r in found.to_dict("records")}
    assert rows["buy", "shop"]["effective_cost"] == Decimal(5)
    assert rows["buy", "db"]["effective_cost"] == Decimal("1.5")
    assert rows["buy", "db"]["share_frac"] == 0.25
    assert rows[NOT_EXPLAINED, "db"]["effective_cost"] == Decimal("4.5")
    assert rows[NOT_EXPLAINED, "pay"]["effective_cost"] == Decimal(1)
    assert rows[NOT_EXPLAINED, "pay"]["flags"] == "no requests of it are known"
    assert ("buy", "pay") not in rows
    assert rows["buy", "shop"]["journeys"] == 500.0


def test_journeys_that_explain_more_than_all_share_the_whole_and_say_so() -> None:
    found = journey_costs(
        cost({"shop": "9"}),
        units("service", {"shop": 1000.0}),
        units("journey", {"buy": 1000.0, "look": 500.0}),
        {"buy": {"shop": 1.0}, "look": {"shop": 1.0}},
    )
    assert found["journey"].tolist() == ["buy", "look"]
    assert found["effective_cost"].tolist() == [Decimal(6), Decimal(3)]
    assert found["share_frac"].sum() == pytest.approx(1.0)
    assert set(found["flags"]) == {"journeys make 150% of the requests it served"}


def test_counts_that_stand_twice_or_are_negative_are_refused() -> None:
    twice = pd.concat([units("service", {"shop": 1.0})] * 2)
    with pytest.raises(UsageError, match="stands twice; sum a service's regions first"):
        journey_costs(cost({"shop": "1"}), twice, units("journey", {"buy": 1.0}), {"buy": {"shop": 1.0}})
    with pytest.raises(UsageError, match="below zero"):
        journey_costs(
            cost({"shop": "1"}),
            units("service", {"shop": -1.0}),
            units("journey", {"buy": 1.0}),
            {"buy": {"shop": 1.0}},
        )


@given(
    st.dictionaries(st.sampled_from(SERVICES), st.decimals(-(10**9), 10**12, places=12), min_size=1),
    st.dictionaries(st.sampled_from(SERVICES), st.floats(0, 1e15), max_size=4),
    st.lists(
        st.tuples(st.floats(0, 1e15), st.dictionaries(st.sampled_from(SERVICES), st.floats(1e-9, 1e6))), max_size=4
    ),
    st.sampled_from(["USD", "EUR"]),
)
def test_journeys_and_the_rest_are_the_services_cost_exactly(
    amounts: dict[str, Decimal],
    served: dict[str, float],
    journeys: list[tuple[float, dict[str, float]]],
    currency: str,
) -> None:
    bill = pd.concat([cost({s: str(a) for s, a in amounts.items()}, currency=currency), cost({"shop": "1"}, "2026-08")])
    counts = {f"j{i}": n for i, (n, _) in enumerate(journeys)}
    requests = {f"j{i}": of for i, (_, of) in enumerate(journeys)}
    found = journey_costs(bill, units("service", served), units("journey", counts), requests)
    for line in bill.to_dict("records"):
        mine = found[
            (found["service"] == line["service"])
            & (found["month"] == line["month"])
            & (found["currency"] == line["currency"])
        ]
        assert sum(mine["effective_cost"], Decimal(0)) == line["EffectiveCost"]
        assert mine["share_frac"].sum() == pytest.approx(1.0)
        assert (mine["effective_cost"].map(abs) <= abs(line["EffectiveCost"])).all()
    assert len(found) == len(found.drop_duplicates(["journey", "service", "month", "currency"]))


def test_a_thousand_journeys_cost_the_sum_of_their_requests() -> None:
    rows = [("2026-09", "shop", "USD", Decimal("2")), ("2026-09", "db", "USD", Decimal("0.5"))]
    known = pd.DataFrame(rows, columns=["month", "service", "currency", "usd_per_1000"])
    found = journey_unit_costs(known, {"buy": {"shop": 1.0, "db": 1.4, "pay": 3.0}})
    assert found == {("buy", "2026-09", "USD"): (Decimal("2.7"), "")}, "pay cost nothing in this month"
    lacking = known.assign(usd_per_1000=[Decimal(2), None])
    said = journey_unit_costs(lacking, {"buy": {"shop": 1.0, "db": 1.4}})
    assert said == {("buy", "2026-09", "USD"): (None, "no unit cost of db in this month")}
