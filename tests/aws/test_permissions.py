"""Every permission that a source asks for exists, and reads only."""

from __future__ import annotations

from pathlib import Path

import botocore.session
import pytest

from capacity.sources import SourceInfo, infos

# IAM's prefix of a service, where it is not botocore's name.
_SERVICES = {"servicequotas": "service-quotas", "tag": "resourcegroupstaggingapi", "elasticloadbalancing": "elbv2"}
# IAM actions of S3 that are named after something else than the operation.
_OTHER = {"s3:ListBucket": "ListObjectsV2", "lambda:ListFunctions": "ListFunctions"}
_READING = ("Get", "List", "Describe", "AssumeRole")


@pytest.mark.parametrize("info", infos(), ids=lambda i: i.kind)
def test_every_permission_exists_and_only_reads(info: SourceInfo) -> None:
    session = botocore.session.get_session()
    for permission in info.permissions:
        prefix, _, action = permission.partition(":")
        model = session.get_service_model(_SERVICES.get(prefix, prefix))
        assert _OTHER.get(permission, action) in model.operation_names, permission
        assert action.startswith(_READING), permission


@pytest.mark.parametrize("info", infos(), ids=lambda i: i.kind)
def test_every_source_says_what_it_reads_costs_and_cannot(info: SourceInfo) -> None:
    assert info.reads
    assert info.price
    assert info.limits
    assert info.frames
    if info.permissions:
        assert info.calls, f"{info.kind}: the calls it makes and what each costs"
        page = Path(__file__).resolve().parents[2] / "docs" / "sources" / f"{info.kind}.md"
        assert f"kind: {info.kind}" in page.read_text(encoding="utf-8"), page.name
