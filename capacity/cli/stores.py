"""``capacity store``: what the store holds, and its upkeep."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

import typer

from capacity.cli._common import AsOfOption, ConfigOption, JsonOption, as_of, progress, say_json
from capacity.errors import EXIT_OK, UsageError

CompactOption = Annotated[
    bool, typer.Option("--compact", help="join small files into larger ones; earlier versions stay readable")
]
VacuumOption = Annotated[
    bool,
    typer.Option(
        "--vacuum", help="remove files that no version of the last 400 days needs, and what killed ingests left behind"
    ),
]
DryRunOption = Annotated[
    bool, typer.Option("--dry-run", help="with --compact or --vacuum: only say what would be done")
]


def store(
    config: ConfigOption,
    compact: CompactOption = False,
    vacuum: VacuumOption = False,
    dry_run: DryRunOption = False,
    as_json: JsonOption = False,
    as_of_text: AsOfOption = None,
) -> int:
    """What the store holds: tables, versions, rows, files, sizes; with --as-of, the versions of that moment.

    Ingests and plans may run meanwhile. Every version stays readable for 400 days, whatever is asked for here.
    """
    from capacity import config as configuration
    from capacity import pipeline
    from capacity.cli import _print_store

    _check(compact or vacuum, dry_run, as_of_text)
    settings = configuration.load(config)
    now = datetime.now(UTC)
    if compact or vacuum:
        with progress("store") as show:
            document = pipeline.look_after_store(
                settings, now, compact=compact, vacuum=vacuum, dry_run=dry_run, progress=show
            )
    else:
        document = pipeline.describe_store(settings, now, as_of(as_of_text) if as_of_text else None)
    if as_json:
        say_json(document)
    else:
        _print_store.store(document)
    return EXIT_OK


def _check(upkeep: bool, dry_run: bool, as_of_text: str | None) -> None:
    if dry_run and not upkeep:
        raise UsageError("--dry-run: found without --compact or --vacuum; say what is to be tried")
    if upkeep and as_of_text is not None:
        raise UsageError("--as-of: found with --compact or --vacuum; they act on the store as it is now")
