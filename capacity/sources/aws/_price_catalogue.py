"""A whole catalogue from AWS: what each instance type is in the regions asked, and its rates in one of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from capacity.errors import CapacityError, MissingDataError
from capacity.sources.aws import _price_types
from capacity.sources.aws._access import Access, Account
from capacity.sources.aws._calls import Failures, errors_of
from capacity.sources.aws._price_parts import Wanted, parts, read_all, who_asks
from capacity.sources.aws._price_types import Facts
from capacity.sources.aws._price_words import Found, Rate

READS = ("on_demand", "reserved", "savings_plans", "spot")
SYSTEM = "Linux"

# (what is being read, parts done, parts in all)
Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Collected:
    """What AWS says of its instance types.

    Attributes
    ----------
    facts
        By instance type, in the catalogue's columns.
    rates
        (instance type, product) -> $/h in ``region``, Linux, shared tenancy.
    sources, dates
        By product; ``specifications`` stands for the facts. A date is when AWS stated what stands there.
    """

    region: str
    facts: Mapping[str, Facts]
    rates: Mapping[tuple[str, str], float]
    sources: Mapping[str, str]
    dates: Mapping[str, datetime]
    notes: tuple[str, ...]


def collect(
    access: Access,
    account: Account | None,
    region: str,
    now: datetime,
    *,
    reads: Sequence[str] = READS,
    spot_days: int = 30,
    progress: Progress = lambda stage, done, total: None,
) -> Collected:
    """Ask for all types in all of the access' regions, and all rates in ``region``.

    Raises
    ------
    DataError
        Any call failed (a line each), or no type or no on-demand rate was found: a catalogue is whole or none.
    """
    regions = tuple(dict.fromkeys((region, *access.config.regions)))
    todo = parts(reads, (region,), (SYSTEM,))
    total, failures, notes = len(todo) + len(regions), Failures(), list[str]()
    progress("instance types", 0, total)
    facts = _facts(access, account, regions, failures, notes, lambda n: progress("instance types", n, total))
    rates: list[Rate] = []
    progress("rates", len(regions), total)
    wanted = Wanted(reads, None, spot_days, now)
    for done, (part, found) in enumerate(read_all(access, account, todo, wanted), start=len(regions) + 1):
        progress(part.label, done, total)
        if isinstance(found, Found):
            rates += found.rates
            notes += found.notes
        else:
            failures.add(found)
    failures.raise_if_any()
    return _whole(region, now, facts, [r for r in rates if r.currency == "USD"], notes, access.source)


def _facts(
    access: Access,
    account: Account | None,
    regions: Sequence[str],
    failures: Failures,
    notes: list[str],
    done: Callable[[int], None],
) -> dict[str, Facts]:
    def ask(region: str) -> tuple[dict[str, Facts], tuple[str, ...]]:
        where = f"{who_asks(account)} in {region}"
        with errors_of("ec2:DescribeInstanceTypes", access.source, where):
            return _price_types.read(access.client("ec2", account, region))

    out: dict[str, Facts] = {}
    for number, (_, answer) in enumerate(access.each(regions, ask), start=1):
        done(number)
        if isinstance(answer, CapacityError):
            failures.add(answer)
            continue
        out = {**answer[0], **out}  # the first region that offers a type describes it
        notes += [n for n in answer[1] if n not in notes]
    return out


def _whole(
    region: str, now: datetime, facts: Mapping[str, Facts], rates: Sequence[Rate], notes: list[str], source: str
) -> Collected:
    known = [r for r in rates if r.instance_type in facts]
    unknown = sorted({r.instance_type for r in rates} - set(facts))
    if unknown:
        notes.append(f"{len(unknown)} types have a rate but are not described, and are left out (e.g. {unknown[0]})")
    if not any(r.product == "on_demand" for r in known):
        raise MissingDataError(
            f"source '{source}': no on-demand rate in dollars for any type in {region}; name another region"
        )
    newest: dict[str, Rate] = {}
    for rate in known:
        if rate.product not in newest or rate.stated > newest[rate.product].stated:
            newest[rate.product] = rate
    return Collected(
        region=region,
        facts=facts,
        rates={(r.instance_type, r.product): float(r.rate) for r in known},
        sources={"specifications": _price_types.SOURCE, **{p: r.source for p, r in sorted(newest.items())}},
        dates={"specifications": now, **{p: r.stated for p, r in sorted(newest.items())}},
        notes=tuple(notes),
    )
