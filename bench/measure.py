"""Run a command as a whole process and weigh it: wall seconds and peak memory, over several runs."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

POLL_SECONDS = 0.05


@dataclass(frozen=True)
class Measured:
    """Wall seconds of each run, and the largest resident memory of the process and its children together."""

    seconds: tuple[float, ...]
    peak_bytes: int
    returncode: int

    @property
    def median(self) -> float:
        return statistics.median(self.seconds)

    def line(self, name: str) -> str:
        spread = f"{min(self.seconds):.2f} to {max(self.seconds):.2f}"
        return (
            f"{name:<46} {self.median:>8.2f} s  ({spread})  {self.peak_bytes / 2**20:>8.0f} MiB  exit {self.returncode}"
        )


def measure(
    command: Sequence[str],
    runs: int = 3,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    poll_seconds: float = POLL_SECONDS,
) -> Measured:
    """Run ``command`` ``runs`` times, output thrown away.

    Memory is read every ``poll_seconds``; reading that of gigabytes takes long enough to be in the way of short ones.
    """
    seconds, peak, code = [], 0, 0
    for _ in range(runs):
        began = time.perf_counter()
        process = subprocess.Popen(
            list(command),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env={**os.environ, **(env or {})},
            cwd=cwd,
        )
        watcher = _Watcher(process.pid, poll_seconds)
        watcher.start()
        code = process.wait()
        seconds.append(time.perf_counter() - began)
        peak = max(peak, watcher.stop())
    return Measured(tuple(seconds), peak, code)


class _Watcher(threading.Thread):
    """Adds up the resident memory of a process tree, again and again; Linux only, elsewhere it says 0."""

    def __init__(self, pid: int, poll_seconds: float) -> None:
        super().__init__(daemon=True)
        self._pid, self._peak, self._done, self._poll_seconds = pid, 0, threading.Event(), poll_seconds

    def run(self) -> None:
        while not self._done.is_set() and sys.platform == "linux":
            self._peak = max(self._peak, sum(_resident(p) for p in _tree(self._pid)))
            self._done.wait(self._poll_seconds)

    def stop(self) -> int:
        self._done.set()
        self.join()
        return self._peak


def _tree(pid: int) -> list[int]:
    found, todo = [], [pid]
    while todo:
        one = todo.pop()
        found.append(one)
        try:
            tasks = Path(f"/proc/{one}/task").iterdir()
            todo += [int(c) for t in tasks for c in (t / "children").read_text().split()]
        except OSError:
            continue
    return found


def _resident(pid: int) -> int:
    try:
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1024
    except OSError:
        return 0
    return 0
