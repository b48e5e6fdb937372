"""The scenario editor: choose one, copy one or begin one; change its parts; save it, and plan it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import streamlit as st

from capacity import scenario, strict_yaml
from capacity.config import Config
from capacity.errors import CapacityError
from capacity.scenario import Stored
from capacity.ui import _data, _edit_away, _edit_parts, _edit_save, _sign_in
from capacity.ui import _edit_rows as edit
from capacity.ui import _format as fmt
from capacity.ui import _widgets as ui

_OPENED, _AUTHOR, _COUNT, _SAVED = "edit_opened", "edit_author", "edit_count", "edit_saved"
_HEAD = ("name", "description", "author", "note")
# After "Save and plan": what starts the job, and who shows it.
Plan = Callable[[str], None]


@dataclass(frozen=True)
class Opened:
    """What is being edited: the file it came from (none yet for a new one), and what the fields began with.

    Fields belong to ``number``: opening anew makes new ones, so that nothing of the last one stays in them.
    """

    number: int
    config: Path
    stored: Stored | None
    plain: Mapping[str, Any]

    def key(self, name: str) -> str:
        return f"edit_{self.number}_{name}"


def card(config_path: Path, plan: Plan) -> None:
    """Choose a scenario to edit; below it the editor, where one is open."""
    with ui.card("Edit a scenario"):
        try:
            config = _data.config(config_path)
        except (CapacityError, OSError) as error:
            ui.problem("The config is wrong", str(error).splitlines())
            return
        _told()
        opened = st.session_state.get(_OPENED)
        if isinstance(opened, Opened) and opened.config == config_path:
            _editor(config, plan)
        else:
            _choose(config_path, config)


def _told() -> None:
    """What the last save said, once."""
    saved = st.session_state.pop(_SAVED, None)
    if saved:
        st.success(fmt.plain(saved), icon=":material/check_circle:")


# --- choosing ----------------------------------------------------------------------------------------------


def _choose(path: Path, config: Config) -> None:
    known = _data.known_scenarios(path)
    with st.container(horizontal=True, vertical_alignment="bottom"):
        if known.files:
            name = st.selectbox("Scenario", list(known.files), key="edit_choice", format_func=fmt.visible, width=340)
            if st.button("Edit", icon=":material/edit:", key="edit_open"):
                _open(path, config, known.files.get(name or ""))
            if st.button("Copy", icon=":material/file_copy:", key="edit_copy", help="Begin a new one with its parts"):
                _open(path, config, known.files.get(name or ""), copy=True)
        if st.button("New", icon=":material/add:", key="edit_new"):
            _begin(path, None, {})
        if known.files:
            _edit_away.buttons(path, config, known.files.get(name or ""))
    if said := _edit_away.question(path, config):
        st.session_state[_SAVED] = said
        st.rerun()


def _open(path: Path, config: Config, file: Path | None, *, copy: bool = False) -> None:
    if file is None:  # limits of a widget hold in the browser only
        return
    try:
        stored = scenario.stored(file, config)
    except CapacityError as error:
        ui.problem("The scenario cannot be read", str(error).splitlines())
        return
    plain = strict_yaml.loads(scenario.to_yaml(stored.scenario)).data
    if copy:
        _begin(path, None, plain | {"name": f"{plain['name']}-copy"})
    else:
        _begin(path, stored, plain)


def _begin(path: Path, stored: Stored | None, plain: Mapping[str, Any]) -> None:
    _edit_away.forget()
    number = st.session_state[_COUNT] = st.session_state.get(_COUNT, 0) + 1
    st.session_state[_OPENED] = Opened(number, path, stored, plain)
    st.rerun()


def _close() -> None:
    st.session_state.pop(_OPENED, None)


# --- editing -----------------------------------------------------------------------------------------------


def _edit(config: Config, plan: Plan) -> None:
    """All fields, their faults under them, and the buttons. A change runs this alone, not the page.

    What is open comes from the session: a part that runs alone runs with the arguments of the page's last run.
    """
    opened = st.session_state.get(_OPENED)
    if not isinstance(opened, Opened) or not _sign_in.is_admitted():
        st.rerun()
        return
    head = _head(opened, config)
    tables, forms = _parts(opened, config)
    written = _edit_save.read(edit.draft(head, tables, forms), config)
    _foot(opened, written, config, plan)


_editor: Callable[[Config, Plan], None] = st.fragment(_edit)


def _head(opened: Opened, config: Config) -> dict[str, str]:
    plain, stored = opened.plain, opened.stored
    if stored is not None:
        who = fmt.visible(stored.scenario.author) or "nobody named"
        where = _edit_save.shown(stored.path, config)
        st.text(f"Last changed by {fmt.shorten(who)}, {fmt.moment(stored.changed_at)}, in {where}")
    left, right = st.columns(2)
    with left:
        if stored is not None:
            name = str(plain["name"])
            st.text_input("Name", name, disabled=True, key=opened.key("fixed_name"),
                          help="Copy it to give it another name")  # fmt: skip
        else:
            name = st.text_input("Name", plain.get("name", ""), key=opened.key("name"), max_chars=120,
                                 placeholder="growth-plus-40").strip()  # fmt: skip
        who = st.session_state.get(_AUTHOR) or _sign_in.author()[:120]
        author = st.text_input("Author: who writes this", who, key=opened.key("author"), max_chars=120)
    with right:
        about = st.text_input("Description: what if, in one sentence", plain.get("description", ""),
                              key=opened.key("description"))  # fmt: skip
        note = st.text_area("Note", plain.get("note", ""), key=opened.key("note"), max_chars=4_000, height=70)
    return dict(zip(_HEAD, (name, about.strip(), author.strip(), note.strip()), strict=True))


def _parts(opened: Opened, config: Config) -> tuple[dict[str, Any], dict[str, Any]]:
    """A tab a part; all are drawn, so that none forgets what is in it."""
    choices = _cached_choices(config, id(config))
    names = [*(p.title for p in edit.PARTS), "Loss", "Commitments"]
    tabs = st.tabs(names, key=opened.key("tabs"))
    found: dict[str, Any] = {}
    for part, tab in zip(edit.PARTS, tabs, strict=False):
        with tab:
            found[part.key] = _edit_parts.table(part, opened.plain, choices, opened.key(part.key))
    with tabs[-2]:
        lost = _edit_parts.loss(opened.plain, choices, opened.key("failure"))
    with tabs[-1]:
        policy = config.optimize.commitments
        buys = _edit_parts.commitments(opened.plain, policy, opened.key("commitments"))
    return found, {"failure": lost, "commitments": buys}


def _choices(_config: Config, version: int) -> edit.Choices:
    del version  # the key: another config is another object
    return edit.choices(_config)


_cached_choices: Callable[[Config, int], edit.Choices] = st.cache_resource(max_entries=8, show_spinner=False)(_choices)


# --- saving ------------------------------------------------------------------------------------------------


def _foot(opened: Opened, written: _edit_save.Written, config: Config, plan: Plan) -> None:
    _edit_save.faults(written)
    theirs = _edit_save.changed_by_another(opened.stored)
    if theirs is not None:
        _edit_save.clash(theirs, written, lambda: _reload(opened, config), lambda: _detach(opened))
    _edit_save.preview(written, opened.stored, config)
    blocked = theirs is not None
    with st.container(horizontal=True):
        save = st.button("Save", icon=":material/save:", key="edit_save", disabled=blocked)
        both = st.button(
            "Save and plan", icon=":material/play_arrow:", type="primary", key="edit_plan", disabled=blocked
        )
        st.button("Close without saving", icon=":material/close:", key="edit_close", on_click=_close)
    if save or both:
        _save(opened, written.checked.scenario, config, plan if both else None)


def _save(opened: Opened, made: scenario.Scenario | None, config: Config, plan: Plan | None) -> None:
    # The buttons stay alive while there are faults: a click that comes with the last field's text must not be lost.
    if made is None:
        ui.problem("Not saved", ["mend what is said above first"])
        return
    if not made.author:
        ui.problem("Not saved", ["author: missing; say who writes this, so that others know whom to ask"])
        return
    st.session_state[_AUTHOR] = made.author
    stored = _edit_save.save(made, config, opened.stored)
    if stored is None:
        return
    st.session_state[_SAVED] = f"Saved {made.name} in {_edit_save.shown(stored.path, config)}"
    _close()
    if plan is not None:
        plan(made.name)
    st.rerun()


def _reload(opened: Opened, config: Config) -> None:
    """Theirs in place of mine; closed where the file can no longer be read."""
    assert opened.stored is not None  # noqa: S101  (a clash is with a file)
    try:
        stored = scenario.stored(opened.stored.path, config)
    except CapacityError:
        _close()
        return
    plain = strict_yaml.loads(scenario.to_yaml(stored.scenario)).data
    _edit_away.forget()
    number = st.session_state[_COUNT] = st.session_state.get(_COUNT, 0) + 1
    st.session_state[_OPENED] = Opened(number, opened.config, stored, plain)


def _detach(opened: Opened) -> None:
    """The fields stay; the name is free to choose, and the file is left to the other."""
    st.session_state[_OPENED] = replace(opened, stored=None)
