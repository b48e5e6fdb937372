"""Billing files: in a folder or on S3, FOCUS or AWS CUR, and how much of them is read before they are refused."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from capacity.config._base import Model, Name

_GIB = 2**30
# Exporters split a delivery into files of at most some hundred MiB; a file of 8 GiB is no billing file.
FILE_BYTES = 8 * _GIB
# 5,000,000 rows are 3 to 4 GiB of text: room for ten times the largest bill that the tool is measured with.
EXPANDED_BYTES = 64 * _GIB
# Real bills shrink 10 to 40 times; gzip cannot pass 1,032, and what comes near it is made to.
EXPANSION_RATIO = 200
# FOCUS has some 65 columns; an older AWS report has one for each tag key and product attribute, some hundred.
COLUMNS = 2_000
# The longest sound cells are tags: 50 keys and values of 128 and 256 characters are some 20 KiB of JSON.
CELL_BYTES = 65_536
# A block of 131,072 rows of a real bill is some 100 MB: five times that, and memory stays bounded.
BLOCK_BYTES = 512 * 2**20
# Writers cut row groups at 100,000 to 1,000,000 rows: 10,000 of them are more rows than any bill has.
ROW_GROUPS = 10_000
# A year of daily runs in parts is some thousand objects; a prefix with more is not a delivery of bills.
FILES = 100_000

_BUCKET = re.compile(r"^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$")  # naming rules of general purpose buckets


def _place(value: str) -> str:
    """A path, or ``s3://bucket/prefix`` without wildcards and without steps upwards."""
    if "://" not in value:
        return value
    scheme, _, rest = value.partition("://")
    bucket, _, key = rest.partition("/")
    if scheme != "s3":
        raise ValueError(f"'{scheme}://' cannot be read; give a folder, a file, a glob or s3://bucket/prefix")
    if not _BUCKET.match(bucket) or ".." in bucket:
        raise ValueError(f"'{bucket[:80]}' is no name of a bucket; write s3://bucket/prefix")
    if any(c in key for c in "*?[\\") or any(p in ("..", ".") for p in key.split("/")) or "//" in key:
        raise ValueError("a prefix on S3 holds no wildcard, no '..' and no empty part; everything below it is read")
    return value


# Amounts are kept with 12 decimals. Text with more cannot be kept as it is; a binary float is always read rounded.
ExcessDecimals = Literal["refuse", "round"]
BillPlace = Annotated[str, AfterValidator(_place)]


class BillLimits(Model):
    """A billing file is untrusted input: what goes beyond one of these is refused, never read on."""

    file_bytes: int = Field(FILE_BYTES, ge=1, description="a file as it is stored")
    expanded_bytes: int = Field(EXPANDED_BYTES, ge=1, description="a file after decompression")
    expansion_ratio: int = Field(EXPANSION_RATIO, ge=2, description="expanded over stored, from 64 MiB on")
    columns: int = Field(COLUMNS, ge=1, description="columns of a file")
    cell_bytes: int = Field(CELL_BYTES, ge=1, description="the text of one value")
    block_bytes: int = Field(BLOCK_BYTES, ge=2**20, description="131,072 rows in memory")
    row_groups: int = Field(ROW_GROUPS, ge=1, description="row groups of a Parquet file")
    files: int = Field(FILES, ge=1, description="files or objects below one path")


class BillSource(Model):
    """Billing files in FOCUS form (1.0 to 1.4), CSV (plain or gzip) or Parquet, in a folder or on ``s3://``."""

    kind: Literal["focus_files"]
    name: Name
    path: BillPlace
    aws: Name | None = Field(None, description="an entry of 'aws', for s3:// paths")
    layout: Literal["auto", "files", "aws_data_exports", "azure_exports"] = Field(
        "auto", description="how deliveries lie; auto tells exports with a manifest from plain files"
    )
    corrections: Literal["replace", "ledger", "delta"] = Field(
        "replace", description="a restatement comes as whole periods, as differences, or as negations and new rows"
    )
    check_focus: bool = Field(True, description="run the FOCUS rules over every new file")
    defaults: dict[str, str] = Field({}, description="FOCUS column that the files lack -> its value in every row")
    excess_decimals: ExcessDecimals = Field("refuse", description="an amount in text with more than 12 decimals")
    limits: BillLimits = BillLimits()


class CurSource(Model):
    """AWS Cost and Usage Reports, legacy and 2.0, mapped to FOCUS by the published rules."""

    kind: Literal["aws_cur"]
    name: Name
    path: BillPlace
    aws: Name | None = Field(None, description="an entry of 'aws', for s3:// paths")
    layout: Literal["auto", "files", "aws_data_exports"] = "auto"
    excess_decimals: ExcessDecimals = Field("refuse", description="an amount in text with more than 12 decimals")
    limits: BillLimits = BillLimits()
