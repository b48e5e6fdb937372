"""Commitments that are owned: Reserved Instances of EC2, RDS and ElastiCache, and Savings Plans.

Product words. The planner applies the first three, each where its machines are Linux on shared tenancy:

- ``standard_ri``, ``convertible_ri``: EC2; ``scope`` is the instance type, ``count`` instances.
- ``compute_sp_1y_no_upfront`` and so on, as the prices frame says them: any EC2 type and region.
- ``ec2_instance_sp_3y_all_upfront`` and so on: ``scope`` is the family.
- others keep a word of their own (``standard_ri_windows``, ``rds_ri``, ``elasticache_ri``, ``sagemaker_sp_...``).

``hourly_usd`` is what the commitment costs an hour, used or not: what recurs, and what was paid at once over the term.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar

import pyarrow as pa

from capacity.config import CommitmentSource
from capacity.errors import CapacityError, UsageError
from capacity.schemas import COMMITMENTS
from capacity.sources._protocol import Batch, Context, SourceInfo, Stored
from capacity.sources.aws._access import Access, Place
from capacity.sources.aws._calls import Failures, errors_of, pages
from capacity.sources.aws._fleet_read import PAGE, listed
from capacity.sources.aws._naming import some

# The longest page of DescribeSavingsPlans (API reference).
PLANS_PAGE = 1000
SECONDS_A_YEAR = 365 * 86_400
_LINUX = frozenset({"Linux/UNIX", "Linux/UNIX (Amazon VPC)"})
# Owned now, or paid for and to begin; anything else is over, whatever its end says.
_OWNED = frozenset({"active", "queued", "payment-pending", "pending-return"})
_PLANS = {"Compute": "compute_sp", "EC2Instance": "ec2_instance_sp"}
_APPLIED = ("standard_ri", "convertible_ri")
# The ids that AWS gives, by part: only rows under such an id are ended when AWS tells of them no more. EC2 reservations
# and Savings Plans have UUIDs; reservations of databases and caches have ARNs (their short ids are free words).
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$", re.IGNORECASE)
_IDS: Mapping[str, re.Pattern[str]] = {
    "reserved_instances": _UUID,
    "savings_plans": _UUID,
    "rds": re.compile(r"arn:[a-z-]+:rds:"),
    "elasticache": re.compile(r"arn:[a-z-]+:elasticache:"),
}


@dataclass
class _Rows:
    """Rows of one part of one account, and what was odd."""

    rows: list[dict[str, Any]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    odd: dict[str, list[str]] = field(default_factory=dict)

    def note(self, sentence: str, identity: str) -> None:
        self.odd.setdefault(sentence, []).append(identity)

    def all_notes(self) -> tuple[str, ...]:
        return (*self.notes, *(f"{len(ids)} {sentence} ({some(ids)})" for sentence, ids in self.odd.items()))


@dataclass(frozen=True)
class _Part:
    """One kind of commitment of one account; Savings Plans have no region of their own."""

    kind: str
    place: Place

    @property
    def label(self) -> str:
        where = self.place.account.label if self.kind == "savings_plans" else self.place.label
        return f"{self.kind.replace('_', ' ')} of {where}"


class CommitmentReader:
    """The commitments frame of every account.

    Raises
    ------
    UsageError
        The config has no such way into AWS.
    """

    info: ClassVar[SourceInfo] = SourceInfo(
        kind="aws_commitments",
        reads="Reserved Instances of EC2, RDS and ElastiCache, and Savings Plans, that are owned",
        frames=("commitments",),
        permissions=(
            "ec2:DescribeReservedInstances",
            "elasticache:DescribeReservedCacheNodes",
            "rds:DescribeReservedDBInstances",
            "savingsplans:DescribeSavingsPlans",
        ),
        price="free of charge",
        limits="100 reservations or 1,000 plans a page; EC2 hands over all reservations of a region at once",
        calls=(
            "ec2:DescribeReservedInstances",
            "elasticache:DescribeReservedCacheNodes",
            "rds:DescribeReservedDBInstances",
            "savingsplans:DescribeSavingsPlans (once an account)",
        ),
    )

    def __init__(self, config: CommitmentSource, context: Context) -> None:
        self.name = config.name
        self._config = config
        self._access = Access(context.access(config), config.name)

    def batches(self, since: datetime | None, now: datetime) -> Iterator[Batch]:
        """Everything that AWS tells, whatever a store may hold."""
        return self.proceed(lambda frame, filters: COMMITMENTS.schema.empty_table(), now)

    def proceed(self, stored: Stored, now: datetime) -> Iterator[Batch]:
        """As ``batches``; a stored commitment that is over before its end (returned, sold, exchanged) ends now.

        Raises
        ------
        DataError
            One line a failed account, region and call, after all that succeeded has been handed over.
        """
        if now.tzinfo is None:
            raise UsageError(f"source '{self.name}': now {now} has no zone")
        now = now.replace(minute=0, second=0, microsecond=0)
        before = {row["id"]: row for row in stored("commitments", ()).to_pylist()}
        failures = Failures()
        for part, found in self._access.each(self._parts(), self._read):
            if isinstance(found, CapacityError):
                failures.add(found)
                continue
            rows = _settled(found, part, before, now)
            table = pa.Table.from_pylist(
                [{**row, "sharing": row.get("sharing", self._config.sharing)} for row in rows],
                schema=COMMITMENTS.schema,
            )
            yield Batch("commitments", table, part.label, found.all_notes())
        failures.raise_if_any()

    def _parts(self) -> list[_Part]:
        places = self._access.places(self._config.accounts, self._config.regions)
        regional = [p for p in self._config.reads if p != "savings_plans"]
        out = [_Part(kind, place) for place in places for kind in regional]
        if "savings_plans" in self._config.reads:
            first: dict[str, Place] = {}
            for place in places:
                first.setdefault(place.account.account_id, place)
            out += [_Part("savings_plans", place) for place in first.values()]
        return out

    def _read(self, part: _Part) -> _Rows:
        readers: Mapping[str, Callable[[Access, Place], _Rows]] = {
            "reserved_instances": _instances,
            "rds": _databases,
            "elasticache": _caches,
            "savings_plans": _plans,
        }
        return readers[part.kind](self._access, part.place)


def _settled(found: _Rows, part: _Part, before: Mapping[str, dict[str, Any]], now: datetime) -> list[dict[str, Any]]:
    """Rows of what is owned; what is over early keeps the end that the store has, or ends now if it had none yet."""
    out, over = [], []
    for row in found.rows:
        owned = row.pop("state") in _OWNED
        known = before.get(row["id"])
        if owned and row["end"] > now:
            out.append(row)
        elif known is not None and (known["count"] == 0 or row["start"] >= now):
            over += [row["id"]] if known["count"] else []
            out.append(_never(known, now) if known["count"] else known)
        elif known is not None:
            end = min(row["end"], known["end"], now)
            over += [row["id"]] if end == now else []
            out.append({**row, "end": end})
        # One that is over, and was never seen while it was owned, says nothing of any plan.
    told = {row["id"] for row in found.rows}
    for row in before.values():
        if _belongs(row, part) and row["id"] not in told and row["end"] > now:
            over.append(row["id"])
            out.append({**row, "end": now} if row["start"] < now else _never(row, now))
    if over:
        found.notes.append(f"{len(over)} commitment(s) ended before their term ({some(over)})")
    return out


def _never(row: Mapping[str, Any], now: datetime) -> dict[str, Any]:
    """A stored commitment that is cancelled before it began: it is there from now to now, and counts nothing."""
    return {**row, "hourly_usd": 0.0, "count": 0, "start": now, "end": now}


def _belongs(row: Mapping[str, Any], part: _Part) -> bool:
    """Whether a stored row is of this part: told by its product, account and region, and by an id such as AWS gives.

    Other sources give commitments too (planned purchases, say), under ids of their own: these are never ended here.
    """
    if row["account_id"] != part.place.account.account_id or not _IDS[part.kind].match(str(row["id"])):
        return False
    product = str(row["product"])
    if part.kind == "savings_plans":
        return "_sp" in product
    words = {"rds": "rds_ri", "elasticache": "elasticache_ri"}
    kind = words.get(part.kind)
    own = product == kind if kind else product.startswith(("standard_ri", "convertible_ri"))
    return own and row["region"] == part.place.region


# --- Reserved Instances ------------------------------------------------------------------------------------------


def _instances(access: Access, place: Place) -> _Rows:
    client = access.client("ec2", place.account, place.region)
    with errors_of("ec2:DescribeReservedInstances", access.source, place.label):
        found = client.describe_reserved_instances()["ReservedInstances"]
    out = _Rows()
    for raw in found:
        _instance(out, raw, place)
    return out


def _instance(out: _Rows, raw: Mapping[str, Any], place: Place) -> None:
    identity, product = str(raw["ReservedInstancesId"]), _ri_product(raw)
    if _foreign(out, raw, identity):
        return
    if product not in _APPLIED:
        out.note("reservation(s) are not for Linux on shared tenancy and are not applied to plans", identity)
    elif raw.get("Scope") == "Availability Zone":
        out.note("reservation(s) hold in one zone only, and are planned for all zones of the region", identity)
    elif not str(raw["InstanceType"]).endswith(".metal"):
        out.note("reservation(s) cover other sizes of their family too, and are planned for their own only", identity)
    out.rows.append(
        _ri_row(
            raw, identity, place, product=product, scope=str(raw["InstanceType"]),
            count=int(raw["InstanceCount"]), start=raw["Start"], end=raw["End"],
        )
    )  # fmt: skip


def _ri_product(raw: Mapping[str, Any]) -> str:
    """standard_ri or convertible_ri; with what sets it apart where it is not for Linux on shared tenancy."""
    offered = str(raw.get("OfferingClass") or "standard")
    words = [f"{offered}_ri"]
    platform = str(raw.get("ProductDescription") or "Linux/UNIX")
    if platform not in _LINUX:
        words.append(_word(platform.replace("(Amazon VPC)", "")))
    if str(raw.get("InstanceTenancy") or "default") != "default":
        words.append(_word(str(raw["InstanceTenancy"])))
    return "_".join(words)


def _databases(access: Access, place: Place) -> _Rows:
    found = listed(
        access, place, "rds", "describe_reserved_db_instances", "rds:DescribeReservedDBInstances",
        "ReservedDBInstances", PAGE,
    )  # fmt: skip
    out = _Rows()
    for raw in found:
        zones = ", Multi-AZ" if raw.get("MultiAZ") else ""
        _other(
            out, raw, place, "rds_ri", str(raw.get("ReservedDBInstanceArn") or raw["ReservedDBInstanceId"]),
            f"{raw['DBInstanceClass']} {raw.get('ProductDescription') or ''}".strip() + zones,
            int(raw["DBInstanceCount"]),
        )  # fmt: skip
    return out


def _caches(access: Access, place: Place) -> _Rows:
    found = listed(
        access, place, "elasticache", "describe_reserved_cache_nodes", "elasticache:DescribeReservedCacheNodes",
        "ReservedCacheNodes", PAGE,
    )  # fmt: skip
    out = _Rows()
    for raw in found:
        _other(
            out, raw, place, "elasticache_ri", str(raw.get("ReservationARN") or raw["ReservedCacheNodeId"]),
            f"{raw['CacheNodeType']} {raw.get('ProductDescription') or ''}".strip(), int(raw["CacheNodeCount"]),
        )  # fmt: skip
    return out


def _other(
    out: _Rows, raw: Mapping[str, Any], place: Place, product: str, identity: str, scope: str, count: int
) -> None:
    """A reservation of a service that plans have no machines of."""
    if _foreign(out, raw, identity):
        return
    out.note(f"{product} reservation(s) are kept, and not applied to plans", identity)
    start = raw["StartTime"]
    end = start + timedelta(seconds=int(raw["Duration"]))
    out.rows.append(_ri_row(raw, identity, place, product=product, scope=scope, count=count, start=start, end=end))


def _foreign(out: _Rows, raw: Mapping[str, Any], identity: str) -> bool:
    """The frame counts dollars; other currencies are told, never converted."""
    if str(raw.get("CurrencyCode") or raw.get("currency") or "USD") == "USD":
        return False
    out.note("commitment(s) are not in USD and are left out", identity)
    return True


def _ri_row(raw: Mapping[str, Any], identity: str, place: Place, **rest: Any) -> dict[str, Any]:
    hours = int(raw.get("Duration") or 0) / 3600 or 1.0
    recurring = sum(
        float(c.get("Amount", c.get("RecurringChargeAmount", 0.0)))
        for c in raw.get("RecurringCharges") or ()
        if str(c.get("Frequency", c.get("RecurringChargeFrequency", "Hourly"))) == "Hourly"
    )
    each = float(raw.get("FixedPrice") or 0.0) / hours + recurring
    return {
        "id": identity,
        "account_id": place.account.account_id,
        "region": place.region,
        "hourly_usd": each * int(rest["count"]),
        "state": str(raw.get("State") or "active"),
        **rest,
    }


# --- Savings Plans -----------------------------------------------------------------------------------------------


def _plans(access: Access, place: Place) -> _Rows:
    client = access.client("savingsplans", place.account, place.region)
    out = _Rows()
    with errors_of("savingsplans:DescribeSavingsPlans", access.source, place.account.label):
        for page in pages(client.describe_savings_plans, {"maxResults": PLANS_PAGE}, "nextToken"):
            for raw in page.get("savingsPlans") or ():
                _plan(out, raw, place)
    return out


def _plan(out: _Rows, raw: Mapping[str, Any], place: Place) -> None:
    identity, kind = str(raw["savingsPlanId"]), str(raw["savingsPlanType"])
    if _foreign(out, raw, identity):
        return
    if not raw.get("start") or not raw.get("end"):  # bought, not paid for yet
        out.note("Savings Plan(s) have no start yet and are left out", identity)
        return
    base = _PLANS.get(kind)
    if base is None:
        out.note(f"Savings Plan(s) for {kind} are kept, and not applied to plans", identity)
    instance = base == "ec2_instance_sp"
    years = round(int(raw.get("termDurationInSeconds") or 0) / SECONDS_A_YEAR) or 1
    out.rows.append(
        {
            "id": identity,
            "account_id": place.account.account_id,
            "product": f"{base or _word(kind) + '_sp'}_{years}y_{_word(str(raw.get('paymentOption') or ''))}",
            "scope": str(raw.get("ec2InstanceFamily") or "") if instance else "",
            "region": str(raw.get("region") or "") if instance else "",
            "hourly_usd": float(raw["commitment"]),
            "count": 1,
            "start": _moment(str(raw["start"])),
            "end": _moment(str(raw["end"])),
            "state": str(raw["state"]),
        }
    )


def _moment(text: str) -> datetime:
    at = datetime.fromisoformat(text.replace("Z", "+00:00"))
    return at if at.tzinfo else at.replace(tzinfo=UTC)


def _word(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", "_", text.lower()).strip("_")
