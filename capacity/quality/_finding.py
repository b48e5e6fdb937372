"""One finding about data: the row of the store's ``findings`` table."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import datetime

import pyarrow as pa

from capacity.schemas import FINDINGS, SEVERITIES


@dataclass(frozen=True)
class DataFinding:
    """What is wrong or odd, where, how often.

    Attributes
    ----------
    source, frame, scope
        Whose data, which table, and which part of it (a file, a series).
    rule
        A short fixed name, e.g. ``gaps``.
    severity
        One of :data:`capacity.schemas.SEVERITIES`.
    rows, of
        How many rows it concerns, of how many looked at.
    message
        A sentence that says what, where, and how to mend it.
    ts
        The newest moment that it speaks of, UTC; None where that is told by what was looked at.
    """

    source: str
    frame: str
    scope: str
    rule: str
    severity: str
    rows: int
    of: int
    message: str
    column: str | None = None
    example: str | None = None
    ts: datetime | None = None


def by_severity(findings: Iterable[DataFinding]) -> list[DataFinding]:
    """The gravest first, then as they are named."""
    return sorted(findings, key=lambda f: (SEVERITIES.index(f.severity), f.frame, f.source, f.scope, f.rule))


def findings_table(findings: Iterable[DataFinding]) -> pa.Table:
    """``findings`` as the store keeps them."""
    rows = [asdict(f) for f in findings]
    return pa.Table.from_pylist(rows, schema=FINDINGS.schema)
