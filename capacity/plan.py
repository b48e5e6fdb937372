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
from capacity.words import day

SCHEMA = "capacity.plan/1"

# Frames that stand beside plan.json, and their columns.
FRAMES: Mapping[str, tuple[str, ...]] = {
    # quantiles of every forecast, schema "forecast"; target mean and peak are daily, total is spend
    "forecast": ("service", "region", "metric", "target", "scenario", "origin_ts", "ts", "q025", "q05", "q10", "q50",
                 "q90", "q95", "q975", "q99", "model"),
    # what happened: daily mean and peak of each unit, and the limits' own metrics (target level)
    "history": ("service", "region", "metric", "target", "ts", "value"),
    "headroom": ("service", "region", "week_start", "peak_quantile", "safe", "headroom_frac", "policy_frac"),
    "saturation": ("service", "region", "limit_name", "ts", "probability"),
    "blocks": ("service", "region", "month", "block", "hours", "demand", "required"),
    "mix": ("service", "region", "month", "purchase", "instance_type", "per_zone", "instances", "vcpu", "usd_per_hour"),
    "running": ("service", "region", "month", "block", "purchase", "instance_type", "per_zone", "instances", "hours",
                "usd"),
    "spend_plan": ("service", "region", "month", "on_demand_usd", "spot_usd", "committed_usd", "total_usd",
                   "running_total_usd"),
    # share of futures with no hour above safe capacity, as an independent simulation of the plan found it; the same
    # with one instance a zone fewer in the block that binds
    "coverage": ("service", "region", "month", "coverage_frac", "required_frac", "one_fewer_frac", "hours_above_frac",
                 "headroom_coverage_frac", "zone_loss_coverage_frac"),
    # buffer between a month's peak (at the tier's service level) and what is safe, of what runs and of what is planned
    "headroom_months": ("service", "region", "month", "peak", "safe_running", "headroom_running_frac", "safe_planned",
                        "headroom_planned_frac", "policy_frac", "holds", "holds_running", "survives_running",
                        "survives_planned"),
    # what each service level would cost over the horizon: the price of headroom
    "cost_curve": ("service_level", "cost_usd", "bound_usd", "status"),
    # commitments to buy, by offer and month; quantiles are over joint futures of usage, money over the whole term
    "purchases": ("offer", "product", "scope", "region", "account_id", "term_years", "payment", "month", "hourly_usd",
                  "count", "upfront_usd", "monthly_usd", "utilisation_q10", "utilisation_q50", "utilisation_q90",
                  "break_even", "saving_q10", "saving_mean", "saving_q90", "regret_q10", "regret_q90",
                  "waiting_usd_per_month", "not_bought_usd"),
    # offers that were not considered, by name, and why (a rate that is not known is never guessed)
    "purchase_refusals": ("offer", "reason"),
    # what moving one requirement by one unit costs a year (below zero: saves): between low and high, by solving again
    "requirement_prices": ("requirement", "service", "region", "moved", "low_usd_per_year", "high_usd_per_year",
                           "words"),
    # verified plans that cost nearly the same and look different; what they run at the horizon's peak month
    "alternatives": ("name", "cost_usd", "extra_frac", "distance_frac", "words"),
    "alternative_mix": ("name", "service", "region", "month", "instance_type", "instances"),
    # why this type: each unit's chosen types and the next best ones
    "type_choice": ("service", "region", "instance_type", "chosen", "usd_per_year", "extra_frac", "reason"),
    # the model's price of the fleet of the newest closed month against the bill, by service
    "tie_services": ("service", "region", "month", "currency", "modelled", "billed_effective", "remainder",
                     "difference_frac", "ties", "words"),
    # what the plan's months cost in all: rows of part "total" are exactly the sums of the other parts
    "plan_total": ("month", "part", "service", "region", "amount", "basis"),
    # what load tests say an instance serves within the SLO
    "load_tests": ("service", "instance_type", "safe_low", "safe", "safe_high", "gamma", "alpha", "beta", "knee",
                   "tested_max", "flags"),
    # invoices of each billing month and currency (entered, or the sum of the bill's rows) against what is allocated
    "invoice_ties": ("month", "currency", "account", "invoice_total", "total_from", "number", "direct", "shared",
                     "unallocated", "difference", "ties", "words"),
    # what was negotiated: Contracted over List of usage, by the provider's service
    "private_discounts": ("month", "currency", "provider_service", "list_cost", "contracted_cost", "discount",
                          "discount_frac", "rows", "rows_without_list"),
    # the cost of several currencies in the company's own, by rates that the config gives; empty where there is one
    "cost_converted": ("month", "currency", "service", "kind", "pool", "BilledCost", "EffectiveCost", "ListCost",
                       "ContractedCost", "from_currency", "rate", "rate_as_of", "rate_source"),
    # what the review could not do, and why
    "review_notes": ("topic", "words"),
    # commitments by month, currency and product ("all": together): rates are shares of 1, money is exact; what each
    # column means stands at costs.commitment_review.CommitmentReview. The same over all months; what ends soon
    "commitment_review": ("month", "currency", "product", "coverage_frac", "utilisation_frac",
                          "effective_savings_rate_frac", "on_demand_equivalent", "committed", "unused", "saving",
                          "uncovered", "flags", "eligible", "on_demand_list", "covered_savings_rate_frac",
                          "list_savings_rate_frac", "unknown", "rows_used", "rows_unused", "rows_uncovered"),
    "commitment_total": ("months", "currency", "product", "coverage_frac", "utilisation_frac",
                         "effective_savings_rate_frac", "on_demand_equivalent", "committed", "unused", "saving",
                         "uncovered", "flags", "eligible", "on_demand_list", "covered_savings_rate_frac",
                         "list_savings_rate_frac", "unknown", "rows_used", "rows_unused", "rows_uncovered"),
    "commitment_expiry": ("id", "account_id", "product", "scope", "region", "start", "end", "days_left", "hourly_usd",
                          "month", "currency", "covers_frac", "monthly_committed", "monthly_on_demand", "monthly_more",
                          "words"),
    # the plan's purchases beside AWS's own recommendations; savings a month; empty where AWS was not asked
    "commitment_comparison": ("product", "scope", "region", "term_years", "payment", "ours_hourly", "aws_hourly",
                              "difference_hourly", "ours_count", "aws_count", "ours_saving", "aws_saving", "currency",
                              "lookback_days", "made_on", "reasons"),
    # waste, an instance counted once; in_plan_usd is what the recommended mix saves of it, held_usd what is none, for
    # the reason given
    "waste": ("kind", "service", "region", "what", "monthly_usd", "currency", "confidence", "reason", "taken_by",
              "evidence", "in_plan_usd", "held_usd"),
    # energy and emissions of instances (operational, location-based), only where carbon is enabled
    "carbon": ("month", "service", "region", "currency", "effective_cost", "kwh", "kg_co2e", "covered_frac", "sources",
               "unknown_types", "instance_hours", "flags"),
    # what each service was billed for by month and part, exactly, up to its last whole day
    "spend_actual": ("service", "month", "currency", "part", "amount", "last_day"),
    # months (2026-10), quarters (2026-Q4) and years from the one in progress on: billed so far, the whole of it as
    # forecast, and the budget; basis says what amounts include; p_over is null where the period is not complete
    "budget_outlook": ("level", "name", "period_kind", "period", "currency", "actual", "q10", "q50", "q90", "run_rate",
                       "projected", "budget", "p_over", "aws_mean", "aws_low", "aws_high", "share_actual_frac",
                       "complete", "basis", "run_rate_7", "width_factor", "aws_words"),
    # closed periods that have a budget: what they came to (running spend, or all), exactly
    "budget_closed": ("level", "name", "period", "currency", "includes", "budget", "actual", "variance",
                      "variance_frac"),
    # how months up to so many ahead were forecast at past origins, and how "same as last month" would have done
    "spend_backtest": ("level", "name", "horizon_months", "origins", "months", "variance_frac", "grade",
                       "naive_variance_frac", "beats_naive", "coverage80_frac", "words"),
    # what single SKUs cost of late beyond what was to be expected, the dearest first, and the bridge term behind it
    "spend_anomalies": ("service", "provider_service", "sku", "currency", "first_day", "last_day", "amount", "expected",
                        "low", "high", "extra", "probability", "term", "words"),
    # what each rule took, by month; of the newest closed month every rule stands there, with zeros where it took nothing
    "rule_hits": ("rule", "target", "month", "currency", "rows", "BilledCost", "EffectiveCost", "ListCost",
                  "ContractedCost"),
    # how each shared pool was split: to services, to other pools, or to nobody; share_frac is of what was in the pool
    "pool_steps": ("month", "currency", "pool", "to_kind", "to", "method", "share_frac", "EffectiveCost"),
    # unit cost by level (company, tier, team, service, journey) and driver; money a 1,000 units. Marginal: of daily
    # cost on daily units (marginal_basis days) or over months, with its 80 % interval; long_run: over months, with what
    # the fleet and prices did meanwhile; trend: relative, a month
    "unit_cost_groups": ("level", "name", "driver", "month", "currency", "effective_cost", "units", "per_1000",
                         "average_per_1000", "marginal_per_1000", "marginal_low", "marginal_high", "fixed_share_frac",
                         "trend_frac_per_month", "trend_low", "trend_high", "flags", "unit", "per", "coverage_frac",
                         "marginal_basis", "marginal_points", "long_run_per_1000", "long_run_low", "long_run_high",
                         "trend_months"),
    # each service's cost by the journeys that made its requests; "(not explained)" is what none did. The rows of a
    # service are exactly its cost
    "journey_costs": ("journey", "service", "month", "currency", "requests_per_journey", "effective_cost", "share_frac",
                      "journeys", "flags"),
    # cost of 1,000 units in coming whole months, from joint futures of spend and demand; basis says what is in it
    "unit_cost_forecast": ("level", "name", "month", "currency", "q10", "q50", "q90", "basis", "driver", "unit", "per",
                           "scenario"),
    # why the bill moved, by SKU: the newest closed month against the one before, and the newest whole quarter; start,
    # then the eight terms (they add up to end, exactly), end; SKUs that moved little are one row "(others)" a service
    "bridge": ("from_period", "to_period", "currency", "kind", "name", "provider_service", "sku", "charge", "start",
               "volume", "efficiency", "mix", "list_rate", "negotiated_rate", "commitment_rate", "new_and_ended",
               "one_off", "end"),
    "cost": ("month", "currency", "service", "kind", "pool", "BilledCost", "EffectiveCost", "ListCost",
             "ContractedCost"),
    "unit_cost": ("month", "service", "currency", "effective_cost", "units", "usd_per_1000"),
    "unallocated": ("currency", "ServiceName", "SubAccountId", "rows", "EffectiveCost", "suggested_rule"),
    # running spend of coming months; model and reason say whether demand drives it
    "spend_forecast": ("service", "month", "q10", "q50", "q90", "model", "reason"),
    # tax, credit, refund and one_off by month: as billed (known), or as assumed and why; not in spend_forecast
    "spend_apart": ("month", "part", "amount", "known", "assumption"),
    "excuses": ("service", "region", "instance_type", "reason"),
    # days of late that were not to be expected, the rarest first; money is the value less what was expected
    "anomalies": ("frame", "service", "region", "target", "ts", "value", "q50", "low", "high", "probability", "money"),
    # each unit's demand as Prophet decomposes it, the last 400 days and the horizon: a level and factors, whose product
    # is fitted; target mean and peak
    "explanation": ("service", "region", "target", "ts", "actual", "trend", "weekly", "yearly", "events", "fitted"),
    # what moves demand beside trend and season: events, holidays and lasting jumps (kind shift); the multiplier has its
    # 80 % interval, end is null for what lasts, source is learned, given or detected
    "occasions": ("service", "region", "target", "name", "kind", "start", "end", "multiplier", "low", "high",
                  "occurrences", "source"),
    # totals from joint paths, by month (2026-10) and quarter (2026-Q4); demand is the mean over the period's days
    "totals": ("level", "name", "measure", "unit", "month", "q10", "q50", "q90"),
    # what the plan of about a quarter ago promised of days that are over: by month, and the largest peak of its horizon
    # (target horizon_peak, month first/last day; covered is null while it may still change)
    "promise": ("service", "region", "metric", "target", "origin_ts", "month", "q10", "q50", "q90", "actual", "covered",
                "error_frac"),
    # events that are over: what was said of each unit before (basis: a stored plan, or made again as of that day), and
    # what came. multipliers are over the demand without the event, as forecast then; held is whether the peak stayed
    # within the safe capacity of what ran
    "event_review": ("event", "service", "region", "start", "end", "basis", "origin", "p50", "p95", "actual",
                     "error_frac", "within_p95", "multiplier", "multiplier_realised", "safe", "held", "said_go",
                     "probability_holds", "words"),
    # what is odd in the data, the gravest first
    "quality": ("severity", "frame", "source", "scope", "rule", "rows", "of", "column", "example", "message"),
}  # fmt: skip


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
        return Plan(**{name: adapter.validate_python(document[name]) for name, adapter in _adapters().items()})
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
