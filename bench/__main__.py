"""``make bench``: times and peak memory of whole processes, printed as a table.

    python -m bench [PART ...]

Parts: start, demo, real (recordings, where CAPACITY_REAL_DATA names their folder), bills (5,000,000 rows), bridge (24
months of 500 services), allocation (5,000,000 rows to 500 services), store (queries, 10,000,000 points), focus (the
rules over 1,000,000 rows), prophet, coverage (simulated series), scale (100, 300 and 1,000 services; ten minutes),
mix (fleets of 200 and 1,000 services; minutes), conflicts, commitments, stateless (facts of a public model, where
they lie beside the recordings), ends (by how much solves pass their time limit), queueing (rho* against simulated
queues), pages (of the demo company and of 300 services, in a browser); all where none is named.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from bench.measure import measure

ROOT = Path(__file__).resolve().parents[1]
CAPACITY = (sys.executable, "-m", "capacity")


def main(wanted: Sequence[str]) -> None:
    runs = int(os.environ.get("BENCH_RUNS", "3"))
    unknown = sorted(set(wanted) - set(PARTS) - set(MODULES))
    if unknown:
        sys.exit(f"no part {', '.join(unknown)}; known: {', '.join([*PARTS, *MODULES])}")
    print(f"median of {runs} (range), peak memory of the process tree, exit code", flush=True)
    for name, part in PARTS.items():
        if name in wanted or not wanted:
            with tempfile.TemporaryDirectory() as folder:
                part(Path(folder), runs)
    for name, module in MODULES.items():
        if name in wanted or not wanted:
            print(f"\n{module}", flush=True)
            subprocess.run([sys.executable, "-m", module], check=False)


def _start(tmp: Path, runs: int) -> None:
    print(measure((sys.executable, "-c", "import capacity"), runs).line("import capacity"))
    print(measure((*CAPACITY, "forecast", "--help"), runs).line("capacity forecast --help"))


def _demo(tmp: Path, runs: int) -> None:
    """The demo from nothing (store, forecasts and plans are made), then again with its forecasts kept."""
    out = tmp / "demo"
    cold = []
    for _ in range(runs):
        shutil.rmtree(out, ignore_errors=True)
        cold.append(measure((*CAPACITY, "demo", "--out", str(out)), 1))
    first = type(cold[0])(tuple(m.median for m in cold), max(m.peak_bytes for m in cold), cold[-1].returncode)
    print(first.line("capacity demo, from nothing"))
    print(measure((*CAPACITY, "demo", "--out", str(out)), runs).line("capacity demo, again"))


def _real(tmp: Path, runs: int) -> None:
    data = Path(os.environ.get("CAPACITY_REAL_DATA", ROOT.parent / "shared" / "data"))
    if not data.is_dir():
        print(f"real recordings: none at {data}; set CAPACITY_REAL_DATA")
        return
    for name in ("real.yaml", "fleet.csv"):
        shutil.copy(ROOT / "tests" / "real" / name, tmp / name)
    env = {"CAPACITY_REAL_DATA": str(data)}
    config = str(tmp / "real.yaml")
    print(measure((*CAPACITY, "ingest", "-c", config), runs, env).line("real recordings: ingest"))
    plan = (*CAPACITY, "plan", "-c", config, "--out", str(tmp / "plan"))
    print(measure(plan, 1, env).line("real recordings: plan, first"))
    print(measure(plan, runs, env).line("real recordings: plan, again"))


PARTS: dict[str, Callable[[Path, int], None]] = {"start": _start, "demo": _demo, "real": _real}
# Benchmarks with output of their own.
MODULES = {
    "bills": "bench.bills",
    "bridge": "bench.bridge",
    "allocation": "bench.allocation",
    "store": "bench.store",
    "focus": "bench.focus",
    "prophet": "bench.prophet_map",
    "coverage": "bench.coverage",
    "scale": "bench.scale",
    "mix": "bench.mix",
    "conflicts": "bench.conflicts",
    "commitments": "bench.commitments",
    "stateless": "bench.stateless",
    "ends": "bench.mix_ends",
    "queueing": "bench.queueing",
    "pages": "bench.pages",
}

if __name__ == "__main__":
    main(sys.argv[1:])
