"""The service level that a plan keeps, against counting by hand, and against plans without an instance to spare."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from capacity.domain import Unit
from capacity.errors import MissingDataError, UsageError
from capacity.forecast import block_of, cut_blocks
from capacity.optimize.service_level import FurtherNeed, Operation, simulate

UNIT = Unit("web", "us-east-1")
DAYS = pd.date_range("2026-01-30", periods=4, freq="D")  # two days of January, two of February
SAFE, LOST = {"small": 10.0, "large": 25.0}, {"small": 14.0, "large": 30.0}
# Nights are b2, days are b1.
NAMES = np.tile(np.where(np.arange(24) < 12, "b2", "b1"), (4, 1))


def operation(**changes: object) -> Operation:
    plain = Operation(UNIT, 0.9, DAYS, NAMES, 3, 1, True, SAFE, LOST)
    return replace(plain, **changes)  # type: ignore[arg-type]


def frames(
    counts: Mapping[tuple[str, str], Mapping[str, int]], purchase: str | None = None
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """(running, provisioned) from (month, block) -> type -> instances per zone; another unit's rows beside them."""
    rows = [(m, b, name, n) for (m, b), types in counts.items() for name, n in types.items()]
    running = pd.DataFrame(rows, columns=["month", "block", "instance_type", "per_zone"])
    running = running.assign(service=UNIT.service, region=UNIT.region)
    if purchase is not None:
        running = running.assign(purchase=purchase)
    running = pd.concat([running, running.assign(service="other", per_zone=1000)])
    keys = [k for k in running.columns if k not in ("block", "per_zone")]
    return running, running.groupby(keys, as_index=False)["per_zone"].max()


ALIKE = {(m, b): {"small": n} for m in ("2026-01", "2026-02") for b, n in (("b1", 4), ("b2", 2))}


def flat_paths(day: float, night: float, count: int = 10) -> np.ndarray:
    hours = np.where(NAMES == "b1", day, night)
    return np.repeat(hours[None], count, axis=0).astype(np.float32)


def test_hours_and_paths_above_are_counted_in_their_blocks() -> None:
    paths = flat_paths(120.0, 60.0)  # exactly what 12 and 6 small ones serve
    paths[0, 0, 0] = 61.0  # a night of January: 1 above
    paths[1, 0, 13] = 100.0  # a day: below
    paths[2, 3, 20] = 130.0  # a day of February: 10 above
    paths[2, 3, 21] = 125.0
    paths[3, 2, 1] = 119.0  # a night with what only a day serves: 59 above
    found = simulate(operation(), paths, *frames(ALIKE)).set_index("month")
    assert found["coverage_frac"].to_dict() == {"2026-01": 0.9, "2026-02": 0.8}
    assert found["hours_above_frac"].to_dict() == {"2026-01": 1 / 480, "2026-02": 3 / 480}
    assert found["demand_above"].to_dict() == pytest.approx({"2026-01": 0.1, "2026-02": 7.4})
    assert found["paths"].tolist() == [10, 10]


def test_a_lost_zone_takes_its_share_and_the_rest_works_harder() -> None:
    # Two of three zones: 8 small ones at 14 serve 112 of 113 by day, 56 of 56 by night.
    found = simulate(operation(), flat_paths(113.0, 56.0), *frames(ALIKE))
    assert found["coverage_frac"].tolist() == [1.0, 1.0]
    assert found["zone_loss_coverage_frac"].tolist() == [0.0, 0.0]
    assert found["zone_loss_hours_above_frac"].tolist() == [0.5, 0.5]
    assert found["zone_loss_demand_above"].tolist() == pytest.approx([24.0, 24.0])
    assert not found["holds"].any()
    assert simulate(operation(zones_survived=0), flat_paths(113.0, 56.0), *frames(ALIKE))["holds"].all()


def test_a_static_unit_runs_what_is_provisioned_in_every_hour() -> None:
    night_like_day = flat_paths(120.0, 120.0)
    assert simulate(operation(), night_like_day, *frames(ALIKE))["coverage_frac"].tolist() == [0.0, 0.0]
    static = simulate(operation(autoscaled=False, zones_survived=0), night_like_day, *frames(ALIKE))
    assert static["coverage_frac"].tolist() == [1.0, 1.0]
    assert static["one_fewer_frac"].tolist() == [0.0, 0.0]


def test_headroom_reserve_and_the_spot_buffer_are_taken_off() -> None:
    paths = flat_paths(90.0, 45.0)
    full = operation(zones_survived=0)
    assert simulate(full, paths, *frames(ALIKE))["headroom_coverage_frac"].tolist() == [1.0, 1.0]
    for changes, purchase in (
        ({"headroom_frac": 0.25}, None),
        ({"reserve": 15.0}, None),
        ({"spot_buffer_frac": {"small": 0.25}}, "spot"),
    ):
        exact = replace(full, **changes)  # type: ignore[arg-type]
        assert simulate(exact, paths, *frames(ALIKE, purchase))["headroom_coverage_frac"].tolist() == [1.0, 1.0]
        above = simulate(exact, paths * np.float32(1.01), *frames(ALIKE, purchase))
        assert above["headroom_coverage_frac"].tolist() == [0.0, 0.0], changes
        # Headroom is a buffer within safe capacity; the other two lessen safe capacity itself.
        assert above["coverage_frac"].tolist() == ([1.0, 1.0] if "headroom_frac" in changes else [0.0, 0.0])
    bought = simulate(replace(full, spot_buffer_frac={"small": 0.25}), paths, *frames(ALIKE, "on_demand"))
    assert bought["coverage_frac"].tolist() == [1.0, 1.0]


def test_a_further_resource_bounds_what_is_served() -> None:
    """Four small ones a zone hold 48 GiB: 12 are fixed, .3 a unit of demand; so 120, or 60 with two of three zones."""
    memory = FurtherNeed("memory_gib", 12.0, 0.3, {"small": (4.0, 3.75)})
    counts = {key: {"small": 4} for key in ALIKE}
    at = operation(further=(memory,), safe={"small": 100.0}, zone_loss={"small": 100.0}, headroom_frac=0.5)
    found = simulate(at, flat_paths(120.0, 60.0), *frames(counts))
    assert found["coverage_frac"].tolist() == found["headroom_coverage_frac"].tolist() == [1.0, 1.0]
    assert found["zone_loss_hours_above_frac"].tolist() == [0.5, 0.5]
    assert found["zone_loss_demand_above"].tolist() == pytest.approx([24 * 60.0] * 2)
    assert found["one_fewer_frac"].tolist() == [0.0, 0.0]
    more = simulate(at, flat_paths(121.0, 60.0), *frames(counts))
    assert more["coverage_frac"].tolist() == [0.0, 0.0]
    fixed = operation(further=(FurtherNeed("memory_gib", 48.0, 0.0, {"small": (4.0, 4.0)}),), zones_survived=0)
    found = simulate(fixed, flat_paths(1.0, 1.0), *frames(counts))
    assert found["coverage_frac"].tolist() == [1.0, 1.0]
    assert found["one_fewer_frac"].tolist() == [0.0, 0.0]


def test_the_smallest_type_is_the_one_that_is_taken_away() -> None:
    counts = {key: {"large": 2, "small": 1} for key in ALIKE}  # 180 with all, 150 without the small ones
    safe = operation(zones_survived=0)
    assert simulate(safe, flat_paths(150.0, 150.0), *frames(counts))["one_fewer_frac"].tolist() == [1.0, 1.0]
    found = simulate(safe, flat_paths(151.0, 150.0), *frames(counts))
    assert found["one_fewer_frac"].tolist() == [0.0, 0.0]
    assert found["binding_block"].tolist() == ["b1", "b1"]
    assert found["block_fewer_frac"].tolist() == [0.0, 0.0]
    assert found["minimal"].all()


def test_a_fleet_at_its_least_count_has_nothing_to_take_away() -> None:
    for count, nothing_to_take in ((4, True), (5, False)):
        counts = {key: {"small": count} for key in ALIKE}
        found = simulate(operation(min_per_zone=4), flat_paths(1.0, 1.0), *frames(counts))
        assert found["one_fewer_frac"].tolist() == [1.0, 1.0]
        assert found["at_minimum"].tolist() == found["minimal"].tolist() == [nothing_to_take] * 2


def test_types_that_are_asked_for_stay() -> None:
    """Two types are asked for: of one small and three large ones, a large one goes."""
    counts = {key: {"large": 3, "small": 1} for key in ALIKE}  # 255; 180 without a large one, 225 without the small one
    at = operation(zones_survived=0, least_types=2)
    found = simulate(at, flat_paths(200.0, 200.0), *frames(counts))
    assert found["one_fewer_frac"].tolist() == [0.0, 0.0]
    assert simulate(replace(at, least_types=1), flat_paths(200.0, 200.0), *frames(counts))["minimal"].tolist() == [
        False, False,
    ]  # fmt: skip
    one_each = {key: {"large": 1, "small": 1} for key in ALIKE}
    assert simulate(at, flat_paths(1.0, 1.0), *frames(one_each))["at_minimum"].all()


@given(st.integers(0, 10_000), st.integers(1, 5), st.floats(0.5, 0.99), st.booleans(), st.integers(0, 2))
def test_a_plan_without_an_instance_to_spare_keeps_p_and_one_fewer_breaks_it(
    seed: int, n_blocks: int, level: float, autoscaled: bool, survived: int
) -> None:
    """Blocks from random paths, each served by the fewest instances: the promise, and that nothing is bought beyond."""
    rng = np.random.default_rng(seed)
    shape = 2 + np.sin(2 * np.pi * np.arange(24) / 24)
    paths = (rng.lognormal(3, 0.3, (150, 1, 1)) * rng.lognormal(0, 0.1, (150, 4, 24)) * shape).astype(np.float32)
    blocks = cut_blocks(paths, DAYS, n_blocks, level, static=not autoscaled)
    names = np.char.add("b", (block_of(paths, DAYS, n_blocks) + 1).astype(str))
    at = operation(
        service_level=level, block_names=names, autoscaled=autoscaled, zones_survived=survived,
        headroom_frac=0.2, reserve=7.0, safe={"small": 4.0}, zone_loss={"small": 5.0},
    )  # fmt: skip
    counts: dict[tuple[str, str], dict[str, int]] = {}
    for b in blocks:
        needed = [(b.demand + 7.0) / x for x in (3 * 4.0 * 0.8, *([(3 - survived) * 5.0] if survived else []))]
        counts[b.month, b.block] = {"small": int(np.ceil(max(needed) - 1e-9))}
    found = simulate(at, paths, *frames(counts))
    assert found["holds"].all()
    assert (found["headroom_coverage_frac"] >= level - 1e-9).all()
    assert (found["zone_loss_coverage_frac"] >= level - 1e-9).all() or not survived
    assert (found["one_fewer_frac"] < level).all()
    assert (found["block_fewer_frac"] >= found["one_fewer_frac"]).all()
    assert found["minimal"].all()


def test_parts_of_the_paths_are_counted_like_the_whole() -> None:
    paths = np.random.default_rng(1).uniform(20, 130, (300, 4, 24)).astype(np.float32)
    whole = simulate(operation(), paths, *frames(ALIKE))
    in_parts = simulate(operation(), iter([paths[:7], paths[7:200], paths[200:]]), *frames(ALIKE))
    pd.testing.assert_frame_equal(whole, in_parts)


def test_what_does_not_fit_is_named() -> None:
    with pytest.raises(UsageError, match="shape"):
        simulate(operation(), flat_paths(1.0, 1.0)[:, :2], *frames(ALIKE))
    with pytest.raises(UsageError, match="no path"):
        simulate(operation(), [], *frames(ALIKE))
    with pytest.raises(UsageError, match="block names"):
        operation(block_names=NAMES[:2])
    with pytest.raises(UsageError, match="3 of 3 zones"):
        operation(zones_survived=3)
    with pytest.raises(MissingDataError, match="huge"):
        simulate(operation(), flat_paths(1.0, 1.0), *frames({k: {"huge": 1} for k in ALIKE}))


def test_a_month_that_the_plan_does_not_name_runs_nothing() -> None:
    only = {k: v for k, v in ALIKE.items() if k[0] == "2026-01"}
    found = simulate(operation(), flat_paths(1.0, 1.0), *frames(only))
    assert found["coverage_frac"].tolist() == [1.0, 0.0]
    assert found["hours_above_frac"].tolist() == [0.0, 1.0]
