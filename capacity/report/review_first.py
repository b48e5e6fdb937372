"""The first sheet of the FinOps review: figures, and what somebody has to decide."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING

import pandas as pd

from capacity.report._cells import known, text
from capacity.report._summary import Card
from capacity.report._table import Column, Table, money, percent, sentence
from capacity.report.review_sums import frame_of, rows_of, summed

if TYPE_CHECKING:
    from capacity.pipeline import CostReport

MOST_CAVEATS = 10
MOST_NAMED = 4
# FinOps calls 80 % allocated "walk" and 90 % "run".
UNALLOCATED_SAID = 0.1
# A budget that is missed as often as it is kept needs a decision.
LIKELY_OVER = 0.5
# Waste and anomalies below this share of the month's bill are in the tables, not on the first sheet.
WORTH_A_DECISION = 0.002


def cards(found: CostReport) -> Iterator[Card | None]:
    yield from (_bill(found, m.currency, m.effective) for m in found.equation if m.month == found.month)
    yield from (_allocated(m.effective, m.unallocated) for m in found.equation[-1:])
    yield _commitments(found)
    yield _budget(found)
    yield _wasted(found)


def _bill(found: CostReport, currency: str, effective: Decimal) -> Card:
    total = frame_of(found, "bridge_services")
    total = total[total["currency"] == currency] if len(total) else total
    before, after = (summed(total[c]) if len(total) else Decimal(0) for c in ("start", "end"))
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
    rows = [r for r in rows_of(found, "commitment_review") if r["month"] == found.month and r["product"] == "all"]
    if not rows or known(rows[0]["effective_savings_rate_frac"]) is None:
        return None
    r = rows[0]
    parts = (("coverage", known(r["coverage_frac"])), ("used", known(r["utilisation_frac"])))
    said = ", ".join(f"{name} {percent(value)}" for name, value in parts if value is not None)
    return Card("Effective savings rate", percent(float(r["effective_savings_rate_frac"]), 1), sentence(said))


def _budget(found: CostReport) -> Card | None:
    rows = [r for r in rows_of(found, "budget_outlook") if r["level"] == "company" and known(r["p_over"]) is not None]
    if not rows:
        return None
    worst = max(rows, key=lambda r: float(r["p_over"]))
    over = float(worst["p_over"])
    note = f"{worst['period']}: {money(worst['q50'])} expected, budget {money(worst['budget'])}."
    return Card("Chance over budget", percent(over), note, "bad" if over > LIKELY_OVER else "good")


def _wasted(found: CostReport) -> Card | None:
    rows = [r for r in rows_of(found, "waste") if r["currency"] == found.currency]
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
    for r in rows_of(found, "invoice_ties"):
        if not r["ties"]:
            yield None, "invoice", f"{r['month']}, {r['currency']}: {text(r['words'])}", known(r["difference"])


def _over(found: CostReport) -> Iterator[Decision]:
    rows = [r for r in rows_of(found, "budget_outlook") if (known(r["p_over"]) or 0.0) > LIKELY_OVER]
    for r in sorted(rows, key=lambda r: (str(r["period"]), str(r["level"]), str(r["name"]))):
        who = "the company" if r["level"] == "company" else f"{r['level']} {text(r['name'])}"
        over = float(r["q50"]) - float(r["budget"])
        yield (
            None, "budget",
            f"{who} passes its budget of {r['period']} ({money(r['budget'])}) with a chance of "
            f"{percent(float(r['p_over']))}; {money(r['q50'])} is expected", over,
        )  # fmt: skip


def _ending(found: CostReport) -> Iterator[Decision]:
    for r in rows_of(found, "commitment_expiry"):
        yield pd.Timestamp(r["end"]).date(), "commitment", text(r["words"]), known(r["monthly_more"])


def _odd(found: CostReport) -> Iterator[Decision]:
    rows = rows_of(found, "spend_anomalies")
    with_sku = {text(r["service"]) for r in rows if text(r["sku"])}
    for r in rows:
        # A service as a whole is said where none of its SKUs says it.
        alone = text(r["sku"]) or text(r["service"]) not in with_sku
        if alone and abs(known(r["extra"]) or 0.0) >= WORTH_A_DECISION * _whole(found):
            yield None, "anomaly", text(r["words"]), known(r["extra"])


def _waste(found: CostReport) -> Iterator[Decision]:
    """One line a kind and who takes it, with the services that most of it is of."""
    kinds: dict[tuple[str, str], dict[str, float]] = {}
    for r in rows_of(found, "waste"):
        if r["currency"] == found.currency:
            by_service = kinds.setdefault((str(r["kind"]), text(r["taken_by"])), {})
            name = text(r["service"]) or text(r["what"])
            by_service[name] = by_service.get(name, 0.0) + (known(r["monthly_usd"]) or 0.0)
    for (kind, taken_by), services in sorted(kinds.items(), key=lambda x: -sum(x[1].values())):
        total = sum(services.values())
        if total < WORTH_A_DECISION * _whole(found):
            continue
        largest = sorted(services, key=lambda s: -services[s])[:MOST_NAMED]
        said = ", ".join(f"{s} {money(services[s])}" for s in largest)
        yield None, "waste", f"{_WASTED.get(kind, kind)}: {said}; taken by: {taken_by}", total


_WASTED = {
    "idle": "idle fleets", "oversized": "oversized fleets", "previous_generation": "previous generations",
    "storage": "storage that nothing uses", "address": "addresses and gateways that nothing uses",
    "commitment": "unused commitments",
}  # fmt: skip


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


def caveats(found: CostReport) -> list[str]:
    """What the review says that stands nowhere else on the first sheet: equations and ends have their places."""
    told = {*found.bridge_words, *(text(r["words"]) for r in rows_of(found, "commitment_expiry"))}
    equations = tuple(f"{m.month}: bill " for m in found.equation)
    return [t for t in found.sentences if t not in told and not t.startswith(equations)][:MOST_CAVEATS]
