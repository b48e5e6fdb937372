"""Lines beside the running spend, and up to where spend that comes by the month is whole."""

from __future__ import annotations

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from capacity.costs import apart_months, settled_until

MONTHS = ("2026-03", "2026-04", "2026-05", "2026-06", "2026-07", "2026-08")
AHEAD = {"2026-09": 1100.0, "2026-10": 1200.0}


def _daily(parts: dict[str, list[float]]) -> pd.DataFrame:
    """One amount a month and part."""
    rows = [
        (pd.Timestamp(f"{m}-15"), part, x)
        for part, amounts in parts.items()
        for m, x in zip(MONTHS, amounts, strict=True)
    ]
    return pd.DataFrame(rows, columns=["day", "part", "effective_cost"])


def test_tax_follows_the_running_spend_where_its_share_is_stable() -> None:
    running = [1000.0, 1000.0, 1200.0, 1200.0, 1100.0, 900.0]
    found = apart_months(_daily({"running": running, "tax": [0.05 * x for x in running]}), MONTHS, AHEAD, "USD")
    ahead = found[~found["known"].astype(bool)]
    assert ahead["amount"].tolist() == pytest.approx([55.0, 60.0])
    assert set(ahead["assumption"]) == {"5.0% of the running spend, as over 6 months"}
    assert found[found["known"].astype(bool)]["amount"].sum() == pytest.approx(0.05 * sum(running))


def test_tax_without_a_stable_share_stays_at_its_last_months() -> None:
    parts = {"running": [1000.0] * 6, "tax": [10.0, 90.0, 10.0, 30.0, 60.0, 90.0]}
    ahead = apart_months(_daily(parts), MONTHS, AHEAD, "USD").query("not known")
    assert ahead["amount"].tolist() == pytest.approx([60.0, 60.0])
    assert set(ahead["assumption"]) == {"the mean of the last 3 months"}


def test_credits_refunds_and_purchases_are_assumed_to_end_and_that_is_said() -> None:
    parts = {
        "running": [1000.0] * 6, "credit": [0.0, 0.0, 0.0, -90.0, -90.0, -120.0], "refund": [0.0, -7.0, 0, 0, 0, 0],
        "one_off": [0.0] * 6,
    }  # fmt: skip
    found = apart_months(_daily(parts), MONTHS, AHEAD, "EUR")
    assert set(found["part"]) == {"credit", "refund"}  # what was never billed has no line
    ahead = found.query("not known").set_index(["part", "month"])
    assert (ahead["amount"] == 0.0).all()
    assert ahead.loc[("credit", "2026-09"), "assumption"] == (
        "credits (−EUR 100 a month of late) are assumed to end: no bill says how long they last"
    )
    assert ahead.loc[("refund", "2026-09"), "assumption"] == "no refunds to come are assumed"


def test_an_open_month_is_no_history() -> None:
    daily = _daily({"running": [1000.0] * 6, "tax": [50.0] * 6})
    found = apart_months(daily, MONTHS[:-1], AHEAD, "USD")
    assert "2026-08" not in set(found["month"])


def _days(values: list[float], spread: list[float], start: str = "2026-07-01") -> pd.DataFrame:
    days = pd.date_range(start, periods=len(values), freq="D")
    return pd.DataFrame({"day": days, "effective_cost": values, "spread_cost": spread})


def test_daily_spend_is_whole_up_to_its_last_day() -> None:
    daily = _days([5.0] * 40, [0.05] * 40)  # a fee of a hundredth is no matter
    assert settled_until(daily, ("2026-06", "2026-07")) == pd.Timestamp("2026-08-09")


def test_spend_by_the_month_is_whole_up_to_the_last_closed_month() -> None:
    daily = _days([5.0] * 40, [0.5] * 31 + [0.0] * 9)  # the fee of August has not come
    assert settled_until(daily, ("2026-06", "2026-07")) == pd.Timestamp("2026-07-31")
    assert settled_until(daily, ()) == pd.Timestamp("2026-08-09")  # nothing closed to tell it by
    assert settled_until(daily.iloc[:0], ("2026-07",)) is None


@given(st.lists(st.tuples(st.floats(0, 1e6), st.floats(0, 1)), min_size=1, max_size=80))
def test_no_day_is_made_up(amounts: list[tuple[float, float]]) -> None:
    daily = _days([x for x, _ in amounts], [x * s for x, s in amounts])
    until = settled_until(daily, ("2026-06", "2026-07"))
    assert until is not None
    assert until <= daily["day"].max()
