"""The parts of a scenario as tables, and tables as the YAML's plain data. Nothing here knows streamlit.

What a table holds goes into the YAML as it stands: whether it is allowed is for the models that read it.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import pandas as pd

from capacity import catalogue, scenario
from capacity.config import Config
from capacity.errors import CapacityError

Kind = Literal["names", "name", "number", "day", "moment", "text", "spans", "flag"]
Source = Literal["services", "regions", "tiers", "families", "architectures", ""]
ARCHITECTURES = ("x86_64", "arm64")


@dataclass(frozen=True)
class Column:
    """A key of the YAML as a column: its heading, what is in it, and where its choices come from."""

    key: str
    label: str
    kind: Kind
    help: str
    choices: Source = ""
    width: int = 120


@dataclass(frozen=True)
class Part:
    """A list of the YAML as a table."""

    key: str
    title: str
    note: str
    columns: tuple[Column, ...]


# Not a key of the YAML: an empty list of denied families means that none is denied, an absent one that the config's
# are, and a cell cannot show the difference.
NONE_DENIED = "none_denied"

_ALL_SERVICES = "Empty: all services"
_SERVICES = Column("services", "Services", "names", _ALL_SERVICES, "services", 260)
_REGIONS = Column("regions", "Regions", "names", "Empty: all regions", "regions", 160)

PARTS = (
    Part("growth", "Growth", "Demand times a number, for services and regions, from a day or over a ramp.", (
        _SERVICES, _REGIONS,
        Column("multiplier", "Times", "number", "1.4: 40 % more than the forecast", width=80),
        Column("from", "From", "day", "From here it rises. Empty: the plan's first day"),
        Column("reached", "Whole on", "day", "Empty: at once"),
    )),
    Part("events", "Events", "Dated events. Give each a size: times the forecast, or a peak. Times are UTC.", (
        Column("name", "Name", "text", "The name of an event of the config replaces that one", width=150),
        Column("start", "Start", "moment", "UTC", width=140),
        Column("end", "End", "moment", "UTC, after the start", width=140),
        Column("services", "Services", "names", "Where it enters; the call graph carries it on", "services", 165),
        Column("regions", "Regions", "names", "Empty: all regions", "regions", 120),
        Column("multiplier", "Times", "number", "Times the forecast without it. This or a peak", width=70),
        Column("target", "Peak", "number", "Peak demand of each service and region. This or times", width=70),
        Column("ramp_minutes", "Ramp", "number", "Minutes from normal to full. Empty: 60", width=70),
        Column("past", "Past days", "spans", "Earlier times: 2025-11-28 to 2025-12-01; 2024-11-29", width=130),
    )),
    Part("launches", "Launches", "Demand that is new from a day on, in the service's own unit.", (
        Column("service", "Service", "name", "One service", "services", 200),
        Column("region", "Region", "name", "A region of that service", "regions", 140),
        Column("from", "From", "day", "The first day of it"),
        Column("add", "More", "number", "On top of the forecast, as 120 requests a second", width=90),
    )),
    Part("efficiency", "Efficiency", "Resource for each unit of demand, times a number.", (
        _SERVICES,
        Column("factor", "Times", "number", "0.85: 15 % less CPU a request", width=80),
    )),
    Part("prices", "Prices", "On-demand prices times a number.", (
        Column("families", "Families", "names", "Instance families, as m6g. Empty: all", "families", 300),
        Column("multiplier", "Times", "number", "0.97: 3 % cheaper", width=80),
    )),
    Part("policy", "Policy", "Promises of a tier. An empty cell stays as configured.", (
        Column("name", "Tier", "name", "Which tier", "tiers", 140),
        Column("service_level", "Service level", "number", "Share of futures that fit: 0.5 to below 1"),
        Column("zones_survived", "Zones survived", "number", "0 to 3"),
        Column("min_headroom_frac", "Least headroom", "number", "0 to below 0.9"),
        Column("zone_loss_utilisation_frac", "Busy in a zone loss", "number", "0 to 1", width=140),
        Column("spot_max_frac", "Most spot", "number", "Share of the demand of any hour: 0 to 1", width=90),
    )),
    Part("migration", "Migration", "Which instance types may serve. An empty cell stays as configured.", (
        _SERVICES,
        Column("architectures", "Architectures", "names", "Only these", "architectures", 150),
        Column("allow_families", "Only families", "names", "Only these", "families", 200),
        Column("deny_families", "Never families", "names", "Never these", "families", 200),
        Column(NONE_DENIED, "None denied", "flag", "Lifts the families that the config denies", width=90),
    )),
)  # fmt: skip


@dataclass(frozen=True)
class Choices:
    """What cells may be chosen from."""

    services: tuple[str, ...]
    regions: tuple[str, ...]
    tiers: tuple[str, ...]
    families: tuple[str, ...]
    architectures: tuple[str, ...] = ARCHITECTURES

    def of(self, source: Source) -> tuple[str, ...]:
        found: tuple[str, ...] = getattr(self, source) if source else ()
        return found


def choices(config: Config) -> Choices:
    """Of the config, and the families of its catalogue."""
    try:
        known = catalogue.load(config.resolve(config.catalogue) if config.catalogue else None).types
    except CapacityError:
        known = {}  # a plan says what is wrong with it; here names are typed
    return Choices(
        services=tuple(s.name for s in config.services),
        regions=tuple(sorted({r for s in config.services for r in s.regions})),
        tiers=tuple(t.name for t in config.tiers),
        families=tuple(sorted({t.family for t in known.values()})),
    )


# --- from YAML to tables -----------------------------------------------------------------------------------


def rows_of(part: Part, plain: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    """The list of ``part`` in a scenario's plain data."""
    found = plain.get(part.key) or ()
    rows: Sequence[Mapping[str, Any]] = found["tiers"] if isinstance(found, Mapping) else found
    return rows


def frame(part: Part, plain: Mapping[str, Any]) -> pd.DataFrame:
    """``part`` as a table: one row an entry, one column a key, also where there is none."""
    rows = rows_of(part, plain)
    return pd.DataFrame({c.key: _series(c, [_shown(c, row) for row in rows]) for c in part.columns})


def _shown(column: Column, row: Mapping[str, Any]) -> Any:
    if column.key == NONE_DENIED:
        return row.get("deny_families") == []
    value = row.get(column.key)
    if column.kind == "spans" and value is not None:
        return "; ".join(f"{first} to {last}" for first, last in value)
    return value


def _series(column: Column, values: list[Any]) -> pd.Series[Any]:
    if column.kind == "number":
        return pd.Series(values, dtype="float64")
    if column.kind == "day":
        return pd.Series(pd.to_datetime(values), dtype="datetime64[ns]")
    if column.kind == "moment":
        return pd.Series(pd.to_datetime(values, utc=True, format="ISO8601"), dtype="datetime64[ns, UTC]")
    return pd.Series(values, dtype="bool" if column.kind == "flag" else "object")


# --- from tables to YAML -----------------------------------------------------------------------------------


def rows(part: Part, table: pd.DataFrame) -> list[dict[str, Any]]:
    """The table as a list of the YAML: empty cells and empty rows are left out."""
    found = [_row(part, record) for record in table.to_dict("records")]
    return [row for row in found if row]


def _row(part: Part, record: Mapping[Any, Any]) -> dict[str, Any]:
    out = {c.key: _said(c, record.get(c.key)) for c in part.columns}
    if out.pop(NONE_DENIED, None) and out["deny_families"] is None:
        out["deny_families"] = []
    return {key: value for key, value in out.items() if value is not None}


def _said(column: Column, value: Any) -> Any:
    """A cell as the YAML says it; None where it is empty."""
    if column.kind == "names":
        return [str(v) for v in value] or None if isinstance(value, Iterable) and not isinstance(value, str) else None
    if value is None or value is pd.NaT or value is pd.NA or (isinstance(value, float) and math.isnan(value)):
        return None
    if column.kind == "number":
        return number(value)
    if column.kind == "day":
        return f"{pd.Timestamp(value):%Y-%m-%d}"
    if column.kind == "moment":
        return _moment(pd.Timestamp(value))
    if column.kind == "flag":
        return bool(value) or None
    return _spans(str(value)) if column.kind == "spans" else str(value) or None


def number(value: float) -> int | float:
    """Whole numbers without a decimal point, as a hand writes them."""
    found = float(value)
    return int(found) if found.is_integer() and abs(found) < 1e15 else found


def _moment(at: pd.Timestamp) -> str:
    utc = at.tz_localize("UTC") if at.tzinfo is None else at.tz_convert("UTC")
    return utc.isoformat().replace("+00:00", "Z")


def _spans(text: str) -> list[list[str]] | None:
    """2025-11-28 to 2025-12-01; 2024-11-29: as pairs of a first and a last day."""
    pieces = [p.strip() for p in re.split("[;,]", text) if p.strip()]
    pairs = [re.split(r"\s+to\s+", p) for p in pieces]
    return [pair if len(pair) > 1 else pair * 2 for pair in pairs] or None


# --- the whole ---------------------------------------------------------------------------------------------

_ORDER = tuple(scenario.Scenario.model_fields)


def draft(
    head: Mapping[str, str], tables: Mapping[str, list[dict[str, Any]]], forms: Mapping[str, Any]
) -> dict[str, Any]:
    """The scenario as its YAML's plain data, in the order of the models; what says nothing is left out."""
    found: dict[str, Any] = {**head, **tables, **forms}
    if found.get("policy"):
        found["policy"] = {"tiers": found["policy"]}
    said = {key: value for key, value in found.items() if value is not None and value != "" and value != []}
    return {key: said[key] for key in _ORDER if key in said}
