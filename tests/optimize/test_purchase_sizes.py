"""Other sizes of a purchase against a bill worked out here, and against the recommendation itself."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from capacity.optimize.purchases import recommend
from capacity.optimize.purchases._sizes import SIZES
from tests.optimize.purchase_makers import group, offer, question

FEW = st.lists(st.integers(1, 12), min_size=36, max_size=36)


@given(FEW, st.sampled_from([0.4, 0.6, 0.8]))
def test_each_size_saves_what_a_bill_of_its_own_says(usage: list[int], rate: float) -> None:
    usd = np.array(usage, dtype=float).reshape(3, 12)
    plan = recommend(question([group(usd)], [offer("sp", rate=rate)]))
    if not plan.recommendations:
        assert plan.sizes == ()
        return
    whole = [s for s in plan.sizes if s.id == ""]
    assert [s.size_frac for s in whole] == list(SIZES)
    hourly = plan.recommendations[0].hourly_usd
    for one in whole:
        bought = hourly * one.size_frac
        cost = 730.0 * (np.maximum(usd - bought / rate, 0.0) + bought).sum(axis=1)
        saved = 730.0 * usd.sum(axis=1) - cost
        assert one.hourly_usd == pytest.approx(bought)
        assert one.saving.mean == pytest.approx(saved.mean(), abs=1e-6)
        assert one.saving.p10 == pytest.approx(np.quantile(saved, 0.1), abs=1e-6)
        if bought > 0 and one.utilisation is not None:
            used = np.minimum(usd * rate, bought).mean(axis=1) / bought
            assert one.utilisation.mean == pytest.approx(used.mean())


def test_the_size_that_is_recommended_is_the_recommendation() -> None:
    usd = np.tile(np.array([[4.0], [6.0], [7.0]]), (1, 12))
    groups = [group(usd), group(usd * 0.5, "c5.large")]
    offers = [offer("m", "ec2_instance_sp", 0.6, scope="m5"), offer("c", "ec2_instance_sp", 0.6, scope="c5")]
    plan = recommend(question(groups, offers))
    assert len(plan.recommendations) == 2
    for one in plan.recommendations:
        own = next(s for s in plan.sizes if s.id == one.id and s.size_frac == 1.0)
        assert own.saving == one.saving
        assert own.utilisation == one.utilisation
        nothing = next(s for s in plan.sizes if s.id == one.id and s.size_frac == 0.0)
        assert (nothing.saving.mean, nothing.utilisation, nothing.hourly_usd) == (0.0, None, 0.0)
    # Scopes that do not meet add up.
    both = next(s for s in plan.sizes if s.id == "" and s.size_frac == 1.0)
    assert both.saving.mean == pytest.approx(sum(r.saving.mean for r in plan.recommendations))


def test_instances_come_whole() -> None:
    usd = np.full((2, 12), 0.3)
    ri = offer("ri", "standard_ri", {"m5.large": 0.5}, scope="m5.large", types=("m5.large",))
    plan = recommend(question([group(usd)], [ri]))
    assert [r.count for r in plan.recommendations] == [3]
    whole = {s.size_frac: s.hourly_usd for s in plan.sizes if s.id == ""}
    assert whole[0.5] == pytest.approx(2 * 0.1 * 0.5)
    assert whole[1.5] == pytest.approx(4 * 0.1 * 0.5)
