"""Parquet: the footer looked at before anything is decoded, and batches whose text stays dictionary-encoded."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa

from capacity.config import BillLimits
from capacity.sources._expanding import LimitError, refuse_columns, refuse_expansion, refuse_long

_MAGIC = b"PAR1"
# Row groups times columns of the limits are never all used: 64 MiB describe 500,000 column chunks.
_FOOTER_BYTES = 64 * 2**20
_TAIL = 8  # length of the footer and the magic word
# Read ahead within a column, instead of whole row groups: memory does not grow with the size of a row group.
_BUFFER_BYTES = 2**20


def header(path: Path, limits: BillLimits) -> list[str]:
    """Names of the top-level columns."""
    with _opened(path, limits, ()) as file:
        return list(file.schema_arrow.names)


def batches(path: Path, columns: Collection[str], limits: BillLimits, rows: int) -> Iterator[pa.RecordBatch]:
    """Up to ``rows`` rows at a time; text as dictionaries, so that no long value is written out a million times."""
    with _opened(path, limits, ()) as file:
        texts = _text_paths(file)
        wanted = [n for n in file.schema_arrow.names if n in columns]
    stored, expanded = path.stat().st_size, 0
    with _opened(path, limits, texts) as file:
        for batch in file.iter_batches(batch_size=rows, columns=wanted):
            batch.validate(full=True)  # Arrow believes a page's dictionary indices, and that its text is UTF-8
            expanded += refuse_long(batch, limits)
            if expanded > limits.expanded_bytes:
                refuse_expansion(expanded, stored, limits)
            yield batch


def _opened(path: Path, limits: BillLimits, texts: Collection[str]) -> Any:
    import pyarrow.parquet as pq

    _refuse_footer(path)
    file = pq.ParquetFile(
        path,
        read_dictionary=list(texts),
        pre_buffer=False,
        buffer_size=_BUFFER_BYTES,
        thrift_string_size_limit=_FOOTER_BYTES,
        thrift_container_size_limit=limits.row_groups + limits.columns * 8,
    )
    try:
        _refuse_declared(file.metadata, path.stat().st_size, limits)
    except LimitError:
        file.close()
        raise
    return file


def _refuse_footer(path: Path) -> None:
    size = path.stat().st_size
    with path.open("rb") as stream:
        start = stream.read(len(_MAGIC))
        stream.seek(max(0, size - _TAIL))
        tail = stream.read(_TAIL)
    if size < len(_MAGIC) + _TAIL or start != _MAGIC or tail[4:] != _MAGIC:
        raise pa.ArrowInvalid("no Parquet magic bytes at its start and its end")
    footer = int.from_bytes(tail[:4], "little")
    if footer > size - len(_MAGIC) - _TAIL:
        raise pa.ArrowInvalid("its footer is longer than the file")
    if footer > _FOOTER_BYTES:
        raise pa.ArrowInvalid(f"its footer has {footer:,} bytes; at most {_FOOTER_BYTES:,} are read")


def _refuse_declared(footer: Any, stored: int, limits: BillLimits) -> None:
    """What the footer says of the file, before a page is touched."""
    refuse_columns(footer.num_columns, limits)
    if footer.num_row_groups > limits.row_groups:
        raise LimitError(f"{footer.num_row_groups:,} row groups; at most {limits.row_groups:,} are read", "row_groups")
    expanded = 0
    for group in range(footer.num_row_groups):
        part = footer.row_group(group)
        if part.num_rows < 0 or part.total_byte_size < 0:
            raise pa.ArrowInvalid(f"row group {group} declares a negative size")
        expanded += part.total_byte_size
    refuse_expansion(expanded, stored, limits)


def _text_paths(file: Any) -> list[str]:
    """Leaves that hold text, in maps and lists too."""
    leaves = (file.schema.column(i) for i in range(len(file.schema.names)))
    return [leaf.path for leaf in leaves if leaf.physical_type == "BYTE_ARRAY" and leaf.logical_type.type != "DECIMAL"]


def plain(table: pa.Table) -> pa.Table:
    """``table`` with its dictionaries written out."""
    for i, field in enumerate(table.schema):
        kind = _plain_type(field.type)
        if kind != field.type:
            chunks = [decoded(c) for c in table.column(i).chunks]
            table = table.set_column(i, pa.field(field.name, kind), pa.chunked_array(chunks, kind))
    return table


def decoded(column: pa.Array) -> pa.Array:
    """``column`` with its dictionaries written out, in maps and lists too."""
    kind = _plain_type(column.type)
    if kind == column.type:
        return column
    if pa.types.is_dictionary(column.type):
        return column.dictionary_decode()
    if pa.types.is_map(column.type) and not column.null_count:
        return pa.MapArray.from_arrays(column.offsets, decoded(column.keys), decoded(column.items))
    return pa.array(column.to_pylist(), kind)


def _plain_type(kind: pa.DataType) -> pa.DataType:
    if pa.types.is_dictionary(kind):
        return kind.value_type
    if pa.types.is_map(kind):
        return pa.map_(_plain_type(kind.key_type), _plain_type(kind.item_type))
    if pa.types.is_struct(kind):
        return pa.struct([pa.field(f.name, _plain_type(f.type)) for f in kind])
    if pa.types.is_list(kind):
        return pa.list_(_plain_type(kind.value_type))
    return kind
