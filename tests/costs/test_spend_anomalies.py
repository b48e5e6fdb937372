"""Single SKUs that stray: seeded ones are found with the right term, and quiet companies are left in peace."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import numpy as np
import pytest
from costs_makers import bill, costs, row
from hypothesis import given
from hypothesis import strategies as st

from capacity.costs import SkuAnomaly, SkuDays, find_anomalies, sku_days
from capacity.costs.anomalies import DAYS, FALSE_ALARMS, JUDGED_DAYS
from capacity.costs.sku_terms import TERMS, terms

SERVICES, SKUS = 20, 8


def a_company(seed: int) -> tuple[list[tuple[str, str, str]], np.ndarray, dict[str, np.ndarray]]:
    """20 services with 8 SKUs each that follow their demand more or less: weeks, trends, wandering and noise."""
    rng = np.random.default_rng(seed)
    t = np.arange(DAYS)
    keys, rows, demand = [], [], {}
    for s in range(SERVICES):
        wander = np.zeros(DAYS)
        for i, step in enumerate(rng.normal(0, 0.03, DAYS)):
            wander[i] = 0.7 * wander[i - 1] + step
        week = 1 + 0.15 * np.sin(2 * np.pi * (t % 7) / 7 + rng.uniform(0, 6))
        demand[f"s{s}"] = week * np.exp(rng.normal(0.0004, 0.0006) * t + wander)
        for k in range(SKUS):
            noise = rng.uniform(0.005, 0.12) / np.sqrt(2) * rng.standard_t(4, DAYS)
            level = 100 * np.exp(rng.normal(0, 1))
            rows.append(level * demand[f"s{s}"] ** rng.uniform(0, 1) * np.exp(noise))
            keys.append((f"s{s}", "EC2", f"k{k}"))
    return keys, np.array(rows), demand


def days_of(keys: list[tuple[str, str, str]], cost: np.ndarray, **measures: np.ndarray) -> SkuDays:
    """Prices are one unless given: quantity, list, contracted."""
    parts = [measures.get(n, cost) for n in ("quantity", "listed", "contracted")]
    units = np.array([[int(x * 1e12) for x in r[-JUDGED_DAYS:]] for r in cost], dtype=object)
    group = np.arange(len(keys))
    return SkuDays(tuple(keys), date(2026, 1, 1), cost, group, units, np.stack([*parts, cost])[:, :, -42:])


@pytest.fixture(scope="module")
def quiet() -> tuple[list[tuple[str, str, str]], np.ndarray, dict[str, np.ndarray]]:
    return a_company(1)


def the(found: list[SkuAnomaly], sku: str) -> SkuAnomaly:
    (one,) = [a for a in found if a.key == ("s0", "EC2", sku)]
    assert sum(one.terms.values()) == pytest.approx(one.extra)
    return one


def largest(one: SkuAnomaly) -> str:
    return max(one.terms, key=lambda t: abs(one.terms[t]))


def test_a_company_without_anomalies_raises_about_one_alarm_a_month_at_most() -> None:
    alarms = 0
    for seed in range(10, 18):
        keys, cost, demand = a_company(seed)
        alarms += len(find_anomalies(days_of(keys, cost), demand, {}))
    # Half a false alarm a fortnight: 4 in 8, and rarely more than twice as many.
    assert alarms <= 2 * FALSE_ALARMS * 8


def test_a_doubled_sku_is_found_with_its_days_and_its_money(quiet: Any) -> None:
    keys, cost, demand = quiet
    cost = cost.copy()
    cost[0, -5:] *= 2.0
    one = the(find_anomalies(days_of(keys, cost), demand, {}), "k0")
    assert (one.first, one.last) == (9, 13)
    assert one.extra == pytest.approx(cost[0, -5:].sum() / 2, rel=0.15)
    assert one.low < one.expected < one.high < float(one.amount)
    assert one.probability < FALSE_ALARMS / len(keys)
    # Twice as much was used, and demand was as ever.
    assert largest(one) == "efficiency"


def test_more_demand_is_volume(quiet: Any) -> None:
    keys, cost, demand = quiet
    cost = cost.copy()
    cost[:SKUS, -6:] *= 1.8
    found = find_anomalies(days_of(keys, cost), {**demand, "s0": _from(demand["s0"], 6, 1.8)}, {})
    whole = [a for a in found if a.key == ("s0", "", "")]
    assert [largest(a) for a in whole] == ["volume"]


def _from(values: np.ndarray, last: int, factor: float) -> np.ndarray:
    out = values.copy()
    out[-last:] *= factor
    return out


def test_a_reservation_that_ended_is_the_commitments_rate(quiet: Any) -> None:
    keys, used, demand = quiet
    effective = used.copy()
    effective[1, :-8] *= 0.6  # covered until eight days ago
    one = the(find_anomalies(days_of(keys, effective, quantity=used, listed=used, contracted=used), demand, {}), "k1")
    assert (one.first, one.last) == (6, 13)
    assert largest(one) == "commitment_rate"


def test_a_new_dear_sku_is_new_and_an_ended_one_ended(quiet: Any) -> None:
    keys, cost, demand = quiet
    cost = cost.copy()
    cost[6, :-4] = 0.0
    cost[4, -10:] = 0.0
    found = find_anomalies(days_of(keys, cost), demand, {})
    new, gone = the(found, "k6"), the(found, "k4")
    assert (new.first, new.expected, largest(new)) == (10, 0.0, "new_and_ended")
    assert new.extra == pytest.approx(cost[6, -4:].sum())
    assert (gone.first, gone.last, largest(gone)) == (4, 13, "new_and_ended")
    assert gone.extra < 0


def test_a_log_bill_that_runs_away_slowly_is_found(quiet: Any) -> None:
    keys, cost, demand = quiet
    cost = cost.copy()
    cost[5, -10:] *= 1.12 ** np.arange(1, 11)
    one = the(find_anomalies(days_of(keys, cost), demand, {}), "k5")
    assert one.last == 13
    assert one.extra > 0


def test_days_of_events_are_not_judged_and_small_change_is_no_news(quiet: Any) -> None:
    keys, cost, demand = quiet
    shouted = cost.copy()
    shouted[:SKUS, -5:] *= 3.0
    spans = {"s0": [(DAYS - 5, DAYS - 1)]}
    assert not [a for a in find_anomalies(days_of(keys, shouted), demand, spans) if a.key[0] == "s0"]
    steady = np.full((2, DAYS), 100.0)
    steady[0, -7:] = 106.0
    assert find_anomalies(days_of([("a", "EC2", "x"), ("a", "EC2", "y")], steady), {}, {}) == []


def test_a_bill_that_has_days_only_of_late_has_no_new_skus(quiet: Any) -> None:
    keys, cost, demand = quiet
    cost = cost.copy()
    cost[:, :-10] = 0.0
    assert find_anomalies(days_of(keys, cost), demand, {}) == []


@given(
    st.lists(st.one_of(st.just(0.0), st.floats(0.01, 1e5)), min_size=8, max_size=8),
    st.one_of(st.none(), st.floats(0.2, 5)),
    st.one_of(st.none(), st.floats(0.2, 5)), st.integers(1, 14),
)  # fmt: skip
def test_terms_always_add_up(sides: list[float], driver: float | None, group: float | None, days: int) -> None:
    before, after = np.array(sides[:4]), np.array(sides[4:])
    found = terms(before, after, driver, group, days)
    assert tuple(found) == TERMS
    scale = max(1.0, *(abs(x) for x in found.values()))
    assert sum(found.values()) == pytest.approx(after[3] - before[3], abs=1e-9 * scale)


def test_a_bill_becomes_days_of_skus() -> None:
    last = date(2026, 8, 31)

    def day(n: int, effective: str, **more: Any) -> dict[str, Any]:
        start = datetime(2026, 8, n, tzinfo=UTC)
        return row("2026-08", effective, ChargePeriodStart=start, ChargePeriodEnd=start + timedelta(days=1), **more)

    rows = [
        day(31, "0.1", SubAccountId="search", SkuId="m5"),
        day(31, "0.2", SubAccountId="search", SkuId="m5", PricingQuantity="3"),
        day(30, "7", SubAccountId="search", SkuId="m6"),
        day(31, "5", SubAccountId="nobody", SkuId="logs", ServiceName="AmazonCloudWatch", PricingUnit="GB"),
        day(31, "9", SubAccountId="search", ChargeCategory="Tax"),
        day(31, "9", SubAccountId="search", BillingCurrency="EUR"),
        row("2026-08", "31", SubAccountId="search", SkuId="fee"),
    ]
    config = costs([{"name": "s", "service": "search", "match": {"SubAccountId": "search"}}])
    found = sku_days(bill(rows), config, ["search"], last, "USD", "(shared)")
    assert found.keys == (("(shared)", "AmazonCloudWatch", "logs"), ("search", "EC2", "m5"), ("search", "EC2", "m6"))
    assert found.cost[1, -1] == pytest.approx(0.3)
    assert Decimal(found.units[1, -1]).scaleb(-12) == Decimal("0.3")
    assert found.measures[0, 1, -1] == 4.0
    assert found.cost[2, -2] == 7.0
    assert found.group[1] == found.group[2] != found.group[0]
    assert found.first + timedelta(days=found.cost.shape[1] - 1) == last
