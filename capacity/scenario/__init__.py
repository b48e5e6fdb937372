"""Scenarios: small overlays on a base config, and what differs between the plans they give.

A scenario transforms the base forecast's paths and never refits; it changes policy, prices, candidates, failures and
what may be bought for the stages after it. Scenarios are compared, never stacked.
"""

from capacity.scenario._compare import ScenarioRow, UnitCostRow, compare, unit_costs
from capacity.scenario._files import Stored, digest, file_name, save, stored, to_yaml
from capacity.scenario._models import (
    BASE,
    Commitments,
    Efficiency,
    Failure,
    Growth,
    Launch,
    Migration,
    Policy,
    PriceChange,
    Scenario,
    TierOverlay,
    base,
)
from capacity.scenario._moves import delete, rename
from capacity.scenario._reading import (
    Checked,
    Fault,
    check,
    home,
    load,
    load_all,
    load_named,
    loads,
    paths,
    survey,
)
from capacity.scenario._transforms import (
    demand_added,
    demand_factor,
    efficiency_factor,
    failover_target,
    lost_region,
    overlay_config,
    price_factor,
    touches,
)

__all__ = [
    "BASE",
    "Checked",
    "Commitments",
    "Efficiency",
    "Failure",
    "Fault",
    "Growth",
    "Launch",
    "Migration",
    "Policy",
    "PriceChange",
    "Scenario",
    "ScenarioRow",
    "Stored",
    "TierOverlay",
    "UnitCostRow",
    "base",
    "check",
    "compare",
    "delete",
    "demand_added",
    "demand_factor",
    "digest",
    "efficiency_factor",
    "failover_target",
    "file_name",
    "home",
    "load",
    "load_all",
    "load_named",
    "loads",
    "lost_region",
    "overlay_config",
    "paths",
    "price_factor",
    "rename",
    "save",
    "stored",
    "survey",
    "to_yaml",
    "touches",
    "unit_costs",
]
