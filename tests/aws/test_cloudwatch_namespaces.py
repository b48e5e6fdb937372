"""The bundled metrics: honest sums, the canonical names with their units, and no two for one series."""

from __future__ import annotations

import pytest

from capacity.config._cloudwatch import ACROSS_OF, CloudWatchDiscovery
from capacity.schemas import METRIC_UNITS, STATS
from capacity.sources.aws._cloudwatch_series import stat_of
from capacity.sources.aws._namespaces import BUNDLED, Wanted, published, silent_is_zero

ALL = [pytest.param(want, id=f"{kind}-{want.metric}-{want.stat}") for kind, wants in BUNDLED.items() for want in wants]


@pytest.mark.parametrize("want", ALL)
def test_each_metric_adds_up_only_where_that_is_right(want: Wanted) -> None:
    assert want.across in ACROSS_OF.get(want.stat, ("each",))
    if want.metric.endswith("_percent"):
        assert want.across != "add"  # per cents do not add up
    if want.per_second:
        assert want.stat == "Sum"
    if len(want.metric_names) > 1:
        assert want.across == "add"


@pytest.mark.parametrize("want", ALL)
def test_canonical_names_carry_their_units(want: Wanted) -> None:
    assert METRIC_UNITS.get(want.metric, want.unit) == want.unit
    assert stat_of(want.stat, want.per_second) in STATS
    ending = {"_percent": "%", "_bytes": "By", "_bytes_per_second": "By/s", "_ms": "ms", "_seconds": "s"}
    for end, unit in ending.items():
        if want.metric.endswith(end):
            assert want.unit == unit


@pytest.mark.parametrize("kind", sorted(BUNDLED))
def test_no_two_metrics_of_a_kind_are_one_series(kind: str) -> None:
    names = [(w.metric, stat_of(w.stat, w.per_second)) for w in BUNDLED[kind]]
    assert len(set(names)) == len(names)


def test_every_kind_that_the_config_allows_has_its_metrics() -> None:
    kinds = CloudWatchDiscovery.model_fields["resources"].annotation.__args__  # type: ignore[union-attr]
    assert set(kinds) - {"custom"} <= set(BUNDLED)


def test_what_is_measured_all_the_time_is_unknown_when_it_is_missing() -> None:
    assert silent_is_zero("AWS/ApplicationELB", per_second=True)
    assert silent_is_zero("Example/Orders", per_second=True)
    assert not silent_is_zero("AWS/EC2", per_second=True)
    assert not silent_is_zero("AWS/ApplicationELB", per_second=False)


def test_how_often_a_metric_comes() -> None:
    assert (published("AWS/EC2", None).seconds, published("AWS/EC2", None).sure) == (300, True)
    assert (published("AWS/EC2", 60).seconds, published("AWS/EC2", 60).sure) == (60, False)
    assert (published("AWS/RDS", None).seconds, published("AWS/RDS", None).sure) == (60, True)
    assert (published("Example/Orders", None).seconds, published("Example/Orders", None).sure) == (60, False)
    assert (published("Example/Orders", 300).seconds, published("Example/Orders", 300).sure) == (300, True)
