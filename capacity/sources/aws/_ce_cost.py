"""The bill from Cost Explorer, month by month, for as few pages as it takes.

One cheap question comes first: each record type's total by account and month. It says which kinds of charge there
are, and whether a month has changed since it was last read; only what changed is asked for by service. The months
that still move are looked at every day, the settled ones every quarter. Its totals are also what the rows are
checked against.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, timedelta
from decimal import Decimal
from typing import Any

from capacity.config import CostExplorerSource
from capacity.errors import CapacityError, CorruptDataError, DataError
from capacity.schemas import COST
from capacity.sources._protocol import Batch
from capacity.sources.aws._calls import Failures
from capacity.sources.aws._ce_amounts import ZERO, Amounts
from capacity.sources.aws._ce_ask import GROUPS_A_PAGE, Asker, CutError, Question, recent, same_day
from capacity.sources.aws._ce_cache import Answer, Json
from capacity.sources.aws._ce_months import (
    KINDS,
    KNOWN_ADJUSTMENTS,
    OTHER,
    USAGE,
    Kind,
    Month,
    history,
    kind_of,
    runs,
    said,
    span,
)
from capacity.sources.aws._ce_rows import BILLED, EFFECTIVE, METRICS, CostRows, amount, groups_of

# How long the look at a settled month holds: corrections that late are rare, and seen a quarter later.
_SETTLED_FOR = timedelta(days=90)
# Services that an account is billed for, until an answer says how many there are; only the first estimate uses it.
SERVICES_AN_ACCOUNT = 30
# Months before a month (after it where negative) that tell how large it will be, the likeliest first.
_LIKE = (0, 1, -1, 2)
# Months are asked for together up to so many pages: few pages are half empty, and little is lost when one fails.
_PAGES_A_QUESTION = 8
# A month whose rows differ from its total by more (a cent, and a thousandth) was changed while it was read.
_OFF_AMOUNT, _OFF_FRAC = Decimal("0.01"), Decimal("0.001")
_OVERVIEW = ("RECORD_TYPE", "LINKED_ACCOUNT")


@dataclass(frozen=True)
class Part:
    """What one month's rows are made of: one kind of charge at one granularity.

    Attributes
    ----------
    state
        What an answer must have been asked for to hold still.
    accounts
        Accounts that have such charges.
    """

    kind: Kind
    month: Month
    granularity: str
    state: Json = field(compare=False, hash=False)
    record_types: tuple[str, ...] = field(compare=False, hash=False)
    accounts: int = field(compare=False, hash=False)


class CostReader:
    """Reads one account's bill: for a management account that of the whole organization.

    Parameters
    ----------
    failures
        Gets a line for everything that did not come.
    """

    def __init__(self, asker: Asker, config: CostExplorerSource, failures: Failures) -> None:
        self._asker, self._config, self._failures = asker, config, failures
        self._now = asker.now
        self._today = asker.now.astimezone(UTC).date()

    def batches(self) -> Iterator[Batch]:
        """One batch a billing month, each whole; a month of which a part failed does not come."""
        months = history(self._now, self._config.months)
        try:
            overview = self._overview(months)
            parts = {month: self._parts(month, pages) for month, pages in overview.items()}
        except CapacityError as error:
            self._failures.add(error)
            return
        failed = self._ask_missing([p for of in parts.values() for p in of])
        for month in months:
            lost = [p for p in parts[month] if p in failed]
            if lost:
                self._failures.add(
                    f"{self._asker.where}: billing month {month} stays as it was in the store: "
                    f"{', '.join(p.kind.name for p in lost)} did not come"
                )
            elif parts[month]:
                yield from self._month(month, overview[month], parts[month])
            elif self._had_charges(month):
                yield self._nothing(month)

    # --- what there is ----------------------------------------------------------------------------------------

    def _overview(self, months: Sequence[Month]) -> dict[Month, list[Json]]:
        """Totals by record type and account of every month."""
        out: dict[Month, list[Json]] = {}
        for month in months:
            kept = self._asker.cache.get(self._name("overview", month))
            if kept and kept.state == self._overview_state(month) and self._holds(month, kept):
                out[month] = kept.body
        for run in runs(m for m in months if m not in out):
            question = self._question("totals", "MONTHLY", run, _OVERVIEW)
            pages_of_all = self._whole(question, self._asker.ask_named("cost/totals", question))
            for month, pages in self._by_month(run, pages_of_all).items():
                self._asker.cache.put(self._name("overview", month), self._overview_state(month), self._now, pages)
                out[month] = pages
        return out

    def _overview_state(self, month: Month) -> Json:
        return {"period": span([month], self._now), "metrics": list(METRICS)}

    def _holds(self, month: Month, kept: Answer) -> bool:
        age = self._now - kept.asked_at
        settled = month.settled_at(kept.asked_at) and timedelta(0) <= age < _SETTLED_FOR
        return settled or same_day(kept.asked_at, self._now)

    def _parts(self, month: Month, pages: list[Json]) -> list[Part]:
        """The kinds of charge that the month has, each with the state that tells whether it has changed."""
        found: dict[str, list[Any]] = {kind.name: [] for kind in KINDS}
        amounts = Amounts(f"{self._asker.where}: totals of {month}")
        for _, group in groups_of(pages):
            if any(amounts.of(m["Amount"]) for m in group["Metrics"].values()):
                found[kind_of(group["Keys"][0]).name].append([group["Keys"], group["Metrics"]])
        return [self._part(kind, month, found[kind.name]) for kind in KINDS if found[kind.name]]

    def _part(self, kind: Kind, month: Month, totals: list[Any]) -> Part:
        print_ = hashlib.sha256(json.dumps(sorted(totals, key=lambda t: t[0]), sort_keys=True).encode()).hexdigest()
        record_types = tuple(sorted({keys[0] for keys, _ in totals}))
        state = {"totals": print_, "record_types": list(record_types), "metrics": list(METRICS)}
        granularity = "DAILY" if self._by_day(kind, month) else "MONTHLY"
        return Part(kind, month, granularity, state, record_types, len({keys[1] for keys, _ in totals}))

    def _by_day(self, kind: Kind, month: Month) -> bool:
        """Usage of the newest months, and of months that once came by day; a tax or a fee has no day of its own."""
        if kind is not USAGE or self._config.granularity == "MONTHLY":
            return False
        oldest = Month.of(self._today).plus(-self._config.daily_months)
        return month >= oldest or self._asker.cache.head(self._name("DAILY", month, kind)) is not None

    # --- asking -------------------------------------------------------------------------------------------------

    def _ask_missing(self, parts: Sequence[Part]) -> set[Part]:
        """Ask for the parts that the cache does not hold, small ones first, newest months first; those that failed."""
        missing = [p for p in parts if not self._kept(p)]
        failed: set[Part] = set()
        order = [(kind, False) for kind in KINDS if kind is not USAGE] + [(USAGE, False), (USAGE, True)]
        questions = [q for kind, daily in order for q in self._chunks(missing, kind, daily)]
        for chunk in questions:
            try:
                self._ask(chunk)
            except CapacityError as error:
                self._failures.add(error)
                failed.update(chunk)
        return failed

    def _kept(self, part: Part) -> bool:
        head = self._asker.cache.head(self._part_name(part))
        return head is not None and head.state == part.state

    def _chunks(self, missing: Sequence[Part], kind: Kind, daily: bool) -> list[list[Part]]:
        """Consecutive months of one kind, as many together as one question should have; newest first."""
        of = {p.month: p for p in missing if p.kind is kind and (p.granularity == "DAILY") == daily}
        out: list[list[Part]] = []
        for run in runs(of):
            pages = float("inf")
            for month in reversed(run):
                pages += self._groups(of[month]) / GROUPS_A_PAGE
                if pages > _PAGES_A_QUESTION:
                    out.append([])
                    pages = self._groups(of[month]) / GROUPS_A_PAGE
                out[-1].insert(0, of[month])
        return sorted(out, key=lambda chunk: chunk[0].month, reverse=True)

    def _groups(self, part: Part) -> float:
        """How many groups a part will have, from what its like had, else from its accounts."""
        days = _days(part, self._today)
        names = [self._part_name(part, part.month.plus(-back)) for back in _LIKE]
        whole = [self._asker.cache.head(name) for name in names]
        cut = [self._cut(name) for name in names]
        if whole[0] and not (cut[0] and cut[0].asked_at > whole[0].asked_at):
            return float(days * whole[0].groups)
        usual = next((like.groups for like in whole if like), part.accounts * SERVICES_AN_ACCOUNT)
        return float(days * max(usual, *(like.groups for like in cut if like), 0))

    def _cut(self, name: str) -> Answer | None:
        """What is known of an answer that the budget has cut: ``groups`` is the least that a period of it has."""
        kept = self._asker.cache.head(f"{name}/cut")
        return kept if kept and recent(kept.asked_at, self._now) else None

    def _remember_cut(self, chunk: Sequence[Part], pages: int) -> None:
        """So that the next run knows better what these months cost; as if the pages were full."""
        periods = sum(_days(p, self._today) for p in chunk)
        a_period = pages * GROUPS_A_PAGE // periods
        for part in chunk:
            self._asker.cache.put(f"{self._part_name(part)}/cut", {}, self._now, [], a_period)

    def _ask(self, chunk: Sequence[Part]) -> None:
        """One question for consecutive months; the answer goes into the cache, month by month."""
        first, months = chunk[0], [p.month for p in chunk]
        record_types = sorted({r for p in chunk for r in p.record_types})
        by = "day" if first.granularity == "DAILY" else "month"
        question = self._question(
            f"{first.kind.name} by {by}", first.granularity, months, self._config.group_by, record_types
        )
        expected = -int(-sum(self._groups(p) for p in chunk) // GROUPS_A_PAGE)
        try:
            pages_of_all = self._whole(question, self._asker.ask(question, expected))
        except CutError as error:
            if error.pages > expected:
                self._remember_cut(chunk, error.pages)
            raise
        found = self._by_month(months, pages_of_all)
        for part in chunk:
            pages = found[part.month]
            a_period = -(-sum(1 for _ in groups_of(pages)) // _days(part, self._today))
            self._asker.cache.put(self._part_name(part), part.state, self._now, pages, a_period)

    def _question(
        self, label: str, granularity: str, months: Sequence[Month], by: Sequence[str], record_types: Sequence[str] = ()
    ) -> Question:
        request: Json = {
            "TimePeriod": span(months, self._now),
            "Granularity": granularity,
            "Metrics": list(METRICS),
            "GroupBy": [_group(key) for key in by],
        }
        if record_types:
            request["Filter"] = {"Dimensions": {"Key": "RECORD_TYPE", "Values": list(record_types)}}
        return Question("GetCostAndUsage", request, f"{label}, {said(months)}")

    def _whole(self, question: Question, pages: list[Json] | None) -> list[Json]:
        if pages is None:
            raise DataError(
                f"{self._asker.where}: {question.label}: ce:GetCostAndUsage has no data; enable Cost Explorer in the "
                "billing console, a day later the costs are there"
            )
        return pages

    def _by_month(self, months: Sequence[Month], pages: Sequence[Json]) -> dict[Month, list[Json]]:
        """The answer cut by billing month."""
        out: dict[Month, list[Json]] = {m: [] for m in months}
        names = [n for page in pages for n in page.get("DimensionValueAttributes", ())]
        for page in pages:
            for result in page.get("ResultsByTime", ()):
                month = Month.of(date.fromisoformat(result["TimePeriod"]["Start"][:10]))
                out.setdefault(month, []).append({"ResultsByTime": [result]})
        return {m: [*out[m], {"DimensionValueAttributes": names}] for m in months}

    # --- a month that has become empty ---------------------------------------------------------------------------

    def _had_charges(self, month: Month) -> bool:
        names = (self._name(by, month, kind) for kind in KINDS for by in ("DAILY", "MONTHLY"))
        return any(self._asker.cache.head(name) for name in names)

    def _nothing(self, month: Month) -> Batch:
        note = f"billing month {month} had charges when it was last read and has none now; the store keeps what it has"
        return Batch(
            "cost", COST.schema.empty_table(), f"cost explorer {self._asker.account.account_id} {month}", (note,)
        )

    # --- rows ---------------------------------------------------------------------------------------------------

    def _month(self, month: Month, overview: list[Json], parts: Sequence[Part]) -> Iterator[Batch]:
        account = self._asker.account
        file = f"cost explorer {account.account_id} {month}"
        rows = CostRows(
            self._asker.access.source, file, account.account_id, account.name, month, tuple(self._config.group_by)
        )
        amounts = Amounts(f"{self._asker.where}: billing month {month}")
        try:
            for part in parts:
                rows.add(part.kind, self._body(part), amounts)
            odd = self._checked(month, overview, rows)
            table = rows.table()
        except CapacityError as error:
            self._failures.add(error)
            return
        notes = (*amounts.notes(), *odd, *self._asker.cache.notes())
        yield Batch("cost", table, file, notes, complete=True)

    def _body(self, part: Part) -> list[Json]:
        """From the cache, where it was just put or held still; asked again where that file is damaged."""
        kept = self._asker.cache.get(self._part_name(part))
        if kept is None:
            self._ask([part])
            kept = self._asker.cache.get(self._part_name(part))
        if kept is None:
            raise DataError(
                f"{self._asker.where}: cache {self._asker.cache.folder} loses what it is given; check the disk"
            )
        return kept.body

    def _checked(self, month: Month, overview: list[Json], rows: CostRows) -> list[str]:
        """Compare the rows with the month's totals, kind by kind; notes on what is odd."""
        amounts = Amounts(self._asker.where)
        totals = {BILLED: dict[str, Decimal](), EFFECTIVE: dict[str, Decimal]()}
        unknown: set[str] = set()
        for _, group in groups_of(overview):
            kind = kind_of(group["Keys"][0])
            unknown |= {group["Keys"][0]} if kind is OTHER else set()
            for names, sums in totals.items():
                sums[kind.name] = sums.get(kind.name, ZERO) + amount(group, names, amounts)[0]
        for names, got in ((BILLED, rows.billed), (EFFECTIVE, rows.effective)):
            for kind_name, total in totals[names].items():
                self._compare(month, f"{kind_name}, {names[1]}", total, got.get(kind_name, ZERO))
        return [*_odd(unknown - set(KNOWN_ADJUSTMENTS)), *_estimated(overview)]

    def _compare(self, month: Month, what: str, total: Decimal, got: Decimal) -> None:
        if abs(total - got) > max(_OFF_AMOUNT, abs(total) * _OFF_FRAC):
            raise CorruptDataError(
                f"{self._asker.where}: billing month {month}, {what}: rows add up to {got}, Cost Explorer's total is "
                f"{total}; it changed while it was read: run again later"
            )

    def _name(self, what: str, month: Month, kind: Kind | None = None) -> str:
        by = "+".join(self._config.group_by) if kind else ""
        return f"{self._asker.account.account_id}/cost/{what}/{kind.name if kind else ''}/{by}/{month}"

    def _part_name(self, part: Part, month: Month | None = None) -> str:
        return self._name(part.granularity, month or part.month, part.kind)


def _group(key: str) -> dict[str, str]:
    return {"Type": "TAG", "Key": key[4:]} if key.startswith("TAG:") else {"Type": "DIMENSION", "Key": key}


def _days(part: Part, today: date) -> int:
    """Periods that a part has."""
    return (
        1 if part.granularity == "MONTHLY" else (min(part.month.plus(1).first_day, today) - part.month.first_day).days
    )


def _odd(record_types: set[str]) -> list[str]:
    return [f"record type '{r}' is not known here: its charges are Adjustments" for r in sorted(record_types)]


def _estimated(overview: list[Json]) -> list[str]:
    guessed = any(result.get("Estimated") for page in overview for result in page.get("ResultsByTime", ()))
    return ["not final yet: AWS marks these costs as estimated"] if guessed else []
