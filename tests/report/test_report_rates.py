"""Wherever a report shows what a fleet costs, it says of which days the rates are."""

from __future__ import annotations

import json
import re
import zipfile
from dataclasses import replace
from datetime import date
from pathlib import Path

from capacity.plan import MixSummary, Plan, from_json, to_json
from capacity.report import render_html, write_report
from tests.factory import write_plan_dir

SPAN = "rates of 1 Sep 2026 to 18 Sep 2026"


def section(html: str, key: str) -> str:
    return html.split(f'<section id="{key}">')[1].split("</section>")[0]


def test_the_page_says_it_in_the_head_the_summary_the_mix_and_the_tie(company: Plan, page: str) -> None:
    assert SPAN in page.split("<main>")[0]
    assert f"; {SPAN}." in section(page, "summary")
    assert f"Money is at {SPAN}." in section(page, "mix")
    assert f"({SPAN}), the bill says" in section(page, "summary")


def test_the_workbook_says_it(company: Plan, tmp_path: Path) -> None:
    write_plan_dir(tmp_path, company)
    write_report(tmp_path)
    with zipfile.ZipFile(tmp_path / "report.xlsx") as book:
        texts = re.findall(r"<t[^>]*>([^<]*)</t>", book.read("xl/sharedStrings.xml").decode())
    assert f"USD an hour, {SPAN}" in texts
    assert SPAN in texts  # Provenance


def test_one_day_is_one_date_and_none_is_said(company: Plan) -> None:
    assert company.mix is not None
    day = date(2026, 7, 20)
    one = replace(company.mix, rates_from=day, rates_to=day)
    assert one.rates_of == "rates of 20 Jul 2026"
    none = replace(company.mix, rates_from=None, rates_to=None)
    assert "rates without a date" in render_html(replace(company, mix=none, frames={}))


def test_a_plan_made_before_there_were_dates_is_read(company: Plan) -> None:
    assert isinstance(company.mix, MixSummary)
    document = json.loads(to_json(company))
    assert from_json(json.dumps(document)).mix == company.mix
    del document["mix"]["rates_from"], document["mix"]["rates_to"]
    found = from_json(json.dumps(document))
    assert found.mix is not None
    assert found.mix.rates_of == "rates without a date"
