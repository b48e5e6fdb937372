"""What was forecast of each unit's daily peak about a quarter ago, to be laid over what came since."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import date

import numpy as np
import pandas as pd
import pyarrow.compute as pc

from capacity.domain import SeriesForecast, Unit
from capacity.pipeline.base import Base
from capacity.pipeline.demand import UnitData
from capacity.pipeline.inputs import Inputs
from capacity.pipeline.promised import MOST_DAYS, base_before, last_quarter, stored_days
from capacity.plan import FRAMES, Plan
from capacity.store import Store
from capacity.words import day, percent, plural

STORED, AGAIN = "a plan of that day", "made again as of that day"
# Local days begin up to 14 hours around the UTC day of their origin.
_AROUND = pd.Timedelta(hours=36)


def said_before(from_store: Store, inputs: Inputs, data: Mapping[Unit, UnitData], base: Base) -> pd.DataFrame:
    """The columns of plan frame ``past_forecast``: one origin a unit, up to the unit's last day.

    Where a plan of about a quarter ago was stored, what it said stands here with its 80 % interval; else the medians
    that this run's models say as of a past origin, without sight of what came after it: their interval is null.
    """
    stored = _stored(from_store, inputs)
    parts = []
    for unit in sorted(data):
        if unit not in base.peak:
            continue
        known = base.peak[unit]
        rows = stored[(stored["service"] == unit.service) & (stored["region"] == unit.region)
                      & (stored["metric"] == data[unit].service.demand_metric)]  # fmt: skip
        rows = rows[rows["ts"] <= known.origin]
        found = rows.assign(basis=STORED) if len(rows) else _again(known)
        parts.append(found.assign(service=unit.service, region=unit.region, metric=data[unit].service.demand_metric))
    columns = list(FRAMES["past_forecast"])
    filled = [p for p in parts if len(p)]
    frame = pd.concat(filled, ignore_index=True) if filled else pd.DataFrame(columns=columns)
    return frame[columns].astype({"q10": float, "q50": float, "q90": float})


def _stored(from_store: Store, inputs: Inputs) -> pd.DataFrame:
    """Days' peaks of the one stored plan that is nearest to a quarter before; no row where there is none.

    Which origins there are is read from the rows of the largest peak alone, one a series: days are many.
    """
    now = pd.Timestamp(inputs.as_of)
    recent = base_before(inputs.as_of) & (pc.field("origin_ts") >= now - pd.Timedelta(days=MOST_DAYS + 7))
    kept = from_store.read("forecast", columns=["origin_ts"], filters=recent & (pc.field("target") == "horizon_peak"))
    origins = pd.Series(kept.column("origin_ts").to_pandas().unique())
    chosen = last_quarter(origins, now) if len(origins) else None
    if chosen is None:
        return pd.DataFrame(columns=["service", "region", "metric", "origin_ts", "ts", "q10", "q50", "q90"])
    near = (pc.field("origin_ts") >= chosen - _AROUND) & (pc.field("origin_ts") <= chosen + _AROUND)
    rows = stored_days(from_store, inputs.config, recent & near & (pc.field("target") == "peak"))
    # Of two plans within these hours the later one.
    newest = rows.groupby(["service", "region", "metric"])["origin_ts"].transform("max")
    return rows[rows["origin_ts"] == newest]


def _again(known: SeriesForecast) -> pd.DataFrame:
    """Medians from the past origin that is nearest to a quarter ago; no row where none was kept."""
    past = known.past
    none = pd.DataFrame(columns=["origin_ts", "ts", "q10", "q50", "q90", "basis"])
    if past is None or not past.origins:
        return none
    chosen = last_quarter(pd.Series(list(past.origins)), known.origin)
    if chosen is None:
        return none
    medians = past.medians[list(past.origins).index(chosen)].astype(float)
    days = pd.date_range(chosen + pd.Timedelta(days=1), periods=len(medians), freq="D")
    seen = (days <= known.origin) & np.isfinite(medians)
    return pd.DataFrame({
        "origin_ts": chosen, "ts": days[seen], "q10": np.nan, "q50": medians[seen], "q90": np.nan, "basis": AGAIN,
    })  # fmt: skip


@dataclass(frozen=True)
class Against:
    """A past forecast against what came: over how many days, how far the median was off, and how often it held.

    ``error_frac`` is the mean absolute error over the mean of what came; ``within_frac`` the share of days within the
    80 % interval, None where none was kept; ``bias_frac`` above zero where more came than was said.
    """

    origin: date
    basis: str
    days: int
    error_frac: float
    bias_frac: float
    within_frac: float | None

    @property
    def words(self) -> str:
        """For the page: since when, how far off, which way."""
        way = "more came than was said" if self.bias_frac > 0 else "less came than was said"
        off = f"its median was off by {percent(self.error_frac)} on average over {plural(self.days, 'day')}"
        held = "" if self.within_frac is None else f"; {percent(self.within_frac)} of days lay within its 80% interval"
        lean = f", {way} by {percent(abs(self.bias_frac))} of the mean" if abs(self.bias_frac) >= 0.005 else ""
        return f"Forecast of {day(self.origin)} ({self.basis}): {off}{lean}{held}."


def against(past: pd.DataFrame, history: pd.DataFrame) -> Against | None:
    """One unit's rows of plan frame ``past_forecast`` against its daily peaks; None where they share no day.

    Parameters
    ----------
    past
        origin_ts, ts, q10, q50, q90, basis.
    history
        ts, value of the same metric.
    """
    found = _scored(past.assign(unit=""), history.assign(unit=""), ["unit"])
    if found.empty:
        return None
    row = found.iloc[0]
    within = None if np.isnan(row["within_frac"]) else float(row["within_frac"])
    return Against(row["origin"], str(row["basis"]), int(row["days"]), float(row["error_frac"]),
                   float(row["bias_frac"]), within)  # fmt: skip


def accuracy(plan: Plan) -> pd.DataFrame:
    """Each unit's forecast of about a quarter ago against what came, the furthest off first.

    service, region, and the fields of :class:`Against`; units without such a forecast are left out.
    """
    history = plan.frame("history")
    keys = ["service", "region", "metric"]
    frame = _scored(plan.frame("past_forecast"), history[history["target"] == "peak"], keys)
    frame = frame.sort_values(["error_frac", "service", "region"], ascending=[False, True, True], ignore_index=True)
    return frame[["service", "region", *(f.name for f in fields(Against))]]


def accuracy_words(found: pd.DataFrame) -> str:
    """What :func:`accuracy` says of all services together, in one sentence; "" where it says nothing."""
    if found.empty:
        return ""
    middle = percent(float(found["error_frac"].median()))
    said = f"Of {plural(len(found), 'service')} the middle one was off by {middle}"
    known = found.dropna(subset=["within_frac"])
    if known.empty:
        return f"{said}."
    days = known["days"].astype(float)
    held = float((known["within_frac"] * days).sum() / days.sum())
    return f"{said}; {percent(held)} of {int(days.sum()):,} days lay within their 80% intervals."


def _scored(past: pd.DataFrame, history: pd.DataFrame, keys: list[str]) -> pd.DataFrame:
    """``keys`` and the fields of :class:`Against` of every forecast that shares a day with what came."""
    came = history[keys].assign(ts=_days(history["ts"]), value=history["value"].astype(float)).dropna()
    said = past[[*keys, "origin_ts", "basis"]].assign(ts=_days(past["ts"]))
    said = said.assign(**{q: past[q].astype(float) for q in ("q10", "q50", "q90")}).dropna(subset=["q50"])
    names = dict.fromkeys(keys, object)  # without a row they would be of no kind that goes together
    both = said.astype(names).merge(came.astype(names), on=[*keys, "ts"])
    inside = ((both["q10"] <= both["value"]) & (both["value"] <= both["q90"])).astype(float)
    known = both["q10"].notna() & both["q90"].notna()
    gap = both["value"] - both["q50"]
    both = both.assign(gap=gap, off=gap.abs(), inside=inside.where(known))
    found = both.groupby(keys, as_index=False, sort=True).agg(
        origin_ts=("origin_ts", "first"), basis=("basis", "first"), days=("ts", "size"), mean=("value", "mean"),
        gap=("gap", "mean"), off=("off", "mean"), within_frac=("inside", "mean"),
    )  # fmt: skip
    found = found[found["mean"] > 0]
    return found.assign(
        origin=pd.to_datetime(found["origin_ts"]).dt.date, days=found["days"].astype("int64"),
        error_frac=(found["off"] / found["mean"]).astype(float), bias_frac=(found["gap"] / found["mean"]).astype(float),
        within_frac=found["within_frac"].astype(float),
    )  # fmt: skip


def _days(values: pd.Series) -> pd.Series:
    return pd.Series(pd.to_datetime(values, utc=True)).dt.tz_localize(None).dt.normalize()
