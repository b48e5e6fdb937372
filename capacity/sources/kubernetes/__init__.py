"""What share of a cluster each workload took: files of OpenCost, or of AWS's split cost allocation."""

from __future__ import annotations

import glob
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import ClassVar

from capacity.config import KubernetesSource
from capacity.errors import CorruptDataError, DataError, MissingDataError
from capacity.sources import _paths
from capacity.sources._convert import Notes
from capacity.sources._protocol import Batch, Context, SourceInfo
from capacity.sources.kubernetes import _opencost, _split_cost
from capacity.sources.kubernetes._rows import Rows

_SUFFIXES = {
    "opencost": (".json", ".csv", ".csv.gz"),
    "aws_split_cost": (".csv", ".csv.gz", ".parquet"),
}


class KubernetesReader:
    """Workloads of clusters and what each took, from files; one batch for all of them."""

    info: ClassVar[SourceInfo] = SourceInfo(
        kind="kubernetes",
        reads=(
            "what each workload took of a cluster: OpenCost's /allocation answers (JSON) or its CSV export, or AWS "
            "Cost and Usage Reports (legacy and 2.0) with split cost allocation data"
        ),
        frames=("kubernetes_cost",),
        permissions=(),
        price="nothing",
        limits="a JSON file fits in memory; AWS's lines are kept by the day and workload",
    )

    def __init__(self, config: KubernetesSource, context: Context) -> None:
        self.name = config.name
        self._config = config
        self._path = context.resolve(config.path)

    def batches(self, since: datetime | None, now: datetime) -> Iterator[Batch]:
        """All files as one batch; ``since`` does not matter, the store leaves out what it has.

        Raises
        ------
        MissingDataError
            No file.
        CorruptDataError
            After the batch of the sound files: every file that is not, with its line and value.
        """
        read = _opencost.read if self._config.format == "opencost" else _split_cost.read
        notes, failures, rows = Notes(), [], Rows(self.name)
        files = self._files()
        for file in files:
            try:
                found = read(file, self._config.cluster or self.name, notes)
            except DataError as error:
                failures.append(str(error))
                continue
            # AWS spreads a day's lines over files; OpenCost's files each say all of a window.
            rows.take(found, adding=self._config.format == "aws_split_cost")
        if rows.replaced:
            notes.add("workloads of a window that two files tell: the later file's are kept ({n} rows)", rows.replaced)
        label = _paths.label(files[0], self._path) if len(files) == 1 else f"{len(files)} files"
        yield Batch("kubernetes_cost", rows.table(), label, notes.lines())
        if failures:
            raise CorruptDataError("\n".join(failures))

    def _files(self) -> list[Path]:
        path, suffixes = self._path, _SUFFIXES[self._config.format]
        if path.is_file():
            found = [path]
        else:
            found = [*path.rglob("*")] if path.is_dir() else [Path(p) for p in glob.glob(str(path), recursive=True)]
        files = sorted(
            f for f in found if f.is_file() and f.name.lower().endswith(suffixes) and not f.name.startswith((".", "_"))
        )
        if not files:
            raise MissingDataError(
                f"source '{self.name}': {path} names no file that can be read ({', '.join(suffixes)}); "
                "mend 'path' in the config"
            )
        return files


__all__ = ["KubernetesReader"]
