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
from capacity.config._invoices import ExchangeRate, InvoiceConfig
from capacity.config._load_tests import LoadTestConfig
from capacity.config._money import AttributionRule, BudgetConfig, CostsConfig, PoolConfig
from capacity.config._pools import NodePoolConfig, PodConfig
from capacity.config._prices import PriceSource
from capacity.config._reading import describe, dump, load, validate
from capacity.config._services import (
    CallConfig,
    CandidateConfig,
    EventConfig,
    FailoverConfig,
    HardLimitConfig,
    OutageConfig,
    ResourceConfig,
    ServiceConfig,
    SpotConfig,
    TierConfig,
)
from capacity.config._settings import CommitmentPolicy, ForecastConfig, LeadTimes, OptimizeConfig
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
    "CommitmentPolicy",
    "CommitmentSource",
    "Config",
    "CostExplorerOffers",
    "CostExplorerReads",
    "CostExplorerSource",
    "CostsConfig",
    "CurSource",
    "DiscoveredMetric",
    "EventConfig",
    "ExchangeRate",
    "FailoverConfig",
    "FileSource",
    "FleetSource",
    "ForecastConfig",
    "Fraction",
    "HardLimitConfig",
    "InvoiceConfig",
    "LeadTimes",
    "LoadTestConfig",
    "Model",
    "Name",
    "NodePoolConfig",
    "OptimizeConfig",
    "OutageConfig",
    "PodConfig",
    "PoolConfig",
    "Positive",
    "PriceSource",
    "QuotaSource",
    "ResourceConfig",
    "ServiceConfig",
    "ServiceNaming",
    "SourceConfig",
    "SpotConfig",
    "TierConfig",
    "TimeZone",
    "country_of",
    "describe",
    "dump",
    "load",
    "validate",
    "zone",
]
