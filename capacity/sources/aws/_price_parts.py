"""Prices part by part: one kind of rate, of one operating system, in one region; each asked on its own."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from capacity.errors import CapacityError
from capacity.sources.aws import _price_plans, _price_products, _price_spot
from capacity.sources.aws._access import Access, Account
from capacity.sources.aws._calls import errors_of
from capacity.sources.aws._price_words import SYSTEMS, Found

Kind = Literal["list", "savings_plans", "spot"]


@dataclass(frozen=True)
class Part:
    """What one chain of calls answers."""

    kind: Kind
    region: str
    system: str

    @property
    def label(self) -> str:
        what = {"list": "price list", "savings_plans": "Savings Plans rates", "spot": "spot price history"}[self.kind]
        return f"{what}, {self.system} in {self.region}"


@dataclass(frozen=True)
class Wanted:
    """What is asked for, and when.

    Attributes
    ----------
    reads
        Of on_demand, reserved, savings_plans, spot.
    families
        Only these; all where None.
    spot_days
        Window of the spot rates.
    now
        No offer that begins later is read.
    """

    reads: Sequence[str]
    families: Sequence[str] | None
    spot_days: int
    now: datetime


def parts(reads: Sequence[str], regions: Sequence[str], systems: Sequence[str]) -> list[Part]:
    """Every chain of calls; on demand and reserved come from one."""
    kinds: list[Kind] = []
    if "on_demand" in reads or "reserved" in reads:
        kinds.append("list")
    own: tuple[Kind, ...] = ("savings_plans", "spot")
    kinds += [k for k in own if k in reads]
    return [Part(k, r, s) for k in kinds for r in regions for s in dict.fromkeys(systems)]


def asked_as(access: Access, accounts: Sequence[str] | None) -> Account | None:
    """Public rates are the same for all: the first account that is named, else the caller's own credentials."""
    return access.accounts(accounts)[0] if accounts else None


def who_asks(account: Account | None) -> str:
    """As messages say it."""
    return account.label if account else "the caller's own account"


def read_all(
    access: Access, account: Account | None, todo: Sequence[Part], wanted: Wanted
) -> Iterator[tuple[Part, Found | CapacityError]]:
    """Each part with its rates, or with what went wrong; several at a time, in the order of ``todo``."""
    return access.each(todo, lambda part: read_part(access, account, part, wanted))


def read_part(access: Access, account: Account | None, part: Part, wanted: Wanted) -> Found:
    """The rates of one part.

    Raises
    ------
    DataError
        A call failed.
    """
    system, regions = SYSTEMS[part.system], (part.region, *access.config.regions)
    where = f"{who_asks(account)}, {part.label}"
    if part.kind == "list":
        with errors_of("pricing:GetProducts", access.source, where):
            client = access.client("pricing", account, _price_products.endpoint_region(regions))
            return _price_products.read(client, part.region, system, wanted.reads, wanted.families, wanted.now)
    if part.kind == "savings_plans":
        with errors_of("savingsplans:DescribeSavingsPlansOfferingRates", access.source, where):
            client = access.client("savingsplans", account, _price_plans.endpoint_region(regions))
            return _price_plans.read(client, part.region, system, wanted.families, wanted.now)
    with errors_of("ec2:DescribeSpotPriceHistory", access.source, where):
        client = access.client("ec2", account, part.region)
        return _price_spot.read(client, part.region, system, wanted.families, wanted.now, wanted.spot_days)
