"""Whole plans for tests: consistent with themselves, made from a seed, with no run of the pipeline.

``make_plan()`` is a believable company of a dozen services; ``make_plan(ugly=True)`` is the same with hostile names,
None wherever it is allowed, empty frames and one-point histories; ``services=0`` and ``services=300`` are the ends.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from capacity import plan as plans
from capacity.domain import EventVerdict, Provenance, Remedy, TieOut, Unit
from capacity.plan import (
    FRAMES,
    CostMonth,
    EventSummary,
    Finding,
    Freshness,
    MixSummary,
    Plan,
    SpendMonth,
    UnitPlan,
)
from tests.factory_unit import AS_OF, CLOSED, END, HOSTILE, MONTHS, NAMES, START, Maker, Rows


def make_plan(
    services: int = 12, seed: int = 1, scenario: str = "base", ugly: bool = False, names: Sequence[str] = NAMES
) -> Plan:
    """A plan of ``services`` services (every fifth in two regions) over 26 weeks from 2026-10-05.

    Parameters
    ----------
    services
        0 gives a plan with no unit and no frame rows.
    scenario
        Any name but "base" raises demand by 40 %.
    ugly
        Hostile and very long names, None where a field allows it, zero rows, one-point histories.
    names
        Of the first services, where not ``ugly``.
    """
    rng = np.random.default_rng(seed)
    growth = 1.0 if scenario == "base" else 1.4
    made = [
        Maker(i, name, region, rng, growth)
        for i, (name, region) in enumerate(_unit_names(services, HOSTILE if ugly else names))
    ]
    units = tuple(m.unit_plan() for m in made)
    frames = {name: _frame(name, [r for m in made if m.has_rows(name) for r in m.rows(name)]) for name in FRAMES}
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


def _unit_names(services: int, pool: Sequence[str]) -> list[tuple[str, str]]:
    names = [pool[i] if i < len(pool) else f"service-{i:03d}" for i in range(services)]
    units = [(name, "us-east-1") for name in names]
    return units + [(name, "eu-west-1") for name in names[::5]]


def _frame(name: str, rows: Rows) -> pd.DataFrame:
    """The frame ``name`` of rows, or of blocks of columns, all of one kind: one frame, not one a unit."""
    columns = list(FRAMES[name])
    if not rows:
        return pd.DataFrame(columns=columns)
    if not any(isinstance(value, np.ndarray) for value in rows[0].values()):
        return pd.DataFrame(rows).reindex(columns=columns)
    sizes = [max(np.size(value) for value in block.values()) for block in rows]
    return pd.DataFrame({c: _column([b[c] for b in rows], sizes) for c in rows[0]}).reindex(columns=columns)


def _column(parts: Sequence[Any], sizes: Sequence[int]) -> pd.Index | np.ndarray:
    """Blocks of a column one after the other, a single value as often as its block has rows."""
    if isinstance(parts[0], pd.DatetimeIndex):
        return parts[0][:0].append([part.repeat(n // len(part)) for part, n in zip(parts, sizes, strict=True)])
    if isinstance(parts[0], np.ndarray):
        return np.concatenate(parts)
    return np.repeat(np.asarray(parts, dtype=object if isinstance(parts[0], str) else None), sizes)


# --- money ---------------------------------------------------------------------------------------------------


def _money(value: float) -> Decimal:
    return Decimal(str(value)).quantize(Decimal("0.000001"))


def _money_frames(made: Sequence[Maker], rng: np.random.Generator) -> dict[str, pd.DataFrame]:
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


def _spend(made: Sequence[Maker]) -> tuple[SpendMonth, ...]:
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


def _mix_summary(made: Sequence[Maker]) -> MixSummary | None:
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
        rates_from=date(2026, 9, 1), rates_to=date(2026, 9, 18),
    )  # fmt: skip


# --- event, findings -----------------------------------------------------------------------------------------


def _events(made: Sequence[Maker]) -> tuple[EventSummary, ...]:
    verdicts = tuple(_verdict(m) for m in made if m.has_fleet)
    start = datetime(2026, 11, 27, 5, tzinfo=UTC)
    return (EventSummary("black-friday", start, start + timedelta(days=1), verdicts),) if made else ()


def _verdict(m: Maker) -> EventVerdict:
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
