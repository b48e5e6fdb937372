"""Which files make up a delivery: of a plain place all of them, of an export the newest complete run of each period."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from capacity.errors import CorruptDataError, DataError, MissingDataError
from capacity.sources.bills import _manifests
from capacity.sources.bills._manifests import Manifest
from capacity.sources.bills._shelf import Shelf, Stored

_KINDS: Mapping[str, tuple[str, ...]] = {
    "auto": ("data_export", "report", "azure"),
    "aws_data_exports": ("data_export", "report"),
    "azure_exports": ("azure",),
    "files": (),
}
# A manifest is written last. An export is refreshed a few times a day, so a file that is this much younger than the
# manifest belongs to a refresh that is under way. The margin is for copies whose objects overtake each other.
_UNDER_WAY = timedelta(minutes=10)
_NEVER = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True)
class Delivery:
    """Files that belong together, in their order.

    Attributes
    ----------
    complete
        A manifest says that they are all of their periods.
    notes
        For the first of its files.
    """

    files: tuple[Stored, ...]
    complete: bool
    notes: tuple[str, ...] = ()


@dataclass
class Found:
    """Sound deliveries, oldest period first, and one line for each that is not."""

    deliveries: list[Delivery] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)


class _IncompleteError(Exception):
    """A run that is not (or no longer) all there."""


def find(shelf: Shelf, layout: str, source: str) -> Found:
    """What is to be read of ``shelf``.

    Raises
    ------
    MissingDataError
        Nothing there, or no manifest where ``layout`` promises some.
    DataError
        It is the inside of an export, without the manifests that tell its runs apart.
    """
    stored = shelf.listed()
    kinds = () if shelf.single else _KINDS[layout]
    manifests = [m for m in (_manifests.recognise(s, kinds) for s in stored) if m]
    if manifests:
        return _exports(shelf, stored, manifests)
    if layout not in ("auto", "files"):
        raise MissingDataError(
            f"source '{source}': {shelf.name} holds no manifest as {layout} has them; name the export's folder, or "
            "leave 'layout' away"
        )
    files = tuple(s for s in stored if s.readable and not s.hidden)
    if layout == "auto" and not shelf.single:
        _refuse_inside(shelf, files, source)
    return Found([Delivery(files, complete=False)])


def _refuse_inside(shelf: Shelf, files: Iterable[Stored], source: str) -> None:
    """Below ``data/`` alone several runs of one period would count several times."""
    inside = next((f for f in files if "BILLING_PERIOD=" in shelf.address(f)), None)
    if inside:
        raise DataError(
            f"source '{source}': {shelf.address(inside)} is of an AWS data export, but {shelf.name} lacks its "
            "metadata/ with the manifests; name the folder above data/ (or set 'layout: files' to read all there is)"
        )


def _exports(shelf: Shelf, stored: Sequence[Stored], manifests: Sequence[Manifest]) -> Found:
    by_key = {s.key: s for s in stored}
    groups: dict[tuple[str, str, str, str], list[Manifest]] = {}
    for manifest in manifests:
        groups.setdefault(manifest.export, []).append(manifest)
    out = Found()
    for export in sorted(groups, key=lambda g: (g[3], g)):
        try:
            delivery = _newest_complete(shelf, by_key, groups[export])
        except DataError as error:
            out.failures.append(str(error))
            continue
        if delivery:
            out.deliveries.append(delivery)
    _tell_left_out(out, stored)
    return out


def _tell_left_out(found: Found, stored: Iterable[Stored]) -> None:
    """Earlier runs, and what lies beside the exports: said once, with the first file."""
    taken = {f.key for d in found.deliveries for f in d.files}
    left = [s.key for s in stored if s.readable and not s.hidden and s.key not in taken]
    if left and found.deliveries:
        note = f"{len(left):,} files below it belong to no delivery that is read, first {left[0]}"
        first = found.deliveries[0]
        found.deliveries[0] = replace(first, notes=(*first.notes, note))


def _newest_complete(shelf: Shelf, by_key: Mapping[str, Stored], runs: Sequence[Manifest]) -> Delivery | None:
    """The newest run that is all there; None where no run is of a FOCUS export.

    Raises
    ------
    DataError
        No run is complete, or a manifest is not to be trusted.
    """
    problems: list[str] = []
    candidates = [(m, _manifests.content(shelf, m)) for m in runs]
    candidates = [(m, c) for m, c in candidates if m.kind != "azure" or _manifests.is_focus(c)]
    for manifest, found in sorted(candidates, key=lambda p: _age(*p), reverse=True):
        try:
            files = _all_there(shelf, manifest, found, by_key)
        except _IncompleteError as error:
            problems.append(f"{shelf.address(manifest.stored)}: {error}")
            continue
        older = f"a newer delivery of {manifest.period} is not complete; read: {manifest.stored.key}"
        return Delivery(files, complete=True, notes=(*problems, older) if problems else ())
    if not candidates:
        return None
    raise CorruptDataError(f"{'; '.join(problems)}; {runs[0].period} was left as it is; run the ingest again later")


def _age(manifest: Manifest, found: Mapping[str, object]) -> tuple[str, datetime, str]:
    """Sorts runs by time. What overwrites lies above the runs, and is the newest where nothing else says so."""
    said = _manifests.submitted(dict(found)) if manifest.kind == "azure" else ""
    return (said, manifest.stored.modified or _NEVER, manifest.run or "~")


def _all_there(
    shelf: Shelf, manifest: Manifest, found: dict[str, object], by_key: Mapping[str, Stored]
) -> tuple[Stored, ...]:
    wanted = _manifests.named(shelf, manifest, found)
    missing = [n.key for n in wanted if n.key not in by_key]
    if missing:
        raise _IncompleteError(f"{len(missing)} of {len(wanted)} files that it names are not there, first {missing[0]}")
    files = tuple(by_key[n.key] for n in wanted)
    for name, file in zip(wanted, files, strict=True):
        if not file.readable:
            raise CorruptDataError(
                f"{shelf.address(file)}: of no kind that can be read; let the export write gzip or Parquet"
            )
        if file.size == 0 or (name.size is not None and name.size != file.size):
            said = "" if name.size is None else f" of {name.size:,}"
            raise _IncompleteError(f"{file.key} has {file.size:,} bytes{said}")
        if file.modified and manifest.stored.modified and file.modified > manifest.stored.modified + _UNDER_WAY:
            raise _IncompleteError(f"{file.key} is newer than the manifest: a refresh is under way")
    return tuple(sorted(files, key=lambda f: f.key))
