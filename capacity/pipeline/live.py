"""Every stored forecast against what came."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime

import pandas as pd
import pyarrow.compute as pc

from capacity import costs, forecast
from capacity.config import Config
from capacity.errors import MissingDataError
from capacity.pipeline import bill_days
from capacity.pipeline.demand import gather
from capacity.pipeline.inputs import read_inputs
from capacity.pipeline.planning import versions_at
from capacity.pipeline.progress import Progress, silent
from capacity.pipeline.promised import actual_days, base_before, month_spend, stored_days
from capacity.pipeline.promises import COMPANY, billed
from capacity.store import Store

DAILY = ("mean", "peak", "total")
# Rows of stored forecasts that are scored at a time, a whole origin at least: a million takes some 2 GB.
CHUNK_ROWS = 250_000
_DAY = pd.Timedelta(days=1)

MONTH_COLUMNS = ("service", "month", "months_ahead", "origin_ts", "q10", "q50", "q90", "actual", "covered",
                 "variance_frac", "grade")  # fmt: skip
GRADE_COLUMNS = ("service", "months_ahead", "months", "variance_frac", "bias_frac", "covered_frac", "grade")


@dataclass(frozen=True)
class LiveReport:
    """How the stored forecasts did.

    Attributes
    ----------
    origins, first, last
        How many days forecasts were stored from, the first and the last of them.
    by_lead, pooled, alarms
        See :class:`capacity.forecast.LiveScores`.
    months
        A row a stored forecast of a month's spend whose bill is in: promised, actual, |actual - P50| / P50 and its
        FinOps grade.
    grades
        Their mean by service and months ahead (0: the month in which the forecast begins).
    """

    origins: int
    first: pd.Timestamp
    last: pd.Timestamp
    by_lead: pd.DataFrame
    pooled: pd.DataFrame
    alarms: pd.DataFrame
    months: pd.DataFrame
    grades: pd.DataFrame


def backtest_live(config: Config, from_store: Store, *, as_of: datetime, progress: Progress = silent) -> LiveReport:
    """Score every stored forecast of the config's services on the days that have come in by ``as_of``.

    Raises
    ------
    MissingDataError
        No forecast was stored by then, or none of its days has come in.
    """
    origins = _origins(from_store, as_of)
    if not origins:
        raise MissingDataError(
            f"{from_store.root}: no forecast was stored before {as_of:%Y-%m-%d %H:%M}Z; run `capacity plan -c "
            f"{config.path}` (or `capacity forecast -c`), and ask again when days of its horizon have come in"
        )
    inputs = read_inputs(config, from_store, as_of, versions_at(from_store, as_of))
    data, _ = gather(inputs)
    spend = bill_days.spent(inputs).running
    actual = actual_days(inputs, data, spend)
    parts = []
    for i, chunk in enumerate(chunks := list(_chunks(origins))):
        progress("score stored forecasts", i, len(chunks))
        rows = stored_days(from_store, config, pc.field("origin_ts").isin(chunk) & pc.field("target").isin(list(DAILY)))
        parts.append(forecast.tally(rows, actual, as_of))
    months = spend_months(from_store, config, spend, as_of)
    found = forecast.score(forecast.joined(parts), as_of)
    if found.by_lead.empty and months.empty:
        raise MissingDataError(
            f"{from_store.root}: forecasts are stored since {min(origins):%Y-%m-%d}, but by {as_of:%Y-%m-%d %H:%M}Z "
            "no day of any has come in; run `capacity ingest` when new data is there, and ask again"
        )
    first, last = (pd.Timestamp(x).tz_localize(None) for x in (min(origins), max(origins)))
    return LiveReport(len(origins), first, last, found.by_lead, found.pooled, found.alarms, months, graded(months))


def _origins(from_store: Store, as_of: datetime) -> dict[datetime, int]:
    """Rows stored by origin, up to ``as_of``."""
    rows = from_store.read("forecast", columns=["origin_ts"], filters=base_before(as_of))
    counts = rows["origin_ts"].value_counts().to_pylist()
    return {c["values"]: c["counts"] for c in sorted(counts, key=lambda c: c["values"])}


def _chunks(origins: Mapping[datetime, int]) -> Iterator[list[datetime]]:
    chunk: list[datetime] = []
    rows = 0
    for origin, count in origins.items():
        if chunk and rows + count > CHUNK_ROWS:
            yield chunk
            chunk, rows = [], 0
        chunk.append(origin)
        rows += count
    yield chunk


# --- months of spend ---------------------------------------------------------------------------------------


def spend_months(from_store: Store, config: Config, spend: Mapping[str, pd.Series], as_of: datetime) -> pd.DataFrame:
    """Every stored promise of a month's spend whose bill is whole, with its FinOps grade; :data:`MONTH_COLUMNS`."""
    rows = stored_days(from_store, config, base_before(as_of) & (pc.field("target") == "month_total"))
    came = dict(spend) | ({COMPANY: billed(spend, spend)} if spend else {})
    out = []
    for row in rows.sort_values(["service", "ts", "origin_ts"]).to_dict("records"):
        actual = month_spend(came.get(row["service"]), row["ts"])
        if actual is None or not row["q50"]:
            continue
        variance = abs(actual - row["q50"]) / abs(row["q50"])
        begins = (row["origin_ts"] + _DAY).to_period("M")
        ahead = (row["ts"].to_period("M") - begins).n
        out.append((row["service"], f"{row['ts']:%Y-%m}", ahead, row["origin_ts"], row["q10"], row["q50"], row["q90"],
                    actual, row["q10"] <= actual <= row["q90"], variance, costs.variance_grade(variance)))  # fmt: skip
    return pd.DataFrame(out, columns=list(MONTH_COLUMNS))


def graded(months: pd.DataFrame) -> pd.DataFrame:
    """Mean variance and its grade by service and months ahead; :data:`GRADE_COLUMNS`."""
    rows = []
    for (service, ahead), part in months.astype({"months_ahead": int}).groupby(["service", "months_ahead"], sort=True):
        variance = costs.month_variance(part["actual"].to_numpy(float), part["q50"].to_numpy(float))
        bias = float((part["actual"] - part["q50"]).sum() / part["q50"].sum())
        rows.append((str(service), ahead, len(part), variance, bias, float(part["covered"].mean()),
                     costs.variance_grade(variance)))  # fmt: skip
    return pd.DataFrame(rows, columns=list(GRADE_COLUMNS))
