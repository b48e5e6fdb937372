"""Many processes on one store for a while: ``python -m tests.store.crowd ROOT SECONDS``, which prints what they saw.

Four ingest, eight read, one compacts. All are forked from one process that has imported everything and started no
thread. Every ingest alternates between a few known deliveries of a bill of its own, of a bill that all share, and of
usage; every reader compares what it sees with these.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
import time
import traceback
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from capacity.schemas import USAGE
from capacity.store import Store, _delta, compact, daily_cost, ingest
from tests.store.frames import NOW, Given, bill, usage

WRITERS, READERS = 4, 8
PERIOD = ["source", "BillingPeriodStart"]


def rows_of(writer: int, turn: int) -> list[str]:
    """Amounts of a delivery: another number of rows and another sum for each writer and each of three turns."""
    return [f"{writer + 1}.{turn % 3 + 1:06d}"] * (40 * (writer + 1) + 7 * (turn % 3))


def known_sums(writers: range) -> set[tuple[int, Decimal]]:
    out = set()
    for writer in writers:
        for turn in range(3):
            amounts = rows_of(writer, turn)
            out.add((len(amounts), Decimal(amounts[0]) * len(amounts)))
    return out


def deliveries(me: int, turn: int) -> list[Given]:
    own = [bill(rows_of(me, turn), month, source=f"own-{me}") for month in (8, 9)]
    mine = usage([(s, h, h) for s in "ab" for h in range(30 * turn, 30 * turn + 30)], f"u-{me}")
    shared = usage([("s", h, turn) for h in range(20)], "shared")
    return [
        Given(f"own-{me}", "cost", own),
        Given("shared-bill", "cost", [bill(rows_of(me, turn), 7, source="shared-bill")]),
        Given(f"u-{me}", "usage", [mine]),
        Given("shared", "usage", [shared]),
    ]


def write(store: Store, me: int, seen: Counter[str]) -> None:
    report = ingest(deliveries(me, seen["rounds"]), store, NOW)
    if report.failures:
        raise AssertionError("\n".join(report.failures))


def read(store: Store, me: int, seen: Counter[str]) -> None:
    moment = datetime.now(UTC) - timedelta(seconds=1)
    versions, then = store.versions(), store.versions(moment)
    assert all(then[name] <= versions.get(name, -1) for name in then), (then, versions)
    for at in (versions, then):
        if "cost" in at:
            whole_periods(store.read("cost", at["cost"], columns=[*PERIOD, "BilledCost"]), seen)
        if "usage" in at:
            one_value_a_commit(store.read("usage", at["usage"]), seen)
    if "cost" in versions and me % 2:
        days = daily_cost(store, versions["cost"], by=("source",))
        known = sorted(known_sums(range(WRITERS)))
        assert {d["EffectiveCost"] for d in days.to_pylist()} <= {total for _, total in known}


def whole_periods(cost: pa.Table, seen: Counter[str]) -> None:
    found = cost.group_by(PERIOD).aggregate([("BilledCost", "sum"), ([], "count_all")]).to_pylist()
    for row in found:
        source = row["source"]
        writers = range(WRITERS) if source == "shared-bill" else range(int(source[-1]), int(source[-1]) + 1)
        assert (row["count_all"], row["BilledCost_sum"]) in known_sums(writers), row
        seen["periods"] += 1
    # The months of a writer's own bill are two commits, so they may differ; never more than these are there.
    assert len(found) <= 2 * WRITERS + 1


def one_value_a_commit(table: pa.Table, seen: Counter[str]) -> None:
    assert table.group_by(list(USAGE.key)).aggregate([]).num_rows == table.num_rows
    for me in range(WRITERS):
        assert pc.sum(pc.equal(table["source"], f"u-{me}")).as_py() % 60 == 0
    shared = table.filter(pc.equal(table["source"], "shared"))
    assert len(shared["value"].unique()) <= 1
    assert shared.num_rows in (0, 20)
    seen["points"] += table.num_rows


def tidy(store: Store, me: int, seen: Counter[str]) -> None:
    seen["joined"] += sum(c.rows for c in compact(store, lambda *_: None))
    time.sleep(0.2)


def worker(root: str, job: Callable[[Store, int, Counter[str]], None], me: int, until: float, out: int) -> None:
    seen: Counter[str] = Counter()
    count_conflicts(seen)
    try:
        while time.time() < until or not seen["rounds"]:
            job(Store(root), me, seen)
            seen["rounds"] += 1
        result: dict[str, Any] = {"job": job.__name__, **seen}
    except BaseException:
        result = {"job": job.__name__, **seen, "error": traceback.format_exc()}
    os.write(out, (json.dumps(result) + "\n").encode())


def count_conflicts(seen: Counter[str]) -> None:
    class Counted(_delta.ConflictError):
        def __init__(self, *details: object) -> None:
            super().__init__(*details)
            seen["conflicts"] += 1

    _delta.ConflictError = Counted  # type: ignore[misc]


def main(root: str, seconds: float) -> None:
    for module in ("deltalake.fs", "duckdb", "pyarrow.dataset", "pyarrow.parquet"):
        importlib.import_module(module)
    until = time.time() + seconds
    jobs = [(write, i) for i in range(WRITERS)] + [(read, i) for i in range(READERS)] + [(tidy, 0)]
    children = []
    for job, me in jobs:
        ours, theirs = os.pipe()
        child = os.fork()
        if child == 0:
            worker(root, job, me, until, theirs)
            os._exit(0)
        os.close(theirs)
        children.append((child, ours))
    for child, pipe in children:
        with os.fdopen(pipe) as stream:
            print(stream.read().strip() or json.dumps({"job": "?", "error": "no word"}), flush=True)
        os.waitpid(child, 0)


if __name__ == "__main__":
    main(sys.argv[1], float(sys.argv[2]))
