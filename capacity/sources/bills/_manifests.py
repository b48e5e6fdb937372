"""What a manifest names: untrusted JSON, and addresses that must lie below the export they belong to.

AWS Data Exports: ``dataFiles`` (s3:// addresses) in ``<root>/metadata/<partition>/[<run>/]<name>-Manifest.json``.
AWS Cost and Usage Reports: ``bucket`` and ``reportKeys`` in ``<root>/<range>/[<assembly>/]<name>-Manifest.json``.
Azure Cost Management: ``blobs`` with ``blobName`` and ``byteCount`` in ``<root>/<range>/[<run>/]manifest.json``.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any

from capacity.errors import CorruptDataError
from capacity.sources.bills._shelf import Shelf, Stored

# A manifest names its columns and files: some 200 bytes a file, so 16 MiB are 80,000 files.
MANIFEST_BYTES = 16 * 2**20

_DATA_EXPORT = re.compile(
    r"^(?P<root>(?:.*/)?)metadata/(?P<part>\w+=[\w-]+)/(?:(?P<run>[^/]+)/)?(?P<name>[^/]+)-Manifest\.json$"
)
_REPORT = re.compile(r"^(?P<root>(?:.*/)?)(?P<part>\d{8}-\d{8})/(?:(?P<run>[^/]+)/)?(?P<name>[^/]+)-Manifest\.json$")
_AZURE = re.compile(r"^(?P<root>(?:.*/)?)(?P<part>\d{8}-\d{8})/(?P<run>(?:[^/]+/)*)manifest\.json$")


@dataclass(frozen=True)
class Named:
    """A file that a manifest names: its key below the shelf, and its size where the manifest says it."""

    key: str
    size: int | None = None


@dataclass(frozen=True)
class Manifest:
    """One delivery of one period of one export.

    Attributes
    ----------
    stored
        The manifest's own file.
    root, part, run, name
        Of its path: the export's folder, the period, the run (empty where a delivery overwrites the one before), the
        export's name.
    kind
        ``data_export``, ``report`` or ``azure``.
    """

    stored: Stored
    root: str
    part: str
    run: str
    name: str
    kind: str

    @property
    def period(self) -> str:
        """``2026-09`` where the path says a month, else what it says."""
        digits = re.fullmatch(r"(\d{4})(\d\d)\d\d-(\d{8})", self.part)
        return f"{digits[1]}-{digits[2]}" if digits else self.part.partition("=")[2]

    @property
    def export(self) -> tuple[str, str, str, str]:
        """Deliveries with the same one replace each other."""
        return (self.kind, self.root, "" if self.kind == "azure" else self.name, self.period)


def recognise(stored: Stored, wanted: tuple[str, ...]) -> Manifest | None:
    """The manifest that ``stored`` is by its path, if it is one of the ``wanted`` kinds."""
    for kind, pattern in (("data_export", _DATA_EXPORT), ("report", _REPORT), ("azure", _AZURE)):
        found = pattern.match(stored.key) if kind in wanted else None
        if found:
            parts = found.groupdict()
            run = (parts["run"] or "").rstrip("/")
            return Manifest(stored, parts["root"], parts["part"], run, parts.get("name") or "", kind)
    return None


def content(shelf: Shelf, manifest: Manifest) -> dict[str, Any]:
    """The JSON object of a manifest.

    Raises
    ------
    CorruptDataError
        Too large, or no JSON object.
    """
    where = shelf.address(manifest.stored)
    try:
        found = json.loads(shelf.small(manifest.stored, MANIFEST_BYTES))
    except (ValueError, RecursionError) as error:
        raise CorruptDataError(f"{where}: no JSON that can be read ({type(error).__name__})") from None
    if not isinstance(found, dict):
        raise CorruptDataError(f"{where}: no manifest, which is a JSON object")
    return found


def named(shelf: Shelf, manifest: Manifest, found: dict[str, Any]) -> tuple[Named, ...]:
    """The files that the manifest names.

    Raises
    ------
    CorruptDataError
        It names none, one twice, or one that does not lie below its export.
    """
    where = shelf.address(manifest.stored)
    read = _azure_blobs if manifest.kind == "azure" else _aws_files
    files = tuple(read(shelf, manifest, found))
    keys = [f.key for f in files]
    if not files or len(set(keys)) < len(keys):
        raise CorruptDataError(
            f"{where}: it names {'a file twice' if files else 'no file'}; is it the export's manifest?"
        )
    return files


def is_focus(found: dict[str, Any]) -> bool:
    """Whether an Azure manifest is of a FOCUS export, as far as it says."""
    config = found.get("exportConfig")
    kind = config.get("type") if isinstance(config, dict) else None
    return not isinstance(kind, str) or kind.casefold().startswith("focus")


def submitted(found: dict[str, Any]) -> str:
    """When an Azure run was submitted, as ISO text that sorts; empty where it is not said."""
    info = found.get("runInfo")
    value = info.get("submittedTime") if isinstance(info, dict) else None
    return value if isinstance(value, str) else ""


# --- AWS -----------------------------------------------------------------------------------------------------


def _aws_files(shelf: Shelf, manifest: Manifest, found: dict[str, Any]) -> list[Named]:
    field = "dataFiles" if manifest.kind == "data_export" else "reportKeys"
    given = found.get(field)
    where = shelf.address(manifest.stored)
    if not isinstance(given, list) or not all(isinstance(g, str) for g in given):
        raise CorruptDataError(f"{where}: {field} is no list of addresses")
    bucket = found.get("bucket")
    default = bucket if isinstance(bucket, str) else None
    return [Named(_below(shelf, manifest, address, default)) for address in given]


def _below(shelf: Shelf, manifest: Manifest, address: str, bucket: str | None) -> str:
    """``address`` as a key below the shelf, which must lie in the manifest's own export."""
    key = address
    if address.startswith("s3://"):
        bucket, _, key = address.removeprefix("s3://").partition("/")
    problem = _odd(key)
    if shelf.bucket is not None and bucket is not None and bucket != shelf.bucket:
        problem = "lies in another bucket"
    if not problem:
        below = _in_bucket(shelf, manifest, key) if shelf.bucket is not None else _in_copy(manifest, key)
        inside = manifest.root + ("data/" + manifest.part + "/" if manifest.kind == "data_export" else "")
        if below is not None and below.startswith(inside):
            return below
        problem = "lies outside the export"
    raise CorruptDataError(f"{shelf.address(manifest.stored)}: it names '{address[:200]}', which {problem}; refused")


def _in_bucket(shelf: Shelf, manifest: Manifest, key: str) -> str | None:
    return key.removeprefix(shelf.base) if key.startswith(shelf.base + manifest.root) else None


def _in_copy(manifest: Manifest, key: str) -> str | None:
    """Copied to a folder an export keeps its inner paths, and loses the prefix and perhaps its own name."""
    inner = f"data/{manifest.part}/" if manifest.kind == "data_export" else f"{manifest.part}/"
    for marker, kept in ((inner, inner), (f"{manifest.name}/", "")):
        at = f"/{key}".find(f"/{marker}")
        if at >= 0:
            return manifest.root + kept + key[at + len(marker) :]
    return None


def _odd(key: str) -> str:
    """Why ``key`` is no plain path downwards; empty where it is one."""
    parts = key.split("/")
    if any(p in ("", ".", "..") for p in parts):
        return "has empty parts or steps upwards"
    if "\\" in key or any(ord(c) < 32 for c in key):
        return "has characters that no path needs"
    return ""


# --- Azure ---------------------------------------------------------------------------------------------------


def _azure_blobs(shelf: Shelf, manifest: Manifest, found: dict[str, Any]) -> list[Named]:
    where, blobs = shelf.address(manifest.stored), found.get("blobs")
    if not isinstance(blobs, list) or not all(isinstance(b, dict) for b in blobs):
        raise CorruptDataError(f"{where}: blobs is no list of objects")
    folder = manifest.stored.key.rpartition("/")[0]
    out = []
    for blob in blobs:
        name, size = blob.get("blobName"), blob.get("byteCount")
        if not isinstance(name, str):
            raise CorruptDataError(f"{where}: a blob without blobName")
        parts = name.split("/")
        # The manifest lies beside its blobs; their names begin at the container.
        if _odd(name) or (len(parts) > 1 and parts[-2] != folder.rpartition("/")[2]):
            raise CorruptDataError(f"{where}: it names '{name[:200]}', which lies outside the export; refused")
        out.append(Named(f"{folder}/{parts[-1]}", size if isinstance(size, int) else None))
    return out
