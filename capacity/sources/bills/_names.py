"""How names of columns are compared."""

from __future__ import annotations


def plain(name: str) -> str:
    """Letters and digits in lower case: ``lineItem/UsageType`` and ``line_item_usage_type`` are the same column."""
    return "".join(c for c in name.casefold() if c.isalnum())
