"""Billing files: in a folder or on S3, FOCUS or AWS CUR 2.0."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from capacity.config._base import Model, Name


class BillSource(Model):
    """Billing files in FOCUS form (1.0 to 1.4), CSV (plain or gzip) or Parquet, in a folder or on ``s3://``."""

    kind: Literal["focus_files"]
    name: Name
    path: str
    aws: Name | None = Field(None, description="an entry of 'aws', for s3:// paths")
    layout: Literal["auto", "files", "aws_data_exports", "azure_exports"] = Field(
        "auto", description="how deliveries lie; auto tells exports with a manifest from plain files"
    )
    corrections: Literal["replace", "ledger", "delta"] = Field(
        "replace", description="a restatement comes as whole periods, as differences, or as negations and new rows"
    )
    check_focus: bool = Field(True, description="run the FOCUS rules over every new file")
    defaults: dict[str, str] = Field({}, description="FOCUS column that the files lack -> its value in every row")


class CurSource(Model):
    """AWS Cost and Usage Reports, legacy and 2.0, mapped to FOCUS by the published rules."""

    kind: Literal["aws_cur"]
    name: Name
    path: str
    aws: Name | None = Field(None, description="an entry of 'aws', for s3:// paths")
    layout: Literal["auto", "files", "aws_data_exports"] = "auto"
