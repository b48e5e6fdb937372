"""Commitments: regret on real demand beside the 30-day rule, and times of the two-stage programme.

    python -m bench.commitments

The first table buys a one-year commitment every four weeks, each time from the history so far alone, on the recorded VM
demand (its folder is named by CAPACITY_REAL_DATA): regret against the best level in hindsight, and the saving against
on demand. The second decides on purchases of three offers in any of twelve months, over 200 joint paths, with and
without risk, with rates that differ by type, with a second term, and with Reserved Instances (whole numbers).
"""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from capacity.domain import Floats, Offer
from capacity.optimize.commitments import commitment_level
from capacity.optimize.purchases import PurchasePolicy, PurchaseProblem, UsageGroup, recommend

ROOT = Path(__file__).resolve().parents[1]
YEAR_HOURS, STEP_HOURS, MONTH_HOURS = 8760, 28 * 24, 730.0
TYPES = tuple(f"{family}.{size}" for size in ("large", "xlarge", "2xlarge") for family in ("m5", "c5", "r5", "m7g"))
REGION = "us-east-1"


def main() -> None:
    data = Path(os.environ.get("CAPACITY_REAL_DATA", ROOT.parent / "shared" / "data"))
    file = data / "vm_demand" / "vm_demand_hourly.csv.gz"
    if file.is_file():
        for rate in (0.72, 0.50):
            print(_regrets(file, rate), flush=True)
    else:
        print(f"real demand: none at {file}; set CAPACITY_REAL_DATA")
    base = _problem((1,))
    cases = {
        "one month": replace(base, policy=PurchasePolicy()),
        "12 months": base,
        "12 months, risk weight .5": replace(base, policy=replace(base.policy, risk_weight=0.5)),
        "12 months, rates by type": _problem((1,), spread=0.02),
        "12 months, 1 and 3 years": _problem((1, 3)),
        "12 months, with RIs": _problem((1,), reserved=True),
    }
    for name, problem in cases.items():
        wall, cpu = time.perf_counter(), time.process_time()
        plan = recommend(problem)
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
        saved = 1 - plan.cost.mean / plan.cost_without.mean
        print(
            f"{name:<28} {wall:6.2f} s (CPU {cpu:.2f})  {plan.status.status}, "
            f"gap {plan.status.gap:.1e}, {len(plan.recommendations)} purchases, saves {saved:.1%}",
            flush=True,
        )


def _regrets(file: Path, rate: float) -> str:
    frame = pd.read_csv(file, parse_dates=["ts"])
    totals = frame.pivot_table(index="ts", columns="region", values="vms", aggfunc="sum").asfreq("h").fillna(0.0)
    rows = []
    for origin in range(YEAR_HOURS, len(totals) - YEAR_HOURS, STEP_HOURS):
        for region in totals:
            past, year = totals[region].iloc[:origin], totals[region].iloc[origin : origin + YEAR_HOURS].to_numpy()
            best = _cost(year, float(np.quantile(year, 1 - rate)), rate)
            thumb = float(np.quantile(past.iloc[-720:], 1 - rate))
            for who, level in (("30 days", thumb), ("capacity", commitment_level(past, rate, 365))):
                cost = _cost(year, level, rate)
                rows.append({"who": who, "regret": cost / best - 1, "saving": 1 - cost / year.sum()})
    by = pd.DataFrame(rows).groupby("who")
    table = pd.DataFrame(
        {
            "mean_regret": by["regret"].mean(),
            "p90_regret": by["regret"].quantile(0.9),
            "mean_saving": by["saving"].mean(),
            "worst_saving": by["saving"].min(),
        }
    )
    return f"rate {rate}\n{table.round(4).to_string()}"


def _cost(demand: Floats, level: float, rate: float) -> float:
    return float(rate * level * len(demand) + np.maximum(demand - level, 0).sum())


def _problem(
    years: Sequence[int], spread: float = 0.0, reserved: bool = False, paths: int = 200, blocks: int = 4
) -> PurchaseProblem:
    """Twelve types of four families over a year: a common growth, own random walks, and four load blocks a month."""
    rng = np.random.default_rng(0)
    months = tuple(f"2026-{m:02d}" for m in range(1, 13))
    grown = np.sqrt(np.arange(1, 13) / 12)[None, :, None]
    common = np.exp(0.1 * rng.standard_normal((paths, 1, 1)) * grown)
    groups = []
    for number, name in enumerate(TYPES):
        own = np.exp(np.cumsum(0.06 * rng.standard_normal((paths, 12)), axis=1))[:, :, None]
        shape = np.sort(rng.uniform(0.4, 1.0, blocks))[::-1]
        usd = (rng.uniform(5, 50) * common * own * shape).reshape(paths, -1)
        groups.append(UsageGroup("1111", REGION, name.split(".")[0], name, 0.1 * 2 ** (number // 4), usd))
    offers = [o for y in years for o in _offers(y, spread, reserved, rng)]
    lots = tuple(int(t) for t in np.repeat(np.arange(12), blocks))
    policy = PurchasePolicy(ladder=True)
    hours = tuple([MONTH_HOURS / blocks] * len(lots))
    return PurchaseProblem(months, lots, hours, tuple(groups), tuple(offers), policy=policy)


def _offers(years: int, spread: float, reserved: bool, rng: np.random.Generator) -> list[Offer]:
    base = {1: 0.72, 3: 0.50}[years]

    def offer(name: str, product: str, rate: float, scope: str, upfront: float = 0.0) -> Offer:
        rates = {t: rate + float(rng.uniform(-spread, spread)) for t in TYPES}
        payment = "all_upfront" if upfront else "no_upfront"
        region = REGION if scope else ""
        return Offer(f"{name} {years}y", product, years, payment, scope, region, "", rates, upfront)  # type: ignore[arg-type]

    out = [
        offer("compute", "compute_sp", base + 0.02, ""),
        offer("m5", "ec2_instance_sp", base - 0.05, "m5"),
        offer("c5", "ec2_instance_sp", base - 0.07, "c5", 1.0),
    ]
    return [*out, offer("ri", "standard_ri", base - 0.08, "m5.large")] if reserved else out


if __name__ == "__main__":
    main()
