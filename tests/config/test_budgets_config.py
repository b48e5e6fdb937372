"""Budgets in the config: for what, by whom, and what is refused with its line."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

from capacity import config
from capacity.errors import ConfigError

HEAD = """\
version: 1
company: Acme
tiers: [{name: t, service_level: 0.9}]
services:
  - {name: search, tier: t, team: find, regions: [us-east-1]}
  - {name: cart, tier: t, team: buy, regions: [us-east-1]}
budgets:
"""


def load(folder: Path, *lines: str) -> config.Config:
    path = folder / "c.yaml"
    path.write_text(HEAD + "".join(f"  - {line}\n" for line in lines), encoding="utf-8")
    return config.load(path)


def problems(folder: Path, *lines: str) -> list[str]:
    with pytest.raises(ConfigError) as error:
        load(folder, *lines)
    return [p.removeprefix(f"{folder / 'c.yaml'}:") for p in error.value.problems]


def test_a_budget_is_of_a_period_and_of_someone(tmp_path: Path) -> None:
    found = load(
        tmp_path,
        "{month: 2026-10, amount: 1000.10}",
        "{quarter: 2026-Q4, team: buy, amount: 5, currency: USD}",
        "{year: 2027, service: search, amount: 7, includes: all}",
    ).budgets
    assert [(b.period_kind, b.period, b.level, b.name, b.includes) for b in found] == [
        ("month", "2026-10", "company", "", "running"),
        ("quarter", "2026-Q4", "team", "buy", "running"),
        ("year", "2027", "service", "search", "all"),
    ]
    assert found[0].amount == Decimal("1000.10")


def test_two_budgets_for_the_same_thing_are_refused_on_the_second_ones_line(tmp_path: Path) -> None:
    assert problems(
        tmp_path,
        "{month: 2026-10, amount: 5}",
        "{month: 2026-10, team: buy, amount: 5}",
        "{month: 2026-10, amount: 6, includes: all}",
    ) == [
        "10: budgets.2: a second budget of the company for 2026-10: 5 is given before, 6 here; keep one of them"
    ]  # fmt: skip


def test_unknown_names_get_the_nearest_known_one_each_with_its_line(tmp_path: Path) -> None:
    assert problems(
        tmp_path, "{year: 2027, service: serch, amount: 1}", "{quarter: 2026-Q4, team: by, amount: 1}"
    ) == [
        "8: budgets.0.service: no service is called 'serch'; did you mean 'search'?",
        "9: budgets.1.team: no team is called 'by'; did you mean 'buy'?",
    ]  # fmt: skip


def test_other_currencies_are_not_compared(tmp_path: Path) -> None:
    (text,) = problems(tmp_path, "{month: 2026-10, amount: 5, currency: EUR}")
    assert text.startswith("8: budgets.0.currency: found EUR; spend is forecast in the company's currency, USD")


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("{amount: 5}", "give exactly one of month"),
        ("{month: 2026-10, year: 2026, amount: 5}", "give exactly one of month"),
        ("{month: 2026-13, amount: 5}", "found '2026-13'"),
        ("{quarter: 2026-Q5, amount: 5}", "found '2026-Q5'"),
        ("{month: 2026-10, team: buy, service: cart, amount: 5}", "give a team or a service, not both"),
        ("{month: 2026-10, amount: -5}", "found -5"),
    ],
)
def test_what_means_nothing_is_refused(tmp_path: Path, line: str, words: str) -> None:
    (text,) = problems(tmp_path, line)
    assert text.startswith("8: budgets.0")
    assert words in text
