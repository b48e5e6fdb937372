"""The FinOps review's pictures, each where its section has something to show."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pandas as pd

from capacity import charts
from capacity.report._pictures import Picture, picture

if TYPE_CHECKING:
    from capacity.pipeline import CostReport

# Lines whose colours stay apart.
MOST_LINES = 5


def of(found: CostReport, section: str) -> list[Picture]:
    """Pictures of the section with this key."""
    makers = {
        "bill": _bill, "bridge": _bridge, "unit": _unit, "budget": _budget, "commitments": _commitments,
        "waste": _waste,
    }  # fmt: skip
    return list(makers[section](found)) if section in makers else []


def _frame(found: CostReport, name: str) -> pd.DataFrame:
    """Rows in the company's currency, where it has any: one picture is of one currency."""
    frame = found.frames.get(name, pd.DataFrame())
    if "currency" not in frame.columns or not (frame["currency"] == found.currency).any():
        return frame
    return frame[frame["currency"] == found.currency]


def _bill(found: CostReport) -> Iterator[Picture]:
    frame = _frame(found, "cost")
    closed = frame[frame["month"] <= found.month]
    if len(closed):
        caption = "Effective cost of the closed months: direct, shared and unallocated."
        yield picture(charts.cost_stack(closed), caption, height=200)


def _bridge(found: CostReport) -> Iterator[Picture]:
    rows = _frame(found, "bridge_services")
    if len(rows) and found.periods:
        chart = charts.bridge_waterfall(rows, "light", found.periods, found.currency)
        yield picture(chart, f"From {found.periods[0]} to {found.periods[1]}, term by term in their fixed order.")


def _unit(found: CostReport) -> Iterator[Picture]:
    groups, ahead = _frame(found, "unit_cost_groups"), _frame(found, "unit_cost_forecast")
    if groups.empty:
        return
    journeys = _frame(found, "journey_costs")
    if len(journeys):
        chart = charts.journey_stack(journeys, found.month)
        yield picture(chart, f"Cost of each journey in {found.month} by the services that it calls.")
    for level, words in (("journey", "journeys"), ("service", "the dearest services")):
        rows = groups[groups["level"] == level]
        if rows.empty:
            continue
        newest = rows[rows["month"] == found.month].copy()
        newest["size"] = newest["effective_cost"].astype(float)
        names = newest.sort_values("size", ascending=False)["name"].head(MOST_LINES).tolist()
        coming = ahead[ahead["level"] == level] if len(ahead) else pd.DataFrame(columns=list(_AHEAD))
        chart = charts.unit_cost_outlook(rows, coming, names)
        tail = "; to come under the plan: P50 and P10 to P90" if len(coming) else ""
        yield picture(chart, f"Unit cost by month of {words}{tail}.", height=220)


_AHEAD = ("level", "name", "month", "currency", "q10", "q50", "q90", "per")


def _budget(found: CostReport) -> Iterator[Picture]:
    frame = _frame(found, "budget_outlook")
    if len(frame):
        rows = frame[(frame["level"] == "company") & (frame["period_kind"] == "month")]
        yield picture(
            charts.spend_budget(rows), "The company's months to come: P50, P10 to P90, and the budget.", height=230
        )


def _commitments(found: CostReport) -> Iterator[Picture]:
    frame = _frame(found, "commitment_review")
    if len(frame):
        yield picture(
            charts.commitment_rates(frame), "Coverage, utilisation and effective savings rate of all commitments."
        )


def _waste(found: CostReport) -> Iterator[Picture]:
    frame = _frame(found, "waste")
    if len(frame):
        yield picture(charts.waste_by_kind(frame), "Waste a month by kind, and what the recommended mix takes of it.")
