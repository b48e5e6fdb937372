"""Tables of what money buys: commitments, headroom, each requirement, and other plans of nearly the same cost.

Page, report and workbook show the same tables. A plan made before a frame existed has it empty, and so is its table;
a sentence of this module says what that means.
"""

from __future__ import annotations

import math
from typing import Any

import pandas as pd

from capacity.plan import Plan
from capacity.plan_rows import saving_together
from capacity.report._cells import Row, known, records, text, where
from capacity.report._table import Column, Table, money, percent, sentence
from capacity.scenario import BASE

# What the column Saves holds each commitment against.
SAVES = "Saves: against paying on demand for the planned fleet, beside what is owned; not counted in the plan's cost."
COVERED = (
    "Covered: the share of the usage in its scope, over its term, that is under a commitment without it and with it. "
    "No loss if usage ends from: in the middle future, when what it covered until then is worth the price of its "
    "whole term."
)
NO_PURCHASE = "No commitment is worth buying, or none was looked for."
OF_THE_BASE = (
    "Commitments to buy, other sizes of them and the coverage to come are those of the base plan: a scenario's plan "
    "has its own where it says what may be bought (commitments)."
)
NO_REFUSAL = "Every offer was considered."
NO_OFFER = "No offer has a known rate: a rate that is not known is never guessed."
NO_PLAN = "no plan exists"
NO_CURVE = "Not known: the fleet was not planned at several service levels."
NO_PRICE = "No requirement was moved to see what it costs."
NO_ALTERNATIVE = "No plan that differs costs within 1% of this one, or none was looked for."
_PRODUCTS = {"compute_sp": "Compute Savings Plan", "ec2_instance_sp": "EC2 Instance Savings Plan",
             "standard_ri": "Standard RI"}  # fmt: skip


# --- commitments ---------------------------------------------------------------------------------------------


def purchase_name(row: Row) -> str:
    """EC2 Instance Savings Plan, c7g, us-east-1, 1 y, no upfront: what is bought, as people say it."""
    product = text(row["product"])
    years = known(row["term_years"])
    parts = [_PRODUCTS.get(product, product.replace("_", " ")), text(row["scope"]), text(row["region"]),
             f"{years:.0f} y" if years is not None else "", text(row["payment"]).replace("_", " ")]  # fmt: skip
    return ", ".join(p for p in parts if p)


def in_order(plan: Plan) -> pd.DataFrame:
    """The frame "purchases", the largest mean saving first."""
    rows = plan.frame("purchases").reset_index(drop=True)
    found = list(enumerate(records(rows)))
    found.sort(key=lambda x: (-(known(x[1]["saving_mean"]) or 0.0), text(x[1]["month"]), text(x[1]["offer"])))
    return rows.iloc[[i for i, _ in found]]


def purchases(plan: Plan) -> Table:
    """Commitments to buy, the largest mean saving first; the total is what they cost an hour and save in all."""
    cells = [_purchase(r) for r in records(in_order(plan))]
    total = None
    if len(cells) > 1:
        sums = {i: sum(c[i] for c in cells if c[i] is not None) for i in (7, 8, 9, 14)}
        total = tuple("total" if i == 0 else sums.get(i) for i in range(len(_purchase_columns(plan.currency))))
    return Table("Purchases", _purchase_columns(plan.currency), cells, total)


def _purchase(r: Row) -> tuple[Any, ...]:
    count = known(r["count"])
    low, high, waiting = known(r["saving_q10"]), known(r["saving_q90"]), known(r["waiting_usd_per_month"])
    return (
        purchase_name(r), text(r["offer"]), text(r["region"]), text(r["account_id"]),
        known(r["term_years"]), text(r["month"]), count or None, known(r["hourly_usd"]), known(r["upfront_usd"]),
        known(r["monthly_usd"]), known(r["utilisation_q10"]), known(r["utilisation_q50"]), known(r["utilisation_q90"]),
        _break_even(r["break_even"]), known(r["saving_mean"]), low, high, _span(low, high), known(r["regret_q10"]),
        known(r["regret_q90"]), waiting, _later(waiting), known(r.get("coverage_before_frac")),
        known(r.get("coverage_after_frac")), _safe_after(r),
    )  # fmt: skip


def _break_even(value: Any) -> str | None:
    """A month as it is, a number of months in words."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        months = known(value)
        return None if months is None else f"{months:.0f} months"
    return text(value) or None


def _safe_after(r: Row) -> str | None:
    """Plans made before it was kept do not know it."""
    return text(r["safe_after"]) or None if "safe_after" in r else "not known"


def _span(low: float | None, high: float | None) -> str | None:
    return None if low is None or high is None else f"{money(low)} to {money(high)}"


def _later(usd: float | None) -> str | None:
    """What buying a month later costs; below zero waiting saves."""
    return None if usd is None else f"waiting saves {money(-usd)}" if usd < 0 else f"costs {money(usd)}"


def _purchase_columns(currency: str) -> tuple[Column, ...]:
    unit = f", {currency}"
    return (
        Column("Commitment"), Column("Offer", only="sheet"), Column("Region", only="sheet"),
        Column("Account", none="all"), Column("Years", "number", only="sheet"),
        Column("Buy in", "status"), Column("Count", "number", only="sheet"), Column(f"An hour{unit}", "cents"),
        Column(f"Upfront{unit}", "money"), Column(f"A month{unit}", "money", only="sheet"),
        Column("Used, P10", "percent"), Column("Used, P50", "percent", only="sheet"), Column("Used, P90", "percent"),
        Column("Break-even", none="never"), Column(f"Saves{unit}", "money"),
        Column(f"Saves, P10{unit}", "money", only="sheet"), Column(f"Saves, P90{unit}", "money", only="sheet"),
        Column("Saves, P10 to P90", only="page"),
        Column(f"Regret, low usage{unit}", "money"), Column(f"Regret, high usage{unit}", "money"),
        Column(f"A month later costs{unit}", "money", only="sheet"), Column("A month later", only="page"),
        Column("Covered without", "percent"), Column("Covered with", "percent"),
        Column("No loss if usage ends from", "status", none="never"),
    )  # fmt: skip


def refusals(plan: Plan) -> Table:
    """Offers that were not considered or not allowed, and why."""
    rows = [(text(r["offer"]), text(r["reason"])) for r in records(plan.frame("purchase_refusals"))]
    return Table("Offers refused", (Column("Offer"), Column("Why not", "long")), sorted(rows))


def nothing_to_buy(plan: Plan) -> str:
    """Why there is no purchase: a scenario's plan that asks for none, no known rate, or nothing was worth it."""
    if plan.scenario != BASE and plan.frame("purchase_refusals").empty:
        return OF_THE_BASE
    return NO_PURCHASE if plan.frame("purchase_refusals").empty else f"{NO_PURCHASE} {NO_OFFER}"


def buying_line(plan: Plan) -> str:
    """The purchases in one sentence; empty where there is none."""
    table = purchases(plan)
    if not table.rows:
        return ""
    hourly, (saving, together) = sum(r[7] for r in table.rows if r[7] is not None), saving_together(plan)
    first = min(r[5] for r in table.rows)
    many = "commitment" if len(table.rows) == 1 else "commitments"
    return (
        f"Buy {len(table.rows)} {many} for {hourly:,.2f} {plan.currency} an hour, the first in {first}: expected to "
        f"save {money(saving)} {plan.currency} over the terms{', against buying none' if together else ''}."
    )


# --- price of headroom, prices of requirements, alternatives --------------------------------------------------


def cost_curve(plan: Plan) -> Table:
    """What each service level costs over the horizon, and against the lowest level."""
    rows = sorted(records(plan.frame("cost_curve")), key=lambda r: float(r["service_level"]))
    base = known(rows[0]["cost_usd"]) if rows else None
    cells = []
    for r in rows:
        cost, bound = known(r["cost_usd"]), known(r["bound_usd"])
        more = None if cost is None or not base else cost / base - 1
        gap = None if cost is None or bound is None or not cost else (cost - bound) / cost
        cells.append((f"P{float(r['service_level']) * 100:.4g}", float(r["service_level"]), cost, bound, gap, more))
    unit = f", {plan.currency}"
    columns = (
        Column("Futures fit", "status"), Column("Service level", "percent1", only="sheet"),
        Column(f"Costs{unit}", "money", "no plan"), Column(f"Proven bound{unit}", "money"), Column("Gap", "percent1"),
        Column("More than the first", "percent1"),
    )  # fmt: skip
    return Table("Price of headroom", columns, cells)


def curve_said(plan: Plan) -> str:
    """How far the curve is proven: with the types of this plan, where its levels were solved with no others."""
    said = (
        "What the fleet costs over the horizon if the same share of futures must fit for every service, priced as this "
        "plan is (commitments that are owned applied, none bought)"
    )
    rows = plan.frame("cost_curve")
    statuses = [text(s) for s in rows["status"]] if "status" in rows else []
    if plan.mix is None or not any("types" in s for s in statuses):
        return f"{said}. The best possible plan lies between the proven bound and the cost shown."
    gap = percent(max(plan.mix.gap_frac, 0.0), 1)
    return f"{said}, with the types of this plan; other types might cost up to {gap} less."


def headroom_cost(plan: Plan, high: float = 0.95, low: float = 0.5) -> tuple[float, float] | None:
    """Money and share by which P95 costs more than P50; None where either is not known."""
    costs = {round(float(r["service_level"]), 4): known(r["cost_usd"]) for r in records(plan.frame("cost_curve"))}
    top, base = costs.get(high), costs.get(low)
    return None if top is None or not base else (top - base, top / base - 1)


def requirement_prices(plan: Plan) -> Table:
    """What one step of each requirement costs a year, the dearest first; what cannot be comes last."""
    rows = records(plan.frame("requirement_prices"))
    cells = [
        (where(r), text(r["requirement"]), text(r["moved"]), known(r["low_usd_per_year"]),
         known(r["high_usd_per_year"]), text(r["words"]))
        for r in rows if text(r["requirement"])
    ]  # fmt: skip
    cells.sort(key=lambda c: (c[3] is None or c[4] is None, -max(abs(c[3] or 0.0), abs(c[4] or 0.0)), c[0], c[1]))
    unit = f", {plan.currency} a year"
    columns = (
        Column("Of", none="fleet"), Column("Requirement"), Column("Moved by"),
        Column(f"From{unit}", "money", NO_PLAN), Column(f"To{unit}", "money", NO_PLAN), Column("In words", "long"),
    )  # fmt: skip
    return Table("Requirement prices", columns, cells)


def not_priced(plan: Plan) -> str:
    """Which requirements were not moved; "" where all were. The frame has it as rows that name no requirement."""
    rows = records(plan.frame("requirement_prices"))
    return " ".join(sentence(text(r["words"])) for r in rows if not text(r["requirement"]) and text(r["words"]))


def alternatives(plan: Plan) -> Table:
    """Plans that cost nearly the same and look different, the cheapest first."""
    rows = sorted(records(plan.frame("alternatives")), key=lambda r: known(r["cost_usd"]) or math.inf)
    cells = [
        (text(r["name"]), known(r["cost_usd"]), known(r["extra_frac"]), known(r["distance_frac"]), text(r["words"]))
        for r in rows
    ]
    columns = (
        Column("Plan"), Column(f"Costs, {plan.currency}", "money"), Column("More than the plan", "percent1"),
        Column("Differs by", "percent"), Column("In words", "long"),
    )  # fmt: skip
    return Table("Alternatives", columns, cells)


THIS_PLAN = "this plan"
# What the frame calls this plan's own rows, where it has them.
_OWN = "plan"


def shapes(plan: Plan) -> pd.DataFrame:
    """name, instance_type, instances: this plan's fleet in the alternatives' month, then theirs, cheapest first."""
    rows = plan.frame("alternative_mix")
    if rows.empty:
        return pd.DataFrame(columns=["name", "instance_type", "instances"])
    named = rows.assign(name=[text(n) for n in rows["name"]])
    mine = named["name"] == _OWN
    month = str((named[mine] if mine.any() else named)["month"].mode().iloc[0])
    own = plan.frame("mix")
    own = own[own["month"] == month].assign(name=THIS_PLAN)
    order = [r[0] for r in alternatives(plan).rows]
    ranked = _one_month(named[~mine], month)
    ranked["place"] = [order.index(n) if n in order else len(order) for n in ranked["name"]]
    ranked = ranked.sort_values("place", kind="stable")
    columns = ["name", "instance_type", "instances"]
    return pd.concat([own[columns], ranked[columns]], ignore_index=True)


def _one_month(rows: pd.DataFrame, month: str) -> pd.DataFrame:
    """Of each name the rows of ``month``; of one that has none, those of its own last month."""
    kept = [of[of["month"] == (month if (of["month"] == month).any() else of["month"].max())]
            for _, of in rows.groupby("name", sort=False)]  # fmt: skip
    return pd.concat(kept) if kept else rows


def alternative_mix(plan: Plan) -> Table:
    """What each alternative runs, whole, for the workbook."""
    names = ("name", "service", "region", "month", "instance_type", "instances")
    rows = list(plan.frame("alternative_mix")[list(names)].itertuples(index=False, name=None))
    heads = (Column("Plan"), Column("Service"), Column("Region"), Column("Month", "month"), Column("Instance type"),
             Column("Instances", "number"))  # fmt: skip
    return Table("Alternative mixes", heads, rows)
