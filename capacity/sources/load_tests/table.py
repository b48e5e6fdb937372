"""A table of steps that someone wrote by hand or by another tool: CSV with the columns of a step.

``throughput`` (a second) and ``p99_ms`` are needed; ``concurrency``, ``error_frac`` (0 where absent), ``p50_ms``,
``p95_ms`` and ``seconds`` may be absent.
"""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pandas as pd

from capacity.config import LoadTestConfig
from capacity.errors import UsageError
from capacity.sources.load_tests._files import lines, number, refuse
from capacity.sources.load_tests._steps import STEP_COLUMNS

_NEEDED = ("throughput", "p99_ms")
_OPTIONAL = {"concurrency": np.nan, "error_frac": 0.0, "p50_ms": np.nan, "p95_ms": np.nan, "seconds": np.nan}
_MEND = f"give a CSV with {', '.join(_NEEDED)} and, where known, {', '.join(_OPTIONAL)}"


def read(path: Path, config: LoadTestConfig) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """The steps as they stand there."""
    if config.requests:
        raise UsageError("load test: a table of steps does not tell requests apart; leave 'requests' out")
    reader = csv.DictReader((line for _, line in lines(path)), strict=True)
    missing = [c for c in _NEEDED if c not in (reader.fieldnames or ())]
    if missing:
        refuse(path, 1, f"the first line has no {', '.join(missing)}", _MEND)
    rows = []
    try:
        for row in reader:
            at = reader.line_num
            if None in row or None in row.values():
                refuse(path, at, "more or fewer values than the first line has", _MEND)
            told = {c: number(path, at, c, row[c]) for c in _NEEDED}
            told |= {c: number(path, at, c, row[c]) if row.get(c) else absent for c, absent in _OPTIONAL.items()}
            if told["error_frac"] > 1:
                refuse(path, at, f"error_frac is {told['error_frac']:g}", "a share from 0 to 1 is allowed")
            known = np.isfinite(told["seconds"])
            requests = int(told["throughput"] * told["seconds"]) if known else 0
            rows.append({"file": path.name, "started_at": pd.NaT, "requests": requests, **told})
    except csv.Error as error:
        refuse(path, reader.line_num, f"no CSV ({error})", _MEND)
    return pd.DataFrame(rows, columns=list(STEP_COLUMNS)), ()
