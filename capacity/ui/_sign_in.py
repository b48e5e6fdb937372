"""The door before every page: who reads, and what a stranger sees, which is nothing of the plan."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path

import streamlit as st

from capacity.errors import CapacityError
from capacity.ui import _format as fmt
from capacity.ui import access, launch
from capacity.ui.access import Reader, SignIn

_REFUSED: Mapping[str, str] = {
    "unverified": "Your provider does not say that this address was verified, so it does not count here.",
    "not allowed": "You are signed in, but not among those who may read this plan. Ask whoever serves it to add you.",
    "too long ago": "You signed in too long ago. Sign in again.",
}
# The provider sends everybody back to "/". The page that was asked for waits in the reader's own browser, in this tab
# alone, and is only ever taken for a page of this server: one name after one slash.
_KEEP = """<script>try {
  const asked = location.pathname + location.search;
  if (location.pathname === "/") sessionStorage.removeItem("capacity-asked");
  else sessionStorage.setItem("capacity-asked", asked);
} catch {}</script>"""
_RETURN = """<script>try {
  const asked = sessionStorage.getItem("capacity-asked");
  sessionStorage.removeItem("capacity-asked");
  if (location.pathname === "/" && /^\\/[a-z]+([?]|$)/.test(asked || "")) location.replace(asked);
} catch {}</script>"""


def is_admitted() -> bool:
    """Whether this session may see the plan: always where no sign-in is configured."""
    return not _is_configured() or _reader().refused == ""


def author() -> str:
    """What to call the reader in records; empty where nobody signs in."""
    return _reader().author if _is_configured() else ""


def door() -> None:
    """What is drawn instead of the page: a way in, or why there is none. Says nothing of the plan."""
    st.title("Capacity", anchor=False)
    try:
        sign_in = _settings()
    except CapacityError:
        # The file's faults are the operator's to read: they stand in the terminal when the server starts.
        st.error("The sign-in is not set up rightly, so nobody is let in. Tell whoever serves this page.",
                 icon=":material/error:")  # fmt: skip
        return
    who = _reader()
    if who.refused in _REFUSED:
        st.text(f"Signed in as {fmt.visible(who.author) or 'somebody without name and address'}.")
        st.warning(_REFUSED[who.refused], icon=":material/block:")
        _sign_out()
    else:
        st.text("This plan is for those who are let in.")
    st.html(_KEEP, unsafe_allow_javascript=True)
    if who.refused in ("stranger", "too long ago") and st.button("Sign in", type="primary", icon=":material/login:"):
        st.login(sign_in.provider)


def who_reads() -> None:
    """Who is signed in, and the way out; nothing where no sign-in is configured."""
    if not _is_configured():
        return
    st.html(_RETURN, unsafe_allow_javascript=True)
    with st.container(horizontal=True, horizontal_alignment="right", vertical_alignment="center", width="content"):
        st.text(fmt.shorten(fmt.visible(author()), 60))
        _sign_out()


def _sign_out() -> None:
    if st.button("Sign out", icon=":material/logout:", key="sign_out"):
        st.logout()


def _is_configured() -> bool:
    """Also where the secrets hold a provider and no file says who is allowed: then nobody is."""
    return bool(os.environ.get(launch.SIGN_IN)) or "is_logged_in" in st.user


def _reader() -> Reader:
    try:
        return access.judge(st.user.to_dict(), _settings(), datetime.now(UTC))
    except CapacityError:
        return access.STRANGER


def _settings() -> SignIn:
    """The rules as the file holds them now: a name taken out of it is out at the next click."""
    path = Path(os.environ.get(launch.SIGN_IN, ""))
    return _cached_load(str(path), path.stat().st_mtime_ns if path.is_file() else 0)


def _load(path: str, stamp: int) -> SignIn:
    del stamp
    return access.load(Path(path))


_cached_load: Callable[[str, int], SignIn] = st.cache_resource(max_entries=2, show_spinner=False)(_load)
