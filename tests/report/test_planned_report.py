"""What report and workbook say of commitments, headroom, prices, alternatives, ties and the plan's total."""

from __future__ import annotations

import re
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from capacity.optimize.purchases import TOGETHER
from capacity.plan import FRAMES, MixSummary, Plan
from capacity.report import bought, planned, render_html, write_workbook
from capacity.report._sections import planned_sections
from capacity.report._workbook import tables
from tests.factory import HOSTILE, known_plan
from tests.factory_planned import ALTERNATIVES, NOT_TRIED, OFFERS, REFUSED
from tests.factory_planned import planned as filled
from tests.report.test_workbook import Book

SECTIONS = ("commitments", "headroom-price", "requirements", "alternatives", "plan-total")
SHEETS = {
    "Coverage": "coverage", "Headroom by month": "headroom_months", "Price of headroom": "cost_curve",
    "Purchases": "purchases", "Offers refused": "purchase_refusals",
    "Alternatives": "alternatives", "Alternative mixes": "alternative_mix", "Choice of types": "type_choice",
    "Tie by service": "tie_services", "Load tests": "load_tests",
    "Plan total by service": "plan_total",
}  # fmt: skip


@pytest.fixture(scope="module")
def full() -> Plan:
    return filled(known_plan())


def with_rows(plan: Plan, name: str, rows: list[tuple[object, ...]]) -> Plan:
    return replace(plan, frames={**plan.frames, name: pd.DataFrame(rows, columns=list(FRAMES[name]))})


@pytest.fixture(scope="module")
def html(full: Plan) -> str:
    return render_html(full)


# --- the page ------------------------------------------------------------------------------------------------


def test_the_page_has_a_section_for_each_answer(html: str) -> None:
    for key in SECTIONS:
        assert f'<section id="{key}">' in html
    assert "Headroom by week and by month" in html
    assert 'aria-label="Tie by service"' in html
    assert 'aria-label="Tightest coverage"' in html
    for text in (
        "EC2 Instance Savings Plan, c7g, us-east-1, 1 y, partial upfront",
        *ALTERNATIVES,
        REFUSED[0][1],
        "Not tried: tier critical",
        bought.SAVES.replace("'", "&#39;"),
    ):
        assert text in html


def test_an_older_plan_has_none_of_these_sections(company: Plan, page: str) -> None:
    for key in SECTIONS:
        assert f'<section id="{key}">' not in page
    assert "<h2>Headroom by week</h2>" in page
    assert bought.buying_line(company) == ""


def test_the_first_page_tells_the_purchases_in_one_line(full: Plan, html: str) -> None:
    first = html[: html.index("<nav")]
    assert first.count(bought.buying_line(full)) == 1
    hourly = full.frame("purchases")["hourly_usd"].sum()
    saving = full.frame("purchases")["saving_mean"].sum()
    assert f"for {hourly:,.2f} USD an hour" in first
    assert f"save {saving:,.0f} USD" in first


def test_no_purchase_says_why(full: Plan) -> None:
    lonely = with_rows(with_rows(full, "purchases", []), "alternatives", [])
    found = {s.key: s for s in planned_sections(lonely)}
    assert found["commitments"].lines == [f"{bought.NO_PURCHASE} {bought.NO_OFFER}"]
    assert set(found["commitments"].tables[0].rows) == set(REFUSED)
    assert found["alternatives"].lines == [bought.NO_ALTERNATIVE]


def test_a_scenario_that_asks_for_no_purchase_points_to_the_base(full: Plan) -> None:
    bare = with_rows(with_rows(full, "purchases", []), "purchase_refusals", [])
    assert bought.nothing_to_buy(bare) == bought.NO_PURCHASE
    assert bought.nothing_to_buy(replace(bare, scenario="more")) == bought.OF_THE_BASE
    # One that does ask says what came of it.
    asked = replace(with_rows(full, "purchases", []), scenario="more")
    assert bought.nothing_to_buy(asked).startswith(bought.NO_PURCHASE)


@pytest.mark.parametrize("kind", [{"ugly": True}, {"services": 0}, {"services": 1}], ids=["ugly", "empty", "one"])
def test_whatever_the_words_they_are_words(kind: dict[str, int]) -> None:
    html = render_html(filled(known_plan(**kind), ugly=True))  # type: ignore[arg-type]
    assert "<img" not in html
    assert "<script" not in html
    assert "\u202e" not in html
    assert not re.search(r">(nan|None|NaT|inf)<", html)


# --- the tables ----------------------------------------------------------------------------------------------


def test_purchases_come_by_saving_and_add_up(full: Plan) -> None:
    table = bought.purchases(full)
    frame = full.frame("purchases")
    saves = [r[[c.head for c in table.columns].index("Saves, USD")] for r in table.rows]
    assert saves == sorted(frame["saving_mean"], reverse=True)
    assert len(table.rows) == len(OFFERS)
    assert table.total is not None
    heads = [c.head for c in table.columns]
    for head, column in (
        ("An hour, USD", "hourly_usd"),
        ("Upfront, USD", "upfront_usd"),
        ("Saves, USD", "saving_mean"),
    ):
        assert table.total[heads.index(head)] == pytest.approx(frame[column].sum())
    assert {r[heads.index("Break-even")] for r in table.rows} == {"2027-06", None}


def test_purchases_say_what_they_cover_and_from_when_usage_may_end(full: Plan) -> None:
    frame = full.frame("purchases")
    heads = ("Covered without", "Covered with", "No loss if usage ends from")

    def said(found: pd.DataFrame) -> set[tuple[object, ...]]:
        table = bought.purchases(replace(full, frames={**full.frames, "purchases": found}))
        places = [[c.head for c in table.columns].index(h) for h in heads]
        return {tuple(r[i] for i in places) for r in table.rows}

    assert said(frame) == {(0.2, 0.55, "2027-08"), (0.2, 0.55, None)}
    before = frame.drop(columns=["coverage_before_frac", "coverage_after_frac", "safe_after"])
    assert said(before) == {(None, None, "not known")}, "a plan made before these were kept"


def test_a_month_later_costs_or_saves(full: Plan) -> None:
    frame = full.frame("purchases").assign(
        waiting_usd_per_month=[-4158.2, 1968.8, 0.0, np.nan], saving_mean=[4, 3, 2, 1]
    )
    found = bought.purchases(replace(full, frames={**full.frames, "purchases": frame})).for_reader("page")
    later = [c.head for c in found.columns].index("A month later")
    assert [r[later] for r in found.rows] == ["waiting saves 4,158", "costs 1,969", "costs 0", None]


def test_purchases_say_their_region(full: Plan) -> None:
    first = full.frame("purchases").head(1)
    frame = pd.concat([first, first]).assign(region=["us-east-1", "us-west-2"])
    names = [r[0] for r in bought.purchases(replace(full, frames={**full.frames, "purchases": frame})).rows]
    assert len(set(names)) == 2
    assert all(any(region in n for n in names) for region in ("us-east-1", "us-west-2"))


def test_a_break_even_in_months_is_said_in_words(full: Plan) -> None:
    frame = full.frame("purchases").assign(break_even=[7, 8.0, np.nan, None])
    found = bought.purchases(replace(full, frames={**full.frames, "purchases": frame}))
    heads = [c.head for c in found.columns]
    assert {r[heads.index("Break-even")] for r in found.rows} == {"7 months", "8 months", None}


def test_the_price_of_headroom_says_that_its_types_are_the_plan_s(full: Plan) -> None:
    assert full.mix is not None
    said = bought.curve_said(replace(full, mix=replace(full.mix, gap_frac=0.0274)))
    assert "if the same share of futures must fit for every service" in said
    assert "with the types of this plan; other types might cost up to 2.7% less" in said
    free = full.frame("cost_curve").assign(status="optimal")
    assert "types" not in bought.curve_said(replace(full, frames={**full.frames, "cost_curve": free}))


def test_the_price_of_headroom_is_against_p50(full: Plan) -> None:
    rows = {r[0]: r for r in bought.cost_curve(full).rows}
    assert rows["P50"][5] == 0.0
    assert rows["P95"][5] == pytest.approx(1 / 0.91 - 1)
    money, share = bought.headroom_cost(full) or (0.0, 0.0)
    assert money == pytest.approx(rows["P95"][2] - rows["P50"][2])
    assert share == pytest.approx(rows["P95"][5])
    assert bought.headroom_cost(known_plan()) is None


def test_a_level_without_a_plan_is_said(full: Plan) -> None:
    found = bought.cost_curve(with_rows(full, "cost_curve", [(0.5, 10.0, 9.0, ""), (0.99, np.nan, np.nan, "")]))
    assert found.words(found.rows[1])[2] == "no plan"


def test_requirements_come_dearest_first_and_the_impossible_last(full: Plan) -> None:
    rows = bought.requirement_prices(full).rows
    size = [max(abs(r[3]), abs(r[4])) for r in rows if r[3] is not None]
    assert size == sorted(size, reverse=True)
    assert len(size) == len(rows) - 1
    assert rows[-1][3:5] == (None, None)
    assert bought.requirement_prices(full).words(rows[-1])[3] == "no plan exists"
    assert len(rows) == len(full.frame("requirement_prices")) - 1
    assert bought.not_priced(full) == f"N{NOT_TRIED[1:]}."
    assert bought.not_priced(known_plan()) == ""
    assert ("", "quota L-1216C47A of us-east-1") in {(r[0], r[1]) for r in rows}


def test_this_plan_stands_beside_its_alternatives(full: Plan) -> None:
    shapes = bought.shapes(full)
    month = full.frame("alternative_mix")["month"].iloc[0]
    own = full.frame("mix")
    assert list(dict.fromkeys(shapes["name"])) == [bought.THIS_PLAN, *ALTERNATIVES]
    counted = shapes[shapes["name"] == bought.THIS_PLAN]["instances"].sum()
    assert counted == own[own["month"] == month]["instances"].sum()


def test_alternatives_are_of_one_month_as_this_plan_is(full: Plan) -> None:
    theirs = full.frame("alternative_mix")
    month, other = theirs["month"].iloc[0], full.frame("mix")["month"].min()
    assert month != other
    more = pd.concat([theirs, theirs.assign(month=other), theirs.head(1).assign(name="plan")], ignore_index=True)
    shapes = bought.shapes(replace(full, frames={**full.frames, "alternative_mix": more}))
    assert shapes.equals(bought.shapes(full))


def test_what_does_not_survive_a_zone_s_loss_is_counted(full: Plan) -> None:
    frame = full.frame("headroom_months")
    months = frame[frame["month"] != "now"]
    table = planned.headroom_units(full)
    heads = [c.head for c in table.columns]
    for head, column in (("What runs does not hold", "holds_running"),
                         ("What runs does not survive zone loss", "survives_running")):  # fmt: skip
        counted = sum(r[heads.index(head)] or 0 for r in table.rows)
        assert counted == sum(v is not None and not pd.isna(v) and not v for v in months[column]) > 0
    old = frame.drop(columns=["holds_running", "survives_running", "survives_planned"])
    rows = planned.headroom_months(replace(full, frames={**full.frames, "headroom_months": old})).rows
    assert {r[9:] for r in rows} == {(None, None, None)}


def test_a_month_of_which_the_plan_holds_a_part_is_marked(full: Plan) -> None:
    months = sorted(full.frame("plan_total")["month"].unique())
    days = {m: pd.Period(m, "M").days_in_month for m in months}
    rows: list[tuple[object, ...]] = [("s", r, m, b, 6.0 * days[m] * 2 - (24 * (m == months[0])), 1.0, 1.0)
            for m in months for r in ("a", "b") for b in ("b1", "b2")]  # fmt: skip
    plan = with_rows(full, "blocks", rows)
    assert planned.partial_months(plan) == {months[0]}
    heads = [c.head for c in planned.plan_total(plan).columns]
    assert [h.endswith("(part)") for h in heads[1:-1]] == [True, *[False] * (len(months) - 1)]
    assert planned.partial_months(replace(full, frames={})) == set()


@pytest.mark.parametrize(
    ("status", "gap", "said"),
    [
        ("feasible", 0.0274, "verified plan; at most 2.7% above the best possible"),
        ("optimal", 0.0004, "verified plan; at most 0.04% above the best possible"),
        ("optimal", -1e-12, "verified plan; proven the best possible"),
        ("infeasible", 0.0, "no plan meets all requirements"),
    ],
)
def test_one_phrase_says_how_far_a_plan_is_proven(full: Plan, status: str, gap: float, said: str) -> None:
    mix: MixSummary | None = full.mix
    assert mix is not None
    assert planned.proof(replace(mix, status=status, gap_frac=gap)) == said


def test_a_mix_chosen_with_its_purchases_is_not_held_against_the_best_on_demand_alone(full: Plan) -> None:
    assert full.mix is not None
    mix = replace(full.mix, status="feasible", gap_frac=0.2, termination=f"time limit reached; {TOGETHER}")
    said = "verified plan; chosen for its cost with purchases: on demand at most 20.0% above the best possible"
    assert planned.proof(mix) == said


def test_the_least_headroom_of_each_unit_and_the_months_that_do_not_hold(full: Plan) -> None:
    frame = full.frame("headroom_months")
    months = frame[frame["month"] != "now"]
    rows = planned.headroom_units(full).rows
    assert len(rows) == len(frame[["service", "region"]].drop_duplicates())
    assert sum(r[5] or 0 for r in rows) == int((~months["holds"].astype(bool)).sum()) > 0
    held = int(months["holds"].astype(bool).sum())
    assert planned.headroom_line(full).startswith(f"As planned {held} of {len(months)} months")
    assert planned.headroom_line(known_plan()) == planned.NO_HEADROOM


def test_coverage_puts_the_tightest_first(full: Plan) -> None:
    margins = [min(x for x in r[2:5] if x is not None) - r[5] for r in planned.coverage(full).rows]
    assert margins == sorted(margins)
    assert len(planned.coverage_units(full).rows) == len({r[0] for r in planned.coverage(full).rows})


def test_the_share_that_binds_is_named_and_sorts(full: Plan) -> None:
    rows: list[tuple[object, ...]] = [
        ("a", "r", "2026-10", 0.96, 0.95, 0.9, 0.0, 0.955, None),
        ("b", "r", "2026-10", 0.99, 0.95, 0.9, 0.0, 0.97, 0.94),
        ("c", "r", "2026-10", 0.952, 0.95, 0.9, 0.0, 0.98, 0.97),
    ]
    found = planned.coverage(with_rows(full, "coverage", rows)).rows
    assert [(r[0][0], r[6]) for r in found] == [
        ("b", "with a zone lost"), ("c", "as planned"), ("a", "with the headroom kept"),
    ]  # fmt: skip
    assert [planned.short_of(r) for r in found] == [True, False, False]
    assert planned.coverage_said(found[0]) == "94.0% with a zone lost against 95.0% promised, in 2026-10"


def test_an_older_plan_s_coverage_has_no_further_columns() -> None:
    plan = known_plan()
    old = plan.frame("coverage").drop(
        columns=["one_fewer_frac", "hours_above_frac", "zone_loss_coverage_frac"], errors="ignore"
    )
    rows = planned.coverage(replace(plan, frames={**plan.frames, "coverage": old})).rows
    assert rows
    assert {r[4] for r in rows} == {r[7] for r in rows} == {None}


def test_types_put_the_chosen_first_then_what_costs_least_more(full: Plan) -> None:
    unit = full.units[0]
    rows = planned.type_choice(full, unit).rows
    assert [r[2] for r in rows] == ["chosen", "", "", ""]
    assert [r[4] for r in rows] == [0.0, 0.08, 0.21, None]
    assert planned.type_choice(full, unit).words(rows[-1])[4] == "not possible"


def test_services_that_do_not_tie_come_first(full: Plan) -> None:
    rows = planned.tie_services(full).rows
    results = [r[6] for r in rows]
    assert results == sorted(results, key=["does not tie", "ties", "not compared"].index)
    off = [abs(r[5]) for r in rows if r[6] == "does not tie"]
    assert off == sorted(off, reverse=True)
    assert rows[-1][0] == "(shared and unallocated)"


def test_the_plan_s_total_is_the_sum_of_its_parts_to_the_cent(full: Plan) -> None:
    table = planned.plan_total(full)
    assert table.total is not None
    frame = full.frame("plan_total")
    own = dict(frame[frame["part"] == "total"][["month", "amount"]].itertuples(index=False, name=None))
    assert table.total[1:-1] == tuple(own[m] for m in sorted(own))
    assert table.total[-1] == sum(own.values(), Decimal(0))
    assert "total" not in [r[0] for r in table.rows]
    assert planned.adds_up(full)
    wrong = frame.assign(amount=[a + Decimal("0.01") if p == "tax" else a
                                 for p, a in zip(frame["part"], frame["amount"], strict=True)])  # fmt: skip
    assert not planned.adds_up(replace(full, frames={**full.frames, "plan_total": wrong}))


def test_a_load_test_s_flags_may_be_several(full: Plan) -> None:
    frame = full.frame("load_tests").head(1).assign(flags=[["one", HOSTILE[3]]], knee=np.inf)
    row = planned.load_tests(replace(full, frames={**full.frames, "load_tests": frame})).rows[0]
    assert row[-1] == f"one; {HOSTILE[3]}"
    assert row[5] is None


# --- the workbook --------------------------------------------------------------------------------------------


def test_every_frame_is_a_sheet_whole(full: Plan) -> None:
    found = {t.name: t for t in tables(full, ())}
    for sheet, frame in SHEETS.items():
        assert len(found[sheet].rows) == len(full.frames[frame]), sheet
    assert len(found["Requirement prices"].rows) == len(full.frames["requirement_prices"]) - 1
    parts = full.frame("plan_total")
    assert len(found["Plan total"].rows) == parts[parts["part"] != "total"]["part"].nunique()
    assert len(found["Fleet spend by month"].rows) == len(full.frame("spend_plan"))
    assert len({t.name[:31].lower() for t in tables(full, ())}) == len(tables(full, ()))


def test_the_workbook_s_numbers_are_numbers(full: Plan, tmp_path: Path) -> None:
    write_workbook(full, tmp_path / "b.xlsx")
    book = Book(tmp_path / "b.xlsx")
    head, *rows = book.sheets["Purchases"]
    hourly = head.index("An hour, USD")
    assert sum(float(str(r[hourly])) for r in rows[:-1]) == pytest.approx(float(str(rows[-1][hourly])))
    curve = book.sheets["Price of headroom"][1:]
    assert [r[1] for r in curve] == [0.5, 0.9, 0.95, 0.99]
    total = book.sheets["Plan total"][-1]
    assert sum(float(str(x)) for x in total[1:-1]) == pytest.approx(float(str(total[-1])))
    assert {r[4] for r in book.sheets["Mix by month"][1:]} == {"on demand"}


def test_hostile_words_make_no_formula(tmp_path: Path) -> None:
    write_workbook(filled(known_plan(ugly=True), ugly=True), tmp_path / "b.xlsx")
    for name, content in Book(tmp_path / "b.xlsx").files.items():
        assert not re.search(b"<f[ >]|<hyperlink|TargetMode", content), name
