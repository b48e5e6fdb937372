"""Sections of the report on what the optimizer says beside the mix."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from capacity.plan import Plan
from capacity.report import _pictures, bought, planned
from capacity.report._table import Table

# Rows on paper; the workbook has all of them.
MOST_PURCHASES = 15
MOST_REFUSED = 8
MOST_PRICES = 6


@dataclass(frozen=True)
class Section:
    """A heading with its pictures and tables, and a sentence on how to read them."""

    key: str
    title: str
    lead: str = ""
    tables: Sequence[Table] = ()
    pictures: Sequence[_pictures.Picture] = ()
    lines: Sequence[str] = field(default=())


def planned_sections(plan: Plan) -> Iterator[Section]:
    """Commitments, price of headroom, requirements' prices, alternatives, and the plan's whole money.

    A plan that knows of none of them, as one made before they were, has no such section.
    """
    if any(len(plan.frame(name)) for name in ("purchases", "purchase_refusals")):
        yield _commitments(plan)
    if len(plan.frame("cost_curve")):
        yield _price(plan)
    if len(plan.frame("requirement_prices")):
        yield _requirements(plan)
    if plan.mix is not None and len(plan.frame("cost_curve")):
        yield _alternatives(plan)
    if len(plan.frame("plan_total")):
        yield _total(plan)


def _commitments(plan: Plan) -> Section:
    table, refused = bought.purchases(plan), bought.refusals(plan)
    lead = (
        "Judged on joint futures of all usage over the whole term. Used: share of the commitment, in the future at P10 "
        "and at P90. Regret: against the best size, had usage been known, at low (P10) and at high (P90) usage. "
        f"Break-even: the month from which what was paid stays below what it replaced. {bought.COVERED} {bought.SAVES}"
    )
    tables = [t for t in (table.first(MOST_PURCHASES), refused.first(MOST_REFUSED)) if t.rows]
    if not table.rows:
        return Section("commitments", "Commitments to buy", "", tables, (), [bought.nothing_to_buy(plan)])
    return Section("commitments", "Commitments to buy", lead, tables, [_pictures.purchase_savings(plan)])


def _price(plan: Plan) -> Section:
    return Section(
        "headroom-price", "The price of headroom", "", [bought.cost_curve(plan)], [_pictures.headroom_price(plan)]
    )


def _requirements(plan: Plan) -> Section:
    lead = "Each requirement is moved by one step and the fleet solved again; below 0 the step saves."
    tables = [bought.requirement_prices(plan).first(MOST_PRICES)]
    pictures = [_pictures.requirement_prices(plan)] if tables[0].rows else []
    note = bought.not_priced(plan)
    title = "What each requirement costs"
    return Section("requirements", title, lead, [t for t in tables if t.rows], pictures, [note] if note else [])


def _alternatives(plan: Plan) -> Section:
    table = bought.alternatives(plan)
    title = "Plans that cost nearly the same"
    if not table.rows:
        return Section("alternatives", title, lines=[bought.NO_ALTERNATIVE])
    lead = "Verified like the plan itself, at most 1% dearer, and as different from it and from each other as can be."
    pictures = [] if bought.shapes(plan).empty else [_pictures.fleet_shapes(plan)]
    return Section("alternatives", title, lead, [table], pictures)


def _total(plan: Plan) -> Section:
    lead = "The fleet as planned, and what is forecast beside it."
    if planned.adds_up(plan):
        lead += " The parts add up to the total to the last digit."
    return Section("plan-total", "The plan's total", lead, [planned.plan_total(plan)], [_pictures.plan_total(plan)])
