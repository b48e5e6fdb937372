"""The bill as tables and as an equation. Sums are of decimals, so they are exact."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

import pandas as pd

from capacity.domain import TieOut
from capacity.plan import CostMonth, Plan
from capacity.ui import _format as fmt


@dataclass(frozen=True)
class Equation:
    """Direct + shared + unallocated = the bill, as text with every digit; ``exact`` says whether it holds."""

    text: str
    exact: bool


def equation(month: CostMonth) -> Equation:
    """The month's parts against its total."""
    parts = (("direct", month.direct), ("shared", month.shared), ("unallocated", month.unallocated))
    written = "  +  ".join(f"{fmt.exact(value, month.currency)} {name}" for name, value in parts)
    return Equation(
        f"{written}  =  {fmt.exact(month.effective, month.currency)} bill",
        month.direct + month.shared + month.unallocated == month.effective,
    )


def months(plan: Plan) -> Mapping[str, CostMonth]:
    """Closed months, newest first, by what a list of choices calls them."""
    ordered = sorted(plan.costs, key=lambda m: (m.month, m.currency), reverse=True)
    return {f"{m.month} ({m.currency})": m for m in ordered}


def allocation(plan: Plan, month: CostMonth) -> pd.DataFrame:
    """One row a service: direct, shared, and their sum; the largest first. What no rule took is its own row."""
    rows = plan.frame("cost")
    rows = rows[(rows["month"] == month.month) & (rows["currency"] == month.currency)]
    sums: dict[str, dict[str, Decimal]] = {}
    for service, kind, amount in zip(rows["service"], rows["kind"], rows["EffectiveCost"], strict=True):
        name = fmt.visible(str(service)) if kind != "unallocated" else "(unallocated)"
        kinds = sums.setdefault(name, {})
        kinds[kind] = kinds.get(kind, Decimal(0)) + decimal(amount)
    table = [
        {
            "Service": name,
            "Direct": float(kinds.get("direct", 0)),
            "Shared": float(kinds.get("shared", 0)),
            "Total": float(sum(kinds.values(), Decimal(0))),
            "Share": round(float(sum(kinds.values(), Decimal(0)) / month.effective), 3) if month.effective else None,
        }
        for name, kinds in sums.items()
    ]
    frame = pd.DataFrame(table, columns=["Service", "Direct", "Shared", "Total", "Share"])
    return frame.sort_values(["Total", "Service"], ascending=[False, True], ignore_index=True)


def unallocated(plan: Plan) -> pd.DataFrame:
    """The largest pieces that no rule takes, and the rule that would take them."""
    rows = plan.frame("unallocated")
    frame = pd.DataFrame(
        {
            "Provider's service": [fmt.visible(str(x)) for x in rows["ServiceName"]],
            "Account": [fmt.visible(str(x)) for x in rows["SubAccountId"]],
            "Rows": rows["rows"].to_numpy(),
            "Cost": [float(x) for x in rows["EffectiveCost"]],
            "Currency": rows["currency"].to_numpy(),
            "Suggested rule": [fmt.visible(str(x)) for x in rows["suggested_rule"]],
        }
    )
    return frame.sort_values("Cost", ascending=False, ignore_index=True)


def tie_lines(tie: TieOut) -> list[tuple[str, str]]:
    """A tie to the bill as facts: what the model says, what was billed, how far they are apart."""
    return [
        ("Modelled", fmt.money(tie.modelled, tie.currency)),
        ("Billed, effective", fmt.money(tie.billed_effective, tie.currency)),
        ("Difference", fmt.percent(tie.difference_frac, 1)),
        ("Private discount", fmt.percent(tie.private_discount_frac, 1)),
    ]


def remainder(tie: TieOut) -> pd.DataFrame:
    """What the bill holds that the model does not price, by name; the largest first."""
    rows = [{"Not modelled": fmt.visible(name), "Cost": float(value)} for name, value in tie.remainder.items()]
    frame = pd.DataFrame(rows, columns=["Not modelled", "Cost"])
    return frame.sort_values("Cost", ascending=False, ignore_index=True)


def largest_services(plan: Plan, how_many: int) -> list[str]:
    """Services of the unit cost table, by what they cost in its last month."""
    rows = plan.frame("unit_cost")
    if rows.empty:
        return []
    last = rows[rows["month"] == rows["month"].max()]
    order = last.assign(cost=[float(x) for x in last["effective_cost"]]).sort_values("cost", ascending=False)
    return [str(s) for s in dict.fromkeys(order["service"])][:how_many]


def decimal(amount: object) -> Decimal:
    """A cell of a money column; a float (of a frame that lost its decimals) by its shortest text."""
    return amount if isinstance(amount, Decimal) else Decimal(str(amount))
