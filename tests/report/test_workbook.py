"""The workbook: numbers are numbers, text is text, and no cell computes or links."""

from __future__ import annotations

import os
import re
import zipfile
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from capacity.plan import Plan
from capacity.report._workbook import cell_text, fits_a_double, write_workbook
from tests.factory import HOSTILE, known_plan
from tests.handover import frozen_demo

MAIN = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"


class Book:
    """Sheets by name: rows of cells, each a float or a text, read from the file's own XML."""

    def __init__(self, path: Path) -> None:
        with zipfile.ZipFile(path) as archive:
            self.files = {name: archive.read(name) for name in archive.namelist()}
        shared = ElementTree.fromstring(self.files["xl/sharedStrings.xml"])
        strings = ["".join(t.text or "" for t in item.iter(f"{MAIN}t")) for item in shared.iter(f"{MAIN}si")]
        names = [s.get("name", "") for s in ElementTree.fromstring(self.files["xl/workbook.xml"]).iter(f"{MAIN}sheet")]
        self.sheets = {
            name: self._rows(self.files[f"xl/worksheets/sheet{i}.xml"], strings) for i, name in enumerate(names, 1)
        }

    @staticmethod
    def _rows(xml: bytes, strings: list[str]) -> list[list[float | str | None]]:
        out = []
        for row in ElementTree.fromstring(xml).iter(f"{MAIN}row"):
            cells: list[float | str | None] = []
            for cell in row.iter(f"{MAIN}c"):
                value = cell.find(f"{MAIN}v")
                if value is None or value.text is None:
                    cells.append(None)
                else:
                    cells.append(strings[int(value.text)] if cell.get("t") == "s" else float(value.text))
            out.append(cells)
        return out


@pytest.fixture(scope="module")
def book(company: Plan, tmp_path_factory: pytest.TempPathFactory) -> Book:
    path = tmp_path_factory.mktemp("book") / "report.xlsx"
    write_workbook(company, path)
    return Book(path)


def test_the_sheets_of_the_demo_company_are_as_they_were(tmp_path: Path) -> None:
    """Four of its services; written anew by CAPACITY_WRITE_GOLDEN=1."""
    from tests.report.frozen_event import GOLDEN, cells

    write_workbook(frozen_demo.load(), tmp_path / "report.xlsx")
    found, path = cells(Book(tmp_path / "report.xlsx")), GOLDEN / "report_sheets.txt"
    if os.environ.get("CAPACITY_WRITE_GOLDEN"):
        path.write_text(found, encoding="utf-8")
    assert found == path.read_text(encoding="utf-8")


@pytest.mark.parametrize("kind", [{"ugly": True}, {"services": 0}], ids=["ugly", "empty"])
def test_no_cell_computes_or_links(kind: dict[str, Any], tmp_path: Path) -> None:
    plan = known_plan(**kind)
    write_workbook(plan, tmp_path / "b.xlsx", [plan])
    for name, content in Book(tmp_path / "b.xlsx").files.items():
        assert b"<f>" not in content, name
        assert b"<f " not in content, name
        assert b"<hyperlink" not in content, name
        assert b"TargetMode" not in content, name


def test_sums_are_the_plans(book: Book, company: Plan) -> None:
    assert company.mix is not None
    total = book.sheets["Mix"][-1]
    assert total[0] == "total"
    assert total[4] == pytest.approx(company.mix.recommended_usd)
    months = {r[0]: r for r in book.sheets["Cost by month"][1:]}
    for c in company.costs:
        cells = [Decimal(repr(x)) for x in months[c.month][2:6]]
        assert cells[0] + cells[1] + cells[2] == cells[3] == c.effective


def test_every_unit_is_in_every_table_that_is_cut_on_the_page(tmp_path: Path) -> None:
    plan = known_plan(services=60)
    write_workbook(plan, tmp_path / "b.xlsx")
    sheets = Book(tmp_path / "b.xlsx").sheets
    assert len(sheets["Forecasts"]) == len(plan.units) + 1
    assert len(sheets["Saturation"]) == sum(len(u.limits) for u in plan.units) + 1
    assert len(sheets["Headroom"]) == sum(u.kind != "usage_priced" for u in plan.units) + 1


def test_negative_numbers_stay_numbers_beside_escaped_text(tmp_path: Path) -> None:
    plan = known_plan(ugly=True)
    write_workbook(plan, tmp_path / "b.xlsx")
    sheets = Book(tmp_path / "b.xlsx").sheets
    least = min(x for r in sheets["Headroom"][1:] for x in r[1:] if isinstance(x, float))
    assert least == pytest.approx(plan.frame("headroom")["headroom_frac"].min())
    assert least < 0
    assert any(r[0] == f"'{HOSTILE[2]} · us-east-1" for r in sheets["Mix"][1:])


def test_a_text_that_looks_like_a_number_or_a_formula_stays_text(company: Plan, tmp_path: Path) -> None:
    texts = ("=1+1", "-3", "1234", "http://host.example")
    units = tuple(replace(company.units[0], service=text, running_usd=-3.0) for text in texts)
    write_workbook(replace(company, units=units, frames={}), tmp_path / "b.xlsx")
    book = Book(tmp_path / "b.xlsx")
    rows = {r[0]: r for r in book.sheets["Mix"][1:]}
    assert {f"{t} · us-east-1" for t in texts} <= {str(name).removeprefix("'") for name in rows}
    assert rows["1234 · us-east-1"][3] == -3.0
    assert not [name for name, content in book.files.items() if re.search(b"<f[ >]|<hyperlink", content)]


def test_a_quantity_has_its_unit_in_a_column_of_its_own(book: Book, company: Plan) -> None:
    head, *rows = book.sheets["Saturation"]
    assert head[2:4] == ["At", "At, unit"]
    limits = sorted(x.limit for u in company.units for x in u.limits)
    assert sorted(float(str(r[2])) for r in rows) == pytest.approx(limits, rel=1e-14)
    assert {r[3] for r in rows} == {"1/s", "1"}


def test_headings_stay_in_sight(book: Book) -> None:
    for i in range(1, len(book.sheets) + 1):
        assert b'state="frozen"' in book.files[f"xl/worksheets/sheet{i}.xml"]


def test_the_same_plan_gives_the_same_file(company: Plan, tmp_path: Path) -> None:
    for name in ("a.xlsx", "b.xlsx"):
        write_workbook(company, tmp_path / name)
    assert (tmp_path / "a.xlsx").read_bytes() == (tmp_path / "b.xlsx").read_bytes()


@given(st.decimals(allow_nan=False, allow_infinity=False, places=6, min_value=-(10**12), max_value=10**12))
def test_a_decimal_that_becomes_a_number_is_told_exactly(value: Decimal) -> None:
    if fits_a_double(value):
        assert Decimal(repr(float(value))) == value


@given(st.text())
def test_no_text_cell_starts_as_a_formula(text: str) -> None:
    cell = cell_text(text)
    assert not cell.startswith(("=", "+", "-", "@", "\t", "\r"))
    assert cell.removeprefix("'") == text.removeprefix("'") or cell == text
