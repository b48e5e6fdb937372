"""Commitments: what they covered and saved, what ends, what to buy and what a wrong guess of usage would cost."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from capacity import charts
from capacity.costs.commitment_review import ALL, WORDS
from capacity.errors import CapacityError
from capacity.pipeline.priced import coverage_words, sizes_words
from capacity.plan import Plan
from capacity.plan_rows import saving_together
from capacity.report import bought
from capacity.ui import _data as data
from capacity.ui import _format as fmt
from capacity.ui import _frames as frames
from capacity.ui import _kept
from capacity.ui import _shown as shown
from capacity.ui import _sources as sources
from capacity.ui import _widgets as ui
from capacity.words import unique

NO_REVIEW = "No commitment was reviewed: there is no closed month of a bill, or this plan was made before they were."
NO_SIZES = "Other sizes were not looked at: this plan was made before they were."
_ALL = "All purchases together"
NO_END = "Nothing of the inventory ends within 120 days, or none is known."
NO_AWS = (
    "AWS's own recommendations were not read: add a source of kind cost_explorer with reads: {recommendations: true}."
)
_GUIDE = (
    "Coverage: share of what commitments could pay for. Utilisation: share of what they cost that was used. Effective "
    "savings rate: what was saved net of waste, over all that could be covered, at on-demand prices."
)
# What the plan knows of each purchase in three futures of usage: columns used, saves, regret.
_FUTURES = {
    "Low (P10)": ("utilisation_q10", "saving_q10", "regret_q10"),
    "As expected": ("utilisation_q50", "saving_mean", ""),
    "High (P90)": ("utilisation_q90", "saving_q90", "regret_q90"),
}
_EXPECTED = "As expected"
# Plans made before these were kept have none.
_COVERED = {"coverage_before_frac": "Covered without", "coverage_after_frac": "Covered with",
            "safe_after": "May end from"}  # fmt: skip


def draw(plan: Plan) -> None:
    """The whole page."""
    review = plan.frame("commitment_review")
    currency = frames.currency(plan, review, "commitment_currency")
    rows = frames.only(review, currency=currency)
    ui.cards(_cards(plan, rows, currency))
    sources.line(plan, "cost", "usage", "commitments", "prices")
    frames.tabs(
        "commitments_view",
        {
            "What they did": lambda: _did(plan, rows, currency),
            "What to buy": lambda: _buy(plan),
            "Beside AWS's advice": lambda: _beside(plan),
        },
    )


def _cards(plan: Plan, rows: pd.DataFrame, currency: str) -> list[ui.Card]:
    month = frames.newest(rows)
    last = frames.only(rows, month=month, product=ALL).to_dict("records")
    value = {c: frames.number(last[0][c]) if last else None for c in _RATES}
    label = f" in {month}" if month else ""
    notes = ("saved, net of waste", "left on demand", "unused")
    amounts = (value["saving"], value["uncovered"], value["unused"])
    saved, left, unused = (
        "not reviewed" if usd is None else f"{fmt.money(usd, currency)} {note}"
        for usd, note in zip(amounts, notes, strict=True)
    )
    ends = plan.frame("commitment_expiry")
    more = float(frames.total(frames.only(ends, currency=currency)["monthly_more"]))
    return [
        ui.Card(f"Effective savings rate{label}", fmt.percent(value["effective_savings_rate_frac"], 1),
                saved, "green" if (value["saving"] or 0.0) > 0 else "gray", _GUIDE),
        ui.Card(f"Coverage{label}", fmt.percent(value["coverage_frac"], 1),
                left, "gray", _GUIDE),
        ui.Card(f"Utilisation{label}", fmt.percent(value["utilisation_frac"], 1),
                unused, "gray", _GUIDE),
        ui.Card("End within 120 days", str(len(ends)),
                f"{fmt.money(more, currency)} a month more then" if len(ends) else "nothing ends",
                "orange" if len(ends) else "green",
                "What the usage that they cover costs a month more on demand once they have ended."),
        _buying(plan),
    ]  # fmt: skip


_RATES = ("coverage_frac", "utilisation_frac", "effective_savings_rate_frac", "saving", "unused", "uncovered")


def _buying(plan: Plan) -> ui.Card:
    purchases = plan.frame("purchases")
    if purchases.empty:
        return ui.Card("To buy", "nothing", "its tab says why")
    hourly, (saving, _) = sum(frames.number(v) or 0.0 for v in purchases["hourly_usd"]), saving_together(plan)
    return ui.Card(f"To buy, {fmt.count(len(purchases), 'commitment')}", f"{fmt.money(hourly, plan.currency)} an hour",
                   f"saves {fmt.money_short(saving, plan.currency)} over the terms", "green",
                   f"Against buying none. {bought.SAVES}")  # fmt: skip


# --- what they did -------------------------------------------------------------------------------------------


def _did(plan: Plan, rows: pd.DataFrame, currency: str) -> None:
    if rows.empty:
        st.caption(NO_REVIEW)
    else:
        products = {str(p): _product(p) for p in (ALL, *rows["product"])}
        left, right = st.columns(2)
        with left, ui.card("Rates by month", _GUIDE, stretch=True):
            called = {v: k for k, v in products.items()}
            chosen = st.selectbox("Product", list(called), key="commitment_product", bind="query-params", width=240)
            ui.chart(
                "Coverage, utilisation and effective savings rate by month",
                charts.commitment_rates,
                rows,
                ui.theme(),
                called.get(chosen or "", ALL),
            )
        note = "Each product over the usage that it could cover: shares of different usage, which do not add up."
        with right, ui.card("Coverage by product", note, stretch=True):
            ui.chart("Share covered by each product, by month", charts.commitment_coverage, rows, ui.theme(), currency)
        _months(plan, rows, currency)
    _ends(plan)


def _months(plan: Plan, rows: pd.DataFrame, currency: str) -> None:
    month = frames.newest(rows)
    whole = frames.only(plan.frame("commitment_total"), currency=currency).assign(month=lambda f: f["months"])
    frame = pd.concat([frames.only(rows, month=month), whole], ignore_index=True) if len(whole) else frames.only(
        rows, month=month)  # fmt: skip
    parts = [frames.dearest(part, "saving") for _, part in frame.groupby("month", sort=False)]
    frame = pd.concat(parts, ignore_index=True) if parts else frame
    frame = frame.assign(product=[_product(p) for p in frame["product"]])
    heads = {"month": "Month", "product": "Product", "saving": "Saved", "committed": "Committed", "unused": "Unused",
             "uncovered": "Left on demand", "coverage_frac": "Coverage", "utilisation_frac": "Utilisation",
             "effective_savings_rate_frac": "Effective rate", "covered_savings_rate_frac": "Of what is covered",
             "list_savings_rate_frac": "At list price", "flags": "Read with care"}  # fmt: skip
    heads = frames.filled(frame, heads, ["flags"])
    widths = {"Month": 130, "Product": 180, "Saved": 90, "Committed": 92, "Unused": 80, "Left on demand": 104,
              "Coverage": 72, "Utilisation": 78, "Effective rate": 88, "Of what is covered": 110, "At list price": 84,
              "Read with care": 300}  # fmt: skip
    with ui.card(f"{month} and all months, by product", f"In {fmt.plain(currency)}, what saved most first."):
        frames.table(frame, heads, "What each product did: saved, committed, unused, left on demand", NO_REVIEW, widths)


def _product(name: object) -> str:
    said = WORDS.get(str(name), frames.text(name).replace("_", " "))
    return fmt.sentence(said)


def _ends(plan: Plan) -> None:
    frame = frames.dearest(plan.frame("commitment_expiry"), "monthly_more")
    with ui.card("What ends soon", "Within 120 days; what its usage costs a month more on demand."):
        frame = frame.assign(said=[frames.text(w) for w in frame["words"]])
        heads = {"end": "Ends", "days_left": "Days left", "id": "Commitment", "monthly_more": "A month more",
                 "currency": "Currency", "covers_frac": "Covers", "said": "In words"}  # fmt: skip
        widths = {"Days left": 68, "Commitment": 170, "A month more": 92, "Currency": 64, "Covers": 64, "In words": 560}
        frames.table(frame, heads, "Commitments that end soon, the most money first", NO_END, widths, 5, 3)


# --- what to buy ---------------------------------------------------------------------------------------------


def _buy(plan: Plan) -> None:
    purchases = _kept.result(bought.in_order, plan)
    if purchases.empty:
        st.text(bought.nothing_to_buy(plan))
    else:
        st.text(bought.buying_line(plan))
        later = sum((frames.number(v) or 0.0) < 0 for v in purchases["waiting_usd_per_month"])
        if later:
            st.warning(
                f"{later} of {len(purchases)} would save more if bought a month later: see the column 'A month later' "
                "of the last table.",
                icon=":material/hourglass_top:",
            )
        names = [bought.purchase_name(r) for r in purchases.to_dict("records")]
        note = "Each bar begins where the one before ended; beside it the month to buy in and when it has paid off."
        with ui.card("The purchase ladder", note):
            ui.chart(
                "Commitments to buy in the order of buying, in money an hour",
                charts.purchase_ladder,
                purchases,
                names,
                ui.theme(),
                plan.currency,
            )
        _ahead(plan)
        note = "Against the best size, had usage been known: in the future at P10 of usage, and in that at P90."
        with ui.card("Regret", note):
            ui.chart(
                "What each purchase costs beyond its best size if usage is low, and if it is high",
                charts.purchase_regret,
                purchases,
                names,
                ui.theme(),
                plan.currency,
            )
        _amounts(plan, purchases, names)
        _what_if(plan, purchases, names)
    _scenarios(plan)
    refused = _kept.result(bought.refusals, plan)
    if refused.rows and (part := ui.opened(f"Offers refused ({len(refused.rows)})", "commitments_refused")):
        with part:
            shown.table(refused, "Offers that were not considered, and why", "", {"Offer": 380, "Why not": 700},
                        lines=2)  # fmt: skip


def _ahead(plan: Plan) -> None:
    """What will be covered month by month: of what is owned as it ends, and of what is to be bought."""
    note = "With everything bought as recommended: means over the futures; above each bar what is covered in all."
    with ui.card("Coverage to come, by product", note):
        st.text(coverage_words(plan))
        frame = plan.frame("coverage_ahead")
        if frame.empty:
            return
        months = frame["month"].nunique()
        if months > charts.MOST_MONTHS:
            st.caption(f"The first {charts.MOST_MONTHS} of {months} months.")
        ui.chart("Share of usage covered by month and product, and the rest", charts.coverage_ahead, frame, ui.theme())


def _amounts(plan: Plan, purchases: pd.DataFrame, names: list[str]) -> None:
    """Nothing, half, as recommended, half more, double: of all purchases, or of one of them."""
    note = (
        "Money over the term and use at other sizes, on the joint futures that the recommendation was made on. Of one "
        "purchase: with the others as planned. All together save more than single ones add up to where what is owned "
        "already would step in for one that is missing."
    )
    sizes = plan.frame("purchase_sizes")
    with ui.card("What if less, or more, is bought", note):
        if sizes.empty:
            st.caption(NO_SIZES)
            return
        keys = [("", ""), *zip(purchases["offer"].map(str), purchases["month"].map(str), strict=True)]
        called = dict(zip([_ALL, *unique(names)], keys, strict=True))
        chosen = st.selectbox("Which purchase", list(called), key="sized", bind="query-params", width=520)
        offer, month = called.get(chosen or _ALL, ("", ""))
        rows = frames.only(sizes, offer=offer, month=month)
        left, right = st.columns([1, 1], gap="medium", vertical_alignment="center")
        with left:
            ui.chart(
                "Saving by how much is bought, P10 to P90 of the futures and the median",
                charts.purchase_sizes,
                rows,
                ui.theme(),
                plan.currency,
            )
        with right:
            ui.lines(sizes_words(rows, plan.currency))


def _what_if(plan: Plan, purchases: pd.DataFrame, names: list[str]) -> None:
    note = (
        f"{bought.SAVES} In {plan.currency} over the term. Quantiles of single commitments do not add up: all of them "
        f"are not low at once for sure. {bought.COVERED.replace('No loss if usage ends from', 'May end from')}"
    )
    with ui.card("What if usage is low, or high", fmt.plain(note)):
        index = list(_FUTURES).index(_EXPECTED)
        future = st.radio("Usage turns out", list(_FUTURES), index, horizontal=True, key="future", bind="query-params")
        used, saves, regret = _FUTURES.get(future or _EXPECTED, _FUTURES[_EXPECTED])
        frame = purchases.assign(name=names, waits=[_waiting(v) for v in purchases["waiting_usd_per_month"]])
        heads = {"name": "Commitment", "month": "Buy in", "hourly_usd": "An hour", "upfront_usd": "Upfront",
                 used: "Used", saves: "Saves"} | ({regret: "Regret"} if regret else {}) | {
                 "break_even": "Pays off by", "waits": "A month later"} | {
                 column: head for column, head in _COVERED.items() if column in purchases}  # fmt: skip
        money = {h: st.column_config.NumberColumn(format="%,.0f", width=80) for h in ("Upfront", "Saves", "Regret")}
        money |= {"Used": ui.chance("Used", "Share of the commitment that is used over its term in this future"),
                  "An hour": st.column_config.NumberColumn(format="%,.2f", width=76)}  # fmt: skip
        widths = {"Commitment": 350, "Buy in": 66, "Pays off by": 84, "A month later": 170, "Covered without": 108,
                  "Covered with": 90, "May end from": 94}  # fmt: skip
        frames.table(frames.dearest(frame, saves), heads, "Purchases in the chosen future of usage", "", widths, 10,
                     instead=money)  # fmt: skip


def _waiting(value: object) -> str:
    usd = frames.number(value)
    if usd is None:
        return fmt.NONE
    return f"waiting saves {-usd:,.0f}" if usd < 0 else f"costs {usd:,.0f}"


def _scenarios(plan: Plan) -> None:
    """What each planned scenario would buy: the other what-if."""
    found = []
    for name, folder in data.planned(data.plans_folder()).items():
        try:
            other = data.read(folder)
        except CapacityError:
            continue
        rows = other.frame("purchases")
        hourly, (saving, _) = sum(frames.number(v) or 0.0 for v in rows["hourly_usd"]), saving_together(other)
        first = min((frames.text(m) for m in rows["month"]), default="")
        here = "this one" if other.scenario == plan.scenario else ""
        looked = bool(len(rows) or len(other.frame("purchase_refusals")))
        told = (len(rows), hourly, saving) if looked else (None, None, None)
        found.append((name, here, *told, first if looked else "not looked for", other.currency))
    if len(found) < 2:
        return
    frame = pd.DataFrame(found, columns=["name", "here", "count", "hourly", "saving", "first", "currency"])
    heads = {"name": "Scenario", "here": "Shown", "count": "Commitments", "hourly": "An hour",
             "saving": "Saves over the terms", "first": "First in", "currency": "Currency"}  # fmt: skip
    money = {"An hour": st.column_config.NumberColumn(format="%,.2f", width=90),
             "Saves over the terms": st.column_config.NumberColumn(format="%,.0f", width=150)}  # fmt: skip
    with ui.card("What if another scenario comes true", "What the plan of each scenario would buy."):
        frames.table(frame, heads, "Purchases by scenario", "", {"Scenario": 240, "Shown": 70}, 6, instead=money)


# --- beside AWS's advice -------------------------------------------------------------------------------------


def _beside(plan: Plan) -> None:
    frame = plan.frame("commitment_comparison")
    note = "The plan's purchases beside AWS's recommendations, and why they differ; savings are a month's."
    with ui.card("Ours and AWS's", note):
        frame = frames.dearest(frame, "difference_hourly", either_way=True)
        frame = frame.assign(
            what=[bought.purchase_name(r) for r in frame.to_dict("records")],
            said=[fmt.sentence(frames.text(r)) for r in frame["reasons"]],
        )
        heads = {"what": "Commitment", "ours_hourly": "Ours an hour", "aws_hourly": "AWS's an hour",
                 "difference_hourly": "Ours less AWS's", "ours_saving": "Ours saves", "aws_saving": "AWS's saves",
                 "said": "Why they differ", "currency": "Currency", "lookback_days": "AWS looked back, days",
                 "made_on": "AWS's of"}  # fmt: skip
        widths = {"Commitment": 230, "Currency": 64, "AWS looked back, days": 132, "Why they differ": 430}
        rates = ("Ours an hour", "AWS's an hour", "Ours less AWS's")
        money = {h: st.column_config.NumberColumn(format="%,.2f", width=96) for h in rates}
        money |= {h: st.column_config.NumberColumn(format="%,.0f", width=80) for h in ("Ours saves", "AWS's saves")}
        frames.table(frame, heads, "Purchases beside AWS's recommendations, what differs most first", NO_AWS, widths,
                     8, 3, instead=money)  # fmt: skip
