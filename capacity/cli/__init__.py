"""The command line. Commands parse, call the pipeline and print; every number comes from the pipeline.

Exit codes: 0 fine; 1 the gate is shut; 2 wrong usage or config; 3 data missing, stale, corrupt or only partly
ingested; 4 no plan; 70 a fault of the tool itself.
"""

from __future__ import annotations

import signal
import sys

from capacity.cli._common import fail, one_thread_a_worker
from capacity.errors import EXIT_USAGE

__all__ = ["main"]

# What a shell reports for a command that the user stopped: 128 + SIGINT.
STOPPED = 130


def main() -> None:
    """Run the command line and exit with its code."""
    one_thread_a_worker()
    signal.signal(signal.SIGTERM, _terminated)
    sys.exit(run(sys.argv[1:]))


def _terminated(number: int, _frame: object) -> None:
    """End as an exception, so that what was begun is cleaned up."""
    raise SystemExit(128 + number)


def run(arguments: list[str]) -> int:
    """Run one command; returns its exit code. No traceback reaches the user."""
    import typer
    from typer.exceptions import TyperException

    from capacity.cli._app import build

    try:
        code = build()(args=arguments, prog_name="capacity", standalone_mode=False)
        return code if isinstance(code, int) else 0
    except typer.Exit as stop:
        return int(stop.exit_code)
    except (typer.Abort, KeyboardInterrupt):
        sys.stderr.write("stopped\n")
        return STOPPED
    except BrokenPipeError:
        return 0
    except TyperException as wrong:
        sys.stderr.write(f"error: {wrong.format_message()}\nSee `capacity --help` and `capacity COMMAND --help`.\n")
        return EXIT_USAGE
    except Exception as error:
        return fail(error)
