"""The config file: pydantic models over strict YAML.

Paths in a config are relative to the file that holds them. Every fault names the file, the line, the key,
what was found and what is allowed; all faults of a file are told at once.
"""

from zoneinfo import ZoneInfo as zone  # noqa: N813

from capacity.config._aws import AwsAccess, AwsAccount, AwsOrganization, AwsSource, ServiceNaming
from capacity.config._base import Fraction, Model, Name, Positive, TimeZone
from capacity.config._bills import BillLimits, BillSource, CurSource
from capacity.config._budgets import BudgetConfig
from capacity.config._carbon import CarbonConfig, GridFactor, PowerUsage
from capacity.config._cloudwatch import (
    CloudWatchDiscovery,
    CloudWatchMetric,
    CloudWatchSource,
    DiscoveredMetric,
)
from capacity.config._config import Config
from capacity.config._cost_explorer import CostExplorerOffers, CostExplorerReads, CostExplorerSource
from capacity.config._events import BusinessFigure, EdgeFactors, EventConfig, RequestFactors, ThirdPartyConfig
from capacity.config._fiscal import FiscalYear
from capacity.config._fleet import CommitmentSource, FleetSource, QuotaSource
from capacity.config._holidays import country_of
from capacity.config._invoices import ExchangeRate, InvoiceConfig
from capacity.config._kubernetes import KubernetesCostConfig, KubernetesSource, WorkloadRule
from capacity.config._load_tests import LoadTestConfig
from capacity.config._mapping import MappingFile, MappingTable, read_mapping, unknown_targets
from capacity.config._money import AttributionRule, CostsConfig, PoolConfig, pool_order, pool_problems
from capacity.config._pools import NodePoolConfig, PodConfig
from capacity.config._prices import PriceSource
from capacity.config._reading import describe, dump, load, validate
from capacity.config._services import (
    CallConfig,
    CandidateConfig,
    FailoverConfig,
    HardLimitConfig,
    OutageConfig,
    ResourceConfig,
    ServiceConfig,
    SpotConfig,
    TierConfig,
)
from capacity.config._settings import (
    CommitmentPolicy,
    CommitmentProduct,
    ForecastConfig,
    LeadTimes,
    OptimizeConfig,
    Payment,
    TermYears,
)
from capacity.config._sources import FileSource, SourceConfig
from capacity.config._units import DriverConfig, JourneyConfig

__all__ = [
    "AttributionRule",
    "AwsAccess",
    "AwsAccount",
    "AwsOrganization",
    "AwsSource",
    "BillLimits",
    "BillSource",
    "BudgetConfig",
    "BusinessFigure",
    "CallConfig",
    "CandidateConfig",
    "CarbonConfig",
    "CloudWatchDiscovery",
    "CloudWatchMetric",
    "CloudWatchSource",
    "CommitmentPolicy",
    "CommitmentProduct",
    "CommitmentSource",
    "Config",
    "CostExplorerOffers",
    "CostExplorerReads",
    "CostExplorerSource",
    "CostsConfig",
    "CurSource",
    "DiscoveredMetric",
    "DriverConfig",
    "EdgeFactors",
    "EventConfig",
    "ExchangeRate",
    "FailoverConfig",
    "FileSource",
    "FiscalYear",
    "FleetSource",
    "ForecastConfig",
    "Fraction",
    "GridFactor",
    "HardLimitConfig",
    "InvoiceConfig",
    "JourneyConfig",
    "KubernetesCostConfig",
    "KubernetesSource",
    "LeadTimes",
    "LoadTestConfig",
    "MappingFile",
    "MappingTable",
    "Model",
    "Name",
    "NodePoolConfig",
    "OptimizeConfig",
    "OutageConfig",
    "Payment",
    "PodConfig",
    "PoolConfig",
    "Positive",
    "PowerUsage",
    "PriceSource",
    "QuotaSource",
    "RequestFactors",
    "ResourceConfig",
    "ServiceConfig",
    "ServiceNaming",
    "SourceConfig",
    "SpotConfig",
    "TermYears",
    "ThirdPartyConfig",
    "TierConfig",
    "TimeZone",
    "WorkloadRule",
    "country_of",
    "describe",
    "dump",
    "load",
    "pool_order",
    "pool_problems",
    "read_mapping",
    "unknown_targets",
    "validate",
    "zone",
]
