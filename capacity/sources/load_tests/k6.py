"""k6: the points of ``--out json`` and the summaries of ``--summary-export`` and ``handleSummary``.

An NDJSON line is a ``Metric`` (a declaration) or a ``Point`` {metric, data: {time, value, tags}}. ``vus`` tells the
users each second; every request has a point of ``http_req_duration`` (ms, at its end) and one of ``http_req_failed``
(1 where it failed). A summary has one figure for the whole run: one step, ramps and all. Sources: k6's documentation of
its JSON output and its end-of-test summary.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import pandas as pd

from capacity.config import LoadTestConfig
from capacity.sources.load_tests._files import document, lines, number, refuse
from capacity.sources.load_tests._names import Names
from capacity.sources.load_tests._steps import STEP_COLUMNS, Run, steps

_DURATION, _FAILED, _USERS = "http_req_duration", "http_req_failed", "vus"
_MEND = "give what `k6 run --out json=FILE` or `--summary-export=FILE` wrote"
_TREND_STATS = 'run k6 with --summary-trend-stats="med,p(95),p(99)"'


def read(path: Path, config: LoadTestConfig) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """Steps of one file, and what is to be known of them."""
    if _is_points(path):
        return _points(path, config)
    return _summary(path, config)


def _is_points(path: Path) -> bool:
    line = next((line for _, line in lines(path) if line.strip()), None)
    if line is None:
        refuse(path, 0, "is empty", _MEND)
    try:
        first = json.loads(line)
    except (ValueError, RecursionError):
        return '"type"' in line  # a summary stands over several lines; or the first point is broken
    return not (isinstance(first, dict) and "metrics" in first)


def _points(path: Path, config: LoadTestConfig) -> tuple[pd.DataFrame, tuple[str, ...]]:
    run, names, failures_told, by_tag = Run(path), Names(config.requests), False, Run(path)
    for at, line in lines(path):
        if "Point" not in line or not (_DURATION in line or _FAILED in line or '"vus"' in line):
            text = line.strip()
            if text and not (text.startswith("{") and text.endswith("}")):
                refuse(path, at, f"no JSON object: {text[:40]!r}", _MEND)
            continue
        point = _point(path, at, line)
        metric, data = point.get("metric"), point.get("data")
        if point.get("type") != "Point" or metric not in (_DURATION, _FAILED, _USERS):
            continue
        if not isinstance(data, dict):
            refuse(path, at, "a Point without data", _MEND)
        ts, value = _time(path, at, data.get("time")), number(path, at, str(metric), data.get("value"))
        tags = data["tags"] if isinstance(data.get("tags"), dict) else {}
        if metric == _USERS:
            run.users(ts, value, at)
        elif not names.counts(str(tags.get("name") or tags.get("url") or "")):
            continue
        elif metric == _DURATION:
            run.request(ts, value, False, at)
            by_tag.at(ts, at).failed += tags.get("expected_response") == "false"
        else:
            failures_told = True
            run.at(ts, at).failed += value > 0
    names.refuse_unknown(path)
    if not failures_told:  # before 0.31 k6 had no http_req_failed
        for second, told in by_tag.seconds.items():
            run.seconds[second].failed = told.failed
    return steps(run, path, config)


def _point(path: Path, at: int, line: str) -> dict[str, Any]:
    try:
        point = json.loads(line)
    except (ValueError, RecursionError) as error:
        refuse(path, at, f"no JSON ({str(error)[:80]})", _MEND)
    if not isinstance(point, dict):
        refuse(path, at, "no JSON object", _MEND)
    return point


def _time(path: Path, at: int, text: object) -> float:
    try:
        return datetime.fromisoformat(_microseconds(str(text))).timestamp()
    except (ValueError, OverflowError, OSError):
        refuse(path, at, f"time is {str(text)[:60]!r}", "an RFC 3339 time is allowed, as k6 writes it")


def _microseconds(text: str) -> str:
    """k6 writes nanoseconds, Python reads at most microseconds."""
    head, dot, rest = text.partition(".")
    if not dot:
        return text
    digits = len(rest) - len(rest.lstrip("0123456789"))
    return f"{head}.{rest[: min(digits, 6)]}{rest[digits:]}"


# --- summaries ---------------------------------------------------------------------------------------------


def _summary(path: Path, config: LoadTestConfig) -> tuple[pd.DataFrame, tuple[str, ...]]:
    try:
        whole = json.loads(document(path))
    except (ValueError, RecursionError) as error:
        refuse(path, getattr(error, "lineno", 0), f"no JSON ({str(error)[:80]})", _MEND)
    metrics = whole.get("metrics") if isinstance(whole, dict) else None
    if not isinstance(metrics, dict):
        refuse(path, 0, "has no 'metrics'", _MEND)
    if config.requests:
        refuse(path, 0, "a summary does not tell requests apart by name", "use --out json, or leave 'requests' out")
    latency, reqs, failed = (_values(path, metrics, m) for m in (_DURATION, "http_reqs", _FAILED))
    p50, p95, p99 = (_figure(path, latency, *keys) for keys in (("med", "p(50)"), ("p(95)",), ("p(99)",)))
    errors = min(_figure(path, failed, "rate", "value"), 1.0)
    count, rate = _figure(path, reqs, "count"), _figure(path, reqs, "rate")
    users = metrics.get("vus_max") and _values(path, metrics, "vus_max")
    concurrency = _figure(path, users, "value", "max") if users else float("nan")
    row = (path.name, pd.NaT, concurrency, rate * (1 - errors), errors, p50, p95, p99, count / rate if rate else 0.0,
           int(count))  # fmt: skip
    return pd.DataFrame([row], columns=list(STEP_COLUMNS)), (
        f"{path.name}: a summary tells one figure for the whole run, its ramps included; "
        "the number of users is the most that were set up",
    )


def _values(path: Path, metrics: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """The figures of a metric: handleSummary puts them under 'values', --summary-export does not."""
    entry = metrics.get(name)
    found = entry.get("values", entry) if isinstance(entry, dict) else None
    if not isinstance(found, dict):
        refuse(path, 0, f"has no metric {name}", _MEND)
    return found


def _figure(path: Path, values: Mapping[str, Any], *keys: str) -> float:
    key = next((k for k in keys if k in values), None)
    if key is None:
        refuse(path, 0, f"has no {' or '.join(keys)}", _TREND_STATS if keys[0].startswith(("p(", "med")) else _MEND)
    return number(path, 0, key, values[key])
