"""Carbon beside money: only where the config asks for it and names its figures."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from decimal import Decimal

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from capacity import costs
from capacity.config import CarbonConfig
from capacity.costs.carbon import CARBON_COLUMNS, HOURS_COLUMNS, Figure, check_power, footprint
from capacity.domain import Unit
from capacity.errors import CorruptDataError, MissingDataError
from capacity.pipeline.finops.ground import Past
from capacity.pipeline.fleet import hourly_counts
from capacity.pipeline.inputs import Inputs
from capacity.pipeline.masks import units


def past_carbon(past: Past) -> dict[str, pd.DataFrame]:
    """Frame carbon; nothing where the config does not enable it.

    Raises
    ------
    MissingDataError, CorruptDataError
        The file of power figures is not there, or is none.
    """
    asked = past.inputs.config.carbon
    if not asked.enabled:
        return {}
    power = check_power(_read(past.inputs, asked), _where(past.inputs, asked), asked.largest_watts)
    hours = pd.DataFrame(_hours(past.inputs, past.money.months), columns=list(HOURS_COLUMNS))
    regions = sorted(set(hours["region"]))
    found = footprint(hours, power, _pue(asked, regions), _grid(asked))
    return {"carbon": _with_money(found, past)}


def _where(inputs: Inputs, asked: CarbonConfig) -> str:
    return str(inputs.config.resolve(asked.power or ""))


def _read(inputs: Inputs, asked: CarbonConfig) -> pd.DataFrame:
    where = _where(inputs, asked)
    try:
        return pd.read_csv(where)
    except OSError as error:
        raise MissingDataError(
            f"{where}: cannot be read ({error.strerror}); carbon.power names a CSV file of power figures"
        ) from None
    except (ValueError, pd.errors.ParserError) as error:
        raise CorruptDataError(f"{where}: not a CSV file ({error}); mend it, or name another in carbon.power") from None


def _pue(asked: CarbonConfig, regions: list[str]) -> dict[str, Figure]:
    out = {}
    for region in regions:
        told = asked.regional_pue.get(region, asked.pue)
        if told is not None:
            out[region] = Figure(told.value, f"PUE {told.value:g}: {told.source}, {told.as_of}")
    return out


def _grid(asked: CarbonConfig) -> dict[str, Figure]:
    return {
        region: Figure(told.g_per_kwh, f"grid of {region} {told.g_per_kwh:g} g/kWh: {told.source}, {told.as_of}")
        for region, told in asked.grid.items()
    }


def _hours(inputs: Inputs, months: tuple[str, ...]) -> Iterator[tuple[object, ...]]:
    """Instance-hours of each month, type and unit since the fleet's history begins, and the CPU's use in that month."""
    for unit in units(inputs.config):
        fleet = inputs.fleet_of(unit)
        if fleet.empty:
            continue
        begins = fleet["ts"].min().ceil("h")
        used = _utilisation(inputs, unit)
        for month in months:
            start = pd.Timestamp(f"{month}-01", tz="UTC")
            hours = pd.date_range(max(start, begins), start + pd.offsets.MonthBegin(1), freq="h", inclusive="left")
            if len(hours):
                ran = hourly_counts(fleet, hours).sum().groupby(level="instance_type").sum()
                share = used.get(month)
                for name, count in ran.items():
                    if count > 0:
                        yield (month, unit.service, unit.region, str(name), float(count), share)


def _utilisation(inputs: Inputs, unit: Unit) -> dict[str, float]:
    """Mean share of CPU by month, where it is measured in per cent."""
    metric = inputs.config.service(unit.service).utilisation_metric
    if metric is None or not metric.endswith("_percent"):
        return {}
    values = inputs.usage_of(unit, metric).dropna().clip(0.0, 100.0)
    if values.empty:
        return {}
    means = values.groupby(pd.DatetimeIndex(values.index).strftime("%Y-%m")).mean() / 100.0
    return {str(month): float(share) for month, share in means.items()}


def _with_money(found: pd.DataFrame, past: Past) -> pd.DataFrame:
    """Beside each figure what the service's own rows of that month and region cost; a row a currency."""
    spent = _spent(past)
    rows = []
    for row in found.to_dict("records"):
        key = (str(row["month"]), str(row["service"]), str(row["region"]))
        money: Mapping[str, Decimal | None] = spent.get(key) or {past.inputs.config.currency: None}
        for currency, cost in sorted(money.items()):
            rows.append({**row, "currency": currency, "effective_cost": cost})
    return pd.DataFrame(rows, columns=list(CARBON_COLUMNS))


def _spent(past: Past) -> dict[tuple[str, str, str], dict[str, Decimal]]:
    """(month, service, region) -> currency -> EffectiveCost of what its own rows were billed, shared cost left out."""
    config, cost = past.inputs.config, past.inputs.cost
    names = [s.name for s in config.services]
    regions = pc.fill_null(cost.column("RegionId").cast(pa.string()), "")
    out: dict[tuple[str, str, str], dict[str, Decimal]] = {}
    for region in sorted({u.region for u in units(config)}):
        rows = cost.filter(pc.equal(regions, region))
        if not rows.num_rows:
            continue
        pieces = costs.attribute(rows, config.costs, names).pieces
        pieces = pieces.filter(pc.equal(pieces.column("kind"), "service"))
        sums = pieces.group_by(["month", "name", "BillingCurrency"]).aggregate([("EffectiveCost", "sum")])
        for row in sums.to_pylist():
            at = out.setdefault((row["month"], row["name"], region), {})
            at[row["BillingCurrency"]] = row["EffectiveCost_sum"]
    return out
