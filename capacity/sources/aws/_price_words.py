"""What prices are called, here and at AWS, and one rate as it is handed on."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

import pyarrow as pa

from capacity.schemas import PRICES

ON_DEMAND, SPOT, SPOT_P90 = "on_demand", "spot", "spot_p90"
SHARED = "Shared"
# AWS prices carry up to ten decimals; an effective rate is a quotient and is kept to as many.
RATE_STEP = Decimal("1e-10")


@dataclass(frozen=True)
class System:
    """An operating system: our word, and those of the three services that know its rates.

    ``pricing`` is the attribute operatingSystem of the price list; ``product`` the product description of Savings
    Plans rates and of the spot price history.
    """

    name: str
    pricing: str
    product: str


SYSTEMS = {
    s.name: s
    for s in (
        System("Linux", "Linux", "Linux/UNIX"),
        System("Windows", "Windows", "Windows"),
        System("RHEL", "RHEL", "Red Hat Enterprise Linux"),
        System("SUSE", "SUSE", "SUSE Linux"),
    )
}
PAYMENTS = {"No Upfront": "no_upfront", "Partial Upfront": "partial_upfront", "All Upfront": "all_upfront"}


@dataclass(frozen=True)
class Rate:
    """What an hour of one instance costs, shared tenancy.

    ``as_of`` is since when that holds; ``stated`` when AWS said so.
    """

    instance_type: str
    region: str
    system: str
    product: str
    rate: Decimal
    currency: str
    source: str
    as_of: datetime
    stated: datetime


@dataclass(frozen=True)
class Found:
    """Rates, and what was left out on the way; one sentence each."""

    rates: tuple[Rate, ...]
    notes: tuple[str, ...] = ()


class Left:
    """Counts what is left out, by reason, with the first example of each."""

    def __init__(self) -> None:
        self._seen: dict[str, list[str]] = {}

    def add(self, reason: str, example: str) -> None:
        self._seen.setdefault(reason, []).append(example)

    def notes(self, what: str) -> tuple[str, ...]:
        return tuple(
            f"{what}: {len(examples):,} left out: {reason} (e.g. {examples[0]})"
            for reason, examples in sorted(self._seen.items())
        )


def what_is_wrong(error: Exception) -> str:
    """Why a part of an answer could not be read, shortly and without the answer itself."""
    return f"no {error}" if isinstance(error, KeyError) else type(error).__name__


def one_rate_a_product(rates: Iterable[Rate], left: Left) -> tuple[Rate, ...]:
    """One rate an (instance type, product, currency); where offers differ none is taken: it would be a guess."""
    found: dict[tuple[str, str, str, str, str], list[Rate]] = {}
    for rate in rates:
        key = (rate.instance_type, rate.region, rate.system, rate.product, rate.currency)
        found.setdefault(key, []).append(rate)
    out = []
    for _, same in sorted(found.items()):
        if len({r.rate for r in same}) > 1:
            left.add("offers with different rates, none is taken", f"{same[0].instance_type} {same[0].product}")
        else:
            out.append(max(same, key=lambda r: r.as_of))
    return tuple(out)


def in_families(instance_type: str, families: Sequence[str] | None) -> bool:
    return families is None or instance_type.split(".")[0] in families


def to_table(rates: Sequence[Rate]) -> pa.Table:
    """``rates`` in the schema of the table ``prices``."""
    columns = {
        "instance_type": [r.instance_type for r in rates],
        "region": [r.region for r in rates],
        "os": [r.system for r in rates],
        "tenancy": [SHARED] * len(rates),
        "product": [r.product for r in rates],
        "rate": [float(r.rate) for r in rates],
        "currency": [r.currency for r in rates],
        "source": [r.source for r in rates],
        "as_of": [r.as_of for r in rates],
    }
    return pa.table(columns, schema=PRICES.schema)
