"""Work that is shared among processes: many small jobs of one kind, each on its own, done by all processors at once.

NumPy's small steps hold Python's lock, so threads gain nothing. Helpers are started when a large search begins and kept
for the next. Whoever is free takes the next job, this process too, so a busy machine costs nothing but the gain; what a
helper does not answer is done here. Jobs and their order are the same however many helpers there are, and so is every
result.
"""

from __future__ import annotations

import atexit
import json
import os
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, Generic, TypeVar

from capacity.optimize._clock import Deadline
from capacity.optimize._process import Process

S = TypeVar("S")
J = TypeVar("J")
R = TypeVar("R")

# More helpers than this wait for the parts of a search that are not shared.
_MOST_HELPERS = 3
# An answer is waited for so many times the longest job that was done here, and at least so long; then it is done here.
_PATIENCE, _LEAST_SECONDS = 3.0, 0.1

# Jobs that a helper is given ahead: it has the next at hand when it has answered one.
_AHEAD = 2
# What jobs are made of is imported before a helper says that it is ready.
_BEGIN = """
import json, sys
sys.path[:] = json.loads(sys.argv[1])
import capacity.optimize.columns.plan
from capacity.optimize._beside_child import main
main()
"""


class _Helper(Process):
    """A process, what it was given to share, and the lock of who talks to it."""

    def __init__(self) -> None:
        command = [sys.executable, "-P", "-c", _BEGIN, json.dumps(sys.path)]
        super().__init__(command, {**os.environ, "OPENBLAS_NUM_THREADS": "1"})
        self.talking = threading.Lock()
        self.shared: Any = None

    def share(self, shared: Any) -> None:
        if shared is not self.shared:
            self.send({"shared": shared})
            self.shared = shared

    def answer(self) -> dict[str, Any]:
        """The next answer, in the order of the jobs; an empty one where the process is gone."""
        return self.messages.get() or {}


_helpers: list[_Helper] = []
_starting = threading.Lock()


@atexit.register
def _end() -> None:
    while _helpers:
        _helpers.pop().end()


def come_up(most: int | None = None) -> None:
    """Start as many helpers as there are other processors, at most ``most``, and do not wait for them."""
    with _starting:
        _helpers[:] = [h for h in _helpers if h.alive]
        wanted = min(_processors() - 1, _MOST_HELPERS) if most is None else most
        while len(_helpers) < wanted:
            _helpers.append(_Helper())


def _processors() -> int:
    """Those that this process may use: its affinity and its container's share count."""
    from joblib import cpu_count

    return int(cpu_count())


def forget() -> None:
    """Let go of what was shared, here and in the helpers."""
    for helper in _helpers:
        if helper.shared is not None and helper.talking.acquire(blocking=False):
            try:
                helper.share(None)
            except (OSError, ValueError):
                helper.end()
            finally:
                helper.talking.release()


def spread(work: Callable[[S, J, Deadline], R], shared: S, jobs: Sequence[J], ends: Deadline) -> list[R]:
    """``work(shared, job, ends)`` of each job, in their order.

    ``work`` is a function of a module; it may not change ``shared``, which goes to a helper once for as many calls as
    give the same object. On another clock than the machine's nothing is shared: a helper could not read it.

    Raises
    ------
    TimeIsUp
        Where a job raised it.
    """
    return _Run(work, shared, jobs, ends).finish()


def spread_out(
    work: Callable[[S, Sequence[J], Deadline], list[R]], shared: S, items: Sequence[J], size: int, ends: Deadline
) -> list[R]:
    """As :func:`spread`, of items too small to be jobs: ``work`` does ``size`` of them at once, a result each."""
    jobs = [items[n : n + size] for n in range(0, len(items), size)]
    return [result for own in spread(work, shared, jobs, ends) for result in own]


class _Run(Generic[S, J, R]):
    def __init__(self, work: Callable[[S, J, Deadline], R], shared: S, jobs: Sequence[J], ends: Deadline) -> None:
        self.work, self.shared, self.jobs, self.ends = work, shared, jobs, ends
        self.left, self.results = deque(range(len(jobs))), dict[int, R]()
        self.threads, self.is_over = list[threading.Thread](), False

    def finish(self) -> list[R]:
        longest = 0.0
        try:
            while self._hire() and (k := self._next()) is not None:
                began = time.perf_counter()
                self.results[k] = self.work(self.shared, self.jobs[k], self.ends)
                longest = max(longest, time.perf_counter() - began)
            until = time.perf_counter() + max(_PATIENCE * longest, _LEAST_SECONDS)
            for thread in self.threads:
                thread.join(max(until - time.perf_counter(), 0.0))
            for k in range(len(self.jobs)):
                if k not in self.results:
                    self.results[k] = self.work(self.shared, self.jobs[k], self.ends)
        finally:
            self.is_over = True
        return [self.results[k] for k in range(len(self.jobs))]

    def _hire(self) -> bool:
        """Take in every helper that is free, where there are more jobs than one; those that come up late too."""
        for helper in _helpers if len(self.left) > 1 and self.ends.clock is time.perf_counter else ():
            if helper.ready.is_set() and helper.alive and helper.talking.acquire(blocking=False):
                self.threads.append(threading.Thread(target=self._feed, args=(helper,), daemon=True))
                self.threads[-1].start()
        return True

    def _next(self) -> int | None:
        try:
            return self.left.popleft()
        except IndexError:
            return None

    def _ahead(self) -> int:
        """The last jobs are for whoever is free first."""
        return _AHEAD if len(self.left) > len(self.threads) + 1 else 1

    def _feed(self, helper: _Helper) -> None:
        """Give jobs to a helper for as long as there are any; it is free again once it has answered the last."""
        given = deque[int]()
        try:
            helper.share(self.shared)
            while True:
                while len(given) < self._ahead() and not self.is_over and (k := self._next()) is not None:
                    helper.send({"work": self.work, "job": self.jobs[k], "seconds": self.ends.left})
                    given.append(k)
                if not given:
                    return
                answer, k = helper.answer(), given.popleft()
                if not answer:
                    raise OSError("a helper is gone")
                if "result" in answer:
                    self.results[k] = answer["result"]
        except (OSError, ValueError):
            helper.end()
        finally:
            helper.talking.release()
