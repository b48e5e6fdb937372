"""What Cost Explorer says of itself: its forecast, how commitments are used, what it would have you buy.

For comparison only. Each answer holds for the UTC day on which it was asked for.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import product
from typing import Any

import pyarrow as pa

from capacity.config import CostExplorerSource
from capacity.errors import CapacityError
from capacity.schemas import TABLES
from capacity.sources._protocol import Batch
from capacity.sources.aws._calls import Failures
from capacity.sources.aws._ce_amounts import Amounts
from capacity.sources.aws._ce_ask import Asker, Question
from capacity.sources.aws._ce_cache import Json
from capacity.sources.aws._ce_months import Month, history, span

Row = dict[str, Any]

# GetCostForecast: 3 months by day, 18 by month (botocore model of ce).
FORECAST_MONTHS = {"DAILY": 3, "MONTHLY": 18}
# GetReservationCoverage: the last 12 months and the current one (botocore model of ce).
_USE_MONTHS = 12
# What the Cost Explorer API calls the services that have reservations.
RESERVED = {
    "ec2": "Amazon Elastic Compute Cloud - Compute",
    "rds": "Amazon Relational Database Service",
    "elasticache": "Amazon ElastiCache",
    "memorydb": "Amazon MemoryDB",
    "redshift": "Amazon Redshift",
    "opensearch": "Amazon OpenSearch Service",
}
_TERMS = {1: "ONE_YEAR", 3: "THREE_YEARS"}
_LOOKBACKS = {7: "SEVEN_DAYS", 30: "THIRTY_DAYS", 60: "SIXTY_DAYS"}
# What tells two reservations of one service apart, beside region, term and payment.
_RESERVATION_WORDS = (
    "InstanceType", "NodeType", "InstanceClass", "InstanceSize", "Platform", "ProductDescription", "Tenancy",
    "AvailabilityZone", "DatabaseEngine", "DatabaseEdition", "DeploymentOption", "LicenseModel",
)  # fmt: skip


class Benchmarks:
    """The comparisons of one account, each asked for on its own.

    Parameters
    ----------
    failures
        Gets a line for everything that did not come.
    """

    def __init__(self, asker: Asker, config: CostExplorerSource, failures: Failures) -> None:
        self._asker, self._config, self._failures = asker, config, failures
        self._source, self._account = asker.access.source, asker.account.account_id
        self._now = asker.now.astimezone(UTC)
        self._today = datetime(self._now.year, self._now.month, self._now.day, tzinfo=UTC)
        self._amounts = Amounts(asker.where)
        self._notes: list[str] = []

    def batches(self) -> Iterator[Batch]:
        """One batch a frame that the config asks for."""
        reads = self._config.reads
        if reads.forecast:
            yield self._batch("provider_forecast", self._forecast())
        if reads.utilisation:
            yield self._batch("commitment_use", self._use())
        if reads.recommendations:
            yield self._batch("recommendations", self._recommendations())

    def _batch(self, frame: str, parts: Iterable[Iterable[Row]]) -> Batch:
        """All parts that came; each fails on its own."""
        rows: list[Row] = []
        for part in parts:
            try:
                rows += list(part)
            except CapacityError as error:
                self._failures.add(error)
        table = pa.Table.from_pylist(rows, schema=TABLES[frame].schema)
        notes = (*self._amounts.notes(), *self._notes, *self._asker.cache.notes())
        self._amounts, self._notes = Amounts(self._asker.where), []
        return Batch(frame, table, f"cost explorer {self._account} {frame}", notes)

    def _pages(self, operation: str, label: str, request: Json, token: str = "NextPageToken") -> Sequence[Json]:  # noqa: S107
        """The answer; nothing, and a line among the failures or the notes, where it did not come."""
        question = Question(operation, request, label, token)
        try:
            found = self._asker.today(f"{operation}/{label}", question)
        except CapacityError as error:
            self._failures.add(error)
            return ()
        if found is None:
            self._notes.append(f"{label}: no data: the account is too young for it, or has nothing of this kind")
        return found or ()

    # --- forecast -----------------------------------------------------------------------------------------------

    def _forecast(self) -> Iterator[Iterable[Row]]:
        for granularity, months in FORECAST_MONTHS.items():
            request = {
                "TimePeriod": {"Start": _iso(self._today), "End": _iso(_later(self._today, months, granularity))},
                "Granularity": granularity,
                "Metric": self._config.forecast_metric,
                "PredictionIntervalLevel": self._config.forecast_level_percent,
            }
            yield self._forecast_rows(request)

    def _forecast_rows(self, request: Json) -> Iterator[Row]:
        label = f"forecast, {request['Granularity'].lower()}"
        for page in self._pages("GetCostForecast", label, request):
            for point in page.get("ForecastResultsByTime", ()):
                yield {
                    "source": self._source, "account_id": self._account, "metric": request["Metric"],
                    "granularity": request["Granularity"], "made_on": self._today, **_period(point["TimePeriod"]),
                    "mean": self._amounts.of(point.get("MeanValue")),
                    "low": self._amounts.of(point.get("PredictionIntervalLowerBound")),
                    "high": self._amounts.of(point.get("PredictionIntervalUpperBound")),
                    "level_frac": request["PredictionIntervalLevel"] / 100,
                    "currency": str(page.get("Total", {}).get("Unit", "USD")),
                }  # fmt: skip

    # --- utilisation and coverage -------------------------------------------------------------------------------

    def _use(self) -> Iterator[Iterable[Row]]:
        months = history(self._now, min(self._config.months, _USE_MONTHS))
        request = {"TimePeriod": span(months, self._now), "Granularity": "MONTHLY"}
        yield self._merged(self._savings_plans(request))
        for name in self._config.reserved:
            only = {"Filter": {"Dimensions": {"Key": "SERVICE", "Values": [RESERVED[name]]}}}
            yield self._merged(self._reservations(name, {**request, **only}))

    def _savings_plans(self, request: Json) -> Iterator[Row]:
        for page in self._pages("GetSavingsPlansUtilization", "Savings Plans utilisation", request):
            for found in page.get("SavingsPlansUtilizationsByTime", ()):
                use = found.get("Utilization")
                yield {
                    **self._used("savings_plans", "all", "USD", found),
                    "committed": self._maybe(use, "TotalCommitment"),
                    "used": self._maybe(use, "UsedCommitment"), "unused": self._maybe(use, "UnusedCommitment"),
                    "utilisation_frac": self._amounts.fraction(use, "UtilizationPercentage"),
                    "net_savings": self._maybe(found.get("Savings"), "NetSavings"),
                }  # fmt: skip
        for page in self._pages("GetSavingsPlansCoverage", "Savings Plans coverage", request, "NextToken"):
            for found in page.get("SavingsPlansCoverages", ()):
                covered = found.get("Coverage")
                yield {
                    **self._used("savings_plans", "all", "USD", found),
                    "covered": self._maybe(covered, "SpendCoveredBySavingsPlans"),
                    "on_demand": self._maybe(covered, "OnDemandCost"),
                    "coverage_frac": self._amounts.fraction(covered, "CoveragePercentage"),
                }

    def _reservations(self, name: str, request: Json) -> Iterator[Row]:
        for page in self._pages("GetReservationUtilization", f"{name} reservations utilisation", request):
            for found in page.get("UtilizationsByTime", ()):
                use = found.get("Total")
                yield {
                    **self._used("reservations", name, "h", found), "committed": self._maybe(use, "PurchasedHours"),
                    "used": self._maybe(use, "TotalActualHours"), "unused": self._maybe(use, "UnusedHours"),
                    "utilisation_frac": self._amounts.fraction(use, "UtilizationPercentage"),
                    "net_savings": self._maybe(use, "NetRISavings"),
                }  # fmt: skip
        for page in self._pages("GetReservationCoverage", f"{name} reservations coverage", request):
            for found in page.get("CoveragesByTime", ()):
                hours = (found.get("Total") or {}).get("CoverageHours")
                yield {
                    **self._used("reservations", name, "h", found), "covered": self._maybe(hours, "ReservedHours"),
                    "on_demand": self._maybe(hours, "OnDemandHours"),
                    "coverage_frac": self._amounts.fraction(hours, "CoverageHoursPercentage"),
                }  # fmt: skip

    def _used(self, product_name: str, scope: str, unit: str, found: Mapping[str, Any]) -> Row:
        key = {"source": self._source, "account_id": self._account, "product": product_name, "scope": scope}
        return {**key, **_period(found["TimePeriod"]), "unit": unit}

    def _merged(self, rows: Iterable[Row]) -> Iterator[Row]:
        """Utilisation and coverage of one period in one row."""
        out: dict[datetime, Row] = {}
        for row in rows:
            out.setdefault(row["ts"], {}).update(row)
        yield from (out[ts] for ts in sorted(out))

    def _maybe(self, found: Mapping[str, Any] | None, key: str) -> Decimal | None:
        return self._amounts.maybe(found, key)

    # --- recommendations ----------------------------------------------------------------------------------------

    def _recommendations(self) -> Iterator[Iterable[Row]]:
        offers = self._config.recommend
        for kind, years, payment in product(offers.savings_plans, offers.terms_years, offers.payments):
            yield self._plans(kind, years, payment)
        for name, years, payment in product(self._config.reserved, offers.terms_years, offers.payments):
            yield self._reserved(name, years, payment)

    def _plans(self, kind: str, years: int, payment: str) -> Iterator[Row]:
        request = {"SavingsPlansType": kind.upper(), **self._offer(years, payment)}
        for page in self._pages("GetSavingsPlansPurchaseRecommendation", f"{kind}, {years} years, {payment}", request):
            found = page.get("SavingsPlansPurchaseRecommendation") or {}
            for detail in found.get("SavingsPlansPurchaseRecommendationDetails", ()):
                yield self._savings_plan(detail, kind, years, payment)

    def _reserved(self, name: str, years: int, payment: str) -> Iterator[Row]:
        request = {"Service": RESERVED[name], **self._offer(years, payment)}
        if name == "ec2":
            request["ServiceSpecification"] = {"EC2Specification": {"OfferingClass": "STANDARD"}}
        label = f"{name} reservations, {years} years, {payment}"
        for page in self._pages("GetReservationPurchaseRecommendation", label, request):
            for found in page.get("Recommendations", ()):
                for detail in found.get("RecommendationDetails", ()):
                    yield self._reservation(detail, name, years, payment)

    def _offer(self, years: int, payment: str) -> Json:
        return {
            "AccountScope": "PAYER",
            "TermInYears": _TERMS[years],
            "PaymentOption": payment.upper(),
            "LookbackPeriodInDays": _LOOKBACKS[self._config.recommend.lookback_days],
        }

    def _recommended(self, detail: Json, years: int, payment: str) -> Row:
        return {
            "source": self._source, "account_id": str(detail.get("AccountId") or self._account),
            "made_on": self._today, "term_years": years, "payment": payment,
            "lookback_days": self._config.recommend.lookback_days,
            "upfront": self._maybe(detail, "UpfrontCost"),
            "monthly_savings": self._maybe(detail, "EstimatedMonthlySavingsAmount"),
            "currency": str(detail.get("CurrencyCode") or "USD"),
        }  # fmt: skip

    def _savings_plan(self, detail: Json, kind: str, years: int, payment: str) -> Row:
        plan = detail.get("SavingsPlansDetails") or {}
        return {
            **self._recommended(detail, years, payment), "product": kind,
            "scope": str(plan.get("InstanceFamily") or "all"), "region": str(plan.get("Region") or ""),
            "hourly_commitment": self._maybe(detail, "HourlyCommitmentToPurchase"),
            "savings_frac": self._amounts.fraction(detail, "EstimatedSavingsPercentage"),
            "utilisation_frac": self._amounts.fraction(detail, "EstimatedAverageUtilization"),
        }  # fmt: skip

    def _reservation(self, detail: Json, name: str, years: int, payment: str) -> Row:
        words: Json = next(iter((detail.get("InstanceDetails") or {}).values()), {})
        count = self._maybe(detail, "RecommendedNumberOfInstancesToPurchase")
        return {
            **self._recommended(detail, years, payment), "product": "standard_ri" if name == "ec2" else f"{name}_ri",
            "scope": " ".join(str(words[w]) for w in _RESERVATION_WORDS if words.get(w)) or "all",
            "region": str(words.get("Region") or ""), "count": None if count is None else int(count),
            "savings_frac": self._amounts.fraction(detail, "EstimatedMonthlySavingsPercentage"),
            "utilisation_frac": self._amounts.fraction(detail, "AverageUtilization"),
        }  # fmt: skip


def _later(today: datetime, months: int, granularity: str) -> datetime:
    """The end of the forecast: so many months on, by month the current one being the first."""
    end = Month.of(today.date()).plus(months).start
    if granularity == "MONTHLY":
        return end
    last_day = (end.replace(day=28) + timedelta(days=4)).replace(day=1) - timedelta(days=1)
    return end.replace(day=min(today.day, last_day.day))


def _iso(moment: datetime) -> str:
    return moment.date().isoformat()


def _period(found: Mapping[str, str]) -> Row:
    """``ts`` and ``period_end``; Cost Explorer writes days, or times of day with a Z."""
    start, end = (datetime.fromisoformat(found[k].replace("Z", "+00:00")).replace(tzinfo=UTC) for k in ("Start", "End"))
    return {"ts": start, "period_end": end}
