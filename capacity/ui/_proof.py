"""What a plan is held against, service by service: the bill, and the coverage that a simulation of it finds."""

from __future__ import annotations

import streamlit as st

from capacity.plan import Plan
from capacity.report import planned
from capacity.ui import _kept
from capacity.ui import _shown as shown
from capacity.ui import _widgets as ui


def ties(plan: Plan) -> None:
    """The model's price of each service's fleet of the newest closed month against its bill, the worst first."""
    note = "The model's price of the fleet that ran in the newest closed month, against its own rows of the bill."
    with ui.card("Tie to the bill by service", note):
        table = _kept.result(planned.tie_services, plan)
        off = sum(r[6] == "does not tie" for r in table.rows)
        judged = sum(r[6] != "not compared" for r in table.rows)
        if table.rows:
            st.text(
                f"{judged - off} of {judged} tie: services by region, where the bill tells regions apart."
                if judged
                else "No service is modelled in that month."
            )
        widths = {"Service · region": 230, "Month": 64, "Modelled": 88, "Billed, instances": 105, "Difference": 76,
                  "Result": 88, "Rest of its bill": 96, "In words": 330}  # fmt: skip
        shown.table(table, "Each service's fleet by the model and by the bill", planned.NO_TIE, widths, lines=2)


def coverage(plan: Plan) -> None:
    """Each service's tightest month, the tightest service first."""
    note = (
        "The share of futures with no hour above what is planned, as an independent simulation of the plan found it: "
        "as planned, with the policy's headroom kept, and with a zone lost. The least of them binds."
    )
    with ui.card("Realised coverage", note):
        table = _kept.result(planned.coverage_units, plan)
        short = [r for r in table.rows if planned.short_of(r)]
        if table.rows:
            st.text(f"{len(table.rows) - len(short)} of {len(table.rows)} services keep what their tier promises in "
                    "every month.")  # fmt: skip
        widths = {"Service · region": 220, "Month": 66, "Coverage": 76, "Headroom kept": 104, "A zone lost": 84,
                  "Promised": 76, "Binds": 160, "With one instance a zone fewer": 200,
                  "Hours above, of 10,000": 150}  # fmt: skip
        shown.table(table, "Each service's tightest month", planned.NO_COVERAGE, widths)
