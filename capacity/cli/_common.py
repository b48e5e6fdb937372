"""What all commands share: options, output, progress, and how an error becomes a message and an exit code."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, is_dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from capacity.errors import EXIT_FAULT, CapacityError, UsageError

if TYPE_CHECKING:
    from capacity.config import Config
    from capacity.pipeline.progress import Progress

ConfigOption = Annotated[Path, typer.Option("--config", "-c", help="config file (YAML)", show_default=False)]
JsonOption = Annotated[bool, typer.Option("--json", help="print one JSON document instead of text")]
AsOfOption = Annotated[
    str | None,
    typer.Option(
        "--as-of", help="see nothing later than this moment, e.g. 2026-10-05 or 2026-10-05T00:00Z", metavar="TIME"
    ),
]
OutOption = Annotated[Path, typer.Option("--out", "-o", help="folder to write to")]
WorkersOption = Annotated[
    int | None, typer.Option("--workers", min=1, help="processes to forecast with; one a core where absent")
]
SchedulerOption = Annotated[
    str | None,
    typer.Option("--scheduler", help="forecast on this Dask cluster, e.g. tcp://host:8786", metavar="ADDRESS"),
]
ProgressOption = Annotated[
    Path | None, typer.Option("--progress", help="append progress to this file, a JSON line a step", hidden=True)
]


def as_of(text: str | None, config: Config | None = None) -> datetime:
    """The moment asked about: --as-of, else the config's, else now.

    Raises
    ------
    UsageError
        Not an ISO date or time.
    """
    if text is None:
        if config is not None and config.as_of is not None:
            return _utc(config.as_of)
        # A whole second, and none before what was stored in this one.
        return datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=1)
    try:
        return _utc(datetime.fromisoformat(text))
    except (ValueError, OverflowError):
        raise UsageError(f"--as-of: found {text!r}; allowed: an ISO date or time such as 2026-10-05T00:00Z") from None


def work_where(config: Config, workers: int | None, scheduler: str | None) -> Config:
    """``config`` with --workers and --scheduler, where given, instead of its own."""
    given = {k: v for k, v in (("workers", workers), ("scheduler", scheduler)) if v is not None}
    return config.model_copy(update={"forecast": config.forecast.model_copy(update=given)}) if given else config


def _utc(moment: datetime) -> datetime:
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def say(text: str = "") -> None:
    """Print a line to standard output."""
    sys.stdout.write(text + "\n")


def note(text: str) -> None:
    """Something the reader should know that is no error: to standard error, so that --json stays one document."""
    sys.stderr.write(f"note: {text}\n")


def say_json(value: Any) -> None:
    """Print ``value`` (dataclasses, mappings, frames' records) as one JSON document."""
    json.dump(_plain(value), sys.stdout, indent=1, ensure_ascii=False, allow_nan=False)
    sys.stdout.write("\n")


def _plain(value: Any) -> Any:
    if is_dataclass(value) and not isinstance(value, type):
        return _plain(asdict(value))
    if isinstance(value, Mapping):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_plain(v) for v in value]
    if isinstance(value, Decimal | Path):
        return str(value)
    if isinstance(value, date | datetime):
        return value.isoformat()
    if isinstance(value, float):
        return value if value - value == 0 else None
    if hasattr(value, "item"):
        return _plain(value.item())
    return value


@contextmanager
def progress(title: str, file: Path | None = None) -> Iterator[Progress]:
    """Progress on a terminal; silent in a pipe; JSON lines where a file is named."""
    from capacity.pipeline.progress import silent

    if file is not None:
        with file.open("a", encoding="utf-8", buffering=1) as lines:

            def to_file(stage: str, done: int, total: int) -> None:
                lines.write(json.dumps({"stage": stage, "done": done, "total": total}) + "\n")

            yield to_file
    elif sys.stderr.isatty():
        yield from _bars(title)
    else:
        yield silent


def _bars(title: str) -> Iterator[Progress]:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, SpinnerColumn, TextColumn, TimeElapsedColumn
    from rich.progress import Progress as Bars

    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    with Bars(*columns, console=Console(stderr=True), transient=True) as bars:
        task = bars.add_task(title, total=None)

        def to_bar(stage: str, done: int, total: int) -> None:
            bars.update(task, description=f"{title}: {stage}", completed=done, total=total or None)

        yield to_bar


def one_thread_a_worker() -> None:
    """One BLAS thread a process: the fan-out is over series. Must run before NumPy is imported."""
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ.setdefault(name, "1")


def fail(error: BaseException) -> int:
    """Print what went wrong, without a traceback, and return the exit code it carries."""
    if isinstance(error, CapacityError):
        sys.stderr.write(f"error: {error}\n")
        return error.exit_code
    if os.environ.get("CAPACITY_DEBUG"):
        import traceback

        traceback.print_exception(error)
    sys.stderr.write(
        f"fault of the tool: {type(error).__name__}: {error}\n"
        "Your data and the store are as they were. Run again with CAPACITY_DEBUG=1 to see where, and report it.\n"
    )
    return EXIT_FAULT
