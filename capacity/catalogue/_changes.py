"""What differs between two catalogues: types that came and went, rates that moved."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import pandas as pd

from capacity.catalogue._files import Catalogue

# Movements told by name, the largest first.
LARGEST = 10
# Below this a rate has not moved: two prices of AWS differ by more (ten decimals).
_SAME_FRAC = 1e-9


@dataclass(frozen=True)
class RateChange:
    """One rate that moved: ``change_frac`` is new over old − 1."""

    instance_type: str
    product: str
    before: float
    after: float
    change_frac: float


@dataclass(frozen=True)
class ProductChanges:
    """How many rates of one product there are, came, went and moved."""

    product: str
    rates: int
    added: int
    removed: int
    changed: int


@dataclass(frozen=True)
class Changes:
    """From one catalogue to another. Rates are compared only where both are of one region."""

    types_added: tuple[str, ...]
    types_removed: tuple[str, ...]
    facts_changed: tuple[str, ...]
    same_region: bool
    products: tuple[ProductChanges, ...]
    largest: tuple[RateChange, ...]


def changes(before: Catalogue, after: Catalogue, largest: int = LARGEST) -> Changes:
    """What ``after`` changes of ``before``; of the rates that moved, the ``largest`` by their share."""
    same_region = before.about.region == after.about.region
    old, new = _rates(before) if same_region else _rates(before).iloc[:0], _rates(after)
    both = pd.concat([old.rename("before"), new.rename("after")], axis=1)
    both["change_frac"] = both["after"] / both["before"] - 1
    moved = both[both["change_frac"].abs() > _SAME_FRAC]
    order = moved["change_frac"].abs().sort_values(ascending=False, kind="stable").index[:largest]
    shared = sorted(set(before.types) & set(after.types))
    return Changes(
        types_added=_only(after.types, before.types),
        types_removed=_only(before.types, after.types),
        facts_changed=tuple(t for t in shared if before.types[t] != after.types[t]),
        same_region=same_region,
        products=tuple(_product(str(p), part) for p, part in both.groupby(level="product", sort=True)),
        largest=tuple(
            RateChange(str(t), str(p), float(row["before"]), float(row["after"]), float(row["change_frac"]))
            for (p, t), row in zip(order, moved.loc[order].to_dict("records"), strict=True)
        ),
    )


def _rates(known: Catalogue) -> pd.Series:
    return known.prices.set_index(["product", "instance_type"])["rate"].sort_index()


def _only(these: Iterable[str], those: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted(set(these) - set(those)))


def _product(product: str, rates: pd.DataFrame) -> ProductChanges:
    was, now = rates["before"].notna(), rates["after"].notna()
    moved = rates["change_frac"].abs() > _SAME_FRAC
    return ProductChanges(product, int(now.sum()), int((now & ~was).sum()), int((was & ~now).sum()), int(moved.sum()))
