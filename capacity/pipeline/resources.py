"""Demand and what it costs: a utilisation becomes an amount, and the fleet's history says vCPU per unit of demand."""

from __future__ import annotations

import numpy as np
import pandas as pd

from capacity import saturation
from capacity.config import ServiceConfig
from capacity.domain import Interval, ResourceCost, Unit
from capacity.pipeline.inputs import Inputs


def demand_of(inputs: Inputs, unit: Unit, service: ServiceConfig, stat: str) -> pd.Series:
    """The demand of one unit, UTC; busy vCPU is made from utilisation and fleet where it is not recorded itself."""
    direct = inputs.usage_of(unit, service.demand_metric, stat)
    if len(direct) or service.demand_metric != "busy_vcpu":
        return direct
    busy = _from_utilisation(inputs, unit, service, stat)
    return pd.Series(dtype=float) if busy is None else busy


def cost_of(
    inputs: Inputs, unit: Unit, service: ServiceConfig, demand: pd.Series
) -> tuple[ResourceCost | None, tuple[str, ...]]:
    """What one unit of demand costs in vCPU; None, with the reason, where nothing ties the two.

    From the fleet's history where utilisation is recorded, else from the config's load tests.
    """
    if service.kind == "usage_priced":
        return None, ()
    unknown = sorted(set(inputs.fleet_of(unit)["instance_type"].astype(str)) - set(inputs.types))
    if unknown:
        named = ", ".join(unknown[:3]) + (f" and {len(unknown) - 3} more" if len(unknown) > 3 else "")
        return None, (f"runs on {named}, which the catalogue does not know: no safe capacity and no mix",)
    if service.demand_metric == "busy_vcpu":
        return saturation.demand_is_resource(demand), ()
    direct = inputs.usage_of(unit, "busy_vcpu")
    busy = direct if len(direct) else _from_utilisation(inputs, unit, service, "avg")
    if busy is not None:
        return saturation.regress_cost(demand, busy), ()
    if service.load_tested:
        return _from_load_tests(inputs, service, float(demand.max())), ()
    return None, (f"neither {service.utilisation_metric or 'busy_vcpu'} nor a load test: no safe capacity",)


def _from_utilisation(inputs: Inputs, unit: Unit, service: ServiceConfig, stat: str) -> pd.Series | None:
    fleet = inputs.fleet_of(unit)
    if service.utilisation_metric is None or fleet.empty:
        return None
    percent = inputs.usage_of(unit, service.utilisation_metric, stat)
    return saturation.busy_vcpu(percent, fleet, inputs.types) if len(percent) else None


def _from_load_tests(inputs: Inputs, service: ServiceConfig, highest: float) -> ResourceCost:
    """vCPU per unit of demand that the tested figures imply at rho*; the interval is their spread over types."""
    costs = [
        inputs.types[name].vcpu * saturation.rho_star(inputs.types[name], service) / tested
        for name, tested in service.load_tested.items()
        if name in inputs.types
    ]
    middle = float(np.median(costs)) if costs else float("nan")
    per = Interval(min(costs, default=middle), middle, max(costs, default=middle))
    return ResourceCost("busy_vcpu", per, 0.0, highest, "load_test")
