"""Terraform: the counts of one month as a variable's value, and the declaration of that variable."""

from __future__ import annotations

from itertools import groupby
from typing import Any

from capacity.plan import Plan
from capacity.report.handover._base import Options, Rendered, dump, month_of, utc
from capacity.report.handover._groups import Blocks, Group, groups, running_blocks, together
from capacity.report.handover._names import dns_label, group_name

VARIABLES = """\
# The variable that capacity.auto.tfvars.json gives a value to. One entry a service, region and way of buying.
variable "capacity_groups" {
  description = "Instances by service and region, as the capacity plan recommends them for one month."
  type = map(object({
    service          = string
    region           = string
    account_id       = string
    kind             = string # fleet, or vertical: a database whose count is fixed
    purchase         = string # on_demand or spot
    month            = string # YYYY-MM
    plan_as_of       = string # the moment that the plan knows nothing after, UTC
    min_size         = number # over all types: the fewest that any load block of the month runs
    desired_capacity = number
    max_size         = number # over all types: what is provisioned
    instance_types = map(object({
      group_name       = string
      count            = number
      per_zone         = number
      min_size         = number
      desired_capacity = number
      max_size         = number
    }))
  }))
  default = {}

  validation {
    condition = alltrue([
      for g in values(var.capacity_groups) :
      g.min_size <= g.desired_capacity && g.desired_capacity <= g.max_size
    ])
    error_message = "Every group needs min_size <= desired_capacity <= max_size."
  }
}
"""


def render(plan: Plan, options: Options) -> Rendered:
    """capacity.auto.tfvars.json and capacity_variables.tf.

    Types of one unit differ in size, so each has its own sizes and its own group: a group of several types whose sizes
    are only their sum may start small instances alone, and then serves less than was planned.
    """
    month = month_of(plan, options)
    entries, by_block = dict[str, Any](), running_blocks(plan)
    of_month = [g for g in groups(plan) if g.month == month]
    for _, found in groupby(of_month, key=lambda g: (id(g.unit), g.purchase)):
        types = tuple(found)
        entries[group_key(types[0])] = _entry(plan, options, types, by_block)
    notes = () if entries else ("the plan has no instance mix: capacity_groups is empty",)
    files = {"capacity.auto.tfvars.json": dump({"capacity_groups": entries}), "capacity_variables.tf": VARIABLES}
    return Rendered(files, notes)


def group_key(group: Group) -> str:
    """The same in every plan: auth/us-east-1/on_demand."""
    return "/".join((dns_label(group.unit.service), dns_label(group.unit.region), group.purchase))


def _entry(plan: Plan, options: Options, types: tuple[Group, ...], by_block: Blocks) -> dict[str, Any]:
    unit, whole = types[0].unit, together(types, by_block)
    return {
        "service": unit.service, "region": unit.region, "account_id": unit.account_id, "kind": unit.kind,
        "purchase": types[0].purchase, "month": types[0].month, "plan_as_of": utc(plan.as_of), "min_size": whole.least,
        "desired_capacity": whole.most, "max_size": whole.most,
        "instance_types": {
            g.instance_type: {
                "group_name": group_name(options.group_name, g.places), "count": g.sizes.most, "per_zone": g.per_zone,
                "min_size": g.sizes.least, "desired_capacity": g.sizes.most, "max_size": g.sizes.most,
            }
            for g in types
        },
    }  # fmt: skip
