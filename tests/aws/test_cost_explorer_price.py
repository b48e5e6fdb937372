"""What Cost Explorer is asked, and what is not asked twice: budget, cache, who is asked."""

from __future__ import annotations

import gzip
import json
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pyarrow.compute as pc
import pytest

from capacity.store import Store, ingest
from tests.aws.cost_explorer_kit import (
    NOW,
    ONLY_COST,
    TODAY,
    Reader,
    big_company,
    company,
    cost,
    ledger_sums,
    organization,
    reader,
    source,
    stored_sums,
)
from tests.aws.fake_cost_explorer import CostExplorer, charge
from tests.aws.standin import MANAGEMENT, StandIn


@pytest.fixture
def fake(aws: StandIn) -> CostExplorer:
    return organization(aws)


@pytest.fixture
def read(aws: StandIn, tmp_path: Path) -> Reader:
    return reader(aws, tmp_path)


def test_a_second_run_on_the_same_day_asks_nothing_and_says_the_same(
    aws: StandIn, fake: CostExplorer, read: Reader
) -> None:
    first, _ = read()
    paid = aws.bill_usd
    second, failed = read(NOW.replace(hour=23), most_usd=0)
    assert (failed, aws.bill_usd) == ("", paid)
    assert all(a.table.equals(b.table) for a, b in zip(first, second, strict=True))


def test_the_next_day_only_open_months_are_asked(aws: StandIn, fake: CostExplorer, read: Reader) -> None:
    read(reads=ONLY_COST)
    aws.log.clear()
    fake.today = date(2026, 11, 16)
    fake.ledger += company(end=date(2026, 11, 16), first=date(2026, 11, 15), seed=8)[:4]
    batches, failed = read(NOW + timedelta(days=1), reads=ONLY_COST)
    assert failed == ""
    asked = [(c.params["TimePeriod"]["Start"], c.params["Granularity"]) for c in aws.log if c.service == "ce"]
    assert asked == [("2026-10-01", "MONTHLY"), ("2026-11-01", "DAILY")]  # October has not changed
    assert stored_sums(cost(batches), "BilledCost") == ledger_sums(fake.ledger, 2)


def test_a_restated_month_is_asked_again_and_comes_whole(
    aws: StandIn, fake: CostExplorer, read: Reader, tmp_path: Path
) -> None:
    store = Store(tmp_path / "store")
    keys = {"reads": ONLY_COST, "cache": "cache"}
    ingest([source(aws, tmp_path, **keys)], store, NOW)
    fake.today = date(2026, 11, 16)
    fake.ledger.append(charge(date(2026, 10, 31), "200000000001", "Service 2", "Usage", "3.25"))
    fake.ledger = [c for c in fake.ledger if not (c.record_type == "Credit" and c.day == date(2026, 10, 1))]
    report = ingest([source(aws, tmp_path, **keys)], store, NOW + timedelta(days=1))
    assert not report.failed
    assert stored_sums(store.read("cost"), "BilledCost") == ledger_sums(fake.ledger, 2)
    changed = {w.money[0].period_start for w in report.sources[0].writes if w.changed}
    assert changed == {datetime(2026, 10, 1, tzinfo=UTC)}


def test_a_month_that_has_just_settled_is_looked_at_once_more(aws: StandIn, fake: CostExplorer, read: Reader) -> None:
    read(reads=ONLY_COST)  # October is still open
    fake.today = date(2026, 12, 2)
    fake.ledger.append(charge(date(2026, 10, 7), "200000000000", "Service 3", "Usage", "1"))
    batches, failed = read(datetime(2026, 12, 2, tzinfo=UTC), reads=ONLY_COST)
    assert failed == ""
    ledger = [c for c in fake.ledger if c.day >= date(2025, 11, 1)]
    assert stored_sums(cost(batches), "BilledCost") == ledger_sums(ledger, 2)


def test_settled_months_are_looked_at_after_a_quarter_and_kept_where_unchanged(
    aws: StandIn, fake: CostExplorer, read: Reader
) -> None:
    read(reads=ONLY_COST)
    late = datetime(2026, 12, 1, tzinfo=UTC)
    fake.today = late.date()
    fake.ledger.append(charge(date(2026, 3, 7), "200000000000", "Service 3", "Usage", "1"))
    batches, _ = read(late, reads=ONLY_COST)
    assert stored_sums(cost(batches), "BilledCost") != ledger_sums(fake.ledger, 2)  # not seen yet: March was settled
    aws.log.clear()
    late = datetime(2027, 2, 20, tzinfo=UTC)
    fake.today = late.date()
    batches, failed = read(late, reads=ONLY_COST)
    assert failed == ""
    ledger = [c for c in fake.ledger if c.day >= date(2026, 1, 1)]
    assert stored_sums(cost(batches), "BilledCost") == ledger_sums(ledger, 2)
    usage = [c.params["TimePeriod"]["Start"] for c in aws.log if c.service == "ce" and "Filter" in c.params]
    assert set(usage) <= {"2026-03-01"}  # the only settled month that moved; the others held


@pytest.mark.parametrize(("daily_months", "first_load_usd"), [(4, 1), (13, 2)])
def test_a_quarterly_refresh_of_fifty_accounts_costs_at_most_a_dollar(
    aws: StandIn, read: Reader, daily_months: int, first_load_usd: int
) -> None:
    """50 accounts of 30 services at 5,000 groups a page, drawn at a thirtieth: one service, 167 groups a page."""
    ledger = big_company(date(2027, 2, 15))
    fake = CostExplorer(TODAY, ledger, page_groups=167).attach(aws)
    _, failed = read(daily_months=daily_months, most_usd=first_load_usd)
    assert failed == ""
    loaded = aws.bill_usd
    assert loaded <= first_load_usd
    fake.today = date(2027, 2, 15)
    batches, failed = read(datetime(2027, 2, 15, 6, tzinfo=UTC), daily_months=daily_months)
    assert failed == ""
    assert Decimal("0.30") < aws.bill_usd - loaded <= 1
    assert stored_sums(cost(batches), "BilledCost") == ledger_sums([c for c in ledger if c.day >= date(2026, 1, 1)], 2)
    usage = cost(batches).filter(pc.equal(cost(batches)["ChargeDescription"], "usage"))
    by_day = usage.filter(pc.less(usage["BillingPeriodStart"], datetime(2026, 6, 1, tzinfo=UTC)))
    assert len(set(by_day["ChargePeriodStart"].to_pylist())) == (151 if daily_months == 13 else 5)


def test_over_budget_parts_are_named_and_come_later(aws: StandIn, fake: CostExplorer, read: Reader) -> None:
    fake.page_groups = 20
    batches, failed = read(reads=ONLY_COST, most_usd="0.25", granularity="MONTHLY")
    assert aws.bill_usd <= Decimal("0.25")
    assert (
        "usage by month, 2025-10 to 2026-11: stopped before about $0.01 more, when $0.00 of most_usd $0.25 was left"
        in failed
    )
    assert "billing month 2026-10 stays as it was in the store" in failed
    assert not [b for b in batches if b.frame == "cost"]
    for _ in range(2):  # what was paid for is kept, so a later run gets further
        batches, failed = read(reads=ONLY_COST, most_usd="0.25", granularity="MONTHLY")
    assert failed == ""
    assert stored_sums(cost(batches), "BilledCost") == ledger_sums(fake.ledger, 2)


def test_an_answer_larger_than_the_budget_is_paid_for_once_and_never_again_until_it_is_allowed(
    aws: StandIn, fake: CostExplorer, read: Reader
) -> None:
    """A page holds far less than is assumed, so the first estimate is wrong; what it took is learnt from the cut."""
    keys = {"reads": ONLY_COST, "months": 1, "granularity": "DAILY"}
    days_of_usage, groups_a_day = 31 + 14, 6  # October and November so far; 2 accounts of 3 services
    fake.page_groups = 9
    whole = days_of_usage * groups_a_day // fake.page_groups  # 30 pages for usage
    _, failed = read(**keys, most_usd="0.15")
    assert "of it came, and are lost); raise 'most_usd' to $0.16 at least" in failed
    assert aws.bill_usd == Decimal("0.15")
    asked = aws.calls["ce:GetCostAndUsage"]
    for hour in (8, 9):
        batches, failed = read(NOW.replace(hour=hour), **keys, most_usd="0.05")
        assert "usage by day" in failed
        assert "at least" in failed
        assert aws.calls["ce:GetCostAndUsage"] == asked  # the totals hold for the day; usage is refused beforehand
    batches, failed = read(NOW.replace(hour=10), **keys, most_usd=1)
    assert failed == ""
    assert aws.calls["ce:GetCostAndUsage"] - asked <= whole + 1
    assert stored_sums(cost(batches), "BilledCost") == ledger_sums(
        [c for c in fake.ledger if c.day >= date(2026, 10, 1)], 2
    )


def test_a_month_that_alone_is_larger_than_the_budget_is_refused_the_next_day_too(
    aws: StandIn, fake: CostExplorer, read: Reader
) -> None:
    keys = {"reads": ONLY_COST, "months": 1}
    fake.ledger = [c for c in fake.ledger if c.record_type == "Usage" and c.day < date(2026, 11, 1)]
    fake.page_groups = 2
    read(**keys, most_usd="0.30")  # October's 62 pages do not fit
    assert aws.bill_usd == Decimal("0.30")
    seen = len(aws.log)
    for day in (1, 2):
        fake.today = TODAY + timedelta(days=day)
        _, failed = read(NOW + timedelta(days=day), **keys, most_usd="0.30")
        assert "usage by day, 2026-10: stopped before" in failed
        assert not [c for c in aws.log[seen:] if "Filter" in c.params]  # the totals alone
    batches, failed = read(NOW + timedelta(days=2), **keys, most_usd=1)
    assert failed == ""
    assert stored_sums(cost(batches), "BilledCost") == ledger_sums(
        [c for c in fake.ledger if c.day >= date(2026, 10, 1)], 2
    )


def test_totals_and_comparisons_that_were_cut_are_refused_beforehand(
    aws: StandIn, fake: CostExplorer, read: Reader
) -> None:
    fake.page_groups = 5
    for expected in (Decimal("0.03"), Decimal("0.03"), Decimal("0.03")):
        _, failed = read(reads=ONLY_COST, most_usd="0.03")
        assert "totals, 2025-10 to 2026-11: stopped before about" in failed
        assert "raise 'most_usd' to $0.04 at least" in failed
        assert aws.bill_usd == expected


def test_a_month_that_has_no_charges_any_more_is_said(aws: StandIn, fake: CostExplorer, read: Reader) -> None:
    keys = {"reads": ONLY_COST, "months": 2}
    batches, _ = read(**keys)
    assert not any("none now" in n for b in batches for n in b.notes)
    fake.ledger = [c for c in fake.ledger if not date(2026, 10, 1) <= c.day < date(2026, 11, 1)]
    fake.today = date(2026, 11, 16)
    batches, failed = read(NOW + timedelta(days=1), **keys)
    assert failed == ""
    assert [n for b in batches for n in b.notes if "none now" in n] == [
        "billing month 2026-10 had charges when it was last read and has none now; the store keeps what it has"
    ]
    assert date(2026, 10, 1) not in {m.date() for m in cost(batches)["BillingPeriodStart"].to_pylist()}


def test_a_budget_of_nothing_asks_nothing(aws: StandIn, fake: CostExplorer, read: Reader) -> None:
    batches, failed = read(most_usd=0)
    assert aws.bill_usd == 0
    for part in (
        "totals, 2025-10 to 2026-11",
        "forecast, daily",
        "Savings Plans coverage",
        "ec2 reservations, 1 years",
    ):
        assert part in failed
    assert sum(b.table.num_rows for b in batches) == 0


@pytest.mark.parametrize("damage", ["noise", "cut", "list", "other", "body"])
def test_a_damaged_entry_is_dropped_and_asked_again(
    aws: StandIn, fake: CostExplorer, read: Reader, tmp_path: Path, damage: str
) -> None:
    read(reads=ONLY_COST, months=3)
    whole = stored_sums(cost(read(reads=ONLY_COST, months=3)[0]), "BilledCost")
    paid = aws.bill_usd
    entries = sorted((tmp_path / ".capacity/cache/cost_explorer").iterdir())
    for path in entries[::3]:
        data = path.read_bytes()
        head = gzip.decompress(data).split(b"\n")[0]
        path.write_bytes({
            "noise": b"\x00" * 99, "cut": data[: len(data) // 2], "list": gzip.compress(b"[]\n[]"),
            "other": gzip.compress(json.dumps({**json.loads(head), "name": "x"}).encode() + b"\n[]"),
            "body": gzip.compress(head + b"\n[5]"),
        }[damage])  # fmt: skip
    batches, failed = read(reads=ONLY_COST, months=3)
    assert failed == ""
    assert stored_sums(cost(batches), "BilledCost") == whole
    assert paid < aws.bill_usd
    assert any("was damaged: dropped, and asked again" in n for b in batches for n in b.notes)
    paid = aws.bill_usd
    read(reads=ONLY_COST, months=3)
    assert aws.bill_usd == paid


def test_the_cache_is_private_whole_and_without_secrets(
    fake: CostExplorer, read: Reader, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "s3cr3t-key")
    monkeypatch.setenv("AWS_SESSION_TOKEN", "s3cr3t-token")
    read()
    folder = tmp_path / ".capacity/cache/cost_explorer"
    assert folder.stat().st_mode & 0o077 == 0
    for path in folder.iterdir():
        assert path.name.endswith(".json.gz")
        text = gzip.decompress(path.read_bytes()).decode()
        assert [json.loads(line) for line in text.splitlines()]
        assert "s3cr3t" not in text
        assert "AKIA" not in text


def test_a_cache_that_cannot_be_written_is_said_before_anything_is_paid(
    aws: StandIn, fake: CostExplorer, read: Reader, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("x")
    assert "name a folder that can be written with 'cache'" in read(cache="file/cache")[1]
    assert aws.bill_usd == 0


def test_an_organization_is_asked_once(aws: StandIn, fake: CostExplorer, read: Reader) -> None:
    batches, failed = read(access={"organization": {"role_name": "capacity-read"}}, reads=ONLY_COST)
    assert failed == ""
    assert {c.account_id for c in aws.log if c.service == "ce"} == {MANAGEMENT}
    assert aws.calls["organizations:ListAccounts"] == 0
    assert set(cost(batches)["SubAccountId"].to_pylist()) == {f"2{i:011d}" for i in range(2)}


def test_a_role_in_the_management_account_is_assumed(aws: StandIn, fake: CostExplorer, read: Reader) -> None:
    payer = "999999999999"
    role = f"arn:aws:iam::{payer}:role/capacity-read"
    batches, failed = read(
        access={"accounts": [{"account_id": payer, "name": "payer", "role_arn": role}]}, reads=ONLY_COST
    )
    assert failed == ""
    assert {c.account_id for c in aws.log if c.service == "ce"} == {payer}
    assert set(cost(batches)["BillingAccountName"].to_pylist()) == {"payer"}


def test_several_payers_are_asked_each_within_one_budget(aws: StandIn, fake: CostExplorer, read: Reader) -> None:
    payers = ["888888888888", "999999999999"]
    accounts = [{"account_id": p, "role_arn": f"arn:aws:iam::{p}:role/capacity-read"} for p in payers]
    keys = {"reads": ONLY_COST, "months": 2, "accounts": payers, "access": {"accounts": accounts}}
    batches, failed = read(**keys)
    assert failed == ""
    assert set(cost(batches)["BillingAccountId"].to_pylist()) == set(payers)
    aws.denied.add((payers[0], "ce:GetCostAndUsage"))
    batches, failed = read(NOW + timedelta(days=1), **keys)
    assert f"account {payers[0]}: totals" in failed
    assert set(cost(batches)["BillingAccountId"].to_pylist()) == {payers[1]}


def test_all_frames_go_into_the_store(aws: StandIn, fake: CostExplorer, tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    report = ingest([source(aws, tmp_path)], store, NOW)
    assert not report.failed
    assert set(store.versions()) == {"cost", "provider_forecast", "commitment_use", "recommendations"}
    assert stored_sums(store.read("cost"), "EffectiveCost") == ledger_sums(fake.ledger, 3)
    again = ingest([source(aws, tmp_path)], store, NOW + timedelta(hours=1))
    assert again.sources[0].rows_changed == 0
