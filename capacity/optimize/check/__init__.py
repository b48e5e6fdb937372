"""The independent checker: every requirement, from the plan's frames and the problem, not from the model.

It shares no expression with ``model`` or ``_billing``: NumPy and pandas on what will be shown. Slack is relative to
what is required (a share of demand, of a quota, of a sum of money) and must not be below -1e-6.
"""

from __future__ import annotations

import math

import pandas as pd

from capacity.domain import PURCHASE_COLUMNS, CheckedRequirement, MixProblem
from capacity.errors import PlanCheckError
from capacity.optimize.check._contracts import purchases_agree
from capacity.optimize.check._covered import as_the_provider_applies, limits, paid, scopes
from capacity.optimize.check._frames import frames_agree
from capacity.optimize.check._needs import demand, further, further_zone_loss, region_loss, zone_loss
from capacity.optimize.check._objective import check_objective
from capacity.optimize.check._plan import Plan, Slack
from capacity.optimize.check._quotas import quotas, reservations, spot_quotas
from capacity.optimize.check._spend import spend as spend_adds_up
from capacity.optimize.check._units import (
    least_types,
    maximum,
    minimum,
    pinned,
    spot_share,
    spot_types,
    vertical,
    within,
)

__all__ = ["FAMILIES", "TOLERANCE", "check", "check_objective"]

TOLERANCE = 1e-6

# What is looked at, in this order. Where the first two fail, what follows would only repeat it.
FAMILIES = (
    ("frames agree with the problem", frames_agree),
    ("purchases agree with the offers", purchases_agree),
    ("demand is served", demand),
    ("demand is served with zones lost", zone_loss),
    ("further resources are held", further),
    ("further resources are held with zones lost", further_zone_loss),
    ("demand is served with a region lost", region_loss),
    ("spot serves no more than its share", spot_share),
    ("spot spreads over enough types", spot_types),
    ("enough types run", least_types),
    ("running within provisioned", within),
    ("smallest count", minimum),
    ("largest count", maximum),
    ("vertical units keep their count", vertical),
    ("pinned counts are kept", pinned),
    ("quotas", quotas),
    ("spot quotas", spot_quotas),
    ("reservations that are not used are paid", reservations),
    ("commitments are not overdrawn", limits),
    ("commitments cover only what may be covered", scopes),
    ("commitments cover as the provider applies them", as_the_provider_applies),
    ("commitments are paid whole", paid),
    ("spend adds up", spend_adds_up),
)
_FIRST = 2


def check(
    problem: MixProblem,
    provisioned: pd.DataFrame,
    running: pd.DataFrame,
    commitment_use: pd.DataFrame,
    spend: pd.DataFrame,
    purchases: pd.DataFrame | None = None,
) -> tuple[CheckedRequirement, ...]:
    """Verify every family of requirements of ``problem`` on the frames of a plan (as in MixSolution).

    Returns
    -------
    tuple of CheckedRequirement
        One a family: the worst slack and how many rows were looked at.

    Raises
    ------
    PlanCheckError
        Names each family that is violated, where, and by how much.
    """
    bought = pd.DataFrame(columns=list(PURCHASE_COLUMNS)) if purchases is None else purchases
    plan = Plan(problem, provisioned, running, commitment_use, spend, bought)
    results: list[CheckedRequirement] = []
    faults: list[str] = []
    for position, (name, family) in enumerate(FAMILIES):
        if position == _FIRST and faults:
            break
        slacks = list(family(plan))
        worst = min(slacks, key=_order, default=(math.inf, ""))
        if slacks and not worst[0] >= -TOLERANCE:  # NaN is a violation too
            faults.append(f"{name}: {worst[1]} (slack {worst[0]:.3g})")
        results.append(CheckedRequirement(name, worst[0] if slacks else 0.0, len(slacks)))
    if faults:
        raise PlanCheckError("the plan breaks its own requirements:\n" + "\n".join(f"  - {f}" for f in faults))
    return tuple(results)


def _order(slack: Slack) -> float:
    return -math.inf if math.isnan(slack[0]) else slack[0]
