"""AWS's purchase recommendations, as the store has them, beside what the plan would buy."""

from __future__ import annotations

from datetime import timedelta

import pandas as pd

from capacity.costs import commitment_review as review
from capacity.costs.commitment_review import Policy, UsageInScope, aws_key
from capacity.domain import Unit
from capacity.pipeline.demand import RECENT_DAYS
from capacity.pipeline.outlook import by_type
from capacity.pipeline.parts import Parts

_COLUMNS = ["service", "region", "instance_type", "usd"]
# What ends within the shortest term.
_SOON_DAYS = 365
_EC2 = ("compute_sp", "ec2_instance_sp", "standard_ri")


def comparison(parts: Parts) -> pd.DataFrame:
    """Frame commitment_comparison; of the base plan alone, as purchases are, and only where AWS was asked."""
    advice, config = parts.inputs.recommendations, parts.inputs.config
    if parts.change.name != "base" or parts.mix is None or not len(advice):
        return pd.DataFrame(columns=list(review.BESIDE_COLUMNS))
    bought, policy = parts.purchases.purchases, config.optimize.commitments
    wanted = {aws_key({str(k): v for k, v in row.items()})[:3] for row in advice.to_dict("records")}
    wanted |= {(str(p), str(s), str(r)) for p, s, r in zip(bought["product"], bought["scope"], bought["region"],
                                                           strict=True)}  # fmt: skip
    late, planned = _late(parts), _planned(parts)
    usage = {key: _usage(parts, key, late, planned) for key in sorted(wanted) if key[0] in _EC2}
    refused = parts.purchases.purchase_refusals
    says = None if policy is None else Policy(
        products=policy.products,
        terms=policy.terms,
        payments=policy.payments,
        least_utilisation_frac=policy.least_utilisation_frac,
        refused=tuple(zip(refused["offer"].astype(str), refused["reason"].astype(str), strict=True)),
    )  # fmt: skip
    return review.beside(bought, advice, usage, says, config.currency)


def _late(parts: Parts) -> pd.DataFrame:
    """What ran on average over four weeks, at on demand an hour, by unit and type."""
    rows = []
    for unit, need in sorted(parts.needs.items()):
        price = {c.instance_type: c.usd_per_hour for c in need.requirement.candidates}
        for name, count in by_type(need.running_average).items():
            rows.append((unit.service, unit.region, name, count * price.get(name, 0.0)))
    return pd.DataFrame(rows, columns=_COLUMNS)


def _planned(parts: Parts) -> pd.DataFrame:
    """What the plan runs on demand on average over its months, an hour, by unit and type."""
    assert parts.mix is not None  # noqa: S101 - the caller has looked
    rows = parts.mix.solution.running
    rows = rows[rows["purchase"] == "on_demand"]
    hours = sum(parts.mix.problem.month_hours)
    sums = rows.groupby(["service", "region", "instance_type"], sort=True, observed=True)["usd"].sum() / hours
    return sums.reset_index()


def _usage(parts: Parts, key: tuple[str, str, str], late: pd.DataFrame, planned: pd.DataFrame) -> UsageInScope:
    now, then = late[_inside(late, key)], planned[_inside(planned, key)]
    by_name = now.groupby("instance_type", sort=True)["usd"].sum()
    stays = set(then["instance_type"])
    left = sorted(((str(n), float(v)) for n, v in by_name.items() if n not in stays), key=lambda x: (-x[1], x[0]))
    soon = parts.inputs.as_of + timedelta(days=_SOON_DAYS)
    return UsageInScope(
        late_hourly=float(now["usd"].sum()),
        planned_hourly=float(then["usd"].sum()),
        demand_frac=_demand(parts, now),
        left=tuple(left),
        owned=tuple(
            (c.id, c.end.date())
            for c in parts.inputs.commitments
            if c.end <= soon and _overlaps(c.scope, c.region, key)
        ),
    )


def _inside(frame: pd.DataFrame, key: tuple[str, str, str]) -> pd.Series:
    product, scope, region = key
    out = pd.Series(True, index=frame.index)
    if region:
        out &= frame["region"] == region
    if product == "standard_ri" and scope:
        out &= frame["instance_type"] == scope
    elif scope:
        out &= frame["instance_type"].str.split(".").str[0] == scope
    return out


def _overlaps(owned_scope: str, owned_region: str, key: tuple[str, str, str]) -> bool:
    """Whether an owned commitment may cover usage of the scope ``key``."""
    families = {s.split(".")[0] for s in (owned_scope, key[1]) if s}
    return len(families) <= 1 and (not owned_region or not key[2] or owned_region == key[2])


def _demand(parts: Parts, now: pd.DataFrame) -> float | None:
    """Median mean demand of the horizon over that of the last four weeks, units weighted by what they cost of late."""
    weights, total = 0.0, 0.0
    spent = now.groupby(["service", "region"], sort=True, as_index=False)["usd"].sum()
    for service, region, usd in zip(spent["service"], spent["region"], spent["usd"], strict=True):
        unit = Unit(str(service), str(region))
        if unit not in parts.known or unit not in parts.data:
            continue
        recent = float(parts.data[unit].mean.dropna().iloc[-RECENT_DAYS:].mean())
        if recent > 0:
            ahead = float(parts.known[unit].mean.quantiles[3].mean())  # the row of the median
            weights, total = weights + float(usd), total + float(usd) * ahead / recent
    return total / weights if weights else None
