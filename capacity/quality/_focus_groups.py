"""Rules on how many different values go with one: kept as groups over all blocks of a bill."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from capacity.quality._focus_plan import Planned
from capacity.quality._focus_sql import Sql, quoted
from capacity.quality._focus_tally import Tally, value

GROUPED = ("distinct", "atmost")

# Groups are put together again when their table has grown by so many rows, and to twice its size.
_COMPACT_ROWS = 250_000


class Groups:
    """One table a rule: (one, other, rows, first row)."""

    def __init__(self, planned: Sequence[Planned], connection: Any) -> None:
        self._planned = tuple(planned)
        self._connection = connection
        self._sizes = [0] * len(self._planned)
        for i in range(len(self._planned)):
            connection.execute(f"CREATE TABLE groups{i} (one VARCHAR, other VARCHAR, rows BIGINT, first BIGINT)")

    def add(self, make: Callable[[], Sql]) -> None:
        """The pairs of one block."""
        for i, planned in enumerate(self._planned):
            _, one, other, _ = planned.requirement
            sql = make()
            given = sql.condition(("and", ("notnull", one), planned.condition))
            self._connection.execute(
                f"INSERT INTO groups{i} SELECT {quoted(one)}, {quoted(other)}, count(*), min(__row) "  # noqa: S608
                f"FROM {sql.relation(one, other)} WHERE {given} GROUP BY 1, 2"
            )
            self._compact(i)

    def _compact(self, i: int) -> None:
        size = self._one(f"SELECT count(*) FROM groups{i}")[0]  # noqa: S608
        if size <= max(2 * self._sizes[i], _COMPACT_ROWS):
            return
        self._connection.execute(
            f"CREATE OR REPLACE TABLE groups{i} AS "  # noqa: S608
            f"SELECT one, other, sum(rows)::BIGINT AS rows, min(first) AS first FROM groups{i} GROUP BY 1, 2"
        )
        self._sizes[i] = self._one(f"SELECT count(*) FROM groups{i}")[0]  # noqa: S608

    def finish(self, tallies: dict[str, Tally], examples: int) -> None:
        """Count the rows of groups that are not as the rule wants them."""
        for i, planned in enumerate(self._planned):
            word, one, other, wanted = planned.requirement
            tally = tallies[planned.rule.id]
            wrong = f"{'<>' if word == 'distinct' else '>'} {int(wanted)}"
            groups = f"SELECT one, count(DISTINCT other) AS others, sum(rows) AS rows, min(first) AS first FROM groups{i} GROUP BY one"  # noqa: E501, S608
            tally.of, tally.rows = (
                int(n or 0)
                for n in self._one(f"SELECT sum(rows), sum(rows) FILTER (WHERE others {wrong}) FROM ({groups})")  # noqa: S608
            )
            lines = self._connection.execute(
                f"SELECT one, first, others, (SELECT list(DISTINCT other ORDER BY other)[:3] FROM groups{i} g "  # noqa: S608
                f"WHERE g.one = t.one) FROM ({groups}) t WHERE others {wrong} ORDER BY first LIMIT {examples}"
            ).fetchall()
            tally.examples = [_shown(one, other, *line) for line in lines]

    def _one(self, sql: str) -> tuple[Any, ...]:
        found: tuple[Any, ...] = self._connection.execute(sql).fetchall()[0]
        return found


def _shown(one: str, other: str, key: str, first: int, others: int, some: list[str] | None) -> str:
    named = ", ".join(value(v) for v in some or () if v is not None)
    more = ", …" if others > len(some or ()) else ""
    return f"row {first}: {one} {value(key)} goes with {others} {other}" + (f": {named}{more}" if named else "")
