"""Commitments that could be bought, with what the rate card says of each."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from itertools import product as every

import pandas as pd

from capacity.config import CommitmentPolicy
from capacity.domain import Offer, PaymentOption, UnitRequirement
from capacity.pipeline.inputs import lowest_rates, on_demand, rates
from capacity.pipeline.managed import is_managed

# Share of the term's price that is paid on the day of purchase (AWS: partial upfront is about half).
_UPFRONT: Mapping[PaymentOption, float] = {"no_upfront": 0.0, "partial_upfront": 0.5, "all_upfront": 1.0}

# (region, instance type)
Place = tuple[str, str]


def offers(
    prices: pd.DataFrame,
    requirements: Sequence[UnitRequirement],
    policy: CommitmentPolicy,
    planned: Collection[Place] = (),
) -> tuple[tuple[Offer, ...], tuple[str, ...]]:
    """Offers of the policy's products, terms and payments that the requirements could use.

    Parameters
    ----------
    prices
        The prices frame; an offer's rate of a type is the product's over the on-demand one in the same region.
    requirements
        Whose candidates are to be covered.
    policy
        Which products, terms and payments are wanted.
    planned
        (region, type) that an earlier solve plans: Reserved Instances are offered for these and for what runs.

    Returns
    -------
    offers, missing
        One Compute Savings Plan, one EC2 Instance Savings Plan a family and region, one standard RI a type and region,
        each by term and payment. A rate that is not known is not there; where a product has none at all it is not
        offered, and ``missing`` names it.
    """
    regions = sorted({r.unit.region for r in requirements})
    usable = {(r.unit.region, c.instance_type) for r in requirements for c in r.candidates if c.allowed}
    usable = {place for place in usable if not is_managed(place[1])}
    runs = {(r.unit.region, name) for r in requirements for name, _ in r.running} | set(planned)
    found: list[Offer] = []
    missing: list[str] = []
    for kind, term, payment in every(policy.products, policy.terms, policy.payments):
        word = f"{kind}_{term}y_{payment}"
        known = [pair for region in regions for pair in _shares(prices, region, word)]
        shares = {place: share for place, share in known if place in usable}
        if not shares:
            missing.append(f"{word}: no rate is known of any type that could be used; it is not offered")
            continue
        scopes = _scopes(kind, shares, runs)
        for (scope, region), rate in sorted(scopes.items()):
            name = ":".join(x for x in (word, scope, region) if x)
            found.append(Offer(name, kind, term, payment, scope, region, "", rate, _UPFRONT[payment]))
    return tuple(found), tuple(missing)


def committed_rates(
    prices: pd.DataFrame, region: str, policy: CommitmentPolicy | None, listed: Mapping[str, float]
) -> dict[str, float]:
    """The lowest rate of the policy's products by type, as a share of on demand (``listed``); below 1 alone."""
    if policy is None:
        return {}
    products = [f"{kind}_{t}y_{payment}" for kind, t, payment in every(policy.products, policy.terms, policy.payments)]
    found = lowest_rates(prices, region, products)
    return {
        name: usd / listed[name]
        for name, usd in found.items()
        if not is_managed(name) and 0 < usd < listed.get(name, 0.0)
    }


def _shares(prices: pd.DataFrame, region: str, word: str) -> list[tuple[Place, float]]:
    listed = on_demand(prices, region)
    found = rates(prices, region, word)
    return [((region, name), rate / listed[name]) for name, rate in sorted(found.items()) if listed.get(name, 0) > 0]


def _scopes(
    kind: str, shares: Mapping[Place, float], runs: Collection[Place]
) -> dict[tuple[str, str], dict[str, float]]:
    """(scope, region) -> rate by type. Where a plan of all regions has several rates of a type, the dearest stands."""
    out: dict[tuple[str, str], dict[str, float]] = {}
    for (region, name), share in sorted(shares.items()):
        if kind == "standard_ri" and (region, name) not in runs:
            continue
        key = {
            "compute_sp": ("", ""),
            "ec2_instance_sp": (name.split(".")[0], region),
            "standard_ri": (name, region),
        }[kind]
        rate = out.setdefault(key, {})
        rate[name] = max(share, rate.get(name, 0.0))
    return out
