"""Services and tiers, and outages: what is planned for, and what happened to it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Literal, Self

from pydantic import ConfigDict, Field, model_validator

from capacity.config._base import Fraction, Model, Name, Positive, TimeZone, did_you_mean
from capacity.config._events import ThirdPartyConfig
from capacity.config._holidays import CountryHolidays
from capacity.config._load_tests import LoadTestConfig

# --- services and tiers ------------------------------------------------------------------------------------


class TierConfig(Model):
    """What a class of services is promised."""

    name: Name
    service_level: Annotated[float, Field(ge=0.5, lt=1)] = Field(0.95, description="P: share of futures that must fit")
    zones_survived: int = Field(1, ge=0, le=3)
    min_headroom_frac: Annotated[float, Field(ge=0, lt=0.9)] = 0.2
    zone_loss_utilisation_frac: Fraction = Field(0.9, description="utilisation allowed while a zone is lost")
    spot_max_frac: Fraction = Field(0.0, description="share of the demand of any hour that spot may serve")
    spot_least_types: int = Field(2, ge=1, le=16, description="where spot runs, at least so many types are among it")
    spot_buffer_frac: Annotated[float, Field(ge=0, lt=1)] | None = Field(
        None, description="share of a spot instance not relied on; by the type's interruption band where absent"
    )


class SpotConfig(Model):
    """A service's own rules for spot; what is absent is the tier's."""

    max_frac: Fraction | None = None
    least_types: Annotated[int, Field(ge=1, le=16)] | None = None
    buffer_frac: Annotated[float, Field(ge=0, lt=1)] | None = None


class CallConfig(Model):
    """An edge of the call graph: one request to the caller makes ``per_request`` requests to ``service``."""

    service: Name
    per_request: Annotated[float, Field(ge=0)]


class HardLimitConfig(Model):
    """A limit that no instance moves: disk, connections, a third party's quota."""

    metric: Name
    limit: Positive
    unit: str
    remedy: str = "raise the limit"
    lead_time_days: int = Field(14, ge=0)
    regions: list[str] | None = Field(None, description="all regions of the service where absent")


Held = Literal["memory_gib", "network_gbps", "local_ssd_gb"]


class ResourceConfig(Model):
    """What demand needs of a resource beside vCPU, in the unit of its name: given, or learned from a metric.

    Where nothing is fixed it grows with demand, and every instance must hold what its own share of the load needs.
    Where something is, the fleet must hold ``fixed + per_demand x demand`` between its instances.
    """

    name: Held
    per_demand: Annotated[float, Field(ge=0)] | None = Field(None, description="for each unit of demand")
    fixed: Annotated[float, Field(ge=0)] | None = Field(None, description="of the whole fleet, whatever the demand")
    metric: Name | None = Field(
        None, description="learned from its history: bytes, bytes a second, percent of what ran, or the unit itself"
    )
    metric_stat: Literal["avg", "max", "sum", "p95", "p99"] = "avg"
    metric_scale: Positive | None = Field(
        None, description="amount of the resource in one of the metric; known for bytes and percent"
    )
    per_instance: float = Field(0.0, ge=0, description="what each instance needs of it for itself")
    usable_frac: Annotated[float, Field(gt=0, le=1)] = Field(0.9, description="share of an instance's that may be used")

    @model_validator(mode="after")
    def _source(self) -> Self:
        given = self.per_demand is not None or self.fixed is not None
        if given == (self.metric is not None):
            raise ValueError(f"{self.name}: give per_demand or fixed (or both), or a metric to learn them from")
        if given and not (self.per_demand or self.fixed):
            raise ValueError(f"{self.name}: per_demand and fixed are both 0: nothing is needed; leave the resource out")
        if self.metric_scale is not None and self.metric is None:
            raise ValueError(f"{self.name}: metric_scale belongs to metric")
        return self


class FailoverConfig(Model):
    """Where the traffic of a lost region goes: evenly to the service's others where ``to`` is absent."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)

    from_: str = Field(alias="from", description="a region of the service, or any")
    to: dict[str, Annotated[float, Field(gt=0, le=1)]] | None = Field(
        None, description="region -> share of the lost region's demand; what is left over is not served"
    )

    @model_validator(mode="after")
    def _shares(self) -> Self:
        if self.to is not None and not self.to:
            raise ValueError("to: found no region; name some, or leave it out to share evenly")
        if self.to and sum(self.to.values()) > 1.0 + 1e-9:
            raise ValueError(f"to: the shares add up to {sum(self.to.values()):g}; at most 1 is allowed")
        if self.to and self.from_ in self.to:
            raise ValueError(f"to: '{self.from_}' cannot take its own traffic")
        if self.to and self.from_ == ANY_REGION:
            raise ValueError("to: with from: any the others share evenly; name the region to give shares")
        return self


# Stands for every region of a service, in a failover.
ANY_REGION = "any"


class CandidateConfig(Model):
    """Which instance types may serve this."""

    architectures: list[Literal["x86_64", "arm64"]] = ["x86_64", "arm64"]
    allow_families: list[str] | None = None
    deny_families: list[str] = []
    min_memory_gib_per_vcpu: float = Field(0.0, ge=0)
    min_vcpu: int = Field(2, ge=1)
    max_vcpu: int = Field(96, ge=1)
    burstable: bool = False
    burstable_baseline_frac: Annotated[float, Field(gt=0, le=1)] | None = Field(
        None, description="share of each vCPU of a burstable type that counts; its known baseline where absent"
    )
    current_generation_only: bool = True
    prefer_newer_frac: Annotated[float, Field(ge=0, lt=1)] = Field(
        0.0, description="a newer generation goes before an older one that is at most so much cheaper"
    )
    arm_per_core_scale: float = Field(1.0, gt=0, description="measured: arm64 throughput per vCPU over x86_64's")
    performance_scale: dict[str, Positive] = Field(
        {}, description="measured: type or family -> throughput per vCPU over that of an x86_64 one (of m5)"
    )
    scale_by: Literal["vcpu", "hardware"] = Field(
        "vcpu", description="of what was not measured: a vCPU is a vCPU, or clock x IPC of the catalogue over m5's"
    )
    max_types: int = Field(12, ge=1, le=64, description="kept for the model; the loss by pruning is stated")

    @model_validator(mode="after")
    def _something_is_left(self) -> Self:
        problems = []
        if self.min_vcpu > self.max_vcpu:
            problems.append(f"min_vcpu: found {self.min_vcpu}; allowed: at most max_vcpu ({self.max_vcpu})")
        if not self.architectures:
            problems.append("architectures: found none; allowed: x86_64, arm64 or both")
        if problems:
            raise ValueError("; ".join(problems))
        return self


class ServiceConfig(Model):
    """A workload of the company. The planning unit is (service, region)."""

    name: Name
    tier: Name
    team: str = ""
    kind: Literal["fleet", "vertical", "usage_priced"] = "fleet"
    regions: list[str] = Field(min_length=1)
    account_id: str | None = Field(None, description="read from the fleet where absent")
    time_zone: TimeZone = "UTC"
    country_holidays: CountryHolidays | None = Field(
        None, description="countries whose holidays its demand may feel: DE, or [DE-BY, AT]; the config's where absent"
    )
    demand_metric: Name = "requests_per_second"
    demand_stat: Literal["avg", "sum", "max"] = "avg"
    peak_stat: Literal["avg", "max", "p95", "p99"] = Field("avg", description="the hourly statistic behind the peak")
    burst_factor: float | None = Field(
        None, ge=1, description="peak inside an hour over its mean; learned from points of 60 s and 300 s where absent"
    )
    utilisation_metric: str | None = Field("cpu_percent", description="turned into busy vCPU with the fleet that ran")
    autoscaled: bool = False
    scale_out_minutes: Positive = Field(
        10.0, description="from a rise in demand to an instance that serves it: alarm, boot, warm-up"
    )
    scale_out_per_minute: Positive | None = Field(
        None, description="instances that come a minute once they come; taken to be enough where absent"
    )
    zones: int = Field(3, ge=1, le=6)
    min_instances_per_zone: int = Field(1, ge=0)
    max_instances_per_zone: int = Field(200, ge=1)
    slo_p99_ms: Positive | None = None
    service_time_ms: Positive | None = None
    service_time_cv2: float = Field(1.0, ge=0, description="squared coefficient of variation of the service time")
    arrival_cv2: float = Field(1.0, ge=0)
    max_utilisation_frac: Annotated[float, Field(gt=0, le=1)] = Field(0.7, description="rho* where no SLO is given")
    load_tested: dict[str, Positive] = Field({}, description="instance type -> demand served within the SLO")
    load_tests: list[LoadTestConfig] = Field([], description="files of load tests, read for what a type serves")
    candidates: CandidateConfig = CandidateConfig()
    resources: list[ResourceConfig] = Field([], description="what demand needs beside vCPU")
    least_types: int = Field(1, ge=1, le=16, description="instance types that must run at all times")
    spot: SpotConfig = SpotConfig()
    failover: list[FailoverConfig] = Field([], description="losses of a region that the others must carry")
    hard_limits: list[HardLimitConfig] = []
    third_parties: list[ThirdPartyConfig] = Field([], description="what others let it ask of them, for peak events")
    calls: list[CallConfig] = []

    @model_validator(mode="after")
    def _mix_fits(self) -> Self:
        problems = [f"resources: {n} is given twice" for n in _twice([r.name for r in self.resources])]
        if self.least_types > self.candidates.max_types:
            problems.append(
                f"least_types: found {self.least_types}, more than candidates.max_types ({self.candidates.max_types})"
            )
        if self.kind == "vertical" and self.least_types > 1:
            problems.append("least_types: a vertical service runs one type; allowed: 1")
        if self.min_instances_per_zone > self.max_instances_per_zone:
            problems.append(
                f"min_instances_per_zone: found {self.min_instances_per_zone}; allowed: at most "
                f"max_instances_per_zone ({self.max_instances_per_zone})"
            )
        problems += _failover_problems(self.failover, self.regions)
        if problems:
            raise ValueError("; ".join(problems))
        return self

    @model_validator(mode="after")
    def _slo_has_service_time(self) -> Self:
        if (self.slo_p99_ms is None) != (self.service_time_ms is None):
            raise ValueError("slo_p99_ms and service_time_ms belong together: give both or neither")
        return self


def _failover_problems(rules: list[FailoverConfig], regions: list[str]) -> list[str]:
    known = [*regions, ANY_REGION]
    named = [(r, "from", r.from_, known) for r in rules] + [(r, "to", t, regions) for r in rules for t in r.to or ()]
    return [
        *(
            f"failover: {key} names '{name}', which is no region of the service{did_you_mean(name, allowed)}"
            for _, key, name, allowed in named
            if name not in allowed
        ),
        *(f"failover: from '{n}' is given twice" for n in _twice([r.from_ for r in rules])),
        *(["failover: needs a service in two regions or more"] if rules and len(regions) < 2 else []),
    ]


def _twice(names: Sequence[str]) -> list[str]:
    return sorted({n for n in names if list(names).count(n) > 1})


# --- outages -----------------------------------------------------------------------------------------------


class OutageConfig(Model):
    """A window in which what was measured is not what was asked for.

    ``outage``: masked before any fit. ``throttled``: demand was at least what was served.
    """

    start: datetime
    end: datetime
    services: list[Name] | None = None
    regions: list[str] | None = None
    kind: Literal["outage", "throttled"] = "outage"

    @model_validator(mode="after")
    def _order(self) -> Self:
        if self.start.tzinfo is None or self.end.tzinfo is None:
            raise ValueError("start and end need a zone, e.g. 2026-03-01T09:00:00Z")
        if self.end <= self.start:
            raise ValueError("end must be after start")
        return self
