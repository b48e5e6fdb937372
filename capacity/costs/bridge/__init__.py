"""Why EffectiveCost moved between two periods: eight terms in a fixed order, exact, with no residual.

Inside a service and a (provider service, pricing unit), where quantities may be added, the cost of SKU k is

    U x (Q/U) x s_k x p_k      p = l x c x e where it is paid at its own price, and the rate r where it is covered

with U driver units, Q the group's quantity (of a resource such as vCPU-hours where it is known, else
PricingQuantity), s the SKU's share of it, l = List / quantity, c = Contracted / List, e = Effective / Contracted, r
what an hour under a commitment or on the spot market costs. One factor after the other moves from the old period to
the new one; each state is rounded once to 1e-12, and a term is the difference of two states. So the terms add up to
the change by construction.

    volume            U                with the old quantity a unit
    efficiency        Q / U            at the old mix
    mix               s                at the old prices
    list_rate         l
    negotiated_rate   c
    commitment_rate   e, r, how much is covered or spot, and what commitments cost unused
    new_and_ended     groups and regions that only one of the two periods has
    one_off           fees and support, credits, tax, adjustments, one-time purchases, refunds without a quantity
"""

from capacity.costs.bridge._months import bridge, month_bridges
from capacity.costs.bridge._period import Period, period_units, units_by_month
from capacity.costs.bridge._plan_facts import Frames as PlanFrames
from capacity.costs.bridge._plans import NOT_TOLD, plan_actual, scenario_bridge
from capacity.costs.bridge._result import LINE_KEY, TERMS, Bridge
from capacity.costs.bridge._skus import Sku, skus_of
from capacity.costs.bridge._words import SPOKEN, words

__all__ = [
    "LINE_KEY", "NOT_TOLD", "SPOKEN", "TERMS", "Bridge", "Period", "PlanFrames", "Sku", "bridge", "month_bridges",
    "period_units", "plan_actual", "scenario_bridge", "skus_of", "units_by_month", "words",
]  # fmt: skip
