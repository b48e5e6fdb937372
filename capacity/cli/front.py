"""``capacity demo`` and ``capacity app``."""

from __future__ import annotations

import os
import re
import socket
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import typer

from capacity.cli._common import AsOfOption, JsonOption, ProgressOption, as_of, note, progress, say_json
from capacity.errors import EXIT_OK, UsageError

DEFAULT_OUT = Path("capacity-demo")


def demo(
    out: Annotated[Path, typer.Option("--out", "-o", help="folder to write to")] = DEFAULT_OUT,
    progress_file: ProgressOption = None,
    as_json: JsonOption = False,
    as_of_text: AsOfOption = None,
) -> int:
    """The whole job on the bundled demo company: ingest, plan, two scenarios, peak check and report."""
    from capacity import pipeline
    from capacity.cli import _print, planning

    settings = pipeline.demo_config(out)
    with progress("demo", progress_file) as show:
        store = pipeline.open_store(settings)
        pipeline.require_complete(pipeline.ingest(settings, store, as_of(None), show))
        result = pipeline.run(
            settings,
            store,
            scenarios=pipeline.all_scenarios(settings),
            as_of=as_of(as_of_text, settings),
            progress=show,
        )
        planning.write(result, out)
    if as_json:
        say_json(planning.summary(result, out))
    else:
        _print.plan(result.plans[0])
        _print.scenarios(result.plans)
        _print.written(out)
        _print.next_step(out)
    return EXIT_OK


def app(
    config: Annotated[Path | None, typer.Option("--config", "-c", help="lets the page run scenarios of it")] = None,
    plans: Annotated[Path, typer.Option("--plans", help="folder that a plan or the demo wrote")] = DEFAULT_OUT,
    port: Annotated[int | None, typer.Option("--port", help="8501, or the next free one")] = None,
    address: Annotated[
        str, typer.Option("--address", help="listen here; anything but loopback is reachable by others")
    ] = "127.0.0.1",
    host: Annotated[
        list[str] | None, typer.Option("--host", help="name that readers open, besides the address; repeatable")
    ] = None,
    sign_in: Annotated[
        Path | None,
        typer.Option("--sign-in", envvar="CAPACITY_SIGN_IN", help="YAML file: who is let in, and at which provider"),
    ] = None,
    as_json: JsonOption = False,
    as_of_text: AsOfOption = None,
) -> int:
    """Open the Streamlit front end over the plans in a folder, on this machine only unless told otherwise."""
    from capacity.ui import launch

    if as_of_text is not None:
        raise UsageError("--as-of: a page shows plans that were made; make one as of then with `capacity plan --as-of`")
    door = _door(sign_in) if sign_in is not None else None
    _check_hosts(host or ())
    hosts = [*(host or ()), *([door.host] if door else ())]
    command = launch.command(plans, config, port, address, hosts=hosts, secrets=door.secrets if door else None)
    environment = launch.environment(plans, config, sign_in=sign_in)
    for warning in _warnings(address, hosts, door):
        note(warning)
    if as_json:
        say_json({"command": command})
        return EXIT_OK
    _check_address(address)
    if os.name == "posix":
        os.execve(command[0], command, environment)  # noqa: S606 - the server takes this process's place, and its signals
    return subprocess.run(command, env=environment, check=False).returncode


@dataclass(frozen=True)
class _Door:
    """A checked sign-in file: its secrets file, the name that readers open, and whether others read the secrets."""

    secrets: Path
    host: str
    is_open: bool


def _door(path: Path) -> _Door:
    """Check the sign-in before anything is served: a mistake in it must not be found by a stranger.

    Raises
    ------
    ConfigError
        The file or the secrets it names are wrong.
    UsageError
        What signs readers in is not installed.
    """
    from capacity.ui import access

    settings = access.load(path)
    # Streamlit's sign-in imports both, and only when the first reader clicks.
    missing = [m for m in ("authlib", "httpx") if find_spec(m) is None]
    if missing:
        raise UsageError(f"--sign-in: {' and '.join(missing)} not installed; pip install 'capacity[sign-in]'")
    return _Door(settings.secrets_path, access.host(settings), access.readable_by_others(settings))


def _check_hosts(names: Sequence[str]) -> None:
    """Names only: the server would take * for every name, and with it every foreign page."""
    for name in names:
        if not re.fullmatch(r"[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*\.?|[0-9a-fA-F:]+", name):
            raise UsageError(f"--host: found {name!r}; allowed: a name or address without scheme, port or wildcard")


def _check_address(address: str) -> None:
    """Listen there once, on any port: what the server says where it cannot is a stack trace."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.bind((address, 0))
    except OSError as error:
        raise UsageError(f"--address: cannot listen on {address!r} ({error.strerror}); "
                         "allowed: an address of this machine, such as 127.0.0.1 or 0.0.0.0") from None  # fmt: skip


def _warnings(address: str, hosts: list[str], door: _Door | None) -> list[str]:
    """What whoever serves the front end should know before others find out."""
    from capacity.ui import launch

    out = []
    if not launch.is_loopback(address) and door is None:
        out.append(
            f"--address {address} without --sign-in: everybody who reaches this machine can read the plan, record "
            "decisions and start runs; see docs/front-end.md"
        )
    if address in launch.ANY and not hosts:
        out.append(f"--address {address} answers to localhost alone until --host names what readers open")
    if door is not None and door.is_open:
        out.append(f"{door.secrets}: other users of this machine can read it; chmod 600 it")
    return out
