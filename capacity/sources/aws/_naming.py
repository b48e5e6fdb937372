"""Which service a resource belongs to."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from capacity.config import ServiceNaming
from capacity.errors import UsageError

# Names of resources that a note shows.
EXAMPLES = 3


class Named(Protocol):
    """What can name a service."""

    @property
    def name(self) -> str: ...
    @property
    def tags(self) -> Mapping[str, str]: ...


@dataclass(frozen=True)
class Resource:
    """A name and tags."""

    name: str
    tags: Mapping[str, str] = field(default_factory=dict)


class Namer:
    """The rules of a config, ready to use.

    Raises
    ------
    UsageError
        A pattern is no regular expression.
    """

    def __init__(self, rules: ServiceNaming, source: str) -> None:
        self._rules = rules
        self._patterns = [(_compiled(pattern, source), service) for pattern, service in rules.names.items()]

    def service(self, owners: Sequence[Named]) -> str | None:
        """The service that the first of ``owners`` (the nearest last) with a tag or a matching name belongs to."""
        for owner in owners:
            found = self._of(owner)
            if found:
                return found
        return owners[0].name if owners and self._rules.otherwise == "name" else None

    def _of(self, owner: Named) -> str | None:
        for key in self._rules.tags:
            if owner.tags.get(key):
                return owner.tags[key]
        return next((service for pattern, service in self._patterns if pattern.fullmatch(owner.name)), None)


def _compiled(pattern: str, source: str) -> re.Pattern[str]:
    try:
        return re.compile(pattern)
    except re.error as error:
        raise UsageError(f"source '{source}': naming: '{pattern}' is no regular expression: {error}") from None


def tags_of(pairs: Iterable[Mapping[str, Any]] | None) -> dict[str, str]:
    """AWS's list of Key and Value as a map."""
    return {str(p["Key"]): str(p.get("Value") or "") for p in pairs or ()}


def some(names: Iterable[str]) -> str:
    """The first few of ``names``, in order."""
    known = sorted(set(names))
    rest = len(known) - EXAMPLES
    return ", ".join(known[:EXAMPLES]) + (f" and {rest} more" if rest > 0 else "")
