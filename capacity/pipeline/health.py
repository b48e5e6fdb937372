"""Is everything there? The installation, a config and how fresh its store is."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path

from capacity import config as configuration
from capacity import strict_yaml
from capacity.config import Config
from capacity.errors import EXIT_DATA, EXIT_USAGE, CapacityError
from capacity.pipeline.catalog import catalogue_of
from capacity.pipeline.commands import all_scenarios, open_store
from capacity.pipeline.inputs import read_inputs
from capacity.pipeline.load_tests import absent_files
from capacity.pipeline.type_names import allowed_and_denied, name_problem, unknown_names
from capacity.plan import Freshness
from capacity.strict_yaml import Loc


@dataclass(frozen=True)
class Check:
    """One line of ``capacity doctor``; ``exit_code`` is what a failure of it means.

    A ``warning`` is ok, as plans are made in spite of it.
    """

    name: str
    ok: bool
    detail: str
    exit_code: int = EXIT_USAGE
    warning: bool = False


def doctor(config: Path | None, as_of: datetime | None = None) -> tuple[Check, ...]:
    """Is everything there that the commands need? With a config: is it valid, and is its store fresh?"""
    found = [_version_of(name) for name in ("prophet", "pulp", "highspy", "deltalake", "streamlit", "pyarrow")]
    found += [_solver(), _prophet()]
    if config is not None:
        found += _config_checks(config, as_of)
    return tuple(found)


def _version_of(name: str) -> Check:
    try:
        return Check(name, True, metadata.version(name))
    except metadata.PackageNotFoundError:
        return Check(name, False, "not installed; run `make run`, or pip install this package again")


def _solver() -> Check:
    import pulp

    solver = pulp.HiGHS(msg=False)
    ok = bool(solver.available())
    return Check("HiGHS through PuLP", ok, "ready" if ok else "not available; pip install highspy")


def _prophet() -> Check:
    logging.getLogger("prophet.plot").disabled = True  # it tells of plotting libraries that we do not use
    try:
        from prophet.models import CmdStanPyBackend

        CmdStanPyBackend()
    except Exception as error:
        return Check("Prophet's CmdStan", False, f"{type(error).__name__}: {error}")
    return Check("Prophet's CmdStan", True, "ready")


def _config_checks(path: Path, as_of: datetime | None) -> list[Check]:
    try:
        settings = configuration.load(path)
        all_scenarios(settings)
    except CapacityError as error:
        return [Check("config", False, str(error))]
    out = [Check("config", True, f"{len(settings.services)} services, {len(settings.sources)} sources")]
    out += [*_names(settings), *_load_tests(settings)]
    try:
        moment = as_of or settings.as_of or datetime.now(UTC)
        inputs = read_inputs(_patient(settings), open_store(settings), moment)
    except CapacityError as error:
        return [*out, Check("store", False, str(error), error.exit_code)]
    return out + [_fresh(f) for f in inputs.freshness]


def _names(config: Config) -> list[Check]:
    """Types and families that the config names and the catalogue does not know, and what is both allowed and denied."""
    try:
        types = catalogue_of(config).types
    except CapacityError as error:
        return [Check("catalogue", False, str(error), error.exit_code)]
    told = [(g, name_problem(g, types)) for g in unknown_names(config, types)]
    told += [
        (g, f"'{g.name}' stands in allow_families too; what is denied never runs") for g in allowed_and_denied(config)
    ]
    where = _lines(config)
    return [Check("config", True, f"{where(g.loc)}: {g.owner}: {g.key}: {text}", warning=True) for g, text in told]


def _load_tests(config: Config) -> list[Check]:
    """A plan reads the files of load tests anew, and is not made where there is none."""
    where = _lines(config)
    return [Check("load tests", False, f"{where(loc)}: {text}", EXIT_DATA) for loc, text in absent_files(config)]


def _lines(config: Config) -> Callable[[Loc], str]:
    """'file:line' of each place in the config's file."""
    document = strict_yaml.load(config.path)
    return lambda loc: f"{document.path}:{document.line(loc)}"


def _patient(config: Config) -> Config:
    """The config without a refusal of stale data: the doctor says how old it is instead."""
    patient = config.forecast.model_copy(update={"stale_after_days": 10**6})
    out = config.model_copy(update={"forecast": patient})
    out._path = config.path
    return out


def _fresh(known: Freshness) -> Check:
    detail = f"newest {known.last_point}, {known.age_days} days old"
    return Check(f"{known.frame} of {known.source}", not known.stale, detail, EXIT_DATA)
