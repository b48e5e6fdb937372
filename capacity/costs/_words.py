"""Names of services and pools, found word by word in the values of a bill."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

Target = tuple[Literal["service", "pool"], str]


@dataclass(frozen=True)
class Words:
    """Services and pools by the words of their names, and how many words those have, longest first."""

    target_of: Mapping[tuple[str, ...], Target]
    lengths: tuple[int, ...]

    @classmethod
    def of(cls, services: Sequence[str], pools: Sequence[str]) -> Words:
        targets: list[Target] = [*(("pool", p) for p in pools), *(("service", s) for s in services)]
        named = {w: t for t in targets if (w := split_words(t[1]))}  # a service goes before a pool of its name
        return cls(named, tuple(sorted({len(w) for w in named}, reverse=True)))

    def target_in(self, value: str) -> Target | None:
        """What stands, word by word, in ``value``; the longest name where several do."""
        have = split_words(value)
        for length in self.lengths:
            for start in range(len(have) - length + 1):
                target = self.target_of.get(have[start : start + length])
                if target:
                    return target
        return None


def split_words(text: str) -> tuple[str, ...]:
    """The words of ``text`` in lower case; what is no letter or digit stands between them."""
    return tuple(re.findall(r"[^\W_]+", text.casefold()))
