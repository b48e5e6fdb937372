"""Scenarios as files: they read back the same, and nobody's change is ever lost."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given

from capacity import config, scenario, strict_yaml
from capacity.errors import ChangedError, ConfigError, UsageError
from tests.scenario import kit

Scenario = scenario.Scenario
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def settings(tmp_path: Path) -> config.Config:
    return kit.settings_in(tmp_path)


def said(name: str, **more: Any) -> Scenario:
    return Scenario.model_validate({"name": name, "growth": [{"multiplier": 1.5}], **more})


@given(kit.scenarios)
def test_what_is_written_reads_back_equal(made: Scenario) -> None:
    text = scenario.to_yaml(made)
    assert Scenario.model_validate(strict_yaml.loads(text).data) == made
    assert scenario.to_yaml(Scenario.model_validate(strict_yaml.loads(text).data)) == text


@given(kit.scenarios)
def test_what_is_saved_is_stored(made: Scenario) -> None:
    with tempfile.TemporaryDirectory() as folder:
        settings = kit.settings_in(Path(folder))
        kept = scenario.save(made, settings)
        assert kept.scenario == made
        assert kept.path.parent == Path(folder) / "company.scenarios"
        assert scenario.load_named(settings, [made.name]) == (made,)


@given(kit.texts)
def test_any_plain_text_survives(text: str) -> None:
    assert strict_yaml.loads(strict_yaml.dumps({"a": text, "b": [text]})).data == {"a": text, "b": [text]}


def test_only_what_is_given_is_written_in_one_order() -> None:
    made = Scenario.model_validate(
        {"policy": {"tiers": [{"name": "critical", "service_level": 0.99}]}, "growth": [{"multiplier": 2}],
         "commitments": {"max_break_even_months": {"3": 12.0}}, "note": "1e5", "name": "n"}
    )  # fmt: skip
    assert scenario.to_yaml(made) == (
        "name: n\nnote: '1e5'\ngrowth:\n- {multiplier: 2}\npolicy:\n  tiers:\n"
        "  - {name: critical, service_level: 0.99}\ncommitments:\n  max_break_even_months: {3: 12}\n"
    )


@given(kit.names)
def test_no_name_leads_out_of_the_folder(name: str) -> None:
    made = scenario.file_name(name)
    assert Path(made).name == made
    assert made == made.lstrip(".")
    assert len(made.encode()) < 230
    assert not set(made) & set('/\\:*?"<>|\0')


@pytest.mark.parametrize("name", ["../../etc/passwd", "/etc/passwd", "..", "a/../../b", "C:\\x", "~root", "a\0b"])
def test_a_hostile_name_is_kept_in_the_folder(settings: config.Config, name: str, tmp_path: Path) -> None:
    kept = scenario.save(said(name), settings)
    assert kept.path.parent == tmp_path / "company.scenarios"
    assert {p.parent for p in tmp_path.rglob("*.yaml")} == {tmp_path, tmp_path / "company.scenarios"}
    assert scenario.load_named(settings, [name])[0].name == name if not name.endswith(".yaml") else True


def test_very_long_names_that_begin_alike_are_two_files(settings: config.Config) -> None:
    names = ["é" * 119 + end for end in "ab"]
    kept = [scenario.save(said(n), settings) for n in names]
    assert kept[0].path != kept[1].path


# --- changes -----------------------------------------------------------------------------------------------


def test_a_change_keeps_the_version_before(settings: config.Config) -> None:
    first = scenario.save(said("n", author="Ada"), settings)
    second = scenario.save(said("n", author="Bea"), settings, first)
    assert second.path == first.path
    assert second.scenario.author == "Bea"
    backups = [p.read_text() for p in first.path.parent.glob("*.bak")]
    assert backups == [first.text]
    third = scenario.save(first.scenario, settings, second)
    scenario.save(said("n", author="Cyd"), settings, third)
    assert {p.read_text() for p in first.path.parent.glob("*.bak")} == {first.text, second.text}


def test_a_file_that_changed_since_it_was_read_is_left_alone(settings: config.Config) -> None:
    read = scenario.save(said("n", author="Ada"), settings)
    theirs = scenario.save(said("n", author="Bea"), settings, read)
    with pytest.raises(ChangedError, match="was written by somebody else since it was read") as error:
        scenario.save(said("n", author="Cyd"), settings, read)
    assert error.value.theirs == theirs.text == read.path.read_text()
    assert "author: Cyd" in error.value.mine
    read.path.unlink()
    with pytest.raises(ChangedError, match="is gone since it was read"):
        scenario.save(said("n", author="Cyd"), settings, theirs)
    assert not read.path.exists()


@pytest.mark.parametrize("name", ["n", "N", " n!"])
def test_a_new_one_never_takes_another_s_name(settings: config.Config, name: str) -> None:
    kept = scenario.save(said("n", author="Ada"), settings)
    with pytest.raises(ChangedError, match="is the scenario 'n' already"):
        scenario.save(said(name, author="Bea"), settings)
    assert kept.path.read_text() == kept.text


def test_a_file_that_is_no_scenario_is_not_written_over(settings: config.Config) -> None:
    scenario.home(settings).mkdir()
    path = scenario.home(settings) / "n.yaml"
    path.write_text("my own notes: [")
    with pytest.raises(ChangedError, match="is there already"):
        scenario.save(said("n"), settings)
    assert path.read_text() == "my own notes: ["


def test_what_does_not_hold_is_not_written(settings: config.Config) -> None:
    wrong = Scenario.model_validate({"name": "n", "growth": [{"services": ["webb"], "multiplier": 2}]})
    with pytest.raises(ConfigError, match="no service 'webb'"):
        scenario.save(wrong, settings)
    with pytest.raises(ConfigError, match="is the config itself"):
        scenario.save(scenario.base(), settings)
    assert not list(scenario.home(settings).glob("*.yaml"))


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_may_not_be_written_to_is_said(settings: config.Config) -> None:
    scenario.home(settings).mkdir(mode=0o500)
    with pytest.raises(UsageError, match="cannot be kept there"):
        scenario.save(said("n"), settings)


def test_a_folder_that_cannot_be_made_is_said(settings: config.Config) -> None:
    scenario.home(settings).write_text("a file in its place")
    with pytest.raises(UsageError, match=r"cannot be kept there: .*copy the YAML into a file of your own"):
        scenario.save(said("n"), settings)


def test_nothing_is_left_behind(settings: config.Config) -> None:
    kept = scenario.save(said("n"), settings)
    scenario.save(said("n", author="Ada"), settings, kept)
    left = sorted(p.name for p in scenario.home(settings).iterdir())
    assert left == [".scenarios.lock", "n.yaml", f"n.yaml.{kept.digest[:10]}.bak"]


def test_comments_are_told_before_they_are_lost(settings: config.Config) -> None:
    scenario.home(settings).mkdir()
    path = scenario.home(settings) / "n.yaml"
    path.write_text("# why\nname: n   # short\nnote: 'no # comment'\ndescription: |\n  # nor this\n# end\n")
    assert scenario.stored(path, settings).comments == ("# why", "# short", "# end")


# --- at once -----------------------------------------------------------------------------------------------


def _try(settings: config.Config, author: str, read: scenario.Stored | None) -> str:
    try:
        scenario.save(said("n", author=author), settings, read)
    except ChangedError:
        return "refused"
    return author


@pytest.mark.parametrize("is_new", [True, False])
def test_of_threads_that_save_at_once_one_wins(settings: config.Config, is_new: bool) -> None:
    read = None if is_new else scenario.save(said("n", author="first"), settings)
    with ThreadPoolExecutor(8) as pool:
        ended = Counter(pool.map(lambda i: _try(settings, f"author {i}", read), range(16)))
    assert ended["refused"] == 15
    winner = next(a for a in ended if a != "refused")
    assert scenario.load_named(settings, ["n"])[0].author == winner
    assert len(list(scenario.home(settings).glob("*.bak"))) == (0 if is_new else 1)


WRITER = """
import sys
from pathlib import Path
from capacity import config, scenario
from capacity.errors import ChangedError
settings, author, count = config.load(sys.argv[1]), sys.argv[2], int(sys.argv[3])
path = scenario.home(settings) / "n.yaml"
for i in range(count):
    while True:
        read = scenario.stored(path, settings)
        note = f"{read.scenario.note} {author}{i}".strip()
        try:
            scenario.save(read.scenario.model_copy(update={"note": note}), settings, read)
            break
        except ChangedError:
            pass
"""


def test_processes_that_read_and_write_lose_nothing(settings: config.Config) -> None:
    """Each adds its words to what it read; with one lost write a word would be missing."""
    scenario.save(said("n"), settings)
    command = [sys.executable, "-c", WRITER, str(settings.path)]
    both = [subprocess.Popen([*command, author, "12"], cwd=ROOT) for author in "ab"]
    assert [one.wait(120) for one in both] == [0, 0]
    note = scenario.load_named(settings, ["n"])[0].note
    assert sorted(note.split()) == sorted(f"{a}{i}" for a in "ab" for i in range(12))
    assert len(list(scenario.home(settings).glob("*.bak"))) == 24


def test_a_new_text_that_cannot_be_linked_is_copied(settings: config.Config, monkeypatch: pytest.MonkeyPatch) -> None:
    """Some file systems know no links; what stands there is still never written over."""

    def refuse(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)
    kept = scenario.save(said("n"), settings)
    scenario.save(said("n", author="Ada"), settings, kept)
    assert [p.read_text() for p in kept.path.parent.glob("*.bak")] == [kept.text]
    scenario.home(settings).joinpath("m.yaml").write_text("theirs: [")
    with pytest.raises(ChangedError):
        scenario.save(said("m"), settings)
