"""Searches in a child process, so that they end when they must.

HiGHS looks at its clock between steps and has been seen to pass its limit by half. The child is started when it is
first needed and kept for the next search; one that does not answer within a grace after its limit is ended, and the
best plan that it had told by then is taken.
"""

from __future__ import annotations

import atexit
import math
import queue
import sys
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from capacity.domain import Floats
from capacity.errors import CapacityError
from capacity.optimize._process import Process

# A search may pass its limit by so much before it is ended: less than the 2 s that are promised, with what follows.
GRACE_SECONDS = 0.6


# A wait for the child that is worth taking off the search's own limit.
_WAITED = 0.05
# No search is waited for longer: threads take no wait without an end, nor one of three centuries.
_LONGEST_SECONDS = 366 * 86_400.0


@dataclass(frozen=True)
class Ended:
    """How a search ended: HiGHS's own word, its proven bound, and the values of the best plan, None where none."""

    text: str
    infeasible: bool
    bound: float
    values: Floats | None


_child: Process | None = None
_lock = threading.Lock()


def _running() -> Process:
    global _child
    if _child is None or not _child.alive:
        _child = Process([sys.executable, "-P", str(Path(__file__).with_name("_apart_child.py"))])
    return _child


@atexit.register
def _end() -> None:
    global _child
    if _child is not None:
        _child.end()
        _child = None


def come_up() -> None:
    """Start the child where there is none, and do not wait for it: it is ready by the time it is needed."""
    with _lock:
        _running()


def search_apart(job: Mapping[str, Any], seconds: float) -> Ended:
    """Run one search for at most ``seconds`` (inf: to its end) and a grace.

    A child that is not up by then is left to come up. One that is left in the middle of a search is ended, as its
    answer would be taken for the next search's.

    Raises
    ------
    CapacityError
        HiGHS refused the model, or ended its process.
    """
    with _lock:
        try:
            return _search(job, min(seconds, _LONGEST_SECONDS))
        except CapacityError:
            raise
        except BaseException:
            _end()
            raise


def _search(job: Mapping[str, Any], seconds: float) -> Ended:
    child = _running()
    began = time.perf_counter()
    child.ready.wait(max(seconds, 0.001))
    waited = time.perf_counter() - began
    if waited >= seconds:
        return Ended("time limit reached", False, -math.inf, None)
    if waited > _WAITED:
        limit = min(float(job["options"].get("time_limit", math.inf)), seconds - waited)
        job = {**job, "options": {**job["options"], "time_limit": limit}}
    child.send(job)
    best: dict[str, Any] = {}
    while True:
        left = began + seconds + GRACE_SECONDS - time.perf_counter()
        try:
            message = child.messages.get(timeout=max(left, 0.001))
        except queue.Empty:
            _end()
            return Ended(
                "time limit reached; the search was ended", False, best.get("bound", -math.inf), best.get("better")
            )
        if message is None:
            _end()
            raise CapacityError("HiGHS ended its process in the middle of a search")
        if "refused" in message:
            raise CapacityError("HiGHS refused the model: a coefficient or a bound is out of range")
        if "better" in message:
            best = {"better": message["better"], "bound": max(message["bound"], best.get("bound", -math.inf))}
            continue
        values = message["values"]
        return Ended(
            str(message["ended"]), bool(message["infeasible"]), float(message["bound"]),
            None if values is None else np.asarray(values),
        )  # fmt: skip
