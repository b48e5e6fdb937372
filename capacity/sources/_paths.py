"""Which files a config's path means."""

from __future__ import annotations

import glob
from pathlib import Path

from capacity.errors import MissingDataError

SUFFIXES = (".csv", ".csv.gz", ".parquet")


def expand(path: Path, source: str) -> list[Path]:
    """The files that ``path`` means, sorted: a file, a glob (* and **), or a folder and all below it.

    Hidden files and those that start with an underscore (markers that other tools leave) are passed over.

    Raises
    ------
    MissingDataError
        Nothing there, or nothing of a kind that can be read.
    """
    if path.is_file():
        if not readable(path):
            raise MissingDataError(
                f"source '{source}': {path} is not of a kind that can be read; give {', '.join(SUFFIXES)}"
            )
        return [path]
    found = _below(path) if path.is_dir() else [Path(p) for p in glob.glob(str(path), recursive=True)]
    files = sorted(f for f in found if f.is_file() and readable(f) and not _hidden(f))
    if not files:
        raise MissingDataError(nothing(path, source))
    return files


def nothing(path: Path, source: str) -> str:
    """What to say where ``path`` has no file that can be read."""
    what = "holds no file" if path.is_dir() else "names no file"
    return f"source '{source}': {path} {what} that can be read ({', '.join(SUFFIXES)}); mend 'path' in the config"


def readable(path: Path) -> bool:
    return path.name.lower().endswith(SUFFIXES)


def stem(path: Path) -> str:
    """The file's name without its suffix: ``a.csv.gz`` -> ``a``."""
    lower = path.name.lower()
    return next((path.name[: -len(s)] for s in sorted(SUFFIXES, key=len, reverse=True) if lower.endswith(s)), path.stem)


def _below(folder: Path) -> list[Path]:
    files = (f for f in folder.rglob("*") if f.is_file())
    return [f for f in files if not any(part.startswith((".", "_")) for part in f.relative_to(folder).parts)]


def _hidden(path: Path) -> bool:
    return path.name.startswith((".", "_"))


def fixed(path: Path) -> Path:
    """The folder that ``path`` fixes: itself, or the last before a wildcard or a file's name."""
    while not path.is_dir() and path != path.parent:
        path = path.parent
    return path


def label(file: Path, path: Path) -> str:
    """``file`` as it is named in the store: relative to the folder that ``path`` fixes."""
    root = fixed(path)
    return file.relative_to(root).as_posix() if file.is_relative_to(root) else file.name
