"""A plan as one HTML file that asks no host for anything."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice

from capacity import scenario
from capacity.charts import visible
from capacity.decisions import Decision
from capacity.pipeline import scenario_words
from capacity.plan import Plan
from capacity.report import _pictures, _summary, _tables, bought, came, decided, known, planned
from capacity.report._first_sheet import Sheet, fitting, items, least
from capacity.report._page import Page, render
from capacity.report._sections import Section, planned_sections
from capacity.report._table import NEVER, Column, Table, exact, moment, percent, sentence
from capacity.report.since import TITLE, Since
from capacity.words import day, plural

# Rows of a table on paper; the workbook has all of them.
MOST_ROWS = 40
# Of rows that hold sentences: some lines each.
MOST_WORDY = 8
# A fan is a third of a page; those that pass a limit first come first.
MOST_FANS = 4
# The gravest; what merely happened stands in the workbook.
MOST_QUALITY_ROWS = 8
MOST_DECISIONS = 12
# The first sheet of A4 holds so many beside the decisions and caveats; the workbook has all.
MOST_WATCHED = 4
MOST_LINES = 4
# A decomposition is a third of a page.
MOST_EXPLAINED = 2
MOST_OCCASIONS = 12
MOST_ANOMALIES = 10
# The broken ones come first, and the picture has the furthest off.
MOST_PROMISES = 10
# The worst first; the workbook has all.
MOST_TIES = 5
MOST_COVERED = 4


def render_html(
    plan: Plan, comparison: Sequence[Plan] = (), taken: Sequence[Decision] = (), before: Since | None = None
) -> str:
    """The report as one HTML document; the same plan gives the same bytes.

    Parameters
    ----------
    plan
        With its frames.
    comparison
        Other scenarios of the same base, to be held against ``plan``.
    taken
        Decisions about it.
    before
        What became of the plan before.
    """
    # Where buying is among the decisions already, it is not said twice.
    decided_on = any(f.severity == "act" and f.text.startswith("buy ") for f in plan.findings)
    buying, made = "" if decided_on else bought.buying_line(plan), plan.provenance
    sheet = Sheet(_summary.cards(plan), [buying] if buying else [])
    first = _decisions(plan, sheet, before)
    page = Page(
        title=f"Capacity plan: {visible(plan.company)}, {day(plan.as_of.date())}",
        kind="Capacity plan",
        name=visible(plan.company),
        facts=_facts(plan),
        cards=sheet.cards,
        first=first,
        first_title="Decisions",
        first_none="Nothing in this plan needs a decision.",
        lines=sheet.lines,
        lists=_lists(plan, sheet.room(first), before),
        sections=[*(before.sections if before else ()), *decided.sections(taken), *sections(plan, comparison)],
        footer=f"capacity {made.package_version} · config {made.config_digest} · seed {made.seed} · "
        "times are UTC, days are each service's own",
    )
    return render(page)


def _decisions(plan: Plan, sheet: Sheet, before: Since | None) -> Table:
    """As many as leave room for what a director has to read beside them."""
    shorter = [_tables.decisions(plan, most).first(MOST_ROWS) for most in range(MOST_DECISIONS, 0, -1)]
    caveats, watch = list(_summary.caveats(plan)), _summary.watch(plan, len(plan.findings))
    if before is not None and before.sentences:
        return sheet.fewest(shorter, max(items(before.sentences), least([*caveats, *watch[:1]])))
    return sheet.fewest(shorter, max(least(caveats, not watch), least(watch)))


def _lists(plan: Plan, room: int, before: Since | None) -> list[tuple[str, Sequence[str]]]:
    """Side by side; what is said of the last plan takes the place of what is to watch, which then is counted only."""
    caveats, found = list(_summary.caveats(plan)), _summary.watch(plan, len(plan.findings))
    if before is not None and before.sentences:
        more = [f"{plural(len(found), 'finding')} to watch in report.xlsx, sheet Findings."] if found else []
        return [(TITLE, before.sentences), ("Read with care", [*fitting(caveats, room - items(more), "Plan"), *more])]
    watch = _summary.watch(plan, MOST_WATCHED)
    watch = watch if items(watch) <= room else fitting(found, room, "Findings")
    return [*([("To watch", watch)] if watch else []), ("Read with care", fitting(caveats, room, "Plan", not watch))]


def _facts(plan: Plan) -> list[tuple[str, str]]:
    description = f" ({visible(plan.description)})" if plan.description else ""
    horizon = f"{day(plan.horizon_start)} to {day(plan.horizon_end)}"
    rates = f"; {plan.mix.rates_of}" if plan.mix else ""
    return [
        ("As of", moment(plan.as_of)),
        ("Scenario", f"{visible(plan.scenario)}{description}"),
        ("Horizon", horizon),
        ("Money", f"{plan.currency}, what is paid: on demand at the private discount, commitments applied{rates}"),
    ]


_FANS = "Demand of the units that pass a limit"


def sections(plan: Plan, comparison: Sequence[Plan]) -> list[Section]:
    """All that follows the first page, in the order in which a meeting asks."""
    found = [
        _saturation(plan),
        _headroom(plan),
        Section("forecasts", _FANS, pictures=list(islice(_pictures.fans(plan), MOST_FANS))),
        _why(plan),
        _mix(plan),
        *planned_sections(plan),
        _events(plan),
        came.section(plan),
        _scenarios(plan, comparison),
        _cost(plan),
        _unit_cost(plan),
        _spend(plan),
        _promises(plan),
        _anomalies(plan),
        _trust(plan),
    ]
    return [s for s in found if s.tables or s.pictures or s.lines]


def _saturation(plan: Plan) -> Section:
    table = _tables.saturation(plan)
    if not table.rows:
        return Section("saturation", "When limits are passed", lines=["No limit of any unit is known."])
    near = [r for r in table.rows if r[4] is not None or r[8]]
    left = len(table.rows) - len(near)
    if near and left:
        note = f"{left:,} further limit{'s are' if left > 1 else ' is'} not passed with a chance of 1 in 10."
        table = Table(table.name, table.columns, near, note=note)
    return Section(
        "saturation",
        "When limits are passed",
        "A P10 date is the first day by which the limit is passed with a probability of 10%. "
        "Order by is the P10 date less the remedy's lead time.",
        [table.first(MOST_ROWS)],
        [_pictures.saturation(plan)],
    )


def _headroom(plan: Plan) -> Section:
    """By week of what runs, and by month beside what is planned."""
    months = not plan.frame("headroom_months").empty
    pictures = [_pictures.headroom_months(plan)] if months else []
    if not plan.frame("headroom").empty:
        pictures.insert(0, _pictures.headroom(plan))
    if not pictures:
        return Section("headroom", "Headroom by week", lines=["No unit has a safe capacity to hold demand against."])
    title = "Headroom by week and by month" if months else "Headroom by week"
    return Section("headroom", title, planned.headroom_line(plan) if months else "", pictures=pictures)


def _why(plan: Plan) -> Section:
    """Parts of the demand of the units that pass a limit, what their history says, and what moved it for a while."""
    units = known.told(plan, MOST_EXPLAINED)
    said = known.words(plan, units).first(MOST_ROWS)
    tables = [said, known.occasions(plan).first(MOST_OCCASIONS)]
    lead = (
        "Demand as a product: a trend, times the day of the week, times the time of the year, times events. "
        "It is Prophet's decomposition of the daily mean, beside the forecast that is used."
    )
    return Section(
        "why", "Why demand looks so", lead, [t for t in tables if t.rows], _pictures.decompositions(plan, units)
    )


def _mix(plan: Plan) -> Section:
    if plan.mix is None:
        return Section("mix", "Instance mix", lines=["No unit runs instances whose cost of demand is known."])
    lead = (
        "Coverage is the share of simulated futures with no hour above what the plan serves, least month; "
        "it is held against the tier's promise. "
        f'Money is at {plan.mix.rates_of}. Each month\'s mix is in report.xlsx, sheet "Mix by month".'
    )
    return Section("mix", "Instance mix", lead, [_tables.mix(plan).first(MOST_ROWS)], [_pictures.mix(plan)])


def _events(plan: Plan) -> Section:
    tables = [_tables.verdict_table(visible(e.name), plan, list(e.verdicts)).first(MOST_WORDY) for e in plan.events]
    lead = (
        "NO-GO: the event's P95 demand is beyond what is safe with the tier's zones lost at the group's maximum and "
        "within the quota, runs ahead of scaling out, or passes a hard or a third party's limit."
    )
    return Section("events", "Peak events", lead, tables, _pictures.events(plan))


def _scenarios(plan: Plan, comparison: Sequence[Plan]) -> Section:
    if not comparison:
        return Section("scenarios", "Scenarios")
    plans = [plan, *comparison]
    lines = [text for other in comparison for text in scenario_words(plan, other)]
    pictures = [_pictures.scenarios(plans), *_pictures.scenario_bridges(plan, comparison)]
    return Section("scenarios", "Scenarios", "", [scenario_table(plans)], pictures, lines)


def scenario_table(plans: Sequence[Plan]) -> Table:
    """One row a scenario, each held against the first."""
    rows = [
        (r.scenario, r.recommended_usd, r.delta_usd, r.saturating_units, r.first_p10, r.min_headroom_frac, r.no_go,
         r.violations, r.sentence)
        for r in scenario.compare(plans)
    ]  # fmt: skip
    columns = (
        Column("Scenario"), Column(f"Recommended, {plans[0].currency}", "money"), Column("Against the first", "money"),
        Column("Units with a P50 date", "number"), Column("First P10 date", "date", NEVER),
        Column("Least headroom", "percent"), Column("NO-GO", "number"), Column("Violations", "number"),
        Column("In words", "long"),
    )  # fmt: skip
    return Table("Scenarios", columns, rows)


def _cost(plan: Plan) -> Section:
    if not plan.costs:
        return Section("cost", "Cost to serve", lines=["No bill of a closed month is known."])
    tables = [_tables.cost_months(plan), *_tables.cost_services(plan, MOST_ROWS), _tables.unallocated(plan).first(12)]
    lead = "Every row of the bill is direct, shared or unallocated; the three add up to the bill to the last digit."
    return Section(
        "cost", "Cost to serve", lead, [t for t in tables if t.rows], [_pictures.cost(plan)], bill_equations(plan)
    )


def bill_equations(plan: Plan) -> list[str]:
    """The newest closed month of each currency as an equation, to the last digit."""
    newest = {c.currency: c for c in plan.costs}
    return [
        f"{c.month}: direct {exact(c.direct)} + shared {exact(c.shared)} + unallocated {exact(c.unallocated)} "
        f"= {exact(c.effective)} {visible(c.currency)}, the bill."
        for c in newest.values()
    ]


def _unit_cost(plan: Plan) -> Section:
    table = _tables.unit_cost(plan)
    if not table.rows:
        return Section("unit-cost", "Unit cost")
    lead = (
        "Allocated effective cost of 1,000 units of the service's own demand (requests, unless it counts other things)."
    )
    return Section("unit-cost", "Unit cost", lead, [table.first(MOST_ROWS)], [_pictures.unit_cost(plan)])


def _spend(plan: Plan) -> Section:
    tables = [t for t in (known.team_quarters(plan).first(MOST_ROWS), known.spend_models(plan).first(MOST_WORDY),
                          known.apart_parts(plan)) if t.rows]  # fmt: skip
    pictures = _pictures.totals(plan)
    if plan.spend:
        tables, pictures = [_tables.spend(plan), *tables], [_pictures.spend(plan), *pictures]
        return Section("spend", "Spend forecast", sentence(plan.spend_note), tables, pictures)
    lines = [sentence(plan.spend_note)] if plan.spend_note else []
    return Section("spend", "Spend forecast", "", tables, pictures, lines)


def _promises(plan: Plan) -> Section:
    table = known.promise(plan)
    return Section(
        "promises", "Last quarter's promise", known.kept(plan), [table.first(MOST_PROMISES)] if table.rows else [],
        _pictures.promises(plan), [] if table.rows else [known.WAITING],
    )  # fmt: skip


def _anomalies(plan: Plan) -> Section:
    table = known.anomalies(plan)
    if not table.rows:
        return Section("anomalies", "What was odd of late", lines=[known.judged(plan)])
    return Section("anomalies", "What was odd of late", known.judged(plan), [table.first(MOST_ANOMALIES)])


def _trust(plan: Plan) -> Section:
    tables = [
        _tables.forecasts(plan).first(MOST_WORDY), _tables.tie_outs(plan),
        planned.tie_services(plan).first(MOST_TIES), planned.coverage_units(plan).first(MOST_COVERED),
        _tables.freshness(plan),
        _tables.quality(plan).first(MOST_QUALITY_ROWS),
    ]  # fmt: skip
    lead = (
        "Error over naive is the forecast's mean absolute error at past origins over a seasonal naive forecast's: "
        "below 1 is better."
    )
    lines = solver_lines(plan)
    if len(lines) > MOST_LINES:
        lines = [*lines[:MOST_LINES], f"{len(lines) - MOST_LINES} more remarks in report.xlsx, sheet Plan."]
    return Section(
        "trust", "How far to trust this", lead, [t for t in (*tables, _tables.provenance(plan)) if t.rows], (), lines
    )


def solver_lines(plan: Plan) -> list[str]:
    """How the mix was found and how far it is proven, in sentences."""
    m = plan.mix
    if m is None:
        return []
    pruned = percent(m.prune_loss_frac, 2)
    ended = "" if m.termination in ("", m.status, "optimal") else f" ({visible(m.termination)})"
    out = [
        f"Mix: {planned.proof(m)}{ended}, by {visible(m.solver)}; objective {m.objective:,.2f}, "
        f"proven bound {m.bound:,.2f}; leaving types out costs about {pruned}."
    ]
    if m.checks:
        out.append(f"Verified by an independent checker: {'; '.join(map(visible, m.checks))}.")
    if m.binding:
        shown = "; ".join(map(visible, m.binding[:8]))
        out.append(f"Binding: {shown}{f' and {len(m.binding) - 8} more' if len(m.binding) > 8 else ''}.")
    return out + [f"{visible(note)}." for note in m.notes]
