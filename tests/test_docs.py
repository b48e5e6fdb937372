"""The docs are held to the tool: every command is described, every example loads."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from capacity import config, scenario, strict_yaml
from capacity.cli._app import build

ROOT = Path(__file__).resolve().parents[1]
DOCS = sorted([ROOT / "README.md", *(ROOT / "docs").rglob("*.md")])


def examples() -> list[tuple[str, str]]:
    found = []
    for path in DOCS:
        for i, text in enumerate(re.findall(r"```yaml\n(.*?)```", path.read_text(encoding="utf-8"), re.DOTALL)):
            found.append((f"{path.name}#{i + 1}", text))
    return found


@pytest.mark.parametrize(("where", "text"), examples(), ids=[w for w, _ in examples()])
def test_every_yaml_in_the_docs_loads(where: str, text: str) -> None:
    document = strict_yaml.loads(text, where)
    model = config.Config if "version" in document.data else scenario.Scenario
    assert config.validate(model, document)


def test_every_command_says_what_it_reads_writes_and_exits_with() -> None:
    text = (ROOT / "docs" / "commands.md").read_text(encoding="utf-8")
    headings = " ".join(line for line in text.splitlines() if line.startswith("## capacity"))
    for command in build().commands:
        assert re.search(rf"\b{command}\b", headings), command
    for code in ("| 0 |", "| 1 |", "| 2 |", "| 3 |", "| 4 |", "| 70 |"):
        assert code in text


def test_links_between_the_docs_lead_somewhere() -> None:
    for path in DOCS:
        for target in re.findall(r"\]\(([^)#:]+)\)", path.read_text(encoding="utf-8")):
            assert (path.parent / target).exists(), f"{path.name}: {target}"


@pytest.mark.parametrize("path", sorted((ROOT / "configs").glob("*.yaml")), ids=lambda p: p.stem)
def test_every_bundled_config_loads(path: Path) -> None:
    assert config.load(path).services
