"""Commitments, owned and bought, as the plan's frames and the problem tell them."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from capacity.domain import Candidate, Commitment, MixProblem, Offer
from capacity.optimize.check._plan import Plan, Site, Slack, agree, near

# A term is sold by the second, 365 days a year.
_DAYS_A_YEAR = 365
# Of a managed database's type (db.r6g.xlarge): no Savings Plan of EC2 pays for it.
_DATABASE = "db"


@dataclass(frozen=True)
class Contract:
    """A commitment that runs: ``rates`` by instance type where it was bought, one ``rate`` where it is owned."""

    id: str
    terms: Commitment | Offer
    hourly_usd: float
    count: float
    start: datetime
    end: datetime
    rate: float = math.nan
    rates: dict[str, float] = field(default_factory=dict)

    @property
    def is_ri(self) -> bool:
        return self.terms.product == "standard_ri"

    def rate_of(self, site: Site, c: Candidate) -> float:
        """What a dollar of on demand takes of it; NaN where it may not cover it."""
        terms, r = self.terms, site.requirement
        place = terms.account_id in ("", r.account_id) and terms.region in ("", r.unit.region)
        scope = {"standard_ri": c.instance_type, "ec2_instance_sp": c.family, "compute_sp": terms.scope}
        if not place or terms.scope != scope[terms.product]:
            return math.nan
        if not self.is_ri and c.instance_type.partition(".")[0] == _DATABASE:
            return math.nan
        return self.rates.get(c.instance_type, math.nan) if isinstance(terms, Offer) else self.rate


def contracts(plan: Plan) -> list[Contract]:
    """What is owned, and what the plan buys."""
    problem = plan.problem
    out = [
        Contract(k.id, k, k.hourly_usd, k.count, k.start, k.end, _owned_rate(problem, k)) for k in problem.commitments
    ]
    offers = {o.id: o for o in problem.offers}
    for row in plan.purchases.to_dict("records"):
        offer, start = offers[row["offer"]], plan.calendar.start(row["month"])
        end = start + timedelta(days=_DAYS_A_YEAR * offer.term_years)
        out.append(Contract(row["id"], offer, row["hourly_usd"], row["count"], start, end, rates=dict(offer.rate)))
    return out


def _owned_rate(problem: MixProblem, owned: Commitment) -> float:
    if owned.product == "standard_ri":
        return problem.committed_rate.get(owned.id, 0.0)  # only sorts
    return problem.committed_rate.get(owned.id, math.nan)


# --- purchases ---------------------------------------------------------------------------------------------


def purchases_agree(plan: Plan) -> Iterator[Slack]:
    """Known offers and months, once each; an RI is whole and costs its rate of on demand, a plan is dollars an hour."""
    offers = {o.id: o for o in plan.problem.offers}
    yield agree(not plan.purchases.duplicated("id").any(), "purchases has repeated rows")
    for row in plan.purchases.to_dict("records"):
        where, offer = f"purchase {row['id']}", offers.get(row["offer"])
        known = offer is not None and row["month"] in plan.problem.months
        yield agree(known, f"{where} is of no offer or month of the problem")
        if offer is None:
            continue
        yield agree(row["id"] == f"{offer.id}@{row['month']}", f"{where} is misnamed")
        count = float(row["count"])
        if offer.product != "standard_ri":
            yield agree(count == 0 and row["hourly_usd"] > 0, f"{where}: {count:g} instances of a Savings Plan")
            continue
        yield agree(count == int(count) and count >= 1, f"{where}: {count:g} instances")
        each = _ri_price(plan, offer)
        yield near(row["hourly_usd"], count * each, f"{where}: hourly_usd")


def _ri_price(plan: Plan, offer: Offer) -> float:
    """Its rate of the dearest on-demand price that it may cover."""
    probe = Contract("", offer, 0.0, 0, datetime.min, datetime.max, rates=dict(offer.rate))
    usd = [
        c.usd_per_hour * rate
        for site in plan.sites
        for c in site.requirement.candidates
        if not math.isnan(rate := probe.rate_of(site, c))
    ]
    return max(usd, default=math.nan)
