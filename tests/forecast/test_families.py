"""Members that say the same thing share one voice."""

from __future__ import annotations

import numpy as np
import pytest

from capacity.forecast._choice import _family_shares
from capacity.forecast._history import History
from capacity.forecast.members import MEMBERS, family_of
from tests.forecast.simulate import simulate


@pytest.mark.parametrize(("freq", "steps"), [("D", 800), ("D", 20), ("D", 8), ("h", 1344), ("h", 400), ("h", 60)])
def test_every_name_belongs_to_the_member_that_gave_it(freq: str, steps: int) -> None:
    series = simulate(np.random.default_rng(0), steps, freq)
    view = History("s", freq, series.index[0], series.to_numpy()).upto(steps)  # type: ignore[arg-type]
    for i, member in enumerate(MEMBERS):
        if member.applies(view):
            for name, median in member.medians(view, 24).items():
                assert family_of(name) == i, name
                assert np.isfinite(median).all()


def test_a_family_weighs_as_much_as_one_member() -> None:
    names = ["prophet", "ridge_120d_fading_60d", "ridge_120d_fading_180d", "theta"]
    np.testing.assert_allclose(_family_shares(names), [1, 0.5, 0.5, 1])
