"""A plan knows its catalogue and of which days its rates are."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from pathlib import Path

import pandas as pd
import pytest

from capacity import catalogue, config, pipeline
from capacity.domain import Commitment
from capacity.pipeline.inputs import committed_rates, on_demand, read_inputs
from capacity.pipeline.planning import Run
from capacity.pipeline.rates import days_of
from tests import company


def test_a_plan_records_the_catalogues_version_and_the_days_of_its_rates(planned: Run) -> None:
    for plan in planned.plans:
        assert plan.provenance.catalogue_version == catalogue.load().version
        assert plan.mix is not None
        assert plan.mix.rates_of == "rates of 20 Jul 2026"


def test_a_config_may_name_another_catalogue(small: config.Config, tmp_path: Path) -> None:
    known = catalogue.load()
    column = catalogue.rate_column("on_demand")
    frame = known.frame.assign(**{column: known.frame[column] * 2})
    columns = {**known.about.columns, column: catalogue.Column("another list", date(2026, 8, 3))}
    made = catalogue.write(tmp_path, frame, replace(known.about, columns=columns))
    other = small.model_copy(update={"catalogue": str(tmp_path)})
    inputs = read_inputs(other, pipeline.open_store(small), company.AS_OF.to_pydatetime())
    assert inputs.catalogue_version == made.version != known.version
    before = on_demand(known.prices, "us-east-1")
    assert on_demand(inputs.prices, "us-east-1") == {name: rate * 2 for name, rate in before.items()}
    assert other.digest() == small.digest()  # the version tells them apart
    assert days_of(inputs.prices, [("us-east-1", "m5.xlarge")]) == (date(2026, 8, 3), date(2026, 8, 3))


def test_the_days_are_those_of_the_types_in_use() -> None:
    known = [
        ("us-east-1", "a.large", "on_demand", "Linux", "2026-06-01"),
        ("us-east-1", "b.large", "on_demand", "Linux", "2026-07-01"),
        ("us-east-1", "c.large", "on_demand", "Linux", "2020-01-01"),  # not in use
        ("us-east-1", "a.large", "spot", "Linux", "2026-09-09"),
        ("us-east-1", "a.large", "on_demand", "Windows", "2026-09-09"),
        ("eu-west-1", "a.large", "on_demand", "Linux", "2026-09-09"),
    ]
    rows = pd.DataFrame(known, columns=["region", "instance_type", "product", "os", "as_of"])
    rows["as_of"] = pd.to_datetime(rows["as_of"], utc=True)
    used = [("us-east-1", "a.large"), ("us-east-1", "b.large"), ("us-east-1", "x.large")]
    assert days_of(rows, used) == (date(2026, 6, 1), date(2026, 7, 1))
    assert days_of(rows, [("us-east-1", "x.large")]) is None


def test_other_systems_rates_stand_beside_and_do_not_mix() -> None:
    start = company.AS_OF.to_pydatetime()

    def rate(product: str, value: float, system: str) -> dict[str, object]:
        return {"instance_type": "m5.large", "region": "us-east-1", "os": system, "tenancy": "Shared",
                "product": product, "rate": value, "currency": "USD", "source": "s", "as_of": start}  # fmt: skip

    prices = pd.DataFrame(
        [rate("on_demand", 0.1, "Linux"), rate("compute_sp_1y_no_upfront", 0.07, "Linux"),
         rate("on_demand", 0.19, "Windows"), rate("compute_sp_1y_no_upfront", 0.17, "Windows")]
    )  # fmt: skip
    plan = Commitment("sp", "", "compute_sp", "", "", 1.0, 0, start, start)
    assert on_demand(prices, "us-east-1") == {"m5.large": 0.1}
    assert committed_rates((plan,), prices) == {"sp": pytest.approx(0.7)}
