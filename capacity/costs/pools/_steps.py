"""Pools split one after the other, so that what a pool gives another is there before that one is split."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from capacity.config import pool_order
from capacity.costs.pools._split import split
from capacity.costs.pools._targets import Group, Share
from capacity.costs.pools._weights import Ledger, Weigher

Amounts = tuple[int, ...]  # the four cost columns, whole units


@dataclass(frozen=True)
class PoolStep:
    """One pool of one group, split.

    Attributes
    ----------
    amounts
        What was in it: its own rows and what other pools gave it.
    parts
        What each target of ``share`` got; they sum to ``amounts``.
    """

    group: Group
    pool: str
    amounts: Amounts
    share: Share
    parts: tuple[Amounts, ...]


def step_down(
    pooled: dict[tuple[Group, str], Amounts], ledger: Ledger, weigher: Weigher, effective: int
) -> Iterator[PoolStep]:
    """Split all pools, each after those that feed it.

    Parameters
    ----------
    pooled
        Own amounts by group and pool; grows by what pools receive.
    ledger
        Direct costs, and the pools' own; grows with every step.
    effective
        Which of the amounts is the EffectiveCost, by which costs are weighed.
    """
    pools = {p.name: p for p in weigher.costs.pools}
    for name in pool_order(weigher.costs, weigher.services):
        pool = pools[name]
        members = weigher.members(pool)
        groups = sorted((g for g, p in pooled if p == name), key=_order)
        # All shares first: a group's weights must not depend on which group was split before it.
        shares = [weigher.share(pool, members, g, ledger) for g in groups]
        for group, share in zip(groups, shares, strict=True):
            amounts = pooled[group, name]
            parts = _parts(amounts, share)
            for target, part in zip(share.targets, parts, strict=True):
                if target.kind == "pool":
                    pooled[group, target.name] = _added(pooled.get((group, target.name)), part)
                    ledger.add(ledger.pooled, group, target, part[effective])
                elif target.kind == "service":
                    ledger.add(ledger.arrived, group, target, part[effective])
            yield PoolStep(group, name, amounts, share, parts)


def _parts(amounts: Amounts, share: Share) -> tuple[Amounts, ...]:
    # Costs are often alike: a column is split once where it equals another.
    known: dict[int, list[int]] = {}
    return tuple(zip(*(known.get(a) or known.setdefault(a, split(a, share.weights)) for a in amounts), strict=True))


def _added(before: Amounts | None, more: Sequence[int]) -> Amounts:
    return tuple(more) if before is None else tuple(a + b for a, b in zip(before, more, strict=True))


def _order(group: Group) -> tuple[str, ...]:
    return tuple(str(part) for part in group)
