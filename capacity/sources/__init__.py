"""Sources: what is read into the store, one module a source, one protocol, one registry.

To add a source: a config model in :mod:`capacity.config`, one module here, and one ``register`` call below.
"""

from capacity.sources import bills as _bills
from capacity.sources import files as _files
from capacity.sources import kubernetes as _kubernetes
from capacity.sources._keys import differing, key_codes, without_duplicates
from capacity.sources._protocol import (
    Batch,
    BillFile,
    BillReader,
    Context,
    ContinuingSource,
    ResumableSource,
    SeriesKey,
    Source,
    SourceInfo,
    Stored,
    build,
    infos,
    register,
)
from capacity.sources.aws import cloudwatch as _cloudwatch
from capacity.sources.aws import commitments as _commitments
from capacity.sources.aws import cost_explorer as _cost_explorer
from capacity.sources.aws import fleet as _fleet
from capacity.sources.aws import prices as _prices
from capacity.sources.aws import quotas as _quotas

register(_files.FilesSource.info, _files.FilesSource)
register(_bills.FocusFilesSource.info, _bills.FocusFilesSource)
register(_bills.CurFilesSource.info, _bills.CurFilesSource)
register(_cloudwatch.CloudWatchMetricsSource.info, _cloudwatch.CloudWatchMetricsSource)
register(_cost_explorer.CostExplorerReader.info, _cost_explorer.CostExplorerReader)
register(_prices.AwsPricesSource.info, _prices.AwsPricesSource)
register(_fleet.FleetReader.info, _fleet.FleetReader)
register(_commitments.CommitmentReader.info, _commitments.CommitmentReader)
register(_quotas.QuotaReader.info, _quotas.QuotaReader)
register(_kubernetes.KubernetesReader.info, _kubernetes.KubernetesReader)

__all__ = [
    "Batch",
    "BillFile",
    "BillReader",
    "Context",
    "ContinuingSource",
    "ResumableSource",
    "SeriesKey",
    "Source",
    "SourceInfo",
    "Stored",
    "build",
    "differing",
    "infos",
    "key_codes",
    "register",
    "without_duplicates",
]
