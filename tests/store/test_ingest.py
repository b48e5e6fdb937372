"""An ingest over sources: repeatable, independent of order, and honest about what failed."""

from __future__ import annotations

import os
import random
import time
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from deltalake import DeltaTable
from hypothesis import given, settings
from hypothesis import strategies as st
from pyarrow import csv as pacsv

from capacity.config import BillSource, FileSource
from capacity.errors import CorruptDataError, DataError, UsageError
from capacity.schemas import COST, COST_MONEY, FINDINGS, QUOTAS
from capacity.sources import Context, build, infos
from capacity.store import SourceReport, Store, _bill_write, _spool, ingest
from tests.store.frames import NOW, Bills, File, Given, bill, rows, usage


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


@settings(max_examples=max(10, settings.get_profile(settings.get_current_profile_name()).max_examples // 4))
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
    assert {"cloudwatch", "files", "focus_files"} <= {i.kind for i in infos()}
    assert all(i.reads and i.frames and i.price and i.limits for i in infos())


def test_pieces_of_a_bill_table_share_memory() -> None:
    """One period a file: grouping by period copies nothing."""
    table = bill(["1", "2"])
    ((_, found),) = _spool.by_period(table)
    assert found["BilledCost"].chunk(0).buffers()[1].address == table["BilledCost"].chunk(0).buffers()[1].address


# --- bills, file by file -------------------------------------------------------------------------------------------


def left(store: Store) -> list[Any]:
    return sorted(store.read("cost")["BilledCost"].to_pylist())


def run(store: Store, *files: File, error: Exception | None = None) -> SourceReport:
    (report,) = ingest([Bills("b", list(files), error=error)], store, NOW).sources
    return report


def test_files_that_are_known_are_not_read_again(store: Store) -> None:
    files = [File("8", bill(["1"], month=8)), File("9", bill(["2", "3"])), File("empty", bill([]))]
    first = run(store, *files)
    assert [f.reads for f in files] == [1, 1, 1]
    again = run(store, *files)
    assert [f.reads for f in files] == [1, 1, 2]  # nothing in the store tells of an empty file
    assert again.checks == first.checks
    assert again.money == first.money
    assert (again.rows_read, again.rows_changed, set(again.files)) == (0, 0, {"8", "9", "empty"})
    assert store.versions() == {"cost": 1}


def test_a_new_or_changed_file_has_the_others_of_its_period_read_too(store: Store) -> None:
    august, one, two = File("8", bill(["1"], month=8)), File("9a", bill(["2"])), File("9b", bill(["3"]))
    both = File("8+9", pa.concat_tables([bill(["4"], month=8), bill(["5"])]), block_rows=1)
    run(store, august, one)
    run(store, august, one, two)
    assert (left(store), august.reads, one.reads) == ([1, 2, 3], 1, 2)
    changed = File("9b", bill(["30"]))
    run(store, august, one, changed)
    assert (left(store), august.reads, one.reads) == ([1, 2, 30], 1, 3)
    run(store, august, one, changed, both)
    assert (left(store), august.reads, one.reads) == ([1, 2, 4, 5, 30], 2, 4)
    version = store.versions()
    run(store, august, one, changed, both)
    assert (august.reads, one.reads, both.reads, store.versions()) == (2, 4, 1, version)
    # The file of two periods is read again for one of them only, and the other one stays.
    changed = File("9b", bill(["31"]))
    run(store, august, one, changed, both)
    assert (left(store), august.reads, both.reads) == ([1, 2, 4, 5, 31], 2, 2)


def test_how_a_file_is_read_is_part_of_what_is_known(store: Store) -> None:
    file = File("1", bill(["1"]))
    for reading, reads in (("a", 1), ("a", 1), ("b", 2)):
        source = Bills("b", [file])
        source.reading = reading  # type: ignore[attr-defined]
        ingest([source], store, NOW)
        assert file.reads == reads
    assert store.versions() == {"cost": 0}


def test_a_change_of_words_alone_is_a_change(store: Store) -> None:
    run(store, File("1", bill(["1"])))
    run(store, File("1", bill(["1"], Tags='{"team": "a"}')))
    assert store.read("cost")["Tags"].to_pylist() == ['{"team": "a"}']


def test_new_files_with_the_same_rows_make_no_version_and_are_known_with_the_next(store: Store) -> None:
    run(store, File("8", bill(["1"], month=8)), File("9", bill(["2"])))
    again = File("8", bill(["1"], month=8), content="written anew")
    run(store, again, File("9", bill(["2"])))
    assert store.versions() == {"cost": 1}
    assert run(store, again, File("9", bill(["3"]))).rows_changed == 2
    run(store, again, File("9", bill(["3"])))
    assert again.reads == 2


class Killed(BaseException):
    """As if the process ended."""


@pytest.mark.parametrize("kept", [0, 1])
def test_an_ingest_that_is_killed_between_two_periods_is_completed(
    store: Store, monkeypatch: pytest.MonkeyPatch, kept: int
) -> None:
    """Also where the file has the same sums as before, and where it is the first of its source."""
    if kept:
        run(store, File("1", pa.concat_tables([bill(["1"], month=8), bill(["2"])])))
    file = File("1", pa.concat_tables([bill(["1"], month=8, Tags="new"), bill(["2"], Tags="new")]))
    put, calls = _bill_write.put, []

    def killed(*args: Any) -> Any:
        calls.append(args)
        if len(calls) == 2:
            raise Killed
        return put(*args)

    monkeypatch.setattr(_bill_write, "put", killed)
    with pytest.raises(Killed):
        run(store, file)
    monkeypatch.undo()
    assert store.read("cost")["Tags"].to_pylist().count("new") == 1
    assert not run(store, file).failures
    assert store.read("cost")["Tags"].to_pylist() == ["new", "new"]
    run(store, file)
    assert file.reads == 2


def test_what_is_known_outlives_the_log(store: Store) -> None:
    """A checkpoint takes the place of the log's older entries; the marks are in it."""
    files = [File("8", bill(["1"], month=8)), File("9", bill(["2"]))]
    run(store, *files)
    DeltaTable(f"{store.root}/cost").create_checkpoint()
    for entry in Path(store.root, "cost", "_delta_log").glob("*.json"):
        entry.unlink()
    assert not run(store, *files).failures
    assert [f.reads for f in files] == [1, 1]


# --- what fails ----------------------------------------------------------------------------------------------------


def test_a_file_that_fails_keeps_all_periods_as_they_are(store: Store) -> None:
    run(store, File("8", bill(["1"], month=8)), File("9", bill(["2"])))
    broken = File("9", bill(["3", "4"]), error=CorruptDataError("9: line 7: no"), block_rows=1)
    report = run(store, File("8", bill(["10"], month=8)), broken)
    assert report.failures == (
        "source 'b': 9: line 7: no",
        "source 'b': no bill was replaced, because not all of it could be read",
    )
    assert left(store) == [1, 2]


def test_a_file_of_a_period_that_its_delivery_names_fails_alone(store: Store) -> None:
    august = File("data/BILLING_PERIOD=2026-08/1.csv", bill(["1"], month=8), complete=True)
    broken = File("data/BILLING_PERIOD=2026-09/1.csv", bill(["2"]), complete=True, error=OSError("cut off"))
    report = run(store, august, broken)
    assert report.failures == (
        "source 'b': cut off",
        "source 'b': 2026-09 was left as it is, because not all of it came",
    )
    assert left(store) == [1]


def test_a_delivery_that_is_not_complete_stops_no_other(store: Store) -> None:
    """Nor does it make anything go: what the missing part held may be all that there is of an account."""
    old = [File("x/20260801-20260901/1", pa.concat_tables([bill(["1"], month=8), bill(["2"], month=8, account="2")]))]
    run(store, *old, File("x/20260901-20261001/1", bill(["3"])))
    new = File("x/20260801-20260901/2", bill(["10"], month=8), complete=True)
    other = File("x/20260901-20261001/2", bill(["30"]), complete=True)
    plain = File("plain", bill(["5"], month=7))
    missing = DataError("x/20260901-20261001/m.json: a file is missing\ny/2026-06: no manifest")
    report = run(store, new, other, plain, error=missing)
    assert report.failures == (
        "source 'b': x/20260901-20261001/m.json: a file is missing",
        "source 'b': y/2026-06: no manifest",
        "source 'b': 2026-09 was left as it is, because not all of it came",
    )
    assert left(store) == [2, 3, 10]


def test_the_same_content_twice_is_refused(store: Store) -> None:
    report = run(store, File("1", bill(["1"])), File("2", bill(["1"])))
    assert "2: the same content as 1; remove one, or it counts twice" in report.failures[0]
    assert store.versions() == {}
    assert not run(store, File("1", bill([])), File("2", bill([])), File("3", bill(["1"]))).failures


def test_rows_under_the_name_of_another_source_are_refused(store: Store) -> None:
    (report,) = ingest([Given("b", "cost", [bill(["1"], source="other")])], store, NOW).sources
    assert "rows of source 'other' came from source 'b'" in report.failures[0]
    assert store.versions() == {}


def test_lines_of_an_error_are_failures_of_their_own(store: Store) -> None:
    error = DataError("account 1: no access\naccount 2: throttled\n  after 5 tries")
    (report,) = ingest([Given("u", "usage", [usage([("a", 0, 1)], "u")], error)], store, NOW).sources
    assert report.failures == ("source 'u': account 1: no access", "source 'u': account 2: throttled\n  after 5 tries")
    assert store.read("usage").num_rows == 1


# --- accounts that do not come again -------------------------------------------------------------------------------


def test_a_complete_delivery_removes_what_does_not_come_again(store: Store) -> None:
    two = pa.concat_tables([bill(["1"], account="1"), bill(["2"], account="2")])
    august = File("0", bill(["3"], month=8, account="2"), complete=True)
    run(store, august, File("1", two))
    report = run(store, august, File("1", bill(["1"], account="1"), complete=True))
    assert left(store) == [1, 3]
    assert report.rows_changed == 1
    assert run(store, august, File("1", bill(["1"], account="1"), complete=True)).rows_changed == 0


def test_a_plain_folder_keeps_what_does_not_come_again_and_says_so(store: Store) -> None:
    run(store, File("1", pa.concat_tables([bill(["1"], account=str(i)) for i in range(9)])))
    report = run(store, File("2", bill(["2"], account="8")))
    assert sum(left(store)) == 10
    assert report.notes[1:] == (
        "2026-09: account 0, 1, 2, 3, 4 and 3 more is in the store but did not come again; kept, since nothing says "
        "that the period came whole",
    )


# --- temporary files -----------------------------------------------------------------------------------------------


def spools(store: Store) -> list[str]:
    return [p.name for p in Path(store.root).glob(".spool-*")]


def test_the_spool_goes_whatever_happens(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []
    run(store, File("1", bill(["1"])))
    monkeypatch.setattr(File, "notes", lambda self: seen.append(len(spools(store))) or 1 // 0)
    with pytest.raises(ZeroDivisionError):
        run(store, File("2", bill(["2"])))
    monkeypatch.undo()
    run(store, File("3", bill(["3"]), error=OSError("no")))
    assert seen == [1]
    assert spools(store) == []


def test_what_a_killed_ingest_left_behind_goes_after_two_days(store: Store) -> None:
    root = Path(store.root)
    for name, days in ((".spool-old", 3), (".spool-running", 0), ("mine", 9)):
        (root / name).mkdir(parents=True)
        at = time.time() - days * 86_400
        os.utime(root / name, (at, at))
    run(store, File("1", bill(["1"])))
    assert {p.name for p in root.iterdir()} == {".spool-running", "mine", "cost"}


def test_a_file_with_too_many_periods_is_no_bill(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_spool, "_MOST_PERIODS", 2)
    report = run(store, File("1", pa.concat_tables([bill(["1"], month=m) for m in (7, 8, 9)])))
    assert "more than 2 different BillingPeriodStart" in report.failures[0]


# --- findings ------------------------------------------------------------------------------------------------------


def focus_bill(path: Path, service: str) -> Any:
    names = [c for c in COST.columns if c not in ("source", "file")]
    table = bill(["1", "2"], ServiceName=service, ServiceCategory="Compute", BillingAccountName="x")
    pacsv.write_csv(table.select(names).cast(pa.schema([(n, pa.string()) for n in names])), path)
    return build(BillSource(kind="focus_files", name="b", path=str(path.parent)), Context(Path))


def test_the_rules_are_run_once_a_file(tmp_path: Path, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    import capacity.quality

    judged: list[str] = []
    validate = capacity.quality.validate_bill

    def counted(batches: Any, **other: Any) -> Any:
        judged.append(other["where"])
        return validate(batches, **other)

    monkeypatch.setattr(capacity.quality, "validate_bill", counted)
    folder = tmp_path / "bills"
    folder.mkdir()
    source = focus_bill(folder / "1.csv", "EC2")
    focus_bill(folder / "2.csv", "S3")
    report = ingest([source], store, NOW)
    assert not report.failed
    found = store.read("findings")
    assert set(found["scope"].to_pylist()) == {"1.csv", "2.csv"}
    assert set(found["frame"].to_pylist()) == {"cost"}
    assert found.num_rows == sum(w.rows_added for w in report.sources[0].writes if w.table == "findings") > 0
    assert ingest([source], store, NOW).versions == report.versions
    focus_bill(folder / "2.csv", "Lambda")
    again = ingest([source], store, NOW)
    assert sorted(judged) == ["1.csv", "2.csv", "2.csv"]
    assert again.versions["findings"] == report.versions["findings"] + 1
    assert (
        store.read("findings", filters=[("scope", "=", "1.csv")]).num_rows
        == found.filter(pc.equal(found["scope"], "1.csv")).num_rows
    )


def test_a_fatal_finding_fails_its_file(store: Store) -> None:
    """What the reader took, but no one else would."""
    file = File("1.csv", bill(["1"]), own=pa.table({"BilledCost": ["1"], "ChargeCategory": ["Nonsense"]}))
    source = Bills("b", [file], check_focus=True)
    (report,) = ingest([source], store, NOW).sources
    assert any("source 'b': 1.csv: fatal: " in f for f in report.failures)
    assert "fatal" in store.read("findings")["severity"].to_pylist()


# --- rows that are replaced by some of their values ----------------------------------------------------------------


def finding(scope: str, rule: str, rows: int = 1, source: str = "b") -> dict[str, Any]:
    return {
        "source": source, "frame": "cost", "scope": scope, "rule": rule, "severity": "error", "column": None,
        "rows": rows, "of": 9, "example": None, "message": "m",
    }  # fmt: skip


def findings(*rows: dict[str, Any]) -> pa.Table:
    return pa.Table.from_pylist(list(rows), schema=FINDINGS.schema)


def test_rows_are_replaced_by_some_of_their_values(store: Store) -> None:
    by = {"source": "b", "scope": "1"}
    assert not store.replace_rows("findings", findings(), by).changed
    assert store.versions() == {}
    first = findings(finding("1", "x"), finding("1", "y"))
    assert store.replace_rows("findings", first, by).rows_added == 2
    store.replace_rows("findings", findings(finding("2", "x")), by | {"scope": "2"})
    assert not store.replace_rows("findings", first.take([1, 0]), by).changed
    report = store.replace_rows("findings", findings(finding("1", "y", 5)), by)
    assert (report.rows_added, report.rows_removed, report.version) == (1, 2, 2)
    assert [(r["scope"], r["rule"], r["rows"]) for r in store.read("findings").to_pylist()] == [
        ("1", "y", 5), ("2", "x", 1),
    ]  # fmt: skip
    assert store.replace_rows("findings", findings(), by).rows_removed == 1
    assert store.read("findings").num_rows == 1


def test_marks_are_recorded_with_rows(store: Store) -> None:
    assert store.marks("findings", ["m"]) == {}
    store.replace_rows("findings", findings(), {"scope": "1"}, {"m": 1})
    assert (store.marks("findings", ["m", "n"]), store.versions()) == ({"m": 1}, {"findings": 0})
    assert store.replace_rows("findings", findings(), {"scope": "1"}, {"m": 1}).version == 0
    assert store.replace_rows("findings", findings(), {"scope": "1"}, {"m": 2}).version == 1
    assert store.marks("findings", ["m"]) == {"m": 2}


def test_rows_that_would_not_be_replaced_next_time_are_refused(store: Store) -> None:
    with pytest.raises(CorruptDataError, match="not all of them have"):
        store.replace_rows("findings", findings(finding("2", "x")), {"scope": "1"})
    with pytest.raises(UsageError, match="at least one column"):
        store.replace_rows("findings", findings(), {})
    with pytest.raises(UsageError, match="no column nope"):
        store.replace_rows("findings", findings(), {"nope": "1"})
