"""How the front end is served: a command and an environment, without importing streamlit.

The server listens on loopback, answers only to host names it knows, tells nobody that it runs, and shows no
stack trace to a reader of the page.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from ipaddress import ip_address
from pathlib import Path

PLANS = "CAPACITY_PLANS"
CONFIG = "CAPACITY_CONFIG"
SIGN_IN = "CAPACITY_SIGN_IN"

_HERE = Path(__file__).resolve().parent
_LOOPBACK = ("localhost", "127.0.0.1", "::1")
# Addresses that mean every interface of the machine.
ANY = ("0.0.0.0", "::", "")  # noqa: S104  (compared with, never bound by default)

_SETTINGS: Mapping[str, str] = {
    "server.headless": "true",
    "server.fileWatcherType": "none",
    "browser.gatherUsageStats": "false",
    "client.showErrorDetails": "none",
    "client.showErrorLinks": "false",
    "client.toolbarMode": "minimal",
    "server.enableAgentApi": "false",
    "server.enableStaticServing": "false",
    "theme.base": str(_HERE / "theme.toml"),
}


def command(
    plans: Path,
    config: Path | None = None,
    port: int | None = None,
    address: str = "127.0.0.1",
    script: Path | None = None,
    hosts: Sequence[str] = (),
    secrets: Path | None = None,
) -> list[str]:
    """The command that serves the front end over the plans in ``plans``.

    Run it with :func:`environment`, which carries the two paths to the script.

    Parameters
    ----------
    plans
        Folder with plan.json, and scenarios/NAME/plan.json for each compared scenario; it need not exist yet.
    config
        Config that the run button plans with; the one recorded in run.json where absent.
    port
        TCP port; Streamlit's own choice (8501) where absent.
    address
        Address to listen on. Anything but loopback is reachable by others: put a sign-in before it.
    script
        Streamlit script; the packaged one where absent.
    hosts
        Further names that a browser may ask for: what readers type, where ``address`` is not that.
    secrets
        Streamlit's secrets file, with the provider that readers sign in at.

    Returns
    -------
    list[str]
        Arguments for :func:`subprocess.run`, the running Python first.
    """
    del plans, config  # they travel in the environment: a command line is shown to every user of the machine
    flags = [f"--{name}={value}" for name, value in _SETTINGS.items()]
    flags.append(f"--server.address={address}")
    flags += [f"--server.allowedHosts={host}" for host in allowed_hosts(address, hosts)]
    # Where it is to say on its own what readers open, it asks a host of the internet for this machine's address.
    flags.append(f"--browser.serverAddress={_opened(address, hosts)}")
    if secrets is not None:
        flags.append(f"--secrets.files={secrets.absolute()}")
    if port is not None:
        flags.append(f"--server.port={port}")
    return [sys.executable, "-m", "streamlit", "run", str(script or _HERE / "_app.py"), *flags]


def environment(
    plans: Path,
    config: Path | None = None,
    inherited: Mapping[str, str] | None = None,
    sign_in: Path | None = None,
) -> dict[str, str]:
    """The environment for :func:`command`: ``inherited`` (this process's where absent) with the given paths."""
    out = dict(os.environ if inherited is None else inherited)
    out[PLANS] = str(plans.expanduser().absolute())
    for name, path in ((CONFIG, config), (SIGN_IN, sign_in)):
        out.pop(name, None)
        if path is not None:
            out[name] = str(path.expanduser().absolute())
    return out


def allowed_hosts(address: str, hosts: Sequence[str] = ()) -> tuple[str, ...]:
    """Host names that a browser may ask for; a foreign one is refused (DNS rebinding)."""
    named = () if address in ANY else (address,)
    return tuple(dict.fromkeys((*_LOOPBACK, *named, *hosts)))


def _opened(address: str, hosts: Sequence[str]) -> str:
    """The name that readers open."""
    return hosts[0] if hosts else "localhost" if address in ANY else address


def is_loopback(address: str) -> bool:
    """Whether only this machine can reach ``address``."""
    if address == "localhost":
        return True
    try:
        return ip_address(address).is_loopback
    except ValueError:
        return False
