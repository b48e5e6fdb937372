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
