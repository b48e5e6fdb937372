"""What the report and the workbook say of a plan's own forecasts, and what they say where nothing is known."""

from __future__ import annotations

from dataclasses import replace

import pandas as pd
import pytest

from capacity.plan import Plan
from capacity.report import known, render_html
from capacity.report._workbook import tables
from tests.factory import HOSTILE, known_plan
from tests.factory_known import WORDS, knowing


@pytest.fixture(scope="module")
def knows() -> Plan:
    return knowing(known_plan())


def test_the_page_has_a_section_for_each_question(knows: Plan) -> None:
    html = render_html(knows)
    for key in ("why", "promises", "anomalies", "spend"):
        assert f'<section id="{key}">' in html
    assert WORDS[1] in html
    assert "black-friday" in html
    assert "under demand" not in html


def test_an_older_plan_says_in_words_what_it_does_not_know(company: Plan) -> None:
    html = render_html(company)
    assert '<section id="why">' not in html
    assert "Nothing stored yet to look back on: no plan made about a quarter before 5 Oct 2026 06:00 UTC." in html
    assert "No day of the last 60 was so far from what was to be expected" in html


def test_promises_are_counted_and_the_broken_come_first(knows: Plan) -> None:
    judged = knows.frame("promise").dropna(subset=["covered"])
    inside = int(judged["covered"].astype(bool).sum())
    assert known.kept(knows).startswith(f"{inside} of {len(judged)} promises held")
    results = [row[8] for row in known.promise(knows).rows]
    outside = results.count("outside")
    assert outside == len(judged) - inside > 0
    assert set(results[:outside]) == {"outside"}
    assert results.count("may still change") == 1


def test_a_promise_of_another_metric_has_that_metrics_unit(knows: Plan) -> None:
    unit = next(u for u in knows.units if any(x.metric != u.demand_metric for x in u.limits))
    limit = next(x for x in unit.limits if x.metric != unit.demand_metric)
    rows = known.of_unit(knows.frame("promise"), unit)
    of_limit = replace(knows, frames={**knows.frames, "promise": rows.assign(metric=limit.metric)})
    assert known.promise(knows).rows[0][5][1] == knows.units[0].demand_unit
    assert known.promise(of_limit).rows[0][5][1] == limit.unit_of_measure


def test_an_anomaly_has_its_size_its_chance_and_its_money(knows: Plan) -> None:
    spend, usage = known.anomalies(knows).rows[:2]
    assert spend[1:3] == ("spend", pd.Timestamp("2026-09-09").date())
    assert spend[4] == "640 to 658 USD"
    assert spend[5] == pytest.approx(1.061, abs=0.001)
    assert (spend[6], spend[8]) == ("1 in 16,670", 39.7)
    assert (usage[1], usage[6]) == ("peak demand", "1 in 2,500")
    assert pd.isna(usage[8])


def test_chance_below_what_can_be_told_is_a_bound() -> None:
    plan = knowing(known_plan(services=1))
    frame = plan.frame("anomalies").assign(at_most=True, judged=3036, by_chance=1.0)
    bound = replace(plan, frames={**plan.frames, "anomalies": frame})
    assert known.anomalies(bound).rows[0][6] == "under 1 in 16,670"
    assert "of 3,036 judged; about 1.0 would come by chance" in known.judged(bound)


def test_the_strongest_occasion_of_a_unit_comes_first_and_an_unknown_one_last(knows: Plan) -> None:
    unit = knows.units[0]
    rows = known.occasions(knows, unit).rows
    assert [r[1] for r in rows] == ["black-friday", "level shift", "sale"]
    assert (rows[0][6], rows[0][7], rows[0][8], rows[0][10]) == (1.62, 1.4, 1.9, "learned")
    assert (rows[1][2], rows[1][5]) == ("level shift", None)


def test_the_spend_models_tell_what_drives_them(knows: Plan) -> None:
    rows = known.spend_models(knows).rows
    assert {r[1] for r in rows} == {"2026-11"}
    assert {r[5] for r in rows} == {"demand", "its own past"}
    assert [r[3] for r in rows] == sorted((r[3] for r in rows), reverse=True)


def test_what_is_kept_apart_adds_up_and_says_its_assumption(knows: Plan) -> None:
    rows = {r[0]: r for r in known.apart_parts(knows).rows}
    assert rows["tax"][1:] == (230.0, "2026-08 to 2026-09", 125.5, "2026-10",
                               "3.7% of the running spend, as over 6 months")  # fmt: skip
    assert rows["one off"][1] == -40.0


def test_the_next_quarter_is_the_first_that_begins_after_the_plan(knows: Plan) -> None:
    assert known.next_quarter(knows) == "2027-Q1"
    assert known.periods(knows)[:2] == ["2026-Q4", "2027-Q1"]
    assert known.next_quarter(known_plan()) == ""


def test_every_frame_is_a_sheet_whole(knows: Plan) -> None:
    sheets = {t.name: t for t in tables(knows, ())}
    for sheet, frame in (("Decomposition", "explanation"), ("Occasions", "occasions"), ("Promises", "promise"),
                         ("Anomalies", "anomalies"), ("Totals", "totals"), ("Spend apart", "spend_apart")):  # fmt: skip
        assert len(sheets[sheet].rows) == len(knows.frames[frame]), sheet
    assert len(sheets["Why"].rows) == sum(len(u.words) for u in knows.units)


def test_a_decomposition_too_long_for_a_sheet_keeps_whole_units_and_says_so(
    knows: Plan, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(known, "MOST_DAYS", 700)
    rows = known.explanation(knows).rows
    assert len(rows) == 640 + 1
    assert rows[-1][0] == "1 more units are in explanation.parquet"


def test_hostile_names_are_words_and_nothing_else() -> None:
    plan = knowing(known_plan(ugly=True))
    named = plan.frames["occasions"].assign(name=HOSTILE[0])
    html = render_html(replace(plan, frames={**plan.frames, "occasions": named}))
    assert "<img" not in html
    assert "\u202e" not in html
