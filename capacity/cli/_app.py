"""All commands, in the order in which a planner meets them."""

from __future__ import annotations

from typing import Any

import typer

EPILOG = (
    "Exit codes: 0 fine · 1 the gate is shut (a plan violates a policy, an event does not hold) · 2 wrong usage or "
    "config · 3 data missing, stale, corrupt or only partly ingested · 4 no plan · 70 a fault of the tool itself."
)


def build() -> Any:
    """The click command of the whole tool."""
    from capacity.cli import catalog, data, decide, events, forecasts, front, handover, money, planning, stores

    app = typer.Typer(
        name="capacity",
        help="Capacity planning and cost to serve: when each service saturates, what to order by when, what it costs.",
        epilog=EPILOG,
        no_args_is_help=True,
        add_completion=False,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
    )
    commands = (
        ("demo", front.demo),
        ("ingest", data.ingest),
        ("forecast", forecasts.forecast),
        ("plan", planning.plan),
        ("check", events.check),
        ("cost", money.cost),
        ("commitments", money.commitments),
        ("backtest", forecasts.backtest),
        ("report", planning.report),
        ("handover", handover.handover),
        ("decide", decide.decide),
        ("app", front.app),
        ("sources", data.sources),
        ("catalog", catalog.build()),
        ("store", stores.store),
        ("doctor", data.doctor),
    )
    for name, command in commands:
        if isinstance(command, typer.Typer):
            app.add_typer(command, name=name)
        else:
            app.command(name)(command)

    @app.callback()
    def _root(
        version: bool = typer.Option(False, "--version", help="print the version", callback=_version, is_eager=True),
    ) -> None:
        """Take the options that stand before a command."""

    tool: Any = typer.main.get_command(app)
    tool.commands = {name: tool.commands[name] for name, _ in commands}  # Typer puts groups last
    return tool


def _version(wanted: bool) -> None:
    if wanted:
        import capacity
        from capacity.cli._common import say

        say(f"capacity {capacity.__version__}")
        raise typer.Exit
