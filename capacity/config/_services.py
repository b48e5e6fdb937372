"""Services and tiers, events and outages: what is planned for, and what happens to it."""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from capacity.config._base import Fraction, Model, Name, Positive, TimeZone
from capacity.config._holidays import CountryHolidays

# --- services and tiers ------------------------------------------------------------------------------------


class TierConfig(Model):
    """What a class of services is promised."""

    name: Name
    service_level: Annotated[float, Field(ge=0.5, lt=1)] = Field(0.95, description="P: share of futures that must fit")
    zones_survived: int = Field(1, ge=0, le=3)
    min_headroom_frac: Annotated[float, Field(ge=0, lt=0.9)] = 0.2
    zone_loss_utilisation_frac: Fraction = Field(0.9, description="utilisation allowed while a zone is lost")
    spot_max_frac: Fraction = 0.0


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


class CandidateConfig(Model):
    """Which instance types may serve this."""

    architectures: list[Literal["x86_64", "arm64"]] = ["x86_64", "arm64"]
    allow_families: list[str] | None = None
    deny_families: list[str] = []
    min_memory_gib_per_vcpu: float = Field(0.0, ge=0)
    min_vcpu: int = Field(2, ge=1)
    max_vcpu: int = Field(96, ge=1)
    burstable: bool = False
    current_generation_only: bool = True
    arm_per_core_scale: float = Field(1.0, gt=0, description="measured: arm64 throughput per vCPU over x86_64's")
    max_types: int = Field(12, ge=1, le=64, description="kept for the model; the loss by pruning is stated")


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
    zones: int = Field(3, ge=1, le=6)
    min_instances_per_zone: int = Field(1, ge=0)
    max_instances_per_zone: int = Field(200, ge=1)
    slo_p99_ms: Positive | None = None
    service_time_ms: Positive | None = None
    service_time_cv2: float = Field(1.0, ge=0, description="squared coefficient of variation of the service time")
    arrival_cv2: float = Field(1.0, ge=0)
    max_utilisation_frac: Annotated[float, Field(gt=0, le=1)] = Field(0.7, description="rho* where no SLO is given")
    load_tested: dict[str, Positive] = Field({}, description="instance type -> demand served within the SLO")
    candidates: CandidateConfig = CandidateConfig()
    hard_limits: list[HardLimitConfig] = []
    calls: list[CallConfig] = []

    @model_validator(mode="after")
    def _slo_has_service_time(self) -> Self:
        if (self.slo_p99_ms is None) != (self.service_time_ms is None):
            raise ValueError("slo_p99_ms and service_time_ms belong together: give both or neither")
        return self


# --- events, growth, costs, policy -------------------------------------------------------------------------


class EventConfig(Model):
    """A dated event: a multiplier on the forecast without it, an absolute target, or what it did the times before."""

    name: Name
    start: datetime
    end: datetime
    services: list[Name] = Field(min_length=1, description="where it enters; the call graph carries it on")
    regions: list[str] | None = None
    multiplier: Positive | None = Field(None, description="learned from `past` where neither it nor target is given")
    target: Positive | None = Field(None, description="absolute peak demand of each named service and region")
    ramp_minutes: int = Field(60, ge=0, description="from normal to full")
    past: list[tuple[date, date]] = Field(
        [], description="earlier occurrences, first and last local day: never learned as base demand"
    )

    @property
    def is_learned(self) -> bool:
        """Whether its size comes from its past occurrences."""
        return self.multiplier is None and self.target is None

    @model_validator(mode="after")
    def _shape(self) -> Self:
        if self.multiplier is not None and self.target is not None:
            raise ValueError("give one of multiplier and target, not both")
        if self.is_learned and not self.past:
            raise ValueError("give exactly one of multiplier and target, or past dates to learn the multiplier from")
        for first, last in self.past:
            if last < first:
                raise ValueError(f"past: {last} is before {first}; give the first day, then the last")
        if self.start.tzinfo is None or self.end.tzinfo is None:
            raise ValueError("start and end need a zone, e.g. 2026-11-27T00:00:00Z")
        if self.end <= self.start:
            raise ValueError("end must be after start")
        return self


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
