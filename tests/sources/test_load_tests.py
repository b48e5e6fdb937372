"""Files of load tests become steady steps; what cannot be read is refused with file, line and remedy."""

from __future__ import annotations

import gzip
import json
import math
import os
import tracemalloc
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from capacity import strict_yaml
from capacity.config import LoadTestConfig
from capacity.errors import CorruptDataError, MissingDataError, UsageError
from capacity.sources.load_tests import STEP_COLUMNS, LoadTestSteps, read_load_test

START = 1_800_000_000
# (users, seconds, requests a second, latency in ms): a ramp of single seconds lies between the two steps.
PLAN = [(4, 40, 50, 20.0), (5, 1, 50, 25.0), (6, 1, 60, 25.0), (8, 40, 90, 40.0)]


def config(path: Path, kind: str, **more: Any) -> LoadTestConfig:
    return LoadTestConfig.model_validate({"path": str(path), "kind": kind, "instance_type": "m6i.large", **more})


def read(path: Path, kind: str, **more: Any) -> LoadTestSteps:
    return read_load_test(config(path, kind, **more))


def seconds() -> Iterator[tuple[int, int, int, float]]:
    """(second, users, requests, latency) of :data:`PLAN`."""
    at = START
    for users, length, rate, latency in PLAN:
        for _ in range(length):
            yield at, users, rate, latency
            at += 1


def as_planned(told: LoadTestSteps, errors: float = 0.0) -> None:
    """Two steps; the first ten seconds of each and its last one are left out."""
    assert tuple(told.frame.columns) == STEP_COLUMNS
    assert told.frame["concurrency"].tolist() == [4, 8]
    assert told.frame["throughput"].tolist() == pytest.approx([50 * (1 - errors), 90 * (1 - errors)], rel=0.03)
    assert told.frame["error_frac"].tolist() == pytest.approx([errors, errors], abs=0.01)
    for column in ("p50_ms", "p95_ms", "p99_ms"):
        assert told.frame[column].tolist() == pytest.approx([20.0, 40.0], rel=0.006)
    assert (told.frame["seconds"] >= 28).all()
    assert any("left out" in n for n in told.notes)


# --- k6 ----------------------------------------------------------------------------------------------------


def point(metric: str, at: float, value: float, **tags: str) -> str:
    time = datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%S.%f") + "123Z"  # nanoseconds, as k6 writes
    return json.dumps(
        {"metric": metric, "type": "Point", "data": {"time": time, "value": value, "tags": tags or None}},
        separators=(",", ":"),
    )


def k6_lines(fail_every: int = 0, name: str = "checkout", failed_metric: bool = True) -> Iterator[str]:
    yield '{"type":"Metric","data":{"name":"vus","type":"gauge","contains":"default","thresholds":[]},"metric":"vus"}'
    sent = 0
    for at, users, rate, latency in seconds():
        yield point("vus", at, users)
        for i in range(rate):
            sent += 1
            failed = bool(fail_every) and sent % fail_every == 0
            tags = {"name": name, "status": "500" if failed else "200", "expected_response": str(not failed).lower()}
            yield point("http_reqs", at + i / rate, 1, **tags)
            yield point("http_req_duration", at + i / rate, latency, **tags)
            if failed_metric:
                yield point("http_req_failed", at + i / rate, float(failed), **tags)


def written(path: Path, lines: Iterator[str]) -> Path:
    path.write_text("\n".join(lines) + "\n")
    return path


def test_k6_points(tmp_path: Path) -> None:
    as_planned(read(written(tmp_path / "run.json", k6_lines()), "k6"))


@pytest.mark.parametrize("failed_metric", [True, False])
def test_k6_failures_with_and_without_their_own_metric(tmp_path: Path, failed_metric: bool) -> None:
    lines = k6_lines(fail_every=10, failed_metric=failed_metric)
    as_planned(read(written(tmp_path / "run.json", lines), "k6"), errors=0.1)


def test_k6_zipped_and_several_files(tmp_path: Path) -> None:
    for n in ("a.gz", "b.gz"):
        (tmp_path / n).write_bytes(gzip.compress("\n".join(k6_lines()).encode()))
    told = read(tmp_path / "*.gz", "k6")
    assert told.frame["file"].tolist() == ["a.gz", "b.gz", "a.gz", "b.gz"]


def test_k6_requests_by_name(tmp_path: Path) -> None:
    path = tmp_path / "run.json"
    written(path, iter([*k6_lines(), *(x for x in k6_lines(fail_every=2, name="login") if '"vus"' not in x)]))
    as_planned(read(path, "k6", requests=["checkout"]))
    as_planned(read(path, "k6", requests=["login"]), errors=0.5)
    with pytest.raises(MissingDataError, match=r"no request named logout.*found: checkout, login"):
        read(path, "k6", requests=["logout"])


def test_k6_stages_of_an_arrival_rate(tmp_path: Path) -> None:
    """Users move all the time; the stage's length cuts, and Little's law tells what was in flight."""
    lines = []
    for at in range(80):
        rate, latency = (50, 20.0) if at < 40 else (90, 40.0)
        lines.append(point("vus", START + at, 4 + at % 3))
        lines += [point("http_req_duration", START + at + i / rate, latency) for i in range(rate)]
    path = written(tmp_path / "run.json", iter(lines))
    with pytest.raises(MissingDataError, match="no steady step"):
        read(path, "k6")
    told = read(path, "k6", step_seconds=40)
    assert told.frame["throughput"].tolist() == pytest.approx([50, 90])
    assert told.frame["concurrency"].tolist() == pytest.approx([50 * 0.020, 90 * 0.040], rel=1e-6)


def test_a_load_that_moves_within_a_step_is_told(tmp_path: Path) -> None:
    """k6 sets up all users of an arrival rate at once: they are constant while the rate rises."""
    lines = []
    for at in range(60):
        lines.append(point("vus", START + at, 50))
        rate = 40 + at
        lines += [point("http_req_duration", START + at + i / rate, 20.0) for i in range(rate)]
    path = written(tmp_path / "run.json", iter(lines))
    assert any("no steady load; give step_seconds" in note for note in read(path, "k6").notes)
    assert any("shorter step_seconds" in note for note in read(path, "k6", step_seconds=60).notes)
    assert not any(
        "no steady load" in n for n in read(path, "k6", step_seconds=20, settle_seconds=10, least_seconds=10).notes
    )


def summary(nested: bool, **changed: Any) -> dict[str, Any]:
    rate_key = "rate" if nested else "value"
    metrics: dict[str, Any] = {
        "http_req_duration": {"avg": 22.0, "med": 20.0, "max": 80.0, "p(95)": 40.0, "p(99)": 60.0},
        "http_reqs": {"count": 6000, "rate": 100.0},
        "http_req_failed": {"passes": 60, "fails": 5940, rate_key: 0.01},
        "vus_max": {"value": 16, "min": 16, "max": 16},
    } | changed
    return {"root_group": {}, "metrics": {k: {"values": v} if nested else v for k, v in metrics.items()}}


@pytest.mark.parametrize("nested", [True, False], ids=["handleSummary", "summary-export"])
@pytest.mark.parametrize("indent", [None, 4])
def test_k6_summaries(tmp_path: Path, nested: bool, indent: int | None) -> None:
    path = tmp_path / "summary.json"
    path.write_text(json.dumps(summary(nested), indent=indent))
    told = read(path, "k6")
    row = told.frame.iloc[0]
    assert (row["concurrency"], row["seconds"], row["requests"]) == (16, 60.0, 6000)
    assert row["throughput"] == pytest.approx(99.0)
    assert (row["error_frac"], row["p50_ms"], row["p95_ms"], row["p99_ms"]) == (0.01, 20.0, 40.0, 60.0)
    assert "ramps included" in told.notes[0]


def test_a_k6_summary_without_p99_says_how_to_get_it(tmp_path: Path) -> None:
    path = tmp_path / "summary.json"
    path.write_text(json.dumps(summary(False, http_req_duration={"med": 20.0, "p(95)": 40.0})))
    with pytest.raises(CorruptDataError, match=r"has no p\(99\).*--summary-trend-stats"):
        read(path, "k6")
    path.write_text(json.dumps(summary(False)))
    with pytest.raises(CorruptDataError, match="does not tell requests apart"):
        read(path, "k6", requests=["checkout"])


# --- JMeter ------------------------------------------------------------------------------------------------

HEADER = (
    "timeStamp,elapsed,label,responseCode,responseMessage,threadName,dataType,success,failureMessage,bytes,sentBytes,"
    "grpThreads,allThreads,URL,Latency,IdleTime,Connect"
)


def samples(fail_every: int = 0) -> Iterator[tuple[int, int, int, bool]]:
    """(start in ms, elapsed, users, success)."""
    sent = 0
    for at, users, rate, latency in seconds():
        for i in range(rate):
            sent += 1
            yield int((at + i / rate) * 1000 - latency), int(latency), users, not fail_every or sent % fail_every != 0


def jtl_csv(delimiter: str = ",", fail_every: int = 0) -> Iterator[str]:
    yield HEADER.replace(",", delimiter)
    for ts, t, users, good in samples(fail_every):
        row = [
            ts,
            t,
            '"GET /a, b"',
            200,
            "OK",
            "T 1-1",
            "text",
            str(good).lower(),
            "",
            1,
            1,
            users,
            users,
            "null",
            1,
            0,
            0,
        ]
        yield delimiter.join(map(str, row))


def jtl_xml() -> Iterator[str]:
    yield '<?xml version="1.0" encoding="UTF-8"?>\n<testResults version="1.2">'
    for ts, t, users, good in samples():
        yield (
            f'<httpSample t="{t}" it="0" lt="1" ct="0" ts="{ts}" s="{str(good).lower()}" lb="page" rc="200" rm="OK" '
            f'tn="T 1-1" dt="text" by="1" ng="{users}" na="{users}">'
        )
        yield f'  <httpSample t="1" ts="{ts}" s="false" lb="style.css" rc="404" na="{users}"/>\n</httpSample>'
    yield "</testResults>"


@pytest.mark.parametrize("delimiter", [",", "\t", ";"])
def test_jmeter_csv(tmp_path: Path, delimiter: str) -> None:
    as_planned(read(written(tmp_path / "run.jtl", jtl_csv(delimiter)), "jmeter"))


def test_jmeter_failures_and_labels(tmp_path: Path) -> None:
    path = written(tmp_path / "run.jtl", jtl_csv(fail_every=5))
    as_planned(read(path, "jmeter", requests=["GET /a, b"]), errors=0.2)
    with pytest.raises(MissingDataError, match="no request named b"):
        read(path, "jmeter", requests=["b"])


def test_jmeter_xml_counts_the_outer_samples_only(tmp_path: Path) -> None:
    as_planned(read(written(tmp_path / "run.jtl", jtl_xml()), "jmeter"))


def test_jmeter_without_users(tmp_path: Path) -> None:
    lines = ["timeStamp,elapsed,label,success"]
    lines += [f"{ts},{t},page,true" for ts, t, _, _ in samples()]
    path = written(tmp_path / "run.jtl", iter(lines))
    with pytest.raises(CorruptDataError, match=r"does not tell the users.*thread_counts=true"):
        read(path, "jmeter")
    told = read(path, "jmeter", step_seconds=41)
    assert told.frame["concurrency"].tolist() == pytest.approx([50 * 0.02, 90 * 0.04], rel=0.03)


# --- Locust ------------------------------------------------------------------------------------------------

HISTORY = (
    "Timestamp,User Count,Type,Name,Requests/s,Failures/s,50%,66%,75%,80%,90%,95%,98%,99%,99.9%,99.99%,100%,"
    "Total Request Count,Total Failure Count,Total Median Response Time,Total Average Response Time,"
    "Total Min Response Time,Total Max Response Time,Total Average Content Size"
)


def history() -> Iterator[str]:
    yield HISTORY
    yield f"{START - 1},0,,Aggregated,0.0,0.0" + ",N/A" * 11 + ",0,0,0,0.0,0,0,0"
    total = 0
    for at, users, rate, latency in seconds():
        total += rate
        for kind, name in (("GET", "/"), ("", "Aggregated")):
            yield (
                f"{at},{users},{kind},{name},{rate},0.0"
                + f",{latency:g}" * 11
                + f",{total},{total // 50},7,7.0,5,9,2.0"
            )


def test_locust_history(tmp_path: Path) -> None:
    path = written(tmp_path / "run_stats_history.csv", history())
    as_planned(read(path, "locust"), errors=0.02)
    as_planned(read(path, "locust", requests=["/"]), errors=0.02)


def test_locust_stalls_and_restarts(tmp_path: Path) -> None:
    """In a stall no response ends for longer than the percentiles look back: N/A says nothing of the others."""
    whole = [*history()]
    stalled = [
        ",".join([*cells[:6], *["N/A"] * 11, *cells[17:]]) if n in (30, 31) else ",".join(cells)
        for n, cells in enumerate(line.split(",") for line in whole)
    ]
    as_planned(read(written(tmp_path / "stall.csv", iter(stalled)), "locust"), errors=0.02)
    again = [line.split(",") for line in whole]
    for cells in again[40:44]:
        cells[17] = "1"
    with pytest.raises(CorruptDataError, match="a running total falls"):
        read(written(tmp_path / "again.csv", (",".join(c) for c in again)), "locust")


def test_locust_asks_for_what_it_can_tell(tmp_path: Path) -> None:
    path = written(tmp_path / "run_stats_history.csv", history())
    with pytest.raises(UsageError, match="cannot be put together"):
        read(path, "locust", requests=["/", "/login"])
    with pytest.raises(UsageError, match="leave step_seconds out"):
        read(path, "locust", step_seconds=60)
    with pytest.raises(MissingDataError, match="no request named /none"):
        read(path, "locust", requests=["/none"])


def real(name: str) -> Path:
    root = Path(os.environ.get("CAPACITY_REAL_DATA", "../shared/data"))
    path = root / "loadtest" / name
    if not path.exists():
        pytest.skip("no real Locust files: they lie beside the checkout")
    return path


@pytest.mark.shared
def test_the_files_of_a_real_locust_run() -> None:
    """Eight seconds, five of them at 20 users: too short to be believed, unless that is said."""
    with pytest.raises(MissingDataError, match="no steady step"):
        read(real("out_stats_history.csv"), "locust")
    told = read(real("out_stats_history.csv"), "locust", settle_seconds=2, least_seconds=2)
    assert told.frame["concurrency"].tolist() == [20]
    assert told.frame["throughput"].tolist() == pytest.approx([(2117 - 1077) / 3])
    assert any("look 10 s back" in n for n in told.notes)
    whole = read(real("out_stats.csv"), "locust").frame.iloc[0]
    assert (whole["throughput"], whole["p99_ms"], whole["requests"]) == (pytest.approx(302.324, abs=1e-3), 15.0, 2117)
    assert math.isnan(whole["concurrency"])


# --- tables ------------------------------------------------------------------------------------------------


def test_a_table_of_steps(tmp_path: Path) -> None:
    path = written(tmp_path / "steps.csv", iter(["concurrency,throughput,p99_ms", "8,90,40", "4,50,20"]))
    told = read(path, "table")
    assert told.frame["throughput"].tolist() == [50, 90]
    assert told.frame["error_frac"].tolist() == [0.0, 0.0]
    assert np.isnan(told.frame["p95_ms"]).all()


# --- what is refused ---------------------------------------------------------------------------------------

GOOD = list(k6_lines())


@pytest.mark.parametrize(
    ("kind", "lines", "said"),
    [
        ("k6", [*GOOD[:50], "{broken", *GOOD[50:]], "line 51: no JSON object"),
        ("k6", [*GOOD[:50], GOOD[50][:60], *GOOD[51:]], "line 51: no JSON"),
        ("k6", [GOOD[0], GOOD[1].replace('"value":4', '"value":"many"')], "line 2: vus is 'many'"),
        ("k6", [GOOD[0], GOOD[1].replace("2027-", "20x7-")], "line 2: time is"),
        ("k6", [GOOD[1].replace('"value":4', '"value":NaN')], "vus is 'nan'"),
        ("k6", ["<html>", "no"], "no JSON|no 'metrics'"),
        ("k6", [""], "is empty"),
        ("k6", ["[" * 100_000], "no JSON"),
        ("jmeter", ["1800000000000,20,page,200"], "first line has no timeStamp"),
        ("jmeter", [HEADER, "2027/01/15 08:00:00,20" + "," * 15], "line 2: timeStamp is .*timestamp_format=ms"),
        ("jmeter", [HEADER, "1800000000000,20,page"], "line 2: 3 values where the first line has 17"),
        (
            "jmeter",
            ["timeStamp,elapsed,label,success,allThreads", "1800000000000,-5,page,true,4"],
            "line 2: elapsed is '-5'",
        ),
        (
            "jmeter",
            ["timeStamp,elapsed,label,success,allThreads", "1800000000000,5,page,perhaps,4"],
            "success is 'perhaps'",
        ),
        ("jmeter", ["<testResults>", '<httpSample t="1" ts="1" s="true" lb="a"/>'], "no XML.*cut off"),
        ("jmeter", ['<!DOCTYPE a [<!ENTITY b "cc">]>', "<testResults/>"], "line 1: declares a document type"),
        ("locust", ["Type,Name,Requests", "GET,/,3"], "first line has no"),
        ("locust", [HISTORY, "1,2,3"], "line 2: 3 values where the first line has 24"),
        ("table", ["throughput", "3"], "first line has no p99_ms"),
        ("table", ["throughput,p99_ms", "fast,3"], "line 2: throughput is 'fast'"),
        ("table", ["throughput,p99_ms,error_frac", "5,3,40"], "error_frac is 40"),
    ],
)
def test_a_file_that_cannot_be_read_is_refused(tmp_path: Path, kind: str, lines: list[str], said: str) -> None:
    path = written(tmp_path / "file", iter(lines))
    with pytest.raises(CorruptDataError, match=said) as caught:
        read(path, kind)
    assert str(path) in str(caught.value)
    assert ";" in str(caught.value)  # what, then how to mend it


@pytest.mark.parametrize("content", [b"\x1f\x8b\x08cut", b"\xff\xfe\x00", b"x" * 2**21])
def test_bytes_that_are_no_text(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "file"
    path.write_bytes(content)
    for kind in ("k6", "jmeter", "locust", "table"):
        with pytest.raises(CorruptDataError):
            read(path, kind)


def test_wild_time_stamps_do_not_fill_memory(tmp_path: Path) -> None:
    lines = ["timeStamp,elapsed,label,success,allThreads"]
    lines += [f"{1_800_000_000_000 + i * 1000},5,page,true,4" for i in range(0, 400_000, 300_000)]
    path = written(tmp_path / "run.jtl", iter(lines))
    with pytest.raises(CorruptDataError, match="spans 3 days"):
        read(path, "jmeter")


def test_no_file(tmp_path: Path) -> None:
    with pytest.raises(MissingDataError, match="names no file; mend 'path'"):
        read(tmp_path / "*.json", "k6")


def test_memory_grows_with_seconds_and_not_with_requests(tmp_path: Path) -> None:
    """The same run with ten times the requests takes hardly more."""

    def peak(times: int) -> int:
        path = tmp_path / f"{times}.jtl"
        with path.open("w") as out:
            out.write("timeStamp,elapsed,label,success,allThreads\n")
            for at in range(30):
                out.writelines(f"{(START + at) * 1000 + i % 900},20,page,true,4\n" for i in range(100 * times))
        tracemalloc.start()
        read(path, "jmeter")
        used = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return used

    peak(2)  # what is imported lazily
    assert peak(10) < 1.3 * peak(1) + 200_000


def test_the_example_of_the_docs_loads() -> None:
    text = (Path(__file__).resolve().parents[2] / "docs" / "load-tests.md").read_text(encoding="utf-8")
    block = text.split("```yml\n")[1].split("```")[0]
    (entry,) = strict_yaml.loads(block, "load-tests.md").data["load_tests"]
    assert LoadTestConfig.model_validate(entry).instances == 2


def test_a_stage_shorter_than_what_is_left_out_is_refused() -> None:
    with pytest.raises(ValidationError, match=r"settle_seconds \+ least_seconds \(20\)"):
        config(Path("x"), "k6", step_seconds=15)


def test_the_order_of_lines_does_not_matter(tmp_path: Path) -> None:
    lines = list(k6_lines())
    shuffled = iter(np.random.default_rng(1).permutation(lines).tolist())
    as_planned(read(written(tmp_path / "run.json", shuffled), "k6"))
