"""What was decided about a plan, by whom and why: a file a decision, beside the plan, never written over.

A decision is about a finding. It is proposed, approved or rejected; who changes their mind adds a file, and the newest
one about the same thing holds. Two people who decide at the same moment write two files: nothing is lost.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, Literal, get_args

from capacity.errors import CorruptDataError, UsageError
from capacity.plan import Finding

FOLDER = "decisions"
Status = Literal["proposed", "approved", "rejected"]
# Topic, service, region, and how the finding begins: up to its first figure.
Subject = tuple[str, str, str, str]
# A reason that fills more than a screen is a document: name it instead.
MOST_CHARACTERS = 4_000
_HASH_DIGITS = 10


@dataclass(frozen=True)
class Decision:
    """One decision.

    Attributes
    ----------
    topic, service, region, finding
        What it is about: the finding's own words, as the meeting saw them.
    at
        When it was decided (UTC).
    by
        The day by which the finding had to be decided, where it said one.
    plan_as_of
        Of which plan.
    """

    topic: str
    service: str
    region: str
    finding: str
    status: Status
    author: str
    reason: str
    at: datetime
    plan_as_of: datetime
    by: date | None = None

    def __post_init__(self) -> None:
        if self.status not in get_args(Status):
            raise UsageError(f"status: found '{self.status}'; allowed: {', '.join(get_args(Status))}")
        for name in ("author", "reason"):
            text = getattr(self, name)
            if not text.strip():
                raise UsageError(f"a decision needs its {name}: who reads it next quarter was not in the room")
            if len(text) > MOST_CHARACTERS:
                raise UsageError(f"{name}: {len(text):,} characters; at most {MOST_CHARACTERS:,}")
        if self.at.tzinfo is None or self.plan_as_of.tzinfo is None:
            raise UsageError("a decision's times need a zone")

    @property
    def about(self) -> Subject:
        """What it is about: the same in the next plan, whose figures and dates are others."""
        return subject(self.topic, self.service, self.region, self.finding)

    @property
    def id(self) -> str:
        """Its file's name: the moment, and a digest of all that it says."""
        digest = hashlib.sha256(_text(self).encode()).hexdigest()[:_HASH_DIGITS]
        return f"{self.at.astimezone(UTC):%Y%m%dT%H%M%SZ}-{digest}"


def subject(topic: str, service: str, region: str, text: str) -> Subject:
    """What tells a finding from others and is the same in the next plan.

    >>> subject("order", "search", "us-east-1", "search/us-east-1 passes disk (17 TB) on 3 May")[3]
    'search/us-east-1 passes disk'
    """
    rest = text.removeprefix(f"{service}/{region}") if service else text
    lead = text[: len(text) - len(rest)]
    return topic, service, region, (lead + re.split(r"[\d(]", rest, maxsplit=1)[0]).strip()


def about(finding: Finding, status: Status, author: str, reason: str, *, at: datetime, as_of: datetime) -> Decision:
    """A decision about ``finding`` of the plan made ``as_of``."""
    return Decision(
        finding.topic, finding.service, finding.region, finding.text, status, author.strip(), reason.strip(), at, as_of,
        finding.by,
    )  # fmt: skip


def record(plan_dir: Path, decision: Decision) -> Path:
    """Write ``decision`` beside the plan in ``plan_dir``; returns its file. Saying the same twice is one file.

    Raises
    ------
    UsageError
        The folder cannot be written to.
    """
    folder = plan_dir / FOLDER
    path = folder / f"{decision.id}.json"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with path.open("x", encoding="utf-8") as out:
            out.write(_text(decision))
    except FileExistsError:
        pass
    except OSError as error:
        raise UsageError(f"{folder}: the decision cannot be kept there: {error.strerror}") from None
    return path


def read(plan_dir: Path) -> tuple[Decision, ...]:
    """Every decision beside the plan in ``plan_dir``, the oldest first.

    Raises
    ------
    CorruptDataError
        A file is no decision.
    """
    found = [_from_text(path.read_text(encoding="utf-8"), path) for path in (plan_dir / FOLDER).glob("*.json")]
    return tuple(sorted(found, key=lambda d: (d.at, d.id)))


def standing(decisions: Iterable[Decision]) -> dict[Subject, Decision]:
    """The newest decision about each thing."""
    return {d.about: d for d in sorted(decisions, key=lambda d: (d.at, d.id))}


def _text(decision: Decision) -> str:
    return json.dumps(asdict(decision), default=_plain, sort_keys=True, indent=1, ensure_ascii=False) + "\n"


def _plain(value: Any) -> str:
    return value.astimezone(UTC).isoformat() if isinstance(value, datetime) else value.isoformat()


def _from_text(text: str, path: Path) -> Decision:
    try:
        found = json.loads(text)
        known = {f.name for f in fields(Decision)}
        if not isinstance(found, dict) or set(found) - known:
            raise ValueError("it has other keys than a decision")
        times = {k: datetime.fromisoformat(found[k]) for k in ("at", "plan_as_of")}
        return Decision(**(found | times | {"by": date.fromisoformat(found["by"]) if found["by"] else None}))
    except (ValueError, KeyError, TypeError, AttributeError, UsageError) as error:
        raise CorruptDataError(f"{path}: no decision: {error}; mend the file or take it away") from None
