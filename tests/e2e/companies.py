"""Folders of plans that a page must bear: nothing, no service, one point, 300 services, names of 80 letters, NO-GO."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

from capacity.plan import Plan
from tests.e2e.conftest import FULL
from tests.factory import make_plan, write_plan_dir
from tests.factory_known import knowing
from tests.factory_money import spending
from tests.factory_planned import planned

SERVICES = 300
# One that may break at its hyphens, and one that nothing breaks.
LONG = tuple(
    name[:80].ljust(80, "x")
    for i in range(6)
    for name in (
        f"{i}-customer-facing-order-orchestration-service-for-marketplace-partners-of-the-second-generation",
        f"{i}_customer_facing_order_orchestration_service_for_marketplace_partners_of_the_second_generation",
    )
)


def _whole(plan: Plan) -> Plan:
    return knowing(spending(planned(plan), services=len(plan.units)))


def _one_point(scenario: str) -> Plan:
    """One service, and a single row in every frame."""
    plan = _whole(make_plan(services=1, scenario=scenario))
    return replace(plan, frames={name: frame.head(1) for name, frame in plan.frames.items()})


def _no_go(scenario: str) -> Plan:
    """No service holds the event."""
    plan = _whole(make_plan(scenario=scenario))
    events = tuple(
        replace(e, verdicts=tuple(replace(v, go=False, probability_holds=0.02) for v in e.verdicts))
        for e in plan.events
    )
    return replace(plan, events=events)


MADE: Mapping[str, Callable[[str], Plan]] = {
    "normal": lambda scenario: _whole(make_plan(scenario=scenario)),
    "no service": lambda scenario: _whole(make_plan(services=0, scenario=scenario)),
    "one point": _one_point,
    "300 services": lambda scenario: _whole(make_plan(services=SERVICES, scenario=scenario)),
    "80 letters": lambda scenario: _whole(make_plan(scenario=scenario, names=LONG)),
    "NO-GO": _no_go,
}
KINDS = ("nothing", *MADE)
LARGE = ("300 services",)


def write(folder: Path, kind: str) -> Path:
    """The plans of ``kind`` in a folder of its own under ``folder``: the base and a scenario; for nothing, nothing.

    A large one takes 5 s a scenario, and has the base alone in the quick profile.
    """
    path = folder / kind.replace(" ", "-")
    if path.exists():
        return path
    path.mkdir(parents=True)
    if kind != "nothing":
        write_plan_dir(path, MADE[kind]("base"))
    if kind not in ("nothing", *(() if FULL else LARGE)):
        write_plan_dir(path / "scenarios" / "peak-plus-40", MADE[kind]("peak-plus-40"))
    return path
