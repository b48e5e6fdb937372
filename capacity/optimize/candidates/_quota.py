"""Which vCPU quota counts an instance, on demand and as spot.

On demand: EC2 user guide, "Quotas for On-Demand Instances"; spot: "Spot Instance limits"; both with the codes of the
Service Quotas console, 2026. im and is are storage families and count as standard.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

_STANDARD = ("a", "c", "d", "h", "i", "im", "is", "m", "r", "t", "z")
_ON_DEMAND: Mapping[str, str] = {
    **dict.fromkeys(_STANDARD, "L-1216C47A"),
    **dict.fromkeys(("g", "gr", "vt"), "L-DB2E81BA"),
    "p": "L-417A185B",
    "x": "L-7295265B",
    "f": "L-74FC7D96",
    "inf": "L-1945791B",
    "trn": "L-2C3B7624",
    "dl": "L-6E869C2A",
    "hpc": "L-F7808C92",
    "u": "L-43DA4232",
}
_SPOT: Mapping[str, str] = {
    **dict.fromkeys(_STANDARD, "L-34B43A08"),
    **dict.fromkeys(("g", "gr", "vt"), "L-3819A6DF"),
    "p": "L-7212CCBC",
    "x": "L-E3A00192",
    "f": "L-88CF9481",
    "inf": "L-B5D1601B",
    "trn": "L-6B0D517C",
    "dl": "L-85EED4F7",
}


def quota_code(family: str) -> str:
    """The On-Demand vCPU quota that counts ``family`` (or a whole type's name); ``other:<family>`` where unknown.

    >>> quota_code("m7g"), quota_code("vt1"), quota_code("u-6tb1.metal"), quota_code("mac2")
    ('L-1216C47A', 'L-DB2E81BA', 'L-43DA4232', 'other:mac2')
    """
    name, letters = _letters(family)
    return _ON_DEMAND.get(letters, f"other:{name}")


def spot_quota_code(family: str) -> str:
    """The spot vCPU quota that counts ``family`` (or a whole type's name); ``other-spot:<family>`` where unknown.

    >>> spot_quota_code("m7g"), spot_quota_code("gr6"), spot_quota_code("mac2")
    ('L-34B43A08', 'L-3819A6DF', 'other-spot:mac2')
    """
    name, letters = _letters(family)
    return _SPOT.get(letters, f"other-spot:{name}")


def _letters(family: str) -> tuple[str, str]:
    name = family.split(".")[0]
    found = re.match(r"[a-z]+", name)
    return name, found.group(0) if found else ""
