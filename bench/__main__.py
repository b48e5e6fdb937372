"""``make bench``: times and peak memory of whole processes, printed as a table.

Real recordings are measured too where CAPACITY_REAL_DATA names their folder.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from pathlib import Path

from bench.measure import measure

ROOT = Path(__file__).resolve().parents[1]
CAPACITY = (sys.executable, "-m", "capacity")


def main() -> None:
    runs = int(os.environ.get("BENCH_RUNS", "3"))
    with tempfile.TemporaryDirectory() as folder:
        tmp = Path(folder)
        print(f"median of {runs} (range), peak memory of the process tree, exit code")
        print(measure((sys.executable, "-c", "import capacity"), runs).line("import capacity"))
        print(measure((*CAPACITY, "forecast", "--help"), runs).line("capacity forecast --help"))
        _demo(tmp, runs)
        _real(tmp, runs)


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


if __name__ == "__main__":
    main()
