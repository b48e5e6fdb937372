"""How fast a vCPU of one instance type is against that of another: measured where it was, else by clock and IPC."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from capacity.domain import InstanceType
from capacity.errors import UsageError

ScaleBasis = Literal["measured", "hardware", "unknown"]


def performance_scale(
    kind: InstanceType, reference: InstanceType, measured: Mapping[str, float]
) -> tuple[float, ScaleBasis]:
    """Throughput of a vCPU of ``kind`` over that of a vCPU of ``reference``, and where that comes from.

    ``measured``: ``measured[kind] / measured[reference]``, each found by type, then by family; a reference that was not
    measured counts 1 (the scales then are relative to it). ``hardware``: clock × IPC of the one over the other. The
    catalogue's ``ipc_scale`` is work a vCPU does a clock, so that it already holds how many vCPU share a core (m7a, a
    core each, has 1.95 where m6a, half a core each, has 1.15): cores are not counted again. ``unknown``: a clock or an
    IPC of either is missing (0): 1, a vCPU is a vCPU, to be flagged.

    Parameters
    ----------
    kind, reference
        The two types.
    measured
        By instance type or family: throughput per vCPU, relative to one and the same machine.

    Raises
    ------
    UsageError
        A measured scale is not above 0.

    Examples
    --------
    >>> old = InstanceType("m5.large", "m5", 2, 1, 8, 10, "x86_64", False, False, clock_ghz=3.1, ipc_scale=1.0)
    >>> new = InstanceType("m6i.large", "m6i", 2, 1, 8, 12.5, "x86_64", True, False, clock_ghz=3.5, ipc_scale=1.15)
    >>> scale, basis = performance_scale(new, old, {})
    >>> round(scale, 3), basis
    (1.298, 'hardware')
    >>> performance_scale(new, old, {"m6i": 1.2})
    (1.2, 'measured')
    """
    own = _measured(kind, measured)
    if own is not None:
        return own / (_measured(reference, measured) or 1.0), "measured"
    if kind.name == reference.name:
        return 1.0, "hardware"
    speeds = [t.clock_ghz * t.ipc_scale for t in (kind, reference)]
    if min(speeds) <= 0:
        return 1.0, "unknown"
    return speeds[0] / speeds[1], "hardware"


def _measured(kind: InstanceType, measured: Mapping[str, float]) -> float | None:
    found = measured.get(kind.name, measured.get(kind.family))
    if found is not None and not found > 0:
        raise UsageError(f"performance scale of {kind.name}: found {found}; give a ratio above 0")
    return found
