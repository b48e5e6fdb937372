"""The config file: pydantic models over strict YAML.

Paths in a config are relative to the file that holds them. Every fault names the file, the line, the key,
what was found and what is allowed; all faults of a file are told at once.
"""

from zoneinfo import ZoneInfo as zone  # noqa: N813

from capacity.config._aws import AwsAccess, AwsAccount, AwsOrganization, AwsSource, ServiceNaming
from capacity.config._base import Fraction, Model, Name, Positive, TimeZone
from capacity.config._bills import BillLimits, BillSource, CurSource
from capacity.config._cloudwatch import (
    CloudWatchDiscovery,
    CloudWatchMetric,
    CloudWatchSource,
    DiscoveredMetric,
)
from capacity.config._config import Config
from capacity.config._cost_explorer import CostExplorerOffers, CostExplorerReads, CostExplorerSource
from capacity.config._fleet import CommitmentSource, FleetSource, QuotaSource
from capacity.config._holidays import country_of
from capacity.config._money import AttributionRule, BudgetConfig, CostsConfig, PoolConfig
from capacity.config._prices import PriceSource
from capacity.config._reading import describe, dump, load, validate
from capacity.config._services import (
    CallConfig,
    CandidateConfig,
    EventConfig,
    HardLimitConfig,
    OutageConfig,
    ServiceConfig,
    TierConfig,
)
from capacity.config._settings import ForecastConfig, LeadTimes, OptimizeConfig
from capacity.config._sources import FileSource, SourceConfig

__all__ = [
    "AttributionRule",
    "AwsAccess",
    "AwsAccount",
    "AwsOrganization",
    "AwsSource",
    "BillLimits",
    "BillSource",
    "BudgetConfig",
    "CallConfig",
    "CandidateConfig",
    "CloudWatchDiscovery",
    "CloudWatchMetric",
    "CloudWatchSource",
    "CommitmentSource",
    "Config",
    "CostExplorerOffers",
    "CostExplorerReads",
    "CostExplorerSource",
    "CostsConfig",
    "CurSource",
    "DiscoveredMetric",
    "EventConfig",
    "FileSource",
    "FleetSource",
    "ForecastConfig",
    "Fraction",
    "HardLimitConfig",
    "LeadTimes",
    "Model",
    "Name",
    "OptimizeConfig",
    "OutageConfig",
    "PoolConfig",
    "Positive",
    "PriceSource",
    "QuotaSource",
    "ServiceConfig",
    "ServiceNaming",
    "SourceConfig",
    "TierConfig",
    "TimeZone",
    "country_of",
    "describe",
    "dump",
    "load",
    "validate",
    "zone",
]
