"""The config file: pydantic models over strict YAML.

Paths in a config are relative to the file that holds them. Every fault names the file, the line, the key,
what was found and what is allowed; all faults of a file are told at once.
"""

from __future__ import annotations

import difflib
import hashlib
import json
import os
from collections.abc import Mapping
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Literal, Self, TypeVar
from zoneinfo import ZoneInfo, available_timezones

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    PrivateAttr,
    ValidationError,
    model_validator,
)

from capacity import strict_yaml
from capacity.errors import ConfigError

M = TypeVar("M", bound=BaseModel)
Name = Annotated[str, Field(min_length=1, max_length=120)]
Fraction = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[float, Field(gt=0)]


def _zone(value: str) -> str:
    if value not in available_timezones():
        near = difflib.get_close_matches(value, available_timezones(), 1)
        raise ValueError(f"not an IANA time zone{f'; did you mean {near[0]}?' if near else ''}")
    return value


TimeZone = Annotated[str, AfterValidator(_zone)]


class Model(BaseModel):
    """Base of all config models: frozen, and an unknown key is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True, coerce_numbers_to_str=True)


# --- sources -----------------------------------------------------------------------------------------------


class FileSource(Model):
    """CSV or Parquet files of one canonical frame (``path`` may hold * and **; a folder means all files in it)."""

    kind: Literal["files"]
    name: Name
    frame: Literal["usage", "fleet", "commitments", "quotas", "prices"]
    path: str
    # What a bare series file (ts,value or ds,y) does not say itself. ``{stem}`` stands for the file's name.
    defaults: dict[str, str | int | float] = {}
    columns: dict[str, str] = Field({}, description="canonical column -> column in the file")
    # An explicit choice, never a default: old recordings played as if they were recent.
    redate_weeks: int = Field(0, ge=0, le=5000, description="shift every time stamp forward by whole weeks")
    time_zone: TimeZone = Field("UTC", description="zone of time stamps that name none")


class BillSource(Model):
    """Billing files in FOCUS form (1.0 to 1.4), CSV (plain or gzip) or Parquet."""

    kind: Literal["focus_files"]
    name: Name
    path: str
    defaults: dict[str, str] = Field({}, description="FOCUS column that the files lack -> its value in every row")


class CloudWatchMetric(Model):
    """One CloudWatch metric and the canonical series it becomes."""

    namespace: str
    metric_name: str
    stat: str = Field("Average", description="Average, Sum, Maximum, Minimum, SampleCount or a percentile such as p99")
    dimensions: dict[str, str] = {}
    service: Name
    metric: Name
    unit: str
    per_second: bool = Field(False, description="divide a Sum by its period: a count becomes a rate")


class CloudWatchSource(Model):
    """CloudWatch GetMetricData in one account and region."""

    kind: Literal["cloudwatch"]
    name: Name
    region: str
    account_id: str
    profile: str | None = None
    endpoint_url: str | None = Field(None, description="another endpoint, for tests and private links")
    period_seconds: int = Field(3600, ge=60)
    days: int = Field(14, ge=1, le=455)
    overlap_hours: int = Field(3, ge=0, description="read again on each ingest: late points")
    metrics: list[CloudWatchMetric] = Field(min_length=1)


SourceConfig = Annotated[FileSource | BillSource | CloudWatchSource, Field(discriminator="kind")]


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
    demand_metric: Name = "requests_per_second"
    demand_stat: Literal["avg", "sum", "max"] = "avg"
    peak_stat: Literal["avg", "max", "p95", "p99"] = Field("avg", description="the hourly statistic behind the peak")
    burst_factor: float = Field(1.0, ge=1, description="peak inside an hour over its mean")
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
    """A dated event: a multiplier on the forecast without it, or an absolute target, never both."""

    name: Name
    start: datetime
    end: datetime
    services: list[Name] = Field(min_length=1, description="where it enters; the call graph carries it on")
    regions: list[str] | None = None
    multiplier: Positive | None = None
    target: Positive | None = Field(None, description="absolute peak demand of each named service and region")
    ramp_minutes: int = Field(60, ge=0, description="from normal to full")
    past: list[tuple[date, date]] = Field([], description="earlier occurrences: masked, never learned as base demand")

    @model_validator(mode="after")
    def _shape(self) -> Self:
        if (self.multiplier is None) == (self.target is None):
            raise ValueError("give exactly one of multiplier and target")
        if self.start.tzinfo is None or self.end.tzinfo is None:
            raise ValueError("start and end need a zone, e.g. 2026-11-27T00:00:00Z")
        if self.end <= self.start:
            raise ValueError("end must be after start")
        return self


class OutageConfig(Model):
    """A window that is not demand: masked before any fit."""

    start: datetime
    end: datetime
    services: list[Name] | None = None
    regions: list[str] | None = None


class AttributionRule(Model):
    """Bill rows whose columns all match go to ``service`` (or, with ``tag``, to the service the tag names)."""

    name: Name
    service: Name | None = None
    pool: Name | None = Field(None, description="to a shared pool instead of a service")
    service_from_tag: str | None = Field(None, description="the tag whose value names the service")
    match: dict[str, str] = Field({}, description="FOCUS column -> regular expression that must match it whole")
    tags: dict[str, str] = Field({}, description="tag -> regular expression that must match its value whole")

    @model_validator(mode="after")
    def _one_target(self) -> Self:
        if sum(x is not None for x in (self.service, self.pool, self.service_from_tag)) != 1:
            raise ValueError("give exactly one of service, pool and service_from_tag")
        return self


class PoolConfig(Model):
    """A shared cost and how it is split over services."""

    name: Name
    split: Literal["even", "fixed", "cost", "usage"] = "cost"
    shares: dict[Name, Positive] = Field({}, description="for fixed: service -> weight")
    metric: str | None = Field(None, description="for usage: the metric whose sum is the weight")

    @model_validator(mode="after")
    def _needs(self) -> Self:
        if (self.split == "fixed") != bool(self.shares):
            raise ValueError("shares belong to split: fixed, and it needs them")
        if (self.split == "usage") != (self.metric is not None):
            raise ValueError("metric belongs to split: usage, and it needs one")
        return self


class CostsConfig(Model):
    rules: list[AttributionRule] = []
    pools: list[PoolConfig] = []
    tax_pool: Name | None = Field(None, description="pool of Tax rows that no rule takes")
    credit_pool: Name | None = Field(None, description="pool of Credit and refund rows that no rule takes")


class BudgetConfig(Model):
    month: Annotated[str, Field(pattern=r"^\d{4}-\d{2}$")]
    amount: Decimal


class LeadTimes(Model):
    """Days between deciding and having, by remedy; order-by date = P10 date - lead time."""

    quota: int = Field(14, ge=0)
    scale_out: int = Field(1, ge=0)
    migration: int = Field(45, ge=0)
    commitment: int = Field(7, ge=0)
    procurement: int = Field(30, ge=0)


class OptimizeConfig(Model):
    time_limit_seconds: float = Field(30.0, gt=0)
    gap_frac: float = Field(0.002, ge=0)
    solver: Literal["highs", "cbc"] = "highs"
    most_types: int | None = Field(2, ge=1, le=2, description="instance types a service may mix; null: as many as pay")
    load_blocks: int = Field(4, ge=1, le=24)
    switching_penalty_frac: float = Field(0.02, ge=0, description="of a type's price, for leaving the running fleet")


class ForecastConfig(Model):
    horizon_days: int = Field(182, ge=7, le=730)
    history_days: int = Field(1095, ge=14)
    past_origins: int = Field(4, ge=1, le=24)
    paths: int = Field(1000, ge=50, le=10_000)
    workers: int | None = Field(None, ge=1, description="processes; the number of cores where absent")
    stale_after_days: int = Field(3, ge=0, description="usage older than this at as_of is an error (exit 3)")


class Config(Model):
    """A whole config file. ``load`` is the way in."""

    version: Literal[1]
    company: Name
    currency: Annotated[str, Field(pattern=r"^[A-Z]{3}$")] = "USD"
    store: str = ".capacity/store"
    seed: int = Field(1, ge=0)
    as_of: datetime | None = None
    sources: list[SourceConfig] = []
    tiers: list[TierConfig] = Field(min_length=1)
    services: list[ServiceConfig] = Field(min_length=1)
    events: list[EventConfig] = []
    outages: list[OutageConfig] = []
    costs: CostsConfig = CostsConfig()
    budgets: list[BudgetConfig] = []
    lead_times: LeadTimes = LeadTimes()
    forecast: ForecastConfig = ForecastConfig()
    optimize: OptimizeConfig = OptimizeConfig()
    scenarios: list[str] = Field([], description="scenario files, relative to this one")

    _path: Path = PrivateAttr(default=Path("config.yaml"))

    @model_validator(mode="after")
    def _names_refer(self) -> Self:
        problems = [*_repeated(self), *_dangling(self)]
        if problems:
            raise ValueError("; ".join(problems))
        return self

    @property
    def path(self) -> Path:
        """The file this config was read from."""
        return self._path

    def resolve(self, path: str) -> Path:
        """``path`` as written in the config, with ~ and $VARIABLES, made absolute against the config's folder.

        Raises
        ------
        ConfigError
            It names an environment variable that is not set.
        """
        expanded = os.path.expandvars(path)
        if "$" in expanded:
            raise ConfigError([f"{self._path}: path '{path}' names an environment variable that is not set"])
        return (self._path.parent / Path(expanded).expanduser()).absolute()

    def tier(self, name: str) -> TierConfig:
        return next(t for t in self.tiers if t.name == name)

    def service(self, name: str) -> ServiceConfig:
        return next(s for s in self.services if s.name == name)

    def digest(self) -> str:
        """SHA-256 of what this config asks for.

        Comments do not count, nor where data comes from (a plan records the store's versions), nor how many workers
        share the work.
        """
        elsewhere: Any = {"store": True, "sources": True, "scenarios": True, "forecast": {"workers"}}
        text = json.dumps(self.model_dump(mode="json", exclude=elsewhere), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()


def _repeated(config: Config) -> list[str]:
    out = []
    for kind, names in (
        ("tier", [t.name for t in config.tiers]),
        ("service", [s.name for s in config.services]),
        ("event", [e.name for e in config.events]),
        ("source", [s.name for s in config.sources]),
        ("pool", [p.name for p in config.costs.pools]),
    ):
        out += [f"{kind} '{n}' is given twice" for n in sorted({n for n in names if names.count(n) > 1})]
    return out


def _dangling(config: Config) -> list[str]:
    services, tiers = [s.name for s in config.services], [t.name for t in config.tiers]
    pools = [p.name for p in config.costs.pools]
    wanted: list[tuple[str, str, list[str]]] = []
    for s in config.services:
        wanted.append((f"services '{s.name}': tier", s.tier, tiers))
        wanted += [(f"services '{s.name}': calls", c.service, services) for c in s.calls]
    for e in config.events:
        wanted += [(f"events '{e.name}': services", n, services) for n in e.services]
    for r in config.costs.rules:
        wanted += [(f"rules '{r.name}': pool", r.pool, pools)] if r.pool else []
    for key, pool in (("tax_pool", config.costs.tax_pool), ("credit_pool", config.costs.credit_pool)):
        wanted += [(f"costs {key}", pool, pools)] if pool else []
    return [
        f"{where} names '{name}', which is not defined{_did_you_mean(name, known)}"
        for where, name, known in wanted
        if name not in known
    ]


def _did_you_mean(name: str, known: list[str]) -> str:
    near = difflib.get_close_matches(name, known, 1)
    return f"; did you mean '{near[0]}'?" if near else f"; known: {', '.join(known[:12])}"


# --- reading -----------------------------------------------------------------------------------------------


def load(path: Path | str) -> Config:
    """Read and validate a config file.

    Raises
    ------
    ConfigError
        One line a fault: file, line, key, what was found, what is allowed.
    """
    document = strict_yaml.load(Path(path))
    config = validate(Config, document)
    config._path = Path(path).absolute()
    return config


def dump(config: Config) -> str:
    """``config`` as YAML that :func:`load` reads back; what is left at its default is left out."""
    import yaml

    plain = config.model_dump(mode="json", exclude_defaults=True, by_alias=True)
    plain["version"] = config.version
    for source, known in zip(plain.get("sources", []), config.sources, strict=True):
        source["kind"] = known.kind
    return yaml.safe_dump(plain, sort_keys=False, allow_unicode=True, width=110)


def validate(model: type[M], document: strict_yaml.Document) -> M:
    """``document`` as a ``model``, or a :class:`ConfigError` that names every fault with its line."""
    if not isinstance(document.data, dict):
        raise ConfigError([f"{document.path}:1: found a {type(document.data).__name__}; a mapping of keys is allowed"])
    try:
        return model.model_validate(document.data)
    except ValidationError as error:
        raise ConfigError([describe(e, model, document) for e in error.errors()]) from None


def describe(error: Mapping[str, Any], model: type[BaseModel], document: strict_yaml.Document) -> str:
    """One pydantic error as 'file:line: key: what was found; what is allowed'."""
    loc = _plain_loc(error["loc"], document.data)
    where = f"{document.path}:{document.line(loc)}"
    key = ".".join(str(p) for p in loc) or "(the whole file)"
    found = f"found {_short(error.get('input'))}"
    if error["type"] == "extra_forbidden":
        known = _keys_at(model, error["loc"][:-1])
        return f"{where}: {key}: unknown key{_did_you_mean(str(loc[-1]), known)}"
    if error["type"] == "missing":
        return f"{where}: {key}: missing; this key is required"
    if error["type"] == "value_error":
        return f"{where}: {key}: {error['ctx']['error']}"
    if error["type"] in ("union_tag_invalid", "union_tag_not_found"):
        return f"{where}: {key}.kind: {_kind_problem(error)}"
    return f"{where}: {key}: {found}; allowed: {error['msg'][0].lower()}{error['msg'][1:]}"


def _kind_problem(error: Mapping[str, Any]) -> str:
    if error["type"] == "union_tag_not_found":
        return "missing; this key is required"
    return f"found '{error['ctx']['tag']}'; allowed: {error['ctx']['expected_tags']}"


def _plain_loc(loc: tuple[str | int, ...], data: Any) -> tuple[str | int, ...]:
    """Pydantic's location without the union tags, which are no keys of the file."""
    out: list[str | int] = []
    for i, part in enumerate(loc):
        is_key = isinstance(data, dict) and part in data
        is_item = isinstance(data, list) and isinstance(part, int) and part < len(data)
        if is_key or is_item:
            data = data[part]
        elif i < len(loc) - 1:
            continue
        out.append(part)
    return tuple(out)


def _keys_at(model: type[BaseModel], loc: tuple[str | int, ...]) -> list[str]:
    """Known keys of the model at ``loc``."""
    current: Any = model
    for part in loc:
        if isinstance(part, int):
            continue
        tagged = [m for m in _models_in(current) if _tag(m) == part]
        if tagged:
            current = tagged[0]
            continue
        fields = [m.model_fields[part].annotation for m in _models_in(current) if part in m.model_fields]
        current = fields[0] if fields else None
    return sorted({k for m in _models_in(current) for k in m.model_fields})


def _tag(model: type[BaseModel]) -> str | None:
    kind = model.model_fields.get("kind")
    args = getattr(kind.annotation, "__args__", ()) if kind else ()
    return args[0] if args else None


def _models_in(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [m for arg in getattr(annotation, "__args__", ()) for m in _models_in(arg)]


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def zone(name: str) -> ZoneInfo:
    return ZoneInfo(name)
