"""The tree of errors, and the exit code each one carries.

::

    CapacityError                 70  a fault of the tool itself
    ├── UsageError                 2  wrong usage of a command or a function
    │   ├── ConfigError            2  a config or scenario file: file, line, key, found, allowed
    │   └── ChangedError           2  a file that another wrote since it was read; nothing was written
    ├── DataError                  3  data that cannot be trusted to answer the question
    │   ├── MissingDataError       3  nothing there
    │   ├── StaleDataError         3  there, but too old for the question
    │   ├── CorruptDataError       3  unreadable, or its totals do not agree
    │   └── PartialIngestError     3  some sources or accounts failed; the rest is in the store
    ├── PlanError                  4  no plan to show
    │   ├── InfeasiblePlanError    4  requirements that conflict, by name
    │   └── NoPlanInTimeError      4  the time limit ended the search without a plan
    └── PlanCheckError            70  the independent checker refused a plan: never shown

Exit 0 is fine and exit 1 is a shut gate (a policy is violated, an event does not hold): an answer,
not an error, so no class carries it.

Every message says what is wrong, where, and how to mend it.
"""

from __future__ import annotations

from collections.abc import Sequence

EXIT_OK = 0
EXIT_GATE_SHUT = 1
EXIT_USAGE = 2
EXIT_DATA = 3
EXIT_NO_PLAN = 4
EXIT_FAULT = 70


class CapacityError(Exception):
    """Base of all errors that this package raises on purpose."""

    exit_code = EXIT_FAULT


class UsageError(CapacityError):
    """A command or a function was called in a way that cannot be answered."""

    exit_code = EXIT_USAGE


class ConfigError(UsageError):
    """A config or scenario file is wrong; ``problems`` holds one line a fault."""

    def __init__(self, problems: Sequence[str]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(self.problems))


class ChangedError(UsageError):
    """A file was to be written that another has written since it was read; it stands as the other left it.

    ``theirs`` is the text on disk (empty where the file is gone), ``mine`` the one that was not written.
    """

    def __init__(self, message: str, *, path: str = "", theirs: str = "", mine: str = "") -> None:
        self.path, self.theirs, self.mine = path, theirs, mine
        super().__init__(message)


class DataError(CapacityError):
    """Data is missing, stale, corrupt or only partly there."""

    exit_code = EXIT_DATA


class MissingDataError(DataError):
    """There is no data where the question needs some."""


class StaleDataError(DataError):
    """The data ends too long before the moment that is asked about."""


class CorruptDataError(DataError):
    """Data that cannot be read, or whose totals do not agree with themselves."""


class PartialIngestError(DataError):
    """Some parts of an ingest failed; what succeeded is in the store."""


class PlanError(CapacityError):
    """There is no plan to show."""

    exit_code = EXIT_NO_PLAN


class InfeasiblePlanError(PlanError):
    """No plan meets all requirements; ``conflicts`` names a minimal set that cannot hold together.

    ``relaxations`` says, where it is known, what would make a plan possible and what that plan would cost.
    """

    def __init__(self, message: str, conflicts: Sequence[str], relaxations: Sequence[str] = ()) -> None:
        self.message, self.conflicts, self.relaxations = message, tuple(conflicts), tuple(relaxations)
        remedy = ["the smallest change that makes a plan possible:", *(f"  - {r}" for r in self.relaxations)]
        lines = [message, *(f"  - {c}" for c in self.conflicts), *(remedy if self.relaxations else ())]
        super().__init__("\n".join(lines))


class NoPlanInTimeError(PlanError):
    """The time limit ended the search before any plan was found."""


class PlanCheckError(CapacityError):
    """The independent checker found a violated requirement in a plan; such a plan is never shown."""
