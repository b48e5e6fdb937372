"""Drivers and journeys in the config: what they refer to, and what is told when it is not there."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from capacity.config import Config

BASE: dict[str, Any] = {
    "version": 1,
    "company": "Co",
    "tiers": [{"name": "t"}],
    "services": [{"name": n, "tier": "t", "regions": ["r"]} for n in ("shop", "cart")],
    "drivers": [{"name": "orders", "unit": "order", "metric": "orders_per_hour", "services": ["shop"]}],
    "journeys": [{"name": "buy", "driver": "orders", "enters": {"shop": 2.0}}],
}


def test_defaults() -> None:
    found = Config.model_validate(BASE)
    (driver,), (journey,) = found.drivers, found.journeys
    assert (driver.stat, driver.month, driver.company_wide, driver.per, driver.scale) == ("avg", "sum", True, 1000, 1)
    assert (journey.stops_at, journey.share_frac, journey.per) == ([], 1.0, 1000)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"drivers": [{**BASE["drivers"][0], "services": ["shpo"]}]}, "services names 'shpo'.*did you mean 'shop'"),
        ({"drivers": BASE["drivers"] * 2}, "driver 'orders' is given twice"),
        ({"drivers": []}, "journeys 'buy': driver names 'orders', but none is defined"),
        ({"journeys": [{"name": "buy", "enters": {"card": 1}}]}, "enters names 'card'.*did you mean 'cart'"),
        ({"journeys": [{"name": "b", "enters": {"cart": 1}, "stops_at": ["x"]}]}, "stops_at names 'x'"),
        ({"journeys": [{"name": "b", "enters": {"cart": 1}}] * 2}, "journey 'b' is given twice"),
        ({"journeys": [{"name": "b", "enters": {}}]}, "at least 1"),
        ({"journeys": [{"name": "b", "enters": {"cart": 0}}]}, "greater than 0"),
        ({"journeys": [{"name": "b", "enters": {"cart": 1}, "share_frac": 0}]}, "leave it out"),
    ],
)
def test_what_is_wrong_is_named(change: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        Config.model_validate(BASE | change)
