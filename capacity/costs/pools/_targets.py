"""Where a share of a pool can go."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple

Group = tuple[object, ...]  # GROUP_KEY and the charge month


class Target(NamedTuple):
    """A service, another pool, or a part that stays visible and goes to nobody (``apart``: "pool: idle")."""

    kind: Literal["service", "pool", "apart"]
    name: str


# The whole amount stays in the pool.
NOT_SPLIT = Target("apart", "")


def apart(pool: str, what: str) -> Target:
    """A part of ``pool`` under a name of its own."""
    return Target("apart", f"{pool}: {what}")


@dataclass(frozen=True)
class Share:
    """How a pool is split in one group: targets with weights above zero, and the method in words."""

    targets: tuple[Target, ...]
    weights: tuple[int, ...]
    method: str
    reason: str = ""
