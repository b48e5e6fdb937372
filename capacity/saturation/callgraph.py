"""The call graph: how an increment of demand at one service becomes increments at those that it calls."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeVar

import numpy as np

from capacity.config import ServiceConfig
from capacity.domain import Floats, Paths, Unit
from capacity.errors import ConfigError, UsageError

Amount = TypeVar("Amount", float, Floats, Paths)


@dataclass(frozen=True)
class CallGraph:
    """Services as nodes, calls per request on the edges; never a cycle. :meth:`from_services` is the way in.

    Attributes
    ----------
    regions
        service -> its regions, in the order of the config; services in the order of the config.
    calls
        caller -> {callee: calls per request}.
    """

    regions: Mapping[str, tuple[str, ...]]
    calls: Mapping[str, Mapping[str, float]]

    @classmethod
    def from_services(cls, services: Sequence[ServiceConfig]) -> CallGraph:
        """The graph of a config.

        Raises
        ------
        ConfigError
            An edge to an unknown service, or services that call each other in a circle; the circle is named.
        """
        regions = {s.name: tuple(s.regions) for s in services}
        calls: dict[str, dict[str, float]] = {s.name: {} for s in services}
        for s in services:
            for c in s.calls:  # an edge that is given twice counts twice
                calls[s.name][c.service] = calls[s.name].get(c.service, 0.0) + c.per_request
        unknown = [f"services '{a}': calls names '{b}', which is no service" for a in calls for b in calls[a]
                   if b not in regions]  # fmt: skip
        if unknown:
            raise ConfigError(unknown)
        cycle = _find_cycle(calls)
        if cycle:
            circle = " -> ".join(cycle)
            raise ConfigError([f"services: the calls run in a circle, {circle}; take out one of these edges"])
        return cls(regions, calls)

    def order(self) -> tuple[str, ...]:
        """Services with every caller before those it calls; otherwise in the order of the config."""
        waiting = dict.fromkeys(self.regions, 0)
        for callees in self.calls.values():
            for callee in callees:
                waiting[callee] += 1
        out: list[str] = []
        while len(out) < len(waiting):
            name = next(n for n in waiting if waiting[n] == 0 and n not in out)
            out.append(name)
            for callee in self.calls[name]:
                waiting[callee] -= 1
        return tuple(out)

    def callee(self, caller: Unit, service: str) -> Unit:
        """The unit that serves ``caller``'s calls to ``service``: the same region, else the service's first one."""
        regions = self.regions[service]
        return Unit(service, caller.region if caller.region in regions else regions[0])

    def propagate(
        self,
        increments: Mapping[Unit, Amount],
        combine: Literal["sum", "larger"] = "sum",
        beside: Mapping[tuple[Unit, str], Amount] | None = None,
    ) -> dict[Unit, Amount]:
        """Increments of demand at every unit that is reached, its own included.

        Only what is *above the baseline* flows: calls per request × the caller's whole increment, summed over all
        paths of the graph. The baseline's calls are in the callee's history already.

        Parameters
        ----------
        increments
            Unit -> increment in that unit's demand: numbers, or arrays of one shape (a value a path).
        combine
            What a unit makes of its own increment and what reaches it: their sum (linear in ``increments``), or the
            larger (for an event that names both a service and its caller: the same customers, not twice as many).
        beside
            (caller, called service) -> what flows there beside, where the caller is reached.

        Returns
        -------
        dict
            Unit -> increment, in the order of :meth:`order`; units that nothing reaches are absent.

        Raises
        ------
        UsageError
            An increment at a service that the graph does not know.
        """
        strangers = sorted(str(u) for u in increments if u.service not in self.regions)
        if strangers:
            raise UsageError(f"call graph: increments at unknown services: {', '.join(strangers)}")
        reached: dict[Unit, Amount] = {}
        out: dict[Unit, Amount] = {}
        for service in self.order():
            for unit in _units_of(service, increments, reached):
                out[unit] = _combine(increments.get(unit), reached.get(unit), combine)
                for name, per_request in self.calls[service].items():
                    callee = self.callee(unit, name)
                    flow = out[unit] * per_request
                    if beside and (unit, name) in beside:
                        flow = flow + beside[unit, name]
                    reached[callee] = reached[callee] + flow if callee in reached else flow
        return out

    def callers(self, unit: Unit, reached: Mapping[Unit, object]) -> tuple[Unit, ...]:
        """Units among ``reached`` that call ``unit`` directly."""
        return tuple(
            u
            for u in reached
            if self.calls.get(u.service, {}).get(unit.service, 0.0) > 0 and self.callee(u, unit.service) == unit
        )


def _units_of(service: str, *where: Mapping[Unit, Amount]) -> list[Unit]:
    return sorted({u for units in where for u in units if u.service == service})


def _combine(own: Amount | None, reaching: Amount | None, how: str) -> Amount:
    if own is None or reaching is None:
        only = reaching if own is None else own
        assert only is not None  # noqa: S101 - a unit is here because one of the two is
        return only
    if how == "sum":
        return own + reaching
    larger: Amount = np.maximum(own, reaching)
    return larger


def _find_cycle(calls: Mapping[str, Mapping[str, float]]) -> list[str]:
    """One circle of calls, its first service repeated at the end; empty where there is none."""
    done: set[str] = set()
    for root in calls:
        trail: list[str] = []
        stack = [(root, iter(calls[root]))] if root not in done else []
        while stack:
            name, callees = stack[-1]
            if not trail or trail[-1] != name:
                trail.append(name)
            following = next(callees, None)
            if following is None:
                done.add(name)
                stack.pop()
                trail.pop()
            elif following in trail:
                return [*trail[trail.index(following) :], following]
            elif following not in done:
                stack.append((following, iter(calls[following])))
    return []
