"""Another name for a stored scenario, or none any more; never over what somebody else wrote meanwhile."""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Iterator
from pathlib import Path

from capacity import strict_yaml
from capacity.config import Config
from capacity.errors import ConfigError, UsageError
from capacity.scenario._files import (
    Stored,
    _keep,
    _locked,
    _name_is_free,
    _new,
    _same_as_read,
    file_name,
    save,
    stored,
    to_yaml,
)
from capacity.scenario._models import Scenario
from capacity.scenario._reading import check


def rename(read: Stored, name: str, config: Config) -> Stored:
    """Give the scenario that ``read`` was read from another name; its file follows where only its folder is named.

    The version of before stays beside it as FILE.DIGEST.bak. Plans that were made under the old name stay as they are.

    Raises
    ------
    ChangedError
        Somebody else wrote the file since it was read, or the name is taken; nothing was changed.
    ConfigError
        The name does not hold.
    UsageError
        The folder cannot be written to.
    """
    made = _named(read, name, config)
    path = read.path.resolve()
    target = path if path in _by_file(config) else path.with_name(file_name(made.name))
    if target == path:
        return save(made, config, read)
    with _told(path), _locked(path.parent):
        _move(read, made, target, config)
    return stored(target, config)


def delete(read: Stored, config: Config) -> Path:
    """Take the scenario that ``read`` was read from out of its folder; the file stays beside it as FILE.DIGEST.bak.

    Returns
    -------
    Path
        Where it is kept: under its old name it is a scenario again.

    Raises
    ------
    ChangedError
        Somebody else wrote the file since it was read; nothing was changed.
    UsageError
        The config names this file itself, or the folder cannot be written to.
    """
    path = read.path.resolve()
    if path in _by_file(config):
        raise UsageError(f"{path}: the config names this file itself; take it out of scenarios in {config.path} first")
    with _told(path), _locked(path.parent):
        _same_as_read(read, "")
        kept = _keep(path, read)
        path.unlink()
    return kept


def _named(read: Stored, name: str, config: Config) -> Scenario:
    text = to_yaml(read.scenario.model_copy(update={"name": name}))
    found = check(strict_yaml.loads(text, str(read.path)), config)
    if found.scenario is None:
        raise ConfigError([f"{read.path}: {fault.text}" for fault in found.faults])
    return found.scenario


def _move(read: Stored, made: Scenario, target: Path, config: Config) -> None:
    """Under the lock: the new file whole, then the old one away; a crash between the two leaves both."""
    path, text = read.path.resolve(), to_yaml(made)
    _same_as_read(read, text)
    _name_is_free(path, made, config, text)
    partial = path.with_name(f".{secrets.token_hex(8)}.partial")
    try:
        with partial.open("x", encoding="utf-8", newline="") as out:
            out.write(text)
            out.flush()
            os.fsync(out.fileno())
        _new(partial, target, text)
    finally:
        partial.unlink(missing_ok=True)
    _keep(path, read)
    path.unlink()


def _by_file(config: Config) -> set[Path]:
    """The files that the config names one by one."""
    return {path.resolve() for path in map(config.resolve, config.scenarios) if path.is_file()}


@contextlib.contextmanager
def _told(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise UsageError(
            f"{path}: the scenario cannot be changed there: {error.strerror}; let this user write to the folder"
        ) from None
