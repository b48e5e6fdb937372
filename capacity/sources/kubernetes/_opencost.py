"""OpenCost's allocations: the JSON that its /allocation API answers with, and the CSV that it exports by the day.

Formats as in OpenCost's core/pkg/opencost/allocation_json.go and pkg/costmodel/csv_export.go. Costs are by its own
price list; an ``adjustment`` is what it changed them by after it had seen a bill. ``__idle__`` is what no workload
used; ``__unallocated__`` and ``__unmounted__`` are workloads and volumes without the property they are grouped by.
"""

from __future__ import annotations

import csv
import gzip
import io
import json
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any, NoReturn

from capacity.errors import CorruptDataError
from capacity.sources._convert import Notes
from capacity.sources.kubernetes._rows import IDLE, WORKLOAD, Amounts, Found, Key

_BYTES = 2 * 2**30
_IDLE_NAME = "__idle__"
# Our part -> OpenCost's fields that make it.
_JSON_PARTS = {
    "cpu_cost": ("cpuCost", "cpuCostAdjustment"),
    "ram_cost": ("ramCost", "ramCostAdjustment"),
    "gpu_cost": ("gpuCost", "gpuCostAdjustment"),
    "pv_cost": ("pvCost", "pvCostAdjustment"),
    "network_cost": ("networkCost", "networkCostAdjustment"),
    "load_balancer_cost": ("loadBalancerCost", "loadBalancerCostAdjustment"),
    "shared_cost": ("sharedCost",),
    "external_cost": ("externalCost",),
}
_CSV_PARTS = {
    "cpu_cost": "CPUCost", "ram_cost": "RAMCost", "gpu_cost": "GPUCost", "pv_cost": "PVCost",
    "network_cost": "NetworkCost", "load_balancer_cost": "LoadBalancerCost", "shared_cost": "SharedCost",
    "external_cost": "ExternalCost",
}  # fmt: skip


def read(path: Path, cluster: str, notes: Notes) -> Found:
    """Workloads of one file.

    Parameters
    ----------
    cluster
        The name of the cluster where the file does not say it.

    Raises
    ------
    CorruptDataError
        It is no answer of the API and no export; names the allocation or the line.
    """
    if path.stat().st_size > _BYTES:
        _refuse(path, f"more than {_BYTES:,} bytes", "ask for shorter windows, a file each")
    if path.name.lower().endswith(".json"):
        return _added(_json_rows(path, cluster))
    return _added(_csv_rows(path, cluster, notes))


def _added(rows: Iterable[tuple[Key, Mapping[str, Decimal | None], str | None]]) -> Found:
    """Containers of a pod are added."""
    found: Found = {}
    for key, parts, labels in rows:
        found.setdefault(key, Amounts()).add(parts, labels)
    return found


def _refuse(path: Path, what: str, mend: str) -> NoReturn:
    raise CorruptDataError(f"{path}: {what}; {mend}") from None


# --- JSON ----------------------------------------------------------------------------------------------------


def _json_rows(path: Path, cluster: str) -> Iterator[tuple[Key, Mapping[str, Decimal | None], str | None]]:
    for name, allocation in _allocations(path, _document(path)):
        where = f"{path}: allocation '{name}'"
        if not isinstance(allocation, dict):
            _refuse(path, f"allocation '{name}' is no object", "give an answer of OpenCost's /allocation")
        properties = allocation.get("properties") or {}
        parts = {
            part: _sum(_amount(allocation.get(f), f"{where}: {f}") for f in fields)
            for part, fields in _JSON_PARTS.items()
        }
        total = _amount(allocation.get("totalCost"), f"{where}: totalCost")
        parts["total_cost"] = _sum(parts.values()) or Decimal(0) if total is None else total
        start, end = _window(where, allocation)
        key = _key(name, properties, str(properties.get("cluster") or cluster), start, end)
        labels = properties.get("labels")
        yield key, parts, json.dumps(labels, sort_keys=True, ensure_ascii=False) if labels else None


def _document(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8-sig"), parse_float=Decimal, parse_int=Decimal)
    except json.JSONDecodeError as error:
        _refuse(path, f"no JSON at line {error.lineno}: {error.msg}", "give an answer of OpenCost's /allocation")
    except (UnicodeDecodeError, RecursionError) as error:
        _refuse(path, f"no JSON ({type(error).__name__})", "give an answer of OpenCost's /allocation")


def _allocations(path: Path, document: Any) -> Iterator[tuple[str, Any]]:
    """Every allocation of an answer ({"code": 200, "data": [{name: allocation}]}), or of its data alone."""
    if isinstance(document, dict) and "data" in document:
        code = document.get("code", 200)
        if code != 200:
            _refuse(path, f"OpenCost answered with code {code}: {document.get('message', '')}", "ask again")
        document = document["data"]
    sets = document if isinstance(document, list) else [document]
    for one in sets:
        if one is not None and not isinstance(one, dict):
            _refuse(path, "no map of allocations", "give an answer of OpenCost's /allocation")
        yield from (one or {}).items()


def _window(where: str, allocation: Mapping[str, Any]) -> tuple[datetime, datetime]:
    """The window that was asked for: a pod's own start and end lie somewhere inside it."""
    window = allocation.get("window") or {}
    start = window.get("start") or allocation.get("start")
    end = window.get("end") or allocation.get("end")
    try:
        first, last = datetime.fromisoformat(str(start)), datetime.fromisoformat(str(end))
        if first.tzinfo is None or last.tzinfo is None or last <= first:
            raise ValueError
    except ValueError:
        raise CorruptDataError(
            f"{where}: window from {start} to {end}; give both as RFC 3339 with a zone, the end after the start"
        ) from None
    return first.astimezone(UTC), last.astimezone(UTC)


def _key(name: str, properties: Mapping[str, Any], cluster: str, start: datetime, end: datetime) -> Key:
    if _IDLE_NAME in name.split("/"):
        return Key(cluster, start, end, IDLE)
    # Grouped by one property an allocation's name is that property; what it is of is not said.
    namespace = str(properties.get("namespace") or ("" if properties.get("controller") else name))
    return Key(
        cluster, start, end, WORKLOAD, namespace, str(properties.get("controllerKind") or ""),
        str(properties.get("controller") or ""), str(properties.get("pod") or ""),
    )  # fmt: skip


def _sum(amounts: Iterable[Decimal | None]) -> Decimal | None:
    known = [a for a in amounts if a is not None]
    return sum(known, Decimal(0)) if known else None


def _amount(value: Any, where: str) -> Decimal | None:
    """A cost; nothing where it is absent, null or empty."""
    if value is None or value == "":
        return None
    try:
        amount = value if isinstance(value, Decimal) else Decimal(str(value))
        if not amount.is_finite() or abs(amount) > Decimal(10) ** 18:
            raise InvalidOperation
    except InvalidOperation:
        raise CorruptDataError(f"{where}: found '{str(value)[:40]}'; a decimal number is allowed") from None
    return amount


# --- CSV -----------------------------------------------------------------------------------------------------


def _csv_rows(path: Path, cluster: str, notes: Notes) -> Iterator[tuple[Key, Mapping[str, Decimal | None], str | None]]:
    reader = csv.DictReader(io.StringIO(_text(path), newline=""))
    header = reader.fieldnames or ()
    missing = [n for n in ("Date", "TotalCost") if n not in header]
    if missing or not {"Namespace", "Name"} & set(header):
        _refuse(path, f"line 1: no column {', '.join(missing or ['Namespace'])}", "give OpenCost's CSV export")
    without_total = 0
    for row in reader:
        where = f"{path}: line {reader.line_num}"
        parts = {part: _amount(row.get(c), f"{where}: {c}") for part, c in _CSV_PARTS.items()}
        total = _amount(row["TotalCost"], f"{where}: TotalCost")
        # A file that grew over versions has lines without the columns that came later.
        without_total += total is None
        parts["total_cost"] = (_sum(parts.values()) or Decimal(0)) if total is None else total
        name = row.get("Namespace") or row.get("Name") or ""
        day = _day(where, row["Date"])
        labels = row.get("Labels") or None
        if _IDLE_NAME in name.split("/"):
            yield Key(cluster, day, day + timedelta(days=1), IDLE), parts, None
            continue
        key = Key(
            cluster, day, day + timedelta(days=1), WORKLOAD, name, row.get("ControllerKind") or "",
            row.get("ControllerName") or "", row.get("Pod") or "",
        )  # fmt: skip
        yield key, parts, labels
    if without_total:
        notes.add("lines without TotalCost: the sum of their parts ({n} rows)", without_total)


def _text(path: Path) -> str:
    try:
        data = path.read_bytes()
        if path.name.lower().endswith(".gz"):
            with gzip.open(path) as stream:
                data = stream.read(_BYTES + 1)
        if len(data) > _BYTES:
            _refuse(path, f"more than {_BYTES:,} bytes", "ask for shorter windows, a file each")
        return data.decode("utf-8-sig")
    except (OSError, EOFError, UnicodeDecodeError) as error:
        _refuse(path, f"cannot be read: {error}", "give OpenCost's CSV export, plain or gzip")


def _day(where: str, value: str | None) -> datetime:
    try:
        return datetime.strptime(str(value), "%Y-%m-%d").replace(tzinfo=UTC)
    except ValueError:
        raise CorruptDataError(f"{where}: Date: found '{value}'; a day as 2026-09-30 is allowed") from None
