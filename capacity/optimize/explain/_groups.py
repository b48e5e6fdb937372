"""Requirements as rows of the model are grouped, and their words.

"vertical" is two families of rows, one requirement. Families that only define variables (what runs is within what is
provisioned, what a commitment covers) are nobody's requirement and are never taken away.
"""

from __future__ import annotations

from capacity.domain import Candidate, LoadBlock, Quota, UnitRequirement
from capacity.optimize._fleet import Fleet, vertical_count
from capacity.optimize.model import Row

# (family, unit or "", month, key, resource): as in ``Row``.
Group = tuple[str, str, int, int, str]

_ONE_REQUIREMENT = {"one_type": "vertical"}

# What is asked for by someone, so that it can be taken away.
REQUIREMENTS = frozenset({
    "demand", "further", "zone_loss", "further_zone_loss", "region_loss", "spot_share", "spot_types", "least_types",
    "minimum", "maximum", "vertical", "pinned", "quota", "spot_quota", "reservation",
})  # fmt: skip
# Stated block by block, meant for the month.
_WHOLE_MONTH = frozenset({"minimum", "maximum", "least_types", "spot_share", "spot_types"})
# What couples units; all else is asked of one unit.
SHARED = frozenset({"quota", "spot_quota", "reservation"})


def group_of(row: Row) -> Group | None:
    """The requirement that ``row`` states; None where it only defines variables."""
    family = _ONE_REQUIREMENT.get(row.family, row.family)
    if family not in REQUIREMENTS:
        return None
    return (family, str(row.unit or ""), row.month, -1 if family in _WHOLE_MONTH else row.key, row.resource)


def spot_possible(r: UnitRequirement) -> bool:
    """Whether a unit may run any spot at all."""
    return r.spot_max_frac > 0 and any(c.allowed and c.spot_usd_per_hour is not None for c in r.candidates)


def words_of(fleet: Fleet, group: Group) -> str:
    """One requirement in a sentence, with the figures that make it one."""
    family, name, t, key, resource = group
    month = fleet.problem.months[t]
    if family in ("quota", "spot_quota"):
        return quota_words(fleet.problem.quotas[key], f"{' to spot' if family == 'spot_quota' else ''} in {month}")
    if family == "reservation":
        kind = fleet.reserved[key]
        ids = ", ".join(fleet.problem.reservations[i].id for i in kind.reservations)
        where = f"{kind.region} of account {kind.account_id}"
        return f"reservation {ids}: {fleet.reserved_most(kind, t)} x {kind.instance_type} held in {where} in {month}"
    r = next(r for r in fleet.requirements if str(r.unit) == name)
    blocks = fleet.blocks[fleet.position(r.unit)][t]
    if family in ("demand", "zone_loss", "further", "further_zone_loss", "region_loss"):
        return f"{name}: {_load_words(r, blocks, family, key, resource)}"
    return f"{name}: {_policy_words(r, family, month)} in {month}"


def _load_words(r: UnitRequirement, blocks: tuple[LoadBlock, ...], family: str, key: int, resource: str) -> str:
    if family == "region_loss":
        worst = max(blocks, key=lambda b: b.region_loss_demand)
        return f"demand of {worst.region_loss_demand:g} in {worst.month} when another region is lost"
    block = blocks[key]
    lost = f" with {r.zones_survived} of {r.zones} zones lost" if family.endswith("zone_loss") else ""
    if family.startswith("further"):
        return f"{block.further[resource]:g} of {resource} in {block.month} {block.block}{lost}"
    return f"demand of {block.demand:g} in {block.month} {block.block}{lost}"


def _policy_words(r: UnitRequirement, family: str, month: str) -> str:
    if family == "pinned":
        pinned = [f"{n} x {i}" for (m, i), n in sorted((r.pinned or {}).items()) if m == month]
        return f"pinned to {' + '.join(pinned)} per zone"
    return {
        "minimum": f"at least {r.min_per_zone} instance(s) per zone",
        "maximum": f"at most {r.max_per_zone} instance(s) per zone",
        "vertical": f"vertical, {vertical_count(r)} instance(s) per zone of one type",
        "least_types": f"at least {r.least_types} instance type(s)",
        "spot_share": f"at most {r.spot_max_frac:.0%} of the demand on spot",
        "spot_types": f"at least {r.spot_least_types} type(s) where spot serves",
    }[family]


def largest_words(r: UnitRequirement) -> str:
    """What one instance can do at most: a largest count binds because of it."""
    big = max((c for c in r.candidates if c.allowed), key=lambda c: (c.safe, c.instance_type))
    return f"the largest type allowed, {big.instance_type}, serves {big.safe:g} each"


def conflict_words(fleet: Fleet, group: Group) -> str:
    """As :func:`words_of`; a largest count also says what it allows."""
    text = words_of(fleet, group)
    if group[0] != "maximum":
        return text
    return f"{text}; {largest_words(next(r for r in fleet.requirements if str(r.unit) == group[1]))}"


def quota_words(quota: Quota, rest: str) -> str:
    """A quota by code, place and vCPU, with what is to be said of it."""
    return f"quota {quota.code} in {quota.region} of account {quota.account_id}: {quota.limit:g} vCPU allowed{rest}"


def counts_towards(quota: Quota, r: UnitRequirement, c: Candidate) -> bool:
    """Whether an instance of ``c``, on demand or as spot, may use ``quota``."""
    if (r.account_id, r.unit.region) != (quota.account_id, quota.region) or not c.allowed:
        return False
    spot = spot_possible(r) and c.spot_usd_per_hour is not None and c.spot_quota_code == quota.code
    return c.quota_code == quota.code or spot
