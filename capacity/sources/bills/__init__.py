"""Bills: FOCUS files and AWS Cost and Usage Reports, from folders and from S3, streamed into the cost table.

``focus`` and ``cur`` say how a file's rows become cost rows; ``_source`` is what both share. Files come from a shelf
(``_folder``, ``_bucket``), and ``_exports`` says which of them make up a delivery, by the manifests (``_manifests``).
"""

from capacity.sources.bills.cur import CurFilesSource
from capacity.sources.bills.focus import FocusFilesSource

__all__ = ["CurFilesSource", "FocusFilesSource"]
