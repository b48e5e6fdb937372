"""The HTML report: what it says, that its sums are the plan's, and that it asks no host for anything."""

from __future__ import annotations

import os
import re
from dataclasses import replace
from decimal import Decimal
from html.parser import HTMLParser
from pathlib import Path

import pytest

from capacity.errors import MissingDataError
from capacity.plan import Finding, MixLine, Plan
from capacity.report import render_html, write_report
from capacity.report._tables import decisions
from capacity.report.bought import buying_line
from tests.factory import HOSTILE, known_plan, make_plan, write_plan_dir
from tests.factory_planned import planned
from tests.handover import frozen_demo
from tests.report.frozen_event import GOLDEN, words


class Page(HTMLParser):
    """Words, tags, attributes, and tables as rows of cells by section."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.text = ""
        self.tags: set[str] = set()
        self.attributes: list[tuple[str, str]] = []
        self.rows: dict[str, list[list[str]]] = {}
        self._section, self._in_cell, self._hidden = "", False, False
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes += [(name, value or "") for name, value in attrs]
        if tag == "section":
            self._section = dict(attrs).get("id") or ""
        if tag == "tr":
            self.rows.setdefault(self._section, []).append([])
        if tag in ("td", "th"):
            self.rows[self._section][-1].append("")
        self._in_cell = tag in ("td", "th")
        self._hidden = tag == "style"

    def handle_endtag(self, tag: str) -> None:
        self._in_cell, self._hidden = False, False

    def handle_data(self, data: str) -> None:
        if self._hidden:
            return
        self.text += f" {data}"
        if self._in_cell:
            self.rows[self._section][-1][-1] += data


def test_the_report_of_the_demo_company_reads_as_it_did() -> None:
    """Four of its services; written anew by CAPACITY_WRITE_GOLDEN=1."""
    found, path = words(render_html(frozen_demo.load())), GOLDEN / "report_page.txt"
    if os.environ.get("CAPACITY_WRITE_GOLDEN"):
        path.write_text(found, encoding="utf-8")
    assert found == path.read_text(encoding="utf-8")


def test_the_first_limit_stays_however_much_else_is_to_be_decided(company: Plan) -> None:
    limits = [Finding("act", "saturation", f"limit {i}", f"s{i}", "r") for i in range(3)]
    others = [Finding("act", "cost", f"other {i}") for i in range(9)]
    plan = replace(company, findings=(*limits, *others))
    table = decisions(plan, 4)
    assert [r[2] for r in table.rows] == ["limit 0", *(f.text for f in others)]
    assert table.note == "2 more limits to decide on stand below and in report.xlsx."
    assert decisions(replace(plan, findings=(*limits[:2], *others)), 4).note.startswith(
        "1 more limit to decide on stands"
    )
    assert len(decisions(replace(plan, findings=tuple(others)), 4).rows) == len(others)


def test_what_to_buy_is_said_once_on_the_first_sheet(company: Plan) -> None:
    plan = planned(company)
    line = buying_line(plan)
    assert line
    assert line in Page(render_html(plan)).text
    told = Finding("act", "cost", "buy 4 commitments for 14.00 USD an hour")
    assert line not in Page(render_html(replace(plan, findings=(*plan.findings, told)))).text


def amount(words: str) -> Decimal:
    return Decimal(words.replace(",", "").replace("−", "-"))


def test_the_first_page_says_what_a_director_needs(company: Plan, page: str) -> None:
    first = Page(page[page.index("<header>") : page.index("<nav")]).text
    assert company.mix is not None
    assert "Lindenshop" in first
    assert "5 Oct 2026 06:00 UTC" in first
    assert f"{company.mix.recommended_usd:,.0f} USD" in first
    assert f"Saves {company.mix.saving_usd:,.0f}" in first
    budget = sum(s.budget for s in company.spend if s.budget is not None)
    assert f"{budget:,.0f} of 5 budgeted months" in first
    assert "Event black-friday, 27 Nov 2026" in first
    assert "NO-GO" in first
    assert "Tied to the bill" in first
    assert "Stale: fleet of asg-export ends 1 Aug 2026" in first
    for finding in company.findings:
        if finding.severity == "act":
            assert finding.text in first


def test_a_plan_that_does_not_tie_says_so_first(company: Plan) -> None:
    broken = replace(company, tie_outs=tuple(replace(t, ties=False, difference_frac=0.31) for t in company.tie_outs))
    html = render_html(replace(broken, frames={}))
    assert "NOT tied to the bill" in Page(html[: html.index("<nav")]).text


def test_money_and_events_stay_on_the_first_page_however_many_limits_there_are(company: Plan) -> None:
    limits = tuple(Finding("act", "saturation", f"limit {i}") for i in range(60))
    money = Finding("act", "mix", "the mix saves money", usd=12345.0)
    first = render_html(replace(company, findings=(*limits, money), frames={}))
    words = Page(first[: first.index("<nav")]).text
    assert "the mix saves money" in words
    assert "12,345" in words
    assert "limit 10" in words
    assert "limit 11" not in words
    assert "49 more limits" in words


def test_the_mix_adds_up_to_the_optimizers_totals(company: Plan, page: str) -> None:
    rows = Page(page).rows["mix"][1:]
    assert company.mix is not None
    *units, total = rows
    assert len(units) == sum(u.kind != "usage_priced" for u in company.units)
    for column, wanted in ((3, company.mix.running_usd), (4, company.mix.recommended_usd), (5, company.mix.saving_usd)):
        assert total[column] == f"{wanted:,.0f}"
        assert float(sum(amount(r[column]) for r in units)) == pytest.approx(wanted, abs=len(units))


def test_what_the_units_do_not_explain_of_the_mix_is_a_row_of_its_own(company: Plan) -> None:
    assert company.mix is not None
    more = replace(company, frames={}, mix=replace(company.mix, recommended_usd=company.mix.recommended_usd + 500.0))
    rows = Page(render_html(more)).rows["mix"]
    assert rows[-2][0] == "commitments, unused part"
    assert rows[-2][4] == "500"


def test_the_cost_tables_add_up_to_the_bill_to_the_last_digit(company: Plan, page: str) -> None:
    rows = Page(page).rows["cost"]
    months = {r[0]: r for r in rows if re.fullmatch(r"\d{4}-\d\d", r[0])}
    assert set(months) == {c.month for c in company.costs}
    for c in company.costs:
        direct, shared, unallocated, effective = (amount(x) for x in months[c.month][2:6])
        assert direct + shared + unallocated == effective == c.effective
    head = next(i for i, r in enumerate(rows) if r[0] == "Service")
    end = next(i for i, r in enumerate(rows) if r[0] == "total = the bill")
    assert sum(amount(r[3]) for r in rows[head + 1 : end]) == amount(rows[end][3]) == company.costs[-1].effective


def test_the_bill_is_told_as_an_equation_to_the_last_digit(company: Plan, page: str) -> None:
    last = company.costs[-1]
    number = r"([\d,]+\.\d+)"
    words = rf"{last.month}: direct {number} \+ shared {number} \+ unallocated {number} = {number} USD, the bill\."
    found = re.search(words, Page(page).text)
    assert found is not None
    direct, shared, unallocated, bill = (amount(x) for x in found.groups())
    assert (direct, shared, unallocated) == (last.direct, last.shared, last.unallocated)
    assert direct + shared + unallocated == bill == last.effective


def test_dates_are_told_in_one_way_and_money_in_the_plans_currency(company: Plan) -> None:
    found = Page(render_html(replace(company, currency="EUR", frames={})))
    remedies = [r[-1] for r in found.rows["events"][1:] if r[1] == "NO-GO"]
    assert remedies
    assert all(re.search(r" by \d{1,2} [A-Z][a-z]{2} \d{4} \(\d+ days\)", words) for words in remedies)
    assert not re.search(r" by \d{4}-\d\d-\d\d", found.text)
    assert "Saving, EUR" in found.text
    assert "EUR over the horizon" in found.text


def test_a_company_name_cannot_turn_the_heading_round(company: Plan) -> None:
    html = render_html(replace(company, company="abc\u202efed", frames={}))
    assert "\u202e" not in html
    assert "abc\ufffdfed" in Page(html).text


def test_what_is_watched_beyond_the_page_is_counted(company: Plan) -> None:
    watched = tuple(Finding("watch", "saturation", f"limit {i}") for i in range(20))
    words = Page(render_html(replace(company, findings=watched, frames={}))).text
    assert "limit 3" in words
    assert "limit 4" not in words
    assert "16 more in report.xlsx, sheet Findings." in words


def test_a_table_cut_short_still_adds_up_to_the_bill() -> None:
    from capacity.report._tables import cost_services

    plan = known_plan(services=60)
    (table,) = cost_services(plan, 10)
    assert [r[0] for r in table.rows[-2:]] == ["unallocated", "50 other services"]
    assert sum(r[3] for r in table.rows) == plan.costs[-1].effective
    assert table.total is not None
    assert table.total[3] == plan.costs[-1].effective


@pytest.mark.parametrize("kind", ["company", "ugly", "empty", "without frames"])
def test_nothing_reads_as_a_program_would_write_it(
    kind: str, page: str, company: Plan, ugly_report: tuple[Path, Path]
) -> None:
    html = {
        "company": lambda: page,
        "ugly": lambda: ugly_report[0].read_text(encoding="utf-8"),
        "empty": lambda: render_html(known_plan(services=0)),
        "without frames": lambda: render_html(replace(company, frames={})),
    }[kind]()
    words = Page(html).text
    assert not re.search(r"\b(NaN|nan|None|NaT|null|inf|Timestamp|Decimal|datetime)\b", words)
    assert "undefined" not in words


def test_the_page_has_no_way_to_a_host(page: str) -> None:
    found = Page(page)
    assert not found.tags & {"script", "img", "iframe", "object", "embed", "form", "base", "video", "audio"}
    assert not [n for n, _ in found.attributes if n.startswith("on") or n in ("src", "srcset", "action", "style-src")]
    links = {v for n, v in found.attributes if n in ("href", "xlink:href")}
    assert all(link.startswith("#") or link == "data:," for link in links)
    policy = next(v for n, v in found.attributes if n == "content" and "default-src" in v)
    assert policy.startswith("default-src 'none'; ")
    assert "script" not in policy
    assert not re.search(r"@import|url\((?!#)", page)


def test_links_of_the_contents_lead_somewhere(page: str) -> None:
    found = Page(page)
    ids = {v for n, v in found.attributes if n == "id"}
    assert {v[1:] for n, v in found.attributes if n == "href" and v.startswith("#")} <= ids


def test_hostile_names_are_words_and_nothing_else(ugly_report: tuple[Path, Path]) -> None:
    html = ugly_report[0].read_text(encoding="utf-8")
    found = Page(html)
    assert not found.tags & {"script", "img", "b"}
    assert HOSTILE[0] in found.text
    assert HOSTILE[4] in found.text
    assert "{{ 7*7 }}" in found.text
    assert "\u202e" not in html


@pytest.mark.usefixtures("drawn_anew")
def test_the_same_plan_gives_the_same_bytes(company: Plan, page: str) -> None:
    assert render_html(make_plan()) == page


def test_both_themes_are_in_the_page_and_charts_follow_them(page: str) -> None:
    style = page[page.index("<style>") : page.index("</style>")]
    assert "@media screen and (prefers-color-scheme: dark)" in style
    svg = "".join(re.findall(r"<svg.*?</svg>", page, flags=re.S))
    assert svg.count("var(--c-muted,") > 50
    assert not re.search(r'fill="#475569"', svg), "no ink of one theme alone"


def test_a_report_stands_in_its_plans_folder_or_where_asked(tmp_path: Path) -> None:
    write_plan_dir(tmp_path / "plan", known_plan(services=2))
    write_plan_dir(tmp_path / "plan" / "scenarios" / "peak", known_plan(services=2, scenario="peak"))
    html, xlsx = write_report(tmp_path / "plan", tmp_path / "out")
    assert (html, xlsx) == (tmp_path / "out" / "report.html", tmp_path / "out" / "report.xlsx")
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == [
        "order-dates.ics", "report.html", "report.xlsx",
    ]  # fmt: skip
    assert Page(html.read_text(encoding="utf-8")).rows["scenarios"][2][0] == "peak"
    assert write_report(tmp_path / "plan")[0] == tmp_path / "plan" / "report.html"


def test_a_folder_without_a_plan_is_named(tmp_path: Path) -> None:
    with pytest.raises(MissingDataError, match=r"no plan\.json"):
        write_report(tmp_path)


def test_a_growing_mix_is_told_by_its_first_and_its_dearest_month(company: Plan) -> None:
    unit = company.units[0]
    grown = {"2026-10": (MixLine("m7g.large", 6, 0.1),), "2026-11": (MixLine("m7g.large", 9, 0.1),)}
    rows = Page(render_html(replace(company, frames={}, units=(replace(unit, recommended=grown),)))).rows["mix"]
    assert rows[1][2] == "2026-10: 6 × m7g.large; largest, 2026-11: 9 × m7g.large"
    shrunk = dict(zip(grown, reversed(grown.values()), strict=True))
    rows = Page(render_html(replace(company, frames={}, units=(replace(unit, recommended=shrunk),)))).rows["mix"]
    assert rows[1][2] == "2026-10: 9 × m7g.large, less in later months"


def test_flags_that_differ_in_a_number_are_counted_as_one(company: Plan) -> None:
    flags = ("extrapolates: 2.1 times the load seen", "extrapolates: 3.3 times the load seen", "not load-tested")
    units = tuple(replace(company.units[0], flags=(flag,)) for flag in flags)
    words = Page(render_html(replace(company, frames={}, units=units))).text
    assert "2 of 3 units: extrapolates, such as 2.1 times the load seen." in words
    assert "1 of 3 units: not load-tested." in words
