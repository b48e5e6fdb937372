from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from saturation_makers import service

from capacity.domain import Unit
from capacity.errors import ConfigError, UsageError
from capacity.saturation import CallGraph

EAST, WEST = "us-east-1", "us-west-2"


def calls(**per_request: float) -> list[dict[str, object]]:
    return [{"service": name.replace("_", "-"), "per_request": n} for name, n in per_request.items()]


def shop() -> CallGraph:
    """web calls checkout and search; checkout calls db (east only) itself and through payments."""
    both = [EAST, WEST]
    return CallGraph.from_services(
        [
            service("db", regions=[EAST]),
            service("payments", regions=both, calls=calls(db=2.0)),
            service("checkout", regions=both, calls=calls(payments=1.0, db=3.0)),
            service("search", regions=both),
            service("web", regions=both, calls=calls(checkout=0.1, search=0.5)),
        ]
    )


def test_callers_come_before_those_they_call() -> None:
    order = shop().order()
    assert sorted(order) == ["checkout", "db", "payments", "search", "web"]
    for caller, callee in (("web", "checkout"), ("checkout", "payments"), ("payments", "db"), ("web", "search")):
        assert order.index(caller) < order.index(callee)


def test_increments_flow_along_all_paths_and_over_regions() -> None:
    found = shop().propagate({Unit("web", EAST): 100.0, Unit("web", WEST): 10.0})
    assert found == {
        Unit("web", EAST): 100.0,
        Unit("web", WEST): 10.0,
        Unit("checkout", EAST): 10.0,
        Unit("checkout", WEST): 1.0,
        Unit("search", EAST): 50.0,
        Unit("search", WEST): 5.0,
        Unit("payments", EAST): 10.0,
        Unit("payments", WEST): 1.0,
        Unit("db", EAST): pytest.approx(11 * 3 + 11 * 2),  # the west's calls land in its first region
    }


def test_nothing_flows_upwards() -> None:
    assert set(shop().propagate({Unit("payments", WEST): 1.0})) == {Unit("payments", WEST), Unit("db", EAST)}


def test_the_larger_of_own_and_reached() -> None:
    own = {Unit("web", EAST): 100.0, Unit("checkout", EAST): 4.0, Unit("payments", EAST): 25.0}
    found = shop().propagate(own, combine="larger")
    assert found[Unit("checkout", EAST)] == 10.0
    assert found[Unit("payments", EAST)] == 25.0
    assert found[Unit("db", EAST)] == pytest.approx(10 * 3 + 25 * 2)
    assert shop().propagate(own)[Unit("checkout", EAST)] == 14.0


AMOUNTS = st.dictionaries(
    st.sampled_from([Unit(s, r) for s in ("web", "checkout", "search", "payments") for r in (EAST, WEST)]),
    st.lists(st.floats(-1e6, 1e6), min_size=3, max_size=3).map(np.array),
    min_size=1,
)


@given(one=AMOUNTS, two=AMOUNTS, factor=st.floats(-10, 10))
def test_propagation_is_linear(one: dict[Unit, np.ndarray], two: dict[Unit, np.ndarray], factor: float) -> None:
    graph, zero = shop(), np.zeros(3)
    both = {u: one.get(u, zero) + factor * two.get(u, zero) for u in {*one, *two}}
    a, b, sum_of_both = graph.propagate(one), graph.propagate(two), graph.propagate(both)
    assert set(sum_of_both) == {*a, *b}
    for unit, value in sum_of_both.items():
        np.testing.assert_allclose(value, a.get(unit, zero) + factor * b.get(unit, zero), rtol=1e-9, atol=1e-5)


@given(one=AMOUNTS)
def test_input_is_not_changed(one: dict[Unit, np.ndarray]) -> None:
    before = {u: v.copy() for u, v in one.items()}
    shop().propagate(one)
    shop().propagate(one, combine="larger")
    for unit, value in one.items():
        np.testing.assert_array_equal(value, before[unit])


def test_callers_of_a_unit() -> None:
    graph = shop()
    reached = graph.propagate({Unit("web", WEST): 1.0})
    assert graph.callers(Unit("db", EAST), reached) == (Unit("checkout", WEST), Unit("payments", WEST))
    assert graph.callers(Unit("web", WEST), reached) == ()


@pytest.mark.parametrize(
    ("edges", "circle"),
    [
        ({"a": "a"}, "a -> a"),
        ({"a": "b", "b": "a"}, "a -> b -> a"),
        ({"x": "a", "a": "b", "b": "c", "c": "a"}, "a -> b -> c -> a"),
    ],
)
def test_a_circle_is_refused_and_named(edges: dict[str, str], circle: str) -> None:
    with pytest.raises(ConfigError, match=circle):
        CallGraph.from_services([service(a, calls=calls(**{b: 1.0})) for a, b in edges.items()])


def test_a_diamond_is_no_circle() -> None:
    graph = CallGraph.from_services(
        [
            service("a", calls=calls(b=1, c=1)),
            service("b", calls=calls(d=1)),
            service("c", calls=calls(d=1)),
            service("d"),
        ]
    )
    assert graph.propagate({Unit("a", EAST): 1.0})[Unit("d", EAST)] == 2.0


def test_strangers_are_named() -> None:
    with pytest.raises(ConfigError, match="'ghost'"):
        CallGraph.from_services([service("a", calls=calls(ghost=1))])
    with pytest.raises(UsageError, match="ghost/us-east-1"):
        shop().propagate({Unit("ghost", EAST): 1.0})
