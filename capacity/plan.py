"""The plan: what a run says, as frozen dataclasses in plan.json and frames in Parquet beside it.

plan.json holds no clock and no run time: the same config, scenario, store versions, catalogue, ``as_of``, seed and
package version give the same bytes. What differs between two runs of the same plan is in run.json.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from datetime import date, datetime
from decimal import Decimal
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

import pandas as pd

from capacity.domain import EventFlow, EventVerdict, Interval, Provenance, TieOut, Unit
from capacity.errors import CorruptDataError, MissingDataError
from capacity.fiscal import CALENDAR, Calendar
from capacity.plan_frames import FRAMES as FRAMES
from capacity.words import day

SCHEMA = "capacity.plan/1"


@dataclass(frozen=True)
class LimitOutlook:
    """One limit of a unit: when the peak passes it, and what to order by when.

    ``kind`` fleet is what the instances serve; hard is a limit that no instance moves. Dates of None mean
    "not within the horizon".
    """

    name: str
    kind: Literal["fleet", "hard"]
    metric: str
    unit_of_measure: str
    limit: float
    p10: date | None
    p50: date | None
    p90: date | None
    within_horizon: float
    remedy: str
    lead_time_days: int
    order_by: date | None
    overdue: bool


@dataclass(frozen=True)
class MixLine:
    """Instances of one type."""

    instance_type: str
    instances: int
    usd_per_hour: float


@dataclass(frozen=True)
class UnitPlan:
    """All that the plan says of one (service, region)."""

    service: str
    region: str
    tier: str
    team: str
    kind: Literal["fleet", "vertical", "usage_priced"]
    account_id: str
    demand_metric: str
    demand_unit: str
    last_point: datetime
    forecast_model: str
    forecast_reason: str
    relative_mae: float | None
    flags: tuple[str, ...]
    peak_recent: float
    peak_horizon: Interval
    safe_now: Interval | None
    zones_lost: int
    utilisation_frac: float | None
    cost_basis: str
    service_level: float
    headroom_now_frac: float | None
    headroom_min_frac: float | None
    headroom_policy_frac: float
    limits: tuple[LimitOutlook, ...]
    running: tuple[MixLine, ...]
    recommended: Mapping[str, tuple[MixLine, ...]]
    running_usd: float
    recommended_usd: float
    coverage_min_frac: float | None
    why: str
    usd_per_1000: Decimal | None = None
    # How far peaks inside the hour stand above hourly means, over the days that show it; None where nobody knows.
    burst: Interval | None = None
    # What the history says of the daily mean, in sentences, and how the daily peak grows.
    words: tuple[str, ...] = ()

    @property
    def unit(self) -> Unit:
        return Unit(self.service, self.region)

    @property
    def first_limit(self) -> LimitOutlook | None:
        """The limit that is passed first (smallest P10 date), if any is within the horizon."""
        near = [x for x in self.limits if x.p10 is not None]
        return min(near, key=lambda x: (x.p10 or date.max, x.name)) if near else None


@dataclass(frozen=True)
class MixSummary:
    """The optimizer's answer: money over the plan's months, and how far it is proven."""

    status: str
    termination: str
    solver: str
    objective: float
    bound: float
    gap_frac: float
    prune_loss_frac: float
    running_usd: float
    recommended_usd: float
    months: tuple[str, ...]
    binding: tuple[str, ...]
    checks: tuple[str, ...]
    notes: tuple[str, ...] = ()
    # First and last day of the on-demand rates that this money is made of; None where none is known.
    rates_from: date | None = None
    rates_to: date | None = None

    @property
    def rates_of(self) -> str:
        """Of which days the rates are; it stands wherever their money does."""
        if self.rates_from is None or self.rates_to is None:
            return "rates without a date"
        if self.rates_from == self.rates_to:
            return f"rates of {day(self.rates_to)}"
        return f"rates of {day(self.rates_from)} to {day(self.rates_to)}"

    @property
    def saving_usd(self) -> float:
        """Money saved against the running fleet kept as it is; negative where capacity must be added."""
        return self.running_usd - self.recommended_usd


@dataclass(frozen=True)
class CostMonth:
    """One closed month of the bill in one currency; direct + shared + unallocated = total, exactly."""

    month: str
    currency: str
    effective: Decimal
    billed: Decimal
    direct: Decimal
    shared: Decimal
    unallocated: Decimal


@dataclass(frozen=True)
class SpendMonth:
    """Spend of a coming month: quantiles, the budget if there is one, and P(over it)."""

    month: str
    currency: str
    q10: float
    q50: float
    q90: float
    budget: Decimal | None
    over_budget: float | None


@dataclass(frozen=True)
class EventSummary:
    """A peak event and its verdicts.

    ``flows`` is what it adds from service to service; ``rates_as_of`` the day of the newest rate behind its money.
    """

    name: str
    start: datetime
    end: datetime
    verdicts: tuple[EventVerdict, ...]
    flows: tuple[EventFlow, ...] = ()
    ramp_minutes: int = 0
    rates_as_of: date | None = None

    @property
    def go(self) -> bool:
        return all(v.go for v in self.verdicts)


@dataclass(frozen=True)
class Finding:
    """One sentence for the meeting. ``act`` needs a decision, ``watch`` an eye, ``info`` nothing."""

    severity: Literal["act", "watch", "info"]
    topic: Literal["saturation", "order", "mix", "cost", "event", "spend", "data", "forecast"]
    text: str
    service: str = ""
    region: str = ""
    by: date | None = None
    usd: float | None = None


@dataclass(frozen=True)
class Freshness:
    """The newest good point of one source of one frame."""

    source: str
    frame: str
    last_point: datetime | None
    age_days: float | None
    stale: bool


@dataclass(frozen=True)
class Plan:
    """A whole plan. ``frames`` stand beside the JSON; their names and columns are :data:`FRAMES`."""

    company: str
    currency: str
    as_of: datetime
    scenario: str
    description: str
    horizon_start: date
    horizon_end: date
    provenance: Provenance
    units: tuple[UnitPlan, ...]
    mix: MixSummary | None
    costs: tuple[CostMonth, ...]
    spend: tuple[SpendMonth, ...]
    spend_note: str
    tie_outs: tuple[TieOut, ...]
    events: tuple[EventSummary, ...]
    findings: tuple[Finding, ...]
    violations: tuple[str, ...]
    freshness: tuple[Freshness, ...]
    schema: str = SCHEMA
    # Whose quarters and years its frames name; a plan of before there was a choice has the calendar's.
    calendar: Calendar = CALENDAR
    frames: Mapping[str, pd.DataFrame] = field(default_factory=dict, compare=False)

    def frame(self, name: str) -> pd.DataFrame:
        """Frame ``name``; an empty one with the right columns where this plan has none."""
        if name in self.frames:
            return self.frames[name]
        return pd.DataFrame(columns=list(FRAMES[name]))


_DOCUMENT_FIELDS = tuple(f.name for f in fields(Plan) if f.name != "frames")


@lru_cache
def _adapters() -> dict[str, Any]:
    from typing import get_type_hints

    from pydantic import TypeAdapter

    hints = get_type_hints(Plan)
    return {name: TypeAdapter(hints[name]) for name in _DOCUMENT_FIELDS}


def to_json(plan: Plan) -> str:
    """plan.json's text: sorted keys, decimals as strings, the same bytes for the same plan."""
    document = {name: adapter.dump_python(getattr(plan, name), mode="json") for name, adapter in _adapters().items()}
    return json.dumps(document, sort_keys=True, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def from_json(text: str, where: str = "plan.json") -> Plan:
    """A plan without frames.

    Raises
    ------
    CorruptDataError
        Not JSON, another schema version, or a value of the wrong type.
    """
    try:
        document = json.loads(text)
        if document.get("schema") != SCHEMA:
            raise CorruptDataError(f"{where}: schema is {document.get('schema')!r}, this version reads {SCHEMA!r}")
        known = {name: adapter for name, adapter in _adapters().items() if name != "calendar" or name in document}
        return Plan(**{name: adapter.validate_python(document[name]) for name, adapter in known.items()})
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise CorruptDataError(f"{where}: not a plan: {error}; make it again with `capacity plan`") from None


def write(plan: Plan, folder: Path, run: Mapping[str, Any]) -> Path:
    """Write plan.json, run.json and a Parquet file a frame into ``folder``; returns the path of plan.json.

    plan.json comes last and by rename: a folder with one is complete.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for name, frame in plan.frames.items():
        frame.to_parquet(folder / f"{name}.parquet", index=False)
    (folder / "run.json").write_text(
        json.dumps(dict(run), sort_keys=True, indent=1, default=str) + "\n", encoding="utf-8"
    )
    target = folder / "plan.json"
    partial = folder / "plan.json.partial"
    partial.write_text(to_json(plan), encoding="utf-8")
    partial.replace(target)
    return target


def read(folder: Path) -> Plan:
    """The plan in ``folder``, with its frames.

    Raises
    ------
    MissingDataError
        There is no plan.json.
    """
    path = folder / "plan.json"
    if not path.is_file():
        raise MissingDataError(f"{folder}: no plan.json here; make one with `capacity plan` or `capacity demo`")
    plan = from_json(path.read_text(encoding="utf-8"), str(path))
    frames = {
        name: pd.read_parquet(folder / f"{name}.parquet") for name in FRAMES if (folder / f"{name}.parquet").is_file()
    }
    return Plan(**{**{name: getattr(plan, name) for name in _DOCUMENT_FIELDS}, "frames": frames})
