"""Corrections that come as differences: folded into the rows that they correct.

Two rows are of one *identity* where all columns agree but the amounts, the quantities, the description and the file.

* ``ledger``: a row of a new file whose identity is already there is a difference to it. All rows of that identity
  become one, with their exact sums.
* ``delta``: a row of a new file that negates a row from before it, exactly and in all amounts and quantities, cancels
  it, one for one; what the file has beside such rows is new. Only a negative row that finds no row to cancel, but a
  positive one of its identity, is a difference to that.

A row whose amounts and quantities all come to zero by this is gone. What no new row touches stays as it is: two rows of
one identity in one file are two charges, and a charge and its refund stay two rows. The state after a file depends on
the state before it and on the file alone, so files may be folded in one go or in many.
"""

# ruff: noqa: S608 - every name in the SQL is a column of the schema or a constant of this file; paths are quoted

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from capacity.schemas import COST, COST_MONEY

MEASURES: tuple[str, ...] = (*COST_MONEY, "PricingQuantity", "ConsumedQuantity", "CommitmentDiscountQuantity")
# What tells of the delivery, not of the charge; of rows that become one the oldest is kept.
_TOLD: tuple[str, ...] = ("file", "ChargeDescription")
IDENTITY: tuple[str, ...] = tuple(c for c in COST.columns if c not in MEASURES and c not in _TOLD)
# What DuckDB holds before it goes to the folder: small corrections never touch the disk, large ones never fill memory.
_MEMORY_LIMIT = "1GB"

_ALL = ", ".join(f'"{c}"' for c in COST.columns)
_ID = ", ".join(f'"{c}"' for c in IDENTITY)
_HASH = f"hash({_ID})"
# +1 or -1 by the first amount that is not zero: a row and its negation differ in it, and agree in all amounts times it.
_SIGN = "(CASE " + " ".join(f'WHEN "{c}" <> 0 THEN sign("{c}")' for c in MEASURES) + " ELSE 0 END)"
_FACED = ", ".join(f'CASE WHEN _sign < 0 THEN -"{c}" ELSE "{c}" END' for c in MEASURES)
# Which identities become one row, over the rows of an identity.
_ONE = {
    "ledger": "bool_or(_new) OVER w AND bool_or(NOT _new) OVER w",
    "delta": f"bool_or(_new AND {_SIGN} < 0) OVER w AND bool_or(NOT _new AND {_SIGN} > 0) OVER w",
}


@dataclass(frozen=True)
class Folded:
    """The rows after the corrections as a Parquet file, and how many of the rows before stand in it untouched."""

    path: Path
    untouched: int


def fold(before: Path | None, files: Sequence[Sequence[Path]], mode: str, folder: Path) -> Folded:
    """Fold new ``files`` (each some Parquet files of canonical rows), in their order, into the rows ``before``.

    Parameters
    ----------
    mode
        ``ledger`` or ``delta``.
    folder
        Where to work; ends up with the result.
    """
    import duckdb

    out = folder / "folded.parquet"
    config = {
        "memory_limit": _MEMORY_LIMIT, "threads": "2", "temp_directory": str(folder / "duckdb"),
        "autoload_known_extensions": "false", "autoinstall_known_extensions": "false",
    }  # fmt: skip
    with duckdb.connect(":memory:", config=config) as connection:
        untouched = _load(connection, before, files)
        for stage, paths in enumerate(files, 1):
            _step(connection, paths, stage, mode)
        _write(connection, before, out)
    return Folded(out, untouched)


def _load(run: Any, before: Path | None, files: Sequence[Sequence[Path]]) -> int:
    """``touched``: hashes of what comes; ``held``: the rows that a file may fold, from ``before`` those of one hash."""
    run.execute(
        f"CREATE TABLE touched AS SELECT DISTINCT {_HASH} AS _hash FROM {_parquet(p for f in files for p in f)}"
    )
    source = f"SELECT {_ALL}, {_HASH} AS _hash, 0 AS _stage FROM "
    if before is None:
        run.execute(f"CREATE TABLE held AS {source} {_parquet(files[0])} WHERE false")
        return 0
    rows = _parquet([before])
    run.execute(f"CREATE TABLE held AS SELECT * FROM ({source} {rows}) WHERE _hash IN (SELECT _hash FROM touched)")
    count = run.execute(f"SELECT count(*) FROM {rows} WHERE {_HASH} NOT IN (SELECT _hash FROM touched)").fetchone()
    return int(count[0])


def _step(run: Any, paths: Sequence[Path], stage: int, mode: str) -> None:
    """Fold one file into ``held``."""
    run.execute(f"CREATE TEMP TABLE fresh AS SELECT {_ALL}, {_HASH} AS _hash, {stage} AS _stage FROM {_parquet(paths)}")
    run.execute("CREATE TEMP TABLE meeting AS SELECT DISTINCT _hash FROM fresh SEMI JOIN held USING (_hash)")
    run.execute(
        "CREATE TEMP TABLE work AS SELECT *, false AS _new FROM held WHERE _hash IN (SELECT _hash FROM meeting) "
        "UNION ALL SELECT *, true FROM fresh WHERE _hash IN (SELECT _hash FROM meeting)"
    )
    run.execute("DELETE FROM held WHERE _hash IN (SELECT _hash FROM meeting)")
    run.execute("INSERT INTO held SELECT * FROM fresh WHERE _hash NOT IN (SELECT _hash FROM meeting)")
    if mode == "delta":
        _cancel(run)
    _net(run, mode)
    for table in ("fresh", "meeting", "work"):
        run.execute(f"DROP TABLE {table}")


def _cancel(run: Any) -> None:
    """Take out of ``work`` each new row that negates an old one exactly, together with that one."""
    run.execute(f"""
        CREATE TEMP TABLE ranked AS
        SELECT *,
            count(*) FILTER (_sign > 0 AND NOT _new) OVER g AS old_up,
            count(*) FILTER (_sign > 0 AND _new) OVER g AS new_up,
            count(*) FILTER (_sign < 0 AND NOT _new) OVER g AS old_down,
            count(*) FILTER (_sign < 0 AND _new) OVER g AS new_down,
            row_number() OVER (
                PARTITION BY {_ID}, {_FACED}, _sign, _new ORDER BY _stage, "file", "ChargeDescription") AS _rank
        FROM (SELECT *, {_SIGN} AS _sign FROM work)
        WINDOW g AS (PARTITION BY {_ID}, {_FACED})
    """)
    run.execute(f"""
        CREATE TEMP TABLE kept AS SELECT {_ALL}, _hash, _stage, _new FROM ranked
        WHERE _sign = 0 OR _rank > CASE WHEN (_sign > 0) = _new THEN least(new_up, old_down)
            ELSE least(new_down, old_up) END
    """)
    for sql in ("DROP TABLE ranked", "DROP TABLE work", "ALTER TABLE kept RENAME TO work"):
        run.execute(sql)


def _net(run: Any, mode: str) -> None:
    """Put ``work`` back into ``held``: an identity that a new row corrects as one row, or none where all is zero."""
    run.execute(
        f"CREATE TEMP TABLE judged AS SELECT *, {_ONE[mode]} AS _one FROM work WINDOW w AS (PARTITION BY {_ID})"
    )
    run.execute(f"INSERT INTO held SELECT {_ALL}, _hash, _stage FROM judged WHERE NOT _one")
    values = {c: f'sum("{c}")' for c in MEASURES}
    zero = " AND ".join(f"coalesce({v}, 0) = 0" for v in values.values())
    oldest = """min({'stage': _stage, 'file': "file", 'told': "ChargeDescription"})"""
    values |= {"file": f"{oldest}.file", "ChargeDescription": f"{oldest}.told"}
    picked = ", ".join(f'{values[c]} AS "{c}"' if c in values else f'"{c}"' for c in COST.columns)
    run.execute(
        f"INSERT INTO held SELECT {picked}, _hash, min(_stage) FROM judged WHERE _one "
        f"GROUP BY {_ID}, _hash HAVING NOT ({zero})"
    )
    run.execute("DROP TABLE judged")


def _write(run: Any, before: Path | None, out: Path) -> None:
    rows = f"SELECT {_ALL} FROM held"
    if before is not None:
        rest = f"SELECT {_ALL} FROM {_parquet([before])} WHERE {_HASH} NOT IN (SELECT _hash FROM touched)"
        rows = f"{rest} UNION ALL {rows}"
    run.execute(f"COPY ({rows}) TO {_text(str(out))} (FORMAT parquet, COMPRESSION snappy)")


def _parquet(paths: Iterable[Path]) -> str:
    return f"read_parquet([{', '.join(_text(str(p)) for p in paths)}])"


def _text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"
