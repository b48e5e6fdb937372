"""Why a service gets what it gets: its types against the next best, its coverage by month, and its load tests."""

from __future__ import annotations

from dataclasses import replace

import streamlit as st

from capacity import charts
from capacity.plan import Plan, UnitPlan
from capacity.report import Table, planned
from capacity.ui import _format as fmt
from capacity.ui import _kept
from capacity.ui import _rows as told
from capacity.ui import _shown as shown
from capacity.ui import _widgets as ui


def types(plan: Plan, unit: UnitPlan) -> None:
    """The chosen types first, the others by what they would cost more, each with its reason."""
    if unit.kind == "usage_priced":
        return
    note = "On demand, a year: this service alone on other types, with all else kept."
    with ui.card("Why this type", note):
        table = _without_unit(_kept.result(planned.type_choice, plan, unit))
        extra = [r[3] for r in table.rows if r[3] is not None]
        most = max(extra, default=0.0)
        bars = st.column_config.ProgressColumn(
            "Costs more", min_value=0.0, max_value=most or 1.0, format="percent", width=140,
            help="More a year than the plan; empty where the type is not possible",
        )  # fmt: skip
        money = f"{plan.currency} a year, on demand"
        widths = {"Instance type": 196, "": 62, money: 142, "Why": 540}
        shown.table(table, "Instance types by what they would cost more, with the reason", planned.NO_CHOICE, widths,
                    most_rows=10, lines=2, instead={"Costs more": bars})  # fmt: skip


def _without_unit(table: Table) -> Table:
    """Without its first column: the page is of one unit."""
    return replace(table, columns=table.columns[1:], rows=[r[1:] for r in table.rows])


def kept(plan: Plan, unit: UnitPlan) -> None:
    """Coverage by month, beside it the load tests where there are any."""
    if unit.kind == "usage_priced":
        return
    tests = planned.load_tests(plan, unit.service)
    if not tests.rows:
        _coverage(plan, unit)
        return
    left, right = st.columns(2)
    with left:
        _coverage(plan, unit)
    with right, ui.card("Load tests", "What one instance serves within the SLO, from its load test.", stretch=True):
        for row in tests.rows:
            _load_test(row, unit)


def _coverage(plan: Plan, unit: UnitPlan) -> None:
    rows = plan.frame("coverage")
    rows = rows[(rows["service"] == unit.service) & (rows["region"] == unit.region)]
    note = "Share of simulated futures with no hour above what is planned; and what one instance a zone fewer would do."
    with ui.card("Coverage by month", note, stretch=True):
        if rows.empty:
            st.caption(planned.NO_COVERAGE)
            return
        ui.chart("Coverage by month, promised and with one instance fewer", charts.coverage_months, rows, ui.theme())
        table = _without_unit(planned.coverage(replace(plan, frames={"coverage": rows})))
        st.text(f"Tightest: {planned.coverage_said((unit.unit, *table.rows[0]))}.")
        widths = {"Month": 62, "Coverage": 66, "Headroom kept": 96, "A zone lost": 76, "Promised": 66, "Binds": 150,
                  "With one instance a zone fewer": 200}  # fmt: skip
        shown.table(table, "Coverage by month, the tightest first", planned.NO_COVERAGE, widths)


def _load_test(row: tuple[object, ...], unit: UnitPlan) -> None:
    _, instance_type, low, safe, high, knee, tested, gamma, alpha, beta, flags = row
    amount = f"{fmt.quantity(_float(safe), unit.demand_unit)}, {_number(low)} to {_number(high)}"
    usl = f"γ {_number(gamma)}, α {_number(alpha)}, β {_number(beta)}"
    told.facts(
        [
            ("Instance type", str(instance_type)),
            ("Safe", amount),
            ("Knee", _knee(knee)),
            ("Tested to", fmt.quantity(_float(tested), unit.demand_unit)),
            ("Scalability law", usl),
            ("Trust", str(flags) or "nothing speaks against it"),
        ]
    )


def _knee(knee: object) -> str:
    """Where more concurrency serves less; a knee that was not found was not within the test."""
    found = _float(knee)
    return "none within what was tested" if found is None else f"{found:,.3g} at once: more at once serve less"


def _float(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) else None


def _number(value: object) -> str:
    found = _float(value)
    return fmt.NONE if found is None else f"{found:,.3g}"
