"""Two bills between which one thing changed: the change is whole in its own term, and nothing is in any other."""

from __future__ import annotations

from decimal import Decimal

import pytest

from capacity.config import CostsConfig
from capacity.costs import TERMS, Bridge, attribute, bridge
from fixtures.bridge_cases import AFTER, BEFORE, CASES, SERVICE, Case

RULES = CostsConfig.model_validate({"rules": [{"name": "s", "service": SERVICE, "match": {"SubAccountId": SERVICE}}]})


def bridged(case: Case, *, back: bool = False) -> Bridge:
    found = attribute(case.bill, RULES, [SERVICE])
    months, units = (BEFORE, AFTER), case.units
    if back:
        months, units = months[::-1], units[::-1]
    return bridge(found, found, months, *({SERVICE: u} for u in units), case.skus)


@pytest.mark.parametrize("case", CASES, ids=lambda c: c.name)
def test_a_single_change_lands_whole_in_its_own_term(case: Case) -> None:
    total = bridged(case).total().iloc[0]
    expected = {t: case.change if t == case.term else Decimal(0) for t in TERMS}
    assert {t: total[t] for t in TERMS} == expected
    assert total["end"] - total["start"] == case.change
    assert (case.change != 0) == (case.term is not None)


@pytest.mark.parametrize("case", CASES, ids=lambda c: c.name)
def test_taken_back_it_is_the_same_amount_in_the_same_term(case: Case) -> None:
    total = bridged(case, back=True).total().iloc[0]
    assert {t: total[t] for t in TERMS} == {t: -case.change if t == case.term else Decimal(0) for t in TERMS}


def test_every_term_has_cases() -> None:
    assert {c.term for c in CASES} == {*TERMS, None}
