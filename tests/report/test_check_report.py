"""The peak check as files: the answer, the first date and the money first; figures of the check itself; text is text.

Golden files are written anew by CAPACITY_WRITE_GOLDEN=1 pytest tests/report/test_check_report.py
"""

from __future__ import annotations

import os
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path

import pandas as pd
import pytest

from capacity.cli import _print_event
from capacity.domain import EventVerdict, Remedy, Unit
from capacity.errors import UsageError
from capacity.plan import FRAMES, EventSummary
from capacity.report import Checked, render_html, write_check
from capacity.report._workbook import tables
from capacity.report.check_page import cards, cautions, render_check
from capacity.report.check_tables import failing, not_holding, prescaling, reasons, steps, todo
from tests.factory import HOSTILE, known_plan
from tests.report.frozen_event import GOLDEN, cells, load, of_plan, words
from tests.report.test_html import Page
from tests.report.test_workbook import Book


def after(checked: Checked, **also: object) -> Checked:
    """``checked`` as its event might have gone: one peak beyond safe capacity, one above its P95, others as said."""
    rows = []
    for i, v in enumerate(checked.event.verdicts):
        safe = v.safe_at_group_maximum
        peak = (1.5 * safe, 1.02 * v.demand_p95, v.demand_p50)[min(i, 2)]
        rows.append({
            "event": checked.event.name, "service": v.unit.service, "region": v.unit.region,
            "start": pd.Timestamp(checked.event.start), "end": pd.Timestamp(checked.event.end), "basis": "stored plan",
            "origin": pd.Timestamp("2026-11-20"), "p50": v.demand_p50, "p95": v.demand_p95, "actual": peak,
            "error_frac": peak / v.demand_p50 - 1, "within_p95": peak <= v.demand_p95, "multiplier": v.multiplier,
            "multiplier_realised": peak / v.before_p50 if v.before_p50 else None,
            "safe": None if i == 3 else safe, "held": None if i == 3 else peak <= safe,
            "said_go": v.go, "probability_holds": v.probability_holds, "words": f"peak {peak:,.0f}", **also,
        })  # fmt: skip
    return replace(checked, review=pd.DataFrame(rows, columns=list(FRAMES["event_review"])))


# --- the demo company as it was --------------------------------------------------------------------------------


def told(name: str, found: str) -> None:
    path = GOLDEN / name
    if os.environ.get("CAPACITY_WRITE_GOLDEN"):
        path.write_text(found, encoding="utf-8")
    assert found == path.read_text(encoding="utf-8")


def test_the_check_of_the_demo_company_prints_as_it_did(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "160")
    _print_event.check(load().event)
    told("check.txt", "\n".join(line.rstrip() for line in capsys.readouterr().out.splitlines()) + "\n")


def test_the_page_of_the_demo_company_reads_as_it_did() -> None:
    told("check_page.txt", words(render_check(load())))


def test_the_page_after_the_event_reads_as_it_did() -> None:
    from capacity.report.check_after import render_after

    told("check_after.txt", words(render_after(after(load()))))


def test_the_sheets_of_the_demo_company_are_as_they_were(tmp_path: Path) -> None:
    _, book = write_check(load(), tmp_path)
    told("check_sheets.txt", cells(Book(book)))


# --- what it says ----------------------------------------------------------------------------------------------


def test_the_first_sheet_says_whether_which_why_what_by_when_and_for_how_much() -> None:
    checked = load()
    page = render_check(checked)
    first = Page(page[page.index("<header>") : page.index("<nav")])
    refused = [v for v in checked.event.verdicts if not v.go]
    assert f"{len(refused)} of {len(checked.event.verdicts)} services do not hold" in first.text
    assert "NO-GO" in first.text
    rows = {row[0]: row for row in first.rows["summary"][1:]}
    assert set(rows) == {f"{v.unit.service} · {v.unit.region}" for v in refused}
    for v in refused:
        _, holds, why, what, usd = rows[f"{v.unit.service} · {v.unit.region}"]
        assert holds == f"{v.probability_holds:.1%}"
        assert why == f"{v.reasons[0]}."
        assert v.prescale is not None
        assert v.prescale.usd is not None
        assert f"un {v.prescale.instances_to} instances (now {v.prescale.instances_from})" in what
        assert f"{v.prescale.at:%d %b %H:%M} to {v.prescale.until:%d %b %H:%M} UTC" in what
        assert all(f"by {r.by.day} {r.by:%b %Y}" in what for r in v.remedies)
        assert abs(float(usd.replace(",", "")) - v.prescale.usd) <= 0.5


def test_a_limit_that_fails_beside_capacity_is_said_too() -> None:
    v = load().refused[0]
    limit = "connections: P95 2,500 exceeds the limit 2,000"
    both = replace(v, reasons=(v.reasons[0], "connections: P95 5 is within the limit 9", limit, "more", f"x{limit}"))
    assert failing(both) == f"{v.reasons[0]}. C{limit[1:]}."
    assert failing(v) == f"{v.reasons[0]}."
    assert failing(replace(v, reasons=())) == ""


def test_remedies_stand_by_date_and_their_money_is_the_checks() -> None:
    rows = todo(load()).rows
    assert [r[0] for r in rows] == sorted(r[0] for r in rows)
    assert len(rows) == sum(len(v.remedies) for v in load().event.verdicts)
    by_kind = {kind: sum(r[-1] or 0 for r in rows if r[4] == kind) for kind in ("prescale", "reservation")}
    assert by_kind["prescale"] == by_kind["reservation"] == sum(r[-1] for r in prescaling(load()).rows) > 0


def test_what_is_overdue_says_so_and_is_counted() -> None:
    late = Remedy("ask for more (overdue by 3 day(s))", date(2026, 10, 2), 45, "limit", overdue=True)
    verdicts = tuple(v if v.go else replace(v, remedies=(late, *v.remedies)) for v in load().event.verdicts)
    checked = replace(load(), event=replace(load().event, verdicts=verdicts))
    assert steps(checked.refused[0]).startswith("ask for more by 2 Oct 2026 (45 days, overdue); reserve")
    assert "5 of them overdue" in "".join(c.note for c in cards(checked))
    assert todo(checked).rows[0][1] == "overdue"


def test_go_says_that_nothing_has_to_be_done() -> None:
    holding = tuple(v for v in load().event.verdicts if v.go)
    text = render_check(replace(load(), event=replace(load().event, verdicts=holding)))
    page = Page(text[text.index("<header>") : text.index("<nav")])
    assert f"All {len(holding)} services hold its P95 demand." in page.text
    assert "Every service holds: nothing has to be done." in page.text
    assert "NO-GO" not in page.text


def test_nothing_checked_is_never_called_go() -> None:
    empty = replace(load(), event=replace(load().event, verdicts=(), flows=()))
    (card,) = cards(empty)
    assert card.value == "Not checked"
    assert "No service takes part" in render_check(empty)


def test_a_service_that_cannot_be_judged_comes_first_and_has_no_date() -> None:
    unknown = EventVerdict(
        "e", Unit("new", "r"), False, 5.0, 9.0, 0.0, 0.0, 0.0, 1.0, ("gateway/r",), ("cannot be judged: ...",), ()
    )
    checked = replace(load(), event=replace(load().event, verdicts=(*load().event.verdicts, unknown)))
    first = not_holding(checked).rows[0]
    assert (first[0], first[3], first[4]) == ("new · r", None, None)
    alone = replace(checked, event=EventSummary("e", AT, AT.replace(hour=9), (unknown,)))
    assert {c.value for c in cards(alone)} >= {"NO-GO", "find out first", "not known"}


AT = datetime(2026, 11, 27, 5, tzinfo=UTC)


def test_cautions_that_differ_in_figures_count_as_one() -> None:
    found = list(cautions(load()))
    said = [r for v in load().event.verdicts for r in v.reasons if r.startswith("caution:")]
    assert 0 < len(found) < len(said)
    assert sum("not load-tested" in text for text in found) == 1


# --- files -----------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("drawn_anew")
def test_the_same_check_is_the_same_files_and_sheets_hold_all(tmp_path: Path) -> None:
    checked = load()
    page, book = write_check(checked, tmp_path / "a")
    again = write_check(checked, tmp_path / "b")
    assert [p.read_bytes() for p in (page, book)] == [p.read_bytes() for p in again]
    assert {p.name for p in (tmp_path / "a").iterdir()} == {"check.html", "check.xlsx"}
    sheets = Book(book).sheets
    assert list(sheets) == ["Check", "Does not hold", "What to do", "Pre-scale", "Answers", "Reasons", "Calls"]
    assert len(sheets["Answers"]) == 1 + len(checked.event.verdicts)
    assert len(sheets["Reasons"]) == 1 + len(reasons(checked).rows)
    usd = sum(r[-1] for r in sheets["Pre-scale"][1:] if isinstance(r[-1], float))
    assert usd == pytest.approx(sum(v.prescale.usd or 0 for v in checked.refused if v.prescale))


def test_the_review_is_written_in_its_place(tmp_path: Path) -> None:
    page, book = write_check(after(load()), tmp_path)
    text = page.read_text(encoding="utf-8")
    assert "Peak event, afterwards" in text
    first = Page(text[text.index("<header>") : text.index("<nav")])
    otherwise = after(load()).review
    assert otherwise is not None
    off = otherwise[~otherwise["within_p95"].astype(bool) | (otherwise["held"] == False)]  # noqa: E712 - it may be None
    assert len(first.rows["summary"]) == 1 + len(off) > 3
    sheets = Book(book).sheets
    assert list(sheets) == ["Check", "What came"]
    assert len(sheets["What came"]) == 1 + len(load().event.verdicts)


def test_a_plan_tells_events_that_are_over_on_page_and_sheet() -> None:
    frame = after(load()).review
    assert frame is not None
    plan = known_plan()
    older = frame.assign(event="last sale", start=frame["start"] - pd.Timedelta(days=90), held=None)
    known = replace(plan, frames={**plan.frames, "event_review": pd.concat([frame, older], ignore_index=True)})
    page = Page(render_html(known))
    assert "Peak events that are over" in page.text
    within = int(frame["within_p95"].sum())
    assert f"{within} of {len(frame)} peaks were within the P95 said before (stored plan of 20 Nov 2026)" in page.text
    assert "last sale of 29 Aug 2026" in page.text
    (sheet,) = [t for t in tables(known, ()) if t.name == "What came"]
    assert len(sheet.rows) == 2 * len(frame)
    assert {r[0] for r in sheet.rows} == {"black-friday-2026", "last sale"}
    assert not [t for t in tables(plan, ()) if t.name == "What came"]
    assert "events-over" not in render_html(plan)


def test_a_folder_that_cannot_be_written_to_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x", encoding="utf-8")
    with pytest.raises(UsageError, match=r"--out: .*file cannot be written to"):
        write_check(load(), tmp_path / "file")


@pytest.mark.parametrize("over", [False, True])
def test_hostile_text_is_text(tmp_path: Path, over: bool) -> None:
    checked = ugly()
    page, book = write_check(after(checked) if over else checked, tmp_path)
    found = Page(page.read_text(encoding="utf-8"))
    assert not found.tags & {"script", "img", "iframe", "b"}
    links = [v for name, v in found.attributes if name in ("href", "src")]
    assert all(v.startswith(("#", "data:")) for v in links)
    for name, data in Book(book).files.items():
        if name.startswith("xl/worksheets/"):
            assert b"<f>" not in data
            assert b"<hyperlink" not in data


def ugly() -> Checked:
    """A check whose names, reasons and remedies are hostile."""
    checked = of_plan(known_plan(ugly=True))
    event = checked.event
    late = Remedy(HOSTILE[1], date(2026, 10, 1), 9, "quota", 5.0, None, HOSTILE[0], HOSTILE[2], True)
    verdicts = tuple(
        replace(v, go=False, reasons=(HOSTILE[i % len(HOSTILE)], "caution: " + HOSTILE[0]), remedies=(late,))
        for i, v in enumerate(event.verdicts)
    )
    return replace(checked, company=HOSTILE[1], event=replace(event, name=HOSTILE[0], verdicts=verdicts))
