"""Ingests killed at random moments: nothing lost, nothing doubled, no torn period, and the next run completes them."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from capacity.errors import DataError
from capacity.schemas import COST_MONEY, COST_PERIOD_KEY, TABLES
from capacity.store import Store, _log, describe, vacuum
from tests.store import crash_data
from tests.store.frames import usage

ROOT = Path(__file__).parents[2]
KILLS = 100 if os.environ.get("CAPACITY_TEST_PROFILE") == "full" else 10
State = dict[str, pa.Table]


class Nursery:
    """Starts ingests in processes of their own, and kills them."""

    def __init__(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.store.nursery"],
            cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        assert self._line() == "ready"

    def _line(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def run(self, config: Path, kill_after: float | None = None) -> tuple[int, float]:
        """Exit code (negative: the signal) and seconds of one ingest."""
        assert self.process.stdin is not None
        self.process.stdin.write(f"{config}\n")
        self.process.stdin.flush()
        began, child = time.perf_counter(), int(self._line())
        if kill_after is not None:
            time.sleep(kill_after)
            with suppress(ProcessLookupError):  # it had ended
                os.kill(child, signal.SIGKILL)
        return int(self._line()), time.perf_counter() - began

    def close(self) -> None:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.close()
        self.process.wait(20)
        self.process.stdout.close()


@dataclass(frozen=True)
class Undisturbed:
    """Folders with a store as it is after delivery a, and after a and b; what they hold; how long an ingest took."""

    folders: dict[str, Path]
    states: dict[str, State]
    seconds: dict[str, float]


@pytest.fixture(scope="module")
def nursery() -> Iterator[Nursery]:
    found = Nursery()
    yield found
    found.close()


@pytest.fixture(scope="module")
def undisturbed(nursery: Nursery, tmp_path_factory: pytest.TempPathFactory) -> Undisturbed:
    folder = tmp_path_factory.mktemp("undisturbed")
    folders, states, seconds = {}, {}, {}
    for delivery in ("a", "b"):
        config = crash_data.write(folder / "work", delivery)
        code, seconds[delivery] = nursery.run(config)
        assert code == 0
        states[delivery] = state(Store(folder / "work" / "store"))
        folders[delivery] = shutil.copytree(folder / "work", folder / delivery)
    return Undisturbed(folders, states, seconds)


def state(store: Store) -> State:
    """Every table, in an order that does not depend on how it came in."""
    found = {name: store.read(name) for name in store.versions()}
    if "cost" in found:
        order = ["file", "BillingPeriodStart", "BillingAccountId", "ResourceId"]
        found["cost"] = found["cost"].sort_by([(c, "ascending") for c in order])
    return found


def alike(one: State, other: State) -> bool:
    return set(one) == set(other) and all(table.equals(other[name]) for name, table in one.items())


def periods(cost: pa.Table | None) -> dict[tuple[object, ...], tuple[object, ...]]:
    """Rows and the four exact sums of each billing period of each account."""
    if cost is None:
        return {}
    keys = list(COST_PERIOD_KEY)
    sums = cost.group_by(keys).aggregate([*((c, "sum") for c in COST_MONEY), ([], "count_all")]).to_pylist()
    return {tuple(r[k] for k in keys): tuple(v for k, v in r.items() if k not in keys) for r in sums}


def check(store: Store, before: State, after: State) -> None:
    """All tables whole and readable in every version; each source of usage and each period is the old or the new."""
    found = state(store)
    for name, version in store.versions().items():
        assert all(store.read(name, v).schema == TABLES[name].schema for v in range(version + 1))
    for name in set(found) - {"cost"}:
        key = list(TABLES[name].key)
        assert found[name].group_by(key).aggregate([]).num_rows == found[name].num_rows
        for source in sources(found[name]):
            part = of(found[name], source)
            assert any(name in s and part.equals(of(s[name], source)) for s in (before, after)), (name, source)
    if "cost" in found:
        rows = found["cost"].group_by(["file", "BillingAccountId", "ResourceId"]).aggregate([]).num_rows
        assert rows == found["cost"].num_rows
    known, old, new = periods(found.get("cost")), periods(before.get("cost")), periods(after["cost"])
    assert set(old) <= set(known) <= set(new)
    assert all(sums in (old.get(key), new[key]) for key, sums in known.items())


def sources(table: pa.Table) -> list[str | None]:
    return pc.unique(table["source"]).to_pylist() if "source" in table.column_names else [None]


def of(table: pa.Table, source: str | None) -> pa.Table:
    return table if source is None else table.filter(pc.equal(table["source"], source))


@pytest.mark.parametrize("first", ["a", "b"])
def test_killed_ingests(nursery: Nursery, undisturbed: Undisturbed, tmp_path: Path, first: str) -> None:
    """Half of the kills hit the ingest that makes the tables, half one that changes them; the same seeds every time."""
    rng = random.Random(f"capacity {first}")
    before = {} if first == "a" else undisturbed.states["a"]
    hit = leftovers = 0
    seconds = undisturbed.seconds[first]
    for kill in range(KILLS // 2):
        folder = tmp_path / str(kill)
        shutil.copytree(undisturbed.folders[first], folder, ignore=shutil.ignore_patterns("store"))
        if first == "b":
            shutil.copytree(undisturbed.folders["a"] / "store", folder / "store")
        config = folder / "config.yaml"
        code, took = nursery.run(config, rng.uniform(0, 1.1 * seconds))
        assert code in (0, -signal.SIGKILL)
        if code == 0:  # the machine is faster now than it was
            seconds = min(seconds, took)
        hit += code != 0
        store = Store(folder / "store")
        check(store, before, undisturbed.states[first])
        assert nursery.run(config)[0] == 0
        assert alike(state(store), undisturbed.states[first])
        leftovers += cleaned(nursery, config, store)
        shutil.rmtree(folder)
    print(f"{hit} of {KILLS // 2} kills hit; {leftovers} files left behind and cleaned up")
    assert hit >= KILLS // 4


@pytest.fixture
def s3_nursery(s3_prefix: str) -> Iterator[Nursery]:
    """One whose environment reaches the bucket."""
    assert s3_prefix
    found = Nursery()
    yield found
    found.close()


def test_killed_ingests_on_s3(s3_nursery: Nursery, undisturbed: Undisturbed, s3_prefix: str, tmp_path: Path) -> None:
    """An object is there whole or not at all, so the same holds; each kill has a prefix of its own."""
    rng = random.Random("capacity s3")
    folder = shutil.copytree(undisturbed.folders["a"], tmp_path / "s3", ignore=shutil.ignore_patterns("store"))
    config = folder / "config.yaml"
    addressed(config, f"{s3_prefix}/undisturbed")
    code, seconds = s3_nursery.run(config)
    assert code == 0
    hit = 0
    for kill in range(KILLS // 5):
        store = addressed(config, f"{s3_prefix}/{kill}")
        hit += s3_nursery.run(config, rng.uniform(0, seconds))[0] != 0
        check(store, {}, undisturbed.states["a"])
        assert s3_nursery.run(config)[0] == 0
        vacuum(store, datetime.now(UTC) + timedelta(hours=25), lambda *_: None, dry_run=False)
        assert alike(state(store), undisturbed.states["a"])
        for table in describe(store, datetime.now(UTC)):
            assert table.files_in_all <= len(_log.mentions(store.place / table.name))
    print(f"{hit} of {KILLS // 5} kills on S3 hit")
    assert hit >= 1


def addressed(config: Path, root: str) -> Store:
    config.write_text(crash_data.CONFIG.replace("store: store", f"store: {root}"), encoding="utf-8")
    return Store(root)


def cleaned(nursery: Nursery, config: Path, store: Store) -> int:
    """Days later a vacuum and an ingest have removed what the kill left; returns how many files that was."""
    root = Path(store.root)
    old = time.time() - 3 * 86_400
    spools = list(root.glob(".spool-*"))
    for path in spools:
        os.utime(path, (old, old))
    expected = state(store)
    found = vacuum(store, datetime.now(UTC) + timedelta(hours=25), lambda *_: None, dry_run=False)
    assert not any(v.expired for v in found)
    if spools:
        assert nursery.run(config)[0] == 0
    for name in TABLES:
        folder = root / name
        on_disk = {p.name for p in folder.glob("*")} - {_log.LOG}
        assert on_disk <= set(_log.mentions(store.place / name))
    assert not list(root.glob(".spool-*"))
    assert alike(state(store), expected)
    return sum(len(v.leftovers) for v in found) + len(spools)


# --- a folder that takes nothing more ----------------------------------------------------------------------


WRITER = """
import os, resource, signal, sys
from capacity.errors import DataError
from capacity.store import Store, compact
from tests.store.frames import bill, usage
store = Store(sys.argv[1])
points = usage([(s, h, h * 1.1) for s in "abcdefgh" for h in range(4000)])
store.read("usage")
if sys.argv[2] == "full":
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (3_000, 3_000))
elif os.getuid() == 0:
    os.setgid(65534)
    os.setuid(65534)
jobs = (
    lambda: store.write("usage", points),
    lambda: store.replace_bill(bill([str(i * i) for i in range(3000)])),
    lambda: compact(store, lambda *_: None),
)
for job in jobs:
    try:
        job()
        print("was written")
    except DataError as error:
        print(error)
"""


@pytest.mark.parametrize("how", ["full", "read-only"])
def test_a_full_disk_and_a_read_only_folder(tmp_path: Path, how: str) -> None:
    """A table that exists, one that does not, and a compaction: each says what is wrong and changes nothing."""
    store = Store(tmp_path / "store")
    pieces = [usage([(s, h, h) for s in "abcdefgh" for h in range(60 * i, 60 * i + 60)]) for i in range(3)]
    for piece in pieces:
        store.write("usage", piece)
    before = state(store)
    if how == "read-only":
        _for_others(tmp_path, 0o555)
    command = [sys.executable, "-c", WRITER, store.root, how]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)
    _for_others(tmp_path, 0o755)
    assert done.returncode == 0, done.stderr
    said = done.stdout.splitlines()
    assert len(said) == 3
    assert all(
        "cannot be written" in line and "check the folder, its rights and the free space" in line for line in said
    )
    assert store.versions() == {"usage": 2}
    assert state(store)["usage"].equals(before["usage"])
    assert store.write("usage", usage([("a", 0, 9)])).changed


def _for_others(folder: Path, mode: int) -> None:
    """The folder's mode for everyone; the folders above it can be passed."""
    for path in folder.parents:  # one more of them where several test processes run
        if path == Path(tempfile.gettempdir()):
            break
        path.chmod(0o755)
    for path in (folder, *folder.rglob("*")):
        path.chmod(mode if path.is_dir() else mode & 0o644)


def test_a_log_that_is_damaged_is_said(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.write("usage", usage([("a", 0, 1)]))
    (tmp_path / "usage" / "_delta_log" / f"{0:020d}.json").write_text('{"commitInfo":')
    with pytest.raises(DataError, match="restore the folder"):
        store.read("usage")
