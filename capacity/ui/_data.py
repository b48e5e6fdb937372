"""Where the plans are, and reading them once for every version of a file."""

from __future__ import annotations

import atexit
import gc
import json
import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import streamlit as st

from capacity import config as configs
from capacity import plan as plans_module
from capacity import scenario as scenarios_module
from capacity.config import Config
from capacity.costs import Bridge
from capacity.errors import CapacityError, MissingDataError, UsageError
from capacity.pipeline import scenario_bridge
from capacity.plan import Plan
from capacity.ui import jobs, launch

BASE = scenarios_module.BASE


def plans_folder() -> Path | None:
    """The folder of plans that the server was started with."""
    value = os.environ.get(launch.PLANS, "")
    return Path(value) if value else None


def config_path(folder: Path | None) -> Path | None:
    """The config to plan with: the one the server was started with, else the one the plan was made from."""
    value = os.environ.get(launch.CONFIG, "")
    if value:
        return Path(value)
    try:
        recorded = json.loads((folder / "run.json").read_text(encoding="utf-8")).get("config") if folder else None
    except (OSError, ValueError, AttributeError):
        return None
    return Path(recorded) if isinstance(recorded, str) and recorded else None


def planned(folder: Path | None) -> Mapping[str, Path]:
    """Scenario name -> folder of its plan, the base first, then by name."""
    if folder is None:
        return {}
    out = {BASE: folder} if (folder / "plan.json").is_file() else {}
    for path in sorted(folder.glob("scenarios/*/plan.json")):
        name = _cached_name(str(path), path.stat().st_mtime_ns)
        out.setdefault(name, path.parent)
    return dict(sorted(out.items(), key=lambda item: (item[0] != BASE, item[0])))


def _name(path: str, stamp: int) -> str:
    """The scenario of a plan.json; its folder's name may be tamer. The folder's where the file cannot be read."""
    del stamp
    try:
        return str(json.loads(Path(path).read_text(encoding="utf-8"))["scenario"])
    except (OSError, ValueError, KeyError, TypeError):
        return Path(path).parent.name


_cached_name: Callable[[str, int], str] = st.cache_data(max_entries=200, show_spinner=False)(_name)


def read(folder: Path) -> Plan:
    """The plan in ``folder``, from memory while its file is the same.

    Raises
    ------
    CapacityError
        No plan there, or not one that this version reads.
    """
    return _cached_read(str(folder), _stamp(folder / "plan.json"))


def _read(folder: str, stamp: int) -> Plan:
    del stamp  # part of the key: another version of the file is another plan
    global _plans_read
    _plans_read += 1
    return plans_module.read(Path(folder))


# A resource, not data: plans are frozen and their frames are only looked at, so sessions may share them.
_cached_read: Callable[[str, int], Plan] = st.cache_resource(max_entries=24, show_spinner="Reading the plan")(_read)


_plans_read = 0
_settled = (0, 0)


def settle() -> None:
    """Leave modules and plans, which stay, out of the search for garbage.

    Streamlit searches everything after every run of the script: hundreds of thousands of objects, a tenth of a second
    in which nobody else is served.
    """
    global _settled
    now = (len(sys.modules), _plans_read)
    if now != _settled:
        gc.unfreeze()  # what was left out before and is gone since
        gc.collect()
        gc.freeze()
        _settled = now


def bridge(first: Path, other: Path) -> Bridge | None:
    """Why the second plan's money differs from the first's; None where one of them has no total to compare."""
    stamps = [_stamp(folder / "plan.json") for folder in (first, other)]
    return _cached_bridge(str(first), stamps[0], str(other), stamps[1])


def _bridge(first: str, first_stamp: int, other: str, other_stamp: int) -> Bridge | None:
    try:
        return scenario_bridge(_cached_read(first, first_stamp), _cached_read(other, other_stamp))
    except (MissingDataError, UsageError):
        return None


# Of hundreds of services it takes most of a second.
_cached_bridge: Callable[[str, int, str, int], Bridge | None] = st.cache_resource(max_entries=32, show_spinner=False)(
    _bridge
)


def config(path: Path) -> Config:
    """The config in ``path``, from memory while its file is the same.

    Raises
    ------
    CapacityError
        There is none, or it is wrong.
    """
    return _cached_config(str(path), _stamp(path))


def _config(path: str, stamp: int) -> Config:
    del stamp
    return configs.load(path)


# A resource, not data: a config is frozen.
_cached_config: Callable[[str, int], Config] = st.cache_resource(max_entries=8, show_spinner=False)(_config)


@dataclass(frozen=True)
class Known:
    """The scenarios of a config: descriptions and files by name, and what is wrong with the others' files."""

    descriptions: Mapping[str, str]
    files: Mapping[str, Path]
    problems: tuple[str, ...] = ()


def known_scenarios(config_path: Path) -> Known:
    """The scenarios of the config, or what is wrong with it, one line each."""
    try:
        found = scenarios_module.paths(config(config_path))
    except (CapacityError, OSError) as error:
        return Known({}, {}, tuple(str(error).splitlines()))
    return _cached_scenarios(str(config_path), _stamp(config_path), tuple((str(p), _stamp(p)) for p in found))


def _known_scenarios(path: str, stamp: int, files: tuple[tuple[str, int], ...]) -> Known:
    del stamp, files
    found, problems = scenarios_module.survey(config(Path(path)))
    descriptions = {s.name: s.description for s in found.values()}
    return Known(descriptions, {s.name: p for p, s in found.items()}, problems)


_cached_scenarios: Callable[[str, int, tuple[tuple[str, int], ...]], Known] = st.cache_data(
    max_entries=8, show_spinner=False
)(_known_scenarios)


def _stamp(path: Path) -> int:
    """Which version of a file it is; 0 where there is none."""
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return 0


def runner(plans: Path) -> jobs.Runner:
    """The one runner of jobs that write into ``plans``; it ends its job when the server ends."""
    return _cached_runner(str(plans))


def _runner(plans: str) -> jobs.Runner:
    del plans
    made = jobs.Runner()
    atexit.register(made.close)
    return made


_cached_runner: Callable[[str], jobs.Runner] = st.cache_resource(show_spinner=False)(_runner)
