"""Since the last plan: what it said, what came, and what became of its decisions."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from capacity import decisions
from capacity.cli import main
from capacity.decisions import Decision, Status
from capacity.errors import UsageError
from capacity.plan import FRAMES, CostMonth, Finding, MixLine, Plan, SpendMonth, UnitPlan
from capacity.report import _since_decisions as choices
from capacity.report import _since_money as money
from capacity.report import _since_units as units
from capacity.report import render_html
from capacity.report._page import Page, render
from capacity.report._table import Table
from capacity.report.since import TITLE, Since, since
from tests.factory import HOSTILE, known_plan, write_plan_dir
from tests.factory_known import knowing
from tests.factory_planned import planned
from tests.report.test_workbook import Book

DAYS = 70


def earlier(plan: Plan, days: int = DAYS) -> Plan:
    return replace(plan, as_of=plan.as_of - timedelta(days=days))


def with_frame(plan: Plan, name: str, frame: pd.DataFrame) -> Plan:
    return replace(plan, frames={**plan.frames, name: frame})


def with_unit(plan: Plan, at: int, **changes: Any) -> Plan:
    changed = tuple(replace(u, **changes) if i == at else u for i, u in enumerate(plan.units))
    return replace(plan, units=changed)


def column(table: Table, head: str) -> list[Any]:
    at = [c.head for c in table.columns].index(head)
    return [r[at] for r in table.rows]


@pytest.fixture(scope="module")
def new() -> Plan:
    return planned(known_plan())


@pytest.fixture(scope="module")
def old(new: Plan) -> Plan:
    """The same company ten weeks before, whose demand was said to be a fifth less."""
    forecast = new.frame("forecast")
    quantiles = [c for c in forecast.columns if c.startswith("q")]
    return with_frame(earlier(new), "forecast", forecast.assign(**{q: forecast[q] / 1.25 for q in quantiles}))


# --- what is refused -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"company": "Another"}, "plans of different companies are not compared"),
        ({"currency": "EUR"}, "money in different currencies is not compared"),
        ({"as_of": datetime(2030, 1, 1, tzinfo=UTC)}, "name an earlier plan"),
    ],
)
def test_what_cannot_be_compared_is_refused(old: Plan, new: Plan, change: Mapping[str, Any], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        since(replace(old, **change), new)


# --- demand and dates ------------------------------------------------------------------------------------------


def test_peaks_are_of_the_same_days_in_both_plans(old: Plan, new: Plan) -> None:
    table = units.peaks(old, new)
    assert column(table, "P90 moved") == pytest.approx([0.25] * len(table.rows))
    assert {r[0] for r in units.largest(table).rows} == {r[0] for r in table.rows}
    unit = new.units[0]
    days = new.frame("forecast")
    own = days[(days["service"] == unit.service) & (days["region"] == unit.region) & (days["target"] == "peak")]
    own = own[own["metric"] == unit.demand_metric]
    cut = old.frame("forecast")
    short = with_frame(old, "forecast", cut[pd.to_datetime(cut["ts"]) < pd.Timestamp("2026-12-15", tz="UTC")])
    rows = units.peak_months(short, new)
    mine = rows[(rows["service"] == unit.service) & (rows["region"] == unit.region)].set_index("month")
    assert list(mine.index) == ["2026-10", "2026-11", "2026-12"]
    before = own[
        (own["ts"] >= pd.Timestamp("2026-12-01", tz="UTC")) & (own["ts"] < pd.Timestamp("2026-12-15", tz="UTC"))
    ]
    assert mine.loc["2026-12", "q90_now"] == pytest.approx(before["q90"].max())


def test_a_unit_that_counts_other_things_is_not_compared(old: Plan, new: Plan) -> None:
    other = with_unit(old, 0, demand_unit="By")
    name = units.unit_label(new.units[0].service, new.units[0].region)
    assert name in {r[0] for r in units.peaks(old, new).rows}
    assert name not in {r[0] for r in units.peaks(other, new).rows}
    assert any("1 unit counts demand otherwise" in line for s in since(other, new).sections for line in s.lines)


def test_dates_that_moved_are_told_with_their_days(old: Plan, new: Plan) -> None:
    at, unit = next((i, u) for i, u in enumerate(new.units) if any(x.p10 for x in u.limits))
    limit = next(x for x in unit.limits if x.p10)
    assert limit.p10 is not None
    others = tuple(x for x in unit.limits if x is not limit)

    def moves(**changes: Any) -> list[units.DateMove]:
        return units.date_moves(with_unit(old, at, limits=(replace(limit, **changes), *others)), new)

    assert units.date_moves(old, new) == []
    ((earlier_by),) = moves(p10=limit.p10 + timedelta(days=12), limit=limit.limit * 2)
    assert (earlier_by.earlier, earlier_by.words) == (True, "12 days earlier; the limit is lower now")
    ((later_by),) = moves(p10=limit.p10 - timedelta(days=1))
    assert (later_by.earlier, later_by.words) == (False, "1 day later")
    ((unseen),) = moves(p10=None)
    assert (unseen.earlier, unseen.words) == (True, "the last plan did not see it come")
    ((order),) = moves(order_by=date(2026, 1, 1))
    assert not order.earlier
    assert units.dates([order]).rows[0][8:10] == (date(2026, 1, 1), limit.order_by)
    gone = units.date_moves(old, with_unit(new, at, limits=others))
    assert [m.words for m in gone] == ["a limit that this plan does not know"]


# --- fleet and money -------------------------------------------------------------------------------------------


def test_money_is_of_months_that_both_plans_hold_whole(old: Plan, new: Plan) -> None:
    months = units.whole_months(old, new)
    assert months
    assert not set(months) & units.partial_months(new)
    cut = with_frame(old, "spend_plan", old.frame("spend_plan").assign(total_usd=lambda f: f["total_usd"] * 0.8))
    table = units.fleet(cut, new)
    assert column(table, "Moved") == pytest.approx([0.25] * len(table.rows))
    spent = new.frame("spend_plan")
    assert sum(column(table, "Planned now, USD")) == pytest.approx(
        spent.loc[spent["month"].isin(months), "total_usd"].sum()
    )
    by_month = units.fleet_months(cut, new)
    assert set(column(by_month, "Month")) == set(months)


def test_the_way_of_the_money_starts_and_ends_at_the_plans_totals(old: Plan, new: Plan) -> None:
    total = old.frame("plan_total").assign(amount=lambda f: [a * Decimal("0.5") for a in f["amount"]])
    moved = money.moved(with_frame(old, "plan_total", total), new)
    assert moved is not None
    frame = new.frame("plan_total")
    rows = frame[(frame["part"] == "total") & frame["month"].isin(moved.months)]
    end = sum(rows["amount"], Decimal(0))
    then, now = money.total_change(moved)
    assert (then, now) == (pytest.approx(end / 2), pytest.approx(end))
    assert not set(moved.months) & units.partial_months(new)
    assert "the plan of 27 Jul 2026" in moved.words[0]


def billed(plan: Plan, amounts: Mapping[str, str]) -> Plan:
    rows = [("search", m, plan.currency, "running", Decimal(a), pd.Timestamp(f"{m}-28")) for m, a in amounts.items()]
    rows.append(("search", "2026-08", plan.currency, "tax", Decimal(10**9), pd.Timestamp("2026-08-28")))
    zero = Decimal(0)
    months = tuple(CostMonth(m, plan.currency, zero, zero, zero, zero, zero) for m in amounts)
    return replace(
        with_frame(plan, "spend_actual", pd.DataFrame(rows, columns=list(FRAMES["spend_actual"]))), costs=months
    )


def test_spend_is_held_against_the_bill_where_it_is_closed(old: Plan, new: Plan) -> None:
    said = tuple(SpendMonth(m, "USD", 90.0, 100.0, 110.0, None, None) for m in ("2026-08", "2026-09", "2026-10"))
    ahead = (SpendMonth("2026-10", "USD", 100.0, 120.0, 130.0, Decimal(125), 0.4),)
    table = money.spend(
        replace(old, spend=said), replace(billed(new, {"2026-08": "105", "2026-09": "111"}), spend=ahead)
    )
    assert column(table, "Now, USD") == [105.0, 111.0, 120.0]
    assert column(table, "Which is") == ["billed", "billed", "forecast"]
    assert column(table, "Interval") == ["inside", "outside", ""]
    assert column(table, "Off P50") == pytest.approx([0.05, 0.11, 0.2])
    assert column(table, "Budget now, USD") == [None, None, 125.0]


def test_demand_that_came_is_held_to_its_own_days(old: Plan, new: Plan) -> None:
    unit = new.units[0]
    days = pd.date_range("2026-09-01", periods=20, freq="D", tz="UTC")
    same = {"service": unit.service, "region": unit.region, "metric": unit.demand_metric, "target": "peak", "ts": days}
    said = pd.DataFrame({**same, "q10": 90.0, "q50": 100.0, "q90": 110.0}).reindex(columns=list(FRAMES["forecast"]))
    seen = pd.DataFrame({**same, "value": [105.0] * 15 + [130.0] * 5})
    table = money.came(with_frame(old, "forecast", said), with_frame(new, "history", seen))
    ((row),) = table.rows
    assert row[1:3] == ("2026-09", 20)
    assert row[5] == pytest.approx(111.25 / 100 - 1)
    assert row[-1] == pytest.approx(0.75)
    assert money.days_inside(table) == pytest.approx(0.75)
    short = money.came(with_frame(old, "forecast", said), with_frame(new, "history", seen.head(5)))
    assert money.days_inside(short) is None


def test_promises_are_the_old_plan_s_own() -> None:
    new = knowing(planned(known_plan()))
    assert len(money.stored_promises(earlier(new, 91), new)) > 0
    assert money.stored_promises(earlier(new, 30), new).empty


def test_unit_cost_is_held_to_what_was_said_of_it(old: Plan, new: Plan) -> None:
    rows = new.frame("unit_cost")
    service, last = str(rows["service"].iloc[0]), str(rows["month"].max())
    then = with_frame(old, "unit_cost", rows[rows["month"] < last])
    said = pd.DataFrame([{"level": "service", "name": service, "month": last, "currency": "USD", "q10": 1.0, "q50": 2.0,
                          "q90": 3.0}]).reindex(columns=list(FRAMES["unit_cost_forecast"]))  # fmt: skip
    table = units.unit_cost(with_frame(then, "unit_cost_forecast", said), new)
    row = next(r for r in table.rows if r[0] == service)
    assert row[1] < row[3] == last
    assert row[-3:] == (1.0, 2.0, 3.0)
    assert row[5] == pytest.approx(row[4] / row[2] - 1)


# --- decisions -------------------------------------------------------------------------------------------------


def decision(finding: Finding, status: Status, plan: Plan, days: int = 1) -> Decision:
    return decisions.about(finding, status, "Ada", "agreed", at=plan.as_of + timedelta(days=days), as_of=plan.as_of)


def outcome(plan: Plan, now: Plan, *taken: Decision, later: tuple[Decision, ...] = ()) -> choices.Followed:
    return next(f for f in choices.followed(plan, now, taken, later) if f.decision is not None)


MIX = Finding("act", "mix", "the recommended mix costs $5 (5%) less than the running fleet")


@pytest.mark.parametrize(
    ("runs", "expected", "words"),
    [
        (lambda u: u.recommended[min(u.recommended)], "approved, seen", "what runs is what was recommended"),
        (lambda u: u.running, "approved, not seen", "what runs has not moved to what was recommended"),
    ],
)
def test_an_approved_mix_is_seen_in_what_runs(
    old: Plan, new: Plan, runs: Callable[[UnitPlan], tuple[MixLine, ...]], expected: str, words: str
) -> None:
    moved = replace(new, units=tuple(replace(u, running=runs(u)) if u.recommended else u for u in new.units))
    found = outcome(old, moved, decision(MIX, "approved", old))
    assert (found.outcome, found.words.split(";")[0]) == (expected, words)


def test_a_fleet_that_moved_most_of_the_way_is_seen(old: Plan) -> None:
    unit = next(u for u in old.units if u.recommended)

    def runs(**counts: int) -> UnitPlan:
        return replace(unit, running=tuple(MixLine(t, n, 1.0) for t, n in counts.items()))

    then = replace(runs(a=10), recommended={"2026-10": (MixLine("b", 8, 1.0),)})
    for now, expected in ((runs(a=3, b=6), "approved, seen"), (runs(a=9, b=1), "approved, not seen")):
        assert choices.fleet_moved([(then, now)], "2026-10")[0] == expected
    assert "of the way" in choices.fleet_moved([(then, runs(a=3, b=6))], "2026-10")[1]
    assert choices.fleet_moved([(then, runs(a=12))], "2026-10")[0] == "approved, not seen"
    same = replace(then, running=then.recommended["2026-10"])
    assert choices.fleet_moved([(same, same)], "2026-10")[0] == "approved, not to be seen"


def test_an_approved_limit_is_seen_where_it_is_higher(old: Plan, new: Plan) -> None:
    at, unit = next((i, u) for i, u in enumerate(new.units) if any(x.kind == "hard" for x in u.limits))
    limit = next(x for x in unit.limits if x.kind == "hard")
    finding = Finding("act", "saturation", f"{unit.unit} passes {limit.name} (1) soon", unit.service, unit.region)
    others = tuple(x for x in unit.limits if x is not limit)
    raised = with_unit(new, at, limits=(replace(limit, limit=limit.limit * 1.5), *others))
    assert outcome(old, raised, decision(finding, "approved", old)).words.startswith("the limit is 50% higher")
    assert outcome(old, new, decision(finding, "approved", old)).outcome == "approved, not seen"


def test_instances_that_a_remedy_asks_for_are_counted(old: Plan, new: Plan) -> None:
    at, unit = next((i, u) for i, u in enumerate(old.units) if u.kind == "fleet" and u.limits)
    limit = replace(unit.limits[0], remedy="add 10 × c5.2xlarge (group maximum 30), or move to 20 × c6g.2xlarge")
    finding = Finding("act", "saturation", f"{unit.unit} passes {limit.name} (1) soon", unit.service, unit.region)
    asked = with_unit(old, at, limits=(limit,), running=(MixLine("c5.2xlarge", 30, 1.0),))
    taken = decision(finding, "approved", old)
    more = with_unit(new, at, running=(MixLine("c5.2xlarge", 38, 1.0),))
    assert outcome(asked, more, taken).words.startswith("8 × c5.2xlarge were added, 10 were asked for")
    few = with_unit(new, at, running=(MixLine("c5.2xlarge", 31, 1.0),))
    assert outcome(asked, few, taken).outcome == "approved, not seen"


def test_what_was_not_approved_stays_as_it_is(old: Plan, new: Plan) -> None:
    assert outcome(old, new, decision(MIX, "rejected", old)).outcome == "rejected"
    assert outcome(old, new, decision(MIX, "proposed", old)).outcome == "open"
    again = decision(MIX, "approved", new, days=5)
    words = outcome(old, new, decision(MIX, "proposed", old), later=(again,)).words
    assert words.endswith("decided again since: approved by Ada")
    nobody = choices.followed(old, new, ())
    assert {f.outcome for f in nobody} == {"undecided"}
    assert len(nobody) == len({decisions.subject(f.topic, f.service, f.region, f.text)
                               for f in old.findings if f.severity == "act"})  # fmt: skip
    spend = Finding("act", "spend", "a budget is passed")
    assert outcome(old, new, decision(spend, "approved", old)).outcome == "approved, not to be seen"


# --- page and workbook -----------------------------------------------------------------------------------------


def drawn(found: Since) -> str:
    """The part of the page that is about the last plan; the whole page has many more pictures."""
    nothing = Table("Decisions", (), [])
    page = Page("t", "Capacity plan", "Co", [], [], nothing, "Decisions", "None.", found.sections, "", [],
                [(TITLE, found.sentences)])  # fmt: skip
    return render(page)


def test_the_first_sheet_says_it_in_three_sentences(old: Plan, new: Plan) -> None:
    found = since(old, new, [decision(MIX, "rejected", old)])
    assert len(found.sentences) == 3
    count = len(new.units)
    assert found.sentences[0].startswith(f"Plan of 27 Jul 2026: {count} of {count} P90 peaks moved by 10% or more")
    assert found.sentences[2].startswith("Of 1 decision: 1 rejected")
    html = drawn(found)
    assert html.index("Plan of 27 Jul 2026") < html.index("<nav")
    for key in ("since", "since-demand", "since-money"):
        assert f'<section id="{key}">' in html


def test_plans_of_before_a_frame_are_no_error(new: Plan) -> None:
    bare = replace(earlier(new), frames={})
    found = since(bare, new)
    assert found.sentences
    assert {s.key for s in found.sections} == {"since", "since-demand", "since-money"}
    nothing = replace(bare, units=(), spend=(), findings=(), mix=None)
    empty = replace(known_plan(services=0), company=new.company)
    assert since(nothing, empty).sheets == ()
    assert "Nothing of it stands in both plans." in render_html(empty, (), (), since(nothing, empty))


def test_hostile_words_stay_words(tmp_path: Path) -> None:
    ugly = planned(known_plan(ugly=True), ugly=True)
    taken = [decision(Finding("act", "order", HOSTILE[0], HOSTILE[1], HOSTILE[2]), "approved", earlier(ugly))]
    html = drawn(since(earlier(ugly), ugly, taken))
    assert "<img" not in html
    assert "<script" not in html
    assert "\u202e" not in html


def test_the_command_adds_section_and_sheets(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    new = planned(known_plan(services=1))
    old, folders = earlier(new), [str(tmp_path / name) for name in ("new", "old")]
    for folder, plan in zip(folders, (new, old), strict=True):
        write_plan_dir(Path(folder), plan)
    decisions.record(tmp_path / "old", decision(MIX, "approved", old))

    def run(*words: str) -> int:
        monkeypatch.setattr("sys.argv", ["capacity", "report", *words])
        with pytest.raises(SystemExit) as ended:
            main()
        return int(ended.value.code or 0)

    assert run(folders[0], "--against", folders[1]) == 0
    sheets = Book(tmp_path / "new" / "report.xlsx").sheets
    names = {n.removeprefix("Since last plan, ") for n in sheets if n.startswith("Since last plan, ")}
    assert {"decisions", "peaks", "fleet", "fleet by month", "spend", "unit cost", "why"} <= names
    assert len(sheets["Since last plan, peaks"]) == len(units.peaks(old, new).rows) + 1
    assert "Since the last plan" in (tmp_path / "new" / "report.html").read_text(encoding="utf-8")
    assert run(folders[1], "--against", folders[0]) == 2
    assert "name an earlier plan" in capsys.readouterr().err
