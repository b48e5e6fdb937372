"""``capacity catalog [TYPE]`` and ``capacity catalog refresh``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from capacity.cli._common import AsOfOption, ConfigOption, JsonOption, as_of, progress, say_json
from capacity.errors import EXIT_OK, UsageError

OptionalConfig = Annotated[
    Path | None, typer.Option("--config", "-c", help="show this config's catalogue", show_default=False)
]


OutOption = Annotated[
    Path | None,
    typer.Option("--out", "-o", help="folder to write to [default: catalogue, beside the store]", show_default=False),
]
RegionOption = Annotated[
    str | None, typer.Option("--region", help="of the rates [default: the first under 'aws']", show_default=False)
]
AwsOption = Annotated[
    str | None, typer.Option("--aws", help="entry under 'aws', where there are several", show_default=False)
]


class _TypeOrCommand(TyperGroup):
    """A group whose argument is free text unless it is the name of a command: ``catalog m7g.large``.

    Options may stand before and after a type, as in any command.
    """

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        at = next((i for i, text in enumerate(args) if text in self.commands), None)
        if at is None:
            ctx.allow_interspersed_args = True
            return super().parse_args(ctx, args)
        return super().parse_args(ctx, [*args[:at], "", *args[at:]])  # no type: the command's name is none


def build() -> typer.Typer:
    """The group."""
    group = typer.Typer(
        cls=_TypeOrCommand, invoke_without_command=True, no_args_is_help=False, rich_markup_mode=None,
        subcommand_metavar="| refresh",
    )  # fmt: skip
    group.callback()(show)
    group.command("refresh")(refresh)
    return group


def show(
    context: typer.Context,
    instance_type: Annotated[str, typer.Argument(metavar="TYPE", help="one type, all that is known of it")] = "",
    config: OptionalConfig = None,
    as_json: JsonOption = False,
    as_of_text: AsOfOption = None,
) -> int:
    """Instance types and rates, with their sources and dates: the bundled ones, or a config's.

    `capacity catalog refresh` makes a catalogue from AWS.
    """
    if context.invoked_subcommand is not None:
        return EXIT_OK
    as_of(as_of_text)
    document = _document(config, instance_type)
    if as_json:
        say_json(document)
    else:
        from capacity.cli import _print

        _print.catalogue(document)
    return EXIT_OK


def _document(path: Path | None, instance_type: str) -> dict[str, Any]:
    from capacity import catalogue, pipeline
    from capacity import config as configuration

    known = catalogue.load() if path is None else pipeline.catalogue_of(configuration.load(path))
    prices = known.prices
    if instance_type:
        if instance_type not in known.types:
            raise UsageError(f"no instance type '{instance_type}' in the catalogue of {known.version}")
        rows = prices[prices["instance_type"] == instance_type]
        about: dict[str, Any] = {"type": known.types[instance_type], "rates": rows.to_dict("records")}
    else:
        products = prices.groupby(["product", "source", "as_of"], sort=True).size().reset_index(name="types")
        about = {"types": len(known.types), "rates": products.to_dict("records")}
    return {"version": known.version, "region": known.about.region, **about}


def refresh(
    config: ConfigOption,
    out: OutOption = None,
    region: RegionOption = None,
    aws: AwsOption = None,
    as_json: JsonOption = False,
    as_of_text: AsOfOption = None,
) -> int:
    """Make the catalogue again from AWS: instance types, on demand, reserved, Savings Plans and spot rates.

    Nothing is replaced unless all could be read (exit code 3 says what could not). The calls are free of charge.
    """
    from capacity import config as configuration
    from capacity import pipeline

    settings = configuration.load(config)
    with progress("catalog refresh") as show_progress:
        made = pipeline.refresh_catalogue(
            settings, as_of(as_of_text), out=out, aws=aws, region=region, progress=show_progress
        )
    if as_json:
        say_json(made)
    else:
        from capacity.cli import _print

        _print.refreshed(made)
    return EXIT_OK
