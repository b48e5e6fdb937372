"""The words of the house as frozen dataclasses: what every stage takes and gives.

Nothing here computes much, opens a file or knows a library beyond NumPy and pandas. The planning unit is
:class:`Unit`, a (service, region). Demand is in the unit's own demand unit (requests/s unless said otherwise).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from typing import Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

Floats = npt.NDArray[np.float64]
Paths = npt.NDArray[np.float32]

# Quantiles of every stored forecast, in order, and their column names.
QUANTILES: tuple[float, ...] = (0.025, 0.05, 0.1, 0.5, 0.9, 0.95, 0.975, 0.99)
QUANTILE_COLUMNS: tuple[str, ...] = ("q025", "q05", "q10", "q50", "q90", "q95", "q975", "q99")


@dataclass(frozen=True, order=True)
class Unit:
    """The planning unit: a service in a region."""

    service: str
    region: str

    def __str__(self) -> str:
        return f"{self.service}/{self.region}"


@dataclass(frozen=True)
class Interval:
    """A number that knows how sure it is. ``confidence`` is the probability of [low, high]."""

    low: float
    mid: float
    high: float
    confidence: float = 0.8


# --- catalogue, prices, commitments, quotas ----------------------------------------------------------------


@dataclass(frozen=True)
class InstanceType:
    """One machine type of the catalogue. ``special`` says what it is made for, if not for general work: 8 × H100.

    ``ipc_scale`` is work a vCPU does a clock, relative to other types of the catalogue; 0 where unknown.
    ``baseline_frac`` is the share of each vCPU that a burstable type may use for ever; None where unknown. A spot
    instance was ``spot_saving_frac`` cheaper than on demand and is interrupted within a month as ``spot_band`` says
    ("5-10%"), both of the catalogue's region and day; None and "" where unknown.
    """

    name: str
    family: str
    vcpu: int
    cores: int
    memory_gib: float
    network_gbps: float
    arch: Literal["x86_64", "arm64"]
    current_generation: bool
    burstable: bool
    clock_ghz: float = 0.0
    bare_metal: bool = False
    special: str = ""
    local_ssd_gb: float = 0.0
    ipc_scale: float = 0.0
    baseline_frac: float | None = None
    # They move by the day and are no facts of the machine: a type is the same type without them.
    spot_saving_frac: float | None = field(default=None, compare=False)
    spot_band: str = field(default="", compare=False)


@dataclass(frozen=True)
class Commitment:
    """A commitment that is owned: runs from ``start`` (inclusive) to ``end`` (exclusive).

    ``product`` is standard_ri, ec2_instance_sp or compute_sp. ``scope`` is an instance type (RI), a family
    (EC2 instance SP) or "" (compute SP), with ``region`` "" where it covers all. ``hourly_usd`` is what it costs
    an hour, used or not. ``count`` is the number of instances of an RI. ``account_id`` "" shares over all.
    """

    id: str
    account_id: str
    product: Literal["standard_ri", "ec2_instance_sp", "compute_sp"]
    scope: str
    region: str
    hourly_usd: float
    count: int
    start: datetime
    end: datetime


PaymentOption = Literal["no_upfront", "partial_upfront", "all_upfront"]


@dataclass(frozen=True)
class Offer:
    """A commitment that could be bought. ``scope``, ``region`` and ``account_id`` are those of :class:`Commitment`.

    Attributes
    ----------
    rate
        By instance type: what an hour under the commitment costs in all (upfront payment spread over the term), as a
        share of on demand. A type without a known rate cannot be covered; it is never guessed.
    upfront_frac
        Share of the term's price that is paid on the day of purchase.
    """

    id: str
    product: Literal["standard_ri", "ec2_instance_sp", "compute_sp"]
    term_years: Literal[1, 3]
    payment: PaymentOption
    scope: str
    region: str
    account_id: str
    rate: Mapping[str, float] = field(hash=False)
    upfront_frac: float = 0.0


@dataclass(frozen=True)
class CapacityReservation:
    """Instances that are held for an account (an On-Demand Capacity Reservation): paid at on demand, used or not.

    ``count`` instances of ``instance_type`` in ``zone`` ("" where any zone of the region will do), from ``start``
    (inclusive) to ``end`` (exclusive; None: until cancelled). What runs in it is not paid again.
    """

    id: str
    account_id: str
    region: str
    zone: str
    instance_type: str
    count: int
    start: datetime
    end: datetime | None = None


@dataclass(frozen=True)
class Quota:
    """A provider's limit. ``code`` L-1216C47A counts the vCPUs of all standard families."""

    account_id: str
    region: str
    code: str
    name: str
    limit: float
    used: float


# --- forecast ----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class MemberScore:
    """How one member did at past origins: MAE over the seasonal naive's, and MASE, over ``origins`` origins."""

    member: str
    relative_mae: float
    mase: float
    origins: int


@dataclass(frozen=True)
class PastMedians:
    """What a forecast would have said before: its medians at past origins, each without sight of what came.

    Attributes
    ----------
    origins
        K last known steps, the latest first, zone-less.
    medians
        (K, H) float32, in the series' unit, for the H steps after each origin; NaN where unknown.
    """

    origins: tuple[pd.Timestamp, ...]
    medians: Paths


@dataclass(frozen=True)
class LearnedEffect:
    """What an occasion (an event, a holiday) does to a series: a multiplier on the demand without it.

    Attributes
    ----------
    start, end
        First and last step of the coming occurrence, of the latest where none is ahead; zone-less.
    multiplier, low, high
        Middle and 80 % interval. Over several steps the mean of their multipliers.
    occurrences
        How many past ones it was learned from; 0 for one that is only given.
    source
        ``given`` where the config says the multiplier, ``learned`` where the series does.
    profile
        Multipliers of each step, the ramps before ``start`` and after ``end`` (alike long) included.
    """

    name: str
    kind: str
    start: pd.Timestamp
    end: pd.Timestamp
    multiplier: float
    low: float
    high: float
    occurrences: int
    source: Literal["learned", "given"]
    profile: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        # Read back from a file it is a list.
        object.__setattr__(self, "profile", tuple(self.profile))


@dataclass(frozen=True)
class LevelShift:
    """A lasting jump of a series' level: from ``at`` on it is ``ratio`` times what it was, with ``probability``."""

    at: pd.Timestamp
    ratio: float
    probability: float


@dataclass(frozen=True)
class SeriesForecast:
    """The forecast of one series.

    Attributes
    ----------
    index
        Start of each step of the horizon, H long, zone-less (local days, or UTC hours).
    quantiles
        (8, H): rows are :data:`QUANTILES`; finite, never crossing, never negative where the metric cannot be.
    paths
        (P, H) float32 sample paths whose marginals agree with ``quantiles``; row i of two series of one call
        belongs to the same future, so they may be added.
    peak, total
        Quantiles of the largest value and of the sum over the horizon, each calibrated in its own right.
    words
        What the history says, in sentences; empty unless explained.
    past
        The same forecast's medians at past origins; None where they were not kept.
    learned
        What the history says of the occasions (events, holidays) that were given.
    shifts
        Lasting jumps of the level, oldest first.
    """

    key: str
    freq: Literal["D", "h"]
    origin: pd.Timestamp
    index: pd.DatetimeIndex
    quantiles: Floats
    paths: Paths
    peak: Floats
    total: Floats
    model: str
    reason: str
    scores: tuple[MemberScore, ...]
    flags: tuple[str, ...] = ()
    words: tuple[str, ...] = ()
    past: PastMedians | None = None
    learned: tuple[LearnedEffect, ...] = ()
    shifts: tuple[LevelShift, ...] = ()

    def frame(self) -> pd.DataFrame:
        """ts and one column a quantile."""
        out = pd.DataFrame(self.quantiles.T, columns=list(QUANTILE_COLUMNS))
        out.insert(0, "ts", self.index)
        return out


# --- saturation --------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class ResourceCost:
    """What one unit of demand costs of one resource (vCPU per request/s), and how sure that is.

    ``fixed`` is the part that does not grow with demand (per fleet). ``basis`` says where it comes from.
    """

    resource: str
    per_demand: Interval
    fixed: float
    highest_demand_seen: float
    basis: Literal["load_test", "fleet_history", "demand_is_resource", "config"]
    r_squared: float | None = None
    flags: tuple[str, ...] = ()


@dataclass(frozen=True)
class SafeCapacity:
    """What a fleet serves within the SLO: all zones up, and with ``zones_lost`` gone (the smaller one binds)."""

    unit: Unit
    normal: Interval
    zone_loss: Interval
    zones_lost: int
    utilisation_frac: float
    cost: ResourceCost
    instances: int
    vcpu: int
    flags: tuple[str, ...] = ()

    @property
    def binding(self) -> Interval:
        """The smaller of the two, by its middle."""
        return self.zone_loss if self.zone_loss.mid < self.normal.mid else self.normal


@dataclass(frozen=True)
class Saturation:
    """When demand first passes a limit. A date of None means "not within the horizon"."""

    unit: Unit
    limit_name: str
    limit: float
    p10: date | None
    p50: date | None
    p90: date | None
    probability: Floats  # (H,) P(crossed at or before each day), never falling
    index: pd.DatetimeIndex

    @property
    def within_horizon(self) -> float:
        return float(self.probability[-1]) if len(self.probability) else 0.0


@dataclass(frozen=True)
class OrderBy:
    """A remedy and the last day to decide it: P10 date less its lead time."""

    unit: Unit
    remedy: str
    lead_time_days: int
    needed_by: date
    order_by: date
    overdue: bool


# --- instance mix ------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class LoadBlock:
    """Hours of a month that are provisioned alike. ``demand`` is what must be served in all of them.

    ``further`` is what must be held of resources that do not grow with demand as the first one does (memory of a
    cache, pods' requests), by resource, in the unit of :attr:`Candidate.further`. ``region_loss_demand`` is the demand
    when another region is lost and its traffic comes here; 0 where none would.
    """

    month: str  # YYYY-MM
    block: str
    hours: float
    demand: float
    further: Mapping[str, float] = field(default_factory=dict, hash=False)
    region_loss_demand: float = 0.0


@dataclass(frozen=True)
class Candidate:
    """One instance type for one unit. ``safe`` and ``zone_loss`` are demand per instance in the two states.

    ``allowed`` is False for a type that runs today against policy: it is priced, never planned. ``further`` gives, by
    resource of :attr:`LoadBlock.further`, what an instance holds of it in the two states. As a spot instance it costs
    ``spot_usd_per_hour`` (None: not to be had as spot), counts towards the quota ``spot_quota_code``, and only
    1 - ``spot_buffer_frac`` of what it serves or holds is relied on.
    """

    instance_type: str
    family: str
    arch: str
    vcpu: int
    quota_code: str
    usd_per_hour: float
    safe: float
    zone_loss: float
    allowed: bool = True
    further: Mapping[str, tuple[float, float]] = field(default_factory=dict, hash=False)
    spot_usd_per_hour: float | None = None
    spot_buffer_frac: float = 0.0
    spot_quota_code: str = ""


@dataclass(frozen=True)
class Excuse:
    """Why an instance type was kept out."""

    unit: Unit
    instance_type: str
    reason: str


@dataclass(frozen=True)
class UnitRequirement:
    """All that the optimizer knows of one unit.

    ``running`` maps (instance_type, zone) to a count. ``pinned`` keeps the mix of an earlier plan:
    (month, instance_type) -> instances per zone, all of them on demand. Spot may serve at most ``spot_max_frac`` of the
    demand of a block, and where it serves any, at least ``spot_least_types`` types are among it. At least
    ``least_types`` types run in every block with demand.
    """

    unit: Unit
    account_id: str
    zones: int
    zones_survived: int
    autoscaled: bool
    min_per_zone: int
    max_per_zone: int
    blocks: tuple[LoadBlock, ...]
    candidates: tuple[Candidate, ...]
    running: Mapping[tuple[str, str], int] = field(default_factory=dict)
    vertical: bool = False
    pinned: Mapping[tuple[str, str], int] | None = None
    spot_max_frac: float = 0.0
    spot_least_types: int = 1
    least_types: int = 1


@dataclass(frozen=True)
class MixProblem:
    """The whole fleet's problem over ``months`` (YYYY-MM, in order; ``month_hours`` aligned).

    ``committed_discount`` gives, by commitment id, the price of covered usage as a share of on demand
    (a Compute SP at .72 covers on-demand dollars at .72); an RI covers its instance type whole. ``offers`` are
    commitments that the plan may buy at the start of any month; ``reservations`` are paid whole, used or not.
    """

    months: tuple[str, ...]
    month_hours: tuple[float, ...]
    requirements: tuple[UnitRequirement, ...]
    commitments: tuple[Commitment, ...] = ()
    committed_rate: Mapping[str, float] = field(default_factory=dict)
    quotas: tuple[Quota, ...] = ()
    switching_penalty_frac: float = 0.02
    offers: tuple[Offer, ...] = ()
    reservations: tuple[CapacityReservation, ...] = ()


@dataclass(frozen=True)
class SolveStatus:
    """How a solve ended, told honestly. ``gap`` is (objective - bound) / |objective|."""

    status: Literal["optimal", "feasible", "infeasible", "no_plan_in_time"]
    termination: str
    objective: float
    bound: float
    gap: float
    runtime_seconds: float
    solver: str


@dataclass(frozen=True)
class CheckedRequirement:
    """One requirement that the independent checker verified: ``slack`` is never below -1e-6 in a shown plan."""

    name: str
    worst_slack: float
    rows: int


PURCHASE_COLUMNS = ("id", "offer", "month", "hourly_usd", "count")


@dataclass(frozen=True)
class MixSolution:
    """A verified plan.

    ``provisioned``: unit, month, purchase, instance_type, per_zone, instances, vcpu, usd_per_hour.
    ``running``: unit, month, block, purchase, instance_type, per_zone, instances, hours, usd. ``purchase`` is on_demand
    or spot; usd is the on-demand list value, or what spot costs. Commitments cover on-demand rows only.
    ``commitment_use``: month, block, id, used_usd (of on-demand value), paid_usd, unused_usd; a purchase of month m
    under offer o has the id "o@m".
    ``spend``: month, unit, on_demand_usd, spot_usd, committed_usd, total_usd; a row of unit "(commitments unused)" and
    one of "(reservations unused)" a month, where there are any of these.
    ``purchases``: id, offer, month, hourly_usd, count (instances of an RI, else 0); empty where nothing is bought.
    Frames carry service and region columns beside unit.
    """

    status: SolveStatus
    provisioned: pd.DataFrame
    running: pd.DataFrame
    commitment_use: pd.DataFrame
    spend: pd.DataFrame
    checks: tuple[CheckedRequirement, ...]
    binding: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    purchases: pd.DataFrame = field(default_factory=lambda: pd.DataFrame(columns=list(PURCHASE_COLUMNS)))


# --- peak event --------------------------------------------------------------------------------------------


RemedyKind = Literal["prescale", "reservation", "group_maximum", "quota", "limit", "type", "zones", ""]


@dataclass(frozen=True)
class Remedy:
    """Something to do, and by when.

    Attributes
    ----------
    amount
        What is asked for, as a number: instances of the group (in all), vCPU of the quota (in all), or the limit.
    usd
        What it costs, at the on-demand rates of the event's ``rates_as_of``; None where no rate is known.
    code, account_id
        Of a quota.
    overdue
        ``by`` is past.
    """

    action: str
    by: date
    lead_time_days: int
    kind: RemedyKind = ""
    amount: float | None = None
    usd: float | None = None
    code: str = ""
    account_id: str = ""
    overdue: bool = False


@dataclass(frozen=True)
class PreScale:
    """Instances to have before the ramp begins, and until when: what a scheduled action is made of.

    ``at`` and ``until`` are moments in UTC; ``instances_from`` runs now. ``usd`` is what the added instances cost on
    demand over that time, ``safe`` the demand that all of them serve safely.
    """

    instances_from: int
    instances_to: int
    at: datetime
    until: datetime
    usd: float | None = None
    safe: float = 0.0


@dataclass(frozen=True)
class EventFlow:
    """What an event adds to the demand of ``callee`` through the calls of ``caller``.

    ``per_request`` is calls for each request more, with the event's own factors; ``p50`` and ``p95`` are of the added
    demand.
    """

    caller: Unit
    callee: Unit
    per_request: float
    p50: float
    p95: float


@dataclass(frozen=True)
class EventVerdict:
    """GO or NO-GO of one unit for one event.

    Attributes
    ----------
    before_p50, before_p95
        Peak demand of the same days without the event.
    prescale
        None where nothing has to run before the ramp that does not run now.
    scale_out_minutes
        From a rise in demand to instances that serve it; None where the ramp leaves no time, or nothing scales.
    ahead, ahead_minutes
        How far P95 demand runs ahead of safe capacity while the group scales out, at most, and for how long, were
        nothing done; 0 where it never does.
    """

    event: str
    unit: Unit
    go: bool
    demand_p50: float
    demand_p95: float
    safe_now: float
    safe_at_group_maximum: float
    probability_holds: float
    multiplier: float
    propagated_from: tuple[str, ...]
    reasons: tuple[str, ...]
    remedies: tuple[Remedy, ...]
    before_p50: float = 0.0
    before_p95: float = 0.0
    prescale: PreScale | None = None
    scale_out_minutes: float | None = None
    ahead: float = 0.0
    ahead_minutes: float = 0.0


# --- money -------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class TieOut:
    """What the model says today's fleet costs a month, against the last closed month of the bill."""

    month: str
    currency: str
    modelled: Decimal
    billed_effective: Decimal
    private_discount_frac: float
    remainder: Mapping[str, Decimal]  # named: storage, transfer, load balancers, ...
    difference_frac: float
    ties: bool


# --- provenance --------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Provenance:
    """The seven things that make a plan, and whether the same seven will make it again."""

    config_digest: str
    scenario: str
    store_versions: Mapping[str, int]
    catalogue_version: str
    as_of: datetime
    seed: int
    package_version: str
    reproducible: bool
    sources: tuple[str, ...] = ()
