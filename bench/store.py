"""``python -m bench.store``: the store's bars. Each step is a process of its own, so that its peak memory is its own.

python -m bench.store [BILL_ROWS] [POINTS]
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from bench.make_bill import make
from bench.measure import measure
from capacity.schemas import USAGE

ROOT = Path(__file__).resolve().parents[1]
BILL_ROWS, POINTS = 5_000_000, 10_000_000
START = datetime(2026, 8, 1, tzinfo=UTC)
# A point a minute for 60 days: what CloudWatch keeps at 60 s, four times over.
POINTS_A_SERIES = 60 * 24 * 60
QUERIES = 7
CONFIG = """\
version: 1
company: Bench
store: store
sources:
  - {{kind: focus_files, name: bill, path: {bills}, check_focus: false}}
tiers: [{{name: standard, service_level: 0.9}}]
services: [{{name: web, tier: standard, regions: [us-east-1], utilisation_metric: null}}]
"""


def main() -> None:
    bill_rows = int(sys.argv[1]) if len(sys.argv) > 1 else BILL_ROWS
    points = int(sys.argv[2]) if len(sys.argv) > 2 else POINTS
    with tempfile.TemporaryDirectory(dir=os.environ.get("BENCH_TMP")) as folder:
        tmp = Path(folder)
        print("seconds, peak memory of the process tree, exit code")
        _bill(tmp / "bill", bill_rows)
        _usage(tmp / "usage", points)


def _bill(folder: Path, rows: int) -> None:
    make(folder / "files", rows)
    config = folder / "bench.yaml"
    config.write_text(CONFIG.format(bills=folder / "files"), encoding="utf-8")
    said = measure((sys.executable, "-m", "capacity", "ingest", "-c", str(config)), 1)
    print(said.line(f"bill, {rows:,} rows: ingest"))
    _step("daily cost, first of a process", folder / "store", "query", "1")
    _queries(folder / "store")
    _step("store described", folder / "store", "describe")


def _usage(folder: Path, points: int) -> None:
    folder.mkdir(parents=True)
    for number, name in enumerate(("first", "second")):
        _points(folder / f"{name}.parquet", points, number)
    _step(f"usage, {points:,} points: first write", folder / "store", "write", str(folder / "first.parquet"))
    _step("the same again: no version", folder / "store", "write", str(folder / "first.parquet"))
    _step("merged: half changed, a tenth new", folder / "store", "write", str(folder / "second.parquet"))
    _step("compacted", folder / "store", "compact")


def _points(path: Path, points: int, number: int) -> None:
    """Whole series of 60 s points. The second file begins later by a tenth, and half of its values are others."""
    series = max(1, points // POINTS_A_SERIES)
    each = points // series
    shift = number * each // 10
    micros = int(START.timestamp() * 1e6) + (np.arange(each) + shift) * 60_000_000
    value = (np.arange(each) + shift) % 1440 + np.where((np.arange(each) + shift) % 2, number, 0)
    text = {"source": "bench", "account_id": "1", "region": "us-east-1", "metric": "cpu_percent"}
    text |= {"stat": "avg", "unit": "%"}
    ts = pa.array(micros).cast(USAGE.schema.field("ts").type)
    with pq.ParquetWriter(path, USAGE.schema) as writer:
        for i in range(series):
            columns = {k: pa.repeat(v, each) for k, v in text.items()}
            columns |= {"service": pa.repeat(f"service-{i:04d}", each), "period_seconds": pa.repeat(60, each)}
            columns |= {
                "ts": ts,
                "value": pa.array(value.astype(float)),
            }
            writer.write_table(pa.table({c: columns[c] for c in USAGE.columns}, schema=USAGE.schema))


def _step(title: str, store: Path, *what: str) -> None:
    print(
        measure((sys.executable, "-m", "bench.store", "step", str(store), *what), 1, cwd=ROOT).line(title), flush=True
    )


def _queries(root: Path) -> None:
    """In one process, as a front end asks: the median of several."""
    from capacity.store import Store, daily_cost

    store, seconds = Store(root), []
    for _ in range(QUERIES):
        began = time.perf_counter()
        found = daily_cost(store)
        seconds.append(time.perf_counter() - began)
    ordered = sorted(seconds)
    print(
        f"{'daily cost by service, in process':<46} {ordered[len(ordered) // 2]:>8.2f} s  "
        f"({ordered[0]:.2f} to {ordered[-1]:.2f})  {found.num_rows:,} rows"
    )


def step(root: str, what: str, argument: str = "") -> None:
    """One step in this process."""
    from capacity import store as package

    store, now = package.Store(root), datetime.now(UTC)
    if what == "query":
        package.daily_cost(store)
    elif what == "describe":
        package.describe(store, now)
    elif what == "compact":
        package.compact(store, lambda *_: None)
    else:
        store.write("usage", pq.read_table(argument))


if __name__ == "__main__":
    step(*sys.argv[2:]) if sys.argv[1:2] == ["step"] else main()
