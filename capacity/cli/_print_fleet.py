"""What ``capacity plan`` prints of the optimizer's answers beside the mix; silent where nothing is known."""

from __future__ import annotations

from typing import TYPE_CHECKING

from capacity.cli import _print
from capacity.plan_rows import saving_together
from capacity.report import bought
from capacity.words import money, percent, plural

if TYPE_CHECKING:
    from capacity.plan import Plan
    from capacity.report import Table

# A terminal shows the first of each; pages, report and workbook have all.
MOST_PURCHASES = 4
MOST_PRICES = 4
MOST_ALTERNATIVES = 3


def fleet(found: Plan) -> None:
    """Commitments to buy, the price of headroom, the dearest requirements, and plans that cost nearly the same."""
    _purchases(found)
    _headroom(found)
    _requirements(found)
    _alternatives(found)


def _money(value: float | None, currency: str) -> str:
    return "–" if value is None else money(value, currency)


def _purchases(found: Plan) -> None:
    table, refused = bought.purchases(found), bought.refusals(found)
    if table.rows:
        _print.line()
        _print.table(
            _purchase_title(found, table),
            ("commitment", "in", f"{found.currency} an hour", "upfront", "used P10", "break-even", "saves"),
            [
                (r[0], r[5], f"{r[7] or 0:,.2f}", _money(r[8], found.currency), _print.percent(r[10]),
                 r[13] or "never", _money(r[14], found.currency))
                for r in table.rows[:MOST_PURCHASES]
            ],
            right=(2, 3, 4, 6),
        )  # fmt: skip
        _print.line(bought.SAVES)
    elif refused.rows:
        _print.line()
        _print.line(f"Commitments: {bought.nothing_to_buy(found)}", "bold")
    if refused.rows:
        name, reason = refused.rows[0]
        more = f"; {plural(len(refused.rows) - 1, 'more offer')}" if len(refused.rows) > 1 else ""
        _print.line(f"refused: {name}: {reason}{more}")


def _purchase_title(found: Plan, table: Table) -> str:
    """How many, and what they save in all."""
    saving, _ = saving_together(found)
    left = _left(len(table.rows), MOST_PURCHASES)
    return (
        f"{plural(len(table.rows), 'commitment')} to buy, saving {money(saving, found.currency)} over the terms{left}"
    )


def _headroom(found: Plan) -> None:
    """One line: what the fleet costs at each service level."""
    rows = [r for r in bought.cost_curve(found).rows if r[2] is not None]
    if not rows:
        return
    parts = [
        f"{r[0]} {_money(r[2], found.currency)}"
        + (f" ({percent(r[5], signed=True)})" if i and r[5] is not None else "")
        for i, r in enumerate(rows)
    ]
    _print.line()
    _print.line("The price of headroom", "bold")
    _print.line(f"  {bought.curve_said(found)}")
    _print.line(f"  {', '.join(parts)}")


def _requirements(found: Plan) -> None:
    rows = [r for r in bought.requirement_prices(found).rows if r[3] is not None and r[4] is not None]
    note = bought.not_priced(found)
    if not rows:
        if note:
            _print.line()
            _print.line(f"What requirements cost: {note}")
        return
    _print.line()
    _print.table(
        f"What one step of a requirement costs, {found.currency} a year{_left(len(rows), MOST_PRICES)}",
        ("from", "to", "requirement"),
        [(_signed(r[3]), _signed(r[4]), ": ".join(x for x in r[:3] if x)) for r in rows[:MOST_PRICES]],
        right=(0, 1),
        sentence=True,
    )
    if note:
        _print.line(note)


def _signed(value: float) -> str:
    """Whole dollars a year with a minus sign that is one."""
    return f"{'−' if value < 0 else ''}{abs(value):,.0f}"


def _alternatives(found: Plan) -> None:
    rows = bought.alternatives(found).rows
    if not rows:
        return
    _print.line()
    _print.line("Plans that cost nearly the same", "bold")
    for name, cost, extra, _, words in rows[:MOST_ALTERNATIVES]:
        more = f" ({percent(extra, signed=True)})" if extra is not None else ""
        _print.line(f"  {name}: {_money(cost, found.currency)}{more}; {words}")


def _left(rows: int, shown: int) -> str:
    return f" (the first {shown} of {rows})" if rows > shown else ""
