"""What all outputs share: what may be chosen, what an output gives, and how figures and JSON are written."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Any

import pandas as pd

from capacity.errors import UsageError
from capacity.plan import Plan

DEFAULT_GROUP_NAME = "{service}-{region}-{instance_type}"
DEFAULT_DEMAND_QUERY = 'sum(rate(http_requests_total{service="{service}",region="{region}"}[5m]))'
# A figure is written to so many digits: beyond them two machines of the same kind may differ.
_DIGITS = 9


@dataclass(frozen=True)
class Options:
    """What may be chosen of a hand-over.

    Attributes
    ----------
    month
        Month (YYYY-MM) whose counts are handed over; the plan's own month where None.
    group_name
        Name of the Auto Scaling group of an instance type, with {service}, {region}, {instance_type}, {purchase} and
        {account_id}.
    demand_query
        PromQL of a unit's demand, with {service} and {region} inside quoted label values.
    departure_hours
        How long demand must be outside the forecast before the rule says so.
    band_days
        Days of forecast in the metrics, from the plan's day on.
    node_class
        Name of the EC2NodeClass that the NodePools refer to.
    link
        Address of the report, for the messages; none where None.
    """

    month: str | None = None
    group_name: str = DEFAULT_GROUP_NAME
    demand_query: str = DEFAULT_DEMAND_QUERY
    departure_hours: int = 2
    band_days: int = 35
    node_class: str = "default"
    link: str | None = None


@dataclass(frozen=True)
class Rendered:
    """Files of one output by name, and what the reader should know: above all what was left out, and why."""

    files: Mapping[str, str]
    notes: tuple[str, ...] = field(default=())


def figure(value: Any) -> float | None:
    """``value`` as a number of nine digits; None for whatever is no finite number: what is not known is left out."""
    if value is None or value != value or isinstance(value, str | bool):
        return None
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    return float(f"{number:.{_DIGITS}g}") if math.isfinite(number) else None


def known(**values: Any) -> dict[str, Any]:
    """The arguments that are known: None is left out; floats are written to nine digits, and left out as NaN."""
    out: dict[str, Any] = {}
    for name, value in values.items():
        kept = figure(value) if isinstance(value, float) else value
        if kept is not None:
            out[name] = kept
    return out


def utc(moment: datetime) -> str:
    """2026-10-05T12:00:00Z."""
    return f"{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"


def seconds(moment: datetime | date) -> int:
    """Unix time; of a day, that of its midnight in UTC."""
    if not isinstance(moment, datetime):
        moment = datetime(moment.year, moment.month, moment.day, tzinfo=UTC)
    return int(moment.timestamp())


def dump(document: Any) -> str:
    """JSON in ASCII, so that no character of a name turns or hides what a reviewer reads."""
    return json.dumps(document, indent=1, ensure_ascii=True, allow_nan=False) + "\n"


def rows(frame: pd.DataFrame) -> list[Any]:
    """The frame's rows, a field a column."""
    return list(frame.itertuples(index=False))


def month_of(plan: Plan, options: Options) -> str | None:
    """The month whose counts are handed over: the one asked for, else that of the plan's day, else the plan's first.

    Raises
    ------
    UsageError
        The plan has no counts of the month that was asked for.
    """
    months = sorted(set(plan.frame("mix")["month"]))
    if options.month is not None and options.month not in months:
        allowed = f"{months[0]} to {months[-1]}" if months else "none: the plan has no instance mix"
        raise UsageError(f"--month: found {options.month!r}; allowed: a month of the plan, {allowed}")
    if options.month is not None:
        return options.month
    today = f"{plan.as_of:%Y-%m}"
    return today if today in months else (months[0] if months else None)
