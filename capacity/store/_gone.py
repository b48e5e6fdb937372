"""What the store has of a source's bills and its files do not bring any more.

A file that was read whole stands for all of its rows: those of accounts and billing periods that it no longer has go. A
file that is not there any more says nothing: its rows stay, and no other file may push them out unless it came in its
place.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime

from capacity.store._bill import PeriodKey, by_key
from capacity.store._reports import MoneyTotal

# Names in a message; more are counted.
_NAMED = 5
Labels = Mapping[str, Sequence[MoneyTotal]]  # the sums of each file


def holders(stored: Labels) -> dict[PeriodKey, set[str]]:
    """The files whose rows the store has, by account and billing period."""
    out: dict[PeriodKey, set[str]] = {}
    for label, totals in stored.items():
        for key in by_key(totals):
            out.setdefault(key, set()).add(label)
    return out


def outdated(stored: Labels, read: Labels, listed: Collection[str], kept: Collection[datetime] = ()) -> list[PeriodKey]:
    """Stored keys that only files have brought which were read whole and do not have them any more.

    A file that has rows in a period that is ``kept`` as it is does not count: where its rows are now was not written.
    """
    periods = {label: {t.period_start for t in totals} for label, totals in read.items()}
    sound = {label for label in read if label in listed and not periods[label] & set(kept)}
    came = {key for totals in read.values() for key in by_key(totals)}
    found = (
        key for key, labels in holders(stored).items() if key not in came and labels <= sound and key[2] not in kept
    )
    return sorted(found, key=lambda k: (k[2], k[1]))


def robbed(stored: Labels, read: Labels, listed: Collection[str]) -> dict[datetime, tuple[str, str]]:
    """Billing periods in which rows would be lost with a file that is not listed: (file, account) of the first.

    No rows are lost where a file came in its place: a new one, or one with other sums, of the same account and period.
    """
    known = {label: by_key(totals) for label, totals in stored.items()}
    came = {label: by_key(totals) for label, totals in read.items()}
    out: dict[datetime, tuple[str, str]] = {}
    for key, labels in sorted(holders(stored).items()):
        missing = sorted(labels - set(listed))
        having = [label for label in came if key in came[label]]
        if missing and having and all(known.get(n, {}).get(key) == came[n][key] for n in having):
            out.setdefault(key[2], (missing[0], key[1]))
    return out


def unlisted(stored: Labels, listed: Collection[str]) -> str | None:
    """A note on files of the store that are not there any more."""
    missing = sorted(set(stored) - set(listed))
    if not missing:
        return None
    return (
        f"{len(missing)} files whose rows are in the store are not there any more: {named(missing)}; their rows stay "
        "until a file comes in their place"
    )


def named(names: Iterable[str]) -> str:
    """The first names, and how many more."""
    every = list(names)
    more = f" and {len(every) - _NAMED} more" if len(every) > _NAMED else ""
    return ", ".join(every[:_NAMED]) + more
