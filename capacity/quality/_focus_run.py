"""Run the rules over a bill, block by block, in an in-memory DuckDB."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from itertools import chain
from typing import Any

import pyarrow as pa

from capacity.errors import MissingDataError, UsageError
from capacity.quality._focus_blocks import Database, blocks, prepared
from capacity.quality._focus_compose import composed, report
from capacity.quality._focus_groups import GROUPED, Groups
from capacity.quality._focus_header import Header, read_header
from capacity.quality._focus_model import Expr, Model, columns_of, load
from capacity.quality._focus_plan import LISTED_FATAL, Planned, checked_criteria, make_plan
from capacity.quality._focus_report import FocusReport
from capacity.quality._focus_sql import Columns, Sql
from capacity.quality._focus_tally import Tally, shown


def validate_bill(
    batches: Iterable[pa.RecordBatch | pa.Table],
    *,
    version: str = "1.2",
    supported: Collection[str] | None = None,
    defaults: Collection[str] = (),
    examples: int = 3,
    where: str = "",
) -> FocusReport:
    """Judge all rows of a bill by the rules of FOCUS, block by block.

    Parameters
    ----------
    batches
        The bill's rows as the file holds them: CSV values as text with null for no value, Parquet as it is typed.
        All have the same columns. Read once, in order.
    version
        Of the rules: "1.2". Bills of 1.0 to 1.4 are judged by them: rules on columns that a bill does not have are
        listed as not executed, and ServiceProviderName (1.3) stands for ProviderName and PublisherName.
    supported
        Criteria that the provider is known to meet (``REGION_SUPPORTED``); rules that need another do not apply.
        None: every criterion may be met, so rules with criteria of their own are warnings.
    defaults
        Columns that the caller gives every row itself; their absence is a warning.
    examples
        How many rows to show a finding.
    where
        The bill, for messages.

    Returns
    -------
    FocusReport
        A finding is **fatal** where this tool cannot use the bill: a column of :data:`capacity.schemas.COST_REQUIRED`
        is absent, is null (but ServiceName) or holds no amount or time, or ChargeCategory is no listed value in any
        spelling. Other violations of MUST are **errors**, of SHOULD and RECOMMENDED **warnings**. MAY cannot be
        violated: **info** counts the rows that make use of it.

    Raises
    ------
    MissingDataError, CorruptDataError
        There is no batch. A batch has other columns than the first, a column twice, or text that is not UTF-8.
    UsageError
        No such version or criterion; ``examples`` is negative.
    """
    if examples < 0:
        raise UsageError(f"examples must be 0 or more, not {examples}")
    model = load(version)
    criteria = checked_criteria(model, supported)
    pieces = blocks(batches, where)
    first = next(pieces, None)
    if first is None:
        raise MissingDataError(f"{where or 'bill'}: no rows and no columns to judge; is the file empty?")
    header = read_header(first.schema.names, model, where)
    plan = make_plan(model, header, criteria, defaults)
    with Database() as connection:
        run = _Run(model, header, plan.run, examples, connection)
        for block in chain([first], pieces):
            run.add(prepared(block, header.found, run.rows + 1, where))
        tallies = run.finished()
    return report(where, model, header, plan, tallies, composed(model, tallies), run.rows)


@dataclass
class _Query:
    """The one query that counts all row rules over a block of some types."""

    sql: str
    # Per rule: the output columns that hold its applicable and its counted rows.
    slots: Mapping[str, tuple[int, int]]


@dataclass
class _Run:
    model: Model
    header: Header
    planned: tuple[Planned, ...]
    examples: int
    connection: Any
    rows: int = 0
    tallies: dict[str, Tally] = field(default_factory=dict)
    _queries: dict[pa.Schema, _Query] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for planned in self.planned:
            self.tallies[planned.rule.id] = self._of_names(planned) or Tally(planned)
        on_rows = [p for p in self.planned if p.requirement[0] not in ("present", "header")]
        self._row_rules = [p for p in on_rows if p.requirement[0] not in GROUPED]
        self._groups = Groups([p for p in on_rows if p.requirement[0] in GROUPED], self.connection)

    def _of_names(self, planned: Planned) -> Tally | None:
        """Rules about columns are answered by the header alone."""
        word, *given = planned.requirement
        if word == "present":
            absent = not self.header.has(given[0])
            return Tally(planned, of=1, rows=int(absent if planned.severity != "info" else 0))
        if word != "header":
            return None
        faults, of = self.header.checked(given[0])
        return Tally(planned, of=of, rows=len(faults), examples=list(faults[: self.examples]))

    def add(self, block: pa.Table) -> None:
        """Count one block, and look up examples where rules need some."""
        if block.num_rows:
            self.connection.register("block", block)
            columns = Columns({c: block.schema.field(c).type for c in self.header.found})
            self._count(block.schema, columns)
            self._groups.add(lambda: Sql(self.model, columns))
            self.connection.unregister("block")
        self.rows += block.num_rows

    def _count(self, schema: pa.Schema, columns: Columns) -> None:
        if schema not in self._queries:
            self._queries[schema] = self._query(columns)
        query = self._queries[schema]
        found = self.connection.execute(query.sql).fetchall()[0]
        for planned in self._row_rules:
            tally = self.tallies[planned.rule.id]
            of, rows = (int(found[i]) for i in query.slots[planned.rule.id])
            tally.of += of
            tally.rows += rows
            if rows and len(tally.examples) < self.examples:
                self._show(planned, tally, columns)
        if LISTED_FATAL in query.slots:
            self.tallies[LISTED_FATAL].unreadable += int(found[query.slots[_UNREADABLE][1]])

    def _query(self, columns: Columns) -> _Query:
        """Every count once, however many rules ask for it."""
        sql = Sql(self.model, columns)
        outputs: dict[str, int] = {}

        def slot(predicate: str) -> int:
            return outputs.setdefault(f"count_if({predicate})", len(outputs))

        slots = {}
        for planned in self._row_rules:
            condition = sql.condition(planned.condition)
            slots[planned.rule.id] = (slot(condition), slot(counted(sql, planned)))
        if LISTED_FATAL in slots:
            listed = self.model.by_id[LISTED_FATAL].requirement or ()
            unreadable = sql.requirement(("loosely", listed[1], tuple(_folded(v) for v in listed[2])))
            slots[_UNREADABLE] = (0, slot(f"({unreadable} IS FALSE)"))
        return _Query(f"SELECT {', '.join(outputs)} FROM {sql.relation()}", slots)  # noqa: S608

    def _show(self, planned: Planned, tally: Tally, columns: Columns) -> None:
        sql = Sql(self.model, columns)
        predicate = counted(sql, planned)
        involved = _involved(planned)
        texts = ", ".join(["__row", *(f'"{c}"' for c in involved)])
        wanted = self.examples - len(tally.examples)
        lines = self.connection.execute(
            f"SELECT {texts} FROM {sql.relation(*involved)} WHERE {predicate} ORDER BY __row LIMIT {wanted}"  # noqa: S608
        ).fetchall()
        tally.examples += [shown(planned.requirement, involved, line) for line in lines]

    def finished(self) -> dict[str, Tally]:
        """All counts, after the last block."""
        self._groups.finish(self.tallies, self.examples)
        return self.tallies


_UNREADABLE = "unreadable"


def _folded(value: str) -> str:
    return value.lower().replace("-", "").replace(" ", "").replace("_", "")


def counted(sql: Sql, planned: Planned) -> str:
    """The rows that a finding counts: violations, or for MAY the rows that make use of it."""
    wanted = "TRUE" if planned.rule.keyword == "MAY" else "FALSE"
    return f"({sql.condition(planned.condition)} AND {sql.requirement(planned.requirement)} IS {wanted})"


def _involved(planned: Planned) -> tuple[str, ...]:
    expr: Expr = planned.requirement
    if expr[0] == "each":
        return tuple(e[1] for e in expr[1:])
    return tuple(dict.fromkeys((*columns_of(expr), *columns_of(planned.condition))))
