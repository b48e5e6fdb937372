"""Who may open the front end: the file that ``capacity app --sign-in`` is given, and the answer about one reader.

The provider's settings are Streamlit's own and stay in the secrets file that it reads; this file names it and says
who is let in. Nobody is unless a rule says so. No streamlit here: the terminal checks the file before it serves.
"""

from __future__ import annotations

import stat
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import Field, PrivateAttr

from capacity import config as configs
from capacity import strict_yaml
from capacity.config._base import Model
from capacity.errors import ConfigError

CALLBACK = "/oauth2callback"
_LOOPBACK = ("localhost", "127.0.0.1", "::1")
_NEEDED = ("client_id", "client_secret", "server_metadata_url")
_SHARED = ("redirect_uri", "cookie_secret")
# 32 characters of random text: as many as the signature of the cookie (HMAC with SHA-256) has bytes.
_LEAST_SECRET = 32

Text = Annotated[str, Field(min_length=1, max_length=320)]


class Allow(Model):
    """A reader is let in who matches any one of these."""

    emails: tuple[Text, ...] = ()
    """Whole addresses; capitals do not matter."""
    domains: tuple[Text, ...] = ()
    """What stands after the @, exactly: example.com does not let in team.example.com."""
    groups: tuple[Text, ...] = ()
    """Groups that the provider says the reader is in, letter by letter."""


class SignIn(Model):
    """The sign-in file."""

    secrets: str
    """Streamlit's secrets file (TOML) with [auth]; relative to this file."""
    provider: str | None = Field(default=None, pattern=r"^[a-z0-9-]+$")
    """NAME of the section [auth.NAME], where the settings are not in [auth] itself."""
    allow: Allow
    groups_claim: Text = "groups"
    """What the provider calls the list of groups in its token."""
    require_verified_email: bool = True
    """Believe an address only where the token says that it was verified (claim email_verified)."""
    hours: float = Field(default=12, gt=0, le=720)
    """Hours until a reader must sign in again; Streamlit's own cookie holds 30 days."""

    _path: Path = PrivateAttr(default=Path())

    @property
    def secrets_path(self) -> Path:
        """The secrets file."""
        return (self._path.parent / Path(self.secrets).expanduser()).absolute()


@dataclass(frozen=True)
class Reader:
    """Who reads: what to call them, their address, and why they are kept out (empty where they are let in)."""

    name: str
    email: str
    refused: Literal["", "stranger", "unverified", "not allowed", "too long ago"] = ""

    @property
    def author(self) -> str:
        """The name that a decision of theirs carries: with the address, since names are not unique."""
        return f"{self.name} ({self.email})" if self.name and self.email else self.name or self.email


STRANGER = Reader("", "", "stranger")


def load(path: Path) -> SignIn:
    """Read the sign-in file and check what it leads to.

    Raises
    ------
    ConfigError
        One line a fault: file, line, key, what was found, what is allowed.
    """
    document = strict_yaml.load(path)
    found = configs.validate(SignIn, document)
    found._path = path.absolute()
    if not any((found.allow.emails, found.allow.domains, found.allow.groups)):
        line = document.line(("allow",))
        raise ConfigError([f"{path}:{line}: allow: lets nobody in; name emails, domains or groups"])
    address(found)
    return found


def address(sign_in: SignIn) -> str:
    """The address that readers open, as the provider sends them back to it: scheme, host and port.

    Raises
    ------
    ConfigError
        The secrets file lacks a setting, or holds one that would leave the sign-in open to others.
    """
    path = sign_in.secrets_path
    shared = _auth(path)
    own = shared if sign_in.provider is None else shared.get(sign_in.provider)
    where = "[auth]" if sign_in.provider is None else f"[auth.{sign_in.provider}]"
    if not isinstance(own, Mapping):
        raise ConfigError([f"{path}: no section {where}; the sign-in file says provider: {sign_in.provider}"])
    problems = [f"{path}: [auth]: {key} is missing" for key in _SHARED if not _text(shared, key)]
    problems += [f"{path}: {where}: {key} is missing" for key in _NEEDED if not _text(own, key)]
    problems = problems or [f"{path}: {p}" for p in (*_shared_problems(shared), *_metadata_problems(own))]
    if problems:
        raise ConfigError(problems)
    parts = urlsplit(_text(shared, "redirect_uri"))
    return f"{parts.scheme}://{parts.netloc}"


def host(sign_in: SignIn) -> str:
    """The name in :func:`address`, which the server must answer to."""
    return urlsplit(address(sign_in)).hostname or ""


def readable_by_others(sign_in: SignIn) -> bool:
    """Whether other users of this machine can read the secrets file."""
    return bool(sign_in.secrets_path.stat().st_mode & (stat.S_IRGRP | stat.S_IROTH))


def judge(claims: Mapping[str, Any], sign_in: SignIn, now: datetime) -> Reader:
    """Whether the reader with ``claims`` is let in.

    Parameters
    ----------
    claims
        Of the provider's token, as Streamlit verified it, with ``is_logged_in``.
    sign_in
        The rules.
    now
        This moment, with a time zone.
    """
    if claims.get("is_logged_in") is not True:
        return STRANGER
    email, name = _claim(claims, "email"), _claim(claims, "name") or _claim(claims, "preferred_username")
    if _is_old(claims.get("iat"), sign_in, now):
        return Reader(name, email, "too long ago")
    if _groups(claims.get(sign_in.groups_claim)) & set(sign_in.allow.groups):
        return Reader(name, email)
    if not _is_listed(email, sign_in.allow):
        return Reader(name, email, "not allowed")
    verified = claims.get("email_verified") in (True, "true") or not sign_in.require_verified_email
    return Reader(name, email, "" if verified else "unverified")


def _is_old(issued: Any, sign_in: SignIn, now: datetime) -> bool:
    """Whether the token was made too long ago, or does not say when."""
    if isinstance(issued, bool) or not isinstance(issued, int | float):
        return True
    try:
        return now - datetime.fromtimestamp(issued, UTC) > timedelta(hours=sign_in.hours)
    except (OverflowError, OSError, ValueError):
        return True


def _is_listed(email: str, allow: Allow) -> bool:
    local, _, domain = _folded(email).partition("@")
    if not local or not domain or "@" in domain:
        return False
    return _folded(email) in map(_folded, allow.emails) or domain in map(_folded, allow.domains)


def _folded(text: str) -> str:
    """In small letters where all are ASCII: beyond, other letters become the same (K, the sign of Kelvin, is k)."""
    return text.lower() if text.isascii() else text


def _groups(value: Any) -> set[str]:
    """One name or a list of names; providers send either."""
    return {g for g in (value if isinstance(value, list | tuple) else [value]) if isinstance(g, str)}


def _claim(claims: Mapping[str, Any], key: str) -> str:
    value = claims.get(key)
    return value if isinstance(value, str) else ""


def _auth(path: Path) -> Mapping[str, Any]:
    try:
        found = tomllib.loads(path.read_text(encoding="utf-8")).get("auth")
    except FileNotFoundError:
        raise ConfigError([f"{path}: no such file; the sign-in file names it under secrets"]) from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError([f"{path}: cannot be read as UTF-8 text ({error})"]) from None
    except tomllib.TOMLDecodeError as error:
        raise ConfigError([f"{path}: not valid TOML: {error}"]) from None
    if not isinstance(found, Mapping):
        raise ConfigError([f"{path}: no section [auth]"])
    return found


def _text(section: Mapping[str, Any], key: str) -> str:
    value = section.get(key)
    return value.strip() if isinstance(value, str) else ""


def _shared_problems(shared: Mapping[str, Any]) -> list[str]:
    problems = [f"[auth]: redirect_uri: {p}" for p in _url_problems(_text(shared, "redirect_uri"))]
    if not problems and not _text(shared, "redirect_uri").endswith(CALLBACK):
        problems.append(f"[auth]: redirect_uri: must end in {CALLBACK}")
    if len(_text(shared, "cookie_secret")) < _LEAST_SECRET:
        problems.append(f"[auth]: cookie_secret: at least {_LEAST_SECRET} random characters are needed, or a cookie "
                        "can be forged; make one with `openssl rand -hex 32`")  # fmt: skip
    return problems


def _metadata_problems(own: Mapping[str, Any]) -> list[str]:
    return [f"server_metadata_url: {p}" for p in _url_problems(_text(own, "server_metadata_url"))]


def _url_problems(url: str) -> list[str]:
    try:
        parts = urlsplit(url)
        name, _ = parts.hostname, parts.port
    except ValueError as error:
        return [f"not an address ({error})"]
    if parts.scheme not in ("http", "https") or not name:
        return ["must be a whole address, https://..."]
    if parts.scheme == "http" and name not in _LOOPBACK:
        return [f"http to {name} would send tokens unencrypted; use https"]
    return []
