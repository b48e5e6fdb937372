"""Fleet plan: what it saves, what headroom and each requirement cost, what to buy, and what else would do."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from capacity import charts
from capacity.pipeline.priced import headroom_words
from capacity.plan import Plan
from capacity.report import bought, planned
from capacity.ui import _format as fmt
from capacity.ui import _kept
from capacity.ui import _shown as shown
from capacity.ui import _sources as sources
from capacity.ui import _widgets as ui

_HEATMAP_ROWS = 16
_SHOWN_ALTERNATIVES = 3
_SHOWN_PRICES = 6
_P95 = "Cost of P95 over P50"
NO_POINTS = (
    "Not known: headroom was not moved, as this is a scenario's plan, optimize.why_seconds is 0, or the plan was made "
    "before it was."
)


def draw(plan: Plan) -> None:
    """The whole page."""
    if plan.mix is None:
        st.info("This plan chooses no instances: no service here has a fleet whose cost of demand is known.",
                icon=":material/info:")  # fmt: skip
    ui.cards([_saving(plan), _gap(plan), _coverage(plan), _headroom_cost(plan)])
    if plan.mix is not None:
        st.caption(f"Money is at {plan.mix.rates_of}.")
    sources.line(plan, "usage", "fleet", "prices", "quotas")
    _price(plan)
    _points(plan)
    _headroom(plan)
    _purchases(plan)
    _requirements(plan)
    _alternatives(plan)
    _total(plan)


# --- figures -------------------------------------------------------------------------------------------------


def _saving(plan: Plan) -> ui.Card:
    if plan.mix is None:
        return ui.Card("Saving by the plan", fmt.NONE, "no fleet to plan")
    saving, running = plan.mix.saving_usd, plan.mix.running_usd
    label = f"{'Saving' if saving >= 0 else 'Cost to add'} over {fmt.count(len(plan.mix.months), 'month')}"
    note = f"{fmt.percent(abs(saving) / running if running else None)} of {fmt.money_short(running, plan.currency)}"
    help_text = "The recommended fleet against the running fleet kept as it is, at the prices of the plan."
    tone: ui.Tone = "green" if saving >= 0 else "orange"
    return ui.Card(label, fmt.money_short(abs(saving), plan.currency), note, tone, help_text)


def _gap(plan: Plan) -> ui.Card:
    if plan.mix is None:
        return ui.Card("Proven gap", fmt.NONE, "no fleet to plan")
    note = planned.proof(plan.mix).split(";")[0]
    return ui.Card("Proven gap", fmt.percent(max(plan.mix.gap_frac, 0.0), 2), note, "gray",
                   "The plan costs at most this much more than the best possible one.")  # fmt: skip


def _coverage(plan: Plan) -> ui.Card:
    help_text = (
        "The share of simulated futures with no hour above what the plan serves, in the month and service where it is "
        "nearest to what the tier promises: the least of the shares as planned, with the policy's headroom kept, and "
        "with a zone lost."
    )
    rows = _kept.result(planned.coverage_units, plan).rows
    found, promised, binds = planned.least_covered(rows[0]) if rows else (None, None, "")
    if found is None:
        return ui.Card("Tightest coverage", fmt.NONE, "not simulated", "gray", help_text)
    kept = promised is None or found >= promised
    note = f"{fmt.percent(promised, 1)} promised, {binds}"
    help_text += f" Here {fmt.plain(fmt.shorten(rows[0][0], 40))} in {fmt.plain(rows[0][1])}."
    return ui.Card("Tightest coverage", fmt.percent(found, 1), note, "green" if kept else "red", help_text)


def _headroom_cost(plan: Plan) -> ui.Card:
    help_text = "What it costs over the horizon that 95% of the futures fit and not only half of them."
    found = bought.headroom_cost(plan)
    if found is None:
        return ui.Card(_P95, fmt.NONE, "not planned at P50 and P95", "gray", help_text)
    note = f"{fmt.percent(found[1], 1)} more for the service level"
    return ui.Card(_P95, fmt.money_short(found[0], plan.currency), note, "gray", help_text)


# --- headroom ------------------------------------------------------------------------------------------------


def _price(plan: Plan) -> None:
    with ui.card("Price of headroom", f"{bought.curve_said(plan)} The axis does not begin at 0."):
        table = _kept.result(bought.cost_curve, plan)
        if not table.rows:
            st.caption(bought.NO_CURVE)
            return
        left, right = st.columns([3, 2], gap="medium", vertical_alignment="center")
        with left:
            own = plan.mix.recommended_usd if plan.mix else None
            ui.chart(
                "Cost of the fleet at each service level, with its proven bound, and of this plan",
                charts.headroom_price,
                plan.frame("cost_curve"),
                ui.theme(),
                fmt.visible(plan.currency),
                own,
            )
        with right:
            widths = {"Futures fit": 78, "Costs": 80, "Proven bound": 88, "Gap": 58, "More than the first": 100}
            shown.table(table, "Cost and proven bound at each service level", "", widths, currency=plan.currency)


def _points(plan: Plan) -> None:
    note = (
        "What the fleet would cost if every tier kept so many points more or less headroom than its policy, with the "
        "types of this plan, priced as it is: commitments that are owned applied, none bought. The axis does not begin "
        "at 0."
    )
    with ui.card("Price of each point of headroom", note):
        curve = plan.frame("headroom_curve")
        if curve.empty:
            st.caption(NO_POINTS)
            return
        left, right = st.columns([3, 2], gap="medium", vertical_alignment="center")
        with left:
            ui.chart(
                "Cost of the fleet by headroom, the plan's own marked",
                charts.headroom_moved,
                curve,
                ui.theme(),
                fmt.visible(plan.currency),
            )
        with right:
            ui.lines(headroom_words(plan))
        sources.line(plan, "usage", "fleet")


def _headroom(plan: Plan) -> None:
    note = (
        "1 − the month's largest peak, at the tier's service level, over what is safe with all zones up. The least "
        "comes first. Headroom by week on the page Fleet is of the peak of a day, which is lower."
    )
    with ui.card("Headroom by month", note):
        frame = plan.frame("headroom_months")
        if frame.empty:
            st.caption(planned.NO_HEADROOM)
            return
        st.text(_kept.result(planned.headroom_line, plan))
        count = frame[["service", "region"]].drop_duplicates().shape[0]
        if count > _HEATMAP_ROWS:
            st.caption(f"The {_HEATMAP_ROWS} of {count} services with the least headroom.")
        ui.chart(
            "Heat map of headroom by month: what runs beside what is planned, one row a service",
            charts.headroom_months,
            frame,
            ui.theme(),
            _HEATMAP_ROWS,
        )
        if part := ui.opened(f"All {fmt.count(count, 'service')}: the month with the least headroom", "mix_headroom"):
            with part:
                widths = {"Service · region": 290, "Least in": 80, "Months that do not hold": 155,
                          "What runs does not hold": 155, "What runs does not survive zone loss": 235}  # fmt: skip
                shown.table(
                    _kept.result(planned.headroom_units, plan),
                    "Each service's month with the least headroom",
                    "",
                    widths,
                    12,
                )


# --- what to buy ---------------------------------------------------------------------------------------------


def _purchases(plan: Plan) -> None:
    with ui.card("What to buy", "Commitments, judged on joint futures of all usage over their whole term."):
        table = _kept.result(bought.purchases, plan)
        if not table.rows:
            st.text(bought.nothing_to_buy(plan))
        else:
            st.text(bought.buying_line(plan))
            rows = _kept.result(bought.in_order, plan)
            names = [f"{bought.purchase_name(r)}, {r['month']}" for r in rows.to_dict("records")]
            ui.chart(
                "What each commitment saves over its term, P10 to P90 of the futures and the mean",
                charts.purchase_savings,
                rows,
                names,
                ui.theme(),
                fmt.visible(plan.currency),
            )
            _purchase_table(plan)
        refused = _kept.result(bought.refusals, plan)
        if refused.rows and (part := ui.opened(f"Offers refused ({len(refused.rows)})", "mix_refused")):
            with part:
                shown.table(refused, "Offers that were not considered, and why", "", {"Offer": 380, "Why not": 700},
                            lines=2)  # fmt: skip


def _purchase_table(plan: Plan) -> None:
    widths = {
        "Commitment": 148, "Account": 58, "Buy in": 60, "An hour": 58, "Upfront": 58, "Used, P90": 66,
        "Break-even": 72, "Saves": 58, "Saves, P10 to P90": 112, "Regret, low usage": 104, "Regret, high usage": 108,
        "A month later": 116, "Covered without": 106, "Covered with": 90, "No loss if usage ends from": 160,
    }  # fmt: skip
    used = ui.chance("Used, P10", "Share of the commitment that is used over its term, in the future at P10 of usage")
    st.caption(
        f"Amounts in {fmt.plain(plan.currency)}, over the term. {bought.SAVES} Regret: against the best size, had "
        "usage been known, at low (P10) and at high (P90) usage. A month later: what buying it then costs."
    )
    shown.table(_kept.result(bought.purchases, plan), "Commitments to buy with cost, use, saving and regret", "",
                widths, lines=2, instead={"Used, P10": used}, currency=plan.currency)  # fmt: skip


# --- what requirements cost, what else would do --------------------------------------------------------------


def _requirements(plan: Plan) -> None:
    note = "By solving again with one requirement moved by one step: the price lies between the two ends."
    with ui.card("What each requirement costs", note):
        frame = plan.frame("requirement_prices")
        if frame.empty:
            st.caption(bought.NO_PRICE)
            return
        table = _kept.result(bought.requirement_prices, plan)
        if note := bought.not_priced(plan):
            st.caption(fmt.plain(note))
        if not table.rows:
            st.caption(bought.NO_PRICE)
            return
        ui.lines([row[5] for row in table.rows], most=_SHOWN_PRICES)
        ui.chart(
            "What one step of each requirement costs a year, from low to high",
            charts.requirement_prices,
            frame,
            ui.theme(),
            fmt.visible(plan.currency),
        )
        widths = {"Of": 190, "Requirement": 200, "Moved by": 120, "From": 85, "To": 85, "In words": 420}
        if part := ui.opened(f"All {fmt.count(len(table.rows), 'price')}, in words", "mix_prices"):
            with part:
                shown.table(table, "Each requirement's price a year, in words", "", widths, lines=2,
                            currency=f"{plan.currency} a year")  # fmt: skip


def _alternatives(plan: Plan) -> None:
    with ui.card("Plans that cost nearly the same", "Verified like the plan itself, at most 1% dearer, and different."):
        rows = _kept.result(bought.alternatives, plan).rows
        if not rows:
            st.caption(bought.NO_ALTERNATIVE)
            return
        for column, row in zip(st.columns(_SHOWN_ALTERNATIVES), rows, strict=False):
            with column:
                note = f"{fmt.percent(row[2], 1)} more, {fmt.percent(row[3])} of it different"
                value = fmt.money_short(row[1], plan.currency)
                ui.cards([ui.Card(fmt.plain(fmt.shorten(row[0], 36)), value, note)])
                st.text(fmt.shorten(fmt.sentence(row[4]), 240))
        _shapes(plan)


def _shapes(plan: Plan) -> None:
    """Instances by family of this plan and the others, as bars and as numbers."""
    shapes = _kept.result(bought.shapes, plan)
    ui.chart("Instances by family, one bar a plan", charts.fleet_shapes, shapes, ui.theme())
    counts = charts.family_counts(shapes)
    if counts.empty:
        return
    wide = counts.pivot_table(index="family", columns="name", values="instances", aggfunc="sum", fill_value=0)
    wide = wide.reindex(index=list(dict.fromkeys(counts.sort_values("rank")["family"])),
                        columns=list(dict.fromkeys(counts["name"])))  # fmt: skip
    frame = wide.rename_axis(columns=None).rename_axis("Family").reset_index()
    frame.columns = pd.Index([fmt.visible(c) for c in frame.columns])
    numbers = {c: st.column_config.NumberColumn(format="localized") for c in frame.columns[1:]}
    ui.table(frame, "Instances by family, a column a plan", numbers)


def _total(plan: Plan) -> None:
    note = "All money of the plan's months: the fleet as planned, and what is forecast beside it."
    with ui.card("The plan's total", note):
        table = _kept.result(planned.plan_total, plan)
        if not table.rows:
            st.caption(planned.NO_TOTAL)
            return
        exact = _kept.result(planned.adds_up, plan)
        st.badge("Adds up exactly" if exact else "Does not add up", color="green" if exact else "red",
                 icon=":material/check:" if exact else ":material/close:")  # fmt: skip
        ui.chart(
            "All money of the plan by month and part",
            charts.plan_total,
            _kept.result(planned.total_parts, plan),
            ui.theme(),
            fmt.visible(plan.currency),
        )
        whole = planned.with_total(table)
        shown.table(whole, "The plan's money by part and month, with its total", "", {"Part": 190}, most_rows=14,
                    currency=plan.currency)  # fmt: skip
        if table.note:
            st.caption(table.note)
        ui.link("cost", "The bill of closed months, by service")
