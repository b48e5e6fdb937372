"""Questions to Cost Explorer: paid by the page, within a budget, and never twice on a day."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from capacity.errors import DataError
from capacity.sources.aws._access import Access, Account
from capacity.sources.aws._calls import errors_of, pages
from capacity.sources.aws._ce_cache import Cache, Json

# List price of one page of an answer (AWS Cost Management pricing).
USD_A_PAGE = Decimal("0.01")
# What a page holds at most. AWS does not publish it; 5,000 is what users report. Only estimates rest on it: what is
# spent is counted as the pages come.
GROUPS_A_PAGE = 5000
_UNAVAILABLE = "DataUnavailableException"


@dataclass
class Budget:
    """Pages of one ingest, and what they may cost."""

    most_usd: Decimal
    pages: int = 0

    @property
    def spent_usd(self) -> Decimal:
        return self.pages * USD_A_PAGE

    @property
    def pages_left(self) -> int:
        return int(self.most_usd // USD_A_PAGE) - self.pages

    def need(self, wanted: int, what: str) -> None:
        """Make sure that ``wanted`` more pages can be paid.

        Raises
        ------
        DataError
            They cannot; nothing has been asked.
        """
        left = max(self.pages_left, 0)
        if wanted > left:
            raise DataError(
                f"{what}: stopped before about ${wanted * USD_A_PAGE} more, when ${left * USD_A_PAGE} of "
                f"most_usd ${self.most_usd} was left; raise 'most_usd', or run again: answers that came whole are kept"
            )


@dataclass(frozen=True)
class Question:
    """One request, all its pages.

    Attributes
    ----------
    label
        For people, e.g. ``usage by day, 2026-09 to 2026-10``.
    """

    operation: str
    request: Mapping[str, Any]
    label: str
    token_in: str = "NextPageToken"  # noqa: S105 - the name of a field


@dataclass
class Asker:
    """One account's Cost Explorer."""

    access: Access
    account: Account
    cache: Cache
    budget: Budget
    now: datetime
    notes: list[str] = field(default_factory=list)

    @property
    def where(self) -> str:
        return f"source '{self.access.source}': {self.account.label}"

    def ask(self, question: Question, expected_pages: int = 1) -> list[Json] | None:
        """All pages, paid for; None where Cost Explorer says that it has no data for this.

        Raises
        ------
        DataError
            The call failed, or the budget does not allow it; the part is named.
        """
        from botocore import xform_name
        from botocore.exceptions import ClientError

        what = f"{self.where}: {question.label}"
        self.budget.need(max(expected_pages, 1), what)
        client = self.access.client("ce", self.account)

        def call(**request: Any) -> Json:
            self.budget.need(1, what)
            page: Json = getattr(client, xform_name(question.operation))(**request)
            self.budget.pages += 1
            page.pop("ResponseMetadata", None)
            return page

        with errors_of(f"ce:{question.operation}", self.access.source, f"{self.account.label}: {question.label}"):
            try:
                found = list(pages(call, question.request, question.token_in))
            except ClientError as error:
                if error.response.get("Error", {}).get("Code") != _UNAVAILABLE:
                    raise
                return None
        return [dict(page) for page in found]

    def today(self, name: str, question: Question) -> list[Json] | None:
        """As :meth:`ask`, from the cache if this was asked today; what is not available stays so for the day."""
        state = {"request": dict(question.request)}
        key = f"{self.account.account_id}/{name}"
        kept = self.cache.get(key)
        if kept and kept.state == state and same_day(kept.asked_at, self.now):
            return kept.body or None
        body = self.ask(question)
        self.cache.put(key, state, self.now, body or [])
        return body


def same_day(a: datetime, b: datetime) -> bool:
    """Whether both are on one UTC day."""
    return a.astimezone(UTC).date() == b.astimezone(UTC).date()
