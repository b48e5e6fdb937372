"""What a plan of :mod:`tests.factory` knows of its own forecasts: parts, occasions, promises, oddities and totals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pandas as pd

from capacity.plan import FRAMES, Plan, UnitPlan

OCCASIONS = ("service", "region", "target", "name", "kind", "start", "end", "multiplier", "low", "high", "occurrences",
             "source")  # fmt: skip
WORDS = ("Grows 1.4% a month over the last 13 weeks (+0.2% to +2.7%)", "Sundays are highest (1.07× the average day)")


def knowing(plan: Plan) -> Plan:
    """``plan`` with all that later versions say: a decomposition, words, occasions, promises, anomalies, totals."""
    units = plan.units
    frames = {
        "explanation": _frame("explanation", [r for u in units[:3] for r in _parts(u)]),
        "occasions": pd.DataFrame([r for u in units[:2] for r in _occasions(u)], columns=list(OCCASIONS)),
        "promise": _frame("promise", _promises(units)).astype({"covered": "boolean"}),
        "anomalies": _frame("anomalies", [r for u in units[:2] for r in _anomalies(u)]),
        "totals": _frame("totals", _totals(plan)),
        "spend_forecast": _frame("spend_forecast", _spend(units)),
        "spend_apart": _frame("spend_apart", _apart()),
    }
    told = tuple(replace(u, words=WORDS) if i < 3 else u for i, u in enumerate(units))
    return replace(plan, units=told, frames={**plan.frames, **frames})


def _frame(name: str, rows: Sequence[tuple[object, ...]]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=list(FRAMES[name]))


def _parts(u: UnitPlan) -> list[tuple[object, ...]]:
    days = pd.date_range("2026-07-01", periods=160, freq="D")
    t = np.arange(len(days))
    trend, week, year = 100 + 0.5 * t, 1 + 0.06 * np.sin(2 * np.pi * t / 7), 1 + 0.04 * np.sin(2 * np.pi * t / 365)
    event = np.where(days == "2026-11-27", 1.6, 1.0)
    fitted = trend * week * year * event
    actual = np.where(t < 96, fitted * 1.01, np.nan)
    rows = list(zip(days, actual, trend, week, year, event, fitted, strict=True))
    return [(u.service, u.region, target, *row) for target in ("mean", "peak") for row in rows]


def _occasions(u: UnitPlan) -> list[tuple[object, ...]]:
    at = (u.service, u.region, "mean")
    day, shift = pd.Timestamp("2026-11-27"), pd.Timestamp("2026-03-02")
    return [
        (*at, "level shift", "shift", shift, pd.NaT, 1.18, 1.12, 1.25, 0, "detected"),
        (*at, "black-friday", "event", day, day, 1.62, 1.4, 1.9, 1, "learned"),
        (*at, "sale", "event", day, day, None, None, None, 0, "given"),
    ]


def _promises(units: Sequence[UnitPlan]) -> list[tuple[object, ...]]:
    out: list[tuple[object, ...]] = []
    for i, u in enumerate(units):
        actual = 100.0 + 20.0 * i
        covered = pd.NA if i == 2 else actual <= 115.0
        span = "2026-07-05/2026-10-04"
        out.append((u.service, u.region, u.demand_metric, "horizon_peak", pd.Timestamp("2026-07-04"), span, 90.0, 100.0,
                    115.0, actual, covered, actual / 100 - 1))  # fmt: skip
    if units:
        out.append(("(company)", "", "effective_cost", "total", pd.Timestamp("2026-06-30"), "2026-07", 9e4, 1e5, 1.1e5,
                    1.02e5, True, 0.02))  # fmt: skip
    return out


def _anomalies(u: UnitPlan) -> list[tuple[object, ...]]:
    day = pd.Timestamp("2026-09-09")
    return [
        ("spend", u.service, "", "total", day, 689.4, 649.7, 640.1, 657.8, 0.00006, 39.7),
        ("usage", u.service, u.region, "peak", day, 900.0, 500.0, 420.0, 610.0, 0.0004, np.nan),
    ]


def _totals(plan: Plan) -> list[tuple[object, ...]]:
    names = [("company", plan.company), ("team", "(no team)"), ("team", "shop"),
             *(("service", s) for s in dict.fromkeys(u.service for u in plan.units))]  # fmt: skip
    periods = ("2026-10", "2026-11", "2026-12", "2026-Q4", "2027-Q1")
    return [
        (level, name, "spend", plan.currency, period, 90.0 + i, 100.0 + i, 120.0 + i)
        for i, (level, name) in enumerate(names if plan.units else []) for period in periods
    ]  # fmt: skip


def _spend(units: Sequence[UnitPlan]) -> list[tuple[object, ...]]:
    models = (("driver: fixed + rate x units", "months erred 3.7% with the driver and 4.4% without"), ("theta", "few"))
    services = list(dict.fromkeys(u.service for u in units))
    return [
        (s, month, 90.0 + i, 100.0 + i, 110.0 + i, *models[i % 2])
        for i, s in enumerate(services) for month in ("2026-10", "2026-11")
    ]  # fmt: skip


def _apart() -> list[tuple[object, ...]]:
    return [
        ("2026-08", "tax", 110.0, True, ""), ("2026-09", "tax", 120.0, True, ""),
        ("2026-10", "tax", 125.5, False, "3.7% of the running spend, as over 6 months"),
        ("2026-09", "one_off", -40.0, True, ""), ("2026-10", "one_off", 0.0, False, "none to come is assumed"),
    ]  # fmt: skip
