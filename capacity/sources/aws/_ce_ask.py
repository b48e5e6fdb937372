"""Questions to Cost Explorer: paid by the page, within a budget, and never twice on a day."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
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
# How long it is remembered that an answer was too large for the budget: as long as the look at a settled month holds.
# After that it may have become smaller, and is tried again.
CUT_HOLDS_FOR = timedelta(days=90)


class CutError(DataError):
    """The budget ended in the middle of an answer; its pages are lost.

    Attributes
    ----------
    pages
        What the whole answer has at least.
    """

    def __init__(self, message: str, pages: int) -> None:
        super().__init__(message)
        self.pages = pages


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

    def need(self, wanted: int, what: str, so_far: int = 0) -> None:
        """Make sure that ``wanted`` more pages can be paid.

        Parameters
        ----------
        so_far
            Pages of the same answer that are paid already.

        Raises
        ------
        CutError
            They cannot; ``so_far`` pages are lost.
        """
        left = max(self.pages_left, 0)
        if wanted > left:
            at_least = (self.pages + wanted) * USD_A_PAGE
            # An answer that alone is larger than the budget does not come with another run either.
            alone = (so_far + wanted) * USD_A_PAGE > self.most_usd
            mend = "" if alone else ", or run again: answers that came whole are kept"
            lost = f" ({so_far:,} pages of it came, and are lost)" if so_far else ""
            raise CutError(
                f"{what}: stopped before about ${wanted * USD_A_PAGE} more, when ${left * USD_A_PAGE} of "
                f"most_usd ${self.most_usd} was left{lost}; raise 'most_usd' to ${at_least} at least{mend}",
                so_far + wanted,
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
        CutError
            The budget does not allow it; the part is named.
        DataError
            The call failed, likewise.
        """
        from botocore import xform_name
        from botocore.exceptions import ClientError

        what = f"{self.where}: {question.label}"
        self.budget.need(max(expected_pages, 1), what)
        client = self.access.client("ce", self.account)
        before = self.budget.pages

        def call(**request: Any) -> Json:
            self.budget.need(1, what, self.budget.pages - before)
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

    def ask_named(self, name: str, question: Question) -> list[Json] | None:
        """As :meth:`ask`; an answer that was cut by the budget is not asked for again until the budget allows it."""
        key = f"{self.account.account_id}/{name}/cut"
        state = _without_end(question.request)
        kept = self.cache.get(key)
        known = kept.groups if kept and kept.state == state and recent(kept.asked_at, self.now) else 1
        try:
            return self.ask(question, known)
        except CutError as error:
            if error.pages > known:
                self.cache.put(key, state, self.now, [], error.pages)
            raise

    def today(self, name: str, question: Question) -> list[Json] | None:
        """As :meth:`ask`, from the cache if this was asked today; what is not available stays so for the day."""
        state = {"request": dict(question.request)}
        key = f"{self.account.account_id}/{name}"
        kept = self.cache.get(key)
        if kept and kept.state == state and same_day(kept.asked_at, self.now):
            return kept.body or None
        body = self.ask_named(name, question)
        self.cache.put(key, state, self.now, body or [])
        return body


def same_day(a: datetime, b: datetime) -> bool:
    """Whether both are on one UTC day."""
    return a.astimezone(UTC).date() == b.astimezone(UTC).date()


def recent(cut_at: datetime, now: datetime) -> bool:
    """Whether what was learnt from an answer that was cut still holds."""
    return timedelta(0) <= now - cut_at < CUT_HOLDS_FOR


def _without_end(request: Mapping[str, Any]) -> Json:
    """The same question on another day: only its end moves."""
    period = request.get("TimePeriod")
    return {**request, "TimePeriod": {"Start": period["Start"]}} if period else dict(request)
