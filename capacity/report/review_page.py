"""The FinOps review as one page: what a director reads first, then the tables that it rests on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import capacity
from capacity import costs
from capacity.charts import visible
from capacity.report import review_pictures
from capacity.report._cells import known, text
from capacity.report._first_sheet import Kind, Sheet, fitting, least
from capacity.report._page import Page, render
from capacity.report._sections import Section
from capacity.report._table import Column, Table, exact, moment, per_thousand, sentence
from capacity.report.frame_tables import frame_table, heading
from capacity.report.review_first import cards, caveats, decisions
from capacity.report.review_sums import frame_of, rows_of, services, summed, teams
from capacity.words import day

if TYPE_CHECKING:
    from capacity.pipeline import CostReport

# Rows of a table on paper; the workbook has all of them.
MOST_ROWS = 30
MOST_DECISIONS = 12
BOOK = "review.xlsx"
# How the columns with text of the first table break on paper: whose, and the decision.
_BREAKS: Mapping[int, Kind] = {2: (12, 15, 7), 3: (98, 15, 7)}


def render_review(found: CostReport) -> str:
    """The review as one HTML document that asks no host for anything; the same review gives the same bytes."""
    moved, checks = [sentence(t) for t in found.bridge_words], [sentence(t) for t in caveats(found)]
    sheet = Sheet([c for c in cards(found) if c is not None], moved[:1], _BREAKS)
    shorter = [decisions(found).first(n, BOOK) for n in range(MOST_DECISIONS, 0, -1)]
    first = sheet.fewest(shorter, max(least(moved[1:]), least(checks)))
    return render(
        Page(
            title=f"FinOps review: {visible(found.company)}, {found.month}",
            kind="FinOps review",
            name=visible(found.company),
            facts=_facts(found),
            cards=sheet.cards,
            first=first,
            first_title="To decide",
            first_none="Nothing in this review needs a decision.",
            lines=sheet.lines,
            lists=list(_lists(moved[1:], checks, sheet.room(first))),
            sections=[s for s in (*_not_first(found, first), *_sections(found)) if s.tables or s.pictures or s.lines],
            footer=f"capacity {capacity.__version__} · bill as of {moment(found.as_of)} · months are UTC",
        )
    )


def _not_first(found: CostReport, first: Table) -> Iterator[Section]:
    """All decisions, where the first sheet had no room for them."""
    whole = decisions(found)
    if len(first.rows) < len(whole.rows):
        yield Section("decide", "All that is to decide", "", [whole.first(MOST_ROWS, BOOK)])


def _lists(moved: Sequence[str], checks: Sequence[str], room: int) -> Iterator[tuple[str, Sequence[str]]]:
    """What moved spend beside what was checked, as much of each as there is room for."""
    alone = not (moved and checks)
    if moved:
        yield "What moved it", fitting(moved, room, "Review", alone, BOOK)
    if checks:
        yield "Checks", fitting(checks, room, "Review", alone, BOOK)


def _facts(found: CostReport) -> list[tuple[str, str]]:
    compared = f"{found.periods[0]} to {found.periods[1]}" if found.periods else "no earlier period"
    ahead = f"of the plan made as of {day(found.plan_as_of.date())}" if found.plan_as_of else "no plan was given"
    return [
        ("As of", moment(found.as_of)), ("Months", _months(found)), ("Compared", compared), ("What looks ahead", ahead),
        ("Money", f"{found.currency}, effective cost: commitments spread over the usage that they cover"),
    ]  # fmt: skip


def _months(found: CostReport) -> str:
    months = sorted({m.month for m in found.equation})
    if len(months) == 1:
        return months[0]
    return f"{months[0]} to {months[-1]}; unit cost, commitments, pools and ties are of {found.month}"


# --- sections ----------------------------------------------------------------------------------------------

_SHOWN: Mapping[str, tuple[str, ...]] = {
    "unit_cost_groups": ("level", "name", "unit", "effective_cost", "units", "per_1000", "marginal_per_1000",
                         "marginal_low", "marginal_high", "fixed_share_frac", "trend_frac_per_month", "flags"),
    "commitment_review": ("month", "currency", "product", "coverage_frac", "utilisation_frac",
                          "effective_savings_rate_frac", "committed", "unused", "saving", "uncovered", "flags"),
    "commitment_expiry": ("id", "product", "scope", "end", "days_left", "covers_frac", "monthly_on_demand",
                          "monthly_more"),
    "commitment_comparison": ("product", "scope", "term_years", "payment", "ours_hourly", "aws_hourly", "ours_saving",
                              "aws_saving", "reasons"),
    "budget_outlook": ("level", "name", "period", "currency", "actual", "q10", "q50", "q90", "run_rate", "budget",
                       "p_over", "aws_mean", "basis"),
    "spend_backtest": ("level", "name", "horizon_months", "months", "variance_frac", "grade", "naive_variance_frac",
                       "coverage80_frac", "words"),
    "purchases": ("product", "scope", "term_years", "payment", "month", "hourly_usd", "count", "saving_mean",
                  "break_even"),
    "waste": ("kind", "service", "region", "what", "monthly_usd", "in_plan_usd", "confidence", "taken_by"),
    "spend_anomalies": ("service", "sku", "first_day", "last_day", "amount", "expected", "extra", "term"),
    "unit_cost_forecast": ("level", "name", "month", "currency", "q10", "q50", "q90", "basis"),
    "journey_costs": ("journey", "service", "currency", "requests_per_journey", "effective_cost", "share_frac",
                      "flags"),
    "rule_hits": ("rule", "target", "currency", "rows", "EffectiveCost"),
    "pool_steps": ("currency", "pool", "to_kind", "to", "method", "share_frac", "EffectiveCost"),
    "unallocated": ("currency", "ServiceName", "SubAccountId", "rows", "EffectiveCost", "suggested_rule"),
}  # fmt: skip


def _sections(found: CostReport) -> Iterator[Section]:
    pictures = review_pictures.of(found, "bill")
    whose = [t.first(MOST_ROWS, BOOK) for t in (teams(found), services(found))]
    yield Section("bill", "The bill by team and service", _BILL, whose, pictures, _equations(found))
    rows = _bridge_table(found)
    moved = [sentence(t) for t in found.bridge_words]
    yield Section("bridge", "What moved", _BRIDGE if rows.rows else "", [rows] if rows.rows else [],
                  review_pictures.of(found, "bridge"), moved)  # fmt: skip
    tables = [_units_table(found), _table(found, "journey_costs"), _ahead_table(found)]
    yield _of_tables(found, "unit", "Unit cost", _UNIT, tables)
    tables = [_table(found, "budget_closed"), _budget_table(found), _accuracy_table(found)]
    yield _of_tables(found, "budget", "Spend against budget", _BUDGET, tables)
    names = ["commitment_review", "commitment_expiry", "commitment_comparison"]
    # What the plan would buy stands beside AWS's recommendation, or alone where AWS was not asked.
    names += ["purchases"] if frame_of(found, "commitment_comparison").empty else []
    yield _section(found, "commitments", "Commitments", _COMMITMENTS, names)
    yield _section(found, "waste", "Waste", _WASTE, ["waste"])
    yield _section(found, "anomalies", "Spend anomalies", "", ["spend_anomalies"])
    yield _section(found, "whose", "Whose cost it is", _WHOSE, ["unallocated", "rule_hits", "pool_steps"])
    names = ["invoice_ties", "private_discounts", "cost_converted"]
    yield _section(found, "ties", "Invoices, discounts, currencies", "", names)
    yield _section(found, "carbon", "Carbon", _CARBON, ["carbon"])


_BILL = "Every row of the bill is direct, shared or unallocated; the three add up to the bill to the last digit."
_BRIDGE = (
    "Direct cost of services, and pools before they are split. Terms in a fixed order, each at the old values of those "
    "after it; they add up without a residual."
)
_UNIT = (
    "Per 1,000 units. Marginal: what 1,000 more cost at the margin, with its 80% interval; fixed: the share of cost "
    "that does not follow units. A journey pays its share of every service that it calls."
)
_BUDGET = "Quantiles are of totals of joint futures. Run rate: the last 28 settled days, carried on."
_COMMITMENTS = (
    "Coverage: share of what commitments can cover. Effective savings rate: what was saved, unused parts taken off, "
    "over what the same usage costs on demand."
)
_WASTE = "Against what the tier's promise needs by the saturation model, not a fixed CPU share. No instance twice."
_WHOSE = "The first rule that matches takes a row; pools are split in steps, to the last digit."
_CARBON = "Operational emissions, location-based, of instances whose power figures have a source."


def _section(found: CostReport, key: str, title: str, lead: str, names: Sequence[str]) -> Section:
    return _of_tables(found, key, title, lead, [_table(found, name) for name in names])


def _of_tables(found: CostReport, key: str, title: str, lead: str, known_tables: Sequence[Table]) -> Section:
    tables = [t for t in known_tables if t.rows]
    pictures = review_pictures.of(found, key)
    return Section(key, title, lead if tables or pictures else "", tables, pictures)


def _table(found: CostReport, name: str) -> Table:
    frame = frame_of(found, name)
    if "month" in frame.columns and name not in ("unit_cost_forecast", "commitment_expiry", "purchases"):
        frame = frame[frame["month"] == found.month]
    columns = [c for c in _SHOWN.get(name, tuple(frame.columns)) if c in frame.columns]
    # The page says its currency once; a column of nothing else would only take room.
    if "currency" in columns and set(frame["currency"]) <= {found.currency}:
        columns.remove("currency")
    return frame_table(name.replace("_", " "), frame[columns], of=name).first(MOST_ROWS, BOOK)


def _units_table(found: CostReport) -> Table:
    """The month's unit costs: the company and journeys first, the slope with its interval in one cell."""
    levels = ("company", "journey", "service", "team", "tier")
    rows = [r for r in rows_of(found, "unit_cost_groups") if r["month"] == found.month and r["level"] in levels]
    rows.sort(key=lambda r: (levels.index(r["level"]), -float(r["effective_cost"]), str(r["name"])))
    several = len({r["currency"] for r in rows}) > 1
    cells = [
        (text(r["level"]), text(r["name"]), text(r["unit"]) + (f", {r['currency']}" if several else ""),
         r["effective_cost"], known(r["units"]), known(r["per_1000"]), _with_interval(r), known(r["fixed_share_frac"]),
         known(r["trend_frac_per_month"]))
        for r in rows
    ]  # fmt: skip
    columns = (
        Column("Level"), Column("Name"), Column("Unit"), Column("Cost", "cents"), Column("Units", "number"),
        Column("Per 1,000", "per"), Column("Marginal (P10 to P90)"), Column("Fixed", "percent"),
        Column("Trend a month", "percent1"),
    )  # fmt: skip
    flags = list(dict.fromkeys(f"{text(r['name'])}: {text(r['flags'])}" for r in rows if text(r["flags"])))
    note = f"{'; '.join(flags[:MOST_FLAGS])}." if flags else ""
    return Table("unit cost", columns, cells, note=note).first(MOST_ROWS, BOOK)


def _with_interval(r: Mapping[Any, Any]) -> str:
    middle, low, high = (known(r[c]) for c in ("marginal_per_1000", "marginal_low", "marginal_high"))
    if middle is None:
        return ""
    if low is None or high is None:
        return per_thousand(middle)
    return f"{per_thousand(middle)} ({per_thousand(low)} to {per_thousand(high)})"


MOST_FLAGS = 6


def _budget_table(found: CostReport) -> Table:
    """The company's periods, and all that have a budget; what amounts include stands below, once."""
    rows = [
        r for r in rows_of(found, "budget_outlook")
        if r["complete"] and (r["level"] == "company" or known(r["budget"]) is not None)
    ]  # fmt: skip
    amounts = ("actual", "q10", "q50", "q90", "run_rate", "budget")
    numbers = (*amounts, "p_over", "aws_mean")
    cells = [
        (text(r["name"]), text(r["period"]), _counts(r), *(_billed(r, c) for c in numbers)) for r in rows
    ]  # fmt: skip
    heads = ("So far", "P10", "P50", "P90", "Run rate", "Budget")
    columns = (
        Column("Of"), Column("Period"), Column("Counts"), *(Column(h, "money") for h in heads),
        Column("Chance over", "percent"), Column("AWS's forecast", "money"),
    )  # fmt: skip
    note = "Running: without tax, credits, refunds and one-off purchases. What nothing is billed of yet has no amount."
    return Table("spend against budget", columns, cells, note=note).first(MOST_ROWS, BOOK)


def _counts(r: Mapping[Any, Any]) -> str:
    return "running" if text(r["basis"]).startswith("running") else "all"


def _billed(r: Mapping[Any, Any], column: str) -> float | None:
    amount = known(r[column])
    return None if column == "actual" and not amount else amount


def _accuracy_table(found: CostReport) -> Table:
    """How months up to a quarter ahead were forecast at past origins."""
    rows = [r for r in rows_of(found, "spend_backtest") if r["horizon_months"] == _QUARTER and r["level"] != "service"]
    cells = [
        (text(r["level"]), text(r["name"]), known(r["variance_frac"]), text(r["grade"]),
         known(r["naive_variance_frac"]), known(r["coverage80_frac"]), text(r["words"]))
        for r in rows
    ]  # fmt: skip
    columns = (
        Column("Level"), Column("Name"), Column("Variance", "percent1"), Column("Grade"),
        Column("Same as last month", "percent1"), Column("Months within P10 to P90", "percent"),
        Column("In words", "long"),
    )  # fmt: skip
    return Table("forecast accuracy", columns, cells).first(MOST_ROWS, BOOK)


_QUARTER = 3


def _ahead_table(found: CostReport) -> Table:
    """Unit cost of the last month that the plan reaches, by what each is counted in."""
    rows = [r for r in rows_of(found, "unit_cost_forecast") if r["level"] in ("company", "journey", "service")]
    last = max((str(r["month"]) for r in rows), default="")
    cells = [
        (text(r["level"]), text(r["name"]), text(r["unit"]), *(known(r[q]) for q in ("q10", "q50", "q90")))
        for r in rows
        if r["month"] == last
    ]
    columns = (Column("Level"), Column("Name"), Column("Unit"), *(Column(f"{q}, {last}", "per") for q in _QUANTILES))
    basis = list(dict.fromkeys(text(r["basis"]) for r in rows))
    note = f"What is in it: {basis[0]}." if basis else ""
    return Table("unit cost ahead", columns, cells, note=note).first(MOST_ROWS, BOOK)


_QUANTILES = ("P10", "P50", "P90")


def _bridge_table(found: CostReport) -> Table:
    """By service, in whole units: the largest movement first."""
    rows = sorted(rows_of(found, "bridge_services"), key=lambda r: -sum(abs(r[t]) for t in costs.TERMS))
    amounts = ("start", *costs.TERMS, "end")
    several = len({r["currency"] for r in rows}) > 1
    cells = [
        ((text(r["name"]) or f"({r['kind']})") + (f", {r['currency']}" if several else ""), *(r[c] for c in amounts))
        for r in rows
    ]
    columns = (Column("Service or pool"), *(Column(heading(c), "money") for c in amounts))
    total = None
    if len({r["currency"] for r in rows}) == 1 and len(rows) > 1:
        total = ("total", *(summed(r[c] for r in rows) for c in amounts))
    return Table("bridge by service", columns, cells, total).first(MOST_ROWS, BOOK)


_KINDS = ("direct", "shared", "unallocated")


def _equations(found: CostReport) -> list[str]:
    return [
        f"{c.month}: direct {exact(c.direct)} + shared {exact(c.shared)} + unallocated {exact(c.unallocated)} "
        f"= {exact(c.effective)} {visible(c.currency)}, the bill."
        for c in found.equation
    ]
