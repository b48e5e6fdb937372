"""Budget: spend to come against what may be spent, how good such forecasts were, and how they are made."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from capacity import charts
from capacity.plan import Plan
from capacity.ui import _format as fmt
from capacity.ui import _frames as frames
from capacity.ui import _known as known
from capacity.ui import _sources as sources
from capacity.ui import _widgets as ui

_LEVELS = {"company": "Company", "team": "Team", "service": "Service"}
_KINDS = {"month": "Months", "quarter": "Quarters", "year": "Years"}
_TOLD_MONTHS = 3  # ahead: a quarter is what a budget meeting speaks of
_LIKELY = 0.5  # a budget that is missed as often as it is kept needs a decision
_WATCH = 0.2
NO_OUTLOOK = "This plan was made before budgets of teams, services, quarters and years: it knows the company's months."
NO_SPEND = "No spend is forecast: it needs some weeks of a bill."


def draw(plan: Plan) -> None:
    """The whole page."""
    frames.tabs(
        "budget_view",
        {
            "Against budget": lambda: _outlook(plan),
            "How good it was": lambda: _record(plan),
            "Spend to come": lambda: _coming(plan),
        },
    )


def _coming(plan: Plan) -> None:
    known.totals(plan)
    known.spend_models(plan)


# --- against budget ------------------------------------------------------------------------------------------


def _outlook(plan: Plan) -> None:
    outlook = plan.frame("budget_outlook")
    if outlook.empty:
        _older(plan)
        return
    first, second, third = st.columns([1, 2, 1])
    with first:
        level = _of("Level", _LEVELS, outlook["level"], "budget_level")
    rows = frames.only(outlook, level=level)
    with second:
        name = frames.choice("Name", _by_money(rows), "budget_name")
    rows = frames.only(rows, name=name)
    with third:
        kind = _of("Periods", _KINDS, rows["period_kind"], "budget_periods")
    rows = frames.only(rows, period_kind=kind).sort_values("period", kind="stable")
    currency = frames.currency(plan, rows, "budget_currency")
    rows = frames.only(rows, currency=currency)
    ui.cards(_cards(plan, rows, currency))
    sources.line(plan, "cost", "usage")
    left, right = st.columns([3, 2])
    with left, ui.card(_title(level, name), "Billed in full ink, forecast lighter, P10 to P90 as whiskers.", True):
        ui.chart("Spend by period with its interval, and the budget", charts.spend_budget, rows, ui.theme())
    with right:
        _at_risk(outlook, currency)
    _periods(rows, currency)
    _closed(plan, currency)


def _closed(plan: Plan, currency: str) -> None:
    """Budgets of periods that are over: what they came to, the furthest over first."""
    rows = frames.only(plan.frame("budget_closed"), currency=currency)
    if rows.empty:
        return
    rows = frames.dearest(rows, "variance")
    rows = rows.assign(
        whose=[_whose(level, name) for level, name in zip(rows["level"], rows["name"], strict=True)],
        of=[
            {"all": "all that is billed", "running": "running spend"}.get(str(i), frames.text(i))
            for i in rows["includes"]
        ],
    )
    heads = {"whose": "Of", "period": "Period", "budget": "Budget", "actual": "Came to", "variance": "Over by",
             "variance_frac": "Of the budget", "of": "Held against"}  # fmt: skip
    with ui.card("Closed budgets", f"In {fmt.plain(currency)}, as billed; the furthest over first."):
        frames.table(rows, heads, "Budgets of closed periods and what they came to", "", {"Of": 240, "Period": 80}, 8)


def _of(label: str, words: dict[str, str], values: pd.Series, key: str) -> str:
    given = {v: k for k, v in words.items() if (values == k).any()}
    chosen = st.selectbox(label, list(given), key=key, bind="query-params", disabled=len(given) < 2)
    return given.get(chosen or "") or next(iter(given.values()), "")


def _by_money(rows: pd.DataFrame) -> list[str]:
    """Names by what they are expected to cost in the first period."""
    first = frames.dearest(frames.only(rows, period_kind="month"), "q50") if len(rows) else rows
    return list(dict.fromkeys(str(n) for n in (*first["name"], *rows["name"])))


def _title(level: str, name: str) -> str:
    whose = "The company" if level == "company" else f"{_LEVELS.get(level, level)} {fmt.shorten(fmt.visible(name), 50)}"
    return fmt.plain(f"{whose}: spend against budget")


def _cards(plan: Plan, rows: pd.DataFrame, currency: str) -> list[ui.Card]:
    if rows.empty:
        return [ui.Card("Expected", fmt.NONE, "no period is forecast")]
    row = rows.to_dict("records")[0]
    period, value = frames.text(row["period"]), frames.number
    span = f"{fmt.money_short(value(row['q10']), currency)} to {fmt.money_short(value(row['q90']), currency)}"
    basis = fmt.plain(fmt.sentence(frames.text(row["basis"]))) + "."
    cards = [
        ui.Card(f"Expected in {period}, P50", fmt.money_short(value(row["q50"]), currency), f"P10 to P90: {span}",
                "gray", basis),
        _budget_card(row, period, currency),
        ui.Card(f"Billed of {period}", fmt.money_short(value(row["actual"]), currency),
                f"{fmt.percent(value(row['share_actual_frac']))} of P50", "gray", basis),
        ui.Card("Run rate, 28 days", fmt.money_short(value(row["run_rate"]), currency),
                f"7 days: {fmt.money_short(value(row['run_rate_7']), currency)}", "gray",
                f"The mean day of late times the days of {period}. Projected: "
                f"{fmt.plain(fmt.money(value(row['projected']), currency))}."),
    ]  # fmt: skip
    if value(row["aws_mean"]) is not None:
        mean, low, high = (fmt.money_short(value(row[c]), currency) for c in ("aws_mean", "aws_low", "aws_high"))
        words = fmt.plain(fmt.sentence(frames.text(row["aws_words"])))
        cards.append(ui.Card("AWS's own forecast", mean, f"{low} to {high}", "gray", words))
    return [*cards, _record_card(plan, row)]


def _budget_card(row: dict[object, object], period: str, currency: str) -> ui.Card:
    budget, over = frames.number(row["budget"]), frames.number(row["p_over"])
    if budget is None:
        return ui.Card(f"Budget of {period}", fmt.NONE, "none is set")
    if over is None:
        return ui.Card(f"Budget of {period}", fmt.money_short(budget, currency), "chance not known: part of the period")
    tone: ui.Tone = "red" if over >= _LIKELY else "orange" if over >= _WATCH else "green"
    return ui.Card(f"Budget of {period}", fmt.money_short(budget, currency), f"{fmt.percent(over)} chance to pass it",
                   tone, "The share of joint futures of the whole period that cost more than the budget.")  # fmt: skip


def _record_card(plan: Plan, row: dict[object, object]) -> ui.Card:
    label = f"Was off, {_TOLD_MONTHS} months ahead"
    record = plan.frame("spend_backtest")
    found = frames.only(record, level=row["level"], name=row["name"], horizon_months=_TOLD_MONTHS).to_dict("records")
    off = frames.number(found[0]["variance_frac"]) if found else None
    if off is None:
        return ui.Card(label, fmt.NONE, "too few months to look back on")
    lost = found[0]["beats_naive"] is False or found[0]["beats_naive"] == False  # noqa: E712 - numpy's own False
    note = f"grade {frames.text(found[0]['grade'])}{'; LOST to last month' if lost else ''}"
    words = fmt.plain(fmt.sentence(frames.text(found[0]["words"])))
    return ui.Card(label, fmt.percent(off, 1), note, "orange" if lost else "green", words)


def _at_risk(outlook: pd.DataFrame, currency: str) -> None:
    rows = frames.only(outlook, currency=currency)
    rows = rows[[frames.number(b) is not None for b in rows["budget"]]]
    rows = rows.assign(
        whose=[_whose(level, name) for level, name in zip(rows["level"], rows["name"], strict=True)],
        off=[(frames.number(q) or 0.0) - (frames.number(b) or 0.0)
             for q, b in zip(rows["q50"], rows["budget"], strict=True)],
    )  # fmt: skip
    heads = {"whose": "Of", "period": "Period", "budget": "Budget", "off": "P50 over by", "p_over": "Chance"}
    note = f"All budgets, in {fmt.plain(currency)}: what is expected to go furthest over comes first."
    money = st.column_config.NumberColumn(format="%,.0f", width=78)
    with ui.card("Budgets", note, stretch=True):
        frames.table(frames.dearest(rows, "off"), heads, "All budgets, the furthest over first",
                     "No budget is set: see budgets in the config.", {"Of": 104, "Period": 66}, 9,
                     instead={"Chance": ui.chance("Chance", "Share of futures that pass the budget"),
                              "P50 over by": money, "Budget": money})  # fmt: skip


def _whose(level: object, name: object) -> str:
    return "Company" if level == "company" else f"{level} {frames.text(name)}"


def _periods(rows: pd.DataFrame, currency: str) -> None:
    heads = {"period": "Period", "actual": "Billed", "q10": "P10", "q50": "P50", "q90": "P90", "budget": "Budget",
             "p_over": "Chance over", "run_rate": "Run rate", "projected": "Projected"}  # fmt: skip
    told = [("aws_mean", "AWS's forecast"), ("aws_words", "AWS's against ours")]
    heads |= {c: h for c, h in told if any(frames.text(v) for v in rows[c])}
    widths = {"Period": 74, "Chance over": 86, "AWS's against ours": 330}
    money = {h: st.column_config.NumberColumn(format="%,.0f", width=86) for c, h in heads.items()
             if c in ("actual", "q10", "q50", "q90", "budget", "run_rate", "projected", "aws_mean")}  # fmt: skip
    note = f"In {fmt.plain(currency)}. Run rate: the mean day of 28. Projected: billed, and that day for each day left."
    with ui.card("Period by period", note):
        lines = 3 if "aws_words" in heads else 1
        frames.table(rows, heads, "Spend by period: billed, forecast, budget, run rate", NO_SPEND, widths, 8, lines,
                     instead=money)  # fmt: skip
        _included(rows)


def _included(rows: pd.DataFrame) -> None:
    """What the amounts include, once for all periods that share it."""
    of: dict[str, list[str]] = {}
    for basis, period in zip(rows["basis"], rows["period"], strict=True):
        of.setdefault(frames.text(basis), []).append(frames.text(period))
    for basis, periods in of.items():
        span = periods[0] if len(periods) == 1 else f"{periods[0]} to {periods[-1]}"
        st.caption(fmt.plain(f"{span}: {basis}."))


def _older(plan: Plan) -> None:
    """The company's months, which every plan has."""
    with ui.card("Spend against budget", NO_OUTLOOK if plan.spend else ""):
        if not plan.spend:
            st.caption(NO_SPEND)
            return
        ui.chart("Median spend of each coming month, and the budget", charts.spend_months, plan.spend, ui.theme())
        if plan.spend_note:
            st.text(fmt.sentence(plan.spend_note))


# --- how good it was -----------------------------------------------------------------------------------------


def _record(plan: Plan) -> None:
    record = plan.frame("spend_backtest")
    note = (
        "Mean of abs(actual − forecast) / forecast over past origins, graded as the FinOps Framework does: 12% run, "
        "15% walk, 20% crawl. Beside it, what 'same as last month' would have missed by."
    )
    with ui.card("How months were forecast before", note):
        horizons = sorted({int(h) for h in record["horizon_months"]})
        if not horizons:
            st.caption("Nothing to look back on: it needs a longer bill, or this plan was made before it was kept.")
            return
        usual = horizons.index(_TOLD_MONTHS) if _TOLD_MONTHS in horizons else len(horizons) - 1
        ahead = st.selectbox("Months ahead, at most", horizons, usual, key="record_horizon", bind="query-params",
                             width=200)  # fmt: skip
        rows = frames.only(record, horizon_months=ahead if ahead in horizons else horizons[usual])
        cost = _expected(plan)
        rows = rows.assign(
            whose=[_whose(level, name) for level, name in zip(rows["level"], rows["name"], strict=True)],
            cost=pd.Series([cost.get((str(a), str(b))) for a, b in zip(rows["level"], rows["name"], strict=True)],
                           index=rows.index, dtype=float),
            won=[_won(b) for b in rows["beats_naive"]], said=[fmt.sentence(frames.text(w)) for w in rows["words"]],
        )  # fmt: skip
        heads = {"whose": "Of", "cost": f"Next month, {plan.currency}", "grade": "Grade", "variance_frac": "Was off",
                 "naive_variance_frac": "Same as last month", "won": "Beats it", "coverage80_frac": "In 80% interval",
                 "said": "In words"}  # fmt: skip
        widths = {"Of": 150, "Grade": 64, "Was off": 64, "Same as last month": 120, "Beats it": 64,
                  "In 80% interval": 100, "In words": 440}  # fmt: skip
        money = st.column_config.NumberColumn(format="%,.0f", width=110)
        frames.table(frames.dearest(rows, "cost"), heads, "Past forecasts of spend, the most money first", "", widths,
                     10, 2, instead={f"Next month, {plan.currency}": money})  # fmt: skip
    _apart(plan)


def _expected(plan: Plan) -> dict[tuple[str, str], float | None]:
    """P50 of the first month, by level and name: what weighs most comes first."""
    rows = frames.only(plan.frame("budget_outlook"), period_kind="month", currency=plan.currency)
    first = rows.sort_values("period", kind="stable").drop_duplicates(["level", "name"])
    names = zip(first["level"], first["name"], first["q50"], strict=True)
    return {(str(level), str(name)): frames.number(q) for level, name, q in names}


def _won(beats: object) -> str:
    return fmt.NONE if beats is None or pd.isna(beats) else "yes" if beats else "NO"  # type: ignore[call-overload]


def _apart(plan: Plan) -> None:
    if plan.spend_note:
        with ui.card("In words"):
            st.text(fmt.sentence(plan.spend_note))
