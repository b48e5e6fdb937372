"""The tie-out by service and region: each its own comparison, and together the whole bill."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import pandas as pd
import pytest
from costs_makers import SERVICES, bill, costs, row
from hypothesis import given
from hypothesis import strategies as st

from capacity.costs import INSTANCES, NOBODY, ServiceTies, attribute, bill_totals, tie_out, tie_services
from capacity.errors import MissingDataError

MONTH, EAST, WEST = "2026-08", "us-east-1", "us-west-2"
CONFIG = costs(
    [{"name": s, "service": s, "match": {"SubAccountId": s}} for s in SERVICES]
    + [{"name": "p", "pool": "shared", "match": {"SubAccountId": "pool"}}],
    [{"name": "shared"}],
)


def _line(service: str, region: str | None, effective: str, **columns: Any) -> dict[str, Any]:
    return row(MONTH, effective, SubAccountId=service, RegionId=region, **columns)


ROWS = [
    # 100 at list, 10 % private discount; 50 more of which a commitment took 15.
    _line("search", EAST, "90", ListCost="100", ContractedCost="90"),
    _line("search", EAST, "30", ListCost="50", ContractedCost="45", CommitmentDiscountStatus="Used"),
    _line("search", WEST, "40"),
    _line("search", EAST, "7", ServiceCategory="Storage", ServiceName="EBS"),
    _line("search", None, "5", ServiceCategory="Networking", ServiceName="Data Transfer"),
    _line("search", WEST, "3", ServiceCategory="Networking", ServiceName="Elastic Load Balancing"),
    _line("checkout", EAST, "20"),
    _line("checkout", None, "10"),  # instances whose region the bill does not tell
    _line("checkout", EAST, "4", ServiceCategory="Storage", ServiceName="EBS"),
    _line("web-shop", EAST, "6", ServiceName="Lambda", SkuId="requests"),
    _line("pool", WEST, "8"),
    row(MONTH, "2", ChargeCategory="Tax", ServiceName="Tax"),
    row(MONTH, "-1", ChargeCategory="Credit"),
    row("2026-09", "1000", SubAccountId="search", RegionId=EAST),
    row(MONTH, "500", SubAccountId="search", BillingCurrency="EUR", RegionId=EAST),
]


def _ties(modelled: Mapping[tuple[str, str], str], rows: list[dict[str, Any]] = ROWS, **more: Any) -> ServiceTies:
    listed = {key: Decimal(usd) for key, usd in modelled.items()}
    return tie_services(bill(rows), CONFIG, SERVICES, MONTH, listed, currency="USD", **more)


PERFECT = {("search", EAST): "150", ("search", WEST): "40", ("checkout", EAST): "18", ("checkout", WEST): "12"}


def test_each_service_and_region_ties_by_itself() -> None:
    found = _ties(PERFECT).frame.set_index(["service", "region"])
    assert found.loc[("search", EAST), "billed_effective"] == found.loc[("search", EAST), "modelled"] == 120
    assert found.loc[("search", EAST), "private_discount_frac"] == pytest.approx(0.1)
    assert found.loc[("search", WEST), ["modelled", "billed_effective"]].tolist() == [40, 40]
    assert found["ties"].dropna().all()
    wrong = _ties(PERFECT | {("search", WEST): "80"}).frame.set_index(["service", "region"])
    assert not wrong.loc[("search", WEST), "ties"]
    assert wrong.loc[("search", EAST), "ties"]
    assert wrong.loc[("search", WEST), "difference_frac"] == pytest.approx(1.0)
    assert "shows more than was billed" in wrong.loc[("search", WEST), "words"]


def test_where_the_bill_does_not_tell_the_region_the_service_is_judged_whole() -> None:
    found = _ties(PERFECT)
    mine = found.frame[found.frame["service"] == "checkout"]
    assert mine["region"].tolist() == [""]
    assert mine[["modelled", "billed_effective", "remainder"]].iloc[0].tolist() == [30, 30, 4]
    without = [{**r, "RegionId": None} for r in ROWS]
    assert set(_ties(PERFECT, without).frame["region"]) == {""}


def test_what_is_not_modelled_is_named_and_nothing_is_lost() -> None:
    found = _ties(PERFECT)
    parts = found.parts.set_index(["service", "region", "part"])["amount"].to_dict()
    assert parts == {
        ("search", EAST, INSTANCES): 120, ("search", EAST, "Storage: EBS"): 7,
        ("search", WEST, INSTANCES): 40, ("search", WEST, "Networking: Elastic Load Balancing"): 3,
        ("search", "", "Networking: Data Transfer"): 5,
        ("checkout", "", INSTANCES): 30, ("checkout", "", "Storage: EBS"): 4,
        ("web-shop", EAST, "Compute: Lambda"): 6,
        (NOBODY, "", "Compute: EC2 (no service's own)"): 8, (NOBODY, "", "tax"): 2, (NOBODY, "", "credits"): -1,
    }  # fmt: skip
    totals = bill_totals(bill(ROWS))
    august = totals["BillingPeriodStart"] < pd.Timestamp("2026-09-01", tz="UTC")
    usd = totals[(totals["BillingCurrency"] == "USD") & august]
    assert found.parts["amount"].sum() == usd["EffectiveCost"].sum()
    assert (found.frame["billed_effective"] + found.frame["remainder"]).sum() == usd["EffectiveCost"].sum()


def test_services_add_up_to_the_companys_tie_out() -> None:
    rows = [r for r in ROWS if r["BillingCurrency"] == "USD"]
    table = bill(rows)
    whole = tie_out(table, attribute(table, CONFIG, SERVICES), MONTH, Decimal(220), services=["search", "checkout"])
    found = _ties(PERFECT, rows)
    assert found.frame["billed_effective"].sum() == whole.billed_effective
    named = found.parts[found.parts["part"] != INSTANCES].groupby("part")["amount"].sum().to_dict()
    assert named == whole.remainder


def test_a_fleet_that_nobody_billed_and_a_bill_that_no_fleet_explains() -> None:
    ghost = _ties({("web-shop", WEST): "10"}).frame.set_index(["service", "region"])
    line = ghost.loc[("web-shop", WEST)]
    assert (line["modelled"], line["billed_effective"], line["difference_frac"]) == (10, 0, 1.0)
    assert not line["ties"]
    assert "mend the rules" in line["words"]
    # Only the west is modelled: the east's instances are billed, and no fleet explains them.
    half = _ties({("search", WEST): "40"}).frame.set_index(["service", "region"])
    assert half.loc[("search", EAST), "difference_frac"] == pytest.approx((0 - 120) / 120)
    assert not half.loc[("search", EAST), "ties"]
    assert half.loc[("search", WEST), "ties"]


def test_a_managed_database_is_compared_with_its_own_hours() -> None:
    rows = [
        *ROWS,
        _line("web-shop", EAST, "50", ServiceCategory="Databases", ServiceName="RDS", PricingUnit="Hours"),
        _line("web-shop", EAST, "9", ServiceCategory="Databases", ServiceName="RDS", PricingUnit="GB-Mo"),
    ]
    hours = {"ServiceCategory": "Databases", "PricingUnit": "[Hh](ou)?rs?"}
    found = _ties(PERFECT | {("web-shop", EAST): "50"}, rows, compute={"web-shop": hours})
    line = found.frame.set_index(["service", "region"]).loc[("web-shop", EAST)]
    assert line[["modelled", "billed_effective", "remainder"]].tolist() == [50, 50, 15]
    assert line["ties"]


@given(
    st.lists(
        st.tuples(
            st.sampled_from([*SERVICES, "pool", "nobody"]),
            st.sampled_from([EAST, WEST, None]),
            st.decimals(-1000, 1000, places=12),
            st.sampled_from(["Compute", "Storage"]),
            st.sampled_from(["Usage", "Tax", "Purchase"]),
            st.sampled_from([None, "Used", "Unused"]),
        ),
        min_size=1,
        max_size=20,
    ),
    st.sets(st.tuples(st.sampled_from(SERVICES), st.sampled_from([EAST, WEST])), max_size=4),
)
def test_any_bill_adds_up_exactly(lines: list[tuple[Any, ...]], fleets: set[tuple[str, str]]) -> None:
    rows = [
        _line(name, region, str(amount), ServiceCategory=kind, ChargeCategory=charge, CommitmentDiscountStatus=status)
        for name, region, amount, kind, charge, status in lines
    ]
    found = _ties(dict.fromkeys(fleets, "10"), rows)
    total = sum((amount for _, _, amount, *_ in lines), Decimal(0))
    assert (found.frame["billed_effective"] + found.frame["remainder"]).sum() == total
    assert sum(found.parts["amount"], Decimal(0)) == total
    assert not found.frame.duplicated(["service", "region"]).any()
    # Every fleet is judged once: by its region, or with its service.
    judged = set(zip(found.frame["service"], found.frame["region"], strict=True))
    assert all(key in judged or (key[0], "") in judged for key in fleets)


def test_a_month_without_a_bill_is_refused() -> None:
    with pytest.raises(MissingDataError, match="no bill of 2020-01 in USD"):
        tie_services(bill(ROWS), CONFIG, SERVICES, "2020-01", {}, currency="USD")
    with pytest.raises(MissingDataError, match="in GBP"):
        tie_services(bill(ROWS), CONFIG, SERVICES, MONTH, {}, currency="GBP")
