"""Locust's CSV files: ``PREFIX_stats_history.csv`` (a row a second) and ``PREFIX_stats.csv`` (one figure a run).

A row of the history has the users, running totals of requests and failures, and percentiles of the last 10 seconds;
its row "Aggregated" is all requests together. Throughput and failures of a step come from the totals at its two ends;
its percentiles are the means of the rows', weighted by requests, so that they are a little smoothed.
"""

from __future__ import annotations

import csv
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd

from capacity.config import LoadTestConfig
from capacity.domain import Floats
from capacity.errors import UsageError
from capacity.sources.load_tests._files import lines, number, refuse
from capacity.sources.load_tests._names import Names
from capacity.sources.load_tests._steps import STEP_COLUMNS

ALL = "Aggregated"
# Locust's CURRENT_RESPONSE_TIME_PERCENTILE_WINDOW.
_WINDOW_SECONDS = 10
_PERCENTILES = ("50%", "95%", "99%")
_HISTORY = ("Timestamp", "User Count", "Name", "Total Request Count", "Total Failure Count", *_PERCENTILES)
_STATS = ("Name", "Request Count", "Failure Count", "Requests/s", *_PERCENTILES)
_MEND = "give PREFIX_stats_history.csv (or PREFIX_stats.csv) of `locust --csv PREFIX`"


def read(path: Path, config: LoadTestConfig) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """Steps of one file, and what is to be known of them."""
    if len(config.requests) > 1:
        raise UsageError(
            "load test: Locust's percentiles of several requests cannot be put together; "
            "name one in 'requests', or none for all (its row Aggregated)"
        )
    if config.step_seconds:
        raise UsageError("load test: Locust's load is a number of users; leave step_seconds out")
    names = next(iter(config.requests), ALL)
    rows = list(_rows(path))
    header, rows = rows[0][1], rows[1:]
    if not set(_HISTORY) - set(header):
        return _history(path, [(at, dict(zip(header, r, strict=True))) for at, r in rows], names, config)
    missing = sorted(set(_STATS) - set(header))
    if missing:
        refuse(path, 1, f"the first line has no {', '.join(missing)}", _MEND)
    return _whole_run(path, [(at, dict(zip(header, r, strict=True))) for at, r in rows], names)


def _rows(path: Path) -> Iterator[tuple[int, list[str]]]:
    reader = csv.reader((line for _, line in lines(path)), strict=True)
    width = 0
    try:
        for row in reader:
            width = width or len(row)
            if row and len(row) != width:
                refuse(path, reader.line_num, f"{len(row)} values where the first line has {width}", _MEND)
            if row:
                yield reader.line_num, row
    except csv.Error as error:
        refuse(path, reader.line_num, f"no CSV ({error})", _MEND)
    if not width:
        refuse(path, 0, "is empty", _MEND)


def _wanted(path: Path, rows: list[tuple[int, dict[str, str]]], name: str) -> list[tuple[int, dict[str, str]]]:
    names = Names([name])
    kept = [(at, row) for at, row in rows if names.counts(row["Name"])]
    names.refuse_unknown(path)
    return kept


def _whole_run(path: Path, rows: list[tuple[int, dict[str, str]]], name: str) -> tuple[pd.DataFrame, tuple[str, ...]]:
    at, row = _wanted(path, rows, name)[0]
    count, failed, rate, *ms = (number(path, at, c, row[c]) for c in _STATS[1:])
    errors = min(failed / count, 1.0) if count else 1.0
    step = (path.name, pd.NaT, np.nan, rate * (1 - errors), errors, *ms, count / rate if rate else 0.0, int(count))
    note = f"{path.name}: one figure for the whole run, its ramp included, and no users; the history tells more"
    return pd.DataFrame([step], columns=list(STEP_COLUMNS)), (note,)


def _history(
    path: Path, rows: list[tuple[int, dict[str, str]]], name: str, config: LoadTestConfig
) -> tuple[pd.DataFrame, tuple[str, ...]]:
    stretches: dict[int, list[tuple[int, dict[str, str]]]] = defaultdict(list)
    users, key = "", 0
    for at, row in _wanted(path, rows, name):
        if row["User Count"] != users:
            users, key = row["User Count"], key + 1
        stretches[key].append((at, row))
    found, left_out = [], 0
    for stretch in stretches.values():
        step = _step(path, stretch, config)
        found += [step] if step else []
        left_out += 0 if step else len(stretch)
    notes = [f"{path.name}: {left_out} rows of ramps and of steps too short were left out"] if left_out else []
    if found and config.settle_seconds < _WINDOW_SECONDS:
        notes.append(
            f"{path.name}: Locust's percentiles look {_WINDOW_SECONDS} s back, further than settle_seconds "
            f"({config.settle_seconds}): the first of a step hold some of what was before"
        )
    return pd.DataFrame(found, columns=list(STEP_COLUMNS)), tuple(notes)


def _step(path: Path, stretch: list[tuple[int, dict[str, str]]], config: LoadTestConfig) -> tuple[object, ...] | None:
    users = number(path, stretch[0][0], "User Count", stretch[0][1]["User Count"])
    first = number(path, stretch[0][0], "Timestamp", stretch[0][1]["Timestamp"])
    began = first + config.settle_seconds
    kept = [(at, r) for at, r in stretch if number(path, at, "Timestamp", r["Timestamp"]) >= began]
    if users == 0 or len(kept) < 2:
        return None
    (a, start), (b, end) = kept[0], kept[-1]
    seconds = number(path, b, "Timestamp", end["Timestamp"]) - number(path, a, "Timestamp", start["Timestamp"])
    if seconds < config.least_seconds:
        return None
    totals = np.array([number(path, at, "Total Request Count", r["Total Request Count"]) for at, r in kept])
    failures = [number(path, at, "Total Failure Count", r["Total Failure Count"]) for at, r in ((a, start), (b, end))]
    count, failed = float(totals[-1] - totals[0]), failures[1] - failures[0]
    if (np.diff(totals) < 0).any() or failed < 0:
        refuse(path, b, "a running total falls", "give the file of one run, not of several one after the other")
    told = [r for _, r in kept[1:]]
    weight = np.maximum(np.diff(totals), 1e-9)
    ms = [
        _mean_ms(np.array([_ms(path, at, r[p], p) for (at, _), r in zip(kept[1:], told, strict=True)]), weight)
        for p in _PERCENTILES
    ]
    errors = min(failed / count, 1.0) if count else 1.0
    opened = pd.Timestamp(int(began), unit="s", tz="UTC")
    return (path.name, opened, users, max(count - failed, 0.0) / seconds, errors, *ms, seconds, int(count))


def _mean_ms(ms: Floats, weight: Floats) -> float:
    """Of the rows that tell one: in a stall of some seconds none ends, and Locust writes N/A."""
    told = np.isfinite(ms)
    return float(np.average(ms[told], weights=weight[told])) if told.any() else np.nan


def _ms(path: Path, at: int, text: str, name: str) -> float:
    return np.nan if text == "N/A" else number(path, at, name, text)
