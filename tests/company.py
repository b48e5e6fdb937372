"""A small company on disk, quick to plan: three services in one region, half a year of usage, three months of bills."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

START, AS_OF = pd.Timestamp("2026-03-02", tz="UTC"), pd.Timestamp("2026-09-01", tz="UTC")
# vCPU per request/s of each service: the truth that a regression should find.
VCPU_PER_RPS = {"web": 0.05, "api": 0.08}
FLEET = {"web": ("m5.xlarge", 4, (5, 4, 4)), "api": ("c5.2xlarge", 8, (3, 3, 2))}

CONFIG = """\
version: 1
company: Small
store: store
seed: 3
as_of: 2026-09-01T00:00:00Z
sources:
  - {kind: files, name: usage, frame: usage, path: usage.csv}
  - {kind: files, name: fleet, frame: fleet, path: fleet.csv}
  - {kind: files, name: quotas, frame: quotas, path: quotas.csv}
  - {kind: focus_files, name: bill, path: bill.csv}
tiers:
  - {name: critical, service_level: 0.95, zones_survived: 1, min_headroom_frac: 0.1}
  - {name: standard, service_level: 0.9, zones_survived: 0, min_headroom_frac: 0}
services:
  - name: web
    tier: critical
    regions: [us-east-1]
    account_id: "1"
    max_utilisation_frac: 0.6
    burst_factor: 1.1
    calls: [{service: api, per_request: 0.4}]
  - name: api
    tier: standard
    regions: [us-east-1]
    account_id: "1"
    max_utilisation_frac: 0.6
    autoscaled: true
  - name: thumbs
    tier: standard
    kind: usage_priced
    regions: [us-east-1]
    account_id: "1"
    utilisation_metric: null
    hard_limits: [{metric: requests_per_second, limit: 400, unit: 1/s, remedy: ask for more}]
costs:
  rules:
    - {name: by tag, service_from_tag: service}
    - {name: network, match: {ServiceCategory: Networking}, pool: network}
  pools:
    - {name: network, split: usage, metric: requests_per_second}
    - {name: tax, split: cost}
  tax_pool: tax
events:
  - {name: sale, start: 2026-09-18T08:00:00Z, end: 2026-09-18T20:00:00Z, services: [web], multiplier: 3,
     past: [[2026-06-19, 2026-06-19]]}
budgets: [{month: 2026-09, amount: 5000}]
forecast: {horizon_days: 45, past_origins: 2, paths: 200, workers: 1}
optimize: {load_blocks: 3, why_seconds: 0}
scenarios: [more.yaml, arm.yaml]
"""
MORE = "name: more\ndescription: web grows by half\ngrowth: [{services: [web], multiplier: 1.5}]\n"
ARM = "name: arm\ndescription: api on Graviton only\nmigration: [{services: [api], architectures: [arm64]}]\n"


def write(folder: Path, *, end: pd.Timestamp = AS_OF, config: str = CONFIG) -> Path:
    """All files into ``folder``; returns the path of the config."""
    usage = usage_frame(end)
    usage.to_csv(folder / "usage.csv", index=False)
    fleet_frame().to_csv(folder / "fleet.csv", index=False)
    quotas = {"account_id": ["1"], "region": ["us-east-1"], "code": ["L-1216C47A"], "name": ["standard"]}
    pd.DataFrame({**quotas, "limit": [600.0], "used": [116.0]}).to_csv(folder / "quotas.csv", index=False)
    bill_frame(usage).to_csv(folder / "bill.csv", index=False)
    (folder / "more.yaml").write_text(MORE, encoding="utf-8")
    (folder / "arm.yaml").write_text(ARM, encoding="utf-8")
    path = folder / "small.yaml"
    path.write_text(config, encoding="utf-8")
    return path


def usage_frame(end: pd.Timestamp = AS_OF) -> pd.DataFrame:
    """Hourly requests and CPU per cent; a longer ``end`` only adds rows."""
    hours = pd.date_range(START, end, freq="h", inclusive="left")
    t = np.arange(len(hours))
    parts = []
    for i, (name, level, trend) in enumerate((("web", 300.0, 0.25), ("api", 200.0, 0.1), ("thumbs", 90.0, 0.3))):
        noise = np.random.default_rng([5, i]).normal(1.0, 0.04, 24 * 400)[: len(hours)]
        day = 1 + 0.4 * np.sin(2 * np.pi * (t % 24 - 9) / 24) + 0.1 * np.isin(hours.weekday, (0, 1))
        demand = level * (1 + trend * t / 4400) * day * noise
        demand = np.where(hours.normalize() == pd.Timestamp("2026-06-19", tz="UTC"), demand * 3, demand)
        parts.append(_rows(hours, name, "requests_per_second", np.round(demand, 2), "1/s"))
        if name in FLEET:
            _, vcpu, zones = FLEET[name]
            percent = 100 * (0.5 + VCPU_PER_RPS[name] * demand) / (vcpu * sum(zones))
            parts.append(_rows(hours, name, "cpu_percent", np.round(np.minimum(percent, 100), 3), "%"))
    return pd.concat(parts, ignore_index=True)


def _rows(hours: pd.DatetimeIndex, service: str, metric: str, value: np.ndarray, unit: str) -> pd.DataFrame:
    about = {"source": "usage", "account_id": "1", "region": "us-east-1", "service": service, "metric": metric}
    stamps = hours.strftime("%Y-%m-%dT%H:%M:%SZ")
    return pd.DataFrame({"ts": stamps, "value": value, **about, "stat": "avg", "period_seconds": 3600, "unit": unit})


def fleet_frame() -> pd.DataFrame:
    about = {"account_id": "1", "region": "us-east-1", "purchase": "on_demand", "min": 3, "max": 30}
    rows = [
        {
            "ts": ts,
            **about,
            "service": name,
            "zone": f"us-east-1{z}",
            "instance_type": kind,
            "count": n,
            "min": 3,
            "max": 30,
        }
        for ts in ("2026-03-01T00:00:00Z", "2026-08-20T00:00:00Z")
        for name, (kind, _, zones) in FLEET.items()
        for z, n in zip("abc", zones, strict=True)
    ]
    return pd.DataFrame(rows)


def bill_frame(usage: pd.DataFrame) -> pd.DataFrame:
    """Three closed months, a row a day for instances, network, functions and tax; amounts are exact decimals."""
    rates = {"web": 13 * 0.192, "api": 8 * 0.34}
    rows = []
    for day in pd.date_range("2026-06-01", "2026-08-31", freq="D", tz="UTC"):
        for name, rate in rates.items():
            rows.append(_charge(day, "Amazon Elastic Compute Cloud", "Compute", round(24 * rate, 6), name, 24))
        rows.append(_charge(day, "AWS Lambda", "Compute", 9.5, "thumbs", 1_000_000))
        rows.append(_charge(day, "Amazon Virtual Private Cloud", "Networking", 7.123457, None, 100))
        rows.append(_charge(day, "Amazon Simple Storage Service", "Storage", 1.000001, None, 50))
        if day.is_month_end:
            rows.append({**_charge(day, "Tax", "Other", 123.45, None, None), "ChargeCategory": "Tax"})
    return pd.DataFrame(rows)


def _charge(
    day: pd.Timestamp, service: str, category: str, cost: float, tag: str | None, quantity: float | None
) -> dict[str, object]:
    month, following = day.replace(day=1), day.replace(day=1) + pd.offsets.MonthBegin(1)
    stamps = {
        "BillingPeriodStart": month,
        "BillingPeriodEnd": following,
        "ChargePeriodStart": day,
        "ChargePeriodEnd": day + pd.Timedelta(days=1),
    }
    return {
        "BillingAccountId": "1",
        "BillingCurrency": "USD",
        **{name: f"{at:%Y-%m-%dT00:00:00Z}" for name, at in stamps.items()},
        "ChargeCategory": "Usage",
        "ServiceName": service,
        "ServiceCategory": category,
        "SubAccountId": "1",
        **dict.fromkeys(("BilledCost", "EffectiveCost", "ListCost", "ContractedCost"), cost),
        "PricingQuantity": quantity,
        "SkuId": service,
        "Tags": f'{{"service": "{tag}"}}' if tag else "",
    }
