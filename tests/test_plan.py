"""plan.json: the same plan gives the same bytes, and comes back whole."""

from __future__ import annotations

import json
from dataclasses import fields
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from capacity import plan
from capacity.errors import CorruptDataError, MissingDataError
from tests.factory import make_plan


@given(st.integers(0, 6), st.integers(1, 5), st.booleans())
def test_a_plan_comes_back_whole(services: int, seed: int, ugly: bool) -> None:
    known = make_plan(services, seed, ugly=ugly)
    text = plan.to_json(known)
    again = plan.from_json(text)
    assert again == known
    assert plan.to_json(again) == text


def test_every_field_but_the_frames_is_in_the_document() -> None:
    document = json.loads(plan.to_json(make_plan(2)))
    assert set(document) == {f.name for f in fields(plan.Plan)} - {"frames"}
    assert document["schema"] == plan.SCHEMA


def test_frames_stand_beside_it_and_come_back(tmp_path: Path) -> None:
    known = make_plan(4)
    plan.write(known, tmp_path, {"seconds": 1.5})
    again = plan.read(tmp_path)
    assert set(again.frames) == set(known.frames) == set(plan.FRAMES)
    for name, columns in plan.FRAMES.items():
        assert list(again.frame(name).columns)[: len(columns)] == list(columns), name
    assert json.loads((tmp_path / "run.json").read_text())["seconds"] == 1.5
    assert not list(tmp_path.glob("*.partial"))


def test_what_is_no_plan_is_told(tmp_path: Path) -> None:
    with pytest.raises(MissingDataError, match=r"no plan\.json here"):
        plan.read(tmp_path)
    for text, says in (
        ("{", "not a plan"),
        ("[]", "not a plan"),
        ('{"schema": "capacity.plan/0"}', "this version reads"),
        ('{"schema": "capacity.plan/1"}', "not a plan"),
    ):
        with pytest.raises(CorruptDataError, match=says):
            plan.from_json(text)
