"""AWS's own forecast, as Cost Explorer gives it, beside ours by month."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from capacity.pipeline.finops.aws_forecast import aws_months
from tests.aws.cost_explorer_kit import of, organization, reader
from tests.aws.standin import StandIn


@pytest.fixture
def stored(aws: StandIn, tmp_path: Path) -> pd.DataFrame:
    """The table as the source fills it: $10.50 a day, asked for on 15 November 2026."""
    organization(aws)
    reads = {"cost": False, "utilisation": False, "recommendations": False}
    return pd.DataFrame(of(reader(aws, tmp_path)(reads=reads)[0], "provider_forecast"))


def test_whole_months_stand_as_aws_says_them(stored: pd.DataFrame) -> None:
    found = aws_months(stored, "USD", 140.0)
    december = found["2026-12"]
    assert (december.mean, december.low, december.high) == pytest.approx((325.5, 292.95, 358.05))
    assert len(found) == 18
    assert "AWS's own forecast of 15 Nov 2026, amortised cost after discounts, with its 80% interval" in december.words
    assert "with tax, credits and refunds" in december.words


def test_a_month_in_progress_gets_what_was_spent_before_where_aws_speaks_of_the_rest(stored: pd.DataFrame) -> None:
    november = aws_months(stored, "USD", 140.0)["2026-11"]
    assert (november.mean, november.high) == pytest.approx((168.0 + 140.0, 184.8 + 140.0))
    assert "with $140 spent before that day" in november.words
    # Were the first month whole, the days that are left would not come to it without what was spent.
    whole = stored.copy()
    first = (whole["granularity"] == "MONTHLY") & (whole["ts"] == whole["ts"].min())
    whole.loc[first, "mean"] = [x + 140 for x in whole.loc[first, "mean"]]
    assert aws_months(whole, "USD", 140.0)["2026-11"].mean == pytest.approx(308.0)


def test_a_month_in_progress_that_nobody_can_read_is_left_out(stored: pd.DataFrame) -> None:
    assert "2026-11" not in aws_months(stored, "USD", None)
    assert "2026-11" not in aws_months(stored[stored["granularity"] == "MONTHLY"], "USD", 140.0)


def test_other_currencies_are_left_out_accounts_are_added_and_an_account_read_twice_counts_once(
    stored: pd.DataFrame,
) -> None:
    assert aws_months(stored, "EUR", 0.0) == {}
    other = stored.assign(account_id="2")
    both = aws_months(pd.concat([stored, other]), "USD", 280.0)["2026-12"]
    assert both.mean == pytest.approx(651.0)
    assert "2 accounts added" in both.words
    again = pd.concat([stored, stored.assign(source="z")])
    assert aws_months(again, "USD", 140.0)["2026-12"].mean == pytest.approx(325.5)
