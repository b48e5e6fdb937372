"""The bundled catalogue: EC2 instance types, and the rates that are known for them, each with source and date."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from importlib import resources
from pathlib import Path

import pandas as pd

from capacity import strict_yaml
from capacity.domain import InstanceType
from capacity.schemas import PRICES

# Region whose figures the bundled rates are.
RATES_REGION = "us-east-1"


@dataclass(frozen=True)
class Catalogue:
    """Instance types by name, their rates as a ``prices`` frame, and the version that a plan records."""

    version: str
    types: dict[str, InstanceType]
    prices: pd.DataFrame


@lru_cache
def load() -> Catalogue:
    """Read the bundled catalogue (1,080 types; on demand for all, 3-year all-upfront where known)."""
    folder = resources.files("capacity") / "data"
    with resources.as_file(folder / "catalogue.csv") as path:
        frame = pd.read_csv(path, dtype={"instance_type": str, "family": str})
    with resources.as_file(folder / "catalogue.yaml") as path:
        about = strict_yaml.load(Path(path)).data
    return Catalogue(about["version"], _types(frame), _prices(frame, about))


def _types(frame: pd.DataFrame) -> dict[str, InstanceType]:
    return {
        str(row["instance_type"]): InstanceType(
            name=row["instance_type"],
            family=row["family"],
            vcpu=int(row["vcpu"]),
            cores=int(row["cores"]),
            memory_gib=float(row["memory_gib"]),
            network_gbps=float(row["network_gbps"]),
            arch=row["arch"],
            current_generation=bool(row["current_generation"]),
            burstable=bool(row["burstable"]),
            clock_ghz=float(row["clock_ghz"]),
            bare_metal=bool(row["bare_metal"]),
        )
        for row in frame.to_dict("records")
    }


def _prices(frame: pd.DataFrame, about: dict[str, dict[str, str]]) -> pd.DataFrame:
    parts = []
    for product, column in (
        ("on_demand", "on_demand_usd_per_hour"),
        ("standard_ri_3y_all_upfront", "reserved_3y_all_upfront_usd_per_hour"),
    ):
        known = frame[frame[column].notna()]
        date = about["dates"]["on_demand" if product == "on_demand" else "reserved_3y_all_upfront"]
        parts.append(
            pd.DataFrame(
                {
                    "instance_type": known["instance_type"],
                    "region": RATES_REGION,
                    "os": "Linux",
                    "tenancy": "Shared",
                    "product": product,
                    "rate": known[column].astype(float),
                    "currency": "USD",
                    "source": about["columns"][column],
                    "as_of": pd.Timestamp(date, tz="UTC"),
                }
            )
        )
    return pd.concat(parts, ignore_index=True)[list(PRICES.columns)]
