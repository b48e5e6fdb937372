"""Usage and spend of late that were not to be expected: with their size, their probability and what they cost."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping
from datetime import timedelta
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd

from capacity import forecast
from capacity.config import Config, zone
from capacity.domain import Unit
from capacity.forecast import Episode
from capacity.pipeline import masks
from capacity.pipeline.demand import UnitData
from capacity.pipeline.inputs import DAY, Inputs
from capacity.pipeline.money import Money, rate_seconds
from capacity.plan import FRAMES
from capacity.words import day, money, number, quantity, times

# Of the one-step interval, and the largest expected share of chance in the list.
LEVEL, FALSE_SHARE = 0.99, 0.1
# Hours of a local day that may be unknown before its mean and peak say nothing of a change: one.
MISSING_HOURS = 1
# Episodes that a meeting hears of; all are in the frame.
TOLD = 3
# Columns behind those of FRAMES: the episode's first and last day, whether the probability is a bound; how many points
# were judged in all, and how many of those listed chance may have made.
EXTRA = ("start", "end", "at_most", "judged", "by_chance")

Days = tuple[tuple[pd.Timestamp, pd.Timestamp], ...]


def watch(inputs: Inputs, data: Mapping[Unit, UnitData], spend: Mapping[str, pd.Series], served: Money) -> pd.DataFrame:
    """Judge the last 60 days of every unit's mean and peak and of every service's spend, together.

    Days of known events and outages, days with missing hours and days that are not over are not judged.

    Returns
    -------
    The plan's frame ``anomalies``: a row a point, the rarest episode first. ``probability`` is that of a day as far off
    when all is as ever. ``money`` is the value less what was expected: of spend itself, of mean demand at its average
    cost to serve, in the config's currency; NaN where demand has no known unit cost, and of peaks.
    """
    starts = [found.mean.index[0] for found in data.values() if len(found.mean)]
    known = known_days(inputs.config, min(starts), pd.Timestamp(inputs.as_of).tz_localize(None)) if starts else {}
    batch: dict[str, pd.Series] = {}
    unjudged: dict[str, Days] = {}
    for unit, found in data.items():
        days = (*known.get(unit, ()), *_partial_days(found))
        batch |= {f"{unit}|mean": found.mean, f"{unit}|peak": found.peak}
        unjudged |= dict.fromkeys((f"{unit}|mean", f"{unit}|peak"), days)
    for service, values in spend.items():
        batch[f"spend|{service}"] = values
        unjudged[f"spend|{service}"] = tuple(s for u, spans in known.items() if u.service == service for s in spans)
    seen = forecast.anomalies(batch, "D", level=LEVEL, false_share=FALSE_SHARE, masks=unjudged)
    costs = _unit_costs(data, served, inputs.config.currency)
    rows = [(*row, seen.judged, seen.false_expected) for episode in seen.episodes for row in _rows(episode, costs)]
    columns = [*FRAMES["anomalies"], *EXTRA]
    return pd.DataFrame(rows, columns=columns).astype({"money": float})


def known_days(config: Config, first: pd.Timestamp, last: pd.Timestamp) -> dict[Unit, Days]:
    """First and last local day of all that is known of each unit from ``first`` to ``last``: events, past and as dated,
    holidays it may feel, outages and throttled hours.
    """
    events, down, throttled_hours = masks.reaching(config), masks.outages(config), masks.throttled(config)
    out: dict[Unit, Days] = {}
    for unit in masks.units(config):
        tz = zone(config.service(unit.service).time_zone)
        dated = [tuple(pd.Timestamp(t).tz_convert(tz).tz_localize(None) for t in (e.start, e.end))
                 for e in events[unit]]  # fmt: skip
        spans = masks.whole_days([*dated, *down[unit], *throttled_hours[unit]])  # type: ignore[list-item]
        occasions = (span for o in masks.daily_occasions(config, unit, first, last) for span in o.spans)
        out[unit] = tuple(dict.fromkeys((*spans, *occasions)))
    return out


def _partial_days(found: UnitData) -> Days:
    """Days with unknown hours: their mean is of other hours than a whole day's."""
    hours = found.hourly.dropna()
    if len(hours) < 2 or hours.index[1] - hours.index[0] >= timedelta(days=1):
        return ()
    local = pd.Series(masks.wall_clock(hours, found.service.time_zone).normalize()).value_counts()
    few = local.index[local < 24 - MISSING_HOURS]
    return tuple((d, d) for d in sorted(few))


# --- money and rows ----------------------------------------------------------------------------------------


def _unit_costs(data: Mapping[Unit, UnitData], served: Money, currency: str) -> dict[Unit, float]:
    """Money of one unit of mean demand for a whole day, at the newest month's average cost to serve."""
    frame = served.unit_cost
    newest = frame[(frame["month"] == served.newest) & (frame["currency"] == currency)]
    per_1000 = {
        str(r["service"]): float(r["usd_per_1000"]) for r in newest.to_dict("records")
        if isinstance(r["usd_per_1000"], Decimal)
    }  # fmt: skip
    return {
        unit: per_1000[unit.service] / 1000.0 * DAY / rate_seconds(found.service.demand_metric)
        for unit, found in data.items()
        if unit.service in per_1000 and found.service.demand_stat == "avg"
    }


def _rows(episode: Episode, costs: Mapping[Unit, float]) -> Iterator[tuple[Any, ...]]:
    frame, unit, target, price = _named(episode.key, costs)
    for p in episode.points:
        yield (frame, unit.service, unit.region, target, p.ts, p.value, p.q50, p.low, p.high, p.probability,
               p.excess * price, episode.start, episode.end, p.at_most)  # fmt: skip


def _named(key: str, costs: Mapping[Unit, float]) -> tuple[str, Unit, str, float]:
    """Frame, unit, target and money of one unit of excess, of a key of the batch."""
    if key.startswith("spend|"):
        return "spend", Unit(key.removeprefix("spend|"), ""), "total", 1.0
    name, target = key.rsplit("|", 1)
    unit = Unit(*name.rsplit("/", 1))
    return "usage", unit, target, costs.get(unit, float("nan")) if target == "mean" else float("nan")


# --- in words ----------------------------------------------------------------------------------------------


def gravest(frame: pd.DataFrame, most: int = TOLD) -> list[pd.DataFrame]:
    """The rarest episodes, each as its rows; of as rare ones the dearest. One a service and span of days."""
    keys = ["frame", "service", "region", "target", "start"]
    episodes = [rows for _, rows in frame.groupby(keys, sort=True)]
    told: list[pd.DataFrame] = []
    for rows in sorted(episodes, key=_gravity):
        if len(told) < most and not any(_same_story(rows, other) for other in told):
            told.append(rows)
    return told


def _gravity(rows: pd.DataFrame) -> tuple[Any, ...]:
    dear = rows["money"].sum(min_count=1)
    off = float(np.abs(np.log(np.maximum(rows["value"], 1e-9) / np.maximum(rows["q50"], 1e-9))).max())
    first = rows.iloc[0]
    return (float(rows["probability"].min()), -abs(dear) if np.isfinite(dear) else 0.0, -off,
            first["service"], first["region"], first["frame"], first["target"])  # fmt: skip


def _same_story(one: pd.DataFrame, other: pd.DataFrame) -> bool:
    a, b = one.iloc[0], other.iloc[0]
    same = (a["frame"], a["service"], a["region"]) == (b["frame"], b["service"], b["region"])
    return bool(same and a["start"] <= b["end"] and b["start"] <= a["end"])


def sentence(rows: pd.DataFrame, currency: str, measure: str = "") -> str:
    """One episode in words: what it was, what was expected, how rare that is, and what it cost.

    ``measure`` is the demand's unit, as :func:`capacity.words.quantity` takes it.
    """
    worst: dict[Hashable, Any] = rows.loc[rows["probability"].idxmin()].to_dict()
    of_money = worst["frame"] == "spend"

    def amount(value: float) -> str:
        return money(value, currency) if of_money else quantity(value, measure)

    what = "spend" if of_money else f"{worst['target']} demand"
    whose = worst["service"] if of_money else f"{worst['service']}/{worst['region']}"
    apart = times(worst["value"] / worst["q50"]) if worst["q50"] > 0 else "against nothing"
    text = (
        f"{what} of {whose} on {day(worst['ts'].date())} was {amount(worst['value'])}, {apart} "
        f"what was expected ({amount(worst['low'])} to {amount(worst['high'])}); {_one_in(worst)}"
    )
    return text + _span(rows) + _cost(rows, currency, of_money)


def _one_in(worst: Mapping[Hashable, Any]) -> str:
    n = round(1.0 / worst["probability"], -1 if worst["probability"] < 0.01 else 0)
    return f"rarer than 1 in {n:,.0f}" if worst["at_most"] else f"1 in {n:,.0f}"


def _span(rows: pd.DataFrame) -> str:
    first, last = rows["start"].iloc[0], rows["end"].iloc[0]
    return f"; {len(rows)} days, to {day(last.date())}" if last > first else ""


def _cost(rows: pd.DataFrame, currency: str, of_money: bool) -> str:
    """What the whole episode cost, where the sentence has not said it already."""
    total = float(rows["money"].sum(min_count=1))
    if not np.isfinite(total) or round(abs(total)) == 0 or (of_money and len(rows) == 1):
        return ""
    return f"; {money(abs(total), currency)} {'more' if total > 0 else 'less'} in all"


def counted(frame: pd.DataFrame) -> str:
    """How many there are, of how many points judged, and how many of them chance may have made."""
    episodes = frame.groupby(["frame", "service", "region", "target", "start"]).ngroups
    judged, chance = int(frame["judged"].iloc[0]), float(frame["by_chance"].iloc[0])
    name = "anomaly" if episodes == 1 else "anomalies"
    return f"{episodes} {name} in {judged:,} days of usage and spend; about {number(chance)} would come by chance"
