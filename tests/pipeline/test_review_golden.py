"""The FinOps review of the demo company: as it was printed when somebody last read it, and as files.

Where a figure moves for a good reason, read the difference and write the file anew:
CAPACITY_WRITE_GOLDEN=1 pytest tests/pipeline/test_review_golden.py
"""

from __future__ import annotations

import csv
import os
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from capacity import config, pipeline
from capacity.cli import _print
from capacity.pipeline import CostReport
from capacity.report import write_review
from capacity.schemas import COST_MONEY
from tests.report.frozen_event import words as read_as

ROOT = Path(__file__).parents[2]
GOLDEN = Path(__file__).with_name("golden") / "review.txt"
AS_OF = datetime(2026, 10, 5, 12, tzinfo=UTC)


@pytest.fixture(scope="module")
def review(tmp_path_factory: pytest.TempPathFactory) -> CostReport:
    folder = tmp_path_factory.mktemp("demo-review")
    text = (ROOT / "configs" / "demo.yaml").read_text(encoding="utf-8")
    text = text.replace("../fixtures/", f"{ROOT}/fixtures/").replace("../.capacity/demo-store", str(folder / "store"))
    path = folder / "demo.yaml"
    path.write_text(text[: text.index("\nscenarios:")] + "\n", encoding="utf-8")
    settings = config.load(path)
    store = pipeline.open_store(settings)
    pipeline.require_complete(pipeline.ingest(settings, store, AS_OF))
    return pipeline.cost_to_serve(settings, store, as_of=AS_OF, first="2026-Q2", last="2026-Q3")


@pytest.fixture(scope="module")
def files(review: CostReport, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("review")
    write_review(review, folder)
    return folder


def test_the_review_of_the_demo_company_reads_as_it_did(
    review: CostReport, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "160")
    _print.cost(review)
    found = "\n".join(line.rstrip() for line in capsys.readouterr().out.splitlines()) + "\n"
    if os.environ.get("CAPACITY_WRITE_GOLDEN"):
        GOLDEN.write_text(found, encoding="utf-8")
    assert found == GOLDEN.read_text(encoding="utf-8")


def test_the_page_of_the_demo_company_reads_as_it_did(files: Path) -> None:
    found, path = read_as((files / "review.html").read_text(encoding="utf-8")), GOLDEN.with_name("review_page.txt")
    if os.environ.get("CAPACITY_WRITE_GOLDEN"):
        path.write_text(found, encoding="utf-8")
    assert found == path.read_text(encoding="utf-8")


def _read(path: Path) -> Iterator[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as lines:
        yield from csv.DictReader(lines)


def test_every_file_adds_up_to_the_bill(review: CostReport, files: Path) -> None:
    bill: dict[str, Decimal] = dict.fromkeys(COST_MONEY, Decimal(0))
    for row in _read(files / "csv" / "cost.csv"):
        for column in COST_MONEY:
            bill[column] += Decimal(row[column])
    rows = list(_read(files / "allocated.csv"))
    for column in COST_MONEY:
        assert sum((Decimal(r[column]) for r in rows), Decimal(0)) == bill[column]
    newest = [m for m in review.equation if m.month == review.month]
    assert all(m.direct + m.shared + m.unallocated == m.effective for m in newest)
    table = pq.read_table(files / "allocated.parquet")
    assert table.num_rows == len(rows)
    assert {"AllocatedMethodId", "AllocatedMethodDetails", "AllocatedResourceId", "AllocatedTags"} <= set(
        table.column_names
    )


def test_bridge_rows_end_where_they_say(files: Path) -> None:
    for row in _read(files / "csv" / "bridge.csv"):
        terms = [v for k, v in row.items() if k in _TERMS]
        assert Decimal(row["start"]) + sum(map(Decimal, terms), Decimal(0)) == Decimal(row["end"])


_TERMS = {
    "volume", "efficiency", "mix", "list_rate", "negotiated_rate", "commitment_rate", "new_and_ended", "one_off",
}  # fmt: skip


def test_the_workbook_has_a_sheet_a_table_and_no_formula(review: CostReport, files: Path) -> None:
    import zipfile

    with zipfile.ZipFile(files / "review.xlsx") as book:
        sheets = [n for n in book.namelist() if n.startswith("xl/worksheets/sheet")]
        text = [book.read(n).decode() for n in sheets]
    assert len(sheets) >= 10
    assert not any("<f>" in t or "<hyperlink" in t for t in text)
    assert all('state="frozen"' in t and "<autoFilter" in t for t in text)


def test_the_page_says_the_month_first_and_asks_no_host(review: CostReport, files: Path) -> None:
    text = (files / "review.html").read_text(encoding="utf-8")
    assert text.count("<svg") >= 3
    for words in (review.month, "What moved", "Unit cost", "Commitments", "Whose cost it is", "Allocated"):
        assert words in text
    assert "http://" not in text.replace("http://www.w3.org/", "")
    assert "https://" not in text


def test_the_same_review_is_the_same_files(review: CostReport, files: Path, tmp_path: Path) -> None:
    write_review(review, tmp_path)
    for path in sorted(p.relative_to(files) for p in files.rglob("*") if p.is_file()):
        assert (tmp_path / path).read_bytes() == (files / path).read_bytes(), path


def test_hostile_text_is_text_in_csv_and_numbers_stay_numbers(tmp_path: Path) -> None:
    import pandas as pd

    from capacity.report.review import write_csv

    names = ["=HYPERLINK(1)", "+1", "-3", "@x", "\tx", "plain"]
    frame: Any = pd.DataFrame({"name": names, "amount": [Decimal("-3")] * 6, "share": [-3.5] * 6})
    rows = list(_read(write_csv(tmp_path / "x.csv", frame)))
    assert [r["name"] for r in rows] == [f"'{n}" for n in names[:-1]] + ["plain"]
    assert {(r["amount"], r["share"]) for r in rows} == {("-3", "-3.5")}
