"""The catalogue as arrays: what is asked of every type is asked of all at once."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from capacity.domain import Floats, InstanceType
from capacity.optimize.candidates._quota import quota_code, spot_quota_code

Bools = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.intp]


@dataclass(frozen=True)
class Kinds:
    """Types by name: ``names`` are the keys of the mapping they came in, ``types`` what stood there.

    ``quotas`` and ``spot_quotas`` are the quota classes of each type, as numbers that are equal where the codes are.
    """

    names: tuple[str, ...]
    types: tuple[InstanceType, ...]
    arch: npt.NDArray[np.str_]
    vcpu: Floats
    gib_per_vcpu: Floats
    is_burstable: Bools
    has_baseline: Bools
    is_bare_metal: Bools
    is_special: Bools
    is_current: Bools
    quotas: Ints
    spot_quotas: Ints

    def any_of(self, families_or_names: Collection[str]) -> Bools:
        """Which types are named, by family ("m7g") or whole ("m7g.metal")."""
        named = frozenset(families_or_names)
        return np.array([k.family in named or k.name in named for k in self.types], dtype=bool)

    def named(self, names: Collection[str]) -> Bools:
        """Which types are named whole."""
        named = frozenset(names)
        return np.array([k.name in named for k in self.types], dtype=bool)

    def keyed(self, names: Collection[str]) -> Bools:
        """Which types came under one of these names."""
        named = frozenset(names)
        return np.array([name in named for name in self.names], dtype=bool)


class _Same:
    """A catalogue by the identity of its types: they never change, so the same objects are the same catalogue.

    It holds the types, so that while it is kept no other object takes one's identity.
    """

    def __init__(self, types: Mapping[str, InstanceType]) -> None:
        self.types = dict(types)
        self.key = (*self.types, *map(id, self.types.values()))

    def __hash__(self) -> int:
        return hash(self.key)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Same) and self.key == other.key


def kinds_of(types: Mapping[str, InstanceType]) -> Kinds:
    """``types`` sorted by name; a catalogue's arrays are made once, whichever mapping its types come in."""
    return _made(_Same(types))


# Machines and managed databases, of a few runs in one process.
@lru_cache(maxsize=8)
def _made(same: _Same) -> Kinds:
    names = tuple(sorted(same.types))
    kinds = tuple(same.types[name] for name in names)
    return Kinds(
        names=names,
        types=kinds,
        arch=np.array([k.arch for k in kinds], dtype=np.str_),
        vcpu=np.array([k.vcpu for k in kinds], dtype=float),
        gib_per_vcpu=np.array([k.memory_gib / k.vcpu if k.vcpu else 0.0 for k in kinds], dtype=float),
        is_burstable=np.array([k.burstable for k in kinds], dtype=bool),
        has_baseline=np.array([k.baseline_frac is not None for k in kinds], dtype=bool),
        is_bare_metal=np.array([k.bare_metal for k in kinds], dtype=bool),
        is_special=np.array([bool(k.special) for k in kinds], dtype=bool),
        is_current=np.array([k.current_generation for k in kinds], dtype=bool),
        quotas=numbered([quota_code(k.family) for k in kinds]),
        spot_quotas=numbered([spot_quota_code(k.family) for k in kinds]),
    )


def numbered(words: Sequence[str]) -> Ints:
    """A number for each word, the same for the same word."""
    at = {word: k for k, word in enumerate(dict.fromkeys(words))}
    return np.array([at[word] for word in words], dtype=np.intp)
