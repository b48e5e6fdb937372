"""A small company with more to its mix, made fresh in a folder: memory, spot, pools, databases, two regions."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import pandas as pd

from capacity import config, pipeline, scenario
from capacity.domain import Unit
from capacity.pipeline import planning
from capacity.pipeline.futures import Future, futures
from capacity.pipeline.mix import UnitNeed, fleet_needs
from capacity.pipeline.planning import Ground
from capacity.schemas import to_arrow
from tests import company

AS_OF = company.AS_OF.to_pydatetime()
DAY = "2026-08-01T00:00:00Z"
# The forecast itself is tested elsewhere: one past origin and the paths that a quantile needs.
_SLOW = "horizon_days: 45, past_origins: 2, paths: 200"
_QUICK = "horizon_days: 32, past_origins: 1, paths: 120"
Edit = Callable[[Path], None]


def ground_of(folder: Path, text: str, *edits: Edit, stored: Mapping[str, pd.DataFrame] | None = None) -> Ground:
    """Ingested and forecast, with the files of the small company edited first; ``stored`` are tables as a source of
    AWS writes them.
    """
    folder.mkdir(exist_ok=True)
    path = company.write(folder, config=text.replace(_SLOW, _QUICK))
    for edit in edits:
        edit(folder)
    settings = config.load(path)
    store = pipeline.open_store(settings)
    pipeline.require_complete(pipeline.ingest(settings, store, AS_OF))
    for name, frame in (stored or {}).items():
        store.write(name, to_arrow(name, frame))
    return planning.prepare(settings, store, as_of=AS_OF, with_money=False)


def known_of(ground: Ground, change: scenario.Scenario | None = None) -> dict[Unit, Future]:
    return futures(ground.base, ground.inputs.config, change or scenario.base())


def needs_of(ground: Ground, change: scenario.Scenario | None = None) -> dict[Unit, UnitNeed]:
    known = known_of(ground, change)
    return fleet_needs(ground.inputs, ground.data, known, change or scenario.base(), ground.seed)[0]


def with_source(text: str, frame: str) -> str:
    line = f"  - {{kind: files, name: {frame}, frame: {frame}, path: {frame}.csv}}\n"
    return text.replace("sources:\n", "sources:\n" + line)


def prices(*rows: tuple[str, str, float], region: str = "us-east-1", os: str = "Linux") -> Edit:
    """(instance type, product, rate)."""

    def edit(folder: Path) -> None:
        path = folder / "prices.csv"
        frame = pd.DataFrame(rows, columns=["instance_type", "product", "rate"]).assign(
            region=region, os=os, tenancy="Shared", currency="USD", source="test", as_of=DAY
        )
        before = [pd.read_csv(path)] if path.exists() else []
        pd.concat([*before, frame]).to_csv(path, index=False)

    return edit


def usage(make: Callable[[pd.DataFrame], pd.DataFrame]) -> Edit:
    """Rows of usage that are made of those there are."""

    def edit(folder: Path) -> None:
        frame = pd.read_csv(folder / "usage.csv", dtype={"account_id": str})
        pd.concat([frame, make(frame)]).to_csv(folder / "usage.csv", index=False)

    return edit


def bill(change: Callable[[pd.DataFrame], pd.DataFrame]) -> Edit:
    def edit(folder: Path) -> None:
        frame = pd.read_csv(folder / "bill.csv", dtype=str, keep_default_na=False)
        change(frame).to_csv(folder / "bill.csv", index=False)

    return edit


def fleet(change: Callable[[pd.DataFrame], pd.DataFrame]) -> Edit:
    def edit(folder: Path) -> None:
        frame = pd.read_csv(folder / "fleet.csv", dtype={"account_id": str})
        change(frame).to_csv(folder / "fleet.csv", index=False)

    return edit
