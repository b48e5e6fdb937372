"""AWS's split cost allocation data: lines of a Cost and Usage Report that divide an instance over its pods or tasks.

Columns as in AWS's data dictionary ("Split line item columns"), in the spelling of either report. Of each line the
split cost is its pod's and the unused cost is idle; where a discount applies the net columns say the same after it.
The pods are named by tags that AWS gives: aws:eks:cluster-name, -namespace, -workload-type, -workload-name, and
aws:ecs:clusterName and :serviceName.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from capacity.errors import CorruptDataError
from capacity.sources import _convert
from capacity.sources._amounts import money
from capacity.sources._convert import Notes
from capacity.sources._tabular import TabularFile
from capacity.sources.bills import _tags
from capacity.sources.kubernetes._rows import IDLE, WORKLOAD, Amounts, Found, Key

_SPLIT, _UNUSED = ("splitlineitemnetsplitcost", "splitlineitemsplitcost"), (
    "splitlineitemnetunusedcost", "splitlineitemunusedcost",
)  # fmt: skip
_START, _USAGE_TYPE, _TAGS = "lineitemusagestartdate", "lineitemusagetype", "resourcetags"
_NAMES = {
    "cluster": ("aws_eks_cluster_name", "aws_ecs_cluster_name", "aws_ecs_clustername"),
    "namespace": ("aws_eks_namespace",),
    "controller_kind": ("aws_eks_workload_type",),
    "controller": ("aws_eks_workload_name", "aws_ecs_service_name", "aws_ecs_servicename"),
}
# What a usage type ends with, and the part it is.
_PARTS = (("vCPU-Hours", "cpu_cost"), ("GB-Hours", "ram_cost"))


def read(path: Path, cluster: str, notes: Notes) -> Found:
    """Workloads of one report by UTC day.

    Parameters
    ----------
    cluster
        The name of the cluster where AWS's tags do not say it.

    Raises
    ------
    CorruptDataError
        It has no split cost allocation data, or a value cannot be read.
    """
    file = TabularFile(path)
    given = {_plain(name): name for name in file.header()}
    tags = {_tag(n): n for n in given.values() if _plain(n).startswith(_TAGS) and _plain(n) != _TAGS}
    if not set(_SPLIT) & set(given) or _START not in given:
        raise CorruptDataError(
            f"{path}:1: no split_line_item_split_cost or line_item_usage_start_date; "
            "opt in to split cost allocation data, and include it in the export"
        )
    wanted = [given[n] for n in (*_SPLIT, *_UNUSED, _START, _USAGE_TYPE, _TAGS) if n in given]
    found: Found = {}
    for block in file.blocks([*wanted, *tags.values()]):
        for line in _lines(block.table, given, tags, notes, path):
            _take(found, line, cluster)
    if not found:
        notes.add(f"{path.name}: no line of split cost")
    return found


def _plain(name: str) -> str:
    return "".join(c for c in name.lower() if c.isalnum())


def _tag(name: str) -> str:
    """resourceTags/aws:eks:cluster-name, resource_tags_aws_eks_cluster_name -> aws_eks_cluster_name."""
    bare = name.split("/", 1)[1] if "/" in name else name.lower().removeprefix("resource_tags_")
    return "".join(c if c.isalnum() else "_" for c in bare.lower())


def _lines(
    table: pa.Table, given: Mapping[str, str], tags: Mapping[str, str], notes: Notes, path: Path
) -> Iterator[dict[str, Any]]:
    """The block's lines of split cost, summed by day, usage type and tags."""
    try:
        amounts = {
            what: pc.coalesce(*(money(table[given[n]], n, notes, exact=False) for n in names if n in given))
            for what, names in (("split", _SPLIT), ("unused", _UNUSED))
            if any(n in given for n in names)
        }
        moments = _convert.times(table[given[_START]]).as_utc()
    except _convert.BadValueError as error:
        raise CorruptDataError(f"{path}: found '{error.value}' in a line; allowed: {error.allowed}") from None
    columns = {"day": pc.floor_temporal(moments, unit="day"), **amounts}
    columns["usage_type"] = _convert.text(table[given[_USAGE_TYPE]]) if _USAGE_TYPE in given else _nothing(table)
    columns["tags"] = _tags.column(table[given[_TAGS]], notes) if _TAGS in given else _nothing(table)
    columns |= {f"tag {tag}": _convert.text(table[name]) for tag, name in tags.items() if tag in _wanted()}
    work = pa.table(columns)
    work = work.filter(pc.is_valid(work["split"]))
    by = [n for n in work.column_names if n not in ("split", "unused")]
    sums = work.group_by(by).aggregate([(n, "sum") for n in amounts])
    yield from sums.to_pylist()


def _wanted() -> set[str]:
    return {tag for names in _NAMES.values() for tag in names}


def _nothing(table: pa.Table) -> pa.Array:
    return pa.nulls(table.num_rows, pa.string())


def _take(found: Found, line: Mapping[str, Any], cluster: str) -> None:
    tags = _line_tags(line)
    names = {what: next((tags[t] for t in given if tags.get(t)), "") for what, given in _NAMES.items()}
    day: datetime = line["day"].astimezone(UTC)
    where = names["cluster"] or cluster
    split, unused = line["split_sum"] or Decimal(0), line.get("unused_sum") or Decimal(0)
    kind = str(line["usage_type"] or "")
    part = next((p for end, p in _PARTS if kind.endswith(end)), "gpu_cost")
    key = Key(where, day, day + timedelta(days=1), WORKLOAD, names["namespace"], names["controller_kind"],
              names["controller"])  # fmt: skip
    labels = {k: v for k, v in tags.items() if k not in _wanted()}
    text = json.dumps(labels, sort_keys=True, ensure_ascii=False) if labels else None
    found.setdefault(key, Amounts()).add({part: split, "total_cost": split}, text)
    if unused:
        idle = Key(where, day, day + timedelta(days=1), IDLE)
        found.setdefault(idle, Amounts()).add({part: unused, "total_cost": unused})


def _line_tags(line: Mapping[str, Any]) -> dict[str, str]:
    """Tags of a line: those of its map, and those that are columns of their own."""
    try:
        pairs = json.loads(line["tags"]) if line["tags"] else {}
    except ValueError:
        pairs = {}
    out = {_tag(str(k)): str(v) for k, v in pairs.items() if v} if isinstance(pairs, dict) else {}
    return out | {n.removeprefix("tag "): v for n, v in line.items() if n.startswith("tag ") and v}
