"""What commands print: tables for a planning meeting. Text from data is printed as text, never as markup."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from capacity.pipeline.base import own_error
from capacity.words import day, number, quantity, usd

if TYPE_CHECKING:
    import pandas as pd

    from capacity.domain import SeriesForecast
    from capacity.pipeline import CostReport, Refresh
    from capacity.plan import EventSummary, LimitOutlook, MixLine, Plan, UnitPlan
    from capacity.sources import SourceInfo
    from capacity.store import IngestReport, MoneyCheck, SourceReport

# Wide enough for the tables where the output is a file or a pipe.
PIPE_WIDTH = 120
# Names of instance types in one line.
SHOWN_TYPES = 12
# Columns of the widest table in a pipe.
WIDEST = 1000


def console() -> Console:
    """Standard output, without markup; as wide as the terminal, or PIPE_WIDTH in a pipe."""
    width = None if sys.stdout.isatty() else int(os.environ.get("COLUMNS", PIPE_WIDTH))
    return Console(file=sys.stdout, markup=False, highlight=False, width=width, soft_wrap=False)


def table(
    title: str,
    columns: Sequence[str],
    rows: Iterable[Sequence[object]],
    right: Sequence[int] = (),
    sentence: bool = False,
) -> None:
    """One table; columns whose number is in ``right`` are aligned right. Only a last ``sentence`` column wraps."""
    out = Table(title=Text(title, style="bold"), title_justify="left", box=SIMPLE_HEAD, pad_edge=False)
    for i, name in enumerate(columns):
        wraps = sentence and i == len(columns) - 1
        out.add_column(name, justify="right" if i in right else "left", no_wrap=not wraps, overflow="ellipsis")
    for row in rows:
        out.add_row(*(Text(str(cell)) for cell in row))
    to = console()
    if not sys.stdout.isatty() and not sentence:
        # A pipe has no edge: what reads it gets every cell whole.
        to.width = max(to.width, Measurement.get(to, to.options.update(max_width=WIDEST), out).maximum)
    to.print(out)


def line(text: str = "", style: str | None = None) -> None:
    """One line as it is: a terminal wraps it, a pipe gets it whole, a path or command in it can be copied."""
    console().print(Text(text, style=style or ""), soft_wrap=True)


def percent(value: float | None) -> str:
    return "–" if value is None else f"{value:.0%}"


# --- plan --------------------------------------------------------------------------------------------------


def plan(found: Plan) -> None:
    """A whole plan, in the order of a planning meeting's questions."""
    span = f"{found.horizon_start} to {found.horizon_end}"
    from capacity.cli import _print_fleet

    line(f"{found.company}: capacity plan as of {found.as_of:%Y-%m-%d %H:%M}Z, {span}", "bold")
    decisions(found)
    saturation(found)
    mix(found)
    _print_fleet.fleet(found)
    cost_to_serve(found)
    for event_summary in found.events:
        event(event_summary)


def decisions(found: Plan) -> None:
    line()
    line("What needs a decision", "bold")
    for finding in found.findings:
        mark = {"act": "!", "watch": "?", "info": " "}[finding.severity]
        line(f"  {mark} {finding.text}")


def saturation(found: Plan) -> None:
    rows = sorted(
        ((u, x) for u in found.units for x in u.limits if x.p10 is not None),
        key=lambda pair: (pair[1].p10 or date.max, pair[0].unit),
    )
    line()
    if not rows:
        line("Saturation: no limit is passed within the horizon (P10)", "bold")
        return
    table(
        "Saturation: the day demand first passes a limit, and the last day to order",
        ("service", "limit", "P10", "P50", "P90", "order by"),
        [_limit_row(u, x) for u, x in rows],
    )
    calm = sum(all(x.p10 is None for x in u.limits) for u in found.units)
    line(f"{calm} of {len(found.units)} have no limit within the horizon.")


def _limit_row(unit: UnitPlan, limit: LimitOutlook) -> tuple[object, ...]:
    order = _short(limit.order_by) + (" past!" if limit.overdue else "")
    what = f"{limit.name}: {quantity(limit.limit, limit.unit_of_measure)}"
    return (unit.unit, what, _short(limit.p10), _short(limit.p50), _short(limit.p90), order)


def _short(value: date | None) -> str:
    """A day in a narrow column: 12 Jan 27."""
    return f"{value.day} {value:%b %y}" if value else "–"


def mix(found: Plan) -> None:
    if found.mix is None:
        return
    from capacity.report import planned

    m = found.mix
    rows = [
        (u.unit, usd(u.running_usd), usd(u.recommended_usd), percent(u.headroom_now_frac),
         percent(u.coverage_min_frac), f"{_lines(u.running)} → {_lines(_last(u.recommended))}")
        for u in found.units if u.running or u.recommended
    ]  # fmt: skip
    line()
    table(
        f"Instance mix, {m.months[0]} to {m.months[-1]}: running fleet {usd(m.running_usd)}, "
        f"recommended {usd(m.recommended_usd)}, {'saves' if m.saving_usd >= 0 else 'needs'} {usd(abs(m.saving_usd))}",
        ("service", "running", "recommended", "headroom now", "coverage", "running now → recommended at the end"),
        rows,
        right=(1, 2, 3, 4),
        sentence=True,
    )
    line(f"Prices: {m.rates_of}, on demand; catalogue {found.provenance.catalogue_version}")
    line(
        f"{planned.proof(m)}, by {m.solver}: objective {usd(m.objective)}, bound {usd(m.bound)}; "
        f"pruning the catalogue costs about {m.prune_loss_frac:.2%}; {len(m.checks)} kinds of requirement checked apart"
    )
    for note in m.notes:
        if note.startswith("at most"):
            line(note)


def _lines(lines: Sequence[MixLine]) -> str:
    return " + ".join(f"{x.instances} × {x.instance_type}" for x in lines) or "–"


def _last(recommended: Mapping[str, tuple[MixLine, ...]]) -> tuple[MixLine, ...]:
    return recommended[max(recommended)] if recommended else ()


def cost_to_serve(found: Plan) -> None:
    line()
    if found.costs:
        last = found.costs[-1]
        line(
            f"Cost to serve, {last.month}: bill {last.effective:,.2f} {last.currency} = direct {last.direct:,.2f} "
            f"+ shared {last.shared:,.2f} + unallocated {last.unallocated:,.2f}",
            "bold",
        )
    at = f" ({found.mix.rates_of})" if found.mix else ""
    for tie in found.tie_outs:
        verdict = "ties" if tie.ties else "DOES NOT TIE"
        line(
            f"Tie to the bill, {tie.month}: fleet by the model {tie.modelled:,.2f}{at}, by the bill "
            f"{tie.billed_effective:,.2f} {tie.currency} ({tie.difference_frac:+.2%}, {verdict})"
        )
    frame = found.frame("unit_cost")
    if len(frame):
        month = frame["month"].max()
        rows = frame[frame["month"] == month].sort_values("service")
        table(
            f"Cost per 1,000 requests, {month}",
            ("service", "cost", "requests (millions)", "per 1,000"),
            [
                (r["service"], f"{r['effective_cost']:,.2f} {r['currency']}", f"{float(r['units']) / 1e6:,.1f}",
                 "–" if r["usd_per_1000"] is None else f"{r['usd_per_1000']:.5f}")
                for r in rows.to_dict("records")
            ],
            right=(1, 2, 3),
        )  # fmt: skip
    _spend(found)


def _spend(found: Plan) -> None:
    if not found.spend:
        return
    line()
    line(f"Spend forecast: {found.spend_note}")
    table(
        f"Spend by month, {found.currency}",
        ("month", "P10", "P50", "P90", "budget", "P(over)"),
        [
            (m.month, usd(m.q10), usd(m.q50), usd(m.q90), "–" if m.budget is None else f"${m.budget:,.0f}",
             percent(m.over_budget))
            for m in found.spend
        ],
        right=(1, 2, 3, 4, 5),
    )  # fmt: skip


def scenarios(plans: Sequence[Plan]) -> None:
    """Plans side by side, and a sentence for each that says what differs."""
    from capacity.pipeline import scenario_words
    from capacity.scenario import compare

    if len(plans) < 2:
        return
    rows = compare(plans)
    line()
    table(
        "Scenarios side by side",
        ("scenario", "cost", "against base", "saturating", "first P10", "least headroom", "NO-GO", "violations"),
        [
            (r.scenario, usd(r.recommended_usd), f"{r.delta_frac:+.1%}", r.saturating_units, day(r.first_p10),
             percent(r.min_headroom_frac), r.no_go, r.violations)
            for r in rows
        ],
        right=(1, 2, 3, 5, 6, 7),
    )  # fmt: skip
    for r in rows[1:]:
        line(f"{r.scenario} ({r.description}): {r.sentence}.")
    for other in plans[1:]:
        for text in scenario_words(plans[0], other):
            line(f"  {text}")


def written(out: Path) -> None:
    line()
    line(f"written: {out / 'plan.json'}, {out / 'run.json'}, {out / 'report.html'}, and the frames as Parquet")


def next_step(out: Path) -> None:
    line(f"Open the front end:  capacity app --plans {out}", "bold")


# --- event -------------------------------------------------------------------------------------------------


def event(found: EventSummary) -> None:
    """GO or NO-GO by service; reasons and remedies of those that do not hold below."""
    refused = [v for v in found.verdicts if not v.go]
    verdict = f"NO-GO: {len(refused)} of {len(found.verdicts)} do not hold" if refused else "GO"
    ordered = sorted(found.verdicts, key=lambda v: (v.go, v.probability_holds, v.unit))
    line()
    table(
        f"{found.name}, {found.start:%Y-%m-%d %H:%M}Z to {found.end:%Y-%m-%d %H:%M}Z: {verdict}",
        ("service", "verdict", "demand P50", "demand P95", "safe now", "at maximum", "P(holds)"),
        [
            (v.unit, "GO" if v.go else "NO-GO", number(v.demand_p50), number(v.demand_p95), number(v.safe_now),
             number(v.safe_at_group_maximum), percent(v.probability_holds))
            for v in ordered
        ],
        right=(2, 3, 4, 5, 6),
    )  # fmt: skip
    for v in ordered:
        if not v.go:
            line(f"  {v.unit}: {v.reasons[0]}")
            for r in v.remedies:
                line(f"      by {day(r.by)}: {r.action}")


# --- the rest ----------------------------------------------------------------------------------------------


def cost(found: CostReport) -> None:
    """Cost to serve of one month, and the bridge where there is one."""
    for text in found.sentences:
        line(text)
    for t in found.tables:
        line()
        table(t.title, t.columns, t.rows, tuple(range(t.first_number, len(t.columns))))


def forecasts(known: Mapping[str, SeriesForecast]) -> None:
    table(
        "Forecasts",
        ("series", "model", "past error against naive", "peak P50", "peak P90", "history; why this model"),
        [(key, f.model, _own_score(f), f"{f.peak[3]:,.2f}", f"{f.peak[4]:,.2f}", _said(f)) for key, f in known.items()],
        right=(2, 3, 4),
        sentence=True,
    )


def _said(found: SeriesForecast) -> str:
    """The first thing that the history says, then why the model was chosen."""
    return "; ".join([*found.words[:1], found.reason, *found.flags])


def _own_score(found: SeriesForecast) -> str:
    own = own_error(found)
    return "–" if own is None else f"{own:.2f}"


def backtest(scores: pd.DataFrame) -> None:
    numbers = [c for c in scores.columns if c not in ("series", "origin", "who")]
    means = scores.groupby("who")[numbers].mean().reset_index()
    table(
        "Past origins, mean over series and origins",
        tuple(means.columns),
        [[r["who"], *(f"{r[c]:.3f}" for c in numbers)] for r in means.to_dict("records")],
        right=tuple(range(1, len(numbers) + 1)),
    )


def ingest(report: IngestReport) -> None:
    """What came from each source; for bills the exact sums in the files and in the store, by month and currency."""
    for source in report.sources:
        mark = "FAILED" if source.failures else "ok"
        line(
            f"{source.source} ({source.kind}): {mark}; {source.rows_read:,} rows read, {source.rows_changed:,} changed"
        )
        for text in (*source.notes, *source.failures):
            line(f"    {text}")
        _money_checks(source)
    line(f"store versions: {', '.join(f'{name} {version}' for name, version in report.versions.items())}")


def _money_checks(source: SourceReport) -> None:
    """File against store for the bills of this ingest, in decimal."""
    groups: dict[str, list[MoneyCheck]] = {}
    for check in source.checks:
        groups.setdefault(f"{check.files.period_start:%Y-%m} {check.files.currency}", []).append(check)
    rows = [(month, *_money_row(checks)) for month, checks in sorted(groups.items())]
    if rows:
        head = ("month", "accounts", "rows", "billed in the files", "effective in the files", "store − files")
        table(f"{source.source}: sums to the last decimal", head, rows, right=(1, 2, 3, 4))
        line("    store − files: billed, effective, list, contracted")
    elif source.money:
        months = sorted({f"{m.period_start:%Y-%m}" for m in source.money})
        line(f"    {len(months)} months of bills, {months[0]} to {months[-1]}, stand in the store as in the files")


def _money_row(checks: Sequence[MoneyCheck]) -> tuple[str, ...]:
    lines = [check.lines() for check in checks]
    billed, effective = (sum((one[i][1] for one in lines), Decimal(0)) for i in (0, 1))
    apart = [sum((one[i][3] for one in lines), Decimal(0)) for i in range(len(lines[0]))]
    told = ", ".join("0" if not amount else f"{amount:f}" for amount in apart)
    return f"{len(checks):,}", f"{sum(c.store.rows for c in checks):,}", f"{billed:f}", f"{effective:f}", told


def sources(infos: Sequence[SourceInfo]) -> None:
    for info in infos:
        line(info.kind, "bold")
        line(f"  reads        {info.reads}")
        line(f"  fills        {', '.join(info.frames)}")
        line(f"  permissions  {', '.join(info.permissions) or 'none'}")
        for call in info.calls:
            line(f"  calls        {call}")
        line(f"  price        {info.price}")
        line(f"  limits       {info.limits}")


def catalogue(document: Mapping[str, Any]) -> None:
    """One type or all, and the rates with their dates and sources."""
    if "type" in document:
        for key, value in vars(document["type"]).items():
            if value != "":
                line(f"{key}: {value}")
    else:
        line(f"catalogue {document['version']}: {document['types']:,} instance types")
    table(
        f"Rates in {document['region']}, Linux, USD an hour",
        ("product", "rate" if "type" in document else "types", "as of", "source"),
        [
            (r["product"], r.get("rate", r.get("types")), f"{r['as_of']:%Y-%m-%d}", r["source"])
            for r in document["rates"]
        ],
        right=(1,),
        sentence=True,
    )


def refreshed(made: Refresh) -> None:
    """What a new catalogue changes of the one before it, and how to use it."""
    found = made.changes
    line(f"catalogue {made.version}: {made.types:,} instance types, rates of {made.region}", "bold")
    line(
        f"against {made.previous}: {len(found.types_added):,} types new, {len(found.types_removed):,} gone, "
        f"{len(found.facts_changed):,} described differently"
    )
    for what, names in (("new", found.types_added), ("gone", found.types_removed)):
        if names:
            line(f"    {what}: {', '.join(names[:SHOWN_TYPES])}{', …' if len(names) > SHOWN_TYPES else ''}")
    if not found.same_region:
        line("rates are not compared: the catalogue before is of another region")
    table(
        "Rates",
        ("product", "rates", "new", "gone", "moved"),
        [(p.product, f"{p.rates:,}", f"{p.added:,}", f"{p.removed:,}", f"{p.changed:,}") for p in found.products],
        right=(1, 2, 3, 4),
    )
    if found.largest:
        table(
            "Largest moves, USD an hour",
            ("type", "product", "before", "after", "change"),
            [
                (r.instance_type, r.product, f"{r.before:.6g}", f"{r.after:.6g}", f"{r.change_frac:+.1%}")
                for r in found.largest
            ],
            right=(2, 3, 4),
        )
    for note in made.notes:
        line(f"note: {note}")
    line(f"written: {made.folder / 'catalogue.csv'}, {made.folder / 'catalogue.yaml'}")
    if not made.in_use:
        line(f"To plan with it, set in the config:  catalogue: {made.folder}", "bold")
