"""Accounts, roles, regions, throttling: through a real client, against the stand-in."""

from __future__ import annotations

import pytest

from capacity.config import AwsAccess
from capacity.errors import DataError, UsageError
from capacity.sources.aws import Access, Place, errors_of
from tests.aws.standin import MANAGEMENT, StandIn, member

MEMBER, OTHER = "222222222222", "333333333333"


def access(aws: StandIn, **keys: object) -> Access:
    return Access(AwsAccess.model_validate({"regions": ["us-east-1"], "endpoint_url": aws.url, **keys}), "fleet")


def zones(a: Access, place: Place) -> list[str]:
    with errors_of("ec2:DescribeAvailabilityZones", a.source, place.label):
        found = a.client("ec2", place.account, place.region).describe_availability_zones()["AvailabilityZones"]
    return sorted(z["ZoneName"] for z in found)


def role(account: str) -> str:
    return f"arn:aws:iam::{account}:role/capacity-read"


def test_without_accounts_it_is_the_callers_own(aws: StandIn) -> None:
    a = access(aws)
    assert [x.account_id for x in a.accounts()] == [MANAGEMENT]
    assert zones(a, a.places()[0])[0] == "us-east-1a"


def test_roles_are_assumed_with_the_external_id(aws: StandIn) -> None:
    aws.external_id = "planner-7"
    accounts = [{"account_id": MEMBER, "name": "prod", "role_arn": role(MEMBER)}]
    a = access(aws, accounts=accounts, external_id="planner-7", regions=["us-east-1", "eu-west-1"])
    assert [zones(a, p)[0] for p in a.places()] == ["us-east-1a", "eu-west-1a"]
    assert {c.account_id for c in aws.log if c.service == "ec2"} == {MEMBER}
    assert aws.calls["sts:AssumeRole"] == 1  # one set of credentials for both regions


def test_a_wrong_external_id_names_the_call_and_the_account_but_not_the_id(aws: StandIn) -> None:
    aws.external_id = "planner-7"
    a = access(aws, accounts=[{"account_id": MEMBER, "name": "prod", "role_arn": role(MEMBER)}], external_id="guess-9")
    with pytest.raises(DataError, match=rf"account {MEMBER} \(prod\) in us-east-1: sts:AssumeRole: AccessDenied") as e:
        zones(a, a.places()[0])
    assert "guess-9" not in str(e.value)


def test_an_account_without_a_role_must_be_the_callers_own(aws: StandIn) -> None:
    with pytest.raises(DataError, match=rf"account {MEMBER}: no role_arn, .* account {MANAGEMENT}"):
        access(aws, accounts=[{"account_id": MEMBER}]).accounts()


def test_an_organization_is_listed_over_all_pages(aws: StandIn) -> None:
    aws.members = [member(MANAGEMENT, "root"), *(member(f"2{i:011d}", f"team {i}") for i in range(45))]
    aws.members.append(member("999999999999", "gone", "SUSPENDED"))
    aws.breaks["organizations:ListAccounts"] = 1  # in the middle of the pages: tried again, none lost
    left_out = str(aws.members[3]["Id"])
    found = access(aws, organization={"exclude": [left_out]}).accounts()
    assert aws.calls["organizations:ListAccounts"] == 3
    assert [x.account_id for x in found] == [m["Id"] for m in aws.members[:-1] if m["Id"] != left_out]
    assert found[0].role_arn is None  # the caller's own
    assert [x.role_arn for x in found[1:]] == [role(x.account_id) for x in found[1:]]


def test_accounts_may_be_picked_and_must_be_reached(aws: StandIn) -> None:
    accounts = [{"account_id": i, "role_arn": role(i)} for i in (MEMBER, OTHER)]
    a = access(aws, accounts=accounts)
    assert [x.account_id for x in a.accounts([OTHER])] == [OTHER]
    with pytest.raises(UsageError, match="accounts 444444444444 are not reached"):
        a.accounts(["444444444444"])


def test_one_account_that_fails_does_not_stop_the_others(aws: StandIn) -> None:
    aws.denied.add((MEMBER, "ec2:DescribeAvailabilityZones"))
    a = access(aws, accounts=[{"account_id": i, "role_arn": role(i)} for i in (MEMBER, OTHER)])
    results = dict(a.each(a.places(), lambda p: zones(a, p)))
    failed, sound = (results[p] for p in a.places())
    assert isinstance(failed, DataError)
    assert f"account {MEMBER} in us-east-1: ec2:DescribeAvailabilityZones: AccessDenied; allow ec2:" in str(failed)
    assert isinstance(sound, list)


def test_thirty_percent_throttled_calls_are_tried_again(aws: StandIn, quick_retries: None) -> None:
    aws.throttle_frac = 0.3
    a = access(aws, accounts=[{"account_id": i, "role_arn": role(i)} for i in (MEMBER, OTHER)])
    places = [p for p in a.places() for _ in range(20)]
    assert all(isinstance(result, list) for _, result in a.each(places, lambda p: zones(a, p)))
    assert aws.throttled["ec2:DescribeAvailabilityZones"] >= 5


def test_adaptive_retries_are_what_runs(aws: StandIn) -> None:
    aws.throttle_frac = 1.0
    aws.random.seed(1)
    a = access(aws)
    client = a.client("ec2", a.accounts()[0], "us-east-1")
    assert client.meta.config.retries["mode"] == "adaptive"
    assert client.meta.config.retries["total_max_attempts"] == 11


def test_no_credentials_is_said_with_the_way_out(aws: StandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    with pytest.raises(DataError, match="no usable AWS credentials; log in, set AWS_PROFILE"):
        access(aws).accounts()


def test_no_credentials_for_a_role_is_said_too(aws: StandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    a = access(aws, accounts=[{"account_id": MEMBER, "role_arn": role(MEMBER)}])
    ((_, result),) = a.each(a.places(), lambda p: zones(a, p))
    assert isinstance(result, DataError)
    assert "no usable AWS credentials" in str(result)


def test_a_role_of_another_account_is_refused() -> None:
    with pytest.raises(ValueError, match=f"role_arn is of account {OTHER}, not of {MEMBER}"):
        AwsAccess.model_validate(
            {"regions": ["us-east-1"], "accounts": [{"account_id": MEMBER, "role_arn": role(OTHER)}]}
        )


def test_an_unknown_profile_is_said(aws: StandIn) -> None:
    with pytest.raises(DataError, match="no such profile"):
        access(aws, profile="nobody").accounts()


@pytest.mark.parametrize(
    "url",
    ["http://example.com", "https://u:p@example.com", "ftp://localhost", "localhost:5000", "https://my_link.local",
     "https://host:99999", "https://host/?a=b"],
)  # fmt: skip
def test_endpoints_are_https_or_on_this_machine(url: str) -> None:
    with pytest.raises(ValueError, match=r"must|[Pp]ort"):
        AwsAccess.model_validate({"regions": ["us-east-1"], "endpoint_url": url})
