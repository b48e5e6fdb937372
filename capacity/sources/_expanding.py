"""Decompression and decoding within bounds."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from capacity.config import BillLimits

# A file of few, equal rows may shrink a great deal: the ratio is looked at from this size on.
RATIO_FREE_BYTES = 64 * 2**20


class LimitError(Exception):
    """A file goes beyond ``limit``; ``what`` says by how much, in words."""

    def __init__(self, what: str, limit: str) -> None:
        self.what, self.limit = what, limit
        super().__init__(what)


def refuse_expansion(expanded: int, stored: int, limits: BillLimits) -> None:
    """Raise :class:`LimitError` where ``expanded`` bytes are too many, or too many for the ``stored`` ones."""
    if expanded > limits.expanded_bytes:
        raise LimitError(f"expands to more than {limits.expanded_bytes:,} bytes", "expanded_bytes")
    if expanded > RATIO_FREE_BYTES and expanded > stored * limits.expansion_ratio:
        raise LimitError(
            f"{stored:,} bytes expand to {expanded:,} or more, over {limits.expansion_ratio} times", "expansion_ratio"
        )


def refuse_columns(count: int, limits: BillLimits) -> None:
    """Raise :class:`LimitError` where a file has too many columns."""
    if count > limits.columns:
        raise LimitError(f"{count:,} columns; at most {limits.columns:,} are read", "columns")


class Gunzip:
    """The text of a gzip file as a readable stream, counted while it grows.

    Raises
    ------
    LimitError
        While reading, at the first piece that goes beyond a limit.
    """

    def __init__(self, path: Path, limits: BillLimits) -> None:
        self._stream = pa.input_stream(str(path), compression="gzip")
        self._stored, self._limits, self._count = path.stat().st_size, limits, 0
        self.closed = False

    def read(self, size: int = -1) -> bytes:
        # Never all at once, whatever is asked for.
        piece: bytes = self._stream.read(RATIO_FREE_BYTES if size < 0 else size)
        self._count += len(piece)
        refuse_expansion(self._count, self._stored, self._limits)
        return piece

    def readable(self) -> bool:
        return True

    def close(self) -> None:
        self.closed = True
        self._stream.close()


def refuse_long(batch: pa.RecordBatch, limits: BillLimits) -> int:
    """Bytes that ``batch`` has once its dictionaries are written out.

    Raises
    ------
    LimitError
        A cell is too long, or the block too large.
    """
    total = 0
    for name, column in zip(batch.schema.names, batch.columns, strict=True):
        size = sum(_text_bytes(leaf, name, limits) for leaf in _leaves(column))
        total += size or column.nbytes
        if total > limits.block_bytes:
            raise LimitError(
                f"{batch.num_rows:,} rows take more than {limits.block_bytes:,} bytes (up to column '{name[:80]}')",
                "block_bytes",
            )
    return total


def _leaves(column: pa.Array) -> list[pa.Array]:
    """Text columns of ``column``, in maps, lists and structs too."""
    kind = column.type
    if pa.types.is_map(kind):
        return [*_leaves(column.keys), *_leaves(column.items)]
    if pa.types.is_struct(kind):
        return [leaf for part in column.flatten() for leaf in _leaves(part)]
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        return _leaves(column.flatten())
    return [column] if _is_text(kind.value_type if pa.types.is_dictionary(kind) else kind) else []


def _is_text(kind: pa.DataType) -> bool:
    tests = (pa.types.is_string, pa.types.is_large_string, pa.types.is_binary, pa.types.is_large_binary)
    return any(test(kind) for test in tests)


def _text_bytes(leaf: pa.Array, name: str, limits: BillLimits) -> int:
    coded = pa.types.is_dictionary(leaf.type)
    lengths = pc.binary_length(leaf.dictionary if coded else leaf)
    longest = pc.max(lengths).as_py() or 0
    if longest > limits.cell_bytes:
        raise LimitError(
            f"a value of column '{name[:80]}' has {longest:,} bytes; at most {limits.cell_bytes:,} are read",
            "cell_bytes",
        )
    if not coded:
        return int(leaf.nbytes)
    if longest * len(leaf) < 2**20:  # cannot be much: no need to add it up
        return longest * len(leaf)
    return int(pc.sum(lengths.take(leaf.indices), min_count=0).as_py() or 0) + 4 * len(leaf)
