"""What stands in the two files of a catalogue, and what it is worth: types, rates, and a version of the content."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

import pandas as pd

from capacity import strict_yaml
from capacity.catalogue._burstable import baseline_frac
from capacity.domain import InstanceType
from capacity.errors import ConfigError, CorruptDataError
from capacity.schemas import PRICES

CSV, YAML = "catalogue.csv", "catalogue.yaml"
OS, TENANCY, CURRENCY = "Linux", "Shared", "USD"
RATE_SUFFIX = "_usd_per_hour"
SPECIFICATIONS = "specifications"
SPOT_SAVING, SPOT_BAND = "spot_saving_percent", "spot_interruption_band"
ON_DEMAND = "on_demand"
# Columns that a type cannot do without; ``special`` and all others may be absent.
FACTS = (
    "instance_type", "family", "vcpu", "cores", "memory_gib", "network_gbps", "arch", "clock_ghz",
    "current_generation", "burstable", "bare_metal",
)  # fmt: skip
_WORDS: Mapping[Hashable, type[str]] = dict.fromkeys(("instance_type", "family", "arch", "special", SPOT_BAND), str)
_DIGEST_LETTERS = 12


@dataclass(frozen=True)
class Column:
    """Where a column's figures come from, and of which day they are (a rate always has one)."""

    source: str
    date: date | None = None


@dataclass(frozen=True)
class About:
    """What catalogue.yaml says: the region of the rates, and each column; ``specifications`` stands for all facts."""

    region: str
    columns: Mapping[str, Column]


def rate_column(product: str) -> str:
    """The column that holds the rates of ``product``."""
    return f"{product}{RATE_SUFFIX}"


def products(frame: pd.DataFrame) -> tuple[str, ...]:
    """Products that ``frame`` has rates of, in its order."""
    return tuple(str(c).removesuffix(RATE_SUFFIX) for c in frame.columns if str(c).endswith(RATE_SUFFIX))


# --- reading -----------------------------------------------------------------------------------------------


def parse_about(text: bytes, where: str) -> tuple[About, str | None]:
    """What catalogue.yaml says, and the SHA-256 that catalogue.csv must have, if it says so.

    Raises
    ------
    CorruptDataError
        Not such a file; a column without source, a rate without a date.
    """
    try:
        document = strict_yaml.loads(text.decode("utf-8"), where).data
        columns = {str(name): _column(str(name), value) for name, value in document["columns"].items()}
        return About(str(document["region"]), columns), document.get("sha256")
    except ConfigError as error:
        raise CorruptDataError(f"{error}; {_mend()}") from None
    except (UnicodeDecodeError, KeyError, TypeError, ValueError, AttributeError) as error:
        raise CorruptDataError(f"{where}: not the description of a catalogue: {error}; {_mend()}") from None


def _column(name: str, value: Mapping[str, Any]) -> Column:
    day = value.get("date")
    if day is None and name.endswith(RATE_SUFFIX):
        raise ValueError(f"{name} has no date, and no rate is shown without one")
    return Column(str(value["source"]), None if day is None else date.fromisoformat(str(day)))


def _mend() -> str:
    return "make the catalogue again with `capacity catalog refresh`"


def parse_frame(text: bytes, about: About, where: str) -> pd.DataFrame:
    """catalogue.csv as it is, checked.

    Raises
    ------
    CorruptDataError
        A column is missing, a rate has no entry in catalogue.yaml, a type is there twice, or a value cannot be.
    """
    try:
        frame: pd.DataFrame = pd.read_csv(io.BytesIO(text), dtype=_WORDS, float_precision="round_trip")
    except (ValueError, pd.errors.ParserError) as error:
        raise CorruptDataError(f"{where}: not a CSV file ({error}); {_mend()}") from None
    missing = [c for c in FACTS if c not in frame.columns]
    untold = [rate_column(p) for p in products(frame) if rate_column(p) not in about.columns]
    problems = [
        *([f"columns missing: {', '.join(missing)}"] if missing else []),
        *([f"no source and date in {YAML} for {', '.join(untold)}"] if untold else []),
    ]
    if not problems:
        problems = _wrong_values(frame)
    if problems:
        raise CorruptDataError("\n".join(f"{where}: {p}; {_mend()}" for p in problems))
    return frame


def _wrong_values(frame: pd.DataFrame) -> list[str]:
    twice = frame["instance_type"][frame["instance_type"].duplicated()]
    out = [f"{twice.iloc[0]} is there twice"] if len(twice) else []
    names = frame["instance_type"]
    out += [f"{c} is empty for {names[frame[c].isna()].iloc[0]}" for c in FACTS if frame[c].isna().any()]
    for product in products(frame):
        rates = pd.to_numeric(frame[rate_column(product)], errors="coerce")
        bad = frame[rate_column(product)].notna() & ~((rates > 0) & (rates < float("inf")))
        if bad.any():
            out.append(f"{rate_column(product)} of {names[bad].iloc[0]} is no rate")
    return out


# --- what it is worth --------------------------------------------------------------------------------------


def types(frame: pd.DataFrame) -> dict[str, InstanceType]:
    """Instance types by name."""
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
            special=row["special"] if isinstance(row.get("special"), str) else "",
            local_ssd_gb=_number(row.get("local_ssd_gb")) or 0.0,
            ipc_scale=_number(row.get("ipc_scale")) or 0.0,
            baseline_frac=baseline_frac(str(row["instance_type"])) if row["burstable"] else None,
            spot_saving_frac=_share(_number(row.get(SPOT_SAVING))),
            spot_band=row[SPOT_BAND] if isinstance(row.get(SPOT_BAND), str) else "",
        )
        for row in frame.to_dict("records")
    }


def _number(value: object) -> float | None:
    """A figure of a column that may be empty or absent."""
    return float(value) if isinstance(value, int | float) and value == value else None


def _share(percent: float | None) -> float | None:
    return percent / 100.0 if percent is not None and 0.0 < percent < 100.0 else None


def prices(frame: pd.DataFrame, about: About) -> pd.DataFrame:
    """All rates as a ``prices`` frame."""
    parts = []
    for product in products(frame):
        column = about.columns[rate_column(product)]
        known = frame[frame[rate_column(product)].notna()]
        parts.append(
            pd.DataFrame(
                {
                    "instance_type": known["instance_type"],
                    "region": about.region,
                    "os": OS,
                    "tenancy": TENANCY,
                    "product": product,
                    "rate": known[rate_column(product)].astype(float),
                    "currency": CURRENCY,
                    "source": column.source,
                    "as_of": pd.Timestamp(str(column.date), tz="UTC"),
                }
            )
        )
    return pd.concat(parts, ignore_index=True)[list(PRICES.columns)] if parts else PRICES.empty()


def version(text: bytes, about: About) -> str:
    """The newest day of the on-demand rates (of any column, where there are none), and a digest of all content.

    It changes when a figure, a source or a date changes, and with nothing else: not with comments or line ends.
    """
    told = {n: [c.source, c.date.isoformat() if c.date else None] for n, c in about.columns.items()}
    summary = json.dumps([about.region, told], sort_keys=True, ensure_ascii=False)
    digest = hashlib.sha256(text.replace(b"\r\n", b"\n") + b"\0" + summary.encode()).hexdigest()
    return f"{newest_day(about)}-{digest[:_DIGEST_LETTERS]}"


def newest_day(about: About) -> date | None:
    """The day of the on-demand rates; of the newest column, where there are none."""
    own = about.columns.get(rate_column(ON_DEMAND))
    days = [c.date for c in about.columns.values() if c.date is not None]
    return own.date if own is not None and own.date is not None else max(days, default=None)
