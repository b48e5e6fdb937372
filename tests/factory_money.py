"""What the review of money says of a plan of :mod:`tests.factory`: budgets, bridges, commitments, waste, invoices.

Consistent where a page relies on it: a bridge's rows add up, a pool's parts are the pool, budgets have their chance.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal

import pandas as pd

from capacity.costs import TERMS
from capacity.plan import FRAMES, Plan
from tests.factory_unit import CLOSED, HOSTILE, MONTHS

Rows = Sequence[tuple[object, ...]]
BEFORE, NEWEST = CLOSED[-2], CLOSED[-1]
JOURNEYS = ("order", "browse")
POOLS = ("platform", "network")
RULES = ("by tag", "by list", "databases", "untagged network", "old rule that takes nothing")
NOW = pd.Timestamp("2026-10-05")
# Columns whose words are others' and may be anything.
_WORDS = ("words", "reason", "reasons", "evidence", "flags", "basis", "what", "taken_by", "sku", "provider_service",
          "to", "pool", "rule", "target", "method", "aws_words", "topic", "id", "scope", "driver", "unit", "journey",
          "suggested_rule")  # fmt: skip


def spending(plan: Plan, ugly: bool = False, services: int = 0) -> Plan:
    """``plan`` with every frame of the review of money.

    Parameters
    ----------
    ugly
        Hostile words wherever words may be, nothing where a number may be missing.
    services
        How many services these frames have, where the plan's own are fewer. A plan without units gets the frames with
        their columns and no row.
    """
    names = list(dict.fromkeys(u.service for u in plan.units))
    if names:
        names += [f"service-{i:03d}" for i in range(len(names), services)]
    rows: dict[str, Rows] = {name: make(plan, names) if names else () for name, make in _MAKERS.items()}
    frames = {name: pd.DataFrame(list(found), columns=list(FRAMES[name])) for name, found in rows.items()}
    if ugly:
        frames = {name: _hostile(frame) for name, frame in frames.items()}
    return replace(plan, frames={**plan.frames, **frames})


def _hostile(frame: pd.DataFrame) -> pd.DataFrame:
    """Others' words wherever they may be, and nothing where a number may be missing."""
    out = frame.copy()
    for column in _WORDS:
        if column in out and len(out):
            known = {v: f"{HOSTILE[i % len(HOSTILE)]} {i}" for i, v in enumerate(dict.fromkeys(map(str, out[column])))}
            out[column] = [known[str(v)] for v in out[column]]
    for column in ("p_over", "marginal_low", "long_run_per_1000", "naive_variance_frac", "utilisation_frac",
                   "aws_mean", "requests_per_journey", "monthly_usd"):  # fmt: skip
        if column in out and len(out):
            out[column] = [None if i % 2 else v for i, v in enumerate(out[column])]
    return out


def _dec(value: float) -> Decimal:
    return Decimal(str(round(value, 6)))


def _cost(i: int) -> float:
    """What service ``i`` costs a month."""
    return float(42_000.0 / (i + 1) ** 0.8)


# --- unit cost -----------------------------------------------------------------------------------------------


def _groups(plan: Plan, services: Sequence[str]) -> Rows:
    named = [("company", plan.company, "orders", "order", 1.0, 18e4), ("team", "shop", "orders", "order", 1.0, 9e4),
             ("tier", "critical", "requests", "request", 1000.0, 7e4), *(
                 ("journey", j, "orders", j, 1.0, 3e4 / (k + 1)) for k, j in enumerate(JOURNEYS)),
             *(("service", s, "requests", "request", 1000.0, _cost(i)) for i, s in enumerate(services))]  # fmt: skip
    out: list[tuple[object, ...]] = []
    for level, name, driver, unit, per, cost in named:
        for k, month in enumerate(CLOSED):
            paid = cost * (1 + 0.02 * k)
            of = paid / (4e6 if per == 1.0 else 5e9)
            out.append((level, name, driver, month, plan.currency, _dec(paid), paid / of, _dec(of * 1000),
                        _dec(of * 1010), of * 220, of * 190, of * 260, 0.78, 0.011, -0.004, 0.02,
                        "" if level != "tier" else "only the sum of two drivers is known", unit, per, 0.998, "days", 92,
                        of * 600, of * 400, of * 900, 6))  # fmt: skip
    return out


def _ahead(plan: Plan, services: Sequence[str]) -> Rows:
    last = {(r[0], r[1]): r for r in _groups(plan, services)}
    basis = "spend and demand are drawn apart; shared cost as a share of direct, as in the last closed months"
    return [
        (level, name, month, plan.currency, per * (0.93 - 0.01 * k), per, per * (1.08 + 0.01 * k), basis, r[2], r[17],
         r[18], plan.scenario)
        for (level, name), r in last.items() for k, month in enumerate(MONTHS[:6])
        for per in (float(str(r[8])),)
    ]  # fmt: skip


def _journeys(plan: Plan, services: Sequence[str]) -> Rows:
    out: list[tuple[object, ...]] = []
    for month in CLOSED[-2:]:
        for i, service in enumerate(services[:6]):
            for journey, share in (("order", 0.5), ("browse", 0.3), ("(not explained)", 0.2)):
                told = journey != "(not explained)"
                out.append((journey, service, month, plan.currency, 1.2 if told else None, _dec(_cost(i) * share),
                            share, 4e6 if told else None, ""))  # fmt: skip
    return out


# --- the bridge, what strayed ----------------------------------------------------------------------------------


def _bridge(plan: Plan, services: Sequence[str]) -> Rows:
    out: list[tuple[object, ...]] = []
    owners = [*(("service", s) for s in services), ("pool", POOLS[0]), ("unallocated", "")]
    for before, after, times in ((BEFORE, NEWEST, 1.0), ("2026-Q2", "2026-Q3", 3.0)):
        for i, (kind, name) in enumerate(owners):
            for k, sku in enumerate(("EC2-us-east-1-m6i.2xlarge", "EBS-gp3")):
                start = _dec(_cost(i) * times * (0.8, 0.2)[k])
                sizes = (0.04, -0.03, -0.01, 0.0, -0.004, 0.006, 0.0, 0.001 * (i % 3))
                terms = [_dec(float(start) * size * (1 - 2 * (i % 2))) for size in sizes]
                out.append((before, after, plan.currency, kind, name, ("Amazon Elastic Compute Cloud", "Amazon EBS")[k],
                            sku, "usage", start, *terms, start + sum(terms, Decimal(0))))  # fmt: skip
    assert len(sizes) == len(TERMS)
    return out


def _strayed(plan: Plan, services: Sequence[str]) -> Rows:
    return [
        (s, "Amazon Elastic Compute Cloud", "EC2-us-east-1-m6i.2xlarge", plan.currency, NOW - pd.Timedelta(days=18),
         NOW - pd.Timedelta(days=5), _dec(5342.67), 4183.6, 3912.6, 4473.3, 1159.07 - 400 * i, 1e-6,
         ("efficiency", "mix")[i % 2], f"{s}: m6i.2xlarge cost 28% more than was expected")
        for i, s in enumerate(services[:3])
    ]  # fmt: skip


# --- budgets ---------------------------------------------------------------------------------------------------


def _outlook(plan: Plan, services: Sequence[str]) -> Rows:
    whose = [("company", plan.company, sum(_cost(i) for i in range(len(services)))), ("team", "shop", 9e4),
             *(("service", s, _cost(i)) for i, s in enumerate(services))]  # fmt: skip
    basis = "running spend, without tax, credits, refunds and one-off purchases; billed to 4 Oct 2026, then forecast"
    out: list[tuple[object, ...]] = []
    for level, name, cost in whose:
        periods = [("month", m, 1.0) for m in MONTHS[:6]]
        periods += [("quarter", "2026-Q4", 3.0), ("quarter", "2027-Q1", 3.0), ("year", "2026", 12.0)]
        for k, (kind, period, times) in enumerate(periods):
            mid = cost * times * (1 + 0.02 * k)
            budget = _dec(round(cost * times * 1.05)) if level != "service" else None
            aws = mid * 1.02 if level == "company" and k == 1 else None
            out.append((level, name, kind, period, plan.currency, _dec(mid * 0.12 if k == 0 else 0.0), mid * 0.95, mid,
                        mid * 1.08, mid * 0.99, mid * 1.01, budget, budget and min(0.95, 0.1 + 0.15 * k),
                        aws, aws and aws * 0.9, aws and aws * 1.1, 0.12 if k == 0 else 0.0, kind != "year", basis,
                        mid * 0.97, 1.0, "AWS's forecast is 2% above ours" if aws else ""))  # fmt: skip
    return out


def _closed(plan: Plan, services: Sequence[str]) -> Rows:
    return [
        ("company", plan.company, month, plan.currency, "running", _dec(1e5), _dec(1e5 + off), _dec(off), off / 1e5)
        for month, off in ((CLOSED[-2], -1_500.0), (NEWEST, 2_500.0))
    ]


def _record(plan: Plan, services: Sequence[str]) -> Rows:
    whose = [("company", plan.company), ("team", "shop"), *(("service", s) for s in services)]
    return [
        (level, name, months, 4, 4 * months, 0.03 + 0.01 * i % 0.2, "run", 0.04, i % 4 != 3, 0.85,
         f"months up to {months} ahead erred {3 + i % 20}% on the mean (FinOps grade: run)")
        for i, (level, name) in enumerate(whose) for months in (1, 3, 6)
    ]  # fmt: skip


# --- commitments, waste ------------------------------------------------------------------------------------------


def _rates(month: str, currency: str, product: str, k: int) -> tuple[object, ...]:
    committed, saving = 40_000.0 + 500 * k, 12_000.0 + 300 * k
    return (month, currency, product, 0.25 + 0.01 * k, 0.99 - 0.005 * k, 0.06 + 0.002 * k, _dec(committed + saving),
            _dec(committed), _dec(120.0), _dec(saving), _dec(140_000.0), "", _dec(190_000.0), _dec(60_000.0), 0.24,
            0.27, Decimal(0), 180, 30, 570)  # fmt: skip


def _review(plan: Plan, services: Sequence[str]) -> Rows:
    products = ("compute_sp", "ec2_ri", "all")
    return [_rates(m, plan.currency, p, k + j) for k, m in enumerate(CLOSED) for j, p in enumerate(products)]


def _review_total(plan: Plan, services: Sequence[str]) -> Rows:
    return [_rates(f"{CLOSED[0]} to {NEWEST}", plan.currency, p, 0) for p in ("compute_sp", "ec2_ri", "all")]


def _expiry(plan: Plan, services: Sequence[str]) -> Rows:
    return [("ri-0c5-2025-12", "111111110000", "standard_ri", "c5.2xlarge", "us-east-1", pd.Timestamp("2025-12-01"),
             pd.Timestamp("2026-12-01"), 57, 7.9, NEWEST, plan.currency, 0.043, _dec(5690.88), _dec(8898.97),
             _dec(3208.09), "ri-0c5-2025-12 ends on 1 Dec 2026, in 57 days")]  # fmt: skip


def _comparison(plan: Plan, services: Sequence[str]) -> Rows:
    return [("compute_sp", "", "", 1, "no_upfront", 1.4, 2.1, -0.7, 0, 0, 310.0, 402.0, plan.currency, 30,
             pd.Timestamp("2026-10-01"), "AWS looks back 30 days; the plan moves usage to Graviton")]  # fmt: skip


def _waste(plan: Plan, services: Sequence[str]) -> Rows:
    kinds = ("oversized", "previous_generation", "idle")
    found: list[tuple[object, ...]] = [
        (kinds[i % 3], s, "us-east-1", f"{4 + i % 7} × m6i.2xlarge", 5600.0 / (i + 1), plan.currency,
         ("high", "medium", "low")[i % 3], "more runs than the same types need",
         ("recommended mix", "none: ask")[i % 2], "highest demand of four weeks 441 req/s of 803 that it serves safely",
         5600.0 / (i + 1) * (i % 2 == 0), 40.0)
        for i, s in enumerate(services)
    ]  # fmt: skip
    storage = (
        "storage",
        "",
        "",
        "volumes and snapshots, used or not",
        0.0,
        plan.currency,
        "low",
        "whether a volume is attached is not on a bill",
        "none: ask the owner",
        "660 rows",
        0.0,
        15_928.4,
    )
    return [*found, storage]


def _carbon(plan: Plan, services: Sequence[str]) -> Rows:
    return [(m, s, "us-east-1", plan.currency, _dec(_cost(i)), 900.0 / (i + 1), 340.0 / (i + 1), 0.97, "maker's sheet",
             "", 2_160.0, "") for m in CLOSED[-2:] for i, s in enumerate(services[:5])]  # fmt: skip


# --- whose, ties -------------------------------------------------------------------------------------------------


def _hits(plan: Plan, services: Sequence[str]) -> Rows:
    return [
        (rule, ("(tag service)", "checkout", "checkout", "network", "search")[i], m, plan.currency,
         0 if i == 4 else 900 - 200 * i, *(_dec(0.0 if i == 4 else 9e4 / (i + 1)),) * 4)
        for m in CLOSED for i, rule in enumerate(RULES)
    ]  # fmt: skip


def _steps(plan: Plan, services: Sequence[str]) -> Rows:
    n = len(services)
    out: list[tuple[object, ...]] = []
    for m in CLOSED:
        out.append((m, plan.currency, POOLS[1], "pool", POOLS[0], "fixed shares", 0.5, _dec(3_000.0)))
        for pool, method, share, usd in ((POOLS[1], "fixed shares", 0.5, 3e3), (POOLS[0], "direct cost", 1.0, 18e3)):
            out += [(m, plan.currency, pool, "service", s, method, share / n, _dec(usd / n)) for s in services]
    return out


def _invoices(plan: Plan, services: Sequence[str]) -> Rows:
    out: list[tuple[object, ...]] = []
    for c in plan.costs:
        off = Decimal("12.5") if c.month == CLOSED[1] else Decimal(0)
        out.append((c.month, c.currency, "(all)", c.effective + off, "entered", "1917733", c.direct, c.shared,
                    c.unallocated, off, not off, "does not tie" if off else "ties to the invoice"))  # fmt: skip
    return out


def _discounts(plan: Plan, services: Sequence[str]) -> Rows:
    parts = (
        ("(all)", 250_000.0, 0.03),
        ("Amazon Elastic Compute Cloud", 140_000.0, 0.04),
        ("AWS Support", 13_000.0, 0.0),
    )
    return [(m, plan.currency, p, _dec(usd), _dec(usd * (1 - d)), _dec(usd * d), d, 121, 0) for m in CLOSED
            for p, usd, d in parts]  # fmt: skip


def _notes(plan: Plan, services: Sequence[str]) -> Rows:
    return [("journeys", "returns: nobody counts how many there are")]


_MAKERS = {
    "unit_cost_groups": _groups, "unit_cost_forecast": _ahead, "journey_costs": _journeys, "bridge": _bridge,
    "spend_anomalies": _strayed, "budget_outlook": _outlook, "budget_closed": _closed,
    "spend_backtest": _record, "commitment_review": _review,
    "commitment_total": _review_total, "commitment_expiry": _expiry, "commitment_comparison": _comparison,
    "waste": _waste, "carbon": _carbon, "rule_hits": _hits, "pool_steps": _steps, "invoice_ties": _invoices,
    "private_discounts": _discounts, "review_notes": _notes,
}  # fmt: skip
