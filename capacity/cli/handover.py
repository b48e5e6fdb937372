"""``capacity handover``: a plan as files for the machines that run things."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from capacity.cli._common import AsOfOption, JsonOption, as_of, note, say, say_json
from capacity.errors import EXIT_OK, UsageError

_GROUP_NAME = "{service}-{region}-{instance_type}"


def handover(
    plan_dir: Annotated[Path, typer.Argument(help="folder of the plan", show_default=False)],
    out: Annotated[Path, typer.Option("--out", "-o", help="folder to write to", show_default=False)],
    only: Annotated[list[str] | None, typer.Option("--only", help="write this output alone; may be repeated")] = None,
    month: Annotated[
        str | None, typer.Option("--month", help="month whose counts are handed over", metavar="YYYY-MM")
    ] = None,
    group_name: Annotated[
        str, typer.Option("--group-name", help="name of an Auto Scaling group", metavar="TEMPLATE")
    ] = _GROUP_NAME,
    demand_query: Annotated[
        str | None,
        typer.Option(
            "--demand-query", help="PromQL of a unit's demand, with {service} and {region}", metavar="TEMPLATE"
        ),
    ] = None,
    departure_hours: Annotated[
        int, typer.Option("--departure-hours", min=1, max=168, help="hours outside the forecast before a rule fires")
    ] = 2,
    band_days: Annotated[
        int, typer.Option("--band-days", min=1, max=400, help="days of daily forecast among the metrics")
    ] = 35,
    node_class: Annotated[str, typer.Option("--node-class", help="EC2NodeClass of the NodePools")] = "default",
    link: Annotated[str | None, typer.Option("--link", help="address of the report, for the messages")] = None,
    as_json: JsonOption = False,
    as_of_text: AsOfOption = None,
) -> int:
    """Terraform variables, scaling actions, NodePools, Prometheus rules, metrics, a dashboard, messages and a gate.

    Reads the plan alone and writes into OUT; calls nothing and changes nothing that runs.
    """
    from capacity import plan
    from capacity.report.handover import DEFAULT_DEMAND_QUERY, OUTPUTS, Options, write_handover

    found = plan.read(plan_dir)
    if as_of_text is not None and found.as_of > as_of(as_of_text):
        raise UsageError(
            f"{plan_dir}: the plan is as of {found.as_of:%Y-%m-%d %H:%M}Z, later than --as-of {as_of_text}"
        )
    options = Options(
        month, group_name, demand_query or DEFAULT_DEMAND_QUERY, departure_hours, band_days, node_class, link
    )
    made = write_handover(found, out, only or (), options)
    if as_json:
        say_json({"files": made.files, "notes": made.notes})
        return EXIT_OK
    about = {file: output.about for output in OUTPUTS.values() for file in output.files}
    for path in made.files:
        say(f"written: {path}  ({about[path.name]})")
    for text in made.notes:
        note(text)
    return EXIT_OK
