"""Under the editor: what is wrong, the YAML that will be written, another's change, and the buttons that save."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import streamlit as st

from capacity import scenario, strict_yaml
from capacity.config import Config
from capacity.errors import CapacityError, ConfigError
from capacity.scenario import Checked, Fault, Scenario, Stored
from capacity.ui import _edit_rows as edit
from capacity.ui import _format as fmt
from capacity.ui import _widgets as ui

_MOST_FAULTS = 12
_MOST_LINES, _LINE_PX = 16, 21  # of YAML before it scrolls
_TITLES = {p.key: p.title for p in edit.PARTS} | {"failure": "Loss", "commitments": "Commitments"}


@dataclass(frozen=True)
class Written:
    """What the editor holds: its YAML, and what the models say of it."""

    text: str
    checked: Checked

    @property
    def faults(self) -> tuple[Fault, ...]:
        return self.checked.faults


def read(plain: dict[str, Any], config: Config) -> Written:
    """``plain`` as YAML, read back as ``capacity plan`` reads it."""
    text = strict_yaml.dumps(plain)
    try:
        checked = scenario.check(strict_yaml.loads(text), config)
    except ConfigError as error:  # characters that no YAML holds
        checked = Checked(None, tuple(Fault("", 1, p) for p in error.problems))
    return Written(scenario.to_yaml(checked.scenario) if checked.scenario else text, checked)


def faults(written: Written) -> None:
    """All faults at once, each by its part, its line of the YAML below and its key, with what is allowed."""
    found = written.faults
    if not found:
        return
    if _only_nameless(found):
        st.caption("Give it a name to save it.")
        return
    texts = [f"{_TITLES.get(f.part, 'Above')}, line {f.line}: {f.text}" for f in found]
    more = [f"and {len(texts) - _MOST_FAULTS} more"] if len(texts) > _MOST_FAULTS else []
    ui.problem(f"{fmt.count(len(found), 'fault')} to mend before it can be saved", texts[:_MOST_FAULTS] + more)


def _only_nameless(found: Sequence[Fault]) -> bool:
    """A new one that nobody has named yet: not worth an alarm."""
    return len(found) == 1 and found[0].text.startswith("name: missing")


def shown(path: Path, config: Config) -> str:
    """A file as the config would name it: who reads the page need not know the server's folders."""
    folder = config.path.parent
    return str(path.relative_to(folder) if path.is_relative_to(folder) else path)


def preview(written: Written, opened: Stored | None, config: Config) -> None:
    """The YAML, and what its writing does to the file that is there.

    Without colours: those of the highlighter are too pale to read on a projector.
    """
    path = opened.path if opened else None
    with st.expander("The YAML that will be written", icon=":material/code:", expanded=True):
        if path is None and written.checked.scenario is not None:
            path = scenario.home(config) / scenario.file_name(written.checked.scenario.name)
        if path is not None:
            st.text(f"To {shown(path, config)}")
        long = written.text.count("\n") > _MOST_LINES
        st.code(written.text, language=None, line_numbers=True, wrap_lines=True,
                height=_MOST_LINES * _LINE_PX if long else "content")  # fmt: skip
    if opened is not None and opened.comments:
        st.warning(
            fmt.plain(
                f"The file has {fmt.count(len(opened.comments), 'comment')}, which a save does not keep. The version "
                f"of now stays beside it as {opened.path.name}.{opened.digest[:10]}.bak."
            ),
            icon=":material/info:",
        )


def changed_by_another(opened: Stored | None) -> str | None:
    """The file's text where it is no longer what was opened; empty where the file is gone."""
    if opened is None:
        return None
    try:
        text = opened.path.read_bytes().decode("utf-8", errors="replace")
    except OSError:
        return ""
    return None if scenario.digest(text) == opened.digest else text


def clash(theirs: str, written: Written, reload: Callable[[], None], keep: Callable[[], None]) -> None:
    """Another wrote the file: who, what differs, and the choice. Neither version is lost."""
    with st.container(border=True):
        gone = "The file was deleted since you opened it"
        st.warning(
            "Nothing of yours is lost: it stands in the fields. Save it under another name, or read the file again.",
            title=f"{_author(theirs)} changed this scenario since you opened it" if theirs else gone,
            icon=":material/group:",
        )
        st.caption("What differs: − is the file as it stands, + is yours.")
        st.code(difference(theirs, written.text), language=None, wrap_lines=True)
        with st.container(horizontal=True):
            if theirs:
                st.button("Read the file again, without my change", icon=":material/refresh:", on_click=reload,
                          key="edit_reload")  # fmt: skip
            st.button("Keep mine under another name", icon=":material/file_copy:", on_click=keep, key="edit_keep")


def _author(text: str) -> str:
    """Who wrote the file, as it says itself; a warning's title reads markdown."""
    try:
        said = strict_yaml.loads(text).data
    except CapacityError:
        return "Somebody"
    name = str(said.get("author", "")) if isinstance(said, dict) else ""
    return fmt.plain(fmt.shorten(fmt.visible(name))) or "Somebody"


def difference(theirs: str, mine: str) -> str:
    """A unified diff from the file to the editor's text."""
    lines = difflib.unified_diff(theirs.splitlines(), mine.splitlines(), "the file", "yours", lineterm="", n=2)
    return "\n".join(lines) or "No line differs."


def save(made: Scenario, config: Config, opened: Stored | None) -> Stored | None:
    """Write it; where that is refused, say why."""
    try:
        return scenario.save(made, config, opened)
    except CapacityError as error:
        ui.problem("Not saved", str(error).splitlines())
        return None
