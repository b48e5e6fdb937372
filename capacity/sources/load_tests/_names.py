"""The requests that count, by name."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from capacity.errors import MissingDataError

_SHOWN = 12


class Names:
    """Tells whether a request counts, and remembers a few names to tell where none did."""

    def __init__(self, wanted: Sequence[str]) -> None:
        self._wanted, self._seen, self._met = frozenset(wanted), set[str](), set[str]()

    def counts(self, name: str) -> bool:
        if not self._wanted:
            return True
        if name in self._wanted:
            self._met.add(name)
            return True
        if len(self._seen) < _SHOWN:
            self._seen.add(name[:80])
        return False

    def refuse_unknown(self, path: Path) -> None:
        """Raise :class:`MissingDataError` where a wanted name never came."""
        if missing := sorted(self._wanted - self._met):
            known = ", ".join(sorted(self._seen | self._met)) or "none"
            raise MissingDataError(
                f"load test: {path} has no request named {', '.join(missing)}; mend 'requests' (found: {known})"
            )
