"""The names of a bill's columns: which FOCUS column each is, and the rules about names."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from capacity.errors import CorruptDataError
from capacity.quality._focus_model import Model

# FOCUS 1.3 deprecates the two and 1.4 removes them in favour of the one.
RENAMED: Mapping[str, str] = {"ProviderName": "ServiceProviderName", "PublisherName": "ServiceProviderName"}
# FOCUS ColumnHandling: what column lengths databases commonly allow.
_LONGEST = 50


@dataclass(frozen=True)
class Header:
    """A bill's column names in their order, and the FOCUS columns among them."""

    names: tuple[str, ...]
    found: Mapping[str, str]
    model: Model

    def has(self, column: str) -> bool:
        """Whether the bill has the FOCUS column, be it under another spelling."""
        return column in self.found

    @property
    def newer(self) -> tuple[str, ...]:
        """Columns of later FOCUS versions."""
        return tuple(n for n in self.names if n in self.model.later)

    def checked(self, what: str) -> tuple[tuple[str, ...], int]:
        """What is at fault for a rule about names, and how many columns it applies to."""
        rules = {
            "pascal": self._pascal,
            "alphanumeric": self._alphanumeric,
            "length": self._length,
            "custom": self._custom,
            "order": self._order,
        }
        return rules[what]()

    def _own(self) -> list[str]:
        """Columns that are not FOCUS's."""
        known = {*self.found.values(), *self.model.later}
        return [n for n in self.names if n not in known]

    def _pascal(self) -> tuple[tuple[str, ...], int]:
        odd = [f"'{n}' is read as {c}" for c, n in self.found.items() if n not in (c, RENAMED.get(c))]
        return tuple(odd), len(set(self.found.values()))

    def _alphanumeric(self) -> tuple[tuple[str, ...], int]:
        known = set(self.found.values())
        return tuple(f"'{n}'" for n in self.names if n in known and not re.fullmatch("[A-Za-z0-9]+", n)), len(known)

    def _length(self) -> tuple[tuple[str, ...], int]:
        return tuple(f"'{n}'" for n in self.names if len(n) > _LONGEST), len(self.names)

    def _custom(self) -> tuple[tuple[str, ...], int]:
        own = self._own()
        return tuple(f"'{n}'" for n in own if not n.startswith("x_")), len(own)

    def _order(self) -> tuple[tuple[str, ...], int]:
        own = set(self._own())
        first = next((i for i, n in enumerate(self.names) if n in own), len(self.names))
        late = [f"'{n}' after '{self.names[first]}'" for n in self.names[first:] if n not in own]
        return tuple(late), len(self.names) - len(own)


def plain(name: str) -> str:
    """A header as it is compared: case, spaces and underscores do not count."""
    return name.casefold().replace("_", "").replace(" ", "").strip()


def read_header(names: Sequence[str], model: Model, where: str) -> Header:
    """The FOCUS columns among ``names``: by their own spelling first, then by a tolerant one, then by a later name.

    Raises
    ------
    CorruptDataError
        A name stands twice.
    """
    twice = sorted({n for n in names if list(names).count(n) > 1})
    if twice:
        raise CorruptDataError(f"{where or 'bill'}: column '{twice[0]}' stands twice; rename or remove one")
    tolerant: dict[str, str] = {}
    for name in names:
        tolerant.setdefault(plain(name), name)
    found = {}
    for column in model.columns:
        spellings = (plain(column), plain(RENAMED.get(column, column)))
        read_as = column if column in names else next((tolerant[s] for s in spellings if s in tolerant), None)
        if read_as is not None:
            found[column] = read_as
    return Header(tuple(names), found, model)
