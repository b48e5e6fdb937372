"""Everything that can be read into the store, told apart by ``kind``."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from capacity.config._base import Model, Name, TimeZone
from capacity.config._bills import BillSource, CurSource
from capacity.config._cloudwatch import CloudWatchSource
from capacity.config._cost_explorer import CostExplorerSource
from capacity.config._fleet import CommitmentSource, FleetSource, QuotaSource
from capacity.config._kubernetes import KubernetesSource
from capacity.config._prices import PriceSource


class FileSource(Model):
    """CSV or Parquet files of one canonical frame (``path`` may hold * and **; a folder means all files in it)."""

    kind: Literal["files"]
    name: Name
    frame: Literal["usage", "fleet", "commitments", "quotas", "prices"]
    path: str
    # What a bare series file (ts,value or ds,y) does not say itself. ``{stem}`` stands for the file's name.
    defaults: dict[str, str | int | float] = {}
    columns: dict[str, str] = Field({}, description="canonical column -> column in the file")
    # An explicit choice, never a default: old recordings played as if they were recent.
    redate_weeks: int = Field(0, ge=0, le=5000, description="shift every time stamp forward by whole weeks")
    time_zone: TimeZone = Field("UTC", description="zone of time stamps that name none")


SourceConfig = Annotated[
    FileSource
    | BillSource
    | CurSource
    | CloudWatchSource
    | CostExplorerSource
    | FleetSource
    | CommitmentSource
    | QuotaSource
    | PriceSource
    | KubernetesSource,
    Field(discriminator="kind"),
]
