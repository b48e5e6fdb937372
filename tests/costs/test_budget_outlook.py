"""Months, quarters and years against budgets, from joint futures."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from capacity.costs import (
    Beside,
    Budget,
    Outlook,
    OutlookRow,
    Owner,
    Widths,
    groups_of,
    outlook_rows,
    outlooks,
    widened,
)
from tests.factory_forecast import a_forecast

CLOSED = ("2026-07", "2026-08", "2026-09")
Key = tuple[str, str]


def owners(days: int = 92, start: str = "2026-10-11") -> list[Owner]:
    rng = np.random.default_rng(4)
    out = []
    for name, team, level in (("web", "shop", 10.0), ("api", "shop", 5.0), ("etl", "data", 20.0)):
        known = pd.Series(level, index=pd.date_range("2026-07-01", pd.Timestamp(start) - pd.Timedelta(days=1)))
        paths = level * rng.lognormal(0, 0.1, (300, 1)) * np.ones((1, days))
        out.append(Owner(name, team, known, a_forecast(name, paths, start=start)))
    return out


def looked(widths: Mapping[Key, tuple[float, ...]] | None = None) -> dict[Key, Outlook]:
    return {(o.level, o.name): o for o in outlooks(groups_of(owners(), "Co"), Widths(widths or {}))}


def rows(one: Outlook, billed: Mapping[str, str], **more: object) -> dict[str, OutlookRow]:
    given: dict[str, object] = {"budgets": {}, "added": {}, "beside": {}, **more}
    amounts = {m: Decimal(x) for m, x in billed.items()}
    found = outlook_rows(one, "USD", amounts, given["budgets"], given["added"], given["beside"])  # type: ignore[arg-type]
    return {r.period: r for r in found}


BILLED = {"2026-07": "310", "2026-08": "310", "2026-09": "300", "2026-10": "100.25"}


def test_what_is_billed_stands_exactly_and_the_rest_is_forecast() -> None:
    found = rows(looked()["service", "web"], BILLED)
    assert list(found) == ["2026-10", "2026-11", "2026-12", "2026-Q4", "2026", "2027"]
    october = found["2026-10"]
    assert october.actual == Decimal("100.25")
    rest = owners()[0].ahead.paths[:, :21].astype(float).sum(axis=1)
    assert october.q90 == pytest.approx(100.25 + np.quantile(rest, 0.9))
    assert october.basis.endswith("billed to 10 Oct 2026, forecast from then on")
    assert (october.run_rate, october.projected) == pytest.approx((310.0, 100.25 + 210.0))
    assert october.share_actual_frac == pytest.approx(100.25 / october.q50)
    year = found["2026"]
    assert year.actual == Decimal("1020.25")
    assert not year.complete  # the bill begins in July
    assert "the bill begins on 1 Jul 2026" in year.basis
    assert found["2027"].basis.endswith("forecast to 10 Jan 2027 only")


def test_groups_are_added_path_by_path() -> None:
    found = looked()
    by_name = {o.name: o for o in owners()}
    for (level, name), members in {
        ("team", "shop"): ("web", "api"), ("company", "Co"): ("web", "api", "etl")
    }.items():  # fmt: skip
        one = rows(found[level, name], {})["2026-11"]
        both = sum(by_name[m].ahead.paths[:, 21:51].astype(float).sum(axis=1) for m in members)
        assert (one.q10, one.q50, one.q90) == pytest.approx(tuple(np.quantile(both, (0.1, 0.5, 0.9))))
        assert found[level, name].members == set(members)


def test_a_budget_is_held_against_its_own_period_and_charges() -> None:
    one = looked()["service", "web"]
    middle = rows(one, BILLED)["2026-Q4"].q50
    budgets = {
        ("quarter", "2026-Q4"): Budget(Decimal(str(middle))),
        ("month", "2026-11"): Budget(Decimal(1000), "all"),
        ("quarter", "2027-Q1"): Budget(Decimal(1)),
    }
    beside = {"2026-11": Beside(Decimal(-20), 750.0)}
    found = rows(one, BILLED, budgets=budgets, beside=beside)
    assert found["2026-Q4"].p_over == pytest.approx(0.5, abs=0.01)
    november = found["2026-11"]
    assert november.actual == Decimal(-20)
    assert november.q50 == pytest.approx(rows(one, BILLED)["2026-11"].q50 + 730.0)
    assert november.basis.startswith("all that is billed")
    # A budget of a period that is not forecast to its end has a row, and no probability.
    assert (found["2027-Q1"].complete, found["2027-Q1"].p_over) == (False, None)


def test_a_scenarios_money_goes_into_what_is_to_come_and_not_into_run_rates() -> None:
    one = looked()["company", "Co"]
    plain, more = rows(one, {}), rows(one, {}, added={"2026-11": 100.0})
    assert more["2026-11"].q10 == pytest.approx(plain["2026-11"].q10 + 100.0)
    assert more["2026-Q4"].q90 == pytest.approx(plain["2026-Q4"].q90 + 100.0)
    assert more["2026-11"].projected == plain["2026-11"].projected


def test_intervals_are_widened_about_the_median_and_the_words_say_so() -> None:
    plain = rows(looked()["company", "Co"], BILLED)
    wide = rows(looked({("company", "Co"): (1.0, 2.0, 2.0)})["company", "Co"], BILLED)
    december, before = wide["2026-12"], plain["2026-12"]
    assert december.q50 == pytest.approx(before.q50)
    assert december.q90 - december.q50 == pytest.approx(2.0 * (before.q90 - before.q50))
    assert "2.0× the forecast's own" in december.basis
    assert wide["2026-11"].width_factor == 1.0
    assert 1.0 < wide["2026-Q4"].width_factor < 2.0


@given(
    st.lists(st.floats(0, 1e6), min_size=3, max_size=30), st.floats(1, 3), st.sampled_from([0.1, 0.25, 0.9])
)  # fmt: skip
def test_widening_commutes_with_quantiles_and_keeps_the_median(values: list[float], factor: float, q: float) -> None:
    plain = np.array(values[: len(values) - 1 + len(values) % 2])  # of an odd number the median is one of them
    wide = widened(plain, factor)
    middle = float(np.median(plain))
    assert float(np.median(wide)) == pytest.approx(middle, abs=1e-6)
    assert bool((wide >= 0).all())
    assert float(np.quantile(wide, q)) >= middle + factor * (float(np.quantile(plain, q)) - middle) - 1e-6


def test_days_that_only_some_services_are_billed_of_are_not_projected_twice() -> None:
    one, other = owners(82, "2026-10-21")[0], owners(102, "2026-10-01")[1]
    found = {(o.level, o.name): o for o in outlooks(groups_of([one, other], "Co"), Widths({}))}
    october = rows(found["company", "Co"], {"2026-10": "200"})["2026-10"]
    assert october.projected == pytest.approx(200 + 10 * 11 + 5 * 31)
    assert october.basis.endswith("billed to 20 Oct 2026 (some services to 30 Sep 2026), forecast from then on")
    alone = [rows(found["service", name], billed)["2026-10"].projected
             for name, billed in (("web", {"2026-10": "200"}), ("api", {}))]  # fmt: skip
    assert sum(alone) == pytest.approx(october.projected)
