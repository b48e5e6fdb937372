# A policy on gate.json, which `capacity handover PLAN_DIR --out DIR --only gate` writes:
#
#     conftest test --policy docs/examples DIR/gate.json
#     opa eval --data docs/examples/capacity.rego --input DIR/gate.json 'data.main.deny'
#
# A figure that the plan does not know is absent from gate.json, and a rule on it is then undefined: it neither denies
# nor lets pass. Where that matters, a rule of its own asks whether the figure is there.
package main

import rego.v1

# What this company accepts, unless data says otherwise (conftest --data, opa --data: {"capacity_limits": {"gap": 0.1}}).
accepted := {"over_budget": 0.5, "gap": 0.05, "event_holds": 0.95}

limits := object.union(accepted, data.capacity_limits) if {
	is_object(data.capacity_limits)
} else := accepted

deny contains msg if {
	input.schema != "capacity.gate/1"
	msg := sprintf("gate.json has the schema %v; this policy reads capacity.gate/1", [input.schema])
}

deny contains msg if {
	some violation in input.violations
	msg := sprintf("the plan violates a policy: %v", [violation])
}

deny contains msg if {
	some event in input.events
	some s in event.services
	not s.go
	msg := sprintf("%v: NO-GO for %v in %v", [event.name, s.service, s.region])
}

deny contains msg if {
	some event in input.events
	some s in event.services
	s.p_holds < limits.event_holds
	msg := sprintf("%v: %v in %v holds with P %v, %v is asked for", [event.name, s.service, s.region, s.p_holds, limits.event_holds])
}

deny contains msg if {
	some s in input.services
	s.keeps_policy_now == false
	msg := sprintf("%v in %v: headroom is below its policy today", [s.service, s.region])
}

deny contains msg if {
	some s in input.services
	some limit in s.limits
	limit.overdue
	msg := sprintf("%v in %v: the day to decide about %v is past", [s.service, s.region, limit.name])
}

deny contains msg if {
	input.bill.ties == false
	msg := "the modelled fleet does not agree with the bill"
}

deny contains msg if {
	some month in input.spend
	month.p_over_budget > limits.over_budget
	msg := sprintf("%v: over budget with P %v", [month.month, month.p_over_budget])
}

deny contains msg if {
	input.mix.gap_frac > limits.gap
	msg := sprintf("the plan is proven only within %v of the best", [input.mix.gap_frac])
}

warn contains msg if {
	some s in input.services
	s.kind != "usage_priced"
	not has_headroom(s)
	msg := sprintf("%v in %v: headroom is not known", [s.service, s.region])
}

warn contains msg if {
	some source in input.sources
	source.stale
	msg := sprintf("%v (%v) is stale", [source.source, source.frame])
}

warn contains msg if {
	not input.reproducible
	msg := "the plan is not reproducible: a time limit ended the search"
}

has_headroom(s) if is_number(s.headroom_now_frac)
