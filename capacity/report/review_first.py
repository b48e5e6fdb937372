"""The first sheet of the FinOps review: figures, and what somebody has to decide."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
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
    """Figures of the period, the company's currency first."""
    currencies = list(dict.fromkeys(m.currency for m in found.equation))
    for currency in currencies:
        yield _bill(found, currency)
    yield _allocated(found, currencies)
    yield _commitments(found)
    yield _budget(found)
    yield _wasted(found)


def _bill(found: CostReport, currency: str) -> Card:
    months = [m for m in found.equation if m.currency == currency]
    total, billed = summed(m.effective for m in months), summed(m.billed for m in months)
    name = found.periods[1] if found.periods else found.month
    note = ""
    rows = frame_of(found, "bridge_services")
    rows = rows[rows["currency"] == currency] if len(rows) else rows
    before = summed(rows["start"]) if len(rows) else Decimal(0)
    if before and found.periods:
        note = f"{_against(float(summed(rows['end']) / before) - 1)} {found.periods[0]}. "
    return Card(f"Cost of {name}, {currency}", money(total), f"{note}Billed in cash: {money(billed)}.")


def _against(share: float) -> str:
    """1.2% more than; the same as, where it rounds to nothing."""
    said = percent(abs(share), 1)
    if said == percent(0.0, 1):
        return "The same as"
    return f"{said} {'more' if share > 0 else 'less'} than"


def _allocated(found: CostReport, currencies: list[str]) -> Card | None:
    """Of the company's currency, or the first there is."""
    months = [m for m in found.equation if currencies and m.currency == currencies[0]]
    effective, nobodys = summed(m.effective for m in months), summed(m.unallocated for m in months)
    if not effective:
        return None
    share = float(nobodys / effective)
    said = f"{money(nobodys)} {currencies[0]} is nobody's."
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
    """What somebody has to decide, the most money first; ``of`` says what time the amount is of."""
    rows = [*_untied(found), *_over(found), *_ending(found), *_odd(found), *_waste(found), *_nobodys(found)]
    rows.sort(key=lambda r: -abs(r.amount or 0.0))
    cells = [(r.by, r.topic, r.owner, r.text, r.amount, r.of) for r in rows]
    columns = (
        Column("By", "date"), Column("Topic", "status"), Column("Whose"), Column("Decision", "long"),
        Column("Amount", "money"), Column("Of"),
    )  # fmt: skip
    return Table("To decide", columns, cells)


@dataclass(frozen=True)
class Decision:
    """One thing to decide; the amount is ``of`` a month, a fortnight, a budget's period, or once."""

    topic: str
    text: str
    amount: float | None
    of: str
    owner: str = ""
    by: date | None = None


def _untied(found: CostReport) -> Iterator[Decision]:
    for r in rows_of(found, "invoice_ties"):
        if not r["ties"]:
            number = f" {text(r['number'])}" if text(r["number"]) else ""
            said = f"Find what parts invoice{number} of {r['month']} from the bill: {text(r['words'])}"
            yield Decision("invoice", said, known(r["difference"]), f"{r['currency']}, once")


def _over(found: CostReport) -> Iterator[Decision]:
    for r in rows_of(found, "budget_outlook"):
        if (known(r["p_over"]) or 0.0) <= LIKELY_OVER:
            continue
        who = "the company" if r["level"] == "company" else f"{r['level']} {text(r['name'])}"
        owner = text(r["name"]) if r["level"] == "team" else found.teams.get(text(r["name"]), "")
        said = (
            f"Cut spend or raise the budget of {who} for {r['period']}: {money(r['q50'])} is expected against "
            f"{money(r['budget'])}, passed with a chance of {percent(float(r['p_over']))}"
        )
        yield Decision("budget", said, float(r["q50"]) - float(r["budget"]), text(r["period"]), owner)


def _ending(found: CostReport) -> Iterator[Decision]:
    for r in rows_of(found, "commitment_expiry"):
        end = pd.Timestamp(r["end"]).date()
        yield Decision("commitment", f"Renew, replace or drop: {text(r['words'])}", known(r["monthly_more"]), "a month",
                       by=end)  # fmt: skip


def _odd(found: CostReport) -> Iterator[Decision]:
    rows = rows_of(found, "spend_anomalies")
    with_sku = {text(r["service"]) for r in rows if text(r["sku"])}
    for r in rows:
        # A service as a whole is said where none of its SKUs says it.
        alone = text(r["sku"]) or text(r["service"]) not in with_sku
        if alone and abs(known(r["extra"]) or 0.0) >= WORTH_A_DECISION * _whole(found):
            days = (pd.Timestamp(r["last_day"]) - pd.Timestamp(r["first_day"])).days + 1
            owner = found.teams.get(text(r["service"]), "")
            yield Decision("anomaly", f"Explain or stop {text(r['words'])}", known(r["extra"]), f"{days} days", owner)


def _waste(found: CostReport) -> Iterator[Decision]:
    """One line a kind and who takes it, with the services that most of it is of."""
    kinds: dict[tuple[str, str], dict[str, float]] = {}
    for r in rows_of(found, "waste"):
        if r["currency"] == found.currency:
            by_service = kinds.setdefault((str(r["kind"]), text(r["taken_by"])), {})
            name = text(r["service"]) or text(r["what"])
            by_service[name] = by_service.get(name, 0.0) + (known(r["monthly_usd"]) or 0.0)
    for (kind, taken_by), services in kinds.items():
        total = sum(services.values())
        if total < WORTH_A_DECISION * _whole(found):
            continue
        largest = sorted(services, key=lambda s: -services[s])
        said = ", ".join(f"{s} {money(services[s])}" for s in largest[:MOST_NAMED])
        more = f" and {len(largest) - MOST_NAMED} more" if len(largest) > MOST_NAMED else ""
        owners = sorted({found.teams.get(s, "") for s in services} - {""})
        is_taken = not taken_by.startswith("none")
        how = f"taken by: {taken_by}" if is_taken else "the plan does not take it: ask whose it is"
        yield Decision("waste", f"Remove {_WASTED.get(kind, kind)}: {said}{more}; {how}", total, "a month",
                       ", ".join(owners[:MOST_NAMED]))  # fmt: skip


_WASTED = {
    "idle": "idle fleets", "oversized": "oversized fleets", "previous_generation": "previous generations",
    "storage": "storage that nothing uses", "address": "addresses and gateways that nothing uses",
    "commitment": "unused commitments",
}  # fmt: skip


def _nobodys(found: CostReport) -> Iterator[Decision]:
    for m in found.equation[-1:]:
        if m.effective and m.unallocated / m.effective > Decimal(str(UNALLOCATED_SAID)):
            said = f"Add the rules suggested below: more than a tenth of {m.month} is nobody's"
            yield Decision("allocation", said, float(m.unallocated), f"{m.currency}, {m.month}")


def _whole(found: CostReport) -> float:
    return max((float(m.effective) for m in found.equation if m.currency == found.currency), default=0.0)


def caveats(found: CostReport) -> list[str]:
    """What the review says that stands nowhere else on the first sheet: equations and ends have their places."""
    told = {*found.bridge_words, *(text(r["words"]) for r in rows_of(found, "commitment_expiry"))}
    equations = tuple(f"{m.month}: effective cost " for m in found.equation)
    return [t for t in found.sentences if t not in told and not t.startswith(equations)][:MOST_CAVEATS]
