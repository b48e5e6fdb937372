"""Base forecasts on disk: written and read series by series, their paths left there until they are looked at.

A forecast of many services is gigabytes of paths. They are appended to one file as they are drawn, and what is handed
on are views of that file: the system brings a series' paths into memory when they are used and drops them again. The
file is written under a name of its own and never changed; a small one beside it, written last and whole, names it and
makes the forecast known. Without it, or with one of them torn, there is nothing, and the forecast is made again.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import IO, Any
from zipfile import BadZipFile

import numpy as np
import pandas as pd

from capacity.domain import LearnedEffect, LevelShift, MemberScore, PastMedians, Paths, SeriesForecast

# Older forecasts are dropped: a few services take tens of megabytes, a thousand take gigabytes. The newest stays.
KEPT = 6
MOST_BYTES = 4 * 2**30
# Paths that no forecast names belong to one being made, or to one that was ended; after this long it was ended.
ABANDONED_SECONDS = 86_400.0
ARRAYS = ("quantiles", "peak", "total")
# Fields of a forecast that are tuples of dataclasses.
RECORDS: Mapping[str, type] = {"scores": MemberScore, "learned": LearnedEffect, "shifts": LevelShift}


class Keeper:
    """Takes forecasts one by one and gives each back with its paths on disk; as it came where there is no folder.

    A context: the forecasts are known once it is left without an error.
    """

    def __init__(self, folder: Path | None, digest: str) -> None:
        self._folder, self._digest = folder, digest
        self._about: list[dict[str, Any]] = []
        self._arrays: dict[str, Any] = {}
        self._file: IO[bytes] | None = None
        self._bytes = 0
        if folder is not None:
            self._open(folder)

    def __enter__(self) -> Keeper:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            self._publish()
        else:
            self._give_up()

    def add(self, one: SeriesForecast) -> SeriesForecast:
        """Write the paths of ``one`` and keep the rest of it for the end."""
        if self._file is None:
            return one
        try:
            kept = self._written(self._file, one.paths)
        except OSError:  # a disk that takes no more is no cache; the forecast is there
            self._give_up()
            return one
        i = len(self._about)
        self._about.append(_described(one, self._bytes))
        self._bytes += one.paths.nbytes
        self._arrays |= {f"{i}.{name}": getattr(one, name) for name in ARRAYS}
        self._arrays[f"{i}.index"] = one.index.to_numpy("datetime64[ns]")
        if one.past is not None:
            self._arrays |= {f"{i}.past": one.past.medians, f"{i}.origins": _stamps(one.past)}
        return replace(one, paths=kept)

    def _publish(self) -> None:
        """Make the forecast known, and drop what is old."""
        if self._file is None or self._folder is None:
            return
        about = {"paths": Path(self._file.name).name, "bytes": self._bytes, "series": self._about}
        partial = self._folder / f"{self._digest}.{os.getpid()}.partial"
        try:
            self._file.close()
            with partial.open("wb") as file:
                np.savez(file, about=np.array(json.dumps(about)), **self._arrays)
            partial.replace(self._folder / f"{self._digest}.npz")
            _drop_old(self._folder)
        except OSError:
            self._give_up()

    def _open(self, folder: Path) -> None:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            # A name of its own: another process may make the same forecast at the same time.
            handle, name = tempfile.mkstemp(dir=folder, prefix=f"{self._digest}.", suffix=".paths")
            os.close(handle)
            self._file = Path(name).open("wb")  # noqa: SIM115 - open until the end
        except OSError:
            self._file = None

    def _written(self, file: IO[bytes], paths: Paths) -> Paths:
        file.write(np.ascontiguousarray(paths, dtype=np.float32).tobytes())
        file.flush()
        return _mapped(Path(file.name), self._bytes, paths.shape)

    def _give_up(self) -> None:
        if self._file is not None:
            self._file.close()
        self._file = None


def read(folder: Path | None, digest: str) -> dict[str, SeriesForecast] | None:
    """The forecasts kept under ``digest``, their paths still on disk; None where there are none, or torn ones."""
    if folder is None or not (folder / f"{digest}.npz").is_file():
        return None
    try:
        with (folder / f"{digest}.npz").open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            about = json.loads(str(arrays["about"]))
            paths = folder / Path(about["paths"]).name
            if paths.stat().st_size != about["bytes"]:
                return None
            return {item["key"]: _from_arrays(item, arrays, i, paths) for i, item in enumerate(about["series"])}
    except (OSError, ValueError, KeyError, TypeError, AttributeError, EOFError, BadZipFile):
        return None


def _mapped(path: Path, offset: int, shape: tuple[int, ...]) -> Paths:
    return np.memmap(path, dtype=np.float32, mode="r", offset=offset, shape=shape)


def _stamps(past: PastMedians) -> Any:
    return pd.DatetimeIndex(past.origins).to_numpy("datetime64[ns]")


def _described(one: SeriesForecast, offset: int) -> dict[str, Any]:
    return {
        "key": one.key,
        "freq": one.freq,
        "origin": str(one.origin),
        "model": one.model,
        "reason": one.reason,
        "flags": list(one.flags),
        "words": list(one.words),
        "offset": offset,
        "shape": list(one.paths.shape),
        "past": one.past is not None,
        **{name: [_plain(asdict(r)) for r in getattr(one, name)] for name in RECORDS},
    }


def _plain(record: Mapping[str, Any]) -> dict[str, Any]:
    """Stamps as {"stamp": text}, so that JSON carries them and reading knows them."""
    return {k: {"stamp": str(v)} if isinstance(v, pd.Timestamp) else v for k, v in record.items()}


def _record(name: str, found: Mapping[str, Any]) -> Any:
    values = {k: pd.Timestamp(v["stamp"]) if isinstance(v, dict) else v for k, v in found.items()}
    return RECORDS[name](**values)


def _from_arrays(item: Mapping[str, Any], arrays: Mapping[str, Any], i: int, paths: Path) -> SeriesForecast:
    past = None
    if item["past"]:
        past = PastMedians(tuple(pd.DatetimeIndex(arrays[f"{i}.origins"])), arrays[f"{i}.past"])
    whole: dict[str, Any] = {name: arrays[f"{i}.{name}"] for name in ARRAYS}
    whole |= {name: tuple(_record(name, r) for r in item[name]) for name in RECORDS}
    return SeriesForecast(
        key=item["key"],
        freq=item["freq"],
        origin=pd.Timestamp(item["origin"]),
        index=pd.DatetimeIndex(arrays[f"{i}.index"]),
        paths=_mapped(paths, item["offset"], tuple(item["shape"])),
        model=item["model"],
        reason=item["reason"],
        flags=tuple(item["flags"]),
        words=tuple(item["words"]),
        past=past,
        **whole,
    )


def _drop_old(folder: Path) -> None:
    """Keep the newest forecasts, as many as fit; and no paths that nothing names."""
    newest_first = sorted(folder.glob("*.npz"), key=lambda p: p.stat().st_mtime, reverse=True)
    newest = newest_first[0].stat().st_mtime
    named: set[str] = set()
    total = 0
    for i, file in enumerate(newest_first):
        paths = _paths_named(file)
        total += file.stat().st_size + (paths.stat().st_size if paths is not None and paths.is_file() else 0)
        if i and (i >= KEPT or total > MOST_BYTES or paths is None):
            file.unlink(missing_ok=True)
            if paths is not None:
                paths.unlink(missing_ok=True)
        elif paths is not None:
            named.add(paths.name)
    for paths in folder.glob("*.paths"):
        if paths.name not in named and paths.stat().st_mtime < newest - ABANDONED_SECONDS:
            paths.unlink(missing_ok=True)


def _paths_named(file: Path) -> Path | None:
    try:
        with file.open("rb") as opened, np.load(opened, allow_pickle=False) as arrays:
            return file.parent / Path(json.loads(str(arrays["about"]))["paths"]).name
    except (OSError, ValueError, KeyError, TypeError, EOFError, BadZipFile):
        return None  # of an older version, or torn
