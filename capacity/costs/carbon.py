"""Energy and emissions of instances, from figures that have a source; what has none is left out and listed.

Energy is hours × (idle W + utilisation × (max W - idle W)) / 1000 × PUE, emissions are energy × the grid's factor: the
linear model of Cloud Carbon Footprint's methodology ("Compute"). It is operational (the machines' use, not their
making), location-based (the grid they stand on, not certificates), and of instances alone: no storage, network or
managed service. It compares fleets; it is no greenhouse gas inventory.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pandas as pd

from capacity.errors import CorruptDataError

POWER_COLUMNS = ("instance_type", "idle_watts", "max_watts", "source", "as_of")
HOURS_COLUMNS = ("month", "service", "region", "instance_type", "hours", "utilisation_frac")
CARBON_COLUMNS = (
    "month", "service", "region", "currency", "effective_cost", "kwh", "kg_co2e", "covered_frac", "sources",
    "unknown_types", "instance_hours", "flags",
)  # fmt: skip
SCOPE_WORDS = "operational energy of instances only, location-based; no storage, network or making of machines"


@dataclass(frozen=True)
class Figure:
    """A number with its source."""

    value: float
    source: str


def check_power(frame: pd.DataFrame, where: str, largest_watts: float) -> pd.DataFrame:
    """A file of power figures, checked: a row an instance type.

    Raises
    ------
    CorruptDataError
        A column is missing, a type is there twice or has no source, or a figure cannot be.
    """
    missing = [c for c in POWER_COLUMNS if c not in frame.columns]
    if missing:
        raise CorruptDataError(f"{where}: columns missing: {', '.join(missing)}; it needs {', '.join(POWER_COLUMNS)}")
    out = frame[list(POWER_COLUMNS)].copy()
    for name in ("idle_watts", "max_watts"):
        out[name] = pd.to_numeric(out[name], errors="coerce")
    days = pd.to_datetime(out["as_of"].astype(str), format="%Y-%m-%d", errors="coerce")
    problems = [
        (out["instance_type"].duplicated(), "is there twice"),
        (out[["idle_watts", "max_watts"]].isna().any(axis=1), "has no idle_watts or max_watts"),
        (
            (out["idle_watts"] < 0) | (out["max_watts"] < out["idle_watts"]),
            "uses less at work than idle, or less than 0",
        ),
        (out["max_watts"] > largest_watts, f"is said to use more than {largest_watts:g} W"),
        (out["source"].isna() | (out["source"].astype(str).str.strip() == ""), "has no source"),
        (days.isna(), "has no day (YYYY-MM-DD) in as_of"),
    ]
    for wrong, text in problems:
        if wrong.any():
            named = ", ".join(out.loc[wrong, "instance_type"].astype(str).head(3))
            raise CorruptDataError(f"{where}: {int(wrong.sum())} row(s): {named} {text}; mend the file")
    return out


def footprint(
    hours: pd.DataFrame,
    power: pd.DataFrame,
    pue: Mapping[str, Figure],
    grid: Mapping[str, Figure],
) -> pd.DataFrame:
    """Energy and emissions by month, service and region.

    Parameters
    ----------
    hours
        :data:`HOURS_COLUMNS`: instance-hours of each type, and the share of its CPU that was busy in them (null where
        nobody measured it).
    power
        Watts of each type, from :func:`check_power`.
    pue, grid
        By region: PUE, and grams of CO2 equivalent a kilowatt-hour.

    Returns
    -------
    DataFrame
        month, service, region, kwh, kg_co2e, covered_frac (share of the instance-hours that kwh speaks of),
        sources, unknown_types, instance_hours, flags; ``kg_co2e`` is null where the region's grid has no factor, and
        both are null where nothing is covered. What is not known is never scaled up from what is.
    """
    known = hours.merge(power, on="instance_type", how="left")
    rows = []
    for (month, service, region), part in known.groupby(["month", "service", "region"], sort=True):
        rows.append(_row(str(month), str(service), str(region), part, pue.get(str(region)), grid.get(str(region))))
    names = [c for c in CARBON_COLUMNS if c not in ("currency", "effective_cost")]
    return pd.DataFrame(rows, columns=names)


def _row(
    month: str, service: str, region: str, part: pd.DataFrame, pue: Figure | None, grid: Figure | None
) -> dict[str, object]:
    has_power, has_use = part["max_watts"].notna(), part["utilisation_frac"].notna()
    told = part[has_power & has_use]
    whole = float(part["hours"].sum())
    covered = float(told["hours"].sum()) if pue is not None else 0.0
    watts = told["idle_watts"] + told["utilisation_frac"] * (told["max_watts"] - told["idle_watts"])
    kwh = float((told["hours"] * watts).sum()) / 1000.0 * pue.value if pue is not None and covered > 0 else None
    unknown = sorted(set(part.loc[~has_power, "instance_type"].astype(str)))
    sources = sorted(set(told["source"].astype(str))) + [f.source for f in (pue, grid) if f is not None]
    flags = [
        *(["no PUE"] if pue is None else []),
        *(["no grid factor of this region"] if grid is None else []),
        *([f"no power figures of {', '.join(unknown)}"] if unknown else []),
        *(["CPU not measured of some instances"] if (~has_use).any() else []),
    ]
    return {
        "month": month,
        "service": service,
        "region": region,
        "kwh": kwh,
        "kg_co2e": None if kwh is None or grid is None else kwh * grid.value / 1000.0,
        "covered_frac": covered / whole if whole else None,
        "sources": "; ".join(dict.fromkeys(sources)) if kwh is not None else "",
        "unknown_types": ", ".join(unknown),
        "instance_hours": whole,
        "flags": "; ".join(flags),
    }
