"""Cost to serve: bills to services, exactly; unit cost, the bridge between two months, spend and the tie-out."""

from capacity.costs.allocation import UNALLOCATED, Allocation, allocate, split
from capacity.costs.apart import apart_months
from capacity.costs.attribution import Attribution, attribute, needed_columns
from capacity.costs.bridge import TERMS, Bridge, bridge
from capacity.costs.currency import CONVERTED_COLUMNS, in_one_currency, rate_of
from capacity.costs.invoices import invoice_ties, private_discounts
from capacity.costs.spend import (
    SETTLE_DAYS,
    daily_spend,
    month_totals,
    month_variance,
    settled_until,
    variance_grade,
)
from capacity.costs.tie_services import INSTANCES, NOBODY, ServiceTies, tie_services
from capacity.costs.tieout import tie_out
from capacity.costs.totals import bill_totals, closed_months, reported_list
from capacity.costs.unit_cost import Marginal, marginal_cost, unit_costs

__all__ = [
    "CONVERTED_COLUMNS",
    "INSTANCES",
    "NOBODY",
    "SETTLE_DAYS",
    "TERMS",
    "UNALLOCATED",
    "Allocation",
    "Attribution",
    "Bridge",
    "Marginal",
    "ServiceTies",
    "allocate",
    "apart_months",
    "attribute",
    "bill_totals",
    "bridge",
    "closed_months",
    "daily_spend",
    "in_one_currency",
    "invoice_ties",
    "marginal_cost",
    "month_totals",
    "month_variance",
    "needed_columns",
    "private_discounts",
    "rate_of",
    "reported_list",
    "settled_until",
    "split",
    "tie_out",
    "tie_services",
    "unit_costs",
    "variance_grade",
]
