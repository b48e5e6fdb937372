"""What a burstable type may use of its vCPUs for ever, by size: no API tells it.

Source: EC2 user guide, "Key concepts for burstable performance instances", table of baseline utilisation a vCPU (2026).
T3, T3a and T4g share one column.
"""

from __future__ import annotations

from collections.abc import Mapping

_T3 = {"nano": 0.05, "micro": 0.1, "small": 0.2, "medium": 0.2, "large": 0.3, "xlarge": 0.4, "2xlarge": 0.4}
_BASELINE: Mapping[str, Mapping[str, float]] = {
    "t2": {**_T3, "xlarge": 0.225, "2xlarge": 0.16875},
    "t3": _T3,
    "t3a": _T3,
    "t4g": _T3,
}


def baseline_frac(instance_type: str) -> float | None:
    """Share of each vCPU that ``instance_type`` earns as it goes; None where it is not burstable, or not known.

    >>> baseline_frac("t4g.large"), baseline_frac("t2.xlarge"), baseline_frac("m7g.large")
    (0.3, 0.225, None)
    """
    family, _, size = instance_type.partition(".")
    return _BASELINE.get(family, {}).get(size)
