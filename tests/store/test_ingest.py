"""An ingest over sources: repeatable, independent of order, and honest about what failed."""

from __future__ import annotations

import random
from datetime import datetime
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from capacity.config import BillSource, FileSource
from capacity.errors import CorruptDataError, DataError, UsageError
from capacity.schemas import COST_MONEY, QUOTAS
from capacity.sources import Context, build, infos
from capacity.store import Store, ingest
from tests.store.frames import NOW, Given, bill, rows, usage


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


def test_a_report_says_what_came(store: Store) -> None:
    said: list[str] = []
    sources = [
        Given("u", "usage", [usage([("a", 0, 1)], "u"), usage([("a", 1, 2)], "u")], notes=("odd",)),
        Given("b", "cost", [bill(["1.5"], source="b"), bill(["2"], month=8, source="b")]),
    ]
    report = ingest(sources, store, NOW, said.append)
    assert not report.failed
    first, second = report.sources
    assert (first.rows_read, first.rows_changed, first.frames) == (2, 2, ("usage",))
    assert first.notes == ("u-0: odd", "u-1: odd")
    assert [(m.period_start.month, m.billed) for m in second.money] == [(8, 2), (9, Decimal("1.5"))]
    assert report.versions == store.versions() == {"usage": 0, "cost": 1}
    assert any("u-1: 1 rows" in line for line in said)
    again = ingest(sources, store, NOW)
    assert [s.rows_changed for s in again.sources] == [0, 0]
    assert again.sources[1].money == second.money
    assert again.versions == report.versions


def test_a_period_that_spans_files_is_replaced_once_and_whole(store: Store) -> None:
    parts = [bill(["1"], source="b"), bill(["2"], source="b"), bill(["3"], month=8, source="b")]
    ingest([Given("b", "cost", parts)], store, NOW)
    assert sorted(store.read("cost")["BilledCost"].to_pylist()) == [1, 2, 3]
    ingest([Given("b", "cost", [bill(["2"], source="b")])], store, NOW)
    assert sorted(store.read("cost")["BilledCost"].to_pylist()) == [2, 3]


def test_a_failing_source_does_not_stop_the_others(store: Store) -> None:
    sources = [
        Given("bad", "usage", [usage([("a", 0, 1)], "bad")], CorruptDataError("x.csv: line 3: no")),
        Given("gone", "usage", [], OSError("disk on fire")),
        Given("good", "usage", [usage([("a", 0, 1)], "good")]),
    ]
    report = ingest(sources, store, NOW)
    assert report.failed == ("bad", "gone")
    assert report.failures == ("source 'bad': x.csv: line 3: no", "source 'gone': disk on fire")
    assert store.read("usage")["source"].to_pylist() == ["bad", "good"]


def test_a_bill_that_did_not_come_whole_replaces_nothing(store: Store) -> None:
    ingest([Given("b", "cost", [bill(["1", "2"], source="b")])], store, NOW)
    report = ingest([Given("b", "cost", [bill(["1"], source="b")], DataError("second file: cut off"))], store, NOW)
    assert report.failed == ("b",)
    assert "no bill was replaced" in report.failures[1]
    assert store.read("cost").num_rows == 2


def test_files_that_contradict_each_other_are_refused(store: Store) -> None:
    report = ingest([Given("u", "usage", [usage([("a", 0, 1)], "u"), usage([("a", 0, 2)], "u")])], store, NOW)
    assert report.failed == ("u",)
    assert "two rows have the key" in report.failures[0]
    assert store.versions() == {}


def test_a_fault_of_the_tool_is_not_hidden(store: Store) -> None:
    with pytest.raises(ZeroDivisionError):
        ingest([Given("u", "usage", [], ZeroDivisionError())], store, NOW)


def test_a_source_is_asked_from_its_last_point(store: Store) -> None:
    source = Given("u", "usage", [usage([("a", 7, 1)], "u")])
    ingest([source], store, NOW)
    ingest([source], store, NOW)
    assert source.since[0] is None
    assert source.since[1] is not None
    assert source.since[1].hour == 7


def test_now_needs_a_zone(store: Store) -> None:
    with pytest.raises(UsageError, match="no zone"):
        ingest([], store, datetime(2026, 1, 1))


@given(st.randoms(use_true_random=False), st.lists(st.integers(0, 5), min_size=1, max_size=5))
def test_the_order_of_sources_and_files_does_not_matter(
    tmp_path_factory: pytest.TempPathFactory, dice: random.Random, values: list[int]
) -> None:
    folder = tmp_path_factory.mktemp("stores")
    usages = [usage([("a", h, v), ("b", h, v)], "u") for h, v in enumerate(values)]
    bills = [bill([str(v)], month=8 + v % 2, account=str(v), source="b", file=f"{i}.csv") for i, v in enumerate(values)]
    stores = []
    for name in ("one", "two"):
        sources = [Given("u", "usage", list(usages)), Given("b", "cost", list(bills))]
        stores.append(Store(folder / name))
        ingest(sources, stores[-1], NOW)
        dice.shuffle(usages)
        dice.shuffle(bills)
        sources.reverse()
    one, two = stores
    assert one.read("usage").equals(two.read("usage"))
    assert rows(one.read("cost")) == rows(two.read("cost"))


def test_a_bill_ingested_twice_from_files(real_data: Path, store: Store) -> None:
    path = real_data / "cost" / "focus" / "focus_1.0_sample_1000.csv"
    source = build(BillSource(kind="focus_files", name="sample", path=str(path)), Context(Path))
    report = ingest([source], store, NOW)
    assert not report.failed
    assert sum(m.rows for m in report.sources[0].money) == 1000
    found = store.read("cost")
    (batch,) = source.batches(None, NOW)
    for column in COST_MONEY:
        assert sum(v or 0 for v in found[column].to_pylist()) == sum(v or 0 for v in batch.table[column].to_pylist())
    assert ingest([source], store, NOW).versions == report.versions


def test_a_restated_bill_of_the_specification(real_data: Path, store: Store) -> None:
    """The replacement style: the new export takes the place of the original, and the original stays readable."""
    defaults = {"BillingAccountId": "1", "BillingCurrency": "USD", "ServiceName": "example"}
    for style in ("original", "replacement"):
        path = real_data / "cost" / "focus_corrections" / f"open_scenario_1_{style}.csv"
        config = BillSource(kind="focus_files", name="vendor", path=str(path), defaults=defaults)
        assert not ingest([build(config, Context(Path))], store, NOW).failed
    now = {r["ResourceId"]: r["BilledCost"] for r in store.read("cost").to_pylist()}
    assert now == {"R-111": 1200, "R-222": 300}
    assert store.read("cost", version=0)["BilledCost"].to_pylist() == [1500]


def test_quotas_from_a_file_of_the_config(tmp_path: Path, store: Store) -> None:
    (tmp_path / "q.csv").write_text("account_id,region,code,name,limit,used\n1,r,L-1,n,5,1\n")
    config = FileSource(kind="files", name="q", frame="quotas", path="q.csv")
    report = ingest([build(config, Context(lambda p: tmp_path / p))], store, NOW)
    assert report.versions == {"quotas": 0}
    assert store.read("quotas").schema == QUOTAS.schema


def test_every_kind_of_source_says_what_it_needs() -> None:
    assert [i.kind for i in infos()] == ["cloudwatch", "files", "focus_files"]
    assert infos()[0].permissions == ("cloudwatch:GetMetricData",)
    assert all(i.reads and i.frames and i.price and i.limits for i in infos())


def test_pieces_of_a_bill_table_share_memory() -> None:
    """One period a file: grouping by period copies nothing."""
    from capacity.store._bill import by_period

    table = bill(["1", "2"])
    (found,) = by_period([table])
    assert found["BilledCost"].chunk(0).buffers()[1].address == table["BilledCost"].chunk(0).buffers()[1].address
    assert isinstance(found, pa.Table)
