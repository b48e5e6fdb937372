"""Scenarios as files: written so that they read back the same, and never over what somebody else wrote meanwhile."""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import secrets
import shutil
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from capacity import strict_yaml
from capacity.config import Config
from capacity.errors import ChangedError, ConfigError, UsageError
from capacity.scenario._models import Scenario
from capacity.scenario._reading import check, home, loads, survey

# A file's name in bytes, with room for the endings of kept versions; most file systems allow 255.
_MOST_BYTES = 180
_DIGITS = 10
_LOCK = ".scenarios.lock"


@dataclass(frozen=True)
class Stored:
    """A scenario's file as it was read; ``digest`` is the SHA-256 of its bytes."""

    path: Path
    text: str
    digest: str
    scenario: Scenario
    changed_at: datetime

    @property
    def comments(self) -> tuple[str, ...]:
        """Comments of the file, which are lost where it is written again."""
        return strict_yaml.comments(self.text)


# --- text --------------------------------------------------------------------------------------------------


def to_yaml(scenario: Scenario) -> str:
    """``scenario`` as YAML that :func:`load` reads back as an equal one: only what it says, in one fixed order."""
    plain = scenario.model_dump(mode="json", exclude_defaults=True, by_alias=True)
    return strict_yaml.dumps(_tidy(plain))


def _tidy(value: Any) -> Any:
    """Whole numbers without their .0 and without quotes, as a hand writes them."""
    if isinstance(value, dict):
        return {int(key) if key.isdecimal() else key: _tidy(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_tidy(item) for item in value]
    return int(value) if isinstance(value, float) and value.is_integer() and abs(value) < 1e15 else value


def digest(text: str) -> str:
    """SHA-256 of the file that holds ``text``."""
    return hashlib.sha256(text.encode("utf-8")).hexdigest()


def file_name(name: str) -> str:
    """A scenario's name as a file: letters, digits, dash, dot and underscore; nothing that leads elsewhere.

    >>> file_name("Growth +40 %"), file_name("../../etc/passwd"), file_name("…")
    ('growth-40.yaml', 'etc-passwd.yaml', 'scenario.yaml')
    """
    flat = unicodedata.normalize("NFKC", name).casefold()
    safe = re.sub(r"[^\w.]+", "-", flat).strip("-._") or "scenario"
    encoded = safe.encode("utf-8")
    if len(encoded) > _MOST_BYTES:
        safe = encoded[:_MOST_BYTES].decode("utf-8", "ignore") + f"-{digest(name)[:_DIGITS]}"
    return f"{safe}.yaml"


# --- files -------------------------------------------------------------------------------------------------


def stored(path: Path, config: Config) -> Stored:
    """The scenario in ``path``, with what is needed to write it again.

    Raises
    ------
    ConfigError
        See :func:`load`.
    """
    text = _read(path)
    moment = datetime.fromtimestamp(path.stat().st_mtime, UTC)
    return Stored(path, text, digest(text), loads(text, config, str(path)), moment)


def save(scenario: Scenario, config: Config, replaces: Stored | None = None) -> Stored:
    """Keep ``scenario`` as a file: a new one, or in place of the version that ``replaces`` was read from.

    The file changes at once or not at all. The version that it replaces stays beside it as NAME.yaml.DIGEST.bak.

    Raises
    ------
    ChangedError
        Somebody else wrote that file, or one of that name, since it was read; nothing was written.
    ConfigError
        The scenario does not hold against ``config``.
    UsageError
        The folder cannot be written to.
    """
    path = replaces.path.resolve() if replaces else home(config) / file_name(scenario.name)
    text = to_yaml(scenario)
    found = check(strict_yaml.loads(text, str(path)), config)
    if found.scenario != scenario:
        raise ConfigError([f"{path}:{fault.line}: {fault.text}" for fault in found.faults])
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with _locked(path.parent):
            _write(path, text, scenario, config, replaces)
    except OSError as error:
        raise UsageError(
            f"{path}: the scenario cannot be kept there: {error.strerror}; let this user write to the folder, or "
            "copy the YAML into a file of your own"
        ) from None
    return stored(path, config)


def _write(path: Path, text: str, scenario: Scenario, config: Config, replaces: Stored | None) -> None:
    """Under the lock: look once more, then swap the file in."""
    if replaces is not None:
        _same_as_read(replaces, text)
    _name_is_free(None if replaces is None else path, scenario, config, text)
    partial = path.with_name(f".{secrets.token_hex(8)}.partial")
    try:
        with partial.open("x", encoding="utf-8", newline="") as out:
            out.write(text)
            out.flush()
            os.fsync(out.fileno())
        if replaces is None:
            _new(partial, path, text)
        else:
            shutil.copymode(path, partial)
            _keep(path, replaces)
            partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def _same_as_read(replaces: Stored, mine: str) -> None:
    path = replaces.path
    theirs = _read(path) if path.is_file() else ""
    if digest(theirs) != replaces.digest:
        what = "was written by somebody else" if theirs else "is gone"
        raise ChangedError(
            f"{path}: {what} since it was read, so nothing was written; read it again, or choose another name",
            path=str(path), theirs=theirs, mine=mine,
        )  # fmt: skip


def _name_is_free(own: Path | None, scenario: Scenario, config: Config, mine: str) -> None:
    """Two names that make one file's name would also make one plan's folder; ``own`` may keep its name."""
    wanted = file_name(scenario.name)
    for other, found in survey(config)[0].items():
        if other.resolve() != own and file_name(found.name) == wanted:
            raise ChangedError(
                f"{other}: is the scenario '{found.name}' already, so nothing was written; choose another name",
                path=str(other), theirs=_read(other), mine=mine,
            )  # fmt: skip


def _new(partial: Path, path: Path, mine: str) -> None:
    """A link is made only where nothing is, and holds the whole text from its first moment."""
    try:
        _link(partial, path)
    except FileExistsError:
        raise ChangedError(
            f"{path}: is there already, so nothing was written; choose another name",
            path=str(path), theirs=_read(path), mine=mine,
        ) from None  # fmt: skip


def _keep(path: Path, replaces: Stored) -> Path:
    """The version that is replaced, under a name of its own; once for each version."""
    kept = path.with_name(f"{path.name}.{replaces.digest[:_DIGITS]}.bak")
    with contextlib.suppress(FileExistsError):
        _link(path, kept)
    return kept


def _link(source: Path, target: Path) -> None:
    """A second name for a file, only where nothing has that name; a copy where the file system knows no links."""
    try:
        os.link(source, target)
    except FileExistsError:
        raise
    except OSError:
        with target.open("xb") as out:
            out.write(source.read_bytes())


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """One writer at a time in ``folder``, of all threads and processes; the system frees it where one dies."""
    import fcntl  # not on every system, and only writing needs it

    with (folder / _LOCK).open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _read(path: Path) -> str:
    try:
        return path.read_bytes().decode("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError([f"{path}: cannot be read as UTF-8 text ({error})"]) from None
