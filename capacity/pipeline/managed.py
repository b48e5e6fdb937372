"""Managed databases: types named db.*, which are EC2 machines with a price of their own.

``db.r6g.xlarge`` has the vCPU, memory and network of ``r6g.xlarge`` (Amazon RDS user guide, "Hardware specifications
for DB instance classes"). Its rate is what the prices frame says of it, under whatever ``os`` (often the engine); where
that is several different ones none is taken, as nobody says which engine runs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pandas as pd

from capacity.domain import InstanceType

PREFIX = "db."


def is_managed(instance_type: str) -> bool:
    """Whether this is a type of a managed database.

    >>> is_managed("db.r6g.xlarge"), is_managed("r6g.xlarge")
    (True, False)
    """
    return instance_type.startswith(PREFIX)


def managed_rates(prices: pd.DataFrame, region: str) -> dict[str, float]:
    """On-demand $/h by db type in ``region``, where exactly one rate is known."""
    rows = _rows(prices)
    rows = rows[rows["region"] == region]
    found = rows.groupby(rows["instance_type"].astype(str))["rate"].agg(["min", "max"])
    return {str(name): float(r["min"]) for name, r in found.iterrows() if r["min"] == r["max"]}


def managed_types(types: Mapping[str, InstanceType], prices: pd.DataFrame) -> dict[str, InstanceType]:
    """The db types that have a rate somewhere, with the figures of their machine; others stay unknown."""
    return {
        name: replace(
            types[machine], name=name, family=f"{PREFIX}{types[machine].family}", special="", local_ssd_gb=0.0,
            spot_saving_frac=None, spot_band="",
        )
        for name in sorted(set(_rows(prices)["instance_type"].astype(str)))
        if (machine := name.removeprefix(PREFIX)) in types
    }  # fmt: skip


def _rows(prices: pd.DataFrame) -> pd.DataFrame:
    names = prices["instance_type"].astype(str)
    return prices[names.str.startswith(PREFIX) & (prices["product"] == "on_demand")]
