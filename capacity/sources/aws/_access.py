"""Accounts, roles, regions: who is asked, as whom, and many at the same time."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from typing import Any, TypeVar

from capacity.config import AwsAccess, AwsOrganization
from capacity.errors import CapacityError, DataError, UsageError
from capacity.sources.aws._calls import MAX_ATTEMPTS, errors_of

P = TypeVar("P")
T = TypeVar("T")

_CONNECT_SECONDS = 10
_READ_SECONDS = 60
_SESSION_NAME = "capacity"
# adaptive: also slows down by itself while it is throttled
RETRY_MODE = "adaptive"


@dataclass(frozen=True)
class Account:
    """An AWS account, and the role that is assumed there (None: the caller's own credentials)."""

    account_id: str
    name: str = ""
    role_arn: str | None = None

    @property
    def label(self) -> str:
        return f"account {self.account_id}{f' ({self.name})' if self.name else ''}"


@dataclass(frozen=True)
class Place:
    """An account in a region."""

    account: Account
    region: str

    @property
    def label(self) -> str:
        return f"{self.account.label} in {self.region}"


class Access:
    """One way into AWS for one source.

    Nothing is called before the first use. Clients are made once a (service, account, region); they may be shared by
    threads.

    Parameters
    ----------
    config
        An entry of the config's ``aws``.
    source
        The source's name, for messages.
    """

    def __init__(self, config: AwsAccess, source: str) -> None:
        self.config = config
        self.source = source
        self._lock = threading.RLock()  # boto3 sessions are not safe over threads; clients are
        self._sessions: dict[str | None, Any] = {}
        self._clients: dict[tuple[str, str | None, str], Any] = {}

    # --- who ------------------------------------------------------------------------------------------------

    @cached_property
    def caller(self) -> str:
        """Account id of the credentials in use (sts:GetCallerIdentity).

        Raises
        ------
        DataError
            No usable credentials.
        """
        with errors_of("sts:GetCallerIdentity", self.source, f"region {self._home}"):
            return str(self.client("sts", None, self._home).get_caller_identity()["Account"])

    @cached_property
    def all_accounts(self) -> tuple[Account, ...]:
        """The organization's active accounts, or those the config lists, or the caller's own; by id.

        Raises
        ------
        DataError
            They cannot be listed, or one has no role and is not the caller's own.
        """
        if self.config.organization:
            return self._members(self.config.organization)
        if not self.config.accounts:
            return (Account(self.caller),)
        listed = tuple(Account(a.account_id, a.name, a.role_arn) for a in self.config.accounts)
        for account in listed:
            if account.role_arn is None and account.account_id != self.caller:
                raise DataError(
                    f"source '{self.source}': {account.label}: no role_arn, and the credentials in use are of account "
                    f"{self.caller}; give role_arn under aws '{self.config.name}'"
                )
        return tuple(sorted(listed, key=lambda a: a.account_id))

    def accounts(self, only: Sequence[str] | None = None) -> tuple[Account, ...]:
        """All accounts, or those of ``only``.

        Raises
        ------
        UsageError
            ``only`` names one that is not reached this way.
        """
        if only is None:
            return self.all_accounts
        known = {a.account_id: a for a in self.all_accounts}
        missing = sorted(set(only) - set(known))
        if missing:
            raise UsageError(
                f"source '{self.source}': accounts {', '.join(missing)} are not reached through aws "
                f"'{self.config.name}'; it reaches {', '.join(known)}"
            )
        return tuple(known[i] for i in sorted(set(only)))

    def regions(self, only: Sequence[str] | None = None) -> tuple[str, ...]:
        """The config's regions, or those of ``only`` (which need not be among them)."""
        return tuple(dict.fromkeys(only or self.config.regions))

    def places(self, accounts: Sequence[str] | None = None, regions: Sequence[str] | None = None) -> tuple[Place, ...]:
        """Every account in every region."""
        return tuple(Place(a, r) for a in self.accounts(accounts) for r in self.regions(regions))

    def _members(self, organization: AwsOrganization) -> tuple[Account, ...]:
        found = []
        # Organizations answers in one region of each partition; botocore knows which.
        with errors_of("organizations:ListAccounts", self.source, f"organization of account {self.caller}"):
            for page in self.client("organizations", None, self._home).get_paginator("list_accounts").paginate():
                found += page["Accounts"]
        out = []
        for account in sorted(found, key=lambda a: str(a["Id"])):
            identity = str(account["Id"])
            active = account.get("State", account.get("Status", "ACTIVE")) == "ACTIVE"
            if not active or identity in organization.exclude:
                continue
            partition = str(account.get("Arn", "arn:aws")).split(":")[1]
            role = f"arn:{partition}:iam::{identity}:role/{organization.role_name}"
            out.append(Account(identity, str(account.get("Name", "")), None if identity == self.caller else role))
        return tuple(out)

    # --- clients ----------------------------------------------------------------------------------------------

    @property
    def _home(self) -> str:
        return self.config.regions[0]

    def client(self, service: str, account: Account | None = None, region: str | None = None) -> Any:
        """A boto3 client with adaptive retries, as ``account``'s role.

        Raises
        ------
        DataError
            No such profile, or no usable credentials.
        """
        role = None if account is None else account.role_arn
        where = region or self._home
        with self._lock:
            key = (service, role, where)
            if key not in self._clients:
                with errors_of(f"{service} client", self.source, account.label if account else f"region {where}"):
                    self._clients[key] = self._session(role).client(
                        service, region_name=where, endpoint_url=self.config.endpoint_url, config=self._client_config()
                    )
            return self._clients[key]

    def _session(self, role: str | None) -> Any:
        import boto3

        if None not in self._sessions:
            self._sessions[None] = _quick_times(boto3.Session(profile_name=self.config.profile, region_name=self._home))
        if role not in self._sessions:
            self._sessions[role] = self._assumed(self._sessions[None], str(role))
        return self._sessions[role]

    def _assumed(self, base: Any, role: str) -> Any:
        """A session whose credentials are those of ``role``, fetched at first use and refreshed before they end."""
        import boto3
        import botocore.session
        from botocore.credentials import AssumeRoleCredentialFetcher, DeferredRefreshableCredentials
        from botocore.exceptions import NoCredentialsError

        def sts(*args: Any, **kwargs: Any) -> Any:
            kwargs.setdefault("region_name", self._home)
            kwargs["config"] = self._client_config()
            with self._lock:  # called from the threads of :meth:`each`
                return base._session.create_client(*args, endpoint_url=self.config.endpoint_url, **kwargs)

        extra = {"RoleSessionName": _SESSION_NAME}
        if self.config.external_id:
            extra["ExternalId"] = self.config.external_id
        own = base._session.get_credentials()
        if own is None:
            raise NoCredentialsError()
        fetcher = AssumeRoleCredentialFetcher(sts, own, role, extra_args=extra)
        inner = botocore.session.get_session()
        # One reading of the services' models for all roles: EC2's alone takes longer than a call.
        inner.register_component("data_loader", base._session.get_component("data_loader"))
        inner._credentials = DeferredRefreshableCredentials(
            refresh_using=fetcher.fetch_credentials, method="assume-role"
        )
        return _quick_times(boto3.Session(botocore_session=inner, region_name=self._home))

    def _client_config(self) -> Any:
        from botocore.config import Config

        return Config(
            retries={"mode": RETRY_MODE, "max_attempts": MAX_ATTEMPTS},
            connect_timeout=_CONNECT_SECONDS,
            read_timeout=_READ_SECONDS,
            user_agent_extra="capacity",
            # Object storage behind an endpoint of one's own has no host name a bucket.
            s3={"addressing_style": "path" if self.config.endpoint_url else "auto"},
        )

    # --- many at once -----------------------------------------------------------------------------------------

    def each(self, parts: Sequence[P], work: Callable[[P], T]) -> Iterator[tuple[P, T | CapacityError]]:
        """``work`` on every part, several at a time; results in the order of ``parts``, a failure in its place.

        Only errors of :mod:`capacity.errors` are caught: wrap calls in :func:`errors_of`.
        """
        if not parts:
            return
        with ThreadPoolExecutor(min(self.config.parallel, len(parts)), thread_name_prefix="aws") as pool:
            tasks = [pool.submit(_attempt, work, part) for part in parts]
            for part, task in zip(parts, tasks, strict=True):
                yield part, task.result()


def _quick_times(session: Any) -> Any:
    """``session`` whose clients read numeric time stamps straight as UTC.

    botocore goes through this machine's zone for each of them, which takes longer than all else of reading a point.
    """
    session._session.get_component("response_parser_factory").set_parser_defaults(timestamp_parser=_utc)
    return session


def _utc(value: Any) -> datetime:
    if isinstance(value, int | float):
        return datetime.fromtimestamp(value, UTC)
    from botocore.utils import parse_timestamp

    parsed: datetime = parse_timestamp(value)
    return parsed


def _attempt(work: Callable[[P], T], part: P) -> T | CapacityError:
    try:
        return work(part)
    except CapacityError as error:
        return error
