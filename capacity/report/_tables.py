"""The report's tables of a plan: what stands in each, in which order, and what it adds up to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from decimal import Decimal
from typing import Any

import pandas as pd

from capacity.charts import unit_label, visible
from capacity.domain import EventVerdict
from capacity.plan import MixLine, Plan, UnitPlan
from capacity.report._table import NEVER, Column, Table, moment, money
from capacity.report.check_tables import CAUTION, steps
from capacity.words import day

_UNIT = Column("Service · region")
# Columns of months that fit a page; the workbook has all.
PAGE_MONTHS = 7
# Named pieces of a remainder on a page.
LARGEST = 6


def decisions(plan: Plan, most: int) -> Table:
    """What the meeting must decide, in the plan's order.

    Of more than ``most``, limits give way: there may be hundreds, and money and events must be on the first page. The
    first limit stays.
    """
    found = [f for f in plan.findings if f.severity == "act"]
    limits = [f for f in found if f.topic == "saturation"]
    cut = min(max(len(found) - most, 0), max(len(limits) - 1, 0))
    left_out = {id(f) for f in limits[len(limits) - cut :]} if cut else set()
    found = [f for f in found if id(f) not in left_out]
    many = ("s", "") if len(left_out) > 1 else ("", "s")
    note = (
        f"{len(left_out):,} more limit{many[0]} to decide on stand{many[1]} below and in report.xlsx."
        if left_out
        else ""
    )
    today = plan.as_of.date()
    rows = [(f.by, "overdue" if f.by and f.by < today else "", f.text, f.usd) for f in found]
    columns = (Column("Decide by", "date"), Column("", "status", ""), Column("Decision", "long"),
               Column(f"Saving, {plan.currency}", "money"))  # fmt: skip
    return Table("Decisions", columns, rows, note=note)


def findings(plan: Plan) -> Table:
    """Every finding, for the workbook."""
    rows = [(f.severity, f.topic, f.text, f.service, f.region, f.by, f.usd) for f in plan.findings]
    columns = (Column("Weight"), Column("Topic"), Column("Finding", "long"), Column("Service"), Column("Region"),
               Column("By", "date"), Column(plan.currency, "money"))  # fmt: skip
    return Table("Findings", columns, rows)


def saturation(plan: Plan) -> Table:
    """Every limit; first what is overdue, then by P10 date, then by chance."""
    pairs = [(u, x) for u in plan.units for x in u.limits]
    pairs.sort(key=lambda p: (not p[1].overdue, p[1].p10 or date.max, -p[1].within_horizon, p[0].unit, p[1].name))
    rows = [
        (unit_label(u.service, u.region), x.name, (x.limit, x.unit_of_measure), x.within_horizon, x.p10, x.p50, x.p90,
         x.order_by, "overdue" if x.overdue else "", x.remedy if x.p10 else None, x.lead_time_days if x.p10 else None)
        for u, x in pairs
    ]  # fmt: skip
    columns = (
        _UNIT, Column("Limit"), Column("At", "quantity"), Column("Chance", "percent"),
        Column("P10 date", "date", NEVER), Column("P50 date", "date", NEVER), Column("P90 date", "date", NEVER),
        Column("Order by", "date"), Column("", "status", ""), Column("Remedy", "long"), Column("Days", "number"),
    )  # fmt: skip
    return Table("Saturation", columns, rows)


def headroom(plan: Plan) -> Table:
    """Headroom by week, a column a week; for the workbook."""
    frame = plan.frame("headroom")
    weeks = sorted({pd.Timestamp(w).date() for w in frame["week_start"]}) if len(frame) else []
    cells: dict[tuple[str, str], dict[date, float]] = {}
    columns = ("service", "region", "week_start", "headroom_frac")
    for service, region, week, value in frame[list(columns)].itertuples(index=False, name=None):
        cells.setdefault((str(service), str(region)), {})[pd.Timestamp(week).date()] = value
    rows = [(unit_label(*unit), *(by_week.get(w) for w in weeks)) for unit, by_week in sorted(cells.items())]
    return Table("Headroom", (_UNIT, *(Column(f"{w:%Y-%m-%d}", "percent") for w in weeks)), rows)


# --- mix -----------------------------------------------------------------------------------------------------


def mix(plan: Plan) -> Table:
    """Running and recommended instances and their money over the horizon; the total is the optimizer's."""
    units = sorted((u for u in plan.units if u.kind != "usage_priced"), key=lambda u: (-u.running_usd, u.unit))
    rows: list[tuple[Any, ...]] = [
        (unit_label(u.service, u.region), _lines(u.running), _recommended(u), u.running_usd, u.recommended_usd,
         u.running_usd - u.recommended_usd, u.coverage_min_frac, u.service_level, u.why)
        for u in units
    ]  # fmt: skip
    total = None
    if plan.mix is not None:
        unused = plan.mix.recommended_usd - sum(u.recommended_usd for u in units)
        before = plan.mix.running_usd - sum(u.running_usd for u in units)
        if abs(unused) >= 0.005 or abs(before) >= 0.005:
            rows.append(("commitments, unused part", None, None, before, unused, before - unused, None, None, None))
        total = ("total", "", "", plan.mix.running_usd, plan.mix.recommended_usd, plan.mix.saving_usd, None, None, "")
    unit = f", {plan.currency}"
    columns = (
        _UNIT, Column("Running"), Column("Recommended", "long"), Column(f"Kept{unit}", "money"),
        Column(f"Planned{unit}", "money"), Column(f"Saving{unit}", "money"),
        Column("Coverage", "percent1"), Column("Promised", "percent1"), Column("Why", "long"),
    )  # fmt: skip
    return Table("Mix", columns, rows, total)


def _lines(lines: Sequence[MixLine]) -> str:
    return " + ".join(f"{x.instances} × {visible(x.instance_type)}" for x in lines)


def _recommended(unit: UnitPlan) -> str:
    """The first month's mix, and the dearest month's where they differ; each month's is in the workbook."""
    if not unit.recommended:
        return ""
    months = sorted(unit.recommended)
    dearest = max(months, key=lambda m: sum(x.instances * x.usd_per_hour for x in unit.recommended[m]))
    first, largest = (_lines(unit.recommended[m]) for m in (months[0], dearest))
    if len({_lines(unit.recommended[m]) for m in months}) == 1:
        return first
    if first == largest:
        return f"{months[0]}: {first}, less in later months"
    return f"{months[0]}: {first}; largest, {dearest}: {largest}"


def mix_months(plan: Plan) -> Table:
    """The frame "mix" as it is, for the workbook."""
    frame = plan.frame("mix")
    # Plans of before there was spot say nothing of how an instance is bought.
    bought = frame["purchase"].fillna("on_demand") if "purchase" in frame else ["on_demand"] * len(frame)
    frame = frame.assign(purchase=[visible(str(p)).replace("_", " ") for p in bought])
    names = ("service", "region", "month", "instance_type", "purchase", "per_zone", "instances", "vcpu",
             "usd_per_hour")  # fmt: skip
    rows = list(frame[list(names)].itertuples(index=False, name=None))
    at = f", {plan.mix.rates_of}" if plan.mix else ""
    heads = ("Service", "Region", "Month", "Instance type", "Bought as", "Per zone", "Instances", "vCPU")
    kinds = [Column(h) if i < 5 else Column(h, "number") for i, h in enumerate(heads)]
    return Table("Mix by month", (*kinds, Column(f"{plan.currency} an hour{at}", "per")), rows)


def spend_months(plan: Plan) -> Table:
    """The frame "spend_plan" as it is, for the workbook; no spot in a plan of before there was any."""
    frame = plan.frame("spend_plan")
    if "spot_usd" not in frame:
        frame = frame.assign(spot_usd=0.0)
    names = ("service", "region", "month", "on_demand_usd", "spot_usd", "committed_usd", "total_usd",
             "running_total_usd")  # fmt: skip
    rows = list(frame[list(names)].itertuples(index=False, name=None))
    money = ("On demand", "Spot", "Commitments", "Planned in all", "Running fleet kept")
    columns = (Column("Service"), Column("Region"), Column("Month", "month"),
               *(Column(f"{head}, {plan.currency}", "money") for head in money))  # fmt: skip
    return Table("Fleet spend by month", columns, rows)


# --- money ---------------------------------------------------------------------------------------------------


def cost_months(plan: Plan) -> Table:
    """Closed months of the bill: direct + shared + unallocated = effective cost, to the last digit."""
    rows = [(c.month, c.currency, c.direct, c.shared, c.unallocated, c.effective, c.billed) for c in plan.costs]
    columns = (Column("Month"), Column("Currency"), Column("Direct", "exact"), Column("+ shared", "exact"),
               Column("+ unallocated", "exact"), Column("= effective cost", "exact"),
               Column("billed (cash)", "exact"))  # fmt: skip
    return Table("Cost by month", columns, rows)


def cost_services(plan: Plan, most: int | None = None) -> list[Table]:
    """The newest closed month by service, one table a currency; rows beyond ``most`` are added up in one."""
    newest = {c.currency: c for c in plan.costs}
    return [_cost_services(plan, c.month, c.currency, c.effective, most) for c in newest.values()]


def _cost_services(plan: Plan, month: str, currency: str, effective: Decimal, most: int | None) -> Table:
    frame = plan.frame("cost")
    frame = frame[(frame["month"] == month) & (frame["currency"] == currency)]
    found: dict[str, dict[str, Decimal]] = {}
    for service, kind, amount in frame[["service", "kind", "EffectiveCost"]].itertuples(index=False, name=None):
        name = "unallocated" if kind == "unallocated" else visible(service) or "no service"
        by_kind = found.setdefault(name, {})
        by_kind[kind] = by_kind.get(kind, Decimal(0)) + amount
    order = sorted(found, key=lambda n: (n == "unallocated", -sum(found[n].values(), Decimal(0)), n))
    named = (
        order if most is None or len(order) <= most else [*order[:most], *(n for n in order[-1:] if n == "unallocated")]
    )
    rest = [n for n in order if n not in set(named)]
    groups = [(n, [n]) for n in named] + ([(f"{len(rest)} other services", rest)] if rest else [])
    per = _latest_unit_cost(plan, month, currency)
    rows = [_cost_row(name, [found[n] for n in members], effective, per.get(name)) for name, members in groups]
    columns = (
        Column("Service"), Column("Direct", "exact"), Column("Shared", "exact"), Column("Effective cost", "exact"),
        Column("Share", "percent1"), Column(f"{currency} per 1,000 units", "per"),
    )  # fmt: skip
    total = (
        "total = the bill",
        *(sum((r[i] for r in rows if r[i] is not None), Decimal(0)) for i in (1, 2, 3)),
        None,
        None,
    )
    return Table(f"Cost by service {currency}", columns, rows, total, f"{month}, {currency}, effective cost (accrual).")


def _cost_row(
    name: str, members: Sequence[dict[str, Decimal]], effective: Decimal, per: Decimal | None
) -> tuple[Any, ...]:
    zero = Decimal(0)
    total = sum((sum(m.values(), zero) for m in members), zero)
    share = float(total / effective) if effective else None
    if name == "unallocated":
        return (name, None, None, total, share, None)
    direct, shared = (sum((m.get(kind, zero) for m in members), zero) for kind in ("direct", "shared"))
    return (name, direct, shared, total, share, per)


def _latest_unit_cost(plan: Plan, month: str, currency: str) -> dict[str, Decimal]:
    frame = plan.frame("unit_cost")
    frame = frame[(frame["month"] == month) & (frame["currency"] == currency)]
    return {visible(s): per for s, per in zip(frame["service"], frame["usd_per_1000"], strict=True)}


def unit_cost(plan: Plan) -> Table:
    """Cost of 1,000 units of demand, a row a service and a column a closed month; dearest service first."""
    frame = plan.frame("unit_cost")
    closed = {c.month for c in plan.costs}
    frame = frame[frame["month"].isin(closed)]
    months = sorted(frame["month"].unique())
    cells: dict[tuple[str, str], dict[str, object]] = {}
    size: dict[tuple[str, str], Decimal] = {}
    names = ("service", "currency", "month", "usd_per_1000", "effective_cost")
    for service, currency, month, per, cost in frame[list(names)].itertuples(index=False, name=None):
        key = (visible(service), str(currency))
        cells.setdefault(key, {})[month] = per
        size[key] = size.get(key, Decimal(0)) + (cost if isinstance(cost, Decimal) else Decimal(0))
    order = sorted(cells, key=lambda k: (-size[k], k))
    rows = [(*key, *(cells[key].get(m) for m in months), _change([cells[key].get(m) for m in months])) for key in order]
    recent = set(months[-PAGE_MONTHS:])
    columns = (Column("Service"), Column("Currency"),
               *(Column(str(m), "per", only=None if m in recent else "sheet") for m in months),
               Column("First to last", "percent1"))  # fmt: skip
    return Table("Unit cost", columns, rows)


def _change(values: Sequence[object]) -> float | None:
    known = [float(str(v)) for v in values if v is not None and v == v]
    return known[-1] / known[0] - 1 if len(known) > 1 and known[0] else None


def unallocated(plan: Plan) -> Table:
    """The largest pieces that no rule takes, each with a rule for the config."""
    frame = plan.frame("unallocated")
    names = ("currency", "ServiceName", "SubAccountId", "rows", "EffectiveCost", "suggested_rule")
    rows = list(frame[list(names)].itertuples(index=False, name=None))
    columns = (Column("Currency"), Column("Provider's service"), Column("Account", "status"), Column("Rows", "number"),
               Column("Effective cost", "exact"), Column("A rule that takes it", "long"))  # fmt: skip
    return Table("Unallocated", columns, rows)


def spend(plan: Plan) -> Table:
    """Months to come against their budgets."""
    rows = [
        (s.month, s.currency, s.q10, s.q50, s.q90, s.budget,
         None if s.budget is None else s.q50 - float(s.budget), s.over_budget)
        for s in plan.spend
    ]  # fmt: skip
    columns = (Column("Month"), Column("Currency"), Column("P10", "money"), Column("P50", "money"),
               Column("P90", "money"), Column("Budget", "money", "no budget"), Column("P50 less budget", "money"),
               Column("P(over budget)", "percent"))  # fmt: skip
    return Table("Spend", columns, rows)


def tie_outs(plan: Plan) -> Table:
    """Model against bill, and the named remainder that the model does not price."""
    rows = [
        (t.month, t.currency, t.modelled, t.billed_effective, t.difference_frac, t.private_discount_frac,
         "ties" if t.ties else "does not tie",
         _remainder(t.remainder, None), _remainder(t.remainder, LARGEST))
        for t in plan.tie_outs
    ]  # fmt: skip
    columns = (Column("Month"), Column("Currency"), Column("Modelled", "exact"), Column("Billed, effective", "exact"),
               Column("Difference", "percent1"), Column("Private discount", "percent1"), Column("Result", "status"),
               Column("Not modelled", "long", only="sheet"), Column("Not modelled", "long", only="page"))  # fmt: skip
    return Table("Tie to the bill", columns, rows)


def _remainder(named: Mapping[str, Decimal], most: int | None) -> str:
    """Pieces of the bill that the model does not price, the largest first."""
    order = sorted(named, key=lambda n: (-abs(named[n]), n))
    words = [f"{visible(n)} {money(named[n])}" for n in order[:most]]
    left = len(order) - len(words)
    return "; ".join(words) + (f"; {left} smaller" if left else "")


# --- event and trust -----------------------------------------------------------------------------------------


def events(plan: Plan) -> Table:
    """Every verdict, NO-GO first and the tightest on top."""
    verdicts = [v for e in plan.events for v in e.verdicts]
    return verdict_table("Event", plan, verdicts)


def verdict_table(name: str, plan: Plan, verdicts: list[EventVerdict]) -> Table:
    """``verdicts`` with their numbers, reasons and remedies."""
    verdicts = sorted(verdicts, key=lambda v: (v.event, v.go, v.probability_holds, v.unit))
    units = {u.unit: u.demand_unit for u in plan.units}
    rows = [
        (v.event, unit_label(v.unit.service, v.unit.region), "GO" if v.go else "NO-GO",
         *((x, units.get(v.unit, "1/s")) for x in (v.demand_p50, v.demand_p95, v.safe_now, v.safe_at_group_maximum)),
         v.probability_holds, "; ".join(v.reasons), "; ".join(r for r in v.reasons if not r.startswith(CAUTION)),
         "; ".join(f"{r.action} by {day(r.by)} ({r.lead_time_days} days)" for r in v.remedies), steps(v))
        for v in verdicts
    ]  # fmt: skip
    columns = (
        Column("Event", only="sheet"), _UNIT, Column("Verdict", "status"),
        Column("P50 demand", "quantity", only="sheet"), Column("P95 demand", "quantity"),
        Column("Safe now", "quantity"), Column("Safe at group maximum", "quantity"),
        Column("P(holds)", "percent1"), Column("Reasons", "long", only="sheet"),
        Column("Reasons", "long", only="page"), Column("Remedies", "long", "none needed", only="sheet"),
        Column("What to do", "long", "nothing", only="page"),
    )  # fmt: skip
    return Table(name, columns, rows)


def forecasts(plan: Plan) -> Table:
    """How far each unit's forecast is to be believed: its error at past origins over the seasonal naive's."""
    units = sorted(plan.units, key=lambda u: (-(u.relative_mae if u.relative_mae is not None else 1e9), u.unit))
    rows = [
        (unit_label(u.service, u.region), u.relative_mae, u.forecast_model, u.forecast_reason, u.last_point.date(),
         (u.peak_recent, u.demand_unit), (u.peak_horizon.mid, u.demand_unit), (u.peak_horizon.high, u.demand_unit),
         None if u.safe_now is None else (u.safe_now.mid, u.demand_unit), u.cost_basis, "; ".join(u.flags))
        for u in units
    ]  # fmt: skip
    columns = (
        _UNIT, Column("Error over naive", "ratio", "not scored"), Column("Model", only="sheet"),
        Column("Why this model", "long"), Column("Last point", "date"),
        Column("Peak, last 28 days", "quantity", only="sheet"),
        Column("Horizon peak P50", "quantity", only="sheet"),
        Column("Horizon peak P90", "quantity"), Column("Safe now", "quantity"),
        Column("Safe capacity from", "long", only="sheet"),
        Column("Flags", "long"),
    )  # fmt: skip
    return Table("Forecasts", columns, rows)


def freshness(plan: Plan) -> Table:
    """Newest good point of each source."""
    rows = [
        (
            f.frame,
            f.source,
            f.last_point.date() if f.last_point else None,
            None if f.age_days is None else round(f.age_days, 1),
            "stale" if f.stale else "fresh",
        )
        for f in plan.freshness
    ]
    columns = (Column("Frame"), Column("Source"), Column("Newest point", "date", "no data"),
               Column("Age, days", "number"), Column("State", "status"))  # fmt: skip
    return Table("Freshness", columns, rows)


def quality(plan: Plan) -> Table:
    """What is odd in the data, the gravest first."""
    rows = [
        (q.severity, q.frame, q.source, q.scope, q.rule, q.rows, q.of, q.message, q.example)
        for q in plan.frame("quality").itertuples(index=False)
    ]
    columns = (Column("Gravity", "status"), Column("Frame"), Column("Source"), Column("Where"), Column("Rule"),
               Column("Rows", "number"), Column("Of", "number", only="sheet"), Column("What", "long"),
               Column("Example", only="sheet"))  # fmt: skip
    return Table("Data quality", columns, rows)


def provenance(plan: Plan) -> Table:
    """The seven things that make this plan, and whether they make it again."""
    p = plan.provenance
    versions = ", ".join(f"{name} {version}" for name, version in sorted(p.store_versions.items()))
    rows = [
        ("Config", p.config_digest), ("Scenario", p.scenario), ("Store versions", versions),
        ("Catalogue", p.catalogue_version), ("Prices", plan.mix.rates_of if plan.mix else "none"),
        ("As of", moment(p.as_of)), ("Seed", str(p.seed)),
        ("Package", f"capacity {p.package_version}"),
        ("Reproducible", "yes: the same seven give the same plan" if p.reproducible
         else "no: a time limit ended the search for the mix"),
        *(("Source", source) for source in p.sources),
    ]  # fmt: skip
    return Table("Provenance", (Column("What"), Column("Value", "long")), rows)


def excuses(plan: Plan) -> Table:
    """Instance types kept out, for the workbook."""
    frame = plan.frame("excuses")
    rows = list(frame[["service", "region", "instance_type", "reason"]].itertuples(index=False, name=None))
    return Table(
        "Types left out", (Column("Service"), Column("Region"), Column("Instance type"), Column("Reason")), rows
    )
