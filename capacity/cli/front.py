"""``capacity demo`` and ``capacity app``."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Annotated

import typer

from capacity.cli._common import AsOfOption, JsonOption, ProgressOption, as_of, progress, say_json
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
    as_json: JsonOption = False,
    as_of_text: AsOfOption = None,
) -> int:
    """Open the Streamlit front end over the plans in a folder, on this machine only."""
    from capacity.ui import launch

    if as_of_text is not None:
        raise UsageError("--as-of: a page shows plans that were made; make one as of then with `capacity plan --as-of`")
    command = launch.command(plans, config, port)
    environment = os.environ | launch.environment(plans, config)
    if as_json:
        say_json({"command": command})
        return EXIT_OK
    if os.name == "posix":
        os.execve(command[0], command, environment)  # noqa: S606 - the server takes this process's place, and its signals
    return subprocess.run(command, env=environment, check=False).returncode
