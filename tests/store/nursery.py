"""Ingests in processes of their own that can be killed: ``python -m tests.store.nursery``.

It imports once and forks a child for each line of its input (the path of a config); for each it prints the child's
process id, then how the child ended. Nothing has started a thread when it forks: the libraries start theirs at the
first use, in the child.
"""

from __future__ import annotations

import importlib
import os
import sys
import traceback
from datetime import UTC, datetime
from pathlib import Path

NOW = datetime(2026, 10, 5, tzinfo=UTC)


def ingest(config: Path) -> None:
    from capacity import config as configuration
    from capacity import pipeline

    settings = configuration.load(config)
    report = pipeline.ingest(settings, pipeline.open_store(settings), NOW)
    if report.failures:
        raise RuntimeError("\n".join(report.failures))


def main() -> None:
    for module in ("deltalake.fs", "duckdb", "pyarrow.csv", "pyarrow.dataset", "pyarrow.parquet", "capacity.pipeline"):
        importlib.import_module(module)
    print("ready", flush=True)
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            _run(Path(line.strip()))
        print(child, flush=True)
        _, status = os.waitpid(child, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)


def _run(config: Path) -> None:
    try:
        ingest(config)
    except BaseException:
        traceback.print_exc()
        os._exit(1)
    os._exit(0)


if __name__ == "__main__":
    main()
