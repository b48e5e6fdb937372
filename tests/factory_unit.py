"""One believable service of a made-up company: its figures and its frames, from a seed."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd

from capacity.domain import Interval
from capacity.plan import LimitOutlook, MixLine, UnitPlan

AS_OF = datetime(2026, 10, 5, 6, tzinfo=UTC)
START, DAYS = date(2026, 10, 5), 182
END = START + timedelta(days=DAYS - 1)
DAY_INDEX = pd.date_range(str(START), periods=DAYS, freq="D", tz="UTC")
BLOCKS = (("b1", 0.1, 1.0), ("b2", 0.25, 0.8), ("b3", 0.35, 0.6), ("b4", 0.3, 0.35))  # name, share of hours, load
MONTHS = ("2026-10", "2026-11", "2026-12", "2027-01", "2027-02", "2027-03", "2027-04")
_MONTH_OF_DAY = np.asarray(DAY_INDEX.strftime("%Y-%m"))
_IN_MONTH = {month: month == _MONTH_OF_DAY for month in MONTHS}
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

ORIGIN = pd.DatetimeIndex(["2026-10-04"], tz="UTC").as_unit("s")
PAST = pd.date_range(end="2026-10-04", periods=365, freq="D", tz="UTC")
Rows = list[dict[str, Any]]


# --- one unit ------------------------------------------------------------------------------------------------


@dataclass
class Maker:
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
        return np.asarray(self.median[_IN_MONTH[month]])

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

    def has_rows(self, name: str) -> bool:
        """Whether units have rows in the frame: most frames are made without them."""
        return hasattr(self, f"_{name}")

    def rows(self, name: str) -> Rows:
        """What the unit has in the frame, as a list of rows or, where those are many, of blocks of columns."""
        made = getattr(self, f"_{name}")()
        for part in made:
            part.update(service=self.service, region=self.region)
        return list(made)

    def _forecast(self) -> Rows:
        parts = [("requests_per_second", "mean", 0.6), ("requests_per_second", "peak", 1.0)]
        if self.kind == "vertical":
            parts.append(("connections", "peak", 1.0))
        at = {"ts": self.ts, "scenario": "base" if self.scale == 1 else "other", "origin_ts": ORIGIN,
              "model": "weighted median"}  # fmt: skip
        return [
            {**at, "metric": metric, "target": target} | {q: self.quantile(z) * share for q, z in Z.items()}
            for metric, target, share in parts
        ]

    def _history(self) -> Rows:
        t = np.arange(-365, 0)
        shape = np.exp(self.growth * t / 365) * (1 + 0.06 * np.sin(2 * np.pi * t / 7))
        noisy = self.peak * shape * np.exp(self.rng.normal(0, 0.03, 365))
        parts: Rows = [
            {"ts": PAST, "metric": "requests_per_second", "target": target, "value": noisy * share}
            for target, share in (("mean", 0.6), ("peak", 1.0))
        ]
        if self.kind == "vertical":
            parts.append({"ts": PAST, "metric": "connections", "target": "peak", "value": noisy})
        return parts

    def _headroom(self) -> Rows:
        if not self.has_fleet:
            return []
        z = {0.9: 1.282, 0.95: 1.645, 0.99: 2.326}[self.level]
        weekly = self.quantile(z).reshape(26, 7).max(axis=1)
        return [{"week_start": self.ts[::7], "peak_quantile": weekly, "safe": self.safe,
                 "headroom_frac": 1 - weekly / self.safe, "policy_frac": 0.2}]  # fmt: skip

    def _saturation(self) -> Rows:
        return [{"limit_name": x.name, "ts": self.ts, "probability": self.probability(x.limit)} for x in self.limits]

    def _blocks(self) -> Rows:
        most = {m: float(self._month(m).max()) for m in MONTHS}
        return [
            {"month": m, "block": b, "hours": h * part, "demand": most[m] * load, "required": most[m] * load * 1.18}
            for m, h in zip(MONTHS, MONTH_HOURS, strict=True)
            for b, part, load in BLOCKS
        ]

    def _mix(self) -> Rows:
        return [
            {"month": m, "purchase": "on_demand", "instance_type": self.new[0], "per_zone": n // 3, "instances": n,
             "vcpu": n * self.new[1], "usd_per_hour": n * self.new[2]}
            for m, n in zip(MONTHS, self.need, strict=True) if self.has_fleet
        ]  # fmt: skip

    def _running(self) -> Rows:
        return [
            {"month": m, "block": b, "purchase": "on_demand", "instance_type": self.new[0], "per_zone": n // 3,
             "instances": n, "hours": h * part, "usd": n * self.new[2] * h * part}
            for m, n, h in zip(MONTHS, self.need, MONTH_HOURS, strict=True) if self.has_fleet
            for b, part, _ in BLOCKS
        ]  # fmt: skip

    def _spend_plan(self) -> Rows:
        rows: Rows = []
        for m, n, h in zip(MONTHS, self.need, MONTH_HOURS, strict=True):
            total = n * self.new[2] * h
            rows.append({"month": m, "on_demand_usd": total * 0.7, "spot_usd": 0.0, "committed_usd": total * 0.3,
                         "total_usd": total, "running_total_usd": self.instances * self.old[2] * h})  # fmt: skip
        return rows if self.has_fleet else []

    def _coverage(self) -> Rows:
        cover = min(0.999, self.level + 0.012)
        rows: Rows = [{"month": m, "coverage_frac": cover, "required_frac": self.level} for m in MONTHS]
        return rows if self.has_fleet else []

    def _excuses(self) -> Rows:
        rows: Rows = [
            {"instance_type": "m5.2xlarge", "reason": "dominated by m6i.2xlarge: no resource more, price not lower"},
            {"instance_type": "t3.2xlarge", "reason": "burstable: candidates.burstable is off"},
        ]
        return rows if self.has_fleet else []

    def _quality(self) -> Rows:
        """Every third unit has something to tell; the first one something grave."""
        scope = f"{self.service}|{self.region} requests_per_second avg every 3600 s in 111122223333"
        row = {"severity": "error" if self.i == 0 else "info", "frame": "usage", "source": "telemetry", "scope": scope,
               "rule": "counter_reset" if self.i == 0 else "gaps", "rows": 3 + self.i, "of": 9000, "column": "value",
               "example": "2026-09-01 04:00Z: 12.5", "message": "3 points missing in 2 gaps (0.1%)"}  # fmt: skip
        return [row] if self.i % 3 == 0 else []

    def _spend_forecast(self) -> Rows:
        if self.region != "us-east-1" and self.i % 2 == 0:
            return []
        base = self.bill[-1]
        return [
            {"month": m, "q10": base * (0.93 - 0.01 * k), "q50": base * (1 + 0.02 * k), "q90": base * (1.08 + 0.04 * k)}
            for k, m in enumerate(MONTHS[:6])
        ]
