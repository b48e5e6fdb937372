"""From a YAML file to a scenario, and all that is wrong with it at once."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from capacity import catalogue, strict_yaml
from capacity.config import Config, describe
from capacity.errors import CapacityError, ConfigError
from capacity.scenario._models import BASE, Scenario
from capacity.scenario._transforms import overlay_config

SUFFIXES = (".yaml", ".yml")
# Part of a scenario by the part of the config that it changes.
_CHANGES = {"optimize": "commitments", "tiers": "policy", "services": "migration", "events": "events"}


@dataclass(frozen=True)
class Fault:
    """What is wrong, on which line of the YAML: ``text`` names the key, what was found and what is allowed.

    ``part`` is the scenario's own key above it (growth, events), empty where it is of the whole.
    """

    part: str
    line: int
    text: str


@dataclass(frozen=True)
class Checked:
    """A scenario that holds, or None with its faults."""

    scenario: Scenario | None
    faults: tuple[Fault, ...] = ()


def load(path: Path, config: Config) -> Scenario:
    """Read a scenario file and hold it against ``config``.

    Raises
    ------
    ConfigError
        With file, line and key; also where it names a service, region or tier that ``config`` does not have.
    """
    return _whole(strict_yaml.load(path), config)


def loads(text: str, config: Config, path: str = "<text>") -> Scenario:
    """Read a scenario from ``text``; see :func:`load`."""
    return _whole(strict_yaml.loads(text, path), config)


def _whole(document: strict_yaml.Document, config: Config) -> Scenario:
    found = check(document, config)
    if found.scenario is None:
        raise ConfigError([f"{document.path}:{fault.line}: {fault.text}" for fault in found.faults])
    return found.scenario


def check(document: strict_yaml.Document, config: Config) -> Checked:
    """Hold ``document`` against the models and against ``config``; every part is looked at, whatever another has."""
    data = document.data
    if not isinstance(data, dict):
        return Checked(None, (Fault("", 1, f"found a {type(data).__name__}; a mapping of keys is allowed"),))
    try:
        scenario = Scenario.model_validate(data)
    except ValidationError as error:
        faults = [_fault(e, document) for e in error.errors()]
        return Checked(None, (*faults, *_of_sound_parts(data, {f.part for f in faults}, document, config)))
    faults = [_at(document, loc, text) for loc, text in (*_dangling(scenario, config), *_reserved(scenario))]
    faults = faults or _overlay_faults(scenario, document, config)
    return Checked(None, tuple(faults)) if faults else Checked(scenario)


def _of_sound_parts(
    data: Mapping[str, Any], faulty: set[str], document: strict_yaml.Document, config: Config
) -> list[Fault]:
    """What the parts that are sound in themselves name that the config does not have."""
    sound = {"name": "unnamed"} | {k: v for k, v in data.items() if k not in faulty}
    try:
        scenario = Scenario.model_validate(sound)
    except ValidationError:
        return []  # told already
    return [_at(document, loc, text) for loc, text in (*_dangling(scenario, config), *_reserved(scenario))]


def _fault(error: Mapping[str, Any], document: strict_yaml.Document) -> Fault:
    said = describe(error, Scenario, document).removeprefix(f"{document.path}:")
    line, _, text = said.partition(": ")
    return Fault(str(error["loc"][0]) if error["loc"] else "", int(line), text)


def _at(document: strict_yaml.Document, loc: strict_yaml.Loc, text: str) -> Fault:
    return Fault(str(loc[0]), document.line(loc), f"{'.'.join(str(p) for p in loc)}: {text}")


def _reserved(scenario: Scenario) -> list[tuple[strict_yaml.Loc, str]]:
    taken = scenario.name == BASE
    return [(("name",), f"'{BASE}' is the config itself; choose another name")] if taken else []


def _overlay_faults(scenario: Scenario, document: strict_yaml.Document, config: Config) -> list[Fault]:
    """Where each part holds alone and the config with it does not."""
    try:
        overlay_config(config, scenario)
    except ValidationError as error:
        return [_overlay_fault(e, document) for e in error.errors()]
    return []


def _overlay_fault(error: Mapping[str, Any], document: strict_yaml.Document) -> Fault:
    part = _CHANGES.get(str(error["loc"][0]) if error["loc"] else "", "")
    key = ".".join(str(p) for p in error["loc"]) or "a rule"
    said = f"{part or '(all parts)'}: with this, {key} of the config: {error['msg']}"
    return Fault(part, document.line((part,) if part else ()), said)


def _dangling(scenario: Scenario, config: Config) -> list[tuple[strict_yaml.Loc, str]]:
    """Services, regions and tiers that the config does not have, families that its catalogue does not."""
    services = [s.name for s in config.services]
    regions = sorted({r for s in config.services for r in s.regions})
    tiers = [t.name for t in config.tiers]
    out: list[tuple[strict_yaml.Loc, str]] = []
    for part in ("growth", "events", "efficiency", "migration"):
        for i, item in enumerate(getattr(scenario, part)):
            out += _unknown((part, i, "services"), "service", item.services, services)
            out += _unknown((part, i, "regions"), "region", getattr(item, "regions", None), regions)
    for i, launch in enumerate(scenario.launches):
        if launch.region not in next((s.regions for s in config.services if s.name == launch.service), []):
            out.append((("launches", i), f"no service '{launch.service}' in region '{launch.region}'"))
    for i, tier in enumerate(scenario.policy.tiers if scenario.policy else []):
        out += _unknown(("policy", "tiers", i, "name"), "tier", [tier.name], tiers)
    for i, price in enumerate(scenario.prices):
        out += _no_family(("prices", i, "families"), price.families, config)
    lost = scenario.failure.region if scenario.failure else None
    return out + _unknown(("failure", "region"), "region", [lost] if lost is not None else [], regions)


def _unknown(
    loc: strict_yaml.Loc, kind: str, named: Iterable[str] | None, known: Iterable[str]
) -> list[tuple[strict_yaml.Loc, str]]:
    allowed = sorted(known)
    return [(loc, f"no {kind} '{n}'; known: {', '.join(allowed)}") for n in named or () if n not in allowed]


def _no_family(loc: strict_yaml.Loc, named: Iterable[str] | None, config: Config) -> list[tuple[strict_yaml.Loc, str]]:
    """Families that no type of the catalogue is of: a price of theirs would change nothing."""
    wanted = list(named or ())
    known = _families(config) if wanted else set()
    out = []
    for name in wanted if known else ():
        if name not in known:
            near = ", ".join(difflib.get_close_matches(name, sorted(known), 5, 0.5))
            out.append((loc, f"no instance type is of family '{name}'; near it: {near or 'none'}"))
    return out


def _families(config: Config) -> set[str]:
    """None where the catalogue cannot be read: a plan says what is wrong with it."""
    try:
        types = catalogue.load(config.resolve(config.catalogue) if config.catalogue else None).types
    except CapacityError:
        return set()
    return {t.family for t in types.values()}


# --- the scenarios of a config -----------------------------------------------------------------------------


def home(config: Config) -> Path:
    """Where a new scenario of ``config`` is kept: the first folder that it names, else NAME.scenarios beside it."""
    named = [config.resolve(entry) for entry in config.scenarios if _is_folder(config, entry)]
    return named[0] if named else config.path.absolute().with_suffix(".scenarios")


def _is_folder(config: Config, entry: str) -> bool:
    return entry.endswith("/") or config.resolve(entry).is_dir()


def paths(config: Config) -> tuple[Path, ...]:
    """Every scenario file of ``config``: those it names, and those in its folders by name."""
    out: list[Path] = []
    for entry in config.scenarios:
        path = config.resolve(entry)
        out += _in_folder(path) if _is_folder(config, entry) else [path]
    return tuple(dict.fromkeys([*out, *_in_folder(home(config))]))


def _in_folder(folder: Path) -> list[Path]:
    return sorted(p for p in folder.glob("*") if p.suffix in SUFFIXES and not p.name.startswith("."))


def survey(config: Config) -> tuple[dict[Path, Scenario], tuple[str, ...]]:
    """The scenarios of ``config`` by file, and what is wrong with the other files, one line each."""
    found: dict[Path, Scenario] = {}
    problems: list[str] = []
    for path in paths(config):
        try:
            read = load(path, config)
        except ConfigError as error:
            problems += error.problems
            continue
        first = next((p for p, s in found.items() if s.name == read.name), None)
        if first is not None:
            problems.append(f"{path}:1: name: '{read.name}' is the name in {first} too; give one of them another name")
        else:
            found[path] = read
    return found, tuple(problems)


def load_all(config: Config) -> tuple[Scenario, ...]:
    """Every scenario of ``config``.

    Raises
    ------
    ConfigError
        A file is no scenario, or two have one name.
    """
    found, problems = survey(config)
    if problems:
        raise ConfigError(problems)
    return tuple(found.values())


def load_named(config: Config, names: Iterable[str]) -> tuple[Scenario, ...]:
    """The config's scenarios by name (or by a path to a YAML file).

    Raises
    ------
    ConfigError
        No scenario of that name; the message lists those there are, and what is wrong with the files that cannot be
        read. Such a file stops nothing else.
    """
    wanted = list(names)
    found, problems = survey(config) if wanted else ({}, ())
    known = {s.name: s for s in found.values()}
    out = []
    for name in wanted:
        if name in known:
            out.append(known[name])
        elif Path(name).suffix in SUFFIXES:
            out.append(load(Path(name), config))
        else:
            text = f"{config.path}: no scenario '{name}'; known: {', '.join(sorted(known)) or 'none'}"
            raise ConfigError([text, *problems])
    return tuple(out)
