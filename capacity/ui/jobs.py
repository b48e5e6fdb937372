"""A plan made in a child process: started, watched, cancelled. Knows nothing of streamlit.

The child writes JSON lines ``{"stage", "done", "total"}`` into a progress file, and its output into two log
files. It swaps the finished plan in by rename, so a job that fails or is cancelled leaves the old plan as it was.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from capacity.errors import EXIT_DATA, EXIT_FAULT, EXIT_GATE_SHUT, EXIT_NO_PLAN, EXIT_OK, EXIT_USAGE, UsageError

State = Literal["running", "done", "failed", "cancelled"]

GRACE_SECONDS = 5.0  # between asking a job to end and ending it; a solver's own limit overruns by less (2 s)
TAIL_LINES = 12  # of the error log: what fits on a page without scrolling
_TAIL_BYTES = 16_384  # read from the log's end; twelve lines of a terminal's width and more

_MEANINGS = {
    EXIT_OK: "The plan is ready.",
    EXIT_GATE_SHUT: "The plan is ready, and it violates a policy: see the findings.",
    EXIT_USAGE: "The config or the command is wrong.",
    EXIT_DATA: "Data is missing, stale, corrupt or only partly ingested.",
    EXIT_NO_PLAN: "No plan meets all requirements, or none was found in time.",
    EXIT_FAULT: "A fault of the tool itself.",
}


@dataclass(frozen=True)
class Progress:
    """How far a job is: ``done`` of ``total`` steps of ``stage``. A total of 0 means not known."""

    stage: str = "starting"
    done: int = 0
    total: int = 0

    @property
    def share(self) -> float:
        """Between 0 and 1, for a bar."""
        return min(max(self.done / self.total, 0.0), 1.0) if self.total > 0 else 0.0


@dataclass(frozen=True)
class Status:
    """What is known of a job now. ``exit_code`` is None while it runs; negative: ended by that signal."""

    state: State
    scenarios: tuple[str, ...]
    progress: Progress
    exit_code: int | None = None
    meaning: str = ""
    error_tail: tuple[str, ...] = ()


def plan_command(
    config: Path, plans: Path, scenarios: Sequence[str], progress: Path, python: str = sys.executable
) -> list[str]:
    """The command line that plans ``config`` and ``scenarios`` into ``plans``."""
    chosen = [part for name in scenarios for part in ("--scenario", name)]
    return [python, "-m", "capacity", "plan", "-c", str(config), *chosen, "--out", str(plans), "--progress",
            str(progress)]  # fmt: skip


def meaning(exit_code: int) -> str:
    """An exit code in words."""
    if exit_code < 0:
        return f"Ended from outside (signal {-exit_code})."
    return _MEANINGS.get(exit_code, f"Ended with an unknown exit code ({exit_code}).")


def read_progress(path: Path) -> Progress:
    """The last whole line of a progress file; a line that is still being written is passed over."""
    for line in reversed(_tail(path)):
        with contextlib.suppress(ValueError, KeyError, TypeError):
            item = json.loads(line)
            return Progress(str(item["stage"]), int(item["done"]), int(item["total"]))
    return Progress()


def _tail(path: Path) -> list[str]:
    """Lines at the end of a text file that are not blank; none where there is no file."""
    try:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - _TAIL_BYTES))
            text = file.read().decode("utf-8", errors="replace")
    except OSError:
        return []
    return [line for line in text.splitlines() if line.strip()]


class Runner:
    """Runs one job at a time. Every session of a server shares one runner: two people cannot plan at once.

    Parameters
    ----------
    build
        Makes the command line from (config, plans, scenarios, progress file); another one in tests.
    """

    def __init__(self, build: Callable[[Path, Path, Sequence[str], Path], list[str]] = plan_command) -> None:
        self._build = build
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._folder: Path | None = None
        self._scenarios: tuple[str, ...] = ()
        self._cancelled = False

    @property
    def folder(self) -> Path | None:
        """Where the last job's logs and progress are."""
        return self._folder

    def start(self, config: Path, plans: Path, scenarios: Sequence[str]) -> None:
        """Start planning in a process group of its own.

        Raises
        ------
        UsageError
            A job is already running, or there is no such config.
        """
        if not config.is_file():
            raise UsageError(f"{config}: no such config file; give one with `capacity app -c CONFIG`")
        with self._lock:
            if self._process is not None and self._process.poll() is None:
                raise UsageError("a plan is already being made; wait for it or cancel it")
            self._forget()
            self._folder = Path(tempfile.mkdtemp(prefix="capacity-job-"))
            self._scenarios, self._cancelled = tuple(scenarios), False
            self._process = self._spawn(self._build(config, plans, scenarios, self._folder / "progress.jsonl"))

    def _spawn(self, command: list[str]) -> subprocess.Popen[bytes]:
        assert self._folder is not None  # noqa: S101  (set by start)
        with (self._folder / "out.log").open("wb") as out, (self._folder / "err.log").open("wb") as err:
            return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=err, start_new_session=True)

    def status(self) -> Status | None:
        """The last job; None where none was started."""
        process, folder = self._process, self._folder
        if process is None or folder is None:
            return None
        code = process.poll()
        progress = read_progress(folder / "progress.jsonl")
        if code is None:
            return Status("running", self._scenarios, progress)
        if self._cancelled:
            text = "Cancelled. The plan that was there is unchanged."
            return Status("cancelled", self._scenarios, progress, code, text)
        if code in (EXIT_OK, EXIT_GATE_SHUT):
            return Status("done", self._scenarios, progress, code, meaning(code))
        tail = tuple(_tail(folder / "err.log")[-TAIL_LINES:])
        return Status("failed", self._scenarios, progress, code, meaning(code), tail)

    def cancel(self, grace_seconds: float = GRACE_SECONDS) -> None:
        """End the job and all it started: asked first, ended after ``grace_seconds``. Does nothing if none runs."""
        with self._lock:
            process = self._process
            if process is None or process.poll() is not None:
                return
            self._cancelled = True
            _signal_group(process, signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(grace_seconds)
            # Also after a quick end of the parent: what it started may not have listened.
            _signal_group(process, signal.SIGKILL)
            # A job that came to its end all the same has swapped its plan in.
            self._cancelled = process.wait() not in (EXIT_OK, EXIT_GATE_SHUT)

    def close(self) -> None:
        """Cancel what runs and delete the logs."""
        self.cancel()
        with self._lock:
            self._forget()

    def _forget(self) -> None:
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)
        self._process, self._folder = None, None


def _signal_group(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, number)
