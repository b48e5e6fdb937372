"""Who is let in: the file, the secrets that it names, and the answer about one reader."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from capacity.errors import ConfigError
from capacity.ui import access
from capacity.ui.access import SignIn

NOW = datetime(2026, 10, 5, 9, tzinfo=UTC)
SECRETS = f"""
[auth]
redirect_uri = "https://capacity.example.com/oauth2callback"
cookie_secret = "{"s" * 32}"
client_id = "capacity"
client_secret = "secret"
server_metadata_url = "https://login.example.com/.well-known/openid-configuration"
"""
RULES = "secrets: secrets.toml\nallow:\n  domains: [example.com]\n"


def claims(**changes: Any) -> dict[str, Any]:
    issued = int((NOW - timedelta(hours=1)).timestamp())
    return {"is_logged_in": True, "iat": issued, "email": "ada@example.com", "email_verified": True, **changes}


def rules(**changes: Any) -> SignIn:
    allow = {"emails": ["bea@other.example"], "domains": ["example.com"], "groups": ["planners"]}
    return SignIn.model_validate({"secrets": "s.toml", "allow": allow, **changes})


@pytest.mark.parametrize(
    ("changes", "refused"),
    [
        ({}, ""),
        ({"email": "ADA@Example.COM"}, ""),
        ({"email": "bea@other.example"}, ""),
        ({"email": "cy@other.example"}, "not allowed"),
        ({"email": "ada@team.example.com"}, "not allowed"),
        ({"email": "ada@example.com.evil.example"}, "not allowed"),
        ({"email": "evil@evil.example@example.com"}, "not allowed"),
        ({"email": "@example.com"}, "not allowed"),
        ({"email": "example.com"}, "not allowed"),
        ({"email": ["ada@example.com"]}, "not allowed"),
        ({"email": "ada@example.com", "email_verified": False}, "unverified"),
        ({"email": "ada@example.com", "email_verified": None}, "unverified"),
        ({"email": None, "groups": ["staff", "planners"]}, ""),
        ({"email": None, "groups": "planners"}, ""),
        ({"email": None, "groups": ["Planners", 3, None]}, "not allowed"),
        ({"iat": 1_700_000_000}, "too long ago"),
        ({"iat": None}, "too long ago"),
        ({"iat": True}, "too long ago"),
        ({"iat": 1e300}, "too long ago"),
        ({"iat": float("nan")}, "too long ago"),
        ({"is_logged_in": False}, "stranger"),
        ({"is_logged_in": "true"}, "stranger"),
    ],
)
def test_who_is_let_in(changes: dict[str, Any], refused: str) -> None:
    assert access.judge(claims(**changes), rules(), NOW).refused == refused


def test_an_address_need_not_be_verified_where_the_file_says_so() -> None:
    assert access.judge(claims(email_verified=None), rules(require_verified_email=False), NOW).refused == ""


def test_letters_that_only_look_or_fold_alike_do_not_count() -> None:
    kelvin = rules(allow={"domains": ["kilo.example"]})
    assert access.judge(claims(email="a@kilo.example"), kelvin, NOW).refused == ""
    assert access.judge(claims(email="a@\u212ailo.example"), kelvin, NOW).refused == "not allowed"


@given(st.dictionaries(st.sampled_from(["email", "groups", "iat", "email_verified", "name", "is_logged_in"]),
                       st.recursive(st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
                                    lambda inner: st.lists(inner, max_size=3), max_leaves=5)))  # fmt: skip
def test_no_claim_breaks_the_judge_and_none_made_up_gets_in(made: dict[str, Any]) -> None:
    assert access.judge(made, rules(allow={"emails": ["ada@example.com"]}), NOW).refused != ""


def test_the_author_is_name_and_address_or_what_there_is() -> None:
    assert access.judge(claims(name="Ada"), rules(), NOW).author == "Ada (ada@example.com)"
    assert access.judge(claims(), rules(), NOW).author == "ada@example.com"
    assert access.judge(claims(email=None, groups="planners", preferred_username="ada"), rules(), NOW).author == "ada"


def written(folder: Path, text: str = RULES, secrets: str = SECRETS) -> Path:
    (folder / "secrets.toml").write_text(secrets)
    path = folder / "sign-in.yaml"
    path.write_text(text)
    return path


def test_a_sound_file_says_where_readers_come_from(tmp_path: Path) -> None:
    found = access.load(written(tmp_path))
    assert access.address(found) == "https://capacity.example.com"
    assert access.host(found) == "capacity.example.com"
    found.secrets_path.chmod(0o640)
    assert access.readable_by_others(found)
    found.secrets_path.chmod(0o600)
    assert not access.readable_by_others(found)


def test_settings_may_stand_in_a_named_section(tmp_path: Path) -> None:
    secrets = SECRETS.replace("client_id", "[auth.okta]\nclient_id")
    assert access.load(written(tmp_path, RULES + "provider: okta\n", secrets)).provider == "okta"
    with pytest.raises(ConfigError, match="client_id is missing"):
        access.load(written(tmp_path, RULES, secrets))
    with pytest.raises(ConfigError, match=r"no section \[auth.entra\]"):
        access.load(written(tmp_path, RULES + "provider: entra\n", secrets))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("secrets: secrets.toml\nallow: {}\n", ":2: allow: lets nobody in"),
        ("secrets: secrets.toml\n", "allow: missing"),
        (RULES.replace("domains", "domain"), "did you mean 'domains'"),
        (RULES + "hours: 0\n", ":4: hours: found 0"),
        (RULES.replace("secrets.toml", "nowhere.toml"), "no such file"),
        ("- 1\n", "a mapping of keys is allowed"),
    ],
)
def test_a_wrong_file_is_told_by_line(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        access.load(written(tmp_path, text))
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("s" * 32, "short", "cookie_secret: at least 32"),
        ("/oauth2callback", "/callback", "must end in /oauth2callback"),
        ("https://capacity.example.com", "http://capacity.example.com", "unencrypted; use https"),
        ("https://login.example.com", "http://login.example.com", "unencrypted; use https"),
        ("https://login.example.com", "login.example.com", "must be a whole address"),
        ("https://login.example.com", "https://[", "not an address"),
        ('client_secret = "secret"', "client_secret = 5", "client_secret is missing"),
        ("[auth]", "[author]", "no section [auth]"),
        ("[auth]", "[auth", "not valid TOML"),
    ],
)
def test_wrong_secrets_are_told_and_never_shown(tmp_path: Path, old: str, new: str, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        access.load(written(tmp_path, secrets=SECRETS.replace(old, new)))
    assert said in str(caught.value)
    assert "s" * 32 not in str(caught.value)


def test_loopback_needs_no_encryption(tmp_path: Path) -> None:
    near = SECRETS.replace("https://capacity.example.com", "http://localhost:8501")
    assert access.host(access.load(written(tmp_path, secrets=near))) == "localhost"
