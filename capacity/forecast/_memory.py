"""What members said at past origins, remembered: a new day then costs one question a member, not fifteen.

An answer is known by a digest of everything it follows from: the history up to its origin, the horizon, the
occasions, and the code that gave it. A file a series; a torn or foreign file is as good as none.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import lru_cache
from importlib import metadata, resources
from pathlib import Path
from typing import TYPE_CHECKING
from zipfile import BadZipFile

import numpy as np

import capacity
from capacity.domain import Floats, Paths
from capacity.forecast._history import View

if TYPE_CHECKING:
    from capacity.forecast.members import Member
    from capacity.forecast.occasions import Occasion

# A file that no call has used for this long before the newest was belongs to a series that is gone, in seconds.
FORGET_AFTER_SECONDS = 40 * 86_400.0
SUFFIX = ".origins.npz"


@dataclass(frozen=True)
class Told:
    """Name -> (H,) float32 medians at one origin, on the scale that was known there."""

    medians: Mapping[str, Paths]


@dataclass
class Recall:
    """What is known of one series' past origins, what was used of it, and what was asked anew."""

    known: Mapping[str, Told] = field(default_factory=dict)
    fresh: dict[str, Told] = field(default_factory=dict)
    used: list[str] = field(default_factory=list)
    keeps: bool = False

    def said(self, digest: Callable[[], str], ask: Callable[[], Told]) -> Told:
        """The answer under a digest, asked for where it is not known."""
        if not self.keeps:
            return ask()
        name = digest()
        self.used.append(name)
        if name in self.known:
            return self.known[name]
        self.fresh[name] = ask()
        return self.fresh[name]

    @property
    def changed(self) -> bool:
        """Whether a file with ``known`` is out of date."""
        return bool(self.fresh) or set(self.used) != set(self.known)


def digest_of(
    view: View, values: Floats, horizon: int, members: Sequence[Member], occasions: Sequence[Occasion]
) -> str:
    """SHA-256 over all that the members' answer at one origin follows from; ``values`` (n,) in the series' unit."""
    about = [
        view.freq,
        str(view.start),
        horizon,
        [repr(m) for m in members],
        [repr(o) for o in occasions],
        code_digest(),
    ]
    h = hashlib.sha256(json.dumps(about).encode())
    h.update(np.ascontiguousarray(values, dtype=float).tobytes())
    return h.hexdigest()


@lru_cache(maxsize=1)
def code_digest() -> str:
    """SHA-256 of the versions of the package and of what fits, and of the text of every module that forecasts.

    The text counts because a release is not the only thing that changes code: a checkout does too.
    """
    h = hashlib.sha256(capacity.__version__.encode())
    for name in ("prophet", "numpy", "scipy"):
        h.update(metadata.version(name).encode())
    here = resources.files("capacity.forecast")
    for folder in (here, here / "members"):
        for file in sorted(folder.iterdir(), key=lambda f: f.name):
            if file.name.endswith(".py"):
                h.update(file.name.encode() + file.read_bytes())
    return h.hexdigest()


def file_of(folder: Path, key: str) -> Path:
    """Where a series is remembered."""
    return folder / f"{hashlib.sha256(key.encode()).hexdigest()[:32]}{SUFFIX}"


def read(folder: Path, key: str) -> dict[str, Told]:
    """All that is remembered of a series; nothing where there is no file, or a torn one."""
    path = file_of(folder, key)
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            about = json.loads(str(arrays["about"]))
            medians = arrays["medians"]
        if about["key"] != key:
            return {}
        out, at = {}, 0
        for digest, names in about["told"]:
            out[digest] = Told({name: medians[at + i] for i, name in enumerate(names)})
            at += len(names)
    except (OSError, ValueError, KeyError, IndexError, TypeError, EOFError, BadZipFile):
        return {}
    return out if at == len(medians) else {}


def write(folder: Path, key: str, told: Mapping[str, Told]) -> None:
    """Remember exactly ``told`` of a series; whole or not at all."""
    about = {"key": key, "told": [[digest, list(one.medians)] for digest, one in told.items()]}
    rows = [z for one in told.values() for z in one.medians.values()]
    path = file_of(folder, key)
    partial = path.with_name(f"{path.name}.{os.getpid()}.partial")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with partial.open("wb") as file:
            np.savez(file, about=np.array(json.dumps(about)), medians=np.array(rows, dtype=np.float32))
        partial.replace(path)
    except OSError:
        with suppress(OSError):  # a folder that takes nothing remembers nothing; the forecast is there
            partial.unlink(missing_ok=True)


def touch(folder: Path, key: str) -> None:
    """Mark a series as in use."""
    try:
        os.utime(file_of(folder, key))
    except OSError:
        return


def forget_old(folder: Path) -> None:
    """Remove what has not been used for long, by the newest file's time: no clock is read."""
    try:
        times = {path: path.stat().st_mtime for path in folder.glob(f"*{SUFFIX}*")}
        for path, used in times.items():
            if used < max(times.values()) - FORGET_AFTER_SECONDS:
                path.unlink(missing_ok=True)
    except OSError:
        return
