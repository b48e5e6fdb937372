"""Load tests named in the config, read and taken for what an instance serves."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pandas as pd

from capacity.config import Config, LoadTestConfig, ServiceConfig
from capacity.errors import CapacityError, DataError, UsageError
from capacity.plan import FRAMES
from capacity.saturation import LoadTested, from_load_test
from capacity.store import SourceReport
from capacity.strict_yaml import Loc

if TYPE_CHECKING:
    from capacity.sources.load_tests import LoadTestSteps


@dataclass(frozen=True)
class LoadTests:
    """What was read, by (service, instance type)."""

    found: Mapping[tuple[str, str], LoadTested] = field(default_factory=dict)

    def frame(self) -> pd.DataFrame:
        """The plan's frame ``load_tests``."""
        rows = [_row(service, kind, tested) for (service, kind), tested in sorted(self.found.items())]
        return pd.DataFrame(rows, columns=list(FRAMES["load_tests"]))

    def flags_of(self, service: str) -> tuple[str, ...]:
        """What weakens the tests of a service, by type."""
        return tuple(
            f"load test of {kind}: {text}"
            for (s, kind), t in sorted(self.found.items())
            if s == service
            for text in t.flags
        )


def check_load_tests(config: Config) -> tuple[SourceReport, ...]:
    """Every load test read as a plan will read it: a report each, with file and line of what is wrong.

    Nothing of them is stored: each plan reads them anew.

    Raises
    ------
    UsageError
        As :func:`read_load_tests`.
    """
    return tuple(_report(config, service, test) for service, test in _tests(config))


def _report(config: Config, service: ServiceConfig, test: LoadTestConfig) -> SourceReport:
    notes: tuple[str, ...] = ()
    failures: tuple[str, ...] = ()
    name = f"load test of {service.name} on {test.instance_type}"
    try:
        found = read_steps(config, test)
        _tested(config, service, test, found)
        held = f"{len(found.frame)} steady step{'s' if len(found.frame) != 1 else ''}"
        notes = (*found.notes, f"{held}; each plan reads the files anew, nothing of them is stored")
    except DataError as error:
        failures = (f"{name}: {error}",)
    return SourceReport(name, test.kind, (), (str(config.resolve(test.path)),), notes, failures)


def read_load_tests(config: Config) -> LoadTests:
    """All load tests of all services.

    Raises
    ------
    UsageError
        A test without an SLO to judge it by, or two tests of one type.
    MissingDataError, CorruptDataError
        As :func:`capacity.sources.load_tests.read_load_test`.
    """
    found: dict[tuple[str, str], LoadTested] = {}
    for service, test in _tests(config):
        found[service.name, test.instance_type] = _tested(config, service, test, read_steps(config, test))
    return LoadTests(found)


def _tests(config: Config) -> list[tuple[ServiceConfig, LoadTestConfig]]:
    """Every test of every service, once each and with an SLO to judge it by."""
    out: list[tuple[ServiceConfig, LoadTestConfig]] = []
    for service in config.services:
        for test in service.load_tests:
            where = f"{config.path}: services '{service.name}': load_tests"
            if any(s is service and t.instance_type == test.instance_type for s, t in out):
                raise UsageError(f"{where}: {test.instance_type} is tested twice; put the files of both into one path")
            _slo_ms(config, service, test)
            out.append((service, test))
    return out


def absent_files(config: Config) -> tuple[tuple[Loc, str], ...]:
    """Where the config names files of load tests that are not there, and what is said of it; no file is opened."""
    from capacity.sources.load_tests import files_of

    out: list[tuple[Loc, str]] = []
    for i, service in enumerate(config.services):
        for j, test in enumerate(service.load_tests):
            try:
                files_of(test, config.resolve)
            except CapacityError as error:
                out.append((("services", i, "load_tests", j, "path"), f"services '{service.name}': {error}"))
    return tuple(out)


def with_load_tests(config: Config, tests: LoadTests) -> Config:
    """``config`` with the tested figures as if they had been given; a figure given by hand goes before a file's."""
    if not tests.found:
        return config
    services = []
    for service in config.services:
        read = {kind: t.safe.mid for (name, kind), t in sorted(tests.found.items()) if name == service.name}
        tested = {**read, **service.load_tested}
        services.append(service.model_copy(update={"load_tested": tested}) if read else service)
    return config.model_copy(update={"services": services})


def _slo_ms(config: Config, service: ServiceConfig, test: LoadTestConfig) -> float:
    slo = test.slo_p99_ms or service.slo_p99_ms
    if slo is None:
        raise UsageError(
            f"{config.path}: services '{service.name}': load_tests {test.path}: nothing says what is good enough; "
            "give slo_p99_ms of the test or of the service"
        )
    return slo


def read_steps(config: Config, test: LoadTestConfig) -> LoadTestSteps:
    """The steady steps of one test, as its files hold them."""
    from capacity.sources.load_tests import read_load_test

    return read_load_test(test, config.resolve)


def _tested(config: Config, service: ServiceConfig, test: LoadTestConfig, steps: LoadTestSteps) -> LoadTested:
    return from_load_test(steps.frame, _slo_ms(config, service, test), test.instances, test.acceptable_error_frac)


def _row(service: str, kind: str, t: LoadTested) -> tuple[object, ...]:
    law = t.usl
    usl = (law.gamma, law.alpha, law.beta) if law else (None, None, None)
    words = "; ".join(dict.fromkeys([*t.flags, *t.words, t.trust]))
    return (service, kind, t.safe.low, t.safe.mid, t.safe.high, *usl, t.knee, t.tested_max, words)
