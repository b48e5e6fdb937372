"""Another name for a scenario, or none any more: asked first, and refused where somebody changed it meanwhile."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import streamlit as st

from capacity import scenario
from capacity.config import Config
from capacity.errors import CapacityError
from capacity.scenario import Stored
from capacity.ui import _edit_save, _sign_in
from capacity.ui import _format as fmt
from capacity.ui import _widgets as ui

What = Literal["rename", "delete"]
_ASKED = "edit_asked"
_MOST_LETTERS = 120


@dataclass(frozen=True)
class Asked:
    """What is to be done with the version of a scenario that the reader saw."""

    what: What
    config: Path
    read: Stored


def buttons(path: Path, config: Config, file: Path | None) -> None:
    """Beside the choice of a scenario: what opens the question."""
    choices: tuple[tuple[What, str], ...] = (("rename", ":material/label:"), ("delete", ":material/delete:"))
    for what, icon in choices:
        if st.button(what.capitalize(), icon=icon, key=f"edit_{what}") and file is not None:
            try:
                st.session_state[_ASKED] = Asked(what, path, scenario.stored(file, config))
            except CapacityError as error:
                ui.problem("The scenario cannot be read", str(error).splitlines())


def question(path: Path, config: Config) -> str:
    """Ask, where something is asked; what was done, once it is."""
    asked = st.session_state.get(_ASKED)
    if not isinstance(asked, Asked) or asked.config != path or not _sign_in.is_admitted():
        return ""
    with st.container(border=True):
        return _rename(asked.read, config) if asked.what == "rename" else _delete(asked.read, config)


def _rename(read: Stored, config: Config) -> str:
    old = read.scenario.name
    name = st.text_input("New name", old, max_chars=_MOST_LETTERS, key="edit_new_name")
    st.caption("A plan that was made under the old name stays under that name; plan the new one to have its own.")
    if not _confirmed("Rename", ":material/label:"):
        return ""
    try:
        made = scenario.rename(read, name.strip(), config)
    except CapacityError as error:
        ui.problem("Not renamed", str(error).splitlines())
        return ""
    return _done(f"'{old}' is now '{made.scenario.name}', in {_edit_save.shown(made.path, config)}")


def _delete(read: Stored, config: Config) -> str:
    old = read.scenario.name
    who = fmt.visible(read.scenario.author) or "nobody named"
    st.text(f"Delete '{fmt.shorten(fmt.visible(old), 60)}', last changed by {fmt.shorten(who)}, "
            f"{fmt.moment(read.changed_at)}?")  # fmt: skip
    st.caption("Its file stays beside it as a copy, and a plan that was made of it stays as well.")
    if not _confirmed("Delete it", ":material/delete:"):
        return ""
    try:
        kept = scenario.delete(read, config)
    except CapacityError as error:
        ui.problem("Not deleted", str(error).splitlines())
        return ""
    return _done(f"'{old}' is deleted; kept as {_edit_save.shown(kept, config)}")


def _confirmed(label: str, icon: str) -> bool:
    with st.container(horizontal=True):
        confirmed: bool = st.button(label, icon=icon, key="edit_confirm", type="primary")
        st.button("Cancel", key="edit_cancel", on_click=forget)
    return confirmed


def _done(said: str) -> str:
    forget()
    return said


def forget() -> None:
    """Nothing is asked any more."""
    st.session_state.pop(_ASKED, None)
