"""What the optimizer says of a plan of :mod:`tests.factory`: coverage, purchases, prices, alternatives, total, ties."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal

import numpy as np
import pandas as pd

from capacity.plan import FRAMES, Plan, UnitPlan
from tests.factory_unit import CLOSED, HOSTILE, MONTHS

Rows = Sequence[tuple[object, ...]]
OFFERS = (
    ("compute_sp", "", 1, "no_upfront"), ("ec2_instance_sp", "c7g", 1, "partial_upfront"),
    ("standard_ri", "m7g.2xlarge", 3, "all_upfront"), ("compute_sp", "", 3, "all_upfront"),
)  # fmt: skip
REFUSED = (("standard_ri c6i.2xlarge us-east-1 1y no_upfront", "no rate is known for it"),
           ("compute_sp 3y partial_upfront", "break-even after 21 months, at most 18 allowed"))  # fmt: skip
TOTAL = "total"
NOT_TRIED = "not tried: tier critical: 1 zone more, and 77 more"


def planned(plan: Plan, ugly: bool = False) -> Plan:
    """``plan`` with all that the optimizer says beside the mix; ``ugly`` puts hostile words wherever words may be.

    A plan without units gets the frames with their columns and no row.
    """
    fleets = [u for u in plan.units if u.kind != "usage_priced"]
    rows: dict[str, Rows] = {
        "coverage": [r for u in fleets for r in _coverage(u)],
        "headroom_months": [r for u in fleets for r in _headroom(u)],
        "cost_curve": _curve(plan),
        "purchases": _purchases(plan),
        "purchase_refusals": REFUSED if fleets else (),
        "requirement_prices": _prices(fleets),
        "alternatives": _alternatives(plan),
        "alternative_mix": _alternative_mix(fleets),
        "type_choice": [r for u in fleets for r in _choice(u)],
        "tie_services": _ties(fleets),
        "plan_total": _total(plan),
        "load_tests": _load_tests(fleets),
    }
    frames = {name: pd.DataFrame(list(found), columns=list(FRAMES[name])) for name, found in rows.items()}
    if ugly:
        frames = {name: _hostile(frame) for name, frame in frames.items()}
    return replace(plan, frames={**plan.frames, **frames})


def _hostile(frame: pd.DataFrame) -> pd.DataFrame:
    """Words of ours replaced by others': each row of words, offers, reasons and names by one of the hostile ones."""
    out = frame.copy()
    for column in ("words", "offer", "reason", "requirement", "moved", "part", "flags", "scope", "break_even"):
        if column in out and len(out):
            out[column] = [f"{HOSTILE[i % len(HOSTILE)]} {'long ' * 30}" for i in range(len(out))]
    for column in ("one_fewer_frac", "utilisation_q50", "bound_usd", "saving_q10", "usd_per_year", "knee"):
        if column in out:
            out[column] = np.nan
    return out


def _coverage(u: UnitPlan) -> Rows:
    least = u.coverage_min_frac if u.coverage_min_frac is not None else u.service_level
    return [
        (
            u.service,
            u.region,
            m,
            min(least + 0.003 * k, 1.0),
            u.service_level,
            least - 0.03,
            0.0002 * k,
            min(least + 0.003 * k, 1.0) - (0.004 if k % 2 else 0.001),
            min(least + 0.003 * k, 1.0) - 0.002 if u.zones_lost else None,
        )
        for k, m in enumerate(MONTHS)
    ]


def _headroom(u: UnitPlan) -> Rows:
    now = u.headroom_now_frac if u.headroom_now_frac is not None else 0.1
    safe, rows = (u.safe_now.mid if u.safe_now else 1000.0), []
    for k, month in enumerate(("now", *MONTHS)):
        running, ahead = now - 0.03 * k, 0.2 + 0.01 * (k % 3) - (0.05 if u.tier == "critical" and k == 3 else 0.0)
        peak = safe * (1 - running)
        rows.append((u.service, u.region, month, peak, safe, running, peak / (1 - ahead), ahead,
                     u.headroom_policy_frac, ahead >= u.headroom_policy_frac, running >= u.headroom_policy_frac,
                     running >= 0.15 if u.zones_lost else None, None if month == "now" else True))  # fmt: skip
    return rows


def _curve(plan: Plan) -> Rows:
    if plan.mix is None:
        return []
    cost = plan.mix.recommended_usd
    return [
        (p, cost * x, cost * x * 0.996, "optimal, with the plan's types")
        for p, x in ((0.5, 0.91), (0.9, 0.97), (0.95, 1.0), (0.99, 1.068))
    ]


def _purchases(plan: Plan) -> Rows:
    if not plan.units:
        return []
    out: list[tuple[object, ...]] = []
    for i, (product, scope, years, payment) in enumerate(OFFERS):
        hourly, hours = 1.4 * (i + 1), 8766.0 * years
        whole = hourly * hours
        upfront = whole * {"no_upfront": 0.0, "partial_upfront": 0.5, "all_upfront": 1.0}[payment]
        saving, months = whole * 0.3, 12 * years
        out.append((
            f"{product} {scope or 'any'} {years}y {payment}", product, scope, "" if product == "compute_sp" else
            "us-east-1", "", years, payment, MONTHS[i % 3], hourly, 4 if product == "standard_ri" else 0, upfront,
            (whole - upfront) / months, 0.86 + 0.02 * i, 0.95, 1.0, ("2027-06", None)[i % 2], saving * 0.6, saving,
            saving * 1.2, 120.0 * i, 310.0, saving / months, saving, 0.2, 0.55, ("2027-08", None)[i % 2],
        ))  # fmt: skip
    return out


def _prices(fleets: Sequence[UnitPlan]) -> Rows:
    out: list[tuple[object, ...]] = []
    for i, u in enumerate(fleets):
        base = 400.0 * (len(fleets) - i)
        moved = (("zones survived", "1 zone more", base * 8, base * 8.4), ("headroom", "1 point more", base, base),
                 ("smallest count", "1 a zone fewer", -base * 0.4, -base * 0.3))[i % 3]  # fmt: skip
        out.append((moved[0], u.service, u.region, *moved[1:], f"{u.unit}: {moved[0]}, {moved[1]}, costs a year"))
    if fleets:
        out.append(
            ("quota L-1216C47A of us-east-1", "", "", "64 vCPU more", -900.0, 0.0, "64 vCPU more save up to 900")
        )
        out.append(("zones survived", fleets[0].service, fleets[0].region, "2 zones more", np.inf, np.inf,
                    "no plan survives the loss of 3 of 3 zones"))  # fmt: skip
        out.append(("", "", "", "", None, None, NOT_TRIED))
    return out


ALTERNATIVES = ("fewer types", "newer generation", "spread wider")


def _alternatives(plan: Plan) -> Rows:
    if plan.mix is None:
        return []
    return [
        (name, plan.mix.recommended_usd * (1 + x), x, d, f"{name}: {d:.0%} of the instances are of other types")
        for name, x, d in zip(ALTERNATIVES, (0.002, 0.006, 0.009), (0.2, 0.35, 0.5), strict=True)
    ]


def _alternative_mix(fleets: Sequence[UnitPlan]) -> Rows:
    types = ("m7i.2xlarge", "r7g.xlarge", "c7g.4xlarge", "m7g.2xlarge")
    out: list[tuple[object, ...]] = []
    for i, name in enumerate(ALTERNATIVES):
        for k, u in enumerate(fleets):
            lines = u.recommended.get(MONTHS[-1], ())
            count = sum(x.instances for x in lines) or 3
            out.append((name, u.service, u.region, MONTHS[-1], types[(i + k) % len(types)], count + i))
    return out


def _choice(u: UnitPlan) -> Rows:
    year = u.recommended_usd * 2
    chosen = u.recommended[MONTHS[0]][0].instance_type if u.recommended else "m7g.2xlarge"
    return [
        (u.service, u.region, chosen, True, year, 0.0, "chosen"),
        (u.service, u.region, "m7i.2xlarge", False, year * 1.08, 0.08, "2% fewer instances at a price 11% higher"),
        (u.service, u.region, "m6g.2xlarge", False, year * 1.21, 0.21, "serves 12% less an instance"),
        (u.service, u.region, "x2gd.large", False, np.inf, np.inf, "does not fit the quota of its class"),
    ]


def _ties(fleets: Sequence[UnitPlan]) -> Rows:
    out: list[tuple[object, ...]] = []
    for i, u in enumerate(fleets):
        billed, apart = Decimal(1000 + 37 * i), 0.004 * i * (-1) ** i
        model, ties = (billed * Decimal(str(1 + apart))).quantize(Decimal("0.01")), abs(apart) < 0.02
        out.append((u.service, u.region if i else "", CLOSED[-1], "USD", model, billed, Decimal("81.25"), apart, ties,
                    f"{'within' if ties else 'beyond'} 2% of the bill"))  # fmt: skip
    if fleets:
        out.append(("(shared and unallocated)", "", CLOSED[-1], "USD", None, Decimal(0), Decimal("912.50"), None, None,
                    ""))  # fmt: skip
    return out


def _total(plan: Plan) -> Rows:
    """Every month's parts and, as the pipeline gives it, their sum."""
    if plan.mix is None:
        return []
    out: list[tuple[object, ...]] = []
    base = plan.mix.recommended_usd / len(MONTHS)
    shares = (
        ("instances", 1.0, "optimizer"), ("databases", 0.21, "optimizer"),
        ("usage-priced services", 0.12, "spend forecast"), ("beside instances", 0.18, "spend forecast"),
        ("shared and unallocated", 0.07, "spend forecast"), ("tax", 0.05, "assumed"), ("credits", -0.03, "assumed"),
    )  # fmt: skip
    for k, month in enumerate(MONTHS):
        amounts = [Decimal(str(round(base * share * (1 + 0.02 * k), 2))) for _, share, _ in shares]
        out += [(month, part, "", "", amount, basis) for (part, _, basis), amount in zip(shares, amounts, strict=True)]
        out.append((month, TOTAL, "", "", sum(amounts, Decimal(0)), ""))
    return out


def _load_tests(fleets: Sequence[UnitPlan]) -> Rows:
    return [
        (u.service, "m6i.2xlarge", 92.0, 101.0, 109.0, 12.5, 0.021, 0.0008, 34.0, 120.0,
         "knee not reached: what is beyond 120 is extrapolated")
        for u in fleets[::3]
    ]  # fmt: skip
