"""How the fleet tests read: a source on the stand-in, its rows as a frame, its notes."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa

from capacity.config import AwsAccess, FleetSource
from capacity.schemas import CAPACITY_RESERVATIONS, FLEET, check_frame
from capacity.sources import Batch, Context
from capacity.sources.aws.fleet import FleetReader
from tests.aws.standin import StandIn

HOUR = timedelta(hours=1)
ZONES = ("us-east-1a", "us-east-1b", "us-east-1c")
MEMBER, OTHER = "222222222222", "333333333333"


def reader(aws: StandIn, access: dict[str, Any] | None = None, **keys: Any) -> FleetReader:
    way = AwsAccess.model_validate({"regions": ["us-east-1"], "endpoint_url": aws.url, **(access or {})})
    config = FleetSource.model_validate({"kind": "aws_fleet", "name": "fleet", **keys})
    return FleetReader(config, Context(Path, (way,)))


def frame(batches: Sequence[Batch], name: str = "fleet") -> pd.DataFrame:
    tables = [b.table for b in batches if b.frame == name]
    schema = {"fleet": FLEET, "capacity_reservations": CAPACITY_RESERVATIONS}[name].schema
    rows = pa.concat_tables([schema.empty_table(), *tables]).to_pandas()
    return check_frame(name, rows, "test")


def newest(rows: pd.DataFrame) -> pd.DataFrame:
    return rows[rows["ts"] == rows["ts"].max()]


def notes(batches: Sequence[Batch]) -> str:
    return "\n".join(n for b in batches for n in b.notes)


def stored(rows: pd.DataFrame) -> Any:
    held = {"fleet": pa.Table.from_pandas(rows, schema=FLEET.schema, preserve_index=False)}
    return lambda name, filters: held.get(name, CAPACITY_RESERVATIONS.schema.empty_table())
