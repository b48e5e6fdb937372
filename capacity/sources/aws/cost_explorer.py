"""AWS Cost Explorer: the bill by account and service, AWS's own forecast, use of commitments, recommendations."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import ClassVar

from capacity.config import CostExplorerSource
from capacity.errors import CapacityError
from capacity.sources._protocol import Batch, Context, SourceInfo
from capacity.sources.aws._access import Access, Account
from capacity.sources.aws._calls import Failures
from capacity.sources.aws._ce_ask import Asker, Budget
from capacity.sources.aws._ce_benchmarks import Benchmarks
from capacity.sources.aws._ce_cache import Cache
from capacity.sources.aws._ce_cost import CostReader


class CostExplorerReader:
    """Cost Explorer of the management account, which sees its whole organization.

    Asked as the credentials in use, or as the only account of its way into AWS, or in the accounts that the source
    names. Answers are paid for by the page: a budget bounds them, and a cache keeps them, so that a second run on the
    same UTC day asks Cost Explorer nothing.
    """

    info: ClassVar[SourceInfo] = SourceInfo(
        kind="cost_explorer",
        reads=(
            "AWS Cost Explorer: cost by account, service and charge category, AWS's own forecast, utilisation and "
            "coverage of reservations and Savings Plans, purchase recommendations"
        ),
        frames=("cost", "provider_forecast", "commitment_use", "recommendations"),
        permissions=(
            "ce:GetCostAndUsage",
            "ce:GetCostForecast",
            "ce:GetReservationCoverage",
            "ce:GetReservationPurchaseRecommendation",
            "ce:GetReservationUtilization",
            "ce:GetSavingsPlansCoverage",
            "ce:GetSavingsPlansPurchaseRecommendation",
            "ce:GetSavingsPlansUtilization",
        ),
        price="$0.01 a page of an answer; bounded by 'most_usd' (default $1.00 an ingest)",
        limits=(
            "two groupings a question; 13 closed months and the current one up to yesterday; forecasts of 3 months by "
            "day and 18 by month; no list or contracted cost"
        ),
        calls=(
            "ce:GetCostAndUsage ($0.01 a page)",
            "ce:GetCostForecast ($0.01, two a day)",
            "ce:GetReservationCoverage ($0.01 a service and day)",
            "ce:GetReservationPurchaseRecommendation ($0.01 a service, term, payment and day)",
            "ce:GetReservationUtilization ($0.01 a service and day)",
            "ce:GetSavingsPlansCoverage ($0.01 a day)",
            "ce:GetSavingsPlansPurchaseRecommendation ($0.01 a plan, term, payment and day)",
            "ce:GetSavingsPlansUtilization ($0.01 a day)",
            "sts:GetCallerIdentity",
        ),
    )

    def __init__(self, config: CostExplorerSource, context: Context) -> None:
        self.name = config.name
        self._config = config
        self._access = Access(context.access(config), config.name)
        self._folder = context.resolve(config.cache)

    def batches(self, since: datetime | None, now: datetime) -> Iterator[Batch]:
        """The bill month by month, each month whole, then the comparisons.

        Parameters
        ----------
        since
            Not used: what has changed is found from Cost Explorer's totals.
        now
            Costs are read up to the UTC day before.

        Raises
        ------
        DataError
            After the last sound batch: a line for each part that failed or that the budget did not allow.
        """
        failures = Failures()
        cache = Cache(self._folder, self.name)
        cache.prepare()
        budget = Budget(self._config.most_usd)
        for account in self._accounts():
            asker = Asker(self._access, account, cache, budget, now)
            if self._config.reads.cost:
                yield from CostReader(asker, self._config, failures).batches()
            try:
                yield from Benchmarks(asker, self._config, failures).batches()
            except CapacityError as error:
                failures.add(error)
        failures.raise_if_any()

    def _accounts(self) -> tuple[Account, ...]:
        """Whom to ask: a management account answers for all of its organization, so one is enough."""
        if self._config.accounts is not None:
            return self._access.accounts(self._config.accounts)
        if len(self._access.config.accounts) == 1:
            return self._access.accounts()
        return (Account(self._access.caller),)
