"""Other sizes of a purchase, and what will be covered, against bills worked out here and the recommendation."""

from __future__ import annotations

from calendar import monthrange
from datetime import UTC, datetime

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from capacity.domain import Commitment
from capacity.optimize.purchases import recommend
from capacity.optimize.purchases._sizes import SIZES
from tests.optimize.purchase_makers import ACCOUNT, YEAR, group, offer, question

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


@given(FEW, st.sampled_from([0.4, 0.6]), st.floats(0.0, 3.0))
def test_what_will_be_covered_is_what_the_bill_leaves_out(usage: list[int], rate: float, owned_usd: float) -> None:
    usd = np.array(usage, dtype=float).reshape(3, 12)
    start, end = datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 7, 1, tzinfo=UTC)
    own = (Commitment("own", ACCOUNT, "compute_sp", "", "", owned_usd, 0, start, end),) if owned_usd > 0 else ()
    offers = [offer("sp", "ec2_instance_sp", rate, scope="m5")]
    hours = [24.0 * monthrange(2026, m)[1] for m in range(1, 13)]
    plan = recommend(question([group(usd)], offers, hours=hours, commitments=own, committed_rate={"own": 0.7}))
    bought = sum(r.hourly_usd for r in plan.recommendations)
    # An EC2 Instance Savings Plan comes before a Compute one.
    new = np.minimum(usd, bought / rate)
    old = np.minimum(usd - new, owned_usd / 0.7) * (np.arange(12) < 6)
    for product, owned, covered in (("ec2_instance_sp", False, new), ("compute_sp", True, old)):
        found = {c.month: c for c in plan.coverage if (c.product, c.owned) == (product, owned)}
        expected = covered.mean(axis=0) / usd.mean(axis=0)
        if not covered.any():
            assert not found
            continue
        assert list(found) == list(YEAR)
        assert [c.covered_frac for c in found.values()] == pytest.approx(expected.tolist(), abs=1e-9)
        assert [c.usage_usd for c in found.values()] == pytest.approx((np.array(hours) * usd.mean(axis=0)).tolist())
