"""How long work says where it is: one callable, silent by default."""

from __future__ import annotations

from collections.abc import Callable

# (stage, done, total): stage in words, done of total steps of it.
Progress = Callable[[str, int, int], None]


def silent(stage: str, done: int, total: int) -> None:
    """Say nothing."""
