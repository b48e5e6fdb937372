"""Which vCPU quota an instance type counts against."""

from __future__ import annotations

import re
from collections.abc import Mapping

# (On-Demand, Spot) quota of each family, by its letters, or by letters and generation (EC2 user guide, "On-Demand
# Instance quotas" and "Spot Instance quotas"; Service Quotas console, 2026). im and is are storage families and count
# as standard; High Memory and HPC have no Spot quota. All P share one On-Demand quota; on Spot P4, P3 and P2 share one,
# P5 (with P5e and P5en) has its own, and of later ones none is known.
_STANDARD = ("L-1216C47A", "L-34B43A08")
_CODES: Mapping[str, tuple[str, str | None]] = {
    **dict.fromkeys(("a", "c", "d", "h", "i", "im", "is", "m", "r", "t", "z"), _STANDARD),
    **dict.fromkeys(("g", "gr", "vt"), ("L-DB2E81BA", "L-3819A6DF")),
    "p": ("L-417A185B", None),
    **dict.fromkeys(("p2", "p3", "p4"), ("L-417A185B", "L-7212CCBC")),
    "p5": ("L-417A185B", "L-C4BD4855"),
    "x": ("L-7295265B", "L-E3A00192"),
    "f": ("L-74FC7D96", "L-88CF9481"),
    "inf": ("L-1945791B", "L-B5D1601B"),
    "trn": ("L-2C3B7624", "L-6B0D517C"),
    "dl": ("L-6E869C2A", "L-85EED4F7"),
    "hpc": ("L-F7808C92", None),
    "u": ("L-43DA4232", None),
}
_KNOWN = frozenset(code for pair in _CODES.values() for code in pair if code)


def quota_code(instance_type: str, *, spot: bool) -> str | None:
    """The quota that counts ``instance_type``; None where it is not known.

    >>> quota_code("m7g.large", spot=False), quota_code("g5.xlarge", spot=True), quota_code("mac2.metal", spot=False)
    ('L-1216C47A', 'L-3819A6DF', None)
    """
    family = re.match(r"([a-z]+)\d*", instance_type.split(".")[0])
    pair = (_CODES.get(family[0]) or _CODES.get(family[1])) if family else None
    return None if pair is None else pair[spot]


def is_vcpu(code: str) -> bool:
    """Whether ``code`` is a quota of vCPU that is counted from what runs."""
    return code in _KNOWN
