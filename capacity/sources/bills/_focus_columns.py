"""What the FOCUS specification says of columns: spellings over its versions, allowed values, what must be there.

Column names, their renaming in 1.3 and their removal in 1.4, and allowed values are those of the FinOps Open Cost
and Usage Specification, versions 1.0 to 1.4.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from capacity.schemas import COST

# Of every version's columns, those the cost table keeps.
COLUMNS: tuple[str, ...] = tuple(c for c in COST.columns if c not in ("source", "file"))

# 1.3 deprecates ProviderName and PublisherName, 1.4 removes them. The service provider is defined as who produces
# and offers the service, which is both roles; HostProviderName (whose infrastructure it runs on) is neither.
RENAMED: Mapping[str, tuple[str, ...]] = {
    "ProviderName": ("ServiceProviderName",),
    "PublisherName": ("ServiceProviderName",),
}

# Columns whose values the specification lists; other spellings of these are set right, other values kept and noted.
ALLOWED: Mapping[str, tuple[str, ...]] = {
    "ChargeCategory": ("Usage", "Purchase", "Tax", "Credit", "Adjustment"),
    "ChargeClass": ("Correction",),
    "ChargeFrequency": ("One-Time", "Recurring", "Usage-Based"),
    "PricingCategory": ("Standard", "Dynamic", "Committed", "Other"),
    "CommitmentDiscountCategory": ("Spend", "Usage"),
    "CommitmentDiscountStatus": ("Used", "Unused"),
    "ServiceCategory": (
        "AI and Machine Learning", "Analytics", "Business Applications", "Compute", "Databases", "Developer Tools",
        "Identity", "Integration", "Internet of Things", "Management and Governance", "Media", "Migration", "Mobile",
        "Multicloud", "Networking", "Security", "Storage", "Web", "Other",
    ),
}  # fmt: skip

# A value the tool reckons with: another one makes the bill unreadable, it is not merely odd.
STRICT = ("ChargeCategory",)

# Where a mandatory name is null the row stays in the bill, under this name.
NOT_GIVEN = "(not given)"


def plain(name: str) -> str:
    """A header as it is compared: case, spaces and underscores do not count."""
    return name.casefold().replace("_", "").replace(" ", "").strip()


def mapped(header: Sequence[str]) -> tuple[dict[str, str], list[str]]:
    """Canonical column -> the file's column, and the file's columns that are not used.

    Raises
    ------
    ValueError
        Two columns of the file are the same canonical column.
    """
    by_plain: dict[str, str] = {}
    for name in header:
        key = plain(name)
        if key in by_plain and any(plain(c) == key for c in COLUMNS):
            raise ValueError(f"columns '{by_plain[key]}' and '{name}' are the same FOCUS column; remove one")
        by_plain.setdefault(key, name)
    out = {}
    for column in COLUMNS:
        spellings = (column, *RENAMED.get(column, ()))
        found = next((by_plain[plain(s)] for s in spellings if plain(s) in by_plain), None)
        if found is not None:
            out[column] = found
    used = set(out.values())
    return out, [n for n in header if n not in used]


def spelling(column: str) -> Mapping[str, str]:
    """Folded value -> the specification's spelling."""
    return {plain(v).replace("-", ""): v for v in ALLOWED[column]}
