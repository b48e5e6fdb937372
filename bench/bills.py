"""``python -m bench.bills``: FOCUS bills of 1, 2 and 5 million rows into the store, each a process of its own.

    python -m bench.bills [ROWS ...]

The bar: 5,000,000 rows in at most 60 s and 3 GiB on two cores, and seconds that grow with the rows. Each bill is
ingested without the FOCUS rules, again as it is, with its last file delivered anew, and (into another store) with the
rules. The phases of the largest say where the time goes.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

from bench.make_bill import make
from bench.measure import Measured, measure

ROWS = (1_000_000, 2_000_000, 5_000_000)
MOST_SECONDS, MOST_GIB, BAR_ROWS = 60, 3, 5_000_000
NOW = datetime(2026, 10, 5, tzinfo=UTC)
# What an ingest says, and the phase that ends with it.
PHASES = (
    (re.compile(r"parquet: [\d,]+ rows$"), "read, converted, spooled, re-added"),
    (re.compile(r"cost \d{4}-\d\d: "), "written and read back"),
    (re.compile(r"judged by the FOCUS rules$"), "FOCUS rules"),
)


def main(sizes: Iterable[int]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        for rows in sizes:
            _bill(Path(folder) / f"{rows}", rows)


def _bill(folder: Path, rows: int) -> None:
    bills = folder / "bills"
    files = make(bills, rows)
    size = sum(f.stat().st_size for f in files) / 2**20
    print(f"bill of {rows:,} rows, {len(files)} files, {size:,.0f} MiB")
    first = _ingest("ingest", bills, folder / "store")
    _ingest("again, nothing changed", bills, folder / "store")
    make(bills, rows, seed=8, only=len(files) - 1)
    _ingest("its last file delivered anew", bills, folder / "store")
    judged = _ingest("ingest, with the FOCUS rules", bills, folder / "judged", "rules")
    print(f"  per million rows: {first.median * 1e6 / rows:.2f} s, with the rules {judged.median * 1e6 / rows:.2f} s")
    if rows == BAR_ROWS:
        held = all(m.median <= MOST_SECONDS and m.peak_bytes <= MOST_GIB * 2**30 for m in (first, judged))
        print(f"  the bar ({MOST_SECONDS} s, {MOST_GIB} GiB): {'held, with and without rules' if held else 'NOT HELD'}")
        _phases(bills, folder / "phases")


def _ingest(name: str, bills: Path, store: Path, *more: str) -> Measured:
    before = _cpu_seconds()
    done = measure((sys.executable, "-m", "bench.bills", "child", str(bills), str(store), *more), 1)
    print(f"{done.line(f'  {name}')}  {_cpu_seconds() - before:.1f} s of CPU")
    return done


def _cpu_seconds() -> float:
    """Of all processes that were begun here and have ended."""
    used = os.times()
    return used.children_user + used.children_system


def _phases(bills: Path, store: Path) -> None:
    command = (sys.executable, "-m", "bench.bills", "child", str(bills), str(store), "rules")
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    spent, before = dict.fromkeys((name for _, name in PHASES), 0.0), 0.0
    for line in said.splitlines():
        seconds, text = line.split(" ", 1)
        name = next((n for pattern, n in PHASES if pattern.search(text)), None)
        if name:
            spent[name] += float(seconds) - before
            before = float(seconds)
    print("  " + "; ".join(f"{name} {seconds:.1f} s" for name, seconds in spent.items()))


def _child(bills: str, store: str, *more: str) -> None:
    """One ingest; says when each step ended."""
    from capacity.config import BillSource
    from capacity.sources import Context, build
    from capacity.store import Store, ingest

    began = time.perf_counter()
    config = BillSource(kind="focus_files", name="bill", path=bills, check_focus="rules" in more)
    report = ingest(
        [build(config, Context(Path))],
        Store(store),
        NOW,
        lambda text: print(f"{time.perf_counter() - began:.2f} {text}", flush=True),
    )
    checks = [c for s in report.sources for c in s.checks]
    if report.failed or not checks or not all(c.agrees for c in checks):
        sys.exit("\n".join(report.failures) or "the sums do not agree")


if __name__ == "__main__":
    if sys.argv[1:2] == ["child"]:
        _child(*sys.argv[2:])
    else:
        main([int(a) for a in sys.argv[1:]] or ROWS)
