"""AWS Cost and Usage Reports, legacy (``lineItem/UsageType``) and 2.0 (``line_item_usage_type``, maps), as FOCUS rows.

The sum of BilledCost is the sum of the unblended cost, exactly (of the net unblended cost where a row has one). The
rules and where they come from stand in ``_cur_rules``.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from typing import ClassVar

import pyarrow as pa
import pyarrow.compute as pc

from capacity.config import CurSource
from capacity.errors import CorruptDataError
from capacity.schemas import COST, COST_MONEY, COST_QUANTITY, MONEY
from capacity.sources import _convert
from capacity.sources._protocol import Context, SourceInfo
from capacity.sources._tabular import Block, TabularFile
from capacity.sources.bills import _cur_amounts, _cur_rules, _rows
from capacity.sources.bills._cur_lines import Lines
from capacity.sources.bills._names import plain
from capacity.sources.bills._source import Bills, Translator

_TEXT = pa.string()


class CurFilesSource(Bills):
    """AWS reports from CSV, gzip and Parquet files, in a folder or on S3."""

    info: ClassVar[SourceInfo] = SourceInfo(
        kind="aws_cur",
        reads=(
            "AWS Cost and Usage Reports, legacy and 2.0: CSV, .csv.gz or Parquet; a file, a folder, a glob or "
            "s3://bucket/prefix; by their manifests, only complete ones; mapped to FOCUS"
        ),
        frames=("cost",),
        permissions=("s3:ListBucket", "s3:GetObject"),
        price="from a folder nothing; from S3 $.0050 a 1,000 listings, $.0004 a 1,000 objects, and traffic out of AWS",
        limits="amounts below 1e26 with at most 12 decimals; sizes by 'limits' of the source; no .zip",
        calls=("s3:ListObjectsV2, one a 1,000 objects", "s3:GetObject, one a new file"),
    )

    def __init__(self, config: CurSource, context: Context) -> None:
        super().__init__(config, context)
        self.reading = config.excess_decimals
        self._exact = config.excess_decimals == "refuse"

    def translator(self, file: TabularFile, label: str, notes: _convert.Notes) -> Translator:
        return CurRows(self.name, file, label, notes, self._exact)


@dataclass
class CurRows:
    """One report file on its way to the cost table."""

    source: str
    file: TabularFile
    label: str
    notes: _convert.Notes
    exact: bool
    given: dict[str, str] = field(init=False)
    tags: tuple[str, ...] = field(init=False)

    def __post_init__(self) -> None:
        header = self.file.header()
        by_plain = {plain(n): n for n in header}
        wanted = {c for names in (*_cur_rules.TEXT.values(), *_cur_rules.TIMES.values()) for c in names}
        wanted |= {*_cur_rules.REQUIRED, *_cur_rules.OTHERS}
        self.given = {c: by_plain[plain(c)] for c in wanted if plain(c) in by_plain}
        self.tags = tuple(n for n in header if n.startswith(_cur_rules.TAG_COLUMNS))
        missing = sorted(c for c in _cur_rules.REQUIRED if c not in self.given)
        if missing:
            raise CorruptDataError(
                f"{self.file.called}:1: no column {', '.join(missing)}; is this an AWS Cost and Usage Report?"
            )
        if _cur_rules.NET_UNBLENDED in self.given:
            self.notes.add("BilledCost is the net unblended cost where the report has it")

    @property
    def columns(self) -> Collection[str]:
        return {*self.given.values(), *self.tags}

    def table(self, block: Block) -> pa.Table:
        """The block's rows, then a row for each commitment that went unused in it."""
        lines = Lines(block, self.given, self.tags, self.file, self.notes)
        arrays = self._texts(lines) | lines.times() | _cur_amounts.columns(lines, exact=self.exact)
        arrays |= {c: pa.nulls(lines.rows, COST.schema.field(c).type) for c in COST.columns if c not in arrays}
        _rows.refuse_nulls(arrays, self.file, block.first_row)
        _rows.refuse_odd_period(arrays, self.file, block.first_row)
        main = pa.table([arrays[c] for c in COST.columns], schema=COST.schema)
        unused = _unused(main, lines)
        return pa.concat_tables([main, unused]).combine_chunks() if unused.num_rows else main

    def _texts(self, lines: Lines) -> dict[str, pa.Array]:
        out = {name: lines.text(*columns) for name, columns in _cur_rules.TEXT.items()}
        for name, key in _cur_rules.PRODUCT_KEYS.items():
            out[name] = lines.with_product(out[name], key)
        resource = out["ResourceId"]
        return (
            out
            | self._fixed(lines.rows)
            | _charge(lines, self.notes)
            | {
                "ServiceCategory": _convert.by_unique(
                    out["ServiceName"], lambda v: _cur_rules.service_categories().get(v, "Other"), _TEXT, "a product"
                ),
                "ResourceName": _convert.by_unique(resource, lambda v: _of_arn(v)[1], _TEXT, "a resource"),
                "ResourceType": _convert.by_unique(resource, lambda v: _of_arn(v)[0], _TEXT, "a resource"),
                "ConsumedUnit": lines.where(lines.is_use, out["PricingUnit"]),
                "Tags": lines.tags(),
                **_commitment(lines, out),
            }
        )

    def _fixed(self, rows: int) -> dict[str, pa.Array]:
        fixed = {"source": self.source, "file": self.label, "ProviderName": "AWS"}
        return {name: pa.repeat(pa.scalar(value), rows) for name, value in fixed.items()}


def _charge(lines: Lines, notes: _convert.Notes) -> dict[str, pa.Array]:
    """ChargeCategory, ChargeFrequency, ChargeClass and PricingCategory by line item type."""
    for kind in lines.kinds_present:
        if _cur_rules.charge(kind) == _cur_rules.UNKNOWN:
            notes.add(f"line item type '{kind[:60]}' is not known: kept as Adjustment")
    refund = lines.of(_cur_rules.REFUND)
    committed = lines.of(_cur_rules.COVERED, _cur_rules.RESERVED, _cur_rules.NEGATION)
    spot = pc.fill_null(pc.match_substring(lines.text("line_item_usage_type"), "SpotUsage"), False)
    usage_or_fee = pc.or_(lines.is_category("Usage"), lines.is_category("Purchase"))
    pricing = pc.if_else(committed, "Committed", pc.if_else(spot, "Dynamic", "Standard"))
    return {
        "ChargeCategory": lines.by_kind(lambda k: _cur_rules.charge(k)[0]),
        "ChargeFrequency": lines.by_kind(lambda k: _cur_rules.charge(k)[1]),
        "ChargeClass": pc.if_else(refund, "Correction", pa.scalar(None, _TEXT)),
        "PricingCategory": lines.where(usage_or_fee, pricing),
    }


def _commitment(lines: Lines, texts: dict[str, pa.Array]) -> dict[str, pa.Array]:
    """The columns CommitmentDiscount… that are text: of covered usage, its negation, and fees."""
    plan, reservation = lines.plan, lines.reservation
    covered = lines.of(_cur_rules.COVERED, _cur_rules.RESERVED, _cur_rules.NEGATION)
    null = pa.scalar(None, _TEXT)
    unit = pc.if_else(lines.has_normalised, "Normalized units", texts["PricingUnit"])
    return {
        "CommitmentDiscountId": pc.coalesce(plan, reservation),
        "CommitmentDiscountCategory": pc.if_else(
            pc.is_valid(plan), "Spend", pc.if_else(pc.is_valid(reservation), "Usage", null)
        ),
        "CommitmentDiscountType": pc.if_else(
            pc.is_valid(plan), "Savings Plan", pc.if_else(pc.is_valid(reservation), "Reserved Instance", null)
        ),
        "CommitmentDiscountStatus": lines.where(
            pc.and_(covered, pc.or_(pc.is_valid(plan), pc.is_valid(reservation))), pa.scalar("Used")
        ),
        "CommitmentDiscountUnit": pc.if_else(
            pc.is_valid(plan), texts["BillingCurrency"], pc.if_else(pc.is_valid(reservation), unit, null)
        ),
    }


def _unused(main: pa.Table, lines: Lines) -> pa.Table:
    """Usage rows of what was paid for and not used, made from the fees that carry it; a fee without an id keeps it."""
    amount = _cur_amounts.unused(lines)
    wanted = pc.and_(pc.not_equal(amount, pa.scalar(0, MONEY)), pc.is_valid(lines.commitment))
    if not pc.any(wanted).as_py():
        return main.schema.empty_table()
    rows, cost = main.filter(wanted), amount.filter(wanted)
    quantity = _cur_amounts.unused_quantity(lines, amount).filter(wanted)
    new: dict[str, pa.Array | str | None] = dict.fromkeys((*COST_QUANTITY, "ConsumedUnit", "ChargeClass"))
    new |= dict.fromkeys(COST_MONEY, cost) | {"BilledCost": pa.repeat(pa.scalar(0, MONEY), rows.num_rows)}
    new |= {"ChargeCategory": "Usage", "ChargeFrequency": "Usage-Based", "PricingCategory": "Committed"}
    new |= {"CommitmentDiscountStatus": "Unused", "CommitmentDiscountQuantity": quantity}
    for name, value in new.items():
        kind = COST.schema.field(name)
        array = value if isinstance(value, pa.Array) else pa.repeat(pa.scalar(value, kind.type), rows.num_rows)
        rows = rows.set_column(rows.column_names.index(name), kind, array)
    return rows


def _of_arn(value: str) -> tuple[str | None, str | None]:
    """Type and name of ``arn:partition:service:region:account:type/id`` or ``…:type:name``; of other ids neither."""
    parts = value.split(":")
    if len(parts) < 6 or parts[0] != "arn":
        return None, None
    kind, slash, _ = parts[5].partition("/")
    if slash:
        return kind, None
    return (parts[5], parts[6]) if len(parts) > 6 else (None, None)
