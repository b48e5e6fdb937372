"""What is odd in usage is found, and what is sound is left alone."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from capacity.quality import arrivals, findings_table, late_points, usage_findings
from capacity.schemas import FINDINGS, USAGE

START = datetime(2026, 3, 1, tzinfo=UTC)


def usage(
    values: npt.ArrayLike,
    *,
    hours: npt.ArrayLike | None = None,
    metric: str = "requests_per_second",
    service: str = "shop",
    unit: str | list[str] = "1/s",
) -> pa.Table:
    numbers = np.asarray(values, dtype=float)
    at = np.arange(len(numbers)) if hours is None else np.asarray(hours)
    frame = {
        "source": "s", "account_id": "1", "region": "us-east-1", "service": service, "metric": metric, "stat": "avg",
        "period_seconds": 3600, "ts": [START + timedelta(hours=int(h)) for h in at], "value": numbers, "unit": unit,
    }  # fmt: skip
    return pa.Table.from_pandas(pd.DataFrame(frame), schema=USAGE.schema, preserve_index=False)


def rules(table: pa.Table) -> dict[str, int]:
    return {f.rule: f.rows for f in usage_findings(table)}


def day_shape(hours: int, seed: int = 1) -> npt.NDArray[np.float64]:
    """Demand as it is: three times as high at noon as at night, with noise."""
    at = np.arange(hours)
    noise = np.random.default_rng(seed).lognormal(0, 0.1, hours)
    return np.asarray(100 * (1.2 + np.sin(2 * np.pi * at / 24)) * noise)


def test_sound_demand_has_no_finding() -> None:
    assert rules(usage(day_shape(24 * 60))) == {}
    assert usage_findings(USAGE.schema.empty_table()) == ()
    assert rules(usage([5.0])) == {}


@given(st.sets(st.integers(1, 98), max_size=20), st.integers(0, 3))
def test_gaps_count_every_missing_point(missing: set[int], seed: int) -> None:
    kept = [h for h in range(100) if h not in missing]
    table = usage(day_shape(len(kept), seed), hours=kept)
    shuffled = table.take(np.random.default_rng(seed).permutation(len(kept)))
    assert rules(shuffled).get("gaps", 0) == len(missing)


def test_a_gap_of_a_day_is_a_warning_and_says_where() -> None:
    (found,) = usage_findings(usage(day_shape(376), hours=[*range(200), *range(224, 400)]))
    assert (found.rule, found.severity, found.rows) == ("gaps", "warning", 24)
    assert "the longest from 2026-03-09 07:00Z to 2026-03-10 08:00Z" in found.message


def test_a_declared_change_of_unit() -> None:
    table = usage(day_shape(96), unit=["1/s"] * 50 + ["1/min"] * 46)
    (found,) = usage_findings(table)
    assert (found.rule, found.severity) == ("unit_changed", "error")
    assert "from 1/s to 1/min at 2026-03-03 02:00Z" in found.message


@pytest.mark.parametrize("factor", [8, 60, 1000, 1024, 1 / 1000, 2**20])
def test_a_silent_change_of_unit_shows_as_a_jump_by_its_factor(factor: float) -> None:
    steady = 100 + np.random.default_rng(3).normal(0, 4, 200)
    values = np.r_[steady[:120], steady[120:] * factor]
    found = [f for f in usage_findings(usage(values)) if f.rule == "scale_jump"]
    assert len(found) == 1
    assert found[0].message.startswith("from 2026-03-06 00:00Z on")


def test_growth_launches_and_outages_are_no_change_of_unit() -> None:
    launch = np.r_[day_shape(300), 2.5 * day_shape(300)]
    outage = np.r_[day_shape(300), np.zeros(6), day_shape(300)]
    night = np.tile(np.r_[np.full(12, 1.0), np.full(12, 60.0)], 20) * np.random.default_rng(1).lognormal(0, 0.05, 480)
    for values in (launch, outage, night):
        assert "scale_jump" not in rules(usage(values))


def test_counters_are_told_from_demand() -> None:
    steps = np.random.default_rng(2).integers(1, 50, 300)
    total = np.cumsum(steps).astype(float)
    assert "counter" in rules(usage(total))
    reset = np.r_[total[:100], np.cumsum(steps[:150]), np.cumsum(steps[:80])].astype(float)
    assert rules(usage(reset))["counter_reset"] == 2
    # A disk that fills and is emptied is what it looks like.
    assert "counter_reset" not in rules(usage(reset, metric="disk_used_bytes"))


def test_frozen_and_negative_values() -> None:
    values = np.r_[day_shape(100), np.full(40, 123.0)]
    assert rules(usage(values))["frozen"] == 40
    assert "frozen" not in rules(usage(np.full(300, 5.0)))  # a limit that never moved
    values = day_shape(100)
    values[[3, 7]] = -1
    (found,) = (f for f in usage_findings(usage(values)) if f.rule == "negative")
    assert (found.rows, found.example) == (2, "2026-03-01 03:00Z: -1")


def test_each_series_is_looked_at_by_itself() -> None:
    table = pa.concat_tables([usage(day_shape(60), service=name) for name in ("b", "a")])
    assert usage_findings(table) == ()
    one_bad = pa.concat_tables([table, usage([-1.0], service="c")])
    assert [f.scope for f in usage_findings(one_bad)] == ["c|us-east-1 requests_per_second avg every 3600 s in 1"]


# --- arrivals ----------------------------------------------------------------------------------------------


def test_duplicates_out_of_order_and_future() -> None:
    table = usage([1, 2, 2, 3, 4, 5], hours=[0, 1, 1, 3, 2, 90])
    found = {f.rule: f for f in arrivals(table, START + timedelta(hours=5))}
    assert {rule: f.rows for rule, f in found.items()} == {"duplicates": 1, "out_of_order": 1, "future": 1}
    assert found["future"].severity == "warning"
    assert found["future"].ts == START + timedelta(hours=90)
    assert found["future"].example == "2026-03-04 18:00Z: 5"
    assert arrivals(usage(day_shape(5)), START + timedelta(days=9)) == ()
    assert arrivals(USAGE.schema.empty_table(), START) == ()


def test_late_points_are_those_before_the_newest_known_of_their_series() -> None:
    added = usage([1, 2, 3], hours=[2, 9, 30])
    (found,) = late_points(added, usage([0, 0], hours=[10, 10]))
    assert (found.rows, found.of) == (2, 3)
    assert "up to 8.0 hours late" in found.message
    assert late_points(added, USAGE.schema.empty_table()) == ()
    assert late_points(added, usage([0], hours=[10], service="another")) == ()


def test_findings_fit_the_store() -> None:
    found = usage_findings(usage([-1.0]))
    assert findings_table(found).schema.equals(FINDINGS.schema)


def test_real_recordings_are_not_accused(real_data: Path) -> None:
    """Real series have gaps; none of them changed its unit or is a counter."""
    accused = {}
    for path in sorted((real_data / "usage" / "hourly").glob("*.csv")):
        frame = pd.read_csv(path, parse_dates=["ds"]).dropna().drop_duplicates("ds")
        hours = ((frame["ds"] - frame["ds"].min()) / pd.Timedelta(hours=1)).astype(int).to_numpy()
        accused[path.stem] = set(rules(usage(frame["y"].to_numpy(), hours=hours))) - {"gaps", "frozen"}
    assert {k: v for k, v in accused.items() if v} == {}
