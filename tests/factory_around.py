"""What stands around services of a plan of :mod:`tests.factory`: calls, utilisation, stakes, forecasts of before."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd

from capacity.pipeline.said_before import AGAIN, STORED
from capacity.pipeline.stakes import at_stake
from capacity.plan import FRAMES, Plan
from tests.factory_unit import HOSTILE

ORIGIN = pd.Timestamp("2026-07-05")
SIZES = ((0.0, 0.0, np.nan), (0.5, 9_000.0, 1.0), (1.0, 12_000.0, 0.99), (1.5, 7_000.0, 0.9), (2.0, -4_000.0, 0.72))


def around(plan: Plan, ugly: bool = False) -> Plan:
    """``plan`` with these frames; ``ugly`` puts hostile words in, gaps and a past forecast of one day."""
    rows = {
        "calls": _calls(plan),
        "utilisation": _utilisation(plan),
        "past_forecast": _past(plan),
        "headroom_curve": _curve(plan),
        "purchase_sizes": _sizes(plan),
        "coverage_ahead": _ahead(plan),
    }
    frames = {name: frame.reindex(columns=list(FRAMES[name])) for name, frame in rows.items()}
    headroom = plan.frame("headroom")
    frames["headroom"] = headroom.assign(utilisation_frac=0.6 * (1 - headroom["headroom_frac"].astype(float)))
    if ugly:
        frames["utilisation"]["words"] = HOSTILE[0]
        frames["past_forecast"] = frames["past_forecast"].head(1)
        frames["headroom_curve"] = frames["headroom_curve"].assign(bound_usd=np.nan)
    made = replace(plan, frames={**plan.frames, **frames})
    return replace(made, frames={**made.frames, "at_stake": at_stake(made)})


def _calls(plan: Plan) -> pd.DataFrame:
    """The first unit calls the ten after it, and each of those calls the last one."""
    if len(plan.units) < 3:
        return pd.DataFrame()
    first, *others, last = plan.units
    edges = [(first, u) for u in others[:10]] + [(u, last) for u in others[:10]]
    return pd.DataFrame([
        {"caller": a.service, "caller_region": a.region, "callee": b.service, "callee_region": b.region,
         "per_request": 0.25 * (k + 1), "demand": 40.0 * (k + 1), "share_frac": 0.05 * (k + 1)}
        for k, (a, b) in enumerate(edges)
    ])  # fmt: skip


def _utilisation(plan: Plan) -> pd.DataFrame:
    rows = [
        {"service": u.service, "region": u.region, "rho_star": u.utilisation_frac, "zone_loss_frac": 0.9,
         "slo_p99_ms": 120.0, "service_time_ms": 22.0, "vcpu_least": 8, "vcpu_most": 8, "service_cv2": 1.0,
         "arrival_cv2": 2.0, "binds": ("vcpu", "memory_gib")[i % 2], "words": "The P99 wait must keep within 120 ms."}
        for i, u in enumerate(plan.units) if u.utilisation_frac is not None
    ]  # fmt: skip
    return pd.DataFrame(rows)


def _past(plan: Plan) -> pd.DataFrame:
    """A tenth below what came; of every other unit made again, without an interval."""
    history = plan.frame("history")
    if history.empty:
        return pd.DataFrame()
    days = pd.to_datetime(history["ts"], utc=True).dt.tz_localize(None)
    rows = history[(history["target"] == "peak") & (history["metric"] == "requests_per_second") & (days > ORIGIN)]
    q50 = rows["value"] * 0.9
    stored = {u.service: i % 2 == 0 for i, u in enumerate(plan.units)}
    known = rows["service"].map(stored).astype(bool)
    return pd.DataFrame({
        "service": rows["service"], "region": rows["region"], "metric": rows["metric"], "origin_ts": ORIGIN,
        "ts": days[rows.index], "q10": (q50 * 0.8).where(known), "q50": q50, "q90": (q50 * 1.2).where(known),
        "basis": [STORED if k else AGAIN for k in known],
    })  # fmt: skip


def _curve(plan: Plan) -> pd.DataFrame:
    if plan.mix is None:
        return pd.DataFrame()
    cost = plan.mix.recommended_usd
    points = ((-0.1, 0.94), (-0.05, 0.97), (0.0, 1.0), (0.05, 1.04), (0.1, 1.1), (0.2, None))
    return pd.DataFrame([
        {"moved_frac": m, "cost_usd": cost * x if x else np.nan, "bound_usd": cost * x * 0.99 if x else np.nan,
         "status": "optimal" if x else "infeasible: quota"}
        for m, x in points
    ])  # fmt: skip


def _sizes(plan: Plan) -> pd.DataFrame:
    """Of all together, then of each purchase."""
    keys = [("", ""), *zip(plan.frame("purchases")["offer"], plan.frame("purchases")["month"], strict=True)]
    rows = [_size(*key, *size) for key in keys if plan.units for size in SIZES]
    return pd.DataFrame(rows)


def _ahead(plan: Plan) -> pd.DataFrame:
    """What is owned ends after half a year; what is bought goes on for three."""
    months = [f"{2026 + (9 + k) // 12}-{(9 + k) % 12 + 1:02d}" for k in range(36)] if plan.units else []
    rows = [
        {"month": m, "product": product, "owned": owned, "covered_frac": frac if k < last else 0.0, "usage_usd": 9e4}
        for product, owned, frac, last in (("compute_sp", True, 0.3, 6), ("standard_ri", False, 0.25, 36))
        for k, m in enumerate(months)
    ]  # fmt: skip
    return pd.DataFrame(rows)


def _size(offer: str, month: str, size: float, usd: float, used: float) -> dict[str, object]:
    return {
        "offer": offer, "month": month, "size_frac": size, "hourly_usd": 5.0 * size, "saving_mean": usd,
        "saving_q10": usd - 2_000.0 * size, "saving_q50": usd, "saving_q90": usd + 1_500.0 * size,
        "utilisation_q10": used - 0.02, "utilisation_q50": used, "utilisation_q90": min(1.0, used + 0.01),
    }  # fmt: skip
