"""How AWS is reached: accounts, roles, regions. Secrets have no place here: they come from the AWS credential chain."""

from __future__ import annotations

import re
from typing import Annotated, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, model_validator

from capacity.config._base import Model, Name

AccountId = Annotated[str, Field(pattern=r"^\d{12}$", description="twelve digits, in quotes")]
Region = Annotated[str, Field(pattern=r"^[a-z]{2,4}(-[a-z]+)+-\d{1,2}$")]
RoleName = Annotated[str, Field(pattern=r"^[\w+=,.@/-]+$", max_length=576)]
RoleArn = Annotated[str, Field(pattern=r"^arn:aws[a-z-]*:iam::\d{12}:role/[\w+=,.@/-]+$", max_length=700)]
# sts:AssumeRole allows 2 to 1,224 of these characters (AWS STS API reference).
ExternalId = Annotated[str, Field(pattern=r"^[\w+=,.@:/-]+$", min_length=2, max_length=1224)]
_LABEL = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
_LOOPBACK = ("localhost", "127.0.0.1", "::1")


def _endpoint(value: str) -> str:
    """A private link is reached by https; plain http never leaves this machine."""
    parts = urlsplit(value)
    _ = parts.port  # raises a ValueError of its own where it is none
    plain_here = parts.scheme == "http" and parts.hostname in _LOOPBACK
    if not parts.hostname or not (parts.scheme == "https" or plain_here):
        raise ValueError("must begin with https:// (http:// is for localhost only)")
    if parts.username or parts.password:
        raise ValueError("must not carry a user or a password")
    # What botocore takes for a host: labels of letters, digits and inner hyphens; or an IPv6 address.
    labels = (parts.hostname or "").split(".")
    if ":" not in parts.hostname and not all(_LABEL.fullmatch(label) for label in labels):
        raise ValueError(f"must name a host by letters, digits, hyphens and dots; found {parts.hostname}")
    if parts.query or parts.fragment or any(c.isspace() for c in value):
        raise ValueError("must end with the host, a port or a path")
    return value


Endpoint = Annotated[str, AfterValidator(_endpoint)]


class AwsAccount(Model):
    """One account, and the role to assume in it; without a role the caller's own credentials are used."""

    account_id: AccountId
    name: str = ""
    role_arn: RoleArn | None = None

    @model_validator(mode="after")
    def _role_is_of_the_account(self) -> Self:
        if self.role_arn and self.role_arn.split(":")[4] != self.account_id:
            raise ValueError(f"role_arn is of account {self.role_arn.split(':')[4]}, not of {self.account_id}")
        return self


class AwsOrganization(Model):
    """Every active account of the organization, through a role of the same name in each."""

    role_name: RoleName = Field("capacity-read", description="assumed in every account but the caller's own")
    exclude: list[AccountId] = []


class AwsAccess(Model):
    """A way into AWS that sources refer to by name."""

    name: Name = "aws"
    profile: str | None = Field(None, description="of the AWS config files; the usual credential chain where absent")
    regions: list[Region] = Field(min_length=1)
    accounts: list[AwsAccount] = Field([], description="the caller's own account where neither these nor organization")
    organization: AwsOrganization | None = None
    external_id: ExternalId | None = Field(None, description="handed over with every role that is assumed")
    endpoint_url: Endpoint | None = Field(None, description="another endpoint for all services: private links, tests")
    parallel: int = Field(8, ge=1, le=32, description="accounts and regions asked at the same time")

    @model_validator(mode="after")
    def _one_list(self) -> Self:
        if self.accounts and self.organization:
            raise ValueError("give accounts or organization, not both")
        ids = [a.account_id for a in self.accounts]
        twice = sorted({i for i in ids if ids.count(i) > 1})
        if twice:
            raise ValueError(f"account {twice[0]} is given twice")
        return self


class AwsSource(Model):
    """What every source that asks AWS has: its way in, and which accounts and regions of it."""

    name: Name
    aws: Name | None = Field(None, description="an entry of 'aws'; may be left out where there is only one")
    accounts: list[AccountId] | None = Field(None, description="of these accounts only")
    regions: list[Region] | None = Field(None, description="in these regions only")


class ServiceNaming(Model):
    """Which service a resource belongs to: the first tag it carries, else the first pattern its name matches."""

    tags: list[str] = Field(["service"], description="keys of tags whose value names the service")
    names: dict[str, Name] = Field({}, description="regular expression that matches a whole name -> service")
    otherwise: str = Field("skip", pattern=r"^(skip|name)$", description="skip the resource, or let its name name it")
