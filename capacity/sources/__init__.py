"""Sources: what is read into the store, one module a source, one protocol, one registry.

To add a source: a config model in :mod:`capacity.config`, one module here, and one ``register`` call below.
"""

from capacity.sources import cloudwatch as _cloudwatch
from capacity.sources import files as _files
from capacity.sources import focus as _focus
from capacity.sources._keys import differing, key_codes, without_duplicates
from capacity.sources._protocol import (
    Batch,
    BillFile,
    BillReader,
    Context,
    ResumableSource,
    SeriesKey,
    Source,
    SourceInfo,
    build,
    infos,
    register,
)

register(_files.FilesSource.info, _files.FilesSource)
register(_focus.FocusFilesSource.info, _focus.FocusFilesSource)
register(_cloudwatch.CloudWatchMetricsSource.info, _cloudwatch.CloudWatchMetricsSource)

__all__ = [
    "Batch",
    "BillFile",
    "BillReader",
    "Context",
    "ResumableSource",
    "SeriesKey",
    "Source",
    "SourceInfo",
    "build",
    "differing",
    "infos",
    "key_codes",
    "register",
    "without_duplicates",
]
