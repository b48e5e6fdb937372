"""The frames of a plan, and the few look-ups that the families share."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from capacity.domain import Candidate, Floats, LoadBlock, MixProblem, UnitRequirement
from capacity.optimize.check._levels import Calendar

if TYPE_CHECKING:
    from capacity.optimize.check._applied import Applied

# How much of what is required is spare (negative: missing), and where.
Slack = tuple[float, str]

ON_DEMAND, SPOT = "on_demand", "spot"


def agree(fine: bool, text: str) -> Slack:
    """A yes or no as a slack: 0 or -1."""
    return (0.0 if fine else -1.0), text


def near(value: float, wanted: float, text: str) -> Slack:
    """How far a value is from what it must be, as a share of that (of 1 where it is less): 0 or below."""
    return -abs(value - wanted) / max(abs(wanted), 1.0), f"{text} is {value:g}, not {wanted:g}"


def _with_purchase(frame: pd.DataFrame) -> pd.DataFrame:
    """A frame that does not speak of purchase is all on demand."""
    return frame if "purchase" in frame else frame.assign(purchase=ON_DEMAND)


class Site:
    """A unit as arrays over its candidates."""

    def __init__(self, requirement: UnitRequirement) -> None:
        self.requirement = r = requirement
        self.name = str(r.unit)
        self.by_type: dict[str, tuple[int, Candidate]] = {c.instance_type: (i, c) for i, c in enumerate(r.candidates)}
        self.safe = np.array([c.safe for c in r.candidates], dtype=float)
        self.zone_loss = np.array([c.zone_loss for c in r.candidates], dtype=float)
        self.relied_on = np.array([1 - c.spot_buffer_frac for c in r.candidates], dtype=float)
        self.price = np.array([c.usd_per_hour for c in r.candidates], dtype=float)
        self.vcpu = np.array([c.vcpu for c in r.candidates], dtype=float)

    @cached_property
    def blocks(self) -> dict[tuple[str, str], LoadBlock]:
        return {(b.month, b.block): b for b in self.requirement.blocks}

    def further(self, resource: str, state: int) -> Floats:
        held = [c.further[resource][state] if resource in c.further else 0.0 for c in self.requirement.candidates]
        return np.array(held, dtype=float)

    def takes_spot(self, c: Candidate) -> bool:
        r = self.requirement
        return c.spot_usd_per_hour is not None and r.spot_max_frac > 0 and not r.vertical


class Plan:
    """Frames as in MixSolution, and counts per zone by unit, month and block, one entry a candidate."""

    def __init__(
        self,
        problem: MixProblem,
        provisioned: pd.DataFrame,
        running: pd.DataFrame,
        use: pd.DataFrame,
        spend: pd.DataFrame,
        purchases: pd.DataFrame,
    ) -> None:
        self.problem, self.use, self.spend, self.purchases = problem, use, spend, purchases
        self.provisioned, self.running = _with_purchase(provisioned), _with_purchase(running)
        self.sites = [Site(r) for r in problem.requirements]
        self.by_unit = {site.name: site for site in self.sites}
        self.calendar = Calendar(problem)
        self.rates: dict[tuple[bool, str, str], Floats] = {}

    @cached_property
    def _provisioned_counts(self) -> dict[tuple[str, ...], Floats]:
        return self._counts(self.provisioned, ["unit", "purchase", "month"])

    @cached_property
    def _running_counts(self) -> dict[tuple[str, ...], Floats]:
        return self._counts(self.running, ["unit", "purchase", "month", "block"])

    def _counts(self, frame: pd.DataFrame, keys: list[str]) -> dict[tuple[str, ...], Floats]:
        out: dict[tuple[str, ...], Floats] = {}
        for *key, kind, count in frame[[*keys, "instance_type", "per_zone"]].itertuples(index=False, name=None):
            site = self.by_unit.get(key[0])
            if site is not None and kind in site.by_type:
                counts = out.setdefault(tuple(key), np.zeros(len(site.price)))
                counts[site.by_type[kind][0]] += count
        return out

    def provisioned_counts(self, site: Site, purchase: str, month: str) -> Floats:
        return self._provisioned_counts.get((site.name, purchase, month), np.zeros(len(site.price)))

    def running_counts(self, site: Site, purchase: str, month: str, block: str) -> Floats:
        return self._running_counts.get((site.name, purchase, month, block), np.zeros(len(site.price)))

    def each_block(self) -> Iterator[tuple[Site, LoadBlock, Floats, Floats]]:
        """Unit, block, and what runs per zone on demand and as spot."""
        for site in self.sites:
            for b in site.requirement.blocks:
                on_demand = self.running_counts(site, ON_DEMAND, b.month, b.block)
                yield site, b, on_demand, self.running_counts(site, SPOT, b.month, b.block)

    def each_month(self) -> Iterator[tuple[Site, str, Floats, Floats]]:
        """Unit, month, and what is provisioned per zone on demand and as spot."""
        for site in self.sites:
            for month in sorted({b.month for b in site.requirement.blocks}):
                on_demand = self.provisioned_counts(site, ON_DEMAND, month)
                yield site, month, on_demand, self.provisioned_counts(site, SPOT, month)

    @cached_property
    def applied(self) -> Applied:
        """What the contracts cover, by the provider's order."""
        from capacity.optimize.check._applied import apply_all

        return apply_all(self)

    def most_spot(self, site: Site, month: str) -> Floats:
        """The most spot instances per zone that run in any block of a month, by type."""
        blocks = [b for m, b in site.blocks if m == month]
        runs = [self.running_counts(site, SPOT, month, b) for b in blocks]
        return np.max(runs, axis=0) if runs else np.zeros(len(site.price))

    @cached_property
    def hours_of_instances(self) -> dict[str, tuple[list[tuple[Site, Candidate]], Floats]]:
        """Month -> its rows (unit, type) that run on demand, and (rows, levels) instance-hours over all zones."""
        out = {}
        for month in self.problem.months:
            rows: list[tuple[Site, Candidate]] = []
            hours = [np.zeros((0, len(self.calendar.levels(month))))]
            for site in self.sites:
                part = self.calendar.spread(site.requirement, month, self._hours_in_blocks(site, month))
                runs = np.flatnonzero(part.any(axis=1))
                rows += [(site, site.requirement.candidates[i]) for i in runs]
                hours.append(part[runs])
            out[month] = (rows, np.concatenate(hours))
        return out

    def _hours_in_blocks(self, site: Site, month: str) -> dict[str, Floats]:
        blocks = [(b, block.hours) for (m, b), block in site.blocks.items() if m == month]
        zones = site.requirement.zones
        return {b: zones * hours * self.running_counts(site, ON_DEMAND, month, b) for b, hours in blocks}
