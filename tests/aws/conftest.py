"""Credentials that mean nothing, and no waiting between tries."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any

import pytest

from tests.aws.standin import MANAGEMENT, StandIn, running


@pytest.fixture(autouse=True)
def credentials(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    """The AWS chain ends in the environment: the management account's user."""
    empty = tmp_path_factory.mktemp("aws") / "none"
    for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_ENDPOINT_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(empty))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(empty))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", f"AKIA{MANAGEMENT}AAAA")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "not-a-secret")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")


@pytest.fixture(autouse=True)
def models_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """botocore's service models are read once for all tests, not once a session: half a second of EC2's alone."""
    import botocore.session

    monkeypatch.setattr(botocore.session, "create_loader", lambda *args, **kwargs: _loader())


@cache
def _loader() -> Any:
    from botocore.loaders import create_loader

    return create_loader()


@pytest.fixture
def quick_retries(monkeypatch: pytest.MonkeyPatch) -> None:
    """Throttled calls are tried again at once: as often, in the same order, without the wait."""
    from botocore.retries import standard

    from capacity.sources.aws import _access

    monkeypatch.setattr(standard.ExponentialBackoff, "delay_amount", lambda self, context: 0.001)
    monkeypatch.setattr(_access, "RETRY_MODE", "standard")  # adaptive's token bucket waits for the wall clock


@pytest.fixture
def aws() -> Iterator[StandIn]:
    """A stand-in for AWS with nothing in it."""
    with running() as standin:
        yield standin
