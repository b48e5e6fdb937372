"""Saturation: safe utilisation, cost per demand, safe capacity, first passage, the call graph, the event check."""

from capacity.saturation.callgraph import CallGraph
from capacity.saturation.capacity import (
    ResourceNeed,
    binding_resource,
    per_instance,
    reference_scale,
    reserved_demand,
    rho_star,
    safe_capacity,
)
from capacity.saturation.event_window import (
    apply_event,
    event_day_factor,
    event_day_weight,
    event_factor,
    event_weight,
)
from capacity.saturation.events import (
    EventInputs,
    HardLimitInputs,
    PastPeak,
    check_event,
    event_flows,
    event_inputs,
    is_stock,
)
from capacity.saturation.load_test import LoadTested, from_load_test
from capacity.saturation.passage import first_passage, from_probability, headroom, order_by
from capacity.saturation.performance import performance_scale
from capacity.saturation.queueing import delay_probability, erlang_b, erlang_c, safe_utilisation, wait_quantile_ms
from capacity.saturation.resource_cost import demand_is_resource, regress_cost
from capacity.saturation.usl import UslFit, fit_usl, usl_peak, usl_throughput
from capacity.saturation.utilisation import busy_vcpu, group_maximum, running_most, running_now, running_vcpu

__all__ = [
    "CallGraph",
    "EventInputs",
    "HardLimitInputs",
    "LoadTested",
    "PastPeak",
    "ResourceNeed",
    "UslFit",
    "apply_event",
    "binding_resource",
    "busy_vcpu",
    "check_event",
    "delay_probability",
    "demand_is_resource",
    "erlang_b",
    "erlang_c",
    "event_day_factor",
    "event_day_weight",
    "event_factor",
    "event_flows",
    "event_inputs",
    "event_weight",
    "first_passage",
    "fit_usl",
    "from_load_test",
    "from_probability",
    "group_maximum",
    "headroom",
    "is_stock",
    "order_by",
    "per_instance",
    "performance_scale",
    "reference_scale",
    "regress_cost",
    "reserved_demand",
    "rho_star",
    "running_most",
    "running_now",
    "running_vcpu",
    "safe_capacity",
    "safe_utilisation",
    "usl_peak",
    "usl_throughput",
    "wait_quantile_ms",
]
