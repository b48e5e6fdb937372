"""Restatements: whole periods, ledgers of differences, and negations with new rows end in the same state."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from capacity.config import BillSource
from capacity.schemas import COST, COST_MONEY
from capacity.sources import Context, build
from capacity.store import Store, _stream, ingest
from capacity.store._corrections import IDENTITY, MEASURES
from tests.store.frames import NOW, Bills, File, bill

MODES = ("ledger", "delta")


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


def state(store: Store) -> Counter[tuple[Any, ...]]:
    """The rows of the store, but for what tells of their delivery."""
    kept = [c for c in COST.columns if c not in ("file", "ChargeDescription")]
    return Counter(tuple(r[c] for c in kept) for r in store.read("cost").to_pylist())


def left(store: Store) -> list[Any]:
    return sorted(store.read("cost")["BilledCost"].to_pylist())


def differences(mode: str, *files: File, name: str = "b") -> Bills:
    return Bills(name, list(files), corrections=mode)


def negated(table: pa.Table) -> pa.Table:
    rows = [r | {m: None if r[m] is None else -r[m] for m in MEASURES} for r in table.to_pylist()]
    return pa.Table.from_pylist(rows, schema=COST.schema)


# --- the specification's restated bill -----------------------------------------------------------------------------

DEFAULTS = {"BillingAccountId": "1", "BillingCurrency": "USD", "ServiceName": "example"}


def test_the_restated_bill_of_the_specification_in_three_styles(real_data: Path, tmp_path: Path) -> None:
    """1,500 of R-111 become 1,200, and 300 of R-222 come to it, whichever way it is told."""
    folder = real_data / "cost" / "focus_corrections"
    states = {}
    for style, mode in (("replacement", "replace"), ("ledger", "ledger"), ("delta", "delta")):
        store = Store(tmp_path / style)
        for part in ("original", style):
            path = folder / f"open_scenario_1_{part}.csv"
            config = BillSource(
                kind="focus_files",
                name="vendor",
                path=str(path),
                defaults=DEFAULTS,
                corrections=mode,
                check_focus=False,
            )
            (report,) = ingest([build(config, Context(Path))], store, NOW).sources
            assert not report.failures
            assert all(c.agrees for c in report.checks)
        states[style] = state(store)
        assert {r["ResourceId"]: r["BilledCost"] for r in store.read("cost").to_pylist()} == {
            "R-111": 1200,
            "R-222": 300,
        }
        assert store.read("cost", version=0)["BilledCost"].to_pylist() == [1500]
    assert states["replacement"] == states["ledger"] == states["delta"]


# --- any bill, any corrections -------------------------------------------------------------------------------------

Amounts = tuple[Decimal | None, ...]
Identity = tuple[str, int, str]  # account, month, resource
CENT = Decimal("0.01")


@dataclass
class Story:
    """A bill, and rounds of what becomes of some of its identities: new amounts, or none."""

    original: list[tuple[Identity, Amounts]]
    rounds: list[dict[Identity, Amounts | None]]
    cuts: list[int] = field(default_factory=list)
    apart: str = "ledger"
    grows: bool = True


@st.composite
def stories(draw: st.DrawFn) -> Story:
    identities = st.tuples(st.sampled_from("12"), st.integers(7, 8), st.sampled_from(["i-1", "i-2", "i-3"]))
    # List cost is null for one resource throughout, so that netting a null needs no opinion.
    units = st.integers(1, 9).map(lambda n: n * CENT)

    def amounts(of: Identity) -> st.SearchStrategy[Amounts]:
        listed = st.none() if of[2] == "i-1" else units
        signed = st.one_of(units, units, units.map(lambda v: -v))
        return st.tuples(signed, signed, listed, listed, units, st.none(), st.none())

    rows = [(i, draw(amounts(i))) for i in draw(st.lists(identities, min_size=1, max_size=6))]
    rounds = []
    for _ in range(draw(st.integers(1, 2))):
        touched = draw(st.lists(identities, min_size=1, max_size=3, unique=True))
        rounds.append({i: draw(st.one_of(st.none(), amounts(i))) for i in touched})
    cuts = draw(st.lists(st.integers(0, 3), min_size=2, max_size=2))
    return Story(rows, rounds, cuts, draw(st.sampled_from(MODES)), draw(st.booleans()))


def table_of(rows: Sequence[tuple[Identity, Amounts]], told: str) -> pa.Table:
    parts = [COST.schema.empty_table()]
    for (account, month, resource), amounts in rows:
        row = bill(["0"], month, account, "b", ResourceId=resource, ChargeDescription=told).to_pylist()[0]
        parts.append(pa.Table.from_pylist([row | dict(zip(MEASURES, amounts, strict=True))], schema=COST.schema))
    return pa.concat_tables(parts)


def summed(rows: Sequence[Amounts]) -> Amounts:
    return tuple(
        None if all(v is None for v in c) else sum(v or Decimal(0) for v in c) for c in zip(*rows, strict=True)
    )


def tell(story: Story) -> tuple[list[tuple[Identity, Amounts]], list[pa.Table], list[pa.Table]]:
    """The rows at the end, and the corrections of each round as a ledger and as a delta."""
    now = list(story.original)
    ledgers, deltas = [], []
    for change in story.rounds:
        ledger, negations, fresh = [], [], []
        for identity, new in change.items():
            old = [a for i, a in now if i == identity]
            if not old and new is None:
                continue
            minus = [tuple(None if v is None else -v for v in a) for a in old]
            ledger.append((identity, summed([*minus, *([new] if new else [])])))
            negations += [(identity, a) for a in minus]
            fresh += [(identity, new)] if new else []
            now = [(i, a) for i, a in now if i != identity] + ([(identity, new)] if new else [])
        ledgers.append(table_of(ledger, "difference"))
        deltas.append(pa.concat_tables([table_of(negations, "negation"), table_of(fresh, "correct")]))
    return now, ledgers, deltas


def cut(table: pa.Table, at: int) -> list[pa.Table]:
    """``table`` in one piece or in two."""
    return [table.slice(0, at), table.slice(at)] if 0 < at < table.num_rows else [table]


# A row that no correction touches keeps each period and account alive, so that a replacement has a file for it.
ANCHORS = [((a, m, "anchor"), (CENT,) * 4 + (None,) * 3) for a in "12" for m in (7, 8)]


@settings(max_examples=max(6, settings.get_profile(settings.get_current_profile_name()).max_examples // 6))
@given(stories())
def test_three_styles_end_in_one_state(tmp_path_factory: pytest.TempPathFactory, story: Story) -> None:
    folder = tmp_path_factory.mktemp("styles")
    end, ledgers, deltas = tell(story)
    first = table_of([*ANCHORS, *story.original], "original")
    replaced = Store(folder / "replace")
    for table in (first, table_of([*ANCHORS, *end], "correct")):
        assert not ingest([Bills("b", [File("bill", table, complete=True)])], replaced, NOW).failed
    want = state(replaced)
    for mode, corrections in (("ledger", ledgers), ("delta", deltas)):
        pieces = [p for c, at in zip(corrections, story.cuts, strict=False) for p in cut(c, at)]
        files = [File(f"{i}", t, content=f"{i}") for i, t in enumerate([first, *pieces])]
        store = Store(folder / mode)
        apply_all(differences(mode, *files), store)
        assert state(store) == want
        if mode != story.apart:
            continue
        store = Store(folder / "apart")
        for i in range(len(files)):  # a folder that grows, or one that only ever has the newest file
            arrived = files[: i + 1] if story.grows else [files[i]]
            assert not ingest([differences(mode, *arrived)], store, NOW).failed
        assert state(store) == want


def apply_all(source: Bills, store: Store) -> None:
    """One ingest, and a second that does nothing."""
    (report,) = ingest([source], store, NOW).sources
    assert not report.failures
    assert all(c.agrees for c in report.checks)
    version = store.versions()
    (again,) = ingest([source], store, NOW).sources
    assert (again.failures, again.rows_changed, store.versions()) == ((), 0, version)


# --- what is folded, and what is not -------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", MODES)
def test_a_second_row_of_one_identity_that_nothing_corrects_stays(store: Store, mode: str) -> None:
    twins = bill(["5", "7"], ResourceId="same")
    other = bill(["1"], ResourceId="other")
    assert not ingest([differences(mode, File("1", twins), File("2", other))], store, NOW).failed
    assert left(store) == [1, 5, 7]


def test_a_delta_cancels_the_one_row_that_it_negates(store: Store) -> None:
    twins = bill(["5", "5", "7"], ResourceId="same")
    correction = pa.concat_tables([negated(bill(["5"], ResourceId="same")), bill(["6"], ResourceId="same")])
    assert not ingest([differences("delta", File("1", twins), File("2", correction))], store, NOW).failed
    assert left(store) == [5, 6, 7]


def test_a_charge_and_its_refund_in_one_file_stay_two_rows(store: Store) -> None:
    pair = pa.concat_tables([bill(["5"], ResourceId="same"), negated(bill(["5"], ResourceId="same"))])
    assert not ingest([differences("delta", File("1", pair))], store, NOW).failed
    assert left(store) == [-5, 5]


def test_a_delta_corrects_one_of_two_credits(store: Store) -> None:
    credits = negated(bill(["4", "9"], ResourceId="same"))
    correction = pa.concat_tables([bill(["4"], ResourceId="same"), negated(bill(["6"], ResourceId="same"))])
    assert not ingest([differences("delta", File("1", credits), File("2", correction))], store, NOW).failed
    assert left(store) == [-9, -6]


def test_a_ledger_of_twins_nets_them(store: Store) -> None:
    """A difference does not say which of two rows of one identity it is for: they become one."""
    ingest(
        [differences("ledger", File("1", bill(["5", "7"], ResourceId="same", ChargeDescription="first")))], store, NOW
    )
    change = negated(bill(["2"], ResourceId="same", ChargeDescription="decrement"))
    (report,) = ingest([differences("ledger", File("2", change))], store, NOW).sources
    (row,) = store.read("cost").to_pylist()
    assert (row["BilledCost"], row["file"], row["ChargeDescription"]) == (10, "1", "first")
    (check,) = report.checks
    assert (check.before.billed, check.files.billed, check.store.billed, check.agrees) == (12, -2, 10, True)
    assert check.lines()[0] == ("BilledCost", 10, 10, 0)
    assert (report.writes[0].rows_removed, report.writes[0].rows_added) == (2, 1)


def test_a_negation_of_nothing_that_was_there_is_netted(store: Store) -> None:
    ingest([differences("delta", File("1", bill(["5"], ResourceId="a")))], store, NOW)
    ingest([differences("delta", File("2", negated(bill(["2"], ResourceId="a"))))], store, NOW)
    assert left(store) == [3]


@pytest.mark.parametrize("mode", MODES)
def test_what_comes_to_zero_is_gone(store: Store, mode: str) -> None:
    ingest([differences(mode, File("1", bill(["5", "1"])))], store, NOW)
    gone = bill(["5"])
    (report,) = ingest([differences(mode, File("2", negated(gone)))], store, NOW).sources
    assert left(store) == [1]
    (report,) = ingest([differences(mode, File("3", negated(bill(["0", "1"]).slice(1))))], store, NOW).sources
    assert left(store) == []
    assert [(c.store.rows, c.store.billed, c.agrees) for c in report.checks] == [(0, 0, True)]


@pytest.mark.parametrize("mode", MODES)
def test_other_prices_are_other_identities(store: Store, mode: str) -> None:
    first = bill(["10"], ListUnitPrice=Decimal(2))
    ingest([differences(mode, File("1", first))], store, NOW)
    change = pa.concat_tables([negated(first.slice(0)), bill(["9"], ListUnitPrice=Decimal(3))])
    change = change.set_column(
        change.schema.get_field_index("ListUnitPrice"),
        COST.schema.field("ListUnitPrice"),
        pa.array([Decimal(2), Decimal(3)], COST.schema.field("ListUnitPrice").type),
    )
    assert not ingest([differences(mode, File("2", change))], store, NOW).failed
    assert [(r["BilledCost"], r["ListUnitPrice"]) for r in store.read("cost").to_pylist()] == [(9, 3)]
    assert "ListUnitPrice" in IDENTITY


def test_sums_of_twelve_decimals_net_exactly(store: Store) -> None:
    big = "99999999999999999999.000000000001"
    ingest([differences("ledger", File("1", bill([big])))], store, NOW)
    ingest([differences("ledger", File("2", negated(bill(["99999999999999999999"]))))], store, NOW)
    assert left(store) == [Decimal("1e-12")]


# --- once, in order, and told apart --------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", MODES)
def test_a_file_is_applied_once_by_its_content(store: Store, mode: str) -> None:
    first, change = File("1", bill(["5"])), File("2", negated(bill(["2"])))
    ingest([differences(mode, first, change)], store, NOW)
    version = store.versions()
    copy = File("copy of 2", negated(bill(["2"])))
    (report,) = ingest([differences(mode, change, copy)], store, NOW).sources
    assert not report.failures
    assert report.notes == ("2 files were applied before (or are copies); not applied again",)
    assert (left(store), store.versions(), change.reads) == ([3], version, 1)
    assert [c.store.billed for c in report.checks] == [3]


def test_other_content_under_a_known_name_is_refused(store: Store) -> None:
    """A ledger that grows in one file would count its first rows twice."""
    ingest([differences("ledger", File("ledger.csv", bill(["5"])))], store, NOW)
    (report,) = ingest([differences("ledger", File("ledger.csv", bill(["5", "6"])))], store, NOW).sources
    assert "ledger.csv was applied before with other content" in report.failures[0]
    assert left(store) == [5]


@pytest.mark.parametrize("mode", MODES)
def test_nothing_after_a_file_that_fails_is_applied(store: Store, mode: str) -> None:
    first, third = File("1", bill(["5"])), File("3", negated(bill(["3"])))
    broken = File("2", negated(bill(["1"])), error=OSError("cut off"))
    (report,) = ingest([differences(mode, first, broken, third)], store, NOW).sources
    assert report.failures == ("source 'b': cut off", "source 'b': 2 and all files after it were not applied")
    assert left(store) == [5]
    assert not ingest([differences(mode, first, replace(broken, error=None), third)], store, NOW).failed
    assert left(store) == [1]


def test_a_way_of_restating_is_not_changed_under_one_name(store: Store) -> None:
    ingest([Bills("b", [File("1", bill(["5"]))])], store, NOW)
    (report,) = ingest([differences("ledger", File("1", bill(["5"])))], store, NOW).sources
    assert "give the source with corrections: ledger another name" in report.failures[0]
    ingest([differences("ledger", File("1", bill(["5"], source="c")), name="c")], store, NOW)
    (report,) = ingest([Bills("c", [File("1", bill(["5"], source="c"))])], store, NOW).sources
    assert "put together from differences" in report.failures[0]
    assert left(store) == [5, 5]


def test_rows_that_were_changed_by_other_hands_are_seen(store: Store) -> None:
    ingest([differences("ledger", File("1", bill(["5"], source="b")))], store, NOW)
    store.replace_bill(bill(["6"], source="b"))
    (report,) = ingest([differences("ledger", File("2", bill(["1"], source="b")))], store, NOW).sources
    assert "are not those of the files applied so far" in report.failures[0]
    assert left(store) == [6]


def test_a_write_that_went_wrong_is_taken_back_with_its_marks(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file counts as not applied, so the next ingest applies it."""
    ingest([differences("ledger", File("1", bill(["5", "6"], source="b")))], store, NOW)
    overwrite, calls = _stream.overwrite, []

    def lossy(table: Any, name: str, rows: Any, predicate: str, marks: Any) -> None:
        calls.append(marks)
        overwrite(table, name, iter(()) if len(calls) == 1 else rows, predicate, marks)

    change = differences("ledger", File("2", negated(bill(["1"], source="b"))))
    with monkeypatch.context() as patch:
        patch.setattr(_stream, "overwrite", lossy)
        (report,) = ingest([change], store, NOW).sources
    assert "nothing was changed" in report.failures[0]
    assert (len(calls), left(store)) == (2, [5, 6])
    assert not ingest([change], store, NOW).failed
    assert left(store) == [4, 6]


def test_corrections_of_many_periods_are_one_version(store: Store) -> None:
    first = pa.concat_tables([bill(["5"], month=m, account=a) for m in (7, 8) for a in "12"])
    change = pa.concat_tables([negated(bill(["1"], month=m)) for m in (7, 8)])
    report = ingest([differences("ledger", File("1", first), File("2", change))], store, NOW)
    assert report.versions == {"cost": 0}
    found = {(r["BillingAccountId"], r["BillingPeriodStart"]): r["BilledCost"] for r in store.read("cost").to_pylist()}
    july, august = (datetime(2026, m, 1, tzinfo=UTC) for m in (7, 8))
    assert found == {("1", july): 4, ("1", august): 4, ("2", july): 5, ("2", august): 5}
    assert set(COST_MONEY) < set(MEASURES)


@pytest.mark.parametrize("mode", MODES)
def test_ingests_that_meet_apply_a_correction_once(store: Store, mode: str) -> None:
    def run(_: int) -> Any:
        files = [File("1", bill(["5", "1"])), File("2", negated(bill(["5"]))), File("3", bill(["3"]))]
        return ingest([differences(mode, *files)], Store(store.root), NOW)

    with ThreadPoolExecutor(4) as pool:
        reports = list(pool.map(run, range(4)))
    assert [r.failures for r in reports] == [()] * 4
    assert left(store) == [1, 3]
    assert store.versions() == {"cost": 0}
