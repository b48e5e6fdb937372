"""Load tests: files of k6, Locust, JMeter, or a table, read as steady steps.

To read another tool: one module here with ``read(path, config)``, and one line in ``_READERS``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from capacity.config import LoadTestConfig
from capacity.errors import MissingDataError
from capacity.sources.load_tests import jmeter, k6, locust, table
from capacity.sources.load_tests._files import expand
from capacity.sources.load_tests._steps import STEP_COLUMNS

_READERS: dict[str, Callable[[Path, LoadTestConfig], tuple[pd.DataFrame, tuple[str, ...]]]] = {
    "k6": k6.read,
    "locust": locust.read,
    "jmeter": jmeter.read,
    "table": table.read,
}


@dataclass(frozen=True)
class LoadTestSteps:
    """The steady steps of a load test.

    Attributes
    ----------
    frame
        One row a step, by concurrency: file; started_at (UTC, NaT where unknown); concurrency (users, or requests in
        flight; NaN where unknown); throughput (requests a second that did not fail); error_frac; p50_ms, p95_ms,
        p99_ms; seconds; requests (all that ended).
    notes
        What was left out or is to be known, one sentence each.
    """

    frame: pd.DataFrame
    notes: tuple[str, ...]


def read_load_test(config: LoadTestConfig, resolve: Callable[[str], Path] = Path) -> LoadTestSteps:
    """The steps of all files of ``config``; ``resolve`` makes its path absolute.

    Files are streamed: memory grows with the seconds of a run, not with its requests (a Locust history, a row a second,
    is held).

    Raises
    ------
    MissingDataError
        No file, no request of a name that was asked for, or no step long enough.
    CorruptDataError
        A file that cannot be read: it, the line, what is wrong, and how to mend it.
    UsageError
        The config asks for what this kind of file cannot tell.
    """
    path = resolve(config.path)
    parts = [_READERS[config.kind](file, config) for file in files_of(config, resolve)]
    frames = [frame for frame, _ in parts if len(frame)]
    if not frames:
        needed = config.settle_seconds + config.least_seconds
        raise MissingDataError(
            f"load test: {path} has no steady step: hold each level of load for more than {needed} s, "
            "or lower settle_seconds and least_seconds"
        )
    frame = pd.concat(frames, ignore_index=True).sort_values(["concurrency", "throughput"], ignore_index=True)
    return LoadTestSteps(frame, tuple(note for _, notes in parts for note in notes))


def files_of(config: LoadTestConfig, resolve: Callable[[str], Path] = Path) -> list[Path]:
    """The files that ``config`` names, sorted; none of them is opened.

    Raises
    ------
    MissingDataError
        There is none.
    """
    return expand(resolve(config.path))


__all__ = ["STEP_COLUMNS", "LoadTestSteps", "files_of", "read_load_test"]
