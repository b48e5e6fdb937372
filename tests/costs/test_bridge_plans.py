"""Bridges with a plan at an end: two plans, and a plan against the bill that came."""

from __future__ import annotations

from decimal import Decimal

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from capacity.config import CostsConfig
from capacity.costs import (
    NOT_TOLD,
    TERMS,
    Attribution,
    Bridge,
    PlanFrames,
    Sku,
    attribute,
    bridge_words,
    plan_actual,
    scenario_bridge,
)
from capacity.errors import MissingDataError
from fixtures.bridge_cases import Row, charge, covered, hours, table, unused

MONTHS = ("2026-07", "2026-08")
HOURS = 744.0
VCPU = {"m5.xlarge": 4, "m7g.xlarge": 4, "m7g.large": 2}
RATE = {"m5.xlarge": 0.2, "m7g.xlarge": 0.16, "m7g.large": 0.08}
Runs = dict[str, float]  # instance type -> instances


def plan(
    runs: Runs, *, demand: float = 100.0, rate: float = 1.0, committed: float = 1.0, beside: str = "50",
    tax: str = "10", idle: str = "0", months: tuple[str, ...] = MONTHS, service: str = "search",
) -> PlanFrames:  # fmt: skip
    """A plan of one unit: its total is what its instances cost, what is beside them, tax and commitments unused."""
    keys = {"service": service, "region": "east"}
    mix, running, total = [], [], []
    for month in months:
        usd = 0.0
        for kind, n in runs.items():
            price = RATE[kind] * rate
            mix.append(keys | {"month": month, "purchase": "on_demand", "instance_type": kind, "instances": n,
                               "vcpu": n * VCPU[kind], "usd_per_hour": n * price})  # fmt: skip
            running.append(keys | {"month": month, "block": "b1", "purchase": "on_demand", "instance_type": kind,
                                   "instances": n, "hours": HOURS, "usd": n * HOURS * price})  # fmt: skip
            usd += n * HOURS * price * committed
        parts = [("instances", service, "east", Decimal(repr(usd)).quantize(Decimal("0.01"))),
                 ("beside instances", service, "", Decimal(beside)), ("tax", "", "", Decimal(tax)),
                 ("commitments unused", "", "", Decimal(idle))]  # fmt: skip
        total += [dict(zip(("part", "service", "region", "amount"), p, strict=True)) | {"month": month} for p in parts]
        total.append({"month": month, "part": "total", "service": "", "region": "", "amount": sum(p[3] for p in parts)})
    blocks = [keys | {"month": m, "block": "b1", "hours": HOURS, "demand": demand} for m in months]
    made = {"mix": mix, "running": running, "plan_total": total, "blocks": blocks}
    return {name: pd.DataFrame(rows) for name, rows in made.items()}


def terms(found: Bridge) -> dict[str, Decimal]:
    total = found.total().iloc[0]
    assert total["start"] + sum(total[t] for t in TERMS) == total["end"]
    return {t: total[t] for t in TERMS if total[t] != 0}


def scenarios(before: PlanFrames, after: PlanFrames) -> Bridge:
    return scenario_bridge(before, after, "USD", ("base", "other"))


BASE = {"m5.xlarge": 10.0}
COST = Decimal("1488.00") * 2  # ten at 0.2 over two months


@pytest.mark.parametrize(
    ("term", "change", "after"),
    [
        ("volume", COST, plan({"m5.xlarge": 20.0}, demand=200.0)),
        ("efficiency", -COST / 2, plan({"m5.xlarge": 5.0})),
        ("mix", -COST / 5, plan({"m7g.xlarge": 10.0})),
        ("mix", -COST / 5, plan({"m7g.large": 20.0})),
        ("list_rate", COST / 2, plan(BASE, rate=1.5)),
        ("commitment_rate", -COST / 4, plan(BASE, committed=0.75)),
        ("commitment_rate", Decimal(14), plan(BASE, idle="7")),
        ("one_off", Decimal(6), plan(BASE, tax="13")),
        ("volume", Decimal(20), plan(BASE, beside="60")),
    ],
)
def test_one_difference_of_two_plans_is_whole_in_its_term(term: str, change: Decimal, after: PlanFrames) -> None:
    assert terms(scenarios(plan(BASE), after)) == {term: change}
    assert terms(scenarios(after, plan(BASE))) == {term: -change}


def test_a_service_that_one_plan_has_is_new_or_ended() -> None:
    more = {n: pd.concat([f, plan(BASE, tax="0", service="chat")[n]]) for n, f in plan(BASE).items()}
    assert terms(scenarios(plan(BASE), more)) == {"new_and_ended": COST + 100}


def test_plans_are_compared_over_the_months_that_both_have() -> None:
    found = scenarios(plan(BASE, months=("2026-06", *MONTHS)), plan(BASE, months=(*MONTHS, "2026-09")))
    assert terms(found) == {}
    assert "Compared are the months that both plans have: 2026-07 to 2026-08." in bridge_words(found)
    with pytest.raises(MissingDataError, match="base and other have no month in common: 2026-05 and 2026-07, 2026-08"):
        scenarios(plan(BASE, months=("2026-05",)), plan(BASE))


def test_what_a_plan_does_not_tell_apart_stands_in_one_pair_of_parentheses() -> None:
    said = " ".join(bridge_words(scenarios(plan(BASE), plan(BASE, beside="900"))))
    assert "not told apart by the plan" in said
    assert "((" not in said
    assert "))" not in said


def test_what_a_plan_tells_as_money_alone_is_a_row_of_its_own() -> None:
    found = scenarios(plan(BASE), plan(BASE, beside="60"))
    assert found.lines.loc[found.lines["volume"] != 0, "sku"].tolist() == [NOT_TOLD]
    assert any("money alone" in s for s in bridge_words(found))


_RUNS = st.dictionaries(st.sampled_from(sorted(RATE)), st.floats(0.5, 1e4), min_size=1)
_PLAN = st.builds(
    plan, _RUNS, demand=st.floats(1, 1e6), rate=st.floats(0.5, 2), committed=st.floats(0.3, 1),
    beside=st.decimals(0, 1e6, places=2).map(str), service=st.sampled_from(["search", "chat"]),
)  # fmt: skip


@given(_PLAN, _PLAN)
def test_two_plans_are_bridged_without_a_residual(before: PlanFrames, after: PlanFrames) -> None:
    found = scenarios(before, after)
    for line in found.lines.to_dict("records"):
        assert line["start"] + sum(line[t] for t in TERMS) == line["end"]
    total = found.total().iloc[0]
    for frames, end in ((before, "start"), (after, "end")):
        rows = frames["plan_total"]
        assert total[end] == sum(rows.loc[rows["part"] == "total", "amount"])


# --- plan and bill -----------------------------------------------------------------------------------------

RULES = CostsConfig.model_validate({"rules": [{"name": "s", "service": "search", "match": {"SubAccountId": "search"}}]})
SKUS = {"m5": Sku("m5.xlarge", 4), "m7g": Sku("m7g.xlarge", 4)}
MONTH = "2026-07"


def billed(machines: list[Row], *, disks: object = 50, tax: object = 10) -> Attribution:
    rows = [*machines, hours(MONTH, 100, Decimal(str(disks)) / 100, "gp3", ServiceName="Disks", PricingUnit="GB-Mo"),
            charge(MONTH, tax, "tax", ChargeCategory="Tax")]  # fmt: skip
    return attribute(table(rows), RULES, ["search"])


def came(bill: Attribution, planned: float = 1e6, counted: float = 1e6) -> Bridge:
    return plan_actual(plan(BASE), bill, MONTH, ({"search": planned}, {"search": counted}), "USD", SKUS)


SEVEN = [hours(MONTH, 7440, "0.2")]


def test_what_came_as_planned_has_no_terms() -> None:
    assert terms(came(billed(SEVEN))) == {}


@pytest.mark.parametrize(
    ("term", "change", "bill", "counted"),
    [
        ("volume", Decimal(1538), billed([hours(MONTH, 14880, "0.2")], disks=100), 2e6),
        ("efficiency", Decimal(744), billed([hours(MONTH, 11160, "0.2")]), 1e6),
        ("mix", Decimal("-297.6"), billed([hours(MONTH, 7440, "0.16", "m7g")]), 1e6),
        ("list_rate", Decimal("148.8"), billed([hours(MONTH, 7440, "0.22")]), 1e6),
        ("list_rate", Decimal("-148.8"), billed([hours(MONTH, 7440, "0.2", share="0.9")]), 1e6),
        ("commitment_rate", Decimal(-744), billed([covered(MONTH, 7440, "0.1", "0.2")]), 1e6),
        ("commitment_rate", Decimal(5), billed([*SEVEN, unused(MONTH, 5)]), 1e6),
        ("one_off", Decimal(3), billed(SEVEN, tax=13), 1e6),
        ("efficiency", Decimal(20), billed(SEVEN, disks=70), 1e6),
        ("new_and_ended", Decimal(9), billed([*SEVEN, charge(MONTH, 9, "x", SubAccountId="nobody")]), 1e6),
    ],
)
def test_one_thing_that_came_otherwise_is_whole_in_its_term(
    term: str, change: Decimal, bill: Attribution, counted: float
) -> None:
    assert terms(came(bill, counted=counted)) == {term: change}


def test_what_the_plan_does_not_tell_apart_is_named_inside_its_term() -> None:
    lines = came(billed(SEVEN, disks=70)).lines
    moved = lines[lines["efficiency"] != 0]
    assert moved[["name", "provider_service", "sku"]].to_numpy().tolist() == [["search", "beside instances", NOT_TOLD]]


def test_without_a_count_all_of_the_quantity_is_volume_and_it_is_said() -> None:
    found = plan_actual(plan(BASE), billed([hours(MONTH, 14880, "0.2")]), MONTH, ({}, {}), "USD", SKUS)
    assert terms(found) == {"volume": Decimal(1488)}
    assert found.without_driver == ("search",)


def test_without_types_the_bills_instances_are_not_told_from_the_rest() -> None:
    found = plan_actual(plan(BASE), billed(SEVEN), MONTH, ({}, {}), "USD")
    assert found.total().iloc[0]["end"] == Decimal(1548)
    assert set(found.lines["provider_service"]) >= {"instances", "beside instances"}


def test_a_plan_of_spend_alone_is_compared_by_service() -> None:
    spend = pd.DataFrame([{"service": "search", "month": MONTH, "q50": 1500.0}])
    tax = pd.DataFrame([{"month": MONTH, "part": "tax", "amount": 10.0, "known": False, "assumption": "x"}])
    frames = {"spend_forecast": spend, "spend_apart": tax}
    found = plan_actual(frames, billed(SEVEN), MONTH, ({"search": 2.0}, {"search": 3.0}), "USD", SKUS)
    assert terms(found) == {"volume": Decimal(750), "efficiency": Decimal(1538 - 2250)}


def test_a_month_that_the_plan_has_a_part_of_is_refused() -> None:
    frames = dict(plan(BASE))
    frames["blocks"] = frames["blocks"].assign(hours=[600.0, HOURS])
    with pytest.raises(MissingDataError, match="nothing of all of 2026-07; months that it covers whole: 2026-08"):
        plan_actual(frames, billed(SEVEN), MONTH, ({}, {}), "USD", SKUS)


def test_other_currencies_of_the_bill_stay_out_and_are_named() -> None:
    found = came(billed([*SEVEN, hours(MONTH, 1, BillingCurrency="EUR")]))
    assert terms(found) == {}
    assert "Charges in EUR are not compared: the plan is in USD." in found.notes
