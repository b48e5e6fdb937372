"""``capacity app``: where it listens, to whom it answers, and what it warns of."""

from __future__ import annotations

import json
import re
from pathlib import Path
from secrets import token_hex

import pytest

from capacity import cli

ROOT = Path(__file__).resolve().parents[2]
GUIDE = (ROOT / "docs" / "front-end.md").read_text(encoding="utf-8")
SECRET = "what `openssl rand` says"
OPEN = "everybody who reaches this machine can read the plan"


@pytest.fixture
def sign_in(tmp_path: Path) -> Path:
    """The example of the guide, with a secret of one's own in it."""
    (rules,) = re.findall(r"```yml\n(.*?)```", GUIDE, re.DOTALL)
    (secrets,) = re.findall(r"```toml\n(.*?)```", GUIDE, re.DOTALL)
    (tmp_path / "secrets.toml").write_text(secrets.replace(SECRET, token_hex(32)))
    (tmp_path / "secrets.toml").chmod(0o600)
    (tmp_path / "sign-in.yaml").write_text(rules)
    return tmp_path / "sign-in.yaml"


def started(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[list[str], str]:
    """The command that would serve, and what was said to whoever types it."""
    assert cli.run(["app", "--json", *arguments]) == 0
    said = capsys.readouterr()
    return json.loads(said.out)["command"], said.err


def test_on_this_machine_alone_nothing_is_warned_of(capsys: pytest.CaptureFixture[str]) -> None:
    for address in ("127.0.0.1", "localhost", "::1", "127.0.0.2"):
        command, said = started(capsys, "--address", address)
        assert f"--server.address={address}" in command
        assert said == ""


@pytest.mark.parametrize("address", ["0.0.0.0", "::", "10.1.2.3", "plans.example.com"])
def test_an_open_address_without_sign_in_is_warned_of(capsys: pytest.CaptureFixture[str], address: str) -> None:
    _, said = started(capsys, "--address", address)
    assert OPEN in said


def test_every_interface_needs_a_name_that_readers_open(capsys: pytest.CaptureFixture[str]) -> None:
    assert "--host" in started(capsys, "--address", "0.0.0.0")[1]
    command, said = started(capsys, "--address", "0.0.0.0", "--host", "plans.example.com")
    assert "--server.allowedHosts=plans.example.com" in command
    assert "answers to localhost alone" not in said


def test_the_guide_s_sign_in_closes_the_door(sign_in: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command, said = started(capsys, "--address", "0.0.0.0", "--sign-in", str(sign_in))
    assert said == ""
    assert f"--secrets.files={sign_in.parent / 'secrets.toml'}" in command
    assert "--server.allowedHosts=capacity.example.com" in command
    assert not any("secret" in part and "files" not in part for part in command)


def test_the_sign_in_may_come_from_the_environment(
    sign_in: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CAPACITY_SIGN_IN", str(sign_in))
    command, _ = started(capsys)
    assert any(part.startswith("--secrets.files=") for part in command)


def test_secrets_that_others_can_read_are_warned_of(sign_in: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (sign_in.parent / "secrets.toml").chmod(0o644)
    assert "other users of this machine can read it" in started(capsys, "--sign-in", str(sign_in))[1]


def test_a_wrong_sign_in_serves_nothing(sign_in: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sign_in.write_text("secrets: secrets.toml\nallow: {}\n")
    assert cli.run(["app", "--json", "--sign-in", str(sign_in)]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert "lets nobody in" in said.err


def test_the_guide_s_own_secret_is_refused(sign_in: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Who copies the example as it stands must not share its secret with all its readers."""
    secrets = sign_in.parent / "secrets.toml"
    secrets.write_text(re.sub('cookie_secret = ".*"', f'cookie_secret = "{SECRET}"', secrets.read_text()))
    assert cli.run(["app", "--json", "--sign-in", str(sign_in)]) == 2
    assert "cookie_secret: at least 32" in capsys.readouterr().err


@pytest.mark.parametrize(
    "name", ["*", "*.example.com", "https://plans.example.com", "plans.example.com:8501", "", "a b"]
)
def test_a_host_is_a_name_and_no_wildcard(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["app", "--json", "--host", name]) == 2
    assert "--host" in capsys.readouterr().err


@pytest.mark.parametrize("address", ["999.1.1.1", "192.0.2.1", "no such address"])
def test_an_address_that_is_not_this_machine_s_is_told(address: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["app", "--address", address]) == 2
    assert "cannot listen on" in capsys.readouterr().err
