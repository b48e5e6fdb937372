"""What is at stake where a limit may be passed within a quarter: its chance, and the money that rides on it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, timedelta
from typing import Any

import pandas as pd

from capacity.domain import Unit
from capacity.plan import FRAMES, Plan, UnitPlan

# A quarter's planning looks so many days ahead, wherever in a quarter it meets.
QUARTER_DAYS = 91


def at_stake(plan: Plan) -> pd.DataFrame:
    """Every limit of every unit with its chance within a quarter and the money at stake; the most of both first.

    Money at stake is what serving the quarter's demand costs: the P50 of the unit's daily mean, at the unit cost of the
    newest closed month. It stands for how much the company puts into the service, and is no estimate of what an outage
    would lose. ``weighed`` is chance times money. A unit without a bill or without a forecast has no money: null, and
    comes after those that have. The columns are those of plan frame ``at_stake``.
    """
    last = min(plan.horizon_start + timedelta(days=QUARTER_DAYS - 1), plan.horizon_end)
    chances = _chances(plan.frame("saturation"), last)
    money = _money(plan, last)
    rows = [_row(unit, limit.name, last, chances, money) for unit in plan.units for limit in unit.limits]
    frame = pd.DataFrame(rows, columns=list(FRAMES["at_stake"]))
    frame = frame.astype({"probability": float, "money": float, "weighed": float})
    order = ["weighed", "probability", "service", "region", "limit_name"]
    return frame.sort_values(order, ascending=[False, False, True, True, True], kind="stable", ignore_index=True)


def _row(
    unit: UnitPlan, name: str, last: date, chances: Mapping[tuple[Unit, str], float],
    money: Mapping[Unit, tuple[float, str, str]],
) -> tuple[Any, ...]:  # fmt: skip
    chance = chances.get((unit.unit, name))
    amount, currency, month = money.get(unit.unit, (None, "", ""))
    weighed = chance * amount if chance is not None and amount is not None else None
    return (unit.service, unit.region, name, last, chance, amount, currency, month, weighed)


def _chances(curves: pd.DataFrame, last: date) -> dict[tuple[Unit, str], float]:
    """P(passed by ``last``) of every limit: the curves are cumulative."""
    if curves.empty:
        return {}
    near = curves[_days(curves["ts"]) <= pd.Timestamp(last)]
    found = near.groupby(["service", "region", "limit_name"], sort=True, as_index=False).agg(
        probability=("probability", "max")
    )
    return {
        (Unit(str(r["service"]), str(r["region"])), str(r["limit_name"])): float(r["probability"])
        for r in found.to_dict("records")
    }


def _money(plan: Plan, last: date) -> dict[Unit, tuple[float, str, str]]:
    """(money, currency, month of the unit cost) of serving each unit's demand up to ``last``."""
    costs = _newest_costs(plan)
    ahead = _means(plan, "forecast", "q50")
    ahead = ahead[ahead["ts"] <= pd.Timestamp(last)]
    behind = _means(plan, "history", "value")
    behind = behind.assign(month=behind["ts"].dt.strftime("%Y-%m"))
    served = behind.groupby(["service", "month"])["amount"].sum().to_dict()
    out = {}
    for row in ahead.groupby(["service", "region"], as_index=False).agg(amount=("amount", "sum")).to_dict("records"):
        service = str(row["service"])
        cost, currency, month = costs.get(service, (0.0, "", ""))
        whole = float(served.get((service, month), 0.0))
        if whole > 0:
            out[Unit(service, str(row["region"]))] = (cost * float(row["amount"]) / whole, currency, month)
    return out


def _newest_costs(plan: Plan) -> dict[str, tuple[float, str, str]]:
    """(cost, currency, month) of each service in the newest month that it has a cost of, the plan's currency first."""
    rows = plan.frame("unit_cost").to_dict("records")
    rows.sort(key=lambda r: (r["currency"] == plan.currency, str(r["month"])))
    return {str(r["service"]): (float(r["effective_cost"]), str(r["currency"]), str(r["month"])) for r in rows}


def _means(plan: Plan, name: str, column: str) -> pd.DataFrame:
    """service, region, ts, amount: daily means of each unit's own demand."""
    frame = plan.frame(name)
    frame = frame[frame["target"] == "mean"]
    metrics = {(u.service, u.region): u.demand_metric for u in plan.units}
    pairs = zip(frame["service"], frame["region"], frame["metric"], strict=True)
    own = pd.Series([metrics.get((s, r)) == m for s, r, m in pairs], index=frame.index, dtype=bool)
    frame = frame[own]
    return pd.DataFrame({
        "service": frame["service"], "region": frame["region"], "ts": _days(frame["ts"]),
        "amount": frame[column].astype(float),
    })  # fmt: skip


def _days(values: pd.Series) -> pd.Series:
    """Days without a zone, of stamps with or without one."""
    return pd.Series(pd.to_datetime(values, utc=True)).dt.tz_localize(None).dt.normalize()
