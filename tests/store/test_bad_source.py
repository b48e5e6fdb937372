"""One bad source never ends the ingest of the others, whatever of it is bad."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pytest
from pyarrow import parquet

from capacity.config import BillSource
from capacity.errors import DataError
from capacity.sources import Context, build
from capacity.store import IngestReport, Store, _spool, ingest
from capacity.store._place import place
from tests.store.frames import NOW, Bills, File, bill

_HEAD = (
    "BillingAccountId,BillingCurrency,BillingPeriodStart,BillingPeriodEnd,ChargePeriodStart,ChargePeriodEnd,"
    "ChargeCategory,ServiceName,BilledCost,EffectiveCost,ListCost,ContractedCost\n"
)
_ROW = "1,USD,{start},2026-10-01T00:00:00Z,2026-09-02T00:00:00Z,2026-09-02T01:00:00Z,Usage,EC2,1,1,1,1\n"


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


def focus(path: Path) -> object:
    return build(BillSource(kind="focus_files", name="bad", path=str(path)), Context(Path))


def beside(bad: object, store: Store) -> IngestReport:
    """The bad source first, then a good one, which must come in."""
    report = ingest([bad, Bills("good", [File("g", bill(["1"]))])], store, NOW)
    assert report.failed == ("bad",)
    assert store.read("cost")["source"].to_pylist() == ["good"]
    return report


class _NoDigest(File):
    @property
    def digest(self) -> str:
        raise DataError(f"{self.label}: vanished between list and read")


def test_a_file_that_cannot_be_hashed(store: Store) -> None:
    report = beside(Bills("bad", [_NoDigest("x", bill(["1"]))], check_focus=True), store)
    assert "x: vanished between list and read" in report.failures[0]


@pytest.mark.parametrize("method", ["marks", "read"])
def test_findings_that_cannot_be_read(store: Store, monkeypatch: pytest.MonkeyPatch, method: str) -> None:
    """The bill is in the store by then; the failure is told, and the next source is read."""

    def fails(*_: object, **__: object) -> None:
        raise DataError("findings: cannot be reached")

    with monkeypatch.context() as patch:
        patch.setattr(store, method, fails)
        sources = [Bills(n, [File("g", bill(["1"]))], check_focus=n == "bad") for n in ("bad", "good")]
        report = ingest(sources, store, NOW)
    assert report.failures == ("source 'bad': findings: cannot be reached",)
    assert sorted(store.read("cost")["source"].to_pylist()) == ["bad", "good"]


def test_amounts_that_nothing_can_add_up(tmp_path: Path, store: Store) -> None:
    table = bill(["1"]).drop_columns(["source", "file"])
    at = table.schema.get_field_index("BilledCost")
    wide = pa.array([Decimal("1.5")], pa.decimal256(60, 12))
    parquet.write_table(table.set_column(at, "BilledCost", wide), tmp_path / "x.parquet")
    report = beside(focus(tmp_path / "x.parquet"), store)
    assert "x.parquet" in report.failures[0]


@pytest.mark.parametrize("start", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00"])
def test_absurd_dates(tmp_path: Path, store: Store, start: str) -> None:
    (tmp_path / "x.csv").write_text(_HEAD + _ROW.format(start=start))
    assert "x.csv" in beside(focus(tmp_path / "x.csv"), store).failures[0]


@pytest.mark.parametrize("spoil", [Path.touch, lambda p: p.symlink_to(p)], ids=["file", "loop"])
def test_a_store_that_cannot_be_written_to(tmp_path: Path, spoil: Callable[[Path], None]) -> None:
    spoil(tmp_path / "store")
    where = place(tmp_path / "store")
    with pytest.raises(DataError, match="name another as store:"), _spool.workshop(where):
        pass


def test_an_error_while_closing_does_not_hide_the_first(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "no space left on device")

    monkeypatch.setattr(parquet.ParquetWriter, "close", full)
    report = ingest([Bills("bad", [File("x", bill(["1"]), error=DataError("x: cut off"))])], store, NOW)
    assert report.failures[0] == "source 'bad': x: cut off"
    assert not any("no space" in failure for failure in report.failures)


def test_a_bill_in_two_forms_is_refused(tmp_path: Path, store: Store) -> None:
    """Packed and not: two contents, the same rows."""
    folder = tmp_path / "bills"
    folder.mkdir()
    text = _HEAD + _ROW.format(start="2026-09-01T00:00:00Z")
    (folder / "x.csv").write_text(text)
    other = text + _ROW.format(start="2026-09-01T00:00:00Z").replace("EC2", "S3")
    (folder / "y.csv").write_text(other.replace("EC2", "RDS"))
    assert not ingest([focus(folder)], store, NOW).failed
    assert store.read("cost").num_rows == 3
    (folder / "x.csv.gz").write_bytes(gzip.compress(text.encode()))
    report = ingest([focus(folder)], store, NOW)
    assert "the same rows as" in report.failures[0]
    assert store.read("cost").num_rows == 3


def test_equal_sums_of_other_rows_are_no_copy(store: Store) -> None:
    files = [File("x", bill(["1"])), File("y", bill(["1"], ResourceId="other"))]
    assert not ingest([Bills("b", files)], store, NOW).failed
    assert store.read("cost").num_rows == 2
