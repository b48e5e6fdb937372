"""What the terminal says of commitments, headroom, requirements and alternatives; silent where nothing is known."""

from __future__ import annotations

from dataclasses import replace

import pytest

from capacity.cli import _print_fleet
from capacity.plan import Plan
from capacity.report import bought
from tests.factory import known_plan
from tests.factory_planned import ALTERNATIVES, REFUSED, planned

MOST_LINES = 33


def printed(plan: Plan, capsys: pytest.CaptureFixture[str]) -> str:
    _print_fleet.fleet(plan)
    return capsys.readouterr().out


def test_each_answer_is_there_and_all_is_short(capsys: pytest.CaptureFixture[str]) -> None:
    text = printed(planned(known_plan()), capsys)
    for wanted in ("4 commitments to buy, saving $", bought.SAVES, "Compute Savings Plan, 3 y, all upfront", "2027-06",
                   "92%", "with the types of this plan", "Not tried: tier critical", REFUSED[1][1],
                   "P50 $", "P95 $", "(+9.9%)", "44,800", "checkout · us-east-1: zones survived: 1 zone more",
                   *ALTERNATIVES):  # fmt: skip
        assert wanted in text
    assert "inf" not in text
    assert text.count("\n") <= MOST_LINES


def test_an_older_plan_prints_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    assert printed(known_plan(), capsys) == ""
    assert printed(planned(known_plan(services=0)), capsys) == ""


def test_offers_that_were_all_refused_are_said(capsys: pytest.CaptureFixture[str]) -> None:
    full = planned(known_plan())
    text = printed(replace(full, frames={**full.frames, "purchases": full.frame("purchases").head(0)}), capsys)
    assert bought.NO_OFFER in text
    assert f"refused: {REFUSED[1][0]}: {REFUSED[1][1]}; 1 more offer" in text


def test_hostile_words_stay_words(capsys: pytest.CaptureFixture[str]) -> None:
    text = printed(planned(known_plan(ugly=True), ugly=True), capsys)
    assert "\u202e" not in text
    assert "\x1b" not in text
