"""The catalogue of a config, and how it is made again from AWS."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from capacity import catalogue
from capacity.catalogue import About, Catalogue, Changes, Column, rate_column
from capacity.config import AwsAccess, Config, PriceSource
from capacity.errors import UsageError
from capacity.pipeline.progress import Progress, silent

if TYPE_CHECKING:
    from capacity.sources.aws.prices import Collected

# Where a refreshed catalogue goes, beside the store.
DEFAULT_FOLDER = "catalogue"
_SPECIFICATIONS = "specifications"
# Facts that no API tells are taken over with their own source and date; the second kind is of one region.
_KEPT = ("ipc_scale",)
_KEPT_IN_REGION = ("spot_saving_percent", "spot_interruption_band")
# Order in the csv; then come the rates, on demand first, and what is known of spot.
_FACTS = (
    "instance_type", "family", "vcpu", "cores", "memory_gib", "network_gbps", "local_ssd_gb", "arch", "clock_ghz",
    "ipc_scale", "current_generation", "burstable", "bare_metal", "special",
)  # fmt: skip


@dataclass(frozen=True)
class Refresh:
    """A catalogue that was made again, and what that changed.

    Attributes
    ----------
    previous
        Version of the catalogue it was held against: that of the folder, else the config's, else the bundled one.
    in_use
        Whether the config names ``folder`` already.
    notes
        What was left out, and why; one sentence each.
    """

    folder: Path
    version: str
    previous: str
    region: str
    types: int
    in_use: bool
    changes: Changes
    notes: tuple[str, ...]


def catalogue_of(config: Config) -> Catalogue:
    """The catalogue that ``config`` names, or the bundled one."""
    return catalogue.load() if config.catalogue is None else catalogue.load(config.resolve(config.catalogue))


def refresh_catalogue(
    config: Config,
    now: datetime,
    *,
    out: Path | None = None,
    aws: str | None = None,
    region: str | None = None,
    progress: Progress = silent,
) -> Refresh:
    """Make the catalogue again from AWS: the types of all the access' regions, the rates of one.

    Parameters
    ----------
    out
        Folder to write to; the config's ``catalogue`` where None, else ``catalogue`` beside its store.
    aws
        Name of the way into AWS; that of the config's price source, or the only one, where None.
    region
        Region of the rates; the access' first where None.

    Raises
    ------
    UsageError
        No way into AWS, or none of that name.
    DataError
        Anything failed; the folder is as it was.
    """
    from capacity.sources.aws import Access, prices

    way, source = _way(config, aws)
    folder = _default_folder(config) if out is None else out
    before = _before(config, folder)
    access = Access(way, source.name)
    found = prices.collect(
        access,
        prices.asked_as(access, source.accounts),
        region or way.regions[0],
        now,
        reads=tuple(dict.fromkeys(("on_demand", *source.reads))),
        spot_days=source.spot_days,
        progress=progress,
    )
    made = catalogue.write(folder, *_whole(found, before))
    return Refresh(
        folder=folder,
        version=made.version,
        previous=before.version,
        region=found.region,
        types=len(made.types),
        in_use=config.catalogue is not None and config.resolve(config.catalogue) == folder.absolute(),
        changes=catalogue.changes(before, made),
        notes=found.notes,
    )


def _way(config: Config, name: str | None) -> tuple[AwsAccess, PriceSource]:
    """The way into AWS, and the price source whose settings hold (the defaults where the config has none)."""
    sources = [s for s in config.sources if isinstance(s, PriceSource)]
    wanted = name or next((s.aws for s in sources if s.aws), None)
    ways = [a for a in config.aws if wanted is None or a.name == wanted]
    if len(ways) != 1:
        known = ", ".join(a.name for a in config.aws) or "none"
        asked = f"--aws: found '{wanted}'" if wanted else f"{config.path}: say which way into AWS to take with --aws"
        raise UsageError(f"{asked}; allowed: one of the entries under 'aws': {known}")
    fitting = [s for s in sources if s.aws in (None, ways[0].name)]
    return ways[0], fitting[0] if fitting else PriceSource(kind="aws_prices", name="catalog refresh")


def _before(config: Config, folder: Path) -> Catalogue:
    """What the new one is held against; a folder that the config names may not be there yet."""
    named = [] if config.catalogue is None else [config.resolve(config.catalogue)]
    there = [f for f in (folder, *named) if (f / "catalogue.yaml").is_file()]
    return catalogue.load(there[0]) if there else catalogue.load()


def _default_folder(config: Config) -> Path:
    if config.catalogue is not None:
        return config.resolve(config.catalogue)
    if "://" in config.store:  # an object store has no folder beside it
        return config.path.parent.absolute() / DEFAULT_FOLDER
    return config.resolve(config.store).parent / DEFAULT_FOLDER


# --- from what AWS says to the two files -------------------------------------------------------------------


def _whole(found: Collected, before: Catalogue) -> tuple[pd.DataFrame, About]:
    """The csv and its description: facts, rates, and what ``before`` knows that no API tells."""
    frame = pd.DataFrame.from_records([found.facts[name] for name in sorted(found.facts)])
    columns = {_SPECIFICATIONS: _column(found, _SPECIFICATIONS)}
    products = sorted({p for _, p in found.rates}, key=lambda p: (p != "on_demand", p))
    for product in products:
        rates = [found.rates.get((name, product)) for name in frame["instance_type"]]
        frame[rate_column(product)] = pd.Series(rates, dtype="float64")
        columns[rate_column(product)] = _column(found, product)
    for name in _taken_over(found, before):
        frame[name] = frame["instance_type"].map(before.frame.set_index("instance_type")[name])
        columns[name] = before.about.columns[name]
    facts = [c for c in _FACTS if c in frame.columns]
    return frame[[*facts, *(c for c in frame.columns if c not in facts)]], About(found.region, columns)


def _column(found: Collected, name: str) -> Column:
    return Column(found.sources[name], found.dates[name].date())


def _taken_over(found: Collected, before: Catalogue) -> list[str]:
    kept = [*_KEPT, *(_KEPT_IN_REGION if before.about.region == found.region else ())]
    return [c for c in kept if c in before.frame.columns and c in before.about.columns]
