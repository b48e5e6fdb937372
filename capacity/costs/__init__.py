"""Cost to serve: bills to services, exactly; unit cost, the bridge between two months, spend and the tie-out."""

from capacity.costs.allocated_rows import ALLOCATED_COLUMNS, allocated_rows
from capacity.costs.allocation import UNALLOCATED, Allocation, allocate, split
from capacity.costs.anomalies import JUDGED_DAYS, SkuAnomaly, SkuDays
from capacity.costs.anomalies import find as find_anomalies
from capacity.costs.apart import apart_months
from capacity.costs.attribution import Attribution, attribute, needed_columns, rule_months
from capacity.costs.bridge import (
    NOT_TOLD,
    TERMS,
    Bridge,
    Period,
    PlanFrames,
    Sku,
    bridge,
    month_bridges,
    period_units,
    plan_actual,
    scenario_bridge,
    skus_of,
    units_by_month,
)
from capacity.costs.bridge import SPOKEN as BRIDGE_SPOKEN
from capacity.costs.bridge import words as bridge_words
from capacity.costs.budgets import (
    RUNNING_BASIS,
    Beside,
    Budget,
    Outlook,
    OutlookRow,
    combined_width,
    exact_sum,
    groups_of,
    outlook_rows,
    outlooks,
    widened,
)
from capacity.costs.currency import CONVERTED_COLUMNS, in_one_currency, rate_of
from capacity.costs.invoices import invoice_ties, private_discounts
from capacity.costs.journeys import (
    JOURNEY_COLUMNS,
    NOT_EXPLAINED,
    journey_costs,
    journey_unit_costs,
    requests_per_journey,
)
from capacity.costs.kubernetes import ClusterWeights, cluster_weights
from capacity.costs.sku_days import sku_days
from capacity.costs.spend import (
    SETTLE_DAYS,
    daily_spend,
    exact_months,
    month_totals,
    month_variance,
    settled_until,
    variance_grade,
)
from capacity.costs.spend_past import Group, Owner, PastMonth, Widths, backtest, scored, widths
from capacity.costs.tie_services import INSTANCES, NOBODY, ServiceTies, tie_services
from capacity.costs.tieout import tie_out
from capacity.costs.totals import bill_totals, closed_months, partial_months, reported_list
from capacity.costs.unit_ahead import added_months, per_1000_ahead, quantiles_ahead, whole_months
from capacity.costs.unit_cost import Marginal, marginal_cost, unit_costs
from capacity.costs.unit_days import added_days, metered_days
from capacity.costs.unit_groups import UNIT_GROUP_COLUMNS, UNIT_LEVELS, GroupKey, unit_groups
from capacity.costs.unit_slopes import Slope, combined, day_slopes
from capacity.costs.unit_trend import month_trend

__all__ = [
    "ALLOCATED_COLUMNS",
    "BRIDGE_SPOKEN",
    "CONVERTED_COLUMNS",
    "INSTANCES",
    "JOURNEY_COLUMNS",
    "JUDGED_DAYS",
    "NOBODY",
    "NOT_EXPLAINED",
    "NOT_TOLD",
    "RUNNING_BASIS",
    "SETTLE_DAYS",
    "TERMS",
    "UNALLOCATED",
    "UNIT_GROUP_COLUMNS",
    "UNIT_LEVELS",
    "Allocation",
    "Attribution",
    "Beside",
    "Bridge",
    "Budget",
    "ClusterWeights",
    "Group",
    "GroupKey",
    "Marginal",
    "Outlook",
    "OutlookRow",
    "Owner",
    "PastMonth",
    "Period",
    "PlanFrames",
    "ServiceTies",
    "Sku",
    "SkuAnomaly",
    "SkuDays",
    "Slope",
    "Widths",
    "added_days",
    "added_months",
    "allocate",
    "allocated_rows",
    "apart_months",
    "attribute",
    "backtest",
    "bill_totals",
    "bridge",
    "bridge_words",
    "closed_months",
    "cluster_weights",
    "combined",
    "combined_width",
    "daily_spend",
    "day_slopes",
    "exact_months",
    "exact_sum",
    "find_anomalies",
    "groups_of",
    "in_one_currency",
    "invoice_ties",
    "journey_costs",
    "journey_unit_costs",
    "marginal_cost",
    "metered_days",
    "month_bridges",
    "month_totals",
    "month_trend",
    "month_variance",
    "needed_columns",
    "outlook_rows",
    "outlooks",
    "partial_months",
    "per_1000_ahead",
    "period_units",
    "plan_actual",
    "private_discounts",
    "quantiles_ahead",
    "rate_of",
    "reported_list",
    "requests_per_journey",
    "rule_months",
    "scenario_bridge",
    "scored",
    "settled_until",
    "sku_days",
    "skus_of",
    "split",
    "tie_out",
    "tie_services",
    "unit_costs",
    "unit_groups",
    "units_by_month",
    "variance_grade",
    "whole_months",
    "widened",
    "widths",
]
