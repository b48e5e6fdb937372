"""Carbon beside money: exact from given figures, and nothing from what is not known."""

from __future__ import annotations

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from capacity.config import CarbonConfig
from capacity.costs.carbon import HOURS_COLUMNS, Figure, check_power, footprint
from capacity.errors import CorruptDataError

POWER = pd.DataFrame(
    [("m5.large", 4.0, 10.0, "measured in our rack", "2026-05-01"), ("c5.large", 5.0, 15.0, "a paper", "2026-05-01")],
    columns=["instance_type", "idle_watts", "max_watts", "source", "as_of"],
)
PUE, GRID = {"us-east-1": Figure(1.2, "PUE of the operator")}, {"us-east-1": Figure(380.0, "grid of the agency")}


def hours(*rows: tuple[object, ...]) -> pd.DataFrame:
    return pd.DataFrame([("2026-09", "web", "us-east-1", *r) for r in rows], columns=list(HOURS_COLUMNS))


def test_energy_and_emissions_with_their_sources() -> None:
    (found,) = footprint(hours(("m5.large", 1000.0, 0.5)), POWER, PUE, GRID).to_dict("records")
    assert found["kwh"] == pytest.approx(1000 * (4 + 0.5 * 6) / 1000 * 1.2)
    assert found["kg_co2e"] == pytest.approx(8.4 * 0.38)
    assert found["covered_frac"] == 1.0
    assert found["sources"] == "measured in our rack; PUE of the operator; grid of the agency"
    assert found["flags"] == ""


def test_what_is_not_known_is_left_out_listed_and_never_scaled_up() -> None:
    known = footprint(hours(("m5.large", 1000.0, 0.5)), POWER, PUE, GRID).iloc[0]
    some = footprint(hours(("m5.large", 1000.0, 0.5), ("p5.48xlarge", 3000.0, 0.5)), POWER, PUE, GRID).iloc[0]
    assert some["kwh"] == known["kwh"]
    assert (some["covered_frac"], some["unknown_types"]) == (0.25, "p5.48xlarge")
    assert some["flags"] == "no power figures of p5.48xlarge"
    unmeasured = footprint(hours(("m5.large", 1000.0, None)), POWER, PUE, GRID).iloc[0]
    assert pd.isna(unmeasured["kwh"])
    assert (unmeasured["covered_frac"], unmeasured["flags"]) == (0.0, "CPU not measured of some instances")


def test_a_region_without_a_factor_has_energy_and_no_emissions() -> None:
    found = footprint(hours(("m5.large", 1000.0, 0.5)), POWER, PUE, {}).iloc[0]
    assert found["kwh"] == pytest.approx(8.4)
    assert pd.isna(found["kg_co2e"])
    assert found["flags"] == "no grid factor of this region"
    bare = footprint(hours(("m5.large", 1000.0, 0.5)), POWER, {}, GRID).iloc[0]
    assert pd.isna(bare["kwh"])
    assert bare["covered_frac"] == 0.0


# None, or a few seconds and more: of 1e-320 hours there is no energy in a float.
ABOUT_HOURS = st.one_of(st.just(0.0), st.floats(1e-3, 1e5))


@given(st.lists(st.tuples(st.sampled_from(["m5.large", "c5.large", "x"]), ABOUT_HOURS, st.floats(0, 1)), min_size=1))
def test_energy_lies_between_idle_and_full_load(found: list[tuple[str, float, float]]) -> None:
    line = footprint(hours(*found), POWER, PUE, GRID).iloc[0]
    known = [(POWER.set_index("instance_type").loc[t], h) for t, h, _ in found if t != "x"]
    idle, full = (1.2 / 1000 * sum(h * p[c] for p, h in known) for c in ("idle_watts", "max_watts"))
    if not pd.isna(line["kwh"]):
        assert idle * (1 - 1e-9) - 1e-9 <= line["kwh"] <= full * (1 + 1e-9) + 1e-9
        assert 0 < line["covered_frac"] <= 1


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"instance_type": "c5.large"}, "is there twice"),
        ({"idle_watts": "?"}, "has no idle_watts or max_watts"),
        ({"idle_watts": 11.0}, "uses less at work than idle"),
        ({"max_watts": 1e6}, "is said to use more than 20000 W"),
        ({"source": " "}, "has no source"),
        ({"as_of": "May"}, "has no day"),
    ],
)
def test_a_file_of_figures_that_cannot_be_is_refused(change: dict[str, object], words: str) -> None:
    wrong = POWER.astype(object)
    for name, value in change.items():
        wrong.loc[0, name] = value
    with pytest.raises(CorruptDataError, match=words):
        check_power(wrong, "power.csv", 20_000)
    assert len(check_power(POWER, "power.csv", 20_000)) == 2
    with pytest.raises(CorruptDataError, match="columns missing: source"):
        check_power(POWER.drop(columns="source"), "power.csv", 20_000)


def test_it_is_off_and_cannot_be_enabled_without_figures() -> None:
    assert not CarbonConfig().enabled
    with pytest.raises(ValidationError, match="no power and no pue and no grid"):
        CarbonConfig(enabled=True)
    with pytest.raises(ValidationError, match="source"):
        CarbonConfig.model_validate({"grid": {"us-east-1": {"g_per_kwh": 380, "as_of": "2026-01-01"}}})
