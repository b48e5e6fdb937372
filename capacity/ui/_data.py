"""Where the plans are, and reading them once for every version of a file."""

from __future__ import annotations

import atexit
import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path

import streamlit as st

from capacity import config as configs
from capacity import plan as plans_module
from capacity import scenario as scenarios_module
from capacity.errors import CapacityError
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
    path = folder / "plan.json"
    stamp = path.stat().st_mtime_ns if path.is_file() else 0
    return _cached_read(str(folder), stamp)


def _read(folder: str, stamp: int) -> Plan:
    del stamp  # part of the key: another version of the file is another plan
    return plans_module.read(Path(folder))


# A resource, not data: plans are frozen and their frames are only looked at, so sessions may share them.
_cached_read: Callable[[str, int], Plan] = st.cache_resource(max_entries=24, show_spinner="Reading the plan")(_read)


def known_scenarios(config: Path) -> tuple[Mapping[str, str], tuple[str, ...]]:
    """Names and descriptions of the config's scenarios, and what is wrong with config or files, one line each."""
    stamp = config.stat().st_mtime_ns if config.is_file() else 0
    return _cached_scenarios(str(config), stamp)


def _known_scenarios(config: str, stamp: int) -> tuple[dict[str, str], tuple[str, ...]]:
    del stamp
    names: dict[str, str] = {}
    problems: list[str] = []
    try:
        loaded = configs.load(config)
    except (CapacityError, OSError) as error:
        return {}, tuple(str(error).splitlines())
    for path in loaded.scenarios:
        try:
            found = scenarios_module.load(loaded.resolve(path), loaded)
            names[found.name] = found.description
        except (CapacityError, OSError) as error:
            problems += str(error).splitlines()
    return names, tuple(problems)


# Scenario files are others' to edit: look again soon.
_cached_scenarios: Callable[[str, int], tuple[dict[str, str], tuple[str, ...]]] = st.cache_data(
    max_entries=8, ttl=30, show_spinner=False
)(_known_scenarios)


def runner(plans: Path) -> jobs.Runner:
    """The one runner of jobs that write into ``plans``; it ends its job when the server ends."""
    return _cached_runner(str(plans))


def _runner(plans: str) -> jobs.Runner:
    del plans
    made = jobs.Runner()
    atexit.register(made.close)
    return made


_cached_runner: Callable[[str], jobs.Runner] = st.cache_resource(show_spinner=False)(_runner)
