"""One end for all that a search does: every long loop asks it, so that a limit is a limit.

The clock comes from the caller, so a test can count the questions instead of waiting.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass

Clock = Callable[[], float]


class TimeIsUp(Exception):  # noqa: N818 (no fault: the limit was reached, and what was found until then stands)
    """The limit was reached inside a loop that cannot give a part of its result."""


@dataclass(frozen=True)
class Deadline:
    """A moment ``at`` of a monotonic ``clock``, both in seconds."""

    clock: Clock
    at: float

    @classmethod
    def after(cls, seconds: float, clock: Clock = time.perf_counter) -> Deadline:
        """The moment ``seconds`` from now."""
        return cls(clock, clock() + seconds)

    @classmethod
    def never(cls, clock: Clock = time.perf_counter) -> Deadline:
        """No limit."""
        return cls(clock, math.inf)

    @property
    def left(self) -> float:
        """Seconds until then, below 0 once it has passed."""
        return self.at - self.clock()

    @property
    def passed(self) -> bool:
        """Whether nothing is left."""
        return self.left <= 0

    def check(self) -> None:
        """Raise where nothing is left.

        Raises
        ------
        TimeIsUp
            For who called the loop: what is known by then is used.
        """
        if self.passed:
            raise TimeIsUp

    def later(self, seconds: float) -> Deadline:
        """The moment ``seconds`` after this one."""
        return Deadline(self.clock, self.at + seconds)

    def share(self, frac: float) -> Deadline:
        """The moment at which ``frac`` of what is left now has gone."""
        now = self.clock()
        return Deadline(self.clock, now + frac * max(self.at - now, 0.0))
