"""``aws_prices``: public rates of EC2 instance types, each with its source and its date.

A rate that AWS does not tell is absent, never guessed; an offer that is not understood is left out and noted.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import ClassVar

from capacity.config import PriceSource
from capacity.sources._protocol import Batch, Context, SourceInfo
from capacity.sources.aws._access import Access
from capacity.sources.aws._calls import Failures
from capacity.sources.aws._price_catalogue import READS, Collected, collect
from capacity.sources.aws._price_parts import Part, Wanted, asked_as, parts, read_all
from capacity.sources.aws._price_words import Found, to_table

__all__ = ["READS", "AwsPricesSource", "Collected", "asked_as", "collect"]


class AwsPricesSource:
    """On demand, reserved, Savings Plans and spot rates, by region and operating system.

    Products: ``on_demand``; ``standard_ri_…`` and ``convertible_ri_…``; ``compute_sp_…`` and ``ec2_instance_sp_…``,
    each ``1y`` or ``3y`` and ``no_upfront``, ``partial_upfront`` or ``all_upfront``; ``spot`` (mean) and
    ``spot_p90``. Rates are effective $/h over the term. ``as_of`` is since when an offer is in force; for Savings
    Plans, which carry no date, the day they were asked; for spot the end of the window.
    """

    info: ClassVar[SourceInfo] = SourceInfo(
        kind="aws_prices",
        reads="public rates of EC2 instance types: price list, Savings Plans offering rates, spot price history",
        frames=("prices",),
        permissions=(
            "pricing:GetProducts",
            "savingsplans:DescribeSavingsPlansOfferingRates",
            "ec2:DescribeSpotPriceHistory",
        ),
        price="free of charge",
        limits=(
            "shared tenancy, without installed software; the price list of today only, spot of the last 90 days; 100 "
            "products, 1,000 Savings Plans rates or 1,000 spot prices a page"
        ),
        calls=(
            "pricing:GetProducts, some 12 pages a region and operating system",
            "savingsplans:DescribeSavingsPlansOfferingRates, some 25 pages",
            "ec2:DescribeSpotPriceHistory, some 300 pages for 30 days of all types",
        ),
    )

    def __init__(self, config: PriceSource, context: Context) -> None:
        self.name = config.name
        self._config = config
        self._access = Access(context.access(config), config.name)

    def batches(self, since: datetime | None, now: datetime) -> Iterator[Batch]:
        """A batch for each region, operating system and kind of rate. ``since`` does not matter: rates are of now.

        Raises
        ------
        DataError
            After the last batch, a line for each part that failed.
        """
        config, failures = self._config, Failures()
        wanted = Wanted(config.reads, config.families, config.spot_days, now)
        todo = parts(config.reads, self._access.regions(config.regions), config.operating_systems)
        account = asked_as(self._access, config.accounts)
        for part, found in read_all(self._access, account, todo, wanted):
            if isinstance(found, Found):
                yield Batch("prices", to_table(found.rates), part.label, (*found.notes, *_nothing(part, found, config)))
            else:
                failures.add(found)
        failures.raise_if_any()


def _nothing(part: Part, found: Found, config: PriceSource) -> Sequence[str]:
    """What was asked for and is not offered: it stays without a rate."""
    if not found.rates:
        return (f"{part.label}: no rate is offered; it stays without one",)
    offered = {r.instance_type.split(".")[0] for r in found.rates}
    missing = [f for f in config.families or () if f not in offered]
    return (f"{part.label}: no rate is offered for the families {', '.join(missing)}",) if missing else ()
