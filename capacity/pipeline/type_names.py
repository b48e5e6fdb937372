"""Names of instance types and families that the config gives and nothing bears: what hangs on them counts for nothing.

They are no fault of the config alone: a type may be newer than the catalogue. So a plan is made without them and says
so, and `capacity doctor` says where they stand.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from capacity.config import CandidateConfig, Config
from capacity.domain import InstanceType
from capacity.pipeline.managed import PREFIX, is_managed
from capacity.strict_yaml import Loc
from capacity.words import listed

# Names to offer, and services to name, in one sentence.
_NEAR = 3
_NAMED = 3


@dataclass(frozen=True)
class GivenName:
    """A name as the config gives it.

    Attributes
    ----------
    loc
        Where it stands in the file.
    owner, key
        "services 'checkout'", and the key under it, as in other messages about the config.
    name
        The name itself.
    takes
        What the key allows: a type, or a type or a family.
    """

    loc: Loc
    owner: str
    key: str
    name: str
    takes: Literal["type", "type or family"]


def unknown_names(config: Config, types: Mapping[str, InstanceType]) -> tuple[GivenName, ...]:
    """What the config names that is neither a type of ``types`` nor, where one may stand, a family of theirs.

    The database's counterpart of a known machine (db.r6g.large, db.r6g) is known, whether its rate is or not.
    """
    known_types = _with_managed(types)
    families = _with_managed(t.family for t in types.values())
    return tuple(
        g
        for g in _given(config)
        if g.name not in known_types and not (g.takes == "type or family" and g.name in families)
    )


def name_problem(given: GivenName, types: Mapping[str, InstanceType]) -> str:
    """What is wrong with a name of :func:`unknown_names`, what follows from it, and how to mend it."""
    return f"'{given.name}' is no {_kind(given)} of the catalogue, so it counts for nothing; {_mend(given, types)}"


def name_problems(config: Config, types: Mapping[str, InstanceType]) -> tuple[str, ...]:
    """A sentence for each unknown name and key, with all who give it: a template's mistake is told once."""
    owners: dict[tuple[str, str], list[GivenName]] = {}
    for given in unknown_names(config, types):
        owners.setdefault((given.key, given.name), []).append(given)
    return tuple(f"{_whose(found)}: {key}: {name_problem(found[0], types)}" for (key, _), found in owners.items())


def allowed_and_denied(config: Config) -> tuple[GivenName, ...]:
    """Names that stand in both lists of one owner: they are denied."""
    out = []
    for loc, owner, wanted in _candidates(config):
        for i, name in enumerate(wanted.deny_families):
            if name in (wanted.allow_families or ()):
                key = "candidates.deny_families"
                out.append(GivenName((*loc, "deny_families", i), owner, key, name, "type or family"))
    return tuple(out)


def _whose(found: Sequence[GivenName]) -> str:
    names = list(dict.fromkeys(g.owner for g in found))
    more = len(names) - _NAMED
    return listed(names if more <= 0 else [*names[:_NAMED], f"{more} more"])


def _kind(given: GivenName) -> str:
    if given.takes == "type":
        return "instance type"
    return "instance type or family"


def _mend(given: GivenName, types: Mapping[str, InstanceType]) -> str:
    near = _near(given, types)
    if near:
        return f"near it: {', '.join(near)}"
    return "nothing is near it; `capacity catalog` lists the types, `capacity catalog refresh` reads newer ones"


def _near(given: GivenName, types: Mapping[str, InstanceType]) -> list[str]:
    """Types where the name has a size (m5.large), families where it has none; of a family the smallest types."""
    name = given.name.strip().lower()
    machine = name.removeprefix(PREFIX)
    machines = [t for t in types.values() if not is_managed(t.name)]
    by_type = given.takes == "type" or "." in machine
    known = {t.name if by_type else t.family for t in machines}
    sizes = sorted((t.vcpu, t.name) for t in machines if by_type and t.family == machine)
    near = [n for _, n in sizes[:_NEAR]] or difflib.get_close_matches(machine, sorted(known), _NEAR)
    return [f"{PREFIX}{n}" for n in near] if is_managed(name) else near


def _with_managed(names: Iterable[str]) -> frozenset[str]:
    known = frozenset(names)
    return known | {f"{PREFIX}{n}" for n in known}


def _given(config: Config) -> Iterator[GivenName]:
    """Every name that is compared with the catalogue's, in the order of the file's parts."""
    for i, service in enumerate(config.services):
        loc: Loc = ("services", i)
        owner = f"services '{service.name}'"
        for name in service.load_tested:
            yield GivenName((*loc, "load_tested", name), owner, "load_tested", name, "type")
        for j, test in enumerate(service.load_tests):
            at = (*loc, "load_tests", j, "instance_type")
            yield GivenName(at, owner, "load_tests.instance_type", test.instance_type, "type")
    for loc, owner, wanted in _candidates(config):
        lists: tuple[tuple[str, Iterable[tuple[str | int, str]]], ...] = (
            ("allow_families", enumerate(wanted.allow_families or ())),
            ("deny_families", enumerate(wanted.deny_families)),
            ("performance_scale", ((name, name) for name in wanted.performance_scale)),
        )
        for key, names in lists:
            for part, name in names:
                yield GivenName((*loc, key, part), owner, f"candidates.{key}", name, "type or family")


def _candidates(config: Config) -> Iterator[tuple[Loc, str, CandidateConfig]]:
    owners = [("services", i, s.name, s.candidates) for i, s in enumerate(config.services)]
    owners += [("pools", i, p.name, p.candidates) for i, p in enumerate(config.pools)]
    for part, i, name, candidates in owners:
        yield (part, i, "candidates"), f"{part} '{name}'", candidates
