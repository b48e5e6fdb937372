"""The recommended mix as groups of instances with a smallest and a largest size, by month."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from capacity.plan import Plan, UnitPlan
from capacity.report.handover._base import rows

# service, region, month, purchase, instance_type
Key = tuple[str, str, str, str, str]
# By service, region and month: by load block, instances by purchase and type.
Blocks = Mapping[tuple[str, str, str], Mapping[str, Mapping[tuple[str, str], int]]]


@dataclass(frozen=True)
class Sizes:
    """Fewest instances that any load block of the month runs, and what is provisioned.

    A group starts at ``most``: what scales by load goes down from there and is never short meanwhile.
    """

    least: int
    most: int

    def over(self, other: Sizes) -> Sizes:
        """The larger of each."""
        return Sizes(max(self.least, other.least), max(self.most, other.most))


NOTHING = Sizes(0, 0)


@dataclass(frozen=True)
class Group:
    """Instances of one type, unit, month and way of buying."""

    unit: UnitPlan
    month: str
    purchase: str
    instance_type: str
    per_zone: int
    vcpu: int
    sizes: Sizes

    @property
    def places(self) -> dict[str, str]:
        """What a template of group names may hold."""
        return {
            "service": self.unit.service, "region": self.unit.region, "instance_type": self.instance_type,
            "purchase": self.purchase, "account_id": self.unit.account_id,
        }  # fmt: skip


def groups(plan: Plan) -> tuple[Group, ...]:
    """All groups of the plan, in the order of units, months, purchase and type; those of no instance are left out."""
    units = {(u.service, u.region): u for u in plan.units}
    by_block = running_blocks(plan)
    found = []
    for row in rows(plan.frame("mix")):
        unit = units.get((row.service, row.region))
        if unit is None or int(row.instances) == 0:
            continue
        key = (row.service, row.region, row.month, row.purchase, row.instance_type)
        sizes = Sizes(_least(key, int(row.instances), by_block), int(row.instances))
        found.append(Group(unit, row.month, row.purchase, row.instance_type, int(row.per_zone), int(row.vcpu), sizes))
    order = {id(u): i for i, u in enumerate(plan.units)}
    return tuple(sorted(found, key=lambda g: (order[id(g.unit)], g.month, g.purchase, g.instance_type)))


def together(of: tuple[Group, ...], by_block: Blocks) -> Sizes:
    """Sizes of groups of one unit, month and way of buying together: the fewest that any block runs in all."""
    most, total = sum(g.sizes.most for g in of), dict[str, int]()
    for g in of:
        key = (g.unit.service, g.unit.region, g.month, g.purchase, g.instance_type)
        blocks = by_block.get(key[:3])
        if blocks is None:
            return Sizes(sum(x.sizes.least for x in of), most)
        for block, counts in blocks.items():
            total[block] = total.get(block, 0) + counts.get((g.purchase, g.instance_type), 0)
    return Sizes(min(min(total.values(), default=most), most), most)


def running_blocks(plan: Plan) -> Blocks:
    """Counts by unit and month, block, and (purchase, type); a type without a row runs nothing in that block."""
    out: dict[tuple[str, str, str], dict[str, dict[tuple[str, str], int]]] = {}
    for row in rows(plan.frame("running")):
        block = out.setdefault((row.service, row.region, row.month), {}).setdefault(row.block, {})
        what = (row.purchase, row.instance_type)
        block[what] = block.get(what, 0) + int(row.instances)
    return out


def _least(key: Key, most: int, by_block: Blocks) -> int:
    blocks = by_block.get(key[:3])
    if not blocks:
        return most
    return min(min(counts.get(key[3:], 0) for counts in blocks.values()), most)
