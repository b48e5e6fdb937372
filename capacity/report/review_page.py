"""The FinOps review as one page: what a director reads first, then the tables that it rests on."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date
from decimal import Decimal, localcontext
from typing import TYPE_CHECKING, Any

import pandas as pd

import capacity
from capacity.charts import visible
from capacity.report import review_pictures
from capacity.report._cells import known, records, text
from capacity.report._page import Page, render
from capacity.report._sections import Section
from capacity.report._summary import Card
from capacity.report._table import Column, Table, exact, moment, money, percent, sentence
from capacity.report.frame_tables import frame_table
from capacity.words import day

if TYPE_CHECKING:
    from capacity.pipeline import CostReport

# Rows of a table on paper; the workbook has all of them.
MOST_ROWS = 30
MOST_DECISIONS = 12
MOST_CAVEATS = 10
# FinOps calls 80 % allocated "walk" and 90 % "run".
UNALLOCATED_SAID = 0.1
# A budget that is missed as often as it is kept needs a decision.
LIKELY_OVER = 0.5
# Waste and anomalies below this share of the month's bill are in the tables, not on the first sheet.
WORTH_A_DECISION = 0.002


def render_review(found: CostReport) -> str:
    """The review as one HTML document that asks no host for anything; the same review gives the same bytes."""
    return render(
        Page(
            title=f"FinOps review: {visible(found.company)}, {found.month}",
            kind="FinOps review",
            name=visible(found.company),
            facts=_facts(found),
            cards=[c for c in _cards(found) if c is not None],
            first=decisions(found).first(MOST_DECISIONS),
            first_title="To decide",
            first_none="Nothing in this review needs a decision.",
            lines=[sentence(t) for t in found.bridge_words],
            lists=[("Read with care", [sentence(t) for t in _caveats(found)])],
            sections=[s for s in _sections(found) if s.tables or s.pictures or s.lines],
            footer=f"capacity {capacity.__version__} · bill as of {moment(found.as_of)} · months are UTC",
        )
    )


def _facts(found: CostReport) -> list[tuple[str, str]]:
    compared = f"{found.periods[0]} to {found.periods[1]}" if found.periods else "no earlier period"
    ahead = f"of the plan made as of {day(found.plan_as_of.date())}" if found.plan_as_of else "no plan was given"
    return [
        ("As of", moment(found.as_of)), ("Month", found.month), ("Compared", compared), ("What looks ahead", ahead),
        ("Money", f"{found.currency}, effective cost: commitments spread over the usage that they cover"),
    ]  # fmt: skip


# --- the first sheet ---------------------------------------------------------------------------------------


def _cards(found: CostReport) -> Iterator[Card | None]:
    yield from (_bill(found, m.currency, m.effective) for m in found.equation if m.month == found.month)
    yield from (_allocated(m.effective, m.unallocated) for m in found.equation[-1:])
    yield _commitments(found)
    yield _budget(found)
    yield _wasted(found)


def _bill(found: CostReport, currency: str, effective: Decimal) -> Card:
    total = _frame(found, "bridge_services")
    total = total[total["currency"] == currency] if len(total) else total
    before, after = (_sum(total[c]) if len(total) else Decimal(0) for c in ("start", "end"))
    moved = after - before
    note = ""
    if before and found.periods:
        share = float(moved / before)
        more = "more" if share >= 0 else "less"
        note = f"{found.periods[1]} cost {percent(abs(share), 1)} {more} than {found.periods[0]}."
    return Card(f"Bill of {found.month}, {currency}", money(effective), note)


def _allocated(effective: Decimal, unallocated: Decimal) -> Card | None:
    if not effective:
        return None
    share = float(unallocated / effective)
    said = f"{money(unallocated)} is nobody's."
    return Card("Allocated", percent(1 - share, 1), said, "bad" if share > UNALLOCATED_SAID else "good")


def _commitments(found: CostReport) -> Card | None:
    rows = [r for r in _rows(found, "commitment_review") if r["month"] == found.month and r["product"] == "all"]
    if not rows or known(rows[0]["effective_savings_rate_frac"]) is None:
        return None
    r = rows[0]
    parts = (("coverage", known(r["coverage_frac"])), ("used", known(r["utilisation_frac"])))
    said = ", ".join(f"{name} {percent(value)}" for name, value in parts if value is not None)
    return Card("Effective savings rate", percent(float(r["effective_savings_rate_frac"]), 1), sentence(said))


def _budget(found: CostReport) -> Card | None:
    rows = [r for r in _rows(found, "budget_outlook") if r["level"] == "company" and known(r["p_over"]) is not None]
    if not rows:
        return None
    worst = max(rows, key=lambda r: float(r["p_over"]))
    over = float(worst["p_over"])
    note = f"{worst['period']}: {money(worst['q50'])} expected, budget {money(worst['budget'])}."
    return Card("Chance over budget", percent(over), note, "bad" if over > LIKELY_OVER else "good")


def _wasted(found: CostReport) -> Card | None:
    rows = [r for r in _rows(found, "waste") if r["currency"] == found.currency]
    if not rows:
        return None
    total, taken = (sum(known(r[c]) or 0.0 for r in rows) for c in ("monthly_usd", "in_plan_usd"))
    return Card("Waste a month", money(total), f"The recommended mix takes {money(taken)} of it.", "bad")


def decisions(found: CostReport) -> Table:
    """What somebody has to decide, the most money first within what is urgent."""
    rows = [*_untied(found), *_over(found), *_ending(found), *_odd(found), *_waste(found), *_nobodys(found)]
    columns = (
        Column("By", "date"), Column("Topic"), Column("Decision", "long"), Column(f"{found.currency} a month", "money"),
    )  # fmt: skip
    return Table("To decide", columns, rows)


Decision = tuple[date | None, str, str, float | None]


def _untied(found: CostReport) -> Iterator[Decision]:
    for r in _rows(found, "invoice_ties"):
        if not r["ties"]:
            yield None, "invoice", f"{r['month']}, {r['currency']}: {text(r['words'])}", known(r["difference"])


def _over(found: CostReport) -> Iterator[Decision]:
    rows = [r for r in _rows(found, "budget_outlook") if (known(r["p_over"]) or 0.0) > LIKELY_OVER]
    for r in sorted(rows, key=lambda r: (str(r["period"]), str(r["level"]), str(r["name"]))):
        who = "the company" if r["level"] == "company" else f"{r['level']} {text(r['name'])}"
        over = float(r["q50"]) - float(r["budget"])
        yield (
            None, "budget",
            f"{who} passes its budget of {r['period']} ({money(r['budget'])}) with a chance of "
            f"{percent(float(r['p_over']))}; {money(r['q50'])} is expected", over,
        )  # fmt: skip


def _ending(found: CostReport) -> Iterator[Decision]:
    for r in _rows(found, "commitment_expiry"):
        yield pd.Timestamp(r["end"]).date(), "commitment", text(r["words"]), known(r["monthly_more"])


def _odd(found: CostReport) -> Iterator[Decision]:
    rows = _rows(found, "spend_anomalies")
    with_sku = {text(r["service"]) for r in rows if text(r["sku"])}
    for r in rows:
        # A service as a whole is said where none of its SKUs says it.
        alone = text(r["sku"]) or text(r["service"]) not in with_sku
        if alone and abs(known(r["extra"]) or 0.0) >= WORTH_A_DECISION * _whole(found):
            yield None, "anomaly", text(r["words"]), known(r["extra"])


def _waste(found: CostReport) -> Iterator[Decision]:
    for r in _rows(found, "waste"):
        amount = known(r["monthly_usd"]) or 0.0
        if amount >= WORTH_A_DECISION * _whole(found) and r["currency"] == found.currency:
            what = f"{str(r['kind']).replace('_', ' ')}, {text(r['what'])}"
            yield None, "waste", f"{what}: {text(r['taken_by'])} ({text(r['confidence'])} confidence)", amount


def _nobodys(found: CostReport) -> Iterator[Decision]:
    for m in found.equation[-1:]:
        if m.effective and m.unallocated / m.effective > Decimal(str(UNALLOCATED_SAID)):
            yield (
                None,
                "allocation",
                "more than a tenth of the bill is nobody's: add the rules suggested below",
                float(m.unallocated),
            )


def _whole(found: CostReport) -> float:
    return max((float(m.effective) for m in found.equation if m.currency == found.currency), default=0.0)


def _caveats(found: CostReport) -> list[str]:
    """What the review says that stands nowhere else on the first sheet: equations and ends have their places."""
    told = {*found.bridge_words, *(text(r["words"]) for r in _rows(found, "commitment_expiry"))}
    equations = tuple(f"{m.month}: bill " for m in found.equation)
    return [t for t in found.sentences if t not in told and not t.startswith(equations)][:MOST_CAVEATS]


# --- sections ----------------------------------------------------------------------------------------------

_SHOWN: Mapping[str, tuple[str, ...]] = {
    "unit_cost_groups": ("level", "name", "unit", "effective_cost", "units", "per_1000", "marginal_per_1000",
                         "marginal_low", "marginal_high", "fixed_share_frac", "trend_frac_per_month", "flags"),
    "commitment_review": ("month", "currency", "product", "coverage_frac", "utilisation_frac",
                          "effective_savings_rate_frac", "committed", "unused", "saving", "uncovered", "flags"),
    "commitment_expiry": ("id", "product", "scope", "end", "days_left", "covers_frac", "monthly_on_demand",
                          "monthly_more", "words"),
    "commitment_comparison": ("product", "scope", "term_years", "payment", "ours_hourly", "aws_hourly", "ours_saving",
                              "aws_saving", "reasons"),
    "budget_outlook": ("level", "name", "period", "currency", "actual", "q10", "q50", "q90", "run_rate", "budget",
                       "p_over", "aws_mean", "basis"),
    "spend_backtest": ("level", "name", "horizon_months", "months", "variance_frac", "grade", "naive_variance_frac",
                       "coverage80_frac", "words"),
    "waste": ("kind", "service", "region", "what", "monthly_usd", "in_plan_usd", "confidence", "reason", "taken_by"),
    "spend_anomalies": ("service", "sku", "first_day", "last_day", "amount", "expected", "extra", "probability", "term",
                        "words"),
    "unit_cost_forecast": ("level", "name", "month", "currency", "q10", "q50", "q90", "basis"),
    "journey_costs": ("journey", "service", "currency", "requests_per_journey", "effective_cost", "share_frac",
                      "flags"),
    "rule_hits": ("rule", "target", "currency", "rows", "EffectiveCost"),
    "pool_steps": ("currency", "pool", "to_kind", "to", "method", "share_frac", "EffectiveCost"),
    "unallocated": ("currency", "ServiceName", "SubAccountId", "rows", "EffectiveCost", "suggested_rule"),
}  # fmt: skip


def _sections(found: CostReport) -> Iterator[Section]:
    pictures = review_pictures.of(found, "bill")
    yield Section("bill", "The bill by service", _BILL, [_services(found)], pictures, _equations(found))
    yield _section(found, "bridge", "What moved", _BRIDGE, ["bridge_services"])
    yield _section(found, "unit", "Unit cost", _UNIT, ["unit_cost_groups", "journey_costs", "unit_cost_forecast"])
    yield _section(found, "budget", "Spend against budget", _BUDGET, ["budget_outlook", "spend_backtest"])
    names = ["commitment_review", "commitment_expiry", "commitment_comparison"]
    yield _section(found, "commitments", "Commitments", _COMMITMENTS, names)
    yield _section(found, "waste", "Waste", _WASTE, ["waste"])
    yield _section(found, "anomalies", "What was odd of late", "", ["spend_anomalies"])
    yield _section(found, "whose", "Whose cost it is", _WHOSE, ["unallocated", "rule_hits", "pool_steps"])
    names = ["invoice_ties", "private_discounts", "cost_converted"]
    yield _section(found, "ties", "Invoices, discounts, currencies", "", names)
    yield _section(found, "carbon", "Carbon", _CARBON, ["carbon"])


_BILL = "Every row of the bill is direct, shared or unallocated; the three add up to the bill to the last digit."
_BRIDGE = "Terms in a fixed order, each at the old values of those after it; they add up without a residual."
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
    tables = [t for t in (_table(found, name) for name in names) if t.rows]
    pictures = review_pictures.of(found, key)
    return Section(key, title, lead if tables or pictures else "", tables, pictures)


def _table(found: CostReport, name: str) -> Table:
    frame = _frame(found, name)
    if "month" in frame.columns and name not in ("unit_cost_forecast", "commitment_expiry"):
        frame = frame[frame["month"] == found.month]
    columns = [c for c in _SHOWN.get(name, tuple(frame.columns)) if c in frame.columns]
    return frame_table(name.replace("_", " "), frame[columns]).first(MOST_ROWS)


def _services(found: CostReport) -> Table:
    frame = _frame(found, "cost")
    frame = frame[frame["month"] == found.month] if len(frame) else frame
    totals: dict[tuple[str, str], dict[str, Decimal]] = {}
    for r in records(frame):
        parts = totals.setdefault((text(r["currency"]), text(r["service"])), {})
        parts[str(r["kind"])] = _sum([parts.get(str(r["kind"]), Decimal(0)), r["EffectiveCost"]])
    rows = [
        (service, currency, *(parts.get(k, Decimal(0)) for k in _KINDS), _sum(parts.values()))
        for (currency, service), parts in sorted(totals.items(), key=lambda x: (x[0][0], -_sum(x[1].values())))
    ]
    columns = (Column("Service"), Column("Currency"), *(Column(k.capitalize(), "cents") for k in _KINDS),
               Column("Total", "cents"))  # fmt: skip
    return Table("bill by service", columns, rows).first(MOST_ROWS)


_KINDS = ("direct", "shared", "unallocated")


def _sum(amounts: Iterable[Decimal]) -> Decimal:
    """Exactly: Python rounds sums to 28 digits unless told otherwise."""
    with localcontext(prec=60):
        return sum(amounts, Decimal(0))


def _equations(found: CostReport) -> list[str]:
    return [
        f"{c.month}: direct {exact(c.direct)} + shared {exact(c.shared)} + unallocated {exact(c.unallocated)} "
        f"= {exact(c.effective)} {visible(c.currency)}, the bill."
        for c in found.equation
    ]


def _frame(found: CostReport, name: str) -> pd.DataFrame:
    return found.frames.get(name, pd.DataFrame())


def _rows(found: CostReport, name: str) -> list[dict[Any, Any]]:
    return records(_frame(found, name))
