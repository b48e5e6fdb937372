"""Driver-based spend: when it is used, what it says, and how wide it is."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from driver_family import DAYS, HORIZON, case, known_future, truth
from hypothesis import given
from hypothesis import strategies as st

from capacity.domain import QUANTILES
from capacity.errors import UsageError
from capacity.forecast import DRIVER, Driven, DriverCase, drive
from capacity.forecast.driver import past_driver_medians

MIDDLE = QUANTILES.index(0.5)


def _one(found: DriverCase, seed: int = 1) -> Driven:
    return drive({"s": found}, seed=seed)["s"]


# --- which is used -----------------------------------------------------------------------------------------


def test_spend_that_follows_demand_is_driver_based_and_says_why() -> None:
    known = truth(1)
    found = _one(case(known))
    assert found.used
    assert found.forecast.model == DRIVER
    assert found.forecast.key == "spend|s"
    assert found.fixed is not None
    assert found.rate is not None
    assert found.fixed.low <= known.fixed <= found.fixed.high
    assert found.rate.low <= known.rate <= found.rate.high
    assert found.day_errors is not None
    assert found.day_errors[0] < found.day_errors[1]
    assert "over 8 past origins months erred" in found.forecast.reason
    assert "for 1,000 requests" in found.forecast.reason
    own = next(s for s in found.forecast.scores if s.member == DRIVER)
    assert own.relative_mae == pytest.approx(0.9 * found.day_errors[0] / found.day_errors[1])


def test_a_clearly_better_plain_forecast_stays_and_the_reason_has_both_errors() -> None:
    plain = case(truth(1), demand_error=0.3, plain_error=0.02)
    found = _one(plain)
    assert not found.used
    assert found.forecast.model == plain.plain.model
    assert found.forecast.paths is plain.plain.paths
    assert found.month_errors is not None
    assert found.month_errors[0] > found.month_errors[1]
    assert f"{found.month_errors[0]:.1%} with the driver and {found.month_errors[1]:.1%} without" in (
        found.forecast.reason
    )
    assert found.forecast.reason.endswith("the line is not the better one")


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda c: replace(c, units=c.units * 0 + 5e6), "units hardly vary"),
        (lambda c: replace(c, spend=c.spend.iloc[-40:]), "40 days of both spend and units, 56 are needed"),
        (lambda c: replace(c, spend=c.spend * 0 + 7.0), "spend changes on 1 occasions only"),
        (lambda c: replace(c, units=c.units.iloc[::-1].set_axis(c.units.index)), "spend does not rise with units"),
        (lambda c: replace(c, plain=replace(c.plain, past=None)), "both could be judged at 0 past origins"),
        (lambda c: replace(c, demand=replace(c.demand, past=None)), "both could be judged at 0 past origins"),
    ],
)
def test_what_shows_no_line_stays_plain_with_its_reason(change: object, why: str) -> None:
    found = _one(change(case(truth(3))))  # type: ignore[operator]
    assert not found.used
    assert why in found.forecast.reason


def test_spend_that_wanders_by_itself_is_rarely_taken_for_driven() -> None:
    unrelated = {str(i): case(truth(i, follows=False), plain_error=0.05) for i in range(20)}
    related = {str(i): case(truth(i), plain_error=0.1) for i in range(20)}
    assert sum(d.used for d in drive(unrelated).values()) <= 2
    assert sum(d.used for d in drive(related).values()) >= 18


def test_a_change_of_price_is_seen_dated_and_forecast_at_the_new_price() -> None:
    known = truth(5, change=(60, 0.8))
    found = _one(case(known))
    assert found.used
    ((at, ratio),) = found.shifts
    assert abs((at - known.units.index[DAYS - 60]).days) <= 7
    assert ratio == pytest.approx(0.8, abs=0.03)
    assert found.forecast.flags == (f"price of a unit changed by {ratio - 1.0:+.0%} about {at:%Y-%m-%d}",)
    came = known.spend.reindex(found.forecast.index).sum()
    assert found.forecast.total[MIDDLE] == pytest.approx(came, rel=0.06)


# --- what it says ------------------------------------------------------------------------------------------


def test_a_spend_path_belongs_to_the_demand_path_of_its_row() -> None:
    found = case(truth(1), demand_error=0.1, plain_error=0.3)
    spend, demand = _one(found).forecast.paths, found.demand.paths
    assert np.corrcoef(spend.sum(axis=1), demand.sum(axis=1))[0, 1] > 0.9


def test_days_whose_units_are_known_are_not_forecast() -> None:
    known = truth(1, noise=0.005)
    spike = known.units.copy()
    at = known.units.index[DAYS - 1]
    spike[at] *= 3.0
    found = _one(replace(case(known), units=spike.iloc[:DAYS]))
    middle = pd.Series(found.forecast.quantiles[MIDDLE], found.forecast.index)
    assert middle[at] == pytest.approx(known.fixed + known.rate * spike[at], rel=0.05)


def test_quantiles_peak_and_total_are_those_of_the_paths() -> None:
    found = _one(case(truth(2), demand_error=0.05, plain_error=0.3)).forecast
    assert (np.diff(found.quantiles, axis=0) >= 0).all()
    assert (found.quantiles >= 0).all()
    assert (found.paths >= 0).all()
    assert np.isfinite(found.paths).all()
    np.testing.assert_allclose(found.total, np.quantile(found.paths.sum(axis=1), QUANTILES), rtol=1e-5)
    np.testing.assert_allclose(found.quantiles, np.quantile(found.paths, QUANTILES, axis=0), rtol=1e-5)


def test_intervals_of_totals_hold_what_they_promise_on_simulated_services() -> None:
    """200 services; the 80 % interval of the horizon's total, whose demand forecasts err as their paths say."""
    known = {str(i): truth(100 + i, noise=0.03) for i in range(200)}
    cases = {n: case(k, demand_error=0.06, plain_error=0.3, seed=int(n), key=f"spend|{n}") for n, k in known.items()}
    driven = {n: d for n, d in drive(cases).items() if d.used}
    assert len(driven) >= 195
    low, high = QUANTILES.index(0.1), QUANTILES.index(0.9)
    inside = [
        d.forecast.total[low] <= known[n].spend.reindex(d.forecast.index).sum() <= d.forecast.total[high]
        for n, d in driven.items()
    ]
    assert 0.72 <= np.mean(inside) <= 0.92  # within about three standard errors of .8, and not much wider than needed


def test_the_same_seed_and_services_give_the_same_forecasts_in_any_order() -> None:
    cases = {str(i): case(truth(i), key=f"spend|{i}") for i in range(3)}
    first, second = drive(cases), drive(dict(reversed(cases.items())))
    for name in cases:
        np.testing.assert_array_equal(first[name].forecast.paths, second[name].forecast.paths)
    assert not np.array_equal(first["0"].forecast.paths, drive(cases, seed=2)["0"].forecast.paths)


# --- properties --------------------------------------------------------------------------------------------


@given(st.integers(0, 10_000), st.sampled_from([1e-3, 0.25, 3.0, 1e4]))
def test_money_in_another_currency_is_the_same_forecast(seed: int, factor: float) -> None:
    found = case(truth(seed))
    plain = found.plain
    past = replace(plain.past, medians=plain.past.medians * np.float32(factor))  # type: ignore[type-var]
    scaled = replace(
        found, spend=found.spend * factor,
        plain=replace(plain, paths=plain.paths * np.float32(factor), quantiles=plain.quantiles * factor, past=past),
    )  # fmt: skip
    one, other = _one(found), _one(scaled)
    assert one.used == other.used
    if one.used:
        np.testing.assert_allclose(one.forecast.paths * factor, other.forecast.paths, rtol=1e-4)


@given(st.integers(0, 10_000), st.integers(0, 7))
def test_what_came_after_an_origin_never_changes_what_was_said_there(seed: int, k: int) -> None:
    found = case(truth(seed))
    said = past_driver_medians(found)
    origin = said.origins[k]
    noise = np.random.default_rng(seed).lognormal(0, 1, len(found.units))
    spend, units = found.spend.copy(), found.units.copy()
    spend[spend.index > origin] *= noise[: int((spend.index > origin).sum())]
    later = units.index > origin + pd.Timedelta(days=2)  # two days of usage are ahead of the bill
    units[later] *= noise[: int(later.sum())]
    again = past_driver_medians(replace(found, spend=spend, units=units))
    np.testing.assert_array_equal(again.medians[k], said.medians[k])


@given(st.integers(0, 10_000), st.floats(0.0, 2.0), st.booleans())
def test_spend_is_finite_and_never_below_nothing(seed: int, noise: float, gaps: bool) -> None:
    found = case(truth(seed, noise=noise), plain_error=1.0)
    if gaps:
        hidden = np.random.default_rng(seed).random(len(found.units)) < 0.2
        found = replace(found, units=found.units.mask(hidden), spend=found.spend.where(found.spend > 800, 0.0))
    used = _one(found).forecast
    assert np.isfinite(used.paths).all()
    assert (used.paths >= 0).all()
    assert (np.diff(used.quantiles, axis=0) >= 0).all()


# --- what is refused ---------------------------------------------------------------------------------------


def test_paths_must_match_and_days_must_be_days() -> None:
    found = case(truth(1))
    short = replace(found.demand, paths=found.demand.paths[:10])
    with pytest.raises(UsageError, match="200 paths of spend and 10 of demand"):
        _one(replace(found, demand=short))
    with pytest.raises(UsageError, match="zone-less days"):
        _one(replace(found, units=found.units.tz_localize("UTC")))


def test_units_beyond_the_demand_forecast_are_its_last_week_again() -> None:
    known = truth(1)
    days = DAYS
    found = case(known)
    longer = known_future(known.spend, "spend|s", days - 2, error=0.1, seed=1)
    shorter = replace(found.demand, paths=found.demand.paths[:, : HORIZON - 10])
    used = _one(replace(found, plain=longer, demand=shorter)).forecast
    middle = used.quantiles[MIDDLE]
    np.testing.assert_allclose(middle[-7:], middle[-14:-7], rtol=0.1)
