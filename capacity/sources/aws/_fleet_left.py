"""Accounts and regions that are read no more: left the organization, closed, excluded, dropped from the config.

Their fleets end, since nobody would tell of them again. A call that fails is no reason: who is asked is known before
any of them is.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from capacity.config import AwsAccess
from capacity.sources.aws._access import Place
from capacity.sources.aws._fleet_rows import Last, Unit, closing_rows
from capacity.sources.aws._naming import some

# A source that still reads a service writes a snapshot every day; half a day more for ingests that are late.
SILENT = timedelta(hours=36)
_ACCOUNT = re.compile(r"\d{12}")
_REGION = re.compile(r"[a-z]{2}(-[a-z]+)+-\d+")


def ending(
    last: Mapping[Unit, Last], places: Sequence[Place], way: AwsAccess, *, alone: bool, now: datetime
) -> tuple[list[dict[str, Any]], tuple[str, ...]]:
    """Rows of count 0 for what is read no more, and notes on what ends, what soon will, and what counts on.

    Parameters
    ----------
    last
        The newest snapshot of each unit that the store holds, whichever source wrote it.
    places
        Every account and region that ``way`` reaches, answered or not.
    alone
        Whether no other source is expected to read them; else nothing ends, and a note says what has no news.
    """
    reached = {(p.account.account_id, p.region) for p in places}
    lost = {u: v for u, v in last.items() if (u.account_id, u.region) not in reached and +v.counts and _of_aws(u)}
    silent = {u for u in lost if now - lost[u].ts >= SILENT}
    accounts = {account for account, _ in reached}
    # Credentials of another organization reach none of the accounts that are known: that is no leaving.
    familiar = any(u.account_id in accounts for u in last)
    listed = way.organization is not None or bool(way.accounts)
    ours = {u for u in lost if alone and familiar and (listed or u.account_id in accounts)}
    out = [row for u in sorted(ours & silent) for row in closing_rows(u, lost[u], now)]
    told = (
        (ours & silent, "is read no more, and ends"),
        (ours - silent, f"is read no more, and ends after {SILENT / timedelta(hours=1):.0f} hours without news"),
        (silent - ours, "has no news and is not read here: it counts on"),
    )
    return out, tuple(f"the fleet of {some(_places(units))} {what}" for units, what in told if units)


def _of_aws(unit: Unit) -> bool:
    """Fleets of other clouds, from files, are none of ours."""
    return bool(_ACCOUNT.fullmatch(unit.account_id) and _REGION.fullmatch(unit.region))


def _places(units: Iterable[Unit]) -> list[str]:
    return sorted({f"account {u.account_id} in {u.region}" for u in units})
