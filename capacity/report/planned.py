"""Tables of what the plan keeps and costs: headroom, coverage, choice of types, load tests, total, tie by service.

Page, report and workbook show the same tables. A plan made before a frame existed has it empty, and so is its table;
a sentence of this module says what that means.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import date
from decimal import Decimal
from typing import Any

import pandas as pd

from capacity.charts import unit_label
from capacity.optimize.purchases import TOGETHER
from capacity.plan import MixSummary, Plan, UnitPlan
from capacity.report import bought
from capacity.report._cells import Row, amount, decimal, known, records, text, true, where
from capacity.report._table import Column, Table, percent

_UNIT = Column("Service · region")
# The row of a month that is the sum of its other rows.
TOTAL = "total"
# Shares of simulated futures that are held against one promise, and the words for each.
_SHARES = {"coverage_frac": "as planned", "headroom_coverage_frac": "with the headroom kept",
           "zone_loss_coverage_frac": "with a zone lost"}  # fmt: skip
# Months beside each other on a page; the workbook has all.
PAGE_MONTHS = 7
# Behind the name of a month of which the plan holds a part.
PART = " (part)"
NO_HEADROOM = (
    "Not known: no service has a fleet whose safe capacity is known, or this plan was made before it was told."
)
NO_COVERAGE = "No coverage is simulated: no service has a fleet to simulate."
NO_TIE = "No tie by service: there is no closed month of usage and bill together."
NO_TOTAL = "No total: this plan does not hold all money of its months."
NO_CHOICE = "No choice of types is explained for this service."


# --- headroom and coverage -----------------------------------------------------------------------------------


def headroom_months(plan: Plan) -> Table:
    """Every unit and month, the least headroom first by unit; for the workbook."""
    rows = records(plan.frame("headroom_months"))
    cells = [
        (unit_label(r["service"], r["region"]), text(r["month"]), known(r["peak"]), known(r["safe_running"]),
         known(r["headroom_running_frac"]), known(r["safe_planned"]), known(r["headroom_planned_frac"]),
         known(r["policy_frac"]), _holds(r["holds"]), _holds(r.get("holds_running")), *(
             _survives(r.get(f"survives_{which}")) for which in ("running", "planned")))
        for r in rows
    ]  # fmt: skip
    columns = (
        _UNIT, Column("Month", "month"), Column("Peak", "number"), Column("Safe, what runs", "number"),
        Column("Headroom, what runs", "percent1"), Column("Safe, as planned", "number"),
        Column("Headroom, as planned", "percent1"), Column("Policy", "percent"), Column("Holds", "status"),
        Column("What runs holds", "status"), Column("What runs survives zone loss", "status"),
        Column("As planned survives zone loss", "status"),
    )  # fmt: skip
    return Table("Headroom by month", columns, cells)


def _holds(value: Any) -> str | None:
    holds = true(value)
    return None if holds is None else "holds" if holds else "does not hold"


def _survives(value: Any) -> str | None:
    survives = true(value)
    return None if survives is None else "survives" if survives else "does not survive"


def headroom_units(plan: Plan) -> Table:
    """One row a unit: the month with the least headroom as planned, and what runs then; the least first."""
    worst: dict[tuple[str, str], tuple[Any, ...]] = {}
    broken: dict[tuple[str, str], int] = {}
    now: dict[tuple[str, str], tuple[int, int]] = {}
    for row in headroom_months(plan).rows:
        if row[1] == "now":
            continue
        key = (row[0], "")
        broken[key] = broken.get(key, 0) + (row[8] == "does not hold")
        before = now.get(key, (0, 0))
        now[key] = (before[0] + (row[9] == "does not hold"), before[1] + (row[10] == "does not survive"))
        rank = min((x for x in (row[6], row[4]) if x is not None), default=math.inf)
        if key not in worst or rank < worst[key][0]:
            worst[key] = (rank, row)
    order = sorted(worst, key=lambda k: (-broken[k], worst[k][0], k))
    cells = [(k[0], worst[k][1][1], worst[k][1][4], worst[k][1][6], worst[k][1][7], broken[k] or None,
              now[k][0] or None, now[k][1] or None) for k in order]  # fmt: skip
    columns = (
        _UNIT, Column("Least in", "status"), Column("What runs", "percent"), Column("As planned", "percent"),
        Column("Policy", "percent"), Column("Months that do not hold", "number", "none"),
        Column("What runs does not hold", "number", "none"),
        Column("What runs does not survive zone loss", "number", "none"),
    )  # fmt: skip
    return Table("Least headroom", columns, cells)


def headroom_line(plan: Plan) -> str:
    """How many months of units keep their policy as planned, and how many would if nothing changed."""
    rows = [r for r in headroom_months(plan).rows if r[1] != "now"]
    if not rows:
        return NO_HEADROOM
    judged = [r for r in rows if r[8] is not None]
    kept = sum(r[8] == "holds" for r in judged)
    running = sum(_runs_on(r) for r in rows)
    return (
        f"As planned {kept:,} of {len(judged):,} months of services hold their tier's policy; "
        f"what runs would in {running:,} of {len(rows):,}."
    )


def _runs_on(row: Sequence[Any]) -> bool:
    """Would what runs keep the policy? By the plan's own word; by headroom alone in a plan that does not tell."""
    if row[9] is not None:
        return bool(row[9] == "holds")
    return row[4] is not None and row[7] is not None and row[4] >= row[7] - 1e-9


def coverage(plan: Plan) -> Table:
    """Every unit and month, the tightest first: by the smallest margin of the three shares to what is promised."""
    cells = [
        (unit_label(r["service"], r["region"]), text(r["month"]), *(found := [known(r.get(c)) for c in _SHARES]),
         known(r["required_frac"]), _binds(found), known(r.get("one_fewer_frac")),
         _of_ten_thousand(r.get("hours_above_frac")))
        for r in records(plan.frame("coverage"))
    ]  # fmt: skip
    cells.sort(key=lambda c: (_margin(c), c[0], c[1]))
    columns = (
        _UNIT, Column("Month", "month"), Column("Coverage", "percent1"), Column("Headroom kept", "percent1"),
        Column("A zone lost", "percent1"), Column("Promised", "percent1"), Column("Binds", "status"),
        Column("With one instance a zone fewer", "percent1"), Column("Hours above, of 10,000", "number"),
    )  # fmt: skip
    return Table("Coverage", columns, cells)


def _binds(shares: Sequence[float | None]) -> str | None:
    """Which of the shares is the least, in words; of equal ones the first."""
    least = [(share, word) for share, word in zip(shares, _SHARES.values(), strict=True) if share is not None]
    return min(least, key=lambda x: x[0])[1] if least else None


def least_covered(row: Sequence[Any]) -> tuple[float | None, float | None, str]:
    """Of a row of :func:`coverage`: the share that binds, what is promised, and which share it is."""
    shares = [x for x in row[2:5] if x is not None]
    return min(shares, default=None), row[5], row[6] or ""


def short_of(row: Sequence[Any]) -> bool:
    """Does a row of :func:`coverage` fall short of what is promised?"""
    share, promised, _ = least_covered(row)
    return share is not None and promised is not None and share < promised


def _of_ten_thousand(value: Any) -> float | None:
    """A share of hours that is small, as a number of 10,000."""
    share = known(value)
    return None if share is None else round(share * 1e4, 2)


def coverage_units(plan: Plan) -> Table:
    """The tightest month of each unit, the tightest unit first."""
    whole = coverage(plan)
    first: dict[str, tuple[Any, ...]] = {}
    for row in whole.rows:
        first.setdefault(row[0], row)
    return Table("Tightest coverage", whole.columns, list(first.values()))


def _margin(row: Sequence[Any]) -> float:
    share, promised, _ = least_covered(row)
    return math.inf if share is None or promised is None else share - promised


def coverage_said(row: Sequence[Any]) -> str:
    """A row of :func:`coverage` in words: 95.3% with a zone lost against 95% promised, in 2026-12."""
    share, promised, binds = least_covered(row)
    if share is None:
        return f"not simulated, in {row[1]}"
    against = "" if promised is None else f" against {percent(promised, 1)} promised"
    return f"{percent(share, 1)}{f' {binds}' if binds else ''}{against}, in {row[1]}"


# --- types, load tests ---------------------------------------------------------------------------------------


def type_choice(plan: Plan, unit: UnitPlan | None = None) -> Table:
    """Chosen types first, then the next best by what they would cost more; of one unit, or of all for the workbook."""
    rows = plan.frame("type_choice")
    if unit is not None:
        rows = rows[(rows["service"] == unit.service) & (rows["region"] == unit.region)]
    found = records(rows)
    found.sort(key=lambda r: (unit_label(r["service"], r["region"]), not true(r["chosen"]), _extra(r)))
    cells = [
        (unit_label(r["service"], r["region"]), text(r["instance_type"]), "chosen" if true(r["chosen"]) else "",
         known(r["usd_per_year"]), known(r["extra_frac"]), text(r["reason"]))
        for r in found
    ]  # fmt: skip
    columns = (
        _UNIT, Column("Instance type"), Column("", "status", ""),
        Column(f"{plan.currency} a year, on demand", "money", "not possible"),
        Column("Costs more", "percent1", "not possible"), Column("Why", "long"),
    )  # fmt: skip
    return Table("Choice of types", columns, cells)


def _extra(r: Row) -> float:
    extra = known(r["extra_frac"])
    return math.inf if extra is None else extra


def load_tests(plan: Plan, service: str | None = None) -> Table:
    """What load tests say that an instance serves within the SLO; of one service, or of all."""
    rows = plan.frame("load_tests")
    if service is not None:
        rows = rows[rows["service"] == service]
    cells = [
        (text(r["service"]), text(r["instance_type"]), *(known(r[c]) for c in (
            "safe_low", "safe", "safe_high", "knee", "tested_max", "gamma", "alpha", "beta")), text(r["flags"]))
        for r in records(rows)
    ]  # fmt: skip
    columns = (
        Column("Service"), Column("Instance type"), Column("Safe, low", "number"), Column("Safe", "number"),
        Column("Safe, high", "number"), Column("Knee", "number", "none"), Column("Tested to", "number"),
        Column("γ", "ratio", only="sheet"), Column("α", "per", only="sheet"), Column("β", "per", only="sheet"),
        Column("How far to trust it", "long", "nothing against it"),
    )  # fmt: skip
    return Table("Load tests", columns, cells)


# --- money ---------------------------------------------------------------------------------------------------


def tie_services(plan: Plan) -> Table:
    """The model's price of each service's fleet against its bill, the furthest apart first."""
    cells = [
        (where(r), text(r["month"]), text(r["currency"]), amount(r["modelled"]),
         amount(r["billed_effective"]), known(r["difference_frac"]),
         {None: "not compared", True: "ties", False: "does not tie"}[true(r["ties"])], amount(r["remainder"]),
         text(r["words"]))
        for r in records(plan.frame("tie_services"))
    ]  # fmt: skip
    ranks = {"does not tie": 0, "ties": 1, "not compared": 2}
    cells.sort(key=lambda c: (ranks[c[6]], -abs(c[5] or 0.0), c[0]))
    columns = (
        _UNIT, Column("Month", "month"), Column("Currency", "status", only="sheet"),
        Column("Modelled", "money"), Column("Billed, instances", "money"), Column("Difference", "percent1"),
        Column("Result", "status"), Column("Rest of its bill", "money"), Column("In words", "long"),
    )  # fmt: skip
    return Table("Tie by service", columns, cells)


def total_parts(plan: Plan) -> pd.DataFrame:
    """Rows of the plan's total that are no sums of others."""
    rows = plan.frame("plan_total")
    return rows[rows["part"] != TOTAL]


def plan_total(plan: Plan) -> Table:
    """A row a part and a column a month; the last row is the sum, which is the plan's own to the cent."""
    rows = records(total_parts(plan))
    months = sorted({text(r["month"]) for r in rows})
    part = partial_months(plan)
    by_part: dict[str, dict[str, Decimal]] = {}
    for r in rows:
        cells = by_part.setdefault(text(r["part"]).replace("_", " "), {})
        month = text(r["month"])
        cells[month] = cells.get(month, Decimal(0)) + decimal(r["amount"])
    order = sorted(by_part, key=lambda p: (-abs(sum(by_part[p].values(), Decimal(0))), p))
    table = [(p, *(by_part[p].get(m) for m in months), sum(by_part[p].values(), Decimal(0))) for p in order]
    sums = [sum((by_part[p].get(m, Decimal(0)) for p in order), Decimal(0)) for m in months]
    sums.append(sum(sums, Decimal(0)))
    columns = (
        Column("Part"),
        *(
            Column(f"{_spoken(m)}{PART if m in part else ''}", "money", only=None if i < PAGE_MONTHS else "sheet")
            for i, m in enumerate(months)
        ),
        Column(f"All months, {plan.currency}", "money"),
    )
    left = len(months) - PAGE_MONTHS
    note = f"{left} more month{'s' if left > 1 else ''} in report.xlsx; the last column has all." if left > 0 else ""
    return Table("Plan total", columns, table, ("total", *sums) if table else None, note)


def partial_months(plan: Plan) -> set[str]:
    """Months of which the plan holds fewer hours than the calendar: the horizon begins or ends within them."""
    blocks = plan.frame("blocks")
    hours = pd.to_numeric(blocks["hours"]).groupby([blocks[c] for c in ("month", "service", "region")]).sum()
    most = hours.groupby("month").max()
    return {str(m) for m, held in most.items() if held < _calendar_hours(str(m)) - 0.5}


def _calendar_hours(month: str) -> float:
    """Hours of a month; 0 of what is none."""
    try:
        return float(pd.Period(month, "M").days_in_month * 24)
    except ValueError:
        return 0.0


def plan_total_rows(plan: Plan) -> Table:
    """The frame "plan_total" as it is, by service and with what each amount rests on; for the workbook."""
    cells = [
        (text(r["month"]), text(r["part"]).replace("_", " "), text(r.get("service")), text(r.get("region")),
         decimal(r["amount"]), text(r.get("basis")))
        for r in records(plan.frame("plan_total"))
    ]  # fmt: skip
    columns = (
        Column("Month", "month"), Column("Part"), Column("Service"), Column("Region"),
        Column(f"Amount, {plan.currency}", "money"), Column("Rests on", "long"),
    )  # fmt: skip
    return Table("Plan total by service", columns, cells)


def _spoken(month: str) -> str:
    """Oct 2026 of 2026-10: a heading that breaks where words do."""
    try:
        return f"{date.fromisoformat(f'{month}-01'):%b %Y}"
    except ValueError:
        return month


def with_total(table: Table) -> Table:
    """``table`` with its total as a last row, for a page whose tables have none."""
    rows = table.rows if table.total is None else [*table.rows, table.total]
    return Table(table.name, table.columns, rows)


def adds_up(plan: Plan) -> bool:
    """Do the parts of each month add up to the total that the plan itself gives for it, to the last digit?"""
    whole = plan.frame("plan_total")
    own = {text(r["month"]): decimal(r["amount"]) for r in records(whole[whole["part"] == TOTAL])}
    parts: dict[str, Decimal] = {}
    for r in records(total_parts(plan)):
        month = text(r["month"])
        parts[month] = parts.get(month, Decimal(0)) + decimal(r["amount"])
    return all(parts.get(month, Decimal(0)) == own_sum for month, own_sum in own.items())


_UNSOLVED = {"infeasible": "no plan meets all requirements", "no_plan_in_time": "no plan was found in time"}


def proof(mix: MixSummary) -> str:
    """How far a plan is proven: verified plan; at most 2.7% above the best possible."""
    if mix.status in _UNSOLVED:
        return _UNSOLVED[mix.status]
    gap = max(mix.gap_frac, 0.0)
    if gap < 5e-7:
        return "verified plan; proven the best possible"
    digits = 1 if gap >= 0.001 else 2 if gap >= 0.0001 else 4
    said = f"at most {percent(gap, digits)} above the best possible"
    if TOGETHER in mix.termination:
        return f"verified plan; {TOGETHER}: on demand {said}"
    return f"verified plan; {said}"


def sheets(plan: Plan) -> list[Table]:
    """The tables of both modules as the workbook holds them."""
    return [
        coverage(plan), headroom_months(plan), bought.cost_curve(plan), bought.purchases(plan), bought.refusals(plan),
        bought.requirement_prices(plan), bought.alternatives(plan), bought.alternative_mix(plan), type_choice(plan),
        tie_services(plan), plan_total(plan), plan_total_rows(plan), load_tests(plan),
    ]  # fmt: skip
