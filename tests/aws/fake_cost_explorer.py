"""A stand-in for Cost Explorer over a ledger of charges, with the limits of the real one.

Two groupings at most, ends exclusive, 14 months back, tokens for the same request only, pages of so many groups,
amounts as decimal text, and no data for what is too young.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

from tests.aws.standin import AwsError, Call, Handler, StandIn

METRICS = ("UnblendedCost", "AmortizedCost", "NetUnblendedCost", "NetAmortizedCost")
GROUPS = {"LINKED_ACCOUNT": "account", "SERVICE": "service", "RECORD_TYPE": "record_type", "REGION": "region"}
FORECAST_DAYS, FORECAST_MONTHS = 93, 18  # the longest three months have 92 days


@dataclass(frozen=True)
class Charge:
    """What one account was charged on one day."""

    day: date
    account: str
    service: str
    record_type: str
    amounts: tuple[Decimal, Decimal, Decimal, Decimal]  # as METRICS
    region: str = "us-east-1"

    def dimension(self, key: str) -> str:
        if key == "team":  # a tag: key$value, without a value where there is none
            return f"team${'' if self.service.endswith('0') else 'shop'}"
        if key not in GROUPS:
            raise AwsError("ValidationException", f"{key} is not a dimension here")
        return str(getattr(self, GROUPS[key]))


def charge(
    day: date,
    account: str,
    service: str,
    record_type: str,
    billed: Decimal | str,
    amortised: Decimal | str | None = None,
    net: Decimal | str | None = None,
) -> Charge:
    """A charge whose net amounts are the plain ones, unless ``net`` says otherwise."""
    unblended = Decimal(billed)
    accrued = unblended if amortised is None else Decimal(amortised)
    net_unblended = unblended if net is None else Decimal(net)
    net_accrued = accrued if net is None else Decimal(net)
    return Charge(day, account, service, record_type, (unblended, accrued, net_unblended, net_accrued))


@dataclass
class CostExplorer:
    """The service of one organization.

    Attributes
    ----------
    today
        The service's own clock.
    page_groups
        Groups a page.
    young
        Operations that answer DataUnavailableException.
    """

    today: date
    ledger: list[Charge] = field(default_factory=list)
    page_groups: int = 5000
    young: set[str] = field(default_factory=set)
    names: dict[str, str] = field(default_factory=dict)
    tokens: dict[str, tuple[str, int]] = field(default_factory=dict)
    sums: dict[str, list[Any]] = field(default_factory=dict)
    net: bool = True

    def attach(self, aws: StandIn) -> CostExplorer:
        """Answer all Cost Explorer operations of ``aws``."""
        operations: dict[str, Handler] = {
            "GetCostAndUsage": self.cost_and_usage,
            "GetCostForecast": self.forecast,
            "GetSavingsPlansUtilization": lambda c: self.by_month(
                c, "SavingsPlansUtilizationsByTime", savings_plan_use
            ),
            "GetSavingsPlansCoverage": self.plan_coverage,
            "GetReservationUtilization": lambda c: self.by_month(c, "UtilizationsByTime", reservation_use),
            "GetReservationCoverage": lambda c: self.by_month(c, "CoveragesByTime", reservation_coverage),
            "GetSavingsPlansPurchaseRecommendation": plan_offers,
            "GetReservationPurchaseRecommendation": reservation_offers,
        }
        for name, answer in operations.items():
            aws.on("ce", name, self._guarded(name, answer))
        return self

    def _guarded(self, name: str, answer: Handler) -> Handler:
        def run(call: Call) -> Mapping[str, Any] | bytes:
            if name in self.young:
                raise AwsError("DataUnavailableException", "not enough data")
            return answer(call)

        return run

    # --- cost and usage -----------------------------------------------------------------------------------------

    def cost_and_usage(self, call: Call) -> bytes:
        request = {k: v for k, v in call.params.items() if k != "NextPageToken"}
        keys, start, end = self._checked(request)
        digest = hashlib.sha256(json.dumps(request, sort_keys=True).encode()).hexdigest()
        if call.params.get("NextPageToken") is None or digest not in self.sums:
            self.sums[digest] = list(self._groups(request, keys, start, end))
        entries = self.sums[digest]
        first = self._offset(digest, call.params.get("NextPageToken"))
        out: dict[str, Any] = {
            "GroupDefinitions": request.get("GroupBy", []),
            "ResultsByTime": self._results(entries, first, request["Granularity"], start, end),
            "DimensionValueAttributes": [
                {"Value": k, "Attributes": {"description": v}}
                for k, v in self.names.items()
                if "LINKED_ACCOUNT" in keys
            ],
        }
        if first + self.page_groups < len(entries):
            token = f"{digest[:20]}-{first + self.page_groups}"
            self.tokens[token] = (digest, first + self.page_groups)
            out["NextPageToken"] = token
        return json.dumps(out).encode()

    def _checked(self, request: Mapping[str, Any]) -> tuple[list[str], date, date]:
        groups = request.get("GroupBy", [])
        if len(groups) > 2:
            raise AwsError("ValidationException", "at most 2 groups")
        if not request.get("Metrics") or set(request["Metrics"]) - set(METRICS):
            raise AwsError("ValidationException", "unknown metrics")
        if request["Granularity"] not in ("DAILY", "MONTHLY"):
            raise AwsError("ValidationException", "hourly data is not enabled")
        start, end = self._period(request)
        return [g["Key"] for g in groups], start, end

    def _period(self, request: Mapping[str, Any]) -> tuple[date, date]:
        texts = [request["TimePeriod"][k] for k in ("Start", "End")]
        if any(len(t) != 10 for t in texts):
            raise AwsError("ValidationException", "dates are written yyyy-MM-dd")
        start, end = (date.fromisoformat(t) for t in texts)
        if not start < end or end > self.today + timedelta(days=1):
            raise AwsError("ValidationException", "Start date (and hour) should be before end date (and hour)")
        if start < _months_back(self.today, 14):
            raise AwsError("ValidationException", "You haven't enabled historical data beyond 14 months")
        return start, end

    def _groups(
        self, request: Mapping[str, Any], keys: list[str], start: date, end: date
    ) -> Iterator[tuple[date, tuple[str, ...], list[Decimal]]]:
        sums: dict[tuple[date, tuple[str, ...]], list[Decimal]] = {}
        kept = request.get("Filter")
        for c in self.ledger:
            if not start <= c.day < end or (kept and not _matches(kept, c)):
                continue
            period = c.day if request["Granularity"] == "DAILY" else max(c.day.replace(day=1), start)
            key = (period, tuple(c.dimension(k) for k in keys))
            before = sums.get(key)
            sums[key] = [a + b for a, b in zip(before, c.amounts, strict=True)] if before else list(c.amounts)
        for (period, group), amounts in sorted(sums.items()):
            yield period, group, amounts

    def _results(
        self, entries: list[Any], first: int, granularity: str, start: date, end: date
    ) -> list[dict[str, Any]]:
        page: dict[date, list[dict[str, Any]]] = {} if entries else {start: []}
        for period, group, amounts in entries[first : first + self.page_groups]:
            metrics = {m: {"Amount": _spelt(a), "Unit": "USD"} for m, a in zip(METRICS, amounts, strict=True)}
            if not self.net:
                metrics = {m: v for m, v in metrics.items() if not m.startswith("Net")}
            page.setdefault(period, []).append({"Keys": list(group), "Metrics": metrics})
        return [
            {
                "TimePeriod": {"Start": p.isoformat(), "End": _period_end(p, granularity, end).isoformat()},
                "Total": {},
                "Groups": groups,
                "Estimated": p >= _months_back(self.today.replace(day=1), 1),
            }
            for p, groups in page.items()
        ]

    def _offset(self, digest: str, token: str | None) -> int:
        if token is None:
            return 0
        if token not in self.tokens:
            raise AwsError("InvalidNextTokenException", "unknown token")
        asked, offset = self.tokens[token]
        if asked != digest:
            raise AwsError("RequestChangedException", "the token belongs to another request")
        return offset

    # --- the others ---------------------------------------------------------------------------------------------

    def forecast(self, call: Call) -> Mapping[str, Any]:
        params = call.params
        start, end = (date.fromisoformat(params["TimePeriod"][k]) for k in ("Start", "End"))
        daily = params["Granularity"] == "DAILY"
        last = self.today + timedelta(days=FORECAST_DAYS) if daily else _months_back(self.today, -FORECAST_MONTHS)
        if start > self.today or end > last or not 51 <= params.get("PredictionIntervalLevel", 80) <= 99:
            raise AwsError("ValidationException", "out of bounds")
        if not params["Metric"].endswith("_COST"):
            raise AwsError("ValidationException", "unknown metric")
        points, day = [], start
        while day < end:
            after = min(_period_end(day, params["Granularity"], end), end)
            mean = Decimal("10.5") * (after - day).days
            low, high = mean * Decimal("0.9"), mean * Decimal("1.1")
            points.append({
                "TimePeriod": {"Start": day.isoformat(), "End": after.isoformat()}, "MeanValue": _spelt(mean),
                "PredictionIntervalLowerBound": _spelt(low), "PredictionIntervalUpperBound": _spelt(high),
            })  # fmt: skip
            day = after
        return {"Total": {"Amount": "1", "Unit": "USD"}, "ForecastResultsByTime": points}

    def by_month(self, call: Call, key: str, what: Callable[[Call], Mapping[str, Any]]) -> Mapping[str, Any]:
        """One entry a month of the period, which ends at today at the latest."""
        start, end = self._period(call.params)
        if end > self.today or call.params["Granularity"] != "MONTHLY":
            raise AwsError("ValidationException", "future dates cannot be an end")
        out, day = [], start
        while day < end:
            after = _period_end(day, "MONTHLY", end)
            out.append({"TimePeriod": {"Start": day.isoformat(), "End": after.isoformat()}, **what(call)})
            day = after
        total = what(call) if key.startswith("Savings") else {}
        return {key: out, **({"Total": total} if total else {})}

    def plan_coverage(self, call: Call) -> Mapping[str, Any]:
        """Pages of 5 months."""
        request = {**call.params, "Granularity": call.params["Granularity"]}
        months = self.by_month(Call("ce", call.operation, request, call.account_id, call.region), "all", plan_covered)
        token = call.params.get("NextToken")
        first = int(token.removeprefix("months-")) if token else 0
        out: dict[str, Any] = {"SavingsPlansCoverages": months["all"][first : first + 5]}
        if first + 5 < len(months["all"]):
            out["NextToken"] = f"months-{first + 5}"
        return out


def savings_plan_use(call: Call) -> Mapping[str, Any]:
    use = {
        "TotalCommitment": "720.0000000001", "UsedCommitment": "648", "UnusedCommitment": "72.0000000001",
        "UtilizationPercentage": "90",
    }  # fmt: skip
    return {"Utilization": use, "Savings": {"NetSavings": "100.5", "OnDemandCostEquivalent": "748.5"}}


def plan_covered(call: Call) -> Mapping[str, Any]:
    covered = {"SpendCoveredBySavingsPlans": "748.5", "OnDemandCost": "251.5", "TotalCost": "1000"}
    return {"Coverage": {**covered, "CoveragePercentage": "74.85"}}


def reservation_use(call: Call) -> Mapping[str, Any]:
    hours = {"PurchasedHours": "1440", "TotalActualHours": "1080", "UnusedHours": "360", "NetRISavings": "-3.25"}
    return {"Groups": [], "Total": {**hours, "UtilizationPercentage": "75"}}


def reservation_coverage(call: Call) -> Mapping[str, Any]:
    hours = {"OnDemandHours": "120", "ReservedHours": "1080", "TotalRunningHours": "1200"}
    return {"Groups": [], "Total": {"CoverageHours": {**hours, "CoverageHoursPercentage": "90"}}}


def plan_offers(call: Call) -> Mapping[str, Any]:
    params = call.params
    if params["LookbackPeriodInDays"] not in ("SEVEN_DAYS", "THIRTY_DAYS", "SIXTY_DAYS"):
        raise AwsError("ValidationException", "no such lookback")
    family = "m7g" if params["SavingsPlansType"] == "EC2_INSTANCE_SP" else ""
    detail = {
        "SavingsPlansDetails": {"Region": "us-east-1" if family else "", "InstanceFamily": family, "OfferingId": "o"},
        "AccountId": call.account_id, "UpfrontCost": "0", "CurrencyCode": "USD", "HourlyCommitmentToPurchase": "1.234",
        "EstimatedAverageUtilization": "97.5", "EstimatedMonthlySavingsAmount": "210.12",
        "EstimatedSavingsPercentage": "21",
    }  # fmt: skip
    return {"SavingsPlansPurchaseRecommendation": {"SavingsPlansPurchaseRecommendationDetails": [detail]}}


def reservation_offers(call: Call) -> Mapping[str, Any]:
    """Two reservations, one a page; RDS has no three years without upfront."""
    if "Relational" in call.params["Service"] and call.params["TermInYears"] == "THREE_YEARS":
        return {"Recommendations": []}
    second = call.params.get("NextPageToken") == "second"
    if "Relational" in call.params["Service"]:
        details = {
            "RDSInstanceDetails": {"InstanceType": "db.r6g.large", "Region": "eu-west-1", "DatabaseEngine": "MySQL"}
        }
    else:
        kind = "m6i.large" if second else "c6i.large"
        details = {"EC2InstanceDetails": {"InstanceType": kind, "Region": "us-east-1", "Platform": "Linux/UNIX"}}
    detail = {
        "AccountId": call.account_id, "InstanceDetails": details, "RecommendedNumberOfInstancesToPurchase": "3",
        "AverageUtilization": "99", "CurrencyCode": "USD", "EstimatedMonthlySavingsAmount": "42.42",
        "EstimatedMonthlySavingsPercentage": "30", "UpfrontCost": "0",
    }  # fmt: skip
    more = {} if second or "Relational" in call.params["Service"] else {"NextPageToken": "second"}
    return {"Recommendations": [{"RecommendationDetails": [detail]}], **more}


def _matches(expression: Mapping[str, Any], found: Charge) -> bool:
    if "And" in expression:
        return all(_matches(e, found) for e in expression["And"])
    if "Not" in expression:
        return not _matches(expression["Not"], found)
    return found.dimension(expression["Dimensions"]["Key"]) in expression["Dimensions"]["Values"]


def _spelt(value: Decimal) -> str:
    """As Cost Explorer writes it: no exponent for what is large, one for what is tiny."""
    return format(value, "f") if abs(value) >= Decimal("1e-6") or not value else f"{value:E}"


def _months_back(day: date, months: int) -> date:
    index = day.year * 12 + day.month - 1 - months
    first = date(index // 12, index % 12 + 1, 1)
    last = (first.replace(day=28) + timedelta(days=4)).replace(day=1) - timedelta(days=1)
    return first.replace(day=min(day.day, last.day))


def _period_end(day: date, granularity: str, end: date) -> date:
    return day + timedelta(days=1) if granularity == "DAILY" else min(_months_back(day.replace(day=1), -1), end)
