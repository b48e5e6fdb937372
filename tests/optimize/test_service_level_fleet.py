"""Plans of small random fleets, solved for real, operated over their paths: the promise is kept, and nothing beyond."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from makers import ARM, LARGE, SMALL, problem, unit

from capacity.domain import Paths, UnitRequirement
from capacity.forecast import block_of, cut_blocks
from capacity.optimize import solve
from capacity.optimize.service_level import Operation, simulate

DAYS = pd.date_range("2026-01-01", "2026-02-28", freq="D")
MONTHS, HOURS = ("2026-01", "2026-02"), (744.0, 672.0)
PATHS, BLOCKS, HEADROOM, RESERVE = 1000, 4, 0.2, 11.0
TYPES = (SMALL, LARGE, ARM)


def paths_of(seed: int, level: float) -> Paths:
    """(1000, 59, 24): levels that wander, a day and a week, noise, and a little growth."""
    rng = np.random.default_rng(seed)
    walk = np.exp(rng.normal(0, 0.02, (PATHS, len(DAYS))).cumsum(axis=1))[:, :, None]
    shape = 1.5 + np.sin(2 * np.pi * (np.arange(24) - 8) / 24)
    week = np.where(DAYS.dayofweek.to_numpy() < 5, 1.0, 0.7)[:, None]
    noise = rng.lognormal(0, 0.08, (PATHS, len(DAYS), 24))
    return (level * walk * week * shape * noise).astype(np.float32)


def asked(name: str, paths: Paths, promise: float, autoscaled: bool, survived: int) -> UnitRequirement:
    """What the pipeline asks of the optimizer: blocks with the reserve, and safe capacity less the headroom."""
    blocks = cut_blocks(paths, DAYS, BLOCKS, promise, static=not autoscaled)
    with_headroom = tuple(replace(c, safe=c.safe * (1 - HEADROOM)) for c in TYPES)
    plain = unit(name, [1.0], with_headroom, survived=survived, autoscaled=autoscaled, least=1, most=400)
    return replace(plain, blocks=tuple(replace(b, demand=b.demand + RESERVE) for b in blocks))


@pytest.mark.parametrize("seed", range(3))
def test_every_month_keeps_its_promise_and_one_instance_fewer_breaks_it(seed: int) -> None:
    cases = {
        "web": (900.0, 0.95, True, 1),
        "api": (150.0, 0.99, True, 1),
        "batch": (400.0, 0.9, False, 0),
        "old": (60.0, 0.5, False, 2),
    }
    paths = {name: paths_of(10 * seed + k, level) for k, (name, (level, *_)) in enumerate(cases.items())}
    requirements = [asked(name, paths[name], p, auto, f) for name, (_, p, auto, f) in cases.items()]
    plan = solve(problem(*requirements, months=MONTHS, hours=HOURS), time_limit_seconds=20.0, gap_frac=0.02)
    for r, (name, (_, promise, autoscaled, survived)) in zip(requirements, cases.items(), strict=True):
        names = np.char.add("b", (block_of(paths[name], DAYS, BLOCKS) + 1).astype(str))
        found = simulate(
            Operation(
                r.unit, promise, DAYS, names, r.zones, survived, autoscaled,
                {c.instance_type: c.safe for c in TYPES}, {c.instance_type: c.zone_loss for c in TYPES},
                HEADROOM, RESERVE, min_per_zone=r.min_per_zone,
            ),
            paths[name], plan.running, plan.provisioned,
        )  # fmt: skip
        assert found["month"].tolist() == list(MONTHS)
        assert found["holds"].all(), name
        assert (found["headroom_coverage_frac"] >= promise - 1e-9).all()
        assert (found["zone_loss_coverage_frac"] >= promise - 1e-9).all() or not survived
        assert found["minimal"].all(), found.T
        assert not found["at_minimum"].any()
