"""Of which days the rates of a plan are: no price is shown without."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date

import pandas as pd

from capacity.pipeline.mix import Mix


def days_of(prices: pd.DataFrame, used: Iterable[tuple[str, str]]) -> tuple[date, date] | None:
    """First and last day of the on-demand rates of ``used`` (region, instance type); None where none is known."""
    rows = prices[(prices["product"] == "on_demand") & (prices["os"] == "Linux")]
    wanted = set(used)
    known = [
        moment
        for region, name, moment in zip(rows["region"], rows["instance_type"], rows["as_of"], strict=True)
        if (str(region), str(name)) in wanted
    ]
    return (min(known).date(), max(known).date()) if known else None


def used_types(mix: Mix) -> set[tuple[str, str]]:
    """(region, instance type) of all that runs or is recommended."""
    planned = mix.solution.provisioned
    rows = planned[planned["instances"] > 0]
    running = {
        (unit.region, instance_type)
        for unit, need in mix.needs.items()
        for instance_type, _ in need.requirement.running
    }
    return running | set(zip(rows["region"].astype(str), rows["instance_type"].astype(str), strict=True))
