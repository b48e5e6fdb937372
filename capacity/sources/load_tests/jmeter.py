"""JMeter's JTL files, CSV or XML: one sample a line or an element, timed at its start (ms), its time elapsed in ms.

A sample counts in the second in which it ended, timeStamp + elapsed. Users are allThreads (``na``), the active threads
of all groups. Of nested samples (a page and what it embeds, a transaction and its requests) only the outer one counts.
Source: JMeter's user manual, listeners, CSV log format and sample attributes.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from pathlib import Path
from xml.parsers import expat

import pandas as pd

from capacity.config import LoadTestConfig
from capacity.sources.load_tests._files import lines, number, refuse
from capacity.sources.load_tests._names import Names
from capacity.sources.load_tests._steps import Run, steps

_NEEDED = ("timeStamp", "elapsed", "label", "success")
_USERS = "allThreads"
_MEND = "let JMeter save timestamp, elapsed, label, success, thread counts and field names (jmeter.save.saveservice.*)"
# XML attribute -> column of the CSV form.
_ATTRIBUTES = {"ts": "timeStamp", "t": "elapsed", "lb": "label", "s": "success", "na": _USERS}
_SAMPLES = ("httpSample", "sample", "sampleResult")


def read(path: Path, config: LoadTestConfig) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """Steps of one file, and what is to be known of them."""
    run, names, users_told = Run(path), Names(config.requests), False
    for at, sample in _xml(path) if _is_xml(path) else _csv(path):
        began, elapsed = (number(path, at, key, sample.get(key)) for key in _NEEDED[:2])
        ended = (began + elapsed) / 1000.0
        if sample.get(_USERS):
            users_told = True
            run.users(ended, number(path, at, _USERS, sample[_USERS]), at)
        success = (sample.get("success") or "").lower()
        if success not in ("true", "false"):
            refuse(path, at, f"success is {success[:20]!r}", "true or false is allowed")
        if names.counts(sample.get("label") or ""):
            run.request(ended, elapsed, success == "false", at)
    names.refuse_unknown(path)
    if not users_told and not config.step_seconds and run.seconds:
        refuse(path, 0, f"does not tell the users ({_USERS}, na)",
               "save thread counts (jmeter.save.saveservice.thread_counts=true), or give step_seconds")  # fmt: skip
    return steps(run, path, config)


def _is_xml(path: Path) -> bool:
    first = next((line for _, line in lines(path) if line.strip()), None)
    if first is None:
        refuse(path, 0, "is empty", _MEND)
    return first.lstrip().startswith("<")


def _csv(path: Path) -> Iterator[tuple[int, dict[str, str]]]:
    rows = lines(path)
    at, header = next(rows)
    delimiter = next((d for d in ",\t;|" if _NEEDED[0] in header.strip().split(d)), None)
    names = header.strip().split(delimiter) if delimiter else []
    missing = [c for c in _NEEDED if c not in names]
    if missing:
        refuse(path, at, f"the first line has no {', '.join(missing)}", _MEND)
    reader = csv.reader((line for _, line in rows), delimiter=delimiter or ",", strict=True)
    try:
        for row in reader:
            if row:
                yield reader.line_num + 1, _record(path, reader.line_num + 1, names, row)
    except csv.Error as error:
        refuse(path, reader.line_num + 1, f"no CSV ({error})", _MEND)


def _record(path: Path, at: int, names: Sequence[str], row: Sequence[str]) -> dict[str, str]:
    if len(row) != len(names):
        refuse(path, at, f"{len(row)} values where the first line has {len(names)}", "is the end of the file cut off?")
    record = dict(zip(names, row, strict=True))
    if not record["timeStamp"].strip().lstrip("-").isdigit():
        refuse(path, at, f"timeStamp is {record['timeStamp'][:40]!r}",
               "milliseconds are read: jmeter.save.saveservice.timestamp_format=ms")  # fmt: skip
    return record


class _Samples:
    """Outer samples of an XML file as it is parsed: no tree is built, and no document type is let in."""

    def __init__(self, path: Path) -> None:
        self._path, self._inside, self.found = path, 0, list[tuple[int, dict[str, str]]]()
        self.parser = expat.ParserCreate()
        self.parser.buffer_text = False
        self.parser.StartElementHandler = self._start
        self.parser.EndElementHandler = self._end
        self.parser.StartDoctypeDeclHandler = self._doctype

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        if name in _SAMPLES:
            if not self._inside:
                told = {_ATTRIBUTES[k]: v for k, v in attributes.items() if k in _ATTRIBUTES}
                self.found.append((self.parser.CurrentLineNumber, told))
            self._inside += 1

    def _end(self, name: str) -> None:
        self._inside -= name in _SAMPLES

    def _doctype(self, *_: object) -> None:
        refuse(self._path, self.parser.CurrentLineNumber, "declares a document type", "JMeter writes none; save anew")


def _xml(path: Path) -> Iterator[tuple[int, dict[str, str]]]:
    samples = _Samples(path)
    try:
        for _, line in lines(path):
            samples.parser.Parse(line.encode(), False)
            yield from samples.found
            samples.found.clear()
        samples.parser.Parse(b"", True)
    except expat.ExpatError as error:
        refuse(path, error.lineno, f"no XML ({expat.ErrorString(error.code)})",
               "is the end of the file cut off? JMeter closes it when the run ends")  # fmt: skip
