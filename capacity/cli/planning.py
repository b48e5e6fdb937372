"""``capacity plan`` and ``capacity report``, and how plans are written."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from capacity.cli._common import (
    AsOfOption,
    ConfigOption,
    JsonOption,
    OutOption,
    ProgressOption,
    SchedulerOption,
    WorkersOption,
    as_of,
    note,
    progress,
    say,
    say_json,
    work_where,
)
from capacity.errors import EXIT_GATE_SHUT, EXIT_OK

if TYPE_CHECKING:
    from capacity.pipeline import Run

ScenarioOption = Annotated[
    list[str] | None, typer.Option("--scenario", "-s", help="a scenario to compare with the base; may be given again")
]


def plan(
    config: ConfigOption,
    scenario: ScenarioOption = None,
    out: OutOption = Path("capacity-plan"),
    as_of_text: AsOfOption = None,
    seed: Annotated[int | None, typer.Option(help="instead of the config's")] = None,
    workers: WorkersOption = None,
    scheduler: SchedulerOption = None,
    progress_file: ProgressOption = None,
    as_json: JsonOption = False,
) -> int:
    """Plan: forecast, saturation dates, the cheapest verified mix, cost to serve, and scenarios beside them.

    Writes OUT/plan.json, run.json, frames as Parquet and report.html; each scenario under OUT/scenarios/NAME.
    Exits 1 where the recommended plan violates a policy.
    """
    from capacity import config as configuration
    from capacity import pipeline
    from capacity import scenario as scenarios
    from capacity.cli import _print

    settings = work_where(configuration.load(config), workers, scheduler)
    with progress("plan", progress_file) as show:
        result = pipeline.run(
            settings,
            pipeline.open_store(settings),
            scenarios=scenarios.load_named(settings, scenario or []),
            as_of=as_of(as_of_text, settings),
            seed=seed,
            progress=show,
        )
        write(result, out)
    for text in result.about.get("notes", ()):
        note(text)
    if as_json:
        say_json(summary(result, out))
    else:
        _print.plan(result.plans[0])
        _print.scenarios(result.plans)
        _print.written(out)
    return EXIT_GATE_SHUT if result.plans[0].violations else EXIT_OK


def report(
    plan_dir: Annotated[Path, typer.Argument(help="a folder with plan.json")],
    against: Annotated[
        Path | None, typer.Option("--against", metavar="OLD_PLAN_DIR", help="hold it against the plan before, there")
    ] = None,
    as_json: JsonOption = False,
    as_of_text: AsOfOption = None,
) -> int:
    """Write report.html and report.xlsx of a plan that was made before.

    --against adds what an earlier plan said of the same months, what came, and what became of its decisions.
    --as-of refuses a plan that is of a later moment.
    """
    from capacity import plan as plans
    from capacity.errors import UsageError
    from capacity.report import write_report

    known = plans.read(plan_dir)
    if as_of_text is not None and known.as_of > as_of(as_of_text):
        raise UsageError(
            f"{plan_dir}: the plan is as of {known.as_of:%Y-%m-%d %H:%M}Z, later than --as-of {as_of_text}"
        )
    files = write_report(plan_dir, against=against)
    if as_json:
        say_json({"files": [str(f) for f in files]})
    else:
        for file in files:
            say(f"written: {file}")
    return EXIT_OK


def write(result: Run, out: Path) -> None:
    """Write the base plan to ``out`` and each scenario below it; what was there stays until all is complete."""
    from capacity import plan as plans
    from capacity.report import write_report

    out.mkdir(parents=True, exist_ok=True)
    partial = out / f".partial-{os.getpid()}"
    shutil.rmtree(partial, ignore_errors=True)
    try:
        for known in result.plans[1:]:
            plans.write(known, partial / "scenarios" / folder_name(known.scenario), result.about)
        plans.write(result.plans[0], partial, result.about)
        write_report(partial)
        _move_in(partial, out)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def folder_name(scenario: str) -> str:
    """A scenario's name as a folder: letters, digits, dash, dot and underscore; nothing that leads elsewhere."""
    safe = "".join(c if c.isalnum() or c in "-_." else "-" for c in scenario).strip(".")
    return safe or "scenario"


def _move_in(partial: Path, out: Path) -> None:
    """Bring ``partial``'s files into ``out``, plan.json last: a reader finds the old plan or the new one."""
    if (partial / "scenarios").is_dir():
        (out / "scenarios").mkdir(exist_ok=True)
        for folder in sorted((partial / "scenarios").iterdir()):
            shutil.rmtree(out / "scenarios" / folder.name, ignore_errors=True)
            folder.replace(out / "scenarios" / folder.name)
    files = sorted((p for p in partial.iterdir() if p.is_file()), key=lambda p: p.name == "plan.json")
    for file in files:
        file.replace(out / file.name)


def summary(result: Run, out: Path) -> dict[str, Any]:
    """What --json prints of a run: findings and comparison, and where the plans are."""
    from capacity import scenario as scenarios

    base = result.plans[0]
    return {
        "plan": str(out / "plan.json"),
        "as_of": base.as_of,
        "findings": base.findings,
        "violations": base.violations,
        "mix": base.mix,
        "scenarios": scenarios.compare(result.plans),
    }
