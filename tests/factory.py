"""Whole plans for tests: consistent with themselves, made from a seed, with no run of the pipeline.

``make_plan()`` is a believable company of a dozen services; ``make_plan(ugly=True)`` is the same with hostile names,
None wherever it is allowed, empty frames and one-point histories; ``services=0`` and ``services=300`` are the ends.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from functools import lru_cache
from pathlib import Path

import numpy as np
import pandas as pd

from capacity import plan as plans
from capacity.domain import EventVerdict, Interval, Provenance, Remedy, TieOut, Unit
from capacity.plan import (
    FRAMES,
    CostMonth,
    EventSummary,
    Finding,
    Freshness,
    LimitOutlook,
    MixLine,
    MixSummary,
    Plan,
    SpendMonth,
    UnitPlan,
)

UTC = UTC
AS_OF = datetime(2026, 10, 5, 6, tzinfo=UTC)
START, DAYS = date(2026, 10, 5), 182
END = START + timedelta(days=DAYS - 1)
DAY_INDEX = pd.date_range(str(START), periods=DAYS, freq="D", tz="UTC")
MONTH_OF_DAY = DAY_INDEX.strftime("%Y-%m")
BLOCKS = (("b1", 0.1, 1.0), ("b2", 0.25, 0.8), ("b3", 0.35, 0.6), ("b4", 0.3, 0.35))  # name, share of hours, load
MONTHS = ("2026-10", "2026-11", "2026-12", "2027-01", "2027-02", "2027-03", "2027-04")
MONTH_HOURS = (27 * 24, 30 * 24, 31 * 24, 31 * 24, 28 * 24, 31 * 24, 4 * 24)
CLOSED = ("2026-04", "2026-05", "2026-06", "2026-07", "2026-08", "2026-09")
Z = {"q025": -1.96, "q05": -1.645, "q10": -1.282, "q50": 0.0, "q90": 1.282, "q95": 1.645, "q975": 1.96, "q99": 2.326}
NAMES = (
    "checkout", "search", "catalog", "cart", "payments", "orders-db", "recommendations", "pricing", "media-store",
    "notifications", "identity", "fulfilment",
)  # fmt: skip
# (type, vCPU, on-demand $/h): what runs, and what is recommended in its place
RUNNING = (("m6i.2xlarge", 8, 0.384), ("c6i.2xlarge", 8, 0.34), ("r6i.xlarge", 4, 0.252))
BETTER = (("m7g.2xlarge", 8, 0.3264), ("c7g.2xlarge", 8, 0.2896), ("r7g.xlarge", 4, 0.2142))
HOSTILE = (
    "</script><img src=http://evil.example/x onerror=alert(1)>",
    "![](http://evil.example/x.png)",
    '=HYPERLINK("http://evil.example")',
    "an-extremely-long-service-name-that-nobody-should-ever-have-chosen-but-somebody-did",
    "<script>alert('x')</script>",
    "@SUM(1+1)*cmd|' /C calc'!A0",
    "{{ 7*7 }} {% raw %} & \"quotes\" 'too'",
    "javascript:alert(1)",
    "]]></svg><svg onload=alert(1)>",
    "naïve — 小売 \u202egnp.exe",
    "-3",
    "a\tb\nc",
)


def make_plan(services: int = 12, seed: int = 1, scenario: str = "base", ugly: bool = False) -> Plan:
    """A plan of ``services`` services (every fifth in two regions) over 26 weeks from 2026-10-05.

    Parameters
    ----------
    services
        0 gives a plan with no unit and no frame rows.
    scenario
        Any name but "base" raises demand by 40 %.
    ugly
        Hostile and very long names, None where a field allows it, zero rows, one-point histories.
    """
    rng = np.random.default_rng(seed)
    growth = 1.0 if scenario == "base" else 1.4
    made = [_Maker(i, name, region, rng, growth) for i, (name, region) in enumerate(_unit_names(services, ugly))]
    units = tuple(m.unit_plan() for m in made)
    frames = {name: _join(name, [m.frame(name) for m in made]) for name in FRAMES}
    frames.update(_money_frames(made, rng))
    costs = _cost_months(frames["cost"])
    spend = _spend(made)
    result = Plan(
        company="Lindenshop" if not ugly else HOSTILE[0],
        currency="USD",
        as_of=AS_OF,
        scenario=scenario,
        description="Demand as forecast" if scenario == "base" else "Demand up by 40 %",
        horizon_start=START,
        horizon_end=END,
        provenance=Provenance(
            config_digest="sha256:5f2d0a9c1be47f10",
            scenario=scenario,
            store_versions={"usage": 14, "fleet": 9, "cost": 6, "prices": 3},
            catalogue_version="2026-09-18",
            as_of=AS_OF,
            seed=seed,
            package_version="0.1.0",
            reproducible=True,
            sources=("usage: fixtures/data/usage.parquet", "bills: fixtures/data/focus-2026-09.csv"),
        ),
        units=units,
        mix=_mix_summary(made),
        costs=costs,
        spend=spend,
        spend_note="Driver-based on amortised cost; backtested variance 9.4 % over 6 months (grade: run).",
        tie_outs=_tie_outs(costs),
        events=_events(made),
        findings=_findings(units, spend),
        violations=tuple(
            f"{u.unit}: headroom falls to {u.headroom_min_frac:.0%}, policy {u.headroom_policy_frac:.0%}"
            for u in units
            if u.headroom_min_frac is not None and u.headroom_min_frac < 0
        )[:3],
        freshness=(
            Freshness("prometheus", "usage", datetime(2026, 10, 4, 23, tzinfo=UTC), 0.29, False),
            Freshness("aws-bill", "cost", datetime(2026, 9, 30, 23, tzinfo=UTC), 4.3, False),
            Freshness("asg-export", "fleet", datetime(2026, 8, 1, tzinfo=UTC), 65.25, True),
        ),
        frames=frames,
    )
    return _spoil(result) if ugly else result


@lru_cache(maxsize=8)
def known_plan(services: int = 12, seed: int = 1, scenario: str = "base", ugly: bool = False) -> Plan:
    """:func:`make_plan`, made once a process: for tests that only read it."""
    return make_plan(services, seed, scenario, ugly)


def write_plan_dir(path: Path, plan: Plan) -> Path:
    """Write ``plan`` and its frames into folder ``path`` as the pipeline does; returns the path of plan.json."""
    return plans.write(plan, path, {"started": "2026-10-05T06:00:00Z", "seconds": 12.5})


# --- one unit ------------------------------------------------------------------------------------------------


@dataclass
class _Maker:
    """Numbers of one unit, drawn once; every field and frame row of the unit is derived from them."""

    i: int
    service: str
    region: str
    rng: np.random.Generator
    scale: float

    def __post_init__(self) -> None:
        r = self.rng
        self.kind = "vertical" if self.i % 12 == 5 else "usage_priced" if self.i % 12 == 8 else "fleet"
        self.peak = float(np.exp(r.uniform(np.log(120), np.log(6000))))
        self.growth = float(r.uniform(-0.1, 0.7))
        self.level = (0.9, 0.95, 0.99)[self.i % 3]
        self.ts = DAY_INDEX
        t = np.arange(DAYS)
        season = 1 + 0.06 * np.sin(2 * np.pi * t / 7) + 0.12 * np.exp(-(((t - 53) / 12.0) ** 2))
        self.median = self.scale * self.peak * np.exp(self.growth * t / 365) * season
        self.sigma = 0.03 + 0.08 * np.sqrt((t + 1) / DAYS)
        type_at = self.i % len(RUNNING)
        self.old, self.new = RUNNING[type_at], BETTER[type_at]
        self.per_instance = float(r.uniform(60, 160))
        self.instances = 3 * int(np.ceil(self.peak * r.uniform(1.15, 1.9) / self.per_instance / 3))
        self.safe = self.instances * self.per_instance * 0.9
        need = self.scale * np.array([self._month(m).max() for m in MONTHS]) * 1.18 / self.scale
        self.need = [3 * max(1, int(np.ceil(x / (self.per_instance * 1.12) / 3))) for x in need]
        self.bill = [float(self.instances * self.old[2] * 730 * r.uniform(0.97, 1.03)) for _ in CLOSED]

    def _month(self, month: str) -> np.ndarray:
        return np.asarray(self.median[month == MONTH_OF_DAY])

    def quantile(self, z: float) -> np.ndarray:
        return self.median * np.exp(z * self.sigma)

    def probability(self, limit: float) -> np.ndarray:
        z = (np.log(limit) - np.log(self.median)) / self.sigma
        over = 1 / (1 + np.exp(1.702 * z))  # the logistic curve nearest to the normal one
        return np.maximum.accumulate(over)

    def limit(self, name: str, kind: str, metric: str, uom: str, at: float, remedy: str, lead: int) -> LimitOutlook:
        p = self.probability(at)
        dates = [self.ts[int(np.argmax(p >= q))].date() if p[-1] >= q else None for q in (0.1, 0.5, 0.9)]
        order = dates[0] - timedelta(days=lead) if dates[0] else None
        return LimitOutlook(
            name=name, kind=kind, metric=metric, unit_of_measure=uom, limit=at, p10=dates[0], p50=dates[1],  # type: ignore[arg-type]
            p90=dates[2], within_horizon=float(p[-1]), remedy=remedy, lead_time_days=lead, order_by=order,
            overdue=order is not None and order < AS_OF.date(),
        )  # fmt: skip

    @property
    def has_fleet(self) -> bool:
        return self.kind != "usage_priced"

    @property
    def limits(self) -> tuple[LimitOutlook, ...]:
        found = []
        if self.has_fleet:
            found.append(self.limit("safe capacity", "fleet", "requests_per_second", "1/s", self.safe,
                                    f"recommended mix: {self.need[-1]} × {self.new[0]}", 45))  # fmt: skip
        if self.kind == "vertical":
            found.append(
                self.limit("connections", "hard", "connections", "1", self.peak * 1.25, "raise max_connections", 14)
            )
        return tuple(found)

    def running_usd(self) -> float:
        """Of the horizon; a usage-priced service has no other fleet to move to and costs its forecast either way."""
        if not self.has_fleet:
            return sum(self.bill[-1] * (1 + 0.02 * k) for k in range(6))
        return self.instances * self.old[2] * sum(MONTH_HOURS)

    def recommended_usd(self) -> float:
        if not self.has_fleet:
            return self.running_usd()
        return float(sum(n * self.new[2] * h for n, h in zip(self.need, MONTH_HOURS, strict=True)))

    def unit_plan(self) -> UnitPlan:
        fleet = self.has_fleet
        z = {0.9: 1.282, 0.95: 1.645, 0.99: 2.326}[self.level]
        head = 1 - self.quantile(z) / self.safe
        cost = "load test" if self.i % 3 == 0 else "fleet history (not load-tested)"
        return UnitPlan(
            service=self.service, region=self.region, tier=("standard", "important", "critical")[self.i % 3],
            team=("shop", "platform", "data")[self.i % 3], kind=self.kind, account_id=f"11111111{self.i:04d}",  # type: ignore[arg-type]
            demand_metric="requests_per_second", demand_unit="1/s", last_point=datetime(2026, 10, 4, 23, tzinfo=UTC),
            forecast_model="weighted median of 9 members",
            forecast_reason="least error at 4 past origins of 182 days; prophet 0.93 of seasonal naive",
            relative_mae=round(float(self.rng.uniform(0.7, 1.05)), 3),
            flags=() if self.i % 3 == 0 else ("not load-tested",),
            peak_recent=self.peak * 1.02,
            peak_horizon=Interval(*(float(self.quantile(z).max()) for z in (-1.282, 0.0, 1.282))),
            safe_now=Interval(self.safe * 0.93, self.safe, self.safe * 1.06) if fleet else None, zones_lost=1,
            utilisation_frac=round(0.5 + 0.02 * (self.i % 10), 2) if fleet else None, cost_basis=cost,
            service_level=self.level, headroom_now_frac=float(head[0]) if fleet else None,
            headroom_min_frac=float(head.min()) if fleet else None, headroom_policy_frac=0.2, limits=self.limits,
            running=(MixLine(self.old[0], self.instances, self.old[2]),) if fleet else (),
            recommended={
                m: (MixLine(self.new[0], n, self.new[2]),) for m, n in zip(MONTHS, self.need, strict=True)
            } if fleet else {},
            running_usd=self.running_usd(), recommended_usd=self.recommended_usd(),
            coverage_min_frac=min(0.999, self.level + 0.012) if fleet else None,
            why=f"{self.new[0]} costs {1 - self.new[2] / self.old[2]:.0%} less an hour than {self.old[0]}; "
            f"{self.need[0]} to {self.need[-1]} instances hold {self.level:.0%} of futures with one zone lost."
            if fleet else "Priced by use: no instances to choose.",
            usd_per_1000=(Decimal(str(round(self.bill[-1] / (self.peak * 0.6 * 86.4 * 30), 6)))),
        )  # fmt: skip

    # --- frames of the unit ---

    def frame(self, name: str) -> pd.DataFrame:
        rows = getattr(self, f"_{name}", None)
        frame = pd.DataFrame(columns=list(FRAMES[name])) if rows is None else rows()
        for column, value in (("service", self.service), ("region", self.region)):
            if rows is not None and column in FRAMES[name]:
                frame[column] = value
        return frame.reindex(columns=list(FRAMES[name]))

    def _forecast(self) -> pd.DataFrame:
        parts = []
        for target, share in (("mean", 0.6), ("peak", 1.0)):
            part = pd.DataFrame({q: self.quantile(z) * share for q, z in Z.items()}).assign(ts=self.ts, target=target)
            parts.append(part.assign(metric="requests_per_second"))
        if self.kind == "vertical":
            level = pd.DataFrame({q: self.quantile(z) for q, z in Z.items()}).assign(ts=self.ts, target="peak")
            parts.append(level.assign(metric="connections"))
        out = pd.concat(parts, ignore_index=True)
        return out.assign(scenario="base" if self.scale == 1 else "other",
                          origin_ts=pd.Timestamp("2026-10-04", tz="UTC"), model="weighted median")  # fmt: skip

    def _history(self) -> pd.DataFrame:
        ts = pd.date_range(end="2026-10-04", periods=365, freq="D", tz="UTC")
        t = np.arange(-365, 0)
        shape = np.exp(self.growth * t / 365) * (1 + 0.06 * np.sin(2 * np.pi * t / 7))
        noisy = self.peak * shape * np.exp(self.rng.normal(0, 0.03, 365))
        parts = [
            pd.DataFrame({"ts": ts, "metric": "requests_per_second", "target": target, "value": noisy * share})
            for target, share in (("mean", 0.6), ("peak", 1.0))
        ]
        if self.kind == "vertical":
            parts.append(pd.DataFrame({"ts": ts, "metric": "connections", "target": "peak", "value": noisy}))
        return pd.concat(parts, ignore_index=True)

    def _headroom(self) -> pd.DataFrame:
        if not self.has_fleet:
            return pd.DataFrame()
        z = {0.9: 1.282, 0.95: 1.645, 0.99: 2.326}[self.level]
        weekly = self.quantile(z).reshape(26, 7).max(axis=1)
        return pd.DataFrame({"week_start": self.ts[::7], "peak_quantile": weekly, "safe": self.safe,
                             "headroom_frac": 1 - weekly / self.safe, "policy_frac": 0.2})  # fmt: skip

    def _saturation(self) -> pd.DataFrame:
        parts = [
            pd.DataFrame({"limit_name": x.name, "ts": self.ts, "probability": self.probability(x.limit)})
            for x in self.limits
        ]
        return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame()

    def _blocks(self) -> pd.DataFrame:
        rows = [
            {"month": m, "block": b, "hours": h * part, "demand": float(self._month(m).max()) * load,
             "required": float(self._month(m).max()) * load * 1.18}
            for m, h in zip(MONTHS, MONTH_HOURS, strict=True)
            for b, part, load in BLOCKS
        ]  # fmt: skip
        return pd.DataFrame(rows)

    def _mix(self) -> pd.DataFrame:
        rows = [
            {"month": m, "instance_type": self.new[0], "per_zone": n // 3, "instances": n, "vcpu": n * self.new[1],
             "usd_per_hour": n * self.new[2]}
            for m, n in zip(MONTHS, self.need, strict=True)
        ]  # fmt: skip
        return pd.DataFrame(rows if self.has_fleet else [])

    def _running(self) -> pd.DataFrame:
        rows = [
            {"month": m, "block": b, "instance_type": self.new[0], "per_zone": n // 3, "instances": n,
             "hours": h * part, "usd": n * self.new[2] * h * part}
            for m, n, h in zip(MONTHS, self.need, MONTH_HOURS, strict=True)
            for b, part, _ in BLOCKS
        ]  # fmt: skip
        return pd.DataFrame(rows if self.has_fleet else [])

    def _spend_plan(self) -> pd.DataFrame:
        rows = []
        for m, n, h in zip(MONTHS, self.need, MONTH_HOURS, strict=True):
            total = n * self.new[2] * h
            rows.append({"month": m, "on_demand_usd": total * 0.7, "committed_usd": total * 0.3, "total_usd": total,
                         "running_total_usd": self.instances * self.old[2] * h})  # fmt: skip
        return pd.DataFrame(rows if self.has_fleet else [])

    def _coverage(self) -> pd.DataFrame:
        cover = min(0.999, self.level + 0.012)
        rows = [{"month": m, "coverage_frac": cover, "required_frac": self.level} for m in MONTHS]
        return pd.DataFrame(rows if self.has_fleet else [])

    def _excuses(self) -> pd.DataFrame:
        rows = [
            {"instance_type": "m5.2xlarge", "reason": "dominated by m6i.2xlarge: no resource more, price not lower"},
            {"instance_type": "t3.2xlarge", "reason": "burstable: candidates.burstable is off"},
        ]
        return pd.DataFrame(rows if self.has_fleet else [])

    def _quality(self) -> pd.DataFrame:
        """Every third unit has something to tell; the first one something grave."""
        scope = f"{self.service}|{self.region} requests_per_second avg every 3600 s in 111122223333"
        row = {"severity": "error" if self.i == 0 else "info", "frame": "usage", "source": "telemetry", "scope": scope,
               "rule": "counter_reset" if self.i == 0 else "gaps", "rows": 3 + self.i, "of": 9000, "column": "value",
               "example": "2026-09-01 04:00Z: 12.5", "message": "3 points missing in 2 gaps (0.1%)"}  # fmt: skip
        return pd.DataFrame([row] if self.i % 3 == 0 else [], columns=list(row))

    def _spend_forecast(self) -> pd.DataFrame:
        if self.region != "us-east-1" and self.i % 2 == 0:
            return pd.DataFrame()
        base = self.bill[-1]
        k = np.arange(6)
        return pd.DataFrame({"month": MONTHS[:6], "q10": base * (0.93 - 0.01 * k), "q50": base * (1 + 0.02 * k),
                             "q90": base * (1.08 + 0.04 * k)})  # fmt: skip


def _unit_names(services: int, ugly: bool) -> list[tuple[str, str]]:
    pool = HOSTILE if ugly else NAMES
    names = [pool[i] if i < len(pool) else f"service-{i:03d}" for i in range(services)]
    units = [(name, "us-east-1") for name in names]
    return units + [(name, "eu-west-1") for name in names[::5]]


def _join(name: str, parts: Sequence[pd.DataFrame]) -> pd.DataFrame:
    filled = [p for p in parts if len(p)]
    return pd.concat(filled, ignore_index=True) if filled else pd.DataFrame(columns=list(FRAMES[name]))


# --- money ---------------------------------------------------------------------------------------------------


def _money(value: float) -> Decimal:
    return Decimal(str(value)).quantize(Decimal("0.000001"))


def _money_frames(made: Sequence[_Maker], rng: np.random.Generator) -> dict[str, pd.DataFrame]:
    if not made:
        return {}
    by_service: dict[str, list[float]] = {}
    work: dict[str, float] = {}
    for m in made:
        old = by_service.get(m.service, [0.0] * len(CLOSED))
        by_service[m.service] = [a + b for a, b in zip(old, m.bill, strict=True)]
        work[m.service] = work.get(m.service, 0.0) + m.peak * 0.6 * 86_400 * 30
    cost, unit_cost = [], []
    for k, month in enumerate(CLOSED):
        for service, bills in by_service.items():
            direct, shared = _money(bills[k]), _money(bills[k] * 0.081)
            cost.append(_cost_row(month, service, "direct", "", direct))
            cost.append(_cost_row(month, service, "shared", "platform", shared))
            units = work[service] * (0.92 + 0.016 * k)
            per = ((direct + shared) * 1000 / Decimal(str(round(units)))).quantize(Decimal("0.000001"))
            unit_cost.append({"month": month, "service": service, "currency": "USD", "effective_cost": direct + shared,
                              "units": units, "usd_per_1000": per})  # fmt: skip
        cost.append(_cost_row(month, "", "unallocated", "", _money(float(rng.uniform(200, 900)))))
    unallocated = [
        {"currency": "USD", "ServiceName": "AWS Glue", "SubAccountId": "111111110000", "rows": 31,
         "EffectiveCost": cost[-1]["EffectiveCost"], "suggested_rule": "match: {ServiceName: AWS Glue}"}
    ]  # fmt: skip
    frames = {"cost": cost, "unit_cost": unit_cost, "unallocated": unallocated}
    return {name: pd.DataFrame(rows)[list(FRAMES[name])] for name, rows in frames.items()}


def _cost_row(month: str, service: str, kind: str, pool: str, effective: Decimal) -> dict[str, object]:
    listed = (effective * Decimal("1.3")).quantize(Decimal("0.000001"))
    contracted = (effective * Decimal("1.1")).quantize(Decimal("0.000001"))
    return {"month": month, "currency": "USD", "service": service, "kind": kind, "pool": pool,
            "BilledCost": effective, "EffectiveCost": effective, "ListCost": listed,
            "ContractedCost": contracted}  # fmt: skip


def _cost_months(cost: pd.DataFrame) -> tuple[CostMonth, ...]:
    out = []
    for month in CLOSED if len(cost) else ():
        rows = cost[cost["month"] == month]
        by_kind = {k: sum(g["EffectiveCost"], Decimal(0)) for k, g in rows.groupby("kind")}
        total = sum(by_kind.values(), Decimal(0))
        billed = sum(rows["BilledCost"], Decimal(0))
        out.append(CostMonth(month, "USD", total, billed, by_kind["direct"], by_kind["shared"], by_kind["unallocated"]))
    return tuple(out)


def _spend(made: Sequence[_Maker]) -> tuple[SpendMonth, ...]:
    base = sum(m.bill[-1] for m in made) * 1.09
    months = []
    for k, month in enumerate(MONTHS[:6] if made else ()):
        mid = base * (1 + 0.022 * k)
        budget = Decimal(str(round(base * 1.07, -2))) if k < 5 else None
        over = None if budget is None else round(min(0.97, 0.02 + 0.11 * k), 2)
        months.append(SpendMonth(month, "USD", mid * (0.96 - 0.008 * k), mid, mid * (1.05 + 0.012 * k), budget, over))
    return tuple(months)


def _tie_outs(costs: Sequence[CostMonth]) -> tuple[TieOut, ...]:
    if not costs:
        return ()
    last = costs[-1]
    rest = {"storage": last.effective * Decimal("0.06"), "data transfer": last.effective * Decimal("0.035")}
    modelled = (last.effective * Decimal("0.92")).quantize(Decimal("0.01"))
    return (TieOut(last.month, "USD", modelled, last.effective, 0.08, rest, 0.015, True),)


def _mix_summary(made: Sequence[_Maker]) -> MixSummary | None:
    if not made:
        return None
    fleets = [m for m in made if m.has_fleet]
    cost = sum(m.recommended_usd() for m in fleets)
    return MixSummary(
        status="feasible", termination="gap reached", solver="HiGHS 1.16.0", objective=cost * 1.004,
        bound=cost * 1.004 * 0.9981, gap_frac=0.0019, prune_loss_frac=0.0025,
        running_usd=sum(m.running_usd() for m in fleets), recommended_usd=cost, months=MONTHS,
        binding=("quota L-1216C47A us-east-1: 1,920 of 1,920 vCPU in 2027-03", "search/us-east-1: minimum per zone"),
        checks=tuple(f"{name}: {rows} rows, worst slack 0.000"
                     for name, rows in (("demand", 336), ("zone loss", 336), ("quotas", 14))),
        notes=("existing Compute Savings Plan ends 2027-02-01",),
    )  # fmt: skip


# --- event, findings -----------------------------------------------------------------------------------------


def _events(made: Sequence[_Maker]) -> tuple[EventSummary, ...]:
    verdicts = tuple(_verdict(m) for m in made if m.has_fleet)
    start = datetime(2026, 11, 27, 5, tzinfo=UTC)
    return (EventSummary("black-friday", start, start + timedelta(days=1), verdicts),) if made else ()


def _verdict(m: _Maker) -> EventVerdict:
    factor = 1.6 if m.i % 2 else 1.25
    p50, p95 = float(m.median[53] * factor), float(m.quantile(1.645)[53] * factor)
    go = p95 <= m.safe * 1.3
    return EventVerdict(
        event="black-friday", unit=Unit(m.service, m.region), go=go, demand_p50=p50, demand_p95=p95, safe_now=m.safe,
        safe_at_group_maximum=m.safe * 1.3, probability_holds=0.985 if go else 0.41, multiplier=factor,
        propagated_from=() if m.i % 2 else ("checkout/us-east-1",),
        reasons=(f"P95 demand {p95:,.0f} 1/s against {m.safe * 1.3:,.0f} 1/s at the group maximum, one zone lost",),
        remedies=() if go else (
            Remedy(f"raise the group maximum to {m.instances * 2}", date(2026, 11, 13), 14),
            Remedy("raise quota L-1216C47A by 256 vCPU", date(2026, 11, 6), 21),
        ),
    )  # fmt: skip


def _findings(units: Sequence[UnitPlan], spend: Sequence[SpendMonth]) -> tuple[Finding, ...]:
    found = []
    for u in units:
        first = u.first_limit
        if first is None:
            continue
        text = f"{u.unit} passes {first.name} of {first.limit:,.0f} {first.unit_of_measure} on {first.p10} (P10)"
        found.append(
            Finding("act" if first.overdue else "watch", "saturation", text, u.service, u.region, first.order_by)
        )
    found.sort(key=lambda f: (f.severity, f.by or date.max))
    if units:
        saving = sum(u.running_usd - u.recommended_usd for u in units)
        found.append(Finding("act", "mix", "Move to the recommended mix", by=date(2026, 11, 1), usd=saving))
        found.append(Finding("info", "data", "asg-export is 65 days old: the fleet is as it was on 2026-08-01"))
    if spend and spend[-2].over_budget:
        found.append(
            Finding(
                "watch",
                "spend",
                f"Spend passes the budget in {spend[-2].month} with probability {spend[-2].over_budget:.0%}",
            )
        )
    return tuple(found)


# --- ugliness ------------------------------------------------------------------------------------------------


def _spoil(plan: Plan) -> Plan:
    """None wherever a field allows it, some frames without a row, one point of history, zone-less times."""
    units = tuple(_spoil_unit(i, u) for i, u in enumerate(plan.units))
    empty = {n: plan.frames[n].iloc[:0] for n in ("blocks", "unit_cost", "excuses", "coverage")}
    history = plan.frames["history"].groupby(["service", "region", "target"], sort=False).tail(1)
    headroom = plan.frames["headroom"].assign(headroom_frac=lambda f: f["headroom_frac"].where(f.index % 5 != 0))
    zoneless = {
        "history": history.assign(ts=pd.to_datetime(history["ts"]).dt.tz_localize(None)),
        "headroom": headroom.assign(week_start=pd.to_datetime(headroom["week_start"]).dt.date),
    }
    return replace(
        plan,
        description=HOSTILE[4],
        units=units,
        spend=tuple(replace(s, budget=None, over_budget=None) for s in plan.spend),
        spend_note=HOSTILE[4],
        tie_outs=tuple(replace(t, ties=False, difference_frac=0.31, remainder={}) for t in plan.tie_outs),
        findings=(*plan.findings, Finding("act", "order", HOSTILE[0], HOSTILE[1], HOSTILE[2])),
        violations=(*plan.violations, HOSTILE[4]),
        freshness=(*plan.freshness, Freshness(HOSTILE[0], "usage", None, None, True)),
        provenance=replace(plan.provenance, reproducible=False, sources=(HOSTILE[0], HOSTILE[2])),
        mix=plan.mix and replace(plan.mix, binding=(HOSTILE[0],), notes=(HOSTILE[1],), checks=()),
        frames={**plan.frames, **empty, **zoneless},
    )


def _spoil_unit(i: int, unit: UnitPlan) -> UnitPlan:
    bare = replace(
        unit, team="", relative_mae=None, safe_now=None, utilisation_frac=None, headroom_now_frac=None,
        headroom_min_frac=None, coverage_min_frac=None, usd_per_1000=None, running=(), recommended={}, why=HOSTILE[4],
        limits=tuple(replace(x, p10=None, p50=None, p90=None, order_by=None, overdue=False) for x in unit.limits),
    )  # fmt: skip
    return bare if i % 2 else replace(unit, flags=(HOSTILE[0], HOSTILE[3]), forecast_reason=HOSTILE[1])
