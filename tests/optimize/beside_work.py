"""Jobs for the tests of helpers: functions of a module, as helpers import them by name."""

from __future__ import annotations

import os
import time

from capacity.optimize._clock import Deadline


def squared(shared: list[int], job: int, ends: Deadline) -> tuple[int, int]:
    """The square of a shared number, and who worked it out."""
    time.sleep(0.005)
    return shared[job] ** 2, os.getpid()


def gone(parent: int, job: int, ends: Deadline) -> int:
    """A helper dies of it."""
    if os.getpid() != parent:
        os._exit(1)
    time.sleep(0.02)
    return job


def refused(parent: int, job: int, ends: Deadline) -> int:
    """What fails in the end fails where it was asked for."""
    if job == 3:
        raise ValueError("three is refused")
    return job


def endless(parent: int, job: int, ends: Deadline) -> int:
    """Works until its time is up; in a helper, never answers in time."""
    while os.getpid() != parent:
        time.sleep(0.1)
    time.sleep(0.05)
    return job


def patient(shared: None, job: int, ends: Deadline) -> int:
    """Looks at the time as every long loop does."""
    time.sleep(0.01)
    ends.check()
    return job
