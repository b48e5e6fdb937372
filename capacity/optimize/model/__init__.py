"""The instance mix as one PuLP model: one function a family of variables or constraints.

Sets: units s, candidate types i, months t, load blocks b of the unit, zones Z(s), zones survived f(s), further
resources m, commitments k, offers o, lots l (``_fleet``). c[i] = 1 - spot_buffer_frac.

======================  =======================================================================================
variables
n[s,i,t]                whole on-demand instances per zone, provisioned in month t (zones are alike)
r[s,i,t,b]              whole on-demand instances per zone, running in block b; r = n where a unit does not autoscale
p[s,i,t,b]              whole spot instances per zone, running in block b; one a month where a unit does not autoscale
P[s,i,t]                the most spot instances of a month, p <= P (only where a quota counts them)
y[s,i,t]                1 where a vertical unit is of type i
v, w[s,i,t,b]           1 only where type i runs (v), or runs as spot (w); spread[s,t,b]: 1 where any spot runs
cover[g,k,l]            $/h of on-demand value of the usage group g that commitment k covers in lot l
cover_bought[g,o,l]     the same for what was bought under offer o
q[o,t]                  bought at the start of month t under offer o: $/h of a Savings Plan, whole instances of an RI
leave[s,i,t,b]          running instances of today's fleet of type i that do not run on demand in b
idle[z,l]               instances of the reserved type z that nothing runs in
idle_in_month[z,t]      reserved instances beyond what is provisioned (only where a quota counts them)
======================  =======================================================================================

======================  =======================================================================================
constraints (family)
demand                  sum_i Z safe[i] (r + c p) >= demand[t,b]
zone_loss               sum_i (Z - f) zone_loss[i] (r + c p) >= demand[t,b]: f zones are gone, all others run on
further                 sum_i Z further[i,m][0] (r + c p) >= further[t,b,m]
further_zone_loss       sum_i (Z - f) further[i,m][1] (r + c p) >= further[t,b,m]
region_loss             sum_i Z zone_loss[i] n >= max_b region_loss_demand[t,b]
spot_share              sum_i Z safe[i] c p <= spot_max_frac demand[t,b]
spot_types              w <= p;  p <= U spread;  sum_i w >= spot_least_types spread
least_types             v <= r + p;  sum_i v >= least_types, in blocks with demand
minimum, maximum        min <= sum_i (r + p) in every block;  sum_i n + max_b sum_i p <= max
within                  r <= n;  p <= P
vertical, one_type      n = count y;  sum_i y = 1: the count is kept, one type is chosen
pinned                  n = the earlier plan's count, in the months that it names (and no spot there)
quota                   sum Z vCPU n + vCPU idle_in_month <= limit, by account, region and class, every month
spot_quota              sum Z vCPU P <= limit, likewise
reservation             idle >= reserved - sum Z r;  idle_in_month >= reserved - sum Z n
coverage                what commitments, owned and bought, cover of a usage group <= what runs of it
commitment              what a commitment covers <= what it holds, in every lot
offer                   what is covered under an offer <= what was bought of it and still runs, in every lot
switching               leave >= running - Z r
======================  =======================================================================================

The objective is on demand that is not covered, spot, the commitments owned and bought (paid whole, used or not), what
is reserved and not used, and the switching penalty: an hour in which an instance that runs today no longer runs costs
``switching_penalty_frac`` of its price. An instance that moves in the first month and stays away so pays that share
of its price over the whole horizon.
Rows are scaled so that right-hand sides are near 1; :attr:`Row.scale` leads back to the row's own unit. Every integer
variable is bounded. Names are generated; :class:`Row` carries their meaning.
"""

from __future__ import annotations

from capacity.optimize._fleet import Fleet
from capacity.optimize.model._commitments import define_commitment_constraints
from capacity.optimize.model._counts import (
    define_count_constraints,
    define_pinned_constraints,
    define_vertical_constraints,
)
from capacity.optimize.model._duals import duals
from capacity.optimize.model._needs import (
    define_demand_constraints,
    define_further_constraints,
    define_further_zone_loss_constraints,
    define_region_loss_constraints,
    define_zone_loss_constraints,
)
from capacity.optimize.model._objective import define_objective, define_switching_penalty
from capacity.optimize.model._quotas import define_quota_constraints, define_reservation_constraints
from capacity.optimize.model._variables import (
    define_provisioning_variables,
    define_running_variables,
    define_spot_variables,
)
from capacity.optimize.model._variety import (
    define_least_types_constraints,
    define_spot_share_constraints,
    define_spot_types_constraints,
)
from capacity.optimize.model._words import Key3, Key4, MixModel, Row, Sense, autoscales

__all__ = ["Key3", "Key4", "MixModel", "Row", "Sense", "autoscales", "build_model", "duals"]


def build_model(fleet: Fleet) -> MixModel:
    """All families of the model, in order."""
    import pulp

    model = MixModel(fleet, pulp.LpProblem("instance_mix", pulp.LpMinimize))
    define_provisioning_variables(model)
    define_running_variables(model)
    define_spot_variables(model)
    define_demand_constraints(model)
    define_zone_loss_constraints(model)
    define_further_constraints(model)
    define_further_zone_loss_constraints(model)
    define_region_loss_constraints(model)
    define_spot_share_constraints(model)
    define_spot_types_constraints(model)
    define_least_types_constraints(model)
    define_count_constraints(model)
    define_vertical_constraints(model)
    define_pinned_constraints(model)
    define_reservation_constraints(model)
    define_quota_constraints(model)
    define_commitment_constraints(model)
    define_switching_penalty(model)
    define_objective(model)
    return model
