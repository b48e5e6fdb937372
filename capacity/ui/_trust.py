"""Trust: how fresh the data is, how wrong forecasts were, how far the plan is proven, and what made it."""

from __future__ import annotations

from dataclasses import replace

import pandas as pd
import streamlit as st

from capacity.pipeline.findings import broken_rules, of_focus
from capacity.pipeline.said_before import accuracy, accuracy_words
from capacity.plan import MixSummary, Plan
from capacity.report import planned
from capacity.ui import _format as fmt
from capacity.ui import _kept
from capacity.ui import _known as known
from capacity.ui import _proof as proof
from capacity.ui import _rows as told
from capacity.ui import _tables as tables
from capacity.ui import _widgets as ui


def draw(plan: Plan) -> None:
    """The whole page."""
    ui.cards(_cards(plan))
    known.promise(plan)
    _before(plan)
    known.anomalies(plan)
    proof.coverage(plan)
    proof.ties(plan)
    _freshness(plan)
    _quality(plan)
    left, right = st.columns(2)
    with left:
        _solver(plan)
    with right:
        _provenance(plan)
    _checks(plan)
    _forecasts(plan)


def _cards(plan: Plan) -> list[ui.Card]:
    old = sum(f.stale for f in plan.freshness)
    scored = [u.relative_mae for u in plan.units if u.relative_mae is not None]
    better = sum(x < 1 for x in scored)
    gap = plan.mix.gap_frac if plan.mix else None
    tied = all(t.ties for t in plan.tie_outs)
    broken, grave = broken_rules(plan)
    return [
        ui.Card("Stale sources", f"{old} of {len(plan.freshness)}", "look before relying on it" if old else "all fresh",
                "red" if old else "green"),
        ui.Card("Better than naive", f"{better} of {len(plan.units)}", f"{len(plan.units) - len(scored)} not scored",
                "gray", "Services whose forecast had a smaller error at past origins than a seasonal naive forecast."),
        ui.Card("Proven gap", fmt.percent(None if gap is None else max(gap, 0.0), 2),
                planned.proof(plan.mix).split(";")[0] if plan.mix else "no fleet to plan", "gray",
                "The plan costs at most this much more than the best possible one."),
        ui.Card("Tie to the bill", "None" if not plan.tie_outs else "Yes" if tied else "No",
                fmt.percent(max((abs(t.difference_frac) for t in plan.tie_outs), default=None), 1) + " apart",
                "green" if tied and plan.tie_outs else "orange"),
        ui.Card("FOCUS rules broken", str(broken), f"{grave} of them errors" if broken else "every rule run holds",
                "orange" if grave else "green", "Rules of FOCUS that the bills break. Their sums are not touched."),
    ]  # fmt: skip


def _freshness(plan: Plan) -> None:
    with ui.card("Freshness of the data"):
        ui.table(
            tables.freshness(plan),
            "Newest good point of each source",
            {"Source": st.column_config.TextColumn(width=300)},
            "No source is recorded.",
        )


def _before(plan: Plan) -> None:
    """Accuracy by service: what was said of the daily peak about a quarter ago, and what came."""
    note = (
        "The forecast of each service's daily peak of about a quarter ago, against what came. Off by: mean absolute "
        "error of the median over the mean. Leaned: above zero more came than was said."
    )
    with ui.card("Forecasts of a quarter ago", note):
        frame = _kept.result(accuracy, plan)
        if said := accuracy_words(frame):
            st.text(said)
        shown = pd.DataFrame({
            "Service": [fmt.visible(f"{s}/{r}") for s, r in zip(frame["service"], frame["region"], strict=True)],
            "Off by": frame["error_frac"].round(3),
            "Leaned": frame["bias_frac"].round(3),
            "Within 80%": frame["within_frac"].round(3),
            "Days": frame["days"],
            "Origin date": frame["origin"],
            "Basis": frame["basis"],
        })  # fmt: skip
        if len(shown) and shown["Within 80%"].isna().all():
            shown = shown.drop(columns="Within 80%")
            st.caption("No intervals were kept then: they are from the second plan in this store on.")
        percent = st.column_config.NumberColumn(format="percent", width=84)
        ui.table(
            shown,
            "Each service's forecast of a quarter ago against what came, the furthest off first",
            {"Service": st.column_config.TextColumn(width=220), "Off by": percent, "Leaned": percent,
             "Within 80%": percent, "Days": st.column_config.NumberColumn(width=56),
             "Basis": st.column_config.TextColumn(width=240)},
            "No forecast of about a quarter ago is known: there is too little history, or this plan was made before "
            "they were kept.",
            most_rows=8,
        )  # fmt: skip


def _quality(plan: Plan) -> None:
    rows = plan.frame("quality")
    focus = of_focus(rows)
    note = "Told from the data itself: gaps, units, counters, late points."
    _odd("Quality of the data", note, replace(plan, frames={"quality": rows[~focus]}), "Nothing odd was found.")
    note = "Rules of the FOCUS specification that bills break; sums are not touched by it."
    nothing = "No rule of FOCUS that is run is broken, or there is no bill."
    _odd("FOCUS findings", note, replace(plan, frames={"quality": rows[focus]}), nothing)


def _odd(title: str, note: str, plan: Plan, nothing: str) -> None:
    with ui.card(title, note):
        ui.table(
            tables.quality(plan),
            f"{title}: the gravest first",
            {
                "Gravity": st.column_config.TextColumn(width=75),
                "Source": st.column_config.TextColumn(width=120),
                "Data": st.column_config.TextColumn(width=60),
                "Where": st.column_config.TextColumn(width=175),
                "Rule": st.column_config.TextColumn(width=175),
                "Rows": st.column_config.NumberColumn(format="localized", width=70),
                "What": st.column_config.TextColumn(width=420),
            },
            nothing,
            most_rows=6,
            lines=3,
        )


def _solver(plan: Plan) -> None:
    with ui.card("How far the plan is proven", stretch=True):
        if plan.mix is None:
            st.caption("No service has instances to choose.")
            return
        told.facts(_solver_facts(plan.mix, plan.currency))
        for title, texts in (("Binding", plan.mix.binding), ("Notes", plan.mix.notes)):
            if texts:
                st.caption(title)
                ui.lines(texts)


def _solver_facts(mix: MixSummary, currency: str) -> list[tuple[str, str]]:
    return [
        ("Result", fmt.sentence(planned.proof(mix))),
        ("Ended because", mix.termination),
        ("Solver", mix.solver),
        ("Objective", fmt.money(mix.objective, currency)),
        ("Proven bound", fmt.money(mix.bound, currency)),
        ("Gap", fmt.percent(mix.gap_frac, 3)),
        ("Loss by pruning", f"about {fmt.percent(mix.prune_loss_frac, 2)}, measured"),
        ("Months", f"{mix.months[0]} to {mix.months[-1]}" if mix.months else fmt.NONE),
    ]


def _provenance(plan: Plan) -> None:
    made = plan.provenance
    versions = fmt.listed([f"{name} {number}" for name, number in sorted(made.store_versions.items())])
    with ui.card("What made this plan", stretch=True):
        told.facts(
            [
                ("Config digest", made.config_digest),
                ("Scenario", made.scenario),
                ("Store versions", versions),
                ("Catalogue", made.catalogue_version),
                ("Prices", plan.mix.rates_of if plan.mix else fmt.NONE),
                ("As of", fmt.moment(made.as_of)),
                ("Seed", str(made.seed)),
                ("Package", made.package_version),
                (
                    "Reproducible",
                    "Yes: the same seven give the same plan" if made.reproducible else "No: a limit of time",
                ),
            ]
        )
        if made.sources:
            st.caption("Sources")
            ui.lines(made.sources)


def _checks(plan: Plan) -> None:
    note = "An independent checker verifies every requirement from the plan's own figures before it is shown."
    with ui.card("Checks", note):
        if plan.mix is not None and plan.mix.checks:
            ui.lines(plan.mix.checks, most=20)
        else:
            st.caption("No check is recorded.")
        st.caption("Policy violations")
        if plan.violations:
            ui.lines(plan.violations, most=20)
        else:
            st.text("None: the recommended plan keeps every policy.")


def _forecasts(plan: Plan) -> None:
    note = "Error at past origins, as a part of a seasonal naive forecast's. Below 1 is better than naive."
    with ui.card("Forecasts", note):
        ui.table(
            tables.forecast_trust(plan.units),
            "Forecast errors of each service",
            {
                "Service": st.column_config.TextColumn(width=170),
                "Error": st.column_config.NumberColumn(format="%.2f", width=60),
                "Model": st.column_config.TextColumn(width=165),
                "Why": st.column_config.TextColumn(width=270),
                "Last point": st.column_config.TextColumn(width=85),
                "Capacity from": st.column_config.TextColumn(width=180),
                "Flags": st.column_config.TextColumn(width=170),
            },
            "No service is forecast.",
            most_rows=8,
            lines=4,
        )
