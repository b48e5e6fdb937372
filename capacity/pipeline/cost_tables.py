"""The review in a terminal: short tables and sentences of the frames, in the order in which a review asks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal, localcontext
from typing import Any

import pandas as pd

from capacity import costs
from capacity.words import percent

# Sums of decimal128(38, 12) never need more.
_EXACT_DIGITS = 60
NONE = "–"
# The largest of what may be long; the workbook has all.
MOST_ROWS = 8
MOST_SERVICES = 40
_LEVELS = ("company", "team", "journey", "service")
_ALL = "(all)"

Frames = Mapping[str, pd.DataFrame]


@dataclass(frozen=True)
class Table:
    """A table for people; columns from ``first_number`` on are aligned right."""

    title: str
    columns: tuple[str, ...]
    rows: Sequence[tuple[str, ...]]
    first_number: int


def tables(frames: Frames, month: str, bridge_title: str) -> list[Table]:
    """Tables of the month ``month``; those without a row are left out."""
    found = [
        _services(frames, month), _units(frames, month), _bridge(frames, bridge_title), _commitments(frames, month),
        _anomalies(frames), _unallocated(frames), _budgets(frames), _waste(frames), _ahead(frames), _buy(frames),
    ]  # fmt: skip
    return [t for t in found if t is not None and t.rows]


def sentences(frames: Frames, month: str) -> Iterator[str]:
    """What the review says in words: the invoice, discounts, rules without a hit, ends of commitments, notes."""
    for r in _rows(frames, "invoice_ties"):
        if r["month"] == month or not r["ties"]:
            number = f" {r['number']}" if r["number"] else ""
            verdict = "" if r["ties"] else "DOES NOT TIE; "
            yield f"invoice{number} {r['month']}, {r['currency']} {r['invoice_total']:,f}: {verdict}{r['words']}"
    for r in _rows(frames, "private_discounts"):
        if r["month"] == month and r["provider_service"] == _ALL and r["discount"]:
            said = f"{r['currency']} {r['discount']:,.2f} of {r['list_cost']:,.2f} at list prices"
            yield f"private discounts, {month}: {said} ({float(r['discount_frac'] or 0):.2%})"
    taken: dict[str, int] = {}
    for r in _rows(frames, "rule_hits"):
        if r["month"] == month:
            taken[str(r["rule"])] = taken.get(str(r["rule"]), 0) + int(r["rows"])
    named = [name for name, rows in taken.items() if not rows and not name.startswith("(")]
    if named:
        yield f"rules that took nothing in {month}: {', '.join(named)}"
    for r in _rows(frames, "commitment_expiry")[:MOST_ROWS]:
        yield str(r["words"])
    for r in _rows(frames, "review_notes"):
        yield str(r["words"])
    for r in _rows(frames, "spend_backtest"):
        if r["level"] == "company" and r["words"]:
            yield f"spend forecast: {r['words']}"


def _rows(frames: Frames, name: str) -> list[dict[str, Any]]:
    frame = frames.get(name)
    return [] if frame is None else [{str(k): v for k, v in r.items()} for r in frame.to_dict("records")]


def _services(frames: Frames, month: str) -> Table | None:
    frame = frames.get("cost")
    if frame is None:
        return None
    out: list[tuple[str, ...]] = []
    for (currency, service), rows in frame[frame["month"] == month].groupby(["currency", "service"], sort=True):
        with localcontext(prec=_EXACT_DIGITS):
            parts = [sum(rows.loc[rows["kind"] == k, "EffectiveCost"]) for k in ("direct", "shared", "unallocated")]
            total = sum(parts)
        out.append((str(service), str(currency), *(f"{x:,.2f}" for x in (*parts, total))))
    columns = ("service", "currency", "direct", "shared", "unallocated", "total")
    return Table(f"Cost to serve, {month}", columns, out, 2)


def _units(frames: Frames, month: str) -> Table:
    rows = [r for r in _rows(frames, "unit_cost_groups") if r["month"] == month and r["level"] in _LEVELS]
    rows.sort(key=lambda r: (_LEVELS.index(r["level"]), str(r["name"]), str(r["driver"])))
    found = [
        (
            str(r["level"]), str(r["name"]), str(r["unit"]), f"{r['effective_cost']:,.2f}", _count(r["units"]),
            _five(r["per_1000"]), _five(r["marginal_per_1000"]), _share(r["fixed_share_frac"]),
            _signed(r["trend_frac_per_month"]), str(r["flags"] or ""),
        )
        for r in rows[:MOST_SERVICES]
    ]  # fmt: skip
    columns = ("level", "name", "unit", "cost", "units", "per 1,000", "marginal", "fixed", "trend a month", "note")
    return Table(f"Unit cost, {month}", columns, found, 3)


def _bridge(frames: Frames, title: str) -> Table | None:
    frame = frames.get("bridge_services")
    if frame is None:
        return None
    amounts = ("start", *costs.TERMS, "end")
    lines = [
        (str(r["name"] or f"({r['kind']})"), *(f"{r[c]:,.0f}" for c in amounts))
        for r in _rows(frames, "bridge_services")
    ]
    return Table(title, ("service", *(t.replace("_", " ") for t in amounts)), lines, 1)


def _commitments(frames: Frames, month: str) -> Table:
    rows = [
        (
            str(r["product"]), str(r["currency"]), _share(r["coverage_frac"]), _share(r["utilisation_frac"]),
            _share(r["effective_savings_rate_frac"]), _amount(r["committed"]), _amount(r["unused"]),
            _amount(r["saving"]), _amount(r["uncovered"]),
        )
        for r in _rows(frames, "commitment_review")
        if r["month"] == month
    ]  # fmt: skip
    columns = ("product", "currency", "coverage", "utilisation", "effective savings rate", "committed", "unused",
               "saving", "on demand")  # fmt: skip
    return Table(f"Commitments, {month}", columns, rows, 2)


def _anomalies(frames: Frames) -> Table:
    rows = [
        (str(r["service"]), str(r["sku"]), _amount(r["extra"]), str(r["term"]).replace("_", " "), str(r["words"]))
        for r in _rows(frames, "spend_anomalies")[:MOST_ROWS]
    ]
    return Table("Spend anomalies of late", ("service", "SKU", "beyond expected", "term", "in words"), rows, 2)


def _unallocated(frames: Frames) -> Table:
    rows = [
        (
            str(r.get("ServiceName") or NONE), str(r.get("SubAccountId") or NONE), _amount(r["EffectiveCost"]),
            " ".join(str(r["suggested_rule"] or "").split()),
        )
        for r in _rows(frames, "unallocated")[:3]
    ]  # fmt: skip
    months = sorted(set(frames["cost"]["month"])) if "cost" in frames else []
    span = f", {months[0]} to {months[-1]}" if months else ""
    return Table(
        f"Largest unallocated pieces{span}", ("provider's service", "account", "cost", "suggested rule"), rows, 2
    )


# --- of a plan ---------------------------------------------------------------------------------------------


def _budgets(frames: Frames) -> Table:
    rows = [r for r in _rows(frames, "budget_outlook") if r["level"] in ("company", "team") and r["complete"]]
    found = [
        (
            str(r["level"]), str(r["name"]), str(r["period"]), _amount(r["actual"]), _amount(r["q10"]),
            _amount(r["q50"]), _amount(r["q90"]), _amount(r["run_rate"]), _amount(r["budget"]), _share(r["p_over"]),
        )
        for r in rows
        if r["period_kind"] != "month" or not _missing(r["budget"])
    ]  # fmt: skip
    columns = ("level", "name", "period", "so far", "P10", "P50", "P90", "run rate", "budget", "P(over)")
    return Table("Spend against budget", columns, found[:MOST_SERVICES], 3)


def _waste(frames: Frames) -> Table:
    rows = [
        (
            str(r["kind"]).replace("_", " "), str(r["service"]), str(r["what"]), _amount(r["monthly_usd"]),
            _amount(r["in_plan_usd"]), str(r["confidence"]), str(r["taken_by"]),
        )
        for r in _rows(frames, "waste")[:MOST_ROWS]
    ]  # fmt: skip
    columns = ("kind", "service", "what", "a month", "of it in the plan", "confidence", "taken by")
    return Table("Waste", columns, rows, 3)


def _ahead(frames: Frames) -> Table:
    frame = frames.get("unit_cost_forecast")
    last = str(frame["month"].max()) if frame is not None and len(frame) else ""
    rows = [
        (str(r["level"]), str(r["name"]), str(r["unit"]), _five(r["q10"]), _five(r["q50"]), _five(r["q90"]))
        for r in _rows(frames, "unit_cost_forecast")
        if r["month"] == last and r["level"] in _LEVELS
    ]
    return Table(f"Cost of 1,000 under the plan, {last}", ("level", "name", "unit", "P10", "P50", "P90"), rows, 3)


def _buy(frames: Frames) -> Table:
    rows = [
        (
            str(r["product"]), str(r["scope"]), _five(r["ours_hourly"]), _five(r["aws_hourly"]),
            _amount(r["ours_saving"]), _amount(r["aws_saving"]), str(r["reasons"]),
        )
        for r in _rows(frames, "commitment_comparison")[:MOST_ROWS]
    ]  # fmt: skip
    columns = ("product", "scope", "ours an hour", "AWS's an hour", "ours saves a month", "AWS's", "why they differ")
    return Table("Commitments to buy, beside AWS's recommendation", columns, rows, 2)


# --- cells -------------------------------------------------------------------------------------------------


def _missing(value: Any) -> bool:
    return value is None or bool(pd.isna(value))


def _five(value: Any) -> str:
    return NONE if _missing(value) else f"{value:,.5f}"


def _amount(value: Any) -> str:
    return NONE if _missing(value) else f"{value:,.2f}" if isinstance(value, Decimal) else f"{float(value):,.0f}"


def _count(value: Any) -> str:
    return NONE if _missing(value) else f"{float(value):,.0f}"


def _share(value: Any) -> str:
    return NONE if _missing(value) else percent(float(value))


def _signed(value: Any) -> str:
    return NONE if _missing(value) else f"{float(value):+.1%}"
