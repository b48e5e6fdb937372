"""Histories that are older than the tests: the commits of a table moved into the past."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from capacity.store import Store


def backdate(store: Store, name: str, days: Sequence[float]) -> None:
    """Commit number i of table ``name`` happened ``days[i]`` days ago: in its JSON and in the file's own time."""
    log = Path(store.root, name, "_delta_log")
    for version, age in enumerate(days):
        moment = time.time() - age * 86_400
        file = log / f"{version:020d}.json"
        text = file.read_text()
        for stamp in ("timestamp", "deletionTimestamp", "modificationTime"):
            text = re.sub(rf'"{stamp}":\d+', f'"{stamp}":{int(moment * 1000)}', text)
        file.write_text(text)
        os.utime(file, (moment, moment))


def empty_commits(store: Store, name: str, times: Sequence[datetime]) -> None:
    """The log of a table whose commits did nothing, at ``times``."""
    log = Path(store.root, name, "_delta_log")
    log.mkdir(parents=True, exist_ok=True)
    for version, moment in enumerate(times):
        stamp = round(moment.timestamp() * 1000)
        (log / f"{version:020d}.json").write_text(f'{{"commitInfo":{{"timestamp":{stamp}}}}}\n')
