"""Closed months that the bill holds only in part."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.dataset as ds
import pytest

from capacity.costs import closed_months, partial_months
from tests.costs.costs_makers import bill, row

ROOT = Path(__file__).resolve().parents[2]
MONTHS = ("2026-06", "2026-07", "2026-08")


def days(first: str, last: str, source: str = "aws", step: int = 1) -> list[dict[str, Any]]:
    """A usage row a day, or every ``step`` days."""
    start, end = (datetime.fromisoformat(d).replace(tzinfo=UTC) for d in (first, last))
    every = [start + timedelta(days=n) for n in range(0, (end - start).days + 1, step)]
    return [row(f"{d:%Y-%m}", source=source, ChargePeriodStart=d, ChargePeriodEnd=d + timedelta(days=1)) for d in every]


WHOLE = days("2026-06-01", "2026-08-31")


@pytest.mark.parametrize(
    ("rows", "found"),
    [
        (WHOLE, {}),
        (days("2026-06-03", "2026-08-29"), {}),  # late first charges and an export of the morning
        (
            days("2026-06-16", "2026-08-31"),
            {"2026-06": "the bill of aws begins on 16 Jun 2026: the month is not whole"},
        ),
        (days("2026-06-01", "2026-08-20"), {"2026-08": "the bill of aws ends on 20 Aug 2026: the month is not whole"}),
        (days("2026-08-10", "2026-08-20"), {}),  # nothing beside it says how whole months look
        (days("2026-06-10", "2026-08-31", step=25) + WHOLE, {}),
        (days("2026-06-12", "2026-08-12", "saas", 30) + WHOLE, {}),  # a charge a month, not the usage of days
        (
            WHOLE + days("2026-06-01", "2026-07-31", "gcp"),
            {"2026-08": "the bill of gcp has no usage in 2026-08, but in both months before: the month is not whole"},
        ),
        (WHOLE + days("2026-07-01", "2026-07-31", "gcp"), {}),
        ([row(m) for m in MONTHS], {}),  # charges of whole months
        ([], {}),
    ],
)
def test_months_of_which_a_source_lacks_an_end(rows: list[dict[str, Any]], found: dict[str, str]) -> None:
    assert partial_months(bill(rows), MONTHS) == found


def test_only_closed_months_are_looked_at() -> None:
    assert partial_months(bill(days("2026-06-01", "2026-08-20")), MONTHS[:2]) == {}


def test_the_months_of_the_demo_are_whole() -> None:
    table = ds.dataset(ROOT / "fixtures/data/bill").to_table()
    table = table.append_column("source", pa.array(["demo"] * table.num_rows))
    closed = closed_months(table, datetime(2026, 10, 5, 12, tzinfo=UTC))
    assert len(closed) == 13
    assert partial_months(table, closed) == {}
