"""Tables of what a plan knows about its own forecasts: why, what they promised, what was odd, what they add up to.

Page, report and workbook show the same tables. A plan made before a frame existed has it empty, and so is its table.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

import pandas as pd

from capacity.charts import unit_label, visible
from capacity.plan import Plan, UnitPlan
from capacity.plan_rows import rows_of
from capacity.report._summary import passing_units
from capacity.report._table import Column, Table, moment
from capacity.words import quantity

OCCASIONS = ("service", "region", "target", "name", "kind", "start", "end", "multiplier", "low", "high", "occurrences",
             "source")  # fmt: skip
Row = Mapping[Hashable, Any]
# Rows of the decomposition in the workbook: five units of two targets for a year and more, written in a second or two.
MOST_DAYS = 6_000
_UNIT = Column("Service · region")
_KINDS = {"event": "event", "holiday": "holiday", "shift": "level shift"}
# What a promise was of, by its target; see capacity.pipeline.promised.
TARGETS = {"horizon_peak": "largest peak", "peak": "peak of a month", "mean": "mean of a month",
           "total": "spend of a month"}  # fmt: skip


def frame(plan: Plan, name: str) -> pd.DataFrame:
    """Frame ``name`` of ``plan``; an empty one where the plan was made without."""
    if name == "occasions":
        return plan.frames.get(name, pd.DataFrame(columns=list(OCCASIONS)))
    return plan.frame(name)


def of_unit(rows: pd.DataFrame, unit: UnitPlan) -> pd.DataFrame:
    """Rows of one planning unit."""
    return rows_of(rows, unit.service, unit.region)


def _name(service: object, region: object) -> str:
    """The unit; a service alone where no region is named, as in a bill."""
    return unit_label(service, region) if visible(region) else visible(service)


def _day(value: object) -> Any:
    if isinstance(value, datetime):  # a time stamp; reading its text again takes a hundred times as long
        return None if pd.isna(value) else value.date()
    stamp = pd.to_datetime(str(value), errors="coerce") if value is not None else pd.NaT
    return None if pd.isna(stamp) else stamp.date()


def _nothing(value: Any) -> bool:
    """None, NaN, NaT or the missing value of a nullable column."""
    return bool(pd.isna(value))


def _records(rows: pd.DataFrame) -> list[dict[Hashable, Any]]:
    return rows.to_dict("records")


# --- why -----------------------------------------------------------------------------------------------------


def told(plan: Plan, most: int) -> list[UnitPlan]:
    """Units whose demand is explained, those that pass a limit first and the earliest of them on top."""
    known = [u for u in plan.units if u.words or len(of_unit(frame(plan, "explanation"), u))]
    first = {u.unit: i for i, u in enumerate(passing_units(plan))}
    return sorted(known, key=lambda u: (first.get(u.unit, len(first)), u.unit))[:most]


def words(plan: Plan, units: Sequence[UnitPlan] | None = None) -> Table:
    """What each unit's history says, a row a sentence."""
    shown = plan.units if units is None else units
    rows = [(unit_label(u.service, u.region), text) for u in shown for text in u.words]
    return Table("Why", (_UNIT, Column("What the history says", "long")), rows)


def explanation(plan: Plan) -> Table:
    """Each day's parts, for the workbook: whole units up to :data:`MOST_DAYS` rows, and in words what is left out."""
    rows, left = _whole_units(frame(plan, "explanation"))
    cells: list[tuple[Any, ...]] = [
        (visible(r["service"]), visible(r["region"]), visible(r["target"]), _day(r["ts"]),
         *(r[c] for c in ("actual", "trend", "weekly", "yearly", "events", "fitted")))
        for r in _records(rows)
    ]  # fmt: skip
    if left:
        cells.append((f"{left:,} more units are in explanation.parquet", *(None,) * 9))
    columns = (
        Column("Service"), Column("Region"), Column("Target"), Column("Day", "date"), Column("Measured", "number"),
        Column("Trend", "number"), Column("Week, ×", "ratio"), Column("Year, ×", "ratio"), Column("Events, ×", "ratio"),
        Column("All parts", "number"),
    )  # fmt: skip
    return Table("Decomposition", columns, cells)


def _whole_units(rows: pd.DataFrame) -> tuple[pd.DataFrame, int]:
    """The first units whose rows fit together, and how many do not."""
    if len(rows) <= MOST_DAYS:
        return rows, 0
    number = rows.groupby(["service", "region"], sort=False).ngroup()
    ends = number.value_counts().sort_index().cumsum()
    fit = int((ends <= MOST_DAYS).sum())
    return rows[number < fit], len(ends) - fit


def occasions(plan: Plan, unit: UnitPlan | None = None) -> Table:
    """What moved demand beside trend and season, by how much, and how that is known; the strongest first."""
    rows = frame(plan, "occasions")
    found = _records(rows if unit is None else of_unit(rows, unit))
    found.sort(key=lambda r: (visible(r["service"]), visible(r["region"]), -_off(r), visible(r["name"])))
    cells = [
        (_name(r["service"], r["region"]), visible(r["name"]), _KINDS.get(str(r["kind"]), visible(r["kind"])),
         visible(r["target"]), _day(r["start"]), _day(r["end"]), r["multiplier"], r["low"], r["high"],
         r["occurrences"], visible(r["source"]))
        for r in found
    ]  # fmt: skip
    columns = (
        _UNIT, Column("Occasion"), Column("Kind", "status"), Column("Of the daily", "status"), Column("From", "date"),
        Column("To", "date", "lasting"), Column("Times normal", "ratio"), Column("Low", "ratio"),
        Column("High", "ratio"), Column("Seen", "number"), Column("Known by", "status"),
    )  # fmt: skip
    return Table("Occasions", columns, cells)


def _off(row: Row) -> float:
    """How far an occasion is from doing nothing."""
    times = row["multiplier"]
    return 0.0 if _nothing(times) else abs(float(times) - 1.0)


# --- what was promised, what was odd -------------------------------------------------------------------------


def promise(plan: Plan) -> Table:
    """Every promise of about a quarter ago that can be held against what came; first what fell outside."""
    units = _measures(plan)
    found = _records(frame(plan, "promise"))
    found.sort(key=lambda r: (_kept(r) != "outside", visible(r["service"]), visible(r["region"]), str(r["month"])))
    rows = [
        (_name(r["service"], r["region"]), TARGETS.get(str(r["target"]), visible(r["target"])),
         str(r["month"]).replace("/", " to "), _day(r["origin_ts"]),
         *((r[c], _measure(r, units, plan.currency)) for c in ("q10", "q50", "q90", "actual")),
         _kept(r), r["error_frac"])
        for r in found
    ]  # fmt: skip
    columns = (
        _UNIT, Column("Promised"), Column("For"), Column("Data until", "date", only="sheet"), Column("P10", "quantity"),
        Column("P50", "quantity"), Column("P90", "quantity"), Column("It was", "quantity", "not known"),
        Column("Result", "status"), Column("Off P50", "percent1"),
    )  # fmt: skip
    return Table("Promises", columns, rows)


def _kept(row: Row) -> str:
    if _nothing(row["covered"]):
        return "may still change"
    return "inside" if row["covered"] else "outside"


WAITING = "The store keeps each plan's forecasts; what comes is held against them from four weeks on."


def promised(plan: Plan) -> list[tuple[str, pd.DataFrame]]:
    """Promises to draw, by target: largest peaks (those of months where none is known) and months of spend."""
    rows = frame(plan, "promise")
    rows = rows[rows["actual"].notna()]
    found = {target: rows[rows["target"] == target] for target in TARGETS}
    peaks = "horizon_peak" if len(found["horizon_peak"]) else "peak"
    return [(target, found[target]) for target in (peaks, "total") if len(found[target])]


def kept(plan: Plan) -> str:
    """How many of last quarter's promises held, in one sentence; what to wait for where none is stored."""
    rows = frame(plan, "promise")
    judged = rows[rows["covered"].notna()]
    if rows.empty:
        return f"Nothing stored yet to look back on: no plan made about a quarter before {moment(plan.as_of)}."
    if judged.empty:
        return "None of the stored promises can be judged yet: their days may still change."
    inside = int(judged["covered"].astype(bool).sum())
    return f"{inside} of {len(judged)} promises held: what came lay between P10 and P90, where 8 of 10 should."


def anomalies(plan: Plan) -> Table:
    """Days of late that were not to be expected, in the plan's order: the gravest first."""
    units = _measures(plan)
    rows = []
    for r in _records(frame(plan, "anomalies")):
        measure = _measure(r, units, plan.currency)
        times = float(r["value"]) / float(r["q50"]) if not _nothing(r["q50"]) and r["q50"] else None
        expected = f"{quantity(float(r['low']), '')} to {quantity(float(r['high']), measure)}"
        rows.append((_name(r["service"], r["region"]), _odd(r), _day(r["ts"]), (r["value"], measure), expected, times,
                     _rarity(r), r["probability"], r["money"]))  # fmt: skip
    columns = (
        _UNIT, Column("Of", "status"), Column("Day", "date"), Column("It was", "quantity"),
        Column("Expected"), Column("Times P50", "ratio"), Column("Chance", "status"),
        Column("Probability", "per", only="sheet"), Column(f"Above P50, {plan.currency}", "money", "not known"),
    )  # fmt: skip
    return Table("Anomalies", columns, rows)


def _odd(row: Row) -> str:
    return "spend" if row["frame"] == "spend" else f"{visible(row['target'])} demand"


def _rarity(row: Row) -> str:
    """1 in 2,100 days, or that it is rarer than can be told."""
    chance = row["probability"]
    if _nothing(chance) or chance <= 0:
        return "never seen"
    lead = "under " if row.get("at_most") is True else ""
    return f"{lead}1 in {round(1 / chance, -1 if chance < 0.01 else 0):,.0f}"


def judged(plan: Plan) -> str:
    """Of how many days the anomalies are, and how many chance alone would make; in words also where none is."""
    rows = frame(plan, "anomalies")
    if rows.empty:
        return "No day of the last 60 was so far from what was to be expected that chance does not explain it."
    text = f"{len(rows):,} day{'s' if len(rows) != 1 else ''}"
    if {"judged", "by_chance"} <= set(rows.columns):
        first = rows.iloc[0]
        text += f" of {int(first['judged']):,} judged; about {float(first['by_chance']):.1f} would come by chance"
    return f"{text}. Chance: how often such a day comes when all is as ever."


def _measures(plan: Plan) -> dict[tuple[str, str, str], str]:
    """Unit of measure by service, region and metric; of demand also without the metric's name."""
    out: dict[tuple[str, str, str], str] = {}
    for u in plan.units:
        out |= {(u.service, u.region, x.metric): x.unit_of_measure for x in u.limits}
        out |= dict.fromkeys(((u.service, u.region, ""), (u.service, u.region, u.demand_metric)), u.demand_unit)
    return out


def _measure(row: Row, units: Mapping[tuple[str, str, str], str], currency: str) -> str:
    """The unit of a row's amounts: the currency of spend, else the metric's."""
    if row["target"] == "total":
        return currency
    return units.get((row["service"], row["region"], row.get("metric", "")), "")


# --- money ---------------------------------------------------------------------------------------------------


def totals(plan: Plan) -> Table:
    """Every total, for the workbook."""
    columns = ("level", "name", "measure", "unit", "month", "q10", "q50", "q90")
    rows = [tuple(r[c] for c in columns) for r in _records(frame(plan, "totals"))]
    heads = (
        Column("Level"), Column("Name"), Column("Of"), Column("Unit"), Column("Period", "month"),
        Column("P10", "number"), Column("P50", "number"), Column("P90", "number"),
    )  # fmt: skip
    return Table("Totals", heads, rows)


def spend_rows(plan: Plan, level: str, period: str) -> pd.DataFrame:
    """Spend totals of one level and period, the largest first."""
    rows = frame(plan, "totals")
    rows = rows[(rows["measure"] == "spend") & (rows["level"] == level) & (rows["month"] == period)]
    return rows.sort_values("q50", ascending=False, kind="stable")


def periods(plan: Plan) -> list[str]:
    """Periods of the spend totals: quarters, then months; each in time's order."""
    rows = frame(plan, "totals")
    found = {str(m) for m in rows.loc[rows["measure"] == "spend", "month"]}
    return sorted(found, key=lambda m: ("Q" not in m, m))


def next_quarter(plan: Plan) -> str:
    """The first quarter that begins after the plan's day, else the last one there is; empty where there is none."""
    quarters = [p for p in periods(plan) if "Q" in p]
    begins = {q: f"{plan.calendar.months_of(q)[0]}-01" for q in quarters}
    return next((q for q in quarters if begins[q] > f"{plan.as_of:%Y-%m-%d}"), quarters[-1] if quarters else "")


def team_quarters(plan: Plan) -> Table:
    """Company and teams by quarter, P50 with its interval: a table that fits a page."""
    rows = frame(plan, "totals")
    rows = rows[(rows["measure"] == "spend") & rows["level"].isin(["company", "team"])]
    quarters = [p for p in periods(plan) if "Q" in p]
    cells: dict[tuple[str, str], dict[str, str]] = {}
    for r in _records(rows[rows["month"].isin(quarters)]):
        said = f"{r['q50']:,.0f} ({r['q10']:,.0f} to {r['q90']:,.0f})"
        cells.setdefault((str(r["level"]), str(r["name"])), {})[str(r["month"])] = said
    columns = (Column("Level", "status"), Column("Name"), *(Column(f"{q}, {plan.currency}") for q in quarters))
    return Table("Spend by quarter", columns, [(*key, *(by.get(q) for q in quarters)) for key, by in cells.items()])


def spend_models(plan: Plan) -> Table:
    """How each service's spend is forecast, and why so; the dearest first."""
    rows = frame(plan, "spend_forecast")
    if rows.empty or "model" not in rows:
        return Table("Spend models", _MODELS, [])
    rows = rows.assign(month=rows["month"].astype(str))
    first = rows[rows["month"] == _next_whole(rows["month"])].sort_values("q50", ascending=False, kind="stable")
    cells = [
        (visible(r["service"]), r["month"], r["q10"], r["q50"], r["q90"], _driven(r), visible(r["model"]),
         visible(r["reason"]))
        for r in _records(first)
    ]  # fmt: skip
    return Table("Spend models", _MODELS, cells)


_MODELS = (
    Column("Service"), Column("Month", "status"), Column("P10", "money"), Column("P50", "money"),
    Column("P90", "money"), Column("Follows", "status"), Column("Model", "long", only="sheet"), Column("Why", "long"),
)  # fmt: skip


def _next_whole(months: Iterable[str]) -> str:
    """The second month where there are several: the first may have begun, and its forecast be of a few days."""
    found = sorted(set(months))
    return found[min(1, len(found) - 1)]


def _driven(row: Row) -> str:
    """Whether demand drives a service's spend, from its model's name."""
    model = visible(row["model"])
    return "demand" if model.startswith("driver") else "its own past" if model else ""


def apart(plan: Plan) -> Table:
    """Tax, credits, refunds and one-off charges by month: what was billed, and what is assumed and why."""
    rows = [
        (visible(r["month"]), visible(r["part"]).replace("_", " "), float(r["amount"]),
         "billed" if r["known"] else "assumed", visible(r["assumption"]))
        for r in _records(frame(plan, "spend_apart")) if not _nothing(r["amount"])
    ]  # fmt: skip
    columns = (Column("Month", "month"), Column("Part"), Column(f"Amount, {plan.currency}", "money"),
               Column("Known", "status"), Column("Assumption", "long", ""))  # fmt: skip
    return Table("Spend apart", columns, rows)


def apart_parts(plan: Plan) -> Table:
    """:func:`apart` in one row a part: what was billed in all months known, what is assumed for those to come, why."""
    parts: dict[str, list[tuple[Any, ...]]] = {}
    for row in apart(plan).rows:
        parts.setdefault(row[1], []).append(row)
    cells = []
    for name, rows in sorted(parts.items()):
        billed, ahead = ([r for r in rows if r[3] == known] for known in ("billed", "assumed"))
        cells.append((name, sum(r[2] for r in billed), _months(billed), sum(r[2] for r in ahead), _months(ahead),
                      "; ".join(dict.fromkeys(r[4] for r in ahead if r[4]))))  # fmt: skip
    columns = (Column("Part"), Column(f"Billed, {plan.currency}", "money"), Column("In"),
               Column(f"To come, {plan.currency}", "money"), Column("During"),
               Column("Assumption", "long", ""))  # fmt: skip
    return Table("Spend apart by part", columns, cells)


def _months(rows: list[tuple[Any, ...]]) -> str:
    months = sorted({str(r[0]) for r in rows})
    return f"{months[0]} to {months[-1]}" if len(months) > 1 else "".join(months)


def sheets(plan: Plan) -> list[Table]:
    """The tables of this module as the workbook holds them."""
    return [
        words(plan), explanation(plan), occasions(plan), promise(plan), anomalies(plan), totals(plan),
        spend_models(plan), apart(plan),
    ]  # fmt: skip
