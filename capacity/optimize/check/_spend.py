"""Spend adds up: what each unit pays on demand, for spot and under commitments, and what is paid for nothing."""

from __future__ import annotations

from collections.abc import Iterator

from capacity.domain import Floats
from capacity.optimize.check._plan import ON_DEMAND, SPOT, Plan, Slack, agree, near
from capacity.optimize.check._quotas import UNUSED_RESERVATIONS, idle_usd

UNUSED_COMMITMENTS = "(commitments unused)"
_PARTS = ["on_demand_usd", "spot_usd", "committed_usd"]


def spend(plan: Plan) -> Iterator[Slack]:
    """By month: on demand = value that runs - covered + reserved and idle; spot as it runs; committed = paid."""
    missing = [c for c in ("month", "unit", *_PARTS, "total_usd") if c not in plan.spend]
    yield agree(not missing, f"spend has no column {', '.join(missing)}")
    if missing:
        return
    yield agree(not plan.spend.duplicated(["unit", "month"]).any(), "spend has repeated rows")
    for month in plan.problem.months:
        yield from _month(plan, month)
    for row in plan.spend.to_dict("records"):
        where, parts = f"{row['unit']} {row['month']}", [row[c] for c in _PARTS]
        yield near(row["total_usd"], sum(parts), f"{where}: total")
        yield min(0.0, *parts), f"{where}: less than nothing is paid"
    yield from _by_unit(plan)


def _month(plan: Plan, month: str) -> Iterator[Slack]:
    runs = plan.running[plan.running["month"] == month].groupby("purchase")["usd"].sum().to_dict()
    use = plan.use[plan.use["month"] == month]
    rows = plan.spend[plan.spend["month"] == month]
    covered, paid, unused = (float(use[c].sum()) for c in ("used_usd", "paid_usd", "unused_usd"))
    idle = idle_usd(plan, month)
    named, special = set(rows["unit"]), {UNUSED_COMMITMENTS: unused, UNUSED_RESERVATIONS: idle}
    yield agree(named - special.keys() == plan.by_unit.keys(), f"spend of {month} does not name every unit once")
    on_demand = runs.get(ON_DEMAND, 0.0) - covered + idle
    yield near(float(rows["on_demand_usd"].sum()), on_demand, f"{month}: on demand")
    yield near(float(rows["spot_usd"].sum()), runs.get(SPOT, 0.0), f"{month}: spot")
    yield near(float(rows["committed_usd"].sum()), paid, f"{month}: committed")
    # A row for what is not there may be left out.
    for name, wanted in special.items():
        yield near(float(rows.loc[rows["unit"] == name, "total_usd"].sum()), wanted, f"{month}: {name}")


def _by_unit(plan: Plan) -> Iterator[Slack]:
    """Each unit's share of what is covered, and of what that takes."""
    runs = plan.running.groupby(["unit", "month", "purchase"])["usd"].sum().to_dict()
    columns = plan.spend[["unit", "month", *_PARTS]].itertuples(index=False, name=None)
    spent = {(unit, month): parts for unit, month, *parts in columns}
    for month in plan.problem.months:
        covered, taken = (_sums(plan, month, usd[month]) for usd in (plan.applied.covered, plan.applied.taken))
        for name in plan.by_unit:
            if (name, month) not in spent:
                continue
            on_demand = runs.get((name, month, ON_DEMAND), 0.0) - covered.get(name, 0.0)
            wanted = (on_demand, runs.get((name, month, SPOT), 0.0), taken.get(name, 0.0))
            for column, stated, usd in zip(_PARTS, spent[name, month], wanted, strict=True):
                yield near(stated, usd, f"{name} {month}: {column}")


def _sums(plan: Plan, month: str, usd: Floats) -> dict[str, float]:
    """Unit -> its sum of (rows, levels) USD."""
    out: dict[str, float] = {}
    for (site, _), total in zip(plan.hours_of_instances[month][0], usd.sum(axis=1), strict=True):
        out[site.name] = out.get(site.name, 0.0) + float(total)
    return out
