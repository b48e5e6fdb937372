"""The door keeps shut where the sign-in is half set up: nothing of the plan is drawn."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from streamlit import config
from streamlit.runtime.secrets import secrets_singleton
from streamlit.testing.v1 import AppTest

from capacity.ui import launch

SHUT = "The sign-in is not set up rightly, so nobody is let in. Tell whoever serves this page."


def script() -> None:
    from capacity.ui._shell import show

    show("fleet")


@pytest.fixture
def app(plans: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch) -> AppTest:
    monkeypatch.setenv(launch.PLANS, str(plans("normal")))
    monkeypatch.delenv(launch.CONFIG, raising=False)
    return AppTest.from_function(script, default_timeout=60)


def drawn(app: AppTest) -> tuple[list[str], list[str]]:
    """Titles and errors; all else must be nothing."""
    app.run()
    assert not app.exception
    shown = [*app.metric, *app.dataframe, *app.text, *app.caption, *app.selectbox, *app.header]
    assert not shown
    return [t.value for t in app.title], [e.value for e in app.error]


def test_without_a_sign_in_the_page_is_drawn(app: AppTest) -> None:
    app.run()
    assert [t.value for t in app.title] == ["Fleet"]
    assert app.metric


@pytest.mark.parametrize("text", [None, "secrets: nowhere.toml\nallow: {domains: [example.com]}\n", "allow: [", ""])
def test_a_sign_in_file_that_is_wrong_lets_nobody_in(
    app: AppTest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str | None
) -> None:
    path = tmp_path / "sign-in.yaml"
    if text is not None:
        path.write_text(text)
    monkeypatch.setenv(launch.SIGN_IN, str(path))
    assert drawn(app) == (["Capacity"], [SHUT])


def test_a_provider_without_rules_lets_nobody_in(app: AppTest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Streamlit's secrets are also read from the home folder: who set a provider up there wants strangers out."""
    monkeypatch.delenv(launch.SIGN_IN, raising=False)
    (tmp_path / "secrets.toml").write_text('[auth]\nredirect_uri = "http://localhost:8501/oauth2callback"\n')
    before = config.get_option("secrets.files")
    config.set_option("secrets.files", [str(tmp_path / "secrets.toml")])
    secrets_singleton._reset()
    try:
        assert drawn(app) == (["Capacity"], [SHUT])
    finally:
        config.set_option("secrets.files", before)
        secrets_singleton._reset()
