"""Decisions are kept as files that nobody writes over."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from capacity import decisions
from capacity.errors import CorruptDataError, UsageError
from capacity.plan import Finding

AT = datetime(2026, 10, 6, 9, tzinfo=UTC)
AS_OF = datetime(2026, 10, 5, 12, tzinfo=UTC)
FINDING = Finding("act", "order", "search passes its quota; ask by 1 Nov", "search", "us-east-1", date(2026, 11, 1))


def _decision(**changes: object) -> decisions.Decision:
    made = decisions.about(FINDING, "approved", "Ada", "the quota is free", at=AT, as_of=AS_OF)
    return replace(made, **changes)  # type: ignore[arg-type]


def test_a_decision_is_read_back_as_it_was_made(tmp_path: Path) -> None:
    made = _decision()
    assert decisions.record(tmp_path, made).name == f"{made.id}.json"
    assert decisions.read(tmp_path) == (made,)
    assert made.by == date(2026, 11, 1)


def test_a_change_of_mind_is_a_new_file_and_the_newest_holds(tmp_path: Path) -> None:
    first, then = _decision(), _decision(status="rejected", at=AT + timedelta(hours=1), reason="too dear")
    for one in (then, first, first):
        decisions.record(tmp_path, one)
    found = decisions.read(tmp_path)
    assert found == (first, then)
    assert decisions.standing(found) == {("order", "search", "us-east-1", "search passes its quota; ask by"): then}


def test_two_people_at_the_same_moment_lose_nothing(tmp_path: Path) -> None:
    decisions.record(tmp_path, _decision())
    decisions.record(tmp_path, _decision(author="Bea", status="rejected"))
    assert len(decisions.read(tmp_path)) == 2


@pytest.mark.parametrize(
    ("changes", "words"),
    [({"status": "maybe"}, "allowed: proposed"), ({"author": " "}, "author"), ({"reason": ""}, "reason")],
)
def test_a_decision_that_says_too_little_is_refused(changes: dict[str, object], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        _decision(**changes)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"topic": 1}'])
def test_a_file_that_is_no_decision_is_named(tmp_path: Path, text: str) -> None:
    (tmp_path / decisions.FOLDER).mkdir()
    (tmp_path / decisions.FOLDER / "x.json").write_text(text)
    with pytest.raises(CorruptDataError, match=r"x\.json"):
        decisions.read(tmp_path)


@given(st.text(min_size=1, max_size=80).filter(str.strip), st.text(min_size=1, max_size=80).filter(str.strip))
def test_any_words_survive(tmp_path_factory: pytest.TempPathFactory, author: str, reason: str) -> None:
    folder = tmp_path_factory.mktemp("words")
    made = _decision(author=author, reason=reason)
    decisions.record(folder, made)
    assert decisions.read(folder) == (made,)
