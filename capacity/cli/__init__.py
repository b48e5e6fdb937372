"""The command line. Commands parse, call the pipeline and print; every number comes from the pipeline.

Exit codes: 0 fine; 1 the gate is shut; 2 wrong usage or config; 3 data missing, stale, corrupt or only partly
ingested; 4 no plan; 70 a fault of the tool itself.
"""

from __future__ import annotations

import sys

from capacity.cli._common import fail, one_thread_a_worker

__all__ = ["main"]


def main() -> None:
    """Run the command line and exit with its code."""
    one_thread_a_worker()
    sys.exit(run(sys.argv[1:]))


def run(arguments: list[str]) -> int:
    """Run one command; returns its exit code. No traceback reaches the user."""
    import click

    from capacity.cli._app import build

    try:
        code = build()(args=arguments, prog_name="capacity", standalone_mode=False)
        return code if isinstance(code, int) else 0
    except click.exceptions.Exit as stop:
        return stop.exit_code
    except click.Abort:
        sys.stderr.write("stopped\n")
        return 130
    except click.ClickException as wrong:
        wrong.show()
        return 2
    except KeyboardInterrupt:
        sys.stderr.write("stopped\n")
        return 130
    except BrokenPipeError:
        return 0
    except Exception as error:
        return fail(error)
